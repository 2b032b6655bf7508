/* Efficiencies and Pennycook's metric. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lab/internal.h"

double sp_report_phi(const double *efficiency, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(efficiency[i] > 0))
            return 0;
        sum += 1 / efficiency[i];
    }
    return n ? (double)n / sum : 0;
}

double sp_report_roofline_share(double flops, double bytes, double ms, double gflops, double gbytes)
{
    if (!(ms > 0))
        return 0;
    if (flops > 0 && gflops > 0) {
        double roof = gflops;
        if (bytes > 0 && gbytes > 0 && flops / bytes * gbytes < roof)
            roof = flops / bytes * gbytes;
        return flops / ms * 1e-6 / roof;
    }
    return bytes > 0 && gbytes > 0 ? bytes / ms * 1e-6 / gbytes : 0;
}

json_t *spi_rounded(double x)
{
    char text[32];
    if (!isfinite(x))
        return json_null();
    snprintf(text, sizeof text, "%.4g", x);
    return json_real(strtod(text, NULL));
}
