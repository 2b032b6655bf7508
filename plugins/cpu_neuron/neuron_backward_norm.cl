//@ plugin:    cpu_neuron 1.0.0
//@ abi:       1
//@ include:   lanes.clh slots.clh backward_step.clh
//@ op:        neuron.backward_norm/1
//@ kernel:    neuron_backward_norm__slots
//@ global:    min(ceildiv(M, 16), SLOTS)
//@ local:     1
//@ kernel:    neuron_backward_norm__combine
//@ global:    ceildiv(C, 16)
//@ local:     1
//@ define:    SLOTS = 64
//@ define:    SP_REAL_WIDTH = 16
//@ workspace: min(ceildiv(M, 16), SLOTS)*2*C
//@ device:    cpu
//@ score:     50
//@ about:     sums per slot of rows, in registers (64 channels at most) or the first cache, then over the slots

/* neuron.backward (neuron_backward.cl) on the rows of a slot, whose bounds are fixed; the sums of g_x and
 * g_x xhat lie in work: [slot][2][C]. Rows are walked as they lie in memory. */
#pragma OPENCL FP_CONTRACT OFF

SP_INLINE void store_sums(float16 v, __global float *p, int lanes)
{
    if (lanes >= 16)
        SP_STORE16(__global, v, p);
    else
        sp_store_lanes(v, p, lanes);
}

typedef struct {
    __global const float *g_s;
    __global const sp_u *u;
    __global const sp_xh *x;
    __global float *carry, *g_x;
} maps;

/* One row of 16 channels, of which `lanes` exist; adds to the sums. */
SP_INLINE void add_row(maps a, ulong at, int lanes, float16 mu, float16 r, float16 *sum_g, float16 *sum_gx, int last,
                       float width, neuron_args p)
{
    const float16 xhat = (sp_load_lanes_x(a.x + at, lanes) - mu) * r;
    const float16 g = step(a.g_s + at, a.u + at, a.carry + at, a.g_x + at, lanes, last, width, p);
    *sum_g += g;
    *sum_gx = fma(g, xhat, *sum_gx);
}

/* Rows of `vectors` (a literal) times 16 channels, of which `lanes` exist; their sums go on in registers. */
SP_INLINE void block(maps a, ulong at, int rows, int C, int lanes, int vectors, __global const float *mean,
                     __global const float *rstd, __global float *sums, int last, float width, neuron_args p)
{
    float16 mu[4], r[4], sum_g[4], sum_gx[4];
    for (int v = 0; v < vectors; v++) {
        mu[v] = sp_load_lanes(mean + v * 16, lanes);
        r[v] = sp_load_lanes(rstd + v * 16, lanes);
        sum_g[v] = sp_load_lanes(sums + v * 16, lanes);
        sum_gx[v] = sp_load_lanes(sums + C + v * 16, lanes);
    }
    for (int m = 0; m < rows; m++, at += (ulong)C)
        for (int v = 0; v < vectors; v++)
            add_row(a, at + v * 16, lanes, mu[v], r[v], &sum_g[v], &sum_gx[v], last, width, p);
    for (int v = 0; v < vectors; v++) {
        store_sums(sum_g[v], sums + v * 16, lanes);
        store_sums(sum_gx[v], sums + C + v * 16, lanes);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_backward_norm__slots(SP_REF(float, g_s), SP_IN(sp_u, u), SP_IN(sp_xh, x), SP_IN(float, mean),
                            SP_IN(float, rstd),
#if TEMPORAL
                            SP_IO(float, carry), int last,
#endif
                            SP_IO(float, g_x), SP_IO(float, work), int M, int C, float decay, float x_gain,
                            float v_th, float v_reset, float width)
{
    SP_AT(g_s); SP_AT_U(u); SP_AT_XH(x); SP_AT(mean); SP_AT(rstd); SP_AT(g_x); SP_AT(work);
#if TEMPORAL
    SP_AT(carry);
#else
    __global float *carry = g_x;
    const int last = 1;
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const maps a = {g_s, u, x, carry, g_x};
    const int slot = (int)get_global_id(0), slots = (int)get_global_size(0);
    const int start = slot_start(slot, slots, M), rows = slot_start(slot + 1, slots, M) - start;
    ulong at = (ulong)start * (ulong)C;
    work += (ulong)slot * 2 * (ulong)C;
    for (int c = 0; c < 2 * C; c++)
        work[c] = 0.0f;
    /* Sums of up to 64 channels stay in registers over all rows. Wider rows are walked as they lie in memory, which prefetchers
     * follow, with their sums in the first cache: blocks of 64 channels over many rows take 2.5 times as long at 512. */
    const int together = C <= 64 ? rows : 1;
    for (int m = 0; m < rows; m += together, at += (ulong)C) {
        int c = 0;
        for (; c + 64 <= C; c += 64)
            block(a, at + c, together, C, 16, 4, mean + c, rstd + c, work + c, last, width, p);
        for (; c + 32 <= C; c += 32)
            block(a, at + c, together, C, 16, 2, mean + c, rstd + c, work + c, last, width, p);
        for (; c + 16 <= C; c += 16)
            block(a, at + c, together, C, 16, 1, mean + c, rstd + c, work + c, last, width, p);
        if (c < C)
            block(a, at + c, together, C, C - c, 1, mean + c, rstd + c, work + c, last, width, p);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_backward_norm__combine(SP_IN(float, work), SP_OUT(float, sums), SP_IO(float, g_gamma),
                              SP_IO(float, g_beta), int M, int C)
{
    SP_AT(work); SP_AT(sums); SP_AT(g_gamma); SP_AT(g_beta);
    const int c = (int)get_global_id(0) * 16, lanes = C - c, slots = min((M + 15) / 16, SLOTS);
    float16 sum_g = 0.0f, sum_gx = 0.0f;
    __global const float *p = work + c;
    for (int s = 0; s < slots; s++, p += 2 * (ulong)C) {
        sum_g += sp_load_lanes(p, lanes);
        sum_gx += sp_load_lanes(p + C, lanes);
    }
    sp_store_lanes(sum_g, sums + c, lanes);
    sp_store_lanes(sum_gx, sums + C + c, lanes);
    sp_store_lanes(sp_load_lanes(g_beta + c, lanes) + sum_g, g_beta + c, lanes);
    sp_store_lanes(sp_load_lanes(g_gamma + c, lanes) + sum_gx, g_gamma + c, lanes);
}
