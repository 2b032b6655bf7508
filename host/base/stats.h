/* Order statistics of timings, products of vectors, numbers that are not finite. */
#ifndef SP_BASE_STATS_H
#define SP_BASE_STATS_H

#include <stddef.h>

/* Ascending. */
void sp_sort(double *x, size_t n);

/* Value at share q (0..1) of n ascending numbers: the nearest one. NAN where n is 0. */
double sp_quantile(const double *sorted, size_t n, double q);

/* Products of two vectors; their cosine is ab / sqrt(aa * bb). */
typedef struct sp_products {
    double ab, aa, bb;
} sp_products;
sp_products sp_products_of(const float *a, const float *b, size_t n);

/* Index of the first of n numbers that is not finite; n where all are. */
size_t sp_first_nonfinite(const float *x, size_t n);

#endif
