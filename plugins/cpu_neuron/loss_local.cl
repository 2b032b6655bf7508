//@ plugin: cpu_neuron 1.0.0
//@ abi:    1
//@ include: lanes.clh
//@ op:     loss.local/1
//@ kernel: loss_local__samples
//@ global: N
//@ local:  1
//@ device: cpu
//@ score:  50
//@ about:  one work-item one sample, 16 neurons at a time; the loss in the same walk, at the last time step alone

/* d = count / time_step - y, y = target / norm between 0 and 1. Sums of 64 vectors are added up, so that long ones keep their
 * digits. */
#pragma OPENCL FP_CONTRACT OFF

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
loss_local__samples(SP_IN(float, count), SP_IN(float, target), SP_IN(float, norm), SP_OUT(float, g), SP_IO(float, loss), int N,
                    int M, int C, int time_step, float steps, float w_g, float w_t)
{
    SP_AT(count); SP_AT(target); SP_AT(norm); SP_AT(g); SP_AT(loss);
    const float each = 1.0f / ((float)M * (float)C);
    const float16 slope = (float16)(2.0f * w_g * each / (float)N), zero = (float16)(0.0f), one = (float16)(1.0f);
    const float16 most = (float16)(norm[0]), now = (float16)((float)time_step);
    const long size = (long)M * C, sample = (long)get_global_id(0), end = (sample + 1) * size;
    float16 total = zero, part = zero;
    int vectors = 0;
    for (long i = sample * size; i < end; i += 16) {
        const int lanes = (int)min(end - i, 16L); /* those behind the end are 0, and 0 is what they are to be */
        const float16 a = sp_load_lanes(target + i, lanes);
        const float16 y = select(zero, select(a / most, one, a >= most), a > zero);
        const float16 d = sp_load_lanes(count + i, lanes) / now - y;
        sp_store_lanes(slope * d, g + i, lanes);
        part += d * d;
        if (++vectors % 64 == 0) {
            total += part;
            part = zero;
        }
    }
    if ((float)time_step >= steps)
        loss[sample] += w_t * each * sp_sum_lanes(total + part);
}
