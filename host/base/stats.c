#include "base/stats.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

void sp_sort(double *x, size_t n)
{
    qsort(x, n, sizeof *x, ascending);
}

double sp_quantile(const double *sorted, size_t n, double q)
{
    return n ? sorted[(size_t)(q * (double)(n - 1) + 0.5)] : (double)NAN;
}

sp_products sp_products_of(const float *a, const float *b, size_t n)
{
    sp_products p = {0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        p.ab += (double)a[i] * (double)b[i];
        p.aa += (double)a[i] * (double)a[i];
        p.bb += (double)b[i] * (double)b[i];
    }
    return p;
}
