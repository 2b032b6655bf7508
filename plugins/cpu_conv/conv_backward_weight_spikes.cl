//@ plugin:    cpu_conv 1.0.0
//@ abi:       1
//@ include:   macros.clh
//@ let:       JH = ceildiv(H, SH)
//@ let:       JW = ceildiv(W, SW)
//@ let:       ABOVE = max(0, ceildiv((KH - 1)*DH - PH, SH))
//@ let:       LEFT = max(0, ceildiv((KW - 1)*DW - PW, SW))
//@ let:       PITCH = max(JW + (SW - 1 + PW)/SW, LEFT + WO)
//@ let:       GROUP = max(1, (JH*JW <= 64)*128/(JH*JW))
//@ let:       E_ROWS = GROUP*max(JH + (SH - 1 + PH)/SH, ABOVE + HO) + ABOVE + 1
//@ let:       STRIP_BYTES = 128*PITCH*(min(E_ROWS, 256/JW + 1 + (SH - 1 + PH)/SH + ABOVE + 1)*(JH*JW > 64) + E_ROWS*(JH*JW <= 64)) + 131072
//@ let:       SHAPE = C >= 8 && O % 16 == 0 && KH*KW > 2 && KH*KW <= 25 && SH <= 2 && SW <= 2 && W <= 512
//@ let:       FITS = X_BITS && SHAPE && STRIP_BYTES <= private_bytes
//@ let:       COLUMNS = O/(16 + 16*(KH*KW <= 12 && O % 32 == 0))
//@ let:       BITS = N*ceildiv(ceildiv(H, SH), max(1, 256/ceildiv(W, SW)))*max(8, 2*ceildiv(ceildiv(W, SW), 64))*SH*SW*roundup(C, 32)
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__pixel_bits
//@ global:    min(N*H, cu*16)
//@ local:     1
//@ kernel:    conv_backward_weight__spikes
//@ global:    COLUMNS, ceildiv(C, 64)
//@ local:     1, 1
//@ define:    SLOTS = 1
//@ when:      FITS && COLUMNS*ceildiv(C, 64) >= 8
//@ workspace: BITS
//@ score:     80
//@ about:     adds e of each spike for all taps at once: no multiplication, work in proportion to the firing rate
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__pixel_bits_slots
//@ global:    min(N*H, cu*16)
//@ local:     1
//@ kernel:    conv_backward_weight__spikes_slots
//@ global:    COLUMNS, ceildiv(C, 64), min(N, 4)
//@ local:     1, 1, 1
//@ kernel:    conv_backward_weight__slot_sum
//@ global:    KH*KW*ceildiv(C, 8)
//@ local:     1
//@ define:    SLOTS = 4
//@ when:      FITS
//@ workspace: BITS + min(N, 4)*KH*KW*C*O
//@ score:     70
//@ about:     the same with a partial sum per group of images, for layers with few weights

/* g_w[tap][c][o] += sum over spikes (pixel, c) of e[pixel moved by the tap][o].
 *
 * The first pass transposes the spikes: for each strip of 128 to 256 pixels and each channel, bits by pixel.
 * A work-item owns up to 64 channels and VECTORS vectors of outputs. It copies a strip of e into a buffer
 * with zeros around, so that a tap is a constant distance; then, channel by channel, the sums of all taps
 * stay in registers while the bits are walked: a spike costs one addition of a vector in the near cache per
 * tap and vector. Where more than half of a channel's neurons fire, the others are taken off the sum over
 * all pixels instead. With strides the input is cut in SH x SW classes of pixels, each with taps of its own.
 * Ranges of strips are fixed, so the order of the sums is. */

/* Rounded down; a may be negative. */
#define FLOOR(a, b) (((a) + 1024 * (b)) / (b) - 1024)

#define TAPS (KH * KW)
#define VECTORS (1 + (TAPS <= 12 && O % 32 == 0))
#define COLS (16 * VECTORS)
#define SUMS (TAPS * VECTORS)
#define BLOCK MIN(C, 64)
#define K (TAPS * C)

/* Input pixels of a class: JH x JW. Taps move them by MIN_SY .. MAX_SY rows and MIN_SX .. MAX_SX columns of e. */
#define CLASSES (SH * SW)
#define JH CEIL(H, SH)
#define JW CEIL(W, SW)
#define MIN_SY MIN(0, FLOOR(PH - (KH - 1) * DH, SH))
#define MAX_SY MAX(0, FLOOR(SH - 1 + PH, SH))
#define MIN_SX MIN(0, FLOOR(PW - (KW - 1) * DW, SW))
#define MAX_SX MAX(0, FLOOR(SW - 1 + PW, SW))
#define TOP (-MIN_SY)
#define LEFT (-MIN_SX)

/* A strip: R rows of one image, or G images where they are small. */
#if JH * JW <= 64
#define G (128 / (JH * JW))
#define R JH
#else
#define G 1
#define R CEIL(JH, CEIL(JH, MAX(1, 256 / JW)))
#endif
#define STRIPS_Y CEIL(JH, R)
#define STRIPS (CEIL(N, G) * STRIPS_Y)
#define POSITIONS (G * R * JW)
#define WORDS CEIL(POSITIONS, 64)
#define VALID(k) (POSITIONS - 64 * (k) >= 64 ? ~0ul : (1ul << (POSITIONS & 63)) - 1)

/* The copy of e: neighbouring rows and images share their margins. With the sums it takes STRIP_BYTES of private memory at most. */
#define PITCH MAX(JW + MAX_SX, LEFT + WO)
#define IMAGE_ROWS (G > 1 ? MAX(JH + MAX_SY, TOP + HO) : R + MAX_SY)
#define E_ROWS (G * IMAGE_ROWS + TOP + 1)

/* work: [strip][class][channel][2*WORDS] bits by pixel, then [slot][K][O] sums. */
#define CHANNELS (CEIL(C, 32) * 32)
#define BITS(work, strip, class, c)                                                                          \
    ((work) + (((ulong)(strip) * CLASSES + (class)) * CHANNELS + (c)) * (2 * WORDS))
#define PARTIAL(work) ((work) + (ulong)STRIPS * CLASSES * CHANNELS * (2 * WORDS))

/* One round of a transposition of 32 x 32 bits: those `step` apart change places with rows `step` apart. */
SP_INLINE void exchange(uint *rows, const int step, const uint low)
{
    for (int i = 0; i < 32; i += 2 * step)
        for (int j = i; j < i + step; j++) {
            const uint change = (rows[j] >> step ^ rows[j + step]) & low;
            rows[j] ^= change << step;
            rows[j + step] ^= change;
        }
}

SP_INLINE void transpose(uint *rows)
{
    exchange(rows, 16, 0x0000ffffu);
    exchange(rows, 8, 0x00ff00ffu);
    exchange(rows, 4, 0x0f0f0f0fu);
    exchange(rows, 2, 0x33333333u);
    exchange(rows, 1, 0x55555555u);
}

/* Words of 32 channels at the positions of one class of one strip, 0 outside the images. */
SP_INLINE void gather(__global const uint *x, uint *rows, int N, int strip, int class, int word)
{
    const int n0 = strip / STRIPS_Y * G, y0 = strip % STRIPS_Y * R, py = class / SW, px = class % SW;
    uint *to = rows;
    for (int g = 0; g < G; g++)
        for (int r = 0; r < R; r++) {
            const int iy = (y0 + r) * SH + py;
            const bool inside = n0 + g < N && iy < H;
            __global const uint *from = x + (((ulong)(n0 + g) * H + iy) * W + px) * SP_WORDS(C) + word;
            for (int j = 0; j < JW; j++)
                *to++ = inside && j * SW + px < W ? from[j * SW * SP_WORDS(C)] : 0u;
        }
    while (to < rows + WORDS * 64)
        *to++ = 0;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#if SLOTS == 1
void conv_backward_weight__pixel_bits(SP_IN(uint, x), SP_OUT(uint, work), int N)
#else
void conv_backward_weight__pixel_bits_slots(SP_IN(uint, x), SP_OUT(uint, work), int N)
#endif
{
    SP_AT(x); SP_AT(work);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    uint rows[WORDS * 64];
    for (int strip = (int)(item * STRIPS / items); strip < (int)((item + 1) * STRIPS / items); strip++)
        for (int class = 0; class < CLASSES; class++)
            for (int word = 0; word < SP_WORDS(C); word++) {
                gather(x, rows, N, strip, class, word);
                __global uint *to = BITS(work, strip, class, word * 32);
                for (int k = 0; k < 2 * WORDS; k++) {
                    transpose(rows + 32 * k);
                    for (int c = 0; c < 32; c++)
                        to[c * 2 * WORDS + k] = rows[32 * k + c];
                }
            }
}

/* Sums that are not USED fold away. */
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16)  \
    F(17) F(18) F(19) F(20) F(21) F(22) F(23) F(24)
#define SHIFT_Y(i) (py + PH - (i) / VECTORS / KW * DH)
#define SHIFT_X(i) (px + PW - (i) / VECTORS % KW * DW)
#define USED(i) ((i) < SUMS && SHIFT_Y(i) % SH == 0 && SHIFT_X(i) % SW == 0)
#define AT(i) (((SHIFT_Y(i) / SH + TOP) * PITCH + SHIFT_X(i) / SW + LEFT) * COLS + (i) % VECTORS * 16)

/* Adds e of the positions in `words` to the sums of the taps that class (py, px) has. */
SP_INLINE void add(float16 *sums, const float16 *total, int flip, const ulong *words, const float *e, const int py,
                   const int px)
{
#define START(i) float16 a##i = (float16)(0.0f);                                                             \
    if (USED(i)) a##i = flip ? -(sums[i] + total[i]) : sums[i];
    EACH(START)
    for (uint k = 0; k < WORDS; k++)
        for (ulong m = words[k]; m; m &= m - 1) {
            const uint p = 64 * k + (uint)popcount(~m & (m - 1));
            const uint row = p / JW + (G > 1 ? p / (JH * JW) * (uint)(IMAGE_ROWS - JH) : 0u);
            const float *at = e + (row * PITCH + p % JW) * COLS;
#define ADD(i) if (USED(i)) a##i += vload16(0, at + AT(i));
            EACH(ADD)
        }
#define STORE(i) if (USED(i)) sums[i] = flip ? -a##i : a##i;
    EACH(STORE)
}

/* A channel's words, turned round where most of it fires. */
SP_INLINE int read(__global const uint *bits, ulong *words)
{
    uint count = 0;
    for (int k = 0; k < WORDS; k++) {
        words[k] = bits[2 * k] | (ulong)bits[2 * k + 1] << 32;
        count += (uint)popcount(words[k]);
    }
    if (count <= POSITIONS / 2)
        return 0;
    for (int k = 0; k < WORDS; k++)
        words[k] = ~words[k] & VALID(k);
    return 1;
}

/* All channels of the work-item for one class; the sum over all positions first, where a channel needs it. */
SP_INLINE void add_class(float16 *sums, int channels, __global const uint *bits, const float *e, const int py,
                         const int px)
{
    float16 total[SUMS];
    ulong words[WORDS];
    int first = 0;
    for (int c = 0; c < channels && first == 0; c++)
        first = -read(bits + c * 2 * WORDS, words);
    for (int c = first; c < channels; c++) {
        int flip = 0;
        if (c < 0)
            for (int i = 0; i < MAX(SUMS, WORDS); i++) {
                if (i < SUMS)
                    total[i] = (float16)(0.0f);
                if (i < WORDS)
                    words[i] = VALID(i);
            }
        else
            flip = read(bits + c * 2 * WORDS, words);
        add(c < 0 ? total : sums + c * SUMS, total, flip, words, e, py, px);
    }
}

SP_INLINE float16 *zero(float16 *to, int n)
{
    for (int i = 0; i < n; i++)
        *to++ = (float16)(0.0f);
    return to;
}

/* e of a strip, with zeros around each image. */
SP_INLINE void pad(float16 *to, __global const float *e, int N, int strip)
{
    const int n0 = strip / STRIPS_Y * G, y0 = strip % STRIPS_Y * R;
    int g = 0, oy = y0 - TOP;
    for (int i = 0; i < E_ROWS; i++, oy++) {
        if (G > 1 && oy == IMAGE_ROWS - TOP) {
            oy = -TOP;
            g++;
        }
        if (g >= G || n0 + g >= N || oy < 0 || oy >= HO) {
            to = zero(to, PITCH * VECTORS);
            continue;
        }
        __global const float *from = e + ((ulong)(n0 + g) * HO + oy) * (ulong)(WO * O);
        to = zero(to, LEFT * VECTORS);
        for (int j = 0; j < WO; j++, from += O)
            for (int v = 0; v < VECTORS; v++)
                *to++ = vload16(v, from);
        to = zero(to, (PITCH - LEFT - WO) * VECTORS);
    }
}

/* Sums [channel][tap][vector] over strips first .. last-1. */
SP_INLINE void sum_strips(float16 *sums, __global const uint *work, __global const float *e, int N, int c0,
                          int channels, int first, int last)
{
    float16 padded[E_ROWS * PITCH * VECTORS];
    zero(sums, channels * SUMS);
    for (int strip = first; strip < last; strip++) {
        pad(padded, e, N, strip);
        const float *from = (const float *)padded;
        add_class(sums, channels, BITS(work, strip, 0, c0), from, 0, 0);
#if SW == 2
        add_class(sums, channels, BITS(work, strip, 1, c0), from, 0, 1);
#endif
#if SH == 2
        add_class(sums, channels, BITS(work, strip, SW, c0), from, 1, 0);
#endif
#if SH == 2 && SW == 2
        add_class(sums, channels, BITS(work, strip, 3, c0), from, 1, 1);
#endif
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#if SLOTS == 1
void conv_backward_weight__spikes(SP_IN(uint, work), SP_IN(float, e), SP_IO(float, g_w), int N)
{
    SP_AT(work); SP_AT(e); SP_AT(g_w);
    const int slot = 0, slots = 1;
#else
void conv_backward_weight__spikes_slots(SP_IN(float, e), SP_IO(uint, work), int N)
{
    SP_AT(work); SP_AT(e);
    const int slot = (int)get_global_id(2), slots = (int)get_global_size(2);
    __global float *g_w = (__global float *)PARTIAL(work) + (ulong)slot * (K * O);
#endif
    const int o = (int)get_global_id(0) * COLS, c0 = (int)get_global_id(1) * BLOCK, channels = min(BLOCK, C - c0);
    float16 sums[BLOCK * SUMS];
    sum_strips(sums, work, e + o, N, c0, channels, (int)((long)slot * STRIPS / slots),
               (int)((long)(slot + 1) * STRIPS / slots));
    for (int tap = 0; tap < TAPS; tap++)
        for (int c = 0; c < channels; c++) {
            __global float *to = g_w + ((ulong)tap * C + c0 + c) * O + o;
            const float16 *from = sums + c * SUMS + tap * VECTORS;
            for (int v = 0; v < VECTORS; v++)
                vstore16(SLOTS == 1 ? vload16(v, to) + from[v] : from[v], v, to);
        }
}

#if SLOTS > 1
/* Eight rows of g_w. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void conv_backward_weight__slot_sum(SP_IN(uint, work), SP_IO(float, g_w), int N)
{
    SP_AT(work); SP_AT(g_w);
    const int first = (int)((long)get_global_id(0) * K / (long)get_global_size(0));
    const int last = (int)((long)(get_global_id(0) + 1) * K / (long)get_global_size(0));
    __global const float *from = (__global const float *)PARTIAL(work);
    for (ulong i = (ulong)first * O; i < (ulong)last * O; i += 16) {
        float16 sum = vload16(0, from + i);
        for (int s = 1; s < MIN(N, SLOTS); s++)
            sum += vload16(0, from + (ulong)s * (K * O) + i);
        vstore16(vload16(0, g_w + i) + sum, 0, g_w + i);
    }
}
#endif
