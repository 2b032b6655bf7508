/* The keys and words of the network format, for what reads it (network.c) and prints it (network_print.c). */
#ifndef SP_GRAPH_LAYER_NAMES_H
#define SP_GRAPH_LAYER_NAMES_H

#include "config/fields.h"

enum { SP_LAYER_TYPES = 22 };
/* Neuron models that are also words for `type`: what they have beyond lif. */
enum { SP_MODELS = 5 };
typedef struct sp_model_words {
    const char *name;
    const char *tau_key, *gain_key; /* how aux_tau and aux_gain are called; NULL where there are none */
    bool learn;
} sp_model_words;
extern const sp_model_words sp_models[SP_MODELS];
const sp_model_words *sp_model_words_of(const char *model); /* NULL: a plugin's */

/* By sp_layer_type; `what` is the word for `type`. That of a neuron has no rows: sp_neuron_read_layer. */
extern const sp_fields sp_layer_fields[SP_LAYER_TYPES];

#endif
