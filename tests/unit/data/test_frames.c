/* Events into frames, other sizes, random changes, and the frame cache. Values of the resize tests were made
 * with Pillow 13.0 from the same pattern. */
#include "event_support.h"
#include <fcntl.h>
#include <pthread.h>
#include <utime.h>
#include "base/log.h"

/* ---- counting ---- */

static sp_event *make_events(size_t n, const sp_frame_shape *s, uint64_t seed)
{
    sp_event *e = malloc((n + 1) * sizeof *e);
    int64_t t = 1000;
    for (size_t k = 0; k < n; k++) {
        t += noise(&seed) % 7;
        e[k] = (sp_event){t, (uint16_t)(noise(&seed) % (unsigned)s->width),
                          (uint16_t)(noise(&seed) % (unsigned)s->height),
                          (uint16_t)(noise(&seed) % (unsigned)s->polarities)};
    }
    return e;
}

/* Adds events from..to of a frame, the long way. */
static void count_into(float *frames, const sp_frame_shape *s, int frame, const sp_event *e, size_t from,
                       size_t to)
{
    for (size_t k = from; k < to; k++)
        frames[(((size_t)frame * (size_t)s->height + e[k].y) * (size_t)s->width + e[k].x) *
                   (size_t)s->polarities +
               e[k].p] += 1.0f;
}

Test(frames, parts_of_equal_count)
{
    static const size_t counts[] = {0, 1, 4, 5, 9, 10, 11, 1234};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (int frames = 1; frames <= 10; frames += 3) {
            sp_frame_shape s = {frames, 5, 7, 2};
            size_t n = counts[c], T = (size_t)frames, each = n / T, items = T * 70;
            sp_event *e = make_events(n, &s, c);
            float *got = malloc(items * sizeof *got), *want = calloc(items, sizeof *want);
            memset(got, 0x55, items * sizeof *got);
            for (size_t f = 0; f < T; f++)
                count_into(want, &s, (int)f, e, f * each, f + 1 < T ? (f + 1) * each : n);
            sp_events_to_frames(e, n, &s, SP_BY_COUNT, 0, 0, got);
            cr_assert_arr_eq(got, want, items * sizeof *got, "%zu events, %d frames", n, frames);
            memset(want, 0, items * sizeof *want);
            for (size_t f = 0; f < T; f++)
                count_into(want, &s, (int)f, e, f * each, (f + 1) * each);
            sp_events_to_frames(e, n, &s, SP_BY_COUNT_EQUAL, 0, 0, got);
            cr_assert_arr_eq(got, want, items * sizeof *got, "%zu events, %d frames, equal", n, frames);
            free(e);
            free(got);
            free(want);
        }
    }
}

Test(frames, windows_of_equal_time)
{
    static const struct {
        int64_t t[6], origin, window;
        int n, frames, expect[6]; /* frame of each event */
    } cases[] = {
        /* (99 - 0)/4 = 24 microseconds a frame; the last takes what is later */
        {{0, 23, 24, 72, 96, 99}, 0, 0, 6, 4, {0, 0, 1, 3, 3, 3}},
        {{5, 5, 5, 5, 5, 5}, 0, 0, 6, 4, {3, 3, 3, 3, 3, 3}},
        {{99, 0, 50, 0, 0, 0}, 0, 0, 3, 2, {1, 0, 1}}, /* 50/49 = 1; disorder does no harm */
        {{0, 13999, 14000, 1399999, 1400000, 9000000}, 0, 1400000, 6, 100, {0, 0, 1, 99, 99, 99}},
        {{90, 100, 109, 110, 119, 130}, 100, 20, 6, 2, {0, 0, 0, 1, 1, 1}},
        {{7, 0, 0, 0, 0, 0}, 7, 3, 1, 3, {0}},
        {{INT64_MAX, INT64_MIN, 0, 0, 0, 0}, 0, 0, 2, 2, {1, 0}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        sp_event e[6];
        static float got[100 * 6];
        sp_frame_shape s = {cases[c].frames, 1, 6, 1};
        for (int k = 0; k < cases[c].n; k++)
            e[k] = (sp_event){.t = cases[c].t[k], .x = (uint16_t)k};
        sp_events_to_frames(e, (size_t)cases[c].n, &s, SP_BY_TIME, cases[c].origin, cases[c].window, got);
        for (int f = 0; f < cases[c].frames; f++)
            for (int k = 0; k < 6; k++)
                cr_assert_eq(got[f * 6 + k], k < cases[c].n && cases[c].expect[k] == f ? 1.0f : 0.0f,
                             "case %zu, frame %d, event %d", c, f, k);
    }
}

Test(frames, normalise_max)
{
    float x[3 * 4] = {0, 0, 0, 0, 1, 2, 4, 0, 3, 0, 0, 3};
    static const float want[12] = {0, 0, 0, 0, 0.25f, 0.5f, 1, 0, 1, 0, 0, 1};
    sp_frames_normalise_max(&(sp_frame_shape){3, 1, 2, 2}, x);
    cr_assert_arr_eq(x, want, sizeof want);
}

/* ---- augmentation ---- */

Test(frames, flip_roll_and_crop)
{
    /* 2 x 3 pixels, 2 polarities, values tell the place */
    static const float in[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const struct {
        sp_frame_draw d;
        float want[12];
    } cases[] = {
        {{.flip = true}, {5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8}},
        {{.roll_x = 1}, {5, 6, 1, 2, 3, 4, 11, 12, 7, 8, 9, 10}},
        {{.roll_x = -4, .roll_y = 3}, {9, 10, 11, 12, 7, 8, 3, 4, 5, 6, 1, 2}},
        {{.flip = true, .roll_x = 1}, {1, 2, 5, 6, 3, 4, 7, 8, 11, 12, 9, 10}},
        {{.crop_x = 1}, {0, 0, 1, 2, 3, 4, 0, 0, 7, 8, 9, 10}},
        {{.crop_y = -1, .crop_x = -2}, {11, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
        {{.crop_y = 5}, {0}},
        {{.crop_x = 1, .flip = true}, {3, 4, 1, 2, 0, 0, 9, 10, 7, 8, 0, 0}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float x[24], work[12];
        memcpy(x, in, sizeof in);
        memcpy(x + 12, in, sizeof in);
        sp_frames_augment(&(sp_frame_shape){2, 2, 3, 2}, &cases[c].d, work, x);
        for (int k = 0; k < 24; k++)
            cr_assert_eq(x[k], cases[c].want[k % 12], "case %zu, %d: %g", c, k, (double)x[k]);
    }
}

Test(frames, draws_cover_their_range)
{
    sp_augment a = {.roll = 5, .flip = 0.5, .crop = 4};
    int roll[11] = {0}, crop[9] = {0}, flips = 0;
    sp_rng r = sp_rng_make(1, 2);
    for (int k = 0; k < 4000; k++) {
        sp_frame_draw d = sp_frame_draw_from(&a, &r);
        cr_assert(abs(d.roll_x) <= 5 && abs(d.roll_y) <= 5 && abs(d.crop_x) <= 4 && abs(d.crop_y) <= 4);
        roll[d.roll_y + 5]++;
        crop[d.crop_x + 4]++;
        flips += d.flip;
    }
    for (int k = 0; k < 11; k++)
        cr_assert(roll[k] > 280 && roll[k] < 450, "%d", roll[k]);
    for (int k = 0; k < 9; k++)
        cr_assert(crop[k] > 350 && crop[k] < 540, "%d", crop[k]);
    cr_assert(flips > 1850 && flips < 2150, "%d", flips);
    r = sp_rng_make(1, 2);
    a = (sp_augment){0};
    cr_assert_eq(memcmp(&(sp_frame_draw){0}, &(sp_frame_draw){.flip = sp_frame_draw_from(&a, &r).flip},
                        sizeof(sp_frame_draw)),
                 0);
}

/* ---- resizing ---- */

static float pattern(uint64_t k, int t)
{
    uint64_t h = k * 2654435761u & 0xffffffffu, v;
    h = (h ^ h >> 15) * 2246822519u & 0xffffffffu;
    v = h >> 24;
    return (float)(v < 200 ? 0 : v == 255 ? 255 + 3 * (uint64_t)t : v - 199);
}

static float *make_pattern(int frames, int side)
{
    size_t items = (size_t)side * (size_t)side * 2;
    float *x = malloc((size_t)frames * items * sizeof *x);
    for (size_t k = 0; k < (size_t)frames * items; k++)
        x[k] = pattern(k, (int)(k / items));
    return x;
}

static float *resized(sp_frame_resize_kind kind, int frames, int side, int out, const float *x)
{
    sp_resize *r = sp_resize_create(kind, side, side, out);
    float *y = malloc((size_t)frames * (size_t)out * (size_t)out * 2 * sizeof *y);
    void *work = malloc(sp_resize_scratch_bytes(r));
    sp_resize_run(r, frames, x, work, y);
    sp_resize_destroy(&r);
    cr_assert_null(r);
    free(work);
    return y;
}

Test(frames, pil_round_trip_to_the_bit)
{
    static const struct {
        int side, out;
        const char *counts, *normalised;
    } cases[] = {
        {128, 48, "291dd2fc025b1c0dac418e5a8d4b608cf26246a710249b1eb9ab2bd3393225c3",
         "c43c2724461c3ee4861822a101bc31a934193b5abbbf3217b0074691e8054aa2"},
        {34, 34, "962ed86b76448582d3acba1624f10c318ca1f06d7febec2ebfd6c08ee1a7c740",
         "a1106459626600448c5ba7aeb2111b0100bf0529122767f344ea3ff5dc2a93c6"},
        {34, 20, "e2dea2c49eeacbf0c0eceb3bfc58f42b586445fe8fd26a06f976e747ad56128b",
         "d361aef8dec85aef5a679f238350ac2d8554c29353c35e94b1560c5844c2cfa5"},
        {128, 128, "8dcdd82708736083293adf8ffb5ac5c4973d049f0d524e667bcd15ef68276cad",
         "f49fef680a197603842dbaf8c2bb6720c05f94ab308d6ab3c243a30548d12fe6"},
        {34, 50, "bbb3f6cf4c9a3866b62684d20d6b56c9873d936d0b6ae08aaa3501be0cfd4db5",
         "0817d928b7a339ff8be9b96e9dae634c7161ce3e8a40c163f5fe3960395e7733"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float *x = make_pattern(3, cases[c].side);
        for (int normalised = 0; normalised < 2; normalised++) {
            size_t n = 3 * (size_t)cases[c].out * (size_t)cases[c].out * 2;
            float *y;
            sha256 s;
            if (normalised)
                sp_frames_normalise_max(&(sp_frame_shape){3, cases[c].side, cases[c].side, 2}, x);
            y = resized(SP_RESIZE_PIL, 3, cases[c].side, cases[c].out, x);
            sha256_init(&s);
            for (size_t k = 0; k < n; k++) {
                uint8_t b = (uint8_t)(y[k] * 255.0f + 0.5f);
                cr_assert_eq(y[k], (float)b / 255.0f);
                sha256_add(&s, &b, 1);
            }
            cr_assert_str_eq(sha256_end(&s), normalised ? cases[c].normalised : cases[c].counts, "%d to %d",
                             cases[c].side, cases[c].out);
            free(y);
        }
        free(x);
    }
}

Test(frames, pil_properties_that_papers_have_measured)
{
    float *x = calloc(128 * 128 * 2, sizeof *x), *y;
    double sums[2] = {0, 0};
    x[(64 * 128 + 64) * 2] = 1.0f; /* a lone event of polarity 0 vanishes */
    y = resized(SP_RESIZE_PIL, 1, 128, 48, x);
    for (int k = 0; k < 48 * 48 * 2; k++)
        sums[k % 2] += (double)y[k];
    cr_assert(sums[0] == 0.0 && sums[1] == 0.0);
    free(y);
    x[(64 * 128 + 64) * 2 + 1] = 1.0f;
    y = resized(SP_RESIZE_PIL, 1, 128, 48, x);
    for (int k = 0; k < 48 * 48 * 2; k++)
        sums[k % 2] += (double)y[k];
    cr_assert(sums[0] > 0.0 && sums[1] > 0.0);
    free(y);
    x[(64 * 128 + 64) * 2 + 1] = 256.0f; /* 256 events are none: 255 * 256 modulo 256 */
    y = resized(SP_RESIZE_PIL, 1, 128, 48, x);
    cr_assert_eq(y[(24 * 48 + 24) * 2 + 1], 0.0f);
    free(y);
    free(x);
}

/* What depends on one side only becomes what a square of that side becomes, whatever the other side is. */
Test(frames, sides_of_any_two_lengths)
{
    enum { HEIGHT = 6, WIDTH = 11, OUT = 4 };
    float wide[HEIGHT * WIDTH * 2], square[WIDTH * WIDTH * 2], y[OUT * OUT * 2];
    for (int kind = 0; kind < 2; kind++) {
        for (int k = 0; k < WIDTH * WIDTH; k++)
            for (int c = 0; c < 2; c++)
                square[2 * k + c] = (float)(k % WIDTH % (3 + c)) / 3.0f;
        memcpy(wide, square, sizeof wide);
        float *expect = resized((sp_frame_resize_kind)kind, 1, WIDTH, OUT, square);
        sp_resize *r = sp_resize_create((sp_frame_resize_kind)kind, HEIGHT, WIDTH, OUT);
        void *work = malloc(sp_resize_scratch_bytes(r));
        sp_resize_run(r, 1, wide, work, y);
        for (int k = 0; k < OUT * OUT * 2; k++)
            cr_assert_float_eq(y[k], expect[k], kind ? 1.5 / 255 : 1e-6, "%d: %g, not %g", k, (double)y[k],
                               (double)expect[k]);
        sp_resize_destroy(&r);
        free(work);
        free(expect);
    }
}

Test(frames, bilinear_on_counts)
{
    static const struct {
        int side, out;
        double want[5], sum;
    } cases[] = {
        {128, 48, {7.99723005, 10.3439846, 9.45634937, 8.26454258, 3.03569508}, 31663.0648},
        {34, 20, {11.6239071, 5.61860132, 10.902256, 16.796751, 8.20950317}, 5504.28625},
        {34, 50, {0, 9.88000011, 0, 37, 0}, 34222.3935},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int out = cases[c].out;
        int at[5][3] = {{0, 0, 0}, {1, 0, 1}, {0, 7, 13}, {1, out - 1, out - 1}, {0, out / 2, 3}};
        float *x = make_pattern(2, cases[c].side), *y = resized(SP_RESIZE_BILINEAR, 2, cases[c].side, out, x);
        const float *second = y + out * out * 2;
        double sum = 0.0;
        for (int k = 0; k < 5; k++)
            cr_assert_float_eq((double)second[(at[k][1] * out + at[k][2]) * 2 + at[k][0]], cases[c].want[k],
                               1e-6 * (1.0 + cases[c].want[k]), "case %zu, value %d", c, k);
        for (int k = 0; k < out * out * 2; k++)
            sum += (double)second[k];
        cr_assert_float_eq(sum, cases[c].sum, 1e-5 * cases[c].sum, "case %zu: %.9g", c, sum);
        free(x);
        free(y);
    }
}

/* ---- the set with its options: orientation, size, seeds ---- */

static char class_folder[600];

static void make_set(int events)
{
    uint64_t seed = 5;
    scratch_make();
    for (int c = 0; c < 2; c++) {
        for (int i = 0; i < 10; i++) {
            char name[64];
            made *m = calloc(1, sizeof *m);
            made_text(m, "#!AER-DAT2.0\r\n");
            for (int k = 0; k < events; k++)
                made_aedat2(m, noise(&seed) % 128, noise(&seed) % 128, noise(&seed) % 2, (uint32_t)(k * 10));
            snprintf(name, sizeof name, "set/%c/%d.aedat", 'a' + c, i);
            scratch_write(name, m->b, m->n);
            free(m);
        }
    }
    snprintf(class_folder, sizeof class_folder, "%s", scratch_path("set"));
    setenv("SPIKEPORT_CACHE_DIR", scratch_path("cache"), 1);
    sp_log_set_level(SP_LOG_ERROR);
}

static sp_dataset *open_set(sp_dataset_options o)
{
    sp_dataset *ds = NULL;
    sp_error err = {0};
    o.name = "aedat-folder";
    o.path = class_folder;
    o.frames = 3;
    cr_assert_eq(sp_dataset_open(&o, &ds, &err), SP_OK, "%s", err.text);
    return ds;
}

static float *get(const sp_dataset *ds, size_t i, uint64_t epoch)
{
    size_t n = (size_t)ds->info.frames * (size_t)ds->info.height * (size_t)ds->info.width *
               (size_t)ds->info.channels;
    float *x = malloc(n * sizeof *x);
    int32_t label;
    sp_error err = {0};
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i, .epoch = epoch}, x, &label, &err), SP_OK, "%s",
                 err.text);
    return x;
}

static bool same(const sp_dataset *a, size_t i, uint64_t i_epoch, const sp_dataset *b, size_t k,
                 uint64_t k_epoch)
{
    size_t n = (size_t)a->info.frames * (size_t)a->info.height * (size_t)a->info.width * 2;
    float *x = get(a, i, i_epoch), *y = get(b, k, k_epoch);
    bool equal = memcmp(x, y, n * sizeof *x) == 0;
    free(x);
    free(y);
    return equal;
}

Test(frames, samples_are_functions_of_seed_epoch_and_index)
{
    sp_dataset *plain, *a, *again, *other, *test;
    sp_augment augment = {.roll = 5, .flip = 0.5};
    make_set(300);
    plain = open_set((sp_dataset_options){.train = 1});
    a = open_set((sp_dataset_options){.train = 1, .augment = augment, .seed = 3});
    again = open_set((sp_dataset_options){.train = 1, .augment = augment, .seed = 3});
    other = open_set((sp_dataset_options){.train = 1, .augment = augment, .seed = 4});
    test = open_set((sp_dataset_options){.train = 0, .augment = augment, .seed = 3});
    cr_assert(same(a, 3, 7, again, 3, 7));
    cr_assert(!same(a, 3, 7, again, 3, 8));
    cr_assert(!same(a, 3, 7, other, 3, 7));
    cr_assert(!same(a, 3, 7, plain, 3, 7));
    cr_assert(same(plain, 3, 7, plain, 3, 8));
    cr_assert(same(test, 1, 1, test, 1, 2), "the test split is not augmented");
    sp_dataset_close(&plain);
    sp_dataset_close(&a);
    sp_dataset_close(&again);
    sp_dataset_close(&other);
    sp_dataset_close(&test);
    scratch_remove();
}

Test(frames, sizes_means_and_normalising)
{
    sp_dataset *raw, *pil, *max, *mean;
    float *x, *y, *z;
    make_set(400);
    raw = open_set((sp_dataset_options){.train = 1});
    pil = open_set((sp_dataset_options){.train = 1, .size = 48, .events = {.resize = SP_RESIZE_PIL}});
    max = open_set((sp_dataset_options){.train = 1, .size = 40, .events = {.normalise = SP_NORMALISE_MAX}});
    mean = open_set(
        (sp_dataset_options){.train = 1, .n_means = 2, .means = {0.5, 2.0}, .n_stds = 2, .stds = {1.0, 4.0}});
    cr_assert(raw->info.height == 128 && pil->info.height == 48 && pil->info.width == 48 &&
              max->info.width == 40);
    x = get(raw, 4, 0);
    y = get(pil, 4, 0);
    z = resized(SP_RESIZE_PIL, 3, 128, 48, x);
    cr_assert_arr_eq(y, z, 3 * 48 * 48 * 2 * sizeof *y);
    free(y);
    free(z);
    y = get(mean, 4, 0);
    for (int k = 0; k < 3 * 128 * 128 * 2; k++)
        cr_assert_eq(y[k], k % 2 ? (x[k] - 2.0f) * 0.25f : x[k] - 0.5f);
    free(y);
    sp_frames_normalise_max(&(sp_frame_shape){3, 128, 128, 2}, x);
    y = get(max, 4, 0);
    z = resized(SP_RESIZE_BILINEAR, 3, 128, 40, x);
    cr_assert_arr_eq(y, z, 3 * 40 * 40 * 2 * sizeof *y);
    free(x);
    free(y);
    free(z);
    sp_dataset_close(&raw);
    sp_dataset_close(&pil);
    sp_dataset_close(&max);
    sp_dataset_close(&mean);
    scratch_remove();
}

/* ---- the cache ---- */

static int cache_files(char last[1024])
{
    char command[1200];
    int n = 0;
    FILE *p;
    snprintf(command, sizeof command, "find '%s' -name '*.frames' -type f 2>/dev/null",
             scratch_path("cache"));
    p = popen(command, "r");
    while (fgets(last, 1024, p)) {
        last[strcspn(last, "\n")] = '\0';
        n++;
    }
    pclose(p);
    return n;
}

static size_t read_whole(const char *path, uint8_t *bytes, size_t room)
{
    FILE *f = fopen(path, "rb");
    size_t n = fread(bytes, 1, room, f);
    cr_assert(n < room);
    fclose(f);
    return n;
}

static void write_whole(const char *path, const uint8_t *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

Test(frames, cache_is_used_when_it_agrees_and_made_anew_when_not)
{
    static uint8_t good[1 << 20], bad[1 << 20];
    char file[1024];
    const char *recording;
    size_t n;
    sp_dataset *ds, *direct;
    float *want;
    make_set(300);
    ds = open_set((sp_dataset_options){.train = 1});
    direct = open_set((sp_dataset_options){.train = 1, .events = {.no_cache = true}});
    want = get(direct, 0, 0);
    cr_assert_eq(cache_files(file), 0, "without a cache nothing is written");
    cr_assert(same(ds, 0, 0, direct, 0, 0));
    cr_assert_eq(cache_files(file), 1);
    n = read_whole(file, good, sizeof good);
    /* a damaged file is not believed, and replaced */
    for (size_t at = 0; at < n + 4; at += at < 60 ? 1 : n / 23 + 1) {
        memcpy(bad, good, n);
        if (at < n)
            bad[at] ^= 0x10;
        write_whole(file, bad, at < n ? n : n - 1 - (at - n));
        cr_assert(same(ds, 0, 0, direct, 0, 0), "byte %zu", at);
        cr_assert_eq(read_whole(file, bad, sizeof bad), n, "byte %zu", at);
        cr_assert_arr_eq(bad, good, n);
    }
    write_whole(file, good, 0);
    cr_assert(same(ds, 0, 0, direct, 0, 0));
    /* it is really used: a file of another recording's frames in its place would be */
    cr_assert_eq(unlink(scratch_path("set/a/0.aedat")), 0);
    {
        int32_t label;
        sp_error err = {0};
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, want, &label, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "a/0.aedat"), "%s", err.text);
    }
    /* another recording under the name: other size, then only another time */
    recording = "set/a/0.aedat";
    scratch_write(recording, "#!AER-DAT2.0\r\n\0\0\0\0\0\0\0\1", 22);
    cr_assert(same(ds, 0, 0, direct, 0, 0));
    scratch_write(recording, "#!AER-DAT2.0\r\n\0\0\1\0\0\0\0\1", 22);
    cr_assert_eq(utime(scratch_path(recording), &(struct utimbuf){1000, 1000}), 0);
    cr_assert(same(ds, 0, 0, direct, 0, 0));
    cr_assert_eq(cache_files(file), 1, "the file was replaced, not added to");
    free(want);
    sp_dataset_close(&ds);
    sp_dataset_close(&direct);
    scratch_remove();
}

/* A changed recording of the same size and time is not noticed: that shows that the cache is read. */
Test(frames, cache_saves_reading)
{
    struct stat info;
    sp_dataset *ds;
    float *first, *second;
    make_set(50);
    ds = open_set((sp_dataset_options){.train = 1});
    first = get(ds, 0, 0);
    cr_assert_eq(stat(scratch_path("set/a/0.aedat"), &info), 0);
    {
        static uint8_t bytes[1024];
        struct timespec times[2] = {info.st_atim, info.st_mtim};
        size_t n = read_whole(scratch_path("set/a/0.aedat"), bytes, sizeof bytes);
        bytes[n - 5] ^= 2;
        scratch_write("set/a/0.aedat", bytes, n);
        cr_assert_eq(utimensat(AT_FDCWD, scratch_path("set/a/0.aedat"), times, 0), 0);
    }
    second = get(ds, 0, 0);
    cr_assert_arr_eq(first, second, 3 * 128 * 128 * 2 * sizeof *first);
    free(first);
    free(second);
    sp_dataset_close(&ds);
    scratch_remove();
}

Test(frames, cache_keeps_options_apart)
{
    static const sp_dataset_options kinds[] = {
        {.size = 0},
        {.size = 48},
        {.size = 48, .events = {.resize = SP_RESIZE_PIL}},
        {.events = {.by = SP_BY_TIME}},
        {.events = {.by = SP_BY_TIME, .window = 0.001}},
        {.events = {.orientation = SP_ORIENT_PLAIN}},
        {.events = {.normalise = SP_NORMALISE_MAX}},
    };
    enum { N = sizeof kinds / sizeof *kinds };
    char file[1024];
    make_set(300);
    for (int round = 0; round < 2; round++) {
        for (int k = 0; k < N; k++) {
            sp_dataset_options o = kinds[k], d = kinds[k];
            sp_dataset *ds, *direct;
            d.events.no_cache = true;
            ds = open_set(o);
            direct = open_set(d);
            cr_assert(same(ds, 1, 0, direct, 1, 0), "kind %d", k);
            sp_dataset_close(&ds);
            sp_dataset_close(&direct);
        }
        cr_assert_eq(cache_files(file), N);
    }
    scratch_remove();
}

static sp_log_level heard_level = SP_LOG_DEBUG;
static int heard;

static void listen(void *ctx, sp_log_level level, const char *text)
{
    (void)ctx;
    heard += level == SP_LOG_WARNING && strstr(text, "not kept") != NULL;
    heard_level = level;
}

Test(frames, a_cache_that_cannot_be_written_is_said_once)
{
    sp_dataset *ds;
    make_set(50);
    scratch_write("a-file", "x", 1);
    setenv("SPIKEPORT_CACHE_DIR", scratch_path("a-file/inside"), 1);
    sp_log_set_level(SP_LOG_INFO);
    sp_log_install(listen, NULL);
    ds = open_set((sp_dataset_options){.train = 1});
    for (size_t i = 0; i < 5; i++)
        free(get(ds, i, 0));
    cr_assert_eq(heard, 1);
    sp_dataset_close(&ds);
    sp_log_install(NULL, NULL);
    scratch_remove();
}

static void *reader(void *arg)
{
    const sp_dataset *ds = arg;
    for (size_t i = 0; i < 18; i++)
        free(get(ds, i, 0));
    return NULL;
}

Test(frames, cache_takes_several_threads)
{
    sp_dataset *ds, *direct;
    pthread_t threads[4];
    char file[1024];
    make_set(200);
    ds = open_set((sp_dataset_options){.train = 1, .size = 48});
    direct = open_set((sp_dataset_options){.train = 1, .size = 48, .events = {.no_cache = true}});
    for (int k = 0; k < 4; k++)
        cr_assert_eq(pthread_create(&threads[k], NULL, reader, ds), 0);
    for (int k = 0; k < 4; k++)
        pthread_join(threads[k], NULL);
    cr_assert_eq(cache_files(file), 18);
    for (size_t i = 0; i < 18; i++)
        cr_assert(same(ds, i, 0, direct, i, 0));
    sp_dataset_close(&ds);
    sp_dataset_close(&direct);
    scratch_remove();
}
