/* The summary: devices with their peaks, problems with a row for each application and device. */
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "lab/report.h"

json_t *spi_distinct(const json_t *records, const char *key)
{
    json_t *seen = json_object(), *r, *out = json_array();
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)records, i, r)
    {
        const char *text = spi_text(r, key);
        if (*text && !json_object_get(seen, text)) {
            json_object_set_new(seen, text, json_true());
            json_array_append_new(out, json_string(text));
        }
    }
    json_decref(seen);
    return out;
}

static bool is_ok(const json_t *r)
{
    return strcmp(spi_text(r, "status"), "ok") == 0;
}

/* Median of the peak of that name on the device, or 0. */
static double peak(const json_t *records, const char *device, const char *name)
{
    size_t i;
    json_t *r;
    json_array_foreach((json_t *)(uintptr_t)records, i, r)
    {
        if (spi_number(r, "level") == 0 && is_ok(r) && strcmp(spi_text(r, "device"), device) == 0 &&
            strcmp(spi_text(r, "problem"), name) == 0)
            return spi_number(r, "median");
    }
    return 0;
}

/* The platform's name, which is mostly shorter, unless it has records of another device too. */
static const char *short_name(const json_t *records, const char *device, const char *platform)
{
    size_t i;
    json_t *r;
    bool alone = *platform != 0 && strlen(platform) < strlen(device);
    json_array_foreach((json_t *)(uintptr_t)records, i, r) alone =
        alone &&
        (strcmp(spi_text(r, "platform"), platform) != 0 || strcmp(spi_text(r, "device"), device) == 0);
    return alone ? platform : device;
}

static json_t *device_row(const json_t *records, const char *device)
{
    size_t i;
    json_t *r, *first = NULL;
    json_array_foreach((json_t *)(uintptr_t)records, i, r)
    {
        if (!first && strcmp(spi_text(r, "device"), device) == 0)
            first = r;
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "device", device, "short",
                     short_name(records, device, spi_text(first, "platform")), "platform",
                     spi_text(first, "platform"), "driver", spi_text(first, "driver"), "date",
                     spi_text(first, "date"), "gflops", spi_rounded(peak(records, device, "peak.fma")),
                     "gbytes", spi_rounded(peak(records, device, "peak.copy")), "launch_us",
                     spi_rounded(1000 * peak(records, device, "peak.launch")), "compile_ms",
                     spi_rounded(peak(records, device, "peak.compile")));
}

const char *spi_short_name(const json_t *devices, const char *device)
{
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (strcmp(spi_text(json_array_get(devices, i), "device"), device) == 0)
            return spi_text(json_array_get(devices, i), "short");
    return device;
}

/* Best median of the problem on the device, whoever reached it. */
static double best(const json_t *records, const char *problem, const char *device)
{
    double least = 0;
    size_t i;
    json_t *r;
    json_array_foreach((json_t *)(uintptr_t)records, i, r)
    {
        if (is_ok(r) && strcmp(spi_text(r, "problem"), problem) == 0 &&
            strcmp(spi_text(r, "device"), device) == 0 && (least == 0 || spi_number(r, "median") < least))
            least = spi_number(r, "median");
    }
    return least;
}

static json_t *problem_row(const json_t *records, const json_t *r, const json_t *devices)
{
    const char *device = spi_text(r, "device");
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:s}", "device", device, "short", spi_short_name(devices, device),
                  "application", spi_text(r, "application"), "status", spi_text(r, "status"));
    if (*spi_text(r, "variant"))
        json_object_set_new(row, "variant", json_string(spi_text(r, "variant")));
    if (!is_ok(r)) {
        json_object_set_new(row, "reason", json_string(spi_text(r, "reason")));
        return row;
    }
    double ms = spi_number(r, "median"), flops = spi_number(r, "flops"), bytes = spi_number(r, "bytes");
    double share = sp_report_roofline_share(flops, bytes, ms, peak(records, device, "peak.fma"),
                                            peak(records, device, "peak.copy"));
    json_object_set_new(row, "median_ms", spi_rounded(ms));
    json_object_set_new(row, "p5_ms", spi_rounded(spi_number(r, "p5")));
    json_object_set_new(row, "p95_ms", spi_rounded(spi_number(r, "p95")));
    json_object_set_new(row, "app_eff", spi_rounded(best(records, spi_text(r, "problem"), device) / ms));
    if (share > 0)
        json_object_set_new(row, "arch_eff", spi_rounded(share));
    if (flops > 0)
        json_object_set_new(row, "gflops", spi_rounded(flops / ms * 1e-6));
    if (spi_number(r, "device_bytes") > 0)
        json_object_set_new(row, "device_mib", spi_rounded(spi_number(r, "device_bytes") / 1048576.0));
    return row;
}

static json_t *problems(const json_t *records, const json_t *devices)
{
    json_t *names = spi_distinct(records, "problem"), *out = json_array(), *name, *r;
    size_t i, k;
    json_array_foreach(names, i, name)
    {
        json_t *rows = json_array();
        const char *sizes = "full";
        double level = 0;
        json_array_foreach((json_t *)(uintptr_t)records, k, r)
        {
            if (strcmp(spi_text(r, "problem"), json_string_value(name)) == 0 && spi_number(r, "level") > 0) {
                json_array_append_new(rows, problem_row(records, r, devices));
                level = spi_number(r, "level");
                sizes = *spi_text(r, "sizes") ? spi_text(r, "sizes") : sizes;
            }
        }
        if (json_array_size(rows))
            json_array_append_new(out, json_pack("{s:O, s:i, s:s, s:o}", "problem", name, "level", (int)level,
                                                 "sizes", sizes, "rows", rows));
        else
            json_decref(rows);
    }
    json_decref(names);
    return out;
}

/* "spikeport 0.1.0 (git 1a2b3c4), 2026-11-26", of the first record. */
static json_t *made_by(const json_t *records)
{
    const json_t *r = json_array_get(records, 0), *v = json_object_get(r, "versions");
    return *spi_text(v, "spikeport") ? json_sprintf("spikeport %s (git %s), %s", spi_text(v, "spikeport"),
                                                    spi_text(v, "git"), spi_text(r, "date"))
                                     : json_string(spi_text(r, "date"));
}

sp_status sp_report_summary(const json_t *records, json_t **out, sp_error *err)
{
    json_t *names = spi_distinct(records, "device"), *devices = json_array(), *name;
    size_t i;
    json_array_foreach(names, i, name)
        json_array_append_new(devices, device_row(records, json_string_value(name)));
    json_decref(names);
    json_t *list = problems(records, devices), *phi = spi_portability(list, devices);
    *out = json_pack("{s:i, s:o, s:i, s:o, s:o, s:o}", "schema", SP_RECORD_SCHEMA, "made_by",
                     made_by(records), "records", (int)json_array_size(records), "devices", devices,
                     "problems", list, "portability", phi);
    return *out ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the summary");
}
