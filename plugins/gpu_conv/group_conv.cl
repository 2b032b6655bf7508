//@ plugin: gpu_conv 1.0.0
//@ abi:    1
//@ include: fours.clh
//@ all:    device: gpu
//@ all:    bake: *
//@ let:    DEPTHWISE = C == G && O == G
//@ op:     group_conv.forward/1
//@ kernel: group_conv_forward__vec4
//@ global: N*HO*WO*O/4
//@ define: WIDTH = 4
//@ when:   (O/G % 4 == 0 || (DEPTHWISE && O % 4 == 0)) && N*HO*WO*O < 2147483648
//@ score:  50
//@ about:  four neighbouring outputs of a pixel a work-item
//@ op:     group_conv.forward/1
//@ kernel: group_conv_forward__flat
//@ global: N*HO*WO*O
//@ define: WIDTH = 1
//@ when:   N*HO*WO*O < 2147483648
//@ score:  40
//@ about:  one output a work-item, where four are of several groups
//@ op:     group_conv.backward_input/1
//@ kernel: group_conv_backward_input__vec4
//@ global: N*H*W*C/4
//@ define: WIDTH = 4
//@ when:   DEPTHWISE && C % 4 == 0 && N*H*W*C < 2147483648
//@ score:  50
//@ about:  depthwise: four neighbouring channels of a pixel a work-item
//@ op:     group_conv.backward_input/1
//@ kernel: group_conv_backward_input__flat
//@ global: N*H*W*C
//@ define: WIDTH = 1
//@ when:   N*H*W*C < 2147483648
//@ score:  40
//@ about:  one channel of a pixel a work-item

/* The sums of cl_kernels/spatial/conv_forward.cl and conv_backward_input.cl. Neighbouring items have neighbouring channels, numbered
 * through all pixels, so that a work-group is full whatever the number of channels. With C/G channels in a group there is too
 * little to share for tiles in local memory. A tap outside of the picture reads a pixel that exists and counts 0: loads without a
 * condition need not wait for each other, and where items of a vector left a loop at different taps, Intel's CPU runtime 2026.2 gave
 * some of them sums of others. */
#define IN_G  (C / G)
#define OUT_G (O / G)
#define DEPTHWISE (IN_G == 1 && OUT_G == 1)
#if WIDTH == 4
#define FORWARD  group_conv_forward__vec4
#define BACKWARD group_conv_backward_input__vec4
typedef float4 channels;
#else
#define FORWARD  group_conv_forward__flat
#define BACKWARD group_conv_backward_input__flat
typedef float channels;
#endif
#define AT(p, i) (*(__global channels *)((p) + (i)))
#define FROM(p, i) (*(__global const channels *)((p) + (i)))

/* Pixel and first of WIDTH channels of this item, of `columns` channels in a picture of `width` x `height`. */
typedef struct {
    int n, h, w, c;
} place;

SP_INLINE void find_place(int height, int width, int columns, place *p)
{
    const uint item = (uint)get_global_id(0), pixel = item / (uint)(columns / WIDTH), line = pixel / (uint)width;
    p->c = (int)(item - pixel * (uint)(columns / WIDTH)) * WIDTH;
    p->w = (int)(pixel - line * (uint)width);
    p->n = (int)(line / (uint)height);
    p->h = (int)(line % (uint)height);
}

#if defined(X_BITS) /* a flag of the forward op alone */
/* What the outputs from o on read as channel k of their group, at a pixel of x. */
SP_INLINE channels spread(__global const sp_x *x, ulong pixel, int o, int k)
{
#if WIDTH == 4 && DEPTHWISE && X_BITS
    return four_bits(x[pixel * SP_WORDS(C) + (ulong)(o / 32)] >> (o % 32));
#elif WIDTH == 4 && DEPTHWISE
    return FROM(x, pixel * C + (ulong)o);
#else
    return (channels)(SP_X(x, pixel, o / OUT_G * IN_G + k, C));
#endif
}

__kernel void FORWARD(SP_IN(sp_x, x), SP_IN(float, w),
#if BIAS
                      SP_IN(float, bias),
#endif
                      SP_OUT(float, y))
{
    SP_AT(x);
    SP_AT(w);
    SP_AT(y);
    place p;
    find_place(HO, WO, O, &p);
    channels sum = (channels)(0.0f);
#if BIAS
    SP_AT(bias);
    sum = FROM(bias, p.c);
#endif
    for (int kh = 0; kh < KH; kh++) {
        const int h = p.h * SH - PH + kh * DH;
        for (int kw = 0; kw < KW; kw++) {
            const int i = p.w * SW - PW + kw * DW;
            const bool inside = (uint)h < H && (uint)i < W;
            const ulong pixel = ((ulong)p.n * H + (uint)clamp(h, 0, H - 1)) * W + (uint)clamp(i, 0, W - 1);
            for (int k = 0; k < IN_G; k++) {
                const channels read = spread(x, pixel, p.c, k);
                sum += (inside ? read : (channels)(0.0f)) * FROM(w, ((kh * KW + kw) * IN_G + k) * O + p.c);
            }
        }
    }
    AT(y, ((ulong)(p.n * HO + p.h) * WO + (uint)p.w) * O + (uint)p.c) = sum;
}
#else

/* The output that reads pixel `at` by a tap, where it is one of `size`; else -1. */
SP_INLINE int reader(int at, int pad, int tap, int dilation, int stride, int size)
{
    const int p = at + pad - tap * dilation;
    return p < 0 || p % stride || p / stride >= size ? -1 : p / stride;
}

__kernel void BACKWARD(SP_IN(float, e), SP_IN(float, w), SP_OUT(float, g_x))
{
    SP_AT(e);
    SP_AT(w);
    SP_AT(g_x);
    place p;
    find_place(H, W, C, &p);
    const int o0 = p.c / IN_G * OUT_G, of_group = p.c % IN_G;
    channels sum = (channels)(0.0f);
    for (int kh = 0; kh < KH; kh++) {
        const int ho = reader(p.h, PH, kh, DH, SH, HO);
        for (int kw = 0; kw < KW; kw++) {
            const int wo = reader(p.w, PW, kw, DW, SW, WO);
            const bool is_read = ho >= 0 && wo >= 0;
            __global const float *from = e + (((ulong)p.n * HO + (uint)max(ho, 0)) * WO + (uint)max(wo, 0)) * O + (uint)o0;
            __global const float *by = w + ((kh * KW + kw) * IN_G + of_group) * O + o0;
            for (int o = 0; o < OUT_G; o++) { /* depthwise: a single one, or four neighbours */
                const channels gradient = FROM(from, o);
                sum += (is_read ? gradient : (channels)(0.0f)) * FROM(by, o);
            }
        }
    }
    AT(g_x, ((ulong)(p.n * H + p.h) * W + (uint)p.w) * C + (uint)p.c) = sum;
}
#endif
