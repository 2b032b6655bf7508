/* Tables and figures of `spikeport reproduce`: JSON, CSV, Markdown, PNG from one summary. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/table.h"
#include "lab/report.h"
#include "plot/picture.h"

static void add_memory(sp_text *t, const json_t *row, const json_t *v)
{
    double mib = json_number_value(v) / 1048576.0;
    (void)row;
    sp_text_add(t, mib >= 1024 ? "%.2f GiB" : "%.1f MiB", mib >= 1024 ? mib / 1024 : mib);
}

static void add_ratio(sp_text *t, const json_t *row, const json_t *v)
{
    (void)row;
    sp_text_add(t, json_number_value(v) < 0.1 ? "%.3f" : "%.2f", json_number_value(v));
}

static void add_seconds(sp_text *t, const json_t *row, const json_t *v)
{
    (void)row;
    sp_text_add(t, json_number_value(v) < 10 ? "%.2f" : "%.1f", json_number_value(v));
}

static void add_spread(sp_text *t, const json_t *row, const json_t *v)
{
    sp_text_add(t, "%.2f %%", json_number_value(v));
    if (spi_number(row, "seeds") > 1)
        sp_text_add(t, " (%.2f to %.2f)", spi_number(row, "accuracy_min"), spi_number(row, "accuracy_max"));
}

#define IN_CSV(name)                                                                                         \
    {                                                                                                        \
        .key = name                                                                                          \
    }
#define TEXT(name)                                                                                           \
    {                                                                                                        \
        .key = name, .head = name                                                                            \
    }
#define NUMBER(name, title, places, after)                                                                   \
    {                                                                                                        \
        .key = name, .head = title, .digits = places, .unit = after                                          \
    }
#define CELL(name, title, writer)                                                                            \
    {                                                                                                        \
        .key = name, .head = title, .cell = writer                                                           \
    }

/* "of" stands for the group's baseline. */
static const sp_column columns[] = {IN_CSV("group"),
                                    TEXT("method"),
                                    NUMBER("at", "at", -6, NULL),
                                    IN_CSV("status"),
                                    IN_CSV("reason"),
                                    IN_CSV("recipe"),
                                    IN_CSV("seeds"),
                                    CELL("accuracy", "accuracy after the last epoch", add_spread),
                                    IN_CSV("accuracy_min"),
                                    IN_CSV("accuracy_max"),
                                    NUMBER("best_accuracy", "best epoch", 2, " %"),
                                    CELL("device_bytes", "device memory", add_memory),
                                    CELL("memory_ratio", "of", add_ratio),
                                    NUMBER("step_ms", "step, ms", 1, NULL),
                                    IN_CSV("step_ms_p5"),
                                    IN_CSV("step_ms_p95"),
                                    CELL("step_ratio", "of", add_ratio),
                                    IN_CSV("step_ratio_p5"),
                                    IN_CSV("step_ratio_p95"),
                                    NUMBER("step_cpu_ms", "CPU ms", 1, NULL),
                                    CELL("step_cpu_ratio", "of", add_ratio),
                                    IN_CSV("rounds"),
                                    CELL("epoch_seconds", "epoch, s", add_seconds),
                                    IN_CSV("epoch_ratio"),
                                    CELL("epoch_cpu_seconds", "CPU s", add_seconds),
                                    CELL("epoch_cpu_ratio", "of", add_ratio),
                                    NUMBER("cosine_first", "cosine at the start", 4, NULL),
                                    NUMBER("cosine_mean", "mean", 4, NULL),
                                    NUMBER("cosine_last", "at the end", 4, NULL),
                                    CELL("paper_size_bytes", "planned at the paper's size", add_memory),
                                    CELL("paper_size_ratio", "of", add_ratio),
                                    NUMBER("paper.accuracy", "paper: accuracy", 2, " %"),
                                    NUMBER("paper.memory_gb", "paper: memory", 2, " G"),
                                    CELL("paper_memory_ratio", "of", add_ratio),
                                    NUMBER("paper.hours", "paper: time", 2, " h"),
                                    CELL("paper.epoch_seconds", "paper: epoch, s", add_seconds),
                                    CELL("paper_time_ratio", "of", add_ratio),
                                    IN_CSV("device"),
                                    IN_CSV("driver"),
                                    IN_CSV("date")};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

/* ---- CSV ---- */

static void make_csv(const json_t *summary, sp_text *t)
{
    const json_t *groups = json_object_get(summary, "groups");
    sp_table_csv(t, columns, N_COLUMNS, NULL);
    for (size_t g = 0; g < json_array_size(groups); g++) {
        const json_t *rows = json_object_get(json_array_get(groups, g), "rows");
        for (size_t i = 0; i < json_array_size(rows); i++)
            sp_table_csv(t, columns, N_COLUMNS, json_array_get(rows, i));
    }
}

/* ---- Markdown ---- */

/* A column that no row of the group has is left out. */
static bool is_shown(const json_t *rows, const sp_column *c)
{
    bool any = false;
    for (size_t i = 0; c->head && i < json_array_size(rows); i++)
        any = any || sp_table_value(json_array_get(rows, i), c->key);
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
                if (sp_table_value(json_array_get(rows, i), columns[k].key))
                    sp_table_cell(t, &columns[k], json_array_get(rows, i));
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

static void add_curve(sp_plot *l, const char *name, const json_t *points)
{
    for (size_t i = 0; i < json_array_size(points); i++) {
        const json_t *p = json_array_get(points, i);
        sp_plot_add(l, name, json_number_value(json_array_get(p, 0)),
                    json_number_value(json_array_get(p, 1)));
    }
}

/* The rows of the panel's group: a curve each, or points over `at` by method. */
static void gather(const json_t *summary, const json_t *panel, sp_plot *l)
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
                sp_plot_add(l, name, spi_number(r, "at"), spi_number(r, key) / (key == y ? 1 : 1048576.0));
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
    sp_plot *l = sp_alloc_array(n, sizeof *l);
    for (size_t i = 0; i < n && l; i++) {
        const json_t *p = json_array_get(all, i);
        const char *y = spi_text(p, "y");
        bool from_zero = strncmp(y, "step", 4) == 0 || strncmp(y, "memory", 6) == 0;
        l[i] = (sp_plot){.title = spi_text(p, "title"),
                         .x_label = spi_text(p, "x"),
                         .y_label = y,
                         .y_min = from_zero ? 0 : (double)NAN};
        for (size_t k = 0; k < sizeof labels / sizeof *labels; k++)
            l[i].y_label = strcmp(labels[k][0], y) == 0 ? labels[k][1] : l[i].y_label;
        gather(summary, p, &l[i]);
    }
    const sp_chart look = {.columns = n < 2 ? n : 2, .panel_width = 560, .panel_height = 400};
    sp_status st = l ? sp_plot_write(path, l, n, &look, err)
                     : SP_FAIL(err, SP_E_MEMORY, "out of memory for the picture");
    sp_plot_free(l, l ? n : 0);
    sp_free(l);
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
    bool picture = sp_picture_can() && json_array_size(json_object_get(summary, "panels")) > 0;
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
