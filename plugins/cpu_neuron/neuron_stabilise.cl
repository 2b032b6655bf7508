//@ plugin:    cpu_neuron 1.0.0
//@ abi:       1
//@ include:   lanes.clh forward_rows.clh stabilise.clh
//@ all:       device: cpu
//@ all:       score: 50
//@ op:        neuron.stabilise/1
//@ define:    SLOTS = 64
//@ workspace: 2*SLOTS
//@ kernel:    neuron_stabilise__slots
//@ global:    min(ceildiv(M*C, 16), SLOTS)
//@ local:     1
//@ kernel:    neuron_stabilise__join
//@ global:    1
//@ local:     1
//@ about:     a run of potentials for each slot, 16 at a time in one walk, then the slots in order

/* As the reference kernel. Slots have fixed bounds. A slot's squares are those of distances from the mean of its first 16. */
#pragma OPENCL FP_CONTRACT OFF
#ifndef SLOTS
#define SLOTS 64 /* the other op of this file is built without it */
#endif

SP_INLINE long slot_at(long slot, long slots, long n)
{
    return min(slot * ((n + 15) / 16) / slots * 16, n);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void neuron_stabilise__slots(SP_IN(float, u), SP_OUT(float, work),
                                                                                     int M, int C)
{
    SP_AT(u); SP_AT(work);
    const long n = (long)M * C, slot = (long)get_global_id(0), slots = (long)get_global_size(0);
    const long start = slot_at(slot, slots, n), end = slot_at(slot + 1, slots, n);
    const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const int begin = (int)min(end - start, 16L);
    const float guess = sp_sum_lanes(sp_load_lanes(u + start, begin)) / (float)begin;
    float16 sum = (float16)(0.0f), lost = (float16)(0.0f), square = (float16)(0.0f), lost_square = (float16)(0.0f);
    long i = start;
    for (; i + 16 <= end; i += 16) {
        const float16 d = vload16(0, u + i) - (float16)(guess);
        sp_add_lanes(&sum, &lost, d);
        sp_add_lanes(&square, &lost_square, d * d);
    }
    if (i < end) {
        const float16 all = sp_load_lanes(u + i, (int)(end - i)) - (float16)(guess);
        const float16 d = select((float16)(0.0f), all, lane < (int16)((int)(end - i)));
        sp_add_lanes(&sum, &lost, d);
        sp_add_lanes(&square, &lost_square, d * d);
    }
    const float count = (float)(end - start), apart = sp_sum_lanes(sum) / count;
    work[slot] = guess + apart;
    work[SLOTS + slot] = fmax(sp_sum_lanes(square) - apart * apart * count, 0.0f);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_stabilise__join(SP_IN(float, work), SP_IO(float, ratio), SP_OUT(float, th), int M, int C, int first, float v_th)
{
    SP_AT(work); SP_AT(ratio); SP_AT(th);
    const long n = (long)M * C, slots = min((n + 15) / 16, (long)SLOTS);
    float mean = work[0], m2 = work[SLOTS], have = (float)slot_at(1, slots, n);
    for (long i = 1; i < slots; i++)
        join_moments(&mean, &m2, &have, work[i], work[SLOTS + i], (float)(slot_at(i + 1, slots, n) - slot_at(i, slots, n)));
    th[0] = stable_threshold(mean, m2, (float)n, first, v_th, ratio);
}

//@ op:     neuron.fire/1
//@ kernel: neuron_fire__rows16
//@ global: min(M, cu*16)
//@ local:  1
//@ about:  a run of rows per work-item, spikes packed from the lanes
#define FIRE(c, lanes) fire(u + row + (c), lanes, threshold)
SP_INLINE uint fire(__global const float *u, int lanes, float threshold)
{
    return sp_pack_lanes(sp_load_lanes(u, lanes) >= (float16)(threshold)) & (lanes >= 16 ? 0xffffu : (1u << lanes) - 1u);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void neuron_fire__rows16(SP_IN(float, u), SP_IN(float, th),
                                                                                 SP_OUT(uint, s), int M, int C)
{
    SP_AT(u); SP_AT(th); SP_AT(s);
    const float threshold = th[0];
    FIRE_ROWS
}
