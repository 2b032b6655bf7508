/* Binds kernel arguments by name. The contract owns names and types, the kernel takes those it needs in any
 * order; this file compares both and refuses what does not fit, before a wrong type can become a wrong
 * number. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/suggest.h"
#include "registry/launch_internal.h"

/* What the compiler tells about an argument. */
typedef struct arg_info {
    cl_uint index;
    char name[96], type[96];
    cl_kernel_arg_address_qualifier space;
    cl_kernel_arg_type_qualifier qualifiers;
} arg_info;

typedef struct binder {
    sp_launch *launch;
    sp_launch_pass *pass;
    const sp_pass *declared;
    const char *kernel_name;
    const sp_packed_kernel
        *packed; /* what the manifest says of the kernel: binaries need not know; NULL: ask the driver */
    cl_uint n_args;
    sp_error *err;
    char place[SP_PLACE_SIZE];
} binder;

/* Of an argument, or with NULL of the kernel. */
static const char *place_of(binder *b, const arg_info *a)
{
    const sp_variant *v = b->launch->variant;
    sp_variant_place(v, sp_variant_code_line(v, b->declared, a ? a->name : NULL), b->place);
    return b->place;
}

#define BIND_FAIL(b, a, fmt, ...)                                                                            \
    SP_FAIL((b)->err, SP_E_PLUGIN, "%s: kernel %s, argument \"%s\": " fmt, place_of(b, a), (b)->kernel_name, \
            (a)->name, __VA_ARGS__)

static void get_packed_info(const sp_packed_arg *from, arg_info *a)
{
    memcpy(a->name, from->name, sizeof a->name);
    memcpy(a->type, from->type, sizeof a->type);
    a->space = from->global ? CL_KERNEL_ARG_ADDRESS_GLOBAL : CL_KERNEL_ARG_ADDRESS_PRIVATE;
    a->qualifiers = (from->constant ? CL_KERNEL_ARG_TYPE_CONST : 0) |
                    (from->restricted ? CL_KERNEL_ARG_TYPE_RESTRICT : 0);
}

static sp_status get_info(binder *b, cl_uint index, arg_info *a)
{
    cl_kernel k = b->pass->kernel;
    memset(a, 0, sizeof *a);
    a->index = index;
    if (b->packed) {
        get_packed_info(&b->packed->args[index], a);
        return SP_OK;
    }
    cl_int code = clGetKernelArgInfo(k, index, CL_KERNEL_ARG_NAME, sizeof a->name, a->name, NULL);
    if (code == CL_SUCCESS)
        code = clGetKernelArgInfo(k, index, CL_KERNEL_ARG_TYPE_NAME, sizeof a->type, a->type, NULL);
    if (code == CL_SUCCESS)
        code =
            clGetKernelArgInfo(k, index, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof a->space, &a->space, NULL);
    if (code == CL_SUCCESS)
        code = clGetKernelArgInfo(k, index, CL_KERNEL_ARG_TYPE_QUALIFIER, sizeof a->qualifiers,
                                  &a->qualifiers, NULL);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(b->err, code,
                          "%s: kernel %s: the driver does not tell argument %u's name and type (%s), and "
                          "spikeport binds arguments by name",
                          place_of(b, NULL), b->kernel_name, index, sp_cl_error_name(code));
    return SP_OK;
}

/* Argument by name; b->n_args when the kernel has none such. */
static sp_status find_arg(binder *b, const char *name, arg_info *a)
{
    for (cl_uint i = 0; i < b->n_args; i++) {
        SP_TRY(get_info(b, i, a));
        if (strcmp(a->name, name) == 0)
            return SP_OK;
    }
    a->index = b->n_args;
    return SP_OK;
}

static sp_status check_element_type(binder *b, const arg_info *a, int buffer)
{
    static const char *const wrong[] = {"char", "uchar", "short", "ushort", "half", "int", "uint",
                                        "long", "ulong", "float", "double", "bool", "void"};
    const sp_op_call *call = &b->launch->call;
    char type[sizeof a->type];
    snprintf(type, sizeof type, "%.*s", (int)strcspn(a->type, " *"), a->type);
    const char *right = "float";
    if (buffer == SP_ARG_WORK) {
        if (strcmp(type, "float") == 0 || strcmp(type, "int") == 0 || strcmp(type, "uint") == 0)
            return SP_OK;
    } else {
        const sp_op_buffer *c = &call->op->buffers[buffer];
        right = sp_call_buffer_is_bits(call, buffer) || c->type == SP_U32 ? "uint"
                : c->type == SP_I32                                       ? "int"
                : sp_call_buffer_is_half(call, buffer)                    ? "half"
                                                                          : right;
        if (strcmp(type, "sp_x") == 0 && c->bits && strcmp(c->bits, "X_BITS") == 0)
            return SP_OK;
    }
    if (strcmp(type, right) == 0)
        return SP_OK;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t n = strlen(wrong[i]);
        // also vectors (float4): offsets count 4-byte elements, so the argument itself must be a scalar
        // pointer
        if (strncmp(type, wrong[i], n) == 0 && type[n + strspn(type + n, "0123456789")] == '\0')
            return BIND_FAIL(b, a, "is %s, the contract has %s*; use vload and vstore for vectors", a->type,
                             right);
    }
    return SP_OK; // a typedef of the plugin's own: the compiler has seen through it, we cannot
}

/* restrict promises that no other argument is the same memory: wrong where the contract allows it and the
 * kernel takes both. */
static sp_status check_alias(binder *b, const arg_info *a, const sp_op_buffer *c)
{
    const sp_op *op = b->launch->call.op;
    arg_info other;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && op->buffers[i].name; i++) {
        const sp_op_buffer *o = &op->buffers[i];
        bool pair =
            (c->alias && strcmp(c->alias, o->name) == 0) || (o->alias && strcmp(o->alias, c->name) == 0);
        if (!pair)
            continue;
        SP_TRY(find_arg(b, o->name, &other));
        if (other.index != b->n_args)
            return BIND_FAIL(b, a, "may be the same memory as \"%s\"; declare it with %s (no restrict)",
                             o->name, c->alias ? "SP_IO" : "SP_REF");
    }
    return SP_OK;
}

static sp_status check_access(binder *b, const arg_info *a, int buffer)
{
    const sp_op_call *call = &b->launch->call;
    const sp_op_buffer *c = &call->op->buffers[buffer];
    if (c->access == SP_IN && !(a->qualifiers & CL_KERNEL_ARG_TYPE_CONST))
        return BIND_FAIL(b, a, "is an input of %s; declare it with SP_IN or SP_REF (const)", call->op->id);
    return a->qualifiers & CL_KERNEL_ARG_TYPE_RESTRICT ? check_alias(b, a, c) : SP_OK;
}

/* There is no memory behind it: a kernel that reads it all the same would end the process. */
static sp_status refuse_absent(binder *b, const arg_info *a, int buffer)
{
    const sp_op *op = b->launch->call.op;
    return BIND_FAIL(b, a,
                     "%s has this buffer only where %s, which is false for this call; declare it under #if, "
                     "or leave such calls out with \"when:\"",
                     op->id, op->buffers[buffer].when);
}

/* A pointer and its companion NAME_at. */
static sp_status bind_range(binder *b, const arg_info *a, int buffer)
{
    sp_launch_pass *pass = b->pass;
    char at_name[sizeof a->name + 3];
    arg_info at;
    if (a->space != CL_KERNEL_ARG_ADDRESS_GLOBAL)
        return BIND_FAIL(b, a,
                         "(%s) must be a __global pointer; declare it with SP_IN, SP_OUT, SP_IO or SP_REF",
                         a->type);
    if (buffer != SP_ARG_WORK && !sp_call_has_buffer(&b->launch->call, buffer))
        return refuse_absent(b, a, buffer);
    SP_TRY(check_element_type(b, a, buffer));
    if (buffer != SP_ARG_WORK)
        SP_TRY(check_access(b, a, buffer));
    snprintf(at_name, sizeof at_name, "%s_at", a->name);
    SP_TRY(find_arg(b, at_name, &at));
    if (at.index == b->n_args)
        return BIND_FAIL(b, a, "has no \"%s\" beside it; declare it with SP_IN, SP_OUT, SP_IO or SP_REF",
                         at_name);
    if (strcmp(at.type, "ulong") != 0)
        return BIND_FAIL(b, &at, "is %s, must be ulong", at.type);
    if (buffer == SP_ARG_WORK && !b->launch->workspace_bytes)
        return BIND_FAIL(b, a, "%s",
                         "is the workspace, but the block has no \"workspace:\" line (or it gives 0)");
    pass->ranges[pass->n_ranges++] = (sp_range_arg){.buffer = buffer,
                                                    .mem_arg = a->index,
                                                    .at_arg = at.index,
                                                    .writes = !(a->qualifiers & CL_KERNEL_ARG_TYPE_CONST)};
    return SP_OK;
}

static sp_status set_arg(binder *b, const arg_info *a, size_t bytes, const void *value)
{
    cl_int code = clSetKernelArg(b->pass->kernel, a->index, bytes, value);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(b->err, code, "%s: kernel %s, argument \"%s\": setting it (%s) failed: %s",
                          place_of(b, a), b->kernel_name, a->name, a->type, sp_cl_error_name(code));
    return SP_OK;
}

static sp_status bind_dynamic(binder *b, const arg_info *a, bool is_float)
{
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
        {"first", offsetof(sp_dynamic, first)},         {"last", offsetof(sp_dynamic, last)},
        {"time_step", offsetof(sp_dynamic, time_step)}, {"block_start", offsetof(sp_dynamic, block_start)},
        {"iteration", offsetof(sp_dynamic, iteration)}, {"lr", offsetof(sp_dynamic, lr)},
        {"bias1", offsetof(sp_dynamic, bias1)},         {"bias2", offsetof(sp_dynamic, bias2)}};
    bool wide = strcmp(a->type, "long") == 0 || strcmp(a->type, "ulong") == 0;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i].name, a->name) == 0) {
            b->pass->dynamics[b->pass->n_dynamics++] =
                (sp_dynamic_arg){.name = fields[i].name,
                                 .arg = a->index,
                                 .offset = fields[i].offset,
                                 .arg_bytes = wide && !is_float ? 8 : 4};
            return SP_OK;
        }
    return BIND_FAIL(b, a, "%s", "is dynamic, but the launch has no value of that name");
}

static sp_status bind_int(binder *b, const arg_info *a, int64_t value)
{
    const sp_variant *v = b->launch->variant;
    bool is_signed = strcmp(a->type, "int") == 0, is_unsigned = strcmp(a->type, "uint") == 0;
    bool wide = strcmp(a->type, "long") == 0 || strcmp(a->type, "ulong") == 0;
    if (!is_signed && !is_unsigned && !wide)
        return BIND_FAIL(b, a, "is %s; the contract has an int (int, uint, long or ulong)", a->type);
    if (sp_op_scalar_is_dynamic(a->name))
        return bind_dynamic(b, a, false);
    if (sp_variant_bakes(v, a->name))
        return BIND_FAIL(b, a, "%s", "is baked and an argument; choose one");
    if ((is_signed && value != (int32_t)value) || (is_unsigned && value != (int64_t)(uint32_t)value))
        return BIND_FAIL(b, a, "%" PRId64 " does not fit %s; declare it long or ulong", value, a->type);
    int32_t narrow = (int32_t)(uint32_t)value;
    return wide ? set_arg(b, a, sizeof value, &value) : set_arg(b, a, sizeof narrow, &narrow);
}

static sp_status bind_float(binder *b, const arg_info *a, double value)
{
    if (strcmp(a->type, "float") != 0)
        return BIND_FAIL(b, a, "is %s; the contract has a float", a->type);
    if (sp_op_scalar_is_dynamic(a->name))
        return bind_dynamic(b, a, true);
    float narrow = (float)value;
    return set_arg(b, a, sizeof narrow, &narrow);
}

static sp_status unknown_arg(binder *b, const arg_info *a)
{
    const sp_op *op = b->launch->call.op;
    const char *names[SP_OP_MAX_BUFFERS + SP_OP_MAX_INTS + SP_OP_MAX_FLOATS];
    size_t n = 0;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && op->buffers[i].name; i++)
        names[n++] = op->buffers[i].name;
    for (int i = 0; i < SP_OP_MAX_INTS && op->ints[i]; i++)
        names[n++] = op->ints[i];
    for (int i = 0; i < SP_OP_MAX_FLOATS && op->floats[i]; i++)
        names[n++] = op->floats[i];
    const char *near = sp_suggest(a->name, names, n);
    if (a->space == CL_KERNEL_ARG_ADDRESS_LOCAL)
        return BIND_FAIL(b, a, "%s", "local memory is declared in the kernel body, not as an argument");
    return BIND_FAIL(b, a, "%s has no buffer, int or float of that name%s%s%s", op->id,
                     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* "x_at" where the kernel also has "x", which takes care of it. */
static sp_status is_companion(binder *b, const arg_info *a, bool *yes)
{
    size_t n = strlen(a->name);
    char base[sizeof a->name];
    arg_info found;
    *yes = false;
    if (n <= 3 || strcmp(a->name + n - 3, "_at") != 0)
        return SP_OK;
    snprintf(base, sizeof base, "%.*s", (int)n - 3, a->name);
    SP_TRY(find_arg(b, base, &found));
    *yes = found.index != b->n_args;
    return SP_OK;
}

static sp_status bind_one(binder *b, const arg_info *a)
{
    const sp_op_call *call = &b->launch->call;
    const sp_op *op = call->op;
    bool companion;
    int buffer = sp_op_buffer_index(op, a->name);
    if (buffer >= 0)
        return bind_range(b, a, buffer);
    if (strcmp(a->name, "work") == 0)
        return bind_range(b, a, SP_ARG_WORK);
    for (int i = 0; i < SP_OP_MAX_INTS && op->ints[i]; i++)
        if (strcmp(op->ints[i], a->name) == 0)
            return bind_int(b, a, call->ints[i]);
    for (int i = 0; i < SP_OP_MAX_FLOATS && op->floats[i]; i++)
        if (strcmp(op->floats[i], a->name) == 0)
            return bind_float(b, a, call->floats[i]);
    SP_TRY(is_companion(b, a, &companion));
    return companion ? SP_OK : unknown_arg(b, a);
}

static sp_status count_args(binder *b)
{
    cl_int code = clGetKernelInfo(b->pass->kernel, CL_KERNEL_NUM_ARGS, sizeof b->n_args, &b->n_args, NULL);
    if (code != CL_SUCCESS)
        return SP_FAIL_CL(b->err, code, "%s: kernel %s: its number of arguments is unknown: %s",
                          place_of(b, NULL), b->kernel_name, sp_cl_error_name(code));
    return SP_OK;
}

sp_status sp_launch_bind(sp_launch *l, sp_launch_pass *pass, int index, sp_error *err)
{
    binder b = {.launch = l,
                .pass = pass,
                .declared = &l->variant->passes[index],
                .kernel_name = l->variant->passes[index].kernel,
                .err = err,
                .packed = l->packed ? &l->packed->kernels[index] : NULL};
    SP_TRY(count_args(&b));
    if (b.packed && b.packed->n_args != b.n_args)
        return SP_FAIL(err, SP_E_BUILD,
                       "%s: kernel %s has %u arguments, its manifest lists %u; the binary is another one",
                       l->packed->binary, b.packed->name, b.n_args, b.packed->n_args);
    for (cl_uint i = 0; i < b.n_args; i++) {
        arg_info a;
        SP_TRY(get_info(&b, i, &a));
        SP_TRY(bind_one(&b, &a));
    }
    return SP_OK;
}

sp_status sp_launch_set_float(sp_launch *l, const char *name, double value, sp_error *err)
{
    if (!sp_op_has_float(l->call.op, name))
        return SP_OK;
    if (l->library)
        return SP_FAIL(err, SP_E_PLUGIN, "%s: a library cannot be given another \"%s\"", l->variant->id,
                       name);
    sp_call_set_float(&l->call, name, value);
    for (int p = 0; p < l->n_passes; p++) {
        binder b = {.launch = l,
                    .pass = &l->passes[p],
                    .declared = &l->variant->passes[p],
                    .kernel_name = l->variant->passes[p].kernel,
                    .err = err,
                    .packed = l->packed ? &l->packed->kernels[p] : NULL};
        SP_TRY(count_args(&b));
        arg_info a;
        SP_TRY(find_arg(&b, name, &a));
        if (a.index != b.n_args)
            SP_TRY(bind_one(&b, &a));
    }
    return SP_OK;
}
