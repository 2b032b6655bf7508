/* IEEE 754 binary16 as storage: conversions as OpenCL's vstore_half_rte and vload_half do them. bf16 as
 * factors. */
#ifndef SP_OP_HALF_H
#define SP_OP_HALF_H

#include <stdint.h>

/* Nearest, ties to even; above 65504 (and its rounding) infinite; NaN stays NaN. */
uint16_t sp_half_from_float(float f);
float sp_half_to_float(uint16_t h);
/* The nearest number of bf16 (the upper half of a float32), ties to even; NaN stays NaN. */
float sp_bf16_round(float f);

#endif
