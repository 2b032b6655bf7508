//@ plugin: cpu_norm 1.0.0
//@ abi:    1
//@ include: lanes.clh
//@ op:     batch_norm.apply/1
//@ kernel: batch_norm_apply__rows16
//@ global: min(M, cu*32)
//@ local:  1
//@ device: cpu
//@ score:  50
//@ about:  a run of rows per work-item, the last runs first: what was written last is still in a cache

/* g_x = gamma rstd (g - sums[0] / M - xhat sums[1] / M); x - mean is taken first, as it may cancel. g_x may
 * be g. */

/* Some rows (a literal) from `at`, `lanes` channels from c. */
SP_INLINE void block(__global const float *g, __global const sp_xh *x, __global float *g_x, ulong at, int rows,
                     int C, int c, int lanes, __global const float *mean, __global const float *rstd,
                     __global const float *gamma, __global const float *sums, float one_over_m)
{
    const float16 mu = sp_load_lanes(mean + c, lanes), r = sp_load_lanes(rstd + c, lanes);
    const float16 scale = sp_load_lanes(gamma + c, lanes) * r;
    const float16 mean_g = sp_load_lanes(sums + c, lanes) * one_over_m;
    const float16 slope = sp_load_lanes(sums + C + c, lanes) * one_over_m * r;
    for (int k = 0; k < rows; k++, at += (ulong)C) {
        const float16 left = sp_load_lanes(g + at, lanes) - mean_g;
        sp_store_lanes(scale * fma(mu - sp_load_lanes_x(x + at, lanes), slope, left), g_x + at, lanes);
    }
}

#define ROWS(rows)                                                                                           \
    {                                                                                                        \
        const ulong at = (ulong)m * (ulong)C;                                                                \
        int c = 0;                                                                                           \
        for (; c + 16 <= C; c += 16)                                                                         \
            block(g, x, g_x, at + c, rows, C, c, 16, mean, rstd, gamma, sums, one_over_m);                   \
        if (c < C)                                                                                           \
            block(g, x, g_x, at + c, rows, C, c, C - c, mean, rstd, gamma, sums, one_over_m);                \
    }

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void batch_norm_apply__rows16(SP_REF(float, g), SP_IN(sp_xh, x), SP_IN(float, mean), SP_IN(float, rstd),
                              SP_IN(float, gamma), SP_IN(float, sums), SP_IO(float, g_x), int M, int C)
{
    SP_AT(g); SP_AT_XH(x); SP_AT(mean); SP_AT(rstd); SP_AT(gamma); SP_AT(sums); SP_AT(g_x);
    const long items = (long)get_global_size(0), item = items - 1 - (long)get_global_id(0);
    const float one_over_m = 1.0f / (float)M;
    const long end = (item + 1) * M / items;
    long m = item * M / items;
    /* Two wide rows at once are more places than prefetchers follow: a third slower at 256 channels. */
    for (; C <= 64 && m + 2 <= end; m += 2)
        ROWS(2)
    for (; m < end; m++)
        ROWS(1)
}
