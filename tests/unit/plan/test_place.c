/* Places of tensors: blocks that are used at the same time never meet, whatever their lifetimes are. */
#include "plans.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/rng.h"

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + SP_PLAN_ALIGN - 1) / SP_PLAN_ALIGN * SP_PLAN_ALIGN;
}

static int random_blocks(sp_block *blocks, uint64_t seed)
{
    sp_rng rng = sp_rng_make(seed, 1);
    int n = 1 + (int)sp_rng_below(&rng, 120), steps = 1 + (int)sp_rng_below(&rng, 60);
    for (int i = 0; i < n; i++) {
        int a = (int)sp_rng_below(&rng, (uint32_t)steps), b = (int)sp_rng_below(&rng, (uint32_t)steps);
        blocks[i] = (sp_block){.bytes = 1 + sp_rng_below(&rng, sp_rng_below(&rng, 2) ? 40000 : 600),
                               .first = a < b ? a : b,
                               .last = a < b ? b : a,
                               .id = i};
    }
    return n;
}

/* First fit as plainly as it can be said: the lowest place where v meets none of those placed before it. */
static uint64_t plain_fit(const sp_block *placed, int n, const sp_block *v, uint64_t from, uint64_t slab)
{
    uint64_t at = from;
    for (bool moved = true; moved;) {
        moved = at / slab != (at + v->bytes - 1) / slab;
        at = moved ? (at / slab + 1) * slab : at;
        for (int i = 0; i < n; i++) {
            const sp_block *b = &placed[i];
            if (b->first <= v->last && v->first <= b->last && b->at < at + v->bytes &&
                at < b->at + aligned(b->bytes)) {
                at = b->at + aligned(b->bytes);
                moved = true;
            }
        }
    }
    return at;
}

static int larger_first(const void *x, const void *y)
{
    const sp_block *a = x, *b = y;
    return a->bytes > b->bytes ? -1 : a->bytes < b->bytes ? 1 : a->id - b->id;
}

static uint64_t plain_places(sp_block *blocks, int n, uint64_t from, uint64_t slab)
{
    uint64_t end = from;
    qsort(blocks, (size_t)n, sizeof *blocks, larger_first);
    for (int i = 0; i < n; i++) {
        blocks[i].at = plain_fit(blocks, i, &blocks[i], from, slab);
        uint64_t last = blocks[i].at + aligned(blocks[i].bytes);
        end = last > end ? last : end;
    }
    return end;
}

Test(place, random_lifetimes_never_meet_and_take_the_places_of_first_fit)
{
    static sp_block blocks[128], plain[128];
    for (uint64_t seed = 0; seed < 400; seed++) {
        const uint64_t from = SP_PLAN_ALIGN * (seed % 7), slab = seed % 2 ? UINT64_C(1) << 32 : 65536;
        int n = random_blocks(blocks, seed);
        memcpy(plain, blocks, sizeof plain);
        uint64_t end = spi_place_blocks(blocks, n, from, slab);
        cr_assert_eq(end, plain_places(plain, n, from, slab), "seed %d", (int)seed);
        for (int i = 0; i < n; i++) {
            const sp_block *a = &blocks[i];
            cr_assert(a->at >= from && a->at % SP_PLAN_ALIGN == 0 && a->at + a->bytes <= end);
            cr_assert_eq(a->at / slab, (a->at + a->bytes - 1) / slab, "a block crosses a slab");
            for (int k = i + 1; k < n; k++) {
                const sp_block *b = &blocks[k];
                bool together = a->first <= b->last && b->first <= a->last;
                cr_assert(!together || a->at + a->bytes <= b->at || b->at + b->bytes <= a->at,
                          "seed %d: blocks %d and %d meet", (int)seed, a->id, b->id);
            }
        }
    }
}

static void *place_often(void *ctx)
{
    static _Thread_local sp_block blocks[128];
    uint64_t *sums = ctx;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        int n = random_blocks(blocks, seed % 50);
        sums[seed % 50] = spi_place_blocks(blocks, n, 0, UINT64_C(1) << 32);
    }
    return NULL;
}

Test(place, two_threads_do_not_disturb_each_other)
{
    pthread_t other;
    uint64_t a[50], b[50];
    cr_assert_eq(pthread_create(&other, NULL, place_often, a), 0);
    place_often(b);
    pthread_join(other, NULL);
    cr_assert_eq(memcmp(a, b, sizeof a), 0);
}

/* The whole planning of two networks at once. */
static void *plan_often(void *ctx)
{
    static const char net[] = "layers:\n"
                              "  - {type: conv, out: 9, kernel: 3, padding: 1}\n"
                              "  - {type: batch_norm}\n"
                              "  - {type: lif}\n"
                              "  - {type: flatten}\n"
                              "  - {type: linear, out: 5}\n";
    sp_plan_options o = options_of(SP_METHOD_BPTT, 4);
    for (int i = 0; i < 20; i++) {
        planned r = plan_of(net, &o);
        *(uint64_t *)ctx = r.p->arena_bytes;
        planned_free(&r);
    }
    return NULL;
}

Test(place, two_threads_make_the_same_plan)
{
    pthread_t other;
    uint64_t a = 0, b = 1;
    cr_assert_eq(pthread_create(&other, NULL, plan_often, &a), 0);
    plan_often(&b);
    pthread_join(other, NULL);
    cr_assert_eq(a, b);
}

/* A network of 10,000 layers; twice the bound of a plan that took 20 s would fail by far. */
Test(place, a_network_of_10000_layers_is_planned_in_seconds, .timeout = 20)
{
    sp_text t = {0};
    sp_text_add(&t, "layers:\n");
    for (int i = 0; i < 3333; i++)
        sp_text_add(&t, "  - {type: conv, out: 4, kernel: 3, padding: 1}\n  - {type: batch_norm}\n  - {type: "
                        "lif}\n");
    sp_text_add(&t, "  - {type: flatten}\n  - {type: linear, out: 5}\n");
    for (int bptt = 0; bptt < 2; bptt++) {
        sp_plan_options o = options_of(bptt ? SP_METHOD_BPTT : SP_METHOD_SLTT, 2);
        o.recompute = bptt;
        planned r = plan_of(t.s, &o);
        cr_assert_gt(r.p->segments[bptt ? SP_SEGMENT_BACKWARD : SP_SEGMENT_FULL].n, 10000);
        planned_free(&r);
    }
    sp_text_free(&t);
}
