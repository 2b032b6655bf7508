//@ plugin:    gpu_norm 1.0.0
//@ abi:       1
//@ include:   columns.clh
//@ all:       device: gpu
//@ all:       score: 50
//@ all:       when: LANES*32 <= wg
//@ all:       define: SLOTS = 128
//@ op:        batch_norm.statistics/1
//@ kernel:    batch_norm_statistics__slots
//@ global:    roundup(C, 32), LANES*min(SLOTS, ceildiv(M, 32))
//@ local:     32, LANES
//@ kernel:    batch_norm_statistics__combine
//@ global:    roundup(C, 32), LANES
//@ local:     32, LANES
//@ tune:      LANES = 8 4 2
//@ workspace: 2*C*min(SLOTS, ceildiv(M, 32))
//@ about:     32 channels x LANES rows a work-group; trees over the lanes, then over fixed slots of rows
//@ op:        batch_norm.backward/1
//@ kernel:    batch_norm_backward__slots
//@ global:    roundup(C, 32), LANES*min(SLOTS, ceildiv(M, 32))
//@ local:     32, LANES
//@ kernel:    batch_norm_backward__combine
//@ global:    roundup(C, 32), LANES
//@ local:     32, LANES
//@ kernel:    batch_norm_backward__apply
//@ global:    C, M
//@ tune:      LANES = 8 4 2
//@ workspace: 2*C*min(SLOTS, ceildiv(M, 32)) + 2*C
//@ about:     sums of g and g xhat as above, then one work-item an element

/* Sums over the rows of a channel. A work-group has 32 neighbouring channels (a whole line of memory) and LANES rows at
 * a time; lane l adds the rows l, l + LANES, ... of the group's slot, and a tree in local memory joins the lanes. The
 * second pass joins the slots in the same way: one group for 32 channels instead of one work-item for each. Slots and trees
 * depend on the shape only: the same bits every time. work: [2][slots][C], then [2][C] for the backward pass, whose x is half with
 * X_HALF.
 *
 * Distances from a mean, never squares of x; the rest that distances add up to corrects the mean; the slots of a channel
 * are joined as by Chan, Golub, LeVeque (1983): squares within the slots plus squares between them. */

/* The sum of v over the lanes of this item's channel, in every lane. */
SP_INLINE float join(__local float *part, float v)
{
    const int col = (int)get_local_id(0), lane = (int)get_local_id(1);
    part[lane * COLS + col] = v;
    for (int lanes = LANES / 2; lanes > 0; lanes /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < lanes)
            part[lane * COLS + col] += part[(lane + lanes) * COLS + col];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    v = part[col];
    barrier(CLK_LOCAL_MEM_FENCE);
    return v;
}

__kernel __attribute__((reqd_work_group_size(COLS, LANES, 1))) void
batch_norm_statistics__slots(SP_IN(float, x), SP_OUT(float, work), int M, int C)
{
    __local float part[LANES * COLS];
    SP_AT(x);
    SP_AT(work);
    const int c = (int)get_global_id(0), lane = (int)get_local_id(1), slot = (int)get_group_id(1);
    const int start = slot_start(slot, M), end = c < C ? slot_start(slot + 1, M) : start;
    const float n = (float)(slot_start(slot + 1, M) - start);
    float sum = 0.0f, rest = 0.0f, m2 = 0.0f;

    for (int m = start + lane; m < end; m += LANES)
        sum += x[(ulong)m * C + c];
    const float mean = join(part, sum) / n;
    for (int m = start + lane; m < end; m += LANES) {
        const float d = x[(ulong)m * C + c] - mean;
        rest += d;
        m2 += d * d;
    }
    rest = join(part, rest);
    m2 = join(part, m2);
    if (lane == 0 && c < C) {
        const ulong at = (ulong)slot * C + c;
        work[at] = mean + rest / n;
        work[(ulong)SLOT_COUNT(M) * C + at] = fmax(m2 - rest * rest / n, 0.0f);
    }
}

__kernel __attribute__((reqd_work_group_size(COLS, LANES, 1))) void
batch_norm_statistics__combine(SP_IN(float, work), SP_IN(float, gamma), SP_IN(float, beta), SP_OUT(float, mean),
                               SP_OUT(float, rstd), SP_OUT(float, scale), SP_OUT(float, shift),
                               SP_IO(float, running_mean), SP_IO(float, running_var), int M, int C, float eps,
                               float momentum)
{
    __local float part[LANES * COLS];
    SP_AT(work);
    SP_AT(gamma);
    SP_AT(beta);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(scale);
    SP_AT(shift);
    SP_AT(running_mean);
    SP_AT(running_var);
    const int c = (int)get_global_id(0), lane = (int)get_local_id(1), slots = c < C ? SLOT_COUNT(M) : 0;
    float sum = 0.0f, rest = 0.0f, within = 0.0f, between = 0.0f;

    for (int s = lane; s < slots; s += LANES)
        sum += (float)(slot_start(s + 1, M) - slot_start(s, M)) * work[(ulong)s * C + c];
    const float guess = join(part, sum) / (float)M;
    for (int s = lane; s < slots; s += LANES) {
        const float n = (float)(slot_start(s + 1, M) - slot_start(s, M)), d = work[(ulong)s * C + c] - guess;
        rest += n * d;
        between += n * d * d;
        within += work[(ulong)(slots + s) * C + c];
    }
    rest = join(part, rest);
    between = join(part, between);
    within = join(part, within);
    if (lane == 0 && c < C) {
        const float mu = guess + rest / (float)M;
        const float m2 = within + fmax(between - rest * rest / (float)M, 0.0f);
        const float r = 1.0f / sqrt(m2 / (float)M + eps);
        mean[c] = mu;
        rstd[c] = r;
        scale[c] = gamma[c] * r;
        shift[c] = beta[c] - mu * (gamma[c] * r);
        running_mean[c] = (1.0f - momentum) * running_mean[c] + momentum * mu;
        running_var[c] = (1.0f - momentum) * running_var[c] + momentum * (m2 / (float)max(M - 1, 1));
    }
}

__kernel __attribute__((reqd_work_group_size(COLS, LANES, 1))) void
batch_norm_backward__slots(SP_REF(float, g), SP_IN(sp_xh, x), SP_IN(float, mean), SP_IN(float, rstd),
                           SP_OUT(float, work), int M, int C)
{
    __local float part[LANES * COLS];
    SP_AT(g);
    SP_AT_XH(x);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(work);
    const int c = (int)get_global_id(0), lane = (int)get_local_id(1), slot = (int)get_group_id(1);
    const int end = c < C ? slot_start(slot + 1, M) : 0;
    const float mu = c < C ? mean[c] : 0.0f, r = c < C ? rstd[c] : 0.0f;
    float sum_g = 0.0f, sum_gxhat = 0.0f;

    for (int m = slot_start(slot, M) + lane; m < end; m += LANES) {
        const ulong i = (ulong)m * C + c;
        sum_g += g[i];
        sum_gxhat += g[i] * ((SP_XH(x, i) - mu) * r);
    }
    sum_g = join(part, sum_g);
    sum_gxhat = join(part, sum_gxhat);
    if (lane == 0 && c < C) {
        const ulong at = (ulong)slot * C + c;
        work[at] = sum_g;
        work[(ulong)SLOT_COUNT(M) * C + at] = sum_gxhat;
    }
}

__kernel __attribute__((reqd_work_group_size(COLS, LANES, 1))) void
batch_norm_backward__combine(SP_IO(float, work), SP_IO(float, g_gamma), SP_IO(float, g_beta), int M, int C)
{
    __local float part[LANES * COLS];
    SP_AT(work);
    SP_AT(g_gamma);
    SP_AT(g_beta);
    const int c = (int)get_global_id(0), lane = (int)get_local_id(1), slots = c < C ? SLOT_COUNT(M) : 0;
    float sum_g = 0.0f, sum_gxhat = 0.0f;

    for (int s = lane; s < slots; s += LANES) {
        sum_g += work[(ulong)s * C + c];
        sum_gxhat += work[(ulong)(slots + s) * C + c];
    }
    sum_g = join(part, sum_g);
    sum_gxhat = join(part, sum_gxhat);
    if (lane == 0 && c < C) {
        g_beta[c] += sum_g;
        g_gamma[c] += sum_gxhat;
        work[(ulong)(2 * slots) * C + c] = sum_g / (float)M;
        work[(ulong)(2 * slots + 1) * C + c] = sum_gxhat / (float)M;
    }
}

__kernel void batch_norm_backward__apply(SP_IN(float, work), SP_REF(float, g), SP_IN(sp_xh, x), SP_IN(float, mean),
                                         SP_IN(float, rstd), SP_IN(float, gamma), SP_IO(float, g_x), int M, int C)
{
    SP_AT(work);
    SP_AT(g);
    SP_AT_XH(x);
    SP_AT(mean);
    SP_AT(rstd);
    SP_AT(gamma);
    SP_AT(g_x);
    const ulong c = get_global_id(0), i = get_global_id(1) * (ulong)C + c;
    const float mean_g = work[(ulong)(2 * SLOT_COUNT(M)) * C + c];
    const float mean_gxhat = work[(ulong)(2 * SLOT_COUNT(M) + 1) * C + c];
    const float xhat = (SP_XH(x, i) - mean[c]) * rstd[c];
    g_x[i] = gamma[c] * rstd[c] * (g[i] - mean_g - xhat * mean_gxhat);
}
