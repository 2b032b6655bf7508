/* The profile: a YAML file whose keys are answers of the emulated device. Absent keys leave what the driver
 * says. */
#include "layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

layer_rules rules;
static sp_yaml_doc doc;
static const sp_yaml *platform;

static const char *const keys[] = {
    "about",
    "platform",
    "name",
    "vendor",
    "vendor_id",
    "version",
    "driver",
    "c_version",
    "profile",
    "type",
    "extensions",
    "compute_units",
    "clock_mhz",
    "max_work_group",
    "max_work_item",
    "kernel_max_work_group",
    "preferred_multiple",
    "spills",
    "vector_float",
    "global_bytes",
    "max_alloc_bytes",
    "local_bytes",
    "local_type",
    "constant_bytes",
    "constant_args",
    "parameter_bytes",
    "base_align_bits",
    "host_align_bytes",
    "unified",
    "compiler",
    "refuse_source_at",
    "idle",
    "fp64",
    "out_of_order",
    "profiling",
    "arg_info",
    "binaries",
    "sub_groups",
    "refuse",
    "amd_board",
    "nv_major",
    "nv_minor",
};
static const char *const platform_keys[] = {"name", "vendor", "version", "profile", "extensions"};

const sp_yaml *profile_get(const char *key)
{
    return doc.root ? sp_yaml_get(doc.root, key) : NULL;
}

const sp_yaml *profile_platform(const char *key)
{
    return platform ? sp_yaml_get(platform, key) : NULL;
}

static void must(sp_status st, const sp_error *err)
{
    if (st != SP_OK)
        layer_die("%s", err->text);
}

static void read_whole(const char *key, int64_t *out)
{
    sp_error err = {0};
    must(sp_yaml_read_int(doc.root, key, 0, INT64_MAX, out, &err), &err);
}

static void read_flag(const char *key, bool *out)
{
    sp_error err = {0};
    must(sp_yaml_read_bool(doc.root, key, out, &err), &err);
}

/* SPIKEPORT_LAYER_SET: "key=value;key=value", on top of the file. */
static void apply_settings(void)
{
    sp_error err = {0};
    const char *set = getenv("SPIKEPORT_LAYER_SET");
    char *copy = set ? strdup(set) : NULL, *save = NULL;
    for (char *one = copy ? strtok_r(copy, ";", &save) : NULL; one; one = strtok_r(NULL, ";", &save))
        must(sp_yaml_set(&doc, one, false, &err), &err);
    free(copy);
}

static void read_rules(void)
{
    static const char *const moments[] = {"build", "create"}, *const idle[] = {"nothing", "kernels", "all"};
    sp_error err = {0};
    int moment = 0, idles = 0;
    const char *version = "";
    rules = (layer_rules){.on = true,
                          .compiler = true,
                          .fp64 = true,
                          .out_of_order = true,
                          .profiling = true,
                          .arg_info = true,
                          .binaries = true,
                          .sub_groups = true};
    read_flag("compiler", &rules.compiler);
    read_flag("fp64", &rules.fp64);
    read_flag("out_of_order", &rules.out_of_order);
    read_flag("profiling", &rules.profiling);
    read_flag("arg_info", &rules.arg_info);
    read_flag("binaries", &rules.binaries);
    read_flag("sub_groups", &rules.sub_groups);
    read_whole("max_work_group", &rules.max_work_group);
    read_whole("kernel_max_work_group", &rules.kernel_max_work_group);
    read_whole("preferred_multiple", &rules.preferred_multiple);
    read_whole("max_alloc_bytes", &rules.max_alloc_bytes);
    read_whole("global_bytes", &rules.global_bytes);
    read_whole("local_bytes", &rules.local_bytes);
    read_whole("constant_bytes", &rules.constant_bytes);
    read_whole("base_align_bits", &rules.base_align_bits);
    read_whole("host_align_bytes", &rules.host_align_bytes);
    must(sp_yaml_read_choice(doc.root, "refuse_source_at", moments, 2, &moment, &err), &err);
    rules.refuse_at_create = moment == 1;
    must(sp_yaml_read_choice(doc.root, "idle", idle, 3, &idles, &err), &err);
    rules.idle_kernels = idles >= 1, rules.idle_transfers = idles == 2;
    must(sp_yaml_read_string(doc.root, "extensions", &rules.extensions, &err), &err);
    must(sp_yaml_read_string(doc.root, "spills", &rules.spills, &err), &err);
    must(sp_yaml_read_string(doc.root, "version", &version, &err), &err);
    if (sscanf(version, "OpenCL %d.%d", &rules.cl_major, &rules.cl_minor) != 2 && *version)
        layer_die("%s: version \"%s\" does not begin with OpenCL MAJOR.MINOR", doc.file, version);
    const sp_yaml *items = sp_yaml_get(doc.root, "max_work_item");
    for (size_t i = 0; items && i < 3; i++) {
        if (items->kind != SP_YAML_LIST || items->n != 3 || items->items[i]->kind != SP_YAML_INT)
            layer_die("%s:%d: max_work_item is three whole numbers", doc.file, items->line);
        rules.max_work_item[i] = items->items[i]->integer;
    }
    rules.refuse = sp_yaml_get(doc.root, "refuse");
}

void profile_load(void)
{
    sp_error err = {0};
    const char *path = getenv("SPIKEPORT_LAYER_PROFILE");
    if (!path || !*path)
        return;
    must(sp_yaml_load(path, &doc, &err), &err);
    if (!doc.root || doc.root->kind != SP_YAML_MAP)
        layer_die("%s: a profile is a map of keys", path);
    apply_settings();
    must(sp_yaml_check_keys(doc.root, keys, sizeof keys / sizeof *keys, "a profile of the test layer", &err),
         &err);
    platform = sp_yaml_get(doc.root, "platform");
    if (platform)
        must(sp_yaml_check_keys(platform, platform_keys, sizeof platform_keys / sizeof *platform_keys,
                                "a platform", &err),
             &err);
    read_rules();
}

__attribute__((destructor)) static void profile_unload(void)
{
    sp_yaml_free(&doc);
    platform = NULL;
}

bool profile_refuses(const char *call)
{
    for (size_t i = 0; rules.refuse && i < rules.refuse->n; i++)
        if (strcmp(rules.refuse->items[i]->text, call) == 0)
            return true;
    return false;
}

bool profile_has_extension(const char *name)
{
    size_t n = strlen(name);
    if (!rules.extensions)
        return true;
    for (const char *at = rules.extensions; (at = strstr(at, name)) != NULL; at += n)
        if ((at == rules.extensions || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}
