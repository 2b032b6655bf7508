/* Checked sizes: what fits, what does not, in any order of the factors. */
#include <criterion/criterion.h>

#include "base/size.h"

Test(size, products_are_checked)
{
    int64_t n = -1;
    cr_assert(SP_SIZE_MUL(&n, 3, 5, 7) && n == 105);
    cr_assert(SP_SIZE_MUL(&n, INT64_MAX, 1) && n == INT64_MAX);
    cr_assert(SP_SIZE_MUL(&n, 4, 0, 9) && n == 0);
    cr_assert(sp_size_product(NULL, 0, &n) && n == 1);
    n = 11;
    cr_assert(!SP_SIZE_MUL(&n, (int64_t)1 << 62, 2));
    cr_assert(!SP_SIZE_MUL(&n, 3, -1));
    cr_assert(!SP_SIZE_MUL(&n, 0, INT64_MAX, 2) && !SP_SIZE_MUL(&n, INT64_MAX, 2, 0));
    cr_assert_eq(n, 11, "a product that does not fit changes nothing");
}

Test(size, sums_are_checked)
{
    int64_t sum = 5;
    cr_assert(sp_size_add(&sum, 6) && sum == 11);
    cr_assert(!sp_size_add(&sum, -1));
    cr_assert(!sp_size_add(&sum, INT64_MAX));
}
