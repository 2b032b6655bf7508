/* The sum over shards: the same bits in whatever order and by however many replicas it is made. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "train/shards.h"

enum { ELEMS = 5, MOST = 13 };

static float value(int shard, int k)
{
    sp_rng r = sp_rng_make(7, (uint64_t)(shard * ELEMS + k));
    return sp_rng_normal(&r) * (float)(1 << shard);
}

static void add(sp_shard_sum *s, int shard)
{
    float *x;
    cr_assert_eq(sp_shard_sum_room(s, &x, NULL), SP_OK);
    for (int k = 0; k < ELEMS; k++)
        x[k] = value(shard, k);
    sp_shard_sum_add(s, (sp_shard_node){shard, shard + 1, x});
}

static float tree(int lo, int hi, int k)
{
    int mid = lo + (hi - lo + 1) / 2;
    return hi - lo == 1 ? value(lo, k) : tree(lo, mid, k) + tree(mid, hi, k);
}

Test(shards, sum_is_that_of_the_tree_in_any_order)
{
    for (int shards = 1; shards <= MOST; shards++)
        for (int order = 0; order < 4; order++) {
            sp_shard_sum s;
            float want[ELEMS];
            cr_assert_eq(sp_shard_sum_init(&s, shards, ELEMS, NULL), SP_OK);
            for (int i = 0; i < shards; i++) // 17 and 19 have no divisor with up to 13
                add(&s, order == 0 ? i : order == 1 ? shards - 1 - i : (i * (order == 2 ? 17 : 19)) % shards);
            cr_assert_eq(s.n, 1);
            const float *x = sp_shard_sum_take(&s);
            for (int k = 0; k < ELEMS; k++)
                want[k] = tree(0, shards, k);
            cr_assert_eq(memcmp(x, want, sizeof want), 0, "%d shards, order %d", shards, order);
            sp_shard_sum_fini(&s);
        }
}

/* What a replica's shards merge to is what the others expect from it. */
Test(shards, replicas_merge_to_their_cover)
{
    for (int shards = 1; shards <= MOST; shards++)
        for (int replicas = 1; replicas <= shards; replicas++) {
            cr_assert_eq(sp_shards_first(shards, replicas, replicas), shards);
            for (int r = 0; r < replicas; r++) {
                sp_shard_node want[MOST];
                sp_shard_sum s;
                int lo = sp_shards_first(shards, replicas, r), hi = sp_shards_first(shards, replicas, r + 1);
                cr_assert_lt(lo, hi);
                int n = sp_shards_cover(shards, lo, hi, want);
                cr_assert_eq(sp_shard_sum_init(&s, shards, ELEMS, NULL), SP_OK);
                for (int i = lo; i < hi; i++)
                    add(&s, i);
                cr_assert_eq(s.n, n);
                for (int k = 0; k < n; k++) {
                    cr_assert(s.nodes[k].lo == want[k].lo && s.nodes[k].hi == want[k].hi);
                    s.spare[s.n_spare++] = s.nodes[k].x;
                }
                sp_shard_sum_fini(&s);
            }
        }
}
