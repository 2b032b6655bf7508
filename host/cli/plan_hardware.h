/* plan --hardware: what a network of integers needs before anything is built. */
#ifndef SP_CLI_PLAN_HARDWARE_H
#define SP_CLI_PLAN_HARDWARE_H

#include "train/session.h"

typedef struct sp_cli_hardware {
    const char
        *rates; /* folder of a run, whose last epoch tells how often neurons fire; NULL: all always do */
    int64_t elements; /* multiply-accumulates at once in each layer */
    bool json;
} sp_cli_hardware;
sp_status sp_cli_plan_hardware(sp_session *s, const sp_cli_hardware *o, sp_error *err);

#endif
