/* Inside nir/: what the export keeps while it goes through the nodes of a network. */
#ifndef SP_NIR_EXPORT_H
#define SP_NIR_EXPORT_H

#include "nir/nir.h"

/* Where an activation of the network comes from in the graph: the sum of up to two nodes, times a factor that
 * the next weights take up. */
typedef struct spi_nir_flow {
    size_t from[2];
    int n;
    double factor;
    bool vector; /* (C); else (C, H, W) */
} spi_nir_flow;

typedef struct spi_nir_export {
    const sp_graph *g;
    const float *const *params;
    double dt;
    sp_nir *out;
    sp_nir_notes *notes;
    sp_error *err;
    spi_nir_flow *flows; /* by activation */
    bool *folded;        /* by node: a batch norm that is part of the weights before it */
} spi_nir_export;

/* Node i of the network. */
sp_status spi_nir_put(spi_nir_export *e, int i);
/* A node of the graph with edges from all that flows in. *at: its index; the node itself is the last one. */
sp_status spi_nir_put_node(spi_nir_export *e, const char *name, const char *type, const spi_nir_flow *in,
                           spi_nir_flow *out);
/* Gets rid of a factor, by a Scale node. */
sp_status spi_nir_settle(spi_nir_export *e, const char *name, int act, spi_nir_flow *flow);
sp_status spi_nir_no_memory(const spi_nir_export *e);

/* export_neuron.c. The node that was added last, and numbers of it: one, or one for every neuron of n. */
sp_nir_node *spi_nir_last(const spi_nir_export *e);
bool spi_nir_add_number(spi_nir_export *e, const char *key, double x, bool whole);
bool spi_nir_fill(spi_nir_export *e, const sp_node *n, bool vector, const char *key, double x);
/* The type of the model's node, NULL where NIR has none; its parameters. */
const char *spi_nir_neuron_type(const sp_neuron *u);
bool spi_nir_put_synapse(spi_nir_export *e, const sp_node *n, bool vector);
bool spi_nir_put_parameters(spi_nir_export *e, const sp_node *n, const char *type, bool vector);

#endif
