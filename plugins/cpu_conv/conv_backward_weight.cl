//@ plugin:    cpu_conv 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh unpack.clh vectors.clh
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ all:       score: 50
//@ let:       TILES = O >= 4 && (C >= 8 || DW == 1 || KH*KW*C <= 14)
//@ let:       STRIP_ROWS = min(HO, ceildiv(128, WO))
//@ let:       PADDED = (C < 8)*((STRIP_ROWS - 1)*SH + (KH - 1)*DH + 1)*((WO - 1)*SW + (KW - 1)*DW + 1)*C
//@ let:       STRIP_BYTES = 4*(PADDED + 32*max(STRIP_ROWS*WO, (C >= 8)*(128 + HO*WO)*(HO*WO < 128)))
//@ all:       define: SLOT_ITEMS = 32
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__slots
//@ global:    ceildiv(O, 32), min(N, max(1, SLOT_ITEMS/ceildiv(O, 32)))
//@ local:     1, 1
//@ kernel:    conv_backward_weight__sum
//@ global:    ceildiv(KH*KW*C, 8)
//@ local:     1
//@ when:      !X_BITS && TILES && STRIP_BYTES <= private_bytes
//@ workspace: min(N, max(1, SLOT_ITEMS/ceildiv(O, 32)))*KH*KW*C*roundup(O, 16)
//@ about:     register tiles over strips of pixels; a partial sum per group of images, then their sum
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__unpack
//@ global:    min(N*H, cu*16)
//@ local:     1
//@ kernel:    conv_backward_weight__unpacked_slots
//@ global:    ceildiv(O, 32), min(N, max(1, SLOT_ITEMS/ceildiv(O, 32)))
//@ local:     1, 1
//@ kernel:    conv_backward_weight__sum
//@ global:    ceildiv(KH*KW*C, 8)
//@ local:     1
//@ when:      X_BITS && TILES && STRIP_BYTES <= private_bytes
//@ workspace: min(N, max(1, SLOT_ITEMS/ceildiv(O, 32)))*KH*KW*C*roundup(O, 16) + N*H*W*C
//@ about:     spikes unpacked first, then register tiles over strips of pixels; a partial sum per group of images, and their sum

/* g_w[tap][c][o] += sum over output pixels of x[pixel moved by the tap][c] e[pixel][o].
 *
 * A work-item owns two vectors of outputs (its columns) and a slot (a group of images). It walks over
 * strips of about 128 pixels whose x and e stay in the near caches; for every strip, all weights of its
 * columns are visited, RT rows at a time with the sums in registers. With C >= 8 a tile is RT channels of
 * one tap and pixels outside the image are left out; with few channels a tile is RT consecutive weights
 * over a zero-padded copy of the strip. Slots have fixed image ranges, so the order of the sums never
 * changes. work: [slot][K][columns], then unpacked x. */

#define K (KH * KW * C)

#define FEW_CHANNELS (C < 8)
#define ROW_RUN (FEW_CHANNELS ? (K <= 14 ? K : KW * C) : C)
#if ROW_RUN % 12 == 0
#define RT 12
#elif ROW_RUN % 8 == 0
#define RT 8
#elif ROW_RUN % 14 == 0
#define RT 14
#elif ROW_RUN % 13 == 0
#define RT 13
#elif ROW_RUN % 11 == 0
#define RT 11
#elif ROW_RUN % 10 == 0
#define RT 10
#elif ROW_RUN % 9 == 0
#define RT 9
#elif !FEW_CHANNELS
#define RT 8
#elif ROW_RUN % 7 == 0
#define RT 7
#elif ROW_RUN % 6 == 0
#define RT 6
#elif ROW_RUN % 5 == 0
#define RT 5
#elif ROW_RUN % 4 == 0
#define RT 4
#elif ROW_RUN % 3 == 0
#define RT 3
#elif ROW_RUN % 2 == 0
#define RT 2
#else
#define RT 1
#endif

#define EACH CAT(EACH, RT)

/* The strip: rows of one image, or G images where they are small. e of the work-item's columns lies
 * [pixel][E_STEP]. What is copied takes STRIP_BYTES of private memory at most. */
#if FEW_CHANNELS || HO * WO >= 128
#define G 1
#define R MIN(HO, CEIL(128, WO))
#else
#define G CEIL(128, HO * WO)
#define R HO
#endif
#define SLOTS MIN(N, MAX(1, SLOT_ITEMS / CEIL(O, 32)))
#define E_IN_PLACE (O == VW || O == 2 * VW)
#if E_IN_PLACE
#define E_STEP O
typedef __global const float *e_pointer;
#else
#define E_STEP (2 * VW)
typedef __private const float *e_pointer;
#endif

/* Columns of a slot's sums in work, [K][WIDTH]. */
#define WIDTH (VECS * VW)

/* Adds the registers u, v to rows `at`, but sets them where `set`; rows before `skip` belong to another
 * tile. */
#define PUT(i) if (i >= skip) {                                                                              \
        __global float *q = at + (ulong)(i) * WIDTH;                                                         \
        VSTORE(set ? u##i : u##i + VLOAD(q), q);                                                             \
        if (two) VSTORE(set ? v##i : v##i + VLOAD(q + VW), q + VW); }
#define START(i) vec u##i = (vec)(0.0f), v##i = (vec)(0.0f);

#if FEW_CHANNELS
#define XW ((WO - 1) * SW + (KW - 1) * DW + 1)
#define ROW (XW * C)
#define XH ((R - 1) * SH + (KH - 1) * DH + 1)

/* Rows oy0*SH - PH ... of image n into the padded buffer. */
inline void pad(float *to, __global const float *x, int n, int oy0)
{
    const int left = MIN(PW, XW) * C, width = MAX(0, MIN(W, XW - MIN(PW, XW))) * C;
    for (int r = 0; r < XH; r++, to += ROW) {
        const int iy = oy0 * SH - PH + r;
        if (iy < 0 || iy >= H) {
            zero(to, ROW);
            continue;
        }
        __global const float *from = x + ((ulong)n * H + iy) * (ulong)(W * C);
        zero(to, left);
        for (int i = 0; i < width; i++)
            to[left + i] = from[i];
        zero(to + left + width, ROW - left - width);
    }
}

/* Weights k0 .. k0 + RT - 1, whose first lies at x for the first pixel. */
SP_INLINE void tile(const float *x, e_pointer e, __global float *at, int rows, int set, int two)
{
    const int skip = 0;
    EACH(START)
    for (int r = 0; r < rows; r++, x += SH * ROW - WO * SW * C)
        for (int i = 0; i < WO; i++) {
            const vec e0 = VLOAD(e), e1 = two ? VLOAD(e + VW) : (vec)(0.0f);
#define OFFSET(i) ((i) / (KW * C) * DH * ROW + (i) / C % KW * DW * C + (i) % C)
#define STEP(i) {                                                                                            \
            const vec a = (vec)(x[OFFSET(i)]);                                                               \
            u##i = fma(a, e0, u##i);                                                                         \
            if (two) v##i = fma(a, e1, v##i); }
            EACH(STEP)
#undef STEP
            x += SW * C;
            e += E_STEP;
        }
    EACH(PUT)
}

SP_INLINE void strip(float *padded, __global const float *x, e_pointer e, __global float *sums, int n, int oy0,
                     int set, int two)
{
    pad(padded, x, n, oy0);
    for (int k = 0; k < K; k += RT)
        tile(padded + (K == RT ? 0 : k / (KW * C) * DH * ROW + k % (KW * C)), e, sums + (ulong)k * WIDTH,
             min(R, HO - oy0), set, two);
}
#else

/* First and last+1 output position that a tap at `offset` (less the padding) moves into 0..size-1. */
inline int first_inside(int offset, int stride)
{
    return offset >= 0 ? 0 : (-offset + stride - 1) / stride;
}
inline int last_inside(int offset, int stride, int size)
{
    return offset >= size ? 0 : (size - 1 - offset) / stride + 1;
}

/* Channels c0 .. c0 + RT - 1 of one tap: `images` planes, `rows` x `cols` pixels. */
SP_INLINE void tile(__global const float *x, e_pointer e, __global float *at, int images, int rows, int cols,
                    int skip, int set, int two)
{
    EACH(START)
    for (int n = 0; n < images; n++)
        for (int r = 0; r < rows; r++) {
            __global const float *xi = x + ((ulong)n * H + r * SH) * (ulong)(W * C);
            e_pointer ei = e + (n * R + r) * WO * E_STEP;
            for (int i = 0; i < cols; i++) {
                const vec e0 = VLOAD(ei), e1 = two ? VLOAD(ei + VW) : (vec)(0.0f);
#define STEP(i) {                                                                                            \
                const vec a = (vec)(xi[i]);                                                                  \
                u##i = fma(a, e0, u##i);                                                                     \
                if (two) v##i = fma(a, e1, v##i); }
                EACH(STEP)
#undef STEP
                xi += SW * C;
                ei += E_STEP;
            }
        }
    EACH(PUT)
}

SP_INLINE void strip(__global const float *x, e_pointer e, __global float *sums, int n, int images, int oy0,
                     int set, int two)
{
    for (int tap = 0; tap < KH * KW; tap++) {
        const int dy = tap / KW * DH - PH, dx = tap % KW * DW - PW;
        const int y0 = max(oy0, first_inside(dy, SH)), y1 = min(min(HO, oy0 + R), last_inside(dy, SH, H));
        const int x0 = first_inside(dx, SW), x1 = min(WO, last_inside(dx, SW, W));
        if (!set && (y0 >= y1 || x0 >= x1))
            continue;
        __global const float *xt = x + (((long)n * H + y0 * SH + dy) * W + x0 * SW + dx) * C;
        e_pointer et = e + ((y0 - oy0) * WO + x0) * E_STEP;
        for (int c = 0; c < C; c += RT) {
            const int c0 = min(c, C - RT);
            tile(xt + c0, et, sums + (ulong)(tap * C + c0) * WIDTH, images, y1 - y0, x1 - x0, c - c0, set,
                 two);
        }
    }
}
#endif

/* Private memory of a work-item, one for all calls that are put in its place. */
typedef struct {
#if FEW_CHANNELS
    float padded[XH * ROW];
#endif
    float packed[E_IN_PLACE ? 1 : G * R * WO * E_STEP];
} copies;

/* All strips of images n0..n1-1 for vectors j and, if two, j + 1. */
SP_INLINE void images(copies *own, __global const float *x, __global const float *e, __global float *sums, int n0,
                      int n1, int j, int two)
{
    int set = 1;
    for (int n = n0; n < n1; n += G)
        for (int oy = 0; oy < HO; oy += R) {
            const int have = min(G, n1 - n), rows = min(R, HO - oy);
            __global const float *from = e + ((ulong)n * HO + oy) * (ulong)(WO * O);
#if E_IN_PLACE
            e_pointer at = from;
#else
            e_pointer at = own->packed;
            for (int i = 0; i < have * rows * WO; i++) {
                VSTORE(VLOAD(from + (ulong)i * O + VEC_AT(j)), own->packed + i * E_STEP);
                if (two)
                    VSTORE(VLOAD(from + (ulong)i * O + VEC_AT(j + 1)), own->packed + i * E_STEP + VW);
            }
#endif
#if FEW_CHANNELS
            strip(own->padded, x, at, sums, n, oy, set, two);
#else
            strip(x, at, sums, n, have, oy, set, two);
#endif
            set = 0;
        }
}

#if X_BITS
#define UNPACKED(work) ((work) + (ulong)SLOTS * (ulong)(K * WIDTH))

/* A run of rows of spikes as floats, behind the slots. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void conv_backward_weight__unpack(SP_IN(uint, x), SP_OUT(float, work), int N)
{
    SP_AT(x); SP_AT(work);
    sp_unpack_run(x, UNPACKED(work), (long)N * H * W, C);
}
#endif

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#if X_BITS
void conv_backward_weight__unpacked_slots(SP_IN(float, e), SP_IO(float, work), int N)
{
    SP_AT(e); SP_AT(work);
    __global const float *x = UNPACKED(work);
#else
void conv_backward_weight__slots(SP_IN(float, x), SP_IN(float, e), SP_OUT(float, work), int N)
{
    SP_AT(x); SP_AT(e); SP_AT(work);
#endif
    const int slot = (int)get_global_id(1), slots = (int)get_global_size(1);
    const int n0 = (int)((long)slot * N / slots), n1 = (int)((long)(slot + 1) * N / slots);
    const int column = (int)get_global_id(0) * 32;
    copies own;
    for (int j = column / VW; j < min(VECS, (column + 32) / VW); j += 2) {
        __global float *sums = work + (ulong)slot * K * WIDTH + j * VW;
#if VECS > 1
        if (j + 1 < VECS)
            images(&own, x, e, sums, n0, n1, j, 1);
#endif
#if VECS % 2
        if (j + 1 == VECS)
            images(&own, x, e, sums, n0, n1, j, 0);
#endif
    }
}

/* Eight rows of g_w. A last vector that was moved back adds only its own lanes. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void conv_backward_weight__sum(SP_IN(float, work), SP_IO(float, g_w), int N)
{
    SP_AT(work); SP_AT(g_w);
    const int slots = SLOTS;
    const int k0 = (int)get_global_id(0) * 8, k1 = min(k0 + 8, K);
    for (int k = k0; k < k1; k++)
        for (int j = 0; j < VECS; j++) {
            __global const float *from = work + (ulong)k * WIDTH + j * VW;
            __global float *to = g_w + (ulong)k * O + VEC_AT(j);
            vec sum = VLOAD(from);
            for (int s = 1; s < slots; s++)
                sum += VLOAD(from + (ulong)s * K * WIDTH);
            if (VEC_AT(j) == j * VW) {
                VSTORE(VLOAD(to) + sum, to);
            } else {
                float lanes[VW];
                VSTORE(sum, lanes);
                for (int i = j * VW - VEC_AT(j); i < VW; i++)
                    to[i] += lanes[i];
            }
        }
}
