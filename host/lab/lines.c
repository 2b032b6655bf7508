/* Series of points gathered by name, for the pictures. */
#include <stdio.h>
#include <string.h>

#include "lab/internal.h"

/* The series of that name, made when new; NULL when there are too many. */
static sp_series *series_of(spi_lines *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->names[i], name) == 0)
            return &l->series[i];
    if (l->n == SPI_LINES_SERIES)
        return NULL;
    snprintf(l->names[l->n], sizeof l->names[0], "%.60s", name);
    l->series[l->n] = (sp_series){l->names[l->n], l->x[l->n], l->y[l->n], 0};
    return &l->series[l->n++];
}

void spi_lines_put(spi_lines *l, const char *name, double x, double y)
{
    sp_series *s = series_of(l, name);
    if (!s || s->n == SPI_LINES_POINTS)
        return;
    size_t i = (size_t)(s - l->series);
    l->x[i][s->n] = x;
    l->y[i][s->n++] = y;
}
