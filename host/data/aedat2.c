/* AEDAT 2.0 as jAER writes it for a DVS128: lines that begin with '#', then big-endian pairs of a 32-bit
 * address and a 32-bit time in microseconds. Newer files close the header with a line of its own, older ones
 * with the first byte that is not '#'. Special events (bit 15: the external input) belong to no pixel and are
 * left out. Chips with another address layout (DAVIS) are refused rather than read as noise. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/error.h"
#include "data/events.h"

enum {
    RECORD_BYTES = 8,
    MOST_HEADER_BYTES = 16 << 20,
    SIDE_1 = SP_DVS128_SIDE - 1,
    MAGIC_BYTES = 9,
    SPECIAL = 0x8000
};
#define AGAIN "fetch the file again"

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
}

static bool begins(const uint8_t *at, size_t n, const char *with)
{
    return n >= strlen(with) && memcmp(at, with, strlen(with)) == 0;
}

static bool contains_word(const uint8_t *at, size_t n, const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i + length <= n; i++) {
        if (strncasecmp((const char *)at + i, word, length) == 0)
            return true;
    }
    return false;
}

static sp_status check_magic(const char *name, const uint8_t *bytes, size_t n, sp_error *err)
{
    if (n == 0)
        return SP_FAIL(err, SP_E_DATA, "%s: the file is empty (byte 0); " AGAIN, name);
    if (begins(bytes, n, "#!AER-DAT2"))
        return SP_OK;
    if (begins(bytes, n, "#!AER-DAT4"))
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte 0: an AEDAT 4 file, which is not read here; write it out as AEDAT 2.0 or "
                       "3.1 (dv and the dv-processing library can), or take the original distribution of the "
                       "set",
                       name);
    if (begins(bytes, n, "#!AER-DAT") && n > MAGIC_BYTES + 2)
        return SP_FAIL(err, SP_E_DATA, "%s: byte %d: AEDAT version \"%c%c%c\"; only 2.0 and 3.1 are read",
                       name, MAGIC_BYTES, bytes[MAGIC_BYTES], bytes[MAGIC_BYTES + 1], bytes[MAGIC_BYTES + 2]);
    return SP_FAIL(err, SP_E_DATA,
                   "%s: byte 0: does not begin with \"#!AER-DAT2.0\": not an AEDAT file; is it another file "
                   "under this name?",
                   name);
}

/* Where the events begin. */
static sp_status read_header(const char *name, const uint8_t *bytes, size_t n, size_t *data_at, sp_error *err)
{
    size_t at = 0;
    while (at < n && bytes[at] == '#') {
        const uint8_t *line = bytes + at, *end = memchr(line, '\n', n - at);
        size_t length = end ? (size_t)(end - line) : n - at;
        if (!end)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: the file ends inside a line of its header: truncated; " AGAIN, name,
                           n);
        if (at + length >= MOST_HEADER_BYTES)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: the header goes on past %d bytes; the file is damaged; " AGAIN,
                           name, at, MOST_HEADER_BYTES);
        if (contains_word(line, length, "AEChip:") && contains_word(line, length, "davis"))
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: recorded with a DAVIS camera, whose addresses are laid out in "
                           "another way; only DVS128 recordings are read from AEDAT 2.0",
                           name, at);
        at += length + 1;
        if (begins(line, length, "#End Of ASCII Header"))
            break;
    }
    *data_at = at;
    return SP_OK;
}

static sp_event decode(uint32_t address, sp_orientation orientation)
{
    unsigned x = address >> 1 & 127, y = address >> 8 & 127, p = address & 1;
    switch (orientation) {
    case SP_ORIENT_PLAIN: return (sp_event){.x = (uint16_t)x, .y = (uint16_t)y, .p = (uint16_t)p};
    case SP_ORIENT_SPIKINGJELLY:
        return (sp_event){.x = (uint16_t)(SIDE_1 - y), .y = (uint16_t)(SIDE_1 - x), .p = (uint16_t)(1 - p)};
    default: return (sp_event){.x = (uint16_t)(SIDE_1 - x), .y = (uint16_t)y, .p = (uint16_t)(1 - p)};
    }
}

static sp_status check_size(const char *name, size_t n, size_t data_at, sp_error *err)
{
    size_t rest = (n - data_at) % RECORD_BYTES;
    if (rest)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %zu: the last event has %zu of its %d bytes: truncated; " AGAIN, name,
                       n - rest, rest, RECORD_BYTES);
    if (n == data_at)
        return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: the file ends after its header, without events; " AGAIN,
                       name, n);
    return SP_OK;
}

sp_status sp_aedat2_parse(const char *name, const uint8_t *bytes, size_t n, sp_orientation orientation,
                          sp_events *out, sp_error *err)
{
    size_t at = 0, n_before = out->n;
    int64_t now = 0;
    bool first = true;
    SP_TRY(check_magic(name, bytes, n, err));
    SP_TRY(read_header(name, bytes, n, &at, err));
    SP_TRY(check_size(name, n, at, err));
    SP_TRY(sp_events_reserve(out, out->n + (n - at) / RECORD_BYTES, name, err));
    for (; at < n; at += RECORD_BYTES) {
        uint32_t address = big_endian(bytes + at), t = big_endian(bytes + at + 4);
        if (address >> 16)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: address 0x%08x has bits that no DVS128 sets; recorded with another "
                           "camera, or damaged",
                           name, at, (unsigned)address);
        /* The clock wraps after 71.6 minutes: the time is the one with these 32 bits that is nearest to the
         * event before, so that an event that arrives late, behind a wrap, stays in front of it. */
        now = first ? t : now + (int32_t)(t - (uint32_t)now);
        first = false;
        if (address & SPECIAL)
            continue;
        out->items[out->n] = decode(address, orientation);
        out->items[out->n++].t = now;
    }
    if (out->n == n_before)
        return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: special events only, none of a pixel; remove the file",
                       name, n);
    return SP_OK;
}
