//@ plugin:    reference 1.0.0
//@ abi:       1
//@ include:   compensated.clh stabilise.clh
//@ op:        neuron.stabilise/1
//@ define:    ITEMS = 1024
//@ workspace: 2*ITEMS
//@ kernel:    neuron_stabilise__moments
//@ global:    min(M*C, ITEMS)
//@ kernel:    neuron_stabilise__finish
//@ global:    1
//@ score:     0
//@ about:     ITEMS work-items stride over the potentials; one joins their means and squared distances in order
//
// With m and sd (unbiased) over all u of the layer: at first th = v_th, ratio = (v_th - m) / sd; else th = m + ratio sd. Where sd
// is at most 1e-5 |m| now or was so at first (ratio is infinite then), th = v_th. Distances are taken from the mean of a
// work-item's own potentials. work: [2][ITEMS].
#ifndef ITEMS
#define ITEMS 1024 // the other ops of this file are built without it
#endif
#pragma OPENCL FP_CONTRACT OFF

__kernel void neuron_stabilise__moments(SP_IN(float, u), SP_OUT(float, work), const int M, const int C)
{
    SP_AT(u);
    SP_AT(work);
    const ulong n = (ulong)M * (ulong)C, first = get_global_id(0), items = get_global_size(0);
    const float count = (float)((n - first + items - 1) / items);
    float sum = 0.0f, lost = 0.0f, m2 = 0.0f, lost_m2 = 0.0f;
    for (ulong i = first; i < n; i += items)
        add_to(&sum, &lost, u[i]);
    const float mean = sum / count;
    for (ulong i = first; i < n; i += items)
        add_to(&m2, &lost_m2, (u[i] - mean) * (u[i] - mean));
    work[first] = mean;
    work[ITEMS + first] = m2;
}

__kernel void neuron_stabilise__finish(SP_IN(float, work), SP_IO(float, ratio), SP_OUT(float, th), const int M, const int C,
                                       const int first, const float v_th)
{
    SP_AT(work);
    SP_AT(ratio);
    SP_AT(th);
    const ulong n = (ulong)M * (ulong)C, items = min(n, (ulong)ITEMS);
    float mean = work[0], m2 = work[ITEMS], have = (float)((n + items - 1) / items);
    for (ulong i = 1; i < items; i++)
        join_moments(&mean, &m2, &have, work[i], work[ITEMS + i], (float)((n - i + items - 1) / items));
    th[0] = stable_threshold(mean, m2, (float)n, first, v_th, ratio);
}

//@ op:     neuron.fire/1
//@ kernel: neuron_fire__naive
//@ global: ceildiv(C, 32), M
//@ score:  0
//@ about:  one work-item one word of spikes
// s = (u >= th), one threshold for all.
__kernel void neuron_fire__naive(SP_IN(float, u), SP_IN(float, th), SP_OUT(uint, s), const int C)
{
    SP_AT(u);
    SP_AT(th);
    SP_AT(s);
    const ulong m = get_global_id(1);
    const int word = (int)get_global_id(0), end = min(C, word * 32 + 32);
    const float threshold = th[0];
    uint bits = 0;
    for (int c = word * 32; c < end; c++)
        if (u[m * (ulong)C + (ulong)c] >= threshold)
            bits |= 1u << (c & 31);
    s[m * (ulong)SP_WORDS(C) + (ulong)word] = bits;
}
