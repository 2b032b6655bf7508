/* The pictures of a report: cascade plot, roofline, memory against T. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "plot/picture.h"
#include "lab/report.h"

enum { MAX_DEVICES = 64 };

static int descending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a < b) - (a > b);
}

/* Whether a portability row is one that the cascade shows: ops by whole applications, of the full sizes where
 * there are any. */
static bool in_cascade(const json_t *r, const char *sizes)
{
    return strcmp(spi_text(r, "efficiency"), "architectural") == 0 && (int)spi_number(r, "level") == 1 &&
           strcmp(spi_text(r, "sizes"), sizes) == 0 && spi_is_whole(r);
}

/* Best device first; the second panel is Pennycook's metric of the growing set. */
static void cascade(const json_t *summary, const char *sizes, sp_plot *each, sp_plot *phi)
{
    const json_t *rows = json_object_get(summary, "portability");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i), *devices = json_object_get(r, "devices");
        double e[MAX_DEVICES];
        size_t n = json_array_size(devices) < MAX_DEVICES ? json_array_size(devices) : MAX_DEVICES;
        if (!in_cascade(r, sizes))
            continue;
        for (size_t d = 0; d < n; d++)
            e[d] = spi_number(json_array_get(devices, d), "efficiency");
        qsort(e, n, sizeof *e, descending);
        for (size_t d = 0; d < n; d++) {
            sp_plot_add(each, spi_text(r, "application"), (double)d + 1, e[d]);
            sp_plot_add(phi, spi_text(r, "application"), (double)d + 1, sp_report_phi(e, d + 1));
        }
    }
}

/* Operations a byte against GFLOP/s, as powers of two. A line a device is its roof; dots are what runs would
 * choose. */
static void roofline(const json_t *summary, const json_t *records, const char *sizes, sp_plot *l)
{
    const json_t *devices = json_object_get(summary, "devices");
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *r = json_array_get(records, i);
        double flops = spi_number(r, "flops"), bytes = spi_number(r, "bytes"), ms = spi_number(r, "median");
        const char *of = *spi_text(r, "sizes") ? spi_text(r, "sizes") : "full";
        if (spi_number(r, "level") != 1 || !(flops > 0) || !(bytes > 0) || !(ms > 0) ||
            strcmp(spi_text(r, "application"), "spikeport") != 0 || strcmp(of, sizes) != 0)
            continue;
        char name[64];
        snprintf(name, sizeof name, "%.60s", spi_short_name(devices, spi_text(r, "device")));
        sp_plot_add(l, name, log2(flops / bytes), log2(flops / ms * 1e-6));
        sp_plot_add(l, name, log2(flops / bytes), (double)NAN);
    }
    size_t with_dots = l->n;
    for (size_t d = 0; d < json_array_size(devices); d++) {
        const json_t *device = json_array_get(devices, d);
        double peak = spi_number(device, "gflops"), copy = spi_number(device, "gbytes");
        char name[64];
        const char *of = spi_text(device, "short");
        bool has_dots = false;
        for (size_t k = 0; k < with_dots; k++)
            has_dots = has_dots || strncmp(l->names[k], of, 60) == 0;
        snprintf(name, sizeof name, "roof: %.50s", of);
        for (int k = -4; k <= 10 && peak > 0 && copy > 0 && has_dots; k++)
            sp_plot_add(l, name, k, log2(fmin(peak, exp2(k) * copy)));
    }
}

/* Whether a family of training steps was measured at more than one T. */
static bool has_curve(const json_t *records, const char *family)
{
    double first = 0;
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *r = json_array_get(records, i);
        double T = spi_number(r, "device_bytes") > 0 && strcmp(spi_text(r, "family"), family) == 0
                       ? spi_number(r, "time_steps")
                       : 0;
        if (T > 0 && first > 0 && T != first)
            return true;
        first = T > 0 ? T : first;
    }
    return false;
}

/* Device memory of training steps whose records tell family and several T. */
static void memory(const json_t *records, sp_plot *l)
{
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *r = json_array_get(records, i);
        if (spi_number(r, "level") == 2 && spi_number(r, "time_steps") > 0 &&
            spi_number(r, "device_bytes") > 0 && *spi_text(r, "family") &&
            has_curve(records, spi_text(r, "family")))
            sp_plot_add(l, spi_text(r, "family"), spi_number(r, "time_steps"),
                        spi_number(r, "device_bytes") / 1048576.0);
    }
    sp_plot_sort(l);
}

static sp_status draw(const char *folder, const char *name, const sp_plot *p, size_t n, bool powers,
                      const char *names[], size_t *count, sp_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (p[i].n == 0)
            return SP_OK; // nothing of this kind was measured
    char *path = sp_format("%s/%s", folder, name);
    const sp_chart look = {.columns = n, .panel_width = 640, .panel_height = 440, .powers = powers};
    sp_status st = sp_plot_write(path, p, n, &look, err);
    sp_free(path);
    if (st == SP_OK && sp_picture_can())
        names[(*count)++] = name;
    return st;
}

sp_status spi_charts(const json_t *summary, const json_t *records, const char *folder,
                     const char *names[SPI_CHARTS], size_t *n, sp_error *err)
{
    sp_plot l[] = {{.title = "share of the roofline, ops",
                    .x_label = "devices, best first",
                    .y_label = "efficiency"},
                   {.title = "Pennycook's metric of the growing set",
                    .x_label = "number of devices",
                    .y_label = "metric"},
                   {.title = "roofline, ops as a run chooses them",
                    .x_label = "operations a byte",
                    .y_label = "GFLOP/s",
                    .y_min = NAN},
                   {.title = "device memory of a training step", .x_label = "time steps", .y_label = "MiB"}};
    *n = 0;
    const char *const sizes[] = {"full", "small"}; // simulators alone have the small ones only
    for (int i = 0; i < 2 && l[0].n == 0 && l[2].n == 0; i++) {
        cascade(summary, sizes[i], &l[0], &l[1]);
        roofline(summary, records, sizes[i], &l[2]);
    }
    memory(records, &l[3]);
    sp_status st = draw(folder, "cascade.png", l, 2, false, names, n, err);
    if (st == SP_OK)
        st = draw(folder, "roofline.png", &l[2], 1, true, names, n, err);
    if (st == SP_OK)
        st = draw(folder, "memory.png", &l[3], 1, false, names, n, err);
    sp_plot_free(l, 4);
    return st;
}
