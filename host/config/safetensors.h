/* safetensors files: u64 header length, JSON header, raw little-endian data. Reader validates everything
 * (lengths, offsets contiguous, no overlap, no duplicate keys, dtype sizes); writer goes through a temporary
 * file, fsync, rename. */
#ifndef SP_CONFIG_SAFETENSORS_H
#define SP_CONFIG_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

enum { SP_TENSOR_MAX_DIMS = 8 };

typedef struct sp_tensor {
    char *name;
    char dtype[12]; /* "F32", "F64", "I64", "U8", ... */
    int n_dims;
    int64_t shape[SP_TENSOR_MAX_DIMS];
    const void *data; /* in the file's memory when read; the caller's when written */
    size_t bytes;
} sp_tensor;

typedef struct sp_tensor_file {
    sp_tensor *items; /* sorted by name */
    size_t n;
    char **meta_keys, **meta_values; /* __metadata__ */
    size_t n_meta;
    void *memory; /* file contents */
    char *path;
} sp_tensor_file;

sp_status sp_tensors_read(const char *path, sp_tensor_file *out, sp_error *err);
/* Whether a file begins as safetensors do, whatever its name is; no text does. */
bool sp_tensors_are_in(const char *path);
void sp_tensors_free(sp_tensor_file *f);
const sp_tensor *sp_tensors_find(const sp_tensor_file *f, const char *name);
const char *sp_tensors_meta(const sp_tensor_file *f, const char *key); /* NULL when absent */
int64_t sp_tensor_elems(const sp_tensor *t);
/* Copies as float/double whatever the dtype (F64 F32 I64 I32 U8 ... ); SP_E_DATA for a dtype it cannot
 * convert. */
sp_status sp_tensor_to_f32(const sp_tensor *t, float *out, sp_error *err);
sp_status sp_tensor_to_f64(const sp_tensor *t, double *out, sp_error *err);

/* SP_E_NUMERIC where a number of a tensor is NaN or infinite, with its name and place. Types that cannot be
 * converted are left to who reads them. */
sp_status sp_tensors_check_finite(const sp_tensor_file *f, sp_error *err);

/* Atomic: writes PATH.tmp.<pid> beside it, fsync, rename, fsync of the folder. On any failure (full disk,
 * permission) the old file is untouched and the temporary one removed. */
sp_status sp_tensors_write(const char *path, const sp_tensor *items, size_t n, const char *const *meta_keys,
                           const char *const *meta_values, size_t n_meta, sp_error *err);

#endif
