//@ plugin:    cpu_conv 1.0.0
//@ abi:       1
//@ include:   macros.clh vectors.clh tiles.clh weave.clh bf16.clh
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ all:       define: TRANSPOSED = 1
//@ all:       device: cpu
//@ let:       QH = ceildiv(H, SH)
//@ let:       QW = ceildiv(W, SW)
//@ let:       TILE_ROWS = 1 + 7*(QW == 1 && QH > 1) + 2*(QW >= 2 && QW <= 7)
//@ let:       TILE_IMAGES = 1 + 7*(QH*QW == 1) + (QW == 2)
//@ let:       ROW = (QW + 13*(QW > 7) + (ceildiv(KW, SW) - 1)*DW + 1)*O
//@ let:       HALO = (ceildiv(KH, SH) - 1)*DH + 1
//@ let:       WHOLE = (QH + TILE_ROWS - 1 + HALO)*ROW
//@ let:       IMAGES = min(ceildiv(64, QH*QW) + TILE_IMAGES, 262144/WHOLE + 1 + TILE_IMAGES)*WHOLE
//@ let:       ROWS = TILE_IMAGES*(max(TILE_ROWS*ROW, 16384) + HALO*ROW)
//@ let:       STRIP_BYTES = 4*((QH*QW <= 64)*IMAGES + (QH*QW > 64)*ROWS)
//@ let:       FITS = C >= 4 && (SH == 1 || DH == 1) && (SW == 1 || DW == 1) && STRIP_BYTES <= private_bytes
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__pack
//@ global:    ceildiv(C, 32), KH*KW
//@ local:     1, 1
//@ kernel:    conv_backward_input__tiles
//@ global:    cu*16
//@ local:     1
//@ when:      FITS
//@ workspace: roundup(C, 32)*KH*KW*O
//@ score:     60
//@ about:     a convolution of e with the transposed weights, one per residue of the stride; tiles as in conv_forward
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__pack_bf16
//@ global:    ceildiv(C, 32), KH*KW
//@ local:     1, 1
//@ kernel:    conv_backward_input__tiles_bf16
//@ global:    cu*16
//@ local:     1
//@ needs:     avx512_bf16
//@ compute:   bf16
//@ when:      FITS && C >= 16 && O >= 16 && O % 2 == 0
//@ workspace: roundup(C, 32)*KH*KW*(O/2)
//@ score:     65
//@ about:     the same in bf16: two multiplications in the time of one

/* g_x = e convolved with the mirrored weights. Input pixels whose padded position leaves the same
 * remainders (ry, rx) by the stride meet the same taps: each class is a convolution of stride 1 with taps
 * ry, ry + SH, ... , and pixel q of it is a = SH q + ry = iy + PH; its tap t reads e at oy = q - t DH.
 * With stride 1 there is one class. The pack pass transposes w to [C/32][class][taps, mirrored][O][32], so
 * that input channels run along the lanes. Strips, padded private copy (of e) and register tiles are those
 * of conv_forward.cl. */

#define W_STEP (2 * VW)

#if BF16
#define NAME(how) conv_backward_input__##how##_bf16
#else
#define NAME(how) conv_backward_input__##how
#endif

/* Taps of class r of a stride s, and of the classes before it. */
#define TAPS(r, s, k) (((k) - (r) + (s) - 1) / (s))
inline int taps(int r, int s, int k)
{
    return r < k ? TAPS(r, s, k) : 0;
}
inline int taps_before(int r, int s, int k)
{
    int n = 0;
    for (int i = 0; i < r; i++)
        n += taps(i, s, k);
    return n;
}

/* The strip of e and its padded copy, as in conv_forward.cl. Row r is oy = PH / SH + q0 - HALO_Y + r. */
#define HALO_Y ((TAPS(0, SH, KH) - 1) * DH)
#define HALO_X ((TAPS(0, SW, KW) - 1) * DW)
#define IN_PLACE (!BF16 && KH * KW * SH * SW == 1 && PH == 0 && PW == 0 && QW % TX == 0 && QH % TY == 0 && TN == 1)
#define XW (CEIL(QW, TX) * TX + HALO_X + (SW > 1))
#define ROW (XW * O)
#if QH * QW <= 64
#define R (CEIL(QH, TY) * TY)
#define G (CEIL(MIN(CEIL(64, QH * QW), MAX(1, 262144 / IMAGE)), TN) * TN)
#else
#define R MIN(TY * MAX(1, 16384 / (ROW * TY)), CEIL(QH, TY) * TY)
#define G TN
#endif
#define XH (R + HALO_Y + (SH > 1))
#define IMAGE (XH * ROW)
#if IN_PLACE
#define E_IMAGE (H * W * O)
#define E_ROW (W * O)
typedef __global const float *e_pointer;
#else
#define E_IMAGE IMAGE
#define E_ROW ROW
typedef __private const NUMBER *e_pointer;
#endif
#define STRIPS (CEIL(N, G) * CEIL(QH, R))
#define PANEL (C % VW ? VECS : 8)
#define PANELS CEIL(VECS, PANEL)

#if !IN_PLACE
inline void pad(NUMBER *to, __global const float *e, int n0, int images, int q0)
{
    /* column r is ox = PW / SW - HALO_X + r */
    const int left = MIN(MAX(0, HALO_X - PW / SW), XW), skip = MAX(0, PW / SW - HALO_X);
    const int width = MAX(0, MIN(WO - skip, XW - left));
    for (int g = 0; g < G; g++)
        for (int r = 0; r < XH; r++, to += ROW) {
            const int oy = PH / SH + q0 - HALO_Y + r;
            if (g >= images || oy < 0 || oy >= HO) {
                clear(to, ROW);
                continue;
            }
            __global const float *from = e + (((ulong)(n0 + g) * HO + oy) * WO + skip) * (ulong)O;
            int i = 0;
            clear(to, left * O);
            for (; i + 16 <= width * O; i += 16)
                KEEP16(vload16(0, from + i), to + left * O + i);
            for (; i < width * O; i++)
                to[left * O + i] = KEEP(from[i]);
            clear(to + (left + width) * O, ROW - (left + width) * O);
        }
}
#endif

/* One tile of a class with ty x tx taps: pixels at (n, iy + SH .., ix + SW ..) in at most nn images, channels c0.. and, if two,
 * c1... */
SP_INLINE void tile(e_pointer e, __global const W_NUMBER *w, __global float *g_x, int n, int nn, int iy, int ix,
                    int c0, int c1, int ty, int tx, int two)
{
    const int runs = DW == 1 ? 1 : tx, run = DW == 1 ? tx * O : O;
#define START(i) vec u##i = (vec)(0.0f), v##i = (vec)(0.0f);
    EACH(START)
    for (int ky = 0; ky < ty; ky++)
        for (int kx = 0; kx < runs; kx++) {
            e_pointer p = e + ky * DH * E_ROW + kx * DW * O;
            for (int o = 0; o < run; o += STEPS) {
                const w_vec f0 = VLOAD(w), f1 = two ? VLOAD(w + VW) : (w_vec)(0);
#define STEP(i) {                                                                                            \
        const w_vec a = FACTOR(p + PIXEL_N(i) * E_IMAGE + PIXEL_Y(i) * E_ROW + PIXEL_X(i) * O);              \
        MULTIPLY(u##i, a, f0);                                                                               \
        if (two) MULTIPLY(v##i, a, f1); }
                EACH(STEP)
                w += W_STEP;
                p += STEPS;
            }
        }
    __global float *to = g_x + (((ulong)n * H + iy) * W + ix) * (ulong)C;
    const int ny = H - iy, nx = W - ix;
#define PUT(i) if (PIXEL_N(i) < nn && PIXEL_Y(i) * SH < ny && PIXEL_X(i) * SW < nx) {                        \
        __global float *q = to + ((PIXEL_N(i) * H + PIXEL_Y(i) * SH) * W + PIXEL_X(i) * SW) * C;             \
        VSTORE(u##i, q + c0);                                                                                \
        if (two) VSTORE(v##i, q + c1); }
    EACH(PUT)
}

/* All pixels of class (ry, rx) of a strip. */
SP_INLINE void class_strip(e_pointer e, __global const W_NUMBER *w, __global float *g_x, int n0, int images, int q0,
                           int ry, int rx, int c0, int c1, int two)
{
    const int ty = taps(ry, SH, KH), tx = taps(rx, SW, KW);
    /* First q with a pixel in the image; PH / SH is the smallest of all classes, others are at most one
     * more. */
    const int sy = CEIL(MAX(PH - ry, 0), SH), sx = CEIL(MAX(PW - rx, 0), SW);
    w += (ulong)(taps_before(ry, SH, KH) * KW + ty * taps_before(rx, SW, KW)) * (ulong)(O / STEPS * W_STEP);
    e += (sy - PH / SH + HALO_Y - max(ty - 1, 0) * DH) * E_ROW +
         (sx - PW / SW + HALO_X - max(tx - 1, 0) * DW) * O;
    for (int g = 0; g < images; g += TN)
        for (int r = 0; r < R; r += TY) {
            const int iy = SH * (sy + q0 + r) + ry - PH;
            if (iy >= H)
                break;
            for (int q = 0; q < QW; q += TX) {
                const int ix = SW * (sx + q) + rx - PW;
                if (ix < W)
                    tile(e + g * E_IMAGE + r * E_ROW + q * O, w, g_x, n0 + g, images - g, iy, ix, c0, c1, ty, tx, two);
            }
        }
}

SP_INLINE void strip(e_pointer e, __global const W_NUMBER *w, __global float *g_x, int n0, int images, int q0,
                     int first, int last)
{
    for (int j = first; j < last; j += 2) {
        __global const W_NUMBER *wj = w + (ulong)j * VW * (ulong)(KH * KW * O / STEPS);
        for (int r = 0; r < SH * SW; r++) {
#if VECS > 1
            if (j + 1 < last)
                class_strip(e, wj, g_x, n0, images, q0, r / SW, r % SW, VEC_AT(j), VEC_AT(j + 1), 1);
#endif
#if VECS % 2
            if (j + 1 == last)
                class_strip(e, wj, g_x, n0, images, q0, r / SW, r % SW, VEC_AT(j), VEC_AT(j), 0);
#endif
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(tiles)(SP_IN(float, e), SP_IN(float, work), SP_OUT(float, g_x), int N)
{
    SP_AT(e); SP_AT(work); SP_AT(g_x);
    const ulong units = (ulong)STRIPS * PANELS, items = get_global_size(0), item = get_global_id(0);
#if !IN_PLACE
    NUMBER padded[G * IMAGE] __attribute__((aligned(64)));
#endif
    for (ulong unit = item * units / items; unit < (item + 1) * units / items; unit++) {
        const int panel = (int)(unit / STRIPS), s = (int)(unit % STRIPS);
        const int n0 = s / CEIL(QH, R) * G, images = min(G, N - n0), q0 = s % CEIL(QH, R) * R;
#if IN_PLACE
        e_pointer at = e + ((ulong)n0 * HO + q0) * (ulong)(WO * O);
#else
        e_pointer at = padded;
        pad(padded, e, n0, images, q0);
#endif
        strip(at, (__global const W_NUMBER *)work, g_x, n0, images, q0, panel * PANEL, min(VECS, (panel + 1) * PANEL));
    }
}

/* to[o][0..VW) = w[c0 .. c0 + VW)[o]; with BF16 two o a word */
inline void transpose(__global W_NUMBER *to, __global const float *w, int c0)
{
#if VW == 16 && O >= 16
    for (int j = 0; j < CEIL(O, 16); j++) {
        const int o = MIN(j * 16, O - 16);
        float16 s[16], d[16];
        for (int i = 0; i < 16; i++)
            s[i] = vload16(0, w + (ulong)(c0 + i) * O + o);
        weave(d, s); weave(s, d); weave(d, s); weave(s, d);
#if BF16
        for (int i = 0; i < 16; i += 2)
            SP_STORE_WORDS(__global, sp_bf16_pair(s[i], s[i + 1]), to + (ulong)(o + i) / 2 * W_STEP);
#else
        for (int i = 0; i < 16; i++)
            vstore16(s[i], 0, to + (ulong)(o + i) * W_STEP);
#endif
    }
#else
    for (int o = 0; o < O; o++)
        for (int i = 0; i < VW; i++)
            to[o * W_STEP + i] = w[(ulong)(c0 + i) * O + o];
#endif
}

/* One tap of one panel (32 channels: two vectors, or all vectors when they are short). */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(pack)(SP_IN(float, w), SP_OUT(float, work))
{
    SP_AT(w); SP_AT(work);
    const int panel = (int)get_global_id(0), ky = (int)get_global_id(1) / KW, kx = (int)get_global_id(1) % KW;
    const int ry = ky % SH, rx = kx % SW, ty = taps(ry, SH, KH), tx = taps(rx, SW, KW);
    const int tap = taps_before(ry, SH, KH) * KW + ty * taps_before(rx, SW, KW) + (ty - 1 - ky / SH) * tx +
                    (tx - 1 - kx / SW);
    __global const float *from = w + (ulong)(ky * KW + kx) * (ulong)(C * O);
    for (int j = panel * 32 / VW; j < min(VECS, (panel + 1) * 32 / VW); j += 2) {
        __global W_NUMBER *to = (__global W_NUMBER *)work + ((ulong)j * VW * (KH * KW) + (ulong)tap * W_STEP) * (ulong)(O / STEPS);
        transpose(to, from, VEC_AT(j));
        if (j + 1 < VECS)
            transpose(to + VW, from, VEC_AT(j + 1));
    }
}
