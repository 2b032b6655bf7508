/* NDOT: each neuron has a trace of its spikes, whose decay follows its potential. What stands between neurons
 * and a layer with weights is done with the traces as it is with the spikes, and has to be linear for that.
 * docs/NUMERICS.md, "Schedules". */
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

static sp_status neuron_trace(sp_builder *b, int node, int *out)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    const int u = b->node[node].u;
    char name[64];
    snprintf(name, sizeof name, "%.40s trace", n->name);
    if (b->node[node].trace < 0)
        SP_TRY(spi_tensor_new(b, name, spi_rows(b, a) * a->c, SP_LIFETIME_PLAN, &b->node[node].trace));
    sp_emit e = spi_step(b, node, "neuron.trace");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_neuron_settings(&e, &n->layer->neuron);
    spi_float(&e, "v_reset", sp_neuron_offset(&n->layer->neuron)); /* the rest, not v_init */
    spi_store_half(&e, "U_HALF", u);
    spi_bind(&e, "u", u), spi_bind(&e, "trace", b->node[node].trace);
    spi_bind_at(&e, "u_prev", u, sp_plan_slots(b->p, &b->p->tensors[u]) > 1 ? -1 : 0, 0);
    *out = b->node[node].trace;
    return spi_emit(&e);
}

/* What a layer without weights makes of the traces of its inputs. */
static sp_status pass_on(sp_builder *b, int node, int *out)
{
    const sp_node *n = &b->g->nodes[node];
    const int inputs = n->in[1] >= 0 ? 2 : 1, kept_out = b->act[n->out].tensor;
    int kept[2], traces[2];
    for (int i = 0; i < inputs; i++)
        SP_TRY(spi_trace_value(b, n->in[i], &traces[i]));
    for (int i = 0; i < inputs; i++)
        kept[i] = b->act[n->in[i]].tensor;
    for (int i = 0; i < inputs; i++)
        b->act[n->in[i]].tensor = traces[i];
    b->rates = true; /* no bits */
    sp_status st = spi_forward_node(b, node);
    b->rates = false;
    *out = b->act[n->out].tensor;
    b->act[n->out].tensor = kept_out;
    for (int i = inputs; i-- > 0;)
        b->act[n->in[i]].tensor = kept[i];
    return st;
}

sp_status spi_trace_value(sp_builder *b, int act, int *out)
{
    const int node = b->g->acts[act].producer;
    int *trace = &b->act[act].trace;
    if (*trace < 0)
        SP_TRY(b->g->nodes[node].type == SP_NODE_NEURON ? neuron_trace(b, node, trace)
                                                        : pass_on(b, node, trace));
    *out = *trace;
    return SP_OK;
}

/* The layer that an activation's trace cannot be taken through; -1: there is none. *raw: it is the input. */
static int first_without_trace(const sp_graph *g, int act, bool *raw)
{
    const int node = g->acts[act].producer;
    *raw = node < 0;
    if (node < 0)
        return 0;
    const sp_node *n = &g->nodes[node];
    int found = node;
    switch (n->type) {
    case SP_NODE_NEURON: return -1;
    case SP_NODE_POOL_AVG:
    case SP_NODE_POOL_ADAPTIVE:
    case SP_NODE_SCALE:
    case SP_NODE_DROPOUT: return first_without_trace(g, n->in[0], raw);
    case SP_NODE_RESIDUAL:
    case SP_NODE_CONCAT:
        found = first_without_trace(g, n->in[0], raw);
        return found >= 0 ? found : first_without_trace(g, n->in[1], raw);
    default: return found;
    }
}

sp_status spi_check_traces(const sp_plan *p, sp_error *err)
{
    const sp_graph *g = p->graph;
    bool raw;
    for (int i = 0; p->o.method == SP_METHOD_NDOT && i < g->n_nodes; i++) {
        const sp_node *n = &g->nodes[i];
        if (n->weight < 0 || n->type == SP_NODE_RECURRENT || !g->acts[n->in[0]].needs_gradient)
            continue;
        const int at = first_without_trace(g, n->in[0], &raw);
        if (at >= 0)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: ndot takes the traces of neurons to it, and has none of %s%s%s; "
                           "between neurons and a layer with weights there may be average pools, scale, "
                           "dropout, residual, add and concat layers. Use ottt or sltt, or another network",
                           n->name, raw ? "the input" : "layer ", raw ? "" : g->nodes[at].name,
                           raw ? ", which is joined to them" : "");
    }
    return SP_OK;
}
