/* The similarity of gradients: the monitor inside a run changes nothing, and the command measures what is
 * known. */
#include "program.h"

TestSuite(similarity, .init = program_setup, .fini = program_teardown);

#define MONITOR "monitor: {gradient_similarity: {every: 3, methods: [sltt, \"sltt-k:1\", ottt, bptt]}}\n"

static const char *const schedules[] = {
    "schedule: {method: bptt, time_steps: 3}\n",
    "schedule: {method: sltt-k, time_steps: 4, backprop_steps: 2}\noptimizer: {name: adamw, lr: 0.01}\n",
    "schedule: {method: ottt, time_steps: 3, online_update: true}\n",
};

static void write_recipe(const char *name, const char *schedule, const char *monitor)
{
    char text[2048];
    snprintf(text, sizeof text, "%s%s%s%s", TINY, schedule, monitor, TINY_NETWORK);
    write_text(name, text);
}

static void expect_same_tensors(const char *a, const char *b)
{
    sp_tensor_file x = tensors_of(a), y = tensors_of(b);
    cr_assert(x.n == y.n && x.n > 4);
    for (size_t i = 0; i < x.n; i++)
        cr_assert_eq(memcmp(x.items[i].data, y.items[i].data, x.items[i].bytes), 0, "%s differs",
                     x.items[i].name);
    cr_assert_str_eq(sp_tensors_meta(&x, "loss_sum"), sp_tensors_meta(&y, "loss_sum"));
    sp_tensors_free(&x);
    sp_tensors_free(&y);
}

static double method_number(const json_t *event, const char *method, const char *key)
{
    const json_t *m = json_object_get(json_object_get(event, "methods"), method);
    cr_assert_not_null(m, "no method %s", method);
    return number_of(m, key);
}

static void expect_measurements(const char *folder)
{
    int n = 0;
    for (json_t *e; (e = metrics_event(folder, "gradient_similarity", n)) != NULL; n++) {
        cr_assert_eq(number_of(e, "iteration"), 3 * n + 1);
        cr_assert_float_eq(method_number(e, "bptt", "cosine"), 1, 1e-9);
        cr_assert_float_eq(method_number(e, "bptt", "norm_ratio"), 1, 1e-9);
        cr_assert(method_number(e, "sltt", "cosine") < 0.9999999, "the temporal part of the gradient is not "
                                                                  "seen");
        cr_assert(method_number(e, "sltt-k:1", "cosine") < method_number(e, "sltt", "cosine"));
        cr_assert_eq(method_number(e, "sltt-k:1", "steps"), 1);
        json_decref(e);
    }
    cr_assert_eq(n, 4, "%d measurements", n);
}

Test(similarity, a_run_with_the_monitor_ends_as_one_without)
{
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
        char a[64], b[64];
        unsigned long long planned = 0, peak = 1;
        write_recipe("plain.yaml", schedules[i], "");
        write_recipe("watched.yaml", schedules[i], MONITOR);
        EXPECT_CODE(0, run("train plain.yaml --out plain%zu", i));
        EXPECT_CODE(0, run("train watched.yaml --out watched%zu", i));
        const char *line = strstr(text_of("err"), "device memory: ");
        cr_assert(line && sscanf(line, "device memory: %llu bytes planned, %llu", &planned, &peak) == 2);
        cr_assert_eq(planned, peak, "%llu bytes planned, %llu at the peak", planned, peak);
        snprintf(a, sizeof a, "plain%zu/checkpoint.safetensors", i);
        snprintf(b, sizeof b, "watched%zu/checkpoint.safetensors", i);
        expect_same_tensors(a, b);
        snprintf(a, sizeof a, "plain%zu", i);
        snprintf(b, sizeof b, "watched%zu", i);
        expect_measurements(b);
        for (int n = 0; n < 6; n++) { /* spike counters too */
            json_t *x = metrics_event(a, "batch", n), *y = metrics_event(b, "batch", n);
            cr_assert(x && y &&
                          json_equal(json_object_get(x, "spike_rate"), json_object_get(y, "spike_rate")),
                      "line %d", n);
            json_decref(x), json_decref(y);
        }
    }
    EXPECT_CODE(130,
                run("train watched.yaml --out parts --max-iterations 3")); /* where a measurement is next */
    EXPECT_CODE(0, run("train --resume parts"));
    expect_measurements("parts");
}

/* Column `column` (from 0) of line `line` (from 1, after the head) of a file with commas. */
static double field(const char *file, int line, int column)
{
    const char *at = text_of(file);
    for (int i = 0; i < line; i++) {
        at = strchr(at, '\n');
        cr_assert_not_null(at, "%s has no line %d", file, line);
        at++;
    }
    for (int i = 0; i < column; i++)
        at = strchr(at, ',') + 1;
    return strtod(at, NULL);
}

Test(similarity, the_command_measures_over_time_steps_tau_and_training)
{
    write_recipe("r.yaml", schedules[0], "");
    EXPECT_CODE(0, run("similarity r.yaml --time-steps 1,4 --tau 1.1,2 --methods sltt,sltt-k:1 --iterations "
                       "5 "
                       "--every 4 --out f"));
    cr_assert(exists("f/similarity.csv") && exists("f/sltt.png") && exists("f/sltt-k-1.png"));
    enum { T = 0, TAU = 1, UPDATES = 2, COSINE = 6, RATIO = 8 };
    cr_assert_float_eq(field("f/means.csv", 1, COSINE), 1, 1e-6, "one time step has no temporal part");
    cr_assert_float_eq(field("f/means.csv", 2, RATIO), 1, 1e-6);
    cr_assert(field("f/means.csv", 9, T) == 4 && field("f/means.csv", 9, TAU) == 1.1 &&
              field("f/means.csv", 11, UPDATES) == 4);
    double short_memory = field("f/means.csv", 9, COSINE), long_memory = field("f/means.csv", 13, COSINE);
    cr_assert(field("f/means.csv", 13, TAU) == 2 && long_memory < short_memory && short_memory < 1, "%g, %g",
              long_memory, short_memory);
    EXPECT_CODE(0, run("similarity r.yaml --reference sltt --methods sltt-k:3 --train sltt --iterations 1 "
                       "--out g"));
    cr_assert_float_eq(field("g/means.csv", 1, COSINE), 1, 1e-6, "all steps of sltt-k are sltt");
}

Test(similarity, wrong_use_is_told)
{
    static const struct {
        const char *arguments;
        int code;
        const char *said;
    } cases[] = {
        {"--time-steps 2,x", 2, "--time-steps 2,x: one to"},
        {"--time-steps 2.5", 2, "--time-steps 2.5: one to 5 whole numbers"},
        {"--tau 0.5", 2, "--tau 0.5"},
        {"--methods sltt,adjoint", 2, "--methods sltt,adjoint"},
        {"--methods sltt-k:9", 3, "sltt-k:9 wants 9 steps, but there are only 3"},
        {"--reference ottt", 2, "bptt or sltt is wanted"},
        {"--train rtrl", 2, "--train rtrl"},
    };
    write_recipe("r.yaml", schedules[0], "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT_CODE(cases[i].code, run("similarity r.yaml %s", cases[i].arguments));
        EXPECT_SAID(cases[i].said);
    }
    write_recipe("r.yaml", schedules[0], "monitor: {gradient_similarity: {every: 3, metods: [sltt]}}\n");
    EXPECT_CODE(3, run("train r.yaml"));
    EXPECT_SAID("did you mean \"methods\"?");
    EXPECT_SAID("r.yaml:9:");
    write_recipe("r.yaml", schedules[0], "monitor: {gradient_similarity: {methods: [sltt-k]}}\n");
    EXPECT_CODE(3, run("train r.yaml"));
    EXPECT_SAID("r.yaml:9:43: \"sltt-k\" stands for the steps that this run draws");
}
