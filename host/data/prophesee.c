/* Recordings of Prophesee cameras: RAW files in the formats EVT 2.0 (32-bit words) and EVT 3.0 (16-bit
 * words), little-endian, behind lines of text that begin with '%'. Times are microseconds; they are counted
 * on where the counter of the file starts again. Triggers and other words without pixels are skipped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "data/events.h"

enum { MOST_HEADER = 1 << 16, NO_FORMAT = 0 };

typedef struct raw {
    const char *name;
    const uint8_t *bytes;
    size_t n, at; /* at: of the first word */
    int format;   /* 2 or 3 */
    sp_sensor sensor;
} raw;

/* "height=720" in "format EVT3;height=720;width=1280"; 0: it is not there. */
static int value_of(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    long v = at ? strtol(at + strlen(key), NULL, 10) : 0;
    return v > 0 && v <= UINT16_MAX ? (int)v : 0;
}

static sp_status read_line(raw *r, const char *line, sp_error *err)
{
    int width, height;
    if (strncmp(line, "% evt ", 6) == 0 || strncmp(line, "% format EVT", 12) == 0) {
        const char *version = strncmp(line, "% evt ", 6) == 0 ? line + 6 : line + 12;
        r->format = *version - '0';
        if ((r->format != 2 && r->format != 3) || strncmp(version + 1, ".1", 2) == 0 || version[1] == '1')
            return SP_FAIL(err, SP_E_DATA, "%s: format EVT %.8s; EVT 2.0 and 3.0 are read", r->name, version);
    }
    if (strncmp(line, "% format EVT", 12) == 0 && value_of(line, "height=") && value_of(line, "width="))
        r->sensor = (sp_sensor){value_of(line, "height="), value_of(line, "width=")};
    if (sscanf(line, "%% geometry %5dx%5d", &width, &height) == 2 && width > 0 && height > 0)
        r->sensor = (sp_sensor){height, width};
    return SP_OK;
}

static sp_status read_header(raw *r, sp_error *err)
{
    char line[256];
    bool ended = false;
    while (!ended && r->at < r->n && r->bytes[r->at] == '%') {
        const uint8_t *end = memchr(r->bytes + r->at, '\n', r->n - r->at);
        size_t length = end ? (size_t)(end - r->bytes) - r->at : MOST_HEADER;
        if (r->at + length >= MOST_HEADER)
            return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: the header does not end", r->name, r->at);
        snprintf(line, sizeof line, "%.*s", (int)length, (const char *)r->bytes + r->at);
        ended = strncmp(line, "% end", 5) == 0;
        SP_TRY(read_line(r, line, err));
        r->at += length + 1;
    }
    if (r->format == NO_FORMAT)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte 0: no line \"%% evt 2.0\" or \"%% evt 3.0\": not a RAW file of a Prophesee "
                       "camera",
                       r->name);
    size_t word = r->format == 2 ? 4 : 2, rest = (r->n - r->at) % word;
    if (rest)
        return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: the last word has %zu of its %zu bytes: truncated",
                       r->name, r->n - rest, rest, word);
    return SP_OK;
}

static sp_status check_place(const raw *r, size_t at, unsigned x, unsigned y, sp_error *err)
{
    if (r->sensor.height && (x >= (unsigned)r->sensor.width || y >= (unsigned)r->sensor.height))
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %zu: an event at x %u, y %u, outside of the sensor of %d x %d (height x "
                       "width)",
                       r->name, at, x, y, r->sensor.height, r->sensor.width);
    return SP_OK;
}

static sp_status add(const raw *r, size_t at, sp_event e, sp_events *out, sp_error *err)
{
    SP_TRY(check_place(r, at, e.x, e.y, err));
    SP_TRY(sp_events_reserve(out, out->n + 1, r->name, err));
    out->items[out->n++] = e;
    return SP_OK;
}

/* The upper part of the time, which starts again from 0 after 2^bits steps of `unit` microseconds. A step
 * back by less than half of that is no new start but an event that came late. */
static int64_t count_on(int64_t high, uint32_t value, int bits)
{
    int64_t span = (int64_t)1 << bits, before = high % span;
    if (before > value && before - value > span / 2)
        return high - before + span + value;
    return high - before + value;
}

enum { CD_OFF = 0, CD_ON = 1, TIME_HIGH = 8 };

static sp_status read_evt2(const raw *r, sp_events *out, sp_error *err)
{
    int64_t high = -1;
    for (size_t at = r->at; at < r->n; at += 4) {
        const uint8_t *b = r->bytes + at;
        uint32_t w = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        uint32_t type = w >> 28;
        if (type == TIME_HIGH)
            high = high < 0 ? (int64_t)(w & 0xfffffff) : count_on(high, w & 0xfffffff, 28);
        if (high < 0 || (type != CD_OFF && type != CD_ON)) /* before the first time an event has none */
            continue;
        sp_event e = {.t = high << 6 | (w >> 22 & 63),
                      .x = (uint16_t)(w >> 11 & 0x7ff),
                      .y = (uint16_t)(w & 0x7ff),
                      .p = (uint16_t)type};
        SP_TRY(add(r, at, e, out, err));
    }
    return SP_OK;
}

/* EVT 3.0 says only what changes: row, upper and lower half of the time, place and polarity of a vector. */
typedef struct state3 {
    int64_t high;
    uint32_t low;
    uint16_t y, x, p;
} state3;

static sp_status add_vector(const raw *r, size_t at, state3 *s, uint32_t valid, int n, sp_events *out,
                            sp_error *err)
{
    for (int k = 0; k < n; k++) {
        if (!(valid >> k & 1))
            continue;
        sp_event e = {.t = s->high << 12 | s->low, .x = (uint16_t)(s->x + k), .y = s->y, .p = s->p};
        SP_TRY(add(r, at, e, out, err));
    }
    s->x = (uint16_t)(s->x + n);
    return SP_OK;
}

static sp_status read_evt3(const raw *r, sp_events *out, sp_error *err)
{
    enum { ADDR_Y = 0, ADDR_X = 2, VECT_BASE_X = 3, VECT_12 = 4, VECT_8 = 5, TIME_LOW = 6 };
    state3 s = {.high = -1};
    for (size_t at = r->at; at < r->n; at += 2) {
        uint16_t w = (uint16_t)(r->bytes[at] | r->bytes[at + 1] << 8), type = w >> 12, value = w & 0xfff;
        if (type == TIME_HIGH) {
            s.high = s.high < 0 ? value : count_on(s.high, value, 12);
            s.low = 0;
        } else if (type == TIME_LOW) {
            s.low = value;
        } else if (type == ADDR_Y) {
            s.y = value & 0x7ff;
        } else if (type == VECT_BASE_X || type == ADDR_X) {
            uint16_t x = s.x, p = s.p;
            s.x = value & 0x7ff, s.p = value >> 11;
            if (type == ADDR_X && s.high >= 0)
                SP_TRY(add_vector(r, at, &s, 1, 1, out, err));
            if (type == ADDR_X)
                s.x = x, s.p = p; /* a single event is no base of a vector */
        } else if (s.high >= 0 && (type == VECT_12 || type == VECT_8)) {
            SP_TRY(add_vector(r, at, &s, value, type == VECT_12 ? 12 : 8, out, err));
        }
    }
    return SP_OK;
}

sp_status sp_prophesee_parse(const char *name, const uint8_t *bytes, size_t n, sp_events *out,
                             sp_sensor *sensor, sp_error *err)
{
    raw r = {.name = name, .bytes = bytes, .n = n};
    SP_TRY(read_header(&r, err));
    if (sensor)
        *sensor = r.sensor;
    return r.format == 2 ? read_evt2(&r, out, err) : read_evt3(&r, out, err);
}
