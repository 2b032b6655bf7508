/* Sums over the shards of a mini-batch: see shards.h. */
#include "train/shards.h"

#include <stdbool.h>

#include "base/error.h"
#include "base/mem.h"

int sp_shards_first(int shards, int replicas, int r)
{
    return (int)((long long)shards * r / replicas);
}

static int middle(int lo, int hi)
{
    return lo + (hi - lo + 1) / 2;
}

static int cover(int a, int b, int lo, int hi, sp_shard_node *out)
{
    if (b <= lo || hi <= a)
        return 0;
    if (lo <= a && b <= hi) {
        *out = (sp_shard_node){a, b, NULL};
        return 1;
    }
    int n = cover(a, middle(a, b), lo, hi, out);
    return n + cover(middle(a, b), b, lo, hi, out + n);
}

int sp_shards_cover(int shards, int lo, int hi, sp_shard_node *out)
{
    return cover(0, shards, lo, hi, out);
}

/* Whether a and b, which lies behind it, make a node of the tree. */
static bool are_siblings(int shards, const sp_shard_node *a, const sp_shard_node *b)
{
    int lo = 0, hi = shards;
    while (lo != a->lo || hi != b->hi) {
        int mid = middle(lo, hi);
        if (b->hi <= mid)
            hi = mid;
        else if (a->lo >= mid)
            lo = mid;
        else
            return false;
    }
    return a->hi == middle(lo, hi) && b->lo == a->hi;
}

sp_status sp_shard_sum_init(sp_shard_sum *s, int shards, size_t elems, sp_error *err)
{
    *s = (sp_shard_sum){.shards = shards, .elems = elems};
    s->nodes = sp_alloc_array((size_t)shards + 1, sizeof *s->nodes);
    s->spare = sp_alloc_array((size_t)shards + 1, sizeof *s->spare);
    return s->nodes && s->spare ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the sum of gradients");
}

void sp_shard_sum_fini(sp_shard_sum *s)
{
    while (s->n_spare > 0)
        sp_free(s->spare[--s->n_spare]);
    sp_free(s->spare);
    sp_free(s->nodes);
    *s = (sp_shard_sum){0};
}

sp_status sp_shard_sum_room(sp_shard_sum *s, float **x, sp_error *err)
{
    *x = s->n_spare ? s->spare[--s->n_spare] : sp_alloc_pages(s->elems, sizeof **x);
    return *x ? SP_OK
              : SP_FAIL(err, SP_E_MEMORY, "out of memory for the gradients of a shard (%zu numbers)",
                        s->elems);
}

static void merge(sp_shard_sum *s, int i)
{
    sp_shard_node *a = &s->nodes[i], *b = a + 1;
    float *restrict sum = a->x;
    const float *restrict more = b->x;
    for (size_t k = 0; k < s->elems; k++)
        sum[k] += more[k];
    a->hi = b->hi;
    s->spare[s->n_spare++] = b->x;
    s->n--;
    for (int k = i + 1; k < s->n; k++)
        s->nodes[k] = s->nodes[k + 1];
}

void sp_shard_sum_add(sp_shard_sum *s, sp_shard_node node)
{
    int i = s->n++;
    for (; i > 0 && s->nodes[i - 1].lo > node.lo; i--)
        s->nodes[i] = s->nodes[i - 1];
    s->nodes[i] = node;
    for (;;) {
        if (i > 0 && are_siblings(s->shards, &s->nodes[i - 1], &s->nodes[i]))
            merge(s, --i);
        else if (i + 1 < s->n && are_siblings(s->shards, &s->nodes[i], &s->nodes[i + 1]))
            merge(s, i);
        else
            return;
    }
}

float *sp_shard_sum_take(sp_shard_sum *s)
{
    float *x = s->nodes[0].x;
    s->n = 0;
    return s->spare[s->n_spare++] = x;
}
