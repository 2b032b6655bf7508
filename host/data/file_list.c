/* Class folders as lists of files, as file_list.h says. */
#include "data/file_list.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/log.h"
#include "data/readers.h"

enum { MOST_CLASSES = 65536 };

void sp_file_list_free(sp_file_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        sp_free(list->items[i].path);
    sp_free(list->items);
    for (int k = 0; list->class_names && k < list->classes; k++)
        sp_free(list->class_names[k]);
    sp_free(list->class_names);
    sp_free(list->targets);
    *list = (sp_file_list){0};
}

void sp_file_list_target(const sp_file_list *list, size_t i, float *out)
{
    size_t n = (size_t)list->n_targets;
    memcpy(out, list->targets + i * n, n * sizeof *out);
}

sp_status sp_file_list_add(sp_file_list *list, sp_file file, sp_error *err)
{
    sp_file *added = file.path ? sp_array_push(&list->items, list->n, sizeof *added) : NULL;
    if (!added) {
        sp_free(file.path);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing files");
    }
    *added = file;
    list->n++;
    return SP_OK;
}

/* The last run of digits in a name: 12 of "cifar10_dog_12.aedat". Without digits 0. */
static unsigned long long number_in(const char *name)
{
    const char *at = name + strlen(name), *end;
    while (at > name && !(at[-1] >= '0' && at[-1] <= '9'))
        at--;
    end = at;
    while (at > name && at[-1] >= '0' && at[-1] <= '9')
        at--;
    return end > at ? strtoull(at, NULL, 10) : 0;
}

static int by_number(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    unsigned long long i = number_in(x), j = number_in(y);
    return i < j ? -1 : i > j ? 1 : strcmp(x, y);
}

/* Folders inside `folder` that hold files of the layout. */
static sp_status find_classes(const char *folder, const sp_class_layout *layout, sp_names *out, sp_error *err)
{
    sp_text empty = {0};
    sp_names all = {0};
    sp_status st = sp_folder_list(folder, sp_name_is_folder, NULL, &all, err);
    for (size_t i = 0; st == SP_OK && i < all.n; i++) {
        char *path = sp_format("%s/%s", folder, all.items[i]);
        if (!path)
            st = SP_FAIL(err, SP_E_MEMORY, "out of memory while listing a folder");
        else if (sp_folder_has(path, layout->wanted, layout->ctx))
            st = sp_names_add(out, all.items[i], err);
        else
            sp_text_add(&empty, empty.n ? ", %s" : "%s", all.items[i]);
        sp_free(path);
    }
    if (st == SP_OK && empty.n && out->n && layout->train)
        sp_log(SP_LOG_WARNING, "%s: folders without %s are no classes: %s", folder, layout->what, empty.s);
    sp_text_free(&empty);
    sp_names_free(&all);
    if (st == SP_OK && (out->n < layout->least_classes || out->n > MOST_CLASSES))
        st = SP_FAIL(err, SP_E_DATA,
                     "%s: %zu class folders with %s in it; it must hold a folder for each class, of which "
                     "there are %zu at least",
                     folder, out->n, layout->what, layout->least_classes);
    return st;
}

typedef struct class_files {
    sp_names files;
    size_t first, end; /* of the split */
} class_files;

static sp_status read_class(const char *folder, const char *name, const sp_class_layout *layout,
                            class_files *c, sp_error *err)
{
    char *path = sp_format("%s/%s", folder, name);
    size_t n_train;
    sp_status st = SP_OK;
    if (!path)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing a folder");
    /* A class of the training part may have no samples in another part. */
    if (!layout->classes_from || sp_folder_has(path, layout->wanted, layout->ctx))
        st = sp_folder_list(path, layout->wanted, layout->ctx, &c->files, err);
    if (st == SP_OK && c->files.n == 0 && !layout->classes_from)
        st = SP_FAIL(err, SP_E_DATA, "%s: no %s in this folder; unpack the set anew", path, layout->what);
    sp_free(path);
    SP_TRY(st);
    if (layout->by_number)
        qsort(c->files.items, c->files.n, sizeof *c->files.items, by_number);
    n_train = (size_t)(layout->split * (double)c->files.n + 1e-9);
    c->first = layout->split >= 1.0 || layout->train ? 0 : n_train;
    c->end = layout->split >= 1.0 || !layout->train ? c->files.n : n_train;
    return SP_OK;
}

static sp_status interleave(const char *folder, char *const *class_names, const class_files *classes,
                            size_t n_classes, sp_file_list *out, sp_error *err)
{
    size_t added;
    size_t rank = 0;
    do {
        added = 0;
        for (size_t k = 0; k < n_classes; k++) {
            const class_files *c = &classes[k];
            if (c->first + rank >= c->end)
                continue;
            char *path = sp_format("%s/%s/%s", folder, class_names[k], c->files.items[c->first + rank]);
            SP_TRY(sp_file_list_add(out, (sp_file){.path = path, .label = (int32_t)k}, err));
            added++;
        }
        rank++;
    } while (added);
    return SP_OK;
}

/* A folder of another part that is none of the classes, but has files, is a mistake. */
static sp_status check_others(const char *folder, const sp_class_layout *layout, const sp_names *classes,
                              sp_error *err)
{
    sp_names found = {0};
    sp_status st = SP_OK;
    if (!layout->classes_from || strcmp(layout->classes_from, folder) == 0)
        return SP_OK;
    st = sp_folder_list(folder, sp_name_is_folder, NULL, &found, err);
    for (size_t i = 0; st == SP_OK && i < found.n; i++)
        if (!bsearch(&found.items[i], classes->items, classes->n, sizeof *classes->items, sp_names_compare))
            st = SP_FAIL(err, SP_E_DATA, "%s/%s: the training split has no class of this name", folder,
                         found.items[i]);
    sp_names_free(&found);
    return st;
}

sp_status sp_list_classes(const char *folder, const sp_class_layout *layout, sp_file_list *out, sp_error *err)
{
    sp_names class_names = {0};
    class_files *classes = NULL;
    sp_status st = SP_OK;
    if (!layout->class_names)
        st = find_classes(layout->classes_from ? layout->classes_from : folder, layout, &class_names, err);
    for (size_t k = 0; st == SP_OK && layout->class_names && k < layout->n_classes; k++)
        st = sp_names_add(&class_names, layout->class_names[k], err);
    SP_TRY_GOTO(st);
    SP_TRY_GOTO(check_others(folder, layout, &class_names, err));
    classes = sp_alloc_array(class_names.n, sizeof *classes);
    if (!classes)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "out of memory while listing files"));
    for (size_t k = 0; k < class_names.n; k++)
        SP_TRY_GOTO(read_class(folder, class_names.items[k], layout, &classes[k], err));
    SP_TRY_GOTO(interleave(folder, class_names.items, classes, class_names.n, out, err));
    out->classes = (int)class_names.n;
    if (out->n == 0 && layout->split > 0.0 && layout->split < 1.0)
        st = SP_FAIL(err, SP_E_DATA,
                     "%s: with data.events.split %g no recording is left to %s; choose another split", folder,
                     layout->split, layout->train ? "train" : "test");
    else if (out->n == 0)
        st = SP_FAIL(err, SP_E_DATA, "%s: no class folders with %s in it", folder, layout->what);
done:
    for (size_t k = 0; classes && k < class_names.n; k++)
        sp_names_free(&classes[k].files);
    sp_free(classes);
    if (st == SP_OK && !layout->class_names) {
        out->class_names = class_names.items;
        class_names = (sp_names){0};
    }
    sp_names_free(&class_names);
    if (st != SP_OK)
        sp_file_list_free(out);
    return st;
}

typedef struct inner_filter {
    const char *folder;
    sp_name_filter wanted;
    const void *ctx;
} inner_filter;

static bool has_inside(int at, const char *name, const void *ctx)
{
    const inner_filter *f = ctx;
    char *path = sp_name_is_folder(at, name, NULL) ? sp_format("%s/%s", f->folder, name) : NULL;
    bool has = path && sp_folder_has(path, f->wanted, f->ctx);
    sp_free(path);
    return has;
}

bool sp_has_class_folders(const char *folder, sp_name_filter wanted, const void *ctx)
{
    return sp_folder_has(folder, has_inside, &(inner_filter){folder, wanted, ctx});
}

/* The name of the split's folder, or NULL. */
static const char *find_split(const char *folder, bool train)
{
    const char *name = NULL;
    DIR *d = opendir(folder);
    if (!d)
        return NULL;
    if (train)
        name = sp_name_is_folder(dirfd(d), "train", NULL) ? "train" : NULL;
    else
        name = sp_name_is_folder(dirfd(d), "val", NULL)    ? "val"
               : sp_name_is_folder(dirfd(d), "test", NULL) ? "test"
                                                           : NULL;
    closedir(d);
    return name;
}

unsigned sp_own_files_parts(const char *path, sp_name_filter wanted, const void *ctx, sp_targets targets)
{
    sp_file_list list = {0};
    bool divided = false;
    unsigned parts;
    if (sp_path_is_csv(path)) { /* a table that cannot be read is one part, so that opening it says why */
        if (sp_list_csv(path, SP_CSV_ALL, targets, &divided, &list, NULL) == SP_OK)
            sp_file_list_free(&list);
        return divided ? SP_PART_TRAIN | SP_PART_TEST : SP_PART_WHOLE;
    }
    parts = (find_split(path, true) ? SP_PART_TRAIN : 0) | (find_split(path, false) ? SP_PART_TEST : 0);
    return parts ? parts : sp_has_class_folders(path, wanted, ctx) ? SP_PART_WHOLE : 0;
}

sp_status sp_list_own_files(const char *path, sp_class_layout layout, bool train, bool whole,
                            sp_file_list *out, sp_error *err)
{
    const char *name = find_split(path, train || whole), *first = find_split(path, true);
    char *folder, *classes;
    sp_status st;
    if (sp_path_is_csv(path))
        return sp_list_csv(path,
                           whole   ? SP_CSV_ALL
                           : train ? SP_CSV_TRAIN
                                   : SP_CSV_TEST,
                           layout.targets, NULL, out, err);
    if (layout.targets)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: folders give classes, but loss.name: mse and bce need rows of numbers; name a "
                       "table of file,number,number,... that ends in .csv",
                       path);
    if (!name)
        name = ".", first = NULL;
    folder = strcmp(name, ".") == 0 ? sp_strdup(path) : sp_format("%s/%s", path, name);
    classes = first ? sp_format("%s/%s", path, first) : folder;
    layout.classes_from = classes;
    layout.split = 1.0;
    layout.train = train;
    st = folder && classes ? sp_list_classes(folder, &layout, out, err)
                           : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    if (classes != folder)
        sp_free(classes);
    sp_free(folder);
    return st;
}
