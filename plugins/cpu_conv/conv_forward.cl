//@ plugin:    cpu_conv 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh vectors.clh tiles.clh bf16.clh
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ let:       TILE_ROWS = 1 + 7*(WO == 1 && HO > 1) + 2*(WO >= 2 && WO <= 7)
//@ let:       TILE_IMAGES = 1 + 7*(HO*WO == 1) + (WO == 2)
//@ let:       ROW = ((WO - 1 + 13*(WO > 7))*SW + (KW - 1)*DW + 1)*C
//@ let:       WHOLE = ((HO + TILE_ROWS - 2)*SH + (KH - 1)*DH + 1)*ROW
//@ let:       IMAGES = min(ceildiv(64, HO*WO) + TILE_IMAGES, 262144/WHOLE + 1 + TILE_IMAGES)*WHOLE
//@ let:       ROWS = TILE_IMAGES*(max(TILE_ROWS*SH*ROW, 16384) + (KH - 1)*DH*ROW)
//@ let:       STRIP_BYTES = 4*(16 + (HO*WO <= 64)*IMAGES + (HO*WO > 64)*ROWS)
//@ op:        conv.forward/1
//@ kernel:    conv_forward__tiles
//@ global:    cu*16
//@ local:     1
//@ define:    PACKED = 0
//@ when:      O >= 4 && (O < 16 || KH*KW*C*O <= 40000) && STRIP_BYTES <= private_bytes
//@ score:     60
//@ about:     up to 14 pixels x 32 outputs in registers, weights read where they lie
//@ op:        conv.forward/1
//@ kernel:    conv_forward__pack
//@ global:    ceildiv(O, 32), ceildiv(KH*KW*C, 64)
//@ local:     1, 1
//@ kernel:    conv_forward__packed_tiles
//@ global:    cu*16
//@ local:     1
//@ define:    PACKED = 1
//@ when:      O >= 16 && STRIP_BYTES <= private_bytes
//@ workspace: roundup(O, 32)*KH*KW*C
//@ score:     50
//@ about:     the same with the weights packed into panels of 32 outputs first
//@ op:        conv.forward/1
//@ kernel:    conv_forward__pack_bf16
//@ global:    ceildiv(O, 32), ceildiv(KH*KW*C, 64)
//@ local:     1, 1
//@ kernel:    conv_forward__packed_tiles_bf16
//@ global:    cu*16
//@ local:     1
//@ define:    PACKED = 1
//@ needs:     avx512_bf16
//@ compute:   bf16
//@ when:      O >= 16 && C % 2 == 0 && STRIP_BYTES <= private_bytes
//@ workspace: roundup(O, 32)*KH*KW*(C/2)
//@ score:     65
//@ about:     the same in bf16: two multiplications in the time of one

/* y = x * w [+ bias].
 *
 * A work-item (one per group) takes strips: R output rows of an image, or G whole images where they are
 * small. It copies the strip's input into a zero-padded private buffer, so that the loops below know no
 * borders, strides or tails, then runs tiles of P = TN x TY x TX output pixels by two vectors of outputs
 * over it. Within a kernel row taps and channels are one contiguous run. A last vector of outputs that
 * would pass O is moved back and computes some outputs twice. Spikes are unpacked by that copy; real
 * inputs without padding and tails are read in place. */

/* The strip and its padded copy, in private memory: STRIP_BYTES of the metadata is at least as much. */
#define IN_PLACE (!BF16 && !X_BITS && PH == 0 && PW == 0 && WO % TX == 0 && HO % TY == 0 && TN == 1)
#if IN_PLACE
#define XW W
#else
#define XW ((CEIL(WO, TX) * TX - 1) * SW + (KW - 1) * DW + 1)
#endif
#define ROW (XW * C)
#define SMALL (HO * WO <= 64)
#if SMALL
#define R (CEIL(HO, TY) * TY)
#define G (CEIL(MIN(CEIL(64, HO * WO), MAX(1, 262144 / IMAGE)), TN) * TN)
#else
#define R MIN(TY * MAX(1, 16384 / (SH * ROW * TY)), CEIL(HO, TY) * TY)
#define G TN
#endif
#define XH ((R - 1) * SH + (KH - 1) * DH + 1)
#if IN_PLACE
#define IMAGE (H * W * C)
typedef __global const float *x_pointer;
#else
#define IMAGE (XH * ROW)
typedef __private const NUMBER *x_pointer;
#endif
#define STRIPS (CEIL(N, G) * CEIL(HO, R))
/* Outputs that a work-item computes for one strip; all of them where the last vector overlaps its
 * neighbour. */
#define PANEL (O % VW ? VECS : 8)
#define PANELS CEIL(VECS, PANEL)

/* Taps that follow each other without a gap in a padded row. */
#if DW == 1
#define RUNS 1
#define RUN (KW * C)
#else
#define RUNS KW
#define RUN C
#endif

#if PACKED
#define W_STEP 32
#else
#define W_STEP O
#endif

#if !IN_PLACE
/* `width` pixels of one row. Spikes are stored 16 at a time, past the last channel too: the next pixel (or
 * the slack at the end of the buffer) lies there. */
inline void copy(NUMBER *to, __global const sp_x *from, int width)
{
#if X_BITS
    for (int i = 0; i < width; i++, from += SP_WORDS(C))
        for (int c = 0; c < C; c += 16)
            KEEP16(sp_spread_bits(from[c / 32] >> (c & 16), 1.0f), to + i * C + c);
#else
    int i = 0;
    for (; i + 16 <= width * C; i += 16)
        KEEP16(vload16(0, from + i), to + i);
    for (; i < width * C; i++)
        to[i] = KEEP(from[i]);
#endif
}

#if X_BITS
#define PIXEL SP_WORDS(C)
#else
#define PIXEL C
#endif

/* Rows oy0*SH - PH ... of images n0 ... into the padded buffer. */
inline void pad(NUMBER *to, __global const sp_x *x, int n0, int images, int oy0)
{
    const int left = MIN(PW, XW), width = MAX(0, MIN(W, XW - left));
    for (int g = 0; g < G; g++)
        for (int r = 0; r < XH; r++, to += ROW) {
            const int iy = oy0 * SH - PH + r;
            if (g >= images || iy < 0 || iy >= H) {
                clear(to, ROW);
                continue;
            }
            clear(to, left * C);
            copy(to + left * C, x + ((ulong)(n0 + g) * H + iy) * (ulong)(W * PIXEL), width);
            clear(to + (left + width) * C, ROW - (left + width) * C);
        }
}
#endif

/* One tile: pixels at (n, oy, ox), in at most nn images, outputs o0.. and, if two, o1... */
SP_INLINE void tile(x_pointer x, __global const W_NUMBER *w0, __global const W_NUMBER *w1, __global const float *bias,
                    __global float *y, int n, int nn, int oy, int ox, int o0, int o1, int two)
{
#if BIAS
    const vec b0 = VLOAD(bias + o0), b1 = two ? VLOAD(bias + o1) : (vec)(0.0f);
#else
    const vec b0 = (vec)(0.0f), b1 = (vec)(0.0f);
#endif
#define START(i) vec u##i = b0, v##i = b1;
    EACH(START)
    for (int ky = 0; ky < KH; ky++)
        for (int kx = 0; kx < RUNS; kx++) {
            x_pointer p = x + ky * DH * ROW + kx * DW * C;
            for (int c = 0; c < RUN; c += STEPS) {
                const w_vec f0 = VLOAD(w0), f1 = two ? VLOAD(w1) : (w_vec)(0);
#define STEP(i) {                                                                                            \
        const w_vec a = FACTOR(p + PIXEL_N(i) * IMAGE + PIXEL_Y(i) * SH * ROW + PIXEL_X(i) * SW * C);        \
        MULTIPLY(u##i, a, f0);                                                                               \
        if (two) MULTIPLY(v##i, a, f1); }
                EACH(STEP)
                w0 += W_STEP;
                w1 += W_STEP;
                p += STEPS;
            }
        }
    __global float *to = y + (((ulong)n * HO + oy) * WO + ox) * (ulong)O;
    const int ny = HO - oy, nx = WO - ox;
#define PUT(i) if (PIXEL_N(i) < nn && PIXEL_Y(i) < ny && PIXEL_X(i) < nx) {                                  \
        __global float *q = to + ((PIXEL_N(i) * HO + PIXEL_Y(i)) * WO + PIXEL_X(i)) * O;                     \
        VSTORE(u##i, q + o0);                                                                                \
        if (two) VSTORE(v##i, q + o1); }
    EACH(PUT)
}

/* All tiles of one strip with vectors first to last-1 of the outputs. */
SP_INLINE void strip(x_pointer x, __global const W_NUMBER *w, __global const float *bias, __global float *y, int n0,
                     int images, int oy0, int first, int last)
{
    const int rows = min(R, HO - oy0);
    for (int j = first; j < last; j += 2) {
        const int o0 = VEC_AT(j), o1 = VEC_AT(j + 1);
#if PACKED
        __global const W_NUMBER *w0 = w + (ulong)j * 16 * (ulong)(KH * KW * C / STEPS), *w1 = w0 + 16;
#else
        __global const W_NUMBER *w0 = w + o0, *w1 = w + o1;
#endif
        for (int g = 0; g < images; g += TN)
            for (int r = 0; r < rows; r += TY)
                for (int ox = 0; ox < WO; ox += TX) {
                    x_pointer at = x + g * IMAGE + r * SH * ROW + ox * SW * C;
#if VECS > 1
                    if (j + 1 < last)
                        tile(at, w0, w1, bias, y, n0 + g, images - g, oy0 + r, ox, o0, o1, 1);
#endif
#if VECS % 2
                    if (j + 1 == last)
                        tile(at, w0, w1, bias, y, n0 + g, images - g, oy0 + r, ox, o0, o1, 0);
#endif
                }
    }
}

SP_INLINE void strips(__global const sp_x *x, __global const W_NUMBER *w, __global const float *bias,
                      __global float *y, int N)
{
    const ulong units = (ulong)STRIPS * PANELS, items = get_global_size(0), item = get_global_id(0);
#if !IN_PLACE
    NUMBER padded[G * IMAGE + 16] __attribute__((aligned(64)));
#endif
    for (ulong unit = item * units / items; unit < (item + 1) * units / items; unit++) {
        const int panel = (int)(unit / STRIPS), s = (int)(unit % STRIPS);
        const int n0 = s / CEIL(HO, R) * G, images = min(G, N - n0), oy0 = s % CEIL(HO, R) * R;
#if IN_PLACE
        x_pointer at = x + ((ulong)n0 * H + oy0 * SH) * (ulong)(W * C);
#else
        x_pointer at = padded;
        pad(padded, x, n0, images, oy0);
#endif
        strip(at, w, bias, y, n0, images, oy0, panel * PANEL, min(VECS, (panel + 1) * PANEL));
    }
}

#if BIAS
#define BIAS_ARGUMENT SP_IN(float, bias),
#define BIAS_AT SP_AT(bias)
#else
#define BIAS_ARGUMENT
#define BIAS_AT __global const float *bias = 0
#endif

#if BF16
#define NAME(how) conv_forward__##how##_bf16
#else
#define NAME(how) conv_forward__##how
#endif
#if !PACKED
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void conv_forward__tiles(SP_IN(sp_x, x), SP_IN(float, w), BIAS_ARGUMENT SP_OUT(float, y), int N)
{
    SP_AT(x); SP_AT(w); SP_AT(y); BIAS_AT;
    strips(x, (__global const W_NUMBER *)w, bias, y, N);
}
#else
/* 64 rows of one panel: [O/32][KH*KW*C][32]. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(pack)(SP_IN(float, w), SP_OUT(float, work))
{
    SP_AT(w); SP_AT(work);
    const int j = (int)get_global_id(0) * 2, k0 = (int)get_global_id(1) * 64, k1 = min(k0 + 64, KH * KW * C);
    __global W_NUMBER *to = (__global W_NUMBER *)work + ((ulong)j * 16 * (KH * KW * C) + (ulong)k0 * 32) / STEPS;
    for (int k = k0; k < k1; k += STEPS, to += 32) {
#if BF16
        for (int h = 0; h < 2; h++) {
            __global const float *from = w + (ulong)k * O + VEC_AT(j + h);
            SP_STORE_WORDS(__global, sp_bf16_pair(vload16(0, from), vload16(0, from + O)), to + 16 * h);
        }
#else
        vstore16(vload16(0, w + (ulong)k * O + VEC_AT(j)), 0, to);
        vstore16(vload16(0, w + (ulong)k * O + VEC_AT(j + 1)), 0, to + 16);
#endif
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(packed_tiles)(SP_IN(sp_x, x), SP_IN(float, work), BIAS_ARGUMENT SP_OUT(float, y), int N)
{
    SP_AT(x); SP_AT(work); SP_AT(y); BIAS_AT;
    strips(x, (__global const W_NUMBER *)work, bias, y, N);
}
#endif
