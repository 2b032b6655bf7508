/* The parts of `spikeport plugins`: cmd_plugins.c reads the options and lists, the others do one subcommand
 * each. */
#ifndef SP_CLI_PLUGINS_H
#define SP_CLI_PLUGINS_H

#include "cli/cli.h"
#include "registry/launch.h"

typedef struct sp_cli_plugins {
    const char *device, *folders; /* --device, --plugins */
    sp_arg_list force;            /* --plugin OP=NAME */
    const char *shape;            /* --shape "N=32 H=28 ..." */
    sp_arg_list flags;            /* --flag X_BITS */
    sp_arg_list tunes;            /* --tune T=16 */
    const char *neuron, *surrogate;
    bool json, full, no_wisdom;
    int64_t seed, ms;   /* of check; of bench: time per candidate */
    int64_t density;    /* bench: percent of the spikes that are set */
    const char *target; /* the positional argument, or NULL */
    sp_registry *reg;   /* NULL where a call is described only: fragments that it names are not looked up */
    sp_device *dev;     /* NULL for list and show */
} sp_cli_plugins;

/* The call that OP, --shape and --flag describe. What can be derived (HO, WO) or has a usual value (strides
 * 1, padding 0, the floats) may be left out; anything else missing or unknown is SP_E_USAGE. */
sp_status sp_cli_plugins_call(const sp_cli_plugins *o, sp_op_call *call, sp_error *err);

/* Makes the values of --tune the defaults of every variant that has them; SP_E_USAGE where none does. */
sp_status sp_cli_plugins_prefer(const sp_cli_plugins *o, sp_error *err);

sp_status sp_cli_plugins_why(const sp_cli_plugins *o, sp_error *err);
sp_status sp_cli_plugins_check(const sp_cli_plugins *o, sp_error *err);
sp_status sp_cli_plugins_bench(const sp_cli_plugins *o, sp_error *err);

#endif
