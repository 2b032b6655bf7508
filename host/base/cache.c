/* Where the cache folder is, and which of its files may be believed. */
#define _XOPEN_SOURCE 700 // S_ISVTX
#include "base/cache.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"

char *sp_cache_folder(void)
{
    const char *own = sp_setting("SPIKEPORT_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    if (own && *own)
        return sp_strdup(own);
    if (xdg && *xdg)
        return sp_format("%s/spikeport", xdg);
    return home && *home ? sp_format("%s/.cache/spikeport", home) : NULL;
}

static bool is_ours(const struct stat *s)
{
    return (s->st_uid == geteuid() || s->st_uid == 0) && !(s->st_mode & (S_IWGRP | S_IWOTH));
}

/* In a sticky folder, as /tmp is one, no one else can replace this user's files. */
static bool folder_is_ours(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? sp_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : sp_strdup(".");
    struct stat s;
    bool ours = folder && stat(folder, &s) == 0 &&
                (is_ours(&s) || (s.st_mode & S_ISVTX && (s.st_uid == geteuid() || s.st_uid == 0)));
    sp_free(folder);
    return ours;
}

FILE *sp_cache_open(const char *path)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    struct stat s;
    FILE *f = sp_file_stream(path, NULL);
    if (!f || (fstat(fileno(f), &s) == 0 && is_ours(&s) && folder_is_ours(path)))
        return f;
    fclose(f);
    if (!atomic_flag_test_and_set(&said))
        sp_log(SP_LOG_WARNING,
               "%s is not used: other users own it or its folder, or may write there (chmod go-w both, "
               "delete them, or set SPIKEPORT_CACHE_DIR to a folder of your own); this is said once",
               path);
    return NULL;
}
