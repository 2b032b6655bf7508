/* Names in a folder, for sets that are made of files. */
#ifndef SP_DATA_FOLDER_H
#define SP_DATA_FOLDER_H

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

bool sp_name_is_folder(int at, const char *name, const void *ctx);  /* filters */
bool sp_name_ends_in(int at, const char *name, const void *ending); /* in any case */

#endif
