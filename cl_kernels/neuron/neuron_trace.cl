//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     neuron.trace/1
//@ kernel: neuron_trace__naive
//@ global: C, M
//@ score:  0
//@ about:  NDOT's trace, one work-item one neuron
//
// v = reset(u), measured from the rest; e = v / v before, between -du/dv and du/dv, and the sign of v where v before is 0;
// trace = e trace + s, and s at first. u, u_prev are half with U_HALF.
#pragma OPENCL FP_CONTRACT OFF

inline float after_reset(float u, neuron_args p)
{
    return neuron_reset(u, u >= p.v_th ? 1.0f : 0.0f, p) - p.v_reset;
}

__kernel void neuron_trace__naive(SP_IN(sp_u, u), SP_IN(sp_u, u_prev), SP_IO(float, trace), int C, int first,
                                  float decay, float x_gain, float v_th, float v_reset)
{
    SP_AT_U(u);
    SP_AT_U(u_prev);
    SP_AT(trace);
    const neuron_args p = {decay, x_gain, v_th, v_reset};
    const ulong i = get_global_id(1) * (ulong)C + get_global_id(0);
    const float now = SP_U(u, i), s = now >= v_th ? 1.0f : 0.0f;
    if (first) {
        trace[i] = s;
        return;
    }
    const float most = neuron_d_charge_d_v(p), v = after_reset(now, p), before = after_reset(SP_U(u_prev, i), p);
    const float e = before != 0.0f ? v / before : sign(v);
    trace[i] = fma(fmin(fmax(e, -most), most), trace[i], s);
}
