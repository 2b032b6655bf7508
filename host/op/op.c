/* The table of op contracts and the calls made from it. Shapes are expressions over a call's ints and flags;
 * a wrong name is a mistake in our own code and aborts with a message, because no person's input can cause
 * it. */
#include "op/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/expr.h"
#include "base/size.h"
#include "op/references.h"

#define BUFFERS(...)                                                                                         \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define INTS(...)                                                                                            \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define FLOATS(...)                                                                                          \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define FLAGS(...)                                                                                           \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define OP(id_, about_, buffers_, ints_, floats_, flags_, neuron_, surrogate_, reference_, flops_,           \
           tolerance_)                                                                                       \
    {.id = id_,                                                                                              \
     .about = about_,                                                                                        \
     .buffers = buffers_,                                                                                    \
     .ints = ints_,                                                                                          \
     .floats = floats_,                                                                                      \
     .flags = flags_,                                                                                        \
     .takes_neuron = neuron_,                                                                                \
     .takes_surrogate = surrogate_,                                                                          \
     .reference = reference_,                                                                                \
     .flops = flops_,                                                                                        \
     .tolerance = tolerance_},
static const sp_op table[] = {
#include "op/op_table.inc"
};
#undef OP
#undef BUFFERS
#undef INTS
#undef FLOATS
#undef FLAGS

enum { TABLE_SIZE = sizeof table / sizeof table[0] };

static void programming_error(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void programming_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("spikeport: programming error: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

/* Position of name in a list that ends with NULL or after max entries; -1 when it is not there. */
static int index_of(const char *const *names, int max, const char *name)
{
    for (int i = 0; i < max && names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static int must_find(const sp_op_call *c, const char *const *names, int max, const char *kind,
                     const char *name)
{
    int i = index_of(names, max, name);
    if (i < 0)
        programming_error("op %s has no %s named \"%s\"", c->op->id, kind, name);
    return i;
}

size_t sp_op_count(void)
{
    return TABLE_SIZE;
}

const sp_op *sp_op_at(size_t i)
{
    return i < TABLE_SIZE ? &table[i] : NULL;
}

const sp_op *sp_op_find(const char *id)
{
    const sp_op *newest = NULL;
    long newest_revision = -1;
    size_t family = strcspn(id, "/");
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (strcmp(table[i].id, id) == 0)
            return &table[i];
        if (id[family] != '\0' || strncmp(table[i].id, id, family) != 0 || table[i].id[family] != '/')
            continue;
        long revision = strtol(table[i].id + family + 1, NULL, 10);
        if (revision > newest_revision) {
            newest = &table[i];
            newest_revision = revision;
        }
    }
    return newest;
}

void sp_op_family(const sp_op *op, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)strcspn(op->id, "/"), op->id);
}

sp_op_call sp_op_call_make(const char *id)
{
    sp_op_call c = {.op = sp_op_find(id)};
    if (!c.op)
        programming_error("there is no op \"%s\" in op_table.inc", id);
    return c;
}

void sp_call_set_int(sp_op_call *c, const char *name, int64_t v)
{
    c->ints[must_find(c, c->op->ints, SP_OP_MAX_INTS, "int", name)] = v;
}

void sp_call_set_float(sp_op_call *c, const char *name, double v)
{
    c->floats[must_find(c, c->op->floats, SP_OP_MAX_FLOATS, "float", name)] = v;
}

void sp_call_set_flag(sp_op_call *c, const char *name, int v)
{
    c->flags[must_find(c, c->op->flags, SP_OP_MAX_FLAGS, "flag", name)] = v != 0;
}

int64_t sp_call_int(const sp_op_call *c, const char *name)
{
    return c->ints[must_find(c, c->op->ints, SP_OP_MAX_INTS, "int", name)];
}

double sp_call_float(const sp_op_call *c, const char *name)
{
    return c->floats[must_find(c, c->op->floats, SP_OP_MAX_FLOATS, "float", name)];
}

int sp_call_flag(const sp_op_call *c, const char *name)
{
    return c->flags[must_find(c, c->op->flags, SP_OP_MAX_FLAGS, "flag", name)];
}

bool sp_op_has_float(const sp_op *op, const char *name)
{
    for (int i = 0; i < SP_OP_MAX_FLOATS && op->floats[i]; i++)
        if (strcmp(op->floats[i], name) == 0)
            return true;
    return false;
}

int sp_op_buffer_index(const sp_op *op, const char *name)
{
    for (int i = 0; i < SP_OP_MAX_BUFFERS && op->buffers[i].name; i++)
        if (strcmp(op->buffers[i].name, name) == 0)
            return i;
    return -1;
}

static const sp_op_buffer *buffer_at(const sp_op_call *c, int i)
{
    if (i < 0 || i >= SP_OP_MAX_BUFFERS || !c->op->buffers[i].name)
        programming_error("op %s has no buffer %d", c->op->id, i);
    return &c->op->buffers[i];
}

int sp_call_lookup(void *call, const char *name, int64_t *value)
{
    const sp_op_call *c = call;
    int i = index_of(c->op->ints, SP_OP_MAX_INTS, name);
    if (i >= 0) {
        *value = c->ints[i];
        return 0;
    }
    i = index_of(c->op->flags, SP_OP_MAX_FLAGS, name);
    if (i < 0)
        return -1;
    *value = c->flags[i];
    return 0;
}

/* Names in the table are proven by tests/unit/op, so the one thing that can fail here is a shape too large
 * for 64 bits: it counts as INT64_MAX, which every memory limit refuses. */
static int64_t evaluate(const sp_op_call *c, const char *text)
{
    sp_op_call copy = *c; /* the lookup takes a pointer that is not const */
    int64_t value = 0;
    if (sp_expr_eval(text, sp_call_lookup, &copy, &value, NULL) != SP_OK)
        return INT64_MAX;
    return value;
}

bool sp_call_has_buffer(const sp_op_call *c, int i)
{
    const sp_op_buffer *b = buffer_at(c, i);
    return !b->when || evaluate(c, b->when) != 0;
}

bool sp_call_buffer_is_bits(const sp_op_call *c, int i)
{
    const sp_op_buffer *b = buffer_at(c, i);
    return b->bits && (strcmp(b->bits, "1") == 0 || sp_call_flag(c, b->bits));
}

bool sp_call_buffer_is_half(const sp_op_call *c, int i)
{
    const sp_op_buffer *b = buffer_at(c, i);
    return b->half && (strcmp(b->half, "1") == 0 || sp_call_flag(c, b->half));
}

bool sp_op_has_flag(const sp_op *op, const char *name)
{
    return index_of(op->flags, SP_OP_MAX_FLAGS, name) >= 0;
}

bool sp_call_is_bf16(const sp_op_call *c)
{
    return sp_op_has_flag(c->op, "BF16") && sp_call_flag(c, "BF16");
}

void sp_call_set_bf16(sp_op_call *c, bool on)
{
    if (sp_op_has_flag(c->op, "BF16"))
        sp_call_set_flag(c, "BF16", on);
}

sp_access sp_call_buffer_access(const sp_op_call *c, int i)
{
    const sp_op_buffer *b = buffer_at(c, i);
    if (b->access == SP_OUT && b->acc && sp_call_flag(c, b->acc))
        return SP_INOUT;
    return b->access;
}

int64_t sp_call_buffer_rows(const sp_op_call *c, int i)
{
    return evaluate(c, buffer_at(c, i)->rows);
}

int64_t sp_call_buffer_cols(const sp_op_call *c, int i)
{
    return evaluate(c, buffer_at(c, i)->cols);
}

int64_t sp_call_buffer_elems(const sp_op_call *c, int i)
{
    int64_t rows = sp_call_buffer_rows(c, i), cols = sp_call_buffer_cols(c, i);
    if (sp_call_buffer_is_bits(c, i))
        cols = cols / 32 + (cols % 32 != 0);
    int64_t elems;
    if (!SP_SIZE_MUL(&elems, rows, cols))
        return INT64_MAX;
    return sp_call_buffer_is_half(c, i) ? elems / 2 + elems % 2 : elems;
}

double sp_call_bytes(const sp_op_call *call)
{
    double bytes = 0;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && call->op->buffers[i].name; i++)
        if (sp_call_has_buffer(call, i))
            bytes +=
                (double)sp_call_buffer_elems(call, i) * (sp_call_buffer_access(call, i) == SP_INOUT ? 8 : 4);
    return bytes;
}

double sp_call_flops(const sp_op_call *call)
{
    sp_op_call copy = *call;
    int64_t flops = 0;
    bool counted =
        call->op->flops && sp_expr_eval(call->op->flops, sp_call_lookup, &copy, &flops, NULL) == SP_OK;
    return counted ? (double)flops : 0;
}

double sp_call_work(const sp_op_call *call)
{
    double elems = 0;
    if (call->op->flops)
        return sp_call_flops(call);
    for (int i = 0; i < SP_OP_MAX_BUFFERS && call->op->buffers[i].name; i++)
        if (sp_call_has_buffer(call, i))
            elems += (double)sp_call_buffer_elems(call, i);
    return elems;
}

bool sp_op_scalar_is_dynamic(const char *name)
{
    static const char *const names[] = {"first",     "last", "block_start", "time_step",
                                        "iteration", "lr",   "bias1",       "bias2"};
    return index_of(names, sizeof names / sizeof names[0], name) >= 0;
}

/* Appends to out, which holds *used characters; text that does not fit is cut. */
static void append(char *out, size_t size, size_t *used, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void append(char *out, size_t size, size_t *used, const char *fmt, ...)
{
    if (*used >= size)
        return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(out + *used, size - *used, fmt, args);
    va_end(args);
    *used += n > 0 ? (size_t)n : 0;
}

void sp_call_describe(const sp_op_call *c, char *out, size_t size)
{
    const sp_op *op = c->op;
    size_t used = 0;
    append(out, size, &used, "%s", "");
    for (int i = 0; i < SP_OP_MAX_INTS && op->ints[i]; i++)
        if (!sp_op_scalar_is_dynamic(op->ints[i])) /* a key must not change from step to step */
            append(out, size, &used, "%s%s=%lld", used ? " " : "", op->ints[i], (long long)c->ints[i]);
    for (int i = 0; i < SP_OP_MAX_FLAGS && op->flags[i]; i++)
        if (c->flags[i])
            append(out, size, &used, "%s%s=1", used ? " " : "", op->flags[i]);
    if (c->neuron)
        append(out, size, &used, "%sneuron=%s", used ? " " : "", c->neuron);
    if (c->surrogate)
        append(out, size, &used, "%ssurrogate=%s", used ? " " : "", c->surrogate);
}
