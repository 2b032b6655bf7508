/* The layers of a network as blocks, one behind the other; what has no spiking form is refused by name. */
#include "convert/convert.h"

#include <math.h>

#include "base/error.h"
#include "graph/fold.h"

typedef struct chain {
    sp_conversion *c;
    const float *const *params;
    sp_error *err;
} chain;

/* ---- blocks ---- */

static sp_convert_block *last_block(const chain *k)
{
    return k->c->n ? &k->c->blocks[k->c->n - 1] : NULL;
}

static sp_status add_block(chain *k, int node)
{
    const sp_node *n = &k->c->graph->nodes[node];
    const sp_param *p = &k->c->graph->params[n->weight];
    if (n->standardized)
        return sp_node_refuse(k->c->graph, node, k->err,
                              "ws_conv has no spiking form here; use conv with batch_norm");
    sp_convert_block *b = sp_array_push(&k->c->blocks, (size_t)k->c->n, sizeof *b);
    if (!b)
        return SP_FAIL(k->err, SP_E_MEMORY, "out of memory for a conversion");
    k->c->n++;
    *b = (sp_convert_block){.weights = node, .norm = -1, .activation = -1, .channels = p->shape[0]};
    b->fan_in = p->elems / b->channels;
    b->w = sp_alloc_array((size_t)p->elems, sizeof *b->w);
    b->b = sp_alloc_array((size_t)b->channels, sizeof *b->b);
    b->shift = sp_alloc_array((size_t)b->channels, sizeof *b->shift);
    b->theta = sp_alloc_array((size_t)b->channels, sizeof *b->theta);
    if (!b->w || !b->b || !b->shift || !b->theta)
        return SP_FAIL(k->err, SP_E_MEMORY, "out of memory for a conversion");
    for (int64_t i = 0; i < p->elems; i++)
        b->w[i] = (double)k->params[n->weight][i];
    for (int64_t o = 0; o < b->channels; o++) {
        b->b[o] = n->bias >= 0 ? (double)k->params[n->bias][o] : 0;
        b->theta[o] = 1;
    }
    return SP_OK;
}

static sp_status fold_norm(const chain *k, int node)
{
    const sp_node *n = &k->c->graph->nodes[node];
    sp_convert_block *b = last_block(k);
    if (n->td)
        return sp_node_refuse(k->c->graph, node, k->err, "td_batch_norm is about time steps; use batch_norm");
    if (!b || b->weights != node - 1)
        return sp_node_refuse(k->c->graph, node, k->err,
                              "a batch norm is folded into the weights before it; put it directly behind "
                              "conv or linear");
    b->norm = node;
    for (int64_t o = 0; o < b->channels; o++) {
        const double gain = sp_norm_fold(n, k->params, o, &b->b[o]);
        for (int64_t i = 0; i < b->fan_in; i++)
            b->w[o * b->fan_in + i] *= gain;
    }
    return SP_OK;
}

static sp_status take_activation(const chain *k, int node)
{
    const sp_node *n = &k->c->graph->nodes[node];
    sp_convert_block *b = last_block(k);
    if (!b || (b->weights != node - 1 && b->norm != node - 1))
        return sp_node_refuse(k->c->graph, node, k->err,
                              "its threshold goes into the weights before it; put it directly behind conv, "
                              "linear or their batch_norm");
    b->activation = node;
    if (n->threshold < 0)
        return SP_OK;
    const double theta = (double)k->params[n->threshold][0];
    if (!(theta > 0) || isinf(theta))
        return sp_node_refuse(k->c->graph, node, k->err,
                              "its learnt threshold is %g; neurons need one above 0", theta);
    for (int64_t o = 0; o < b->channels; o++)
        b->theta[o] = theta;
    return SP_OK;
}

/* ---- the walk ---- */

static sp_status take(chain *k, int node)
{
    const sp_node *n = &k->c->graph->nodes[node];
    switch (n->type) {
    case SP_NODE_CONV:
    case SP_NODE_LINEAR: return add_block(k, node);
    case SP_NODE_BATCH_NORM: return fold_norm(k, node);
    case SP_NODE_ACTIVATION: return take_activation(k, node);
    case SP_NODE_POOL_AVG:
    case SP_NODE_POOL_ADAPTIVE:
    case SP_NODE_SCALE:
    case SP_NODE_DROPOUT: return SP_OK;
    case SP_NODE_POOL_MAX:
        return sp_node_refuse(k->c->graph, node, k->err,
                              "max_pool has no spiking form: a maximum over time steps is not the maximum of "
                              "firing rates. Use avg_pool, and train the network again");
    case SP_NODE_NEURON:
    case SP_NODE_RECURRENT:
        return sp_node_refuse(k->c->graph, node, k->err,
                              "this layer is spiking already; convert takes networks of relu or qcfs");
    case SP_NODE_RESIDUAL:
    case SP_NODE_CONCAT:
        return sp_node_refuse(k->c->graph, node, k->err,
                              "only a chain of layers can be converted; this one joins several");
    case SP_NODE_SYNAPSE:
    case SP_NODE_DELAY:
        return sp_node_refuse(k->c->graph, node, k->err,
                              "delays and synapses are of values in time, which conventional networks do "
                              "not have");
    case SP_NODE_LAYER_NORM:
        return sp_node_refuse(k->c->graph, node, k->err,
                              "the moments of layer_norm and rms_norm are of each sample, so it cannot be "
                              "folded into weights; use batch_norm");
    }
    return sp_node_refuse(k->c->graph, node, k->err, "there is no spiking form of it");
}

/* What is refused wherever it stands comes first: layers inside a residual layer would be named for another
 * reason. */
static sp_status check_chain(chain *k)
{
    const sp_graph *g = k->c->graph;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].type == SP_NODE_RESIDUAL || g->nodes[i].type == SP_NODE_CONCAT)
            return take(k, i);
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].in[0] != (i ? g->nodes[i - 1].out : 0))
            return sp_node_refuse(k->c->graph, i, k->err,
                                  "only a chain of layers can be converted; this one reads another than the "
                                  "one before it");
    return SP_OK;
}

static sp_status check_ends(const chain *k)
{
    bool any = false;
    for (int i = 0; i < k->c->n; i++)
        any = any || k->c->blocks[i].activation >= 0;
    if (!any)
        return SP_FAIL(k->err, SP_E_CONFIG,
                       "%s: the network has no relu or qcfs layer, so nothing would spike",
                       k->c->graph->network.file ? k->c->graph->network.file : "network");
    const sp_convert_block *last = last_block(k);
    if (last->activation >= 0)
        return sp_node_refuse(k->c->graph, last->activation, k->err,
                              "the network must end in outputs that are added up over time steps: end it in "
                              "conv or linear");
    return SP_OK;
}

sp_status sp_conversion_create(const sp_graph *g, const float *const *params, sp_conversion **out,
                               sp_error *err)
{
    sp_conversion *c = sp_alloc(sizeof *c);
    if (!c)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a conversion");
    c->graph = g;
    chain k = {.c = c, .params = params, .err = err};
    sp_status st = check_chain(&k);
    for (int i = 0; st == SP_OK && i < g->n_nodes; i++)
        st = take(&k, i);
    if (st == SP_OK)
        st = check_ends(&k);
    if (st != SP_OK) {
        sp_conversion_destroy(&c);
        return st;
    }
    *out = c;
    return SP_OK;
}

void sp_conversion_destroy(sp_conversion **pc)
{
    if (!pc || !*pc)
        return;
    for (int i = 0; i < (*pc)->n; i++) {
        const sp_convert_block *b = &(*pc)->blocks[i];
        sp_free(b->w), sp_free(b->b), sp_free(b->shift), sp_free(b->theta);
    }
    sp_free((*pc)->blocks);
    sp_free(*pc);
    *pc = NULL;
}
