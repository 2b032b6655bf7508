#include "base/stats.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* A loop over bits without a way out is one of vectors. */
static int all_finite(const float *x, size_t n)
{
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

size_t sp_first_nonfinite(const float *x, size_t n)
{
    enum { BLOCK = 4096 };
    size_t at = 0;
    while (at < n && all_finite(x + at, n - at < BLOCK ? n - at : BLOCK))
        at += BLOCK;
    for (; at < n; at++)
        if (!isfinite(x[at]))
            return at;
    return n;
}
