//@ plugin:    cpu_winograd 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh bf16.clh winograd_sizes.clh winograd.clh
//@ let:       NINE_TAPS = KH == 3 && KW == 3 && SH == 1 && SW == 1 && DH == 1 && DW == 1 && PH <= 2 && PW <= 2
//@ let:       TILES = N*ceildiv(HO, 4)*ceildiv(WO, 4)
//@ let:       FILLS = 7*ceildiv(HO, 4)*ceildiv(WO, 4) <= HO*WO && TILES >= 8
//@ let:       CHANNELS = 16 + 16*(C % 32 == 0)
//@ let:       OUTPUTS = 32 + 32*(O % 64 == 0)
//@ let:       PANEL_COUNT = C/CHANNELS*(O/OUTPUTS)
//@ let:       SLOTS = max(1, min(TILES/64, 16/PANEL_COUNT))
//@ let:       ROOM = private_bytes >= 800000
//@ let:       FITS = ROOM && NINE_TAPS && !X_BITS && C % 16 == 0 && O % 32 == 0 && FILLS
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ all:       define: PAIRS_OF_TILES = 1
//@ all:       tune: BLOCK = 8 4
//@ all:       vendor: narrow BLOCK=4
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__winograd_slots
//@ global:    PANEL_COUNT, SLOTS
//@ local:     1, 1
//@ kernel:    conv_backward_weight__winograd_sum
//@ global:    9*C
//@ local:     1
//@ define:    SLOTTED = 1
//@ when:      FITS && SLOTS > 1
//@ workspace: SLOTS*9*C*O
//@ score:     70
//@ about:     Winograd F(3x3, 4x4): a quarter of the multiplications; a partial sum for each group of tiles, then their sum
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__winograd
//@ global:    PANEL_COUNT
//@ local:     1
//@ define:    SLOTTED = 0
//@ when:      FITS && SLOTS == 1
//@ score:     70
//@ about:     the same for many weights: a work-item walks over all tiles
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__winograd_bf16_slots
//@ global:    PANEL_COUNT, SLOTS
//@ local:     1, 1
//@ kernel:    conv_backward_weight__winograd_bf16_sum
//@ global:    9*C
//@ local:     1
//@ define:    SLOTTED = 1
//@ needs:     avx512_bf16
//@ compute:   bf16 0.03
//@ when:      FITS && SLOTS > 1
//@ workspace: SLOTS*9*C*O
//@ score:     75
//@ about:     the same, with what is transformed rounded to bf16: two multiplications in the time of one
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__winograd_bf16
//@ global:    PANEL_COUNT
//@ local:     1
//@ define:    SLOTTED = 0
//@ needs:     avx512_bf16
//@ compute:   bf16 0.03
//@ when:      FITS && SLOTS == 1
//@ score:     75
//@ about:     the same for many weights

/* g_w = Gt [sum over tiles of (A e At) o (Bt d B)] G, the transpose of the forward pass: d are tiles of 6 x 6
 * inputs, e of 4 x 4 error signals, o is, for each of the 36 components, a product of a column of channels with
 * a row of outputs. A work-item owns CP channels, OP outputs and, where SLOTTED, a slot (a range of tiles). Of T tiles at a time:
 * v[component][tile][CP], u[component][OP/32][tile][32]; the sums of all of them: m[component][OP/32][CP][32]. With what is on the way
 * to them, they take 760 KB of private memory at most (ROOM). */
#define CP PANEL_CHANNELS(C)
#define OP PANEL_OUTPUTS(O)
#define T 32
#define V_STEP COMPONENT_STEP(T, CP)
#define U_STEP COMPONENT_STEP(ROWS_OF_U(T), OP)
#define M_STEP COMPONENT_STEP(CP, OP)

/* y = A (x0, .. x3): the powers 0 to 3 of the points. */
#define TRANSFORM_ERROR(x0, x1, x2, x3, y, is_short)                                                         \
    six y;                                                                                                   \
    if (is_short) {                                                                                          \
        y.a = x0; y.f = x1;                                                                                  \
        y.b = fma((float16)(P1), x1, x0); y.c = fma((float16)(-P1), x1, x0);                                 \
        y.d = y.e = 0.0f;                                                                                    \
    } else {                                                                                                 \
        const float16 even1 = fma((float16)(0.5f), x2, x0), odd1 = fma((float16)(0.5f), x3, x1);             \
        const float16 even2 = fma((float16)(2.0f), x2, x0), odd2 = fma((float16)(2.0f), x3, x1);             \
        y.a = x0; y.f = x3;                                                                                  \
        y.b = fma((float16)(P1), odd1, even1); y.c = fma((float16)(-P1), odd1, even1);                       \
        y.d = fma((float16)(P2), odd2, even2); y.e = fma((float16)(-P2), odd2, even2); }

/* Gt x: the powers 0 to 2 of the points, divided by the products of their differences. */
#define TRANSFORM_GRADIENT(x)                                                                                \
    const float16 t = x.b + x.c, u = x.b - x.c, p = x.d + x.e, q = x.d - x.e;                                \
    const float16 g0 = fma((float16)(1.0f / 6.0f), p, fma((float16)(-1.0f / 1.5f), t, x.a)),                 \
                  g1 = fma((float16)(P2 / 6.0f), q, -P1 / 1.5f * u),                                         \
                  g2 = fma((float16)(1.0f / 3.0f), p, fma((float16)(-0.5f / 1.5f), t, x.f))

#if BF16
#define E_STEP OP
#define E_PANEL 32
#else
#define E_STEP U_STEP
#define E_PANEL (T * 32)
#endif

/* Outputs o0 .. o0 + OP - 1 of a tile of e to u. Pixels outside of the picture are zeros. */
SP_INLINE void load_errors(float *u, __global const float *e, int o0, int at, int shape, int N)
{
    const int rows = shape & SHORT_ROWS, columns = shape & SHORT_COLUMNS;
    int n, y, x0;
    const int is_tile = find_tile(at, shape, N, &n, &y, &x0);
    __global const float *from = e + (((ulong)n * HO + y) * WO + x0) * (ulong)O + o0;
    float half_way[24 * OP] __attribute__((aligned(64)));
    for (int j = 0; j < (columns ? 2 : 4); j++)
        for (int o = 0; o < OP; o += 16) {
            __global const float *p = from + j * O + o;
            const int in = is_tile && x0 + j < WO;
#define ERROR(i) in && y + i < HO ? vload16(0, p + (i) * WO * O) : (float16)(0.0f)
            const float16 e0 = ERROR(0), e1 = ERROR(1), e2 = ERROR(2), e3 = ERROR(3);
            TRANSFORM_ERROR(e0, e1, e2, e3, t, rows);
            PUT6(__private, t, half_way + j * OP + o, 4 * OP);
        }
    for (int i = 0; i < 6; i++)
        for (int o = 0; o < OP && !MISSING(i, rows); o += 16) {
            const float *p = half_way + i * 4 * OP + o;
            float *to = u + i * 6 * E_STEP + o / 32 * E_PANEL + o % 32;
            TRANSFORM_ERROR(vload16(0, p), vload16(0, p + OP), vload16(0, p + 2 * OP), vload16(0, p + 3 * OP), t,
                            columns);
            PUT6(__private, t, to, E_STEP);
        }
}

#if BF16
/* A tile and, if `both`, the next one: v[36][tile / 2][CP] words, u[36][OP / 32][tile / 2][32]. */
SP_INLINE void load_pair(uint *v, uint *u, __global const in_type *x, __global const float *e, int c0, int o0, int at,
                         int both, int shape, int N)
{
    float first[36 * 64] __attribute__((aligned(64))), second[36 * 64] __attribute__((aligned(64)));
    load_tile(first, CP, x, c0, CP, at, shape, shape, N);
    load_tile(second, CP, x, c0, CP, both ? at + 1 : tiles_of(shape, N), shape, shape, N); /* past the last one: zeros */
    for (int k = 0; k < 36; k++)
        for (int c = k * CP; c < (k + 1) * CP; c += 16)
            SP_STORE_WORDS(__private, sp_bf16_pair(vload16(0, first + c), vload16(0, second + c)),
                           v + k * (V_STEP / 2) + c % CP);
    load_errors(first, e, o0, at, shape, N);
    load_errors(second, e, o0, both ? at + 1 : at, shape, N);
    for (int k = 0; k < 36; k++)
        for (int o = 0; o < OP; o += 16)
            SP_STORE_WORDS(__private, sp_bf16_pair(vload16(0, first + k * OP + o), vload16(0, second + k * OP + o)),
                           u + k * U_STEP + o / 32 * (T / 2 * 32) + o % 32);
}
#define NAME(how) conv_backward_weight__winograd_bf16##how
#define BETWEEN_CHANNELS 2 /* of v, in half words */
#else
#define NAME(how) conv_backward_weight__winograd##how
#define BETWEEN_CHANNELS 1
#endif

#if SLOTTED
#define PUT_TAP(v, p) SP_STORE16(__global, v, p)
#else
#define PUT_TAP(v, p) SP_STORE16(__global, vload16(0, p) + v, p)
#endif

/* The nine taps of 16 outputs of a channel; m: their first component. */
SP_INLINE void store_taps(__global float *to, const float *m)
{
    float half_way[18 * 16] __attribute__((aligned(64)));
    for (int j = 0; j < 6; j++) {
        const six d = GET6(m + j * M_STEP, 6 * M_STEP);
        TRANSFORM_GRADIENT(d);
        float *rows = half_way + j * 16;
        SP_STORE16(__private, g0, rows); SP_STORE16(__private, g1, rows + 6 * 16);
        SP_STORE16(__private, g2, rows + 12 * 16);
    }
    for (int i = 0; i < 3; i++, to += 3 * C * O) {
        const six d = GET6(half_way + i * 6 * 16, 16);
        TRANSFORM_GRADIENT(d);
        PUT_TAP(g0, to); PUT_TAP(g1, to + C * O); PUT_TAP(g2, to + 2 * C * O);
    }
}

/* A slot's share of the tiles of every shape, for a panel: to [9][C][O] numbers. */
SP_INLINE void panel(__global const in_type *x, __global const float *e, __global float *to, int at, int slot, int slots,
                     int N)
{
    V_NUMBER v[36 * V_STEP] __attribute__((aligned(64)));
    U_NUMBER u[36 * U_STEP] __attribute__((aligned(64)));
    float m[36 * M_STEP] __attribute__((aligned(64)));
    const int c0 = at % CEIL(C, CP) * CP, o0 = at / CEIL(C, CP) * OP;
#if SHORT_H || SHORT_W /* the first tiles may lack some components */
    for (int k = 0; k < 36 * M_STEP; k += 16)
        SP_STORE16(__private, (float16)(0.0f), m + k);
#endif
    for (int shape = 0; shape < 4; shape++) {
        const long all = tiles_of(shape, N);
        const int first = (int)(slot * all / slots), end = (int)((slot + 1) * all / slots);
        for (int from = first, tiles; from < end; from += tiles) {
            tiles = MIN(T, end - from);
#if BF16
            for (int t = 0; t < tiles; t += 2)
                load_pair((uint *)v + t / 2 * CP, u + t / 2 * 32, x, e, c0, o0, from + t, t + 1 < tiles, shape, N);
#else
            for (int t = 0; t < tiles; t++) {
                load_tile(v + t * CP, V_STEP, x, c0, CP, from + t, shape, shape, N);
                load_errors(u + t * 32, e, o0, from + t, shape, N);
            }
#endif
            for (int k = 0; k < 36; k++)
                for (int o = 0; o < OP / 32 && !LACKS(shape, k); o++)
                    for (int c = 0; c < CP; c += 8)
                        multiply(m + k * M_STEP + (o * CP + c) * 32, v + k * V_STEP + c * BETWEEN_CHANNELS,
                                 BETWEEN_CHANNELS, CP, u + k * U_STEP + o * ROWS_OF_U(T) * 32, tiles,
                                 SHORT_H || SHORT_W || from > first);
        }
    }
    for (int c = 0; c < CP; c++)
        for (int o = 0; o < OP; o += 16)
            store_taps(to + (c0 + c) * O + o0 + o, m + (o / 32 * CP + c) * 32 + o % 32);
}

#if SLOTTED
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(_slots)(SP_IN(sp_x, x), SP_IN(float, e), SP_OUT(float, work), int N)
{
    SP_AT(x); SP_AT(e); SP_AT(work);
    const int slot = (int)get_global_id(1);
    panel(x, e, work + (ulong)slot * 9 * C * O, (int)get_global_id(0), slot, (int)get_global_size(1), N);
}

/* A row of g_w. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(_sum)(SP_IN(float, work), SP_IO(float, g_w), int N)
{
    SP_AT(work); SP_AT(g_w);
    const int slots = SLOT_COUNT(TILES, C, O);
    const ulong row = get_global_id(0) * O;
    for (int o = 0; o < O; o += 16) {
        float16 sum = vload16(0, work + row + o);
        for (int s = 1; s < slots; s++)
            sum += vload16(0, work + s * ((ulong)9 * C * O) + row + o);
        SP_STORE16(__global, vload16(0, g_w + row + o) + sum, g_w + row + o);
    }
}
#else
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME()(SP_IN(sp_x, x), SP_IN(float, e), SP_IO(float, g_w), int N)
{
    SP_AT(x); SP_AT(e); SP_AT(g_w);
    panel(x, e, g_w, (int)get_global_id(0), 0, 1, N);
}
#endif
