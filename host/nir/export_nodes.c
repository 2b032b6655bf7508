/* Layers into nodes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "nir/export.h"

static sp_nir_node *last(const spi_nir_export *e)
{
    return &e->out->nodes[e->out->n - 1];
}

static sp_status refuse(spi_nir_export *e, const sp_node *n, const char *what, const char *why)
{
    return sp_nir_note_add(e->notes, n->name, what, SP_NIR_UNSUPPORTED, n->name, e->err, "%s", why);
}

static bool add_pair(spi_nir_export *e, const char *key, int64_t y, int64_t x)
{
    sp_nir_value *v = sp_nir_add_value(last(e), key, 1, &(int64_t){2}, true);
    if (v)
        v->x[0] = (double)y, v->x[1] = (double)x;
    return v != NULL;
}

static bool add_number(spi_nir_export *e, const char *key, double x, bool whole)
{
    sp_nir_value *v = sp_nir_add_value(last(e), key, 0, NULL, whole);
    if (v)
        v->x[0] = x;
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

static void fold_norm(const spi_nir_export *e, const weights *k, const sp_node *norm)
{
    const float *gamma = e->params[norm->gamma], *beta = e->params[norm->beta],
                *mean = e->params[norm->running_mean], *var = e->params[norm->running_var];
    double more = norm->td ? norm->layer->alpha * norm->layer->neuron.v_th : 1;
    for (int64_t o = 0; o < k->o; o++) {
        double scale = more * (double)gamma[o] / sqrt((double)var[o] + norm->layer->eps);
        for (int64_t i = 0; i < k->fan_in; i++)
            k->w->x[o * k->fan_in + i] *= scale;
        k->b->x[o] = (k->b->x[o] - (double)mean[o]) * scale + (double)beta[o];
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

/* To the node that was added last. */
static sp_status put_weights(spi_nir_export *e, const sp_node *n, double factor, bool needs_bias, int norm)
{
    const sp_param *p = &e->g->params[n->weight];
    weights k = {.o = p->shape[0], .fan_in = p->elems / p->shape[0]};
    bool bias = needs_bias || n->bias >= 0 || norm >= 0, line = p->n_dims == 3;
    const int64_t flat[4] = {p->shape[0], p->shape[1], 1,
                             p->shape[2]}; /* of conv1d, as a Conv2d of one row */
    if (!sp_nir_add_value(last(e), "weight", line ? 4 : p->n_dims, line ? flat : p->shape, false) ||
        (bias && !sp_nir_add_value(last(e), "bias", 1, &k.o, false)))
        return spi_nir_no_memory(e);
    sp_nir_node *node = last(e);
    k.w = &node->values[node->n - (bias ? 2 : 1)];
    k.b = bias ? &node->values[node->n - 1] : NULL;
    for (int64_t i = 0; i < p->elems; i++)
        k.w->x[i] = (double)e->params[n->weight][i];
    if (n->standardized)
        standardise(&k, e->params[n->gain], n->layer->eps);
    for (int64_t i = 0; i < p->elems; i++)
        k.w->x[i] *= factor;
    for (int64_t o = 0; n->bias >= 0 && o < k.o; o++)
        k.b->x[o] = (double)e->params[n->bias][o];
    if (norm >= 0) {
        fold_norm(e, &k, &e->g->nodes[norm]);
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

static sp_status put_conv(spi_nir_export *e, const sp_node *n)
{
    const sp_layer *l = n->layer;
    const spi_nir_flow in = e->flows[n->in[0]];
    const sp_activation *a = &e->g->acts[n->in[0]];
    int norm = norm_behind(e, n);
    if (in.vector)
        return refuse(e, n, "conv", "its input is one pixel, which is a vector in the graph");
    SP_TRY(spi_nir_put_node(e, n->name, "Conv2d", &in, &e->flows[n->out]));
    if (!add_pair(e, "input_shape", a->h, a->w) || !add_pair(e, "stride", l->stride[0], l->stride[1]) ||
        !add_pair(e, "padding", l->padding[0], l->padding[1]) ||
        !add_pair(e, "dilation", l->dilation[0], l->dilation[1]) ||
        !add_number(e, "groups", (double)l->groups, true))
        return spi_nir_no_memory(e);
    SP_TRY(put_weights(e, n, in.factor, true, norm));
    return note_weights(e, n, "Conv2d", in.factor, norm);
}

/* Counted from the end, which is right with and without a dimension of samples in front: readers differ. */
static sp_status put_flatten(spi_nir_export *e, const sp_node *n, spi_nir_flow *flow)
{
    const sp_activation *a = &e->g->acts[n->in[0]];
    const double factor = flow->factor;
    char name[160];
    snprintf(name, sizeof name, "%.120s.flatten", n->name);
    SP_TRY(spi_nir_put_node(e, name, "Flatten", flow, flow));
    sp_nir_value *shape = sp_nir_add_value(last(e), "input_type", 1, &(int64_t){3}, true);
    if (!shape)
        return spi_nir_no_memory(e);
    shape->x[0] = (double)a->c, shape->x[1] = (double)a->h, shape->x[2] = (double)a->w;
    flow->factor = factor;
    flow->vector = true;
    return add_number(e, "start_dim", -3, true) && add_number(e, "end_dim", -1, true)
               ? sp_nir_note_add(e->notes, name, "Flatten", SP_NIR_FAITHFUL, NULL, e->err, "%s", "")
               : spi_nir_no_memory(e);
}

static sp_status put_linear(spi_nir_export *e, const sp_node *n)
{
    spi_nir_flow in = e->flows[n->in[0]];
    int norm = norm_behind(e, n);
    const char *type = n->bias >= 0 || norm >= 0 ? "Affine" : "Linear";
    if (!in.vector)
        SP_TRY(put_flatten(e, n, &in));
    SP_TRY(spi_nir_put_node(e, n->name, type, &in, &e->flows[n->out]));
    SP_TRY(put_weights(e, n, in.factor, false, norm));
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

static bool fill(spi_nir_export *e, const sp_node *n, bool vector, const char *key, double x)
{
    const sp_activation *a = &e->g->acts[n->out];
    const int64_t shape[3] = {a->c, a->h, a->w};
    sp_nir_value *v = sp_nir_add_value(last(e), key, vector ? 1 : 3, shape, false);
    for (int64_t i = 0; v && i < v->n; i++)
        v->x[i] = x;
    return v != NULL;
}

/* NIR fires above its threshold, and layers at theirs: the float32 before it is the same comparison. */
static bool put_parameters(spi_nir_export *e, const sp_node *n, const char *type, bool vector)
{
    const sp_neuron *u = &n->layer->neuron;
    const float v_th = n->threshold >= 0 ? e->params[n->threshold][0] : (float)u->v_th;
    double tau = u->tau, gain, leak = u->hard_reset ? u->v_reset : 0;
    bool cuba = strncmp(type, "Cuba", 4) == 0, good = add_number(e, "metadata.dt", e->dt, false);
    if (n->w >= 0)
        tau = 1 + exp(-(double)e->params[n->w][0]);
    gain = u->decay_input ? 1 / tau : 1;
    if (!u->membrane)
        good = good && fill(e, n, vector, "v_threshold", (double)nextafterf(v_th, -INFINITY)) &&
               fill(e, n, vector, "v_reset", leak) &&
               sp_nir_add_text(last(e), "metadata.reset", u->hard_reset ? "hard" : "soft");
    if (type[0] == 'I')
        return good && fill(e, n, vector, "r", gain / e->dt);
    good = good && fill(e, n, vector, "r", gain * tau) && fill(e, n, vector, "v_leak", leak) &&
           fill(e, n, vector, cuba ? "tau_mem" : "tau", tau * e->dt);
    return good && (!cuba || (fill(e, n, vector, "tau_syn", u->aux_tau * e->dt) &&
                              fill(e, n, vector, "w_in", u->aux_tau)));
}

/* With a threshold, and without one. */
static const char *type_of(const sp_neuron *u)
{
    static const char *const types[][3] = {{"lif", "LIF", "LI"},
                                           {"plif", "LIF", "LI"},
                                           {"if", "IF", "I"},
                                           {"cuba_lif", "CubaLIF", "CubaLI"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(u->model, types[i][0]) == 0)
            return types[i][u->membrane ? 2 : 1];
    return NULL;
}

/* The dense matrix of the node before, from the spikes back to the input. */
static sp_status put_loop(spi_nir_export *e, const sp_node *loop, const spi_nir_flow *neuron)
{
    spi_nir_flow out;
    SP_TRY(spi_nir_put_node(e, loop->name, "Linear", neuron, &out));
    SP_TRY(put_weights(e, loop, 1, false, -1));
    if (!sp_nir_add_edge(e->out, out.from[0], neuron->from[0]))
        return spi_nir_no_memory(e);
    return sp_nir_note_add(e->notes, loop->name, "Linear", SP_NIR_FAITHFUL, loop->name, e->err,
                           "recurrent, one time step later");
}

static sp_status put_neuron(spi_nir_export *e, const sp_node *n)
{
    const sp_neuron *u = &n->layer->neuron;
    const char *type = type_of(u);
    const sp_activation *a = &e->g->acts[n->in[0]];
    spi_nir_flow in = e->flows[n->in[0]];
    if (!type)
        return refuse(e, n, u->model, "NIR has no node for this model");
    SP_TRY(spi_nir_settle(e, n->name, n->in[0], &in));
    SP_TRY(spi_nir_put_node(e, n->name, type, &in, &e->flows[n->out]));
    if (!put_parameters(e, n, type, in.vector))
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
static sp_status put_sum(spi_nir_export *e, const sp_node *n)
{
    const sp_activation *o = &e->g->acts[n->out];
    spi_nir_flow branch = e->flows[n->in[0]], identity = e->flows[n->in[1]], *out = &e->flows[n->out];
    char name[160];
    branch.factor *= n->alpha * (n->skip_gain >= 0 ? (double)e->params[n->skip_gain][0] : 1);
    snprintf(name, sizeof name, "%.120s.branch", n->name);
    SP_TRY(spi_nir_settle(e, name, n->in[0], &branch));
    snprintf(name, sizeof name, "%.120s.identity", n->name);
    SP_TRY(spi_nir_settle(e, name, n->in[1], &identity));
    if (branch.n != 1 || identity.n != 1 || branch.from[0] == identity.from[0])
        return refuse(e, n, "residual", "a sum of an activation with itself");
    *out = (spi_nir_flow){.from = {branch.from[0], identity.from[0]},
                          .n = 2,
                          .factor = 1,
                          .vector = branch.vector};
    if (o->n_consumers == 1 && !is_read_by_a_sum(e, n->out) && n->out != e->g->logits)
        return SP_OK;
    const spi_nir_flow both = *out;
    SP_TRY(spi_nir_put_node(e, n->name, "Scale", &both, out));
    return fill(e, n, both.vector, "scale", 1)
               ? sp_nir_note_add(e->notes, n->name, "Scale", SP_NIR_FAITHFUL, n->name, e->err, "the sum")
               : spi_nir_no_memory(e);
}

static sp_status put_norm(spi_nir_export *e, int i)
{
    const sp_node *n = &e->g->nodes[i];
    if (!e->folded[i])
        return refuse(e, n, "batch_norm",
                      "only a batch norm right behind a convolution or a linear layer can be folded");
    e->flows[n->out] = e->flows[n->in[0]];
    return SP_OK;
}

sp_status spi_nir_put(spi_nir_export *e, int i)
{
    const sp_node *n = &e->g->nodes[i];
    spi_nir_flow *out = &e->flows[n->out];
    switch (n->type) {
    case SP_NODE_CONV: return put_conv(e, n);
    case SP_NODE_LINEAR: return put_linear(e, n);
    case SP_NODE_BATCH_NORM: return put_norm(e, i);
    case SP_NODE_NEURON: return put_neuron(e, n);
    case SP_NODE_POOL_AVG:
    case SP_NODE_POOL_ADAPTIVE: return put_pool(e, n);
    case SP_NODE_POOL_MAX: return refuse(e, n, "max_pool", "NIR has no node for it");
    case SP_NODE_RESIDUAL: return put_sum(e, n);
    case SP_NODE_LAYER_NORM: return refuse(e, n, "layer_norm", "NIR has no node for it");
    case SP_NODE_CONCAT: return refuse(e, n, "concat", "NIR has no node for it");
    case SP_NODE_SCALE:
        *out = e->flows[n->in[0]];
        out->factor *= n->layer->factor;
        return SP_OK;
    case SP_NODE_RECURRENT: /* with its neuron */
    case SP_NODE_DROPOUT: *out = e->flows[n->in[0]]; return SP_OK;
    }
    return refuse(e, n, "layer", "NIR has no node for it");
}
