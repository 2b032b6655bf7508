/* Tables and figures of `spikeport reproduce`: JSON, CSV, Markdown, PNG from one summary. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "lab/internal.h"

typedef enum { TEXT, NUMBER, PERCENT, SPREAD, MEMORY, RATIO, COSINE, MS, SECONDS, GIGA, HOURS } column_kind;

/* A column of both tables. head NULL: in the CSV only. `paper.` looks into the paper's figures. */
typedef struct column {
    const char *key, *head;
    column_kind kind;
} column;

/* "of" stands for the group's baseline. */
static const column columns[] = {{"group", NULL, TEXT},
                                 {"method", "method", TEXT},
                                 {"at", "at", NUMBER},
                                 {"status", NULL, TEXT},
                                 {"reason", NULL, TEXT},
                                 {"recipe", NULL, TEXT},
                                 {"seeds", NULL, NUMBER},
                                 {"accuracy", "accuracy after the last epoch", SPREAD},
                                 {"accuracy_min", NULL, PERCENT},
                                 {"accuracy_max", NULL, PERCENT},
                                 {"best_accuracy", "best epoch", PERCENT},
                                 {"device_bytes", "device memory", MEMORY},
                                 {"memory_ratio", "of", RATIO},
                                 {"step_ms", "step, ms", MS},
                                 {"step_ms_p5", NULL, MS},
                                 {"step_ms_p95", NULL, MS},
                                 {"step_ratio", "of", RATIO},
                                 {"step_ratio_p5", NULL, RATIO},
                                 {"step_ratio_p95", NULL, RATIO},
                                 {"step_cpu_ms", "CPU ms", MS},
                                 {"step_cpu_ratio", "of", RATIO},
                                 {"rounds", NULL, NUMBER},
                                 {"epoch_seconds", "epoch, s", SECONDS},
                                 {"epoch_ratio", NULL, RATIO},
                                 {"epoch_cpu_seconds", "CPU s", SECONDS},
                                 {"epoch_cpu_ratio", "of", RATIO},
                                 {"cosine_first", "cosine at the start", COSINE},
                                 {"cosine_mean", "mean", COSINE},
                                 {"cosine_last", "at the end", COSINE},
                                 {"paper_size_bytes", "planned at the paper's size", MEMORY},
                                 {"paper_size_ratio", "of", RATIO},
                                 {"paper.accuracy", "paper: accuracy", PERCENT},
                                 {"paper.memory_gb", "paper: memory", GIGA},
                                 {"paper_memory_ratio", "of", RATIO},
                                 {"paper.hours", "paper: time", HOURS},
                                 {"paper.epoch_seconds", "paper: epoch, s", SECONDS},
                                 {"paper_time_ratio", "of", RATIO},
                                 {"device", NULL, TEXT},
                                 {"driver", NULL, TEXT},
                                 {"date", NULL, TEXT}};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static const json_t *field(const json_t *row, const column *c)
{
    return strncmp(c->key, "paper.", 6) == 0 ? json_object_get(json_object_get(row, "paper"), c->key + 6)
                                             : json_object_get(row, c->key);
}

/* ---- CSV ---- */

static void add_quoted(sp_text *t, const char *s)
{
    sp_text_add(t, "\"");
    for (; *s; s++)
        sp_text_add(t, "%s%c", *s == '"' ? "\"" : "", *s == '\n' ? ' ' : *s);
    sp_text_add(t, "\"");
}

static void make_csv(const json_t *summary, sp_text *t)
{
    const json_t *groups = json_object_get(summary, "groups");
    for (size_t k = 0; k < N_COLUMNS; k++)
        sp_text_add(t, "%s%s", k ? "," : "", columns[k].key);
    sp_text_add(t, "\n");
    for (size_t g = 0; g < json_array_size(groups); g++) {
        const json_t *rows = json_object_get(json_array_get(groups, g), "rows");
        for (size_t i = 0; i < json_array_size(rows); i++)
            for (size_t k = 0; k < N_COLUMNS; k++) {
                const json_t *v = field(json_array_get(rows, i), &columns[k]);
                if (json_is_string(v))
                    add_quoted(t, json_string_value(v));
                else if (json_is_number(v))
                    sp_text_add(t, "%.8g", json_number_value(v));
                sp_text_add(t, k + 1 < N_COLUMNS ? "," : "\n");
            }
    }
}

/* ---- Markdown ---- */

static void add_memory(sp_text *t, double bytes)
{
    double mib = bytes / 1048576.0;
    if (mib >= 1024)
        sp_text_add(t, "%.2f GiB", mib / 1024);
    else
        sp_text_add(t, "%.1f MiB", mib);
}

static void add_cell(sp_text *t, const json_t *row, const column *c)
{
    const json_t *v = field(row, c);
    double x = json_number_value(v);
    if (!v)
        return;
    switch (c->kind) {
    case TEXT: sp_text_add(t, "%s", json_string_value(v) ? json_string_value(v) : ""); break;
    case NUMBER: sp_text_add(t, "%g", x); break;
    case PERCENT: sp_text_add(t, "%.2f %%", x); break;
    case SPREAD:
        sp_text_add(t, "%.2f %%", x);
        if (spi_number(row, "seeds") > 1)
            sp_text_add(t, " (%.2f to %.2f)", spi_number(row, "accuracy_min"),
                        spi_number(row, "accuracy_max"));
        break;
    case MEMORY: add_memory(t, x); break;
    case RATIO: sp_text_add(t, x < 0.1 ? "%.3f" : "%.2f", x); break;
    case COSINE: sp_text_add(t, "%.4f", x); break;
    case MS: sp_text_add(t, "%.1f", x); break;
    case SECONDS: sp_text_add(t, x < 10 ? "%.2f" : "%.1f", x); break;
    case GIGA: sp_text_add(t, "%.2f G", x); break;
    case HOURS: sp_text_add(t, "%.2f h", x); break;
    }
}

/* A column that no row of the group has is left out. */
static bool is_shown(const json_t *rows, const column *c)
{
    bool any = false;
    for (size_t i = 0; c->head && i < json_array_size(rows); i++)
        any = any || field(json_array_get(rows, i), c);
    return any;
}

static void add_reasons(const json_t *rows, const char *at, sp_text *t)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        const char *reason = spi_text(r, "reason");
        bool said = false;
        for (size_t k = 0; k < i; k++)
            said = said || strcmp(spi_text(json_array_get(rows, k), "reason"), reason) == 0;
        if (!*reason || said)
            continue;
        sp_text_add(t, "\n%s ", strcmp(spi_text(r, "status"), "failed") == 0 ? "Failed:" : "Not measured:");
        bool first = true;
        for (size_t k = i; k < json_array_size(rows); k++) {
            const json_t *o = json_array_get(rows, k);
            if (strcmp(spi_text(o, "reason"), reason) != 0)
                continue;
            sp_text_add(t, "%s%s", first ? "" : ", ", spi_text(o, "method"));
            if (json_object_get(o, "at"))
                sp_text_add(t, " (%s %g)", at, spi_number(o, "at"));
            first = false;
        }
        sp_text_add(t, ": %s.\n", reason);
    }
}

static void add_group(const json_t *g, sp_text *t)
{
    const json_t *rows = json_object_get(g, "rows");
    const char *baseline = spi_text(g, "baseline"), *at = *spi_text(g, "at") ? spi_text(g, "at") : "at";
    sp_text_add(t, "\n## %s\n\n", spi_text(g, "title"));
    if (*spi_text(g, "stands"))
        sp_text_add(t, "Here: %s.\n\n", spi_text(g, "stands"));
    for (int line = 0; line < 2; line++) {
        for (size_t k = 0; k < N_COLUMNS; k++)
            if (is_shown(rows, &columns[k])) {
                const char *head = strcmp(columns[k].key, "at") == 0 ? at : columns[k].head;
                sp_text_add(t, "| %s%s%s ", line ? "---" : head, !line && strcmp(head, "of") == 0 ? " " : "",
                            !line && strcmp(head, "of") == 0 ? baseline : "");
            }
        sp_text_add(t, "|\n");
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        for (size_t k = 0; k < N_COLUMNS; k++)
            if (is_shown(rows, &columns[k])) {
                sp_text_add(t, "| ");
                add_cell(t, json_array_get(rows, i), &columns[k]);
                sp_text_add(t, " ");
            }
        sp_text_add(t, "|\n");
    }
    add_reasons(rows, at, t);
}

/* Every device, driver and date once. */
static void add_places(const json_t *groups, sp_text *t)
{
    json_t *seen = json_object();
    for (size_t g = 0; g < json_array_size(groups); g++) {
        const json_t *rows = json_object_get(json_array_get(groups, g), "rows");
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *r = json_array_get(rows, i);
            char line[512];
            snprintf(line, sizeof line, "%s (%s)%s%s", spi_text(r, "device"), spi_text(r, "driver"),
                     *spi_text(r, "date") ? ", " : "", spi_text(r, "date"));
            if (*spi_text(r, "device") && !json_object_get(seen, line)) {
                sp_text_add(t, "%s%s", json_object_size(seen) ? "; " : "\nMeasured on: ", line);
                json_object_set_new(seen, line, json_true());
            }
        }
    }
    sp_text_add(t, json_object_size(seen) ? ".\n" : "\nNothing has been measured.\n");
    json_decref(seen);
}

static void make_markdown(const json_t *summary, const char *name, bool picture, sp_text *t)
{
    const json_t *groups = json_object_get(summary, "groups");
    sp_text_add(t, "# %s\n\n", spi_text(summary, "title"));
    if (*spi_text(summary, "says"))
        sp_text_add(t, "The paper: %s\n\n", spi_text(summary, "says"));
    sp_text_add(t, "`--scale %s`: %s\n", spi_text(summary, "scale"), spi_text(summary, "about"));
    for (size_t g = 0; g < json_array_size(groups); g++)
        add_group(json_array_get(groups, g), t);
    add_places(groups, t);
    if (picture)
        sp_text_add(t, "\n![%s](%s.png)\n", spi_text(summary, "title"), name);
}

/* ---- pictures ---- */

static void add_curve(spi_lines *l, const char *name, const json_t *points)
{
    for (size_t i = 0; i < json_array_size(points); i++) {
        const json_t *p = json_array_get(points, i);
        spi_lines_put(l, name, json_number_value(json_array_get(p, 0)),
                      json_number_value(json_array_get(p, 1)));
    }
}

/* The rows of the panel's group: a curve each, or points over `at` by method. */
static void gather(const json_t *summary, const json_t *panel, spi_lines *l)
{
    const json_t *groups = json_object_get(summary, "groups");
    const char *y = spi_text(panel, "y"), *key = strcmp(y, "memory_mib") == 0 ? "device_bytes" : y;
    for (size_t g = 0; g < json_array_size(groups); g++) {
        const json_t *group = json_array_get(groups, g), *rows = json_object_get(group, "rows");
        for (size_t i = 0;
             strcmp(spi_text(group, "name"), spi_text(panel, "group")) == 0 && i < json_array_size(rows);
             i++) {
            const json_t *r = json_array_get(rows, i), *v = json_object_get(r, key);
            const char *name = *spi_text(r, "series") ? spi_text(r, "series") : spi_text(r, "method");
            if (json_is_array(v))
                add_curve(l, name, v);
            else if (v && json_object_get(r, "at"))
                spi_lines_put(l, name, spi_number(r, "at"), spi_number(r, key) / (key == y ? 1 : 1048576.0));
        }
    }
}

static sp_status draw(const json_t *summary, const char *path, sp_error *err)
{
    static const char *const labels[][2] = {
        {"accuracy", "accuracy in %"}, {"accuracy_curve", "accuracy in %"},
        {"cosine_curve", "cosine"},    {"step_ms", "ms"},
        {"step_cpu_ms", "CPU ms"},     {"memory_mib", "MiB"},
        {"memory_ratio", "ratio"},     {"step_ratio", "ratio"},
        {"step_cpu_ratio", "ratio"}};
    const json_t *all = json_object_get(summary, "panels");
    size_t n = json_array_size(all);
    spi_lines *l = sp_alloc_array(n, sizeof *l);
    sp_panel *panels = sp_alloc_array(n, sizeof *panels);
    sp_status st = l && panels ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the picture");
    for (size_t i = 0; i < n && st == SP_OK; i++) {
        const json_t *p = json_array_get(all, i);
        const char *y = spi_text(p, "y"), *label = y;
        bool from_zero = strncmp(y, "step", 4) == 0 || strncmp(y, "memory", 6) == 0;
        for (size_t k = 0; k < sizeof labels / sizeof *labels; k++)
            label = strcmp(labels[k][0], y) == 0 ? labels[k][1] : label;
        gather(summary, p, &l[i]);
        panels[i] = (sp_panel){spi_text(p, "title"),        spi_text(p, "x"), label, l[i].series, l[i].n,
                               from_zero ? 0 : (double)NAN, (double)NAN};
    }
    const sp_chart chart = {
        .panels = panels, .n = n, .columns = n < 2 ? n : 2, .panel_width = 560, .panel_height = 400};
    if (st == SP_OK)
        st = sp_chart_write_rows(path, &chart, err);
    sp_free(l);
    sp_free(panels);
    return st;
}

/* ---- files ---- */

static sp_status write_text(const char *folder, const char *name, const char *end, const char *text,
                            sp_error *err)
{
    char *path = sp_format("%s/%s.%s", folder, name, end);
    sp_status st = path ? sp_file_replace_text(path, text, err)
                        : SP_FAIL(err, SP_E_MEMORY, "out of memory for %s.%s", name, end);
    sp_free(path);
    return st;
}

sp_status sp_report_tables(const json_t *summary, const char *folder, const char *name, sp_text *text,
                           sp_error *err)
{
    bool picture = json_array_size(json_object_get(summary, "panels")) > 0;
    sp_text csv = {0};
    char *json = summary ? json_dumps(summary, JSON_INDENT(1) | JSON_REAL_PRECISION(10)) : NULL, *png = NULL;
    sp_status st;
    make_csv(summary, &csv);
    make_markdown(summary, name, picture, text);
    SP_TRY_GOTO(csv.failed || text->failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the tables")
                                           : SP_OK);
    SP_TRY_GOTO(write_text(folder, name, "json", json, err));
    SP_TRY_GOTO(write_text(folder, name, "csv", csv.s, err));
    SP_TRY_GOTO(write_text(folder, name, "md", text->s, err));
    png = sp_format("%s/%s.png", folder, name);
    if (picture)
        SP_TRY_GOTO(png ? draw(summary, png, err)
                        : SP_FAIL(err, SP_E_MEMORY, "out of memory for the picture"));
done:
    free(json);
    sp_free(png);
    sp_text_free(&csv);
    return st;
}
