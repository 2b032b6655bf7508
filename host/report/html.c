/* The page: tables of the summary, pictures inlined. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "config/file.h"
#include "report/internal.h"

enum { MAX_PICTURES = 4, MAX_PICTURE_BYTES = 16 << 20 };

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>spikeport benchmark</title>\n"
    "<style>body{font:15px/1.45 sans-serif;max-width:1340px;margin:2em auto;padding:0 1em;color:#1a1a1a}\n"
    "table{border-collapse:collapse;margin:.6em 0 1.6em}th,td{padding:.25em .7em;border-bottom:1px solid #ddd;text-align:left}\n"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}th{background:#f3f3f3}tr.no td{color:#777}\n"
    "img{max-width:100%;border:1px solid #ddd;margin:.5em 0}</style></head><body>\n<h1>spikeport benchmark</h1>\n";

static void text(sp_text *t, const char *s)
{
    for (; *s; s++) {
        if (*s == '<')
            sp_text_add(t, "&lt;");
        else if (*s == '&')
            sp_text_add(t, "&amp;");
        else if (*s == '"')
            sp_text_add(t, "&quot;");
        else
            sp_text_add(t, "%c", *s);
    }
}

static void cell(sp_text *t, const char *s)
{
    sp_text_add(t, "<td>");
    text(t, s);
    sp_text_add(t, "</td>");
}

static void figure(sp_text *t, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    sp_text_add(t, "<td class=\"n\">");
    if (json_is_number(v))
        sp_text_add(t, "%.4g", json_number_value(v));
    sp_text_add(t, "</td>");
}

static void header(sp_text *t, const char *title, const char *columns)
{
    sp_text_add(t, "<h2>%s</h2>\n<table><tr>", title);
    while (*columns) {
        size_t n = strcspn(columns, "|");
        sp_text_add(t, "<th>%.*s</th>", (int)n, columns);
        columns += n + (columns[n] == '|');
    }
    sp_text_add(t, "</tr>\n");
}

static void devices(sp_text *t, const json_t *list)
{
    header(t, "Devices, with rulers measured in the same run",
           "device|platform|driver|multiply-add, GFLOP/s|copy, GB/s|launch, &micro;s|compile, ms|date");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *d = json_array_get(list, i);
        sp_text_add(t, "<tr>");
        cell(t, spi_text(d, "device"));
        cell(t, spi_text(d, "platform"));
        cell(t, spi_text(d, "driver"));
        figure(t, d, "gflops");
        figure(t, d, "gbytes");
        figure(t, d, "launch_us");
        figure(t, d, "compile_ms");
        cell(t, spi_text(d, "date"));
        sp_text_add(t, "</tr>\n");
    }
    sp_text_add(t, "</table>\n");
}

static void portability(sp_text *t, const json_t *list)
{
    header(t, "Pennycook's metric",
           "application|level|efficiency|problems|devices it supports|all devices|supported devices|not supported");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i), *missing = json_object_get(p, "missing");
        sp_text_add(t, "<tr>");
        cell(t, spi_text(p, "application"));
        figure(t, p, "level");
        cell(t, spi_text(p, "efficiency"));
        figure(t, p, "problems");
        figure(t, p, "supported");
        figure(t, p, "phi");
        figure(t, p, "phi_supported");
        sp_text_add(t, "<td>");
        for (size_t k = 0; k < json_array_size(missing); k++) {
            sp_text_add(t, "%s", k ? "; " : "");
            text(t, json_string_value(json_array_get(missing, k)));
        }
        sp_text_add(t, "</td></tr>\n");
    }
    sp_text_add(t, "</table>\n<p>Application efficiency: best time of anybody on that device over this time. Architectural "
                   "efficiency: share of what the roofline of the measured rulers allows. Over several problems: the harmonic "
                   "mean. A device or problem that is not supported makes the metric over all devices zero.</p>\n");
}

static void problems(sp_text *t, const json_t *list)
{
    header(t, "Problems", "problem|device|application|variant|median, ms|5 %|95 %|GFLOP/s|application eff.|architectural eff.|"
                          "device memory, MiB|status");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i), *rows = json_object_get(p, "rows");
        for (size_t k = 0; k < json_array_size(rows); k++) {
            const json_t *r = json_array_get(rows, k);
            bool ok = strcmp(spi_text(r, "status"), "ok") == 0;
            static const char *const keys[] = {"median_ms", "p5_ms", "p95_ms", "gflops", "app_eff", "arch_eff", "device_mib"};
            sp_text_add(t, ok ? "<tr>" : "<tr class=\"no\">");
            cell(t, spi_text(p, "problem"));
            cell(t, spi_text(r, "device"));
            cell(t, spi_text(r, "application"));
            cell(t, spi_text(r, "variant"));
            for (size_t c = 0; c < sizeof keys / sizeof *keys; c++)
                figure(t, r, keys[c]);
            sp_text_add(t, "<td>%s%s", spi_text(r, "status"), ok ? "" : ": ");
            text(t, spi_text(r, "reason"));
            sp_text_add(t, "</td></tr>\n");
        }
    }
    sp_text_add(t, "</table>\n");
}

static void base64(sp_text *t, const unsigned char *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        sp_text_add(t, "%c%c%c%c", digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=',
                    i + 2 < n ? digits[v & 63] : '=');
    }
}

static sp_status picture(sp_text *t, const char *folder, const char *name, sp_error *err)
{
    char *path = sp_format("%s/%s", folder, name), *bytes = NULL;
    size_t n = 0;
    sp_status st = path ? sp_file_read(path, MAX_PICTURE_BYTES, &bytes, &n, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    if (st == SP_OK) {
        sp_text_add(t, "<p><img alt=\"%s\" src=\"data:image/png;base64,", name);
        base64(t, (const unsigned char *)bytes, n);
        sp_text_add(t, "\"></p>\n");
    }
    sp_free(bytes);
    sp_free(path);
    return st;
}

sp_status sp_report_html(const json_t *summary, const json_t *records, const char *folder, const char *path, sp_error *err)
{
    const char *names[MAX_PICTURES];
    size_t n = 0;
    sp_text t = {0};
    sp_status st = spi_charts(summary, records, folder, names, MAX_PICTURES, &n, err);
    sp_text_add(&t, "%s", head);
    devices(&t, json_object_get(summary, "devices"));
    portability(&t, json_object_get(summary, "portability"));
    for (size_t i = 0; i < n && st == SP_OK; i++)
        st = picture(&t, folder, names[i], err);
    problems(&t, json_object_get(summary, "problems"));
    sp_text_add(&t, "</body></html>\n");
    if (st == SP_OK && t.failed)
        st = SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    const sp_bytes part = {t.s, t.n};
    if (st == SP_OK)
        st = sp_file_replace(path, &part, 1, err);
    sp_text_free(&t);
    return st;
}
