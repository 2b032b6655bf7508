//@ plugin:    reference 1.0.0
//@ abi:       1
//@ include:   row_groups.clh
//@ op:        batch_norm.statistics/1
//@ kernel:    batch_norm_statistics__naive
//@ global:    C, min(256, ceildiv(M, 64))
//@ kernel:    batch_norm_statistics__naive_combine
//@ global:    C
//@ workspace: 2 * C * min(256, ceildiv(M, 64))
//@ score:     0
//@ about:     mean and squared distances per group of rows, then all groups of a channel by one work-item
//
// work: [2][groups][C]: mean of the group, sum of squared distances from it. Distances from the mean, not
// squares of x: a channel far from zero keeps its variance. The rest that the distances add up to corrects
// the mean (corrected two-pass algorithm).

__kernel void batch_norm_statistics__naive(SP_IN(float, x), SP_OUT(float, work), int M, int C)
{
    SP_AT(x);
    SP_AT(work);
    const ulong c = get_global_id(0), columns = (ulong)C;
    const int group = (int)get_global_id(1);
    const int start = group_start(group, M), end = group_start(group + 1, M);
    const float n = (float)(end - start);
    float sum = 0.0f, rest = 0.0f, m2 = 0.0f;

    for (int m = start; m < end; m++)
        sum += x[(ulong)m * columns + c];
    const float mean = sum / n;
    for (int m = start; m < end; m++) {
        const float d = x[(ulong)m * columns + c] - mean;
        rest += d;
        m2 += d * d;
    }
    const ulong at = (ulong)group * columns + c;
    work[at] = mean + rest / n;
    work[(ulong)ROW_GROUPS(M) * columns + at] = fmax(m2 - rest * rest / n, 0.0f);
}

// The groups as one sample (Chan, Golub, LeVeque 1983): squares within the groups plus squares between them.
__kernel void batch_norm_statistics__naive_combine(SP_IN(float, work), SP_IN(float, gamma),
                                                   SP_IN(float, beta), SP_OUT(float, mean),
                                                   SP_OUT(float, rstd), SP_OUT(float, scale),
                                                   SP_OUT(float, shift), SP_IO(float, running_mean),
                                                   SP_IO(float, running_var), int M, int C, float eps,
                                                   float momentum)
{
    SP_AT(work);
    SP_AT(gamma);
    SP_AT(beta);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(scale);
    SP_AT(shift);
    SP_AT(running_mean);
    SP_AT(running_var);
    const ulong c = get_global_id(0), columns = (ulong)C;
    const int groups = ROW_GROUPS(M);
    float sum = 0.0f, rest = 0.0f, within = 0.0f, between = 0.0f;

    for (int g = 0; g < groups; g++)
        sum += (float)(group_start(g + 1, M) - group_start(g, M)) * work[(ulong)g * columns + c];
    const float guess = sum / (float)M;
    for (int g = 0; g < groups; g++) {
        const float n = (float)(group_start(g + 1, M) - group_start(g, M));
        const float d = work[(ulong)g * columns + c] - guess;
        rest += n * d;
        between += n * d * d;
        within += work[(ulong)(groups + g) * columns + c];
    }
    const float mu = guess + rest / (float)M;
    const float m2 = within + fmax(between - rest * rest / (float)M, 0.0f);
    const float r = 1.0f / sqrt(m2 / (float)M + eps);
    const float unbiased = m2 / (float)max(M - 1, 1);
    mean[c] = mu;
    rstd[c] = r;
    scale[c] = gamma[c] * r;
    shift[c] = beta[c] - mu * (gamma[c] * r);
    running_mean[c] = (1.0f - momentum) * running_mean[c] + momentum * mu;
    running_var[c] = (1.0f - momentum) * running_var[c] + momentum * unbiased;
}

//@ op:        batch_norm.backward/1
//@ kernel:    batch_norm_backward__naive
//@ global:    C, min(256, ceildiv(M, 64))
//@ kernel:    batch_norm_backward__naive_combine
//@ global:    C
//@ kernel:    batch_norm_backward__naive_apply
//@ global:    C, M
//@ workspace: 2 * C * min(256, ceildiv(M, 64)) + 2 * C
//@ score:     0
//@ about:     sums of g and g xhat per group of rows, then per channel, then the input's gradient
//
// x is half with X_HALF. work: [2][groups][C] partial sums of g and of g xhat, then [2][C] their means over the
// M rows.
__kernel void batch_norm_backward__naive(SP_REF(float, g), SP_IN(sp_xh, x), SP_IN(float, mean),
                                         SP_IN(float, rstd), SP_OUT(float, work), int M, int C)
{
    SP_AT(g);
    SP_AT_XH(x);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(work);
    const ulong c = get_global_id(0), columns = (ulong)C;
    const int group = (int)get_global_id(1), end = group_start(group + 1, M);
    const float mu = mean[c], r = rstd[c];
    float sum_g = 0.0f, sum_gxhat = 0.0f;

    for (int m = group_start(group, M); m < end; m++) {
        const ulong i = (ulong)m * columns + c;
        sum_g += g[i];
        sum_gxhat += g[i] * ((SP_XH(x, i) - mu) * r);
    }
    const ulong at = (ulong)group * columns + c;
    work[at] = sum_g;
    work[(ulong)ROW_GROUPS(M) * columns + at] = sum_gxhat;
}

__kernel void batch_norm_backward__naive_combine(SP_IO(float, work), SP_IO(float, g_gamma),
                                                 SP_IO(float, g_beta), int M, int C)
{
    SP_AT(work);
    SP_AT(g_gamma);
    SP_AT(g_beta);
    const ulong c = get_global_id(0), columns = (ulong)C;
    const int groups = ROW_GROUPS(M);
    float sum_g = 0.0f, sum_gxhat = 0.0f;

    for (int g = 0; g < groups; g++) {
        sum_g += work[(ulong)g * columns + c];
        sum_gxhat += work[(ulong)(groups + g) * columns + c];
    }
    g_beta[c] += sum_g;
    g_gamma[c] += sum_gxhat;
    work[(ulong)(2 * groups) * columns + c] = sum_g / (float)M;
    work[(ulong)(2 * groups + 1) * columns + c] = sum_gxhat / (float)M;
}

__kernel void batch_norm_backward__naive_apply(SP_IN(float, work), SP_REF(float, g), SP_IN(sp_xh, x),
                                               SP_IN(float, mean), SP_IN(float, rstd), SP_IN(float, gamma),
                                               SP_IO(float, g_x), int M, int C)
{
    SP_AT(work);
    SP_AT(g);
    SP_AT_XH(x);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(gamma);
    SP_AT(g_x);
    const ulong c = get_global_id(0), columns = (ulong)C;
    const ulong i = get_global_id(1) * columns + c;
    const float mean_g = work[(ulong)(2 * ROW_GROUPS(M)) * columns + c];
    const float mean_gxhat = work[(ulong)(2 * ROW_GROUPS(M) + 1) * columns + c];
    const float xhat = (SP_XH(x, i) - mean[c]) * rstd[c];
    g_x[i] = gamma[c] * rstd[c] * (g[i] - mean_g - xhat * mean_gxhat);
}

//@ op:     batch_norm.apply/1
//@ kernel: batch_norm_apply__naive
//@ global: C, M
//@ score:  0
//@ about:  one work-item one element
//
// g_x may be g; x is half with X_HALF.
__kernel void batch_norm_apply__naive(SP_REF(float, g), SP_IN(sp_xh, x), SP_IN(float, mean),
                                      SP_IN(float, rstd), SP_IN(float, gamma), SP_IN(float, sums),
                                      SP_IO(float, g_x), int M, int C)
{
    SP_AT(g);
    SP_AT_XH(x);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(gamma);
    SP_AT(sums);
    SP_AT(g_x);
    const ulong c = get_global_id(0), columns = (ulong)C;
    const ulong i = get_global_id(1) * columns + c;
    const float xhat = (SP_XH(x, i) - mean[c]) * rstd[c];
    const float left = g[i] - sums[c] / (float)M;
    g_x[i] = gamma[c] * rstd[c] * (left - xhat * (sums[columns + c] / (float)M));
}

//@ op:     batch_norm.fold/1
//@ kernel: batch_norm_fold__naive
//@ global: C
//@ score:  0
//@ about:  one work-item one channel
__kernel void batch_norm_fold__naive(SP_IN(float, gamma), SP_IN(float, beta), SP_IN(float, running_mean),
                                     SP_IN(float, running_var), SP_OUT(float, scale), SP_OUT(float, shift),
                                     float eps)
{
    SP_AT(gamma);
    SP_AT(beta);
    SP_AT(running_mean);
    SP_AT(running_var);
    SP_AT(scale);
    SP_AT(shift);
    const size_t c = get_global_id(0);
    const float a = gamma[c] / sqrt(running_var[c] + eps);
    scale[c] = a;
    shift[c] = beta[c] - running_mean[c] * a;
}
