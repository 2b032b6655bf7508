/* Conformance: a variant against the C reference of its op on random and edge shapes, with guard zones,
 * poisoned outputs, unchanged inputs and repeated launches. Used by `spikeport plugins check`, by the tests,
 * and before an unproven variant is trusted. */
#ifndef SP_CHECK_CHECK_H
#define SP_CHECK_CHECK_H

#include "registry/launch.h"

typedef struct sp_check_options {
    bool quick;             /* a handful of shapes: what trust costs; full: all of them */
    uint64_t seed;          /* printed with a failure; same seed, same inputs */
    const sp_op_call *like; /* not NULL: the quick shapes with its flags, neuron and surrogate alone */
    bool few;               /* with like: an edge shape and a regular one */
} sp_check_options;

typedef struct sp_check_report {
    int shapes_run, shapes_not_applicable;
    double worst_error;  /* largest error relative to the largest |reference| */
    double worst_margin; /* worst_error / tolerance */
    char worst_shape[256];
} sp_check_report;

/* SP_OK when every applicable shape conforms; SP_E_MISMATCH (or the build's status) with shape, buffer,
 * element, both values and the seed otherwise. [setup] */
sp_status sp_check_variant(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_check_options *o,
                           sp_check_report *report, sp_error *err);
/* The same at one call, which v must be able to run; tune_values NULL: the defaults. [setup] */
sp_status sp_check_call(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                        const int64_t *tune_values, uint64_t seed, sp_check_report *report, sp_error *err);

/* The calls that the harness tries for an op; also what `plugins bench` times. Returns how many (at most
 * max). */
size_t sp_check_calls(const sp_op *op, bool quick, sp_op_call *out, size_t max);

/* A neuron model or surrogate without a C formula is stood in for by a built-in one, which uses the same. */
void sp_check_stand_in(sp_op_call *c);

/* The quick shapes with the flags, neuron and surrogate of `like` (or what stands in for them), so that its
 * program is also the one of the call where sizes are not baked in; few: an edge shape and a regular one. */
size_t sp_check_calls_like(const sp_op_call *like, bool few, sp_op_call *out, size_t max);

/* A neuron or surrogate fragment: builds, is finite on -5..5, and surrogate_grad is the derivative of
 * surrogate_smooth; for the built-in names also equal to the C formula. */
sp_status sp_check_fragment(sp_registry *reg, sp_device *dev, sp_fragment *f, sp_check_report *report,
                            sp_error *err);

/* Makes reg ask the check before it chooses: sp_check_trust and sp_check_trust_fragment. */
void sp_check_install(sp_registry *reg);
/* An sp_registry.trust: quick check, remembered per device, driver and source in the user's cache folder. Of
 * the reference kernels one of each op family is checked, where no variant of the family has passed. */
sp_status sp_check_trust(void *ctx, sp_device *dev, sp_variant *v, const sp_op_call *call, sp_error *err);
/* The same for a fragment: sp_check_fragment, remembered. */
sp_status sp_check_trust_fragment(void *ctx, sp_device *dev, sp_fragment *f, sp_error *err);

#endif
