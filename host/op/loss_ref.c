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

/* The loss of sample n with its gradient by z. */
typedef double sample_loss(const sp_op_call *call, void *const *buf, int64_t n, const double *z, double *g);

static double class_loss(const sp_op_call *call, void *const *buf, int64_t n, const double *z, double *g)
{
    const float *weights = buf[2];
    int64_t K = sp_call_int(call, "K"), label = ((const int32_t *)buf[1])[n];
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

static double targets_loss(const sp_op_call *call, void *const *buf, int64_t n, const double *z, double *g)
{
    const float *weights = buf[2];
    int64_t K = sp_call_int(call, "K");
    const float *target = (const float *)buf[3] + n * K;
    bool bce = sp_call_flag(call, "BCE") != 0;
    double loss = 0;
    for (int64_t k = 0; k < K; k++) {
        double share = (weights ? (double)weights[k] : 1) / (double)K, t = (double)target[k], d = z[k] - t;
        loss += share * (bce ? fmax(z[k], 0) - z[k] * t + log1p(exp(-fabs(z[k]))) : d * d);
        g[k] = share * (bce ? 1 / (1 + exp(-z[k])) - t : 2 * d);
    }
    return loss;
}

/* g_at: of g_logits among the buffers, which loss follows. */
static void loss_of_batch(const sp_op_call *call, void *const *buf, int g_at, sample_loss *of)
{
    const float *logits = buf[0];
    const int32_t *labels = buf[1];
    float *g_logits = buf[g_at], *loss = buf[g_at + 1];
    int64_t N = sp_call_int(call, "N"), K = sp_call_int(call, "K");
    bool total = sp_call_flag(call, "TOTAL") != 0;
    bool counts = !total || (double)sp_call_int(call, "time_step") >= given(call, "steps");
    double gain = given(call, "gain") / (total ? (double)sp_call_int(call, "time_step") : 1);
    double *z = sp_alloc_array((size_t)K * 2, sizeof *z), *g = z + K;

    for (int64_t n = 0; n < N; n++) {
        bool padding = labels[n] < 0 || labels[n] >= K;
        for (int64_t k = 0; k < K; k++)
            z[k] = gain * (double)logits[n * K + k];
        double l = of(call, buf, n, z, g);
        for (int64_t k = 0; k < K; k++)
            g_logits[n * K + k] = padding ? 0 : (float)(given(call, "w_g") / (double)N * g[k]);
        if (!padding && counts)
            loss[n] = (float)((double)loss[n] + given(call, "w_t") * l);
    }
    sp_free(z);
}

void loss_ref(const sp_op_call *call, void *const *buf)
{
    loss_of_batch(call, buf, 3, class_loss);
}

void loss_targets_ref(const sp_op_call *call, void *const *buf)
{
    loss_of_batch(call, buf, 4, targets_loss);
}

/* Between 0 and 1; where the quantile is 0, as most numbers are, all that are above it are 1. */
static double local_target(float x, float norm)
{
    return !(x > 0) ? 0 : x >= norm ? 1 : (double)x / (double)norm;
}

void loss_local_ref(const sp_op_call *call, void *const *buf)
{
    const float *count = buf[0], *target = buf[1], *norm = buf[2];
    float *g = buf[3], *loss = buf[4];
    const int64_t N = sp_call_int(call, "N"), MC = sp_call_int(call, "M") * sp_call_int(call, "C");
    const double steps = (double)sp_call_int(call, "time_step");
    const bool counts = steps >= given(call, "steps");

    for (int64_t n = 0; n < N; n++) {
        double sum = 0;
        for (int64_t i = n * MC; i < (n + 1) * MC; i++) {
            const double d = (double)count[i] / steps - local_target(target[i], norm[0]);
            g[i] = (float)(2 * given(call, "w_g") * d / ((double)N * (double)MC));
            sum += d * d;
        }
        if (counts)
            loss[n] = (float)((double)loss[n] + given(call, "w_t") * sum / (double)MC);
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

void metrics_match_ref(const sp_op_call *call, void *const *buf)
{
    const float *sum = buf[0], *targets = buf[1];
    uint32_t *correct = buf[2];
    int64_t N = sp_call_int(call, "N"), K = sp_call_int(call, "K");

    for (int64_t n = 0; n < N; n++) {
        correct[n] = 1;
        for (int64_t i = n * K; i < (n + 1) * K; i++)
            correct[n] = correct[n] && !isnan(sum[i]) && (sum[i] > 0) == (targets[i] >= 0.5f);
    }
}
