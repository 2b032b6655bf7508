/* spikeport predict: the class of each of a person's own files, by a trained network. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/session_options.h"
#include "cli/table.h"
#include "data/inputs.h"
#include "train/predict.h"
#include "train/record.h"

enum { MOST_DEPTH = 16 }; /* of folders in folders */

typedef struct predict_options {
    sp_cli_session session;
    int64_t top_k;
    const char *confidence, *record, *record_to;
    bool json;
} predict_options;

/* ---- which files ---- */

static bool any_name(int at, const char *name, const void *ctx)
{
    (void)at, (void)name, (void)ctx;
    return true;
}

/* A file, or all files of a folder and of those in it, by name. */
static sp_status add_path(sp_names *files, const char *path, int depth, sp_error *err)
{
    if (!sp_path_is_folder(path))
        return sp_names_add(files, path, err);
    if (depth == MOST_DEPTH)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: more than %d folders in one another; is there a link to a folder above?", path,
                       MOST_DEPTH);
    sp_names names = {0};
    sp_status st = sp_folder_list(path, any_name, NULL, &names, err);
    for (size_t i = 0; i < names.n && st == SP_OK; i++) {
        char *inner = sp_format("%s/%s", path, names.items[i]);
        st = inner ? add_path(files, inner, depth + 1, err)
                   : SP_FAIL(err, SP_E_MEMORY, "out of memory for the list of inputs");
        sp_free(inner);
    }
    sp_names_free(&names);
    return st;
}

/* "-": a path a line. */
static sp_status add_lines(sp_names *files, sp_error *err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    sp_status st = SP_OK;
    for (size_t number = 1; st == SP_OK && (n = getline(&line, &cap, stdin)) >= 0; number++) {
        if (memchr(line, '\0', (size_t)n)) {
            st = SP_FAIL(err, SP_E_USAGE,
                         "standard input, line %zu: a zero byte; write a path a line (find with -print, not "
                         "-print0)",
                         number);
            break;
        }
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            line[--n] = '\0';
        if (n > 0)
            st = add_path(files, line, 0, err);
    }
    if (st == SP_OK && ferror(stdin))
        st = SP_FAIL(err, SP_E_IO, "standard input cannot be read: %s", strerror(errno));
    free(line);
    return st;
}

static sp_status list_files(const sp_arg_list *rest, sp_names *files, sp_error *err)
{
    for (size_t i = 1; i < rest->n; i++) {
        bool lines = strcmp(rest->items[i], "-") == 0;
        SP_TRY(lines ? add_lines(files, err) : add_path(files, rest->items[i], 0, err));
    }
    return files->n ? SP_OK
                    : SP_FAIL(err, SP_E_DATA,
                              "no files to predict: the folders, or the "
                              "list on standard input, are empty");
}

/* ---- what is told ---- */

typedef struct teller {
    const predict_options *o;
    const sp_inputs *in;
    sp_names classes; /* none: only numbers */
    const sp_session *s;
    int64_t *order; /* [classes], for top-k */
    int64_t steps;
    size_t n, failed;
    sp_status worst;
} teller;

static const sp_column columns[] = {{.key = "input"}, {.key = "rank"},        {.key = "class"},
                                    {.key = "name"},  {.key = "probability"}, {.key = "steps"}};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static char *input_name(const teller *t, size_t index)
{
    const sp_input *in = &t->in->items[index];
    return in->of > 1 ? sp_format("%s[%zu]", in->path, in->at) : sp_strdup(in->path);
}

static json_t *class_json(const teller *t, const sp_prediction *p, int64_t k)
{
    json_t *name = (size_t)k < t->classes.n ? json_string(t->classes.items[k]) /* escaped as it was saved */
                                            : sp_cli_json_text(sp_dataset_class(t->in->set, (int)k));
    return json_pack("{s:I, s:o, s:f}", "class", (json_int_t)k, "name", name, "probability",
                     p->probability[k]);
}

/* Numbers (mse) or labels (bce): every output by itself, in order. */
static const sp_column number_columns[] = {
    {.key = "input"}, {.key = "output"}, {.key = "name"}, {.key = "value"}, {.key = "steps"}};
static const sp_column label_columns[] = {{.key = "input"},       {.key = "output"}, {.key = "name"},
                                          {.key = "probability"}, {.key = "has"},    {.key = "steps"}};

static const sp_column *columns_of(sp_loss loss, size_t *n)
{
    *n = loss == SP_LOSS_MSE   ? sizeof number_columns / sizeof *number_columns
         : loss == SP_LOSS_BCE ? sizeof label_columns / sizeof *label_columns
                               : N_COLUMNS;
    return loss == SP_LOSS_MSE ? number_columns : loss == SP_LOSS_BCE ? label_columns : columns;
}

static json_t *output_json(const teller *t, const sp_prediction *p, int64_t k)
{
    json_t *name = (size_t)k < t->classes.n ? json_string(t->classes.items[k]) : json_null();
    bool labels = t->s->recipe.loss == SP_LOSS_BCE;
    return json_pack("{s:I, s:o, s:f, s:o*}", "output", (json_int_t)k, "name", name,
                     labels ? "probability" : "value", p->probability[k], "has",
                     labels ? json_boolean(p->probability[k] > 0.5) : NULL);
}

/* The largest first, of equal ones the first; the best of all as evaluation finds it. */
static void sort_classes(teller *t, const sp_prediction *p)
{
    int64_t n = t->s->graph->classes;
    for (int64_t k = 0; k < n; k++)
        t->order[k] = k;
    for (int64_t i = 0; i < t->o->top_k; i++)
        for (int64_t k = n - 1; k > i; k--) {
            int64_t a = t->order[k - 1], b = t->order[k];
            if (b == p->best || (a != p->best && p->logits[b] > p->logits[a])) {
                t->order[k - 1] = b;
                t->order[k] = a;
            }
        }
}

static sp_status print_json(teller *t, const char *name, const sp_prediction *p)
{
    if (p->failure)
        return sp_cli_json_line(json_pack("{s:o, s:o}", "input", sp_cli_json_text(name), "error",
                                          sp_cli_json_text(p->failure->text)));
    const bool targets = t->s->recipe.loss != SP_LOSS_CROSS_ENTROPY;
    json_t *top = json_array(), *logits = json_array(),
           *out = targets ? json_object() : class_json(t, p, p->best);
    for (int64_t i = 0; i < t->o->top_k; i++)
        json_array_append_new(top, targets ? output_json(t, p, i) : class_json(t, p, t->order[i]));
    for (int64_t k = 0; k < t->s->graph->classes; k++)
        json_array_append_new(logits, json_real((double)p->logits[k]));
    json_object_set_new(out, "input", sp_cli_json_text(name));
    json_object_set_new(out, "steps", json_integer((json_int_t)p->steps));
    json_object_set_new(out, targets ? "outputs" : "top", top);
    json_object_set_new(out, "logits", logits);
    if (t->o->record)
        json_object_set_new(out, "row", json_integer((json_int_t)p->row));
    return sp_cli_json_line(out);
}

static sp_status print_csv(teller *t, const char *name, const sp_prediction *p, sp_error *err)
{
    const sp_loss loss = t->s->recipe.loss;
    sp_text text = {0};
    size_t n;
    const sp_column *c = columns_of(loss, &n);
    for (int64_t i = 0; i < t->o->top_k; i++) {
        json_t *row = loss ? output_json(t, p, i) : class_json(t, p, t->order[i]);
        json_object_set_new(row, "input", sp_cli_json_text(name));
        json_object_set_new(row, "rank", json_integer((json_int_t)i + 1));
        json_object_set_new(row, "steps", json_integer((json_int_t)p->steps));
        sp_table_csv(&text, c, n, row);
        json_decref(row);
    }
    sp_status st = text.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the output") : SP_OK;
    if (st == SP_OK)
        fputs(text.s, stdout);
    sp_text_free(&text);
    return st;
}

static sp_status tell(void *ctx, const sp_prediction *p, sp_error *err)
{
    teller *t = ctx;
    char *name = input_name(t, p->index);
    sp_status st = name ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the output");
    t->n++;
    t->steps += p->failure ? 0 : p->steps;
    if (p->failure) {
        t->failed++;
        t->worst = p->failure->status;
        sp_text line = {0}; /* names of files may have line feeds */
        sp_text_escape(&line, p->failure->text, false);
        sp_log(SP_LOG_ERROR, "%s", line.s ? line.s : "");
        sp_text_free(&line);
    } else if (st == SP_OK) {
        sort_classes(t, p);
    }
    if (st == SP_OK && t->o->json)
        st = print_json(t, name, p);
    else if (st == SP_OK && !p->failure)
        st = print_csv(t, name, p, err);
    sp_free(name);
    return st;
}

/* ---- the command ---- */

static sp_status run(sp_session *s, teller *t, const sp_names *files, double confidence, sp_error *err)
{
    const predict_options *o = t->o;
    sp_predict_options po = {.confidence = confidence,
                             .stop = sp_cli_catch_signals(),
                             .report = tell,
                             .ctx = t};
    uint64_t start = sp_clock_ns();
    if (o->record) {
        SP_TRY(sp_record_create(s, o->record, &po.record, err));
        sp_status to =
            sp_record_check_output(po.record, o->record_to, (const char *const *)files->items, files->n, err);
        if (to != SP_OK) {
            sp_record_destroy(&po.record);
            return to;
        }
    }
    if (!o->json) {
        sp_text head = {0};
        size_t n;
        const sp_column *c = columns_of(s->recipe.loss, &n);
        sp_table_csv(&head, c, n, NULL);
        fputs(head.s ? head.s : "", stdout);
        sp_text_free(&head);
    }
    sp_status st = sp_session_predict(s, t->in->set, &po, err);
    double seconds = (double)(sp_clock_ns() - start) * 1e-9;
    if (st == SP_OK && o->record && t->n > t->failed)
        st = sp_record_write(po.record, o->record_to, err);
    sp_record_destroy(&po.record);
    SP_TRY(st);
    size_t right = t->n - t->failed;
    sp_cli_say("%zu inputs in %.2f s: %.1f a second, %.2f time steps each\n", right, seconds,
               (double)right / seconds, right ? (double)t->steps / (double)right : 0.0);
    return t->failed ? SP_FAIL(err, t->worst, "%zu of %zu inputs could not be read; %s", t->failed, t->n,
                               right ? "the others are predicted" : "nothing is predicted")
                     : SP_OK;
}

static sp_status predict(const sp_arg_list *rest, predict_options *o, double confidence, sp_error *err)
{
    sp_cli_trained trained;
    sp_names files = {0};
    sp_inputs in = {0};
    teller t = {.o = o, .in = &in};
    sp_status st = list_files(rest, &files, err);
    if (st != SP_OK) {
        sp_names_free(&files);
        return st;
    }
    o->session.input = files.items[0];
    SP_TRY_GOTO(sp_cli_trained_open(rest->items[0], &o->session, false, &trained, err));
    t.s = trained.s;
    SP_TRY_GOTO(sp_checkpoint_classes(&trained.checkpoint, &t.classes, err));
    sp_dataset_options data = sp_session_dataset_options(&t.s->recipe, false);
    SP_TRY_GOTO(sp_inputs_open(&data, &t.s->data, (const char *const *)files.items, files.n, &in, err));
    if (t.s->recipe.loss && (o->top_k > 1 || confidence > 0))
        SP_TRY_GOTO(SP_FAIL(err, SP_E_USAGE,
                            "--top-k and --confidence are about one class among several, and this network "
                            "gives %s; leave them out",
                            t.s->recipe.loss == SP_LOSS_MSE ? "numbers" : "several labels"));
    o->top_k = o->top_k < t.s->graph->classes && !t.s->recipe.loss ? o->top_k : t.s->graph->classes;
    t.order = sp_alloc_array((size_t)t.s->graph->classes, sizeof *t.order);
    st = t.order ? run(trained.s, &t, &files, confidence, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    sp_cli_say_programs(t.s->dev, t.s->reg);
done:
    sp_inputs_close(&in);
    sp_names_free(&t.classes);
    sp_names_free(&files);
    sp_free(t.order);
    sp_cli_trained_close(&trained);
    return st;
}

int sp_cmd_predict(int argc, char **argv)
{
    predict_options o = {.top_k = 1, .session = {.command = "predict", .predicts = true}};
    sp_arg_list rest = {.n = 0};
    double confidence = 0;
    size_t n = 0;
    const sp_arg args[] = {
        SP_INTEGER("top-k", 'k', &o.top_k, "N", "the N most probable classes of each input (default 1)", 1,
                   1000),
        SP_TEXT("confidence", 0, &o.confidence, "P",
                "an input ends at the first time step at which a class has this probability"),
        SP_TEXT("record", 0, &o.record, "LAYERS",
                "keep the spikes of these layers (names of `spikeport plan`), logits, or all"),
        SP_TEXT("record-to", 0, &o.record_to, "PATH",
                "with --record: a folder for .npy files, or one .safetensors file"),
        SP_FLAG("json", 0, &o.json, "JSON Lines in place of CSV, with all logits"),
        SP_CLI_WEIGHTS_ARGS(o.session),
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        SP_CLI_PROGRAMS_ARG(o.session),
    };
    const sp_args a = {.command = "predict",
                       .synopsis = "CHECKPOINT|DIR|RECIPE FILE|FOLDER|-... [options]",
                       .about = "Predicts the classes of files with a trained network: pictures (PNG, JPEG), "
                                "arrays (.npy), IDX images, or recordings of events, each read as the "
                                "recipe's test data are. \"-\" reads their paths from stdin.",
                       SP_ARGS(args, 2, SP_ARGS_MAX),
                       .notes = "The probability is the softmax of the outputs' mean over the time steps. A "
                                "network for numbers (loss.name: mse) or several labels (bce) gives a line "
                                "for each output: its value, or its probability and whether it is above a "
                                "half. A file that cannot be read is said on stderr, the others go on, and "
                                "the exit code is that of the failure."};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (o.confidence && !sp_args_numbers(o.confidence, 1e-6, 1, false, 1, &confidence, &n))
        return sp_args_wrong(&a, "--confidence %s: a probability above 0, up to 1", o.confidence);
    if (!o.record != !o.record_to)
        return sp_args_wrong(&a, "--record and --record-to go together: which layers, and where to");
    if (o.record && confidence > 0)
        return sp_args_wrong(&a, "--record keeps all time steps; leave --confidence out");
    return predict(&rest, &o, confidence, &err) == SP_OK ? 0 : sp_cli_fail("predict", &err);
}
