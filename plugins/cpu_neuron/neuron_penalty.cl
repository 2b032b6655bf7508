//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh
//@ op:     neuron.penalty/1
//@ kernel: neuron_penalty__samples
//@ global: N
//@ local:  1
//@ define: SP_REAL_WIDTH = 16
//@ device: cpu
//@ score:  50
//@ about:  one work-item one sample, 16 neurons at a time, gradient and loss in one walk

/* d is the distance of u from the nearer of v_reset and v_th. Sums of 64 vectors are added up, so that long ones keep their
 * digits. Potentials may be half (U_HALF). */
#pragma OPENCL FP_CONTRACT OFF

SP_INLINE float16 distance_of(float16 u, neuron_args p)
{
    const float16 rest = u - (float16)(p.v_reset), over = u - (float16)(p.v_th);
    return select(rest, over, fabs(over) <= fabs(rest));
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
neuron_penalty__samples(SP_REF(float, g), SP_IN(sp_u, u),
#if TEMPORAL
                        SP_IO(float, carry),
#endif
                        SP_IO(float, g_x), SP_IO(float, loss), int N, int M, int C, float decay, float x_gain, float v_th,
                        float v_reset, float w_t)
{
    SP_AT(g); SP_AT_U(u); SP_AT(g_x); SP_AT(loss);
#if TEMPORAL
    SP_AT(carry);
#endif
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const float each = w_t / ((float)M * (float)C);
    const float16 slope = (float16)(each / (float)N), by_x = neuron_d_charge_d_x(p);
    const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const long size = (long)M * C, sample = (long)get_global_id(0), end = (sample + 1) * size;
    float16 total = (float16)(0.0f), part = (float16)(0.0f);
    int vectors = 0;
    for (long i = sample * size; i < end; i += 16) {
        const int lanes = (int)min(end - i, 16L);
        const float16 d = select((float16)(0.0f), distance_of(sp_load_lanes_u(u + i, lanes), p), lane < (int16)(lanes));
        const float16 g_u = slope * sign(d);
        sp_store_lanes(sp_load_lanes(g + i, lanes) + g_u * by_x, g_x + i, lanes);
#if TEMPORAL
        sp_store_lanes(sp_load_lanes(carry + i, lanes) + g_u * neuron_d_charge_d_v(p), carry + i, lanes);
#endif
        part += fabs(d);
        if (++vectors % 64 == 0) {
            total += part;
            part = (float16)(0.0f);
        }
    }
    float lanes_of[16], sum = 0.0f;
    vstore16(total + part, 0, lanes_of);
    for (int i = 0; i < 16; i++)
        sum += lanes_of[i];
    loss[sample] += each * sum;
}
