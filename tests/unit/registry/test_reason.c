/* Why the condition of a variant does not hold, in words. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "registry/meta.h"
#include "registry/registry.h"

/* What is said of a condition that does not hold for a row of M = 33. */
static void expect(const char *when, const char *wanted)
{
    char text[1024], reason[SP_REASON_SIZE] = "";
    sp_meta meta;
    sp_error err = {0};
    sp_device dev = {.info = {.type = SP_DEVICE_CPU, .private_bytes = 1000}};
    sp_op_call call = sp_op_call_make("fill");
    sp_call_set_int(&call, "M", 33);
    snprintf(text, sizeof text,
             "//@ plugin: t 1.0.0\n//@ abi: 1\n//@ let: NONE = M - 33\n//@ let: PART = 8/NONE\n"
             "//@ let: BYTES = 4*(M + 300)\n//@ let: ROOM = cpu && BYTES <= private_bytes\n"
             "//@ let: FITS = M > 3 && ROOM\n//@ op: fill/1\n//@ kernel: k\n//@ global: M\n//@ when: %s\n"
             "kernel void k(void) {}\n",
             when);
    cr_assert_eq(sp_meta_read("t.cl", text, SP_ORIGIN_OUTSIDE, &meta, &err), SP_OK, "%s", err.text);
    cr_assert_not(sp_variant_can_run(meta.variants[0], &dev, &call, NULL, reason, sizeof reason), "%s", when);
    cr_assert_str_eq(reason, wanted);
    sp_meta_fini(&meta);
}

Test(reason, the_part_that_is_false)
{
    expect("M % 16 == 0", "rejected: M % 16 == 0 is false (M=33)");
    expect("cpu && M == 33 && M == 32 && gpu", "rejected: M == 32 is false (M=33)");
    expect("gpu || M == 32", "rejected: gpu || M == 32 is false (gpu=0, M=33)");
}

Test(reason, names_of_parts_that_are_numbers_and_what_conditions_are_made_of)
{
    expect("cpu && BYTES <= private_bytes", "rejected: BYTES <= private_bytes is false (BYTES=1332, "
                                            "private_bytes=1000)");
    expect("cpu && FITS", "rejected: BYTES <= private_bytes is false (BYTES=1332, private_bytes=1000)");
    expect("!FITS && M < 20", "rejected: M < 20 is false (M=33)");
    expect("NONE", "rejected: M - 33 is false (M=33)");
}

Test(reason, a_part_that_cannot_be_computed_does_not_hide_the_one_that_is_false)
{
    expect("NONE && PART > 1", "rejected: M - 33 is false (M=33)");
}

Test(reason, a_long_condition_is_cut)
{
    char when[600] = "M == 1", reason[SP_REASON_SIZE + 100];
    for (int i = 0; i < 40; i++)
        strcat(when, " || M == 2");
    snprintf(reason, sizeof reason, "rejected: %.252s... is false (M=33)", when);
    expect(when, reason);
}

/* What the check says of expressions of lines 6 and 7 that cannot be evaluated for a row of M = 33. */
static void expect_fault(const char *when, const char *registers, const char *wanted)
{
    char text[512];
    sp_meta meta;
    sp_error err = {0};
    sp_device dev = {.info = {.type = SP_DEVICE_CPU}};
    sp_op_call call = sp_op_call_make("fill");
    sp_call_set_int(&call, "M", 33);
    snprintf(text, sizeof text,
             "//@ plugin: t 1.0.0\n//@ abi: 1\n//@ op: fill/1\n//@ kernel: k\n//@ global: M\n//@ when: %s\n"
             "//@ registers: %s\nkernel void k(void) {}\n",
             when, registers);
    cr_assert_eq(sp_meta_read("t.cl", text, SP_ORIGIN_OUTSIDE, &meta, &err), SP_OK, "%s", err.text);
    const sp_variant_scope scope = {meta.variants[0], &call, &dev, NULL};
    cr_expect_eq(sp_variant_evaluates(&scope, &err), wanted ? SP_E_PLUGIN : SP_OK, "%s: %s", when, err.text);
    cr_expect(!wanted || strcmp(err.text, wanted) == 0, "%s: \"%s\"", when, err.text);
    sp_meta_fini(&meta);
}

Test(reason, faults_of_expressions_have_a_line)
{
    expect_fault("M > 0", "M", NULL);
    expect_fault("M < 0", "8 / (M - M)", NULL); /* nobody asks */
    expect_fault("8 / (M - M)", "M", "t.cl:6: when: column 3 of \"8 / (M - M)\": division by zero (8 / 0)");
    expect_fault("M > 0", "8 / (M - M)",
                 "t.cl:7: registers: column 3 of \"8 / (M - M)\": division by zero (8 / 0)");
}
