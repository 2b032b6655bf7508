//@ plugin: cpu_elementwise 1.0.0
//@ abi:    1
//@ include: lanes.clh unpack.clh
//@ all:    device: cpu
//@ all:    score: 50
//@ op:     concat.forward/1
//@ kernel: concat_forward__rows
//@ global: min(M, cu*16)
//@ local:  1
//@ define: BACKWARD = 0
//@ about:  a run of rows per work-item, 16 lanes at a time
//@ op:     concat.backward/1
//@ kernel: concat_backward__rows
//@ global: min(M, cu*16)
//@ local:  1
//@ define: BACKWARD = 1
//@ about:  a run of rows per work-item, 16 lanes at a time

/* A row of cols elements; `from` is spikes where bits is set. */
SP_INLINE void copy_row(__global const void *from, __global float *to, long row, int cols, int bits)
{
    __global const float *values = (__global const float *)from + row * cols;
    int c = 0;
    if (bits) {
        sp_unpack_row((__global const uint *)from + row * SP_WORDS(cols), to, cols);
        return;
    }
    for (; c + 16 <= cols; c += 16)
        vstore16(vload16(0, values + c), 0, to + c);
    for (; c < cols; c++)
        to[c] = values[c];
}

/* ROW(m) for this work-item's rows. */
#define ROWS                                                                                                 \
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);                              \
    for (long m = item * M / items; m < (item + 1) * M / items; m++)                                         \
        ROW(m)

#if !BACKWARD
#if A_BITS
typedef uint a_type;
#else
typedef float a_type;
#endif
#if B_BITS
typedef uint b_type;
#else
typedef float b_type;
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void concat_forward__rows(SP_IN(a_type, a), SP_IN(b_type, b), SP_OUT(float, y), int M, int A, int B)
{
    SP_AT(a); SP_AT(b); SP_AT(y);
#define ROW(m) {                                                                                             \
        copy_row(a, y + m * (A + B), m, A, A_BITS);                                                          \
        copy_row(b, y + m * (A + B) + A, m, B, B_BITS); }
    ROWS
}
#else

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void concat_backward__rows(SP_IN(float, g), SP_OUT(float, g_a), SP_OUT(float, g_b), int M, int A, int B)
{
    SP_AT(g); SP_AT(g_a); SP_AT(g_b);
#define ROW(m) {                                                                                             \
        copy_row(g + m * (A + B), g_a + m * A, 0, A, 0);                                                     \
        copy_row(g + m * (A + B) + A, g_b + m * B, 0, B, 0); }
    ROWS
}
#endif
