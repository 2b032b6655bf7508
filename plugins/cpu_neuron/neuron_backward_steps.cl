//@ plugin:    cpu_neuron 1.0.0
//@ abi:       1
//@ include:   lanes.clh slots.clh norm_args.clh charge.clh pooled.clh norm_slots.clh
//@ all:       device: cpu
//@ all:       score: 50
//@ all:       define: SP_REAL_WIDTH = 16
//@ all:       define: SLOTS = 64
//@ op:        neuron.backward_steps/1
//@ kernel:    neuron_backward_steps__rows16
//@ global:    min(ceildiv(N*H*W, 16), SLOTS)
//@ local:     1
//@ bake:      KH KW
//@ when:      !SUMS && KH == SH && KW == SW && PH == 0 && PW == 0
//@ about:     a slot of rows per work-item; potentials stay in registers, g_s of a window is read where its neurons are
//
//@ op:        neuron.backward_steps/1
//@ kernel:    neuron_backward_steps__slots
//@ global:    min(ceildiv(N*H*W, 16), SLOTS)
//@ local:     1
//@ kernel:    neuron_backward_steps__combine
//@ global:    ceildiv(C, 16)
//@ local:     1
//@ bake:      KH KW
//@ when:      SUMS && KH == SH && KW == SW && PH == 0 && PW == 0
//@ workspace: min(ceildiv(N*H*W, 16), SLOTS)*2*C
//@ about:     the same, with sums per slot of rows, then over the slots

/* u[1] = charge(v_reset, x); u[t + 1] = charge(reset(u[t]), x); g_x is the sum of the gradients through all u[t], from t = 1 on. g_y:
 * [steps][N HO WO][C]; work: [slot][2][C]. */
#pragma OPENCL FP_CONTRACT OFF

#if NORM
#define CURRENT(x) fma(scale, x, shift)
#else
#define CURRENT(x) (x)
#endif

typedef struct {
    __global const float *x, *scale, *shift, *mean, *rstd;
    __global float *g_x;
    ulong part; /* elements of g_y of a time step */
    int steps;
} maps;

/* The error of a time step goes through u, not yet divided by the size of a window; u goes one time step on. */
#define GO_BACK(u, sum, w) sum = fma(window_lanes(r, w, C, c, lanes), surrogate_grad(u - (float16)(p.v_th), width), sum)
#define GO_ON(u, in)       u = neuron_charge(reset_of(u, p), in, p)

/* g_x of 16 neurons of pixels w_0 and w_1 of a row, of which `lanes` exist. Side by side, because each waits for itself most of the
 * time. */
SP_INLINE void all_steps(pooled_row r, int w_0, int w_1, float16 in_0, float16 in_1, float16 *g_0, float16 *g_1, maps a, int C, int c,
                         int lanes, float width, neuron_args p)
{
    float16 u_0 = neuron_charge((float16)(p.v_reset), in_0, p), u_1 = neuron_charge((float16)(p.v_reset), in_1, p);
    float16 sum_0 = 0.0f, sum_1 = 0.0f;
    for (int t = 0; t < a.steps; t++, r.g_y += a.part) {
        GO_BACK(u_0, sum_0, w_0);
        GO_BACK(u_1, sum_1, w_1);
        GO_ON(u_0, in_0);
        GO_ON(u_1, in_1);
    }
    *g_0 = sum_0 * (neuron_d_charge_d_x(p) * POOL_PART);
    *g_1 = sum_1 * (neuron_d_charge_d_x(p) * POOL_PART);
}

/* Rows `first` .. first + rows - 1 of g_s, from channel c on, `vectors` (a literal) times 16 channels, of which `lanes` exist; their
 * sums go on in registers. */
SP_INLINE void block(pooled_row r, int first, maps a, ulong at, int rows, int C, int c, int lanes, int vectors, __global float *sums,
                     float width, neuron_args p)
{
    at += (ulong)c;
    for (int v = 0; v < vectors; v++, c += 16, at += 16) {
#if NORM
        const float16 scale = sp_load_lanes(a.scale + c, lanes), shift = sp_load_lanes(a.shift + c, lanes);
#endif
#if SUMS
        const float16 mu = sp_load_lanes(a.mean + c, lanes), rstd = sp_load_lanes(a.rstd + c, lanes);
        float16 sum_g = sp_load_lanes(sums + c, lanes), sum_gx = sp_load_lanes(sums + C + c, lanes);
#endif
        for (int m = 0; m < rows; m += 2) {
            const int second = m + 1 < rows, w = first + m;
            const ulong i = at + (ulong)m * (ulong)C, k = i + (ulong)second * (ulong)C;
            const float16 x_0 = sp_load_lanes(a.x + i, lanes), x_1 = sp_load_lanes(a.x + k, lanes);
            float16 g_0, g_1;
            all_steps(r, w, w + second, CURRENT(x_0), CURRENT(x_1), &g_0, &g_1, a, C, c, lanes, width, p);
            sp_store_lanes(g_0, a.g_x + i, lanes);
            if (second)
                sp_store_lanes(g_1, a.g_x + k, lanes);
#if SUMS
            sum_g += g_0;
            sum_gx = fma(g_0, (x_0 - mu) * rstd, sum_gx);
            if (second) {
                sum_g += g_1;
                sum_gx = fma(g_1, (x_1 - mu) * rstd, sum_gx);
            }
#endif
        }
#if SUMS
        store_sums(sum_g, sums + c, lanes);
        store_sums(sum_gx, sums + C + c, lanes);
#endif
    }
}

#if SUMS
#define KERNEL    neuron_backward_steps__slots
#define SUMS_ARGS SP_IN(float, mean), SP_IN(float, rstd),
#define WORK_ARG  SP_IO(float, work),
#else
#define KERNEL neuron_backward_steps__rows16
#define SUMS_ARGS
#define WORK_ARG
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
KERNEL(SP_IN(float, x), NORM_ARGS SP_IN(float, g_y), SUMS_ARGS SP_IO(float, g_x), WORK_ARG int N, int H, int W, int C, int HO, int WO,
       int steps, float decay, float x_gain, float v_th, float v_reset, float width)
{
    SP_AT(x); NORM_START SP_AT(g_y); SP_AT(g_x);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const int slot = (int)get_global_id(0), slots = (int)get_global_size(0), all = N * H * W;
    const int start = slot_start(slot, slots, all), end = slot_start(slot + 1, slots, all);
    maps a = {.x = x, .g_x = g_x, .part = (ulong)N * HO * WO * (ulong)C, .steps = steps};
#if NORM
    a.scale = scale, a.shift = shift;
#endif
#if SUMS
    SP_AT(mean); SP_AT(rstd); SP_AT(work);
    a.mean = mean, a.rstd = rstd;
    __global float *sums = work + (ulong)slot * 2 * (ulong)C;
    for (int c = 0; c < 2 * C; c++)
        sums[c] = 0.0f;
#else
    __global float *sums = g_x; /* not used */
#endif
    for (int m = start, rows; m < end; m += rows) {
        const int row = m / W, first = m - row * W;
        const pooled_row r = pooled_row_of(g_y, row, H, C, HO, WO);
        rows = min(W - first, end - m);
#define BLOCK(i, at, rows, c, lanes, vectors) block(r, first + (i), a, at, rows, C, c, lanes, vectors, sums, width, p)
        WALK_ROWS(BLOCK, m, rows)
    }
}

#if SUMS
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_backward_steps__combine(SP_IN(float, work), SP_OUT(float, sums), SP_IO(float, g_gamma), SP_IO(float, g_beta), int N, int H,
                               int W, int C)
{
    SP_AT(work); SP_AT(sums); SP_AT(g_gamma); SP_AT(g_beta);
    add_slots(work, sums, g_gamma, g_beta, (int)get_global_id(0) * 16, C, min((N * H * W + 15) / 16, SLOTS));
}
#endif
