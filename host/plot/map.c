/* Matrices as coloured cells, with title, names of rows and columns, texts in the cells and a colour scale:
 * see picture.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "plot/canvas.h"
#include "plot/picture.h"

enum { SCALE = 2, CAPITALS = 7 * SCALE, LINE = 24, PAD = 14, GAP = 8, BAR = 18, BAR_TICKS = 5 };
enum { MAX_MAPS = 64, MAX_SIDE = 16384, MIN_WIDTH = 200 };

#define PAPER    0xffffffu
#define INK      0x202020u
#define SOFT_INK 0x505050u
#define FRAME    0x909090u
#define NOTHING  0xe8e8e8u
#define BLUE     0x0072b2u
#define RED      0xd55e00u

typedef struct room {
    int left, right, top, bottom; /* of the cells */
    int width, height;            /* of all */
} room;

static const char *text_of(const char *s)
{
    return s ? s : "";
}

static uint32_t mix(uint32_t from, uint32_t to, double share)
{
    uint32_t out = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
        double a = from >> shift & 255u, b = to >> shift & 255u;
        out |= (uint32_t)lround(a + share * (b - a)) << shift;
    }
    return out;
}

/* at: 0 the low end, 1 the high one. */
static uint32_t colour_at(sp_colours colours, double at)
{
    at = at < 0 ? 0 : at > 1 ? 1 : at;
    switch (colours) {
    case SP_COLOURS_INK: return mix(PAPER, INK, at);
    case SP_COLOURS_SHARE: return mix(PAPER, BLUE, at);
    default: return at < 0.5 ? mix(BLUE, PAPER, 2 * at) : mix(PAPER, RED, 2 * at - 1);
    }
}

static double place(const sp_map *m, double v)
{
    return m->high > m->low ? (v - m->low) / (m->high - m->low) : 0;
}

static int widest(const sp_map *m, int n)
{
    int most = 0;
    for (int i = 0; m->names && i < n; i++) {
        int w = sp_canvas_text_width(m->names[i], SCALE);
        most = w > most ? w : most;
    }
    return most;
}

static void tick_text(const sp_map *m, int k, char *out, size_t size)
{
    snprintf(out, size, "%.3g", m->low + (m->high - m->low) * k / (BAR_TICKS - 1));
}

/* Names of columns stand upright where they are wider than a cell. */
static bool upright(const sp_map *m)
{
    return widest(m, m->columns) > m->cell_width - GAP;
}

static room measure(const sp_map *m)
{
    room r = {.left = PAD, .right = PAD, .top = PAD, .bottom = PAD};
    r.left += *text_of(m->y_label) ? LINE : 0;
    r.left += m->names ? widest(m, m->rows) + GAP : 0;
    r.top += *text_of(m->title) ? LINE + GAP : 0;
    r.bottom += *text_of(m->x_label) ? LINE : 0;
    r.bottom += m->names && upright(m)          ? widest(m, m->columns) + GAP
                : m->names || m->number_columns ? LINE
                                                : 0;
    if (m->scale) {
        int most = 0;
        for (int k = 0; k < BAR_TICKS; k++) {
            char text[32];
            tick_text(m, k, text, sizeof text);
            int w = sp_canvas_text_width(text, SCALE);
            most = w > most ? w : most;
        }
        r.right += 2 * PAD + BAR + GAP + most + LINE;
    }
    int cells = m->columns * m->cell_width, title = sp_canvas_text_width(text_of(m->title), SCALE);
    r.width = r.left + r.right + cells;
    r.width = r.width < title + 2 * PAD ? title + 2 * PAD : r.width;
    r.width = r.width < MIN_WIDTH ? MIN_WIDTH : r.width;
    r.height = r.top + r.bottom + m->rows * m->cell_height;
    return r;
}

static void draw_cells(sp_canvas *c, const sp_map *m, int left, int top)
{
    for (int i = 0; i < m->rows; i++)
        for (int k = 0; k < m->columns; k++) {
            size_t at = (size_t)i * (size_t)m->columns + (size_t)k;
            int x = left + k * m->cell_width, y = top + i * m->cell_height;
            double v = place(m, (double)m->values[at]);
            uint32_t colour = isnan(m->values[at]) ? NOTHING : colour_at(m->colours, v);
            sp_canvas_fill(c, (sp_rect){x, y, x + m->cell_width, y + m->cell_height}, colour);
            if (m->texts && m->texts[at])
                sp_canvas_text(c, x + m->cell_width / 2, y + (m->cell_height - CAPITALS) / 2, m->texts[at],
                               SCALE, m->cell_width, SP_ALIGN_CENTRE, v > 0.55 ? PAPER : INK);
        }
}

static void draw_frame(sp_canvas *c, sp_rect r)
{
    sp_canvas_fill(c, (sp_rect){r.x0 - 1, r.y0 - 1, r.x1 + 1, r.y0}, FRAME);
    sp_canvas_fill(c, (sp_rect){r.x0 - 1, r.y1, r.x1 + 1, r.y1 + 1}, FRAME);
    sp_canvas_fill(c, (sp_rect){r.x0 - 1, r.y0 - 1, r.x0, r.y1 + 1}, FRAME);
    sp_canvas_fill(c, (sp_rect){r.x1, r.y0 - 1, r.x1 + 1, r.y1 + 1}, FRAME);
}

static void draw_names(sp_canvas *c, const sp_map *m, sp_rect cells)
{
    bool up = upright(m);
    for (int i = 0; i < m->rows; i++)
        sp_canvas_text(c, cells.x0 - GAP, cells.y0 + i * m->cell_height + (m->cell_height - CAPITALS) / 2,
                       m->names[i], SCALE, cells.x0, SP_ALIGN_RIGHT, SOFT_INK);
    for (int k = 0; k < m->columns; k++) {
        int x = cells.x0 + k * m->cell_width, w = sp_canvas_text_width(m->names[k], SCALE);
        if (up)
            sp_canvas_text_up(c, x + (m->cell_width - CAPITALS) / 2, cells.y1 + GAP + w / 2, m->names[k],
                              SCALE, w + 2, SOFT_INK);
        else
            sp_canvas_text(c, x + m->cell_width / 2, cells.y1 + GAP, m->names[k], SCALE, m->cell_width,
                           SP_ALIGN_CENTRE, SOFT_INK);
    }
}

/* 1, 2, 3 .. or every 2nd, 5th, 10th of them: as many as do not touch. */
static void draw_numbers(sp_canvas *c, const sp_map *m, sp_rect cells)
{
    static const int steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    char text[16];
    int step = 0;
    snprintf(text, sizeof text, "%d", m->columns);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (!step && steps[i] * m->cell_width >= sp_canvas_text_width(text, SCALE) + GAP)
            step = steps[i];
    for (int k = step > 1 ? step : 1; step && k <= m->columns; k += step) {
        snprintf(text, sizeof text, "%d", k);
        sp_canvas_text(c, cells.x0 + (2 * k - 1) * m->cell_width / 2, cells.y1 + GAP, text, SCALE, 100,
                       SP_ALIGN_CENTRE, SOFT_INK);
    }
}

static void draw_scale(sp_canvas *c, const sp_map *m, sp_rect cells)
{
    int x = cells.x1 + 2 * PAD, n = cells.y1 - cells.y0, widest_tick = 0;
    for (int i = 0; i < n; i++)
        sp_canvas_fill(c, (sp_rect){x, cells.y1 - 1 - i, x + BAR, cells.y1 - i},
                       colour_at(m->colours, n > 1 ? (double)i / (n - 1) : 0));
    draw_frame(c, (sp_rect){x, cells.y0, x + BAR, cells.y1});
    for (int k = 0; k < BAR_TICKS; k++) {
        char text[32];
        int y = cells.y1 - CAPITALS - k * (n - CAPITALS) / (BAR_TICKS - 1);
        tick_text(m, k, text, sizeof text);
        int w = sp_canvas_text_width(text, SCALE);
        widest_tick = w > widest_tick ? w : widest_tick;
        sp_canvas_text(c, x + BAR + GAP, y, text, SCALE, w + 2, SP_ALIGN_LEFT, SOFT_INK);
    }
    sp_canvas_text_up(c, x + BAR + 2 * GAP + widest_tick, (cells.y0 + cells.y1) / 2, m->scale, SCALE, n, INK);
}

static void draw_map(sp_canvas *c, const sp_map *m, int left, int top)
{
    room r = measure(m);
    sp_rect cells = {left + r.left, top + r.top, left + r.left + m->columns * m->cell_width,
                     top + r.top + m->rows * m->cell_height};
    sp_canvas_text(c, left + PAD, top + PAD, text_of(m->title), SCALE, r.width - PAD, SP_ALIGN_LEFT, INK);
    draw_cells(c, m, cells.x0, cells.y0);
    draw_frame(c, cells);
    if (m->names)
        draw_names(c, m, cells);
    else if (m->number_columns)
        draw_numbers(c, m, cells);
    if (m->scale)
        draw_scale(c, m, cells);
    int foot = top + r.height - PAD - CAPITALS;
    sp_canvas_text(c, (cells.x0 + cells.x1) / 2, foot, text_of(m->x_label), SCALE,
                   2 * (cells.x1 - cells.x0) + MIN_WIDTH / 2, SP_ALIGN_CENTRE, INK);
    sp_canvas_text_up(c, left + PAD, (cells.y0 + cells.y1) / 2, text_of(m->y_label), SCALE, r.height, INK);
}

sp_status sp_map_write(const char *path, const sp_map *maps, size_t n_maps, size_t columns, sp_error *err)
{
    int64_t width = 0, height = 0;
    columns = columns > n_maps ? n_maps : columns;
    for (size_t i = 0; i < n_maps; i++) {
        const sp_map *m = &maps[i];
        if (m->rows < 1 || m->columns < 1 || m->cell_width < 1 || m->cell_height < 1 ||
            m->rows > MAX_SIDE / m->cell_height || m->columns > MAX_SIDE / m->cell_width)
            return SP_FAIL(err, SP_E_FAILED,
                           "%s: %d x %d cells of %d x %d pixels; up to %d pixels a side are drawn", path,
                           m->rows, m->columns, m->cell_width, m->cell_height, MAX_SIDE);
        room r = measure(m);
        width = r.width > width ? r.width : width;
        height = r.height > height ? r.height : height;
    }
    int64_t rows = columns ? ((int64_t)n_maps + (int64_t)columns - 1) / (int64_t)columns : 0;
    sp_canvas *c;
    if (n_maps == 0 || n_maps > MAX_MAPS || columns == 0 || width * (int64_t)columns > MAX_SIDE ||
        height * rows > MAX_SIDE)
        return SP_FAIL(err, SP_E_FAILED,
                       "%s: %zu maps in rows of %zu would be %lld x %lld pixels; 1 to %d maps and %d pixels "
                       "a side are drawn",
                       path, n_maps, columns, (long long)(width * (int64_t)columns),
                       (long long)(height * rows), MAX_MAPS, MAX_SIDE);
    SP_TRY(sp_canvas_open(path, (int)(width * (int64_t)columns), (int)(height * rows), &c, err));
    for (size_t i = 0; i < n_maps; i++)
        draw_map(c, &maps[i], (int)(i % columns) * (int)width, (int)(i / columns) * (int)height);
    return sp_canvas_close(&c, SP_OK, err);
}
