//@ plugin:  gpu_pool 1.0.0
//@ abi:     1
//@ include: macros.clh pixels.clh
//@ let:     WIDTH = 1 + 3*(C % 4 == 0)
//@ all:     device: gpu
//@ all:     bake: H W C KH KW SH SW PH PW HO WO
//@ all:     tune: WGS = 128 64 256
//@ all:     score: 50
//@ op:      pool.avg.forward/1
//@ kernel:  pool_avg_forward__pixels
//@ global:  roundup(N*HO*WO*C/WIDTH, WGS)
//@ local:   WGS
//@ define:  BACKWARD = 0
//@ when:    WGS <= wg && KH*KW < 256 && N*max(H*W, HO*WO)*C < 2147483648
//@ about:   four channels of an output pixel a work-item; bits are counted four at a time
//@ op:      pool.avg.backward/1
//@ kernel:  pool_avg_backward__pixels
//@ global:  roundup(N*H*W*C/WIDTH, WGS)
//@ local:   WGS
//@ define:  BACKWARD = 1
//@ when:    WGS <= wg && N*max(H*W, HO*WO)*C < 2147483648
//@ about:   four channels of an input pixel a work-item

/* Forward: y[n][ho][wo][c] = sum of the window that starts at (ho SH - PH, wo SW - PW) / (KH KW), padding counts as zeros.
 * Backward: g_x[n][h][w][c] = sum of g_y over the windows that hold the pixel / (KH KW). */
#if !BACKWARD
__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void pool_avg_forward__pixels(SP_IN(sp_x, x), SP_OUT(float, y), int N)
{
    SP_AT(x);
    SP_AT(y);
    place p;
    find_place(HO, WO, &p);
    const int top = p.h * SH - PH, left = p.w * SW - PW;
    if (p.n >= N)
        return;
    total sum = NOTHING;
    UNROLL
    for (int kh = 0; kh < KH; kh++) {
        total line = NOTHING;
        UNROLL
        for (int kw = 0; kw < KW; kw++) {
            const bool inside = (uint)(top + kh) < H && (uint)(left + kw) < W;
            const total tap = TAP(x, pixel_at(&p, H, W, top + kh, left + kw, inside), p);
            line += inside ? tap : NOTHING;
        }
        sum += line;
    }
    STORE(TOTAL(sum) / (float)(KH * KW), y, (ulong)get_global_id(0) * WIDTH);
}
#else

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void pool_avg_backward__pixels(SP_IN(float, g_y), SP_OUT(float, g_x), int N)
{
    SP_AT(g_y);
    SP_AT(g_x);
    place p;
    find_place(H, W, &p);
    if (p.n >= N)
        return;
    reals sum = REALS(0.0f);
    UNROLL
    for (int i = 0; i < WINDOWS_H; i++)
        UNROLL
        for (int j = 0; j < WINDOWS_W; j++) {
            const int ho = (p.h + PH) / SH - i, wo = (p.w + PW) / SW - j;
            const bool inside = HOLDS_H(p.h, ho) && HOLDS_W(p.w, wo);
            const reals g = LOAD(g_y, pixel_at(&p, HO, WO, ho, wo, inside) * C + (uint)p.c);
            sum += inside ? g : REALS(0.0f);
        }
    STORE(sum / (float)(KH * KW), g_x, (ulong)get_global_id(0) * WIDTH);
}
#endif
