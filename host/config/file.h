/* Whole files: reading small ones with a size limit, replacing one so that a crash or a full disk leaves the
 * old one. */
#ifndef SP_CONFIG_FILE_H
#define SP_CONFIG_FILE_H

#include <stddef.h>
#include "spikeport/status.h"

/* Reads all of path (a file or a pipe) into *text, NUL-terminated, free with sp_free. More than max_bytes is
 * an error. */
sp_status sp_file_read(const char *path, size_t max_bytes, char **text, size_t *n, sp_error *err);

typedef struct sp_bytes {
    const void *data;
    size_t n;
} sp_bytes;

/* Writes the parts one after the other to PATH.tmp.<pid>, fsync, rename to PATH, fsync of the folder. On any
 * failure before the rename the old file is untouched and the temporary one removed. */
sp_status sp_file_replace(const char *path, const sp_bytes *parts, size_t n_parts, sp_error *err);

#endif
