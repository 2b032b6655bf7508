//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh carry.clh backward_step.clh
//@ op:     neuron.backward/1
//@ kernel: neuron_backward__flat16
//@ global: min(ceildiv(M*C, 16), cu*16)
//@ local:  1
//@ define: SP_REAL_WIDTH = 16
//@ device: cpu
//@ score:  50
//@ about:  a run of neurons per work-item, 16 at a time; rows do not matter here

/* g_x may be g_s: a vector is read before it is written. */
SP_INLINE void back(__global const float *g_s, __global const sp_u *u, __global float *carry, __global float *g_x, int lanes,
                    int last, float width, neuron_args p)
{
    sp_store_lanes(step(sp_load_lanes(g_s, lanes), u, carry, lanes, last, width, p), g_x, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_backward__flat16(SP_REF(float, g_s), SP_IN(sp_u, u),
                        CARRY_ARGS SP_IO(float, g_x), int M, int C, float decay, float x_gain, float v_th, float v_reset,
                        float width)
{
    SP_AT(g_s); SP_AT_U(u); SP_AT(g_x);
    CARRY_START
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const long n = (long)M * C, vectors = (n + 15) / 16;
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    const long end = min((item + 1) * vectors / items * 16, n);
    long i = item * vectors / items * 16;
    for (; i + 16 <= end; i += 16)
        back(g_s + i, u + i, carry + i, g_x + i, 16, last, width, p);
    if (i < end)
        back(g_s + i, u + i, carry + i, g_x + i, (int)(end - i), last, width, p);
}
