/* Layers into nodes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "graph/fold.h"
#include "nir/export.h"

static sp_status refuse(spi_nir_export *e, const sp_node *n, const char *what, const char *why)
{
    return sp_nir_note_add(e->notes, n->name, what, SP_NIR_UNSUPPORTED, n->name, e->err, "%s", why);
}

static bool add_pair(spi_nir_export *e, const char *key, int64_t y, int64_t x)
{
    sp_nir_value *v = sp_nir_add_value(spi_nir_last(e), key, 1, &(int64_t){2}, true);
    if (v)
        v->x[0] = (double)y, v->x[1] = (double)x;
    return v != NULL;
}

/* ---- weights ---- */

/* Weights in file layout [o][fan_in], and a bias; both as the network computes with them. */
typedef struct weights {
    sp_nir_value *w, *b;
    int64_t fan_in, o;
} weights;

/* docs/NUMERICS.md, "Weight standardisation". */
static void standardise(const weights *k, const float *gain, double eps)
{
    for (int64_t o = 0; o < k->o; o++) {
        double *w = k->w->x + o * k->fan_in, mean = 0, square = 0;
        for (int64_t i = 0; i < k->fan_in; i++)
            mean += w[i] / (double)k->fan_in;
        for (int64_t i = 0; i < k->fan_in; i++)
            square += (w[i] - mean) * (w[i] - mean);
        double rstd =
            1 / sqrt(square / (double)(k->fan_in > 1 ? k->fan_in - 1 : 1) * (double)k->fan_in + eps);
        for (int64_t i = 0; i < k->fan_in; i++)
            w[i] = (double)gain[o] * (w[i] - mean) * rstd;
    }
}

/* shift: of the bias too; of several parts of a sum, one alone has it. */
static void fold_norm(const spi_nir_export *e, const weights *k, const sp_node *norm, bool shift)
{
    for (int64_t o = 0; o < k->o; o++) {
        const double gain = sp_norm_fold(norm, e->params, o, shift ? &k->b->x[o] : NULL);
        for (int64_t i = 0; i < k->fan_in; i++)
            k->w->x[o * k->fan_in + i] *= gain;
    }
}

/* The batch norm that alone reads what node n gives; -1: there is none. */
static int norm_behind(const spi_nir_export *e, const sp_node *n)
{
    for (int i = 0; i < e->g->n_nodes; i++)
        if (e->g->nodes[i].in[0] == n->out)
            return e->g->nodes[i].type == SP_NODE_BATCH_NORM && e->g->acts[n->out].n_consumers == 1 ? i : -1;
    return -1;
}

/* Columns of a weight, of which a row has `all`: those of one input of a concat. */
typedef struct columns {
    int64_t first, n, all; /* the part from 0 on has the bias */
} columns;

/* To the node that was added last. part NULL: all columns. */
static sp_status put_weights(spi_nir_export *e, const sp_node *n, double factor, bool needs_bias, int norm,
                             const columns *part)
{
    const sp_param *p = &e->g->params[n->weight];
    const int64_t all = p->elems / p->shape[0],
                  inputs = part ? p->shape[1] * part->n / part->all : p->shape[1],
                  skip = part ? all * part->first / part->all : 0;
    weights k = {.o = p->shape[0], .fan_in = all / p->shape[1] * inputs};
    const bool shift = !part || part->first == 0, line = p->n_dims == 3;
    bool bias = needs_bias || (shift && (n->bias >= 0 || norm >= 0));
    const int64_t shape[4] = {p->shape[0], inputs, line ? 1 : p->shape[2],
                              p->shape[line ? 2 : 3]}; /* conv1d: one row */
    if (!sp_nir_add_value(spi_nir_last(e), "weight", line ? 4 : p->n_dims, shape, false) ||
        (bias && !sp_nir_add_value(spi_nir_last(e), "bias", 1, &k.o, false)))
        return spi_nir_no_memory(e);
    sp_nir_node *node = spi_nir_last(e);
    k.w = &node->values[node->n - (bias ? 2 : 1)];
    k.b = bias ? &node->values[node->n - 1] : NULL;
    for (int64_t i = 0; i < k.o * k.fan_in; i++)
        k.w->x[i] = (double)e->params[n->weight][i / k.fan_in * all + skip + i % k.fan_in];
    if (n->standardized)
        standardise(&k, e->params[n->gain], n->layer->eps);
    for (int64_t i = 0; i < k.o * k.fan_in; i++)
        k.w->x[i] *= factor;
    for (int64_t o = 0; shift && n->bias >= 0 && o < k.o; o++)
        k.b->x[o] = (double)e->params[n->bias][o];
    if (norm >= 0) {
        fold_norm(e, &k, &e->g->nodes[norm], shift);
        e->folded[norm] = true;
    }
    return SP_OK;
}

static sp_status note_weights(spi_nir_export *e, const sp_node *n, const char *what, double factor, int norm)
{
    return sp_nir_note_add(e->notes, n->name, what, SP_NIR_FAITHFUL, n->name, e->err, "%s%s%s",
                           n->standardized ? "standardised weights folded in; " : "",
                           factor != 1 ? "scale folded in; " : "",
                           norm >= 0 ? "batch norm folded in, with its running statistics" : "");
}

/* Of a Conv2d: a convolution's own, or with l NULL that of one pixel. */
static bool add_window(spi_nir_export *e, const sp_activation *a, const sp_layer *l)
{
    return add_pair(e, "input_shape", a->h, a->w) &&
           add_pair(e, "stride", l ? l->stride[0] : 1, l ? l->stride[1] : 1) &&
           add_pair(e, "padding", l ? l->padding[0] : 0, l ? l->padding[1] : 0) &&
           add_pair(e, "dilation", l ? l->dilation[0] : 1, l ? l->dilation[1] : 1) &&
           spi_nir_add_number(e, "groups", l ? (double)l->groups : 1, true);
}

static sp_status put_conv(spi_nir_export *e, const sp_node *n)
{
    const spi_nir_flow in = e->flows[n->in[0]];
    int norm = norm_behind(e, n);
    if (in.vector)
        return refuse(e, n, "conv", "its input is one pixel, which is a vector in the graph");
    SP_TRY(spi_nir_put_node(e, n->name, "Conv2d", &in, &e->flows[n->out]));
    if (!add_window(e, &e->g->acts[n->in[0]], n->layer))
        return spi_nir_no_memory(e);
    SP_TRY(put_weights(e, n, in.factor, true, norm, NULL));
    return note_weights(e, n, "Conv2d", in.factor, norm);
}

/* Counted from the end, which is right with and without a dimension of samples in front: readers differ. */
static sp_status put_flatten(spi_nir_export *e, const char *layer, const sp_activation *a, spi_nir_flow *flow)
{
    const double factor = flow->factor;
    char name[160];
    snprintf(name, sizeof name, "%.120s.flatten", layer);
    SP_TRY(spi_nir_put_node(e, name, "Flatten", flow, flow));
    sp_nir_value *shape = sp_nir_add_value(spi_nir_last(e), "input_type", 1, &(int64_t){3}, true);
    if (!shape)
        return spi_nir_no_memory(e);
    shape->x[0] = (double)a->c, shape->x[1] = (double)a->h, shape->x[2] = (double)a->w;
    flow->factor = factor;
    flow->vector = true;
    return spi_nir_add_number(e, "start_dim", -3, true) && spi_nir_add_number(e, "end_dim", -1, true)
               ? sp_nir_note_add(e->notes, name, "Flatten", SP_NIR_FAITHFUL, NULL, e->err, "%s", "")
               : spi_nir_no_memory(e);
}

static sp_status put_linear(spi_nir_export *e, const sp_node *n)
{
    spi_nir_flow in = e->flows[n->in[0]];
    int norm = norm_behind(e, n);
    const char *type = n->bias >= 0 || norm >= 0 ? "Affine" : "Linear";
    if (!in.vector)
        SP_TRY(put_flatten(e, n->name, &e->g->acts[n->in[0]], &in));
    SP_TRY(spi_nir_put_node(e, n->name, type, &in, &e->flows[n->out]));
    SP_TRY(put_weights(e, n, in.factor, false, norm, NULL));
    return note_weights(e, n, type, in.factor, norm);
}

/* ---- pools ---- */

static sp_status put_pool(spi_nir_export *e, const sp_node *n)
{
    const sp_layer *l = n->layer;
    const sp_activation *a = &e->g->acts[n->in[0]], *o = &e->g->acts[n->out];
    bool adaptive = n->type == SP_NODE_POOL_ADAPTIVE;
    const spi_nir_flow in = e->flows[n->in[0]];
    if (in.vector || (adaptive && (a->h % o->h || a->w % o->w)))
        return refuse(e, n, "adaptive_avg_pool", "its windows are not of one size");
    SP_TRY(spi_nir_put_node(e, n->name, "AvgPool2d", &in, &e->flows[n->out]));
    e->flows[n->out].factor = in.factor;
    bool good = adaptive ? add_pair(e, "kernel_size", a->h / o->h, a->w / o->w) &&
                               add_pair(e, "stride", a->h / o->h, a->w / o->w) && add_pair(e, "padding", 0, 0)
                         : add_pair(e, "kernel_size", l->kernel[0], l->kernel[1]) &&
                               add_pair(e, "stride", l->stride[0], l->stride[1]) &&
                               add_pair(e, "padding", l->padding[0], l->padding[1]);
    return good ? sp_nir_note_add(e->notes, n->name, "AvgPool2d", SP_NIR_FAITHFUL, n->name, e->err, "%s", "")
                : spi_nir_no_memory(e);
}

/* ---- neurons ---- */

/* The dense matrix of the node before, from the spikes back to the input. */
static sp_status put_loop(spi_nir_export *e, const sp_node *loop, const spi_nir_flow *neuron)
{
    spi_nir_flow out;
    SP_TRY(spi_nir_put_node(e, loop->name, "Linear", neuron, &out));
    SP_TRY(put_weights(e, loop, 1, false, -1, NULL));
    if (!sp_nir_add_edge(e->out, out.from[0], neuron->from[0]))
        return spi_nir_no_memory(e);
    return sp_nir_note_add(e->notes, loop->name, "Linear", SP_NIR_FAITHFUL, loop->name, e->err,
                           "recurrent, one time step later");
}

static sp_status put_neuron(spi_nir_export *e, const sp_node *n)
{
    const sp_neuron *u = &n->layer->neuron;
    const char *type = spi_nir_neuron_type(u);
    const sp_activation *a = &e->g->acts[n->in[0]];
    spi_nir_flow in = e->flows[n->in[0]];
    if (!type)
        return refuse(e, n, u->model, "NIR has no node for this model");
    if (!isnan(u->v_sub))
        return refuse(e, n, "v_sub", "NIR has no number for what a reset subtracts");
    if (u->stabilise)
        return refuse(e, n, "stabilise", "NIR's thresholds do not follow the potentials");
    if (u->v_init != 0)
        return refuse(e, n, u->model, "NIR's neurons start at 0, and v_init is another potential");
    SP_TRY(spi_nir_settle(e, n->name, n->in[0], &in));
    SP_TRY(spi_nir_put_node(e, n->name, type, &in, &e->flows[n->out]));
    if (!spi_nir_put_parameters(e, n, type, in.vector))
        return spi_nir_no_memory(e);
    if (a->producer >= 0 && e->g->nodes[a->producer].type == SP_NODE_RECURRENT)
        SP_TRY(put_loop(e, &e->g->nodes[a->producer], &e->flows[n->out]));
    return u->membrane || u->hard_reset
               ? sp_nir_note_add(e->notes, n->name, type, SP_NIR_FAITHFUL, n->name, e->err,
                                 u->membrane ? "its potentials are the outputs" : "hard reset")
               : sp_nir_note_add(e->notes, n->name, type, SP_NIR_APPROXIMATE, n->name, e->err,
                                 "soft reset, which is in the metadata only: readers reset to 0");
}

/* ---- sums ---- */

static bool is_read_by_a_sum(const spi_nir_export *e, int act)
{
    for (int i = 0; i < e->g->n_nodes; i++)
        if (e->g->nodes[i].type == SP_NODE_RESIDUAL &&
            (e->g->nodes[i].in[0] == act || e->g->nodes[i].in[1] == act))
            return true;
    return false;
}

/* Two edges to one node are a sum. Where several nodes read it, it gets a node of its own. */
static sp_status put_both(spi_nir_export *e, const sp_node *n, const char *name, size_t a, size_t b,
                          bool vector)
{
    spi_nir_flow *out = &e->flows[n->out];
    *out = (spi_nir_flow){.from = {a, b}, .n = 2, .factor = 1, .vector = vector};
    if (e->g->acts[n->out].n_consumers == 1 && !is_read_by_a_sum(e, n->out) && n->out != e->g->logits)
        return SP_OK;
    const spi_nir_flow both = *out;
    SP_TRY(spi_nir_put_node(e, name, "Scale", &both, out));
    return spi_nir_fill(e, n, vector, "scale", 1)
               ? sp_nir_note_add(e->notes, name, "Scale", SP_NIR_FAITHFUL, n->name, e->err, "the sum")
               : spi_nir_no_memory(e);
}

static sp_status put_sum(spi_nir_export *e, const sp_node *n)
{
    spi_nir_flow branch = e->flows[n->in[0]], identity = e->flows[n->in[1]];
    char name[160];
    branch.factor *= n->alpha * (n->skip_gain >= 0 ? (double)e->params[n->skip_gain][0] : 1);
    snprintf(name, sizeof name, "%.120s.branch", n->name);
    SP_TRY(spi_nir_settle(e, name, n->in[0], &branch));
    snprintf(name, sizeof name, "%.120s.identity", n->name);
    SP_TRY(spi_nir_settle(e, name, n->in[1], &identity));
    if (branch.n != 1 || identity.n != 1 || branch.from[0] == identity.from[0])
        return refuse(e, n, "residual", "a sum of an activation with itself");
    return put_both(e, n, n->name, branch.from[0], identity.from[0], branch.vector);
}

/* ---- concats: W [a; b] = Wa a + Wb b ---- */

static const sp_node *concat_before(const spi_nir_export *e, const sp_node *n)
{
    int producer = e->g->acts[n->in[0]].producer;
    const sp_node *p = producer >= 0 ? &e->g->nodes[producer] : NULL;
    return p && p->type == SP_NODE_CONCAT ? p : NULL;
}

/* Nothing by itself: its readers have weights for each of its inputs. */
static sp_status put_concat(spi_nir_export *e, const sp_node *n)
{
    bool splits = n->out != e->g->logits;
    for (int i = 0; i < e->g->n_nodes; i++) {
        const sp_node *r = &e->g->nodes[i];
        bool weighs = (r->type == SP_NODE_CONV && r->layer->groups == 1) || r->type == SP_NODE_LINEAR;
        if (r->in[0] == n->out || r->in[1] == n->out)
            splits = splits && weighs && !r->standardized;
    }
    if (!splits)
        return refuse(e, n, "concat",
                      "NIR has no node for it; one whose output only convolutions without groups and linear "
                      "layers read becomes a sum of theirs");
    e->flows[n->out] = (spi_nir_flow){.factor = 1, .vector = e->flows[n->in[0]].vector};
    return sp_nir_note_add(e->notes, n->name, "concat", SP_NIR_FAITHFUL, n->name, e->err,
                           "the layers that read it have weights for each of its inputs");
}

static sp_status put_parts(spi_nir_export *e, const sp_node *n, const sp_node *join)
{
    const bool conv = n->type == SP_NODE_CONV;
    const int norm = norm_behind(e, n);
    const char *type = conv ? "Conv2d" : n->bias >= 0 || norm >= 0 ? "Affine" : "Linear";
    columns part = {.all = e->g->acts[join->out].c};
    size_t from[2];
    char name[160];
    bool vector = false;
    for (int k = 0; k < 2; k++) {
        const sp_activation *a = &e->g->acts[join->in[k]];
        spi_nir_flow in = e->flows[join->in[k]], out;
        snprintf(name, sizeof name, "%.120s.part%d", n->name, k + 1);
        part.n = a->c;
        if (!conv && !in.vector)
            SP_TRY(put_flatten(e, name, a, &in));
        if (conv && in.vector)
            return refuse(e, n, "conv", "its input is one pixel, which is a vector in the graph");
        SP_TRY(spi_nir_put_node(e, name, type, &in, &out));
        if (conv && !add_window(e, a, n->layer))
            return spi_nir_no_memory(e);
        SP_TRY(put_weights(e, n, in.factor, conv, norm, &part));
        SP_TRY(note_weights(e, n, type, in.factor, norm));
        from[k] = out.from[0];
        vector = out.vector;
        part.first += part.n;
        type = conv ? type : "Linear"; /* the bias is in the first part */
    }
    snprintf(name, sizeof name, "%.120s.sum", n->name);
    return put_both(e, n, name, from[0], from[1], vector);
}

/* A batch norm that no layer before it can take in: a diagonal matrix of a vector, or of each pixel. A
 * convolution of each channel by itself would do, but nir 1.0.8 takes its input for one channel. */
static sp_status put_lone_norm(spi_nir_export *e, const sp_node *n)
{
    const spi_nir_flow in = e->flows[n->in[0]];
    const sp_activation *a = &e->g->acts[n->in[0]];
    const int64_t c = a->c, each[4] = {c, c, 1, 1};
    weights k = {.o = c, .fan_in = c};
    SP_TRY(spi_nir_put_node(e, n->name, in.vector ? "Affine" : "Conv2d", &in, &e->flows[n->out]));
    if ((!in.vector && !add_window(e, a, NULL)) ||
        !sp_nir_add_value(spi_nir_last(e), "weight", in.vector ? 2 : 4, each, false) ||
        !sp_nir_add_value(spi_nir_last(e), "bias", 1, &c, false))
        return spi_nir_no_memory(e);
    sp_nir_node *node = spi_nir_last(e);
    k.w = &node->values[node->n - 2];
    k.b = &node->values[node->n - 1];
    for (int64_t o = 0; o < c; o++)
        k.w->x[o * c + o] = in.factor;
    fold_norm(e, &k, n, true);
    return sp_nir_note_add(e->notes, n->name, in.vector ? "Affine" : "Conv2d", SP_NIR_FAITHFUL, n->name,
                           e->err, "batch norm, with its running statistics");
}

static sp_status put_norm(spi_nir_export *e, int i)
{
    const sp_node *n = &e->g->nodes[i];
    if (!e->folded[i])
        return put_lone_norm(e, n);
    e->flows[n->out] = e->flows[n->in[0]];
    return SP_OK;
}

static sp_status put_delay(spi_nir_export *e, const sp_node *n)
{
    spi_nir_flow in = e->flows[n->in[0]];
    SP_TRY(spi_nir_settle(e, n->name, n->in[0], &in));
    SP_TRY(spi_nir_put_node(e, n->name, "Delay", &in, &e->flows[n->out]));
    return spi_nir_fill(e, n, in.vector, "delay", (double)n->layer->steps * e->dt)
               ? sp_nir_note_add(e->notes, n->name, "Delay", SP_NIR_FAITHFUL, n->name, e->err, "%s", "")
               : spi_nir_no_memory(e);
}

static sp_status put_synapse(spi_nir_export *e, const sp_node *n)
{
    const spi_nir_flow in = e->flows[n->in[0]];
    spi_nir_flow *out = &e->flows[n->out];
    SP_TRY(spi_nir_put_node(e, n->name, "LI", &in, out));
    out->factor = in.factor; /* a filter is linear */
    return spi_nir_put_synapse(e, n, in.vector)
               ? sp_nir_note_add(e->notes, n->name, "LI", SP_NIR_FAITHFUL, n->name, e->err, "%s", "")
               : spi_nir_no_memory(e);
}

sp_status spi_nir_put(spi_nir_export *e, int i)
{
    const sp_node *n = &e->g->nodes[i];
    spi_nir_flow *out = &e->flows[n->out];
    const sp_node *join = n->type == SP_NODE_CONV || n->type == SP_NODE_LINEAR ? concat_before(e, n) : NULL;
    if (join)
        return put_parts(e, n, join);
    switch (n->type) {
    case SP_NODE_CONV: return put_conv(e, n);
    case SP_NODE_LINEAR: return put_linear(e, n);
    case SP_NODE_BATCH_NORM: return put_norm(e, i);
    case SP_NODE_NEURON: return put_neuron(e, n);
    case SP_NODE_POOL_AVG:
    case SP_NODE_POOL_ADAPTIVE: return put_pool(e, n);
    case SP_NODE_POOL_MAX: return refuse(e, n, "max_pool", "NIR has no node for it");
    case SP_NODE_RESIDUAL: return put_sum(e, n);
    case SP_NODE_LAYER_NORM:
        return refuse(e, n, "layer_norm",
                      "NIR has no node for it, and its moments are of each sample and time step");
    case SP_NODE_ACTIVATION:
        return refuse(e, n, n->threshold >= 0 ? "qcfs" : "relu",
                      "NIR has no node for it; `spikeport convert` makes neurons of it");
    case SP_NODE_CONCAT: return put_concat(e, n);
    case SP_NODE_DELAY: return put_delay(e, n);
    case SP_NODE_SYNAPSE: return put_synapse(e, n);
    case SP_NODE_SCALE:
        *out = e->flows[n->in[0]];
        out->factor *= n->layer->factor;
        return SP_OK;
    case SP_NODE_RECURRENT: /* with its neuron */
    case SP_NODE_DROPOUT: *out = e->flows[n->in[0]]; return SP_OK;
    }
    return refuse(e, n, "layer", "NIR has no node for it");
}
