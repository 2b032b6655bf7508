/* AEDAT 4 (DV): a header and packets, each a FlatBuffers table, plain or compressed as one LZ4 or zstd frame.
 * Only the two tables that matter are read, by the layout that FlatBuffers fixes: every offset is checked.
 * liblz4 and libzstd are optional; without them a compressed file is refused by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "data/events.h"
#ifdef SP_WITH_LZ4
#include <lz4frame.h>
#endif
#ifdef SP_WITH_ZSTD
#include <zstd.h>
#endif

enum { VERSION_BYTES = 14, EVENT_BYTES = 16, FIRST_ROOM = 1 << 16, MOST_PACKET = 1 << 28 };
enum { PLAIN = 0, LZ4 = 1, LZ4_HIGH = 2, ZSTD = 3, ZSTD_HIGH = 4 };

typedef struct part {
    const char *name; /* of the file */
    uint64_t at;      /* of the part in it, for messages */
    const uint8_t *bytes;
    size_t n;
} part;

static uint64_t little(const uint8_t *b, int n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | b[n];
    return v;
}

static sp_status damaged(const part *p, const char *what, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA, "%s: byte %llu: %s; the file is damaged or truncated", p->name,
                   (unsigned long long)p->at, what);
}

static bool holds(const part *p, uint64_t at, uint64_t bytes)
{
    return at <= p->n && bytes <= p->n - at;
}

/* Where field `slot` of the root table lies, 0: it is absent, and has its default. */
static sp_status find_field(const part *p, const char *identifier, int slot, uint64_t *field, sp_error *err)
{
    uint64_t root, table, length;
    *field = 0;
    if (!holds(p, 0, 8) || memcmp(p->bytes + 4, identifier, 4) != 0)
        return damaged(p, "not the kind of table that is expected here", err);
    root = little(p->bytes, 4);
    if (!holds(p, root, 4))
        return damaged(p, "a table lies outside of its packet", err);
    table = root - (uint64_t)(int64_t)(int32_t)little(p->bytes + root, 4);
    if (!holds(p, table, 4) || (length = little(p->bytes + table, 2)) < 4 || !holds(p, table, length))
        return damaged(p, "a table lies outside of its packet", err);
    if (4 + 2 * (uint64_t)slot + 2 <= length) {
        uint64_t offset = little(p->bytes + table + 4 + 2 * slot, 2);
        *field = offset ? root + offset : 0;
    }
    return SP_OK;
}

/* The vector (or text) that a field refers to: its items begin at *first. */
static sp_status find_vector(const part *p, uint64_t field, uint64_t item_bytes, uint64_t *first, uint64_t *n,
                             sp_error *err)
{
    uint64_t at;
    *n = 0;
    if (!field)
        return SP_OK;
    if (!holds(p, field, 4))
        return damaged(p, "a field lies outside of its packet", err);
    at = field + little(p->bytes + field, 4);
    if (!holds(p, at, 4) || (*n = little(p->bytes + at, 4)) > p->n / item_bytes ||
        !holds(p, at + 4, *n * item_bytes))
        return damaged(p, "a list lies outside of its packet", err);
    *first = at + 4;
    return SP_OK;
}

/* ---- the header ---- */

typedef struct header {
    int compression;
    uint64_t end; /* of the packets */
    sp_sensor sensor;
} header;

/* The whole number of <attr key="KEY" ...>N</attr> behind `from`. */
static int attribute(const char *from, const char *key)
{
    char text[64];
    const char *at;
    snprintf(text, sizeof text, "key=\"%s\"", key);
    at = strstr(from, text);
    at = at ? strchr(at, '>') : NULL;
    long v = at ? strtol(at + 1, NULL, 10) : 0;
    return v > 0 && v <= UINT16_MAX ? (int)v : 0;
}

static sp_status read_sensor(const part *p, uint64_t field, header *h, sp_error *err)
{
    uint64_t first = 0, n = 0;
    SP_TRY(find_vector(p, field, 1, &first, &n, err));
    char *text = sp_strndup((const char *)p->bytes + first, (size_t)n);
    if (!text)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", p->name);
    const char *events = strstr(text, ">EVTS<");
    if (events)
        h->sensor = (sp_sensor){attribute(events, "sizeY"), attribute(events, "sizeX")};
    if (!h->sensor.height || !h->sensor.width)
        h->sensor = (sp_sensor){0, 0};
    sp_free(text);
    return SP_OK;
}

static sp_status read_header(const part *p, uint64_t file_bytes, header *h, sp_error *err)
{
    uint64_t field = 0;
    SP_TRY(find_field(p, "IOHE", 0, &field, err));
    if (field && !holds(p, field, 4))
        return damaged(p, "a field lies outside of the header", err);
    h->compression = field ? (int)little(p->bytes + field, 4) : PLAIN;
    SP_TRY(find_field(p, "IOHE", 1, &field, err));
    if (field && !holds(p, field, 8))
        return damaged(p, "a field lies outside of the header", err);
    h->end = field ? little(p->bytes + field, 8) : UINT64_MAX;
    if (h->end == UINT64_MAX) /* -1: a file that was not closed has no table behind its packets */
        h->end = file_bytes;
    if (h->end > file_bytes)
        return damaged(p, "the packets go on past the end of the file", err);
    SP_TRY(find_field(p, "IOHE", 2, &field, err));
    return read_sensor(p, field, h, err);
}

/* ---- packets ---- */

typedef struct room {
    uint8_t *bytes;
    size_t n, cap;
} room;

static sp_status grow(room *r, const part *p, sp_error *err)
{
    size_t cap = r->cap ? 2 * r->cap : FIRST_ROOM;
    uint8_t *grown = cap <= MOST_PACKET ? sp_realloc(r->bytes, cap) : NULL;
    if (!grown)
        return cap > MOST_PACKET ? damaged(p, "a packet is larger than 256 MiB when unpacked", err)
                                 : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", p->name);
    r->bytes = grown, r->cap = cap;
    return SP_OK;
}

#if !defined(SP_WITH_LZ4) || !defined(SP_WITH_ZSTD)
static sp_status absent(const part *p, const char *what, const char *package, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA,
                   "%s: its packets are compressed with %s, and spikeport was built without it; install %s "
                   "and configure again",
                   p->name, what, package);
}
#endif

#ifdef SP_WITH_LZ4
static sp_status unpack_lz4(const part *p, room *out, sp_error *err)
{
    LZ4F_dctx *context = NULL;
    sp_status st = LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))
                       ? SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", p->name)
                       : SP_OK;
    size_t taken = 0, left = 1;
    while (st == SP_OK && left) {
        size_t in = p->n - taken, made;
        if (out->n == out->cap)
            st = grow(out, p, err);
        made = out->cap - out->n;
        if (st == SP_OK)
            left = LZ4F_decompress(context, out->bytes + out->n, &made, p->bytes + taken, &in, NULL);
        if (st == SP_OK && (LZ4F_isError(left) || (in == 0 && made == 0)))
            st = damaged(p, "a packet cannot be unpacked", err);
        taken += in;
        out->n += made;
    }
    LZ4F_freeDecompressionContext(context);
    return st;
}
#else
static sp_status unpack_lz4(const part *p, room *out, sp_error *err)
{
    (void)out;
    return absent(p, "LZ4", "liblz4-dev", err);
}
#endif

#ifdef SP_WITH_ZSTD
static sp_status unpack_zstd(const part *p, room *out, sp_error *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {p->bytes, p->n, 0};
    sp_status st = stream ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", p->name);
    size_t left = 1;
    while (st == SP_OK && left) {
        if (out->n == out->cap)
            st = grow(out, p, err);
        ZSTD_outBuffer room_left = {out->bytes, out->cap, out->n};
        size_t before = in.pos;
        if (st == SP_OK)
            left = ZSTD_decompressStream(stream, &room_left, &in);
        if (st == SP_OK && (ZSTD_isError(left) || (in.pos == before && room_left.pos == out->n)))
            st = damaged(p, "a packet cannot be unpacked", err);
        out->n = room_left.pos;
    }
    ZSTD_freeDStream(stream);
    return st;
}
#else
static sp_status unpack_zstd(const part *p, room *out, sp_error *err)
{
    (void)out;
    return absent(p, "zstd", "libzstd-dev", err);
}
#endif

/* Events of a packet's table: time in microseconds, x, y, polarity, 16 bytes each. */
static sp_status read_events(const part *p, sp_sensor sensor, sp_events *out, sp_error *err)
{
    uint64_t field = 0, first = 0, n = 0;
    SP_TRY(find_field(p, "EVTS", 0, &field, err));
    SP_TRY(find_vector(p, field, EVENT_BYTES, &first, &n, err));
    SP_TRY(sp_events_reserve(out, out->n + (size_t)n, p->name, err));
    for (uint64_t k = 0; k < n; k++) {
        const uint8_t *b = p->bytes + first + k * EVENT_BYTES;
        sp_event e = {.t = (int64_t)little(b, 8),
                      .x = (uint16_t)little(b + 8, 2),
                      .y = (uint16_t)little(b + 10, 2),
                      .p = b[12] != 0};
        if (sensor.height && (e.x >= sensor.width || e.y >= sensor.height))
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %llu: an event of this packet is at x %d, y %d, outside of the sensor "
                           "of %d x %d (height x width)",
                           p->name, (unsigned long long)p->at, e.x, e.y, sensor.height, sensor.width);
        out->items[out->n++] = e;
    }
    return SP_OK;
}

static sp_status read_packet(const part *packed, const header *h, room *scratch, sp_events *out,
                             sp_error *err)
{
    part p = *packed;
    scratch->n = 0;
    if (h->compression == LZ4 || h->compression == LZ4_HIGH)
        SP_TRY(unpack_lz4(packed, scratch, err));
    else if (h->compression == ZSTD || h->compression == ZSTD_HIGH)
        SP_TRY(unpack_zstd(packed, scratch, err));
    else if (h->compression != PLAIN)
        return damaged(packed, "an unknown compression", err);
    if (h->compression != PLAIN)
        p.bytes = scratch->bytes, p.n = scratch->n;
    if (p.n < 12 || little(p.bytes, 4) > p.n - 4)
        return damaged(packed, "a packet is shorter than it says", err);
    p.n = (size_t)little(p.bytes, 4);
    p.bytes += 4;
    if (p.n < 8 || memcmp(p.bytes + 4, "EVTS", 4) != 0)
        return SP_OK; /* pictures, IMU samples, triggers */
    return read_events(&p, h->sensor, out, err);
}

sp_status sp_aedat4_parse(const char *name, const uint8_t *bytes, size_t n, sp_events *out, sp_sensor *sensor,
                          sp_error *err)
{
    part p = {.name = name, .at = VERSION_BYTES};
    room scratch = {0};
    header h = {0};
    sp_status st = SP_OK;
    if (n < VERSION_BYTES + 4 || memcmp(bytes, "#!AER-DAT4.0\r\n", VERSION_BYTES) != 0)
        return SP_FAIL(err, SP_E_DATA, "%s: byte 0: not an AEDAT 4.0 file", name);
    p.n = (size_t)little(bytes + VERSION_BYTES, 4), p.bytes = bytes + VERSION_BYTES + 4;
    if (p.n > n - VERSION_BYTES - 4)
        return damaged(&p, "the header is longer than the file", err);
    SP_TRY(read_header(&p, n, &h, err));
    if (sensor)
        *sensor = h.sensor;
    for (uint64_t at = VERSION_BYTES + 4 + p.n; st == SP_OK && at < h.end;) {
        part packet = {.name = name, .at = at};
        if (h.end - at < 8 || little(bytes + at + 4, 4) > h.end - at - 8) {
            st = damaged(&packet, "a packet breaks off", err);
            break;
        }
        packet.n = (size_t)little(bytes + at + 4, 4), packet.bytes = bytes + at + 8;
        st = read_packet(&packet, &h, &scratch, out, err);
        at += 8 + packet.n;
    }
    sp_free(scratch.bytes);
    return st;
}
