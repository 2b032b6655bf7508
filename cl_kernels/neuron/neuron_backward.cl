//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     neuron.backward/1
//@ kernel: neuron_backward__naive
//@ global: C, M
//@ score:  0
//@ about:  one work-item one neuron
//
// h = surrogate'(u - v_th); g_u = g_s h [+ carry (d_reset/d_u + d_reset/d_s h)]; g_x = g_u d_charge/d_x;
// carry = g_u d_charge/d_v. At the last time step carry comes in undefined and counts as 0. g_x may be g_s.
// u is half with U_HALF.
#pragma OPENCL FP_CONTRACT OFF

__kernel void neuron_backward__naive(SP_REF(float, g_s), SP_IN(sp_u, u),
#if TEMPORAL
                                     SP_IO(float, carry), int last,
#endif
                                     SP_IO(float, g_x), int C, float decay, float x_gain, float v_th,
                                     float v_reset, float width)
{
    SP_AT(g_s);
    SP_AT_U(u);
    SP_AT(g_x);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const ulong i = get_global_id(1) * (ulong)C + get_global_id(0);
    const float now = SP_U(u, i), h = surrogate_grad(now - v_th, width);
    float g_u = g_s[i] * h;
#if TEMPORAL
    SP_AT(carry);
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
    g_x[i] = g_u * neuron_d_charge_d_x(p);
}
