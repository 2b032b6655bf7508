/* The "data" section of a recipe: every form of augment, mean and std, what is refused, and the round trip.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "train/session.h"

static sp_status parse(const char *data, sp_recipe *r, sp_error *err)
{
    char text[2048];
    snprintf(text, sizeof text,
             "data: {name: cifar10%s%s}\nnetwork: [{type: flatten}, {type: linear, out: 10}]\n",
             *data ? ", " : "", data);
    memset(err, 0, sizeof *err);
    return sp_recipe_parse("r.yaml", text, strlen(text), NULL, 0, r, err);
}

Test(recipe_data, augment_is_a_list_of_names_or_a_map)
{
    static const struct {
        const char *text;
        sp_augment expect;
    } cases[] = {
        {"", {.crop = 0}},
        {"augment: null", {.crop = 0}},
        {"augment: []", {.crop = 0}},
        {"augment: [crop, cutout, flip]", {.crop = 4, .cutout = 0.5, .flip = 0.5}},
        {"augment: [resized_crop, flip]", {.resized_crop = 0.08, .flip = 0.5}},
        {"augment: {crop: 2, flip: 1.0, cutout: true, roll: 5}",
         {.crop = 2, .flip = 1, .cutout = 0.5, .roll = 5}},
        {"augment: {flip: false, crop: 0, resized_crop: 0.35}", {.resized_crop = 0.35}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_recipe r;
        sp_error err;
        cr_assert_eq(parse(cases[i].text, &r, &err), SP_OK, "%s", err.text);
        const sp_augment *a = &r.data.augment, *b = &cases[i].expect;
        cr_assert(a->resized_crop == b->resized_crop && a->crop == b->crop && a->cutout == b->cutout &&
                      a->flip == b->flip && a->roll == b->roll,
                  "%s", cases[i].text);
        sp_recipe_free(&r);
    }
}

Test(recipe_data, refuses_with_the_place)
{
    static const char *const bad[][2] = {
        {"augment: flip", "must be a list"},
        {"augment: [flop]", "unknown augmentation \"flop\""},
        {"augment: [4]", "lists names"},
        {"augment: {flop: 1}", "unknown augmentation"},
        {"augment: {crop: 2.5}", "whole number of pixels"},
        {"augment: {crop: -1}", "\"crop\""},
        {"augment: {flip: 1.5}", "\"flip\""},
        {"augment: {flip: .nan}", "\"flip\""},
        {"mean: [1, 2, 3, 4, 5]", "a list of 1 to 4"},
        {"mean: []", "a list of 1 to 4"},
        {"mean: [a]", "\"mean\" must be a number"},
        {"std: [0.5, 0]", "\"std\" must be a number"},
        {"std: [.inf]", "\"std\" must be a number"},
        {"std: 0", "std"},
        {"threads: 65", "threads"},
        {"size: 0", "size"},
        {"agument: [flip]", "did you mean \"augment\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sp_recipe r;
        sp_error err;
        cr_assert_eq(parse(bad[i][0], &r, &err), SP_E_CONFIG, "%s", bad[i][0]);
        cr_assert(strstr(err.text, "r.yaml:1:") && strstr(err.text, bad[i][1]), "%s: %s", bad[i][0],
                  err.text);
    }
}

Test(recipe_data, prints_what_parses_to_the_same)
{
    static const char *const texts[] = {"", "mean: 0.1, std: 0.3",
                                        "mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.2010], "
                                        "augment: [crop, cutout, flip]",
                                        "augment: {resized_crop: 0.1, roll: 3}, size: 176, resize: 200, "
                                        "threads: 7, train_limit: 5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        sp_recipe a, b;
        sp_error err;
        sp_text once = {0}, twice = {0};
        cr_assert_eq(parse(texts[i], &a, &err), SP_OK, "%s", err.text);
        sp_recipe_print(&a, &once);
        memset(&err, 0, sizeof err);
        cr_assert_eq(sp_recipe_parse("again", once.s, once.n, NULL, 0, &b, &err), SP_OK, "%s\n%s", err.text,
                     once.s);
        sp_recipe_print(&b, &twice);
        cr_assert_str_eq(once.s, twice.s);
        cr_assert(memcmp(a.data.means, b.data.means, sizeof a.data.means) == 0 &&
                  a.data.n_means == b.data.n_means);
        cr_assert(memcmp(a.data.stds, b.data.stds, sizeof a.data.stds) == 0 &&
                  a.data.n_stds == b.data.n_stds);
        cr_assert(a.data.size == b.data.size && a.data.resize == b.data.resize &&
                  a.data.threads == b.data.threads);
        sp_recipe_free(&a);
        sp_recipe_free(&b);
        sp_text_free(&once);
        sp_text_free(&twice);
    }
}

Test(recipe_data, reaches_the_data_set)
{
    sp_recipe r;
    sp_error err;
    sp_dataset *ds = NULL;
    cr_assert_eq(parse("path: /nonexistent, augment: [roll]", &r, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_session_dataset(&r, true, &ds, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "roll cannot be done"), "%s", err.text);
    sp_recipe_free(&r);
    cr_assert_eq(parse("path: /nonexistent, mean: [1, 2]", &r, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_session_dataset(&r, true, &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "data_batch_1.bin"), "%s", err.text);
    sp_recipe_free(&r);
}
