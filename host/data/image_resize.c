/* Resampling of 8-bit RGB images, as Pillow does it, so that a network sees the same pixels as in the
 * published experiments: triangle filter as wide as the scale, weights of 22 bits after the point, rows
 * first, rounded to bytes, then columns. Only what the window needs is computed. */
#include <math.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "data/image.h"

enum { BITS = 22, CHANNELS = 3 };

/* One axis: `in` pixels from `from` on become `out`, of which first..first+n-1 are wanted. */
typedef struct axis {
    int in, out, first, n;
    int window; /* weights of one output pixel */
    double scale, support;
} axis;

static axis make_axis(int in, int out, int first, int n)
{
    axis a = {.in = in, .out = out, .first = first, .n = n, .scale = (double)in / out};
    a.support = a.scale < 1.0 ? 1.0 : a.scale;
    a.window = (int)ceil(a.support) * 2 + 1;
    return a;
}

static sp_status room(sp_resampler *r, size_t n_bounds, size_t n_weights, sp_error *err)
{
    if (n_bounds > r->bounds_cap) {
        sp_free(r->bounds);
        r->bounds = sp_alloc_array(n_bounds, sizeof *r->bounds);
        r->bounds_cap = r->bounds ? n_bounds : 0;
    }
    if (n_weights > r->weights_cap) {
        sp_free(r->weights);
        r->weights = sp_alloc_array(n_weights, sizeof *r->weights);
        r->weights_cap = r->weights ? n_weights : 0;
    }
    return r->bounds && r->weights ? SP_OK
                                   : SP_FAIL(err, SP_E_MEMORY, "out of memory while resizing an image");
}

static double triangle(const axis *a, int i, double centre)
{
    return fmax(0.0, 1.0 - fabs((i - centre + 0.5) * (1.0 / a->support)));
}

/* Bounds and weights of output pixel first + k, for each k. */
static sp_status make_weights(sp_resampler *r, const axis *a, sp_error *err)
{
    SP_TRY(room(r, 2 * (size_t)a->n, (size_t)a->n * (size_t)a->window, err));
    for (int k = 0; k < a->n; k++) {
        double centre = (a->first + k + 0.5) * a->scale, sum = 0.0;
        int low = (int)(centre - a->support + 0.5), high = (int)(centre + a->support + 0.5);
        int32_t *weights = r->weights + (size_t)k * (size_t)a->window;
        low = low < 0 ? 0 : low;
        high = high > a->in ? a->in : high;
        for (int i = low; i < high; i++)
            sum += triangle(a, i, centre);
        for (int i = low; i < high; i++)
            weights[i - low] = (int32_t)(0.5 + triangle(a, i, centre) / sum * (1 << BITS));
        r->bounds[2 * k] = low;
        r->bounds[2 * k + 1] = high - low;
    }
    return SP_OK;
}

static uint8_t rounded(int64_t sum)
{
    int64_t v = (sum + (1 << (BITS - 1))) >> BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Weighted sums of n pixels that lie `step` bytes apart. */
static void blend(const uint8_t *from, size_t step, const int32_t *weights, int n, uint8_t out[CHANNELS])
{
    int32_t sum[CHANNELS] = {0}; /* below 2^31: weights sum to about 2^22, bytes are below 2^8 */
    for (int i = 0; i < n; i++, from += step)
        for (int c = 0; c < CHANNELS; c++)
            sum[c] += from[c] * weights[i];
    for (int c = 0; c < CHANNELS; c++)
        out[c] = rounded(sum[c]);
}

/* The rows that the columns' windows touch, resized in x: r->rows [n][width][3]. */
static sp_status resize_rows(sp_resampler *r, const sp_image *im, const sp_resize_window *w, int first, int n,
                             sp_error *err)
{
    axis a = make_axis(w->part.width, w->full_width, w->left, w->width);
    SP_TRY(sp_image_room(&r->rows, &r->rows_bytes, (size_t)n * (size_t)w->width * CHANNELS, "an image", err));
    SP_TRY(make_weights(r, &a, err));
    for (int y = 0; y < n; y++) {
        const uint8_t *row =
            im->rgb +
            ((size_t)(w->part.top + first + y) * (size_t)im->width + (size_t)w->part.left) * CHANNELS;
        uint8_t *out = r->rows + (size_t)y * (size_t)w->width * CHANNELS;
        for (int x = 0; x < w->width; x++)
            blend(row + (size_t)r->bounds[2 * x] * CHANNELS, CHANNELS,
                  r->weights + (size_t)x * (size_t)a.window, r->bounds[2 * x + 1],
                  out + (size_t)x * CHANNELS);
    }
    return SP_OK;
}

sp_status sp_image_resize(sp_resampler *r, const sp_image *im, const sp_resize_window *w, uint8_t *out,
                          sp_error *err)
{
    axis a = make_axis(w->part.height, w->full_height, w->top, w->height);
    size_t row_bytes = (size_t)w->width * CHANNELS;
    int first, last;
    SP_TRY(make_weights(r, &a, err));
    first = r->bounds[0];
    last = r->bounds[2 * (a.n - 1)] + r->bounds[2 * (a.n - 1) + 1];
    SP_TRY(resize_rows(r, im, w, first, last - first, err));
    SP_TRY(make_weights(r, &a, err));
    for (int y = 0; y < w->height; y++) {
        const uint8_t *from = r->rows + (size_t)(r->bounds[2 * y] - first) * row_bytes;
        for (int x = 0; x < w->width; x++, out += CHANNELS)
            blend(from + (size_t)x * CHANNELS, row_bytes, r->weights + (size_t)y * (size_t)a.window,
                  r->bounds[2 * y + 1], out);
    }
    return SP_OK;
}

/* Half to even, as Python's round(). */
static int middle(int all, int part)
{
    return (int)nearbyint((all - part) / 2.0);
}

sp_resize_window sp_resize_centre(int height, int width, int shorter, int side)
{
    sp_resize_window w = {.part = {0, 0, height, width}, .height = side, .width = side};
    if (width <= height) {
        w.full_width = shorter;
        w.full_height = (int)((int64_t)shorter * height / width);
    } else {
        w.full_height = shorter;
        w.full_width = (int)((int64_t)shorter * width / height);
    }
    w.top = middle(w.full_height, side);
    w.left = middle(w.full_width, side);
    return w;
}

void sp_resampler_free(sp_resampler *r)
{
    sp_free(r->bounds);
    sp_free(r->weights);
    sp_free(r->rows);
    memset(r, 0, sizeof *r);
}
