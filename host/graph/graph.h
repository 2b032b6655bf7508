/* Graph: the network with every shape and parameter known. Immutable once built. Residual layers are
 * flattened into nodes; `flatten` makes no node: memory is N,H,W,C already, and the linear layer's weight is
 * permuted when loaded. */
#ifndef SP_GRAPH_GRAPH_H
#define SP_GRAPH_GRAPH_H

#include "graph/network.h"

typedef enum {
    SP_NODE_CONV,
    SP_NODE_LINEAR,
    SP_NODE_BATCH_NORM,
    SP_NODE_NEURON,
    SP_NODE_POOL_AVG,
    SP_NODE_POOL_MAX,
    SP_NODE_POOL_ADAPTIVE,
    SP_NODE_SCALE,
    SP_NODE_DROPOUT,
    SP_NODE_RESIDUAL, /* and sums of an `add` layer, two at a time */
    SP_NODE_CONCAT,
    SP_NODE_LAYER_NORM, /* and rms_norm, which has no beta */
    SP_NODE_ACTIVATION, /* relu and qcfs, whose threshold is a parameter */
    SP_NODE_DELAY,      /* y = x of `steps` time steps before */
    SP_NODE_SYNAPSE,    /* y = x + decay y[t-1] */
    SP_NODE_RECURRENT   /* y = x + W s[t-1], s of the neuron that is the next node */
} sp_node_type;

/* One activation, per sample: [h][w][c]. */
typedef struct sp_activation {
    int64_t h, w, c;
    bool bits;     /* spikes */
    double factor; /* what is stored times this is the activation: 1, or that of the scales folded into it */
    bool flat;     /* a flatten layer lies between here and the last spatial layer */
    bool needs_gradient; /* some parameter lies before it */
    int producer;        /* node, -1 for the input */
    int n_consumers;
} sp_activation;

typedef enum {
    SP_ROLE_WEIGHT,
    SP_ROLE_BIAS,
    SP_ROLE_GAIN,
    SP_ROLE_GAMMA,
    SP_ROLE_BETA,
    SP_ROLE_SKIP_GAIN,
    SP_ROLE_RUNNING_MEAN,
    SP_ROLE_RUNNING_VAR,
    SP_ROLE_THRESHOLD,
    SP_ROLE_NEURON /* w of a neuron model: 1/tau = sigmoid(w) at the start */
} sp_role;

/* A parameter or a running statistic. File layout is PyTorch's; the device's is KH,KW,C,O for weights. */
typedef struct sp_param {
    char name[112]; /* "2.branch.0.weight", as PyTorch would name it */
    sp_role role;
    int node;
    int n_dims;
    int64_t shape[4];     /* in files */
    int64_t o, c, kh, kw; /* weights: permutation between [o][c][kh][kw] and [kh][kw][c][o]; c of one group */
    int64_t elems;
    int64_t at; /* first element in the device range of its kind; 64-element aligned */
    bool trainable;
} sp_param;

typedef struct sp_node {
    sp_node_type type;
    const sp_layer *layer;
    char name[112];
    int in[2]; /* activations; residual: branch, identity; concat: in their order; else in[1] is -1 */
    int out;
    int weight, bias, gain, gamma, beta, skip_gain, running_mean, running_var, w,
        threshold;     /* params, -1 where there are none */
    bool standardized; /* ws_conv */
    bool td;           /* batch norm over all time steps (td_batch_norm) */
    bool fused;        /* batch norm whose only consumer is a neuron: applied inside it */
    bool scale_folded; /* a scale that is folded into the gain of standardised weights: nothing is computed */
    double alpha;      /* residual */
} sp_node;
bool sp_node_fires(const sp_node *n); /* a layer of neurons with spikes */

typedef struct sp_graph {
    sp_network network; /* owned */
    sp_activation *acts;
    int n_acts;
    sp_node *nodes;
    int n_nodes;
    sp_param *params;
    int n_params;
    int logits; /* activation */
    int64_t classes;
    int64_t param_elems;  /* trainable range, padding included */
    int64_t buffer_elems; /* running statistics */
    int64_t n_trainable;  /* parameters as people count them */
} sp_graph;

/* Takes the network over (also on failure). Shapes that do not fit are SP_E_CONFIG at the layer's line. */
sp_status sp_graph_create(sp_network *net, const char *file, int64_t channels, int64_t height, int64_t width,
                          sp_graph **out, sp_error *err);
void sp_graph_destroy(sp_graph **g);

bool sp_graph_is_last_weight(const sp_graph *g, int node); /* no layer of weights follows */
int64_t sp_act_elems(const sp_activation *a);              /* h*w*c */
int64_t sp_graph_macs(const sp_graph *g, int node);        /* multiply-accumulates per sample and time step */
int64_t sp_graph_neurons(const sp_graph *g);               /* per sample */
const sp_param *sp_graph_param(const sp_graph *g, const char *name);

/* Between file layout and device layout; n elements = p->elems. */
void sp_param_to_device(const sp_param *p, const float *file, float *device);
void sp_param_to_file(const sp_param *p, const float *device, float *file);
/* Weights of one bit: the signs of a file's numbers, and 1 and -1. On the device bits are set for 1, as
 * op_table.inc says. */
int64_t sp_param_words(const sp_param *p);
void sp_param_pack(const sp_param *p, const float *file, uint32_t *words);
void sp_param_unpack(const sp_param *p, const uint32_t *words, float *file);
/* Starting values (file layout) from the seed: PyTorch's defaults unless the layer says otherwise. */
void sp_param_initialise(const sp_graph *g, const sp_param *p, uint64_t seed, float *file);

struct sp_text;
/* Layers, shapes, parameters, MACs, neurons: a table. */
void sp_graph_print(const sp_graph *g, struct sp_text *out);

#endif
