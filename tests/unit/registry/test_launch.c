/* Launches on a device: results, offsets, dynamic scalars, argument checks, sizes; and a library plugin.
 * Every case is small: this is about binding, the conformance harness is about numbers. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "registry/launch_internal.h"

static sp_device *dev;
static sp_registry *reg;
static char folder[] = "/tmp/sp-launch-XXXXXX";

static void quiet(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx, (void)level, (void)text;
}

static void setup(void)
{
    sp_error err = {0};
    sp_log_install(quiet, NULL);
    if (sp_device_open(NULL, NULL, &dev, &err) != SP_OK)
        cr_skip_test("no OpenCL device: %s", err.text);
    cr_assert_not_null(mkdtemp(folder));
}

static void teardown(void)
{
    char command[64];
    sp_registry_destroy(&reg);
    sp_device_close(&dev);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

/* Loads the registry with one outside file; text NULL: none. */
static void load(const char *text)
{
    char path[64];
    sp_error err = {0};
    snprintf(path, sizeof path, "%s/p.cl", folder);
    if (text) {
        FILE *f = fopen(path, "w");
        cr_assert_not_null(f);
        fputs(text, f);
        fclose(f);
    }
    sp_registry_destroy(&reg);
    cr_assert_eq(sp_registry_create(text ? path : NULL, &reg, &err), SP_OK, "%s", err.text);
    cr_assert_eq(reg->n_refusals, 0, "%s", reg->n_refusals ? reg->refusals[0].reason : "");
}

static sp_variant *find(const char *id)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strcmp(reg->variants[i]->id, id) == 0)
            return reg->variants[i];
    cr_assert_fail("no variant %s", id);
    return NULL;
}

static sp_launch *make(const char *id, const sp_op_call *call)
{
    sp_launch *l = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_launch_create(reg, dev, find(id), call, NULL, &l, &err), SP_OK, "%s", err.text);
    return l;
}

static cl_mem buffer(size_t n, const float *values)
{
    cl_mem mem;
    sp_error err = {0};
    cr_assert_eq(sp_device_alloc(dev, n * sizeof *values, "test", &mem, &err), SP_OK, "%s", err.text);
    if (values)
        cr_assert_eq(sp_device_write(dev, (sp_range){mem, 0}, values, n * sizeof *values, true, &err), SP_OK);
    return mem;
}

static void run(sp_launch *l, const sp_range *buffers, const sp_dynamic *dyn)
{
    sp_error err = {0};
    cr_assert_eq(sp_launch_enqueue(l, buffers, (sp_range){0}, dyn, "test", &err), SP_OK, "%s", err.text);
}

static void read_back(cl_mem mem, float *to, size_t n)
{
    cr_assert_eq(sp_device_read(dev, (sp_range){mem, 0}, to, n * sizeof *to, NULL), SP_OK);
}

TestSuite(launch, .init = setup, .fini = teardown, .timeout = 110);

Test(launch, binds_ranges_at_their_offsets_and_again_when_they_change)
{
    load(NULL);
    sp_op_call call = sp_op_call_make("fill/1");
    sp_call_set_int(&call, "M", 4);
    sp_call_set_float(&call, "value", 2.5);
    char id[128];
    for (size_t i = 0; i < reg->n_variants; i++)
        if (reg->variants[i]->op == call.op && reg->variants[i]->origin == SP_ORIGIN_REFERENCE)
            snprintf(id, sizeof id, "%s", reg->variants[i]->id);
    sp_launch *l = make(id, &call);
    cr_assert_eq(sp_launch_workspace(l), 0);
    float zero[12] = {0}, got[12];
    cl_mem a = buffer(12, zero), b = buffer(12, zero);
    run(l, &(sp_range){a, 8}, NULL);
    run(l, &(sp_range){a, 32}, NULL);
    run(l, &(sp_range){b, 32}, NULL);
    read_back(a, got, 12);
    for (int i = 0; i < 12; i++)
        cr_expect_eq(got[i], i >= 2 && i != 6 && i != 7 ? 2.5f : 0.0f, "a[%d] = %g", i, got[i]);
    read_back(b, got, 12);
    for (int i = 0; i < 12; i++)
        cr_expect_eq(got[i], i >= 8 ? 2.5f : 0.0f, "b[%d] = %g", i, got[i]);
    sp_device_free(dev, &a);
    sp_device_free(dev, &b);
    sp_launch_destroy(&l);
    cr_assert_null(l);
}

/* y = first ? lr : bias1 + first * M, through all kinds of scalar arguments. */
static const char dynamic_text[] =
    "//@ plugin: d 1.0.0\n//@ abi: 1\n//@ op: logits.accumulate/1\n//@ kernel: acc\n//@ global: N*K\n//@ "
    "bake: K\n"
    "__kernel void acc(int first, SP_IO(float, sum), ulong N, SP_IN(float, logits)) {\n"
    "    SP_AT(sum); SP_AT(logits);\n"
    "    size_t i = get_global_id(0);\n"
    "    sum[i] = first ? logits[i] * N + K : sum[i] + logits[i];\n}\n";

Test(launch, sets_dynamic_scalars_at_every_launch)
{
    load(dynamic_text);
    sp_op_call call = sp_op_call_make("logits.accumulate/1");
    sp_call_set_int(&call, "N", 2);
    sp_call_set_int(&call, "K", 3);
    sp_launch *l = make("d:acc", &call);
    const float ones[6] = {1, 1, 1, 1, 1, 1};
    float got[6];
    cl_mem logits = buffer(6, ones), sum = buffer(6, ones);
    const sp_range ranges[2] = {{logits, 0}, {sum, 0}};
    run(l, ranges, &(sp_dynamic){.first = 1}); /* 1 * 2 + 3 */
    run(l, ranges, &(sp_dynamic){.first = 0}); /* + 1 */
    run(l, ranges, &(sp_dynamic){.first = 0}); /* + 1 */
    read_back(sum, got, 6);
    cr_assert_eq(got[5], 7.0f, "%g", got[5]);
    run(l, ranges, &(sp_dynamic){.first = 1});
    read_back(sum, got, 6);
    cr_assert_eq(got[0], 5.0f, "%g", got[0]);
    sp_device_free(dev, &logits);
    sp_device_free(dev, &sum);
    sp_launch_destroy(&l);
}

Test(launch, enqueue_allocates_nothing)
{
    load(dynamic_text);
    sp_op_call call = sp_op_call_make("logits.accumulate/1");
    sp_call_set_int(&call, "N", 2);
    sp_call_set_int(&call, "K", 3);
    sp_launch *l = make("d:acc", &call);
    cl_mem mem = buffer(32, NULL);
    uint64_t before = sp_mem_count(), launches = dev->n_launches;
    for (int i = 0; i < 10; i++)
        run(l, (const sp_range[]){{mem, 0}, {mem, 64 + 4 * (uint64_t)i}}, &(sp_dynamic){.first = i & 1});
    cr_assert_eq(sp_mem_count(), before);
    cr_assert_eq(dev->n_launches, launches + 10);
    sp_device_free(dev, &mem);
    sp_launch_destroy(&l);
}

Test(launch, passes_run_in_order_with_a_workspace)
{
    load("//@ plugin: w 1.0.0\n//@ abi: 1\n//@ op: scale/1\n//@ kernel: one\n//@ global: M*C\n//@ local: LS\n"
         "//@ kernel: two\n//@ global: M, C\n//@ workspace: M*C\n//@ tune: LS = 2\n//@ define: PLUS = 1\n"
         "__kernel void one(SP_REF(float, x), SP_OUT(float, work)) { SP_AT(x); SP_AT(work);\n"
         "    work[get_global_id(0)] = x[get_global_id(0)] + PLUS; }\n"
         "__kernel void two(SP_IN(float, work), SP_IO(float, y), float factor, int C) { SP_AT(work); "
         "SP_AT(y);\n"
         "    size_t i = get_global_id(0) * C + get_global_id(1); y[i] = work[i] * factor; }\n");
    sp_op_call call = sp_op_call_make("scale/1");
    sp_call_set_int(&call, "M", 2);
    sp_call_set_int(&call, "C", 2);
    sp_call_set_float(&call, "factor", 10);
    sp_launch *l = make("w:one", &call);
    cr_assert_eq(sp_launch_workspace(l), 16);
    const float x[4] = {1, 2, 3, 4};
    float y[4];
    sp_error err = {0};
    cl_mem a = buffer(4, x), work = buffer(8, NULL);
    const sp_range in_place[2] = {{a, 0}, {a, 0}};
    cr_assert_eq(sp_launch_enqueue(l, in_place, (sp_range){work, 16}, NULL, "test", &err), SP_OK, "%s",
                 err.text);
    read_back(a, y, 4);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(y[i], (x[i] + 1) * 10);
    sp_device_free(dev, &a);
    sp_device_free(dev, &work);
    sp_launch_destroy(&l);
}

Test(launch, a_pass_without_items_is_skipped)
{
    load("//@ plugin: e 1.0.0\n//@ abi: 1\n//@ op: fill/1\n//@ kernel: whole\n//@ global: M\n"
         "//@ kernel: rest\n//@ global: M/8, 4\n//@ local: 8, 4\n"
         "__kernel void whole(SP_OUT(float, y)) { SP_AT(y); y[get_global_id(0)] = 1; }\n"
         "__kernel void rest(SP_OUT(float, y)) { SP_AT(y); y[get_global_id(0)] = 2; }\n");
    sp_op_call call = sp_op_call_make("fill/1");
    sp_call_set_int(&call, "M", 3);
    sp_launch *l = make("e:whole", &call);
    cl_mem mem = buffer(3, NULL);
    uint64_t before = dev->n_launches;
    run(l, &(sp_range){mem, 0}, NULL);
    cr_assert_eq(dev->n_launches, before + 1);
    sp_device_free(dev, &mem);
    sp_launch_destroy(&l);
}

/* A driver that compiles a kernel for each local size meets two of them where the metadata leave it open. */
Test(launch, few_local_sizes_where_each_is_compiled)
{
    load("//@ plugin: e 1.0.0\n//@ abi: 1\n//@ op: fill/1\n//@ kernel: size\n//@ global: M\n"
         "__kernel void size(SP_OUT(float, y)) { SP_AT(y); y[get_global_id(0)] = get_local_size(0); }\n");
    if (!(dev->info.quirks & SP_QUIRK_COMPILES_EACH_LOCAL_SIZE))
        cr_skip_test("this driver does not compile a kernel for each local size");
    const int sizes[] = {1, 3, 48, 63, 64, 65, 192, 1000};
    cl_mem mem = buffer(1000, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        float first;
        sp_op_call call = sp_op_call_make("fill/1");
        sp_call_set_int(&call, "M", sizes[i]);
        sp_launch *l = make("e:size", &call);
        run(l, &(sp_range){mem, 0}, NULL);
        read_back(mem, &first, 1);
        cr_expect_eq(first, sizes[i] % 64 ? 1 : 64, "M = %d: %g", sizes[i], first);
        sp_launch_destroy(&l);
    }
    sp_device_free(dev, &mem);
}

/* One block for scale/1 with the kernel's argument list and one extra metadata line. */
#define SCALE(meta, args)                                                                                    \
    "//@ plugin: b 1.0.0\n//@ abi: 1\n//@ op: scale/1\n//@ kernel: k\n" meta "\n__kernel void k(" args       \
    ") {}\n"
#define GOOD "SP_REF(float, x), SP_IO(float, y), float factor"
#define G    "//@ global: M*C"
#define HEAD "//@ plugin: b 1.0.0\n//@ abi: 1\n//@ op: scale/1\n//@ kernel: k\n" G "\n"

static const struct {
    int line; /* that the message names */
    const char *text, *says;
} wrong[] = {
    {6, SCALE(G, GOOD ", int m"), "\"m\": scale/1 has no buffer, int or float of that name"},
    {6, SCALE(G, GOOD ", float facter"), "did you mean \"factor\"?"},
    {6, SCALE(G, "SP_REF(float, x), SP_IO(uint, y)"), "is uint*, the contract has float*"},
    {6, SCALE(G, "SP_REF(float4, x), SP_IO(float, y)"), "is float4*, the contract has float*"},
    {6, SCALE(G, "SP_REF(float, x), SP_IO(float, y), int factor"), "is int; the contract has a float"},
    {6, SCALE(G, GOOD ", float M"), "is float; the contract has an int"},
    {6, SCALE(G, GOOD ", __global float *M"), "the contract has an int"},
    {6, SCALE(G, "SP_REF(float, x), float y"), "must be a __global pointer"},
    {6, SCALE(G, "SP_REF(float, x), __global float *y"), "has no \"y_at\" beside it"},
    {6, SCALE(G, "SP_REF(float, x), __global float *y, uint y_at"), "\"y_at\": is uint, must be ulong"},
    {6, SCALE(G, "SP_IO(float, x), SP_IO(float, y)"), "is an input of scale/1"},
    {6, SCALE(G, "SP_IN(float, x), SP_IO(float, y)"), "declare it with SP_REF"},
    {6, SCALE(G, "SP_REF(float, x), SP_OUT(float, y)"), "declare it with SP_IO"},
    {6, SCALE(G, "SP_REF(float, x)"), "no kernel of b:k writes the output \"y\""},
    {6, SCALE(G, "SP_REF(float, x), SP_REF(float, y)"), "no kernel of b:k writes the output \"y\""},
    {6, SCALE(G, GOOD ", SP_OUT(float, work)"), "no \"workspace:\" line"},
    {6, SCALE(G, GOOD ", __local float *tile"), "local memory is declared in the kernel body"},
    {6, SCALE(G, GOOD ", ulong z_at"), "no buffer, int or float of that name"},
    {5, SCALE(G "\n//@ local: 3", GOOD), "is not a multiple of local size 3"},
    {6, SCALE("//@ global: 1048576\n//@ local: 1048576", GOOD), "this device takes"},
    {6, SCALE("//@ global: M\n//@ local: 0", GOOD), "local size 0"},
    {5, SCALE("//@ global: M - 100", GOOD), "gives -96, must be 0 to"},
    {5, SCALE("//@ global: M / (C - 4)", GOOD), "division by zero"},
    {6, SCALE(G "\n//@ workspace: 0 - 1", GOOD), "workspace \"0 - 1\" gives -1"},
    {4,
     "//@ plugin: b 1.0.0\n//@ abi: 1\n//@ op: scale/1\n//@ kernel: k\n" G "\n__kernel void other(" GOOD ") "
     "{}"
     "\n",
     "the file has no kernel \"k\""},
    {4,
     "//@ plugin: b 1.0.0\n//@ abi: 1\n//@ op: scale/1\n//@ kernel: scale_it\n" G "\n__kernel void "
     "scaleit(" GOOD ") {}\n",
     "did you mean \"scaleit\"?"},
    {8,
     "//@ plugin: b 1.0.0\n//@ abi: 1\n//@ op: scale/1\n//@ kernel: k\n" G "\n__kernel void\nk(SP_REF(float, "
     "x), SP_IO(float, y),\n  float "
     "facter) {}\n",
     "did you mean \"factor\"?"},
    {4, HEAD "void k(" GOOD ") {}\n", "\"k\"; the function of that name is not declared with __kernel"},
    {4, HEAD "#if 0\n__kernel void k(" GOOD ") {}\n#endif\n",
     "\"k\" for this call; is the one in its text under an #if that is false?"},
    {9, HEAD "#if 0\n__kernel void k(" GOOD ") {}\n#else\n__kernel void k(" GOOD ", int wrong) {}\n#endif\n",
     "argument \"wrong\": scale/1 has no buffer"},
};

Test(launch, refuses_kernels_that_do_not_fit_the_contract)
{
    sp_op_call call = sp_op_call_make("scale/1");
    sp_call_set_int(&call, "M", 4);
    sp_call_set_int(&call, "C", 4);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        load(wrong[i].text);
        sp_launch *l = NULL;
        sp_error err = {0};
        char place[32];
        snprintf(place, sizeof place, "/p.cl:%d: ", wrong[i].line);
        sp_status st =
            sp_launch_create(reg, dev, find(strstr(wrong[i].text, "scale_it") ? "b:scale_it" : "b:k"), &call,
                             NULL, &l, &err);
        cr_expect_not_null(strstr(err.text, place), "case %zu: \"%s\" not in \"%s\"", i, place, err.text);
        cr_expect_eq(st, SP_E_PLUGIN, "case %zu gives %s: %s", i, sp_status_name(st), err.text);
        cr_expect_not_null(strstr(err.text, wrong[i].says), "case %zu: \"%s\" not in \"%s\"", i,
                           wrong[i].says, err.text);
        cr_expect_null(l);
        sp_launch_destroy(&l);
    }
}

/* As of what comes from a package, which has neither text nor lines. */
Test(launch, without_text_and_lines_the_file_is_the_place)
{
    const sp_variant v = {.path = "a.cl"};
    const sp_pass pass = {.kernel = "k"};
    char place[SP_PLACE_SIZE], near[8];
    sp_variant_place(&v, sp_variant_code_line(&v, &pass, "x"), place);
    cr_expect_str_eq(place, "a.cl");
    cr_expect_eq(sp_variant_near_kernel(&v, "k", near, sizeof near), SP_KERNEL_UNKNOWN);
    cr_expect_str_eq(near, "");
}

/* What a driver refuses at a launch, after all has been bound, names the kernel's place too. */
Test(launch, failures_of_a_launch_name_the_place)
{
    load(HEAD "//@ local: 1\n__kernel void k(SP_REF(float, x),\n  SP_IO(float, y), float factor) {}\n");
    sp_op_call call = sp_op_call_make("scale/1");
    sp_call_set_int(&call, "M", 4), sp_call_set_int(&call, "C", 4);
    sp_launch *l = make("b:k", &call);
    sp_error err = {0};
    sp_range none[SP_OP_MAX_BUFFERS] = {{NULL, 0}};
    cl_mem mem = buffer(16, NULL);
    none[0].mem = none[1].mem = mem;
    l->passes[0].local[0] = 3;
    cr_expect_eq(sp_launch_enqueue(l, none, (sp_range){NULL, 0}, NULL, "step", &err), SP_E_OPENCL);
    cr_expect(strstr(err.text, "/p.cl:7: kernel step failed to start"), "%s", err.text);
    l->passes[0].ranges[1].mem_arg = 99;
    l->passes[0].ranges[1].bound = false;
    cr_expect_eq(sp_launch_enqueue(l, none, (sp_range){NULL, 0}, NULL, "step", &err), SP_E_OPENCL);
    cr_expect(strstr(err.text, "/p.cl:8: kernel k, argument \"y\": setting it failed: CL_"), "%s", err.text);
    sp_device_free(dev, &mem);
    sp_launch_destroy(&l);
}

Test(launch, a_buffer_that_the_call_does_not_have_is_refused)
{
    load("//@ plugin: b 1.0.0\n//@ abi: 1\n//@ op: conv.forward/1\n//@ kernel: k\n//@ global: 1\n"
         "__kernel void k(SP_IN(float, bias), SP_OUT(float, y)) {}\n");
    for (int bias = 0; bias < 2; bias++) {
        sp_op_call call = sp_op_call_make("conv.forward/1");
        sp_call_set_flag(&call, "BIAS", bias);
        sp_launch *l = NULL;
        sp_error err = {0};
        sp_status st = sp_launch_create(reg, dev, find("b:k"), &call, NULL, &l, &err);
        cr_expect_eq(st, bias ? SP_OK : SP_E_PLUGIN, "BIAS=%d: %s", bias, err.text);
        cr_expect(bias || strstr(err.text, "\"bias\": conv.forward/1 has this buffer only where BIAS"), "%s",
                  err.text);
        sp_launch_destroy(&l);
    }
}

Test(launch, a_build_error_names_the_file_and_line)
{
    load(SCALE(G, GOOD) "int broken = ;\n");
    sp_op_call call = sp_op_call_make("scale/1");
    sp_launch *l = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_launch_create(reg, dev, find("b:k"), &call, NULL, &l, &err), SP_E_BUILD, "%s", err.text);
    cr_assert_not_null(strstr(err.text, "p.cl:7"), "%s", err.text);
}

Test(launch, ints_that_do_not_fit_are_refused)
{
    load(SCALE(G, GOOD ", int M"));
    sp_op_call call = sp_op_call_make("scale/1");
    sp_call_set_int(&call, "M", INT64_C(1) << 31);
    sp_launch *l = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_launch_create(reg, dev, find("b:k"), &call, NULL, &l, &err), SP_E_PLUGIN);
    cr_assert_not_null(strstr(err.text, "2147483648 does not fit int"), "%s", err.text);
}

Test(launch, fragments_are_found_or_suggested)
{
    load(NULL);
    sp_op_call call = sp_op_call_make("neuron.backward/1");
    sp_call_set_int(&call, "M", 1);
    sp_call_set_int(&call, "C", 32);
    sp_variant *v = NULL;
    for (size_t i = 0; i < reg->n_variants && !v; i++)
        if (reg->variants[i]->op == call.op && reg->variants[i]->origin == SP_ORIGIN_REFERENCE)
            v = reg->variants[i];
    cr_assert_not_null(v);
    sp_launch *l = NULL;
    sp_error err = {0};
    call.neuron = "lif";
    cr_assert_eq(sp_launch_create(reg, dev, v, &call, NULL, &l, &err), SP_E_CONFIG);
    call.surrogate = "triangel";
    cr_assert_eq(sp_launch_create(reg, dev, v, &call, NULL, &l, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "did you mean \"triangle\"?"), "%s", err.text);
    call.surrogate = "triangle";
    cr_assert_eq(sp_launch_create(reg, dev, v, &call, NULL, &l, &err), SP_OK, "%s", err.text);
    sp_launch_destroy(&l);
}

Test(launch, a_lowering_has_no_launch)
{
    load(NULL);
    sp_op_call call = sp_op_call_make("conv.forward/1");
    sp_launch *l = NULL;
    cr_assert_eq(sp_launch_create(reg, dev, find("im2col_gemm:lower"), &call, NULL, &l, NULL), SP_E_PLUGIN);
}
