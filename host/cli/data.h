/* What the subcommands of "spikeport data" share. */
#ifndef SP_CLI_DATA_H
#define SP_CLI_DATA_H

#include "cli/cli.h"
#include "train/session.h"

typedef struct sp_cli_data {
    sp_recipe recipe;
    const char *path; /* of the recipe; NULL: a data set by its name */
    const sp_arg_list *sets;
    const char *device;
    bool json, step, test, list; /* test: the test split, where a subcommand looks at one */
    const char *out;
    int64_t count, epoch, seconds;
} sp_cli_data;

/* data_preview.c */
sp_status sp_cli_data_preview(const sp_cli_data *o, sp_error *err);
/* data_inspect.c */
sp_status sp_cli_data_inspect(const sp_cli_data *o, sp_error *err);

#endif
