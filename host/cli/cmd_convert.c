/* spikeport convert: a network of relu or qcfs that was trained at one time step becomes one of
 * integrate-and-fire neurons, as a recipe and its weights; and its accuracy over the number of time steps. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/output.h"
#include "cli/session_options.h"
#include "cli/table.h"
#include "plot/picture.h"
#include "train/conversion.h"

enum { MOST_POINTS = 64 };

typedef struct convert_options {
    sp_cli_session session;
    sp_conversion_options how;
    int64_t samples;
    const char *thresholds, *calibration, *curve;
    double points[MOST_POINTS];
    size_t n_points;
    bool json;
} convert_options;

/* OUT with each ending. */
typedef struct files {
    char *recipe, *weights, *csv, *png;
} files;

static const sp_column columns[] = {
    {.key = "time_steps", .head = "time steps", .width = 10},
    {.key = "accuracy", .head = "accuracy", .width = 9, .digits = 2, .unit = "%"},
    {.key = "lost", .head = "lost", .width = 8, .digits = 2, .unit = " points"},
    {.key = "spike_rate", .head = "spikes", .width = 8, .digits = 4}};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static void free_files(files *f)
{
    sp_free(f->recipe), sp_free(f->weights), sp_free(f->csv), sp_free(f->png);
}

/* Before the work: that nothing of another kind is replaced. */
static sp_status check_files(const char *out, const convert_options *o, const char *const *inputs, size_t n,
                             files *f, sp_error *err)
{
    *f = (files){sp_format("%s.yaml", out), sp_format("%s.safetensors", out), sp_format("%s.csv", out),
                 sp_format("%s.png", out)};
    if (!f->recipe || !f->weights || !f->csv || !f->png)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for names of files");
    SP_TRY(sp_folder_make_of(f->recipe, 0777, err));
    SP_TRY(sp_output_check(f->recipe, SP_OUTPUT_CONVERTED, inputs, n, err));
    SP_TRY(sp_output_check(f->weights, SP_OUTPUT_WEIGHTS, inputs, n, err));
    if (!o->n_points)
        return SP_OK;
    SP_TRY(sp_output_check(f->csv, SP_OUTPUT_CURVE, inputs, n, err));
    return sp_output_check(f->png, SP_OUTPUT_PICTURE, inputs, n, err);
}

/* Of all neurons and time steps on the test data. */
static double mean_rate(const sp_session *s, const double *rates)
{
    double spikes = 0, neurons = 0;
    for (int i = 0; i < s->graph->n_nodes; i++)
        if (sp_node_fires(&s->graph->nodes[i])) {
            const double n = (double)sp_act_elems(&s->graph->acts[s->graph->nodes[i].out]);
            spikes += rates[i] * n;
            neurons += n;
        }
    return neurons > 0 ? spikes / neurons : 0;
}

/* A row behind the others: the accuracy and firing rate of a spiking network. */
static sp_status measure(sp_session *s, const sp_dataset *test, double first, json_t *rows, sp_error *err)
{
    sp_scores scores = {.confusion = NULL};
    sp_status st = sp_session_evaluate(s, test, NULL, NULL, &scores, err);
    if (st == SP_OK &&
        json_array_append_new(rows, json_pack("{s:I, s:f, s:f, s:f}", "time_steps",
                                              (json_int_t)s->recipe.time_steps, "accuracy",
                                              100 * scores.accuracy, "lost", 100 * (first - scores.accuracy),
                                              "spike_rate", mean_rate(s, scores.spike_rate))) != 0)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for results");
    sp_free(scores.spike_rate);
    return st;
}

static sp_status write_network(const files *f, sp_session *s, sp_error *err)
{
    sp_text text = {0};
    size_t n;
    sp_text_add(&text, SP_OUTPUT_CONVERTED_HEAD "; its weights: %s\n", f->weights);
    sp_recipe_print(&s->recipe, &text);
    sp_status st = sp_weights_export(f->weights, s, NULL, &n, err);
    if (st == SP_OK)
        st = sp_file_replace_text(f->recipe, text.failed ? NULL : text.s, err);
    sp_text_free(&text);
    return st;
}

/* A spiking network for so many time steps, measured where rows are given and written where f is. */
static sp_status convert_for(sp_converter *c, const sp_cli_trained *t, const convert_options *o,
                             int64_t steps, double first, const files *f, json_t *rows, sp_error *err)
{
    sp_session *s = NULL;
    sp_conversion_options how = o->how;
    const sp_session_options so = sp_cli_session_options(&o->session);
    how.time_steps = steps;
    sp_status st = sp_converter_make(c, &how, &so, &s, err);
    if (st == SP_OK && rows)
        st = measure(s, t->test, first, rows, err);
    if (st == SP_OK && f)
        st = write_network(f, s, err);
    sp_session_close(&s);
    return st;
}

static sp_status write_curve(const files *f, json_t *rows, double first, sp_error *err)
{
    sp_plot plot = {.title = "accuracy over time steps",
                    .x_label = "time steps",
                    .y_label = "accuracy in %",
                    .y_min = 0};
    const sp_chart look = {.columns = 1, .panel_width = 560, .panel_height = 400};
    sp_text csv = {0};
    const json_t *row;
    size_t i;
    sp_table_csv(&csv, columns, N_COLUMNS, NULL);
    json_array_foreach(rows, i, row)
    {
        const double steps = json_number_value(json_object_get(row, "time_steps"));
        sp_table_csv(&csv, columns, N_COLUMNS, row);
        sp_plot_add(&plot, "spiking", steps, json_number_value(json_object_get(row, "accuracy")));
        sp_plot_add(&plot, "before", steps, 100 * first);
    }
    sp_plot_sort(&plot);
    sp_status st = sp_file_replace_text(f->csv, csv.failed ? NULL : csv.s, err);
    if (st == SP_OK)
        st = sp_plot_write(f->png, &plot, 1, &look, err);
    sp_plot_free(&plot, 1);
    sp_text_free(&csv);
    return st;
}

static sp_status tell(const convert_options *o, const sp_cli_trained *t, double first, json_t *rows,
                      sp_error *err)
{
    json_t *row;
    size_t i;
    if (o->json) {
        json_t *out = json_pack("{s:f, s:I, s:O}", "accuracy", 100 * first, "samples",
                                (json_int_t)t->test->info.count, "converted", rows);
        return sp_cli_json_line(out) == SP_OK ? SP_OK
                                              : SP_FAIL(err, SP_E_MEMORY, "out of memory for results");
    }
    printf("before: accuracy %.2f%% on %zu test samples\n", 100 * first, t->test->info.count);
    sp_table_print_head(columns, N_COLUMNS);
    json_array_foreach(rows, i, row)
    {
        if (sp_table_print(columns, N_COLUMNS, json_incref(row), false) != SP_OK)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory for results");
    }
    return SP_OK;
}

/* The points of the curve, then the network that is kept, which is measured where there is no curve. */
static sp_status run(sp_converter *c, const sp_cli_trained *t, const convert_options *o, const files *f,
                     sp_error *err)
{
    sp_scores before = {.confusion = NULL};
    json_t *rows = json_array();
    sp_status st = rows ? sp_session_evaluate(t->s, t->test, NULL, NULL, &before, err)
                        : SP_FAIL(err, SP_E_MEMORY, "out of memory for results");
    for (size_t i = 0; st == SP_OK && i < o->n_points; i++)
        st = convert_for(c, t, o, (int64_t)o->points[i], before.accuracy, NULL, rows, err);
    if (st == SP_OK && o->n_points)
        st = write_curve(f, rows, before.accuracy, err);
    if (st == SP_OK)
        st = convert_for(c, t, o, o->how.time_steps, before.accuracy, f, o->n_points ? NULL : rows, err);
    if (st == SP_OK)
        st = tell(o, t, before.accuracy, rows, err);
    sp_free(before.spike_rate);
    json_decref(rows);
    return st;
}

static sp_status convert(const char *from, const char *out, const convert_options *o, sp_error *err)
{
    sp_cli_trained t = {.test = NULL};
    sp_converter *c = NULL;
    files f;
    const char *const inputs[] = {from, o->session.weights.file};
    sp_status st = check_files(out, o, inputs, o->session.weights.file ? 2 : 1, &f, err);
    if (st == SP_OK)
        st = sp_cli_trained_open(from, &o->session, true, &t, err);
    if (st == SP_OK && t.s->recipe.loss)
        st = SP_FAIL(err, SP_E_CONFIG,
                     "loss.name is %s, and a conversion is scored by its largest output, a class; use "
                     "loss.name: cross_entropy",
                     t.s->recipe.loss == SP_LOSS_MSE ? "mse" : "bce");
    if (st == SP_OK)
        st = sp_converter_open(t.s, o->samples, &c, err);
    if (st == SP_OK)
        st = run(c, &t, o, &f, err);
    if (st == SP_OK)
        sp_cli_say("%s and %s: `spikeport eval %s --weights %s`\n", f.recipe, f.weights, f.recipe, f.weights);
    sp_converter_close(&c);
    sp_cli_trained_close(&t);
    free_files(&f);
    return st;
}

static const char *check_words(convert_options *o)
{
    if (o->thresholds && strcmp(o->thresholds, "nearest") != 0 && strcmp(o->thresholds, "largest") != 0)
        return "--thresholds: nearest or largest";
    if (o->calibration && strcmp(o->calibration, "light") != 0 && strcmp(o->calibration, "none") != 0)
        return "--calibration: light or none";
    if (o->curve && !sp_args_numbers(o->curve, 1, 4096, true, MOST_POINTS, o->points, &o->n_points))
        return "--curve: up to 64 numbers of time steps, 1 to 4096, separated by commas";
    o->how.largest = o->thresholds && strcmp(o->thresholds, "largest") == 0;
    o->how.calibrate = !o->calibration || strcmp(o->calibration, "light") == 0;
    return NULL;
}

int sp_cmd_convert(int argc, char **argv)
{
    convert_options o = {.session.command = "convert",
                         .how = {.time_steps = 32, .rounds = 1},
                         .samples = 512};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_INTEGER("time-steps", 'T', &o.how.time_steps, "N",
                   "time steps that the network is calibrated for, and that its recipe has (default 32)", 1,
                   4096),
        SP_TEXT("curve", 0, &o.curve, "N,N,...",
                "also the accuracy of conversions for these numbers of time steps: OUT.csv and OUT.png"),
        SP_TEXT("thresholds", 0, &o.thresholds, "HOW",
                "of relu, by channel: nearest to the outputs by least squares (default), or the largest "
                "output"),
        SP_TEXT("calibration", 0, &o.calibration, "HOW",
                "light: biases are shifted until mean outputs are those of before (default); or none"),
        SP_INTEGER("rounds", 0, &o.how.rounds, "N",
                   "times that the shift of a layer is looked for, as a shift moves only neurons that fire "
                   "(default 1)",
                   1, 100),
        SP_INTEGER("samples", 0, &o.samples, "N",
                   "training samples that thresholds and calibration follow from (default 512)", 1, 1000000),
        SP_FLAG("json", 0, &o.json, "one JSON object on stdout"),
        SP_CLI_WEIGHTS_ARGS(o.session),
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
    };
    const sp_args a = {.command = "convert",
                       .synopsis = "CHECKPOINT|DIR|RECIPE OUT [options]",
                       .about = "Makes a network of integrate-and-fire neurons of one that was trained with "
                                "relu or qcfs layers, here or in PyTorch (a recipe and --weights): batch "
                                "norms and thresholds go into the weights, and firing rates stand for what "
                                "the layers gave. Writes OUT.yaml, a recipe, and OUT.safetensors. Layers "
                                "without such a form are refused by name.",
                       SP_ARGS(args, 2, 2)};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    const char *wrong = check_words(&o);
    if (wrong)
        return sp_args_wrong(&a, "%s", wrong);
    sp_status st = convert(rest.items[0], rest.items[1], &o, &err);
    return st == SP_OK ? 0 : sp_cli_fail("convert", &err);
}
