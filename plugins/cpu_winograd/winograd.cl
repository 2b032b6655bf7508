//@ plugin:    cpu_winograd 1.0.0
//@ abi:       1
//@ include:   lanes.clh macros.clh spike_lists.clh weave.clh bf16.clh winograd_sizes.clh winograd.clh winograd_passes.clh
//@ let:       NINE_TAPS = KH == 3 && KW == 3 && SH == 1 && SW == 1 && DH == 1 && DW == 1 && PH <= 2 && PW <= 2
//@ let:       TILES_IN = N*ceildiv(H, 4)*ceildiv(W, 4)
//@ let:       TILES_OUT = N*ceildiv(HO, 4)*ceildiv(WO, 4)
//@ let:       KEPT_IN = C*O <= 32768 && 1152*(O + 16) + 131072 <= private_bytes
//@ let:       KEPT_OUT = C*O <= 32768 && 1152*(C + 16) + 131072 <= private_bytes
//@ let:       BF16_KEPT_IN = C*O <= 65536 && 576*(O + 32) + 131072 <= private_bytes
//@ let:       BF16_KEPT_OUT = C*O <= 65536 && 576*(C + 32) + 131072 <= private_bytes
//@ let:       LISTS = N*H*(W + 2 + ceildiv(W*C, 2))
//@ let:       ROOM = private_bytes >= 800000
//@ let:       FILLS_IN = ROOM && 6*ceildiv(H, 4)*ceildiv(W, 4) <= H*W && TILES_IN >= 8
//@ let:       FILLS_OUT = ROOM && 6*ceildiv(HO, 4)*ceildiv(WO, 4) <= HO*WO && TILES_OUT >= 8
//@ all:       device: cpu
//@ all:       bake: H W C O KH KW SH SW PH PW DH DW HO WO
//@ all:       tune: BLOCK = 8 4
//@ all:       vendor: narrow BLOCK=4
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__winograd_weights
//@ global:    cu*16
//@ local:     1
//@ kernel:    conv_backward_input__winograd_blocks
//@ global:    cu*16
//@ local:     1
//@ define:    BACKWARD = 1
//@ define:    PANELS = 0
//@ define:    WEIGHTS_KEPT = 1
//@ when:      NINE_TAPS && C % 32 == 0 && O % 16 == 0 && KEPT_IN && FILLS_IN
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
//@ global:    cu*16
//@ local:     1
//@ kernel:    conv_forward__winograd_blocks
//@ global:    cu*16
//@ local:     1
//@ define:    BACKWARD = 0
//@ define:    PANELS = 0
//@ define:    WEIGHTS_KEPT = 1
//@ when:      NINE_TAPS && C % 16 == 0 && O % 32 == 0 && KEPT_OUT && FILLS_OUT
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
//@ op:        conv.forward/1
//@ kernel:    conv_forward__winograd_by_rate_weights
//@ global:    cu*4
//@ local:     1
//@ kernel:    conv_forward__winograd_by_rate_blocks
//@ global:    cu*16
//@ local:     1
//@ define:    BACKWARD = 0
//@ define:    PANELS = 0
//@ define:    WEIGHTS_KEPT = 1
//@ define:    BY_RATE = 1
//@ needs:     avx512_bf16
//@ when:      X_BITS && NINE_TAPS && C % 16 == 0 && O % 32 == 0 && KEPT_OUT && FILLS_OUT && HO > 3 && WO > 3 && W*C <= 65536
//@ workspace: max(36*(C*O + 16), LISTS)
//@ score:     82
//@ about:     adds the weights of each spike where few neurons fire, else Winograd F(4x4, 3x3)
//@ op:        conv.forward/1
//@ kernel:    conv_forward__winograd_by_rate_input
//@ global:    cu*4
//@ local:     1
//@ kernel:    conv_forward__winograd_by_rate_panels
//@ global:    O/PANEL*ceildiv(TILES_OUT, CHUNK)
//@ local:     1
//@ define:    BACKWARD = 0
//@ define:    PANELS = 1
//@ define:    WEIGHTS_KEPT = 0
//@ define:    PANEL = 32
//@ define:    CHUNK = 64
//@ define:    BY_RATE = 1
//@ needs:     avx512_bf16
//@ when:      X_BITS && NINE_TAPS && C % 32 == 0 && O % 32 == 0 && FILLS_OUT && HO > 3 && WO > 3 && W*C <= 65536
//@ workspace: max(ceildiv(TILES_OUT, CHUNK)*36*(CHUNK*C + C/2), LISTS)
//@ score:     81
//@ about:     the same for many weights and few tiles
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__winograd_bf16_weights
//@ global:    cu*16
//@ local:     1
//@ kernel:    conv_backward_input__winograd_bf16_blocks
//@ global:    cu*16
//@ local:     1
//@ define:    BACKWARD = 1
//@ define:    PANELS = 0
//@ define:    WEIGHTS_KEPT = 1
//@ needs:     avx512_bf16
//@ compute:   bf16 0.03
//@ when:      NINE_TAPS && C % 32 == 0 && O % 16 == 0 && BF16_KEPT_IN && FILLS_IN
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
//@ global:    cu*16
//@ local:     1
//@ kernel:    conv_forward__winograd_bf16_blocks
//@ global:    cu*16
//@ local:     1
//@ define:    BACKWARD = 0
//@ define:    PANELS = 0
//@ define:    WEIGHTS_KEPT = 1
//@ needs:     avx512_bf16
//@ compute:   bf16 0.03
//@ when:      NINE_TAPS && O % 32 == 0 && C % 16 == 0 && BF16_KEPT_OUT && FILLS_OUT
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
 * of PANEL outputs and KB channels at a time; else all weights first, and a work-item's P tiles.
 *
 * With BY_RATE the input is spikes. Where fewer than one in seven fire, their lists (spike_lists.clh) are faster. */

#if BF16
#define HOW(how) winograd_bf16_##how
#elif BY_RATE
#define HOW(how) winograd_by_rate_##how
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

#if BY_RATE && X_BITS
#define IF_BY_RATE(...) __VA_ARGS__
#define SELDOM_ONE_IN 7
#define MOST_SAMPLES 64         /* vectors of 512 bits that are read to judge the rate */
#define GOLDEN_RATIO 0x9e3779b1u /* its fractional part times 2^32 */

/* Whether few neurons fire. Every work-item reads the same sample, an eighth of a small input, and so decides the same. The
 * fractional parts of multiples of the golden ratio are spread evenly, and so are the vectors that are read, whatever the sizes. */
SP_INLINE int fires_seldom(__global const uint *x, int N)
{
    const ulong vectors = (ulong)N * H * W * SP_WORDS(C) / 16;
    const uint samples = (uint)clamp(vectors / 8, 4ul, (ulong)MOST_SAMPLES);
    uint16 spikes = 0;
    for (uint i = 0; i < samples; i++)
        spikes += popcount(vload16((ulong)(i * GOLDEN_RATIO) * vectors >> 32, x));
    const uint8 eight = spikes.lo + spikes.hi;
    const uint4 four = eight.lo + eight.hi;
    return (four.x + four.y + four.z + four.w) * SELDOM_ONE_IN < samples * (16 * C / SP_WORDS(C));
}

SP_INLINE void list_spikes(__global float *work, __global const uint *x, int N)
{
    const long item = (long)get_global_id(0), items = (long)get_global_size(0), rows = (long)N * H;
    for (long row = item * rows / items; row < (item + 1) * rows / items; row++)
        make_list(work, x, N, row);
}

SP_INLINE void add_spikes(__global const float *work, __global const float *w, __global const float *bias_,
                          __global float *y, int N)
{
    const long item = (long)get_global_id(0), items = (long)get_global_size(0);
    for (long unit = item * UNITS / items; unit < (item + 1) * UNITS / items; unit++) {
        strip_unit u;
        find_unit(&u, unit, N);
        add_lists(work, w, bias_, y, &u, N);
    }
}
#if BIAS
#define BIAS_OR_NONE bias
#else
#define BIAS_OR_NONE w
#endif
#else
#define IF_BY_RATE(...)
#endif

#if !PANELS
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(weights)(SP_IN(float, w), IF_BY_RATE(SP_IN(uint, x),) SP_OUT(float, work) IF_BY_RATE(, int N))
{
    SP_AT(w); SP_AT(work);
#if BY_RATE && X_BITS
    SP_AT(x);
    if (fires_seldom(x, N)) {
        list_spikes(work, x, N);
        return;
    }
#endif
    const int item = (int)get_global_id(0), items = (int)get_global_size(0);
    const int across = CEIL(CO, SQUARE_COLUMNS), squares = across * CEIL(CI, SQUARE_ROWS);
    for (int square = item * squares / items; square < (item + 1) * squares / items; square++) {
        const int c = square % across * SQUARE_COLUMNS, o0 = square / across * SQUARE_ROWS;
        for (int o = o0; o < MIN(o0 + SQUARE_ROWS, CI); o += 16)
            for (int h = 0; h < SQUARE_COLUMNS; h += 16)
                transform_square((u_pointer)work + ((ulong)c * ROWS_OF_U(CI) + ROWS_OF_U(o) * 32 + h), w, c + h, o);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(blocks)(IN_ARGUMENT(IN_), SP_IN(float, work), IF_BY_RATE(SP_IN(float, w),) BIAS_ARGUMENT OUT_ARGUMENT(OUT_), int N)
{
    AT(IN_); SP_AT(work); AT(OUT_); BIAS_AT;
#if BY_RATE && X_BITS
    SP_AT(w);
    if (fires_seldom(x, N)) {
        add_spikes(work, w, BIAS_OR_NONE, y, N);
        return;
    }
#endif
    V_NUMBER v[36 * V_STEP] __attribute__((aligned(64)));
    float m[6 * H_STEP] __attribute__((aligned(64)));
    float half_way[24 * H_STEP] __attribute__((aligned(64)));
    const long item = get_global_id(0), items = get_global_size(0), blocks = CEIL(TILES, P);
#if SHORT_H || SHORT_W /* in turn, because full tiles take longest, and a driver gives a thread neighbouring work-items */
    for (int first = (int)item * P; first < TILES; first += (int)items * P) {
#else
    for (int first = (int)(item * blocks / items) * P; first < (item + 1) * blocks / items * P; first += P) {
#endif
        const group tiles = group_of(first, N);
        const int common = tiles.common;
        for (int t = 0; t < P; t++) {
            const int shape = shape_in(tiles.shapes, t), at = first + t - shape_begin(shape, N);
            for (int c = 0; c < CI; c += 64)
                load_tile(v + t * ROW + c, V_STEP, IN_, c, MIN(64, CI - c), at, shape, common, N);
        }
        for (int c = 0; c < CO; c += 32) {
            for (int i = 0; i < 6; i++) {
                for (int j = 0; j < 6; j++)
                    if (!LACKS(common, i * 6 + j))
                        multiply(m + j * H_STEP, v + (i * 6 + j) * V_STEP, ROW, 1,
                                 (u_input)work + (i * 6 + j) * U_STEP + (ulong)c * ROWS_OF_U(CI), CI, 0);
                if (!MISSING(i, common & SHORT_ROWS))
                    transform_columns(half_way + i * 4 * H_STEP, m, H_STEP, tiles.shapes);
            }
            store_tiles(OUT_, bias, half_way, first, tiles.shapes, c, N);
        }
    }
}
#else
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(input)(IN_ARGUMENT(IN_), SP_OUT(float, work), int N)
{
    AT(IN_); SP_AT(work);
#if BY_RATE && X_BITS
    if (fires_seldom(x, N)) {
        list_spikes(work, x, N);
        return;
    }
#endif
    const ulong items = get_global_size(0), item = get_global_id(0), rows = CEIL(TILES, P) * P;
    for (ulong t = item * rows / items; t < (item + 1) * rows / items; t++) {
        const int shape = shape_of((int)t, N), at = (int)t - shape_begin(shape, N), common = group_of((int)t / P * P, N).common;
        for (int c = 0; c < CI; c += KB)
            load_tile((v_pointer)work + (t / CHUNK * (CI / KB) + c / KB) * V_BLOCK + t % CHUNK * KB, V_STEP, IN_, c, KB, at,
                      shape, common, N);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void NAME(panels)(SP_IN(float, w), SP_IN(float, work), IF_BY_RATE(SP_IN(uint, x),) BIAS_ARGUMENT OUT_ARGUMENT(OUT_), int N)
{
    SP_AT(w); SP_AT(work); AT(OUT_); BIAS_AT;
#if BY_RATE && X_BITS
    SP_AT(x);
    if (fires_seldom(x, N)) {
        add_spikes(work, w, BIAS_OR_NONE, y, N);
        return;
    }
#endif
    U_NUMBER u[36 * U_STEP] __attribute__((aligned(64)));
    float m[36 * M_STEP] __attribute__((aligned(64))), half_way[24 * H_STEP] __attribute__((aligned(64)));
    const int unit = (int)get_global_id(0), chunk = unit % CEIL(TILES, CHUNK), first = chunk * CHUNK;
    const int c = unit / CEIL(TILES, CHUNK) * PANEL, tiles = MIN(CHUNK, TILES - first);
    v_input v = (v_input)work + chunk * V_BLOCK * (CI / KB);
    int common = 0; /* of each group, two bits */
#if SHORT_H || SHORT_W
    for (int t = 0; t < tiles; t += P)
        common |= group_of(first + t, N).common << t / P * 2;
#endif
    for (int k0 = 0; k0 < CI; k0 += KB, v += V_BLOCK) {
        for (int o = 0; o < KB; o += 16)
            for (int h = 0; h < PANEL; h += 16)
                transform_square(u + ROWS_OF_U(o) * 32 + h, w, c + h, k0 + o);
        for (int k = 0; k < 36; k++)
            for (int t = 0; t < tiles; t += P)
                if (!LACKS(shape_in(common, t / P), k))
                    multiply(m + k * M_STEP + t * 32, v + k * V_STEP + t * KB, ROW, 1, u + k * U_STEP, KB, k0 > 0);
    }
    for (int t = 0; t < tiles; t += P) {
        const group g = group_of(first + t, N);
        for (int i = 0; i < 6; i++)
            if (!MISSING(i, g.common & SHORT_ROWS))
                transform_columns(half_way + i * 4 * H_STEP, m + i * 6 * M_STEP + t * 32, M_STEP, g.shapes);
        store_tiles(OUT_, bias, half_way, first + t, g.shapes, c, N);
    }
}
#endif
