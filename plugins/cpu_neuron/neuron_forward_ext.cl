//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh threshold.clh norm_args.clh forward_ext.clh forward_rows.clh
//@ all:    device: cpu
//@ all:    score: 50
//@ all:    define: SP_REAL_WIDTH = 16
//@ op:     neuron.forward_ext/3
//@ kernel: neuron_forward_ext__rows16
//@ global: min(M, cu*16)
//@ local:  1
//@ when:   !EACH
//@ about:  a run of rows per work-item, 16 neurons at a time, spikes packed from the lanes
//
//@ op:     neuron.forward_ext/3
//@ kernel: neuron_forward_ext__channels16
//@ global: min(M, cu*16)
//@ local:  1
//@ define: SP_ARGS_EACH = 1
//@ when:   EACH && V_TH && !LEARN
//@ about:  the same with a threshold of each channel
//
//@ op:        neuron.forward_ext/3
//@ workspace: 4*C
//@ kernel:    neuron_forward_ext__learnt_numbers
//@ global:    C
//@ kernel:    neuron_forward_ext__learnt16
//@ global:    min(M, cu*16)
//@ local:     1
//@ define:    SP_ARGS_EACH = 1
//@ when:      EACH && LEARN
//@ about:     the same with all numbers of each channel, which are made of what is learnt before the walk

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
         first, ARGS_AT(c, lanes), q)
#if AUX
#define AUX_AT(buffer, c) (buffer + row + (c))
#else
#define AUX_AT(buffer, c) 0
#endif

#if !EACH
#define ARGS_AT(c, lanes) p
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void neuron_forward_ext__rows16(FORWARD_EXT_ARGS)
{
    FORWARD_EXT_START
    FIRE_ROWS
}
#elif defined(SP_ARGS_EACH) // the blocks for channels

#if LEARN
#define NAME      neuron_forward_ext__learnt16
#define EACH_ARGS SP_IN(float, work),
#define EACH_AT   SP_AT(work);
#else
#define NAME      neuron_forward_ext__channels16
#define EACH_ARGS SP_IN(float, th),
#define EACH_AT   SP_AT(th);
#endif

SP_INLINE neuron_args of_layer(float decay, float x_gain, float v_th, float v_reset)
{
    neuron_args p;
    p.decay = SP_REAL(decay), p.x_gain = SP_REAL(x_gain), p.v_th = SP_REAL(v_th), p.v_reset = SP_REAL(v_reset);
    return p;
}

#if LEARN
/* work: the four numbers of neuron_args, each of all channels. A model is learnt by one number, so all lanes are equal here. */
SP_INLINE float any_lane(float16 v)
{
    float part[16];
    vstore16(v, 0, part);
    return part[0];
}

__kernel void neuron_forward_ext__learnt_numbers(SP_IN(float, w), V_TH_ARGS SP_OUT(float, work), int C, float decay, float x_gain,
                                        float v_th, float v_reset)
{
    SP_AT(w); SP_AT(work);
    const int c = (int)get_global_id(0);
    neuron_args p = of_layer(decay, x_gain, v_th, v_reset);
#if V_TH
    SP_AT(th);
    p.v_th = SP_REAL(th[c]);
#endif
    p = neuron_learn(p, w[c]);
    work[c] = any_lane(p.decay), work[C + c] = any_lane(p.x_gain);
    work[2 * C + c] = any_lane(p.v_th), work[3 * C + c] = any_lane(p.v_reset);
}

SP_INLINE neuron_args args_at(__global const float *work, int C, int lanes, neuron_args p)
{
    p.decay = sp_load_lanes(work, lanes), p.x_gain = sp_load_lanes(work + C, lanes);
    p.v_th = sp_load_lanes(work + 2 * C, lanes), p.v_reset = sp_load_lanes(work + 3 * C, lanes);
    return p;
}
#define ARGS_AT(c, lanes) args_at(work + (c), C, lanes, p)
#else
SP_INLINE neuron_args args_at(__global const float *th, int lanes, neuron_args p)
{
    p.v_th = sp_load_lanes(th, lanes);
    return p;
}
#define ARGS_AT(c, lanes) args_at(th + (c), lanes, p)
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
NAME(SP_IN(float, x), SP_REF(float, u_prev), NORM_ARGS AUX_ARGS EACH_ARGS SP_IO(float, u), SP_OUT(uint, s), int M, int C, int first,
     float decay, float x_gain, float v_th, float v_reset, float aux_decay, float aux_gain)
{
    SP_AT(x); SP_AT(u_prev); SP_AT(u); SP_AT(s);
    NORM_START AUX_START EACH_AT
    const neuron_args p = of_layer(decay, x_gain, v_th, v_reset);
    const aux_args q = {aux_decay, aux_gain};
    FIRE_ROWS
}
#endif
