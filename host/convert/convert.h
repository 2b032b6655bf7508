/* From a network of conventional activations (relu, qcfs) to one of integrate-and-fire neurons, whose firing
 * rates over time steps stand for the activations. Batch norms go into the weights, and so do thresholds:
 * every neuron has v_th 1 and starts at 1/2, and a layer's weights take over what a spike before it stands
 * for. No device is needed here. docs/NUMERICS.md, "Conversion", has the equations. */
#ifndef SP_CONVERT_CONVERT_H
#define SP_CONVERT_CONVERT_H

#include "base/mem.h"
#include "config/safetensors.h"
#include "graph/graph.h"

/* Weights with what stands behind them: a batch norm, an activation. */
typedef struct sp_convert_block {
    int weights, norm, activation; /* nodes; norm and activation -1: there is none */
    int64_t channels, fan_in;
    double *w, *b; /* [channels][fan_in] in the order of files, [channels]; with the norm in them */
    double *shift; /* [channels] added to b by calibration */
    double *theta; /* [channels] what a spike stands for; 1 without an activation */
} sp_convert_block;

typedef struct sp_conversion {
    const sp_graph *graph;
    sp_convert_block *blocks;
    int n;
} sp_conversion;

/* params: by parameter of the graph, in the order of files. Thresholds of qcfs are those that were learnt,
 * those of relu are 1 until somebody sets them. SP_E_CONFIG names the layer that has no such form, and why.
 * The graph must outlive it. */
sp_status sp_conversion_create(const sp_graph *g, const float *const *params, sp_conversion **out,
                               sp_error *err);
void sp_conversion_destroy(sp_conversion **c);

/* The network with its thresholds and shifts as they are. */
typedef struct sp_converted {
    sp_text layers;     /* YAML, a list that is indented by two spaces */
    sp_tensor *tensors; /* sorted by name; names, and data as float32, are owned */
    size_t n_tensors;
} sp_converted;
sp_status sp_conversion_network(const sp_conversion *c, sp_converted *out, sp_error *err);
void sp_converted_free(sp_converted *c);

/* How often outputs of a channel lie in each part of 0 to `largest`. */
enum { SP_CONVERT_PARTS = 2048 };
/* The threshold among 1, 0.99 .. 0.06 times the largest output with which `steps` time steps, whose spikes
 * can say 0 to `steps` times threshold / steps, rounded, are nearest to the outputs: least squares. */
double sp_convert_threshold(const uint32_t counts[SP_CONVERT_PARTS], double largest, int64_t steps);

#endif
