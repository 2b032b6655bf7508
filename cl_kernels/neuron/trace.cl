//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     trace.update/1
//@ kernel: trace_update__naive
//@ global: C, M
//@ score:  0
//@ about:  OTTT's presynaptic trace, one work-item one element
#pragma OPENCL FP_CONTRACT OFF

__kernel void trace_update__naive(SP_IN(sp_x, x), SP_IO(float, trace), int C, int first, float decay)
{
    SP_AT(x);
    SP_AT(trace);
    const ulong m = get_global_id(1);
    const int c = (int)get_global_id(0);
    const ulong i = m * (ulong)C + (ulong)c;
    const float in = SP_X(x, m, c, C);
    trace[i] = first ? in : fma(decay, trace[i], in);
}
