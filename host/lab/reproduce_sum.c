/* Results of `spikeport reproduce`: what runs and row files hold, put together with ratios, beside the
 * paper's figures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/stats.h"
#include "lab/reproduce.h"

enum { MAX_SECONDS = 4096 };

static double number(const json_t *o, const char *key)
{
    const json_t *x = json_object_get(o, key);
    return x && json_is_number(x) ? json_number_value(x) : (double)NAN;
}

static void put(json_t *o, const char *key, double x)
{
    if (isfinite(x))
        json_object_set_new(o, key, json_real(x));
}

/* ---- one run, from its metrics.jsonl ---- */

typedef struct gathered {
    double last, best, sum_last, sum_best, low, high, peak;
    double seconds[MAX_SECONDS],
        cpu[MAX_SECONDS]; /* of every epoch: training and test; training's processor time */
    size_t n, runs;
    double epoch_end; /* mini-batches done by then */
    bool partial;     /* the run went on within this epoch: its seconds are not those of a whole one */
    json_t *accuracy, *cosine; /* of the first run: [epoch, %], [mini-batches, cosine] */
    char device[256], driver[128], date[16];
} gathered;

static void add_point(json_t *list, double x, double y)
{
    if (isfinite(x) && isfinite(y))
        json_array_append_new(list, json_pack("[f, f]", x, y));
}

static void read_event(gathered *g, const json_t *j)
{
    const char *event = json_string_value(json_object_get(j, "event"));
    if (event && strcmp(event, "start") == 0) {
        snprintf(g->device, sizeof g->device, "%s", json_string_value(json_object_get(j, "device")));
        snprintf(g->driver, sizeof g->driver, "%s", json_string_value(json_object_get(j, "driver")));
        g->partial = number(j, "iteration") > g->epoch_end;
    } else if (event && strcmp(event, "epoch") == 0) {
        g->last = 100 * number(j, "test_accuracy");
        g->best = fmax(g->best, g->last);
        g->peak = fmax(g->peak, number(j, "peak_bytes"));
        if (g->runs == 0)
            add_point(g->accuracy, number(j, "epoch"), g->last);
        if (g->n < MAX_SECONDS && !g->partial) {
            g->seconds[g->n] = number(j, "seconds") + number(j, "test_seconds");
            g->cpu[g->n++] = number(j, "cpu_seconds");
        }
        g->partial = false;
        g->epoch_end = number(j, "iteration");
    } else if (event && strcmp(event, "gradient_similarity") == 0 && g->runs == 0) {
        const json_t *sltt = json_object_get(json_object_get(j, "methods"), "sltt");
        add_point(g->cosine, number(j, "iteration") - 1, number(sltt, "cosine"));
    }
}

/* False: the run has not ended. */
static bool read_run(gathered *g, const char *folder)
{
    sp_lines lines;
    bool end = false;
    struct stat info;
    g->best = g->last = -1;
    g->epoch_end = 0;
    sp_lines_open(&lines, folder, "metrics.jsonl", NULL);
    for (json_t *j; (j = sp_lines_json(&lines)) != NULL; json_decref(j)) {
        read_event(g, j);
        end = end || json_object_get(j, "best_accuracy"); /* only the event "end" has it */
    }
    if (lines.f && fstat(fileno(lines.f), &info) == 0)
        snprintf(g->date, sizeof g->date, "%s", sp_date_of(info.st_mtime).text);
    sp_lines_close(&lines);
    return end;
}

static void add_place(json_t *out, const char *device, const char *driver, const char *date)
{
    json_object_set_new(out, "device", sp_cli_json_text(device));
    json_object_set_new(out, "driver", sp_cli_json_text(driver));
    json_object_set_new(out, "date", json_string(date));
}

static void add_cosines(const json_t *points, json_t *out)
{
    size_t n = json_array_size(points);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double cosine = json_number_value(json_array_get(json_array_get(points, i), 1));
        sum += cosine;
        if (i == 0)
            put(out, "cosine_first", cosine);
        if (i + 1 == n)
            put(out, "cosine_last", cosine);
    }
    put(out, "cosine_mean", sum / (double)n); /* without points: not a number, left out */
}

/* All seeds of a row that have ended; how many. */
static size_t add_runs(const sp_reproduce *p, const sp_reproduce_row *r, gathered *g, json_t *out)
{
    const json_t *seeds = sp_reproduce_seeds(r);
    g->accuracy = json_array();
    g->cosine = json_array();
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        char *folder = sp_reproduce_folder(p, r, json_integer_value(json_array_get(seeds, i)));
        size_t before = g->n;
        if (!folder || !read_run(g, folder)) {
            g->n = before;
        } else {
            g->low = g->runs ? fmin(g->low, g->last) : g->last;
            g->high = g->runs ? fmax(g->high, g->last) : g->last;
            g->sum_last += g->last;
            g->sum_best += g->best;
            g->runs++;
        }
        sp_free(folder);
    }
    if (g->runs) {
        sp_sort(g->seconds, g->n);
        sp_sort(g->cpu, g->n);
        put(out, "seeds", (double)g->runs);
        put(out, "accuracy", g->sum_last / (double)g->runs);
        put(out, "accuracy_min", g->low);
        put(out, "accuracy_max", g->high);
        put(out, "best_accuracy", g->sum_best / (double)g->runs);
        put(out, "device_bytes", g->peak);
        put(out, "epoch_seconds", sp_quantile(g->seconds, g->n, 0.5));
        put(out, "epoch_cpu_seconds", sp_quantile(g->cpu, g->n, 0.5));
        json_object_set(out, "accuracy_curve", g->accuracy);
        json_object_set(out, "cosine_curve", g->cosine);
        add_cosines(g->cosine, out);
        add_place(out, g->device, g->driver, g->date);
    }
    json_decref(g->accuracy);
    json_decref(g->cosine);
    return g->runs;
}

/* ---- one row ---- */

static void add_quantiles(json_t *out, const json_t *from, const char *key, const char *name)
{
    static const char *const ends[] = {"", "_p5", "_p95"};
    const json_t *q = json_object_get(from, key);
    for (size_t i = 0; q && i < 3; i++) {
        char full[64];
        snprintf(full, sizeof full, "%s%s", name, ends[i]);
        put(out, full, json_number_value(json_array_get(q, i)));
    }
}

static void add_state(const sp_reproduce_row *r, json_t *out)
{
    const json_t *step = json_object_get(r->state, "step"), *memory = json_object_get(r->state, "memory");
    put(out, "paper_size_bytes", number(json_object_get(r->state, "paper_size"), "bytes"));
    if (step && sp_reproduce_wants(r, "step")) {
        add_quantiles(out, step, "ms", "step_ms");
        add_quantiles(out, step, "cpu_ms", "step_cpu_ms");
        add_quantiles(out, step, "ratio", "step_ratio");
        add_quantiles(out, step, "cpu_ratio", "step_cpu_ratio");
        put(out, "rounds", number(step, "rounds"));
    }
    if (!json_object_get(out, "device_bytes"))
        put(out, "device_bytes", number(step, "device_bytes"));
    if (!json_object_get(out, "device_bytes"))
        put(out, "device_bytes", number(memory, "bytes"));
    const json_t *from = step ? step : memory;
    if (from && !json_object_get(out, "device"))
        add_place(out, json_string_value(json_object_get(from, "device")),
                  json_string_value(json_object_get(from, "driver")),
                  json_string_value(json_object_get(from, "date")));
}

/* Another program's measurement: the last line of a JSON Lines file in OUT in which all of `match` stands. */
static bool add_external(const sp_reproduce *p, const json_t *external, json_t *out)
{
    const char *name = json_string_value(json_object_get(external, "file")), *key;
    sp_lines lines;
    bool found = false;
    json_t *want;
    sp_lines_open(&lines, p->root, name ? name : "", NULL);
    for (json_t *j; (j = sp_lines_json(&lines)) != NULL; json_decref(j)) {
        bool fits = true;
        json_object_foreach(json_object_get(external, "match"), key, want) fits =
            fits && json_equal(want, json_object_get(j, key));
        if (fits) {
            const char *program = json_string_value(json_object_get(external, "program"));
            const char *version = json_string_value(json_object_get(j, "pytorch"));
            put(out, "device_bytes", number(j, json_string_value(json_object_get(external, "bytes"))));
            add_place(out, program ? program : "", version ? version : "", "");
            if (json_object_get(j, "date"))
                json_object_set(out, "date", json_object_get(j, "date"));
        }
        found = found || fits;
    }
    sp_lines_close(&lines);
    return found;
}

/* "measured", "not measured" or "failed", with the reason. */
static void add_status(const sp_reproduce_row *r, size_t runs, bool found, json_t *out)
{
    const json_t *external = json_object_get(r->row, "external"), *skip = json_object_get(r->scale, "skip");
    bool missing = (sp_reproduce_wants(r, "train") && runs < json_array_size(sp_reproduce_seeds(r))) ||
                   (sp_reproduce_wants(r, "step") && !json_object_get(r->state, "step")) ||
                   (sp_reproduce_wants(r, "memory") && !json_object_get(r->state, "memory"));
    const char *status = "measured", *reason = NULL;
    if (external)
        reason = found ? NULL : json_string_value(json_object_get(external, "otherwise"));
    else if (skip || !r->recipe)
        reason = skip ? json_string_value(skip) : "no recipe for this row at this scale";
    else if (r->why.status)
        reason = r->why.text;
    else if (missing)
        reason = "not run yet, or not to the end; the same command without --table goes on";
    if (reason)
        status = r->why.status && r->why.status != SP_E_DATA ? "failed" : "not measured";
    json_object_set_new(out, "status", json_string(status));
    if (reason)
        json_object_set_new(out, "reason", sp_cli_json_text(reason));
}

static json_t *row_summary(const sp_reproduce *p, const sp_reproduce_row *r)
{
    static const char *const copied[] = {"method", "series", "at", "paper"};
    json_t *out = json_object(), *external = json_object_get(r->row, "external");
    gathered *g = sp_alloc(sizeof *g);
    json_object_set(out, "group", json_object_get(r->group, "name"));
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        if (json_object_get(r->row, copied[i]))
            json_object_set(out, copied[i], json_object_get(r->row, copied[i]));
    json_object_set(out, "recipe", json_object_get(r->row, p->scale));
    size_t runs = g && sp_reproduce_wants(r, "train") ? add_runs(p, r, g, out) : 0;
    bool found = external && add_external(p, external, out);
    add_state(r, out);
    add_status(r, runs, found, out);
    sp_free(g);
    return out;
}

/* ---- ratios to the group's baseline, at the same `at` where it has several ---- */

static void add_ratio(json_t *row, const json_t *base, const char *key, const char *name)
{
    put(row, name, number(row, key) / number(base, key));
}

static void add_ratios(json_t *rows, const char *baseline, bool one)
{
    json_t *row, *other;
    size_t i, k;
    json_array_foreach(rows, i, row)
    {
        const json_t *base = NULL;
        json_array_foreach(rows, k, other) if (strcmp(json_string_value(json_object_get(other, "method")),
                                                      baseline) == 0 &&
                                               (one || json_number_value(json_object_get(row, "at")) ==
                                                           json_number_value(json_object_get(other, "at"))))
            base = other;
        if (!base)
            continue;
        add_ratio(row, base, "device_bytes", "memory_ratio");
        add_ratio(row, base, "epoch_seconds", "epoch_ratio");
        add_ratio(row, base, "epoch_cpu_seconds", "epoch_cpu_ratio");
        add_ratio(row, base, "paper_size_bytes", "paper_size_ratio");
        json_t *paper = json_object_get(row, "paper"), *from = json_object_get(base, "paper");
        if (paper && from) {
            put(row, "paper_memory_ratio", number(paper, "memory_gb") / number(from, "memory_gb"));
            put(row, "paper_time_ratio", number(paper, "hours") / number(from, "hours"));
            if (json_object_get(paper, "epoch_seconds"))
                put(row, "paper_time_ratio", number(paper, "epoch_seconds") / number(from, "epoch_seconds"));
        }
    }
}

json_t *sp_reproduce_summary(const sp_reproduce *p)
{
    static const char *const copied[] = {"title", "says", "panels"};
    json_t *out = json_object(), *groups = json_array(), *group = NULL, *rows = NULL;
    const json_t *last = NULL;
    json_object_set_new(out, "schema", json_string("spikeport-reproduce/1"));
    for (size_t i = 0; i < 3; i++)
        if (json_object_get(p->doc, copied[i]))
            json_object_set(out, copied[i], json_object_get(p->doc, copied[i]));
    json_object_set_new(out, "scale", json_string(p->scale));
    json_object_set(out, "about", json_object_get(json_object_get(p->doc, "scales"), p->scale));
    for (size_t i = 0; i < p->n_rows; i++) {
        const sp_reproduce_row *r = &p->rows[i];
        if (r->group != last) {
            last = r->group;
            rows = json_array();
            group = json_pack("{s:O, s:O, s:O*, s:O*, s:O*, s:o}", "name", json_object_get(r->group, "name"),
                              "title", json_object_get(r->group, "title"), "baseline",
                              json_object_get(r->group, "baseline"), "at", json_object_get(r->group, "at"),
                              "stands", json_object_get(r->scale, "stands"), "rows", rows);
            json_array_append_new(groups, group);
        }
        json_array_append_new(rows, row_summary(p, r));
        if (i + 1 == p->n_rows || p->rows[i + 1].group != r->group) {
            const char *baseline = json_string_value(json_object_get(r->group, "baseline"));
            add_ratios(rows, baseline ? baseline : "", sp_reproduce_one_baseline(r->group));
        }
    }
    json_object_set_new(out, "groups", groups);
    return out;
}
