/* A sheet of small pictures with a line of text below each, as a PNG: to look at what a data set holds. */
#include "base/error.h"
#include "base/mem.h"
#include "plot/canvas.h"
#include "plot/picture.h"

enum { GAP = 6, TEXT_SCALE = 1, TEXT_ROOM = 14, MAX_SIDE = 16384 };
static const uint32_t INK = 0x202020;

static void draw_tile(sp_canvas *c, const sp_sheet *s, const sp_tile *t, int left, int top)
{
    sp_canvas_image(c, left, top, t->rgb, s->width, s->height, s->zoom);
    if (t->text)
        sp_canvas_text(c, left, top + s->height * s->zoom + 3, t->text, TEXT_SCALE, s->width * s->zoom,
                       SP_ALIGN_LEFT, INK);
}

sp_status sp_sheet_write(const char *path, const sp_sheet *s, sp_error *err)
{
    int64_t columns = s->columns, rows = columns > 0 ? ((int64_t)s->n + columns - 1) / columns : 0;
    int64_t cell_w = (int64_t)s->width * s->zoom + GAP,
            cell_h = (int64_t)s->height * s->zoom + TEXT_ROOM + GAP;
    int64_t width = columns * cell_w + GAP, height = rows * cell_h + GAP;
    sp_canvas *c;
    if (s->n == 0 || s->width < 1 || s->height < 1 || s->zoom < 1 || columns < 1 || width > MAX_SIDE ||
        height > MAX_SIDE)
        return SP_FAIL(err, SP_E_FAILED,
                       "%s: a sheet of %zu pictures in rows of %lld would be %lld x %lld pixels; up to %d "
                       "are drawn: show fewer",
                       path, s->n, (long long)columns, (long long)width, (long long)height, MAX_SIDE);
    SP_TRY(sp_canvas_open(path, (int)width, (int)height, &c, err));
    for (size_t i = 0; i < s->n; i++)
        draw_tile(c, s, &s->tiles[i], GAP + (int)((int64_t)i % columns * cell_w),
                  GAP + (int)((int64_t)i / columns * cell_h));
    return sp_canvas_close(&c, SP_OK, err);
}
