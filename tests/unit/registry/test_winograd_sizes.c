/* The kernels of plugins/cpu_winograd divide their work as winograd_sizes.clh says, and their metadata must
 * say the same: launches cover all panels and chunks, and the workspace holds what is written. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "../../../cl_kernels/common/macros.clh"
#include "../../../plugins/cpu_winograd/winograd_sizes.clh"
#include "base/expr.h"
#include "registry/registry.h"

static sp_registry *reg;
static sp_device dev;

static int64_t value_of(const sp_variant *v, const sp_op_call *call, const char *expression)
{
    sp_variant_scope scope = {.variant = v, .call = call, .dev = &dev};
    sp_error err = {0};
    int64_t value = 0;
    cr_assert_eq(sp_expr_eval(expression, sp_variant_lookup, &scope, &value, &err), SP_OK, "%s", err.text);
    return value;
}

static void expect_size(const sp_variant *v, const sp_op_call *call, int pass, int dimension, int64_t wanted)
{
    char shape[512];
    sp_call_describe(call, shape, sizeof shape);
    const int64_t size = value_of(v, call, v->passes[pass].global[dimension]);
    cr_assert_eq(size, wanted, "%s, %s: size %d is %" PRId64 ", the kernel needs %" PRId64 " (%s)", v->id,
                 v->passes[pass].kernel, dimension, size, wanted, shape);
}

static void compare_weight_gradient(const sp_variant *v, const sp_op_call *call)
{
    const int64_t C = sp_call_int(call, "C"), O = sp_call_int(call, "O");
    const int64_t tiles =
        TILE_COUNT(sp_call_int(call, "N"), sp_call_int(call, "HO"), sp_call_int(call, "WO"));
    const int64_t slots = SLOT_COUNT(tiles, C, O);
    expect_size(v, call, 0, 0, PANEL_COUNT(C, O));
    if (v->n_passes == 1) {
        cr_assert_eq(slots, 1, "%s", v->id);
        return;
    }
    expect_size(v, call, 0, 1, slots);
    expect_size(v, call, 1, 0, 9 * C);
    cr_assert_eq(value_of(v, call, v->workspace), slots * 9 * C * O, "%s", v->id);
}

/* As spike_lists.clh lays them out. */
static int64_t lists_size(const sp_op_call *call)
{
    const int64_t N = sp_call_int(call, "N"), H = sp_call_int(call, "H"), W = sp_call_int(call, "W");
    return N * H + N * H * (W + 1) + N * H * CEIL(W * sp_call_int(call, "C"), 2);
}

static void compare_other(const sp_variant *v, const sp_op_call *call, bool backward)
{
    const int64_t in = sp_call_int(call, backward ? "O" : "C"), out = sp_call_int(call, backward ? "C" : "O");
    const int64_t tiles = TILE_COUNT(sp_call_int(call, "N"), sp_call_int(call, backward ? "H" : "HO"),
                                     sp_call_int(call, backward ? "W" : "WO"));
    const int64_t lists = strstr(v->id, "_by_rate_") ? lists_size(call) : 0;
    if (strstr(v->id, "_weights")) {
        const int64_t weights = 36 * COMPONENT_STEP(v->bf16 ? in / 2 : in, out);
        cr_assert_eq(value_of(v, call, v->workspace), MAX(weights, lists), "%s", v->id);
        return;
    }
    const int64_t chunk = value_of(v, call, "CHUNK"), channels = CHUNK_CHANNELS(in);
    const int64_t numbers = CEIL(tiles, chunk) * (in / channels) * 36 * COMPONENT_STEP(chunk, channels);
    expect_size(v, call, 1, 0, out / value_of(v, call, "PANEL") * CEIL(tiles, chunk));
    cr_assert_geq(value_of(v, call, v->workspace), MAX(v->bf16 ? numbers / 2 : numbers, lists), "%s", v->id);
}

static sp_op_call call_of(const sp_variant *v, int64_t n, int64_t h, int64_t c, int64_t o)
{
    static const char *const ones[] = {"SH", "SW", "PH", "PW", "DH", "DW"};
    sp_op_call call = sp_op_call_make(v->op->id);
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        sp_call_set_int(&call, ones[i], 1);
    sp_call_set_int(&call, "KH", 3), sp_call_set_int(&call, "KW", 3);
    sp_call_set_int(&call, "N", n), sp_call_set_int(&call, "C", c), sp_call_set_int(&call, "O", o);
    sp_call_set_int(&call, "H", h), sp_call_set_int(&call, "HO", h);
    sp_call_set_int(&call, "W", h + 4), sp_call_set_int(&call, "WO", h + 4);
    sp_call_set_bf16(&call, v->bf16);
    if (strstr(v->id, "_by_rate_"))
        sp_call_set_flag(&call, "X_BITS", 1);
    return call;
}

Test(winograd, metadata_divide_the_work_as_the_kernels_do)
{
    static const int64_t channels[] = {16, 32, 48, 64, 96, 128, 512};
    enum { COUNT = sizeof channels / sizeof *channels };
    int variants = 0;
    cr_assert_eq(sp_registry_create(NULL, &reg, NULL), SP_OK);
    dev.info.extensions = (char *)"";
    dev.info.compute_units = 2;
    dev.info.avx512_bf16 = true;
    for (size_t i = 0; i < reg->n_variants; i++) {
        const sp_variant *v = reg->variants[i];
        int compared = 0;
        if (strcmp(v->plugin, "cpu_winograd") != 0)
            continue;
        for (int c = 0; c < COUNT * COUNT; c++)
            for (int64_t n = 1; n <= 64; n *= 4)
                for (int64_t h = 4; h <= 31; h += 9) {
                    const sp_op_call call = call_of(v, n, h, channels[c / COUNT], channels[c % COUNT]);
                    char reason[256];
                    if (!sp_variant_can_run(v, &dev, &call, NULL, reason, sizeof reason))
                        continue;
                    if (strncmp(v->op->id, "conv.backward_weight/", 21) == 0)
                        compare_weight_gradient(v, &call);
                    else
                        compare_other(v, &call, strncmp(v->op->id, "conv.backward_input/", 20) == 0);
                    compared++;
                }
        cr_assert_gt(compared, 20, "%s: %d calls", v->id, compared);
        variants++;
    }
    cr_assert_geq(variants, 14, "%d", variants);
    sp_registry_destroy(&reg);
}
