//@ plugin: cpu_norm 1.0.0
//@ abi:    1
//@ include: lanes.clh
//@ all:    device: cpu
//@ all:    score: 50
//@ op:     layer_norm.forward/1
//@ kernel: layer_norm_forward__lanes
//@ global: min(N, cu*16)
//@ local:  1
//@ about:  a run of groups per work-item, 16 elements at a time
//@ op:     layer_norm.backward/1
//@ kernel: layer_norm_backward__lanes
//@ global: min(N, cu*16)
//@ local:  1
//@ about:  a run of groups per work-item, 16 channels at a time

/* The equations are those of cl_kernels/norm/layer_norm.cl. y may be x, g_x may be g: a vector is read before it is
 * written by the same work-item. */
#pragma OPENCL FP_CONTRACT OFF

/* ELEMENTS(c, lanes) for the channels of a row. */
#define ROW                                                                                                  \
    {                                                                                                        \
        int c = 0;                                                                                           \
        for (; c + 16 <= C; c += 16)                                                                         \
            ELEMENTS(c, 16)                                                                                  \
        if (c < C)                                                                                           \
            ELEMENTS(c, C - c)                                                                               \
    }

/* Groups of this work-item; where a group lies. */
#define GROUPS                                                                                               \
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);                              \
    for (long group = item * N / items; group < (item + 1) * N / items; group++)

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void layer_norm_forward__lanes(SP_REF(float, x), SP_IN(float, gamma),
#if !RMS
                               SP_IN(float, beta),
#endif
                               SP_IO(float, y),
#if !RMS
                               SP_OUT(float, mean),
#endif
                               SP_OUT(float, rstd), int N, int M, int C, float eps)
{
    SP_AT(x); SP_AT(gamma); SP_AT(y); SP_AT(rstd);
#if !RMS
    SP_AT(beta); SP_AT(mean);
#endif
    const long n = (long)M * C;
    GROUPS {
        __global const float *from = x + group * n;
        __global float *to = y + group * n;
        float16 sum = (float16)(0.0f), squares = (float16)(0.0f);
        float mu = 0.0f, m2 = 0.0f, off = 0.0f;
        long i = 0;
#if !RMS
        for (; i + 16 <= n; i += 16)
            sum += vload16(0, from + i);
        mu = sp_sum_lanes(sum);
        for (; i < n; i++)
            mu += from[i];
        mu /= (float)n;
        sum = (float16)(0.0f);
        i = 0;
#endif
        for (; i + 16 <= n; i += 16) {
            const float16 d = vload16(0, from + i) - mu;
            sum += d;
            squares += d * d;
        }
        off = sp_sum_lanes(sum), m2 = sp_sum_lanes(squares);
        for (; i < n; i++) {
            const float d = from[i] - mu;
            off += d;
            m2 += d * d;
        }
        if (!RMS) { /* what rounding left of the mean */
            mu += off / (float)n;
            m2 = fmax(m2 - off * off / (float)n, 0.0f);
        }
#if !RMS
        mean[group] = mu;
#endif
        const float r = 1.0f / sqrt(m2 / (float)n + eps);
        rstd[group] = r;
        for (int m = 0; m < M; m++, from += C, to += C) {
#if RMS
#define BETA(c, lanes) (float16)(0.0f)
#else
#define BETA(c, lanes) sp_load_lanes(beta + (c), lanes)
#endif
#define ELEMENTS(c, lanes)                                                                                   \
            sp_store_lanes(sp_load_lanes(gamma + (c), lanes) * ((sp_load_lanes(from + (c), lanes) - mu) * r) + \
                               BETA(c, lanes), to + (c), lanes);
            ROW
#undef ELEMENTS
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void layer_norm_backward__lanes(SP_REF(float, g), SP_IN(float, x), SP_IN(float, gamma),
#if !RMS
                                SP_IN(float, mean),
#endif
                                SP_IN(float, rstd), SP_IO(float, g_x), SP_OUT(float, g_hat), int N, int M, int C)
{
    SP_AT(g); SP_AT(x); SP_AT(gamma); SP_AT(rstd); SP_AT(g_x); SP_AT(g_hat);
#if !RMS
    SP_AT(mean);
#endif
    GROUPS {
        const long at = group * M * C;
        const float n = (float)M * (float)C, r = rstd[group];
        float16 sums = (float16)(0.0f), alongs = (float16)(0.0f);
        float mu = 0.0f;
#if !RMS
        mu = mean[group];
#endif
        for (int m = 0; m < M; m++) {
            __global const float *g_row = g + at + (long)m * C, *x_row = x + at + (long)m * C;
#define ELEMENTS(c, lanes) {                                                                                 \
            const float16 d = sp_load_lanes(g_row + (c), lanes) * sp_load_lanes(gamma + (c), lanes);         \
            sums += d;                                                                                       \
            alongs += d * ((sp_load_lanes(x_row + (c), lanes) - mu) * r); }
            ROW
#undef ELEMENTS
        }
        const float sum = RMS ? 0.0f : sp_sum_lanes(sums) / n;
        const float along = sp_sum_lanes(alongs) / n;
        for (int m = 0; m < M; m++) {
            const long row = at + (long)m * C;
#define ELEMENTS(c, lanes) {                                                                                 \
            const float16 v = sp_load_lanes(g + row + (c), lanes);                                           \
            const float16 hat = (sp_load_lanes(x + row + (c), lanes) - mu) * r;                              \
            sp_store_lanes(r * (v * sp_load_lanes(gamma + (c), lanes) - sum - hat * along), g_x + row + (c), lanes); \
            sp_store_lanes(v * hat, g_hat + row + (c), lanes); }
            ROW
#undef ELEMENTS
        }
    }
}
