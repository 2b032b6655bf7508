/* Arrays: headers of .npy files, members of .npz archives, whole data sets of arrays, and every kind of
 * damage. The files of tests/fuzz/seeds were written by NumPy 2.4. */
#include <math.h>
#include "base/log.h"
#include "base/mem.h"
#include "data/array.h"
#include "data/inputs.h"
#include "data/zip.h"
#include "support.h"

#define SEEDS SP_TEST_SOURCE_DIR "/tests/fuzz/seeds"

static char root[1024];

/* A .npy file of version 1 with this dict. */
static void write_npy(const char *name, const char *dict, const void *items, size_t n)
{
    uint8_t bytes[4096];
    size_t length = strlen(dict);
    memcpy(bytes, "\x93NUMPY\1\0", 8);
    bytes[8] = (uint8_t)(length & 255), bytes[9] = (uint8_t)(length >> 8);
    memcpy(bytes + 10, dict, length);
    memcpy(bytes + 10 + length, items, n);
    write_file(root, name, bytes, 10 + length + n);
}

static const char *in_root(const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void expect_floats(const char *path, const char *member, const float *expect, size_t n)
{
    sp_array *a = NULL;
    sp_error err = {0};
    float values[64];
    cr_assert_eq(sp_array_open(path, member, &a, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_array_about(a)->items, (int64_t)n, "%s", path);
    cr_assert_eq(sp_array_floats(a, 0, n, values, &err), SP_OK, "%s", err.text);
    for (size_t i = 0; i < n; i++)
        cr_assert(values[i] == expect[i], "%s: %zu: %g, not %g", path, i, (double)values[i],
                  (double)expect[i]);
    if (n > 1) { /* from the middle on */
        cr_assert_eq(sp_array_floats(a, (int64_t)n - 1, 1, values, &err), SP_OK);
        cr_assert(values[0] == expect[n - 1]);
    }
    sp_array_close(&a);
}

Test(arrays, every_type_of_item)
{
    static const struct {
        const char *descr;
        uint8_t items[16];
        size_t bytes;
        float expect[2];
    } cases[] = {{"|u1", {3, 255}, 2, {3, 255}},
                 {"|i1", {3, 255}, 2, {3, -1}},
                 {"|b1", {0, 1}, 2, {0, 1}},
                 {"<u2", {1, 2, 255, 255}, 4, {513, 65535}},
                 {"<i2", {1, 2, 255, 255}, 4, {513, -1}},
                 {"<i4", {1, 0, 0, 0, 254, 255, 255, 255}, 8, {1, -2}},
                 {"<u4", {0, 0, 0, 128, 1, 0, 0, 0}, 8, {2147483648.0f, 1}},
                 {"<i8", {5, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}, 16, {5, -1}},
                 {"<u8", {0, 0, 0, 0, 0, 0, 0, 128, 1, 0, 0, 0, 0, 0, 0, 0}, 16, {9223372036854775808.0f, 1}},
                 {"<f2", {0x00, 0x3c, 0x00, 0xc1}, 4, {1, -2.5f}},
                 {"<f4", {0, 0, 0xc0, 0x3f, 0, 0, 0x10, 0xc0}, 8, {1.5f, -2.25f}}};
    make_folder(root, sizeof root, "arrays");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dict[128];
        snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (2,), }   \n",
                 cases[i].descr);
        write_npy("a.npy", dict, cases[i].items, cases[i].bytes);
        expect_floats(in_root("a.npy"), NULL, cases[i].expect, 2);
    }
    expect_floats(SEEDS "/npy/f2.npy", NULL,
                  (const float[]){0.5f, -2, 65504, 5.9604645e-8f, INFINITY, 0.33325195f}, 6);
    expect_floats(SEEDS "/zip/stored.npz", "y", (const float[]){1, 0}, 2);
    expect_floats(SEEDS "/zip/deflated.npz", "y", (const float[]){2, 0, 1, 0}, 4);
    remove_folder(root);
}

Test(arrays, a_wrong_file_says_what_is_wrong)
{
    static const struct {
        const char *dict, *expect;
        size_t bytes;
    } cases[] = {{"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }\n", "ascontiguousarray", 8},
                 {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }\n", "type <c8", 8},
                 {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", "type |O", 8},
                 {"{'descr': [('t', '<i8')], 'fortran_order': False, 'shape': (1,), }\n", "records", 8},
                 {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", "truncated", 8},
                 {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", "something follows", 8},
                 {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n",
                  "more bytes than", 8},
                 {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }\n",
                  "8 dimensions", 8},
                 {"{'descr': '<f4', 'fortran_order': False, }\n", "no shape", 8},
                 {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }\n", "no fortran_order", 8},
                 {"{'descr': '<f4', 'shape': (2,), }\n", "no fortran_order", 8},
                 {"{'fortran_order': False, 'shape': (2,), }\n", "no descr", 8},
                 {"nonsense", "not that of an .npy", 8}};
    make_folder(root, sizeof root, "arrays");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_array *a = NULL;
        sp_error err = {0};
        uint64_t items[1] = {0};
        write_npy("a.npy", cases[i].dict, items, cases[i].bytes);
        cr_assert_eq(sp_array_open(in_root("a.npy"), NULL, &a, &err), SP_E_DATA, "case %zu", i);
        cr_assert(strstr(err.text, cases[i].expect) && strstr(err.text, "a.npy: "), "case %zu: %s", i,
                  err.text);
        cr_assert_null(a);
    }
    sp_array *a = NULL;
    sp_error err = {0};
    write_file(root, "a.npy", "PK", 2);
    cr_assert_eq(sp_array_open(in_root("a.npy"), NULL, &a, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "cut off"), "%s", err.text);
    cr_assert_eq(sp_array_open(SEEDS "/zip/stored.npz", "labels", &a, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "no array \"labels\"; it has x, y"), "%s", err.text);
    remove_folder(root);
}

/* ---- archives ---- */

/* Opens the archive and reads all of its members. */
static sp_status read_archive(void *ctx, const uint8_t *bytes, size_t n, sp_error *err)
{
    sp_zip z = {.file = -1};
    sp_status st;
    (void)ctx;
    write_file(root, "a.npz", bytes, n);
    st = sp_zip_open(in_root("a.npz"), &z, err);
    for (size_t i = 0; st == SP_OK && i < z.n; i++) {
        uint8_t *content = NULL;
        uint64_t at;
        st = sp_zip_read(&z, &z.members[i], &content, err);
        sp_free(content);
        if (st == SP_OK && z.members[i].method == 0)
            st = sp_zip_locate(&z, &z.members[i], &at, err);
    }
    sp_zip_close(&z);
    return st;
}

Test(arrays, damaged_archives)
{
    static const char *const files[] = {SEEDS "/zip/stored.npz", SEEDS "/zip/deflated.npz"};
    make_folder(root, sizeof root, "zip");
    for (int i = 0; i < 2; i++) {
        size_t n;
        uint8_t *bytes = read_whole(files[i], &n);
        sp_error err = {0};
        cr_assert_not_null(bytes, "%s", files[i]);
        cr_assert_eq(read_archive(NULL, bytes, n, &err), SP_OK, "%s", err.text);
        damage(read_archive, NULL, bytes, n, 150, 300, 50);
        bytes[i ? 70 : 200] ^= 1; /* a byte of an array */
        cr_assert_eq(read_archive(NULL, bytes, n, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "a.npz: byte "), "%s", err.text);
        free(bytes);
    }
    remove_folder(root);
}

/* ---- data sets ---- */

static sp_dataset_options array_options(int train)
{
    return (sp_dataset_options){.name = "arrays", .path = root, .train = train, .std = 1.0};
}

/* What is wrong with an archive is not hidden behind "no training split". */
Test(arrays, a_damaged_archive_is_no_missing_split)
{
    enum { FLAGS = 8, METHOD = 10, BYTES = 24, NAME = 46 }; /* in the first entry of the directory */
    static const struct {
        size_t at, n;
        const char *edit, *expect;
    } cases[] = {{FLAGS, 1, "\1", "member x.npy is encrypted"},
                 {METHOD, 1, "\14", "member x.npy has compression 12"},
                 {BYTES, 4, "\376\377\377\377", "the sizes of member x.npy are not possible"},
                 {NAME, 5, "x.np\0", "zero byte"},
                 {NAME, 1, "y", "a second member y.npy"},
                 {NAME, 1, "z", "no array \"x_train\"; it has z, y"},
                 {0, 0, "", "no directory at the end"}, /* cut off */
                 {1, 0, "", "too short for a zip archive"}};
    size_t n = 0;
    uint8_t *bytes = read_whole(SEEDS "/zip/stored.npz", &n), *copy = malloc(n), *entry;
    sp_dataset_options o = array_options(1);
    make_folder(root, sizeof root, "arrays");
    o.path = in_root("a.npz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_dataset *ds;
        sp_error err;
        memcpy(copy, bytes, n);
        entry = copy + (bytes[n - 6] | bytes[n - 5] << 8); /* where the directory begins */
        cr_assert(memcmp(entry + NAME, "x.npy", 5) == 0);
        memcpy(entry + cases[i].at, cases[i].edit, cases[i].n);
        write_file(root, "a.npz", copy, cases[i].n ? n : cases[i].at ? 0 : n / 2);
        cr_assert_eq(open_set(o, &ds, &err), SP_E_DATA, "case %zu", i);
        cr_assert(strstr(err.text, cases[i].expect) && strstr(err.text, "a.npz: "), "case %zu: %s", i,
                  err.text);
    }
    free(bytes), free(copy);
    remove_folder(root);
}

/* Four images of 2 x 3 pixels with 2 channels, value = 24 n + 12 c + 3 y + x, in two orders. */
static void write_images(const char *name, bool channels_first)
{
    uint8_t items[48];
    size_t k = 0;
    for (int n = 0; n < 4; n++)
        for (int i = 0; i < 12; i++) {
            int c = channels_first ? i / 6 : i % 2, at = channels_first ? i % 6 : i / 2;
            items[k++] = (uint8_t)(24 * n + 12 * c + at);
        }
    write_npy(name,
              channels_first ? "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 2, 2, 3), }\n"
                             : "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 2, 3, 2), }\n",
              items, sizeof items);
}

static void write_labels(const char *name, const char *labels)
{
    char dict[128];
    snprintf(dict, sizeof dict, "{'descr': '|u1', 'fortran_order': False, 'shape': (%zu,), }\n",
             strlen(labels));
    char bytes[64];
    for (size_t i = 0; i <= strlen(labels); i++)
        bytes[i] = (char)(labels[i] - '0');
    write_npy(name, dict, bytes, strlen(labels));
}

Test(arrays, both_orders_of_axes_are_the_same_samples)
{
    make_folder(root, sizeof root, "arrays");
    write_labels("y_train.npy", "0120");
    write_labels("y_test.npy", "2011");
    for (int first = 0; first < 2; first++) {
        sp_dataset *ds;
        sp_error err;
        sp_dataset_options o = array_options(1);
        write_images("x_train.npy", first);
        write_images("x_test.npy", first);
        cr_assert_eq(open_set(o, &ds, &err), SP_E_CONFIG);
        cr_assert_not_null(strstr(err.text, "data.arrays.axes"), "%s", err.text);
        o.arrays.axes = first ? SP_AXES_NCHW : SP_AXES_NHWC;
        for (o.train = 0; o.train < 2; o.train++) {
            cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
            cr_assert(ds->info.count == 4 && ds->info.classes == 3 && ds->info.channels == 2 &&
                      ds->info.height == 2 && ds->info.width == 3 && ds->info.frames == 0);
            for (size_t i = 0; i < 4; i++) {
                float x[12];
                int32_t label;
                cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, x, &label, &err), SP_OK);
                cr_assert_eq(label, (o.train ? "0120" : "2011")[i] - '0');
                for (int k = 0; k < 12; k++)
                    cr_assert_eq(x[k], (float)((24 * (int)i + 12 * (k % 2) + k / 2) / 255.0));
            }
            sp_dataset_close(&ds);
        }
    }
    remove_folder(root);
}

Test(arrays, signals_are_pictures_of_height_one)
{
    static const int axes[] = {SP_AXES_NCL, SP_AXES_NLC};
    static const char *const shapes[] = {"(2, 2, 3)", "(2, 3, 2)"};
    float items[12], x[6];
    make_folder(root, sizeof root, "arrays");
    for (int i = 0; i < 12; i++)
        items[i] = (float)i;
    write_labels("y.npy", "01");
    for (int k = 0; k < 2; k++) {
        sp_dataset *ds;
        sp_error err;
        char dict[128];
        int32_t label;
        sp_dataset_options o = array_options(1);
        snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }\n", shapes[k]);
        write_npy("x.npy", dict, items, sizeof items);
        o.split = 0.5, o.arrays.axes = axes[k];
        cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
        cr_assert(ds->info.channels == 2 && ds->info.height == 1 && ds->info.width == 3 &&
                  ds->info.frames == 0);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 1}, x, &label, &err), SP_OK);
        for (int i = 0; i < 6; i++) /* [w][c] */
            cr_assert_eq(x[i], (float)(6 + (k ? i : i % 2 * 3 + i / 2)));
        sp_dataset_close(&ds);
    }
    remove_folder(root);
}

Test(arrays, frames_come_time_first)
{
    sp_dataset *ds;
    sp_error err;
    sp_dataset_options o = array_options(1);
    float items[2 * 3 * 2 * 1 * 2], x[12]; /* N, T, C, H, W */
    int32_t label;
    make_folder(root, sizeof root, "arrays");
    for (int i = 0; i < 24; i++)
        items[i] = (float)i;
    write_npy("x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 2, 1, 2), }\n", items,
              sizeof items);
    write_labels("y.npy", "01");
    o.split = 0.5; /* one sample of each class: both train */
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert(ds->info.count == 2 && ds->info.frames == 3 && ds->info.channels == 2 && ds->info.width == 2);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 1}, x, &label, &err), SP_OK);
    for (int t = 0; t < 3; t++)
        for (int w = 0; w < 2; w++)
            for (int c = 0; c < 2; c++)
                cr_assert_eq(x[(t * 2 + w) * 2 + c], (float)(12 + 4 * t + 2 * c + w),
                             "values are as they are");
    sp_dataset_close(&ds);
    o.train = 0;
    cr_assert_eq(open_set(o, &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "no sample is left to test"), "%s", err.text);
    remove_folder(root);
}

Test(arrays, a_number_that_is_not_finite_names_its_sample)
{
    sp_dataset *ds;
    sp_error err;
    const float items[4] = {0, 1, 2, INFINITY};
    float x[2];
    int32_t label;
    make_folder(root, sizeof root, "arrays");
    write_npy("x_train.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", items,
              sizeof items);
    write_npy("x_test.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", items,
              sizeof items);
    write_labels("y_train.npy", "01");
    write_labels("y_test.npy", "01");
    cr_assert_eq(open_set(array_options(1), &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, x, &label, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 1}, x, &label, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "x_train.npy: sample 1: item 1 is infinite"), "%s", err.text);
    sp_dataset_close(&ds);
    remove_folder(root);
}

Test(arrays, what_does_not_fit_is_said)
{
    static const struct {
        sp_array_options arrays;
        const char *labels, *expect;
        int classes;
    } cases[] = {{{.axes = SP_AXES_NTCHW}, "0101", "does not fit", 0},
                 {{.axes = SP_AXES_NCHW}, "010", "not of one set", 0},
                 {{.axes = SP_AXES_NCHW, .inputs = "pictures"}, "0101", "pictures.npy", 0},
                 {{.axes = SP_AXES_NCHW, .labels = "truth"}, "0101", "truth.npy", 0},
                 {{.axes = SP_AXES_NCHW, .test_labels = "truth"}, "0101", "no test inputs", 0},
                 {{.axes = SP_AXES_NCHW}, "0201", "3 classes, but data.classes is 2", 2}};
    make_folder(root, sizeof root, "arrays");
    write_images("x.npy", true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_dataset_options o = array_options(1);
        sp_dataset *ds;
        sp_error err;
        write_labels("y.npy", cases[i].labels);
        o.arrays = cases[i].arrays;
        o.classes = cases[i].classes;
        cr_assert_neq(open_set(o, &ds, &err), SP_OK, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].expect), "case %zu: %s", i, err.text);
    }
    remove_folder(root);
}

/* ---- parts of a set that is not divided ---- */

Test(arrays, a_split_is_stratified_seeded_and_complete)
{
    char labels[41] = "0000000000000000000000000000001111111111";
    sp_dataset *parts[2], *other;
    sp_dataset_options o = array_options(1);
    uint8_t items[40];
    int seen[40] = {0}, moved = 0;
    sp_error err;
    make_folder(root, sizeof root, "arrays");
    for (int i = 0; i < 40; i++)
        items[i] = (uint8_t)i;
    write_npy("x.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (40, 1), }\n", items, sizeof items);
    write_labels("y.npy", labels);
    o.split = 0.8;
    o.seed = 77; /* has no influence */
    for (o.train = 0; o.train < 2; o.train++) {
        sp_text source = {0};
        cr_assert_eq(open_set(o, &parts[o.train], &err), SP_OK, "%s", err.text);
        cr_assert_eq(parts[o.train]->info.count, o.train ? 32 : 8);
        cr_assert_float_eq(parts[o.train]->info.split, 0.8, 0);
        sp_dataset_source(parts[o.train], 0, &source);
        cr_assert_not_null(strstr(source.s, "x.npy["), "%s", source.s);
        sp_text_free(&source);
    }
    for (int p = 0; p < 2; p++)
        for (size_t i = 0; i < parts[p]->info.count; i++) {
            int32_t label;
            float x;
            cr_assert_eq(parts[p]->get(parts[p], (sp_sample_request){.index = i}, &x, &label, &err), SP_OK);
            int at = (int)lroundf(x * 255.0f);
            cr_assert_eq(label, labels[at] - '0');
            cr_assert_eq(label, parts[p]->label(parts[p], i));
            seen[at]++;
            if (i < 4)
                cr_assert_eq(label, (int32_t)(i % 2), "any beginning is balanced");
        }
    for (int i = 0; i < 40; i++)
        cr_assert_eq(seen[i], 1, "sample %d", i);
    o.train = 1, o.seed = 1, o.split_seed = 5;
    cr_assert_eq(open_set(o, &other, &err), SP_OK);
    for (size_t i = 0; i < 32; i++) {
        int32_t label;
        float a, b;
        parts[1]->get(parts[1], (sp_sample_request){.index = i}, &a, &label, &err);
        other->get(other, (sp_sample_request){.index = i}, &b, &label, &err);
        moved += a != b;
    }
    cr_assert(moved > 16, "another split_seed divides otherwise");
    sp_dataset_close(&other);
    sp_dataset_close(&parts[0]);
    sp_dataset_close(&parts[1]);
    o.split = 1.0;
    cr_assert_eq(open_set(o, &other, &err), SP_E_CONFIG);
    cr_assert_eq(open_set((sp_dataset_options){.name = "mnist", .split = 0.5}, &other, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "split of its own"), "%s", err.text);
    remove_folder(root);
}

/* What is predicted is what was trained on: bytes scaled, mean and std, order of axes; one sample or several.
 */
Test(arrays, files_without_labels_are_the_same_samples)
{
    sp_dataset_options o = array_options(0);
    sp_inputs in;
    sp_dataset *ds;
    sp_error err;
    uint8_t one[12];
    char paths[2][1100];
    const char *const list[] = {paths[0], paths[1]};
    make_folder(root, sizeof root, "arrays");
    write_images("x.npy", true);
    write_labels("y.npy", "0110");
    for (int k = 0; k < 12; k++)
        one[k] = (uint8_t)(24 + 12 * (k / 6) + k % 6); /* sample 1 */
    write_npy("one.npy", "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 3), }\n", one, sizeof one);
    o.train = 1, o.split = 0.5, o.arrays.axes = SP_AXES_NCHW, o.mean = 0.25, o.std = 0.5;
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    snprintf(paths[0], sizeof paths[0], "%s/x.npy", root);
    snprintf(paths[1], sizeof paths[1], "%s/one.npy", root);
    cr_assert_eq(sp_inputs_open(&o, &ds->info, list, 2, &in, &err), SP_OK, "%s", err.text);
    cr_assert_eq(in.set->info.count, 5);
    for (size_t i = 0; i < 2; i++) {
        float x[12], y[12];
        int32_t label;
        sp_text source = {0};
        sp_dataset_source(ds, i, &source);
        size_t at = (size_t)atoi(strrchr(source.s, '[') + 1);
        sp_text_free(&source);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, x, &label, &err), SP_OK);
        cr_assert_eq(in.set->get(in.set, (sp_sample_request){.index = at}, y, &label, &err), SP_OK, "%s",
                     err.text);
        cr_assert(memcmp(x, y, sizeof x) == 0 && label == -1);
    }
    float x[12], y[12];
    int32_t label;
    cr_assert_eq(in.set->get(in.set, (sp_sample_request){.index = 1}, x, &label, &err), SP_OK);
    cr_assert_eq(in.set->get(in.set, (sp_sample_request){.index = 4}, y, &label, &err), SP_OK, "%s",
                 err.text);
    cr_assert(memcmp(x, y, sizeof x) == 0);
    sp_inputs_close(&in);
    sp_dataset_close(&ds);
    remove_folder(root);
}
