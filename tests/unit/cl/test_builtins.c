/* Declarations of built-in functions in front of a source. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "cl/internal.h"
#include "cl/program.h"

static const sp_device_info doubles = {.fp64 = true};

Test(builtins, only_functions_that_a_word_names_are_declared)
{
    const char source[] = "__kernel void k(__global float *x) { x[0] = fma(x[0], prefmax, fminimum, "
                          "vload##n); }\n";
    char *text = sp_builtins_declare(&doubles, source);
    cr_assert(strstr(text, "const)) float _cl_fma(float, float, float);"), "%s", text);
    cr_assert(strstr(text, "const)) float16 _cl_fma(float16, float16, float16);"));
    cr_assert(strstr(text, "uint16 _cl_vload16(size_t, const __global uint *),_cl_vload16("));
    cr_assert(strstr(text, "const __private uint *)"));
    cr_assert(strstr(text, "#define vload3 _cl_vload3\n"));
    cr_assert_null(strstr(text, "_cl_fmax("));
    cr_assert_null(strstr(text, "_cl_fmin("));
    cr_assert_null(strstr(text, "half"));
    sp_free(text);
}

Test(builtins, functions_of_one_result_share_a_declaration)
{
    char *text = sp_builtins_declare(&doubles, "exp(fmax(x, y))");
    cr_assert(strstr(text, "__attribute__((overloadable, const)) float4 "
                           "_cl_exp(float4),_cl_fmax(float4, float4),_cl_fmax(float4, float);"),
              "%s", text);
    sp_free(text);
}

Test(builtins, a_written_width_is_the_only_one)
{
    char *text = sp_builtins_declare(&doubles, "vload4(0, x) vload_half(0, y) vstore8(0, y) "
                                               "convert_int2_sat(f)");
    cr_assert(strstr(text, " _cl_vload4("), "%s", text);
    cr_assert_null(strstr(text, "_cl_vload16("));
    cr_assert_null(strstr(text, "_cl_vload2("));
    cr_assert(strstr(text, "float _cl_vload_half("));
    cr_assert_null(strstr(text, "_cl_vload_half4("));
    cr_assert(strstr(text, "_cl_convert_int2_sat(float2)"));
    cr_assert_null(strstr(text, "_cl_convert_int4"));
    sp_free(text);
}

Test(builtins, doubles_and_halves_are_declared_where_the_device_has_them)
{
    const sp_device_info halves = {.fp16 = true};
    char *text = sp_builtins_declare(&halves, "half4 x; select isnan");
    cr_assert(strstr(text, "_cl_select(half4, half4, ushort4)"), "%s", text);
    cr_assert(strstr(text, "_cl_isnan(half2)"));
    cr_assert(strstr(text, "_cl_isnan(half)"));
    cr_assert_null(strstr(text, "double"));
    sp_free(text);
}

/* A value of such a type can call nothing else: what converts to another type is declared as well. */
Test(builtins, types_that_no_value_can_have_are_left_out)
{
    static const struct {
        const char *source, *declared, *missing;
    } rows[] = {
        {"max(x, y) // no char", "_cl_max(int, int)", "char"},
        {"uchar c = max(a, b);", "_cl_max(char, char)", "short"},
        {"max(x, y)", "_cl_max(long, long)", "long2"},
        {"ulong##n x; max", "_cl_max(long4, long4)", "short"},
        {"ulong3 x; max", "_cl_max(ulong3, ulong3)", "double2"},
        {"CAT(ulong, n) x; max", "_cl_max(ulong16, ulong16)", "double2"},
        {"max /* double */", "_cl_max(double, double)", "double2"},
        {"double x; max", "_cl_max(double2, double2)", "char"},
        {"double x; max", "_cl_max(long2, long2)", "short"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = sp_builtins_declare(&doubles, rows[i].source);
        cr_expect(strstr(text, rows[i].declared), "%s\n%s", rows[i].source, text);
        cr_expect_null(strstr(text, rows[i].missing), "%s\n%s", rows[i].source, text);
        sp_free(text);
    }
}

Test(builtins, a_macro_that_nothing_uses_needs_nothing)
{
    static const char source[] = "#define A(n) vload##n \\\n    exp\n#define B fmin\n#define EACH2 sqrt\n"
                                 "#define EACH(n) CAT(EACH, n)\n/* fmax */ x = B; EACH(2)\n#define C log";
    char *text = sp_builtins_declare(&doubles, source);
    cr_assert(strstr(text, "_cl_fmin("), "%s", text);
    cr_assert(strstr(text, "_cl_sqrt("), "%s", text);
    cr_assert_null(strstr(text, "vload"));
    cr_assert_null(strstr(text, "exp"));
    cr_assert_null(strstr(text, "fmax"));
    sp_free(text);
}

Test(builtins, a_function_of_the_source_is_not_the_drivers)
{
    cr_expect(sp_builtins_are_others("x = step(y, z);"));
    cr_expect(sp_builtins_are_others("float f(float y) { return step(y, 1); }"));
    cr_expect(sp_builtins_are_others("native_exp (x)"));
    cr_expect_not(sp_builtins_are_others("float16 step(float x) {} y = step(x);"));
    cr_expect_not(sp_builtins_are_others("int step; footstep(x); stepped(x); my_native_exp(x)"));
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
    "#define ALL() char half long double \\\n"
    "   get_work_dim get_global_size get_global_id get_global_offset get_local_size get_local_id \\\n"
    "   get_num_groups get_group_id barrier abs acos asin atan ceil clamp convert_char convert_uchar \\\n"
    "   convert_short convert_ushort convert_int convert_uint convert_long convert_ulong convert_float \\\n"
    "   copysign cos cosh erf exp exp2 expm1 fabs floor fma fmax fmin fmod ilogb isfinite isinf isnan \\\n"
    "   ldexp log log1p log2 mad max min mul_hi popcount pow rint round rsqrt select sign sin sinh sqrt \\\n"
    "   tan tanh trunc vload_half vstore_half vload vstore short\n"
    "#ifdef ALL\n"
    "#endif\n"
    "__kernel void k(__global float *x) { x[0] = fma(x[0], x[1], get_work_dim()); }\n";

Test(builtins, all_declarations_agree_with_those_of_the_driver)
{
    sp_device *dev = open_device();
    char *text = sp_builtins_declare(&dev->info, every_function);
    const sp_source pieces[] = {{"declarations.cl", text}, {"every.cl", every_function}};
    cl_program p = NULL;
    sp_error err = {0};
    dev->info.quirks &= ~(uint32_t)SP_QUIRK_READS_ALL_BUILTINS;
    cr_assert_eq(sp_program_get(dev, "every", pieces, 2, "-Werror", &p, &err), SP_OK, "%s", err.text);
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
    const sp_source pieces[] = {{"others.cl", "__kernel void k(__global int *x) { atomic_add(x, "
                                              "popcount(x[1])); }\n"},
                                {"pasted.cl", "#define CAT(a, b) a##b\n__kernel void k(__global int *x) { "
                                              "CAT(atomic, _add)(x, 1); }\n"}};
    cl_program p = NULL;
    sp_error err = {0};
    for (unsigned i = 0; i < 2; i++) { // one is seen before it is built
        cr_assert_eq(sp_program_get(dev, "others", &pieces[i], 1, "", &p, &err), SP_OK, "%s", err.text);
        cr_assert_eq(dev->n_reread, i);
        cr_assert_eq(dev->n_builds, i + 1);
    }
    sp_device_close(&dev);
}
