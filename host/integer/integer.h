/* Networks of integers: what a trained graph becomes on hardware that has no floating point. Weights are
 * whole numbers times a power of two that the layer shares; a potential is an integer of stated width that
 * saturates, its leak a shift. Batch norms, biases and gains go into thresholds and biases, by channel, so
 * that weights stay as they were trained. docs/NUMERICS.md, "Integers", has the equations. */
#ifndef SP_INTEGER_INTEGER_H
#define SP_INTEGER_INTEGER_H

#include "graph/graph.h"

typedef enum { SP_INTEGER_WEIGHTS, SP_INTEGER_SUM, SP_INTEGER_OR } sp_integer_kind;

/* Weights with the neurons behind them, or a pool. Activations are [h][w][c], weights [kh][kw][c][o]. */
typedef struct sp_integer_layer {
    sp_integer_kind kind;
    int node, neuron; /* of the graph; neuron -1: a pool, or the read-out, which adds up what it gets; node
                         -1: a read-out that counts the spikes of a network that ends in neurons */
    bool spikes_in, spikes_out;
    int64_t h, w, c, ho, wo, o, kh, kw, sh, sw, ph, pw, dh, dw;
    int64_t in_most;                             /* largest size of an input */
    int64_t sum_most;                            /* of a sum of products, or of a pool's output */
    int32_t *weights, *threshold, *bias, *reset; /* [kh kw c o]; [o]; reset NULL: the soft reset */
    int *exponents;                              /* [o] a weight is its code times 2^exponent */
    int weight_bits;
    int fraction;     /* a sum is multiplied by 2^fraction before it meets the potential */
    int width;        /* bits of a potential */
    int shift;        /* v leaks to v >> shift, or to v - (v >> shift) */
    bool leak;        /* the latter */
    int64_t rescaled; /* channels whose unit is so small that their codes had to be rounded once more */
} sp_integer_layer;

typedef struct sp_integer {
    const sp_graph *graph;
    sp_integer_layer *layers;
    int n, time_steps;
    int input_exponent; /* an input is its code times 2^input_exponent */
    int32_t input_low, input_high;
} sp_integer;

/* What inputs are like: the largest, and the largest power of two that divides all of them. */
typedef struct sp_integer_range {
    float largest;
    int granule;
    bool any, negative;
} sp_integer_range;
void sp_integer_range_add(sp_integer_range *r, const float *x, size_t n);

typedef struct sp_integer_options {
    bool channel_scales; /* as sp_plan_options has it */
    int weight_bits, membrane_bits, input_bits, time_steps;
    sp_integer_range input;
} sp_integer_options;

/* params: by parameter of the graph, in the device's order. SP_E_CONFIG names the layer that has no such
 * form, and why. The graph must outlive it. */
sp_status sp_integer_create(const sp_graph *g, const float *const *params, const sp_integer_options *o,
                            sp_integer **out, sp_error *err);
void sp_integer_destroy(sp_integer **net);

const char *sp_integer_name(const sp_integer *net, int layer); /* of the graph's node, or "outputs" */
/* Codes of n inputs; those outside of the range saturate, and are counted. */
size_t sp_integer_encode(const sp_integer *net, const float *x, size_t n, int32_t *code);
/* The leak of a neuron as a shift; false: it is none. */
bool sp_integer_decay(const sp_neuron *n, int *shift, bool *leak);
static inline int64_t sp_integer_inputs(const sp_integer_layer *l)
{
    return l->h * l->w * l->c;
}
static inline int64_t sp_integer_outputs(const sp_integer_layer *l)
{
    return l->ho * l->wo * l->o;
}
static inline int64_t sp_integer_taps(const sp_integer_layer *l)
{
    return l->kh * l->kw * l->c;
}

/* Inside integer/ (fold.c): weights, thresholds and biases of a layer from those of the graph. factor: what
 * an input's code is multiplied by. */
sp_status spi_integer_fold(sp_integer *net, sp_integer_layer *l, int norm, const float *const *params,
                           const sp_integer_options *o, double factor, sp_error *err);

#endif
