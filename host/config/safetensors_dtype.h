/* Element types of safetensors files, shared by the reader and the writer; not for other folders. */
#ifndef SP_CONFIG_SAFETENSORS_DTYPE_H
#define SP_CONFIG_SAFETENSORS_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "config/safetensors.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian and are read and written as they lie in memory"
#endif

static const uint64_t sp_tensors_max_header_bytes = 100000000;

/* Bits of one element, 0 when the format has no such type. */
unsigned sp_tensor_dtype_bits(const char *dtype);
/* Bytes of a tensor of that shape; false on overflow, a negative size or a total that is not whole bytes. */
bool sp_tensor_count_bytes(const int64_t *shape, int n_dims, unsigned bits, size_t *bytes);

#endif
