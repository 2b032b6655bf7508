//@ plugin: reference 1.0.0
//@ abi:    1
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
        const float fired = u[i] >= p.v_th ? 1.0f : 0.0f, h = surrogate_grad(u[i] - p.v_th, width);
        const float now = neuron_d_charge_d_x(p) + (block_start ? 0.0f : neuron_d_charge_d_v(p) * f[i]);
        float d_v = neuron_d_reset_d_u(u[i], fired, p);
#if !DETACH
        d_v += neuron_d_reset_d_s(u[i], fired, p) * h;
#endif
        e[i] = (block_start ? 0.0f : e[i]) + share * now * h;
        f[i] = now * d_v;
        bits |= (fired > 0.0f ? 1u : 0u) << (c & 31);
    }
    s[at] = bits;
    for (int digit = 0; digit < P; digit++) {
        const ulong k = (ulong)digit * (ulong)M * words + at;
        const uint old = block_start ? 0u : count[k];
        count[k] = old ^ bits;
        bits &= old;
    }
}
