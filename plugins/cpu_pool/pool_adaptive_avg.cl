//@ plugin: cpu_pool 1.0.0
//@ abi:    1
//@ include: lanes.clh adaptive_window.clh
//@ all:    device: cpu
//@ all:    score: 50
//@ op:     pool.adaptive_avg.forward/1
//@ kernel: pool_adaptive_avg_forward__rows16
//@ global: min(N*HO, cu*16)
//@ local:  1
//@ define: BACKWARD = 0
//@ when:   !X_BITS
//@ about:  a run of output rows per work-item, 16 channels at a time
//@ op:     pool.adaptive_avg.backward/1
//@ kernel: pool_adaptive_avg_backward__rows16
//@ global: min(N*H, cu*16)
//@ local:  1
//@ define: BACKWARD = 1
//@ about:  a run of input rows per work-item, 16 channels at a time

/* Output a of n_out covers the inputs window_start(a) .. window_end(a) - 1 of n_in. Input i lies in the outputs
 * that the same formula gives with input and output exchanged. */

/* All channels of one pixel. */
#define CHANNELS(pixel)                                                                                      \
    {                                                                                                        \
        int c = 0;                                                                                           \
        for (; c + 16 <= C; c += 16)                                                                         \
            pixel(c, 16);                                                                                    \
        if (c < C)                                                                                           \
            pixel(c, C - c);                                                                                 \
    }

#if !BACKWARD
SP_INLINE void mean_of(__global const float *x, __global float *y, int top, int bottom, int left, int right, int W,
                       int C, int lanes)
{
    float16 sum = (float16)(0.0f);
    for (int h = top; h < bottom; h++)
        for (int i = left; i < right; i++)
            sum += sp_load_lanes(x + ((ulong)h * W + i) * (ulong)C, lanes);
    sp_store_lanes(sum * (1.0f / (float)((bottom - top) * (right - left))), y, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pool_adaptive_avg_forward__rows16(SP_IN(float, x), SP_OUT(float, y), int N, int H, int W, int C, int HO, int WO)
{
    SP_AT(x); SP_AT(y);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * HO;
    for (long r = item * rows / items; r < (item + 1) * rows / items; r++) {
        __global const float *image = x + (ulong)(r / HO) * H * W * (ulong)C;
        const int ho = (int)(r % HO), top = window_start(ho, H, HO), bottom = window_end(ho, H, HO);
        for (int wo = 0; wo < WO; wo++) {
            const int left = window_start(wo, W, WO), right = window_end(wo, W, WO);
            __global float *to = y + (ulong)(r * WO + wo) * C;
#define PIXEL(c, lanes) mean_of(image + (c), to + (c), top, bottom, left, right, W, C, lanes)
            CHANNELS(PIXEL)
        }
    }
}
#else

/* Adds a part of an output's gradient; the first one is stored. */
SP_INLINE void add_part(__global const float *g_y, __global float *g_x, float part, int first, int lanes)
{
    const float16 v = sp_load_lanes(g_y, lanes) * part;
    sp_store_lanes(first ? v : sp_load_lanes(g_x, lanes) + v, g_x, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pool_adaptive_avg_backward__rows16(SP_IN(float, g_y), SP_OUT(float, g_x), int N, int H, int W, int C, int HO,
                                   int WO)
{
    SP_AT(g_y); SP_AT(g_x);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * H;
    for (long r = item * rows / items; r < (item + 1) * rows / items; r++) {
        __global const float *image = g_y + (ulong)(r / H) * HO * WO * (ulong)C;
        const int h = (int)(r % H), y0 = window_start(h, HO, H), y1 = window_end(h, HO, H);
        for (int i = 0; i < W; i++) {
            const int x0 = window_start(i, WO, W), x1 = window_end(i, WO, W);
            __global float *to = g_x + (ulong)(r * W + i) * C;
            for (int ho = y0; ho < y1; ho++)
                for (int wo = x0; wo < x1; wo++) {
                    const int high = window_end(ho, H, HO) - window_start(ho, H, HO);
                    const int wide = window_end(wo, W, WO) - window_start(wo, W, WO);
                    const float part = 1.0f / (float)(high * wide);
                    const int first = ho == y0 && wo == x0;
                    __global const float *from = image + ((ulong)ho * WO + wo) * (ulong)C;
#define PIXEL(c, lanes) add_part(from + (c), to + (c), part, first, lanes)
                    CHANNELS(PIXEL)
                }
        }
    }
}
#endif
