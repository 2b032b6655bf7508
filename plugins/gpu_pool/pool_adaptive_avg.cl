//@ plugin:  gpu_pool 1.0.0
//@ abi:     1
//@ include: macros.clh pixels.clh
//@ let:     WIDTH = 1 + 3*(C % 4 == 0)
//@ all:     device: gpu
//@ all:     bake: H W C HO WO
//@ all:     tune: WGS = 128 64 256
//@ all:     score: 50
//@ op:      pool.adaptive_avg.forward/1
//@ kernel:  pool_adaptive_avg_forward__pixels
//@ global:  roundup(N*HO*WO*C/WIDTH, WGS)
//@ local:   WGS
//@ define:  BACKWARD = 0
//@ when:    WGS <= wg && (!X_BITS || (H/HO + 2)*(W/WO + 2) < 256) && max(H, W)*max(HO, WO) < 1073741824 && N*max(H*W, HO*WO)*C < 2147483648
//@ about:   four channels of an output pixel a work-item; bits are counted four at a time
//@ op:      pool.adaptive_avg.backward/1
//@ kernel:  pool_adaptive_avg_backward__pixels
//@ global:  roundup(N*H*W*C/WIDTH, WGS)
//@ local:   WGS
//@ define:  BACKWARD = 1
//@ when:    WGS <= wg && max(H, W)*max(HO, WO) < 1073741824 && N*max(H*W, HO*WO)*C < 2147483648
//@ about:   four channels of an input pixel a work-item

/* Output a of n_out covers the inputs START(a, n_in, n_out) .. END(a, n_in, n_out) - 1 of n_in; the windows that hold an input
 * are the same formula with both exchanged. No window is longer than LONGEST. */
#define START(a, n_in, n_out)   ((uint)(a) * (n_in) / (n_out))
#define END(a, n_in, n_out)     (((uint)(a) * (n_in) + (n_in) + (n_out) - 1) / (n_out))
#define LONGEST(n_in, n_out)    ((n_in) % (n_out) == 0 ? (n_in) / (n_out) : MIN(n_in, CEIL(n_in, n_out) + 1))

#if !BACKWARD
__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void
pool_adaptive_avg_forward__pixels(SP_IN(sp_x, x), SP_OUT(float, y), int N)
{
    SP_AT(x);
    SP_AT(y);
    place p;
    find_place(HO, WO, &p);
    const int top = START(p.h, H, HO), bottom = END(p.h, H, HO), left = START(p.w, W, WO), right = END(p.w, W, WO);
    if (p.n >= N)
        return;
    total sum = NOTHING;
    for (int i = 0; i < LONGEST(H, HO); i++) {
        total line = NOTHING;
        for (int j = 0; j < LONGEST(W, WO); j++) {
            const bool inside = top + i < bottom && left + j < right;
            const total tap = TAP(x, pixel_at(&p, H, W, top + i, left + j, inside), p);
            line += inside ? tap : NOTHING;
        }
        sum += line;
    }
    STORE(TOTAL(sum) / (float)((bottom - top) * (right - left)), y, (ulong)get_global_id(0) * WIDTH);
}
#else

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void
pool_adaptive_avg_backward__pixels(SP_IN(float, g_y), SP_OUT(float, g_x), int N)
{
    SP_AT(g_y);
    SP_AT(g_x);
    place p;
    find_place(H, W, &p);
    const int top = START(p.h, HO, H), bottom = END(p.h, HO, H), left = START(p.w, WO, W), right = END(p.w, WO, W);
    if (p.n >= N)
        return;
    reals sum = REALS(0.0f);
    for (int i = 0; i < LONGEST(HO, H); i++) {
        const int rows = END(top + i, H, HO) - START(top + i, H, HO);
        for (int j = 0; j < LONGEST(WO, W); j++) {
            const bool inside = top + i < bottom && left + j < right;
            const int columns = END(left + j, W, WO) - START(left + j, W, WO);
            const reals g = LOAD(g_y, pixel_at(&p, HO, WO, top + i, left + j, inside) * C + (uint)p.c);
            sum += inside ? g / (float)(rows * columns) : REALS(0.0f);
        }
    }
    STORE(sum, g_x, (ulong)get_global_id(0) * WIDTH);
}
#endif
