/* libspikeport: train spiking neural networks on any OpenCL device, and use them.
 *
 *     sp_error err = {0};
 *     sp_context *ctx = NULL;
 *     sp_net *net = NULL;
 *     if (sp_context_create(NULL, &ctx, &err) == SP_OK &&
 *         sp_net_open(ctx, "runs/mine", NULL, &net, &err) == SP_OK &&
 *         sp_net_forward(net, x, count, n, &(sp_forward_outputs){.struct_size = sizeof(sp_forward_outputs),
 *                        .logits = logits}, &err) == SP_OK)
 *         use(logits);
 *     else
 *         fprintf(stderr, "%s\n", err.text);
 *     sp_net_close(&net);
 *     sp_context_destroy(&ctx);
 *
 * Rules for every function:
 *  - It returns an sp_status (status.h) and fills in *err, which is the caller's and may be NULL. *out is
 *    written on success only. A handle can be used after an error; a call that failed has changed nothing but
 *    what its comment says.
 *  - What a caller passes in is borrowed for the call. Text that comes out belongs to the handle and lives as
 *    long as it does. Numbers are copied.
 *  - Closing takes the address of a handle, accepts NULL, and sets the handle to NULL.
 *  - Threads: [any-thread] at any time. All others: one thread at a time for one context and its networks; a
 *    call while another thread is inside the same context is refused (SP_E_USAGE), not queued. Several
 *    contexts share nothing, so each can have a thread of its own.
 *  - A context does not survive fork(): calls in the child are refused, also those for devices and new
 *    contexts.
 *  - The library prints only through its log (log.h, or that of the context), handles no signals and never
 *    exits. Handlers of SIGINT, SIGTERM and SIGHUP that a driver's compiler puts in the place of the
 *    program's are taken back, and the driver's threads and processes are not given these signals.
 *  - Structs begin with their size, so that they can grow at the end: {.struct_size = sizeof(the struct)}.
 * Layouts are PyTorch's: samples [N][C][H][W], or [T][N][C][H][W] where there is an input for each time step.
 * Versions are semantic; until 1.0 a minor version may change functions. */
#ifndef SPIKEPORT_SPIKEPORT_H
#define SPIKEPORT_SPIKEPORT_H

#include <stddef.h>
#include <stdint.h>
#include "spikeport/log.h"
#include "spikeport/status.h"
#include "spikeport/version.h"

#if defined(__GNUC__)
#define SP_API __attribute__((visibility("default")))
#else
#define SP_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the library at run time, "0.1.0". [any-thread] */
SP_API const char *sp_version(void);

/* ---- devices ---- */

typedef struct sp_device_text {
    uint32_t struct_size;
    int32_t index;      /* what a selector of a context names */
    int32_t is_default; /* 1: a context without a selector takes it */
    int32_t is_usable;  /* 0: no kernels can be run there */
    uint32_t compute_units;
    uint32_t reserved;
    uint64_t global_bytes, max_alloc_bytes;
    char type[16], name[256], platform[128], driver[128];
} sp_device_text;

/* The OpenCL devices of this machine: how many, and number i of them. [any-thread] */
SP_API sp_status sp_devices_count(size_t *n, sp_error *err);
SP_API sp_status sp_devices_describe(size_t i, sp_device_text *out, sp_error *err);

/* ---- context ---- */

/* A device with everything that networks share: compiled kernels, plugins, paths, log. */
typedef struct sp_context sp_context;

enum { SP_CONTEXT_NO_WISDOM = 1, SP_CONTEXT_SYNC = 2 };

typedef struct sp_context_options { /* NULL and 0: as the environment variable says, then the default */
    uint32_t struct_size;
    uint32_t flags;     /* SP_CONTEXT_NO_WISDOM: kernels by score, whatever was measured; SP_CONTEXT_SYNC:
                           finish after every kernel, so that one that fails is named */
    const char *device; /* selector: number, gpu, cpu, accelerator, part of a name */
    const char *plugin_path;    /* folders with plugins, colon separated */
    const char *data_path;      /* folder with data sets */
    const char *cache_path;     /* folder for what is learned about the device */
    const char *prefix;         /* folder of the installation with recipes, plugins and wisdom */
    const char *programs;       /* folder of spikeport compile: kernels from its binaries alone */
    const char *const *plugins; /* n_plugins strings "op=variant" that force kernels */
    size_t n_plugins;
    sp_log_fn log; /* NULL: the process's log, at its level. Called on the thread that calls, and on threads
                      that read data */
    void *log_ctx;
    sp_log_level log_level;
} sp_context_options;

/* Opens the device. options may be NULL. */
SP_API sp_status sp_context_create(const sp_context_options *options, sp_context **out, sp_error *err);
/* Gives the handle back. Networks that are still open keep what they need. */
SP_API void sp_context_destroy(sp_context **ctx);
SP_API sp_status sp_context_device(sp_context *ctx, sp_device_text *out, sp_error *err);

/* ---- networks ---- */

/* A network with its parameters on the device, and what trains it: schedule, loss, optimizer with its state.
 */
typedef struct sp_net sp_net;

enum { SP_NET_INFERENCE = 1 };

typedef struct sp_net_options {
    uint32_t struct_size;
    uint32_t flags;          /* SP_NET_INFERENCE: less memory, no training */
    const char *const *sets; /* n_sets strings "key.path=value" that override the recipe */
    size_t n_sets;
    /* Shape of a sample. All 0: that of the recipe's data, whose files are read only where the name of the
     * set does not tell. sequence: 1 where the caller's samples have an input for each of
     * schedule.time_steps. */
    int32_t channels, height, width, sequence;
} sp_net_options;

/* Opens a recipe (a YAML file, or the name of an installed one), or a checkpoint (a safetensors file of
 * spikeport, or the folder of a run) with its parameters. options may be NULL. */
SP_API sp_status sp_net_open(sp_context *ctx, const char *path, const sp_net_options *options, sp_net **out,
                             sp_error *err);
/* The same from the text of a recipe. Files that it names are looked up from the current folder. */
SP_API sp_status sp_net_parse(sp_context *ctx, const char *recipe, const sp_net_options *options,
                              sp_net **out, sp_error *err);
SP_API void sp_net_close(sp_net **net);

typedef struct sp_net_info {
    uint32_t struct_size;
    int32_t sequence; /* 1: an input for each time step */
    int32_t channels, height, width, outputs, time_steps;
    int32_t batch;       /* samples of a training step */
    int32_t eval_batch;  /* samples that are evaluated at a time; more are cut into pieces */
    int32_t is_training; /* 0: opened for inference */
    uint64_t device_bytes;
    const char *name, *method; /* of the recipe; "sltt" */
    const char *recipe;        /* YAML with every default */
} sp_net_info;
SP_API sp_status sp_net_describe(sp_net *net, sp_net_info *out, sp_error *err);

/* ---- parameters: weights, and running statistics of batch norms ---- */

typedef struct sp_param_info {
    uint32_t struct_size;
    int32_t n_dims;
    int64_t shape[4]; /* PyTorch's: O,I,H,W; out,in */
    int64_t count;    /* numbers */
    int32_t trainable, reserved;
    const char *name; /* "2.branch.0.weight" */
} sp_param_info;

SP_API sp_status sp_net_param_count(sp_net *net, size_t *n, sp_error *err);
SP_API sp_status sp_net_param_describe(sp_net *net, size_t i, sp_param_info *out, sp_error *err);
/* Copies count numbers, which must be as many as the parameter has; those that are set must be finite. Of
 * weights that optimizer.binary makes 1 and -1 the signs are kept, also where loss and optimizer are the
 * caller's. */
SP_API sp_status sp_net_get(sp_net *net, const char *name, float *to, size_t count, sp_error *err);
SP_API sp_status sp_net_set(sp_net *net, const char *name, const float *from, size_t count, sp_error *err);
/* The gradient of the last training step. */
SP_API sp_status sp_net_gradient(sp_net *net, const char *name, float *to, size_t count, sp_error *err);
/* The same of all parameters at once, which takes less time: n arrays, as many as there are parameters, in
 * the order of sp_net_param_describe. NULL: that one is left out. */
SP_API sp_status sp_net_get_all(sp_net *net, float *const *to, size_t n, sp_error *err);
SP_API sp_status sp_net_set_all(sp_net *net, const float *const *from, size_t n, sp_error *err);
SP_API sp_status sp_net_gradient_all(sp_net *net, float *const *to, size_t n, sp_error *err);
/* safetensors files under these names; a file to load must have all of them and no others. After an error in
 * the middle of a file some parameters may be those of the file. */
SP_API sp_status sp_net_save(sp_net *net, const char *path, sp_error *err);
SP_API sp_status sp_net_load(sp_net *net, const char *path, sp_error *err);

/* ---- forward ---- */

typedef struct sp_layer_info { /* a layer of neurons */
    uint32_t struct_size;
    int32_t channels, height, width;
    const char *name;
} sp_layer_info;
SP_API sp_status sp_net_layer_count(sp_net *net, size_t *n, sp_error *err);
SP_API sp_status sp_net_layer_describe(sp_net *net, size_t i, sp_layer_info *out, sp_error *err);

/* What a layer of neurons does at every time step, [T][n][C][H][W]; either may be NULL. */
typedef struct sp_layer_record {
    const char *layer;
    uint8_t *spikes;   /* 0 or 1 */
    float *potentials; /* before the reset */
} sp_layer_record;

typedef struct sp_forward_outputs { /* buffers of the caller; NULL: not asked for */
    uint32_t struct_size, reserved;
    float *logits;      /* [n][outputs], the sum over the time steps */
    float *step_logits; /* [T][n][outputs] */
    const sp_layer_record *records;
    size_t n_records;
} sp_forward_outputs;

/* Runs n samples in evaluation mode. count: numbers in x, as a check of its shape. Records are slow. */
SP_API sp_status sp_net_forward(sp_net *net, const float *x, size_t count, size_t n,
                                const sp_forward_outputs *out, sp_error *err);

/* ---- training on batches of one's own ---- */

typedef struct sp_train_result {
    uint32_t struct_size;
    int32_t backprop_steps; /* time steps that were backpropagated */
    double loss, accuracy;  /* of the mini-batch, before the update */
    int64_t iteration;      /* training steps so far */
} sp_train_result;

/* One training step with the recipe's schedule, loss and optimizer on exactly sp_net_info.batch samples. out
 * may be NULL. Where the loss or a gradient is not finite the parameters stay as they were (SP_E_NUMERIC,
 * with layer and time step); running statistics of batch norms have taken the mini-batch, so go on from a
 * checkpoint. */
SP_API sp_status sp_net_step(sp_net *net, const float *x, size_t count, const int32_t *labels, size_t n,
                             sp_train_result *out, sp_error *err);
/* The same where the recipe's loss.name is mse or bce: targets are [n][outputs], and the result's accuracy is
 * that of samples with all labels right, or NAN with mse. */
SP_API sp_status sp_net_step_targets(sp_net *net, const float *x, size_t count, const float *targets,
                                     size_t n, sp_train_result *out, sp_error *err);
/* The learning rate of the next steps: at first optimizer.lr of the recipe. sp_net_scheduled_lr tells what
 * the recipe's schedule says for mini-batch `batch` of `batches` in `epoch`, all from 0. */
SP_API sp_status sp_net_set_lr(sp_net *net, double lr, sp_error *err);
SP_API sp_status sp_net_lr(sp_net *net, double *lr, sp_error *err);
SP_API sp_status sp_net_scheduled_lr(sp_net *net, int64_t epoch, int64_t batch, int64_t batches, double *lr,
                                     sp_error *err);
/* A checkpoint: parameters, optimizer state, and the count of steps; resuming from it continues with the same
 * bits. `spikeport eval`, `predict` and sp_net_open take it as well. */
SP_API sp_status sp_net_save_checkpoint(sp_net *net, const char *path, sp_error *err);
SP_API sp_status sp_net_resume(sp_net *net, const char *path, sp_error *err);

/* ---- a loss and an optimizer of one's own ---- */

/* These functions use nothing of the recipe's loss: its class weights, label smoothing and loss on membrane
 * potentials (loss.membrane) have no effect on the gradients. */

/* Forward in training mode on exactly sp_net_info.batch samples; step_logits [T][batch][outputs]. Everything
 * that the backward pass needs is kept for all time steps. Batch norms update their running statistics (with
 * schedule.batch_norm: online in sp_net_backward). input_gradient: 1 where sp_net_backward is to give it:
 * from the first such pass on, the gradients of this network are added up in another order, and differ by
 * rounding from those of a network that was never asked for it. */
SP_API sp_status sp_net_forward_train(sp_net *net, const float *x, size_t count, size_t n, int input_gradient,
                                      float *step_logits, sp_error *err);
/* The backward pass of the last sp_net_forward_train (once, before anything else runs on the network, and
 * before parameters are set): from the gradient of the outputs [T][batch][outputs] to those of the parameters
 * (sp_net_gradient) and, where g_x is not NULL, of the input, shaped as x. The recipe's method decides the
 * way: sltt and sltt-k leave the path through time out, ottt takes traces of the inputs. */
SP_API sp_status sp_net_backward(sp_net *net, const float *g_step_logits, float *g_x, sp_error *err);

/* The same with a loss for each time step, as sltt, sltt-k and ottt are defined: a backward pass right after
 * its forward pass, so that memory does not grow with the number of time steps, and a mini-batch takes the
 * time of sp_net_step. After sp_net_begin_steps, which copies x, comes sp_net_forward_step for each of
 * sp_net_info.time_steps, with logits [batch][outputs]. After each of them sp_net_backward_step may follow,
 * once, from their gradient; at time steps that sltt-k has not drawn it does nothing. sp_net_end_steps (after
 * one time step or more) makes the gradients whole that sp_net_gradient gives. The running statistics of a
 * batch norm behind the first layer of still images move by those of all time steps, whether all of them are
 * run or not. */
SP_API sp_status sp_net_begin_steps(sp_net *net, const float *x, size_t count, size_t n, sp_error *err);
SP_API sp_status sp_net_forward_step(sp_net *net, float *logits, sp_error *err);
SP_API sp_status sp_net_backward_step(sp_net *net, const float *g_logits, sp_error *err);
SP_API sp_status sp_net_end_steps(sp_net *net, sp_error *err);

/* ---- whole trainings ---- */

/* Samples through a function. It is called on threads of the library, several at once (one where the recipe
 * says data.threads: 1), and must not use the context. It writes sample `index` as [C][H][W] or [T][C][H][W]
 * and its label, and returns 0; anything else ends the call with SP_E_DATA. Augmentation and normalisation
 * are the function's. */
typedef struct sp_data {
    uint32_t struct_size;
    int32_t classes;
    size_t count;
    int (*read)(void *ctx, size_t index, float *x, int32_t *label);
    void *ctx;
} sp_data;

typedef struct sp_progress_report {
    uint32_t struct_size;
    int32_t is_epoch; /* 1: end of an epoch, with test_loss and test_accuracy */
    int64_t epoch, epochs, batch, batches;
    double loss, accuracy, lr, samples_per_second, test_loss, test_accuracy;
} sp_progress_report;

enum { SP_FIT_OVERWRITE = 1 };

typedef struct sp_fit_options {
    uint32_t struct_size;
    uint32_t flags;     /* SP_FIT_OVERWRITE: rename the files of another run in the folder to NAME.old */
    const char *out;    /* folder of the run: metrics, curves, checkpoints, recipe */
    const char *resume; /* checkpoint or folder to continue from, NULL: from the start */
    const sp_data *train, *test; /* NULL: the recipe's data */
    /* Called on the caller's thread; it may use the network to look at parameters. Non-zero stops: the state
     * is saved and SP_E_INTERRUPTED returned. */
    int (*report)(void *ctx, const sp_progress_report *progress);
    void *ctx;
} sp_fit_options;

/* Trains as `spikeport train` does, to the same bits. */
SP_API sp_status sp_net_train(sp_net *net, const sp_fit_options *options, sp_error *err);

typedef struct sp_eval_result {
    uint32_t struct_size, reserved;
    int64_t samples;
    double loss, accuracy, seconds;
} sp_eval_result;
/* Mean loss and accuracy. test NULL: the recipe's test data. */
SP_API sp_status sp_net_evaluate(sp_net *net, const sp_data *test, sp_eval_result *out, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
