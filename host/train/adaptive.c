/* Choosing the time steps of adaptive SLTT-K. Doubles in a fixed order of operations: the same on every
 * machine with IEEE arithmetic, and the state survives a checkpoint to the bit. */
#include "train/adaptive.h"

#include "base/rng.h"

enum { DRAW_STREAM = 0x2001 };
static const double KEPT = 0.9;      /* of the mass, by each mini-batch */
static const double EVEN = 0.1;      /* of the mass is spread evenly: no step dies out for good */
static const double ROUNDING = 1e-9; /* 3 of 6 equal steps do hold a half */

void sp_adaptive_start(double *mass, int64_t T)
{
    for (int64_t t = 0; t < T; t++)
        mass[t] = 1.0 / (double)T;
}

void sp_adaptive_learn(double *mass, int64_t T, const uint64_t *spikes, int64_t layers)
{
    int64_t firing = 0;
    for (int64_t l = 0; l < layers; l++) {
        uint64_t sum = 0;
        for (int64_t t = 0; t < T; t++)
            sum += spikes[t * layers + l];
        firing += sum > 0;
    }
    if (firing == 0)
        return;
    for (int64_t t = 0; t < T; t++)
        mass[t] *= KEPT;
    for (int64_t l = 0; l < layers; l++) {
        uint64_t sum = 0;
        for (int64_t t = 0; t < T; t++)
            sum += spikes[t * layers + l];
        for (int64_t t = 0; t < T && sum > 0; t++) {
            double part = (double)spikes[t * layers + l] / (double)sum;
            mass[t] += (1 - KEPT) * ((1 - EVEN) * part + EVEN / (double)T) / (double)firing;
        }
    }
}

/* The step that a number in [0, left) falls on, among those not drawn yet. */
static int64_t step_at(const double *mass, int64_t T, const uint8_t *mask, double at)
{
    int64_t last = -1;
    for (int64_t t = 0; t < T; t++) {
        if (mask[t])
            continue;
        last = t;
        if (at < mass[t])
            return t;
        at -= mass[t];
    }
    return last;
}

int64_t sp_adaptive_draw(const double *mass, int64_t T, double share, int64_t least, int64_t most,
                         uint64_t seed, int64_t iteration, uint8_t *mask)
{
    sp_rng rng = sp_rng_make(seed, DRAW_STREAM + ((uint64_t)iteration << 16));
    double total = 0, held = 0;
    int64_t n = 0;
    for (int64_t t = 0; t < T; t++) {
        mask[t] = 0;
        total += mass[t];
    }
    while (n < most && n < T && (n < least || held < share * total - ROUNDING)) {
        int64_t t = step_at(mass, T, mask, (double)sp_rng_uniform(&rng) * (total - held));
        mask[t] = 1;
        held += mass[t];
        n++;
    }
    return n;
}
