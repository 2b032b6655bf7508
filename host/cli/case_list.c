/* Reference cases named on the command line: files, or folders of them. */
#include "cli/case_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

static sp_status add_path(sp_case_list *p, char *path, sp_error *err)
{
    char **added = path ? sp_array_push(&p->items, p->n, sizeof *added) : NULL;
    if (!added) {
        sp_free(path);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing reference cases");
    }
    *added = path;
    p->n++;
    return SP_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);
    return n > m && strcmp(s + n - m, tail) == 0;
}

/* Every NAME.json of a folder that has a NAME.safetensors beside it. */
static sp_status add_folder(sp_case_list *p, const char *folder, sp_error *err)
{
    DIR *d = opendir(folder);
    if (!d)
        return SP_FAIL(err, SP_E_DATA, "%s: %s", folder, strerror(errno));
    size_t before = p->n;
    sp_status st = SP_OK;
    for (struct dirent *e = readdir(d); e && st == SP_OK; e = readdir(d)) {
        if (!ends_with(e->d_name, ".json"))
            continue;
        char *tensors = sp_format("%s/%.*s.safetensors", folder, (int)strlen(e->d_name) - 5, e->d_name);
        if (tensors && access(tensors, R_OK) == 0)
            st = add_path(p, sp_format("%s/%s", folder, e->d_name), err);
        sp_free(tensors);
    }
    closedir(d);
    if (st == SP_OK && p->n == before)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: no reference case (NAME.json with NAME.safetensors) in this folder", folder);
    qsort(p->items + before, p->n - before, sizeof *p->items, by_name);
    return st;
}

sp_status sp_case_list_add(sp_case_list *p, const char *const *names, size_t n, sp_error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        if (stat(names[i], &st) != 0)
            return SP_FAIL(err, SP_E_DATA, "%s: %s", names[i], strerror(errno));
        if (S_ISDIR(st.st_mode))
            SP_TRY(add_folder(p, names[i], err));
        else if (ends_with(names[i], ".json"))
            SP_TRY(add_path(p, sp_strdup(names[i]), err));
        else
            return SP_FAIL(err, SP_E_USAGE, "%s: a reference case is named by its .json file", names[i]);
    }
    return SP_OK;
}

void sp_case_list_free(sp_case_list *p)
{
    for (size_t i = 0; i < p->n; i++)
        sp_free(p->items[i]);
    sp_free(p->items);
    *p = (sp_case_list){0};
}
