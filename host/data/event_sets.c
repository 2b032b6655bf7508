/* Event data sets: which there are, what their folders look like, and how a sample comes about: read the
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
enum { MAX_FRAMES = 4096, MAX_SIDE = 1024, MAX_ITEMS = 1 << 30 };

typedef enum { AEDAT_CLASSES, GESTURES, NMNIST, SPIKE_TRAINS } layout;

typedef struct event_set {
    const char *name;
    layout layout;
    int side;              /* of the sensor */
    const char *marker[2]; /* what a folder of the set holds: for the test and the training split */
    const char *inner;     /* folder that its archive makes, looked into as well; NULL none */
} event_set;

/* The form of the sets; dataset.c has what is known of them besides. */
static const event_set sets[] = {
    {"cifar10-dvs", AEDAT_CLASSES, SP_DVS128_SIDE, {"airplane", "airplane"}, NULL},
    {"dvs128-gesture", GESTURES, SP_DVS128_SIDE, {"trials_to_test.txt", "trials_to_train.txt"}, "DvsGesture"},
    {"n-mnist", NMNIST, SP_NMNIST_SIDE, {"Test", "Train"}, NULL},
    {"shd", SPIKE_TRAINS, 1, {"shd_test.h5", "shd_train.h5"}, NULL},
    {"ssc", SPIKE_TRAINS, 1, {"ssc_test.h5", "ssc_train.h5"}, NULL},
    {"aedat-folder", AEDAT_CLASSES, SP_DVS128_SIDE, {".", "."}, NULL},
};

static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

typedef struct event_state {
    const event_set *set;
    sp_recordings list; /* all but SHD and SSC */
    sp_shd *shd;
    sp_frame_shape sensor, out; /* out: after resizing */
    sp_event_by by;
    sp_orientation orientation;
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

static const event_set *find_set(const char *name)
{
    for (size_t i = 0; name && i < sizeof sets / sizeof *sets; i++) {
        if (strcmp(sets[i].name, name) == 0)
            return &sets[i];
    }
    return NULL;
}

static size_t items_of(const sp_frame_shape *shape)
{
    return (size_t)shape->height * (size_t)shape->width * (size_t)shape->polarities;
}

/* ---- a sample ---- */

/* A sample without events would be a black image with a label. Of one file it is an error; a file of spike
 * trains has thousands of samples, of which some may be silent, but not all. */
static sp_status check_some(event_state *s, size_t i, const sp_events *e, sp_error *err)
{
    const sp_recording *r = s->shd ? NULL : &s->list.items[i];
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
    if (!s->some && ++s->empty >= sp_shd_count(s->shd))
        return SP_FAIL(err, SP_E_DATA, "data set \"%s\": none of its %zu samples has a spike", s->set->name,
                       sp_shd_count(s->shd));
    if (!atomic_exchange(&s->told_empty, true))
        sp_log(SP_LOG_WARNING,
               "data set \"%s\": sample %zu has no spikes: an empty input with a label (further ones are not "
               "named)",
               s->set->name, i + 1);
    return SP_OK;
}

static sp_status read_recording(event_state *s, const sp_recording *r, sp_events *out, sp_error *err)
{
    sp_packet_counts counts = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    sp_status st;
    SP_TRY(sp_recording_read(r->path, &bytes, &n, err));
    if (s->set->layout == NMNIST)
        st = sp_nmnist_parse(r->path, bytes, n, out, err);
    else if (s->set->layout == GESTURES)
        st = sp_aedat31_parse(r->path, bytes, n, r->line ? &r->range : NULL, out, &counts, err);
    else
        st = sp_aedat_parse(r->path, bytes, n, s->orientation, out, &counts, err);
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
    SP_TRY(s->shd ? sp_shd_events(s->shd, i, out, err) : read_recording(s, &s->list.items[i], out, err));
    return check_some(s, i, out, err);
}

static int64_t origin_of(const event_state *s, size_t i, const sp_events *e)
{
    if (s->shd)
        return 0;
    return s->list.items[i].line ? s->list.items[i].range.start : e->n ? e->items[0].t : 0;
}

static sp_status no_memory(const event_state *s, sp_error *err)
{
    return SP_FAIL(err, SP_E_MEMORY, "data set \"%s\": no memory for a sample", s->set->name);
}

/* Frames of the sensor's size, by way of `work` where they are resized. */
static sp_status decode(event_state *s, size_t i, float *frames, sp_error *err)
{
    size_t n = (size_t)s->sensor.frames * items_of(&s->sensor);
    sp_events events = {0};
    float *work = s->resize ? sp_alloc_array(n, sizeof *work) : frames;
    void *scratch = s->resize ? sp_alloc(sp_resize_scratch_bytes(s->resize)) : NULL;
    sp_status st;
    if (!work || (s->resize && !scratch))
        SP_TRY_GOTO(no_memory(s, err));
    SP_TRY_GOTO(read_events(s, i, &events, err));
    sp_events_to_frames(events.items, events.n, &s->sensor, s->by, origin_of(s, i, &events), s->window_us,
                        work);
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
    const sp_recording *r = &s->list.items[i];
    sp_text_add(key, "recording %s\n", r->path);
    if (r->line)
        sp_text_add(key, "from %lld to %lld\n", (long long)r->range.start, (long long)r->range.end);
    sp_text_add(key,
                "frames %d of %d, sensor %d, by %d in %lld us, orientation %d, normalise %d, resize %d\n",
                s->out.frames, s->out.height, s->sensor.height, (int)s->by, (long long)s->window_us,
                (int)s->orientation, (int)s->normalise, s->resize ? s->resize_kind : -1);
    if (!sp_frame_cache_source(source, r->path))
        source->failed = 1;
}

/* The frames of sample i before augmentation, from the cache when it has them. */
static sp_status get_frames(event_state *s, size_t i, float *frames, sp_error *err)
{
    size_t n = (size_t)s->out.frames * items_of(&s->out);
    sp_text key = {0}, source = {0};
    sp_status st = SP_OK;
    bool usable;
    if (!s->cache)
        return decode(s, i, frames, err);
    describe(s, i, &key, &source);
    usable = !key.failed && !source.failed;
    if (!usable || !sp_frame_cache_get(s->cache, key.s, source.s, frames, n)) {
        st = decode(s, i, frames, err);
        if (st == SP_OK && usable)
            sp_frame_cache_put(s->cache, key.s, source.s, frames, n);
    }
    sp_text_free(&key);
    sp_text_free(&source);
    return st;
}

static sp_status augment(const event_state *s, sp_sample_request want, float *frames, sp_error *err)
{
    const sp_augment *a = &s->augment;
    sp_frame_draw draw;
    sp_rng r;
    float *scratch;
    if (!a->crop && !a->roll && !(a->flip > 0.0))
        return SP_OK;
    scratch = sp_alloc_array(items_of(&s->out), sizeof *scratch);
    if (!scratch)
        return no_memory(s, err);
    r = sp_augment_rng(s->seed, want);
    draw = sp_frame_draw_from(a, &r);
    sp_frames_augment(&s->out, &draw, scratch, frames);
    sp_free(scratch);
    return SP_OK;
}

static void normalise(const event_state *s, float *frames)
{
    size_t n = (size_t)s->out.frames * items_of(&s->out), entries = (size_t)s->normal.n;
    for (size_t k = 0; k < n; k++) {
        size_t c = entries == 1 ? 0 : k % entries; /* as many entries as channels, which come last */
        frames[k] = (frames[k] - s->normal.mean[c]) * s->normal.scale[c];
    }
}

static int32_t event_label(const sp_dataset *ds, size_t i)
{
    const event_state *s = ds->state;
    return s->shd ? sp_shd_label(s->shd, i) : s->list.items[i].label;
}

static sp_status event_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                           sp_error *err)
{
    event_state *s = ds->state;
    if (want.index >= ds->info.count)
        return SP_FAIL(err, SP_E_DATA, "sample %zu of data set \"%s\", which has %zu", want.index,
                       ds->info.name, ds->info.count);
    SP_TRY(get_frames(s, want.index, image, err));
    SP_TRY(augment(s, want, image, err));
    normalise(s, image);
    *label = event_label(ds, want.index);
    return SP_OK;
}

static void state_free(event_state *s)
{
    if (!s)
        return;
    sp_recordings_free(&s->list);
    sp_shd_close(&s->shd);
    sp_resize_destroy(&s->resize);
    sp_frame_cache_close(&s->cache);
    sp_free(s);
}

static void event_close(sp_dataset *ds)
{
    state_free(ds->state);
}

/* ---- opening ---- */

/* FOLDER, or FOLDER/<what the archive makes>, whichever holds the split; NULL: neither, or no memory. */
static char *find_folder(const event_set *set, const char *folder, bool train)
{
    for (int inner = 0; inner < (set->inner ? 2 : 1); inner++) {
        char *at = inner ? sp_format("%s/%s", folder, set->inner) : sp_strdup(folder);
        char *marker = at ? sp_format("%s/%s", at, set->marker[train]) : NULL;
        bool found = marker && sp_path_exists(marker);
        sp_free(marker);
        if (found)
            return at;
        sp_free(at);
    }
    return NULL;
}

bool sp_events_present(const char *name, const char *folder, bool train)
{
    char *at = find_folder(find_set(name), folder, train);
    sp_free(at);
    return at != NULL;
}

static sp_status list_samples(event_state *s, const sp_dataset_options *o, const char *folder, int *classes,
                              sp_error *err)
{
    const event_set *set = s->set;
    bool train = o->train != 0;
    sp_class_layout l = {.ending = set->layout == NMNIST ? ".bin" : ".aedat", .split = 1.0, .train = train};
    char *path = sp_format("%s/%s", folder, set->marker[train]);
    sp_status st;
    if (!path)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", set->name);
    if (set->layout == SPIKE_TRAINS) {
        st = sp_shd_open(path, *classes, &s->shd, err);
    } else if (set->layout == GESTURES) {
        st = sp_list_gestures(folder, path, &s->list, err);
    } else if (set->layout == NMNIST) {
        l.class_names = digits, l.n_classes = 10;
        st = sp_list_classes(path, &l, &s->list, err);
    } else {
        l.split = o->events.split > 0.0 ? o->events.split : 0.9;
        if (*classes)
            l.class_names = spi_cifar_classes, l.n_classes = 10;
        st = sp_list_classes(folder, &l, &s->list, err);
    }
    sp_free(path);
    if (st == SP_OK && !*classes)
        *classes = s->list.classes;
    return st;
}

/* One recording, whose label nobody knows; a file of spike trains has its own. */
static sp_status list_file(event_state *s, const char *path, int classes, sp_error *err)
{
    if (s->set->layout == SPIKE_TRAINS)
        return sp_shd_open(path, classes, &s->shd, err);
    sp_recording *r = sp_array_push(&s->list.items, s->list.n, sizeof *r);
    s->list.n += r != NULL;
    if (r)
        r->path = sp_strdup(path);
    return r && r->path ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
}

static sp_status refuse(const event_set *set, const char *option, const char *why, sp_error *err)
{
    return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\": %s: %s; leave it out", set->name, option, why);
}

static sp_status check_choices(const event_set *set, const sp_dataset_options *o, sp_error *err)
{
    const sp_event_options *e = &o->events;
    bool classes = set->layout == AEDAT_CLASSES, trains = set->layout == SPIKE_TRAINS;
    if (o->encoding != SP_ENCODE_NONE)
        return refuse(set, "encode", "its samples are spikes already", err);
    if (e->orientation != SP_ORIENT_DEFAULT && !classes)
        return refuse(set, "events.orientation", "only AEDAT 2.0 files leave it open", err);
    if (e->split != 0.0 && !classes)
        return refuse(set, "events.split", "it has a split of its own", err);
    if (!(e->split >= 0.0 && e->split <= 1.0))
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\": events.split is %g; choose 0 to 1", set->name,
                       e->split);
    if (!(e->window >= 0.0 && e->window <= 1e6))
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\": events.window is %g; choose seconds, up to 1e6",
                       set->name, e->window);
    if (e->window > 0.0 && e->by != SP_BY_TIME && !(trains && e->by == SP_BY_DEFAULT))
        return refuse(set, "events.window", "it goes with \"by: time\"", err);
    if (trains && (o->size || e->resize != SP_RESIZE_BILINEAR))
        return refuse(set, o->size ? "size" : "events.resize", "its samples are no images", err);
    if (o->resize)
        return refuse(set, "resize", "frames have one size only, \"size\"", err);
    if (e->resize == SP_RESIZE_PIL && !o->size)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": events.resize is pil, but no size is given; such as size: 48",
                       set->name);
    return SP_OK;
}

static sp_status find_shapes(const event_set *set, const sp_dataset_options *o, sp_frame_shape *sensor,
                             sp_frame_shape *out, sp_error *err)
{
    int frames = o->frames ? o->frames : o->time_steps;
    if (frames < 1 || frames > MAX_FRAMES)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": frames is %d; choose 1 to %d, as many as time steps", set->name,
                       frames, MAX_FRAMES);
    if (o->size < 0 || o->size > MAX_SIDE)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": size is %d; choose 1 to %d, or 0 for the sensor's %d", set->name,
                       o->size, MAX_SIDE, set->side);
    *sensor = (sp_frame_shape){frames, set->side, set->side, 2};
    if (set->layout ==
        SPIKE_TRAINS) /* the units are channels, which lie in memory as the pixels of a row do */
        *sensor = (sp_frame_shape){frames, 1, SP_SHD_UNITS, 1};
    *out = *sensor;
    if (o->size)
        out->height = out->width = o->size;
    if (items_of(out) > MAX_ITEMS / (size_t)frames)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": %d frames of %d x %d are too large; ask for fewer or smaller",
                       set->name, frames, out->height, out->width);
    return SP_OK;
}

sp_status sp_events_check(const sp_dataset_options *o, sp_error *err)
{
    const event_set *set = find_set(o->name);
    const sp_event_options *e = &o->events;
    sp_frame_shape sensor, out;
    if (set) {
        SP_TRY(check_choices(set, o, err));
        return find_shapes(set, o, &sensor, &out, err);
    }
    if (e->orientation || e->by || e->resize || e->normalise || e->no_cache || e->split > 0.0 ||
        e->window > 0.0)
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\" has no events; leave \"events\" out", o->name);
    return SP_OK;
}

static sp_status set_up(event_state *s, const sp_dataset_options *o, sp_error *err)
{
    const sp_event_options *e = &o->events;
    bool trains = s->set->layout == SPIKE_TRAINS;
    double window = e->window > 0.0 ? e->window : trains ? SHD_SECONDS : 0.0;
    SP_TRY(find_shapes(s->set, o, &s->sensor, &s->out, err));
    SP_TRY(sp_normal_init(&s->normal, o, trains ? SP_SHD_UNITS : 2, err));
    s->by = e->by != SP_BY_DEFAULT ? (sp_event_by)e->by : trains ? SP_BY_TIME : SP_BY_COUNT;
    s->window_us = (int64_t)llround(window * 1e6);
    s->orientation = (sp_orientation)e->orientation;
    s->normalise = (sp_frame_normalise)e->normalise;
    s->resize_kind = e->resize;
    s->seed = o->seed;
    if (o->train)
        s->augment = o->augment;
    /* Equal sizes need no filter, but the round trip through images changes counts all the same. */
    if (o->size && (o->size != s->set->side || e->resize == SP_RESIZE_PIL)) {
        s->resize = sp_resize_create((sp_frame_resize_kind)e->resize, s->set->side, o->size);
        if (!s->resize)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", s->set->name);
    }
    /* Files of N-MNIST are as small as their frames, and HDF5 reads one sample as fast as a cache. */
    if (!e->no_cache && (s->set->layout == AEDAT_CLASSES || s->set->layout == GESTURES))
        return sp_frame_cache_open(s->set->name, &s->cache, err);
    return SP_OK;
}

sp_status sp_events_open(const char *folder, int classes, const sp_dataset_options *o, sp_dataset *ds,
                         sp_error *err)
{
    event_state *s = sp_alloc(sizeof *s);
    char *at = NULL;
    sp_status st;
    if (!s)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", o->name);
    s->set = find_set(o->name);
    SP_TRY_GOTO(set_up(s, o, err));
    at = o->file ? sp_strdup(o->file) : find_folder(s->set, folder, o->train);
    if (!at)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "out of memory while opening data set \"%s\"", o->name));
    SP_TRY_GOTO(o->file ? list_file(s, at, classes, err) : list_samples(s, o, at, &classes, err));
    ds->info = (sp_dataset_info){.count = s->shd ? sp_shd_count(s->shd) : s->list.n,
                                 .classes = classes,
                                 .frames = s->out.frames,
                                 .channels = s->shd ? s->out.width : s->out.polarities,
                                 .height = s->out.height,
                                 .width = s->shd ? 1 : s->out.width,
                                 .cached = s->cache != NULL};
    ds->class_names = s->list.class_names;
    s->list.class_names = NULL;
    ds->state = s;
    ds->get = event_get;
    ds->label = event_label;
    ds->close = event_close;
done:
    sp_free(at);
    if (st != SP_OK)
        state_free(s);
    return st;
}
