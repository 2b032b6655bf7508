//@ plugin:    gpu_gemm 1.0.0
//@ abi:       1
//@ include:   macros.clh gpu_tile.clh
//@ let:       PARTS = min(ceildiv(K, 256), GROUPS/(ceildiv(M, BM)*ceildiv(N, BN)))
//@ let:       ITEMS = (BM/TM)*(BN/TN)
//@ op:        gemm/1
//@ kernel:    gemm__tile
//@ global:    ceildiv(M, BM)*ITEMS, ceildiv(N, BN), max(1, PARTS)
//@ local:     ITEMS, 1, 1
//@ kernel:    gemm__add
//@ global:    M*N*(PARTS > 1)
//@ tune:      BM = 64 32 128
//@ tune:      BN = 64 32
//@ tune:      BK = 16 8 32
//@ tune:      TM = 8 4
//@ tune:      TN = 4 8
//@ define:    GROUPS = 256
//@ workspace: 1 + M*N*max(1, PARTS)*(PARTS > 1)
//@ when:      BM*BN <= min(wg, 256)*TM*TN && (BM + BN + 8)*BK*4 <= local_bytes && max(M, max(N, K)) < 2147483648 - 128
//@ device:    gpu
//@ score:     20
//@ about:     tiles in local memory; a long sum with few results is cut into fixed parts, added in order

/* c = op(a) op(b) [+ c]; a is [M][K], [K][M] where TA; b is [K][N], [N][K] where TB.
 *
 * A work-group makes BM x BN results, a work-item TM x TN of them in registers, BK steps of the sum at a time from
 * local memory; neighbouring items read neighbouring addresses of a and b, whichever way they lie. A product with few
 * tiles and a long sum (a linear layer over a batch) is cut into get_num_groups(2) parts of the sum, which lie in work,
 * [part][M][N], and the second pass adds them in order; else the first pass writes c. Barriers are outside of every
 * condition. CLBlast, tuned for the device, has the higher score: this is for where it is missing. */

SP_INLINE void load_a(__local float *as, __global const float *a, int m0, int k0, int end, int M, int K)
{
    for (int i = (int)get_local_id(0); i < BM * BK; i += WG) {
#if TA
        const int m = i % BM, k = i / BM;
        as[k * A_STEP + m] = m0 + m < M && k0 + k < end ? a[(ulong)(k0 + k) * M + m0 + m] : 0.0f;
#else
        const int m = i / BK, k = i % BK;
        as[k * A_STEP + m] = m0 + m < M && k0 + k < end ? a[(ulong)(m0 + m) * K + k0 + k] : 0.0f;
#endif
    }
}

SP_INLINE void load_b(__local float *bs, __global const float *b, int n0, int k0, int end, int N, int K)
{
    for (int i = (int)get_local_id(0); i < BN * BK; i += WG) {
#if TB
        const int n = i / BK, k = i % BK;
        bs[k * B_STEP + n] = n0 + n < N && k0 + k < end ? b[(ulong)(n0 + n) * K + k0 + k] : 0.0f;
#else
        const int n = i % BN, k = i / BN;
        bs[k * B_STEP + n] = n0 + n < N && k0 + k < end ? b[(ulong)(k0 + k) * N + n0 + n] : 0.0f;
#endif
    }
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
gemm__tile(SP_IN(float, a), SP_IN(float, b), SP_IO(float, c), SP_IO(float, work), const int M, const int N, const int K)
{
    __local float as[BK * A_STEP], bs[BK * B_STEP];
    SP_AT(a);
    SP_AT(b);
    SP_AT(c);
    SP_AT(work);
    const int lid = (int)get_local_id(0), row = lid / (BN / TN) * 4, col = lid % (BN / TN) * 4;
    const int m0 = (int)get_group_id(0) * BM, n0 = (int)get_group_id(1) * BN;
    const long part = (long)get_group_id(2), parts = (long)get_num_groups(2);
    const int start = (int)(part * K / parts), end = (int)((part + 1) * K / parts);
    float4 sum[TM][VECTORS];
    for (int i = 0; i < TM; i++)
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = (float4)(0.0f);

    for (int k0 = start; k0 < end; k0 += BK) {
        load_a(as, a, m0, k0, end, M, K);
        load_b(bs, b, n0, k0, end, N, K);
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply(as, bs, row, col, sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    __global float *to = parts > 1 ? work + (ulong)part * ((ulong)M * N) : c;
    for (int i = 0; i < TM; i++)
        for (int v = 0; v < VECTORS; v++) {
            const int m = m0 + row + i / 4 * 4 * (BM / TM) + i % 4, n = n0 + col + v * (BN / VECTORS);
            float four[4];
            vstore4(sum[i][v], 0, four);
            for (int j = 0; j < 4; j++)
                if (m < M && n + j < N) {
                    const ulong at = (ulong)m * N + n + j;
                    to[at] = ACC && parts == 1 ? c[at] + four[j] : four[j];
                }
        }
}

__kernel void gemm__add(SP_IN(float, work), SP_IO(float, c), const int M, const int N, const int K)
{
    SP_AT(work);
    SP_AT(c);
    const int parts = min(CEIL(K, 256), GROUPS / (CEIL(M, BM) * CEIL(N, BN)));
    const ulong i = get_global_id(0);
    float sum = ACC ? c[i] : 0.0f;
    for (int part = 0; part < parts; part++)
        sum += work[(ulong)part * ((ulong)M * N) + i];
    c[i] = sum;
}
