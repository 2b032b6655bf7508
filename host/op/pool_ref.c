/* C references of the pooling family: average (padding counted as zeros), maximum (padding never wins, the
 * first maximum in row order takes the gradient, a NaN is a maximum) and adaptive average. Windows do not
 * dilate. Backward passes ask, for each input pixel, which windows hold it, so that every sum is one double.
 */
#include <math.h>
#include <string.h>

#include "op/references.h"

typedef struct shape {
    int adaptive;
    int64_t N, H, W, C, KH, KW, SH, SW, PH, PW, HO, WO;
} shape;

static shape shape_of(const sp_op_call *call, int adaptive)
{
    shape s = {
        .adaptive = adaptive,
        .N = sp_call_int(call, "N"),
        .H = sp_call_int(call, "H"),
        .W = sp_call_int(call, "W"),
        .C = sp_call_int(call, "C"),
        .HO = sp_call_int(call, "HO"),
        .WO = sp_call_int(call, "WO"),
    };
    if (!adaptive) {
        s.KH = sp_call_int(call, "KH"), s.KW = sp_call_int(call, "KW");
        s.SH = sp_call_int(call, "SH"), s.SW = sp_call_int(call, "SW");
        s.PH = sp_call_int(call, "PH"), s.PW = sp_call_int(call, "PW");
    }
    return s;
}

/* Input rows and columns of one window, cut to the input: top <= h < bottom, left <= w < right. */
typedef struct window {
    int64_t top, bottom, left, right;
} window;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Adaptive: output i covers floor(i n / n_out) .. ceil((i + 1) n / n_out) - 1. */
static window window_of(const shape *s, int64_t ho, int64_t wo)
{
    if (s->adaptive)
        return (window){ho * s->H / s->HO, ceil_div((ho + 1) * s->H, s->HO), wo * s->W / s->WO,
                        ceil_div((wo + 1) * s->W, s->WO)};
    int64_t top = ho * s->SH - s->PH, left = wo * s->SW - s->PW;
    int64_t bottom = top + s->KH, right = left + s->KW;
    return (window){top < 0 ? 0 : top, bottom > s->H ? s->H : bottom, left < 0 ? 0 : left,
                    right > s->W ? s->W : right};
}

static int holds_row(const window *w, int64_t h)
{
    return h >= w->top && h < w->bottom;
}

static int holds_column(const window *w, int64_t x)
{
    return x >= w->left && x < w->right;
}

/* What the sum of a window is divided by: padding counts as zeros, which an adaptive window has none of. */
static double area(const shape *s, const window *w)
{
    return (double)(s->adaptive ? (w->bottom - w->top) * (w->right - w->left) : s->KH * s->KW);
}

static double window_sum(const shape *s, const window *w, const void *x, int bits, int64_t n, int64_t c)
{
    double sum = 0.0;
    for (int64_t h = w->top; h < w->bottom; h++)
        for (int64_t i = w->left; i < w->right; i++)
            sum += ref_value(x, bits, (n * s->H + h) * s->W + i, c, s->C);
    return sum;
}

/* Row of x where the window has its first maximum; -1 when all of it is padding. */
static int64_t window_argmax(const shape *s, const window *w, const void *x, int bits, int64_t n, int64_t c)
{
    int64_t best_row = -1;
    double best = -INFINITY;
    for (int64_t h = w->top; h < w->bottom; h++)
        for (int64_t i = w->left; i < w->right; i++) {
            const int64_t row = (n * s->H + h) * s->W + i;
            const double v = ref_value(x, bits, row, c, s->C);
            if (best_row < 0 || v > best || isnan(v)) {
                best = v;
                best_row = row;
            }
        }
    return best_row;
}

void integer_pool_sum_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call, 0);
    const int bits = sp_call_flag(call, "X_BITS");
    const int32_t *x = buf[0];
    int32_t *y = buf[1];

    for (int64_t i = 0; i < s.N * s.HO * s.WO * s.C; i++) {
        const int64_t c = i % s.C, m = i / s.C, n = m / (s.HO * s.WO);
        const window w = window_of(&s, m / s.WO % s.HO, m % s.WO);
        y[i] = 0;
        for (int64_t h = w.top; h < w.bottom; h++)
            for (int64_t k = w.left; k < w.right; k++) {
                const int64_t row = (n * s.H + h) * s.W + k;
                y[i] += bits ? (int32_t)ref_bit(x, row, c, s.C) : x[row * s.C + c];
            }
    }
}

static void avg_forward(const sp_op_call *call, void *const *buf, int adaptive)
{
    const shape s = shape_of(call, adaptive);
    const int bits = sp_call_flag(call, "X_BITS");
    float *y = buf[1];

    for (int64_t m = 0; m < s.N * s.HO * s.WO; m++)
        for (int64_t c = 0; c < s.C; c++) {
            const window w = window_of(&s, m / s.WO % s.HO, m % s.WO);
            const double sum = window_sum(&s, &w, buf[0], bits, m / (s.HO * s.WO), c);
            y[m * s.C + c] = (float)(sum / area(&s, &w));
        }
}

/* The first row and the first column of windows that do not end before an input row and column: with the
 * window, both its ends move forward or stay. */
static int64_t first_row(const shape *s, int64_t h)
{
    int64_t low = 0, high = s->HO;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (window_of(s, middle, 0).bottom > h)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int64_t first_column(const shape *s, int64_t x)
{
    int64_t low = 0, high = s->WO;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (window_of(s, 0, middle).right > x)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* g_x of input row i, channel c. */
static double avg_gradient(const shape *s, const float *g_y, int64_t i, int64_t c)
{
    const int64_t n = i / (s->H * s->W), h = i / s->W % s->H, x = i % s->W;
    const int64_t wo_first = first_column(s, x);
    double sum = 0.0;
    for (int64_t ho = first_row(s, h); ho < s->HO && window_of(s, ho, 0).top <= h; ho++)
        for (int64_t wo = wo_first; wo < s->WO; wo++) {
            const window w = window_of(s, ho, wo);
            if (!holds_row(&w, h) || !holds_column(&w, x))
                break;
            sum += (double)g_y[((n * s->HO + ho) * s->WO + wo) * s->C + c] / area(s, &w);
        }
    return sum;
}

static void avg_backward(const sp_op_call *call, void *const *buf, int adaptive)
{
    const shape s = shape_of(call, adaptive);
    float *g_x = buf[1];

    for (int64_t i = 0; i < s.N * s.H * s.W; i++)
        for (int64_t c = 0; c < s.C; c++)
            g_x[i * s.C + c] = (float)avg_gradient(&s, buf[0], i, c);
}

void pool_avg_forward_ref(const sp_op_call *call, void *const *buf)
{
    avg_forward(call, buf, 0);
}

void pool_avg_backward_ref(const sp_op_call *call, void *const *buf)
{
    avg_backward(call, buf, 0);
}

void pool_adaptive_avg_forward_ref(const sp_op_call *call, void *const *buf)
{
    avg_forward(call, buf, 1);
}

void pool_adaptive_avg_backward_ref(const sp_op_call *call, void *const *buf)
{
    avg_backward(call, buf, 1);
}

void pool_max_forward_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call, 0);
    const int bits = sp_call_flag(call, "X_BITS");
    float *y = buf[1];

    for (int64_t m = 0; m < s.N * s.HO * s.WO; m++)
        for (int64_t c = 0; c < s.C; c++) {
            const window w = window_of(&s, m / s.WO % s.HO, m % s.WO);
            const int64_t row = window_argmax(&s, &w, buf[0], bits, m / (s.HO * s.WO), c);
            y[m * s.C + c] = row < 0 ? -INFINITY : (float)ref_value(buf[0], bits, row, c, s.C);
        }
}

void pool_spikes_forward_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call, 0);
    const int64_t words = (s.C + 31) / 32;
    uint32_t *y = buf[1];

    memset(y, 0, (size_t)(s.N * s.HO * s.WO * words) * sizeof *y);
    for (int64_t m = 0; m < s.N * s.HO * s.WO; m++)
        for (int64_t c = 0; c < s.C; c++) {
            const window w = window_of(&s, m / s.WO % s.HO, m % s.WO);
            const int64_t row = window_argmax(&s, &w, buf[0], 1, m / (s.HO * s.WO), c);
            if (row >= 0 && ref_bit(buf[0], row, c, s.C) > 0)
                y[m * words + c / 32] |= UINT32_C(1) << (c % 32);
        }
}

/* g_x of input row i, channel c: the gradients of the windows whose first maximum it is. */
static double max_gradient(const shape *s, const void *x, int bits, const float *g_y, int64_t i, int64_t c)
{
    const int64_t n = i / (s->H * s->W), row = i / s->W % s->H, column = i % s->W;
    const int64_t wo_first = first_column(s, column);
    double sum = 0.0;
    for (int64_t ho = first_row(s, row); ho < s->HO && window_of(s, ho, 0).top <= row; ho++)
        for (int64_t wo = wo_first; wo < s->WO; wo++) {
            const window w = window_of(s, ho, wo);
            if (!holds_row(&w, row) || !holds_column(&w, column))
                break;
            if (window_argmax(s, &w, x, bits, n, c) == i)
                sum += (double)g_y[((n * s->HO + ho) * s->WO + wo) * s->C + c];
        }
    return sum;
}

void pool_max_backward_ref(const sp_op_call *call, void *const *buf)
{
    const shape s = shape_of(call, 0);
    const int bits = sp_call_flag(call, "X_BITS");
    float *g_x = buf[2];

    for (int64_t i = 0; i < s.N * s.H * s.W; i++)
        for (int64_t c = 0; c < s.C; c++)
            g_x[i * s.C + c] = (float)max_gradient(&s, buf[0], bits, buf[1], i, c);
}
