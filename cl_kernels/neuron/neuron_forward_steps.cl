//@ plugin:    reference 1.0.0
//@ abi:       1
//@ include:   norm_args.clh
//@ op:        neuron.forward_steps/1
//@ kernel:    neuron_forward_steps__naive
//@ global:    ceildiv(C, 32), M
//@ score:     0
//@ about:     one work-item makes one word of spikes of every time step: 32 neurons, one after the other
//
// u[1] = charge(v_reset, x); u[t + 1] = charge(reset(u[t]), x); s[t] = u[t] >= v_th. s: [steps][M][ceil(C/32)], bits past C are
// zero.
#pragma OPENCL FP_CONTRACT OFF

__kernel void neuron_forward_steps__naive(SP_IN(float, x), NORM_ARGS SP_OUT(uint, s), int M, int C, int steps,
                                          float decay, float x_gain, float v_th, float v_reset)
{
    SP_AT(x);
    NORM_START
    SP_AT(s);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const int word = (int)get_global_id(0);
    const ulong m = get_global_id(1), words = (ulong)SP_WORDS(C), at = m * words + word;

    for (int t = 0; t < steps; t++)
        s[(ulong)t * M * words + at] = 0;
    for (int c = word * 32; c < min(C, word * 32 + 32); c++) {
        const float in = NORM_CURRENT(c, x[m * C + c]);
        float u = neuron_charge(v_reset, in, p);
        for (int t = 0; t < steps; t++) {
            const int fires = u >= v_th;
            s[(ulong)t * M * words + at] |= (uint)fires << (c & 31);
            u = neuron_charge(neuron_reset(u, fires ? 1.0f : 0.0f, p), in, p);
        }
    }
}
