//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh threshold.clh forward_ext.clh forward_rows.clh
//@ op:     neuron.forward_ext/3
//@ kernel: neuron_forward_ext__rows16
//@ global: min(M, cu*16)
//@ local:  1
//@ define: SP_REAL_WIDTH = 16
//@ device: cpu
//@ when:   !EACH
//@ score:  50
//@ about:  a run of rows per work-item, 16 neurons at a time, spikes packed from the lanes

/* u may be u_prev and aux may be aux_prev: a vector is read before it is written by the same work-item. */
#pragma OPENCL FP_CONTRACT OFF

/* One vector of neurons; `in` is the input current. Returns the spikes. */
SP_INLINE uint fire(float16 in, __global const float *u_prev, __global float *u, __global const float *aux_prev,
                    __global float *aux, int lanes, int first, neuron_args p, aux_args q)
{
    float16 before = (float16)(0.0f), a = (float16)(0.0f);
    if (!first) {
        before = sp_load_lanes(u_prev, lanes);
#if AUX
        a = sp_load_lanes(aux_prev, lanes);
#endif
    }
    const float16 now = charge(in, before, &a, first, p, q);
#if AUX
    sp_store_lanes(a, aux, lanes);
#endif
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

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void neuron_forward_ext__rows16(FORWARD_EXT_ARGS)
{
    FORWARD_EXT_START
    FIRE_ROWS
}
