/* Backward steps: the gradient of each activation from the last layer to the first, at one time step. */
#include <math.h>
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

static sp_status new_gradient(sp_builder *b, int act, int *out)
{
    const sp_activation *a = &b->g->acts[act];
    char name[64];
    snprintf(name, sizeof name, "gradient of %.30s",
             a->producer >= 0 ? b->g->nodes[a->producer].name : "input");
    return spi_tensor_new(b, name, spi_rows(b, a) * a->c, SP_LIFETIME_SEGMENT, out);
}

bool spi_needs_gradient(const sp_builder *b, int act)
{
    return b->p->o.input_gradient || b->act[act].needs_gradient;
}

sp_status spi_add_gradient(sp_builder *b, int node, int act, int tensor)
{
    if (b->act[act].gradient < 0) {
        b->act[act].gradient = tensor;
        return SP_OK;
    }
    const sp_activation *a = &b->g->acts[act];
    int sum, segment = b->segment;
    if (b->p->n_stages > 1) /* where the last of the summands comes to be known */
        b->segment = spi_backward_segment(b->act[act].stage);
    SP_TRY(new_gradient(b, act, &sum));
    sp_emit e = spi_step(b, node, "add");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_bind(&e, "a", b->act[act].gradient), spi_bind(&e, "b", tensor), spi_bind(&e, "y", sum);
    b->act[act].gradient = sum;
    SP_TRY(spi_emit(&e));
    b->segment = segment;
    return SP_OK;
}

/* What the backward pass of a norm reads beside gradients. */
static void bind_norm(sp_emit *e, int node)
{
    const sp_builder *b = e->b;
    spi_flag(e, "X_HALF", b->node[node].norm_half >= 0);
    spi_bind(e, "x",
             b->node[node].norm_half >= 0 ? b->node[node].norm_half : b->act[b->g->nodes[node].in[0]].tensor);
    spi_bind(e, "mean", b->node[node].norm[NORM_MEAN]), spi_bind(e, "rstd", b->node[node].norm[NORM_RSTD]);
}

static sp_status batch_norm_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int g_x;
    if (n->td)
        return spi_td_backward(b, node, g);
    SP_TRY(spi_recompute(b, n->in[0]));
    SP_TRY(new_gradient(b, n->in[0], &g_x));
    sp_emit e = spi_step(b, node, "batch_norm.backward");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    bind_norm(&e, node);
    spi_bind(&e, "g", g), spi_bind(&e, "g_x", g_x);
    if (spi_norm_is_online(b, node)) {
        SP_TRY(spi_online_backward_begin(b, node, &e));
    } else {
        SP_TRY(spi_bind_param(&e, "g_gamma", n->gamma, true));
        SP_TRY(spi_bind_param(&e, "g_beta", n->beta, true));
        SP_TRY(spi_bind_param(&e, "gamma", n->gamma, false));
    }
    SP_TRY(spi_emit(&e));
    if (spi_norm_is_online(b, node))
        SP_TRY(spi_online_backward_end(b, node, &e));
    return spi_add_gradient(b, node, n->in[0], g_x);
}

/* Settings of the op that goes back through a neuron. */
void spi_neuron_backward_settings(sp_emit *e, int node)
{
    const sp_builder *b = e->b;
    const sp_activation *a = &b->g->acts[b->g->nodes[node].out];
    const sp_neuron *neuron = &b->g->nodes[node].layer->neuron;
    const sp_fragment *f = sp_fragment_find(b->p->reg, SP_FRAGMENT_SURROGATE, neuron->surrogate);
    spi_int(e, "M", spi_rows(b, a)), spi_int(e, "C", a->c);
    spi_neuron_settings(e, neuron);
    if (b->temporal)
        spi_flag(e, "TEMPORAL", 1);
    spi_flag(e, "DETACH", neuron->detach_reset || neuron->membrane);
    e->step.call.surrogate = neuron->surrogate;
    if (neuron->membrane) {
        e->step.call.surrogate = "straight_through";
        spi_float(e, "width", 1.0);
        return;
    }
    spi_store_half(e, "U_HALF", b->node[node].u);
    spi_float(e, "width", isnan(neuron->width) ? f ? f->width_default : 1.0 : neuron->width);
}

static sp_status neuron_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int g_x;
    SP_TRY(new_gradient(b, n->in[0], &g_x));
    if (b->temporal && b->node[node].adjoint_v < 0)
        SP_TRY(spi_tensor_new(b, "dL/dv between steps", spi_rows(b, a) * a->c, SP_LIFETIME_PLAN,
                              &b->node[node].adjoint_v));
    if (n->layer->neuron.recurrent)
        SP_TRY(spi_recurrent_gradient(b, node, &g));
    sp_emit e =
        spi_step(b, node, spi_neuron_is_extended(b, node) ? "neuron.backward_ext" : "neuron.backward");
    spi_neuron_backward_settings(&e, node);
    spi_bind(&e, "g_s", g), spi_bind(&e, "u", b->node[node].u), spi_bind(&e, "g_x", g_x);
    if (b->temporal)
        spi_bind(&e, "carry", b->node[node].adjoint_v);
    SP_TRY(spi_neuron_extend(&e, node, true));
    SP_TRY(spi_emit(&e));
    SP_TRY(spi_penalise(b, node, &g_x));
    return spi_needs_gradient(b, n->in[0]) ? spi_add_gradient(b, node, n->in[0], g_x) : SP_OK;
}

static sp_status pool_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    const char *op = n->type == SP_NODE_POOL_AVG   ? "pool.avg.backward"
                     : n->type == SP_NODE_POOL_MAX ? "pool.max.backward"
                                                   : "pool.adaptive_avg.backward";
    int g_x;
    SP_TRY(new_gradient(b, n->in[0], &g_x));
    sp_emit e = spi_step(b, node, op);
    spi_pool_ints(&e, b, n);
    spi_bind(&e, "g_y", g), spi_bind(&e, "g_x", g_x);
    if (n->type == SP_NODE_POOL_MAX) {
        spi_flag(&e, "X_BITS", spi_is_bits(b, n->in[0]));
        spi_bind(&e, "x", b->act[n->in[0]].tensor);
    }
    SP_TRY(spi_emit(&e));
    return spi_add_gradient(b, node, n->in[0], g_x);
}

/* Scale and dropout: the gradient goes the way the value went. */
static sp_status pointwise_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    bool scale = n->type == SP_NODE_SCALE;
    int g_x;
    if (n->scale_folded)
        return spi_add_gradient(b, node, n->in[0], g);
    if (!scale && n->layer->each_step && b->history)
        SP_TRY(spi_draw_mask(b, node));
    SP_TRY(new_gradient(b, n->in[0], &g_x));
    sp_emit e = spi_step(b, node, scale ? "scale" : "dropout.apply");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_float(&e, scale ? "factor" : "p", scale ? n->layer->factor : n->layer->p);
    spi_bind(&e, "x", g), spi_bind(&e, "y", g_x);
    if (!scale)
        spi_bind(&e, "mask", b->node[node].mask);
    SP_TRY(spi_emit(&e));
    return spi_add_gradient(b, node, n->in[0], g_x);
}

static sp_status residual_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int g_branch = g, branch = b->act[n->in[0]].tensor;
    bool gain = n->skip_gain >= 0;
    if (gain && spi_is_bits(b, n->in[0]))
        SP_TRY(spi_unpack(b, node, n->in[0], &branch));
    if (gain || n->alpha < 1.0 || n->alpha > 1.0) {
        SP_TRY(new_gradient(b, n->in[0], &g_branch));
        sp_emit e = spi_step(b, node, "residual.backward");
        spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
        spi_float(&e, "alpha", n->alpha);
        spi_flag(&e, "GAIN", gain);
        spi_bind(&e, "g", g), spi_bind(&e, "g_branch", g_branch);
        if (gain) {
            spi_bind(&e, "branch", branch);
            SP_TRY(spi_bind_param(&e, "gain", n->skip_gain, false));
            SP_TRY(spi_bind_param(&e, "g_gain", n->skip_gain, true));
        }
        SP_TRY(spi_emit(&e));
    }
    if (spi_needs_gradient(b, n->in[0]))
        SP_TRY(spi_add_gradient(b, node, n->in[0], g_branch));
    if (spi_needs_gradient(b, n->in[1]))
        SP_TRY(spi_add_gradient(b, node, n->in[1], g));
    return SP_OK;
}

/* Sums over rows, added to the gradient of a parameter. */
static sp_status add_row_sums(sp_builder *b, int node, int rows, int param)
{
    const sp_activation *a = &b->g->acts[b->g->nodes[node].out];
    sp_emit e = spi_step(b, node, "bias.backward");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_bind(&e, "e", rows);
    SP_TRY(spi_bind_param(&e, "g_bias", param, true));
    return spi_emit(&e);
}

static sp_status layer_norm_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    int g_x, g_hat;
    if (n->beta >= 0)
        SP_TRY(add_row_sums(b, node, g, n->beta));
    SP_TRY(new_gradient(b, n->in[0], &g_x));
    SP_TRY(new_gradient(b, n->in[0], &g_hat));
    sp_emit e = spi_step(b, node, "layer_norm.backward");
    spi_layer_norm_ints(&e, n);
    spi_bind(&e, "g", g), spi_bind(&e, "x", b->act[n->in[0]].tensor);
    SP_TRY(spi_bind_param(&e, "gamma", n->gamma, false));
    if (n->beta >= 0)
        spi_bind(&e, "mean", b->node[node].norm[NORM_MEAN]);
    spi_bind(&e, "rstd", b->node[node].norm[NORM_RSTD]);
    spi_bind(&e, "g_x", g_x), spi_bind(&e, "g_hat", g_hat);
    SP_TRY(spi_emit(&e));
    SP_TRY(add_row_sums(b, node, g_hat, n->gamma));
    return spi_needs_gradient(b, n->in[0]) ? spi_add_gradient(b, node, n->in[0], g_x) : SP_OK;
}

static sp_status synapse_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    SP_TRY(spi_synapse_backward(b, node, &g));
    return spi_needs_gradient(b, n->in[0]) ? spi_add_gradient(b, node, n->in[0], g) : SP_OK;
}

static sp_status delay_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    int g_x;
    SP_TRY(new_gradient(b, n->in[0], &g_x));
    SP_TRY(spi_delay_backward(b, node, g, g_x));
    return spi_add_gradient(b, node, n->in[0], g_x);
}

static sp_status activation_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    int g_x;
    SP_TRY(new_gradient(b, n->in[0], &g_x));
    sp_emit e = spi_step(b, node, "activation.backward");
    spi_activation_settings(&e, n);
    spi_bind(&e, "g", g), spi_bind(&e, "x", b->act[n->in[0]].tensor), spi_bind(&e, "g_x", g_x);
    if (n->threshold >= 0) {
        SP_TRY(spi_bind_param(&e, "threshold", n->threshold, false));
        SP_TRY(spi_bind_param(&e, "g_threshold", n->threshold, true));
    }
    SP_TRY(spi_emit(&e));
    return spi_needs_gradient(b, n->in[0]) ? spi_add_gradient(b, node, n->in[0], g_x) : SP_OK;
}

static sp_status concat_backward(sp_builder *b, int node, int g)
{
    static const char *const parts[] = {"g_a", "g_b"};
    const sp_node *n = &b->g->nodes[node];
    int part[2];
    sp_emit e = spi_step(b, node, "concat.backward");
    spi_joined_ints(&e, n);
    spi_bind(&e, "g", g);
    for (int i = 0; i < 2; i++) {
        SP_TRY(new_gradient(b, n->in[i], &part[i]));
        spi_bind(&e, parts[i], part[i]);
    }
    SP_TRY(spi_emit(&e));
    for (int i = 0; i < 2; i++)
        if (spi_needs_gradient(b, n->in[i]))
            SP_TRY(spi_add_gradient(b, node, n->in[i], part[i]));
    return SP_OK;
}

static sp_status backward_node(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    int g = b->act[n->out].gradient;
    if (g < 0)
        return SP_OK; /* nothing below depends on it */
    if (b->rates)
        SP_TRY(spi_rate_prepare(b, node));
    switch (n->type) {
    case SP_NODE_CONV:
    case SP_NODE_LINEAR: return spi_weights_backward(b, node);
    case SP_NODE_BATCH_NORM: return batch_norm_backward(b, node, g);
    case SP_NODE_RESIDUAL: return residual_backward(b, node, g);
    case SP_NODE_CONCAT: return concat_backward(b, node, g);
    case SP_NODE_LAYER_NORM: return layer_norm_backward(b, node, g);
    case SP_NODE_RECURRENT: return spi_recurrent_backward(b, node, g);
    default: break;
    }
    if (!spi_needs_gradient(b, n->in[0]) && n->w < 0 && n->threshold < 0)
        return SP_OK;
    switch (n->type) {
    case SP_NODE_NEURON: return b->rates ? spi_rate_neuron(b, node, g) : neuron_backward(b, node, g);
    case SP_NODE_POOL_AVG:
    case SP_NODE_POOL_MAX:
    case SP_NODE_POOL_ADAPTIVE: return pool_backward(b, node, g);
    case SP_NODE_ACTIVATION: return activation_backward(b, node, g);
    case SP_NODE_DELAY: return delay_backward(b, node, g);
    case SP_NODE_SYNAPSE: return synapse_backward(b, node, g);
    case SP_NODE_SCALE:
    case SP_NODE_DROPOUT: return pointwise_backward(b, node, g);
    default: return SP_FAIL(b->err, SP_E_FAILED, "internal: this type of node has no backward pass");
    }
}

sp_status spi_backward(sp_builder *b)
{
    for (int i = 0; i < b->g->n_acts; i++)
        b->act[i].gradient = -1;
    b->act[b->g->logits].gradient = b->g_logits;
    for (int i = b->g->n_nodes - 1; i >= 0; i--) {
        const sp_node *n = &b->g->nodes[i];
        if (b->p->n_stages > 1)
            b->segment = spi_backward_segment(b->act[n->td ? n->in[0] : n->out].stage);
        if (spi_is_local(b, i))
            SP_TRY(spi_local_error(b, i));
        SP_TRY(backward_node(b, i));
    }
    return SP_OK;
}
