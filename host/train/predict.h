/* Predictions: samples without labels through the evaluation plan of a session. */
#ifndef SP_TRAIN_PREDICT_H
#define SP_TRAIN_PREDICT_H

#include "train/session.h"

/* A mini-batch of the evaluation plan's size (session->eval_batch), laid out as sp_exec_batch says. */
typedef struct sp_inference {
    const float *images;
    size_t n;          /* samples in it; the rest may be anything finite */
    double confidence; /* a sample ends at the first time step at which a class is at least so probable; 0: at
                          the last */
    float *logits;     /* out [eval_batch][classes]: sum of the outputs over the time steps it took */
    int64_t *steps;    /* out [n], with confidence: how many it took */
    sp_exec_watcher also; /* without confidence: is shown the mini-batch; functions may be NULL */
} sp_inference;
/* Waits. SP_E_NUMERIC where a potential is not finite. */
sp_status sp_session_infer(sp_session *s, const sp_inference *i, sp_error *err);

/* Softmax of n numbers; returns the largest probability. */
double sp_softmax(const float *x, int64_t n, double *probability);

typedef struct sp_prediction {
    size_t index;            /* in the data set */
    int64_t row;             /* among the samples that could be read, from 0 */
    const sp_error *failure; /* not NULL: this one could not, and nothing below is known */
    const float *logits;
    const double *probability; /* [graph->classes] of the classes; with loss.name: bce of each label, with mse
                                  the answers themselves */
    int64_t best, steps;       /* the class of the largest output, as evaluation finds it; time steps */
} sp_prediction;

typedef struct sp_predict_options {
    double confidence;
    const volatile int *stop; /* set by a signal; NULL */
    struct sp_record *record; /* record.h; NULL: nothing is recorded */
    sp_status (*report)(void *ctx, const sp_prediction *p, sp_error *err); /* in the order of the data set */
    void *ctx;
} sp_predict_options;

/* All samples of a data set. Those that cannot be read are reported, and the others go on. */
sp_status sp_session_predict(sp_session *s, const sp_dataset *ds, const sp_predict_options *o, sp_error *err);

#endif
