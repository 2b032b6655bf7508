//@ plugin:    cpu_neuron 1.0.0
//@ abi:       1
//@ include:   lanes.clh slots.clh carry.clh backward_step.clh pooled.clh norm_slots.clh
//@ all:       device: cpu
//@ all:       score: 50
//@ all:       define: SLOTS = 64
//@ all:       define: SP_REAL_WIDTH = 16
//@ op:        neuron.backward_norm/1
//@ kernel:    neuron_backward_norm__slots
//@ global:    min(ceildiv(M, 16), SLOTS)
//@ local:     1
//@ kernel:    neuron_backward_norm__combine
//@ global:    ceildiv(C, 16)
//@ local:     1
//@ define:    POOL = 0
//@ define:    KH = 1
//@ define:    KW = 1
//@ workspace: min(ceildiv(M, 16), SLOTS)*2*C
//@ about:     sums per slot of rows, in registers (64 channels at most) or the first cache, then over the slots
//
//@ op:        neuron.backward_pool/1
//@ kernel:    neuron_backward_pool__slots
//@ global:    min(ceildiv(N*H*W, 16), SLOTS)
//@ local:     1
//@ kernel:    neuron_backward_pool__combine
//@ global:    ceildiv(C, 16)
//@ local:     1
//@ define:    POOL = 1
//@ bake:      KH KW
//@ when:      KH == SH && KW == SW && PH == 0 && PW == 0
//@ workspace: min(ceildiv(N*H*W, 16), SLOTS)*2*C
//@ about:     the same; g_s of a window is read where its neurons are

/* neuron.backward (neuron_backward.cl) on the rows of a slot, whose bounds are fixed; the sums of g_x and
 * g_x xhat lie in work: [slot][2][C]. Rows are walked as they lie in memory. */
#pragma OPENCL FP_CONTRACT OFF

#if POOL
#define SLOTS_KERNEL   neuron_backward_pool__slots
#define COMBINE_KERNEL neuron_backward_pool__combine
#define ROWS_ARGS      int N, int H, int W, int C, int HO, int WO
#define COMBINE_ARGS   int N, int H, int W, int C
#define ROWS           (N * H * W)
#else
#define SLOTS_KERNEL   neuron_backward_norm__slots
#define COMBINE_KERNEL neuron_backward_norm__combine
#define ROWS_ARGS      int M, int C
#define COMBINE_ARGS   ROWS_ARGS
#define ROWS           M
#endif

typedef struct {
    __global const sp_u *u;
    __global const sp_xh *x;
    __global float *carry, *g_x;
} maps;

/* One row of 16 channels, of which `lanes` exist; adds to the sums. */
SP_INLINE void add_row(float16 g_s, maps a, ulong at, int lanes, float16 mu, float16 r, float16 *sum_g, float16 *sum_gx,
                       int last, float width, neuron_args p)
{
    const float16 xhat = (sp_load_lanes_x(a.x + at, lanes) - mu) * r;
    const float16 g = step(g_s, a.u + at, a.carry + at, lanes, last, width, p);
    sp_store_lanes(g, a.g_x + at, lanes);
    *sum_g += g;
    *sum_gx = fma(g, xhat, *sum_gx);
}

/* Rows first .. first + rows - 1 of g_s, from channel c on, `vectors` (a literal) times 16 channels, of which `lanes` exist; their
 * sums go on in registers. */
SP_INLINE void block(pooled_row g_s, int first, maps a, ulong at, int rows, int C, int c, int lanes, int vectors,
                     __global const float *mean, __global const float *rstd, __global float *sums, int last, float width,
                     neuron_args p)
{
    float16 mu[4], r[4], sum_g[4], sum_gx[4];
    for (int v = 0; v < vectors; v++) {
        mu[v] = sp_load_lanes(mean + c + v * 16, lanes);
        r[v] = sp_load_lanes(rstd + c + v * 16, lanes);
        sum_g[v] = sp_load_lanes(sums + c + v * 16, lanes);
        sum_gx[v] = sp_load_lanes(sums + C + c + v * 16, lanes);
    }
    at += (ulong)c;
    for (int m = 0; m < rows; m++, at += (ulong)C)
        for (int v = 0; v < vectors; v++)
            add_row(pooled_lanes(g_s, first + m, C, c + v * 16, lanes), a, at + v * 16, lanes, mu[v], r[v], &sum_g[v],
                    &sum_gx[v], last, width, p);
    for (int v = 0; v < vectors; v++) {
        store_sums(sum_g[v], sums + c + v * 16, lanes);
        store_sums(sum_gx[v], sums + C + c + v * 16, lanes);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
SLOTS_KERNEL(
#if POOL
             SP_IN(float, g_y),
#else
             SP_REF(float, g_s),
#endif
             SP_IN(sp_u, u), SP_IN(sp_xh, x), SP_IN(float, mean), SP_IN(float, rstd),
             CARRY_ARGS SP_IO(float, g_x), SP_IO(float, work), ROWS_ARGS, float decay, float x_gain, float v_th, float v_reset, float width)
{
#if POOL
    SP_AT(g_y);
#else
    SP_AT(g_s);
#endif
    SP_AT_U(u); SP_AT_XH(x); SP_AT(mean); SP_AT(rstd); SP_AT(g_x); SP_AT(work);
    CARRY_START
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const maps a = {u, x, carry, g_x};
    const int slot = (int)get_global_id(0), slots = (int)get_global_size(0);
    const int start = slot_start(slot, slots, ROWS), end = slot_start(slot + 1, slots, ROWS);
    work += (ulong)slot * 2 * (ulong)C;
    for (int c = 0; c < 2 * C; c++)
        work[c] = 0.0f;
    for (int m = start, rows; m < end; m += rows) {
#if POOL
        const int row = m / W, first = m - row * W, whole = min(W - first, end - m);
        const pooled_row g = pooled_row_of(g_y, row, H, C, HO, WO);
#else
        const int first = m, whole = end - m;
        const pooled_row g = {g_s, M};
#endif
        rows = whole;
#define BLOCK(i, at, rows, c, lanes, vectors) block(g, first + (i), a, at, rows, C, c, lanes, vectors, mean, rstd, work, last, width, p)
        WALK_ROWS(BLOCK, m, whole)
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
COMBINE_KERNEL(SP_IN(float, work), SP_OUT(float, sums), SP_IO(float, g_gamma), SP_IO(float, g_beta), COMBINE_ARGS)
{
    SP_AT(work); SP_AT(sums); SP_AT(g_gamma); SP_AT(g_beta);
    add_slots(work, sums, g_gamma, g_beta, (int)get_global_id(0) * 16, C, min((ROWS + 15) / 16, SLOTS));
}
