/* Files of a person's own as samples without labels, for predictions: pictures, arrays (.npy), IDX images and
 * recordings of events, each read exactly as the test data of the options are. */
#ifndef SP_DATA_INPUTS_H
#define SP_DATA_INPUTS_H

#include "data/dataset.h"

/* A sample: the file, and its place in a file of several (from 0). */
typedef struct sp_input {
    const char *path; /* borrowed */
    size_t at, of;
} sp_input;

typedef struct sp_inputs {
    sp_dataset *set; /* `get` gives the error of a file that cannot be read; all labels are -1 */
    sp_input *items; /* [set->info.count] */
} sp_inputs;

/* shape: what the network was trained on; samples of another shape are errors of their own. The paths must
 * outlive the inputs. Close them also after a failure. */
sp_status sp_inputs_open(const sp_dataset_options *o, const sp_dataset_info *shape, const char *const *paths,
                         size_t n, sp_inputs *out, sp_error *err);
void sp_inputs_close(sp_inputs *in);

/* What a sample of a file of arrays is, where no data set says it. */
sp_status sp_inputs_shape(const sp_dataset_options *o, const char *path, sp_dataset_info *out, sp_error *err);

#endif
