//@ plugin: fpga_neuron 1.0.0
//@ abi:    1
//@ op:     neuron.forward/1
//@ kernel: neuron_forward__task
//@ global: 1
//@ local:  1
//@ bake:   *
//@ device: accelerator
//@ score:  40
//@ about:  single work-item: neurons in the order of memory, 32 spikes gathered to a word

/* v = reset(u_prev) (v_reset at first); u = charge(v, x or scale x + shift); s = u >= v_th as bits. x, u, u_prev:
 * [M][C]; s: [M][ceil(C/32)], bits past C are zero. u may be u_prev: a neuron reads before it writes. */
#pragma OPENCL FP_CONTRACT OFF

__kernel SP_TASK void neuron_forward__task(SP_IN(float, x), SP_REF(float, u_prev),
#if NORM
                                           SP_IN(float, scale), SP_IN(float, shift),
#endif
                                           SP_IO(float, u), SP_OUT(uint, s), int first, float decay,
                                           float x_gain, float v_th, float v_reset)
{
    SP_AT(x); SP_AT(u_prev); SP_AT(u); SP_AT(s);
#if NORM
    SP_AT(scale); SP_AT(shift);
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    for (int m = 0; m < M; m++) {
        for (int w = 0; w < SP_WORDS(C); w++) {
            const int lanes = min(32, C - w * 32);
            uint bits = 0;
            SP_IVDEP
            SP_PIPELINE
            for (int j = 0; j < lanes; j++) {
                const int c = w * 32 + j;
                const ulong i = (ulong)m * C + c;
#if NORM
                const float in = fma(scale[c], x[i], shift[c]);
#else
                const float in = x[i];
#endif
                float v = v_reset;
                if (!first) {
                    const float before = u_prev[i];
                    v = neuron_reset(before, before >= v_th ? 1.0f : 0.0f, p);
                }
                const float now = neuron_charge(v, in, p);
                u[i] = now;
                bits |= (uint)(now >= v_th) << j;
            }
            s[(ulong)m * SP_WORDS(C) + w] = bits;
        }
    }
}
