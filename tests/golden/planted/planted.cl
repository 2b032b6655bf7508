//@ plugin: planted 1.0.0
//@ abi:    1
//@ op:     gemm/1
//@ kernel: gemm__planted
//@ global: N, M
//@ score:  1
//@ about:  reads c where it was never written
__kernel void gemm__planted(SP_IN(float, a), SP_IN(float, b), SP_OUT(float, c), const int M, const int N, const int K)
{
    SP_AT(a);
    SP_AT(b);
    SP_AT(c);
    const int n = (int)get_global_id(0), m = (int)get_global_id(1);
    const ulong a_m = TA ? 1 : K, a_k = TA ? M : 1, b_k = TB ? 1 : N, b_n = TB ? K : 1;
    float sum = as_float(as_uint(c[(ulong)m * N + n]) & 0u);
    for (int k = 0; k < K; k++)
        sum += a[m * a_m + k * a_k] * b[k * b_k + n * b_n];
#if ACC
    sum += c[(ulong)m * N + n];
#endif
    c[(ulong)m * N + n] = sum;
}
