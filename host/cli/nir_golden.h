/* Golden vectors of an exported network, as NIR data (nir.read_data). */
#ifndef SP_CLI_NIR_GOLDEN_H
#define SP_CLI_NIR_GOLDEN_H

#include "cli/nir_drift.h"

/* The first so many samples of the test data: "input", the spikes of each neuron layer, "output". */
sp_status sp_nir_golden_write(const char *path, const sp_cli_trained *t, size_t samples, double dt,
                              sp_error *err);

#endif
