/* What each schedule emits, without any device: ops by segment, lifetimes of tensors, the timeline. */
#include <math.h>

#include "emit.h"

Test(emit, sltt_goes_forward_and_back_in_one_segment)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT, 3);
    planned r = plan_of(net, &o);
    /* the input is the same at every step, and so is what the first norm makes of it */
    EXPECT_OPS(r.p, SP_SEGMENT_BEGIN, "fill fill conv.forward batch_norm.statistics");
    const sp_segment *begin = &r.p->segments[SP_SEGMENT_BEGIN];
    cr_assert_float_eq(sp_call_float(&begin->steps[begin->n - 1].call, "momentum"), 1 - 0.9 * 0.9 * 0.9,
                       1e-12);
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD, "");
    EXPECT_OPS(r.p, SP_SEGMENT_FULL, FORWARD " logits.accumulate loss " BACKWARD);
    EXPECT_OPS(r.p, SP_SEGMENT_END, "fill bias.backward metrics.correct");
    EXPECT_OPS(r.p, SP_SEGMENT_UPDATE, "optimizer.sgd");
    cr_assert_eq(r.p->n_timeline, 1 + 3 + 1);
    cr_assert_eq(tensor_of(r.p, "2 membrane")->lifetime, SP_LIFETIME_PLAN);
    cr_assert_eq(tensor_of(r.p, "2 spikes")->lifetime, SP_LIFETIME_SEGMENT);
    cr_assert_eq(tensor_of(r.p, "0 output")->lifetime, SP_LIFETIME_PLAN);
    for (int s = 0; s < r.p->n_segments; s++)
        for (int i = 0; i < r.p->segments[s].n; i++)
            cr_assert(!r.p->segments[s].steps[i].variant && !r.p->segments[s].steps[i].launch);
    planned_free(&r);
}

Test(emit, rows_of_targets_have_a_loss_and_a_match_of_their_own)
{
    for (int loss = SP_LOSS_MSE; loss <= SP_LOSS_BCE; loss++) {
        sp_plan_options o = options_of(SP_METHOD_SLTT, 3);
        o.loss = (sp_loss)loss;
        planned r = plan_of(net, &o);
        EXPECT_OPS(r.p, SP_SEGMENT_FULL, FORWARD " logits.accumulate loss.targets " BACKWARD);
        EXPECT_OPS(r.p, SP_SEGMENT_END,
                   loss == SP_LOSS_MSE ? "fill bias.backward fill" : "fill bias.backward metrics.match");
        cr_assert(r.p->targets >= 0 && tensor_of(r.p, "targets")->bytes >= 5 * sizeof(float));
        planned_free(&r);
    }
}

Test(emit, memory_of_sltt_does_not_grow_with_time_steps_and_that_of_bptt_does)
{
    static const sp_method methods[] = {SP_METHOD_SLTT, SP_METHOD_BPTT, SP_METHOD_RATE};
    uint64_t bytes[3][2];
    for (int m = 0; m < 3; m++)
        for (int k = 0; k < 2; k++) {
            sp_plan_options o = options_of(methods[m], k ? 9 : 4);
            planned r = plan_of(net, &o);
            bytes[m][k] = r.p->arena_bytes;
            planned_free(&r);
        }
    cr_assert_eq(bytes[0][0], bytes[0][1]);
    cr_assert_lt(bytes[1][0], bytes[1][1]);
    cr_assert_eq(bytes[2][0], bytes[2][1]);
}

/* Its input is the same at every time step, and so one product serves the gradients of all of them. */
Test(emit, a_linear_layer_behind_a_still_input_has_one_weight_gradient)
{
    static const char dense[] = "layers: [{type: flatten}, {type: linear, out: 4}, {type: lif}, {type: "
                                "linear, out: 2}]";
    uint64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        sp_plan_options o = options_of(SP_METHOD_SLTT, i ? 9 : 3);
        planned r = plan_of(dense, &o);
        EXPECT_OPS(r.p, SP_SEGMENT_FULL,
                   "neuron.forward spikes.unpack bias.broadcast gemm logits.accumulate loss spikes.unpack "
                   "gemm "
                   "bias.backward gemm neuron.backward add");
        EXPECT_OPS(r.p, SP_SEGMENT_END, "gemm bias.backward fill bias.backward metrics.correct");
        bytes[i] = r.p->arena_bytes;
        planned_free(&r);
    }
    cr_assert_eq(bytes[0], bytes[1], "memory grows with the time steps");
    sp_plan_options o = options_of(SP_METHOD_SLTT, 3);
    o.sequence = true;
    planned r = plan_of(dense, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_END, "fill bias.backward metrics.correct");
    planned_free(&r);
    o.sequence = false, o.online_update = true;
    r = plan_of(dense, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_END, "fill bias.backward metrics.correct");
    planned_free(&r);
}

Test(emit, sltt_k_has_a_segment_for_steps_without_gradients)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT_K, 2);
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD, FORWARD " logits.accumulate");
    EXPECT_OPS(r.p, SP_SEGMENT_FULL, FORWARD " logits.accumulate loss " BACKWARD);
    cr_assert_eq(r.p->timeline[1].condition, SP_IF_NOT_BACKPROP);
    cr_assert_eq(r.p->timeline[2].condition, SP_IF_BACKPROP);
    planned_free(&r);
}

Test(emit, adaptive_sltt_k_counts_spikes_by_time_step)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT_K, 3);
    o.step_spikes = true;
    planned r = plan_of(net, &o);
    cr_assert_eq(strncmp(ops_of(r.p, SP_SEGMENT_FULL), "fill neuron.forward spikes.count", 32), 0);
    cr_assert_eq(strncmp(ops_of(r.p, SP_SEGMENT_FORWARD), "fill neuron.forward spikes.count", 32), 0);
    cr_assert_eq(sp_plan_slots(r.p, tensor_of(r.p, "spikes by time step")), 3);
    planned_free(&r);
}

Test(emit, bptt_keeps_what_its_backward_segment_reads)
{
    sp_plan_options o = options_of(SP_METHOD_BPTT, 3);
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD, FORWARD " logits.accumulate loss");
    EXPECT_OPS(r.p, SP_SEGMENT_BACKWARD, BACKWARD);
    cr_assert_eq(tensor_of(r.p, "2 spikes")->lifetime, SP_LIFETIME_HISTORY);
    cr_assert_eq(tensor_of(r.p, "3 output")->lifetime, SP_LIFETIME_HISTORY);
    cr_assert_eq(sp_plan_slots(r.p, tensor_of(r.p, "5 membrane")), 3);
    cr_assert_eq(tensor_of(r.p, "dL/dv between steps")->lifetime, SP_LIFETIME_PLAN);
    cr_assert_eq(r.p->n_timeline, 1 + 3 + 3 + 1);
    cr_assert(r.p->timeline[3].segment == SP_SEGMENT_FORWARD && r.p->timeline[3].t == 2);
    cr_assert(r.p->timeline[4].segment == SP_SEGMENT_BACKWARD && r.p->timeline[4].t == 2);
    planned_free(&r);
}

Test(emit, truncated_bptt_goes_back_after_each_block)
{
    static const int segment[] = {0, 1, 1, 3, 3, 1, 3, 4}, t[] = {-1, 0, 1, 1, 0, 2, 2, -1};
    sp_plan_options o = options_of(SP_METHOD_BPTT, 3);
    o.truncate = 2;
    planned r = plan_of(net, &o);
    cr_assert_eq(r.p->n_timeline, 8);
    for (int i = 0; i < 8; i++)
        cr_assert(r.p->timeline[i].segment == segment[i] && r.p->timeline[i].t == t[i], "entry %d", i);
    cr_assert_eq(sp_plan_slots(r.p, tensor_of(r.p, "3 output")), 2);
    planned_free(&r);
}

Test(emit, bptt_with_recompute_runs_the_convolution_again_before_its_norm)
{
    sp_plan_options o = options_of(SP_METHOD_BPTT, 3);
    o.recompute = 1;
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_BACKWARD,
               "spikes.unpack gemm bias.backward gemm neuron.backward conv.forward batch_norm.backward "
               "conv.backward_weight conv.backward_input neuron.backward batch_norm.backward "
               "conv.backward_weight");
    cr_assert_eq(tensor_of(r.p, "3 output")->lifetime, SP_LIFETIME_SEGMENT);
    cr_assert_eq(r.p->recompute.n, 1);
    planned_free(&r);
}

Test(emit, ottt_follows_inputs_by_traces_and_may_update_at_every_step)
{
    sp_plan_options o = options_of(SP_METHOD_OTTT, 3);
    o.online_update = true;
    o.optimizer = SP_OPTIMIZER_ADAMW;
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_BEGIN, "fill");
    EXPECT_OPS(r.p, SP_SEGMENT_FULL,
               "fill conv.forward batch_norm.statistics " FORWARD " logits.accumulate loss trace.update gemm "
               "bias.backward gemm "
               "neuron.backward batch_norm.backward trace.update conv.backward_weight conv.backward_input "
               "neuron.backward batch_norm.backward conv.backward_weight optimizer.adamw");
    EXPECT_OPS(r.p, SP_SEGMENT_UPDATE, "");
    cr_assert_eq(tensor_of(r.p, "presynaptic trace")->lifetime, SP_LIFETIME_PLAN);
    planned_free(&r);
}

Test(emit, evaluation_folds_norms_and_has_no_gradients)
{
    sp_plan_options o = options_of(SP_METHOD_EVAL, 3);
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD,
               "neuron.forward conv.forward neuron.forward spikes.unpack bias.broadcast gemm "
               "logits.accumulate loss");
    EXPECT_OPS(r.p, SP_SEGMENT_BEGIN, "fill conv.forward batch_norm.fold batch_norm.fold");
    cr_assert_eq(r.p->gradient_sums, -1);
    planned_free(&r);
}

Test(emit, recurrent_layers_read_the_spikes_of_the_step_before)
{
    static const char recurrent[] = "layers:\n"
                                    "  - {type: flatten}\n"
                                    "  - {type: linear, out: 6}\n"
                                    "  - {type: lif, recurrent: true}\n"
                                    "  - {type: linear, out: 5}\n";
    for (int bptt = 0; bptt < 2; bptt++) {
        sp_plan_options o = options_of(bptt ? SP_METHOD_BPTT : SP_METHOD_SLTT, 3);
        o.sequence = true;
        planned r = plan_of(recurrent, &o);
        const sp_segment *g = &r.p->segments[bptt ? SP_SEGMENT_FORWARD : SP_SEGMENT_FULL];
        int before = 0;
        for (int i = 0; i < g->n; i++)
            for (int k = 0; k < SP_OP_MAX_BUFFERS; k++)
                before += g->steps[i].operands[k].tensor >= 0 && g->steps[i].operands[k].dt == -1 &&
                          strstr(g->steps[i].label, "spikes.unpack") != NULL;
        cr_assert_eq(before, bptt ? 1 : 2, "%d reads", before); /* SLTT also for the gradient of the matrix */
        planned_free(&r);
    }
}

/* Spikes stay bits behind a maximum and a delay where what follows reads bits. */
Test(emit, delays_keep_a_place_for_each_step)
{
    static const char delayed[] = "layers: [{type: conv, out: 4, kernel: 3}, {type: lif}, {type: max_pool, "
                                  "kernel: 2}, {type: delay, steps: 2}, {type: flatten}, {type: linear, out: "
                                  "5}]";
    sp_plan_options o = options_of(SP_METHOD_BPTT, 3);
    o.sequence = true;
    planned r = plan_of(delayed, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_BEGIN, "fill fill fill fill");
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD,
               "conv.forward neuron.forward pool.spikes.forward fill delay spikes.unpack bias.broadcast gemm "
               "logits.accumulate loss");
    EXPECT_OPS(r.p, SP_SEGMENT_BACKWARD,
               "spikes.unpack gemm bias.backward gemm delay pool.max.backward neuron.backward "
               "conv.backward_weight bias.backward");
    cr_assert_eq(sp_plan_slots(r.p, tensor_of(r.p, "3 past")), 2);
    cr_assert_eq(sp_plan_slots(r.p, tensor_of(r.p, "3 gradient")), 2);
    planned_free(&r);
}

/* A learnt decay is computed once a mini-batch; where nothing is learnt, sltt has nothing to do in it. */
Test(emit, synapses_keep_their_output)
{
    static const char learnt[] = "layers: [{type: conv, out: 4, kernel: 3}, {type: lif}, {type: synapse, "
                                 "tau: 2, "
                                 "learn: true, per_channel: true}, {type: flatten}, {type: linear, out: 5}]",
                      fixed[] = "layers: [{type: conv, out: 4, kernel: 3}, {type: lif}, {type: synapse, tau: "
                                "2}, "
                                "{type: flatten}, {type: linear, out: 5}]";
    for (int bptt = 0; bptt < 2; bptt++) {
        sp_plan_options o = options_of(bptt ? SP_METHOD_BPTT : SP_METHOD_SLTT, 3);
        o.sequence = true;
        planned r = plan_of(learnt, &o);
        EXPECT_OPS(r.p, SP_SEGMENT_BEGIN, "fill fill synapse.decay");
        cr_assert_eq(sp_plan_slots(r.p, tensor_of(r.p, "2 output")), bptt ? 3 : 2);
        planned_free(&r);
        r = plan_of(fixed, &o);
        EXPECT_OPS(r.p, bptt ? SP_SEGMENT_BACKWARD : SP_SEGMENT_FULL,
                   bptt ? "gemm bias.backward gemm synapse.backward neuron.backward conv.backward_weight "
                          "bias.backward"
                        : "conv.forward neuron.forward synapse.forward bias.broadcast gemm logits.accumulate "
                          "loss "
                          "gemm bias.backward gemm neuron.backward conv.backward_weight bias.backward");
        cr_assert_eq(sp_plan_slots(r.p, tensor_of(r.p, "2 output")), bptt ? 3 : 1);
        planned_free(&r);
    }
    static const sp_method none[] = {SP_METHOD_OTTT, SP_METHOD_NDOT, SP_METHOD_RATE};
    for (int i = 0; i < 3; i++) {
        sp_plan_options o = options_of(none[i], 3);
        sp_error err = {0};
        refused_plan(fixed, &o, &err);
        cr_assert(strstr(err.text, "is not defined for synapse"), "%s", err.text);
    }
}

Test(emit, delays_are_refused_where_they_have_no_gradient)
{
    static const struct {
        sp_method method;
        int64_t steps, truncate;
        const char *says;
    } cases[] = {{SP_METHOD_SLTT, 4, 0, "layer 2: sltt has no gradient through a delay"},
                 {SP_METHOD_SLTT_K, 4, 0, "layer 2: sltt-k has no gradient through a delay"},
                 {SP_METHOD_OTTT, 4, 0, "layer 2: ottt has no gradient through a delay"},
                 {SP_METHOD_NDOT, 4, 0, "layer 2: ndot has no gradient through a delay"},
                 {SP_METHOD_RATE, 4, 0, "layer 2: rate has no gradient through a delay"},
                 {SP_METHOD_BPTT, 2, 0, "a delay of 2 steps in a network that runs for 2 time steps"},
                 {SP_METHOD_EVAL, 2, 0, "a delay of 2 steps in a network that runs for 2 time steps"},
                 {SP_METHOD_BPTT, 4, 2, "a delay of 2 steps has no gradient where schedule.truncate goes"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_plan_options o = options_of(cases[i].method, cases[i].steps);
        sp_error err = {0};
        o.truncate = cases[i].truncate;
        refused_plan("layers: [{type: flatten}, {type: linear, out: 4}, {type: delay, steps: 2}, {type: "
                     "lif}, "
                     "{type: linear, out: 2}]",
                     &o, &err);
        cr_assert(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
    }
}

Test(emit, td_batch_norm_cuts_the_graph_into_stages)
{
    static const char td[] = "layers:\n"
                             "  - {type: conv, out: 4, kernel: 3, padding: 1}\n"
                             "  - {type: td_batch_norm}\n"
                             "  - {type: lif}\n"
                             "  - {type: flatten}\n"
                             "  - {type: linear, out: 5}\n";
    sp_plan_options o = options_of(SP_METHOD_BPTT, 2);
    o.sequence = true;
    planned r = plan_of(td, &o);
    static const char *const names[] = {"begin",        "forward",    "forward",
                                        "statistics 1", "forward 2",  "forward 2",
                                        "backward 2",   "backward 2", "sums of gradients 1",
                                        "backward",     "backward",   "end"};
    static const int t[] = {-1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0, -1};
    cr_assert_eq(r.p->n_stages, 2);
    cr_assert_eq(r.p->n_timeline, 12);
    for (int i = 0; i < 12; i++) {
        cr_assert_str_eq(r.p->segments[r.p->timeline[i].segment].name, names[i], "entry %d", i);
        cr_assert_eq(r.p->timeline[i].t, t[i], "entry %d", i);
    }
    cr_assert(tensor_of(r.p, "0 output")->contiguous);
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD, "conv.forward");
    planned_free(&r);
}

Test(emit, a_loss_of_the_caller_comes_between_all_forward_and_all_backward_steps)
{
    for (int gradient = 0; gradient < 2; gradient++) {
        sp_plan_options o = options_of(SP_METHOD_SLTT_K, 3);
        o.external_loss = true;
        o.input_gradient = gradient;
        planned r = plan_of(net, &o);
        EXPECT_OPS(r.p, SP_SEGMENT_FORWARD, FORWARD " logits.accumulate scale");
        EXPECT_OPS(r.p, SP_SEGMENT_FULL, "");
        EXPECT_OPS(r.p, SP_SEGMENT_BACKWARD, gradient ? BACKWARD " conv.backward_input scale" : BACKWARD);
        EXPECT_OPS(r.p, SP_SEGMENT_END, "fill bias.backward");
        EXPECT_OPS(r.p, SP_SEGMENT_UPDATE, "");
        cr_assert_eq(r.p->n_forward, 1 + 3);
        cr_assert_eq(r.p->n_timeline, 1 + 3 + 3 + 1);
        const sp_timeline_entry *back = &r.p->timeline[r.p->n_forward];
        cr_assert(back->segment == SP_SEGMENT_BACKWARD && back->t == 2 && back->condition == SP_IF_BACKPROP);
        cr_assert_eq(tensor_of(r.p, "2 membrane")->lifetime, SP_LIFETIME_HISTORY);
        cr_assert_eq(r.p->g_input >= 0, gradient);
        planned_free(&r);
    }
}

/* The bytes of activations that live from the forward to the backward pass, shared between layers. */
static uint64_t working_bytes(const sp_plan *p)
{
    return p->arena_bytes - p->state_bytes;
}

Test(emit, a_loss_of_the_caller_at_each_time_step_takes_the_memory_of_sltt)
{
    static const int segments[] = {SP_SEGMENT_BEGIN, SP_SEGMENT_FULL, SP_SEGMENT_FULL, SP_SEGMENT_END};
    sp_plan_options o = options_of(SP_METHOD_SLTT, 2);
    planned sltt = plan_of(net, &o);
    o.external_loss = true;
    o.truncate = 1;
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD, "");
    EXPECT_OPS(r.p, SP_SEGMENT_FULL, FORWARD " logits.accumulate scale " BACKWARD);
    EXPECT_OPS(r.p, SP_SEGMENT_BACKWARD, "");
    cr_assert_eq(r.p->n_timeline, 4);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(r.p->timeline[i].segment, segments[i], "entry %d", i);
    cr_assert_eq(sp_plan_slots(r.p, tensor_of(r.p, "2 membrane")), 1);
    cr_assert(working_bytes(sltt.p) > 0 && working_bytes(r.p) <= working_bytes(sltt.p));
    planned_free(&sltt);
    planned_free(&r);
}
