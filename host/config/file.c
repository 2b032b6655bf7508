/* Whole files: see file.h. Knows nothing of what is in them. */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

enum { FIRST_READ_BYTES = 64 * 1024 };
static const size_t write_chunk_bytes = (size_t)1 << 30; /* Linux cuts one write() at 2 GiB */

static sp_status read_all(int fd, const char *path, size_t max_bytes, char **text, size_t *n, sp_error *err)
{
    size_t cap = FIRST_READ_BYTES;
    *n = 0;
    *text = sp_alloc(cap);
    if (!*text)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    for (;;) {
        ssize_t got = read(fd, *text + *n, cap - 1 - *n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return SP_FAIL(err, SP_E_IO, "%s: cannot be read: %s", path, strerror(errno));
        *n += (size_t)got;
        if (*n > max_bytes)
            return SP_FAIL(err, SP_E_DATA, "%s: larger than the limit of %zu bytes for such a file", path,
                           max_bytes);
        if (got == 0)
            break;
        if (*n + 1 == cap) {
            char *grown = sp_realloc(*text, cap * 2);
            if (!grown)
                return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
            *text = grown;
            cap *= 2;
        }
    }
    (*text)[*n] = '\0';
    return SP_OK;
}

sp_status sp_file_read(const char *path, size_t max_bytes, char **text, size_t *n, sp_error *err)
{
    *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return SP_FAIL(err, SP_E_IO, "%s: cannot be opened: %s", path, strerror(errno));
    sp_status st = read_all(fd, path, max_bytes, text, n, err);
    close(fd);
    if (st != SP_OK) {
        sp_free(*text);
        *text = NULL;
    }
    return st;
}

static const char *hint_of(int code)
{
    if (code == ENOSPC || code == EDQUOT)
        return "; free some space";
    if (code == EFBIG)
        return "; it is above the largest file size allowed here (ulimit -f)";
    if (code == ENOENT)
        return "; create the folder first";
    if (code == EACCES || code == EPERM || code == EROFS)
        return "; choose a folder you may write to";
    return "";
}

static sp_status write_part(int fd, const char *path, sp_bytes part, sp_error *err)
{
    const char *p = part.data;
    size_t left = part.n;
    while (left > 0) {
        ssize_t put = write(fd, p, left < write_chunk_bytes ? left : write_chunk_bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            int code = put < 0 ? errno : ENOSPC;
            return SP_FAIL(err, SP_E_IO, "%s: cannot be written: %s%s; what was there before is unchanged",
                           path, strerror(code), hint_of(code));
        }
        p += put;
        left -= (size_t)put;
    }
    return SP_OK;
}

static sp_status write_temp(const char *temp, const char *path, const sp_bytes *parts, size_t n_parts,
                            sp_error *err)
{
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return SP_FAIL(err, SP_E_IO, "%s: cannot be created: %s%s", path, strerror(errno), hint_of(errno));
    sp_status st = SP_OK;
    for (size_t i = 0; i < n_parts && st == SP_OK; i++)
        st = write_part(fd, path, parts[i], err);
    if (st == SP_OK && fsync(fd) != 0)
        st =
            SP_FAIL(err, SP_E_IO, "%s: cannot be written to the disk: %s; what was there before is unchanged",
                    path, strerror(errno));
    if (close(fd) != 0 && st == SP_OK)
        st = SP_FAIL(err, SP_E_IO, "%s: cannot be closed: %s; what was there before is unchanged", path,
                     strerror(errno));
    return st;
}

/* The rename itself is only safe from a power cut once the folder is on the disk. */
static sp_status sync_folder(const char *path, sp_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? sp_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : sp_strdup(".");
    if (!folder)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sp_free(folder);
    if (fd < 0)
        return SP_OK; /* a folder that may be written but not listed: nothing more can be done */
    int failed = fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP;
    int code = errno;
    close(fd);
    if (failed)
        return SP_FAIL(err, SP_E_IO, "%s: is written, but its folder cannot be brought to the disk: %s", path,
                       strerror(code));
    return SP_OK;
}

sp_status sp_file_replace(const char *path, const sp_bytes *parts, size_t n_parts, sp_error *err)
{
    struct stat at;
    /* Renaming over /dev/null or a pipe would destroy it. */
    if (stat(path, &at) == 0 && !S_ISREG(at.st_mode))
        return SP_FAIL(err, SP_E_IO, "%s: is not a regular file, so it cannot be replaced", path);
    char *temp = sp_format("%s.tmp.%ld", path, (long)getpid());
    if (!temp)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    unlink(temp); /* left by a crashed process that had our number */
    sp_status st = write_temp(temp, path, parts, n_parts, err);
    if (st == SP_OK && rename(temp, path) != 0)
        st = SP_FAIL(err, SP_E_IO, "%s: cannot be replaced: %s%s", path, strerror(errno), hint_of(errno));
    if (st == SP_OK)
        st = sync_folder(path, err);
    else
        unlink(temp);
    sp_free(temp);
    return st;
}
