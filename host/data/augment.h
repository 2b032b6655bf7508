/* From stored pixels to a sample: random augmentation and normalisation. What is drawn is a pure function of
 * (seed, epoch, index). Inside the folder only. */
#ifndef SP_DATA_AUGMENT_H
#define SP_DATA_AUGMENT_H

#include <stdbool.h>
#include "base/rng.h"
#include "data/dataset.h"

/* What a kind of data set can do; sp_dataset_open refuses the rest by name. */
enum {
    SP_CAN_RESIZED_CROP = 1,
    SP_CAN_CROP = 2,
    SP_CAN_CUTOUT = 4,
    SP_CAN_FLIP = 8,
    SP_CAN_ROLL = 16,
    SP_CAN_AFFINE = 32,
    SP_CAN_COLOUR = 64,
    SP_CAN_ERASE = 128,
    SP_CAN_EVENTS = 256, /* drop, time_jitter */
    SP_CAN_LATE = SP_CAN_AFFINE | SP_CAN_COLOUR | SP_CAN_ERASE,
    SP_CAN_PIXELS = SP_CAN_CROP | SP_CAN_CUTOUT | SP_CAN_FLIP | SP_CAN_LATE
};
sp_status sp_augment_check(const char *set, const sp_augment *a, unsigned can, sp_error *err);

/* What random numbers of a sample are keyed by besides its index: the epoch, and how often it came before. */
static inline uint64_t sp_sample_pass(sp_sample_request want)
{
    return want.epoch + ((uint64_t)(want.repeat & 0xfff) << 20); /* there are fewer than 2^20 epochs */
}
/* The random numbers of one sample of one epoch. */
sp_rng sp_augment_rng(uint64_t seed, sp_sample_request want);

/* Mean and 1/std of each channel. Channel c of a sample uses entry c % n. */
typedef struct sp_normal {
    int n; /* 1: the same for all channels */
    float mean[SP_MEANS], scale[SP_MEANS];
} sp_normal;
/* Refuses numbers that are not finite, std below 1e-6, lists whose length is not the number of channels. */
sp_status sp_normal_init(sp_normal *n, const sp_dataset_options *o, int channels, sp_error *err);

/* 8-bit images of one size. */
typedef struct sp_pixels {
    int height, width, channels; /* 1 to SP_MEANS */
    sp_augment augment;          /* all 0 for the test split */
    uint64_t seed;
    float value[SP_MEANS][256]; /* byte of a channel -> normalised */
} sp_pixels;
sp_status sp_pixels_init(sp_pixels *p, const sp_dataset_options *o, int height, int width, int channels,
                         sp_error *err);

/* Channel c of pixel (y, x) is at bytes[y * row + x * pixel + c * channel]. */
typedef struct sp_pixel_source {
    const uint8_t *bytes;
    size_t pixel, channel;
    size_t row; /* 0: width * pixel */
} sp_pixel_source;

/* Random crop, cutout and flip, as drawn from r: */
typedef struct sp_pixel_draw {
    int dy, dx; /* the source pixel of (y, x) is (y + dy, x + dx); zeros outside */
    bool cut, flip;
    int top, left, bottom, right; /* of the cutout box in the cropped image, the last two excluded */
    uint8_t colour;               /* of its first channel, the others are 0: what the published Cutout does */
} sp_pixel_draw;
sp_pixel_draw sp_pixels_draw(const sp_pixels *p, sp_rng *r);
void sp_pixels_write(const sp_pixels *p, sp_pixel_source from, const sp_pixel_draw *d, float *out);

/* A random part of a height x width image for resized_crop: area share uniform in least..1, log of the aspect
 * ratio uniform in 3/4..4/3, ten tries, else the largest middle part within those ratios (as torchvision). */
typedef struct sp_part {
    int top, left, height, width;
} sp_part;
sp_part sp_part_draw(int height, int width, double least, sp_rng *r);

/* ---- augment_image.c ---- */

/* Whether any change is asked for that is done to numbers behind the reader: affine, colour, erase. */
bool sp_augment_is_late(const sp_augment *a);
/* What is drawn for one sample, the same for all its frames. */
typedef struct sp_image_draw {
    double rotation, dx, dy, scale, shear; /* degrees, pixels, factor, degrees */
    double brightness, contrast, saturation, hue;
    int top, left, bottom, right; /* erased, the last two excluded */
} sp_image_draw;
sp_image_draw sp_image_draw_from(const sp_augment *a, const sp_dataset_info *i, sp_rng *r);
/* One frame. The map is, about the middle: shear along x, scale, rotation (counter-clockwise), shift. */
void sp_image_warp(const sp_dataset_info *i, const sp_image_draw *d, const float *from, float *to);
/* Brightness, contrast (about the mean grey), saturation (about each pixel's grey), hue. */
void sp_image_recolour(const sp_dataset_info *i, const sp_image_draw *d, float *x);

#endif
