/* Event data sets: what their folders look like, and how a sample comes about: read the
 * recording (or the cache), frames, resize, augment, normalise. Nothing of a recording is kept in memory. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "data/augment.h"
#include "data/events.h"
#include "data/readers.h"

#define SHD_SECONDS 1.4

typedef struct event_state {
    const sp_kind *set;
    sp_event_list list;
    sp_sensor full;             /* before binning */
    sp_frame_shape sensor, out; /* out: after resizing */
    sp_event_by by;
    sp_recording_format format;
    int bin;
    sp_frame_normalise normalise;
    int resize_kind;
    int64_t window_us;
    sp_resize *resize; /* NULL: size of the sensor */
    sp_frame_cache *cache;
    sp_augment augment;
    sp_normal normal;
    uint64_t seed;
    atomic_bool told_valid, told_empty; /* each is said once a data set */
    atomic_bool some;                   /* a sample with events was read */
    atomic_size_t empty;                /* samples without, as long as there was none with */
} event_state;

static size_t items_of(const sp_frame_shape *shape)
{
    return (size_t)shape->height * (size_t)shape->width * (size_t)shape->polarities;
}

/* ---- a sample ---- */

/* A sample without events would be a black image with a label. Of one file it is an error; a file of spike
 * trains has thousands of samples, of which some may be silent, but not all. */
static sp_status check_some(event_state *s, size_t i, const sp_events *e, sp_error *err)
{
    const sp_file *r = s->list.shd ? NULL : &s->list.files.items[i];
    bool too_few = s->by == SP_BY_COUNT_EQUAL && e->n < (size_t)s->sensor.frames;
    if (e->n && !too_few) {
        s->some = true;
        return SP_OK;
    }
    if (e->n)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: %zu events, fewer than the %d frames, so that count-equal would drop all of "
                       "them; choose events.by: count or fewer frames",
                       r ? r->path : s->set->name, e->n, s->sensor.frames);
    if (r && r->line)
        return SP_FAIL(err, SP_E_DATA,
                       "%.*s_labels.csv:%d: %s has no event from %lld to %lld microseconds; correct or "
                       "remove the row",
                       (int)(strlen(r->path) - strlen(".aedat")), r->path, (int)r->line, r->path,
                       (long long)r->range.start, (long long)r->range.end);
    if (r)
        return SP_FAIL(err, SP_E_DATA, "%s: a recording without any event; remove it or fetch it again",
                       r->path);
    if (!s->some && ++s->empty >= sp_shd_count(s->list.shd))
        return SP_FAIL(err, SP_E_DATA, "data set \"%s\": none of its %zu samples has a spike", s->set->name,
                       sp_shd_count(s->list.shd));
    if (!atomic_exchange(&s->told_empty, true))
        sp_log(SP_LOG_WARNING,
               "data set \"%s\": sample %zu has no spikes: an empty input with a label (further ones are not "
               "named)",
               s->set->name, i + 1);
    return SP_OK;
}

/* Own recordings may be of a sensor of any size; those of the known sets were checked by their readers. */
static sp_status check_inside(const event_state *s, const char *path, const sp_events *e, sp_error *err)
{
    for (size_t k = 0; k < e->n; k++)
        if (e->items[k].x >= s->full.width || e->items[k].y >= s->full.height)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: event %zu is at x %d, y %d, outside of the sensor of %d x %d (height x "
                           "width); set data.events.sensor, or remove the recording",
                           path, k + 1, e->items[k].x, e->items[k].y, s->full.height, s->full.width);
    return SP_OK;
}

static sp_status read_recording(event_state *s, const sp_file *r, sp_events *out, sp_error *err)
{
    sp_packet_counts counts = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    sp_status st;
    if (s->set->events.layout == SP_LAYOUT_OWN) {
        SP_TRY(sp_recording_events(r->path, &s->format, out, NULL, err));
        return check_inside(s, r->path, out, err);
    }
    SP_TRY(sp_recording_read(r->path, &bytes, &n, err));
    if (s->set->events.layout == SP_LAYOUT_NMNIST)
        st = sp_nmnist_parse(r->path, bytes, n, out, err);
    else if (s->set->events.layout == SP_LAYOUT_GESTURES)
        st = sp_aedat31_parse(r->path, bytes, n, r->line ? &r->range : NULL, out, &counts, err);
    else
        st = sp_aedat_parse(r->path, bytes, n, s->format.orientation, out, &counts, err);
    sp_free(bytes);
    if (st == SP_OK && counts.none_valid && !atomic_exchange(&s->told_valid, true))
        sp_log(SP_LOG_WARNING,
               "%s: %zu of %zu packets mark all of their events as invalid; such events are taken as they "
               "are, in this and the other recordings of the set",
               r->path, counts.none_valid, counts.polarity);
    return st;
}

static sp_status read_events(event_state *s, size_t i, sp_events *out, sp_error *err)
{
    SP_TRY(s->list.shd ? sp_shd_events(s->list.shd, i, out, err)
                       : read_recording(s, &s->list.files.items[i], out, err));
    for (size_t k = 0; s->bin > 1 && k < out->n; k++) {
        out->items[k].x = (uint16_t)(out->items[k].x / s->bin);
        out->items[k].y = (uint16_t)(out->items[k].y / s->bin);
    }
    return check_some(s, i, out, err);
}

static int64_t origin_of(const event_state *s, size_t i, const sp_events *e)
{
    if (s->list.shd)
        return 0;
    return s->list.files.items[i].line ? s->list.files.items[i].range.start : e->n ? e->items[0].t : 0;
}

static sp_status no_memory(const event_state *s, sp_error *err)
{
    return SP_FAIL(err, SP_E_MEMORY, "data set \"%s\": no memory for a sample", s->set->name);
}

static bool changes_events(const event_state *s)
{
    return s->augment.drop > 0.0 || s->augment.time_jitter > 0.0;
}

/* Frames of the sensor's size, by way of `work` where they are resized. */
static sp_status decode(event_state *s, sp_sample_request want, float *frames, sp_error *err)
{
    size_t i = want.index;
    size_t n = (size_t)s->sensor.frames * items_of(&s->sensor);
    sp_events events = {0};
    float *work = s->resize ? sp_alloc_array(n, sizeof *work) : frames;
    void *scratch = s->resize ? sp_alloc(sp_resize_scratch_bytes(s->resize)) : NULL;
    sp_status st;
    if (!work || (s->resize && !scratch))
        SP_TRY_GOTO(no_memory(s, err));
    SP_TRY_GOTO(read_events(s, i, &events, err));
    int64_t origin = origin_of(s, i, &events);
    if (changes_events(s))
        sp_events_augment(&events, &s->augment, s->seed, want);
    sp_events_to_frames(events.items, events.n, &s->sensor, s->by, origin, s->window_us, work);
    if (s->normalise == SP_NORMALISE_MAX)
        sp_frames_normalise_max(&s->sensor, work);
    if (s->resize)
        sp_resize_run(s->resize, s->sensor.frames, work, scratch, frames);
done:
    sp_events_free(&events);
    sp_free(scratch);
    if (work != frames)
        sp_free(work);
    return st;
}

static void describe(const event_state *s, size_t i, sp_text *key, sp_text *source)
{
    const sp_file *r = &s->list.files.items[i];
    sp_text_add(key, "recording %s\n", r->path);
    if (r->line)
        sp_text_add(key, "from %lld to %lld\n", (long long)r->range.start, (long long)r->range.end);
    sp_text_add(key,
                "frames %d of %d, sensor %dx%d, bin %d, by %d in %lld us, orientation %d, unit %d, normalise "
                "%d, resize %d\n",
                s->out.frames, s->out.height, s->full.height, s->full.width, s->bin, (int)s->by,
                (long long)s->window_us, (int)s->format.orientation, s->format.unit, (int)s->normalise,
                s->resize ? s->resize_kind : -1);
    if (!sp_frame_cache_source(source, r->path))
        source->failed = 1;
}

/* The frames of sample i before augmentation, from the cache when it has them. */
static sp_status get_frames(event_state *s, sp_sample_request want, float *frames, sp_error *err)
{
    size_t n = (size_t)s->out.frames * items_of(&s->out);
    sp_text key = {0}, source = {0};
    sp_status st = SP_OK;
    bool usable;
    if (!s->cache || changes_events(s)) /* then no two epochs have the same frames */
        return decode(s, want, frames, err);
    describe(s, want.index, &key, &source);
    usable = !key.failed && !source.failed;
    if (!usable || !sp_frame_cache_get(s->cache, key.s, source.s, frames, n)) {
        st = decode(s, want, frames, err);
        if (st == SP_OK && usable)
            sp_frame_cache_put(s->cache, key.s, source.s, frames, n);
    }
    sp_text_free(&key);
    sp_text_free(&source);
    return st;
}

static int32_t event_label(const sp_dataset *ds, size_t i)
{
    const event_state *s = ds->state;
    return s->list.shd ? sp_shd_label(s->list.shd, i) : s->list.files.items[i].label;
}

static void event_target(const sp_dataset *ds, size_t i, float *out)
{
    const event_state *s = ds->state;
    sp_file_list_target(&s->list.files, i, out);
}

static sp_status event_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                           sp_error *err)
{
    event_state *s = ds->state;
    if (want.index >= ds->info.count)
        return SP_FAIL(err, SP_E_DATA, "sample %zu of data set \"%s\", which has %zu", want.index,
                       ds->info.name, ds->info.count);
    SP_TRY(get_frames(s, want, image, err));
    *label = event_label(ds, want.index);
    return sp_frames_finish(&s->out, &s->augment, &s->normal, s->seed, want, image, err);
}

static void state_free(event_state *s)
{
    if (!s)
        return;
    sp_file_list_free(&s->list.files);
    sp_shd_close(&s->list.shd);
    sp_resize_destroy(&s->resize);
    sp_frame_cache_close(&s->cache);
    sp_free(s);
}

static void event_source(const sp_dataset *ds, size_t i, sp_text *out)
{
    const event_state *s = ds->state;
    if (s->list.shd)
        sp_text_add(out, "sample %zu", i + 1);
    else
        sp_text_add(out, s->list.files.items[i].line ? "%s, row %d" : "%s", s->list.files.items[i].path,
                    (int)s->list.files.items[i].line);
}

static void event_close(sp_dataset *ds)
{
    state_free(ds->state);
}

/* ---- opening ---- */

/* The sensor of own recordings, as the recipe or the first recording says. */
static sp_status find_sensor(event_state *s, const sp_dataset_options *o, sp_error *err)
{
    const char *path = s->list.files.n ? s->list.files.items[0].path : "";
    sp_events events = {0};
    sp_sensor stated = {0};
    int height = 0, width = 0;
    sp_status st;
    s->full = sp_events_sensor(s->set, o);
    if (s->full.height || s->set->events.layout != SP_LAYOUT_OWN)
        return SP_OK;
    st = sp_recording_events(path, &s->format, &events, &stated, err);
    for (size_t k = 0; st == SP_OK && k < events.n; k++) {
        height = events.items[k].y >= height ? events.items[k].y + 1 : height;
        width = events.items[k].x >= width ? events.items[k].x + 1 : width;
    }
    sp_events_free(&events);
    SP_TRY(st);
    if (!stated.height)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": %s does not say how large the sensor is; set data.events.sensor: "
                       "[height, width], at least [%d, %d] for this recording",
                       s->set->name, path, height, width);
    s->full = stated;
    if (o->train)
        sp_log(SP_LOG_INFO, "data set \"%s\": a sensor of %d x %d (height x width), as %s says", s->set->name,
               stated.height, stated.width, path);
    return SP_OK;
}

static sp_status set_up(event_state *s, const sp_dataset_options *o, sp_error *err)
{
    const sp_event_options *e = &o->events;
    bool trains = s->set->events.layout == SP_LAYOUT_SPIKE_TRAINS;
    double window = e->window > 0.0 ? e->window : trains ? SHD_SECONDS : 0.0;
    SP_TRY(sp_events_shapes(s->set, o, s->full, &s->sensor, &s->out, err));
    SP_TRY(sp_normal_init(&s->normal, o, trains ? SP_SHD_UNITS : 2, err));
    s->by = e->by != SP_BY_DEFAULT ? (sp_event_by)e->by : trains ? SP_BY_TIME : SP_BY_COUNT;
    s->window_us = (int64_t)llround(window * 1e6);
    s->normalise = (sp_frame_normalise)e->normalise;
    s->resize_kind = e->resize;
    s->seed = o->seed;
    if (o->train)
        s->augment = o->augment;
    /* Equal sizes need no filter, but the round trip through images changes counts all the same. */
    bool same = o->size == s->sensor.height && o->size == s->sensor.width;
    if (o->size && (!same || e->resize == SP_RESIZE_PIL)) {
        s->resize =
            sp_resize_create((sp_frame_resize_kind)e->resize, s->sensor.height, s->sensor.width, o->size);
        if (!s->resize)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", s->set->name);
    }
    /* Files of N-MNIST are as small as their frames, and HDF5 reads one sample as fast as a cache. */
    if (!e->no_cache && s->set->events.layout != SP_LAYOUT_NMNIST && !trains)
        return sp_frame_cache_open(s->set->name, &s->cache, err);
    return SP_OK;
}

sp_status sp_events_open(const sp_kind *kind, const char *folder, const sp_dataset_options *o, sp_dataset *ds,
                         sp_error *err)
{
    event_state *s = sp_alloc(sizeof *s);
    sp_status st;
    if (!s)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", o->name);
    s->set = kind;
    s->format = (sp_recording_format){(sp_orientation)o->events.orientation, o->events.unit};
    s->bin = o->events.bin > 1 ? (int)o->events.bin : 1;
    SP_TRY_GOTO(sp_events_list(kind, o, folder, &s->list, err));
    SP_TRY_GOTO(find_sensor(s, o, err));
    SP_TRY_GOTO(set_up(s, o, err));
    ds->info = (sp_dataset_info){.count = s->list.shd ? sp_shd_count(s->list.shd) : s->list.files.n,
                                 .classes = s->list.classes,
                                 .targets = s->list.files.n_targets,
                                 .frames = s->out.frames,
                                 .channels = s->list.shd ? s->out.width : s->out.polarities,
                                 .height = s->out.height,
                                 .width = s->list.shd ? 1 : s->out.width,
                                 .cached = s->cache != NULL};
    ds->class_names = s->list.files.class_names;
    s->list.files.class_names = NULL;
    ds->state = s;
    ds->get = event_get;
    ds->label = event_label;
    ds->target = event_target;
    ds->source = event_source;
    ds->close = event_close;
done:
    if (st != SP_OK)
        state_free(s);
    return st;
}
