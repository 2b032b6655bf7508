/* A conversion written out: layers as YAML, and their weights. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "convert/convert.h"

static const char neurons[] = "  - {type: if, v_th: 1, v_init: 0.5, reset: soft, v_reset: 0, "
                              "decay_input: false, learn_v_th: false, stabilise: false, v_sub: null, "
                              "per_channel: false}\n";

static float *add_tensor(sp_converted *out, int layer, const char *what, int n_dims, const int64_t *shape,
                         int64_t elems)
{
    sp_tensor *t = sp_array_push(&out->tensors, out->n_tensors, sizeof *t);
    if (!t)
        return NULL;
    out->n_tensors++;
    float *x = sp_alloc_array((size_t)elems, sizeof *x);
    t->name = sp_format("%d.%s", layer, what);
    t->data = x;
    t->bytes = (size_t)elems * sizeof *x;
    t->n_dims = n_dims;
    snprintf(t->dtype, sizeof t->dtype, "F32");
    memcpy(t->shape, shape, (size_t)n_dims * sizeof *shape);
    return t->name ? x : NULL;
}

/* The channel that input k of output channel o comes from. */
static int64_t input_channel(const sp_graph *g, const sp_convert_block *b, int64_t o, int64_t k)
{
    const sp_node *n = &g->nodes[b->weights];
    const sp_param *p = &g->params[n->weight];
    const int64_t groups = n->type == SP_NODE_CONV ? n->layer->groups : 1;
    return o / (b->channels / groups) * p->c + k / (p->kh * p->kw);
}

static sp_status add_weights(const sp_conversion *c, int block, int layer, sp_converted *out, sp_error *err)
{
    const sp_convert_block *b = &c->blocks[block], *before = block ? b - 1 : NULL;
    const sp_param *p = &c->graph->params[c->graph->nodes[b->weights].weight];
    float *w = add_tensor(out, layer, "weight", p->n_dims, p->shape, p->elems);
    float *bias = w ? add_tensor(out, layer, "bias", 1, &b->channels, b->channels) : NULL;
    if (!bias)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a converted network");
    for (int64_t o = 0; o < b->channels; o++) {
        for (int64_t k = 0; k < b->fan_in; k++) {
            const double in = before ? before->theta[input_channel(c->graph, b, o, k)] : 1;
            w[o * b->fan_in + k] = (float)(b->w[o * b->fan_in + k] * in / b->theta[o]);
        }
        bias[o] = (float)((b->b[o] + b->shift[o]) / b->theta[o]);
    }
    return SP_OK;
}

static int block_of(const sp_conversion *c, const sp_layer *l)
{
    for (int i = 0; i < c->n; i++)
        if (c->graph->nodes[c->blocks[i].weights].layer == l)
            return i;
    return -1;
}

/* `layer` counts those that stay. */
static sp_status add_layer(const sp_conversion *c, const sp_layer *l, int *layer, sp_converted *out,
                           sp_error *err)
{
    const int block = block_of(c, l);
    sp_layer copy = *l;
    const sp_network one = {.layers = &copy, .n = 1};
    if (l->type == SP_LAYER_BATCH_NORM || l->type == SP_LAYER_DROPOUT)
        return SP_OK;
    if (block >= 0) {
        copy.bias = true;
        SP_TRY(add_weights(c, block, *layer, out, err));
    }
    if (l->type == SP_LAYER_RELU || l->type == SP_LAYER_QCFS)
        sp_text_add(&out->layers, "%s", neurons);
    else
        sp_network_print(&one, 2, &out->layers);
    ++*layer;
    return SP_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const sp_tensor *)a)->name, ((const sp_tensor *)b)->name);
}

sp_status sp_conversion_network(const sp_conversion *c, sp_converted *out, sp_error *err)
{
    const sp_network *net = &c->graph->network;
    int layer = 0;
    *out = (sp_converted){.n_tensors = 0};
    for (size_t i = 0; i < net->n; i++)
        SP_TRY(add_layer(c, &net->layers[i], &layer, out, err));
    if (out->layers.failed)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a converted network");
    qsort(out->tensors, out->n_tensors, sizeof *out->tensors, by_name);
    return SP_OK;
}

void sp_converted_free(sp_converted *c)
{
    for (size_t i = 0; i < c->n_tensors; i++) {
        sp_free(c->tensors[i].name);
        sp_free((void *)(uintptr_t)c->tensors[i].data);
    }
    sp_free(c->tensors);
    sp_text_free(&c->layers);
    *c = (sp_converted){.n_tensors = 0};
}
