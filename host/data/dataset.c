/* sp_dataset_open: which names exist, where their files may be, and what to tell a person when they are not
 * there. Reading a format is the business of the readers (readers.h); checksums that of datasets/verify.sh.
 */
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
#include "base/scope.h"
#include "base/suggest.h"
#include "data/augment.h"
#include "data/readers.h"

#define SYSTEM_FOLDER "/usr/share/datasets"

typedef struct known_set {
    const char *name;
    sp_dataset_opener open;
    bool (*present)(const char *folder, bool train); /* NULL: sp_events_present, or there are no files */
    int classes;                                     /* fixed by the set; 0: from the files */
    int channels, height, width;                     /* 0: of any shape */
    unsigned augment;                                /* SP_CAN_* of augment.h */
    const char *files; /* what its folder holds; NULL: none, made from the options */
    const char *get;   /* how to get it; NULL: the person's own, found by path only */
} known_set;

#define IDX_FILES                                                                                            \
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, "  \
    "each may end in .gz"
#define CAN_FRAMES (SP_CAN_CROP | SP_CAN_FLIP | SP_CAN_ROLL)

/* Same names as datasets/index.json, but for the bare formats (tested). */
/* clang-format off */
static const known_set known_sets[] = {
    {"fashion-mnist", sp_idx_open, sp_idx_present, 10, 1, 28, 28, SP_CAN_PIXELS, IDX_FILES,
     "on Debian and Ubuntu `apt-get install dataset-fashion-mnist`"},
    {"mnist", sp_idx_open, sp_idx_present, 10, 1, 28, 28, SP_CAN_PIXELS, IDX_FILES,
     "run datasets/fetch.sh mnist FOLDER"},
    {"cifar10", sp_cifar_open, sp_cifar10_present, 10, 3, 32, 32, SP_CAN_PIXELS,
     "data_batch_1.bin to data_batch_5.bin and test_batch.bin", "run datasets/fetch.sh cifar10 FOLDER"},
    {"cifar100", sp_cifar_open, sp_cifar100_present, 100, 3, 32, 32, SP_CAN_PIXELS, "train.bin and test.bin",
     "run datasets/fetch.sh cifar100 FOLDER"},
    {"images", sp_images_open, sp_images_present, 0, 3, 224, 224, SP_CAN_RESIZED_CROP | SP_CAN_PIXELS,
     "train/CLASS/*.jpg or .png and val/CLASS (or test/CLASS)", NULL},
    {"idx", sp_idx_open, sp_idx_present, 0, 0, 0, 0, SP_CAN_PIXELS, IDX_FILES, NULL},
    {"synthetic", sp_synthetic_open, NULL, 0, 0, 0, 0, 0, NULL, NULL},
    {"cifar10-dvs", sp_events_open, NULL, 10, 2, 128, 128, CAN_FRAMES, "airplane/*.aedat to truck/*.aedat",
     "download its ten archives from https://doi.org/10.6084/m9.figshare.4724671 and unpack them into one "
     "folder"},
    {"dvs128-gesture", sp_events_open, NULL, 11, 2, 128, 128, CAN_FRAMES,
     "trials_to_train.txt, trials_to_test.txt and the recordings that they name",
     "download DvsGesture.tar.gz from https://research.ibm.com/interactive/dvsgesture/ and unpack it"},
    {"n-mnist", sp_events_open, NULL, 10, 2, 34, 34, CAN_FRAMES, "Train/0 to Train/9 and Test/0 to Test/9",
     "download Train.zip and Test.zip from https://www.garrickorchard.com/datasets/n-mnist and unpack both "
     "into one folder"},
    {"shd", sp_events_open, NULL, 20, 700, 1, 1, 0, "shd_train.h5 and shd_test.h5",
     "download shd_train.h5.zip and shd_test.h5.zip from https://zenkelab.org/datasets/ and unpack both"},
    {"ssc", sp_events_open, NULL, 35, 700, 1, 1, 0, "ssc_train.h5 and ssc_test.h5",
     "download ssc_train.h5.zip and ssc_test.h5.zip from https://zenkelab.org/datasets/ and unpack both"},
    {"aedat-folder", sp_events_open, NULL, 0, 2, 128, 128, CAN_FRAMES,
     "a folder of .aedat files per class", NULL},
};
/* clang-format on */
enum { N_KNOWN = sizeof(known_sets) / sizeof(known_sets[0]) };

size_t sp_dataset_names(const char *const **names)
{
    static const char *list[N_KNOWN]; /* every caller writes the same */
    for (size_t i = 0; i < N_KNOWN; i++)
        list[i] = known_sets[i].name;
    *names = list;
    return N_KNOWN;
}

static const known_set *find_set(const char *name)
{
    for (size_t i = 0; name && i < N_KNOWN; i++) {
        if (strcmp(known_sets[i].name, name) == 0)
            return &known_sets[i];
    }
    return NULL;
}

bool sp_events_known(const char *name)
{
    const known_set *k = find_set(name);
    return k && k->open == sp_events_open;
}

bool sp_dataset_shape(const sp_dataset_options *o, sp_dataset_info *out)
{
    const known_set *k = find_set(o->name);
    if (!k || !k->channels)
        return false;
    *out = (sp_dataset_info){.classes = k->classes,
                             .channels = k->channels,
                             .height = k->height,
                             .width = k->width};
    strcpy(out->name, k->name);
    if (o->size > 0 && k->height > 1)
        out->height = out->width = o->size;
    if (k->open == sp_events_open || o->encoding != SP_ENCODE_NONE)
        out->frames = o->frames ? o->frames : o->time_steps;
    return true;
}

static bool present(const known_set *k, const char *folder, bool train)
{
    return k->present ? k->present(folder, train) : sp_events_present(k->name, folder, train);
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

static sp_status missing(const known_set *k, bool train, const char *looked, sp_error *err)
{
    if (!k->get)
        return SP_FAIL(err, SP_E_DATA, "data set \"%s\": no %s split in %s; the folder must hold %s", k->name,
                       train ? "training" : "test", looked, k->files);
    return SP_FAIL(err, SP_E_DATA,
                   "data set \"%s\": no %s split in %s: its folder holds %s. To get it: %s, then name its "
                   "folder as "
                   "the data path, or put it at $SPIKEPORT_DATA/%s",
                   k->name, train ? "training" : "test", looked, k->files, k->get, k->name);
}

/* The first of $SPIKEPORT_DATA/NAME and the system's folder that holds the split. */
static sp_status open_known(const known_set *k, const sp_dataset_options *o, sp_dataset *ds, sp_error *err)
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
        if (present(k, places[i], o->train)) {
            st = k->open(places[i], k->classes, o, ds, err);
            goto done;
        }
    }
    looked = n == 2 ? sp_format("%s or %s", places[0], places[1])
                    : sp_format("%s (SPIKEPORT_DATA is not set)", places[0]);
    st = missing(k, o->train, looked ? looked : places[0], err);
done:
    sp_free(looked);
    sp_free(places[0]);
    sp_free(places[1]);
    return st;
}

/* A path that was named and has no such split. */
static sp_status missing_at(const known_set *k, bool train, const char *path, sp_error *err)
{
    char near[SP_NEAREST_BYTES];
    if (sp_path_exists(path))
        return missing(k, train, path, err);
    char *looked = sp_format("%s, which does not exist%s", path, sp_path_nearest(path, near));
    sp_status st = missing(k, train, looked ? looked : path, err);
    sp_free(looked);
    return st;
}

static sp_status open_reader(const known_set *k, const sp_dataset_options *o, sp_dataset *ds, sp_error *err)
{
    bool named = o->path && *o->path;
    SP_TRY(sp_events_check(o, err));
    SP_TRY(sp_augment_check(k->name, &o->augment, k->augment, err));
    if (!k->files)
        return k->open(NULL, k->classes, o, ds, err);
    if (!named && !k->get)
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\" needs a path: the folder with %s", k->name,
                       k->files);
    if (!named)
        return open_known(k, o, ds, err);
    if (!present(k, o->path, o->train))
        return missing_at(k, o->train, o->path, err);
    return k->open(o->path, k->classes, o, ds, err);
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

static sp_status open_at(const sp_dataset_options *o, sp_dataset **out, sp_error *err)
{
    sp_dataset_options full = *o, inner;
    const known_set *k = find_set(o->name);
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
    st = open_reader(k, &inner, ds, err);
    if (st != SP_OK) {
        sp_free(ds);
        return st;
    }
    snprintf(ds->info.name, sizeof ds->info.name, "%s", k->name);
    if (full.limit > 0 && full.limit < ds->info.count)
        ds->info.count = full.limit;
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

sp_status sp_dataset_fingerprint(const sp_dataset *ds, char **out, sp_error *err)
{
    enum { SAMPLES = 16 }; /* spread over the set */
    const sp_dataset_info *i = &ds->info;
    size_t items =
        (size_t)(i->frames ? i->frames : 1) * (size_t)i->height * (size_t)i->width * (size_t)i->channels;
    float *x = sp_alloc_array(items, sizeof *x);
    uint64_t h = SP_HASH_START;
    sp_status st = x ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a sample");
    for (size_t k = 0; k < SAMPLES && st == SP_OK; k++) {
        int32_t label = 0;
        st = ds->get(ds, (sp_sample_request){.index = k * (i->count - 1) / (SAMPLES - 1)}, x, &label, err);
        h = sp_hash(sp_hash(h, x, items * sizeof *x), &label, sizeof label);
    }
    for (int k = 0; ds->class_names && k < i->classes; k++)
        h = sp_hash(h, ds->class_names[k], strlen(ds->class_names[k]) + 1);
    sp_free(x);
    if (st != SP_OK)
        return st;
    *out = sp_format("%zu samples of %dx%dx%dx%d in %d classes (%016llx)", i->count, i->frames, i->channels,
                     i->height, i->width, i->classes, (unsigned long long)h);
    return *out ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a fingerprint");
}
