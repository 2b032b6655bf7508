/* Records: one JSON object a line. What is not checked has no time. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/stats.h"
#include "base/file.h"
#include "lab/report.h"

const char *spi_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

double spi_number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static sp_status statistics(json_t *r, const char *where, sp_error *err)
{
    const json_t *samples = json_object_get(r, "samples");
    size_t n = json_array_size(samples);
    if (n == 0)
        return SP_FAIL(err, SP_E_DATA, "%s: status is \"ok\", but \"samples\" is no list with numbers",
                       where);
    double *x = sp_alloc_array(n, sizeof *x);
    if (!x)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", where);
    for (size_t i = 0; i < n; i++) {
        x[i] = json_number_value(json_array_get(samples, i));
        if (!(x[i] > 0) || isinf(x[i])) {
            sp_free(x);
            return SP_FAIL(err, SP_E_DATA, "%s: sample %zu is not a number above 0", where, i + 1);
        }
    }
    sp_sort(x, n);
    json_object_set_new(r, "n", json_integer((json_int_t)n));
    json_object_set_new(r, "median", json_real(sp_quantile(x, n, 0.5)));
    json_object_set_new(r, "p5", json_real(sp_quantile(x, n, 0.05)));
    json_object_set_new(r, "p95", json_real(sp_quantile(x, n, 0.95)));
    json_object_set_new(r, "min", json_real(x[0]));
    sp_free(x);
    return SP_OK;
}

/* Whether the record's result was compared with something and held. */
static bool validated(const json_t *r, char *why, size_t why_bytes)
{
    const json_t *v = json_object_get(r, "validation"), *error = json_object_get(v, "error");
    const json_t *tolerance = json_object_get(v, "tolerance");
    if (!json_is_object(v))
        snprintf(why, why_bytes, "the record has a time, but no \"validation\"");
    else if (!json_is_true(json_object_get(v, "passed")))
        snprintf(why, why_bytes, "validation failed: %.200s",
                 *spi_text(v, "text") ? spi_text(v, "text") : "no text given");
    else if (json_is_number(error) && json_is_number(tolerance) &&
             !(json_number_value(error) <= json_number_value(tolerance)))
        snprintf(why, why_bytes, "validation says passed, but the error %g is above the tolerance %g",
                 json_number_value(error), json_number_value(tolerance));
    else
        return true;
    return false;
}

static void drop_time(json_t *r, const char *why)
{
    static const char *const times[] = {"samples", "median", "p5", "p95", "min", "n"};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        json_object_del(r, times[i]);
    json_object_set_new(r, "status", json_string("invalid"));
    json_object_set_new(r, "reason", json_string(why));
}

sp_status sp_record_check(json_t *r, const char *where, bool *invalid, sp_error *err)
{
    static const char *const texts[] = {"problem",  "application", "device", "driver",
                                        "platform", "date",        "status"};
    char why[320];
    *invalid = false;
    if (!json_is_object(r))
        return SP_FAIL(err, SP_E_DATA, "%s: not a JSON object", where);
    if (spi_number(r, "schema") != SP_RECORD_SCHEMA)
        return SP_FAIL(err, SP_E_DATA, "%s: \"schema\" is not %d", where, SP_RECORD_SCHEMA);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!json_is_string(json_object_get(r, texts[i])))
            return SP_FAIL(err, SP_E_DATA, "%s: text \"%s\" is missing", where, texts[i]);
    if (!json_is_integer(json_object_get(r, "level")))
        return SP_FAIL(err, SP_E_DATA, "%s: number \"level\" is missing", where);
    const char *status = spi_text(r, "status");
    bool has_time = json_object_get(r, "samples") || json_object_get(r, "median");
    if (strcmp(status, "ok") != 0 && strcmp(status, "unsupported") != 0 && strcmp(status, "invalid") != 0 &&
        strcmp(status, "failed") != 0)
        return SP_FAIL(err, SP_E_DATA, "%s: status \"%s\" is not ok, unsupported, invalid or failed", where,
                       status);
    if (strcmp(status, "ok") == 0 || has_time) {
        if (!validated(r, why, sizeof why)) {
            drop_time(r, why);
            *invalid = true;
            return SP_OK;
        }
        json_object_set_new(r, "status", json_string("ok"));
        return statistics(r, where, err);
    }
    if (!*spi_text(r, "reason"))
        return SP_FAIL(err, SP_E_DATA, "%s: status is \"%s\" without a \"reason\"", where, status);
    return SP_OK;
}

static sp_status load_file(const char *path, json_t *out, size_t *n_invalid, sp_error *err)
{
    sp_lines lines;
    char where[512];
    if (!sp_lines_open(&lines, NULL, path, err))
        return SP_E_IO;
    sp_status st = SP_OK;
    while (st == SP_OK && sp_lines_next(&lines)) {
        json_error_t je;
        bool invalid = false;
        snprintf(where, sizeof where, "%.400s:%d", path, lines.number);
        json_t *r = json_loads(lines.text, 0, &je);
        st = r ? sp_record_check(r, where, &invalid, err)
               : SP_FAIL(err, SP_E_DATA, "%s:%d: %s", where, je.column, je.text);
        *n_invalid += invalid;
        if (st == SP_OK)
            json_array_append(out, r);
        json_decref(r);
    }
    sp_lines_close(&lines);
    return st;
}

sp_status sp_records_load(const char *const *paths, size_t n, json_t **out, size_t *n_invalid, sp_error *err)
{
    sp_status st = SP_OK;
    json_t *all = json_array();
    *n_invalid = 0;
    for (size_t i = 0; i < n && st == SP_OK; i++)
        st = load_file(paths[i], all, n_invalid, err);
    if (st == SP_OK && json_array_size(all) == 0)
        st = SP_FAIL(err, SP_E_DATA, "%s: no records", n ? paths[0] : "nothing given");
    if (st == SP_OK)
        *out = all;
    else
        json_decref(all);
    return st;
}
