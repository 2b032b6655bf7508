/* Recurrent layers: a dense matrix takes the spikes that a neuron layer fired at the time step before into
 * its input current, y[t] = x[t] + W s[t-1], s = 0 before the first step. SLTT and its kin take s[t-1] as a
 * constant: W has its gradient at every step, the path through time is dropped. BPTT hands dL/ds[t-1] to the
 * step before. */
#include <stdio.h>

#include "base/error.h"
#include "op/lowered.h"
#include "plan/builder.h"

/* One place more than the steps that run forward before they are gone back over: that of the step before the
 * first of them. */
sp_status spi_recurrent_spikes(sp_builder *b, int neuron, int *out)
{
    const sp_activation *a = &b->g->acts[b->g->nodes[neuron].out];
    if (b->node[neuron].spikes < 0) {
        SP_TRY(spi_node_tensor(b, neuron, "spikes", spi_rows(b, a) * ((a->c + 31) / 32),
                               b->history ? SP_LIFETIME_HISTORY : SP_LIFETIME_PLAN, &b->node[neuron].spikes));
        b->p->tensors[b->node[neuron].spikes].slots = b->history ? (int)sp_plan_block(b->p) + 1 : 2;
    }
    *out = b->node[neuron].spikes;
    return SP_OK;
}

/* In the segment before the first time step, so of step -1: no spikes. */
sp_status spi_recurrent_begin(sp_builder *b)
{
    for (int i = 0; i < b->g->n_nodes; i++) {
        int s;
        if (b->g->nodes[i].type != SP_NODE_RECURRENT)
            continue;
        SP_TRY(spi_recurrent_spikes(b, i + 1, &s));
        SP_TRY(spi_clear(b, i, "spikes", s));
    }
    return SP_OK;
}

/* s[t-1] as float32. */
static sp_status unpack_before(sp_builder *b, int node, int64_t rows, int64_t cols, int *out)
{
    int s;
    SP_TRY(spi_recurrent_spikes(b, node + 1, &s));
    SP_TRY(spi_node_tensor(b, node, "spikes of the step before", rows * cols, SP_LIFETIME_SEGMENT, out));
    sp_emit e = spi_step(b, node, "spikes.unpack");
    spi_int(&e, "M", rows), spi_int(&e, "C", cols);
    spi_bind_at(&e, "x", s, -1, 0), spi_bind(&e, "y", *out);
    return spi_emit(&e);
}

sp_status spi_recurrent_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int64_t rows = spi_rows(b, a), c = a->c;
    int neuron = node + 1, s, w, r, y;
    if (b->temporal && b->node[neuron].g_spikes < 0)
        SP_TRY(spi_node_tensor(b, node, "gradient of the step before", rows * c, SP_LIFETIME_PLAN,
                               &b->node[neuron].g_spikes));
    if (b->temporal) /* the last step of a block has nothing after it */
        SP_TRY(spi_clear(b, node, "gradient of spikes", b->node[neuron].g_spikes));
    SP_TRY(unpack_before(b, node, rows, c, &s));
    SP_TRY(spi_param_tensor(b, n->weight, false, &w));
    SP_TRY(spi_node_tensor(b, node, "product", rows * c, SP_LIFETIME_SEGMENT, &r));
    sp_op_call call = sp_gemm_call(rows, c, c, 0, 0, 0);
    SP_TRY(spi_gemm(b, node, &call, whole(s), whole(w), whole(r)));
    SP_TRY(spi_node_tensor(b, node, "output", rows * c, SP_LIFETIME_SEGMENT, &y));
    sp_emit e = spi_step(b, node, "add");
    spi_int(&e, "M", rows), spi_int(&e, "C", c);
    spi_bind(&e, "a", r), spi_bind(&e, "b", b->act[n->in[0]].tensor), spi_bind(&e, "y", y);
    b->act[n->out].tensor = y;
    SP_TRY(spi_emit(&e));
    return spi_keep_trace(b, node, rows, c, &(sp_operand){b->node[neuron].spikes, -1, 0}, true);
}

/* g is both dL/dy and dL/dx. */
sp_status spi_recurrent_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int64_t rows = spi_rows(b, a), c = a->c;
    int neuron = node + 1, x, g_w, w;
    if (b->traces_ahead)
        x = b->node[node].trace_kept;
    else if (b->traces)
        SP_TRY(spi_trace(b, node, rows, c, &(sp_operand){b->node[neuron].spikes, -1, 0}, true, &x));
    else
        SP_TRY(unpack_before(b, node, rows, c, &x));
    SP_TRY(spi_param_tensor(b, n->weight, true, &g_w));
    sp_op_call call = sp_gemm_call(c, c, rows, 1, 0, 1);
    SP_TRY(spi_gemm(b, node, &call, whole(x), whole(g), whole(g_w)));
    if (b->temporal) {
        SP_TRY(spi_param_tensor(b, n->weight, false, &w));
        call = sp_gemm_call(rows, c, c, 0, 1, 0);
        SP_TRY(spi_gemm(b, node, &call, whole(g), whole(w), whole(b->node[neuron].g_spikes)));
    }
    return spi_needs_gradient(b, n->in[0]) ? spi_add_gradient(b, node, n->in[0], g) : SP_OK;
}

sp_status spi_recurrent_gradient(sp_builder *b, int neuron, int *g)
{
    const sp_activation *a = &b->g->acts[b->g->nodes[neuron].out];
    int sum;
    if (!b->temporal)
        return SP_OK;
    SP_TRY(spi_node_tensor(b, neuron, "gradient of the spikes", spi_rows(b, a) * a->c, SP_LIFETIME_SEGMENT,
                           &sum));
    sp_emit e = spi_step(b, neuron, "add");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_bind(&e, "a", *g), spi_bind(&e, "b", b->node[neuron].g_spikes), spi_bind(&e, "y", sum);
    SP_TRY(spi_emit(&e));
    *g = sum;
    return SP_OK;
}
