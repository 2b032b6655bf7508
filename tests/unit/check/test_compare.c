/* The comparators, on results that are made up. No device. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "check/case.h"

enum { M = 8, C = 40 };
static sp_check_case c;

static sp_check_buffer *buffer(const char *name)
{
    return &c.buffers[sp_op_buffer_index(c.call.op, name)];
}

/* A case whose result is the reference's. */
static void begin(const char *op, void (*more)(sp_op_call *))
{
    sp_op_call call = sp_op_call_make(op);
    sp_call_set_int(&call, "M", M);
    sp_call_set_int(&call, "C", C);
    if (more)
        more(&call);
    sp_check_case_fini(&c);
    cr_assert_eq(sp_check_case_init(&c, &call, 1, NULL), SP_OK);
    for (int i = 0; i < c.n_buffers; i++)
        if (c.buffers[i].present)
            memcpy(c.buffers[i].got, c.buffers[i].expected, (size_t)c.buffers[i].words * 4);
}

static void end(void)
{
    sp_check_case_fini(&c);
}

static sp_check_verdict judge(const char *name, double tolerance)
{
    sp_check_verdict v;
    sp_check_compare(&c, sp_op_buffer_index(c.call.op, name), tolerance, &v);
    return v;
}

static void set(const char *name, int i, float f)
{
    memcpy(&buffer(name)->got[i], &f, sizeof f);
}

static float expected(const char *name, int i)
{
    float f;
    memcpy(&f, &buffer(name)->expected[i], sizeof f);
    return f;
}

static void neuron(sp_op_call *call)
{
    call->neuron = "lif";
    sp_call_set_int(call, "first", 1);
    sp_call_set_float(call, "x_gain", 1);
    sp_call_set_float(call, "v_th", 1);
}

static void rectangle(sp_op_call *call)
{
    call->neuron = "lif";
    call->surrogate = "rectangle";
    sp_call_set_float(call, "x_gain", 1);
    sp_call_set_float(call, "v_th", 1);
    sp_call_set_float(call, "width", 1);
}

Test(compare, same_is_ok, .fini = end)
{
    begin("add", NULL);
    sp_check_verdict v = judge("y", 0);
    cr_assert(v.ok);
    cr_assert_eq(v.error, 0);
}

Test(compare, tolerance_is_relative_to_the_largest_value, .fini = end)
{
    begin("add", NULL);
    float largest = 0;
    for (int i = 0; i < M * C; i++)
        largest = fmaxf(largest, fabsf(expected("y", i)));
    set("y", 7, expected("y", 7) + 0.9e-3f * largest);
    cr_assert(judge("y", 1e-3).ok);
    set("y", 7, expected("y", 7) + 1.1e-3f * largest);
    sp_check_verdict v = judge("y", 1e-3);
    cr_assert_not(v.ok);
    cr_assert_eq(v.n_bad, 1);
    cr_assert_float_eq(v.error, 1.1e-3, 1e-5);
}

Test(compare, text_names_row_column_and_values, .fini = end)
{
    begin("add", NULL);
    set("y", C + 2, 123.5f);
    set("y", C + 9, 123.5f);
    sp_check_verdict v = judge("y", 1e-6);
    cr_assert(strstr(v.text, "y[1][2] (of 8 x 40) is 123.5"), "%s", v.text);
    cr_assert(strstr(v.text, "2 of 320 differ"), "%s", v.text);
}

Test(compare, exact_takes_minus_zero_for_zero_and_nothing_else, .fini = end)
{
    begin("spikes.unpack", NULL);
    for (int i = 0; i < M * C; i++)
        if (expected("y", i) == 0)
            set("y", i, -0.0f);
    cr_assert(judge("y", 0).ok);
    set("y", 3, nextafterf(expected("y", 3), 2));
    cr_assert_not(judge("y", 0).ok);
}

Test(compare, not_finite_and_not_written_have_their_own_words, .fini = end)
{
    begin("add", NULL);
    set("y", 5, INFINITY);
    cr_assert(strstr(judge("y", 1e-3).text, "not finite"));
    buffer("y")->got[5] = SP_CHECK_POISON;
    cr_assert(strstr(judge("y", 1e-3).text, "not written"));
}

Test(compare, integers_are_exact, .fini = end)
{
    begin("spikes.count", NULL);
    cr_assert(judge("count", 1).ok);
    buffer("count")->got[63]++;
    cr_assert_not(judge("count", 1).ok, "a tolerance does not apply to integers");
}

Test(compare, bits_past_the_last_column_must_be_zero, .fini = end)
{
    begin("neuron.forward", neuron);
    cr_assert(judge("s", 1e-5).ok);
    buffer("s")->got[1] |= UINT32_C(1) << 8; /* column 40 of 40 */
    sp_check_verdict v = judge("s", 1e-5);
    cr_assert_not(v.ok);
    cr_assert(strstr(v.text, "past its last column"), "%s", v.text);
}

/* Moves the potential of element i and its spike, in the reference or in the result. */
static void place(int i, float expected_u, float got_u)
{
    const int word = i / C * 2 + i % C / 32, bit = i % C % 32;
    memcpy(&buffer("u")->expected[i], &expected_u, sizeof expected_u);
    set("u", i, got_u);
    buffer("s")->expected[word] =
        (buffer("s")->expected[word] & ~(1u << bit)) | (expected_u >= 1 ? 1u << bit : 0);
    buffer("s")->got[word] = (buffer("s")->got[word] & ~(1u << bit)) | (got_u >= 1 ? 1u << bit : 0);
}

Test(compare, spike_may_flip_at_the_threshold_only, .fini = end)
{
    begin("neuron.forward", neuron);
    place(45, nextafterf(1, 0), 1);
    cr_assert(judge("s", 1e-5).ok);
    place(45, 0.9999f, 1);
    cr_assert_not(judge("s", 1e-5).ok, "1e-4 below the threshold is no rounding");
}

static void counting(sp_op_call *call)
{
    neuron(call);
    call->surrogate = "triangle";
    sp_call_set_int(call, "block_start", 1), sp_call_set_int(call, "P", 2);
    sp_call_set_float(call, "width", 1), sp_call_set_float(call, "share", 0.5);
}

Test(compare, number_of_spikes_is_judged_with_the_spike, .fini = end)
{
    const uint32_t bit = UINT32_C(1) << 5; /* neuron 45 is the fifth of row 1, whose words are 2 and 3 */
    begin("neuron.forward_rate", counting);
    cr_assert(judge("count", 2e-5).ok);
    place(45, nextafterf(1, 0), 1);
    buffer("count")->expected[2] &= ~bit;
    buffer("count")->got[2] |= bit;
    set("f", 45, expected("f", 45) + 1);
    cr_assert(judge("s", 2e-5).ok && judge("count", 2e-5).ok && judge("f", 2e-5).ok);
    place(45, 0.9999f, 1);
    cr_assert_not(judge("count", 2e-5).ok);
    cr_assert_not(judge("f", 2e-5).ok);
}

Test(compare, many_flips_are_not_rounding, .fini = end)
{
    begin("neuron.forward", neuron);
    for (int i = 0; i < 30; i++)
        place(i, nextafterf(1, 0), 1);
    sp_check_verdict v = judge("s", 1e-5);
    cr_assert_not(v.ok);
    cr_assert(strstr(v.text, "flipped at the threshold"), "%s", v.text);
}

Test(compare, spike_must_follow_from_the_potential_that_is_stored, .fini = end)
{
    begin("neuron.forward", neuron);
    place(45, 1, 1);
    set("u", 45, nextafterf(1, 0));
    sp_check_verdict v = judge("s", 1e-5);
    cr_assert_not(v.ok);
    cr_assert(strstr(v.text, "beside it"), "%s", v.text);
}

Test(compare, a_jump_of_the_surrogate_is_excused_only_beside_it, .fini = end)
{
    begin("neuron.backward", rectangle);
    float at_jump = 1.5f, beside = nextafterf(1.5f, 2), away = 1.2f, grad = expected("g_x", 9) + 1;
    set("g_x", 9, grad);
    memcpy(&buffer("u")->initial[9], &beside, 4);
    cr_assert(judge("g_x", 1e-5).ok, "beside the jump either side may be taken");
    memcpy(&buffer("u")->initial[9], &at_jump, 4);
    cr_assert_not(judge("g_x", 1e-5).ok, "the distance is exact there");
    memcpy(&buffer("u")->initial[9], &away, 4);
    cr_assert_not(judge("g_x", 1e-5).ok);
    memcpy(&buffer("u")->initial[9], &beside, 4);
    buffer("g_x")->got[9] = SP_CHECK_POISON;
    cr_assert_not(judge("g_x", 1e-5).ok, "unwritten is never excused");
}

Test(compare, inputs_are_a_function_of_seed_and_call, .fini = end)
{
    begin("add", NULL);
    sp_check_case first = c;
    c.n_buffers = 0; /* begin must not free what first holds */
    begin("add", NULL);
    cr_assert_eq(memcmp(first.buffers[0].initial, c.buffers[0].initial, M * C * 4), 0);
    cr_assert_neq(memcmp(c.buffers[0].initial, c.buffers[1].initial, M * C * 4), 0,
                  "two inputs are not the same numbers");
    sp_check_case other;
    cr_assert_eq(sp_check_case_init(&other, &c.call, 2, NULL), SP_OK);
    cr_assert_neq(memcmp(other.buffers[0].initial, c.buffers[0].initial, M * C * 4), 0);
    sp_check_case_fini(&first);
    sp_check_case_fini(&other);
}

Test(compare, inputs_hold_ties_and_every_density_of_spikes, .fini = end)
{
    int ties = 0, empty = 0, full = 0;
    for (uint64_t seed = 1; seed < 20; seed++) {
        sp_op_call call = sp_op_call_make("neuron.backward");
        sp_call_set_int(&call, "M", M);
        sp_call_set_int(&call, "C", C);
        rectangle(&call);
        sp_check_case_fini(&c);
        cr_assert_eq(sp_check_case_init(&c, &call, seed, NULL), SP_OK);
        for (int i = 0; i < M * C; i++)
            ties += buffer("u")->initial[i] == UINT32_C(0x3f800000);
        call = sp_op_call_make("spikes.unpack");
        sp_call_set_int(&call, "M", M);
        sp_call_set_int(&call, "C", 32);
        sp_check_case_fini(&c);
        cr_assert_eq(sp_check_case_init(&c, &call, seed, NULL), SP_OK);
        for (int m = 0; m < M; m++) {
            empty += buffer("x")->initial[m] == 0;
            full += buffer("x")->initial[m] == UINT32_MAX;
        }
    }
    cr_assert_gt(ties, 100);
    cr_assert_gt(empty, 3);
    cr_assert_gt(full, 3);
}

Test(compare, contents_that_are_not_read_are_poison, .fini = end)
{
    begin("neuron.forward", neuron);
    cr_assert_eq(buffer("u_prev")->initial[0], SP_CHECK_POISON);
    cr_assert(isfinite(expected("u", 0)));
}

Test(compare, an_output_may_share_the_memory_of_an_input_of_the_same_kind, .fini = end)
{
    begin("scale", NULL);
    cr_assert_eq(sp_check_alias_of(&c, 1), 0);
    cr_assert_eq(sp_check_alias_of(&c, 0), -1);
    sp_op_call call = c.call;
    sp_call_set_flag(&call, "X_BITS", 1);
    sp_check_case_fini(&c);
    cr_assert_eq(sp_check_case_init(&c, &call, 1, NULL), SP_OK);
    cr_assert_eq(sp_check_alias_of(&c, 1), -1, "bits and floats have no element in common");
}
