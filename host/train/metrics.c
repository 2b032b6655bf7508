/* metrics.jsonl: appended during training, flushed by line. On resume the lines after the checkpoint are
 * dropped, so that the file reads as if the run had never stopped. metrics.csv has the numbers of its
 * mini-batches and epochs, a row each, and is made from the same objects. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "spikeport/version.h"
#include "train/train.h"

struct sp_metrics {
    FILE *f, *csv;
    char *path, *csv_path;
    json_t *start; /* the last start that is in the file already */
};

static sp_status io_error(const char *path, sp_error *err)
{
    return SP_FAIL(err, SP_E_IO, "%s: %s", path, strerror(errno));
}

static const char *const columns[] = {"event",
                                      "iteration",
                                      "epoch",
                                      "batch",
                                      "loss",
                                      "accuracy",
                                      "test_loss",
                                      "test_accuracy",
                                      "lr",
                                      "spike_rate",
                                      "samples_per_second",
                                      "seconds",
                                      "test_squared_error",
                                      "test_absolute_error"};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

/* A number; of spike rates, the mean over the layers; nothing where the event has none. */
static void add_cell(const json_t *j, sp_text *out)
{
    const char *layer;
    json_t *rate;
    double sum = 0;
    json_object_foreach((json_t *)j, layer, rate) sum += json_number_value(rate);
    if (json_is_object(j) && json_object_size(j))
        sp_text_number(out, sum / (double)json_object_size(j));
    else if (json_is_number(j))
        sp_text_number(out, json_number_value(j));
}

static void add_row(const json_t *j, sp_text *out)
{
    const char *event = json_string_value(json_object_get(j, "event"));
    if (!event || (strcmp(event, "batch") != 0 && strcmp(event, "epoch") != 0))
        return;
    sp_text_add(out, "%s", event);
    for (int i = 1; i < N_COLUMNS; i++) {
        sp_text_add(out, ",");
        add_cell(json_object_get(j, columns[i]), out);
    }
    sp_text_add(out, "\n");
}

/* The line of an epoch is written before its checkpoint: one that has no checkpoint yet will come again. */
static bool keep_line(sp_metrics *m, const char *line, const sp_progress *p, sp_text *rows)
{
    json_t *j = json_loads(line, 0, NULL);
    const char *event = json_string_value(json_object_get(j, "event"));
    bool ok = event && json_integer_value(json_object_get(j, "iteration")) <= p->iteration &&
              strcmp(event, "end") != 0 &&
              (strcmp(event, "epoch") != 0 || json_integer_value(json_object_get(j, "epoch")) <= p->epoch);
    if (ok && strcmp(event, "start") == 0) {
        json_decref(m->start);
        m->start = json_incref(j);
    }
    if (ok)
        add_row(j, rows);
    json_decref(j);
    return ok;
}

/* Puts the lines to keep, none for a run that starts, in place of the old file. */
static sp_status truncate_metrics(sp_metrics *m, const sp_progress *p, sp_error *err)
{
    sp_lines lines = {0};
    sp_text kept = {0}, rows = {0};
    sp_text_add(&kept, "%s", "");
    for (int i = 0; i < N_COLUMNS; i++)
        sp_text_add(&rows, "%s%s", columns[i], i + 1 < N_COLUMNS ? "," : "\n");
    /* resumed into another folder there is no file: the metrics start anew */
    if (p && !sp_lines_open(&lines, NULL, m->path, err) && errno != ENOENT)
        return SP_E_IO;
    while (sp_lines_next(&lines))
        if (keep_line(m, lines.text, p, &rows))
            sp_text_add(&kept, "%s", lines.text);
    sp_lines_close(&lines);
    sp_status st = sp_file_replace_text(m->path, kept.failed ? NULL : kept.s, err);
    if (st == SP_OK)
        st = sp_file_replace_text(m->csv_path, rows.failed ? NULL : rows.s, err);
    sp_text_free(&kept);
    sp_text_free(&rows);
    return st;
}

sp_status sp_metrics_open(const char *folder, const sp_progress *resume, sp_metrics **out, sp_error *err)
{
    sp_metrics *m = sp_alloc(sizeof *m);
    if (m)
        m->path = sp_format("%s/metrics.jsonl", folder), m->csv_path = sp_format("%s/metrics.csv", folder);
    sp_status st =
        m && m->path && m->csv_path ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the metrics");
    if (st == SP_OK)
        st = truncate_metrics(m, resume, err);
    if (st == SP_OK && !(m->f = fopen(m->path, "ae")))
        st = io_error(m->path, err);
    if (st == SP_OK && !(m->csv = fopen(m->csv_path, "ae")))
        st = io_error(m->csv_path, err);
    if (st != SP_OK)
        sp_metrics_close(&m);
    *out = m;
    return st;
}

void sp_metrics_close(sp_metrics **pm)
{
    if (!pm || !*pm)
        return;
    if ((*pm)->f)
        fclose((*pm)->f);
    if ((*pm)->csv)
        fclose((*pm)->csv);
    sp_free((*pm)->path);
    sp_free((*pm)->csv_path);
    json_decref((*pm)->start);
    sp_free(*pm);
    *pm = NULL;
}

static json_t *rates_json(const sp_session *s, const double *rates)
{
    json_t *o = json_object();
    for (int i = 0; rates && i < s->graph->n_nodes; i++)
        if (sp_node_fires(&s->graph->nodes[i]))
            json_object_set_new(o, s->graph->nodes[i].name, json_real(rates[i]));
    return o;
}

static json_t *start_json(const sp_train_event *e)
{
    const sp_session *s = e->session;
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "event", "start",
                     "schema", "spikeport-metrics/1", "spikeport", SPIKEPORT_VERSION, "iteration",
                     (json_int_t)e->iteration, "name", s->recipe.name, "device", s->dev->info.name, "driver",
                     s->dev->info.driver, "method", sp_method_name(s->recipe.method), "time_steps",
                     (json_int_t)s->recipe.time_steps, "batch", (json_int_t)s->recipe.batch, "parameters",
                     (json_int_t)s->graph->n_trainable, "planned_bytes", (json_int_t)s->planned_bytes,
                     "epochs", (json_int_t)e->epochs);
}

/* JSON has no NaN: what has no meaning is null. */
static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *layers_json(const sp_session *s, const sp_similarity_report *r, int method)
{
    json_t *o = json_object();
    for (int i = 0; i < r->n_params; i++) {
        const sp_similarity_score *x = &r->scores[(size_t)method * (size_t)r->n_params + (size_t)i];
        if (s->graph->params[i].trainable)
            json_object_set_new(o, s->graph->params[i].name,
                                json_pack("[o, o]", number_or_null(x->cosine),
                                          number_or_null(x->norm_ratio)));
    }
    return o;
}

/* "iteration" is that of the mini-batch that is about to run, so that resuming keeps or repeats the line as
 * it should. */
static json_t *similarity_json(const sp_train_event *e)
{
    const sp_similarity_report *r = e->similarity;
    json_t *methods = json_object();
    for (int i = 0; i < r->n_methods; i++) {
        char name[32];
        sp_compared_name(&r->methods[i], name, sizeof name);
        json_object_set_new(methods, name,
                            json_pack("{s:o, s:o, s:o, s:I, s:o}", "cosine", number_or_null(r->cosine[i]),
                                      "least_cosine", number_or_null(r->least[i]), "norm_ratio",
                                      number_or_null(r->norm_ratio[i]), "steps", (json_int_t)r->steps[i],
                                      "parameters", layers_json(e->session, r, i)));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:s, s:o}", "event", "gradient_similarity", "iteration",
                     (json_int_t)e->iteration + 1, "epoch", (json_int_t)e->epoch, "batch",
                     (json_int_t)e->batch, "reference", sp_method_name(r->reference), "methods", methods);
}

static json_t *event_json(const sp_train_event *e)
{
    const sp_session *s = e->session;
    if (e->kind == SP_EVENT_START)
        return start_json(e);
    if (e->kind == SP_EVENT_BATCH)
        return json_pack("{s:s, s:I, s:I, s:I, s:f, s:o, s:f, s:f, s:f, s:o}", "event", "batch", "iteration",
                         (json_int_t)e->iteration, "epoch", (json_int_t)e->epoch, "batch",
                         (json_int_t)e->batch, "loss", e->loss, "accuracy", number_or_null(e->accuracy), "lr",
                         e->lr, "samples_per_second", e->samples_per_second, "backprop_steps",
                         e->backprop_steps, "spike_rate", rates_json(s, e->spike_rate));
    if (e->kind == SP_EVENT_EPOCH)
        return json_pack("{s:s, s:I, s:I, s:f, s:o, s:f, s:o, s:f, s:f, s:f, s:f, s:I, s:o, s:o*, s:o*}",
                         "event", "epoch", "iteration", (json_int_t)e->iteration, "epoch",
                         (json_int_t)e->epoch, "loss", e->loss, "accuracy", number_or_null(e->accuracy),
                         "test_loss", e->test.loss, "test_accuracy", number_or_null(e->test.accuracy), "lr",
                         e->lr, "seconds", e->epoch_seconds, "cpu_seconds", e->epoch_cpu_seconds,
                         "test_seconds", e->test.seconds, "peak_bytes", (json_int_t)s->dev->peak_bytes,
                         "spike_rate", rates_json(s, e->spike_rate), "test_squared_error",
                         s->recipe.loss == SP_LOSS_MSE ? json_real(e->test.squared) : NULL,
                         "test_absolute_error",
                         s->recipe.loss == SP_LOSS_MSE ? json_real(e->test.absolute) : NULL);
    if (e->kind == SP_EVENT_SIMILARITY)
        return similarity_json(e);
    return json_pack("{s:s, s:I, s:o*}", "event", "end", "iteration", (json_int_t)e->iteration,
                     "best_accuracy", s->recipe.loss == SP_LOSS_MSE ? NULL : json_real(e->best_accuracy));
}

static json_t *by_rank(const double *x, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_real(x[i]));
    return list;
}

static void add_ranks(json_t *j, const sp_train_event *e)
{
    const int n = e->ranks->size;
    if (e->kind == SP_EVENT_START)
        json_object_set_new(j, "ranks", json_integer(n));
    if (e->kind != SP_EVENT_BATCH)
        return;
    json_object_set_new(j, "rank_wait", by_rank(e->rank_time->wait, n));
    json_object_set_new(j, "rank_sum", by_rank(e->rank_time->sum, n));
}

static sp_status write_text(FILE *f, const char *path, const char *text, const char *end, sp_error *err)
{
    return fprintf(f, "%s%s", text, end) >= 0 && fflush(f) == 0 ? SP_OK : io_error(path, err);
}

sp_status sp_metrics_event(sp_metrics *m, const sp_train_event *e, sp_error *err)
{
    json_t *j = event_json(e);
    if (e->ranks)
        add_ranks(j, e);
    if (e->kind == SP_EVENT_START && m->start) { /* a run that goes on as it started has one start */
        json_object_set(m->start, "iteration", json_object_get(j, "iteration"));
        if (json_equal(m->start, j)) {
            json_decref(j);
            return SP_OK;
        }
    }
    char *text = sp_json_text(j, JSON_COMPACT);
    sp_text row = {0};
    add_row(j, &row);
    json_decref(j);
    sp_status st = !text        ? SP_FAIL(err, SP_E_FAILED, "%s: could not write an event as JSON", m->path)
                   : row.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the metrics")
                                : write_text(m->f, m->path, text, "\n", err);
    if (st == SP_OK && row.s)
        st = write_text(m->csv, m->csv_path, row.s, "", err);
    sp_free(text);
    sp_text_free(&row);
    return st;
}
