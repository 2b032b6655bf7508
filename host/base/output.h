/* Files that a command writes where a person says. What is there already is replaced only if it is of the
 * kind that the command writes: a slip of a name must not cost a checkpoint, a data set or a recipe. */
#ifndef SP_BASE_OUTPUT_H
#define SP_BASE_OUTPUT_H

#include <stddef.h>

#include "spikeport/status.h"

typedef enum sp_output {
    SP_OUTPUT_PICTURE,
    SP_OUTPUT_SVG,
    SP_OUTPUT_PDF,
    SP_OUTPUT_PAGE,
    SP_OUTPUT_TRACE,
    SP_OUTPUT_ARRAY,
    SP_OUTPUT_NIR,
    SP_OUTPUT_NETWORK,
    SP_OUTPUT_CONVERTED,
    SP_OUTPUT_WISDOM,
    SP_OUTPUT_WEIGHTS,
    SP_OUTPUT_RECORDING,
    SP_OUTPUT_INPUT,
    SP_OUTPUT_DIFF,
    SP_OUTPUT_SWEEP,
    SP_OUTPUT_SIMILARITY,
    SP_OUTPUT_CURVE,
} sp_output;

/* What files begin with by which they are known. The metadata "format" of safetensors comes first. */
#define SP_OUTPUT_DIFF_HEAD        "spikeport diff recording/1\n"
#define SP_OUTPUT_NETWORK_HEAD     "# By spikeport nir import"
#define SP_OUTPUT_CONVERTED_HEAD   "# By spikeport convert"
#define SP_OUTPUT_WEIGHTS_FORMAT   "pt"
#define SP_OUTPUT_RECORDING_FORMAT "spikeport-recording/1"
#define SP_OUTPUT_INPUT_FORMAT     "spikeport-input/1"

/* Before the work: SP_E_USAGE where `path` is a file of another kind or one of the inputs; SP_E_IO where it
 * is a folder, or its folder cannot be written to. A file of no bytes is of every kind; devices are left
 * alone. */
sp_status sp_output_check(const char *path, sp_output kind, const char *const *inputs, size_t n,
                          sp_error *err);

#endif
