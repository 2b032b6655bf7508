/* The table that the P3 analysis library reads. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/file.h"
#include "lab/internal.h"

static void field(sp_text *t, const char *s)
{
    sp_text_add(t, "\"");
    for (; *s; s++)
        sp_text_add(t, "%s%c", *s == '"' ? "\"" : "", *s);
    sp_text_add(t, "\",");
}

static const char *date_of(const json_t *summary, const char *device)
{
    const json_t *devices = json_object_get(summary, "devices");
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (strcmp(spi_text(json_array_get(devices, i), "device"), device) == 0)
            return spi_text(json_array_get(devices, i), "date");
    return "";
}

static void number(sp_text *t, const json_t *row, const char *key, const char *after)
{
    if (spi_number(row, key) > 0)
        sp_text_add(t, "%.4g", spi_number(row, key));
    sp_text_add(t, "%s", after);
}

sp_status sp_report_csv(const json_t *summary, const char *path, sp_error *err)
{
    const json_t *problems = json_object_get(summary, "problems");
    sp_text t = {0};
    sp_text_add(&t, "problem,application,platform,date,fom,app eff,arch eff\n");
    for (size_t i = 0; i < json_array_size(problems); i++) {
        const json_t *p = json_array_get(problems, i), *rows = json_object_get(p, "rows");
        for (size_t k = 0; k < json_array_size(rows); k++) {
            const json_t *r = json_array_get(rows, k);
            field(&t, spi_text(p, "problem"));
            field(&t, spi_text(r, "application"));
            field(&t, spi_text(r, "device"));
            field(&t, date_of(summary, spi_text(r, "device")));
            number(&t, r, "median_ms", ",");
            number(&t, r, "app_eff", ",");
            number(&t, r, "arch_eff", "\n");
        }
    }
    sp_status st = sp_file_replace_text(path, t.failed ? NULL : t.s, err);
    sp_text_free(&t);
    return st;
}
