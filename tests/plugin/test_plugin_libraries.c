/* Plugins with a shared object: one that works, and one for each way to break the border. */
#include "support.h"

TestSuite(libraries, .init = setup, .fini = teardown, .timeout = 100);

static sp_op_call fill_call(void)
{
    sp_op_call call = sp_op_call_make("fill/1");
    sp_call_set_int(&call, "M", 4);
    sp_call_set_float(&call, "value", 2.5);
    return call;
}

static sp_status create(const char *name, sp_launch **l, sp_error *err)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", LIBRARIES, name);
    load(path);
    sp_op_call call = fill_call();
    return sp_launch_create(reg, dev, find(name), &call, NULL, l, err);
}

Test(libraries, a_good_one_runs)
{
    sp_launch *l = NULL;
    sp_error err = {0};
    cr_assert_eq(create("good", &l, &err), SP_OK, "%s", err.text);
    float got[8] = {0};
    sp_range r = {.at_bytes = 8};
    cr_assert_eq(sp_device_alloc(dev, 8192, "test", &r.mem, &err), SP_OK);
    cr_assert_eq(sp_device_write(dev, (sp_range){r.mem, 0}, got, sizeof got, true, &err), SP_OK);
    cr_assert_eq(sp_launch_enqueue(l, &r, (sp_range){0}, NULL, "step", &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_device_read(dev, (sp_range){r.mem, 0}, got, sizeof got, &err), SP_OK);
    for (int i = 0; i < 8; i++)
        cr_expect_eq(got[i], i >= 2 && i < 6 ? 2.5f : 0.0f, "[%d] = %g", i, got[i]);
    r.at_bytes = 4000;
    cr_assert_eq(sp_launch_enqueue(l, &r, (sp_range){0}, NULL, "step", &err), SP_E_PLUGIN);
    cr_expect_not_null(strstr(err.text, "step: "), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "does not like 1000"), "%s", err.text);
    sp_device_free(dev, &r.mem);
    sp_launch_destroy(&l);
}

Test(libraries, one_library_serves_many_launches_and_registries)
{
    sp_error err = {0};
    for (int i = 0; i < 3; i++) {
        sp_launch *l[2] = {NULL, NULL};
        sp_op_call call = fill_call();
        cr_assert_eq(create("good", &l[0], &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_launch_create(reg, dev, find("good"), &call, NULL, &l[1], &err), SP_OK, "%s",
                     err.text);
        sp_launch_destroy(&l[0]);
        sp_launch_destroy(&l[1]);
    }
}

Test(libraries, broken_ones_say_what_is_broken_and_the_next_candidate_is_taken)
{
    static const char *const cases[][2] = {
        {"no_object", "cannot be opened"},
        {"no_symbol", "exports no symbol \"sp_plugin_entry\""},
        {"wrong_major", "built for plugin ABI 99.6, this spikeport has 1.1"},
        {"small_struct", "struct_size of its entry is 16"},
        {"no_factory", "has no factory \"spikeport.variant-factory/1\""},
        {"prepare", "the self-test of this plugin always fails"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_launch *l = NULL;
        sp_error err = {0};
        cr_expect_eq(create(cases[i][0], &l, &err), SP_E_PLUGIN, "%s: %s", cases[i][0], err.text);
        cr_expect_not_null(strstr(err.text, cases[i][1]), "%s: %s", cases[i][0], err.text);
        cr_expect_null(l);
        sp_op_call call = fill_call();
        sp_variant *v = NULL;
        reg->trust = sp_check_trust;
        reg->trust_ctx = reg;
        cr_assert_eq(sp_select(reg, dev, &call, &v, NULL, 0, &err), SP_OK, "%s", err.text);
        cr_expect_neq(v, find(cases[i][0]));
        cr_expect_not_null(find(cases[i][0])->refused);
    }
}

Test(libraries, finding_one_executes_nothing)
{
    load(LIBRARIES "/no_symbol:" LIBRARIES "/good");
    cr_assert_eq(reg->n_refusals, 0, "a shared object is opened only when it is chosen");
    cr_assert_not_null(find("good"));
}
