/* How far a network and what becomes of it in NIR are apart, on real data. */
#ifndef SP_CLI_NIR_DRIFT_H
#define SP_CLI_NIR_DRIFT_H

#include "cli/session_options.h"
#include "nir/nir.h"
#include "train/record.h"

typedef struct sp_nir_drift_layer {
    const char *layer;    /* of the session's graph */
    double rate, changed; /* spikes a neuron and time step; share of these that differ */
} sp_nir_drift_layer;

typedef struct sp_nir_drift {
    sp_nir_drift_layer *layers;
    size_t n_layers, samples;
    double logits; /* largest difference of an output at a time step */
    double same;   /* share of samples with the same class */
} sp_nir_drift;

/* Runs up to `samples` test samples through the session and through what the graph gives when it is imported
 * with the options, on the same device. */
sp_status sp_nir_drift_measure(const sp_cli_trained *t, const sp_cli_session *o, const sp_nir *g,
                               const sp_nir_import_options *io, size_t samples, sp_nir_drift *out,
                               sp_error *err);
void sp_nir_drift_free(sp_nir_drift *d);

/* A list of layers as a network. */
sp_status sp_nir_parse_layers(const char *name, const sp_text *layers, const sp_neuron *neuron,
                              sp_network *out, sp_error *err);

/* What all neuron layers and the outputs do with all samples of a set. */
sp_status sp_nir_record_all(sp_session *s, const sp_dataset *ds, struct sp_record **out, sp_error *err);

#endif
