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
#include "base/suggest.h"
#include "cli/bench.h"
#include "plot/picture.h"
#include "train/train.h"

enum { MAX_VALUES = 32, MAX_METHODS = 6 };

typedef struct sweep {
    const sp_cli_bench_options *o;
    const char *path;
    char what[16]; /* time_steps, batch, width or k */
    double values[MAX_VALUES];
    char methods[MAX_METHODS][24]; /* "sltt", "sltt-1", "bptt", ...; "sltt-k": K is the value */
    size_t n_values, n_methods;
    double ms[MAX_METHODS][MAX_VALUES], mib[MAX_METHODS][MAX_VALUES]; /* NAN: left out */
    FILE *csv;
    char device[256];
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
    for (const char *at = equals + 1; *at;) {
        char *end;
        double v = strtod(at, &end);
        bool whole = v == floor(v) || known == 2;
        if (end == at || (*end && *end != ',') || !(v > 0 && v < 1e6) || !whole || s->n_values == MAX_VALUES)
            return SP_FAIL(err, SP_E_USAGE,
                           "--sweep %s: \"%s\" is not a list of 1 to %d %snumbers above 0, separated by "
                           "commas",
                           text, at, MAX_VALUES, known == 2 ? "" : "whole ");
        s->values[s->n_values++] = v;
        at = *end ? end + 1 : end;
    }
    return s->n_values ? SP_OK : SP_FAIL(err, SP_E_USAGE, "--sweep %s: no values", text);
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
        bool weights = l->type == SP_LAYER_CONV || l->type == SP_LAYER_WS_CONV || l->type == SP_LAYER_LINEAR;
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

static void write_row(sweep *s, size_t m, size_t v, const sp_cli_bench *b)
{
    const sp_recipe *r = &b->s->recipe;
    snprintf(s->device, sizeof s->device, "%s", b->s->dev->info.name);
    fprintf(s->csv, "\"%s\",%g,%s,%s,%lld,%lld,%lld,%g,%.4f,%.4f,%.4f,%.4f,%.2f,%llu,%llu,\"%s\",\"%s\",%s\n",
            r->name, s->values[v], s->methods[m], sp_method_name(r->method),
            (long long)(r->method == SP_METHOD_SLTT_K ? r->backprop_steps : r->time_steps),
            (long long)r->time_steps, (long long)r->batch, strcmp(s->what, "width") == 0 ? s->values[v] : 1.0,
            b->median_ms, b->p5_ms, b->p95_ms, b->min_ms, (double)r->batch / b->median_ms * 1e3,
            (unsigned long long)b->s->planned_bytes, (unsigned long long)b->launches, b->s->dev->info.name,
            b->s->dev->info.driver, sp_date_of(time(NULL)).text);
    fflush(s->csv);
    s->ms[m][v] = b->median_ms;
    s->mib[m][v] = (double)b->s->planned_bytes / 1048576.0;
    sp_cli_say("%s=%g %-8s %10.2f ms  %10.2f MiB\n", s->what, s->values[v], s->methods[m], s->ms[m][v],
               s->mib[m][v]);
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
        write_row(s, m, v, &b);
    sp_cli_bench_close(&b);
    return st;
}

static sp_status draw(const sweep *s, const char *path, sp_error *err)
{
    static const struct {
        const char *what, *label;
    } labels[] = {{"time_steps", "time steps T"},
                  {"batch", "batch"},
                  {"width", "width"},
                  {"k", "K of SLTT-K"}};
    const char *x = s->what;
    sp_series ms[MAX_METHODS], mib[MAX_METHODS];
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        x = strcmp(labels[i].what, s->what) == 0 ? labels[i].label : x;
    for (size_t m = 0; m < s->n_methods; m++) {
        ms[m] = (sp_series){s->methods[m], s->values, s->ms[m], s->n_values};
        mib[m] = (sp_series){s->methods[m], s->values, s->mib[m], s->n_values};
    }
    const sp_panel panels[] = {{"time of a training step", x, "milliseconds", ms, s->n_methods, 0, NAN},
                               {"device memory", x, "MiB", mib, s->n_methods, 0, NAN}};
    return sp_chart_write(path, panels, 2, 560, 400, err);
}

static sp_status measure_all(sweep *s, sp_error *err)
{
    fputs("name,value,series,method,backprop_steps,time_steps,batch,width,median_ms,p5_ms,p95_ms,min_ms,"
          "samples_per_second,"
          "device_bytes,launches,device,driver,date\n",
          s->csv);
    for (size_t v = 0; v < s->n_values; v++)
        for (size_t m = 0; m < s->n_methods; m++) {
            bool flat = strcmp(s->what, "k") == 0 && strcmp(s->methods[m], "sltt-k") != 0 && v > 0;
            s->ms[m][v] = s->mib[m][v] = NAN;
            if (!flat) {
                SP_TRY(measure_point(s, m, v, err));
            } else { /* K is nothing to it */
                s->ms[m][v] = s->ms[m][0];
                s->mib[m][v] = s->mib[m][0];
            }
        }
    return ferror(s->csv) ? SP_FAIL(err, SP_E_IO, "the CSV file cannot be written") : SP_OK;
}

sp_status sp_cli_bench_sweep(const char *path, const sp_cli_bench_options *o, sp_error *err)
{
    sweep *s = sp_alloc(sizeof *s);
    sp_cli_bench_options plain = *o;
    char *csv = NULL, *png = NULL;
    sp_status st = s ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the sweep");
    if (st != SP_OK)
        return st;
    plain.ruler = plain.layers = false;
    plain.trace = NULL;
    s->o = &plain;
    s->path = path;
    SP_TRY_GOTO(read_values(s, err));
    SP_TRY_GOTO(read_methods(s, err));
    csv = sp_format("%s/sweep_%s.csv", o->out, s->what);
    png = sp_format("%s/sweep_%s.png", o->out, s->what);
    SP_TRY_GOTO(csv && png ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the sweep"));
    SP_TRY_GOTO(sp_folder_make(o->out, 0777, err));
    s->csv = fopen(csv, "w");
    SP_TRY_GOTO(s->csv ? SP_OK : SP_FAIL(err, SP_E_IO, "%s: %s", csv, strerror(errno)));
    SP_TRY_GOTO(measure_all(s, err));
    SP_TRY_GOTO(draw(s, png, err));
    printf("%s\n%s\n", csv, png);
done:
    if (s->csv)
        fclose(s->csv);
    sp_free(csv);
    sp_free(png);
    sp_free(s);
    return st;
}
