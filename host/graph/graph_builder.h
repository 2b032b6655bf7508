/* A graph while it is made of a network; for graph.c and layers.c alone. */
#ifndef SP_GRAPH_BUILDER_H
#define SP_GRAPH_BUILDER_H

#include "base/error.h"
#include "graph/graph.h"

/* What a layer gives, for those that name it. */
typedef struct named_output {
    const sp_layer *layer;
    int act;
    bool flat;
} named_output;

typedef struct sp_graph_builder {
    sp_graph *g;
    const char *file;
    sp_error *err;
    bool too_large; /* the error is set */
    named_output *named;
    int n_named;
} sp_graph_builder;

/* An error about a layer, with its place in the file. */
sp_status spi_fail_layer(sp_graph_builder *b, const sp_layer *l, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A new node that reads activation `in` (and in1 where there are two), and writes an activation of the given
 * shape. Its index; or -1, and then spi_fail_add tells why. */
int spi_add_node(sp_graph_builder *b, sp_node_type type, const sp_layer *l, int in, int in1,
                 sp_activation out);

/* A new parameter NODE.suffix. Its index, or -1 as above. */
int spi_add_param(sp_graph_builder *b, int node, sp_role role, const char *suffix, int n_dims,
                  const int64_t *shape);

sp_status spi_fail_add(sp_graph_builder *b);

/* Layers one behind the other; *act is the activation that they read, and then the one that they give. */
sp_status spi_build_layers(sp_graph_builder *b, const sp_layer *layers, size_t n, int *act);

#endif
