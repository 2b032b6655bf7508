/* Gradients and running statistics of the shards of a mini-batch, from the devices of all replicas to their
 * mean on each of them. */
#ifndef SP_TRAIN_GRADIENTS_H
#define SP_TRAIN_GRADIENTS_H

#include "train/ranks.h"
#include "train/session.h"
#include "train/shards.h"

typedef struct spi_gradients {
    sp_ranks *ranks; /* NULL: one process */
    int shards;
    size_t params, buffers; /* elements of the gradients, and of the running statistics behind them */
    float *before;          /* [buffers] running statistics before the mini-batch */
    sp_shard_sum sum;       /* of this process */
    float *mean;            /* [params + buffers], with ranks */
    /* with ranks: this rank sums slice [slice[rank], slice[rank + 1]) of the vector over all of them */
    size_t *slice; /* [size + 1] */
    int *covers;   /* [size + 1] first node of a rank in `nodes` */
    sp_shard_node *nodes;
    sp_shard_sum merged;
    sp_ranks_part *sends, *receives;
} spi_gradients;

sp_status spi_gradients_init(spi_gradients *g, const sp_session *s, sp_ranks *ranks, sp_error *err);
void spi_gradients_fini(spi_gradients *g);

/* Before the first shard of a mini-batch, from any session, as all have the same; and before each later shard
 * of a session. */
sp_status spi_gradients_begin(spi_gradients *g, const sp_session *s, sp_error *err);
sp_status spi_gradients_rewind(spi_gradients *g, const sp_session *s, sp_error *err);
/* After a shard has run. */
sp_status spi_gradients_add(spi_gradients *g, const sp_session *s, int shard, sp_error *err);
/* After all: the mean over the shards of all ranks; spi_gradients_put writes it to a session. */
sp_status spi_gradients_mean(spi_gradients *g, const float **mean, sp_error *err);
sp_status spi_gradients_put(const spi_gradients *g, const sp_session *s, const float *mean, sp_error *err);

#endif
