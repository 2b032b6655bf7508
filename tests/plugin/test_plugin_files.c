/* Plugins that are text: the good ones are used, each broken one is refused for its own reason. */
#include "support.h"

TestSuite(files, .init = setup, .fini = teardown, .timeout = 200);

Test(files, broken_metadata_is_refused_with_line)
{
    static const char *const cases[][2] = {{"unknown_key", "unknown key \"colour\""},
                                           {"wrong_abi", "abi 7, but this spikeport reads abi 1"},
                                           {"missing_op", "unknown op \"scaling/1\""},
                                           {"unknown_revision", "has scale/1 but not revision \"scale/9\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s.cl", FIXTURES, cases[i][0]);
        load(path);
        cr_assert_eq(reg->n_refusals, 1, "%s", path);
        cr_expect_not_null(strstr(reg->refusals[0].reason, cases[i][1]), "%s", reg->refusals[0].reason);
        cr_expect_eq(strncmp(reg->refusals[0].reason, "line ", 5), 0);
        cr_expect_not_null(strstr(last_warning, cases[i][1]), "a refusal is said aloud: %s", last_warning);
    }
}

static sp_op_call scale_call(void)
{
    sp_op_call call = sp_op_call_make("scale/1");
    sp_call_set_int(&call, "M", 5);
    sp_call_set_int(&call, "C", 7);
    sp_call_set_float(&call, "factor", 3);
    return call;
}

/* The check refuses it, and with trust on, selection passes it over and says why. */
Test(files, wrong_kernels_are_caught_by_the_check_and_by_trust)
{
    static const char *const cases[][2] = {{"build_error", "factr"},
                                           {"unknown_argument", "\"stride\""},
                                           {"wrong_result", "y"},
                                           {"unwritten_tail", "y"}};
    sp_op_call call = scale_call();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s.cl", FIXTURES, cases[i][0]);
        load(path);
        sp_variant *v = find(cases[i][0]), *chosen = NULL;
        sp_check_report report;
        sp_check_options options = {.quick = true, .seed = 1};
        sp_error err = {0};
        cr_expect_neq(sp_check_variant(reg, dev, v, &options, &report, &err), SP_OK, "%s passed",
                      cases[i][0]);
        cr_expect_not_null(strstr(err.text, cases[i][1]), "%s: %s", cases[i][0], err.text);
        cr_assert_eq(sp_select(reg, dev, &call, &chosen, NULL, 0, &err), SP_OK);
        cr_expect_str_eq(chosen->plugin, cases[i][0], "without trust its score wins");
        reg->trust = sp_check_trust;
        reg->trust_ctx = reg;
        cr_assert_eq(sp_select(reg, dev, &call, &chosen, NULL, 0, &err), SP_OK, "%s", err.text);
        cr_expect_str_neq(chosen->plugin, cases[i][0]);
        cr_expect_not_null(v->refused);
        cr_expect_not_null(strstr(last_warning, cases[i][0]), "%s", last_warning);
    }
}

Test(files, a_good_kernel_is_trusted_and_chosen)
{
    load(FIXTURES "/good_kernel.cl");
    reg->trust = sp_check_trust;
    reg->trust_ctx = reg;
    sp_op_call call = scale_call();
    sp_variant *chosen = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_select(reg, dev, &call, &chosen, NULL, 0, &err), SP_OK, "%s", err.text);
    cr_assert_str_eq(chosen->plugin, "good_kernel", "%s", last_warning);
}

static sp_status check_surrogate(const char *name)
{
    sp_check_report report;
    sp_error err = {0};
    sp_fragment *f = NULL;
    for (size_t i = 0; i < reg->n_fragments; i++)
        if (strcmp(reg->fragments[i]->name, name) == 0)
            f = reg->fragments[i];
    cr_assert_not_null(f);
    return sp_check_fragment(reg, dev, f, &report, &err);
}

Test(files, a_surrogate_of_ten_lines_works_by_name)
{
    load(FIXTURES "/surrogate_bump.cl");
    cr_assert_eq(check_surrogate("bump"), SP_OK);
    sp_op_call call = sp_op_call_make("neuron.backward/1");
    sp_call_set_int(&call, "M", 2);
    sp_call_set_int(&call, "C", 32);
    call.neuron = "lif";
    call.surrogate = "bump";
    sp_variant *v = NULL;
    sp_launch *l = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_select(reg, dev, &call, &v, NULL, 0, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_launch_create(reg, dev, v, &call, NULL, &l, &err), SP_OK, "%s", err.text);
    sp_launch_destroy(&l);
}

Test(files, a_surrogate_whose_derivative_is_wrong_is_caught)
{
    load(FIXTURES "/surrogate_lie.cl");
    cr_assert_neq(check_surrogate("lie"), SP_OK);
}

Test(files, the_template_is_a_good_plugin)
{
    load(PLUGINS "/template");
    cr_assert_eq(reg->n_refusals, 0, "%s", reg->n_refusals ? reg->refusals[0].reason : "");
    sp_check_report report;
    sp_check_options options = {.quick = false, .seed = 1};
    sp_error err = {0};
    cr_assert_eq(sp_check_variant(reg, dev, find("my_kernel"), &options, &report, &err), SP_OK, "%s",
                 err.text);
    cr_assert_gt(report.shapes_run, 0);
    cr_assert_eq(check_surrogate("my_surrogate"), SP_OK);
}
