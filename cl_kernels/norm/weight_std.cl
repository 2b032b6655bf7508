//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     weight_std.forward/1
//@ kernel: weight_std_forward__naive
//@ global: O
//@ score:  0
//@ about:  one work-item one output channel: a column of the weight [K][O]
//
// w_hat = gain (w - mean) / sqrt(var K + eps), var unbiased (0 where K is 1). An error of rstd scales a whole
// output channel, and gradients that nearly cancel between channels (a skip gain's) then lose four digits: sums,
// mean and rstd are kept as pairs of floats, high and low.
inline void add_pair(float *hi, float *lo, float v)
{
    const float s = *hi + v, b = s - *hi;
    *lo += (*hi - (s - b)) + (v - b);
    *hi = s;
}

__kernel void weight_std_forward__naive(SP_IN(float, w), SP_IN(float, gain), SP_OUT(float, w_hat),
                                        SP_OUT(float, mean), SP_OUT(float, rstd), int K, int O, float eps)
{
    SP_AT(w);
    SP_AT(gain);
    SP_AT(w_hat);
    SP_AT(mean);
    SP_AT(rstd);
    const ulong o = get_global_id(0), columns = (ulong)O;
    const float n = (float)K, n1 = (float)max(K - 1, 1);
    float sum = 0.0f, sum_lo = 0.0f, q = 0.0f, q_lo = 0.0f;

    for (int k = 0; k < K; k++)
        add_pair(&sum, &sum_lo, w[(ulong)k * columns + o]);
    const float mu = (sum + sum_lo) / n;
    const float mu_lo = (fma(-mu, n, sum) + sum_lo) / n;
    for (int k = 0; k < K; k++) {
        const float d = (w[(ulong)k * columns + o] - mu) - mu_lo, d2 = d * d;
        add_pair(&q, &q_lo, d2);
        q_lo += fma(d, d, -d2);
    }
    const float qn = q * n, qn_lo = fma(q, n, -qn) + q_lo * n; // var K = q n / (n - 1)
    const float t = qn / n1, t_lo = (fma(-t, n1, qn) + qn_lo) / n1;
    float v = t, v_lo = t_lo;
    add_pair(&v, &v_lo, eps);
    const float r = 1.0f / sqrt(v), r2 = r * r; // one Newton step gives the low part
    const float r_lo = -0.5f * r * (fma(v, r2, -1.0f) + fma(v, fma(r, r, -r2), v_lo * r2));
    mean[o] = mu;
    rstd[o] = r + r_lo; // q_lo is many units of the last place of q, so r_lo counts
    for (int k = 0; k < K; k++) {
        const float g = gain[o] * ((w[(ulong)k * columns + o] - mu) - mu_lo);
        w_hat[(ulong)k * columns + o] = fma(g, r, g * r_lo);
    }
}

//@ op:     weight_std.backward/1
//@ kernel: weight_std_backward__naive
//@ global: O
//@ score:  0
//@ about:  one work-item one output channel
//
// z = (w - mean) rstd; g_gain += sum g z; g_w += gain rstd (g - mean(g) - K/(K-1) z sum(g z)).
__kernel void weight_std_backward__naive(SP_IN(float, g_w_hat), SP_IN(float, w), SP_IN(float, gain),
                                         SP_IN(float, mean), SP_IN(float, rstd), SP_IO(float, g_w),
                                         SP_IO(float, g_gain), int K, int O)
{
    SP_AT(g_w_hat);
    SP_AT(w);
    SP_AT(gain);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(g_w);
    SP_AT(g_gain);
    const ulong o = get_global_id(0), columns = (ulong)O;
    const float mu = mean[o], r = rstd[o];
    float sum_g = 0.0f, sum_gz = 0.0f;

    for (int k = 0; k < K; k++) {
        const ulong i = (ulong)k * columns + o;
        sum_g += g_w_hat[i];
        sum_gz += g_w_hat[i] * ((w[i] - mu) * r);
    }
    g_gain[o] += sum_gz;
    const float mean_g = sum_g / (float)K;
    const float slope = (float)K / (float)max(K - 1, 1) * sum_gz;
    for (int k = 0; k < K; k++) {
        const ulong i = (ulong)k * columns + o;
        g_w[i] += gain[o] * r * (g_w_hat[i] - mean_g - (w[i] - mu) * r * slope);
    }
}
