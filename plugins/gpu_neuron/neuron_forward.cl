//@ plugin: gpu_neuron 1.0.0
//@ abi:    1
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
 * follows from what is kept. u may be u_prev: every item reads its neurons before it writes them.
 *
 * Neighbouring items have neighbouring channels, so that loads and stores are whole lines; the reference kernel's items
 * are 32 channels apart. LANES items make one word: each puts its bits in local memory, and a tree joins them. No
 * atomics, and no sub-groups, whose width differs between devices. */
#pragma OPENCL FP_CONTRACT OFF

#define LANES (32 / SP_REAL_WIDTH)
#if SP_REAL_WIDTH == 4
#define NAME neuron_forward__words4
#define LOAD(p, i) (*(__global const float4 *)((p) + (i))) /* a whole vector, which vload4 of floats does not promise */
#if U_HALF
#define U(p, i) SP_UN(4, p, (i) / 4)
#define U_PUT(v, p, i) SP_UN_PUT(4, v, p, (i) / 4)
#else
#define U LOAD
#define U_PUT(v, p, i) *(__global float4 *)((p) + (i)) = (v)
#endif
#define U_STORED(v, p, i) SP_UN_STORED(4, v, p, (i) / 4)
inline uint bits_of(int4 on)
{
    const uint4 bit = as_uint4(on) & (uint4)(1, 2, 4, 8);
    return bit.x | bit.y | bit.z | bit.w;
}
#else
#define NAME neuron_forward__words
#define LOAD(p, i) (p)[i]
#define U SP_U
#define U_PUT SP_U_PUT
#define U_STORED SP_U_STORED
inline uint bits_of(int on)
{
    return on ? 1u : 0u;
}
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
    const int lid = (int)get_local_id(0), item = (int)get_global_id(0), words = SP_WORDS(C);
    const int word = item / LANES, lane = item % LANES, m = word / words;
    const int c = word % words * 32 + lane * SP_REAL_WIDTH;
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
        mine = bits_of(U_STORED(now, u, i) >= SP_REAL(v_th)) << lane * SP_REAL_WIDTH;
    }
    bits[lid] = mine;
    for (int half_lanes = LANES / 2; half_lanes > 0; half_lanes /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < half_lanes)
            bits[lid] |= bits[lid + half_lanes];
    }
    if (lane == 0 && m < M) /* this item joined the word itself */
        s[word] = bits[lid];
}
