//@ plugin:    reference 1.0.0
//@ abi:       1
//@ include:   row_groups.clh
//@ op:        neuron.backward_norm/1
//@ kernel:    neuron_backward_norm__naive
//@ global:    C, min(256, ceildiv(M, 64))
//@ kernel:    neuron_backward_norm__naive_combine
//@ global:    C
//@ workspace: 2 * C * min(256, ceildiv(M, 64))
//@ score:     0
//@ about:     neuron.backward, with sums of g_x and g_x xhat per group of rows, then per channel
//
// As neuron_backward__naive and the sums of batch_norm_backward__naive: one work-item takes a channel of a
// group of rows. u is half with U_HALF, x with X_HALF. work: [2][groups][C].
#pragma OPENCL FP_CONTRACT OFF

__kernel void neuron_backward_norm__naive(SP_REF(float, g_s), SP_IN(sp_u, u), SP_IN(sp_xh, x),
                                          SP_IN(float, mean), SP_IN(float, rstd),
#if TEMPORAL
                                          SP_IO(float, carry), int last,
#endif
                                          SP_IO(float, g_x), SP_OUT(float, work), int M, int C, float decay,
                                          float x_gain, float v_th, float v_reset, float width)
{
    SP_AT(g_s);
    SP_AT_U(u);
    SP_AT_XH(x);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(g_x);
    SP_AT(work);
#if TEMPORAL
    SP_AT(carry);
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const ulong c = get_global_id(0), columns = (ulong)C;
    const int group = (int)get_global_id(1), end = group_start(group + 1, M);
    const float mu = mean[c], r = rstd[c];
    float sum_g = 0.0f, sum_gxhat = 0.0f;

    for (int m = group_start(group, M); m < end; m++) {
        const ulong i = (ulong)m * columns + c;
        const float now = SP_U(u, i), h = surrogate_grad(now - v_th, width);
        float g_u = g_s[i] * h;
#if TEMPORAL
        if (!last) {
            const float s = now >= v_th ? 1.0f : 0.0f;
            float d_v = neuron_d_reset_d_u(now, s, p);
#if !DETACH
            d_v = fma(neuron_d_reset_d_s(now, s, p), h, d_v);
#endif
            g_u = fma(carry[i], d_v, g_u);
        }
        carry[i] = g_u * neuron_d_charge_d_v(p);
#endif
        const float g = g_u * neuron_d_charge_d_x(p);
        sum_g += g;
        sum_gxhat += g * ((SP_XH(x, i) - mu) * r);
        g_x[i] = g;
    }
    const ulong at = (ulong)group * columns + c;
    work[at] = sum_g;
    work[(ulong)ROW_GROUPS(M) * columns + at] = sum_gxhat;
}

__kernel void neuron_backward_norm__naive_combine(SP_IN(float, work), SP_OUT(float, sums),
                                                  SP_IO(float, g_gamma), SP_IO(float, g_beta), int M, int C)
{
    SP_AT(work);
    SP_AT(sums);
    SP_AT(g_gamma);
    SP_AT(g_beta);
    const ulong c = get_global_id(0), columns = (ulong)C;
    const int groups = ROW_GROUPS(M);
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
