/* Session: a recipe on a device, ready to run. Graph, model, training plan and evaluation plan share one
 * device memory. */
#ifndef SP_TRAIN_SESSION_H
#define SP_TRAIN_SESSION_H

#include "data/dataset.h"
#include "data/loader.h"
#include "exec/executor.h"
#include "train/ranks.h"
#include "train/recipe.h"

typedef struct sp_session_options {
    const char *device; /* selector, NULL auto */
    sp_device_options device_options;
    sp_device *opened;        /* the caller's, used instead of opening one; NULL: none */
    const char *plugins_path; /* added before the recipe's and SPIKEPORT_PLUGIN_PATH */
    const char *const *force; /* "op=variant" */
    size_t n_force;
    const char
        *programs; /* folder of spikeport compile: kernels come from its binaries alone; NULL: from sources */
    struct sp_package *recorder; /* notes what the plans choose, for spikeport compile; NULL none */
    size_t eval_samples;         /* of the test data: no mini-batch of them is larger; 0: not known */
    bool sharded;         /* the training plan is for a shard (schedule.shards): sp_train_step runs it */
    bool no_wisdom;       /* kernels by score, whatever was measured */
    bool no_train;        /* evaluation only */
    bool own_loss;        /* though the session trains nothing, the caller may: the model has gradients */
    bool unchecked;       /* kernels are not compared with the references before they are chosen */
    bool unlimited;       /* plans for any amount of device memory; they cannot be run */
    bool no_device;       /* plans without a device, to look at: dev is NULL, no kernels are chosen */
    bool teaches;         /* the evaluation plan gives the targets of layers: train/teacher.h */
    bool keep_potentials; /* in training too, for a look at them */
    bool helper;          /* a second process may compile kernels beside this one: check/helper.h */
} sp_session_options;

typedef struct sp_session {
    sp_recipe recipe;     /* owned */
    sp_dataset_info data; /* shapes only */
    sp_device *dev;       /* NULL with no_device */
    bool borrows_dev;     /* it is the caller's */
    bool has_helper;
    sp_registry *reg;
    sp_graph *graph;
    sp_model *model;
    sp_plan *train, *eval;            /* train NULL with no_train */
    struct sp_session *teacher;       /* ltl: train/teacher.h; else NULL */
    uint64_t teacher_hash;            /* of its weights */
    struct sp_starting *starting;     /* parameters that are being written: train/starting.h; else NULL */
    struct sp_similarity *similarity; /* monitor.gradient_similarity: train/similarity.h; else NULL */
    int64_t eval_batch;               /* the recipe's, or the test samples where they are fewer */
    uint64_t planned_bytes;           /* device memory of everything */
    double *step_mass;                /* [T] adaptive SLTT-K: state of adaptive.h; else NULL */
    uint64_t *step_spikes;            /* [T][neuron layers], scratch */
    uint32_t *step_counters;
} sp_session;

/* Takes the recipe over (also on failure). data: channels, height, width, frames, classes of a sample.
 * Parameters start from the recipe's seed. [setup] */
sp_status sp_session_open(sp_recipe *recipe, const sp_dataset_info *data, const sp_session_options *o,
                          sp_session **out, sp_error *err);
void sp_session_close(sp_session **s);

/* Sets the registry up for programs compiled ahead of time (o->programs), recording (o->recorder), or kernels
 * from source with the trust check. */
sp_status sp_session_programs(sp_registry *reg, const sp_device *dev, const sp_session_options *o,
                              sp_error *err);

/* Opens a split of the recipe's data set. */
sp_status sp_session_dataset(const sp_recipe *r, bool train, sp_dataset **out, sp_error *err);

/* What its readers are asked for: the training or the test split. */
sp_dataset_options sp_session_dataset_options(const sp_recipe *r, bool train);
/* How the recipe wants mini-batches: for training shuffled and balanced, else in order. */
sp_loader_options sp_session_loader_options(const sp_recipe *r, bool train);

/* The shape of a sample without the files, where the data set's name tells it. */
bool sp_session_known_shape(const sp_recipe *r, sp_dataset_info *out);

/* What a plan of this session is made for; eval: another batch size, no training. */
sp_plan_options sp_session_plan_options(const sp_session *s, bool eval);

/* K of T steps for a mini-batch, every set of them equally likely: a pure function of (seed, iteration).
 * mask[T]. */
void sp_session_draw_steps(const sp_recipe *r, int64_t iteration, int64_t k, uint8_t *mask);
/* As the recipe's method says: all of them, or SLTT-K's draw where K is fixed. */
void sp_session_draw(const sp_recipe *r, int64_t iteration, uint8_t *mask);

/* The time steps that the next mini-batch backpropagates; returns how many. mask[T]. [hot] */
int64_t sp_session_choose(sp_session *s, int64_t iteration, uint8_t *mask);
/* After a mini-batch has run: what the choice for the next ones follows from, spikes [T][neuron layers].
 * [hot]
 */
void sp_session_learn(sp_session *s, const uint64_t *step_spikes);

/* The class of the largest output; as op metrics.correct chooses: the first of equal ones, NaN never. -1: all
 * NaN. */
int64_t sp_largest(const float *outputs, int64_t n);

/* Of one output against its targets: sums over samples, and the counts of a label that a sample has where the
 * output, a logit, is above 0. */
typedef struct sp_output_score {
    double squared, absolute;
    uint64_t hits, false_alarms, misses, rest;
} sp_output_score;

typedef struct sp_scores {
    double loss, accuracy; /* means over samples; accuracy with targets: of those whose labels are all right,
                              NAN with loss.name: mse */
    double squared,
        absolute; /* with targets: mean errors of the network's answer, over samples and outputs */
    int64_t samples;
    double seconds;
    double *spike_rate;  /* by graph node, spikes a neuron and time step; owned, sp_free */
    uint64_t *confusion; /* in: room for [class][class] to add samples to, by label and by largest output;
                            NULL: not asked */
    sp_output_score *outputs; /* the same with targets: [output], of this rank's part */
} sp_scores;

/* What the outputs, summed over so many time steps, come to as an answer to targets: their mean, or their sum
 * where that is what the loss is of. */
double sp_session_answer(const sp_session *s, float sum, int64_t steps);

/* For a loss of exactly 0: an error where all outputs of the training plan are 0 as well, which no network
 * with a label has; a device that computes nothing does. */
sp_status sp_session_check_computes(sp_session *s, sp_error *err);

/* All of a data set through the evaluation plan, shared between ranks (may be NULL), which all get the
 * scores; the confusion is that of this rank's part. stop (may be NULL): set by a signal. */
sp_status sp_session_evaluate(sp_session *s, const sp_dataset *ds, sp_ranks *ranks, const volatile int *stop,
                              sp_scores *out, sp_error *err);

/* A warning of the neuron layers whose rate on the test data is 0. */
void sp_session_warn_silent(const sp_session *s, const double *rates, int64_t epoch);

/* Spikes a neuron and time step, by node, from counts over `samples` samples. */
sp_status sp_session_rates(const sp_session *s, const uint64_t *spikes, int64_t samples, double *rates,
                           sp_error *err);

#endif
