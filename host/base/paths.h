/* Folders that come with spikeport, wherever it is installed: found from the shared library or the program
 * that this code is a part of, so that a program of another folder that uses the library has them too. In a
 * build tree they are those of the build and source tree. SPIKEPORT_PREFIX names the installation's folder
 * instead. */
#ifndef SP_BASE_PATHS_H
#define SP_BASE_PATHS_H

#include "base/folder.h"

char *
sp_own_data(const char *name); /* "wisdom", "recipes/reproduce"; sp_free; NULL where it cannot be told */
/* A file NAME.yaml of such a folder by its name, or any file by a path with a dot or a slash. `what` the
 * files are is for messages. sp_free(*path). */
sp_status sp_own_file(const char *folder, const char *what, const char *word, char **path, sp_error *err);
/* The names of a folder's YAML files, without the ending, sorted; sp_names_free. */
sp_status sp_own_names(const char *folder, sp_names *out, sp_error *err);
char *sp_own_library(const char *name); /* folders of shared objects, "plugins" and "mpi"; likewise */

/* A path as a word of a shell, to be pasted: in quotes. sp_free; NULL when memory is out. */
char *sp_path_quote(const char *path);

#endif
