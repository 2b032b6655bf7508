//@ plugin:    cpu_amx 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh weave.clh amx.clh
//@ all:       needs: amx_bf16
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ all:       score: 120
//@ all:       workspace: ceildiv(O, 32)*ceildiv(C, 32)*KH*KW*1024
//@ let:       F_IMAGES = max(1, ceildiv(256, HO*WO))
//@ let:       F_ROWS = min(HO, max(1, 256/WO))
//@ let:       F_TALL = (1 + (KH - 1)*(SH > 1 || F_IMAGES > 1 && HO*WO % 16 != 0))*F_ROWS + (KH - 1)*DH
//@ let:       F_WIDE = (1 + (KW - 1)*(SW > 1 || WO % 16 != 0))*WO + (KW - 1)*DW
//@ let:       F_BYTES = 128*(F_IMAGES*F_TALL*F_WIDE + 16 + (KW - 1)*DW)
//@ let:       F_FITS = max(524288, F_BYTES) + 4*KH*KW + 65536 <= private_bytes
//@ let:       QH = ceildiv(H, SH)
//@ let:       QW = ceildiv(W, SW)
//@ let:       B_IMAGES = max(1, ceildiv(256, QH*QW))
//@ let:       B_ROWS = min(QH, max(1, 256/QW))
//@ let:       B_TALL = (1 + ceildiv(KH, SH)*(B_IMAGES > 1 && QH*QW % 16 != 0))*B_ROWS + KH*DH
//@ let:       B_WIDE = (1 + ceildiv(KW, SW)*(QW % 16 != 0))*QW + KW*DW
//@ let:       B_BYTES = 128*(B_IMAGES*B_TALL*B_WIDE + 16 + KW*DW)
//@ let:       B_FITS = max(524288, B_BYTES) + 4*KH*KW + 65536 <= private_bytes
//@ op:        conv.forward/1
//@ kernel:    conv_forward__amx_weights
//@ global:    ceildiv(O, 32), ceildiv(C, 32)
//@ local:     1, 1
//@ kernel:    conv_forward__amx
//@ global:    cu*8
//@ local:     1
//@ define:    BACKWARD = 0
//@ when:      C >= 8 && O >= 8 && F_FITS
//@ about:     spikes are exact in bf16 and weights are split into two parts: products of AMX tiles within float32's tolerance
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__amx_weights
//@ global:    ceildiv(C, 32), ceildiv(O, 32)
//@ local:     1, 1
//@ kernel:    conv_backward_input__amx
//@ global:    cu*8
//@ local:     1
//@ define:    BACKWARD = 1
//@ when:      C >= 8 && O >= 16 && (SH == 1 || DH == 1) && (SW == 1 || DW == 1) && B_FITS
//@ about:     a convolution of e with the transposed weights, both in two parts of bf16: three products of AMX tiles
//@ op:        conv.forward/1
//@ kernel:    conv_forward__amx_bf16_weights
//@ global:    ceildiv(O, 32), ceildiv(C, 32)
//@ local:     1, 1
//@ kernel:    conv_forward__amx_bf16
//@ global:    cu*8
//@ local:     1
//@ define:    BACKWARD = 0
//@ compute:   bf16
//@ score:     125
//@ when:      C >= 8 && O >= 8 && F_FITS
//@ about:     float factors rounded to bf16: one product of AMX tiles
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__amx_bf16_weights
//@ global:    ceildiv(C, 32), ceildiv(O, 32)
//@ local:     1, 1
//@ kernel:    conv_backward_input__amx_bf16
//@ global:    cu*8
//@ local:     1
//@ define:    BACKWARD = 1
//@ compute:   bf16
//@ score:     125
//@ when:      C >= 8 && O >= 16 && (SH == 1 || DH == 1) && (SW == 1 || DW == 1) && B_FITS
//@ about:     both factors rounded to bf16: one product of AMX tiles

/* Both are convolutions of a map of CI channels to CO channels. Backward, input pixels whose padded position leaves the
 * same remainders (ry, rx) by the stride meet the same taps: each such class is a convolution of stride 1 (see cpu_conv),
 * and all of them read the same part of e.
 *
 * A work-item takes a block of output pixels: R rows of one image, or G whole images. It writes what their windows read
 * to `a` in bf16, in steps of 32 channels: a[step][part][copy][image][row][column][32], so that the 16 pixels of a tile
 * are 1 KB on end for every tap. Where all pixels of a tile lie in one row, a tap is an offset in one padded copy;
 * where they may be in several rows of one image, there is a copy for each column of the kernel; else one for each tap.
 * Where that many copies take longer than products for pixels of the padding (FLAT), tiles run over all columns of one padded copy,
 * and results that belong to no pixel are left out.
 *
 * Private memory: `a` takes half a megabyte, or what a single step takes where that is more, F_BYTES or B_BYTES of the metadata at most.
 *
 * With BF16 there are first parts alone; those of the weights lie where they lie with both.
 *
 * work: weights as tiles, [class][32 outputs][step][tap][part][2][16 pairs of inputs][16 outputs][2]. */

#if BACKWARD
#define CI O
#define CO C
#define IH HO
#define IW WO
#define OH CEIL(H, SH)
#define OW CEIL(W, SW)
#define SY 1
#define SX 1
#define TY CEIL(KH, SH)
#define TX CEIL(KW, SW)
#define MORE_Y (SH > 1) /* classes may begin one pixel apart */
#define MORE_X (SW > 1)
#define TOP (PH / SH - (TY - 1) * DH)
#define LEFT (PW / SW - (TX - 1) * DW)
#define CLASSES (SH * SW)
#define PARTS (BF16 ? 1 : 2)
#define WITH_BIAS 0
#else
#define CI C
#define CO O
#define IH H
#define IW W
#define OH HO
#define OW WO
#define SY SH
#define SX SW
#define TY KH
#define TX KW
#define MORE_Y 0
#define MORE_X 0
#define TOP (-PH)
#define LEFT (-PW)
#define CLASSES 1
#define PARTS (X_BITS || BF16 ? 1 : 2)
#define WITH_BIAS BIAS
#endif

#define STEPS CEIL(CI, 32)
#define PANELS CEIL(CO, 32)
#if OH * OW >= 256
#define G 1
#define R MIN(OH, MAX(1, 256 / OW))
#else
#define G CEIL(256, OH * OW)
#define R OH
#endif
#define STRIPS CEIL(OH, R)
#define BLOCKS (CEIL(N, G) * STRIPS)
#define SPAN_X ((TX - 1) * DW + MORE_X)
#define SPAN_Y ((TY - 1) * DH + MORE_Y)
#define IN_COLUMN (SX == 1 && OW % 16 == 0)
#define IN_ROW (SY == 1 && (G == 1 || OH * OW % 16 == 0))
/* Cycles for a pixel and a step: of 32 inputs that are copied, of products that are in vain, of results that are no whole tile. */
#if !BACKWARD && X_BITS
#define COPYING 4
#else
#define COPYING 12
#endif
#define IN_VAIN (2 * (PARTS + !BF16) * TY * TX * PANELS * SPAN_X / OW)
#define PLACING CEIL(12 * PANELS, STEPS)
#define FLAT (SX == 1 && SY == 1 && !IN_COLUMN && \
              IN_VAIN + PLACING < COPYING * ((TX + MORE_X) * (IN_ROW ? 1 : TY + MORE_Y) - 1))
#define ONE_COLUMN (IN_COLUMN || FLAT)
#define ONE_ROW (IN_ROW || FLAT)
#define COPIES_X (ONE_COLUMN ? 1 : TX + MORE_X)
#define COPIES_Y (ONE_ROW ? 1 : TY + MORE_Y)
#define PITCH (OW + (ONE_COLUMN ? SPAN_X : 0))
#define HALO (ONE_ROW ? SPAN_Y : 0)
#define COPY (G * (R + HALO) * PITCH)
#define PART ((COPIES_X * COPIES_Y * COPY + 16 + FLAT * SPAN_X) * 32)
#define CHUNK CEIL(STEPS, CEIL(STEPS, MAX(1, 524288 / (PARTS * PART * 2)))) /* steps in `a` at a time */

/* One class of the convolution: its taps, its pixels, where their windows begin in the copy, and the tiles of the weights
 * of the classes before. */
typedef struct {
    int ty, tx, oh, ow, dy, dx, y0, x0;
    ulong weights;
} grid;

#if BACKWARD
inline int taps(int r, int s, int k)
{
    return r < k ? (k - r + s - 1) / s : 0;
}

SP_INLINE grid class_grid(int class)
{
    const int ry = class / SW, rx = class % SW;
    grid g = {.ty = taps(ry, SH, KH), .tx = taps(rx, SW, KW)};
    const int sy = CEIL(MAX(PH - ry, 0), SH), sx = CEIL(MAX(PW - rx, 0), SW);
    g.y0 = SH * sy + ry - PH, g.x0 = SW * sx + rx - PW;
    g.oh = g.y0 < H ? (H - 1 - g.y0) / SH + 1 : 0, g.ow = g.x0 < W ? (W - 1 - g.x0) / SW + 1 : 0;
    g.dy = sy - MAX(g.ty - 1, 0) * DH - TOP, g.dx = sx - MAX(g.tx - 1, 0) * DW - LEFT;
    for (int i = 0; i < class; i++)
        g.weights += taps(i / SW, SH, KH) * taps(i % SW, SW, KW) * PANELS * STEPS;
    return g;
}
#define ROW_OF(g, n, y, x) ((((ulong)(n) * H + (g).y0 + (y) * SH) * W + (g).x0 + (x) * SW) * CO)
#define STRIDE (SW * CO * 4)
#else
SP_INLINE grid class_grid(int class)
{
    return (grid){.ty = TY, .tx = TX, .oh = OH, .ow = OW};
}
#define ROW_OF(g, n, y, x) ((((ulong)(n) * OH + (y)) * OW + (x)) * CO)
#define STRIDE (CO * 4)
#endif

#if !BACKWARD && X_BITS
#define PIXEL SP_WORDS(CI)
#define STEP_AT(step) (step)
#define PUT(to, from, step) *(uint16 *)(to) = amx_spread(*(from))
typedef __global const uint *map;
#else
#define PIXEL CI
#define STEP_AT(step) ((step) * 32)
#define PUT(to, from, step) any |= amx_split(to, (to) + PART, from, CI - (step) * 32)
typedef __global const float *map;
#endif

/* One row of a copy: pixels x SX + left, of which those from `first` to before `last` lie in the image. */
#define FILL_ROW(to, row, first, last, columns)                                                              \
    for (int q = 0; q < (columns); q++, to += 32)                                                            \
        if (q < (first) || q >= (last)) {                                                                    \
            *(uint16 *)(to) = (uint16)(0u);                                                     \
            if (PARTS == 2)                                                                                  \
                *(uint16 *)((to) + PART) = (uint16)(0u);                                        \
        } else                                                                                               \
            PUT(to, (row) + (long)q * SX * PIXEL, step)

/* Steps c0 to before c1 of a block. Returns whether any second part is not zero. */
SP_INLINE uint fill(ushort *a, map x, int N, int n0, int oy0, int rows, int c0, int c1)
{
    uint16 any = 0u;
    for (int step = c0; step < c1; step++)
        for (int copy = 0; copy < COPIES_Y * COPIES_X; copy++) {
            const int left = LEFT + copy % COPIES_X * DW, top = oy0 * SY + TOP + copy / COPIES_X * DH;
            const int first = left < 0 ? CEIL(-left, SX) : 0;
            const int last = left < IW ? (IW - 1 - left) / SX + 1 : 0;
            ushort *to = a + (step - c0) * PARTS * PART + copy * COPY * 32;
            for (int i = 0; i < G; i++)
                for (int q = 0; q < rows + HALO; q++) {
                    const int iy = top + q * SY, in = n0 + i < N && iy >= 0 && iy < IH;
                    map row = x + (((long)(n0 + i) * IH + iy) * IW + left) * PIXEL + STEP_AT(step);
                    FILL_ROW(to, row, first, in ? last : 0, PITCH);
                }
        }
    return amx_any(any);
}

/* Four tiles of results: 32 pixels by 32 outputs, `steps` of the sum. */
SP_INLINE void multiply(const ushort *a0, const ushort *a1, __global const ushort *b, const int *offset, int n_taps,
                        int steps, int low)
{
    for (int step = 0; step < steps; step++, a0 += PARTS * PART, a1 += PARTS * PART)
        for (int t = 0; t < n_taps; t++, b += 4 * AMX_TILE) {
            const ushort *p0 = a0 + offset[t], *p1 = a1 + offset[t];
            AMX_LOAD(6, b, 64);
            AMX_LOAD(7, b + AMX_TILE, 64);
            if (PARTS == 2 && low) {
                AMX_LOAD(4, p0 + PART, 64);
                AMX_LOAD(5, p1 + PART, 64);
                AMX_MULTIPLY_4;
            }
            AMX_LOAD(4, p0, 64);
            AMX_LOAD(5, p1, 64);
            AMX_MULTIPLY_4;
            if (!BF16) {
                AMX_LOAD(6, b + 2 * AMX_TILE, 64);
                AMX_LOAD(7, b + 3 * AMX_TILE, 64);
                AMX_MULTIPLY_4;
            }
        }
}

/* Where pixel p of a block lies. */
#define COLUMNS (FLAT ? PITCH : OW)
#define IMAGE (FLAT ? CEIL(rows * PITCH, 16) * 16 : rows * OW)
#define IMAGE_OF(p) ((p) / IMAGE)
#define ROW_IN(p) ((p) % IMAGE / COLUMNS)
#define COLUMN_IN(p) ((p) % IMAGE % COLUMNS)

/* 16 pixels from p on, 16 outputs from o on, that are no tile of the result: through `part`. */
SP_INLINE void exchange(float *part, __global float *y, const grid *g, int n0, int oy0, int rows, int p, int pixels, int o,
                        int store)
{
    int n = n0 + IMAGE_OF(p), qy = oy0 + ROW_IN(p), qx = COLUMN_IN(p);
    for (int i = 0; i < 16 && p + i < pixels; i++) {
        __global float *to = y + ROW_OF(*g, n, qy, qx) + o;
        if (qy < g->oh && qx < g->ow && store)
            sp_store_lanes(vload16(i, part), to, CO - o);
        else if (qy < g->oh && qx < g->ow)
            vstore16(sp_load_lanes(to, CO - o), i, part);
        if (++qx == COLUMNS) {
            qx = 0;
            if (++qy == oy0 + rows) {
                if (FLAT)
                    return;
                qy = oy0, n++;
            }
        }
    }
}

/* Whether the pixels of a tile lie at equal distances in the result, and where. */
#define WHOLE(p, o)                                                                                          \
    ((o) + 16 <= CO && (p) + 16 <= pixels && (!FLAT || COLUMN_IN(p) + 16 <= OW) &&                           \
     (CLASSES == 1 || (ONE_COLUMN && g.ow == OW && oy0 + ROW_IN(p) < g.oh)))
#define RESULT(p, o) (y + ROW_OF(g, n0 + IMAGE_OF(p), oy0 + ROW_IN(p), COLUMN_IN(p)) + (o))
#define START(tile, p, o)                                                                                    \
    if (c0 == 0 && !WITH_BIAS)                                                                               \
        AMX_ZERO(tile);                                                                                      \
    else if (c0 == 0)                                                                                        \
        AMX_LOAD(tile, bias_of + (o) % 32, 0);                                                               \
    else if (WHOLE(p, o))                                                                                    \
        AMX_LOAD(tile, RESULT(p, o), STRIDE);                                                                \
    else {                                                                                                   \
        exchange(part, y, &g, n0, oy0, rows, p, pixels, o, 0);                                               \
        AMX_LOAD(tile, part, 64);                                                                            \
    }
#define FINISH(tile, p, o)                                                                                   \
    if (WHOLE(p, o))                                                                                         \
        AMX_STORE(tile, RESULT(p, o), STRIDE);                                                               \
    else if ((o) < CO) {                                                                                     \
        AMX_STORE(tile, part, 64);                                                                           \
        exchange(part, y, &g, n0, oy0, rows, p, pixels, o, 1);                                               \
    }

/* One class of a block, steps from c0 on, outputs of some panels. */
SP_INLINE void multiply_class(const ushort *a, __global const ushort *weights, __global const float *bias,
                              __global float *y, int class, int N, int n0, int oy0, int c0, int steps, int low,
                              int first, int last)
{
    const grid g = class_grid(class);
    const int rows = MIN(R, OH - oy0), pixels = MIN(G, N - n0) * IMAGE, n_taps = g.ty * g.tx;
    float part[256] __attribute__((aligned(64))), bias_of[32] __attribute__((aligned(64)));
    int offset[TY * TX];
    for (int t = 0; t < n_taps; t++) {
        const int iy = t / g.tx * DH + g.dy, ix = t % g.tx * DW + g.dx;
        offset[t] = ((ONE_ROW ? iy * PITCH : iy / DH * COPIES_X * COPY) + (ONE_COLUMN ? ix : ix / DW * COPY)) * 32;
    }
    for (int panel = first; panel < last; panel++) {
        const int o = panel * 32;
        __global const ushort *b = weights + (g.weights + (ulong)(panel * STEPS + c0) * n_taps) * (4 * AMX_TILE);
        for (int i = 0; WITH_BIAS && i < 32; i++)
            bias_of[i] = o + i < CO ? bias[o + i] : 0.0f;
        for (int p = 0; p < pixels; p += 32) {
            const int p1 = p + 16 < pixels ? p + 16 : p;
#define AT(p) (a + ((IMAGE_OF(p) * (rows + HALO) + ROW_IN(p)) * PITCH + COLUMN_IN(p)) * 32)
            START(0, p, o) START(1, p, o + 16) START(2, p1, o) START(3, p1, o + 16)
            multiply(AT(p), AT(p1), b, offset, n_taps, steps, low);
            FINISH(0, p, o) FINISH(1, p, o + 16) FINISH(2, p1, o) FINISH(3, p1, o + 16)
        }
    }
}

#if BF16
#define HOW(how) amx_bf16##how
#else
#define HOW(how) amx##how
#endif
#if BACKWARD
SP_INLINE void pack(__global ushort *to, __global const float *w, int tap, int panel, int step)
{
    for (int c = panel * 32; c < panel * 32 + 32; c += 16, to += AMX_TILE)
        amx_put_columns(to, w + ((ulong)tap * C + MIN(c, C - 1)) * O + step * 32, O, C - c, O - step * 32);
}
#define NAME(how) CAT(conv_backward_input__, HOW(how))
#define X e
#define Y g_x
#else
SP_INLINE void pack(__global ushort *to, __global const float *w, int tap, int panel, int step)
{
    for (int half_ = 0; half_ < 2; half_++, to += AMX_TILE)
        for (int i = 0; i < 16; i++) {
            const int c = step * 32 + 2 * i, o = panel * 32 + half_ * 16;
            __global const float *from = w + ((ulong)tap * C + c) * O + o;
            AMX_PUT_PAIR(__global uint *, to, i, sp_load_lanes(from, c < C ? O - o : 0),
                         sp_load_lanes(from + O, c + 1 < C ? O - o : 0));
        }
}
#define NAME(how) CAT(conv_forward__, HOW(how))
#define X x
#define Y y
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(_weights)(SP_IN(float, w), SP_OUT(float, work))
{
    SP_AT(w); SP_AT(work);
    const int panel = (int)get_global_id(0), step = (int)get_global_id(1);
    for (int tap = 0; tap < KH * KW; tap++) {
#if BACKWARD
        const int ky = tap / KW, kx = tap % KW;
        const grid g = class_grid(ky % SH * SW + kx % SW);
        const int t = (g.ty - 1 - ky / SH) * g.tx + g.tx - 1 - kx / SW;
#else
        const grid g = class_grid(0);
        const int t = tap;
#endif
        const ulong at = g.weights + (ulong)(panel * STEPS + step) * (g.ty * g.tx) + t;
        pack((__global ushort *)work + at * (4 * AMX_TILE), w, tap, panel, step);
    }
}

#define IN_(type, name) SP_IN(type, name)
#define OUT_(type, name) SP_OUT(type, name)
#define AT_(name) SP_AT(name)
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#if !BACKWARD && X_BITS
void NAME()(IN_(uint, X), SP_IN(float, work),
#else
void NAME()(IN_(float, X), SP_IN(float, work),
#endif
#if WITH_BIAS
               SP_IN(float, bias),
#endif
               OUT_(float, Y), int N)
{
    AT_(X); SP_AT(work); AT_(Y);
#if WITH_BIAS
    SP_AT(bias);
#else
    __global const float *bias = work;
#endif
    ushort a[CHUNK * PARTS * PART] __attribute__((aligned(64)));
    /* Where there are few blocks, their outputs are shared out too: two units for each compute unit. */
    const int items = (int)get_global_size(0), item = (int)get_global_id(0);
    const int groups = MIN(PANELS, CEIL(items / 4, BLOCKS));
    const long units = (long)groups * BLOCKS;
    amx_begin();
    for (long unit = item * units / items; unit < (item + 1) * units / items; unit++) {
        const int group = (int)(unit / BLOCKS), at = (int)(unit % BLOCKS), n0 = at / STRIPS * G, oy0 = at % STRIPS * R;
        for (int c0 = 0; c0 < STEPS; c0 += CHUNK) {
            const int steps = MIN(CHUNK, STEPS - c0);
            const uint low = fill(a, X, N, n0, oy0, MIN(R, OH - oy0), c0, c0 + steps);
            for (int class = 0; class < CLASSES; class++)
                multiply_class(a, (__global const ushort *)work, bias, Y, class, N, n0, oy0, c0, steps, low != 0,
                               group * PANELS / groups, (group + 1) * PANELS / groups);
        }
    }
    amx_end();
}
