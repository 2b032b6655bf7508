/* The C references of the optimizers: PyTorch's steps by hand, and three of them in a row with clipping and a
 * running average of the weights. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include "op/op.h"

/* torch.optim.SGD(lr 0.5, momentum 0.5, weight_decay 0.25), w = 4, g = 1 then 2: m = 2, w = 3; m = 3.75,
 * w = 1.125. */
Test(optim_ref, sgd_two_steps_by_hand)
{
    float w = 4, g = 1, m = 0;
    sp_op_call c = sp_op_call_make("optimizer.sgd");
    void *buf[] = {&w, &g, &m};
    sp_call_set_int(&c, "M", 1);
    sp_call_set_float(&c, "lr", 0.5);
    sp_call_set_float(&c, "momentum", 0.5);
    sp_call_set_float(&c, "weight_decay", 0.25);
    c.op->reference(&c, buf);
    cr_assert(m == 2 && w == 3);
    g = 2;
    c.op->reference(&c, buf);
    cr_assert(m == 3.75f && w == 1.125f);
}

/* Bias correction makes the first step lr * sign(g) whatever the size of g; the decay does not pass
 * through it. */
Test(optim_ref, adamw_first_step_is_the_sign)
{
    float w[] = {1, 1}, g[] = {1e-3f, -50}, m[] = {0, 0}, v[] = {0, 0};
    sp_op_call c = sp_op_call_make("optimizer.adamw");
    void *buf[] = {w, g, m, v};
    sp_call_set_int(&c, "M", 2);
    sp_call_set_float(&c, "lr", 0.01);
    sp_call_set_float(&c, "beta1", 0.9);
    sp_call_set_float(&c, "beta2", 0.999);
    sp_call_set_float(&c, "eps", 1e-8);
    sp_call_set_float(&c, "weight_decay", 0.1);
    sp_call_set_float(&c, "bias1", 1 - 0.9);
    sp_call_set_float(&c, "bias2", 1 - 0.999);
    c.op->reference(&c, buf);
    cr_assert_float_eq((double)w[0], 1 - 0.001 - 0.01, 1e-6, "%g", (double)w[0]);
    cr_assert_float_eq((double)w[1], 1 - 0.001 + 0.01, 1e-6, "%g", (double)w[1]);
    cr_assert_float_eq((double)m[1], -5, 1e-5);
    cr_assert_float_eq((double)v[1], 2.5, 1e-4);
}

enum { PARAMETERS = 3, STEPS = 3 };

/* What a plan's update segment does: norm, clipping, optimizer, average. */
static void update(const char *name, int n, double norm, double value, double decay, float *w, float *g,
                   float *m, float *v, float *average)
{
    float size;
    const bool sgd = strcmp(name, "sgd") == 0;
    sp_op_call c = sp_op_call_make("gradient.norm"), clip = sp_op_call_make("gradient.clip"),
               step = sp_op_call_make(sgd ? "optimizer.sgd" : "optimizer.adamw"),
               ema = sp_op_call_make("ema.update");
    sp_op_call *all[] = {&c, &clip, &step, &ema};
    for (int i = 0; i < 4; i++)
        sp_call_set_int(all[i], "M", PARAMETERS);
    c.op->reference(&c, (void *[]){g, &size});
    sp_call_set_float(&clip, "max_norm", norm), sp_call_set_float(&clip, "max_value", value);
    sp_call_set_flag(&clip, "NORM", norm > 0), sp_call_set_flag(&clip, "VALUE", value > 0);
    clip.op->reference(&clip, (void *[]){g, &size});
    sp_call_set_float(&step, "lr", 0.1), sp_call_set_float(&step, "weight_decay", 0.25);
    if (sgd) {
        sp_call_set_float(&step, "momentum", 0.5);
    } else {
        sp_call_set_flag(&step, "L2", strcmp(name, "adam") == 0);
        sp_call_set_float(&step, "beta1", 0.9), sp_call_set_float(&step, "beta2", 0.999);
        sp_call_set_float(&step, "eps", 1e-8);
        sp_call_set_float(&step, "bias1", 1 - pow(0.9, n)),
            sp_call_set_float(&step, "bias2", 1 - pow(0.999, n));
    }
    step.op->reference(&step, (void *[]){w, g, m, v});
    sp_call_set_float(&ema, "decay", decay);
    ema.op->reference(&ema, (void *[]){w, average});
}

/* The rows are printed by tests/golden/optimizer_steps.py. */
Test(optim_ref, three_steps_with_clipping_and_average_are_pytorchs)
{
    static const struct {
        const char *name;
        double norm, value, decay, w[PARAMETERS], average[PARAMETERS];
    } cases[] = {
        {"adam",
         0,
         0,
         0,
         {0.7500314465, -0.2984495676, 0.0994366441},
         {0.7500314465, -0.2984495676, 0.0994366441}},
        {"adamw",
         0,
         0,
         0.75,
         {0.6922824698, -0.2755532449, 0.1129948666},
         {0.8625509477, -0.3950602635, 0.1870760506}},
        {"sgd",
         1,
         0,
         0.5,
         {0.7350277273, -0.3043334443, 0.1271275802},
         {0.8160503911, -0.3473026671, 0.1834352258}},
        {"sgd",
         2,
         0.75,
         0.5,
         {0.7553566727, -0.3651641408, 0.1535567010},
         {0.8241138858, -0.3924437885, 0.1961696594}},
        {"adam",
         0.5,
         0.25,
         0.9,
         {0.7110763268, -0.2583029733, -0.0002658522},
         {0.9450636049, -0.4520533766, 0.2013345949}},
    };
    static const float gradients[STEPS][PARAMETERS] = {{0.5f, -3, 0.125f},
                                                       {4, 0.5f, -0.25f},
                                                       {-0.25f, 0.0625f, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float w[] = {1, -0.5f, 0.25f}, average[] = {1, -0.5f, 0.25f}, m[PARAMETERS] = {0},
              v[PARAMETERS] = {0};
        for (int n = 0; n < STEPS; n++) {
            float g[PARAMETERS];
            memcpy(g, gradients[n], sizeof g);
            update(cases[i].name, n + 1, cases[i].norm, cases[i].value, cases[i].decay, w, g, m, v, average);
        }
        for (int k = 0; k < PARAMETERS; k++) {
            cr_assert_float_eq((double)w[k], cases[i].w[k], 2e-6, "case %zu: w[%d] = %g", i, k, (double)w[k]);
            cr_assert_float_eq((double)average[k], cases[i].average[k], 2e-6, "case %zu: average[%d] = %g", i,
                               k, (double)average[k]);
        }
    }
}

enum { BINARY = 4, MINI_BATCHES = 2, TIME_STEPS = 2 };

/* The rows are printed by tests/golden/optimizer_steps.py. */
Test(optim_ref, binary_weights_turn_as_pytorch_says)
{
    static const struct {
        bool adapt;
        double w[BINARY], m[BINARY], v[TIME_STEPS];
    } cases[] = {
        {false, {-1, 1, -1, 1}, {-0.2343750000, -0.0156250000, 0.3437500000, -0.7343750000}, {0, 0}},
        {true,
         {1, 1, -1, 1},
         {-0.2343750000, -0.0156250000, 0.3437500000, -0.7343750000},
         {0.8183593750, 0.3151855469}},
    };
    static const float gradients[MINI_BATCHES][TIME_STEPS][BINARY] = {{{1, -0.25f, 0.5f, 0.25f},
                                                                       {0.125f, -2, -1, 0.5f}},
                                                                      {{0.75f, 0.5f, 1.5f, -3},
                                                                       {-1, 0.25f, 0.125f, -0.125f}}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        float w[BINARY], g[BINARY], m[BINARY] = {0}, v[TIME_STEPS] = {0};
        uint32_t word = 0x30 | 1 | 1 << 2; /* 1, -1, 1, -1, and bits that are no weights */
        sp_op_call c = sp_op_call_make("optimizer.flip"), unpack = sp_op_call_make("binary.unpack");
        sp_call_set_int(&c, "M", 1), sp_call_set_int(&c, "C", BINARY), sp_call_set_int(&c, "O", 1);
        sp_call_set_int(&c, "P", TIME_STEPS);
        memcpy(unpack.ints, c.ints, sizeof unpack.ints);
        sp_call_set_flag(&c, "ADAPT", cases[k].adapt);
        sp_call_set_float(&c, "beta1", 0.5), sp_call_set_float(&c, "beta2", 0.75);
        sp_call_set_float(&c, "flip", 0.4), sp_call_set_float(&c, "eps", 1e-8);
        for (int n = 0; n < MINI_BATCHES * TIME_STEPS; n++) {
            memcpy(g, gradients[n / TIME_STEPS][n % TIME_STEPS], sizeof g);
            sp_call_set_int(&c, "time_step", n % TIME_STEPS + 1);
            c.op->reference(&c, (void *[]){&word, g, m, cases[k].adapt ? v : NULL});
        }
        cr_assert_eq(word >> BINARY, 3);
        unpack.op->reference(&unpack, (void *[]){&word, w});
        for (int i = 0; i < BINARY; i++) {
            cr_assert_float_eq((double)w[i], cases[k].w[i], 0, "%zu: weight %d is %g", k, i, (double)w[i]);
            cr_assert_float_eq((double)m[i], cases[k].m[i], 1e-6);
        }
        for (int t = 0; t < TIME_STEPS; t++)
            cr_assert_float_eq((double)v[t], cases[k].v[t], 1e-6);
    }
}
