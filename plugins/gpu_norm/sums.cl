//@ plugin:    gpu_norm 1.0.0
//@ abi:       1
//@ include:   pair.clh columns.clh
//@ all:       device: gpu
//@ all:       score: 50
//@ all:       when: LANES*32 <= wg
//@ op:        bias.backward/1
//@ kernel:    bias_backward__slots
//@ global:    roundup(C, 32), LANES*min(SLOTS, ceildiv(M, 32))
//@ local:     32, LANES
//@ kernel:    bias_backward__combine
//@ global:    roundup(C, 32), LANES
//@ local:     32, LANES
//@ tune:      LANES = 8 4 2
//@ define:    SLOTS = 128
//@ workspace: 2*C*min(SLOTS, ceildiv(M, 32))
//@ about:     32 channels x LANES rows a work-group; trees over the lanes, then over fixed slots of rows; exact pairs of floats
//@ op:        weight_std.forward/1
//@ kernel:    weight_std_forward__columns
//@ global:    roundup(O, 32), LANES
//@ local:     32, LANES
//@ tune:      LANES = 8 4 2
//@ define:    SLOTS = 1
//@ about:     32 output channels x LANES rows a work-group instead of one work-item an output channel
//@ op:        weight_std.backward/1
//@ kernel:    weight_std_backward__columns
//@ global:    roundup(O, 32), LANES
//@ local:     32, LANES
//@ tune:      LANES = 8 4 2
//@ define:    SLOTS = 1
//@ about:     32 output channels x LANES rows a work-group instead of one work-item an output channel

/* Column sums whose terms nearly cancel, as pairs of floats (the sum, and what it could not hold): lane l of a work-group
 * adds the rows l, l + LANES, ..., and a tree in local memory joins the lanes' pairs. All orders follow from the shape. */

/* The sum of v over the lanes of this item's column, in every lane. */
SP_INLINE float2 join(__local float2 *part, float2 v)
{
    const int col = (int)get_local_id(0), lane = (int)get_local_id(1);
    part[lane * COLS + col] = v;
    for (int lanes = LANES / 2; lanes > 0; lanes /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < lanes) {
            const float2 other = part[(lane + lanes) * COLS + col];
            const float2 sum = add(part[lane * COLS + col], other.x);
            part[lane * COLS + col] = (float2)(sum.x, sum.y + other.y);
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    v = part[col];
    barrier(CLK_LOCAL_MEM_FENCE);
    return v;
}

/* work: [2][slots][C] */
__kernel __attribute__((reqd_work_group_size(COLS, LANES, 1))) void
bias_backward__slots(SP_IN(float, e), SP_OUT(float, work), int M, int C)
{
    __local float2 part[LANES * COLS];
    SP_AT(e);
    SP_AT(work);
    const int c = (int)get_global_id(0), lane = (int)get_local_id(1), slots = SLOT_COUNT(M);
    const int slot = (int)get_group_id(1), end = c < C ? slot_start(slot + 1, M) : 0;
    float2 sum = (float2)(0.0f);

    for (int m = slot_start(slot, M) + lane; m < end; m += LANES)
        sum = add(sum, e[(ulong)m * C + c]);
    sum = join(part, sum);
    if (lane == 0 && c < C) {
        work[(ulong)slot * C + c] = sum.x;
        work[(ulong)(slots + slot) * C + c] = sum.y;
    }
}

__kernel __attribute__((reqd_work_group_size(COLS, LANES, 1))) void
bias_backward__combine(SP_IN(float, work), SP_IO(float, g_bias), int M, int C)
{
    __local float2 part[LANES * COLS];
    SP_AT(work);
    SP_AT(g_bias);
    const int c = (int)get_global_id(0), lane = (int)get_local_id(1), slots = SLOT_COUNT(M), n = c < C ? slots : 0;
    float2 sum = (float2)(0.0f);

    for (int s = lane; s < n; s += LANES) {
        sum = add(sum, work[(ulong)s * C + c]);
        sum.y += work[(ulong)(slots + s) * C + c];
    }
    sum = join(part, sum);
    if (lane == 0 && c < C) {
        sum = add(sum, g_bias[c]);
        g_bias[c] = sum.x + sum.y;
    }
}

/* w_hat = gain (w - mean) / sqrt(var K + eps), var unbiased (0 where K is 1), with the low parts of mean and rstd: see
 * the reference kernel for why. */
__kernel __attribute__((reqd_work_group_size(COLS, LANES, 1))) void
weight_std_forward__columns(SP_IN(float, w), SP_IN(float, gain), SP_OUT(float, w_hat), SP_OUT(float, mean),
                            SP_OUT(float, rstd), int K, int O, float eps)
{
    __local float2 part[LANES * COLS];
    SP_AT(w);
    SP_AT(gain);
    SP_AT(w_hat);
    SP_AT(mean);
    SP_AT(rstd);
    const int o = (int)get_global_id(0), lane = (int)get_local_id(1), end = o < O ? K : 0;
    const float n = (float)K, n1 = (float)max(K - 1, 1);
    float2 sum = (float2)(0.0f), q = (float2)(0.0f);

    for (int k = lane; k < end; k += LANES)
        sum = add(sum, w[(ulong)k * O + o]);
    sum = join(part, sum);
    const float mu = (sum.x + sum.y) / n;
    const float mu_lo = (fma(-mu, n, sum.x) + sum.y) / n;
    for (int k = lane; k < end; k += LANES) {
        const float d = (w[(ulong)k * O + o] - mu) - mu_lo, d2 = d * d;
        q = add(q, d2);
        q.y += fma(d, d, -d2);
    }
    q = join(part, q);
    const float qn = q.x * n, qn_lo = fma(q.x, n, -qn) + q.y * n; /* var K = q n / (n - 1) */
    const float t = qn / n1, t_lo = (fma(-t, n1, qn) + qn_lo) / n1;
    const float2 v = add((float2)(t, t_lo), eps);
    const float r = 1.0f / sqrt(v.x), r2 = r * r; /* one Newton step gives the low part */
    const float r_lo = -0.5f * r * (fma(v.x, r2, -1.0f) + fma(v.x, fma(r, r, -r2), v.y * r2));
    if (lane == 0 && o < O) {
        mean[o] = mu;
        rstd[o] = r + r_lo;
    }
    for (int k = lane; k < end; k += LANES) {
        const float g = gain[o] * ((w[(ulong)k * O + o] - mu) - mu_lo);
        w_hat[(ulong)k * O + o] = fma(g, r, g * r_lo);
    }
}

/* z = (w - mean) rstd; g_gain += sum g z; g_w += gain rstd (g - mean(g) - K/(K-1) z sum(g z)). */
__kernel __attribute__((reqd_work_group_size(COLS, LANES, 1))) void
weight_std_backward__columns(SP_IN(float, g_w_hat), SP_IN(float, w), SP_IN(float, gain), SP_IN(float, mean),
                             SP_IN(float, rstd), SP_IO(float, g_w), SP_IO(float, g_gain), int K, int O)
{
    __local float2 part[LANES * COLS];
    SP_AT(g_w_hat);
    SP_AT(w);
    SP_AT(gain);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(g_w);
    SP_AT(g_gain);
    const int o = (int)get_global_id(0), lane = (int)get_local_id(1), end = o < O ? K : 0;
    const float mu = o < O ? mean[o] : 0.0f, r = o < O ? rstd[o] : 0.0f;
    float2 sum_g = (float2)(0.0f), sum_gz = (float2)(0.0f);

    for (int k = lane; k < end; k += LANES) {
        const ulong i = (ulong)k * O + o;
        sum_g = add(sum_g, g_w_hat[i]);
        sum_gz = add(sum_gz, g_w_hat[i] * ((w[i] - mu) * r));
    }
    sum_g = join(part, sum_g);
    sum_gz = join(part, sum_gz);
    if (lane == 0 && o < O)
        g_gain[o] += sum_gz.x + sum_gz.y;
    const float mean_g = (sum_g.x + sum_g.y) / (float)K;
    const float slope = (float)K / (float)max(K - 1, 1) * (sum_gz.x + sum_gz.y);
    for (int k = lane; k < end; k += LANES) {
        const ulong i = (ulong)k * O + o;
        g_w[i] += gain[o] * r * (g_w_hat[i] - mean_g - (w[i] - mu) * r * slope);
    }
}
