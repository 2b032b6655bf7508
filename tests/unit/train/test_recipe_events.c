/* The "events" and "encode" settings of a recipe: read, refused with a place, printed back to the same. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "train/recipe.h"

#define NETWORK "network: [{type: flatten}, {type: linear, out: 4}, {type: lif}, {type: linear, out: 3}]\n"

static sp_error err;

static sp_status parse(const char *text, sp_recipe *r)
{
    memset(&err, 0, sizeof err);
    return sp_recipe_parse("r.yaml", text, strlen(text), NULL, 0, r, &err);
}

static void check_print(const sp_recipe *r)
{
    sp_text t = {0}, again = {0};
    sp_recipe copy;
    sp_recipe_print(r, &t);
    cr_assert_eq(parse(t.s, &copy), SP_OK, "%s\n%s", err.text, t.s);
    cr_assert_eq(memcmp(&r->data.events, &copy.data.events, sizeof copy.data.events), 0, "%s", t.s);
    cr_assert_eq(r->data.encoding, copy.data.encoding);
    cr_assert_eq(r->data.frames, copy.data.frames);
    sp_recipe_print(&copy, &again);
    cr_assert_str_eq(t.s, again.s);
    sp_text_free(&t);
    sp_text_free(&again);
    sp_recipe_free(&copy);
}

Test(recipe_events, read_and_printed)
{
    sp_recipe r;
    cr_assert_eq(parse("data:\n  name: cifar10-dvs\n  frames: 10\n  size: 48\n  augment: [flip, roll]\n  "
                       "events: {by: count-equal, "
                       "orientation: spikingjelly, resize: pil, normalise: max, split: 0.8, window: 0, "
                       "cache: false}\n" NETWORK,
                       &r),
                 SP_OK, "%s", err.text);
    cr_assert(r.data.events.by == SP_BY_COUNT_EQUAL && r.data.events.orientation == SP_ORIENT_SPIKINGJELLY);
    cr_assert(r.data.events.resize == SP_RESIZE_PIL && r.data.events.normalise == SP_NORMALISE_MAX);
    cr_assert(r.data.events.no_cache && r.data.events.split > 0.79 && r.data.frames == 10 &&
              r.data.size == 48);
    check_print(&r);
    sp_recipe_free(&r);
    cr_assert_eq(parse("data: {name: shd, events: {by: time, window: 1.25}}\n" NETWORK, &r), SP_OK, "%s",
                 err.text);
    cr_assert(r.data.events.by == SP_BY_TIME && r.data.events.window > 1.24 && !r.data.events.no_cache);
    check_print(&r);
    sp_recipe_free(&r);
    cr_assert_eq(parse("data: {name: n-mnist}\n" NETWORK, &r), SP_OK, "%s", err.text);
    check_print(&r);
    sp_recipe_free(&r);
}

Test(recipe_events, encodings)
{
    static const char *const texts[] = {"data: {name: mnist, encode: rate}\n" NETWORK,
                                        "data: {name: synthetic, encode: latency, frames: 6}\n" NETWORK,
                                        "data: {name: mnist}\n" NETWORK};
    static const int expect[] = {SP_ENCODE_RATE, SP_ENCODE_LATENCY, SP_ENCODE_NONE};
    for (int i = 0; i < 3; i++) {
        sp_recipe r;
        cr_assert_eq(parse(texts[i], &r), SP_OK, "%s", err.text);
        cr_assert_eq(r.data.encoding, expect[i]);
        check_print(&r);
        sp_recipe_free(&r);
    }
}

Test(recipe_events, refused_with_a_place)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"data: {name: mnist, events: {by: time}}\n", "r.yaml:1:29: \"events\" is about event cameras"},
        {"data: {name: shd, events: [by]}\n", "\"events\" must be a map"},
        {"data: {name: shd, events: {bye: time}}\n", "did you mean \"by\"?"},
        {"data: {name: shd, events: {by: tme}}\n", "did you mean \"time\"?"},
        {"data: {name: cifar10-dvs, events: {split: 2}}\n", "split"},
        {"data: {name: cifar10-dvs, events: {cache: maybe}}\n", "cache"},
        {"data: {name: mnist, encode: raet}\n", "did you mean \"rate\"?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        sp_recipe r;
        snprintf(text, sizeof text, "%s" NETWORK, cases[i].text);
        cr_assert_eq(parse(text, &r), SP_E_CONFIG, "%s", text);
        cr_assert_not_null(strstr(err.text, cases[i].message), "no \"%s\" in \"%s\"", cases[i].message,
                           err.text);
    }
}
