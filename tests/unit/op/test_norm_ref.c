/* The normalisation family's C references: values by hand, PyTorch's rules for running statistics, gradients
 * against finite differences of the forward references. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "op/op.h"

static void fill(float *a, int n, sp_rng *r, double scale, double offset)
{
    for (int i = 0; i < n; i++)
        a[i] = (float)(offset + scale * (double)sp_rng_normal(r));
}

static sp_op_call shaped(const char *id, const char *rows, int64_t m, const char *cols, int64_t c)
{
    sp_op_call call = sp_op_call_make(id);
    sp_call_set_int(&call, rows, m);
    sp_call_set_int(&call, cols, c);
    return call;
}

typedef struct statistics {
    float mean[8], rstd[8], scale[8], shift[8], running_mean[8], running_var[8];
} statistics;

static statistics take_statistics(const float *x, const float *gamma, const float *beta, int M, int C)
{
    statistics s;
    for (int c = 0; c < 8; c++) {
        s.running_mean[c] = 0;
        s.running_var[c] = 1;
    }
    sp_op_call call = shaped("batch_norm.statistics", "M", M, "C", C);
    sp_call_set_float(&call, "eps", 1e-5);
    sp_call_set_float(&call, "momentum", 0.1);
    void *buf[] = {(void *)x, (void *)gamma, (void *)beta,   s.mean,       s.rstd,
                   s.scale,   s.shift,       s.running_mean, s.running_var};
    call.op->reference(&call, buf);
    return s;
}

/* Column 0: 1 2 3 4 (mean 2.5, var 1.25, unbiased 5/3); column 1 is constant. */
Test(norm_ref, statistics_by_hand)
{
    const float x[] = {1, 7, 2, 7, 3, 7, 4, 7}, gamma[] = {2, 1}, beta[] = {0.5f, 0};
    statistics s = take_statistics(x, gamma, beta, 4, 2);
    double r = 1 / sqrt(1.25 + 1e-5);
    cr_assert_float_eq((double)s.mean[0], 2.5, 1e-7);
    cr_assert_float_eq((double)s.rstd[0], r, 1e-7);
    cr_assert_float_eq((double)s.scale[0], 2 * r, 2e-7);
    cr_assert_float_eq((double)s.shift[0], 0.5 - 5 * r, 5e-7);
    cr_assert_float_eq((double)s.running_mean[0], 0.25, 1e-7, "0.9 * 0 + 0.1 * mean");
    cr_assert_float_eq((double)s.running_var[0], 0.9 + 0.1 * 5 / 3, 1e-7, "the unbiased variance");
    cr_assert_float_eq((double)s.mean[1], 7, 0);
    cr_assert_float_eq((double)s.rstd[1], 1 / sqrt(1e-5), 1e-3);
    cr_assert_float_eq((double)s.running_var[1], 0.9, 1e-7);
}

/* One row has no unbiased variance: PyTorch refuses, we take 0 and stay finite. */
Test(norm_ref, one_row_stays_finite)
{
    const float x[] = {3, -4}, gamma[] = {1, 1}, beta[] = {0.25f, -1};
    statistics s = take_statistics(x, gamma, beta, 1, 2);
    for (int c = 0; c < 2; c++) {
        cr_assert_float_eq((double)(s.scale[c] * x[c] + s.shift[c]), (double)beta[c], 1e-3);
        cr_assert_float_eq((double)s.running_var[c], 0.9, 1e-7);
    }
}

Test(norm_ref, fold_equals_statistics_scale)
{
    const float gamma[] = {2, -1}, beta[] = {1, 0}, rm[] = {3, 0.5f}, rv[] = {4 - 1e-5f, 0.25f};
    float scale[2], shift[2];
    sp_op_call c = sp_op_call_make("batch_norm.fold");
    sp_call_set_int(&c, "C", 2);
    sp_call_set_float(&c, "eps", 1e-5);
    void *buf[] = {(void *)gamma, (void *)beta, (void *)rm, (void *)rv, scale, shift};
    c.op->reference(&c, buf);
    cr_assert_float_eq((double)scale[0], 1, 1e-6);
    cr_assert_float_eq((double)shift[0], -2, 3e-6);
    cr_assert_float_eq((double)scale[1], -1 / sqrt(0.25 + 1e-5), 1e-6);
    cr_assert_float_eq((double)shift[1], 0.5 / sqrt(0.25 + 1e-5), 1e-6);
}

Test(norm_ref, affine_may_work_in_place)
{
    float x[] = {1, 2, 3, 4, 5, 6};
    const float scale[] = {2, -1, 0.5f}, shift[] = {1, 0, -1}, expected[] = {3, -2, 0.5f, 9, -5, 2};
    sp_op_call c = shaped("affine.forward", "M", 2, "C", 3);
    void *buf[] = {x, (void *)scale, (void *)shift, x};
    c.op->reference(&c, buf);
    cr_assert_arr_eq(x, expected, sizeof x);
}

enum { M = 6, C = 3, MC = M * C };

/* L = sum g * batch_norm(x), in double through the float reference. */
static double bn_objective(const float *x, const float *gamma, const float *beta, const float *g)
{
    statistics s = take_statistics(x, gamma, beta, M, C);
    double sum = 0;
    for (int i = 0; i < MC; i++) {
        double xhat = ((double)x[i] - (double)s.mean[i % C]) * (double)s.rstd[i % C];
        sum += (double)g[i] * ((double)gamma[i % C] * xhat + (double)beta[i % C]);
    }
    return sum;
}

static double difference_of(float *p, double h, double (*f)(void *), void *ctx)
{
    float keep = *p, up = (float)((double)keep + h), down = (float)((double)keep - h);
    *p = up;
    double a = f(ctx);
    *p = down;
    double b = f(ctx);
    *p = keep;
    return (a - b) / ((double)up - (double)down);
}

typedef struct bn_case {
    float x[MC], gamma[C], beta[C], g[MC];
} bn_case;

static double bn_value(void *ctx)
{
    bn_case *k = ctx;
    return bn_objective(k->x, k->gamma, k->beta, k->g);
}

Test(norm_ref, batch_norm_backward_is_the_derivative)
{
    sp_rng r = sp_rng_make(11, 0);
    bn_case k;
    float g_x[MC], g_gamma[C] = {10, 20, 30}, g_beta[C] = {1, 2, 3};
    fill(k.x, MC, &r, 1, 2);
    fill(k.gamma, C, &r, 0.3, 1);
    fill(k.beta, C, &r, 1, 0);
    fill(k.g, MC, &r, 1, 0);
    statistics s = take_statistics(k.x, k.gamma, k.beta, M, C);
    sp_op_call c = shaped("batch_norm.backward", "M", M, "C", C);
    void *buf[] = {k.g, k.x, s.mean, s.rstd, k.gamma, g_x, g_gamma, g_beta};
    c.op->reference(&c, buf);
    for (int i = 0; i < MC; i++) {
        double d = difference_of(&k.x[i], 1e-2, bn_value, &k);
        cr_assert_float_eq((double)g_x[i], d, 2e-3, "g_x[%d] %g, difference %g", i, (double)g_x[i], d);
    }
    for (int i = 0; i < C; i++) {
        double d_gamma = difference_of(&k.gamma[i], 1e-2, bn_value, &k);
        double d_beta = difference_of(&k.beta[i], 1e-2, bn_value, &k);
        cr_assert_float_eq((double)g_gamma[i] - 10 * (i + 1), d_gamma, 1e-4, "added to what was there");
        cr_assert_float_eq((double)g_beta[i] - (i + 1), d_beta, 1e-4);
    }
}

/* The two ops of a fused norm are the two ops apart. */
Test(norm_ref, a_neuron_that_sums_for_its_norm_is_both_ops_apart)
{
    sp_rng r = sp_rng_make(12, 0);
    float g_s[MC], u[MC], x[MC], gamma[C], beta[C] = {0}, carry[2][MC], g[2][MC], g_x[2][MC], g_gamma[2][C],
                                           g_beta[2][C], sums[2 * C];
    fill(g_s, MC, &r, 1, 0);
    fill(u, MC, &r, 1, 1);
    fill(x, MC, &r, 1, 2);
    fill(gamma, C, &r, 0.3, 1);
    fill(carry[0], MC, &r, 1, 0);
    memcpy(carry[1], carry[0], sizeof carry[0]);
    for (int i = 0; i < C; i++)
        g_gamma[0][i] = g_gamma[1][i] = (float)i, g_beta[0][i] = g_beta[1][i] = 1;
    statistics s = take_statistics(x, gamma, beta, M, C);
    static const char *const ops[2] = {"neuron.backward", "neuron.backward_norm"};
    sp_op_call neuron[2];
    for (int k = 0; k < 2; k++) {
        neuron[k] = shaped(ops[k], "M", M, "C", C);
        neuron[k].neuron = "lif", neuron[k].surrogate = "triangle";
        sp_call_set_flag(&neuron[k], "TEMPORAL", 1);
        sp_call_set_float(&neuron[k], "decay", 0.5), sp_call_set_float(&neuron[k], "x_gain", 1);
        sp_call_set_float(&neuron[k], "v_th", 1), sp_call_set_float(&neuron[k], "width", 1);
    }
    sp_op_call norm = shaped("batch_norm.backward", "M", M, "C", C),
               apply = shaped("batch_norm.apply", "M", M, "C", C);
    neuron[0].op->reference(&neuron[0], (void *[]){g_s, u, carry[0], g[0]});
    norm.op->reference(&norm, (void *[]){g[0], x, s.mean, s.rstd, gamma, g_x[0], g_gamma[0], g_beta[0]});
    neuron[1].op->reference(&neuron[1], (void *[]){g_s, u, x, s.mean, s.rstd, carry[1], g[1], sums,
                                                   g_gamma[1], g_beta[1]});
    apply.op->reference(&apply, (void *[]){g[1], x, s.mean, s.rstd, gamma, sums, g_x[1]});
    cr_assert_arr_eq(g[0], g[1], sizeof g[0]);
    cr_assert_arr_eq(carry[0], carry[1], sizeof carry[0]);
    cr_assert_arr_eq(g_gamma[0], g_gamma[1], sizeof g_gamma[0]);
    cr_assert_arr_eq(g_beta[0], g_beta[1], sizeof g_beta[0]);
    for (int i = 0; i < MC; i++)
        cr_assert_float_eq((double)g_x[0][i], (double)g_x[1][i], 1e-6, "g_x[%d] %g and %g", i,
                           (double)g_x[0][i], (double)g_x[1][i]);
    for (int i = 0; i < C; i++)
        cr_assert_float_eq((double)sums[i], (double)g_beta[1][i] - 1, 1e-6);
}

enum {
    P_N = 2,
    P_H = 5,
    P_W = 4,
    P_C = 3,
    P_M = P_N * P_H * P_W,
    P_IN = P_N * 2 * 2 * P_C,
    P_ALL = P_M * P_C
};

static sp_op_call pooled(const char *id)
{
    static const struct {
        const char *name;
        int v;
    } ints[] = {{"N", P_N}, {"H", P_H}, {"W", P_W}, {"C", P_C}, {"KH", 2}, {"KW", 2},
                {"SH", 2},  {"SW", 2},  {"HO", 2},  {"WO", 2},  {"PH", 0}, {"PW", 0}};
    sp_op_call call = sp_op_call_make(id);
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        sp_call_set_int(&call, ints[i].name, ints[i].v);
    return call;
}

static void set_charge(sp_op_call *call)
{
    call->neuron = "lif";
    sp_call_set_float(call, "decay", 0.5), sp_call_set_float(call, "x_gain", 1);
    sp_call_set_float(call, "v_th", 1);
}

static void set_spatial(sp_op_call *call)
{
    set_charge(call);
    call->surrogate = "triangle";
    sp_call_set_float(call, "width", 1);
}

static void set_neuron(sp_op_call *call)
{
    set_spatial(call);
    sp_call_set_flag(call, "TEMPORAL", 1);
}

/* The last row of pixels lies in no window: it has a carry and no gradient from the pool. */
Test(norm_ref, a_neuron_behind_a_pool_is_the_ops_apart)
{
    sp_rng r = sp_rng_make(13, 0);
    float g_y[P_IN], g_s[P_ALL], u[P_ALL], x[P_ALL], carry[3][P_ALL], g[3][P_ALL], before[P_ALL],
        sums[2][2 * P_C], g_gamma[2][P_C] = {{0}}, g_beta[2][P_C] = {{0}}, mean[P_C] = {1, 2, 3},
                          rstd[P_C] = {0.5f, 1, 2};
    fill(g_y, P_IN, &r, 1, 0), fill(u, P_ALL, &r, 1, 1), fill(x, P_ALL, &r, 1, 2);
    fill(carry[0], P_ALL, &r, 1, 0), fill(before, P_ALL, &r, 1, 0);
    memcpy(carry[1], carry[0], sizeof carry[0]), memcpy(carry[2], carry[0], sizeof carry[0]);
    memcpy(g[2], before, sizeof before);
    sp_op_call pool = pooled("pool.avg.backward"), sum = pooled("neuron.backward_sum"),
               both = pooled("neuron.backward_pool"),
               norm = shaped("neuron.backward_norm", "M", P_M, "C", P_C);
    set_neuron(&sum), set_neuron(&both), set_neuron(&norm);
    pool.op->reference(&pool, (void *[]){g_y, g_s});
    norm.op->reference(&norm,
                       (void *[]){g_s, u, x, mean, rstd, carry[0], g[0], sums[0], g_gamma[0], g_beta[0]});
    both.op->reference(&both,
                       (void *[]){g_y, u, x, mean, rstd, carry[1], g[1], sums[1], g_gamma[1], g_beta[1]});
    sum.op->reference(&sum, (void *[]){g_y, u, carry[2], g[2]});
    cr_assert_arr_eq(g[0], g[1], sizeof g[0]);
    cr_assert_arr_eq(sums[0], sums[1], sizeof sums[0]);
    cr_assert_arr_eq(g_gamma[0], g_gamma[1], sizeof g_gamma[0]);
    cr_assert_arr_eq(g_beta[0], g_beta[1], sizeof g_beta[0]);
    cr_assert_arr_eq(carry[0], carry[1], sizeof carry[0]);
    cr_assert_arr_eq(carry[0], carry[2], sizeof carry[0]);
    for (int i = 0; i < P_ALL; i++)
        cr_assert_float_eq((double)g[2][i], (double)before[i] + (double)g[0][i], 1e-6, "%d", i);
    cr_assert_float_eq((double)g_s[P_ALL - 1], 0, 0);
    cr_assert_neq(carry[0][P_ALL - 1], 0);
}

/* Three time steps of an input that does not change, behind a pool: spikes, and the sum that two steps leave
 * and the last adds to. */
Test(norm_ref, a_neuron_of_a_static_input_is_its_steps_apart)
{
    enum { T = 3 };
    sp_rng r = sp_rng_make(17, 0);
    float x[P_ALL], scale[P_C] = {1, 2, 0.5f}, shift[P_C] = {0.25f, -1, 1}, g_y[T][P_IN], u[P_ALL],
                    sum[P_ALL] = {0}, g_x[P_ALL];
    uint32_t spikes[P_M], want[P_M];
    fill(x, P_ALL, &r, 2, 1);
    memset(g_x, 0xff, sizeof g_x); /* NaN: not read at the second step */
    sp_op_call apart = shaped("neuron.forward", "M", P_M, "C", P_C), back = pooled("neuron.backward_sum"),
               forward = pooled("neuron.forward_static"), last = pooled("neuron.backward_static");
    set_charge(&apart), set_spatial(&back), set_spatial(&forward), set_spatial(&last);
    sp_call_set_flag(&apart, "NORM", 1), sp_call_set_flag(&forward, "NORM", 1),
        sp_call_set_flag(&last, "NORM", 1);
    sp_call_set_int(&last, "steps", T);
    for (int t = 0; t < T; t++) {
        fill(g_y[t], P_IN, &r, 1, 0);
        sp_call_set_int(&apart, "first", t == 0), sp_call_set_int(&forward, "time_step", t + 1);
        apart.op->reference(&apart, (void *[]){x, u, scale, shift, u, want});
        forward.op->reference(&forward, (void *[]){x, scale, shift, t ? g_y[t - 1] : NULL, g_x, spikes});
        cr_assert_arr_eq(spikes, want, sizeof want, "step %d", t + 1);
        if (t > 0)
            for (int i = 0; i < P_ALL; i++)
                cr_assert_float_eq((double)g_x[i], (double)sum[i], 1e-6, "step %d, %d", t + 1, i);
        back.op->reference(&back, (void *[]){g_y[t], u, NULL, sum});
    }
    last.op->reference(&last, (void *[]){x, scale, shift, g_y[T - 1], g_x});
    for (int i = 0; i < P_ALL; i++)
        cr_assert_float_eq((double)g_x[i], (double)sum[i], 1e-6, "%d", i);
    cr_assert_neq(g_x[0], 0);
}

/* The same three time steps in one walk, and what a norm would add up of their sum. */
Test(norm_ref, all_steps_of_a_neuron_of_a_static_input_are_its_steps_apart)
{
    enum { T = 3 };
    sp_rng r = sp_rng_make(19, 0);
    float x[P_ALL], scale[P_C] = {1, 2, 0.5f}, shift[P_C] = {0.25f, -1, 1}, g_y[T * P_IN], sum[P_ALL],
                    g_x[2][P_ALL], mean[P_C] = {1, 2, 3}, rstd[P_C] = {0.5f, 1, 2}, sums[2 * P_C],
                    g_gamma[P_C] = {1, 2, 3}, g_beta[P_C] = {4, 5, 6};
    uint32_t spikes[T * P_M], want[P_M];
    fill(x, P_ALL, &r, 2, 1), fill(g_y, T * P_IN, &r, 1, 0);
    memset(g_x, 0xff, sizeof g_x); /* NaN: not read */
    sp_op_call one = pooled("neuron.forward_static"), end = pooled("neuron.backward_static"),
               forward = shaped("neuron.forward_steps", "M", P_M, "C", P_C),
               last = pooled("neuron.backward_steps");
    sp_op_call *const calls[] = {&one, &end, &forward, &last};
    set_spatial(&one), set_spatial(&end), set_charge(&forward), set_spatial(&last);
    for (int i = 0; i < 4; i++)
        sp_call_set_flag(calls[i], "NORM", 1);
    sp_call_set_int(&end, "steps", T), sp_call_set_int(&forward, "steps", T),
        sp_call_set_int(&last, "steps", T);
    forward.op->reference(&forward, (void *[]){x, scale, shift, spikes});
    for (int t = 0; t < T; t++) {
        sp_call_set_int(&one, "time_step", t + 1);
        one.op->reference(&one, (void *[]){x, scale, shift, t ? g_y + (t - 1) * P_IN : NULL, sum, want});
        cr_assert_arr_eq(spikes + t * P_M, want, sizeof want, "step %d", t + 1);
    }
    end.op->reference(&end, (void *[]){x, scale, shift, g_y + (T - 1) * P_IN, sum});
    last.op->reference(&last, (void *[]){x, scale, shift, g_y, NULL, NULL, g_x[0], NULL, NULL, NULL});
    sp_call_set_flag(&last, "SUMS", 1);
    last.op->reference(&last, (void *[]){x, scale, shift, g_y, mean, rstd, g_x[1], sums, g_gamma, g_beta});
    cr_assert_arr_eq(g_x[0], sum, sizeof sum);
    cr_assert_arr_eq(g_x[1], sum, sizeof sum);
    for (int c = 0; c < P_C; c++) {
        double g = 0, g_xhat = 0;
        for (int i = c; i < P_ALL; i += P_C)
            g += (double)sum[i],
                g_xhat += (double)sum[i] * ((double)x[i] - (double)mean[c]) * (double)rstd[c];
        cr_assert_float_eq((double)sums[c], g, 1e-5);
        cr_assert_float_eq((double)sums[P_C + c], g_xhat, 1e-5);
        cr_assert_float_eq((double)g_beta[c], g + 4 + c, 1e-5);
        cr_assert_float_eq((double)g_gamma[c], g_xhat + 1 + c, 1e-5);
    }
}

enum { K = 5, O = 2, KO = K * O };

typedef struct ws_case {
    float w[KO], gain[O], g[KO], w_hat[KO], mean[O], rstd[O];
} ws_case;

static void ws_forward(ws_case *k)
{
    sp_op_call c = shaped("weight_std.forward", "K", K, "O", O);
    sp_call_set_float(&c, "eps", 1e-4);
    void *buf[] = {k->w, k->gain, k->w_hat, k->mean, k->rstd};
    c.op->reference(&c, buf);
}

static double ws_value(void *ctx)
{
    ws_case *k = ctx;
    double sum = 0;
    ws_forward(k);
    for (int i = 0; i < KO; i++)
        sum += (double)k->g[i] * (double)k->w_hat[i];
    return sum;
}

/* Column 1..5: mean 3, unbiased variance 2.5, times fan-in 5: w_hat = (w - 3) / sqrt(12.5 + 1e-4). */
Test(norm_ref, weight_standardisation_by_hand)
{
    ws_case k = {.w = {1, 4, 2, 4, 3, 4, 4, 4, 5, 4}, .gain = {2, 1}};
    ws_forward(&k);
    for (int i = 0; i < K; i++) {
        cr_assert_float_eq((double)k.w_hat[2 * i], 2 * (i - 2) / sqrt(12.5 + 1e-4), 1e-6);
        cr_assert_float_eq((double)k.w_hat[2 * i + 1], 0, 0, "a constant column");
    }
    cr_assert_float_eq((double)k.mean[0], 3, 0);
    cr_assert_float_eq((double)k.rstd[0], 1 / sqrt(12.5 + 1e-4), 1e-7);
    cr_assert_float_eq((double)k.rstd[1], 100, 1e-4);
}

Test(norm_ref, weight_standardisation_backward_is_the_derivative)
{
    sp_rng r = sp_rng_make(12, 0);
    ws_case k;
    float g_w[KO], g_gain[O] = {5, 6};
    fill(k.w, KO, &r, 1, 0.5);
    fill(k.gain, O, &r, 0.3, 1);
    fill(k.g, KO, &r, 1, 0);
    for (int i = 0; i < KO; i++)
        g_w[i] = 7;
    ws_forward(&k);
    sp_op_call c = shaped("weight_std.backward", "K", K, "O", O);
    void *buf[] = {k.g, k.w, k.gain, k.mean, k.rstd, g_w, g_gain};
    c.op->reference(&c, buf);
    for (int i = 0; i < KO; i++) {
        double d = difference_of(&k.w[i], 1e-2, ws_value, &k);
        cr_assert_float_eq((double)g_w[i] - 7, d, 1e-3, "g_w[%d] %g, difference %g", i, (double)g_w[i] - 7,
                           d);
    }
    for (int i = 0; i < O; i++) {
        double d = difference_of(&k.gain[i], 1e-2, ws_value, &k);
        cr_assert_float_eq((double)g_gain[i] - 5 - i, d, 1e-4);
    }
}
