//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh threshold.clh forward_rows.clh
//@ op:     neuron.forward_ext/2
//@ kernel: neuron_forward_ext__rows16
//@ global: min(M, cu*16)
//@ local:  1
//@ define: SP_REAL_WIDTH = 16
//@ device: cpu
//@ score:  50
//@ about:  a run of rows per work-item, 16 neurons at a time, spikes packed from the lanes

/* s[t-1] = u_prev >= threshold(aux_prev); v = reset(u_prev, s[t-1]); aux = neuron_aux(aux_prev, x, s[t-1]);
 * u = charge(v, current(x, aux)); s = u >= threshold(aux) as bits. At first v = v_reset, aux_prev = 0,
 * s[t-1] = 0. u may be u_prev and aux may be aux_prev: a vector is read before it is written by the same
 * work-item. */
#pragma OPENCL FP_CONTRACT OFF

/* One vector of neurons; `in` is the input current. Returns the spikes. */
SP_INLINE uint fire(float16 in, __global const float *u_prev, __global float *u, __global const float *aux_prev,
                    __global float *aux, int lanes, int first, neuron_args p, aux_args q)
{
    float16 v = (float16)(p.v_reset), a = (float16)(0.0f), fired = (float16)(0.0f);
    if (!first) {
        const float16 before = sp_load_lanes(u_prev, lanes);
#if AUX
        a = sp_load_lanes(aux_prev, lanes);
#endif
        fired = select((float16)(0.0f), (float16)(1.0f), before >= threshold(a, p, q));
        v = neuron_reset(before, fired, p);
    }
#if AUX
    a = neuron_aux(a, in, fired, p, q);
    in = neuron_current(in, a, p, q);
    sp_store_lanes(a, aux, lanes);
#endif
    const float16 now = neuron_charge(v, in, p);
    sp_store_lanes(now, u, lanes);
    return sp_pack_lanes(now >= threshold(a, p, q)) & (lanes >= 16 ? 0xffffu : (1u << lanes) - 1u);
}

#define FIRE(c, lanes)                                                                                       \
    fire(INPUT(c, lanes), u_prev + row + (c), u + row + (c), AUX_AT(aux_prev, c), AUX_AT(aux, c), lanes,     \
         first, p, q)
#if AUX
#define AUX_AT(buffer, c) (buffer + row + (c))
#else
#define AUX_AT(buffer, c) 0
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_forward_ext__rows16(SP_IN(float, x), SP_REF(float, u_prev),
#if NORM
                           SP_IN(float, scale), SP_IN(float, shift),
#endif
#if AUX
                           SP_REF(float, aux_prev), SP_IO(float, aux),
#endif
#if LEARN
                           SP_IN(float, w),
#endif
#if V_TH
                           SP_IN(float, th),
#endif
                           SP_IO(float, u), SP_OUT(uint, s), int M, int C, int first, float decay,
                           float x_gain, float v_th, float v_reset, float aux_decay, float aux_gain)
{
    SP_AT(x); SP_AT(u_prev); SP_AT(u); SP_AT(s);
#if NORM
    SP_AT(scale); SP_AT(shift);
#endif
#if AUX
    SP_AT(aux_prev); SP_AT(aux);
#endif
    neuron_args p = {decay, x_gain, v_th, v_reset};
    const aux_args q = {aux_decay, aux_gain};
#if V_TH
    SP_AT(th);
    p.v_th = th[0];
#endif
#if LEARN
    SP_AT(w);
    p = neuron_learn(p, w[0]);
#endif
    FIRE_ROWS
}
