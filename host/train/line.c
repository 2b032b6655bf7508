/* The sums of a metrics line as text in a checkpoint: see line.h. */
#include "train/line.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { N_SUMS = 5 };

void sp_line_reset(sp_line *l)
{
    memset(l->spikes, 0, (size_t)l->n * sizeof *l->spikes);
    *l = (sp_line){.spikes = l->spikes, .n = l->n};
}

void sp_line_print(const sp_line *l, sp_text *out)
{
    sp_text_add(out, "%a %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, l->loss, l->correct, l->seen,
                l->steps, l->batches);
    for (int i = 0; i < l->n; i++)
        sp_text_add(out, " %" PRIu64, l->spikes[i]);
}

sp_status sp_line_restore(sp_line *l, const char *text, const char *path, sp_error *err)
{
    int64_t *const sums[N_SUMS] = {NULL, &l->correct, &l->seen, &l->steps, &l->batches};
    for (int i = 0; text && i < N_SUMS + l->n; i++) {
        char *end;
        double x = strtod(text, &end);
        if (end == text || !(x >= 0 && x < 0x1p53))
            return SP_FAIL(err, SP_E_DATA, "%s: \"open_line\" in its metadata is not %d numbers", path,
                           N_SUMS + l->n);
        if (i == 0)
            l->loss = x;
        else if (i < N_SUMS)
            *sums[i] = (int64_t)x;
        else
            l->spikes[i - N_SUMS] = (uint64_t)x;
        text = end;
    }
    l->restored = l->seen;
    return SP_OK;
}
