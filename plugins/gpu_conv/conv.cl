//@ plugin: gpu_conv 1.0.0
//@ abi:    1
//@ include: macros.clh gpu_tile.clh
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
//@ tune:   BK = 16 32
//@ tune:   TM = 4 8
//@ tune:   AHEAD = 0 1
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

#define ONE_TAP (FROM_C % BK == 0) /* a slice of the sum lies in one tap */
#define B_ACROSS (PASS == 2)       /* neighbours in w are steps of the sum, else columns */

/* The taps that reach the rows of a group: of KH (or KW) those at first, first + step, ... ; the coordinate in the
 * source moves by `move` from one to the next. */
typedef struct {
    int n, first, step, move;
} taps;

/* Local memory of a group. */
typedef struct {
    __local float *a, *b;          /* [BK][A_STEP], [BK][B_STEP] */
    __local int *h, *w, *at, *out; /* of each row: source coordinates at the first tap, first pixel, result row or -1 */
    __local uint *words, *live;    /* spikes of each row; of four rows together */
} tile;

/* Source coordinates and first pixel of a row of the tile, in registers. */
#define ROW(t, r) ((int4)((t).h[r], (t).w[r], (t).at[r], 0))

/* Pixel of the source that a row sees through tap (i, j), -1 outside. */
SP_INLINE int source(int4 r, int i, int j, taps kh, taps kw)
{
    const int h = r.x + i * kh.move, w = r.y + j * kw.move;
    const bool inside = ((uint)h < FROM_H) & ((uint)w < FROM_W);
    return inside ? r.z + h * FROM_W + w : -1;
}

#if BITS
#define SLICES CEIL(C, BK) /* of a tap; a slice lies in one word */
/* The words of the four rows from 4 lid on, which are in registers; there are at least BM/4 items. Outside of the picture the
 * first word is read and masked: a condition around a load would make each wait for the one before it. */
SP_INLINE uint4 fetch_words(const int4 rows[4], __global const uint *x, int slice, taps kh, taps kw)
{
    const int tap = slice / SLICES, c = slice % SLICES * BK;
    uint word[4] = {0, 0, 0, 0};
    if ((int)get_local_id(0) < BM / 4) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int pixel = source(rows[j], tap / KW, tap % KW, kh, kw);
            const uint got = x[(ulong)max(pixel, 0) * SP_WORDS(C) + (uint)(c >> 5)];
            word[j] = got >> (c & 31) & 0xffffffffu >> (32 - BK) & ~(uint)(pixel >> 31);
        }
    }
    return (uint4)(word[0], word[1], word[2], word[3]);
}

/* Which steps of the slice have a spike in any row. */
SP_INLINE uint steps_with_spikes(tile t)
{
    uint4 any = 0;
#pragma unroll
    for (int i = 0; i < BM / 4; i += 4)
        any |= *(__local const uint4 *)(t.live + i);
    return any.x | any.y | any.z | any.w;
}

SP_INLINE void load_slice(tile t, __global const float *w, int slice, int col0, uint live)
{
    const int k0 = slice / SLICES * C + slice % SLICES * BK;
    float4 b[B_FOURS];
#pragma unroll
    for (int u = 0; u < B_FOURS; u++) { /* bits past C are zero: k0 + k is a weight where one is set */
        const four f = FOUR(u, BN, false);
        const int col = col0 + f.row;
        b[u] = load4(w, (ulong)(k0 + f.k) * COLS + (uint)col, f.exists && live >> f.k & 1u ? COLS - col : 0, COLS % 4 == 0);
    }
#pragma unroll
    for (int u = 0; u < A_FOURS; u++) {
        const four f = FOUR(u, BM, false);
        if (f.exists)
            put(t.a, A_STEP, f, false, convert_float4(*(__local const uint4 *)(t.words + f.row) >> (uint)f.k & 1u));
    }
#pragma unroll
    for (int u = 0; u < B_FOURS; u++)
        put(t.b, B_STEP, FOUR(u, BN, false), false, b[u]);
}

SP_INLINE void product(tile t, __global const uint *x, __global const float *w, int col0, taps kh, taps kw,
                       float4 sum[TM][VECTORS])
{
    const int lid = (int)get_local_id(0);
    int4 rows[4];
#pragma unroll
    for (int j = 0; j < 4; j++)
        rows[j] = ROW(t, min(lid * 4 + j, BM - 1));
    uint4 words = AHEAD ? fetch_words(rows, x, 0, kh, kw) : 0;
    for (int slice = 0; slice < KH * KW * SLICES; slice++) {
        if (!AHEAD)
            words = fetch_words(rows, x, slice, kh, kw);
        if (lid < BM / 4) {
            *(__local uint4 *)(t.words + 4 * lid) = words;
            t.live[lid] = words.x | words.y | words.z | words.w;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        const uint live = steps_with_spikes(t);
        if (live)
            load_slice(t, w, slice, col0, live);
        if (AHEAD && slice + 1 < KH * KW * SLICES)
            words = fetch_words(rows, x, slice + 1, kh, kw);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (live)
            multiply(t.a, t.b, sum);
    }
}
#else
/* Where a slice of the sum starts: its step k, and tap (i, j) and channel c of that where it lies in one tap. */
typedef struct {
    int k, i, j, c;
} place;

SP_INLINE void next_slice(place *s, taps kw)
{
    s->k += BK;
    s->c += BK;
    if (s->c == FROM_C) {
        s->c = 0;
        s->j++;
        if (s->j == kw.n) {
            s->j = 0;
            s->i++;
        }
    }
}

/* Tap and channel of a step of a slice. */
#if ONE_TAP
#define PLACE(s, step, kw) ((place){(s)->k + (step), (s)->i, (s)->j, (s)->c + (step)})
#else
#define TAP(s, step)       (((s)->k + (step)) / FROM_C)
#define PLACE(s, step, kw) ((place){(s)->k + (step), TAP(s, step) / (kw).n, TAP(s, step) % (kw).n, ((s)->k + (step)) % FROM_C})
#endif

/* n of the steps from k on, of one row. */
SP_INLINE float4 fetch_row(__global const float *from, int4 r, const place *s, int k, int n, taps kh, taps kw)
{
    const place at = PLACE(s, k, kw);
    const int pixel = n > 0 ? source(r, at.i, at.j, kh, kw) : -1;
    return load4(from, (ulong)pixel * FROM_C + (uint)at.c, pixel < 0 ? 0 : n, FROM_C % 4 == 0);
}

/* Of w: n of the columns from col on at one step k, or n of the steps from k on of one column. */
SP_INLINE float4 fetch_weights(__global const float *w, const place *s, int k, int col, int n, taps kh, taps kw)
{
#if PASS == 1
    return load4(w, (ulong)(s->k + k) * COLS + (uint)col, n, COLS % 4 == 0);
#else
    const place at = PLACE(s, k, kw);
    const int tap = (kh.first + at.i * kh.step) * KW + kw.first + at.j * kw.step;
    return load4(w, ((ulong)tap * C + (uint)col) * O + (uint)at.c, n, O % 4 == 0);
#endif
}

#if FROM_C % 4 == 0
#define FETCHES 1 /* of four steps: they are four neighbours */
#else
#define FETCHES 4
#endif

/* The item's share of a slice, K steps in all, into registers. */
SP_INLINE void fetch(const int4 rows[A_FOURS], __global const float *from, __global const float *w, const place *s, int K,
                     int col0, taps kh, taps kw, float4 a[A_FOURS], float4 b[B_FOURS])
{
#pragma unroll
    for (int u = 0; u < A_FOURS; u++) {
        const four f = FOUR(u, BM, true);
        const int n = !f.exists ? 0 : ONE_TAP ? 4 : K - s->k - f.k;
        float each[4];
#pragma unroll
        for (int i = 0; i < FETCHES; i++) {
            a[u] = fetch_row(from, rows[u], s, f.k + i, FETCHES == 1 ? n : min(n - i, 1), kh, kw);
            each[i] = a[u].x;
        }
#if FETCHES == 4
        a[u] = (float4)(each[0], each[1], each[2], each[3]);
#endif
    }
#pragma unroll
    for (int u = 0; u < B_FOURS; u++) {
        const four f = FOUR(u, BN, B_ACROSS);
        const int steps = !f.exists ? 0 : ONE_TAP ? 4 : K - s->k - f.k, col = col0 + (f.exists ? f.row : 0);
        const int columns = COLS % BN == 0 ? 4 : COLS - col, n = columns > 0 ? steps : 0;
        float each[4];
#pragma unroll
        for (int i = 0; i < (B_ACROSS ? FETCHES : 1); i++) {
            b[u] = fetch_weights(w, s, f.k + i, col, !B_ACROSS ? (steps > 0 ? columns : 0) : FETCHES == 1 ? n : min(n - i, 1),
                                 kh, kw);
            each[i] = b[u].x;
        }
#if B_ACROSS && FETCHES == 4
        b[u] = (float4)(each[0], each[1], each[2], each[3]);
#endif
    }
}

SP_INLINE void product(tile t, __global const float *from, __global const float *w, int col0, taps kh, taps kw,
                       float4 sum[TM][VECTORS])
{
    const int K = kh.n * kw.n * FROM_C;
    int4 rows[A_FOURS];
    float4 a[A_FOURS], b[B_FOURS];
    place s = {0, 0, 0, 0};
#pragma unroll
    for (int u = 0; u < A_FOURS; u++)
        rows[u] = ROW(t, FOUR(u, BM, true).exists ? FOUR(u, BM, true).row : 0);
    if (AHEAD && K > 0)
        fetch(rows, from, w, &s, K, col0, kh, kw, a, b);
    while (s.k < K) {
        if (!AHEAD)
            fetch(rows, from, w, &s, K, col0, kh, kw, a, b);
#pragma unroll
        for (int u = 0; u < A_FOURS; u++)
            put(t.a, A_STEP, FOUR(u, BM, true), true, a[u]);
#pragma unroll
        for (int u = 0; u < B_FOURS; u++)
            put(t.b, B_STEP, FOUR(u, BN, B_ACROSS), B_ACROSS, b[u]);
        barrier(CLK_LOCAL_MEM_FENCE);
        next_slice(&s, kw);
        if (AHEAD && s.k < K)
            fetch(rows, from, w, &s, K, col0, kh, kw, a, b);
        multiply(t.a, t.b, sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
#endif

SP_INLINE void store(tile t, __global float *y, __global const float *bias, int col0, float4 sum[TM][VECTORS])
{
#pragma unroll
    for (int v = 0; v < VECTORS; v++) {
        const int col = col0 + SUM_COLUMN(v), n = COLS - col;
        const float4 add = bias ? load4(bias, (uint)col, n, COLS % 4 == 0) : (float4)(0.0f);
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
    __local int row_h[BM], row_w[BM], row_at[BM], row_out[BM];                                                         \
    __local uint row_words[BM] __attribute__((aligned(16))), live[BM / 4] __attribute__((aligned(16)));                \
    const tile t = {a_tile, b_tile, row_h, row_w, row_at, row_out, row_words, live}

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
