/* Still images as spike trains: a data set in front of another one. Pixels must lie in 0..1, so no mean or
 * std goes with an encoding. rate:    at every step a pixel spikes with probability v, drawn anew each time
 * latency: one spike, at step (T - 1)(1 - v) rounded to the nearest; a black pixel (v = 0) never spikes */
#include <math.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/augment.h"
#include "data/readers.h"

#define STREAM_RATE 0x5241544500000000u /* "RATE": + epoch */
enum { MAX_FRAMES = 4096, MAX_ITEMS = 1 << 30 };

typedef struct encode_state {
    sp_dataset *inner; /* first: spi_wrapper */
    sp_encoding encoding;
    uint64_t seed;
    size_t items; /* of a frame */
} encode_state;

static void write_rate(const float *pixels, size_t n, sp_rng *r, float *out)
{
    for (size_t k = 0; k < n; k++)
        out[k] =
            sp_rng_uniform(r) < pixels[k] ? 1.0f : 0.0f; /* uniform is below 1: a white pixel always spikes */
}

static void write_latency(const float *pixels, size_t n, int t, int frames, float *out)
{
    for (size_t k = 0; k < n; k++) {
        float v = pixels[k];
        out[k] = v > 0.0f && (int)lroundf((float)(frames - 1) * (1.0f - v)) == t ? 1.0f : 0.0f;
    }
}

/* The image is read to where the last frame goes; that frame is written last, and both encoders go pixel by
 * pixel. */
static sp_status encode_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                            sp_error *err)
{
    const encode_state *s = ds->state;
    int frames = ds->info.frames;
    float *pixels = image + (size_t)(frames - 1) * s->items;
    sp_rng r = sp_rng_make(s->seed, STREAM_RATE + sp_sample_pass(want));
    r.counter = (uint64_t)want.index << 32;
    SP_TRY(s->inner->get(s->inner, want, pixels, label, err));
    for (size_t k = 0; k < s->items; k++) {
        if (!(pixels[k] >= 0.0f && pixels[k] <= 1.0f))
            return SP_FAIL(err, SP_E_DATA,
                           "data set \"%s\": sample %zu has a value of %g; only 0 to 1 can be encoded",
                           ds->info.name, want.index + 1, (double)pixels[k]);
    }
    for (int t = 0; t < frames; t++, image += s->items) {
        if (s->encoding == SP_ENCODE_RATE)
            write_rate(pixels, s->items, &r, image);
        else
            write_latency(pixels, s->items, t, frames, image);
    }
    return SP_OK;
}

static sp_status check(const sp_dataset *inner, const sp_dataset_options *o, int frames, sp_error *err)
{
    const sp_dataset_info *i = &inner->info;
    size_t items = sp_dataset_frame_items(i);
    if (i->frames)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": encode: its samples are sequences already; leave it out", i->name);
    if (frames < 1 || frames > MAX_FRAMES || items > MAX_ITEMS / (size_t)frames)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": encode: %d frames; choose 1 to %d, as many as time steps", i->name,
                       frames, MAX_FRAMES);
    if (o->mean != 0.0 || o->std != 1.0 || o->n_means || o->n_stds)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": encode: needs pixels in 0 to 1; leave mean and std out", i->name);
    return SP_OK;
}

sp_status sp_encode_wrap(const sp_dataset_options *o, sp_dataset **ds, sp_error *err)
{
    int frames = o->frames ? o->frames : o->time_steps;
    sp_dataset *outer;
    encode_state *s;
    SP_TRY(check(*ds, o, frames, err));
    outer = sp_alloc(sizeof *outer);
    s = sp_alloc(sizeof *s);
    if (!outer || !s) {
        sp_free(outer);
        sp_free(s);
        return SP_FAIL(err, SP_E_MEMORY, "data set \"%s\": out of memory", (*ds)->info.name);
    }
    *s = (encode_state){.inner = *ds, .encoding = (sp_encoding)o->encoding, .seed = o->seed};
    s->items = sp_dataset_frame_items(&(*ds)->info);
    outer->info = (*ds)->info;
    outer->info.frames = frames;
    outer->get = encode_get;
    outer->label = spi_wrapped_label;
    outer->target = spi_wrapped_target;
    outer->source = spi_wrapped_source;
    outer->close = spi_wrapped_close;
    outer->state = s;
    outer->class_names = (*ds)->class_names;
    (*ds)->class_names = NULL;
    *ds = outer;
    return SP_OK;
}
