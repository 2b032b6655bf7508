/* C references of the loss family: the loss of one time step, the sum of the outputs, the accuracy.
 * Equations: docs/NUMERICS.md, "Loss". */
#include "op/references.h"

#include <math.h>

/* log(sum exp(o[k])), shifted by the largest so that nothing overflows. */
static double log_sum_exp(const float *o, int64_t K)
{
    double top = (double)o[0], sum = 0;
    for (int64_t k = 1; k < K; k++)
        top = fmax(top, (double)o[k]);
    for (int64_t k = 0; k < K; k++)
        sum += exp((double)o[k] - top);
    return top + log(sum);
}

void loss_ref(const sp_op_call *call, void *const *buf)
{
    const float *logits = buf[0];
    const int32_t *labels = buf[1];
    float *g = buf[2], *loss = buf[3];
    int64_t N = sp_call_int(call, "N"), K = sp_call_int(call, "K");
    double w_t = (double)(float)sp_call_float(call, "w_t"), w_ce = (double)(float)sp_call_float(call, "w_ce");
    double w_mse = (double)(float)sp_call_float(call, "w_mse");
    double constant = (double)(float)sp_call_float(call, "mse_target");
    int one_hot = sp_call_flag(call, "ONE_HOT");

    for (int64_t n = 0; n < N; n++) {
        const float *o = logits + n * K;
        bool padding = labels[n] < 0 || labels[n] >= K;
        double lse = log_sum_exp(o, K), ce = 0, mse = 0;
        for (int64_t k = 0; k < K; k++) {
            double hit = k == labels[n] ? 1 : 0;
            double d = (double)o[k] - (one_hot ? hit : constant);
            double g_ce = exp((double)o[k] - lse) - hit;
            if (k == labels[n])
                ce = lse - (double)o[k];
            mse += d * d / (double)K;
            g[n * K + k] = padding ? 0 : (float)(w_t / (double)N * (w_ce * g_ce + w_mse * 2 * d / (double)K));
        }
        if (!padding)
            loss[n] = (float)((double)loss[n] + w_t * (w_ce * ce + w_mse * mse));
    }
}

void logits_accumulate_ref(const sp_op_call *call, void *const *buf)
{
    const float *logits = buf[0];
    float *sum = buf[1];
    int64_t NK = sp_call_int(call, "N") * sp_call_int(call, "K");
    bool first = sp_call_int(call, "first") != 0;

    for (int64_t i = 0; i < NK; i++)
        sum[i] = first ? logits[i] : sum[i] + logits[i];
}

void metrics_correct_ref(const sp_op_call *call, void *const *buf)
{
    const float *sum = buf[0];
    const int32_t *labels = buf[1];
    uint32_t *correct = buf[2];
    int64_t N = sp_call_int(call, "N"), K = sp_call_int(call, "K");

    for (int64_t n = 0; n < N; n++) {
        int64_t best = -1; /* stays so where every output is NaN: NaN never wins */
        for (int64_t k = 0; k < K; k++)
            if (!isnan(sum[n * K + k]) && (best < 0 || sum[n * K + k] > sum[n * K + best]))
                best = k;
        correct[n] = best >= 0 && best == labels[n];
    }
}
