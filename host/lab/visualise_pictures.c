/* The pictures of `spikeport visualise`: what was counted, as maps and histograms. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "lab/visualise.h"
#include "plot/picture.h"

enum {
    TITLE = 96,
    RATE_BARS = 20,
    POTENTIAL_BARS = 64,
    MAX_PANELS = 64,
    MAX_FILTERS = 64,
    TEXT_CLASSES = 20
};

/* "layer 2.branch.1 (lif)", or the label that the network gives it. */
static const char *layer_name(const sp_visual *d, const sp_visual_layer *l, char *out, size_t size)
{
    const sp_node *n = &d->s->graph->nodes[l->node];
    snprintf(out, size, "layer %.40s (%.40s)", n->name,
             *n->layer->label ? n->layer->label : n->layer->neuron.model);
    return out;
}

/* The name of a class, or its number. */
static void add_class(const sp_visual *d, const char *what, int64_t k, sp_text *out)
{
    const char *name = k < 0 ? "?" : sp_dataset_class(d->test, (int)k);
    if (name)
        sp_text_add(out, "%s: %s", what, name);
    else
        sp_text_add(out, "%s: class %" PRId64, what, k);
}

/* What the network saw, said and should have said. */
static sp_map input_map(const sp_visual *d, sp_text *what, sp_text *answer)
{
    const sp_dataset_info *i = &d->s->data;
    const int side = i->height > i->width ? i->height : i->width, zoom = side < 200 ? 200 / side : 1;
    sp_map m = {
        .values = d->input, .rows = i->height, .columns = i->width, .cell_width = zoom, .cell_height = zoom};
    m.low = m.high = (double)d->input[0];
    for (int k = 0; k < i->height * i->width; k++) {
        m.low = fmin(m.low, (double)d->input[k]);
        m.high = fmax(m.high, (double)d->input[k]);
    }
    sp_text_add(what, i->frames ? "input, mean of %d frames" : "input", i->frames);
    if (!d->test->info.targets) {
        add_class(d, "true", d->label, answer);
        sp_text_add(answer, ", ");
        add_class(d, "network", d->predicted, answer);
    }
    m.title = answer->s, m.x_label = what->s; /* room is made for titles */
    return m;
}

double sp_visual_rate(const sp_visual *d, const sp_visual_layer *l)
{
    double sum = 0;
    for (int64_t i = 0; i < l->neurons; i++)
        sum += l->spikes[i];
    return sum / ((double)l->neurons * (double)d->samples * (double)d->s->recipe.time_steps);
}

double sp_visual_silent(const sp_visual_layer *l)
{
    int64_t n = 0;
    for (int64_t i = 0; i < l->neurons; i++)
        n += l->spikes[i] == 0;
    return (double)n / (double)l->neurons;
}

double sp_visual_above(const sp_visual_layer *l)
{
    uint64_t n = 0;
    for (int i = SP_VISUAL_BINS / 2 + SP_VISUAL_PER_UNIT; i < SP_VISUAL_BINS; i++)
        n += l->bins[i];
    return (double)n / (double)l->n_potentials;
}

static sp_status no_memory(const char *name, sp_error *err)
{
    return SP_FAIL(err, SP_E_MEMORY, "out of memory for the picture %s", name);
}

static sp_status need_layers(const sp_visual *d, const char *name, sp_error *err)
{
    return d->n_layers ? SP_OK
                       : SP_FAIL(err, SP_E_CONFIG, "%s: the network has no neuron layer to draw", name);
}

/* So many panels side by side that a picture is about as wide as high. */
static size_t columns_for(int n, int most)
{
    int columns = n <= 3 ? n : (int)ceil(sqrt((double)n));
    return (size_t)(columns < most ? columns : most);
}

static sp_status write_maps(const sp_visual *d, const char *name, const sp_map *maps, size_t n,
                            size_t columns, sp_error *err)
{
    char *path = sp_format("%s/%s.%s", d->folder, name, d->format);
    sp_status st = path ? sp_map_write(path, maps, n, columns, err) : no_memory(name, err);
    sp_free(path);
    return st;
}

sp_status sp_visual_raster(const sp_visual *d, sp_error *err)
{
    int64_t T = d->s->recipe.time_steps;
    size_t n = (size_t)d->n_layers;
    sp_text title = {0}, answer = {0};
    sp_map *maps = sp_alloc_array(n + 1, sizeof *maps);
    char(*texts)[2][TITLE] = sp_alloc_array(n + 1, sizeof *texts);
    sp_status st = maps && texts ? need_layers(d, "raster", err) : no_memory("raster", err);
    int width = T < 10 ? 28 : T < 100 ? (int)(280 / T) : 3;
    for (size_t i = 0; st == SP_OK && i < n; i++) {
        const sp_visual_layer *l = &d->layers[i];
        layer_name(d, l, texts[i][0], TITLE);
        snprintf(texts[i][1], TITLE, l->shown < l->neurons ? "%d of %" PRId64 " neurons" : "%d neurons",
                 l->shown, l->neurons);
        maps[i + 1] = (sp_map){.title = texts[i][0],
                               .x_label = "time step",
                               .y_label = texts[i][1],
                               .values = l->raster,
                               .rows = l->shown,
                               .columns = (int)T,
                               .cell_width = width < 3 ? 3 : width,
                               .cell_height = l->shown > 16 ? 6 : 20,
                               .low = 0,
                               .high = 1,
                               .colours = SP_COLOURS_INK,
                               .number_columns = true};
    }
    if (st == SP_OK) {
        maps[0] = input_map(d, &title, &answer);
        st = write_maps(d, "raster", maps, n + 1, columns_for((int)n + 1, 8), err);
    }
    sp_text_free(&title);
    sp_text_free(&answer);
    sp_free(maps);
    sp_free(texts);
    return st;
}

/* One panel a layer: a histogram with its bars, and for potentials the threshold. */
typedef struct histogram {
    char title[TITLE];
    double x[POTENTIAL_BARS + 2], y[POTENTIAL_BARS + 2], mark_x[2], mark_y[2];
    sp_series series[2];
} histogram;

static sp_status write_histograms(const sp_visual *d, const char *name, const char *x_label,
                                  const char *y_label,
                                  void (*fill)(const sp_visual *d, const sp_visual_layer *l, histogram *h),
                                  sp_error *err)
{
    size_t n = (size_t)d->n_layers < MAX_PANELS ? (size_t)d->n_layers : MAX_PANELS;
    histogram *h = sp_alloc_array(n + 1, sizeof *h);
    sp_panel *panels = sp_alloc_array(n + 1, sizeof *panels);
    char *path = sp_format("%s/%s.%s", d->folder, name, d->format);
    sp_status st = h && panels && path ? need_layers(d, name, err) : no_memory(name, err);
    for (size_t i = 0; st == SP_OK && i < n; i++) {
        fill(d, &d->layers[i], &h[i]);
        panels[i] =
            (sp_panel){h[i].title, x_label, y_label, h[i].series, h[i].series[1].n ? 2 : 1, 0, (double)NAN};
    }
    if (st == SP_OK) {
        const sp_chart chart = {panels, n, columns_for((int)n, 6), 480, 340, .bars = true};
        st = sp_chart_write(path, &chart, err);
    }
    sp_free(path);
    sp_free(panels);
    sp_free(h);
    return st;
}

/* First and last bin of interest: all but a thousandth at each end, and the threshold in any case. */
static void potential_range(const sp_visual_layer *l, int *first, int *last)
{
    uint64_t cut = l->n_potentials / 1000, sum = 0;
    int zero = SP_VISUAL_BINS / 2, threshold = zero + SP_VISUAL_PER_UNIT;
    for (*first = 0; *first < zero && (sum += l->bins[*first]) <= cut;)
        ++*first;
    sum = 0;
    for (*last = SP_VISUAL_BINS - 1; *last > threshold && (sum += l->bins[*last]) <= cut;)
        --*last;
}

static void fill_potentials(const sp_visual *d, const sp_visual_layer *l, histogram *h)
{
    int first, last, n = 0;
    potential_range(l, &first, &last);
    int width = (last - first + POTENTIAL_BARS) / POTENTIAL_BARS;
    first -= (first % width + width) % width; /* so that a bar begins at 0 */
    first = first < 0 ? 0 : first;
    double most = 0;
    for (int at = first; at <= last && n < POTENTIAL_BARS + 2; at += width, n++) {
        uint64_t sum = 0;
        for (int i = at; i < at + width && i < SP_VISUAL_BINS; i++)
            sum += l->bins[i];
        h->x[n] = (at + 0.5 * width - SP_VISUAL_BINS / 2) / SP_VISUAL_PER_UNIT;
        h->y[n] = 100.0 * (double)sum / (double)l->n_potentials;
        most = fmax(most, h->y[n]);
    }
    h->mark_x[0] = h->mark_x[1] = 1;
    h->mark_y[1] = most;
    char name[TITLE];
    snprintf(h->title, TITLE, "%.28s: %.1f %% fire", layer_name(d, l, name, sizeof name),
             100 * sp_visual_above(l));
    h->series[0] = (sp_series){"potentials", h->x, h->y, (size_t)n};
    h->series[1] = (sp_series){"threshold", h->mark_x, h->mark_y, 2};
}

sp_status sp_visual_membrane(const sp_visual *d, sp_error *err)
{
    return write_histograms(d, "membrane", "potential u over threshold", "% of all u", fill_potentials, err);
}

static void fill_rates(const sp_visual *d, const sp_visual_layer *l, histogram *h)
{
    double per = (double)d->samples * (double)d->s->recipe.time_steps;
    for (int i = 0; i < RATE_BARS; i++)
        h->x[i] = (i + 0.5) / RATE_BARS;
    for (int64_t i = 0; i < l->neurons; i++) {
        int bar = (int)(l->spikes[i] / per * RATE_BARS);
        h->y[bar < RATE_BARS ? bar : RATE_BARS - 1] += 100.0 / (double)l->neurons;
    }
    char name[TITLE];
    snprintf(h->title, TITLE, "%.20s: mean %.2f, silent %.0f %%", layer_name(d, l, name, sizeof name),
             sp_visual_rate(d, l), 100 * sp_visual_silent(l));
    h->series[0] = (sp_series){NULL, h->x, h->y, RATE_BARS};
}

sp_status sp_visual_rates(const sp_visual *d, sp_error *err)
{
    return write_histograms(d, "rates", "spikes a neuron and step", "% of neurons", fill_rates, err);
}

/* Filters as tiles of h x w, those of the input channels of one filter in a row, a cell of paper between
 * tiles. Weights of a linear layer behind a picture have its shape. */
typedef struct filters {
    const sp_param *p;
    int n, channels, h, w, per_row;
    int rows, columns;
} filters;

static filters lay_out(const sp_graph *g, const sp_param *p)
{
    filters f = {.p = p,
                 .n = (int)(p->o < MAX_FILTERS ? p->o : MAX_FILTERS),
                 .channels = (int)p->c,
                 .h = (int)p->kh,
                 .w = (int)p->kw};
    const sp_activation *in = &g->acts[g->nodes[p->node].in[0]];
    if (p->kh * p->kw == 1 && in->h * in->w > 1 && p->c == sp_act_elems(in))
        f.channels = (int)in->c, f.h = (int)in->h, f.w = (int)in->w;
    if (f.h * f.w == 1) { /* no picture: a row of weights a filter */
        f.w = f.channels;
        f.channels = 1;
        f.per_row = 1;
    } else {
        double cells = (double)f.n * f.channels * (f.h + 1) * (f.w + 1) * 1.6;
        f.per_row = (int)(sqrt(cells) / (f.channels * (f.w + 1)));
        f.per_row = f.per_row < 1 ? 1 : f.per_row > f.n ? f.n : f.per_row;
        for (int k = f.per_row; k > f.per_row / 2; k--) /* full rows, where a number near leaves no rest */
            if (f.n % k == 0) {
                f.per_row = k;
                break;
            }
    }
    f.rows = (f.n + f.per_row - 1) / f.per_row * (f.h + 1) + 1;
    f.columns =
        f.per_row * (f.channels * (f.w + 1) + 1); /* filters stand two cells apart, one from the frame */
    return f;
}

/* values [rows][columns], all NAN before. Returns the largest |weight|. */
static double place_filters(const filters *f, const float *weights, float *values)
{
    double most = 0;
    size_t at = 0; /* weights: [o][c][h][w], as in files */
    for (int o = 0; o < f->n; o++)
        for (int c = 0; c < f->channels; c++)
            for (int y = 0; y < f->h; y++)
                for (int x = 0; x < f->w; x++, at++) {
                    int row = o / f->per_row * (f->h + 1) + 1 + y;
                    int column = o % f->per_row * (f->channels * (f->w + 1) + 1) + 1 + c * (f->w + 1) + x;
                    values[(size_t)row * (size_t)f->columns + (size_t)column] = weights[at];
                    most = fmax(most, fabs((double)weights[at]));
                }
    return most;
}

sp_status sp_visual_filters(const sp_visual *d, sp_error *err)
{
    const sp_graph *g = d->s->graph;
    const sp_param *p = NULL;
    for (int i = 0; i < g->n_params && !p; i++)
        p = g->params[i].role == SP_ROLE_WEIGHT ? &g->params[i] : NULL;
    if (!p)
        return SP_FAIL(err, SP_E_CONFIG, "filters: the network has no layer with weights");
    filters f = lay_out(g, p);
    size_t cells = (size_t)f.rows * (size_t)f.columns;
    float *weights = sp_alloc_array((size_t)p->elems, sizeof *weights),
          *values = sp_alloc_array(cells, sizeof *values);
    char title[160];
    sp_status st = weights && values ? sp_model_read(d->s->model, p, SP_RANGE_WEIGHTS, weights, err)
                                     : no_memory("filters", err);
    for (size_t i = 0; st == SP_OK && i < cells; i++)
        values[i] = (float)NAN;
    if (st == SP_OK) {
        double most = place_filters(&f, weights, values);
        int zoom = 900 / f.columns;
        snprintf(title, sizeof title, "%.60s: %s%d filters of %d x %d x %d", p->name,
                 f.n < p->o ? "the first " : "", f.n, f.channels, f.h, f.w);
        zoom = zoom > 16 ? 16 : zoom < 2 ? 2 : zoom;
        sp_map m = {.title = title,
                    .scale = "weight",
                    .values = values,
                    .rows = f.rows,
                    .columns = f.columns,
                    .cell_width = zoom,
                    .cell_height = zoom,
                    .low = -most,
                    .high = most,
                    .colours = SP_COLOURS_SIGNED};
        st = write_maps(d, "filters", &m, 1, 1, err);
    }
    sp_free(weights);
    sp_free(values);
    return st;
}

typedef struct matrix {
    float *share; /* [n][n] of the true class */
    const char **texts, **names;
    char (*room)[24], (*numbers)[24];
} matrix;

static bool fill_matrix(const sp_visual *d, size_t n, matrix *m)
{
    m->share = sp_alloc_array(n * n, sizeof *m->share);
    m->texts = sp_alloc_array(n * n, sizeof *m->texts);
    m->room = sp_alloc_array(n * n, sizeof *m->room);
    m->names = sp_alloc_array(n, sizeof *m->names);
    m->numbers = sp_alloc_array(n, sizeof *m->numbers);
    if (!m->share || !m->texts || !m->room || !m->names || !m->numbers)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;
        for (size_t k = 0; k < n; k++)
            sum += d->confusion[i * n + k];
        for (size_t k = 0; k < n; k++) {
            uint64_t count = d->confusion[i * n + k];
            m->share[i * n + k] = sum ? (float)((double)count / (double)sum) : 0;
            snprintf(m->room[i * n + k], sizeof *m->room, "%" PRIu64, count);
            m->texts[i * n + k] = count ? m->room[i * n + k] : NULL;
        }
        snprintf(m->numbers[i], sizeof *m->numbers, "%zu", i);
        m->names[i] = sp_dataset_class(d->test, (int)i) ? sp_dataset_class(d->test, (int)i) : m->numbers[i];
    }
    return true;
}

sp_status sp_visual_confusion(const sp_visual *d, sp_error *err)
{
    size_t n = (size_t)d->s->graph->classes;
    matrix m = {.share = NULL};
    char title[160];
    sp_status st = fill_matrix(d, n, &m) ? SP_OK : no_memory("confusion", err);
    bool few = n <= TEXT_CLASSES;
    snprintf(title, sizeof title, "%.40s: %.2f %% of %" PRId64 " test samples right", d->s->data.name,
             100 * d->scores.accuracy, d->scores.samples);
    if (st == SP_OK) {
        int cell = few ? 64 : n <= 40 ? 24 : n <= 200 ? 8 : 2;
        sp_map map = {.title = title,
                      .x_label = "class by the network",
                      .y_label = "true class",
                      .scale = n < 6 ? "share" : "share of true class",
                      .values = m.share,
                      .rows = (int)n,
                      .columns = (int)n,
                      .cell_width = cell,
                      .cell_height = few ? 44 : cell,
                      .low = 0,
                      .high = 1,
                      .colours = SP_COLOURS_SHARE,
                      .names = n <= 40 ? m.names : NULL,
                      .texts = few ? m.texts : NULL};
        st = write_maps(d, "confusion", &map, 1, 1, err);
    }
    sp_free(m.share);
    sp_free(m.texts);
    sp_free(m.room);
    sp_free(m.names);
    sp_free(m.numbers);
    return st;
}
