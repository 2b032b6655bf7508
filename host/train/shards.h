/* The sum over the virtual shards of a mini-batch, in one order for every number of devices and ranks: that
 * of a binary tree over the shards 0..n-1, whose node [lo, hi) is [lo, mid) plus [mid, hi). Partial sums are
 * added in any order and merge as soon as two of them make a node. */
#ifndef SP_TRAIN_SHARDS_H
#define SP_TRAIN_SHARDS_H

#include "spikeport/status.h"
#include <stddef.h>

typedef struct sp_shard_node {
    int lo, hi; /* the shards that x is the sum of */
    float *x;   /* [elems] */
} sp_shard_node;

typedef struct sp_shard_sum {
    int shards;
    size_t elems;
    sp_shard_node *nodes; /* [shards] by lo */
    int n;
    float **spare; /* [shards] memory that merging has left over, or that sp_shard_sum_room has made */
    int n_spare;
} sp_shard_sum;

/* Shard i of n belongs to replica r of `replicas` where the result of this for r is <= i and for r + 1 it is
 * not. Every replica has one, where there are as many shards as replicas. */
int sp_shards_first(int shards, int replicas, int r);

/* The nodes that shards lo..hi-1 merge to, x NULL; returns how many: at most 2 log2(shards), and at most
 * hi - lo. */
int sp_shards_cover(int shards, int lo, int hi, sp_shard_node *out);

sp_status sp_shard_sum_init(sp_shard_sum *s, int shards, size_t elems, sp_error *err);
void sp_shard_sum_fini(sp_shard_sum *s); /* frees the spare memory, not what nodes hold */
/* Memory for a shard's numbers; allocates only what no earlier sum has left. */
sp_status sp_shard_sum_room(sp_shard_sum *s, float **x, sp_error *err);
/* Takes the node over and merges. The sum is whole when one node [0, shards) is left. [hot] */
void sp_shard_sum_add(sp_shard_sum *s, sp_shard_node node);
/* Takes the whole sum out: its memory is spare from now on, and holds the sum until the next one begins. */
float *sp_shard_sum_take(sp_shard_sum *s);

#endif
