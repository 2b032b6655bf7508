/* Networks: the list of layers as a person writes it, and the graph with all shapes known. */
#ifndef SP_GRAPH_NETWORK_H
#define SP_GRAPH_NETWORK_H

#include "config/fields.h"

/* A neuron of any model is SP_LAYER_LIF: `type: plif` is short for `type: lif, model: plif`. */
typedef enum {
    SP_LAYER_CONV,
    SP_LAYER_WS_CONV,
    SP_LAYER_LINEAR,
    SP_LAYER_BATCH_NORM,
    SP_LAYER_LIF,
    SP_LAYER_AVG_POOL,
    SP_LAYER_MAX_POOL,
    SP_LAYER_ADAPTIVE_AVG_POOL,
    SP_LAYER_FLATTEN,
    SP_LAYER_SCALE,
    SP_LAYER_DROPOUT,
    SP_LAYER_RESIDUAL,
    SP_LAYER_TD_BATCH_NORM,
    SP_LAYER_ADD,
    SP_LAYER_CONCAT,
    SP_LAYER_LAYER_NORM,
    SP_LAYER_RMS_NORM,
    SP_LAYER_CONV1D,
    SP_LAYER_RELU,
    SP_LAYER_QCFS,
    SP_LAYER_DELAY,
    SP_LAYER_SYNAPSE
} sp_layer_type;

/* How weights and biases start. fan_in_uniform is PyTorch's default U(-1/sqrt(fan_in), 1/sqrt(fan_in)). */
typedef enum { SP_INIT_FAN_IN_UNIFORM, SP_INIT_FAN_OUT_NORMAL, SP_INIT_ZEROS, SP_INIT_NORMAL_0_01 } sp_init;

/* A neuron's settings; the recipe gives defaults, a `lif` layer may override each. */
typedef struct sp_neuron {
    char model[48]; /* fragment name: "lif", "if", "plif", "cuba_lif", "alif", or a plugin's */
    double tau, v_th, v_reset;
    double v_sub;  /* what a soft reset subtracts; NAN: v_th */
    double v_init; /* potential before the first time step: model if with the soft reset */
    bool hard_reset, detach_reset, decay_input; /* decay_input: x scaled by 1/tau */
    char surrogate[48];
    double width; /* NAN: the surrogate's default */
    double aux_tau,
        aux_gain;     /* of a second state: tau_syn of cuba_lif, tau_a and beta of alif; NAN: not given */
    bool learn_v_th;  /* the layer's threshold is a parameter, which starts at v_th */
    bool stabilise;   /* its threshold follows mean and deviation of its potentials over time steps */
    bool per_channel; /* what is learnt are numbers of the channels, not of the layer */
    bool learn;       /* the layer has a learnable scalar w (plif, and plugins' models that `uses: learn`) */
    uint64_t given;   /* bits of the rows of sp_neuron_fields that were written here, in the recipe or the
                         layer; the others of a layer follow the recipe */
    bool recurrent;   /* its spikes of the time step before go through a dense matrix into its input */
    bool membrane;    /* it never fires, and its membrane potential is its output: the last layer only */
} sp_neuron;

enum { SP_LAYER_NAME_BYTES = 96 };
typedef struct sp_layer {
    sp_layer_type type;
    char name[SP_LAYER_NAME_BYTES];  /* position path: "0", "2.branch.0" */
    char label[SP_FIELD_NAME_BYTES]; /* what others may call its output by; "" none */
    int line, column;
    uint64_t given;  /* bits of the rows of its table; for lif, see neuron.given */
    int64_t in, out; /* conv, linear: 0 means inferred for `in` */
    int64_t kernel[2], stride[2], padding[2], dilation[2]; /* y, x */
    int64_t groups;                                        /* conv */
    int64_t channels;                                      /* batch_norm; 0 inferred */
    bool each_place;   /* layer_norm, rms_norm: moments of a pixel's channels */
    int64_t output[2]; /* adaptive pool */
    bool bias;
    sp_init weight_init, bias_init;
    double eps, momentum;       /* batch norms; eps of ws_conv */
    double factor;              /* scale */
    double p;                   /* dropout */
    bool by_channel, each_step; /* dropout: one draw for all places of a channel; a mask for each time step */
    int64_t levels;             /* qcfs */
    int64_t steps;              /* delay */
    sp_neuron neuron; /* lif; v_th also of td_batch_norm and qcfs; of synapse its tau and what it learns */
    /* residual: y = branch(pre(x)) [* skip_gain] * alpha + (shortcut(p), else p, or x where identity_input)
     */
    struct sp_layer *pre, *branch, *shortcut;
    size_t n_pre, n_branch, n_shortcut;
    bool has_shortcut, identity_input, skip_gain;
    char (
        *from)[SP_LAYER_NAME_BYTES]; /* add, concat: labels or names of layers before this one, or "input" */
    size_t n_from;
    double alpha; /* also of td_batch_norm, whose threshold is neuron.v_th */
} sp_layer;

typedef struct sp_network {
    sp_layer *layers;
    size_t n;
    char *file; /* where the layers stand, for messages; owned; NULL after sp_network_parse */
} sp_network;

enum { SP_LAYER_MOST = 1 << 24 }; /* channels and features */

/* Defaults of a neuron: lif, tau 1.1, v_th 1, soft reset, triangle, width NAN, as the SLTT paper's. */
sp_neuron sp_neuron_default(void);
double sp_neuron_offset(const sp_neuron *n); /* of its potentials on the device: docs/NUMERICS.md, "Neuron" */
extern const sp_fields sp_neuron_fields;
uint64_t sp_neuron_bit(const char *key); /* its bit in `given` */
/* Reads the keys of a "neuron" section over *n. */
sp_status sp_neuron_read(const sp_yaml *map, sp_neuron *n, sp_error *err);
/* Those of a layer; `what` names it in messages. */
sp_status sp_neuron_read_layer(const sp_yaml *map, const char *what, sp_neuron *n, sp_error *err);
void sp_neuron_print_layer(const sp_neuron *n, sp_text *out);
void sp_neuron_set_model(sp_neuron *n, const char *model);

/* Parses `layers` (a YAML list, the format of the reference cases) into a tree. neuron: defaults for `lif`
 * layers. */
sp_status sp_network_parse(const sp_yaml *layers, const sp_neuron *neuron, sp_network *out, sp_error *err);
void sp_network_free(sp_network *net);

/* What a recipe has under "network", and what a network file holds: the name of a file, a list of layers, or
 * a map with either and with changes to it. */
typedef struct sp_network_options {
    const char *file;
    double width, dropout;     /* NAN: as the file says */
    int64_t classes, channels; /* 0: as the file says */
    uint64_t given;
} sp_network_options;
extern const sp_fields sp_network_fields; /* of the map */
/* A file's name is relative to the file of its own node, or to `beside` where it came with --set. */
sp_status sp_network_read(const sp_yaml *value, const char *beside, const sp_neuron *neuron, sp_network *out,
                          sp_error *err);
/* A network of recipes/networks by its name, or a file by its path, with neurons as they are by default. */
sp_status sp_network_load(const sp_network_options *o, sp_network *out, sp_error *err);
/* The network written out again as YAML with every default but those of the recipe's neurons, indented by
 * `indent` spaces. */
void sp_network_print(const sp_network *net, int indent, sp_text *out);
#endif
