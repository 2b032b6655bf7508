/* Inside plan/: what the schedule builders share. */
#ifndef SP_PLAN_BUILDER_H
#define SP_PLAN_BUILDER_H

#include "plan/plan.h"

struct sp_emit;
enum { BN_MEAN, BN_RSTD, BN_SCALE, BN_SHIFT, BN_VALUES };

/* Values that belong to a node or an activation while segments are built. */
typedef struct sp_builder {
    sp_plan *p;
    const sp_graph *g;
    sp_error *err;
    int segment; /* steps go here */
    bool training;
    bool temporal;        /* BPTT: the gradient goes through v */
    bool traces;          /* OTTT */
    int *act;             /* by activation: value, -1 not computed (or fused away) */
    int *gradient;        /* by activation: value of its gradient, -1 none */
    bool *recomputed;     /* by activation: has been computed again in the backward segment */
    int *u;               /* by node: membrane potential */
    int *carry;           /* by node: dL/dv between time steps (BPTT) */
    int *aux;             /* by node: second state of a neuron model */
    int *carry_aux;       /* by node: dL/daux between time steps (BPTT) */
    int *spikes;          /* by node: spikes of a recurrent neuron, kept for the next time step */
    int *g_spikes;        /* by node: gradient of those, from the next time step (BPTT) */
    int *trace;           /* by node: presynaptic trace (OTTT) */
    double *trace_decay;  /* by node: 1 - 1/tau of the neuron before it */
    int *mask;            /* by node: dropout mask */
    int (*bn)[BN_VALUES]; /* by node */
    int *bn_sums; /* by node: its sums, where the neuron behind it has made them in the backward pass; -1 */
    int *bn_half; /* by node: its input as half for the backward pass, -1 where that reads the input itself */
    int *w_hat;   /* by node: standardised weight [w_hat, mean, rstd] x 3 */
    int *g_w_hat; /* by node */
    int *w_gain;  /* by node: its gain, times the factor of its input where that has one */
    int *stage;   /* by activation */
    int *td_x, *td_gamma; /* by node: norm over all time steps: its input, its weight times the threshold */
    int g_logits;
} sp_builder;

/* Values. `name` is copied. */
sp_status spi_value_new(sp_builder *b, const char *name, int64_t elems, sp_store store, int *out);
sp_status spi_value_fixed(sp_builder *b, const char *name, uint64_t at_elems, int64_t elems, int *out);
sp_status spi_param_value(sp_builder *b, int param, bool gradient, int *out);

/* With half storage: from here on `value`, an operand of the step, is half, and the step is told by its flag.
 * Nothing happens where the op has no such flag. */
void spi_store_half(struct sp_emit *e, const char *flag, int value);
/* A copy of a float32 activation as half, made in the current segment. */
sp_status spi_pack_half(sp_builder *b, int node, int act, int *out);
/* Which activations BPTT computes again in its backward pass instead of keeping them (recompute.c), and doing
 * so there. */
sp_status spi_recompute_begin(sp_builder *b);
bool spi_is_recomputed(const sp_builder *b, int act);
sp_status spi_recompute(sp_builder *b, int act);

/* Steps: make a call, bind operands by name, then emit (chooses and builds the kernel). */
typedef struct sp_emit {
    sp_builder *b;
    sp_step step;
} sp_emit;
sp_emit spi_step(sp_builder *b, int node, const char *op);
void spi_int(sp_emit *e, const char *name, int64_t v);
void spi_float(sp_emit *e, const char *name, double v);
void spi_flag(sp_emit *e, const char *name, int v);
void spi_bind(sp_emit *e, const char *buffer, int value);
void spi_bind_at(sp_emit *e, const char *buffer, int value, int dt, uint64_t at_elems);
sp_status spi_bind_param(sp_emit *e, const char *buffer, int param, bool gradient);
int64_t spi_rows(const sp_builder *b, const sp_activation *a); /* N*H*W */
sp_status spi_emit(sp_emit *e);
/* Chooses and builds ahead of spi_emit, which must follow with the same call unless the op is to be lowered.
 */
sp_status spi_choose(sp_builder *b, sp_step *step, bool *lowers);

sp_status spi_forward(sp_builder *b); /* all nodes but the static ones, in the current segment */
sp_status spi_forward_node(sp_builder *b, int node);
bool spi_node_is_static(const sp_builder *b, int node);
double spi_neuron_decay(const sp_neuron *n);
/* The op of a neuron layer ("neuron.forward", or its _ext for models with more than u), and what only _ext
 * takes: call it after the common settings. u has its own number of slots where the step before has to
 * outlive the forward pass. */
bool spi_neuron_is_extended(const sp_builder *b, int node);
int spi_neuron_slots(const sp_builder *b, int node);
sp_status spi_neuron_extend(sp_emit *e, int node, bool backward);

/* Recurrent layers (recurrent.c). */
sp_status spi_recurrent_begin(sp_builder *b);
sp_status spi_recurrent_spikes(sp_builder *b, int neuron,
                               int *out); /* value that a recurrent neuron fires into */
sp_status spi_recurrent_forward(sp_builder *b, int node);
sp_status spi_recurrent_backward(sp_builder *b, int node, int g);
sp_status spi_recurrent_gradient(sp_builder *b, int neuron,
                                 int *g); /* adds what comes from the next time step */
/* OTTT: the trace of a layer's input takes its place in the weight gradient. */
sp_status spi_trace(sp_builder *b, int node, int64_t rows, int64_t cols, const sp_operand *x, bool bits,
                    int *out);

void spi_neuron_settings(sp_emit *e, const sp_neuron *n);
/* The value of a spiking activation as float32, in the current segment. */
sp_status spi_unpack(sp_builder *b, int node, int act, int *out);
void spi_pool_ints(sp_emit *e, const sp_builder *b, const sp_node *n);
sp_status spi_backward(sp_builder *b); /* all nodes, backward, from b->g_logits */

/* Adds `value` to the gradient of an activation (the first contribution is taken as it is). */
sp_status spi_add_gradient(sp_builder *b, int node, int act, int value);

/* Stages (stages.c). Segments and stages of the graph; segments of a stage; moments of all of them, written
 * to `to`. */
sp_status spi_stages_begin(sp_builder *b);
int spi_forward_segment(int stage);
int spi_backward_segment(int stage);
int spi_stage_timeline(const sp_plan *p, sp_moment *to);
int64_t spi_joined_rows(const sp_builder *b, int node); /* of a batch norm: of one time step, or of all */
/* Norm over all time steps: its input is kept for all of them, and what follows runs between stages. */
sp_status spi_td_forward(sp_builder *b, int node, int *x, int *gamma);
sp_status spi_td_backward(sp_builder *b, int node, int g);

/* Parameters that the network multiplies by a constant: the product, and its gradient (a row) added to that
 * of the parameter. */
sp_status spi_scaled(sp_builder *b, int node, const char *what, int from, int64_t rows, int64_t cols,
                     double factor, sp_store store, int *out);
sp_status spi_add_scaled_gradient(sp_builder *b, int node, int param, int g_scaled, double factor);

/* Convolution and linear layers, direct or lowered to gemm. */
sp_status spi_weights_forward(sp_builder *b, int node);
sp_status spi_weights_backward(sp_builder *b, int node);

sp_status spi_memory_plan(sp_plan *p, sp_error *err);

#endif
