//@ plugin: cpu_elementwise 1.0.0
//@ abi:    1
//@ include: lanes.clh
//@ all:    device: cpu
//@ all:    score: 50
//@ op:     residual.forward/1
//@ kernel: residual_forward__strips
//@ global: cu*16
//@ local:  1
//@ define: RESIDUAL = 1
//@ when:   ID_BITS
//@ about:  16 lanes over a strip per work-item
//@ op:     scale/1
//@ kernel: scale__strips
//@ global: cu*16
//@ local:  1
//@ define: SCALE = 1
//@ about:  16 lanes over a strip per work-item
//@ op:     spikes.unpack/1
//@ kernel: spikes_unpack__strips
//@ global: cu*16
//@ local:  1
//@ define: UNPACK = 1
//@ about:  16 lanes over a strip per work-item
//@ op:     spikes.mean/1
//@ kernel: spikes_mean__strips
//@ global: cu*16
//@ local:  1
//@ define: MEAN = 1
//@ about:  16 lanes over a strip per work-item
//@ op:     trace.update/1
//@ kernel: trace_update__strips
//@ global: cu*16
//@ local:  1
//@ define: TRACE = 1
//@ about:  16 lanes over a strip per work-item
//@ op:     mean.accumulate/1
//@ kernel: mean_accumulate__strips
//@ global: cu*16
//@ local:  1
//@ define: SUM = 1
//@ about:  16 lanes over a strip per work-item
//@ op:     fill/1
//@ kernel: fill__strips
//@ global: cu*16
//@ local:  1
//@ define: FILL = 1
//@ about:  16 lanes over a strip per work-item
//@ op:     dropout.apply/1
//@ kernel: dropout_apply__strips
//@ global: cu*16
//@ local:  1
//@ define: DROPOUT = 1
//@ about:  16 lanes over a strip per work-item

/* Elementwise ops on [M][C]: a work-item (one per group) walks a strip, 16 elements at a time. Where an
 * operand is bits and a row does not fill its words, the strips are rows; else rows do not matter. One op
 * is compiled at a time. */
#pragma OPENCL FP_CONTRACT OFF

/* 16 elements: `i` counts them, `piece` halves of words. */
#if X_BITS || RESIDUAL || UNPACK || MEAN
#define LOAD_X(p, i, piece, lanes) sp_spread_bits((p)[(piece) >> 1] >> ((piece) & 1) * 16, 1.0f)
#define BITS 1
#else
#define LOAD_X(p, i, piece, lanes) sp_load_lanes((p) + (i), lanes)
#define BITS 0
#endif
#if DROPOUT
#undef BITS
#define BITS 1
#endif

/* ELEMENTS(i, piece, lanes) for all elements of this work-item. */
#define STRIPS                                                                                               \
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);                              \
    if (!BITS || C % 32 == 0) {                                                                              \
        const long n = (long)M * C, words = (n + 31) / 32;                                                   \
        const long end = min((item + 1) * words / items * 32, n);                                            \
        long i = item * words / items * 32;                                                                  \
        for (; i + 16 <= end; i += 16)                                                                       \
            ELEMENTS(i, i / 16, 16);                                                                         \
        if (i < end)                                                                                         \
            ELEMENTS(i, i / 16, (int)(end - i));                                                             \
    } else {                                                                                                 \
        for (long m = item * M / items; m < (item + 1) * M / items; m++) {                                   \
            const long row = m * C;                                                                          \
            int c = 0;                                                                                       \
            for (; c + 16 <= C; c += 16)                                                                     \
                ELEMENTS(row + c, m * SP_WORDS(C) * 2 + c / 16, 16);                                         \
            if (c < C)                                                                                       \
                ELEMENTS(row + c, m * SP_WORDS(C) * 2 + c / 16, C - c);                                      \
        }                                                                                                    \
    }

#if RESIDUAL
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void residual_forward__strips(SP_REF(float, branch), SP_IN(uint, identity),
#if GAIN
                              SP_IN(float, gain),
#endif
                              SP_IO(float, y), int M, int C, float alpha)
{
    SP_AT(branch); SP_AT(identity); SP_AT(y);
#if GAIN
    SP_AT(gain);
    const float factor = alpha * gain[0];
#else
    const float factor = alpha;
#endif
#define ELEMENTS(i, piece, lanes)                                                                            \
    sp_store_lanes(factor * sp_load_lanes(branch + (i), lanes) + LOAD_X(identity, i, piece, lanes), y + (i), lanes)
    STRIPS
}
#endif

#if SCALE
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void scale__strips(SP_REF(sp_x, x), SP_IO(float, y), int M, int C, float factor)
{
    SP_AT(x); SP_AT(y);
#define ELEMENTS(i, piece, lanes) sp_store_lanes(factor * LOAD_X(x, i, piece, lanes), y + (i), lanes)
    STRIPS
}
#endif

#if UNPACK
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void spikes_unpack__strips(SP_IN(uint, x), SP_OUT(float, y), int M, int C)
{
    SP_AT(x); SP_AT(y);
#define ELEMENTS(i, piece, lanes) sp_store_lanes(LOAD_X(x, i, piece, lanes), y + (i), lanes)
    STRIPS
}
#endif

#if MEAN
SP_INLINE float16 mean_of(__global const uint *count, ulong digit, int half_, int P, float share)
{
    float16 n = (float16)(0.0f);
    float worth = 1.0f;
    for (int p = 0; p < P; p++, count += digit, worth += worth)
        n += sp_spread_bits(*count >> half_ * 16, worth);
    return share * n;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void spikes_mean__strips(SP_IN(uint, count), SP_OUT(float, y), int M, int C, int P, float share)
{
    SP_AT(count); SP_AT(y);
    const ulong digit = (ulong)M * (ulong)SP_WORDS(C);
#define ELEMENTS(i, piece, lanes)                                                                            \
    sp_store_lanes(mean_of(count + ((piece) >> 1), digit, (int)((piece) & 1), P, share), y + (i), lanes)
    STRIPS
}
#endif

#if FILL
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void fill__strips(SP_OUT(float, y), int M, float value)
{
    SP_AT(y);
    const int C = 1;
#define ELEMENTS(i, piece, lanes) sp_store_lanes((float16)(value), y + (i), lanes)
    STRIPS
}
#endif

#if TRACE
/* With first (a constant of the loop) the trace is not read. */
SP_INLINE float16 trace_of(float16 in, __global const float *trace, int lanes, int first, float decay)
{
    if (first)
        return in;
    return fma((float16)(decay), sp_load_lanes(trace, lanes), in);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void trace_update__strips(SP_IN(sp_x, x), SP_IO(float, trace), int M, int C, int first, float decay)
{
    SP_AT(x); SP_AT(trace);
#define ELEMENTS(i, piece, lanes)                                                                            \
    sp_store_lanes(trace_of(LOAD_X(x, i, piece, lanes), trace + (i), lanes, first, decay), trace + (i), lanes)
    STRIPS
}
#endif

#if SUM
/* With block_start (a constant of the loop) the sum is not read. */
SP_INLINE float16 sum_of(float16 in, __global const float *mean, int lanes, int block_start, float share)
{
    return block_start ? share * in : sp_load_lanes(mean, lanes) + share * in;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void mean_accumulate__strips(SP_IN(sp_x, x), SP_IO(float, mean), int M, int C, int block_start, float share)
{
    SP_AT(x); SP_AT(mean);
#define ELEMENTS(i, piece, lanes)                                                                            \
    sp_store_lanes(sum_of(LOAD_X(x, i, piece, lanes), mean + (i), lanes, block_start, share), mean + (i), lanes)
    STRIPS
}
#endif

#if DROPOUT
/* Chosen, not multiplied: what is dropped may be infinite. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void dropout_apply__strips(SP_REF(sp_x, x), SP_IN(uint, mask), SP_IO(float, y), int M, int C, float p)
{
    SP_AT(x); SP_AT(mask); SP_AT(y);
#define KEPT(piece) (sp_spread_bits(mask[(piece) >> 1] >> ((piece) & 1) * 16, 1.0f) > (float16)(0.0f))
#define ELEMENTS(i, piece, lanes)                                                                            \
    sp_store_lanes(select((float16)(0.0f), LOAD_X(x, i, piece, lanes) / (1.0f - p), KEPT(piece)), y + (i), lanes)
    STRIPS
}
#endif
