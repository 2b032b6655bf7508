//@ plugin:  reference 1.0.0
//@ abi:     1
//@ include: compensated.clh
//@ op:      loss.local/1
//@ kernel:  loss_local__naive
//@ global:  C, N*M
//@ kernel:  loss_local__naive_loss
//@ global:  N
//@ score:   0
//@ about:   one work-item one neuron; then, at the last time step, one work-item the sum of a sample
//
// d = count / time_step - y, y = target / norm between 0 and 1. g = 2 w_g d / (N M C), loss[n] += w_t mean d^2.
#pragma OPENCL FP_CONTRACT OFF

inline float distance_of(float count, float target, float norm, int time_step)
{
    const float y = !(target > 0.0f) ? 0.0f : target >= norm ? 1.0f : target / norm;
    return count / (float)time_step - y;
}

__kernel void loss_local__naive(SP_IN(float, count), SP_IN(float, target), SP_IN(float, norm), SP_OUT(float, g), int N,
                                int M, int C, int time_step, float w_g)
{
    SP_AT(count);
    SP_AT(target);
    SP_AT(norm);
    SP_AT(g);
    const ulong i = get_global_id(1) * (ulong)C + get_global_id(0);
    const float slope = 2.0f * w_g / ((float)M * (float)C) / (float)N;
    g[i] = slope * distance_of(count[i], target[i], norm[0], time_step);
}

__kernel void loss_local__naive_loss(SP_IN(float, count), SP_IN(float, target), SP_IN(float, norm), SP_IO(float, loss),
                                     int M, int C, int time_step, float steps, float w_t)
{
    SP_AT(count);
    SP_AT(target);
    SP_AT(norm);
    SP_AT(loss);
    const ulong n = get_global_id(0), size = (ulong)M * (ulong)C;
    float sum = 0.0f, lost = 0.0f;
    if ((float)time_step < steps)
        return;
    for (ulong i = n * size; i < (n + 1) * size; i++) {
        const float d = distance_of(count[i], target[i], norm[0], time_step);
        add_to(&sum, &lost, d * d);
    }
    loss[n] += w_t / ((float)M * (float)C) * sum;
}
