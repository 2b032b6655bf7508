/* Neurons that keep more than u: a second state, a threshold that follows it or is learnt, a learnable
 * scalar. They run on the ops neuron.forward_ext and neuron.backward_ext; all other models on neuron.forward
 * and neuron.backward. */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

static int uses_of(const sp_builder *b, int node)
{
    const sp_fragment *f =
        sp_fragment_find(b->p->reg, SP_FRAGMENT_NEURON, b->g->nodes[node].layer->neuron.model);
    return f ? f->uses : 0;
}

bool spi_neuron_is_extended(const sp_builder *b, int node)
{
    return uses_of(b, node) != 0 || b->g->nodes[node].threshold >= 0 || spi_is_stabilised(b, node);
}

/* The gradient of a learnable scalar, and NDOT's trace, need v[t-1] after u[t] is known: one more place than
 * there are steps to go back over. */
int spi_neuron_slots(const sp_builder *b, int node)
{
    if (!b->training || !((uses_of(b, node) & SP_USES_LEARN) || b->dots))
        return 0;
    return b->history ? (int)sp_plan_block(b->p) + (sp_plan_block(b->p) < b->p->o.time_steps) : 2;
}

static sp_status new_tensor(sp_builder *b, int node, const char *what, sp_lifetime lifetime, int *out)
{
    const sp_activation *a = &b->g->acts[b->g->nodes[node].out];
    return *out >= 0 ? SP_OK : spi_node_tensor(b, node, what, spi_rows(b, a) * a->c, lifetime, out);
}

/* The backward pass reads the second state only where the threshold follows it; else one map is enough for
 * all steps. */
static sp_status make_aux(sp_builder *b, int node, int uses)
{
    bool known = b->node[node].aux >= 0, history = b->history && (uses & SP_USES_THRESHOLD);
    SP_TRY(new_tensor(b, node, "second state", history ? SP_LIFETIME_HISTORY : SP_LIFETIME_PLAN,
                      &b->node[node].aux));
    if (!known && (uses & SP_USES_THRESHOLD))
        b->p->tensors[b->node[node].aux].slots = spi_neuron_slots(b, node);
    return SP_OK;
}

static int step_before(const sp_builder *b, int tensor)
{
    return sp_plan_slots(b->p, &b->p->tensors[tensor]) > 1 ? -1 : 0;
}

static sp_status extend_forward(sp_emit *e, int node, int uses)
{
    sp_builder *b = e->b;
    if (uses & SP_USES_AUX) {
        SP_TRY(make_aux(b, node, uses));
        spi_bind(e, "aux", b->node[node].aux);
        spi_bind_at(e, "aux_prev", b->node[node].aux, step_before(b, b->node[node].aux), 0);
    }
    return SP_OK;
}

static sp_status extend_backward(sp_emit *e, int node, int uses)
{
    sp_builder *b = e->b;
    if (uses & SP_USES_THRESHOLD)
        spi_bind(e, "aux", b->node[node].aux);
    if (uses & SP_USES_LEARN) {
        spi_bind_at(e, "u_prev", b->node[node].u, -1, 0);
        if (uses & SP_USES_THRESHOLD)
            spi_bind_at(e, "aux_prev", b->node[node].aux, -1, 0);
        SP_TRY(spi_bind_param(e, "g_w", b->g->nodes[node].w, true));
    }
    if (b->temporal && (uses & SP_USES_AUX)) {
        SP_TRY(new_tensor(b, node, "dL/daux between steps", SP_LIFETIME_PLAN, &b->node[node].adjoint_aux));
        spi_bind(e, "carry_aux", b->node[node].adjoint_aux);
    }
    return SP_OK;
}

sp_status spi_neuron_extend(sp_emit *e, int node, bool backward)
{
    sp_builder *b = e->b;
    const sp_neuron *n = &b->g->nodes[node].layer->neuron;
    const int uses = uses_of(b, node), threshold = b->g->nodes[node].threshold;
    if (!spi_neuron_is_extended(b, node))
        return SP_OK;
    spi_flag(e, "V_TH", threshold >= 0 || spi_is_stabilised(b, node));
    if (spi_is_stabilised(b, node))
        spi_stabilise_bind(e, node, backward);
    spi_flag(e, "EACH", n->per_channel && (threshold >= 0 || (uses & SP_USES_LEARN)));
    if (threshold >= 0)
        SP_TRY(spi_bind_param(e, "th", threshold, false));
    if (threshold >= 0 && backward)
        SP_TRY(spi_bind_param(e, "g_th", threshold, true));
    spi_flag(e, "AUX", uses & SP_USES_AUX), spi_flag(e, "ADAPT", uses & SP_USES_THRESHOLD);
    spi_flag(e, "LEARN", uses & SP_USES_LEARN), spi_flag(e, "SCALED", n->decay_input);
    spi_float(e, "aux_decay", isnan(n->aux_tau) ? 0.0 : 1.0 - 1.0 / n->aux_tau);
    spi_float(e, "aux_gain", isnan(n->aux_gain) ? 1.0 : n->aux_gain);
    if (uses & SP_USES_LEARN)
        SP_TRY(spi_bind_param(e, "w", b->g->nodes[node].w, false));
    return backward ? extend_backward(e, node, uses) : extend_forward(e, node, uses);
}
