/* What a line of metrics.jsonl is made of: sums since the line before. They are in the checkpoint, so that
 * the line reads after a resume as it would have read without. */
#ifndef SP_TRAIN_LINE_H
#define SP_TRAIN_LINE_H

#include "base/mem.h"
#include "spikeport/status.h"

typedef struct sp_line {
    double loss;
    int64_t correct, seen, steps, batches;
    uint64_t *spikes; /* [n], by graph node */
    int n;
    int64_t restored; /* of `seen`: samples from before a resume */
} sp_line;

void sp_line_reset(sp_line *l);
void sp_line_print(const sp_line *l, sp_text *out);
/* `text` as sp_line_print wrote it, from the file `path`; NULL: there is no open line. */
sp_status sp_line_restore(sp_line *l, const char *text, const char *path, sp_error *err);

#endif
