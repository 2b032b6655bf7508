/* Network to graph: shape inference, parameters with their names and places, checks. Knows nothing of
 * devices. */
#include "graph/graph_builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/size.h"

enum { PARAM_ALIGN = 64 };
/* Of parameters, and of an activation of one sample: what is made of them, such as bytes, gradients and
 * moments, can then be counted without a check. */
static const int64_t MOST_ELEMS = (int64_t)1 << 56;

sp_status spi_fail_layer(sp_graph_builder *b, const sp_layer *l, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return SP_FAIL(b->err, SP_E_CONFIG, "%s:%d:%d: layer %s: %s", b->file, l->line, l->column, l->name, text);
}

static int add_act(sp_graph_builder *b, sp_activation a)
{
    sp_graph *g = b->g;
    sp_activation *p = sp_array_push(&g->acts, (size_t)g->n_acts, sizeof *p);
    if (!p)
        return -1;
    *p = a;
    return g->n_acts++;
}

static void fail_weights(sp_graph_builder *b, const sp_param *p)
{
    char shape[128] = "";
    for (int i = 0, used = 0; i < p->n_dims; i++)
        used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%lld", i ? " x " : "",
                         (long long)p->shape[i]);
    b->too_large = true;
    spi_fail_layer(b, b->g->nodes[p->node].layer, "%s has %s numbers, more than a network can have (2^56)",
                   p->name, shape);
}

int spi_add_param(sp_graph_builder *b, int node, sp_role role, const char *suffix, int n_dims,
                  const int64_t *shape)
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
int spi_add_node(sp_graph_builder *b, sp_node_type type, const sp_layer *l, int in, int in1,
                 sp_activation out)
{
    sp_graph *g = b->g;
    if (too_many(&out)) {
        b->too_large = true;
        spi_fail_layer(b, l,
                       "its output of %lld x %lld x %lld numbers (channels, height, width) is more than a "
                       "layer can have (2^56)",
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

sp_status spi_fail_add(sp_graph_builder *b)
{
    return b->too_large ? SP_E_CONFIG
                        : SP_FAIL(b->err, SP_E_MEMORY, "out of memory while building the network's graph");
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

static bool spikes_may_leave(const sp_graph *g, int act);

static bool takes_spikes(const sp_graph *g, const sp_node *n)
{
    if (n->type == SP_NODE_DELAY) /* which passes them on */
        return spikes_may_leave(g, n->out);
    return n->type != SP_NODE_NEURON && n->type != SP_NODE_BATCH_NORM && n->type != SP_NODE_LAYER_NORM &&
           n->type != SP_NODE_RECURRENT && n->type != SP_NODE_ACTIVATION;
}

static bool spikes_may_leave(const sp_graph *g, int act)
{
    bool all = true;
    for (int i = 0; i < g->n_nodes && all; i++) {
        const sp_node *n = &g->nodes[i];
        all = (n->in[0] != act && n->in[1] != act) || takes_spikes(g, n);
    }
    return all;
}

/* The maximum of spikes is a spike, and spikes one behind the other are spikes, also later: they remain a
 * bitmap where all that read it take one. */
static void mark_spikes(sp_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_node *pool = &g->nodes[i];
        const bool spikes =
            g->acts[pool->in[0]].bits && (pool->type == SP_NODE_POOL_MAX || pool->type == SP_NODE_DELAY ||
                                          (pool->type == SP_NODE_CONCAT && g->acts[pool->in[1]].bits));
        g->acts[pool->out].bits = g->acts[pool->out].bits || (spikes && spikes_may_leave(g, pool->out));
    }
}

/* Multiply-accumulates and neurons can be counted, by layer and together. */
static sp_status check_work(sp_graph_builder *b)
{
    sp_graph *g = b->g;
    int64_t sum = 0, neurons = 0, macs;
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_node *n = &g->nodes[i];
        const sp_activation *o = &g->acts[n->out];
        if (n->weight >= 0 &&
            (!SP_SIZE_MUL(&macs, g->params[n->weight].elems, o->h, o->w) || !sp_size_add(&sum, macs)))
            return spi_fail_layer(b, n->layer, "its multiply-accumulates, %.3g, are more than can be counted",
                                  (double)g->params[n->weight].elems * (double)o->h * (double)o->w);
        if (!sp_size_add(&neurons, sp_act_elems(o)))
            return spi_fail_layer(b, n->layer, "the network has more neurons than can be counted");
    }
    return SP_OK;
}

/* Named outputs make paths that may end anywhere. */
static sp_status check_read(sp_graph_builder *b, int logits)
{
    const sp_graph *g = b->g;
    for (int i = 1; i < g->n_acts; i++)
        if (g->acts[i].n_consumers == 0 && i != logits)
            return spi_fail_layer(b, g->nodes[g->acts[i].producer].layer,
                                  "no layer reads its output; name it in \"from\" of an add or concat layer, "
                                  "or leave it out");
    return SP_OK;
}

/* The network's last activation is one number a class: real ones, spikes or membrane potentials. */
static sp_status check_outputs(sp_graph_builder *b, int act)
{
    const sp_graph *g = b->g;
    const sp_activation *a = &g->acts[act];
    if (g->n_nodes == 0)
        return SP_FAIL(b->err, SP_E_CONFIG, "%s: the network has no layers", b->file);
    if (!a->flat && (a->h != 1 || a->w != 1))
        return SP_FAIL(b->err, SP_E_CONFIG,
                       "%s: the network must end in one output per class (a linear layer, or neurons behind "
                       "it); it ends in a map of %lldx%lldx%lld",
                       b->file, (long long)a->c, (long long)a->h, (long long)a->w);
    if (!a->needs_gradient)
        return SP_FAIL(b->err, SP_E_CONFIG, "%s: the network has no parameters to train", b->file);
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].type == SP_NODE_NEURON && g->nodes[i].layer->neuron.membrane &&
            g->nodes[i].out != act)
            return spi_fail_layer(b, g->nodes[i].layer,
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
    sp_graph_builder b = {.g = g, .file = file, .err = err};
    sp_status st = SP_OK;
    int act = add_act(&b, (sp_activation){.h = height, .w = width, .c = channels, .producer = -1});
    if (act < 0)
        SP_TRY_GOTO(spi_fail_add(&b));
    if (too_many(&g->acts[act]))
        SP_TRY_GOTO(SP_FAIL(err, SP_E_CONFIG,
                            "%s: an input of %lld x %lld x %lld numbers (channels, height, width) is more "
                            "than a network can take (2^56)",
                            file, (long long)channels, (long long)height, (long long)width));
    SP_TRY_GOTO(spi_build_layers(&b, g->network.layers, g->network.n, &act));
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
