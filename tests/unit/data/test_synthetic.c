/* The synthetic set: a pure function of its options, learnable, and different between splits. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "data/dataset.h"

static sp_dataset *open_synthetic(sp_dataset_options o)
{
    sp_dataset *ds = NULL;
    sp_error err = {0};
    o.name = "synthetic";
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    return ds;
}

static size_t items(const sp_dataset *ds)
{
    return (size_t)ds->info.channels * (size_t)ds->info.height * (size_t)ds->info.width;
}

Test(synthetic, has_the_shape_asked_for)
{
    sp_dataset *ds = open_synthetic(
        (sp_dataset_options){.classes = 7, .channels = 3, .height = 9, .width = 5, .count = 41});
    cr_assert(ds->info.count == 41 && ds->info.classes == 7 && ds->info.frames == 0);
    cr_assert(ds->info.channels == 3 && ds->info.height == 9 && ds->info.width == 5);
    cr_assert_str_eq(ds->info.name, "synthetic");
    sp_dataset_close(&ds);
    ds = open_synthetic((sp_dataset_options){.limit = 100});
    cr_assert(ds->info.count == 100 && ds->info.classes == 10 && ds->info.channels == 1);
    cr_assert(ds->info.height == 28 && ds->info.width == 28);
    sp_dataset_close(&ds);
}

Test(synthetic, is_a_function_of_seed_split_and_index)
{
    sp_dataset_options o = {.count = 60, .channels = 2, .height = 12, .width = 10, .train = 1, .seed = 5};
    sp_dataset *a = open_synthetic(o), *b = open_synthetic(o), *other_seed, *test;
    float x[240], y[240];
    int32_t lx, ly;
    sp_error err;
    o.seed = 6;
    other_seed = open_synthetic(o);
    o.seed = 5;
    o.train = 0;
    test = open_synthetic(o);
    for (size_t i = 0; i < 60; i++) {
        cr_assert_eq(a->get(a, (sp_sample_request){.index = 59 - i}, x, &lx, &err), SP_OK);
        cr_assert_eq(b->get(b, (sp_sample_request){.index = 59 - i}, y, &ly, &err), SP_OK);
        cr_assert(memcmp(x, y, sizeof x) == 0 && lx == ly);
        for (size_t p = 0; p < 240; p++)
            cr_assert(x[p] >= 0.0f && x[p] <= 1.0f);
        test->get(test, (sp_sample_request){.index = 59 - i}, y, &ly, &err);
        cr_assert(memcmp(x, y, sizeof x) != 0, "train and test share sample %zu", 59 - i);
        other_seed->get(other_seed, (sp_sample_request){.index = 59 - i}, y, &ly, &err);
        cr_assert(memcmp(x, y, sizeof x) != 0);
        a->get(a, (sp_sample_request){.index = i}, y, &ly, &err);
        cr_assert(memcmp(x, y, sizeof x) != 0 || i == 59 - i, "samples %zu and %zu are the same", i, 59 - i);
    }
    cr_assert_eq(a->get(a, (sp_sample_request){.index = 60}, x, &lx, &err), SP_E_DATA);
    sp_dataset_close(&a);
    sp_dataset_close(&b);
    sp_dataset_close(&test);
    sp_dataset_close(&other_seed);
}

Test(synthetic, makes_sequences)
{
    sp_dataset *ds = open_synthetic(
        (sp_dataset_options){.frames = 5, .channels = 2, .height = 8, .width = 6, .count = 12});
    float x[5 * 96 + 1], again[5 * 96];
    int32_t label;
    sp_error err;
    cr_assert_eq(ds->info.frames, 5);
    for (size_t i = 0; i < 12; i++) {
        x[480] = -7.0f;
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, x, &label, &err), SP_OK);
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, again, &label, &err), SP_OK);
        cr_assert(x[480] == -7.0f && memcmp(x, again, sizeof again) == 0);
        for (int t = 1; t < 5; t++) {
            double near = 0.0; /* frames differ, but show the same class */
            cr_assert_neq(memcmp(x, x + t * 96, 96 * sizeof *x), 0);
            for (int p = 0; p < 96; p++)
                near += fabs((double)(x[p] - x[t * 96 + p])) / 96.0;
            cr_assert(near > 0.05 && near < 0.25, "sample %zu, frame %d: %f", i, t, near);
        }
    }
    sp_dataset_close(&ds);
}

/* Class means of the training split, as prototypes for the test split. */
static double nearest_mean_accuracy(sp_dataset_options o)
{
    sp_dataset *train, *test;
    float *image, *mean;
    size_t n, right = 0, count;
    int classes;
    int32_t label;
    sp_error err;
    o.train = 1;
    train = open_synthetic(o);
    o.train = 0;
    test = open_synthetic(o);
    n = items(train);
    classes = train->info.classes;
    count = train->info.count;
    image = malloc(n * sizeof *image);
    mean = calloc(n * (size_t)classes, sizeof *mean);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(train->get(train, (sp_sample_request){.index = i}, image, &label, &err), SP_OK);
        for (size_t p = 0; p < n; p++)
            mean[(size_t)label * n + p] += image[p] * (float)classes / (float)count;
    }
    for (size_t i = 0; i < count; i++) {
        int best = -1;
        double best_distance = INFINITY;
        cr_assert_eq(test->get(test, (sp_sample_request){.index = i}, image, &label, &err), SP_OK);
        for (int c = 0; c < classes; c++) {
            double d = 0.0;
            for (size_t p = 0; p < n; p++)
                d += pow((double)(image[p] - mean[(size_t)c * n + p]), 2.0);
            if (d < best_distance) {
                best_distance = d;
                best = c;
            }
        }
        right += best == label;
    }
    sp_dataset_close(&train);
    sp_dataset_close(&test);
    free(image);
    free(mean);
    return (double)right / (double)count;
}

Test(synthetic, is_learnable)
{
    static const sp_dataset_options cases[] = {
        {.count = 400},
        {.count = 400, .channels = 3, .height = 32, .width = 32, .seed = 1},
        {.count = 400, .height = 8, .width = 8, .seed = 2},
        {.count = 400, .height = 16, .width = 16, .classes = 20, .seed = 3},
        {.count = 200,
         .channels = 2,
         .height = 12,
         .width = 20,
         .classes = 4,
         .mean = 0.5,
         .std = 0.2,
         .seed = 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double accuracy = nearest_mean_accuracy(cases[i]);
        cr_assert_gt(accuracy, 0.9, "case %zu: %f", i, accuracy);
    }
}

Test(synthetic, takes_odd_sizes_and_refuses_impossible_ones)
{
    static const sp_dataset_options odd[] = {{.height = 1, .width = 1},
                                             {.height = 1, .width = 40},
                                             {.classes = 1},
                                             {.channels = 33, .height = 2, .width = 3}};
    static const sp_dataset_options bad[] = {{.classes = -1},
                                             {.channels = -3},
                                             {.frames = -1},
                                             {.frames = 65536, .height = 200, .width = 200},
                                             {.height = 100000},
                                             {.width = -1},
                                             {.height = 65536, .width = 65536},
                                             {.classes = 65536, .height = 500, .width = 500},
                                             {.count = SIZE_MAX}};
    float image[784];
    int32_t label;
    sp_error err;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        sp_dataset *ds = open_synthetic(odd[i]);
        for (size_t k = 0; k < 30; k++) {
            cr_assert_eq(ds->get(ds, (sp_sample_request){.index = k}, image, &label, &err), SP_OK);
            cr_assert(label >= 0 && label < ds->info.classes);
            for (size_t p = 0; p < items(ds); p++)
                cr_assert(image[p] >= 0.0f && image[p] <= 1.0f);
        }
        sp_dataset_close(&ds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sp_dataset_options o = bad[i];
        sp_dataset *ds = NULL;
        o.name = "synthetic";
        cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_E_CONFIG, "case %zu", i);
        cr_assert_null(ds);
    }
}

Test(synthetic, survives_failing_allocations)
{
    sp_dataset_options o = {.name = "synthetic", .height = 8, .width = 8};
    sp_status st;
    sp_dataset *ds = NULL;
    int64_t k = 0;
    do {
        sp_error err = {0};
        sp_mem_fail_at(++k);
        st = sp_dataset_open(&o, &ds, &err);
        sp_mem_fail_at(0);
        cr_assert(st == SP_OK || (st == SP_E_MEMORY && err.text[0]));
    } while (st != SP_OK && k < 100);
    cr_assert_eq(k, 5);
    sp_dataset_close(&ds);
}
