/* C references of the elementwise family: scale, add, activation, residual, fill, quantile. An output may be
 * the same memory as the input that its contract names as alias. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "op/references.h"

void scale_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    const double factor = sp_call_float(call, "factor");
    const int bits = sp_call_flag(call, "X_BITS");
    float *y = buf[1];

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++)
            y[m * C + c] = (float)(factor * ref_value(buf[0], bits, m, c, C));
}

void delay_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    const int64_t n = M * (sp_call_flag(call, "X_BITS") ? (C + 31) / 32 : C);
    const uint32_t *x = buf[0]; /* words of spikes, or float32 as they are */
    uint32_t *kept = buf[1], *y = buf[2];

    for (int64_t i = 0; i < n; i++) {
        const uint32_t now = x[i];
        y[i] = kept[i];
        kept[i] = now;
    }
}

void add_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t n = sp_call_int(call, "M") * sp_call_int(call, "C");
    const float *a = buf[0], *b = buf[1];
    float *y = buf[2];

    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((double)a[i] + (double)b[i]);
}

void mul_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t n = sp_call_int(call, "M") * sp_call_int(call, "C");
    const float *a = buf[0], *b = buf[1];
    float *y = buf[2];

    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((double)a[i] * (double)b[i]);
}

void mean_accumulate_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    const double share = (double)(float)sp_call_float(call, "share");
    float *mean = buf[1];

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++) {
            double before = sp_call_int(call, "block_start") ? 0 : (double)mean[m * C + c];
            mean[m * C + c] =
                (float)(before + share * ref_value(buf[0], sp_call_flag(call, "X_BITS"), m, c, C));
        }
}

/* alpha [gain], the factor of the branch */
static double branch_factor(const sp_op_call *call, const float *gain)
{
    return sp_call_float(call, "alpha") * (sp_call_flag(call, "GAIN") ? (double)gain[0] : 1.0);
}

void residual_forward_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    const double factor = branch_factor(call, buf[2]);
    const int bits = sp_call_flag(call, "ID_BITS");
    const float *branch = buf[0];
    float *y = buf[3];

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++)
            y[m * C + c] = (float)(factor * (double)branch[m * C + c] + ref_value(buf[1], bits, m, c, C));
}

void residual_backward_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t n = sp_call_int(call, "M") * sp_call_int(call, "C");
    const double factor = branch_factor(call, buf[2]);
    const int with_gain = sp_call_flag(call, "GAIN");
    const float *g = buf[0], *branch = buf[1];
    float *g_branch = buf[3], *g_gain = buf[4];

    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += with_gain ? (double)g[i] * (double)branch[i] : 0.0;
        g_branch[i] = (float)(factor * (double)g[i]);
    }
    if (with_gain)
        g_gain[0] = (float)((double)g_gain[0] + sp_call_float(call, "alpha") * sum);
}

void half_pack_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t n = sp_call_int(call, "M") * sp_call_int(call, "C");
    const float *x = buf[0];

    for (int64_t i = 0; i < n; i++)
        ref_store(buf[1], 1, i, x[i]);
}

void fill_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t n = sp_call_int(call, "M");
    const float value = (float)sp_call_float(call, "value");
    float *y = buf[0];

    for (int64_t i = 0; i < n; i++)
        y[i] = value;
}

void concat_forward_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), A = sp_call_int(call, "A"), B = sp_call_int(call, "B");
    const int a_bits = sp_call_flag(call, "A_BITS"), b_bits = sp_call_flag(call, "B_BITS");
    float *y = buf[2];

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < A + B; c++)
            y[m * (A + B) + c] =
                (float)(c < A ? ref_value(buf[0], a_bits, m, c, A) : ref_value(buf[1], b_bits, m, c - A, B));
}

void concat_spikes_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), A = sp_call_int(call, "A"), B = sp_call_int(call, "B");
    const int64_t words = (A + B + 31) / 32;
    uint32_t *y = buf[2];

    for (int64_t m = 0; m < M; m++)
        for (int64_t w = 0; w < words; w++) {
            uint32_t word = 0;
            for (int64_t c = 32 * w; c < 32 * w + 32 && c < A + B; c++)
                if ((c < A ? ref_value(buf[0], 1, m, c, A) : ref_value(buf[1], 1, m, c - A, B)) > 0)
                    word |= UINT32_C(1) << (c - 32 * w);
            y[m * words + w] = word;
        }
}

void concat_backward_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t M = sp_call_int(call, "M"), A = sp_call_int(call, "A"), B = sp_call_int(call, "B");
    const float *g = buf[0];
    float *g_a = buf[1], *g_b = buf[2];

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < A + B; c++)
            *(c < A ? &g_a[m * A + c] : &g_b[m * B + c - A]) = g[m * (A + B) + c];
}

/* k of op_table.inc; NaN stays NaN. The quotient, which devices may round in their own way, is only the first
 * guess. */
static float levels_reached(float x, float threshold, float levels)
{
    const float a = 2 * levels * x;
    float k = floorf(a / (2 * threshold) + 0.5f);
    k += a >= (2 * k + 1) * threshold ? 1.0f : 0.0f;
    k -= a < (2 * k - 1) * threshold ? 1.0f : 0.0f;
    return k;
}

static float clamped(float k, float levels)
{
    return k < 0 ? 0 : k > levels ? levels : k;
}

void activation_forward_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t n = sp_call_int(call, "M") * sp_call_int(call, "C");
    const float levels = (float)sp_call_float(call, "levels"), *x = buf[0], *threshold = buf[1];
    float *y = buf[2];

    for (int64_t i = 0; i < n; i++)
        if (!sp_call_flag(call, "QUANTISED"))
            y[i] = x[i] < 0 ? 0 : x[i];
        else
            y[i] =
                (float)((double)threshold[0] *
                        (double)clamped(levels_reached(x[i], threshold[0], levels), levels) / (double)levels);
}

void activation_backward_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t n = sp_call_int(call, "M") * sp_call_int(call, "C");
    const float levels = (float)sp_call_float(call, "levels"), *g = buf[0], *x = buf[1], *threshold = buf[2];
    float *g_x = buf[3], *g_threshold = buf[4];
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        if (!sp_call_flag(call, "QUANTISED")) {
            g_x[i] = x[i] > 0 ? g[i] : 0;
            continue;
        }
        const float k = levels_reached(x[i], threshold[0], levels);
        const bool inside = k >= 0 && k <= levels;
        const double share = (double)clamped(k, levels) / (double)levels;
        sum += (double)g[i] * (inside ? share - (double)x[i] / (double)threshold[0] : share);
        g_x[i] = inside ? g[i] : 0;
    }
    if (sp_call_flag(call, "QUANTISED"))
        g_threshold[0] = (float)((double)g_threshold[0] + sum);
}

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void quantile_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t n = sp_call_int(call, "M") * sp_call_int(call, "C");
    float *sorted = sp_alloc_array((size_t)n, sizeof *sorted), *y = buf[1];

    y[0] = NAN; /* out of memory */
    if (sorted) {
        memcpy(sorted, buf[0], (size_t)n * sizeof *sorted);
        qsort(sorted, (size_t)n, sizeof *sorted, ascending);
        y[0] = sorted[(sp_call_int(call, "permille") * (n - 1) + 500) / 1000];
    }
    sp_free(sorted);
}
