//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh forward_rows.clh charge.clh
//@ op:     neuron.forward/1
//@ kernel: neuron_forward__rows16
//@ global: min(M, cu*16)
//@ local:  1
//@ define: SP_REAL_WIDTH = 16
//@ device: cpu
//@ score:  50
//@ about:  a run of rows per work-item, 16 neurons at a time, spikes packed from the lanes

/* v = reset(u_prev) (v_reset at first); u = charge(v, x or scale x + shift); s = u >= v_th as bits. x, u,
 * u_prev: [M][C]; s: [M][ceil(C/32)], bits past C are zero. u may be u_prev: a vector is read before it is
 * written by the same work-item. With U_HALF u is kept as half, and decides as it is kept. */
#pragma OPENCL FP_CONTRACT OFF

#define FIRE(c, lanes) spikes_of(charge(INPUT(c, lanes), u_prev + row + (c), u + row + (c), lanes, first, p), lanes, p)

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_forward__rows16(SP_IN(float, x), SP_REF(sp_u, u_prev),
#if NORM
                       SP_IN(float, scale), SP_IN(float, shift),
#endif
                       SP_IO(sp_u, u), SP_OUT(uint, s), int M, int C, int first, float decay, float x_gain,
                       float v_th, float v_reset)
{
    SP_AT(x); SP_AT_U(u_prev); SP_AT_U(u); SP_AT(s);
#if NORM
    SP_AT(scale); SP_AT(shift);
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    FIRE_ROWS
}
