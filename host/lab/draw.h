/* The parts of `spikeport draw`: cmd_draw.c runs the network and counts, draw_pictures.c draws what was
 * counted. */
#ifndef SP_LAB_DRAW_H
#define SP_LAB_DRAW_H

#include <stdint.h>
#include "exec/executor.h"
#include "train/session.h"

/* Potentials are counted in units of the threshold: bins of 1/64 from -8 to 8, those beyond in the bins at
 * the ends. */
enum { SP_DRAW_BINS = 1024, SP_DRAW_PER_UNIT = 64, SP_DRAW_ROWS = 64 };

typedef struct sp_draw_layer {
    int node;
    int64_t neurons;
    uint32_t *spikes; /* by neuron, of all samples and time steps */
    uint64_t bins[SP_DRAW_BINS];
    uint64_t n_potentials;
    int shown;     /* neurons of the raster, evenly spaced */
    float *raster; /* [shown][T] of one sample: 1 where it fires */
} sp_draw_layer;

typedef struct sp_drawing {
    const sp_session *s;
    const char *folder;
    int64_t samples, sample, label; /* watched; whose raster; its class */
    sp_draw_layer *layers;
    int n_layers;
    uint64_t *confusion; /* [class][class]: by label, by largest output; NULL: the test set was not run */
    sp_scores scores;
} sp_drawing;

/* Each writes folder/NAME.png. */
sp_status sp_draw_raster(const sp_drawing *d, sp_error *err);
sp_status sp_draw_membrane(const sp_drawing *d, sp_error *err);
sp_status sp_draw_rates(const sp_drawing *d, sp_error *err);
sp_status sp_draw_filters(const sp_drawing *d, sp_error *err);
sp_status sp_draw_confusion(const sp_drawing *d, sp_error *err);

/* Spikes a neuron and time step of the layer; share of neurons that never fire. */
double sp_draw_rate(const sp_drawing *d, const sp_draw_layer *l);
double sp_draw_silent(const sp_draw_layer *l);
/* Share of potentials at the threshold or above. */
double sp_draw_above(const sp_draw_layer *l);

#endif
