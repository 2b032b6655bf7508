/* Numbers that are not finite are found wherever they stand. */
#include <criterion/criterion.h>
#include <math.h>

#include "base/stats.h"

Test(stats, the_first_number_that_is_not_finite)
{
    enum { N = 10000 };
    static float x[N];
    cr_assert_eq(sp_first_nonfinite(x, N), N);
    cr_assert_eq(sp_first_nonfinite(x, 0), 0);
    static const size_t places[] = {N - 1, 4096, 4095, 0};
    static const float kinds[] = {NAN, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < 4; i++) {
        x[places[i]] = kinds[i];
        cr_assert_eq(sp_first_nonfinite(x, N), places[i]);
    }
    x[0] = 3e38f; /* finite */
    cr_assert_eq(sp_first_nonfinite(x, N), 4095);
}
