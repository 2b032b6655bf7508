//@ plugin: reference 1.0.0
//@ abi:    1
//@ all:    score: 0
//@ all:    about: one work-item one channel
//
// Batch norm by the running statistics, and backward as if a time step had been normalised by its own and then mapped linearly.
#pragma OPENCL FP_CONTRACT OFF

//@ op:     batch_norm.online_gain/1
//@ kernel: batch_norm_online_gain__naive
//@ global: C
__kernel void batch_norm_online_gain__naive(SP_IN(float, step_rstd), SP_IN(float, gamma), SP_IN(float, running_var),
                                            SP_OUT(float, gain), float eps)
{
    SP_AT(step_rstd);
    SP_AT(gamma);
    SP_AT(running_var);
    SP_AT(gain);
    const size_t c = get_global_id(0);
    gain[c] = gamma[c] / sqrt(running_var[c] + eps) / step_rstd[c];
}

//@ op:     batch_norm.online_gradient/1
//@ kernel: batch_norm_online_gradient__naive
//@ global: C
__kernel void batch_norm_online_gradient__naive(SP_IN(float, sum_gxhat), SP_IN(float, sum_g), SP_IN(float, step_mean),
                                                SP_IN(float, step_rstd), SP_IN(float, running_mean),
                                                SP_IN(float, running_var), SP_IO(float, g_gamma), SP_IO(float, g_beta),
                                                float eps)
{
    SP_AT(sum_gxhat);
    SP_AT(sum_g);
    SP_AT(step_mean);
    SP_AT(step_rstd);
    SP_AT(running_mean);
    SP_AT(running_var);
    SP_AT(g_gamma);
    SP_AT(g_beta);
    const size_t c = get_global_id(0);
    const float rstd = 1.0f / sqrt(running_var[c] + eps);
    g_gamma[c] += sum_gxhat[c] * (rstd / step_rstd[c]) + sum_g[c] * ((step_mean[c] - running_mean[c]) * rstd);
    g_beta[c] += sum_g[c];
}

//@ op:     batch_norm.online_add/1
//@ kernel: batch_norm_online_add__naive
//@ global: C
__kernel void batch_norm_online_add__naive(SP_IN(float, step_mean), SP_IN(float, step_rstd), SP_IO(float, mean),
                                           SP_IO(float, m2), int first, int time_step, float eps)
{
    SP_AT(step_mean);
    SP_AT(step_rstd);
    SP_AT(mean);
    SP_AT(m2);
    const size_t c = get_global_id(0);
    const float r = step_rstd[c], var = fmax(1.0f / (r * r) - eps, 0.0f), n = (float)time_step;
    const float d = first ? 0.0f : step_mean[c] - mean[c];
    mean[c] = first ? step_mean[c] : mean[c] + d / n;
    m2[c] = (first ? 0.0f : m2[c] + d * d * (n - 1.0f) / n) + var;
}

//@ op:     batch_norm.online_follow/1
//@ kernel: batch_norm_online_follow__naive
//@ global: C
__kernel void batch_norm_online_follow__naive(SP_IN(float, mean), SP_IN(float, m2), SP_IO(float, running_mean),
                                              SP_IO(float, running_var), float momentum, float steps)
{
    SP_AT(mean);
    SP_AT(m2);
    SP_AT(running_mean);
    SP_AT(running_var);
    const size_t c = get_global_id(0);
    running_mean[c] = (1.0f - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (1.0f - momentum) * running_var[c] + momentum * (m2[c] / steps);
}
