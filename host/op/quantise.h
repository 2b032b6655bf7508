/* Power-of-two scales of quantised weights. */
#ifndef SP_OP_QUANTISE_H
#define SP_OP_QUANTISE_H

/* Whole numbers of `bits` bits are -q to q, the same on both sides of 0. */
static inline int sp_quantise_most(int bits)
{
    return (1 << (bits - 1)) - 1;
}

/* The exponent of the least power of two s with 1.5 q s >= largest: the few numbers beyond q s are cut, which
 * costs less than twice the step would cost all others. */
int sp_quantise_exponent(float largest, int bits);
/* x / 2^exponent, rounded to the nearest (ties to even) and cut to -q..q. */
float sp_quantise_code(float x, int exponent, int bits);

#endif
