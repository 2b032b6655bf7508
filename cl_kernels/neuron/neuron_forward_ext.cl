//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: threshold.clh
//@ op:     neuron.forward_ext/3
//@ kernel: neuron_forward_ext__naive
//@ global: ceildiv(C, 32), M
//@ score:  0
//@ about:  as neuron_forward__naive, for a model with a second state or a learnable scalar
//
// s[t-1] = u_prev >= threshold(aux_prev); v = reset(u_prev, s[t-1]); aux = neuron_aux(aux_prev, x, s[t-1]);
// u = charge(v, current(x, aux)); s = u >= threshold(aux). At first v = v_reset, aux_prev = 0, s[t-1] = 0.
// u may be u_prev and aux may be aux_prev: the same work-item reads an element before it writes it.
#pragma OPENCL FP_CONTRACT OFF

__kernel void neuron_forward_ext__naive(SP_IN(float, x), SP_REF(float, u_prev),
#if NORM
                                        SP_IN(float, scale), SP_IN(float, shift),
#endif
#if AUX
                                        SP_REF(float, aux_prev), SP_IO(float, aux),
#endif
#if LEARN
                                        SP_IN(float, w),
#endif
#if V_TH
                                        SP_IN(float, th),
#endif
                                        SP_IO(float, u), SP_OUT(uint, s), int C, int first, float decay,
                                        float x_gain, float v_th, float v_reset, float aux_decay,
                                        float aux_gain)
{
    SP_AT(x);
    SP_AT(u_prev);
    SP_AT(u);
    SP_AT(s);
    neuron_args p = {decay, x_gain, v_th, v_reset};
    const aux_args q = {aux_decay, aux_gain};
#if NORM
    SP_AT(scale);
    SP_AT(shift);
#endif
#if AUX
    SP_AT(aux_prev);
    SP_AT(aux);
#endif
#if V_TH
    SP_AT(th);
    p.v_th = th[0];
#endif
#if LEARN
    SP_AT(w);
    p = neuron_learn(p, w[0]);
#endif
#if EACH
    const neuron_args layer = {decay, x_gain, v_th, v_reset};
#endif
    const int word = (int)get_global_id(0);
    const ulong m = get_global_id(1);
    const int end = min(C, word * 32 + 32);
    uint bits = 0;

    for (int c = word * 32; c < end; c++) {
        const ulong i = m * (ulong)C + (ulong)c;
#if EACH
        p = layer;
#endif
#if EACH && V_TH
        p.v_th = th[c];
#endif
#if EACH && LEARN
        p = neuron_learn(p, w[c]);
#endif
        float in = x[i], v = v_reset, a = 0.0f, fired = 0.0f;
#if NORM
        in = fma(scale[c], in, shift[c]);
#endif
        if (!first) {
            const float before = u_prev[i];
#if AUX
            a = aux_prev[i];
#endif
            fired = before >= threshold(a, p, q) ? 1.0f : 0.0f;
            v = neuron_reset(before, fired, p);
        }
#if AUX
        a = neuron_aux(a, in, fired, p, q);
        in = neuron_current(in, a, p, q);
        aux[i] = a;
#endif
        const float now = neuron_charge(v, in, p);
        u[i] = now;
        if (now >= threshold(a, p, q))
            bits |= 1u << (c & 31);
    }
    s[m * (ulong)SP_WORDS(C) + (ulong)word] = bits;
}
