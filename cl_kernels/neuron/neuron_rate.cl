//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     neuron.rate/1
//@ kernel: neuron_rate__naive
//@ global: M*C
//@ score:  0
//@ about:  one work-item one neuron
//
// now = d_charge/d_x + d_charge/d_v f; e += share now h; r += share s; f = now (d_reset/d_u + d_reset/d_s h).
// f, e and r come in undefined at the first step of a block and count as 0. u is half with U_HALF.
#pragma OPENCL FP_CONTRACT OFF

__kernel void neuron_rate__naive(SP_IN(sp_u, u), SP_IO(float, f), SP_IO(float, e), SP_IO(float, r),
                                 int block_start, float decay, float x_gain, float v_th, float v_reset,
                                 float width, float share)
{
    SP_AT_U(u);
    SP_AT(f);
    SP_AT(e);
    SP_AT(r);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const size_t i = get_global_id(0);
    const float u_now = SP_U(u, i), h = surrogate_grad(u_now - v_th, width), s = u_now >= v_th ? 1.0f : 0.0f;
    const float now = neuron_d_charge_d_x(p) + (block_start ? 0.0f : neuron_d_charge_d_v(p) * f[i]);
    float d_v = neuron_d_reset_d_u(u_now, s, p);
#if !DETACH
    d_v += neuron_d_reset_d_s(u_now, s, p) * h;
#endif
    e[i] = (block_start ? 0.0f : e[i]) + share * now * h;
    r[i] = (block_start ? 0.0f : r[i]) + share * s;
    f[i] = now * d_v;
}
