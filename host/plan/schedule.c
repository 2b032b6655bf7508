/* Schedules: which steps lie in which segment, and in what order segments run. SLTT and its kin backpropagate
 * each time step right after its forward pass; BPTT runs all forward steps of a block first, and all steps
 * are one block unless it is truncated. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "plan/builder.h"

const char *sp_method_name(sp_method m)
{
    static const char *const names[] = {"sltt", "sltt-k", "bptt", "ottt", "rate", "ndot", "ltl", "eval"};
    return names[m];
}

bool sp_plan_steps_apart(const sp_plan *p)
{
    return p->o.external_loss && p->o.truncate == 1 && p->o.method != SP_METHOD_BPTT;
}

int64_t sp_plan_block(const sp_plan *p)
{
    int64_t T = p->o.time_steps, k = p->o.method == SP_METHOD_RATE ? p->o.block : p->o.truncate;
    return k > 0 && k < T ? k : T;
}

int64_t sp_plan_slots(const sp_plan *p, const sp_plan_tensor *v)
{
    return v->slots > 0 ? v->slots : v->lifetime == SP_LIFETIME_HISTORY ? sp_plan_block(p) : 1;
}

double spi_leak_before(const sp_graph *g, int act)
{
    for (; g->acts[act].producer >= 0; act = g->nodes[g->acts[act].producer].in[0]) {
        const sp_node *n = &g->nodes[g->acts[act].producer];
        if (n->type == SP_NODE_NEURON)
            return spi_neuron_decay(&n->layer->neuron);
    }
    return 0;
}

/* The spikes of the neuron nearest before each layer with weights are what the trace follows. */
static void compute_trace_decays(sp_builder *b)
{
    for (int i = 0; i < b->g->n_nodes; i++) {
        const sp_node *n = &b->g->nodes[i];
        b->node[i].trace_decay =
            spi_leak_before(b->g, n->type == SP_NODE_RECURRENT ? b->g->nodes[i + 1].out : n->in[0]);
    }
}

sp_status spi_clear(sp_builder *b, int node, const char *what, int tensor)
{
    return spi_clear_at(b, node, what, tensor, 0);
}

sp_status spi_clear_at(sp_builder *b, int node, const char *what, int tensor, int dt)
{
    sp_emit e = spi_step(b, node, "fill");
    snprintf(e.step.label, sizeof e.step.label, "%s%sclear %s", node >= 0 ? b->g->nodes[node].name : "",
             node >= 0 ? " " : "", what);
    spi_int(&e, "M", (int64_t)(b->p->tensors[tensor].bytes / 4));
    spi_float(&e, "value", 0);
    spi_bind_at(&e, "y", tensor, dt, 0);
    return spi_emit(&e);
}

sp_status spi_scaled(sp_builder *b, int node, const char *what, int from, int64_t rows, int64_t cols,
                     double factor, sp_lifetime lifetime, int *out)
{
    SP_TRY(spi_node_tensor(b, node, what, rows * cols, lifetime, out));
    sp_emit e = spi_step(b, node, "scale");
    spi_int(&e, "M", rows), spi_int(&e, "C", cols);
    spi_float(&e, "factor", factor);
    spi_bind(&e, "x", from), spi_bind(&e, "y", *out);
    return spi_emit(&e);
}

sp_status spi_add_scaled_gradient(sp_builder *b, int node, int param, int g_scaled, double factor)
{
    int64_t c = b->g->params[param].elems;
    int g;
    SP_TRY(spi_scaled(b, node, "weight gradient", g_scaled, 1, c, factor, SP_LIFETIME_SEGMENT, &g));
    sp_emit e = spi_step(b, node, "bias.backward");
    spi_int(&e, "M", 1), spi_int(&e, "C", c);
    spi_bind(&e, "e", g);
    SP_TRY(spi_bind_param(&e, "g_bias", param, true));
    return spi_emit(&e);
}

static bool has_factor(const sp_builder *b, const sp_node *n)
{
    double f = b->g->acts[n->in[0]].factor;
    return f < 1.0 || f > 1.0;
}

static sp_status standardise_weights(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_param *w = &b->g->params[n->weight];
    int64_t k = w->elems / w->o;
    int weight, *gain = &b->node[node].w_gain;
    SP_TRY(spi_param_tensor(b, n->weight, false, &weight));
    SP_TRY(spi_param_tensor(b, n->gain, false, gain));
    if (has_factor(b, n))
        SP_TRY(spi_scaled(b, node, "scaled gain", *gain, 1, w->o, b->g->acts[n->in[0]].factor,
                          SP_LIFETIME_PLAN, gain));
    SP_TRY(spi_tensor_new(b, "standardised weight", w->elems, SP_LIFETIME_PLAN, &b->node[node].w_hat[0]));
    SP_TRY(spi_tensor_new(b, "weight mean", w->o, SP_LIFETIME_PLAN, &b->node[node].w_hat[1]));
    SP_TRY(spi_tensor_new(b, "weight 1/std", w->o, SP_LIFETIME_PLAN, &b->node[node].w_hat[2]));
    sp_emit e = spi_step(b, node, "weight_std.forward");
    spi_int(&e, "K", k), spi_int(&e, "O", w->o);
    spi_float(&e, "eps", n->layer->eps);
    spi_bind(&e, "w", weight), spi_bind(&e, "gain", *gain), spi_bind(&e, "w_hat", b->node[node].w_hat[0]);
    spi_bind(&e, "mean", b->node[node].w_hat[1]), spi_bind(&e, "rstd", b->node[node].w_hat[2]);
    SP_TRY(spi_emit(&e));
    if (!b->training)
        return SP_OK;
    SP_TRY(spi_tensor_new(b, "standardised weight gradient", w->elems, SP_LIFETIME_PLAN,
                          &b->node[node].g_w_hat));
    return spi_clear(b, node, "standardised weight gradient", b->node[node].g_w_hat);
}

static sp_status destandardise_gradients(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_param *w = &b->g->params[n->weight];
    int g_gain;
    SP_TRY(spi_param_tensor(b, n->gain, true, &g_gain));
    if (has_factor(b, n)) {
        SP_TRY(spi_tensor_new(b, "scaled gain gradient", w->o, SP_LIFETIME_SEGMENT, &g_gain));
        SP_TRY(spi_clear(b, node, "scaled gain gradient", g_gain));
    }
    sp_emit e = spi_step(b, node, "weight_std.backward");
    spi_int(&e, "K", w->elems / w->o), spi_int(&e, "O", w->o);
    spi_bind(&e, "g_w_hat", b->node[node].g_w_hat);
    spi_bind(&e, "mean", b->node[node].w_hat[1]), spi_bind(&e, "rstd", b->node[node].w_hat[2]);
    SP_TRY(spi_bind_param(&e, "w", n->weight, false));
    spi_bind(&e, "gain", b->node[node].w_gain);
    SP_TRY(spi_bind_param(&e, "g_w", n->weight, true));
    spi_bind(&e, "g_gain", g_gain);
    SP_TRY(spi_emit(&e));
    return has_factor(b, n) ? spi_add_scaled_gradient(b, node, n->gain, g_gain, b->g->acts[n->in[0]].factor)
                            : SP_OK;
}

/* What has to be done once after every change of the parameters. */
static sp_status emit_weight_preamble(sp_builder *b)
{
    if (b->training) {
        int gradients;
        SP_TRY(spi_tensor_fixed(b, "gradients", b->p->model->g_at, b->g->param_elems, &gradients));
        SP_TRY(spi_clear(b, -1, "gradients", gradients));
    }
    for (int i = 0; i < b->g->n_nodes; i++)
        if (b->g->nodes[i].standardized)
            SP_TRY(standardise_weights(b, i));
        else if (b->g->nodes[i].type == SP_NODE_SYNAPSE && b->g->nodes[i].w >= 0)
            SP_TRY(spi_synapse_decay(b, i));
        else if (b->g->nodes[i].weight >= 0 && b->p->o.weight_bits)
            SP_TRY(spi_quantise_weights(b, i));
    SP_TRY(spi_online_begin(b));
    for (int i = 0; i < b->g->n_nodes; i++)
        if (spi_node_is_static(b, i)) {
            SP_TRY(spi_forward_node(b, i));
            SP_TRY(spi_sum_errors_begin(b, i));
        } else if (spi_norm_is_static(b, i)) {
            SP_TRY(spi_norm_statistics(b, i));
        }
    return SP_OK;
}

static sp_status emit_begin(sp_builder *b)
{
    b->segment = SP_SEGMENT_BEGIN;
    SP_TRY(spi_clear(b, -1, "loss", b->p->loss));
    for (int i = 0; i < b->g->n_nodes; i++)
        if (b->g->nodes[i].type == SP_NODE_DROPOUT && b->training && !b->g->nodes[i].layer->each_step)
            SP_TRY(spi_draw_mask(b, i));
    SP_TRY(spi_recurrent_begin(b));
    SP_TRY(spi_stabilise_begin(b));
    SP_TRY(spi_delay_begin(b));
    SP_TRY(spi_local_begin(b));
    return b->p->o.online_update ? SP_OK : emit_weight_preamble(b);
}

static sp_status finish_gradients(sp_builder *b)
{
    for (int i = 0; i < b->g->n_nodes && b->training; i++) {
        SP_TRY(spi_sum_errors_end(b, i));
        if (b->g->nodes[i].standardized)
            SP_TRY(destandardise_gradients(b, i));
    }
    return SP_OK;
}

/* The loss of this time step with its gradient by the outputs of it. The loss of the mean or the sum of all
 * outputs is estimated from those so far: in bptt the last estimate, which is exact, is the one that counts.
 */
static sp_status emit_loss(sp_builder *b, int logits)
{
    const sp_plan_options *o = &b->p->o;
    const double steps = (double)o->time_steps, block = b->rates ? (double)sp_plan_block(b->p) : 1;
    const bool total = o->loss_of != SP_LOSS_OF_STEP, count = o->loss_of == SP_LOSS_OF_COUNT;
    SP_TRY(spi_tensor_new(b, "gradient of the logits", o->batch * b->g->classes,
                          total ? SP_LIFETIME_PLAN : SP_LIFETIME_SEGMENT, &b->g_logits));
    sp_emit e = spi_step(b, -1, o->loss ? "loss.targets" : "loss");
    spi_int(&e, "N", o->batch), spi_int(&e, "K", b->g->classes);
    spi_float(&e, "w_t", total ? 1.0 : block / steps), spi_float(&e, "w_g", count ? block : block / steps);
    spi_float(&e, "gain", count ? steps : 1.0), spi_float(&e, "steps", steps);
    if (o->loss) {
        spi_flag(&e, "BCE", o->loss == SP_LOSS_BCE), spi_bind(&e, "targets", b->p->targets);
    } else {
        spi_float(&e, "w_ce", o->w_ce), spi_float(&e, "w_mse", o->w_mse);
        spi_float(&e, "smoothing", o->label_smoothing), spi_float(&e, "mse_target", o->mse_target);
        spi_flag(&e, "ONE_HOT", o->mse_one_hot);
    }
    spi_flag(&e, "TOTAL", total);
    spi_flag(&e, "WEIGHTED", b->p->class_weights >= 0);
    spi_bind(&e, "logits", total ? b->p->logits_sum : logits), spi_bind(&e, "labels", b->p->labels);
    spi_bind(&e, "class_weights", b->p->class_weights);
    spi_bind(&e, "g_logits", b->g_logits), spi_bind(&e, "loss", b->p->loss);
    return spi_emit(&e);
}

/* The outputs of a time step as float32: a network may end in spikes. */
static sp_status outputs_of(sp_builder *b, int *out)
{
    const int act = b->g->logits;
    *out = b->act[act].tensor;
    return b->g->acts[act].bits ? spi_unpack(b, b->g->acts[act].producer, act, out) : SP_OK;
}

/* Sum of the outputs, and the loss. */
static sp_status emit_outputs(sp_builder *b, bool with_loss)
{
    int logits;
    SP_TRY(outputs_of(b, &logits));
    sp_emit s = spi_step(b, -1, "logits.accumulate");
    spi_int(&s, "N", b->p->o.batch), spi_int(&s, "K", b->g->classes);
    spi_bind(&s, "logits", logits), spi_bind(&s, "sum", b->p->logits_sum);
    SP_TRY(spi_emit(&s));
    return with_loss ? emit_loss(b, logits) : SP_OK;
}

static void forget_activations(sp_builder *b)
{
    for (int i = 1; i < b->g->n_acts; i++)
        if (!spi_node_is_static(b, b->g->acts[i].producer))
            b->act[i].tensor = -1;
}

static sp_status clear_step_spikes(sp_builder *b)
{
    sp_plan *p = b->p;
    return p->step_spikes < 0 ? SP_OK : spi_clear(b, -1, "spikes of the step", p->step_spikes);
}

/* Forward, with a copy of the outputs; and backward, from their gradient to that of the input. */
static sp_status emit_external_loss(sp_builder *b)
{
    sp_plan *p = b->p;
    int64_t rows = p->o.batch, k = b->g->classes;
    const sp_activation *in = &b->g->acts[0];
    const bool apart = sp_plan_steps_apart(p);
    b->segment = apart ? SP_SEGMENT_FULL : SP_SEGMENT_FORWARD;
    SP_TRY(spi_forward(b));
    b->segment = apart ? SP_SEGMENT_FULL : spi_forward_segment(b->act[b->g->logits].stage);
    SP_TRY(emit_outputs(b, false));
    int logits;
    SP_TRY(outputs_of(b, &logits));
    SP_TRY(spi_scaled(b, b->g->n_nodes - 1, "outputs of the step", logits, rows, k, 1.0, SP_LIFETIME_HISTORY,
                      &p->step_logits));
    sp_segment *g = &p->segments[b->segment];
    g->steps[g->n - 1].sync = apart ? SP_SYNC_OUTPUTS : SP_SYNC_NONE;
    SP_TRY(spi_tensor_new(b, "gradient of the outputs", rows * k, SP_LIFETIME_HISTORY, &p->g_step_logits));
    b->g_logits = p->g_step_logits;
    b->segment = apart ? SP_SEGMENT_FULL : SP_SEGMENT_BACKWARD;
    SP_TRY(spi_backward(b));
    b->segment = SP_SEGMENT_BACKWARD;
    if (p->o.input_gradient)
        SP_TRY(spi_scaled(b, 0, "gradient of the input", b->act[0].gradient, spi_rows(b, in), in->c, 1.0,
                          SP_LIFETIME_HISTORY, &p->g_input));
    p->tensors[p->step_logits].contiguous = p->tensors[p->g_step_logits].contiguous = true;
    if (p->g_input >= 0)
        p->tensors[p->g_input].contiguous = true;
    return SP_OK;
}

/* Forward steps add up what the backward pass behind each block reads. */
static sp_status emit_rates(sp_builder *b)
{
    b->segment = SP_SEGMENT_FORWARD;
    SP_TRY(spi_rate_input(b));
    SP_TRY(spi_forward(b));
    SP_TRY(emit_outputs(b, false));
    forget_activations(b);
    b->segment = SP_SEGMENT_BACKWARD;
    spi_rate_begin(b);
    SP_TRY(spi_rate_value(b, b->g->logits));
    SP_TRY(emit_loss(b, b->act[b->g->logits].tensor));
    return spi_backward(b);
}

/* Whether some time steps run forward alone, and which they are is known with the mini-batch. */
static bool draws_steps(sp_method m)
{
    return m == SP_METHOD_SLTT_K || m == SP_METHOD_LTL;
}

static sp_status emit_time_steps(sp_builder *b)
{
    sp_method m = b->p->o.method;
    if (b->p->o.external_loss)
        return emit_external_loss(b);
    if (m == SP_METHOD_RATE)
        return emit_rates(b);
    if (m == SP_METHOD_EVAL || m == SP_METHOD_BPTT || draws_steps(m)) {
        b->segment = SP_SEGMENT_FORWARD;
        SP_TRY(clear_step_spikes(b));
        SP_TRY(spi_forward(b));
        b->segment = spi_forward_segment(b->act[b->g->logits].stage);
        SP_TRY(emit_outputs(b, !draws_steps(m) || b->p->o.loss_of != SP_LOSS_OF_STEP));
    }
    if (m == SP_METHOD_EVAL)
        return SP_OK;
    if (m == SP_METHOD_BPTT) {
        b->segment = SP_SEGMENT_BACKWARD;
        return spi_backward(b);
    }
    forget_activations(b);
    b->segment = SP_SEGMENT_FULL;
    if (b->p->o.online_update)
        SP_TRY(emit_weight_preamble(b));
    SP_TRY(clear_step_spikes(b));
    SP_TRY(spi_forward(b));
    SP_TRY(emit_outputs(b, true));
    SP_TRY(spi_backward(b));
    if (!b->p->o.online_update)
        return SP_OK;
    SP_TRY(finish_gradients(b));
    return spi_update(b);
}

static sp_status emit_end(sp_builder *b)
{
    const sp_plan_options *o = &b->p->o;
    b->segment = SP_SEGMENT_END;
    if (!o->online_update)
        SP_TRY(finish_gradients(b));
    SP_TRY(spi_online_end(b));
    if (b->training)
        SP_TRY(spi_sum_gradients(b));
    if (o->external_loss)
        return SP_OK;
    if (o->loss == SP_LOSS_MSE) /* no sample is right or wrong */
        return spi_clear(b, -1, "correct", b->p->correct);
    sp_emit e = spi_step(b, -1, o->loss ? "metrics.match" : "metrics.correct");
    spi_int(&e, "N", o->batch), spi_int(&e, "K", b->g->classes);
    spi_bind(&e, "sum", b->p->logits_sum), spi_bind(&e, "correct", b->p->correct);
    spi_bind(&e, o->loss ? "targets" : "labels", o->loss ? b->p->targets : b->p->labels);
    return spi_emit(&e);
}

/* One stage: blocks of time steps, forward and then backward; or each step by itself. */
static sp_timeline_entry *emit_steps(const sp_plan *p, sp_timeline_entry *m)
{
    const int T = (int)p->o.time_steps, block = (int)sp_plan_block(p);
    const sp_method method = p->o.method;
    const bool rate = method == SP_METHOD_RATE, apart = sp_plan_steps_apart(p);
    const bool blocks = method == SP_METHOD_BPTT || (p->o.external_loss && !apart);
    const sp_condition drawn = draws_steps(method) ? SP_IF_BACKPROP : SP_ALWAYS;
    for (int t = 0; t < T; t++) {
        if (method == SP_METHOD_EVAL || blocks || rate)
            *m++ = (sp_timeline_entry){SP_SEGMENT_FORWARD, t, SP_ALWAYS};
        else if (draws_steps(method) && !apart)
            *m++ = (sp_timeline_entry){SP_SEGMENT_FORWARD, t, SP_IF_NOT_BACKPROP};
        if (method != SP_METHOD_EVAL && !blocks && !rate)
            *m++ = (sp_timeline_entry){SP_SEGMENT_FULL, t, apart ? SP_ALWAYS : drawn};
        bool block_ends = (t + 1) % block == 0 || t + 1 == T;
        if (rate && block_ends)
            *m++ = (sp_timeline_entry){SP_SEGMENT_BACKWARD, t, SP_ALWAYS};
        for (int back = t; block_ends && back >= t / block * block && blocks; back--)
            *m++ = (sp_timeline_entry){SP_SEGMENT_BACKWARD, back, drawn};
    }
    return m;
}

static sp_status emit_timeline(sp_plan *p, sp_error *err)
{
    const int T = (int)p->o.time_steps;
    p->timeline = sp_alloc_array((size_t)(2 * p->n_stages * (T + 1) + 2), sizeof *p->timeline);
    if (!p->timeline)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
    sp_timeline_entry *m = p->timeline;
    *m++ = (sp_timeline_entry){SP_SEGMENT_BEGIN, -1, SP_ALWAYS};
    m = p->n_stages > 1 ? m + spi_stage_timeline(p, m) : emit_steps(p, m);
    *m++ = (sp_timeline_entry){SP_SEGMENT_END, -1, SP_ALWAYS};
    p->n_timeline = (int)(m - p->timeline);
    p->n_forward = 1 + (int)sp_plan_block(p) * p->n_stages + p->n_stages - 1; /* with external_loss */
    return SP_OK;
}

/* Tensors that the executor writes or reads. */
static sp_status emit_ports(sp_builder *b)
{
    sp_plan *p = b->p;
    const sp_activation *in = &b->g->acts[0];
    bool history = p->o.sequence && b->history;
    SP_TRY(spi_tensor_new(b, "input", p->o.batch * sp_act_elems(in),
                          history ? SP_LIFETIME_HISTORY : SP_LIFETIME_PLAN, &p->input));
    SP_TRY(spi_tensor_new(b, "labels", p->o.batch, SP_LIFETIME_PLAN, &p->labels));
    SP_TRY(spi_tensor_new(b, "loss", p->o.batch, SP_LIFETIME_PLAN, &p->loss));
    if (p->o.class_weights)
        SP_TRY(spi_tensor_new(b, "class weights", b->g->classes, SP_LIFETIME_PLAN, &p->class_weights));
    if (p->o.loss && !p->o.external_loss)
        SP_TRY(spi_tensor_new(b, "targets", p->o.batch * b->g->classes, SP_LIFETIME_PLAN, &p->targets));
    SP_TRY(spi_tensor_new(b, "sum of logits", p->o.batch * b->g->classes, SP_LIFETIME_PLAN, &p->logits_sum));
    SP_TRY(spi_tensor_new(b, "correct", p->o.batch, SP_LIFETIME_PLAN, &p->correct));
    b->act[0].tensor = p->input;
    for (int i = 0; i < b->g->n_nodes; i++)
        p->n_neuron_layers += b->g->nodes[i].type == SP_NODE_NEURON;
    if (p->o.step_spikes && p->n_neuron_layers)
        SP_TRY(spi_tensor_new(b, "spikes by time step", 64 * p->n_neuron_layers, SP_LIFETIME_HISTORY,
                              &p->step_spikes));
    return SP_OK;
}

sp_status spi_emit_plan(sp_builder *b)
{
    sp_plan *p = b->p;
    if (p->o.integer) {
        SP_TRY(spi_integer_emit(b));
        return emit_timeline(p, b->err);
    }
    compute_trace_decays(b);
    SP_TRY(spi_stages_begin(b));
    SP_TRY(spi_recompute_begin(b));
    SP_TRY(emit_ports(b));
    SP_TRY(emit_begin(b));
    SP_TRY(emit_time_steps(b));
    SP_TRY(emit_end(b));
    b->segment = SP_SEGMENT_UPDATE;
    if (b->training && !p->o.online_update && !p->o.external_loss)
        SP_TRY(spi_update(b));
    return emit_timeline(p, b->err);
}
