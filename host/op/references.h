/* The C references of all ops, declared from op_table.inc so that table and prototypes cannot part, and the
 * few helpers they share. A reference defines the meaning of its op: it is written to be read, accumulates in
 * double, and takes its buffers in the order of the contract (NULL where a buffer is absent). */
#ifndef SP_OP_REFERENCES_H
#define SP_OP_REFERENCES_H

#include "op/half.h"
#include "op/op.h"

#define OP(id, about, buffers, ints, floats, flags, neuron, surrogate, reference, flops, tolerance)          \
    void reference(const sp_op_call *call, void *const *buf);
#include "op/op_table.inc"
#undef OP

/* 4-byte words in a row of spikes. */
static inline int64_t ref_words(int64_t cols)
{
    return (cols + 31) / 32;
}

/* One spike of a buffer of bits, as 0 or 1. */
static inline unsigned ref_bit(const void *rows, int64_t row, int64_t col, int64_t cols)
{
    const uint32_t *words = rows;
    return (words[row * ref_words(cols) + col / 32] >> (col % 32)) & 1u;
}

/* One element of a buffer that is bits where its flag is set, else float32. */
static inline double ref_value(const void *x, int bits, int64_t row, int64_t col, int64_t cols)
{
    if (bits)
        return ref_bit(x, row, col, cols);
    return (double)((const float *)x)[row * cols + col];
}

/* One element of a buffer that is half where its flag is set, else float32. */
static inline float ref_stored(const void *x, int half, int64_t i)
{
    return half ? sp_half_to_float(((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

/* A factor of a product: rounded with the flag BF16. */
static inline double ref_factor(double x, int bf16)
{
    return bf16 ? (double)sp_bf16_round((float)x) : x;
}

static inline void ref_store(void *x, int half, int64_t i, float v)
{
    if (half)
        ((uint16_t *)x)[i] = sp_half_from_float(v);
    else
        ((float *)x)[i] = v;
}

#endif
