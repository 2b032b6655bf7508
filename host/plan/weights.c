/* Layers with weights: convolution and linear. A linear layer is a product [N][K] x [K][O]. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "op/lowered.h"
#include "plan/builder.h"

typedef struct conv_shape {
    int64_t n, h, w, c, o, ho, wo, k; /* k: kh*kw*c */
    const sp_layer *l;
} conv_shape;

static conv_shape shape_of(const sp_builder *b, const sp_node *n)
{
    const sp_activation *x = &b->g->acts[n->in[0]], *y = &b->g->acts[n->out];
    return (conv_shape){b->p->o.batch, x->h, x->w, x->c,
                        y->c,          y->h, y->w, b->g->params[n->weight].elems / y->c,
                        n->layer};
}

static const char *family(const conv_shape *s)
{
    return s->l->groups > 1 ? "group_conv" : "conv";
}

/* A pass of a convolution; a linear layer is one whose kernel covers the whole input. */
static sp_emit conv_step(sp_builder *b, int node, const char *ops, const char *pass, const conv_shape *s)
{
    static const sp_layer linear = {.stride = {1, 1}, .dilation = {1, 1}};
    const sp_node *n = &b->g->nodes[node];
    const sp_param *w = &b->g->params[n->weight];
    const sp_layer *l = n->type == SP_NODE_LINEAR ? &linear : s->l;
    char op[64];
    snprintf(op, sizeof op, "%s.%s", ops, pass);
    sp_emit step = spi_step(b, node, op), *e = &step;
    if (l->groups > 1)
        spi_int(e, "G", l->groups);
    spi_int(e, "N", s->n), spi_int(e, "H", s->h), spi_int(e, "W", s->w), spi_int(e, "C", s->c),
        spi_int(e, "O", s->o);
    spi_int(e, "KH", w->kh), spi_int(e, "KW", w->kw);
    spi_int(e, "SH", l->stride[0]), spi_int(e, "SW", l->stride[1]);
    spi_int(e, "PH", l->padding[0]), spi_int(e, "PW", l->padding[1]);
    spi_int(e, "DH", l->dilation[0]), spi_int(e, "DW", l->dilation[1]);
    spi_int(e, "HO", s->ho), spi_int(e, "WO", s->wo);
    return step;
}

static sp_status emit_bias_broadcast(sp_builder *b, int node, int64_t rows, int64_t cols, int bias, int y)
{
    sp_emit e = spi_step(b, node, "bias.broadcast");
    spi_int(&e, "M", rows), spi_int(&e, "C", cols);
    spi_bind(&e, "bias", bias), spi_bind(&e, "y", y);
    return spi_emit(&e);
}

/* The weights as float32. Binary ones are unpacked in front of each step that reads them so: that takes a
 * small part of the step's time, and the memory of one layer. */
static sp_status weight_value(sp_builder *b, int node, int *w)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_param *p = &b->g->params[n->weight];
    *w = b->node[node].w_hat[0];
    if (*w >= 0)
        return SP_OK;
    if (!sp_model_is_packed(b->p->model, p))
        return spi_param_tensor(b, n->weight, false, w);
    SP_TRY(spi_node_tensor(b, node, "weights as float32", p->elems, SP_LIFETIME_SEGMENT, w));
    sp_emit e = spi_step(b, node, "binary.unpack");
    spi_int(&e, "M", p->kh * p->kw), spi_int(&e, "C", p->c), spi_int(&e, "O", p->o);
    SP_TRY(spi_bind_param(&e, "w", n->weight, false));
    spi_bind(&e, "y", *w);
    return spi_emit(&e);
}

/* What the passes of the layer read in place of its weights; the gradient is that of the weights themselves
 * (straight through). */
sp_status spi_quantise_weights(sp_builder *b, int node)
{
    const sp_param *w = &b->g->params[b->g->nodes[node].weight];
    const bool by_channel = b->p->o.channel_scales && !sp_graph_is_last_weight(b->g, node);
    const int64_t cols = by_channel ? b->g->acts[b->g->nodes[node].out].c : 1;
    int *quantised = &b->node[node].w_hat[0], *largest = &b->node[node].w_hat[1];
    SP_TRY(spi_tensor_new(b, "quantised weight", w->elems, SP_LIFETIME_PLAN, quantised));
    SP_TRY(spi_tensor_new(b, "largest weight", cols, SP_LIFETIME_PLAN, largest));
    sp_emit m = spi_step(b, node, by_channel ? "quantise.column_largest" : "quantise.largest"),
            e = spi_step(b, node, "quantise.apply");
    spi_int(&m, "M", w->elems / cols), spi_int(&e, "M", w->elems / cols), spi_int(&e, "C", cols);
    if (by_channel)
        spi_int(&m, "C", cols);
    spi_int(&e, "bits", b->p->o.weight_bits);
    SP_TRY(spi_bind_param(&m, "x", b->g->nodes[node].weight, false));
    SP_TRY(spi_bind_param(&e, "x", b->g->nodes[node].weight, false));
    spi_bind(&m, "largest", *largest), spi_bind(&e, "largest", *largest), spi_bind(&e, "y", *quantised);
    SP_TRY(spi_emit(&m));
    return spi_emit(&e);
}

static sp_status linear_forward(sp_builder *b, int node, const conv_shape *s, int x, bool bits, int w,
                                int bias, int y)
{
    if (bits)
        SP_TRY(spi_unpack(b, node, b->g->nodes[node].in[0], &x));
    if (bias >= 0)
        SP_TRY(emit_bias_broadcast(b, node, s->n, s->o, bias, y));
    sp_op_call call = sp_gemm_call(s->n, s->o, s->k, 0, 0, bias >= 0);
    return spi_gemm(b, node, &call, whole(x), whole(w), whole(y));
}

/* counts: spikes and binary weights, by population counts. */
static sp_status conv_forward(sp_builder *b, int node, const conv_shape *s, int x, bool bits, bool counts,
                              int w, int bias, int y)
{
    sp_emit e = conv_step(b, node, counts ? "binary_conv" : family(s), "forward", s);
    if (!counts)
        spi_flag(&e, "X_BITS", bits);
    spi_flag(&e, "BIAS", bias >= 0);
    spi_bind(&e, "x", x), spi_bind(&e, "w", w), spi_bind(&e, "y", y);
    if (bias >= 0)
        spi_bind(&e, "bias", bias);
    return spi_emit(&e);
}

/* Spikes of fewer channels leave most of a word empty, and sums of weights take less time. */
static bool is_counted(const sp_builder *b, const sp_node *n, const conv_shape *s)
{
    const bool grouped = n->type == SP_NODE_CONV && s->l->groups > 1;
    return spi_is_bits(b, n->in[0]) && !grouped && s->c >= 32 &&
           sp_model_is_packed(b->p->model, &b->g->params[n->weight]);
}

sp_status spi_weights_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    conv_shape s = shape_of(b, n);
    const bool bits = spi_is_bits(b, n->in[0]), counts = is_counted(b, n, &s);
    int x = b->act[n->in[0]].tensor, w, bias = -1, y;
    SP_TRY(counts ? spi_param_tensor(b, n->weight, false, &w) : weight_value(b, node, &w));
    if (n->bias >= 0)
        SP_TRY(spi_param_tensor(b, n->bias, false, &bias));
    SP_TRY(spi_node_tensor(b, node, "output", s.n * s.ho * s.wo * s.o, SP_LIFETIME_SEGMENT, &y));
    b->act[n->out].tensor = y;
    SP_TRY(n->type == SP_NODE_LINEAR && !counts ? linear_forward(b, node, &s, x, bits, w, bias, y)
                                                : conv_forward(b, node, &s, x, bits, counts, w, bias, y));
    return b->g->acts[n->in[0]].needs_gradient
               ? spi_keep_trace(b, node, s.n * s.h * s.w, s.c, &(sp_operand){x, 0, 0}, bits)
               : SP_OK;
}

sp_status spi_trace(sp_builder *b, int node, int64_t rows, int64_t cols, const sp_operand *x, bool bits,
                    int *out)
{
    if (b->node[node].trace < 0)
        SP_TRY(spi_tensor_new(b, "presynaptic trace", rows * cols, SP_LIFETIME_PLAN, &b->node[node].trace));
    sp_emit e = spi_step(b, node, "trace.update");
    spi_int(&e, "M", rows), spi_int(&e, "C", cols);
    spi_flag(&e, "X_BITS", bits);
    spi_float(&e, "decay", b->node[node].trace_decay);
    spi_bind_at(&e, "x", x->tensor, x->dt, x->at_elems), spi_bind(&e, "trace", b->node[node].trace);
    SP_TRY(spi_emit(&e));
    *out = b->node[node].trace;
    return SP_OK;
}

sp_status spi_keep_trace(sp_builder *b, int node, int64_t rows, int64_t cols, const sp_operand *x, bool bits)
{
    int trace;
    if (!b->traces_ahead)
        return SP_OK;
    SP_TRY(b->dots ? spi_trace_value(b, b->g->nodes[node].in[0], &trace)
                   : spi_trace(b, node, rows, cols, x, bits, &trace));
    b->node[node].trace_kept = trace;
    return !b->history ? SP_OK
                       : spi_scaled(b, node, "trace of the step", trace, rows, cols, 1.0, SP_LIFETIME_SEGMENT,
                                    &b->node[node].trace_kept);
}

/* OTTT, NDOT: the trace stands for the input in the weight gradient, except for the layer that reads the raw
 * input. */
static sp_status update_trace(sp_builder *b, int node, const conv_shape *s, int *x, bool *bits)
{
    const sp_node *n = &b->g->nodes[node];
    if (!b->traces || !b->g->acts[n->in[0]].needs_gradient)
        return SP_OK;
    if (b->traces_ahead)
        *x = b->node[node].trace_kept;
    else
        SP_TRY(b->dots ? spi_trace_value(b, n->in[0], x)
                       : spi_trace(b, node, s->n * s->h * s->w, s->c, &(sp_operand){*x, 0, 0}, *bits, x));
    *bits = false;
    return SP_OK;
}

static sp_status backward_weight(sp_builder *b, int node, const conv_shape *s, int x, bool bits, int e,
                                 int g_w)
{
    if (b->g->nodes[node].type == SP_NODE_LINEAR) {
        if (bits)
            SP_TRY(spi_unpack(b, node, b->g->nodes[node].in[0], &x));
        sp_op_call call = sp_gemm_call(s->k, s->o, s->n, 1, 0, 1);
        return spi_gemm(b, node, &call, whole(x), whole(e), whole(g_w));
    }
    sp_emit m = conv_step(b, node, family(s), "backward_weight", s);
    spi_flag(&m, "X_BITS", bits);
    spi_bind(&m, "x", x), spi_bind(&m, "e", e), spi_bind(&m, "g_w", g_w);
    return spi_emit(&m);
}

static sp_status backward_input(sp_builder *b, int node, const conv_shape *s, int e, int w, int g_x)
{
    if (b->g->nodes[node].type == SP_NODE_LINEAR) {
        sp_op_call call = sp_gemm_call(s->n, s->k, s->o, 0, 1, 0);
        return spi_gemm(b, node, &call, whole(e), whole(w), whole(g_x));
    }
    sp_emit m = conv_step(b, node, family(s), "backward_input", s);
    spi_bind(&m, "e", e), spi_bind(&m, "w", w), spi_bind(&m, "g_x", g_x);
    return spi_emit(&m);
}

/* Whether the same number added to all rows of a channel changes nothing: only batch norms read the
 * activation, themselves or behind sums of residuals, and they take the mean of the mini-batch away. */
static bool offset_is_removed(const sp_builder *b, int act)
{
    bool read = false;
    for (int i = 0; i < b->g->n_nodes; i++) {
        const sp_node *n = &b->g->nodes[i];
        bool sum = n->type == SP_NODE_RESIDUAL;
        if (n->in[0] != act && !(sum && n->in[1] == act))
            continue;
        read = true;
        if (n->type != SP_NODE_BATCH_NORM && !(sum && offset_is_removed(b, n->out)))
            return false;
    }
    return read && act != b->g->logits;
}

/* Whether one weight gradient stands for those of all time steps: sum over t of x^T e[t] = x^T (sum over t of
 * e[t]) where x does not change. A convolution would need more memory for its sum than it saves time. */
static bool sums_errors(const sp_builder *b, int node)
{
    const sp_plan_options *o = &b->p->o;
    return b->training && b->g->nodes[node].type == SP_NODE_LINEAR && spi_node_is_static(b, node) &&
           o->time_steps > 1 && !o->online_update && !b->rates && b->p->n_stages == 1;
}

sp_status spi_sum_errors_begin(sp_builder *b, int node)
{
    const sp_activation *y = &b->g->acts[b->g->nodes[node].out];
    static const char what[] = "sum of error signals";
    if (!sums_errors(b, node))
        return SP_OK;
    SP_TRY(spi_node_tensor(b, node, what, spi_rows(b, y) * y->c, SP_LIFETIME_PLAN, &b->node[node].e_sum));
    return spi_clear(b, node, what, b->node[node].e_sum);
}

static sp_status sum_errors(sp_builder *b, int node, int e)
{
    const sp_activation *y = &b->g->acts[b->g->nodes[node].out];
    sp_emit m = spi_step(b, node, "add");
    spi_int(&m, "M", spi_rows(b, y)), spi_int(&m, "C", y->c);
    spi_bind(&m, "a", b->node[node].e_sum), spi_bind(&m, "b", e), spi_bind(&m, "y", b->node[node].e_sum);
    return spi_emit(&m);
}

/* Adds the gradients of weight and bias that the error signals e give. */
static sp_status parameter_gradients(sp_builder *b, int node, const conv_shape *s, int x, bool bits, int e)
{
    const sp_node *n = &b->g->nodes[node];
    int g_w = b->node[node].g_w_hat, g_bias;
    if (!n->standardized)
        SP_TRY(spi_param_tensor(b, n->weight, true, &g_w));
    SP_TRY(update_trace(b, node, s, &x, &bits));
    SP_TRY(backward_weight(b, node, s, x, bits, e, g_w));
    if (n->bias < 0 || offset_is_removed(b, n->out))
        return SP_OK;
    SP_TRY(spi_param_tensor(b, n->bias, true, &g_bias));
    sp_emit m = spi_step(b, node, "bias.backward");
    spi_int(&m, "M", s->n * s->ho * s->wo), spi_int(&m, "C", s->o);
    spi_bind(&m, "e", e), spi_bind(&m, "g_bias", g_bias);
    return spi_emit(&m);
}

sp_status spi_sum_errors_end(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    if (!sums_errors(b, node))
        return SP_OK;
    conv_shape s = shape_of(b, n);
    return parameter_gradients(b, node, &s, b->act[n->in[0]].tensor, spi_is_bits(b, n->in[0]),
                               b->node[node].e_sum);
}

sp_status spi_weights_backward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    conv_shape s = shape_of(b, n);
    int e = b->act[n->out].gradient, g_x;
    SP_TRY(sums_errors(b, node)
               ? sum_errors(b, node, e)
               : parameter_gradients(b, node, &s, b->act[n->in[0]].tensor, spi_is_bits(b, n->in[0]), e));
    if (!spi_needs_gradient(b, n->in[0]))
        return SP_OK;
    int w;
    SP_TRY(weight_value(b, node, &w));
    SP_TRY(spi_node_tensor(b, node, "input gradient", s.n * s.h * s.w * s.c, SP_LIFETIME_SEGMENT, &g_x));
    SP_TRY(backward_input(b, node, &s, e, w, g_x));
    return spi_add_gradient(b, node, n->in[0], g_x);
}
