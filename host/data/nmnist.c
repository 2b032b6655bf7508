/* N-MNIST: no header, 5 bytes an event: x, y, then polarity (1 bit) and microseconds (23 bits), big-endian. A
 * record with y = 240 is no event: it moves the clock on by 2^13 microseconds (in the files of the set none
 * was found). */
#include <stdio.h>
#include "base/error.h"
#include "data/events.h"

enum { RECORD_BYTES = 5, OVERFLOW_Y = 240, OVERFLOW_US = 1 << 13 };

sp_status sp_nmnist_parse(const char *name, const uint8_t *bytes, size_t n, sp_events *out, sp_error *err)
{
    size_t rest = n % RECORD_BYTES, before = out->n;
    int64_t clock = 0;
    if (n == 0)
        return SP_FAIL(err, SP_E_DATA, "%s: the file is empty (byte 0); fetch it again", name);
    if (rest)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %zu: the last event has %zu of its %d bytes: truncated; fetch it again",
                       name, n - rest, rest, RECORD_BYTES);
    SP_TRY(sp_events_reserve(out, out->n + n / RECORD_BYTES, name, err));
    for (size_t at = 0; at < n; at += RECORD_BYTES) {
        const uint8_t *b = bytes + at;
        if (b[1] == OVERFLOW_Y) {
            clock += OVERFLOW_US;
            continue;
        }
        if (b[0] >= SP_NMNIST_SIDE || b[1] >= SP_NMNIST_SIDE)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: an event at x %d, y %d, outside of N-MNIST's %d x %d pixels; "
                           "damaged, or of another set",
                           name, at, b[0], b[1], SP_NMNIST_SIDE, SP_NMNIST_SIDE);
        out->items[out->n++] =
            (sp_event){.t = clock + ((int64_t)(b[2] & 127) << 16 | (int64_t)b[3] << 8 | b[4]),
                       .x = b[0],
                       .y = b[1],
                       .p = b[2] >> 7};
    }
    if (out->n == before)
        return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: no event among its records; fetch it again", name, n);
    return SP_OK;
}
