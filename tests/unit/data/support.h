/* What the tests of the image readers share: files in a folder of their own, SHA-256, and every kind of
 * damage. */
#ifndef TEST_DATA_SUPPORT_H
#define TEST_DATA_SUPPORT_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rng.h"
#include "data/dataset.h"

#define REAL_DATA SP_TEST_SOURCE_DIR "/../shared/data"
#define FIXTURES  SP_TEST_SOURCE_DIR "/tests/unit/data/fixtures"

static inline void make_folder(char *path, size_t n, const char *name)
{
    snprintf(path, n, "%s/%s-XXXXXX", SP_TEST_BINARY_DIR, name);
    cr_assert_not_null(mkdtemp(path));
}

static inline void remove_folder(const char *path)
{
    char command[2048];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    cr_assert_eq(system(command), 0);
}

static inline void write_file(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[2048];
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wb");
    cr_assert_not_null(f, "%s", path);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* NULL when there is no such file. */
static inline uint8_t *read_whole(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes;
    long size;
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    bytes = malloc((size_t)size + 1);
    *n = fread(bytes, 1, (size_t)size, f);
    fclose(f);
    return bytes;
}

static inline sp_status open_set(sp_dataset_options o, sp_dataset **ds, sp_error *err)
{
    memset(err, 0, sizeof *err);
    *ds = NULL;
    return sp_dataset_open(&o, ds, err);
}

static inline size_t sample_items(const sp_dataset *ds)
{
    return (size_t)(ds->info.frames ? ds->info.frames : 1) * (size_t)ds->info.height *
           (size_t)ds->info.width * (size_t)ds->info.channels;
}

/* FIPS 180-4. */
static inline void sha256_block(uint32_t h[8], const uint8_t *p)
{
    static const uint32_t k[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
                                   0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
                                   0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
                                   0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
                                   0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
                                   0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
                                   0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
                                   0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
                                   0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
                                   0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
                                   0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64], s[8];
#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 |
               p[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + (ROTATE(w[i - 15], 7) ^ ROTATE(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
               (ROTATE(w[i - 2], 17) ^ ROTATE(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t a = s[0], e = s[4];
        uint32_t t =
            s[7] + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
        uint32_t u =
            (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t;
        s[0] = t + u;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
#undef ROTATE
}

static inline void sha256_hex(const uint8_t *bytes, size_t n, char hex[65])
{
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t tail[128] = {0};
    size_t whole = n / 64 * 64, rest = n - whole, tail_bytes = rest < 56 ? 64 : 128;
    for (size_t at = 0; at < whole; at += 64)
        sha256_block(h, bytes + at);
    memcpy(tail, bytes + whole, rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        tail[tail_bytes - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> (8 * i));
    for (size_t at = 0; at < tail_bytes; at += 64)
        sha256_block(h, tail + at);
    for (int i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", (unsigned)h[i]);
}

/* Calls `parse` with n bytes cut off everywhere (about `cuts` places), then with `flips` versions with a few
 * bytes changed, then with `noise` random texts of up to n bytes. `parse` must not crash; a cut must not be a
 * success. The memory is exactly as large as the input, for AddressSanitizer. */
typedef sp_status (*parse_fn)(void *ctx, const uint8_t *bytes, size_t n, sp_error *err);

static inline sp_status parse_copy(parse_fn parse, void *ctx, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    sp_error err = {0};
    sp_status st;
    memcpy(copy, bytes, n);
    st = parse(ctx, copy, n, &err);
    free(copy);
    cr_assert(st == SP_OK || (err.status == st && err.text[0]), "status %d without a text", st);
    return st;
}

static inline void damage(parse_fn parse, void *ctx, const uint8_t *bytes, size_t n, size_t cuts, int flips,
                          int noise)
{
    sp_rng r = sp_rng_make(11, n);
    uint8_t *copy = malloc(n);
    size_t step = n / cuts ? n / cuts : 1;
    for (size_t cut = 0; cut < n; cut += step)
        cr_assert_neq(parse_copy(parse, ctx, bytes, cut), SP_OK, "cut after %zu of %zu bytes", cut, n);
    for (int i = 0; i < flips; i++) {
        memcpy(copy, bytes, n);
        for (uint32_t k = 0; k < 1 + sp_rng_below(&r, 8); k++)
            copy[sp_rng_below(&r, (uint32_t)n)] = (uint8_t)sp_rng_u32(&r);
        parse_copy(parse, ctx, copy, n);
    }
    for (int i = 0; i < noise; i++) {
        size_t some = sp_rng_below(&r, (uint32_t)n) + 1, keep = i % 2 ? (some < 16 ? some : 16) : 0;
        memcpy(copy, bytes, keep);
        for (size_t k = keep; k < some; k++)
            copy[k] = (uint8_t)sp_rng_u32(&r);
        parse_copy(parse, ctx, copy, some);
    }
    free(copy);
}

#endif
