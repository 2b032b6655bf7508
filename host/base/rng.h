/* Counter-based random numbers (Philox4x32-10, Salmon et al., SC 2011): a number is a pure function of
 * (seed, stream, counter), so resuming needs no generator state, and a kernel can draw the same numbers
 * (cl_kernels/common/philox.clh). */
#ifndef SP_BASE_RNG_H
#define SP_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Four random words for (seed, stream, counter). */
void sp_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);

typedef struct sp_rng {
    uint64_t seed, stream, counter;
    uint32_t word[4];
    int have; /* words of `word` not used up yet */
} sp_rng;

sp_rng sp_rng_make(uint64_t seed, uint64_t stream);
uint32_t sp_rng_u32(sp_rng *r);
uint32_t sp_rng_below(sp_rng *r, uint32_t n);              /* uniform in 0..n-1 without modulo bias; n > 0 */
float sp_rng_uniform(sp_rng *r);                           /* [0, 1), 24 bits */
float sp_rng_normal(sp_rng *r);                            /* N(0,1), Box-Muller in double */
void sp_rng_shuffle(sp_rng *r, uint32_t *items, size_t n); /* Fisher-Yates */

#endif
