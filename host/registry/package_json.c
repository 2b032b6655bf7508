/* manifest.json of a package: written last, so that a folder without one is unfinished; read with every
 * member checked, because people and copying tools change files. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/error.h"
#include "base/mem.h"
#include "registry/package_internal.h"

/* ---- writing ---- */

static json_t *args_json(const sp_packed_kernel *k)
{
    json_t *args = json_array();
    for (cl_uint i = 0; i < k->n_args; i++) {
        const sp_packed_arg *a = &k->args[i];
        json_array_append_new(args, json_pack("{s:s, s:s, s:b, s:b, s:b}", "name", a->name, "type", a->type,
                                              "global", a->global, "const", a->constant, "restrict",
                                              a->restricted));
    }
    return args;
}

static json_t *program_json(const sp_packed_program *g)
{
    char sum[16];
    json_t *kernels = json_array();
    for (int i = 0; i < g->n_kernels; i++)
        json_array_append_new(kernels,
                              json_pack("{s:s, s:s, s:o}", "function", g->kernels[i].function, "name",
                                        g->kernels[i].name, "arguments", args_json(&g->kernels[i])));
    snprintf(sum, sizeof sum, "%u", sp_cksum((const unsigned char *)g->text, strlen(g->text)));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "hash", g->key, "op", g->op, "variant",
                     g->variant, "options", g->options, "source", g->source, "source_cksum", sum, "binary",
                     g->binary, "kernels", kernels);
}

static json_t *device_json(const sp_package *p, const sp_device *dev, const sp_package_options *o)
{
    static const char *const vendors[] = {"", "Intel(R) FPGA", "Xilinx"};
    if (o->runs_on || p->target != SP_TARGET_OFFLINE)
        return json_pack("{s:s}", "runs_on", o->runs_on ? o->runs_on : vendors[p->target]);
    return json_pack("{s:s, s:s, s:s}", "name", dev->info.name, "platform", dev->info.platform, "driver",
                     dev->info.driver);
}

sp_status sp_package_save(const sp_package *p, const sp_device *dev, const sp_package_options *o,
                          sp_error *err)
{
    json_t *programs = json_array(), *calls = json_array(), *plans = json_array();
    for (size_t i = 0; i < p->n_programs; i++)
        json_array_append_new(programs, program_json(&p->programs[i]));
    for (size_t i = 0; i < p->n_calls; i++) {
        const sp_packed_call *c = &p->calls[i];
        json_array_append_new(calls, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "op", c->op, "shape",
                                               c->shape, "variant", c->variant, "when", c->when, "program",
                                               c->key, "work", c->work));
    }
    for (size_t i = 0; i < p->n_plans; i++)
        json_array_append_new(plans, json_pack("{s:s, s:s}", "hash", p->plans[i].digest, "about",
                                               p->plans[i].about));
    json_t *root = json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o}", "format", SP_PACKAGE_FORMAT, "spikeport",
                             o->version, "target", sp_target_name(p->target), "device",
                             device_json(p, dev, o), "plans", plans, "programs", programs, "calls", calls);
    char *text = sp_json_text(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    sp_status st = text ? sp_package_write_file(o->folder, "manifest.json", text, strlen(text), err)
                        : SP_FAIL(err, SP_E_MEMORY, "out of memory for manifest.json");
    sp_free(text);
    json_decref(root);
    return st;
}

/* ---- reading ---- */

static sp_status malformed(const sp_package *p, const char *what, sp_error *err)
{
    return SP_FAIL(err, SP_E_BUILD,
                   "%s/manifest.json: %s is missing or not what it should be; compile the programs again",
                   p->folder, what);
}

static char *member(const json_t *object, const char *name)
{
    const char *s = json_string_value(json_object_get(object, name));
    return s ? sp_strdup(s) : NULL;
}

static bool member_hex(const json_t *object, const char *name, char out[17])
{
    const char *s = json_string_value(json_object_get(object, name));
    bool ok = s && (strlen(s) == 16 || *s == '\0');
    if (ok)
        snprintf(out, 17, "%s", s);
    return ok;
}

static sp_status read_kernel(const sp_package *p, const json_t *row, sp_packed_kernel *k, sp_error *err)
{
    const json_t *args = json_object_get(row, "arguments");
    k->function = member(row, "function");
    k->name = member(row, "name");
    k->args = sp_alloc_array(json_array_size(args), sizeof *k->args);
    if (!k->function || !k->name || !json_is_array(args) || !k->args)
        return malformed(p, "\"kernels\"", err);
    for (size_t i = 0; i < json_array_size(args); i++) {
        const json_t *a = json_array_get(args, i);
        const char *name = json_string_value(json_object_get(a, "name")),
                   *type = json_string_value(json_object_get(a, "type"));
        sp_packed_arg *to = &k->args[k->n_args++];
        if (!name || !type || strlen(name) >= sizeof to->name || strlen(type) >= sizeof to->type)
            return malformed(p, "\"arguments\"", err);
        snprintf(to->name, sizeof to->name, "%s", name);
        snprintf(to->type, sizeof to->type, "%s", type);
        to->global = json_is_true(json_object_get(a, "global"));
        to->constant = json_is_true(json_object_get(a, "const"));
        to->restricted = json_is_true(json_object_get(a, "restrict"));
    }
    return SP_OK;
}

static sp_status read_program(sp_package *p, const json_t *row, sp_error *err)
{
    if (!sp_array_push(&p->programs, p->n_programs, sizeof *p->programs))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for manifest.json");
    sp_packed_program *g = &p->programs[p->n_programs++];
    const json_t *kernels = json_object_get(row, "kernels");
    g->op = member(row, "op");
    g->variant = member(row, "variant");
    g->binary = member(row, "binary");
    if (!member_hex(row, "hash", g->key) || !g->op || !g->variant || !g->binary || strstr(g->binary, "..") ||
        json_array_size(kernels) < 1 || json_array_size(kernels) > SP_VARIANT_MAX_PASSES)
        return malformed(p, "an entry of \"programs\"", err);
    for (size_t i = 0; i < json_array_size(kernels); i++)
        SP_TRY(read_kernel(p, json_array_get(kernels, i), &g->kernels[g->n_kernels++], err));
    return SP_OK;
}

static sp_status read_call(sp_package *p, const json_t *row, sp_error *err)
{
    if (!sp_array_push(&p->calls, p->n_calls, sizeof *p->calls))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for manifest.json");
    sp_packed_call *c = &p->calls[p->n_calls++];
    c->op = member(row, "op");
    c->shape = member(row, "shape");
    c->variant = member(row, "variant");
    c->when = member(row, "when");
    bool ok = c->op && c->shape && c->variant && c->when && member_hex(row, "program", c->key);
    return ok ? SP_OK : malformed(p, "an entry of \"calls\"", err);
}

static sp_status read_plan(sp_package *p, const json_t *row, sp_error *err)
{
    if (!sp_array_push(&p->plans, p->n_plans, sizeof *p->plans))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for manifest.json");
    sp_packed_plan *plan = &p->plans[p->n_plans++];
    plan->about = member(row, "about");
    return plan->about && member_hex(row, "hash", plan->digest) ? SP_OK
                                                                : malformed(p, "an entry of \"plans\"", err);
}

static sp_status read_list(sp_package *p, const json_t *root, const char *name,
                           sp_status (*read)(sp_package *, const json_t *, sp_error *), sp_error *err)
{
    const json_t *list = json_object_get(root, name);
    if (!json_is_array(list))
        return malformed(p, name, err);
    for (size_t i = 0; i < json_array_size(list); i++)
        SP_TRY(read(p, json_array_get(list, i), err));
    return SP_OK;
}

static sp_status check_device(const sp_package *p, const json_t *root, const sp_device *dev, sp_error *err)
{
    const json_t *d = json_object_get(root, "device");
    const char *part = json_string_value(json_object_get(d, "runs_on")),
               *name = json_string_value(json_object_get(d, "name"));
    const char *platform = json_string_value(json_object_get(d, "platform"));
    const char *driver = json_string_value(json_object_get(d, "driver"));
    if (part && (strstr(dev->info.name, part) || strstr(dev->info.platform, part)))
        return SP_OK;
    if (part)
        return SP_FAIL(err, SP_E_DEVICE,
                       "%s/manifest.json is for a device with \"%s\" in its name or platform; this is \"%s\" "
                       "of \"%s\" (choose another with --device)",
                       p->folder, part, dev->info.name, dev->info.platform);
    if (!name || !platform || !driver)
        return malformed(p, "\"device\"", err);
    if (strcmp(name, dev->info.name) != 0 || strcmp(platform, dev->info.platform) != 0)
        return SP_FAIL(err, SP_E_DEVICE,
                       "%s/manifest.json is for the device \"%s\" of \"%s\"; this is \"%s\" of \"%s\" "
                       "(choose another with --device, or compile again)",
                       p->folder, name, platform, dev->info.name, dev->info.platform);
    if (strcmp(driver, dev->info.driver) != 0)
        return SP_FAIL(err, SP_E_DEVICE,
                       "%s/manifest.json is for driver \"%s\"; this is \"%s\"; compile again", p->folder,
                       driver, dev->info.driver);
    return SP_OK;
}

static sp_status read_head(sp_package *p, const json_t *root, sp_error *err)
{
    const char *target = json_string_value(json_object_get(root, "target"));
    json_int_t format = json_integer_value(json_object_get(root, "format"));
    if (format != SP_PACKAGE_FORMAT)
        return SP_FAIL(err, SP_E_BUILD,
                       "%s/manifest.json has format %lld, this spikeport reads format %d; compile the "
                       "programs again",
                       p->folder, (long long)format, SP_PACKAGE_FORMAT);
    for (int t = SP_TARGET_OFFLINE; t <= SP_TARGET_AMD_FPGA; t++)
        if (target && strcmp(target, sp_target_name((sp_target)t)) == 0) {
            p->target = (sp_target)t;
            return SP_OK;
        }
    return malformed(p, "\"target\"", err);
}

sp_status sp_package_load(sp_package *p, const sp_device *dev, sp_error *err)
{
    json_error_t why;
    char *path = sp_format("%s/manifest.json", p->folder);
    json_t *root = path ? json_load_file(path, 0, &why) : NULL;
    sp_status st = path ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for manifest.json");
    if (path && !root)
        st = SP_FAIL(err, SP_E_BUILD,
                     "%s: no manifest can be read (line %d: %.200s); write the folder with `spikeport "
                     "compile`",
                     path, why.line, why.text);
    if (st == SP_OK)
        st = read_head(p, root, err);
    if (st == SP_OK)
        st = check_device(p, root, dev, err);
    if (st == SP_OK)
        st = read_list(p, root, "programs", read_program, err);
    if (st == SP_OK)
        st = read_list(p, root, "calls", read_call, err);
    if (st == SP_OK)
        st = read_list(p, root, "plans", read_plan, err);
    json_decref(root);
    sp_free(path);
    return st;
}
