//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: compensated.clh threshold.clh backward_ext.clh sum_of.clh
//@ all:    device: cpu
//@ all:    score: 50
//@ all:    define: SP_REAL_WIDTH = 1
//@ op:        neuron.backward_ext/3
//@ workspace: 2*cu*16*C + 1
//@ kernel:    neuron_backward_ext__channels_rows
//@ global:    min(M, cu*16)
//@ local:     1
//@ kernel:    neuron_backward_ext__channels_sum
//@ global:    C
//@ when:      (LEARN || V_TH) && EACH
//@ about:     a run of rows per work-item, in blocks that stay in the cache, one channel after the other; sums in order

/* work: the number of work-items, then of each of them the sums of dL/dw and those of dL/dth, by channel. */
#define BLOCK 32

#if LEARN || V_TH
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_backward_ext__channels_rows(BACKWARD_EXT_ARGS)
{
    BACKWARD_EXT_START
    SP_AT(work);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    const long start = item * M / items, end = (item + 1) * M / items;
    __global float *sums_w = work + 1 + 2 * item * C, *sums_th = sums_w + C;
    if (item == 0)
        work[0] = (float)items; /* exact */
    for (long m = start; m < end; m += BLOCK)
        for (int c = 0; c < C; c++) {
            const long last_row = min(m + BLOCK, end);
            float sum_w = 0.0f, lost_w = 0.0f, sum_th = 0.0f, lost_th = 0.0f;
            BACKWARD_EXT_CHANNEL(c)
            for (long row = m; row < last_row; row++) {
                float add_w = 0.0f, add_th = 0.0f;
                step(&l, (ulong)(row * C + c), 1, &add_w, &add_th);
                add_to(&sum_w, &lost_w, add_w);
                add_to(&sum_th, &lost_th, add_th);
            }
            sums_w[c] = m == start ? sum_w : sums_w[c] + sum_w;
            sums_th[c] = m == start ? sum_th : sums_th[c] + sum_th;
        }
}

__kernel void neuron_backward_ext__channels_sum(BACKWARD_EXT_SUM_ARGS, int C)
{
    SP_AT(work);
    const int items = (int)work[0], c = (int)get_global_id(0);
#if LEARN
    SP_AT(g_w);
    g_w[c] += sum_of(work + 1 + c, items, 2 * C);
#endif
#if V_TH
    SP_AT(g_th);
    g_th[c] += sum_of(work + 1 + C + c, items, 2 * C);
#endif
}
#endif
