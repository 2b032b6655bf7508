/* Declarations of built-in functions in front of a source. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "cl/internal.h"
#include "cl/program.h"

static const sp_device_info doubles = {.fp64 = true};

Test(builtins, only_functions_that_a_word_begins_with_are_declared)
{
    const char source[] = "__kernel void k(__global float *x) { x[0] = fma(x[0], prefmax, vload##n); }\n";
    char *text = sp_builtins_declare(&doubles, source);
    cr_assert(strstr(text, "sp_const float fma(float, float, float);"), "%s", text);
    cr_assert(strstr(text, "sp_const double16 fma(double16, double16, double16);"));
    cr_assert(strstr(text, "sp_read uchar16 vload16(size_t, const __private uchar *);"));
    cr_assert_null(strstr(text, " fmax("));
    cr_assert_null(strstr(text, "half"));
    cr_assert(strcmp(text + strlen(text) - strlen(source), source) == 0);
    sp_free(text);
}

Test(builtins, doubles_and_halves_are_declared_where_the_device_has_them)
{
    const sp_device_info halves = {.fp16 = true};
    char *text = sp_builtins_declare(&halves, "select isnan");
    cr_assert(strstr(text, "sp_const half4 select(half4, half4, ushort4);"), "%s", text);
    cr_assert(strstr(text, "sp_const short2 isnan(half2);"));
    cr_assert(strstr(text, "sp_const int isnan(half);"));
    cr_assert_null(strstr(text, "double"));
    sp_free(text);
}

static sp_device *open_device(void)
{
    sp_device *dev = NULL;
    sp_error err = {0};
    sp_status st = sp_device_open(NULL, NULL, &dev, &err);
    if (st == SP_E_DEVICE)
        cr_skip_test("no OpenCL device: %s", err.text);
    cr_assert_eq(st, SP_OK, "%s", err.text);
    if (!(dev->info.quirks & SP_QUIRK_READS_ALL_BUILTINS))
        cr_skip_test("the compiler of %s has no need of them", dev->info.name);
    return dev;
}

/* Beside the declarations of the driver they would not compile if a type or an attribute were another. */
static const char every_function[] =
    "// get_work_dim get_global_size get_global_id get_global_offset get_local_size get_local_id\n"
    "// get_num_groups get_group_id barrier abs acos asin atan ceil clamp convert_char convert_uchar\n"
    "// convert_short convert_ushort convert_int convert_uint convert_long convert_ulong convert_float\n"
    "// copysign cos cosh erf exp exp2 expm1 fabs floor fma fmax fmin fmod ilogb isfinite isinf isnan\n"
    "// ldexp log log1p log2 mad max min mul_hi popcount pow rint round rsqrt select sign sin sinh sqrt\n"
    "// tan tanh trunc vload_half vstore_half vload vstore\n"
    "__kernel void k(__global float *x) { x[0] = fma(x[0], x[1], get_work_dim()); }\n";

Test(builtins, all_declarations_agree_with_those_of_the_driver)
{
    sp_device *dev = open_device();
    char *text = sp_builtins_declare(&dev->info, every_function);
    const sp_source piece = {"every.cl", text};
    cl_program p = NULL;
    sp_error err = {0};
    dev->info.quirks &= ~(uint32_t)SP_QUIRK_READS_ALL_BUILTINS;
    cr_assert_eq(sp_program_get(dev, "every", &piece, 1, "-Werror", &p, &err), SP_OK, "%s", err.text);
    dev->info.quirks |= SP_QUIRK_READS_ALL_BUILTINS;
    const sp_source plain = {"plain.cl", every_function};
    cr_assert_eq(sp_program_get(dev, "plain", &plain, 1, "-Werror", &p, &err), SP_OK, "%s", err.text);
    cr_assert_eq(dev->n_reread, 0u);
    sp_free(text);
    sp_device_close(&dev);
}

Test(builtins, a_source_that_uses_others_is_built_with_those_of_the_driver)
{
    sp_device *dev = open_device();
    const sp_source piece = {"others.cl", "__kernel void k(__global int *x) { atomic_add(x, popcount(x[1])); "
                                          "}\n"};
    cl_program p = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_program_get(dev, "others", &piece, 1, "", &p, &err), SP_OK, "%s", err.text);
    cr_assert_eq(dev->n_reread, 1u);
    cr_assert_eq(dev->n_builds, 1u);
    sp_device_close(&dev);
}
