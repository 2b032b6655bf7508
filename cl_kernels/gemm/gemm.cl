//@ plugin: reference 1.0.0
//@ abi:    1
//@ op:     gemm/1
//@ kernel: gemm__naive
//@ global: N, M
//@ score:  0
//@ about:  one work-item per element of c
// c = op(a) op(b) [+ c]. a is [M][K], [K][M] where TA; b is [K][N], [N][K] where TB. The sum over K is cut
// into blocks: K is the batch times the pixels in a weight gradient, where one long float sum would lose
// digits.
#define BLOCK 256

__kernel void gemm__naive(SP_IN(float, a), SP_IN(float, b), SP_OUT(float, c), const int M, const int N,
                          const int K)
{
    SP_AT(a);
    SP_AT(b);
    SP_AT(c);
    const int n = (int)get_global_id(0);
    const int m = (int)get_global_id(1);
    const ulong a_m = TA ? 1 : K, a_k = TA ? M : 1; // steps from one row, one column of op(a) to the next
    const ulong b_k = TB ? 1 : N, b_n = TB ? K : 1;

    float sum = 0.0f;
    for (int k0 = 0; k0 < K; k0 += BLOCK) {
        const int k1 = min(k0 + BLOCK, K);
        float part = 0.0f;
        for (int k = k0; k < k1; k++)
            part += a[m * a_m + k * a_k] * b[k * b_k + n * b_n];
        sum += part;
    }
    const ulong at = (ulong)m * N + n;
#if ACC
    sum += c[at];
#endif
    c[at] = sum;
}
