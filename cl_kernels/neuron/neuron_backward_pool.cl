//@ plugin:    reference 1.0.0
//@ abi:       1
//@ include:   row_groups.clh
//@ all:       score: 0
//@ op:        neuron.backward_sum/1
//@ kernel:    neuron_backward_sum__naive
//@ global:    C, W, N*H
//@ define:    NORM = 0
//@ about:     one work-item one neuron
//
//@ op:        neuron.backward_pool/1
//@ kernel:    neuron_backward_pool__naive
//@ global:    C, min(256, ceildiv(N*H*W, 64))
//@ kernel:    neuron_backward_pool__naive_combine
//@ global:    C
//@ workspace: 2 * C * min(256, ceildiv(N*H*W, 64))
//@ define:    NORM = 1
//@ about:     sums of g_x and g_x xhat per group of rows, then per channel
//
// g_s of a neuron is the sum of g_y over the windows of the pool that hold it / (KH KW), as in pool_avg_backward__naive. The rest is
// that of neuron_backward__naive and neuron_backward_norm__naive. g_x is added to in neuron.backward_sum, and in
// neuron.backward_pool it is written.
#pragma OPENCL FP_CONTRACT OFF

/* Of the pixel (row: n H + h; i) and a channel. */
SP_INLINE float behind_pool(__global const float *g_y, int row, int i, int c, int H, int C, int KH, int KW,
                            int SH, int SW, int PH, int PW, int HO, int WO)
{
    const int n = row / H, h = row % H;
    float sum = 0.0f;
    for (int kh = 0; kh < KH; kh++) {
        const int ho = (h + PH - kh) / SH; // exact where the product below gives it back
        if (h + PH - kh < 0 || ho * SH != h + PH - kh || ho >= HO)
            continue;
        for (int kw = 0; kw < KW; kw++) {
            const int wo = (i + PW - kw) / SW;
            if (i + PW - kw >= 0 && wo * SW == i + PW - kw && wo < WO)
                sum += g_y[(((ulong)n * HO + ho) * WO + wo) * C + c];
        }
    }
    return sum / (float)(KH * KW);
}

/* g_x of a neuron; carry goes one time step back. */
SP_INLINE float behind_neuron(float g_s, float now, __global float *carry, int last, float width,
                              neuron_args p)
{
    const float h = surrogate_grad(now - p.v_th, width);
    float g_u = g_s * h;
#if TEMPORAL
    if (!last) {
        const float s = now >= p.v_th ? 1.0f : 0.0f;
        float d_v = neuron_d_reset_d_u(now, s, p);
#if !DETACH
        d_v = fma(neuron_d_reset_d_s(now, s, p), h, d_v);
#endif
        g_u = fma(*carry, d_v, g_u);
    }
    *carry = g_u * neuron_d_charge_d_v(p);
#endif
    return g_u * neuron_d_charge_d_x(p);
}

#if TEMPORAL
#define CARRY_ARGS SP_IO(float, carry), int last,
#else
#define CARRY_ARGS
#endif

#if !NORM
__kernel void neuron_backward_sum__naive(SP_IN(float, g_y), SP_IN(sp_u, u), CARRY_ARGS SP_IO(float, g_x),
                                         int H, int W, int C, int KH, int KW, int SH, int SW, int PH, int PW,
                                         int HO, int WO, float decay, float x_gain, float v_th, float v_reset,
                                         float width)
{
    SP_AT(g_y);
    SP_AT_U(u);
    SP_AT(g_x);
#if TEMPORAL
    SP_AT(carry);
#else
    __global float *carry = g_x;
    const int last = 1;
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const int c = (int)get_global_id(0), x = (int)get_global_id(1), row = (int)get_global_id(2);
    const ulong i = ((ulong)row * W + x) * C + c;
    const float g_s = behind_pool(g_y, row, x, c, H, C, KH, KW, SH, SW, PH, PW, HO, WO);
    g_x[i] += behind_neuron(g_s, SP_U(u, i), carry + i, last, width, p);
}
#else
__kernel void neuron_backward_pool__naive(SP_IN(float, g_y), SP_IN(sp_u, u), SP_IN(sp_xh, x),
                                          SP_IN(float, mean), SP_IN(float, rstd),
                                          CARRY_ARGS SP_IO(float, g_x), SP_OUT(float, work), int N, int H,
                                          int W, int C, int KH, int KW, int SH, int SW, int PH, int PW,
                                          int HO, int WO, float decay, float x_gain, float v_th,
                                          float v_reset, float width)
{
    SP_AT(g_y);
    SP_AT_U(u);
    SP_AT_XH(x);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(g_x);
    SP_AT(work);
#if TEMPORAL
    SP_AT(carry);
#else
    __global float *carry = g_x;
    const int last = 1;
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const ulong columns = (ulong)C;
    const int c = (int)get_global_id(0), M = N * H * W;
    const int group = (int)get_global_id(1), end = group_start(group + 1, M);
    const float mu = mean[c], r = rstd[c];
    float sum_g = 0.0f, sum_gxhat = 0.0f;

    for (int m = group_start(group, M); m < end; m++) {
        const ulong i = (ulong)m * columns + c;
        const float g_s = behind_pool(g_y, m / W, m % W, c, H, C, KH, KW, SH, SW, PH, PW, HO, WO);
        const float g = behind_neuron(g_s, SP_U(u, i), carry + i, last, width, p);
        sum_g += g;
        sum_gxhat += g * ((SP_XH(x, i) - mu) * r);
        g_x[i] = g;
    }
    const ulong at = (ulong)group * columns + c;
    work[at] = sum_g;
    work[(ulong)ROW_GROUPS(M) * columns + at] = sum_gxhat;
}

__kernel void neuron_backward_pool__naive_combine(SP_IN(float, work), SP_OUT(float, sums),
                                                  SP_IO(float, g_gamma), SP_IO(float, g_beta), int N, int H,
                                                  int W, int C)
{
    SP_AT(work);
    SP_AT(sums);
    SP_AT(g_gamma);
    SP_AT(g_beta);
    const ulong c = get_global_id(0), columns = (ulong)C;
    const int groups = ROW_GROUPS(N * H * W);
    float sum_g = 0.0f, sum_gxhat = 0.0f;

    for (int g = 0; g < groups; g++) {
        sum_g += work[(ulong)g * columns + c];
        sum_gxhat += work[(ulong)(groups + g) * columns + c];
    }
    sums[c] = sum_g;
    sums[columns + c] = sum_gxhat;
    g_beta[c] += sum_g;
    g_gamma[c] += sum_gxhat;
}
#endif
