/* libhdf5, for the files that use it: it is not used by two threads at once (most builds of it cannot be), so
 * one lock guards all of it. Inside the folder only, and only where SP_WITH_HDF5 is defined. */
#ifndef SP_DATA_HDF5_H
#define SP_DATA_HDF5_H

#include <hdf5.h>

void spi_hdf5_enter(void);
void spi_hdf5_leave(void);

#endif
