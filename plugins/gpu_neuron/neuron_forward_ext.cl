//@ plugin:  gpu_neuron 1.0.0
//@ abi:     1
//@ include: threshold.clh norm_args.clh forward_ext.clh words.clh
//@ all:     device: gpu
//@ all:     tune: WGS = 128 64 256
//@ op:      neuron.forward_ext/3
//@ kernel:  neuron_forward_ext__words4
//@ global:  roundup(M*ceildiv(C, 32)*8, WGS)
//@ local:   WGS
//@ define:  SP_REAL_WIDTH = 4
//@ when:    !EACH && C % 4 == 0 && WGS <= wg && M*ceildiv(C, 32)*32 < 2147483648
//@ score:   50
//@ about:   four neurons a work-item; eight items put a word of spikes together in local memory
//@ op:      neuron.forward_ext/3
//@ kernel:  neuron_forward_ext__words
//@ global:  roundup(M*ceildiv(C, 32)*32, WGS)
//@ local:   WGS
//@ define:  SP_REAL_WIDTH = 1
//@ when:    WGS <= wg && M*ceildiv(C, 32)*32 < 2147483648
//@ score:   40
//@ about:   one neuron a work-item; 32 items put a word of spikes together in local memory

/* u may be u_prev and aux may be aux_prev: every item reads its neurons before it writes them. */
#pragma OPENCL FP_CONTRACT OFF

#if SP_REAL_WIDTH == 4
#define NAME neuron_forward_ext__words4
#else
#define NAME neuron_forward_ext__words
#endif

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void NAME(FORWARD_EXT_ARGS)
{
    __local uint bits[WGS];
    FORWARD_EXT_START
    const int m = ROW(C), c = CHANNEL(C);
    uint mine = 0;
    if (m < M && c < C) {
        const ulong i = (ulong)m * C + c;
#if EACH
        FORWARD_EXT_CHANNEL(c)
#endif
        real in = LOAD(x, i), before = SP_REAL(0.0f), a = SP_REAL(0.0f);
#if NORM
        in = fma(LOAD(scale, c), in, LOAD(shift, c));
#endif
        if (!first) {
            before = LOAD(u_prev, i);
#if AUX
            a = LOAD(aux_prev, i);
#endif
        }
        const real now = charge(in, before, &a, first, p, q);
#if AUX
        STORE(a, aux, i);
#endif
        STORE(now, u, i);
        mine = bits_of(now >= threshold(a, p, q));
    }
    put_word(bits, mine, s, M, C);
}
