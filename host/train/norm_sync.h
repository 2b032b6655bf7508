/* schedule.sync_batch_norm: what a batch norm has computed of one shard becomes that of all shards, in the
 * same way on every replica. Replicas have one shard each, and stop behind the same step. */
#ifndef SP_TRAIN_NORM_SYNC_H
#define SP_TRAIN_NORM_SYNC_H

#include "train/ranks.h"
#include "train/session.h"

typedef struct spi_norm_sync {
    sp_session *const *members; /* [n] */
    size_t n;
    sp_ranks *ranks; /* NULL: one process */
    int shards, first;
    size_t most;  /* channels of a batch norm */
    float *all;   /* [shards][2][channels] what the shards have computed */
    float *own;   /* [6][channels] what a member's memory has, or gets */
    double *mean; /* [2][channels] */
    size_t *at;   /* [ranks + 1] first shard of a rank */
} spi_norm_sync;

sp_status spi_norm_sync_init(spi_norm_sync *s, sp_session *const *members, size_t n, sp_ranks *ranks,
                             int shards, int first, sp_error *err);
void spi_norm_sync_fini(spi_norm_sync *s);
/* After every member has stopped behind the step of its cursor; waits for the devices. [hot] */
sp_status spi_norm_sync_step(spi_norm_sync *s, const sp_exec_cursor *cursors, sp_error *err);

#endif
