/* Finds plugin files in folders and reads them as text. Nothing of a plugin is executed here: shared objects
 * are opened only when chosen (library.c). */
#define _XOPEN_SOURCE 700 // realpath
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/scope.h"
#include "registry/store.h"

enum { MAX_FILE_BYTES = 1 << 20 };

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s), m = strlen(ending);
    return n > m && strcmp(s + n - m, ending) == 0;
}

static sp_status out_of_memory(sp_error *err)
{
    return SP_FAIL(err, SP_E_MEMORY, "out of memory while loading plugins");
}

/* Adds s, which it takes over, to a list of strings. */
static sp_status keep(char ***list, size_t *n, char *s, sp_error *err)
{
    char **added = s ? sp_array_push(list, *n, sizeof *added) : NULL;
    if (!added) {
        sp_free(s);
        return out_of_memory(err);
    }
    *added = s;
    ++*n;
    return SP_OK;
}

char *sp_text_file_read(const char *path, char *why, size_t why_size)
{
    struct stat s;
    FILE *f = sp_file_stream(path, NULL);
    if ((!f && errno != ENOTSUP) || (f && fstat(fileno(f), &s) != 0)) {
        snprintf(why, why_size, "cannot be read: %s", strerror(errno));
    } else if (!f || s.st_size > MAX_FILE_BYTES) {
        snprintf(why, why_size, "not an ordinary file of at most %d bytes", MAX_FILE_BYTES);
    } else {
        char *text = sp_alloc((size_t)s.st_size + 1);
        size_t n = text ? fread(text, 1, (size_t)s.st_size, f) : 0;
        fclose(f);
        const bool whole = text && n == (size_t)s.st_size && strlen(text) == n;
        const bool marked = whole && strncmp(text, "\xEF\xBB\xBF", 3) == 0;
        if (whole && !marked)
            return text;
        snprintf(why, why_size, "%s",
                 marked ? "begins with a byte order mark, which kernel compilers do not take: save it as "
                          "UTF-8 "
                          "without one"
                 : text ? "cannot be read to its end, or is not text"
                        : "out of memory");
        sp_free(text);
        return NULL;
    }
    if (f)
        fclose(f);
    return NULL;
}

/* A driver on which a library is slow or crashes can do without: its metadata is not read. */
static bool left_out(const char *path)
{
    const char *set = sp_setting("SPIKEPORT_NO_LIBRARIES");
    return set && strcmp(set, "1") == 0 && ends_with(path, ".meta");
}

sp_status sp_registry_keep_text(sp_registry *reg, char *text, sp_error *err)
{
    return keep(&reg->store->texts, &reg->store->n_texts, text, err);
}

static sp_status scan_file(sp_registry *reg, const char *path, sp_origin origin, sp_error *err)
{
    sp_registry_store *store = reg->store;
    char real[PATH_MAX], why[128];
    if (left_out(path))
        return SP_OK;
    if (!realpath(path, real))
        snprintf(real, sizeof real, "%s", path);
    for (size_t i = 0; i < store->n_seen; i++)
        if (strcmp(store->seen[i], real) == 0)
            return SP_OK;
    SP_TRY(keep(&store->seen, &store->n_seen, sp_strdup(real), err));
    char *text = sp_text_file_read(path, why, sizeof why);
    if (!text)
        return sp_registry_add_refusal(reg, path, why, err);
    SP_TRY(sp_registry_keep_text(reg, text, err));
    return sp_registry_add_text(reg, path, text, origin, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Paths of the entries of a folder, sorted; hidden ones left out. An unreadable folder has none. */
static sp_status list_folder(const char *path, char ***names, size_t *n, sp_error *err)
{
    DIR *dir = opendir(path);
    sp_status st = SP_OK;
    for (struct dirent *e; dir && st == SP_OK && (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.')
            st = keep(names, n, sp_format("%s/%s", path, e->d_name), err);
    if (dir)
        closedir(dir);
    if (*n)
        qsort(*names, *n, sizeof **names, by_name);
    return st;
}

static sp_status scan_folder(sp_registry *reg, const char *path, sp_origin origin, int levels_below,
                             sp_error *err)
{
    char **names = NULL;
    size_t n = 0;
    sp_status st = list_folder(path, &names, &n, err);
    for (size_t i = 0; i < n && st == SP_OK; i++) {
        if (sp_path_is_folder(names[i]) && levels_below > 0)
            st = scan_folder(reg, names[i], origin, levels_below - 1, err);
        else if (ends_with(names[i], ".cl") || ends_with(names[i], ".meta"))
            st = scan_file(reg, names[i], origin, err);
    }
    for (size_t i = 0; i < n; i++)
        sp_free(names[i]);
    sp_free(names);
    return st;
}

sp_status sp_registry_scan(sp_registry *reg, const char *path, sp_origin origin, bool must_exist,
                           sp_error *err)
{
    if (sp_path_is_folder(path))
        return scan_folder(reg, path, origin, 1, err);
    if (!sp_path_exists(path))
        return must_exist ? sp_registry_add_refusal(reg, path, "there is no such file or folder", err)
                          : SP_OK;
    if (!ends_with(path, ".cl") && !ends_with(path, ".meta"))
        return sp_registry_add_refusal(reg, path, "neither a folder nor a .cl or .meta file", err);
    return scan_file(reg, path, origin, err);
}

sp_status sp_registry_scan_own_folders(sp_registry *reg, sp_error *err)
{
    char *folder = sp_own_library("plugins");
    sp_status st = folder ? sp_registry_scan(reg, folder, SP_ORIGIN_BUILTIN, false, err) : SP_OK;
    sp_free(folder);
    return st;
}
