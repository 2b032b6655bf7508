/* Layers `synapse`: an exponential filter, y[t] = x[t] + decay y[t-1], whose decay may be learnt. */
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

static sp_status make_tensor(sp_builder *b, int node, const char *what, int64_t elems, sp_lifetime lifetime,
                             int *out)
{
    return *out >= 0 ? SP_OK : spi_node_tensor(b, node, what, elems, lifetime, out);
}

static int64_t numbers_of(const sp_builder *b, int node)
{
    return b->g->params[b->g->nodes[node].w].elems;
}

sp_status spi_synapse_decay(sp_builder *b, int node)
{
    const int64_t n = numbers_of(b, node);
    SP_TRY(make_tensor(b, node, "decay", n, SP_LIFETIME_PLAN, &b->node[node].decay));
    sp_emit e = spi_step(b, node, "synapse.decay");
    spi_int(&e, "C", n);
    SP_TRY(spi_bind_param(&e, "w", b->g->nodes[node].w, false));
    spi_bind(&e, "decays", b->node[node].decay);
    return spi_emit(&e);
}

static void set(sp_emit *e, int node)
{
    const sp_builder *b = e->b;
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    const bool learns = n->w >= 0;
    spi_int(e, "M", spi_rows(b, a)), spi_int(e, "C", a->c);
    spi_flag(e, "LEARNT", learns), spi_flag(e, "EACH", learns && n->layer->neuron.per_channel);
    spi_float(e, "decay", learns ? 0.0 : 1.0 - 1.0 / n->layer->neuron.tau);
    if (learns)
        spi_bind(e, "decays", b->node[node].decay);
}

/* The gradient of a decay needs y[t-1] after y[t] is known. */
static int slots_of(const sp_builder *b, int node)
{
    const int64_t block = sp_plan_block(b->p);
    if (!b->training || b->g->nodes[node].w < 0)
        return 0;
    return b->history ? (int)block + (block < b->p->o.time_steps) : 2;
}

sp_status spi_synapse_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int *y = &b->node[node].y;
    if (*y < 0) {
        SP_TRY(make_tensor(b, node, "output", spi_rows(b, a) * a->c,
                           b->history ? SP_LIFETIME_HISTORY : SP_LIFETIME_PLAN, y));
        b->p->tensors[*y].slots = slots_of(b, node);
    }
    b->act[n->out].tensor = *y;
    sp_emit e = spi_step(b, node, "synapse.forward");
    set(&e, node);
    spi_flag(&e, "X_BITS", spi_is_bits(b, n->in[0]));
    spi_bind(&e, "x", b->act[n->in[0]].tensor), spi_bind(&e, "y", *y);
    spi_bind_at(&e, "y_prev", *y, sp_plan_slots(b->p, &b->p->tensors[*y]) > 1 ? -1 : 0, 0);
    return spi_emit(&e);
}

/* The sum over rows, or over all elements, by an op that has kernels for every device. */
static sp_status add_to_parameter(sp_builder *b, int node, int g_hat)
{
    const sp_activation *a = &b->g->acts[b->g->nodes[node].out];
    const int64_t c = numbers_of(b, node);
    sp_emit e = spi_step(b, node, "bias.backward");
    spi_int(&e, "M", spi_rows(b, a) * a->c / c), spi_int(&e, "C", c);
    spi_bind(&e, "e", g_hat);
    SP_TRY(spi_bind_param(&e, "g_bias", b->g->nodes[node].w, true));
    return spi_emit(&e);
}

sp_status spi_synapse_backward(sp_builder *b, int node, int *g)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    const int64_t elems = spi_rows(b, a) * a->c;
    int g_x = -1, g_hat = -1;
    if (n->w < 0 && !b->temporal)
        return SP_OK; /* of its time step alone, the slope is 1 */
    SP_TRY(make_tensor(b, node, "input gradient", elems, SP_LIFETIME_SEGMENT, &g_x));
    if (b->temporal)
        SP_TRY(
            make_tensor(b, node, "dL/dy between steps", elems, SP_LIFETIME_PLAN, &b->node[node].adjoint_y));
    sp_emit e = spi_step(b, node, "synapse.backward");
    set(&e, node);
    spi_flag(&e, "TEMPORAL", b->temporal);
    spi_bind(&e, "g", *g), spi_bind(&e, "g_x", g_x);
    if (b->temporal)
        spi_bind(&e, "carry", b->node[node].adjoint_y);
    if (n->w >= 0) {
        SP_TRY(make_tensor(b, node, "gradient of w", elems, SP_LIFETIME_SEGMENT, &g_hat));
        spi_bind_at(&e, "y_prev", b->node[node].y, -1, 0), spi_bind(&e, "g_hat", g_hat);
    }
    SP_TRY(spi_emit(&e));
    *g = g_x;
    return n->w >= 0 ? add_to_parameter(b, node, g_hat) : SP_OK;
}

sp_status spi_check_synapses(const sp_plan *p, sp_error *err)
{
    const sp_method m = p->o.method;
    for (int i = 0; i < p->graph->n_nodes; i++)
        if (p->graph->nodes[i].type == SP_NODE_SYNAPSE &&
            (m == SP_METHOD_OTTT || m == SP_METHOD_NDOT || m == SP_METHOD_RATE))
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: %s is not defined for synapse, whose output follows from more than the "
                           "spikes of a time step; use sltt or bptt",
                           p->graph->nodes[i].name, sp_method_name(m));
    return SP_OK;
}
