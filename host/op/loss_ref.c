/* C references of the loss family: the loss of one time step, the sum of the outputs, the accuracy.
 * Equations: docs/NUMERICS.md, "Loss". */
#include "op/references.h"

#include <math.h>

#include "base/mem.h"

/* log(sum exp(z[k])), shifted by the largest so that nothing overflows. */
static double log_sum_exp(const double *z, int64_t K)
{
    double top = z[0], sum = 0;
    for (int64_t k = 1; k < K; k++)
        top = fmax(top, z[k]);
    for (int64_t k = 0; k < K; k++)
        sum += exp(z[k] - top);
    return top + log(sum);
}

/* A setting as kernels receive it: rounded to float. */
static double given(const sp_op_call *call, const char *name)
{
    return (double)(float)sp_call_float(call, name);
}

/* The loss of one sample with its gradient by z. */
static double sample_loss(const sp_op_call *call, const double *z, int64_t K, int64_t label,
                          const float *weights, double *g)
{
    double lse = log_sum_exp(z, K), w_ce = given(call, "w_ce"), w_mse = given(call, "w_mse"), loss = 0,
           all = 0;
    double smoothing = given(call, "smoothing");
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < K; k++) {
            double hit = k == label ? 1 : 0;
            double target =
                ((1 - smoothing) * hit + smoothing / (double)K) * (weights ? (double)weights[k] : 1);
            double d = z[k] - (sp_call_flag(call, "ONE_HOT") ? hit : given(call, "mse_target"));
            if (pass == 0) {
                all += target;
                loss += w_ce * target * (lse - z[k]) + w_mse * d * d / (double)K;
            } else {
                g[k] = w_ce * (all * exp(z[k] - lse) - target) + w_mse * 2 * d / (double)K;
            }
        }
    return loss;
}

void loss_ref(const sp_op_call *call, void *const *buf)
{
    const float *logits = buf[0], *weights = buf[2];
    const int32_t *labels = buf[1];
    float *g_logits = buf[3], *loss = buf[4];
    int64_t N = sp_call_int(call, "N"), K = sp_call_int(call, "K");
    bool total = sp_call_flag(call, "TOTAL") != 0;
    bool counts = !total || (double)sp_call_int(call, "time_step") >= given(call, "steps");
    double gain = given(call, "gain") / (total ? (double)sp_call_int(call, "time_step") : 1);
    double *z = sp_alloc_array((size_t)K * 2, sizeof *z), *g = z + K;

    for (int64_t n = 0; n < N; n++) {
        bool padding = labels[n] < 0 || labels[n] >= K;
        for (int64_t k = 0; k < K; k++)
            z[k] = gain * (double)logits[n * K + k];
        double l = sample_loss(call, z, K, labels[n], weights, g);
        for (int64_t k = 0; k < K; k++)
            g_logits[n * K + k] = padding ? 0 : (float)(given(call, "w_g") / (double)N * g[k]);
        if (!padding && counts)
            loss[n] = (float)((double)loss[n] + given(call, "w_t") * l);
    }
    sp_free(z);
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
