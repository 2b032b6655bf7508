/* Delays: a layer that gives what it got `steps` time steps before. It has a place for each of these, and
 * place t mod steps is read and then written at step t. The gradient goes the same way in the other
 * direction, which needs the backward pass to go from the last time step to the first: BPTT alone. */
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

static sp_status make_past(sp_builder *b, int node, const char *what, bool bits, int *out)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    if (*out >= 0)
        return SP_OK;
    SP_TRY(spi_node_tensor(b, node, what, spi_rows(b, a) * (bits ? (a->c + 31) / 32 : a->c), SP_LIFETIME_PLAN,
                           out));
    b->p->tensors[*out].slots = (int)n->layer->steps;
    return SP_OK;
}

/* In the segment before the first time step, so of steps -1, -2, ... */
sp_status spi_delay_begin(sp_builder *b)
{
    for (int i = 0; i < b->g->n_nodes; i++) {
        const sp_node *n = &b->g->nodes[i];
        if (n->type != SP_NODE_DELAY)
            continue;
        SP_TRY(make_past(b, i, "past", spi_is_bits(b, n->out), &b->node[i].past));
        for (int k = 0; k < (int)n->layer->steps; k++)
            SP_TRY(spi_clear_at(b, i, "past", b->node[i].past, -k));
    }
    return SP_OK;
}

static sp_status emit_delay(sp_builder *b, int node, bool bits, int x, int past, int y)
{
    const sp_activation *a = &b->g->acts[b->g->nodes[node].out];
    sp_emit e = spi_step(b, node, "delay");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_flag(&e, "X_BITS", bits);
    spi_bind(&e, "x", x), spi_bind(&e, "kept", past), spi_bind(&e, "y", y);
    return spi_emit(&e);
}

/* With it the place for the gradient of this time step is cleared: behind the last steps of a block there are
 * none that it could come from. */
sp_status spi_delay_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const bool unpack = spi_is_bits(b, n->in[0]) && !spi_is_bits(b, n->out);
    int x = b->act[n->in[0]].tensor, y;
    if (b->temporal && spi_needs_gradient(b, n->in[0])) {
        SP_TRY(make_past(b, node, "gradient", false, &b->node[node].g_past));
        SP_TRY(spi_clear(b, node, "gradient", b->node[node].g_past));
    }
    if (unpack)
        SP_TRY(spi_unpack(b, node, n->in[0], &x));
    SP_TRY(spi_new_output(b, n, &y));
    return emit_delay(b, node, spi_is_bits(b, n->out), x, b->node[node].past, y);
}

sp_status spi_delay_backward(sp_builder *b, int node, int g, int g_x)
{
    return emit_delay(b, node, false, g, b->node[node].g_past, g_x);
}

sp_status spi_check_delays(const sp_plan *p, sp_error *err)
{
    const bool trains = p->o.method != SP_METHOD_EVAL, bptt = p->o.method == SP_METHOD_BPTT;
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const sp_node *n = &p->graph->nodes[i];
        if (n->type != SP_NODE_DELAY)
            continue;
        const long long steps = (long long)n->layer->steps, block = (long long)sp_plan_block(p);
        if (trains && !bptt)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: %s has no gradient through a delay, whose input belongs to another "
                           "time step; use schedule.method: bptt",
                           n->name, sp_method_name(p->o.method));
        if (steps >= p->o.time_steps)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: a delay of %lld steps in a network that runs for %lld time steps gives "
                           "nothing but 0; use more schedule.time_steps or a shorter delay",
                           n->name, steps, (long long)p->o.time_steps);
        if (trains && steps >= block)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: a delay of %lld steps has no gradient where schedule.truncate goes "
                           "back over %lld; use a larger schedule.truncate, or leave it out",
                           n->name, steps, block);
    }
    return SP_OK;
}
