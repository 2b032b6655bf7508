/* AEDAT 3.1: header lines up to "#!END-HEADER", then little-endian packets. Polarity packets are read, all
 * others skipped by their length. Of a packet that has valid events only those count. Some writers never set
 * the valid bit: of a packet without a valid event all count, and the caller is told. */
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "data/events.h"

enum { PACKET_BYTES = 28, EVENT_BYTES = 8, POLARITY = 1, MOST_HEADER_BYTES = 16 << 20 };
#define AGAIN "fetch the file again"
#define MAGIC "#!AER-DAT3.1"

typedef struct packet {
    unsigned type;
    uint32_t event_bytes, time_at, overflow, capacity, number;
} packet;

static uint32_t little_endian(const uint8_t *b)
{
    return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | (uint32_t)b[0];
}

static bool begins(const uint8_t *at, size_t n, const char *with)
{
    return n >= strlen(with) && memcmp(at, with, strlen(with)) == 0;
}

static sp_status check_line(const char *name, const uint8_t *line, size_t length, size_t at, sp_error *err)
{
    while (length && (line[length - 1] == '\r' || line[length - 1] == ' '))
        length--;
    if (begins(line, length, "#Format:") && !(length >= 3 && memcmp(line + length - 3, "RAW", 3) == 0))
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %zu: \"%.*s\": only uncompressed AEDAT 3.1 (RAW) is read; write it out as "
                       "RAW",
                       name, at, length < 80 ? (int)length : 80, (const char *)line);
    return SP_OK;
}

static sp_status read_header(const char *name, const uint8_t *bytes, size_t n, size_t *data_at, sp_error *err)
{
    size_t at = 0;
    if (n == 0)
        return SP_FAIL(err, SP_E_DATA, "%s: the file is empty (byte 0); " AGAIN, name);
    if (!begins(bytes, n, MAGIC))
        return SP_FAIL(err, SP_E_DATA, "%s: byte 0: does not begin with \"" MAGIC "\": not an AEDAT 3.1 file",
                       name);
    while (at < n) {
        const uint8_t *line = bytes + at, *end = memchr(line, '\n', n - at);
        size_t length = end ? (size_t)(end - line) : n - at;
        if (*line != '#')
            return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: the header has no #!END-HEADER line; " AGAIN, name,
                           at);
        if (at + length >= MOST_HEADER_BYTES)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: the header goes on past %d bytes; the file is damaged; " AGAIN,
                           name, at, MOST_HEADER_BYTES);
        if (!end)
            break;
        SP_TRY(check_line(name, line, length, at, err));
        at += length + 1;
        if (begins(line, length, "#!END-HEADER")) {
            *data_at = at;
            return SP_OK;
        }
    }
    return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: the file ends inside its header: truncated; " AGAIN, name,
                   n);
}

static sp_status check_polarity(const char *name, const packet *p, size_t at, sp_error *err)
{
    if (p->event_bytes != EVENT_BYTES || p->time_at != 4)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %zu: polarity events of %u bytes with the time at %u, not %d and 4; "
                       "damaged; " AGAIN,
                       name, at, (unsigned)p->event_bytes, (unsigned)p->time_at, EVENT_BYTES);
    if (p->number > p->capacity)
        return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: a packet of %u events in room for %u; damaged; " AGAIN,
                       name, at, (unsigned)p->number, (unsigned)p->capacity);
    return SP_OK;
}

/* Reads the packet header at `at` and the length of what follows. */
static sp_status read_packet(const char *name, const uint8_t *bytes, size_t n, size_t at, packet *p,
                             size_t *body, sp_error *err)
{
    const uint8_t *b = bytes + at;
    uint64_t length;
    if (n - at < PACKET_BYTES)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %zu: the file ends inside the header of a packet: truncated; " AGAIN, name,
                       n);
    *p = (packet){.type = (unsigned)b[0] | (unsigned)b[1] << 8,
                  .event_bytes = little_endian(b + 4),
                  .time_at = little_endian(b + 8),
                  .overflow = little_endian(b + 12),
                  .capacity = little_endian(b + 16),
                  .number = little_endian(b + 20)};
    length = (uint64_t)p->event_bytes * p->capacity;
    if (p->event_bytes > INT32_MAX || p->capacity > INT32_MAX || p->overflow > INT32_MAX ||
        length > n - at - PACKET_BYTES)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %zu: a packet of %u events of %u bytes, but the file has %zu bytes left: "
                       "truncated or damaged; " AGAIN,
                       name, at, (unsigned)p->capacity, (unsigned)p->event_bytes, n - at - PACKET_BYTES);
    if (p->type == POLARITY)
        SP_TRY(check_polarity(name, p, at, err));
    *body = (size_t)length;
    return SP_OK;
}

static bool is_valid(const uint8_t *event)
{
    return event[0] & 1;
}

static bool any_valid(const uint8_t *event, const packet *p)
{
    for (uint32_t k = 0; k < p->number; k++)
        if (is_valid(event + (size_t)k * EVENT_BYTES))
            return true;
    return false;
}

static sp_status read_events(const char *name, const uint8_t *bytes, size_t at, const packet *p,
                             const sp_time_range *range, bool all, sp_events *out, sp_error *err)
{
    for (uint32_t k = 0; k < p->number; k++, at += EVENT_BYTES) {
        uint32_t data = little_endian(bytes + at);
        int64_t t = (int64_t)little_endian(bytes + at + 4) | (int64_t)p->overflow << 31;
        unsigned x = data >> 17, y = data >> 2 & 0x7fff;
        if ((!all && !is_valid(bytes + at)) || (range && (t < range->start || t >= range->end)))
            continue;
        if (x >= SP_DVS128_SIDE || y >= SP_DVS128_SIDE)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: an event at x %u, y %u, outside of a DVS128's %d x %d pixels", name,
                           at, x, y, SP_DVS128_SIDE, SP_DVS128_SIDE);
        SP_TRY(sp_events_reserve(out, out->n + 1, name, err));
        out->items[out->n++] =
            (sp_event){.t = t, .x = (uint16_t)x, .y = (uint16_t)y, .p = (uint16_t)(data >> 1 & 1)};
    }
    return SP_OK;
}

sp_status sp_aedat31_parse(const char *name, const uint8_t *bytes, size_t n, const sp_time_range *range,
                           sp_events *out, sp_packet_counts *counts, sp_error *err)
{
    size_t at = 0, body = 0;
    packet p = {0};
    SP_TRY(read_header(name, bytes, n, &at, err));
    if (at == n)
        return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: the file ends after its header, without events; " AGAIN,
                       name, n);
    while (at < n) {
        SP_TRY(read_packet(name, bytes, n, at, &p, &body, err));
        at += PACKET_BYTES;
        counts->all++;
        if (p.type == POLARITY) {
            bool none_valid = !any_valid(bytes + at, &p);
            counts->polarity++;
            counts->none_valid += none_valid && p.number;
            SP_TRY(read_events(name, bytes, at, &p, range, none_valid, out, err));
        }
        at += body;
    }
    return SP_OK;
}
