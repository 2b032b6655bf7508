/* Replicas: sessions of one recipe on several devices (or parts of one) that share each mini-batch. Every
 * member runs its share of the samples; gradients are summed on the host in the order of the members and
 * averaged; the first member's optimizer updates, and its weights go to the others. Batch norms see a share
 * only, and running statistics are the first member's. */
#ifndef SP_TRAIN_REPLICAS_H
#define SP_TRAIN_REPLICAS_H

#include "train/session.h"

typedef struct sp_replicas sp_replicas;

/* members[0] is the one that is evaluated and saved; all opened with `shares` = n. The sessions stay the
 * caller's. [setup] */
sp_status sp_replicas_create(sp_session *const *members, size_t n, sp_replicas **out, sp_error *err);
void sp_replicas_destroy(sp_replicas **t);

/* The first member's weights to the others: after they were loaded. */
sp_status sp_replicas_share_weights(sp_replicas *t, sp_error *err);

typedef struct sp_step_result {
    double loss;            /* sum over the samples that count */
    int64_t correct;        /* of them */
    int64_t backprop_steps; /* time steps that were backpropagated */
} sp_step_result;

/* The training step of everything that trains: chooses the time steps, runs the mini-batch, looks at loss and
 * gradients, and updates the parameters only when they are finite (SP_E_NUMERIC tells layer and time step).
 * batch: images, labels, iteration and lr are the caller's; backprop is set here. n_valid: samples that count
 * in the result. `before` (may be NULL) sees the mini-batch before it runs. [hot] */
sp_status sp_train_step(sp_replicas *t, sp_exec_batch *batch, size_t n_valid,
                        sp_status (*before)(void *ctx, const sp_exec_batch *batch, sp_error *err), void *ctx,
                        sp_step_result *out, sp_error *err);

/* As sp_exec_clear_spikes and sp_exec_spikes of one plan, for a whole mini-batch. */
sp_status sp_replicas_clear_spikes(sp_replicas *t, sp_error *err);
sp_status sp_replicas_spikes(sp_replicas *t, uint64_t *spikes, sp_error *err); /* the sum over the members */
void sp_replicas_finish(sp_replicas *t);

#endif
