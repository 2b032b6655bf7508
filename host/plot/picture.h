/* Pictures through cairo: the one plotting module (lines, histograms and coloured cells with axes, units,
 * legend; sheets of small pictures). The end of a path, .png, .svg or .pdf, says what is written, to a
 * temporary name that is renamed. Without cairo every function refuses and names the package. */
#ifndef SP_PLOT_PICTURE_H
#define SP_PLOT_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

/* Whether this build has cairo. Commands whose purpose are pictures refuse without it; pictures beside other
 * results (sp_plot_write) are left out, which is said. */
bool sp_picture_can(void);
sp_status sp_picture_check(const char *path, sp_error *err); /* refuses what cannot be drawn */
bool sp_picture_is_format(const char *text);                 /* png, svg or pdf */

/* Small pictures of one size in a sheet. rgb is [height][width][3]; the text (may be NULL) stands below. */
typedef struct sp_tile {
    const uint8_t *rgb;
    const char *text;
} sp_tile;

/* Tiles in rows of `columns`, every pixel a square of zoom x zoom. */
typedef struct sp_sheet {
    const sp_tile *tiles;
    size_t n;
    int columns, width, height, zoom;
} sp_sheet;
sp_status sp_sheet_write(const char *path, const sp_sheet *s, sp_error *err);

typedef struct sp_series {
    const char *name;    /* legend */
    const double *x, *y; /* NAN y: gap */
    size_t n;
} sp_series;

typedef struct sp_panel {
    const char *title, *x_label, *y_label;
    const sp_series *series; /* at most 6 */
    size_t n_series;
    double y_min, y_max; /* NAN: from the data */
} sp_panel;

/* Panels in rows; readable at a glance: ticks at round numbers, axis labels, legend, colours that
 * colour-blind people can tell apart. */
typedef struct sp_chart {
    const sp_panel *panels;
    size_t n, columns;
    int panel_width, panel_height;
    bool bars; /* the first series of a panel is a histogram: bars from 0 to y, as wide as its x are apart */
    bool powers; /* x and y are logarithms to base 2: ticks say the numbers themselves */
} sp_chart;
sp_status sp_chart_write(const char *path, const sp_chart *chart, sp_error *err);

/* A panel whose points are gathered one by one, by the name of their series; more series than a chart can
 * show are left out. */
enum { SP_PLOT_SERIES = 6 };
typedef struct sp_plot {
    const char *title, *x_label, *y_label;
    double y_min;
    char *names[SP_PLOT_SERIES];
    double *x[SP_PLOT_SERIES], *y[SP_PLOT_SERIES];
    size_t points[SP_PLOT_SERIES], n;
    bool failed; /* memory ran out: the picture is not written */
} sp_plot;
void sp_plot_add(sp_plot *p, const char *name, double x, double y);
void sp_plot_sort(sp_plot *p); /* the points of each series by x */
/* The panels of `look` are those gathered. The caller frees them. */
sp_status sp_plot_write(const char *path, const sp_plot *p, size_t n, const sp_chart *look, sp_error *err);
void sp_plot_free(sp_plot *p, size_t n);

typedef enum {
    SP_COLOURS_INK,   /* white to black: spikes */
    SP_COLOURS_SHARE, /* white to blue: shares */
    SP_COLOURS_SIGNED /* blue, white at the middle, red: weights */
} sp_colours;

/* A matrix as coloured cells: rasters, filters, confusion matrices. */
typedef struct sp_map {
    const char *title, *x_label, *y_label;
    const char *scale;   /* name of the colour scale, which is then drawn; NULL: none */
    const float *values; /* [rows][columns]; NAN: nothing there, grey */
    int rows, columns, cell_width, cell_height;
    double low, high; /* ends of the colour scale */
    sp_colours colours;
    bool number_columns;      /* 1, 2, 3 .. below */
    const char *const *names; /* of rows and columns, NULL none */
    const char *const *texts; /* [rows][columns], in the cells; NULL none */
} sp_map;

/* Maps in rows of `columns`, each in as much room as the largest wants. */
sp_status sp_map_write(const char *path, const sp_map *maps, size_t n_maps, size_t columns, sp_error *err);

#endif
