/* Conversion of a trained session of relu or qcfs to a session of integrate-and-fire neurons: thresholds and
 * calibration follow from training samples. */
#ifndef SP_TRAIN_CONVERSION_H
#define SP_TRAIN_CONVERSION_H

#include "convert/convert.h"
#include "train/session.h"

typedef struct sp_conversion_options {
    int64_t time_steps;
    bool largest;   /* thresholds of relu are the largest outputs, else the nearest by least squares */
    bool calibrate; /* biases are shifted, layer by layer, towards the mean outputs of the first network */
    int64_t rounds; /* of that, for each layer */
} sp_conversion_options;

typedef struct sp_converter sp_converter;
/* Folds the network and looks at the outputs of its activations on the first `samples` training samples.
 * SP_E_CONFIG names the layer that has no spiking form, or the setting that does not go together with one.
 * The session must outlive it. */
sp_status sp_converter_open(sp_session *s, int64_t samples, sp_converter **out, sp_error *err);
void sp_converter_close(sp_converter **c);
/* A spiking session for so many time steps, with its weights; its recipe has the network. so: as of the first
 * session. */
sp_status sp_converter_make(sp_converter *c, const sp_conversion_options *o, const sp_session_options *so,
                            sp_session **out, sp_error *err);

#endif
