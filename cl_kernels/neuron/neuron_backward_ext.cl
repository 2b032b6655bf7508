//@ plugin: reference 1.0.0
//@ abi:    1
//@ include: compensated.clh threshold.clh
//@ op:     neuron.backward_ext/3
//@ kernel: neuron_backward_ext__naive
//@ global: M*C
//@ when:   !LEARN && !V_TH
//@ score:  0
//@ about:  one work-item one neuron
//
//@ op:        neuron.backward_ext/3
//@ define:    ITEMS = 4096
//@ define:    GROUPS = 64
//@ workspace: 2*(ITEMS + GROUPS)
//@ kernel:    neuron_backward_ext__learn
//@ global:    min(M*C, ITEMS)
//@ kernel:    neuron_backward_ext__group
//@ global:    GROUPS
//@ kernel:    neuron_backward_ext__finish
//@ global:    1
//@ when:      (LEARN || V_TH) && !EACH
//@ score:     0
//@ about:     ITEMS work-items stride over the neurons; sums of dL/dw and dL/dth by group, then in order: no atomics
//
//@ op:        neuron.backward_ext/3
//@ kernel:    neuron_backward_ext__channels
//@ global:    C
//@ when:      (LEARN || V_TH) && EACH
//@ score:     0
//@ about:     one work-item one channel, whose neurons it adds up in order
//
// g = g_s + carry d_reset/d_s + carry_aux d_aux/d_s (dL/ds); h = surrogate'(u - threshold)
// g_u = g h + carry d_reset/d_u; g_current = g_u d_charge/d_x
// g_a = carry_aux d_aux/d_a + g_current d_current/d_a - g h d_threshold/d_a
// g_x = g_current d_current/d_x + g_a d_aux/d_x; g_w += sum of g_u d_charge/d_w
// g_th -= sum of g h, and with the soft reset carry s
// carry = g_u d_charge/d_v, carry_aux = g_a. At last carry and carry_aux come in undefined and count as 0. g_x
// may be g_s.
#pragma OPENCL FP_CONTRACT OFF

#define SUMS ((LEARN || V_TH) && !EACH)
#if SUMS && !defined(GROUPS)
#define ITEMS 4096 // the other blocks of this file are built without them, and have no use for what follows
#define GROUPS 64
#endif

#if SUMS
#define NAME neuron_backward_ext__learn
#elif LEARN || V_TH
#define NAME neuron_backward_ext__channels
#else
#define NAME neuron_backward_ext__naive
#endif

__kernel void NAME(SP_REF(float, g_s), SP_IN(float, u),
#if ADAPT
                   SP_IN(float, aux),
#endif
#if LEARN
                   SP_IN(float, u_prev), SP_IN(float, w),
#endif
#if V_TH
                   SP_IN(float, th),
#endif
#if SUMS
                   SP_OUT(float, work),
#endif
#if EACH && LEARN
                   SP_IO(float, g_w),
#endif
#if EACH && V_TH
                   SP_IO(float, g_th),
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
                   SP_IO(float, g_x), int M, int C, int first, int last, float decay, float x_gain,
                   float v_th, float v_reset, float aux_decay, float aux_gain, float width)
{
    SP_AT(g_s);
    SP_AT(u);
    SP_AT(g_x);
    neuron_args p = {decay, x_gain, v_th, v_reset};
    const aux_args q = {aux_decay, aux_gain};
#if ADAPT
    SP_AT(aux);
#endif
#if LEARN || V_TH
    const int mine = EACH ? (int)get_global_id(0) : 0; // a channel, or the layer
#endif
#if V_TH
    SP_AT(th);
    p.v_th = th[mine];
    float sum_th = 0.0f, lost_th = 0.0f;
#endif
#if SUMS
    SP_AT(work);
#endif
#if LEARN
    SP_AT(u_prev);
    SP_AT(w);
    const float rate = w[mine];
    p = neuron_learn(p, rate);
    float sum = 0.0f, lost = 0.0f;
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
    const ulong n = (ulong)M * (ulong)C;
    for (ulong i = get_global_id(0); i < n; i += get_global_size(0)) {
        float a = 0.0f, c_v = 0.0f, g = g_s[i];
#if AUX
        float c_a = 0.0f;
#endif
#if ADAPT
        a = aux[i];
#endif
        const float now = u[i], at = threshold(a, p, q), s = now >= at ? 1.0f : 0.0f;
        const float h = surrogate_grad(now - at, width);
#if TEMPORAL
        if (!last) {
            c_v = carry[i];
#if !DETACH
            g = fma(c_v, neuron_d_reset_d_s(now, s, p), g);
#endif
#if AUX
            c_a = carry_aux[i];
            g = fma(c_a, neuron_d_aux_d_s(p, q), g);
#endif
        }
#endif
#if V_TH
        add_to(&sum_th, &lost_th, fma(c_v, d_reset_d_v_th(s), -(g * h)));
#endif
        const float g_u = fma(c_v, neuron_d_reset_d_u(now, s, p), g * h);
        const float g_current = g_u * neuron_d_charge_d_x(p);
#if AUX
        float g_a = fma(c_a, neuron_d_aux_d_a(p, q), g_current * neuron_d_current_d_a(p, q));
#if ADAPT
        g_a = fma(-(g * h), neuron_d_threshold_d_a(p, q), g_a);
#endif
        g_x[i] = fma(g_current, neuron_d_current_d_x(p, q), g_a * neuron_d_aux_d_x(p, q));
#else
        g_x[i] = g_current;
#endif
#if TEMPORAL
        carry[i] = g_u * neuron_d_charge_d_v(p);
#endif
#if TEMPORAL && AUX
        carry_aux[i] = g_a;
#endif
#if LEARN
        float v = v_reset;
        if (!first) {
            float a_before = 0.0f;
#if ADAPT
            a_before = aux_prev[i];
#endif
            v = neuron_reset(u_prev[i], u_prev[i] >= threshold(a_before, p, q) ? 1.0f : 0.0f, p);
        }
        add_to(&sum, &lost, g_u * neuron_d_charge_d_w(v, now, p, rate));
#endif
    }
#if SUMS && LEARN
    work[get_global_id(0)] = sum;
#endif
#if SUMS && V_TH
    work[ITEMS + GROUPS + get_global_id(0)] = sum_th;
#endif
#if EACH && LEARN
    SP_AT(g_w);
    g_w[mine] += sum;
#endif
#if EACH && V_TH
    SP_AT(g_th);
    g_th[mine] += sum_th;
#endif
}

#if SUMS
// The sums from `at` on, of one group.
inline float group_sum(__global const float *at, int group, int items)
{
    float sum = 0.0f, lost = 0.0f;
    for (int i = group; i < items; i += GROUPS)
        add_to(&sum, &lost, at[i]);
    return sum;
}

__kernel void neuron_backward_ext__group(SP_IO(float, work), int M, int C)
{
    SP_AT(work);
    const int items = (int)min((ulong)M * (ulong)C, (ulong)ITEMS), group = (int)get_global_id(0);
#if LEARN
    work[ITEMS + group] = group_sum(work, group, items);
#endif
#if V_TH
    work[2 * ITEMS + GROUPS + group] = group_sum(work + ITEMS + GROUPS, group, items);
#endif
}

__kernel void neuron_backward_ext__finish(
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
    g_w[0] += sum_in_order(work + ITEMS, GROUPS);
#endif
#if V_TH
    SP_AT(g_th);
    g_th[0] += sum_in_order(work + 2 * ITEMS + GROUPS, GROUPS);
#endif
}
#endif
