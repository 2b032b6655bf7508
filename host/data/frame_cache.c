/* The frame cache: one file for the frames of one sample, in the user's cache folder. A file says what made
 * it: the recording with its size and time, the options, the version of this code. It is read again only if
 * all of that, its lengths and its check sum agree; otherwise the frames are made anew and the file replaced.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include "base/log.h"
#include "base/cache.h"
#include "base/error.h"
#include "base/file.h"
#include "data/events.h"

enum { VERSION = 2, ORDER_MARK = 0x01020304, SLACK_BYTES = 1 << 16 };

struct sp_frame_cache {
    char *folder;
    pthread_mutex_t lock; /* of the flags, and one writer at a time */
    bool told, failed;
};

typedef struct head {
    char magic[8];
    uint32_t order, version, text_bytes, crc; /* crc: of what follows the head */
    uint64_t floats, packed_bytes;
} head;

static const char magic[8] = {'S', 'P', 'F', 'R', 'A', 'M', 'E', 'S'};

static char *cache_folder(const char *set)
{
    char *folder = sp_cache_folder(), *frames = folder ? sp_format("%s/frames/%s", folder, set) : NULL;
    sp_free(folder);
    return frames;
}

sp_status sp_frame_cache_open(const char *set, sp_frame_cache **out, sp_error *err)
{
    sp_frame_cache *c;
    char *folder = cache_folder(set);
    *out = NULL;
    if (!folder) {
        sp_log(SP_LOG_WARNING,
               "frames of \"%s\" are not kept: none of SPIKEPORT_CACHE_DIR, XDG_CACHE_HOME and HOME is set",
               set);
        return SP_OK;
    }
    c = sp_alloc(sizeof *c);
    if (!c) {
        sp_free(folder);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the frame cache of \"%s\"", set);
    }
    c->folder = folder;
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return SP_OK;
}

void sp_frame_cache_close(sp_frame_cache **cp)
{
    sp_frame_cache *c = cp ? *cp : NULL;
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    sp_free(c->folder);
    sp_free(c);
    *cp = NULL;
}

bool sp_frame_cache_source(sp_text *text, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return false;
    sp_text_add(text, "%s %lld %lld.%09ld\n", path, (long long)info.st_size, (long long)info.st_mtim.tv_sec,
                (long)info.st_mtim.tv_nsec);
    return !text->failed;
}

/* 64-bit FNV-1a of the key: the file's name. Two keys of one name only make each other's files misses. */
static char *file_of(const sp_frame_cache *c, const char *key)
{
    uint64_t h = 14695981039346656037u;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    return sp_format("%s/%016llx.frames", c->folder, (unsigned long long)h);
}

static uint32_t crc_of(const void *bytes, size_t n)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, n);
}

/* Whether the file's bytes are an answer to this question; then the frames are unpacked. */
static bool unpack(const char *bytes, size_t n, const char *text, float *frames, size_t n_floats)
{
    head h;
    const char *after = bytes + sizeof h;
    uLongf room = (uLongf)(n_floats * sizeof *frames);
    if (n < sizeof h)
        return false;
    memcpy(&h, bytes, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.order != ORDER_MARK || h.version != VERSION ||
        h.text_bytes != strlen(text) || h.floats != n_floats || h.packed_bytes > n - sizeof h ||
        n - sizeof h - h.packed_bytes != h.text_bytes)
        return false;
    if (h.crc != crc_of(after, n - sizeof h) || memcmp(after, text, h.text_bytes) != 0)
        return false;
    return uncompress((Bytef *)frames, &room, (const Bytef *)after + h.text_bytes, (uLong)h.packed_bytes) ==
               Z_OK &&
           room == n_floats * sizeof *frames;
}

bool sp_frame_cache_get(const sp_frame_cache *c, const char *key, const char *sources, float *frames,
                        size_t n)
{
    char *path = file_of(c, key), *text = sp_format("%s%s", key, sources), *bytes = NULL;
    size_t most = n * sizeof *frames + n + SLACK_BYTES, length = 0;
    FILE *f = path && text ? sp_cache_open(path) : NULL;
    struct stat info;
    if (f && fstat(fileno(f), &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size <= most &&
        (bytes = sp_alloc((size_t)info.st_size)) != NULL)
        length = fread(bytes, 1, (size_t)info.st_size, f);
    bool hit = length > 0 && unpack(bytes, length, text, frames, n);
    if (f)
        fclose(f);
    sp_free(bytes);
    sp_free(text);
    sp_free(path);
    return hit;
}

static sp_status write_file(const sp_frame_cache *c, const char *key, const char *sources,
                            const float *frames, size_t n, sp_error *err)
{
    uLongf packed = compressBound((uLong)(n * sizeof *frames));
    char *path = file_of(c, key), *text = sp_format("%s%s", key, sources);
    size_t text_bytes = text ? strlen(text) : 0;
    uint8_t *bytes = text ? sp_alloc(text_bytes + packed) : NULL;
    head h = {.order = ORDER_MARK, .version = VERSION, .text_bytes = (uint32_t)text_bytes, .floats = n};
    sp_bytes parts[2];
    sp_status st;
    if (!path || !bytes) {
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory");
        goto done;
    }
    memcpy(h.magic, magic, sizeof magic);
    memcpy(bytes, text, text_bytes);
    /* level 1: frames are mostly zeros, which pack well at any level */
    if (compress2(bytes + text_bytes, &packed, (const Bytef *)frames, (uLong)(n * sizeof *frames), 1) !=
        Z_OK) {
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory while packing frames");
        goto done;
    }
    h.packed_bytes = packed;
    h.crc = crc_of(bytes, text_bytes + packed);
    parts[0] = (sp_bytes){&h, sizeof h};
    parts[1] = (sp_bytes){bytes, text_bytes + packed};
    st = sp_file_replace(path, parts, 2, err);
done:
    sp_free(bytes);
    sp_free(text);
    sp_free(path);
    return st;
}

void sp_frame_cache_put(sp_frame_cache *c, const char *key, const char *sources, const float *frames,
                        size_t n)
{
    sp_error err = {0};
    pthread_mutex_lock(&c->lock);
    if (!c->failed) {
        if (!c->told) {
            sp_folder_make(c->folder, 0700, NULL); /* what fails shows when a file in it is written */
            sp_log(SP_LOG_INFO,
                   "frames are kept in %s for the next time (data.events.cache: false turns this off)",
                   c->folder);
        }
        c->told = true;
        if (write_file(c, key, sources, frames, n, &err) != SP_OK) {
            c->failed = true;
            sp_log(SP_LOG_WARNING, "frames are not kept any longer: %s", err.text);
        }
    }
    pthread_mutex_unlock(&c->lock);
}
