//@ plugin: gpu_conv 1.0.0
//@ abi:    1
//@ include: macros.clh gpu_tile.clh
//@ let:    GROUP_FITS = BM*BN <= min(wg, 256)*TM*TN && (BM + BN + 8)*BK*4 + BM*20 + 8 <= local_bytes
//@ let:    ITEMS = (BM/TM)*(BN/TN)
//@ all:    device: gpu
//@ all:    bake: *
//@ op:     conv.forward/1
//@ kernel: conv_forward__tile
//@ global: ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:  ITEMS, 1
//@ tune:   BM = 64 32 128
//@ tune:   BN = 64 32
//@ tune:   BK = 16 32
//@ tune:   TM = 8 4
//@ tune:   TN = 4 8
//@ define: PASS = 1
//@ when:   GROUP_FITS && N*HO*WO < 2147483648 - 128
//@ score:  40
//@ about:  implicit GEMM in local memory: no patches in memory; slices of the sum without a spike are skipped
//@ op:     conv.forward/1
//@ kernel: conv_forward__narrow
//@ global: ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:  ITEMS, 1
//@ tune:   BM = 128 64
//@ tune:   BK = 16 32
//@ tune:   TM = 8 4
//@ define: BN = 32
//@ define: TN = 4
//@ define: PASS = 1
//@ define: NARROW = 1
//@ when:   O <= 32 && GROUP_FITS && N*HO*WO < 2147483648 - 128
//@ score:  45
//@ about:  the same with tiles for few output channels
//@ op:     conv.backward_input/1
//@ kernel: conv_backward_input__tile
//@ global: ceildiv(N*ceildiv(H, SH)*ceildiv(W, SW), BM)*ITEMS, ceildiv(C, BN), SH*SW
//@ local:  ITEMS, 1, 1
//@ tune:   BM = 64 32 128
//@ tune:   BN = 64 32
//@ tune:   BK = 16 32
//@ tune:   TM = 8 4
//@ tune:   TN = 4 8
//@ define: PASS = 2
//@ when:   GROUP_FITS && N*H*W < 2147483648 - 128
//@ score:  40
//@ about:  implicit GEMM; with a stride each group has pixels of one remainder, so that no product with nothing is made

/* Both are a matrix product whose left factor is gathered from the picture while it is copied to local memory:
 *
 *   forward         y[m][o]   = sum over k = (kh, kw, c) of x[pixel m moved by (kh, kw)][c] w[k][o]
 *   backward_input  g_x[m][c] = sum over k = (kh, kw, o) of e[output that reads pixel m by (kh, kw)][o] w[kh][kw][c][o]
 *
 * A work-group makes BM x BN results, a work-item TM x TN of them in registers, BK steps of the sum at a time.
 * Neighbouring items read neighbouring addresses. Barriers are outside of every condition. Spikes: one word a row is
 * read and unpacked into the tile; where no row of the tile has a spike in the slice, weights are not read and nothing is
 * multiplied, and of a slice only those rows of the weights are read that a spike asks for. */

#define OUTSIDE (-(1 << 29)) /* a coordinate that no tap brings into the picture */

#if PASS == 1
#define COLS O
#define FROM_H H
#define FROM_W W
#define FROM_C C
#else
#define COLS C
#define FROM_H HO
#define FROM_W WO
#define FROM_C O
#endif
#if !defined(X_BITS) || !X_BITS
#define BITS 0
#else
#define BITS 1
#endif

/* The taps that reach the rows of a group: of KH (or KW) those at first, first + step, ... ; the coordinate in the
 * source moves by `move` from one to the next. */
typedef struct {
    int n, first, step, move;
} taps;

/* Local memory of a group. */
typedef struct {
    __local float *a, *b;          /* [BK][A_STEP], [BK][B_STEP] */
    __local int *h, *w, *at, *out; /* of each row: source coordinates at the first tap, first pixel, result row or -1 */
    __local uint *words, *live;    /* spikes of each row; which steps of the slice have any, for this slice and the next */
} tile;

/* Pixel of the source that row r sees through tap (i, j), -1 outside. */
SP_INLINE int source(tile t, int r, int i, int j, taps kh, taps kw)
{
    const int h = t.h[r] + i * kh.move, w = t.w[r] + j * kw.move;
    return h >= 0 && h < FROM_H && w >= 0 && w < FROM_W ? t.at[r] + h * FROM_W + w : -1;
}

#if BITS
#define SLICES CEIL(C, BK) /* of a tap; a slice lies in one word */
SP_INLINE void load_words(tile t, __global const uint *x, int slice, taps kh, taps kw)
{
    const int tap = slice / SLICES, c = slice % SLICES * BK;
    for (int r = (int)get_local_id(0); r < BM; r += WG) {
        const int pixel = source(t, r, tap / KW, tap % KW, kh, kw);
        uint word = pixel < 0 ? 0u : x[(ulong)pixel * SP_WORDS(C) + (c >> 5)] >> (c & 31);
        word &= 0xffffffffu >> (32 - BK);
        t.words[r] = word;
        if (word)
            atomic_or(&t.live[slice & 1], word);
    }
}

SP_INLINE void load_slice(tile t, __global const float *w, int slice, int col0, uint live)
{
    const int k0 = slice / SLICES * C + slice % SLICES * BK;
    for (int i = (int)get_local_id(0); i < BM * BK; i += WG)
        t.a[i / BM * A_STEP + i % BM] = (float)(t.words[i % BM] >> (i / BM) & 1u);
    for (int i = (int)get_local_id(0); i < BN * BK; i += WG) {
        const int k = i / BN, col = col0 + i % BN; /* bits past C are zero: k0 + k is a weight where one is set */
        t.b[k * B_STEP + i % BN] = col < COLS && live >> k & 1u ? w[(ulong)(k0 + k) * COLS + col] : 0.0f;
    }
}

SP_INLINE void product(tile t, __global const uint *x, __global const float *w, int col0, taps kh, taps kw, int row,
                       int col, float4 sum[TM][VECTORS])
{
    for (int slice = 0; slice < KH * KW * SLICES; slice++) {
        load_words(t, x, slice, kh, kw);
        barrier(CLK_LOCAL_MEM_FENCE);
        const uint live = t.live[slice & 1];
        if (get_local_id(0) == 0)
            t.live[~slice & 1] = 0; /* last read before the barrier that ended the slice before */
        if (live)
            load_slice(t, w, slice, col0, live);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (live)
            multiply(t.a, t.b, row, col, sum);
    }
}
#else
SP_INLINE float weight(__global const float *w, int k, int col, taps kh, taps kw)
{
#if PASS == 1
    return w[(ulong)k * COLS + col];
#else
    const int i = k / FROM_C / kw.n, j = k / FROM_C % kw.n;
    const int tap = (kh.first + i * kh.step) * KW + kw.first + j * kw.step;
    return w[((ulong)tap * C + col) * O + k % O];
#endif
}

SP_INLINE void load_slice(tile t, __global const float *from, __global const float *w, int k0, int K, int col0, taps kh,
                          taps kw)
{
    for (int i = (int)get_local_id(0); i < BM * BK; i += WG) {
        const int k = k0 + i % BK, tap = k / FROM_C;
        const int pixel = k < K ? source(t, i / BK, tap / kw.n, tap % kw.n, kh, kw) : -1;
        t.a[i % BK * A_STEP + i / BK] = pixel < 0 ? 0.0f : from[(ulong)pixel * FROM_C + k % FROM_C];
    }
    for (int i = (int)get_local_id(0); i < BN * BK; i += WG) {
#if PASS == 1
        const int k = i / BN, n = i % BN; /* neighbours in w are columns */
#else
        const int k = i % BK, n = i / BK; /* neighbours in w are steps of the sum */
#endif
        t.b[k * B_STEP + n] = k0 + k < K && col0 + n < COLS ? weight(w, k0 + k, col0 + n, kh, kw) : 0.0f;
    }
}

SP_INLINE void product(tile t, __global const float *from, __global const float *w, int col0, taps kh, taps kw, int row,
                       int col, float4 sum[TM][VECTORS])
{
    const int K = kh.n * kw.n * FROM_C;
    for (int k0 = 0; k0 < K; k0 += BK) {
        load_slice(t, from, w, k0, K, col0, kh, kw);
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply(t.a, t.b, row, col, sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
#endif

SP_INLINE void store(tile t, __global float *y, __global const float *bias, int col0, int row, int col,
                     float4 sum[TM][VECTORS])
{
    for (int i = 0; i < TM; i++)
        for (int v = 0; v < VECTORS; v++) {
            const int m = t.out[row + i / 4 * 4 * (BM / TM) + i % 4], c = col0 + col + v * (BN / VECTORS);
            float part[4];
            vstore4(sum[i][v], 0, part);
            for (int j = 0; j < 4; j++)
                if (m >= 0 && c + j < COLS)
                    y[(ulong)m * COLS + c + j] = part[j] + (bias ? bias[c + j] : 0.0f);
        }
}

/* The group's BM x BN results from their rows, which are in local memory. */
SP_INLINE void run(tile t, __global const void *from, __global const float *w, __global const float *bias,
                   __global float *y, taps kh, taps kw)
{
    const int lid = (int)get_local_id(0), col0 = (int)get_group_id(1) * BN;
    const int row = lid / (BN / TN) * 4, col = lid % (BN / TN) * 4;
    float4 sum[TM][VECTORS];
    for (int i = 0; i < TM; i++)
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = (float4)(0.0f);
    if (lid < 2)
        t.live[lid] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    product(t, from, w, col0, kh, kw, row, col, sum);
    store(t, y, bias, col0, row, col, sum);
}

#define LOCAL_MEMORY                                                                                                   \
    __local float a_tile[BK * A_STEP], b_tile[BK * B_STEP];                                                            \
    __local int row_h[BM], row_w[BM], row_at[BM], row_out[BM];                                                         \
    __local uint row_words[BM], live[2];                                                                               \
    const tile t = {a_tile, b_tile, row_h, row_w, row_at, row_out, row_words, live}

#if PASS == 1
#ifdef NARROW
#define NAME conv_forward__narrow
#else
#define NAME conv_forward__tile
#endif

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void NAME(SP_IN(sp_x, x), SP_IN(float, w),
#if BIAS
                                                                  SP_IN(float, bias),
#endif
                                                                  SP_OUT(float, y))
{
    LOCAL_MEMORY;
    SP_AT(x);
    SP_AT(w);
    SP_AT(y);
#if BIAS
    SP_AT(bias);
#else
    __global const float *bias = 0;
#endif
    for (int r = (int)get_local_id(0); r < BM; r += WG) {
        const int m = (int)get_group_id(0) * BM + r, inside = m < N * HO * WO;
        t.h[r] = inside ? m / WO % HO * SH - PH : OUTSIDE;
        t.w[r] = m % WO * SW - PW;
        t.at[r] = m / (HO * WO) * (H * W);
        t.out[r] = inside ? m : -1;
    }
    const taps kh = {KH, 0, 1, DH}, kw = {KW, 0, 1, DW};
    run(t, x, w, bias, y, kh, kw);
}
#else

/* Of the taps 0..k-1 those with (at - tap*dilation) a multiple of the stride: every step-th. */
SP_INLINE void find_taps(taps *t, int at, int k, int dilation, int stride)
{
    t->n = t->first = 0;
    t->step = 1;
    for (int i = 0; i < k; i++)
        if ((at - i * dilation) % stride == 0) {
            t->first = t->n == 0 ? i : t->first;
            t->step = t->n == 1 ? i - t->first : t->step;
            t->n++;
        }
    t->move = -(t->step * dilation / stride);
}

/* Group id 2 is the remainder of the pixel's coordinates by the strides: its pixels share their taps. */
__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
conv_backward_input__tile(SP_IN(float, e), SP_IN(float, w), SP_OUT(float, g_x))
{
    LOCAL_MEMORY;
    SP_AT(e);
    SP_AT(w);
    SP_AT(g_x);
    const int h0 = (int)get_group_id(2) / SW, w0 = (int)get_group_id(2) % SW;
    const int rows = max(0, CEIL(H - h0, SH)), columns = max(0, CEIL(W - w0, SW)), M = N * rows * columns;
    taps kh, kw;
    find_taps(&kh, h0 + PH, KH, DH, SH);
    find_taps(&kw, w0 + PW, KW, DW, SW);
    for (int r = (int)get_local_id(0); r < BM; r += WG) {
        const int m = (int)get_group_id(0) * BM + r, inside = m < M;
        const int n = inside ? m / (rows * columns) : 0;
        const int ih = inside ? h0 + m / columns % rows * SH : 0, iw = inside ? w0 + m % columns * SW : 0;
        t.h[r] = inside ? (ih + PH - kh.first * DH) / SH : OUTSIDE;
        t.w[r] = (iw + PW - kw.first * DW) / SW;
        t.at[r] = n * (HO * WO);
        t.out[r] = inside ? (n * H + ih) * W + iw : -1;
    }
    run(t, e, w, 0, g_x, kh, kw);
}
#endif
