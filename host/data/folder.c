/* Names in a folder. What a name may be is the caller's business. */
#include "data/folder.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/error.h"
#include "base/mem.h"

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
