//@ plugin:  reference 1.0.0
//@ abi:     1
//@ include: norm_args.clh carry.clh neuron_back.clh pool_back.clh
//@ all:     score: 0
//@ all:     define: TEMPORAL = 0
//@ all:     define: DETACH = 0
//@ op:      neuron.forward_static/1
//@ kernel:  neuron_forward_static__naive
//@ global:  ceildiv(C, 32), W, N*H
//@ define:  FORWARD = 1
//@ about:   one work-item makes one word of spikes: 32 neurons, one after the other
//
//@ op:      neuron.backward_static/1
//@ kernel:  neuron_backward_static__naive
//@ global:  ceildiv(C, 32), W, N*H
//@ define:  FORWARD = 0
//@ about:   the same for the last time step, without spikes
//
// u[1] = charge(v_reset, x); u[t + 1] = charge(reset(u[t]), x). Forward: s = u[time_step] >= v_th, and from the second
// time step on the gradient through u[time_step - 1], which takes the place of g_x at the second, and is added to it behind
// that. Backward: the gradient through u[steps] is added. s: [N H W][ceil(C/32)], bits past C are zero.
#pragma OPENCL FP_CONTRACT OFF

#if FORWARD
#define KERNEL    neuron_forward_static__naive
#define S_ARG     SP_OUT(uint, s),
#define STEPS     time_step
#define TO_STEP   (time_step - 1) /* whose gradient it is */
#else
#define KERNEL    neuron_backward_static__naive
#define S_ARG
#define STEPS     steps
#define TO_STEP   steps
#endif

__kernel void KERNEL(SP_IN(float, x), NORM_ARGS SP_IN(float, g_y), SP_IO(float, g_x), S_ARG int H, int W, int C, int KH,
                     int KW, int SH, int SW, int PH, int PW, int HO, int WO, int STEPS, float decay, float x_gain,
                     float v_th, float v_reset, float width)
{
    SP_AT(x);
    NORM_START
    SP_AT(g_y);
    SP_AT(g_x);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const int word = (int)get_global_id(0), column = (int)get_global_id(1), row = (int)get_global_id(2);
    const ulong m = (ulong)row * W + column;
#if FORWARD
    SP_AT(s);
    uint bits = 0;
#endif

    for (int c = word * 32; c < min(C, word * 32 + 32); c++) {
        const ulong i = m * C + c;
        const float in = NORM_CURRENT(c, x[i]);
        float now = neuron_charge(v_reset, in, p), before = now;
        for (int t = 1; t < STEPS; t++) {
            before = now;
            now = neuron_charge(neuron_reset(now, now >= v_th ? 1.0f : 0.0f, p), in, p);
        }
        if (TO_STEP > 0) {
            const float g_s = behind_pool(g_y, row, column, c, H, C, KH, KW, SH, SW, PH, PW, HO, WO);
            const float g = behind_neuron(g_s, FORWARD ? before : now, g_x, 1, width, p);
            g_x[i] = FORWARD && TO_STEP == 1 ? g : g_x[i] + g;
        }
#if FORWARD
        if (now >= v_th)
            bits |= 1u << (c & 31);
#endif
    }
#if FORWARD
    s[m * (ulong)SP_WORDS(C) + word] = bits;
#endif
}
