/* The network of the tests of what plans emit, and the ops of a time step of it. */
#ifndef SP_TEST_EMIT_H
#define SP_TEST_EMIT_H

#include "plans.h"

static const char net[] = "layers:\n"
                          "  - {type: conv, out: 4, kernel: 3, padding: 1}\n"
                          "  - {type: batch_norm}\n"
                          "  - {type: lif}\n"
                          "  - {type: conv, out: 4, kernel: 3, padding: 1}\n"
                          "  - {type: batch_norm}\n"
                          "  - {type: lif}\n"
                          "  - {type: flatten}\n"
                          "  - {type: linear, out: 5}\n";

#define FORWARD                                                                                              \
    "neuron.forward conv.forward batch_norm.statistics neuron.forward spikes.unpack bias.broadcast gemm"
#define BACKWARD                                                                                             \
    "spikes.unpack gemm bias.backward gemm neuron.backward batch_norm.backward conv.backward_weight "        \
    "conv.backward_input neuron.backward batch_norm.backward conv.backward_weight"
#endif
