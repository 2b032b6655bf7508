/* Gradients of whole networks: SLTT against BPTT where they are the same, a batch against its halves, kernels
 * against other kernels, and against finite differences where the loss is smooth. */
#include "support.h"

TestSuite(gradient, .init = setup, .fini = teardown);

static const int64_t chw[3] = {3, 8, 8};
static const sp_method methods[] = {SP_METHOD_SLTT, SP_METHOD_SLTT_K, SP_METHOD_BPTT, SP_METHOD_OTTT};

static float *gradient_of(const char *layers, const sp_plan_options *o)
{
    rig r = rig_open(layers, chw, o);
    float *g = rig_gradient(&r);
    rig_close(&r);
    return g;
}

Test(gradient, with_one_time_step_all_methods_agree)
{
    sp_graph *g = graph_of(EVERY_LAYER, chw);
    sp_plan_options o = options_of(SP_METHOD_BPTT, 6, 1);
    float *bptt = gradient_of(EVERY_LAYER, &o);
    for (int m = 0; m < 4; m++) {
        o.method = methods[m];
        float *other = gradient_of(EVERY_LAYER, &o);
        expect_same_gradient(g, other, bptt, 1e-6, sp_method_name(methods[m]));
        free(other);
    }
    /* and with two they do not: the test can fail */
    o.time_steps = 2;
    o.method = SP_METHOD_SLTT;
    float *sltt = gradient_of(EVERY_LAYER, &o);
    o.method = SP_METHOD_BPTT;
    float *bptt2 = gradient_of(EVERY_LAYER, &o);
    double worst = 0;
    for (int64_t i = 0; i < g->n_trainable; i++)
        worst = fmax(worst, fabs((double)sltt[i] - (double)bptt2[i]));
    cr_assert_gt(worst, 1e-3 * largest(bptt2, g->n_trainable));
    free(bptt), free(bptt2), free(sltt);
    sp_graph_destroy(&g);
}

/* Without batch norm and dropout samples do not see each other. */
Test(gradient, of_a_batch_is_the_mean_over_its_halves)
{
    const char *layers = "  - {type: conv, out: 8, kernel: 3, padding: 1}\n"
                         "  - {type: lif, v_th: 0.5}\n"
                         "  - {type: avg_pool, kernel: 2}\n"
                         "  - {type: ws_conv, out: 8, kernel: 3}\n"
                         "  - {type: lif, v_th: 0.5}\n"
                         "  - {type: flatten}\n"
                         "  - {type: linear, out: 4}\n";
    sp_graph *g = graph_of(layers, chw);
    for (int m = 0; m < 4; m++) {
        sp_plan_options whole = options_of(methods[m], 8, 3), half = options_of(methods[m], 4, 3);
        float *a = gradient_of(layers, &whole);
        rig r = rig_open(layers, chw, &half);
        float *b = rig_gradient(&r);
        random_data(&r, 21, 4);
        float *c = rig_gradient(&r);
        for (int64_t i = 0; i < g->n_trainable; i++)
            b[i] = 0.5f * (b[i] + c[i]);
        expect_same_gradient(g, b, a, 1e-5, sp_method_name(methods[m]));
        rig_close(&r);
        free(a), free(b), free(c);
    }
    sp_graph_destroy(&g);
}

static void expect_same_with(const char *choice)
{
    sp_graph *g = graph_of(EVERY_LAYER, chw);
    for (int m = 0; m < 4; m++) {
        static const uint8_t some[4] = {0, 1, 0, 1};
        sp_plan_options o = options_of(methods[m], 6, 4);
        float *grads[2];
        double loss[2];
        o.w_ce = 0.9, o.w_mse = 0.1;
        for (int k = 0; k < 2; k++) {
            load_registry();
            if (k)
                force(choice);
            rig r = rig_open(EVERY_LAYER, chw, &o);
            r.backprop = methods[m] == SP_METHOD_SLTT_K ? some : NULL;
            loss[k] = rig_loss(&r);
            grads[k] = rig_read(&r, SP_RANGE_GRADIENTS);
            rig_close(&r);
        }
        char what[96];
        snprintf(what, sizeof what, "%s with %s", sp_method_name(methods[m]), choice);
        cr_assert_float_eq(loss[1], loss[0], 1e-5, "%s: loss %g, %g", what, loss[0], loss[1]);
        /* Kernels may sum in another order or, on matrix units, from parts of factors: 5e-6 of a
         * convolution's result, and more of a gain's gradient, in which such results cancel. */
        expect_same_gradient(g, grads[1], grads[0], 4e-4, what);
        free(grads[0]), free(grads[1]);
    }
    sp_graph_destroy(&g);
}

Test(gradient, of_reference_kernels_is_that_of_the_chosen_ones)
{
    expect_same_with("*=reference");
}

Test(gradient, of_lowered_convolutions_is_that_of_direct_ones)
{
    expect_same_with("conv=im2col_gemm");
}

/* ---- finite differences ---- */

static void write_moved(rig *r, const sp_param *p, const float *w, const float *direction, double step)
{
    sp_error err = {0};
    float *x = malloc((size_t)p->elems * sizeof *x);
    for (int64_t i = 0; i < p->elems; i++)
        x[i] = (float)((double)w[i] + step * (double)direction[i]);
    cr_assert_eq(sp_model_write(r->m, p, SP_RANGE_WEIGHTS, x, &err), SP_OK, "%s", err.text);
    free(x);
}

/* Along the gradient itself, and along random parts of it (so that every element counts and none can hide
 * behind another): the derivative of the loss is the product of direction and gradient. */
static int check_parameter(rig *r, const sp_param *p, const float *g)
{
    sp_error err = {0};
    const double step = 4e-3;
    double norm = 0;
    size_t bytes = (size_t)p->elems * sizeof(float);
    float *w = malloc(bytes), *direction = malloc(bytes);
    cr_assert_eq(sp_model_read(r->m, p, SP_RANGE_WEIGHTS, w, &err), SP_OK, "%s", err.text);
    for (int64_t i = 0; i < p->elems; i++)
        norm += (double)g[i] * (double)g[i];
    norm = sqrt(norm);
    int checked = 0;
    for (int k = 0; k < 5 && norm > 1e-3; k++) {
        sp_rng rng = sp_rng_make(9, (uint64_t)k);
        double expected = 0;
        for (int64_t i = 0; i < p->elems; i++) {
            bool taken = k == 0 || sp_rng_below(&rng, 2) == 0;
            direction[i] = taken ? (float)((double)g[i] / norm) : 0.0f;
            expected += (double)direction[i] * (double)g[i];
        }
        if (expected < 0.05 * norm)
            continue;
        write_moved(r, p, w, direction, step);
        double up = rig_loss(r);
        write_moved(r, p, w, direction, -step);
        double down = rig_loss(r), slope = (up - down) / (2 * step);
        cr_assert(fabs(slope - expected) <= 0.01 * expected + 1e-4,
                  "%s, direction %d: the loss changes by %g, the gradient says %g", p->name, k, slope,
                  expected);
        checked++;
    }
    cr_assert_eq(sp_model_write(r->m, p, SP_RANGE_WEIGHTS, w, &err), SP_OK, "%s", err.text);
    free(w), free(direction);
    return checked;
}

static const struct smooth {
    const char *layers;
    double w_ce, w_mse, target;
    bool one_hot;
    int least; /* parameters that must have a gradient worth checking */
} smooth[] = {
    {"  - {type: conv, out: 4, kernel: 3, padding: 1}\n"
     "  - {type: batch_norm}\n"
     "  - {type: avg_pool, kernel: 3, stride: 2, padding: 1}\n"
     "  - {type: flatten}\n"
     "  - {type: linear, out: 3}\n",
     1, 0, 0, true, 5},
    {"  - {type: conv, out: 5, kernel: [3, 2], stride: [2, 1], padding: [1, 2], dilation: [2, 1]}\n"
     "  - {type: max_pool, kernel: 3, stride: 2, padding: 1}\n"
     "  - {type: conv, out: 3, kernel: 2}\n"
     "  - {type: flatten}\n"
     "  - {type: linear, out: 4}\n",
     0, 1, 0, true, 6},
    {"  - {type: conv, out: 4, kernel: 1}\n"
     "  - type: residual\n"
     "    pre: [{type: batch_norm}, {type: scale, factor: 1.3}]\n"
     "    branch: [{type: ws_conv, out: 6, kernel: 3, padding: 1, stride: 2}, {type: batch_norm}, {type: "
     "ws_conv, out: 6, kernel: 3, padding: 1}]\n"
     "    shortcut: [{type: avg_pool, kernel: 2}, {type: conv, out: 6, kernel: 1}]\n"
     "    skip_gain: true\n"
     "    alpha: 0.7\n"
     "  - type: residual\n"
     "    branch: [{type: conv, out: 6, kernel: 3, padding: 1}]\n"
     "    identity_from: input\n"
     "  - {type: adaptive_avg_pool, output: [3, 2]}\n"
     "  - {type: flatten}\n"
     "  - {type: linear, out: 3}\n",
     0.7, 0.3, 0.4, false, 15},
    {"  - {type: flatten}\n"
     "  - {type: linear, out: 10}\n"
     "  - {type: batch_norm}\n"
     "  - {type: dropout, p: 0.3}\n"
     "  - {type: linear, out: 5}\n",
     0.5, 0.5, 0, true, 5},
};

static void check_smooth(const struct smooth *c, sp_method method)
{
    sp_plan_options o = options_of(method, 5, 2);
    o.sequence = true; /* another input, and other statistics, at each step */
    o.w_ce = c->w_ce, o.w_mse = c->w_mse, o.mse_target = c->target, o.mse_one_hot = c->one_hot;
    rig r = rig_open(c->layers, chw, &o);
    float *g = rig_gradient(&r), *at = g;
    int checked = 0;
    for (int i = 0; i < r.g->n_params; i++) {
        const sp_param *p = &r.g->params[i];
        if (!p->trainable)
            continue;
        checked += check_parameter(&r, p, at) >= (p->elems > 2 ? 3 : 1);
        at += p->elems;
    }
    cr_assert_geq(checked, c->least, "only %d parameters have a gradient to check:\n%s", checked, c->layers);
    free(g);
    rig_close(&r);
}

Test(gradient, is_the_slope_of_the_loss_where_the_loss_is_smooth)
{
    for (size_t i = 0; i < sizeof smooth / sizeof *smooth; i++)
        check_smooth(&smooth[i], SP_METHOD_SLTT);
}

Test(gradient, is_the_slope_of_the_loss_for_bptt)
{
    for (size_t i = 0; i < sizeof smooth / sizeof *smooth; i++)
        check_smooth(&smooth[i], SP_METHOD_BPTT);
}

/* Padding of the last batch: label -1 neither counts as correct nor changes the gradient of the others' sum.
 */
Test(gradient, of_samples_without_label_is_nothing)
{
    const char *layers = "  - {type: flatten}\n  - {type: linear, out: 4}\n";
    sp_plan_options o = options_of(SP_METHOD_SLTT, 4, 2);
    sp_error err = {0};
    rig r = rig_open(layers, chw, &o);
    float loss[4];
    uint32_t correct[4];
    for (int i = 0; i < 4; i++)
        r.labels[i] = -1;
    rig_run(&r);
    cr_assert_eq(sp_exec_results(r.p, loss, correct, &err), SP_OK);
    float *g = rig_read(&r, SP_RANGE_GRADIENTS);
    cr_assert_eq(largest(g, r.g->n_trainable), 0.0);
    for (int i = 0; i < 4; i++)
        cr_assert(loss[i] == 0.0f && correct[i] == 0);
    free(g);
    rig_close(&r);
}
