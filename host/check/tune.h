/* Tuner: times every candidate of a call (variants that fit, with the values of their tunables) after
 * comparing it with the C reference on that call, and writes down all of them as an entry of wisdom. */
#ifndef SP_CHECK_TUNE_H
#define SP_CHECK_TUNE_H

#include "registry/wisdom.h"

typedef struct sp_tune_options {
    uint64_t seed;
    double density;           /* share of spikes among bits */
    int rounds;               /* pairs of batches: incumbent, candidate */
    bool thorough;            /* nothing is left out because it was slow for other calls */
    uint64_t deadline_ns;     /* of sp_clock_ns; 0: none */
    const volatile int *stop; /* set by a signal; may be NULL */
} sp_tune_options;

/* What was slow so far, so that it is not tried on every call. */
typedef struct sp_tuner {
    sp_registry *reg;
    sp_device *dev;
    sp_tune_options o;
    struct sp_tune_history *history;
    size_t n_history;
    int64_t n_timed;     /* candidates */
    uint64_t longest_ns; /* that a candidate took, its compilation included */
} sp_tuner;
void sp_tuner_fini(sp_tuner *t);

/* Whether the person wants to stop, or the time left is shorter than the longest candidate so far. */
bool sp_tune_is_over(const sp_tuner *t);

/* Libraries keep their settings for the whole process, so values of their tunables other than the defaults
 * are tried after everything else: stage 0 leaves them out, stage 1 has them. */
enum { SP_TUNE_STAGES = 2 };
/* Whether a candidate of the call takes part in stage 1 only. */
bool sp_tune_has_stage(sp_tuner *t, const sp_op_call *call, int stage);

/* Whether e has a result for every candidate up to that stage, as their sources are now. */
bool sp_tune_is_complete(sp_tuner *t, const sp_op_call *call, const sp_wisdom_entry *e, int stage);

/* Measures. Rows of `known` (may be NULL) that still hold are used again. When time runs out the rest is
 * noted as not timed. *out is the caller's; its best is -1 where nothing could be timed. Fails only for want
 * of memory or when the device fails. */
sp_status sp_tune_call(sp_tuner *t, const sp_op_call *call, const sp_wisdom_entry *known, int stage,
                       sp_wisdom_entry **out, sp_error *err);

#endif
