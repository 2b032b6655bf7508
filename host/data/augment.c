/* Augmentation and normalisation of 8-bit images: see augment.h. Crop, cutout and flip only move pixels, so a
 * sample is gathered in one pass over its output; the part and resize of resized_crop are image_resize.c's.
 */
#include "data/augment.h"
#include <math.h>
#include <stddef.h>
#include <string.h>
#include "base/error.h"

#define STREAM_AUGMENT 0x4155474d00000000u /* "AUGM": + epoch */
enum { MAX_CROP = 4096 };
static const double CUTOUT_LEAST = 0.02, CUTOUT_MOST = 0.4, CUTOUT_ASPECT_LEAST = 0.4,
                    CUTOUT_ASPECT_MOST = 2.5;

#define ROW(member, usual, most, whole, can)                                                                 \
    {                                                                                                        \
#member, offsetof(sp_augment, member), usual, most, whole, can                                       \
    }
const sp_augmentation sp_augmentations[] = {
    ROW(drop, 0.1, 1, false, SP_CAN_EVENTS),
    ROW(time_jitter, 1000, 1e9, false, SP_CAN_EVENTS),
    ROW(resized_crop, 0.08, 1, false, SP_CAN_RESIZED_CROP),
    ROW(crop, 4, MAX_CROP, true, SP_CAN_CROP),
    ROW(cutout, 0.5, 1, false, SP_CAN_CUTOUT),
    ROW(flip, 0.5, 1, false, SP_CAN_FLIP),
    ROW(roll, 5, MAX_CROP, true, SP_CAN_ROLL),
    ROW(rotation, 15, 180, false, SP_CAN_AFFINE),
    ROW(translate, 0.1, 1, false, SP_CAN_AFFINE),
    ROW(scale, 0.1, 0.9, false, SP_CAN_AFFINE),
    ROW(shear, 10, 80, false, SP_CAN_AFFINE),
    ROW(brightness, 0.2, 1, false, SP_CAN_COLOUR),
    ROW(contrast, 0.2, 1, false, SP_CAN_COLOUR),
    ROW(saturation, 0.2, 1, false, SP_CAN_COLOUR),
    ROW(hue, 0.05, 0.5, false, SP_CAN_COLOUR),
    ROW(erase, 0.5, 1, false, SP_CAN_ERASE),
};
#undef ROW
const size_t sp_n_augmentations = sizeof sp_augmentations / sizeof *sp_augmentations;

sp_status sp_augment_check(const char *set, const sp_augment *a, unsigned can, sp_error *err)
{
    sp_augment copy = *a;
    for (size_t i = 0; i < sp_n_augmentations; i++) {
        const sp_augmentation *row = &sp_augmentations[i];
        double value = *sp_augment_at(&copy, i);
        if (!(value >= 0.0 && value <= row->most))
            return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\": augment: %s is %g; choose 0 to %g", set,
                           row->name, value, row->most);
        if (value > 0.0 && !(can & row->can))
            return SP_FAIL(err, SP_E_CONFIG,
                           "data set \"%s\": augment: %s cannot be done with its samples; leave it out", set,
                           row->name);
    }
    return SP_OK;
}

sp_rng sp_augment_rng(uint64_t seed, sp_sample_request want)
{
    sp_rng r = sp_rng_make(seed, STREAM_AUGMENT + sp_sample_pass(want));
    r.counter = (uint64_t)want.index << 20; /* room for a million numbers a sample */
    return r;
}

static sp_status check_length(const char *set, const char *what, int n, int channels, sp_error *err)
{
    if (n < 0 || n > SP_MEANS || (n > 1 && n != channels))
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\": %s has %d numbers, but a sample has %d channel%s",
                       set, what, n, channels, channels == 1 ? "" : "s");
    return SP_OK;
}

static double mean_of(const sp_dataset_options *o, int c)
{
    return o->n_means > 0 ? o->means[c % o->n_means] : o->mean;
}

static double std_of(const sp_dataset_options *o, int c)
{
    return o->n_stds > 0 ? o->stds[c % o->n_stds] : o->std;
}

sp_status sp_normal_init(sp_normal *n, const sp_dataset_options *o, int channels, sp_error *err)
{
    SP_TRY(check_length(o->name, "mean", o->n_means, channels, err));
    SP_TRY(check_length(o->name, "std", o->n_stds, channels, err));
    n->n = o->n_means > 1 || o->n_stds > 1 ? channels : 1;
    for (int c = 0; c < n->n; c++) {
        double mean = mean_of(o, c), std = std_of(o, c);
        if (!isfinite(mean) || !isfinite(std) || std < 1e-6)
            return SP_FAIL(err, SP_E_CONFIG,
                           "data set \"%s\": mean %g and std %g: both must be finite and std above 1e-6",
                           o->name, mean, std);
        n->mean[c] = (float)mean;
        n->scale[c] = (float)(1.0 / std);
    }
    return SP_OK;
}

sp_status sp_pixels_init(sp_pixels *p, const sp_dataset_options *o, int height, int width, int channels,
                         sp_error *err)
{
    sp_normal n;
    SP_TRY(sp_normal_init(&n, o, channels, err));
    if (channels < 1 || channels > SP_MEANS)
        return SP_FAIL(err, SP_E_DATA, "data set \"%s\": images of %d channels; 1 to %d can be read", o->name,
                       channels, SP_MEANS);
    *p = (sp_pixels){.height = height, .width = width, .channels = channels, .seed = o->seed};
    if (o->train)
        p->augment = o->augment;
    for (int c = 0; c < channels; c++)
        for (int v = 0; v < 256; v++)
            p->value[c][v] = (float)((v / 255.0 - mean_of(o, c)) / std_of(o, c));
    return SP_OK;
}

static double between(sp_rng *r, double low, double high)
{
    return low + (high - low) * (double)sp_rng_uniform(r);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Sides are cut to the image's where the published code, made for square images, would fail. */
static void draw_cutout(const sp_pixels *p, sp_rng *r, sp_pixel_draw *d)
{
    double area = between(r, CUTOUT_LEAST, CUTOUT_MOST) * p->height * p->width;
    double aspect = between(r, CUTOUT_ASPECT_LEAST, CUTOUT_ASPECT_MOST);
    int width = smaller((int)sqrt(area / aspect), p->width),
        height = smaller((int)sqrt(area * aspect), p->height);
    d->cut = true;
    d->left = (int)sp_rng_below(r, (uint32_t)(p->width - width) + 1);
    d->top = (int)sp_rng_below(r, (uint32_t)(p->height - height) + 1);
    d->right = d->left + width;
    d->bottom = d->top + height;
    d->colour = (uint8_t)sp_rng_below(r, 256);
}

sp_pixel_draw sp_pixels_draw(const sp_pixels *p, sp_rng *r)
{
    const sp_augment *a = &p->augment;
    sp_pixel_draw d = {0};
    if (a->crop > 0) {
        d.dy = (int)sp_rng_below(r, 2 * (uint32_t)a->crop + 1) - (int)a->crop;
        d.dx = (int)sp_rng_below(r, 2 * (uint32_t)a->crop + 1) - (int)a->crop;
    }
    if (a->cutout > 0.0 && (double)sp_rng_uniform(r) < a->cutout)
        draw_cutout(p, r, &d);
    if (a->flip > 0.0)
        d.flip = (double)sp_rng_uniform(r) < a->flip;
    return d;
}

static uint8_t stored(const sp_pixel_source *from, int y, int x, int c)
{
    return from->bytes[(size_t)y * from->row + (size_t)x * from->pixel + (size_t)c * from->channel];
}

/* The byte of channel c at (y, x) of the cropped image with its box. */
static uint8_t byte_at(const sp_pixels *p, const sp_pixel_source *from, const sp_pixel_draw *d, int y, int x,
                       int c)
{
    int sy = y + d->dy, sx = x + d->dx;
    if (d->cut && y >= d->top && y < d->bottom && x >= d->left && x < d->right)
        return c == 0 ? d->colour : 0;
    if (sy < 0 || sy >= p->height || sx < 0 || sx >= p->width)
        return 0;
    return stored(from, sy, sx, c);
}

void sp_pixels_write(const sp_pixels *p, sp_pixel_source from, const sp_pixel_draw *d, float *out)
{
    from.row = from.row ? from.row : (size_t)p->width * from.pixel;
    if (!d->cut && !d->flip && d->dy == 0 && d->dx == 0) {
        for (int y = 0; y < p->height; y++)
            for (int x = 0; x < p->width; x++)
                for (int c = 0; c < p->channels; c++)
                    *out++ = p->value[c][stored(&from, y, x, c)];
        return;
    }
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++)
            for (int c = 0; c < p->channels; c++)
                *out++ = p->value[c][byte_at(p, &from, d, y, d->flip ? p->width - 1 - x : x, c)];
}

sp_part sp_part_draw(int height, int width, double least, sp_rng *r)
{
    const double low = 3.0 / 4.0, high = 4.0 / 3.0, ratio = (double)width / (double)height;
    sp_part p = {.height = height, .width = width};
    for (int attempt = 0; attempt < 10; attempt++) {
        double area = between(r, least, 1.0) * (double)height * (double)width;
        double aspect = exp(between(r, log(low), log(high)));
        double w = nearbyint(sqrt(area * aspect)), h = nearbyint(sqrt(area / aspect));
        if (w < 1.0 || h < 1.0 || w > width || h > height)
            continue;
        p.width = (int)w;
        p.height = (int)h;
        p.top = (int)sp_rng_below(r, (uint32_t)(height - p.height) + 1);
        p.left = (int)sp_rng_below(r, (uint32_t)(width - p.width) + 1);
        return p;
    }
    if (ratio < low)
        p.height = smaller(height, (int)fmax(1.0, nearbyint(width / low)));
    else if (ratio > high)
        p.width = smaller(width, (int)fmax(1.0, nearbyint(height * high)));
    p.top = (height - p.height) / 2;
    p.left = (width - p.width) / 2;
    return p;
}
