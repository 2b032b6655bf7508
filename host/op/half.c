/* binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits; subnormals below 2^-14 in units of 2^-24. */
#include "op/half.h"

#include <math.h>
#include <string.h>

uint16_t sp_half_from_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u |
                          (magnitude >> 13 & 0x1ffu)); /* quiet, the upper part of the payload */
    if (magnitude >= 0x47800000u)                      /* 2^16 and more */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude <
        0x38800000u) /* below 2^-14: a multiple of 2^-24; the product is exact, rint rounds ties to even */
        return (uint16_t)(sign | (uint32_t)rintf(fabsf(f) * 16777216.0f));
    uint32_t h = (magnitude - 0x38000000u) >> 13, rest = magnitude & 0x1fffu;
    h += rest > 0x1000u ||
         (rest == 0x1000u && (h & 1u)); /* carries into the exponent, at the top to infinity */
    return (uint16_t)(sign | h);
}

float sp_half_to_float(uint16_t h)
{
    uint32_t magnitude = h & 0x7fffu, bits;
    float f;
    if (magnitude < 0x400u) {
        f = (float)magnitude * 5.9604644775390625e-8f; /* 2^-24 */
        return h & 0x8000u ? -f : f;
    }
    bits = (uint32_t)(h & 0x8000u) << 16 | (magnitude >= 0x7c00u ? 0x7f800000u | (magnitude & 0x3ffu) << 13
                                                                 : (magnitude << 13) + 0x38000000u);
    memcpy(&f, &bits, sizeof f);
    return f;
}

float sp_bf16_round(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return f;
    bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u; /* at the top to infinity */
    memcpy(&f, &bits, sizeof f);
    return f;
}
