//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     layer_norm.forward/1
//@ kernel: layer_norm_forward__naive
//@ global: N
//@ score:  0
//@ about:  one work-item per group: its moments, then its elements
//@ op:     layer_norm.backward/1
//@ kernel: layer_norm_backward__naive
//@ global: N
//@ score:  0
//@ about:  one work-item per group: its sums, then its elements
//
// x [N][M][C], gamma, beta [C], mean, rstd [N]. y = gamma (x - mean) rstd + beta; RMS: mean and beta are 0. Sums
// per row first: one float sum over a whole group would lose digits. y may be x, g_x may be g.

__kernel void layer_norm_forward__naive(SP_REF(float, x), SP_IN(float, gamma),
#if !RMS
                                        SP_IN(float, beta),
#endif
                                        SP_IO(float, y),
#if !RMS
                                        SP_OUT(float, mean),
#endif
                                        SP_OUT(float, rstd), int M, int C, float eps)
{
    SP_AT(x);
    SP_AT(gamma);
    SP_AT(y);
    SP_AT(rstd);
    const ulong group = get_global_id(0), at = group * (ulong)M * C;
    const float n = (float)M * (float)C;
    float mu = 0.0f, m2 = 0.0f, rest = 0.0f;
#if !RMS
    SP_AT(beta);
    SP_AT(mean);
    for (int m = 0; m < M; m++) {
        float row = 0.0f;
        for (int c = 0; c < C; c++)
            row += x[at + (ulong)m * C + c];
        mu += row;
    }
    mu /= n;
#endif
    for (int m = 0; m < M; m++) {
        float row = 0.0f, off = 0.0f;
        for (int c = 0; c < C; c++) {
            const float d = x[at + (ulong)m * C + c] - mu;
            row += d * d;
            off += d;
        }
        m2 += row;
        rest += off;
    }
    if (!RMS) { // what rounding left of the mean
        mu += rest / n;
        m2 = fmax(m2 - rest * rest / n, 0.0f);
    }
#if !RMS
    mean[group] = mu;
#endif
    const float r = 1.0f / sqrt(m2 / n + eps);
    rstd[group] = r;
    for (int m = 0; m < M; m++)
        for (int c = 0; c < C; c++) {
            const ulong i = at + (ulong)m * C + c;
            float v = gamma[c] * ((x[i] - mu) * r);
#if !RMS
            v += beta[c];
#endif
            y[i] = v;
        }
}

// xhat = (x - mean) rstd, d = g gamma; g_x = rstd (d - mean of d - xhat mean of d xhat), g_hat = g xhat.
__kernel void layer_norm_backward__naive(SP_REF(float, g), SP_IN(float, x), SP_IN(float, gamma),
#if !RMS
                                         SP_IN(float, mean),
#endif
                                         SP_IN(float, rstd), SP_IO(float, g_x), SP_OUT(float, g_hat), int M,
                                         int C)
{
    SP_AT(g);
    SP_AT(x);
    SP_AT(gamma);
    SP_AT(rstd);
    SP_AT(g_x);
    SP_AT(g_hat);
    const ulong group = get_global_id(0), at = group * (ulong)M * C;
    const float n = (float)M * (float)C, r = rstd[group];
    float mu = 0.0f, sum = 0.0f, along = 0.0f;
#if !RMS
    SP_AT(mean);
    mu = mean[group];
#endif
    for (int m = 0; m < M; m++) {
        float row = 0.0f, row_along = 0.0f;
        for (int c = 0; c < C; c++) {
            const ulong i = at + (ulong)m * C + c;
            const float d = g[i] * gamma[c];
            row += d;
            row_along += d * ((x[i] - mu) * r);
        }
        sum += row;
        along += row_along;
    }
    sum = RMS ? 0.0f : sum;
    for (int m = 0; m < M; m++)
        for (int c = 0; c < C; c++) {
            const ulong i = at + (ulong)m * C + c;
            const float hat = (x[i] - mu) * r, v = g[i];
            g_x[i] = r * (v * gamma[c] - sum / n - hat * (along / n));
            g_hat[i] = v * hat;
        }
}
