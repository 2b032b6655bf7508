/* Options that plan, train, eval and verify share, and how a session is opened from them. */
#ifndef SP_CLI_SESSION_OPTIONS_H
#define SP_CLI_SESSION_OPTIONS_H

#include "cli/cli.h"
#include "train/checkpoint.h"
#include "train/session.h"

typedef struct sp_cli_session {
    const char *command; /* of sp_cli_trained_open: for messages, and which keys have an effect */
    bool predicts;       /* inputs in place of the test data */
    const char *input;   /* the first of them: it says what samples are where no data set does */
    const char *device, *plugins, *programs;
    sp_arg_list force, sets;
    bool sync, profile, no_wisdom;
    sp_weights_from weights; /* of a recipe that stands in place of a checkpoint */
} sp_cli_session;

/* The rows of an sp_arg table; `s` is an sp_cli_session variable. */
#define SP_CLI_DEVICE_ARGS(s)                                                                                \
    SP_TEXT("device", 'd', &(s).device, "SEL", "device: number, type, or part of a name (default auto)"),    \
        SP_LIST("plugin", 'p', &(s).force, "OP=NAME",                                                        \
                "use this variant for an op; \"*=reference\" for all"),                                      \
        SP_TEXT("plugins", 0, &(s).plugins, "DIRS", "folders with plugins, colon separated"),                \
        SP_FLAG("no-wisdom", 0, &(s).no_wisdom, "kernels by score, whatever `spikeport tune` has measured"), \
        SP_FLAG("sync", 0, &(s).sync, "finish after every kernel, so that one that fails is named")
#define SP_CLI_AS_ARG(type)                                                                                  \
    SP_TEXT("as", 0, &(type), "TYPE",                                                                        \
            "choose kernels as for cpu, gpu or accelerator (compile for FPGAs: accelerator)")
#define SP_CLI_NOT_A_TYPE "--as must be cpu, gpu or accelerator, not \"%s\""
bool sp_cli_is_type(const char *as); /* true for NULL: not given */
#define SP_CLI_PROGRAMS_ARG(s)                                                                               \
    SP_TEXT("programs", 0, &(s).programs, "DIR", "kernels from the binaries of `spikeport compile` alone")
#define SP_CLI_WEIGHTS_ARGS(s)                                                                               \
    SP_TEXT("weights", 'w', &(s).weights.file, "FILE",                                                       \
            "of a recipe in place of a checkpoint: a safetensors file, such as a state_dict of PyTorch"),    \
        SP_TEXT("map", 0, &(s).weights.map, "FILE",                                                          \
                "with --weights: a YAML map of the network's names to the file's"),                          \
        SP_FLAG("lenient", 0, &(s).weights.lenient,                                                          \
                "with --weights: missing and extra tensors are warnings")
#define SP_CLI_SET_ARG(s)                                                                                    \
    SP_LIST("set", 's', &(s).sets, "KEY=VALUE",                                                              \
            "override a key of the recipe, as optimizer.lr=0.05; spikeport recipe lists them")

sp_session_options sp_cli_session_options(const sp_cli_session *s);

/* The recipe's data, then the session: what is wrong with data is said before any kernel is built. test may
 * be NULL. The caller closes all three, also after an error; the recipe is taken over. */
sp_status sp_cli_session_open(sp_recipe *r, const sp_session_options *so, sp_session **s, sp_dataset **train,
                              sp_dataset **test, sp_error *err);

/* The same without the data: the shape is that of the files or, where they are missing or no_data, what is
 * known of the set, which is said on stderr. */
sp_status sp_cli_shape_open(sp_recipe *r, bool no_data, const sp_session_options *so, sp_session **s,
                            sp_error *err);

/* A trained network, ready to be run: a checkpoint (or a run's folder), or a recipe with --weights. */
typedef struct sp_cli_trained {
    sp_checkpoint checkpoint; /* or the file of weights */
    sp_dataset *test;         /* NULL: without data */
    sp_session *s;
} sp_cli_trained;
/* data: on its test data, else the network alone. Close it also after a failure. */
sp_status sp_cli_trained_open(const char *path, const sp_cli_session *o, bool data, sp_cli_trained *out,
                              sp_error *err);
void sp_cli_trained_close(sp_cli_trained *t);

/* The names of a list of devices, "A,B": an empty name and a name too many are errors. The names lie in
 * *text, which is released with sp_free. */
enum { SP_CLI_MAX_DEVICES = 16 };
sp_status sp_cli_device_names(const char *option, const char *list, char **text, const char **names,
                              size_t *n, sp_error *err);

/* SP_E_CONFIG where --set names a key that this command does not look at. `keys` end with NULL: sections and
 * keys that it does, "" for all; one behind a "!" is an exception. */
sp_status sp_cli_check_sets(const char *command, const sp_arg_list *sets, const char *const *keys,
                            sp_error *err);

/* Which device and why, and every plugin file that was refused: to stderr. */
void sp_cli_say_device(const sp_device *dev, const sp_registry *reg);
/* The same of a session, and, where it trains, kernels that are forced and that none of its steps runs. */
void sp_cli_say_session(const sp_session *s);

/* With --programs: how many came from binaries, and that none was built from source; to stderr. */
void sp_cli_say_programs(const sp_device *dev, const sp_registry *reg);

#endif
