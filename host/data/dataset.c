/* sp_dataset_open: where the files of a set may be, which part of them is asked for, and what to tell a
 * person when they are not there. The kinds are those of kinds.c, reading a format is the business of the
 * readers (readers.h); checksums that of datasets/verify.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/size.h"
#include "base/scope.h"
#include "base/suggest.h"
#include "data/augment.h"
#include "data/readers.h"

static const int64_t MOST_SAMPLE_BYTES = (int64_t)1 << 34;
#define SYSTEM_FOLDER "/usr/share/datasets"

size_t sp_dataset_names(const char *const **names)
{
    enum { MOST_KINDS = 64 };
    static const char *list[MOST_KINDS]; /* every caller writes the same */
    size_t n = spi_n_kinds < MOST_KINDS ? spi_n_kinds : MOST_KINDS;
    for (size_t i = 0; i < n; i++)
        list[i] = spi_kinds[i].name;
    *names = list;
    return n;
}

bool sp_dataset_takes(const char *name, unsigned what)
{
    const sp_kind *k = spi_kind_find(name);
    return k && (k->takes & what);
}

bool sp_dataset_shape(const sp_dataset_options *o, sp_dataset_info *out)
{
    const sp_kind *k = spi_kind_find(o->name);
    int bin = o->events.bin > 1 ? (int)o->events.bin : 1, height, width;
    if (!k || !k->channels)
        return false;
    height = k->height ? k->height : (int)o->events.sensor[0];
    width = k->width ? k->width : (int)o->events.sensor[1];
    if (!height || !width)
        return false;
    *out = (sp_dataset_info){.classes = k->classes,
                             .channels = k->channels,
                             .height = (height + bin - 1) / bin,
                             .width = (width + bin - 1) / bin};
    strcpy(out->name, k->name);
    if (o->size > 0 && height > 1)
        out->height = out->width = o->size;
    if ((k->takes & SP_TAKES_EVENTS) || o->encoding != SP_ENCODE_NONE)
        out->frames = o->frames ? o->frames : o->time_steps;
    return true;
}

static sp_status unknown_name(const char *name, sp_error *err)
{
    const char *const *names;
    size_t n = sp_dataset_names(&names);
    const char *near = name ? sp_suggest(name, names, n) : NULL;
    sp_text list = {0};
    sp_status st;
    if (near)
        return SP_FAIL(err, SP_E_CONFIG, "unknown data set \"%.64s\"; did you mean \"%s\"?", name, near);
    for (size_t i = 0; i < n; i++)
        sp_text_add(&list, "%s%s", i ? ", " : "", names[i]);
    st = SP_FAIL(err, SP_E_CONFIG, "unknown data set \"%.64s\"; choose one of: %s", name ? name : "",
                 list.s ? list.s : "");
    sp_text_free(&list);
    return st;
}

static sp_status missing(const sp_kind *k, const sp_dataset_options *o, unsigned parts, const char *looked,
                         sp_error *err)
{
    const char *split = o->train ? "training" : "test";
    if (!k->get)
        return SP_FAIL(err, SP_E_DATA, "data set \"%s\": no %s split in %s; the folder must hold %s%s",
                       k->name, split, looked, k->files,
                       parts && (k->takes & SP_TAKES_SPLIT) ? ". To train and test with parts of what is "
                                                              "there, set data.split, such as 0.9"
                                                            : "");
    return SP_FAIL(err, SP_E_DATA,
                   "data set \"%s\": no %s split in %s: its folder holds %s. To get it: %s, then name its "
                   "folder as the data path, or put it at $SPIKEPORT_DATA/%s",
                   k->name, split, looked, k->files, k->get, k->name);
}

static bool present(const sp_kind *k, const char *folder, const sp_dataset_options *o)
{
    return k->parts(k, folder, o) & (o->train ? SP_PART_TRAIN : SP_PART_TEST);
}

/* The first of $SPIKEPORT_DATA/NAME and the system's folder that holds the split. */
static sp_status open_known(const sp_kind *k, const sp_dataset_options *o, sp_dataset *ds, sp_error *err)
{
    const char *env = sp_setting("SPIKEPORT_DATA");
    sp_status st = SP_OK;
    char *places[2] = {NULL, NULL};
    size_t n = 0;
    char *looked = NULL;

    if (env && *env)
        places[n++] = sp_format("%s/%s", env, k->name);
    places[n++] = sp_format("%s/%s", SYSTEM_FOLDER, k->name);
    if (!places[0] || !places[n - 1]) {
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory while looking for data set \"%s\"", k->name);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        if (present(k, places[i], o)) {
            st = k->open(k, places[i], o, ds, err);
            goto done;
        }
    }
    looked = n == 2 ? sp_format("%s or %s", places[0], places[1])
                    : sp_format("%s (SPIKEPORT_DATA is not set)", places[0]);
    st = missing(k, o, 0, looked ? looked : places[0], err);
done:
    sp_free(looked);
    sp_free(places[0]);
    sp_free(places[1]);
    return st;
}

/* A path that was named and has no such split. */
static sp_status missing_at(const sp_kind *k, const sp_dataset_options *o, unsigned parts, sp_error *err)
{
    char near[SP_NEAREST_BYTES];
    if (sp_path_exists(o->path))
        return missing(k, o, parts, o->path, err);
    char *looked = sp_format("%s, which does not exist%s", o->path, sp_path_nearest(o->path, near));
    sp_status st = missing(k, o, 0, looked ? looked : o->path, err);
    sp_free(looked);
    return st;
}

/* A path that was named: either it has the part, or it is divided here, as data.split says. */
static sp_status open_named(const sp_kind *k, sp_dataset_options *o, sp_dataset *ds, sp_error *err)
{
    unsigned parts = k->parts(k, o->path, o), both = SP_PART_TRAIN | SP_PART_TEST;
    if ((parts & both) == both && o->split > 0.0)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": data.split: %s has a split of its own; leave it out", k->name,
                       o->path);
    o->whole = (parts & SP_PART_WHOLE) || (parts && o->split > 0.0);
    if (!o->whole && !(parts & (o->train ? SP_PART_TRAIN : SP_PART_TEST)))
        return missing_at(k, o, parts, err);
    if (o->whole && o->split == 0.0) {
        o->split = 0.9;
        if (o->train)
            sp_log(SP_LOG_INFO,
                   "data set \"%s\": %s is not divided: 90 %% of %s train, the others test "
                   "(data.split and data.split_seed choose otherwise)",
                   k->name, o->path, o->targets ? "all" : "each class");
    }
    return k->open(k, o->path, o, ds, err);
}

/* May fill in o->whole and o->split. */
static sp_status open_reader(const sp_kind *k, sp_dataset_options *o, sp_dataset *ds, sp_error *err)
{
    bool named = o->path && *o->path;
    SP_TRY(sp_events_check(k, o, err));
    SP_TRY(sp_augment_check(k->name, &o->augment, k->augment, err));
    if (!(o->split >= 0.0 && o->split < 1.0))
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": data.split is %g; choose a share above 0 and below 1", k->name,
                       o->split);
    if (o->targets && !(k->takes & SP_TAKES_TARGETS))
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\" has a class for each sample; rows of numbers, which loss.name: mse "
                       "and bce need, come from arrays, or from tables of images or events",
                       k->name);
    if (o->split > 0.0 && !(k->takes & SP_TAKES_SPLIT))
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\" has a split of its own; leave data.split out",
                       k->name);
    if (!k->files)
        return k->open(k, NULL, o, ds, err);
    if (!named && !k->get)
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\" needs a path: the folder with %s", k->name,
                       k->files);
    return named ? open_named(k, o, ds, err) : open_known(k, o, ds, err);
}

/* A path that is not there as it stands may be meant below $SPIKEPORT_DATA. Allocated, or NULL: take it as it
 * stands. */
static char *below_data_folder(const char *path)
{
    const char *env = sp_setting("SPIKEPORT_DATA");
    if (!path || !*path || *path == '/' || !env || !*env || sp_path_exists(path))
        return NULL;
    char *there = sp_format("%s/%s", env, path);
    if (there && sp_path_exists(there))
        return there;
    sp_free(there);
    return NULL;
}

static void add_class(const sp_dataset *ds, int k, int n, sp_text *list)
{
    const char *name = sp_dataset_class(ds, k);
    sp_text_add(list, n ? ", %d" : "%d", k);
    if (name)
        sp_text_add(list, " (%s)", name);
}

/* A network cannot learn a class that no training sample has, and an accuracy says nothing of one without a
 * test sample; most often a file is missing, or a limit is low. */
static sp_status say_missing_classes(const sp_dataset *ds, bool train, sp_error *err)
{
    enum { MOST_NAMED = 20 };
    char *seen = sp_alloc((size_t)ds->info.classes);
    sp_text list = {0};
    int n = 0;
    if (!seen)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", ds->info.name);
    for (size_t i = 0; i < ds->info.count; i++)
        seen[ds->label(ds, i)] = 1;
    for (int k = 0; k < ds->info.classes; k++) {
        if (!seen[k] && n < MOST_NAMED)
            add_class(ds, k, n, &list);
        n += !seen[k];
    }
    if (n)
        sp_log(SP_LOG_WARNING, "data set \"%s\": %d of %d classes have no %s sample: %s%s", ds->info.name, n,
               ds->info.classes, train ? "training" : "test", list.s ? list.s : "",
               n > MOST_NAMED ? " .." : "");
    sp_text_free(&list);
    sp_free(seen);
    return SP_OK;
}

static sp_status check_size(const sp_dataset_info *i, sp_error *err)
{
    int64_t bytes;
    if (SP_SIZE_MUL(&bytes, i->frames ? i->frames : 1, i->height, i->width, i->channels, sizeof(float)) &&
        bytes <= MOST_SAMPLE_BYTES)
        return SP_OK;
    return SP_FAIL(err, SP_E_DATA,
                   "data set \"%s\": a sample of %d frames of %dx%dx%d is too large; samples of up to 2^34 "
                   "bytes are read",
                   i->name, i->frames, i->channels, i->height, i->width);
}

static sp_status open_at(const sp_dataset_options *o, sp_dataset **out, sp_error *err)
{
    sp_dataset_options full = *o, inner;
    const sp_kind *k = spi_kind_find(o->name);
    sp_normal normal;
    sp_dataset *ds;
    sp_status st;

    if (!k)
        return unknown_name(o->name, err);
    if (full.std == 0.0)
        full.std = 1.0;
    SP_TRY(sp_normal_init(&normal, &full, full.n_means > full.n_stds ? full.n_means : full.n_stds, err));
    ds = sp_alloc(sizeof *ds);
    if (!ds)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", k->name);
    inner = full;
    if (full.encoding != SP_ENCODE_NONE)
        inner.frames = 0; /* they are the encoder's */
    bool late = full.train && sp_augment_is_late(&full.augment);
    if (late) {
        inner.mean = 0.0, inner.std = 1.0;
        inner.n_means = inner.n_stds = 0;
    }
    st = open_reader(k, &inner, ds, err);
    if (st != SP_OK) {
        sp_free(ds);
        return st;
    }
    snprintf(ds->info.name, sizeof ds->info.name, "%s", k->name);
    if (inner.whole)
        st = sp_subset_wrap(&inner, &ds, err);
    if (st == SP_OK && late)
        st = sp_augment_wrap(&full, &ds, err);
    if (full.limit > 0 && full.limit < ds->info.count)
        ds->info.count = full.limit;
    if (st == SP_OK)
        st = check_size(&ds->info, err);
    if (st == SP_OK && !ds->info.targets)
        st = say_missing_classes(ds, full.train, err);
    if (st == SP_OK && full.encoding != SP_ENCODE_NONE)
        st = sp_encode_wrap(&full, &ds, err);
    if (st != SP_OK)
        sp_dataset_close(&ds);
    *out = ds;
    return st;
}

sp_status sp_dataset_open(const sp_dataset_options *o, sp_dataset **out, sp_error *err)
{
    sp_dataset_options at = *o;
    char *there = below_data_folder(o->path);
    if (there)
        at.path = there;
    sp_status st = open_at(&at, out, err);
    sp_free(there);
    return st;
}

void sp_dataset_close(sp_dataset **ds)
{
    if (!ds || !*ds)
        return;
    for (int k = 0; (*ds)->class_names && k < (*ds)->info.classes; k++)
        sp_free((*ds)->class_names[k]);
    sp_free((*ds)->class_names);
    if ((*ds)->close)
        (*ds)->close(*ds);
    sp_free(*ds);
    *ds = NULL;
}

void sp_dataset_source(const sp_dataset *ds, size_t index, sp_text *out)
{
    if (ds->source)
        ds->source(ds, index, out);
    else
        sp_text_add(out, "sample %zu", index + 1);
}

void sp_dataset_target_text(const sp_dataset *ds, size_t index, sp_text *out)
{
    float *row = sp_alloc_array((size_t)ds->info.targets, sizeof *row);
    out->failed = out->failed || !row;
    if (row)
        ds->target(ds, index, row);
    for (int k = 0; row && k < ds->info.targets; k++)
        sp_text_add(out, k ? ", %g" : "%g", (double)row[k]);
    sp_free(row);
}

sp_status sp_dataset_fingerprint(const sp_dataset *ds, char **out, sp_error *err)
{
    enum { SAMPLES = 16 }; /* spread over the set */
    const sp_dataset_info *i = &ds->info;
    size_t items = (size_t)(i->frames ? i->frames : 1) * sp_dataset_frame_items(i);
    float *x = sp_alloc_array(items, sizeof *x);
    uint64_t h = SP_HASH_START;
    sp_status st = x ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a sample");
    for (size_t k = 0; k < SAMPLES && st == SP_OK; k++) {
        int32_t label = 0;
        st = ds->get(ds, (sp_sample_request){.index = k * (i->count - 1) / (SAMPLES - 1)}, x, &label, err);
        h = sp_hash(sp_hash(h, x, items * sizeof *x), &label, sizeof label);
    }
    float *row = i->targets ? sp_alloc_array((size_t)i->targets, sizeof *row) : NULL;
    for (size_t k = 0; row && k < i->count; k++) {
        ds->target(ds, k, row);
        h = sp_hash(h, row, (size_t)i->targets * sizeof *row);
    }
    sp_free(row);
    for (int k = 0; ds->class_names && k < i->classes; k++)
        h = sp_hash(h, ds->class_names[k], strlen(ds->class_names[k]) + 1);
    sp_free(x);
    if (st != SP_OK)
        return st;
    *out =
        sp_format("%zu samples of %dx%dx%dx%d in %d %s (%016llx)", i->count, i->frames, i->channels,
                  i->height, i->width, i->classes, i->targets ? "targets" : "classes", (unsigned long long)h);
    return *out ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a fingerprint");
}

int32_t spi_wrapped_label(const sp_dataset *ds, size_t i)
{
    const spi_wrapper *w = ds->state;
    return w->inner->label(w->inner, i);
}

void spi_wrapped_target(const sp_dataset *ds, size_t i, float *out)
{
    const spi_wrapper *w = ds->state;
    w->inner->target(w->inner, i, out);
}

void spi_wrapped_source(const sp_dataset *ds, size_t i, sp_text *out)
{
    const spi_wrapper *w = ds->state;
    sp_dataset_source(w->inner, i, out);
}

void spi_wrapped_close(sp_dataset *ds)
{
    spi_wrapper *w = ds->state;
    sp_dataset_close(&w->inner);
    sp_free(w);
}
