/* CIFAR-10 and CIFAR-100 in the binary version: records of one label byte (CIFAR-100: coarse, then fine; the
 * fine one is used) and 32x32 red, green and blue planes, nothing else. Files are read whole and checked at
 * open, so that reading a sample later cannot fail. The count comes from the size, so a part of a batch is a
 * good file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "data/augment.h"
#include "data/readers.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, MAX_FILES = 5, MAX_RECORDS = 1 << 20 };
#define AGAIN "fetch it again (datasets/README.md)"

/* Both archives unpack into a folder of their own; a path to the one above is as good. */
typedef struct layout {
    const char *inner;
    const char *train[MAX_FILES], *test;
    size_t label_bytes; /* the last one counts */
} layout;

static const layout cifar10 = {"cifar-10-batches-bin",
                               {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                "data_batch_4.bin", "data_batch_5.bin"},
                               "test_batch.bin",
                               1};
static const layout cifar100 = {"cifar-100-binary", {"train.bin"}, "test.bin", 2};

typedef struct cifar_state {
    uint8_t *records;
    size_t record_bytes;
    sp_pixels form;
} cifar_state;

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* FOLDER/NAME or FOLDER/INNER/NAME, whichever is there; NULL: neither, or no memory. */
static char *find_file(const char *folder, const layout *l, const char *name)
{
    char *path = sp_format("%s/%s", folder, name);
    if (path && is_file(path))
        return path;
    sp_free(path);
    path = sp_format("%s/%s/%s", folder, l->inner, name);
    if (path && is_file(path))
        return path;
    sp_free(path);
    return NULL;
}

static bool present(const char *folder, const layout *l, bool train)
{
    char *path = find_file(folder, l, train ? l->train[0] : l->test);
    sp_free(path);
    return path != NULL;
}

static const layout *layout_of(const sp_kind *kind)
{
    return kind->classes == 10 ? &cifar10 : &cifar100;
}

unsigned sp_cifar_parts(const sp_kind *kind, const char *folder, const sp_dataset_options *o)
{
    const layout *l = layout_of(kind);
    (void)o;
    return (present(folder, l, true) ? SP_PART_TRAIN : 0u) | (present(folder, l, false) ? SP_PART_TEST : 0u);
}

static sp_status check_labels(const char *path, const uint8_t *records, size_t n, size_t record_bytes,
                              size_t label_at, int classes, sp_error *err)
{
    for (size_t i = 0; i < n; i++) {
        int label = records[i * record_bytes + label_at];
        if (label >= classes)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: label %d of sample %zu is not in 0..%d: not a binary CIFAR-%d "
                           "file, or a damaged one; " AGAIN,
                           path, i * record_bytes + label_at, label, i + 1, classes - 1, classes);
    }
    return SP_OK;
}

static sp_status count_records(const char *path, FILE *f, size_t record_bytes, size_t *n, sp_error *err)
{
    struct stat info;
    if (fstat(fileno(f), &info) != 0)
        return SP_FAIL(err, SP_E_DATA, "%s: cannot be read: %s", path, strerror(errno));
    uint64_t bytes = (uint64_t)info.st_size;
    if (bytes == 0)
        return SP_FAIL(err, SP_E_DATA, "%s: the file is empty (byte 0); " AGAIN, path);
    if (bytes % record_bytes != 0)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: %llu bytes, which is not a whole number of records of %zu: the one at byte %llu "
                       "is cut off; " AGAIN,
                       path, (unsigned long long)bytes, record_bytes,
                       (unsigned long long)(bytes - bytes % record_bytes));
    if (bytes / record_bytes > MAX_RECORDS)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: %llu bytes are more than %d records (byte %llu); is it another file under this "
                       "name?",
                       path, (unsigned long long)bytes, MAX_RECORDS,
                       (unsigned long long)MAX_RECORDS * record_bytes);
    *n = (size_t)(bytes / record_bytes);
    return SP_OK;
}

/* Appends the records of an open file to s->records, which has *count. */
static sp_status read_records(const char *path, FILE *f, const layout *l, int classes, cifar_state *s,
                              size_t *count, sp_error *err)
{
    size_t n = 0, got;
    uint8_t *grown;
    SP_TRY(count_records(path, f, s->record_bytes, &n, err));
    grown = sp_realloc(s->records, (*count + n) * s->record_bytes);
    if (!grown)
        return SP_FAIL(err, SP_E_MEMORY, "%s: no memory for its %zu records; close other programs", path, n);
    s->records = grown;
    grown += *count * s->record_bytes;
    got = fread(grown, 1, n * s->record_bytes, f);
    if (got < n * s->record_bytes)
        return SP_FAIL(err, SP_E_DATA, "%s: ends at byte %zu while it is read, or cannot be read; " AGAIN,
                       path, got);
    SP_TRY(check_labels(path, grown, n, s->record_bytes, l->label_bytes - 1, classes, err));
    *count += n;
    return SP_OK;
}

/* A later batch that is not there is said, not refused: parts of the set are handed around. */
static sp_status read_file(const char *folder, const layout *l, const char *name, int classes, cifar_state *s,
                           size_t *count, sp_error *err)
{
    char *path = find_file(folder, l, name);
    FILE *f;
    sp_status st;
    if (!path && *count > 0) {
        sp_log(SP_LOG_WARNING, "%s: no %s; going on without its records", folder, name);
        return SP_OK;
    }
    if (!path)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: no %s in this folder; put all files of the set there (datasets/README.md)",
                       folder, name);
    f = sp_file_stream(path, err);
    st = f ? read_records(path, f, l, classes, s, count, err) : sp_error_as(err, SP_E_DATA);
    if (f)
        fclose(f);
    sp_free(path);
    return st;
}

static const uint8_t *pixels_of(const cifar_state *s, size_t i)
{
    return s->records + (i + 1) * s->record_bytes - 3 * PLANE;
}

static int32_t cifar_label(const sp_dataset *ds, size_t i)
{
    return pixels_of(ds->state, i)[-1];
}

static sp_status cifar_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                           sp_error *err)
{
    const cifar_state *s = ds->state;
    const uint8_t *pixels;
    sp_rng r = sp_augment_rng(s->form.seed, want);
    sp_pixel_draw d = sp_pixels_draw(&s->form, &r);
    if (want.index >= ds->info.count)
        return SP_FAIL(err, SP_E_DATA, "sample %zu of data set \"%s\", which has %zu", want.index,
                       ds->info.name, ds->info.count);
    pixels = pixels_of(s, want.index);
    *label = cifar_label(ds, want.index);
    sp_pixels_write(&s->form, (sp_pixel_source){pixels, 1, PLANE, 0}, &d, image);
    return SP_OK;
}

static void state_free(cifar_state *s)
{
    sp_free(s->records);
    sp_free(s);
}

static void cifar_close(sp_dataset *ds)
{
    state_free(ds->state);
}

sp_status sp_cifar_open(const sp_kind *kind, const char *folder, const sp_dataset_options *o, sp_dataset *ds,
                        sp_error *err)
{
    const layout *l = layout_of(kind);
    int classes = kind->classes;
    cifar_state *s = sp_alloc(sizeof *s);
    size_t count = 0;
    sp_status st;
    if (!s)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", folder);
    s->record_bytes = l->label_bytes + 3 * PLANE;
    st = sp_pixels_init(&s->form, o, SIDE, SIDE, 3, err);
    if (st == SP_OK && !o->train)
        st = read_file(folder, l, l->test, classes, s, &count, err);
    for (int i = 0; st == SP_OK && o->train && i < MAX_FILES && l->train[i]; i++)
        st = read_file(folder, l, l->train[i], classes, s, &count, err);
    if (st != SP_OK) {
        state_free(s);
        return st;
    }
    ds->info =
        (sp_dataset_info){.count = count, .classes = classes, .channels = 3, .height = SIDE, .width = SIDE};
    ds->state = s;
    ds->get = cifar_get;
    ds->label = cifar_label;
    ds->close = cifar_close;
    return SP_OK;
}
