/* Network to graph: shape inference, parameters with their names and places, checks. Knows nothing of
 * devices. */
#include "graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/suggest.h"

enum { MAX_SIDE = 1 << 16, PARAM_ALIGN = 64 };
/* Of parameters, and of an activation of one sample: what is made of them, such as bytes, gradients and
 * moments, can then be counted without a check. */
static const int64_t MOST_ELEMS = (int64_t)1 << 56;

/* What a layer gives, for those that name it. */
typedef struct named_output {
    const sp_layer *layer;
    int act;
    bool flat;
} named_output;

typedef struct builder {
    sp_graph *g;
    const char *file;
    sp_error *err;
    bool too_large; /* the error is set */
    named_output *named;
    int n_named;
} builder;

static sp_status fail_at(builder *b, const sp_layer *l, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static sp_status fail_at(builder *b, const sp_layer *l, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return SP_FAIL(b->err, SP_E_CONFIG, "%s:%d:%d: layer %s: %s", b->file, l->line, l->column, l->name, text);
}

static int add_act(builder *b, sp_activation a)
{
    sp_graph *g = b->g;
    sp_activation *p = sp_array_push(&g->acts, (size_t)g->n_acts, sizeof *p);
    if (!p)
        return -1;
    *p = a;
    return g->n_acts++;
}

static void fail_weights(builder *b, const sp_param *p)
{
    char shape[128] = "";
    for (int i = 0, used = 0; i < p->n_dims; i++)
        used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%lld", i ? " x " : "",
                         (long long)p->shape[i]);
    b->too_large = true;
    fail_at(b, b->g->nodes[p->node].layer, "%s has %s numbers, more than a network can have (2^56)", p->name,
            shape);
}

static int add_param(builder *b, int node, sp_role role, const char *suffix, int n_dims, const int64_t *shape)
{
    sp_graph *g = b->g;
    sp_param *p = sp_array_push(&g->params, (size_t)g->n_params, sizeof *p);
    if (!p)
        return -1;
    snprintf(p->name, sizeof p->name, "%.95s.%s", g->nodes[node].name, suffix);
    p->role = role;
    p->node = node;
    p->n_dims = n_dims;
    for (int i = 0; i < n_dims; i++)
        p->shape[i] = shape[i];
    p->trainable = role != SP_ROLE_RUNNING_MEAN && role != SP_ROLE_RUNNING_VAR;
    int64_t *range = p->trainable ? &g->param_elems : &g->buffer_elems;
    p->at = *range;
    if (!sp_size_product(shape, (size_t)n_dims, &p->elems) || p->elems > MOST_ELEMS - *range) {
        fail_weights(b, p);
        return -1;
    }
    *range += (p->elems + PARAM_ALIGN - 1) / PARAM_ALIGN * PARAM_ALIGN;
    if (p->trainable)
        g->n_trainable += p->elems;
    return g->n_params++;
}

static bool too_many(const sp_activation *a)
{
    int64_t elems;
    return !SP_SIZE_MUL(&elems, a->c, a->h, a->w) || elems > MOST_ELEMS;
}

/* A new node reading activation `in` (and in1 for a residual), writing an activation of the given shape. */
static int add_node(builder *b, sp_node_type type, const sp_layer *l, int in, int in1, sp_activation out)
{
    sp_graph *g = b->g;
    if (too_many(&out)) {
        b->too_large = true;
        fail_at(b, l,
                "its output of %lld x %lld x %lld numbers (channels, height, width) is more than a layer can "
                "have (2^56)",
                (long long)out.c, (long long)out.h, (long long)out.w);
        return -1;
    }
    sp_node *p = sp_array_push(&g->nodes, (size_t)g->n_nodes, sizeof *p);
    if (!p)
        return -1;
    out.producer = g->n_nodes;
    out.n_consumers = 0;
    out.needs_gradient = g->acts[in].needs_gradient || (in1 >= 0 && g->acts[in1].needs_gradient);
    int act = add_act(b, out);
    if (act < 0)
        return -1;
    *p = (sp_node){.type = type,
                   .layer = l,
                   .in = {in, in1},
                   .out = act,
                   .weight = -1,
                   .bias = -1,
                   .gain = -1,
                   .gamma = -1,
                   .beta = -1,
                   .skip_gain = -1,
                   .running_mean = -1,
                   .running_var = -1,
                   .w = -1,
                   .threshold = -1,
                   .alpha = 1};
    snprintf(p->name, sizeof p->name, "%s", l->name);
    g->acts[in].n_consumers++;
    if (in1 >= 0)
        g->acts[in1].n_consumers++;
    return g->n_nodes++;
}

static sp_status fail_add(builder *b)
{
    return b->too_large ? SP_E_CONFIG
                        : SP_FAIL(b->err, SP_E_MEMORY, "out of memory while building the network's graph");
}

/* Output side of a window, or <= 0. */
static int64_t window_out(int64_t in, int64_t pad, int64_t dilation, int64_t k, int64_t stride)
{
    int64_t span = in + 2 * pad - dilation * (k - 1) - 1;
    return span < 0 ? 0 : span / stride + 1;
}

static sp_status build_conv(builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    if (a.flat)
        return fail_at(b, l, "a convolution cannot follow flatten");
    if (l->in && l->in != a.c)
        return fail_at(b, l, "\"in\" is %lld, but its input has %lld channels", (long long)l->in,
                       (long long)a.c);
    const bool line = l->type == SP_LAYER_CONV1D;
    if (line && a.h != 1)
        return fail_at(b, l,
                       "its input is %lldx%lldx%lld (channels x height x width); conv1d needs a height of 1",
                       (long long)a.c, (long long)a.h, (long long)a.w);
    if (a.c % l->groups || l->out % l->groups)
        return fail_at(b, l, "\"groups\" is %lld, which must divide its %lld input and %lld output channels",
                       (long long)l->groups, (long long)a.c, (long long)l->out);
    sp_activation o = {.h = window_out(a.h, l->padding[0], l->dilation[0], l->kernel[0], l->stride[0]),
                       .w = window_out(a.w, l->padding[1], l->dilation[1], l->kernel[1], l->stride[1]),
                       .c = l->out};
    if (o.h < 1 || o.w < 1 || o.h > MAX_SIDE || o.w > MAX_SIDE)
        return fail_at(b, l, "a %lldx%lld kernel does not fit its %lldx%lld input", (long long)l->kernel[0],
                       (long long)l->kernel[1], (long long)a.h, (long long)a.w);
    int n = add_node(b, SP_NODE_CONV, l, *act, -1, o);
    if (n < 0)
        return fail_add(b);
    int64_t shape[4] = {l->out, a.c / l->groups, line ? l->kernel[1] : l->kernel[0], l->kernel[1]};
    int w = add_param(b, n, SP_ROLE_WEIGHT, "weight", line ? 3 : 4, shape);
    int bias = l->bias ? add_param(b, n, SP_ROLE_BIAS, "bias", 1, &l->out) : -1;
    bool ws = l->type == SP_LAYER_WS_CONV;
    int64_t gain_shape[4] = {l->out, 1, 1, 1};
    int gain = ws ? add_param(b, n, SP_ROLE_GAIN, "gain", 4, gain_shape) : -1;
    if (w < 0 || (l->bias && bias < 0) || (ws && gain < 0))
        return fail_add(b);
    sp_param *p = &g->params[w];
    p->o = l->out, p->c = shape[1], p->kh = l->kernel[0], p->kw = l->kernel[1];
    sp_node *node = &g->nodes[n];
    node->weight = w, node->bias = bias, node->gain = gain, node->standardized = ws;
    g->acts[node->out].needs_gradient = true;
    *act = node->out;
    return SP_OK;
}

static sp_status build_linear(builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    int64_t in = sp_act_elems(&a);
    if (!a.flat && (a.h > 1 || a.w > 1))
        return fail_at(b, l, "its input is %lldx%lldx%lld; put a flatten layer before it", (long long)a.c,
                       (long long)a.h, (long long)a.w);
    if (l->in && l->in != in)
        return fail_at(b, l, "\"in\" is %lld, but its input has %lld values", (long long)l->in,
                       (long long)in);
    int n = add_node(b, SP_NODE_LINEAR, l, *act, -1, (sp_activation){.h = 1, .w = 1, .c = l->out});
    if (n < 0)
        return fail_add(b);
    int64_t shape[2] = {l->out, in};
    int w = add_param(b, n, SP_ROLE_WEIGHT, "weight", 2, shape);
    int bias = l->bias ? add_param(b, n, SP_ROLE_BIAS, "bias", 1, &l->out) : -1;
    if (w < 0 || (l->bias && bias < 0))
        return fail_add(b);
    sp_param *p = &g->params[w];
    p->o = l->out, p->c = a.c, p->kh = a.h, p->kw = a.w; /* flatten is c,h,w in files and h,w,c here */
    g->nodes[n].weight = w, g->nodes[n].bias = bias;
    g->acts[g->nodes[n].out].needs_gradient = true;
    *act = g->nodes[n].out;
    return SP_OK;
}

static sp_status check_norm_input(builder *b, const sp_layer *l, const sp_activation *a, const char *what)
{
    if (l->channels && l->channels != a->c)
        return fail_at(b, l, "\"channels\" is %lld, but its input has %lld", (long long)l->channels,
                       (long long)a->c);
    if (a->bits)
        return fail_at(b, l, "%s of spikes is not supported; put it before the neuron", what);
    if (a->flat && (a->h > 1 || a->w > 1))
        return fail_at(b, l, "%s after flatten is not supported; put it before flatten", what);
    return SP_OK;
}

static sp_status build_layer_norm(builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    const bool rms = l->type == SP_LAYER_RMS_NORM;
    SP_TRY(check_norm_input(b, l, &a, rms ? "RMS norm" : "layer norm"));
    if (!rms && (l->each_place ? a.c : sp_act_elems(&a)) < 2)
        return fail_at(b, l, "layer norm of one value is always its bias; leave it out");
    int n = add_node(b, SP_NODE_LAYER_NORM, l, *act, -1, a);
    if (n < 0)
        return fail_add(b);
    int gamma = add_param(b, n, SP_ROLE_GAMMA, "weight", 1, &a.c);
    int beta = rms ? -1 : add_param(b, n, SP_ROLE_BETA, "bias", 1, &a.c);
    if (gamma < 0 || (!rms && beta < 0))
        return fail_add(b);
    g->nodes[n].gamma = gamma, g->nodes[n].beta = beta;
    *act = g->nodes[n].out;
    g->acts[*act].needs_gradient = true;
    return SP_OK;
}

static sp_status build_batch_norm(builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    SP_TRY(check_norm_input(b, l, &a, "batch norm"));
    int n = add_node(b, SP_NODE_BATCH_NORM, l, *act, -1, a);
    if (n < 0)
        return fail_add(b);
    int gamma = add_param(b, n, SP_ROLE_GAMMA, "weight", 1, &a.c),
        beta = add_param(b, n, SP_ROLE_BETA, "bias", 1, &a.c);
    int mean = add_param(b, n, SP_ROLE_RUNNING_MEAN, "running_mean", 1, &a.c);
    int var = add_param(b, n, SP_ROLE_RUNNING_VAR, "running_var", 1, &a.c);
    if (gamma < 0 || beta < 0 || mean < 0 || var < 0)
        return fail_add(b);
    sp_node *node = &g->nodes[n];
    node->td = l->type == SP_LAYER_TD_BATCH_NORM;
    node->gamma = gamma, node->beta = beta, node->running_mean = mean, node->running_var = var;
    g->acts[node->out].needs_gradient = true;
    *act = node->out;
    return SP_OK;
}

static sp_status build_pool(builder *b, const sp_layer *l, int *act)
{
    sp_activation a = b->g->acts[*act], o = {.c = a.c};
    sp_node_type type = SP_NODE_POOL_ADAPTIVE;
    if (a.flat)
        return fail_at(b, l, "pooling cannot follow flatten");
    if (l->type == SP_LAYER_ADAPTIVE_AVG_POOL) {
        o.h = l->output[0], o.w = l->output[1];
    } else {
        type = l->type == SP_LAYER_MAX_POOL ? SP_NODE_POOL_MAX : SP_NODE_POOL_AVG;
        if (l->padding[0] * 2 > l->kernel[0] || l->padding[1] * 2 > l->kernel[1])
            return fail_at(b, l, "padding may be at most half of the kernel");
        o.h = window_out(a.h, l->padding[0], 1, l->kernel[0], l->stride[0]);
        o.w = window_out(a.w, l->padding[1], 1, l->kernel[1], l->stride[1]);
        if (o.h < 1 || o.w < 1)
            return fail_at(b, l, "a %lldx%lld window does not fit its %lldx%lld input",
                           (long long)l->kernel[0], (long long)l->kernel[1], (long long)a.h, (long long)a.w);
    }
    int n = add_node(b, type, l, *act, -1, o);
    if (n < 0)
        return fail_add(b);
    *act = b->g->nodes[n].out;
    return SP_OK;
}

static sp_status build_simple(builder *b, const sp_layer *l, sp_node_type type, bool bits, int *act)
{
    sp_activation o = b->g->acts[*act];
    o.bits = bits;
    int n = add_node(b, type, l, *act, -1, o);
    if (n < 0)
        return fail_add(b);
    *act = b->g->nodes[n].out;
    return SP_OK;
}

/* The dense matrix that a recurrent neuron's spikes of the step before go through: a node of its own before
 * the neuron. */
static sp_status build_recurrent(builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    if (a.h > 1 || a.w > 1)
        return fail_at(b, l,
                       "\"recurrent\" needs one number a neuron, its input is %lldx%lldx%lld; put a linear "
                       "layer before it",
                       (long long)a.c, (long long)a.h, (long long)a.w);
    int n = add_node(b, SP_NODE_RECURRENT, l, *act, -1, a);
    if (n < 0)
        return fail_add(b);
    snprintf(g->nodes[n].name, sizeof g->nodes[n].name, "%.95s.recurrent", l->name);
    int64_t shape[2] = {a.c, a.c};
    int w = add_param(b, n, SP_ROLE_WEIGHT, "weight", 2, shape);
    if (w < 0)
        return fail_add(b);
    sp_param *p = &g->params[w];
    p->o = p->c = a.c, p->kh = p->kw = 1;
    g->nodes[n].weight = w;
    g->acts[g->nodes[n].out].needs_gradient = true;
    *act = g->nodes[n].out;
    return SP_OK;
}

static sp_status build_neuron(builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    if (g->acts[*act].bits)
        return fail_at(b, l, "a neuron directly after a neuron; put a layer with weights between them");
    if (l->neuron.recurrent)
        SP_TRY(build_recurrent(b, l, act));
    SP_TRY(build_simple(b, l, SP_NODE_NEURON, !l->neuron.membrane, act));
    const int n = g->acts[*act].producer;
    if (l->neuron.learn)
        g->nodes[n].w = add_param(b, n, SP_ROLE_NEURON, "w", 0, NULL);
    if (l->neuron.learn_v_th)
        g->nodes[n].threshold = add_param(b, n, SP_ROLE_THRESHOLD, "threshold", 0, NULL);
    if ((l->neuron.learn && g->nodes[n].w < 0) || (l->neuron.learn_v_th && g->nodes[n].threshold < 0))
        return fail_add(b);
    g->acts[*act].needs_gradient |= l->neuron.learn || l->neuron.learn_v_th;
    return SP_OK;
}

static sp_status build_layers(builder *b, const sp_layer *layers, size_t n, int *act);

static sp_status build_residual(builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    int input = *act, p = input;
    SP_TRY(build_layers(b, l->pre, l->n_pre, &p));
    int branch = p, identity = l->identity_input ? input : p;
    SP_TRY(build_layers(b, l->branch, l->n_branch, &branch));
    if (l->has_shortcut) {
        identity = p;
        SP_TRY(build_layers(b, l->shortcut, l->n_shortcut, &identity));
    }
    const sp_activation *x = &g->acts[branch], *y = &g->acts[identity];
    if (x->h != y->h || x->w != y->w || x->c != y->c)
        return fail_at(b, l,
                       "the branch gives %lldx%lldx%lld and the identity path %lldx%lldx%lld (channels x "
                       "height x width)",
                       (long long)x->c, (long long)x->h, (long long)x->w, (long long)y->c, (long long)y->h,
                       (long long)y->w);
    sp_activation o = *x;
    o.bits = false; /* a sum of spikes is a count */
    o.flat = x->flat || y->flat;
    int n = add_node(b, SP_NODE_RESIDUAL, l, branch, identity, o);
    if (n < 0)
        return fail_add(b);
    g->nodes[n].alpha = l->alpha;
    if (l->skip_gain) {
        int gain = add_param(b, n, SP_ROLE_SKIP_GAIN, "skip_gain", 0, NULL);
        if (gain < 0)
            return fail_add(b);
        g->nodes[n].skip_gain = gain;
        g->acts[g->nodes[n].out].needs_gradient = true;
    }
    *act = g->nodes[n].out;
    return SP_OK;
}

static sp_status name_output(builder *b, const sp_layer *l, int act)
{
    for (int i = 0; l->label[0] && i < b->n_named; i++)
        if (strcmp(b->named[i].layer->label, l->label) == 0)
            return fail_at(b, l, "label \"%s\" is that of layer %s already", l->label,
                           b->named[i].layer->name);
    named_output *added = sp_array_push(&b->named, (size_t)b->n_named, sizeof *added);
    if (!added)
        return fail_add(b);
    *added = (named_output){l, act, b->g->acts[act].flat};
    b->n_named++;
    return SP_OK;
}

/* The output that `name` stands for, in the shape that it has there. */
static sp_status find_output(builder *b, const sp_layer *l, const char *name, int *act)
{
    *act = 0;
    if (strcmp(name, "input") == 0) {
        b->g->acts[0].flat = false;
        return SP_OK;
    }
    for (int i = 0; i < b->n_named; i++) {
        const named_output *o = &b->named[i];
        if (strcmp(o->layer->name, name) && strcmp(o->layer->label, name))
            continue;
        *act = o->act;
        b->g->acts[o->act].flat = o->flat;
        return SP_OK;
    }
    const char **known = sp_alloc_array((size_t)b->n_named + 1, sizeof *known);
    for (int i = 0; known && i < b->n_named; i++)
        known[i] = b->named[i].layer->label[0] ? b->named[i].layer->label : b->named[i].layer->name;
    const char *near = known ? sp_suggest(name, known, (size_t)b->n_named) : NULL;
    sp_free(known);
    return fail_at(b, l, "no layer before it is called \"%s\"%s%s%s", name, near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
}

/* The sum of two activations, or one behind the other along the channels. */
static sp_status join_two(builder *b, const sp_layer *l, int first, int second, int *out)
{
    const sp_activation *x = &b->g->acts[first], *y = &b->g->acts[second];
    const bool add = l->type == SP_LAYER_ADD;
    if (x->h != y->h || x->w != y->w || (add && x->c != y->c))
        return fail_at(b, l, "it cannot join %lldx%lldx%lld and %lldx%lldx%lld (channels x height x width)",
                       (long long)x->c, (long long)x->h, (long long)x->w, (long long)y->c, (long long)y->h,
                       (long long)y->w);
    sp_activation o = *x;
    o.bits = false; /* a sum of spikes is a count; for those that stay bits, see mark_spikes */
    o.flat = x->flat || y->flat;
    o.c = add ? x->c : x->c + y->c;
    int n = add_node(b, add ? SP_NODE_RESIDUAL : SP_NODE_CONCAT, l, first, second, o);
    if (n < 0)
        return fail_add(b);
    *out = b->g->nodes[n].out;
    return SP_OK;
}

static sp_status build_join(builder *b, const sp_layer *l, int *act)
{
    int next;
    SP_TRY(find_output(b, l, l->from[0], act));
    for (size_t i = 1; i < l->n_from; i++) {
        SP_TRY(find_output(b, l, l->from[i], &next));
        SP_TRY(join_two(b, l, *act, next, act));
        sp_node *n = &b->g->nodes[b->g->n_nodes - 1];
        if (i + 1 < l->n_from)
            snprintf(n->name, sizeof n->name, "%s.%zu", l->name, i);
    }
    return SP_OK;
}

static sp_status build_layer(builder *b, const sp_layer *l, int *act)
{
    switch (l->type) {
    case SP_LAYER_CONV:
    case SP_LAYER_CONV1D:
    case SP_LAYER_WS_CONV: return build_conv(b, l, act);
    case SP_LAYER_LINEAR: return build_linear(b, l, act);
    case SP_LAYER_BATCH_NORM:
    case SP_LAYER_TD_BATCH_NORM: return build_batch_norm(b, l, act);
    case SP_LAYER_LAYER_NORM:
    case SP_LAYER_RMS_NORM: return build_layer_norm(b, l, act);
    case SP_LAYER_AVG_POOL:
    case SP_LAYER_MAX_POOL:
    case SP_LAYER_ADAPTIVE_AVG_POOL: return build_pool(b, l, act);
    case SP_LAYER_SCALE: return build_simple(b, l, SP_NODE_SCALE, false, act);
    case SP_LAYER_DROPOUT: return l->p > 0 ? build_simple(b, l, SP_NODE_DROPOUT, false, act) : SP_OK;
    case SP_LAYER_RESIDUAL: return build_residual(b, l, act);
    case SP_LAYER_ADD:
    case SP_LAYER_CONCAT: return build_join(b, l, act);
    case SP_LAYER_LIF: return build_neuron(b, l, act);
    case SP_LAYER_FLATTEN: b->g->acts[*act].flat = true; return SP_OK;
    }
    return fail_at(b, l, "unknown layer type %d", (int)l->type);
}

static sp_status build_layers(builder *b, const sp_layer *layers, size_t n, int *act)
{
    for (size_t i = 0; i < n; i++) {
        SP_TRY(build_layer(b, &layers[i], act));
        SP_TRY(name_output(b, &layers[i], *act));
    }
    return SP_OK;
}

/* A batch norm read only by a neuron is applied inside the neuron's kernel. */
static void mark_fused(sp_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_node *n = &g->nodes[i];
        if (n->type != SP_NODE_NEURON)
            continue;
        const sp_activation *a = &g->acts[n->in[0]];
        if (a->producer >= 0 && g->nodes[a->producer].type == SP_NODE_BATCH_NORM && a->n_consumers == 1)
            g->nodes[a->producer].fused = true;
    }
}

/* Whether a scale of this activation can be folded into everything that reads it: into the gain of
 * standardised weights, also behind averages and other scales. */
static bool can_fold_scale(const sp_graph *g, int act)
{
    bool read = false;
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_node *n = &g->nodes[i];
        if (n->in[0] != act && n->in[1] != act)
            continue;
        read = true;
        bool linear =
            n->type == SP_NODE_POOL_AVG || n->type == SP_NODE_POOL_ADAPTIVE || n->type == SP_NODE_SCALE;
        if (!n->standardized && !(linear && can_fold_scale(g, n->out)))
            return false;
    }
    return read && act != g->logits;
}

/* Scales in front of weight-standardised layers are folded into those layers' gain, so that their input
 * remains a spike bitmap. */
static void fold_scales(sp_graph *g)
{
    for (int i = 0; i < g->n_acts; i++)
        g->acts[i].factor = 1.0;
    for (int i = 0; i < g->n_nodes; i++) {
        sp_node *n = &g->nodes[i];
        const sp_activation *in = &g->acts[n->in[0]];
        sp_activation *out = &g->acts[n->out];
        if (n->type == SP_NODE_SCALE && can_fold_scale(g, n->out)) {
            n->scale_folded = true;
            out->bits = in->bits;
            out->factor = in->factor * n->layer->factor;
        } else if (n->type == SP_NODE_POOL_AVG || n->type == SP_NODE_POOL_ADAPTIVE) {
            out->factor = in->factor;
        }
    }
}

static bool takes_spikes(const sp_node *n)
{
    return n->type != SP_NODE_NEURON && n->type != SP_NODE_BATCH_NORM && n->type != SP_NODE_LAYER_NORM &&
           n->type != SP_NODE_RECURRENT;
}

/* The maximum of spikes is a spike, and spikes one behind the other are spikes: they remain a bitmap where
 * all that read it take one. */
static void mark_spikes(sp_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_node *pool = &g->nodes[i];
        bool bits =
            g->acts[pool->in[0]].bits &&
            (pool->type == SP_NODE_POOL_MAX || (pool->type == SP_NODE_CONCAT && g->acts[pool->in[1]].bits));
        for (int k = 0; k < g->n_nodes && bits; k++) {
            const sp_node *n = &g->nodes[k];
            bits = (n->in[0] != pool->out && n->in[1] != pool->out) || takes_spikes(n);
        }
        g->acts[pool->out].bits = g->acts[pool->out].bits || bits;
    }
}

/* Multiply-accumulates and neurons can be counted, by layer and together. */
static sp_status check_work(builder *b)
{
    sp_graph *g = b->g;
    int64_t sum = 0, neurons = 0, macs;
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_node *n = &g->nodes[i];
        const sp_activation *o = &g->acts[n->out];
        if (n->weight >= 0 &&
            (!SP_SIZE_MUL(&macs, g->params[n->weight].elems, o->h, o->w) || !sp_size_add(&sum, macs)))
            return fail_at(b, n->layer, "its multiply-accumulates, %.3g, are more than can be counted",
                           (double)g->params[n->weight].elems * (double)o->h * (double)o->w);
        if (!sp_size_add(&neurons, sp_act_elems(o)))
            return fail_at(b, n->layer, "the network has more neurons than can be counted");
    }
    return SP_OK;
}

/* Named outputs make paths that may end anywhere. */
static sp_status check_read(builder *b, int logits)
{
    const sp_graph *g = b->g;
    for (int i = 1; i < g->n_acts; i++)
        if (g->acts[i].n_consumers == 0 && i != logits)
            return fail_at(b, g->nodes[g->acts[i].producer].layer,
                           "no layer reads its output; name it in \"from\" of an add or concat layer, or "
                           "leave "
                           "it out");
    return SP_OK;
}

/* The network's last activation is one number a class: real ones, spikes or membrane potentials. */
static sp_status check_outputs(builder *b, int act)
{
    const sp_graph *g = b->g;
    const sp_activation *a = &g->acts[act];
    if (g->n_nodes == 0)
        return SP_FAIL(b->err, SP_E_CONFIG, "%s: the network has no layers", b->file);
    if (!a->flat && (a->h != 1 || a->w != 1))
        return SP_FAIL(b->err, SP_E_CONFIG,
                       "%s: the network must end in one output per class (a linear layer, or neurons behind "
                       "it); it "
                       "ends in a map of %lldx%lldx%lld",
                       b->file, (long long)a->c, (long long)a->h, (long long)a->w);
    if (!a->needs_gradient)
        return SP_FAIL(b->err, SP_E_CONFIG, "%s: the network has no parameters to train", b->file);
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].type == SP_NODE_NEURON && g->nodes[i].layer->neuron.membrane &&
            g->nodes[i].out != act)
            return fail_at(b, g->nodes[i].layer,
                           "output: membrane is for the last layer of the network; what follows needs "
                           "spikes");
    return SP_OK;
}

bool sp_node_fires(const sp_node *n)
{
    return n->type == SP_NODE_NEURON && !n->layer->neuron.membrane;
}

sp_status sp_graph_create(sp_network *net, const char *file, int64_t channels, int64_t height, int64_t width,
                          sp_graph **out, sp_error *err)
{
    sp_graph *g = sp_alloc(sizeof *g);
    if (!g) {
        sp_network_free(net);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while building the network's graph");
    }
    g->network = *net;
    memset(net, 0, sizeof *net);
    builder b = {.g = g, .file = file, .err = err};
    sp_status st = SP_OK;
    int act = add_act(&b, (sp_activation){.h = height, .w = width, .c = channels, .producer = -1});
    if (act < 0)
        SP_TRY_GOTO(fail_add(&b));
    if (too_many(&g->acts[act]))
        SP_TRY_GOTO(SP_FAIL(err, SP_E_CONFIG,
                            "%s: an input of %lld x %lld x %lld numbers (channels, height, width) is more "
                            "than "
                            "a network can take (2^56)",
                            file, (long long)channels, (long long)height, (long long)width));
    SP_TRY_GOTO(build_layers(&b, g->network.layers, g->network.n, &act));
    SP_TRY_GOTO(check_outputs(&b, act));
    SP_TRY_GOTO(check_read(&b, act));
    g->logits = act;
    g->classes = sp_act_elems(&g->acts[act]);
    SP_TRY_GOTO(check_work(&b));
    mark_fused(g);
    mark_spikes(g);
    fold_scales(g);
    *out = g;
    sp_free(b.named);
    return SP_OK;
done:
    sp_free(b.named);
    sp_graph_destroy(&g);
    return st;
}

void sp_graph_destroy(sp_graph **pg)
{
    if (!pg || !*pg)
        return;
    sp_graph *g = *pg;
    sp_network_free(&g->network);
    sp_free(g->acts);
    sp_free(g->nodes);
    sp_free(g->params);
    sp_free(g);
    *pg = NULL;
}

int64_t sp_act_elems(const sp_activation *a)
{
    return a->h * a->w * a->c;
}

bool sp_graph_is_last_weight(const sp_graph *g, int node)
{
    while (++node < g->n_nodes)
        if (g->nodes[node].weight >= 0)
            return false;
    return true;
}

int64_t sp_graph_macs(const sp_graph *g, int node)
{
    const sp_node *n = &g->nodes[node];
    if (n->weight < 0)
        return 0;
    const sp_activation *o = &g->acts[n->out];
    return n->type == SP_NODE_CONV ? g->params[n->weight].elems * o->h * o->w : g->params[n->weight].elems;
}

int64_t sp_graph_neurons(const sp_graph *g)
{
    int64_t sum = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].type == SP_NODE_NEURON)
            sum += sp_act_elems(&g->acts[g->nodes[i].out]);
    return sum;
}
