//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh threshold.clh backward_ext.clh sum_of.clh
//@ all:    device: cpu
//@ all:    score: 50
//@ all:    define: SP_REAL_WIDTH = 16
//@ op:     neuron.backward_ext/3
//@ kernel: neuron_backward_ext__flat16
//@ global: min(ceildiv(M*C, 16), cu*16)
//@ local:  1
//@ when:   !LEARN && !V_TH
//@ about:  a run of neurons per work-item, 16 at a time; rows do not matter here
//
//@ op:        neuron.backward_ext/3
//@ workspace: 2*cu*16 + 1
//@ kernel:    neuron_backward_ext__learn16
//@ global:    min(ceildiv(M*C, 16), cu*16)
//@ local:     1
//@ kernel:    neuron_backward_ext__sum16
//@ global:    1
//@ local:     1
//@ when:      (LEARN || V_TH) && !EACH
//@ about:     the same, and sums of dL/dw and dL/dth per work-item, added in order by one

#if LEARN || V_TH
#define NAME neuron_backward_ext__learn16
#else
#define NAME neuron_backward_ext__flat16
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
NAME(BACKWARD_EXT_ARGS)
{
    BACKWARD_EXT_START
    const long n = (long)M * C, vectors = (n + 15) / 16;
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    const long end = min((item + 1) * vectors / items * 16, n);
    long i = item * vectors / items * 16;
    float16 add_w = (float16)(0.0f), add_th = (float16)(0.0f);
#if LEARN || V_TH
    SP_AT(work);
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
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_backward_ext__sum16(BACKWARD_EXT_SUM_ARGS)
{
    SP_AT(work);
#if LEARN
    SP_AT(g_w);
    g_w[0] += sum_of(work + 1, (int)work[0], 2);
#endif
#if V_TH
    SP_AT(g_th);
    g_th[0] += sum_of(work + 2, (int)work[0], 2);
#endif
}
#endif
