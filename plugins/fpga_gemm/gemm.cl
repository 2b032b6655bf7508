//@ plugin: fpga_gemm 1.0.0
//@ abi:    1
//@ op:     gemm/1
//@ kernel: gemm__task
//@ global: 1
//@ local:  1
//@ bake:   *
//@ define: LANES = 16
//@ device: accelerator
//@ score:  40
//@ about:  single work-item: 16 columns of c side by side, the sum over K in blocks

/* c = op(a) op(b) [+ c]. a is [M][K], [K][M] where TA; b is [K][N], [N][K] where TB. Without TB a row of b is read in
 * bursts of LANES; with TB the lanes lie K apart. */
#define BLOCK 256
#define A(m, k) a[TA ? (ulong)(k) * M + (m) : (ulong)(m) * K + (k)]
#define B(k, n) b[TB ? (ulong)(n) * K + (k) : (ulong)(k) * N + (n)]

__kernel SP_TASK void gemm__task(SP_IN(float, a), SP_IN(float, b), SP_OUT(float, c))
{
    SP_AT(a); SP_AT(b); SP_AT(c);
    for (int m = 0; m < M; m++) {
        for (int n0 = 0; n0 < N; n0 += LANES) {
            const int lanes = min(LANES, N - n0);
            float sum[LANES];
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                sum[j] = 0.0f;
            for (int k0 = 0; k0 < K; k0 += BLOCK) {
                float part[LANES];
                SP_UNROLL
                for (int j = 0; j < LANES; j++)
                    part[j] = 0.0f;
                SP_PIPELINE
                for (int k = k0; k < min(k0 + BLOCK, K); k++) {
                    const float left = A(m, k);
                    SP_UNROLL
                    for (int j = 0; j < LANES; j++)
                        part[j] += j < lanes ? left * B(k, n0 + j) : 0.0f;
                }
                SP_UNROLL
                for (int j = 0; j < LANES; j++)
                    sum[j] += part[j];
            }
            SP_UNROLL
            for (int j = 0; j < LANES; j++)
                if (j < lanes) {
                    const ulong at = (ulong)m * N + n0 + j;
#if ACC
                    c[at] += sum[j];
#else
                    c[at] = sum[j];
#endif
                }
        }
    }
}
