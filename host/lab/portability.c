/* Pennycook's metric of each application over all devices, and over those that it runs on, for both
 * efficiencies. The efficiency of an application on a device is the harmonic mean over the problems; a
 * problem that it does not run there makes it 0 ("not supported"), and is named. Problems of the small sizes,
 * which simulators get, are a set of their own. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lab/report.h"

double sp_report_phi(const double *efficiency, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(efficiency[i] > 0))
            return 0;
        sum += 1 / efficiency[i];
    }
    return n ? (double)n / sum : 0;
}

double sp_report_roofline_share(double flops, double bytes, double ms, double gflops, double gbytes)
{
    if (!(ms > 0))
        return 0;
    if (flops > 0 && gflops > 0) {
        double roof = gflops;
        if (bytes > 0 && gbytes > 0 && flops / bytes * gbytes < roof)
            roof = flops / bytes * gbytes;
        return flops / ms * 1e-6 / roof;
    }
    return bytes > 0 && gbytes > 0 ? bytes / ms * 1e-6 / gbytes : 0;
}

json_t *spi_rounded(double x)
{
    char text[32];
    if (!isfinite(x))
        return json_null();
    snprintf(text, sizeof text, "%.4g", x);
    return json_real(strtod(text, NULL));
}

/* Efficiency of the row (application, device) of a problem; 0 where there is none that ran. */
static double efficiency(const json_t *problem, const char *application, const char *device, const char *kind)
{
    const json_t *rows = json_object_get(problem, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        if (strcmp(spi_text(r, "application"), application) == 0 &&
            strcmp(spi_text(r, "device"), device) == 0)
            return spi_number(r, kind);
    }
    return 0;
}

/* Problems of the level and sizes that the application has a row for on any device: what it claims to do. */
static json_t *claimed(const json_t *problems, const char *application, int level, const char *sizes)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(problems); i++) {
        json_t *p = json_array_get(problems, i);
        const json_t *rows = json_object_get(p, "rows");
        bool has = false;
        for (size_t k = 0; k < json_array_size(rows); k++)
            has = has || strcmp(spi_text(json_array_get(rows, k), "application"), application) == 0;
        if (has && (int)spi_number(p, "level") == level && strcmp(spi_text(p, "sizes"), sizes) == 0)
            json_array_append(out, p);
    }
    return out;
}

/* "conv.forward N=.., gemm M=.. on A"; where many are missing they need no names. */
static void add_missing(json_t *missing, const json_t *problems, const double *e, const char *device)
{
    size_t n = json_array_size(problems), lost = 0;
    sp_text names = {0};
    for (size_t i = 0; i < n; i++)
        if (!(e[i] > 0))
            sp_text_add(&names, "%s%s", lost++ ? ", " : "", spi_text(json_array_get(problems, i), "problem"));
    if (lost == n)
        json_array_append_new(missing, json_sprintf("all on %s", device));
    else if (lost > 3)
        json_array_append_new(missing, json_sprintf("%d of %d on %s", (int)lost, (int)n, device));
    else if (lost)
        json_array_append_new(missing, json_sprintf("%s on %s", names.s ? names.s : "some", device));
    sp_text_free(&names);
}

static json_t *row(const json_t *problems, const json_t *devices, const char *application, int level,
                   const char *sizes, const char *kind)
{
    size_t n_devices = json_array_size(devices), n = json_array_size(problems), n_supported = 0;
    double *all = sp_alloc_array(n_devices + 1, sizeof *all),
           *supported = sp_alloc_array(n_devices + 1, sizeof *supported);
    double *e = sp_alloc_array(n + 1, sizeof *e);
    json_t *by_device = json_array(), *missing = json_array();
    for (size_t d = 0; all && supported && e && d < n_devices; d++) {
        const char *device = spi_text(json_array_get(devices, d), "device");
        for (size_t i = 0; i < n; i++)
            e[i] = efficiency(json_array_get(problems, i), application, device, kind);
        add_missing(missing, problems, e, spi_short_name(devices, device));
        all[d] = sp_report_phi(e, n);
        if (all[d] > 0)
            supported[n_supported++] = all[d];
        json_array_append_new(by_device,
                              json_pack("{s:s, s:o}", "device", device, "efficiency", spi_rounded(all[d])));
    }
    json_t *out =
        json_pack("{s:s, s:i, s:s, s:s, s:i, s:o, s:o, s:o, s:i, s:o}", "application", application, "level",
                  level, "sizes", sizes, "efficiency",
                  strcmp(kind, "app_eff") == 0 ? "application" : "architectural", "problems", (int)n,
                  "devices", by_device, "phi", spi_rounded(all ? sp_report_phi(all, n_devices) : 0),
                  "phi_supported", spi_rounded(supported ? sp_report_phi(supported, n_supported) : 0),
                  "supported", (int)n_supported, "missing", missing);
    sp_free(all);
    sp_free(supported);
    sp_free(e);
    return out;
}

bool spi_is_whole(const json_t *row)
{
    return strchr(spi_text(row, "application"), ':') == NULL; /* kernels are called plugin:kernel */
}

static json_t *applications(const json_t *problems)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < json_array_size(problems); i++)
        json_array_extend(rows, json_object_get(json_array_get(problems, i), "rows"));
    json_t *out = spi_distinct(rows, "application");
    json_decref(rows);
    return out;
}

json_t *spi_portability(const json_t *problems, const json_t *devices)
{
    static const char *const kinds[] = {"app_eff", "arch_eff"}, *const sizes[] = {"full", "small"};
    json_t *names = applications(problems), *out = json_array();
    for (size_t i = 0; i < json_array_size(names); i++)
        for (int set = 0; set < 4; set++) {
            const char *name = json_string_value(json_array_get(names, i)), *size = sizes[set % 2];
            int level = 1 + set / 2;
            json_t *its = claimed(problems, name, level, size);
            for (size_t k = 0; k < 2 && json_array_size(its); k++)
                json_array_append_new(out, row(its, devices, name, level, size, kinds[k]));
            json_decref(its);
        }
    json_decref(names);
    return out;
}
