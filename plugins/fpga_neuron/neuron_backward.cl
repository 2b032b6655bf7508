//@ plugin: fpga_neuron 1.0.0
//@ abi:    1
//@ op:     neuron.backward/1
//@ kernel: neuron_backward__task
//@ global: 1
//@ local:  1
//@ bake:   *
//@ device: accelerator
//@ score:  40
//@ about:  single work-item: one neuron an iteration, surrogate inlined

/* h = surrogate'(u - v_th); g_u = g_s h [+ carry (d_reset/d_u + d_reset/d_s h)]; g_x = g_u d_charge/d_x;
 * carry = g_u d_charge/d_v. At the last time step carry comes in undefined and is not read. g_x may be g_s. */
#pragma OPENCL FP_CONTRACT OFF

__kernel SP_TASK void neuron_backward__task(SP_REF(float, g_s), SP_IN(float, u),
#if TEMPORAL
                                            SP_IO(float, carry), int last,
#endif
                                            SP_IO(float, g_x), float decay, float x_gain, float v_th,
                                            float v_reset, float width)
{
    SP_AT(g_s); SP_AT(u); SP_AT(g_x);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
#if TEMPORAL
    SP_AT(carry);
#endif
    SP_IVDEP
    SP_PIPELINE
    for (ulong i = 0; i < (ulong)M * C; i++) {
        const float now = u[i], h = surrogate_grad(now - v_th, width);
        float g_u = g_s[i] * h;
#if TEMPORAL
        if (!last) {
            const float s = now >= v_th ? 1.0f : 0.0f;
            float d_v = neuron_d_reset_d_u(now, s, p);
#if !DETACH
            d_v = fma(neuron_d_reset_d_s(now, s, p), h, d_v);
#endif
            g_u = fma(carry[i], d_v, g_u);
        }
        carry[i] = g_u * neuron_d_charge_d_v(p);
#endif
        g_x[i] = g_u * neuron_d_charge_d_x(p);
    }
}
