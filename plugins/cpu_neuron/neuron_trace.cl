//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh
//@ op:     neuron.trace/1
//@ kernel: neuron_trace__flat16
//@ global: min(ceildiv(M*C, 16), cu*16)
//@ local:  1
//@ define: SP_REAL_WIDTH = 16
//@ device: cpu
//@ score:  50
//@ about:  a run of neurons per work-item, 16 at a time; rows do not matter here

/* As the reference kernel: e = v / v before between -du/dv and du/dv, the sign of v where v before is 0. Potentials may be half
 * (U_HALF). */
#pragma OPENCL FP_CONTRACT OFF

SP_INLINE float16 after_reset(float16 u, float16 s, neuron_args p)
{
    return neuron_reset(u, s, p) - (float16)(p.v_reset);
}

SP_INLINE float16 fired(float16 u, neuron_args p)
{
    return select((float16)(0.0f), (float16)(1.0f), u >= (float16)(p.v_th));
}

SP_INLINE void step(__global const sp_u *u, __global const sp_u *u_prev, __global float *trace, int lanes, int first,
                    neuron_args p)
{
    const float16 now = sp_load_lanes_u(u, lanes), s = fired(now, p);
    float16 next = s;
    if (!first) {
        const float16 old = sp_load_lanes_u(u_prev, lanes), before = after_reset(old, fired(old, p), p);
        const float16 v = after_reset(now, s, p), most = neuron_d_charge_d_v(p);
        const float16 e = select(sign(v), v / before, before != (float16)(0.0f));
        next = fma(fmin(fmax(e, -most), most), sp_load_lanes(trace, lanes), s);
    }
    sp_store_lanes(next, trace, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_trace__flat16(SP_IN(sp_u, u), SP_IN(sp_u, u_prev), SP_IO(float, trace), int M, int C, int first, float decay,
                     float x_gain, float v_th, float v_reset)
{
    SP_AT_U(u); SP_AT_U(u_prev); SP_AT(trace);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const long n = (long)M * C, vectors = (n + 15) / 16;
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    const long end = min((item + 1) * vectors / items * 16, n);
    long i = item * vectors / items * 16;
    for (; i + 16 <= end; i += 16)
        step(u + i, u_prev + i, trace + i, 16, first, p);
    if (i < end)
        step(u + i, u_prev + i, trace + i, (int)(end - i), first, p);
}
