/* Philox4x32-10: ten rounds of two 32x32->64 multiplications on a counter of four words, keyed by the seed.
 */
#include "base/rng.h"

#include <math.h>

void sp_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; // golden ratio
        k1 += 0xBB67AE85u; // sqrt(3) - 1
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

sp_rng sp_rng_make(uint64_t seed, uint64_t stream)
{
    return (sp_rng){.seed = seed, .stream = stream};
}

uint32_t sp_rng_u32(sp_rng *r)
{
    if (r->have == 0) {
        sp_philox(r->seed, r->stream, r->counter++, r->word);
        r->have = 4;
    }
    return r->word[4 - r->have--];
}

/* The high half of word*n is uniform once the low halves below 2^32 mod n are drawn again (Lemire 2019). */
uint32_t sp_rng_below(sp_rng *r, uint32_t n)
{
    uint64_t product = (uint64_t)sp_rng_u32(r) * n;
    if ((uint32_t)product < n) {
        uint32_t threshold = (0u - n) % n;
        while ((uint32_t)product < threshold)
            product = (uint64_t)sp_rng_u32(r) * n;
    }
    return (uint32_t)(product >> 32);
}

float sp_rng_uniform(sp_rng *r)
{
    return (float)(sp_rng_u32(r) >> 8) * 0x1p-24f;
}

float sp_rng_normal(sp_rng *r)
{
    const double two_pi = 6.283185307179586476925;
    double u = ((double)sp_rng_u32(r) + 1.0) * 0x1p-32; // (0, 1]: the logarithm stays finite
    double angle = (double)sp_rng_u32(r) * 0x1p-32 * two_pi;
    return (float)(sqrt(-2.0 * log(u)) * cos(angle));
}

void sp_rng_shuffle(sp_rng *r, uint32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = sp_rng_below(r, (uint32_t)i);
        uint32_t t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}
