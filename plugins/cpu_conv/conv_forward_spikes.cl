//@ plugin:    cpu_conv 1.0.0
//@ abi:       1
//@ op:        conv.forward/1
//@ kernel:    conv_forward__spike_list
//@ global:    min(N*H, cu*16)
//@ local:     1
//@ kernel:    conv_forward__spikes
//@ global:    cu*16
//@ local:     1
//@ bake:      *
//@ when:      X_BITS && O % 16 == 0 && O >= 64 && DW == 1 && KH*KW > 1 && W*C <= 65536
//@ workspace: N*H*(W + 1 + ceildiv(W*C, 2))
//@ device:    cpu
//@ score:     70
//@ about:     adds the weights of each spike: no multiplication, work in proportion to the firing rate

/* y = x * w [+ bias] for spikes. The time is in proportion to the firing rate: half of the dense tiles' at
 * 10 % spikes, the same at about 20 %, more above.
 *
 * The first pass lists the spikes of every input row: entry ix*C + c for each, in order, and where each
 * pixel's entries start. KW neighbouring pixels are then one run of the list, and an entry less the
 * window's first pixel is the row of the weights to add. A work-item keeps VECTORS vectors of outputs of
 * one pixel in registers. work: [N*H][W + 1] starts (uint), then [N*H][W*C] entries (ushort). */

/* Literal arguments (two, lanes, vectors ...) must fold: without the attribute PoCL keeps one copy that
 * tests them. */
#define INLINE inline __attribute__((always_inline))

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#define VECS (O / 16)
#if VECS % 8 == 0
#define VECTORS 8
#elif VECS % 7 == 0
#define VECTORS 7
#elif VECS % 6 == 0
#define VECTORS 6
#elif VECS % 5 == 0
#define VECTORS 5
#elif VECS % 4 == 0
#define VECTORS 4
#elif VECS % 3 == 0
#define VECTORS 3
#elif VECS % 2 == 0
#define VECTORS 2
#else
#define VECTORS 1
#endif
#define PANELS (VECS / VECTORS)

#define EACH1(F) F(0)
#define EACH2(F) EACH1(F) F(1)
#define EACH3(F) EACH2(F) F(2)
#define EACH4(F) EACH3(F) F(3)
#define EACH5(F) EACH4(F) F(4)
#define EACH6(F) EACH5(F) F(5)
#define EACH7(F) EACH6(F) F(6)
#define EACH8(F) EACH7(F) F(7)
#define EACH CAT(EACH, VECTORS)

#define STARTS(work) ((__global uint *)(work))
#define ENTRIES(work) ((__global ushort *)((work) + (ulong)N * H * (W + 1)))
#define CAPACITY ((W * C + 1) / 2 * 2)

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void conv_forward__spike_list(SP_IN(uint, x), SP_OUT(float, work))
{
    SP_AT(x); SP_AT(work);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * H;
    for (long row = item * rows / items; row < (item + 1) * rows / items; row++) {
        __global const uint *from = x + row * W * SP_WORDS(C);
        __global ushort *list = ENTRIES(work) + row * CAPACITY;
        __global uint *start = STARTS(work) + row * (W + 1);
        uint n = 0;
        for (int ix = 0; ix < W; ix++) {
            start[ix] = n;
            for (int i = 0; i < SP_WORDS(C); i++)
                for (uint word = *from++; word; word &= word - 1)
                    list[n++] = (ushort)(ix * C + i * 32 + (int)popcount((word & -word) - 1));
        }
        start[W] = n;
    }
}

/* One output pixel and one panel of outputs. */
INLINE void pixel(__global const float *work, __global const float *w, __global const float *bias,
                  __global float *y, long n, int oy, int ox)
{
    const int left = ox * SW - PW, first = clamp(left, 0, W), last = clamp(left + KW, 0, W);
#if BIAS
#define START(v) float16 a##v = vload16(v, bias);
#else
#define START(v) float16 a##v = (float16)(0.0f);
#endif
    EACH(START)
    for (int ky = 0; ky < KH; ky++) {
        const int iy = oy * SH - PH + ky * DH;
        if (iy < 0 || iy >= H)
            continue;
        const long row = n * H + iy;
        __global const ushort *list = ENTRIES(work) + row * CAPACITY;
        const uint end = STARTS(work)[row * (W + 1) + last];
        const int shift = (ky * KW - left) * C;
        for (uint i = STARTS(work)[row * (W + 1) + first]; i < end; i++) {
            __global const float *p = w + (long)((int)list[i] + shift) * O;
#define ADD(v) a##v += vload16(v, p);
            EACH(ADD)
        }
    }
#define PUT(v) vstore16(a##v, v, y);
    EACH(PUT)
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void conv_forward__spikes(SP_IN(float, work), SP_IN(float, w),
#if BIAS
                          SP_IN(float, bias),
#endif
                          SP_OUT(float, y))
{
    SP_AT(work); SP_AT(w); SP_AT(y);
#if BIAS
    SP_AT(bias);
#else
    __global const float *bias = w;
#endif
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), units = (long)PANELS * N * HO;
    for (long unit = item * units / items; unit < (item + 1) * units / items; unit++) {
        const int o = (int)(unit / ((long)N * HO)) * VECTORS * 16;
        const long row = unit % ((long)N * HO);
        for (int ox = 0; ox < WO; ox++)
            pixel(work, w + o, bias + o, y + (row * WO + ox) * O + o, row / HO, (int)(row % HO), ox);
    }
}
