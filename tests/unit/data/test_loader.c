/* The loader: order, restart, layout, padding, errors, shutdown in any state, and no allocation after create.
 */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/error.h"
#include "base/mem.h"
#include "data/loader.h"

/* A data set whose item (t, p) of sample i is i * 1000 + t * 100 + p; reading sample `bad` fails. */
typedef struct fake {
    sp_dataset ds;
    size_t bad, also_bad;
    long delay_ns;
    atomic_int reads;
} fake;

static sp_status fake_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                          sp_error *err)
{
    size_t i = want.index;
    fake *f = ds->state;
    int frames = ds->info.frames ? ds->info.frames : 1,
        n = ds->info.height * ds->info.width * ds->info.channels;
    f->reads++;
    if (f->delay_ns)
        nanosleep(&(struct timespec){0, f->delay_ns}, NULL);
    if (i == f->bad || i == f->also_bad)
        return SP_FAIL(err, SP_E_DATA, "fake.bin: sample %zu is bad", i);
    for (int t = 0; t < frames; t++) {
        for (int p = 0; p < n; p++)
            *image++ = (float)(i * 1000 + (size_t)t * 100 + (size_t)p);
    }
    *label = (int32_t)i;
    return SP_OK;
}

static void fake_init(fake *f, size_t count, int frames)
{
    memset(f, 0, sizeof *f);
    f->ds.info = (sp_dataset_info){.name = "fake",
                                   .count = count,
                                   .classes = 10,
                                   .frames = frames,
                                   .channels = 2,
                                   .height = 3,
                                   .width = 4};
    f->ds.get = fake_get;
    f->ds.state = f;
    f->bad = f->also_bad = SIZE_MAX;
}

static sp_loader *make(const fake *f, sp_loader_options o)
{
    sp_loader *l = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_loader_create(&f->ds, &o, &l, &err), SP_OK, "%s", err.text);
    return l;
}

static const sp_batch *next(sp_loader *l)
{
    const sp_batch *b = NULL;
    sp_error err = {0};
    cr_assert_eq(sp_loader_next(l, &b, &err), SP_OK, "%s", err.text);
    return b;
}

static void start(sp_loader *l, uint64_t epoch, size_t first)
{
    sp_error err = {0};
    cr_assert_eq(sp_loader_start(l, epoch, first, &err), SP_OK, "%s", err.text);
}

Test(loader, gives_every_sample_once_in_a_seeded_order)
{
    fake f;
    int32_t order[2][100];
    fake_init(&f, 100, 0);
    for (int shuffle = 0; shuffle < 2; shuffle++) {
        sp_loader *l = make(&f, (sp_loader_options){.batch = 8, .shuffle = shuffle, .seed = 3});
        cr_assert_eq(sp_loader_batches(l), 13);
        for (uint64_t epoch = 0; epoch < 2; epoch++) {
            int seen[100] = {0}, in_place = 0;
            size_t n = 0;
            const sp_batch *b;
            start(l, epoch, 0);
            while ((b = next(l)) != NULL) {
                cr_assert_eq(b->index, n / 8);
                cr_assert_eq((uintptr_t)b->images % 4096, 0);
                for (size_t k = 0; k < b->n_valid; k++, n++) {
                    order[epoch][n] = b->labels[k];
                    seen[b->labels[k]]++;
                    in_place += b->labels[k] == (int32_t)n;
                    cr_assert_eq(b->images[k * 24 + 23], (float)(b->labels[k] * 1000 + 23));
                }
                sp_loader_release(l, b);
            }
            cr_assert_null(next(l), "the end stays the end");
            cr_assert_eq(n, 100);
            for (int i = 0; i < 100; i++)
                cr_assert_eq(seen[i], 1);
            cr_assert(shuffle ? in_place < 20 : in_place == 100, "%d", in_place);
        }
        cr_assert(shuffle == (memcmp(order[0], order[1], sizeof order[0]) != 0));
        sp_loader_destroy(&l);
        cr_assert_null(l);
    }
}

Test(loader, restart_gives_the_same_batches)
{
    fake f;
    sp_loader_options o = {.batch = 7, .shuffle = true, .seed = 11, .threads = 1};
    float *whole;
    size_t n_batches, bytes = 7 * 24 * sizeof(float);
    int32_t labels[15][7];
    fake_init(&f, 100, 0);
    whole = malloc(15 * bytes);
    for (int depth = 1; depth < 6; depth += 2) {
        sp_loader *l;
        o.depth = depth;
        o.threads = depth;
        l = make(&f, o);
        n_batches = sp_loader_batches(l);
        cr_assert_eq(n_batches, 15);
        start(l, 4, 0);
        for (size_t i = 0; i < n_batches; i++) {
            const sp_batch *b = next(l);
            memcpy(whole + i * 168, b->images, bytes);
            memcpy(labels[i], b->labels, sizeof labels[i]);
            sp_loader_release(l, b);
        }
        for (size_t first = 0; first <= n_batches; first++) {
            /* from another epoch, with batches in flight and, now and then, in use */
            const sp_batch *b;
            start(l, 9, first / 2);
            if (first % 3)
                b = next(l);
            start(l, 4, first);
            for (size_t i = first; i < n_batches; i++) {
                b = next(l);
                cr_assert_not_null(b);
                cr_assert_eq(b->index, i);
                cr_assert_eq(memcmp(b->labels, labels[i], sizeof labels[i]), 0,
                             "labels of batch %zu from %zu", i, first);
                cr_assert_eq(memcmp(b->images, whole + i * 168, bytes), 0, "images of batch %zu from %zu", i,
                             first);
                sp_loader_release(l, b);
            }
            cr_assert_null(next(l));
        }
        sp_loader_destroy(&l);
    }
    free(whole);
}

Test(loader, puts_time_first)
{
    enum { T = 5, B = 4, N = 24 };
    fake f;
    const sp_batch *b;
    sp_loader *l;
    fake_init(&f, 10, T);
    l = make(&f, (sp_loader_options){.batch = B, .shuffle = true, .seed = 2});
    start(l, 0, 0);
    while ((b = next(l)) != NULL) {
        for (int t = 0; t < T; t++) {
            for (int k = 0; k < B; k++) {
                int32_t sample = b->labels[k] < 0 ? b->labels[0] : b->labels[k];
                for (int p = 0; p < N; p++)
                    cr_assert_eq(b->images[(t * B + k) * N + p], (float)(sample * 1000 + t * 100 + p));
            }
        }
        sp_loader_release(l, b);
    }
    sp_loader_destroy(&l);
}

Test(loader, pads_or_drops_the_last_batch)
{
    for (int drop = 0; drop < 2; drop++) {
        fake f;
        sp_loader *l;
        const sp_batch *b, *last = NULL;
        fake_init(&f, 10, 0);
        l = make(&f, (sp_loader_options){.batch = 4, .drop_last = drop});
        cr_assert_eq(sp_loader_batches(l), drop ? 2 : 3);
        start(l, 0, 0);
        while ((b = next(l)) != NULL) {
            sp_loader_release(l, b);
            last = b;
        }
        cr_assert_eq(last->index, drop ? 1 : 2);
        cr_assert_eq(last->n_valid, drop ? 4 : 2);
        if (!drop) {
            cr_assert(last->labels[0] == 8 && last->labels[1] == 9 && last->labels[2] == -1 &&
                      last->labels[3] == -1);
            cr_assert_eq(memcmp(last->images + 2 * 24, last->images, 24 * sizeof(float)), 0);
            cr_assert_eq(memcmp(last->images + 3 * 24, last->images, 24 * sizeof(float)), 0);
        }
        sp_loader_destroy(&l);
    }
}

Test(loader, allocates_nothing_after_create)
{
    fake f;
    sp_loader *l;
    uint64_t before;
    fake_init(&f, 50, 3);
    l = make(&f, (sp_loader_options){.batch = 4, .shuffle = true});
    before = sp_mem_count();
    for (uint64_t epoch = 0; epoch < 5; epoch++) {
        const sp_batch *b;
        start(l, epoch, epoch);
        while ((b = next(l)) != NULL)
            sp_loader_release(l, b);
    }
    cr_assert_eq(sp_mem_count(), before);
    sp_loader_destroy(&l);
}

Test(loader, an_error_comes_in_its_place_and_a_start_clears_it)
{
    fake f;
    sp_loader *l;
    sp_error err = {0};
    const sp_batch *b;
    fake_init(&f, 20, 0);
    f.bad = 9;
    l = make(&f, (sp_loader_options){.batch = 4});
    start(l, 7, 0);
    for (size_t i = 0; i < 2; i++) {
        b = next(l);
        cr_assert_eq(b->index, i);
        sp_loader_release(l, b);
    }
    for (int again = 0; again < 2; again++) {
        memset(&err, 0, sizeof err);
        cr_assert_eq(sp_loader_next(l, &b, &err), SP_E_DATA);
        cr_assert_null(b);
        cr_assert_eq(err.status, SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "batch 3 of epoch 8"), "%s", err.text);
        cr_assert_not_null(strstr(err.text, "sample 9 is bad"), "%s", err.text);
    }
    cr_assert_eq(sp_loader_next(l, &b, NULL), SP_E_DATA);
    start(l, 7, 3);
    b = next(l);
    cr_assert_eq(b->labels[0], 12);
    sp_loader_destroy(&l);
}

Test(loader, the_first_error_in_order_counts_whatever_the_threads)
{
    for (int run = 0; run < 60; run++) {
        fake f;
        sp_loader *l;
        sp_error err = {0};
        const sp_batch *b;
        size_t good = 0;
        fake_init(&f, 90, run % 3 == 2 ? 3 : 0);
        f.bad = 47;
        f.also_bad = 48 + (size_t)run % 20; /* often read at the same time, and ready before */
        f.delay_ns = run % 2 ? 20000 : 0;
        l = make(&f, (sp_loader_options){.batch = 20, .threads = 1 + run % 6, .depth = 1 + run % 4});
        start(l, 1, 0);
        while (sp_loader_next(l, &b, &err) == SP_OK) {
            cr_assert_not_null(b);
            cr_assert_eq(b->index, good++);
            sp_loader_release(l, b);
        }
        cr_assert_eq(good, 2);
        cr_assert_not_null(strstr(err.text, "batch 3 of epoch 2: fake.bin: sample 47 is bad"), "%s",
                           err.text);
        start(l, 2, 4);
        b = next(l);
        cr_assert(b->n_valid == 10 && b->labels[0] == 80 && b->labels[10] == -1);
        cr_assert_eq(memcmp(b->images + 10 * 24, b->images, 24 * sizeof(float)), 0, "padded");
        sp_loader_release(l, b);
        cr_assert_null(next(l));
        sp_loader_destroy(&l);
    }
}

Test(loader, refuses_wrong_use)
{
    fake f, empty;
    sp_loader *l = NULL;
    sp_error err = {0};
    const sp_batch *b[3], *none;
    static const sp_loader_options bad[] = {{.batch = 0},
                                            {.batch = 4, .depth = -1},
                                            {.batch = 4, .depth = 1 << 20},
                                            {.batch = 4, .threads = -1},
                                            {.batch = 4, .threads = 65},
                                            {.batch = 11, .drop_last = true}};
    fake_init(&f, 10, 0);
    fake_init(&empty, 0, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(sp_loader_create(&f.ds, &bad[i], &l, &err), SP_E_CONFIG, "case %zu", i);
        cr_assert_null(l);
    }
    cr_assert_eq(sp_loader_create(&empty.ds, &(sp_loader_options){.batch = 1}, &l, &err), SP_E_DATA);
    cr_assert_eq(sp_loader_create(&f.ds, &(sp_loader_options){.batch = SIZE_MAX / 8}, &l, &err), SP_E_MEMORY);
    f.ds.info.width = 0;
    cr_assert_eq(sp_loader_create(&f.ds, &(sp_loader_options){.batch = 1}, &l, &err), SP_E_DATA);
    f.ds.info.width = 4;

    l = make(&f, (sp_loader_options){.batch = 2});
    cr_assert_eq(sp_loader_next(l, &none, &err), SP_E_FAILED);
    cr_assert_eq(sp_loader_start(l, 0, 6, &err), SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "batch 6"), "%s", err.text);
    start(l, 0, 0);
    for (int i = 0; i < 3; i++)
        b[i] = next(l);
    cr_assert_eq(sp_loader_next(l, &none, &err), SP_E_FAILED, "must not wait for ever");
    cr_assert_not_null(strstr(err.text, "sp_loader_release"), "%s", err.text);
    sp_loader_release(l, b[1]); /* out of turn: does not count */
    cr_assert_eq(sp_loader_next(l, &none, &err), SP_E_FAILED);
    sp_loader_release(l, b[0]);
    b[0] = next(l);
    cr_assert_eq(b[0]->index, 3);
    start(l, 0, 1);
    sp_loader_release(l, b[1]); /* of before the start */
    sp_loader_release(l, NULL);
    cr_assert_eq(next(l)->index, 1);
    sp_loader_destroy(&l);
    sp_loader_destroy(&l);
    sp_loader_destroy(NULL);
}

Test(loader, can_be_destroyed_in_any_state)
{
    fake f;
    fake_init(&f, 64, 2);
    f.delay_ns = 20000;
    for (int state = 0; state < 60; state++) {
        sp_loader *l = make(&f, (sp_loader_options){.batch = 16,
                                                    .shuffle = true,
                                                    .depth = 1 + state % 4,
                                                    .threads = 1 + state % 5});
        if (state % 6 > 0)
            start(l, 0, 0);
        if (state % 6 > 1)
            next(l);
        if (state % 6 > 2)
            start(l, 1, 1);
        if (state % 6 > 3)
            nanosleep(&(struct timespec){0, 100000L * state}, NULL);
        if (state % 6 > 4)
            sp_loader_release(l, next(l));
        sp_loader_destroy(&l);
    }
}

Test(loader, start_does_not_wait_for_a_whole_batch)
{
    fake f;
    sp_loader *l;
    int before;
    fake_init(&f, 1000, 0);
    f.delay_ns = 1000000;
    l = make(&f, (sp_loader_options){.batch = 500});
    start(l, 0, 0);
    nanosleep(&(struct timespec){0, 5000000}, NULL);
    before = f.reads;
    start(l, 0, 1);
    sp_loader_destroy(&l);
    cr_assert_lt(f.reads, 400, "%d reads, %d before the restart", f.reads, before);
}

Test(loader, measures_how_long_it_is_waited_for)
{
    fake f;
    sp_loader *l;
    double waited;
    fake_init(&f, 8, 0);
    f.delay_ns = 20000000;
    l = make(&f, (sp_loader_options){.batch = 4});
    cr_assert_eq(sp_loader_wait_seconds(l), 0.0);
    start(l, 0, 0);
    sp_loader_release(l, next(l));
    waited = sp_loader_wait_seconds(l);
    cr_assert(waited > 0.010 && waited < 10.0, "%f", waited);
    nanosleep(&(struct timespec){0, 500000000}, NULL); /* time enough for the second batch */
    sp_loader_release(l, next(l));
    cr_assert_eq(sp_loader_wait_seconds(l), waited);
    sp_loader_destroy(&l);
}

Test(loader, survives_failing_allocations)
{
    fake f;
    int64_t k = 0;
    sp_status st;
    sp_loader *l = NULL;
    fake_init(&f, 20, 2);
    do {
        sp_error err = {0};
        sp_mem_fail_at(++k);
        st = sp_loader_create(&f.ds, &(sp_loader_options){.batch = 4}, &l, &err);
        sp_mem_fail_at(0);
        cr_assert(st == SP_OK || (st == SP_E_MEMORY && err.text[0]));
    } while (st != SP_OK && k < 100);
    cr_assert_eq(k, 12, "%d", (int)k);
    sp_loader_destroy(&l);
}
