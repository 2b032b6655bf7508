/* Timing of one call: buffers with random contents, launches in batches between finishes, medians. */
#ifndef SP_CHECK_TIMING_H
#define SP_CHECK_TIMING_H

#include "registry/launch.h"

typedef struct sp_timing {
    sp_device *dev;
    sp_op_call call;
    cl_mem mem; /* all buffers of the call */
    sp_range buffers[SP_OP_MAX_BUFFERS];
    double bytes,
        flops; /* of a launch, by the contract, not by what a variant does; flops 0: data movement */
} sp_timing;

/* density: share of spikes among bits. SP_E_USAGE when the device cannot hold the buffers. */
sp_status sp_timing_init(sp_timing *t, sp_device *dev, const sp_op_call *call, uint64_t seed, double density,
                         sp_error *err);
void sp_timing_fini(sp_timing *t);

/* A variant made ready: its launch and its workspace. */
typedef struct sp_timed {
    sp_launch *launch;
    sp_range work;
    int batch; /* launches between two finishes, set by sp_timing_warm */
} sp_timed;
sp_status sp_timing_prepare(sp_timing *t, sp_registry *reg, sp_variant *v, const int64_t *tune_values,
                            sp_timed *out, sp_error *err);
void sp_timing_release(sp_timing *t, sp_timed *l);

/* Runs until everything is built and a batch takes at least two milliseconds. first_ms (may be NULL): of one
 * launch; above give_up_ms the warm-up ends there, with batches of 1. */
sp_status sp_timing_warm(sp_timing *t, sp_timed *l, double give_up_ms, double *first_ms, sp_error *err);
/* Milliseconds of one launch, from one batch. */
sp_status sp_timing_once(sp_timing *t, sp_timed *l, double *ms, sp_error *err);
double sp_timing_median(double *samples, int n); /* sorts them */

#endif
