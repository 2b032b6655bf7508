/* The parts of `spikeport visualise`: cmd_visualise.c runs the network and counts, visualise_pictures.c draws
 * what was counted. */
#ifndef SP_LAB_VISUALISE_H
#define SP_LAB_VISUALISE_H

#include <stdint.h>
#include "exec/executor.h"
#include "train/session.h"

/* Potentials are counted in units of the threshold: bins of 1/64 from -8 to 8, those beyond in the bins at
 * the ends. */
enum { SP_VISUAL_BINS = 1024, SP_VISUAL_PER_UNIT = 64, SP_VISUAL_ROWS = 64 };

typedef struct sp_visual_layer {
    int node;
    int64_t neurons;
    uint32_t *spikes; /* by neuron, of all samples and time steps */
    uint64_t bins[SP_VISUAL_BINS];
    uint64_t n_potentials;
    int shown;     /* neurons of the raster, evenly spaced */
    float *raster; /* [shown][T] of one sample: 1 where it fires */
} sp_visual_layer;

typedef struct sp_visual {
    const sp_session *s;
    const sp_dataset *test;
    const char *folder, *format;    /* png, svg or pdf */
    int64_t samples, sample, label; /* watched; whose raster; its class */
    int64_t predicted;              /* class of the largest output for that sample; -1: not known */
    float *input;                   /* [height][width], the mean over its frames and channels */
    sp_visual_layer *layers;
    int n_layers;
    uint64_t *confusion; /* [class][class]: by label, by largest output; NULL: the test set was not run */
    sp_scores scores;
} sp_visual;

/* Each writes folder/NAME.FORMAT. */
sp_status sp_visual_raster(const sp_visual *d, sp_error *err);
sp_status sp_visual_membrane(const sp_visual *d, sp_error *err);
sp_status sp_visual_rates(const sp_visual *d, sp_error *err);
sp_status sp_visual_filters(const sp_visual *d, sp_error *err);
sp_status sp_visual_confusion(const sp_visual *d, sp_error *err);

/* Spikes a neuron and time step of the layer; share of neurons that never fire. */
double sp_visual_rate(const sp_visual *d, const sp_visual_layer *l);
double sp_visual_silent(const sp_visual_layer *l);
/* Share of potentials at the threshold or above. */
double sp_visual_above(const sp_visual_layer *l);

#endif
