//@ plugin:    cpu_neuron 1.0.0
//@ abi:       1
//@ include:   lanes.clh norm_args.clh forward_rows.clh charge.clh
//@ op:        neuron.forward_steps/1
//@ kernel:    neuron_forward_steps__rows16
//@ global:    min(M, cu*16)
//@ local:     1
//@ define:    SP_REAL_WIDTH = 16
//@ device:    cpu
//@ score:     50
//@ about:     a run of rows per work-item, 32 channels at a time; potentials stay in registers

/* u[1] = charge(v_reset, x); u[t + 1] = charge(reset(u[t]), x); s[t] = u[t] >= v_th. s: [steps][M][ceil(C/32)], bits past C are zero. */
#pragma OPENCL FP_CONTRACT OFF

/* Two vectors side by side: each waits for itself most of the time. */
SP_INLINE void fire_steps(float16 in_0, float16 in_1, int lanes, __global uint *s, ulong words, int steps, neuron_args p)
{
    const int more = lanes - 16;
    float16 a = neuron_charge((float16)(p.v_reset), in_0, p), b = neuron_charge((float16)(p.v_reset), in_1, p);
    for (int t = 0; t < steps; t++, s += words) {
        *s = spikes_of(a, lanes, p) | (more > 0 ? spikes_of(b, more, p) << 16 : 0u);
        a = neuron_charge(reset_of(a, p), in_0, p);
        b = neuron_charge(reset_of(b, p), in_1, p);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_forward_steps__rows16(SP_IN(float, x), NORM_ARGS SP_OUT(uint, s), int M, int C, int steps, float decay, float x_gain,
                             float v_th, float v_reset)
{
    SP_AT(x); NORM_START SP_AT(s);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    const ulong words = (ulong)M * SP_WORDS(C);
    for (long m = item * M / items; m < (item + 1) * M / items; m++) {
        const long row = m * C;
        __global uint *word = s + m * SP_WORDS(C);
        int c = 0;
        for (; c + 32 <= C; c += 32, word++)
            fire_steps(INPUT(c, 16), INPUT(c + 16, 16), 32, word, words, steps, p);
        if (c < C)
            fire_steps(INPUT(c, C - c), C - c > 16 ? INPUT(c + 16, C - c - 16) : (float16)(0.0f), C - c, word, words, steps, p);
    }
}
