/* The order of an epoch. Balanced: round after round over the classes that have samples, in another order
 * each time, until as many samples are drawn as the set has. A class goes through its samples, shuffled anew
 * each time, as often as it takes, so those of rare classes repeat and of frequent ones some are left out,
 * other ones in every epoch. */
#include "data/order.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

#define STREAM_ORDER 0x4c4f414400000000u /* "LOAD": + epoch */

bool sp_order_init(sp_order *o, const sp_dataset *ds, sp_order_kind kind, uint64_t seed)
{
    size_t count = ds->info.count, classes = (size_t)ds->info.classes;
    *o = (sp_order){.ds = ds, .kind = kind, .seed = seed, .index = sp_alloc_array(count, sizeof *o->index)};
    if (kind != SP_ORDER_BALANCED)
        return o->index != NULL;
    o->repeat = sp_alloc_array(count, sizeof *o->repeat);
    o->used = sp_alloc_array(classes, sizeof *o->used);
    o->classes = sp_alloc_array(classes, sizeof *o->classes);
    return o->index && o->repeat && o->used && o->classes && spi_group_classes(ds, &o->groups);
}

void sp_order_fini(sp_order *o)
{
    sp_free(o->index);
    sp_free(o->repeat);
    sp_free(o->used);
    sp_free(o->classes);
    spi_groups_free(&o->groups);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The same start, whatever epoch was made before. */
static void reset(sp_order *o)
{
    const sp_class_groups *g = &o->groups;
    o->n_classes = 0;
    for (size_t k = 0; k < (size_t)o->ds->info.classes; k++) {
        size_t n = g->first[k + 1] - g->first[k];
        qsort(g->samples + g->first[k], n, sizeof *g->samples, compare);
        o->used[k] = 0;
        if (n)
            o->classes[o->n_classes++] = (uint32_t)k;
    }
}

static void make_balanced(sp_order *o, sp_rng *r)
{
    const sp_class_groups *g = &o->groups;
    size_t count = o->ds->info.count;
    reset(o);
    for (size_t i = 0; i < count; i++) {
        if (i % o->n_classes == 0)
            sp_rng_shuffle(r, o->classes, o->n_classes);
        size_t k = o->classes[i % o->n_classes], n = g->first[k + 1] - g->first[k], at = o->used[k]++;
        if (at % n == 0)
            sp_rng_shuffle(r, g->samples + g->first[k], n);
        o->index[i] = g->samples[g->first[k] + at % n];
        o->repeat[i] = (uint32_t)(at / n);
    }
}

void sp_order_make(sp_order *o, uint64_t epoch)
{
    sp_rng r = sp_rng_make(o->seed, STREAM_ORDER + epoch);
    if (o->kind == SP_ORDER_BALANCED) {
        make_balanced(o, &r);
        return;
    }
    for (size_t i = 0; i < o->ds->info.count; i++)
        o->index[i] = (uint32_t)i;
    if (o->kind == SP_ORDER_SHUFFLED)
        sp_rng_shuffle(&r, o->index, o->ds->info.count);
}
