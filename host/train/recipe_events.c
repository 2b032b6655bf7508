/* What a recipe says of event data, inside its "data" section:
 *   events: {by: count, orientation: sltt, resize: pil, normalise: none, split: 0.9, window: 0, cache: true}
 * and, for still images, encode: none, rate or latency. */
#include "train/recipe_data.h"

#include <string.h>

#include "base/error.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char *const orientations[] = {SP_ORIENTATION_NAMES};
static const char *const bys[] = {SP_EVENT_BY_NAMES};
static const char *const resizes[] = {SP_RESIZE_NAMES};
static const char *const normalises[] = {SP_NORMALISE_NAMES};
static const char *const encodings[] = {SP_ENCODING_NAMES};

sp_status spi_recipe_read_events(sp_recipe *r, const sp_yaml *data, sp_error *err)
{
    static const char *const known[] = {"by",    "orientation", "resize", "normalise",
                                        "split", "window",      "cache"};
    const sp_yaml *m = sp_yaml_get(data, "events");
    sp_event_options *e = &r->data.events;
    bool cache = true;
    SP_TRY(sp_yaml_read_choice(data, "encode", encodings, COUNT(encodings), &r->data.encoding, err));
    if (!m || m->kind == SP_YAML_NULL)
        return SP_OK;
    if (m->kind != SP_YAML_MAP)
        return sp_yaml_fail(m, err, "\"events\" must be a map of settings, such as {by: count, resize: pil}");
    if (!sp_events_known(r->data.name))
        return sp_yaml_fail(m, err,
                            "\"events\" is about event cameras and spike trains, not about \"%s\"; leave it "
                            "out",
                            r->data.name);
    SP_TRY(sp_yaml_check_keys(m, known, COUNT(known), "events", err));
    SP_TRY(sp_yaml_read_choice(m, "by", bys, COUNT(bys), &e->by, err));
    SP_TRY(sp_yaml_read_choice(m, "orientation", orientations, COUNT(orientations), &e->orientation, err));
    SP_TRY(sp_yaml_read_choice(m, "resize", resizes, COUNT(resizes), &e->resize, err));
    SP_TRY(sp_yaml_read_choice(m, "normalise", normalises, COUNT(normalises), &e->normalise, err));
    SP_TRY(sp_yaml_read_float(m, "split", 0, 1, &e->split, err));
    SP_TRY(sp_yaml_read_float(m, "window", 0, 1e6, &e->window, err));
    SP_TRY(sp_yaml_read_bool(m, "cache", &cache, err));
    e->no_cache = !cache;
    return SP_OK;
}

void spi_recipe_print_events(const sp_recipe *r, sp_text *t)
{
    const sp_event_options *e = &r->data.events;
    bool events = sp_events_known(r->data.name), printed = strcmp(r->data.name, "synthetic") == 0;
    if (!printed && (events || r->data.encoding != SP_ENCODE_NONE))
        sp_text_add(t, "  frames: %lld\n", (long long)r->data.frames);
    if (events)
        sp_text_add(t,
                    "  events: {by: %s, orientation: %s, resize: %s, normalise: %s, split: %.17g, window: "
                    "%.17g, cache: %s}\n",
                    bys[e->by], orientations[e->orientation], resizes[e->resize], normalises[e->normalise],
                    e->split, e->window, e->no_cache ? "false" : "true");
    else
        sp_text_add(t, "  encode: %s\n", encodings[r->data.encoding]);
}
