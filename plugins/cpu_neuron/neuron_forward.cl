//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh forward_rows.clh
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
 * written by the same work-item. */
#pragma OPENCL FP_CONTRACT OFF

SP_INLINE void store_u(float16 v, __global sp_u *p, int lanes)
{
    float part[16];
    if (lanes >= 16) {
        SP_UN_PUT(16, v, p, 0);
    } else {
        vstore16(v, 0, part);
        for (int i = 0; i < lanes; i++)
            SP_U_PUT(part[i], p, i);
    }
}

/* One vector of neurons; `in` is the input current. Returns the spikes. */
SP_INLINE uint fire(float16 in, __global const sp_u *u_prev, __global sp_u *u, int lanes, int first,
                    neuron_args p)
{
    float16 v = (float16)(p.v_reset);
    if (!first) {
        const float16 before = sp_load_lanes_u(u_prev, lanes);
        v = neuron_reset(before, select((float16)(0.0f), (float16)(1.0f), before >= (float16)(p.v_th)), p);
    }
    float16 now = neuron_charge(v, in, p);
    store_u(now, u, lanes);
#if U_HALF
    now = sp_load_lanes_u(u, lanes); /* what is stored decides */
#endif
    return sp_pack_lanes(now >= (float16)(p.v_th)) & (lanes >= 16 ? 0xffffu : (1u << lanes) - 1u);
}

#define FIRE(c, lanes) fire(INPUT(c, lanes), u_prev + row + (c), u + row + (c), lanes, first, p)

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
