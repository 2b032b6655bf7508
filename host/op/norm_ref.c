/* C references of the normalisation family: batch norm of one time step, and scaled weight standardisation.
 * Equations: docs/NUMERICS.md, "Batch norm", "Weight standardisation". */
#include "op/references.h"

#include <math.h>

/* Mean of a column of a row-major matrix and the sum of squared distances from it. */
static void column_moments(const float *x, int64_t rows, int64_t cols, int64_t c, double *mean, double *m2)
{
    double sum = 0, squares = 0;
    for (int64_t m = 0; m < rows; m++)
        sum += (double)x[m * cols + c];
    *mean = sum / (double)rows;
    for (int64_t m = 0; m < rows; m++) {
        double d = (double)x[m * cols + c] - *mean;
        squares += d * d;
    }
    *m2 = squares;
}

void batch_norm_statistics_ref(const sp_op_call *call, void *const *buf)
{
    const float *x = buf[0], *gamma = buf[1], *beta = buf[2];
    float *mean = buf[3], *rstd = buf[4], *scale = buf[5], *shift = buf[6];
    float *running_mean = buf[7], *running_var = buf[8];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    double eps = (double)(float)sp_call_float(call, "eps");
    double momentum = (double)(float)sp_call_float(call, "momentum");

    for (int64_t c = 0; c < C; c++) {
        double mu, m2;
        column_moments(x, M, C, c, &mu, &m2);
        double r = 1 / sqrt(m2 / (double)M + eps);
        double unbiased = m2 / (double)(M > 1 ? M - 1 : 1);
        mean[c] = (float)mu;
        rstd[c] = (float)r;
        scale[c] = (float)((double)gamma[c] * r);
        shift[c] = (float)((double)beta[c] - mu * (double)gamma[c] * r);
        running_mean[c] = (float)((1 - momentum) * (double)running_mean[c] + momentum * mu);
        running_var[c] = (float)((1 - momentum) * (double)running_var[c] + momentum * unbiased);
    }
}

void batch_norm_fold_ref(const sp_op_call *call, void *const *buf)
{
    const float *gamma = buf[0], *beta = buf[1], *running_mean = buf[2], *running_var = buf[3];
    float *scale = buf[4], *shift = buf[5];
    int64_t C = sp_call_int(call, "C");
    double eps = (double)(float)sp_call_float(call, "eps");

    for (int64_t c = 0; c < C; c++) {
        double a = (double)gamma[c] / sqrt((double)running_var[c] + eps);
        scale[c] = (float)a;
        shift[c] = (float)((double)beta[c] - (double)running_mean[c] * a);
    }
}

void affine_forward_ref(const sp_op_call *call, void *const *buf)
{
    const float *x = buf[0], *scale = buf[1], *shift = buf[2];
    float *y = buf[3];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++)
            y[m * C + c] = (float)((double)scale[c] * (double)x[m * C + c] + (double)shift[c]);
}

void batch_norm_backward_ref(const sp_op_call *call, void *const *buf)
{
    const float *g = buf[0], *mean = buf[2], *rstd = buf[3], *gamma = buf[4];
    float *g_x = buf[5], *g_gamma = buf[6], *g_beta = buf[7];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    int half = sp_call_flag(call, "X_HALF");

    for (int64_t c = 0; c < C; c++) {
        double mu = (double)mean[c], r = (double)rstd[c], sum_g = 0, sum_gxhat = 0;
        for (int64_t m = 0; m < M; m++) {
            double gi = (double)g[m * C + c];
            sum_g += gi;
            sum_gxhat += gi * ((double)ref_stored(buf[1], half, m * C + c) - mu) * r;
        }
        g_gamma[c] = (float)((double)g_gamma[c] + sum_gxhat);
        g_beta[c] = (float)((double)g_beta[c] + sum_g);
        for (int64_t m = 0; m < M; m++) {
            int64_t i = m * C + c;
            double xhat = ((double)ref_stored(buf[1], half, i) - mu) * r;
            g_x[i] = (float)((double)gamma[c] * r *
                             ((double)g[i] - sum_g / (double)M - xhat * sum_gxhat / (double)M));
        }
    }
}

void batch_norm_apply_ref(const sp_op_call *call, void *const *buf)
{
    const float *g = buf[0], *mean = buf[2], *rstd = buf[3], *gamma = buf[4], *sums = buf[5];
    float *g_x = buf[6];
    int64_t M = sp_call_int(call, "M"), C = sp_call_int(call, "C");
    int half = sp_call_flag(call, "X_HALF");

    for (int64_t m = 0; m < M; m++)
        for (int64_t c = 0; c < C; c++) {
            int64_t i = m * C + c;
            double r = (double)rstd[c], xhat = ((double)ref_stored(buf[1], half, i) - (double)mean[c]) * r;
            double mean_g = (double)sums[c] / (double)M, mean_gxhat = (double)sums[C + c] / (double)M;
            g_x[i] = (float)((double)gamma[c] * r * ((double)g[i] - mean_g - xhat * mean_gxhat));
        }
}

void weight_std_forward_ref(const sp_op_call *call, void *const *buf)
{
    const float *w = buf[0], *gain = buf[1];
    float *w_hat = buf[2], *mean = buf[3], *rstd = buf[4];
    int64_t K = sp_call_int(call, "K"), O = sp_call_int(call, "O");
    double eps = (double)(float)sp_call_float(call, "eps");

    for (int64_t o = 0; o < O; o++) {
        double mu, m2;
        column_moments(w, K, O, o, &mu, &m2);
        double r = 1 / sqrt(m2 / (double)(K > 1 ? K - 1 : 1) * (double)K + eps);
        mean[o] = (float)mu;
        rstd[o] = (float)r;
        for (int64_t k = 0; k < K; k++)
            w_hat[k * O + o] = (float)((double)gain[o] * ((double)w[k * O + o] - mu) * r);
    }
}

void weight_std_backward_ref(const sp_op_call *call, void *const *buf)
{
    const float *g = buf[0], *w = buf[1], *gain = buf[2], *mean = buf[3], *rstd = buf[4];
    float *g_w = buf[5], *g_gain = buf[6];
    int64_t K = sp_call_int(call, "K"), O = sp_call_int(call, "O");
    double ratio = (double)K / (double)(K > 1 ? K - 1 : 1);

    for (int64_t o = 0; o < O; o++) {
        double mu = (double)mean[o], r = (double)rstd[o], sum_g = 0, sum_gz = 0;
        for (int64_t k = 0; k < K; k++) {
            double gi = (double)g[k * O + o];
            sum_g += gi;
            sum_gz += gi * ((double)w[k * O + o] - mu) * r;
        }
        g_gain[o] = (float)((double)g_gain[o] + sum_gz);
        for (int64_t k = 0; k < K; k++) {
            int64_t i = k * O + o;
            double z = ((double)w[i] - mu) * r;
            g_w[i] = (float)((double)g_w[i] +
                             (double)gain[o] * r * ((double)g[i] - sum_g / (double)K - ratio * z * sum_gz));
        }
    }
}

void batch_norm_rate_ref(const sp_op_call *call, void *const *buf)
{
    const float *step_mean = buf[0], *step_rstd = buf[1], *gamma = buf[2], *beta = buf[3];
    float *mean = buf[4], *rstd = buf[5], *scale = buf[6], *shift = buf[7];
    const double share = (double)(float)sp_call_float(call, "share");
    const double keep = sp_call_int(call, "block_start") ? 0 : 1;

    for (int64_t c = 0; c < sp_call_int(call, "C"); c++) {
        const double before = keep > 0 ? (double)rstd[c] : 0;
        const double mu = (keep > 0 ? (double)mean[c] : 0) + share * (double)step_mean[c];
        const double r = sqrt(before * before + share * (double)step_rstd[c] * (double)step_rstd[c]);
        mean[c] = (float)mu;
        rstd[c] = (float)r;
        scale[c] = (float)((double)gamma[c] * r);
        shift[c] = (float)((double)beta[c] - mu * (double)gamma[c] * r);
    }
}

/* ---- online batch norm ---- */

void batch_norm_online_gain_ref(const sp_op_call *call, void *const *buf)
{
    const float *step_rstd = buf[0], *gamma = buf[1], *running_var = buf[2];
    float *gain = buf[3];
    const double eps = (double)(float)sp_call_float(call, "eps");

    for (int64_t c = 0; c < sp_call_int(call, "C"); c++)
        gain[c] = (float)((double)gamma[c] / sqrt((double)running_var[c] + eps) / (double)step_rstd[c]);
}

void batch_norm_online_gradient_ref(const sp_op_call *call, void *const *buf)
{
    const float *sum_gxhat = buf[0], *sum_g = buf[1], *step_mean = buf[2], *step_rstd = buf[3];
    const float *running_mean = buf[4], *running_var = buf[5];
    float *g_gamma = buf[6], *g_beta = buf[7];
    const double eps = (double)(float)sp_call_float(call, "eps");

    for (int64_t c = 0; c < sp_call_int(call, "C"); c++) {
        const double rstd = 1 / sqrt((double)running_var[c] + eps);
        g_gamma[c] = (float)((double)g_gamma[c] + (double)sum_gxhat[c] * (rstd / (double)step_rstd[c]) +
                             (double)sum_g[c] * (((double)step_mean[c] - (double)running_mean[c]) * rstd));
        g_beta[c] = (float)((double)g_beta[c] + (double)sum_g[c]);
    }
}

void batch_norm_online_add_ref(const sp_op_call *call, void *const *buf)
{
    const float *step_mean = buf[0], *step_rstd = buf[1];
    float *mean = buf[2], *m2 = buf[3];
    const bool first = sp_call_int(call, "first") != 0;
    const double eps = (double)(float)sp_call_float(call, "eps"), n = (double)sp_call_int(call, "time_step");

    for (int64_t c = 0; c < sp_call_int(call, "C"); c++) {
        const double r = (double)step_rstd[c], var = fmax(1 / (r * r) - eps, 0);
        const double d = first ? 0 : (double)step_mean[c] - (double)mean[c];
        mean[c] = (float)(first ? (double)step_mean[c] : (double)mean[c] + d / n);
        m2[c] = (float)((first ? 0 : (double)m2[c] + d * d * (n - 1) / n) + var);
    }
}

void batch_norm_online_follow_ref(const sp_op_call *call, void *const *buf)
{
    const float *mean = buf[0], *m2 = buf[1];
    float *running_mean = buf[2], *running_var = buf[3];
    const double momentum = (double)(float)sp_call_float(call, "momentum"),
                 steps = (double)(float)sp_call_float(call, "steps");

    for (int64_t c = 0; c < sp_call_int(call, "C"); c++) {
        running_mean[c] = (float)((1 - momentum) * (double)running_mean[c] + momentum * (double)mean[c]);
        running_var[c] = (float)((1 - momentum) * (double)running_var[c] + momentum * (double)m2[c] / steps);
    }
}

void layer_norm_forward_ref(const sp_op_call *call, void *const *buf)
{
    const float *gamma = buf[1], *beta = buf[2];
    float *y = buf[3], *mean = buf[4], *rstd = buf[5];
    const int64_t N = sp_call_int(call, "N"), C = sp_call_int(call, "C"), n = sp_call_int(call, "M") * C;
    const double eps = (double)(float)sp_call_float(call, "eps");

    for (int64_t group = 0; group < N; group++) {
        const float *x = (const float *)buf[0] + group * n;
        double mu = 0, m2 = 0;
        for (int64_t i = 0; mean && i < n; i++)
            mu += (double)x[i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            m2 += ((double)x[i] - mu) * ((double)x[i] - mu);
        const double r = 1 / sqrt(m2 / (double)n + eps);
        for (int64_t i = 0; i < n; i++)
            y[group * n + i] =
                (float)((double)gamma[i % C] * ((double)x[i] - mu) * r + (beta ? (double)beta[i % C] : 0));
        if (mean)
            mean[group] = (float)mu;
        rstd[group] = (float)r;
    }
}

void layer_norm_backward_ref(const sp_op_call *call, void *const *buf)
{
    const float *gamma = buf[2], *mean = buf[3], *rstd = buf[4];
    float *g_x = buf[5], *g_hat = buf[6];
    const int64_t N = sp_call_int(call, "N"), C = sp_call_int(call, "C"), n = sp_call_int(call, "M") * C;

    for (int64_t group = 0; group < N; group++) {
        const float *g = (const float *)buf[0] + group * n, *x = (const float *)buf[1] + group * n;
        const double mu = mean ? (double)mean[group] : 0, r = (double)rstd[group];
        double sum = 0, along = 0;
        for (int64_t i = 0; i < n; i++) {
            const double d = (double)g[i] * (double)gamma[i % C];
            sum += mean ? d : 0;
            along += d * ((double)x[i] - mu) * r;
        }
        for (int64_t i = 0; i < n; i++) {
            const double hat = ((double)x[i] - mu) * r, v = (double)g[i];
            g_hat[group * n + i] = (float)(v * hat);
            g_x[group * n + i] =
                (float)(r * (v * (double)gamma[i % C] - sum / (double)n - hat * along / (double)n));
        }
    }
}
