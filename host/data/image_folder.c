/* Photos: class folders or a CSV table, as file_list.h has it. Only names are looked at when the set is
 * opened; a file is decoded each time it is asked for, and one that is damaged is an error then. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/file_list.h"
#include "data/image.h"
#include "data/readers.h"

enum { DEFAULT_SIZE = 224, MAX_SIZE = 4096 };
static const size_t most_file_bytes = (size_t)256 << 20;

/* What one thread needs for one image; kept for the next one. */
typedef struct workspace {
    struct workspace *next;
    sp_image image;
    sp_resampler resampler;
    uint8_t *file, *sized; /* the file; [size][size][3] */
    size_t file_bytes, sized_bytes;
} workspace;

typedef struct images_state {
    sp_file_list files;
    int size, resize;
    sp_pixels form;
    pthread_mutex_t lock; /* guards idle */
    workspace *idle;
} images_state;

/* ---- what is there ---- */

bool sp_name_is_image(int at, const char *name, const void *ctx)
{
    const char *dot = strrchr(name, '.');
    (void)at, (void)ctx;
    return dot &&
           (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}

unsigned sp_images_parts(const sp_kind *kind, const char *folder, const sp_dataset_options *o)
{
    (void)kind;
    return sp_own_files_parts(folder, sp_name_is_image, NULL, o->targets);
}

/* ---- open ---- */

static sp_status read_sizes(images_state *s, const sp_dataset_options *o, sp_error *err)
{
    if (o->size < 0 || o->size > MAX_SIZE || o->resize < 0 || o->resize > MAX_SIZE)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"images\": size %d and resize %d; choose 1 to %d, or 0 for the default",
                       o->size, o->resize, MAX_SIZE);
    s->size = o->size ? o->size : DEFAULT_SIZE;
    s->resize = o->resize ? o->resize : SP_IMAGE_RESIZE(s->size);
    if (s->resize < s->size)
        return SP_FAIL(err, SP_E_CONFIG,
                       "data set \"images\": resize is %d, less than size, which is %d: the crop would not "
                       "fit",
                       s->resize, s->size);
    return sp_pixels_init(&s->form, o, s->size, s->size, 3, err);
}

/* ---- read ---- */

static workspace *take_workspace(images_state *s)
{
    workspace *w;
    pthread_mutex_lock(&s->lock);
    w = s->idle;
    if (w)
        s->idle = w->next;
    pthread_mutex_unlock(&s->lock);
    return w ? w : sp_alloc(sizeof *w);
}

static void give_workspace(images_state *s, workspace *w)
{
    pthread_mutex_lock(&s->lock);
    w->next = s->idle;
    s->idle = w;
    pthread_mutex_unlock(&s->lock);
}

static sp_status read_file(workspace *w, const char *path, size_t *n, sp_error *err)
{
    struct stat info;
    FILE *f = sp_file_stream(path, err);
    if (!f)
        return sp_error_as(err, SP_E_DATA);
    *n =
        fstat(fileno(f), &info) == 0 ? (size_t)info.st_size : 0; /* an empty one is the decoder's to refuse */
    sp_status st = *n > most_file_bytes
                       ? SP_FAIL(err, SP_E_DATA, "%s: %zu bytes; image files of up to %zu are read", path, *n,
                                 most_file_bytes)
                       : sp_image_room(&w->file, &w->file_bytes, *n, path, err);
    if (st == SP_OK)
        *n = fread(w->file, 1, *n, f); /* a shorter file is the decoder's to refuse */
    fclose(f);
    return st;
}

static sp_status load(const images_state *s, workspace *w, const char *path, sp_rng *r, sp_error *err)
{
    double least = s->form.augment.resized_crop;
    sp_resize_window window;
    size_t n = 0;
    SP_TRY(read_file(w, path, &n, err));
    SP_TRY(sp_image_decode(&w->image, path, w->file, n, err));
    if (least > 0.0)
        window = (sp_resize_window){.part = sp_part_draw(w->image.height, w->image.width, least, r),
                                    .full_height = s->size,
                                    .full_width = s->size,
                                    .height = s->size,
                                    .width = s->size};
    else
        window = sp_resize_centre(w->image.height, w->image.width, s->resize, s->size);
    SP_TRY(sp_image_room(&w->sized, &w->sized_bytes, (size_t)s->size * (size_t)s->size * 3, path, err));
    return sp_image_resize(&w->resampler, &w->image, &window, w->sized, err);
}

static int32_t images_label(const sp_dataset *ds, size_t i)
{
    const images_state *s = ds->state;
    return s->files.items[i].label;
}

static void images_target(const sp_dataset *ds, size_t i, float *out)
{
    const images_state *s = ds->state;
    sp_file_list_target(&s->files, i, out);
}

static sp_status images_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                            sp_error *err)
{
    images_state *s = ds->state;
    sp_rng r = sp_augment_rng(s->form.seed, want);
    workspace *w;
    sp_status st;
    if (want.index >= ds->info.count)
        return SP_FAIL(err, SP_E_DATA, "sample %zu of data set \"%s\", which has %zu", want.index,
                       ds->info.name, ds->info.count);
    w = take_workspace(s);
    if (!w)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading images");
    st = load(s, w, s->files.items[want.index].path, &r, err);
    if (st == SP_OK) {
        sp_pixel_draw d = sp_pixels_draw(&s->form, &r);
        sp_pixels_write(&s->form, (sp_pixel_source){w->sized, 3, 1, 0}, &d, image);
        *label = images_label(ds, want.index);
    }
    give_workspace(s, w);
    return st;
}

static void state_free(images_state *s)
{
    while (s->idle) {
        workspace *w = s->idle;
        s->idle = w->next;
        sp_image_free(&w->image);
        sp_resampler_free(&w->resampler);
        sp_free(w->file);
        sp_free(w->sized);
        sp_free(w);
    }
    pthread_mutex_destroy(&s->lock);
    sp_file_list_free(&s->files);
    sp_free(s);
}

static void images_source(const sp_dataset *ds, size_t i, sp_text *out)
{
    const images_state *s = ds->state;
    sp_text_add(out, "%s", s->files.items[i].path);
}

static void images_close(sp_dataset *ds)
{
    state_free(ds->state);
}

sp_status sp_images_open(const sp_kind *kind, const char *folder, const sp_dataset_options *o, sp_dataset *ds,
                         sp_error *err)
{
    const sp_class_layout layout = {.wanted = sp_name_is_image,
                                    .what = ".jpg, .jpeg or .png files",
                                    .targets = o->targets,
                                    .least_classes = 1};
    images_state *s = sp_alloc(sizeof *s);
    sp_status st;
    (void)kind;
    if (!s)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", folder);
    pthread_mutex_init(&s->lock, NULL);
    st = read_sizes(s, o, err);
    if (st == SP_OK)
        st = sp_list_own_files(folder, layout, o->train, o->whole, &s->files, err);
    if (st != SP_OK) {
        state_free(s);
        return st;
    }
    ds->info = (sp_dataset_info){.count = s->files.n,
                                 .classes = s->files.classes,
                                 .targets = s->files.n_targets,
                                 .channels = 3,
                                 .height = s->size,
                                 .width = s->size};
    ds->class_names = s->files.class_names;
    s->files.class_names = NULL;
    ds->state = s;
    ds->get = images_get;
    ds->source = images_source;
    ds->label = images_label;
    ds->target = images_target;
    ds->close = images_close;
    return SP_OK;
}
