//@ plugin:    cpu_winograd 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh weave.clh bf16.clh winograd.clh
//@ let:       NINE_TAPS = KH == 3 && KW == 3 && SH == 1 && SW == 1 && DH == 1 && DW == 1 && PH <= 2 && PW <= 2
//@ let:       TILES_IN = roundup(N*((H + 1)/4)*((W + 1)/4), 8) + roundup(N*(H % 4 == 1 || H % 4 == 2)*((W + 1)/4), 8) + roundup(N*((H + 1)/4)*(W % 4 == 1 || W % 4 == 2), 8) + roundup(N*(H % 4 == 1 || H % 4 == 2)*(W % 4 == 1 || W % 4 == 2), 8)
//@ let:       TILES_OUT = roundup(N*((HO + 1)/4)*((WO + 1)/4), 8) + roundup(N*(HO % 4 == 1 || HO % 4 == 2)*((WO + 1)/4), 8) + roundup(N*((HO + 1)/4)*(WO % 4 == 1 || WO % 4 == 2), 8) + roundup(N*(HO % 4 == 1 || HO % 4 == 2)*(WO % 4 == 1 || WO % 4 == 2), 8)
//@ let:       FILLS_IN = 6*ceildiv(H, 4)*ceildiv(W, 4) <= H*W && N*ceildiv(H, 4)*ceildiv(W, 4) >= 8
//@ let:       FILLS_OUT = 6*ceildiv(HO, 4)*ceildiv(WO, 4) <= HO*WO && N*ceildiv(HO, 4)*ceildiv(WO, 4) >= 8
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ all:       tune: BLOCK = 8 4
//@ all:       vendor: narrow BLOCK=4
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__winograd_weights
//@ global:    C/32, ceildiv(O, 64)
//@ local:     1, 1
//@ kernel:    conv_backward_input__winograd_blocks
//@ global:    cu*16
//@ local:     1
//@ define:    BACKWARD = 1
//@ define:    PANELS = 0
//@ define:    WEIGHTS_KEPT = 1
//@ when:      NINE_TAPS && C % 32 == 0 && O % 16 == 0 && C*O <= 32768 && FILLS_IN
//@ workspace: 36*(C*O + 16)
//@ score:     80
//@ about:     Winograd F(4x4, 3x3): a quarter of the multiplications; a block of tiles stays in the cache
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__winograd_input
//@ global:    cu*16
//@ local:     1
//@ kernel:    conv_backward_input__winograd_panels
//@ global:    C/PANEL*ceildiv(TILES_IN, CHUNK)
//@ local:     1
//@ define:    BACKWARD = 1
//@ define:    PANELS = 1
//@ define:    WEIGHTS_KEPT = 0
//@ define:    PANEL = 32
//@ define:    CHUNK = 64
//@ when:      NINE_TAPS && C % 32 == 0 && O % 32 == 0 && FILLS_IN
//@ workspace: ceildiv(TILES_IN, CHUNK)*36*(CHUNK*O + O/2)
//@ score:     79
//@ about:     the same for many weights and few tiles: a panel of transformed weights stays in the cache

//@ op:        conv.forward/1
//@ kernel:    conv_forward__winograd_weights
//@ global:    O/32, ceildiv(C, 64)
//@ local:     1, 1
//@ kernel:    conv_forward__winograd_blocks
//@ global:    cu*16
//@ local:     1
//@ define:    BACKWARD = 0
//@ define:    PANELS = 0
//@ define:    WEIGHTS_KEPT = 1
//@ when:      NINE_TAPS && C % 16 == 0 && O % 32 == 0 && C*O <= 32768 && FILLS_OUT
//@ workspace: 36*(C*O + 16)
//@ score:     75
//@ about:     Winograd F(4x4, 3x3): a quarter of the multiplications; a block of tiles stays in the cache
//@ op:        conv.forward/1
//@ kernel:    conv_forward__winograd_input
//@ global:    cu*16
//@ local:     1
//@ kernel:    conv_forward__winograd_panels
//@ global:    O/PANEL*ceildiv(TILES_OUT, CHUNK)
//@ local:     1
//@ define:    BACKWARD = 0
//@ define:    PANELS = 1
//@ define:    WEIGHTS_KEPT = 0
//@ define:    PANEL = 32
//@ define:    CHUNK = 64
//@ when:      NINE_TAPS && C % 32 == 0 && O % 32 == 0 && FILLS_OUT
//@ workspace: ceildiv(TILES_OUT, CHUNK)*36*(CHUNK*C + C/2)
//@ score:     74
//@ about:     the same for many weights and few tiles: a panel of transformed weights stays in the cache
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__winograd_bf16_weights
//@ global:    C/32, ceildiv(O, 64)
//@ local:     1, 1
//@ kernel:    conv_backward_input__winograd_bf16_blocks
//@ global:    cu*16
//@ local:     1
//@ define:    BACKWARD = 1
//@ define:    PANELS = 0
//@ define:    WEIGHTS_KEPT = 1
//@ needs:     avx512_bf16
//@ compute:   bf16 0.03
//@ when:      NINE_TAPS && C % 32 == 0 && O % 16 == 0 && C*O <= 65536 && FILLS_IN
//@ workspace: 18*(C*O + 32)
//@ score:     85
//@ about:     the same with what is transformed rounded to bf16: two multiplications in the time of one
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__winograd_bf16_input
//@ global:    cu*16
//@ local:     1
//@ kernel:    conv_backward_input__winograd_bf16_panels
//@ global:    C/PANEL*ceildiv(TILES_IN, CHUNK)
//@ local:     1
//@ define:    BACKWARD = 1
//@ define:    PANELS = 1
//@ define:    WEIGHTS_KEPT = 0
//@ define:    PANEL = 32
//@ define:    CHUNK = 64
//@ needs:     avx512_bf16
//@ compute:   bf16 0.03
//@ when:      NINE_TAPS && C % 32 == 0 && O % 32 == 0 && FILLS_IN
//@ workspace: ceildiv(TILES_IN, CHUNK)*18*(CHUNK*O + O/2)
//@ score:     84
//@ about:     the same for many weights and few tiles
//@ op:        conv.forward/1
//@ kernel:    conv_forward__winograd_bf16_weights
//@ global:    O/32, ceildiv(C, 64)
//@ local:     1, 1
//@ kernel:    conv_forward__winograd_bf16_blocks
//@ global:    cu*16
//@ local:     1
//@ define:    BACKWARD = 0
//@ define:    PANELS = 0
//@ define:    WEIGHTS_KEPT = 1
//@ needs:     avx512_bf16
//@ compute:   bf16 0.03
//@ when:      NINE_TAPS && O % 32 == 0 && C % 16 == 0 && C*O <= 65536 && FILLS_OUT
//@ workspace: 18*(C*O + 32)
//@ score:     78
//@ about:     the same with what is transformed rounded to bf16: two multiplications in the time of one
//@ op:        conv.forward/1
//@ kernel:    conv_forward__winograd_bf16_input
//@ global:    cu*16
//@ local:     1
//@ kernel:    conv_forward__winograd_bf16_panels
//@ global:    O/PANEL*ceildiv(TILES_OUT, CHUNK)
//@ local:     1
//@ define:    BACKWARD = 0
//@ define:    PANELS = 1
//@ define:    WEIGHTS_KEPT = 0
//@ define:    PANEL = 32
//@ define:    CHUNK = 64
//@ needs:     avx512_bf16
//@ compute:   bf16 0.03
//@ when:      NINE_TAPS && O % 32 == 0 && C % 32 == 0 && FILLS_OUT
//@ workspace: ceildiv(TILES_OUT, CHUNK)*18*(CHUNK*C + C/2)
//@ score:     77
//@ about:     the same for many weights and few tiles

/* Output tiles of 4 x 4 from input tiles of 6 x 6: Y = At [(G w Gt) o (Bt d B)] A, where o is, for each of
 * the 36 components, a product of rows of channels (one a tile) with a matrix. The interpolation points are
 * 0, +-1/sqrt 2, +-sqrt 2 and infinity: the error is a quarter of that of 0, +-1, +-2.
 * d: v[component][tile][channel]; w: u[component][panel of 32 outputs][channel][32]; the products:
 * m[component][tile][32]. With PANELS all of d is transformed first, and a work-item transforms the weights
 * of PANEL outputs and KB channels at a time; else all weights first, and a work-item's P tiles. */

/* Steps from component to component: no powers of two, which would map all of them to few cache sets. */
#if PANELS
#if CI % 64 == 0
#define KB 64
#else
#define KB 32
#endif
#define ROW KB
#define V_STEP (CHUNK * KB + 16)
#define U_STEP (ROWS_OF_U(KB) * PANEL + 16)
#define V_BLOCK ((ulong)36 * V_STEP) /* CHUNK tiles, KB channels */
#define M_STEP (CHUNK * PANEL + 16)
#else
#define ROW (CI + 16)
#define V_STEP (P * ROW)
#define U_STEP ((ulong)ROWS_OF_U(CI) * CO + 16)
#endif
#define H_STEP (P * 32 + 16)

/* y = G (x0, x1, x2): the powers 0 to 2 of the points, divided by the products of their differences. */
#define TRANSFORM_WEIGHTS(x0, x1, x2, y)                                                                     \
    six y; {                                                                                                 \
        y.a = x0; y.b = x1; y.f = x2;                                                                        \
        const float16 even1 = -1.0f / 1.5f * fma((float16)(0.5f), y.f, y.a), odd1 = -P1 / 1.5f * y.b;        \
        const float16 even2 = 1.0f / 6.0f * fma((float16)(2.0f), y.f, y.a), odd2 = P2 / 6.0f * y.b;          \
        y.b = even1 + odd1; y.c = even1 - odd1;                                                              \
        y.d = even2 + odd2; y.e = even2 - odd2; }

/* At x: the powers 0 to 3 of the points. */
#define TRANSFORM_OUTPUT(x, is_short)                                                                        \
    const float16 t = x.b + x.c, u = x.b - x.c;                                                              \
    float16 y0 = x.a + t, y1 = P1 * u, y2 = 0.5f * t, y3;                                                    \
    if (is_short) {                                                                                          \
        y1 += x.f;                                                                                           \
        y3 = 0.0f;                                                                                           \
    } else {                                                                                                 \
        const float16 p = x.d + x.e, q = x.d - x.e;                                                          \
        y0 += p; y1 = fma((float16)(P2), q, y1); y2 = fma((float16)(2.0f), p, y2);                           \
        y3 = fma((float16)(0.5f * P1), u, fma((float16)(2.0f * P2), q, x.f));                                \
    }

/* Of P tiles and 32 channels: the four columns of one row of components, which are `step` apart in m. */
SP_INLINE void transform_columns(float *half_way, const float *m, int step, int is_short)
{
    for (int i = 0; i < P * 32; i += 16) {
        const six d = GET6(m + i, step);
        TRANSFORM_OUTPUT(d, is_short);
        float *to = half_way + i;
        SP_STORE16(__private, y0, to); SP_STORE16(__private, y1, to + H_STEP);
        SP_STORE16(__private, y2, to + 2 * H_STEP); SP_STORE16(__private, y3, to + 3 * H_STEP);
    }
}

/* Then the rows, and the outputs of the tiles `first` .. first + P - 1 of a shape. */
SP_INLINE void store_tiles(__global float *to, __global const float *bias, const float *half_way, int first, int shape,
                           int co, int N)
{
    for (int t = 0; t < P; t++) {
        int n, y, x0;
        if (!find_tile(first + t, shape, N, &n, &y, &x0)) return;
        for (int h = 0; h < 32; h += 16) {
#if !BACKWARD && BIAS
            const float16 add = vload16(0, bias + co + h);
#else
            const float16 add = 0.0f;
#endif
            __global float *out = to + (((ulong)n * OH + y) * OW + x0) * (ulong)CO + co + h;
            for (int j = 0; j < MIN(4, OW - x0); j++, out += CO) {
                const six d = GET6(half_way + j * H_STEP + t * 32 + h, 4 * H_STEP);
                TRANSFORM_OUTPUT(d, shape & SHORT_ROWS);
                vstore16(y0 + add, 0, out);
                if (y + 1 < OH) vstore16(y1 + add, 0, out + OW * CO);
                if (y + 2 < OH) vstore16(y2 + add, 0, out + 2 * OW * CO);
                if (y + 3 < OH) vstore16(y3 + add, 0, out + 3 * OW * CO);
            }
        }
    }
}

/* Components of a row of u; with BF16 of every second one, from the row before in `even`. */
#if BF16
#define PAIR6(x, p) {sp_bf16_pair(vload16(0, p), x.a), sp_bf16_pair(vload16(1, p), x.b), sp_bf16_pair(vload16(2, p), x.c), \
                     sp_bf16_pair(vload16(3, p), x.d), sp_bf16_pair(vload16(4, p), x.e), sp_bf16_pair(vload16(5, p), x.f)}
typedef struct {
    uint16 a, b, c, d, e, f;
} six_words;
#define PUT_U(t, a, i)                                                                                       \
    if ((i) % 2 == 0) {                                                                                      \
        PUT6(__private, t, even + (a) * 6 * 16, 16);                                                         \
    } else {                                                                                                 \
        const six_words pairs = PAIR6(t, even + (a) * 6 * 16);                                               \
        PUT6_BY(SP_STORE_WORDS, U_PLACE, pairs, u + (i) / 2 * 32 + (a) * 6 * U_STEP, U_STEP);                \
    }
#else
#define PUT_U(t, a, i) PUT6(U_PLACE, t, u + (i) * 32 + (a) * 6 * U_STEP, U_STEP)
#endif

/* 16 x 16 weights of all taps, backward mirrored and transposed, to 16 rows of u: of inputs o, outputs c. */
SP_INLINE void transform_square(u_pointer u, __global const float *w, int c, int o)
{
    float g[9 * 16 * 16] __attribute__((aligned(64)));
    for (int k = 0; k < 9; k++) {
#if BACKWARD
        __global const float *from = w + ((ulong)(8 - k) * C + c) * (ulong)O + o;
        float16 s[16], d[16];
        for (int i = 0; i < 16; i++)
            s[i] = vload16(0, from + i * O);
        weave(d, s); weave(s, d); weave(d, s); weave(s, d);
        for (int i = 0; i < 16; i++)
            SP_STORE16(__private, s[i], g + (i * 9 + k) * 16);
#else
        for (int i = 0; i < 16; i++)
            SP_STORE16(__private, vload16(0, w + ((ulong)k * C + o + i) * (ulong)O + c), g + (i * 9 + k) * 16);
#endif
    }
#if BF16
    float even[36 * 16] __attribute__((aligned(64)));
#endif
    for (int i = 0; i < 16; i++) {
        float half_way[18 * 16] __attribute__((aligned(64)));
        for (int j = 0; j < 3; j++) {
            const float *p = g + (i * 9 + j) * 16;
            TRANSFORM_WEIGHTS(vload16(0, p), vload16(3, p), vload16(6, p), t);
            PUT6(__private, t, half_way + j * 16, 3 * 16);
        }
        for (int a = 0; a < 6; a++) {
            const float *p = half_way + a * 3 * 16;
            TRANSFORM_WEIGHTS(vload16(0, p), vload16(1, p), vload16(2, p), t);
            PUT_U(t, a, i);
        }
    }
}

#if BF16
#define HOW(how) winograd_bf16_##how
#else
#define HOW(how) winograd_##how
#endif
#if BACKWARD
#define NAME(how) CAT(conv_backward_input__, HOW(how))
#define IN_ e
#define OUT_ g_x
#define BIAS_ARGUMENT
#define BIAS_AT
#define bias 0
#else
#define NAME(how) CAT(conv_forward__, HOW(how))
#define IN_ x
#define OUT_ y
#if BIAS
#define BIAS_ARGUMENT SP_IN(float, bias),
#define BIAS_AT SP_AT(bias)
#else
#define BIAS_ARGUMENT
#define BIAS_AT
#define bias 0
#endif
#endif
#define IN_ARGUMENT_(name) SP_IN(in_type, name)
#define IN_ARGUMENT(name) IN_ARGUMENT_(name)
#define OUT_ARGUMENT_(name) SP_OUT(float, name)
#define OUT_ARGUMENT(name) OUT_ARGUMENT_(name)
#define AT_(name) SP_AT(name)
#define AT(name) AT_(name)

#if !PANELS
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(weights)(SP_IN(float, w), SP_OUT(float, work))
{
    SP_AT(w); SP_AT(work);
    const int c = (int)get_global_id(0) * 32, o0 = (int)get_global_id(1) * 64;
    for (int o = o0; o < MIN(o0 + 64, CI); o += 16)
        for (int h = 0; h < 32; h += 16)
            transform_square((u_pointer)work + ((ulong)c * ROWS_OF_U(CI) + ROWS_OF_U(o) * 32 + h), w, c + h, o);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(blocks)(IN_ARGUMENT(IN_), SP_IN(float, work), BIAS_ARGUMENT OUT_ARGUMENT(OUT_), int N)
{
    AT(IN_); SP_AT(work); AT(OUT_); BIAS_AT;
    V_NUMBER v[36 * V_STEP] __attribute__((aligned(64)));
    float m[6 * H_STEP] __attribute__((aligned(64)));
    float half_way[24 * H_STEP] __attribute__((aligned(64)));
    const long item = get_global_id(0), items = get_global_size(0);
    /* A work-item's share of the blocks of every shape: full tiles take longest. */
    for (int shape = 0; shape < 4; shape++) {
        const long blocks = CEIL(tiles_of(shape, N), P);
        for (int first = (int)(item * blocks / items) * P; first < (item + 1) * blocks / items * P; first += P) {
            for (int t = 0; t < P; t++)
                for (int c = 0; c < CI; c += 64)
                    load_tile(v + t * ROW + c, V_STEP, IN_, c, MIN(64, CI - c), first + t, shape, N);
            for (int c = 0; c < CO; c += 32) {
                for (int i = 0; i < 6; i++) {
                    for (int j = 0; j < 6; j++)
                        if (!LACKS(shape, i * 6 + j))
                            multiply(m + j * H_STEP, v + (i * 6 + j) * V_STEP, ROW, 1,
                                     (u_input)work + (i * 6 + j) * U_STEP + (ulong)c * ROWS_OF_U(CI), CI, 0);
                    if (!MISSING(i, shape & SHORT_ROWS))
                        transform_columns(half_way + i * 4 * H_STEP, m, H_STEP, shape & SHORT_COLUMNS);
                }
                store_tiles(OUT_, bias, half_way, first, shape, c, N);
            }
        }
    }
}
#else
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(input)(IN_ARGUMENT(IN_), SP_OUT(float, work), int N)
{
    AT(IN_); SP_AT(work);
    const ulong items = get_global_size(0), item = get_global_id(0), rows = TILES;
    for (ulong t = item * rows / items; t < (item + 1) * rows / items; t++) {
        const int shape = shape_of((int)t, N), at = (int)t - shape_begin(shape, N);
        for (int c = 0; c < CI; c += KB)
            load_tile((v_pointer)work + (t / CHUNK * (CI / KB) + c / KB) * V_BLOCK + t % CHUNK * KB, V_STEP, IN_, c, KB, at,
                      shape, N);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(panels)(SP_IN(float, w), SP_IN(float, work), BIAS_ARGUMENT OUT_ARGUMENT(OUT_), int N)
{
    SP_AT(w); SP_AT(work); AT(OUT_); BIAS_AT;
    U_NUMBER u[36 * U_STEP] __attribute__((aligned(64)));
    float m[36 * M_STEP] __attribute__((aligned(64))), half_way[24 * H_STEP] __attribute__((aligned(64)));
    const int unit = (int)get_global_id(0), chunk = unit % CEIL(TILES, CHUNK), first = chunk * CHUNK;
    const int c = unit / CEIL(TILES, CHUNK) * PANEL, tiles = MIN(CHUNK, TILES - first);
    v_input v = (v_input)work + chunk * V_BLOCK * (CI / KB);
    for (int k0 = 0; k0 < CI; k0 += KB, v += V_BLOCK) {
        for (int o = 0; o < KB; o += 16)
            for (int h = 0; h < PANEL; h += 16)
                transform_square(u + ROWS_OF_U(o) * 32 + h, w, c + h, k0 + o);
        for (int k = 0; k < 36; k++)
            for (int t = 0; t < tiles; t += P)
                if (!LACKS(shape_of(first + t, N), k))
                    multiply(m + k * M_STEP + t * 32, v + k * V_STEP + t * KB, ROW, 1, u + k * U_STEP, KB, k0 > 0);
    }
    for (int t = 0; t < tiles; t += P) {
        const int shape = shape_of(first + t, N);
        for (int i = 0; i < 6; i++)
            if (!MISSING(i, shape & SHORT_ROWS))
                transform_columns(half_way + i * 4 * H_STEP, m + i * 6 * M_STEP + t * 32, M_STEP, shape & SHORT_COLUMNS);
        store_tiles(OUT_, bias, half_way, first + t - shape_begin(shape, N), shape, c, N);
    }
}
#endif
