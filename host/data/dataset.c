/* sp_dataset_open: which names exist, where their files may be, and what to tell a person when they are not there.
 * Reading a format is the business of the readers (readers.h); checksums that of datasets/verify.sh. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "data/readers.h"

#define SYSTEM_FOLDER "/usr/share/datasets"

typedef struct known_set {
    const char *name;
    int classes;     /* fixed by the set; 0: from the files */
    const char *get; /* how to get it; NULL: nothing to get */
} known_set;

/* Same names as datasets/index.json (tested). */
static const known_set known_sets[] = {
    {"fashion-mnist", 10, "on Debian and Ubuntu `apt-get install dataset-fashion-mnist`"},
    {"mnist", 10, "run datasets/fetch.sh mnist FOLDER"},
    {"idx", 0, NULL},
    {"synthetic", 0, NULL},
};
enum { N_KNOWN = sizeof(known_sets) / sizeof(known_sets[0]) };
static const char *const known_names[N_KNOWN] = {"fashion-mnist", "mnist", "idx", "synthetic"};

size_t sp_dataset_names(const char *const **names)
{
    *names = known_names;
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

static sp_status unknown_name(const char *name, sp_error *err)
{
    const char *near = name ? sp_suggest(name, known_names, N_KNOWN) : NULL;
    if (near)
        return SP_FAIL(err, SP_E_CONFIG, "unknown data set \"%.64s\"; did you mean \"%s\"?", name, near);
    return SP_FAIL(err, SP_E_CONFIG, "unknown data set \"%.64s\"; choose one of: %s, %s, %s, %s",
                   name ? name : "", known_names[0], known_names[1], known_names[2], known_names[3]);
}

static sp_status missing(const known_set *k, bool train, const char *looked, sp_error *err)
{
    return SP_FAIL(
        err, SP_E_DATA,
        "data set \"%s\": no %s-images-idx3-ubyte or .gz in %s; to get it: %s, then name its folder as the "
        "data path, or put it at $SPIKEPORT_DATA/%s",
        k->name, train ? "train" : "t10k", looked, k->get, k->name);
}

/* The first of $SPIKEPORT_DATA/NAME and the system's folder that holds the split. */
static sp_status open_known(const known_set *k, const sp_dataset_options *o, sp_dataset *ds, sp_error *err)
{
    const char *env = getenv("SPIKEPORT_DATA");
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
        if (sp_idx_present(places[i], o->train)) {
            st = sp_idx_open(places[i], k->classes, o, ds, err);
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

static sp_status open_reader(const known_set *k, const sp_dataset_options *o, sp_dataset *ds, sp_error *err)
{
    bool named = o->path && *o->path;
    if (strcmp(k->name, "synthetic") == 0)
        return sp_synthetic_open(o, ds, err);
    if (!named && !k->get)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\" needs a path: the folder with train-images-idx3-ubyte, "
                       "train-labels-idx1-ubyte and the two t10k files (each may end in .gz)",
                       k->name);
    if (!named)
        return open_known(k, o, ds, err);
    if (k->get && !sp_idx_present(o->path, o->train))
        return missing(k, o->train, o->path, err);
    return sp_idx_open(o->path, k->classes, o, ds, err);
}

sp_status sp_dataset_open(const sp_dataset_options *o, sp_dataset **out, sp_error *err)
{
    sp_dataset_options full = *o;
    const known_set *k = find_set(o->name);
    sp_dataset *ds;
    sp_status st;

    if (!k)
        return unknown_name(o->name, err);
    if (full.std == 0.0)
        full.std = 1.0;
    if (!isfinite(full.mean) || !isfinite(full.std) || full.std < 1e-6)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": mean %g and std %g: both must be finite and std above 1e-6", k->name,
                       full.mean, full.std);
    ds = sp_alloc(sizeof *ds);
    if (!ds)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", k->name);
    st = open_reader(k, &full, ds, err);
    if (st != SP_OK) {
        sp_free(ds);
        return st;
    }
    snprintf(ds->info.name, sizeof ds->info.name, "%s", k->name);
    if (full.limit > 0 && full.limit < ds->info.count)
        ds->info.count = full.limit;
    *out = ds;
    return SP_OK;
}

void sp_dataset_close(sp_dataset **ds)
{
    if (!ds || !*ds)
        return;
    if ((*ds)->close)
        (*ds)->close(*ds);
    sp_free(*ds);
    *ds = NULL;
}
