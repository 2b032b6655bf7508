/* A picture to draw on, through cairo: filled rectangles, lines, text. Inside the folder only. Coordinates
 * are pixels, y downwards; a pixel's centre is at +0.5. Everything outside is cut off. */
#ifndef SP_PLOT_CANVAS_H
#define SP_PLOT_CANVAS_H

#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

typedef struct sp_rect {
    int x0, y0, x1, y1; /* x1, y1 excluded */
} sp_rect;

typedef struct sp_canvas sp_canvas;
typedef enum { SP_ALIGN_LEFT, SP_ALIGN_CENTRE, SP_ALIGN_RIGHT } sp_align;

/* White, of so many pixels. The end of the path's name, .png, .svg or .pdf, says what is written. */
sp_status sp_canvas_open(const char *path, int width, int height, sp_canvas **out, sp_error *err);
/* Writes the file as a whole, unless `st` is a failure, which is passed on; closes the canvas. */
sp_status sp_canvas_close(sp_canvas **c, sp_status st, sp_error *err);

/* Colours are 0xRRGGBB. */
void sp_canvas_fill(sp_canvas *c, sp_rect r, uint32_t colour);
void sp_canvas_line(sp_canvas *c, sp_rect clip, const double from[2], const double to[2], double thickness,
                    uint32_t colour);
void sp_canvas_dot(sp_canvas *c, sp_rect clip, const double at[2], double radius, uint32_t colour);
/* rgb [height][width][3], each pixel a square of zoom x zoom, with its first corner at (x, y). */
void sp_canvas_image(sp_canvas *c, int x, int y, const uint8_t *rgb, int width, int height, int zoom);

/* Text of at most `fit` pixels (cut off with ".."), its capitals scale * 7 pixels high. (x, y) is the top of
 * the capitals, at the left, centre or right of the text. */
void sp_canvas_text(sp_canvas *c, int x, int y, const char *text, int scale, int fit, sp_align align,
                    uint32_t colour);
/* The same, turned to be read from the bottom up; y is its centre, x the top of the capitals. */
void sp_canvas_text_up(sp_canvas *c, int x, int y, const char *text, int scale, int fit, uint32_t colour);
int sp_canvas_text_width(const char *text, int scale);

#endif
