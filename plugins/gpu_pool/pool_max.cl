//@ plugin:  gpu_pool 1.0.0
//@ abi:     1
//@ include: macros.clh pixels.clh
//@ let:     WIDTH = 1 + 3*(C % 4 == 0)
//@ all:     device: gpu
//@ all:     bake: H W C KH KW SH SW PH PW HO WO
//@ all:     tune: WGS = 128 64 256
//@ all:     score: 50
//@ all:     when: WGS <= wg && PH < KH && PW < KW && N*max(H*W, HO*WO)*C < 2147483648
//@ op:      pool.max.forward/1
//@ kernel:  pool_max_forward__pixels
//@ global:  roundup(N*HO*WO*C/WIDTH, WGS)
//@ local:   WGS
//@ define:  PASS = 1
//@ about:   four channels of an output pixel a work-item
//@ op:      pool.max.backward/1
//@ kernel:  pool_max_backward__pixels
//@ global:  roundup(N*H*W*C/WIDTH, WGS)
//@ local:   WGS
//@ define:  PASS = 2
//@ about:   four channels of an input pixel a work-item, which looks for the windows that it won
//@ op:      pool.spikes.forward/1
//@ kernel:  pool_spikes_forward__words
//@ global:  roundup(N*HO*WO*ceildiv(C, 32), WGS)
//@ local:   WGS
//@ define:  PASS = 3
//@ about:   a word of spikes a work-item; items are numbered through all pixels

/* Forward: y = largest x of the window; a NaN is larger than all, padding never wins. Of spikes: the OR of the window's words.
 * Backward: g_x = sum of g_y over the windows whose first maximum, in row order, is the pixel. */

/* Where v, which comes later in the window, is the new maximum. */
#define BEATS(v, best) (((v) > (best)) | isnan(v))
#if WIDTH == 4
#define ALL(condition) ((int4)((condition) ? -1 : 0))
#else
#define ALL(condition) ((condition) ? 1 : 0)
#endif

#if PASS == 1
__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void pool_max_forward__pixels(SP_IN(sp_x, x), SP_OUT(float, y), int N)
{
    SP_AT(x);
    SP_AT(y);
    place p;
    find_place(HO, WO, &p);
    const int top = p.h * SH - PH, left = p.w * SW - PW;
    if (p.n >= N)
        return;
#if X_BITS
    uint any = 0;
#else
    reals best = REALS(-INFINITY);
#endif
    UNROLL
    for (int kh = 0; kh < KH; kh++)
        UNROLL
        for (int kw = 0; kw < KW; kw++) {
            const bool inside = (uint)(top + kh) < H && (uint)(left + kw) < W;
            const uint at = pixel_at(&p, H, W, top + kh, left + kw, inside);
#if X_BITS
            const uint word = x[at * WORDS + (uint)p.c / 32];
            any |= inside ? word : 0;
#else
            const reals v = LOAD(x, at * C + (uint)p.c);
            best = select(best, v, BEATS(v, best) & ALL(inside));
#endif
        }
#if X_BITS
    STORE(FLOATS(BYTES(OWN_BITS(any, p))), y, (ulong)get_global_id(0) * WIDTH);
#else
    STORE(best, y, (ulong)get_global_id(0) * WIDTH);
#endif
}
#elif PASS == 2

/* g where the pixel of p is the first maximum of the window that starts at (top, left), else 0. */
SP_INLINE reals won(__global const sp_x *x, const place *p, int top, int left, reals g)
{
#if X_BITS
    uint before = 0, all = 0, own = 0;
#else
    reals best = REALS(-INFINITY);
    ints mine = ALL(false), none = ALL(true);
#endif
    UNROLL
    for (int kh = 0; kh < KH; kh++)
        UNROLL
        for (int kw = 0; kw < KW; kw++) {
            const int h = top + kh, w = left + kw;
            const bool inside = (uint)h < H && (uint)w < W, here = h == p->h && w == p->w;
            const uint at = pixel_at(p, H, W, h, w, inside);
#if X_BITS
            const uint word = x[at * WORDS + (uint)p->c / 32], bits = inside ? OWN_BITS(word, *p) : 0;
            own = here ? bits : own;
            before = here ? all : before;
            all |= bits;
#else
            const reals v = LOAD(x, at * C + (uint)p->c);
            const ints now = (BEATS(v, best) | none) & ALL(inside);
            best = select(best, v, now);
            mine = here ? now : mine & ~now;
            none &= ALL(!inside);
#endif
        }
#if X_BITS
    const bool first = p->h == max(top, 0) && p->w == max(left, 0);
    return FLOATS(BYTES(((own & ~before) | (first ? ~all : 0u)) & ((1u << WIDTH) - 1))) * g;
#else
    return select(REALS(0.0f), g, mine);
#endif
}

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void
pool_max_backward__pixels(SP_IN(sp_x, x), SP_IN(float, g_y), SP_OUT(float, g_x), int N)
{
    SP_AT(x);
    SP_AT(g_y);
    SP_AT(g_x);
    place p;
    find_place(H, W, &p);
    if (p.n >= N)
        return;
    reals sum = REALS(0.0f);
    UNROLL
    for (int i = WINDOWS_H - 1; i >= 0; i--)
        UNROLL
        for (int j = WINDOWS_W - 1; j >= 0; j--) {
            const int ho = (p.h + PH) / SH - i, wo = (p.w + PW) / SW - j;
            const bool inside = HOLDS_H(p.h, ho) && HOLDS_W(p.w, wo);
            const reals g = LOAD(g_y, pixel_at(&p, HO, WO, ho, wo, inside) * C + (uint)p.c);
            sum += inside ? won(x, &p, ho * SH - PH, wo * SW - PW, g) : REALS(0.0f);
        }
    STORE(sum, g_x, (ulong)get_global_id(0) * WIDTH);
}
#else

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void pool_spikes_forward__words(SP_IN(uint, x), SP_OUT(uint, y), int N)
{
    SP_AT(x);
    SP_AT(y);
    const uint i = (uint)get_global_id(0), pixel = i / WORDS, line = pixel / WO, n = line / HO;
    const int top = (int)(line - n * HO) * SH - PH, left = (int)(pixel - line * WO) * SW - PW;
    const place p = {(int)n, 0, 0, 0};
    uint any = 0;
    if (p.n >= N)
        return;
    UNROLL
    for (int kh = 0; kh < KH; kh++)
        UNROLL
        for (int kw = 0; kw < KW; kw++) {
            const bool inside = (uint)(top + kh) < H && (uint)(left + kw) < W;
            const uint word = x[pixel_at(&p, H, W, top + kh, left + kw, inside) * WORDS + (i - pixel * WORDS)];
            any |= inside ? word : 0;
        }
    y[i] = any;
}
#endif
