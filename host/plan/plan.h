/* Plan: a graph and a schedule made into steps with chosen kernels and places in memory.
 *
 * Steps lie in segments; a timeline says which segment runs at which time step. Within a segment a tensor is
 * written once (states excepted). The executor walks the timeline and knows nothing of schedules. */
#ifndef SP_PLAN_PLAN_H
#define SP_PLAN_PLAN_H

#include "base/mem.h"
#include "graph/graph.h"
#include "registry/launch.h"
#include "registry/package.h"

typedef enum {
    SP_METHOD_SLTT,
    SP_METHOD_SLTT_K,
    SP_METHOD_BPTT,
    SP_METHOD_OTTT,
    SP_METHOD_RATE,
    SP_METHOD_NDOT,
    SP_METHOD_LTL,
    SP_METHOD_EVAL
} sp_method;
/* What the loss is of: the output of each time step, the mean of all of them, or their sum. */
typedef enum { SP_LOSS_OF_STEP, SP_LOSS_OF_MEAN, SP_LOSS_OF_COUNT } sp_loss_of;
/* With a class for each sample, or with a row of numbers, one for each output: any, or 0 and 1. */
typedef enum { SP_LOSS_CROSS_ENTROPY, SP_LOSS_MSE, SP_LOSS_BCE } sp_loss;
typedef enum { SP_OPTIMIZER_SGD, SP_OPTIMIZER_ADAMW, SP_OPTIMIZER_ADAM } sp_optimizer;
/* Weights of all layers but the first and the last that are 1 or -1 and are turned by the momentum of their
 * gradients: where it is above a bar, or above one that follows the gradients of each time step. */
typedef enum { SP_BINARY_NONE, SP_BINARY_BSO, SP_BINARY_T_BSO } sp_binary;
const char *sp_method_name(sp_method m); /* "sltt", "sltt-k", "bptt", "ottt", "rate", "ndot", "ltl", "eval" */

/* Products whose float32 factors may be rounded to bf16: those of the two gradients of convolutions and
 * linear layers, or those of the forward pass too. */
typedef enum { SP_BF16_NONE, SP_BF16_GRADIENTS, SP_BF16_ALL } sp_bf16;

/* What a plan is made for. */
typedef struct sp_plan_options {
    sp_method method;
    int64_t batch, time_steps;
    bool sequence;      /* an input per time step, else the same one at every step */
    bool online_update; /* SLTT, OTTT, NDOT: an optimizer step at every time step, else one a mini-batch */
    double recompute;   /* BPTT: inputs of batch norms are computed again in the backward pass, not kept for
                           every step, so that this share of what they all take is saved; 0 none, 1 all */
    int64_t block;      /* RATE: time steps before a backward pass on their rates; 0: all */
    int64_t truncate;   /* BPTT: no gradient through v from a block of so many steps to the one before; 0: one
                           block. external_loss: 1 (sp_plan_steps_apart) or 0 */
    const struct sp_integer *integer; /* the forward pass of a network of integers in place of the graph's;
                                         NULL. It outlives the plan */
    bool channel_scales; /* quantised weights have a power of two for each output channel; the last layer one
                            for all, as its outputs are compared */
    int weight_bits;  /* weights of conv and linear layers are rounded to so many bits, in units of a power of
                         two; 0: they are not. Gradients go straight through the rounding */
    bool online_norm; /* batch norms normalise training too by their running statistics, which follow once a
                         mini-batch; not BPTT */
    bool sync_norm;   /* batch norms see the samples of all shards: sp_exec_run_part stops where they meet */
    sp_bf16 bf16;     /* which products may be of factors that are rounded, where a kernel does that */
    bool half;        /* potentials, and inputs of batch norms that are kept, are stored as half */
    sp_loss loss;
    sp_loss_of loss_of;
    double w_ce, w_mse, mse_target; /* these and the smoothing are of SP_LOSS_CROSS_ENTROPY */
    bool mse_one_hot;
    double w_membrane;       /* of a loss on membrane potentials beside the one above; 0: none */
    struct sp_plan *teacher; /* LTL: the attached plan, with keep_outputs, that runs before each mini-batch,
                                on the same input. NULL: the caller writes layer_targets */
    bool keep_outputs;       /* evaluation of a network of relu or qcfs: what they give stays until the next
                                mini-batch (layer_targets) */
    double label_smoothing;
    const float
        *class_weights; /* page-aligned, one for each class; NULL: all 1. Stays until the plan is destroyed */
    int64_t n_class_weights;
    uint64_t seed; /* dropout */
    sp_optimizer optimizer;
    double momentum, weight_decay, beta1, beta2, eps;
    sp_binary binary;
    double flip_bar, flip_beta1, flip_beta2; /* of those weights */
    double clip_norm, clip_value;            /* of the gradients before a step; 0: not clipped */
    double ema;          /* decay of the running average of the weights; 0: none is kept */
    bool external_loss;  /* all time steps, or each of them, run forward, then backward from gradients
                            of the outputs that the caller gives (sp_exec_forward, sp_exec_backward);
                            no loss and no optimizer here */
    bool input_gradient; /* with external_loss: the gradient of the input too */
    bool count_spikes;
    bool step_spikes; /* also by time step: sp_exec_step_spikes */
    bool unlimited;   /* as if the device had any amount of memory: to look at, not to attach */
    bool unbuilt; /* kernels are chosen and not built: to look at; the device may be a description alone */
    bool keep_potentials; /* of every neuron, so that they can be looked at (potentials.c) */
    bool early;    /* attached, where the device's memory is the host's, before its kernels are built */
    bool from_end; /* the last kernels are chosen and built first: check/helper.h */
} sp_plan_options;

/* Device memory that plans of one model share: parameters, running statistics, and for training gradients and
 * optimizer state; the running average of the parameters, which evaluation plans read where there is one. */
typedef struct sp_model {
    const sp_graph *graph;
    sp_device *dev;
    cl_mem mem;
    uint64_t bytes;
    uint64_t g_at, m_at, v_at, bars_at, e_at,
        buffers_at;           /* element offsets of the ranges in mem; weights are at 0 */
    bool second_moments, ema; /* whether there is a range at v_at, at e_at */
    bool binary;              /* weights that sp_param_is_binary are packed: a bit each (sp_param_pack) */
    int64_t bars;             /* of each of these: sp_model_bars */
    uint64_t *starts;         /* where the weights of each parameter, or a running statistic, begin in mem */
    uint64_t weight_elems;    /* of all weights, padding included */
    float *staging;           /* a parameter on its way; NULL: none was moved yet */
} sp_model;

/* Whether a parameter is a weight of a hidden layer, which `binary` makes 1 or -1. */
bool sp_param_is_binary(const sp_graph *g, const sp_param *p);
/* The optimizer and the average of `o` decide what is kept. Without a device (NULL) there is the layout and
 * no memory. */
sp_status sp_model_create(const sp_graph *g, sp_device *dev, const sp_plan_options *o, sp_model **out,
                          sp_error *err);
void sp_model_destroy(sp_model **m);
typedef enum {
    SP_RANGE_WEIGHTS,
    SP_RANGE_GRADIENTS,
    SP_RANGE_MOMENT1,
    SP_RANGE_MOMENT2,
    SP_RANGE_BARS, /* of sp_model_bars */
    SP_RANGE_EMA
} sp_model_range;
bool sp_model_keeps_gradients(const sp_model *m); /* not where it was made for evaluation */
bool sp_model_is_packed(const sp_model *m, const sp_param *p);
/* T-BSO: what the bars of a packed weight follow, a number for each time step with an update, as a parameter
 * that is none of the graph; no elems where there are none. */
sp_param sp_model_bars(const sp_model *m, const sp_param *p);
/* 4-byte elements that the weights of a parameter take, and where in mem what is kept of it begins. */
int64_t sp_model_weight_elems(const sp_model *m, const sp_param *p);
uint64_t sp_model_at(const sp_model *m, const sp_param *p, sp_model_range range);
/* One parameter (file layout, host) to and from the device; running statistics use SP_RANGE_WEIGHTS. Weights
 * that are written are also where their average starts; of packed ones the signs are kept. Blocking. */
sp_status sp_model_write(sp_model *m, const sp_param *p, sp_model_range range, const float *file,
                         sp_error *err);
sp_status sp_model_read(sp_model *m, const sp_param *p, sp_model_range range, float *file, sp_error *err);
/* Of n parameters from *p on, files[i] that of p[i]; NULL: left out. A CPU waits once for all of them. */
sp_status sp_model_write_several(sp_model *m, const sp_param *p, int n, sp_model_range range,
                                 const float *const *files, sp_error *err);
sp_status sp_model_read_several(sp_model *m, const sp_param *p, int n, sp_model_range range,
                                float *const *files, sp_error *err);

typedef enum {
    SP_LIFETIME_MODEL,   /* in the model's memory */
    SP_LIFETIME_SEGMENT, /* from its first to its last step in one segment */
    SP_LIFETIME_PLAN,    /* as long as the plan */
    SP_LIFETIME_TEACHER, /* in the memory of the teacher's plan */
    SP_LIFETIME_HISTORY  /* as long as the plan, with one slot for every time step of a block (BPTT) */
} sp_lifetime;

typedef struct sp_plan_tensor {
    char name[64];
    uint64_t bytes; /* of one slot */
    bool half;      /* its elements are binary16: half as many bytes as float32 */
    sp_lifetime lifetime;
    uint64_t fixed_at; /* MODEL: element offset in the model's memory. TEACHER: a tensor of that plan */
    int used_in;       /* segments; 2 stands for more */
    bool untimed;      /* used in a segment that runs at no or at some time steps only */
    bool contiguous;   /* HISTORY: slots lie side by side, to be read as one tensor with a row for each time
                          step */
    int segment, first, last; /* SEGMENT: steps of its segment */
    int shares;               /* SEGMENT: tensor whose memory this one takes over, -1 none */
    int slots;                /* time steps kept side by side, where that is not what its lifetime says; 0 */
    uint64_t *at;             /* byte offset in the arena, by slot (sp_plan_slots) */
} sp_plan_tensor;

typedef struct sp_operand {
    int tensor;        /* -1: absent */
    int dt;            /* HISTORY: 0 this time step, -1 the one before */
    uint64_t at_elems; /* added offset */
} sp_operand;

/* What the next step waits for. With sync_norm, results of this step have to be made those of all shards:
 * mean and deviation of a batch norm, or the sums of its backward pass. Where sp_plan_steps_apart, the caller
 * has to read the outputs of the time step and to give their gradient. */
typedef enum { SP_SYNC_NONE, SP_SYNC_STATISTICS, SP_SYNC_SUMS, SP_SYNC_OUTPUTS } sp_sync;

typedef struct sp_step {
    sp_op_call call;
    sp_operand operands[SP_OP_MAX_BUFFERS];
    int work; /* tensor of the workspace, -1 none */
    int node; /* graph node, -1 none */
    sp_sync sync;
    int sums;                   /* SP_SYNC_SUMS: tensor, [2][C] */
    char label[184];            /* "2.branch.0 conv.forward" */
    sp_variant *variant;        /* NULL: none chosen */
    const sp_variant *lowering; /* that made the step out of a convolution; NULL: none */
    char why[128];
    sp_launch *launch; /* NULL: not built */
} sp_step;

enum {
    SP_SEGMENT_BEGIN,
    SP_SEGMENT_FORWARD,
    SP_SEGMENT_FULL,
    SP_SEGMENT_BACKWARD,
    SP_SEGMENT_END,
    SP_SEGMENT_UPDATE,
    SP_SEGMENTS
}; /* those of later stages follow, see stages.c */

typedef struct sp_segment {
    char name[32];
    bool timed; /* runs at every time step, forward or backward of BPTT */
    sp_step *steps;
    int n;
} sp_segment;

typedef enum { SP_ALWAYS, SP_IF_BACKPROP, SP_IF_NOT_BACKPROP } sp_condition;
typedef struct sp_timeline_entry {
    int segment, t;         /* t is -1 outside of time */
    sp_condition condition; /* of the mini-batch's backprop[t] */
} sp_timeline_entry;

enum { SP_PLAN_ALIGN = 256 };   /* bytes: tensors begin at multiples of it */
enum { SP_GRADIENT_SUMS = 64 }; /* divides the parameters' range, which is 64-element aligned */

/* What `recompute` comes to, for the history of a block of time steps. */
typedef struct sp_recompute_stats {
    int n, kept;                            /* inputs of batch norms: computed again, and all of them */
    uint64_t bytes, most_bytes, kept_bytes; /* saved; what could be saved; what they all take */
    double operations;                      /* more, a mini-batch; a multiply-add counts 2 */
} sp_recompute_stats;

/* What a tensor holds from the start on; owned by whoever the plan is of. */
typedef struct sp_plan_constant {
    int tensor;
    const void *data;
} sp_plan_constant;

typedef struct sp_plan {
    const sp_graph *graph;
    sp_model *model;
    sp_device *dev; /* NULL: made without one */
    sp_registry *reg;
    sp_plan_options o;
    sp_plan_tensor *tensors;
    int n_tensors;
    sp_segment *segments;
    int n_segments, n_stages;
    sp_timeline_entry *timeline; /* up to and with END; UPDATE is run apart */
    int n_timeline;
    int input, labels, loss, logits_sum, correct; /* tensors the executor fills or reads */
    int class_weights, targets;                   /* the same; -1 none */
    sp_plan_constant *constants;                  /* of a network of integers */
    int n_constants;
    int step_logits, g_step_logits, g_input; /* with external_loss, a slot for each time step; else -1 */
    int n_forward; /* entries of the timeline before the first that goes backward (external_loss, not where
                      sp_plan_steps_apart) */
    int gradient_sums; /* SP_GRADIENT_SUMS numbers that are finite when all gradients are; -1 in evaluation */
    int *spike_counts; /* by node: tensor of its 64 counters, -1 */
    int *layer_targets; /* by node: LTL: tensor of what the layer is to fire like, before it is divided by its
                           quantile; keep_outputs: of what an activation gives; -1 */
    int step_spikes;    /* 64 counters for every neuron layer, a slot for each time step; -1 */
    int n_neuron_layers;
    bool *recomputed; /* by activation: computed again in the backward pass */
    sp_recompute_stats recompute;
    uint64_t state_bytes, arena_bytes; /* arena_bytes: with the largest segment's locals */
    uint64_t slab_bytes;               /* no tensor crosses a multiple of this */
    cl_mem *slabs;                     /* attached memory, see sp_plan_attach */
    int n_slabs;
    bool owns_slabs;
    uint64_t attached_bytes; /* arena_bytes when it was attached */
} sp_plan;

/* Whether the i-th forced choice of the registry has made the step what it is: it is one of its kernels, or
 * its lowering. */
bool sp_step_is_forced(const sp_registry *reg, size_t i, const sp_step *s);

/* Makes steps, chooses and builds kernels, lays out memory. Refuses what does not fit the device. A model
 * without a device gives a plan to look at: no kernels are chosen, and the memory is that of tensors alone.
 * [setup] */
sp_status sp_plan_create(const sp_graph *g, sp_model *m, sp_registry *reg, const sp_plan_options *o,
                         sp_plan **out, sp_error *err);
void sp_plan_destroy(sp_plan **p);

/* Allocates the arena. `share` (may be NULL): an attached plan whose memory is taken when it is large enough.
 */
sp_status sp_plan_attach(sp_plan *p, sp_plan *share, sp_error *err);

/* The width of the surrogates of all neurons that fire; NAN where they have several or none. Another one for
 * all of them, which holds from the next run on. */
double sp_plan_width(const sp_plan *p);
sp_status sp_plan_set_width(sp_plan *p, double width, sp_error *err);
/* Whether, with external_loss, each time step runs forward and then backward in one segment, as in SLTT, and
 * stops between the two (SP_SYNC_OUTPUTS). Memory is then that of one time step, shared between layers. */
bool sp_plan_steps_apart(const sp_plan *p);
/* Time steps that run forward before the gradients of all of them are computed. */
int64_t sp_plan_block(const sp_plan *p);
/* Places that a tensor has: HISTORY sp_plan_block, else 1, or its own number. Step t lies in place t modulo
 * that. */
int64_t sp_plan_slots(const sp_plan *p, const sp_plan_tensor *v);
/* The first byte of a tensor in the arena. */
uint64_t sp_plan_at(const sp_plan *p, int tensor, int t);
sp_range sp_plan_range(const sp_plan *p, const sp_operand *o, int t);
sp_range sp_plan_tensor_range(const sp_plan *p, int tensor, int t);
/* Reads a tensor to the host; an error names it. Blocking. */
sp_status sp_plan_read(const sp_plan *p, int tensor, int t, void *to, uint64_t bytes, sp_error *err);

/* Bytes that tensors stored as half save in the arena's states and histories, and in what lives in one
 * segment. */
typedef struct sp_half_stats {
    int tensors;
    uint64_t bytes; /* they take, all slots together; as float32 it would be twice as many */
} sp_half_stats;
sp_half_stats sp_plan_half(const sp_plan *p);
/* Convolutions and matrix products that precision.compute lets compute in bf16, by the multiply-adds of a
 * mini-batch. */
typedef struct sp_bf16_stats {
    int steps, bf16; /* steps of the plan; of these, with a kernel that computes in bf16 */
    double share;    /* of the multiply-adds, 0 to 1 */
} sp_bf16_stats;
sp_bf16_stats sp_plan_bf16(const sp_plan *p);
/* "products in bf16: ..." as a line; nothing where the plan does not allow it or no kernel was chosen. */
void sp_plan_print_bf16(const sp_plan *p, sp_text *out);
/* Bytes of all parameters on the device, and how many weights take a bit each. */
uint64_t sp_plan_weight_bytes(const sp_plan *p, uint64_t *binary);
/* Hash of what the kernels of a plan depend on: ops, shapes, flags, variants, in order. Two plans with the
 * same one can be run with the same programs. */
uint64_t sp_plan_digest(const sp_plan *p);
/* How often a segment runs in a mini-batch; at most, where time steps are drawn. */
int sp_plan_runs(const sp_plan *p, int segment);

void sp_plan_print(const sp_plan *p, bool steps, sp_text *out); /* segments, variants with reasons, arena */
/* JSON Lines objects are written by the command line from the same structures. */

#endif
