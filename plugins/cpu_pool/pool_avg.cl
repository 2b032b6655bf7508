//@ plugin: cpu_pool 1.0.0
//@ abi:    1
//@ op:     pool.avg.forward/1
//@ kernel: pool_avg_forward__rows16
//@ global: min(N*HO, cu*16)
//@ local:  1
//@ bake:   KH KW SH SW PH PW
//@ define: BACKWARD = 0
//@ device: cpu
//@ score:  50
//@ about:  a run of output rows per work-item, 16 channels at a time; bits are spread over the lanes
//@ op:     pool.avg.backward/1
//@ kernel: pool_avg_backward__rows16
//@ global: min(N*H, cu*16)
//@ local:  1
//@ bake:   KH KW SH SW PH PW
//@ define: BACKWARD = 1
//@ device: cpu
//@ score:  50
//@ about:  a run of input rows per work-item, 16 channels at a time

/* Forward: y[n][oy][ox][c] = sum of the window / (KH KW), padding counts as zeros.
 * Backward: g_x[n][iy][ix][c] = sum over the windows that hold the pixel / (KH KW). */
#ifndef X_BITS
#define X_BITS 0
#endif
/* A division of 16 lanes takes as long as eight stores. */
#define PART (1.0f / (float)(KH * KW))

/* Literal arguments (two, lanes, vectors ...) must fold: without the attribute PoCL keeps one copy that
 * tests them. */
#define INLINE inline __attribute__((always_inline))

INLINE float16 load_lanes(__global const float *p, int lanes)
{
    float part[16];
    if (lanes >= 16)
        return vload16(0, p);
    for (int i = 0; i < 16; i++)
        part[i] = i < lanes ? p[i] : 0.0f;
    return vload16(0, part);
}

INLINE void store_lanes(float16 v, __global float *p, int lanes)
{
    float part[16];
    if (lanes >= 16) {
        vstore16(v, 0, p);
    } else {
        vstore16(v, 0, part);
        for (int i = 0; i < lanes; i++)
            p[i] = part[i];
    }
}

#if !BACKWARD
#if X_BITS
#define ROW SP_WORDS(C)
/* Lane i of 16 bits. */
inline uint16 spread(uint bits)
{
    const uint16 lane = (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return ((uint16)(bits) >> lane) & (uint16)(1u);
}
#else
#define ROW C
#endif

/* Channels c .. c + 15 (of which `lanes` exist) of one output pixel; x is its image. Windows that lie inside (a literal) have
 * constant bounds, and their loops unroll. */
INLINE void window(__global const sp_x *x, __global float *y, int top, int left, int H, int W, int C, int c,
                   int lanes, int inside)
{
    const int y0 = inside ? top : max(top, 0), y1 = inside ? top + KH : min(top + KH, H);
    const int x0 = inside ? left : max(left, 0), x1 = inside ? left + KW : min(left + KW, W);
#if X_BITS
    uint16 sum = (uint16)(0u);
#else
    float16 sum = (float16)(0.0f);
#endif
    for (int iy = y0; iy < y1; iy++)
        for (int ix = x0; ix < x1; ix++) {
            __global const sp_x *p = x + ((ulong)iy * W + ix) * (ulong)ROW;
#if X_BITS
            sum += spread(p[c / 32] >> (c & 16));
#else
            sum += load_lanes(p + c, lanes);
#endif
        }
    store_lanes(convert_float16(sum) * PART, y + c, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void pool_avg_forward__rows16(SP_IN(sp_x, x), SP_OUT(float, y), int N, int H, int W, int C, int HO, int WO)
{
    SP_AT(x); SP_AT(y);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * HO;
    for (long r = item * rows / items; r < (item + 1) * rows / items; r++) {
        __global const sp_x *image = x + (ulong)(r / HO) * H * W * (ulong)ROW;
        for (int ox = 0; ox < WO; ox++) {
            const int top = (int)(r % HO) * SH - PH, left = ox * SW - PW;
            __global float *to = y + (ulong)(r * WO + ox) * C;
            const int inside = top >= 0 && left >= 0 && top + KH <= H && left + KW <= W;
            int c = 0;
            for (; inside && c + 16 <= C; c += 16)
                window(image, to, top, left, H, W, C, c, 16, 1);
            for (; c + 16 <= C; c += 16)
                window(image, to, top, left, H, W, C, c, 16, 0);
            if (c < C)
                window(image, to, top, left, H, W, C, c, C - c, 0);
        }
    }
}
#else

/* Output positions whose window holds i: first .. last, clipped. */
inline int first_window(int i, int k, int s)
{
    return i < k ? 0 : (i - k) / s + 1;
}

INLINE void gather(__global const float *g_y, __global float *g_x, int y0, int y1, int x0, int x1, int WO,
                   int C, int c, int lanes)
{
    float16 sum = (float16)(0.0f);
#if KH <= SH && KW <= SW /* no pixel lies in two windows */
    if (y0 <= y1 && x0 <= x1)
        sum = load_lanes(g_y + ((ulong)y0 * WO + x0) * (ulong)C + c, lanes);
#else
    for (int oy = y0; oy <= y1; oy++)
        for (int ox = x0; ox <= x1; ox++)
            sum += load_lanes(g_y + ((ulong)oy * WO + ox) * (ulong)C + c, lanes);
#endif
    store_lanes(sum * PART, g_x + c, lanes);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pool_avg_backward__rows16(SP_IN(float, g_y), SP_OUT(float, g_x), int N, int H, int W, int C, int HO, int WO)
{
    SP_AT(g_y); SP_AT(g_x);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * H;
    for (long r = item * rows / items; r < (item + 1) * rows / items; r++) {
        __global const float *image = g_y + (ulong)(r / H) * HO * WO * (ulong)C;
        const int a = (int)(r % H) + PH, y0 = first_window(a, KH, SH), y1 = min(a / SH, HO - 1);
        for (int ix = 0; ix < W; ix++) {
            const int b = ix + PW, x0 = first_window(b, KW, SW), x1 = min(b / SW, WO - 1);
            __global float *to = g_x + (ulong)(r * W + ix) * C;
            int c = 0;
            for (; c + 16 <= C; c += 16)
                gather(image, to, y0, y1, x0, x1, WO, C, c, 16);
            if (c < C)
                gather(image, to, y0, y1, x0, x1, WO, C, c, C - c);
        }
    }
}
#endif
