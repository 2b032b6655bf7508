/* Replicas: sessions of one recipe that share each mini-batch, on several devices of this process and in the
 * processes of other ranks alike.
 *
 * The mini-batch is cut into schedule.shards shards of equal size. A replica runs its shards one after the
 * other; gradients, and running statistics of batch norms, are summed in the order of shards.h and divided by
 * the number of shards, and every replica's optimizer makes the same step. A shard's numbers depend on the
 * weights, its samples and its number alone, so any number of replicas gives the same bits on devices of one
 * kind. Where the devices differ, the first replica's weights go to the others after each step. */
#ifndef SP_TRAIN_REPLICAS_H
#define SP_TRAIN_REPLICAS_H

#include "train/ranks.h"
#include "train/session.h"

typedef struct sp_replicas sp_replicas;

/* members[0] of rank 0 is the one that is saved. ranks may be NULL; the sessions and it stay the caller's.
 * [setup] */
sp_status sp_replicas_create(sp_session *const *members, size_t n, sp_ranks *ranks, sp_replicas **out,
                             sp_error *err);
void sp_replicas_destroy(sp_replicas **t);

/* The samples of each mini-batch that this process reads, from sample *at on. */
int64_t sp_replicas_samples(const sp_replicas *t, int64_t *at);

/* Whether the devices are of different kinds. */
bool sp_replicas_mixed(const sp_replicas *t);

/* Everything that the first session has learned to the others: after it was loaded. */
sp_status sp_replicas_share_model(sp_replicas *t, sp_error *err);
/* SP_E_MISMATCH where a rank's weights are not those of rank 0, which is named. */
sp_status sp_replicas_check_equal(sp_replicas *t, sp_error *err);

typedef struct sp_step_result {
    double loss;            /* sum over the samples that count */
    int64_t correct;        /* of them */
    int64_t backprop_steps; /* time steps that were backpropagated */
    bool stop;              /* some rank's stop is set */
} sp_step_result;

/* The training step of everything that trains: chooses the time steps, runs the mini-batch, looks at loss and
 * gradients, and updates the parameters only when they are finite (SP_E_NUMERIC tells layer and time step).
 * batch: images, labels (those of sp_replicas_samples), iteration and lr are the caller's; backprop is set
 * here. n_valid: samples of the whole mini-batch that count in the result. `before` (may be NULL) sees the
 * mini-batch before it runs. [hot] */
sp_status sp_train_step(sp_replicas *t, sp_exec_batch *batch, size_t n_valid,
                        sp_status (*before)(void *ctx, const sp_exec_batch *batch, sp_error *err), void *ctx,
                        sp_step_result *out, sp_error *err);

/* As sp_exec_clear_spikes and sp_exec_spikes of one plan, for a whole mini-batch. */
sp_status sp_replicas_clear_spikes(sp_replicas *t, sp_error *err);
sp_status sp_replicas_spikes(sp_replicas *t, uint64_t *spikes, sp_error *err); /* the sum over all replicas */
void sp_replicas_finish(sp_replicas *t);

#endif
