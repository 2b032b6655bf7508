//@ plugin: cpu_pool 1.0.0
//@ abi:    1
//@ include: lanes.clh first_window.clh
//@ all:    device: cpu
//@ all:    bake: KH KW SH SW PH PW
//@ all:    score: 50
//@ op:     pool.avg.forward/1
//@ kernel: pool_avg_forward__rows16
//@ global: min(N*HO, cu*16)
//@ local:  1
//@ define: BACKWARD = 0
//@ about:  a run of output rows per work-item, 16 channels at a time; bits are counted 32 channels at a time, in binary
//@ op:     pool.avg.backward/1
//@ kernel: pool_avg_backward__rows16
//@ global: min(N*H, cu*16)
//@ local:  1
//@ define: BACKWARD = 1
//@ about:  a run of input rows per work-item, 16 channels at a time

/* Forward: y[n][oy][ox][c] = sum of the window / (KH KW), padding counts as zeros.
 * Backward: g_x[n][iy][ix][c] = sum over the windows that hold the pixel / (KH KW). */
#ifndef X_BITS
#define X_BITS 0
#endif
/* A division of 16 lanes takes as long as eight stores. */
#define PART (1.0f / (float)(KH * KW))

#if !BACKWARD
#if X_BITS
#define ROW SP_WORDS(C)
#else
#define ROW C
#endif

#if X_BITS && KH * KW < 16
/* Windows of 32 channels at a time are counted in binary: bit i of ones, twos, fours and eights is channel i's count. */
#define COUNT(bits) {                                                                                        \
        const uint one = (bits), two = ones & one, four = twos & two;                                        \
        ones ^= one; twos ^= two; eights ^= fours & four; fours ^= four; }

/* Counts of 16 channels from bit `from` on, times PART. */
SP_INLINE float16 mean(uint ones, uint twos, uint fours, uint eights, int from)
{
    float16 sum = sp_spread_bits(ones >> from, 1.0f) + sp_spread_bits(twos >> from, 2.0f);
#if KH * KW > 3
    sum += sp_spread_bits(fours >> from, 4.0f);
#endif
#if KH * KW > 7
    sum += sp_spread_bits(eights >> from, 8.0f);
#endif
    return sum * PART;
}
#define WIDTH 32
#else
#define WIDTH 16
#endif

/* Channels c .. c + WIDTH - 1 (of which `lanes` exist) of one output pixel; x is its image. Windows that lie inside (a literal)
 * have constant bounds, and their loops unroll. */
SP_INLINE void window(__global const sp_x *x, __global float *y, int top, int left, int H, int W, int C, int c,
                      int lanes, int inside)
{
#if WIDTH == 32
    uint ones = 0, twos = 0, fours = 0, eights = 0;
#else
    float16 sum = (float16)(0.0f);
#endif
    #pragma unroll
    for (int ky = 0; ky < KH; ky++)
        #pragma unroll
        for (int kx = 0; kx < KW; kx++) {
            const int iy = top + ky, ix = left + kx;
            if (!inside && (iy < 0 || iy >= H || ix < 0 || ix >= W))
                continue;
            __global const sp_x *p = x + ((ulong)iy * W + ix) * (ulong)ROW;
#if WIDTH == 32
            COUNT(p[c / 32])
#elif X_BITS
            sum += sp_spread_bits(p[c / 32] >> (c & 16), 1.0f);
#else
            sum += sp_load_lanes(p + c, lanes);
#endif
        }
#if WIDTH == 32
    sp_store_lanes(mean(ones, twos, fours, eights, 0), y + c, lanes);
    if (lanes > 16)
        sp_store_lanes(mean(ones, twos, fours, eights, 16), y + c + 16, lanes - 16);
#else
    sp_store_lanes(sum * PART, y + c, lanes);
#endif
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
            for (; inside && c + WIDTH <= C; c += WIDTH)
                window(image, to, top, left, H, W, C, c, WIDTH, 1);
            for (; c + WIDTH <= C; c += WIDTH)
                window(image, to, top, left, H, W, C, c, WIDTH, 0);
            if (c < C)
                window(image, to, top, left, H, W, C, c, C - c, 0);
        }
    }
}
#else

SP_INLINE void gather(__global const float *g_y, __global float *g_x, int y0, int y1, int x0, int x1, int WO,
                      int C, int c, int lanes)
{
    float16 sum = (float16)(0.0f);
#if KH <= SH && KW <= SW /* no pixel lies in two windows */
    if (y0 <= y1 && x0 <= x1)
        sum = sp_load_lanes(g_y + ((ulong)y0 * WO + x0) * (ulong)C + c, lanes);
#else
    for (int oy = y0; oy <= y1; oy++)
        for (int ox = x0; ox <= x1; ox++)
            sum += sp_load_lanes(g_y + ((ulong)oy * WO + ox) * (ulong)C + c, lanes);
#endif
    sp_store_lanes(sum * PART, g_x + c, lanes);
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
