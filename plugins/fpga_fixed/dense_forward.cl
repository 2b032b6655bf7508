//@ plugin: fpga_fixed 1.0.0
//@ abi:    1
//@ include: fixed.clh
//@ op:     gemm/1
//@ kernel: gemm__fixed
//@ global: 1
//@ local:  1
//@ bake:   *
//@ define: LANES = 16
//@ tune:   FRAC = 10 8
//@ when:   !TA && !TB
//@ device: accelerator
//@ score:  1
//@ approximate: 0.05
//@ about:  dense forward in fixed point, single work-item: factors int16 with FRAC fraction bits, int32 sums

/* c = a b [+ c] for a dense layer: a activations [M][K], b weights [K][N]. Factors out of range saturate. */
__kernel SP_TASK void gemm__fixed(SP_IN(float, a), SP_IN(float, b), SP_OUT(float, c))
{
    SP_AT(a); SP_AT(b); SP_AT(c);
    for (int m = 0; m < M; m++) {
        for (int n0 = 0; n0 < N; n0 += LANES) {
            const int lanes = min(LANES, N - n0);
            int sum[LANES];
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                sum[j] = 0;
            SP_PIPELINE
            for (int k = 0; k < K; k++) {
                const int left = to_fixed(a[(ulong)m * K + k]);
                SP_UNROLL
                for (int j = 0; j < LANES; j++) {
                    const int right = j < lanes ? to_fixed(b[(ulong)k * N + n0 + j]) : 0;
                    sum[j] += fixed_product(left, right);
                }
            }
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                if (j < lanes) {
                    const ulong at = (ulong)m * N + n0 + j;
                    const float result = from_fixed_sum(sum[j]);
#if ACC
                    c[at] += result;
#else
                    c[at] = result;
#endif
                }
        }
    }
}
