//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh threshold.clh
//@ all:    device: cpu
//@ all:    score: 50
//@ all:    define: SP_REAL_WIDTH = 16
//@ op:     neuron.backward_ext/2
//@ kernel: neuron_backward_ext__flat16
//@ global: min(ceildiv(M*C, 16), cu*16)
//@ local:  1
//@ when:   !LEARN && !V_TH
//@ about:  a run of neurons per work-item, 16 at a time; rows do not matter here
//
//@ op:        neuron.backward_ext/2
//@ workspace: 2*cu*16 + 1
//@ kernel:    neuron_backward_ext__learn16
//@ global:    min(ceildiv(M*C, 16), cu*16)
//@ local:     1
//@ kernel:    neuron_backward_ext__sum16
//@ global:    1
//@ local:     1
//@ when:      LEARN || V_TH
//@ about:     the same, and sums of dL/dw and dL/dth per work-item, added in order by one

/* The equations are those of cl_kernels/neuron/neuron_backward_ext.cl. At the last time step carry and carry_aux come in
 * undefined and are not read. g_x may be g_s. */
#pragma OPENCL FP_CONTRACT OFF

/* Everything that a step reads and writes; what a model or method does not have is NULL. */
typedef struct {
    __global const float *g_s, *u, *u_prev, *aux, *aux_prev;
    __global float *carry, *carry_aux, *g_x;
    int first, last;
    float width, w;
    neuron_args p;
    aux_args q;
} layer;

#if LEARN
/* v[t-1] of the neurons from i on. */
SP_INLINE float16 v_before(const layer *l, long i, int lanes)
{
    if (l->first)
        return (float16)(l->p.v_reset);
    float16 a = (float16)(0.0f);
#if ADAPT
    a = sp_load_lanes(l->aux_prev + i, lanes);
#endif
    const float16 u = sp_load_lanes(l->u_prev + i, lanes);
    return neuron_reset(u, select((float16)(0.0f), (float16)(1.0f), u >= threshold(a, l->p, l->q)), l->p);
}
#endif

/* The neurons from i on, and what they add to dL/dw and dL/dth; lanes past the last neuron add 0, as their g_s and
 * carry are 0. */
SP_INLINE void step(const layer *l, long i, int lanes, float16 *add_w, float16 *add_th)
{
    const neuron_args p = l->p;
    const aux_args q = l->q;
    const float16 now = sp_load_lanes(l->u + i, lanes);
    float16 a = (float16)(0.0f), c_v = (float16)(0.0f), g = sp_load_lanes(l->g_s + i, lanes);
#if AUX
    float16 c_a = (float16)(0.0f);
#endif
#if ADAPT
    a = sp_load_lanes(l->aux + i, lanes);
#endif
    const float16 th = threshold(a, p, q), h = surrogate_grad(now - th, l->width);
    const float16 s = select((float16)(0.0f), (float16)(1.0f), now >= th);
#if TEMPORAL
    if (!l->last) {
        c_v = sp_load_lanes(l->carry + i, lanes);
#if !DETACH
        g = fma(c_v, neuron_d_reset_d_s(now, s, p), g);
#endif
#if AUX
        c_a = sp_load_lanes(l->carry_aux + i, lanes);
        g = fma(c_a, neuron_d_aux_d_s(p, q), g);
#endif
    }
#endif
#if V_TH
    *add_th = fma(c_v, d_reset_d_v_th(s), -(g * h));
#endif
    const float16 g_u = fma(c_v, neuron_d_reset_d_u(now, s, p), g * h);
    const float16 g_current = g_u * neuron_d_charge_d_x(p);
#if AUX
    float16 g_a = fma(c_a, neuron_d_aux_d_a(p, q), g_current * neuron_d_current_d_a(p, q));
#if ADAPT
    g_a = fma(-(g * h), neuron_d_threshold_d_a(p, q), g_a);
#endif
    sp_store_lanes(fma(g_current, neuron_d_current_d_x(p, q), g_a * neuron_d_aux_d_x(p, q)), l->g_x + i, lanes);
#else
    sp_store_lanes(g_current, l->g_x + i, lanes);
#endif
#if TEMPORAL
    sp_store_lanes(g_u * neuron_d_charge_d_v(p), l->carry + i, lanes);
#endif
#if TEMPORAL && AUX
    sp_store_lanes(g_a, l->carry_aux + i, lanes);
#endif
#if LEARN
    *add_w = g_u * neuron_d_charge_d_w(v_before(l, i, lanes), now, p, l->w);
#endif
}

#if LEARN || V_TH
#define NAME neuron_backward_ext__learn16
#else
#define NAME neuron_backward_ext__flat16
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
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
    SP_AT(g_s); SP_AT(u); SP_AT(g_x);
    layer l = {.g_s = g_s, .u = u, .g_x = g_x, .first = first, .last = last, .width = width};
    neuron_args given = {decay, x_gain, v_th, v_reset};
#if V_TH
    SP_AT(th);
    given.v_th = th[0];
#endif
#if LEARN || V_TH
    SP_AT(work);
#endif
    const aux_args q = {aux_decay, aux_gain};
    l.p = given;
    l.q = q;
#if ADAPT
    SP_AT(aux);
    l.aux = aux;
#endif
#if LEARN
    SP_AT(u_prev); SP_AT(w);
    l.u_prev = u_prev;
    l.w = w[0];
    l.p = neuron_learn(given, w[0]);
#endif
#if LEARN && ADAPT
    SP_AT(aux_prev);
    l.aux_prev = aux_prev;
#endif
#if TEMPORAL
    SP_AT(carry);
    l.carry = carry;
#endif
#if TEMPORAL && AUX
    SP_AT(carry_aux);
    l.carry_aux = carry_aux;
#endif
    const long n = (long)M * C, vectors = (n + 15) / 16;
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    const long end = min((item + 1) * vectors / items * 16, n);
    long i = item * vectors / items * 16;
    float16 add_w = (float16)(0.0f), add_th = (float16)(0.0f);
#if LEARN || V_TH
    float16 sum_w = (float16)(0.0f), lost_w = sum_w, sum_th = sum_w, lost_th = sum_w;
    for (; i < end; i += 16) {
        if (i + 16 <= end)
            step(&l, i, 16, &add_w, &add_th);
        else
            step(&l, i, (int)(end - i), &add_w, &add_th);
        sp_add_lanes(&sum_w, &lost_w, add_w);
        sp_add_lanes(&sum_th, &lost_th, add_th);
    }
    work[1 + 2 * item] = sp_sum_lanes(sum_w);
    work[2 + 2 * item] = sp_sum_lanes(sum_th);
    if (item == 0)
        work[0] = (float)items; /* exact */
#else
    for (; i + 16 <= end; i += 16)
        step(&l, i, 16, &add_w, &add_th);
    if (i < end)
        step(&l, i, (int)(end - i), &add_w, &add_th);
#endif
}

#if LEARN || V_TH
/* Of every second number. */
inline float sum_of(__global const float *from, int items)
{
    float sum = 0.0f;
    for (int i = 0; i < items; i++)
        sum += from[2 * i];
    return sum;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_backward_ext__sum16(
#if LEARN
    SP_IO(float, g_w),
#endif
#if V_TH
    SP_IO(float, g_th),
#endif
    SP_IN(float, work))
{
    SP_AT(work);
#if LEARN
    SP_AT(g_w);
    g_w[0] += sum_of(work + 1, (int)work[0]);
#endif
#if V_TH
    SP_AT(g_th);
    g_th[0] += sum_of(work + 2, (int)work[0]);
#endif
}
#endif
