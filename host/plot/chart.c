/* Charts of lines and bars: panels side by side, each with title, legend, axes, grid and up to six series in
 * the Okabe-Ito colours. The legend has its own rows above the plot and so never covers data. Layout only:
 * drawing is canvas.c, numbers are chart_axes.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "plot/canvas.h"
#include "plot/chart_axes.h"

enum {
    MAX_SERIES = 6,
    MAX_PANELS = 64,
    MIN_WIDTH = 160,
    MIN_HEIGHT = 120,
    MAX_SIDE = 8192,
    MAX_WIDTH = 32768
};
/* In units of the font's scale: */
enum { CAPITALS = 7, LINE = 12, PAD = 6, GAP = 4, SWATCH = 14 };
enum { LABEL_BYTES = 32, MIN_PLOT = 20 };

#define INK      0x202020u
#define SOFT_INK 0x505050u
#define GRID     0xe4e4e4u
#define AXIS     0x909090u

/* Okabe and Ito's palette without its yellow (too pale on white) and black (kept for text). */
static const uint32_t palette[MAX_SERIES] = {0x0072b2u, 0xd55e00u, 0x009e73u,
                                             0xcc79a7u, 0xe69f00u, 0x56b4e9u};

typedef struct layout {
    sp_rect panel, plot;
    int scale;      /* of the font: 2, or 1 on small panels */
    int legend_top; /* y of its first row */
    sp_axis x, y;
    bool bars, powers; /* of sp_chart */
} layout;

static const char *text_of(const char *s)
{
    return s ? s : "";
}

static double to_x(const layout *l, double v)
{
    return l->plot.x0 + (v - l->x.low) / (l->x.high - l->x.low) * (l->plot.x1 - l->plot.x0);
}

static double to_y(const layout *l, double v)
{
    return l->plot.y1 - (v - l->y.low) / (l->y.high - l->y.low) * (l->plot.y1 - l->plot.y0);
}

/* Walks through the legend, wrapping at the plot's width; draws when c is not NULL. Returns the number of
 * rows. */
static int legend(sp_canvas *c, const sp_panel *p, const layout *l)
{
    int s = l->scale, text_at = (SWATCH + GAP) * s, room = l->plot.x1 - l->plot.x0, x = 0, rows = 0;
    for (size_t k = 0; k < p->n_series; k++) {
        const char *name = text_of(p->series[k].name);
        int width = text_at + sp_canvas_text_width(name, s);
        if (!*name)
            continue;
        if (rows == 0 || x + width > room) {
            rows++;
            x = 0;
        }
        if (c) {
            int left = l->plot.x0 + x, y = l->legend_top + (rows - 1) * LINE * s;
            double from[2] = {left + 2.0, y + 0.5 * CAPITALS * s}, to[2] = {left + SWATCH * s - 2.0, from[1]};
            sp_canvas_line(c, l->panel, from, to, 1.5 * s, palette[k]);
            sp_canvas_text(c, left + text_at, y, name, s, room - text_at, SP_ALIGN_LEFT, SOFT_INK);
        }
        x += width + 2 * PAD * s;
    }
    return rows;
}

static void label(const sp_axis *a, bool powers, int k, char *text, size_t size)
{
    double v = sp_axis_tick(a, k);
    if (!powers)
        sp_axis_label(a, k, text, size);
    else if (v < 0 && v >= -10)
        snprintf(text, size, "1/%.3g", exp2(-v));
    else
        snprintf(text, size, "%.4g", exp2(v));
}

static int widest_label(const sp_axis *a, bool powers, int scale)
{
    int widest = 0;
    for (int k = 0; k < sp_axis_ticks(a); k++) {
        char text[LABEL_BYTES];
        int width;
        label(a, powers, k, text, sizeof text);
        width = sp_canvas_text_width(text, scale);
        widest = width > widest ? width : widest;
    }
    return widest;
}

static double bar_width(const sp_series *s)
{
    return s->n > 1 ? s->x[1] - s->x[0] : 1;
}

/* Labels of the x axis stand side by side: fewer ticks until they do not touch. */
static sp_axis x_axis(const sp_panel *p, const layout *l, int ticks)
{
    sp_axis a = sp_axis_x(p, ticks);
    double half = l->bars ? 0.5 * bar_width(&p->series[0]) : 0; /* the whole of the first and last bar */
    a.low -= half;
    a.high += half;
    return a;
}

static sp_axis fit_x_axis(const sp_panel *p, const layout *l)
{
    int s = l->scale, width = l->plot.x1 - l->plot.x0;
    for (int ticks = width / (24 * s); ticks > 1; ticks--) {
        sp_axis a = x_axis(p, l, ticks);
        if (a.step / (a.high - a.low) * width >= widest_label(&a, l->powers, s) + 2 * PAD * s)
            return a;
    }
    return x_axis(p, l, 1);
}

static layout make_layout(const sp_panel *p, sp_rect panel, const sp_chart *h)
{
    layout l = {.panel = panel, .plot = panel, .bars = h->bars && p->n_series > 0, .powers = h->powers};
    int s = l.scale = panel.x1 - panel.x0 >= 420 && panel.y1 - panel.y0 >= 280 ? 2 : 1;

    l.y = sp_axis_y(p, (panel.y1 - panel.y0) / (30 * s));
    l.plot.x0 +=
        PAD * s + (*text_of(p->y_label) ? LINE * s : 0) + widest_label(&l.y, l.powers, s) + 2 * GAP * s;
    l.plot.x1 -= 2 * PAD * s;
    if (l.plot.x0 > l.plot.x1 - MIN_PLOT)
        l.plot.x0 = l.plot.x1 - MIN_PLOT;
    l.legend_top = panel.y0 + PAD * s + (*text_of(p->title) ? (LINE + 2) * s : 0);
    l.plot.y0 = l.legend_top + legend(NULL, p, &l) * LINE * s + 2 * s;
    l.plot.y1 -= PAD * s + LINE * s + (GAP + 2) * s + (*text_of(p->x_label) ? LINE * s : 0);
    if (l.plot.y0 > l.plot.y1 - MIN_PLOT) /* a long legend on a small panel: the plot comes first */
        l.plot.y0 = l.plot.y1 - MIN_PLOT;
    l.x = fit_x_axis(p, &l);
    return l;
}

static void draw_axes(sp_canvas *c, const layout *l)
{
    int s = l->scale;
    sp_rect r = l->plot;
    char text[LABEL_BYTES];
    for (int k = 0; k < sp_axis_ticks(&l->y); k++) {
        int y = (int)lround(to_y(l, sp_axis_tick(&l->y, k)));
        sp_canvas_fill(c, (sp_rect){r.x0, y, r.x1, y + 1}, GRID);
        sp_canvas_fill(c, (sp_rect){r.x0 - 2 * s, y, r.x0, y + 1}, AXIS);
        label(&l->y, l->powers, k, text, sizeof text);
        sp_canvas_text(c, r.x0 - GAP * s, y - CAPITALS * s / 2, text, s, r.x0 - l->panel.x0, SP_ALIGN_RIGHT,
                       SOFT_INK);
    }
    for (int k = 0; k < sp_axis_ticks(&l->x); k++) {
        int x = (int)lround(to_x(l, sp_axis_tick(&l->x, k)));
        sp_canvas_fill(c, (sp_rect){x, r.y0, x + 1, r.y1}, GRID);
        sp_canvas_fill(c, (sp_rect){x, r.y1, x + 1, r.y1 + 2 * s}, AXIS);
        label(&l->x, l->powers, k, text, sizeof text);
        sp_canvas_text(c, x, r.y1 + (GAP + 2) * s, text, s, r.x1 - r.x0, SP_ALIGN_CENTRE, SOFT_INK);
    }
    sp_canvas_fill(c, (sp_rect){r.x0, r.y0, r.x0 + 1, r.y1}, AXIS);
    sp_canvas_fill(c, (sp_rect){r.x0, r.y1, r.x1, r.y1 + 1}, AXIS);
}

/* A line through neighbouring points; a point with no neighbour is a dot. Few points get dots as well. */
static void draw_series(sp_canvas *c, const layout *l, const sp_series *s, uint32_t colour)
{
    double before[2] = {0.0, 0.0}, here[2];
    bool joined = false;
    int margin = 2 * l->scale; /* so that a line along the frame keeps its thickness */
    sp_rect r = {l->plot.x0 - margin, l->plot.y0 - margin, l->plot.x1 + margin, l->plot.y1 + margin};
    for (size_t i = 0; i < s->n; i++) {
        bool next_ok = i + 1 < s->n && sp_point_ok(s, i + 1);
        if (!sp_point_ok(s, i)) {
            joined = false;
            continue;
        }
        here[0] = to_x(l, s->x[i]);
        here[1] = to_y(l, s->y[i]);
        if (joined)
            sp_canvas_line(c, r, before, here, 1.0 + 0.5 * l->scale, colour);
        if (!joined && !next_ok)
            sp_canvas_dot(c, r, here, 2.0 * l->scale, colour);
        else if (s->n <= 20)
            sp_canvas_dot(c, r, here, 1.5 * l->scale, colour);
        before[0] = here[0];
        before[1] = here[1];
        joined = true;
    }
}

/* Bars stand side by side, a pixel of paper between those that are wide enough. */
static void draw_bars(sp_canvas *c, const layout *l, const sp_series *s, uint32_t colour)
{
    double half = 0.5 * bar_width(s);
    int zero = (int)lround(to_y(l, fmax(l->y.low, 0)));
    for (size_t i = 0; i < s->n; i++) {
        if (!sp_point_ok(s, i))
            continue;
        int left = (int)lround(to_x(l, s->x[i] - half)), right = (int)lround(to_x(l, s->x[i] + half));
        int top = (int)lround(to_y(l, s->y[i]));
        right -= right - left > 4;
        left = left < l->plot.x0 ? l->plot.x0 : left;
        right = right > l->plot.x1 ? l->plot.x1 : right;
        if (s->y[i] > 0)
            sp_canvas_fill(c, (sp_rect){left, top < zero ? top : zero - 1, right, zero}, colour);
    }
}

static bool has_points(const sp_panel *p)
{
    for (size_t k = 0; k < p->n_series; k++) {
        for (size_t i = 0; i < p->series[k].n; i++) {
            if (sp_point_ok(&p->series[k], i))
                return true;
        }
    }
    return false;
}

static void draw_panel(sp_canvas *c, const sp_panel *p, sp_rect panel, const sp_chart *h)
{
    layout l = make_layout(p, panel, h);
    int s = l.scale, width = l.plot.x1 - l.plot.x0, height = l.plot.y1 - l.plot.y0;
    int middle_x = l.plot.x0 + width / 2, middle_y = l.plot.y0 + height / 2;

    draw_axes(c, &l);
    for (size_t k = 0; k < p->n_series; k++)
        (l.bars && k == 0 ? draw_bars : draw_series)(c, &l, &p->series[k], palette[k]);
    if (!has_points(p))
        sp_canvas_text(c, middle_x, middle_y, "no data", s, width, SP_ALIGN_CENTRE, SOFT_INK);
    sp_canvas_text(c, l.plot.x0, panel.y0 + PAD * s, text_of(p->title), s, width, SP_ALIGN_LEFT, INK);
    legend(c, p, &l);
    sp_canvas_text(c, middle_x, panel.y1 - (PAD + CAPITALS + 1) * s, text_of(p->x_label), s, width,
                   SP_ALIGN_CENTRE, INK);
    sp_canvas_text_up(c, panel.x0 + PAD * s, middle_y, text_of(p->y_label), s, height, INK);
}

static sp_status check(const char *path, const sp_chart *h, sp_error *err)
{
    if (h->n == 0 || h->n > MAX_PANELS || h->columns == 0)
        return SP_FAIL(err, SP_E_FAILED, "%s: a chart of %zu panels in rows of %zu; 1 to %d can be drawn",
                       path, h->n, h->columns, MAX_PANELS);
    if (h->panel_width < MIN_WIDTH || h->panel_height < MIN_HEIGHT || h->panel_width > MAX_SIDE ||
        h->panel_height > MAX_SIDE || (int)h->columns * h->panel_width > MAX_WIDTH ||
        (int)((h->n + h->columns - 1) / h->columns) * h->panel_height > MAX_WIDTH)
        return SP_FAIL(err, SP_E_FAILED,
                       "%s: %zu panels of %d x %d pixels; choose at least %d x %d, at most %d x %d and %d a "
                       "side together",
                       path, h->n, h->panel_width, h->panel_height, MIN_WIDTH, MIN_HEIGHT, MAX_SIDE, MAX_SIDE,
                       MAX_WIDTH);
    for (size_t i = 0; i < h->n; i++) {
        if (h->panels[i].n_series > MAX_SERIES)
            return SP_FAIL(err, SP_E_FAILED, "%s: panel %zu has %zu series; at most %d can be told apart",
                           path, i, h->panels[i].n_series, MAX_SERIES);
    }
    return SP_OK;
}

sp_status sp_chart_write(const char *path, const sp_chart *chart, sp_error *err)
{
    sp_chart h = *chart;
    sp_canvas *c;

    h.columns = h.columns > h.n ? h.n : h.columns;
    SP_TRY(check(path, &h, err));
    SP_TRY(sp_canvas_open(path, (int)h.columns * h.panel_width,
                          (int)((h.n + h.columns - 1) / h.columns) * h.panel_height, &c, err));
    for (size_t i = 0; i < h.n; i++) {
        int left = (int)(i % h.columns) * h.panel_width, top = (int)(i / h.columns) * h.panel_height;
        draw_panel(c, &h.panels[i], (sp_rect){left, top, left + h.panel_width, top + h.panel_height}, &h);
    }
    return sp_canvas_close(&c, SP_OK, err);
}
