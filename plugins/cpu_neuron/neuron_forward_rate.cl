//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh charge.clh forward_rows.clh rates.clh
//@ op:     neuron.forward_rate/2
//@ kernel: neuron_forward_rate__rows16
//@ global: min(M, cu*16)
//@ local:  1
//@ define: SP_REAL_WIDTH = 16
//@ device: cpu
//@ score:  50
//@ about:  a run of rows per work-item, 16 neurons at a time, spikes packed from the lanes and counted in binary
//@ op:     neuron.fire_rate/1
//@ kernel: neuron_fire_rate__rows16
//@ global: min(M, cu*16)
//@ local:  1
//@ define: SP_REAL_WIDTH = 16
//@ define: CHARGED = 1
//@ device: cpu
//@ score:  50
//@ about:  the same walk over potentials that are charged already

/* neuron.forward (neuron_forward.cl), and for the block of time steps: now = d_charge/d_x + d_charge/d_v f; e += share now h;
 * count += s; f = now (d_reset/d_u + d_reset/d_s h); with X_MEAN x_mean += share x. They are not read at the first step of a block.
 * count: [P][M][ceil(C/32)], the binary digits of 32 numbers in a word each, the lowest first. With U_HALF u is kept as half.
 * neuron.fire_rate (CHARGED): u is known, and so is th, which stands in the place of v_th. */
#pragma OPENCL FP_CONTRACT OFF

/* One vector of neurons; `now` is u. Returns the spikes. */
SP_INLINE uint fire(float16 now, __global float *f, __global float *e, int lanes, int block_start, float width, float share,
                    neuron_args p)
{
    const float16 h = surrogate_grad(now - (float16)(p.v_th), width);
    const float16 s = select((float16)(0.0f), (float16)(1.0f), now >= (float16)(p.v_th));
    float16 d_x = neuron_d_charge_d_x(p), sum = (float16)(0.0f), d_v = neuron_d_reset_d_u(now, s, p);
    if (!block_start) {
        d_x = fma(neuron_d_charge_d_v(p), sp_load_lanes(f, lanes), d_x);
        sum = sp_load_lanes(e, lanes);
    }
#if !DETACH
    d_v = fma(neuron_d_reset_d_s(now, s, p), h, d_v);
#endif
    sp_store_lanes(fma(share * d_x, h, sum), e, lanes);
    sp_store_lanes(d_x * d_v, f, lanes);
    return spikes_of(now, lanes, p);
}

/* Adds a vector of inputs, before they are normalised, to their mean. */
SP_INLINE void add_input(__global const float *x, __global float *x_mean, int lanes, int block_start, float share)
{
    const float16 old = block_start ? (float16)(0.0f) : sp_load_lanes(x_mean, lanes);
    sp_store_lanes(fma((float16)(share), sp_load_lanes(x, lanes), old), x_mean, lanes);
}

#if X_MEAN
#define ADD_INPUT(c, lanes) add_input(x + row + (c), x_mean + row + (c), lanes, block_start, share),
#else
#define ADD_INPUT(c, lanes)
#endif
#if defined(CHARGED)
#define POTENTIALS(c, lanes) sp_load_lanes(u + row + (c), lanes)
#else
#define POTENTIALS(c, lanes) charge(INPUT(c, lanes), u_prev + row + (c), u + row + (c), lanes, first, p)
#endif
#define FIRE(c, lanes)                                                                                       \
    (ADD_INPUT(c, lanes)                                                                                     \
         fire(POTENTIALS(c, lanes), f + row + (c), e + row + (c), lanes, block_start, width, share, p))
#undef PUT_SPIKES
#define PUT_SPIKES(word, bits)                                                                               \
    do {                                                                                                     \
        const uint fired = bits;                                                                             \
        s[word] = fired;                                                                                     \
        count_spikes(count + (word), (ulong)M * (ulong)SP_WORDS(C), P, block_start, fired);                  \
    } while (0)

#if defined(CHARGED)
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_fire_rate__rows16(SP_IN(float, u), SP_IN(float, th), SP_OUT(uint, s), SP_IO(float, f), SP_IO(float, e), SP_IO(uint, count),
                         int M, int C, int P, int block_start, float decay, float x_gain, float v_reset, float width, float share)
{
    SP_AT(u); SP_AT(th); SP_AT(s); SP_AT(f); SP_AT(e); SP_AT(count);
    const neuron_args p = {decay, x_gain, th[0], v_reset};
    FIRE_ROWS
}
#else
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_forward_rate__rows16(SP_IN(float, x), SP_REF(sp_u, u_prev),
#if NORM
                            SP_IN(float, scale), SP_IN(float, shift),
#endif
                            SP_IO(sp_u, u), SP_OUT(uint, s), SP_IO(float, f), SP_IO(float, e), SP_IO(uint, count),
#if X_MEAN
                            SP_IO(float, x_mean),
#endif
                            int M, int C, int P, int first, int block_start, float decay, float x_gain, float v_th, float v_reset,
                            float width, float share)
{
    SP_AT(x); SP_AT_U(u_prev); SP_AT_U(u); SP_AT(s); SP_AT(f); SP_AT(e); SP_AT(count);
#if NORM
    SP_AT(scale); SP_AT(shift);
#endif
#if X_MEAN
    SP_AT(x_mean);
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    FIRE_ROWS
}
#endif
