/* Which of three widths is taken. */
#include <criterion/criterion.h>
#include <math.h>

#include "train/width.h"

Test(width, the_largest_cosine_wins_and_the_middle_where_they_are_equal)
{
    static const struct {
        double cosine[3];
        int best;
    } cases[] = {{{0.1, 0.2, 0.15}, 1},   {{0.3, 0.2, 0.1}, 0},   {{0.1, 0.2, 0.3}, 2},  {{0.2, 0.2, 0.2}, 1},
                 {{0.3, 0.2, 0.3}, 0},    {{NAN, NAN, NAN}, 1},   {{NAN, NAN, -0.5}, 2}, {{NAN, 0.1, NAN}, 1},
                 {{-0.1, -0.2, -0.3}, 0}, {{-0.3, -0.2, 0.05}, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(sp_width_best(cases[i].cosine), cases[i].best, "case %zu", i);
}
