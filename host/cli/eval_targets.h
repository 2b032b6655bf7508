/* What `spikeport eval` tells of a network whose loss is of rows of numbers. */
#ifndef SP_CLI_EVAL_TARGETS_H
#define SP_CLI_EVAL_TARGETS_H

#include <jansson.h>
#include "train/session.h"

/* "mean squared error 0.01, mean absolute error 0.08", or the scores of labels. */
void sp_cli_targets_summary(const sp_session *s, const sp_scores *scores, sp_text *out);
/* A row for each output. */
sp_status sp_cli_targets_print(const sp_session *s, const sp_dataset *ds, const sp_scores *scores);
/* The same into an object. */
void sp_cli_targets_json(json_t *out, const sp_session *s, const sp_dataset *ds, const sp_scores *scores);

#endif
