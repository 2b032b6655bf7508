/* Two devices, step by step: what each step of a mini-batch wrote on one device is recorded, and compared on
 * another one, which goes on from the recorded values, so that a difference is the step's own and not its
 * past's. */
#ifndef SP_LAB_DEVICE_DIFF_H
#define SP_LAB_DEVICE_DIFF_H

#include <stdio.h>

#include "exec/executor.h"

typedef struct sp_diff_options {
    double bound;  /* a spike may differ where |u - v_th| is at most this */
    double scale;  /* times the tolerance of an op's contract that its numbers may differ; 2: both devices may
                      be off */
    bool free_run; /* go on from the device's own values: differences are then those of the trajectory */
} sp_diff_options;

typedef struct sp_diff_report {
    uint64_t steps, values, spikes; /* compared */
    uint64_t differing;             /* numbers whose bits differ */
    uint64_t too_far;               /* buffers beyond their tolerance */
    uint64_t flips, flips_too_far;  /* spikes that differ; those beyond the bound */
    uint64_t unmatched;             /* steps of one device only, as a lowered convolution */
    double worst;                   /* largest difference of a number, of the buffer's largest */
    double worst_margin;            /* the same in its tolerance */
    double farthest;                /* largest |u - v_th| of a spike that differs */
    char first[320], worst_at[320], first_flip[320],
        first_failure[320]; /* layer, op, time step, neuron; "" none */
} sp_diff_report;

/* Runs the mini-batch and its update on p, and appends what every step wrote to `to`. The loss is not looked
 * at. */
sp_status sp_diff_record(sp_plan *p, const sp_exec_batch *batch, FILE *to, sp_error *err);

/* Runs it on p and compares with the next recorded mini-batch of `from`; the report is added to. */
sp_status sp_diff_compare(sp_plan *p, const sp_exec_batch *batch, FILE *from, const sp_diff_options *o,
                          sp_diff_report *r, sp_error *err);

#endif
