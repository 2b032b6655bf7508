/* Peaks: what a device reaches at best on plain code, measured now; achieved figures are told as shares of
 * them. */
#ifndef SP_CHECK_PEAKS_H
#define SP_CHECK_PEAKS_H

#include "cl/device.h"

typedef struct sp_peaks {
    double gflops; /* float32 multiply-adds on registers, 2 operations each */
    double gbytes; /* copy of 64 MiB: bytes read and written, 1e9 a second */
} sp_peaks;

/* Best of five runs of each. About a second. [setup] */
sp_status sp_peaks_measure(sp_device *dev, sp_peaks *out, sp_error *err);

#endif
