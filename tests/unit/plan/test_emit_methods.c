/* What methods of other papers emit: rates, traces, local losses, binary weights, norms and thresholds that
 * follow. */
#include <math.h>

#include "emit.h"

Test(emit_methods, rate_goes_back_once_behind_each_block)
{
    sp_plan_options o = options_of(SP_METHOD_RATE, 6);
    o.block = 3;
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD,
               "batch_norm.statistics batch_norm.rate neuron.forward_rate conv.forward batch_norm.statistics "
               "batch_norm.rate neuron.forward_rate spikes.unpack bias.broadcast gemm logits.accumulate");
    EXPECT_OPS(r.p, SP_SEGMENT_BACKWARD, /* no conv.forward on rates */
               "spikes.mean bias.broadcast gemm loss gemm bias.backward gemm mul batch_norm.backward "
               "spikes.mean conv.backward_weight conv.backward_input mul batch_norm.backward "
               "conv.backward_weight");
    EXPECT_OPS(r.p, SP_SEGMENT_FULL, "");
    static const int order[] = {0, 1, 2, 2, 3, 4, 5, 5};
    cr_assert_eq(r.p->n_timeline, 1 + 8 + 1);
    for (int i = 0; i < 8; i++) {
        const sp_timeline_entry *m = &r.p->timeline[1 + i];
        cr_assert(m->t == order[i] && m->segment == (i % 4 == 3 ? SP_SEGMENT_BACKWARD : SP_SEGMENT_FORWARD));
    }
    planned_free(&r);
}

Test(emit_methods, rate_is_refused_where_it_is_not_defined)
{
    static const char *const cases[][2] = {
        {"layers: [{type: flatten}, {type: linear, out: 4}, {type: plif, tau: 2}, {type: linear, out: 2}]",
         "layer 2: rate is not defined for plif"},
        {"layers: [{type: flatten}, {type: linear, out: 4}, {type: lif, recurrent: true}, {type: linear, "
         "out: 2}]",
         "layer 2: rate is not defined for recurrent layers"},
        {"layers: [{type: flatten}, {type: linear, out: 4}, {type: lif}, {type: linear, out: 2}]",
         "schedule.block is 4, which does not divide the 6 time steps"},
        {"layers: [{type: flatten}, {type: linear, out: 4}, {type: lif}, {type: dropout, p: 0.5, mask: "
         "step}, "
         "{type: linear, out: 2}]",
         "layer 3: rate goes back once behind a block of time steps, through one mask"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_plan_options o = options_of(SP_METHOD_RATE, 6);
        o.block = 4;
        sp_error err = {0};
        refused_plan(cases[i][0], &o, &err);
        cr_assert(strstr(err.text, cases[i][1]), "\"%s\" lacks \"%s\"", err.text, cases[i][1]);
    }
}

/* Scale and shift are there before the first time step, and the statistics follow behind the last one. */
Test(emit_methods, online_norms_read_running_statistics)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT, 3);
    o.online_norm = true;
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_BEGIN, "fill fill batch_norm.fold batch_norm.fold conv.forward");
    EXPECT_OPS(r.p, SP_SEGMENT_FULL,
               "batch_norm.statistics batch_norm.online_add neuron.forward conv.forward "
               "batch_norm.statistics "
               "batch_norm.online_add neuron.forward spikes.unpack bias.broadcast gemm logits.accumulate "
               "loss "
               "spikes.unpack gemm bias.backward gemm neuron.backward batch_norm.online_gain fill fill "
               "batch_norm.backward "
               "batch_norm.online_gradient conv.backward_weight conv.backward_input neuron.backward "
               "batch_norm.online_gain "
               "fill fill batch_norm.backward batch_norm.online_gradient conv.backward_weight");
    EXPECT_OPS(r.p, SP_SEGMENT_END,
               "batch_norm.online_follow batch_norm.online_follow fill bias.backward metrics.correct");
    planned_free(&r);
    sp_error err = {0};
    o.method = SP_METHOD_BPTT;
    refused_plan(net, &o, &err);
    cr_assert(strstr(err.text, "schedule.batch_norm: online is not defined for bptt"), "%s", err.text);
    o.method = SP_METHOD_SLTT, o.sync_norm = true;
    refused_plan(net, &o, &err);
    cr_assert(strstr(err.text, "with schedule.sync_batch_norm"), "%s", err.text);
}

Test(emit_methods, a_loss_on_potentials_joins_the_gradient_of_each_neuron)
{
    static const char *const cases[][2] = {
        {"layers: [{type: flatten}, {type: linear, out: 4}, {type: plif, tau: 2}, {type: linear, out: 2}]",
         "layer 2: loss.membrane is for models that keep u alone"},
        {"layers: [{type: flatten}, {type: linear, out: 4}, {type: lif, learn_v_th: true}, {type: linear, "
         "out: 2}]",
         "not for learn_v_th: true"},
        {"layers: [{type: flatten}, {type: lif}, {type: linear, out: 2}]", "the network has none"},
    };
    sp_plan_options o = options_of(SP_METHOD_SLTT, 3);
    sp_error err = {0};
    o.w_membrane = 0.5;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refused_plan(cases[i][0], &o, &err);
        cr_assert(strstr(err.text, cases[i][1]), "\"%s\" lacks \"%s\"", err.text, cases[i][1]);
    }
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FULL,
               FORWARD " logits.accumulate loss spikes.unpack gemm bias.backward gemm neuron.backward "
                       "neuron.penalty "
                       "batch_norm.backward conv.backward_weight conv.backward_input neuron.backward "
                       "neuron.penalty "
                       "batch_norm.backward conv.backward_weight");
    planned_free(&r);
    o.method = SP_METHOD_RATE;
    refused_plan(net, &o, &err);
    cr_assert(strstr(err.text, "loss.membrane is not defined for rate"), "%s", err.text);
}

Test(emit_methods, one_width_of_all_surrogates_is_told_and_moved)
{
    sp_plan_options o = options_of(SP_METHOD_BPTT, 3);
    sp_error err = {0};
    planned r = plan_of(net, &o);
    cr_assert_float_eq(sp_plan_width(r.p), 1, 0, "triangle's own");
    cr_assert_eq(sp_plan_set_width(r.p, 0.75, &err), SP_OK);
    cr_assert_float_eq(sp_plan_width(r.p), 0.75, 0);
    planned_free(&r);
    r = plan_of("layers: [{type: flatten}, {type: linear, out: 5}, {type: lif, width: 2}, {type: linear, "
                "out: 5}, {type: "
                "lif}, {type: linear, out: 5}]",
                &o);
    cr_assert(isnan(sp_plan_width(r.p)), "two widths");
    planned_free(&r);
}

Test(emit_methods, binary_weights_are_turned_and_all_others_descend)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT, 3);
    planned r = plan_of(net, &o);
    const uint64_t as_floats = r.m->bytes;
    planned_free(&r);
    o.binary = SP_BINARY_BSO;
    r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_UPDATE, "optimizer.sgd optimizer.flip optimizer.sgd");
    const sp_step *s = r.p->segments[SP_SEGMENT_UPDATE].steps;
    const sp_graph *g = r.p->graph;
    const sp_param *w = sp_graph_param(g, "3.weight");
    uint64_t covered[2] = {0, r.m->g_at}; /* weights, gradients */
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) {
            const sp_plan_tensor *t = &r.p->tensors[s[i].operands[k].tensor];
            cr_assert_eq(t->fixed_at, covered[k]);
            covered[k] = t->fixed_at + (t->bytes / 4 + 63) / 64 * 64;
        }
    cr_assert_eq(covered[0], r.m->g_at, "weights end where gradients begin");
    cr_assert_eq(covered[1], r.m->m_at);
    cr_assert_eq(r.m->m_at - r.m->g_at, (uint64_t)g->param_elems);
    cr_assert_eq(r.p->tensors[s[1].operands[0].tensor].bytes, 9 * 4 * sizeof(uint32_t));
    cr_assert_eq(as_floats - r.m->bytes, 128 * sizeof(float), "192 elements of floats, 64 of bits");
    cr_assert_eq(sp_call_int(&s[1].call, "M") * sp_call_int(&s[1].call, "C") * sp_call_int(&s[1].call, "O"),
                 w->elems);
    planned_free(&r);
    o.binary = SP_BINARY_T_BSO, o.online_update = true;
    r = plan_of(net, &o);
    cr_assert(r.m->v_at == r.m->bars_at && r.m->e_at == r.m->bars_at + 64, "a few bars, and no second "
                                                                           "moments");
    for (int i = 0; i < r.p->segments[SP_SEGMENT_FULL].n; i++) {
        const sp_step *f = &r.p->segments[SP_SEGMENT_FULL].steps[i];
        if (strncmp(f->call.op->id, "optimizer.flip", 14) == 0)
            cr_assert(sp_call_flag(&f->call, "ADAPT") && sp_call_int(&f->call, "P") == 3);
    }
    planned_free(&r);
    sp_error err = {0};
    o.ema = 0.5;
    refused_plan(net, &o, &err);
    cr_assert(strstr(err.text, "optimizer.binary has weights of 1 and -1"), "%s", err.text);
    o.ema = 0, o.online_update = false;
    refused_plan("layers:\n  - {type: flatten}\n  - {type: linear, out: 4}\n  - {type: lif}\n"
                 "  - {type: linear, out: 5}\n",
                 &o, &err);
    cr_assert(strstr(err.text, "this network has none between these two"), "%s", err.text);
}

/* Spikes of 32 channels and more are counted; floats are made for the gradient of the input, and for all
 * other inputs. */
Test(emit_methods, binary_weights_are_unpacked_only_where_they_are_read_as_floats)
{
    static const char text[] =
        "layers: [{type: conv, out: 31, kernel: 3}, {type: lif}, {type: conv, out: 32, kernel: "
        "2}, {type: lif}, {type: avg_pool, kernel: 2}, {type: conv, out: 32, kernel: 1}, "
        "{type: lif}, {type: conv, out: 32, kernel: 1, groups: 2}, {type: lif}, {type: "
        "flatten}, {type: linear, out: 6}, {type: lif}, {type: linear, out: 5}]";
    static const char trained[] = "layers: [{type: conv, out: 32, kernel: 3}, {type: lif}, {type: conv, out: "
                                  "4, "
                                  "kernel: 2}, {type: lif}, {type: flatten}, {type: linear, out: 5}]";
    sp_plan_options o = options_of(SP_METHOD_EVAL, 3);
    o.binary = SP_BINARY_BSO;
    planned r = plan_of(text, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD,
               "neuron.forward binary.unpack conv.forward neuron.forward pool.avg.forward binary.unpack "
               "conv.forward "
               "neuron.forward binary.unpack group_conv.forward neuron.forward binary_conv.forward "
               "neuron.forward "
               "spikes.unpack bias.broadcast gemm logits.accumulate loss");
    cr_assert_eq(r.m->buffers_at, r.m->weight_elems, "evaluation keeps no gradients");
    planned_free(&r);
    o.method = SP_METHOD_SLTT;
    r = plan_of(trained, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FULL,
               "neuron.forward binary_conv.forward neuron.forward spikes.unpack bias.broadcast gemm "
               "logits.accumulate loss spikes.unpack gemm bias.backward gemm neuron.backward "
               "conv.backward_weight bias.backward binary.unpack conv.backward_input neuron.backward "
               "conv.backward_weight bias.backward");
    cr_assert_eq(tensor_of(r.p, "2 weights as float32")->lifetime, SP_LIFETIME_SEGMENT);
    planned_free(&r);
}

Test(emit_methods, a_stabilised_threshold_is_found_between_charging_and_firing)
{
    static const char text[] = "layers: [{type: conv, out: 4, kernel: 3}, {type: batch_norm}, {type: lif, "
                               "stabilise: "
                               "true}, {type: flatten}, {type: linear, out: 5}]";
    uint64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        sp_plan_options o = options_of(SP_METHOD_SLTT, i ? 9 : 3);
        planned r = plan_of(text, &o);
        EXPECT_OPS(r.p, SP_SEGMENT_FULL,
                   "neuron.forward_ext neuron.stabilise neuron.fire spikes.unpack bias.broadcast gemm "
                   "logits.accumulate loss spikes.unpack gemm bias.backward gemm neuron.backward_ext "
                   "batch_norm.backward conv.backward_weight");
        cr_assert_eq(tensor_of(r.p, "2 threshold")->lifetime, SP_LIFETIME_PLAN);
        bytes[i] = r.p->arena_bytes;
        planned_free(&r);
    }
    cr_assert_eq(bytes[0], bytes[1], "memory grows with the time steps");
    sp_plan_options o = options_of(SP_METHOD_BPTT, 3);
    planned r = plan_of(text, &o);
    cr_assert_eq(tensor_of(r.p, "2 threshold")->lifetime, SP_LIFETIME_HISTORY);
    planned_free(&r);
    o.method = SP_METHOD_RATE, o.block = 3;
    r = plan_of(text, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD,
               "batch_norm.statistics batch_norm.rate neuron.forward_ext neuron.stabilise "
               "neuron.fire_rate spikes.unpack "
               "bias.broadcast "
               "gemm logits.accumulate");
    cr_assert_eq(tensor_of(r.p, "2 threshold")->lifetime, SP_LIFETIME_PLAN);
    planned_free(&r);
    sp_error err = {0};
    o.method = SP_METHOD_NDOT;
    refused_plan(text, &o, &err);
    cr_assert(strstr(err.text, "layer 2: stabilise: true is not defined for ndot"), "%s", err.text);
    o.method = SP_METHOD_SLTT, o.w_membrane = 1;
    refused_plan(text, &o, &err);
    cr_assert(strstr(err.text, "loss.membrane draws potentials to a threshold that does not move"), "%s",
              err.text);
    o.w_membrane = 0;
    refused_plan("layers: [{type: flatten}, {type: linear, out: 4}, {type: alif, tau_a: 3, beta: 0.1, "
                 "stabilise: true}, "
                 "{type: "
                 "linear, out: 2}]",
                 &o, &err);
    cr_assert(strstr(err.text, "unlike \"alif\""), "%s", err.text);
}

Test(emit_methods, ndot_takes_traces_of_neurons_through_what_is_linear)
{
    static const char pooled[] = "layers: [{type: conv, out: 4, kernel: 3}, {type: lif}, {type: scale, "
                                 "factor: 2}, {type: "
                                 "avg_pool, kernel: 2}, {type: flatten}, {type: linear, out: 5}]";
    uint64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        sp_plan_options o = options_of(SP_METHOD_NDOT, i ? 9 : 3);
        planned r = plan_of(pooled, &o);
        EXPECT_OPS(r.p, SP_SEGMENT_FULL,
                   "neuron.forward scale pool.avg.forward bias.broadcast gemm logits.accumulate loss "
                   "neuron.trace scale "
                   "pool.avg.forward gemm bias.backward gemm pool.avg.backward scale neuron.backward "
                   "conv.backward_weight "
                   "bias.backward");
        cr_assert_eq(tensor_of(r.p, "1 trace")->lifetime, SP_LIFETIME_PLAN);
        bytes[i] = r.p->arena_bytes;
        planned_free(&r);
    }
    cr_assert_eq(bytes[0], bytes[1], "memory grows with the time steps");
}

/* The trace goes through the mask that the spikes of its time step went through. */
Test(emit_methods, ndot_draws_a_mask_of_each_step_once)
{
    static const char dropped[] = "layers: [{type: flatten}, {type: linear, out: 4}, {type: lif}, "
                                  "{type: dropout, p: 0.5, mask: step}, {type: linear, out: 2}]";
    sp_plan_options o = options_of(SP_METHOD_NDOT, 3);
    planned r = plan_of(dropped, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_FULL,
               "neuron.forward dropout.mask dropout.apply bias.broadcast gemm logits.accumulate loss "
               "neuron.trace dropout.apply gemm bias.backward gemm dropout.apply neuron.backward add");
    planned_free(&r);
}

Test(emit_methods, ndot_is_refused_where_it_is_not_defined)
{
    static const char *const cases[][2] = {
        {"layers: [{type: flatten}, {type: linear, out: 4}, {type: plif, tau: 2}, {type: linear, out: 2}]",
         "layer 2: ndot is not defined for neuron model \"plif\""},
        {"layers: [{type: flatten}, {type: linear, out: 4}, {type: lif, recurrent: true}, {type: linear, "
         "out: 2}]",
         "layer 2: ndot is not defined for recurrent layers"},
        {"layers: [{type: flatten}, {type: linear, out: 4}, {type: lif, reset: hard}, {type: linear, out: "
         "2}]",
         "layer 2: ndot is not defined for hard resets"},
        {"layers: [{type: conv, out: 4, kernel: 3}, {type: lif}, {type: max_pool, kernel: 2}, {type: "
         "flatten}, "
         "{type: linear, out: 2}]",
         "layer 4: ndot takes the traces of neurons to it, and has none of layer 2"},
        {"layers: [{type: conv, out: 4, kernel: 3, padding: 1}, {type: lif}, {type: concat, from: [1, "
         "input]}, {type: "
         "conv, out: 2, kernel: 3}, {type: adaptive_avg_pool, output: 1}]",
         "layer 3: ndot takes the traces of neurons to it, and has none of the input"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_plan_options o = options_of(SP_METHOD_NDOT, 3);
        sp_error err = {0};
        refused_plan(cases[i][0], &o, &err);
        cr_assert(strstr(err.text, cases[i][1]), "\"%s\" lacks \"%s\"", err.text, cases[i][1]);
    }
}

static const char relu_net[] = "layers:\n"
                               "  - {type: conv, out: 4, kernel: 3, padding: 1}\n"
                               "  - {type: relu}\n"
                               "  - {type: conv, out: 4, kernel: 3, padding: 1}\n"
                               "  - {type: batch_norm}\n"
                               "  - {type: relu}\n"
                               "  - {type: flatten}\n"
                               "  - {type: linear, out: 5}\n";

Test(emit_methods, ltl_has_a_loss_in_each_layer_and_no_backward_pass_to_another)
{
    sp_plan_options o = options_of(SP_METHOD_LTL, 3);
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_BEGIN, "fill quantile quantile fill conv.forward batch_norm.statistics");
    EXPECT_OPS(r.p, SP_SEGMENT_FORWARD,
               "neuron.forward mean.accumulate conv.forward batch_norm.statistics neuron.forward "
               "mean.accumulate spikes.unpack bias.broadcast gemm logits.accumulate");
    EXPECT_OPS(r.p, SP_SEGMENT_FULL,
               "neuron.forward mean.accumulate conv.forward batch_norm.statistics neuron.forward "
               "mean.accumulate spikes.unpack bias.broadcast gemm logits.accumulate loss spikes.unpack gemm "
               "bias.backward loss.local neuron.backward batch_norm.backward conv.backward_weight loss.local "
               "neuron.backward batch_norm.backward conv.backward_weight");
    cr_assert_eq(r.p->timeline[1].condition, SP_IF_NOT_BACKPROP);
    cr_assert_eq(tensor_of(r.p, "2 target")->lifetime, SP_LIFETIME_PLAN);
    cr_assert(r.p->layer_targets[2] >= 0 && r.p->layer_targets[5] >= 0 && r.p->layer_targets[3] < 0);
    planned_free(&r);
}

Test(emit_methods, the_targets_of_ltl_lie_in_the_memory_of_its_teacher)
{
    uint64_t bytes[2];
    sp_plan_options t = options_of(SP_METHOD_EVAL, 1);
    t.keep_outputs = true;
    planned teacher = plan_of(relu_net, &t);
    cr_assert_eq(tensor_of(teacher.p, "1 output")->lifetime, SP_LIFETIME_PLAN);
    for (int k = 0; k < 2; k++) {
        sp_plan_options o = options_of(SP_METHOD_LTL, k ? 9 : 4);
        o.teacher = teacher.p;
        planned r = plan_of(net, &o);
        const sp_plan_tensor *first = tensor_of(r.p, "2 target"), *second = tensor_of(r.p, "5 target");
        cr_assert_eq(first->lifetime, SP_LIFETIME_TEACHER);
        cr_assert_eq(first->fixed_at, (uint64_t)teacher.p->layer_targets[1]);
        cr_assert_eq(second->fixed_at, (uint64_t)teacher.p->layer_targets[4]);
        cr_assert_eq(first->bytes, tensor_of(teacher.p, "1 output")->bytes);
        bytes[k] = r.p->arena_bytes;
        planned_free(&r);
    }
    cr_assert_eq(bytes[0], bytes[1], "memory does not grow with time steps");
    static const struct {
        const char *layers, *says;
    } others[] = {
        {"layers: [{type: conv, out: 4, kernel: 3, padding: 1}, {type: lif}, {type: flatten}, {type: linear, "
         "out: 5}]",
         "teacher: it has 2 layers of relu or qcfs before its outputs, and this network has 1 of neurons"},
        {"layers: [{type: conv, out: 4, kernel: 3, padding: 1}, {type: lif}, {type: avg_pool, kernel: 2}, "
         "{type: conv, out: 4, kernel: 3, padding: 1}, {type: lif}, {type: flatten}, {type: linear, out: 5}]",
         "layer 4 has 4x4x4 neurons (channels x height x width), and layer 4 of the teacher, whose outputs "
         "are its targets, has 4x8x8"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        sp_plan_options o = options_of(SP_METHOD_LTL, 4);
        sp_error err = {0};
        o.teacher = teacher.p;
        refused_plan(others[i].layers, &o, &err);
        cr_assert(strstr(err.text, others[i].says), "%s", err.text);
    }
    planned_free(&teacher);
}

Test(emit_methods, ltl_is_refused_by_name_where_it_makes_no_sense)
{
#define LINEAR "{type: flatten}, {type: linear, out: 4}, "
    static const struct {
        const char *layers, *says;
        bool sequence, external;
    } cases[] = {
        {"layers: [" LINEAR "{type: lif, recurrent: true}, {type: linear, out: 2}]",
         "ltl is not defined for recurrent layers", false, false},
        {"layers: [" LINEAR "{type: relu}, {type: linear, out: 2}]",
         "layer 2: ltl trains layers of neurons, and this one is relu or qcfs", false, false},
        {"layers: [" LINEAR "{type: lif}]", "the network has none before its outputs", false, false},
        {"layers: [" LINEAR "{type: td_batch_norm}, {type: lif}, {type: linear, out: 2}]",
         "td_batch_norm needs schedule.method bptt without truncate, not ltl", false, false},
        {"layers: [" LINEAR "{type: delay, steps: 1}, {type: lif}, {type: linear, out: 2}]",
         "ltl has no gradient through a delay", false, false},
        {"layers: [" LINEAR "{type: lif}, {type: linear, out: 2}]",
         "ltl takes its targets from a network without time", true, false},
        {"layers: [" LINEAR "{type: lif}, {type: linear, out: 2}]",
         "ltl has a loss in each layer, of which a loss outside of the plan knows nothing", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_plan_options o = options_of(SP_METHOD_LTL, 4);
        sp_error err = {0};
        o.sequence = cases[i].sequence, o.external_loss = cases[i].external;
        refused_plan(cases[i].layers, &o, &err);
        cr_assert(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
    }
}

/* By the layer's name, for each model that keeps more than u or learns its leak. */
Test(emit_methods, ottt_is_refused_for_models_that_its_trace_does_not_fit)
{
    static const char *const models[] = {"plif", "plif, per_channel: true", "cuba_lif, tau_syn: 2",
                                         "alif, tau_a: 3, beta: 0.2"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char text[200];
        sp_plan_options o = options_of(SP_METHOD_OTTT, 4);
        sp_error err = {0};
        snprintf(text, sizeof text,
                 "layers: [{type: flatten}, {type: linear, out: 4}, {type: %s, tau: 2}, {type: linear, out: "
                 "2}]",
                 models[i]);
        refused_plan(text, &o, &err);
        cr_assert(strstr(err.text, "layer 2: ottt is not defined for neuron model"), "%s", err.text);
    }
}

Test(emit_methods, quantised_weights_stand_in_for_the_weights_in_every_pass)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT, 3);
    o.weight_bits = 4;
    planned r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_BEGIN,
               "fill fill quantise.largest quantise.apply quantise.largest quantise.apply quantise.largest "
               "quantise.apply conv.forward batch_norm.statistics");
    EXPECT_OPS(r.p, SP_SEGMENT_FULL, FORWARD " logits.accumulate loss " BACKWARD);
    const sp_segment *full = &r.p->segments[SP_SEGMENT_FULL];
    int readers = 0;
    for (int i = 0; i < full->n; i++) {
        const sp_step *s = &full->steps[i];
        const int w = sp_op_buffer_index(s->call.op, "w");
        if (w >= 0 && s->node >= 0) {
            cr_assert_str_eq(r.p->tensors[s->operands[w].tensor].name, "quantised weight", "%s", s->label);
            readers++;
        }
    }
    cr_assert_eq(readers, 2); /* conv.forward and conv.backward_input of the second convolution */
    planned_free(&r);
    o.channel_scales = true;
    r = plan_of(net, &o);
    EXPECT_OPS(r.p, SP_SEGMENT_BEGIN,
               "fill fill quantise.column_largest quantise.apply quantise.column_largest quantise.apply "
               "quantise.largest quantise.apply conv.forward batch_norm.statistics");
    planned_free(&r);
    sp_error err = {0};
    refused_plan("layers: [{type: ws_conv, out: 4, kernel: 3}, {type: lif}, {type: flatten}, {type: linear, "
                 "out: 5}]",
                 &o, &err);
    cr_assert(strstr(err.text, "layer 0: precision.weights: 4"), "%s", err.text);
}
