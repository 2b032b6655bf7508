/* Loader: reads mini-batches ahead of the device on other threads. What comes, and in which order, depends
 * only on (data set, seed, epoch), not on the number of threads. */
#ifndef SP_DATA_LOADER_H
#define SP_DATA_LOADER_H

#include <stdbool.h>
#include "data/dataset.h"

typedef struct sp_loader sp_loader;

typedef struct sp_batch {
    float
        *images; /* [B][frames or 1][H][W][C]; or [T][B][H][W][C] for sequences (time first), page-aligned */
    int32_t *labels; /* [B]; -1 past n_valid */
    float *targets;  /* [B][targets]; NULL: none */
    size_t index;    /* batch number in the epoch */
    size_t n_valid;  /* samples in it; the rest repeats sample 0 of the batch */
} sp_batch;

typedef struct sp_loader_options {
    size_t batch;
    size_t whole, at; /* where batches are parts of larger ones of `whole` samples, from sample `at` of each
                         on: only these are read. Needs drop_last; whole 0: they are not */
    bool shuffle, drop_last;
    bool balanced; /* every class equally often in an epoch, whose length stays: rare ones repeat */
    uint64_t seed;
    int depth;   /* batches read ahead; default 3 */
    int threads; /* that read; default 1, or 2 where there are four processors */
} sp_loader_options;

/* All memory is allocated here; next() and release() allocate nothing. ds must outlive the loader. [setup] */
sp_status sp_loader_create(const sp_dataset *ds, const sp_loader_options *o, sp_loader **out, sp_error *err);
void sp_loader_destroy(sp_loader **l);
size_t sp_loader_batches(const sp_loader *l); /* batches in an epoch */

int sp_loader_threads(const sp_loader *l);

/* Starts epoch `epoch` (0-based) at batch `first`: what was in flight is dropped. */
sp_status sp_loader_start(sp_loader *l, uint64_t epoch, size_t first, sp_error *err);
/* Next batch, waiting for the threads; *out = NULL after the last. An error of a sample ends the epoch here.
 * [hot] */
sp_status sp_loader_next(sp_loader *l, const sp_batch **out, sp_error *err);
/* Fills the batch behind its valid samples with copies of sample 0. */
void sp_loader_pad(const sp_loader *l, sp_batch *b);
void sp_loader_release(sp_loader *l, const sp_batch *b); /* give it back for reuse; in the order of next() */
double sp_loader_wait_seconds(const sp_loader *l); /* time next() has waited: 0 means the loader keeps up */

#endif
