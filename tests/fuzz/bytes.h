/* For targets whose bytes are choices: each take gives the next byte, and 0 behind the last one. */
#ifndef TEST_FUZZ_BYTES_H
#define TEST_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>

typedef struct input {
    const uint8_t *bytes;
    size_t n, at;
} input;

static inline unsigned take(input *in)
{
    return in->at < in->n ? in->bytes[in->at++] : 0;
}

#endif
