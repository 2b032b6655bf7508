/* Training: epochs over a data set with evaluation, metrics, checkpoints and curves. */
#ifndef SP_TRAIN_TRAIN_H
#define SP_TRAIN_TRAIN_H

#include "train/checkpoint.h"
#include "train/similarity.h"
#include "train/session.h"
#include "train/replicas.h"

typedef enum {
    SP_EVENT_START,
    SP_EVENT_BATCH,
    SP_EVENT_EPOCH,
    SP_EVENT_END,
    SP_EVENT_SIMILARITY
} sp_event_kind;

/* What the person (or a program) is told. Rates are by graph node. */
typedef struct sp_train_event {
    sp_event_kind kind;
    const sp_session *session;
    int64_t epoch, epochs, batch, batches, iteration;
    double loss, accuracy; /* BATCH: since the last line; EPOCH: training, whole epoch; accuracy NAN: none */
    double lr, samples_per_second, seconds_left, epoch_seconds, epoch_cpu_seconds, wait_fraction;
    const double *spike_rate;
    double backprop_steps; /* BATCH: mean K since the last line; all time steps where K is no setting */
    sp_scores test;        /* EPOCH */
    double best_accuracy;
    const sp_similarity_report *similarity; /* SIMILARITY: of this mini-batch, before its update */
    const sp_ranks *ranks;                  /* NULL: one process */
    const sp_ranks_time *rank_time;         /* BATCH: since the last line */
} sp_train_event;

typedef struct sp_train_options {
    const char *out;             /* folder; made when missing */
    bool overwrite;              /* where another run lies in the folder: rename its files to NAME.old */
    int lock;                    /* of the folder, from sp_run_folder_open; 0: training locks it itself */
    const sp_checkpoint *resume; /* NULL: from the start */
    const char *const *sets;     /* of the command line: what the recipe of a resumed run may differ in */
    size_t n_sets;
    const volatile int *stop; /* set by a signal: save and return SP_E_INTERRUPTED */
    void (*report)(void *ctx, const sp_train_event *e);
    void *ctx;
    sp_session *const
        *members; /* several devices share each mini-batch (replicas.h); the first is the session itself */
    size_t n_members; /* 0: the session alone */
    sp_ranks *ranks;  /* processes that train together; rank 0 alone writes and reports. NULL: this one */
    int64_t max_iterations; /* stop (as if interrupted, with a checkpoint) after so many; 0 never */
} sp_train_options;

/* Writes metrics.jsonl, metrics.csv, checkpoint.safetensors, best.safetensors, recipe.yaml and curves.png to
 * the folder. Errors that stop training (NaN: SP_E_NUMERIC with layer and time step; disk full: SP_E_IO)
 * leave the last checkpoint as it was. */
sp_status sp_train(sp_session *s, const sp_dataset *train, const sp_dataset *test, const sp_train_options *o,
                   sp_error *err);

/* metrics.jsonl: one JSON object a line, "event" first; the first line of a run has "schema". */
typedef struct sp_metrics sp_metrics;
sp_status sp_metrics_open(const char *folder, const sp_progress *resume, sp_metrics **out,
                          sp_error *err); /* NULL: anew */
sp_status sp_metrics_event(sp_metrics *m, const sp_train_event *e, sp_error *err);
void sp_metrics_close(sp_metrics **m);

/* curves.png from metrics.jsonl: loss, accuracy, spike rate against epochs. */
sp_status sp_curves_write(const char *folder, const char *title, sp_error *err);

#endif
