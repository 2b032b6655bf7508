/* What a registry owns besides its records, and the steps of loading it. Private to host/registry. */
#ifndef SP_REGISTRY_STORE_H
#define SP_REGISTRY_STORE_H

#include "registry/registry.h"

typedef struct sp_library sp_library; /* an opened shared object, library.h */

typedef struct sp_registry_store {
    char **texts; /* of files; variants and fragments point into them */
    size_t n_texts;
    char **seen; /* real paths of the files read, so that two search paths to one file do no harm */
    size_t n_seen;
    sp_library **libraries; /* opened ones */
    size_t n_libraries;
} sp_registry_store;

/* Adds what text declares, or a refusal. text must live as long as the registry. */
sp_status sp_registry_add_text(sp_registry *reg, const char *path, const char *text, sp_origin origin,
                               sp_error *err);
/* Adds text, which it takes over, to what the registry frees at its end. */
sp_status sp_registry_keep_text(sp_registry *reg, char *text, sp_error *err);
sp_status sp_registry_add_refusal(sp_registry *reg, const char *path, const char *reason, sp_error *err);

/* Reads a file, or the *.cl and *.meta of a folder and of the folders in it, in order of name. A path that is
 * not there is a refusal when must_exist, else nothing. Fails only when memory runs out. */
sp_status sp_registry_scan(sp_registry *reg, const char *path, sp_origin origin, bool must_exist,
                           sp_error *err);

/* The text of a file of at most 1 MiB, or NULL with the reason in `why`. The caller frees it. */
char *sp_text_file_read(const char *path, char *why, size_t why_size);

/* The text of the file `path` with the files `names` (space separated) in front, each with a #line. The
 * caller frees *out. */
sp_status sp_include_expand(const char *path, const char *text, const char *names, char **out, sp_error *err);

/* The folders that come with the program: beside the installed executable, and the build tree's while running
 * from it. */
sp_status sp_registry_scan_own_folders(sp_registry *reg, sp_error *err);

#endif
