/* spikeport visualise: the numbers behind the pictures fit together and with eval, and the pictures are
 * there; the command's former name works. */
#include "program.h"

TestSuite(draw, .init = program_setup, .fini = program_teardown);

static void train(const char *schedule)
{
    char text[2048];
    snprintf(text, sizeof text, "%s%s%s", TINY, schedule, TINY_NETWORK);
    write_text("r.yaml", text);
    EXPECT_CODE(0, run("train r.yaml --overwrite --out run"));
}

static json_t *answer(void)
{
    json_t *j = json_loads(text_of("out"), 0, NULL);
    cr_assert_not_null(j, "not JSON: %s", text_of("out"));
    return j;
}

static int64_t count_at(const json_t *rows, size_t i, size_t k)
{
    return json_integer_value(json_array_get(json_array_get(rows, i), k));
}

/* 40 test samples, ten of each of four classes. */
static void expect_confusion(const json_t *drawn, double accuracy)
{
    const json_t *rows = json_object_get(drawn, "confusion");
    int64_t right = 0;
    cr_assert_eq(json_array_size(rows), 4u);
    for (size_t i = 0; i < 4; i++) {
        int64_t sum = 0;
        for (size_t k = 0; k < 4; k++)
            sum += count_at(rows, i, k);
        cr_assert_eq(sum, 10, "class %zu: %lld samples", i, (long long)sum);
        right += count_at(rows, i, i);
    }
    cr_assert_eq(number_of(drawn, "samples"), 40);
    cr_assert_float_eq((double)right / 40, accuracy, 1e-12);
    cr_assert_float_eq(number_of(drawn, "accuracy"), accuracy, 1e-12);
}

static void expect_layers(const json_t *drawn, int64_t T)
{
    static const int64_t neurons[] = {8 * 8 * 8, 16};
    const json_t *layers = json_object_get(drawn, "layers");
    int64_t watched = (int64_t)number_of(drawn, "watched_samples");
    cr_assert_eq(json_array_size(layers), 2u);
    for (size_t i = 0; i < 2; i++) {
        const json_t *l = json_array_get(layers, i), *bins = json_object_get(l, "potentials");
        int64_t sum = 0;
        for (size_t k = 0; k < json_array_size(bins); k++)
            sum += json_integer_value(json_array_get(bins, k));
        cr_assert_eq(number_of(l, "neurons"), neurons[i]);
        cr_assert_eq(sum, watched * neurons[i] * T);
        double rate = number_of(l, "rate"); // a potential at the threshold is a spike
        cr_assert(rate > 0.001 && rate < 0.999);
        cr_assert_float_eq(number_of(l, "above_threshold"), rate, 1e-9, "layer %zu", i);
        cr_assert(number_of(l, "silent") < 1);
    }
}

static const char *const names[] = {"raster", "membrane", "rates", "filters", "confusion"};

static void expect_pictures(const char *folder, unsigned which)
{
    for (unsigned i = 0; i < 5; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s.png", folder, names[i]);
        cr_assert_eq(exists(path), which >> i & 1, "%s", path);
        if (which >> i & 1)
            cr_assert_eq(memcmp(text_of(path), "\x89PNG", 4), 0, "%s", path);
    }
}

Test(draw, numbers_agree_with_eval)
{
    static const char *const schedules[] = {"schedule: {method: sltt, time_steps: 3}\n",
                                            "schedule: {method: bptt, time_steps: 5}\nprecision: "
                                            "{activations: half}\n"};
    for (int i = 0; i < 2; i++) {
        train(schedules[i]);
        EXPECT_CODE(0, run("eval run --json"));
        json_t *score = answer();
        double accuracy = number_of(score, "accuracy");
        cr_assert(accuracy > 0.3, "the network has learnt nothing: %g", accuracy);
        EXPECT_CODE(0, run("visualise run --json"));
        json_t *drawn = answer();
        cr_assert_eq(number_of(drawn, "watched_samples"), 24); // eval_batch
        expect_confusion(drawn, accuracy);
        expect_layers(drawn, i ? 5 : 3);
        expect_pictures("run/pictures", 31);
        json_decref(drawn);
        EXPECT_CODE(0, run("visualise run raster --sample 31 --json -o p%d", i));
        drawn = answer();
        cr_assert_eq(number_of(drawn, "watched_samples"), 16); // the second mini-batch, padding left out
        expect_layers(drawn, i ? 5 : 3);
        cr_assert_eq(json_array_size(json_object_get(drawn, "confusion")), 0u);
        expect_pictures(i ? "p1" : "p0", 1);
        json_decref(drawn);
        json_decref(score);
    }
}

Test(draw, wrong_use_is_told)
{
    train("schedule: {method: sltt, time_steps: 2}\n");
    EXPECT_CODE(2, run("draw run rasters"));
    EXPECT_SAID("\"rasters\" is no picture; there are: raster, membrane, rates, filters, confusion");
    EXPECT_CODE(3, run("visualise run raster --sample 41"));
    EXPECT_SAID("--sample 41: the test split has 40 samples");
    EXPECT_CODE(1, run("visualise nowhere"));
    EXPECT_SAID("nowhere: cannot be opened");
    cr_assert(!exists("pictures"));
    write_text("file", "");
    EXPECT_CODE(1, run("visualise run filters -o file/below"));
    EXPECT_SAID("file/below");
}
