/* The "data" section of a recipe: which data set, how much of it, normalisation, augmentation, sizes. */
#include "train/recipe_keys.h"

#include <string.h>

#include "base/error.h"
#include "base/number.h"

static sp_status find_augment(const sp_yaml *at, const char *name, size_t *which, sp_error *err)
{
    sp_text names = {0};
    for (*which = 0; *which < sp_n_augmentations; ++*which)
        if (strcmp(name, sp_augmentations[*which].name) == 0)
            return SP_OK;
    for (size_t i = 0; i < sp_n_augmentations; i++)
        sp_text_add(&names, i ? ", %s" : "%s", sp_augmentations[i].name);
    sp_status st =
        sp_yaml_fail(at, err, "unknown augmentation \"%s\"; there are: %s", name, names.s ? names.s : "");
    sp_text_free(&names);
    return st;
}

/* A number, or true for the usual one. */
static sp_status read_strength(const sp_yaml *v, size_t which, sp_augment *a, sp_error *err)
{
    const sp_augmentation *row = &sp_augmentations[which];
    bool is_number = v->kind == SP_YAML_INT || (v->kind == SP_YAML_FLOAT && !row->whole);
    if (v->kind == SP_YAML_BOOL)
        *sp_augment_at(a, which) = v->integer ? row->usual : 0;
    else if (is_number && v->number >= 0 && v->number <= row->most)
        *sp_augment_at(a, which) = v->number;
    else
        return sp_yaml_fail(v, err, "\"%s\" must be true, or %s of 0 to %g", row->name,
                            row->whole ? "a whole number of pixels" : "a number", row->most);
    return SP_OK;
}

static sp_status read_augment(void *r, const sp_yaml *v, sp_error *err)
{
    sp_augment *a = &((sp_recipe *)r)->data.augment;
    size_t which;
    if (v->kind == SP_YAML_NULL)
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
            *sp_augment_at(a, which) = sp_augmentations[which].usual;
        } else {
            return sp_yaml_fail(v->items[i], err,
                                "\"augment\" lists names such as flip; numbers go into a map: {flip: 0.5}");
        }
    }
    return SP_OK;
}

/* One number for all channels, or a list with one for each. */
static sp_status read_by_channel(const sp_yaml *v, const char *key, double low, double *all,
                                 double list[SP_MEANS], int *n, sp_error *err)
{
    if (v->kind != SP_YAML_LIST)
        return sp_yaml_to_float(v, key, low, 1e6, all, err);
    if (v->n < 1 || v->n > SP_MEANS)
        return sp_yaml_fail(v, err, "\"%s\" must be a number, or a list of 1 to %d, one for each channel",
                            key, SP_MEANS);
    for (size_t i = 0; i < v->n; i++) {
        const sp_yaml *x = v->items[i];
        SP_TRY(sp_yaml_to_float(x, key, low, 1e6, &list[i], err));
    }
    *n = (int)v->n;
    return SP_OK;
}

static sp_status read_mean(void *base, const sp_yaml *v, sp_error *err)
{
    sp_recipe *r = base;
    return read_by_channel(v, "mean", -1e6, &r->data.mean, r->data.means, &r->data.n_means, err);
}

static sp_status read_std(void *base, const sp_yaml *v, sp_error *err)
{
    sp_recipe *r = base;
    return read_by_channel(v, "std", 1e-6, &r->data.std, r->data.stds, &r->data.n_stds, err);
}

static void print_by_channel(double all, const double *list, int n, sp_text *t)
{
    if (n == 0)
        sp_text_number(t, all);
    for (int i = 0; i < n; i++) {
        sp_text_add(t, i ? ", " : "[");
        sp_text_number(t, list[i]);
    }
    sp_text_add(t, n ? "]" : "");
}

static void print_mean(const void *base, sp_text *t)
{
    const sp_recipe *r = base;
    print_by_channel(r->data.mean, r->data.means, r->data.n_means, t);
}

static void print_std(const void *base, sp_text *t)
{
    const sp_recipe *r = base;
    print_by_channel(r->data.std, r->data.stds, r->data.n_stds, t);
}

static void print_augment(const void *base, sp_text *t)
{
    sp_augment a = ((const sp_recipe *)base)->data.augment;
    bool any = false;
    sp_text_add(t, "{");
    for (size_t i = 0; i < sp_n_augmentations; i++) {
        double value = *sp_augment_at(&a, i);
        if (value == 0)
            continue;
        sp_text_add(t, "%s%s: ", any ? ", " : "", sp_augmentations[i].name);
        sp_text_number(t, value);
        any = true;
    }
    sp_text_add(t, "}");
}

static bool synthetic(const void *r)
{
    return sp_dataset_takes(((const sp_recipe *)r)->data.name, SP_TAKES_SHAPE);
}
static bool has_files(const void *r)
{
    return !synthetic(r);
}
static bool has_classes(const void *r)
{
    return sp_dataset_takes(((const sp_recipe *)r)->data.name, SP_TAKES_CLASSES);
}
static bool divisible(const void *r)
{
    return sp_dataset_takes(((const sp_recipe *)r)->data.name, SP_TAKES_SPLIT);
}
static bool idx(const void *r)
{
    return sp_dataset_takes(((const sp_recipe *)r)->data.name, SP_TAKES_IDX);
}
static bool arrays(const void *r)
{
    return sp_dataset_takes(((const sp_recipe *)r)->data.name, SP_TAKES_ARRAYS);
}
static bool events(const void *r)
{
    return sp_dataset_takes(((const sp_recipe *)r)->data.name, SP_TAKES_EVENTS);
}
static bool images(const void *r)
{
    return !events(r);
}
static bool has_frames(const void *r)
{
    return synthetic(r) || events(r) || ((const sp_recipe *)r)->data.encoding != SP_ENCODE_NONE;
}

static const sp_field event_rows[] = {
    {SPI_CHOICE("by", data.events.by, SP_EVENT_BY_NAMES), .initial = "default",
     .help = "How a recording is cut into frames."},
    {SPI_CHOICE("orientation", data.events.orientation, SP_ORIENTATION_NAMES), .initial = "default",
     .help = "How AEDAT 2.0 addresses become coordinates."},
    {SPI_CHOICE("resize", data.events.resize, SP_RESIZE_NAMES), .initial = "bilinear",
     .help = "How frames are brought to another size."},
    {SPI_CHOICE("normalise", data.events.normalise, SP_NORMALISE_NAMES), .initial = "none",
     .help = "Counts as they are, or each frame over its largest."},
    {SPI_FLOAT("split", data.events.split, 0, 1), .sequence = true, .initial = "0",
     .help = "Part of each class that trains, where a set has no split; 0: 0.9."},
    {SPI_FLOAT("window", data.events.window, 0, 1e6), .initial = "0",
     .help = "Seconds of a recording that are cut by time; 0: all, and 1.4 for SHD and SSC."},
    {SPI_PAIR("sensor", data.events.sensor, 0, 16384), .sample = "[180, 240]",
     .help = "data.name: events: height and width of the sensor, where the recordings do not say it."},
    {SPI_INT("bin", data.events.bin, 1, 1024), .initial = "1",
     .help = "So many pixels of the sensor, squared, are counted as one."},
    {SPI_CHOICE("unit", data.events.unit, SP_UNIT_NAMES), .initial = "us",
     .help = "data.name: events: the unit of times in .npz and HDF5 files."},
    {SPI_CHOICE("cache", data.events.no_cache, "true", "false"), .initial = "true",
     .help = "Decoded recordings are kept on disk."},
};
static const sp_fields event_fields = SPI_FIELDS("events", events, event_rows);

static const sp_field array_rows[] = {
    {SPI_TEXT("inputs", data.arrays.inputs), .sequence = true,
     .help = "The array of inputs: a name in the file, or of a .npy file in the folder; otherwise usual "
             "names are tried."},
    {SPI_TEXT("labels", data.arrays.labels), .sequence = true,
     .help = "The array of labels, one whole number for each input."},
    {SPI_TEXT("test_inputs", data.arrays.test_inputs), .help = "Inputs for the test; without them data.split "
                                                               "divides the inputs."},
    {SPI_TEXT("test_labels", data.arrays.test_labels), .help = "Labels of test_inputs."},
    {SPI_CHOICE("axes", data.arrays.axes, SP_AXES_NAMES), .initial = "default",
     .help = "What the dimensions of the inputs are; default: NC, NHW or NTCHW, while four have to be told. "
             "L: the length of a signal."},
};
static const sp_fields array_fields = SPI_FIELDS("arrays", arrays, array_rows);

#define SYNTHETIC .applies = synthetic, .needs = "data.name: synthetic"
static const sp_field rows[] = {
    {SPI_TEXT("name", data.name), .sequence = true, .sample = "idx",
     .help = "The data set; datasets/README.md lists them. Required."},
    {SPI_TEXT("path", data.path), .applies = has_files, .needs = "a data set of files",
     .help = "Its folder; otherwise it is looked for in $SPIKEPORT_DATA and "
             "/usr/share/datasets."},
    {SPI_OTHER("mean", read_mean, print_mean, "number, or list of one for each channel"), .initial = "0",
     .sample = "[0.1, 0.3]", .help = "Subtracted from pixel / 255."},
    {SPI_OTHER("std", read_std, print_std, "number, or list of one for each channel"), .initial = "1",
     .sample = "0.3", .help = "Divides pixel / 255 minus mean."},
    {SPI_OTHER("augment", read_augment, print_augment,
               "list or map of `drop`, `time_jitter`, `resized_crop`, `crop`, `cutout`, `flip`, `roll`, "
               "`rotation`, `translate`, `scale`, `shear`, `brightness`, `contrast`, `saturation`, `hue`, "
               "`erase`"),
     .initial = "none", .sample = "{crop: 3, flip: 0.3}", .help = "Random changes of training samples."},
    {SPI_FLOAT("split", data.split, 0, 0.999), .sequence = true, .initial = "0", .applies = divisible,
     .needs = "data.name: images, events, arrays or idx",
     .help = "Share of each class that trains, where a set is not divided; the others test. 0: 0.9, or the "
             "set's own parts."},
    {SPI_INT("split_seed", data.split_seed, 0, 0x7fffffff), .sequence = true, .initial = "0",
     .applies = divisible, .needs = "data.name: images, events, arrays or idx",
     .help = "Which samples train and which test; `seed` does not change it."},
    {SPI_CHOICE("sampling", data.balanced, "uniform", "balanced"), .sequence = true, .initial = "uniform",
     .help = "Training samples of an epoch: each once, or as many of every class, for which those of rare "
             "classes repeat."},
    {SPI_TEXT("prefix", data.prefix), .sequence = true, .applies = idx, .needs = "data.name: idx",
     .help = "What stands in front of the names of the files, such as emnist-letters- (EMNIST)."},
    {SPI_BOOL("transpose", data.transpose), .initial = "false", .applies = idx, .needs = "data.name: idx",
     .help = "Images are stored column by column (EMNIST)."},
    {SPI_INT("first_label", data.first_label, 0, 255), .initial = "0", .sequence = true, .applies = idx,
     .needs = "data.name: idx", .help = "The label of class 0 in the files; 1 for EMNIST letters."},
    {SPI_INT("size", data.size, 1, 4096), .help = "Side of the images or frames; otherwise 224 for photos, "
                                                  "and the sensor's."},
    {SPI_INT("resize", data.resize, 1, 4096), .help = "Photos: the shorter side before the crop; otherwise "
                                                      "8/7 of size."},
    {SPI_INT("threads", data.threads, 0, 64), .initial = "0",
     .help = "Threads that read; 0: the program chooses."},
    {SPI_INT("train_limit", data.train_limit, 0, 1000000000), .sequence = true, .initial = "0",
     .help = "Use the first so many training samples only; 0: all."},
    {SPI_INT("test_limit", data.test_limit, 0, 1000000000), .initial = "0",
     .help = "Use the first so many test samples only; 0: all."},
    {SPI_INT("classes", data.classes, 2, 100000), .sequence = true, .applies = has_classes,
     .needs = "data.name: synthetic, idx or arrays",
     .help = "Classes; otherwise 10 for synthetic, and the labels tell."},
    {SPI_INT("channels", data.channels, 1, 4096), .sequence = true, .initial = "1", SYNTHETIC,
     .help = "Channels of a sample."},
    {SPI_INT("height", data.height, 1, 4096), .sequence = true, .initial = "16", SYNTHETIC,
     .help = "Height of a sample."},
    {SPI_INT("width", data.width, 1, 4096), .sequence = true, .initial = "16", SYNTHETIC,
     .help = "Width of a sample."},
    {SPI_INT("count", data.count, 1, 1000000000), .sequence = true, .initial = "2000", SYNTHETIC,
     .help = "Training samples; a fifth of them are added for the test."},
    {SPI_INT("frames", data.frames, 0, 4096), .initial = "0", .applies = has_frames,
     .needs = "data.name: synthetic, event data, or data.encode",
     .help = "Frames of a sample; 0: time_steps for events and encoded images, and still images for "
             "synthetic."},
    {SPI_BOOL("noise", data.noise), .sequence = true, .initial = "false", SYNTHETIC,
     .help = "Noise without patterns of classes."},
    {SPI_CHOICE("encode", data.encoding, SP_ENCODING_NAMES), .initial = "none", .applies = images,
     .needs = "still images", .help = "Still images as spike trains."},
    {.key = "arrays",
     .kind = SP_FIELD_TABLE,
     .table = &array_fields,
     .applies = arrays,
     .needs = "data.name: arrays"},
    {.key = "events",
     .kind = SP_FIELD_TABLE,
     .table = &event_fields,
     .applies = events,
     .needs = "event data"},
};
const sp_fields spi_recipe_data_fields = SPI_FIELDS("data", data, rows);
