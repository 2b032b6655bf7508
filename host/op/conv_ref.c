/* C references of the convolution family: cross-correlation of N,H,W,C activations with KH,KW,C/G,O weights
 * in G groups (G = 1 but for group_conv.*), its two gradients, im2col and col2im, and the bias. Input pixel h
 * of output pixel ho and tap kh is h = ho * SH - PH + kh * DH; outside 0..H-1 the input is zero. */
#include <string.h>

#include "op/references.h"

typedef struct shape {
    int64_t N, H, W, C, O, KH, KW, SH, SW, PH, PW, DH, DW, HO, WO;
    int64_t c, o; /* channels of a group: C/G, O/G */
    int bf16;
} shape;

static shape shape_of(const sp_op_call *call)
{
    int64_t groups = 1;
    if (strncmp(call->op->id, "group_conv.", 11) == 0)
        groups = sp_call_int(call, "G");
    return (shape){
        .N = sp_call_int(call, "N"),
        .H = sp_call_int(call, "H"),
        .W = sp_call_int(call, "W"),
        .C = sp_call_int(call, "C"),
        .O = sp_call_int(call, "O"),
        .KH = sp_call_int(call, "KH"),
        .KW = sp_call_int(call, "KW"),
        .SH = sp_call_int(call, "SH"),
        .SW = sp_call_int(call, "SW"),
        .PH = sp_call_int(call, "PH"),
        .PW = sp_call_int(call, "PW"),
        .DH = sp_call_int(call, "DH"),
        .DW = sp_call_int(call, "DW"),
        .HO = sp_call_int(call, "HO"),
        .WO = sp_call_int(call, "WO"),
        .c = sp_call_int(call, "C") / groups,
        .o = sp_call_int(call, "O") / groups,
        .bf16 = sp_call_is_bf16(call),
    };
}

/* Row of x that tap (kh, kw) of output pixel (n, ho, wo) reads; -1 where it lies in the padding. */
static int64_t input_row(const shape *s, int64_t n, int64_t ho, int64_t wo, int64_t kh, int64_t kw)
{
    int64_t h = ho * s->SH - s->PH + kh * s->DH, w = wo * s->SW - s->PW + kw * s->DW;
    if (h < 0 || h >= s->H || w < 0 || w >= s->W)
        return -1;
    return (n * s->H + h) * s->W + w;
}

/* Row of y whose tap (kh, kw) reads input pixel (n, h, w); -1 where there is none. */
static int64_t output_row(const shape *s, int64_t n, int64_t h, int64_t w, int64_t kh, int64_t kw)
{
    int64_t y = h + s->PH - kh * s->DH, x = w + s->PW - kw * s->DW;
    if (y < 0 || y % s->SH != 0 || y / s->SH >= s->HO || x < 0 || x % s->SW != 0 || x / s->SW >= s->WO)
        return -1;
    return (n * s->HO + y / s->SH) * s->WO + x / s->SW;
}

/* Channels are summed in strips so that the inner loop walks along memory: the order of the additions to one
 * sum is the plain one. */
enum { STRIP = 64 };

/* Output channels of one group. */
static int64_t strip_end(const shape *s, int64_t start)
{
    const int64_t end = (start / s->o + 1) * s->o;
    return start + STRIP < end ? start + STRIP : end;
}

/* First input channel of the group that output channel o belongs to. */
static int64_t group_start(const shape *s, int64_t o)
{
    return o / s->o * s->c;
}

/* sum[i] += x * row[i] */
static void add_row(const shape *s, double *sum, double x, const float *row, int64_t n)
{
    const double factor = ref_factor(x, s->bf16);
    if (s->bf16)
        for (int64_t i = 0; i < n; i++)
            sum[i] += factor * (double)sp_bf16_round(row[i]);
    else
        for (int64_t i = 0; i < n; i++)
            sum[i] += factor * (double)row[i];
}

void conv_forward_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call);
    const int bits = sp_call_flag(call, "X_BITS"), with_bias = sp_call_flag(call, "BIAS");
    const float *w = buf[1], *bias = buf[2];
    float *y = buf[3];

    for (int64_t m = 0; m < s.N * s.HO * s.WO; m++)
        for (int64_t o0 = 0; o0 < s.O; o0 = strip_end(&s, o0)) {
            const int64_t n = m / (s.HO * s.WO), ho = m / s.WO % s.HO, wo = m % s.WO;
            const int64_t strip = strip_end(&s, o0) - o0, c0 = group_start(&s, o0);
            double sum[STRIP];
            for (int64_t o = 0; o < strip; o++)
                sum[o] = with_bias ? (double)bias[o0 + o] : 0.0;
            for (int64_t kh = 0; kh < s.KH; kh++)
                for (int64_t kw = 0; kw < s.KW; kw++) {
                    const int64_t row = input_row(&s, n, ho, wo, kh, kw);
                    for (int64_t c = 0; row >= 0 && c < s.c; c++)
                        add_row(&s, sum, ref_value(buf[0], bits, row, c0 + c, s.C),
                                w + ((kh * s.KW + kw) * s.c + c) * s.O + o0, strip);
                }
            for (int64_t o = 0; o < strip; o++)
                y[m * s.O + o0 + o] = (float)sum[o];
        }
}

void binary_conv_forward_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call);
    const uint32_t *x = buf[0], *w = buf[1];
    const float *bias = buf[2];
    const int64_t words = ref_words(s.C);
    float *y = buf[3];

    for (int64_t i = 0; i < s.N * s.HO * s.WO * s.O; i++) {
        const int64_t m = i / s.O, o = i % s.O;
        int64_t sum = 0;
        for (int64_t k = 0; k < s.KH * s.KW * words; k++) {
            const int64_t tap = k / words, word = k % words;
            const int64_t row =
                input_row(&s, m / (s.HO * s.WO), m / s.WO % s.HO, m % s.WO, tap / s.KW, tap % s.KW);
            const uint32_t spikes = row < 0 ? 0 : x[row * words + word];
            sum += 2 * __builtin_popcount(spikes & w[k * s.O + o]) - __builtin_popcount(spikes);
        }
        y[i] = (float)((double)sum + (bias ? (double)bias[o] : 0.0));
    }
}

void integer_conv_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call);
    const int bits = sp_call_flag(call, "X_BITS");
    const int32_t *x = buf[0], *w = buf[1];
    int32_t *y = buf[2];

    for (int64_t m = 0; m < s.N * s.HO * s.WO; m++) {
        const int64_t n = m / (s.HO * s.WO), ho = m / s.WO % s.HO, wo = m % s.WO;
        memset(y + m * s.O, 0, (size_t)s.O * sizeof *y);
        for (int64_t tap = 0; tap < s.KH * s.KW; tap++) {
            const int64_t row = input_row(&s, n, ho, wo, tap / s.KW, tap % s.KW);
            for (int64_t c = 0; row >= 0 && c < s.C; c++) {
                const int32_t value = bits ? (int32_t)ref_bit(x, row, c, s.C) : x[row * s.C + c];
                for (int64_t o = 0; value && o < s.O; o++)
                    y[m * s.O + o] += value * w[(tap * s.C + c) * s.O + o];
            }
        }
    }
}

void conv_backward_input_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call);
    const float *e = buf[0], *w = buf[1];
    float *g_x = buf[2];

    for (int64_t i = 0; i < s.N * s.H * s.W; i++)
        for (int64_t c = 0; c < s.C; c++) {
            const int64_t n = i / (s.H * s.W), h = i / s.W % s.H, x = i % s.W;
            double sum = 0.0;
            for (int64_t kh = 0; kh < s.KH; kh++)
                for (int64_t kw = 0; kw < s.KW; kw++) {
                    const int64_t row = output_row(&s, n, h, x, kh, kw);
                    const int64_t k = (kh * s.KW + kw) * s.c + c % s.c, o0 = c / s.c * s.o;
                    for (int64_t o = o0; row >= 0 && o < o0 + s.o; o++)
                        sum += ref_factor((double)e[row * s.O + o], s.bf16) *
                               ref_factor((double)w[k * s.O + o], s.bf16);
                }
            g_x[i * s.C + c] = (float)sum;
        }
}

void conv_backward_weight_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call);
    const int bits = sp_call_flag(call, "X_BITS");
    const float *e = buf[1];
    float *g_w = buf[2];

    for (int64_t k = 0; k < s.KH * s.KW * s.c; k++)
        for (int64_t o0 = 0; o0 < s.O; o0 = strip_end(&s, o0)) {
            const int64_t kh = k / (s.KW * s.c), kw = k / s.c % s.KW, c = group_start(&s, o0) + k % s.c;
            const int64_t strip = strip_end(&s, o0) - o0;
            double sum[STRIP];
            for (int64_t o = 0; o < strip; o++)
                sum[o] = (double)g_w[k * s.O + o0 + o];
            for (int64_t m = 0; m < s.N * s.HO * s.WO; m++) {
                const int64_t row = input_row(&s, m / (s.HO * s.WO), m / s.WO % s.HO, m % s.WO, kh, kw);
                if (row >= 0)
                    add_row(&s, sum, ref_value(buf[0], bits, row, c, s.C), e + m * s.O + o0, strip);
            }
            for (int64_t o = 0; o < strip; o++)
                g_w[k * s.O + o0 + o] = (float)sum[o];
        }
}

void im2col_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call);
    const int bits = sp_call_flag(call, "X_BITS");
    const int64_t K = s.KH * s.KW * s.C;
    float *col = buf[1];

    for (int64_t m = 0; m < s.N * s.HO * s.WO; m++)
        for (int64_t k = 0; k < K; k++) {
            const int64_t row =
                input_row(&s, m / (s.HO * s.WO), m / s.WO % s.HO, m % s.WO, k / (s.KW * s.C), k / s.C % s.KW);
            col[m * K + k] = row < 0 ? 0.0f : (float)ref_value(buf[0], bits, row, k % s.C, s.C);
        }
}

void col2im_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call);
    const float *col = buf[0];
    const int64_t taps = s.KH * s.KW;
    float *g_x = buf[1];

    for (int64_t i = 0; i < s.N * s.H * s.W; i++)
        for (int64_t c = 0; c < s.C; c++) {
            double sum = 0.0;
            for (int64_t tap = 0; tap < taps; tap++) {
                const int64_t row =
                    output_row(&s, i / (s.H * s.W), i / s.W % s.H, i % s.W, tap / s.KW, tap % s.KW);
                if (row >= 0)
                    sum += (double)col[(row * taps + tap) * s.C + c];
            }
            g_x[i * s.C + c] = (float)sum;
        }
}

void bias_broadcast_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    const float *bias = buf[0];
    float *y = buf[1];

    for (int64_t i = 0; i < M * C; i++)
        y[i] = bias[i % C];
}

void bias_backward_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    const float *e = buf[0];
    float *g_bias = buf[1];

    for (int64_t c = 0; c < C; c++) {
        double sum = (double)g_bias[c];
        for (int64_t m = 0; m < M; m++)
            sum += (double)e[m * C + c];
        g_bias[c] = (float)sum;
    }
}
