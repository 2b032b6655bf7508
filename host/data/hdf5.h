/* libhdf5, for the files that use it: it is not used by two threads at once (most builds of it cannot be), so
 * one lock guards all of it. Inside the folder only, and only where SP_WITH_HDF5 is defined. */
#ifndef SP_DATA_HDF5_H
#define SP_DATA_HDF5_H

#include <hdf5.h>
#include "spikeport/status.h"

void spi_hdf5_enter(void);
void spi_hdf5_leave(void);
/* *set < 0: there is none. An error where a link, external storage or a virtual data set would read another
 * file, which whoever wrote this one could choose. */
sp_status spi_hdf5_open_set(hid_t file, const char *path, const char *name, hid_t *set, sp_error *err);

#endif
