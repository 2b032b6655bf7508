/* NIR, the Neuromorphic Intermediate Representation (version 1.0): graphs of nodes such as Conv2d and LIF, in
 * HDF5 files that other frameworks write and read. docs/INTERCHANGE.md says what becomes of each node. */
#ifndef SP_NIR_NIR_H
#define SP_NIR_NIR_H

#include "base/mem.h"
#include "config/safetensors.h"
#include "graph/graph.h"

enum { SP_NIR_MOST_DIMS = 5, SP_NIR_MOST_NODES = 10000 };

/* Seconds of a time step where nobody says it: what snnTorch and SpikingJelly write. */
#define SP_NIR_DT 1e-4

/* A parameter of a node: a text, or an array of numbers (without dimensions: one). */
typedef struct sp_nir_value {
    char *key; /* "weight", "metadata.dt" */
    char *text;
    double *x;
    int64_t n, shape[SP_NIR_MOST_DIMS];
    int n_dims;
    bool whole; /* written as int64, else as float32 (without dimensions: float64) */
} sp_nir_value;

typedef struct sp_nir_node {
    char *name, *type; /* of an inner graph's: "outer.inner" */
    sp_nir_value *values;
    size_t n;
} sp_nir_node;

/* From one node to another; an inner graph's ends are its Input and Output nodes. */
typedef struct sp_nir_edge {
    size_t from, to;
} sp_nir_edge;

typedef struct sp_nir {
    char *path; /* for messages */
    sp_nir_node *nodes;
    size_t n;
    sp_nir_edge *edges;
    size_t n_edges;
    double dt; /* seconds; of the graph's metadata, 0: not said */
} sp_nir;

void sp_nir_free(sp_nir *g);
/* Building; NULL or false when memory is out. */
sp_nir_node *sp_nir_add(sp_nir *g, const char *name, const char *type);
sp_nir_value *sp_nir_add_value(sp_nir_node *node, const char *key, int n_dims, const int64_t *shape,
                               bool whole);
bool sp_nir_add_text(sp_nir_node *node, const char *key, const char *text);
bool sp_nir_add_edge(sp_nir *g, size_t from, size_t to);
const sp_nir_value *sp_nir_find(const sp_nir_node *node, const char *key); /* NULL: none */

/* SP_E_DATA for damage and for what is no NIR graph; SP_E_CONFIG where HDF5 was not built in. */
sp_status sp_nir_read(const char *path, sp_nir *out, sp_error *err);
sp_status spi_nir_without_hdf5(const char *path, sp_error *err); /* inside nir/ */
sp_status sp_nir_write(const char *path, const sp_nir *g, sp_error *err);

/* What a node did, as NIR data have it (nir.read_data): of each sample and time step, in PyTorch's order of
 * neurons (channel, row, column). */
typedef struct sp_nir_observable {
    const char *node, *key; /* "2", "spikes" */
    const int32_t *x;       /* [samples][time steps][h][w][c]; or one of the two below */
    int64_t h, w, c;
    bool spikes;          /* x is written as bool, else as int32 */
    const float *real;    /* [samples][time steps][c][h][w], written as float32 */
    const uint8_t *fired; /* the same of 0 and 1, written as bool */
} sp_nir_observable;
typedef struct sp_nir_observables {
    sp_nir_observable *items; /* those of a node follow each other */
    size_t n;
    int64_t samples, time_steps;
    double dt;
} sp_nir_observables;
sp_status sp_nir_write_data(const char *path, const sp_nir_observables *all, sp_error *err);

/* What becomes of a node. */
typedef enum { SP_NIR_FAITHFUL, SP_NIR_APPROXIMATE, SP_NIR_UNSUPPORTED } sp_nir_verdict;
extern const char *const sp_nir_verdict_names[];
typedef struct sp_nir_note {
    char *node, *what; /* "3", "LIF" */
    sp_nir_verdict verdict;
    char *why;   /* or what was made of it */
    char *layer; /* the layer of the network; NULL none */
} sp_nir_note;
typedef struct sp_nir_notes {
    sp_nir_note *items;
    size_t n;
} sp_nir_notes;
void sp_nir_notes_free(sp_nir_notes *l);
/* SP_E_CONFIG for UNSUPPORTED, with the node and the reason; else SP_OK, or SP_E_MEMORY. */
sp_status sp_nir_note_add(sp_nir_notes *l, const char *node, const char *what, sp_nir_verdict verdict,
                          const char *layer, sp_error *err, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

/* A network and its weights from a graph. */
typedef enum { SP_NIR_RESET_SAID, SP_NIR_RESET_HARD, SP_NIR_RESET_SOFT } sp_nir_reset;
typedef struct sp_nir_import_options {
    double dt;          /* seconds; 0: what the graph says, else 1e-4 */
    sp_nir_reset reset; /* SAID: what metadata say, else hard, as NIR defines it */
} sp_nir_import_options;
typedef struct sp_nir_network {
    sp_text layers;     /* YAML, a list */
    sp_tensor *tensors; /* sorted by name; names, and data as float32, are owned */
    size_t n_tensors;
    int64_t channels, height, width; /* of the input */
    double dt;
    sp_nir_notes notes;
} sp_nir_network;
sp_status sp_nir_import(const sp_nir *g, const sp_nir_import_options *o, sp_nir_network *out, sp_error *err);
void sp_nir_network_free(sp_nir_network *n);

/* A graph from a network: params[i] are the values of g->params[i] in file layout. Batch norms with running
 * statistics, standardised weights and scales are folded into weights. */
sp_status sp_nir_export(const sp_graph *g, const float *const *params, double dt, sp_nir *out,
                        sp_nir_notes *notes, sp_error *err);

#endif
