//@ plugin: gpu_neuron 1.0.0
//@ abi:    1
//@ include: words.clh
//@ all:    device: gpu
//@ op:     neuron.forward/1
//@ kernel: neuron_forward__words4
//@ global: roundup(M*ceildiv(C, 32)*8, WGS)
//@ local:  WGS
//@ tune:   WGS = 128 64 256
//@ define: SP_REAL_WIDTH = 4
//@ when:   C % 4 == 0 && WGS <= wg && M*ceildiv(C, 32)*32 < 2147483648
//@ score:  50
//@ about:  four neurons a work-item; eight items put a word of spikes together in local memory
//@ op:     neuron.forward/1
//@ kernel: neuron_forward__words
//@ global: roundup(M*ceildiv(C, 32)*32, WGS)
//@ local:  WGS
//@ tune:   WGS = 128 64 256
//@ define: SP_REAL_WIDTH = 1
//@ when:   WGS <= wg && M*ceildiv(C, 32)*32 < 2147483648
//@ score:  40
//@ about:  one neuron a work-item; 32 items put a word of spikes together in local memory

/* v = reset(u_prev) (v_reset at first); u = charge(v, x or scale x + shift); s = u >= v_th as bits. x, u, u_prev:
 * [M][C]; s: [M][ceil(C/32)], bits past C are zero. With U_HALF u is kept as half, and the spike
 * follows from what is kept. u may be u_prev: every item reads its neurons before it writes them. */
#pragma OPENCL FP_CONTRACT OFF

#if SP_REAL_WIDTH == 4
#define NAME neuron_forward__words4
#if U_HALF
#define U(p, i) SP_UN(4, p, (i) / 4)
#define U_PUT(v, p, i) SP_UN_PUT(4, v, p, (i) / 4)
#else
#define U LOAD
#define U_PUT STORE
#endif
#define U_STORED(v, p, i) SP_UN_STORED(4, v, p, (i) / 4)
#else
#define NAME neuron_forward__words
#define U SP_U
#define U_PUT SP_U_PUT
#define U_STORED SP_U_STORED
#endif

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void NAME(SP_IN(float, x), SP_REF(sp_u, u_prev),
#if NORM
                                                                   SP_IN(float, scale), SP_IN(float, shift),
#endif
                                                                   SP_IO(sp_u, u), SP_OUT(uint, s), int M, int C,
                                                                   int first, float decay, float x_gain, float v_th,
                                                                   float v_reset)
{
    __local uint bits[WGS];
    SP_AT(x);
    SP_AT_U(u_prev);
#if NORM
    SP_AT(scale);
    SP_AT(shift);
#endif
    SP_AT_U(u);
    SP_AT(s);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const int m = ROW(C), c = CHANNEL(C);
    uint mine = 0;
    if (m < M && c < C) {
        const ulong i = (ulong)m * C + c;
        real in = LOAD(x, i), v = SP_REAL(v_reset);
#if NORM
        in = fma(LOAD(scale, c), in, LOAD(shift, c));
#endif
        if (!first) {
            const real before = U(u_prev, i);
            v = neuron_reset(before, select(SP_REAL(0.0f), SP_REAL(1.0f), before >= SP_REAL(v_th)), p);
        }
        const real now = neuron_charge(v, in, p);
        U_PUT(now, u, i);
        mine = bits_of(U_STORED(now, u, i) >= SP_REAL(v_th));
    }
    put_word(bits, mine, s, M, C);
}
