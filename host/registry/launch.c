/* Launches: making one (program, kernels, sizes) and the hot path that enqueues it. Allocates in create only.
 */
#include "registry/launch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/expr.h"
#include "base/mem.h"
#include "registry/launch_internal.h"

/* ---- setup ---- */

static sp_status evaluate(const sp_variant_scope *s, const char *what, const char *text, int line,
                          int64_t most, int64_t *value, sp_error *err)
{
    sp_variant_scope scope = *s;
    char place[SP_PLACE_SIZE];
    sp_variant_place(s->variant, line, place);
    sp_status st = sp_expr_eval(text, sp_variant_lookup, &scope, value, err);
    if (st != SP_OK) {
        sp_error_prefix(err, st, "%s: %s: ", place, what);
        if (err)
            err->status = SP_E_PLUGIN; // an expression of a plugin, not of the user's recipe
        return SP_E_PLUGIN;
    }
    if (*value < 0 || *value > most)
        return SP_FAIL(err, SP_E_PLUGIN, "%s: %s \"%s\" gives %" PRId64 ", must be 0 to %" PRId64, place,
                       what, text, *value, most);
    return SP_OK;
}

/* "path:line" of the kernel itself, or of a line of its metadata. */
static const char *place_of(const sp_launch *l, const sp_pass *p, int line, char out[SP_PLACE_SIZE])
{
    sp_variant_place(l->variant, line ? line : sp_variant_code_line(l->variant, p, NULL), out);
    return out;
}

/* The driver's own limit for this kernel: a local size above it would fail at the first enqueue of a training
 * step. */
static sp_status check_local(const sp_launch *l, const sp_pass *p, const sp_launch_pass *pass, sp_error *err)
{
    size_t most = 0, items = 1;
    char place[SP_PLACE_SIZE];
    cl_int code = clGetKernelWorkGroupInfo(pass->kernel, l->dev->info.device_id, CL_KERNEL_WORK_GROUP_SIZE,
                                           sizeof most, &most, NULL);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(err, code, "%s: kernel %s: its work-group limit is unknown: %s",
                          place_of(l, p, 0, place), p->kernel, sp_cl_error_name(code));
    for (cl_uint d = 0; d < pass->dims; d++) {
        items *= pass->local[d];
        if (pass->local[d] == 0 || pass->local[d] > l->dev->info.max_work_item[d])
            return SP_FAIL(err, SP_E_PLUGIN,
                           "%s: kernel %s: local size %zu in dimension %u; this device takes 1 to %zu",
                           place_of(l, p, p->lines.local, place), p->kernel, pass->local[d], d,
                           l->dev->info.max_work_item[d]);
        if (pass->global[d] % pass->local[d] != 0)
            return SP_FAIL(err, SP_E_PLUGIN,
                           "%s: kernel %s: global size %zu is not a multiple of local size %zu in "
                           "dimension %u; write roundup(..., %s) in \"global:\"",
                           place_of(l, p, p->lines.global, place), p->kernel, pass->global[d], pass->local[d],
                           d, p->local[d]);
    }
    if (items > most)
        return sp_error_set(err, SP_E_PLUGIN, CL_INVALID_WORK_GROUP_SIZE, __FILE__, __LINE__,
                            "%s: kernel %s: work-groups of %zu items, this device takes at most %zu of "
                            "this kernel",
                            place_of(l, p, p->lines.local, place), p->kernel, items, most);
    return SP_OK;
}

/* Local memory that the kernel itself asks for: some drivers end the process at the first launch instead of
 * refusing. */
static sp_status check_local_memory(const sp_launch *l, const sp_pass *p, const sp_launch_pass *pass,
                                    sp_error *err)
{
    cl_ulong bytes = 0;
    char place[SP_PLACE_SIZE];
    cl_int code = clGetKernelWorkGroupInfo(pass->kernel, l->dev->info.device_id, CL_KERNEL_LOCAL_MEM_SIZE,
                                           sizeof bytes, &bytes, NULL);
    if (code != CL_SUCCESS || bytes <= l->dev->info.local_bytes)
        return SP_OK;
    return sp_error_set(err, SP_E_PLUGIN, CL_INVALID_WORK_GROUP_SIZE, __FILE__, __LINE__,
                        "%s: kernel %s: %llu bytes of local memory, this device has %llu",
                        place_of(l, p, 0, place), p->kernel, (unsigned long long)bytes,
                        (unsigned long long)l->dev->info.local_bytes);
}

/* What the metadata leave to the driver. One that compiles a kernel for each local size gets few sizes. */
static void choose_local(const sp_device *dev, sp_launch_pass *pass)
{
    pass->has_local = (dev->info.quirks & SP_QUIRK_COMPILES_EACH_LOCAL_SIZE) != 0;
    for (cl_uint d = 0; d < pass->dims; d++)
        pass->local[d] = 1;
    if (pass->global[0] % 64 == 0 && dev->info.max_work_group >= 64 && dev->info.max_work_item[0] >= 64)
        pass->local[0] = 64;
}

static sp_status compute_sizes(const sp_launch *l, const sp_variant_scope *scope, const sp_pass *p,
                               sp_launch_pass *pass, sp_error *err)
{
    pass->dims = (cl_uint)p->dims;
    pass->has_local = p->local[0] != NULL;
    for (int d = 0; d < p->dims; d++) {
        int64_t value;
        SP_TRY(evaluate(scope, "global", p->global[d], p->lines.global, INT64_MAX / 2, &value, err));
        pass->global[d] = (size_t)value;
        pass->empty |= value == 0;
        if (pass->has_local) {
            SP_TRY(evaluate(scope, "local", p->local[d], p->lines.local, UINT32_MAX, &value, err));
            pass->local[d] = (size_t)value;
        }
    }
    if (!pass->has_local)
        choose_local(l->dev, pass);
    return pass->has_local && !pass->empty ? check_local(l, p, pass, err) : SP_OK;
}

static sp_status no_kernel(const sp_launch *l, const sp_pass *p, cl_int code, sp_error *err)
{
    static const char *const hints[] = {[SP_KERNEL_UNKNOWN] = "",
                                        [SP_KERNEL_HIDDEN] = " for this call; is the one in its text under "
                                                             "an #if that is false?",
                                        [SP_KERNEL_UNMARKED] = "; the function of that name is not declared "
                                                               "with __kernel",
                                        [SP_KERNEL_NEAR] = "; did you mean \""};
    char place[SP_PLACE_SIZE], near[96];
    if (code != CL_INVALID_KERNEL_NAME || l->packed)
        return sp_error_set(err, SP_E_PLUGIN, code, __FILE__, __LINE__, "%s: kernel %s cannot be made: %s",
                            place_of(l, p, 0, place), p->kernel, sp_cl_error_name(code));
    const sp_kernel_hint hint = sp_variant_near_kernel(l->variant, p->kernel, near, sizeof near);
    return sp_error_set(err, SP_E_PLUGIN, code, __FILE__, __LINE__, "%s: the file has no kernel \"%s\"%s%s%s",
                        place_of(l, p, p->lines.kernel, place), p->kernel, hints[hint], near,
                        hint == SP_KERNEL_NEAR ? "\"?" : "");
}

static sp_status create_pass(sp_launch *l, cl_program program, const sp_variant_scope *scope,
                             const sp_pass *p, sp_error *err)
{
    const int index = l->n_passes;
    sp_launch_pass *pass = &l->passes[index];
    cl_int code;
    pass->kernel = clCreateKernel(program, l->packed ? l->packed->kernels[index].name : p->kernel, &code);
    if (!pass->kernel)
        return no_kernel(l, p, code, err);
    l->n_passes++;
    SP_TRY(check_local_memory(l, p, pass, err));
    SP_TRY(sp_launch_bind(l, pass, index, err));
    return compute_sizes(l, scope, p, pass, err);
}

/* An output that no pass writes would keep what was in memory. */
static sp_status check_outputs(const sp_launch *l, sp_error *err)
{
    const sp_op *op = l->call.op;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && op->buffers[i].name; i++) {
        bool taken = op->buffers[i].access == SP_IN || !sp_call_has_buffer(&l->call, i);
        for (int p = 0; p < l->n_passes; p++)
            for (int r = 0; r < l->passes[p].n_ranges; r++)
                taken |= l->passes[p].ranges[r].buffer == i && l->passes[p].ranges[r].writes;
        if (!taken) {
            char place[SP_PLACE_SIZE];
            return SP_FAIL(err, SP_E_PLUGIN, "%s: no kernel of %s writes the output \"%s\" of %s",
                           place_of(l, &l->variant->passes[0], 0, place), l->variant->id, op->buffers[i].name,
                           op->id);
        }
    }
    return SP_OK;
}

static sp_status find_workspace(const sp_variant_scope *scope, uint64_t *bytes, sp_error *err)
{
    int64_t elems = 0;
    if (scope->variant->workspace)
        SP_TRY(evaluate(scope, "workspace", scope->variant->workspace, scope->variant->workspace_line,
                        INT64_MAX / 4, &elems, err));
    *bytes = (uint64_t)elems * 4;
    return SP_OK;
}

sp_status sp_launch_workspace_of(sp_device *dev, sp_variant *v, const sp_op_call *call,
                                 const int64_t *tune_values, uint64_t *bytes, sp_error *err)
{
    const sp_op_call own = sp_variant_call(v, call);
    const sp_variant_scope scope = {v, &own, dev, tune_values};
    *bytes = 0;
    return v->kind == SP_VARIANT_KERNEL ? find_workspace(&scope, bytes, err) : SP_OK;
}

static sp_status create_kernels(sp_launch *l, sp_registry *reg, const int64_t *tune_values, sp_error *err)
{
    const sp_variant *v = l->variant;
    const sp_variant_scope scope = {v, &l->call, l->dev, tune_values};
    cl_program program;
    SP_TRY(find_workspace(&scope, &l->workspace_bytes, err));
    for (int i = 0; i < v->n_tunes; i++)
        l->tune_values[i] = tune_values ? tune_values[i] : v->tunes[i].values[0];
    SP_TRY(sp_launch_program(reg, l, &program, err));
    for (int p = 0; p < v->n_passes; p++)
        SP_TRY(create_pass(l, program, &scope, &v->passes[p], err));
    return check_outputs(l, err);
}

static sp_status create_library(sp_launch *l, sp_registry *reg, const int64_t *tune_values, sp_error *err)
{
    sp_library *lib;
    SP_TRY(sp_library_get(reg, l->variant, &lib, err));
    return sp_library_variant_create(lib, l->dev, l->variant, &l->call, tune_values, &l->library,
                                     &l->workspace_bytes, err);
}

sp_status sp_launch_create(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                           const int64_t *tune_values, sp_launch **out, sp_error *err)
{
    sp_status st;
    if (v->kind == SP_VARIANT_LOWER)
        return SP_FAIL(err, SP_E_PLUGIN, "%s lowers %s to other ops; it has no launch of its own", v->id,
                       v->op->id);
    sp_launch *l = sp_alloc(sizeof *l);
    if (!l)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while preparing %s", v->id);
    l->dev = dev;
    l->variant = v;
    l->call = sp_variant_call(v, call);
    SP_TRY_GOTO(v->kind == SP_VARIANT_LIBRARY ? create_library(l, reg, tune_values, err)
                                              : create_kernels(l, reg, tune_values, err));
    *out = l;
    l = NULL;
done:
    sp_launch_destroy(&l);
    return st;
}

void sp_launch_destroy(sp_launch **out)
{
    sp_launch *l = out ? *out : NULL;
    if (!l)
        return;
    for (int p = 0; p < l->n_passes; p++)
        clReleaseKernel(l->passes[p].kernel);
    sp_library_variant_destroy(&l->library);
    sp_free(l);
    *out = NULL;
}

uint64_t sp_launch_workspace(const sp_launch *l)
{
    return l->workspace_bytes;
}

uint64_t sp_launch_spills(const sp_launch *l)
{
    /* CL_KERNEL_SPILL_MEM_SIZE_INTEL; other drivers count spills as private memory, and refuse the first. */
    static const cl_kernel_work_group_info questions[] = {0x4109, CL_KERNEL_PRIVATE_MEM_SIZE};
    cl_ulong most = 0;
    for (int p = 0; p < l->n_passes && l->dev->info.type == SP_DEVICE_GPU; p++)
        for (int q = 0; q < 2; q++) {
            cl_ulong bytes = 0;
            if (clGetKernelWorkGroupInfo(l->passes[p].kernel, l->dev->info.device_id, questions[q],
                                         sizeof bytes, &bytes, NULL) == CL_SUCCESS &&
                bytes > most)
                most = bytes;
        }
    return most;
}

/* ---- hot path ---- */

/* A launch keeps the handles it was given last: they must stay alive as long as the launch (a plan's arenas
 * do). */
static cl_int set_range(cl_kernel kernel, sp_range_arg *a, sp_range range)
{
    cl_int code = CL_SUCCESS;
    if (!a->bound || a->range.mem != range.mem)
        code = clSetKernelArg(kernel, a->mem_arg, sizeof range.mem, range.mem ? &range.mem : NULL);
    if (code == CL_SUCCESS && (!a->bound || a->range.at_bytes != range.at_bytes)) {
        cl_ulong at = range.at_bytes / 4;
        code = clSetKernelArg(kernel, a->at_arg, sizeof at, &at);
    }
    a->bound = code == CL_SUCCESS;
    a->range = range;
    return code;
}

static cl_int set_dynamic(cl_kernel kernel, sp_dynamic_arg *a, const sp_dynamic *dyn)
{
    uint32_t bits;
    memcpy(&bits, (const char *)dyn + a->offset, sizeof bits);
    if (a->bound && a->bits == bits)
        return CL_SUCCESS;
    int64_t wide = (int32_t)bits;
    cl_int code =
        clSetKernelArg(kernel, a->arg, a->arg_bytes, a->arg_bytes == 8 ? (const void *)&wide : &bits);
    a->bound = code == CL_SUCCESS;
    a->bits = bits;
    return code;
}

/* "FILE:LINE: kernel K, argument "x" cannot be set: CL_..." in front of what is being done. */
static sp_status not_set(const sp_launch *l, const sp_launch_pass *pass, const char *argument, cl_int code,
                         const char *name, sp_error *err)
{
    const sp_pass *p = &l->variant->passes[pass - l->passes];
    char place[SP_PLACE_SIZE];
    sp_variant_place(l->variant, sp_variant_code_line(l->variant, p, argument), place);
    return SP_FAIL_CL(err, code, "%s: %s: kernel %s, argument \"%s\": setting it failed: %s", name, place,
                      p->kernel, argument, sp_cl_error_name(code));
}

static sp_status set_args(sp_launch *l, sp_launch_pass *pass, const sp_range *buffers, sp_range work,
                          const sp_dynamic *dyn, const char *name, sp_error *err)
{
    for (int i = 0; i < pass->n_ranges; i++) {
        sp_range_arg *a = &pass->ranges[i];
        cl_int code = set_range(pass->kernel, a, a->buffer == SP_ARG_WORK ? work : buffers[a->buffer]);
        if (code != CL_SUCCESS)
            return not_set(l, pass, a->buffer == SP_ARG_WORK ? "work" : l->call.op->buffers[a->buffer].name,
                           code, name, err);
    }
    for (int i = 0; i < pass->n_dynamics; i++) {
        sp_dynamic_arg *a = &pass->dynamics[i];
        cl_int code = set_dynamic(pass->kernel, a, dyn);
        if (code != CL_SUCCESS)
            return not_set(l, pass, a->name, code, name, err);
    }
    return SP_OK;
}

sp_status sp_launch_enqueue(sp_launch *l, const sp_range *buffers, sp_range work, const sp_dynamic *dyn,
                            const char *name, sp_error *err)
{
    static const sp_dynamic none;
    if (l->library)
        return sp_library_variant_enqueue(l->library, buffers, work, dyn ? dyn : &none, name, err);
    for (int p = 0; p < l->n_passes; p++) {
        sp_launch_pass *pass = &l->passes[p];
        char place[SP_PLACE_SIZE];
        if (pass->empty)
            continue;
        SP_TRY(set_args(l, pass, buffers, work, dyn ? dyn : &none, name, err));
        const sp_status st = sp_device_enqueue(l->dev, pass->kernel, name, pass->dims, pass->global,
                                               pass->has_local ? pass->local : NULL, err);
        if (st != SP_OK)
            return sp_error_prefix(err, st, "%s: ", place_of(l, &l->variant->passes[p], 0, place));
    }
    return SP_OK;
}
