/* Layers with weights: convolution and linear, direct kernels or lowered to matrix products.
 *
 * A linear layer is a product [N][K] x [K][O]. A lowered convolution goes over images in chunks, so that its
 * patches stay small (op/lowered.h, which tells what they cost). */
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

static void conv_ints(sp_emit *e, const conv_shape *s, int64_t images)
{
    const sp_layer *l = s->l;
    spi_int(e, "N", images), spi_int(e, "H", s->h), spi_int(e, "W", s->w), spi_int(e, "C", s->c),
        spi_int(e, "O", s->o);
    spi_int(e, "KH", l->kernel[0]), spi_int(e, "KW", l->kernel[1]);
    spi_int(e, "SH", l->stride[0]), spi_int(e, "SW", l->stride[1]);
    spi_int(e, "PH", l->padding[0]), spi_int(e, "PW", l->padding[1]);
    spi_int(e, "DH", l->dilation[0]), spi_int(e, "DW", l->dilation[1]);
    spi_int(e, "HO", s->ho), spi_int(e, "WO", s->wo);
}

/* A GEMM variant that was asked for by name must do the work: convolutions are then lowered to it. */
static bool gemm_is_forced(const sp_registry *reg)
{
    bool gemm = false;
    for (size_t i = 0; i < reg->n_forced; i++) {
        if (strncmp(reg->forced[i].op, "conv", 4) == 0)
            return false;
        gemm = gemm || strncmp(reg->forced[i].op, "gemm", 4) == 0;
    }
    return gemm;
}

static sp_status is_lowered(sp_builder *b, sp_step *step, bool *out)
{
    *out = gemm_is_forced(b->p->reg);
    return *out ? SP_OK : spi_choose(b, step, out);
}

static sp_status new_local(sp_builder *b, const sp_node *n, const char *what, int64_t elems, int *out)
{
    char name[64];
    snprintf(name, sizeof name, "%.40s %s", n->name, what);
    return spi_value_new(b, name, elems, SP_STORE_LOCAL, out);
}

typedef struct product {
    int64_t m, n, k;
    int ta, tb, acc;
    sp_operand a, b, c;
} product;

static sp_status emit_gemm(sp_builder *b, int node, const product *p)
{
    sp_emit e = spi_step(b, node, "gemm");
    spi_int(&e, "M", p->m), spi_int(&e, "N", p->n), spi_int(&e, "K", p->k);
    spi_flag(&e, "TA", p->ta), spi_flag(&e, "TB", p->tb), spi_flag(&e, "ACC", p->acc);
    if (p->ta || p->tb) { /* gradients have rows of their own in a profile */
        size_t used = strlen(e.step.label);
        snprintf(e.step.label + used, sizeof e.step.label - used, " %s", p->ta ? "TA" : "TB");
    }
    spi_bind_at(&e, "a", p->a.value, p->a.dt, p->a.at_elems);
    spi_bind_at(&e, "b", p->b.value, p->b.dt, p->b.at_elems);
    spi_bind_at(&e, "c", p->c.value, p->c.dt, p->c.at_elems);
    return spi_emit(&e);
}

static sp_status emit_bias_broadcast(sp_builder *b, int node, int64_t rows, int64_t cols, int bias, int y)
{
    sp_emit e = spi_step(b, node, "bias.broadcast");
    spi_int(&e, "M", rows), spi_int(&e, "C", cols);
    spi_bind(&e, "bias", bias), spi_bind(&e, "y", y);
    return spi_emit(&e);
}

/* Elements of one image of x: words for bits. */
static uint64_t image_elems(const conv_shape *s, bool bits)
{
    return (uint64_t)(s->h * s->w * (bits ? (s->c + 31) / 32 : s->c));
}

static int64_t chunk_images(const conv_shape *s)
{
    return sp_lowered_images(s->n, s->ho * s->wo * s->k);
}

static sp_status emit_im2col(sp_builder *b, int node, const conv_shape *s, int x, bool bits, int64_t at,
                             int64_t images, int *col)
{
    SP_TRY(new_local(b, &b->g->nodes[node], "patches", images * s->ho * s->wo * s->k, col));
    sp_emit e = spi_step(b, node, "im2col");
    conv_ints(&e, s, images);
    spi_flag(&e, "X_BITS", bits);
    spi_bind_at(&e, "x", x, 0, (uint64_t)at * image_elems(s, bits));
    spi_bind(&e, "col", *col);
    return spi_emit(&e);
}

static sp_status lowered_forward(sp_builder *b, int node, const conv_shape *s, int x, bool bits, int w,
                                 int bias, int y)
{
    int64_t rows = s->ho * s->wo, step = chunk_images(s);
    if (bias >= 0)
        SP_TRY(emit_bias_broadcast(b, node, s->n * rows, s->o, bias, y));
    for (int64_t at = 0; at < s->n; at += step) {
        int64_t images = at + step > s->n ? s->n - at : step;
        int col;
        SP_TRY(emit_im2col(b, node, s, x, bits, at, images, &col));
        product p = {.m = images * rows,
                     .n = s->o,
                     .k = s->k,
                     .acc = bias >= 0,
                     .a = {col, 0, 0},
                     .b = {w, 0, 0},
                     .c = {y, 0, (uint64_t)(at * rows * s->o)}};
        SP_TRY(emit_gemm(b, node, &p));
    }
    return SP_OK;
}

static sp_status lowered_backward_weight(sp_builder *b, int node, const conv_shape *s, int x, bool bits,
                                         int e, int g_w)
{
    int64_t rows = s->ho * s->wo, step = chunk_images(s);
    for (int64_t at = 0; at < s->n; at += step) {
        int64_t images = at + step > s->n ? s->n - at : step;
        int col;
        SP_TRY(emit_im2col(b, node, s, x, bits, at, images, &col));
        product p = {.m = s->k,
                     .n = s->o,
                     .k = images * rows,
                     .ta = 1,
                     .acc = 1,
                     .a = {col, 0, 0},
                     .b = {e, 0, (uint64_t)(at * rows * s->o)},
                     .c = {g_w, 0, 0}};
        SP_TRY(emit_gemm(b, node, &p));
    }
    return SP_OK;
}

static sp_status lowered_backward_input(sp_builder *b, int node, const conv_shape *s, int e, int w, int g_x)
{
    int64_t rows = s->ho * s->wo, step = chunk_images(s);
    for (int64_t at = 0; at < s->n; at += step) {
        int64_t images = at + step > s->n ? s->n - at : step;
        int col;
        SP_TRY(new_local(b, &b->g->nodes[node], "patch gradients", images * rows * s->k, &col));
        product p = {.m = images * rows,
                     .n = s->k,
                     .k = s->o,
                     .tb = 1,
                     .a = {e, 0, (uint64_t)(at * rows * s->o)},
                     .b = {w, 0, 0},
                     .c = {col, 0, 0}};
        SP_TRY(emit_gemm(b, node, &p));
        sp_emit m = spi_step(b, node, "col2im");
        conv_ints(&m, s, images);
        spi_bind(&m, "col", col);
        spi_bind_at(&m, "g_x", g_x, 0, (uint64_t)at * image_elems(s, false));
        SP_TRY(spi_emit(&m));
    }
    return SP_OK;
}

/* Spikes as float32 rows, for a matrix product. */
static sp_status unpack(sp_builder *b, int node, const conv_shape *s, int x, int *out)
{
    SP_TRY(new_local(b, &b->g->nodes[node], "unpacked", s->n * s->h * s->w * s->c, out));
    sp_emit e = spi_step(b, node, "spikes.unpack");
    spi_int(&e, "M", s->n * s->h * s->w), spi_int(&e, "C", s->c);
    spi_bind(&e, "x", x), spi_bind(&e, "y", *out);
    return spi_emit(&e);
}

static sp_status weight_value(sp_builder *b, int node, int *w)
{
    const sp_node *n = &b->g->nodes[node];
    if (n->standardized) {
        *w = b->w_hat[3 * node];
        return SP_OK;
    }
    return spi_param_value(b, n->weight, false, w);
}

static sp_status linear_forward(sp_builder *b, int node, const conv_shape *s, int x, bool bits, int w,
                                int bias, int y)
{
    if (bits)
        SP_TRY(unpack(b, node, s, x, &x));
    if (bias >= 0)
        SP_TRY(emit_bias_broadcast(b, node, s->n, s->o, bias, y));
    product p = {
        .m = s->n, .n = s->o, .k = s->k, .acc = bias >= 0, .a = {x, 0, 0}, .b = {w, 0, 0}, .c = {y, 0, 0}};
    return emit_gemm(b, node, &p);
}

static sp_status conv_forward(sp_builder *b, int node, const conv_shape *s, int x, bool bits, int w, int bias,
                              int y)
{
    sp_emit e = spi_step(b, node, "conv.forward");
    conv_ints(&e, s, s->n);
    spi_flag(&e, "X_BITS", bits), spi_flag(&e, "BIAS", bias >= 0);
    bool lowered;
    SP_TRY(is_lowered(b, &e.step, &lowered));
    if (lowered)
        return lowered_forward(b, node, s, x, bits, w, bias, y);
    spi_bind(&e, "x", x), spi_bind(&e, "w", w), spi_bind(&e, "y", y);
    if (bias >= 0)
        spi_bind(&e, "bias", bias);
    return spi_emit(&e);
}

sp_status spi_weights_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    conv_shape s = shape_of(b, n);
    bool bits = b->g->acts[n->in[0]].bits;
    int x = b->act[n->in[0]], w, bias = -1, y;
    SP_TRY(weight_value(b, node, &w));
    if (n->bias >= 0)
        SP_TRY(spi_param_value(b, n->bias, false, &bias));
    SP_TRY(new_local(b, n, "output", s.n * s.ho * s.wo * s.o, &y));
    b->act[n->out] = y;
    return n->type == SP_NODE_LINEAR ? linear_forward(b, node, &s, x, bits, w, bias, y)
                                     : conv_forward(b, node, &s, x, bits, w, bias, y);
}

sp_status spi_trace(sp_builder *b, int node, int64_t rows, int64_t cols, const sp_operand *x, bool bits,
                    int *out)
{
    if (b->trace[node] < 0)
        SP_TRY(spi_value_new(b, "presynaptic trace", rows * cols, SP_STORE_STATE, &b->trace[node]));
    sp_emit e = spi_step(b, node, "trace.update");
    spi_int(&e, "M", rows), spi_int(&e, "C", cols);
    spi_flag(&e, "X_BITS", bits);
    spi_float(&e, "decay", b->trace_decay[node]);
    spi_bind_at(&e, "x", x->value, x->dt, x->at_elems), spi_bind(&e, "trace", b->trace[node]);
    SP_TRY(spi_emit(&e));
    *out = b->trace[node];
    return SP_OK;
}

/* OTTT: the trace stands for the input in the weight gradient, except for the layer that reads the raw input.
 */
static sp_status update_trace(sp_builder *b, int node, const conv_shape *s, int *x, bool *bits)
{
    const sp_node *n = &b->g->nodes[node];
    if (!b->traces || !b->g->acts[n->in[0]].needs_gradient)
        return SP_OK;
    SP_TRY(spi_trace(b, node, s->n * s->h * s->w, s->c, &(sp_operand){*x, 0, 0}, *bits, x));
    *bits = false;
    return SP_OK;
}

static sp_status backward_weight(sp_builder *b, int node, const conv_shape *s, int x, bool bits, int e,
                                 int g_w)
{
    if (b->g->nodes[node].type == SP_NODE_LINEAR) {
        if (bits)
            SP_TRY(unpack(b, node, s, x, &x));
        product p = {.m = s->k,
                     .n = s->o,
                     .k = s->n,
                     .ta = 1,
                     .acc = 1,
                     .a = {x, 0, 0},
                     .b = {e, 0, 0},
                     .c = {g_w, 0, 0}};
        return emit_gemm(b, node, &p);
    }
    sp_emit m = spi_step(b, node, "conv.backward_weight");
    conv_ints(&m, s, s->n);
    spi_flag(&m, "X_BITS", bits);
    bool lowered;
    SP_TRY(is_lowered(b, &m.step, &lowered));
    if (lowered)
        return lowered_backward_weight(b, node, s, x, bits, e, g_w);
    spi_bind(&m, "x", x), spi_bind(&m, "e", e), spi_bind(&m, "g_w", g_w);
    return spi_emit(&m);
}

static sp_status backward_input(sp_builder *b, int node, const conv_shape *s, int e, int w, int g_x)
{
    if (b->g->nodes[node].type == SP_NODE_LINEAR) {
        product p = {
            .m = s->n, .n = s->k, .k = s->o, .tb = 1, .a = {e, 0, 0}, .b = {w, 0, 0}, .c = {g_x, 0, 0}};
        return emit_gemm(b, node, &p);
    }
    sp_emit m = spi_step(b, node, "conv.backward_input");
    conv_ints(&m, s, s->n);
    bool lowered;
    SP_TRY(is_lowered(b, &m.step, &lowered));
    if (lowered)
        return lowered_backward_input(b, node, s, e, w, g_x);
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

sp_status spi_weights_backward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    conv_shape s = shape_of(b, n);
    int e = b->gradient[n->out], x = b->act[n->in[0]], g_w, g_x;
    bool bits = b->g->acts[n->in[0]].bits;
    if (n->standardized)
        g_w = b->g_w_hat[node];
    else
        SP_TRY(spi_param_value(b, n->weight, true, &g_w));
    SP_TRY(update_trace(b, node, &s, &x, &bits));
    SP_TRY(backward_weight(b, node, &s, x, bits, e, g_w));
    if (n->bias >= 0 && !offset_is_removed(b, n->out)) {
        int g_bias;
        SP_TRY(spi_param_value(b, n->bias, true, &g_bias));
        sp_emit m = spi_step(b, node, "bias.backward");
        spi_int(&m, "M", s.n * s.ho * s.wo), spi_int(&m, "C", s.o);
        spi_bind(&m, "e", e), spi_bind(&m, "g_bias", g_bias);
        SP_TRY(spi_emit(&m));
    }
    if (!b->g->acts[n->in[0]].needs_gradient)
        return SP_OK;
    int w;
    SP_TRY(weight_value(b, node, &w));
    SP_TRY(new_local(b, n, "input gradient", s.n * s.h * s.w * s.c, &g_x));
    SP_TRY(backward_input(b, node, &s, e, w, g_x));
    return spi_add_gradient(b, node, n->in[0], g_x);
}
