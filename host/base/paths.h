/* Folders that come with spikeport, wherever it is installed: found from the shared library or the program
 * that this code is a part of, so that a program of another folder that uses the library has them too. In a
 * build tree they are those of the build and source tree. SPIKEPORT_PREFIX names the installation's folder
 * instead. */
#ifndef SP_BASE_PATHS_H
#define SP_BASE_PATHS_H

char *
sp_own_data(const char *name); /* "wisdom", "recipes/reproduce"; sp_free; NULL where it cannot be told */
char *sp_own_plugins(void);    /* plugins that are shared objects; likewise */

#endif
