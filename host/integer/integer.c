/* From a graph to layers of integers: which layers there are, and what stands between them. */
#include "integer/integer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/fold.h"

void sp_integer_range_add(sp_integer_range *r, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int e;
        if (!isfinite(x[i]) || x[i] == 0)
            continue;
        int32_t mantissa = (int32_t)ldexpf(frexpf(x[i], &e), 24); /* exact: a float has 24 bits */
        for (e -= 24; mantissa % 2 == 0; mantissa /= 2)
            e++;
        r->largest = fmaxf(r->largest, fabsf(x[i]));
        r->negative = r->negative || x[i] < 0;
        r->granule = !r->any || e < r->granule ? e : r->granule;
        r->any = true;
    }
}

/* The least power of two with which the largest input has its bits, or the granule of all inputs where that
 * is more: spikes and counts stay what they are. */
static void choose_input(sp_integer *net, const sp_integer_options *o)
{
    const sp_integer_range *r = &o->input;
    const double most = ldexp(1.0, o->input_bits - 1) - 1;
    int e = -60;
    while ((double)r->largest > most * ldexp(1.0, e))
        e++;
    net->input_exponent = r->any && r->granule > e ? r->granule : e;
    const double code = rint((double)r->largest * ldexp(1.0, -net->input_exponent));
    int32_t high = 1;
    while ((double)high < code)
        high = 2 * high + 1;
    net->input_high = high;
    net->input_low = r->negative ? -high - 1 : 0;
}

size_t sp_integer_encode(const sp_integer *net, const float *x, size_t n, int32_t *code)
{
    size_t saturated = 0;
    for (size_t i = 0; i < n; i++) {
        const double c = rint((double)x[i] * ldexp(1.0, -net->input_exponent));
        const bool below = c < net->input_low;
        const bool above = c > net->input_high;
        saturated += below || above;
        code[i] = below ? net->input_low : above ? net->input_high : (int32_t)c;
    }
    return saturated;
}

const char *sp_integer_name(const sp_integer *net, int layer)
{
    const int node = net->layers[layer].node;
    return node < 0 ? "outputs" : net->graph->nodes[node].name;
}

bool sp_integer_decay(const sp_neuron *n, int *shift, bool *leak)
{
    *shift = 0, *leak = false;
    if (strcmp(n->model, "if") == 0 || n->tau <= 0 || isinf(n->tau))
        return true;
    const double keeps = 1 - 1 / n->tau;
    for (*shift = 1; *shift <= 12; ++*shift)
        for (int most = 0; most < 2; most++) {
            const double wanted = most ? 1 - ldexp(1.0, -*shift) : ldexp(1.0, -*shift);
            *leak = most;
            if (fabs(keeps - wanted) < 1e-4)
                return true;
        }
    return false;
}

/* Sizes of a layer from the graph's node; a linear layer is a convolution whose kernel is its whole input. */
static sp_integer_layer shape_of(const sp_graph *g, int node)
{
    const sp_node *n = &g->nodes[node];
    const sp_activation *x = &g->acts[n->in[0]], *y = &g->acts[n->out];
    const sp_layer *l = n->layer;
    const bool whole = n->type == SP_NODE_LINEAR, adaptive = n->type == SP_NODE_POOL_ADAPTIVE;
    sp_integer_layer r = {.node = node,
                          .neuron = -1,
                          .h = x->h,
                          .w = x->w,
                          .c = x->c,
                          .ho = y->h,
                          .wo = y->w,
                          .o = y->c,
                          .dh = 1,
                          .dw = 1};
    r.kh = whole ? x->h : adaptive ? x->h / y->h : l->kernel[0];
    r.kw = whole ? x->w : adaptive ? x->w / y->w : l->kernel[1];
    r.sh = whole ? 1 : adaptive ? r.kh : l->stride[0], r.sw = whole ? 1 : adaptive ? r.kw : l->stride[1];
    if (!whole && !adaptive)
        r.ph = l->padding[0], r.pw = l->padding[1];
    if (n->type == SP_NODE_CONV)
        r.dh = l->dilation[0], r.dw = l->dilation[1];
    return r;
}

/* What has passed through the layers so far. */
typedef struct walk {
    double factor; /* of a code */
    int64_t most;
    bool spikes;
    int next; /* node */
} walk;

static sp_status add_pool(const sp_graph *g, sp_integer_layer *l, walk *w, sp_error *err)
{
    const sp_node *n = &g->nodes[l->node];
    l->kind = n->type == SP_NODE_POOL_MAX ? SP_INTEGER_OR : SP_INTEGER_SUM;
    if (l->kind == SP_INTEGER_OR && (!w->spikes || w->factor < 0))
        return sp_node_refuse(g, l->node, err,
                              "max_pool of what are no spikes has no integer form; put it directly "
                              "behind neurons, or use avg_pool");
    if (n->type == SP_NODE_POOL_ADAPTIVE && (l->h % l->ho || l->w % l->wo))
        return sp_node_refuse(g, l->node, err,
                              "adaptive_avg_pool of %lldx%lld to %lldx%lld has windows of several sizes; "
                              "its integer form needs sizes that divide",
                              (long long)l->h, (long long)l->w, (long long)l->ho, (long long)l->wo);
    if (l->kind == SP_INTEGER_SUM) {
        w->factor /= (double)(l->kh * l->kw);
        w->most *= l->kh * l->kw;
        w->spikes = false;
    }
    l->sum_most = w->most;
    l->spikes_out = w->spikes;
    return SP_OK;
}

static sp_status check_neuron(const sp_graph *g, int node, sp_error *err)
{
    const sp_neuron *n = &g->nodes[node].layer->neuron;
    int shift;
    bool leak;
    if (strcmp(n->model, "lif") != 0 && strcmp(n->model, "if") != 0)
        return sp_node_refuse(g, node, err, "neuron model \"%s\" has no integer form; use lif or if",
                              n->model);
    if (n->membrane || n->recurrent || n->learn_v_th || n->stabilise || !isnan(n->v_sub) || n->v_init != 0)
        return sp_node_refuse(g, node, err, "%s has no integer form",
                              n->membrane      ? "output: membrane"
                              : n->recurrent   ? "recurrent: true"
                              : n->learn_v_th  ? "learn_v_th: true"
                              : n->stabilise   ? "stabilise: true"
                              : n->v_init != 0 ? "v_init"
                                               : "v_sub");
    if (!sp_integer_decay(n, &shift, &leak))
        return sp_node_refuse(g, node, err,
                              "tau %g keeps %.6g of v, which is no shift; train with tau = 2 or "
                              "2^k / (2^k - 1) (v >> k: 2, 1.33333, 1.14286, 1.06667), or 4, 8, ... "
                              "(v - (v >> k))",
                              n->tau, 1 - 1 / n->tau);
    return SP_OK;
}

static sp_status add_weights(sp_integer *net, sp_integer_layer *l, walk *w, const float *const *params,
                             const sp_integer_options *o, sp_error *err)
{
    const sp_graph *g = net->graph;
    int norm = -1;
    if (w->next < g->n_nodes && g->nodes[w->next].type == SP_NODE_BATCH_NORM && !g->nodes[w->next].td)
        norm = w->next++;
    if (w->next < g->n_nodes) {
        if (g->nodes[w->next].type != SP_NODE_NEURON)
            return sp_node_refuse(g, w->next, err,
                                  "behind the weights of layer %s stand neurons, at most with one "
                                  "batch_norm between; anything else has no integer form",
                                  g->nodes[l->node].name);
        SP_TRY(check_neuron(g, w->next, err));
        l->neuron = w->next++;
    } else if (norm >= 0) {
        return sp_node_refuse(g, norm, err, "a batch norm behind the last layer has no integer form");
    }
    l->spikes_out = l->neuron >= 0;
    SP_TRY(spi_integer_fold(net, l, norm, params, o, w->factor, err));
    *w = (walk){.factor = 1, .most = 1, .spikes = l->spikes_out, .next = w->next};
    return SP_OK;
}

static sp_status add_layer(sp_integer *net, walk *w, const float *const *params, const sp_integer_options *o,
                           sp_error *err)
{
    const sp_graph *g = net->graph;
    const sp_node *n = &g->nodes[w->next];
    if (n->type == SP_NODE_SCALE && n->layer->factor == 0)
        return sp_node_refuse(g, w->next, err, "a scale by 0 has no integer form");
    if (n->type == SP_NODE_DROPOUT || n->type == SP_NODE_SCALE) {
        w->factor *= n->type == SP_NODE_SCALE ? n->layer->factor : 1;
        w->next++;
        return SP_OK;
    }
    const bool weights =
        (n->type == SP_NODE_CONV || n->type == SP_NODE_LINEAR) && !n->standardized && n->layer->groups <= 1;
    const bool pool =
        n->type == SP_NODE_POOL_AVG || n->type == SP_NODE_POOL_MAX || n->type == SP_NODE_POOL_ADAPTIVE;
    if (!weights && !pool)
        return sp_node_refuse(g, w->next, err,
                              "there is no integer form of it: networks have one that are a chain of "
                              "conv (of one group), linear, batch_norm, lif, if, pools, scale, dropout "
                              "and flatten, with every layer of neurons behind weights");
    sp_integer_layer *l = sp_array_push(&net->layers, (size_t)net->n, sizeof *l);
    if (!l)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the integer network");
    *l = shape_of(g, w->next++);
    net->n++;
    l->in_most = w->most;
    l->spikes_in = w->spikes;
    return pool ? add_pool(g, l, w, err) : add_weights(net, l, w, params, o, err);
}

/* Behind neurons at the end: a dense layer with the unit matrix, which never fires and so counts. */
static sp_status add_counts(sp_integer *net, sp_error *err)
{
    const int64_t n = net->graph->classes;
    sp_integer_layer *l = sp_array_push(&net->layers, (size_t)net->n, sizeof *l);
    if (!l)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the integer network");
    const sp_integer_layer *before = &net->layers[net->n++ - 1];
    *l = (sp_integer_layer){.node = -1, .neuron = -1, .spikes_in = true, .h = before->ho, .w = before->wo};
    l->kh = l->h, l->kw = l->w, l->c = before->o, l->o = n;
    l->ho = l->wo = l->sh = l->sw = l->dh = l->dw = l->in_most = l->sum_most = 1;
    l->weight_bits = 2, l->width = 31;
    l->exponents = sp_alloc_array((size_t)n, sizeof *l->exponents);
    l->weights = sp_alloc_pages((size_t)(n * n), sizeof *l->weights);
    l->threshold = sp_alloc_pages((size_t)n, sizeof *l->threshold);
    l->bias = sp_alloc_pages((size_t)n, sizeof *l->bias);
    if (!l->exponents || !l->weights || !l->threshold || !l->bias)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the integer network");
    for (int64_t o = 0; o < n; o++)
        l->weights[o * n + o] = 1, l->threshold[o] = INT32_MAX;
    return SP_OK;
}

sp_status sp_integer_create(const sp_graph *g, const float *const *params, const sp_integer_options *o,
                            sp_integer **out, sp_error *err)
{
    sp_integer *net = sp_alloc(sizeof *net);
    if (!net)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the integer network");
    *net = (sp_integer){.graph = g, .time_steps = o->time_steps};
    choose_input(net, o);
    walk w = {.factor = ldexp(1.0, net->input_exponent), .most = -(int64_t)net->input_low};
    w.most = w.most > net->input_high ? w.most : net->input_high;
    sp_status st = SP_OK;
    while (st == SP_OK && w.next < g->n_nodes)
        st = add_layer(net, &w, params, o, err);
    const sp_integer_layer *last = st == SP_OK && net->n ? &net->layers[net->n - 1] : NULL;
    if (last && last->kind != SP_INTEGER_WEIGHTS)
        st = sp_node_refuse(g, last->node, err,
                            "a network that ends in a pool has no integer form; "
                            "end it in linear or in neurons");
    else if (last && last->neuron >= 0)
        st = add_counts(net, err);
    if (st == SP_OK && !last)
        st = SP_FAIL(err, SP_E_CONFIG, "a network without weights has no integer form");
    if (st != SP_OK) {
        sp_integer_destroy(&net);
        return st;
    }
    *out = net;
    return SP_OK;
}

void sp_integer_destroy(sp_integer **pnet)
{
    if (!pnet || !*pnet)
        return;
    for (int i = 0; i < (*pnet)->n; i++) {
        sp_integer_layer *l = &(*pnet)->layers[i];
        sp_free(l->exponents), sp_free(l->weights), sp_free(l->threshold), sp_free(l->bias),
            sp_free(l->reset);
    }
    sp_free((*pnet)->layers);
    sp_free(*pnet);
    *pnet = NULL;
}
