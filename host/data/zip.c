/* Zip archives: see zip.h. An own reader rather than libzip: zlib, which is needed anyway, does the work, and
 * arrays that are stored are read from their place in the file, sample by sample, which libzip does not
 * offer. Archives of several files, encryption and other compressions are refused by name. */
#include "data/zip.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum {
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    MOST_COMMENT = 65535,
    MOST_MEMBERS = 65536,
    CHUNK = 1 << 16
};
static const uint64_t most_directory = (uint64_t)1 << 26, most_inflate = 1032, most_bytes = (uint64_t)1 << 36;

static uint64_t little(const uint8_t *b, int n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | b[n];
    return v;
}

sp_status sp_file_read_at(int file, const char *path, uint64_t at, void *out, size_t n, sp_error *err)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = pread(file, (uint8_t *)out + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return SP_FAIL(err, SP_E_DATA, "%s: byte %llu: %s", path, (unsigned long long)(at + got),
                           strerror(errno));
        if (r == 0)
            return SP_FAIL(err, SP_E_DATA, "%s: ends at byte %llu, %zu bytes short: truncated", path,
                           (unsigned long long)(at + got), n - got);
        got += (size_t)r;
    }
    return SP_OK;
}

static sp_status damaged(const sp_zip *z, uint64_t at, const char *what, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA, "%s: byte %llu: %s; the archive is damaged or truncated; write it again",
                   z->path, (unsigned long long)at, what);
}

typedef struct directory {
    uint64_t at, bytes, members;
} directory;

/* Archives of more than 4 GiB say it in a second record, which a locator before the first points to. */
static sp_status read_end64(const sp_zip *z, uint64_t end_at, directory *d, sp_error *err)
{
    uint8_t b[END64_BYTES];
    uint64_t at;
    if (end_at < LOCATOR_BYTES)
        return damaged(z, end_at, "the 64-bit directory is missing", err);
    SP_TRY(sp_file_read_at(z->file, z->path, end_at - LOCATOR_BYTES, b, LOCATOR_BYTES, err));
    at = little(b + 8, 8);
    if (little(b, 4) != 0x07064b50 || z->file_bytes < END64_BYTES || at > z->file_bytes - END64_BYTES)
        return damaged(z, end_at - LOCATOR_BYTES, "the 64-bit directory is missing", err);
    SP_TRY(sp_file_read_at(z->file, z->path, at, b, END64_BYTES, err));
    if (little(b, 4) != 0x06064b50)
        return damaged(z, at, "no 64-bit directory here", err);
    *d = (directory){.members = little(b + 32, 8), .bytes = little(b + 40, 8), .at = little(b + 48, 8)};
    return SP_OK;
}

static sp_status read_end(const sp_zip *z, directory *d, sp_error *err)
{
    static const uint8_t mark[4] = {'P', 'K', 5, 6};
    uint64_t n = z->file_bytes < END_BYTES + MOST_COMMENT ? z->file_bytes : END_BYTES + MOST_COMMENT, at = n;
    uint8_t *tail = n >= END_BYTES ? sp_alloc((size_t)n) : NULL, *b = NULL;
    sp_status st = SP_OK;
    if (n < END_BYTES)
        return damaged(z, 0, "too short for a zip archive", err);
    if (!tail)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", z->path);
    SP_TRY_GOTO(sp_file_read_at(z->file, z->path, z->file_bytes - n, tail, (size_t)n, err));
    for (uint64_t k = n - END_BYTES + 1; k-- > 0 && !b;)
        if (memcmp(tail + k, mark, sizeof mark) == 0 && k + END_BYTES + little(tail + k + 20, 2) == n)
            b = tail + k, at = k;
    if (!b)
        SP_TRY_GOTO(damaged(z, z->file_bytes, "no directory at the end of the archive", err));
    *d = (directory){.members = little(b + 10, 2), .bytes = little(b + 12, 4), .at = little(b + 16, 4)};
    if (d->members == 0xffff || d->bytes == 0xffffffff || d->at == 0xffffffff)
        st = read_end64(z, z->file_bytes - n + at, d, err);
    if (st == SP_OK && (d->members > MOST_MEMBERS || d->bytes > most_directory || d->at > z->file_bytes ||
                        d->bytes > z->file_bytes - d->at))
        st = damaged(z, z->file_bytes - n + at, "the directory does not lie inside the file, or is too large",
                     err);
done:
    sp_free(tail);
    return st;
}

/* Sizes that did not fit 32 bits stand in the extra field 1, in this order. */
static bool read_extra64(const uint8_t *extra, size_t n, sp_zip_member *m)
{
    uint64_t *const values[] = {&m->bytes, &m->packed_bytes, &m->header_at};
    while (n >= 4) {
        size_t size = (size_t)little(extra + 2, 2), at = 4;
        if (size > n - 4)
            return false;
        for (int k = 0; little(extra, 2) == 1 && k < 3; k++) {
            if (*values[k] != 0xffffffff)
                continue;
            if (at + 8 > 4 + size)
                return false;
            *values[k] = little(extra + at, 8);
            at += 8;
        }
        extra += 4 + size;
        n -= 4 + size;
    }
    return true;
}

static sp_status read_entry(sp_zip *z, const uint8_t *b, uint64_t left, uint64_t at, uint64_t *used,
                            sp_error *err)
{
    sp_zip_member *m = &z->members[z->n];
    size_t name, extra;
    if (left < ENTRY_BYTES || little(b, 4) != 0x02014b50)
        return damaged(z, at, "no entry of the directory here", err);
    name = (size_t)little(b + 28, 2), extra = (size_t)little(b + 30, 2);
    *used = ENTRY_BYTES + name + extra + little(b + 32, 2);
    if (*used > left || name == 0 || name >= SP_ZIP_NAME_BYTES)
        return damaged(z, at, "an entry of the directory is too long", err);
    *m = (sp_zip_member){.method = (int)little(b + 10, 2),
                         .crc = (uint32_t)little(b + 16, 4),
                         .packed_bytes = little(b + 20, 4),
                         .bytes = little(b + 24, 4),
                         .header_at = little(b + 42, 4)};
    if (memchr(b + ENTRY_BYTES, '\0', name))
        return damaged(z, at, "a member's name has a zero byte", err);
    memcpy(m->name, b + ENTRY_BYTES, name);
    if (!read_extra64(b + ENTRY_BYTES + name, extra, m))
        return damaged(z, at, "an extra field of the directory is damaged", err);
    if (little(b + 8, 2) & 1)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %llu: member %s is encrypted, which is not read; write it plain", z->path,
                       (unsigned long long)at, m->name);
    if (m->method != 0 && m->method != 8)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %llu: member %s has compression %d; stored and deflated ones are read, as "
                       "numpy.savez and savez_compressed write them",
                       z->path, (unsigned long long)at, m->name, m->method);
    if (m->packed_bytes > z->file_bytes || m->header_at > z->file_bytes || m->bytes > most_bytes ||
        (m->method == 0 ? m->bytes != m->packed_bytes
                        : m->bytes > (m->packed_bytes + 64) * most_inflate)) /* deflate cannot expand more */
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %llu: the sizes of member %s are not possible; the archive is damaged or "
                       "truncated; write it again",
                       z->path, (unsigned long long)at, m->name);
    z->n++;
    return SP_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const sp_zip_member *const *)a)->name, (*(const sp_zip_member *const *)b)->name);
}

/* Readers differ in which of two members of one name they take. */
static sp_status check_names(const sp_zip *z, sp_error *err)
{
    const sp_zip_member **m = sp_alloc_array(z->n, sizeof *m);
    sp_status st = m || !z->n ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", z->path);
    for (size_t i = 0; m && i < z->n; i++)
        m[i] = &z->members[i];
    if (m)
        qsort(m, z->n, sizeof *m, by_name);
    for (size_t i = 1; m && i < z->n && st == SP_OK; i++)
        if (by_name(&m[i - 1], &m[i]) == 0)
            st = SP_FAIL(
                err, SP_E_DATA, "%s: byte %llu: a second member %s; write the archive again", z->path,
                (unsigned long long)(m[i - 1]->header_at > m[i]->header_at ? m[i - 1] : m[i])->header_at,
                m[i]->name);
    sp_free(m);
    return st;
}

static sp_status read_directory(sp_zip *z, sp_error *err)
{
    directory d = {0};
    uint8_t *bytes = NULL;
    uint64_t at = 0, used = 0;
    sp_status st;
    SP_TRY(read_end(z, &d, err));
    bytes = sp_alloc((size_t)d.bytes);
    z->members = sp_alloc_array((size_t)d.members, sizeof *z->members);
    if (!bytes || !z->members)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", z->path));
    SP_TRY_GOTO(sp_file_read_at(z->file, z->path, d.at, bytes, (size_t)d.bytes, err));
    while (z->n < d.members) {
        SP_TRY_GOTO(read_entry(z, bytes + at, d.bytes - at, d.at + at, &used, err));
        at += used;
    }
    st = check_names(z, err);
done:
    sp_free(bytes);
    return st;
}

sp_status sp_zip_open(const char *path, sp_zip *out, sp_error *err)
{
    sp_zip z = {.path = sp_strdup(path), .file = -1};
    struct stat info;
    sp_status st;
    if (!z.path)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    z.file = sp_file_open(path, err);
    st = z.file >= 0 && fstat(z.file, &info) == 0 ? SP_OK : sp_error_as(err, SP_E_DATA);
    if (st == SP_OK) {
        z.file_bytes = (uint64_t)info.st_size;
        st = read_directory(&z, err);
    }
    if (st == SP_OK)
        *out = z;
    else
        sp_zip_close(&z);
    return st;
}

void sp_zip_close(sp_zip *z)
{
    if (z->path && z->file >= 0)
        close(z->file);
    sp_free(z->path);
    sp_free(z->members);
    *z = (sp_zip){.file = -1};
}

const sp_zip_member *sp_zip_find(const sp_zip *z, const char *name)
{
    for (size_t i = 0; i < z->n; i++)
        if (strcmp(z->members[i].name, name) == 0)
            return &z->members[i];
    return NULL;
}

/* The lengths in front of the data may differ from those of the directory. */
static sp_status find_data(const sp_zip *z, const sp_zip_member *m, uint64_t *at, sp_error *err)
{
    uint8_t b[LOCAL_BYTES];
    SP_TRY(sp_file_read_at(z->file, z->path, m->header_at, b, sizeof b, err));
    if (little(b, 4) != 0x04034b50)
        return damaged(z, m->header_at, "no member begins here, as the directory says", err);
    *at = m->header_at + LOCAL_BYTES + little(b + 26, 2) + little(b + 28, 2);
    if (*at > z->file_bytes || m->packed_bytes > z->file_bytes - *at)
        return damaged(z, m->header_at, "a member goes on past the end of the file", err);
    return SP_OK;
}

static sp_status check_crc(const sp_zip *z, const sp_zip_member *m, uint64_t at, uint32_t crc, sp_error *err)
{
    return crc == m->crc ? SP_OK
                         : SP_FAIL(err, SP_E_DATA,
                                   "%s: byte %llu: the check sum of member %s differs: damaged; write it "
                                   "again",
                                   z->path, (unsigned long long)at, m->name);
}

sp_status sp_zip_locate(const sp_zip *z, const sp_zip_member *m, uint64_t *at, sp_error *err)
{
    uint8_t *chunk = sp_alloc(CHUNK);
    uint32_t crc = 0;
    sp_status st = chunk ? find_data(z, m, at, err) : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", z->path);
    for (uint64_t k = 0, n; st == SP_OK && k < m->bytes; k += n) {
        n = m->bytes - k < CHUNK ? m->bytes - k : CHUNK;
        st = sp_file_read_at(z->file, z->path, *at + k, chunk, (size_t)n, err);
        crc = (uint32_t)crc32(crc, chunk, (uInt)n);
    }
    sp_free(chunk);
    return st == SP_OK ? check_crc(z, m, *at, crc, err) : st;
}

/* `stream` is set up; its output is the whole member. */
static sp_status inflate_all(const sp_zip *z, const sp_zip_member *m, uint64_t at, z_stream *stream,
                             uint8_t *out, uint8_t *chunk, sp_error *err)
{
    uint64_t taken = 0, made = 0;
    int code = Z_OK;
    while (code == Z_OK) {
        uint64_t in = m->packed_bytes - taken < CHUNK ? m->packed_bytes - taken : CHUNK;
        uint64_t room = m->bytes - made < 1u << 30 ? m->bytes - made : 1u << 30;
        if (stream->avail_in == 0) {
            SP_TRY(sp_file_read_at(z->file, z->path, at + taken, chunk, (size_t)in, err));
            stream->next_in = chunk, stream->avail_in = (uInt)in;
            taken += in;
        }
        stream->next_out = out + made, stream->avail_out = (uInt)room;
        code = inflate(stream, Z_NO_FLUSH);
        made += room - stream->avail_out;
    }
    if (code != Z_STREAM_END || made != m->bytes)
        return SP_FAIL(err, SP_E_DATA, "%s: byte %llu: member %s breaks off or is damaged: %s", z->path,
                       (unsigned long long)(at + taken - stream->avail_in), m->name,
                       stream->msg ? stream->msg : "its length is not that of the directory");
    return SP_OK;
}

sp_status sp_zip_read(const sp_zip *z, const sp_zip_member *m, uint8_t **bytes, sp_error *err)
{
    z_stream stream = {0};
    uint8_t *chunk = sp_alloc(CHUNK), *out = sp_alloc((size_t)m->bytes);
    uint64_t at = 0;
    sp_status st;
    if (!chunk || !out)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "%s: no memory for the %llu bytes of member %s", z->path,
                            (unsigned long long)m->bytes, m->name));
    SP_TRY_GOTO(find_data(z, m, &at, err));
    if (m->method == 0) {
        SP_TRY_GOTO(sp_file_read_at(z->file, z->path, at, out, (size_t)m->bytes, err));
    } else {
        if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
            SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", z->path));
        st = inflate_all(z, m, at, &stream, out, chunk, err);
        inflateEnd(&stream);
        SP_TRY_GOTO(st);
    }
    /* In pieces, as zlib counts in 32 bits. */
    uint32_t crc = 0;
    for (uint64_t k = 0, n; k < m->bytes; k += n) {
        n = m->bytes - k < 1u << 30 ? m->bytes - k : 1u << 30;
        crc = (uint32_t)crc32(crc, out + k, (uInt)n);
    }
    SP_TRY_GOTO(check_crc(z, m, at, crc, err));
    *bytes = out;
    out = NULL;
done:
    sp_free(chunk);
    sp_free(out);
    return st;
}
