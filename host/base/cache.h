/* The user's cache folder: what was learned about this machine's devices. */
#ifndef SP_BASE_CACHE_H
#define SP_BASE_CACHE_H

#include <stdio.h>

/* SPIKEPORT_CACHE_DIR, else $XDG_CACHE_HOME/spikeport, else ~/.cache/spikeport; NULL where no variable names
 * one or memory is out. Release with sp_free. The folder need not exist. */
char *sp_cache_folder(void);

/* A file of the cache folder for reading; NULL where there is none, or where another user could have written
 * it: file and folder must belong to this user (or root), and be writable by no one else. What is refused is
 * said once a process. */
FILE *sp_cache_open(const char *path);

#endif
