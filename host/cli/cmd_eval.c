/* spikeport eval: scores a trained network on the test split of its data set, class by class. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/session_options.h"
#include "cli/table.h"

static uint64_t row_sum(const uint64_t *confusion, int64_t n, int64_t class)
{
    uint64_t sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += confusion[class * n + k];
    return sum;
}

static double accuracy_of(const uint64_t *confusion, int64_t n, int64_t class)
{
    uint64_t sum = row_sum(confusion, n, class);
    return sum ? (double)confusion[class * n + class] / (double)sum : 0.0;
}

/* Samples, accuracy and the most frequent mistake of each class that the test data have. */
static sp_status print_classes(const sp_dataset *ds, const uint64_t *confusion, int64_t n)
{
    static const sp_column columns[] = {
        {.key = "class", .head = "class", .width = 5},
        {.key = "name", .head = "name", .width = -14},
        {.key = "samples", .head = "samples", .width = 8},
        {.key = "accuracy", .head = "accuracy", .width = 9, .digits = 2, .unit = "%"},
        {.key = "mistake", .head = "most often taken for", .width = -20}};
    enum { N_COLUMNS = sizeof columns / sizeof *columns };
    sp_table_print_head(columns, N_COLUMNS);
    for (int64_t c = 0; c < n; c++) {
        int64_t worst = -1;
        for (int64_t k = 0; k < n; k++)
            if (k != c && confusion[c * n + k] &&
                (worst < 0 || confusion[c * n + k] > confusion[c * n + worst]))
                worst = k;
        if (row_sum(confusion, n, c) == 0)
            continue;
        const char *name = sp_dataset_class(ds, (int)c),
                   *other = worst < 0 ? NULL : sp_dataset_class(ds, (int)worst);
        sp_text mistake = {0};
        if (worst >= 0) {
            sp_text_add(&mistake, "%" PRId64 "%s", worst, other ? " " : "");
            sp_text_escape(&mistake, other ? other : "", false);
            sp_text_add(&mistake, " (%" PRIu64 ")", confusion[c * n + worst]);
        }
        json_t *row =
            json_pack("{s:I, s:o, s:I, s:f, s:s}", "class", (json_int_t)c, "name",
                      sp_cli_json_text(name ? name : ""), "samples", (json_int_t)row_sum(confusion, n, c),
                      "accuracy", 100 * accuracy_of(confusion, n, c), "mistake", mistake.s ? mistake.s : "");
        sp_text_free(&mistake);
        if (sp_table_print(columns, N_COLUMNS, row, false) != SP_OK)
            return SP_E_MEMORY;
    }
    return SP_OK;
}

/* A row for each true class. */
static void print_matrix(const uint64_t *confusion, int64_t n)
{
    printf("\nconfusion matrix (rows: true class, columns: predicted class)\n%5s", "");
    for (int64_t k = 0; k < n; k++)
        printf(" %5" PRId64, k);
    putchar('\n');
    for (int64_t c = 0; c < n; c++) {
        printf("%5" PRId64, c);
        for (int64_t k = 0; k < n; k++)
            printf(" %5" PRIu64, confusion[c * n + k]);
        putchar('\n');
    }
}

static void add_classes(json_t *out, const sp_dataset *ds, const uint64_t *confusion, int64_t n)
{
    json_t *classes = json_array(), *matrix = json_array();
    for (int64_t c = 0; c < n; c++) {
        json_t *row = json_array();
        for (int64_t k = 0; k < n; k++)
            json_array_append_new(row, json_integer((json_int_t)confusion[c * n + k]));
        json_array_append_new(matrix, row);
        uint64_t samples = row_sum(confusion, n, c);
        json_array_append_new(classes,
                              json_pack("{s:I, s:o, s:I, s:o}", "class", (json_int_t)c, "name",
                                        sp_cli_json_text(sp_dataset_class(ds, (int)c)), "samples",
                                        (json_int_t)samples, "accuracy",
                                        samples ? json_real(accuracy_of(confusion, n, c)) : json_null()));
    }
    json_object_set_new(out, "classes", classes);
    json_object_set_new(out, "confusion", matrix);
}

static sp_status print(const sp_cli_trained *t, const sp_scores *scores, bool json)
{
    enum { MOST_PRINTED = 20 }; /* classes of a matrix that a terminal shows */
    int64_t n = t->s->graph->classes;
    const char *file = t->checkpoint.file.path;
    if (json) {
        json_t *out = json_pack("{s:o, s:s, s:I, s:I, s:f, s:f, s:f}", "checkpoint", sp_cli_json_text(file),
                                "data", t->test->info.name, "epoch", (json_int_t)t->checkpoint.progress.epoch,
                                "samples", (json_int_t)scores->samples, "loss", scores->loss, "accuracy",
                                scores->accuracy, "seconds", scores->seconds);
        add_classes(out, t->test, scores->confusion, n);
        return sp_cli_json_line(out);
    }
    printf("%s: %s, %lld samples: accuracy %.2f%%, loss %.4f (%.1f s)\n", file, t->test->info.name,
           (long long)scores->samples, 100.0 * scores->accuracy, scores->loss, scores->seconds);
    if (print_classes(t->test, scores->confusion, n) != SP_OK)
        return SP_E_MEMORY;
    if (n <= MOST_PRINTED)
        print_matrix(scores->confusion, n);
    return SP_OK;
}

static sp_status evaluate(const char *path, const sp_cli_session *o, bool json, sp_error *err)
{
    sp_cli_trained t;
    sp_scores scores = {0};
    sp_status st = sp_cli_trained_open(path, o, true, &t, err);
    int64_t n = st == SP_OK ? t.s->graph->classes : 0;
    if (st == SP_OK) {
        scores.confusion = sp_alloc_array((size_t)n, (size_t)n * sizeof *scores.confusion);
        st = scores.confusion ? sp_session_evaluate(t.s, t.test, NULL, NULL, &scores, err)
                              : SP_FAIL(err, SP_E_MEMORY, "out of memory for the confusion matrix");
        sp_cli_say_programs(t.s->dev, t.s->reg);
    }
    if (st == SP_OK)
        st = print(&t, &scores, json);
    sp_free(scores.spike_rate);
    sp_free(scores.confusion);
    sp_cli_trained_close(&t);
    return st;
}

int sp_cmd_eval(int argc, char **argv)
{
    sp_cli_session o = {.command = "eval"};
    sp_arg_list rest = {.n = 0};
    bool json = false;
    const sp_arg args[] = {
        SP_CLI_WEIGHTS_ARGS(o),
        SP_CLI_SET_ARG(o),
        SP_CLI_DEVICE_ARGS(o),
        SP_CLI_PROGRAMS_ARG(o),
        SP_FLAG("json", 0, &json, "one JSON object on stdout"),
    };
    const sp_args a = {.command = "eval",
                       .synopsis = "CHECKPOINT|DIR|RECIPE [options]",
                       .about = "Scores a trained network on the test split: argmax of the outputs summed "
                                "over "
                                "the time steps. Prints the accuracy, that of each class, and the confusion "
                                "matrix.",
                       SP_ARGS(args, 1, 1)};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    return evaluate(rest.items[0], &o, json, &err) == SP_OK ? 0 : sp_cli_fail("eval", &err);
}
