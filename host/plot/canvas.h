/* A picture in memory to draw a chart on: filled rectangles, anti-aliased poly-lines, text. Inside the folder
 * only. Coordinates are pixels, y downwards; a pixel's centre is at +0.5. Everything outside is cut off. */
#ifndef SP_PLOT_CANVAS_H
#define SP_PLOT_CANVAS_H

#include <stddef.h>
#include <stdint.h>

typedef struct sp_rect {
    int x0, y0, x1, y1; /* x1, y1 excluded */
} sp_rect;

typedef struct sp_canvas {
    int width, height;
    uint8_t *rgb; /* [height][width][3] */
    uint8_t *ink; /* [height][width]: cover of the line being drawn, all 0 between lines */
} sp_canvas;

typedef enum { SP_ALIGN_LEFT, SP_ALIGN_CENTRE, SP_ALIGN_RIGHT } sp_align;

/* Colours are 0xRRGGBB. */
void sp_canvas_fill(sp_canvas *c, sp_rect r, uint32_t colour);

/* Lines gather cover in `ink`, so that the joints of a poly-line are not painted twice; paint puts them down.
 */
void sp_canvas_line(sp_canvas *c, sp_rect clip, const double from[2], const double to[2], double thickness);
void sp_canvas_dot(sp_canvas *c, sp_rect clip, const double at[2], double radius);
void sp_canvas_paint(sp_canvas *c, sp_rect clip, uint32_t colour);

/* Text of at most `fit` pixels (cut off with ".."), its capitals scale * 7 pixels high. (x, y) is the top of
 * the capitals, at the left, centre or right of the text. */
void sp_canvas_text(sp_canvas *c, int x, int y, const char *text, int scale, int fit, sp_align align,
                    uint32_t colour);
/* The same, turned to be read from the bottom up; y is its centre, x the top of the capitals. */
void sp_canvas_text_up(sp_canvas *c, int x, int y, const char *text, int scale, int fit, uint32_t colour);
int sp_canvas_text_width(const char *text, int scale);

#endif
