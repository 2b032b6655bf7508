//@ plugin:    gpu_neuron 1.0.0
//@ abi:       1
//@ include:   threshold.clh backward_ext.clh pair.clh
//@ let:       SLOTS = max(1, min(256, min(ceildiv(M, 4), 32768/C)))
//@ op:        neuron.backward_ext/3
//@ kernel:    neuron_backward_ext__channel_slots
//@ global:    C*SLOTS
//@ kernel:    neuron_backward_ext__channel_sums
//@ global:    C
//@ define:    SP_REAL_WIDTH = 1
//@ workspace: 4*SLOTS*C
//@ when:      (LEARN || V_TH) && EACH
//@ device:    gpu
//@ score:     50
//@ about:     up to 256 slots of rows for each channel, neighbouring items of neighbouring channels; their sums in order

/* What the neurons add to the scalars of a channel nearly cancels, therefore sums are pairs of floats. work: [4][SLOTS][C], the pairs
 * of dL/dw, then those of dL/dth. */
#pragma OPENCL FP_CONTRACT OFF

#define SLOTS max(1, min(256, min((M - 1) / 4 + 1, 32768 / C)))

#if LEARN || V_TH
__kernel void neuron_backward_ext__channel_slots(BACKWARD_EXT_ARGS)
{
    BACKWARD_EXT_START
    SP_AT(work);
    const int item = (int)get_global_id(0), c = item % C, slot = item / C, items = C * SLOTS;
    const int start = (int)((long)slot * M / SLOTS), end = (int)((long)(slot + 1) * M / SLOTS);
    float2 sum_w = (float2)(0.0f), sum_th = sum_w;
    BACKWARD_EXT_CHANNEL(c)
    for (int m = start; m < end; m++) {
        float add_w = 0.0f, add_th = 0.0f;
        step(&l, (ulong)m * C + c, 1, &add_w, &add_th);
        sum_w = add(sum_w, add_w);
        sum_th = add(sum_th, add_th);
    }
    work[item] = sum_w.x;
    work[items + item] = sum_w.y;
    work[2 * items + item] = sum_th.x;
    work[3 * items + item] = sum_th.y;
}

/* Of one channel, whose first slot lies at `at`. */
inline float sum_of_slots(__global const float *at, int slots, int C)
{
    float2 sum = (float2)(0.0f);
    for (int slot = 0; slot < slots; slot++) {
        sum = add(sum, at[slot * C]);
        sum.y += at[(slots + slot) * C];
    }
    return sum.x + sum.y;
}

__kernel void neuron_backward_ext__channel_sums(BACKWARD_EXT_SUM_ARGS, int M, int C)
{
    SP_AT(work);
    const int c = (int)get_global_id(0);
#if LEARN
    SP_AT(g_w);
    g_w[c] += sum_of_slots(work + c, SLOTS, C);
#endif
#if V_TH
    SP_AT(g_th);
    g_th[c] += sum_of_slots(work + 2 * C * SLOTS + c, SLOTS, C);
#endif
}
#endif
