/* Records, efficiencies, Pennycook's metric against cases worked by hand, and what may appear in a report. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/file.h"
#include "lab/report.h"

static char folder[] = "/tmp/sp-report-XXXXXX";

static char *path_of(const char *name)
{
    static char path[4][256];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void make_folder(void)
{
    cr_assert(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

#define COMMON "\"schema\":1,\"driver\":\"1\",\"platform\":\"P\",\"date\":\"2026-01-01\""
#define PASSED "\"validation\":{\"passed\":true,\"error\":1e-7,\"tolerance\":1e-5}"
#define PEAKS(device, fma, copy)                                                                             \
    "{" COMMON ",\"level\":0,\"problem\":\"peak.fma\",\"application\":\"peaks\",\"unit\":\"GFLOP/"           \
    "s\",\"status\":\"ok\"," PASSED ",\"device\":\"" device "\",\"samples\":[" fma "]}\n"                    \
    "{" COMMON ",\"level\":0,\"problem\":\"peak.copy\",\"application\":\"peaks\",\"unit\":\"GB/"             \
    "s\",\"status\":\"ok\"," PASSED ",\"device\":\"" device "\",\"samples\":[" copy "]}\n"
#define OP(problem, application, device, samples, flops, bytes)                                              \
    "{" COMMON ",\"level\":1,\"problem\":\"" problem "\",\"application\":\"" application "\",\"device\":"    \
    "\"" device "\",\"status\":\"ok\"," PASSED ",\"samples\":[" samples "],\"flops\":" flops ",\"bytes\""    \
    ":" bytes "}\n"
#define NOT(problem, application, device)                                                                    \
    "{" COMMON ",\"level\":1,\"problem\":\"" problem "\",\"application\":\"" application                     \
    "\",\"device\":\"" device "\",\"status\":\"unsupported\",\"reason\":\"needs fp64\"}\n"

/* Device A: 100 GFLOP/s, 10 GB/s; B: 200, 40. Problem p: 1e9 operations, 1e6 bytes (1000 a byte: the peak is
 * the roof). */
static const char two_devices[] = PEAKS("A", "100", "10") PEAKS("B", "200", "40")
    OP("p", "ours", "A", "20,20,20", "1e9", "1e6") OP("p", "theirs", "A", "12.5", "1e9", "1e6")
        OP("p", "ours", "B", "10,30,20", "1e9", "1e6") NOT("p", "theirs", "B");

static json_t *load(const char *text, size_t *invalid)
{
    json_t *records = NULL;
    sp_error err = {0};
    const char *path = path_of("records.jsonl");
    write_text(path, text);
    cr_assert_eq(sp_records_load(&path, 1, &records, invalid, &err), SP_OK, "%s", err.text);
    return records;
}

static const json_t *phi_row(const json_t *summary, const char *application, const char *efficiency)
{
    const json_t *rows = json_object_get(summary, "portability");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *r = json_array_get(rows, i);
        if (strcmp(json_string_value(json_object_get(r, "application")), application) == 0 &&
            strcmp(json_string_value(json_object_get(r, "efficiency")), efficiency) == 0)
            return r;
    }
    cr_assert_fail("no row for %s", application);
    return NULL;
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

Test(report, pennycook_by_hand)
{
    const double same[] = {0.5, 0.5, 0.5}, mixed[] = {1.0, 0.5}, three[] = {0.9, 0.6, 0.3},
                 missing[] = {0.9, 0, 0.8};
    cr_assert_float_eq(sp_report_phi(same, 3), 0.5, 1e-12);
    cr_assert_float_eq(sp_report_phi(mixed, 2), 2.0 / 3.0, 1e-12);     // 2 / (1 + 2)
    cr_assert_float_eq(sp_report_phi(three, 3), 0.490909090909, 1e-9); // 3 / (10/9 + 10/6 + 10/3)
    cr_assert_eq(sp_report_phi(missing, 3), 0.0);                      // one device is not supported
    cr_assert_eq(sp_report_phi((const double[]){NAN}, 1), 0.0);
    cr_assert_eq(sp_report_phi(mixed, 0), 0.0);
}

Test(report, roofline_by_hand)
{
    cr_assert_float_eq(sp_report_roofline_share(1e9, 1e6, 20, 100, 10), 0.5, 1e-12); // 50 of 100 GFLOP/s
    cr_assert_float_eq(sp_report_roofline_share(1e6, 1e6, 1, 100, 10), 0.1,
                       1e-12); // 1 GFLOP/s; the copy allows 10
    cr_assert_float_eq(sp_report_roofline_share(0, 1e6, 1, 100, 10), 0.1, 1e-12); // 1 of 10 GB/s
    cr_assert_eq(sp_report_roofline_share(1e6, 1e6, 0, 100, 10), 0.0);
    cr_assert_eq(sp_report_roofline_share(1e6, 0, 1, 0, 10), 0.0);
}

Test(report, metric_over_devices, .init = make_folder, .fini = remove_folder)
{
    size_t invalid;
    sp_error err = {0};
    json_t *records = load(two_devices, &invalid), *s = NULL;
    cr_assert_eq(invalid, 0u);
    cr_assert_eq(sp_report_summary(records, &s, &err), SP_OK, "%s", err.text);
    const json_t *r = phi_row(s, "ours", "application"); // 12.5/20 on A, 1 on B: 2 / (1.6 + 1)
    cr_assert_float_eq(number(r, "phi"), 0.7692, 1e-9);
    cr_assert_float_eq(number(r, "phi_supported"), 0.7692, 1e-9);
    r = phi_row(s, "ours", "architectural"); // 0.5 on A, 0.25 on B: 2 / (2 + 4)
    cr_assert_float_eq(number(r, "phi"), 0.3333, 1e-9);
    r = phi_row(s, "theirs", "application"); // B is not supported: 0 over all, 1 over A alone
    cr_assert_eq(number(r, "phi"), 0.0);
    cr_assert_float_eq(number(r, "phi_supported"), 1.0, 1e-9);
    cr_assert_eq(number(r, "supported"), 1.0);
    cr_assert_str_eq(json_string_value(json_array_get(json_object_get(r, "missing"), 0)), "all on B");
    json_decref(s);
    json_decref(records);
}

static bool has_number(const char *json, double value)
{
    for (const char *j = json; *j; j++)
        if ((j == json || !strchr("0123456789.+-e", j[-1])) && (*j == '-' || (*j >= '0' && *j <= '9')) &&
            strtod(j, NULL) == value)
            return true;
    return false;
}

/* Every number of the page stands in a cell of class n or e, or is the length of a bar, and is in the
 * summary; plain cells hold texts of the summary. */
static void expect_numbers(const char *page, const char *json)
{
    static const char *const places[] = {"<td class=\"n\">", "<td class=\"e\">", "</meter>", " value=\""};
    int seen[4] = {0};
    for (int i = 0; i < 4; i++)
        for (const char *p = page; (p = strstr(p, places[i])) != NULL;) {
            char *end;
            p += strlen(places[i]);
            double value = strtod(p, &end);
            cr_assert(end != p || *p == '<', "no number: %.40s", p);
            if (end == p)
                continue;
            cr_assert(has_number(json, value), "%.*s is on the page, but not in the summary", (int)(end - p),
                      p);
            seen[i]++;
        }
    cr_assert(seen[0] >= 20 && seen[1] == 0 && seen[2] >= 8 && seen[3] == seen[2]);
    static const char *const plain[] = {"<td>", "<td class=\"d\">", "<td class=\"v\">"};
    for (int i = 0; i < 3; i++)
        for (const char *p = page; (p = strstr(p, plain[i])) != NULL;) {
            char text[400];
            p += strlen(plain[i]);
            snprintf(text, sizeof text, "%.*s", (int)strcspn(p, "<"), p);
            cr_assert(strstr(json, text), "\"%s\" is on the page, but not in the summary", text);
        }
}

/* A simulator runs small sizes only: they are a set of their own, and do not hide what the others do at full
 * size. */
Test(report, small_sizes_are_apart, .init = make_folder, .fini = remove_folder)
{
    size_t invalid;
    sp_error err = {0};
    static const char small[] = "{" COMMON ",\"level\":1,\"problem\":\"q\",\"sizes\":\"small\","
                                "\"application\":\"ours\",\"device\":\"S\","
                                "\"status\":\"ok\"," PASSED ",\"samples\":[5]}\n";
    char *all = sp_format("%s%s", two_devices, small);
    json_t *records = load(all, &invalid), *s = NULL;
    cr_assert_eq(sp_report_summary(records, &s, &err), SP_OK, "%s", err.text);
    const json_t *r = phi_row(s, "ours", "application"); // the full sizes stand first
    cr_assert_str_eq(json_string_value(json_object_get(r, "sizes")), "full");
    cr_assert_eq(number(r, "phi"), 0.0);
    cr_assert_float_eq(number(r, "phi_supported"), 0.7692, 1e-9);
    cr_assert_eq(number(r, "supported"), 2.0);
    cr_assert_str_eq(json_string_value(json_array_get(json_object_get(r, "missing"), 0)), "all on S");
    sp_free(all);
    json_decref(s);
    json_decref(records);
}

Test(report, page_and_table, .init = make_folder, .fini = remove_folder)
{
    size_t invalid, n;
    sp_error err = {0};
    json_t *records = load(two_devices, &invalid), *s = NULL;
    char *page = NULL, *csv = NULL;
    cr_assert_eq(sp_report_summary(records, &s, &err), SP_OK);
    cr_assert_eq(sp_report_html(s, records, folder, path_of("report.html"), &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_file_read(path_of("report.html"), 1 << 24, &page, &n, &err), SP_OK);
    char *json = json_dumps(s, JSON_REAL_PRECISION(6));
    expect_numbers(page, json);
    cr_assert(strstr(page, "data:image/png;base64,iVBOR"));
    cr_assert_null(strstr(page, "src=\"http"));
    cr_assert(strstr(page, "unsupported: needs fp64"));
    cr_assert_eq(sp_report_csv(s, path_of("p3.csv"), &err), SP_OK);
    cr_assert_eq(sp_file_read(path_of("p3.csv"), 1 << 20, &csv, &n, &err), SP_OK);
    cr_assert(strstr(csv, "problem,application,platform,date,fom,app eff,arch eff\n"));
    cr_assert(strstr(csv, "\"p\",\"ours\",\"A\",\"2026-01-01\",20,0.625,0.5\n"), "%s", csv);
    cr_assert(strstr(csv, "\"p\",\"theirs\",\"B\",\"2026-01-01\",,,\n"), "%s", csv);
    free(json);
    sp_free(page);
    sp_free(csv);
    json_decref(s);
    json_decref(records);
}

/* Times whose result was wrong, or was never compared, are planted in four ways. */
static const char planted[] =
    PEAKS("A", "100", "10") OP("p", "right", "A", "40", "1e9",
                               "1e6") "{" COMMON ",\"level\":1,\"problem\":\"p\",\"application\":\"w1\","
                                      "\"device\":\"A\",\"status\":\"ok\",\"samples\":[7.125],"
                                      "\"validation\":{\"passed\":false,\"text\":\"y[3] is wrong\"}}\n"
                                      "{" COMMON ",\"level\":1,\"problem\":\"p\",\"application\":\"w2\","
                                      "\"device\":\"A\",\"status\":\"ok\",\"samples\":[7.125]}\n"
                                      "{" COMMON ",\"level\":1,\"problem\":\"p\",\"application\":\"w3\","
                                      "\"device\":\"A\",\"status\":\"invalid\",\"reason\":\"x\","
                                      "\"median\":7.125}\n"
                                      "{" COMMON ",\"level\":1,\"problem\":\"p\",\"application\":\"w4\","
                                      "\"device\":\"A\",\"status\":\"ok\",\"samples\":[7.125],"
                                      "\"validation\":{\"passed\":true,\"error\":0.1,\"tolerance\":1e-5}}\n";

/* The same records with right results before, and after. */
static void expect_no_time_in_diff(const json_t *wrong)
{
    size_t invalid, slower;
    sp_error err = {0};
    json_t *right = load(OP("p", "w1", "A", "9", "1e9", "1e6"), &invalid), *rows = NULL;
    for (int order = 0; order < 2; order++) {
        cr_assert_eq(sp_report_diff(order ? wrong : right, order ? right : wrong, 0.05, &rows, &slower, &err),
                     SP_OK);
        char *text = json_dumps(rows, 0);
        cr_assert_null(strstr(text, "7.125"), "%s", text);
        cr_assert(strstr(text, order ? "\"gained\"" : "\"lost\""), "%s", text);
        cr_assert(order || (strstr(text, "validation failed: y[3] is wrong") && slower == 1), "%s", text);
        free(text);
        json_decref(rows);
    }
    json_decref(right);
}

Test(report, a_wrong_result_has_no_time, .init = make_folder, .fini = remove_folder)
{
    size_t invalid, n;
    sp_error err = {0};
    json_t *records = load(planted, &invalid), *s = NULL;
    char *page = NULL, *csv = NULL;
    cr_assert_eq(invalid, 4u);
    cr_assert_eq(sp_report_summary(records, &s, &err), SP_OK);
    char *json = json_dumps(s, 0), *raw = json_dumps(records, 0);
    cr_assert_null(strstr(json, "7.125"));
    cr_assert_null(strstr(raw, "7.125"));
    cr_assert_eq(sp_report_html(s, records, folder, path_of("report.html"), &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_file_read(path_of("report.html"), 1 << 24, &page, &n, &err), SP_OK);
    cr_assert_null(strstr(page, "7.125"));
    cr_assert(strstr(page, "validation failed: y[3] is wrong"));
    cr_assert_eq(sp_report_csv(s, path_of("p3.csv"), &err), SP_OK);
    cr_assert_eq(sp_file_read(path_of("p3.csv"), 1 << 20, &csv, &n, &err), SP_OK);
    cr_assert_null(strstr(csv, "7.125"));
    cr_assert_float_eq(number(phi_row(s, "right", "application"), "phi"), 1.0,
                       1e-9); // not beaten by a wrong one
    cr_assert_eq(number(phi_row(s, "w1", "application"), "phi"), 0.0);
    expect_no_time_in_diff(records);
    free(json);
    free(raw);
    sp_free(page);
    sp_free(csv);
    json_decref(s);
    json_decref(records);
}

Test(report, broken_lines_are_named, .init = make_folder, .fini = remove_folder)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"schema\":1", "records.jsonl:1:"},
        {"[]\n", "not a JSON object"},
        {"{\"schema\":2}\n", "\"schema\" is not 1"},
        {"\n{\"schema\":1}\n", "records.jsonl:2: text \"problem\" is missing"},
        {"{" COMMON ",\"level\":1,\"problem\":\"p\",\"application\":\"a\",\"device\":\"A\",\"status\":"
         "\"unsupported\"}",
         "without a"},
        {"{" COMMON ",\"level\":1,\"problem\":\"p\",\"application\":\"a\",\"device\":\"A\",\"status\":"
         "\"ok\"," PASSED "}",
         "no list"},
        {"{" COMMON ",\"level\":1,\"problem\":\"p\",\"application\":\"a\",\"device\":\"A\",\"status\":\"ok\","
         "\"samples\":[-1]," PASSED "}",
         "sample 1 is not a number above 0"},
        {"\n", "no records"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *records = NULL;
        size_t invalid;
        sp_error err = {0};
        const char *path = path_of("records.jsonl");
        write_text(path, cases[i].text);
        cr_assert_eq(sp_records_load(&path, 1, &records, &invalid, &err), SP_E_DATA, "%zu", i);
        cr_assert(strstr(err.text, cases[i].message), "%zu: %s", i, err.text);
    }
}

static const char *verdict_of(const char *before, const char *after)
{
    static char text[32];
    size_t invalid, slower;
    sp_error err = {0};
    json_t *a = load(before, &invalid), *b = load(after, &invalid), *rows = NULL;
    cr_assert_eq(sp_report_diff(a, b, 0.05, &rows, &slower, &err), SP_OK);
    snprintf(text, sizeof text, "%s", json_string_value(json_object_get(json_array_get(rows, 0), "verdict")));
    cr_assert_eq(slower, (size_t)(strcmp(text, "slower") == 0 || strcmp(text, "lost") == 0));
    json_decref(a);
    json_decref(b);
    json_decref(rows);
    return text;
}

Test(report, two_sets, .init = make_folder, .fini = remove_folder)
{
    cr_assert_str_eq(verdict_of(OP("p", "a", "A", "10,11,12", "1", "1"),
                                OP("p", "a", "A", "20,21,22", "1", "1")),
                     "slower");
    cr_assert_str_eq(verdict_of(OP("p", "a", "A", "20,21,22", "1", "1"),
                                OP("p", "a", "A", "10,11,12", "1", "1")),
                     "faster");
    cr_assert_str_eq(verdict_of(OP("p", "a", "A", "10,11,19", "1", "1"),
                                OP("p", "a", "A", "12,13,14", "1", "1")),
                     "same");
    cr_assert_str_eq(verdict_of(OP("p", "a", "A", "10", "1", "1"), OP("p", "a", "A", "10.3", "1", "1")), "sam"
                                                                                                         "e");
    cr_assert_str_eq(verdict_of(OP("p", "a", "A", "10", "1", "1"), NOT("p", "a", "A")), "lost");
    cr_assert_str_eq(verdict_of(NOT("p", "a", "A"), OP("p", "a", "A", "10", "1", "1")), "gained");
    cr_assert_str_eq(verdict_of(PEAKS("A", "100", "10"), PEAKS("A", "50", "10")),
                     "slower"); // GFLOP/s: more is better
}
