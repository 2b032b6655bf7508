/* The op table itself (every entry is complete and its expressions mean something) and the calls made from
 * it. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/expr.h"
#include "op/op.h"

static int has_name(const char *const *names, int max, const char *name)
{
    for (int i = 0; i < max && names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return 1;
    return 0;
}

static void check_expression(sp_op_call *call, const char *text, int64_t least)
{
    sp_error err = {0};
    int64_t value = -1;
    cr_assert_eq(sp_expr_eval(text, sp_call_lookup, call, &value, &err), SP_OK, "%s: \"%s\": %s",
                 call->op->id, text, err.text);
    cr_assert_geq(value, least, "%s: \"%s\" is %lld", call->op->id, text, (long long)value);
}

static void check_buffer(sp_op_call *call, const sp_op_buffer *b)
{
    const sp_op *op = call->op;
    check_expression(call, b->rows, 1);
    check_expression(call, b->cols, 1);
    if (b->when)
        check_expression(call, b->when, 0);
    if (b->bits && strcmp(b->bits, "1") != 0)
        cr_assert(has_name(op->flags, SP_OP_MAX_FLAGS, b->bits), "%s.%s: bits %s", op->id, b->name, b->bits);
    if (b->half && strcmp(b->half, "1") != 0)
        cr_assert(has_name(op->flags, SP_OP_MAX_FLAGS, b->half), "%s.%s: half %s", op->id, b->name, b->half);
    if (b->acc) {
        cr_assert_eq(b->access, SP_OUT, "%s.%s: acc is for outputs", op->id, b->name);
        cr_assert(has_name(op->flags, SP_OP_MAX_FLAGS, b->acc), "%s.%s: acc %s", op->id, b->name, b->acc);
    }
    if (b->alias) {
        const int other = sp_op_buffer_index(op, b->alias);
        cr_assert_geq(other, 0, "%s.%s: alias %s", op->id, b->name, b->alias);
        cr_assert_eq(op->buffers[other].access, SP_IN);
        cr_assert_str_eq(op->buffers[other].rows, b->rows);
        cr_assert_str_eq(op->buffers[other].cols, b->cols);
    }
}

Test(op, every_entry_of_the_table_is_complete)
{
    cr_assert_gt(sp_op_count(), 30);
    cr_assert_null(sp_op_at(sp_op_count()));
    for (size_t n = 0; n < sp_op_count(); n++) {
        const sp_op *op = sp_op_at(n);
        sp_op_call call = sp_op_call_make(op->id);
        cr_assert_eq(call.op, op, "two ops are called %s", op->id);
        cr_assert(strchr(op->id, '/') && op->about && op->about[0] && op->reference, "%s", op->id);
        cr_assert_geq(op->tolerance, 0.0);
        int outputs = 0;
        for (int i = 0; i < SP_OP_MAX_INTS && op->ints[i]; i++)
            call.ints[i] = 3;
        for (int flag = 0; flag < 2; flag++) {
            for (int i = 0; i < SP_OP_MAX_FLAGS && op->flags[i]; i++)
                call.flags[i] = flag;
            for (int i = 0; i < SP_OP_MAX_BUFFERS && op->buffers[i].name; i++) {
                check_buffer(&call, &op->buffers[i]);
                cr_assert_eq(sp_op_buffer_index(op, op->buffers[i].name), i, "%s", op->id);
                outputs += op->buffers[i].access != SP_IN;
            }
            if (op->flops)
                check_expression(&call, op->flops, 1);
        }
        cr_assert_gt(outputs, 0, "%s writes nothing", op->id);
    }
}

Test(op, is_found_by_id_and_by_family)
{
    const sp_op *op = sp_op_find("conv.forward/1");
    cr_assert_not_null(op);
    cr_assert_str_eq(op->id, "conv.forward/1");
    cr_assert_eq(sp_op_find("conv.forward"), op);
    cr_assert_eq(sp_op_find("pool.adaptive_avg.backward"), sp_op_find("pool.adaptive_avg.backward/1"));

    static const char *const unknown[] = {"",
                                          "/",
                                          "/1",
                                          "conv",
                                          "conv.forwar",
                                          "conv.forward/",
                                          "conv.forward/2",
                                          "conv.forward/11",
                                          "conv.forwards",
                                          "CONV.FORWARD"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        cr_assert_null(sp_op_find(unknown[i]), "\"%s\"", unknown[i]);
}

Test(op, family_is_the_id_without_revision)
{
    char out[32];
    sp_op_family(sp_op_find("pool.max.forward"), out, sizeof out);
    cr_assert_str_eq(out, "pool.max.forward");
    sp_op_family(sp_op_find("pool.max.forward"), out, 5);
    cr_assert_str_eq(out, "pool");
}

Test(op, new_call_is_zero_and_keeps_what_is_set)
{
    sp_op_call c = sp_op_call_make("optimizer.adamw");
    cr_assert_eq(sp_call_int(&c, "M"), 0);
    cr_assert_eq(sp_call_float(&c, "lr"), 0.0);
    sp_call_set_int(&c, "M", 1234567890123);
    sp_call_set_float(&c, "bias2", 0.25);
    cr_assert_eq(sp_call_int(&c, "M"), 1234567890123);
    cr_assert_eq(sp_call_float(&c, "bias2"), 0.25);
    cr_assert_eq(sp_call_float(&c, "bias1"), 0.0);

    sp_op_call g = sp_op_call_make("gemm/1");
    sp_call_set_flag(&g, "TB", 2);
    cr_assert_eq(sp_call_flag(&g, "TB"), 1, "flags are 0 or 1");
    cr_assert_eq(sp_call_flag(&g, "TA"), 0);
}

Test(op, unknown_op_aborts, .signal = SIGABRT)
{
    sp_op_call_make("conv.sideways/1");
}

Test(op, unknown_int_aborts, .signal = SIGABRT)
{
    sp_op_call c = sp_op_call_make("gemm/1");
    sp_call_set_int(&c, "Q", 1);
}

Test(op, unknown_float_aborts, .signal = SIGABRT)
{
    sp_op_call c = sp_op_call_make("scale/1");
    sp_call_float(&c, "M");
}

Test(op, unknown_flag_aborts, .signal = SIGABRT)
{
    sp_op_call c = sp_op_call_make("gemm/1");
    sp_call_flag(&c, "X_BITS");
}

Test(op, buffer_beyond_the_last_aborts, .signal = SIGABRT)
{
    sp_op_call c = sp_op_call_make("fill/1");
    sp_call_buffer_rows(&c, 1);
}

static sp_op_call conv_call(void)
{
    static const struct {
        const char *name;
        int64_t value;
    } ints[] = {{"N", 2},  {"H", 7},  {"W", 5},  {"C", 33}, {"O", 10},
                {"KH", 3}, {"KW", 1}, {"HO", 4}, {"WO", 6}};
    sp_op_call c = sp_op_call_make("conv.forward/1");
    for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++)
        sp_call_set_int(&c, ints[i].name, ints[i].value);
    return c;
}

Test(op, sizes_of_buffers)
{
    sp_op_call c = conv_call();
    const int x = sp_op_buffer_index(c.op, "x"), w = sp_op_buffer_index(c.op, "w");
    const int bias = sp_op_buffer_index(c.op, "bias"), y = sp_op_buffer_index(c.op, "y");

    cr_assert_eq(sp_op_buffer_index(c.op, "g_x"), -1);
    cr_assert_eq(sp_call_buffer_rows(&c, x), 70);
    cr_assert_eq(sp_call_buffer_cols(&c, x), 33);
    cr_assert_eq(sp_call_buffer_elems(&c, x), 70 * 33);
    cr_assert_eq(sp_call_buffer_elems(&c, w), 3 * 33 * 10);
    cr_assert_eq(sp_call_buffer_elems(&c, y), 2 * 4 * 6 * 10);
    cr_assert(!sp_call_buffer_is_bits(&c, x) && !sp_call_has_buffer(&c, bias) && sp_call_has_buffer(&c, y));

    sp_call_set_flag(&c, "X_BITS", 1);
    sp_call_set_flag(&c, "BIAS", 1);
    cr_assert(sp_call_buffer_is_bits(&c, x) && sp_call_has_buffer(&c, bias) &&
              !sp_call_buffer_is_bits(&c, y));
    cr_assert_eq(sp_call_buffer_cols(&c, x), 33, "columns stay columns");
    cr_assert_eq(sp_call_buffer_elems(&c, x), 70 * 2, "33 bits are 2 words");

    sp_op_call spikes = sp_op_call_make("neuron.forward/1");
    cr_assert(sp_call_buffer_is_bits(&spikes, sp_op_buffer_index(spikes.op, "s")), "always bits");
}

Test(op, half_takes_two_elements_to_a_word)
{
    sp_op_call call = sp_op_call_make("neuron.backward/1");
    const int u = sp_op_buffer_index(call.op, "u"), g = sp_op_buffer_index(call.op, "g_s");
    sp_call_set_int(&call, "M", 3);
    sp_call_set_int(&call, "C", 5);
    cr_assert_eq(sp_call_buffer_elems(&call, u), 15);
    sp_call_set_flag(&call, "U_HALF", 1);
    cr_assert(sp_call_buffer_is_half(&call, u) && !sp_call_buffer_is_half(&call, g));
    cr_assert_eq(sp_call_buffer_elems(&call, u), 8);
    cr_assert_eq(sp_call_buffer_elems(&call, g), 15);
}

Test(op, sizes_too_large_for_64_bits_saturate)
{
    sp_op_call c = conv_call();
    sp_call_set_int(&c, "N", INT64_MAX / 4);
    cr_assert_eq(sp_call_buffer_rows(&c, 0), INT64_MAX);
    cr_assert_eq(sp_call_buffer_elems(&c, 0), INT64_MAX);
    sp_call_set_int(&c, "N", INT64_MAX / 35 - 1); // rows still fit, rows * cols do not
    cr_assert_neq(sp_call_buffer_rows(&c, 0), INT64_MAX);
    cr_assert_eq(sp_call_buffer_elems(&c, 0), INT64_MAX);
    sp_call_set_int(&c, "N", 0);
    cr_assert_eq(sp_call_buffer_elems(&c, 0), 0);
}

Test(op, acc_makes_an_output_both)
{
    sp_op_call c = sp_op_call_make("gemm/1");
    cr_assert_eq(sp_call_buffer_access(&c, 0), SP_IN);
    cr_assert_eq(sp_call_buffer_access(&c, 2), SP_OUT);
    sp_call_set_flag(&c, "ACC", 1);
    cr_assert_eq(sp_call_buffer_access(&c, 0), SP_IN);
    cr_assert_eq(sp_call_buffer_access(&c, 2), SP_INOUT);
}

Test(op, lookup_knows_ints_and_flags_only)
{
    sp_op_call c = conv_call();
    int64_t v = -1;
    cr_assert_eq(sp_call_lookup(&c, "C", &v), 0);
    cr_assert_eq(v, 33);
    sp_call_set_flag(&c, "BIAS", 1);
    cr_assert_eq(sp_call_lookup(&c, "BIAS", &v), 0);
    cr_assert_eq(v, 1);
    cr_assert_neq(sp_call_lookup(&c, "bias", &v), 0);
    cr_assert_neq(sp_call_lookup(&c, "T", &v), 0);
}

Test(op, dynamic_scalars)
{
    static const char *const dynamic[] = {"first", "last", "iteration", "lr", "bias1", "bias2"};
    for (size_t i = 0; i < sizeof dynamic / sizeof dynamic[0]; i++)
        cr_assert(sp_op_scalar_is_dynamic(dynamic[i]), "%s", dynamic[i]);
    cr_assert(!sp_op_scalar_is_dynamic("M") && !sp_op_scalar_is_dynamic("beta1") &&
              !sp_op_scalar_is_dynamic(""));
}

Test(op, description_is_a_stable_key)
{
    char out[256];
    sp_op_call c = conv_call();
    sp_call_set_flag(&c, "X_BITS", 1);
    sp_call_describe(&c, out, sizeof out);
    cr_assert_str_eq(out, "N=2 H=7 W=5 C=33 O=10 KH=3 KW=1 SH=0 SW=0 PH=0 PW=0 DH=0 DW=0 HO=4 WO=6 X_BITS=1");
    sp_call_describe(&c, out, 8);
    cr_assert_str_eq(out, "N=2 H=7", "what does not fit is cut");

    sp_op_call neuron = sp_op_call_make("neuron.backward/1");
    sp_call_set_int(&neuron, "M", 8);
    sp_call_set_int(&neuron, "last", 1);
    neuron.neuron = "lif";
    neuron.surrogate = "triangle";
    sp_call_describe(&neuron, out, sizeof out);
    cr_assert_str_eq(out, "M=8 C=0 neuron=lif surrogate=triangle", "dynamic scalars are no part of the key");
}
