/* Recipes: everything a training run depends on, read from YAML, every default written out on request. */
#ifndef SP_TRAIN_RECIPE_H
#define SP_TRAIN_RECIPE_H

#include "base/mem.h"
#include "config/yaml.h"
#include "data/dataset.h"
#include "graph/network.h"
#include "plan/plan.h"

enum { SP_RECIPE_BASES = 8, SP_COMPARED_MOST = 6 };

/* A method whose gradient is compared with another's. k is about sltt-k: so many steps, 0 those that the run
 * draws. */
typedef struct sp_compared {
    sp_method method;
    int64_t k;
    sp_bf16 bf16; /* its products, whatever the recipe says */
} sp_compared;
/* "sltt", "sltt-k:2", "sltt-k", "ottt", "ndot", "rate", "bptt"; with "-bf16-gradients" or "-bf16" behind
 * it in bf16 */
bool sp_compared_parse(const char *text, sp_compared *out);
void sp_compared_name(const sp_compared *c, char *out, size_t out_size);

typedef struct sp_recipe {
    sp_yaml_doc doc;                    /* keeps the strings alive */
    sp_yaml_doc bases[SP_RECIPE_BASES]; /* what `base` names, nearest first; their nodes are in doc */
    size_t n_bases;
    const char *name;
    struct {
        const char *name, *path;
        double mean, std; /* of all channels, unless there is one for each: */
        double means[SP_MEANS], stds[SP_MEANS];
        int n_means, n_stds;
        sp_augment augment;      /* of the training split */
        int64_t size, resize;    /* 0: the set's own */
        int64_t threads;         /* that read; 0: the loader's choice */
        sp_event_options events; /* event sets */
        sp_array_options arrays;
        double split; /* share of each class that trains, where a set is not divided; 0: 0.9 */
        int64_t split_seed;
        bool balanced;      /* as many training samples of every class in an epoch */
        const char *prefix; /* idx */
        bool transpose;
        int64_t first_label;
        int encoding; /* sp_encoding: still images as spike trains */
        int64_t train_limit, test_limit;
        int64_t classes;                                /* synthetic, idx; 0: the files tell */
        int64_t channels, height, width, count, frames; /* synthetic */
        bool noise;                                     /* synthetic: without patterns of classes */
    } data;
    sp_neuron neuron;
    sp_network network; /* parsed; moved into the graph by sp_session */
    char *network_text; /* the network as YAML with every default, for checkpoints */
    sp_method method;
    int64_t time_steps, backprop_steps; /* K of sltt-k */
    bool adaptive;                      /* sltt-k: K follows from the spikes, see adaptive.h */
    double spike_share;
    int64_t min_steps, max_steps;
    bool online_update; /* sltt, ottt, ndot: an optimizer step at every time step */
    int64_t shards;     /* that a mini-batch is cut into; 0: one for each replica (replicas.h) */
    bool online_norm;   /* batch norms train by their running statistics */
    double width_step;  /* by which the surrogates' width moves before an epoch; 0: fixed */
    int64_t width_probes;
    bool sync_norm;   /* batch norms take their statistics over all shards */
    int64_t truncate; /* bptt: steps of a block, 0 all */
    int64_t warm_up;  /* ltl: time steps before the first that has a backward pass */
    int64_t block;    /* rate: steps of a block */
    double recompute; /* BPTT: share of the kept inputs of batch norms that is computed again instead; true is
                         1 */
    int64_t weight_bits;               /* 0: weights are float32 */
    bool channel_scales;               /* of quantised weights: one for each output channel */
    int64_t membrane_bits, input_bits; /* of the integer network that follows from quantised weights */
    sp_bf16 bf16;                      /* which products may be of factors that are rounded to bf16 */
    bool half; /* activations kept for the backward pass, and potentials, are stored as half */
    sp_loss loss;
    sp_loss_of loss_of;
    double w_mse, mse_target, w_membrane;
    bool mse_one_hot;
    double label_smoothing;
    float *class_weights; /* NULL: all 1 */
    int64_t n_class_weights;
    sp_optimizer optimizer;
    double lr, momentum, weight_decay, beta1, beta2, eps;
    sp_binary binary;
    double flip_bar, flip_beta1, flip_beta2; /* of binary weights */
    double clip_norm, clip_value;            /* 0: not clipped */
    double ema;                              /* decay of the running average of the weights; 0: none */
    int lr_schedule;                         /* SP_LR_COSINE and so on */
    int64_t lr_period, lr_step;              /* cosine: epochs of the half wave; step: epochs between drops */
    double lr_gamma, lr_min;
    bool lr_per_batch;   /* cosine: every mini-batch, else every epoch as the paper's scripts */
    int64_t lr_patience; /* plateau */
    double lr_threshold; /* plateau */
    double lr_pct_start, lr_div, lr_final_div; /* one_cycle */
    double warmup, warmup_from;                /* epochs; factor of the rate at the start */
    int measure;                               /* SP_MEASURE_...: what the best epoch is judged by */
    int64_t patience;                          /* early stopping: epochs; 0 never */
    double min_delta;
    int64_t batch, eval_batch, epochs, seed;
    int64_t checkpoint_every; /* mini-batches; 0: only at the end of an epoch */
    int64_t log_every;        /* mini-batches between metric lines */
    struct {
        int64_t every;       /* mini-batches between measurements of the gradients' similarity; 0 never */
        sp_method reference; /* bptt or sltt */
        sp_compared methods[SP_COMPARED_MOST];
        int n_methods;
        bool given; /* methods: else they follow schedule.method */
    } monitor;
    const char *teacher;      /* ltl: checkpoint or folder of a run whose network gives the targets */
    const char *init_from;    /* checkpoint that training starts from, NULL: from the seed */
    const char *init_map;     /* names of its tensors, see name_map.h; NULL: the network's */
    bool init_strict;         /* missing and extra tensors are errors */
    const char *plugins_path; /* folders of plugins, as written: relative to the current folder */
    char **plugins;           /* "op=variant" */
    size_t n_plugins;
    struct { /* by section: a bit for each key that was written, so that only those are stored where the
                default follows another key */
        uint64_t root, data, events, arrays, schedule, precision, monitor, loss, optimizer, lr_schedule,
            early_stopping;
    } given;
} sp_recipe;

enum { SP_LR_CONSTANT, SP_LR_COSINE, SP_LR_STEP, SP_LR_PLATEAU, SP_LR_ONE_CYCLE };
enum { SP_MEASURE_TEST_ACCURACY, SP_MEASURE_TEST_LOSS, SP_MEASURE_ACCURACY, SP_MEASURE_LOSS };

/* Whether a file is a network alone, which sp_recipe_load takes where sets say the data. */
bool sp_recipe_is_network(const char *path);
/* Loads a recipe, applies `sets` ("a.b=c"), checks every key and value. */
sp_status sp_recipe_load(const char *path, const char *const *sets, size_t n_sets, sp_recipe *out,
                         sp_error *err);
sp_status sp_recipe_parse(const char *name, const char *text, size_t n, const char *const *sets,
                          size_t n_sets, sp_recipe *out, sp_error *err);
void sp_recipe_free(sp_recipe *r);
/* Every key with its type, default and meaning, as Markdown: docs/RECIPE.md. */
void sp_recipe_document(sp_text *out);
/* The whole recipe as YAML that parses back to the same run (network inline). */
void sp_recipe_print(const sp_recipe *r, sp_text *out);
/* The shards of a mini-batch; 1 where neither the recipe nor the number of replicas says more. */
static inline int64_t sp_recipe_shards(const sp_recipe *r)
{
    return r->shards > 0 ? r->shards : 1;
}
#endif
