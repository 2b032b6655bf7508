/* Drawing of charts: see canvas.h. Lines are painted by distance to the segment, which gives smooth edges at
 * any slope; text is a 5x7 bitmap font (font.inc) whose stairs are rounded when it is doubled. */
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "plot/canvas.h"

enum { GLYPH_W = 5, GLYPH_H = 9, ADVANCE = 6, FIRST = 32, N_GLYPHS = 95 };

static const char *const font[N_GLYPHS] = {
#include "plot/font.inc"
};

static int imax(int a, int b)
{
    return a > b ? a : b;
}

static int imin(int a, int b)
{
    return a < b ? a : b;
}

static double unit(double v)
{
    return v < 0.0 ? 0.0 : v > 1.0 ? 1.0 : v;
}

static sp_rect inside(const sp_canvas *c, sp_rect r)
{
    return (sp_rect){imax(r.x0, 0), imax(r.y0, 0), imin(r.x1, c->width), imin(r.y1, c->height)};
}

static size_t pixel_index(const sp_canvas *c, int x, int y)
{
    return (size_t)y * (size_t)c->width + (size_t)x;
}

static void blend(uint8_t *pixel, uint32_t colour, int cover)
{
    for (int k = 0; k < 3; k++) {
        int want = (int)(colour >> (16 - 8 * k) & 255u);
        pixel[k] = (uint8_t)((pixel[k] * (255 - cover) + want * cover + 127) / 255);
    }
}

void sp_canvas_fill(sp_canvas *c, sp_rect r, uint32_t colour)
{
    r = inside(c, r);
    for (int y = r.y0; y < r.y1; y++) {
        for (int x = r.x0; x < r.x1; x++)
            blend(c->rgb + 3 * pixel_index(c, x, y), colour, 255);
    }
}

/* Keeps the part of the segment that lies in r (Liang-Barsky), so that wild values cost nothing; false: no
 * part. */
static bool clip_segment(sp_rect r, double from[2], double to[2])
{
    double start[2] = {from[0], from[1]}, d[2] = {to[0] - from[0], to[1] - from[1]};
    double low[2] = {r.x0, r.y0}, high[2] = {r.x1, r.y1}, begin = 0.0, end = 1.0;
    for (int k = 0; k < 2; k++) {
        double a = low[k] - start[k], b = high[k] - start[k];
        if (d[k] == 0.0) {
            if (a > 0.0 || b < 0.0)
                return false;
            continue;
        }
        a /= d[k];
        b /= d[k];
        begin = fmax(begin, fmin(a, b));
        end = fmin(end, fmax(a, b));
    }
    if (!(begin <= end))
        return false;
    for (int k = 0; k < 2; k++) {
        from[k] = start[k] + begin * d[k];
        to[k] = start[k] + end * d[k];
    }
    return true;
}

static double distance(double px, double py, const double a[2], const double b[2])
{
    double dx = b[0] - a[0], dy = b[1] - a[1], length2 = dx * dx + dy * dy;
    double t = length2 > 0.0 ? unit(((px - a[0]) * dx + (py - a[1]) * dy) / length2) : 0.0;
    return hypot(px - a[0] - t * dx, py - a[1] - t * dy);
}

void sp_canvas_line(sp_canvas *c, sp_rect clip, const double from[2], const double to[2], double thickness)
{
    double ends[2][2] = {{from[0], from[1]}, {to[0], to[1]}};
    const double *a = ends[0], *b = ends[1];
    double reach = 0.5 * thickness + 0.5, band = 1.5 * reach + 1.0;
    int margin = (int)ceil(reach) + 1;
    sp_rect r = inside(c, clip), wide = {r.x0 - margin, r.y0 - margin, r.x1 + margin, r.y1 + margin};
    int low[2] = {r.x0, r.y0}, high[2] = {r.x1, r.y1}, along, first, last;

    if (!clip_segment(wide, ends[0], ends[1]))
        return;
    /* Walk along the longer side; across it only the band around the line is looked at. */
    along = fabs(b[0] - a[0]) >= fabs(b[1] - a[1]) ? 0 : 1;
    first = imax((int)floor(fmin(a[along], b[along]) - reach), low[along]);
    last = imin((int)ceil(fmax(a[along], b[along]) + reach), high[along]);
    for (int i = first; i < last; i++) {
        double d = b[along] - a[along], t = d != 0.0 ? unit((i + 0.5 - a[along]) / d) : 0.0;
        double middle = a[1 - along] + t * (b[1 - along] - a[1 - along]);
        int j = imax((int)floor(middle - band), low[1 - along]);
        int j_end = imin((int)ceil(middle + band), high[1 - along]);
        for (; j < j_end; j++) {
            int x = along ? j : i, y = along ? i : j;
            uint8_t *ink = c->ink + pixel_index(c, x, y);
            int level = (int)(255.0 * unit(reach - distance(x + 0.5, y + 0.5, a, b)) + 0.5);
            if (level > *ink)
                *ink = (uint8_t)level;
        }
    }
}

void sp_canvas_dot(sp_canvas *c, sp_rect clip, const double at[2], double radius)
{
    sp_canvas_line(c, clip, at, at, 2.0 * radius);
}

void sp_canvas_paint(sp_canvas *c, sp_rect clip, uint32_t colour)
{
    sp_rect r = inside(c, clip);
    for (int y = r.y0; y < r.y1; y++) {
        for (int x = r.x0; x < r.x1; x++) {
            size_t i = pixel_index(c, x, y);
            if (c->ink[i])
                blend(c->rgb + 3 * i, colour, c->ink[i]);
            c->ink[i] = 0;
        }
    }
}

/* The next glyph of text; a UTF-8 sequence and other unknown bytes show as one '?'. */
static const char *next_glyph(const char **text)
{
    unsigned char byte = (unsigned char)**text;
    ++*text;
    if (byte >= 0x80) {
        while (((unsigned char)**text & 0xc0) == 0x80)
            ++*text;
    }
    return font[byte >= FIRST && byte < FIRST + N_GLYPHS ? byte - FIRST : '?' - FIRST];
}

static int count_glyphs(const char *text)
{
    int n = 0;
    while (*text) {
        next_glyph(&text);
        n++;
    }
    return n;
}

int sp_canvas_text_width(const char *text, int scale)
{
    int n = count_glyphs(text);
    return n ? (n * ADVANCE - 1) * scale : 0;
}

static int ink_at(const char *glyph, int row, int column)
{
    size_t i = (size_t)row * (GLYPH_W + 1) + (size_t)column;
    if (row < 0 || column < 0 || column >= GLYPH_W)
        return 0;
    return i < strlen(glyph) && glyph[i] == '#';
}

/* Ink of pixel (x, y) of a glyph drawn `scale` times as large. In an even scale a quarter of a cell follows
 * the two neighbours that it touches where these agree and the opposite ones do not (the Scale2x rule), which
 * takes the stairs off diagonals; the inner corner of a joint, whose diagonal cell is ink too, stays empty.
 */
static int scaled_ink(const char *glyph, int x, int y, int scale)
{
    int column = x / scale, row = y / scale, self = ink_at(glyph, row, column);
    int dx = x % scale * 2 >= scale ? 1 : -1, dy = y % scale * 2 >= scale ? 1 : -1;
    int beside = ink_at(glyph, row, column + dx), above = ink_at(glyph, row + dy, column);
    if (scale % 2 || beside != above || beside == self)
        return self;
    if (ink_at(glyph, row, column - dx) == beside || ink_at(glyph, row - dy, column) == beside)
        return self;
    return beside && ink_at(glyph, row + dy, column + dx) ? self : beside;
}

typedef struct pen {
    int x, y;
    bool up; /* text runs upwards from y, its lines rightwards from x */
    uint32_t colour;
} pen;

static void put(sp_canvas *c, const pen *p, int along, int across)
{
    int x = p->up ? p->x + across : p->x + along, y = p->up ? p->y - along : p->y + across;
    if (x >= 0 && x < c->width && y >= 0 && y < c->height)
        blend(c->rgb + 3 * pixel_index(c, x, y), p->colour, 255);
}

static void draw_text(sp_canvas *c, const pen *p, const char *text, int scale, int n_glyphs, bool cut)
{
    for (int k = 0; k < n_glyphs; k++) {
        const char *glyph = next_glyph(&text);
        if (cut && k + 2 >= n_glyphs)
            glyph = font['.' - FIRST];
        for (int y = 0; y < GLYPH_H * scale; y++) {
            for (int x = 0; x < GLYPH_W * scale; x++) {
                if (scaled_ink(glyph, x, y, scale))
                    put(c, p, k * ADVANCE * scale + x, y);
            }
        }
    }
}

static int fitting_glyphs(const char *text, int scale, int fit, bool *cut)
{
    int n = count_glyphs(text), room = imax((fit / scale + 1) / ADVANCE, 0);
    *cut = n > room;
    return *cut ? room : n;
}

void sp_canvas_text(sp_canvas *c, int x, int y, const char *text, int scale, int fit, sp_align align,
                    uint32_t colour)
{
    bool cut;
    int n = fitting_glyphs(text, scale, fit, &cut), width = (n * ADVANCE - 1) * scale;
    pen p = {.x = x, .y = y, .colour = colour};
    if (align != SP_ALIGN_LEFT)
        p.x -= align == SP_ALIGN_RIGHT ? width : width / 2;
    draw_text(c, &p, text, scale, n, cut);
}

void sp_canvas_text_up(sp_canvas *c, int x, int y, const char *text, int scale, int fit, uint32_t colour)
{
    bool cut;
    int n = fitting_glyphs(text, scale, fit, &cut);
    pen p = {.x = x, .y = y + (n * ADVANCE - 1) * scale / 2, .up = true, .colour = colour};
    draw_text(c, &p, text, scale, n, cut);
}
