/* Charts from points that are gathered by the name of their series. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "plot/picture.h"

void sp_plot_add(sp_plot *p, const char *name, double x, double y)
{
    size_t i = 0;
    while (i < p->n && strcmp(p->names[i], name) != 0)
        i++;
    if (i == SP_PLOT_SERIES)
        return;
    if (i == p->n)
        p->names[p->n++] = sp_strdup(name);
    double *px = sp_array_push(&p->x[i], p->points[i], sizeof x);
    double *py = sp_array_push(&p->y[i], p->points[i], sizeof y);
    p->failed = p->failed || !p->names[i] || !px || !py;
    if (p->failed) {
        p->n -= !p->names[i];
        return;
    }
    *px = x;
    *py = y;
    p->points[i]++;
}

void sp_plot_sort(sp_plot *p)
{
    for (size_t s = 0; s < p->n; s++)
        for (size_t i = 1; i < p->points[s]; i++)
            for (size_t k = i; k > 0 && p->x[s][k - 1] > p->x[s][k]; k--) {
                double x = p->x[s][k], y = p->y[s][k];
                p->x[s][k] = p->x[s][k - 1], p->y[s][k] = p->y[s][k - 1];
                p->x[s][k - 1] = x, p->y[s][k - 1] = y;
            }
}

sp_status sp_plot_write(const char *path, const sp_plot *p, size_t n, const sp_chart *look, sp_error *err)
{
    if (path && !sp_picture_can()) {
        sp_log(SP_LOG_WARNING, "%s is not drawn: this build is without cairo (libcairo2-dev)", path);
        return SP_OK;
    }
    sp_chart chart = *look;
    sp_panel *panels = sp_alloc_array(n, sizeof *panels);
    sp_series(*series)[SP_PLOT_SERIES] = sp_alloc_array(n, sizeof *series);
    bool failed = !path || !panels || !series;
    for (size_t i = 0; !failed && i < n; i++) {
        for (size_t s = 0; s < p[i].n; s++)
            series[i][s] = (sp_series){p[i].names[s], p[i].x[s], p[i].y[s], p[i].points[s]};
        panels[i] = (sp_panel){p[i].title, p[i].x_label, p[i].y_label, series[i], p[i].n, p[i].y_min, NAN};
        failed = p[i].failed;
    }
    chart.panels = panels;
    chart.n = n;
    sp_status st = failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the picture")
                          : sp_chart_write(path, &chart, err);
    sp_free(panels);
    sp_free(series);
    return st;
}

void sp_plot_free(sp_plot *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t s = 0; s < p[i].n; s++) {
            sp_free(p[i].names[s]);
            sp_free(p[i].x[s]);
            sp_free(p[i].y[s]);
        }
}
