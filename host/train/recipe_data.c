/* The "data" section of a recipe: which data set, how much of it, normalisation, augmentation, sizes. */
#include "train/recipe_data.h"

#include <string.h>

#include "base/error.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const int64_t most = 1000000000;
/* In the order of sp_augment, which is that of doing. */
static const char *const augment_names[] = {"resized_crop", "crop", "cutout", "flip", "roll"};
static const double augment_usual[] = {0.08, 4, 0.5, 0.5, 5}, augment_most[] = {1, 4096, 1, 1, 4096};

static void set_augment(sp_augment *a, size_t which, double value)
{
    switch (which) {
    case 0: a->resized_crop = value; break;
    case 1: a->crop = (int)value; break;
    case 2: a->cutout = value; break;
    case 3: a->flip = value; break;
    default: a->roll = (int)value; break;
    }
}

static sp_status find_augment(const sp_yaml *at, const char *name, size_t *which, sp_error *err)
{
    for (*which = 0; *which < COUNT(augment_names); ++*which)
        if (strcmp(name, augment_names[*which]) == 0)
            return SP_OK;
    return sp_yaml_fail(at, err,
                        "unknown augmentation \"%s\"; there are: resized_crop, crop, cutout, flip, roll",
                        name);
}

/* A number, or true for the usual one. */
static sp_status read_strength(const sp_yaml *v, size_t which, sp_augment *a, sp_error *err)
{
    bool whole = which == 1 || which == 4,
         is_number = v->kind == SP_YAML_INT || (v->kind == SP_YAML_FLOAT && !whole);
    if (v->kind == SP_YAML_BOOL)
        set_augment(a, which, v->integer ? augment_usual[which] : 0);
    else if (is_number && v->number >= 0 && v->number <= augment_most[which])
        set_augment(a, which, v->number);
    else
        return sp_yaml_fail(v, err, "\"%s\" must be true, or %s of 0 to %g", augment_names[which],
                            whole ? "a whole number of pixels" : "a number", augment_most[which]);
    return SP_OK;
}

static sp_status read_augment(const sp_yaml *data, sp_augment *a, sp_error *err)
{
    const sp_yaml *v = sp_yaml_get(data, "augment");
    size_t which;
    if (!v || v->kind == SP_YAML_NULL)
        return SP_OK;
    if (v->kind != SP_YAML_LIST && v->kind != SP_YAML_MAP)
        return sp_yaml_fail(v, err,
                            "\"augment\" must be a list such as [crop, cutout, flip], or a map such as "
                            "{crop: 4, flip: 0.5}");
    for (size_t i = 0; i < v->n; i++) {
        if (v->kind == SP_YAML_MAP) {
            SP_TRY(find_augment(v->items[i], v->keys[i], &which, err));
            SP_TRY(read_strength(v->items[i], which, a, err));
        } else if (v->items[i]->kind == SP_YAML_STRING) {
            SP_TRY(find_augment(v->items[i], v->items[i]->text, &which, err));
            set_augment(a, which, augment_usual[which]);
        } else {
            return sp_yaml_fail(v->items[i], err,
                                "\"augment\" lists names such as flip; numbers go into a map: {flip: 0.5}");
        }
    }
    return SP_OK;
}

/* One number for all channels, or a list with one for each. */
static sp_status read_by_channel(const sp_yaml *data, const char *key, double low, double *all,
                                 double list[SP_MEANS], int *n, sp_error *err)
{
    const sp_yaml *v = sp_yaml_get(data, key);
    if (!v || v->kind != SP_YAML_LIST)
        return sp_yaml_read_float(data, key, low, 1e6, all, err);
    if (v->n < 1 || v->n > SP_MEANS)
        return sp_yaml_fail(v, err, "\"%s\" must be a number, or a list of 1 to %d, one for each channel",
                            key, SP_MEANS);
    for (size_t i = 0; i < v->n; i++) {
        const sp_yaml *x = v->items[i];
        bool is_number = x->kind == SP_YAML_INT || x->kind == SP_YAML_FLOAT;
        if (!is_number || !(x->number >= low && x->number <= 1e6))
            return sp_yaml_fail(x, err, "\"%s\" of a channel must be a number of %g to 1e6", key, low);
        list[i] = x->number;
    }
    *n = (int)v->n;
    return SP_OK;
}

sp_status spi_recipe_read_data(sp_recipe *r, const sp_yaml *m, sp_error *err)
{
    static const char *const known[] = {"name",       "path",    "mean",     "std",    "train_limit",
                                        "test_limit", "classes", "channels", "height", "width",
                                        "count",      "frames",  "augment",  "size",   "resize",
                                        "threads",    "events",  "encode",   "noise"};
    SP_TRY(sp_yaml_check_keys(m, known, COUNT(known), "data", err));
    SP_TRY(sp_yaml_read_string(m, "name", &r->data.name, err));
    SP_TRY(sp_yaml_read_string(m, "path", &r->data.path, err));
    SP_TRY(read_by_channel(m, "mean", -1e6, &r->data.mean, r->data.means, &r->data.n_means, err));
    SP_TRY(read_by_channel(m, "std", 1e-6, &r->data.std, r->data.stds, &r->data.n_stds, err));
    SP_TRY(read_augment(m, &r->data.augment, err));
    SP_TRY(sp_yaml_read_int(m, "size", 1, 4096, &r->data.size, err));
    SP_TRY(sp_yaml_read_int(m, "resize", 1, 4096, &r->data.resize, err));
    SP_TRY(sp_yaml_read_int(m, "threads", 0, 64, &r->data.threads, err));
    SP_TRY(sp_yaml_read_int(m, "train_limit", 0, most, &r->data.train_limit, err));
    SP_TRY(sp_yaml_read_int(m, "test_limit", 0, most, &r->data.test_limit, err));
    SP_TRY(sp_yaml_read_int(m, "classes", 2, 100000, &r->data.classes, err));
    SP_TRY(sp_yaml_read_int(m, "channels", 1, 4096, &r->data.channels, err));
    SP_TRY(sp_yaml_read_int(m, "height", 1, 4096, &r->data.height, err));
    SP_TRY(sp_yaml_read_int(m, "width", 1, 4096, &r->data.width, err));
    SP_TRY(sp_yaml_read_int(m, "count", 1, most, &r->data.count, err));
    SP_TRY(sp_yaml_read_int(m, "frames", 0, 4096, &r->data.frames, err));
    SP_TRY(sp_yaml_read_bool(m, "noise", &r->data.noise, err));
    if (!r->data.name)
        return sp_yaml_fail(m, err, "\"data\" needs a \"name\"");
    if (!r->data.classes && strcmp(r->data.name, "synthetic") == 0)
        r->data.classes = 10; /* of other sets 0: the files tell */
    return spi_recipe_read_events(r, m, err);
}

static void print_by_channel(const char *key, double all, const double *list, int n, sp_text *t)
{
    if (n == 0) {
        sp_text_add(t, "  %s: %.17g\n", key, all);
        return;
    }
    sp_text_add(t, "  %s: [", key);
    for (int i = 0; i < n; i++)
        sp_text_add(t, "%s%.17g", i ? ", " : "", list[i]);
    sp_text_add(t, "]\n");
}

void spi_recipe_print_data(const sp_recipe *r, sp_text *t)
{
    const sp_augment *a = &r->data.augment;
    print_by_channel("mean", r->data.mean, r->data.means, r->data.n_means, t);
    print_by_channel("std", r->data.std, r->data.stds, r->data.n_stds, t);
    sp_text_add(t, "  augment: {resized_crop: %.17g, crop: %d, cutout: %.17g, flip: %.17g, roll: %d}\n",
                a->resized_crop, a->crop, a->cutout, a->flip, a->roll);
    if (r->data.size)
        sp_text_add(t, "  size: %lld\n", (long long)r->data.size);
    if (r->data.resize)
        sp_text_add(t, "  resize: %lld\n", (long long)r->data.resize);
    sp_text_add(t, "  threads: %lld\n  train_limit: %lld\n  test_limit: %lld\n", (long long)r->data.threads,
                (long long)r->data.train_limit, (long long)r->data.test_limit);
    if (strcmp(r->data.name, "synthetic") == 0)
        sp_text_add(t,
                    "  classes: %lld\n  channels: %lld\n  height: %lld\n  width: %lld\n  count: %lld\n  "
                    "frames: %lld\n  noise: %s\n",
                    (long long)r->data.classes, (long long)r->data.channels, (long long)r->data.height,
                    (long long)r->data.width, (long long)r->data.count, (long long)r->data.frames,
                    r->data.noise ? "true" : "false");
    else if (r->data.classes)
        sp_text_add(t, "  classes: %lld\n", (long long)r->data.classes);
    spi_recipe_print_events(r, t);
}
