//@ plugin:    cpu_conv 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh unpack.clh groups.clh
//@ let:       SLOTS = min(N, max(1, 32/ceildiv(O, 16)))
//@ all:       device: cpu
//@ all:       bake: *
//@ all:       score: 50
//@ op:        group_conv.backward_weight/1
//@ kernel:    group_conv_backward_weight__slots
//@ global:    ceildiv(O, 16), SLOTS
//@ local:     1, 1
//@ kernel:    group_conv_backward_weight__sum
//@ global:    KH*KW*(C/G)
//@ local:     1
//@ when:      !X_BITS
//@ workspace: SLOTS*KH*KW*(C/G)*roundup(O, 16)
//@ about:     16 output channels at a time; a partial sum per group of images, then their sum
//@ op:        group_conv.backward_weight/1
//@ kernel:    group_conv_backward_weight__unpack
//@ global:    min(N*H, cu*16)
//@ local:     1
//@ kernel:    group_conv_backward_weight__unpacked_slots
//@ global:    ceildiv(O, 16), SLOTS
//@ local:     1, 1
//@ kernel:    group_conv_backward_weight__sum
//@ global:    KH*KW*(C/G)
//@ local:     1
//@ when:      X_BITS
//@ workspace: SLOTS*KH*KW*(C/G)*roundup(O, 16) + N*H*W*C
//@ about:     the same on spikes that are unpacked first

/* g_w[tap][k][o] += sum over output pixels of x[pixel moved by the tap][o / (O/G) C/G + k] e[pixel][o].
 * A work-item owns 16 outputs and a slot, which is a fixed range of images, so the order of the sums never changes. It
 * adds up a row of the picture in registers, and rows in its part of work: [slot][tap][C/G][COLUMNS]. */
#define COLUMNS (CEIL(O, 16) * 16)
#define SLOTS   MIN(N, MAX(1, 32 / CEIL(O, 16)))

/* Taps of a row of the kernel whose sums stay in registers together. */
#define TAPS MIN(KW, 16)

/* One row of e and one of x: channel k of TAPS taps of the kernel's row from kw0 on, added to sums[kw][k]. */
SP_INLINE void some_taps(__global const float *x, __global const float *e, __global float *sums, int o, int k, int lanes, int kw0)
{
    float16 sum[TAPS];
    #pragma unroll
    for (int j = 0; j < TAPS; j++)
        sum[j] = (float16)(0.0f);
    for (int wo = 0; wo < WO; wo++) {
        const float16 v = sp_load_lanes(e + (ulong)wo * O + o, lanes);
        #pragma unroll
        for (int j = 0; j < TAPS; j++) {
            const int i = wo * SW - PW + (kw0 + j) * DW;
            if (i >= 0 && i < W)
                sum[j] = fma(spread(x + (ulong)i * C, o, k, lanes), v, sum[j]);
        }
    }
    #pragma unroll
    for (int j = 0; j < TAPS; j++) {
        __global float *at = sums + (ulong)((kw0 + j) * IN_G + k) * COLUMNS;
        if (KW % TAPS == 0 || kw0 + j < KW)
            vstore16(vload16(0, at) + sum[j], 0, at);
    }
}

SP_INLINE void line(__global const float *x, __global const float *e, __global float *sums, int o, int k, int lanes)
{
    for (int kw0 = 0; kw0 < KW; kw0 += TAPS)
        some_taps(x, e, sums, o, k, lanes, kw0);
}

/* Images n0 .. n1 - 1 for outputs o .. o + 15. */
SP_INLINE void images(__global const float *x, __global const float *e, __global float *sums, int n0, int n1, int o,
                      int lanes)
{
    for (int k = 0; k < KH * KW * IN_G; k++)
        vstore16((float16)(0.0f), 0, sums + (ulong)k * COLUMNS);
    for (int n = n0; n < n1; n++)
        for (int ho = 0; ho < HO; ho++)
            for (int kh = 0; kh < KH; kh++) {
                const int h = ho * SH - PH + kh * DH;
                for (int k = 0; h >= 0 && h < H && k < IN_G; k++)
                    line(x + ((ulong)n * H + h) * (ulong)(W * C), e + ((ulong)n * HO + ho) * (ulong)(WO * O),
                         sums + (ulong)(kh * KW * IN_G) * COLUMNS, o, k, lanes);
            }
}

#if X_BITS
#define UNPACKED(work) ((work) + (ulong)SLOTS * (ulong)(KH * KW * IN_G * COLUMNS))

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void group_conv_backward_weight__unpack(SP_IN(uint, x), SP_OUT(float, work))
{
    SP_AT(x); SP_AT(work);
    sp_unpack_run(x, UNPACKED(work), (long)N * H * W, C);
}
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#if X_BITS
void group_conv_backward_weight__unpacked_slots(SP_IN(float, e), SP_IO(float, work))
{
    SP_AT(e); SP_AT(work);
    __global const float *x = UNPACKED(work);
#else
void group_conv_backward_weight__slots(SP_IN(float, x), SP_IN(float, e), SP_OUT(float, work))
{
    SP_AT(x); SP_AT(e); SP_AT(work);
#endif
    const int slot = (int)get_global_id(1), slots = (int)get_global_size(1), o = (int)get_global_id(0) * 16;
    const int n0 = (int)((long)slot * N / slots), n1 = (int)((long)(slot + 1) * N / slots);
    __global float *sums = work + (ulong)slot * (KH * KW * IN_G * COLUMNS) + o;
    if (o + 16 <= O)
        images(x, e, sums, n0, n1, o, 16);
    else
        images(x, e, sums, n0, n1, o, O - o);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void group_conv_backward_weight__sum(SP_IN(float, work), SP_IO(float, g_w))
{
    SP_AT(work); SP_AT(g_w);
    const ulong k = get_global_id(0);
    for (int o = 0; o < O; o += 16) {
        float16 sum = vload16(0, work + k * COLUMNS + o);
        for (int s = 1; s < SLOTS; s++)
            sum += vload16(0, work + ((ulong)s * (KH * KW * IN_G) + k) * COLUMNS + o);
        __global float *to = g_w + k * O + o;
        sp_store_lanes(sp_load_lanes(to, O - o) + sum, to, O - o);
    }
}
