/* Data sets: a table of samples that can be read in any order from any thread. */
#ifndef SP_DATA_DATASET_H
#define SP_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/mem.h"
#include "data/event_options.h"
#include "spikeport/status.h"

/* Shape of one sample: static images have frames = 0 (the same input at every time step); sequences have
 * frames = T. */
typedef struct sp_dataset_info {
    char name[64];
    size_t count;
    int classes; /* with targets: as many as these */
    int targets; /* numbers in a row of targets; 0: samples have labels */
    int frames, channels, height, width;
    int cached;   /* 1: samples are kept on disk once they were read */
    double split; /* share of each class that trains, where the set was divided here; else 0 */
    uint64_t split_seed;
} sp_dataset_info;

/* Random augmentation is a pure function of (seed, epoch, index), whatever thread asks. */
typedef struct sp_sample_request {
    size_t index;
    uint64_t epoch;  /* 0 where nothing is drawn */
    uint32_t repeat; /* how often it came before in this epoch, where sampling repeats some */
} sp_sample_request;

typedef struct sp_dataset sp_dataset;
struct sp_dataset {
    sp_dataset_info info;
    /* Writes a sample as float32 [frames][H][W][C] (channels last), augmented and normalised as the options
     * ask, and its label. May be called from several threads. Never reads outside its file: damage was found
     * at open, or is an error that names the sample's own file. [any-thread] */
    sp_status (*get)(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                     sp_error *err);
    /* The label alone, without a look at the sample; 0 where there are targets. NULL: only `get` tells. */
    int32_t (*label)(const sp_dataset *ds, size_t index);
    void (*target)(const sp_dataset *ds, size_t index, float *out); /* its row of targets; NULL: none */
    /* Where a sample comes from, such as its file; NULL: only its number says. */
    void (*source)(const sp_dataset *ds, size_t index, sp_text *out);
    void (*close)(sp_dataset *ds);
    void *state;
    char **class_names; /* [info.classes], owned; NULL: the set has no names of its own */
};

/* Random changes of training samples, in this order; 0: not done. The table sp_augmentations names them. */
typedef struct sp_augment {
    double drop;         /* events: probability that an event is left out */
    double time_jitter;  /* events: standard deviation in microseconds that is added to their times */
    double resized_crop; /* a part of at least this share of the image, of another aspect, resized to size */
    double crop;         /* zeros of so many pixels on every side, then a part of the old size */
    double cutout;       /* probability of a box of one colour */
    double flip;         /* probability of a mirror image, left to right */
    double roll;         /* shift around the edges by up to so many pixels up or down and left or right */
    double rotation;     /* up to so many degrees to either side; with the next three one bilinear map */
    double translate;    /* shift by up to this share of the sides; zeros come in */
    double scale;        /* size of 1 minus this to 1 plus this */
    double shear;        /* up to so many degrees to either side */
    double brightness;   /* factor of 1 minus this to 1 plus this, as the next two; results are cut to 0..1 */
    double contrast;
    double saturation;
    double hue;   /* turned by up to this share of a whole turn */
    double erase; /* probability of a box of zeros after normalisation */
} sp_augment;

typedef struct sp_augmentation {
    const char *name;
    size_t at;          /* of the double in sp_augment */
    double usual, most; /* strength where none is given; the largest */
    bool whole;         /* a number of pixels */
    unsigned can;       /* SP_CAN_* of augment.h */
} sp_augmentation;
extern const sp_augmentation sp_augmentations[];
extern const size_t sp_n_augmentations;
static inline double *sp_augment_at(sp_augment *a, size_t which)
{
    return (double *)(void *)((char *)a + sp_augmentations[which].at);
}

enum { SP_MEANS = 4 };

/* What a sample is to be answered with. */
typedef enum {
    SP_TARGETS_NONE,    /* its class */
    SP_TARGETS_NUMBERS, /* a row of numbers */
    SP_TARGETS_LABELS   /* the same from 0 to 1: several labels, each of which it has or has not */
} sp_targets;

/* Sets of arrays: names of arrays in the file, or of .npy files in the folder; NULL: usual names. */
typedef struct sp_array_options {
    const char *inputs, *labels, *test_inputs, *test_labels;
    int axes; /* sp_axes */
} sp_array_options;
typedef enum {
    SP_AXES_DEFAULT, /* NC, NHW, NTCHW by the number of dimensions; four must be told */
    SP_AXES_NC,
    SP_AXES_NHW,
    SP_AXES_NHWC,
    SP_AXES_NCHW,
    SP_AXES_NTC,
    SP_AXES_NTHW,
    SP_AXES_NTCHW,
    SP_AXES_NTHWC,
    SP_AXES_NCL, /* signals: pictures of height 1 */
    SP_AXES_NLC,
    SP_AXES_NTCL
} sp_axes;
#define SP_AXES_NAMES                                                                                        \
    "default", "NC", "NHW", "NHWC", "NCHW", "NTC", "NTHW", "NTCHW", "NTHWC", "NCL", "NLC", "NTCL"

typedef struct sp_dataset_options {
    const char *name; /* one of sp_dataset_names() */
    const char *path; /* folder, as it stands or below $SPIKEPORT_DATA; NULL: $SPIKEPORT_DATA/NAME, then
                         /usr/share/datasets/NAME */
    const char *file; /* a recording or IDX images to read alone, not a split; sp_inputs_open sets it */
    int train;        /* 1 training split, 0 test split */
    double split; /* sets that are not divided: share of each class that trains; 0: 0.9, or the set's own */
    uint64_t split_seed;
    bool whole; /* set by sp_dataset_open for the readers: all samples, as the split is made afterwards */
    double mean, std; /* pixel/255, minus mean, over std; defaults 0 and 1 */
    double means[SP_MEANS], stds[SP_MEANS];
    int n_means, n_stds; /* by channel; n 0: mean, std for all */
    sp_augment augment;  /* of the training split only; the test split ignores it */
    int size,
        resize;   /* images: side of the crop (default 224), and the shorter side before it (default 8/7) */
    size_t limit; /* first so many samples only; 0 all */
    int classes, channels, height, width, frames;
    size_t count;
    uint64_t seed;           /* synthetic; classes also idx; 0: default */
    bool noise;              /* synthetic: nothing but noise, new in every pixel and frame */
    int time_steps;          /* frames of event sets and encoded images where `frames` is 0 */
    sp_event_options events; /* event sets; their `size` is the side of the frames, 0: the sensor's */
    int encoding;            /* sp_encoding: still images as spike trains */
    sp_targets targets;
    sp_array_options arrays;
    const char *prefix; /* idx: what stands in front of the names of files; NULL: nothing */
    bool transpose;     /* idx: images are stored column by column */
    int first_label;    /* idx: the label of class 0 */
} sp_dataset_options;

static inline bool sp_dataset_same_shape(const sp_dataset_info *a, const sp_dataset_info *b)
{
    return a->frames == b->frames && a->channels == b->channels && a->height == b->height &&
           a->width == b->width;
}

/* Numbers of one frame, or of a still image: checked when the set is opened, as is a whole sample in bytes.
 */
static inline size_t sp_dataset_frame_items(const sp_dataset_info *i)
{
    return (size_t)i->height * (size_t)i->width * (size_t)i->channels;
}

/* Opens by name. Missing: SP_E_DATA saying where it looked and how to get it (Debian package, or download).
 * Truncated or corrupt files: SP_E_DATA naming file and offset. */
sp_status sp_dataset_open(const sp_dataset_options *o, sp_dataset **out, sp_error *err);
void sp_dataset_close(sp_dataset **ds);

/* Names that sp_dataset_open knows; for error messages. */
size_t sp_dataset_names(const char *const **names);
/* Whether options of any of these groups are about the set of that name. */
enum {
    SP_TAKES_EVENTS = 1, /* `events`, and frames that are as many as time steps */
    SP_TAKES_SHAPE = 2,  /* channels, height, width, count, noise */
    SP_TAKES_CLASSES = 4,
    SP_TAKES_SPLIT = 8,
    SP_TAKES_ARRAYS = 16,
    SP_TAKES_IDX = 32, /* prefix, transpose, first_label */
    SP_TAKES_TARGETS = 64
};
bool sp_dataset_takes(const char *name, unsigned what);
/* The shape of a sample without a look at any file; count stays 0, and so do classes that only the files
 * know. False for sets that can be of any shape. */
bool sp_dataset_shape(const sp_dataset_options *o, sp_dataset_info *out);
/* A short name of class k: the set's own, or that of a well-known set; NULL where it has none but its number.
 */
const char *sp_dataset_class(const sp_dataset *ds, int k);
/* The names of the set's own classes, such as folders, [info.classes]; NULL where they have only numbers. */
const char *const *sp_dataset_class_names(const sp_dataset *ds);
/* Appends where a sample comes from: a file, or its number. */
void sp_dataset_source(const sp_dataset *ds, size_t index, sp_text *out);
/* Appends its row of targets: "0.5, 1, 2". */
void sp_dataset_target_text(const sp_dataset *ds, size_t index, sp_text *out);
/* Count, shape, classes and a hash of some samples as they are read. Release with sp_free. */
sp_status sp_dataset_fingerprint(const sp_dataset *ds, char **out, sp_error *err);

#endif
