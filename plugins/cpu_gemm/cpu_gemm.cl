//@ plugin:    cpu_gemm 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh weave.clh bf16.clh
//@ all:       device: cpu
//@ all:       define: TILES = 4
//@ all:       tune: BLOCK = 8 4
//@ all:       vendor: narrow BLOCK=4
//@ op:        gemm/1
//@ kernel:    gemm__direct
//@ global:    ceildiv(M, 8*TILES), ceildiv(N, 32)
//@ local:     1, 1
//@ define:    PACKED = 0
//@ when:      !TB && N % 32 == 0 && (N <= 128 || M <= 32)
//@ score:     60
//@ about:     register tiles of 8 x 32 or 4 x 16, b read where it lies
//@ op:        gemm/1
//@ kernel:    gemm__pack_b
//@ global:    ceildiv(K, 64), ceildiv(N, 32)
//@ local:     1, 1
//@ kernel:    gemm__packed
//@ global:    ceildiv(M, 8*TILES), ceildiv(N, 32)
//@ local:     1, 1
//@ define:    PACKED = 1
//@ workspace: roundup(N, 32)*K + 16
//@ score:     50
//@ about:     the same with b packed (and transposed) into panels of 32 columns first
//@ op:        gemm/1
//@ kernel:    gemm__pack_b_bf16
//@ global:    ceildiv(K, 64), ceildiv(N, 32)
//@ local:     1, 1
//@ kernel:    gemm__pack_a_bf16
//@ global:    ceildiv((1 - TA)*M + TA*K, 32)
//@ local:     1
//@ kernel:    gemm__packed_bf16
//@ global:    ceildiv(M, 8*TILES), ceildiv(N, 32)
//@ local:     1, 1
//@ define:    PACKED = 1
//@ needs:     avx512_bf16
//@ compute:   bf16
//@ when:      M >= 8 && N >= 16 && K >= 32
//@ workspace: (roundup(N, 32) + M)*ceildiv(K, 2) + 16
//@ score:     65
//@ about:     both factors packed in bf16: two multiplications in the time of one

/* c = op(a) op(b) [+ c] for one work-item per group, which is what PoCL turns into register code. A
 * work-item owns 8 * TILES rows and 32 columns; the sums of BLOCK rows and 4 * BLOCK columns, a tile, stay in 16 registers of
 * 16 floats, or 8 of 8, over KC steps of the inner dimension, so that a panel of b (KC x 32 floats) stays in the second level
 * cache. With BLOCK = 8, two vectors of b and eight broadcast elements of a feed 16 multiply-adds. Rows past M repeat the last row
 * and are not stored; columns past N are zeros in the packed panel. The packed copy is [N/32][K][32]; a
 * large N as row length would map a panel to few cache sets.
 *
 * With BF16 an element of a and b is a word of two neighbouring steps, and K their number: a is packed too, as [M][K], where TA is set
 * as [K][M]. */

#if BF16
#define NAME(how) gemm__##how##_bf16
#define PAIRS(K) (((K) + 1) / 2)
typedef uint number;
typedef uint16 vec;
#define MULTIPLY(sum, x, b) SP_BF16_STEP(sum, b, x)
#else
#define NAME(how) gemm__##how
typedef float number;
typedef float16 vec;
#define MULTIPLY(sum, x, b) sum = fma(x, b, sum)
#endif

#define KC 2048

#if TA
#define A_STEP M
#define A_ROW(m) ((ulong)(m))
#else
#define A_STEP 1
#define A_ROW(m) ((ulong)(m) * (ulong)K)
#endif

#if BLOCK == 8
#define EACH_ROW EACH8
#define RIGHT(x) x
#else
#define EACH_ROW EACH4
#define RIGHT(x)
#endif
#define COLUMNS (4 * BLOCK)

/* One tile: rows m.. (at most BLOCK, `rows` of them stored), columns of the panel b (row length ldb), `cols`
 * stored. */
inline void tile(__global const number *a, __global const number *b, __global float *c, int M, int N, int K,
                 int m, int steps, int ldb, int cols, int add)
{
    const int rows = min(BLOCK, M - m);
    const ulong step = A_STEP;
#define POINT(i)                                                                                             \
    __global const number *p##i = a + A_ROW(m + min(i, rows - 1));                                            \
    float16 u##i = 0.0f; RIGHT(float16 v##i = 0.0f;)
    EACH_ROW(POINT)
    ulong at = 0;
    for (int k = 0; k < steps; k++) {
        const vec b0 = vload16(0, b); RIGHT(const vec b1 = vload16(1, b);)
#define STEP(i) { const vec x = (vec)(p##i[at]); MULTIPLY(u##i, x, b0); RIGHT(MULTIPLY(v##i, x, b1);) }
        EACH_ROW(STEP)
        b += ldb;
        at += step;
    }
    if (cols == COLUMNS) {
#define PUT(i) if (i < rows) {                                                                               \
        __global float *r = c + (ulong)(i) * (ulong)N;                                                       \
        vstore16(add ? u##i + vload16(0, r) : u##i, 0, r);                                                   \
        RIGHT(vstore16(add ? v##i + vload16(1, r) : v##i, 1, r);) }
        EACH_ROW(PUT)
    } else {
        float part[BLOCK * COLUMNS];
#define KEEP(i) vstore16(u##i, 0, part + i * COLUMNS); RIGHT(vstore16(v##i, 1, part + i * COLUMNS);)
        EACH_ROW(KEEP)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < cols; j++)
                c[(ulong)i * (ulong)N + j] = part[i * COLUMNS + j] + (add ? c[(ulong)i * (ulong)N + j] : 0.0f);
    }
#undef POINT
#undef STEP
#undef PUT
#undef KEEP
}

/* The work-item's tiles: b_panel is its 32 columns of b. */
inline void tiles(__global const number *a, __global const number *b_panel, __global float *c, int M, int N,
                  int K, int ldb)
{
    const int m0 = (int)get_global_id(0) * 8 * TILES, n0 = (int)get_global_id(1) * 32;
    const int m1 = min(M, m0 + 8 * TILES), cols = min(32, N - n0);
    for (int k = 0; k < K; k += KC) {
        const int steps = min(KC, K - k), add = ACC || k > 0;
        __global const number *ak = a + (ulong)k * (ulong)A_STEP, *bk = b_panel + (ulong)k * (ulong)ldb;
        for (int m = m0; m < m1; m += BLOCK)
            for (int n = 0; n < cols; n += COLUMNS)
                tile(ak, bk + n, c + (ulong)m * (ulong)N + n0 + n, M, N, K, m, steps, ldb, min(COLUMNS, cols - n), add);
    }
}

#if !PACKED && !BF16
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gemm__direct(SP_IN(float, a), SP_IN(float, b), SP_IO(float, c), int M, int N, int K)
{
    SP_AT(a); SP_AT(b); SP_AT(c);
    tiles(a, b + (int)get_global_id(1) * 32, c, M, N, K, N);
}
#else

/* 64 rows of one panel. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(pack_b)(SP_IN(float, b), SP_OUT(float, work), int N, int K)
{
    SP_AT(b); SP_AT(work);
    const int k0 = (int)get_global_id(0) * 64, n0 = (int)get_global_id(1) * 32;
    const int k1 = min(K, k0 + 64);
#if BF16
    __global uint *to = (__global uint *)work + (ulong)n0 * (ulong)PAIRS(K);
#else
    __global float *to = work + (ulong)n0 * (ulong)K;
#endif
#if TB
    for (int side = 0; side < 2; side++) {
        const int n = n0 + side * 16, have = min(16, N - n);
        for (int k = k0; k < k1; k += 16) {
            float16 s[16], d[16];
            for (int i = 0; i < 16; i++)
                s[i] = i < have ? sp_load_lanes(b + (ulong)(n + i) * (ulong)K + k, k1 - k) : (float16)(0.0f);
            weave(d, s); weave(s, d); weave(d, s); weave(s, d);
#if BF16
            for (int i = 0; i < min(16, k1 - k); i += 2)
                SP_STORE_WORDS(__global, sp_bf16_pair(s[i], s[i + 1]), to + (ulong)(k + i) * 16 + side * 16);
#else
            for (int i = 0; i < min(16, k1 - k); i++)
                vstore16(s[i], 0, to + (ulong)(k + i) * 32 + side * 16);
#endif
        }
    }
#else
    const int cols = min(32, N - n0);
#if BF16
    for (int k = k0; k < k1; k += 2)
        for (int h = 0; h < 2; h++) {
            __global const float *from = b + (ulong)k * (ulong)N + n0 + 16 * h;
            SP_STORE_WORDS(__global, sp_bf16_pair(sp_load_lanes(from, cols - 16 * h),
                                                  sp_load_lanes(from + N, k + 1 < K ? cols - 16 * h : 0)),
                           to + (ulong)k * 16 + 16 * h);
        }
#else
    for (int k = k0; k < k1; k++) {
        __global const float *from = b + (ulong)k * (ulong)N + n0;
        vstore16(sp_load_lanes(from, cols), 0, to + (ulong)k * 32);
        vstore16(cols > 16 ? sp_load_lanes(from + 16, cols - 16) : (float16)(0.0f), 0, to + (ulong)k * 32 + 16);
    }
#endif
#endif
}

#if BF16
#define WORDS_OF_A(work) ((__global uint *)(work) + (ulong)CEIL(N, 32) * 32 * (ulong)PAIRS(K))

/* 32 rows of a as it is stored. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gemm__pack_a_bf16(SP_IN(float, a), SP_OUT(float, work), int M, int N, int K)
{
    SP_AT(a); SP_AT(work);
    const int first = (int)get_global_id(0) * 32;
    __global uint *to = WORDS_OF_A(work);
#if TA
    for (int k = first; k < min(K, first + 32); k += 2)
        for (int m = 0; m < M; m += 16) {
            __global const float *from = a + (ulong)k * (ulong)M + m;
            sp_store_lanes(as_float16(sp_bf16_pair(sp_load_lanes(from, M - m), sp_load_lanes(from + M, k + 1 < K ? M - m : 0))),
                           (__global float *)to + (ulong)(k / 2) * (ulong)M + m, M - m);
        }
#else
    for (int m = first; m < min(M, first + 32); m++)
        for (int k = 0; k < K; k += 16) {
            const float16 v = sp_load_lanes(a + (ulong)m * (ulong)K + k, K - k);
            __global uint *at = to + (ulong)m * (ulong)PAIRS(K) + k / 2;
            uint part[8];
            SP_STORE_BF16(__private, v, (ushort *)part);
            for (int i = 0; i < min(8, PAIRS(K - k)); i++)
                at[i] = part[i];
        }
#endif
}
#endif

#if BF16
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gemm__packed_bf16(SP_IN(float, work), SP_IO(float, c), int M, int N, int K)
{
    SP_AT(work); SP_AT(c);
    const int pairs = PAIRS(K);
    tiles(WORDS_OF_A(work), (__global const uint *)work + (ulong)get_global_id(1) * 32 * (ulong)pairs, c, M, N, pairs, 32);
}
#else
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gemm__packed(SP_IN(float, a), SP_IN(float, work), SP_IO(float, c), int M, int N, int K)
{
    SP_AT(a); SP_AT(work); SP_AT(c);
    tiles(a, work + (ulong)get_global_id(1) * 32 * (ulong)K, c, M, N, K, 32);
}
#endif
#endif
