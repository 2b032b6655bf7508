/* The kinds of data sets: the one table to which a new one is added. */
#include <string.h>
#include "data/augment.h"
#include "data/readers.h"

#define IDX_FILES                                                                                            \
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, "  \
    "each may end in .gz"
#define CAN_FRAMES (SP_CAN_CROP | SP_CAN_FLIP | SP_CAN_ROLL | SP_CAN_AFFINE | SP_CAN_ERASE)
#define CAN_EVENTS (CAN_FRAMES | SP_CAN_EVENTS)
#define ANY_SHAPE  0, 0, 0
#define EVENTS     sp_events_open, sp_events_parts

/* Same names as datasets/index.json, but for the bare formats (tested). */
/* clang-format off */
const sp_kind spi_kinds[] = {
    {"fashion-mnist", sp_idx_open, sp_idx_parts, 10, 1, 28, 28, SP_CAN_PIXELS, 0, IDX_FILES,
     "on Debian and Ubuntu `apt-get install dataset-fashion-mnist`", {0}},
    {"mnist", sp_idx_open, sp_idx_parts, 10, 1, 28, 28, SP_CAN_PIXELS, 0, IDX_FILES,
     "run datasets/fetch.sh mnist FOLDER", {0}},
    {"kmnist", sp_idx_open, sp_idx_parts, 10, 1, 28, 28, SP_CAN_PIXELS, 0, IDX_FILES,
     "download its four IDX files from http://codh.rois.ac.jp/kmnist/ into one folder", {0}},
    {"cifar10", sp_cifar_open, sp_cifar_parts, 10, 3, 32, 32, SP_CAN_PIXELS, 0,
     "data_batch_1.bin to data_batch_5.bin and test_batch.bin", "run datasets/fetch.sh cifar10 FOLDER", {0}},
    {"cifar100", sp_cifar_open, sp_cifar_parts, 100, 3, 32, 32, SP_CAN_PIXELS, 0, "train.bin and test.bin",
     "run datasets/fetch.sh cifar100 FOLDER", {0}},
    {"images", sp_images_open, sp_images_parts, 0, 3, 224, 224, SP_CAN_RESIZED_CROP | SP_CAN_PIXELS,
     SP_TAKES_SPLIT | SP_TAKES_TARGETS,
     "train/CLASS/*.jpg or .png and val/CLASS (or test/CLASS), or CLASS/*.jpg or .png; or name a table of "
     "file,label that ends in .csv", NULL, {0}},
    {"idx", sp_idx_open, sp_idx_parts, 0, ANY_SHAPE, SP_CAN_PIXELS,
     SP_TAKES_CLASSES | SP_TAKES_SPLIT | SP_TAKES_IDX,
     IDX_FILES "; data.prefix stands in front of their names", NULL, {0}},
    {"arrays", sp_arrays_open, sp_arrays_parts, 0, ANY_SHAPE, CAN_FRAMES | SP_CAN_COLOUR,
     SP_TAKES_CLASSES | SP_TAKES_SPLIT | SP_TAKES_ARRAYS | SP_TAKES_TARGETS,
     "NumPy arrays of inputs and labels: name.npy files, or name a .npz or .h5 file; data.arrays says which",
     NULL, {0}},
    {"synthetic", sp_synthetic_open, NULL, 0, ANY_SHAPE, 0, SP_TAKES_CLASSES | SP_TAKES_SHAPE, NULL, NULL,
     {0}},
    {"cifar10-dvs", EVENTS, 10, 2, 128, 128, CAN_EVENTS, SP_TAKES_EVENTS, "airplane/*.aedat to truck/*.aedat",
     "download its ten archives from https://doi.org/10.6084/m9.figshare.4724671 and unpack them into one "
     "folder", {SP_LAYOUT_CLASSES, {"airplane", "airplane"}, NULL}},
    {"dvs128-gesture", EVENTS, 11, 2, 128, 128, CAN_EVENTS, SP_TAKES_EVENTS,
     "trials_to_train.txt, trials_to_test.txt and the recordings that they name",
     "download DvsGesture.tar.gz from https://research.ibm.com/interactive/dvsgesture/ and unpack it",
     {SP_LAYOUT_GESTURES, {"trials_to_test.txt", "trials_to_train.txt"}, "DvsGesture"}},
    {"n-mnist", EVENTS, 10, 2, 34, 34, CAN_EVENTS, SP_TAKES_EVENTS, "Train/0 to Train/9 and Test/0 to Test/9",
     "download Train.zip and Test.zip from https://www.garrickorchard.com/datasets/n-mnist and unpack both "
     "into one folder", {SP_LAYOUT_NMNIST, {"Test", "Train"}, NULL}},
    {"shd", EVENTS, 20, 700, 1, 1, SP_CAN_EVENTS, SP_TAKES_EVENTS, "shd_train.h5 and shd_test.h5",
     "download shd_train.h5.zip and shd_test.h5.zip from https://zenkelab.org/datasets/ and unpack both",
     {SP_LAYOUT_SPIKE_TRAINS, {"shd_test.h5", "shd_train.h5"}, NULL}},
    {"ssc", EVENTS, 35, 700, 1, 1, SP_CAN_EVENTS, SP_TAKES_EVENTS, "ssc_train.h5 and ssc_test.h5",
     "download ssc_train.h5.zip and ssc_test.h5.zip from https://zenkelab.org/datasets/ and unpack both",
     {SP_LAYOUT_SPIKE_TRAINS, {"ssc_test.h5", "ssc_train.h5"}, NULL}},
    {"events", EVENTS, 0, 2, 0, 0, CAN_EVENTS, SP_TAKES_EVENTS | SP_TAKES_SPLIT | SP_TAKES_TARGETS,
     "train/CLASS/* and val/CLASS/* (or test/CLASS/*), or CLASS/*, with recordings that end in .npz (t, x, "
     "y, p), .h5, .hdf5, .aedat, .aedat4 or .raw; or name a table of file,label that ends in .csv", NULL,
     {SP_LAYOUT_OWN, {NULL, NULL}, NULL}},
    {"aedat-folder", EVENTS, 0, 2, 128, 128, CAN_EVENTS, SP_TAKES_EVENTS,
     "a folder of .aedat files per class", NULL, {SP_LAYOUT_CLASSES, {".", "."}, NULL}},
};
/* clang-format on */
const size_t spi_n_kinds = sizeof spi_kinds / sizeof *spi_kinds;

const sp_kind *spi_kind_find(const char *name)
{
    for (size_t i = 0; name && i < spi_n_kinds; i++)
        if (strcmp(spi_kinds[i].name, name) == 0)
            return &spi_kinds[i];
    return NULL;
}
