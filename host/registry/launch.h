/* A variant made ready for one call: programs built, scalars bound, work sizes computed. */
#ifndef SP_REGISTRY_LAUNCH_H
#define SP_REGISTRY_LAUNCH_H

#include "registry/registry.h"

typedef struct sp_launch sp_launch;

/* Builds the kernels of v for call. Cross-checks each kernel argument with the contract (name, pointer or
 * scalar): an unknown argument name is SP_E_PLUGIN. tune_values NULL: defaults. Library variants are created
 * and prepared through their factory. [setup] */
sp_status sp_launch_create(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                           const int64_t *tune_values, sp_launch **out, sp_error *err);
void sp_launch_destroy(sp_launch **l);

/* Gives a scalar of the call that kernels take as an argument another value, for all launches from now on.
 * Where the op has none of this name, nothing happens. Not for library variants (SP_E_PLUGIN). */
sp_status sp_launch_set_float(sp_launch *l, const char *name, double value, sp_error *err);

/* Bytes of the buffer `work` that enqueue must be given; 0 none. */
uint64_t sp_launch_workspace(const sp_launch *l);
/* The same before the kernels of v are built; of a library it is not known, and 0. */
sp_status sp_launch_workspace_of(sp_device *dev, sp_variant *v, const sp_op_call *call,
                                 const int64_t *tune_values, uint64_t *bytes, sp_error *err);

/* Bytes of registers that a work-item keeps in memory instead, because they do not suffice; 0 where the
 * driver does not tell. Only GPUs are asked: on a CPU such memory is its stack, which is fast. */
uint64_t sp_launch_spills(const sp_launch *l);

/* Values of the dynamic scalars for this launch. */
typedef struct sp_dynamic {
    int32_t first, last, iteration;
    int32_t time_step;   /* from 1 */
    int32_t block_start; /* whether it is the first of a block */
    float lr, bias1, bias2;
} sp_dynamic;

/* Binds the ranges (buffers[i] belongs to call->op->buffers[i]; mem NULL where absent) and enqueues every
 * pass. name is for messages and the profile. Sets only the arguments that changed since the last call. [hot]
 */
sp_status sp_launch_enqueue(sp_launch *l, const sp_range *buffers, sp_range work, const sp_dynamic *dyn,
                            const char *name, sp_error *err);

#endif
