//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: rates.clh
//@ op:     neuron.fire_rate/1
//@ kernel: neuron_fire_rate__naive
//@ global: ceildiv(C, 32), M
//@ score:  0
//@ about:  one work-item makes one word of spikes: 32 neurons, one after the other
//
// neuron.fire (neuron_stabilise.cl), and what neuron_forward_rate.cl adds up for the block of time steps, with th in the place
// of v_th: h = h(u - th), and the reset subtracts th. f, e and count come in undefined at the first step of a block and count as 0.
#pragma OPENCL FP_CONTRACT OFF

__kernel void neuron_fire_rate__naive(SP_IN(float, u), SP_IN(float, th), SP_OUT(uint, s), SP_IO(float, f), SP_IO(float, e),
                                      SP_IO(uint, count), int M, int C, int P, int block_start, float decay, float x_gain,
                                      float v_reset, float width, float share)
{
    SP_AT(u);
    SP_AT(th);
    SP_AT(s);
    SP_AT(f);
    SP_AT(e);
    SP_AT(count);
    const neuron_args p = {decay, x_gain, th[0], v_reset};
    const int word = (int)get_global_id(0);
    const ulong m = get_global_id(1), words = (ulong)SP_WORDS(C), at = m * words + (ulong)word;
    const int end = min(C, word * 32 + 32);
    uint bits = 0;

    for (int c = word * 32; c < end; c++) {
        const ulong i = m * (ulong)C + (ulong)c;
        bits |= add_rates(u[i], f + i, e + i, block_start, width, share, p) << (c & 31);
    }
    s[at] = bits;
    count_spikes(count + at, (ulong)M * words, P, block_start, bits);
}
