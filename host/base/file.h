/* Files and folders: reading small files with a size limit, reading line by line, replacing a file so that a
 * crash, a full disk or a planted link leaves the old one, locks, folders. */
#ifndef SP_BASE_FILE_H
#define SP_BASE_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "spikeport/status.h"

/* Every file that is read is opened here. What is not a regular file (a folder, a pipe, a device) is refused,
 * so that nothing waits for a writer or reads without end. -1 or NULL with errno and *err, SP_E_IO. */
int sp_file_open(const char *path, sp_error *err);
FILE *sp_file_stream(const char *path, sp_error *err);

/* Reads all of path into *text, NUL-terminated, free with sp_free. More than max_bytes is an error. The
 * streams that a shell hands over (/dev/stdin, and /dev/fd/N of `<(command)`) are read to their end. */
sp_status sp_file_read(const char *path, size_t max_bytes, char **text, size_t *n, sp_error *err);

/* What keeps programs from writing files here, and what to do: a limit of their size, or a full file system.
 * For a compiler that fails without saying why. To free with sp_free; NULL: nothing. */
char *sp_file_obstacle(void);

typedef struct sp_bytes {
    const void *data;
    size_t n;
} sp_bytes;

/* Writes the parts one after the other to PATH.tmp, fsync, rename to PATH, fsync of the folder. On any
 * failure before the rename the old file is untouched and the temporary one removed. Writers of the same path
 * wait for each other. PATH.tmp of a process that died is overwritten; a link with that name is never
 * followed. */
sp_status sp_file_replace(const char *path, const sp_bytes *parts, size_t n_parts, sp_error *err);
/* The same with one text; NULL stands for a text for which memory was out. */
sp_status sp_file_replace_text(const char *path, const char *text, sp_error *err);

/* Makes the file where it is missing and locks it until the returned descriptor is closed or the process
 * ends, however it ends. -1 with errno EWOULDBLOCK: another has the lock, and `wait` is false. */
int sp_file_lock(const char *path, bool wait);

bool sp_path_exists(const char *path);
bool sp_path_is_folder(const char *path);
/* mkdir -p. The mode is 0777 (less the umask) for what a person asked for, 0700 for caches. */
sp_status sp_folder_make(const char *path, mode_t mode, sp_error *err);
sp_status sp_folder_make_of(const char *path, mode_t mode, sp_error *err); /* the folder of this file */

/* A text file line by line. */
typedef struct sp_lines {
    FILE *f;
    char *text; /* the line, with its end */
    size_t cap;
    int number; /* of the line, counted from 1 */
} sp_lines;
/* False with errno and *err where it cannot be opened; there is then no line, and closing is still allowed.
 */
bool sp_lines_open(sp_lines *l, const char *folder, const char *name, sp_error *err);
bool sp_lines_next(sp_lines *l);    /* the next line that is not blank */
json_t *sp_lines_json(sp_lines *l); /* the next line that is JSON; NULL at the end */
void sp_lines_close(sp_lines *l);

#endif
