/* Names in a folder. What a name may be is the caller's business. */
#include "base/folder.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/suggest.h"

void sp_names_free(sp_names *list)
{
    for (size_t i = 0; i < list->n; i++)
        sp_free(list->items[i]);
    sp_free(list->items);
    *list = (sp_names){0};
}

sp_status sp_names_add(sp_names *list, const char *name, sp_error *err)
{
    char *copy = sp_strdup(name), **added = copy ? sp_array_push(&list->items, list->n, sizeof *added) : NULL;
    if (!added) {
        sp_free(copy);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing a folder");
    }
    *added = copy;
    list->n++;
    return SP_OK;
}

int sp_names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

sp_status sp_folder_list(const char *path, sp_name_filter wanted, const void *ctx, sp_names *out,
                         sp_error *err)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    sp_status st = SP_OK;
    if (!d)
        return SP_FAIL(err, SP_E_DATA, "%s: this folder cannot be listed: %s", path, strerror(errno));
    while (st == SP_OK && (e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.' && wanted(dirfd(d), e->d_name, ctx))
            st = sp_names_add(out, e->d_name, err);
    }
    closedir(d);
    if (out->n > 1)
        qsort(out->items, out->n, sizeof *out->items, sp_names_compare);
    return st;
}

bool sp_folder_has(const char *path, sp_name_filter wanted, const void *ctx)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    bool found = false;
    while (d && !found && (e = readdir(d)) != NULL)
        found = e->d_name[0] != '.' && wanted(dirfd(d), e->d_name, ctx);
    if (d)
        closedir(d);
    return found;
}

bool sp_name_is_folder(int at, const char *name, const void *ctx)
{
    struct stat info;
    (void)ctx;
    return fstatat(at, name, &info, 0) == 0 && S_ISDIR(info.st_mode);
}

bool sp_name_ends_in(int at, const char *name, const void *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    (void)at;
    return n > m && strcasecmp(name + n - m, ending) == 0;
}

char *sp_path_beside(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || !slash)
        return sp_strdup(path);
    return sp_format("%.*s/%s", (int)(slash - file), file, path);
}

static bool any_name(int at, const char *name, const void *ctx)
{
    (void)at, (void)name, (void)ctx;
    return true;
}

const char *sp_path_nearest(const char *path, char out[SP_NEAREST_BYTES])
{
    char folder[PATH_MAX], name[PATH_MAX];
    sp_names names = {0};
    sp_error unused;
    size_t begin = 0, end = 0;
    *out = '\0';
    while (path[end]) { /* up to the first part that is missing */
        begin = end + strspn(path + end, "/");
        end = begin + strcspn(path + begin, "/");
        snprintf(name, sizeof name, "%.*s", (int)end, path);
        if (!sp_path_exists(name))
            break;
    }
    snprintf(folder, sizeof folder, "%.*s", (int)begin, path);
    if (sp_folder_list(*folder ? folder : ".", any_name, NULL, &names, &unused) == SP_OK) {
        const char *near = sp_suggest(name + begin, (const char *const *)names.items, names.n);
        if (near && strlen(folder) + strlen(near) <= 260)
            snprintf(out, SP_NEAREST_BYTES, "; did you mean \"%.260s%.260s\"?", folder, near);
    }
    sp_names_free(&names);
    return out;
}
