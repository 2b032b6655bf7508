/* What a run's metrics.jsonl holds, as points to draw. */
#ifndef SP_TRAIN_CURVES_H
#define SP_TRAIN_CURVES_H

#include "plot/picture.h"
#include "spikeport/status.h"

/* One point: "loss", "accuracy", "test_loss", "test_accuracy", "test_absolute_error" or "layer NAME" (spikes
 * a neuron and step). x counts epochs; accuracies are in %. */
typedef void (*sp_curve_point)(void *ctx, const char *what, double x, double y);

/* Gives every point of FOLDER/metrics.jsonl to `point`, in the file's order. */
sp_status sp_curves_read(const char *folder, sp_curve_point point, void *ctx, sp_error *err);

/* The curves of one run as panels: accuracy (or the error, where there is none), loss, firing. To free with
 * sp_plot_free, also after a failure. */
enum { SP_CURVES = 3 };
sp_status sp_curves_gather(const char *folder, sp_plot out[SP_CURVES], sp_error *err);

#endif
