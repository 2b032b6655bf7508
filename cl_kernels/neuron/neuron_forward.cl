//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     neuron.forward/1
//@ kernel: neuron_forward__naive
//@ global: ceildiv(C, 32), M
//@ score:  0
//@ about:  one work-item makes one word of spikes: 32 neurons, one after the other
//
// v = reset(u_prev) (v_reset at first); u = charge(v, x); s = u >= v_th. x, u, u_prev: [M][C]; s:
// [M][ceil(C/32)], bits past C are zero. u may be u_prev: every element is read before it is written, by the
// same work-item. With U_HALF u is kept as half, and the spike follows from what is kept.
#pragma OPENCL FP_CONTRACT OFF

__kernel void neuron_forward__naive(SP_IN(float, x), SP_REF(sp_u, u_prev),
#if NORM
                                    SP_IN(float, scale), SP_IN(float, shift),
#endif
                                    SP_IO(sp_u, u), SP_OUT(uint, s), int C, int first, float decay,
                                    float x_gain, float v_th, float v_reset)
{
    SP_AT(x);
    SP_AT_U(u_prev);
#if NORM
    SP_AT(scale);
    SP_AT(shift);
#endif
    SP_AT_U(u);
    SP_AT(s);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const int word = (int)get_global_id(0);
    const ulong m = get_global_id(1);
    const int end = min(C, word * 32 + 32);
    uint bits = 0;

    for (int c = word * 32; c < end; c++) {
        const ulong i = m * (ulong)C + (ulong)c;
        float in = x[i], v = v_reset;
#if NORM
        in = fma(scale[c], in, shift[c]);
#endif
        if (!first) {
            const float before = SP_U(u_prev, i);
            v = neuron_reset(before, before >= v_th ? 1.0f : 0.0f, p);
        }
        const float now = neuron_charge(v, in, p);
        SP_U_PUT(now, u, i);
        if (SP_U_STORED(now, u, i) >= v_th)
            bits |= 1u << (c & 31);
    }
    s[m * (ulong)SP_WORDS(C) + (ulong)word] = bits;
}
