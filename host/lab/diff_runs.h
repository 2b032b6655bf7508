/* Two recorded runs: metrics line by line, weights tensor by tensor. */
#ifndef SP_LAB_DIFF_RUNS_H
#define SP_LAB_DIFF_RUNS_H

#include <stdbool.h>
#include "spikeport/status.h"

/* a, b: checkpoints or folders of runs. SP_E_MISMATCH when something differs by more than `within` (of a
 * tensor's or loss's largest number; 0: bit by bit); the findings go to stdout. */
sp_status sp_diff_runs(const char *a, const char *b, double within, bool json, sp_error *err);

#endif
