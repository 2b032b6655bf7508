/* A package in memory: what a recording plan puts in, what a serving one takes out. Files are
 * package_json.c's and package_write.c's. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/launch_internal.h"
#include "registry/package_internal.h"

static sp_status out_of_memory(sp_error *err)
{
    return SP_FAIL(err, SP_E_MEMORY, "out of memory for compiled programs");
}

const char *sp_target_name(sp_target t)
{
    static const char *const names[] = {"offline", "intel-fpga", "amd-fpga"};
    return names[t];
}

uint32_t sp_cksum(const unsigned char *bytes, size_t n)
{
    uint32_t crc = 0;
    for (size_t i = 0, rest = n; i < n || rest; i++) {
        unsigned char byte = i < n ? bytes[i] : (unsigned char)rest; // the length follows, lowest byte first
        rest = i < n ? rest : rest >> 8;
        crc ^= (uint32_t)byte << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x80000000u ? crc << 1 ^ 0x04C11DB7u : crc << 1;
    }
    return ~crc;
}

sp_status sp_package_create(sp_package **out, sp_error *err)
{
    *out = sp_alloc(sizeof **out);
    return *out ? SP_OK : out_of_memory(err);
}

static void free_program(sp_packed_program *g)
{
    char *texts[] = {g->op, g->variant, g->options, g->text, g->source, g->binary};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        sp_free(texts[i]);
    for (int k = 0; k < g->n_kernels; k++) {
        sp_free(g->kernels[k].function);
        sp_free(g->kernels[k].name);
        sp_free(g->kernels[k].args);
    }
}

void sp_package_destroy(sp_package **out)
{
    sp_package *p = out ? *out : NULL;
    if (!p)
        return;
    for (size_t i = 0; i < p->n_programs; i++)
        free_program(&p->programs[i]);
    for (size_t i = 0; i < p->n_calls; i++) {
        char *texts[] = {p->calls[i].op, p->calls[i].shape, p->calls[i].variant, p->calls[i].when};
        for (size_t k = 0; k < 4; k++)
            sp_free(texts[k]);
    }
    for (size_t i = 0; i < p->n_plans; i++)
        sp_free(p->plans[i].about);
    for (size_t i = 0; i < p->n_binaries; i++) {
        sp_free(p->binaries[i].path);
        if (p->binaries[i].program)
            clReleaseProgram(p->binaries[i].program);
    }
    sp_free(p->programs);
    sp_free(p->calls);
    sp_free(p->plans);
    sp_free(p->binaries);
    sp_free(p->folder);
    sp_free(p);
    *out = NULL;
}

/* ---- recording ---- */

static sp_packed_call *find_call(const sp_package *p, const char *op, const char *shape)
{
    for (size_t i = 0; i < p->n_calls; i++)
        if (strcmp(p->calls[i].op, op) == 0 && strcmp(p->calls[i].shape, shape) == 0)
            return &p->calls[i];
    return NULL;
}

static sp_packed_program *find_program(const sp_package *p, const char *key)
{
    for (size_t i = 0; i < p->n_programs; i++)
        if (strcmp(p->programs[i].key, key) == 0)
            return &p->programs[i];
    return NULL;
}

sp_status sp_package_record_choice(sp_package *p, const sp_op_call *call, const sp_variant *v, sp_error *err)
{
    char shape[512];
    sp_call_describe(call, shape, sizeof shape);
    sp_packed_call *c = find_call(p, call->op->id, shape);
    if (!c) {
        if (!sp_array_push(&p->calls, p->n_calls, sizeof *p->calls))
            return out_of_memory(err);
        c = &p->calls[p->n_calls++];
        c->op = sp_strdup(call->op->id);
        c->shape = sp_strdup(shape);
    }
    sp_free(c->variant); // a choice whose build failed is followed by another one
    sp_free(c->when);
    c->variant = sp_strdup(v->id);
    c->when = sp_strdup(v->when ? v->when : "");
    return c->op && c->shape && c->variant && c->when ? SP_OK : out_of_memory(err);
}

static sp_status record_args(sp_packed_kernel *k, cl_kernel kernel, sp_error *err)
{
    cl_int code = clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof k->n_args, &k->n_args, NULL);
    k->args = sp_alloc_array(k->n_args, sizeof *k->args);
    if (!k->args)
        return out_of_memory(err);
    for (cl_uint i = 0; i < k->n_args && code == CL_SUCCESS; i++) {
        sp_packed_arg *a = &k->args[i];
        cl_kernel_arg_address_qualifier space = 0;
        cl_kernel_arg_type_qualifier q = 0;
        code = clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_NAME, sizeof a->name, a->name, NULL);
        if (code == CL_SUCCESS)
            code = clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_TYPE_NAME, sizeof a->type, a->type, NULL);
        if (code == CL_SUCCESS)
            code = clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof space, &space, NULL);
        if (code == CL_SUCCESS)
            code = clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_TYPE_QUALIFIER, sizeof q, &q, NULL);
        a->global = space == CL_KERNEL_ARG_ADDRESS_GLOBAL;
        a->constant = (q & CL_KERNEL_ARG_TYPE_CONST) != 0;
        a->restricted = (q & CL_KERNEL_ARG_TYPE_RESTRICT) != 0;
    }
    return code == CL_SUCCESS ? SP_OK
                              : SP_FAIL_CL(err, code, "kernel %s: its arguments are unknown: %s", k->function,
                                           sp_cl_error_name(code));
}

static sp_status record_program(sp_package *p, sp_registry *reg, const sp_launch *l, const char *key,
                                sp_error *err)
{
    if (!sp_array_push(&p->programs, p->n_programs, sizeof *p->programs))
        return out_of_memory(err);
    sp_packed_program *g = &p->programs[p->n_programs++];
    sp_text text = {0}, options = {0};
    memcpy(g->key, key, sizeof g->key);
    sp_status st = sp_launch_source(reg, l, &text, &options, err);
    g->text = text.s;
    g->options = options.s ? options.s : sp_strdup("");
    g->op = sp_strdup(l->call.op->id);
    g->variant = sp_strdup(l->variant->id);
    g->source = sp_format("kernels/%s_%.8s.cl", l->variant->passes[0].kernel, key);
    if (st == SP_OK && (!g->text || !g->options || !g->op || !g->variant || !g->source))
        st = out_of_memory(err);
    for (int i = 0; i < l->n_passes && st == SP_OK; i++) {
        sp_packed_kernel *k = &g->kernels[g->n_kernels++];
        k->function = sp_strdup(l->variant->passes[i].kernel);
        k->name = sp_format("%s_%.8s", l->variant->passes[i].kernel, key);
        st = k->function && k->name ? record_args(k, l->passes[i].kernel, err) : out_of_memory(err);
    }
    return st;
}

static void describe_work(const sp_launch *l, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < l->n_passes; i++) {
        const sp_launch_pass *pass = &l->passes[i];
        for (cl_uint d = 0; d < pass->dims && n < size; d++)
            n += (size_t)snprintf(out + n, size - n, "%s%zu", d ? " x " : i ? "; " : "", pass->global[d]);
        for (cl_uint d = 0; pass->has_local && d < pass->dims && n < size; d++)
            n += (size_t)snprintf(out + n, size - n, "%s%zu", d ? " x " : " / ", pass->local[d]);
    }
}

sp_status sp_package_record_launch(sp_package *p, sp_registry *reg, const sp_launch *l, sp_error *err)
{
    char shape[512], key[17];
    if (l->library)
        return SP_FAIL(err, SP_E_PLUGIN,
                       "%s compiles its kernels itself and cannot be written to files; choose another "
                       "variant with --plugin",
                       l->variant->id);
    SP_TRY(sp_launch_key(reg, l, key, err));
    sp_call_describe(&l->call, shape, sizeof shape);
    sp_packed_call *c = find_call(p, l->call.op->id, shape);
    if (!c)
        return SP_FAIL(err, SP_E_FAILED, "%s %s was launched but never chosen", l->call.op->id, shape);
    memcpy(c->key, key, sizeof key);
    describe_work(l, c->work, sizeof c->work);
    return find_program(p, key) ? SP_OK : record_program(p, reg, l, key, err);
}

sp_status sp_package_record_plan(sp_package *p, uint64_t digest, const char *about, sp_error *err)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, digest);
    for (size_t i = 0; i < p->n_plans; i++)
        if (strcmp(p->plans[i].digest, text) == 0)
            return SP_OK;
    if (!sp_array_push(&p->plans, p->n_plans, sizeof *p->plans))
        return out_of_memory(err);
    sp_packed_plan *plan = &p->plans[p->n_plans++];
    memcpy(plan->digest, text, sizeof text);
    plan->about = sp_strdup(about);
    return plan->about ? SP_OK : out_of_memory(err);
}

/* ---- serving ---- */

#define STALE "; compile again with `spikeport compile ... --target %s --out %s`"

/* The user named the folder, so it is used; but whoever can write there decides what runs. */
static void warn_of_others(const char *folder)
{
    struct stat s;
    if (stat(folder, &s) == 0 && s.st_mode & (S_IWGRP | S_IWOTH))
        sp_log(SP_LOG_WARNING,
               "%s: other users may write there, and its binaries run as they are (chmod go-w makes it yours "
               "alone)",
               folder);
}

sp_status sp_package_open(const char *folder, const sp_device *dev, sp_package **out, sp_error *err)
{
    sp_package *p;
    SP_TRY(sp_package_create(&p, err));
    p->folder = sp_strdup(folder);
    warn_of_others(folder);
    sp_status st = p->folder ? sp_package_load(p, dev, err) : out_of_memory(err);
    if (st != SP_OK)
        sp_package_destroy(&p);
    else
        *out = p;
    return st;
}

bool sp_package_has(const sp_package *p, const sp_op_call *call)
{
    char shape[512];
    sp_call_describe(call, shape, sizeof shape);
    return find_call(p, call->op->id, shape) != NULL;
}

sp_status sp_package_choose(const sp_package *p, const sp_registry *reg, const sp_op_call *call,
                            sp_variant **out, sp_error *err)
{
    char shape[512];
    sp_call_describe(call, shape, sizeof shape);
    const sp_packed_call *c = find_call(p, call->op->id, shape);
    if (!c) {
        const char *other = NULL;
        for (size_t i = 0; i < p->n_calls && !other; i++)
            other = strcmp(p->calls[i].op, call->op->id) == 0 ? p->calls[i].shape : NULL;
        return SP_FAIL(err, SP_E_BUILD, "%s/manifest.json has no program for %s %s%s%s" STALE, p->folder,
                       call->op->id, shape, other ? "; for this op it has " : "", other ? other : "",
                       sp_target_name(p->target), p->folder);
    }
    for (size_t i = 0; i < reg->n_variants; i++) {
        sp_variant *v = reg->variants[i];
        if (v->op == call->op && strcmp(v->id, c->variant) == 0 &&
            strcmp(v->when ? v->when : "", c->when) == 0) {
            *out = v;
            return SP_OK;
        }
    }
    return SP_FAIL(err, SP_E_BUILD,
                   "%s/manifest.json is stale: it takes %s for %s, which this spikeport does not have" STALE,
                   p->folder, c->variant, c->op, sp_target_name(p->target), p->folder);
}

sp_status sp_package_check_plan(const sp_package *p, uint64_t digest, sp_error *err)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, digest);
    for (size_t i = 0; i < p->n_plans; i++)
        if (strcmp(p->plans[i].digest, text) == 0)
            return SP_OK;
    return SP_FAIL(err, SP_E_BUILD,
                   "%s/manifest.json is stale: the plan (hash %s) is none of the %zu it was written for (%s "
                   "%s%s)" STALE,
                   p->folder, text, p->n_plans, p->n_plans ? p->plans[0].about : "none",
                   p->n_plans ? p->plans[0].digest : "", p->n_plans > 1 ? ", ..." : "",
                   sp_target_name(p->target), p->folder);
}

/* The whole file; what the checksum beside it says is compared. */
static sp_status read_binary(const sp_package *p, const char *path, unsigned char **bytes, size_t *n,
                             sp_error *err)
{
    char *sum_path = sp_format("%s.cksum", path);
    unsigned long long crc = 0, size = 0;
    FILE *sum = sum_path ? sp_file_stream(sum_path, NULL) : NULL, *f = sp_file_stream(path, NULL);
    sp_status st = SP_OK;
    *bytes = NULL;
    if (!f)
        st = SP_FAIL(err, SP_E_BUILD, "%s: missing binary (%s)%s", path, strerror(errno),
                     p->target == SP_TARGET_OFFLINE ? ""
                                                    : "; run build.sh of that folder with the vendor's "
                                                      "tools");
    else if (!sum || fscanf(sum, "%llu %llu", &crc, &size) != 2 || size == 0)
        st = SP_FAIL(err, SP_E_BUILD,
                     "%s.cksum is missing or unreadable, so %s cannot be trusted; make it with `cksum`", path,
                     path);
    else if (!(*bytes = sp_alloc((size_t)size + 1)))
        st = out_of_memory(err);
    if (st == SP_OK) {
        *n = fread(*bytes, 1, (size_t)size + 1, f);
        if (*n != (size_t)size)
            st = SP_FAIL(err, SP_E_BUILD, "%s is %s: %s%zu bytes, %llu were written" STALE, path,
                         *n < size ? "truncated" : "not the file that was written",
                         *n < size ? "" : "more than ", *n < size ? *n : (size_t)size, size,
                         sp_target_name(p->target), p->folder);
        else if (sp_cksum(*bytes, *n) != (uint32_t)crc)
            st = SP_FAIL(err, SP_E_BUILD, "%s is damaged: its checksum is %u, %llu was written" STALE, path,
                         sp_cksum(*bytes, *n), crc, sp_target_name(p->target), p->folder);
    }
    if (f)
        fclose(f);
    if (sum)
        fclose(sum);
    sp_free(sum_path);
    return st;
}

static sp_status load_binary(sp_package *p, sp_device *dev, const char *file, cl_program *out, sp_error *err)
{
    for (size_t i = 0; i < p->n_binaries; i++)
        if (strcmp(p->binaries[i].path, file) == 0) {
            *out = p->binaries[i].program;
            return SP_OK;
        }
    char *path = sp_format("%s/%s", p->folder, file);
    unsigned char *bytes = NULL;
    size_t n = 0;
    sp_status st =
        path && sp_array_push(&p->binaries, p->n_binaries, sizeof *p->binaries) ? SP_OK : out_of_memory(err);
    if (st == SP_OK)
        st = read_binary(p, path, &bytes, &n, err);
    if (st == SP_OK)
        st = sp_program_from_binary(dev, path, bytes, n, out, err);
    if (st == SP_OK) {
        p->binaries[p->n_binaries] = (sp_packed_binary){sp_strdup(file), *out};
        st = p->binaries[p->n_binaries++].path ? SP_OK : out_of_memory(err);
    }
    sp_free(bytes);
    sp_free(path);
    return st;
}

sp_status sp_package_program(sp_package *p, sp_device *dev, const sp_variant *v, const sp_op_call *call,
                             const char *key, const sp_packed_program **packed, cl_program *program,
                             sp_error *err)
{
    const sp_packed_program *g = find_program(p, key);
    if (!g)
        return SP_FAIL(err, SP_E_BUILD,
                       "%s/manifest.json is stale: source or options of %s for %s have changed since (hash "
                       "%s is not in it)" STALE,
                       p->folder, v->id, call->op->id, key, sp_target_name(p->target), p->folder);
    if (g->n_kernels != v->n_passes)
        return SP_FAIL(err, SP_E_BUILD, "%s/manifest.json: program %s of %s has %d kernels, %d are needed",
                       p->folder, key, v->id, g->n_kernels, v->n_passes);
    *packed = g;
    return load_binary(p, dev, g->binary, program, err);
}
