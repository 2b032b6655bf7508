/* The parts of `spikeport tune`: cmd_tune.c reads the options and runs, tune_calls.c gathers what is to be
 * tuned, tune_files.c imports and exports. */
#ifndef SP_CLI_TUNE_H
#define SP_CLI_TUNE_H

#include "check/tune.h"
#include "cli/session_options.h"

/* Distinct calls with how much work of a mini-batch they are, most first. */
typedef struct sp_cli_calls {
    struct sp_cli_call {
        sp_op_call call;
        double weight; /* launches in a mini-batch times operations, or bytes */
    } * items;
    size_t n;
} sp_cli_calls;
void sp_cli_calls_free(sp_cli_calls *c);

/* Adds the calls of a plan. */
sp_status sp_cli_calls_of_plan(const sp_plan *p, sp_cli_calls *out, sp_error *err);
/* Parts of lowered convolutions first, as what a lowering costs depends on them; then by weight. */
void sp_cli_calls_sort(sp_cli_calls *c);
/* Whether a convolution is lowered among them. */
bool sp_cli_calls_lowered(const sp_cli_calls *c);

sp_status sp_cli_wisdom_export(const sp_wisdom *w, const char *path, sp_error *err);
/* Entries for other devices go into their own files. What is there already stays unless force is set. */
sp_status sp_cli_wisdom_import(sp_wisdom *w, const char *path, bool force, sp_error *err);

#endif
