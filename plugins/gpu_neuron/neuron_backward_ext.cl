//@ plugin:    gpu_neuron 1.0.0
//@ abi:       1
//@ include:   threshold.clh pair.clh pair_tree.clh
//@ all:       device: gpu
//@ all:       score: 50
//@ all:       define: GROUPS = 128
//@ op:        neuron.backward_ext/2
//@ kernel:    neuron_backward_ext__vec4
//@ global:    M*C/4
//@ define:    SP_REAL_WIDTH = 4
//@ define:    WGS = 1
//@ when:      !LEARN && !V_TH && M*C % 4 == 0
//@ about:     four neurons a work-item, whatever the number of channels
//@ op:        neuron.backward_ext/2
//@ kernel:    neuron_backward_ext__flat
//@ global:    M*C
//@ define:    SP_REAL_WIDTH = 1
//@ define:    WGS = 1
//@ when:      !LEARN && !V_TH
//@ score:     40
//@ about:     one neuron a work-item, where their number is not a multiple of four
//@ op:        neuron.backward_ext/2
//@ kernel:    neuron_backward_ext__groups
//@ global:    WGS*min(GROUPS, ceildiv(M*C, WGS*4))
//@ local:     WGS
//@ kernel:    neuron_backward_ext__join
//@ global:    WGS
//@ local:     WGS
//@ tune:      WGS = 128 64 256
//@ define:    SP_REAL_WIDTH = 1
//@ workspace: 4*GROUPS
//@ when:      (LEARN || V_TH) && WGS <= wg
//@ about:     up to GROUPS work-groups stride over the neurons; trees in local memory join what they add to dL/dw and dL/dth

/* The equations are those of cl_kernels/neuron/neuron_backward_ext.cl. What the neurons add to the two scalars nearly cancels, therefore
 * sums are pairs of floats. work: [2][GROUPS] of dL/dw, then of dL/dth. At last carry and carry_aux come in undefined and
 * are not read. g_x may be g_s: an item reads its neurons before it writes them. */
#pragma OPENCL FP_CONTRACT OFF

#if LEARN || V_TH
#define NAME neuron_backward_ext__groups
#elif SP_REAL_WIDTH == 4
#define NAME neuron_backward_ext__vec4
#else
#define NAME neuron_backward_ext__flat
#endif
#if SP_REAL_WIDTH == 4
#define AT(p, i) ((__global float4 *)(p))[i]
#define OF(p, i) ((__global const float4 *)(p))[i]
#define SUM(v) ((v.x + v.y) + (v.z + v.w))
#else
#define AT(p, i) (p)[i]
#define OF(p, i) (p)[i]
#define SUM(v) (v)
#endif

#if LEARN || V_TH
/* The sum of a work-group into work, and that of all groups. */
SP_INLINE void put_sum(__local float2 *part, float2 sum, __global float *work)
{
    sum = join(part, sum);
    barrier(CLK_LOCAL_MEM_FENCE); /* the next tree is built in the same place */
    if (get_local_id(0) == 0) {
        work[get_group_id(0)] = sum.x;
        work[GROUPS + get_group_id(0)] = sum.y;
    }
}

SP_INLINE float total(__local float2 *part, __global const float *work, ulong n)
{
    const int groups = (int)min((ulong)GROUPS, (n + WGS * 4 - 1) / (WGS * 4)); /* of the first pass */
    float2 sum = (float2)(0.0f);
    for (int group = (int)get_local_id(0); group < groups; group += WGS) {
        sum = add(sum, work[group]);
        sum.y += work[GROUPS + group];
    }
    sum = join(part, sum);
    barrier(CLK_LOCAL_MEM_FENCE);
    return sum.x + sum.y;
}
#endif

__kernel
#if LEARN || V_TH
    __attribute__((reqd_work_group_size(WGS, 1, 1)))
#endif
    void
    NAME(SP_REF(float, g_s), SP_IN(float, u),
#if ADAPT
         SP_IN(float, aux),
#endif
#if LEARN
         SP_IN(float, u_prev), SP_IN(float, w),
#endif
#if V_TH
         SP_IN(float, th),
#endif
#if LEARN || V_TH
         SP_OUT(float, work),
#endif
#if LEARN && ADAPT
         SP_IN(float, aux_prev),
#endif
#if TEMPORAL
         SP_IO(float, carry),
#endif
#if TEMPORAL && AUX
         SP_IO(float, carry_aux),
#endif
         SP_IO(float, g_x), int M, int C, int first, int last, float decay, float x_gain, float v_th, float v_reset,
         float aux_decay, float aux_gain, float width)
{
    SP_AT(g_s);
    SP_AT(u);
    SP_AT(g_x);
    neuron_args p = {decay, x_gain, v_th, v_reset};
    const aux_args q = {aux_decay, aux_gain};
#if ADAPT
    SP_AT(aux);
#endif
#if V_TH
    SP_AT(th);
    p.v_th = th[0];
    float2 sum_th = (float2)(0.0f);
#endif
#if LEARN || V_TH
    __local float2 part[WGS];
    SP_AT(work);
#endif
#if LEARN
    SP_AT(u_prev);
    SP_AT(w);
    p = neuron_learn(p, w[0]);
    float2 sum_w = (float2)(0.0f);
#endif
#if LEARN && ADAPT
    SP_AT(aux_prev);
#endif
#if TEMPORAL
    SP_AT(carry);
#endif
#if TEMPORAL && AUX
    SP_AT(carry_aux);
#endif
    const ulong n = (ulong)M * (ulong)C / SP_REAL_WIDTH;
    for (ulong i = get_global_id(0); i < n; i += get_global_size(0)) {
        real a = SP_REAL(0.0f), c_v = SP_REAL(0.0f), g = OF(g_s, i);
#if AUX
        real c_a = SP_REAL(0.0f);
#endif
#if ADAPT
        a = OF(aux, i);
#endif
        const real now = OF(u, i), at = threshold(a, p, q), h = surrogate_grad(now - at, width);
        const real s = select(SP_REAL(0.0f), SP_REAL(1.0f), now >= at);
#if TEMPORAL
        if (!last) {
            c_v = OF(carry, i);
#if !DETACH
            g = fma(c_v, neuron_d_reset_d_s(now, s, p), g);
#endif
#if AUX
            c_a = OF(carry_aux, i);
            g = fma(c_a, neuron_d_aux_d_s(p, q), g);
#endif
        }
#endif
#if V_TH
        const real to_th = fma(c_v, d_reset_d_v_th(s), -(g * h));
        sum_th = add(sum_th, SUM(to_th));
#endif
        const real g_u = fma(c_v, neuron_d_reset_d_u(now, s, p), g * h), g_current = g_u * neuron_d_charge_d_x(p);
#if AUX
        real g_a = fma(c_a, neuron_d_aux_d_a(p, q), g_current * neuron_d_current_d_a(p, q));
#if ADAPT
        g_a = fma(-(g * h), neuron_d_threshold_d_a(p, q), g_a);
#endif
        AT(g_x, i) = fma(g_current, neuron_d_current_d_x(p, q), g_a * neuron_d_aux_d_x(p, q));
#else
        AT(g_x, i) = g_current;
#endif
#if TEMPORAL
        AT(carry, i) = g_u * neuron_d_charge_d_v(p);
#endif
#if TEMPORAL && AUX
        AT(carry_aux, i) = g_a;
#endif
#if LEARN
        real v = SP_REAL(v_reset), a_before = SP_REAL(0.0f);
        if (!first) {
            const real before = OF(u_prev, i);
#if ADAPT
            a_before = OF(aux_prev, i);
#endif
            v = neuron_reset(before, select(SP_REAL(0.0f), SP_REAL(1.0f), before >= threshold(a_before, p, q)), p);
        }
        const real to_w = g_u * neuron_d_charge_d_w(v, now, p, w[0]);
        sum_w = add(sum_w, SUM(to_w));
#endif
    }
#if LEARN
    put_sum(part, sum_w, work);
#endif
#if V_TH
    put_sum(part, sum_th, work + 2 * GROUPS);
#endif
}

#if LEARN || V_TH
__kernel __attribute__((reqd_work_group_size(WGS, 1, 1))) void
neuron_backward_ext__join(
#if LEARN
    SP_IO(float, g_w),
#endif
#if V_TH
    SP_IO(float, g_th),
#endif
    SP_IN(float, work), int M, int C)
{
    __local float2 part[WGS];
    SP_AT(work);
    const ulong n = (ulong)M * (ulong)C;
#if LEARN
    SP_AT(g_w);
    const float to_w = total(part, work, n);
    if (get_local_id(0) == 0)
        g_w[0] += to_w;
#endif
#if V_TH
    SP_AT(g_th);
    const float to_th = total(part, work + 2 * GROUPS, n);
    if (get_local_id(0) == 0)
        g_th[0] += to_th;
#endif
}
#endif
