/* Which files, with their labels, make up a data set: class folders, or a CSV table. Names only; what is in a
 * file shows when it is read. */
#ifndef SP_DATA_FILE_LIST_H
#define SP_DATA_FILE_LIST_H

#include <stdint.h>
#include "base/folder.h"
#include "base/mem.h"
#include "data/dataset.h"

typedef struct sp_time_range {
    int64_t start, end;
} sp_time_range;

typedef struct sp_file {
    char *path;
    int32_t label;
    int32_t line; /* > 0: of NAME_labels.csv of DVS128 Gesture; only the events of range are the sample */
    sp_time_range range;
} sp_file;
typedef struct sp_file_list {
    sp_file *items;
    size_t n;
    int classes;
    char **class_names; /* [classes]; NULL: the set's classes are known, or are numbers */
    float *targets;     /* [n][n_targets], each file's row */
    int n_targets;
} sp_file_list;
void sp_file_list_free(sp_file_list *list);
void sp_file_list_target(const sp_file_list *list, size_t i, float *out);
sp_status sp_file_list_add(sp_file_list *list, sp_file file, sp_error *err); /* takes file.path over */

/* FOLDER/CLASS/<files that are wanted>. class_names NULL: every folder of `classes_from` with such files is a
 * class, in the order of names. Sample k is of class k modulo the number of classes as long as all of them
 * have files left, so that any beginning is balanced. */
typedef struct sp_class_layout {
    const char *const *class_names;
    size_t n_classes, least_classes;
    const char *classes_from; /* NULL: the folder itself */
    sp_name_filter wanted;
    const void *ctx;
    const char *what;   /* ".aedat files": for messages */
    bool by_number;     /* files in the order of the numbers in their names, else in that of their names */
    sp_targets targets; /* other than none: of a table alone */
    double split;       /* the first part of each class that trains, the rest tests; 1: all files, always */
    bool train;
} sp_class_layout;
sp_status sp_list_classes(const char *folder, const sp_class_layout *layout, sp_file_list *out,
                          sp_error *err);
/* Whether any folder in `folder` has a file that is wanted. */
bool sp_has_class_folders(const char *folder, sp_name_filter wanted, const void *ctx);

/* A person's own files: PATH/train/CLASS and PATH/val/CLASS (or test/CLASS), or PATH/CLASS for a set that is
 * not divided, or PATH is a CSV table. `layout` says which files are wanted; whole: those of both parts, or
 * of the only one. */
unsigned sp_own_files_parts(const char *path, sp_name_filter wanted, const void *ctx,
                            sp_targets targets); /* SP_PART_* */
sp_status sp_list_own_files(const char *path, sp_class_layout layout, bool train, bool whole,
                            sp_file_list *out, sp_error *err);

/* file_csv.c: a table of file,label or, with targets, file,number,number,...; and, where its heading says so,
 * split (train, val or test). */
bool sp_path_is_csv(const char *path); /* a file whose name ends in .csv */
typedef enum { SP_CSV_ALL, SP_CSV_TRAIN, SP_CSV_TEST } sp_csv_part;
/* `divided` (may be NULL): whether the table has a column "split". */
sp_status sp_list_csv(const char *path, sp_csv_part part, sp_targets targets, bool *divided,
                      sp_file_list *out, sp_error *err);
/* The same from memory; files are relative to the folder of `name`. */
sp_status sp_csv_parse(const char *name, const char *text, size_t n, sp_csv_part part, sp_targets targets,
                       bool *divided, sp_file_list *out, sp_error *err);
/* A number that can be a target, from its text. */
sp_status sp_target_check(float x, sp_targets targets, const char *where, size_t at, sp_error *err);

#endif
