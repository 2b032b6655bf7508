//@ plugin:  reference 1.0.0
//@ abi:     1
//@ include: carry.clh neuron_back.clh pool_back.clh
//@ all:     score: 0
//@ op:      neuron.backward/1
//@ kernel:  neuron_backward__naive
//@ global:  C, M
//@ define:  POOL = 0
//@ about:   one work-item one neuron
//
//@ op:      neuron.backward_sum/1
//@ kernel:  neuron_backward_sum__naive
//@ global:  C, W, N*H
//@ define:  POOL = 1
//@ about:   the same; g_s is what pool_avg_backward__naive makes of g_y, and g_x is added to
//
// h = surrogate'(u - v_th); g_u = g_s h [+ carry (d_reset/d_u + d_reset/d_s h)]; g_x = g_u d_charge/d_x;
// carry = g_u d_charge/d_v. At the last time step carry comes in undefined and counts as 0. g_x may be g_s.
// u is half with U_HALF.
#pragma OPENCL FP_CONTRACT OFF

#if !POOL
__kernel void neuron_backward__naive(SP_REF(float, g_s), SP_IN(sp_u, u), CARRY_ARGS SP_IO(float, g_x), int C,
                                     float decay, float x_gain, float v_th, float v_reset, float width)
{
    SP_AT(g_s);
    SP_AT_U(u);
    SP_AT(g_x);
    CARRY_START
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const ulong i = get_global_id(1) * (ulong)C + get_global_id(0);
    g_x[i] = behind_neuron(g_s[i], SP_U(u, i), carry + i, last, width, p);
}
#else
__kernel void neuron_backward_sum__naive(SP_IN(float, g_y), SP_IN(sp_u, u), CARRY_ARGS SP_IO(float, g_x),
                                         int H, int W, int C, int KH, int KW, int SH, int SW, int PH, int PW,
                                         int HO, int WO, float decay, float x_gain, float v_th, float v_reset,
                                         float width)
{
    SP_AT(g_y);
    SP_AT_U(u);
    SP_AT(g_x);
    CARRY_START
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const int c = (int)get_global_id(0), x = (int)get_global_id(1), row = (int)get_global_id(2);
    const ulong i = ((ulong)row * W + x) * C + c;
    const float g_s = behind_pool(g_y, row, x, c, H, C, KH, KW, SH, SW, PH, PW, HO, WO);
    g_x[i] += behind_neuron(g_s, SP_U(u, i), carry + i, last, width, p);
}
#endif
