/* Inside train/: what replicas.c and replicas_create.c share. */
#ifndef SP_TRAIN_REPLICAS_INTERNAL_H
#define SP_TRAIN_REPLICAS_INTERNAL_H

#include "train/gradients.h"
#include "train/norm_sync.h"
#include "train/replicas.h"

enum { NO_SHARD = INT32_MAX };

/* What a rank tells the others of its part of a mini-batch; the samples' results follow. */
typedef struct verdict {
    int32_t bad; /* first shard with a number that is not finite; NO_SHARD */
    int32_t stop;
} verdict;

struct sp_replicas {
    sp_session **members;
    size_t n;
    sp_ranks *ranks;        /* NULL: one process */
    int shards, first, end; /* of all, and those of this process */
    size_t per_shard;       /* samples */
    bool mixed;             /* the devices are not of one kind */
    spi_gradients gradients;
    uint8_t *mask;           /* [T] */
    size_t *at;              /* [ranks + 1] first sample of a rank */
    verdict *verdicts;       /* [ranks] */
    float *loss;             /* [B] */
    uint32_t *correct;       /* [B] */
    char *model;             /* a model's memory, where several replicas share it */
    uint64_t *spikes;        /* [nodes] */
    uint64_t *by_step;       /* [T][neuron layers], adaptive SLTT-K */
    spi_norm_sync norms;     /* schedule.sync_batch_norm */
    sp_exec_cursor *cursors; /* [n], with it */
};

static inline int spi_n_ranks(const sp_replicas *t)
{
    return t->ranks ? t->ranks->size : 1;
}

static inline int spi_rank_of(const sp_replicas *t)
{
    return t->ranks ? t->ranks->rank : 0;
}

/* The shards of member i of this process. */
static inline int spi_member_first(const sp_replicas *t, size_t i)
{
    return sp_shards_first(t->shards, spi_n_ranks(t) * (int)t->n, spi_rank_of(t) * (int)t->n + (int)i);
}

#endif
