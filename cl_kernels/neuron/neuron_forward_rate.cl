//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: rates.clh
//@ op:     neuron.forward_rate/2
//@ kernel: neuron_forward_rate__naive
//@ global: ceildiv(C, 32), M
//@ score:  0
//@ about:  one work-item makes one word of spikes: 32 neurons, one after the other
//
// neuron.forward (neuron_forward.cl), and for the block of time steps: now = d_charge/d_x + d_charge/d_v f; e += share now h;
// count += s; f = now (d_reset/d_u + d_reset/d_s h); with X_MEAN x_mean += share x. All of them come in undefined at the first step of a
// block and count as 0.
// count: [P][M][ceil(C/32)], the binary digits of 32 numbers in a word each, the lowest first.
#pragma OPENCL FP_CONTRACT OFF

__kernel void neuron_forward_rate__naive(SP_IN(float, x), SP_REF(sp_u, u_prev),
#if NORM
                                         SP_IN(float, scale), SP_IN(float, shift),
#endif
                                         SP_IO(sp_u, u), SP_OUT(uint, s), SP_IO(float, f), SP_IO(float, e),
                                         SP_IO(uint, count),
#if X_MEAN
                                         SP_IO(float, x_mean),
#endif
                                         int M, int C, int P, int first, int block_start,
                                         float decay, float x_gain, float v_th, float v_reset, float width,
                                         float share)
{
    SP_AT(x);
    SP_AT_U(u_prev);
#if NORM
    SP_AT(scale);
    SP_AT(shift);
#endif
    SP_AT_U(u);
    SP_AT(s);
    SP_AT(f);
    SP_AT(e);
    SP_AT(count);
#if X_MEAN
    SP_AT(x_mean);
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const int word = (int)get_global_id(0);
    const ulong m = get_global_id(1), words = (ulong)SP_WORDS(C), at = m * words + (ulong)word;
    const int end = min(C, word * 32 + 32);
    uint bits = 0;

    for (int c = word * 32; c < end; c++) {
        const ulong i = m * (ulong)C + (ulong)c;
        float in = x[i], v = v_reset;
#if X_MEAN
        x_mean[i] = (block_start ? 0.0f : x_mean[i]) + share * in;
#endif
#if NORM
        in = fma(scale[c], in, shift[c]);
#endif
        if (!first) {
            const float before = SP_U(u_prev, i);
            v = neuron_reset(before, before >= v_th ? 1.0f : 0.0f, p);
        }
        const float charged = neuron_charge(v, in, p);
        SP_U_PUT(charged, u, i);
        bits |= add_rates(SP_U_STORED(charged, u, i), f + i, e + i, block_start, width, share, p) << (c & 31);
    }
    s[at] = bits;
    count_spikes(count + at, (ulong)M * words, P, block_start, bits);
}
