/* Ranges and tick marks of a chart's axes. Inside the folder only; apart from the drawing so that it can be
 * tested. */
#ifndef SP_PLOT_CHART_AXES_H
#define SP_PLOT_CHART_AXES_H

#include <stdbool.h>
#include "plot/picture.h"

typedef struct sp_axis {
    double low, high; /* high > low, finite */
    double step;      /* between ticks: 1, 2 or 5 times a power of ten */
} sp_axis;

/* Whether point i of s can be drawn: both numbers finite, and not so large that a difference overflows. */
bool sp_point_ok(const sp_series *s, size_t i);

/* The axes that hold all points of the panel; at most about so many ticks on each. */
sp_axis sp_axis_x(const sp_panel *p, int ticks);
sp_axis sp_axis_y(const sp_panel *p, int ticks);

/* Ticks of an axis: how many, and the value and the text of the k-th. */
int sp_axis_ticks(const sp_axis *a);
double sp_axis_tick(const sp_axis *a, int k);
void sp_axis_label(const sp_axis *a, int k, char *text, size_t text_bytes);

#endif
