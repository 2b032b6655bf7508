//@ plugin:    gpu_conv 1.0.0
//@ abi:       1
//@ include:   macros.clh fours.clh
//@ let:       QUADS = N*HO*ceildiv(WO, TM)
//@ op:        conv.forward/1
//@ kernel:    conv_forward__few
//@ global:    ceildiv(QUADS*4, WG)*WG, ceildiv(O, 32)
//@ local:     WG, 1
//@ bake:      *
//@ tune:      WG = 128 64 256
//@ tune:      TM = 4 2 8
//@ vendor:    intel TM=2
//@ registers: TM
//@ when:      !X_BITS && C <= 4 && KW <= 7 && KH*KW*C <= 150 && WG <= wg && KH*KW*C*128 <= local_bytes && QUADS < 536870912 - 128
//@ device:    gpu
//@ score:     50
//@ about:     few input channels: TM neighbouring pixels an item keep the numbers that their taps share in registers

/* y[m][o] = sum over (kh, kw, c) of x[pixel m moved by (kh, kw)][c] w[kh][kw][c][o] [+ bias]
 *
 * A first layer has so few channels that a tile of local memory (conv.cl) would hold each number of the picture once for every
 * tap, and a slice of the sum would be padded. Here an item makes TM neighbouring pixels of a line x 8 outputs; four items share
 * the pixels. Of each line of the picture that a kernel row reaches it loads what its pixels see, once for all taps, and
 * multiplies it by weights from local memory. */
#define COLUMNS 32 /* of a group */
/* Pixels at a time: of four channels, Intel's compilers would take 8 items together for two, or keep sums in scratch memory. */
#if defined(cl_intel_required_subgroup_size) && C == 4
#define TOGETHER   __attribute__((intel_reqd_sub_group_size(16)))
#define ONE_BY_ONE 1
#define PIXELS     1
#else
#define TOGETHER
#define ONE_BY_ONE 0
#define PIXELS     TM
#endif
#define SPAN    ((PIXELS - 1) * SW + (KW - 1) * DW + 1) /* columns of x that they see; those without a tap are not loaded */
#define LINE    CEIL(WO, TM)
#define OUTSIDE (-(1 << 29)) /* a coordinate that no tap brings into the picture */

/* What PIXELS pixels from column w0 on see of a line of x. */
SP_INLINE void see(__global const float *line, int w0, float seen[SPAN * C])
{
#pragma unroll
    for (int s = 0; s < SPAN; s++) {
        const bool inside = (uint)(w0 + s) < W;
        const int at = inside ? (w0 + s) * C : 0;
#pragma unroll
        for (int c = 0; c < C; c++) {
            const float got = line[at + c];
            seen[s * C + c] = inside ? got : 0.0f;
        }
    }
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) TOGETHER void conv_forward__few(SP_IN(float, x), SP_IN(float, w),
#if BIAS
                                                                                        SP_IN(float, bias),
#endif
                                                                                        SP_OUT(float, y))
{
    __local float weights[KH * KW * C * COLUMNS] __attribute__((aligned(16)));
    SP_AT(x);
    SP_AT(w);
    SP_AT(y);
    const int lid = (int)get_local_id(0), col0 = (int)get_group_id(1) * COLUMNS;
    for (int i = lid; i < KH * KW * C * COLUMNS; i += WG) /* columns past the last one hold what that holds */
        weights[i] = w[i / COLUMNS * O + min(col0 + i % COLUMNS, O - 1)];

    const int quad = (int)get_global_id(0) / 4, first = lid % 4 * 4;
    const int line = quad / LINE, wo = quad % LINE * TM, n = line / HO;
    const int h0 = n < N ? line % HO * SH - PH : OUTSIDE, w0 = wo * SW - PW;
    barrier(CLK_LOCAL_MEM_FENCE);
#if ONE_BY_ONE
#pragma unroll 1
    for (int pixel = 0; pixel < TM; pixel++)
#else
    const int pixel = 0;
#endif
    {
        float4 sum[PIXELS][2];
#pragma unroll
        for (int i = 0; i < PIXELS; i++)
            sum[i][0] = sum[i][1] = (float4)(0.0f);
#pragma unroll 1
        for (int kh = 0; kh < KH; kh++) {
            const int h = h0 + kh * DH;
            float seen[SPAN * C];
            if ((uint)h >= H)
                continue;
            see(x + ((ulong)n * H + (uint)h) * (W * C), w0 + pixel * SW, seen);
#pragma unroll
            for (int k = 0; k < KW * C; k++) {
                __local const float4 *b = (__local const float4 *)(weights + (kh * KW * C + k) * COLUMNS + first);
                const float4 left = b[0], right = b[COLUMNS / 8];
#pragma unroll
                for (int i = 0; i < PIXELS; i++) {
                    const float a = seen[(i * SW + k / C * DW) * C + k % C];
                    sum[i][0] += a * left;
                    sum[i][1] += a * right;
                }
            }
        }
#pragma unroll
        for (int v = 0; v < 2; v++) {
            const int o = col0 + first + v * (COLUMNS / 2);
            float4 add = (float4)(0.0f);
#if BIAS
            __global const float *b = bias + bias_at;
            add = (float4)(b[min(o, O - 1)], b[min(o + 1, O - 1)], b[min(o + 2, O - 1)], b[min(o + 3, O - 1)]);
#endif
#pragma unroll
            for (int i = 0; i < PIXELS; i++) {
                const int at = wo + pixel + i;
                store4(y, ((ulong)line * WO + (uint)at) * O + (uint)o, sum[i][v] + add, n < N && at < WO ? O - o : 0, O % 4 == 0, false);
            }
        }
    }
}
