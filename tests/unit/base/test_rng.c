#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include "base/rng.h"

/* Published known-answer vectors of Philox4x32-10: counter, key, result. */
Test(rng, philox_known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], result[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint32_t *c = cases[i].counter, *k = cases[i].key;
        uint32_t out[4];
        sp_philox(k[0] | (uint64_t)k[1] << 32, c[2] | (uint64_t)c[3] << 32, c[0] | (uint64_t)c[1] << 32, out);
        for (int w = 0; w < 4; w++)
            cr_assert_eq(out[w], cases[i].result[w], "case %zu word %d: %08x", i, w, out[w]);
    }
}

Test(rng, words_come_in_the_order_of_the_blocks)
{
    sp_rng r = sp_rng_make(42, 7);
    for (uint64_t block = 0; block < 3; block++) {
        uint32_t want[4];
        sp_philox(42, 7, block, want);
        for (int w = 0; w < 4; w++)
            cr_assert_eq(sp_rng_u32(&r), want[w]);
    }
}

Test(rng, below_is_in_range_and_even)
{
    sp_rng r = sp_rng_make(1, 1);
    int count[7] = {0};
    for (int i = 0; i < 70000; i++)
        count[sp_rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        cr_assert(count[i] > 9600 && count[i] < 10400, "%d: %d", i, count[i]);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(sp_rng_below(&r, 1), 0u);
        cr_assert_lt(sp_rng_below(&r, 0xC0000000u), 0xC0000000u);
    }
}

Test(rng, uniform_and_normal_have_their_moments)
{
    enum { N = 200000 };
    sp_rng r = sp_rng_make(3, 9);
    double sum = 0, square = 0, n_sum = 0, n_square = 0;
    for (int i = 0; i < N; i++) {
        float u = sp_rng_uniform(&r), g = sp_rng_normal(&r);
        cr_assert(u >= 0.0f && u < 1.0f);
        cr_assert(isfinite(g));
        sum += u;
        square += (double)u * u;
        n_sum += g;
        n_square += (double)g * g;
    }
    cr_assert(fabs(sum / N - 0.5) < 0.004);
    cr_assert(fabs(square / N - 1.0 / 3) < 0.004);
    cr_assert(fabs(n_sum / N) < 0.012);
    cr_assert(fabs(n_square / N - 1.0) < 0.02);
}

Test(rng, shuffle_is_a_permutation_and_repeats)
{
    enum { N = 1000 };
    uint32_t a[N], b[N];
    char seen[N] = {0};
    for (uint32_t i = 0; i < N; i++)
        a[i] = b[i] = i;
    sp_rng r = sp_rng_make(5, 0), again = sp_rng_make(5, 0), other = sp_rng_make(5, 1);
    sp_rng_shuffle(&r, a, N);
    sp_rng_shuffle(&again, b, N);
    cr_assert_eq(memcmp(a, b, sizeof a), 0);
    size_t moved = 0;
    for (uint32_t i = 0; i < N; i++) {
        seen[a[i]]++;
        moved += a[i] != i;
    }
    for (int i = 0; i < N; i++)
        cr_assert_eq(seen[i], 1);
    cr_assert_gt(moved, 900u);
    sp_rng_shuffle(&other, b, N);
    cr_assert_neq(memcmp(a, b, sizeof a), 0);
    sp_rng_shuffle(&r, a, 0);
}
