/* Photos in folders: FOLDER/train/CLASS/x.jpg and FOLDER/val/CLASS/x.jpg (or test/). Classes are the folders
 * of train/ by name, for both splits. Samples are ordered as the first of every class, the second of every
 * class and so on, so that a limit keeps all classes. Only names are looked at when the set is opened; a file
 * is decoded each time it is asked for, and one that is damaged is an error then. */
#include <dirent.h>
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
#include "base/folder.h"
#include "data/image.h"
#include "data/readers.h"

enum { DEFAULT_SIZE = 224, MAX_SIZE = 4096, MAX_CLASSES = 65536 };
static const size_t most_file_bytes = (size_t)256 << 20;

typedef struct entry {
    size_t path; /* in paths */
    uint32_t rank;
    int32_t label;
} entry;

/* What one thread needs for one image; kept for the next one. */
typedef struct workspace {
    struct workspace *next;
    sp_image image;
    sp_resampler resampler;
    uint8_t *file, *sized; /* the file; [size][size][3] */
    size_t file_bytes, sized_bytes;
} workspace;

typedef struct images_state {
    sp_text paths; /* one after the other, each with its NUL */
    entry *entries;
    size_t n;
    int size, resize;
    sp_pixels form;
    pthread_mutex_t lock; /* guards idle */
    workspace *idle;
} images_state;

/* ---- what is there ---- */

static bool is_image(int at, const char *name, const void *ctx)
{
    const char *dot = strrchr(name, '.');
    (void)at, (void)ctx;
    return dot &&
           (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}

/* The name of the split's folder, or NULL. */
static const char *find_split(const char *folder, bool train)
{
    const char *name = NULL;
    DIR *d = opendir(folder);
    if (!d)
        return NULL;
    if (train)
        name = sp_name_is_folder(dirfd(d), "train", NULL) ? "train" : NULL;
    else
        name = sp_name_is_folder(dirfd(d), "val", NULL)    ? "val"
               : sp_name_is_folder(dirfd(d), "test", NULL) ? "test"
                                                           : NULL;
    closedir(d);
    return name;
}

bool sp_images_present(const char *folder, bool train)
{
    return find_split(folder, train) != NULL;
}

/* ---- open ---- */

static sp_status add_entry(images_state *s, const char *folder, const char *name, uint32_t rank,
                           int32_t label, sp_error *err)
{
    entry *added = sp_array_push(&s->entries, s->n, sizeof *added);
    if (!added)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while listing image files");
    s->n++;
    *added = (entry){.path = s->paths.n, .rank = rank, .label = label};
    sp_text_add(&s->paths, "%s/%s%c", folder, name, '\0');
    return s->paths.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory while listing image files") : SP_OK;
}

static sp_status add_class(images_state *s, const char *split, const char *name, int32_t label, sp_error *err)
{
    sp_names files = {0};
    char *folder = sp_format("%s/%s", split, name);
    sp_status st = folder ? sp_folder_list(folder, is_image, NULL, &files, err)
                          : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    if (st == SP_OK && files.n == 0)
        st = SP_FAIL(err, SP_E_DATA,
                     "%s: no .jpg, .jpeg or .png file in this class; fill the folder or remove it", folder);
    for (size_t i = 0; st == SP_OK && i < files.n; i++)
        st = add_entry(s, folder, files.items[i], (uint32_t)i, label, err);
    sp_names_free(&files);
    sp_free(folder);
    return st;
}

/* Every class folder of the split, labelled by its place among the classes. */
static sp_status add_split(images_state *s, const char *split, const sp_names *classes, sp_error *err)
{
    sp_names found = {0};
    sp_status st = sp_folder_list(split, sp_name_is_folder, NULL, &found, err);
    for (size_t i = 0; st == SP_OK && i < found.n; i++) {
        char **class_ =
            bsearch(&found.items[i], classes->items, classes->n, sizeof *classes->items, sp_names_compare);
        st = class_ ? add_class(s, split, *class_, (int32_t)(class_ - classes->items), err)
                    : SP_FAIL(err, SP_E_DATA, "%s/%s: the training split has no class of this name", split,
                              found.items[i]);
    }
    if (st == SP_OK && s->n == 0)
        st = SP_FAIL(err, SP_E_DATA,
                     "%s: no class folders with images in it; it must hold CLASS/*.jpg or .png", split);
    sp_names_free(&found);
    return st;
}

static int by_rank(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return x->label < y->label ? -1 : x->label > y->label;
}

static sp_status scan(images_state *s, const char *folder, bool train, sp_dataset *ds, sp_error *err)
{
    sp_names classes = {0};
    const char *name = find_split(folder, train), *names_from = find_split(folder, true) ? "train" : name;
    char *split = NULL, *class_folder = NULL;
    sp_status st;
    if (!name)
        return SP_FAIL(err, SP_E_DATA, "%s: no %s folder", folder, train ? "train" : "val or test");
    split = sp_format("%s/%s", folder, name);
    class_folder = sp_format("%s/%s", folder, names_from);
    if (!split || !class_folder)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", folder));
    SP_TRY_GOTO(sp_folder_list(class_folder, sp_name_is_folder, NULL, &classes, err));
    if (classes.n == 0 || classes.n > MAX_CLASSES)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_DATA, "%s: %zu class folders; there must be 1 to %d", class_folder,
                            classes.n, MAX_CLASSES));
    SP_TRY_GOTO(add_split(s, split, &classes, err));
    qsort(s->entries, s->n, sizeof *s->entries, by_rank);
    ds->info.classes = (int)classes.n;
    ds->class_names = classes.items;
    classes = (sp_names){0};
done:
    sp_names_free(&classes);
    sp_free(split);
    sp_free(class_folder);
    return st;
}

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
    return s->entries[i].label;
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
    st = load(s, w, s->paths.s + s->entries[want.index].path, &r, err);
    if (st == SP_OK) {
        sp_pixel_draw d = sp_pixels_draw(&s->form, &r);
        sp_pixels_write(&s->form, (sp_pixel_source){w->sized, 3, 1}, &d, image);
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
    sp_text_free(&s->paths);
    sp_free(s->entries);
    sp_free(s);
}

static void images_close(sp_dataset *ds)
{
    state_free(ds->state);
}

sp_status sp_images_open(const char *folder, int classes, const sp_dataset_options *o, sp_dataset *ds,
                         sp_error *err)
{
    images_state *s = sp_alloc(sizeof *s);
    sp_status st;
    (void)classes; /* the folders say it */
    if (!s)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", folder);
    pthread_mutex_init(&s->lock, NULL);
    st = read_sizes(s, o, err);
    if (st == SP_OK)
        st = scan(s, folder, o->train, ds, err);
    if (st != SP_OK) {
        state_free(s);
        return st;
    }
    ds->info = (sp_dataset_info){
        .count = s->n, .classes = ds->info.classes, .channels = 3, .height = s->size, .width = s->size};
    ds->state = s;
    ds->get = images_get;
    ds->label = images_label;
    ds->close = images_close;
    return SP_OK;
}
