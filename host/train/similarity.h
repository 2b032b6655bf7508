/* Similarity: how near the gradient of a method comes to that of another, at the same weights and mini-batch.
 * Plans of all methods work on the session's model; what training would notice (running statistics, spike
 * counters) is put back. */
#ifndef SP_TRAIN_SIMILARITY_H
#define SP_TRAIN_SIMILARITY_H

#include "train/session.h"

typedef struct sp_similarity sp_similarity;

/* One parameter under one method. NAN where it has no meaning: both gradients, or the reference's, are zero.
 */
typedef struct sp_similarity_score {
    double cosine;     /* of method and reference */
    double norm_ratio; /* |method| / |reference| */
    double difference; /* |method - reference| / |reference| */
} sp_similarity_score;

/* One measurement. Layers that count in the means: weights of convolutions and linear layers with a neuron
 * layer behind them; behind the last neuron every method has BPTT's gradient. */
typedef struct sp_similarity_report {
    int n_methods, n_params; /* n_params: of the graph, running statistics included */
    const sp_compared *methods;
    sp_method reference;
    const sp_similarity_score *scores; /* [method][param] */
    const double *cosine, *least, *norm_ratio,
        *difference;      /* [method]: mean over the layers, lowest layer, means of the ratios */
    const int64_t *steps; /* [method]: time steps backpropagated */
} sp_similarity_report;

/* Plans for recipe.monitor. Memory of the session's plans is shared where it is large enough. unlimited:
 * plans only, they cannot be run. [setup] */
sp_status sp_similarity_create(sp_session *s, bool unlimited, sp_similarity **out, sp_error *err);
void sp_similarity_destroy(sp_similarity **f);
uint64_t sp_similarity_bytes(const sp_similarity *f); /* device memory of its own; f may be NULL */

/* Measures on the mini-batch that training is about to run. The report is valid until the next one. */
sp_status sp_similarity_measure(sp_similarity *f, const sp_exec_batch *batch,
                                const sp_similarity_report **out, sp_error *err);

/* Whether a parameter counts in the means. */
bool sp_similarity_counts(const sp_graph *g, const sp_param *p);

#endif
