//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh norm_args.clh forward_rows.clh charge.clh carry.clh backward_step.clh pooled.clh
//@ all:    global: min(N*H*W, cu*16)
//@ all:    local:  1
//@ all:    bake:   KH KW
//@ all:    when:   KH == SH && KW == SW && PH == 0 && PW == 0
//@ all:    define: SP_REAL_WIDTH = 16
//@ all:    define: TEMPORAL = 0
//@ all:    device: cpu
//@ all:    score:  50
//@ op:     neuron.forward_static/1
//@ kernel: neuron_forward_static__rows16
//@ define: FORWARD = 1
//@ about:  a run of pixels per work-item, 32 channels at a time; potentials stay in registers
//@ op:     neuron.backward_static/1
//@ kernel: neuron_backward_static__rows16
//@ define: FORWARD = 0
//@ about:  the same for the last time step, without spikes

/* u[1] = charge(v_reset, x); u[t + 1] = charge(reset(u[t]), x). Forward: s = u[steps] >= v_th, and from the second time
 * step on the gradient through u[steps - 1], which takes the place of g_x at the second, and is added to it behind that.
 * Backward: the gradient through u[steps] is added. s: [N H W][ceil(C/32)], bits past C are zero. */
#pragma OPENCL FP_CONTRACT OFF

/* u[steps] and, in `before`, u[steps - 1], of two vectors side by side: each waits for itself most of the time. */
SP_INLINE void potentials(float16 in_0, float16 in_1, int steps, neuron_args p, float16 *now, float16 *before)
{
    float16 a = neuron_charge((float16)(p.v_reset), in_0, p), b = neuron_charge((float16)(p.v_reset), in_1, p);
    float16 a_before = a, b_before = b;
    for (int t = 1; t < steps; t++) {
        a_before = a;
        b_before = b;
        a = neuron_charge(reset_of(a, p), in_0, p);
        b = neuron_charge(reset_of(b, p), in_1, p);
    }
    now[0] = a, now[1] = b, before[0] = a_before, before[1] = b_before;
}

/* What 16 channels, of which `lanes` exist, add to their sum. */
SP_INLINE void add(float16 g_s, float16 u, __global float *g_x, int lanes, int begins, float width, neuron_args p)
{
    const float16 g = behind(g_s, u, g_x, lanes, 1, width, p);
    sp_store_lanes(begins ? g : sp_load_lanes(g_x, lanes) + g, g_x, lanes);
}

/* Channels c .. c + 31 of a pixel, of which `lanes` exist; returns their spikes. */
SP_INLINE uint neurons(float16 in_0, float16 in_1, pooled_row r, int w, __global float *g_x, int C, int c, int lanes, int steps,
                       float width, neuron_args p)
{
    float16 now[2], before[2];
    potentials(in_0, in_1, steps, p, now, before);
    if (!FORWARD || steps > 1) {
        add(pooled_lanes(r, w, C, c, lanes), FORWARD ? before[0] : now[0], g_x + c, lanes, FORWARD && steps == 2, width, p);
        if (lanes > 16)
            add(pooled_lanes(r, w, C, c + 16, lanes - 16), FORWARD ? before[1] : now[1], g_x + c + 16, lanes - 16,
                FORWARD && steps == 2, width, p);
    }
    return FORWARD ? spikes_of(now[0], lanes, p) | (lanes > 16 ? spikes_of(now[1], lanes - 16, p) << 16 : 0u) : 0u;
}

#if FORWARD
#define KERNEL neuron_forward_static__rows16
#define S_ARG  SP_OUT(uint, s),
#define STEPS  time_step
#else
#define KERNEL neuron_backward_static__rows16
#define S_ARG
#define STEPS  steps
#undef PUT_SPIKES
#define PUT_SPIKES(word, bits) (void)(bits)
#endif
#define NEURONS(c, lanes)                                                                                    \
    neurons(INPUT(c, lanes), (lanes) > 16 ? INPUT((c) + 16, (lanes) - 16) : (float16)(0.0f), r, m - line * W, g_x + row, C, c, lanes, \
            STEPS, width, p)

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
KERNEL(SP_IN(float, x), NORM_ARGS SP_IN(float, g_y), SP_IO(float, g_x), S_ARG int N, int H, int W, int C, int HO, int WO,
       int STEPS, float decay, float x_gain, float v_th, float v_reset, float width)
{
    SP_AT(x); NORM_START SP_AT(g_y); SP_AT(g_x);
#if FORWARD
    SP_AT(s);
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), pixels = (long)N * H * W;
    const int end = (int)((item + 1) * pixels / items);
    for (int m = (int)(item * pixels / items); m < end;) {
        const int line = m / W, stop = min(end, (line + 1) * W);
        const pooled_row r = pooled_row_of(g_y, line, H, C, HO, WO);
        for (; m < stop; m++) {
            const long row = (long)m * C;
            long word = (long)m * SP_WORDS(C);
            int c = 0;
            for (; c + 32 <= C; c += 32, word++)
                PUT_SPIKES(word, NEURONS(c, 32));
            if (c < C)
                PUT_SPIKES(word, NEURONS(c, C - c));
        }
    }
}
