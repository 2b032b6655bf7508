/* SHA-256 (FIPS 180-4): keys and checksums of files that are trusted only when they match. */
#ifndef SP_BASE_SHA256_H
#define SP_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct sp_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} sp_sha256;

void sp_sha256_init(sp_sha256 *h);
void sp_sha256_add(sp_sha256 *h, const void *data, size_t n);
void sp_sha256_finish(sp_sha256 *h, unsigned char out[32]);

#endif
