/* Checkpoints: safetensors files with parameters under their PyTorch names, optimizer state, and in the
 * metadata the whole recipe, the place in training, and where it was made. Written atomically: a failure
 * leaves the old file. */
#ifndef SP_TRAIN_CHECKPOINT_H
#define SP_TRAIN_CHECKPOINT_H

#include "base/folder.h"
#include "config/safetensors.h"
#include "train/measure.h"
#include "train/session.h"

/* The place in training; everything that a bit-exact continuation needs beside the tensors. */
typedef struct sp_progress {
    int64_t epoch, batch; /* the next mini-batch to run */
    int64_t iteration;    /* mini-batches done since the start */
    double loss_sum;      /* over the samples of this epoch so far */
    int64_t correct, seen;
    double best_accuracy; /* on the test data */
    double width;         /* schedule.width_step: of the surrogates; 0: as the recipe has it */
    sp_measured measured;
    double train_seconds;              /* spent in training, all runs of it together */
    const char *classes, *fingerprint; /* of the training data; NULL: not known */
    const char *open_line;             /* sums of the metrics line that is not written yet; NULL: none */
} sp_progress;

/* Each variant that the plans use, once: "conv.forward/1=cpu_conv:... 1.0.0; ..."; sp_free. */
char *sp_checkpoint_kernels(const sp_session *s);

/* Weights of one bit are in tensors of this suffix, eight to a byte; files with their floats are read too. */
#define SP_BITS_SUFFIX ".bits"
sp_status sp_checkpoint_save(const char *path, sp_session *s, const sp_progress *p, sp_error *err);

/* Opens a checkpoint (a file, or a folder with checkpoint.safetensors) and reads its recipe; `sets` are
 * applied to it. */
typedef struct sp_checkpoint {
    sp_tensor_file file;
    sp_progress progress;
} sp_checkpoint;
sp_status sp_checkpoint_open(const char *path, sp_checkpoint *out, sp_error *err);
void sp_checkpoint_close(sp_checkpoint *c);
sp_status sp_checkpoint_recipe(const sp_checkpoint *c, const char *const *sets, size_t n_sets, sp_recipe *out,
                               sp_error *err);
/* Whether a run can go on from the checkpoint with this recipe: refused are fewer epochs than are done, and
 * inside an epoch other samples, another order of them, or a batch that does not divide those seen. */
sp_status sp_checkpoint_check_recipe(const sp_checkpoint *c, const sp_recipe *r, sp_error *err);
/* What a sample of its training data is, without the data: the name of their set, shape and number of
 * classes. SP_E_DATA where neither the checkpoint nor the name of the set tells it. r: its recipe. */
sp_status sp_checkpoint_samples(const sp_checkpoint *c, const sp_recipe *r, sp_dataset_info *out,
                                sp_error *err);
/* The names of the classes, [*n], for sp_names_free; none where they have only numbers. NULL: they are only
 * checked. */
sp_status sp_checkpoint_classes(const sp_checkpoint *c, sp_names *out, sp_error *err);

/* Any safetensors file (or a run's folder) without a look at its metadata; numbers that are not finite are
 * SP_E_NUMERIC. Files of torch.save are refused with how to convert them. */
sp_status sp_weights_open(const char *path, sp_checkpoint *out, sp_error *err);
/* Copies weights into a session: all of the network's, and nothing else but optimizer state and PyTorch's
 * num_batches_tracked, which are left out. */
typedef struct sp_weights_from {
    const char *file;
    const char *map; /* file of name_map.h; NULL: the names are the network's */
    bool lenient;    /* missing and extra tensors are warnings */
} sp_weights_from;
sp_status sp_weights_load_from(const sp_weights_from *from, sp_session *s, sp_error *err);
sp_status sp_weights_load(const char *path, sp_session *s, sp_error *err);
/* The parameters alone, with the recipe in the metadata. Atomic. */
#define SP_WEIGHTS_FORMAT "spikeport-weights/1" /* metadata "format" of such a file */
sp_status sp_weights_save(const char *path, sp_session *s, sp_error *err);
/* What evaluation runs with, by parameter of the graph, in file layout; without a device, as a training
 * starts. *out is to be freed after an error too. */
sp_status sp_weights_read(sp_session *s, float ***out, sp_error *err);
void sp_weights_free(const sp_session *s, float **params);
/* Writes the weights alone, float32, for PyTorch; *n: how many tensors. map: as of sp_weights_from. */
sp_status sp_weights_export(const char *path, sp_session *s, const char *map, size_t *n, sp_error *err);
/* Copies the tensors into a session; optimizer state too when asked. Names and shapes must fit exactly. */
sp_status sp_checkpoint_restore(const sp_checkpoint *c, sp_session *s, bool optimizer, sp_error *err);

/* SP_E_MISMATCH, with both values, where a rank has another version, recipe, data fingerprint, place in
 * training or, unless the devices are `mixed`, another set of kernels than rank 0. ranks NULL: nothing
 * happens. */
sp_status sp_ranks_check_start(sp_ranks *ranks, const sp_session *s, bool mixed, const sp_progress *p,
                               sp_error *err);

/* Error with both lists where the data name their classes in another way. */
sp_status sp_checkpoint_check_classes(const sp_checkpoint *c, const sp_dataset *ds, sp_error *err);
/* What a checkpoint keeps of the training data; release both with sp_free. Data other than those of `resume`
 * (NULL: a new run) are a warning, other classes an error. */
sp_status sp_data_describe(const sp_dataset *train, const sp_checkpoint *resume, char **classes,
                           char **fingerprint, sp_error *err);
/* An error where every class of the data has the weight 0; outputs that no class belongs to are warned of. */
sp_status sp_data_check_outputs(const sp_dataset *train, const sp_session *s, sp_error *err);

#endif
