/* Zoo: the networks of the SLTT and OTTT papers, and small relatives of them, written out as network files
 * (YAML). A network file is the only form a network has in this program; the zoo only saves the typing. */
#ifndef SP_GRAPH_ZOO_H
#define SP_GRAPH_ZOO_H

#include "base/mem.h"
#include "spikeport/status.h"

typedef struct sp_zoo_options {
    int64_t classes;  /* 0: the network's default */
    int64_t channels; /* of the input, checked when the network is used; 0: whatever the data has */
    double dropout;   /* below 0: the network's default */
    double width;     /* all channel counts times this; 0: the network's default */
} sp_zoo_options;

size_t sp_zoo_count(void);
const char *sp_zoo_name(size_t i);  /* NULL past the end */
const char *sp_zoo_about(size_t i); /* one line */

/* Adds the network file to *out. An unknown name or an option out of range is SP_E_USAGE. */
sp_status sp_zoo_write(const char *name, const sp_zoo_options *o, sp_text *out, sp_error *err);

#endif
