/* The readers behind sp_dataset_open, one per file format. Each fills in info, get, close and state of an
 * empty sp_dataset; on failure it has freed what it took and left ds as it was. A new format is a file here
 * and a line in the table of dataset.c. */
#ifndef SP_DATA_READERS_H
#define SP_DATA_READERS_H

#include <stdbool.h>
#include "data/dataset.h"

/* classes > 0: fixed by the set; labels must be below it. */
typedef sp_status (*sp_dataset_opener)(const char *folder, int classes, const sp_dataset_options *o,
                                       sp_dataset *ds, sp_error *err);

/* idx.c: IDX files of the MNIST family in `folder`, and whether it has the images file of the split. */
sp_status sp_idx_open(const char *folder, int classes, const sp_dataset_options *o, sp_dataset *ds,
                      sp_error *err);
bool sp_idx_present(const char *folder, bool train);
/* The images file o->file alone; its samples have the label -1. */
sp_status sp_idx_open_images(int classes, const sp_dataset_options *o, sp_dataset *ds, sp_error *err);

/* cifar.c: the binary version of CIFAR-10 (10 classes) and CIFAR-100 (100). */
sp_status sp_cifar_open(const char *folder, int classes, const sp_dataset_options *o, sp_dataset *ds,
                        sp_error *err);
bool sp_cifar10_present(const char *folder, bool train);
bool sp_cifar100_present(const char *folder, bool train);

/* image_folder.c: JPEG and PNG files in one folder for each class. */
sp_status sp_images_open(const char *folder, int classes, const sp_dataset_options *o, sp_dataset *ds,
                         sp_error *err);
bool sp_images_present(const char *folder, bool train);

/* synthetic.c: class prototypes with noise and shift, made from the seed. */
sp_status sp_synthetic_open(const char *folder, int classes, const sp_dataset_options *o, sp_dataset *ds,
                            sp_error *err);

/* event_sets.c: recordings of event cameras and spike trains, as frames; one reader for several sets, by
 * name. */
sp_status sp_events_open(const char *folder, int classes, const sp_dataset_options *o, sp_dataset *ds,
                         sp_error *err);
bool sp_events_present(const char *name, const char *folder, bool train);
/* Whether options fit a set of events, or, for all other sets, none for events are given. */
sp_status sp_events_check(const sp_dataset_options *o, sp_error *err);

/* encode.c: puts the encoder of o->encoding in front of *ds, an opened set of still images, which it takes
 * over. On failure *ds is as it was. */
sp_status sp_encode_wrap(const sp_dataset_options *o, sp_dataset **ds, sp_error *err);

/* class_names.c: the ten classes of CIFAR-10, in order; the folders of CIFAR10-DVS too. */
extern const char *const spi_cifar_classes[];

#endif
