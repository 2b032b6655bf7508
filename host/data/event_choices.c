/* Whether what a recipe asks of event data goes together, and which shapes follow. */
#include <stdio.h>
#include "base/error.h"
#include "base/size.h"
#include "data/events.h"
#include "data/readers.h"

enum { MAX_FRAMES = 4096, MAX_SIDE = 1024, MAX_SENSOR = 16384, MAX_ITEMS = 1 << 30 };

static sp_status refuse(const sp_kind *set, const char *option, const char *why, sp_error *err)
{
    return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\": %s: %s; leave it out", set->name, option, why);
}

static sp_status check_choices(const sp_kind *set, const sp_dataset_options *o, sp_error *err)
{
    const sp_event_options *e = &o->events;
    bool own = set->events.layout == SP_LAYOUT_OWN, classes = set->events.layout == SP_LAYOUT_CLASSES,
         trains = set->events.layout == SP_LAYOUT_SPIKE_TRAINS;
    if (o->encoding != SP_ENCODE_NONE)
        return refuse(set, "encode", "its samples are spikes already", err);
    if (e->orientation != SP_ORIENT_DEFAULT && !classes && !own)
        return refuse(set, "events.orientation", "only AEDAT 2.0 files leave it open", err);
    if (e->split != 0.0 && !classes)
        return refuse(set, "events.split", own ? "data.split divides it" : "it has a split of its own", err);
    if (e->unit && !own)
        return refuse(set, "events.unit", "its files say the unit of their times", err);
    if ((e->sensor[0] || e->sensor[1]) && !own)
        return refuse(set, "events.sensor", "its sensor is known", err);
    if (!e->sensor[0] != !e->sensor[1])
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": events.sensor is [%d, %d]; give height and width, or neither",
                       set->name, (int)e->sensor[0], (int)e->sensor[1]);
    if (e->bin > 1 && trains)
        return refuse(set, "events.bin", "its samples are no images", err);
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

sp_sensor sp_events_sensor(const sp_kind *set, const sp_dataset_options *o)
{
    const int64_t *given = o->events.sensor;
    return set->height ? (sp_sensor){set->height, set->width} : (sp_sensor){(int)given[0], (int)given[1]};
}

sp_status sp_events_shapes(const sp_kind *set, const sp_dataset_options *o, sp_sensor full,
                           sp_frame_shape *sensor, sp_frame_shape *out, sp_error *err)
{
    int frames = o->frames ? o->frames : o->time_steps, bin = o->events.bin > 1 ? (int)o->events.bin : 1;
    int64_t of_out, of_sensor;
    if (frames < 1 || frames > MAX_FRAMES)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": frames is %d; choose 1 to %d, as many as time steps", set->name,
                       frames, MAX_FRAMES);
    if (o->size < 0 || o->size > MAX_SIDE)
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\": size is %d; choose 1 to %d, or 0 for the sensor's",
                       set->name, o->size, MAX_SIDE);
    *sensor = (sp_frame_shape){frames, (full.height + bin - 1) / bin, (full.width + bin - 1) / bin, 2};
    if (set->events.layout ==
        SP_LAYOUT_SPIKE_TRAINS) /* the units are channels, which lie in memory as the pixels of a row do */
        *sensor = (sp_frame_shape){frames, 1, SP_SHD_UNITS, 1};
    *out = *sensor;
    if (o->size)
        out->height = out->width = o->size;
    if (sensor->height > MAX_SENSOR || sensor->width > MAX_SENSOR ||
        !SP_SIZE_MUL(&of_out, frames, out->height, out->width, 2) || of_out > MAX_ITEMS ||
        !SP_SIZE_MUL(&of_sensor, frames, sensor->height, sensor->width, 2) || of_sensor > MAX_ITEMS)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": %d frames of %d x %d are too large; ask for fewer or smaller",
                       set->name, frames, out->height, out->width);
    return SP_OK;
}

sp_status sp_events_check(const sp_kind *set, const sp_dataset_options *o, sp_error *err)
{
    const sp_event_options *e = &o->events;
    sp_frame_shape sensor, out;
    if (set->takes & SP_TAKES_EVENTS) {
        sp_sensor full = sp_events_sensor(set, o);
        SP_TRY(check_choices(set, o, err));
        return full.height ? sp_events_shapes(set, o, full, &sensor, &out, err) : SP_OK;
    }
    if (e->orientation || e->by || e->resize || e->normalise || e->no_cache || e->split > 0.0 ||
        e->window > 0.0 || e->sensor[0] || e->bin > 1 || e->unit)
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\" has no events; leave \"events\" out", set->name);
    return SP_OK;
}
