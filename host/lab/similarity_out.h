/* What `spikeport similarity` collects and writes: two CSV files, a table, pictures. */
#ifndef SP_LAB_SIMILARITY_OUT_H
#define SP_LAB_SIMILARITY_OUT_H

#include <stdio.h>
#include "plot/picture.h"
#include "train/similarity.h"

enum { SP_SWEEP_STEPS = 5, SP_SWEEP_TAUS = SP_PLOT_SERIES }; /* what a picture can show */

/* One method at one T and tau. */
typedef struct sp_sweep_cell {
    int n; /* measurements */
    double first, last, cosine, norm_ratio, difference, least, steps;
    double *layers; /* sums of the cosines of the layers that count, then of their differences */
} sp_sweep_cell;

typedef struct sp_sweep {
    int64_t time_steps[SP_SWEEP_STEPS];
    double taus[SP_SWEEP_TAUS];
    sp_compared methods[SP_COMPARED_MOST];
    int n_time_steps, n_taus, n_methods;
    sp_method reference;
    int step, tau;         /* being measured */
    const sp_graph *graph; /* likewise */
    sp_sweep_cell cells[SP_SWEEP_STEPS][SP_SWEEP_TAUS][SP_COMPARED_MOST];
    sp_plot plots[SP_COMPARED_MOST][SP_SWEEP_STEPS][2]; /* over updates, by layer */
    char **layers;                                      /* that count in the means */
    int n_layers;
    size_t n;                 /* measurements of all */
    FILE *parameters, *means; /* similarity.csv, means.csv */
    bool failed;              /* memory ran out */
} sp_sweep;

sp_status sp_sweep_open(sp_sweep *s, const char *folder, sp_error *err);
/* Layers of the network; the first call counts. */
sp_status sp_sweep_layers(sp_sweep *s, const sp_graph *g, sp_error *err);
void sp_sweep_add(sp_sweep *s, int64_t updates, double loss, const sp_similarity_report *r);
void sp_sweep_print(const sp_sweep *s, bool by_layer);
sp_status sp_sweep_charts(sp_sweep *s, const char *folder, sp_error *err); /* METHOD.png, one for each */
sp_status sp_sweep_close(sp_sweep *s, sp_error *err);

#endif
