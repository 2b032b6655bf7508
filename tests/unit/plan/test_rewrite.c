/* The passes that replace steps, with the description of a device and no driver behind it. */
#include "plans.h"

static const char net[] = "layers:\n"
                          "  - {type: conv, out: 4, kernel: 3, padding: 1}\n"
                          "  - {type: batch_norm}\n"
                          "  - {type: lif}\n"
                          "  - {type: conv, out: 4, kernel: 3, padding: 1}\n"
                          "  - {type: batch_norm}\n"
                          "  - {type: lif}\n"
                          "  - {type: flatten}\n"
                          "  - {type: linear, out: 5}\n";

static sp_device described(void)
{
    static char none[] = "";
    return (sp_device){.info = {.name = "described",
                                .type = SP_DEVICE_CPU,
                                .extensions = none,
                                .compute_units = 4,
                                .max_work_group = 256,
                                .max_work_item = {256, 256, 256},
                                .local_bytes = 32768,
                                .global_bytes = UINT64_C(1) << 33,
                                .max_alloc_bytes = UINT64_C(1) << 31}};
}

static planned plan_with(const char *layers, const sp_plan_options *o, const char *force)
{
    static sp_device dev;
    dev = described();
    return plan_on(layers, o, &dev, force);
}

static planned plan_for(const char *layers, sp_method method, double recompute, const char *force)
{
    sp_plan_options o = options_of(method, 3);
    o.unbuilt = true, o.recompute = recompute;
    return plan_with(layers, &o, force);
}

static bool has_op(const sp_plan *p, int segment, const char *family)
{
    return strstr(ops_of(p, segment), family) != NULL;
}

Test(rewrite, every_step_has_a_variant_and_a_reason)
{
    planned r = plan_for(net, SP_METHOD_SLTT, 0, NULL);
    for (int s = 0; s < r.p->n_segments; s++)
        for (int i = 0; i < r.p->segments[s].n; i++)
            cr_assert(r.p->segments[s].steps[i].variant && r.p->segments[s].steps[i].why[0]);
    planned_free(&r);
}

Test(rewrite, a_norm_is_fused_with_its_neuron_unless_one_of_both_is_forced)
{
    planned r = plan_for(net, SP_METHOD_SLTT, 0, NULL);
    cr_assert(has_op(r.p, SP_SEGMENT_FULL, "neuron.backward_norm batch_norm.apply"));
    cr_assert(!has_op(r.p, SP_SEGMENT_FULL, "batch_norm.backward"));
    planned_free(&r);
    r = plan_for(net, SP_METHOD_SLTT, 0, "neuron.backward=reference");
    cr_assert(has_op(r.p, SP_SEGMENT_FULL, "neuron.backward batch_norm.backward"));
    cr_assert(!has_op(r.p, SP_SEGMENT_FULL, "batch_norm.apply"));
    planned_free(&r);
}

static const char still[] = "layers:\n"
                            "  - {type: conv, out: 32, kernel: 3, padding: 1}\n"
                            "  - {type: batch_norm}\n"
                            "  - {type: lif}\n"
                            "  - {type: avg_pool, kernel: 2}\n"
                            "  - {type: conv, out: 64, kernel: 3, padding: 1}\n"
                            "  - {type: batch_norm}\n"
                            "  - {type: lif}\n"
                            "  - {type: avg_pool, kernel: 2}\n"
                            "  - {type: flatten}\n"
                            "  - {type: linear, out: 5}\n";

/* The first norm and convolution see one image: their backward pass runs once, on the sum of the error
 * signals. */
Test(rewrite, what_lies_behind_a_still_image_goes_back_once)
{
    static const sp_method kinds[] = {SP_METHOD_SLTT, SP_METHOD_BPTT, SP_METHOD_OTTT};
    for (int m = 0; m < 3; m++) {
        planned r = plan_for(still, kinds[m], 0, NULL);
        const int timed = kinds[m] == SP_METHOD_BPTT ? SP_SEGMENT_BACKWARD : SP_SEGMENT_FULL;
        cr_assert(has_op(r.p, timed,
                         "neuron.backward_pool batch_norm.apply conv.backward_weight "
                         "conv.backward_input") ||
                      kinds[m] == SP_METHOD_OTTT,
                  "%s", ops_of(r.p, timed));
        cr_assert_eq(has_op(r.p, timed, "neuron.backward_sum"), kinds[m] == SP_METHOD_BPTT, "%s",
                     ops_of(r.p, timed));
        cr_assert(!has_op(r.p, timed, "pool.avg.backward"), "%s", ops_of(r.p, timed));
        cr_assert(has_op(r.p, SP_SEGMENT_END,
                         kinds[m] == SP_METHOD_BPTT ? "batch_norm.backward conv.backward_weight"
                                                    : "neuron.backward_steps batch_norm.apply "
                                                      "conv.backward_weight"),
                  "%s", ops_of(r.p, SP_SEGMENT_END));
        planned_free(&r);
    }
}

static bool clears(const sp_segment *g, int tensor)
{
    for (int i = 0; i < g->n; i++)
        if (spi_is_op(&g->steps[i], "fill") && spi_operand(&g->steps[i], "y").tensor == tensor)
            return true;
    return false;
}

static bool keeps(const sp_plan *p, const char *name)
{
    for (int i = 0; i < p->n_tensors; i++)
        if (strcmp(p->tensors[i].name, name) == 0 &&
            (p->tensors[i].used_in || p->tensors[i].lifetime != SP_LIFETIME_SEGMENT))
            return true;
    return false;
}

static planned plan_of_steps(sp_method method, int time_steps)
{
    sp_plan_options o = options_of(method, time_steps);
    o.unbuilt = true;
    return plan_with(still, &o, NULL);
}

/* Of a neuron behind an image that does not change, no potentials are kept: a time step computes them again,
 * goes back at the one before, and what it begins its sum with needs no clearing. */
Test(rewrite, potentials_behind_a_still_image_are_computed_again)
{
    static const sp_method kinds[] = {SP_METHOD_SLTT, SP_METHOD_OTTT};
    for (int m = 0; m < 2; m++) {
        planned r = plan_of_steps(kinds[m], 5);
        const char *full = ops_of(r.p, SP_SEGMENT_FULL);
        cr_assert_eq(strncmp(full, "neuron.forward_static pool.avg.forward", 38), 0, "%s", full);
        cr_assert(!has_op(r.p, SP_SEGMENT_FULL, "neuron.backward_sum"), "%s", ops_of(r.p, SP_SEGMENT_FULL));
        const sp_segment *end = &r.p->segments[SP_SEGMENT_END], *begin = &r.p->segments[SP_SEGMENT_BEGIN];
        cr_assert(spi_is_op(&end->steps[0], "neuron.backward_static"), "%s", ops_of(r.p, SP_SEGMENT_END));
        cr_assert_eq(sp_call_int(&end->steps[0].call, "steps"), r.p->o.time_steps);
        const int sum = spi_operand(&end->steps[0], "g_x").tensor;
        cr_assert_eq(r.p->tensors[sum].lifetime, SP_LIFETIME_PLAN);
        cr_assert_eq(r.p->tensors[spi_operand(&end->steps[0], "g_y").tensor].lifetime, SP_LIFETIME_PLAN);
        cr_assert(!clears(begin, sum) && !keeps(r.p, "2 membrane"));
        planned_free(&r);
    }
}

/* Behind a pool whose windows have as many pixels as there are time steps, all time steps are one walk, and
 * what they read and write lies side by side. The sum has no place of its own any more. */
Test(rewrite, the_steps_of_a_neuron_before_a_pool_are_one_walk)
{
    static const sp_method kinds[] = {SP_METHOD_SLTT, SP_METHOD_OTTT};
    for (int m = 0; m < 2; m++) {
        planned r = plan_of_steps(kinds[m], 4);
        const sp_segment *begin = &r.p->segments[SP_SEGMENT_BEGIN], *end = &r.p->segments[SP_SEGMENT_END];
        const sp_step *forward = &begin->steps[begin->n - 1], *last = &end->steps[0];
        cr_assert(spi_is_op(forward, "neuron.forward_steps"), "%s", ops_of(r.p, SP_SEGMENT_BEGIN));
        cr_assert(spi_is_op(last, "neuron.backward_steps"), "%s", ops_of(r.p, SP_SEGMENT_END));
        cr_assert(spi_is_op(&end->steps[1], "batch_norm.apply"), "%s", ops_of(r.p, SP_SEGMENT_END));
        cr_assert_eq(strncmp(ops_of(r.p, SP_SEGMENT_FULL), "pool.avg.forward", 16), 0);
        cr_assert_eq(sp_call_int(&forward->call, "steps"), 4);
        cr_assert_eq(sp_call_int(&last->call, "steps"), 4);
        const int kept[] = {spi_operand(forward, "s").tensor, spi_operand(last, "g_y").tensor};
        for (int i = 0; i < 2; i++) {
            const sp_plan_tensor *v = &r.p->tensors[kept[i]];
            cr_assert(v->contiguous && sp_plan_slots(r.p, v) == 4, "%s", v->name);
            for (int t = 0; t < 4; t++)
                cr_assert_eq(sp_plan_at(r.p, kept[i], t),
                             sp_plan_at(r.p, kept[i], -1) + (uint64_t)t * v->bytes);
        }
        const int sum = spi_operand(last, "g_x").tensor;
        cr_assert_eq(r.p->tensors[sum].lifetime, SP_LIFETIME_SEGMENT);
        cr_assert(!clears(begin, sum) && !keeps(r.p, "2 membrane"));
        planned_free(&r);
    }
}

/* One walk is taken where all memory together is no more than that of a step at a time: not where the map,
 * which is wanted behind the time steps then, is larger than all that these work in. */
Test(rewrite, one_walk_takes_no_more_memory)
{
    static const char small[] = "layers: [{type: conv, out: 32, kernel: 3, padding: 1}, {type: batch_norm}, "
                                "{type: lif}, {type: "
                                "avg_pool, kernel: 2}, {type: flatten}, {type: linear, out: 2}]";
    planned walk = plan_of_steps(SP_METHOD_SLTT, 4), steps = plan_of_steps(SP_METHOD_SLTT, 5);
    cr_assert_leq(walk.p->state_bytes, steps.p->state_bytes);
    cr_assert_leq(walk.p->arena_bytes, steps.p->arena_bytes);
    planned_free(&walk), planned_free(&steps);
    walk = plan_for(small, SP_METHOD_SLTT, 0, NULL);
    cr_assert(has_op(walk.p, SP_SEGMENT_FULL, "neuron.forward_static"), "%s",
              ops_of(walk.p, SP_SEGMENT_FULL));
    planned_free(&walk);
}

Test(rewrite, a_longer_walk_is_for_larger_windows)
{
    static const char wide[] =
        "layers: [{type: conv, out: 32, kernel: 3, padding: 1}, {type: lif}, {type: avg_pool, kernel: 4}, "
        "{type: conv, out: 512, kernel: 1}, {type: lif}, {type: flatten}, {type: linear, out: 5}]";
    for (int T = 11; T <= 12; T++) {
        sp_plan_options o = options_of(SP_METHOD_SLTT, T);
        o.unbuilt = true;
        planned r = plan_with(wide, &o, NULL);
        cr_assert_eq(has_op(r.p, SP_SEGMENT_END, "neuron.backward_steps conv.backward_weight"), T == 11,
                     "%d: %s", T, ops_of(r.p, SP_SEGMENT_END));
        cr_assert_eq(has_op(r.p, SP_SEGMENT_FULL, "neuron.forward_static"), T == 12);
        planned_free(&r);
    }
}

/* Where something else reads them, or they are kept as half, or the last time steps would take too long, or
 * there is no kernel for it, or somebody looks at them. A loss of the caller may leave out a time step, whose
 * error is not to be added then. */
Test(rewrite, potentials_that_are_wanted_are_kept)
{
    static const char *const forces[7] = {
        NULL, NULL, NULL, "neuron.forward=reference", NULL, NULL, "neuron.backward_sum=reference"};
    for (int i = 0; i < 7; i++) {
        sp_plan_options o = options_of(SP_METHOD_SLTT, i == 2 ? 17 : 3);
        o.unbuilt = true, o.half = i == 0, o.w_membrane = i == 1 ? 0.5 : 0, o.keep_potentials = i == 4,
        o.external_loss = i == 5;
        planned r = plan_with(still, &o, forces[i]);
        cr_assert(!has_op(r.p, SP_SEGMENT_FULL, "neuron.forward_static"), "%d: %s", i,
                  ops_of(r.p, SP_SEGMENT_FULL));
        cr_assert(!has_op(r.p, SP_SEGMENT_END, "neuron.backward_static"), "%d", i);
        cr_assert(!has_op(r.p, SP_SEGMENT_BEGIN, "neuron.forward_steps"), "%d", i);
        cr_assert(!has_op(r.p, SP_SEGMENT_END, "neuron.backward_steps"), "%d", i);
        planned_free(&r);
    }
}

/* A kernel that somebody wants for the norm is not taken away by the walk. */
Test(rewrite, a_norm_that_is_wanted_apart_follows_the_walk)
{
    planned r = plan_for(still, SP_METHOD_SLTT, 0, "batch_norm.backward=reference");
    cr_assert(has_op(r.p, SP_SEGMENT_END, "neuron.backward_steps batch_norm.backward"), "%s",
              ops_of(r.p, SP_SEGMENT_END));
    planned_free(&r);
}

/* Shards meet behind every step that makes the sums of a norm. */
Test(rewrite, sums_of_norms_behind_pools_are_those_of_all_shards)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT, 3);
    o.unbuilt = o.sync_norm = true;
    planned r = plan_with(still, &o, NULL);
    int pooled = 0, meet = 0;
    for (int s = 0; s < r.p->n_segments; s++)
        for (int i = 0; i < r.p->segments[s].n; i++) {
            const sp_step *step = &r.p->segments[s].steps[i];
            const bool makes = spi_is_op(step, "neuron.backward_pool") || spi_is_op(step, "neuron.backward_"
                                                                                          "steps");
            pooled += makes;
            meet += step->sync == SP_SYNC_SUMS;
            cr_assert(!makes || step->sums == spi_operand(step, "sums").tensor);
        }
    cr_assert_eq(pooled, 2, "%s", ops_of(r.p, SP_SEGMENT_FULL));
    cr_assert_eq(meet, 2);
    planned_free(&r);
}

/* Not where one of the time steps may be all there is, or its gradients are applied at once, or inputs
 * change. */
Test(rewrite, what_lies_behind_an_input_goes_back_at_each_step_otherwise)
{
    for (int i = 0; i < 4; i++) {
        sp_plan_options o = options_of(i == 0 ? SP_METHOD_SLTT_K : SP_METHOD_SLTT, 3);
        o.unbuilt = true, o.online_update = i == 1, o.sequence = i == 2, o.input_gradient = i == 3;
        o.external_loss = i == 3;
        planned r = plan_with(still, &o, NULL);
        cr_assert(!has_op(r.p, SP_SEGMENT_FULL, "neuron.backward_sum"), "%d: %s", i,
                  ops_of(r.p, SP_SEGMENT_FULL));
        cr_assert(!has_op(r.p, SP_SEGMENT_BACKWARD, "neuron.backward_sum"), "%d", i);
        cr_assert(!has_op(r.p, SP_SEGMENT_END, "batch_norm.backward"), "%d", i);
        planned_free(&r);
    }
    planned r = plan_for(still, SP_METHOD_SLTT, 0, "neuron.backward=reference");
    cr_assert(has_op(r.p, SP_SEGMENT_FULL, "pool.avg.backward neuron.backward batch_norm.backward"), "%s",
              ops_of(r.p, SP_SEGMENT_FULL));
    planned_free(&r);
    r = plan_for(still, SP_METHOD_SLTT, 0, "pool.avg.backward=reference");
    cr_assert(has_op(r.p, SP_SEGMENT_FULL, "pool.avg.backward"), "%s", ops_of(r.p, SP_SEGMENT_FULL));
    cr_assert(has_op(r.p, SP_SEGMENT_FULL, "neuron.forward_static"), "%s", ops_of(r.p, SP_SEGMENT_FULL));
    planned_free(&r);
}

/* A linear layer has the sum of its error signals already, which its neuron adds to. */
Test(rewrite, a_neuron_adds_to_the_sum_of_a_linear_layer)
{
    static const char dense[] = "layers: [{type: flatten}, {type: linear, out: 4}, {type: lif}, {type: "
                                "linear, out: 2}]";
    planned r = plan_for(dense, SP_METHOD_SLTT, 0, NULL);
    cr_assert(has_op(r.p, SP_SEGMENT_END, "neuron.backward_static"), "%s", ops_of(r.p, SP_SEGMENT_END));
    cr_assert(!has_op(r.p, SP_SEGMENT_FULL, " add"), "%s", ops_of(r.p, SP_SEGMENT_FULL));
    planned_free(&r);
}

/* What computes the norm's input again goes before both. */
Test(rewrite, fused_steps_stay_behind_what_is_computed_again)
{
    planned r = plan_for(net, SP_METHOD_BPTT, 1, NULL);
    cr_assert(has_op(r.p, SP_SEGMENT_BACKWARD, "conv.forward neuron.backward_norm batch_norm.apply"), "%s",
              ops_of(r.p, SP_SEGMENT_BACKWARD));
    planned_free(&r);
}

Test(rewrite, a_forced_gemm_lowers_convolutions)
{
    planned r = plan_for(net, SP_METHOD_SLTT, 0, "gemm=reference");
    for (int s = 0; s < r.p->n_segments; s++)
        cr_assert(!has_op(r.p, s, "conv."), "%s", ops_of(r.p, s));
    cr_assert(has_op(r.p, SP_SEGMENT_BEGIN, "bias.broadcast im2col gemm"));
    cr_assert(has_op(r.p, SP_SEGMENT_FULL, "im2col gemm gemm col2im"), "%s", ops_of(r.p, SP_SEGMENT_FULL));
    planned_free(&r);
}
