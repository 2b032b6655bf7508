/* Affine maps, colours, erased boxes, dropped and moved events: against results by hand, and the same for the
 * same (seed, epoch, sample) whatever else was drawn. */
#include <math.h>
#include "base/mem.h"
#include "data/augment.h"
#include "data/events.h"
#include "data/loader.h"
#include "support.h"

static const sp_image_draw as_it_is = {.scale = 1, .brightness = 1, .contrast = 1, .saturation = 1};

static void expect_warp(int height, int width, sp_image_draw d, const float *from, const float *expect)
{
    sp_dataset_info i = {.height = height, .width = width, .channels = 1};
    float to[64];
    sp_image_warp(&i, &d, from, to);
    for (int k = 0; k < height * width; k++)
        cr_assert_float_eq(to[k], expect[k], 1e-6, "%d: %g, not %g", k, (double)to[k], (double)expect[k]);
}

Test(augment_image, affine_maps_by_hand)
{
    static const float nine[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    sp_image_draw d = as_it_is;
    expect_warp(3, 3, d, nine, nine);
    d.rotation = 90; /* counter-clockwise: the right column becomes the first row */
    expect_warp(3, 3, d, nine, (const float[]){3, 6, 9, 2, 5, 8, 1, 4, 7});
    d.rotation = 180;
    expect_warp(3, 3, d, nine, (const float[]){9, 8, 7, 6, 5, 4, 3, 2, 1});
    d = as_it_is, d.dx = 1, d.dy = -1; /* right and up, zeros come in */
    expect_warp(3, 3, d, nine, (const float[]){0, 4, 5, 0, 7, 8, 0, 0, 0});
    d = as_it_is, d.dx = 0.5; /* between two pixels: their mean */
    expect_warp(1, 3, d, nine, (const float[]){0.5f, 1.5f, 2.5f});
    d = as_it_is, d.scale = 2; /* -1, 0, 1 are taken from -0.5, 0, 0.5 */
    expect_warp(1, 3, d, nine, (const float[]){1.5f, 2, 2.5f});
    d = as_it_is, d.shear = 45; /* a row below the middle moves to the right by its distance from it */
    expect_warp(3, 3, d, nine, (const float[]){2, 3, 0, 4, 5, 6, 0, 7, 8});
}

Test(augment_image, colours_by_hand)
{
    sp_dataset_info i = {.height = 1, .width = 2, .channels = 3};
    const float from[6] = {1, 0, 0, 0.5f, 0.5f, 0.5f};
    float x[6];
    sp_image_draw d = as_it_is;
    static const struct {
        double brightness, contrast, saturation, hue;
        float expect[6];
    } cases[] = {{0.5, 1, 1, 0, {0.5f, 0, 0, 0.25f, 0.25f, 0.25f}},
                 {2, 1, 1, 0, {1, 0, 0, 1, 1, 1}}, /* cut to 1 */
                 /* greys 0.299 and 0.5, mean 0.3995 */
                 {1, 0.5, 1, 0, {0.69975f, 0.19975f, 0.19975f, 0.44975f, 0.44975f, 0.44975f}},
                 {1, 1, 0, 0, {0.299f, 0.299f, 0.299f, 0.5f, 0.5f, 0.5f}},
                 {1, 1, 0.5, 0, {0.6495f, 0.1495f, 0.1495f, 0.5f, 0.5f, 0.5f}},
                 {1, 1, 1, 1.0 / 3, {0, 1, 0, 0.5f, 0.5f, 0.5f}}, /* red turns to green */
                 {1, 1, 1, -1.0 / 3, {0, 0, 1, 0.5f, 0.5f, 0.5f}},
                 {1, 1, 1, 1.0 / 12, {1, 0.5f, 0, 0.5f, 0.5f, 0.5f}}}; /* orange */
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        d.brightness = cases[k].brightness, d.contrast = cases[k].contrast;
        d.saturation = cases[k].saturation, d.hue = cases[k].hue;
        memcpy(x, from, sizeof x);
        sp_image_recolour(&i, &d, x);
        for (int c = 0; c < 6; c++)
            cr_assert_float_eq(x[c], cases[k].expect[c], 1e-6, "case %zu, %d: %g", k, c, (double)x[c]);
    }
}

Test(augment_image, draws_stay_in_their_range)
{
    sp_augment a = {.rotation = 30,
                    .translate = 0.25,
                    .scale = 0.5,
                    .shear = 20,
                    .brightness = 0.4,
                    .hue = 0.1,
                    .erase = 0.5};
    sp_dataset_info i = {.height = 40, .width = 20, .channels = 3};
    sp_rng r = sp_rng_make(3, 4);
    int erased = 0;
    double most = 0;
    for (int k = 0; k < 2000; k++) {
        sp_image_draw d = sp_image_draw_from(&a, &i, &r);
        cr_assert(fabs(d.rotation) <= 30 && fabs(d.dx) <= 5 && fabs(d.dy) <= 10 && d.scale >= 0.5 &&
                  d.scale <= 1.5);
        cr_assert(fabs(d.shear) <= 20 && fabs(d.brightness - 1) <= 0.4 && d.contrast == 1 &&
                  fabs(d.hue) <= 0.1);
        most = fmax(most, fabs(d.rotation));
        if (!d.bottom)
            continue;
        erased++;
        double share = (d.bottom - d.top) * (d.right - d.left) / 800.0;
        cr_assert(d.top >= 0 && d.left >= 0 && d.bottom <= 40 && d.right <= 20 && share > 0.01 &&
                  share < 0.36);
    }
    cr_assert(erased > 900 && erased < 1100, "%d", erased);
    cr_assert_gt(most, 29.5);
}

/* ---- in a data set ---- */

static sp_dataset *open_images(sp_dataset_options o, const char *root)
{
    sp_dataset *ds;
    sp_error err;
    o.name = "images", o.path = root, o.size = o.resize = 12, o.mean = 0.5, o.std = 0.25, o.split = 0.5;
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    return ds;
}

static void get(sp_dataset *ds, sp_sample_request want, float *x)
{
    int32_t label;
    sp_error err = {0};
    cr_assert_eq(ds->get(ds, want, x, &label, &err), SP_OK, "%s", err.text);
}

Test(augment_image, depends_on_seed_epoch_sample_and_repeat_alone)
{
    enum { N = 12 * 12 * 3 };
    static float x[N], y[N], plain[N];
    char root[1024], command[8192];
    sp_augment a = {.rotation = 20, .brightness = 0.3, .erase = 1};
    sp_dataset_options o = {.train = 1, .augment = a, .seed = 5};
    make_folder(root, sizeof root, "augment");
    snprintf(command, sizeof command,
             "mkdir '%s/a' '%s/b' && for i in 1 2; do cp '%s/tests/fuzz/seeds/png/grey.png' '%s/a/'$i.png; "
             "cp "
             "'%s/tests/fuzz/seeds/png/bits.png' '%s/b/'$i.png; done",
             root, root, SP_TEST_SOURCE_DIR, root, SP_TEST_SOURCE_DIR, root);
    cr_assert_eq(system(command), 0);
    sp_dataset *ds = open_images(o, root), *again = open_images(o, root);
    get(ds, (sp_sample_request){.index = 1, .epoch = 3}, x);
    get(again, (sp_sample_request){.index = 0, .epoch = 9}, y);
    get(again, (sp_sample_request){.index = 1, .epoch = 3}, y);
    cr_assert_arr_eq(x, y, sizeof x);
    int zeros = 0;
    for (int k = 0; k < N; k++)
        zeros += x[k] == 0.0f;
    cr_assert(zeros >= 3 && zeros < N, "a box of zeros after normalisation");
    get(again, (sp_sample_request){.index = 1, .epoch = 4}, y);
    cr_assert(memcmp(x, y, sizeof x) != 0);
    get(again, (sp_sample_request){.index = 1, .epoch = 3, .repeat = 1}, y);
    cr_assert(memcmp(x, y, sizeof x) != 0);
    sp_dataset_close(&again);
    sp_dataset_close(&ds);
    /* Without a change of the image normalisation is that of the reader, but for rounding. */
    o.augment = (sp_augment){.erase = 1e-12};
    ds = open_images(o, root);
    o.augment = (sp_augment){0};
    again = open_images(o, root);
    get(ds, (sp_sample_request){.index = 0}, x);
    get(again, (sp_sample_request){.index = 0}, plain);
    for (int k = 0; k < N; k++)
        cr_assert_float_eq(x[k], plain[k], 1e-6);
    sp_dataset_close(&again);
    sp_dataset_close(&ds);
    remove_folder(root);
}

Test(augment_image, what_cannot_be_done_is_refused)
{
    static const struct {
        sp_dataset_options o;
        const char *expect;
    } cases[] = {{{.name = "synthetic", .train = 1, .augment = {.rotation = 5}}, "rotation cannot be done"},
                 {{.name = "n-mnist", .train = 1, .frames = 2, .path = "/nowhere", .augment = {.hue = 0.1}},
                  "hue cannot be done"},
                 {{.name = "shd", .train = 1, .frames = 2, .path = "/nowhere", .augment = {.shear = 5}},
                  "shear cannot be done"},
                 {{.name = "mnist", .train = 1, .path = "/nowhere", .augment = {.drop = 0.5}},
                  "drop cannot be done"},
                 {{.name = "mnist", .train = 1, .path = "/nowhere", .augment = {.scale = 0.95}},
                  "choose 0 to 0.9"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        sp_dataset *ds;
        sp_error err;
        cr_assert_eq(open_set(cases[k].o, &ds, &err), SP_E_CONFIG, "case %zu", k);
        cr_assert_not_null(strstr(err.text, cases[k].expect), "case %zu: %s", k, err.text);
    }
}

/* ---- events ---- */

enum { EVENTS = 4000 };

static sp_events made_events(void)
{
    sp_events e = {0};
    cr_assert_eq(sp_events_reserve(&e, EVENTS, "test", NULL), SP_OK);
    for (int k = 0; k < EVENTS; k++)
        e.items[e.n++] = (sp_event){.t = 1000 * (int64_t)k, .x = (uint16_t)(k % 30), .y = 1, .p = k % 2};
    return e;
}

Test(augment_image, events_are_dropped_and_moved)
{
    sp_augment drop = {.drop = 0.25}, jitter = {.time_jitter = 2000}, all = {.drop = 1};
    sp_sample_request want = {.index = 7, .epoch = 2}, other = {.index = 8, .epoch = 2};
    sp_events a = made_events(), b = made_events(), c = made_events(), d = made_events();
    sp_events_augment(&a, &drop, 11, want);
    sp_events_augment(&b, &drop, 11, want);
    sp_events_augment(&c, &drop, 11, other);
    cr_assert(a.n == b.n && memcmp(a.items, b.items, a.n * sizeof *a.items) == 0);
    cr_assert(a.n > 0.70 * EVENTS && a.n < 0.80 * EVENTS, "%zu", a.n);
    cr_assert(c.n != a.n || memcmp(a.items, c.items, a.n * sizeof *a.items) != 0, "another sample, other "
                                                                                  "events");
    for (size_t k = 1; k < a.n; k++)
        cr_assert_gt(a.items[k].t, a.items[k - 1].t, "the rest stays as it was");
    sp_events_augment(&d, &jitter, 11, want);
    cr_assert_eq(d.n, EVENTS);
    double moved = 0;
    for (size_t k = 1; k < d.n; k++)
        cr_assert_geq(d.items[k].t, d.items[k - 1].t, "in the order of time");
    for (size_t k = 0; k < d.n; k++)
        moved += fabs((double)d.items[k].t - 1000.0 * (double)k) / EVENTS;
    cr_assert(moved > 100 && moved < 3000, "%g", moved);
    sp_events_augment(&b, &all, 11, want);
    cr_assert_eq(b.n, 0);
    sp_events_free(&a);
    sp_events_free(&b);
    sp_events_free(&c);
    sp_events_free(&d);
}
