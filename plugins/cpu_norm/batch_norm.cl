//@ plugin:    cpu_norm 1.0.0
//@ abi:       1
//@ include:   lanes.clh slots.clh
//@ all:       device: cpu
//@ all:       score: 50
//@ all:       define: SLOTS = 64
//@ op:        batch_norm.statistics/1
//@ kernel:    batch_norm_statistics__slots
//@ global:    min(ceildiv(M, 16), SLOTS)
//@ local:     1
//@ kernel:    batch_norm_statistics__combine
//@ global:    ceildiv(C, 16)
//@ local:     1
//@ define:    BACKWARD = 0
//@ workspace: min(ceildiv(M, 16), SLOTS)*2*C
//@ about:     16, 64 or 128 channels in registers over the rows of a slot, then the slots as one sample
//@ op:        batch_norm.backward/1
//@ kernel:    batch_norm_backward__slots
//@ global:    min(ceildiv(M, 16), SLOTS)
//@ local:     1
//@ kernel:    batch_norm_backward__combine
//@ global:    ceildiv(C, 16)
//@ local:     1
//@ kernel:    batch_norm_backward__apply
//@ global:    min(ceildiv(M, 16), SLOTS)
//@ local:     1
//@ define:    BACKWARD = 1
//@ workspace: min(ceildiv(M, 16), SLOTS)*2*C + 2*C
//@ about:     sums of g and g xhat per slot, then per channel, then the gradient of the input

/* Rows are split into slots of fixed bounds: a work-item (one per group) walks over a slot's rows with the
 * channels in the lanes. work: [slot][2][C] (mean and squared distances, or the two sums), then for the
 * backward pass [2][C]. Squares are taken of distances from a guess (the mean of the slot's first rows),
 * so that a channel far from zero keeps its variance; slots are then joined as one sample (Chan, Golub,
 * LeVeque 1983). */

/* Rows of the slots one after the other, as slot_start has them, without its divisions: there would be four for each slot and
 * 16 channels. *over starts at 0. */
SP_INLINE float slot_rows(int *over, int slots, int M)
{
    const int more = *over + M % slots, one = more >= slots;
    *over = more - one * slots;
    return (float)(M / slots + one);
}

#define MAX_VECTORS 8

#if !BACKWARD
/* A core that only reads gets no more than its prefetchers bring: they follow each of several places at once. */
#define STREAMS 4

SP_INLINE void add_row(__global const float *p, int lanes, float16 guess, float16 *sum, float16 *square)
{
    const float16 d = sp_load_lanes(p, lanes) - guess;
    *sum += d;
    *square = fma(d, d, *square);
}

/* One slot, `vectors` (a literal) times 16 channels from c, of which `lanes` exist. Unrolled, because arrays that a loop counts through
 * stay in memory. */
SP_INLINE void moments(__global const float *x, __global float *work, int start, int end, int C, int c,
                       int lanes, int vectors)
{
    float16 guess[MAX_VECTORS], sum[MAX_VECTORS], square[MAX_VECTORS];
    const int first = min(4, end - start);
    const float one_over_n = 1.0f / (float)(end - start), one_over_first = 1.0f / (float)first;
    __global const float *p = x + (ulong)start * (ulong)C + c;
    #pragma unroll
    for (int v = 0; v < vectors; v++)
        guess[v] = sum[v] = square[v] = (float16)(0.0f);
    for (int m = 0; m < first; m++)
        #pragma unroll
        for (int v = 0; v < vectors; v++)
            guess[v] += sp_load_lanes(p + (ulong)m * (ulong)C + v * 16, lanes);
    #pragma unroll
    for (int v = 0; v < vectors; v++)
        guess[v] *= one_over_first;
    const int part = (end - start) / STREAMS;
    const ulong stride = (ulong)part * (ulong)C;
    for (int m = 0; m < part; m++, p += C)
        #pragma unroll
        for (int s = 0; s < STREAMS; s++)
            #pragma unroll
            for (int v = 0; v < vectors; v++)
                add_row(p + s * stride + v * 16, lanes, guess[v], &sum[v], &square[v]);
    p += (STREAMS - 1) * stride;
    for (int m = start + STREAMS * part; m < end; m++, p += C)
        #pragma unroll
        for (int v = 0; v < vectors; v++)
            add_row(p + v * 16, lanes, guess[v], &sum[v], &square[v]);
    #pragma unroll
    for (int v = 0; v < vectors; v++) {
        const float16 apart = sum[v] * one_over_n;
        sp_store_lanes(guess[v] + apart, work + c + v * 16, lanes);
        sp_store_lanes(fmax(square[v] - sum[v] * apart, (float16)(0.0f)), work + C + c + v * 16, lanes);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void batch_norm_statistics__slots(SP_IN(float, x), SP_OUT(float, work), int M, int C)
{
    SP_AT(x); SP_AT(work);
    const int slot = (int)get_global_id(0), slots = (int)get_global_size(0);
    const int start = slot_start(slot, slots, M), end = slot_start(slot + 1, slots, M);
    int c = 0;
    work += (ulong)slot * 2 * (ulong)C;
    for (; c + 128 <= C; c += 128)
        moments(x, work, start, end, C, c, 16, 8);
    for (; c + 64 <= C; c += 64)
        moments(x, work, start, end, C, c, 16, 4);
    for (; c + 32 <= C; c += 32)
        moments(x, work, start, end, C, c, 16, 2);
    for (; c + 16 <= C; c += 16)
        moments(x, work, start, end, C, c, 16, 1);
    if (c < C)
        moments(x, work, start, end, C, c, C - c, 1);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
batch_norm_statistics__combine(SP_IN(float, work), SP_IN(float, gamma), SP_IN(float, beta),
                               SP_OUT(float, mean), SP_OUT(float, rstd), SP_OUT(float, scale),
                               SP_OUT(float, shift), SP_IO(float, running_mean), SP_IO(float, running_var),
                               int M, int C, float eps, float momentum)
{
    SP_AT(work); SP_AT(gamma); SP_AT(beta); SP_AT(mean); SP_AT(rstd); SP_AT(scale); SP_AT(shift);
    SP_AT(running_mean); SP_AT(running_var);
    const int c = (int)get_global_id(0) * 16, lanes = C - c, slots = min((M + 15) / 16, SLOTS);
    const float16 guess = sp_load_lanes(work + c, lanes);
    __global const float *p = work + c;
    float16 rest = 0.0f, m2 = 0.0f;
    int over = 0;
    for (int s = 0; s < slots; s++, p += 2 * (ulong)C)
        rest += slot_rows(&over, slots, M) * (sp_load_lanes(p, lanes) - guess);
    const float16 mu = guess + rest / (float)M;
    p = work + c;
    over = 0;
    for (int s = 0; s < slots; s++, p += 2 * (ulong)C) {
        const float16 d = sp_load_lanes(p, lanes) - mu;
        m2 += fma(slot_rows(&over, slots, M) * d, d, sp_load_lanes(p + C, lanes));
    }
    const float16 r = 1.0f / sqrt(m2 / (float)M + eps), a = sp_load_lanes(gamma + c, lanes) * r;
    sp_store_lanes(mu, mean + c, lanes);
    sp_store_lanes(r, rstd + c, lanes);
    sp_store_lanes(a, scale + c, lanes);
    sp_store_lanes(sp_load_lanes(beta + c, lanes) - mu * a, shift + c, lanes);
    sp_store_lanes((1.0f - momentum) * sp_load_lanes(running_mean + c, lanes) + momentum * mu, running_mean + c,
                lanes);
    sp_store_lanes((1.0f - momentum) * sp_load_lanes(running_var + c, lanes) +
                    momentum * (m2 / (float)max(M - 1, 1)),
                running_var + c, lanes);
}
#else

SP_INLINE void sums(__global const float *g, __global const sp_xh *x, __global const float *mean,
                    __global const float *rstd, __global float *work, int rows, int C, int lanes, int vectors)
{
    float16 mu[MAX_VECTORS], r[MAX_VECTORS], sum_g[MAX_VECTORS], sum_gx[MAX_VECTORS];
    for (int v = 0; v < vectors; v++) {
        mu[v] = sp_load_lanes(mean + v * 16, lanes);
        r[v] = sp_load_lanes(rstd + v * 16, lanes);
        sum_g[v] = sum_gx[v] = (float16)(0.0f);
    }
    for (int m = 0; m < rows; m++, g += C, x += C)
        for (int v = 0; v < vectors; v++) {
            const float16 gv = sp_load_lanes(g + v * 16, lanes);
            sum_g[v] += gv;
            sum_gx[v] = fma(gv, (sp_load_lanes_x(x + v * 16, lanes) - mu[v]) * r[v], sum_gx[v]);
        }
    for (int v = 0; v < vectors; v++) {
        sp_store_lanes(sum_g[v], work + v * 16, lanes);
        sp_store_lanes(sum_gx[v], work + C + v * 16, lanes);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void batch_norm_backward__slots(SP_REF(float, g), SP_IN(sp_xh, x), SP_IN(float, mean), SP_IN(float, rstd),
                                SP_OUT(float, work), int M, int C)
{
    SP_AT(g); SP_AT_XH(x); SP_AT(mean); SP_AT(rstd); SP_AT(work);
    const int slot = (int)get_global_id(0), slots = (int)get_global_size(0);
    const int start = slot_start(slot, slots, M), rows = slot_start(slot + 1, slots, M) - start;
    int c = 0;
    work += (ulong)slot * 2 * (ulong)C;
    g += (ulong)start * (ulong)C;
    x += (ulong)start * (ulong)C;
    for (; c + 64 <= C; c += 64)
        sums(g + c, x + c, mean + c, rstd + c, work + c, rows, C, 16, 4);
    for (; c + 32 <= C; c += 32)
        sums(g + c, x + c, mean + c, rstd + c, work + c, rows, C, 16, 2);
    for (; c + 16 <= C; c += 16)
        sums(g + c, x + c, mean + c, rstd + c, work + c, rows, C, 16, 1);
    if (c < C)
        sums(g + c, x + c, mean + c, rstd + c, work + c, rows, C, C - c, 1);
}

/* Adds the sums to the parameters' gradients; their means over the M rows go behind the slots. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
batch_norm_backward__combine(SP_IO(float, work), SP_IO(float, g_gamma), SP_IO(float, g_beta), int M, int C)
{
    SP_AT(work); SP_AT(g_gamma); SP_AT(g_beta);
    const int c = (int)get_global_id(0) * 16, lanes = C - c, slots = min((M + 15) / 16, SLOTS);
    float16 sum_g = 0.0f, sum_gx = 0.0f;
    __global float *p = work + c;
    for (int s = 0; s < slots; s++, p += 2 * (ulong)C) {
        sum_g += sp_load_lanes(p, lanes);
        sum_gx += sp_load_lanes(p + C, lanes);
    }
    sp_store_lanes(sp_load_lanes(g_beta + c, lanes) + sum_g, g_beta + c, lanes);
    sp_store_lanes(sp_load_lanes(g_gamma + c, lanes) + sum_gx, g_gamma + c, lanes);
    sp_store_lanes(sum_g / (float)M, p, lanes);
    sp_store_lanes(sum_gx / (float)M, p + C, lanes);
}

/* One vector of g_x: gamma rstd (g - mean_g - xhat mean_gx). */
inline void apply(__global const float *g, __global const sp_xh *x, __global const float *means,
                  __global const float *mean, __global const float *rstd, __global const float *gamma,
                  __global float *g_x, int C, int c, int lanes)
{
    const float16 r = sp_load_lanes(rstd + c, lanes),
                  xhat = (sp_load_lanes_x(x + c, lanes) - sp_load_lanes(mean + c, lanes)) * r;
    const float16 left = sp_load_lanes(g + c, lanes) - sp_load_lanes(means + c, lanes);
    sp_store_lanes(sp_load_lanes(gamma + c, lanes) * r * fma(-xhat, sp_load_lanes(means + C + c, lanes), left),
                g_x + c, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void batch_norm_backward__apply(SP_REF(float, g), SP_IN(sp_xh, x), SP_IN(float, mean), SP_IN(float, rstd),
                                SP_IN(float, gamma), SP_IN(float, work), SP_IO(float, g_x), int M, int C)
{
    SP_AT(g); SP_AT_XH(x); SP_AT(mean); SP_AT(rstd); SP_AT(gamma); SP_AT(work); SP_AT(g_x);
    const int slot = (int)get_global_id(0), slots = (int)get_global_size(0);
    const int start = slot_start(slot, slots, M), end = slot_start(slot + 1, slots, M);
    __global const float *means = work + (ulong)slots * 2 * (ulong)C;
    for (int m = start; m < end; m++) {
        const ulong row = (ulong)m * (ulong)C;
        int c = 0;
        for (; c + 16 <= C; c += 16)
            apply(g + row, x + row, means, mean, rstd, gamma, g_x + row, C, c, 16);
        if (c < C)
            apply(g + row, x + row, means, mean, rstd, gamma, g_x + row, C, c, C - c);
    }
}
#endif
