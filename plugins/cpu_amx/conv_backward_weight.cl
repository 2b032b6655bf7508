//@ plugin:    cpu_amx 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh weave.clh amx.clh
//@ all:       needs: amx_bf16
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ all:       score: 120
//@ let:       FEW = KH*KW*C*O <= 300000 && O <= 256
//@ let:       LARGE = HO*WO >= 512
//@ let:       TARGET = 512 + 512*(SH == 1 && (HO*WO % 32 == 0 || LARGE))
//@ let:       IMAGES = LARGE + !LARGE*ceildiv(TARGET, HO*WO)
//@ let:       ROWS = LARGE*min(HO, max(1, TARGET/WO)) + !LARGE*HO
//@ let:       SHARED_ROWS = SH == 1 && (HO*WO % 32 == 0 || LARGE)
//@ let:       TALL = (1 + (KH - 1)*!SHARED_ROWS)*ROWS + (KH - 1)*DH
//@ let:       WIDE = (1 + (KW - 1)*(SW > 1 || WO % 32 != 0))*WO + (KW - 1)*DW
//@ let:       A_BYTES = 128*(IMAGES*TALL*WIDE + KH*KW*(96 + (KW - 1)*DW)) + 65536
//@ let:       B_BYTES = 4096*ceildiv(O, 32)*IMAGES*(ROWS*(WO + (KW - 1)*DW)/32 + 1)
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__amx
//@ global:    cu*2
//@ local:     1
//@ kernel:    conv_backward_weight__amx_sum
//@ global:    cu*2
//@ local:     1
//@ define:    SLOTS = 1
//@ when:      C >= 8 && O >= 8 && FEW && A_BYTES + B_BYTES <= private_bytes
//@ workspace: cu*2*KH*KW*C*O
//@ about:     few weights: pixels are shared out, sums in slots; spikes are exact in bf16, e is split into two parts
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__amx_errors
//@ global:    cu*8
//@ local:     1
//@ kernel:    conv_backward_weight__amx_channels
//@ global:    cu*4
//@ local:     1
//@ define:    SLOTS = 0
//@ when:      C >= 8 && O >= 8 && !FEW && A_BYTES <= private_bytes
//@ workspace: ceildiv(N, IMAGES)*ceildiv(HO, ROWS)*roundup(IMAGES*ROWS*WO, 32)*roundup(O, 32)
//@ about:     many weights: input channels are shared out; spikes are exact in bf16, e is split into two parts
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__amx_bf16
//@ global:    cu*2
//@ local:     1
//@ kernel:    conv_backward_weight__amx_bf16_sum
//@ global:    cu*2
//@ local:     1
//@ define:    SLOTS = 1
//@ compute:   bf16
//@ score:     125
//@ when:      C >= 8 && O >= 8 && FEW && A_BYTES + B_BYTES <= private_bytes
//@ workspace: cu*2*KH*KW*C*O
//@ about:     few weights: pixels are shared out, sums in slots; float factors rounded to bf16
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__amx_bf16_errors
//@ global:    cu*8
//@ local:     1
//@ kernel:    conv_backward_weight__amx_bf16_channels
//@ global:    cu*4
//@ local:     1
//@ define:    SLOTS = 0
//@ compute:   bf16
//@ score:     125
//@ when:      C >= 8 && O >= 8 && !FEW && A_BYTES <= private_bytes
//@ workspace: ceildiv(N, IMAGES)*ceildiv(HO, ROWS)*roundup(IMAGES*ROWS*WO, 32)*roundup(O, 32)
//@ about:     many weights: input channels are shared out; float factors rounded to bf16

/* The sum runs over pixels: the left factor is x with channels in the rows, for each tap shifted, the right one e with pairs of
 * pixels interleaved. A block of pixels is R rows of one image, or G whole images:
 *   a[part][copy][32 channels][LINE pixels], for one word of channels at a time. A tap is an offset into one padded copy where
 *   32 pixels of the sum lie in one row, else into a copy for its column of the kernel; with strides, or where images are so
 *   small that 32 pixels lie in several, it is a copy of its own. Where that many copies take longer than products for pixels of the
 *   padding (FLAT), the sum runs over all columns of one padded copy, and those of the padding have errors of zero.
 *   b[32 outputs][32 pixels][part][2][16 pairs][16 outputs][2], for the block, or in `work` for all blocks.
 * In private memory `a` takes A_BYTES of the metadata at most, and b B_BYTES. */

#if BF16 /* first parts alone; those of e lie where they lie with both */
#define NAME(how) conv_backward_weight__amx_bf16##how
#else
#define NAME(how) conv_backward_weight__amx##how
#endif
#define TAPS (KH * KW)
#define PARTS (X_BITS || BF16 ? 1 : 2)
#define PANELS CEIL(O, 32)
#define SHARED_ROWS (SH == 1 && (HO * WO % 32 == 0 || HO * WO >= 512))
#define TARGET MIN(SHARED_ROWS ? 1024 : 512, MAX(64, SLOTS ? 131072 / (PANELS * 32) : 1024))
#if HO * WO >= 512
#define G 1
#define R MIN(HO, MAX(1, TARGET / WO))
#else
#define G CEIL(TARGET, HO * WO)
#define R HO
#endif
#define STRIPS CEIL(HO, R)
#define BLOCKS (CEIL(N, G) * STRIPS)
#define SPAN_X ((KW - 1) * DW)
#define SPAN_Y ((KH - 1) * DH)
#define IN_COLUMN (SW == 1 && WO % 32 == 0)
/* Cycles for a pixel of 32 channels: to copy it, and products and errors that are in vain. */
#define COPYING (X_BITS ? 6 : 30)
#define IN_VAIN ((2 * (PARTS + !BF16) * TAPS + 20) * PANELS * SPAN_X / WO)
#define FLAT (SLOTS && SH == 1 && SW == 1 && !IN_COLUMN && IN_VAIN < COPYING * (KW * (SHARED_ROWS ? 1 : KH) - 1))
#define ONE_COLUMN (IN_COLUMN || FLAT)
#define ONE_ROW (SHARED_ROWS || FLAT)
#define COPIES_X (ONE_COLUMN ? 1 : KW)
#define COPIES_Y (ONE_ROW ? 1 : KH)
#define PITCH (WO + (ONE_COLUMN ? SPAN_X : 0))
#define QH (R + (ONE_ROW ? SPAN_Y : 0))
#define LINE ((CEIL(G * QH * PITCH + FLAT * SPAN_X, 32) + 1 | 1) * 32) /* an odd number of cache lines */
#define COPY (32 * LINE)
#define PART (COPIES_X * COPIES_Y * COPY)
#define COLUMNS (FLAT ? PITCH : WO)
#define RUNS (FLAT ? G * CEIL(R * PITCH, 32) : CEIL(G * R * WO, 32)) /* 32 pixels of the sum */
#define RUN (4 * AMX_TILE)

#if SLOTS
typedef ushort *tiles;
typedef const ushort *tiles_in;
#define TILE_POINTER uint *
#else
typedef __global ushort *tiles;
typedef __global const ushort *tiles_in;
#define TILE_POINTER __global uint *
#endif

typedef struct {
    int n0, oy0, rows, images, image, pixels, runs; /* image: pixels of one, in whole runs where FLAT */
} pixels;

SP_INLINE pixels block_of(int at, int N)
{
    pixels b = {.n0 = at / STRIPS * G, .oy0 = at % STRIPS * R};
    b.rows = MIN(R, HO - b.oy0), b.images = MIN(G, N - b.n0);
    b.image = FLAT ? CEIL(b.rows * PITCH, 32) * 32 : b.rows * WO;
    b.pixels = b.images * b.image, b.runs = CEIL(b.pixels, 32);
    return b;
}

/* 16 outputs of e at pixel q, of the block or (FLAT) of an image with `end` rows; zeros where there is none. */
SP_INLINE float16 error_at(__global const float *from, int end, int q, int lanes)
{
#if FLAT
    const int y = q / PITCH, x = q % PITCH;
    return sp_load_lanes(from + ((long)y * WO + x) * O, y < end && x < WO ? lanes : 0);
#else
    return sp_load_lanes(from + (long)q * O, q < end ? lanes : 0);
#endif
}

/* e of a block for 32 outputs and 32 pixels; zeros past the last ones. */
SP_INLINE void put_errors(tiles to, __global const float *e, const pixels *b, int panel, int run)
{
    const int image = FLAT ? run * 32 / b->image : 0, first = run * 32 - image * b->image;
    __global const float *from = e + (((ulong)(b->n0 + image) * HO + b->oy0) * WO) * O + panel * 32;
    const int end = FLAT ? b->rows : b->pixels;
    for (int h = 0; h < 2; h++, to += AMX_TILE, from += 16)
        for (int i = 0; i < 16; i++) {
            const int lanes = O - panel * 32 - h * 16;
            AMX_PUT_PAIR(TILE_POINTER, to, i, error_at(from, end, first + 2 * i, lanes),
                         error_at(from, end, first + 2 * i + 1, lanes));
        }
}

#if X_BITS
#define PIXEL SP_WORDS(C)
typedef uint element; /* 32 channels of a pixel */
typedef __global const uint *map;

/* 32 pixels of a copy: channels to the rows. Bit 31 of each word is the sign that makes a mask. */
SP_INLINE uint put_run(ushort *to, const uint *word)
{
    uint16 first = vload16(0, word), second = vload16(1, word), row;
    for (int c = 31; c >= 0; c--, first += first, second += second) {
        __asm__("vpmovd2m %1, %%k1\n\tvpmovd2m %2, %%k2\n\tkunpckwd %%k1, %%k2, %%k1\n\t"
                "vmovdqu16 %3, %0 %{%%k1%}%{z%}"
                : "=v"(row)
                : "v"(first), "v"(second), "v"((uint16)(0x3f803f80u))
                : "k1", "k2");
        *(uint16 *)(to + c * LINE) = row;
    }
    return 0;
}
#else
#define PIXEL C
typedef float element;
typedef __global const float *map;

/* The same for floats word[32 pixels][32 channels], in two parts. Returns whether any second part is not zero. */
SP_INLINE uint put_run(ushort *to, const float *word)
{
    uint16 any = (uint16)(0u);
    for (int h = 0; h < 2; h++) {
        float16 first[16], second[16];
        for (int i = 0; i < 16; i++) {
            const float16 u = vload16(4 * i + h, word), v = vload16(4 * i + 2 + h, word);
            const uint16 u1 = amx_round(u), v1 = amx_round(v);
            first[i] = as_float16(u1 >> 16 | v1);
            second[i] = as_float16(amx_round(u - as_float16(u1)) >> 16 | amx_round(v - as_float16(v1)));
            any |= BF16 ? (uint16)(0u) : as_uint16(second[i]);
        }
        amx_transpose(first);
        if (amx_any(any)) /* else they are zeros as they lie */
            amx_transpose(second);
        for (int i = 0; i < 16; i++) {
            *(float16 *)(to + (h * 16 + i) * LINE) = first[i];
            if (PARTS == 2)
                *(float16 *)(to + PART + (h * 16 + i) * LINE) = second[i];
        }
    }
    return amx_any(any);
}
#endif
#define ELEMENTS (X_BITS ? 1 : 32)

/* 32 channels of a block, all copies. Returns whether any second part is not zero. */
SP_INLINE uint fill(ushort *a, map x, const pixels *b, int c)
{
    uint any = 0;
    const int height = ONE_ROW ? b->rows + SPAN_Y : b->rows;
    element word[32 * ELEMENTS] __attribute__((aligned(64)));
    for (int copy = 0; copy < COPIES_X * COPIES_Y; copy++) {
        const int cx = ONE_COLUMN ? 0 : copy % KW, cy = ONE_ROW ? 0 : ONE_COLUMN ? copy : copy / KW;
        ushort *to = a + copy * COPY;
        int n = 0;
        for (int q = 0; q < b->images * height * PITCH; q++) {
            const int row = q / PITCH, n_of = b->n0 + row / height;
            const int iy = (b->oy0 + row % height) * SH + cy * DH - PH, ix = q % PITCH * SW + cx * DW - PW;
            const int in = iy >= 0 && iy < H && ix >= 0 && ix < W;
            map from = x + (((long)n_of * H + iy) * W + ix) * PIXEL + c * ELEMENTS;
#if X_BITS
            word[n++] = in ? *from : 0u;
#else
            vstore16(sp_load_lanes(from, in ? C - c * 32 : 0), 2 * n, word);
            vstore16(sp_load_lanes(from + 16, in ? C - c * 32 - 16 : 0), 2 * n++ + 1, word);
#endif
            if (n == 32) {
                any |= put_run(to, word);
                to += 32, n = 0;
            }
        }
        for (; to < a + copy * COPY + LINE; to += 32, n = 0) { /* finite numbers for the last run, whose e is zero */
            for (int i = n * ELEMENTS; i < 32 * ELEMENTS; i++)
                word[i] = 0;
            any |= put_run(to, word);
        }
    }
    return any;
}

/* 16 channels by 16 outputs that are not whole: through `part`. */
SP_INLINE void exchange(float *part, __global float *to, int c, int o, int store)
{
    for (int i = 0; i < 16 && c + i < C; i++, to += O)
        if (store)
            sp_store_lanes(vload16(i, part), to, O - o);
        else
            vstore16(sp_load_lanes(to, O - o), i, part);
}

#define WHOLE(c, o) ((c) + 16 <= C && (o) + 16 <= O)
#define START(tile, c, o)                                                                                    \
    if (zero)                                                                                                \
        AMX_ZERO(tile);                                                                                      \
    else if (WHOLE(c, o))                                                                                    \
        AMX_LOAD(tile, to + (ulong)(c) * O + (o), O * 4);                                                    \
    else {                                                                                                   \
        exchange(part, to + (ulong)(c) * O + (o), c, o, 0);                                                  \
        AMX_LOAD(tile, part, 64);                                                                            \
    }
#define FINISH(tile, c, o)                                                                                   \
    if (WHOLE(c, o))                                                                                         \
        AMX_STORE(tile, to + (ulong)(c) * O + (o), O * 4);                                                   \
    else if ((c) < C && (o) < O) {                                                                           \
        AMX_STORE(tile, part, 64);                                                                           \
        exchange(part, to + (ulong)(c) * O + (o), c, o, 1);                                                  \
    }

/* Adds one tap of a block for 32 channels and 32 outputs to `to`, that tap's [C][O]. */
SP_INLINE void add_tap(__global float *to, const ushort *a, tiles_in e, const pixels *b, int tap, int c, int o, int low,
                       int zero)
{
    const int ky = tap / KW, kx = tap % KW, height = ONE_ROW ? b->rows + SPAN_Y : b->rows;
    float part[256] __attribute__((aligned(64)));
    a += ((ONE_ROW ? 0 : ky) * COPIES_X + (ONE_COLUMN ? 0 : kx)) * COPY;
    a += (ONE_ROW ? ky * DH * PITCH : 0) + (ONE_COLUMN ? kx * DW : 0);
    START(0, c, o) START(1, c, o + 16) START(2, c + 16, o) START(3, c + 16, o + 16)
    for (int run = 0; run < b->runs; run++, e += RUN) {
        const int p = run * 32, image = p / b->image, q = p % b->image;
        const ushort *at = a + (image * height + q / COLUMNS) * PITCH + q % COLUMNS;
        AMX_LOAD(6, e, 64);
        AMX_LOAD(7, e + AMX_TILE, 64);
        if (PARTS == 2 && low) {
            AMX_LOAD(4, at + PART, LINE * 2);
            AMX_LOAD(5, at + PART + 16 * LINE, LINE * 2);
            AMX_MULTIPLY_4;
        }
        AMX_LOAD(4, at, LINE * 2);
        AMX_LOAD(5, at + 16 * LINE, LINE * 2);
        AMX_MULTIPLY_4;
        if (!BF16) {
            AMX_LOAD(6, e + 2 * AMX_TILE, 64);
            AMX_LOAD(7, e + 3 * AMX_TILE, 64);
            AMX_MULTIPLY_4;
        }
    }
    FINISH(0, c, o) FINISH(1, c, o + 16) FINISH(2, c + 16, o) FINISH(3, c + 16, o + 16)
}

#if SLOTS
#define USED MIN((int)get_global_size(0), BLOCKS) /* slots with pixels */

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME()(SP_IN(element, x), SP_IN(float, e), SP_OUT(float, work), int N)
{
    SP_AT(x); SP_AT(e); SP_AT(work);
    ushort a[PARTS * PART] __attribute__((aligned(64))), b[PANELS * RUNS * RUN] __attribute__((aligned(64)));
    const int item = (int)get_global_id(0), first = (int)((long)item * BLOCKS / USED);
    __global float *slot = work + (ulong)item * (TAPS * C) * O;
    if (item >= USED)
        return;
    amx_begin();
    for (int at = first; at < (int)((item + 1L) * BLOCKS / USED); at++) {
        const pixels block = block_of(at, N);
        for (int i = 0; i < PANELS * block.runs; i++)
            put_errors(b + i * RUN, e, &block, i / block.runs, i % block.runs);
        for (int c = 0; c < CEIL(C, 32); c++) {
            const uint low = fill(a, x, &block, c);
            for (int i = 0; i < PANELS * TAPS; i++)
                add_tap(slot + (ulong)(i % TAPS) * C * O, a, b + i / TAPS * block.runs * RUN, &block, i % TAPS, c * 32,
                        i / TAPS * 32, low != 0, at == first);
        }
    }
    amx_end();
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(_sum)(SP_IN(float, work), SP_IO(float, g_w), int N)
{
    SP_AT(work); SP_AT(g_w);
    const long weights = (long)TAPS * C * O, items = (long)get_global_size(0), item = (long)get_global_id(0);
    const long end = (item + 1) * weights / items;
    for (long i = item * weights / items; i < end; i += 16) {
        float16 sum = sp_load_lanes(g_w + i, (int)MIN(16, end - i));
        for (int slot = 0; slot < USED; slot++)
            sum += sp_load_lanes(work + slot * weights + i, (int)MIN(16, end - i));
        sp_store_lanes(sum, g_w + i, (int)MIN(16, end - i));
    }
}
#else
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(_errors)(SP_IN(float, e), SP_OUT(float, work), int N)
{
    SP_AT(e); SP_AT(work);
    const long units = (long)BLOCKS * PANELS, items = (long)get_global_size(0), item = (long)get_global_id(0);
    for (long unit = item * units / items; unit < (item + 1) * units / items; unit++) {
        const pixels block = block_of((int)(unit / PANELS), N);
        tiles to = (tiles)work + (ulong)unit * RUNS * RUN;
        for (int run = 0; run < block.runs; run++)
            put_errors(to + run * RUN, e, &block, (int)(unit % PANELS), run);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(_channels)(SP_IN(element, x), SP_IN(float, work), SP_IO(float, g_w), int N)
{
    SP_AT(x); SP_AT(work); SP_AT(g_w);
    ushort a[PARTS * PART] __attribute__((aligned(64)));
    const int items = (int)get_global_size(0), item = (int)get_global_id(0), words = CEIL(C, 32);
    const int groups = MIN(PANELS, CEIL(items, words)); /* of outputs, where there are few words of channels */
    amx_begin();
    for (int unit = item * words * groups / items; unit < (item + 1) * words * groups / items; unit++)
        for (int at = 0; at < BLOCKS; at++) {
            const int c = unit / groups, group = unit % groups;
            const pixels block = block_of(at, N);
            const uint low = fill(a, x, &block, c);
            for (int panel = group * PANELS / groups; panel < (group + 1) * PANELS / groups; panel++)
                for (int tap = 0; tap < TAPS; tap++)
                    add_tap(g_w + (ulong)tap * C * O, a, (tiles_in)work + ((ulong)at * PANELS + panel) * RUNS * RUN, &block,
                            tap, c * 32, panel * 32, low != 0, 0);
        }
    amx_end();
}
#endif
