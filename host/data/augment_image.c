/* Augmentation of samples as numbers: affine maps (rotation, shift, scale, shear), changes of colour, erased
 * boxes. It stands in front of a set that delivers values as they are stored, 0..1 for pixels, and normalises
 * them itself; all frames of a sample are changed alike. augment.h says what is drawn, in which order. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "data/augment.h"
#include "data/readers.h"

#define STREAM_IMAGE 0x494d414700000000u /* "IMAG": + epoch */
#define RADIANS      0.017453292519943295
static const double ERASE_LEAST = 0.02, ERASE_MOST = 1.0 / 3.0, ERASE_ASPECT = 3.3;
static const double RED = 0.299, GREEN = 0.587, BLUE = 0.114;

typedef struct augmented {
    sp_dataset *inner; /* first: spi_wrapper */
    sp_augment augment;
    sp_normal normal;
    uint64_t seed;
} augmented;

static double around(sp_rng *r, double centre, double by)
{
    return centre + by * (2.0 * (double)sp_rng_uniform(r) - 1.0);
}

static void draw_box(const sp_dataset_info *i, sp_rng *r, sp_image_draw *d)
{
    for (int attempt = 0; attempt < 10; attempt++) {
        double area = ERASE_LEAST + (ERASE_MOST - ERASE_LEAST) * (double)sp_rng_uniform(r);
        double aspect = exp(around(r, 0.0, log(ERASE_ASPECT))), all = (double)i->height * i->width;
        int height = (int)lround(sqrt(all * area * aspect)), width = (int)lround(sqrt(all * area / aspect));
        if (height < 1 || width < 1 || height >= i->height || width >= i->width)
            continue;
        d->top = (int)sp_rng_below(r, (uint32_t)(i->height - height) + 1);
        d->left = (int)sp_rng_below(r, (uint32_t)(i->width - width) + 1);
        d->bottom = d->top + height;
        d->right = d->left + width;
        return;
    }
}

sp_image_draw sp_image_draw_from(const sp_augment *a, const sp_dataset_info *i, sp_rng *r)
{
    sp_image_draw d = {.scale = 1.0, .brightness = 1.0, .contrast = 1.0, .saturation = 1.0};
    d.rotation = around(r, 0.0, a->rotation);
    d.dx = round(around(r, 0.0, a->translate) * i->width);
    d.dy = round(around(r, 0.0, a->translate) * i->height);
    d.scale = around(r, 1.0, a->scale);
    d.shear = around(r, 0.0, a->shear);
    d.brightness = around(r, 1.0, a->brightness);
    d.contrast = around(r, 1.0, a->contrast);
    d.saturation = around(r, 1.0, a->saturation);
    d.hue = around(r, 0.0, a->hue);
    if (a->erase > 0.0 && (double)sp_rng_uniform(r) < a->erase)
        draw_box(i, r, &d);
    return d;
}

/* ---- affine ---- */

/* A pixel of the source, 0 outside. */
static double pixel(const float *from, const sp_dataset_info *i, int y, int x, int c)
{
    bool inside = y >= 0 && y < i->height && x >= 0 && x < i->width;
    return inside ? (double)from[((size_t)y * (size_t)i->width + (size_t)x) * (size_t)i->channels + (size_t)c]
                  : 0.0;
}

void sp_image_warp(const sp_dataset_info *i, const sp_image_draw *d, const float *from, float *to)
{
    const double angle = d->rotation * RADIANS, shear = tan(d->shear * RADIANS);
    const double middle_y = (i->height - 1) / 2.0, middle_x = (i->width - 1) / 2.0;
    for (int y = 0; y < i->height; y++)
        for (int x = 0; x < i->width; x++) {
            double v = y - middle_y - d->dy, u = x - middle_x - d->dx; /* back: shift, turn, scale, shear */
            double turned_x = (cos(angle) * u - sin(angle) * v) / d->scale;
            double turned_y = (sin(angle) * u + cos(angle) * v) / d->scale;
            double at_x = turned_x - shear * turned_y + middle_x, at_y = turned_y + middle_y;
            double row = floor(at_y), column = floor(at_x), part_y = at_y - row, part_x = at_x - column;
            int sy = (int)fmax(-2.0, fmin(row, i->height)), sx = (int)fmax(-2.0, fmin(column, i->width));
            for (int c = 0; c < i->channels; c++)
                *to++ = (float)((1.0 - part_y) * ((1.0 - part_x) * pixel(from, i, sy, sx, c) +
                                                  part_x * pixel(from, i, sy, sx + 1, c)) +
                                part_y * ((1.0 - part_x) * pixel(from, i, sy + 1, sx, c) +
                                          part_x * pixel(from, i, sy + 1, sx + 1, c)));
        }
}

/* ---- colour ---- */

static double clamp(double v)
{
    return v < 0.0 ? 0.0 : v > 1.0 ? 1.0 : v;
}

static double grey_of(const float *p, int channels)
{
    return channels == 3 ? RED * (double)p[0] + GREEN * (double)p[1] + BLUE * (double)p[2] : (double)p[0];
}

/* Turns the hue by `by` of a whole turn, in HSV. */
static void turn_hue(float p[3], double by)
{
    double r = (double)p[0], g = (double)p[1], b = (double)p[2], high = fmax(r, fmax(g, b)),
           lowest = fmin(r, fmin(g, b));
    double range = high - lowest, hue, part;
    if (!(range > 0.0))
        return;
    hue = high == r ? (g - b) / range : high == g ? 2.0 + (b - r) / range : 4.0 + (r - g) / range;
    hue = hue / 6.0 + by;
    hue = 6.0 * (hue - floor(hue));
    part = hue - floor(hue);
    double low = high - range, falling = high - range * part, rising = high - range * (1.0 - part);
    const double turned[6][3] = {{high, rising, low},  {falling, high, low}, {low, high, rising},
                                 {low, falling, high}, {rising, low, high},  {high, low, falling}};
    for (int c = 0; c < 3; c++)
        p[c] = (float)clamp(turned[(int)hue % 6][c]);
}

void sp_image_recolour(const sp_dataset_info *i, const sp_image_draw *d, float *x)
{
    size_t channels = (size_t)i->channels, pixels = sp_dataset_frame_items(i) / channels;
    double mean = 0.0;
    for (size_t k = 0; k < pixels * channels; k++)
        x[k] = (float)clamp((double)x[k] * d->brightness);
    for (size_t k = 0; k < pixels; k++)
        mean += grey_of(x + k * channels, i->channels) / (double)pixels;
    for (size_t k = 0; k < pixels * channels; k++)
        x[k] = (float)clamp(d->contrast * (double)x[k] + (1.0 - d->contrast) * mean);
    for (size_t k = 0; k < pixels && channels == 3; k++) {
        double grey = grey_of(x + 3 * k, 3);
        for (size_t c = 0; c < 3; c++)
            x[3 * k + c] = (float)clamp(d->saturation * (double)x[3 * k + c] + (1.0 - d->saturation) * grey);
        if (d->hue != 0.0)
            turn_hue(x + 3 * k, d->hue);
    }
}

/* ---- the set ---- */

static bool has_affine(const sp_augment *a)
{
    return a->rotation > 0.0 || a->translate > 0.0 || a->scale > 0.0 || a->shear > 0.0;
}

static bool has_colour(const sp_augment *a)
{
    return a->brightness > 0.0 || a->contrast > 0.0 || a->saturation > 0.0 || a->hue > 0.0;
}

bool sp_augment_is_late(const sp_augment *a)
{
    return has_affine(a) || has_colour(a) || a->erase > 0.0;
}

static void finish(const augmented *s, const sp_dataset_info *i, const sp_image_draw *d, float *x)
{
    size_t n = sp_dataset_frame_items(i), channels = (size_t)i->channels, width = (size_t)i->width;
    for (size_t k = 0; k < n; k++) {
        size_t c = s->normal.n == 1 ? 0 : k % channels, column = k / channels % width,
               row = k / channels / width;
        bool erased = row >= (size_t)d->top && row < (size_t)d->bottom && column >= (size_t)d->left &&
                      column < (size_t)d->right;
        x[k] = erased ? 0.0f : (x[k] - s->normal.mean[c]) * s->normal.scale[c];
    }
}

static sp_status check_range(const sp_dataset *ds, size_t index, const float *x, size_t n, sp_error *err)
{
    for (size_t k = 0; k < n; k++)
        if (!(x[k] >= 0.0f && x[k] <= 1.0f))
            return SP_FAIL(err, SP_E_DATA,
                           "data set \"%s\": sample %zu has a value of %g; colours of 0 to 1 can be changed, "
                           "so leave brightness, contrast, saturation and hue out of data.augment",
                           ds->info.name, index + 1, (double)x[k]);
    return SP_OK;
}

static sp_status augmented_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                               sp_error *err)
{
    const augmented *s = ds->state;
    const sp_dataset_info *i = &ds->info;
    size_t items = sp_dataset_frame_items(i);
    sp_rng r = sp_rng_make(s->seed, STREAM_IMAGE + sp_sample_pass(want));
    float *warped = has_affine(&s->augment) ? sp_alloc_array(items, sizeof *warped) : NULL;
    sp_status st = SP_OK;
    r.counter = (uint64_t)want.index << 20;
    sp_image_draw d = sp_image_draw_from(&s->augment, i, &r);
    if (has_affine(&s->augment) && !warped)
        return SP_FAIL(err, SP_E_MEMORY, "data set \"%s\": no memory for a sample", i->name);
    st = s->inner->get(s->inner, want, image, label, err);
    for (int t = 0; st == SP_OK && t < (i->frames ? i->frames : 1); t++, image += items) {
        if (warped) {
            sp_image_warp(i, &d, image, warped);
            memcpy(image, warped, items * sizeof *image);
        }
        if (has_colour(&s->augment)) {
            st = check_range(ds, want.index, image, items, err);
            sp_image_recolour(i, &d, image);
        }
        finish(s, i, &d, image);
    }
    sp_free(warped);
    return st;
}

sp_status sp_augment_wrap(const sp_dataset_options *o, sp_dataset **ds, sp_error *err)
{
    const sp_augment *a = &o->augment;
    sp_dataset *inner = *ds, *outer;
    sp_normal normal;
    augmented *s;
    int channels = inner->info.channels;
    if (has_colour(a) && channels != 3 && (channels != 1 || a->saturation > 0.0 || a->hue > 0.0))
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"%s\": augment: images of %d channels; brightness and contrast need 1 or "
                       "3, saturation and hue 3",
                       o->name, channels);
    SP_TRY(sp_normal_init(&normal, o, channels, err));
    outer = sp_alloc(sizeof *outer);
    s = sp_alloc(sizeof *s);
    if (!outer || !s) {
        sp_free(outer);
        sp_free(s);
        return SP_FAIL(err, SP_E_MEMORY, "data set \"%s\": out of memory", o->name);
    }
    *s = (augmented){.inner = inner, .augment = *a, .normal = normal, .seed = o->seed};
    *outer = (sp_dataset){.info = inner->info,
                          .get = augmented_get,
                          .label = spi_wrapped_label,
                          .target = spi_wrapped_target,
                          .source = spi_wrapped_source,
                          .close = spi_wrapped_close,
                          .state = s,
                          .class_names = inner->class_names};
    inner->class_names = NULL;
    *ds = outer;
    return SP_OK;
}
