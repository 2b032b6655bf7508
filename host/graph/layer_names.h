/* Words of the network format, shared by the parser (network.c) and the printer (network_print.c). */
#ifndef SP_GRAPH_LAYER_NAMES_H
#define SP_GRAPH_LAYER_NAMES_H

enum { SP_LAYER_TYPES = 13, SP_INITS = 4 };
extern const char *const sp_layer_type_names[SP_LAYER_TYPES]; /* by sp_layer_type */
extern const char *const sp_init_names[SP_INITS];             /* by sp_init */

#endif
