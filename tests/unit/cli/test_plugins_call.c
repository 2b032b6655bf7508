/* What a failed check says of a call, --shape takes, and makes the same call of it. No device. */
#include <criterion/criterion.h>
#include <string.h>

#include "check/case.h"
#include "cli/plugins.h"

enum { MAX = 512 };

static void expect_same(const sp_op_call *a, const sp_op_call *b, const char *text)
{
    cr_expect_eq(memcmp(a->ints, b->ints, sizeof a->ints), 0, "%s: %s", a->op->id, text);
    cr_expect_eq(memcmp(a->flags, b->flags, sizeof a->flags), 0, "%s: %s", a->op->id, text);
    for (int i = 0; i < SP_OP_MAX_FLOATS && a->op->floats[i]; i++)
        cr_expect_eq((float)a->floats[i], (float)b->floats[i], "%s: %s", a->op->id, text);
    cr_expect_str_eq(a->neuron ? a->neuron : "", b->neuron ? b->neuron : "", "%s: %s", a->op->id, text);
    cr_expect_str_eq(a->surrogate ? a->surrogate : "", b->surrogate ? b->surrogate : "", "%s: %s", a->op->id,
                     text);
}

Test(plugins_call, takes_every_call_of_the_check)
{
    static sp_op_call calls[MAX];
    sp_cli_plugins o = {.neuron = "lif", .surrogate = "triangle"};
    cr_assert_eq(sp_registry_create(NULL, &o.reg, NULL), SP_OK);
    for (size_t k = 0; k < sp_op_count(); k++) {
        const size_t n = sp_check_calls(sp_op_at(k), false, calls, MAX);
        o.target = sp_op_at(k)->id;
        for (size_t i = 0; i < n; i++) {
            char text[512];
            sp_op_call back;
            sp_error err = {0};
            sp_check_describe_whole(&calls[i], text, sizeof text);
            cr_assert_lt(strlen(text), sizeof text - 1);
            o.shape = text;
            cr_assert_eq(sp_cli_plugins_call(&o, &back, &err), SP_OK, "%s %s: %s", o.target, text, err.text);
            expect_same(&calls[i], &back, text);
        }
    }
    sp_registry_destroy(&o.reg);
}
