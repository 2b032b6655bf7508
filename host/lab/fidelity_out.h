/* What `spikeport fidelity` collects and writes: two CSV files, a table, pictures. */
#ifndef SP_LAB_FIDELITY_OUT_H
#define SP_LAB_FIDELITY_OUT_H

#include <stdio.h>
#include "train/fidelity.h"

/* The loop of `spikeport fidelity`: trains for so many mini-batches and measures every monitor.every-th of
 * them; no evaluation, no files. `each` hears of every measurement: updates done so far and loss of the
 * mini-batch. */
typedef struct sp_fidelity_run {
    int64_t iterations;
    const volatile int *stop; /* may be NULL */
    void (*each)(void *ctx, int64_t updates, double loss, const sp_fidelity_report *r);
    void *ctx;
} sp_fidelity_run;
sp_status sp_fidelity_train(sp_session *s, const sp_dataset *ds, const sp_fidelity_run *o, sp_error *err);

enum { SP_SWEEP_STEPS = 5, SP_SWEEP_TAUS = 6 }; /* what a picture can show */

typedef struct sp_fidelity_record {
    int step, tau, method; /* of the sweep's lists */
    int64_t updates, steps;
    double loss, cosine, least, norm_ratio;
} sp_fidelity_record;

typedef struct sp_sweep {
    int64_t time_steps[SP_SWEEP_STEPS];
    double taus[SP_SWEEP_TAUS];
    sp_compared methods[SP_COMPARED_MOST];
    int n_time_steps, n_taus, n_methods;
    sp_method reference;
    int step, tau; /* being measured */
    const volatile int *stop;
    const sp_graph *graph; /* being measured */
    sp_fidelity_record *records;
    size_t n;
    char **layers; /* that count in the means */
    int n_layers;
    double *layer_sums;       /* [step][tau][method][layer] */
    FILE *parameters, *means; /* fidelity.csv, means.csv */
    bool failed;              /* memory ran out */
} sp_sweep;

sp_status sp_sweep_open(sp_sweep *s, const char *folder, sp_error *err);
/* Layers of the network; the first call counts. */
sp_status sp_sweep_layers(sp_sweep *s, const sp_graph *g, sp_error *err);
void sp_sweep_add(void *sweep, int64_t updates, double loss, const sp_fidelity_report *r);
void sp_sweep_print(const sp_sweep *s, bool by_layer);
sp_status sp_sweep_charts(const sp_sweep *s, const char *folder,
                          sp_error *err); /* METHOD.png, one for each */
sp_status sp_sweep_close(sp_sweep *s, sp_error *err);

#endif
