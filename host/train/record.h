/* Recordings: what chosen layers did with samples, as arrays for other programs. */
#ifndef SP_TRAIN_RECORD_H
#define SP_TRAIN_RECORD_H

#include "train/session.h"

typedef struct sp_record sp_record;

/* names: neuron layers as `spikeport plan` shows them, or "logits", comma separated; "all": every one. */
sp_status sp_record_create(const sp_session *s, const char *names, sp_record **out, sp_error *err);
void sp_record_destroy(sp_record **r);

/* Makes room for n more samples; the watcher has to be shown their mini-batch. */
sp_status sp_record_begin(sp_record *r, size_t n, sp_exec_watcher *out, sp_error *err);

/* What was recorded of a layer (or "logits"), as sp_record_write writes it; NULL: it is not recorded. */
const void *sp_record_data(const sp_record *r, const char *layer, size_t *bytes);

/* Before the predictions: whether sp_record_write may and can write there, with the same rules as
 * sp_output_check; makes the folder. */
sp_status sp_record_check_output(const sp_record *r, const char *path, const char *const *inputs, size_t n,
                                 sp_error *err);

/* Spikes as bytes [samples][time steps][channels][height][width], logits as float32 [samples][time
 * steps][classes]: into one file if `path` ends in .safetensors, else into a folder, NAME.npy for each. */
sp_status sp_record_write(const sp_record *r, const char *path, sp_error *err);

#endif
