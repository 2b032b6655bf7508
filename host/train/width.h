/* Surrogates whose width follows the loss (Dspike; docs/NUMERICS.md, "Dspike and InfLoR-SNN"): before each
 * epoch, on its first mini-batch, the gradient of the first layer with weights is compared with difference
 * quotients of the loss for three widths. */
#ifndef SP_TRAIN_WIDTH_H
#define SP_TRAIN_WIDTH_H

#include "train/session.h"

typedef struct sp_width_choice {
    double width;               /* that of this epoch: the training plan has it */
    double tried[3], cosine[3]; /* smaller, as before, larger; NAN where there was no cosine */
} sp_width_choice;

/* Once, before training: width is what a checkpoint says, 0: the recipe's. Refuses networks whose surrogates
 * have several widths or none. */
sp_status sp_width_start(sp_session *s, double width, sp_error *err);
/* A function of weights, mini-batch, seed and epoch. Nothing else of what training goes on from changes. */
sp_status sp_width_choose(sp_session *s, const sp_exec_batch *batch, uint64_t epoch, sp_width_choice *out,
                          sp_error *err);
/* The place of the largest cosine; the middle one unless another is larger. */
int sp_width_best(const double cosine[3]);

#endif
