/* The kinds of data sets (kinds.c), and the readers behind them, one per file format. A reader fills in info,
 * get, label, close and state of an empty sp_dataset; on failure it has freed what it took and left ds as it
 * was. A new kind is a row in the table of kinds.c; a new format is a file here as well. */
#ifndef SP_DATA_READERS_H
#define SP_DATA_READERS_H

#include <stdbool.h>
#include "data/dataset.h"

/* What a folder holds: parts of a divided set, or a whole that has to be divided. */
enum { SP_PART_TEST = 1, SP_PART_TRAIN = 2, SP_PART_WHOLE = 4 };

/* How the folder of an event set is laid out. */
typedef enum {
    SP_LAYOUT_CLASSES, /* CLASS/x.aedat, divided by the numbers in the names */
    SP_LAYOUT_GESTURES,
    SP_LAYOUT_NMNIST,
    SP_LAYOUT_SPIKE_TRAINS, /* SHD and SSC */
    SP_LAYOUT_OWN           /* sp_list_own_files, of any format and sensor */
} sp_event_layout;
typedef struct sp_event_form {
    sp_event_layout layout;
    const char *marker[2]; /* what a folder of the set holds: for the test and the training split */
    const char *inner;     /* folder that its archive makes, looked into as well; NULL none */
} sp_event_form;

typedef struct sp_kind sp_kind;
struct sp_kind {
    const char *name;
    /* o->file: that file alone, whose labels may be -1. o->whole: all samples, whichever part is asked for;
     * labels must be below kind->classes, if that is not 0. */
    sp_status (*open)(const sp_kind *kind, const char *folder, const sp_dataset_options *o, sp_dataset *ds,
                      sp_error *err);
    /* SP_PART_* of what is at `folder`; NULL: there are no files. */
    unsigned (*parts)(const sp_kind *kind, const char *folder, const sp_dataset_options *o);
    int classes;                 /* fixed by the set; 0: from the files */
    int channels, height, width; /* 0: of any shape */
    unsigned augment;            /* SP_CAN_* of augment.h */
    unsigned takes;              /* SP_TAKES_* */
    const char *files;           /* what its folder holds; NULL: none, made from the options */
    const char *get;             /* how to get it; NULL: the person's own, found by path only */
    sp_event_form events;
};
extern const sp_kind spi_kinds[];
extern const size_t spi_n_kinds;
const sp_kind *spi_kind_find(const char *name); /* NULL: there is none */

#define SP_READER(prefix)                                                                                    \
    sp_status prefix##_open(const sp_kind *kind, const char *folder, const sp_dataset_options *o,            \
                            sp_dataset *ds, sp_error *err);                                                  \
    unsigned prefix##_parts(const sp_kind *kind, const char *folder, const sp_dataset_options *o)

SP_READER(sp_idx);    /* idx.c: IDX files of the MNIST family */
SP_READER(sp_cifar);  /* cifar.c: the binary version of CIFAR-10 (10 classes) and CIFAR-100 (100) */
SP_READER(sp_images); /* image_folder.c: JPEG and PNG files */
SP_READER(sp_events); /* event_sets.c: recordings of event cameras and spike trains, as frames */
SP_READER(sp_arrays); /* array_set.c: .npy, .npz and HDF5 arrays */
/* idx.c: the images file o->file alone; its samples have the label -1. */
sp_status sp_idx_open_images(int classes, const sp_dataset_options *o, sp_dataset *ds, sp_error *err);
/* synthetic.c: class prototypes with noise and shift, made from the seed. */
sp_status sp_synthetic_open(const sp_kind *kind, const char *folder, const sp_dataset_options *o,
                            sp_dataset *ds, sp_error *err);

/* event_choices.c: whether options fit a set of events, or, for all other sets, none for events are given. */
sp_status sp_events_check(const sp_kind *kind, const sp_dataset_options *o, sp_error *err);

/* encode.c: puts the encoder of o->encoding in front of *ds, an opened set of still images, which it takes
 * over. On failure *ds is as it was. */
sp_status sp_encode_wrap(const sp_dataset_options *o, sp_dataset **ds, sp_error *err);
/* subset.c: keeps the part of *ds, a whole set, that o->train asks for: o->split of each class trains. */
sp_status sp_subset_wrap(const sp_dataset_options *o, sp_dataset **ds, sp_error *err);

/* augment_image.c: changes of the numbers of *ds, which is opened without mean and std, and normalisation. */
sp_status sp_augment_wrap(const sp_dataset_options *o, sp_dataset **ds, sp_error *err);

/* The samples of each class. */
typedef struct sp_class_groups {
    uint32_t *samples; /* [count] those of class 0, then of class 1, ... */
    size_t *first;     /* [classes + 1] */
} sp_class_groups;
bool spi_group_classes(const sp_dataset *ds, sp_class_groups *g); /* false: no memory; to free all the same */
void spi_groups_free(sp_class_groups *g);

/* class_names.c: the ten classes of CIFAR-10, in order; the folders of CIFAR10-DVS too. */
extern const char *const spi_cifar_classes[];

/* For a set that stands in front of another one: its state begins with the pointer to that set. Label, target
 * and source are the inner set's; closing closes both. */
typedef struct spi_wrapper {
    sp_dataset *inner;
} spi_wrapper;
int32_t spi_wrapped_label(const sp_dataset *ds, size_t i);
void spi_wrapped_target(const sp_dataset *ds, size_t i, float *out);
void spi_wrapped_source(const sp_dataset *ds, size_t i, sp_text *out);
void spi_wrapped_close(sp_dataset *ds);

#endif
