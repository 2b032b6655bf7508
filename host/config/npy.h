/* .npy files of NumPy (versions 1 to 3): one array in row-major order. Numbers only; little-endian. */
#ifndef SP_CONFIG_NPY_H
#define SP_CONFIG_NPY_H

#include "config/safetensors.h"

/* Reads the array that lies in `bytes`: out->name is `name`, out->dtype is spelled as in safetensors files
 * (F32 for '<f4'), and out->data points into `bytes`. Damage is SP_E_DATA with the offset. */
sp_status sp_npy_parse(const char *name, const void *bytes, size_t n, sp_tensor *out, sp_error *err);

/* The header alone, of which `bytes` holds the beginning of the file; the data, of out->bytes, begin at
 * *data_at. Free out->name also after a failure. */
sp_status sp_npy_parse_header(const char *name, const void *bytes, size_t n, sp_tensor *out, size_t *data_at,
                              sp_error *err);
enum { SP_NPY_MOST_HEADER = 65536 + 12 };

/* The same with a file, whose bytes *memory keeps; free both with sp_npy_free, also after a failure. */
sp_status sp_npy_read(const char *path, sp_tensor *out, void **memory, sp_error *err);
void sp_npy_free(sp_tensor *t, void **memory);

/* Writes version 1.0, as safely as sp_file_replace does. */
sp_status sp_npy_write(const char *path, const sp_tensor *t, sp_error *err);

#endif
