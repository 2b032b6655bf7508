/* Thresholds of relu layers: the best of some, by what the outputs of each channel are like. */
#include <math.h>

#include "convert/convert.h"

/* What `steps` time steps make of x, less x; v[0] is half a threshold, so the number of spikes is rounded. */
static double error_of(double x, double threshold, double steps)
{
    const double spikes = fmin(fmax(floor(x * steps / threshold + 0.5), 0), steps);
    return spikes * threshold / steps - x;
}

double sp_convert_threshold(const uint32_t counts[SP_CONVERT_PARTS], double largest, int64_t steps)
{
    enum { TRIED = 95 };
    double best = largest, least = INFINITY;
    for (int i = 0; i < TRIED; i++) {
        const double threshold = largest * (1 - 0.01 * i);
        double sum = 0;
        for (int k = 0; k < SP_CONVERT_PARTS; k++) {
            const double e = error_of((k + 0.5) * largest / SP_CONVERT_PARTS, threshold, (double)steps);
            sum += (double)counts[k] * e * e;
        }
        if (sum < least)
            best = threshold, least = sum;
    }
    return best;
}
