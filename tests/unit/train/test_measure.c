/* The learning rate against PyTorch's schedulers (2.15, torch.optim.lr_scheduler; the values are what they
 * gave), the best epoch and early stopping. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/measure.h"

static sp_recipe recipe_of(const char *more)
{
    sp_recipe r;
    sp_error err = {0};
    char text[1024];
    snprintf(text, sizeof text,
             "data: {name: synthetic}\nnetwork: [{type: flatten}, {type: linear, out: 10}]\n"
             "optimizer: {lr: 0.1}\n%s",
             more);
    cr_assert_eq(sp_recipe_parse("r.yaml", text, strlen(text), NULL, 0, &r, &err), SP_OK, "%s", err.text);
    return r;
}

Test(measure, one_cycle_is_pytorchs)
{
    static const struct {
        const char *recipe;
        double rate[12];
    } cases[] = {
        {"epochs: 4\nlr_schedule: {name: one_cycle}\n",
         {0.0040000000000000036, 0.0349789654219583, 0.08792851591221287, 0.09944154354509119,
          0.09330129698414118, 0.0811745653949763, 0.06473789976951033, 0.046263710266697504,
          0.028306099820869922, 0.01334775301888306, 0.0034566987425395223, 4e-07}},
        {"epochs: 4\nlr_schedule: {name: one_cycle, pct_start: 0.5, div_factor: 10, final_div_factor: 100}\n",
         {0.009999999999999995, 0.018594235253127367, 0.041094235253127366, 0.06890576474687263,
          0.09140576474687263, 0.1, 0.09330796891903273, 0.07502500000000001, 0.050050000000000004,
          0.02507500000000001, 0.006792031080967287, 0.0001}},
    };
    for (size_t c = 0; c < 2; c++) {
        sp_recipe r = recipe_of(cases[c].recipe);
        for (int i = 0; i < 12; i++) {
            double rate = sp_recipe_lr(&r, NULL, i / 3, i % 3, 3);
            cr_assert_float_eq(rate, cases[c].rate[i], 1e-15, "step %d: %.17g", i, rate);
        }
        sp_recipe_free(&r);
    }
}

/* Shares of the cycle at both ends, and the end of the last epoch, have a rate too. */
Test(measure, one_cycle_is_finite_at_its_edges)
{
    static const char *const edges[] = {"pct_start: 0", "pct_start: 1", "pct_start: 0.25"};
    for (size_t c = 0; c < 3; c++) {
        char text[128];
        snprintf(text, sizeof text, "epochs: 4\nlr_schedule: {name: one_cycle, %s}\n", edges[c]);
        sp_recipe r = recipe_of(text);
        for (int epoch = 0; epoch <= 4; epoch++) {
            double rate = sp_recipe_lr(&r, NULL, epoch, 0, 1);
            cr_assert(rate > 0 && rate <= 0.1, "%s, epoch %d: %g", edges[c], epoch, rate);
        }
        sp_recipe_free(&r);
    }
}

Test(measure, plateau_is_pytorchs)
{
    static const struct {
        const char *recipe;
        double value[11], rate[11]; /* after an epoch; of it */
    } cases[] = {
        {"measure: test_loss\nlr_schedule: {name: plateau, gamma: 0.5, patience: 1, min: 0.02}\n",
         {1.0, 0.8, 0.79995, 0.81, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7},
         {0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.02, 0.02}},
        {"lr_schedule: {name: plateau, patience: 2, threshold: 1e-3}\n",
         {.5, .6, .60005, .6, .6001, .7, .7, .7, .7, .1, .7},
         {0.1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001}},
    };
    for (size_t c = 0; c < 2; c++) {
        sp_recipe r = recipe_of(cases[c].recipe);
        sp_measured m = sp_measured_start(r.measure);
        for (int i = 0; i < 11; i++) {
            double rate = sp_recipe_lr(&r, &m, i, 2, 5);
            cr_assert_float_eq(rate, cases[c].rate[i], 1e-15, "case %zu, epoch %d: %.17g", c, i, rate);
            sp_measured_add(&m, &r, cases[c].value[i]);
        }
        sp_recipe_free(&r);
    }
}

/* LinearLR(start_factor 0.01, total_iters 5), times what comes without it. */
Test(measure, a_warm_up_grows_by_mini_batch)
{
    static const double rate[7] = {0.001, 0.0208, 0.0406, 0.0604, 0.0802, 0.1, 0.1};
    sp_recipe r = recipe_of("lr_schedule: {name: constant, warmup: 2.5}\n");
    for (int i = 0; i < 7; i++)
        cr_assert_float_eq(sp_recipe_lr(&r, NULL, i / 2, i % 2, 2), rate[i], 1e-15, "step %d", i);
    sp_recipe_free(&r);
    sp_recipe plain = recipe_of("epochs: 4\n");
    r = recipe_of("epochs: 4\nlr_schedule: {name: cosine, warmup: 2, warmup_from: 0}\n");
    for (int i = 0; i < 12; i++)
        cr_assert_float_eq(sp_recipe_lr(&r, NULL, i / 3, i % 3, 3),
                           sp_recipe_lr(&plain, NULL, i / 3, i % 3, 3) * fmin(i / 6.0, 1), 1e-15);
    sp_recipe_free(&r);
    sp_recipe_free(&plain);
}

Test(measure, training_ends_after_epochs_that_are_not_better)
{
    static const double loss[] = {0.9, 0.8, 0.79, 0.78, 0.5, 0.45, 0.6};
    static const bool best[] = {true, true, true, true, true, true, false},
                      ends[] = {false, false, false, true, false, false, true};
    sp_recipe r = recipe_of("measure: loss\nearly_stopping: {patience: 2, min_delta: 0.05}\n");
    sp_measured m = sp_measured_start(r.measure);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(sp_measured_add(&m, &r, loss[i]), best[i], "epoch %d", i + 1);
        cr_assert_eq(sp_measured_ends(&m, &r), ends[i], "epoch %d", i + 1);
    }
    r.patience = 0;
    cr_assert(!sp_measured_ends(&m, &r));
    r.measure = SP_MEASURE_TEST_ACCURACY; /* what was the best loss says nothing about accuracies */
    cr_assert(sp_measured_add(&m, &r, 0.1) && m.measure == SP_MEASURE_TEST_ACCURACY);
    sp_recipe_free(&r);
}

Test(measure, is_printed_and_read_back_exactly)
{
    sp_measured m = {SP_MEASURE_TEST_LOSS, {1.0 / 3, 2}, {NAN, 0}, {0.1, 7}, 0.001}, back;
    sp_text t = {0};
    sp_measured_print(&m, &t);
    cr_assert(sp_measured_parse(t.s, &back), "%s", t.s);
    cr_assert(back.measure == m.measure && back.all.value == m.all.value && back.all.stale == 2 &&
              isnan(back.stopping.value) && back.plateau.value == 0.1 && back.plateau.stale == 7 &&
              back.lr_factor == 0.001);
    sp_text_free(&t);
    static const char *const damaged[] = {"",
                                          "test_loss",
                                          "test_los 1 1 0 1 0 1 0",
                                          "test_loss 1 1 0 1 0 1",
                                          "test_loss 1 1 0 1 0 1 0 ",
                                          "test_loss 2 1 0 1 0 1 0",
                                          "test_loss nan 1 0 1 0 1 0",
                                          "test_loss 1 inf 0 1 0 1 0",
                                          "test_loss 1 -1 0 1 0 1 0",
                                          "test_loss 1 1 -3 1 0 1 0"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++)
        cr_assert(!sp_measured_parse(damaged[i], &back), "%s", damaged[i]);
}
