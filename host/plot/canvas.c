/* Drawing through cairo: see canvas.h. A file is made in memory and then replaced as a whole, so that a
 * reader never sees half a picture. An SVG holds its texts once more as a description, for those who cannot
 * see it. */
#include "plot/canvas.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/output.h"
#include "plot/picture.h"

#ifdef SP_WITH_CAIRO
#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cairo.h>

bool sp_picture_can(void)
{
    return true;
}

struct sp_canvas {
    cairo_surface_t *surface;
    cairo_t *cr;
    char *path;
    bool png, svg;
    sp_text file;  /* bytes */
    sp_text texts; /* what was written, a line each */
};

static cairo_status_t take(void *file, const unsigned char *bytes, unsigned n)
{
    sp_text_append(file, bytes, n);
    return ((sp_text *)file)->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static sp_status check_cairo(const char *path, cairo_status_t status, sp_error *err)
{
    return status == CAIRO_STATUS_SUCCESS
               ? SP_OK
               : SP_FAIL(err, status == CAIRO_STATUS_NO_MEMORY ? SP_E_MEMORY : SP_E_FAILED, "%s: %s", path,
                         cairo_status_to_string(status));
}

sp_status sp_canvas_open(const char *path, int width, int height, sp_canvas **out, sp_error *err)
{
    bool pdf = sp_name_ends_in(-1, path, ".pdf"), svg = sp_name_ends_in(-1, path, ".svg");
    if (!pdf && !svg && !sp_name_ends_in(-1, path, ".png"))
        return SP_FAIL(err, SP_E_USAGE, "%s: the name of a picture ends in .png, .svg or .pdf", path);
    SP_TRY(sp_output_check(path,
                           pdf   ? SP_OUTPUT_PDF
                           : svg ? SP_OUTPUT_SVG
                                 : SP_OUTPUT_PICTURE,
                           NULL, 0, err));
    sp_canvas *c = sp_alloc(sizeof *c);
    if (!c || !(c->path = sp_strdup(path))) {
        sp_free(c);
        return SP_FAIL(err, SP_E_MEMORY, "%s: no memory for a picture of %d x %d pixels", path, width,
                       height);
    }
    c->png = !pdf && !svg, c->svg = svg;
    c->surface = pdf   ? cairo_pdf_surface_create_for_stream(take, &c->file, width, height)
                 : svg ? cairo_svg_surface_create_for_stream(take, &c->file, width, height)
                       : cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    if (svg)
        cairo_svg_surface_set_document_unit(c->surface, CAIRO_SVG_UNIT_PX);
    c->cr = cairo_create(c->surface);
    sp_canvas_fill(c, (sp_rect){0, 0, width, height}, 0xffffff);
    *out = c;
    sp_status st = check_cairo(path, cairo_status(c->cr), err);
    return st == SP_OK ? SP_OK : sp_canvas_close(out, st, err);
}

/* The texts, as <desc> behind the opening tag. */
static void describe(sp_canvas *c)
{
    sp_text out = {0};
    const char *tag = strstr(c->file.s, "<svg"), *end = tag ? strchr(tag, '>') : NULL;
    if (!end)
        return;
    sp_text_append(&out, c->file.s, (size_t)(end + 1 - c->file.s));
    sp_text_add(&out, "\n<desc>");
    for (const char *s = c->texts.s ? c->texts.s : ""; *s; s++)
        sp_text_add(&out, *s == '<' ? "&lt;" : *s == '&' ? "&amp;" : "%c", *s);
    sp_text_add(&out, "</desc>");
    sp_text_append(&out, end + 1, c->file.n - (size_t)(end + 1 - c->file.s));
    sp_text_free(&c->file);
    c->file = out;
}

sp_status sp_canvas_close(sp_canvas **pc, sp_status st, sp_error *err)
{
    sp_canvas *c = *pc;
    if (!c)
        return st;
    if (st == SP_OK)
        st = check_cairo(c->path, cairo_status(c->cr), err);
    if (st == SP_OK && c->png)
        st = check_cairo(c->path, cairo_surface_write_to_png_stream(c->surface, take, &c->file), err);
    cairo_destroy(c->cr);
    cairo_surface_finish(c->surface);
    if (st == SP_OK)
        st = check_cairo(c->path, cairo_surface_status(c->surface), err);
    cairo_surface_destroy(c->surface);
    if (st == SP_OK && c->svg)
        describe(c);
    if (st == SP_OK && (c->file.failed || c->texts.failed))
        st = SP_FAIL(err, SP_E_MEMORY, "%s: no memory for the picture", c->path);
    if (st == SP_OK)
        st = sp_file_replace(c->path, &(sp_bytes){c->file.s, c->file.n}, 1, err);
    sp_text_free(&c->file);
    sp_text_free(&c->texts);
    sp_free(c->path);
    sp_free(c);
    *pc = NULL;
    return st;
}

static void set_colour(cairo_t *cr, uint32_t colour)
{
    cairo_set_source_rgb(cr, (colour >> 16) / 255.0, (colour >> 8 & 255u) / 255.0, (colour & 255u) / 255.0);
}

static void rectangle(cairo_t *cr, sp_rect r)
{
    cairo_rectangle(cr, r.x0, r.y0, r.x1 - r.x0, r.y1 - r.y0);
}

void sp_canvas_fill(sp_canvas *c, sp_rect r, uint32_t colour)
{
    if (r.x1 <= r.x0 || r.y1 <= r.y0)
        return;
    set_colour(c->cr, colour);
    rectangle(c->cr, r);
    cairo_fill(c->cr);
}

/* Keeps the part of the segment that lies in r (Liang-Barsky): cairo's coordinates end at 2^23. False: no
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

/* A line without length is a dot. */
void sp_canvas_line(sp_canvas *c, sp_rect clip, const double from[2], const double to[2], double thickness,
                    uint32_t colour)
{
    double a[2] = {from[0], from[1]}, b[2] = {to[0], to[1]};
    int margin = (int)ceil(thickness) + 1;
    if (!clip_segment((sp_rect){clip.x0 - margin, clip.y0 - margin, clip.x1 + margin, clip.y1 + margin}, a,
                      b))
        return;
    cairo_save(c->cr);
    rectangle(c->cr, clip);
    cairo_clip(c->cr);
    set_colour(c->cr, colour);
    cairo_set_line_width(c->cr, thickness);
    cairo_set_line_cap(c->cr, CAIRO_LINE_CAP_ROUND);
    cairo_move_to(c->cr, a[0], a[1]);
    cairo_line_to(c->cr, b[0], b[1]);
    cairo_stroke(c->cr);
    cairo_restore(c->cr);
}

void sp_canvas_dot(sp_canvas *c, sp_rect clip, const double at[2], double radius, uint32_t colour)
{
    sp_canvas_line(c, clip, at, at, 2.0 * radius, colour);
}

void sp_canvas_image(sp_canvas *c, int x, int y, const uint8_t *rgb, int width, int height, int zoom)
{
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width * zoom, height * zoom);
    uint8_t *to = cairo_image_surface_get_data(image);
    int stride = cairo_image_surface_get_stride(image);
    for (int row = 0; to && row < height * zoom; row++)
        for (int column = 0; column < width * zoom; column++) {
            const uint8_t *p = rgb + 3 * ((size_t)(row / zoom) * (size_t)width + (size_t)(column / zoom));
            const uint32_t pixel = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
            memcpy(to + (size_t)row * (size_t)stride + 4 * (size_t)column, &pixel, sizeof pixel);
        }
    cairo_surface_mark_dirty(image);
    cairo_set_source_surface(c->cr, image, x, y);
    cairo_paint(c->cr);
    cairo_surface_destroy(image);
}

/* ---- text ---- */

static void set_font(cairo_t *cr, int scale)
{
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, 9.6 * scale); /* capitals of DejaVu Sans are 0.73 of it */
}

/* As it can be shown: cairo draws nothing more after bytes that are no UTF-8. */
static sp_text clean(const char *text)
{
    sp_text out = {0};
    sp_text_escape(&out, text, false);
    return out;
}

static double width_of(cairo_t *cr, const char *text)
{
    cairo_text_extents_t e;
    cairo_text_extents(cr, text, &e);
    return e.x_advance;
}

int sp_canvas_text_width(const char *text, int scale)
{
    if (!*text)
        return 0;
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    cairo_t *cr = cairo_create(surface);
    sp_text t = clean(text);
    set_font(cr, scale);
    int width = t.failed ? 0 : (int)ceil(width_of(cr, t.s));
    sp_text_free(&t);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return width;
}

/* Drops characters from the end until the text and two dots fit. */
static void cut(cairo_t *cr, sp_text *t, int fit)
{
    size_t n = t->n;
    while (n && width_of(cr, t->s) > fit) {
        do
            n--;
        while (n && ((unsigned char)t->s[n] & 0xc0) == 0x80);
        t->n = n;
        t->s[n] = '\0';
        if (n)
            sp_text_add(t, "..");
    }
}

/* At (x, y), turned by `angle`; the text begins `before` times its width before that point. */
static void draw_text(sp_canvas *c, int x, int y, const char *text, int scale, int fit, double before,
                      double angle, uint32_t colour)
{
    sp_text t = clean(text);
    set_font(c->cr, scale);
    if (!t.failed) {
        sp_text_add(&c->texts, *text ? "%s\n" : "", t.s);
        cut(c->cr, &t, fit);
    }
    c->texts.failed = c->texts.failed || t.failed;
    if (!t.failed && t.n) {
        cairo_save(c->cr);
        set_colour(c->cr, colour);
        cairo_translate(c->cr, x, y);
        cairo_rotate(c->cr, angle);
        cairo_move_to(c->cr, -before * width_of(c->cr, t.s), 7.0 * scale);
        cairo_show_text(c->cr, t.s);
        cairo_restore(c->cr);
    }
    sp_text_free(&t);
}

void sp_canvas_text(sp_canvas *c, int x, int y, const char *text, int scale, int fit, sp_align align,
                    uint32_t colour)
{
    draw_text(c, x, y, text, scale, fit,
              align == SP_ALIGN_LEFT     ? 0
              : align == SP_ALIGN_CENTRE ? 0.5
                                         : 1,
              0, colour);
}

void sp_canvas_text_up(sp_canvas *c, int x, int y, const char *text, int scale, int fit, uint32_t colour)
{
    draw_text(c, x, y, text, scale, fit, 0.5, -1.5707963267948966, colour);
}

#else

bool sp_picture_can(void)
{
    return false;
}

sp_status sp_canvas_open(const char *path, int width, int height, sp_canvas **out, sp_error *err)
{
    (void)width, (void)height;
    *out = NULL;
    return sp_picture_check(path, err);
}

/* Nothing gets here: there is no canvas. */
sp_status sp_canvas_close(sp_canvas **c, sp_status st, sp_error *err)
{
    (void)c, (void)err;
    return st;
}

void sp_canvas_fill(sp_canvas *c, sp_rect r, uint32_t colour)
{
    (void)c, (void)r, (void)colour;
}

void sp_canvas_line(sp_canvas *c, sp_rect clip, const double from[2], const double to[2], double thickness,
                    uint32_t colour)
{
    (void)c, (void)clip, (void)from, (void)to, (void)thickness, (void)colour;
}

void sp_canvas_dot(sp_canvas *c, sp_rect clip, const double at[2], double radius, uint32_t colour)
{
    (void)c, (void)clip, (void)at, (void)radius, (void)colour;
}

void sp_canvas_image(sp_canvas *c, int x, int y, const uint8_t *rgb, int width, int height, int zoom)
{
    (void)c, (void)x, (void)y, (void)rgb, (void)width, (void)height, (void)zoom;
}

void sp_canvas_text(sp_canvas *c, int x, int y, const char *text, int scale, int fit, sp_align align,
                    uint32_t colour)
{
    (void)c, (void)x, (void)y, (void)text, (void)scale, (void)fit, (void)align, (void)colour;
}

void sp_canvas_text_up(sp_canvas *c, int x, int y, const char *text, int scale, int fit, uint32_t colour)
{
    (void)c, (void)x, (void)y, (void)text, (void)scale, (void)fit, (void)colour;
}

int sp_canvas_text_width(const char *text, int scale)
{
    (void)text, (void)scale;
    return 0;
}
#endif

bool sp_picture_is_format(const char *text)
{
    return strcmp(text, "png") == 0 || strcmp(text, "svg") == 0 || strcmp(text, "pdf") == 0;
}

sp_status sp_picture_check(const char *path, sp_error *err)
{
    return sp_picture_can() ? SP_OK
                            : SP_FAIL(err, SP_E_USAGE,
                                      "%s: pictures are drawn by cairo, and this build is without it; "
                                      "install libcairo2-dev and configure again",
                                      path);
}
