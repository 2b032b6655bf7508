/* Arrays in files: .npy, members of .npz, and, with libhdf5, data sets of HDF5 files. */
#ifndef SP_DATA_ARRAY_H
#define SP_DATA_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "config/safetensors.h"
#include "data/dataset.h"

typedef struct sp_array_info {
    int rank;
    int64_t dims[SP_TENSOR_MAX_DIMS];
    int64_t items;
    char dtype[12]; /* as in safetensors files */
} sp_array_info;

typedef struct sp_array sp_array;

bool sp_path_has_arrays(const char *path); /* a .npy, .npz, .h5 or .hdf5 file, by its name */
/* `member` is a name in the archive, or NULL for a .npy file; SET:FIELD is a field of HDF5 records. */
bool sp_array_present(const char *path, const char *member);
sp_status sp_array_open(const char *path, const char *member, sp_array **out, sp_error *err);
void sp_array_close(sp_array **a);
const sp_array_info *sp_array_about(const sp_array *a);
const char *sp_array_name(const sp_array *a); /* "file.npz: x", for messages */
bool sp_array_is_real(const sp_array *a);     /* its items are floats */
/* n items from the first on, in C order. [any-thread] */
sp_status sp_array_floats(const sp_array *a, int64_t first, size_t n, float *out, sp_error *err);
/* Integers and bools, as far as a double holds them (2^53); floats are refused, unless scale is above 0: all
 * items are then multiplied by it and rounded. */
sp_status sp_array_integers(const sp_array *a, int64_t first, size_t n, double scale, int64_t *out,
                            sp_error *err);

/* array_labels.c. Labels of an array [N] or [N][1], out may be NULL; the classes they make are added to
 * *classes. */
sp_status sp_array_labels(const sp_array *a, int32_t *out, int64_t *n, int *classes, sp_error *err);
/* Targets of an array [N] or [N][K], out may be NULL; K has to be *k where that is not 0. */
sp_status sp_array_targets(const sp_array *a, sp_targets targets, float *out, int *k, sp_error *err);

/* hdf5.c; without libhdf5 opening refuses by name. One lock guards the library. */
typedef struct sp_hdf5_array sp_hdf5_array;
sp_status sp_hdf5_array_open(const char *path, const char *member, sp_hdf5_array **out, sp_array_info *info,
                             sp_error *err);
bool sp_hdf5_present(const char *path, const char *member);
void sp_hdf5_array_close(sp_hdf5_array **a);
/* n items in C order, which are whole rows of the first dimension, as double or float. */
sp_status sp_hdf5_array_read(const sp_hdf5_array *a, int64_t first, size_t n, bool as_double, void *out,
                             sp_error *err);

#endif
