/* C references of gemm, convolution, pooling and the elementwise ops: small cases computed by hand, and
 * properties that need no second implementation (linearity, backward as the adjoint of forward, im2col and
 * gemm as conv). */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "op/op.h"

enum { MAX = 4096 }; /* floats in the largest buffer of a case here */

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A call from "N=2 H=5 X_BITS=1 ...": ints and flags by name. */
static sp_op_call make(const char *id, const char *settings)
{
    sp_op_call c = sp_op_call_make(id);
    char name[16];
    long long value;
    int used;
    for (const char *at = settings; sscanf(at, " %15[A-Z_]=%lld%n", name, &value, &used) == 2; at += used) {
        int64_t known;
        if (sp_call_lookup(&c, name, &known) != 0)
            continue; /* one text serves a family: pooling has no O */
        for (int i = 0; i < SP_OP_MAX_INTS && c.op->ints[i]; i++)
            if (strcmp(c.op->ints[i], name) == 0)
                c.ints[i] = value;
        for (int i = 0; i < SP_OP_MAX_FLAGS && c.op->flags[i]; i++)
            if (strcmp(c.op->flags[i], name) == 0)
                c.flags[i] = value != 0;
    }
    return c;
}

static void run(const sp_op_call *c, void *b0, void *b1, void *b2, void *b3)
{
    void *buf[SP_OP_MAX_BUFFERS] = {b0, b1, b2, b3};
    for (int i = 0; i < 4; i++)
        if (buf[i])
            cr_assert_leq(sp_call_buffer_elems(c, i), MAX, "case too large for the buffers of this test");
    c->op->reference(c, buf);
}

static void fill_random(float *x, uint64_t stream)
{
    sp_rng rng = sp_rng_make(7, stream);
    for (int i = 0; i < MAX; i++)
        x[i] = sp_rng_normal(&rng);
}

static void fill_spikes(float *x, uint64_t stream)
{
    sp_rng rng = sp_rng_make(8, stream);
    for (int i = 0; i < MAX; i++)
        x[i] = sp_rng_uniform(&rng) < 0.4f;
}

/* The first rows x cols of x as bits. */
static void pack(const float *x, int64_t rows, int64_t cols, uint32_t *bits)
{
    memset(bits, 0, (size_t)(rows * ((cols + 31) / 32)) * sizeof *bits);
    for (int64_t i = 0; i < rows * cols; i++)
        if (x[i] != 0.0f)
            bits[i / cols * ((cols + 31) / 32) + i % cols / 32] |= 1u << (i % cols % 32);
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void expect(const float *got, const float *want, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        cr_assert_float_eq(got[i], want[i], 1e-6f, "%s: element %zu is %g, expected %g", what, i,
                           (double)got[i], (double)want[i]);
}

static void expect_close(double got, double want, double scale, const char *what)
{
    cr_assert_leq(fabs(got - want), 1e-5 * (scale + 1.0), "%s: %.9g, expected %.9g", what, got, want);
}

/* Strides, padding, dilation, windows that skip pixels, kernels over the whole input, more than 32 channels.
 */
static const char *const convolutions[] = {
    "N=1 H=1 W=1 C=1 O=1 KH=1 KW=1 SH=1 SW=1 PH=0 PW=0 DH=1 DW=1 HO=1 WO=1",
    "N=2 H=5 W=4 C=3 O=2 KH=3 KW=3 SH=1 SW=1 PH=1 PW=1 DH=1 DW=1 HO=5 WO=4",
    "N=2 H=7 W=6 C=2 O=3 KH=3 KW=2 SH=2 SW=3 PH=1 PW=0 DH=1 DW=1 HO=4 WO=2",
    "N=1 H=9 W=8 C=2 O=2 KH=3 KW=3 SH=1 SW=2 PH=2 PW=1 DH=2 DW=3 HO=9 WO=2",
    "N=2 H=6 W=6 C=1 O=2 KH=1 KW=1 SH=2 SW=2 PH=0 PW=0 DH=1 DW=1 HO=3 WO=3",
    "N=3 H=2 W=3 C=5 O=7 KH=2 KW=3 SH=1 SW=1 PH=0 PW=0 DH=1 DW=1 HO=1 WO=1",
    "N=1 H=3 W=4 C=35 O=70 KH=1 KW=1 SH=1 SW=1 PH=0 PW=0 DH=1 DW=1 HO=3 WO=4",
    "N=1 H=2 W=2 C=1 O=1 KH=3 KW=3 SH=1 SW=1 PH=3 PW=3 DH=1 DW=1 HO=6 WO=6",
};

static float x[MAX], w[MAX], e[MAX], y[MAX], z[MAX], g_x[MAX], g_w[MAX], col[MAX];
static uint32_t bits[MAX];

Test(gemm_ref, transposes_and_accumulates)
{
    float a[] = {1, 2, 3, 4, 5, 6}, at[] = {1, 4, 2, 5, 3, 6};         /* [2][3] and its transpose */
    float b[] = {1, 0, -1, 2, 0.5f, 3}, bt[] = {1, -1, 0.5f, 0, 2, 3}; /* [3][2] and its transpose */
    const float product[] = {0.5f, 13, 2, 28};
    for (int flags = 0; flags < 8; flags++) {
        sp_op_call c = make("gemm", "M=2 N=2 K=3");
        sp_call_set_flag(&c, "TA", flags & 1);
        sp_call_set_flag(&c, "TB", flags & 2);
        sp_call_set_flag(&c, "ACC", flags & 4);
        float out[] = {10, 20, 30, 40}, want[4];
        for (int i = 0; i < 4; i++)
            want[i] = product[i] + (flags & 4 ? out[i] : 0.0f);
        run(&c, flags & 1 ? at : a, flags & 2 ? bt : b, out, NULL);
        expect(out, want, 4, "gemm");
    }
}

/* Weights of groups, [taps][C/G][O], as those of a dense convolution with zeros between the groups. */
static void spread_groups(const float *grouped, int taps, int C, int O, int G, float *dense)
{
    const int c = C / G, o = O / G;
    for (int i = 0; i < taps * C * O; i++)
        dense[i] = i / O % C / c == i % O / o ? grouped[(i / (C * O) * c + i / O % c) * O + i % O] : 0;
}

Test(conv_ref, groups_are_a_dense_convolution_with_zeros_between_them)
{
    static const char shape[] = "N=2 H=5 W=4 C=6 O=12 KH=3 KW=2 SH=2 SW=1 PH=1 PW=1 DH=1 DW=2 HO=3 WO=4 G=%d "
                                "BIAS=1";
    static const int groups[] = {1, 2, 3, 6};
    for (size_t i = 0; i < COUNT(groups); i++) {
        char text[128];
        const int G = groups[i], taps = 6, C = 6, O = 12;
        snprintf(text, sizeof text, shape, G);
        fill_random(x, 1), fill_random(w, 2), fill_random(e, 3);
        spread_groups(w, taps, C, O, G, col);
        sp_op_call a = make("group_conv.forward", text), b = make("conv.forward", text);
        run(&a, x, w, e, y), run(&b, x, col, e, z);
        expect(y, z, 2 * 3 * 4 * 12, "forward");
        a = make("group_conv.backward_input", text), b = make("conv.backward_input", text);
        run(&a, e, w, y, NULL), run(&b, e, col, z, NULL);
        expect(y, z, 2 * 5 * 4 * 6, "input gradient");
        memset(y, 0, sizeof y), memset(z, 0, sizeof z), memset(g_w, 0, sizeof g_w);
        a = make("group_conv.backward_weight", text), b = make("conv.backward_weight", text);
        run(&a, x, e, y, NULL), run(&b, x, e, z, NULL);
        spread_groups(y, taps, C, O, G, col);
        for (int k = 0; k < taps * C * O; k++)
            g_w[k] = k / O % C / (C / G) == k % O / (O / G) ? z[k] : 0;
        expect(col, g_w, (size_t)(taps * C * O), "weight gradient");
    }
}

Test(conv_ref, forward_by_hand)
{
    float in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, kernel[] = {1, 0, 0, -1}, bias[] = {100};
    const float valid[] = {-4, -4, -4, -4}; /* x[h][w] - x[h+1][w+1]: the kernel is not flipped */
    sp_op_call c = make("conv.forward", "N=1 H=3 W=3 C=1 O=1 KH=2 KW=2 SH=1 SW=1 DH=1 DW=1 HO=2 WO=2");
    run(&c, in, kernel, NULL, y);
    expect(y, valid, 4, "valid");

    const float padded[] = {-1 + 100, -3 + 100, -7 + 100,
                            5 - 9 + 100}; /* stride 2, one row and column of zeros */
    c = make("conv.forward", "N=1 H=3 W=3 C=1 O=1 KH=2 KW=2 SH=2 SW=2 PH=1 PW=1 DH=1 DW=1 HO=2 WO=2 BIAS=1");
    run(&c, in, kernel, bias, y);
    expect(y, padded, 4, "padded, strided, with bias");

    const float dilated[] = {1 - 9};
    c = make("conv.forward", "N=1 H=3 W=3 C=1 O=1 KH=2 KW=2 SH=1 SW=1 DH=2 DW=2 HO=1 WO=1");
    run(&c, in, kernel, NULL, y);
    expect(y, dilated, 1, "dilated");
}

Test(conv_ref, channels_are_last_in_input_and_output)
{
    float in[] = {1, 2, 3, 4};                 /* [W=2][C=2] */
    float kernel[] = {1, 10, 100, 2, 20, 200}; /* [C=2][O=3] */
    const float want[] = {5, 50, 500, 11, 110, 1100};
    sp_op_call c = make("conv.forward", "N=1 H=1 W=2 C=2 O=3 KH=1 KW=1 SH=1 SW=1 DH=1 DW=1 HO=1 WO=2");
    run(&c, in, kernel, NULL, y);
    expect(y, want, 6, "1x1");
}

Test(conv_ref, backward_passes_are_the_adjoints_of_forward)
{
    for (size_t i = 0; i < COUNT(convolutions); i++)
        for (int with_bits = 0; with_bits < 2; with_bits++) {
            sp_op_call forward = make("conv.forward", convolutions[i]);
            sp_op_call input = make("conv.backward_input", convolutions[i]);
            sp_op_call weight = make("conv.backward_weight", convolutions[i]);
            sp_call_set_flag(&forward, "X_BITS", with_bits);
            sp_call_set_flag(&weight, "X_BITS", with_bits);
            const int64_t nx = sp_call_buffer_elems(&input, 2), nw = sp_call_buffer_elems(&input, 1);
            const int64_t ny = sp_call_buffer_elems(&input, 0);
            (with_bits ? fill_spikes : fill_random)(x, 10 + i);
            fill_random(w, 20 + i);
            fill_random(e, 30 + i);
            pack(x, nx / sp_call_int(&input, "C"), sp_call_int(&input, "C"), bits);
            void *in = with_bits ? (void *)bits : x;

            run(&forward, in, w, NULL, y);
            run(&input, e, w, g_x, NULL);
            memset(g_w, 0, sizeof g_w);
            run(&weight, in, e, g_w, NULL);
            const double want = dot(y, e, ny), scale = sqrt(dot(y, y, ny) * dot(e, e, ny));
            cr_assert(isfinite(want));
            expect_close(dot(x, g_x, nx), want, scale, convolutions[i]);
            expect_close(dot(w, g_w, nw), want, scale, convolutions[i]);
        }
}

Test(conv_ref, forward_is_linear)
{
    for (size_t i = 0; i < COUNT(convolutions); i++) {
        sp_op_call c = make("conv.forward", convolutions[i]);
        const int64_t nx = sp_call_buffer_elems(&c, 0), ny = sp_call_buffer_elems(&c, 3);
        static float a[MAX], b[MAX], y_a[MAX], y_b[MAX];
        fill_random(a, 1);
        fill_random(b, 2);
        fill_random(w, 3);
        for (int64_t k = 0; k < nx; k++)
            x[k] = 2.0f * a[k] - 3.0f * b[k];
        run(&c, a, w, NULL, y_a);
        run(&c, b, w, NULL, y_b);
        run(&c, x, w, NULL, y);
        for (int64_t k = 0; k < ny; k++)
            expect_close((double)y[k], 2.0 * (double)y_a[k] - 3.0 * (double)y_b[k], 20.0, convolutions[i]);
    }
}

Test(conv_ref, bits_and_floats_agree)
{
    for (size_t i = 0; i < COUNT(convolutions); i++) {
        sp_op_call c = make("conv.forward", convolutions[i]), im = make("im2col", convolutions[i]);
        const int64_t C = sp_call_int(&c, "C");
        fill_spikes(x, i);
        fill_random(w, 3);
        pack(x, sp_call_buffer_rows(&c, 0), C, bits);
        run(&c, x, w, NULL, y);
        run(&im, x, col, NULL, NULL);
        sp_call_set_flag(&c, "X_BITS", 1);
        sp_call_set_flag(&im, "X_BITS", 1);
        run(&c, bits, w, NULL, z);
        cr_assert_arr_eq(y, z, (size_t)sp_call_buffer_elems(&c, 3) * sizeof *y, "%s", convolutions[i]);
        static float other[MAX];
        run(&im, bits, other, NULL, NULL);
        cr_assert_arr_eq(col, other, (size_t)sp_call_buffer_elems(&im, 1) * sizeof *col, "%s",
                         convolutions[i]);
    }
}

/* Sums of 1 and -1 are exact in whatever order. */
Test(conv_ref, population_counts_are_the_product_with_1_and_minus_1)
{
    static float bias[MAX];
    for (size_t i = 0; i < COUNT(convolutions); i++) {
        sp_op_call c = make("conv.forward", convolutions[i]),
                   counts = make("binary_conv.forward", convolutions[i]),
                   unpack = make("binary.unpack", convolutions[i]);
        static uint32_t signs[MAX];
        sp_rng rng = sp_rng_make(9, i);
        for (int k = 0; k < MAX; k++)
            signs[k] = sp_rng_u32(&rng);
        sp_call_set_int(&unpack, "M", sp_call_int(&c, "KH") * sp_call_int(&c, "KW"));
        sp_call_set_flag(&c, "X_BITS", 1), sp_call_set_flag(&c, "BIAS", i % 2);
        sp_call_set_flag(&counts, "BIAS", i % 2);
        fill_spikes(x, i), fill_random(bias, i);
        pack(x, sp_call_buffer_rows(&c, 0), sp_call_int(&c, "C"), bits);
        run(&unpack, signs, w, NULL, NULL);
        run(&c, bits, w, i % 2 ? bias : NULL, y);
        run(&counts, bits, signs, i % 2 ? bias : NULL, z);
        cr_assert_arr_eq(y, z, (size_t)sp_call_buffer_elems(&c, 3) * sizeof *y, "%s", convolutions[i]);
    }
}

Test(conv_ref, weight_gradient_is_added)
{
    sp_op_call c = make("conv.backward_weight", "N=1 H=1 W=2 C=1 O=2 KH=1 KW=1 SH=1 SW=1 DH=1 DW=1 HO=1 "
                                                "WO=2");
    float in[] = {2, 3}, grad[] = {1, 10, 100, 1000}, sum[] = {0.5f, -0.5f};
    const float want[] = {302.5f, 3019.5f};
    run(&c, in, grad, sum, NULL);
    expect(sum, want, 2, "g_w");
}

Test(conv_ref, im2col_and_gemm_are_conv)
{
    for (size_t i = 0; i < COUNT(convolutions); i++) {
        sp_op_call c = make("conv.forward", convolutions[i]), im = make("im2col", convolutions[i]);
        sp_op_call mm = sp_op_call_make("gemm");
        fill_random(x, 40 + i);
        fill_random(w, 50 + i);
        run(&c, x, w, NULL, y);
        run(&im, x, col, NULL, NULL);
        sp_call_set_int(&mm, "M", sp_call_buffer_rows(&im, 1));
        sp_call_set_int(&mm, "K", sp_call_buffer_cols(&im, 1));
        sp_call_set_int(&mm, "N", sp_call_int(&c, "O"));
        run(&mm, col, w, z, NULL);
        expect(y, z, (size_t)sp_call_buffer_elems(&c, 3), convolutions[i]);
    }
}

Test(conv_ref, col2im_is_the_adjoint_of_im2col)
{
    for (size_t i = 0; i < COUNT(convolutions); i++) {
        sp_op_call im = make("im2col", convolutions[i]), back = make("col2im", convolutions[i]);
        const int64_t nx = sp_call_buffer_elems(&im, 0), nc = sp_call_buffer_elems(&im, 1);
        fill_random(x, 60 + i);
        fill_random(e, 70 + i);
        run(&im, x, col, NULL, NULL);
        run(&back, e, g_x, NULL, NULL);
        expect_close(dot(x, g_x, nx), dot(col, e, nc), sqrt(dot(col, col, nc) * dot(e, e, nc)),
                     convolutions[i]);
    }
}

Test(conv_ref, bias_goes_to_every_row_and_its_gradient_is_the_sum)
{
    float bias[] = {1, 2, 3}, sum[] = {10, 20, 30}, grad[] = {1, 2, 3, 4, 5, 6};
    const float rows[] = {1, 2, 3, 1, 2, 3}, want[] = {15, 27, 39};
    sp_op_call c = make("bias.broadcast", "M=2 C=3"), back = make("bias.backward", "M=2 C=3");
    run(&c, bias, y, NULL, NULL);
    expect(y, rows, 6, "y");
    run(&back, grad, sum, NULL, NULL);
    expect(sum, want, 3, "g_bias");
}

static const char *const pools[] = {
    "N=1 H=1 W=1 C=1 KH=1 KW=1 SH=1 SW=1 PH=0 PW=0 HO=1 WO=1",
    "N=2 H=4 W=6 C=3 KH=2 KW=2 SH=2 SW=2 PH=0 PW=0 HO=2 WO=3",
    "N=2 H=5 W=7 C=2 KH=3 KW=3 SH=2 SW=2 PH=1 PW=1 HO=3 WO=4",  /* windows overlap */
    "N=1 H=7 W=8 C=33 KH=2 KW=3 SH=3 SW=4 PH=0 PW=1 HO=2 WO=2", /* windows leave pixels out */
    "N=1 H=4 W=4 C=2 KH=4 KW=2 SH=1 SW=1 PH=2 PW=1 HO=5 WO=5",
};

Test(pool_ref, average_by_hand_counts_the_padding)
{
    float in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const float plain[] = {3}, padded[] = {0.25f, 1.25f, 2.75f, 7};
    sp_op_call c = make("pool.avg.forward", "N=1 H=3 W=3 C=1 KH=2 KW=2 SH=2 SW=2 HO=1 WO=1");
    run(&c, in, y, NULL, NULL);
    expect(y, plain, 1, "plain");
    c = make("pool.avg.forward", "N=1 H=3 W=3 C=1 KH=2 KW=2 SH=2 SW=2 PH=1 PW=1 HO=2 WO=2");
    run(&c, in, y, NULL, NULL);
    expect(y, padded, 4, "padded");
}

/* <forward(x), g> == <x, backward(g)>; for the maximum y is the sum of the pixels that won, so it holds too.
 */
static void check_pool_adjoint(const char *kind, const char *shape, int with_bits)
{
    char id[64];
    snprintf(id, sizeof id, "pool.%s.forward", kind);
    sp_op_call forward = make(id, shape);
    snprintf(id, sizeof id, "pool.%s.backward", kind);
    sp_op_call back = make(id, shape);
    const int takes_x = sp_op_buffer_index(back.op, "x") == 0;
    (with_bits ? fill_spikes : fill_random)(x, 80);
    fill_random(e, 81);
    sp_call_set_flag(&forward, "X_BITS", 0);
    const int64_t nx = sp_call_buffer_elems(&forward, 0), ny = sp_call_buffer_elems(&forward, 1);
    pack(x, sp_call_buffer_rows(&forward, 0), sp_call_int(&forward, "C"), bits);
    void *in = with_bits ? (void *)bits : x;

    sp_call_set_flag(&forward, "X_BITS", with_bits);
    run(&forward, in, y, NULL, NULL);
    if (takes_x) {
        sp_call_set_flag(&back, "X_BITS", with_bits);
        run(&back, in, e, g_x, NULL);
    } else {
        run(&back, e, g_x, NULL, NULL);
    }
    const double want = dot(y, e, ny);
    cr_assert(isfinite(want), "%s %s", id, shape);
    expect_close(dot(x, g_x, nx), want, sqrt(dot(y, y, ny) * dot(e, e, ny)), shape);
}

Test(pool_ref, backward_passes_are_the_adjoints_of_forward)
{
    static const char *const adaptive[] = {"N=2 H=4 W=4 C=3 HO=7 WO=7", "N=1 H=7 W=5 C=33 HO=3 WO=2",
                                           "N=2 H=6 W=6 C=2 HO=1 WO=1", "N=1 H=1 W=2 C=2 HO=3 WO=2",
                                           "N=1 H=8 W=9 C=1 HO=5 WO=7"};
    for (int with_bits = 0; with_bits < 2; with_bits++) {
        for (size_t i = 0; i < COUNT(pools); i++) {
            check_pool_adjoint("avg", pools[i], with_bits);
            check_pool_adjoint("max", pools[i], with_bits);
        }
        for (size_t i = 0; i < COUNT(adaptive); i++)
            check_pool_adjoint("adaptive_avg", adaptive[i], with_bits);
    }
}

Test(pool_ref, maximum_by_hand_and_padding_never_wins)
{
    float in[] = {-1, -5, -2, -4, -3, -9, -7, -8, -6}, grad[] = {1, 2, 3, 4};
    const float want[] = {-1, -2, -4, -3}, back[] = {1, 0, 2, 3, 4, 0, 0, 0, 0};
    const char *shape = "N=1 H=3 W=3 C=1 KH=2 KW=2 SH=2 SW=2 PH=1 PW=1 HO=2 WO=2";
    sp_op_call c = make("pool.max.forward", shape), b = make("pool.max.backward", shape);
    run(&c, in, y, NULL, NULL);
    expect(y, want, 4, "negative values, zero padding");
    run(&b, in, grad, g_x, NULL);
    expect(g_x, back, 9, "g_x");
}

Test(pool_ref, tie_goes_to_the_first_in_row_order)
{
    float in[] = {0, 1, 1, 1}, flat[] = {2, 2, 2, 2}, grad[] = {5};
    const float second[] = {0, 5, 0, 0}, first[] = {5, 0, 0, 0};
    const char *shape = "N=1 H=2 W=2 C=1 KH=2 KW=2 SH=2 SW=2 HO=1 WO=1";
    sp_op_call b = make("pool.max.backward", shape);
    run(&b, in, grad, g_x, NULL);
    expect(g_x, second, 4, "first one");
    run(&b, flat, grad, g_x, NULL);
    expect(g_x, first, 4, "all equal");

    uint32_t spikes[] = {0, 1, 1, 0}, none[] = {0, 0, 0, 0};
    sp_call_set_flag(&b, "X_BITS", 1);
    run(&b, spikes, grad, g_x, NULL);
    expect(g_x, second, 4, "bits");
    run(&b, none, grad, g_x, NULL);
    expect(g_x, first, 4, "no spikes");
}

Test(pool_ref, overlapping_windows_add_up)
{
    float in[] = {0, 9, 0, 0}, grad[] = {1, 10, 100};
    const float want[] = {0, 11, 100, 0};
    sp_op_call b = make("pool.max.backward", "N=1 H=1 W=4 C=1 KH=1 KW=2 SH=1 SW=1 HO=1 WO=3");
    run(&b, in, grad, g_x, NULL);
    expect(g_x, want, 4, "g_x");
}

Test(pool_ref, a_nan_is_a_maximum)
{
    float in[] = {1, NAN, 3, 2}, grad[] = {1};
    const float want[] = {0, 1, 0, 0};
    const char *shape = "N=1 H=2 W=2 C=1 KH=2 KW=2 SH=2 SW=2 HO=1 WO=1";
    sp_op_call c = make("pool.max.forward", shape), b = make("pool.max.backward", shape);
    run(&c, in, y, NULL, NULL);
    cr_assert(isnan(y[0]), "a NaN must not be hidden");
    run(&b, in, grad, g_x, NULL);
    expect(g_x, want, 4, "g_x");
}

Test(pool_ref, adaptive_windows_by_hand)
{
    /* 4 -> 7: windows 0, 0-1, 1, 1-2, 2, 2-3, 3 */
    float in[] = {1, 2, 4, 8}, seven[7], grad[] = {1, 1, 1, 1, 1, 1, 1};
    const float up[] = {1, 1.5f, 2, 3, 4, 6, 8}, up_back[] = {1.5f, 2, 2, 1.5f};
    sp_op_call c = make("pool.adaptive_avg.forward", "N=1 H=1 W=4 C=1 HO=1 WO=7");
    run(&c, in, seven, NULL, NULL);
    expect(seven, up, 7, "4 to 7");
    sp_op_call b = make("pool.adaptive_avg.backward", "N=1 H=1 W=4 C=1 HO=1 WO=7");
    run(&b, grad, g_x, NULL, NULL);
    expect(g_x, up_back, 4, "4 to 7, backward");

    float wide[] = {1, 2, 3, 4, 5, 6, 7}; /* 7 -> 3: windows 0-2, 2-4, 4-6 */
    const float down[] = {2, 4, 6};
    c = make("pool.adaptive_avg.forward", "N=1 H=7 W=1 C=1 HO=3 WO=1");
    run(&c, wide, y, NULL, NULL);
    expect(y, down, 3, "7 to 3");
}

Test(pool_ref, adaptive_is_plain_average_where_it_divides)
{
    sp_op_call a = make("pool.adaptive_avg.forward", "N=2 H=6 W=8 C=3 HO=3 WO=2");
    sp_op_call p = make("pool.avg.forward", "N=2 H=6 W=8 C=3 KH=2 KW=4 SH=2 SW=4 HO=3 WO=2");
    fill_random(x, 90);
    run(&a, x, y, NULL, NULL);
    run(&p, x, z, NULL, NULL);
    expect(y, z, (size_t)sp_call_buffer_elems(&p, 1), "6x8 to 3x2");
}

Test(elementwise_ref, scale_add_fill_also_in_place)
{
    float a[] = {1, -2, 3}, b[] = {10, 20, 30};
    const float half[] = {0.5f, -1, 1.5f}, sum[] = {10.5f, 19, 31.5f}, quarter[] = {0.25f, 0, 0.25f};
    uint32_t spikes[] = {5};
    sp_op_call c = make("scale", "M=1 C=3");
    sp_call_set_float(&c, "factor", 0.5);
    run(&c, a, a, NULL, NULL);
    expect(a, half, 3, "scale");
    sp_op_call add = make("add", "M=3 C=1");
    run(&add, a, b, a, NULL);
    expect(a, sum, 3, "add");
    sp_call_set_flag(&c, "X_BITS", 1);
    sp_call_set_float(&c, "factor", 0.25);
    run(&c, spikes, y, NULL, NULL);
    expect(y, quarter, 3, "scale of spikes");
    sp_op_call fill = make("fill", "M=3");
    sp_call_set_float(&fill, "value", 0.25);
    run(&fill, y, NULL, NULL, NULL);
    cr_assert(y[0] == 0.25f && y[1] == 0.25f && y[2] == 0.25f);
}

Test(elementwise_ref, residual_forward)
{
    float branch[] = {1, 2, 3, 4}, identity[] = {10, 20, 30, 40}, gain[] = {3};
    uint32_t spikes[] = {2, 1};
    const float plain[] = {10.5f, 21, 31.5f, 42}, scaled[] = {1.5f, 4, 5.5f, 6};
    sp_op_call c = make("residual.forward", "M=2 C=2");
    sp_call_set_float(&c, "alpha", 0.5);
    run(&c, branch, identity, NULL, y);
    expect(y, plain, 4, "floats, no gain");
    sp_call_set_flag(&c, "GAIN", 1);
    sp_call_set_flag(&c, "ID_BITS", 1);
    run(&c, branch, spikes, gain, branch);
    expect(branch, scaled, 4, "bits, gain, in place");
}

Test(elementwise_ref, residual_backward)
{
    float g[] = {1, 2, 3, 4}, branch[] = {1, -1, 2, 0.5f}, gain[] = {3}, g_branch[4], g_gain[] = {100};
    const float plain[] = {0.5f, 1, 1.5f, 2}, scaled[] = {1.5f, 3, 4.5f, 6};
    void *buf[SP_OP_MAX_BUFFERS] = {g, NULL, NULL, g_branch, NULL};
    sp_op_call c = make("residual.backward", "M=2 C=2");
    sp_call_set_float(&c, "alpha", 0.5);
    c.op->reference(&c, buf);
    expect(g_branch, plain, 4, "no gain");
    sp_call_set_flag(&c, "GAIN", 1);
    buf[1] = branch;
    buf[2] = gain;
    buf[4] = g_gain;
    c.op->reference(&c, buf);
    expect(g_branch, scaled, 4, "gain");
    cr_assert_float_eq(g_gain[0], 100.0f + 0.5f * (1 - 2 + 6 + 2), 1e-6f);
}
