/* spikeport bench suite, spikeport bench diff: levels of benchmarks on every device, records as JSON Lines,
 * and what is made of them. */
#include <CL/cl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "cl/device.h"
#include "cli/session_options.h"
#include "cli/table.h"
#include "lab/suite.h"
#include "base/file.h"
#include "lab/report.h"
#include "train/train.h"

json_t *sp_cli_suite_record(const sp_cli_suite *s, int level, const char *problem, const char *application)
{
    char loader[256];
    sp_device_loader(loader, sizeof loader);
    return json_pack("{s:i, s:i, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s}}",
                     "schema", SP_RECORD_SCHEMA, "level", level, "problem", problem, "sizes",
                     s->small ? "small" : "full", "application", application, "device",
                     sp_cli_json_text(s->info->name), "platform", sp_cli_json_text(s->info->platform),
                     "driver", sp_cli_json_text(s->info->driver), "opencl",
                     sp_cli_json_text(s->info->version), "date", sp_date_of(time(NULL)).text, "clock",
                     "host, around a wait for the device", "versions", "spikeport", SP_VERSION, "git", SP_GIT,
                     "compiler", __VERSION__, "loader", loader, "clblast", sp_cli_clblast);
}

void sp_cli_suite_reason(json_t *r, const char *status, const char *reason)
{
    json_object_set_new(r, "status", json_string(status));
    json_object_set_new(r, "reason", json_string(reason));
}

void sp_cli_suite_validation(json_t *r, bool passed, double error, double tolerance, const char *text)
{
    json_t *v = json_pack("{s:b, s:s}", "passed", passed, "text", text);
    if (tolerance >= 0) {
        json_object_set_new(v, "error", json_real(error));
        json_object_set_new(v, "tolerance", json_real(tolerance));
    }
    json_object_set_new(r, "validation", v);
}

sp_status sp_cli_suite_put(sp_cli_suite *s, json_t *r, sp_error *err)
{
    bool invalid = false;
    sp_status st = r ? sp_record_check(r, "record", &invalid, err)
                     : SP_FAIL(err, SP_E_MEMORY, "out of memory for a record");
    char *text = st == SP_OK ? sp_json_text(r, JSON_COMPACT) : NULL;
    if (st == SP_OK && !text)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for a record");
    if (st == SP_OK && (fprintf(s->records, "%s\n", text) < 0 || fflush(s->records) != 0))
        st = SP_FAIL(err, SP_E_IO, "%s: %s", s->path, strerror(errno));
    sp_free(text);
    s->written += st == SP_OK;
    s->invalid += invalid;
    json_decref(r);
    return st;
}

bool sp_cli_suite_named(const sp_cli_suite *s, const char *problem)
{
    if (s->names)
        sp_text_add(s->names, "%s\n", problem);
    if (s->names)
        return false;
    bool named =
        s->only.n == 0 || strncmp(problem, "peak.", 6) == 0; /* without peaks there is no efficiency */
    for (size_t i = 0; i < s->only.n; i++)
        named = named || strstr(problem, s->only.items[i]);
    return named;
}

bool sp_cli_suite_wanted(const sp_cli_suite *s, const char *problem, const char *application)
{
    for (size_t i = 0; i < json_array_size(s->done); i++) {
        const json_t *r = json_array_get(s->done, i);
        const char *its = json_string_value(json_object_get(r, "problem")),
                   *by = json_string_value(json_object_get(r, "application"));
        const char *on = json_string_value(json_object_get(r, "device"));
        if (strcmp(its, problem) == 0 && strcmp(on, s->info->name) == 0 &&
            (!application || strcmp(by, application) == 0))
            return false;
    }
    return sp_cli_suite_named(s, problem);
}

/* "all", or selectors separated by commas. */
static sp_status choose_devices(const char *selectors, const sp_device_list *list, bool *chosen,
                                sp_error *err)
{
    const char *names[SP_CLI_MAX_DEVICES];
    char *text = NULL, why[512];
    bool all = strcmp(selectors, "all") == 0;
    size_t n = 0, index;
    for (size_t i = 0; i < list->n; i++)
        chosen[i] = all;
    sp_status st = all ? SP_OK : sp_cli_device_names("--devices", selectors, &text, names, &n, err);
    for (size_t i = 0; i < n && st == SP_OK; i++)
        if ((st = sp_device_choose(list, names[i], &index, why, sizeof why, err)) == SP_OK)
            chosen[index] = true;
    sp_free(text);
    return st;
}

static sp_status run_device(sp_cli_suite *s, const sp_device_info *info, sp_error *err)
{
    sp_cli_suite one = *s;
    sp_error why = {0};
    one.info = info;
    one.small = s->small || (info->quirks & SP_QUIRK_SLOW_SIMULATOR);
    sp_cli_say("%s (%s, driver %s)%s\n", info->name, info->platform, info->driver,
               one.small ? ", small sizes" : "");
    sp_status st = sp_cli_suite_ops(&one, &why);
    if (st == SP_OK && s->level >= 2)
        st = sp_cli_suite_steps(&one, &why);
    s->written = one.written;
    s->invalid = one.invalid;
    if (st == SP_OK)
        return SP_OK;
    json_t *r = sp_cli_suite_record(&one, 1, "the suite", "spikeport");
    sp_cli_suite_reason(r, st == SP_E_DEVICE ? "unsupported" : "failed", why.text);
    sp_log(SP_LOG_WARNING, "%s", why.text);
    return sp_cli_suite_put(s, r, err);
}

/* Names without their sizes, each once: "conv.forward X_BITS, gemm". */
static void short_names(const char *names, char *out, size_t size)
{
    size_t used = 0;
    for (const char *at = names, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        int n = (int)strcspn(at, "=\n");
        while (n > 0 && at[n] == '=' && at[n - 1] != ' ')
            n--;
        char name[128];
        snprintf(name, sizeof name, "%.*s", at[n] == '\n' ? n : n - 1, at);
        if (!strstr(out, name) && used + strlen(name) + 2 < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", name);
    }
}

/* Every --only must be part of the name of a problem of either size. */
static sp_status check_only(const sp_cli_suite *s, sp_error *err)
{
    sp_text names = {0};
    sp_cli_suite dry = *s;
    sp_status st = SP_OK;
    char all[640] = "";
    dry.names = &names;
    for (int small = 0; small < 2 && st == SP_OK; small++) {
        dry.small = small;
        SP_TRY_GOTO(sp_cli_suite_ops(&dry, err));
        if (s->level >= 2)
            SP_TRY_GOTO(sp_cli_suite_steps(&dry, err));
    }
    sp_text_add(&names, "peak.*\n");
    SP_TRY_GOTO(names.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for names") : SP_OK);
    for (size_t i = 0; i < s->only.n && st == SP_OK; i++)
        if (strchr(s->only.items[i], '\n') || !strstr(names.s, s->only.items[i])) {
            short_names(names.s, all, sizeof all);
            st = SP_FAIL(err, SP_E_USAGE,
                         "--only %s: no problem up to level %lld has this in its name; there are: %s",
                         s->only.items[i], (long long)s->level, all);
        }
done:
    sp_text_free(&names);
    return st;
}

static sp_status run_all(sp_cli_suite *s, const char *selectors, sp_error *err)
{
    sp_device_list list;
    SP_TRY(sp_device_list_init(&list, err));
    bool *chosen = sp_alloc_array(list.n + 1, sizeof *chosen);
    bool none = list.n == 0;
    sp_status st = chosen ? choose_devices(selectors, &list, chosen, err)
                          : SP_FAIL(err, SP_E_MEMORY, "out of memory for the list of devices");
    for (size_t i = 0; i < list.n && st == SP_OK; i++)
        if (chosen[i])
            st = run_device(s, &list.items[i], err);
    sp_free(chosen);
    sp_device_list_fini(&list);
    if (st == SP_OK && none)
        st = SP_FAIL(err, SP_E_DEVICE, "there is no OpenCL device; see spikeport devices");
    return st;
}

static sp_status report(const char *records_path, const char *out, sp_error *err)
{
    json_t *records = NULL, *summary = NULL;
    size_t invalid = 0;
    char *json = sp_format("%s/summary.json", out), *csv = sp_format("%s/p3.csv", out),
         *html = sp_format("%s/report.html", out), *text = NULL;
    sp_status st = json && csv && html ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    SP_TRY_GOTO(st);
    SP_TRY_GOTO(sp_records_load(&records_path, 1, &records, &invalid, err));
    SP_TRY_GOTO(sp_report_summary(records, &summary, err));
    text = sp_json_text(summary, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    SP_TRY_GOTO(sp_file_replace_text(json, text, err));
    SP_TRY_GOTO(sp_report_csv(summary, csv, err));
    SP_TRY_GOTO(sp_report_html(summary, records, out, html, err));
    printf("%zu records, %zu without a time because their result was wrong or not compared\n%s\n%s\n%s\n%s\n",
           json_array_size(records), invalid, records_path, json, csv, html);
done:
    sp_free(text);
    json_decref(summary);
    json_decref(records);
    sp_free(json);
    sp_free(csv);
    sp_free(html);
    return st;
}

static sp_status suite(sp_cli_suite *s, const char *devices, bool again, bool resume, sp_error *err)
{
    char path[1024];
    size_t invalid;
    const char *file = path;
    SP_TRY(check_only(s, err));
    SP_TRY(sp_folder_make(s->out, 0777, err));
    snprintf(path, sizeof path, "%s/records.jsonl", s->out);
    s->path = path;
    if (again)
        return report(path, s->out, err);
    if (resume && sp_path_exists(path))
        SP_TRY(sp_records_load(&file, 1, &s->done, &invalid, err));
    s->records = fopen(path, s->done ? "a" : "w");
    if (!s->records) {
        json_decref(s->done);
        return SP_FAIL(err, SP_E_IO, "%s: %s", path, strerror(errno));
    }
    sp_status st = run_all(s, devices, err);
    json_decref(s->done);
    if (fclose(s->records) != 0 && st == SP_OK)
        st = SP_FAIL(err, SP_E_IO, "%s: %s", path, strerror(errno));
    return st == SP_OK ? report(path, s->out, err) : st;
}

int sp_cmd_bench_suite(int argc, char **argv)
{
    sp_cli_suite s = {.out = "runs/suite", .level = 2, .samples = 20};
    const char *devices = "all";
    bool again = false, resume = false;
    const sp_arg args[] = {
        SP_TEXT("devices", 'd', &devices, "all|SEL,SEL",
                "devices, as --device names them elsewhere (default all)"),
        SP_INTEGER("level", 0, &s.level, "N", "up to level 0 peaks, 1 ops, 2 training steps (default 2)", 0,
                   2),
        SP_INTEGER("samples", 'n', &s.samples, "N", "timed samples of each problem (default 20)", 3, 10000),
        SP_FLAG("small", 0, &s.small, "sizes for simulators; those get them anyway"),
        SP_LIST("recipe", 'r', &s.recipes, "FILE", "one more training step for level 2 (may be repeated)"),
        SP_LIST("only", 0, &s.only, "TEXT",
                "only problems with this in their name, as conv.forward (may be repeated)"),
        SP_FLAG("chosen", 0, &s.chosen, "of the kernels only those a run would choose: a short run"),
        SP_FLAG("resume", 0, &resume, "go on: what OUT/records.jsonl has of a device is not run again"),
        SP_TEXT("plugins", 0, &s.plugins, "DIRS", "folders with plugins, colon separated"),
        SP_FLAG("report", 0, &again, "only make the reports again from OUT/records.jsonl"),
        SP_TEXT("out", 'o', &s.out, "DIR", "where to (default runs/suite)"),
    };
    const sp_args a = {.command = "bench suite",
                       .synopsis = "[options]",
                       .about = "Peaks, ops and training steps on every device; every result is compared "
                                "with the references before its time counts. Writes records.jsonl, "
                                "summary.json, p3.csv (P3 analysis library) and report.html.",
                       SP_ARGS(args, 0, 0),
                       .notes = "docs/BENCHMARK.md describes records and figures. Two sets: spikeport bench "
                                "diff OLD NEW."};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, NULL, &code))
        return code;
    return suite(&s, devices, again, resume, &err) == SP_OK ? 0 : sp_cli_fail("bench suite", &err);
}

/* The records of a file, or of the folder that `bench suite` wrote. */
static sp_status load_records(const char *path, json_t **out, sp_error *err)
{
    size_t invalid;
    char *file = sp_path_is_folder(path) ? sp_format("%s/records.jsonl", path) : sp_strdup(path);
    const char *name = file;
    sp_status st =
        file ? sp_records_load(&name, 1, out, &invalid, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    sp_free(file);
    return st;
}

static sp_status print_diff(const json_t *rows, bool all, bool json)
{
    static const sp_column columns[] = {{.key = "verdict", .head = "", .width = -11},
                                        {.key = "old", .head = "old", .width = 9, .digits = -4},
                                        {.key = "new", .head = "new", .width = 9, .digits = -4},
                                        {.key = "ratio", .head = "ratio", .width = 7, .digits = -3},
                                        {.key = "problem", .head = "problem", .width = -60},
                                        {.key = "application", .head = "application", .width = -28},
                                        {.key = "device", .head = "device"}};
    enum { N = sizeof columns / sizeof *columns };
    if (!json)
        sp_table_print_head(columns, N);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *r = json_array_get(rows, i);
        const char *verdict = json_string_value(json_object_get(r, "verdict"));
        if (all || json || (strcmp(verdict, "same") != 0 && strcmp(verdict, "neither ran") != 0))
            SP_TRY(sp_table_print(columns, N, json_incref(r), json));
    }
    return SP_OK;
}

int sp_cmd_bench_diff(int argc, char **argv)
{
    int64_t percent = 5;
    bool all = false, json = false;
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_INTEGER("threshold", 't', &percent, "PERCENT", "changes up to this do not count (default 5)", 0,
                   1000),
        SP_FLAG("all", 0, &all, "what stayed the same too"),
        SP_FLAG("json", 0, &json, "one JSON object a line"),
    };
    const sp_args a = {.command = "bench diff",
                       .synopsis = "OLD NEW [options]",
                       .about = "Compares two records.jsonl of `spikeport bench suite`, or the folders they "
                                "lie in. A change counts when it is above the threshold and the ranges from "
                                "5 % to 95 % do not overlap. Exit code 1 when something became slower or was "
                                "lost.",
                       SP_ARGS(args, 2, 2)};
    int code;
    sp_error err = {0};
    json_t *old_records = NULL, *new_records = NULL, *rows = NULL;
    size_t slower = 0;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    sp_status st = load_records(rest.items[0], &old_records, &err);
    if (st == SP_OK)
        st = load_records(rest.items[1], &new_records, &err);
    if (st == SP_OK)
        st = sp_report_diff(old_records, new_records, 0.01 * (double)percent, &rows, &slower, &err);
    if (st == SP_OK)
        st = print_diff(rows, all, json);
    if (st == SP_OK && !json)
        printf("%zu compared, %zu slower or lost\n", json_array_size(rows), slower);
    if (st == SP_OK && slower)
        st = SP_FAIL(&err, SP_E_MISMATCH, "%zu of %zu became slower or were lost", slower,
                     json_array_size(rows));
    json_decref(rows);
    json_decref(old_records);
    json_decref(new_records);
    return st == SP_OK ? 0 : sp_cli_fail("bench diff", &err);
}
