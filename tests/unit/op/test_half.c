/* binary16 as storage: known numbers, every value there and back, and rounding to the nearest, ties to even.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "op/half.h"

Test(half, known_numbers)
{
    static const struct {
        float f;
        uint16_t h;
    } known[] = {
        {0.0f, 0x0000},
        {-0.0f, 0x8000},
        {1.0f, 0x3c00},
        {-2.0f, 0xc000},
        {65504.0f, 0x7bff},
        {0.333251953125f, 0x3555},
        {6.103515625e-5f, 0x0400},
        {5.9604644775390625e-8f, 0x0001},
        {INFINITY, 0x7c00},
        {-INFINITY, 0xfc00},
        {1.5f, 0x3e00},
        {6.097555160522461e-5f, 0x03ff},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        cr_assert_eq(sp_half_from_float(known[i].f), known[i].h, "%g gives %04x", (double)known[i].f,
                     sp_half_from_float(known[i].f));
        cr_assert_eq(sp_half_to_float(known[i].h), known[i].f, "%04x", known[i].h);
    }
    cr_assert(isnan(sp_half_to_float(0x7e00)) && isnan(sp_half_to_float(sp_half_from_float(NAN))));
    cr_assert(signbit(sp_half_to_float(0x8000)));
}

Test(half, every_value_survives_and_what_lies_between_goes_to_the_nearest)
{
    for (uint32_t h = 0; h < 0x7c00; h++) {
        const float low = sp_half_to_float((uint16_t)h),
                    high = h + 1 < 0x7c00 ? sp_half_to_float((uint16_t)(h + 1)) : 65536.0f;
        const float middle = 0.5f * (low + high); /* exact in float */
        cr_assert_lt(low, high);
        cr_assert_eq(sp_half_from_float(low), h);
        cr_assert_eq(sp_half_from_float(-low), h | 0x8000u);
        cr_assert_eq(sp_half_from_float(nextafterf(middle, 0)), h, "below the middle after %04x", h);
        cr_assert_eq(sp_half_from_float(nextafterf(middle, INFINITY)), h + 1, "above the middle after %04x",
                     h);
        cr_assert_eq(sp_half_from_float(middle), h + (h & 1), "the tie after %04x goes to the even one", h);
    }
}

Test(half, bf16_goes_to_the_nearest_and_ties_to_the_even_one)
{
    static const struct {
        float f, rounded;
    } known[] = {
        {0, 0},
        {-1.5f, -1.5f},
        {1.0f + 1.0f / 256, 1},
        {1.0f + 3.0f / 256, 1.0f + 4.0f / 256},
        {INFINITY, INFINITY},
        {-3.4e38f, -INFINITY},
        {0.1f, 0.10009765625f},
        {2e38f, 1.9938419936773738e38f},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        cr_assert_eq(sp_bf16_round(known[i].f), known[i].rounded, "%g gives %.9g", (double)known[i].f,
                     (double)sp_bf16_round(known[i].f));
    cr_assert(isnan(sp_bf16_round(NAN)) && signbit(sp_bf16_round(-0.0f)));
    for (float f = 1; f < 2; f += 0.0009765625f)
        cr_assert_leq(fabsf(sp_bf16_round(f) - f), f / 256, "%g", (double)f);
}
