/* clang-format off */
/* Inside plan/: what the passes share. A plan is made in passes, each of which leaves plain data to the next:
 *   emit     graph and method become steps and tensors (schedule.c and the files it calls); needs no device
 *   rewrite  steps are fused, convolutions are lowered, where the device has kernels for that (fuse.c,
 *            potentials.c, rewrite.c)
 *   select   every step gets a variant and the reason (kernels.c)
 *   place    every tensor gets its place in the arena (memplan.c); needs no device
 *   build    kernels are compiled (kernels.c); a step whose variant cannot be built goes back to select
 */
/* clang-format on */
#ifndef SP_PLAN_BUILDER_H
#define SP_PLAN_BUILDER_H

#include "plan/plan.h"

struct sp_emit;
enum { NORM_MEAN, NORM_RSTD, NORM_SCALE, NORM_SHIFT, NORM_TENSORS };
enum { NORM_FOLD_SCALE, NORM_FOLD_SHIFT, NORM_SUM_MEAN, NORM_SUM_M2, NORM_ONLINE };
enum { RATE_F, RATE_E, RATE_COUNT, RATE_TENSORS };
enum { STABLE_TH, STABLE_RATIO, STABLE_G_TH, STABLE_TENSORS };

/* Tensors of a node while segments are emitted; -1 where there are none. */
typedef struct sp_node_tensors {
    int u;                   /* membrane potential */
    int aux;                 /* second state of a neuron model */
    int adjoint_v;           /* dL/dv between time steps (BPTT) */
    int adjoint_aux;         /* dL/daux between time steps (BPTT) */
    int spikes;              /* of a recurrent neuron, kept for the next time step */
    int g_spikes;            /* gradient of those, from the next time step (BPTT) */
    int trace;               /* presynaptic trace; of a layer with weights (OTTT), of a neuron (NDOT) */
    int trace_kept;          /* with traces_ahead: what the backward pass reads */
    int mask;                /* of dropout */
    int y, decay, adjoint_y; /* of a synapse: output; learnt decay; dL/dy between steps (BPTT) */
    int past, g_past;        /* of a delay: inputs of time steps before; gradients from those behind (BPTT) */
    int norm[NORM_TENSORS];  /* of a batch norm */
    int norm_half; /* its input as half for the backward pass, -1 where that reads the input itself */
    int online[NORM_ONLINE];    /* of a batch norm by running statistics */
    int stable[STABLE_TENSORS]; /* of a threshold that follows the potentials */
    int td_x, td_gamma;         /* norm over all time steps: its input, its weight times the threshold */
    int w_hat[3];       /* standardised weight, mean, 1/std; or the quantised weight, its largest number */
    int g_w_hat;        /* gradient of the standardised weight */
    int e_sum;          /* error signals summed over time steps, behind a static input */
    int w_gain;         /* its gain, times the scale folded into its input where there is one */
    double trace_decay; /* 1 - 1/tau of the neuron before it */
    int rate[RATE_TENSORS], rate_norm[NORM_TENSORS]; /* of a block of time steps (rate) */
    int count, target_norm; /* of a layer with a loss of its own (LTL): its spikes so far, see local.c */
} sp_node_tensors;

typedef struct sp_act_tensors {
    int tensor;   /* -1 not computed (or fused away) */
    int gradient; /* -1 none */
    int mean;     /* over a block of time steps (rate), -1 none */
    int trace;    /* NDOT: what the traces of neurons become on the way to it, -1 not computed */
    int stage;
    bool needs_gradient; /* some parameter lies before it that an error from here may reach */
    bool recomputed;     /* has been computed again in the backward segment */
    bool kept_for_norm, read_by_td, can_recompute; /* see recompute.c */
} sp_act_tensors;

typedef struct sp_builder {
    sp_plan *p;
    const sp_graph *g;
    sp_error *err;
    int segment; /* steps go here */
    bool training;
    bool temporal;     /* BPTT: the gradient goes through v */
    bool history;      /* all steps of a block run forward before the first runs backward */
    bool traces;       /* OTTT, NDOT */
    bool local;        /* LTL: each layer of neurons has a loss of its own, and no error crosses it */
    bool dots;         /* NDOT: each neuron has its own trace, which its readers share */
    bool traces_ahead; /* OTTT, NDOT, external_loss: traces are made in the forward pass, because the backward
                          pass goes from the last time step to the first, or may be left out */
    bool rates;        /* rate: in the backward pass activations are means over a block, as float32 */
    sp_node_tensors *node;
    sp_act_tensors *act;
    int g_logits;
} sp_builder;

/* That all sizes of the plan can be counted, and that batch norms get more than one value (limits.c). */
sp_status spi_check_limits(const sp_plan *p, sp_error *err);
/* That neurons, surrogates, method and loss go together (settings.c). */
sp_status spi_check_settings(const sp_plan *p, sp_error *err);

/* The range of parameters is 64-element aligned. */
static inline int64_t spi_padded_elems(int64_t n)
{
    return (n + SP_GRADIENT_SUMS - 1) / SP_GRADIENT_SUMS * SP_GRADIENT_SUMS;
}

/* Tensors. `name` is copied. */
sp_status spi_tensor_new(sp_builder *b, const char *name, int64_t elems, sp_lifetime lifetime, int *out);
/* Named after a node: "NODE what". */
sp_status spi_node_tensor(sp_builder *b, int node, const char *what, int64_t elems, sp_lifetime lifetime,
                          int *out);
sp_status spi_tensor_fixed(sp_builder *b, const char *name, uint64_t at_elems, int64_t elems, int *out);
sp_status spi_param_tensor(sp_builder *b, int param, bool gradient, int *out);

/* With half storage: from here on `tensor`, an operand of the step, is half, and the step is told by its
 * flag. Nothing happens where the op has no such flag. */
void spi_store_half(struct sp_emit *e, const char *flag, int tensor);
/* A copy of a float32 activation as half, made in the current segment. */
sp_status spi_pack_half(sp_builder *b, int node, int act, int *out);
/* Which activations BPTT computes again in its backward pass instead of keeping them (recompute.c), and doing
 * so there. */
sp_status spi_recompute_begin(sp_builder *b);
bool spi_is_recomputed(const sp_builder *b, int act);
sp_status spi_recompute(sp_builder *b, int act);

/* Steps: make a call, bind operands by name, then emit. */
typedef struct sp_emit {
    sp_builder *b;
    sp_step step;
} sp_emit;
sp_emit spi_step(sp_builder *b, int node, const char *op);
void spi_int(sp_emit *e, const char *name, int64_t v);
void spi_float(sp_emit *e, const char *name, double v);
void spi_flag(sp_emit *e, const char *name, int v);
void spi_bind(sp_emit *e, const char *buffer, int tensor);
void spi_bind_at(sp_emit *e, const char *buffer, int tensor, int dt, uint64_t at_elems);
sp_status spi_bind_param(sp_emit *e, const char *buffer, int param, bool gradient);
int64_t spi_rows(const sp_builder *b, const sp_activation *a); /* N*H*W */
sp_emit spi_step_of(sp_builder *b, int node, const sp_op_call *call);
sp_status spi_emit(sp_emit *e);
sp_status spi_append(sp_builder *b, sp_segment *segment,
                     const sp_step *step); /* the segment owns its launch */
sp_status spi_insert_first(sp_builder *b, sp_segment *g, const sp_step *step);
void spi_remove_step(sp_segment *g, int i);
static inline sp_operand whole(int tensor)
{
    return (sp_operand){.tensor = tensor};
}
/* Clears a tensor; the label is "clear WHAT". */
sp_status spi_clear(sp_builder *b, int node, const char *what, int tensor);
sp_status spi_clear_at(sp_builder *b, int node, const char *what, int tensor, int dt);
/* The sums that show whether all gradients are finite; clipping, optimizer and average (update.c). */
sp_status spi_sum_gradients(sp_builder *b);
sp_status spi_update(sp_builder *b);
/* c = a b, or added to c. */
sp_status spi_gemm(sp_builder *b, int node, const sp_op_call *call, sp_operand m1, sp_operand m2,
                   sp_operand c);

sp_status spi_forward(sp_builder *b); /* all nodes but the static ones, in the current segment */
sp_status spi_forward_node(sp_builder *b, int node);
sp_status spi_new_output(sp_builder *b, const sp_node *n, int *out); /* the tensor of a node's output */
bool spi_node_is_static(const sp_builder *b, int node);
/* Whether scale and shift of a batch norm are computed once a mini-batch, in front of its time steps: they
 * follow from the running statistics (evaluation), or from an input that does not change. */
bool spi_norm_is_static(const sp_builder *b, int node);
sp_status spi_norm_statistics(sp_builder *b, int node);
double spi_neuron_decay(const sp_neuron *n);
double spi_leak_before(const sp_graph *g, int act); /* of the neuron nearest before an activation; 0: none */
/* The op of a neuron layer ("neuron.forward", or its _ext for models with more than u), and what only _ext
 * takes: call it after the common settings. u has its own number of slots where the step before has to
 * outlive the forward pass. */
bool spi_neuron_is_extended(const sp_builder *b, int node);
int spi_neuron_slots(const sp_builder *b, int node);
sp_status spi_neuron_extend(sp_emit *e, int node, bool backward);

/* All steps of a network of integers (integer.c). */
sp_status spi_integer_emit(sp_builder *b);

/* Recurrent layers (recurrent.c). */
sp_status spi_recurrent_begin(sp_builder *b);
sp_status spi_recurrent_spikes(sp_builder *b, int neuron,
                               int *out); /* tensor that a recurrent neuron fires into */
sp_status spi_recurrent_forward(sp_builder *b, int node);
sp_status spi_recurrent_backward(sp_builder *b, int node, int g);
sp_status spi_recurrent_gradient(sp_builder *b, int neuron,
                                 int *g); /* adds what comes from the next time step */
/* OTTT: the trace of a layer's input takes its place in the weight gradient. With traces_ahead it is made in
 * the forward pass (spi_keep_trace), and with history there is one for each time step. */
sp_status spi_trace(sp_builder *b, int node, int64_t rows, int64_t cols, const sp_operand *x, bool bits,
                    int *out);
sp_status spi_keep_trace(sp_builder *b, int node, int64_t rows, int64_t cols, const sp_operand *x, bool bits);
/* NDOT (traces.c): the trace of an activation, in the current segment; what has none is refused by name. */
sp_status spi_trace_value(sp_builder *b, int act, int *out);
sp_status spi_check_traces(const sp_plan *p, sp_error *err);
/* Whether the gradient of an activation is wanted. */
bool spi_needs_gradient(const sp_builder *b, int act);

#define SPI_NEVER_REACHED 1e30 /* threshold of a layer whose output is its membrane potential */
void spi_neuron_settings(sp_emit *e, const sp_neuron *n);
/* The tensor of a spiking activation as float32, in the current segment. */
sp_status spi_unpack(sp_builder *b, int node, int act, int *out);
sp_status spi_draw_mask(sp_builder *b, int node); /* of a dropout layer */
/* Delays (delay.c): no past before the first time step; forward; backward, where dL/dy comes with g. */
sp_status spi_delay_begin(sp_builder *b);
sp_status spi_delay_forward(sp_builder *b, int node);
sp_status spi_delay_backward(sp_builder *b, int node, int g, int g_x);
sp_status spi_check_delays(const sp_plan *p, sp_error *err);
/* Synapses (synapse.c): the decay where it is learnt, after every change of the parameters; forward;
 * backward, where g becomes the gradient of the input. */
sp_status spi_synapse_decay(sp_builder *b, int node);
sp_status spi_synapse_forward(sp_builder *b, int node);
sp_status spi_synapse_backward(sp_builder *b, int node, int *g);
sp_status spi_check_synapses(const sp_plan *p, sp_error *err);
int64_t spi_layer_norm_ints(sp_emit *e, const sp_node *n); /* returns the number of groups */
void spi_activation_settings(sp_emit *e, const sp_node *n);
void spi_joined_ints(sp_emit *e, const sp_node *n); /* of a concatenation */
void spi_pool_ints(sp_emit *e, const sp_builder *b, const sp_node *n);
sp_status spi_backward(sp_builder *b); /* all nodes, backward, from b->g_logits */

/* Adds `tensor` to the gradient of an activation (the first contribution is taken as it is). */
sp_status spi_add_gradient(sp_builder *b, int node, int act, int tensor);

/* Rates (rates.c): what a forward step adds up of a node and of the input; then the backward pass begins,
 * values are asked for, and neurons are gone back through. */
sp_status spi_rate_bind(sp_emit *e, int node); /* the settings and operands of a neuron's step for that */
sp_status spi_rate_accumulate(sp_builder *b, int node);
sp_status spi_rate_input(sp_builder *b);
void spi_rate_begin(sp_builder *b);
sp_status spi_rate_value(sp_builder *b, int act);
sp_status spi_rate_prepare(sp_builder *b, int node);
sp_status spi_rate_neuron(sp_builder *b, int node, int g);
static inline bool spi_is_bits(const sp_builder *b, int act)
{
    return b->g->acts[act].bits && !b->rates;
}
/* Online batch norm (online.c): scale and shift of running statistics, before the first time step; the
 * statistics of a step added up; the backward pass; what ends a mini-batch. */
bool spi_norm_is_online(const sp_builder *b, int node);
sp_status spi_online_begin(sp_builder *b);
sp_status spi_online_step(sp_builder *b, int node);
sp_status spi_online_backward_begin(sp_builder *b, int node, sp_emit *e);
sp_status spi_online_backward_end(sp_builder *b, int node, const sp_emit *e);
sp_status spi_online_end(sp_builder *b);
/* Thresholds that follow the potentials (stabilise.c): what they are before a mini-batch; a neuron's step
 * `e`, which charges it, with the threshold and the spikes that follow; the threshold of the step before
 * (forward), or of this step. */
bool spi_is_stabilised(const sp_builder *b, int node);
sp_status spi_stabilise_begin(sp_builder *b);
sp_status spi_stabilise_fire(sp_emit *e, int node, int spikes);
void spi_stabilise_bind(sp_emit *e, int node, bool backward);
sp_status spi_check_stabilised(const sp_plan *p, sp_error *err);
/* Adds the gradient of the loss on potentials to that of a neuron's input, which is a new tensor then
 * (penalty.c). */
sp_status spi_penalise(sp_builder *b, int node, int *g_x);
sp_status spi_check_penalty(const sp_plan *p, sp_error *err);
/* Losses of layers (local.c): which activations an error reaches; quantiles of the targets, once a
 * mini-batch; the spikes so far, in the forward pass; the layer's error, in place of one from above. */
bool spi_is_local(const sp_builder *b, int node);
void spi_find_gradients(sp_builder *b); /* of every method */
sp_status spi_local_begin(sp_builder *b);
sp_status spi_local_count(sp_builder *b, int node);
sp_status spi_local_error(sp_builder *b, int node);
sp_status spi_check_local(const sp_plan *p, sp_error *err);
sp_status spi_batch_norm_apply(sp_builder *b, int node); /* scale and shift of a norm, as a step of its own */
void spi_neuron_backward_settings(sp_emit *e, int node);

/* Stages (stages.c). Segments and stages of the graph; segments of a stage; the timeline of all of them,
 * written to `to`. */
sp_status spi_stages_begin(sp_builder *b);
int spi_forward_segment(int stage);
int spi_backward_segment(int stage);
int spi_stage_timeline(const sp_plan *p, sp_timeline_entry *to);
int64_t spi_norm_rows(const sp_builder *b, int node); /* of a batch norm: of one time step, or of all */
/* Norm over all time steps: its input is kept for all of them, and what follows runs between stages. */
sp_status spi_td_forward(sp_builder *b, int node, int *x, int *gamma);
sp_status spi_td_backward(sp_builder *b, int node, int g);

/* Parameters that the network multiplies by a constant: the product, and its gradient (a row) added to that
 * of the parameter. */
sp_status spi_scaled(sp_builder *b, int node, const char *what, int from, int64_t rows, int64_t cols,
                     double factor, sp_lifetime lifetime, int *out);
sp_status spi_add_scaled_gradient(sp_builder *b, int node, int param, int g_scaled, double factor);

/* Convolution and linear layers, direct or lowered to gemm. */
sp_status spi_quantise_weights(sp_builder *b, int node);
sp_status spi_weights_forward(sp_builder *b, int node);
sp_status spi_weights_backward(sp_builder *b, int node);
sp_status spi_sum_errors_begin(sp_builder *b,
                               int node); /* of layers whose input does not change: nothing for others */
sp_status spi_sum_errors_end(sp_builder *b, int node); /* once behind all time steps */

/* Whether precision.compute lets a kernel round the factors of this call to bf16. */
bool spi_may_round(const sp_plan *p, const sp_op_call *c);

/* Steps that others take the place of: whether a step's op is of a family ("batch_norm.backward"); whether it
 * reads or writes a tensor; what it has bound to a buffer; what it has in common with another one by name
 * (settings, flags, operands). */
bool spi_is_op(const sp_step *s, const char *family);
bool spi_uses(const sp_step *s, int tensor);
sp_operand spi_operand(const sp_step *s, const char *buffer);
void spi_take_settings(sp_step *to, const sp_step *from);

/* Passes. */
sp_status spi_emit_plan(sp_builder *b); /* asks no device */
sp_status spi_fuse(sp_builder *b);
sp_status spi_forget_potentials(sp_builder *b); /* behind spi_fuse (potentials.c) */
sp_status spi_sync_norms(sp_builder *b);
sp_status spi_lower(sp_builder *b);
sp_status spi_choose(sp_plan *p, sp_step *step,
                     sp_error *err); /* nothing where a variant is chosen already */
sp_status spi_select(sp_plan *p, sp_error *err);
/* With the option `early`: sp_plan_attach before kernels are built, and the device touches the memory. */
sp_status spi_attach_early(sp_plan *p, sp_error *err);
void spi_detach(sp_plan *p);
/* Workspaces of the kernels that were chosen, as far as they are known before these are built. */
sp_status spi_add_workspaces(sp_builder *b);
sp_status spi_place(sp_plan *p, sp_error *err);
/* What tensors of a segment alone take together, without workspaces that are not known yet. */
sp_status spi_working_bytes(sp_plan *p, int segment, uint64_t *bytes, sp_error *err);
/* Whether each tensor fits one buffer of the device: what selecting kernels would take long to find. */
sp_status spi_check_pieces(sp_plan *p, sp_error *err); /* again where tensors were added since */
/* *changed: a step is to be lowered after all, or a kernel needs a workspace: select and place again. */
sp_status spi_build(sp_builder *b, bool *changed);

/* A piece of memory that is used from step `first` to `last`. */
typedef struct sp_block {
    uint64_t at, bytes;
    int first, last, id;
} sp_block;
/* Gives each block a place at or after `from` so that blocks that are used at the same time do not meet and
 * none crosses a multiple of `slab`; returns the end of the last. Puts the blocks in the order of their
 * places. */
uint64_t spi_place_blocks(sp_block *blocks, int n, uint64_t from, uint64_t slab);

#endif
