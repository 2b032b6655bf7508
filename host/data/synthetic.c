/* A data set made from a seed: for tests, benchmarks and first steps without a download. Each class has a
 * smooth periodic pattern; a sample is its class's pattern, moved by a pixel or two, with noise; every frame
 * of a sequence moves anew. On request nothing but noise. A pure function of (options, i): nothing is stored
 * but the patterns. It says nothing about accuracy on real data. */
#include <math.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/size.h"
#include "data/augment.h"
#include "data/readers.h"

#define STREAM_PATTERN 0x53594e5400000000u /* "SYNT": + class */
#define STREAM_TRAIN   0x53594e5500000000u /* + sample */
#define STREAM_TEST    0x53594e5600000000u
#define TWO_PI         6.283185307179586
enum { N_WAVES = 6, MAX_FREQUENCY = 2, MAX_CLASSES = 65536, MAX_SIDE = 65536, MAX_ITEMS = 1 << 30 };
/* Pixels are GREY + CONTRAST * pattern + NOISE * noise, cut to 0..1 like the pixels of a real image. */
static const float GREY = 0.5f, CONTRAST = 0.2f, NOISE = 0.15f,
                   NOISE_ALONE = 0.25f; /* the same power as both */

typedef struct synthetic_state {
    float *patterns; /* [classes][H][W][C], zero mean, unit power */
    uint64_t seed;
    uint64_t stream; /* of sample 0 */
    size_t frame_items;
    int max_shift;
    float contrast, noise;
    sp_normal normal;
} synthetic_state;

/* Sum of a few waves with whole periods over the image, so that a shifted image wraps around without a seam.
 */
static void make_pattern(float *pattern, const sp_dataset_info *info, sp_rng *r)
{
    size_t n = sp_dataset_frame_items(info);
    double power = 0.0;
    for (int wave = 0; wave < N_WAVES * info->channels; wave++) {
        int c = wave / N_WAVES;
        double fy = (double)sp_rng_below(r, MAX_FREQUENCY + 1);
        double fx = (double)sp_rng_below(r, 2 * MAX_FREQUENCY + 1) - MAX_FREQUENCY;
        double phase = TWO_PI * (double)sp_rng_uniform(r);
        double gain = 0.5 + (double)sp_rng_uniform(r);
        if (fx == 0.0 && fy == 0.0)
            fx = fy = 1.0;
        for (int y = 0; y < info->height; y++) {
            for (int x = 0; x < info->width; x++) {
                double a = TWO_PI * (fy * y / info->height + fx * x / info->width) + phase;
                pattern[((size_t)y * (size_t)info->width + (size_t)x) * (size_t)info->channels + (size_t)c] +=
                    (float)(gain * cos(a));
            }
        }
    }
    for (size_t i = 0; i < n; i++)
        power += (double)pattern[i] * (double)pattern[i];
    power = sqrt(power / (double)n);
    for (size_t i = 0; power > 1e-9 && i < n; i++)
        pattern[i] = (float)((double)pattern[i] / power);
}

/* Sum of four bytes: close enough to normal, and one random word per pixel keeps the loader ahead of a GPU.
 */
static float cheap_noise(uint32_t word)
{
    int sum = (int)(word & 255u) + (int)(word >> 8 & 255u) + (int)(word >> 16 & 255u) + (int)(word >> 24);
    return (float)(sum - 510) * (1.0f / 147.8f);
}

/* One frame of a class: its pattern moved by a new shift, with new noise. */
static float *write_frame(const sp_dataset *ds, const float *pattern, sp_rng *r, float *out)
{
    const synthetic_state *s = ds->state;
    size_t height = (size_t)ds->info.height, width = (size_t)ds->info.width;
    size_t channels = (size_t)ds->info.channels, shift = (size_t)s->max_shift;
    size_t dy = height - shift + sp_rng_below(r, 2 * (uint32_t)shift + 1);
    size_t dx = width - shift + sp_rng_below(r, 2 * (uint32_t)shift + 1);
    for (size_t y = 0; y < height; y++) {
        const float *row = pattern + (y + dy) % height * width * channels;
        for (size_t x = 0; x < width; x++) {
            const float *from = row + (x + dx) % width * channels;
            for (size_t c = 0; c < channels; c++) {
                float v = GREY + s->contrast * from[c] + s->noise * cheap_noise(sp_rng_u32(r));
                v = v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
                size_t k = c % (size_t)s->normal.n;
                *out++ = (v - s->normal.mean[k]) * s->normal.scale[k];
            }
        }
    }
    return out;
}

static int32_t synthetic_label(const sp_dataset *ds, size_t i)
{
    return (int32_t)(i % (size_t)ds->info.classes);
}

static sp_status synthetic_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                               sp_error *err)
{
    const synthetic_state *s = ds->state;
    size_t i = want.index;
    sp_rng r = sp_rng_make(s->seed, s->stream + i);

    *label = synthetic_label(ds, i);
    if (i >= ds->info.count)
        return SP_FAIL(err, SP_E_DATA, "sample %zu of data set \"synthetic\", which has %zu", i,
                       ds->info.count);
    for (int t = 0; t < (ds->info.frames ? ds->info.frames : 1); t++)
        image = write_frame(ds, s->patterns + (size_t)*label * s->frame_items, &r, image);
    return SP_OK;
}

static void synthetic_close(sp_dataset *ds)
{
    synthetic_state *s = ds->state;
    sp_free(s->patterns);
    sp_free(s);
}

static sp_status one_size(const char *what, int value, int fallback, int most, int *out, sp_error *err)
{
    if (value < 0 || value > most)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"synthetic\": %s is %d; choose 1 to %d, or 0 for the default %d", what,
                       value, most, fallback);
    *out = value ? value : fallback;
    return SP_OK;
}

static sp_status read_options(const sp_dataset_options *o, sp_dataset_info *info, sp_error *err)
{
    SP_TRY(one_size("classes", o->classes, 10, MAX_CLASSES, &info->classes, err));
    SP_TRY(one_size("channels", o->channels, 1, MAX_SIDE, &info->channels, err));
    SP_TRY(one_size("height", o->height, 28, MAX_SIDE, &info->height, err));
    SP_TRY(one_size("width", o->width, 28, MAX_SIDE, &info->width, err));
    if (o->frames < 0 || o->frames > MAX_SIDE)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"synthetic\": frames is %d; choose 1 to %d, or 0 for still images",
                       o->frames, MAX_SIDE);
    info->frames = o->frames;
    info->count = o->count ? o->count : 1000;
    if (info->count > UINT32_MAX)
        return SP_FAIL(err, SP_E_CONFIG, "data set \"synthetic\": count is %zu; choose 1 to %lu", info->count,
                       (unsigned long)UINT32_MAX);
    return SP_OK;
}

sp_status sp_synthetic_open(const sp_kind *kind, const char *folder, const sp_dataset_options *o,
                            sp_dataset *ds, sp_error *err)
{
    sp_dataset_info info = {0};
    synthetic_state *s;
    sp_normal normal;
    int64_t items, of_classes, of_frames;
    int side;

    (void)kind, (void)folder; /* it has no files */
    SP_TRY(read_options(o, &info, err));
    SP_TRY(sp_normal_init(&normal, o, info.channels, err));
    if (!SP_SIZE_MUL(&items, info.height, info.width, info.channels) ||
        !SP_SIZE_MUL(&of_classes, items, info.classes) || !SP_SIZE_MUL(&of_frames, items, info.frames) ||
        items > MAX_ITEMS || of_classes > MAX_ITEMS || of_frames > MAX_ITEMS)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"synthetic\": %d classes of %d frames of %dx%dx%d are too large; keep "
                       "channels x height x width x classes, and x frames, below 2^30",
                       info.classes, info.frames, info.channels, info.height, info.width);
    s = sp_alloc(sizeof *s);
    if (s)
        s->patterns = sp_alloc_array((size_t)of_classes, sizeof(float));
    if (!s || !s->patterns) {
        sp_free(s);
        return SP_FAIL(err, SP_E_MEMORY,
                       "data set \"synthetic\": no memory for its patterns; ask for smaller images");
    }
    for (int c = 0; c < info.classes; c++) {
        sp_rng r = sp_rng_make(o->seed, STREAM_PATTERN + (uint64_t)c);
        make_pattern(s->patterns + (size_t)items * (size_t)c, &info, &r);
    }
    side = info.height < info.width ? info.height : info.width;
    s->max_shift = side >= 28 ? 2 : side / 14; /* about a seventh of the shortest wave */
    s->contrast = o->noise ? 0 : CONTRAST;
    s->noise = o->noise ? NOISE_ALONE : NOISE;
    s->seed = o->seed;
    s->stream = o->train ? STREAM_TRAIN : STREAM_TEST;
    s->frame_items = (size_t)items;
    s->normal = normal;
    ds->info = info;
    ds->state = s;
    ds->get = synthetic_get;
    ds->label = synthetic_label;
    ds->close = synthetic_close;
    return SP_OK;
}
