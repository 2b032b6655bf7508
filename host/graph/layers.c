/* What each layer type adds to the graph: nodes, parameters, and the shape of its output. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"
#include "base/suggest.h"
#include "graph/graph_builder.h"
#include "graph/layer_names.h"

enum { MAX_SIDE = 1 << 16 };

/* Output side of a window, or <= 0. */
static int64_t window_out(int64_t in, int64_t pad, int64_t dilation, int64_t k, int64_t stride)
{
    int64_t span = in + 2 * pad - dilation * (k - 1) - 1;
    return span < 0 ? 0 : span / stride + 1;
}

static sp_status build_conv(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    if (a.flat)
        return spi_fail_layer(b, l, "a convolution cannot follow flatten");
    if (l->in && l->in != a.c)
        return spi_fail_layer(b, l, "\"in\" is %lld, but its input has %lld channels", (long long)l->in,
                              (long long)a.c);
    const bool line = l->type == SP_LAYER_CONV1D;
    if (line && a.h != 1)
        return spi_fail_layer(b, l,
                              "its input is %lldx%lldx%lld (channels x height x width); conv1d needs a "
                              "height of 1",
                              (long long)a.c, (long long)a.h, (long long)a.w);
    if (a.c % l->groups || l->out % l->groups)
        return spi_fail_layer(b, l,
                              "\"groups\" is %lld, which must divide its %lld input and %lld output channels",
                              (long long)l->groups, (long long)a.c, (long long)l->out);
    sp_activation o = {.h = window_out(a.h, l->padding[0], l->dilation[0], l->kernel[0], l->stride[0]),
                       .w = window_out(a.w, l->padding[1], l->dilation[1], l->kernel[1], l->stride[1]),
                       .c = l->out};
    if (o.h < 1 || o.w < 1 || o.h > MAX_SIDE || o.w > MAX_SIDE)
        return spi_fail_layer(b, l, "a %lldx%lld kernel does not fit its %lldx%lld input",
                              (long long)l->kernel[0], (long long)l->kernel[1], (long long)a.h,
                              (long long)a.w);
    int n = spi_add_node(b, SP_NODE_CONV, l, *act, -1, o);
    if (n < 0)
        return spi_fail_add(b);
    int64_t shape[4] = {l->out, a.c / l->groups, line ? l->kernel[1] : l->kernel[0], l->kernel[1]};
    int w = spi_add_param(b, n, SP_ROLE_WEIGHT, "weight", line ? 3 : 4, shape);
    int bias = l->bias ? spi_add_param(b, n, SP_ROLE_BIAS, "bias", 1, &l->out) : -1;
    bool ws = l->type == SP_LAYER_WS_CONV;
    int64_t gain_shape[4] = {l->out, 1, 1, 1};
    int gain = ws ? spi_add_param(b, n, SP_ROLE_GAIN, "gain", 4, gain_shape) : -1;
    if (w < 0 || (l->bias && bias < 0) || (ws && gain < 0))
        return spi_fail_add(b);
    sp_param *p = &g->params[w];
    p->o = l->out, p->c = shape[1], p->kh = l->kernel[0], p->kw = l->kernel[1];
    sp_node *node = &g->nodes[n];
    node->weight = w, node->bias = bias, node->gain = gain, node->standardized = ws;
    g->acts[node->out].needs_gradient = true;
    *act = node->out;
    return SP_OK;
}

static sp_status build_linear(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    int64_t in = sp_act_elems(&a);
    if (!a.flat && (a.h > 1 || a.w > 1))
        return spi_fail_layer(b, l, "its input is %lldx%lldx%lld; put a flatten layer before it",
                              (long long)a.c, (long long)a.h, (long long)a.w);
    if (l->in && l->in != in)
        return spi_fail_layer(b, l, "\"in\" is %lld, but its input has %lld values", (long long)l->in,
                              (long long)in);
    int n = spi_add_node(b, SP_NODE_LINEAR, l, *act, -1, (sp_activation){.h = 1, .w = 1, .c = l->out});
    if (n < 0)
        return spi_fail_add(b);
    int64_t shape[2] = {l->out, in};
    int w = spi_add_param(b, n, SP_ROLE_WEIGHT, "weight", 2, shape);
    int bias = l->bias ? spi_add_param(b, n, SP_ROLE_BIAS, "bias", 1, &l->out) : -1;
    if (w < 0 || (l->bias && bias < 0))
        return spi_fail_add(b);
    sp_param *p = &g->params[w];
    p->o = l->out, p->c = a.c, p->kh = a.h, p->kw = a.w; /* flatten is c,h,w in files and h,w,c here */
    g->nodes[n].weight = w, g->nodes[n].bias = bias;
    g->acts[g->nodes[n].out].needs_gradient = true;
    *act = g->nodes[n].out;
    return SP_OK;
}

static sp_status check_norm_input(sp_graph_builder *b, const sp_layer *l, const sp_activation *a,
                                  const char *what)
{
    if (l->channels && l->channels != a->c)
        return spi_fail_layer(b, l, "\"channels\" is %lld, but its input has %lld", (long long)l->channels,
                              (long long)a->c);
    if (a->bits)
        return spi_fail_layer(b, l, "%s of spikes is not supported; put it before the neuron", what);
    if (a->flat && (a->h > 1 || a->w > 1))
        return spi_fail_layer(b, l, "%s after flatten is not supported; put it before flatten", what);
    return SP_OK;
}

static sp_status build_layer_norm(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    const bool rms = l->type == SP_LAYER_RMS_NORM;
    SP_TRY(check_norm_input(b, l, &a, rms ? "RMS norm" : "layer norm"));
    if (!rms && (l->each_place ? a.c : sp_act_elems(&a)) < 2)
        return spi_fail_layer(b, l, "layer norm of one value is always its bias; leave it out");
    int n = spi_add_node(b, SP_NODE_LAYER_NORM, l, *act, -1, a);
    if (n < 0)
        return spi_fail_add(b);
    int gamma = spi_add_param(b, n, SP_ROLE_GAMMA, "weight", 1, &a.c);
    int beta = rms ? -1 : spi_add_param(b, n, SP_ROLE_BETA, "bias", 1, &a.c);
    if (gamma < 0 || (!rms && beta < 0))
        return spi_fail_add(b);
    g->nodes[n].gamma = gamma, g->nodes[n].beta = beta;
    *act = g->nodes[n].out;
    g->acts[*act].needs_gradient = true;
    return SP_OK;
}

static sp_status build_batch_norm(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    SP_TRY(check_norm_input(b, l, &a, "batch norm"));
    int n = spi_add_node(b, SP_NODE_BATCH_NORM, l, *act, -1, a);
    if (n < 0)
        return spi_fail_add(b);
    int gamma = spi_add_param(b, n, SP_ROLE_GAMMA, "weight", 1, &a.c),
        beta = spi_add_param(b, n, SP_ROLE_BETA, "bias", 1, &a.c);
    int mean = spi_add_param(b, n, SP_ROLE_RUNNING_MEAN, "running_mean", 1, &a.c);
    int var = spi_add_param(b, n, SP_ROLE_RUNNING_VAR, "running_var", 1, &a.c);
    if (gamma < 0 || beta < 0 || mean < 0 || var < 0)
        return spi_fail_add(b);
    sp_node *node = &g->nodes[n];
    node->td = l->type == SP_LAYER_TD_BATCH_NORM;
    node->gamma = gamma, node->beta = beta, node->running_mean = mean, node->running_var = var;
    g->acts[node->out].needs_gradient = true;
    *act = node->out;
    return SP_OK;
}

static sp_status build_pool(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_activation a = b->g->acts[*act], o = {.c = a.c};
    sp_node_type type = SP_NODE_POOL_ADAPTIVE;
    if (a.flat)
        return spi_fail_layer(b, l, "pooling cannot follow flatten");
    if (l->type == SP_LAYER_ADAPTIVE_AVG_POOL) {
        o.h = l->output[0], o.w = l->output[1];
    } else {
        type = l->type == SP_LAYER_MAX_POOL ? SP_NODE_POOL_MAX : SP_NODE_POOL_AVG;
        if (l->padding[0] * 2 > l->kernel[0] || l->padding[1] * 2 > l->kernel[1])
            return spi_fail_layer(b, l, "padding may be at most half of the kernel");
        o.h = window_out(a.h, l->padding[0], 1, l->kernel[0], l->stride[0]);
        o.w = window_out(a.w, l->padding[1], 1, l->kernel[1], l->stride[1]);
        if (o.h < 1 || o.w < 1)
            return spi_fail_layer(b, l, "a %lldx%lld window does not fit its %lldx%lld input",
                                  (long long)l->kernel[0], (long long)l->kernel[1], (long long)a.h,
                                  (long long)a.w);
    }
    int n = spi_add_node(b, type, l, *act, -1, o);
    if (n < 0)
        return spi_fail_add(b);
    *act = b->g->nodes[n].out;
    return SP_OK;
}

static sp_status build_simple(sp_graph_builder *b, const sp_layer *l, sp_node_type type, bool bits, int *act)
{
    sp_activation o = b->g->acts[*act];
    o.bits = bits;
    int n = spi_add_node(b, type, l, *act, -1, o);
    if (n < 0)
        return spi_fail_add(b);
    *act = b->g->nodes[n].out;
    return SP_OK;
}

/* The dense matrix that a recurrent neuron's spikes of the step before go through: a node of its own before
 * the neuron. */
static sp_status build_recurrent(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    sp_activation a = g->acts[*act];
    if (a.h > 1 || a.w > 1)
        return spi_fail_layer(b, l,
                              "\"recurrent\" needs one number a neuron, its input is %lldx%lldx%lld; put a "
                              "linear layer before it",
                              (long long)a.c, (long long)a.h, (long long)a.w);
    int n = spi_add_node(b, SP_NODE_RECURRENT, l, *act, -1, a);
    if (n < 0)
        return spi_fail_add(b);
    snprintf(g->nodes[n].name, sizeof g->nodes[n].name, "%.95s.recurrent", l->name);
    int64_t shape[2] = {a.c, a.c};
    int w = spi_add_param(b, n, SP_ROLE_WEIGHT, "weight", 2, shape);
    if (w < 0)
        return spi_fail_add(b);
    sp_param *p = &g->params[w];
    p->o = p->c = a.c, p->kh = p->kw = 1;
    g->nodes[n].weight = w;
    g->acts[g->nodes[n].out].needs_gradient = true;
    *act = g->nodes[n].out;
    return SP_OK;
}

static sp_status build_neuron(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    if (g->acts[*act].bits)
        return spi_fail_layer(b, l,
                              "a neuron directly after a neuron; put a layer with weights between them");
    if (l->neuron.recurrent)
        SP_TRY(build_recurrent(b, l, act));
    SP_TRY(build_simple(b, l, SP_NODE_NEURON, !l->neuron.membrane, act));
    const int n = g->acts[*act].producer;
    const int64_t channels = g->acts[*act].c;
    const int dims = l->neuron.per_channel ? 1 : 0;
    if (l->neuron.learn)
        g->nodes[n].w = spi_add_param(b, n, SP_ROLE_NEURON, "w", dims, &channels);
    if (l->neuron.learn_v_th)
        g->nodes[n].threshold = spi_add_param(b, n, SP_ROLE_THRESHOLD, "threshold", dims, &channels);
    if ((l->neuron.learn && g->nodes[n].w < 0) || (l->neuron.learn_v_th && g->nodes[n].threshold < 0))
        return spi_fail_add(b);
    g->acts[*act].needs_gradient |= l->neuron.learn || l->neuron.learn_v_th;
    return SP_OK;
}

static sp_status build_synapse(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    if (l->neuron.learn && l->neuron.tau <= 1)
        return spi_fail_layer(b, l, "a tau that is learnt starts above 1");
    if (l->neuron.per_channel && !l->neuron.learn)
        return spi_fail_layer(b, l, "per_channel is about a tau that is learnt; write learn: true");
    SP_TRY(build_simple(b, l, SP_NODE_SYNAPSE, false, act));
    if (!l->neuron.learn)
        return SP_OK;
    const int n = g->acts[*act].producer;
    g->nodes[n].w = spi_add_param(b, n, SP_ROLE_NEURON, "w", l->neuron.per_channel ? 1 : 0, &g->acts[*act].c);
    if (g->nodes[n].w < 0)
        return spi_fail_add(b);
    g->acts[*act].needs_gradient = true;
    return SP_OK;
}

static sp_status build_activation(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    if (g->acts[*act].bits)
        return spi_fail_layer(b, l, "%s of spikes, which are 0 or 1; put a layer with weights between them",
                              sp_layer_fields[l->type].what);
    SP_TRY(build_simple(b, l, SP_NODE_ACTIVATION, false, act));
    if (l->type == SP_LAYER_RELU)
        return SP_OK;
    const int n = g->acts[*act].producer;
    g->nodes[n].threshold = spi_add_param(b, n, SP_ROLE_THRESHOLD, "threshold", 0, NULL);
    if (g->nodes[n].threshold < 0)
        return spi_fail_add(b);
    g->acts[*act].needs_gradient = true;
    return SP_OK;
}

static sp_status build_residual(sp_graph_builder *b, const sp_layer *l, int *act)
{
    sp_graph *g = b->g;
    int input = *act, p = input;
    SP_TRY(spi_build_layers(b, l->pre, l->n_pre, &p));
    int branch = p, identity = l->identity_input ? input : p;
    SP_TRY(spi_build_layers(b, l->branch, l->n_branch, &branch));
    if (l->has_shortcut) {
        identity = p;
        SP_TRY(spi_build_layers(b, l->shortcut, l->n_shortcut, &identity));
    }
    const sp_activation *x = &g->acts[branch], *y = &g->acts[identity];
    if (x->h != y->h || x->w != y->w || x->c != y->c)
        return spi_fail_layer(b, l,
                              "the branch gives %lldx%lldx%lld and the identity path %lldx%lldx%lld "
                              "(channels x height x width)",
                              (long long)x->c, (long long)x->h, (long long)x->w, (long long)y->c,
                              (long long)y->h, (long long)y->w);
    sp_activation o = *x;
    o.bits = false; /* a sum of spikes is a count */
    o.flat = x->flat || y->flat;
    int n = spi_add_node(b, SP_NODE_RESIDUAL, l, branch, identity, o);
    if (n < 0)
        return spi_fail_add(b);
    g->nodes[n].alpha = l->alpha;
    if (l->skip_gain) {
        int gain = spi_add_param(b, n, SP_ROLE_SKIP_GAIN, "skip_gain", 0, NULL);
        if (gain < 0)
            return spi_fail_add(b);
        g->nodes[n].skip_gain = gain;
        g->acts[g->nodes[n].out].needs_gradient = true;
    }
    *act = g->nodes[n].out;
    return SP_OK;
}

static sp_status name_output(sp_graph_builder *b, const sp_layer *l, int act)
{
    for (int i = 0; l->label[0] && i < b->n_named; i++)
        if (strcmp(b->named[i].layer->label, l->label) == 0)
            return spi_fail_layer(b, l, "label \"%s\" is that of layer %s already", l->label,
                                  b->named[i].layer->name);
    named_output *added = sp_array_push(&b->named, (size_t)b->n_named, sizeof *added);
    if (!added)
        return spi_fail_add(b);
    *added = (named_output){l, act, b->g->acts[act].flat};
    b->n_named++;
    return SP_OK;
}

/* The output that `name` stands for, in the shape that it has there. */
static sp_status find_output(sp_graph_builder *b, const sp_layer *l, const char *name, int *act)
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
    return spi_fail_layer(b, l, "no layer before it is called \"%s\"%s%s%s", name,
                          near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* The sum of two activations, or one behind the other along the channels. */
static sp_status join_two(sp_graph_builder *b, const sp_layer *l, int first, int second, int *out)
{
    const sp_activation *x = &b->g->acts[first], *y = &b->g->acts[second];
    const bool add = l->type == SP_LAYER_ADD;
    if (x->h != y->h || x->w != y->w || (add && x->c != y->c))
        return spi_fail_layer(b, l,
                              "it cannot join %lldx%lldx%lld and %lldx%lldx%lld (channels x height x width)",
                              (long long)x->c, (long long)x->h, (long long)x->w, (long long)y->c,
                              (long long)y->h, (long long)y->w);
    sp_activation o = *x;
    o.bits = false; /* a sum of spikes is a count; for those that stay bits, see mark_spikes */
    o.flat = x->flat || y->flat;
    o.c = add ? x->c : x->c + y->c;
    int n = spi_add_node(b, add ? SP_NODE_RESIDUAL : SP_NODE_CONCAT, l, first, second, o);
    if (n < 0)
        return spi_fail_add(b);
    *out = b->g->nodes[n].out;
    return SP_OK;
}

static sp_status build_join(sp_graph_builder *b, const sp_layer *l, int *act)
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

static sp_status build_layer(sp_graph_builder *b, const sp_layer *l, int *act)
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
    case SP_LAYER_RELU:
    case SP_LAYER_QCFS: return build_activation(b, l, act);
    case SP_LAYER_DELAY: return build_simple(b, l, SP_NODE_DELAY, b->g->acts[*act].bits, act);
    case SP_LAYER_SYNAPSE: return build_synapse(b, l, act);
    case SP_LAYER_FLATTEN: b->g->acts[*act].flat = true; return SP_OK;
    }
    return spi_fail_layer(b, l, "unknown layer type %d", (int)l->type);
}

sp_status spi_build_layers(sp_graph_builder *b, const sp_layer *layers, size_t n, int *act)
{
    for (size_t i = 0; i < n; i++) {
        SP_TRY(build_layer(b, &layers[i], act));
        SP_TRY(name_output(b, &layers[i], *act));
    }
    return SP_OK;
}
