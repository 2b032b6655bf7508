//@ plugin:    cpu_amx 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh weave.clh amx.clh
//@ all:       needs: amx_bf16
//@ all:       device: cpu
//@ op:        gemm/1
//@ kernel:    gemm__amx_left
//@ global:    ceildiv(M, 32), ceildiv(K, 32)
//@ local:     1, 1
//@ kernel:    gemm__amx_right
//@ global:    ceildiv(N, 32), ceildiv(K, 32)
//@ local:     1, 1
//@ kernel:    gemm__amx
//@ global:    ceildiv(M, 32)*ceildiv(N, 32)
//@ local:     1
//@ when:      M >= 16 && N >= 96 && K >= 32
//@ workspace: roundup(K, 32)*(roundup(M, 32) + roundup(N, 32))
//@ score:     120
//@ about:     both factors in two parts of bf16: three products of AMX tiles within float32's tolerance
//@ op:        gemm/1
//@ kernel:    gemm__amx_bf16_left
//@ global:    ceildiv(M, 32), ceildiv(K, 32)
//@ local:     1, 1
//@ kernel:    gemm__amx_bf16_right
//@ global:    ceildiv(N, 32), ceildiv(K, 32)
//@ local:     1, 1
//@ kernel:    gemm__amx_bf16
//@ global:    ceildiv(M, 32)*ceildiv(N, 32)
//@ local:     1
//@ compute:   bf16
//@ when:      M >= 16 && N >= 96 && K >= 32
//@ workspace: roundup(K, 32)*(roundup(M, 32) + roundup(N, 32))
//@ score:     125
//@ about:     both factors rounded to bf16: one product of AMX tiles

/* c = op(a) op(b) [+ c]. Both factors are split and laid out as tiles in `work` first:
 *   a as [32 rows][32 of K][part][2][16 rows][32], b as [32 columns][32 of K][part][2][16 pairs of K][16 columns][2].
 * Then a work-item makes 32 x 32 of c, in four tiles. */

#if BF16 /* first parts alone, where they lie with both */
#define NAME(how) gemm__amx_bf16##how
#else
#define NAME(how) gemm__amx##how
#endif
#define STEPS CEIL(K, 32)
#define BLOCK (4 * AMX_TILE)

/* Rows of a tile of the left factor from 32 rows of K that hold its rows as columns. */
SP_INLINE void put_rows_of_transposed(__global ushort *to, __global const float *from, int M, int rows, int lanes)
{
    float16 first[16], second[16];
    for (int i = 0; i < 16; i++) {
        const float16 u = sp_load_lanes(from + (ulong)(2 * i) * M, 2 * i < rows ? lanes : 0);
        const float16 v = sp_load_lanes(from + (ulong)(2 * i + 1) * M, 2 * i + 1 < rows ? lanes : 0);
        const uint16 u1 = amx_round(u), v1 = amx_round(v);
        first[i] = as_float16(u1 >> 16 | v1);
        second[i] = as_float16(amx_round(u - as_float16(u1)) >> 16 | amx_round(v - as_float16(v1)));
    }
    amx_transpose(first);
    for (int i = 0; i < 16; i++)
        vstore16(first[i], i, (__global float *)to);
#if !BF16
    amx_transpose(second);
    for (int i = 0; i < 16; i++)
        vstore16(second[i], i, (__global float *)(to + 2 * AMX_TILE));
#endif
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(_left)(SP_IN(float, a), SP_OUT(float, work), int M, int K)
{
    SP_AT(a); SP_AT(work);
    const int k = (int)get_global_id(1) * 32;
    __global ushort *to = (__global ushort *)work + (get_global_id(0) * STEPS + get_global_id(1)) * BLOCK;
    for (int m = (int)get_global_id(0) * 32, end = m + 32; m < end; m += 16, to += AMX_TILE) {
#if TA
        put_rows_of_transposed(to, a + (ulong)k * M + m, M, K - k, M - m);
#else
        for (int i = 0; i < 16; i++) {
            float16 first, second;
            amx_split((ushort *)&first, (ushort *)&second, a + (ulong)MIN(m + i, M - 1) * K + k, m + i < M ? K - k : 0);
            vstore16(first, i, (__global float *)to);
            if (!BF16)
                vstore16(second, i, (__global float *)(to + 2 * AMX_TILE));
        }
#endif
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(_right)(SP_IN(float, b), SP_OUT(float, work), int M, int N, int K)
{
    SP_AT(b); SP_AT(work);
    const int k = (int)get_global_id(1) * 32;
    __global ushort *to = (__global ushort *)work +
                          ((CEIL(M, 32) + get_global_id(0)) * STEPS + get_global_id(1)) * BLOCK;
    for (int n = (int)get_global_id(0) * 32, end = n + 32; n < end; n += 16, to += AMX_TILE) {
#if TB
        amx_put_columns(to, b + (ulong)MIN(n, N - 1) * K + k, (ulong)K, N - n, K - k);
#else
        __global const float *from = b + (ulong)k * N + n;
        for (int i = 0; i < 16; i++)
            AMX_PUT_PAIR(__global uint *, to, i, sp_load_lanes(from + (ulong)(2 * i) * N, k + 2 * i < K ? N - n : 0),
                         sp_load_lanes(from + (ulong)(2 * i + 1) * N, k + 2 * i + 1 < K ? N - n : 0));
#endif
    }
}

/* 16 x 16 of c through `part`, where it is not whole. */
SP_INLINE void exchange(float *part, __global float *c, int M, int N, int m, int n, int store)
{
    for (int i = 0; i < 16 && m + i < M; i++, c += N)
        if (store)
            sp_store_lanes(vload16(i, part), c, N - n);
        else
            vstore16(sp_load_lanes(c, N - n), i, part);
}

#define START(tile, m, n)                                                                                    \
    if (!ACC || (m) >= M || (n) >= N)                                                                        \
        AMX_ZERO(tile);                                                                                      \
    else {                                                                                                   \
        exchange(part, c + (ulong)(m) * N + (n), M, N, m, n, 0);                                             \
        AMX_LOAD(tile, part, 64);                                                                            \
    }
#define FINISH(tile, m, n)                                                                                   \
    if ((m) < M && (n) < N) {                                                                                \
        AMX_STORE(tile, part, 64);                                                                           \
        exchange(part, c + (ulong)(m) * N + (n), M, N, m, n, 1);                                             \
    }

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME()(SP_IN(float, work), SP_IO(float, c), int M, int N, int K)
{
    SP_AT(work); SP_AT(c);
    float part[256] __attribute__((aligned(64)));
    const int row = (int)get_global_id(0) % CEIL(M, 32), column = (int)get_global_id(0) / CEIL(M, 32);
    const int m = row * 32, n = column * 32;
    __global const ushort *p = (__global const ushort *)work + (ulong)row * STEPS * BLOCK;
    __global const ushort *q = (__global const ushort *)work + (ulong)(CEIL(M, 32) + column) * STEPS * BLOCK;
    amx_begin();
    START(0, m, n) START(1, m, n + 16) START(2, m + 16, n) START(3, m + 16, n + 16)
    for (int step = 0; step < STEPS; step++, p += BLOCK, q += BLOCK) {
        AMX_LOAD(6, q, 64);
        AMX_LOAD(7, q + AMX_TILE, 64);
        if (!BF16) {
            AMX_LOAD(4, p + 2 * AMX_TILE, 64);
            AMX_LOAD(5, p + 3 * AMX_TILE, 64);
            AMX_MULTIPLY_4;
        }
        AMX_LOAD(4, p, 64);
        AMX_LOAD(5, p + AMX_TILE, 64);
        AMX_MULTIPLY_4;
        if (!BF16) {
            AMX_LOAD(6, q + 2 * AMX_TILE, 64);
            AMX_LOAD(7, q + 3 * AMX_TILE, 64);
            AMX_MULTIPLY_4;
        }
    }
    FINISH(0, m, n) FINISH(1, m, n + 16) FINISH(2, m + 16, n) FINISH(3, m + 16, n + 16)
    amx_end();
}
