/* Adaptive SLTT-K: the draw holds its bounds and its share, follows the mass, and is a pure function; the
 * mass follows the spikes. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "train/adaptive.h"

enum { T = 6 };

static double held(const double *mass, const uint8_t *mask)
{
    double sum = 0;
    for (int t = 0; t < T; t++)
        sum += mask[t] ? mass[t] : 0;
    return sum;
}

Test(adaptive, the_drawn_steps_hold_the_share_and_no_more_are_drawn)
{
    static const double mass[T] = {0.4, 0.05, 0.05, 0.3, 0.1, 0.1};
    for (int i = 0; i < 500; i++) {
        uint8_t mask[T];
        int64_t k = sp_adaptive_draw(mass, T, 0.6, 1, T, 9, i, mask);
        int n = 0;
        double lightest = 1;
        for (int t = 0; t < T; t++) {
            n += mask[t];
            lightest = mask[t] && mass[t] < lightest ? mass[t] : lightest;
        }
        cr_assert_eq(n, k);
        cr_assert(held(mass, mask) > 0.6 - 1e-6, "draw %d holds %g", i, held(mass, mask));
        cr_assert(held(mass, mask) - 0.4 < 0.6, "draw %d holds %g: one step too many", i, held(mass, mask));
    }
}

Test(adaptive, bounds_come_before_the_share)
{
    double mass[T];
    uint8_t mask[T];
    sp_adaptive_start(mass, T);
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(sp_adaptive_draw(mass, T, 0.5, 1, T, 1, i, mask), 3, "half of six equal steps");
        cr_assert_eq(sp_adaptive_draw(mass, T, 0.0, 2, T, 1, i, mask), 2);
        cr_assert_eq(sp_adaptive_draw(mass, T, 1.0, 1, 4, 1, i, mask), 4);
        cr_assert_eq(sp_adaptive_draw(mass, T, 1.0, 1, T, 1, i, mask), T);
    }
}

Test(adaptive, steps_are_drawn_as_often_as_their_mass_says)
{
    static const double mass[T] = {0.5, 0.1, 0.1, 0.1, 0.1, 0.1};
    int seen[T] = {0}, draws = 6000;
    for (int i = 0; i < draws; i++) {
        uint8_t mask[T];
        cr_assert_eq(sp_adaptive_draw(mass, T, 0, 1, T, 3, i, mask), 1);
        for (int t = 0; t < T; t++)
            seen[t] += mask[t];
    }
    for (int t = 0; t < T; t++)
        cr_assert(fabs((double)seen[t] / draws - mass[t]) < 0.02, "step %d: %d of %d", t, seen[t], draws);
}

Test(adaptive, a_draw_is_a_pure_function)
{
    double mass[T] = {0.3, 0.1, 0.1, 0.2, 0.2, 0.1};
    uint8_t a[T], b[T], same = 0;
    sp_adaptive_draw(mass, T, 0.5, 1, T, 5, 77, a);
    for (int i = 0; i < 40; i++) {
        sp_adaptive_draw(mass, T, 0.5, 1, T, 5, i, b);
        same += memcmp(a, b, sizeof a) == 0;
    }
    cr_assert(same < 20, "the iteration does not matter");
    sp_adaptive_draw(mass, T, 0.5, 1, T, 5, 77, b);
    cr_assert_arr_eq(a, b, sizeof a);
}

/* Two layers of very different size count alike; one that is silent says nothing; every step keeps a part. */
Test(adaptive, the_mass_follows_the_spikes)
{
    static const uint64_t spikes[T][3] = {{1000000, 0, 0}, {0, 0, 0}, {0, 0, 0},
                                          {0, 7, 0},       {0, 0, 0}, {0, 0, 0}};
    static const uint64_t silent[T][3] = {{0}};
    double mass[T], before[T], sum = 0;
    sp_adaptive_start(mass, T);
    for (int i = 0; i < 200; i++)
        sp_adaptive_learn(mass, T, &spikes[0][0], 3);
    for (int t = 0; t < T; t++) {
        double expected = t == 0 || t == 3 ? 0.45 + 0.1 / T : 0.1 / T;
        cr_assert(fabs(mass[t] - expected) < 1e-6, "step %d: %g, expected %g", t, mass[t], expected);
        sum += mass[t];
    }
    cr_assert(fabs(sum - 1) < 1e-12);
    memcpy(before, mass, sizeof mass);
    sp_adaptive_learn(mass, T, &silent[0][0], 3);
    cr_assert_arr_eq(before, mass, sizeof mass);
}
