//@ plugin:    gpu_conv 1.0.0
//@ abi:       1
//@ include:   macros.clh fours.clh gpu_tile.clh
//@ let:       SLOTS = max(1, min(ceildiv(N*HO*WO, 256), GROUPS/(ceildiv(KH*KW*C, BM)*ceildiv(O, BN))))
//@ let:       ITEMS = (BM/TM)*(BN/TN)
//@ let:       FITS = BM*BN <= min(wg, 256)*TM*TN && (BM + BN + 8)*BK*4 + BM*20 + 256 <= local_bytes && N*HO*WO < 2147483648 - 128
//@ all:       bake: *
//@ all:       device: gpu
//@ all:       define: GROUPS = 1024
//@ all:       registers: TM*TN*(1 + AHEAD)
//@ all:       workspace: KH*KW*C*O*SLOTS
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__slots
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ tune:      BM = 64 32 128
//@ tune:      BN = 64 32
//@ tune:      BK = 16 32
//@ tune:      TM = 4 8
//@ tune:      AHEAD = 0 1
//@ tune:      TN = 4 8
//@ tune:      KEEP = 1 0
//@ vendor:    amd TM=8 BM=128
//@ vendor:    nvidia TM=8 BK=32
//@ vendor:    intel KEEP=0
//@ when:      FITS
//@ score:     40
//@ about:     implicit GEMM in local memory over fixed slots of pixels, whose sums are added in order; pixels without a spike are skipped
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__few
//@ global:    ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ define:    BM = 32
//@ define:    FEW = 1
//@ tune:      BN = 64 32
//@ tune:      BK = 16 8 32
//@ tune:      TM = 4 8
//@ tune:      AHEAD = 0 1
//@ tune:      TN = 4 8
//@ tune:      KEEP = 1 0
//@ vendor:    amd TM=8 BK=8
//@ vendor:    nvidia BK=32
//@ vendor:    intel KEEP=0
//@ when:      !X_BITS && KH*KW*C <= 32 && FITS
//@ score:     45
//@ about:     the same with a tile for the few weights of a first layer

/* g_w[k][o] += sum over the output pixels p of x[p moved by (kh, kw)][c] e[p][o], k = (kh, kw, c).
 *
 * A work-group makes BM x BN weights over the pixels of one slot, BK pixels at a time; slots are as many as give GROUPS
 * groups, so that a layer with few weights keeps the device busy. The sums of the slots lie in work, [slot][k][o], and the
 * second pass adds them in order: no atomics, the same bits every time. Spikes: rows are padded to words of 32 channels,
 * one word is read for 32 rows, of SPAN pixels at a time; where no row has a spike at any of BK pixels, e is not read and
 * nothing is multiplied, and of a slice only those pixels of e are read at which there is one. */

#define OUTSIDE (-(1 << 29)) /* an offset that brings no pixel into the picture */
#define PIXELS (N * HO * WO)
#define K (KH * KW * C)

#if X_BITS
#define CHANNELS (CEIL(C, 32) * 32) /* of a tap, as rows */
#define PITCH (4 * SP_WORDS(C))     /* bytes from a pixel of x to the next */
#else
#define CHANNELS C
#define PITCH (4 * C)
#endif
#define TILES (CEIL(K, BM) * CEIL(O, BN))
#define WANTED (GROUPS / TILES)
#define MOST CEIL(PIXELS, 256)
#define SLOTS (WANTED < 1 ? 1 : WANTED < MOST ? WANTED : MOST)
#define LONGEST CEIL(PIXELS, SLOTS) /* slot: loops have a constant length, and what is past the end of one counts as outside */
#define WORDS (BM / 32)             /* of a pixel */
#define SPAN 64         /* pixels whose words are read at once */

/* Bytes from the start of a buffer. With 32 bits an address needs no arithmetic of 64 bits for each item. */
#if N * H * W * C < (1 << 30) && N * HO * WO * O < (1 << 30)
typedef uint offset;
#else
typedef ulong offset;
#endif

/* Local memory of a group. */
typedef struct {
    __local float *a, *b;       /* [BK][A_STEP], [BK][B_STEP] */
    __local int *h, *w, *c;     /* of each row: kh DH - PH, kw DW - PW, channel */
    __local uint *words, *live; /* [SPAN][WORDS] spikes; of each pixel those of all rows together */
} tile;

/* Of an output pixel: coordinates in x at the first tap, and where that is. Of a row of the tile: what its tap and
 * channel add to them. */
typedef struct {
    int h, w;
    offset at;
} place;

SP_INLINE void find_pixel(int p, int end, place *out)
{
    const uint line = (uint)p / WO, n = line / HO; /* unsigned: fewer instructions than with a sign */
    const int h = (int)(line - n * HO) * SH;
    out->h = p < end ? h : OUTSIDE;
    out->w = (int)((uint)p - line * WO) * SW;
    out->at = ((offset)n * (H * W) + (offset)(h * W + out->w)) * PITCH;
}

SP_INLINE void find_row(tile t, int r, place *out)
{
    out->h = t.h[r];
    out->w = t.w[r];
    out->at = ((offset)out->h * W + (offset)out->w) * PITCH + (offset)(X_BITS ? t.c[r] >> 5 : t.c[r]) * 4;
}

/* Whether a pixel sees the picture through the tap of a row. */
#define SEES(p, r) (((uint)((p).h + (r).h) < H) & ((uint)((p).w + (r).w) < W))

/* Four columns of e at pixel p. */
SP_INLINE float4 fetch_error(__global const float *e, int p, int col, bool exists)
{
    const offset start = (offset)p * (4 * O);
    float each[4];
    exists &= O % BN == 0 || col < O;
    if (O % 4 == 0)
        return load4(e, exists ? start + (offset)col * 4 : 0);
#pragma unroll
    for (int i = 0; i < 4; i++)
        each[i] = load1(e, exists ? start + (offset)min(col + i, O - 1) * 4 : 0);
    return (float4)(each[0], each[1], each[2], each[3]);
}

SP_INLINE void put_b(tile t, const float4 b[B_FOURS])
{
#pragma unroll
    for (int u = 0; u < B_FOURS; u++)
        put(t.b, B_STEP, FOUR(u, BN, false), false, b[u]);
}

#if X_BITS
SP_INLINE void load_words(tile t, __global const uint *x, int p0, int end)
{
    for (int k = (int)get_local_id(0); k < SPAN; k += WG) {
        place at, row;
        uint word[WORDS], any = 0;
        bool inside[WORDS];
        find_pixel(p0 + k, end, &at);
#pragma unroll
        for (int j = 0; j < WORDS; j++) {
            find_row(t, j * 32, &row);
            inside[j] = SEES(at, row);
            word[j] = load_word(x, inside[j] ? at.at + row.at : 0);
        }
#pragma unroll
        for (int j = 0; j < WORDS; j++) { /* after all loads, which then are on their way together */
            word[j] = inside[j] ? word[j] : 0;
            t.words[k * WORDS + j] = word[j];
            any |= word[j];
        }
        t.live[k] = any;
    }
}

/* Whether any row has a spike at the BK pixels from the first one of the span on. */
SP_INLINE bool any_spike(tile t, int first)
{
    uint4 any = 0;
#pragma unroll
    for (int k = 0; k < BK; k += 4)
        any |= *(__local const uint4 *)(t.live + first + k);
    return (any.x | any.y | any.z | any.w) != 0;
}

SP_INLINE void load_slice(tile t, __global const float *e, int p0, int first, int col0)
{
    float4 b[B_FOURS];
#pragma unroll
    for (int u = 0; u < B_FOURS; u++) {
        const four f = FOUR(u, BN, false);
        b[u] = fetch_error(e, p0 + first + f.k, col0 + f.row, f.exists && t.live[f.exists ? first + f.k : 0]);
    }
#pragma unroll
    for (int u = 0; u < A_FOURS; u++) {
        const four f = FOUR(u, BM, false);
        const uint word = f.exists ? t.words[(first + f.k) * WORDS + f.row / 32] >> (f.row & 31) : 0;
        put(t.a, A_STEP, f, false, four_bits(word));
    }
    put_b(t, b);
}

SP_INLINE void product(tile t, __global const uint *x, __global const float *e, int start, int end, int col0,
                       float4 sum[TM][VECTORS])
{
#pragma unroll 1
    for (int n = 0, p0 = start; n < CEIL(LONGEST, SPAN); n++, p0 += SPAN) {
        load_words(t, x, p0, end);
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 1
        for (int first = 0; first < SPAN; first += BK) {
            const bool live = any_spike(t, first);
            if (live)
                load_slice(t, e, p0, first, col0);
            barrier(CLK_LOCAL_MEM_FENCE);
            if (live)
                multiply(t.a, t.b, sum);
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }
}
#else
#define ROWS (C % 4 == 0 ? 1 : 4) /* four rows are four neighbours of one tap where C is a multiple of 4 */

SP_INLINE void find_rows(tile t, place rows[ROWS])
{
#pragma unroll
    for (int j = 0; j < ROWS; j++)
        find_row(t, FOUR(0, BM, false).row + j, &rows[j]);
}

/* Four rows at one pixel. Without KEEP the rows are found again for each slice: fewer registers, more instructions. */
SP_INLINE void fetch_a(tile t, const place kept[ROWS], __global const float *x, int p0, int end, float4 a[A_FOURS])
{
    place again[ROWS];
    if (!KEEP)
        find_rows(t, again);
    const place *rows = KEEP ? kept : again;
#pragma unroll
    for (int u = 0; u < A_FOURS; u++) {
        place at;
        float each[4];
        find_pixel(p0 + FOUR(u, BM, false).k, end, &at);
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
            const bool inside = SEES(at, rows[j]);
            const offset from = inside ? at.at + rows[j].at : 0;
            a[u] = ROWS == 1 ? load4(x, from) : (float4)(load1(x, from));
            a[u] = inside ? a[u] : (float4)(0.0f);
            each[j] = a[u].x;
        }
        if (ROWS == 4)
            a[u] = (float4)(each[0], each[1], each[2], each[3]);
    }
}

SP_INLINE void fetch_b(__global const float *e, int p0, int end, int col0, float4 b[B_FOURS])
{
#pragma unroll
    for (int u = 0; u < B_FOURS; u++) {
        const four f = FOUR(u, BN, false);
        b[u] = fetch_error(e, p0 + f.k, col0 + f.row, f.exists && p0 + f.k < end);
    }
}

SP_INLINE void product(tile t, __global const float *x, __global const float *e, int start, int end, int col0,
                       float4 sum[TM][VECTORS])
{
    place rows[ROWS];
    float4 a[A_FOURS], b[B_FOURS];
    find_rows(t, rows);
    if (AHEAD) {
        fetch_a(t, rows, x, start, end, a);
        fetch_b(e, start, end, col0, b);
    }
#pragma unroll 1
    for (int n = 0, p0 = start; n < CEIL(LONGEST, BK); n++, p0 += BK) {
        if (!AHEAD) {
            fetch_a(t, rows, x, p0, end, a);
            fetch_b(e, p0, end, col0, b);
        }
#pragma unroll
        for (int u = 0; u < A_FOURS; u++)
            put(t.a, A_STEP, FOUR(u, BM, false), false, a[u]);
        put_b(t, b);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (AHEAD) {
            fetch_a(t, rows, x, p0 + BK, end, a);
            fetch_b(e, p0 + BK, end, col0, b);
        }
        multiply(t.a, t.b, sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
#endif

#ifdef FEW
#define NAME conv_backward_weight__few
#else
#define NAME conv_backward_weight__slots
#endif
#if O % 4 == 0
#define TILE_ITEMS
#else
#define TILE_ITEMS TOGETHER(16) /* each of four neighbours has an address of its own, in registers */
#endif

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) TILE_ITEMS void NAME(SP_IN(sp_x, x), SP_IN(float, e), SP_OUT(float, work))
{
    LOCAL_TILES;
    __local int row_h[BM], row_w[BM], row_c[BM];
    __local uint words[SPAN * WORDS] __attribute__((aligned(16))), live[SPAN] __attribute__((aligned(16)));
    const tile t = {a_tile, b_tile, row_h, row_w, row_c, words, live};
    SP_AT(x);
    SP_AT(e);
    SP_AT(work);
    const int slot = (int)get_group_id(2), row0 = (int)get_group_id(0) * BM, col0 = (int)get_group_id(1) * BN;
    float4 sum[TM][VECTORS];
    clear(sum);
    for (int r = (int)get_local_id(0); r < BM; r += WG) {
        const int tap = (row0 + r) / CHANNELS;
        t.h[r] = tap < KH * KW ? tap / KW * DH - PH : OUTSIDE;
        t.w[r] = tap % KW * DW - PW;
        t.c[r] = (row0 + r) % CHANNELS;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    product(t, x, e, (int)((long)slot * PIXELS / SLOTS), (int)((slot + 1L) * PIXELS / SLOTS), col0, sum);

#pragma unroll
    for (int i = 0; i < TM; i++) {
        const int r = SUM_ROW(i), tap = (row0 + r) / CHANNELS, inside = tap < KH * KW && t.c[r] < C;
#pragma unroll
        for (int v = 0; v < VECTORS; v++) {
            const int o = col0 + SUM_COLUMN(v);
            store4(work, ((ulong)slot * K + (uint)(tap * C + t.c[r])) * O + (uint)o, sum[i][v], inside ? O - o : 0,
                   O % 4 == 0, false);
        }
    }
}

__kernel void conv_backward_weight__add(SP_IN(float, work), SP_IO(float, g_w))
{
    SP_AT(work);
    SP_AT(g_w);
    const ulong i = get_global_id(0);
    float sum = 0.0f;
#pragma unroll 8
    for (int slot = 0; slot < SLOTS; slot++)
        sum += work[(ulong)slot * ((ulong)K * O) + i];
    g_w[i] += sum;
}
