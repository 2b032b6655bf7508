/* Op contracts. An op is what a step of a schedule does: named buffers, integers, floats and flags, and a C
 * reference that defines its meaning. The table is op_table.inc; kernels and plugins implement entries of it.
 *
 * Buffers hold 4-byte elements. A buffer is rows x cols; where its `bits` flag is set it holds spikes: one
 * bit per element, 32 columns to a uint word, ceildiv(cols, 32) words a row, column c in bit c % 32 of word c
 * / 32, bits past cols zero. Where its `half` flag is set its elements are IEEE binary16, two to a word
 * without padding between rows: storage only, kernels compute in float32. Everything else is float32 unless
 * `type` says otherwise. */
#ifndef SP_OP_OP_H
#define SP_OP_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

enum { SP_OP_MAX_BUFFERS = 14, SP_OP_MAX_INTS = 20, SP_OP_MAX_FLOATS = 10, SP_OP_MAX_FLAGS = 9 };

typedef enum { SP_IN, SP_OUT, SP_INOUT } sp_access;
typedef enum { SP_F32, SP_I32, SP_U32 } sp_type;

typedef struct sp_op_buffer {
    const char *name;
    sp_access access;
    const char *rows, *cols; /* expressions over ints and flags */
    const char *bits;        /* flag name: spikes as bits when set; "1" always; NULL never */
    const char *when;        /* flag expression: the buffer exists; NULL always */
    const char *acc;         /* flag name: an SP_OUT buffer that is added to when set; NULL none */
    const char *half;        /* flag name: elements are binary16 when set; "1" always; NULL never */
    const char *alias; /* name of an input whose memory this output may be, element for element; NULL none */
    sp_type type;
} sp_op_buffer;

typedef struct sp_op sp_op;

/* One use of an op: its shape, settings and flags; no memory. */
typedef struct sp_op_call {
    const sp_op *op;
    int64_t ints[SP_OP_MAX_INTS];    /* order of sp_op.ints */
    double floats[SP_OP_MAX_FLOATS]; /* order of sp_op.floats */
    int flags[SP_OP_MAX_FLAGS];      /* 0 or 1, order of sp_op.flags */
    const char *neuron, *surrogate;  /* fragment names, where the op takes them */
} sp_op_call;

/* buf[i] belongs to op->buffers[i]; NULL when absent. References are written to be read and accumulate in
 * double. */
typedef void (*sp_op_reference)(const sp_op_call *call, void *const *buf);

struct sp_op {
    const char *id;    /* "conv.forward/1": family.pass/revision */
    const char *about; /* one line, with the equation's place in docs/NUMERICS.md */
    sp_op_buffer buffers[SP_OP_MAX_BUFFERS];
    const char *ints[SP_OP_MAX_INTS];
    const char *floats[SP_OP_MAX_FLOATS];
    const char *flags[SP_OP_MAX_FLAGS];
    bool takes_neuron, takes_surrogate;
    sp_op_reference reference;
    const char *flops; /* expression: multiply-adds counted as 2; NULL for data movement */
    double tolerance;  /* max |a - ref| <= tolerance * max(|ref|); 0 = exact */
};

const sp_op *sp_op_find(const char *id); /* "conv.forward/1" or "conv.forward" (newest); NULL when unknown */
size_t sp_op_count(void);
const sp_op *sp_op_at(size_t i);
void sp_op_family(const sp_op *op, char *out, size_t size); /* id without "/rev" */

/* A call with every int, float and flag zero. Setting an unknown name is a programming error (abort with a
 * message). */
sp_op_call sp_op_call_make(const char *id);
void sp_call_set_int(sp_op_call *c, const char *name, int64_t v);
void sp_call_set_float(sp_op_call *c, const char *name, double v);
void sp_call_set_flag(sp_op_call *c, const char *name, int v);
int64_t sp_call_int(const sp_op_call *c, const char *name);
double sp_call_float(const sp_op_call *c, const char *name);
int sp_call_flag(const sp_op_call *c, const char *name);

bool sp_op_has_float(const sp_op *op, const char *name);
bool sp_op_has_flag(const sp_op *op, const char *name);
int sp_op_buffer_index(const sp_op *op, const char *name); /* -1 when there is none */
bool sp_call_has_buffer(const sp_op_call *c, int i);
bool sp_call_buffer_is_bits(const sp_op_call *c, int i);
bool sp_call_buffer_is_half(const sp_op_call *c, int i);
/* Whether products may be, and are by the reference, of factors rounded to bf16: the flag BF16 where the op
 * has it. */
bool sp_call_is_bf16(const sp_op_call *c);
void sp_call_set_bf16(sp_op_call *c, bool on);               /* nothing where the op has no such flag */
sp_access sp_call_buffer_access(const sp_op_call *c, int i); /* acc flag turns SP_OUT into SP_INOUT */
int64_t sp_call_buffer_rows(const sp_op_call *c, int i);
int64_t sp_call_buffer_cols(const sp_op_call *c, int i);
int64_t sp_call_buffer_elems(const sp_op_call *c, int i); /* 4-byte elements, words for bits and halves */

/* What a call costs: multiply-adds counted as 2 (0 where the op moves data), bytes that its buffers are read
 * and written, and work to compare calls by: flops, or elements where an op has none. */
double sp_call_flops(const sp_op_call *call);
double sp_call_bytes(const sp_op_call *call);
double sp_call_work(const sp_op_call *call);

/* sp_expr_lookup over a call: its ints, flags. ctx is the sp_op_call. */
int sp_call_lookup(void *call, const char *name, int64_t *value);

/* Dynamic scalars: ints and floats whose value changes between launches of one step. The executor sets them:
 * "first" (1 at the first time step), "last" (1 at the last), "iteration" (mini-batch number), and the floats
 * "lr", "bias1", "bias2" (1 - beta^n of AdamW). Kernels never bake them. */
bool sp_op_scalar_is_dynamic(const char *name);

/* Which values an integer of an op may have: sizes from 1, what is counted from 0, settings as the references
 * take them. */
void sp_op_int_range(const char *name, int64_t *least, int64_t *most);
/* Output size of a window along 'H' or 'W'; 0: it does not fit. */
int64_t sp_call_window_outputs(const sp_op_call *c, char axis);
/* Whether there can be such a call: each integer in its range, windows that fit with the outputs that follow,
 * groups that divide the channels, buffers of a size that 64 bits can count. SP_E_USAGE says what is wrong.
 */
sp_status sp_call_check(const sp_op_call *c, sp_error *err);

/* "N=128 H=28 ... X_BITS=1" for messages and wisdom keys. */
void sp_call_describe(const sp_op_call *c, char *out, size_t size);

#endif
