/* Which recordings make up a split: class folders, or DVS128 Gesture's lists. Names and sizes only; what is
 * in a recording shows when it is read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "data/events.h"
#include "base/folder.h"

enum { MOST_CLASSES = 65536, MOST_TEXT_BYTES = 1 << 24 };

void sp_recordings_free(sp_recordings *list)
{
    for (size_t i = 0; i < list->n; i++)
        sp_free(list->items[i].path);
    sp_free(list->items);
    for (int k = 0; list->class_names && k < list->classes; k++)
        sp_free(list->class_names[k]);
    sp_free(list->class_names);
    *list = (sp_recordings){0};
}

/* Takes path over. */
static sp_status add(sp_recordings *list, sp_recording r, sp_error *err)
{
    sp_recording *added = r.path ? sp_array_push(&list->items, list->n, sizeof *added) : NULL;
    if (!added) {
        sp_free(r.path);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing recordings");
    }
    *added = r;
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

/* AEDAT 4 is not read; better said here than "no files". */
static bool has_aedat4(const char *path)
{
    sp_names files = {0};
    bool found = sp_folder_list(path, sp_name_ends_in, ".aedat4", &files, NULL) == SP_OK && files.n > 0;
    sp_names_free(&files);
    return found;
}

static sp_status refuse_aedat4(const char *path, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA,
                   "%s: its recordings are AEDAT 4 (.aedat4), which is not read here; write them out as "
                   "AEDAT 2.0 or 3.1 "
                   "(dv and the dv-processing library can), or take the original distribution of the set",
                   path);
}

/* Folders inside `folder` that hold files of the ending. */
static sp_status find_classes(const char *folder, const sp_class_layout *layout, sp_names *out, sp_error *err)
{
    const char *ending = layout->ending;
    sp_text empty = {0};
    sp_names all = {0};
    sp_status st = sp_folder_list(folder, sp_name_is_folder, NULL, &all, err);
    for (size_t i = 0; st == SP_OK && i < all.n; i++) {
        char *path = sp_format("%s/%s", folder, all.items[i]);
        sp_names files = {0};
        if (!path)
            st = SP_FAIL(err, SP_E_MEMORY, "out of memory while listing a folder");
        else
            st = sp_folder_list(path, sp_name_ends_in, ending, &files, err);
        if (st == SP_OK && files.n)
            st = sp_names_add(out, all.items[i], err);
        else if (st == SP_OK && has_aedat4(path))
            st = refuse_aedat4(path, err);
        else if (st == SP_OK)
            sp_text_add(&empty, empty.n ? ", %s" : "%s", all.items[i]);
        sp_names_free(&files);
        sp_free(path);
    }
    if (st == SP_OK && empty.n && out->n && layout->train)
        sp_log(SP_LOG_WARNING, "%s: folders without %s files are no classes: %s", folder, ending, empty.s);
    sp_text_free(&empty);
    sp_names_free(&all);
    if (st == SP_OK && out->n == 0 && has_aedat4(folder))
        st = refuse_aedat4(folder, err);
    if (st == SP_OK && (out->n < 2 || out->n > MOST_CLASSES))
        st = SP_FAIL(err, SP_E_DATA,
                     "%s: %zu folders with %s files in it; a set of class folders has FOLDER/CLASS/NAME%s, "
                     "two classes "
                     "at least",
                     folder, out->n, ending, ending);
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
    sp_status st;
    if (!path)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing a folder");
    st = sp_folder_list(path, sp_name_ends_in, layout->ending, &c->files, err);
    if (st == SP_OK && c->files.n == 0)
        st = has_aedat4(path) ? refuse_aedat4(path, err)
                              : SP_FAIL(err, SP_E_DATA, "%s: no %s files in this folder; unpack the set anew",
                                        path, layout->ending);
    sp_free(path);
    SP_TRY(st);
    qsort(c->files.items, c->files.n, sizeof *c->files.items, by_number);
    n_train = (size_t)(layout->split * (double)c->files.n + 1e-9);
    c->first = layout->split >= 1.0 || layout->train ? 0 : n_train;
    c->end = layout->split >= 1.0 || !layout->train ? c->files.n : n_train;
    return SP_OK;
}

static sp_status interleave(const char *folder, char *const *class_names, const class_files *classes,
                            size_t n_classes, sp_recordings *out, sp_error *err)
{
    size_t added;
    size_t rank = 0;
    do {
        added = 0;
        for (size_t k = 0; k < n_classes; k++) {
            const class_files *c = &classes[k];
            if (c->first + rank >= c->end)
                continue;
            SP_TRY(add(out,
                       (sp_recording){.path = sp_format("%s/%s/%s", folder, class_names[k],
                                                        c->files.items[c->first + rank]),
                                      .label = (int32_t)k},
                       err));
            added++;
        }
        rank++;
    } while (added);
    return SP_OK;
}

sp_status sp_list_classes(const char *folder, const sp_class_layout *layout, sp_recordings *out,
                          sp_error *err)
{
    sp_names class_names = {0};
    class_files *classes = NULL;
    sp_status st = SP_OK;
    if (!layout->class_names)
        st = find_classes(folder, layout, &class_names, err);
    for (size_t k = 0; st == SP_OK && layout->class_names && k < layout->n_classes; k++)
        st = sp_names_add(&class_names, layout->class_names[k], err);
    SP_TRY_GOTO(st);
    classes = sp_alloc_array(class_names.n, sizeof *classes);
    if (!classes)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "out of memory while listing recordings"));
    for (size_t k = 0; k < class_names.n; k++)
        SP_TRY_GOTO(read_class(folder, class_names.items[k], layout, &classes[k], err));
    SP_TRY_GOTO(interleave(folder, class_names.items, classes, class_names.n, out, err));
    out->classes = (int)class_names.n;
    if (out->n == 0)
        st = SP_FAIL(err, SP_E_DATA,
                     "%s: with data.events.split %g no recording is left to %s; choose another split", folder,
                     layout->split, layout->train ? "train" : "test");
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
        sp_recordings_free(out);
    return st;
}

static sp_status read_text(const char *path, char **text, size_t *n, sp_error *err)
{
    sp_status st = sp_file_read(path, MOST_TEXT_BYTES, text, n, err);
    return st == SP_E_IO ? sp_error_as(err, SP_E_DATA) : st;
}

/* The gestures of one recording. */
static sp_status add_trial(const char *folder, const char *trial, sp_recordings *out, sp_error *err)
{
    size_t stem = strlen(trial) - strlen(".aedat"), n = 0, n_rows = 0;
    char *path = sp_format("%s/%s", folder, trial), *text = NULL;
    char *labels = sp_format("%s/%.*s_labels.csv", folder, (int)stem, trial);
    sp_gesture_row *rows = NULL;
    struct stat info;
    sp_status st = SP_OK;
    if (!path || !labels)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "out of memory while listing recordings"));
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        SP_TRY_GOTO(SP_FAIL(err, SP_E_DATA,
                            "%s: no such file, but the list of trials names it; unpack the set anew", path));
    SP_TRY_GOTO(read_text(labels, &text, &n, err));
    SP_TRY_GOTO(sp_gesture_labels_parse(labels, text, n, &rows, &n_rows, err));
    for (size_t i = 0; i < n_rows; i++)
        SP_TRY_GOTO(
            add(out, (sp_recording){sp_strdup(path), rows[i].label, rows[i].line, rows[i].range}, err));
done:
    sp_free(rows);
    sp_free(text);
    sp_free(labels);
    sp_free(path);
    return st;
}

sp_status sp_list_gestures(const char *folder, const char *list_path, sp_recordings *out, sp_error *err)
{
    char *text = NULL, *trial = NULL;
    size_t n = 0, at = 0;
    sp_status st;
    SP_TRY_GOTO(read_text(list_path, &text, &n, err));
    for (;;) {
        SP_TRY_GOTO(sp_gesture_next_trial(list_path, text, n, &at, &trial, err));
        if (!trial)
            break;
        SP_TRY_GOTO(add_trial(folder, trial, out, err));
        sp_free(trial);
        trial = NULL;
    }
    if (out->n == 0)
        st = SP_FAIL(err, SP_E_DATA, "%s: byte %zu: names no recording; unpack the set anew", list_path, n);
done:
    sp_free(trial);
    sp_free(text);
    if (st != SP_OK)
        sp_recordings_free(out);
    return st;
}
