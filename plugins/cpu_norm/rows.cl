//@ plugin:    cpu_norm 1.0.0
//@ abi:       1
//@ include:   lanes.clh
//@ all:       device: cpu
//@ all:       score: 50
//@ op:        affine.forward/1
//@ kernel:    affine_forward__rows16
//@ global:    min(M, cu*16)
//@ local:     1
//@ define:    BIAS = 0
//@ about:     a run of rows per work-item, 16 channels at a time
//@ op:        bias.backward/1
//@ kernel:    bias_backward__slots
//@ global:    min(ceildiv(M, 16), SLOTS)
//@ local:     1
//@ kernel:    bias_backward__sum
//@ global:    ceildiv(C, 16)
//@ local:     1
//@ define:    SLOTS = 64
//@ define:    BIAS = 1
//@ workspace: min(ceildiv(M, 16), SLOTS)*C
//@ about:     sums over fixed slots of rows, then over the slots; compensated, because gradients nearly cancel

/* Row-wise kernels: e, x, y: [M][C], channels in the lanes; work: [slot][C]. */
#pragma OPENCL FP_CONTRACT OFF

#if !BIAS
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
affine_forward__rows16(SP_REF(float, x), SP_IN(float, scale), SP_IN(float, shift), SP_IO(float, y), int M,
                       int C)
{
    SP_AT(x); SP_AT(scale); SP_AT(shift); SP_AT(y);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    for (long m = item * M / items; m < (item + 1) * M / items; m++) {
        __global const float *from = x + m * C;
        __global float *to = y + m * C;
        int c = 0;
        for (; c + 16 <= C; c += 16)
            vstore16(fma(vload16(0, scale + c), vload16(0, from + c), vload16(0, shift + c)), 0, to + c);
        for (; c < C; c++)
            to[c] = fma(scale[c], from[c], shift[c]);
    }
}
#else

/* Rows start .. end - 1 of `vectors` (a literal) times 16 channels, of which `lanes` exist; the chains of the compensated sums
 * do not wait for each other. */
SP_INLINE void add_rows(__global const float *e, __global float *work, long start, long end, int C, int lanes, int vectors)
{
    float16 sum[4], lost[4];
    #pragma unroll
    for (int v = 0; v < vectors; v++)
        sum[v] = lost[v] = (float16)(0.0f);
    for (long m = start; m < end; m++)
        #pragma unroll
        for (int v = 0; v < vectors; v++)
            sp_add_lanes(&sum[v], &lost[v], sp_load_lanes(e + m * C + v * 16, lanes));
    #pragma unroll
    for (int v = 0; v < vectors; v++)
        sp_store_lanes(sum[v], work + v * 16, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void bias_backward__slots(SP_IN(float, e), SP_OUT(float, work), int M, int C)
{
    SP_AT(e); SP_AT(work);
    const long slot = (long)get_global_id(0), slots = (long)get_global_size(0);
    const long start = slot * M / slots, end = (slot + 1) * M / slots;
    int c = 0;
    work += slot * C;
    for (; c + 64 <= C; c += 64)
        add_rows(e + c, work + c, start, end, C, 16, 4);
    for (; c + 32 <= C; c += 32)
        add_rows(e + c, work + c, start, end, C, 16, 2);
    for (; c + 16 <= C; c += 16)
        add_rows(e + c, work + c, start, end, C, 16, 1);
    if (c < C)
        add_rows(e + c, work + c, start, end, C, C - c, 1);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void bias_backward__sum(SP_IN(float, work), SP_IO(float, g_bias), int M, int C)
{
    SP_AT(work); SP_AT(g_bias);
    const int c = (int)get_global_id(0) * 16, slots = min((M + 15) / 16, SLOTS);
    float16 sum = sp_load_lanes(g_bias + c, C - c), lost = 0.0f;
    for (int s = 0; s < slots; s++)
        sp_add_lanes(&sum, &lost, sp_load_lanes(work + (ulong)s * (ulong)C + c, C - c));
    sp_store_lanes(sum, g_bias + c, C - c);
}
#endif
