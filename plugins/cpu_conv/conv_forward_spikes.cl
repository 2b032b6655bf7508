//@ plugin:    cpu_conv 1.0.0
//@ abi:       1
//@ include:   macros.clh spike_lists.clh
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ let:       STRIP_ROWS = min(HO, max(1, 1024/WO))
//@ let:       STRIP_IMAGES = max(1, 1024/(HO*WO))
//@ let:       WINDOWS = STRIP_IMAGES*((STRIP_ROWS - 1)*SH + (KH - 1)*DH + 1)*((WO - 1)*SW + (KW - 1)*DW + 1)
//@ let:       STRIP_BYTES = 4*(WINDOWS + 32*STRIP_IMAGES*STRIP_ROWS*WO) + 65536
//@ op:        conv.forward/1
//@ kernel:    conv_forward__spike_list
//@ global:    min(N*H, cu*16)
//@ local:     1
//@ kernel:    conv_forward__spikes
//@ global:    cu*16
//@ local:     1
//@ define:    LISTS = 1
//@ when:      X_BITS && O % 16 == 0 && O >= 64 && DW == 1 && KH*KW > 1 && KW <= 8 && W*C <= 65536 && STRIP_BYTES <= private_bytes
//@ workspace: N*H*(W + 2 + ceildiv(W*C, 2))
//@ score:     80
//@ about:     adds the weights of each spike where few neurons fire, else prepared sums of four weights
//@ op:        conv.forward/1
//@ kernel:    conv_forward__spike_tables
//@ global:    cu*16
//@ local:     1
//@ define:    LISTS = 0
//@ when:      X_BITS && O % 16 == 0 && KW <= 8 && STRIP_BYTES <= private_bytes
//@ score:     70
//@ about:     adds prepared sums of four weights: no multiplication, the same time at any firing rate

/* y = x * w [+ bias] for spikes. A work-item takes units: a strip of about 1024 output pixels and a panel of
 * outputs. A strip is computed in one of two ways, by the share of its input that fires:
 *
 * List, below an eighth: a first pass lists the spikes of every input row (spike_lists.clh), and the weights of
 * each are added.
 *
 * Tables, above: for four channels of a tap there are sixteen sums of weights. They are prepared for a few
 * channels and one row of taps, so that they stay in the nearest cache, and every pixel of the strip adds the
 * one that its four bits choose. */

#define PAIR (PANEL_VECTORS % 2 ? 1 : 2)

/* Single rows vary: those up to a seventh are listed. */
#if LISTS
#define UNLISTED 0xffffffffu

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void conv_forward__spike_list(SP_IN(uint, x), SP_OUT(float, work), int N)
{
    SP_AT(x); SP_AT(work);
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * H;
    for (long row = item * rows / items; row < (item + 1) * rows / items; row++) {
        __global const uint *from = x + row * W * SP_WORDS(C);
        uint n = 0;
        for (int i = 0; i < W * SP_WORDS(C); i++)
            n += (uint)popcount(from[i]);
        if (n * 7 >= W * C) {
            COUNTS(work)[row] = UNLISTED;
            continue;
        }
        make_list(work, x, N, row);
    }
}

/* Whether less than an eighth of the strip's input fires, and no row much more, which then has no list. */
SP_INLINE bool is_sparse(__global const float *work, int n0, int images, int oy0, int rows)
{
    const int first = max(0, oy0 * SH - PH), last = min(H, (oy0 + rows - 1) * SH - PH + (KH - 1) * DH + 1);
    ulong spikes = 0, all = 0;
    for (int n = n0; n < n0 + images; n++)
        for (int iy = first; iy < last; iy++) {
            spikes += COUNTS(work)[(long)n * H + iy];
            all += W * C;
        }
    return spikes * 8 < all;
}
#endif

/* Tables of a step: KW taps x GROUPS x 16 sums, about 24 KB. They, the sums of a strip and its bits take STRIP_BYTES of private memory
 * at most. */
#define GROUPS (KW == 1 ? 8 : KW <= 3 ? 4 : 2)
#define STEP (4 * GROUPS)
#define TABLE (16 * PAIR)
#define XW ((WO - 1) * SW + (KW - 1) * DW + 1)
#define XH ((STRIP_ROWS - 1) * SH + (KH - 1) * DH + 1)

/* Bits of channels c .. of the strip's input, from bit 0 on; zero outside. */
SP_INLINE void gather(uint *to, __global const uint *x, int n0, int images, int oy0, int c)
{
    for (int g = 0; g < images; g++)
        for (int r = 0; r < XH; r++) {
            const int iy = oy0 * SH - PH + r;
            __global const uint *from = x + ((long)(n0 + g) * H + iy) * (W * SP_WORDS(C)) + c / 32;
            for (int ix = -PW; ix < XW - PW; ix++)
                *to++ = iy >= 0 && iy < H && ix >= 0 && ix < W ? from[ix * SP_WORDS(C)] >> (c & 31) : 0u;
        }
}

/* The sixteen sums of the rows of channels c .. c+3. */
SP_INLINE void prepare(float16 *table, __global const float *w, int c)
{
    for (int v = 0; v < PAIR; v++, table++) {
#define ROW(i) (c + i < C ? vload16(v, w + (ulong)(i) * O) : (float16)(0.0f))
        const float16 a = ROW(0), b = ROW(1), d = ROW(2), e = ROW(3), ab = a + b, de = d + e;
#define SUM(i, value) table[(i) * PAIR] = value;
        SUM(0, (float16)(0.0f)) SUM(1, a) SUM(2, b) SUM(3, ab) SUM(4, d) SUM(5, a + d) SUM(6, b + d)
        SUM(7, ab + d) SUM(8, e) SUM(9, a + e) SUM(10, b + e) SUM(11, ab + e) SUM(12, de) SUM(13, a + de)
        SUM(14, b + de) SUM(15, ab + de)
    }
}

/* One row of output pixels: KW * GROUPS sums each. */
SP_INLINE void add_row(float16 *sums, const uint *x, const float16 *tables)
{
    for (int ox = 0; ox < WO; ox++) {
        float16 a = sums[ox * PAIR], b = PAIR > 1 ? sums[ox * PAIR + 1] : (float16)(0.0f);
        __attribute__((opencl_unroll_hint(8)))
        for (int kx = 0; kx < KW; kx++) {
            const uint word = x[ox * SW + kx * DW];
            __attribute__((opencl_unroll_hint(8)))
            for (int q = 0; q < GROUPS; q++) {
                const float16 *t = tables + (kx * GROUPS + q) * TABLE + (word >> (4 * q) & 15u) * PAIR;
                a += t[0];
                if (PAIR > 1)
                    b += t[1];
            }
        }
        sums[ox * PAIR] = a;
        if (PAIR > 1)
            sums[ox * PAIR + 1] = b;
    }
}

/* A strip for PAIR vectors of outputs. */
SP_INLINE void add_tables(float16 *sums, __global const uint *x, __global const float *w, int n0, int images,
                          int oy0, int rows)
{
    float16 tables[KW * GROUPS * TABLE];
    uint bits[STRIP_IMAGES * XH * XW];
    for (int c = 0; c < C; c += STEP) {
        gather(bits, x, n0, images, oy0, c);
        for (int ky = 0; ky < KH; ky++) {
            for (int kx = 0; kx < KW; kx++)
                for (int q = 0; q < GROUPS; q++)
                    prepare(tables + (kx * GROUPS + q) * TABLE,
                            w + ((ulong)(ky * KW + kx) * C + c + 4 * q) * O, c + 4 * q);
            for (int g = 0; g < images; g++)
                for (int r = 0; r < rows; r++)
                    add_row(sums + (g * STRIP_ROWS + r) * WO * PAIR, bits + (g * XH + r * SH + ky * DH) * XW, tables);
        }
    }
}

SP_INLINE void strip_by_tables(__global const uint *x, __global const float *w, __global const float *bias,
                               __global float *y, int n0, int images, int oy0, int rows)
{
    float16 sums[STRIP_IMAGES * STRIP_ROWS * WO * PAIR];
    for (int i = 0; i < STRIP_IMAGES * STRIP_ROWS * WO; i++)
        for (int v = 0; v < PAIR; v++)
#if BIAS
            sums[i * PAIR + v] = vload16(v, bias);
#else
            sums[i * PAIR + v] = (float16)(0.0f);
#endif
    add_tables(sums, x, w, n0, images, oy0, rows);
    for (int g = 0; g < images; g++) {
        __global float *to = y + (((ulong)(n0 + g) * HO + oy0) * WO) * O;
        for (int i = 0; i < rows * WO; i++, to += O)
            for (int v = 0; v < PAIR; v++)
                vstore16(sums[(g * STRIP_ROWS * WO + i) * PAIR + v], v, to);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#if LISTS
void conv_forward__spikes(SP_IN(float, work), SP_IN(uint, x), SP_IN(float, w),
#else
void conv_forward__spike_tables(SP_IN(uint, x), SP_IN(float, w),
#endif
#if BIAS
                          SP_IN(float, bias),
#endif
                          SP_OUT(float, y), int N)
{
    SP_AT(x); SP_AT(w); SP_AT(y);
#if LISTS
    SP_AT(work);
#endif
#if BIAS
    SP_AT(bias);
#else
    __global const float *bias = w;
#endif
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    for (long unit = item * UNITS / items; unit < (item + 1) * UNITS / items; unit++) {
        strip_unit u;
        find_unit(&u, unit, N);
#if LISTS
        if (is_sparse(work, u.n0, u.images, u.oy0, u.rows)) {
            add_lists(work, w, bias, y, &u, N);
            continue;
        }
#endif
        for (int at = u.o; at < u.o + PANEL_VECTORS * 16; at += PAIR * 16)
            strip_by_tables(x, w + at, bias + at, y + at, u.n0, u.images, u.oy0, u.rows);
    }
}
