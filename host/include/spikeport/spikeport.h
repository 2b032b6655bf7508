/* libspikeport: train spiking neural networks on any OpenCL device.
 *
 * The smallest program:
 *
 *     sp_run *run = NULL;
 *     sp_error err = {0};
 *     if (sp_run_open("recipe.yaml", NULL, 0, NULL, &run, &err) == SP_OK &&
 *         sp_run_train(run, "out", NULL, NULL, &err) == SP_OK)
 *         puts("trained");
 *     else
 *         fprintf(stderr, "%s\n", err.text);
 *     sp_run_close(&run);
 *
 * Functions return an sp_status (status.h) and fill in *err, which may be NULL. The library prints only
 * through its log (log.h; default: warnings to stderr) and never exits. Plugins with host code include
 * plugin.h, nothing else. Phases: [setup] may allocate, build kernels and block; one thread at a time for one
 * sp_run.
 */
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

/* Version of the library at run time, "0.1.0". */
SP_API const char *sp_version(void);

/* A recipe on a device: network, memory and kernels ready. */
typedef struct sp_run sp_run;

/* Opens a recipe file. sets: n_sets strings "key.path=value" that override it (NULL, 0: none). device:
 * selector as SPIKEPORT_DEVICE takes it ("gpu", "cpu", "0", part of a name), NULL: automatic. *out is written
 * on success only. [setup] */
SP_API sp_status sp_run_open(const char *recipe, const char *const *sets, size_t n_sets, const char *device,
                             sp_run **out, sp_error *err);

/* Called during training on the caller's thread; return non-zero to stop: the state is saved,
 * SP_E_INTERRUPTED returned. epoch counts from 1; test_accuracy is negative except at the end of an epoch. */
typedef struct sp_run_progress {
    int64_t epoch, epochs, batch, batches;
    double loss, accuracy, test_loss, test_accuracy, samples_per_second;
} sp_run_progress;
typedef int (*sp_run_report)(void *ctx, const sp_run_progress *progress);

/* Trains as the recipe says; writes metrics.jsonl, checkpoint.safetensors, best.safetensors, curves.png and
 * recipe.yaml to the folder `out`, which must not hold another run. report may be NULL. [setup] */
SP_API sp_status sp_run_train(sp_run *run, const char *out, sp_run_report report, void *ctx, sp_error *err);

/* Mean loss and accuracy on the test split, with the parameters as they are now. Either pointer may be NULL.
 * [setup] */
SP_API sp_status sp_run_evaluate(sp_run *run, double *loss, double *accuracy, sp_error *err);

/* Parameters from a checkpoint (a file, or the folder of a run). Shapes must fit exactly. [setup] */
SP_API sp_status sp_run_load(sp_run *run, const char *checkpoint, sp_error *err);

/* Accepts NULL; nulls the pointer. */
SP_API void sp_run_close(sp_run **run);

#ifdef __cplusplus
}
#endif
#endif
