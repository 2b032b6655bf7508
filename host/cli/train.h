/* Inside cli/: what the files of spikeport train share. */
#ifndef SP_CLI_TRAIN_H
#define SP_CLI_TRAIN_H

#include "cli/session_options.h"
#include "train/train.h"

typedef struct sp_cli_train {
    sp_cli_session session;
    int64_t sub_devices;
    const char *out, *resume, *trace;
    bool json, print_recipe, overwrite;
    int lock;
    int64_t max_iterations, rank_timeout;
    sp_ranks *ranks; /* NULL: this process alone */
    const volatile int *stop;
} sp_cli_train;

/* The sessions of a run: one, or one for each device that shares the mini-batches. */
typedef struct sp_cli_replicas {
    sp_session *members[SP_CLI_MAX_DEVICES];
    size_t n;
    sp_dataset *train, *test;
} sp_cli_replicas;

sp_status sp_cli_train_recipe(const char *path, const sp_cli_train *o, const sp_checkpoint *c, sp_recipe *r,
                              sp_error *err);
/* Opens sessions and data; closed by sp_cli_train_close, also after an error. */
sp_status sp_cli_train_open(const char *path, const sp_cli_train *o, const sp_checkpoint *c,
                            sp_cli_replicas *t, sp_error *err);
void sp_cli_train_close(sp_cli_replicas *t);
void sp_cli_train_say(const sp_cli_replicas *t);
void sp_cli_train_say_ranks(const sp_ranks *r);

#endif
