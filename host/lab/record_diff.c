/* Two sets of records: what became slower. A change counts when it is larger than the threshold and the
 * spreads (5 % to 95 %) do not overlap. */
#include <string.h>

#include "base/error.h"
#include "lab/report.h"

static const json_t *find(const json_t *records, const json_t *like)
{
    static const char *const keys[] = {"problem", "application", "variant", "device"};
    for (size_t i = 0; i < json_array_size(records); i++) {
        const json_t *r = json_array_get(records, i);
        bool same = true;
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            same = same && strcmp(spi_text(r, keys[k]), spi_text(like, keys[k])) == 0;
        if (same)
            return r;
    }
    return NULL;
}

/* Peaks of bandwidth and arithmetic are better when larger; all else is a time. */
static bool larger_is_better(const json_t *r)
{
    const char *unit = spi_text(r, "unit");
    return strcmp(unit, "GFLOP/s") == 0 || strcmp(unit, "GB/s") == 0;
}

static const char *verdict(const json_t *a, const json_t *b, double threshold)
{
    double ratio = spi_number(b, "median") / spi_number(a, "median");
    bool up = ratio > 1 + threshold && spi_number(b, "p5") > spi_number(a, "p95");
    bool down = ratio < 1 / (1 + threshold) && spi_number(b, "p95") < spi_number(a, "p5");
    if (!up && !down)
        return "same";
    return up == larger_is_better(a) ? "faster" : "slower";
}

static json_t *row(const json_t *a, const json_t *b, double threshold)
{
    bool was = strcmp(spi_text(a, "status"), "ok") == 0, is = b && strcmp(spi_text(b, "status"), "ok") == 0;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "problem", spi_text(a, "problem"), "application",
                          spi_text(a, "application"), "variant", spi_text(a, "variant"), "device",
                          spi_text(a, "device"));
    const char *text = was && is ? verdict(a, b, threshold) : was ? "lost" : is ? "gained" : "neither ran";
    json_object_set_new(o, "verdict", json_string(text));
    if (was)
        json_object_set_new(o, "old", spi_rounded(spi_number(a, "median")));
    if (is)
        json_object_set_new(o, "new", spi_rounded(spi_number(b, "median")));
    if (was && is)
        json_object_set_new(o, "ratio", spi_rounded(spi_number(b, "median") / spi_number(a, "median")));
    if (was && !is)
        json_object_set_new(o, "reason", json_string(b ? spi_text(b, "reason") : "not in the new set"));
    return o;
}

sp_status sp_report_diff(const json_t *old_records, const json_t *new_records, double threshold, json_t **out,
                         size_t *slower, sp_error *err)
{
    json_t *rows = json_array();
    *slower = 0;
    for (size_t i = 0; i < json_array_size(old_records); i++) {
        const json_t *a = json_array_get(old_records, i);
        json_t *o = row(a, find(new_records, a), threshold);
        if (!o) {
            json_decref(rows);
            return SP_FAIL(err, SP_E_MEMORY, "out of memory for the comparison");
        }
        const char *v = spi_text(o, "verdict");
        *slower += strcmp(v, "slower") == 0 || strcmp(v, "lost") == 0;
        json_array_append_new(rows, o);
    }
    *out = rows;
    return SP_OK;
}
