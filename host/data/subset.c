/* One part of a data set that is not divided. Of each class, as many samples as the share asks for are drawn
 * for training and the others are for the test; what is drawn depends on (split_seed, class, number of its
 * samples) only, so both parts fit together whenever they are opened. A part goes round and round over the
 * classes, so that any beginning is balanced. */
#include <math.h>
#include <stdio.h>
#include "base/error.h"
#include "base/log.h"
#include "base/rng.h"
#include "data/readers.h"

#define STREAM_SPLIT 0x53504c4900000000u /* "SPLI": + class */

typedef struct subset {
    sp_dataset *inner;
    uint32_t *index; /* [count] */
} subset;

static sp_status subset_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                            sp_error *err)
{
    const subset *s = ds->state;
    if (want.index >= ds->info.count)
        return SP_FAIL(err, SP_E_DATA, "sample %zu of data set \"%s\", which has %zu", want.index,
                       ds->info.name, ds->info.count);
    want.index = s->index[want.index];
    return s->inner->get(s->inner, want, image, label, err);
}

static int32_t subset_label(const sp_dataset *ds, size_t i)
{
    const subset *s = ds->state;
    return s->inner->label(s->inner, s->index[i]);
}

static void subset_target(const sp_dataset *ds, size_t i, float *out)
{
    const subset *s = ds->state;
    s->inner->target(s->inner, s->index[i], out);
}

static void subset_source(const sp_dataset *ds, size_t i, sp_text *out)
{
    const subset *s = ds->state;
    sp_dataset_source(s->inner, s->index[i], out);
}

static void subset_close(sp_dataset *ds)
{
    subset *s = ds->state;
    sp_dataset_close(&s->inner);
    sp_free(s->index);
    sp_free(s);
}

/* Samples of a class that train: the rounded share, but one at least in each part where there are two. */
static size_t share_of(double split, size_t n)
{
    size_t train = (size_t)lround(split * (double)n);
    if (n >= 2)
        train = train < 1 ? 1 : train > n - 1 ? n - 1 : train;
    return n == 1 ? 1 : train;
}

bool spi_group_classes(const sp_dataset *ds, sp_class_groups *g)
{
    size_t n = ds->info.count, classes = (size_t)ds->info.classes,
           *at = sp_alloc_array(classes + 1, sizeof *at);
    g->samples = sp_alloc_array(n, sizeof *g->samples);
    g->first = sp_alloc_array(classes + 1, sizeof *g->first);
    if (at && g->samples && g->first) {
        for (size_t i = 0; i < n; i++)
            g->first[ds->label(ds, i) + 1]++;
        for (size_t k = 0; k < classes; k++)
            at[k + 1] = g->first[k + 1] += g->first[k];
        for (size_t i = 0; i < n; i++)
            g->samples[at[ds->label(ds, i)]++] = (uint32_t)i;
    }
    bool ok = at && g->samples && g->first;
    sp_free(at);
    return ok;
}

void spi_groups_free(sp_class_groups *g)
{
    sp_free(g->samples);
    sp_free(g->first);
}

/* Puts the part into index; returns how many there are. */
static size_t choose(const sp_dataset_options *o, sp_class_groups *g, size_t classes, uint32_t *index)
{
    size_t n = 0, before;
    size_t rank = 0, single = 0;
    for (size_t k = 0; k < classes; k++) {
        sp_rng r = sp_rng_make(o->split_seed, STREAM_SPLIT + k);
        size_t count = g->first[k + 1] - g->first[k];
        sp_rng_shuffle(&r, g->samples + g->first[k], count);
        single += count == 1;
    }
    do {
        before = n;
        for (size_t k = 0; k < classes; k++) {
            size_t count = g->first[k + 1] - g->first[k], train = share_of(o->split, count);
            size_t from = o->train ? 0 : train, to = o->train ? train : count;
            if (from + rank < to)
                index[n++] = g->samples[g->first[k] + from + rank];
        }
        rank++;
    } while (n > before);
    if (single && o->train)
        sp_log(SP_LOG_WARNING, "data set \"%s\": %zu classes have one sample, which trains: none tests them",
               o->name, single);
    return n;
}

sp_status sp_subset_wrap(const sp_dataset_options *o, sp_dataset **ds, sp_error *err)
{
    sp_dataset *inner = *ds, *outer = sp_alloc(sizeof *outer);
    subset *s = sp_alloc(sizeof *s);
    sp_class_groups g = {0};
    sp_status st = SP_OK;
    if (inner->info.count > UINT32_MAX || !outer || !s || !spi_group_classes(inner, &g) ||
        !(s->index = sp_alloc_array(inner->info.count, sizeof *s->index)))
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "data set \"%s\": no memory to divide %zu samples", o->name,
                            inner->info.count));
    s->inner = inner;
    outer->info = inner->info;
    outer->info.split = o->split;
    outer->info.split_seed = o->split_seed;
    outer->info.count = choose(o, &g, (size_t)inner->info.classes, s->index);
    if (outer->info.count == 0)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_DATA, "data set \"%s\": with data.split %g no sample is left to %s",
                            o->name, o->split, o->train ? "train" : "test"));
    outer->get = subset_get;
    outer->label = subset_label;
    outer->target = subset_target;
    outer->source = subset_source;
    outer->close = subset_close;
    outer->state = s;
    outer->class_names = inner->class_names;
    inner->class_names = NULL;
    *ds = outer;
done:
    if (st != SP_OK) {
        if (s)
            sp_free(s->index);
        sp_free(s);
        sp_free(outer);
    }
    spi_groups_free(&g);
    return st;
}
