/* What `spikeport watch` shows of a run's folder: cmd_watch.c as lines, run_page.c as a page. */
#ifndef SP_LAB_WATCH_H
#define SP_LAB_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include "cli/table.h"
#include "spikeport/status.h"

/* metrics.jsonl as it is now. */
typedef struct sp_run_events {
    json_t *start; /* the last one; NULL: none yet */
    json_t *rows;  /* events of mini-batches and epochs */
    bool ended;
} sp_run_events;
sp_status sp_run_events_read(const char *folder, sp_run_events *out, sp_error *err);
void sp_run_events_free(sp_run_events *e);

/* Of a row: epoch, mini-batch, loss and so on. */
extern const sp_column sp_run_columns[];
extern const size_t sp_n_run_columns;

/* What the run is, its curves, its epochs, and pictures of `spikeport visualise` that lie beside it. A run
 * that goes on makes a page that refreshes itself. */
sp_status sp_run_page(const char *folder, const sp_run_events *e, bool goes_on, const char *path,
                      sp_error *err);

#endif
