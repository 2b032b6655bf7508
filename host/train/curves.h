/* What a run's metrics.jsonl holds, as points to draw. */
#ifndef SP_TRAIN_CURVES_H
#define SP_TRAIN_CURVES_H

#include <stdbool.h>
#include <stddef.h>
#include "spikeport/status.h"

enum { SPI_CURVE_LAYERS = 6 };

typedef struct spi_points {
    double *x, *y;
    size_t n;
} spi_points;

/* x counts epochs; accuracies in %. */
typedef struct spi_curves {
    spi_points loss, accuracy, test_loss, test_accuracy, rate[SPI_CURVE_LAYERS];
    char *layer[SPI_CURVE_LAYERS];
    int n_layers;
    double batches; /* of an epoch, from the epoch lines */
    bool failed;
} spi_curves;

/* Reads FOLDER/metrics.jsonl; c is all zeros before. Release with spi_curves_free, after an error too. */
sp_status spi_curves_read(spi_curves *c, const char *folder, sp_error *err);
void spi_curves_free(spi_curves *c);

#endif
