/* For what makes another form of a trained network (convert, integer, nir): batch norms in weights, and
 * layers that are refused. */
#ifndef SP_GRAPH_FOLD_H
#define SP_GRAPH_FOLD_H

#include "graph/graph.h"

/* SP_E_CONFIG at a node's layer: "FILE:LINE:COLUMN: layer NAME: ..." */
sp_status sp_node_refuse(const sp_graph *g, int node, sp_error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The gain of a batch norm for a channel, with the running statistics, which evaluation uses: weights before
 * it are multiplied by it. The bias before it (may be NULL) becomes what it is behind it. params: by
 * parameter of the graph. */
double sp_norm_fold(const sp_node *norm, const float *const *params, int64_t channel, double *bias);

#endif
