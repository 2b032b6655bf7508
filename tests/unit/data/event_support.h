/* What the tests of event data share: SHA-256, the real recordings beside the project (when they are there),
 * a scratch folder, and files made byte by byte. */
#ifndef SP_TEST_EVENT_SUPPORT_H
#define SP_TEST_EVENT_SUPPORT_H

#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700 /* nftw */
#endif
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "data/dataset.h"
#include "data/events.h"

#define SHARED SP_TEST_SOURCE_DIR "/../shared/data"
#define NEEDS_SHARED(folder)                                                                                 \
    do {                                                                                                     \
        if (access(SHARED "/" folder, R_OK) != 0)                                                            \
            cr_skip_test("the recordings of " folder " are not beside the project (../shared/data)");        \
    } while (0)

/* ---- SHA-256 ---- */

static inline uint32_t rotate(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

/* The round constants are the first 32 bits of the fractions of the cube roots of primes, found here by
 * bisection. */
static inline uint32_t fraction_of_root(unsigned prime, int power)
{
    __uint128_t low = 0, high = (__uint128_t)20 << 36; /* the root times 2^36 */
    while (high - low > 1) {
        __uint128_t middle = (low + high) / 2, p = middle * middle >> (power == 3 ? 24 : 0);
        /* cube: middle^3 / 2^108 < prime, with 24 bits shifted away first to stay in 128 bits */
        int less = power == 3 ? (p * middle >> 84) < prime : (p >> 72) < prime;
        if (less)
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)(low >> 4);
}

typedef struct sha256 {
    uint32_t h[8], k[64];
    uint8_t block[64];
    uint64_t n;
} sha256;

static inline void sha256_init(sha256 *s)
{
    unsigned prime = 2;
    memset(s, 0, sizeof *s);
    for (int i = 0; i < 64; prime++) {
        int divides = 0;
        for (unsigned d = 2; d * d <= prime; d++)
            divides |= prime % d == 0;
        if (divides)
            continue;
        if (i < 8)
            s->h[i] = fraction_of_root(prime, 2);
        s->k[i++] = fraction_of_root(prime, 3);
    }
}

static inline void sha256_block(sha256 *s)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)s->block[4 * i] << 24 | (uint32_t)s->block[4 * i + 1] << 16 |
               (uint32_t)s->block[4 * i + 2] << 8 | s->block[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(v, s->h, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t a = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                     ((v[4] & v[5]) ^ (~v[4] & v[6])) + s->k[i] + w[i];
        uint32_t b = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
                     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += a;
        v[0] = a + b;
    }
    for (int i = 0; i < 8; i++)
        s->h[i] += v[i];
}

static inline void sha256_add(sha256 *s, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        s->block[s->n++ % 64] = ((const uint8_t *)bytes)[i];
        if (s->n % 64 == 0)
            sha256_block(s);
    }
}

static inline void sha256_add64(sha256 *s, int64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)((uint64_t)v >> 8 * i);
    sha256_add(s, b, 8);
}

static inline const char *sha256_end(sha256 *s)
{
    static char text[65];
    uint64_t bits = 8 * s->n;
    uint8_t b = 0x80;
    do {
        sha256_add(s, &b, 1);
        b = 0;
    } while (s->n % 64 != 56);
    for (int i = 7; i >= 0; i--) {
        b = (uint8_t)(bits >> 8 * i);
        sha256_add(s, &b, 1);
    }
    for (int i = 0; i < 8; i++)
        snprintf(text + 8 * i, 9, "%08x", (unsigned)s->h[i]);
    return text;
}

/* x, y, p, t of every event as little-endian int64: how the recordings' lists hash their content. */
static inline const char *hash_of_events(const sp_events *e)
{
    sha256 s;
    sha256_init(&s);
    for (size_t k = 0; k < e->n; k++) {
        sha256_add64(&s, e->items[k].x);
        sha256_add64(&s, e->items[k].y);
        sha256_add64(&s, e->items[k].p);
        sha256_add64(&s, e->items[k].t);
    }
    return sha256_end(&s);
}

/* ---- lists with tabs between columns ---- */

typedef struct table {
    FILE *f;
    char line[1024], *column[12];
    int n;
} table;

static inline table table_open(const char *path)
{
    table t = {.f = fopen(path, "r")};
    cr_assert_not_null(t.f, "%s", path);
    return t;
}

/* The next row that is no comment. */
static inline int table_next(table *t)
{
    while (fgets(t->line, sizeof t->line, t->f)) {
        t->line[strcspn(t->line, "\n")] = '\0';
        t->n = 0;
        if (t->line[0] == '#' || t->line[0] == '\0')
            continue;
        for (char *at = strtok(t->line, "\t"); at && t->n < 12; at = strtok(NULL, "\t"))
            t->column[t->n++] = at;
        return 1;
    }
    fclose(t->f);
    return 0;
}

/* ---- a folder of our own ---- */

static char scratch[512];

static inline void scratch_make(void)
{
    snprintf(scratch, sizeof scratch, "%s/events-XXXXXX", SP_TEST_BINARY_DIR);
    cr_assert_not_null(mkdtemp(scratch));
}

static inline int scratch_remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static inline void scratch_remove(void)
{
    cr_assert_eq(nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* A path in it; folders on the way are made. Two calls may be in use at once. */
static inline const char *scratch_path(const char *name)
{
    static char paths[2][1024];
    static int turn;
    char *path = paths[turn ^= 1];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    for (char *at = path + strlen(scratch) + 1; *at; at++) {
        if (*at == '/') {
            *at = '\0';
            mkdir(path, 0777);
            *at = '/';
        }
    }
    return path;
}

static inline void scratch_write(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(scratch_path(name), "wb");
    cr_assert_not_null(f, "%s", name);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    cr_assert_eq(fclose(f), 0);
}

/* ---- files made byte by byte ---- */

typedef struct made {
    uint8_t b[1 << 16];
    size_t n;
} made;

static inline void made_text(made *m, const char *text)
{
    memcpy(m->b + m->n, text, strlen(text));
    m->n += strlen(text);
}

static inline void made_big(made *m, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        m->b[m->n++] = (uint8_t)(v >> 8 * i);
}

static inline void made_little(made *m, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        m->b[m->n++] = (uint8_t)(v >> 8 * i);
}

/* An AEDAT 2.0 event in the camera's own coordinates. */
static inline void made_aedat2(made *m, unsigned x, unsigned y, unsigned p, uint32_t t)
{
    made_big(m, (uint64_t)(y << 8 | x << 1 | p), 4);
    made_big(m, t, 4);
}

static inline void made_packet(made *m, unsigned type, uint32_t event_bytes, uint32_t overflow,
                               uint32_t capacity, uint32_t number)
{
    made_little(m, type, 2);
    made_little(m, 1, 2);
    made_little(m, event_bytes, 4);
    made_little(m, 4, 4);
    made_little(m, overflow, 4);
    made_little(m, capacity, 4);
    made_little(m, number, 4);
    made_little(m, number, 4);
}

static inline void made_polarity(made *m, unsigned x, unsigned y, unsigned p, uint32_t t)
{
    made_little(m, (uint64_t)x << 17 | (uint64_t)y << 2 | (uint64_t)p << 1 | 1, 4);
    made_little(m, t, 4);
}

static inline void made_nmnist(made *m, unsigned x, unsigned y, unsigned p, uint32_t t)
{
    made_big(m, (uint64_t)x << 32 | (uint64_t)y << 24 | (uint64_t)p << 23 | t, 5);
}

/* A small generator of its own, so that tests do not lean on what they test. */
static inline uint32_t noise(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

#endif
