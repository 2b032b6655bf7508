//@ plugin: fpga_fixed 1.0.0
//@ abi:    1
//@ include: fixed.clh
//@ op:     neuron.forward/1
//@ kernel: neuron_forward__fixed
//@ global: 1
//@ local:  1
//@ bake:   *
//@ tune:   FRAC = 10 8
//@ device: accelerator
//@ score:  1
//@ approximate: 0.02
//@ about:  single work-item in fixed point: potentials int16 with FRAC fraction bits, int32 sums

/* u = a v + b x + r with a, b as int16 with 14 fraction bits; a, b and r are asked from the neuron (linear ones only: its
 * derivatives and its charge at 0). Buffers stay float: u holds a multiple of 2^-FRAC, which float keeps exactly, so the
 * next step and the backward pass read what was computed. s = u >= v_th of the stored u. Out of range saturates. */
#pragma OPENCL FP_CONTRACT OFF
#define COEF 14

inline int coefficient(float x)
{
    return (int)convert_short_sat_rte(x * (float)(1 << COEF));
}

__kernel SP_TASK void neuron_forward__fixed(SP_IN(float, x), SP_REF(float, u_prev),
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
    const int a = coefficient(neuron_d_charge_d_v(p)), b = coefficient(neuron_d_charge_d_x(p));
    const int rest = to_fixed(neuron_charge(0.0f, 0.0f, p));
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
                const int in = to_fixed(fma(scale[c], x[i], shift[c]));
#else
                const int in = to_fixed(x[i]);
#endif
                int v = to_fixed(v_reset);
                if (!first) {
                    const float before = u_prev[i];
                    v = to_fixed(neuron_reset(before, before >= v_th ? 1.0f : 0.0f, p));
                }
                const int sum = ((a * v + b * in + (1 << (COEF - 1))) >> COEF) + rest;
                const float now = (float)convert_short_sat(sum) / (float)(1 << FRAC);
                u[i] = now;
                bits |= (uint)(now >= v_th) << j;
            }
            s[(ulong)m * SP_WORDS(C) + w] = bits;
        }
    }
}
