/* SLTT-K with a K of its own for each mini-batch: which time steps are backpropagated follows from where
 * spikes fell in the mini-batches before (docs/NUMERICS.md). Pure functions of what they are given; the state
 * is one number a time step. */
#ifndef SP_TRAIN_ADAPTIVE_H
#define SP_TRAIN_ADAPTIVE_H

#include <stdint.h>

/* mass[T]: the expected share of each time step in the spikes, mean of the layers; they sum to 1. */
void sp_adaptive_start(double *mass, int64_t T);

/* One mini-batch's spikes[T][layers] move the mass; layers that are silent say nothing. */
void sp_adaptive_learn(double *mass, int64_t T, const uint64_t *spikes, int64_t layers);

/* Draws steps one after the other, each with a chance proportional to its mass, until they hold `share` of
 * it; at least `least` steps and at most `most`. A pure function of (mass, seed, iteration). mask[T]; returns
 * how many. */
int64_t sp_adaptive_draw(const double *mass, int64_t T, double share, int64_t least, int64_t most,
                         uint64_t seed, int64_t iteration, uint8_t *mask);

#endif
