/* The part of a call that is compared where the C reference would take long: what the reference makes of all
 * of it must agree with what it makes of the part, and an element that is wrong or missing is found. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "check/case.h"

static sp_op_call conv(const char *op, int64_t n)
{
    sp_op_call c = sp_op_call_make(op);
    static const char *const sides[] = {"H", "W", "HO", "WO"}, *const ones[] = {"SH", "SW", "DH",
                                                                                "DW", "PH", "PW"};
    for (int i = 0; i < 4; i++)
        sp_call_set_int(&c, sides[i], 32);
    for (int i = 0; i < 6; i++)
        sp_call_set_int(&c, ones[i], 1);
    sp_call_set_int(&c, "N", n), sp_call_set_int(&c, "C", 34), sp_call_set_int(&c, "O", 33);
    sp_call_set_int(&c, "KH", 3), sp_call_set_int(&c, "KW", 3);
    sp_call_set_flag(&c, "X_BITS", 1);
    return c;
}

static sp_op_call gemm(int64_t m, int64_t n, int64_t k, const char *flag)
{
    sp_op_call c = sp_op_call_make("gemm");
    sp_call_set_int(&c, "M", m), sp_call_set_int(&c, "N", n), sp_call_set_int(&c, "K", k);
    if (flag)
        sp_call_set_flag(&c, flag, 1);
    return c;
}

static void compare(const sp_check_case *few, int buffer, bool wanted)
{
    sp_check_verdict v;
    sp_check_compare(few, buffer, few->call.op->tolerance, &v);
    cr_assert_eq(v.ok, wanted, "%s: %s", few->call.op->id, v.text);
}

/* got of all: what the reference makes of it. */
static void compute(sp_check_case *all)
{
    void *buffers[SP_OP_MAX_BUFFERS] = {0};
    for (int i = 0; i < all->n_buffers; i++) {
        sp_check_buffer *b = &all->buffers[i];
        if (b->present)
            memcpy(b->got, b->initial, (size_t)b->words * sizeof *b->got);
        buffers[i] = b->got;
    }
    all->call.op->reference(&all->call, buffers);
}

static void expect_agreement(const sp_op_call *call, const char *output)
{
    const int out = sp_op_buffer_index(call->op, output);
    sp_check_part p;
    sp_check_case all = {0}, few = {0};
    sp_error err = {0};
    cr_assert(sp_check_part_of(call, &p), "%s", call->op->id);
    cr_assert(p.n >= 3 && p.n < p.of);
    cr_assert_eq(sp_check_case_draw(&all, call, 1, &err), SP_OK);
    cr_assert_eq(sp_check_part_draw(&p, &all, &few, &err), SP_OK);
    sp_check_case_expect(&few);
    compute(&all);
    cr_assert_eq(sp_check_part_take(&p, &all, &few, &err), SP_OK, "%s", err.text);
    compare(&few, out, true);
    sp_check_buffer *y = &all.buffers[out];
    uint32_t *at = y->got + y->words - 1, kept = *at;
    const float wrong = 1e6f;
    memcpy(at, &wrong, sizeof wrong);
    cr_assert_eq(sp_check_part_take(&p, &all, &few, &err), SP_OK, "%s", err.text);
    compare(&few, out, false);
    *at = kept;
    if (y->access == SP_OUT)
        y->got[y->words / p.of + 1] = SP_CHECK_POISON; /* of the second sample, which is not compared */
    cr_assert_eq(sp_check_part_take(&p, &all, &few, &err) == SP_OK, y->access != SP_OUT);
    sp_check_case_fini(&all);
    sp_check_case_fini(&few);
}

Test(part, agrees_with_the_whole)
{
    const sp_op_call forward = conv("conv.forward", 26), weight = conv("conv.backward_weight", 26),
                     rows = gemm(5000, 64, 800, "TB"), sums = gemm(64, 65, 62000, "TA");
    expect_agreement(&forward, "y");
    expect_agreement(&weight, "g_w");
    expect_agreement(&rows, "c");
    expect_agreement(&sums, "c");
}

Test(part, is_none_where_the_whole_is_quick_or_nothing_can_be_told_apart)
{
    sp_check_part p;
    const sp_op_call small = conv("conv.forward", 2), one = gemm(1, 50000, 50000, NULL);
    sp_op_call both = gemm(64, 65, 70000, "TA");
    sp_call_set_flag(&both, "TB", 1);
    cr_assert_not(sp_check_part_of(&small, &p));
    cr_assert_not(sp_check_part_of(&one, &p), "one row takes as long as all");
    cr_assert_not(sp_check_part_of(&both, &p));
    sp_op_call forward = conv("conv.forward", 26);
    cr_assert(sp_check_part_of(&forward, &p));
    cr_assert_leq(sp_call_flops(&p.call), 1.1e8);
    cr_assert_eq(sp_call_int(&p.call, "N"), p.n);
    cr_assert_eq(p.of, 26);
}
