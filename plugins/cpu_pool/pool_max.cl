//@ plugin: cpu_pool 1.0.0
//@ abi:    1
//@ include: lanes.clh first_window.clh
//@ all:    device: cpu
//@ all:    bake: KH KW SH SW PH PW
//@ all:    score: 50
//@ op:     pool.max.forward/1
//@ kernel: pool_max_forward__rows16
//@ global: min(N*HO, cu*16)
//@ local:  1
//@ define: BACKWARD = 0
//@ when:   !X_BITS
//@ about:  a run of output rows per work-item, 16 channels at a time
//@ op:     pool.max.backward/1
//@ kernel: pool_max_backward__rows16
//@ global: min(N*H, cu*16)
//@ local:  1
//@ define: BACKWARD = 1
//@ about:  a run of input rows per work-item, 16 channels at a time; windows of spikes are compared 32 channels at a time

/* Forward: y = largest x of the window; a NaN is larger than all.
 * Backward: g_x = sum of g_y over the windows whose first maximum, in row order, is the pixel. */
#ifndef X_BITS
#define X_BITS 0
#endif

/* Lanes in which v, which comes later in the window, is the new maximum. */
SP_INLINE int16 beats(float16 v, float16 best)
{
    return (v > best) | isnan(v);
}

#if !BACKWARD
SP_INLINE void window(__global const float *x, __global float *y, int top, int left, int H, int W, int C, int c,
                      int lanes)
{
    float16 best = (float16)(-INFINITY);
    for (int iy = max(top, 0); iy < min(top + KH, H); iy++)
        for (int ix = max(left, 0); ix < min(left + KW, W); ix++) {
            const float16 v = sp_load_lanes(x + ((ulong)iy * W + ix) * (ulong)C + c, lanes);
            best = select(best, v, beats(v, best));
        }
    sp_store_lanes(best, y + c, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void pool_max_forward__rows16(SP_IN(float, x), SP_OUT(float, y), int N, int H, int W, int C, int HO, int WO)
{
    SP_AT(x); SP_AT(y);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * HO;
    for (long r = item * rows / items; r < (item + 1) * rows / items; r++) {
        __global const float *image = x + (ulong)(r / HO) * H * W * (ulong)C;
        for (int ox = 0; ox < WO; ox++) {
            const int top = (int)(r % HO) * SH - PH, left = ox * SW - PW;
            __global float *to = y + (ulong)(r * WO + ox) * C;
            int c = 0;
            for (; c + 16 <= C; c += 16)
                window(image, to, top, left, H, W, C, c, 16);
            if (c < C)
                window(image, to, top, left, H, W, C, c, C - c);
        }
    }
}
#else

#if X_BITS
#define WIDTH 32
#define WON uint
/* Channels c .. c + 31 in which pixel (py, px) has the first spike of the window, or is its first pixel where none spikes. */
SP_INLINE uint winners(__global const uint *x, int top, int left, int py, int px, int H, int W, int C, int c, int lanes)
{
    uint before = 0, all = 0, own = 0;
    for (int iy = max(top, 0); iy < min(top + KH, H); iy++)
        for (int ix = max(left, 0); ix < min(left + KW, W); ix++) {
            const uint bits = x[((ulong)iy * W + ix) * SP_WORDS(C) + c / 32];
            if (iy == py && ix == px) {
                own = bits;
                before = all;
            }
            all |= bits;
        }
    return (own & ~before) | (py == max(top, 0) && px == max(left, 0) ? ~all : 0u);
}

#define KEPT sp_keep_lanes
#else
#define WIDTH 16
#define WON int16
SP_INLINE int16 winners(__global const float *x, int top, int left, int py, int px, int H, int W, int C, int c, int lanes)
{
    int16 at = (int16)(-1);
    float16 best = (float16)(0.0f);
    for (int iy = max(top, 0); iy < min(top + KH, H); iy++)
        for (int ix = max(left, 0); ix < min(left + KW, W); ix++) {
            const float16 v = sp_load_lanes(x + ((ulong)iy * W + ix) * (ulong)C + c, lanes);
            const int16 now = beats(v, best) | (at < (int16)(0));
            best = select(best, v, now);
            at = select(at, (int16)(iy * W + ix), now);
        }
    return at == (int16)(py * W + px);
}

#define KEPT(won, g) as_float16((won) & as_int16(g))
#endif

/* Channels c .. c + WIDTH - 1, of which `lanes` exist, of the pixel (py, px); its windows are y0 .. y1, x0 .. x1. */
SP_INLINE void gather(__global const sp_x *x, __global const float *g_y, __global float *g_x, int py, int px, int y0, int y1,
                      int x0, int x1, int H, int W, int WO, int C, int c, int lanes)
{
    float16 sum[WIDTH / 16];
    for (int k = 0; k < WIDTH / 16; k++)
        sum[k] = (float16)(0.0f);
    for (int oy = y0; oy <= y1; oy++)
        for (int ox = x0; ox <= x1; ox++) {
            const WON won = winners(x, oy * SH - PH, ox * SW - PW, py, px, H, W, C, c, lanes);
            __global const float *g = g_y + ((ulong)oy * WO + ox) * (ulong)C + c;
            sum[0] += KEPT(won, sp_load_lanes(g, lanes));
#if X_BITS
            if (lanes > 16)
                sum[1] += KEPT(won >> 16, sp_load_lanes(g + 16, lanes - 16));
#endif
        }
    sp_store_lanes(sum[0], g_x + c, lanes);
#if X_BITS
    if (lanes > 16)
        sp_store_lanes(sum[1], g_x + c + 16, lanes - 16);
#endif
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void pool_max_backward__rows16(SP_IN(sp_x, x), SP_IN(float, g_y), SP_OUT(float, g_x), int N, int H, int W, int C, int HO,
                               int WO)
{
    SP_AT(x); SP_AT(g_y); SP_AT(g_x);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * H;
    for (long r = item * rows / items; r < (item + 1) * rows / items; r++) {
        const int py = (int)(r % H), a = py + PH, y0 = first_window(a, KH, SH), y1 = min(a / SH, HO - 1);
#if X_BITS
        __global const uint *image = x + (ulong)(r / H) * H * W * SP_WORDS(C);
#else
        __global const float *image = x + (ulong)(r / H) * H * W * (ulong)C;
#endif
        __global const float *g = g_y + (ulong)(r / H) * HO * WO * (ulong)C;
        for (int px = 0; px < W; px++) {
            const int b = px + PW, x0 = first_window(b, KW, SW), x1 = min(b / SW, WO - 1);
            __global float *to = g_x + (ulong)(r * W + px) * C;
            int c = 0;
            for (; c + WIDTH <= C; c += WIDTH)
                gather(image, g, to, py, px, y0, y1, x0, x1, H, W, WO, C, c, WIDTH);
            if (c < C)
                gather(image, g, to, py, px, y0, y1, x0, x1, H, W, WO, C, c, C - c);
        }
    }
}
#endif
