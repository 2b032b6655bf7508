/* The user's cache folder: what was learned about this machine's devices. */
#ifndef SP_BASE_CACHE_H
#define SP_BASE_CACHE_H

/* SPIKEPORT_CACHE_DIR, else $XDG_CACHE_HOME/spikeport, else ~/.cache/spikeport; NULL where no variable names
 * one or memory is out. Release with sp_free. The folder need not exist. */
char *sp_cache_folder(void);

/* mkdir -p; what fails shows when a file in it is opened. */
void sp_folder_make(const char *path);

#endif
