/* spikeport eval: scores a trained network on the test split of its data set, class by class. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/eval_targets.h"
#include "cli/session_options.h"
#include "cli/table.h"
#include "train/integers.h"

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

typedef struct eval_options {
    sp_cli_session session;
    bool json, integer, plain_c;
} eval_options;

/* What is asked of an evaluation, and what came out. */
typedef struct evaluation {
    sp_scores scores;
    sp_integer *net; /* NULL: float alone */
    sp_integer_scores integer;
} evaluation;

static json_t *integer_json(const sp_session *s, const evaluation *e)
{
    const sp_integer_scores *i = &e->integer;
    char digest[24];
    json_t *layers = json_array();
    for (int k = 0; k < i->n_layers; k++)
        json_array_append_new(layers, json_pack("{s:s, s:f, s:f, s:f}", "layer",
                                                s->graph->nodes[i->layers[k].node].name, "rate",
                                                i->layers[k].rate, "integer_rate", i->layers[k].integer_rate,
                                                "differs", i->layers[k].differs));
    snprintf(digest, sizeof digest, "%016" PRIx64, i->digest);
    return json_pack("{s:f, s:I, s:s, s:I, s:s?, s:o}", "accuracy", i->accuracy, "samples",
                     (json_int_t)i->samples, "digest", digest, "saturated_inputs", (json_int_t)i->saturated,
                     "worst_layer", i->worst < 0 ? NULL : s->graph->nodes[i->layers[i->worst].node].name,
                     "layers", layers);
}

static sp_status print_integer(const sp_session *s, const evaluation *e)
{
    static const sp_column columns[] = {{.key = "layer", .head = "layer", .width = -12},
                                        {.key = "rate", .head = "rate, float", .width = 11, .digits = 4},
                                        {.key = "integer_rate", .head = "integers", .width = 9, .digits = 4},
                                        {.key = "differs", .head = "other spikes", .width = 12, .digits = 5}};
    enum { N_COLUMNS = sizeof columns / sizeof *columns };
    json_t *all = integer_json(s, e), *layers = json_object_get(all, "layers");
    if (!all)
        return SP_E_MEMORY;
    printf("\nin integers (weights of %lld bits, potentials of %lld): accuracy %.2f%%, in float %.2f%%; "
           "digest of all outputs %s\n",
           (long long)s->recipe.weight_bits, (long long)s->recipe.membrane_bits, 100 * e->integer.accuracy,
           100 * e->scores.accuracy, json_string_value(json_object_get(all, "digest")));
    if (e->integer.saturated)
        printf("%" PRIu64 " inputs were outside of the range of the training data and saturated\n",
               e->integer.saturated);
    const char *worst = json_string_value(json_object_get(all, "worst_layer"));
    if (worst)
        printf("layer %s loses the most (first mini-batch):\n", worst);
    sp_table_print_head(columns, N_COLUMNS);
    sp_status st = SP_OK;
    for (size_t i = 0; st == SP_OK && i < json_array_size(layers); i++)
        st = sp_table_print(columns, N_COLUMNS, json_incref(json_array_get(layers, i)), false);
    json_decref(all);
    return st;
}

static sp_status print(const sp_cli_trained *t, const evaluation *e, bool json)
{
    const sp_scores *scores = &e->scores;
    enum { MOST_PRINTED = 20 }; /* classes of a matrix that a terminal shows */
    int64_t n = t->s->graph->classes;
    const char *file = t->checkpoint.file.path;
    if (json) {
        json_t *out =
            json_pack("{s:o, s:s, s:I, s:I, s:f, s:f}", "checkpoint", sp_cli_json_text(file), "data",
                      t->test->info.name, "epoch", (json_int_t)t->checkpoint.progress.epoch, "samples",
                      (json_int_t)scores->samples, "loss", scores->loss, "seconds", scores->seconds);
        if (scores->outputs) {
            sp_cli_targets_json(out, t->s, t->test, scores);
        } else {
            json_object_set_new(out, "accuracy", json_real(scores->accuracy));
            add_classes(out, t->test, scores->confusion, n);
        }
        if (e->net)
            json_object_set_new(out, "integer", integer_json(t->s, e));
        return sp_cli_json_line(out);
    }
    if (scores->outputs) {
        sp_text summary = {0};
        sp_cli_targets_summary(t->s, scores, &summary);
        printf("%s: %s, %lld samples: %s, loss %.4f (%.1f s)\n", file, t->test->info.name,
               (long long)scores->samples, summary.s ? summary.s : "", scores->loss, scores->seconds);
        sp_text_free(&summary);
        return sp_cli_targets_print(t->s, t->test, scores);
    }
    printf("%s: %s, %lld samples: accuracy %.2f%%, loss %.4f (%.1f s)\n", file, t->test->info.name,
           (long long)scores->samples, 100.0 * scores->accuracy, scores->loss, scores->seconds);
    if (print_classes(t->test, scores->confusion, n) != SP_OK)
        return SP_E_MEMORY;
    if (n <= MOST_PRINTED)
        print_matrix(scores->confusion, n);
    return e->net ? print_integer(t->s, e) : SP_OK;
}

static sp_status evaluate(sp_cli_trained *t, const eval_options *o, evaluation *e, sp_error *err)
{
    const size_t n = (size_t)t->s->graph->classes;
    if (t->test->info.targets)
        e->scores.outputs = sp_alloc_array(n, sizeof *e->scores.outputs);
    else
        e->scores.confusion = sp_alloc_array(n, n * sizeof *e->scores.confusion);
    if (!e->scores.confusion && !e->scores.outputs)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the confusion matrix");
    if (o->integer) /* what has no such form is said before the work */
        SP_TRY(sp_session_integer(t->s, &e->net, err));
    sp_status st = sp_session_evaluate(t->s, t->test, NULL, NULL, &e->scores, err);
    sp_cli_say_programs(t->s->dev, t->s->reg);
    if (st == SP_OK && o->integer)
        st = sp_integer_evaluate(t->s, e->net, t->test, o->plain_c, NULL, &e->integer, err);
    return st;
}

static sp_status eval(const char *path, const eval_options *o, sp_error *err)
{
    sp_cli_trained t;
    evaluation e = {.net = NULL};
    if (o->integer && o->session.programs && !o->plain_c)
        return SP_FAIL(err, SP_E_USAGE,
                       "--integer with --programs: `spikeport compile` writes no programs of integer "
                       "networks; leave --programs out, or add --plain-c");
    if (o->plain_c && !o->integer)
        return SP_FAIL(err, SP_E_USAGE, "--plain-c says how --integer computes; give both, or leave it out");
    sp_status st = sp_cli_trained_open(path, &o->session, true, &t, err);
    if (st == SP_OK)
        st = evaluate(&t, o, &e, err);
    if (st == SP_OK)
        st = print(&t, &e, o->json);
    sp_free(e.scores.spike_rate);
    sp_free(e.scores.confusion);
    sp_free(e.scores.outputs);
    sp_free(e.integer.layers);
    sp_integer_destroy(&e.net);
    sp_cli_trained_close(&t);
    return st;
}

int sp_cmd_eval(int argc, char **argv)
{
    eval_options o = {.session.command = "eval"};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_CLI_WEIGHTS_ARGS(o.session),
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        SP_CLI_PROGRAMS_ARG(o.session),
        SP_FLAG("integer", 0, &o.integer,
                "also in integers, as on hardware: accuracy, and by layer which spikes change; needs "
                "precision.weights"),
        SP_FLAG("plain-c", 0, &o.plain_c,
                "with --integer: by the C references on the host, not on the device; the digest is the same"),
        SP_FLAG("json", 0, &o.json, "one JSON object on stdout"),
    };
    const sp_args a = {.command = "eval",
                       .synopsis = "CHECKPOINT|DIR|RECIPE [options]",
                       .about = "Scores a trained network on the test split: argmax of the outputs summed "
                                "over the time steps. Prints the accuracy, that of each class, and the "
                                "confusion matrix; of numbers (loss.name: mse) the errors, of several labels "
                                "a sample (bce) precision, recall and F1.",
                       SP_ARGS(args, 1, 1)};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    return eval(rest.items[0], &o, &err) == SP_OK ? 0 : sp_cli_fail("eval", &err);
}
