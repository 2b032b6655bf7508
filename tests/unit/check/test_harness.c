/* The check finds what is broken and passes what is not: fixtures with one defect each, on whatever device
 * there is. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "check/case.h"

#define FIXTURES SP_TEST_SOURCE_DIR "/tests/unit/check/fixtures"

static sp_registry *reg;
static sp_device *dev;
static sp_error err;

static void begin(const char *path)
{
    sp_log_set_level(SP_LOG_ERROR);
    if (sp_device_open(NULL, NULL, &dev, &err) != SP_OK)
        cr_skip_test("no OpenCL device: %s", err.text);
    cr_assert_eq(sp_registry_create(path, &reg, &err), SP_OK, "%s", err.text);
    cr_assert_eq(reg->n_refusals, 0, "%s: %s", reg->refusals[0].path, reg->refusals[0].reason);
}

static void end(void)
{
    sp_registry_destroy(&reg);
    sp_device_close(&dev);
}

static sp_variant *variant(const char *kernel)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (strncmp(reg->variants[i]->id, "broken:", 7) == 0 && strcmp(reg->variants[i]->id + 7, kernel) == 0)
            return reg->variants[i];
    cr_assert_fail("no variant %s", kernel);
    return NULL;
}

Test(harness, good_kernel_conforms)
{
    begin(FIXTURES "/broken");
    sp_check_options o = {.quick = true, .seed = 5};
    sp_check_report r;
    cr_assert_eq(sp_check_variant(reg, dev, variant("add__good"), &o, &r, &err), SP_OK, "%s", err.text);
    cr_assert_geq(r.shapes_run, 4);
    cr_assert_eq(r.shapes_not_applicable, 0);
    end();
}

Test(harness, every_defect_is_found_and_named)
{
    static const struct {
        const char *kernel, *words;
    } cases[] = {
        {"add__past_end", "element(s) past the end of buffer y"},
        {"add__before_start", "element(s) before the start of buffer y"},
        {"add__skips_tail", "is not written"},
        {"add__inaccurate", "of the largest value"},
        {"add__reads_past_end", "is not finite"},
        {"add__writes_input", "changed its input a"},
        {"add__not_in_place", "output in the memory of its input"},
        {"add__trusts_work", "is not written"}, /* poison plus a number is poison */
        {"add__past_work", "past the end of buffer work"},
        {"add__no_build", "add__no_build"},
        {"neuron_forward__strict", "s["},
    };
    begin(FIXTURES "/broken");
    sp_check_options o = {.quick = true, .seed = 77};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_check_report r;
        err = (sp_error){0};
        sp_status st = sp_check_variant(reg, dev, variant(cases[i].kernel), &o, &r, &err);
        cr_expect_neq(st, SP_OK, "%s passed", cases[i].kernel);
        cr_expect_eq(st, err.status);
        cr_expect(strstr(err.text, cases[i].words), "%s: %s", cases[i].kernel, err.text);
        cr_expect(strstr(err.text, " --plugins \"" FIXTURES "/broken/"), "%s", err.text);
        cr_expect(strstr(err.text, " --seed 77`"), "%s", err.text);
    }
    end();
}

Test(harness, failure_names_the_call_and_repeats_with_the_same_numbers)
{
    begin(FIXTURES "/broken");
    sp_check_options o = {.quick = true, .seed = 9};
    sp_check_report r;
    sp_error again = {0};
    cr_assert_eq(sp_check_variant(reg, dev, variant("add__inaccurate"), &o, &r, &err), SP_E_MISMATCH);
    cr_assert(strstr(err.text, "--shape \"M=3 C=5\""), "%s", err.text);
    cr_assert_eq(sp_check_variant(reg, dev, variant("add__inaccurate"), &o, &r, &again), SP_E_MISMATCH);
    cr_assert_str_eq(err.text, again.text);
    end();
}

Test(harness, full_tries_the_other_values_of_tunables)
{
    begin(FIXTURES "/broken");
    sp_check_options o = {.quick = true, .seed = 1};
    sp_check_report r;
    cr_assert_eq(sp_check_variant(reg, dev, variant("add__tuned"), &o, &r, &err), SP_OK, "%s", err.text);
    o.quick = false;
    cr_assert_eq(sp_check_variant(reg, dev, variant("add__tuned"), &o, &r, &err), SP_E_MISMATCH);
    cr_assert(strstr(err.text, "SKEW=1"), "%s", err.text);
    end();
}

Test(harness, variant_without_a_shape_reports_that_none_ran)
{
    begin(FIXTURES "/broken");
    sp_check_options o = {.quick = true, .seed = 1};
    sp_check_report r;
    cr_assert_eq(sp_check_variant(reg, dev, variant("add__rare"), &o, &r, &err), SP_OK);
    cr_assert_eq(r.shapes_run, 0);
    cr_assert_gt(r.shapes_not_applicable, 0);
    end();
}

Test(harness, fragments)
{
    static const struct {
        sp_fragment_kind kind;
        const char *name, *words;
    } cases[] = {
        {SP_FRAGMENT_SURROGATE, "good", NULL},
        {SP_FRAGMENT_SURROGATE, "triangle", NULL},
        {SP_FRAGMENT_SURROGATE, "wrong_slope", "not the derivative of surrogate_smooth"},
        {SP_FRAGMENT_SURROGATE, "not_finite", "not finite at d = 0"},
        {SP_FRAGMENT_NEURON, "good", NULL},
        {SP_FRAGMENT_NEURON, "lif", NULL},
        {SP_FRAGMENT_NEURON, "wrong_d_v", "neuron_d_charge_d_v"},
        {SP_FRAGMENT_NEURON, "wrong_d_u", "neuron_d_reset_d_u"},
        {SP_FRAGMENT_NEURON, "wrong_d_s", "neuron_d_reset_d_s"},
        {SP_FRAGMENT_NEURON, "quadratic",
         "neuron_d_charge_d_v takes (neuron_args p), but is defined with 2 "
         "arguments; the charge of a neuron must be linear in v and x"},
        {SP_FRAGMENT_NEURON, "wrong_d_v", "must be linear in v and x"},
        {SP_FRAGMENT_NEURON, "plif", NULL},
        {SP_FRAGMENT_NEURON, "cuba_plif", NULL},
        {SP_FRAGMENT_NEURON, "palif", NULL},
        {SP_FRAGMENT_NEURON, "everything", NULL},
        {SP_FRAGMENT_NEURON, "wrong_aux_a", "neuron_d_aux_d_a"},
        {SP_FRAGMENT_NEURON, "wrong_aux_x", "neuron_d_aux_d_x"},
        {SP_FRAGMENT_NEURON, "wrong_aux_s", "neuron_d_aux_d_s"},
        {SP_FRAGMENT_NEURON, "wrong_current_x", "neuron_d_current_d_x"},
        {SP_FRAGMENT_NEURON, "wrong_current_a", "neuron_d_current_d_a"},
        {SP_FRAGMENT_NEURON, "wrong_threshold_a", "neuron_d_threshold_d_a"},
        {SP_FRAGMENT_NEURON, "wrong_w", "neuron_d_charge_d_w"},
    };
    begin(FIXTURES "/fragments");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_fragment *f = (sp_fragment *)sp_fragment_find(reg, cases[i].kind, cases[i].name);
        cr_assert_not_null(f, "%s", cases[i].name);
        err = (sp_error){0};
        sp_check_report r;
        sp_status st = sp_check_fragment(reg, dev, f, &r, &err);
        if (!cases[i].words)
            cr_expect_eq(st, SP_OK, "%s: %s", cases[i].name, err.text);
        else
            cr_expect(st == SP_E_MISMATCH && strstr(err.text, cases[i].words), "%s: status %d, %s",
                      cases[i].name, st, err.text);
    }
    end();
}
