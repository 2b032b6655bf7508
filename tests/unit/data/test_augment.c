/* Augmentation: against pad, crop, paste and mirror done one after the other; distributions of what is drawn;
 * the same result whatever the threads; normalisation by channel. */
#include <math.h>
#include "data/augment.h"
#include "data/loader.h"
#include "support.h"

static sp_pixels pixels(int height, int width, int channels, sp_augment a)
{
    sp_dataset_options o = {.name = "test", .train = 1, .std = 1.0, .augment = a, .seed = 5};
    sp_pixels p;
    sp_error err = {0};
    cr_assert_eq(sp_pixels_init(&p, &o, height, width, channels, &err), SP_OK, "%s", err.text);
    return p;
}

/* The published order of operations, each on whole images: zeros around, a part of the old size, paste,
 * mirror. */
static void by_steps(const sp_pixels *p, const uint8_t *in, const sp_pixel_draw *d, uint8_t *out)
{
    int h = p->height, w = p->width, n = p->channels, pad = (int)p->augment.crop, wide = w + 2 * pad;
    uint8_t *padded = calloc((size_t)((h + 2 * pad) * wide), (size_t)n);
    for (int y = 0; y < h; y++)
        memcpy(padded + ((y + pad) * wide + pad) * n, in + y * w * n, (size_t)(w * n));
    for (int y = 0; y < h; y++)
        memcpy(out + y * w * n, padded + ((y + pad + d->dy) * wide + pad + d->dx) * n, (size_t)(w * n));
    for (int y = d->top; d->cut && y < d->bottom; y++)
        for (int x = d->left; x < d->right; x++)
            for (int c = 0; c < n; c++)
                out[(y * w + x) * n + c] = c ? 0 : d->colour;
    for (int y = 0; d->flip && y < h; y++)
        for (int x = 0; x < w / 2; x++)
            for (int c = 0; c < n; c++) {
                uint8_t *a = &out[(y * w + x) * n + c], *b = &out[(y * w + w - 1 - x) * n + c], t = *a;
                *a = *b;
                *b = t;
            }
    free(padded);
}

Test(augment, is_the_published_order_of_operations)
{
    static const struct {
        int height, width, channels;
        sp_augment a;
    } cases[] = {{32, 32, 3, {.crop = 4, .cutout = 0.5, .flip = 0.5}},
                 {28, 28, 1, {.crop = 2, .cutout = 1}},
                 {9, 31, 3, {.crop = 7, .cutout = 1, .flip = 0.5}},
                 {5, 4, 2, {.flip = 0.5}},
                 {6, 6, 4, {.crop = 3}},
                 {3, 40, 3, {.cutout = 1}}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int h = cases[k].height, w = cases[k].width, n = cases[k].channels, items = h * w * n;
        sp_pixels p = pixels(h, w, n, cases[k].a);
        uint8_t *in = malloc((size_t)items), *planar = malloc((size_t)items), *want = malloc((size_t)items);
        float *out = malloc((size_t)items * sizeof *out);
        for (int i = 0; i < items; i++) {
            in[i] = (uint8_t)(i * 29 + 1);
            planar[i % n * h * w + i / n] = in[i];
        }
        for (size_t i = 0; i < 300; i++) {
            sp_rng r = sp_augment_rng(p.seed, (sp_sample_request){.index = i, .epoch = 3});
            sp_pixel_draw d = sp_pixels_draw(&p, &r);
            by_steps(&p, in, &d, want);
            for (int layout = 0; layout < 2; layout++) {
                sp_pixel_source from = layout ? (sp_pixel_source){planar, 1, (size_t)(h * w), 0}
                                              : (sp_pixel_source){in, (size_t)n, 1, 0};
                sp_pixels_write(&p, from, &d, out);
                for (int j = 0; j < items; j++)
                    cr_assert_eq(out[j], (float)(want[j] / 255.0), "case %zu draw %zu item %d", k, i, j);
            }
        }
        free(in), free(planar), free(want), free(out);
    }
}

Test(augment, draws_have_the_published_distributions)
{
    enum { N = 40000 };
    sp_pixels p = pixels(32, 32, 3, (sp_augment){.crop = 4, .cutout = 0.5, .flip = 0.5});
    int dy[9] = {0}, dx[9] = {0}, cut = 0, flip = 0, colours[4] = {0}, smallest = 1024, largest = 0, wide = 0;
    double area = 0.0;
    for (size_t i = 0; i < N; i++) {
        sp_rng r = sp_augment_rng(p.seed, (sp_sample_request){.index = i});
        sp_pixel_draw d = sp_pixels_draw(&p, &r);
        dy[d.dy + 4]++;
        dx[d.dx + 4]++;
        flip += d.flip;
        cut += d.cut;
        if (d.cut) {
            int h = d.bottom - d.top, w = d.right - d.left;
            cr_assert(d.top >= 0 && d.left >= 0 && d.bottom <= 32 && d.right <= 32 && h > 0 && w > 0);
            area += h * w;
            smallest = h * w < smallest ? h * w : smallest;
            largest = h * w > largest ? h * w : largest;
            colours[d.colour / 64]++;
            wide += w > h;
        }
    }
    for (int k = 0; k < 9; k++)
        cr_assert(abs(dy[k] - N / 9) < 300 && abs(dx[k] - N / 9) < 300, "offset %d: %d, %d", k - 4, dy[k],
                  dx[k]);
    cr_assert(abs(flip - N / 2) < 500 && abs(cut - N / 2) < 500, "%d %d", flip, cut);
    for (int k = 0; k < 4; k++)
        cr_assert(abs(colours[k] - cut / 4) < 300);
    /* Mean area share 0.21 of 1024, less what two roundings down take; 0.4 at most. Aspect h/w uniform in
     * 0.4..2.5: under a third of the boxes are wider than high. */
    cr_assert(area / cut > 185 && area / cut < 215, "%f", area / cut);
    cr_assert(smallest <= 20 && smallest >= 9 && largest <= 409 && largest > 385, "%d %d", smallest, largest);
    cr_assert(wide > cut / 5 && wide < cut / 3, "%d of %d", wide, cut);
}

Test(augment, is_a_pure_function_of_seed_epoch_and_index)
{
    sp_pixels p = pixels(32, 32, 3, (sp_augment){.crop = 4, .cutout = 0.5, .flip = 0.5});
    int same[3] = {0};
    for (size_t i = 0; i < 500; i++) {
        sp_sample_request want[] = {{i, 2, 0}, {i, 2, 0}, {i, 3, 0}, {i + 1, 2, 0}};
        sp_pixel_draw d[5];
        for (int k = 0; k < 5; k++) {
            sp_rng r = sp_augment_rng(k == 4 ? 6 : 5, want[k % 4]);
            d[k] = sp_pixels_draw(&p, &r);
        }
        cr_assert(d[0].dy == d[1].dy && d[0].dx == d[1].dx && d[0].flip == d[1].flip &&
                  d[0].cut == d[1].cut && d[0].left == d[1].left && d[0].top == d[1].top &&
                  d[0].colour == d[1].colour);
        for (int k = 0; k < 3; k++)
            same[k] += d[0].dy == d[k + 2].dy && d[0].dx == d[k + 2].dx && d[0].flip == d[k + 2].flip;
    }
    for (int k = 0; k < 3; k++)
        cr_assert_lt(same[k], 15, "%d of 500 draws agree (1 of 162 by chance)", same[k]);
}

Test(augment, parts_lie_inside_and_cover_the_range)
{
    static const int sizes[][2] = {{300, 400}, {1, 1},      {1, 500},    {500, 1},
                                   {7, 3},     {333, 1000}, {1000, 333}, {32768, 2}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int h = sizes[k][0], w = sizes[k][1];
        double least = 1.0, most = 0.0;
        for (size_t i = 0; i < 3000; i++) {
            sp_rng r = sp_augment_rng(1, (sp_sample_request){.index = i, .epoch = k});
            sp_part part = sp_part_draw(h, w, 0.08, &r);
            double share = (double)part.height * part.width / ((double)h * w),
                   ratio = (double)part.width / part.height;
            cr_assert(part.height >= 1 && part.width >= 1 && part.top >= 0 && part.left >= 0 &&
                          part.top + part.height <= h && part.left + part.width <= w,
                      "%d x %d", h, w);
            cr_assert(k > 0 || (ratio > 0.74 && ratio < 1.35), "%f", ratio);
            least = fmin(least, share);
            most = fmax(most, share);
        }
        if (k == 0)
            cr_assert(least < 0.09 && least > 0.07 && most > 0.95, "%f %f", least, most);
    }
    for (size_t i = 0; i < 200;
         i++) { /* no part of this aspect fits: the middle, cut to the nearest aspect */
        sp_rng r = sp_augment_rng(1, (sp_sample_request){.index = i});
        sp_part part = sp_part_draw(10, 1000, 0.9, &r);
        cr_assert(part.height == 10 && part.width == 13 && part.top == 0 && part.left == 493, "%d at %d",
                  part.width, part.left);
    }
}

Test(augment, normalises_by_channel)
{
    sp_dataset_options o = {.name = "test", .means = {0.1, 0.2, 0.3}, .n_means = 3, .mean = 9, .std = 0.5};
    sp_normal n;
    sp_pixels p;
    sp_error err = {0};
    cr_assert_eq(sp_normal_init(&n, &o, 3, &err), SP_OK);
    cr_assert(n.n == 3 && n.mean[2] == 0.3f && n.scale[2] == 2.0f);
    cr_assert_eq(sp_pixels_init(&p, &o, 1, 1, 3, &err), SP_OK);
    cr_assert_eq(p.value[1][255], (float)((1.0 - 0.2) / 0.5));
    cr_assert_eq(sp_normal_init(&n, &o, 2, &err), SP_E_CONFIG);
    o.n_means = 1;
    cr_assert_eq(sp_normal_init(&n, &o, 7, &err), SP_OK);
    cr_assert(n.n == 1 && n.mean[0] == 0.1f);
    o.means[0] = NAN;
    cr_assert_eq(sp_normal_init(&n, &o, 7, &err), SP_E_CONFIG);
    o = (sp_dataset_options){.name = "test", .std = 1, .stds = {1, 1e-7}, .n_stds = 2};
    cr_assert_eq(sp_normal_init(&n, &o, 2, &err), SP_E_CONFIG);
    cr_assert_eq(sp_pixels_init(&p, &o, 1, 1, 5, &err), SP_E_CONFIG);
    o.n_stds = 0;
    cr_assert_eq(sp_pixels_init(&p, &o, 1, 1, 5, &err), SP_E_DATA);
}

Test(augment, what_a_set_cannot_do_is_refused_by_name)
{
    static const struct {
        sp_dataset_options o;
        const char *expect;
    } cases[] = {{{.name = "synthetic", .train = 1, .augment = {.crop = 4}}, "crop cannot be done"},
                 {{.name = "synthetic", .augment = {.flip = 0.5}}, "flip cannot be done"},
                 {{.name = "mnist", .path = "/nowhere", .augment = {.roll = 1}}, "roll cannot be done"},
                 {{.name = "cifar10", .path = "/nowhere", .augment = {.resized_crop = 0.1}},
                  "resized_crop cannot be done"},
                 {{.name = "cifar10", .path = "/nowhere", .augment = {.flip = 1.5}}, "flip is 1.5"},
                 {{.name = "cifar10", .path = "/nowhere", .augment = {.crop = -1}}, "crop is -1"},
                 {{.name = "cifar10", .path = "/nowhere", .augment = {.cutout = NAN}}, "cutout is"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_dataset *ds;
        sp_error err;
        cr_assert_eq(open_set(cases[i].o, &ds, &err), SP_E_CONFIG, "case %zu", i);
        cr_assert_not_null(strstr(err.text, cases[i].expect), "case %zu: %s", i, err.text);
    }
}

/* A CIFAR-10 folder of 200 random records. */
static void make_cifar(char *folder, size_t n)
{
    sp_rng r = sp_rng_make(3, 4);
    uint8_t *bytes = malloc(200 * 3073);
    for (size_t i = 0; i < 200 * 3073; i++)
        bytes[i] = i % 3073 ? (uint8_t)sp_rng_u32(&r) : (uint8_t)(i / 3073 % 10);
    make_folder(folder, n, "augment");
    write_file(folder, "data_batch_1.bin", bytes, 200 * 3073);
    write_file(folder, "test_batch.bin", bytes, 200 * 3073);
    free(bytes);
}

static uint64_t hash_epoch(sp_dataset *ds, int threads, uint64_t epoch, size_t first)
{
    sp_loader *l = NULL;
    sp_error err = {0};
    const sp_batch *b;
    uint64_t hash = 1469598103934665603u;
    cr_assert_eq(sp_loader_create(
                     ds, &(sp_loader_options){.batch = 24, .shuffle = true, .seed = 9, .threads = threads},
                     &l, &err),
                 SP_OK, "%s", err.text);
    cr_assert_eq(sp_loader_start(l, epoch, first, &err), SP_OK);
    for (;;) {
        const uint8_t *bytes;
        cr_assert_eq(sp_loader_next(l, &b, &err), SP_OK, "%s", err.text);
        if (!b)
            break;
        bytes = (const uint8_t *)b->images;
        for (size_t i = 0; i < 24 * 3072 * sizeof(float); i++)
            hash = (hash ^ bytes[i]) * 1099511628211u;
        hash ^= (uint64_t)b->labels[0];
        sp_loader_release(l, b);
    }
    sp_loader_destroy(&l);
    return hash;
}

Test(augment, batches_do_not_depend_on_the_threads)
{
    char folder[512];
    sp_dataset *ds, *plain, *test, *test_plain;
    sp_error err;
    uint64_t first, second;
    sp_dataset_options o = {.name = "cifar10",
                            .path = folder,
                            .train = 1,
                            .seed = 4,
                            .augment = {.crop = 4, .cutout = 0.5, .flip = 0.5}};
    make_cifar(folder, sizeof folder);
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    o.train = 0;
    cr_assert_eq(open_set(o, &test, &err), SP_OK, "%s", err.text);
    o.augment = (sp_augment){0};
    cr_assert_eq(open_set(o, &test_plain, &err), SP_OK, "%s", err.text);
    o.train = 1;
    cr_assert_eq(open_set(o, &plain, &err), SP_OK, "%s", err.text);
    first = hash_epoch(ds, 1, 0, 0);
    second = hash_epoch(ds, 1, 1, 3);
    cr_assert_neq(first, hash_epoch(ds, 1, 1, 0));
    for (int threads = 2; threads <= 9; threads += threads < 4 ? 1 : 5) {
        cr_assert_eq(hash_epoch(ds, threads, 0, 0), first, "%d threads", threads);
        cr_assert_eq(hash_epoch(ds, threads, 1, 3), second, "%d threads, from batch 3", threads);
    }
    cr_assert_neq(hash_epoch(plain, 1, 0, 0), first);
    cr_assert_eq(hash_epoch(test, 1, 0, 0), hash_epoch(test_plain, 2, 0, 0),
                 "the test split is never augmented");
    sp_dataset_close(&ds);
    sp_dataset_close(&plain);
    sp_dataset_close(&test);
    sp_dataset_close(&test_plain);
    remove_folder(folder);
}
