/* Data sets: a table of samples that can be read in any order from any thread. */
#ifndef SP_DATA_DATASET_H
#define SP_DATA_DATASET_H

#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

/* Shape of one sample: static images have frames = 0 (the same input at every time step); sequences have frames = T. */
typedef struct sp_dataset_info {
    char name[64];
    size_t count;
    int classes;
    int frames, channels, height, width;
} sp_dataset_info;

typedef struct sp_dataset sp_dataset;
struct sp_dataset {
    sp_dataset_info info;
    /* Writes sample i as float32 [frames][H][W][C] (channels last), normalised as the recipe asks, and its label.
     * May be called from several threads. Never reads outside its file: damage was found at open. [any-thread] */
    sp_status (*get)(const sp_dataset *ds, size_t i, float *image, int32_t *label, sp_error *err);
    void (*close)(sp_dataset *ds);
    void *state;
};

typedef struct sp_dataset_options {
    const char *name;       /* "fashion-mnist", "mnist", "idx", "synthetic" */
    const char *path;       /* folder; NULL: $SPIKEPORT_DATA/NAME, then /usr/share/datasets/NAME */
    int train;              /* 1 training split, 0 test split */
    double mean, std;       /* pixel/255, minus mean, over std; defaults 0 and 1 */
    size_t limit;           /* first so many samples only; 0 all */
    int classes, channels, height, width, frames; size_t count; uint64_t seed; /* synthetic; classes also idx; 0: default */
} sp_dataset_options;

/* Opens by name. Missing: SP_E_DATA saying where it looked and how to get it (Debian package, or download).
 * Truncated or corrupt files: SP_E_DATA naming file and offset. */
sp_status sp_dataset_open(const sp_dataset_options *o, sp_dataset **out, sp_error *err);
void sp_dataset_close(sp_dataset **ds);

/* Names that sp_dataset_open knows; for error messages. */
size_t sp_dataset_names(const char *const **names);

#endif
