//@ plugin:    gpu_conv 1.0.0
//@ abi:       1
//@ include:   macros.clh gpu_tile.clh
//@ let:       SLOTS = max(1, min(ceildiv(N*HO*WO, 256), GROUPS/(ceildiv(KH*KW*C, BM)*ceildiv(O, BN))))
//@ let:       ITEMS = (BM/TM)*(BN/TN)
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__slots
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ bake:      *
//@ tune:      BM = 64 32 128
//@ tune:      BN = 64 32
//@ tune:      BK = 16 32
//@ tune:      TM = 8 4
//@ tune:      TN = 4 8
//@ define:    GROUPS = 1024
//@ workspace: KH*KW*C*O*SLOTS
//@ when:      BM*BN <= min(wg, 256)*TM*TN && (BM + BN + 8)*BK*4 + BM*12 + BK*BM/8 + 8 <= local_bytes && N*HO*WO < 2147483648 - 128
//@ device:    gpu
//@ score:     40
//@ about:     implicit GEMM in local memory over fixed slots of pixels, whose sums are added in order; pixels without a spike are skipped

/* g_w[k][o] += sum over the output pixels p of x[p moved by (kh, kw)][c] e[p][o], k = (kh, kw, c).
 *
 * A work-group makes BM x BN weights over the pixels of one slot, BK pixels at a time; slots are as many as give GROUPS
 * groups, so that a layer with few weights keeps the device busy. The sums of the slots lie in work, [slot][k][o], and the
 * second pass adds them in order: no atomics, the same bits every time. Spikes: rows are padded to words of 32 channels,
 * one word is read for 32 rows; where no row has a spike at any of the BK pixels, e is not read and nothing is
 * multiplied, and of a slice only those pixels of e are read at which there is one. */

#define OUTSIDE (-(1 << 29)) /* an offset that brings no pixel into the picture */
#define PIXELS (N * HO * WO)
#define K (KH * KW * C)

#if X_BITS
#define CHANNELS (CEIL(C, 32) * 32) /* of a tap, as rows */
#else
#define CHANNELS C
#endif
#define TILES (CEIL(K, BM) * CEIL(O, BN))
#define WANTED (GROUPS / TILES)
#define MOST CEIL(PIXELS, 256)
#define SLOTS (WANTED < 1 ? 1 : WANTED < MOST ? WANTED : MOST)

/* Local memory of a group. */
typedef struct {
    __local float *a, *b;       /* [BK][A_STEP], [BK][B_STEP] */
    __local int *h, *w, *c;     /* of each row: kh DH - PH, kw DW - PW, channel */
    __local uint *words, *live; /* [BK][BM/32] spikes; which pixels of the slice have any, for this slice and the next */
} tile;

/* Pixel of x that output pixel p sees through the tap of row r, -1 outside. */
SP_INLINE int source(tile t, int r, int p)
{
    const int h = p / WO % HO * SH + t.h[r], w = p % WO * SW + t.w[r];
    return h >= 0 && h < H && w >= 0 && w < W ? p / (HO * WO) * (H * W) + h * W + w : -1;
}

#if X_BITS
SP_INLINE void load_words(tile t, __global const uint *x, int p0, int end, int turn)
{
    for (int i = (int)get_local_id(0); i < BK * (BM / 32); i += WG) {
        const int k = i / (BM / 32), r = i % (BM / 32) * 32;
        const int pixel = p0 + k < end ? source(t, r, p0 + k) : -1;
        const uint word = pixel < 0 ? 0u : x[(ulong)pixel * SP_WORDS(C) + (t.c[r] >> 5)];
        t.words[i] = word;
        if (word)
            atomic_or(&t.live[turn], 1u << k);
    }
}
#endif

SP_INLINE void load_b(tile t, __global const float *e, int p0, int end, int col0, uint live)
{
    for (int i = (int)get_local_id(0); i < BN * BK; i += WG) {
        const int k = i / BN, col = col0 + i % BN;
        const bool wanted = p0 + k < end && col < O && live >> k & 1u;
        t.b[k * B_STEP + i % BN] = wanted ? e[(ulong)(p0 + k) * O + col] : 0.0f;
    }
}

SP_INLINE void product(tile t, __global const sp_x *x, __global const float *e, int start, int end, int col0, int row,
                       int col, float4 sum[TM][VECTORS])
{
    int turn = 0;
    for (int p0 = start; p0 < end; p0 += BK, turn ^= 1) {
#if X_BITS
        load_words(t, x, p0, end, turn);
        barrier(CLK_LOCAL_MEM_FENCE);
        const uint live = t.live[turn];
        if (get_local_id(0) == 0)
            t.live[turn ^ 1] = 0; /* last read before the barrier that ended the slice before */
        for (int i = (int)get_local_id(0); live && i < BM * BK; i += WG)
            t.a[i / BM * A_STEP + i % BM] = (float)(t.words[i / 32] >> (i & 31) & 1u);
        if (live)
            load_b(t, e, p0, end, col0, live);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (live)
            multiply(t.a, t.b, row, col, sum);
#else
        for (int i = (int)get_local_id(0); i < BM * BK; i += WG) {
            const int pixel = p0 + i / BM < end ? source(t, i % BM, p0 + i / BM) : -1;
            t.a[i / BM * A_STEP + i % BM] = pixel < 0 ? 0.0f : x[(ulong)pixel * C + t.c[i % BM]];
        }
        load_b(t, e, p0, end, col0, 0xffffffffu);
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply(t.a, t.b, row, col, sum);
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
    }
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void
conv_backward_weight__slots(SP_IN(sp_x, x), SP_IN(float, e), SP_OUT(float, work))
{
    __local float a_tile[BK * A_STEP], b_tile[BK * B_STEP];
    __local int row_h[BM], row_w[BM], row_c[BM];
    __local uint words[BK * BM / 32], live[2];
    const tile t = {a_tile, b_tile, row_h, row_w, row_c, words, live};
    SP_AT(x);
    SP_AT(e);
    SP_AT(work);
    const int lid = (int)get_local_id(0), slot = (int)get_group_id(2);
    const int row0 = (int)get_group_id(0) * BM, col0 = (int)get_group_id(1) * BN;
    const int row = lid / (BN / TN) * 4, col = lid % (BN / TN) * 4;
    float4 sum[TM][VECTORS];
    for (int i = 0; i < TM; i++)
        for (int v = 0; v < VECTORS; v++)
            sum[i][v] = (float4)(0.0f);
    for (int r = lid; r < BM; r += WG) {
        const int tap = (row0 + r) / CHANNELS;
        t.h[r] = tap < KH * KW ? tap / KW * DH - PH : OUTSIDE;
        t.w[r] = tap % KW * DW - PW;
        t.c[r] = (row0 + r) % CHANNELS;
    }
    if (lid < 2)
        t.live[lid] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    product(t, x, e, (int)((long)slot * PIXELS / SLOTS), (int)((slot + 1L) * PIXELS / SLOTS), col0, row, col, sum);

    for (int i = 0; i < TM; i++)
        for (int v = 0; v < VECTORS; v++) {
            const int r = row + i / 4 * 4 * (BM / TM) + i % 4, o = col0 + col + v * (BN / VECTORS);
            const int tap = (row0 + r) / CHANNELS;
            float part[4];
            vstore4(sum[i][v], 0, part);
            for (int j = 0; j < 4; j++)
                if (tap < KH * KW && t.c[r] < C && o + j < O)
                    work[((ulong)slot * K + tap * C + t.c[r]) * O + o + j] = part[j];
        }
}

__kernel void conv_backward_weight__add(SP_IN(float, work), SP_IO(float, g_w))
{
    SP_AT(work);
    SP_AT(g_w);
    const ulong i = get_global_id(0);
    float sum = 0.0f;
    for (int slot = 0; slot < SLOTS; slot++)
        sum += work[(ulong)slot * ((ulong)K * O) + i];
    g_w[i] += sum;
}
