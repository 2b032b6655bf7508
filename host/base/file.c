/* Files and folders: see file.h. Knows nothing of what is in them. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

enum { FIRST_READ_BYTES = 64 * 1024, FULL_BYTES = 1 << 20 };
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

int sp_file_open(const char *path, sp_error *err)
{
    struct stat at;
    if (!*path) {
        SP_FAIL(err, SP_E_IO, "the name of a file is empty");
        errno = ENOENT;
        return -1;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &at) == 0 && S_ISREG(at.st_mode))
        return fd;
    if (fd >= 0 || errno == ENXIO) { /* a socket cannot even be opened */
        SP_FAIL(err, SP_E_IO, "%s: is not a regular file; give a file, not a folder, a pipe or a device",
                path);
        if (fd >= 0)
            close(fd);
        errno = ENOTSUP;
        return -1;
    }
    int code = errno;
    SP_FAIL(err, SP_E_IO, "%s: cannot be opened: %s", path, strerror(code));
    errno = code;
    return -1;
}

FILE *sp_file_stream(const char *path, sp_error *err)
{
    int fd = sp_file_open(path, err);
    FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (fd >= 0 && !f) {
        close(fd);
        SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
        errno = ENOMEM;
    }
    return f;
}

/* Only by their names, which a person types and a file in a folder cannot have. */
static bool is_handed_over(const char *path)
{
    return strcmp(path, "/dev/stdin") == 0 || strncmp(path, "/dev/fd/", 8) == 0 ||
           strncmp(path, "/proc/self/fd/", 14) == 0;
}

sp_status sp_file_read(const char *path, size_t max_bytes, char **text, size_t *n, sp_error *err)
{
    *text = NULL;
    int fd = is_handed_over(path) ? open(path, O_RDONLY | O_CLOEXEC) : sp_file_open(path, err);
    if (fd < 0)
        return is_handed_over(path) ? SP_FAIL(err, SP_E_IO, "%s: cannot be opened: %s", path, strerror(errno))
                                    : SP_E_IO;
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

char *sp_file_obstacle(void)
{
    const char *const places[] = {getenv("POCL_CACHE_DIR"), getenv("XDG_CACHE_HOME"), getenv("HOME"),
                                  getenv("TMPDIR"), "/tmp"};
    struct rlimit most;
    struct statvfs at;
    if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY)
        return sp_format("files may have at most %llu bytes here (ulimit -f), also those of compilers; raise "
                         "the limit",
                         (unsigned long long)most.rlim_cur);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i] && statvfs(places[i], &at) == 0 && at.f_blocks &&
            (uint64_t)at.f_bavail * at.f_frsize < FULL_BYTES)
            return sp_format("%s is full; free some space, or name another place with TMPDIR and "
                             "POCL_CACHE_DIR",
                             places[i]);
    return NULL;
}

static const char *kept(const char *path)
{
    return sp_path_exists(path) ? "; what was there before is unchanged" : "";
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
            return SP_FAIL(err, SP_E_IO, "%s: cannot be written: %s%s%s", path, strerror(code), hint_of(code),
                           kept(path));
        }
        p += put;
        left -= (size_t)put;
    }
    return SP_OK;
}

static int lock_fd(int fd, bool wait)
{
    int failed;
    do
        failed = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
    while (failed && errno == EINTR);
    return failed;
}

/* Opens and locks the temporary file. The lock of a process that died is gone, so what it left is taken over;
 * a writer that waited finds that the name leads to another file by now, and tries again. What somebody
 * planted there, a link or a file of another user, is removed and never written to. */
static sp_status open_temp(const char *temp, const char *path, int *fd, sp_error *err)
{
    for (;;) {
        struct stat opened, named;
        *fd = open(temp, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
        if (*fd < 0 && (errno == ELOOP || errno == ENXIO || errno == EACCES) && unlink(temp) == 0)
            continue;
        if (*fd < 0)
            return SP_FAIL(err, SP_E_IO, "%s: cannot be created: %s%s", path, strerror(errno),
                           hint_of(errno));
        lock_fd(*fd, true); /* a file system without locks does not keep two writers apart */
        bool same = fstat(*fd, &opened) == 0 && lstat(temp, &named) == 0 && opened.st_dev == named.st_dev &&
                    opened.st_ino == named.st_ino;
        if (same && S_ISREG(opened.st_mode) && opened.st_nlink == 1 && opened.st_uid == geteuid() &&
            ftruncate(*fd, 0) == 0)
            return SP_OK;
        close(*fd);
        if (same && unlink(temp) != 0)
            return SP_FAIL(err, SP_E_IO, "%s: what lies at %s cannot be removed: %s", path, temp,
                           strerror(errno));
    }
}

static sp_status write_temp(int fd, const char *path, const sp_bytes *parts, size_t n_parts, sp_error *err)
{
    sp_status st = SP_OK;
    for (size_t i = 0; i < n_parts && st == SP_OK; i++)
        st = write_part(fd, path, parts[i], err);
    int code = st == SP_OK && fsync(fd) != 0 ? errno : 0;
    if (code)
        st = SP_FAIL(err, SP_E_IO, "%s: cannot be written to the disk: %s%s", path, strerror(code),
                     kept(path));
    return st;
}

/* The part of the path in front of its name. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? sp_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : sp_strdup(".");
}

/* The rename itself is only safe from a power cut once the folder is on the disk. */
static sp_status sync_folder(const char *path, sp_error *err)
{
    char *folder = folder_of(path);
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
    int fd = -1;
    char *temp = sp_format("%s.tmp", path);
    sp_status st = temp ? open_temp(temp, path, &fd, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    if (st == SP_OK) {
        st = write_temp(fd, path, parts, n_parts, err);
        if (st == SP_OK && rename(temp, path) != 0)
            st = SP_FAIL(err, SP_E_IO, "%s: cannot be replaced: %s%s", path, strerror(errno), hint_of(errno));
        if (st != SP_OK)
            unlink(temp);
        close(fd); /* only now: closing gives the lock back */
    }
    if (st == SP_OK)
        st = sync_folder(path, err);
    sp_free(temp);
    return st;
}

sp_status sp_file_replace_text(const char *path, const char *text, sp_error *err)
{
    if (!text)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    return sp_file_replace(path, &(sp_bytes){text, strlen(text)}, 1, err);
}

int sp_file_lock(const char *path, bool wait)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || lock_fd(fd, wait) == 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

/* ---- folders ---- */

bool sp_path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool sp_path_is_folder(const char *path)
{
    struct stat at;
    return stat(path, &at) == 0 && S_ISDIR(at.st_mode);
}

sp_status sp_folder_make(const char *folder, mode_t mode, sp_error *err)
{
    char *path = sp_strdup(folder);
    if (!path)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", folder);
    for (char *at = *path ? path + 1 : path; *at; at++)
        if (*at == '/') {
            *at = '\0';
            mkdir(path, mode); /* what fails shows below */
            *at = '/';
        }
    bool made = mkdir(path, mode) == 0 || (errno == EEXIST && sp_path_is_folder(path));
    sp_status st =
        made ? SP_OK : SP_FAIL(err, SP_E_IO, "cannot make the folder %s: %s", folder, strerror(errno));
    sp_free(path);
    return st;
}

sp_status sp_folder_make_of(const char *path, mode_t mode, sp_error *err)
{
    char *folder = folder_of(path);
    sp_status st = folder ? sp_folder_make(folder, mode, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    sp_free(folder);
    return st;
}

/* ---- lines ---- */

bool sp_lines_open(sp_lines *l, const char *folder, const char *name, sp_error *err)
{
    char *path = folder ? sp_format("%s/%s", folder, name) : sp_strdup(name);
    *l = (sp_lines){.f = path ? sp_file_stream(path, err) : NULL};
    if (!path)
        SP_FAIL(err, SP_E_MEMORY, "out of memory");
    sp_free(path);
    return l->f != NULL;
}

bool sp_lines_next(sp_lines *l)
{
    while (l->f && getline(&l->text, &l->cap, l->f) > 0) {
        l->number++;
        if (l->text[strspn(l->text, " \t\r\n")] != '\0')
            return true;
    }
    return false;
}

json_t *sp_lines_json(sp_lines *l)
{
    json_t *j = NULL;
    while (!j && sp_lines_next(l))
        j = json_loads(l->text, 0, NULL);
    return j;
}

void sp_lines_close(sp_lines *l)
{
    if (l->f)
        fclose(l->f);
    free(l->text);
    *l = (sp_lines){0};
}
