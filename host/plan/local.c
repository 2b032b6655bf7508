/* Local tandem learning: each layer of neurons has a loss of its own, the distance of its firing rate so far
 * from what the layer of a trained network gives for the same input, and no error crosses a layer.
 * docs/NUMERICS.md, "Local losses". */
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

enum { PERMILLE = 990 }; /* of a target, by whose quantile of this place it is divided */

static bool has_local_loss(const sp_graph *g, int node)
{
    return sp_node_fires(&g->nodes[node]) && g->nodes[node].out != g->logits;
}

bool spi_is_local(const sp_builder *b, int node)
{
    return b->local && has_local_loss(b->g, node);
}

static bool has_parameters(const sp_graph *g, int node)
{
    for (int i = 0; i < g->n_params; i++)
        if (g->params[i].trainable && g->params[i].node == node)
            return true;
    return false;
}

void spi_find_gradients(sp_builder *b)
{
    for (int i = 0; i < b->g->n_acts; i++)
        b->act[i].needs_gradient = b->g->acts[i].needs_gradient;
    for (int i = 0; b->local && i < b->g->n_nodes; i++) {
        const sp_node *n = &b->g->nodes[i];
        const bool before =
            b->act[n->in[0]].needs_gradient || (n->in[1] >= 0 && b->act[n->in[1]].needs_gradient);
        b->act[n->out].needs_gradient = !spi_is_local(b, i) && (before || has_parameters(b->g, i));
    }
}

/* One without weights in front of it, or a parameter of its own, has nothing to learn. */
static bool learns(const sp_builder *b, int node)
{
    return b->act[b->g->nodes[node].in[0]].needs_gradient || has_parameters(b->g, node);
}

static int64_t elems_of(const sp_builder *b, const sp_activation *a)
{
    return spi_rows(b, a) * a->c;
}

/* The k-th activation that has a layer behind it; -1: there are not so many. */
static int nth_activation(const sp_graph *g, int k)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].type == SP_NODE_ACTIVATION && g->nodes[i].out != g->logits && k-- == 0)
            return i;
    return -1;
}

sp_status spi_local_begin(sp_builder *b)
{
    const sp_plan *teacher = b->p->o.teacher;
    for (int i = 0, k = -1; i < b->g->n_nodes; i++) {
        const sp_activation *a = &b->g->acts[b->g->nodes[i].out];
        int *target = &b->p->layer_targets[i];
        k += spi_is_local(b, i);
        if (!spi_is_local(b, i) || !learns(b, i))
            continue;
        SP_TRY(spi_node_tensor(b, i, "target", elems_of(b, a),
                               teacher ? SP_LIFETIME_TEACHER : SP_LIFETIME_PLAN, target));
        if (teacher)
            b->p->tensors[*target].fixed_at =
                (uint64_t)teacher->layer_targets[nth_activation(teacher->graph, k)];
        SP_TRY(spi_node_tensor(b, i, "quantile of the target", 1, SP_LIFETIME_PLAN, &b->node[i].target_norm));
        sp_emit e = spi_step(b, i, "quantile");
        spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c), spi_int(&e, "permille", PERMILLE);
        spi_bind(&e, "x", *target), spi_bind(&e, "y", b->node[i].target_norm);
        SP_TRY(spi_emit(&e));
    }
    return SP_OK;
}

sp_status spi_local_count(sp_builder *b, int node)
{
    const int act = b->g->nodes[node].out;
    const sp_activation *a = &b->g->acts[act];
    if (!learns(b, node))
        return SP_OK;
    if (b->node[node].count < 0)
        SP_TRY(spi_node_tensor(b, node, "spikes so far", elems_of(b, a), SP_LIFETIME_PLAN,
                               &b->node[node].count));
    sp_emit e = spi_step(b, node, "mean.accumulate");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_float(&e, "share", 1.0), spi_flag(&e, "X_BITS", 1);
    spi_bind(&e, "x", b->act[act].tensor), spi_bind(&e, "mean", b->node[node].count);
    return spi_emit(&e);
}

sp_status spi_local_error(sp_builder *b, int node)
{
    const int act = b->g->nodes[node].out;
    const sp_activation *a = &b->g->acts[act];
    const double steps = (double)b->p->o.time_steps;
    if (!learns(b, node))
        return SP_OK;
    SP_TRY(spi_node_tensor(b, node, "error of the layer", elems_of(b, a), SP_LIFETIME_SEGMENT,
                           &b->act[act].gradient));
    sp_emit e = spi_step(b, node, "loss.local");
    spi_int(&e, "N", b->p->o.batch), spi_int(&e, "M", a->h * a->w), spi_int(&e, "C", a->c);
    spi_float(&e, "steps", steps), spi_float(&e, "w_g", 1 / steps), spi_float(&e, "w_t", 1.0);
    spi_bind(&e, "count", b->node[node].count), spi_bind(&e, "target", b->p->layer_targets[node]);
    spi_bind(&e, "norm", b->node[node].target_norm), spi_bind(&e, "g", b->act[act].gradient);
    spi_bind(&e, "loss", b->p->loss);
    return spi_emit(&e);
}

/* ---- what is refused ---- */

static sp_status check_layers(const sp_plan *p, int *n_local, sp_error *err)
{
    *n_local = 0;
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const sp_node *n = &p->graph->nodes[i];
        *n_local += has_local_loss(p->graph, i);
        if (n->type == SP_NODE_RECURRENT)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: ltl is not defined for recurrent layers, as its teacher has no time in "
                           "which they could feed back; use sltt or bptt",
                           n->name);
        if (n->type == SP_NODE_ACTIVATION)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: ltl trains layers of neurons, and this one is relu or qcfs, which is "
                           "for its teacher; write neurons in its place",
                           n->name);
    }
    return *n_local ? SP_OK
                    : SP_FAIL(err, SP_E_CONFIG,
                              "ltl gives each layer of neurons a loss of its own, and the network has none "
                              "before its outputs; use sltt");
}

static sp_status check_teacher(const sp_plan *p, int n_local, sp_error *err)
{
    const sp_graph *t = p->o.teacher->graph, *g = p->graph;
    int n = 0;
    while (nth_activation(t, n) >= 0)
        n++;
    if (n != n_local)
        return SP_FAIL(err, SP_E_CONFIG,
                       "teacher: it has %d layers of relu or qcfs before its outputs, and this network has "
                       "%d of neurons; each needs the other",
                       n, n_local);
    for (int i = 0, k = 0; i < g->n_nodes; i++) {
        if (!has_local_loss(g, i))
            continue;
        const sp_node *from = &t->nodes[nth_activation(t, k++)];
        const sp_activation *a = &g->acts[g->nodes[i].out], *b = &t->acts[from->out];
        if (a->c != b->c || a->h != b->h || a->w != b->w)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s has %lldx%lldx%lld neurons (channels x height x width), and layer %s of "
                           "the teacher, whose outputs are its targets, has %lldx%lldx%lld",
                           g->nodes[i].name, (long long)a->c, (long long)a->h, (long long)a->w, from->name,
                           (long long)b->c, (long long)b->h, (long long)b->w);
    }
    return SP_OK;
}

sp_status spi_check_local(const sp_plan *p, sp_error *err)
{
    int n_local;
    if (p->o.method != SP_METHOD_LTL)
        return SP_OK;
    if (p->o.external_loss)
        return SP_FAIL(err, SP_E_CONFIG,
                       "schedule.method: ltl has a loss in each layer, of which a loss outside of the plan "
                       "knows nothing; use sltt or bptt");
    if (p->o.sequence)
        return SP_FAIL(err, SP_E_CONFIG,
                       "schedule.method: ltl takes its targets from a network without time, which reads one "
                       "still input; these samples have one for each time step. Use sltt or bptt");
    SP_TRY(check_layers(p, &n_local, err));
    return p->o.teacher ? check_teacher(p, n_local, err) : SP_OK;
}
