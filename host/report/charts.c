/* The pictures of a report: cascade plot, roofline, memory against T. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "data/picture.h"
#include "report/internal.h"

static int descending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a < b) - (a > b);
}

/* Best device first; the second panel is Pennycook's metric of the growing set. */
static void cascade(const json_t *summary, const char *kind, int level, spi_lines *each, spi_lines *phi)
{
    const json_t *rows = json_object_get(summary, "portability");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i), *devices = json_object_get(r, "devices");
        double e[SPI_LINES_POINTS];
        size_t n = json_array_size(devices) < SPI_LINES_POINTS ? json_array_size(devices) : SPI_LINES_POINTS;
        if (strcmp(spi_text(r, "efficiency"), kind) != 0 || (int)spi_number(r, "level") != level)
            continue;
        for (size_t d = 0; d < n; d++)
            e[d] = spi_number(json_array_get(devices, d), "efficiency");
        qsort(e, n, sizeof *e, descending);
        for (size_t d = 0; d < n; d++) {
            spi_lines_put(each, spi_text(r, "application"), (double)d + 1, e[d]);
            spi_lines_put(phi, spi_text(r, "application"), (double)d + 1, sp_report_phi(e, d + 1));
        }
    }
}

/* Operations a byte against GFLOP/s, both as powers of two: a chart has straight axes. A line a device is its roof. */
static void roofline(const json_t *summary, const json_t *records, spi_lines *l)
{
    const json_t *devices = json_object_get(summary, "devices");
    for (size_t d = 0; d < json_array_size(devices); d++) {
        const json_t *device = json_array_get(devices, d);
        double peak = spi_number(device, "gflops"), copy = spi_number(device, "gbytes");
        char name[64];
        snprintf(name, sizeof name, "roof of %.50s", spi_text(device, "device"));
        for (int k = -4; k <= 10 && peak > 0 && copy > 0; k++)
            spi_lines_put(l, name, k, log2(fmin(peak, exp2(k) * copy)));
    }
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *r = json_array_get(records, i);
        double flops = spi_number(r, "flops"), bytes = spi_number(r, "bytes"), ms = spi_number(r, "median");
        if (spi_number(r, "level") != 1 || !(flops > 0) || !(bytes > 0) || !(ms > 0))
            continue;
        spi_lines_put(l, spi_text(r, "application"), log2(flops / bytes), log2(flops / ms * 1e-6));
        spi_lines_put(l, spi_text(r, "application"), log2(flops / bytes), (double)NAN);
    }
}

static int by_x(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Device memory of training steps whose records tell family and T. */
static void memory(const json_t *records, spi_lines *l)
{
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *r = json_array_get(records, i);
        if (spi_number(r, "level") == 2 && spi_number(r, "time_steps") > 0 && spi_number(r, "device_bytes") > 0 &&
            *spi_text(r, "family"))
            spi_lines_put(l, spi_text(r, "family"), spi_number(r, "time_steps"), spi_number(r, "device_bytes") / 1048576.0);
    }
    for (size_t s = 0; s < l->n; s++) {
        double pair[SPI_LINES_POINTS][2];
        for (size_t i = 0; i < l->series[s].n; i++)
            pair[i][0] = l->x[s][i], pair[i][1] = l->y[s][i];
        qsort(pair, l->series[s].n, sizeof *pair, by_x);
        for (size_t i = 0; i < l->series[s].n; i++)
            l->x[s][i] = pair[i][0], l->y[s][i] = pair[i][1];
    }
}

static sp_status draw(const char *folder, const char *name, const sp_panel *panels, size_t n, const char *names[], size_t max,
                      size_t *count, sp_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (panels[i].n_series == 0)
            return SP_OK; // nothing of this kind was measured
    char *path = sp_format("%s/%s", folder, name);
    sp_status st = path ? sp_chart_write(path, panels, n, 640, 420, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for %s", name);
    sp_free(path);
    if (st == SP_OK && *count < max)
        names[(*count)++] = name;
    return st;
}

sp_status spi_charts(const json_t *summary, const json_t *records, const char *folder, const char *names[], size_t max, size_t *n,
                     sp_error *err)
{
    spi_lines *l = sp_alloc_array(4, sizeof *l);
    if (!l)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the pictures");
    *n = 0;
    cascade(summary, "arch_eff", 1, &l[0], &l[1]);
    roofline(summary, records, &l[2]);
    memory(records, &l[3]);
    const sp_panel c[] = {
        {"share of the roofline, ops", "devices, best first", "efficiency", l[0].series, l[0].n, 0, 1},
        {"Pennycook's metric of the growing set", "number of devices", "metric", l[1].series, l[1].n, 0, 1}};
    const sp_panel r = {"roofline", "operations a byte, power of 2", "GFLOP/s, power of 2", l[2].series, l[2].n, NAN, NAN};
    const sp_panel m = {"device memory", "time steps", "MiB", l[3].series, l[3].n, 0, NAN};
    sp_status st = draw(folder, "cascade.png", c, 2, names, max, n, err);
    if (st == SP_OK)
        st = draw(folder, "roofline.png", &r, 1, names, max, n, err);
    if (st == SP_OK)
        st = draw(folder, "memory.png", &m, 1, names, max, n, err);
    sp_free(l);
    return st;
}
