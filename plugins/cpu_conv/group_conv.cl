//@ plugin:    cpu_conv 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh unpack.clh groups.clh
//@ all:       device: cpu
//@ all:       bake: *
//@ all:       score: 50
//@ op:        group_conv.forward/1
//@ kernel:    group_conv_forward__lanes
//@ global:    min(N*HO, cu*16)
//@ local:     1
//@ define:    BACKWARD = 0
//@ when:      !X_BITS
//@ about:     16 output channels at a time, of one group or of several, for up to four pixels
//@ op:        group_conv.forward/1
//@ kernel:    group_conv_forward__unpack
//@ global:    min(N*H, cu*16)
//@ local:     1
//@ kernel:    group_conv_forward__unpacked_lanes
//@ global:    min(N*HO, cu*16)
//@ local:     1
//@ define:    BACKWARD = 0
//@ when:      X_BITS
//@ workspace: N*H*W*C
//@ about:     the same on spikes that are unpacked first
//@ op:        group_conv.backward_input/1
//@ kernel:    group_conv_backward_input__pack
//@ global:    KH*KW
//@ local:     1
//@ kernel:    group_conv_backward_input__lanes
//@ global:    min(N*H, cu*16)
//@ local:     1
//@ define:    BACKWARD = 1
//@ workspace: KH*KW*(O/G)*C
//@ about:     16 input channels at a time, with the weights of a group transposed first

/* Both passes are one walk. Out channel j of OUT reads channels j / OUT_G * IN_G .. + IN_G - 1 of IN: the weights lie
 * [tap][IN_G][OUT], so that the out channels run along the lanes. Forward: in is x, out is y. Backward: in is e, out is
 * g_x, and pixel (h, i) reads the pixels (h + PH - kh DH) / SH, (i + PW - kw DW) / SW of e that there are. */
#if BACKWARD
#define IN    O
#define OUT   C
#define IN_H  HO
#define IN_W  WO
#define OUT_H H
#define OUT_W W
#else
#define IN    C
#define OUT   O
#define IN_H  H
#define IN_W  W
#define OUT_H HO
#define OUT_W WO
#endif

/* Row and column of in that a tap of out reads; -1: none. */
#if BACKWARD
SP_INLINE int place(int at, int pad, int tap, int dilation, int stride, int size)
{
    const int p = at + pad - tap * dilation;
    return p < 0 || p % stride || p / stride >= size ? -1 : p / stride;
}
#else
SP_INLINE int place(int at, int pad, int tap, int dilation, int stride, int size)
{
    const int p = at * stride - pad + tap * dilation;
    return p < 0 || p >= size ? -1 : p;
}
#endif

/* An array of sums stays in memory unless the loops over it are unrolled, and the kernel takes three times as long then. An input gradient
 * with a stride has a single pixel at a time: there, unrolling makes it half as slow again. */
#if BACKWARD && SW > 1
#define SIDE_BY_SIDE
#else
#define SIDE_BY_SIDE __attribute__((opencl_unroll_hint))
#endif

/* Long kernels would make a program without end. */
#if KW <= 16
#define TAPS_ON_END __attribute__((opencl_unroll_hint))
#else
#define TAPS_ON_END __attribute__((opencl_unroll_hint(8)))
#endif

/* `pixels` neighbours of a row from column x on, out channels c .. c + 15. inside: no tap leaves the row. */
SP_INLINE void tile(__global const float *image, __global const float *w, __global const float *bias,
                    __global float *to, int y, int x, int c, int lanes, int pixels, int inside)
{
    float16 sum[4];
    SIDE_BY_SIDE
    for (int p = 0; p < pixels; p++)
        sum[p] = bias ? sp_load_lanes(bias + c, lanes) : (float16)(0.0f);
    for (int kh = 0; kh < KH; kh++) {
        const int row = place(y, PH, kh, DH, SH, IN_H);
        if (row < 0)
            continue;
        TAPS_ON_END
        for (int kw = 0; kw < KW; kw++) {
            __global const float *wk = w + (ulong)(kh * KW + kw) * (IN_G * OUT) + c;
            for (int k = 0; k < IN_G; k++) {
                const float16 v = sp_load_lanes(wk + (ulong)k * OUT, lanes);
                SIDE_BY_SIDE
                for (int p = 0; p < pixels; p++) {
                    const int at = BACKWARD ? x + p + PW - kw * DW : (x + p) * SW - PW + kw * DW;
                    const int column = inside ? at : place(x + p, PW, kw, DW, SW, IN_W);
                    if (inside || column >= 0)
                        sum[p] = fma(spread(image + ((ulong)row * IN_W + column) * IN, c, k, lanes), v, sum[p]);
                }
            }
        }
    }
    SIDE_BY_SIDE
    for (int p = 0; p < pixels; p++)
        sp_store_lanes(sum[p], to + (ulong)p * OUT + c, lanes);
}

/* Columns whose taps all lie inside; with a stride, only forward passes have such. */
#if BACKWARD && SW > 1
#define FIRST_INSIDE 0
#define LAST_INSIDE  0
#elif BACKWARD
#define FIRST_INSIDE MAX(0, (KW - 1) * DW - PW)
#define LAST_INSIDE  MIN(OUT_W, IN_W - PW)
#else
#define FIRST_INSIDE CEIL(PW, SW)
#define LAST_INSIDE  (IN_W - 1 + PW - (KW - 1) * DW < 0 ? 0 : MIN(OUT_W, (IN_W - 1 + PW - (KW - 1) * DW) / SW + 1))
#endif

SP_INLINE void line(__global const float *image, __global const float *w, __global const float *bias,
                    __global float *to, int y, int c, int lanes)
{
    int x = 0;
    for (; x < OUT_W && x < FIRST_INSIDE; x++)
        tile(image, w, bias, to + (ulong)x * OUT, y, x, c, lanes, 1, 0);
    for (; x + 4 <= LAST_INSIDE; x += 4)
        tile(image, w, bias, to + (ulong)x * OUT, y, x, c, lanes, 4, 1);
    for (; x < OUT_W; x++)
        tile(image, w, bias, to + (ulong)x * OUT, y, x, c, lanes, 1, 0);
}

SP_INLINE void lines(__global const float *in, __global const float *w, __global const float *bias,
                     __global float *out)
{
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * OUT_H;
    for (long r = item * rows / items; r < (item + 1) * rows / items; r++) {
        __global const float *image = in + (ulong)(r / OUT_H) * (IN_H * IN_W) * (ulong)IN;
        __global float *to = out + (ulong)r * OUT_W * (ulong)OUT;
        int c = 0;
        for (; c + 16 <= OUT; c += 16)
            line(image, w, bias, to, (int)(r % OUT_H), c, 16);
        if (c < OUT)
            line(image, w, bias, to, (int)(r % OUT_H), c, OUT - c);
    }
}

#if BACKWARD
/* [tap][C/G][O] as [tap][O/G][C]. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void group_conv_backward_input__pack(SP_IN(float, w), SP_OUT(float, work))
{
    SP_AT(w); SP_AT(work);
    w += (ulong)get_global_id(0) * (OUT_G * IN);
    work += (ulong)get_global_id(0) * (IN_G * OUT);
    for (int k = 0; k < IN_G; k++)
        for (int c = 0; c < OUT; c++)
            work[(ulong)k * OUT + c] = w[(ulong)(c % OUT_G) * IN + c / OUT_G * IN_G + k];
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void group_conv_backward_input__lanes(SP_IN(float, e), SP_IN(float, work), SP_OUT(float, g_x))
{
    SP_AT(e); SP_AT(work); SP_AT(g_x);
    lines(e, work, 0, g_x);
}
#else

#if X_BITS
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void group_conv_forward__unpack(SP_IN(uint, x), SP_OUT(float, work))
{
    SP_AT(x); SP_AT(work);
    sp_unpack_run(x, work, (long)N * H * W, C);
}
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#if X_BITS
void group_conv_forward__unpacked_lanes(SP_IN(float, work), SP_IN(float, w),
#else
void group_conv_forward__lanes(SP_IN(float, x), SP_IN(float, w),
#endif
#if BIAS
                                        SP_IN(float, bias),
#endif
                                        SP_OUT(float, y))
{
    __global const float *b = 0;
#if X_BITS
    __global const float *x = work + work_at;
#else
    SP_AT(x);
#endif
    SP_AT(w); SP_AT(y);
#if BIAS
    SP_AT(bias);
    b = bias;
#endif
    lines(x, w, b, y);
}
#endif
