//@ plugin:  reference 1.0.0
//@ abi:     1
//@ include: compensated.clh
//@ op:      neuron.penalty/1
//@ kernel:  neuron_penalty__naive
//@ global:  C, N*M
//@ kernel:  neuron_penalty__naive_loss
//@ global:  N
//@ score:   0
//@ about:   one work-item one neuron; then one work-item the sum of a sample
//
// d is the distance of u from the nearer of v_reset and v_th, w_t / (M C) its weight. g_x may be g; u is half with U_HALF.
#pragma OPENCL FP_CONTRACT OFF

inline float distance_of(float u, float v_th, float v_reset)
{
    const float rest = u - v_reset, over = u - v_th;
    return fabs(over) <= fabs(rest) ? over : rest;
}

__kernel void neuron_penalty__naive(SP_REF(float, g), SP_IN(sp_u, u),
#if TEMPORAL
                                    SP_IO(float, carry),
#endif
                                    SP_IO(float, g_x), int N, int M, int C, float decay, float x_gain, float v_th,
                                    float v_reset, float w_t)
{
    SP_AT(g);
    SP_AT_U(u);
    SP_AT(g_x);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const ulong i = get_global_id(1) * (ulong)C + get_global_id(0);
    const float slope = w_t / ((float)M * (float)C) / (float)N * sign(distance_of(SP_U(u, i), v_th, v_reset));
    g_x[i] = g[i] + slope * neuron_d_charge_d_x(p);
#if TEMPORAL
    SP_AT(carry);
    carry[i] += slope * neuron_d_charge_d_v(p);
#endif
}

__kernel void neuron_penalty__naive_loss(SP_IN(sp_u, u), SP_IO(float, loss), int M, int C, float v_th, float v_reset,
                                         float w_t)
{
    SP_AT_U(u);
    SP_AT(loss);
    const ulong n = get_global_id(0), size = (ulong)M * (ulong)C;
    float sum = 0.0f, lost = 0.0f;
    for (ulong i = n * size; i < (n + 1) * size; i++)
        add_to(&sum, &lost, fabs(distance_of(SP_U(u, i), v_th, v_reset)));
    loss[n] += w_t / ((float)M * (float)C) * sum;
}
