/* Events into frames, and what may be done to frames: normalise, roll, mirror. Where events come from is the
 * readers' business, other sizes that of frame_resize.c. */
#include "data/events.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/file.h"

#define STREAM_EVENTS 0x4556544100000000u /* "EVTA": + epoch */

static const size_t most_bytes = (size_t)1
                                 << 32; /* of a recording; those of DVS128 Gesture have up to 0.1 GiB */

void sp_events_free(sp_events *e)
{
    sp_free(e->items);
    *e = (sp_events){0};
}

sp_status sp_events_reserve(sp_events *e, size_t n, const char *name, sp_error *err)
{
    sp_event *grown;
    size_t cap = e->cap * 2 > n ? e->cap * 2 : n;
    if (n <= e->cap)
        return SP_OK;
    if (cap > SIZE_MAX / sizeof *e->items || !(grown = sp_realloc(e->items, cap * sizeof *e->items)))
        return SP_FAIL(err, SP_E_MEMORY, "%s: no memory for its %zu events", name, n);
    e->items = grown;
    e->cap = cap;
    return SP_OK;
}

sp_status sp_recording_read(const char *path, uint8_t **bytes, size_t *n, sp_error *err)
{
    char *text = NULL;
    sp_status st = sp_file_read(path, most_bytes, &text, n, err);
    *bytes = (uint8_t *)text;
    return st == SP_E_IO ? sp_error_as(err, SP_E_DATA) : st;
}

sp_status sp_aedat_parse(const char *name, const uint8_t *bytes, size_t n, sp_orientation orientation,
                         sp_events *out, sp_packet_counts *counts, sp_error *err)
{
    static const char v31[] = "#!AER-DAT3.1";
    if (n < sizeof v31 - 1 || memcmp(bytes, v31, sizeof v31 - 1) != 0)
        return sp_aedat2_parse(name, bytes, n, orientation, out, err);
    if (orientation != SP_ORIENT_DEFAULT && orientation != SP_ORIENT_PLAIN)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: an AEDAT 3.1 file, which says its own coordinates; leave \"orientation\" away",
                       name);
    return sp_aedat31_parse(name, bytes, n, NULL, out, counts, err);
}

/* Events of one time in an order that depends on nothing else. */
static int by_time(const void *a, const void *b)
{
    const sp_event *x = a, *y = b;
    if (x->t != y->t)
        return x->t < y->t ? -1 : 1;
    if (x->y != y->y)
        return x->y < y->y ? -1 : 1;
    return x->x != y->x ? (x->x < y->x ? -1 : 1) : (int)x->p - (int)y->p;
}

void sp_events_sort(sp_events *e)
{
    for (size_t k = 1; k < e->n; k++)
        if (e->items[k].t < e->items[k - 1].t) {
            qsort(e->items, e->n, sizeof *e->items, by_time);
            return;
        }
}

void sp_events_augment(sp_events *e, const sp_augment *a, uint64_t seed, sp_sample_request want)
{
    sp_rng r = sp_rng_make(seed, STREAM_EVENTS + sp_sample_pass(want));
    size_t kept = 0;
    r.counter = (uint64_t)want.index << 32;
    for (size_t k = 0; k < e->n; k++) {
        sp_event moved = e->items[k];
        if (a->drop > 0.0 && (double)sp_rng_uniform(&r) < a->drop)
            continue;
        if (a->time_jitter > 0.0)
            moved.t += llround(a->time_jitter * (double)sp_rng_normal(&r));
        e->items[kept++] = moved;
    }
    e->n = kept;
    if (a->time_jitter > 0.0 && kept > 1)
        qsort(e->items, kept, sizeof *e->items, by_time);
}

/* Frame of event k, T for "none". */
static size_t frame_by_count(size_t k, size_t n, size_t frames, bool keep_rest)
{
    size_t each = n / frames, f = each ? k / each : frames - (keep_rest ? 1 : 0);
    return f < frames ? f : frames - (keep_rest ? 1 : 0);
}

typedef struct time_axis {
    int64_t from;
    uint64_t length; /* of the window, or of one frame */
    bool whole;      /* length is the window's: frame = (t - from) * T / length */
} time_axis;

/* Without a window every frame lasts (last - first)/T, rounded down to a microsecond, as other readers have
 * it. */
static time_axis find_axis(const sp_event *e, size_t n, size_t frames, int64_t origin_us, int64_t window_us)
{
    int64_t first = n ? e[0].t : 0, last = first;
    if (window_us > 0)
        return (time_axis){origin_us, (uint64_t)window_us, true};
    for (size_t k = 1; k < n; k++) {
        first = e[k].t < first ? e[k].t : first;
        last = e[k].t > last ? e[k].t : last;
    }
    return (time_axis){first, ((uint64_t)last - (uint64_t)first) / frames, false};
}

static size_t frame_by_time(const time_axis *a, int64_t t, size_t frames)
{
    uint64_t since = t > a->from ? (uint64_t)t - (uint64_t)a->from : 0, f;
    if (a->whole)
        f = since >= a->length ? frames : (uint64_t)((double)since * (double)frames / (double)a->length);
    else
        f = a->length ? since / a->length : frames;
    return f < frames ? (size_t)f : frames - 1;
}

void sp_events_to_frames(const sp_event *e, size_t n, const sp_frame_shape *shape, sp_event_by by,
                         int64_t origin_us, int64_t window_us, float *frames)
{
    size_t height = (size_t)shape->height, width = (size_t)shape->width,
           polarities = (size_t)shape->polarities;
    size_t n_frames = (size_t)shape->frames, items = height * width * polarities;
    time_axis axis = {0};
    memset(frames, 0, n_frames * items * sizeof *frames);
    if (by == SP_BY_TIME)
        axis = find_axis(e, n, n_frames, origin_us, window_us);
    for (size_t k = 0; k < n; k++) {
        size_t f = by == SP_BY_TIME ? frame_by_time(&axis, e[k].t, n_frames)
                                    : frame_by_count(k, n, n_frames, by == SP_BY_COUNT);
        if (f < n_frames)
            frames[f * items + ((size_t)e[k].y * width + e[k].x) * polarities + e[k].p] += 1.0f;
    }
}

void sp_frames_normalise_max(const sp_frame_shape *shape, float *frames)
{
    size_t items = (size_t)shape->height * (size_t)shape->width * (size_t)shape->polarities;
    for (int t = 0; t < shape->frames; t++, frames += items) {
        float most = 0.0f;
        for (size_t k = 0; k < items; k++)
            most = frames[k] > most ? frames[k] : most;
        for (size_t k = 0; most > 0.0f && k < items; k++)
            frames[k] /= most;
    }
}

static int draw_shift(sp_rng *r, int most)
{
    return most > 0 ? (int)sp_rng_below(r, 2 * (uint32_t)most + 1) - most : 0;
}

sp_frame_draw sp_frame_draw_from(const sp_augment *a, sp_rng *r)
{
    sp_frame_draw d = {0};
    d.crop_y = draw_shift(r, (int)a->crop);
    d.crop_x = draw_shift(r, (int)a->crop);
    d.flip = a->flip > 0.0 && (double)sp_rng_uniform(r) < a->flip;
    d.roll_y = draw_shift(r, (int)a->roll);
    d.roll_x = draw_shift(r, (int)a->roll);
    return d;
}

/* Where pixel `at` of a line goes: around the edge, or to -1 when it leaves a line that is cropped. */
static int place(int at, int by, int side, bool around)
{
    int m = around ? (at + by) % side : at + by;
    return around ? (m < 0 ? m + side : m) : m < 0 || m >= side ? -1 : m;
}

static void shift(const sp_frame_shape *shape, int dy, int dx, bool flip, bool around, float *scratch,
                  float *frame)
{
    size_t polarities = (size_t)shape->polarities, row = (size_t)shape->width * polarities;
    memcpy(scratch, frame, (size_t)shape->height * row * sizeof *frame);
    if (!around)
        memset(frame, 0, (size_t)shape->height * row * sizeof *frame);
    for (int y = 0; y < shape->height; y++) {
        int to_y = place(y, dy, shape->height, around);
        for (int x = 0; to_y >= 0 && x < shape->width; x++) {
            int to_x = place(flip ? shape->width - 1 - x : x, dx, shape->width, around);
            if (to_x >= 0)
                memcpy(frame + (size_t)to_y * row + (size_t)to_x * polarities,
                       scratch + (size_t)y * row + (size_t)x * polarities, polarities * sizeof *frame);
        }
    }
}

void sp_frames_augment(const sp_frame_shape *shape, const sp_frame_draw *d, float *scratch, float *frames)
{
    size_t items = (size_t)shape->height * (size_t)shape->width * (size_t)shape->polarities;
    for (int t = 0; t < shape->frames; t++, frames += items) {
        if (d->crop_y || d->crop_x)
            shift(shape, d->crop_y, d->crop_x, false, false, scratch, frames);
        if (d->flip || d->roll_y || d->roll_x)
            shift(shape, d->roll_y, d->roll_x, d->flip, true, scratch, frames);
    }
}

sp_status sp_frames_finish(const sp_frame_shape *shape, const sp_augment *a, const sp_normal *normal,
                           uint64_t seed, sp_sample_request want, float *frames, sp_error *err)
{
    size_t items = (size_t)shape->height * (size_t)shape->width * (size_t)shape->polarities;
    size_t n = (size_t)shape->frames * items, entries = (size_t)normal->n;
    if (a->crop > 0.0 || a->roll > 0.0 || a->flip > 0.0) {
        sp_rng r = sp_augment_rng(seed, want);
        sp_frame_draw draw = sp_frame_draw_from(a, &r);
        float *scratch = sp_alloc_array(items, sizeof *scratch);
        if (!scratch)
            return SP_FAIL(err, SP_E_MEMORY, "no memory for a sample");
        sp_frames_augment(shape, &draw, scratch, frames);
        sp_free(scratch);
    }
    for (size_t k = 0; k < n; k++) {
        size_t c = entries == 1 ? 0 : k % entries; /* as many entries as channels, which come last */
        frames[k] = (frames[k] - normal->mean[c]) * normal->scale[c];
    }
    return SP_OK;
}
