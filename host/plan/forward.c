/* Forward steps of every node that has no weights, and the walk over the graph. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "plan/builder.h"

static sp_status new_tensor(sp_builder *b, const sp_node *n, bool bits, int *out)
{
    const sp_activation *a = &b->g->acts[n->out];
    char name[64];
    snprintf(name, sizeof name, "%.40s %s", n->name, bits ? "spikes" : "output");
    return spi_tensor_new(b, name, spi_rows(b, a) * (bits ? (a->c + 31) / 32 : a->c), SP_LIFETIME_SEGMENT,
                          out);
}

sp_status spi_new_output(sp_builder *b, const sp_node *n, int *out)
{
    SP_TRY(new_tensor(b, n, spi_is_bits(b, n->out), out));
    b->act[n->out].tensor = *out;
    return SP_OK;
}

static sp_status norm_tensors(sp_builder *b, int node)
{
    static const char *const names[NORM_TENSORS] = {"mean", "1/std", "scale", "shift"};
    const sp_node *n = &b->g->nodes[node];
    for (int i = 0; i < NORM_TENSORS; i++)
        SP_TRY(spi_node_tensor(b, node, names[i], b->g->acts[n->out].c, SP_LIFETIME_SEGMENT,
                               &b->node[node].norm[i]));
    return SP_OK;
}

/* Whether some layer reads an activation itself, as float32, in its backward pass. */
static bool act_is_kept(const sp_builder *b, int act)
{
    for (int i = 0; i < b->g->n_nodes; i++) {
        const sp_node *n = &b->g->nodes[i];
        bool reads = n->weight >= 0 || n->type == SP_NODE_POOL_MAX || n->type == SP_NODE_LAYER_NORM ||
                     n->type == SP_NODE_ACTIVATION || (n->type == SP_NODE_RESIDUAL && n->skip_gain >= 0);
        if (reads && n->in[0] == act)
            return true;
    }
    return false;
}

/* The backward pass of a batch norm reads its input, the largest thing that is kept. What is computed once a
 * mini-batch, or again in the backward pass, or is read there as float32 by others, stays as it is. */
static sp_status keep_input_as_half(sp_builder *b, int node)
{
    int act = b->g->nodes[node].in[0], producer = b->g->acts[act].producer;
    bool backward_follows = b->segment == SP_SEGMENT_FULL || b->history;
    b->node[node].norm_half = -1;
    if (!b->p->o.half || !b->training || !backward_follows || act == 0 ||
        (producer >= 0 && spi_node_is_static(b, producer)) || spi_is_recomputed(b, act) ||
        act_is_kept(b, act))
        return SP_OK;
    return spi_pack_half(b, node, act, &b->node[node].norm_half);
}

bool spi_norm_is_static(const sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_plan_options *o = &b->p->o;
    if (n->type != SP_NODE_BATCH_NORM || n->td || spi_norm_is_online(b, node))
        return false;
    if (!b->training)
        return true;
    const int producer = b->g->acts[n->in[0]].producer;
    return producer >= 0 && spi_node_is_static(b, producer) && o->method != SP_METHOD_RATE &&
           !o->online_update && !o->sync_norm;
}

/* How far running statistics move in all T time steps where those of each step are the same. */
static double momentum_of(const sp_builder *b, int node)
{
    const double momentum = b->g->nodes[node].layer->momentum;
    return spi_norm_is_static(b, node) ? 1 - pow(1 - momentum, (double)b->p->o.time_steps) : momentum;
}

sp_status spi_norm_statistics(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int x = b->act[n->in[0]].tensor, gamma;
    SP_TRY(norm_tensors(b, node));
    if (n->td)
        SP_TRY(spi_td_forward(b, node, &x, &gamma));
    else
        SP_TRY(spi_param_tensor(b, n->gamma, false, &gamma));
    sp_emit e = spi_step(b, node, b->training ? "batch_norm.statistics" : "batch_norm.fold");
    spi_int(&e, "C", a->c);
    spi_float(&e, "eps", n->layer->eps);
    spi_bind(&e, "gamma", gamma);
    SP_TRY(spi_bind_param(&e, "beta", n->beta, false));
    SP_TRY(spi_bind_param(&e, "running_mean", n->running_mean, false));
    SP_TRY(spi_bind_param(&e, "running_var", n->running_var, false));
    spi_bind(&e, "scale", b->node[node].norm[NORM_SCALE]),
        spi_bind(&e, "shift", b->node[node].norm[NORM_SHIFT]);
    if (b->training) {
        spi_int(&e, "M", spi_norm_rows(b, node));
        spi_float(&e, "momentum", spi_norm_is_online(b, node) ? 0.0 : momentum_of(b, node));
        spi_bind(&e, "x", x);
        spi_bind(&e, "mean", b->node[node].norm[NORM_MEAN]),
            spi_bind(&e, "rstd", b->node[node].norm[NORM_RSTD]);
    }
    SP_TRY(spi_emit(&e));
    return spi_norm_is_online(b, node) ? spi_online_step(b, node) : SP_OK;
}

static sp_status batch_norm_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    if (!spi_norm_is_static(b, node))
        SP_TRY(spi_norm_statistics(b, node));
    SP_TRY(keep_input_as_half(b, node));
    if (n->fused)
        return SP_OK;
    if (n->td && b->training)
        b->segment = spi_forward_segment(b->act[n->out].stage);
    return spi_batch_norm_apply(b, node);
}

sp_status spi_batch_norm_apply(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int y;
    SP_TRY(spi_new_output(b, n, &y));
    sp_emit m = spi_step(b, node, "affine.forward");
    spi_int(&m, "M", spi_rows(b, a)), spi_int(&m, "C", a->c);
    spi_bind(&m, "x", b->act[n->in[0]].tensor), spi_bind(&m, "scale", b->node[node].norm[NORM_SCALE]);
    spi_bind(&m, "shift", b->node[node].norm[NORM_SHIFT]), spi_bind(&m, "y", y);
    return spi_emit(&m);
}

/* What a step leaves of v, whatever the model makes of tau: the presynaptic trace leaks alike. */
double spi_neuron_decay(const sp_neuron *n)
{
    bool integrate = strcmp(n->model, "if") == 0 || n->tau <= 0 || isinf(n->tau);
    return integrate ? 1.0 : 1.0 - 1.0 / n->tau;
}

void spi_neuron_settings(sp_emit *e, const sp_neuron *n)
{
    bool integrate = n->tau <= 0 || isinf(n->tau);
    spi_float(e, "decay", spi_neuron_decay(n));
    spi_float(e, "x_gain", n->decay_input && !integrate ? 1.0 / n->tau : 1.0);
    spi_float(e, "v_th", n->membrane ? SPI_NEVER_REACHED : n->v_th + sp_neuron_offset(n));
    spi_float(e, "v_reset", n->hard_reset ? n->v_reset : sp_neuron_offset(n) + n->v_init);
    spi_flag(e, "HARD", n->hard_reset);
    e->step.call.neuron = n->model;
}

static sp_status count_into(sp_builder *b, int node, int spikes, int count, uint64_t at)
{
    const sp_activation *a = &b->g->acts[b->g->nodes[node].out];
    sp_emit e = spi_step(b, node, "spikes.count");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_bind(&e, "s", spikes), spi_bind_at(&e, "count", count, 0, at);
    return spi_emit(&e);
}

static sp_status count_spikes(sp_builder *b, int node, int spikes)
{
    int *count = &b->p->spike_counts[node], layer = 0;
    for (int i = 0; i < node; i++)
        layer += b->g->nodes[i].type == SP_NODE_NEURON;
    if (b->p->step_spikes >= 0)
        SP_TRY(count_into(b, node, spikes, b->p->step_spikes, 64 * (uint64_t)layer));
    if (!b->p->o.count_spikes)
        return SP_OK;
    if (*count < 0)
        SP_TRY(spi_tensor_new(b, "spike counters", 64, SP_LIFETIME_PLAN, count));
    return count_into(b, node, spikes, *count, 0);
}

static sp_status neuron_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int producer = b->g->acts[n->in[0]].producer, x = b->act[n->in[0]].tensor, s;
    bool norm =
        producer >= 0 && b->g->nodes[producer].type == SP_NODE_BATCH_NORM && b->g->nodes[producer].fused;
    if (norm)
        x = b->act[b->g->nodes[producer].in[0]].tensor;
    if (b->node[node].u < 0) {
        char name[64];
        snprintf(name, sizeof name, "%.40s membrane", n->name);
        SP_TRY(spi_tensor_new(b, name, spi_rows(b, a) * a->c,
                              b->history ? SP_LIFETIME_HISTORY : SP_LIFETIME_PLAN, &b->node[node].u));
        b->p->tensors[b->node[node].u].slots = spi_neuron_slots(b, node);
    }
    SP_TRY(n->layer->neuron.recurrent ? spi_recurrent_spikes(b, node, &s) : new_tensor(b, n, true, &s));
    b->act[n->out].tensor = sp_node_fires(n) ? s : b->node[node].u;
    const bool rate = b->p->o.method == SP_METHOD_RATE && !spi_is_stabilised(b, node);
    sp_emit e = spi_step(b, node,
                         rate                              ? "neuron.forward_rate"
                         : spi_neuron_is_extended(b, node) ? "neuron.forward_ext"
                                                           : "neuron.forward");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_neuron_settings(&e, &n->layer->neuron);
    if (sp_node_fires(n)) /* else the outputs are u */
        spi_store_half(&e, "U_HALF", b->node[node].u);
    spi_flag(&e, "NORM", norm);
    spi_bind(&e, "x", x), spi_bind(&e, "s", s), spi_bind(&e, "u", b->node[node].u);
    spi_bind_at(&e, "u_prev", b->node[node].u,
                sp_plan_slots(b->p, &b->p->tensors[b->node[node].u]) > 1 ? -1 : 0, 0);
    SP_TRY(rate ? spi_rate_bind(&e, node) : spi_neuron_extend(&e, node, false));
    if (norm)
        spi_bind(&e, "scale", b->node[producer].norm[NORM_SCALE]),
            spi_bind(&e, "shift", b->node[producer].norm[NORM_SHIFT]);
    SP_TRY(spi_is_stabilised(b, node) ? spi_stabilise_fire(&e, node, s) : spi_emit(&e));
    return sp_node_fires(n) ? count_spikes(b, node, s) : SP_OK;
}

void spi_pool_ints(sp_emit *e, const sp_builder *b, const sp_node *n)
{
    const sp_activation *x = &b->g->acts[n->in[0]], *y = &b->g->acts[n->out];
    spi_int(e, "N", b->p->o.batch), spi_int(e, "H", x->h), spi_int(e, "W", x->w), spi_int(e, "C", x->c);
    spi_int(e, "HO", y->h), spi_int(e, "WO", y->w);
    if (n->type == SP_NODE_POOL_ADAPTIVE)
        return;
    const sp_layer *l = n->layer;
    spi_int(e, "KH", l->kernel[0]), spi_int(e, "KW", l->kernel[1]);
    spi_int(e, "SH", l->stride[0]), spi_int(e, "SW", l->stride[1]);
    spi_int(e, "PH", l->padding[0]), spi_int(e, "PW", l->padding[1]);
}

int64_t spi_layer_norm_ints(sp_emit *e, const sp_node *n)
{
    const sp_activation *a = &e->b->g->acts[n->out];
    const int64_t rows = n->layer->each_place ? 1 : a->h * a->w, groups = spi_rows(e->b, a) / rows;
    spi_int(e, "N", groups), spi_int(e, "M", rows), spi_int(e, "C", a->c);
    spi_flag(e, "RMS", n->beta < 0);
    return groups;
}

void spi_joined_ints(sp_emit *e, const sp_node *n)
{
    const sp_graph *g = e->b->g;
    spi_int(e, "M", spi_rows(e->b, &g->acts[n->out]));
    spi_int(e, "A", g->acts[n->in[0]].c), spi_int(e, "B", g->acts[n->in[1]].c);
}

static sp_status pool_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const bool spikes = spi_is_bits(b, n->out); /* of a max pool alone */
    const char *op = n->type == SP_NODE_POOL_AVG   ? "pool.avg.forward"
                     : spikes                      ? "pool.spikes.forward"
                     : n->type == SP_NODE_POOL_MAX ? "pool.max.forward"
                                                   : "pool.adaptive_avg.forward";
    int y;
    SP_TRY(spi_new_output(b, n, &y));
    sp_emit e = spi_step(b, node, op);
    spi_pool_ints(&e, b, n);
    if (!spikes)
        spi_flag(&e, "X_BITS", spi_is_bits(b, n->in[0]));
    spi_bind(&e, "x", b->act[n->in[0]].tensor), spi_bind(&e, "y", y);
    return spi_emit(&e);
}

static sp_status scale_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int y;
    if (n->scale_folded) {
        b->act[n->out].tensor = b->act[n->in[0]].tensor;
        return SP_OK;
    }
    SP_TRY(spi_new_output(b, n, &y));
    sp_emit e = spi_step(b, node, "scale");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_float(&e, "factor", n->layer->factor);
    spi_flag(&e, "X_BITS", spi_is_bits(b, n->in[0]));
    spi_bind(&e, "x", b->act[n->in[0]].tensor), spi_bind(&e, "y", y);
    return spi_emit(&e);
}

/* A mask is a function of seed, node, mini-batch and time step: the backward pass of a method that runs all
 * steps forward first draws it again. */
sp_status spi_draw_mask(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    const int64_t rows = spi_rows(b, a), words = rows * ((a->c + 31) / 32);
    if (b->node[node].mask < 0)
        SP_TRY(spi_tensor_new(b, "dropout mask", words, SP_LIFETIME_PLAN, &b->node[node].mask));
    sp_emit e = spi_step(b, node, "dropout.mask");
    spi_int(&e, "M", rows), spi_int(&e, "C", a->c),
        spi_int(&e, "rows", n->layer->by_channel ? a->h * a->w : 1);
    spi_int(&e, "seed", (int64_t)(b->p->o.seed & 0x7fffffff)), spi_int(&e, "stream", node);
    spi_float(&e, "p", n->layer->p);
    spi_flag(&e, "STEP", n->layer->each_step);
    spi_bind(&e, "mask", b->node[node].mask);
    return spi_emit(&e);
}

/* In training: the mask of a mini-batch is drawn before its first time step. In evaluation: nothing to do,
 * and the activation is taken over (spikes are unpacked, since what follows expects real values). */
static sp_status dropout_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    bool bits = spi_is_bits(b, n->in[0]);
    int y;
    if (!b->training && !bits) {
        b->act[n->out].tensor = b->act[n->in[0]].tensor;
        return SP_OK;
    }
    if (b->training && n->layer->each_step && !b->rates) /* a trace follows the spikes, whose mask is drawn */
        SP_TRY(spi_draw_mask(b, node));
    SP_TRY(spi_new_output(b, n, &y));
    sp_emit e = spi_step(b, node, b->training ? "dropout.apply" : "spikes.unpack");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_bind(&e, "x", b->act[n->in[0]].tensor), spi_bind(&e, "y", y);
    if (b->training) {
        spi_float(&e, "p", n->layer->p);
        spi_flag(&e, "X_BITS", bits);
        spi_bind(&e, "mask", b->node[node].mask);
    }
    return spi_emit(&e);
}

sp_status spi_unpack(sp_builder *b, int node, int act, int *out)
{
    const sp_activation *a = &b->g->acts[act];
    char name[64];
    snprintf(name, sizeof name, "%.40s unpacked", b->g->nodes[node].name);
    SP_TRY(spi_tensor_new(b, name, spi_rows(b, a) * a->c, SP_LIFETIME_SEGMENT, out));
    sp_emit e = spi_step(b, node, "spikes.unpack");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_bind(&e, "x", b->act[act].tensor), spi_bind(&e, "y", *out);
    return spi_emit(&e);
}

static sp_status residual_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int y, branch = b->act[n->in[0]].tensor;
    if (spi_is_bits(b, n->in[0])) /* SEW: the branch ends in a neuron */
        SP_TRY(spi_unpack(b, node, n->in[0], &branch));
    SP_TRY(spi_new_output(b, n, &y));
    sp_emit e = spi_step(b, node, "residual.forward");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_float(&e, "alpha", n->alpha);
    spi_flag(&e, "ID_BITS", spi_is_bits(b, n->in[1])), spi_flag(&e, "GAIN", n->skip_gain >= 0);
    spi_bind(&e, "branch", branch), spi_bind(&e, "identity", b->act[n->in[1]].tensor), spi_bind(&e, "y", y);
    if (n->skip_gain >= 0)
        SP_TRY(spi_bind_param(&e, "gain", n->skip_gain, false));
    return spi_emit(&e);
}

/* Moments are those of a sample or a pixel at this time step, in training and in evaluation. */
static sp_status layer_norm_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    int y, *moments = b->node[node].norm;
    SP_TRY(spi_new_output(b, n, &y));
    sp_emit e = spi_step(b, node, "layer_norm.forward");
    const int64_t groups = spi_layer_norm_ints(&e, n);
    spi_float(&e, "eps", n->layer->eps);
    spi_bind(&e, "x", b->act[n->in[0]].tensor), spi_bind(&e, "y", y);
    SP_TRY(spi_bind_param(&e, "gamma", n->gamma, false));
    SP_TRY(spi_tensor_new(b, "1/std of samples", groups, SP_LIFETIME_SEGMENT, &moments[NORM_RSTD]));
    spi_bind(&e, "rstd", moments[NORM_RSTD]);
    if (n->beta >= 0) {
        SP_TRY(spi_bind_param(&e, "beta", n->beta, false));
        SP_TRY(spi_tensor_new(b, "means of samples", groups, SP_LIFETIME_SEGMENT, &moments[NORM_MEAN]));
        spi_bind(&e, "mean", moments[NORM_MEAN]);
    }
    return spi_emit(&e);
}

void spi_activation_settings(sp_emit *e, const sp_node *n)
{
    const sp_activation *a = &e->b->g->acts[n->out];
    spi_int(e, "M", spi_rows(e->b, a)), spi_int(e, "C", a->c);
    spi_flag(e, "QUANTISED", n->threshold >= 0);
    spi_float(e, "levels", (double)n->layer->levels);
}

static sp_status activation_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    int y;
    SP_TRY(spi_new_output(b, n, &y));
    sp_emit e = spi_step(b, node, "activation.forward");
    spi_activation_settings(&e, n);
    spi_bind(&e, "x", b->act[n->in[0]].tensor), spi_bind(&e, "y", y);
    if (n->threshold >= 0)
        SP_TRY(spi_bind_param(&e, "threshold", n->threshold, false));
    if (b->p->o.keep_outputs) {
        b->p->tensors[y].lifetime = SP_LIFETIME_PLAN;
        b->p->layer_targets[node] = y;
    }
    return spi_emit(&e);
}

static sp_status concat_forward(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const bool spikes = spi_is_bits(b, n->out);
    int y;
    SP_TRY(spi_new_output(b, n, &y));
    sp_emit e = spi_step(b, node, spikes ? "concat.spikes" : "concat.forward");
    spi_joined_ints(&e, n);
    if (!spikes)
        spi_flag(&e, "A_BITS", spi_is_bits(b, n->in[0])), spi_flag(&e, "B_BITS", spi_is_bits(b, n->in[1]));
    spi_bind(&e, "a", b->act[n->in[0]].tensor), spi_bind(&e, "b", b->act[n->in[1]].tensor),
        spi_bind(&e, "y", y);
    return spi_emit(&e);
}

sp_status spi_forward_node(sp_builder *b, int node)
{
    switch (b->g->nodes[node].type) {
    case SP_NODE_CONV:
    case SP_NODE_LINEAR: return spi_weights_forward(b, node);
    case SP_NODE_BATCH_NORM: return batch_norm_forward(b, node);
    case SP_NODE_NEURON: return neuron_forward(b, node);
    case SP_NODE_POOL_AVG:
    case SP_NODE_POOL_MAX:
    case SP_NODE_POOL_ADAPTIVE: return pool_forward(b, node);
    case SP_NODE_SCALE: return scale_forward(b, node);
    case SP_NODE_DROPOUT: return dropout_forward(b, node);
    case SP_NODE_RESIDUAL: return residual_forward(b, node);
    case SP_NODE_CONCAT: return concat_forward(b, node);
    case SP_NODE_LAYER_NORM: return layer_norm_forward(b, node);
    case SP_NODE_ACTIVATION: return activation_forward(b, node);
    case SP_NODE_DELAY: return spi_delay_forward(b, node);
    case SP_NODE_SYNAPSE: return spi_synapse_forward(b, node);
    case SP_NODE_RECURRENT: return spi_recurrent_forward(b, node);
    }
    return SP_FAIL(b->err, SP_E_FAILED, "internal: unknown node type");
}

/* Whether a node is computed once per mini-batch: a layer with weights that reads an input that does not
 * change. */
bool spi_node_is_static(const sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    return !b->p->o.sequence && n->weight >= 0 && n->in[0] == 0 && n->type != SP_NODE_RECURRENT;
}

sp_status spi_forward(sp_builder *b)
{
    for (int i = 0; i < b->g->n_nodes; i++)
        if (!spi_node_is_static(b, i)) {
            const sp_node *n = &b->g->nodes[i];
            if (b->p->n_stages > 1)
                b->segment = spi_forward_segment(b->act[n->td ? n->in[0] : n->out].stage);
            SP_TRY(spi_forward_node(b, i));
            if (b->p->o.method == SP_METHOD_RATE)
                SP_TRY(spi_rate_accumulate(b, i));
            if (spi_is_local(b, i))
                SP_TRY(spi_local_count(b, i));
        }
    return SP_OK;
}
