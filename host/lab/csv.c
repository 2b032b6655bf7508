/* The table that the P3 analysis library reads. */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/table.h"
#include "lab/report.h"

static const char *date_of(const json_t *summary, const char *device)
{
    const json_t *devices = json_object_get(summary, "devices");
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (strcmp(spi_text(json_array_get(devices, i), "device"), device) == 0)
            return spi_text(json_array_get(devices, i), "date");
    return "";
}

sp_status sp_report_csv(const json_t *summary, const char *path, sp_error *err)
{
    static const sp_column columns[] = {{.key = "problem"}, {.key = "application"}, {.key = "platform"},
                                        {.key = "date"},    {.key = "fom"},         {.key = "app eff"},
                                        {.key = "arch eff"}};
    enum { N = sizeof columns / sizeof *columns };
    const json_t *problems = json_object_get(summary, "problems");
    sp_text t = {0};
    sp_table_csv(&t, columns, N, NULL);
    for (size_t i = 0; i < json_array_size(problems); i++) {
        const json_t *p = json_array_get(problems, i), *rows = json_object_get(p, "rows");
        for (size_t k = 0; k < json_array_size(rows); k++) {
            json_t *r = json_array_get(rows, k);
            const char *device = spi_text(r, "device");
            json_t *line =
                json_pack("{s:s, s:s, s:s, s:s, s:O*, s:O*, s:O*}", "problem", spi_text(p, "problem"),
                          "application", spi_text(r, "application"), "platform", device, "date",
                          date_of(summary, device), "fom", json_object_get(r, "median_ms"), "app eff",
                          json_object_get(r, "app_eff"), "arch eff", json_object_get(r, "arch_eff"));
            sp_table_csv(&t, columns, N, line);
            json_decref(line);
        }
    }
    sp_status st = sp_file_replace_text(path, t.failed ? NULL : t.s, err);
    sp_text_free(&t);
    return st;
}
