/* The page: tables of the summary, pictures inlined. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/file.h"
#include "base/folder.h"
#include "lab/report.h"

enum { MAX_PICTURE_BYTES = 16 << 20 };

static const char style[] =
    "<style>\n"
    "body{font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",\"DejaVu "
    "Sans\",sans-serif;max-width:1300px;margin:0 auto;padding:1.5em 1.5em 4em;color:#202020}\n"
    "h1{font-size:1.7em;margin:0}h2{font-size:1.2em;margin:2em 0 .3em;padding-top:.6em;border-top:2px solid "
    "#0072b2}\n"
    "h3{font-size:1em;margin:1.4em 0 .2em}p{max-width:75em;margin:.4em 0;color:#505050}\n"
    "table{border-collapse:collapse;margin:.5em 0 1em;font-size:.93em}th,td{padding:.28em .8em .28em "
    "0;border-bottom:1px solid #e4e4e4;text-align:left;vertical-align:top}\n"
    "th{color:#505050;font-weight:600;border-bottom:1px solid #909090;vertical-align:bottom}\n"
    "th.n,td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "td.d{white-space:nowrap}td.v{overflow-wrap:anywhere;min-width:11em}td.e{white-space:nowrap;font-variant-"
    "numeric:tabular-nums}meter{width:5em;height:.75em;margin-right:.5em;vertical-align:baseline}\n"
    "meter::-webkit-meter-bar{background:#e8e8e8;border:0;border-radius:2px}\n"
    "meter::-webkit-meter-optimum-value{background:#0072b2;border-radius:2px}meter::-moz-meter-bar{"
    "background:#0072b2}\n"
    "tr.no td{color:#767676}tr.top td{border-top:1px solid #909090}.k{color:#505050}\n"
    "img{max-width:100%;display:block;margin:.3em 0}figure{margin:1em "
    "0}.half{display:inline-block;width:49%;vertical-align:top}figcaption{color:#505050}\n"
    ".third{display:inline-block;width:33%;vertical-align:top;margin:0}\n"
    "@media(max-width:800px){table{display:block;overflow-x:auto}.half,.third{width:100%}\n"
    "body{padding:1em .7em 3em}}\n"
    "summary{cursor:pointer;padding:.3em 0}summary:hover{color:#0072b2}\n"
    "</style></head><body>\n";

void spi_html_text(sp_text *t, const char *s)
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

void spi_html_begin(sp_text *t, const char *title, int refresh_s)
{
    sp_text_add(t, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                   "content=\"width=device-width\">");
    if (refresh_s)
        sp_text_add(t, "<meta http-equiv=\"refresh\" content=\"%d\">", refresh_s);
    sp_text_add(t, "<title>");
    spi_html_text(t, title);
    sp_text_add(t, "</title>\n%s<h1>", style);
    spi_html_text(t, title);
    sp_text_add(t, "</h1>\n");
}

static void cell(sp_text *t, const char *s)
{
    sp_text_add(t, "<td>");
    spi_html_text(t, s);
    sp_text_add(t, "</td>");
}

static void cell_of(sp_text *t, const char *class, const char *s)
{
    sp_text_add(t, "<td class=\"%s\">", class);
    spi_html_text(t, s);
    sp_text_add(t, "</td>");
}

/* Numbers stand in cells of class n and e as they stand in the summary, and nowhere else (tested). */
static void figure(sp_text *t, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    sp_text_add(t, "<td class=\"n\">");
    if (json_is_number(v)) /* four digits; no 1.11e+04 */
        sp_text_add(t, json_number_value(v) >= 1e4 ? "%.0f" : "%.4g", json_number_value(v));
    sp_text_add(t, "</td>");
}

/* An efficiency, with a bar. */
static void share(sp_text *t, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    sp_text_add(t, "<td class=\"e\">");
    if (json_is_number(v))
        sp_text_add(t, "<meter max=\"1\" value=\"%.4g\"></meter>%.4g", json_number_value(v),
                    json_number_value(v));
    sp_text_add(t, "</td>");
}

/* A column whose name begins with # holds numbers. */
static void columns(sp_text *t, const char *names)
{
    sp_text_add(t, "<table><tr>");
    while (*names) {
        size_t n = strcspn(names, "|");
        bool number = *names == '#';
        sp_text_add(t, "<th%s>%.*s</th>", number ? " class=\"n\"" : "", (int)n - number, names + number);
        names += n + (names[n] == '|');
    }
    sp_text_add(t, "</tr>\n");
}

static void devices(sp_text *t, const json_t *list)
{
    sp_text_add(t, "<h2>Devices</h2>\n<p>With peaks measured in the same run: what plain code "
                   "reaches.</p>\n");
    columns(t, "device|platform|driver|#multiply-add, GFLOP/s|#copy, GB/s|#launch, &micro;s|#compile, "
               "ms|date");
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
        cell_of(t, "d", spi_text(d, "date"));
        sp_text_add(t, "</tr>\n");
    }
    sp_text_add(t, "</table>\n");
}

/* Rows of a level and of sizes: both efficiencies of an application one below the other. */
static void portability_rows(sp_text *t, const json_t *list, int level, const char *sizes, bool whole,
                             const char *title)
{
    const char *last = "";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i), *missing = json_object_get(p, "missing");
        const char *application = spi_text(p, "application");
        if (spi_is_whole(p) != whole || (int)spi_number(p, "level") != level ||
            strcmp(spi_text(p, "sizes"), sizes) != 0)
            continue;
        if (!*last) {
            sp_text_add(t, "<h3>%s</h3>\n", title);
            columns(t, "application|#problems|efficiency|all devices|supported devices|#how many|not "
                       "supported");
        }
        bool first = strcmp(last, application) != 0;
        last = application;
        sp_text_add(t, first ? "<tr class=\"top\">" : "<tr>");
        cell(t, first ? application : "");
        figure(t, p, "problems");
        cell(t, spi_text(p, "efficiency"));
        share(t, p, "phi");
        share(t, p, "phi_supported");
        figure(t, p, "supported");
        sp_text_add(t, "<td class=\"k\">");
        for (size_t k = 0; first && k < json_array_size(missing); k++) {
            sp_text_add(t, "%s", k ? "; " : "");
            spi_html_text(t, json_string_value(json_array_get(missing, k)));
        }
        sp_text_add(t, "</td></tr>\n");
    }
    if (*last)
        sp_text_add(t, "</table>\n");
}

static void portability(sp_text *t, const json_t *list)
{
    sp_text_add(t, "<h2>Pennycook's metric</h2>\n"
                   "<p>Application efficiency: best time of anybody on that device over this time. "
                   "Architectural efficiency: share of what the roofline of the measured peaks allows; "
                   "kernels that skip zeros may pass it. Over several problems and devices: the harmonic "
                   "mean. A device or problem that is not supported makes the metric over all devices "
                   "zero.</p>\n");
    for (int whole = 1; whole >= 0; whole--) {
        sp_text_add(t, whole ? "" : "<details><summary>The same for single kernels</summary>\n");
        portability_rows(t, list, 2, "full", whole, "Training steps");
        portability_rows(t, list, 1, "full", whole, "Ops on the shapes of the networks");
        portability_rows(t, list, 2, "small", whole, "Training steps, small sizes");
        portability_rows(t, list, 1, "small", whole, "Ops, small sizes");
        sp_text_add(t, whole ? "" : "</details>\n");
    }
}

static void problem_row(sp_text *t, const json_t *p, const json_t *r, bool overview, bool first)
{
    bool ok = strcmp(spi_text(r, "status"), "ok") == 0;
    static const char *const keys[] = {"median_ms", "p5_ms", "p95_ms", "gflops"};
    sp_text_add(t, ok      ? first ? "<tr class=\"top\">" : "<tr>"
                   : first ? "<tr class=\"no top\">"
                           : "<tr class=\"no\">");
    if (overview)
        cell(t, first ? spi_text(p, "problem") : "");
    cell_of(t, "d", spi_text(r, "short"));
    if (!overview)
        cell(t, spi_text(r, "application"));
    cell_of(t, "v", spi_text(r, "variant"));
    if (!ok) {
        sp_text_add(t, "<td colspan=\"7\">%s: ", spi_text(r, "status"));
        spi_html_text(t, spi_text(r, "reason"));
        sp_text_add(t, "</td></tr>\n");
        return;
    }
    for (size_t c = 0; c < sizeof keys / sizeof *keys; c++)
        figure(t, r, keys[c]);
    share(t, r, "app_eff");
    share(t, r, "arch_eff");
    figure(t, r, "device_mib");
    sp_text_add(t, "</tr>\n");
}

#define TIMES "#median, ms|#5 %|#95 %|#GFLOP/s|application eff.|architectural eff.|#memory, MiB"

/* What a run would choose, by problem and device. */
static void overview(sp_text *t, const json_t *list, int level, const char *sizes, const char *title)
{
    bool any = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i), *rows = json_object_get(p, "rows");
        bool first = true;
        if ((int)spi_number(p, "level") != level || strcmp(spi_text(p, "sizes"), sizes) != 0)
            continue;
        if (!any) {
            sp_text_add(t, "<h3>%s</h3>\n", title);
            columns(t, "problem|device|kernel|" TIMES);
        }
        any = true;
        for (size_t k = 0; k < json_array_size(rows); k++) {
            const json_t *r = json_array_get(rows, k);
            if (strcmp(spi_text(r, "application"), "spikeport") != 0)
                continue;
            problem_row(t, p, r, true, first);
            first = false;
        }
    }
    if (any)
        sp_text_add(t, "</table>\n");
}

static void problems(sp_text *t, const json_t *list)
{
    sp_text_add(t, "<h2>Times, as a run of spikeport chooses its kernels</h2>\n<p>Every result was compared "
                   "with the references before its time counted.</p>\n");
    overview(t, list, 2, "full", "Training steps");
    overview(t, list, 1, "full", "Ops on the shapes of the networks");
    overview(t, list, 2, "small", "Training steps, small sizes");
    overview(t, list, 1, "small", "Ops, small sizes");
    sp_text_add(t, "<h2>Every kernel</h2>\n");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i), *rows = json_object_get(p, "rows");
        sp_text_add(t, "<details><summary>");
        spi_html_text(t, spi_text(p, "problem"));
        sp_text_add(t, "</summary>\n");
        columns(t, "device|application|kernel|" TIMES);
        for (size_t k = 0; k < json_array_size(rows); k++)
            problem_row(t, p, json_array_get(rows, k), false, false);
        sp_text_add(t, "</table></details>\n");
    }
}

static void base64(sp_text *t, const unsigned char *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v =
            (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        sp_text_add(t, "%c%c%c%c", digits[v >> 18], digits[v >> 12 & 63],
                    i + 1 < n ? digits[v >> 6 & 63] : '=', i + 2 < n ? digits[v & 63] : '=');
    }
}

static const char *caption(const char *name)
{
    if (strcmp(name, "cascade.png") == 0)
        return "Cascade: each application's devices from the best to the worst, and Pennycook's metric as "
               "they are added.";
    if (strcmp(name, "roofline.png") == 0)
        return "Roofline: each dot is an op of a network; arithmetic is counted dense, so that kernels that "
               "skip zeros may lie above.";
    return "Device memory against the number of time steps, as planned and allocated.";
}

sp_status spi_html_picture(sp_text *t, const char *path, const char *class, const char *caption_text,
                           sp_error *err)
{
    char *bytes = NULL;
    size_t n = 0;
    sp_status st = sp_file_read(path, MAX_PICTURE_BYTES, &bytes, &n, err);
    if (st == SP_OK) {
        sp_text_add(t, "<figure class=\"%s\"><img alt=\"", class);
        spi_html_text(t, caption_text);
        sp_text_add(t, "\" src=\"data:image/%s;base64,",
                    sp_name_ends_in(-1, path, ".svg") ? "svg+xml" : "png");
        base64(t, (const unsigned char *)bytes, n);
        sp_text_add(t, "\"><figcaption>");
        spi_html_text(t, caption_text);
        sp_text_add(t, "</figcaption></figure>\n");
    }
    sp_free(bytes);
    return st;
}

static sp_status picture(sp_text *t, const char *folder, const char *name, sp_error *err)
{
    char *path = sp_format("%s/%s", folder, name);
    sp_status st = path ? spi_html_picture(t, path, strcmp(name, "cascade.png") == 0 ? "whole" : "half",
                                           caption(name), err)
                        : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    sp_free(path);
    return st;
}

sp_status sp_report_html(const json_t *summary, const json_t *records, const char *folder, const char *path,
                         sp_error *err)
{
    const char *names[SPI_CHARTS];
    size_t n = 0;
    sp_text t = {0};
    sp_status st = spi_charts(summary, records, folder, names, &n, err);
    spi_html_begin(&t, "spikeport benchmark", 0);
    sp_text_add(&t, "<p>");
    spi_html_text(&t, spi_text(summary, "made_by"));
    sp_text_add(&t, "</p>\n");
    devices(&t, json_object_get(summary, "devices"));
    portability(&t, json_object_get(summary, "portability"));
    for (size_t i = 0; i < n && st == SP_OK; i++)
        st = picture(&t, folder, names[i], err);
    problems(&t, json_object_get(summary, "problems"));
    sp_text_add(&t, "<p>docs/BENCHMARK.md says how this was measured and what the figures mean; summary.json "
                    "has every figure of this page, records.jsonl every sample.</p>\n</body></html>\n");
    if (st == SP_OK)
        st = sp_file_replace_text(path, t.failed ? NULL : t.s, err);
    sp_text_free(&t);
    return st;
}
