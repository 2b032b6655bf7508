/* Inside graph/: reading a network's layers. */
#ifndef SP_GRAPH_NETWORK_READER_H
#define SP_GRAPH_NETWORK_READER_H

#include "graph/network.h"

typedef struct spi_network_reader {
    const sp_neuron *neuron;
    double dropout; /* p of dropout layers that have none; NAN: it is not known, and 0 leaves them out */
    size_t places;  /* that took it */
    sp_error *err;
} spi_network_reader;

/* prefix: of the layers' names; what: the list, for messages. *layers and *n are empty before. */
sp_status spi_network_read_list(spi_network_reader *r, const sp_yaml *list, const char *prefix,
                                const char *what, sp_layer **layers, size_t *n);

#endif
