/* C references of quantised weights and of neurons in integers: values by hand. */
#include <criterion/criterion.h>
#include <math.h>

#include "op/op.h"
#include "op/quantise.h"

Test(integer_ref, the_scale_is_the_least_power_of_two_that_cuts_little)
{
    cr_assert_eq(sp_quantise_exponent(10.5f, 4), 0); /* 1.5 * 7 */
    cr_assert_eq(sp_quantise_exponent(10.6f, 4), 1);
    cr_assert_eq(sp_quantise_exponent(5.25f, 4), -1);
    cr_assert_eq(sp_quantise_exponent(1.5f, 2), 0);
    for (int bits = 2; bits <= 16; bits++) {
        const float most = 1.5f * (float)sp_quantise_most(bits);
        const int e = sp_quantise_exponent(0.37f, bits);
        cr_assert(ldexpf(most, e) >= 0.37f && ldexpf(most, e - 1) < 0.37f);
    }
    (void)sp_quantise_exponent(0, 8);
    (void)sp_quantise_exponent(INFINITY, 8);
}

Test(integer_ref, weights_are_rounded_to_even_and_cut)
{
    const float x[7] = {0.5f, 1.5f, 2.5f, -2.5f, 9.5f, -10, 0}, want[7] = {0, 2, 2, -2, 7, -7, 0};
    float largest, y[7];
    sp_op_call m = sp_op_call_make("quantise.largest"), c = sp_op_call_make("quantise.apply");
    sp_call_set_int(&m, "M", 7), sp_call_set_int(&c, "M", 7), sp_call_set_int(&c, "C", 1),
        sp_call_set_int(&c, "bits", 4);
    m.op->reference(&m, (void *[]){(void *)x, &largest});
    cr_assert_eq(largest, 10.0f);
    c.op->reference(&c, (void *[]){(void *)x, &largest, y});
    for (int i = 0; i < 7; i++)
        cr_assert_eq(y[i], want[i], "%d: %g", i, (double)y[i]);
}

Test(integer_ref, a_column_has_a_scale_of_its_own)
{
    const float x[4] = {10, -0.25f, 3, 0.1f}, want[4] = {7, -0.21875f, 3, 0.09375f};
    float largest[2], y[4];
    sp_op_call m = sp_op_call_make("quantise.column_largest"), c = sp_op_call_make("quantise.apply");
    sp_call_set_int(&m, "M", 2), sp_call_set_int(&c, "M", 2), sp_call_set_int(&c, "bits", 4);
    sp_call_set_int(&m, "C", 2), sp_call_set_int(&c, "C", 2);
    m.op->reference(&m, (void *[]){(void *)x, largest});
    cr_assert(largest[0] == 10 && largest[1] == 0.25f);
    c.op->reference(&c, (void *[]){(void *)x, largest, y});
    for (int i = 0; i < 4; i++)
        cr_assert_eq(y[i], want[i], "%d: %g", i, (double)y[i]);
}

/* u, and the spikes, of a neuron for three time steps. */
static void run(int shift, int fraction, int width, int leak, const int32_t *reset, const int32_t *x,
                int32_t *u, uint32_t *s)
{
    const int32_t bias = 3, threshold = 20;
    sp_op_call c = sp_op_call_make("integer.neuron");
    sp_call_set_int(&c, "M", 1), sp_call_set_int(&c, "C", 1);
    sp_call_set_int(&c, "shift", shift), sp_call_set_int(&c, "fraction", fraction);
    sp_call_set_int(&c, "width", width);
    sp_call_set_flag(&c, "LEAK", leak), sp_call_set_flag(&c, "HARD_RESET", reset != NULL);
    for (int t = 0; t < 3; t++) {
        sp_call_set_int(&c, "first", t == 0);
        c.op->reference(&c, (void *[]){(void *)&x[t], (void *)&bias, (void *)&threshold, (void *)reset,
                                       t ? &u[t - 1] : NULL, &u[t], &s[t]});
    }
}

Test(integer_ref, a_neuron_leaks_fires_resets_and_saturates)
{
    const int32_t x[3] = {-4, 10, -2}, high[3] = {127, 127, -128}, reset = -5;
    int32_t u[3];
    uint32_t s[3];
    run(1, 1, 16, 0, NULL, x, u, s); /* -8+3 = -5; -5>>1 = -3, +20+3 = 20 fires; 0, -4+3 */
    cr_assert(u[0] == -5 && u[1] == 20 && u[2] == -1 && s[0] == 0 && s[1] == 1 && s[2] == 0);
    run(2, 1, 16, 1, NULL, x, u, s); /* -5 - -2 = -3 */
    cr_assert(u[0] == -5 && u[1] == 20 && u[2] == -1);
    run(0, 1, 16, 0, &reset, x, u, s); /* -5-8+3; -10+23; 13-1 */
    cr_assert(u[0] == -10 && u[1] == 13 && u[2] == 12 && s[1] == 0);
    run(0, 4, 8, 0, NULL, high, u, s);
    cr_assert(u[0] == 127 && u[1] == 127 && u[2] == -128 && s[0] && s[1] && !s[2]);
}
