/* C references of the optimizers: one step over all parameters, which lie in one range.
 * Equations: docs/NUMERICS.md, "Optimizers". */
#include "op/references.h"

#include <math.h>

/* A setting as kernels receive it: rounded to float. */
static double given(const sp_op_call *call, const char *name)
{
    return (double)(float)sp_call_float(call, name);
}

void optimizer_sgd_ref(const sp_op_call *call, void *const *buf)
{
    float *w = buf[0], *m = buf[2];
    const float *g = buf[1];
    int64_t M = sp_call_int(call, "M");
    double lr = given(call, "lr"), momentum = given(call, "momentum");
    double weight_decay = given(call, "weight_decay");

    for (int64_t i = 0; i < M; i++) {
        double step = momentum * (double)m[i] + ((double)g[i] + weight_decay * (double)w[i]);
        m[i] = (float)step;
        w[i] = (float)((double)w[i] - lr * step);
    }
}

void optimizer_adamw_ref(const sp_op_call *call, void *const *buf)
{
    float *w = buf[0], *m = buf[2], *v = buf[3];
    const float *g = buf[1];
    int64_t M = sp_call_int(call, "M");
    double lr = given(call, "lr"), eps = given(call, "eps");
    double beta1 = given(call, "beta1"), beta2 = given(call, "beta2");
    double bias1 = given(call, "bias1"), bias2 = given(call, "bias2");
    double weight_decay = given(call, "weight_decay");
    int l2 = sp_call_flag(call, "L2");

    for (int64_t i = 0; i < M; i++) {
        double gi = (double)g[i] + (l2 ? weight_decay * (double)w[i] : 0);
        double mi = beta1 * (double)m[i] + (1 - beta1) * gi;
        double vi = beta2 * (double)v[i] + (1 - beta2) * gi * gi;
        double decayed = (double)w[i] * (l2 ? 1 : 1 - lr * weight_decay);
        m[i] = (float)mi;
        v[i] = (float)vi;
        w[i] = (float)(decayed - lr * (mi / bias1) / (sqrt(vi / bias2) + eps));
    }
}

/* Word and bit of weight i of [M][C][O]. */
static uint32_t *binary_word(void *words, int64_t i, int64_t C, int64_t O, uint32_t *bit)
{
    const int64_t tap = i / O / C, c = i / O % C;
    *bit = UINT32_C(1) << c % 32;
    return (uint32_t *)words + (tap * ref_words(C) + c / 32) * O + i % O;
}

void binary_unpack_ref(const sp_op_call *call, void *const *buf)
{
    const int64_t C = sp_call_int(call, "C"), O = sp_call_int(call, "O");
    uint32_t bit;
    float *y = buf[1];

    for (int64_t i = 0; i < sp_call_int(call, "M") * C * O; i++)
        y[i] = *binary_word(buf[0], i, C, O, &bit) & bit ? 1 : -1;
}

void optimizer_flip_ref(const sp_op_call *call, void *const *buf)
{
    float *m = buf[2], *v = buf[3];
    const float *g = buf[1];
    const int64_t C = sp_call_int(call, "C"), O = sp_call_int(call, "O"), n = sp_call_int(call, "M") * C * O;
    const int64_t P = sp_call_int(call, "P"), t = sp_call_int(call, "time_step");
    const double beta1 = given(call, "beta1"), beta2 = given(call, "beta2");
    double bar = given(call, "flip"), squares = 0;
    uint32_t bit;

    if (sp_call_flag(call, "ADAPT")) {
        float *of_step = v + (t > 0 ? t - 1 : 0) % P;
        for (int64_t i = 0; i < n; i++)
            squares += (double)g[i] * (double)g[i];
        *of_step = (float)(beta2 * (double)*of_step + (1 - beta2) * squares / (double)n);
        bar *= sqrt((double)*of_step + given(call, "eps"));
    }
    for (int64_t i = 0; i < n; i++) {
        uint32_t *word = binary_word(buf[0], i, C, O, &bit);
        m[i] = (float)(beta1 * (double)m[i] + (1 - beta1) * (double)g[i]);
        if ((double)(*word & bit ? m[i] : -m[i]) > bar)
            *word ^= bit;
    }
}

void gradient_norm_ref(const sp_op_call *call, void *const *buf)
{
    const float *g = buf[0];
    float *norm = buf[1];
    double sum = 0;

    for (int64_t i = 0; i < sp_call_int(call, "M"); i++)
        sum += (double)g[i] * (double)g[i];
    norm[0] = (float)sqrt(sum);
}

void gradient_clip_ref(const sp_op_call *call, void *const *buf)
{
    float *g = buf[0];
    const float *norm = buf[1];
    double factor = 1, most = given(call, "max_value");

    if (sp_call_flag(call, "NORM"))
        factor = fmin(1, given(call, "max_norm") / ((double)norm[0] + 1e-6));
    for (int64_t i = 0; i < sp_call_int(call, "M"); i++) {
        double x = factor * (double)g[i];
        g[i] = (float)(sp_call_flag(call, "VALUE") ? fmax(-most, fmin(most, x)) : x);
    }
}

void ema_update_ref(const sp_op_call *call, void *const *buf)
{
    const float *w = buf[0];
    float *ema = buf[1];
    double decay = given(call, "decay");

    for (int64_t i = 0; i < sp_call_int(call, "M"); i++)
        ema[i] = (float)(decay * (double)ema[i] + (1 - decay) * (double)w[i]);
}
