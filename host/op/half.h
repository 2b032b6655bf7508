/* IEEE 754 binary16 as storage: conversions as OpenCL's vstore_half_rte and vload_half do them. */
#ifndef SP_OP_HALF_H
#define SP_OP_HALF_H

#include <stdint.h>

/* Nearest, ties to even; above 65504 (and its rounding) infinite; NaN stays NaN. */
uint16_t sp_half_from_float(float f);
float sp_half_to_float(uint16_t h);

#endif
