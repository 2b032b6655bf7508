/* Calls that there cannot be, and what is said of them. */
#include <criterion/criterion.h>
#include <string.h>

#include "op/op.h"

/* A convolution of two groups, or an op of rows, with one value changed; says NULL: it is right. */
static void expect(const char *op, const char *name, int64_t value, const char *says)
{
    sp_op_call c = sp_op_call_make(op);
    static const char *const given[] = {"M", "N", "H", "W", "C", "O", "HO", "WO", "G"};
    static const int64_t values[] = {8, 1, 8, 8, 4, 6, 6, 6, 2};
    for (int i = 0; i < SP_OP_MAX_INTS && c.op->ints[i]; i++) {
        c.ints[i] = strchr("KSD", c.op->ints[i][0]) ? c.op->ints[i][0] == 'K' ? 3 : 1 : 0;
        for (size_t k = 0; k < sizeof given / sizeof *given; k++)
            if (strcmp(c.op->ints[i], given[k]) == 0)
                c.ints[i] = values[k];
    }
    sp_call_set_int(&c, name, value);
    sp_error err = {0};
    const sp_status st = sp_call_check(&c, &err);
    cr_expect_eq(st, says ? SP_E_USAGE : SP_OK, "%s %s=%lld: %s", op, name, (long long)value, err.text);
    cr_expect(!says || strcmp(err.text, says) == 0, "%s %s=%lld: \"%s\"", op, name, (long long)value,
              err.text);
}

Test(valid, sizes_and_settings_have_ranges)
{
    expect("scale", "M", 1, NULL);
    expect("scale", "M", 0, "M must be a whole number from 1 to 2147483647, not 0");
    expect("scale", "M", -1, "M must be a whole number from 1 to 2147483647, not -1");
    expect("scale", "M", INT64_MAX, "M must be a whole number from 1 to 2147483647, not 9223372036854775807");
    expect("quantile", "permille", 1000, NULL);
    expect("quantile", "permille", 1001, "permille must be a whole number from 0 to 1000, not 1001");
    expect("neuron.forward", "first", 2, "first must be a whole number from 0 to 1, not 2");
}

Test(valid, windows_fit_and_outputs_follow)
{
    expect("group_conv.forward", "N", 3, NULL);
    expect("group_conv.forward", "SH", 0, "SH must be a whole number from 1 to 2147483647, not 0");
    expect("group_conv.forward", "HO", 0, "HO is 6 for these sizes, not 0; it may be left out");
    expect("group_conv.forward", "WO", 7, "WO is 6 for these sizes, not 7; it may be left out");
    expect("group_conv.forward", "KW", 9,
           "the window does not fit into W=8 with its padding (KW=9, PW=0, DW=1)");
    expect("pool.avg.forward", "KH", 9,
           "the window does not fit into H=8 with its padding (KH=9, PH=0, DH=1)");
    expect("group_conv.forward", "G", 4, "C=4 and O=6 must be multiples of G=4");
    expect("pool.adaptive_avg.forward", "HO", 0, "HO must be a whole number from 1 to 2147483647, not 0");
}

Test(valid, buffers_can_be_counted)
{
    expect("group_conv.forward", "N", INT32_MAX, NULL);
    sp_op_call c = sp_op_call_make("scale");
    sp_error err = {0};
    sp_call_set_int(&c, "M", INT32_MAX);
    sp_call_set_int(&c, "C", INT32_MAX);
    cr_assert_eq(sp_call_check(&c, &err), SP_E_USAGE);
    cr_assert_str_eq(err.text, "\"x\" (M x C) would have more bytes than 64 bits can count");
}
