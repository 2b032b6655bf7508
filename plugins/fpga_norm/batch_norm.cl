//@ plugin: fpga_norm 1.0.0
//@ abi:    1
//@ all:    device: accelerator
//@ all:    bake: *
//@ all:    score: 40
//@ op:     batch_norm.statistics/1
//@ kernel: batch_norm_statistics__task
//@ global: 1
//@ local:  1
//@ about:  single work-item: 16 channels side by side, rows in bursts, two passes over x

/* 16 channels have an accumulator each, so that neighbours in memory are summed together; sums are cut into blocks of
 * rows, because one long float sum loses digits. Distances from the mean, not squares of x: a channel far from zero
 * keeps its variance. */
#define LANES 16
#define ROWS  256

__kernel SP_TASK void batch_norm_statistics__task(SP_IN(float, x), SP_IN(float, gamma), SP_IN(float, beta),
                                                  SP_OUT(float, mean), SP_OUT(float, rstd),
                                                  SP_OUT(float, scale), SP_OUT(float, shift),
                                                  SP_IO(float, running_mean), SP_IO(float, running_var),
                                                  float eps, float momentum)
{
    SP_AT(x); SP_AT(gamma); SP_AT(beta); SP_AT(mean); SP_AT(rstd); SP_AT(scale); SP_AT(shift);
    SP_AT(running_mean); SP_AT(running_var);
    for (int c0 = 0; c0 < C; c0 += LANES) {
        const int lanes = min(LANES, C - c0);
        float mu[LANES], sum[LANES], rest[LANES], m2[LANES];
        SP_UNROLL
        for (int j = 0; j < LANES; j++)
            sum[j] = rest[j] = m2[j] = 0.0f;
        for (int m0 = 0; m0 < M; m0 += ROWS) {
            float part[LANES];
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                part[j] = 0.0f;
            SP_PIPELINE
            for (int m = m0; m < min(m0 + ROWS, M); m++) {
                SP_UNROLL
                for (int j = 0; j < LANES; j++)
                    part[j] += j < lanes ? x[(ulong)m * C + c0 + j] : 0.0f;
            }
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                sum[j] += part[j];
        }
        SP_UNROLL
        for (int j = 0; j < LANES; j++)
            mu[j] = sum[j] / (float)M;
        for (int m0 = 0; m0 < M; m0 += ROWS) {
            float part[LANES], part2[LANES];
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                part[j] = part2[j] = 0.0f;
            SP_PIPELINE
            for (int m = m0; m < min(m0 + ROWS, M); m++) {
                SP_UNROLL
                for (int j = 0; j < LANES; j++) {
                    const float d = j < lanes ? x[(ulong)m * C + c0 + j] - mu[j] : 0.0f;
                    part[j] += d;
                    part2[j] += d * d;
                }
            }
            SP_UNROLL
            for (int j = 0; j < LANES; j++) {
                rest[j] += part[j];
                m2[j] += part2[j];
            }
        }
        for (int j = 0; j < lanes; j++) {
            const int c = c0 + j;
            const float mean_c = mu[j] + rest[j] / (float)M;
            const float squares = fmax(m2[j] - rest[j] * rest[j] / (float)M, 0.0f);
            const float r = 1.0f / sqrt(squares / (float)M + eps);
            mean[c] = mean_c;
            rstd[c] = r;
            scale[c] = gamma[c] * r;
            shift[c] = beta[c] - mean_c * (gamma[c] * r);
            running_mean[c] = (1.0f - momentum) * running_mean[c] + momentum * mean_c;
            running_var[c] = (1.0f - momentum) * running_var[c] + momentum * (squares / (float)max(M - 1, 1));
        }
    }
}

//@ op:     batch_norm.backward/1
//@ kernel: batch_norm_backward__task
//@ global: 1
//@ local:  1
//@ about:  single work-item: sums of g and g xhat for 16 channels, then their gradients; g_x may be g
__kernel SP_TASK void batch_norm_backward__task(SP_REF(float, g), SP_IN(float, x), SP_IN(float, mean),
                                                SP_IN(float, rstd), SP_IN(float, gamma), SP_IO(float, g_x),
                                                SP_IO(float, g_gamma), SP_IO(float, g_beta))
{
    SP_AT(g); SP_AT(x); SP_AT(mean); SP_AT(rstd); SP_AT(gamma); SP_AT(g_x); SP_AT(g_gamma); SP_AT(g_beta);
    for (int c0 = 0; c0 < C; c0 += LANES) {
        const int lanes = min(LANES, C - c0);
        float mu[LANES], r[LANES], sum_g[LANES], sum_gx[LANES];
        SP_UNROLL
        for (int j = 0; j < LANES; j++) {
            mu[j] = j < lanes ? mean[c0 + j] : 0.0f;
            r[j] = j < lanes ? rstd[c0 + j] : 0.0f;
            sum_g[j] = sum_gx[j] = 0.0f;
        }
        for (int m0 = 0; m0 < M; m0 += ROWS) {
            float part[LANES], part_x[LANES];
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                part[j] = part_x[j] = 0.0f;
            SP_PIPELINE
            for (int m = m0; m < min(m0 + ROWS, M); m++) {
                SP_UNROLL
                for (int j = 0; j < LANES; j++) {
                    const ulong i = (ulong)m * C + c0 + j;
                    const float g_i = j < lanes ? g[i] : 0.0f;
                    part[j] += g_i;
                    part_x[j] += j < lanes ? g_i * ((x[i] - mu[j]) * r[j]) : 0.0f;
                }
            }
            SP_UNROLL
            for (int j = 0; j < LANES; j++) {
                sum_g[j] += part[j];
                sum_gx[j] += part_x[j];
            }
        }
        float slope[LANES];
        SP_UNROLL
        for (int j = 0; j < LANES; j++)
            slope[j] = j < lanes ? gamma[c0 + j] * r[j] : 0.0f;
        SP_IVDEP
        SP_PIPELINE
        for (int m = 0; m < M; m++) {
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                if (j < lanes) {
                    const ulong i = (ulong)m * C + c0 + j;
                    const float xhat = (x[i] - mu[j]) * r[j];
                    g_x[i] = slope[j] * (g[i] - sum_g[j] / (float)M - xhat * (sum_gx[j] / (float)M));
                }
        }
        for (int j = 0; j < lanes; j++) {
            g_beta[c0 + j] += sum_g[j];
            g_gamma[c0 + j] += sum_gx[j];
        }
    }
}
