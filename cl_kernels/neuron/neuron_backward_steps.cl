//@ plugin:    reference 1.0.0
//@ abi:       1
//@ include:   norm_args.clh row_groups.clh carry.clh neuron_back.clh pool_back.clh
//@ all:       score: 0
//@ all:       define: TEMPORAL = 0
//@ all:       define: DETACH = 0
//@ op:        neuron.backward_steps/1
//@ kernel:    neuron_backward_steps__naive
//@ global:    C, min(256, ceildiv(N*H*W, 64))
//@ when:      !SUMS
//@ about:     one work-item takes a channel of a group of rows
//
//@ op:        neuron.backward_steps/1
//@ kernel:    neuron_backward_steps__naive_sums
//@ global:    C, min(256, ceildiv(N*H*W, 64))
//@ kernel:    neuron_backward_steps__naive_combine
//@ global:    C
//@ workspace: 2 * C * min(256, ceildiv(N*H*W, 64))
//@ when:      SUMS
//@ about:     the same, with sums of g_x and g_x xhat per group of rows, then per channel
//
// u[1] = charge(v_reset, x); u[t + 1] = charge(reset(u[t]), x); g_x is the sum of the gradients through all u[t]. g_y:
// [steps][N][HO][WO][C]; work: [2][groups][C].
#pragma OPENCL FP_CONTRACT OFF

#if SUMS
#define KERNEL    neuron_backward_steps__naive_sums
#define SUMS_ARGS SP_IN(float, mean), SP_IN(float, rstd),
#define WORK_ARG  SP_OUT(float, work),
#else
#define KERNEL neuron_backward_steps__naive
#define SUMS_ARGS
#define WORK_ARG
#endif
#define ROWS (N * H * W)

__kernel void KERNEL(SP_IN(float, x), NORM_ARGS SP_IN(float, g_y), SUMS_ARGS SP_IO(float, g_x), WORK_ARG int N,
                     int H, int W, int C, int KH, int KW, int SH, int SW, int PH, int PW, int HO, int WO,
                     int steps, float decay, float x_gain, float v_th, float v_reset, float width)
{
    SP_AT(x);
    NORM_START
    SP_AT(g_y);
    SP_AT(g_x);
#if SUMS
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(work);
    float sum_g = 0.0f, sum_gxhat = 0.0f;
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const ulong c = get_global_id(0), columns = (ulong)C, part = (ulong)N * HO * WO * columns;
    const int group = (int)get_global_id(1), end = group_start(group + 1, ROWS);

    for (int m = group_start(group, ROWS); m < end; m++) {
        const ulong i = (ulong)m * columns + c;
        const float in = NORM_CURRENT(c, x[i]);
        float u = neuron_charge(v_reset, in, p), g = 0.0f;
        for (int t = 0; t < steps; t++) {
            const float g_s = behind_pool(g_y + t * part, m / W, m % W, (int)c, H, C, KH, KW, SH, SW, PH, PW, HO, WO);
            const float more = behind_neuron(g_s, u, g_x, 1, width, p);
            g = t > 0 ? g + more : more;
            u = neuron_charge(neuron_reset(u, u >= v_th ? 1.0f : 0.0f, p), in, p);
        }
        g_x[i] = g;
#if SUMS
        sum_g += g;
        sum_gxhat += g * ((x[i] - mean[c]) * rstd[c]);
#endif
    }
#if SUMS
    const ulong at = (ulong)group * columns + c;
    work[at] = sum_g;
    work[(ulong)ROW_GROUPS(ROWS) * columns + at] = sum_gxhat;
#endif
}

#if SUMS
__kernel void neuron_backward_steps__naive_combine(SP_IN(float, work), SP_OUT(float, sums), SP_IO(float, g_gamma),
                                                   SP_IO(float, g_beta), int N, int H, int W, int C)
{
    SP_AT(work);
    SP_AT(sums);
    SP_AT(g_gamma);
    SP_AT(g_beta);
    add_groups(work, sums, g_gamma, g_beta, (int)get_global_id(0), C, ROW_GROUPS(ROWS));
}
#endif
