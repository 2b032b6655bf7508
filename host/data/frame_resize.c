/* Frames of two polarities in another size, by antialiased bilinear filtering: every output pixel is the mean
 * of the input under a triangle as wide as two output pixels.
 *
 * The "pil" kind repeats, to the bit, what published DVS-CIFAR10 results did to their frames by turning each
 * into an 8-bit image of luminance (polarity 0) and alpha (polarity 1) and resizing that with Pillow:
 *   - a value v becomes the byte 255 v modulo 256, so that counts 0, 1, 2, 3 become 0, 255, 254, 253;
 *   - luminance is multiplied by alpha before and divided by it after, so that events of polarity 0 count
 * only as far as there are events of polarity 1 nearby;
 *   - weights have 22 bits after the point, and both passes round to bytes;
 *   - the result is the byte over 255. */
#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "data/events.h"

enum { FIXED_BITS = 22 };

/* One side: `in` pixels become `out`. */
typedef struct axis {
    int in, out, taps;
    int *first;      /* [out] first input pixel under the triangle */
    int *count;      /* [out] */
    double *weights; /* [out][taps], sum 1 */
    int32_t *fixed;  /* the same times 2^FIXED_BITS */
} axis;

struct sp_resize {
    sp_frame_resize_kind kind;
    axis rows, columns; /* of height, of width */
};

static void fill_weights(axis *a)
{
    double scale = (double)a->in / a->out, stretch = scale < 1.0 ? 1.0 : scale;
    for (int i = 0; i < a->out; i++) {
        double centre = (i + 0.5) * scale, sum = 0.0, *w = a->weights + (size_t)i * (size_t)a->taps;
        int first = (int)(centre - stretch + 0.5), end = (int)(centre + stretch + 0.5);
        first = first < 0 ? 0 : first;
        end = end > a->in ? a->in : end;
        for (int k = 0; k < end - first; k++) {
            double away = fabs((k + first - centre + 0.5) / stretch);
            w[k] = away < 1.0 ? 1.0 - away : 0.0;
            sum += w[k];
        }
        for (int k = 0; k < end - first; k++) {
            w[k] /= sum;
            a->fixed[(size_t)i * (size_t)a->taps + (size_t)k] = (int32_t)(0.5 + w[k] * (1 << FIXED_BITS));
        }
        a->first[i] = first;
        a->count[i] = end - first;
    }
}

static bool axis_init(axis *a, int in, int out)
{
    double scale = (double)in / out;
    size_t n = (size_t)out;
    *a = (axis){.in = in, .out = out, .taps = 2 * (int)ceil(scale < 1.0 ? 1.0 : scale) + 1};
    a->first = sp_alloc_array(n, sizeof *a->first);
    a->count = sp_alloc_array(n, sizeof *a->count);
    a->weights = sp_alloc_array(n * (size_t)a->taps, sizeof *a->weights);
    a->fixed = sp_alloc_array(n * (size_t)a->taps, sizeof *a->fixed);
    if (!a->first || !a->count || !a->weights || !a->fixed)
        return false;
    fill_weights(a);
    return true;
}

static void axis_fini(axis *a)
{
    sp_free(a->first);
    sp_free(a->count);
    sp_free(a->weights);
    sp_free(a->fixed);
}

sp_resize *sp_resize_create(sp_frame_resize_kind kind, int height, int width, int out)
{
    sp_resize *r = sp_alloc(sizeof *r);
    if (!r)
        return NULL;
    r->kind = kind;
    if (!axis_init(&r->rows, height, out) || !axis_init(&r->columns, width, out))
        sp_resize_destroy(&r);
    return r;
}

void sp_resize_destroy(sp_resize **rp)
{
    sp_resize *r = rp ? *rp : NULL;
    if (!r)
        return;
    axis_fini(&r->rows);
    axis_fini(&r->columns);
    sp_free(r);
    *rp = NULL;
}

size_t sp_resize_scratch_bytes(const sp_resize *r)
{
    size_t height = (size_t)r->rows.in, width = (size_t)r->columns.in, out = (size_t)r->rows.out;
    return r->kind == SP_RESIZE_PIL ? 2 * (height * width + height * out + out * out)
                                    : 2 * height * out * sizeof(float);
}

/* One pass along lines of pairs: line j of out[lines][out] from line j of in[lines][in]. The steps say how
 * far the next pixel of a line and the next line are, so that the same code goes along rows and columns. */
typedef struct steps {
    size_t in_pixel, in_line, out_pixel, out_line;
    int lines;
} steps;

static void pass_float(const axis *r, steps s, const float *in, float *out)
{
    for (int j = 0; j < s.lines; j++) {
        for (int i = 0; i < r->out; i++) {
            const double *w = r->weights + (size_t)i * (size_t)r->taps;
            const float *from = in + (size_t)j * s.in_line + (size_t)r->first[i] * s.in_pixel;
            float *to = out + (size_t)j * s.out_line + (size_t)i * s.out_pixel;
            double sum[2] = {0.0, 0.0};
            for (int k = 0; k < r->count[i]; k++, from += s.in_pixel) {
                sum[0] += w[k] * (double)from[0];
                sum[1] += w[k] * (double)from[1];
            }
            to[0] = (float)sum[0];
            to[1] = (float)sum[1];
        }
    }
}

/* Weights are not negative and sum to 1 within rounding, so a sum can exceed 255 by rounding only. */
static uint8_t to_byte(int32_t fixed)
{
    int32_t v = fixed >> FIXED_BITS;
    return (uint8_t)(v > 255 ? 255 : v);
}

static void pass_bytes(const axis *r, steps s, const uint8_t *in, uint8_t *out)
{
    for (int j = 0; j < s.lines; j++) {
        for (int i = 0; i < r->out; i++) {
            const int32_t *w = r->fixed + (size_t)i * (size_t)r->taps;
            const uint8_t *from = in + (size_t)j * s.in_line + (size_t)r->first[i] * s.in_pixel;
            uint8_t *to = out + (size_t)j * s.out_line + (size_t)i * s.out_pixel;
            int32_t sum[2] = {1 << (FIXED_BITS - 1), 1 << (FIXED_BITS - 1)};
            for (int k = 0; k < r->count[i]; k++, from += s.in_pixel) {
                sum[0] += w[k] * from[0];
                sum[1] += w[k] * from[1];
            }
            to[0] = to_byte(sum[0]);
            to[1] = to_byte(sum[1]);
        }
    }
}

static steps along_rows(const sp_resize *r)
{
    return (steps){2, 2 * (size_t)r->columns.in, 2, 2 * (size_t)r->columns.out, r->rows.in};
}

static steps along_columns(const sp_resize *r)
{
    return (steps){2 * (size_t)r->columns.out, 2, 2 * (size_t)r->columns.out, 2, r->columns.out};
}

/* A float to a byte as a C cast of a large enough integer does it. */
static uint8_t wrap_byte(float v)
{
    float scaled = v * 255.0f;
    return (uint8_t)(scaled > -1e9f && scaled < 1e9f ? (int64_t)scaled & 255 : 0);
}

static void premultiply(uint8_t *la, size_t pixels)
{
    for (size_t k = 0; k < pixels; k++, la += 2) {
        unsigned t = (unsigned)la[0] * la[1] + 128;
        la[0] = (uint8_t)((t + (t >> 8)) >> 8);
    }
}

static void divide_by_alpha(uint8_t *la, size_t pixels)
{
    for (size_t k = 0; k < pixels; k++, la += 2) {
        unsigned v;
        if (la[1] == 0 || la[1] == 255)
            continue;
        v = 255u * la[0] / la[1];
        la[0] = (uint8_t)(v > 255 ? 255 : v);
    }
}

static void frame_as_image(const sp_resize *r, const float *in, uint8_t *scratch, float *out)
{
    size_t height = (size_t)r->rows.in, out_side = (size_t)r->rows.out, n_out = out_side * out_side;
    size_t n = height * (size_t)r->columns.in;
    uint8_t *image = scratch, *narrow = image + 2 * n, *small = narrow + 2 * height * out_side;
    for (size_t k = 0; k < 2 * n; k++)
        image[k] = wrap_byte(in[k]);
    if (r->rows.in == r->rows.out &&
        r->columns.in == r->columns.out) { /* Pillow leaves an image of the right size alone */
        small = image;
    } else {
        premultiply(image, n);
        pass_bytes(&r->columns, along_rows(r), image, narrow);
        pass_bytes(&r->rows, along_columns(r), narrow, small);
        divide_by_alpha(small, n_out);
    }
    for (size_t k = 0; k < 2 * n_out; k++)
        out[k] = (float)small[k] / 255.0f;
}

void sp_resize_run(const sp_resize *r, int frames, const float *in, void *scratch, float *out)
{
    size_t in_items = 2 * (size_t)r->rows.in * (size_t)r->columns.in,
           out_items = 2 * (size_t)r->rows.out * (size_t)r->columns.out;
    for (int t = 0; t < frames; t++, in += in_items, out += out_items) {
        if (r->kind == SP_RESIZE_PIL) {
            frame_as_image(r, in, scratch, out);
        } else {
            pass_float(&r->columns, along_rows(r), in, scratch);
            pass_float(&r->rows, along_columns(r), scratch, out);
        }
    }
}
