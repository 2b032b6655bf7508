/* IDX files: good ones in every spelling, and every kind of damage with the file and byte that the message
 * must name. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include "base/mem.h"
#include "data/dataset.h"

static char folder[512];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s/idx-XXXXXX", SP_TEST_BINARY_DIR);
    cr_assert_not_null(mkdtemp(folder));
}

static const char *in_folder(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void remove_folder(void)
{
    static const char *const names[] = {"train-images-idx3-ubyte",    "train-labels-idx1-ubyte",
                                        "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                                        "train-images.idx3-ubyte",    "train-labels.idx1-ubyte"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(in_folder(names[i]));
    rmdir(folder);
}

static void write_plain(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(in_folder(name), "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    cr_assert_eq(fclose(f), 0);
}

static void write_packed(const char *name, const void *bytes, size_t n)
{
    gzFile f = gzopen(in_folder(name), "wb");
    cr_assert_not_null(f);
    cr_assert_eq(gzwrite(f, bytes, (unsigned)n), (int)n);
    cr_assert_eq(gzclose(f), Z_OK);
}

/* 3 images of 2 x 4: pixel k is k * 10; labels 7 0 9. */
enum { IMAGE_BYTES = 16 + 24, LABEL_BYTES = 8 + 3 };
static const uint8_t image_head[16] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 4};
static const uint8_t label_file[LABEL_BYTES] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9};

static void good_images(uint8_t bytes[IMAGE_BYTES])
{
    memcpy(bytes, image_head, 16);
    for (int k = 0; k < 24; k++)
        bytes[16 + k] = (uint8_t)(k * 10);
}

static sp_status open_folder(const char *name, sp_dataset **ds, sp_error *err)
{
    sp_dataset_options o = {.name = name, .path = folder, .train = 1};
    memset(err, 0, sizeof *err);
    *ds = NULL;
    return sp_dataset_open(&o, ds, err);
}

/* EMNIST's form: names with a prefix, "test", labels from 1 on, images column by column. */
Test(idx, prefix_transpose_and_first_label)
{
    static const uint8_t labels[LABEL_BYTES] = {0, 0, 8, 1, 0, 0, 0, 3, 1, 26, 2};
    static const char *const names[] = {"emnist-letters-train-images-idx3-ubyte.gz",
                                        "emnist-letters-train-labels-idx1-ubyte.gz",
                                        "emnist-letters-test-images-idx3-ubyte.gz",
                                        "emnist-letters-test-labels-idx1-ubyte.gz"};
    sp_dataset_options o = {.name = "idx", .prefix = "emnist-letters-", .transpose = true, .first_label = 1};
    uint8_t images[IMAGE_BYTES];
    sp_dataset *ds = NULL;
    sp_error err = {0};
    make_folder();
    good_images(images);
    for (int k = 0; k < 4; k++)
        write_packed(names[k], k % 2 ? labels : images, k % 2 ? LABEL_BYTES : IMAGE_BYTES);
    o.path = folder;
    for (o.train = 0; o.train < 2; o.train++) {
        float x[8];
        int32_t label;
        cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
        cr_assert(ds->info.classes == 26 && ds->info.height == 4 && ds->info.width == 2);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 1}, x, &label, &err), SP_OK);
        cr_assert_eq(label, 25);
        for (int y = 0; y < 4; y++) /* stored are 2 lines of 4 pixels, which are the columns */
            for (int c = 0; c < 2; c++)
                cr_assert_eq(x[y * 2 + c], (float)((8 + c * 4 + y) * 10 / 255.0));
        sp_dataset_close(&ds);
    }
    o.first_label = 2;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "label 1 of sample 1 is below data.first_label, 2"), "%s", err.text);
    for (int k = 0; k < 4; k++)
        unlink(in_folder(names[k]));
    remove_folder();
}

Test(idx, reads_every_spelling)
{
    static const char *const names[][2] = {{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
                                           {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"},
                                           {"train-images.idx3-ubyte", "train-labels.idx1-ubyte"}};
    uint8_t images[IMAGE_BYTES];
    good_images(images);
    for (int k = 0; k < 3; k++) {
        sp_dataset_options o = {.name = "idx", .train = 1, .mean = 0.5, .std = 0.25};
        sp_dataset *ds = NULL;
        sp_error err = {0};
        float image[8];
        int32_t label;
        make_folder();
        (k == 1 ? write_packed : write_plain)(names[k][0], images, sizeof images);
        (k == 1 ? write_packed : write_plain)(names[k][1], label_file, sizeof label_file);
        o.path = folder;
        cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
        cr_assert_eq(ds->info.count, 3);
        cr_assert_eq(ds->info.classes, 10);
        cr_assert(ds->info.frames == 0 && ds->info.channels == 1 && ds->info.height == 2 &&
                  ds->info.width == 4);
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(ds->get(ds, (sp_sample_request){.index = (size_t)i}, image, &label, &err), SP_OK);
            cr_assert_eq(label, label_file[8 + i]);
            for (int p = 0; p < 8; p++)
                cr_assert_float_eq(image[p], (float)(((i * 8 + p) * 10 / 255.0 - 0.5) / 0.25), 1e-6);
        }
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 3}, image, &label, &err), SP_E_DATA);
        sp_dataset_close(&ds);
        cr_assert_null(ds);
        remove_folder();
    }
}

typedef struct damage {
    const char *about;
    int of_labels; /* which file is damaged; the other is good */
    size_t n;      /* bytes kept (or added as zeros) */
    int at, value; /* byte changed; -1 none */
    const char *expect[3];
} damage;

static const damage damages[] = {
    {"empty images", 0, 0, -1, 0, {"images-idx3", "empty", "byte 0"}},
    {"empty labels", 1, 0, -1, 0, {"labels-idx1", "empty", "byte 0"}},
    {"header cut", 0, 10, -1, 0, {"images-idx3", "byte 10", "header"}},
    {"data cut", 0, 30, -1, 0, {"images-idx3", "byte 30", "truncated"}},
    {"last label missing", 1, 10, -1, 0, {"labels-idx1", "byte 10", "1 bytes short"}},
    {"a byte too many", 0, 41, -1, 0, {"images-idx3", "byte 40", "goes on"}},
    {"wrong magic", 0, 40, 3, 1, {"images-idx3", "byte 0", "0x00000801"}},
    {"wrong type", 0, 40, 2, 0x0d, {"images-idx3", "byte 0", "magic"}},
    {"no images", 0, 40, 7, 0, {"images-idx3", "byte 4", "dimension 0 is 0"}},
    {"no columns", 0, 40, 15, 0, {"images-idx3", "byte 12", "dimension 2 is 0"}},
    {"negative size", 0, 40, 8, 0xff, {"images-idx3", "byte 8", "dimension 1"}},
    {"huge size", 0, 40, 8, 0x7f, {"images-idx3", "byte 4", "more than a file of"}},
    {"one image fewer", 0, 32, 7, 2, {"images-idx3", "2 images", "3 labels"}},
    {"one label fewer", 1, 10, 7, 2, {"labels-idx1", "3 images", "2 labels"}},
};

Test(idx, names_file_and_byte_of_damage)
{
    uint8_t images[64] = {0}, labels[64] = {0};
    make_folder();
    for (size_t k = 0; k < sizeof damages / sizeof *damages; k++) {
        for (int packed = 0; packed < 2; packed++) {
            const damage *d = &damages[k];
            void (*write)(const char *, const void *, size_t) = packed ? write_packed : write_plain;
            sp_dataset *ds;
            sp_error err;
            good_images(images);
            memcpy(labels, label_file, LABEL_BYTES);
            if (d->at >= 0)
                (d->of_labels ? labels : images)[d->at] = (uint8_t)d->value;
            write(packed ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte", images,
                  d->of_labels ? IMAGE_BYTES : d->n);
            write(packed ? "train-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte", labels,
                  d->of_labels ? d->n : LABEL_BYTES);
            /* gzip of no bytes and a file of no bytes read alike; a packed "huge size" still exceeds what can
             * unpack */
            cr_assert_eq(open_folder("idx", &ds, &err), SP_E_DATA, "%s", d->about);
            cr_assert_null(ds);
            for (int e = 0; e < 3; e++)
                cr_assert_not_null(strstr(err.text, d->expect[e]), "%s, packed %d: no \"%s\" in \"%s\"",
                                   d->about, packed, d->expect[e], err.text);
        }
        remove_folder();
        make_folder();
    }
    remove_folder();
}

Test(idx, finds_damage_of_the_gzip_stream)
{
    static uint8_t images[16 + 24 * 200], packed[8192];
    size_t n;
    FILE *f;
    make_folder();
    memcpy(images, image_head, 16);
    images[6] = 2, images[7] = 0x58; /* 600 images */
    for (size_t i = 16; i < sizeof images; i++)
        images[i] = (uint8_t)(i * 2654435761u >> 13);
    write_packed("train-images-idx3-ubyte.gz", images, sizeof images);
    write_plain("train-labels-idx1-ubyte", label_file, LABEL_BYTES);
    f = fopen(in_folder("train-images-idx3-ubyte.gz"), "rb");
    n = fread(packed, 1, sizeof packed, f);
    fclose(f);
    cr_assert(n > 1000 && n < sizeof packed);
    for (int k = 0; k < 4; k++) {
        /* cut in the data, cut in the trailer, changed data, changed check sum */
        size_t keep = k == 0 ? n / 2 : k == 1 ? n - 5 : n, flip = k == 2 ? n / 2 : k == 3 ? n - 7 : 0;
        sp_dataset *ds;
        sp_error err;
        packed[flip] ^= flip ? 0x55 : 0;
        write_plain("train-images-idx3-ubyte.gz", packed, keep);
        packed[flip] ^= flip ? 0x55 : 0;
        cr_assert_eq(open_folder("idx", &ds, &err), SP_E_DATA, "case %d", k);
        cr_assert_not_null(strstr(err.text, "train-images-idx3-ubyte.gz"), "%s", err.text);
        cr_assert_not_null(strstr(err.text, k < 2 ? "truncated" : "damaged"), "case %d: %s", k, err.text);
        cr_assert_not_null(strstr(err.text, "byte "), "%s", err.text);
        cr_assert_null(strstr(err.text, "600 images"),
                       "damage must be found before the counts are compared: %s", err.text);
    }
    remove_folder();
}

Test(idx, checks_labels)
{
    uint8_t images[IMAGE_BYTES], labels[LABEL_BYTES];
    sp_dataset_options o = {.name = "idx", .train = 1, .classes = 8};
    sp_dataset *ds;
    sp_error err;
    make_folder();
    good_images(images);
    memcpy(labels, label_file, LABEL_BYTES);
    labels[9] = 25;
    write_plain("train-images-idx3-ubyte", images, IMAGE_BYTES);
    write_plain("train-labels-idx1-ubyte", labels, LABEL_BYTES);
    /* 25 is a fine label of somebody's own set, but not of a set of ten classes */
    cr_assert_eq(open_folder("idx", &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.classes, 26);
    sp_dataset_close(&ds);
    cr_assert_eq(open_folder("mnist", &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "byte 9: label 25 of sample 2"), "%s", err.text);
    o.path = folder;
    labels[9] = 0;
    write_plain("train-labels-idx1-ubyte", labels, LABEL_BYTES);
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "byte 10: label 9 of sample 3 is not in 0..7"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "data.classes"), "%s", err.text);
    o.classes = 257;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_E_CONFIG);
    o.classes = 40;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.classes, 40);
    sp_dataset_close(&ds);
    remove_folder();
}

/* A class that only one split has is a class of both, or a checkpoint would not fit the other split. */
Test(idx, classes_are_those_of_both_splits)
{
    uint8_t images[IMAGE_BYTES], labels[LABEL_BYTES];
    sp_error err = {0};
    make_folder();
    good_images(images);
    memcpy(labels, label_file, LABEL_BYTES);
    write_plain("train-images-idx3-ubyte", images, IMAGE_BYTES);
    write_plain("train-labels-idx1-ubyte", labels, LABEL_BYTES);
    labels[9] = 12;
    write_plain("t10k-images-idx3-ubyte", images, IMAGE_BYTES);
    write_packed("t10k-labels-idx1-ubyte.gz", labels, LABEL_BYTES);
    for (int train = 0; train < 2; train++) {
        sp_dataset_options o = {.name = "idx", .path = folder, .train = train};
        sp_dataset *ds = NULL;
        cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
        cr_assert_eq(ds->info.classes, 13);
        sp_dataset_close(&ds);
    }
    remove_folder();
}

Test(idx, says_which_file_is_missing)
{
    uint8_t images[IMAGE_BYTES];
    sp_dataset *ds;
    sp_error err;
    make_folder();
    cr_assert_eq(open_folder("idx", &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, folder), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "train-labels-idx1-ubyte"), "%s", err.text);
    write_plain("train-labels-idx1-ubyte", label_file, LABEL_BYTES);
    cr_assert_eq(open_folder("idx", &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "train-images-idx3-ubyte"), "%s", err.text);
    good_images(images);
    write_plain("train-images-idx3-ubyte", images, IMAGE_BYTES);
    unlink(in_folder("train-labels-idx1-ubyte"));
    cr_assert_eq(open_folder("mnist", &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "train-labels-idx1-ubyte"), "%s", err.text);
    remove_folder();
}

/* Plain images stay in their file: one of 40 GB, most of it a hole, opens at once, and a sample is read from
 * its place. */
Test(idx, reads_single_samples_of_a_large_file)
{
    enum { COUNT = 1000000, SIDE = 200 };
    static const uint8_t head[16] = {0, 0, 8, 3, 0, 15, 66, 64, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    static uint8_t labels[8 + COUNT] = {0, 0, 8, 1, 0, 15, 66, 64};
    static float image[SIDE * SIDE];
    const off_t end = 16 + (off_t)COUNT * SIDE * SIDE;
    sp_dataset *ds;
    sp_error err;
    int32_t label;
    make_folder();
    labels[8 + COUNT - 1] = 3;
    write_plain("train-labels-idx1-ubyte", labels, sizeof labels);
    FILE *f = fopen(in_folder("train-images-idx3-ubyte"), "wb");
    cr_assert(f && fwrite(head, 1, sizeof head, f) == sizeof head);
    const bool room = fseeko(f, end - 1, SEEK_SET) == 0 && fputc(255, f) == 255 && fflush(f) == 0;
    cr_assert_eq(fclose(f), 0);
    if (room) { /* else files of this size cannot be made here */
        cr_assert_eq(open_folder("idx", &ds, &err), SP_OK, "%s", err.text);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = COUNT - 1}, image, &label, &err), SP_OK, "%s",
                     err.text);
        cr_assert(label == 3 && image[SIDE * SIDE - 1] == 1.0f && image[SIDE * SIDE - 2] == 0.0f);
        cr_assert_eq(truncate(in_folder("train-images-idx3-ubyte"), end / 2), 0);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = COUNT - 1}, image, &label, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "train-images-idx3-ubyte: ends at byte"), "%s", err.text);
        sp_dataset_close(&ds);
    }
    remove_folder();
}

Test(idx, survives_every_failing_allocation)
{
    uint8_t images[IMAGE_BYTES];
    int64_t k = 0;
    sp_dataset *ds;
    sp_error err;
    sp_status st;
    make_folder();
    good_images(images);
    write_plain("train-images-idx3-ubyte", images, IMAGE_BYTES);
    write_plain("train-labels-idx1-ubyte", label_file, LABEL_BYTES);
    do { /* a search for the test part that fails is no error of the training part */
        sp_mem_fail_at(++k);
        st = open_folder("mnist", &ds, &err);
        sp_mem_fail_at(0);
        cr_assert(st == SP_OK || err.text[0] != '\0');
        cr_assert(st == SP_OK || ds == NULL);
        sp_dataset_close(&ds);
    } while (k < 60);
    cr_assert_eq(st, SP_OK);
    remove_folder();
}
