/* Words of the network format, shared by the parser (network.c) and the printer (network_print.c). */
#ifndef SP_GRAPH_LAYER_NAMES_H
#define SP_GRAPH_LAYER_NAMES_H

#include <stdbool.h>

enum { SP_LAYER_TYPES = 13, SP_INITS = 4 };
/* Neuron models that are also words for `type`: what they have beyond lif. */
enum { SP_MODELS = 5 };
typedef struct sp_model_words {
    const char *name;
    const char *tau_key, *gain_key; /* how aux_tau and aux_gain are called; NULL where there are none */
    bool learn;
} sp_model_words;
extern const sp_model_words sp_models[SP_MODELS];
const sp_model_words *sp_model_words_of(const char *model);   /* NULL: a plugin's */
extern const char *const sp_layer_type_names[SP_LAYER_TYPES]; /* by sp_layer_type */
extern const char *const sp_init_names[SP_INITS];             /* by sp_init */

#endif
