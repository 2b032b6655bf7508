/* The neuron family's C references: golden numbers of one neuron over six time steps (PyTorch autograd,
 * float64, of the SLTT paper's public code), surrogates against their antiderivatives, resets against finite
 * differences, dropout against the generator. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include "base/rng.h"
#include "op/fragments_ref.h"
#include "op/op.h"

enum { T = 6 };

static const char *const surrogate_names[] = {"triangle", "rectangle",    "sigmoid",
                                              "atan",     "fast_sigmoid", "piecewise_exp",
                                              "gaussian", "erf",          "dspike"};
static const double widths[] = {1, 1, 4, 2, 25, 1, 0.5, 2, 3};
enum { SURROGATES = sizeof widths / sizeof *widths };

static sp_op_call neuron_call(const char *id, double decay)
{
    sp_op_call c = sp_op_call_make(id);
    c.neuron = "lif";
    c.surrogate = "triangle";
    sp_call_set_int(&c, "M", 1);
    sp_call_set_int(&c, "C", 1);
    sp_call_set_float(&c, "decay", decay);
    sp_call_set_float(&c, "x_gain", 1);
    sp_call_set_float(&c, "v_th", 1);
    return c;
}

/* Six steps of one neuron; u in, the state of a step is the u of the step before. */
static void run_forward(sp_op_call c, const float *x, float *u, uint32_t *s)
{
    for (int t = 0; t < T; t++) {
        float in = x[t], before = t ? u[t - 1] : NAN; /* at the first step u_prev must not be read */
        void *buf[] = {&in, &before, NULL, NULL, &u[t], &s[t]};
        sp_call_set_int(&c, "first", t == 0);
        c.op->reference(&c, buf);
    }
}

/* The same steps as one block: dr/dx for a change of x at all of them, and the number of spikes. */
static float run_rate(sp_op_call c, const float *x, uint32_t *spikes)
{
    float u = NAN, f = NAN, e = NAN, x_mean = NAN;
    uint32_t s, count[3] = {7, 7, 7};
    sp_call_set_int(&c, "P", 3);
    for (int t = 0; t < T; t++) {
        float in = x[t];
        void *buf[] = {&in, &u, NULL, NULL, &u, &s, &f, &e, count, &x_mean};
        sp_call_set_int(&c, "first", t == 0), sp_call_set_int(&c, "block_start", t == 0);
        c.op->reference(&c, buf);
    }
    float mean = 0;
    for (int t = 0; t < T; t++)
        mean += x[t] / T;
    cr_assert_float_eq(x_mean, mean, 1e-6);
    *spikes = count[0] | count[1] << 1 | count[2] << 2;
    return e;
}

static void run_backward(sp_op_call c, const float *g_s, const float *u, float *g_x)
{
    float carry = NAN; /* at the last step carry must not be read */
    for (int t = T - 1; t >= 0; t--) {
        float g = g_s[t], ut = u[t];
        void *buf[] = {&g, &ut, &carry, &g_x[t]};
        sp_call_set_int(&c, "last", t == T - 1);
        c.op->reference(&c, buf);
    }
}

Test(neuron_ref, golden_numbers_of_one_neuron)
{
    static const float x[T] = {0.6f, 0.7f, -0.3f, 1.8f, 0.2f, 0.95f}, g[T] = {1, -2, 0.5f, 3, 1, -1};
    static const struct {
        double tau, u[T];
        uint32_t s[T];
        double sltt[T], bptt[T];
    } golden[] = {
        {1.1,
         {0.6, 0.754545, -0.231405, 1.778963, 0.270815, 0.974620},
         {0, 0, 0, 1, 0, 0},
         {0.6, -1.509091, 0, 0.663110, 0.270815, -0.974620},
         {0.545174, -1.507716, 0.061610, 0.677713, 0.206208, -0.974620}},
        {2.0,
         {0.6, 1.0, -0.3, 1.65, 0.525, 1.2125},
         {0, 1, 0, 1, 0, 1},
         {0.6, -2.0, 0, 1.05, 0.525, -0.7875},
         {0.2, -2.0, 0.579920, 1.159840, 0.337969, -0.7875}},
    };
    for (size_t i = 0; i < 2; i++) {
        double decay = 1 - 1 / golden[i].tau;
        float u[T], sltt[T], bptt[T];
        uint32_t s[T];
        sp_op_call back = neuron_call("neuron.backward", decay);
        sp_call_set_float(&back, "width", 1);
        run_forward(neuron_call("neuron.forward", decay), x, u, s);
        run_backward(back, g, u, sltt);
        sp_call_set_flag(&back, "TEMPORAL", 1);
        run_backward(back, g, u, bptt);
        for (int t = 0; t < T; t++) {
            cr_assert_float_eq((double)u[t], golden[i].u[t], 2e-6, "u tau %g t %d: %g", golden[i].tau, t + 1,
                               (double)u[t]);
            cr_assert_eq(s[t], golden[i].s[t], "s tau %g t %d", golden[i].tau, t + 1);
            cr_assert_float_eq((double)sltt[t], golden[i].sltt[t], 3e-6, "SLTT tau %g t %d: %g",
                               golden[i].tau, t + 1, (double)sltt[t]);
            cr_assert_float_eq((double)bptt[t], golden[i].bptt[t], 3e-6, "BPTT tau %g t %d: %g",
                               golden[i].tau, t + 1, (double)bptt[t]);
        }
    }
}

/* With the reset detached, du[t+1]/du[t] is the decay whatever the surrogate. */
Test(neuron_ref, detached_reset_carries_the_decay_only)
{
    static const float u[T] = {0.6f, 1.0f, -0.3f, 1.65f, 0.525f, 1.2125f}, g[T] = {1, -2, 0.5f, 3, 1, -1};
    float g_x[T];
    double g_u = 0;
    sp_op_call c = neuron_call("neuron.backward", 0.5);
    sp_call_set_float(&c, "width", 1);
    sp_call_set_flag(&c, "TEMPORAL", 1);
    sp_call_set_flag(&c, "DETACH", 1);
    run_backward(c, g, u, g_x);
    for (int t = T - 1; t >= 0; t--) {
        g_u = (double)g[t] * fmax(0, 1 - fabs((double)u[t] - 1)) + 0.5 * g_u;
        cr_assert_float_eq((double)g_x[t], g_u, 1e-6, "t %d: %g, %g", t, (double)g_x[t], g_u);
    }
}

/* Hard reset by hand: fires at 1.25, restarts at v_reset -0.5, where it also rests:
 * u2 = 0.5(-0.5) + x + 0.5(-0.5). */
Test(neuron_ref, hard_reset_rests_at_v_reset)
{
    static const float x[T] = {1.75f, 0, 1, 0.25f, 2, 0};
    static const double expected[T] = {1.25, -0.5, 0.5, 0.25, 1.875, -0.5};
    float u[T];
    uint32_t s[T];
    sp_op_call c = neuron_call("neuron.forward", 0.5);
    sp_call_set_float(&c, "v_reset", -0.5);
    sp_call_set_flag(&c, "HARD", 1);
    run_forward(c, x, u, s);
    for (int t = 0; t < T; t++) {
        cr_assert_float_eq((double)u[t], expected[t], 0, "t %d: %g", t, (double)u[t]);
        cr_assert_eq(s[t], expected[t] >= 1 ? 1u : 0u, "t %d", t);
    }
}

/* u = 0.5 u[t-1] - s[t-1] + x: the threshold is taken off behind the leak. */
Test(neuron_ref, late_reset_takes_the_threshold_behind_the_leak)
{
    static const float x[T] = {1.75f, 0.5f, 1, 3, 0, 0};
    static const double expected[T] = {1.75, 0.375, 1.1875, 2.59375, 0.296875, 0.1484375};
    float u[T];
    uint32_t s[T];
    sp_op_call c = neuron_call("neuron.forward", 0.5);
    c.neuron = "lif_late_reset";
    run_forward(c, x, u, s);
    for (int t = 0; t < T; t++) {
        cr_assert_float_eq((double)u[t], expected[t], 0, "t %d: %g", t, (double)u[t]);
        cr_assert_eq(s[t], expected[t] >= 1 ? 1u : 0u, "t %d", t);
    }
}

Test(neuron_ref, integrate_and_fire_does_not_leak)
{
    static const float x[T] = {0.5f, 0.25f, 0.5f, 0, 1, 0};
    static const double expected[T] = {0.25, 0.375, 0.625, 0.625, 1.125, 0.125};
    float u[T];
    uint32_t s[T];
    sp_op_call c = neuron_call("neuron.forward", 0.125);
    c.neuron = "if";
    sp_call_set_float(&c, "x_gain", 0.5);
    run_forward(c, x, u, s);
    for (int t = 0; t < T; t++)
        cr_assert_float_eq((double)u[t], expected[t], 0, "t %d: %g", t, (double)u[t]);
}

/* Threshold ties fire; the normalisation is applied before the charge; bits past C stay zero. */
Test(neuron_ref, forward_packs_bits_and_normalises)
{
    enum { M = 2, C = 35 };
    float x[M * C], u[M * C], scale[C], shift[C];
    uint32_t s[M * 2];
    sp_op_call c = neuron_call("neuron.forward", 0.5);
    sp_call_set_int(&c, "M", M);
    sp_call_set_int(&c, "C", C);
    sp_call_set_int(&c, "first", 1);
    sp_call_set_flag(&c, "NORM", 1);
    memset(s, 0xff, sizeof s);
    for (int i = 0; i < M * C; i++)
        x[i] = i < C ? 2 : 1; /* first row ties with the threshold: 0.25 * 2 + 0.5 */
    for (int i = 0; i < C; i++) {
        scale[i] = 0.25f;
        shift[i] = 0.5f;
    }
    void *buf[] = {x, u, scale, shift, u, s};
    c.op->reference(&c, buf);
    cr_assert_eq(s[0], 0xffffffffu);
    cr_assert_eq(s[1], 7u);
    cr_assert_eq(s[2], 0u);
    cr_assert_eq(s[3], 0u);
    cr_assert_float_eq((double)u[C], 0.75, 0);
}

Test(neuron_ref, surrogates_are_derivatives_of_their_smooth_steps)
{
    for (size_t i = 0; i < SURROGATES; i++)
        for (double d = -3.03; d < 3.1; d += 0.0601) { /* never within h of the kinks at 0, a/2 and a */
            const char *name = surrogate_names[i];
            int known = 0;
            double h = 1e-6, a = widths[i];
            double up = sp_surrogate_ref_smooth(name, d + h, a, &known);
            double down = sp_surrogate_ref_smooth(name, d - h, a, NULL);
            double g = sp_surrogate_ref_grad(name, d, a, NULL);
            cr_assert(known, "%s", name);
            cr_assert_float_eq((up - down) / (2 * h), g, 1e-6 + 1e-5 * g, "%s at %g: %g, %g", name, d,
                               (up - down) / (2 * h), g);
            cr_assert_float_eq(sp_surrogate_ref_grad(name, -d, a, NULL), g, 1e-12, "%s is even", name);
        }
}

/* Values by hand at d = 0 and one more place; all but fast_sigmoid are densities: their steps rise by one. */
Test(neuron_ref, surrogates_by_hand)
{
    static const double at_zero[] = {
        1, 1, 1, 1, 1, 0.5, 0.797884560802865, 1.128379167095513, 1.657187089473768};
    static const double at_quarter[] = {0.75,
                                        1,
                                        0.786447732965927,
                                        0.618486458158836,
                                        0.019024970273484,
                                        0.389400391535702,
                                        0.704130653528599,
                                        0.878782578935445,
                                        0.988654299247095};
    int known = 1;
    for (size_t i = 0; i < SURROGATES; i++) {
        const char *n = surrogate_names[i];
        double rise = sp_surrogate_ref_smooth(n, 1e4, widths[i], NULL) -
                      sp_surrogate_ref_smooth(n, -1e4, widths[i], NULL);
        cr_assert_float_eq(sp_surrogate_ref_grad(n, 0, widths[i], NULL), at_zero[i], 1e-12, "%s", n);
        cr_assert_float_eq(sp_surrogate_ref_grad(n, 0.25, widths[i], NULL), at_quarter[i], 1e-12, "%s: %.15g",
                           n, sp_surrogate_ref_grad(n, 0.25, widths[i], NULL));
        cr_assert_float_eq(rise, strcmp(n, "fast_sigmoid") ? 1 : 2.0 / 25, 1e-3, "%s rises by %g", n, rise);
    }
    cr_assert_float_eq(sp_surrogate_ref_grad("triangle", 0.5, 2, NULL), 0.375, 1e-15);
    cr_assert_float_eq(sp_surrogate_ref_grad("rectangle", 0.5, 1, NULL), 0, 0,
                       "the edge is outside, Eq. (5)");
    cr_assert(isnan(sp_surrogate_ref_grad("no_such", 0, 1, &known)));
    cr_assert_eq(known, 0);
}

Test(neuron_ref, neuron_derivatives_match_differences)
{
    static const char *const names[] = {"lif", "if"};
    for (int i = 0; i < 4; i++) {
        const sp_neuron_model *n = sp_neuron_ref_find(names[i % 2]);
        sp_neuron_args p = {0.25f, 0.5f, 1.0f, i / 2 ? -0.5f : 0, i / 2};
        float h = 0.125f; /* the models are linear between spikes: exact with powers of two */
        cr_assert_not_null(n);
        cr_assert_float_eq((double)((n->charge(1 + h, 2, &p) - n->charge(1, 2, &p)) / h), n->d_charge_d_v(&p),
                           0, "%s", names[i % 2]);
        cr_assert_float_eq((double)((n->charge(1, 2 + h, &p) - n->charge(1, 2, &p)) / h), n->d_charge_d_x(&p),
                           0);
        for (int s = 0; s < 2; s++) {
            float S = (float)s, slope = (n->reset(1.5f + h, S, &p) - n->reset(1.5f, S, &p)) / h;
            float jump = n->reset(1.5f, 1, &p) - n->reset(1.5f, 0, &p);
            cr_assert_float_eq((double)slope, n->d_reset_d_u(1.5, s, &p), 0);
            cr_assert_float_eq((double)jump, n->d_reset_d_s(1.5, s, &p), 0);
        }
    }
    cr_assert_null(sp_neuron_ref_find("no_such"));
    cr_assert_null(sp_neuron_ref_find(NULL));
}

/* A neuron of an outside plugin has no C formula: NaN, never another model's numbers. */
Test(neuron_ref, unknown_neuron_gives_nan)
{
    float x = 1, u = 0, g_x = 0;
    uint32_t s = 9;
    sp_op_call f = neuron_call("neuron.forward", 0.5), b = neuron_call("neuron.backward", 0.5);
    f.neuron = b.neuron = "no_such";
    void *fbuf[] = {&x, &u, NULL, NULL, &u, &s}, *bbuf[] = {&x, &u, NULL, &g_x};
    f.op->reference(&f, fbuf);
    b.op->reference(&b, bbuf);
    cr_assert(isnan(u) && isnan(g_x));
    cr_assert_eq(s, 0u);
}

Test(neuron_ref, spikes_unpack_and_count)
{
    enum { M = 70, C = 33 };
    uint32_t s[M * 2], count[64];
    float y[M * C];
    unsigned long total = 0;
    for (int m = 0; m < M; m++) {
        s[2 * m] = 0x80000001u;
        s[2 * m + 1] = m % 2 ? 1 : 0;
    }
    sp_op_call c = sp_op_call_make("spikes.unpack"), n = sp_op_call_make("spikes.count");
    sp_call_set_int(&c, "M", M);
    sp_call_set_int(&c, "C", C);
    sp_call_set_int(&n, "M", M);
    sp_call_set_int(&n, "C", C);
    void *cbuf[] = {s, y}, *nbuf[] = {s, count};
    c.op->reference(&c, cbuf);
    for (int i = 0; i < M * C; i++) {
        int col = i % C, on = col == 0 || col == 31 || (col == 32 && i / C % 2);
        cr_assert_float_eq((double)y[i], on, 0, "element %d", i);
    }
    memset(count, 0, sizeof count);
    count[0] = 100;
    n.op->reference(&n, nbuf);
    for (int g = 0; g < 64; g++)
        total += count[g];
    cr_assert_eq(total, 100ul + 2 * M + M / 2);
    cr_assert_eq(count[0], 100u + 2 + 2 + 2, "words 0, 64 and 128");
    cr_assert_eq(count[1], 0u, "words 1, 65 and 129 belong to even rows");
}

/* Potentials 0, 1, 2, 3: mean 1.5, unbiased deviation sqrt(5/3). Twice as wide and 4 higher, the threshold is
 * as many deviations above their mean; where all are alike, it is v_th. */
Test(neuron_ref, stabilised_threshold_keeps_its_distance_in_deviations)
{
    const float steps[4][4] = {{0, 1, 2, 3}, {4, 6, 8, 10}, {0.5f, 0.5f, 0.5f, 0.5f}, {0, 0, 0, 0}};
    const float expected[4] = {1, 6, 1, 1}; /* mean 7 + 2 (1 - 1.5) */
    float ratio = NAN, th = NAN;
    uint32_t s[2];
    for (int t = 0; t < 4; t++) {
        sp_op_call c = sp_op_call_make("neuron.stabilise"), f = sp_op_call_make("neuron.fire");
        void *buf[] = {(void *)steps[t], &ratio, &th}, *fire[] = {(void *)steps[t], &th, s};
        sp_call_set_int(&c, "M", 2), sp_call_set_int(&c, "C", 2), sp_call_set_int(&c, "first", t == 0);
        sp_call_set_int(&f, "M", 2), sp_call_set_int(&f, "C", 2);
        sp_call_set_float(&c, "v_th", 1);
        c.op->reference(&c, buf);
        cr_assert_float_eq((double)th, (double)expected[t], 1e-6, "step %d: %g", t, (double)th);
        f.op->reference(&f, fire);
        cr_assert(t == 0 ? s[0] == 2 && s[1] == 3 : t == 1 ? s[0] == 2 && s[1] == 3 : s[0] == 0 && s[1] == 0);
    }
    const float alike[4] = {2, 2, 2, 2};
    for (int t = 0; t < 2; t++) { /* nothing to keep a distance by: v_th for the whole mini-batch */
        sp_op_call c = sp_op_call_make("neuron.stabilise");
        void *buf[] = {(void *)(t ? steps[0] : alike), &ratio, &th};
        sp_call_set_int(&c, "M", 2), sp_call_set_int(&c, "C", 2), sp_call_set_int(&c, "first", t == 0);
        sp_call_set_float(&c, "v_th", 1);
        c.op->reference(&c, buf);
        cr_assert_float_eq((double)th, 1, 0);
    }
}

/* Spikes 1, 1, 1 with decay 0.5 leave traces 1, 1.5, 1.75 (measured on OTTT's public code). */
Test(neuron_ref, trace_of_three_spikes)
{
    static const double expected[] = {1, 1.5, 1.75};
    for (int bits = 0; bits < 2; bits++) {
        sp_op_call c = sp_op_call_make("trace.update");
        float one = 1, trace = NAN;
        uint32_t word = 1;
        void *buf[] = {bits ? (void *)&word : (void *)&one, &trace};
        sp_call_set_int(&c, "M", 1);
        sp_call_set_int(&c, "C", 1);
        sp_call_set_float(&c, "decay", 0.5);
        sp_call_set_flag(&c, "X_BITS", bits);
        for (int t = 0; t < 3; t++) {
            sp_call_set_int(&c, "first", t == 0);
            c.op->reference(&c, buf);
            cr_assert_float_eq((double)trace, expected[t], 0);
        }
    }
}

static sp_op_call mask_call(int64_t M, int64_t C, double p)
{
    sp_op_call c = sp_op_call_make("dropout.mask");
    sp_call_set_int(&c, "M", M);
    sp_call_set_int(&c, "C", C);
    sp_call_set_int(&c, "seed", 2022);
    sp_call_set_int(&c, "stream", 3);
    sp_call_set_int(&c, "iteration", 7);
    sp_call_set_int(&c, "rows", 1);
    sp_call_set_float(&c, "p", p);
    return c;
}

Test(neuron_ref, dropout_mask_follows_the_generator)
{
    enum { M = 40, C = 70, W = 3 };
    uint32_t mask[M * W], again[M * W], word[4];
    int kept = 0;
    sp_op_call c = mask_call(M, C, 0.25);
    void *buf[] = {mask}, *buf2[] = {again};
    c.op->reference(&c, buf);
    for (int e = 0; e < M * C; e++) {
        uint32_t bit = mask[e / C * W + e % C / 32] >> (e % C % 32) & 1;
        sp_philox(2022, 3 | UINT64_C(7) << 32, (uint64_t)e / 4, word);
        cr_assert_eq(bit, word[e % 4] >= 0x40000000u, "element %d", e);
        kept += (int)bit;
    }
    cr_assert(abs(kept - M * C * 3 / 4) < 120, "kept %d of %d", kept, M * C); /* 5 standard deviations */
    for (int m = 0; m < M; m++)
        cr_assert_eq(mask[m * W + 2] >> (C - 64), 0u, "bits past C");
    sp_call_set_int(&c, "iteration", 8);
    c.op->reference(&c, buf2);
    cr_assert(memcmp(mask, again, sizeof mask) != 0, "the next mini-batch has its own mask");
}

Test(neuron_ref, dropout_mask_of_channels_and_of_time_steps)
{
    enum { N = 3, ROWS = 4, M = N * ROWS, C = 37, W = 2 };
    uint32_t whole[M * W], drawn[N * W], step[2][N * W], word[4];
    sp_op_call c = mask_call(M, C, 0.5), d = mask_call(N, C, 0.5);
    sp_call_set_int(&c, "rows", ROWS);
    c.op->reference(&c, (void *[]){whole});
    d.op->reference(&d, (void *[]){drawn});
    for (int m = 0; m < M; m++)
        cr_assert_arr_eq(whole + m * W, drawn + m / ROWS * W, W * sizeof *drawn, "row %d", m);
    sp_call_set_flag(&d, "STEP", 1);
    for (int t = 0; t < 2; t++) {
        sp_call_set_int(&d, "time_step", t + 1);
        d.op->reference(&d, (void *[]){step[t]});
        for (int e = 0; e < N * C; e++) {
            sp_philox(2022, (3 ^ (uint64_t)(t + 1) << 20) | UINT64_C(7) << 32, (uint64_t)e / 4, word);
            cr_assert_eq(step[t][e / C * W + e % C / 32] >> (e % C % 32) & 1, word[e % 4] >= 0x80000000u);
        }
    }
    cr_assert(memcmp(step[0], step[1], sizeof step[0]) && memcmp(step[0], drawn, sizeof drawn));
}

Test(neuron_ref, dropout_extremes_and_apply)
{
    enum { C = 33 };
    uint32_t mask[2];
    float x[C], y[C];
    sp_op_call c = mask_call(1, C, 0), a = sp_op_call_make("dropout.apply");
    void *buf[] = {mask}, *abuf[] = {x, mask, y};
    c.op->reference(&c, buf);
    cr_assert_eq(mask[0], 0xffffffffu, "p = 0 keeps everything");
    cr_assert_eq(mask[1], 1u);
    mask[0] = 2;
    for (int i = 0; i < C; i++)
        x[i] = 3;
    sp_call_set_int(&a, "M", 1);
    sp_call_set_int(&a, "C", C);
    sp_call_set_float(&a, "p", 0.25);
    a.op->reference(&a, abuf);
    for (int i = 0; i < C; i++)
        cr_assert_float_eq((double)y[i], i == 1 || i == 32 ? 4 : 0, 0, "element %d", i);
}

/* ---- models with more than u: one neuron over a few steps, worked out by hand ---- */

static sp_op_call ext_call(const char *id, const char *model)
{
    sp_op_call c = neuron_call(id, 0.5);
    c.neuron = model;
    sp_call_set_float(&c, "aux_decay", 0.5);
    sp_call_set_float(&c, "aux_gain", 0.25);
    sp_call_set_flag(&c, "AUX", strcmp(model, "plif") != 0);
    sp_call_set_flag(&c, "ADAPT", strcmp(model, "alif") == 0);
    sp_call_set_flag(&c, "LEARN", strcmp(model, "plif") == 0);
    return c;
}

/* One step in place: u and aux are what the step before left. */
static void ext_step(sp_op_call c, float x, float *w, float *u, float *aux, uint32_t *s)
{
    void *buf[] = {&x, u, NULL, NULL, aux, w, u, aux, s};
    c.op->reference(&c, buf);
}

Test(neuron_ref, currents_and_thresholds_by_hand)
{
    float u = NAN, aux = NAN;
    uint32_t s;
    sp_op_call c = ext_call("neuron.forward_ext", "cuba_lif");
    sp_call_set_int(&c, "first", 1);
    ext_step(c, 0.75f, NULL, &u, &aux, &s); /* i = 0.75, u = 0.75 */
    cr_assert(u == 0.75f && aux == 0.75f && s == 0);
    sp_call_set_int(&c, "first", 0);
    ext_step(c, 0.5f, NULL, &u, &aux, &s); /* i = 0.375 + 0.5, u = 0.375 + 0.875: fires */
    cr_assert(u == 1.25f && aux == 0.875f && s == 1);
    ext_step(c, 0, NULL, &u, &aux, &s); /* v = 0.25, i = 0.4375, u = 0.125 + 0.4375 */
    cr_assert(u == 0.5625f && aux == 0.4375f && s == 0);

    c = ext_call("neuron.forward_ext", "alif");
    sp_call_set_int(&c, "first", 1);
    ext_step(c, 1, NULL, &u, &aux, &s); /* a = 0, threshold 1: equality fires */
    cr_assert(u == 1 && aux == 0 && s == 1);
    sp_call_set_int(&c, "first", 0);
    ext_step(c, 1.125f, NULL, &u, &aux, &s); /* v = 0; a = 1, threshold 1.25: silent */
    cr_assert(u == 1.125f && aux == 1 && s == 0);
    ext_step(c, 0.5625f, NULL, &u, &aux,
             &s); /* v = 1.125; u = 0.5625 + 0.5625; a = 0.5, threshold 1.125: fires */
    cr_assert(u == 1.125f && aux == 0.5f && s == 1);
}

/* du/dw of the learnable leak against a difference of the loss, with the surrogate's slope taken out
 * (triangle at d = 0 is 1). */
Test(neuron_ref, the_gradient_of_the_leak_by_hand)
{
    sp_op_call back = ext_call("neuron.backward_ext", "plif");
    sp_call_set_float(&back, "width", 1);
    for (int scaled = 0; scaled < 2; scaled++) {
        /* w = 0: 1/tau = 1/2. v = 0.5; u = 0.25 + x or 0.25 + x/2 */
        float g_s = 2, u = 1, u_prev = 0.5f, w = 0, g_x = NAN, g_w = 0.125f;
        sp_call_set_flag(&back, "SCALED", scaled);
        void *buf[] = {&g_s, &u, &u_prev, NULL, NULL, &w, NULL, NULL, &g_x, &g_w};
        back.op->reference(&back, buf);
        cr_assert_float_eq(g_x, scaled ? 1 : 2, 1e-6, "scaled %d: %g", scaled, (double)g_x);
        /* -v/4 times 2, or (u - v)/2 times 2; added to what was there */
        cr_assert_float_eq(g_w, 0.125f + (scaled ? 0.5f : -0.25f), 1e-6, "scaled %d: %g", scaled,
                           (double)g_w);
        sp_call_set_int(&back, "first", 1); /* v = 0 */
        u_prev = NAN;
        back.op->reference(&back, buf);
        cr_assert_float_eq(g_w, 0.125f + (scaled ? 1.5f : -0.25f), 1e-6, "scaled %d at first: %g", scaled,
                           (double)g_w);
        sp_call_set_int(&back, "first", 0);
    }
}

/* g h, and with a soft reset what it takes away from the next potential. */
Test(neuron_ref, the_gradient_of_a_learnt_threshold_by_hand)
{
    for (int hard = 0; hard < 2; hard++) {
        sp_op_call back = sp_op_call_make("neuron.backward_ext");
        float g_s = 2, u = 1.5f, carry = 0.25f, g_x, th = 1.5f, g_th = 0.125f;
        void *buf[] = {&g_s, &u, NULL, NULL, NULL, NULL, &carry, NULL, &g_x, NULL, &th, &g_th};
        back.neuron = "lif", back.surrogate = "triangle";
        sp_call_set_int(&back, "M", 1), sp_call_set_int(&back, "C", 1);
        sp_call_set_float(&back, "decay", 0.5), sp_call_set_float(&back, "x_gain", 1);
        sp_call_set_float(&back, "v_th", 7), sp_call_set_float(&back, "width", 1);
        sp_call_set_flag(&back, "TEMPORAL", 1), sp_call_set_flag(&back, "DETACH", 1);
        sp_call_set_flag(&back, "V_TH", 1), sp_call_set_flag(&back, "HARD", hard);
        back.op->reference(&back, buf); /* h = 1, s = 1: -2, and -0.25 with the soft reset */
        cr_assert_float_eq(g_th, hard ? -1.875f : -2.125f, 1e-6, "%g", (double)g_th);
    }
}

/* Two steps of an adaptive neuron backwards in time: dL/da goes to the spike and to the threshold. */
Test(neuron_ref, the_gradient_of_a_threshold_by_hand)
{
    sp_op_call back = ext_call("neuron.backward_ext", "alif");
    sp_call_set_float(&back, "width", 1);
    sp_call_set_flag(&back, "TEMPORAL", 1);
    sp_call_set_int(&back, "last", 1);
    float g_s = 1, u = 1.25f, aux = 1, carry = NAN, carry_aux = NAN, g_x;
    void *buf[] = {&g_s, &u, NULL, &aux, NULL, NULL, &carry, &carry_aux, &g_x, NULL};
    back.op->reference(&back, buf); /* threshold 1.25, h = 1: g_u = 1; dL/da = -0.25 */
    cr_assert(g_x == 1 && carry == 0.5f && carry_aux == -0.25f);
    sp_call_set_int(&back, "last", 0);
    g_s = 0, u = 1, aux = 0;
    back.op->reference(&back, buf);
    /* dL/ds = carry (-1) + carry_aux = -0.75; h = 1; g_u = -0.75 + carry = -0.25; dL/da = -0.125 + 0.75 / 4
     */
    cr_assert(g_x == -0.25f && carry == -0.125f && carry_aux == 0.0625f, "%g %g %g", (double)g_x,
              (double)carry, (double)carry_aux);
}

Test(neuron_ref, rate_goes_back_as_time_does_with_the_same_gradient_at_every_step)
{
    static const float x[T] = {0.6f, 0.7f, -0.3f, 1.8f, 0.2f, 0.95f};
    const float share = 1.0f / T, g[T] = {share, share, share, share, share, share};
    for (int detach = 0; detach < 2; detach++) {
        float u[T], g_x[T], sum = 0;
        uint32_t s[T], fired = 0, counted;
        sp_op_call back = neuron_call("neuron.backward", 0.5), rate = neuron_call("neuron.forward_rate", 0.5);
        sp_call_set_float(&back, "width", 1), sp_call_set_float(&rate, "width", 1);
        sp_call_set_flag(&back, "TEMPORAL", 1);
        sp_call_set_flag(&back, "DETACH", detach), sp_call_set_flag(&rate, "DETACH", detach);
        sp_call_set_float(&rate, "share", share);
        run_forward(neuron_call("neuron.forward", 0.5), x, u, s);
        run_backward(back, g, u, g_x);
        for (int t = 0; t < T; t++)
            sum += g_x[t], fired += s[t];
        cr_assert_float_eq(run_rate(rate, x, &counted), sum, 1e-6);
        cr_assert_eq(counted, fired);
        sp_op_call mean = sp_op_call_make("spikes.mean");
        sp_call_set_int(&mean, "M", 1), sp_call_set_int(&mean, "C", 1), sp_call_set_int(&mean, "P", 3);
        sp_call_set_float(&mean, "share", share);
        uint32_t count[3] = {counted & 1, counted >> 1 & 1, counted >> 2};
        float r;
        mean.op->reference(&mean, (void *[]){count, &r});
        cr_assert_float_eq(r, (float)fired * share, 1e-6);
    }
}
