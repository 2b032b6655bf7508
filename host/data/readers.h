/* The readers behind sp_dataset_open, one per file format. Each fills in info, get, close and state of an empty
 * sp_dataset; on failure it has freed what it took and left ds as it was. A new format is a file here and a line in
 * the table of dataset.c. */
#ifndef SP_DATA_READERS_H
#define SP_DATA_READERS_H

#include <stdbool.h>
#include "data/dataset.h"

/* idx.c: IDX files of the MNIST family in `folder`. family_classes > 0: labels must be below it. */
sp_status sp_idx_open(const char *folder, int family_classes, const sp_dataset_options *o, sp_dataset *ds,
                      sp_error *err);
/* Whether folder has the images file of the split. */
bool sp_idx_present(const char *folder, bool train);

/* synthetic.c: class prototypes with noise and shift, made from the seed. */
sp_status sp_synthetic_open(const sp_dataset_options *o, sp_dataset *ds, sp_error *err);

#endif
