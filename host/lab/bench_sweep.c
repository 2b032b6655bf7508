/* Scaling curves: a recipe timed for several values of one setting, by schedule; a CSV file and a picture. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/suggest.h"
#include "cli/bench.h"
#include "cli/table.h"
#include "plot/picture.h"
#include "train/train.h"

enum { MAX_VALUES = 32, MAX_METHODS = SP_PLOT_SERIES };

typedef struct sweep {
    const sp_cli_bench_options *o;
    const char *path;
    char what[16]; /* time_steps, batch, width or k */
    double values[MAX_VALUES];
    char methods[MAX_METHODS][24]; /* "sltt", "sltt-1", "bptt", ...; "sltt-k": K is the value */
    size_t n_values, n_methods;
    sp_plot plots[2]; /* time, memory */
    FILE *csv;
} sweep;

static sp_status read_values(sweep *s, sp_error *err)
{
    static const char *const names[] = {"time_steps", "batch", "width", "k"};
    const char *text = s->o->sweep, *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text), known = 0;
    while (known < 4 && (strlen(names[known]) != n || strncmp(names[known], text, n) != 0))
        known++;
    if (!equals || known == 4) {
        char word[40];
        snprintf(word, sizeof word, "%.*s", (int)(n < 39 ? n : 39), text);
        const char *near = sp_suggest(word, names, 4);
        return SP_FAIL(err, SP_E_USAGE,
                       "--sweep %s: write time_steps=1,2,4 or batch=..., width=..., k=...%s%s%s", text,
                       near && known == 4 ? "; did you mean \"" : "", near && known == 4 ? near : "",
                       near && known == 4 ? "\"?" : "");
    }
    snprintf(s->what, sizeof s->what, "%s", names[known]);
    bool whole = known != 2;
    if (!sp_args_numbers(equals + 1, whole ? 1 : 1e-6, 1e6, whole, MAX_VALUES, s->values, &s->n_values))
        return SP_FAIL(err, SP_E_USAGE,
                       "--sweep %s: \"%s\" is not a list of 1 to %d %snumbers above 0, separated by commas",
                       text, equals + 1, MAX_VALUES, whole ? "whole " : "");
    return SP_OK;
}

static sp_status read_methods(sweep *s, sp_error *err)
{
    bool k = strcmp(s->what, "k") == 0;
    const char *text = s->o->method ? s->o->method : k ? "sltt-k,sltt,bptt" : "sltt,sltt-1,bptt";
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, ",");
        if (s->n_methods == MAX_METHODS || n == 0 || n >= sizeof s->methods[0])
            return SP_FAIL(err, SP_E_USAGE, "--schedule %s: 1 to %d names, separated by commas", text,
                           MAX_METHODS);
        snprintf(s->methods[s->n_methods++], sizeof s->methods[0], "%.*s", (int)n, at);
        at += n + (at[n] == ',');
    }
    return SP_OK;
}

/* All channel counts but the number of classes. */
static void widen(sp_layer *layers, size_t n, double width, const sp_layer *last)
{
    for (size_t i = 0; i < n; i++) {
        sp_layer *l = &layers[i];
        bool weights = l->type == SP_LAYER_CONV || l->type == SP_LAYER_WS_CONV ||
                       l->type == SP_LAYER_CONV1D || l->type == SP_LAYER_LINEAR;
        if (weights && l != last)
            l->out = llround(fmax(1, (double)l->out * width));
        l->in = weights ? 0 : l->in; /* inferred */
        l->channels = 0;
        widen(l->pre, l->n_pre, width, last);
        widen(l->branch, l->n_branch, width, last);
        widen(l->shortcut, l->n_shortcut, width, last);
    }
}

static const sp_layer *last_linear(const sp_network *net)
{
    for (size_t i = net->n; i-- > 0;)
        if (net->layers[i].type == SP_LAYER_LINEAR)
            return &net->layers[i];
    return NULL;
}

/* The recipe as it stands, for what the point depends on: whether K fits, and whether made-up data are
 * sequences. */
static sp_status look(const sweep *s, const sp_cli_bench_options *o, bool *fits, bool *sequence,
                      sp_error *err)
{
    sp_recipe plain = {0};
    sp_cli_bench_options bare = {.session = o->session, .network = o->network, .input = o->input};
    long long k = 0;
    char end;
    SP_TRY(sp_cli_bench_recipe(s->path, &bare, &plain, err));
    int64_t T = o->time_steps ? o->time_steps : plain.time_steps;
    *fits = sscanf(o->method, "sltt-%lld%c", &k, &end) != 1 || k <= T;
    *sequence = strcmp(plain.data.name, "synthetic") == 0 && plain.data.frames > 0;
    sp_recipe_free(&plain);
    return SP_OK;
}

/* *fits false: a schedule that cannot be had at this value (K above T), no point of its curve. */
static sp_status load_point(const sweep *s, size_t m, size_t v, sp_recipe *out, bool *fits, sp_error *err)
{
    sp_cli_bench_options o = *s->o;
    char method[40], frames[40];
    int64_t whole = (int64_t)s->values[v];
    snprintf(method, sizeof method, "%s", s->methods[m]);
    if (strcmp(s->what, "k") == 0 && strcmp(method, "sltt-k") == 0)
        snprintf(method, sizeof method, "sltt-%lld", (long long)whole);
    o.method = method;
    if (strcmp(s->what, "batch") == 0)
        o.batch = whole;
    if (strcmp(s->what, "time_steps") == 0)
        o.time_steps = whole;
    bool sequence;
    SP_TRY(look(s, &o, fits, &sequence, err));
    if (!*fits)
        return SP_OK;
    if (sequence && o.time_steps && o.session.sets.n < SP_ARGS_MAX) { /* a frame for each time step */
        snprintf(frames, sizeof frames, "data.frames=%lld", (long long)o.time_steps);
        o.session.sets.items[o.session.sets.n++] = frames;
    }
    SP_TRY(sp_cli_bench_recipe(s->path, &o, out, err));
    if (strcmp(s->what, "width") == 0)
        widen(out->network.layers, out->network.n, s->values[v], last_linear(&out->network));
    return SP_OK;
}

static void add_point(sweep *s, size_t m, double value, double ms, double mib)
{
    sp_plot_add(&s->plots[0], s->methods[m], value, ms);
    sp_plot_add(&s->plots[1], s->methods[m], value, mib);
}

static void keep(sweep *s, size_t m, double value, const sp_cli_bench *b)
{
    const sp_recipe *r = &b->s->recipe;
    double mib = (double)b->s->planned_bytes / 1048576.0;
    sp_csv_put(s->csv,
               json_pack("{s:s, s:f, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:o, "
                         "s:o, s:s}",
                         "name", r->name, "value", value, "series", s->methods[m], "method",
                         sp_method_name(r->method), "backprop_steps",
                         (json_int_t)(r->method == SP_METHOD_SLTT_K ? r->backprop_steps : r->time_steps),
                         "time_steps", (json_int_t)r->time_steps, "batch", (json_int_t)r->batch, "width",
                         strcmp(s->what, "width") == 0 ? value : 1.0, "median_ms", b->median_ms, "p5_ms",
                         b->p5_ms, "p95_ms", b->p95_ms, "min_ms", b->min_ms, "samples_per_second",
                         (double)r->batch / b->median_ms * 1e3, "device_bytes",
                         (json_int_t)b->s->planned_bytes, "launches", (json_int_t)b->launches, "device",
                         sp_cli_json_text(b->s->dev->info.name), "driver",
                         sp_cli_json_text(b->s->dev->info.driver), "date", sp_date_of(time(NULL)).text));
    /* K is nothing to methods other than SLTT-K: measured once, a level line */
    bool level = strcmp(s->what, "k") == 0 && strcmp(s->methods[m], "sltt-k") != 0;
    for (size_t v = 0; v < s->n_values; v++)
        if (level || s->values[v] == value)
            add_point(s, m, s->values[v], b->median_ms, mib);
    sp_cli_say("%s=%g %-8s %10.2f ms  %10.2f MiB\n", s->what, value, s->methods[m], b->median_ms, mib);
}

static sp_status measure_point(sweep *s, size_t m, size_t v, sp_error *err)
{
    sp_recipe r = {0};
    sp_cli_bench b;
    bool fits = true;
    SP_TRY(load_point(s, m, v, &r, &fits, err));
    if (!fits) {
        sp_cli_say("%s=%g %-8s left out: more steps to backpropagate than time steps\n", s->what,
                   s->values[v], s->methods[m]);
        return SP_OK;
    }
    SP_TRY(sp_cli_bench_open(&r, s->o, &b, err));
    sp_status st = sp_cli_bench_run(&b, s->o, err);
    if (st == SP_OK)
        keep(s, m, s->values[v], &b);
    sp_cli_bench_close(&b);
    return st;
}

static sp_status measure_all(sweep *s, sp_error *err)
{
    for (size_t v = 0; v < s->n_values; v++)
        for (size_t m = 0; m < s->n_methods; m++)
            if (v == 0 || strcmp(s->what, "k") != 0 || strcmp(s->methods[m], "sltt-k") == 0)
                SP_TRY(measure_point(s, m, v, err));
    return ferror(s->csv) ? SP_FAIL(err, SP_E_IO, "the CSV file cannot be written") : SP_OK;
}

static sp_status draw(sweep *s, const char *path, sp_error *err)
{
    static const char *const labels[][2] = {{"time_steps", "time steps T"},
                                            {"batch", "batch"},
                                            {"width", "width"},
                                            {"k", "K of SLTT-K"}};
    const sp_chart look = {.columns = 2, .panel_width = 560, .panel_height = 400};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(labels[i][0], s->what) == 0)
            s->plots[0].x_label = s->plots[1].x_label = labels[i][1];
    s->plots[0].title = "time of a training step";
    s->plots[0].y_label = "milliseconds";
    s->plots[1].title = "device memory";
    s->plots[1].y_label = "MiB";
    return sp_plot_write(path, s->plots, 2, &look, err);
}

sp_status sp_cli_bench_sweep(const char *path, const sp_cli_bench_options *o, sp_error *err)
{
    sweep *s = sp_alloc(sizeof *s);
    sp_cli_bench_options plain = *o;
    char *csv = NULL, *png = NULL;
    sp_status st = s ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the sweep");
    if (st != SP_OK)
        return st;
    plain.peaks = plain.layers = false;
    plain.trace = NULL;
    s->o = &plain;
    s->path = path;
    SP_TRY_GOTO(read_values(s, err));
    SP_TRY_GOTO(read_methods(s, err));
    csv = sp_format("%s/sweep_%s.csv", o->out, s->what);
    png = sp_format("%s/sweep_%s.png", o->out, s->what);
    SP_TRY_GOTO(csv && png ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the sweep"));
    SP_TRY_GOTO(sp_folder_make(o->out, 0777, err));
    SP_TRY_GOTO(sp_output_check(csv, SP_OUTPUT_SWEEP, NULL, 0, err));
    s->csv = fopen(csv, "w");
    SP_TRY_GOTO(s->csv ? SP_OK : SP_FAIL(err, SP_E_IO, "%s: %s", csv, strerror(errno)));
    SP_TRY_GOTO(measure_all(s, err));
    SP_TRY_GOTO(draw(s, png, err));
    printf(sp_picture_can() ? "%s\n%s\n" : "%s\n", csv, png);
done:
    if (s->csv)
        fclose(s->csv);
    sp_plot_free(s->plots, 2);
    sp_free(csv);
    sp_free(png);
    sp_free(s);
    return st;
}
