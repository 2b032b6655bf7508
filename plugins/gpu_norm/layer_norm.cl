//@ plugin: gpu_norm 1.0.0
//@ abi:    1
//@ all:    device: gpu
//@ all:    score: 50
//@ all:    when: WGS <= wg
//@ all:    tune: WGS = 128 64 256
//@ all:    bake: M C
//@ op:     layer_norm.forward/1
//@ kernel: layer_norm_forward__groups
//@ global: N*WGS
//@ local:  WGS
//@ about:  a work-group per group: its items stride over the elements, trees in local memory join their sums
//@ op:     layer_norm.backward/1
//@ kernel: layer_norm_backward__groups
//@ global: N*WGS
//@ local:  WGS
//@ about:  a work-group per group: its items stride over the elements, trees in local memory join their sums

/* The equations are those of cl_kernels/norm/layer_norm.cl. Neighbouring items have neighbouring elements. y may be x, g_x may
 * be g: the item that writes an element is the only one that reads it. */

#define COUNT (M * C) /* elements of a group */
#define EACH  for (int i = (int)get_local_id(0); i < COUNT; i += WGS)

/* The sum of v over the work-group, in every item. */
SP_INLINE float join(__local float *part, float v)
{
    const int lid = (int)get_local_id(0);
    part[lid] = v;
    for (int items = WGS / 2; items > 0; items /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lid < items)
            part[lid] += part[lid + items];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    v = part[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return v;
}

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void
layer_norm_forward__groups(SP_REF(float, x), SP_IN(float, gamma),
#if !RMS
                           SP_IN(float, beta),
#endif
                           SP_IO(float, y),
#if !RMS
                           SP_OUT(float, mean),
#endif
                           SP_OUT(float, rstd), float eps)
{
    __local float part[WGS];
    SP_AT(x);
    SP_AT(gamma);
    SP_AT(y);
    SP_AT(rstd);
    const ulong group = get_group_id(0), at = group * (ulong)COUNT;
    const float n = (float)COUNT;
    float mu = 0.0f, m2 = 0.0f;
#if !RMS
    float rest = 0.0f;
    SP_AT(beta);
    SP_AT(mean);
    EACH
        mu += x[at + i];
    mu = join(part, mu) / n;
#endif
    EACH {
        const float d = x[at + i] - mu;
        m2 += d * d;
#if !RMS
        rest += d;
#endif
    }
    m2 = join(part, m2);
#if !RMS /* what rounding left of the mean */
    rest = join(part, rest);
    mu += rest / n;
    m2 = fmax(m2 - rest * rest / n, 0.0f);
#endif
    const float r = 1.0f / sqrt(m2 / n + eps);
    if (get_local_id(0) == 0) {
        rstd[group] = r;
#if !RMS
        mean[group] = mu;
#endif
    }
    EACH {
        float v = gamma[i % C] * ((x[at + i] - mu) * r);
#if !RMS
        v += beta[i % C];
#endif
        y[at + i] = v;
    }
}

__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void
layer_norm_backward__groups(SP_REF(float, g), SP_IN(float, x), SP_IN(float, gamma),
#if !RMS
                            SP_IN(float, mean),
#endif
                            SP_IN(float, rstd), SP_IO(float, g_x), SP_OUT(float, g_hat))
{
    __local float part[WGS];
    SP_AT(g);
    SP_AT(x);
    SP_AT(gamma);
    SP_AT(rstd);
    SP_AT(g_x);
    SP_AT(g_hat);
    const ulong group = get_group_id(0), at = group * (ulong)COUNT;
    const float n = (float)COUNT, r = rstd[group];
    float mu = 0.0f, sum = 0.0f, along = 0.0f;
#if !RMS
    SP_AT(mean);
    mu = mean[group];
#endif
    EACH {
        const float d = g[at + i] * gamma[i % C];
        sum += d;
        along += d * ((x[at + i] - mu) * r);
    }
    sum = RMS ? 0.0f : join(part, sum) / n;
    along = join(part, along) / n;
    EACH {
        const float hat = (x[at + i] - mu) * r, v = g[at + i];
        g_x[at + i] = r * (v * gamma[i % C] - sum - hat * along);
        g_hat[at + i] = v * hat;
    }
}
