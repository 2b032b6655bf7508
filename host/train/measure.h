/* What the epochs so far have shown: the best of them by the recipe's `measure`, when training ends early,
 * and the learning rate, which may follow from it. */
#ifndef SP_TRAIN_MEASURE_H
#define SP_TRAIN_MEASURE_H

#include "train/recipe.h"

typedef struct sp_best {
    double value;  /* NAN: no epoch yet */
    int64_t stale; /* epochs since */
} sp_best;

typedef struct sp_measured {
    int measure;      /* SP_MEASURE_...: what the values are of */
    sp_best all;      /* best.safetensors is of it */
    sp_best stopping; /* only values count that are better by early_stopping.min_delta */
    sp_best plateau;  /* only values count that are better by the share lr_schedule.threshold */
    double lr_factor; /* plateau: product of all drops */
} sp_measured;

sp_measured sp_measured_start(int measure);
/* An epoch has ended with this value of the recipe's measure; true: the best one so far. Values of another
 * measure than before start anew. */
bool sp_measured_add(sp_measured *m, const sp_recipe *r, double value);
bool sp_measured_ends(const sp_measured *m, const sp_recipe *r); /* early stopping */
/* As text for a checkpoint, exactly, and back; false: it is damaged. */
void sp_measured_print(const sp_measured *m, sp_text *out);
bool sp_measured_parse(const char *text, sp_measured *out);

const char *sp_measure_name(int measure);

/* Learning rate in an epoch (0-based) at mini-batch `batch` of `batches`, as PyTorch's CosineAnnealingLR,
 * StepLR, ReduceLROnPlateau, OneCycleLR, times LinearLR for the warm-up. m: NULL before the first epoch. */
double sp_recipe_lr(const sp_recipe *r, const sp_measured *m, int64_t epoch, int64_t batch, int64_t batches);

#endif
