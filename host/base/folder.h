/* Names in a folder, and names of files beside others. */
#ifndef SP_BASE_FOLDER_H
#define SP_BASE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include "spikeport/status.h"

typedef struct sp_names {
    char **items;
    size_t n;
} sp_names;

void sp_names_free(sp_names *list);
sp_status sp_names_add(sp_names *list, const char *name, sp_error *err);
int sp_names_compare(const void *a, const void *b); /* of items, for qsort and bsearch */

/* Whether a name, in the open folder `at`, is wanted. */
typedef bool (*sp_name_filter)(int at, const char *name, const void *ctx);
/* Adds the names in a folder that are wanted, without hidden ones, sorted. The caller frees the list, also
 * after an error. */
sp_status sp_folder_list(const char *path, sp_name_filter wanted, const void *ctx, sp_names *out,
                         sp_error *err);
/* Whether the list would have a name in it. */
bool sp_folder_has(const char *path, sp_name_filter wanted, const void *ctx);

bool sp_name_is_folder(int at, const char *name, const void *ctx);  /* filters */
bool sp_name_ends_in(int at, const char *name, const void *ending); /* in any case */

/* The path of a file that is named in `file`: relative to its folder. sp_free. */
char *sp_path_beside(const char *file, const char *path);

enum { SP_NEAREST_BYTES = 544 };
/* `; did you mean "folder/name"?` for a path that does not exist, by the first part of it that is missing;
 * empty where nothing is near. Returns out. */
const char *sp_path_nearest(const char *path, char out[SP_NEAREST_BYTES]);

#endif
