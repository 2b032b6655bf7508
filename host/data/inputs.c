/* A list of files as one data set. Files of several samples are opened when they are listed, pictures when
 * they are asked for. What is wrong with a file is the error of its sample, and the others go on. */
#include "data/inputs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "config/npy.h"
#include "data/array.h"
#include "data/events.h"
#include "data/image.h"
#include "data/readers.h"

typedef struct source {
    sp_dataset *set; /* of a file that a data set's own reader takes */
    sp_tensor array; /* of an .npy file; else no data */
    void *memory;
    sp_error *failure; /* why the file cannot be read; the sample's error */
} source;

typedef struct inputs_state {
    const sp_input *items;
    size_t *from; /* [count]: the sample's source */
    source *sources;
    size_t n_sources;
    sp_dataset_options o;
    sp_normal normal;
    const sp_kind *kind;
    bool events, photos; /* photos: `resize` and `size` of the options hold */
    bool pixels;         /* bytes of arrays are pixels, through `form` */
    sp_pixels form;
    sp_image image; /* one thread: predictions read one sample after the other */
    sp_resampler resampler;
    uint8_t *sized;
    size_t sized_bytes;
} inputs_state;

/* ---- arrays ---- */

/* Whether the dimensions from `first` on are those of a sample; those of one item do not count. */
static bool is_sample(const sp_tensor *a, int first, const sp_dataset_info *i)
{
    const int64_t sample[4] = {i->frames ? i->frames : 1, i->channels, i->height, i->width};
    int k = 0;
    for (int d = first; d < a->n_dims; d++) {
        if (a->shape[d] == 1)
            continue;
        while (k < 4 && sample[k] == 1)
            k++;
        if (k == 4 || sample[k++] != a->shape[d])
            return false;
    }
    while (k < 4 && sample[k] == 1)
        k++;
    return k == 4;
}

/* Samples that an array holds: itself, or as many as its first dimension says. */
static sp_status count_samples(const sp_tensor *a, const sp_dataset_info *i, size_t *n, sp_error *err)
{
    *n = is_sample(a, 0, i) ? 1 : a->n_dims > 0 && is_sample(a, 1, i) ? (size_t)a->shape[0] : 0;
    if (*n)
        return SP_OK;
    sp_text shape = {0};
    for (int d = 0; d < a->n_dims; d++)
        sp_text_add(&shape, "%s%lld", d ? "," : "", (long long)a->shape[d]);
    sp_text_add(&shape, "), but a sample is (");
    if (i->frames)
        sp_text_add(&shape, "%d,", i->frames);
    sp_status st = SP_FAIL(err, SP_E_DATA,
                           "%s: an array of shape (%s%d,%d,%d) (%schannels, height, width), and several of "
                           "them have their number in front",
                           a->name, shape.s ? shape.s : "", i->channels, i->height, i->width,
                           i->frames ? "time steps, " : "");
    sp_text_free(&shape);
    return st;
}

/* A whole number is what the files of the data set hold, a pixel or a count of events, and is normalised;
 * other numbers are what the network takes. */
static sp_status to_input(const inputs_state *s, bool whole, size_t c, float *x, sp_error *err)
{
    size_t entry = s->normal.n == 1 ? 0 : c % (size_t)s->normal.n;
    if (whole && s->pixels && (*x < 0 || *x > 255))
        return SP_FAIL(err, SP_E_DATA,
                       "%g is no pixel: whole numbers are 0 to 255; what is the network's input already is "
                       "an array of floating-point numbers",
                       (double)*x);
    if (whole)
        *x = s->pixels ? s->form.value[c][(int)*x] : (*x - s->normal.mean[entry]) * s->normal.scale[entry];
    return isfinite(*x) ? SP_OK : SP_FAIL(err, SP_E_DATA, "a number that is not finite");
}

/* Sample `at` of the array, from channels first to channels last. */
static sp_status array_get(const inputs_state *s, const sp_tensor *a, size_t at, const sp_dataset_info *i,
                           float *out, sp_error *err)
{
    size_t pixels = (size_t)i->height * (size_t)i->width, channels = (size_t)i->channels,
           n = (i->frames ? (size_t)i->frames : 1) * pixels * channels,
           step = a->bytes / (size_t)sp_tensor_elems(a);
    sp_tensor sample = *a;
    sample.data = (const char *)a->data + at * n * step;
    sample.bytes = n * step;
    float *x = sp_alloc_array(n, sizeof *x);
    sp_status st = x ? sp_tensor_to_f32(&sample, x, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    for (size_t k = 0; k < n && st == SP_OK; k++) {
        size_t c = k / pixels % channels;
        st = to_input(s, a->dtype[0] != 'F', c, &x[k], err);
        if (st != SP_OK)
            sp_error_prefix(err, st, "%s: sample %zu, element %zu: ", a->name, at + 1, k);
        out[(k / (pixels * channels) * pixels + k % pixels) * channels + c] = x[k];
    }
    sp_free(x);
    return st;
}

/* ---- pictures ---- */

/* All of the smaller side, the middle of the other; of photo folders the recipe's own resizing. */
static sp_resize_window window_of(const inputs_state *s, const sp_dataset_info *i)
{
    const int h = s->image.height, w = s->image.width;
    if (s->photos || i->height == i->width)
        return sp_resize_centre(h, w, s->photos ? s->o.resize : i->height, i->height);
    bool wide = (int64_t)w * i->height > (int64_t)h * i->width;
    sp_resize_window r = {.part = {0, 0, h, w}, .height = i->height, .width = i->width};
    r.full_height = wide ? i->height : (int)((int64_t)h * i->width / w);
    r.full_width = wide ? (int)((int64_t)w * i->height / h) : i->width;
    r.full_height = r.full_height < i->height ? i->height : r.full_height;
    r.full_width = r.full_width < i->width ? i->width : r.full_width;
    r.top = (r.full_height - i->height) / 2;
    r.left = (r.full_width - i->width) / 2;
    return r;
}

/* As Pillow's convert("L"); grey stays what it is. In place: byte i is written after pixel i was read. */
static void make_grey(uint8_t *rgb, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++)
        rgb[i] =
            (uint8_t)((rgb[3 * i] * 19595u + rgb[3 * i + 1] * 38470u + rgb[3 * i + 2] * 7471u + 0x8000u) >>
                      16);
}

static sp_status picture_get(inputs_state *s, const char *path, const sp_dataset_info *i, float *out,
                             sp_error *err)
{
    size_t pixels = (size_t)i->height * (size_t)i->width, n = 0;
    uint8_t *bytes = NULL;
    SP_TRY(sp_recording_read(path, &bytes, &n, err));
    sp_status st = sp_image_decode(&s->image, path, bytes, n, err);
    sp_free(bytes);
    SP_TRY(st);
    SP_TRY(sp_image_room(&s->sized, &s->sized_bytes, pixels * 3, path, err));
    sp_resize_window window = window_of(s, i);
    SP_TRY(sp_image_resize(&s->resampler, &s->image, &window, s->sized, err));
    if (i->channels == 1)
        make_grey(s->sized, pixels);
    const sp_pixel_draw as_it_is = {0};
    sp_pixels_write(&s->form, (sp_pixel_source){s->sized, (size_t)i->channels, 1, 0}, &as_it_is, out);
    return SP_OK;
}

/* ---- the data set ---- */

static sp_status inputs_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                            sp_error *err)
{
    inputs_state *s = ds->state;
    const sp_input *in = &s->items[want.index];
    const source *from = &s->sources[s->from[want.index]];
    *label = -1;
    if (from->failure) {
        *err = *from->failure;
        return err->status;
    }
    if (from->array.data)
        return array_get(s, &from->array, in->at, &ds->info, image, err);
    if (!from->set)
        return picture_get(s, in->path, &ds->info, image, err);
    int32_t unknown;
    return from->set->get(from->set, (sp_sample_request){.index = in->at}, image, &unknown, err);
}

static int32_t inputs_label(const sp_dataset *ds, size_t i)
{
    (void)ds, (void)i;
    return -1;
}

static void inputs_free(sp_dataset *ds)
{
    inputs_state *s = ds->state;
    for (size_t i = 0; i < s->n_sources; i++) {
        sp_dataset_close(&s->sources[i].set);
        sp_npy_free(&s->sources[i].array, &s->sources[i].memory);
        sp_free(s->sources[i].failure);
    }
    sp_free(s->sources);
    sp_free(s->from);
    sp_image_free(&s->image);
    sp_resampler_free(&s->resampler);
    sp_free(s->sized);
    sp_free(s);
}

static sp_status check_shape(const sp_dataset_info *a, const sp_dataset_info *b, const char *path,
                             sp_error *err)
{
    if (a->channels == b->channels && a->height == b->height && a->width == b->width)
        return SP_OK;
    return SP_FAIL(err, SP_E_DATA,
                   "%s: its samples are %dx%dx%d, the network takes %dx%dx%d (channels x height "
                   "x width)",
                   path, a->channels, a->height, a->width, b->channels, b->height, b->width);
}

/* What the first bytes say: the reader of pictures has the last word. */
typedef enum { AN_ARRAY, IDX_IMAGES, ANOTHER } file_kind;
static sp_status find_kind(const char *path, file_kind *kind, sp_error *err)
{
    unsigned char head[6] = {0};
    FILE *f = sp_file_stream(path, err);
    if (!f)
        return sp_error_as(err, SP_E_DATA);
    bool whole = fread(head, 1, sizeof head, f) == sizeof head;
    fclose(f);
    bool idx = memcmp(head, "\0\0\x08\x03", 4) == 0 || memcmp(head, "\x1f\x8b", 2) == 0;
    *kind = !whole ? ANOTHER : memcmp(head, "\x93NUMPY", 6) == 0 ? AN_ARRAY : idx ? IDX_IMAGES : ANOTHER;
    return SP_OK;
}

/* Opens what has several samples, or needs the reader of its set. */
static sp_status open_source(inputs_state *s, const char *path, const sp_dataset_info *shape, source *out,
                             size_t *n, sp_error *err)
{
    file_kind kind = ANOTHER;
    SP_TRY(find_kind(path, &kind, err));
    bool arrays = sp_dataset_takes(s->o.name, SP_TAKES_ARRAYS) && sp_path_has_arrays(path);
    if (kind == AN_ARRAY && !arrays) {
        SP_TRY(sp_npy_read(path, &out->array, &out->memory, err));
        return count_samples(&out->array, shape, n, err);
    }
    if (kind == ANOTHER && !s->events && !arrays)
        return s->pixels
                   ? SP_OK
                   : SP_FAIL(err, SP_E_DATA, "%s: no .npy array, and data set \"%s\" has no other files",
                             path, s->o.name);
    sp_dataset_options o = s->o;
    sp_dataset *set = sp_alloc(sizeof *set);
    o.file = path;
    if (!set)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    sp_status st = s->events || arrays ? s->kind->open(s->kind, NULL, &o, set, err)
                                       : sp_idx_open_images(shape->classes, &o, set, err);
    if (st != SP_OK) {
        sp_free(set);
        return st;
    }
    out->set = set;
    snprintf(set->info.name, sizeof set->info.name, "%s", o.name);
    *n = set->info.count;
    return check_shape(&set->info, shape, path, err);
}

static sp_status add_file(sp_inputs *in, inputs_state *s, sp_dataset_info *info, const char *path,
                          sp_error *err)
{
    source *from = &s->sources[s->n_sources++];
    sp_error failure = {0};
    size_t n = 1;
    if (open_source(s, path, info, from, &n, &failure) != SP_OK) {
        from->failure = sp_alloc(sizeof failure);
        n = 1;
        if (from->failure)
            *from->failure = failure;
    }
    for (size_t k = 0; k < n; k++) {
        sp_input *item = sp_array_push(&in->items, info->count, sizeof *item);
        size_t *at = item ? sp_array_push(&s->from, info->count, sizeof *at) : NULL;
        if (!at || (failure.status != SP_OK && !from->failure))
            return SP_FAIL(err, SP_E_MEMORY, "out of memory for the list of inputs");
        *item = (sp_input){.path = path, .at = k, .of = n};
        *at = s->n_sources - 1;
        info->count++;
    }
    return SP_OK;
}

/* Whether pictures can be inputs, and how they become numbers. */
static sp_status prepare(inputs_state *s, const sp_dataset_info *shape, sp_error *err)
{
    s->kind = spi_kind_find(s->o.name);
    s->events = sp_dataset_takes(s->o.name, SP_TAKES_EVENTS);
    s->photos = strcmp(s->o.name, "images") == 0;
    s->pixels = !s->events && !sp_dataset_takes(s->o.name, SP_TAKES_SHAPE) &&
                (shape->channels == 1 || shape->channels == 3);
    s->o.events.no_cache = true;
    s->o.train = 0;
    s->o.size = s->photos || s->events ? s->o.size : 0;
    if (s->photos && !s->o.resize)
        s->o.resize = SP_IMAGE_RESIZE(shape->height);
    SP_TRY(sp_normal_init(&s->normal, &s->o, shape->channels, err));
    return s->pixels ? sp_pixels_init(&s->form, &s->o, shape->height, shape->width, shape->channels, err)
                     : SP_OK;
}

sp_status sp_inputs_open(const sp_dataset_options *o, const sp_dataset_info *shape, const char *const *paths,
                         size_t n, sp_inputs *out, sp_error *err)
{
    inputs_state *s = sp_alloc(sizeof *s);
    *out = (sp_inputs){.set = s ? sp_alloc(sizeof *out->set) : NULL};
    if (!out->set) {
        sp_free(s);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the list of inputs");
    }
    sp_dataset *ds = out->set;
    *ds = (sp_dataset){
        .info = *shape, .state = s, .get = inputs_get, .label = inputs_label, .close = inputs_free};
    ds->info.count = 0;
    ds->info.targets = 0; /* nobody knows them */
    if (o->encoding != SP_ENCODE_NONE)
        ds->info.frames = 0; /* they are the encoder's */
    s->o = *o;
    if (s->o.std == 0.0)
        s->o.std = 1.0;
    s->sources = sp_alloc_array(n, sizeof *s->sources);
    SP_TRY(s->sources ? prepare(s, &ds->info, err)
                      : SP_FAIL(err, SP_E_MEMORY, "out of memory for the list of inputs"));
    for (size_t i = 0; i < n; i++)
        SP_TRY(add_file(out, s, &ds->info, paths[i], err));
    s->items = out->items;
    return o->encoding != SP_ENCODE_NONE ? sp_encode_wrap(&s->o, &out->set, err) : SP_OK;
}

void sp_inputs_close(sp_inputs *in)
{
    sp_dataset_close(&in->set);
    sp_free(in->items);
    *in = (sp_inputs){0};
}

sp_status sp_inputs_shape(const sp_dataset_options *o, const char *path, sp_dataset_info *out, sp_error *err)
{
    const sp_kind *kind = spi_kind_find(o->name);
    sp_dataset_options one = *o;
    one.file = path;
    one.train = 0;
    sp_dataset *set = sp_alloc(sizeof *set);
    if (!set)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    sp_status st = kind->open(kind, NULL, &one, set, err);
    if (st != SP_OK) {
        sp_free(set);
        return st;
    }
    *out = set->info;
    snprintf(out->name, sizeof out->name, "%s", o->name);
    sp_dataset_close(&set);
    return SP_OK;
}
