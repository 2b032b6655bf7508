//@ plugin:    reference 1.0.0
//@ abi:       1
//@ include:   row_groups.clh carry.clh neuron_back.clh pool_back.clh
//@ all:       score: 0
//@ op:        neuron.backward_norm/1
//@ kernel:    neuron_backward_norm__naive
//@ global:    C, min(256, ceildiv(M, 64))
//@ kernel:    neuron_backward_norm__naive_combine
//@ global:    C
//@ workspace: 2 * C * min(256, ceildiv(M, 64))
//@ define:    POOL = 0
//@ about:     neuron.backward, with sums of g_x and g_x xhat per group of rows, then per channel
//
//@ op:        neuron.backward_pool/1
//@ kernel:    neuron_backward_pool__naive
//@ global:    C, min(256, ceildiv(N*H*W, 64))
//@ kernel:    neuron_backward_pool__naive_combine
//@ global:    C
//@ workspace: 2 * C * min(256, ceildiv(N*H*W, 64))
//@ define:    POOL = 1
//@ about:     the same; g_s is what pool_avg_backward__naive makes of g_y
//
// As neuron_backward__naive and the sums of batch_norm_backward__naive: one work-item takes a channel of a
// group of rows. u is half with U_HALF, x with X_HALF. work: [2][groups][C].
#pragma OPENCL FP_CONTRACT OFF

#if POOL
#define NAIVE        neuron_backward_pool__naive
#define COMBINE      neuron_backward_pool__naive_combine
#define G_ARG        SP_IN(float, g_y)
#define G_START      SP_AT(g_y);
#define ROWS_ARGS    int N, int H, int W, int C, int KH, int KW, int SH, int SW, int PH, int PW, int HO, int WO
#define COMBINE_ARGS int N, int H, int W, int C
#define ROWS         (N * H * W)
#define G_S          behind_pool(g_y, m / W, m % W, (int)c, H, C, KH, KW, SH, SW, PH, PW, HO, WO)
#else
#define NAIVE        neuron_backward_norm__naive
#define COMBINE      neuron_backward_norm__naive_combine
#define G_ARG        SP_REF(float, g_s)
#define G_START      SP_AT(g_s);
#define ROWS_ARGS    int M, int C
#define COMBINE_ARGS ROWS_ARGS
#define ROWS         M
#define G_S          g_s[i]
#endif

__kernel void NAIVE(G_ARG, SP_IN(sp_u, u), SP_IN(sp_xh, x), SP_IN(float, mean), SP_IN(float, rstd),
                    CARRY_ARGS SP_IO(float, g_x), SP_OUT(float, work), ROWS_ARGS, float decay, float x_gain,
                    float v_th, float v_reset, float width)
{
    G_START
    SP_AT_U(u);
    SP_AT_XH(x);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(g_x);
    SP_AT(work);
    CARRY_START
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const ulong c = get_global_id(0), columns = (ulong)C;
    const int group = (int)get_global_id(1), end = group_start(group + 1, ROWS);
    const float mu = mean[c], r = rstd[c];
    float sum_g = 0.0f, sum_gxhat = 0.0f;

    for (int m = group_start(group, ROWS); m < end; m++) {
        const ulong i = (ulong)m * columns + c;
        const float g = behind_neuron(G_S, SP_U(u, i), carry + i, last, width, p);
        sum_g += g;
        sum_gxhat += g * ((SP_XH(x, i) - mu) * r);
        g_x[i] = g;
    }
    const ulong at = (ulong)group * columns + c;
    work[at] = sum_g;
    work[(ulong)ROW_GROUPS(ROWS) * columns + at] = sum_gxhat;
}

__kernel void COMBINE(SP_IN(float, work), SP_OUT(float, sums), SP_IO(float, g_gamma), SP_IO(float, g_beta),
                      COMBINE_ARGS)
{
    SP_AT(work);
    SP_AT(sums);
    SP_AT(g_gamma);
    SP_AT(g_beta);
    add_groups(work, sums, g_gamma, g_beta, (int)get_global_id(0), C, ROW_GROUPS(ROWS));
}
