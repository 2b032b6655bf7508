/* Recipes: defaults, what is refused with place and nearest name, --set, printing back, learning rates, and
 * SLTT-K's draw of time steps. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "train/measure.h"
#include "train/recipe.h"
#include "train/session.h"

#define NETWORK "network: [{type: flatten}, {type: linear, out: 4}, {type: lif}, {type: linear, out: 3}]\n"
#define DATA    "data: {name: synthetic}\n"

static sp_error err;

static sp_status parse_with(const char *text, const char *const *sets, size_t n_sets, sp_recipe *r)
{
    return sp_recipe_parse("r.yaml", text, strlen(text), sets, n_sets, r, &err);
}

static sp_recipe parse(const char *text)
{
    sp_recipe r;
    cr_assert_eq(parse_with(text, NULL, 0, &r), SP_OK, "%s\n%s", text, err.text);
    return r;
}

Test(recipe, defaults)
{
    sp_recipe r = parse(DATA NETWORK);
    cr_assert(r.method == SP_METHOD_SLTT && r.time_steps == 4 && r.batch == 128 && r.eval_batch == 128);
    cr_assert(r.epochs == 1 && r.seed == 2022 && r.checkpoint_every == 0 && r.log_every == 50);
    cr_assert(r.optimizer == SP_OPTIMIZER_SGD && r.lr > 0.0999 && r.lr < 0.1001 && r.w_mse == 0.0 &&
              r.mse_one_hot);
    cr_assert(r.lr_schedule == SP_LR_COSINE && r.lr_period == 1);
    cr_assert_str_eq(r.name, "unnamed");
    sp_recipe_free(&r);
    r = parse(DATA NETWORK "optimizer: {name: adamw}\nbatch: 7\nepochs: 9\n");
    cr_assert(r.optimizer == SP_OPTIMIZER_ADAMW && fabs(r.lr - 0.001) < 1e-12 && r.eval_batch == 7 &&
              r.lr_period == 9);
    sp_recipe_free(&r);
}

static void expect_refused(const char *text, const char *message)
{
    sp_recipe r;
    cr_assert_eq(parse_with(text, NULL, 0, &r), SP_E_CONFIG, "accepted: %s", text);
    cr_assert(strstr(err.text, message), "\"%s\" lacks \"%s\"", err.text, message);
    cr_assert_null(r.doc.root);
}

Test(recipe, typos_are_refused_with_line_column_and_the_nearest_name)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {DATA NETWORK "bacth: 3\n", "r.yaml:3:1: unknown key \"bacth\""},
        {DATA NETWORK "bacth: 3\n", "did you mean \"batch\"?"},
        {"data: {nmae: synthetic}\n" NETWORK, "r.yaml:1:8: unknown key \"nmae\""},
        {"data: {nmae: synthetic}\n" NETWORK, "did you mean \"name\"?"},
        {DATA NETWORK "schedule:\n  method: slt\n", "r.yaml:4:11: "},
        {DATA NETWORK "schedule:\n  method: slt\n", "did you mean \"sltt\"?"},
        {DATA NETWORK "schedule: {timesteps: 3}\n", "did you mean \"time_steps\"?"},
        {DATA NETWORK "optimizer: {name: admw}\n", "did you mean \"adamw\"?"},
        {DATA NETWORK "optimizer: {momentun: 0.9}\n", "r.yaml:3:13: unknown key \"momentun\""},
        {DATA NETWORK "lr_schedule: {name: cosin}\n", "did you mean \"cosine\"?"},
        {DATA NETWORK "optimizer: {lr: 0.1}\nlr_schedule: {min: 0.2}\n", "r.yaml:4:20: \"min\" is 0.2, the "
                                                                         "smallest"},
        {DATA NETWORK "loss: {class_weights: [0, 0, 0]}\n", "r.yaml:3:23: \"class_weights\" needs a number "
                                                            "above 0"},
        {DATA NETWORK "loss: {name: bce, label_smoothing: 0.1}\n", "r.yaml:3:36: \"label_smoothing\" is of "
                                                                   "classes"},
        {DATA NETWORK "loss: {name: mse, mse: 0.1}\n", "one-hot classes, and loss.name is mse"},
        {DATA NETWORK "loss: {name: mse}\nmeasure: accuracy\n", "r.yaml:4:10: numbers have no accuracy"},
        {DATA NETWORK "lr_schedule: {steps: 3}\n", "r.yaml:3:15: unknown key \"steps\""},
        {DATA NETWORK "loss: {mse_targt: 1}\n", "did you mean \"mse_target\"?"},
        {DATA NETWORK "neuron: {tua: 2}\n", "did you mean \"tau\"?"},
        {DATA "network: [{type: linera, out: 3}]\n", "did you mean \"linear\"?"},
        {DATA "network: [{type: linear, otu: 3}]\n", "did you mean \"out\"?"},
        {DATA "network: {layer: []}\n", "did you mean \"layers\"?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(cases[i].text, cases[i].message);
}

Test(recipe, wrong_types_and_ranges_are_refused_with_their_place)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {DATA NETWORK "batch: many\n", "r.yaml:3:8: "},
        {DATA NETWORK "batch: 0\n", "r.yaml:3:8: "},
        {DATA NETWORK "batch: 1.5\n", "r.yaml:3:8: "},
        {DATA NETWORK "batch: [1]\n", "r.yaml:3:8: "},
        {DATA NETWORK "epochs: -1\n", "r.yaml:3:9: "},
        {DATA NETWORK "seed: 99999999999\n", "r.yaml:3:7: "},
        {DATA NETWORK "optimizer: {lr: fast}\n", "r.yaml:3:17: "},
        {DATA NETWORK "optimizer: {momentum: 2}\n", "r.yaml:3:23: "},
        {DATA NETWORK "optimizer: 3\n", "r.yaml:3:12: \"optimizer\" must be a map of settings"},
        {DATA NETWORK "loss: {mse_target: [1]}\n", "r.yaml:3:20: \"mse_target\" must be one_hot or a number"},
        {DATA NETWORK "schedule: {method: sltt-k, time_steps: 3, backprop_steps: 4}\n", "\"backprop_steps\" "
                                                                                        "is 4, but there are "
                                                                                        "only 3 time steps"},
        {DATA NETWORK "schedule: {method: rate, time_steps: 6, block: 4}\n", "r.yaml:3:48: \"block\" is 4, "
                                                                             "which does not divide the 6 "
                                                                             "time steps"},
        {DATA NETWORK "schedule: {method: sltt, block: 2}\n", "r.yaml:3:33: \"block\" is about rate; sltt "
                                                              "has none"},
        {DATA NETWORK "schedule: {method: sltt-k, backprop_steps: adptive}\n", "r.yaml:3:44: "
                                                                               "\"backprop_steps\" must be a "
                                                                               "number of time steps, or "
                                                                               "adaptive"},
        {DATA NETWORK "schedule: {method: sltt-k, spike_share: 0.5}\n", "r.yaml:3:41: \"spike_share\" is "
                                                                        "about backprop_steps: adaptive"},
        {DATA NETWORK "schedule: {method: sltt-k, backprop_steps: adaptive, spike_share: 1.5}\n", "r.yaml:3:"
                                                                                                  "67: "},
        {DATA NETWORK "schedule: {method: sltt-k, backprop_steps: adaptive, min_steps: 5}\n", "r.yaml:3:65:"
                                                                                              " "},
        {DATA NETWORK "schedule: {method: sltt-k, backprop_steps: adaptive, min_steps: 3, max_steps: 2}\n",
         "r.yaml:3:65: \"min_steps\" is 3, but \"max_steps\" is 2"},
        {DATA NETWORK "monitor: {gradient_similarity: {methods: [rtrl]}}\n", "r.yaml:3:43: a method to "
                                                                             "compare is sltt, sltt-k:K"},
        {DATA NETWORK "monitor: {gradient_similarity: {methods: [\"sltt-k:5\"]}}\n", "sltt-k:5 wants 5 "
                                                                                     "steps"},
        {DATA NETWORK "precision: {compute: fp8}\n", "r.yaml:3:22: "},
        {DATA NETWORK "precision: {compute: 16}\n", "r.yaml:3:22: "},
        {DATA NETWORK "monitor: {gradient_similarity: {methods: [sltt-bf61]}}\n", "r.yaml:3:43: a method "
                                                                                  "to "},
        {DATA NETWORK "plugins: {gemm: [1]}\n", "r.yaml:3:17: \"plugins\" maps an op"},
        {DATA NETWORK "neuron: {tau: 0.5}\n", "r.yaml:3:15: "},
        {NETWORK, "a recipe needs \"data\""},
        {"data: {path: x}\n" NETWORK, "\"data\" needs a \"name\""},
        {DATA, "a recipe needs \"network\""},
        {DATA "network: 3\n", "r.yaml:2:10: \"network\" must be a file name, a list of layers, or a map"},
        {DATA "network: {layers: 3}\n", "r.yaml:2:19: \"layers\" must be a list"},
        {"[1, 2]\n", "a recipe is a map of settings"},
        {"", "a recipe is a map of settings"},
        {DATA NETWORK "batch: 1\nbatch: 2\n", "r.yaml:4:1: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(cases[i].text, cases[i].message);
}

Test(recipe, a_network_file_is_found_beside_the_recipe_and_its_errors_name_both)
{
    sp_recipe r;
    cr_assert_eq(sp_recipe_load(SP_TEST_SOURCE_DIR "/recipes/fashion_mnist_sltt.yaml", NULL, 0, &r, &err),
                 SP_OK, "%s", err.text);
    cr_assert_gt(r.network.n, 5);
    sp_recipe_free(&r);
    const char *text = DATA "network: there_is_no_such.yaml\n";
    sp_status st = sp_recipe_parse("some/folder/r.yaml", text, strlen(text), NULL, 0, &r, &err);
    cr_assert_neq(st, SP_OK);
    cr_assert(strstr(err.text, "some/folder/r.yaml:2:10: network: "), "%s", err.text);
    cr_assert(strstr(err.text, "some/folder/there_is_no_such.yaml"), "%s", err.text);
    cr_assert_neq(sp_recipe_load("/there/is/no/such.yaml", NULL, 0, &r, &err), SP_OK);
    cr_assert(strstr(err.text, "/there/is/no/such.yaml"), "%s", err.text);
}

Test(recipe, set_overrides_and_is_checked_like_the_file)
{
    static const char *const sets[] = {"optimizer.lr=0.25", "schedule.method=bptt", "schedule.time_steps=9",
                                       "network.1.out=17", "batch=5"};
    sp_recipe r;
    cr_assert_eq(parse_with(DATA NETWORK "batch: 3\n", sets, 5, &r), SP_OK, "%s", err.text);
    cr_assert(fabs(r.lr - 0.25) < 1e-12 && r.method == SP_METHOD_BPTT && r.time_steps == 9 && r.batch == 5);
    cr_assert_eq(r.network.layers[1].out, 17);
    sp_recipe_free(&r);
    static const struct {
        const char *set, *message;
    } bad[] = {{"optimizer.lrr=0.1", "did you mean \"lr\"?"},
               {"optimizer.lr=big", "--set"},
               {"batch", "no \"=\""},
               {"network.9.out=1", "--set"},
               {"schedule.time_steps=0", "--set"},
               {"bathc=1", "did you mean \"batch\"?"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(parse_with(DATA NETWORK, &bad[i].set, 1, &r), SP_E_CONFIG, "accepted: %s", bad[i].set);
        cr_assert(strstr(err.text, bad[i].message), "%s: \"%s\" lacks \"%s\"", bad[i].set, err.text,
                  bad[i].message);
    }
}

/* Printed and read back, a recipe prints the same text and means the same. */
static void expect_round_trip(sp_recipe *r)
{
    sp_text a = {0}, b = {0};
    sp_recipe again;
    sp_recipe_print(r, &a);
    cr_assert_eq(a.failed, 0);
    cr_assert_eq(sp_recipe_parse("printed", a.s, strlen(a.s), NULL, 0, &again, &err), SP_OK, "%s\n%s", a.s,
                 err.text);
    sp_recipe_print(&again, &b);
    cr_assert_str_eq(a.s, b.s);
    cr_assert_str_eq(again.name, r->name);
    cr_assert(again.lr == r->lr && again.lr_gamma == r->lr_gamma && again.seed == r->seed &&
              again.eps == r->eps);
    cr_assert(again.method == r->method && again.backprop_steps == r->backprop_steps &&
              again.n_plugins == r->n_plugins);
    for (size_t i = 0; i < r->n_plugins; i++)
        cr_assert_str_eq(again.plugins[i], r->plugins[i]);
    cr_assert((again.plugins_path == NULL) == (r->plugins_path == NULL));
    cr_assert(!r->plugins_path || strcmp(again.plugins_path, r->plugins_path) == 0);
    cr_assert((again.data.path == NULL) == (r->data.path == NULL));
    cr_assert(!r->data.path || strcmp(again.data.path, r->data.path) == 0);
    sp_recipe_free(&again);
    sp_recipe_free(r);
    sp_text_free(&a);
    sp_text_free(&b);
}

Test(recipe, printed_recipes_read_back_to_the_same_text)
{
    static const char *const texts[] = {
        DATA NETWORK,
        "name: \"quotes \\\" and \\\\ and \\t: #\"\ndata: {name: idx, path: \"a b: c\", mean: 0.1307, std: "
        "0.3081}\n" NETWORK,
        DATA NETWORK "schedule: {method: sltt-k, time_steps: 6, backprop_steps: 2}\noptimizer: {name: adamw, "
                     "lr: 1e-3}\n",
        DATA NETWORK "schedule: {method: sltt-k, time_steps: 6, backprop_steps: adaptive, spike_share: 0.3, "
                     "max_steps: 4}\n"
                     "monitor: {gradient_similarity: {every: 7, reference: sltt, methods: [sltt-k, "
                     "\"sltt-k:3\", "
                     "ottt]}}\n",
        DATA NETWORK "monitor: {gradient_similarity: 9}\n",
        DATA NETWORK "loss: {mse: 0.05, mse_target: 0.2}\nlr_schedule: {name: step, every: 2, gamma: "
                     "0.3}\nseed: 0\n",
        DATA NETWORK "neuron: {model: if, surrogate: atan, width: 3, reset: hard, v_reset: -0.1, "
                     "detach_reset: true}\n",
        DATA NETWORK "plugins: {conv.forward: reference, gemm: gemm_clblast, \"*\": "
                     "reference}\nplugins_path: \"x: y\"\n",
        DATA NETWORK "plugins: {neuron.forward: \"cpu_neuron:neuron_forward__rows16\"}\nlog_every: "
                     "1\ncheckpoint_every: 7\n",
        "data: {name: synthetic, frames: 3, classes: 3, height: 9, width: 5, channels: 2, count: 77, "
        "train_limit: 5}\n" NETWORK,
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        sp_recipe r = parse(texts[i]);
        expect_round_trip(&r);
    }
}

Test(recipe, recipes_of_the_repository_print_and_read_back)
{
    static const char *const files[] = {"fashion_mnist_sltt", "fashion_mnist_sltt_1", "fashion_mnist_bptt",
                                        "synthetic_tiny"};
    for (size_t i = 0; i < 4; i++) {
        sp_recipe r;
        char *path = sp_format("%s/recipes/%s.yaml", SP_TEST_SOURCE_DIR, files[i]);
        cr_assert_eq(sp_recipe_load(path, NULL, 0, &r, &err), SP_OK, "%s", err.text);
        expect_round_trip(&r);
        sp_free(path);
    }
}

Test(recipe, every_allocation_may_fail)
{
    static const char *const sets[] = {"optimizer.lr=0.25"};
    const char *text = DATA NETWORK "plugins: {gemm: reference}\n";
    for (int64_t k = 1;; k++) {
        sp_recipe r;
        sp_mem_fail_at(k);
        sp_status st = parse_with(text, sets, 1, &r);
        sp_mem_fail_at(0);
        if (st == SP_OK) {
            cr_assert_gt(k, 20);
            sp_recipe_free(&r);
            return;
        }
        cr_assert_eq(st, SP_E_MEMORY, "allocation %lld: %s", (long long)k, err.text);
    }
}

Test(recipe, learning_rates_follow_pytorchs_schedulers)
{
    sp_recipe r = parse(DATA NETWORK "epochs: 4\noptimizer: {lr: 0.1}\nlr_schedule: {name: cosine, min: "
                                     "0.02}\n");
    static const double cosine[] = {0.1, 0.08828427124746191, 0.06, 0.03171572875253810, 0.02};
    for (int i = 0; i < 5; i++)
        cr_assert_float_eq(sp_recipe_lr(&r, NULL, i, 3, 10), cosine[i], 1e-12, "epoch %d: %.17g", i,
                           sp_recipe_lr(&r, NULL, i, 3, 10));
    sp_recipe_free(&r);
    r = parse(DATA NETWORK "epochs: 4\noptimizer: {lr: 0.1}\nlr_schedule: {name: cosine, per: batch}\n");
    cr_assert_float_eq(sp_recipe_lr(&r, NULL, 1, 0, 8), 0.08535533905932738, 1e-12);
    cr_assert_float_eq(sp_recipe_lr(&r, NULL, 1, 4, 8), 0.06913417161825449,
                       1e-12); /* half an epoch further */
    sp_recipe_free(&r);
    r = parse(DATA NETWORK "epochs: 9\noptimizer: {lr: 0.1}\nlr_schedule: {name: step, every: 3, gamma: "
                           "0.5}\n");
    static const double step[] = {0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025};
    for (int i = 0; i < 7; i++)
        cr_assert_float_eq(sp_recipe_lr(&r, NULL, i, 5, 10), step[i], 1e-15);
    sp_recipe_free(&r);
    r = parse(DATA NETWORK "epochs: 9\noptimizer: {lr: 0.3}\nlr_schedule: {name: constant}\n");
    cr_assert(fabs(sp_recipe_lr(&r, NULL, 0, 0, 10) - 0.3) < 1e-15 &&
              fabs(sp_recipe_lr(&r, NULL, 8, 9, 10) - 0.3) < 1e-15);
    sp_recipe_free(&r);
}

/* Every set of K of T steps is equally likely: the chi-squared statistic over all 10 sets of 2 of 5. */
Test(draw, is_uniform_over_all_sets_of_k_steps)
{
    enum { DRAWS = 20000, SETS = 10 };
    sp_recipe r = parse(DATA NETWORK "schedule: {method: sltt-k, time_steps: 5, backprop_steps: 2}\n");
    int seen[32] = {0}, sets = 0;
    for (int64_t i = 0; i < DRAWS; i++) {
        uint8_t mask[5];
        int bits = 0, ones = 0;
        sp_session_draw(&r, i, mask);
        for (int t = 0; t < 5; t++) {
            cr_assert(mask[t] <= 1);
            ones += mask[t];
            bits |= mask[t] << t;
        }
        cr_assert_eq(ones, 2);
        seen[bits]++;
    }
    double chi2 = 0, expected = (double)DRAWS / SETS;
    for (int k = 0; k < 32; k++)
        if (seen[k]) {
            sets++;
            chi2 += (seen[k] - expected) * (seen[k] - expected) / expected;
        }
    cr_assert_eq(sets, SETS);
    cr_assert_lt(chi2, 27.9, "chi-squared %g with 9 degrees of freedom",
                 chi2); /* p = 0.001; the draw is a fixed one */
    sp_recipe_free(&r);
}

Test(draw, is_a_pure_function_of_seed_and_iteration)
{
    sp_recipe a = parse(DATA NETWORK "schedule: {method: sltt-k, time_steps: 50, backprop_steps: 10}\nseed: "
                                     "1\n");
    sp_recipe b = parse(DATA NETWORK "schedule: {method: sltt-k, time_steps: 50, backprop_steps: 10}\nseed: "
                                     "2\n");
    uint8_t x[50], y[50];
    sp_session_draw(&a, 123456789, x);
    for (int64_t i = 0; i < 5; i++)
        sp_session_draw(&a, i, y); /* nothing is kept between draws */
    sp_session_draw(&a, 123456789, y);
    cr_assert_eq(memcmp(x, y, 50), 0);
    sp_session_draw(&a, 123456790, y);
    cr_assert_neq(memcmp(x, y, 50), 0);
    sp_session_draw(&b, 123456789, y);
    cr_assert_neq(memcmp(x, y, 50), 0);
    sp_recipe_free(&a);
    sp_recipe_free(&b);
}

Test(draw, other_methods_take_every_step)
{
    static const char *const methods[] = {"sltt", "bptt", "ottt"};
    for (size_t i = 0; i < 3; i++) {
        char *text = sp_format(DATA NETWORK "schedule: {method: %s, time_steps: 7}\n", methods[i]);
        sp_recipe r = parse(text);
        uint8_t mask[7];
        sp_session_draw(&r, 3, mask);
        for (int t = 0; t < 7; t++)
            cr_assert_eq(mask[t], 1);
        sp_recipe_free(&r);
        sp_free(text);
    }
}
