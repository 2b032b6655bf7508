/* Training progress for a person: one rewriting line on a terminal, plain lines otherwise. */
#ifndef SP_CLI_PROGRESS_H
#define SP_CLI_PROGRESS_H

#include "train/train.h"

typedef struct sp_progress_line {
    bool terminal, json; /* json: events as JSON Lines on stdout instead */
    int width;           /* characters of the rewriting line now on screen */
} sp_progress_line;

sp_progress_line sp_progress_line_make(bool json);
/* An sp_train_options.report; ctx is the sp_progress_line. */
void sp_progress_report(void *ctx, const sp_train_event *e);
void sp_progress_line_end(sp_progress_line *p); /* leaves the cursor on a new line */

#endif
