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

static planned plan_for(sp_method method, double recompute, const char *force)
{
    static sp_device dev;
    dev = described();
    sp_plan_options o = options_of(method, 3);
    o.unbuilt = true, o.recompute = recompute;
    planned r = plan_on(net, &o, &dev, force);
    return r;
}

static bool has_op(const sp_plan *p, int segment, const char *family)
{
    return strstr(ops_of(p, segment), family) != NULL;
}

Test(rewrite, every_step_has_a_variant_and_a_reason)
{
    planned r = plan_for(SP_METHOD_SLTT, 0, NULL);
    for (int s = 0; s < r.p->n_segments; s++)
        for (int i = 0; i < r.p->segments[s].n; i++)
            cr_assert(r.p->segments[s].steps[i].variant && r.p->segments[s].steps[i].why[0]);
    planned_free(&r);
}

Test(rewrite, a_norm_is_fused_with_its_neuron_unless_one_of_both_is_forced)
{
    planned r = plan_for(SP_METHOD_SLTT, 0, NULL);
    cr_assert(has_op(r.p, SP_SEGMENT_FULL, "neuron.backward_norm batch_norm.apply"));
    cr_assert(!has_op(r.p, SP_SEGMENT_FULL, "batch_norm.backward"));
    planned_free(&r);
    r = plan_for(SP_METHOD_SLTT, 0, "neuron.backward=reference");
    cr_assert(has_op(r.p, SP_SEGMENT_FULL, "neuron.backward batch_norm.backward"));
    cr_assert(!has_op(r.p, SP_SEGMENT_FULL, "batch_norm.apply"));
    planned_free(&r);
}

/* What computes the norm's input again goes before both. */
Test(rewrite, fused_steps_stay_behind_what_is_computed_again)
{
    planned r = plan_for(SP_METHOD_BPTT, 1, NULL);
    cr_assert(has_op(r.p, SP_SEGMENT_BACKWARD, "conv.forward neuron.backward_norm batch_norm.apply"), "%s",
              ops_of(r.p, SP_SEGMENT_BACKWARD));
    planned_free(&r);
}

Test(rewrite, a_forced_gemm_lowers_convolutions)
{
    planned r = plan_for(SP_METHOD_SLTT, 0, "gemm=reference");
    for (int s = 0; s < r.p->n_segments; s++)
        cr_assert(!has_op(r.p, s, "conv."), "%s", ops_of(r.p, s));
    cr_assert(has_op(r.p, SP_SEGMENT_BEGIN, "bias.broadcast im2col gemm"));
    cr_assert(has_op(r.p, SP_SEGMENT_FULL, "im2col gemm gemm col2im"), "%s", ops_of(r.p, SP_SEGMENT_FULL));
    planned_free(&r);
}
