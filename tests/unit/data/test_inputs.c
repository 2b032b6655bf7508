/* Files as inputs: the same numbers as the same samples of a data set, and an error of each file by itself.
 */
#include <math.h>
#include <png.h>

#include "base/mem.h"
#include "config/npy.h"
#include "data/inputs.h"
#include "data/readers.h"
#include "support.h"

static char folder[512];

static void setup(void)
{
    make_folder(folder, sizeof folder, "inputs");
}

static void teardown(void)
{
    remove_folder(folder);
}

TestSuite(inputs, .init = setup, .fini = teardown);

static const char *path_of(const char *name)
{
    static char paths[8][600];
    static int at;
    at = (at + 1) % 8;
    snprintf(paths[at], sizeof paths[at], "%s/%s", folder, name);
    return paths[at];
}

static void write_png(const char *name, int side, bool grey)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .format = grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
    uint8_t *pixels = malloc((size_t)side * (size_t)side * 3);
    for (int i = 0; i < side * side * 3; i++)
        pixels[i] = (uint8_t)(i * 37 + i / side);
    image.width = image.height = (uint32_t)side;
    cr_assert(png_image_write_to_file(&image, path_of(name), 0, pixels, 0, NULL));
    free(pixels);
}

static void write_array(const char *name, const char *dtype, int n_dims, const int64_t *shape,
                        const void *data, size_t bytes)
{
    sp_tensor t = {.n_dims = n_dims, .data = data, .bytes = bytes};
    sp_error err = {0};
    snprintf(t.dtype, sizeof t.dtype, "%s", dtype);
    memcpy(t.shape, shape, (size_t)n_dims * sizeof *shape);
    cr_assert_eq(sp_npy_write(path_of(name), &t, &err), SP_OK, "%s", err.text);
}

static sp_status get(const sp_inputs *in, size_t i, float *x, sp_error *err)
{
    int32_t label = 0;
    sp_status st = in->set->get(in->set, (sp_sample_request){.index = i}, x, &label, err);
    cr_assert_eq(label, -1);
    return st;
}

static sp_inputs open_inputs(const sp_dataset_options *o, const sp_dataset_info *shape,
                             const char *const *paths, size_t n)
{
    sp_inputs in;
    sp_error err = {0};
    cr_assert_eq(sp_inputs_open(o, shape, paths, n, &in, &err), SP_OK, "%s", err.text);
    return in;
}

/* Photos of any size, resized and cropped as the folder's reader does it. */
Test(inputs, pictures_are_read_as_test_data_are)
{
    const char *const split[] = {"train", "train/a", "val", "val/a"};
    for (size_t i = 0; i < sizeof split / sizeof *split; i++)
        cr_assert_eq(mkdir(path_of(split[i]), 0777), 0);
    write_png("train/a/x.png", 40, false);
    write_png("val/a/x.png", 53, false);
    sp_dataset_options o = {.name = "images",
                            .path = folder,
                            .size = 32,
                            .n_means = 3,
                            .n_stds = 3,
                            .means = {0.4, 0.5, 0.6},
                            .stds = {0.2, 0.3, 0.4}};
    sp_dataset *ds;
    sp_error err;
    static float a[3 * 32 * 32], b[3 * 32 * 32];
    int32_t label;
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, a, &label, &err), SP_OK, "%s", err.text);
    const char *paths[] = {path_of("val/a/x.png"), path_of("nothing.png")};
    sp_inputs in = open_inputs(&o, &ds->info, paths, 2);
    cr_assert_eq(in.set->info.count, 2);
    cr_assert_eq(get(&in, 0, b, &err), SP_OK, "%s", err.text);
    cr_assert_eq(memcmp(a, b, sizeof a), 0);
    cr_assert_eq(get(&in, 1, b, &err), SP_E_DATA);
    cr_assert(strstr(err.text, "nothing.png"), "%s", err.text);
    sp_inputs_close(&in);
    sp_dataset_close(&ds);
}

static const uint8_t idx[16 + 2 * 6] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0,
                                        0, 3, 0, 1, 2, 3, 4, 5, 9, 8, 7, 6, 5, 255};

/* One channel: IDX, bytes of an array and a grey picture with the same pixels are the same sample. */
Test(inputs, grey_images_in_every_form)
{
    sp_dataset_options o = {.name = "idx", .mean = 0.3, .std = 0.4};
    const sp_dataset_info shape = {.name = "idx", .classes = 10, .channels = 1, .height = 2, .width = 3};
    float x[6], y[6], z[6];
    sp_error err = {0};
    write_file(folder, "i", idx, sizeof idx);
    write_array("a.npy", "U8", 3, (int64_t[]){2, 2, 3}, idx + 16, 12);
    for (int i = 0; i < 6; i++)
        z[i] = (float)((idx[16 + 6 + i] / 255.0 - 0.3) / 0.4);
    write_array("f.npy", "F32", 2, (int64_t[]){2, 3}, z, sizeof z);
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_GRAY, .width = 3, .height = 2};
    cr_assert(png_image_write_to_file(&image, path_of("p.png"), 0, idx + 16 + 6, 0, NULL));
    const char *paths[] = {path_of("i"), path_of("a.npy"), path_of("p.png"), path_of("f.npy")};
    sp_inputs in = open_inputs(&o, &shape, paths, 4);
    cr_assert_eq(in.set->info.count, 6);
    cr_assert(in.items[3].at == 1 && in.items[3].of == 2 && in.items[4].of == 1);
    cr_assert_eq(get(&in, 1, x, &err), SP_OK, "%s", err.text);
    cr_assert_float_eq(x[5], (1 - 0.3) / 0.4, 1e-6);
    static const size_t same[] = {3, 4, 5};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(get(&in, same[i], y, &err), SP_OK, "%s", err.text);
        cr_assert_eq(memcmp(x, y, sizeof x), 0, "input %zu", same[i]);
    }
    sp_inputs_close(&in);
}

/* Channels and time steps first in files, channels last for the network; what does not fit says what would.
 */
Test(inputs, arrays_of_frames)
{
    sp_dataset_options o = {.name = "synthetic", .time_steps = 2};
    const sp_dataset_info shape = {
        .name = "synthetic", .classes = 4, .frames = 2, .channels = 3, .height = 1, .width = 2};
    float x[24], y[12], bad[12] = {[3] = INFINITY};
    sp_error err = {0};
    for (int i = 0; i < 24; i++)
        x[i] = (float)i;
    write_array("one.npy", "F32", 4, (int64_t[]){2, 3, 1, 2}, x, sizeof x / 2);
    write_array("two.npy", "F32", 5, (int64_t[]){2, 2, 3, 1, 2}, x, sizeof x);
    write_array("thin.npy", "F32", 3, (int64_t[]){2, 3, 2}, x, sizeof x / 2);
    write_array("wrong.npy", "F32", 4, (int64_t[]){2, 1, 2, 3}, x, sizeof x / 2);
    write_array("bad.npy", "F32", 4, (int64_t[]){2, 3, 1, 2}, bad, sizeof bad);
    write_array("none.npy", "F32", 5, (int64_t[]){0, 2, 3, 1, 2}, x, 0);
    write_file(folder, "text", "hello, world", 12);
    const char *paths[] = {path_of("one.npy"), path_of("two.npy"),  path_of("thin.npy"), path_of("wrong.npy"),
                           path_of("bad.npy"), path_of("none.npy"), path_of("text")};
    sp_inputs in = open_inputs(&o, &shape, paths, 7);
    cr_assert_eq(in.set->info.count, 8);
    static const float want[12] = {0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11};
    static const size_t same[] = {0, 1, 3};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(get(&in, same[i], y, &err), SP_OK, "%s", err.text);
        cr_assert_eq(memcmp(want, y, sizeof want), 0, "input %zu", same[i]);
    }
    cr_assert_eq(get(&in, 2, y, &err), SP_OK, "%s", err.text);
    cr_assert_eq(y[0], 12);
    static const char *const wrong[] = {"(2,1,2,3), but a sample is (2,3,1,2)", "not finite", "(0,2,3,1,2)",
                                        "no .npy array"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(get(&in, 4 + i, y, &err), SP_E_DATA);
        cr_assert(strstr(err.text, wrong[i]), "%s", err.text);
    }
    sp_inputs_close(&in);
}

/* A recording of N-MNIST alone: two events of five bytes, x y p t. */
Test(inputs, recordings_of_events)
{
    static const uint8_t events[10] = {3, 4, 0x80, 0, 1, 33, 0, 0, 0, 9};
    sp_dataset_options o = {.name = "n-mnist", .time_steps = 2};
    sp_dataset_info shape;
    sp_error err = {0};
    static float x[2 * 34 * 34 * 2];
    cr_assert(sp_dataset_shape(&o, &shape));
    write_file(folder, "a.bin", events, sizeof events);
    write_file(folder, "cut.bin", events, 7);
    const char *paths[] = {path_of("a.bin"), path_of("cut.bin")};
    sp_inputs in = open_inputs(&o, &shape, paths, 2);
    cr_assert_eq(get(&in, 0, x, &err), SP_OK, "%s", err.text);
    cr_assert_eq(x[(4 * 34 + 3) * 2 + 1], 1);
    cr_assert_eq(x[34 * 34 * 2 + 33 * 2], 1);
    cr_assert_eq(get(&in, 1, x, &err), SP_E_DATA);
    sp_inputs_close(&in);
}
