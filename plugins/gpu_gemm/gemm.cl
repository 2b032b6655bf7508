//@ plugin:    gpu_gemm 1.0.0
//@ abi:       1
//@ include:   macros.clh fours.clh gpu_tile.clh
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
//@ tune:      TM = 4 8
//@ tune:      AHEAD = 0 1
//@ tune:      TN = 4 8
//@ vendor:    amd TM=8 BM=128
//@ vendor:    nvidia TM=8 BK=32
//@ registers: TM*TN*(1 + AHEAD)
//@ bake:      *
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

#define A_ACROSS (!TA) /* neighbours in a are steps of the sum, else rows */
#define B_ACROSS TB    /* neighbours in b are steps of the sum, else columns */

/* Bytes from the start of a buffer. With 32 bits an address needs no arithmetic of 64 bits for each item. */
#if M * K < (1 << 30) && K * N < (1 << 30)
typedef uint offset;
#else
typedef ulong offset;
#endif

/* The least of `at` and `last`, where `at` may be larger at all. */
#define UPTO(at, last, never) ((never) ? (at) : min(at, last))

#if N % 4 == 0
#define TILE_ITEMS
#else
#define TILE_ITEMS TOGETHER(16) /* each of four neighbours has an address of its own, in registers */
#endif

/* Four of one factor, which has `rows` rows (or columns), tiles of `tile` of them: what lies outside is read from inside. */
SP_INLINE float4 fetch(__global const float *from, int k, int row, int rows, int tile, bool across)
{
    const bool exists = tile * BK / 4 % WG == 0; /* all fours of all items do */
    const bool whole_k = K % BK == 0 && exists, whole_rows = rows % tile == 0 && exists;
    const int step = across ? k : row, steps = across ? K : rows; /* along neighbours */
    const bool whole = across ? whole_k : whole_rows;
    const offset start = across ? (offset)UPTO(row, rows - 1, whole_rows) * (4 * K) : (offset)UPTO(k, K - 1, whole_k) * ((offset)rows * 4);
    float each[4];
    if (steps % 4 == 0)
        return load4(from, start + (offset)UPTO(step, steps - 4, whole) * 4);
#pragma unroll
    for (int i = 0; i < 4; i++)
        each[i] = load1(from, start + (offset)min(step + i, steps - 1) * 4);
    return (float4)(each[0], each[1], each[2], each[3]);
}

/* The item's fours of the slice at k0. Steps past the end of the sum are 0 in the left tile. */
SP_INLINE void fetch_slice(__global const float *a, __global const float *b, int k0, int m0, int n0, float4 next_a[A_FOURS],
                           float4 next_b[B_FOURS])
{
#pragma unroll
    for (int u = 0; u < A_FOURS; u++) {
        const four f = FOUR(u, BM, A_ACROSS);
        const int k = k0 + f.k, next = A_ACROSS;
        const float4 v = fetch(a, k, m0 + f.row, M, BM, A_ACROSS);
        next_a[u] = K % BK == 0 ? v : (float4)(k < K ? v.x : 0, k + next < K ? v.y : 0, k + 2 * next < K ? v.z : 0,
                                               k + 3 * next < K ? v.w : 0);
    }
#pragma unroll
    for (int u = 0; u < B_FOURS; u++) {
        const four f = FOUR(u, BN, B_ACROSS);
        next_b[u] = fetch(b, k0 + f.k, n0 + f.row, N, BN, B_ACROSS);
    }
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) TILE_ITEMS void
gemm__tile(SP_IN(float, a), SP_IN(float, b), SP_IO(float, c), SP_IO(float, work))
{
    LOCAL_TILES;
    SP_AT(a);
    SP_AT(b);
    SP_AT(c);
    SP_AT(work);
    const int m0 = (int)get_group_id(0) * BM, n0 = (int)get_group_id(1) * BN;
    const int part = (int)get_group_id(2), parts = (int)get_num_groups(2);
    const int each = CEIL(CEIL(K, BK), parts) * BK, start = part * each, end = min(K, start + each);
    float4 sum[TM][VECTORS], next_a[A_FOURS], next_b[B_FOURS];
    clear(sum);
    if (AHEAD)
        fetch_slice(a, b, start, m0, n0, next_a, next_b);
#pragma unroll 1
    for (int k0 = start; k0 < end; k0 += BK) {
        if (!AHEAD)
            fetch_slice(a, b, k0, m0, n0, next_a, next_b);
#pragma unroll
        for (int u = 0; u < A_FOURS; u++)
            put(a_tile, A_STEP, FOUR(u, BM, A_ACROSS), A_ACROSS, next_a[u]);
#pragma unroll
        for (int u = 0; u < B_FOURS; u++)
            put(b_tile, B_STEP, FOUR(u, BN, B_ACROSS), B_ACROSS, next_b[u]);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (AHEAD && k0 + BK < end)
            fetch_slice(a, b, k0 + BK, m0, n0, next_a, next_b);
        multiply(a_tile, b_tile, sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    __global float *to = parts > 1 ? work + (ulong)part * ((ulong)M * N) : c;
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int v = 0; v < VECTORS; v++) {
            const int m = m0 + SUM_ROW(i), n = n0 + SUM_COLUMN(v), left = m < M ? N - n : 0;
            store4(to, (ulong)m * N + (uint)n, sum[i][v], left, N % 4 == 0, ACC && parts == 1);
        }
}

__kernel void gemm__add(SP_IN(float, work), SP_IO(float, c))
{
    SP_AT(work);
    SP_AT(c);
    const int parts = MIN(CEIL(K, 256), GROUPS / (CEIL(M, BM) * CEIL(N, BN)));
    const ulong i = get_global_id(0);
    float sum = ACC ? c[i] : 0.0f;
#pragma unroll 8
    for (int part = 0; part < parts; part++)
        sum += work[(ulong)part * ((ulong)M * N) + i];
    c[i] = sum;
}
