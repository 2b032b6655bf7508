/* Inside nir/: what the import keeps while it walks along a graph. */
#ifndef SP_NIR_WALK_H
#define SP_NIR_WALK_H

#include "nir/nir.h"

/* What flows along an edge: [c][h][w], or a vector of c numbers. */
typedef struct spi_nir_shape {
    int64_t c, h, w;
    bool vector;   /* c numbers without a place */
    bool flat;     /* behind a flatten layer: c*h*w numbers */
    bool spikes;   /* of a neuron, with no layer behind it yet */
    bool membrane; /* potentials of neurons that never fire: nothing can follow */
    size_t
        weights; /* of the layer just before, which nothing else reads: its first tensor, from 1; 0: none */
} spi_nir_shape;

/* A parameter of the neurons: a number of each, or one of all (x is NULL). */
typedef struct spi_nir_each {
    const double *x;
    double one;
} spi_nir_each;

typedef struct spi_nir_walk {
    const sp_nir *g;
    const sp_nir_import_options *o;
    sp_nir_network *out;
    sp_error *err;
    double dt;
    const sp_nir_node *node;   /* now */
    const sp_nir_node *around; /* a dense matrix from its spikes back to its input; NULL none */
    spi_nir_shape at;
    const char *prefix; /* of names in this list: "", "2.branch." */
    int indent, index;  /* of the next layer */
} spi_nir_walk;

/* The layer of walk->node, behind those before it. */
sp_status spi_nir_take(spi_nir_walk *w);
/* A line "- {type: ...}" of the list; the layer gets the next number. */
void spi_nir_layer(spi_nir_walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for a tensor of the layer that was added last. NULL: no memory. */
float *spi_nir_tensor(spi_nir_walk *w, const char *suffix, int n_dims, const int64_t *shape);
/* Whether nothing but Flatten and Output nodes follow the node. */
bool spi_nir_is_last(const spi_nir_walk *w);
/* The node has become this layer, or part of it. */
sp_status spi_nir_note(spi_nir_walk *w, sp_nir_verdict verdict, const char *why);
sp_status spi_nir_memory(spi_nir_walk *w);
/* Parameters of the node: numbers that must be there; the one number that all elements are (`otherwise` where
 * there are none, unless that is NAN); into a tensor of the layer. */
sp_status spi_nir_need(spi_nir_walk *w, const char *key, const sp_nir_value **out);
sp_status spi_nir_uniform(spi_nir_walk *w, const char *key, double otherwise, double *out);
sp_status spi_nir_copy(spi_nir_walk *w, const char *key, const sp_nir_value *v, const char *suffix,
                       int n_dims, const int64_t *shape);
/* A parameter that may differ from neuron to neuron, and its number of a neuron (import_each.c). */
sp_status spi_nir_numbers(spi_nir_walk *w, const char *key, double otherwise, spi_nir_each *out);
double spi_nir_of(const spi_nir_each *e, int64_t neuron);
/* x of the neurons, which must be equal within a channel, as numbers of the channels. */
sp_status spi_nir_by_channel(spi_nir_walk *w, const char *what, const double *x, double *out);
/* What flows is multiplied by a factor of each channel. */
sp_status spi_nir_scale_channels(spi_nir_walk *w, const double *by);
sp_status spi_nir_neuron(spi_nir_walk *w);
sp_status spi_nir_membrane(spi_nir_walk *w); /* I, LI, CubaLI */
sp_status spi_nir_refuse(spi_nir_walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
