/* The network of integers that a trained session stands for, and what it makes of a data set. */
#ifndef SP_TRAIN_INTEGERS_H
#define SP_TRAIN_INTEGERS_H

#include "integer/export.h"
#include "train/session.h"

/* From the session's weights (their average where one is kept), and from the range of the first samples of
 * the training data; of a session without a device, to look at, from starting weights and inputs of any kind.
 * SP_E_CONFIG where precision.weights is float, or names the layer that has no such form. */
sp_status sp_session_integer(sp_session *s, sp_integer **out, sp_error *err);

/* A network of integers that is ready to run: on the session's device, or in plain C by the references of the
 * ops. Both give the same bits. */
typedef struct sp_integer_run {
    const sp_integer *net;
    sp_model *model; /* plain C: without memory; else NULL */
    sp_plan *plan;
    void *arena;              /* plain C */
    int32_t *codes, *outputs; /* a mini-batch: [frames or 1][batch][h][w][c]; [batch][classes] */
    size_t n_codes;
    uint64_t saturated; /* inputs outside of the range so far */
} sp_integer_run;
sp_status sp_integer_run_open(sp_session *s, const sp_integer *net, int64_t batch, bool plain_c,
                              sp_integer_run *out, sp_error *err);
void sp_integer_run_close(sp_integer_run *r);
/* Runs a mini-batch; the results are in r->outputs. `look` (may be NULL) is called in plain C only. */
sp_status sp_integer_run_batch(sp_integer_run *r, const float *images, sp_exec_look *look, void *ctx,
                               sp_error *err);

/* How a layer of neurons differs from that in float on the same samples. */
typedef struct sp_integer_layer_score {
    int node;
    double rate, integer_rate; /* spikes a neuron and time step */
    double differs;            /* share of the spikes and silences that are another one */
} sp_integer_layer_score;

typedef struct sp_integer_scores {
    double accuracy;
    int64_t samples;
    uint64_t digest;                /* of all outputs: equal where all of them are */
    uint64_t saturated;             /* inputs outside of the range */
    sp_integer_layer_score *layers; /* of the first mini-batch; owned, sp_free */
    int n_layers, worst;            /* the layer whose `differs` grows the most from the layer before; -1 */
} sp_integer_scores;
sp_status sp_integer_evaluate(sp_session *s, const sp_integer *net, const sp_dataset *ds, bool plain_c,
                              const volatile int *stop, sp_integer_scores *out, sp_error *err);

/* What all layers do with samples of a data set (numbers from 1), in plain C. Free it also after an error. */
sp_status sp_integer_record(sp_session *s, const sp_integer *net, const sp_dataset *ds,
                            const int64_t *samples, size_t n, sp_integer_golden *out, sp_error *err);
void sp_integer_golden_free(sp_integer_golden *g, int layers);

#endif
