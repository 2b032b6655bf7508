//@ plugin:  gpu_neuron 1.0.0
//@ abi:     1
//@ include: threshold.clh words.clh
//@ all:     device: gpu
//@ all:     tune: WGS = 128 64 256
//@ op:      neuron.forward_ext/2
//@ kernel:  neuron_forward_ext__words4
//@ global:  roundup(M*ceildiv(C, 32)*8, WGS)
//@ local:   WGS
//@ define:  SP_REAL_WIDTH = 4
//@ when:    C % 4 == 0 && WGS <= wg && M*ceildiv(C, 32)*32 < 2147483648
//@ score:   50
//@ about:   four neurons a work-item; eight items put a word of spikes together in local memory
//@ op:      neuron.forward_ext/2
//@ kernel:  neuron_forward_ext__words
//@ global:  roundup(M*ceildiv(C, 32)*32, WGS)
//@ local:   WGS
//@ define:  SP_REAL_WIDTH = 1
//@ when:    WGS <= wg && M*ceildiv(C, 32)*32 < 2147483648
//@ score:   40
//@ about:   one neuron a work-item; 32 items put a word of spikes together in local memory

/* The equations are those of cl_kernels/neuron/neuron_forward_ext.cl. u may be u_prev and aux may be aux_prev: every item reads its
 * neurons before it writes them. */
#pragma OPENCL FP_CONTRACT OFF

#if SP_REAL_WIDTH == 4
#define NAME neuron_forward_ext__words4
#else
#define NAME neuron_forward_ext__words
#endif

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void NAME(SP_IN(float, x), SP_REF(float, u_prev),
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
                                                                   SP_IO(float, u), SP_OUT(uint, s), int M, int C,
                                                                   int first, float decay, float x_gain, float v_th,
                                                                   float v_reset, float aux_decay, float aux_gain)
{
    __local uint bits[WGS];
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
    const int m = ROW(C), c = CHANNEL(C);
    uint mine = 0;
    if (m < M && c < C) {
        const ulong i = (ulong)m * C + c;
        real in = LOAD(x, i), v = SP_REAL(v_reset), a = SP_REAL(0.0f), fired = SP_REAL(0.0f);
#if NORM
        in = fma(LOAD(scale, c), in, LOAD(shift, c));
#endif
        if (!first) {
            const real before = LOAD(u_prev, i);
#if AUX
            a = LOAD(aux_prev, i);
#endif
            fired = select(SP_REAL(0.0f), SP_REAL(1.0f), before >= threshold(a, p, q));
            v = neuron_reset(before, fired, p);
        }
#if AUX
        a = neuron_aux(a, in, fired, p, q);
        in = neuron_current(in, a, p, q);
        STORE(a, aux, i);
#endif
        const real now = neuron_charge(v, in, p);
        STORE(now, u, i);
        mine = bits_of(now >= threshold(a, p, q));
    }
    put_word(bits, mine, s, M, C);
}
