/* Choosing: filter with reasons, score, trust, force. No OpenCL: the choice looks only at the device's facts.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "registry/registry.h"

#define V(kernel, keys)                                                                                      \
    "//@ op: fill/1\n//@ kernel: " kernel "\n//@ global: M\n" keys "kernel void " kernel "(void) {}\n"

#define B(kernel, keys)                                                                                      \
    "//@ op: conv.forward/1\n//@ kernel: " kernel "\n//@ global: O\n//@ compute: bf16\n" keys                \
    "kernel void " kernel "(void) {}\n"

static const char plugin[] = "//@ plugin: t 1.0.0\n//@ abi: 1\n" V("k_gpu", "//@ score: 90\n//@ device: gpu "
                                                                            "accelerator\n")
    V("k_fp64", "//@ score: 80\n//@ needs: fp64\n") V("k_amx", "//@ score: 85\n//@ needs: amx_bf16\n")
        V("k_unit", "//@ score: 83\n//@ needs: matrix_rdna3\n") V("k_new", "//@ score: 14\n//@ by_name: "
                                                                           "nobody has run it\n")
            V("k_ext", "//@ score: 70\n//@ needs: ext:cl_khr_subgroups\n") V("k_near", "//@ score: 15\n//@ "
                                                                                       "approximate: 0.01\n")
                V("k_when", "//@ score: 60\n//@ tune: T = 16 8\n//@ define: D = 3\n//@ when: M % T == 0 && D "
                            "== 3 && wg >= 64 && cpu\n") V("k_zero", "//@ score: 58\n//@ when: 8 / M > 1\n")
                    V("k_b", "//@ score: 55\n") V("k_a", "//@ score: 55\n")
                        V("k_group", "//@ score: 2\n//@ tune: T = 64 16 32\n//@ "
                                     "vendor: amd T=16\n//@ "
                                     "registers: 100 - T\n//@ local: T\n//@ when: M "
                                     "% T == 0\n") "//@ op: neuron.backward/1\n//@ "
                                                   "kernel: k_old\n//@ global: "
                                                   "M*C\nkernel void k_old(void) "
                                                   "{}\n" B("k_bf16", "//@ by_name: nobody has run it\n")
                                                       B("k_bf16_gpu", "//@ device: gpu\n");

static sp_registry *reg;
static sp_device dev;
static int warnings;

static void count_warnings(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx, (void)text;
    warnings += level == SP_LOG_WARNING;
}

static void setup(void)
{
    char folder[] = "/tmp/sp-select-XXXXXX", path[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/t.cl", folder);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(plugin, f);
    fclose(f);
    sp_log_install(count_warnings, NULL);
    cr_assert_eq(sp_registry_create(path, &reg, NULL), SP_OK);
    unlink(path);
    rmdir(folder);
    memset(&dev, 0, sizeof dev);
    dev.info.type = SP_DEVICE_CPU;
    dev.info.max_work_group = 64;
    dev.info.extensions = (char *)"cl_khr_subgroups_not_really cl_khr_icd";
    warnings = 0;
}

static void teardown(void)
{
    sp_registry_destroy(&reg);
}

static sp_op_call fill_of(int64_t m)
{
    sp_op_call call = sp_op_call_make("fill/1");
    sp_call_set_int(&call, "M", m);
    return call;
}

static const char *choose(int64_t m)
{
    sp_op_call call = fill_of(m);
    sp_variant *v = NULL;
    char why[256] = "";
    sp_error err = {0};
    cr_assert_eq(sp_select(reg, &dev, &call, &v, why, sizeof why, &err), SP_OK, "%s", err.text);
    cr_assert_eq(strncmp(why, "chosen: ", 8), 0, "%s", why);
    return v->id;
}

static void expect_reason(int64_t m, const char *id, const char *says)
{
    sp_op_call call = fill_of(m);
    sp_candidate all[32];
    size_t n = sp_select_explain(reg, &dev, &call, all, 32);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].variant->id, id) == 0) {
            cr_expect_not_null(strstr(all[i].reason, says), "%s: \"%s\" not in \"%s\"", id, says,
                               all[i].reason);
            return;
        }
    cr_expect_fail("%s is no candidate", id);
}

TestSuite(select, .init = setup, .fini = teardown);

Test(select, filters_with_reasons)
{
    cr_assert_str_eq(choose(32), "t:k_when");
    expect_reason(32, "t:k_gpu", "rejected: made for device type gpu accelerator, this is cpu");
    expect_reason(32, "t:k_fp64", "rejected: needs cl_khr_fp64");
    expect_reason(32, "t:k_amx", "rejected: needs amx_bf16");
    expect_reason(32, "t:k_unit", "rejected: needs matrix_rdna3");
    expect_reason(32, "t:k_ext", "rejected: needs cl_khr_subgroups");
    expect_reason(32, "t:k_when", "chosen: highest score (60)");
    expect_reason(32, "t:k_a", "lower score (55, chosen has 60)");
    expect_reason(33, "t:k_when", "rejected: M % T == 0 is false (M=33, T=16)");
    expect_reason(0, "t:k_zero", "division by zero");
}

Test(select, the_device_decides)
{
    dev.info.type = SP_DEVICE_GPU;
    cr_assert_str_eq(choose(32), "t:k_gpu");
    dev.info.type = SP_DEVICE_OTHER;
    dev.info.fp64 = true;
    cr_assert_str_eq(choose(32), "t:k_fp64");
    dev.info.amx_bf16 = true;
    cr_assert_str_eq(choose(32), "t:k_amx");
    dev.info.matrix = SP_MATRIX_RDNA4;
    dev.info.amx_bf16 = dev.info.fp64 = false;
    expect_reason(32, "t:k_unit", "rejected: needs matrix_rdna3");
    dev.info.matrix = SP_MATRIX_RDNA3;
    cr_assert_str_eq(choose(32), "t:k_unit");
    dev.info.matrix = SP_MATRIX_NONE;
    dev.info.extensions = (char *)"cl_khr_icd cl_khr_subgroups";
    cr_assert_str_eq(choose(32), "t:k_ext");
}

static const char *chosen_for(const char *op, const char *const *ints, const int64_t *values, int n)
{
    sp_op_call call = sp_op_call_make(op);
    sp_variant *v = NULL;
    sp_error err = {0};
    for (int i = 0; i < n; i++)
        sp_call_set_int(&call, ints[i], values[i]);
    if (call.op->takes_neuron)
        call.neuron = "lif";
    if (call.op->takes_surrogate)
        call.surrogate = "triangle";
    cr_assert_eq(sp_select(reg, &dev, &call, &v, NULL, 0, &err), SP_OK, "%s", err.text);
    return v->plugin;
}

/* The built-in plugins: what a GPU and a CPU run, and that a GPU with little local memory or small groups
 * still runs. */
Test(select, a_gpu_gets_the_kernels_for_gpus)
{
    static const char *const conv[] = {"N",  "H",  "W",  "C",  "O",  "KH", "KW", "SH",
                                       "SW", "PH", "PW", "DH", "DW", "HO", "WO", "G"};
    static const int64_t shape[] = {32, 16, 16, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1, 16, 16, 64};
    static const char *const rows[] = {"M", "C"}, *const joined[] = {"M", "A", "B"},
                             *const groups[] = {"M", "C", "N"};
    static const char *const pool[] = {"N", "H", "W", "C", "KH", "KW", "SH", "SW", "PH", "PW", "HO", "WO"};
    static const int64_t many[] = {4096, 64, 32}, pooled[] = {32, 16, 16, 64, 2, 2, 2, 2, 0, 0, 8, 8};
    static const char *const convs[] = {"conv.forward", "conv.backward_input", "conv.backward_weight"};
    dev.info.type = SP_DEVICE_GPU;
    dev.info.max_work_group = 256;
    dev.info.local_bytes = 32768;
    for (int i = 0; i < 3; i++)
        cr_assert_str_eq(chosen_for(convs[i], conv, shape, 15), "gpu_conv");
    cr_assert_str_eq(chosen_for("neuron.forward", rows, many, 2), "gpu_neuron");
    cr_assert_str_eq(chosen_for("neuron.backward", rows, many, 2), "gpu_neuron");
    cr_assert_str_eq(chosen_for("batch_norm.backward", rows, many, 2), "gpu_norm");
    cr_assert_str_eq(chosen_for("add", rows, many, 2), "gpu_elementwise");
    cr_assert_str_eq(chosen_for("concat.forward", joined, many, 3), "gpu_elementwise");
    cr_assert_str_eq(chosen_for("pool.avg.backward", pool, pooled, 12), "gpu_pool");
    cr_assert_str_eq(chosen_for("layer_norm.backward", groups, many, 3), "gpu_norm");
    cr_assert_str_eq(chosen_for("neuron.backward_ext", rows, many, 2), "gpu_neuron");
    cr_assert_str_eq(chosen_for("group_conv.backward_weight", conv, shape, 16), "gpu_conv");
    cr_assert_str_eq(chosen_for("scale", rows, many, 2), "reference");
    dev.info.local_bytes = 4096;
    cr_assert_str_neq(chosen_for("conv.forward", conv, shape, 15), "gpu_conv");
    dev.info.max_work_group = 16;
    cr_assert_str_eq(chosen_for("batch_norm.backward", rows, many, 2), "reference");
    dev.info.type = SP_DEVICE_CPU;
    cr_assert_eq(strncmp(chosen_for("conv.forward", conv, shape, 15), "cpu_", 4), 0);
}

static bool fuses(const char *const *force)
{
    static const char *const apart[2] = {"neuron.backward", "batch_norm.backward"};
    sp_op_call neuron = sp_op_call_make("neuron.backward_norm"), apply = sp_op_call_make("batch_norm.apply");
    sp_call_set_int(&neuron, "M", 4096), sp_call_set_int(&neuron, "C", 64);
    sp_call_set_int(&apply, "M", 4096), sp_call_set_int(&apply, "C", 64);
    sp_registry *built_in;
    cr_assert_eq(sp_registry_create(NULL, &built_in, NULL), SP_OK);
    for (int i = 0; force && force[i]; i++)
        cr_assert_eq(sp_registry_force(built_in, force[i], NULL), SP_OK, "%s", force[i]);
    bool yes = sp_select_fuses(built_in, &dev, (const sp_op_call *const[]){&neuron, &apply}, apart);
    sp_registry_destroy(&built_in);
    return yes;
}

/* A pass for two ops pays where somebody wrote it for the device; what is forced is never passed by. */
Test(select, two_ops_are_fused_where_a_kernel_for_the_device_does_both)
{
    cr_assert(fuses(NULL));
    cr_assert(fuses((const char *[]){"*=reference", NULL}));
    cr_assert(fuses((const char *[]){"neuron=cpu_neuron", NULL}));
    cr_assert_not(fuses((const char *[]){"neuron.backward=reference", NULL}));
    cr_assert_not(fuses((const char *[]){"neuron=gpu_neuron", NULL}));
    cr_assert_not(fuses((const char *[]){"*=reference", "neuron=fpga_neuron", NULL}));
    cr_assert(fuses((const char *[]){"*=reference", "neuron.backward_norm=cpu_neuron", NULL}));
    cr_assert_not(fuses((const char *[]){"batch_norm.backward=cpu_norm", NULL}));
    dev.info.type = SP_DEVICE_GPU;
    cr_assert_not(fuses(NULL));
    cr_assert(fuses((const char *[]){"neuron.backward_norm=reference", "batch_norm.apply=reference", NULL}));
}

Test(select, ties_go_to_the_name)
{
    cr_assert_str_eq(choose(1001), "t:k_a");
}

static sp_status distrust(void *ctx, sp_device *d, sp_variant *v, const sp_op_call *call, sp_error *err)
{
    (void)d, (void)call;
    ++*(int *)ctx;
    cr_assert_neq(v->origin, SP_ORIGIN_REFERENCE, "the reference needs no trust");
    return strcmp(v->id, "t:k_b") == 0 ? SP_OK : SP_FAIL(err, SP_E_MISMATCH, "element 3 differs");
}

Test(select, an_untrusted_variant_is_passed_over_and_logged_once)
{
    int asked = 0;
    reg->trust = distrust;
    reg->trust_ctx = &asked;
    cr_assert_str_eq(choose(32), "t:k_b");
    cr_assert_eq(asked, 3, "k_when, k_a, then k_b");
    cr_assert_eq(warnings, 2);
    cr_assert_str_eq(choose(32), "t:k_b");
    cr_assert_eq(asked, 4, "what was refused is not tried again");
    cr_assert_eq(warnings, 2);
    expect_reason(32, "t:k_when", "refused: element 3 differs");
}

/* A driver that takes groups of *ctx items of k_group, though the device takes more of other kernels. */
static sp_status distrust_groups(void *ctx, sp_device *d, sp_variant *v, const sp_op_call *call,
                                 sp_error *err)
{
    (void)d, (void)call;
    if (v->tunes[0].values[0] <= *(int *)ctx)
        return SP_OK;
    return sp_error_set(err, SP_E_PLUGIN, CL_INVALID_WORK_GROUP_SIZE, __FILE__, __LINE__, "at most %d",
                        *(int *)ctx);
}

Test(select, groups_that_are_too_large_for_a_kernel_give_way_to_smaller_ones)
{
    int most = 20;
    sp_error err = {0};
    reg->trust = distrust_groups;
    reg->trust_ctx = &most;
    cr_assert_eq(sp_registry_force(reg, "fill=t:k_group", &err), SP_OK, "%s", err.text);
    cr_assert_str_eq(choose(64), "t:k_group");
    cr_assert_eq(warnings, 0);
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->id, "t:k_group") == 0)
            cr_assert_eq(reg->variants[i]->tunes[0].values[0], 16);
    most = 8; /* there is none so small */
    sp_op_call call = fill_of(64);
    sp_variant *v = NULL;
    cr_assert_eq(sp_select(reg, &dev, &call, &v, NULL, 0, &err), SP_E_PLUGIN);
    cr_assert(strstr(err.text, "at most 8"), "%s", err.text);
    cr_assert_eq(warnings, 1);
}

static sp_variant *find(const char *id)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->id, id) == 0)
            return reg->variants[i];
    cr_assert_fail("no %s", id);
    return NULL;
}

/* Defaults: those of the vendor where it is one's device, of the type that the variant is meant for. From
 * there on to ever fewer registers, as far as `when` allows. */
Test(select, a_vendors_tunables_come_first_and_give_way_to_fewer_registers)
{
    sp_variant *v = find("t:k_group");
    sp_op_call call = fill_of(64);
    sp_registry_suit(reg, &dev);
    cr_assert_eq(v->tunes[0].values[0], 64);
    dev.info.quirks = SP_QUIRK_GPU_OF_NVIDIA;
    sp_registry_suit(reg, &dev);
    cr_assert_eq(v->tunes[0].values[0], 64);
    dev.info.quirks = SP_QUIRK_GPU_OF_AMD;
    sp_registry_suit(reg, &dev);
    cr_assert_eq(v->tunes[0].values[0], 16);
    cr_assert(sp_variant_shrink(v, SP_SHRINK_REGISTERS, &dev, &call));
    cr_assert_eq(v->tunes[0].values[0], 32);
    cr_assert(sp_variant_shrink(v, SP_SHRINK_REGISTERS, &dev, &call));
    cr_assert_eq(v->tunes[0].values[0], 64);
    cr_assert_not(sp_variant_shrink(v, SP_SHRINK_REGISTERS, &dev, &call));
    cr_assert_not(sp_variant_shrink(find("t:k_a"), SP_SHRINK_REGISTERS, &dev, &call));
    /* refused for its group, it is not tried again for its registers: that would go on for ever */
    cr_assert(sp_variant_shrink(v, SP_SHRINK_GROUPS, &dev, &call));
    cr_assert_eq(v->tunes[0].values[0], 32);
    cr_assert_not(sp_variant_shrink(v, SP_SHRINK_REGISTERS, &dev, &call));
    cr_assert_eq(v->tunes[0].values[0], 32);
}

Test(select, refusal_by_hand_lasts)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->id, "t:k_when") == 0) {
            sp_variant_refuse(reg->variants[i], "build failed");
            sp_variant_refuse(reg->variants[i], "again");
            cr_assert_str_eq(reg->variants[i]->refused, "build failed");
        }
    cr_assert_eq(warnings, 1);
    cr_assert_str_eq(choose(32), "t:k_a");
}

static void force(const char *text)
{
    sp_error err = {0};
    cr_assert_eq(sp_registry_force(reg, text, &err), SP_OK, "%s", err.text);
}

Test(select, forced_choices_win)
{
    force("fill=t:k_b");
    cr_assert_str_eq(choose(32), "t:k_b");
    expect_reason(32, "t:k_a", "passed over: \"t:k_b\" is forced");
    force("*=reference");
    cr_assert_str_eq(choose(32), "t:k_b", "the longer pattern wins");
    force("fill=reference");
    cr_assert_eq(strncmp(choose(32), "reference:", 10), 0, "then the later one");
    force("fill/1=t");
    cr_assert_str_eq(choose(32), "t:k_when", "a plugin name means its best variant");
}

Test(select, a_forced_variant_that_does_not_fit_is_an_error)
{
    sp_op_call call = fill_of(33);
    sp_variant *v = NULL;
    sp_error err = {0};
    force("fill=t:k_when");
    cr_assert_eq(sp_select(reg, &dev, &call, &v, NULL, 0, &err), SP_E_UNFIT);
    cr_assert_not_null(strstr(err.text, "\"t:k_when\" is forced"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "M=33"), "%s", err.text);
    cr_assert_null(v);
}

Test(select, a_variant_of_another_device_type_runs_only_when_it_is_named)
{
    force("fill=t");
    cr_assert_str_eq(choose(32), "t:k_when", "a plugin that has something for this type keeps to it");
    expect_reason(32, "t:k_gpu", "rejected: made for device type gpu accelerator, this is cpu");
    force("fill=t:k_gpu");
    cr_assert_str_eq(choose(32), "t:k_gpu");
    expect_reason(32, "t:k_gpu", "chosen: forced, though made for device type gpu accelerator");
    expect_reason(32, "t:k_when", "passed over");
}

Test(select, a_kernel_that_does_not_know_half_gets_float32_only)
{
    sp_op_call call = sp_op_call_make("neuron.backward/1");
    sp_candidate all[32];
    for (int half = 0; half < 2; half++) {
        sp_call_set_flag(&call, "U_HALF", half);
        size_t n = sp_select_explain(reg, &dev, &call, all, 32);
        for (size_t i = 0; i < n; i++)
            if (strcmp(all[i].variant->id, "t:k_old") == 0)
                cr_assert_eq(strstr(all[i].reason, "rejected: takes float32, not half (U_HALF=1)") != NULL,
                             half, "%s", all[i].reason);
        sp_variant *v = NULL;
        cr_assert_eq(sp_select(reg, &dev, &call, &v, NULL, 0, NULL), SP_OK);
        cr_assert_null(sp_variant_lacks_half(v, &call), "%s", v->id);
    }
}

/* precision.compute would have no effect where the kernel in float32 of the same plugin comes first. */
Test(select, kernels_in_bf16_come_before_their_twins_in_float32)
{
    sp_registry *shipped = NULL;
    int twins = 0;
    cr_assert_eq(sp_registry_create(NULL, &shipped, NULL), SP_OK);
    for (size_t i = 0; i < shipped->n_variants; i++) {
        const sp_variant *v = shipped->variants[i];
        const char *mark = strstr(v->id, "_bf16");
        char twin[128];
        if (!v->bf16)
            continue;
        cr_assert_not_null(mark, "%s", v->id);
        snprintf(twin, sizeof twin, "%.*s%s", (int)(mark - v->id), v->id, mark + 5);
        for (size_t k = 0; k < shipped->n_variants; k++)
            if (strcmp(shipped->variants[k]->id, twin) == 0) {
                cr_assert_gt(v->score, shipped->variants[k]->score, "%s beside %s", v->id, twin);
                twins++;
            }
    }
    cr_assert_geq(twins, 10, "%d", twins);
    sp_registry_destroy(&shipped);
}

/* Half storage that falls back to reference kernels costs more time than it saves memory. */
Test(select, the_passes_of_training_with_half_have_kernels_for_cpus)
{
    static const struct {
        const char *op, *flags[3];
    } calls[] = {{"neuron.forward/1", {"U_HALF"}},
                 {"neuron.backward/1", {"U_HALF", "TEMPORAL"}},
                 {"neuron.backward_norm/1", {"U_HALF", "X_HALF", "TEMPORAL"}},
                 {"neuron.backward_pool/1", {"U_HALF", "X_HALF", "TEMPORAL"}},
                 {"neuron.backward_sum/1", {"U_HALF", "TEMPORAL"}},
                 {"batch_norm.backward/1", {"X_HALF"}},
                 {"batch_norm.apply/1", {"X_HALF"}}};
    sp_registry *shipped = NULL;
    cr_assert_eq(sp_registry_create(NULL, &shipped, NULL), SP_OK);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        sp_op_call call = sp_op_call_make(calls[i].op);
        sp_variant *v = NULL;
        for (int k = 0; k < 3 && calls[i].flags[k]; k++)
            sp_call_set_flag(&call, calls[i].flags[k], 1);
        for (int k = 0; k < SP_OP_MAX_INTS && call.op->ints[k]; k++)
            call.ints[k] = call.op->ints[k][0] == 'P' ? 0 : 32; /* windows of 32 x 32 without padding */
        cr_assert_eq(sp_select(shipped, &dev, &call, &v, NULL, 0, NULL), SP_OK);
        cr_assert_neq(v->origin, SP_ORIGIN_REFERENCE, "%s by %s", calls[i].op, v->id);
    }
    sp_registry_destroy(&shipped);
}

/* Kernels that copy rows to the stack of a thread take none that would not fit there. */
Test(select, rows_that_do_not_fit_a_stack_go_elsewhere)
{
    static const char *const ops[] = {"conv.forward/1", "conv.backward_input/1"};
    static const char *const ones[] = {"N", "H", "KH", "SH", "SW", "DH", "DW", "HO"};
    sp_registry *shipped = NULL;
    dev.info.private_bytes = 8126464;
    cr_assert_eq(sp_registry_create(NULL, &shipped, NULL), SP_OK);
    for (int i = 0; i < 4; i++) {
        const int wide = i / 2;
        sp_op_call call = sp_op_call_make(ops[i % 2]);
        sp_variant *v = NULL;
        for (size_t k = 0; k < sizeof ones / sizeof *ones; k++)
            sp_call_set_int(&call, ones[k], 1);
        sp_call_set_int(&call, "W", wide ? 16384 : 256), sp_call_set_int(&call, "WO", wide ? 16384 : 256);
        sp_call_set_int(&call, "KW", 9), sp_call_set_int(&call, "PW", 4);
        sp_call_set_int(&call, "C", 128), sp_call_set_int(&call, "O", 128);
        cr_assert_eq(sp_select(shipped, &dev, &call, &v, NULL, 0, NULL), SP_OK);
        cr_assert_eq(strncmp(v->id, "cpu_conv:", 9) == 0, !wide, "%s: %s", ops[i % 2], v->id);
    }
    sp_registry_destroy(&shipped);
}

Test(select, an_approximate_variant_runs_only_when_it_is_forced)
{
    cr_assert_str_eq(choose(32), "t:k_when");
    expect_reason(32, "t:k_near",
                  "rejected: approximate (error up to 0.01); runs only when it is forced by name");
    force("fill=t:k_near");
    cr_assert_str_eq(choose(32), "t:k_near");
}

Test(select, a_variant_by_name_runs_only_when_it_is_forced)
{
    expect_reason(32, "t:k_new", "rejected: nobody has run it; runs only when it is forced by name");
    force("fill=t:k_new");
    expect_reason(32, "t:k_new", "chosen: forced (score 14; nobody has run it)");
}

/* A kernel that rounds factors is never chosen, nor allowed, where the call does not permit it; and where the
 * call does, the device must have what it needs. Other variants compute the call without the flag. */
Test(select, products_in_bf16_need_the_flag_and_the_device)
{
    static const char *const ops[] = {"gemm", "conv.forward", "conv.backward_input", "conv.backward_weight"};
    static const char *const shape = "N=128 M=128 K=512 H=16 W=16 C=64 O=64 KH=3 KW=3 SH=1 SW=1 PH=1 PW=1 "
                                     "DH=1 DW=1 HO=16 WO=16";
    sp_registry *built_in;
    sp_candidate all[64];
    cr_assert_eq(sp_registry_create(NULL, &built_in, NULL), SP_OK);
    for (int k = 0; k < 4; k++)
        for (int flag = 0; flag < 2; flag++)
            for (int has = 0; has < 2; has++) {
                sp_op_call call = sp_op_call_make(ops[k]);
                for (int i = 0; i < SP_OP_MAX_INTS && call.op->ints[i]; i++) {
                    char name[16];
                    snprintf(name, sizeof name, "%s=", call.op->ints[i]);
                    call.ints[i] = strtol(strstr(shape, name) + strlen(name), NULL, 10);
                }
                sp_call_set_bf16(&call, flag);
                dev.info.avx512_bf16 = has;
                const size_t n = sp_select_explain(built_in, &dev, &call, all, 64);
                bool chosen = false;
                for (size_t i = 0; i < n; i++) {
                    const sp_variant *v = all[i].variant;
                    chosen |= all[i].chosen && v->bf16;
                    cr_assert(!v->bf16 || !all[i].applicable || (flag && has), "%s", v->id);
                    const sp_op_call own = sp_variant_call(v, &call);
                    cr_assert_eq(sp_call_is_bf16(&own), flag && v->bf16, "%s", v->id);
                    if (v->bf16 && !flag && has && v->needs_extensions &&
                        strcmp(v->needs_extensions, "avx512_bf16") == 0)
                        cr_assert_not_null(strstr(all[i].reason, "precision.compute"), "%s: %s", v->id,
                                           all[i].reason);
                }
                cr_assert_eq(chosen, flag && has, "%s: flag %d, device %d", ops[k], flag, has);
            }
    sp_registry_destroy(&built_in);
}

/* A call has the flag only where a kernel may take it; what is forced may, whatever keeps it from being
 * chosen. */
Test(select, a_kernel_in_bf16_that_is_forced_may_round)
{
    static const char *const names[] = {"t:k_bf16", "t:k_bf16_gpu"};
    sp_op_call call = sp_op_call_make("conv.forward/1"), rounded = call;
    sp_call_set_bf16(&rounded, true);
    cr_assert_not(sp_select_has_bf16(reg, &dev, &call));
    for (int i = 0; i < 2; i++) {
        char choice[64];
        sp_variant *v = NULL;
        sp_error err = {0};
        snprintf(choice, sizeof choice, "conv.forward=%s", names[i]);
        force(choice);
        cr_assert(sp_select_has_bf16(reg, &dev, &call), "%s", names[i]);
        cr_assert_eq(sp_select(reg, &dev, &rounded, &v, NULL, 0, &err), SP_OK, "%s", err.text);
        cr_assert_str_eq(v->id, names[i]);
    }
    force("conv.forward=reference");
    cr_assert_not(sp_select_has_bf16(reg, &dev, &call));
}

Test(select, a_pattern_counts_where_the_plugin_has_something)
{
    sp_op_call call = sp_op_call_make("gemm/1");
    sp_variant *v = NULL;
    force("*=t");
    cr_assert_eq(sp_select(reg, &dev, &call, &v, NULL, 0, NULL), SP_OK);
    cr_assert_str_eq(choose(32), "t:k_when");
}

Test(select, nothing_that_fits_says_why)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->op->id, "fill/1") == 0)
            sp_variant_refuse(reg->variants[i], "test");
    sp_op_call call = fill_of(32);
    sp_variant *v = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_select(reg, &dev, &call, &v, NULL, 0, &err), SP_E_BUILD);
    cr_assert_not_null(strstr(err.text, "t:k_a refused: test"), "%s", err.text);
}

static bool can_run(const char *id)
{
    sp_op_call call = sp_op_call_make("fill");
    sp_call_set_int(&call, "M", 16);
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->id, id) == 0)
            return sp_variant_can_run(reg->variants[i], &dev, &call, NULL, NULL, 0);
    cr_assert_fail("there is no %s", id);
    return false;
}

/* What the check tries: what the choice lets through. fp64 may be there without its word (OpenCL 1.2 made it
 * a part of the core), and a word is not the start of a longer one. */
Test(select, the_check_tries_what_the_choice_takes, .init = setup, .fini = teardown)
{
    cr_assert_not(can_run("t:k_fp64"));
    dev.info.fp64 = true;
    cr_assert(can_run("t:k_fp64"));
    cr_assert_not(can_run("t:k_ext"));
    dev.info.extensions = (char *)"cl_khr_icd cl_khr_subgroups";
    cr_assert(can_run("t:k_ext"));
    cr_assert(can_run("t:k_gpu")); /* on a CPU too: a GPU's kernels are checked there */
    cr_assert_not(can_run("t:k_zero"));
}
