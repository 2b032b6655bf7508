/* The user's cache folder. */
#ifndef SP_BASE_FOLDER_H
#define SP_BASE_FOLDER_H

/* SPIKEPORT_CACHE_DIR, else $XDG_CACHE_HOME/spikeport, else ~/.cache/spikeport, with "/name" behind it unless name is
 * NULL. Not made. NULL where no variable names one or memory is out; free with sp_free. */
char *sp_cache_folder(const char *name);

/* mkdir -p; what fails shows when a file in it is opened. */
void sp_make_folder(char *path);

#endif
