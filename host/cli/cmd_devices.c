/* spikeport devices: what OpenCL devices there are, what is known about each, and which one would be used and
 * why. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include "cl/device.h"

static const struct {
    uint32_t bit;
    const char *name, *text;
} quirks[] = {
#define QUIRK(name, text) {SP_QUIRK_##name, #name, (text)},
    SP_QUIRKS(QUIRK)
#undef QUIRK
};
enum { N_QUIRKS = sizeof quirks / sizeof *quirks };

static void print_bytes(char *out, size_t out_size, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 1024.0 && u < 4) {
        v /= 1024.0;
        u++;
    }
    snprintf(out, out_size, u && v < 100.0 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void print_table(const sp_device_list *list, size_t chosen)
{
    printf("     %-5s  %-11s  %5s  %9s  %s\n", "P:D", "type", "units", "memory", "device");
    for (size_t i = 0; i < list->n; i++) {
        const sp_device_info *d = &list->items[i];
        char memory[32], place[32];
        print_bytes(memory, sizeof memory, d->global_bytes);
        snprintf(place, sizeof place, "%d:%d", d->platform_index, d->device_index);
        printf("%c %2d  %-5s  %-11s  %5u  %9s  %s\n", i == chosen ? '*' : ' ', d->index, place,
               sp_device_type_name(d->type), d->compute_units, memory, d->name);
    }
}

static const char *yes_no(bool b)
{
    return b ? "yes" : "no";
}

static void print_detail(const sp_device_info *d)
{
    char global[32], alloc[32], local[32], private[32];
    print_bytes(global, sizeof global, d->global_bytes);
    print_bytes(alloc, sizeof alloc, d->max_alloc_bytes);
    print_bytes(local, sizeof local, d->local_bytes);
    print_bytes(private, sizeof private, d->private_bytes);
    printf("\n%d: %s\n", d->index, d->name);
    printf("   platform    %s\n   vendor      %s\n", d->platform, d->vendor);
    printf("   version     %s (%s)\n   driver      %s\n", d->version, d->c_version, d->driver);
    printf("   type        %s, %u compute units, %u MHz\n", sp_device_type_name(d->type), d->compute_units,
           d->clock_mhz);
    printf("   memory      %s, at most %s in one buffer, buffers aligned to %u bytes, local %s%s%s\n", global,
           alloc, d->base_align_bytes, local, d->private_bytes ? ", private of a work-item " : "",
           d->private_bytes ? private : "");
    printf("   work group  at most %zu items, by dimension %zu x %zu x %zu\n", d->max_work_group,
           d->max_work_item[0], d->max_work_item[1], d->max_work_item[2]);
    printf("   supports    fp64 %s, fp16 %s, compiler %s, available %s%s%s%s%s%s\n", yes_no(d->fp64),
           yes_no(d->fp16), yes_no(d->compiler_available), yes_no(d->available),
           d->avx512_bf16 ? ", AVX-512 products of bf16" : "", d->amx_bf16 ? ", AMX tiles of bf16" : "",
           d->amx_emulated ? " (emulated)" : "", d->matrix ? ", matrix unit " : "",
           d->matrix ? sp_matrix_unit_name(d->matrix) : "");
    for (size_t i = 0; i < N_QUIRKS; i++)
        if (d->quirks & quirks[i].bit)
            printf("   quirk       %s: %s\n               because %s\n", quirks[i].name, quirks[i].text,
                   sp_device_quirk_evidence(d, quirks[i].bit));
}

static json_t *quirks_json(const sp_device_info *d)
{
    json_t *list = json_array();
    for (size_t i = 0; i < N_QUIRKS; i++)
        if (d->quirks & quirks[i].bit)
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", quirks[i].name, "meaning",
                                                  quirks[i].text, "evidence",
                                                  sp_device_quirk_evidence(d, quirks[i].bit)));
    return list;
}

static json_t *extensions_json(const sp_device_info *d)
{
    json_t *list = json_array();
    for (const char *at = d->extensions; *at;) {
        size_t n = strcspn(at, " ");
        if (n)
            json_array_append_new(list, json_stringn(at, n));
        at += n + (at[n] == ' ');
    }
    return list;
}

static json_t *device_json(const sp_device_info *d, bool chosen, const char *why)
{
    return json_pack("{s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
                     "s:I, "
                     "s:[I,I,I], s:b, s:b, s:b, s:b, s:b, s:b, s:s, s:o, s:o, s:b, s:o}",
                     "index", d->index, "platform_index", d->platform_index, "device_index", d->device_index,
                     "name", sp_cli_json_text(d->name), "platform", sp_cli_json_text(d->platform), "vendor",
                     sp_cli_json_text(d->vendor), "version", sp_cli_json_text(d->version), "c_version",
                     sp_cli_json_text(d->c_version), "driver", sp_cli_json_text(d->driver), "type",
                     sp_device_type_name(d->type), "compute_units", (json_int_t)d->compute_units, "clock_mhz",
                     (json_int_t)d->clock_mhz, "base_align_bytes", (json_int_t)d->base_align_bytes,
                     "global_bytes", (json_int_t)d->global_bytes, "max_alloc_bytes",
                     (json_int_t)d->max_alloc_bytes, "local_bytes", (json_int_t)d->local_bytes,
                     "private_bytes", (json_int_t)d->private_bytes, "max_work_group",
                     (json_int_t)d->max_work_group, "max_work_item", (json_int_t)d->max_work_item[0],
                     (json_int_t)d->max_work_item[1], (json_int_t)d->max_work_item[2], "available",
                     d->available, "compiler_available", d->compiler_available, "fp64", d->fp64, "fp16",
                     d->fp16, "avx512_bf16", d->avx512_bf16, "amx_bf16", d->amx_bf16, "matrix",
                     sp_matrix_unit_name(d->matrix), "quirks", quirks_json(d), "extensions",
                     extensions_json(d), "chosen", chosen, "why", sp_cli_json_text(chosen ? why : NULL));
}

static sp_status print_json(const sp_device_list *list, size_t chosen, const char *why)
{
    sp_status st = SP_OK;
    for (size_t i = 0; i < list->n && st == SP_OK; i++)
        st = sp_cli_json_line(device_json(&list->items[i], i == chosen, why));
    return st;
}

/* The list is printed even where nothing can be chosen: that is when it is needed most. */
static int show(const sp_device_list *list, const char *selector, bool json)
{
    sp_error err = {0};
    size_t chosen = list->n;
    char why[256] = "";
    sp_status st = sp_device_choose(list, selector, &chosen, why, sizeof why, &err);
    if (json) {
        sp_status printed = print_json(list, chosen, why);
        if (printed != SP_OK)
            return sp_status_exit_code(printed);
    } else if (list->n) {
        print_table(list, chosen);
        for (size_t i = 0; i < list->n; i++)
            print_detail(&list->items[i]);
        if (st == SP_OK)
            printf("\ndevice %d would be used: %s\n", list->items[chosen].index, why);
    }
    fflush(stdout);
    return st == SP_OK ? 0 : sp_cli_fail("devices", &err);
}

int sp_cmd_devices(int argc, char **argv)
{
    bool json = false;
    const char *selector = NULL;
    const sp_arg args[] = {
        SP_FLAG("json", 0, &json, "one JSON object a device and line"),
        SP_TEXT("device", 'd', &selector, "SEL", "say which device this selector means"),
    };
    const sp_args a = {.command = "devices",
                       .synopsis = "[--json] [--device SEL]",
                       .about = "Lists the OpenCL devices with limits and known quirks, and says which one "
                                "would be used and why.",
                       SP_ARGS(args, 0, 0),
                       .notes = "SEL is auto, a number (0), platform:device (0:1), a type (gpu, cpu, "
                                "accelerator) or a part of a device or\n"
                                "platform name. Without it SPIKEPORT_DEVICE is taken, then auto: gpu before "
                                "accelerator before cpu, most\n"
                                "compute units first. Exit code 4: no usable device."};
    int code;
    if (!sp_args_parse(&a, argc, argv, NULL, &code))
        return code;
    sp_device_list list;
    sp_error err = {0};
    if (sp_device_list_init(&list, &err) != SP_OK)
        return sp_cli_fail("devices", &err);
    code = show(&list, selector, json);
    sp_device_list_fini(&list);
    return code;
}
