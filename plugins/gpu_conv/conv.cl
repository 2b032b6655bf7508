//@ plugin: gpu_conv 1.0.0
//@ abi:    1
//@ include: macros.clh fours.clh gpu_tile.clh rows.clh spikes.clh floats.clh
//@ let:    GROUP_FITS = BM*BN <= min(wg, 256)*TM*TN && (BM + BN + 8)*BK*4 + BM*21 <= local_bytes
//@ let:    ITEMS = (BM/TM)*(BN/TN)
//@ all:    device: gpu
//@ all:    bake: *
//@ all:    registers: TM*TN*(1 + AHEAD)
//@ op:     conv.forward/1
//@ kernel: conv_forward__tile
//@ global: ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:  ITEMS, 1
//@ tune:   BM = 64 32 128
//@ tune:   BN = 64 32
//@ tune:   BK = 16 32
//@ tune:   TM = 4 8
//@ tune:   AHEAD = 0 1
//@ tune:   TN = 4 8
//@ vendor: amd TM=8 BM=128
//@ vendor: nvidia TM=8 BK=32
//@ define: PASS = 1
//@ when:   GROUP_FITS && N*HO*WO < 2147483648 - 128
//@ score:  40
//@ about:  implicit GEMM in local memory: no patches in memory; slices of the sum without a spike are skipped
//@ op:     conv.forward/1
//@ kernel: conv_forward__narrow
//@ global: ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:  ITEMS, 1
//@ tune:   BM = 128 64
//@ tune:   BK = 16 8 32
//@ tune:   TM = 4 8
//@ tune:   AHEAD = 0 1
//@ vendor: amd TM=8 BM=64 BK=8
//@ vendor: nvidia TM=8
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
//@ tune:   TM = 4 8
//@ tune:   AHEAD = 0 1
//@ tune:   TN = 4 8
//@ vendor: amd TM=8 BM=128
//@ vendor: nvidia TM=8 BK=32
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
 * Neighbouring items read neighbouring addresses, and the next slice is on its way while one is multiplied. Barriers are
 * outside of every condition. Spikes: one word a row is read and unpacked into the tile; where no row of the tile has a
 * spike in the slice, weights are not read and nothing is multiplied, and of a slice only those rows of the weights are
 * read that a spike asks for. */

SP_INLINE void store(tile t, __global float *y, __global const float *bias, int col0, float4 sum[TM][VECTORS])
{
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
        const int col = col0 + SUM_COLUMN(v), n = COLS - col;
        const float4 add = bias ? fetch_weights(bias, 0, col, true) : (float4)(0.0f); /* like one row of w */
#pragma unroll
        for (int i = 0; i < TM; i++) {
            const int m = t.out[SUM_ROW(i)];
            store4(y, (ulong)m * COLS + (uint)col, sum[i][v] + add, m < 0 ? 0 : n, COLS % 4 == 0, false);
        }
    }
}

/* The group's BM x BN results from their rows, which are in local memory. */
SP_INLINE void run(tile t, __global const void *from, __global const float *w, __global const float *bias,
                   __global float *y, taps kh, taps kw)
{
    const int col0 = (int)get_group_id(1) * BN;
    float4 sum[TM][VECTORS];
    clear(sum);
    barrier(CLK_LOCAL_MEM_FENCE);
    product(t, from, w, col0, kh, kw, sum);
    store(t, y, bias, col0, sum);
}

#define LOCAL_MEMORY                                                                                                   \
    LOCAL_TILES;                                                                                                             \
    __local int row_h[BM] __attribute__((aligned(16))), row_w[BM] __attribute__((aligned(16)));                        \
    __local int row_at[BM] __attribute__((aligned(16))), row_out[BM];                                                  \
    __local uint row_words[BM] __attribute__((aligned(16))), live[BM / 4] __attribute__((aligned(16)));                \
    const tile t = {a_tile, b_tile, row_h, row_w, row_at, row_out, row_words, live}

/* Where the left factor's channels are no multiple of 4, each of four neighbours has an address of its own, beside those of taps. */
#if PASS == 1 ? !X_BITS && C % 4 && KH * KW > 1 : O % 4 && SH * SW > 1
#define TILE_ITEMS TOGETHER(16)
#else
#define TILE_ITEMS
#endif

#if PASS == 1
#ifdef NARROW
#define NAME conv_forward__narrow
#else
#define NAME conv_forward__tile
#endif

/* One by one, since a literal of constants would be a constant of the program, and building one crashes Oclgrind 21.10 with
 * --uninitialized. */
SP_INLINE void all_taps(taps *t, int n, int dilation)
{
    t->n = n;
    t->first = 0;
    t->step = 1;
    t->move = dilation;
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) TILE_ITEMS void NAME(SP_IN(sp_x, x), SP_IN(float, w),
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
        const int h = m / WO % HO * SH - PH, w = m % WO * SW - PW;
        t.h[r] = inside ? h : OUTSIDE;
        t.w[r] = w;
        t.at[r] = m / (HO * WO) * (H * W) + h * W + w;
        t.out[r] = inside ? m : -1;
    }
    taps kh, kw;
    all_taps(&kh, KH, DH);
    all_taps(&kw, KW, DW);
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
__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) TILE_ITEMS void
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
        const int h = (ih + PH - kh.first * DH) / SH, w = (iw + PW - kw.first * DW) / SW;
        t.h[r] = inside ? h : OUTSIDE;
        t.w[r] = w;
        t.at[r] = n * (HO * WO) + h * WO + w;
        t.out[r] = inside ? (n * H + ih) * W + iw : -1;
    }
    run(t, e, w, 0, g_x, kh, kw);
}
#endif
