/* IDX files (MNIST, Fashion-MNIST and kin), plain or gzip: big-endian magic, one 32-bit size per dimension,
 * bytes. Labels are read whole when a set is opened, and so are images that are compressed; plain images stay
 * in their file, and each sample is read from its place, so that a rank reads its own ones alone. Byte
 * offsets in messages count uncompressed bytes. Only unsigned byte images of rank 3 and labels of rank 1 are
 * read. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "data/augment.h"
#include "data/readers.h"
#include "data/zip.h"

enum { MAGIC_LABELS = 0x801, MAGIC_IMAGES = 0x803, LABELS_AT = 8, IMAGES_AT = 16 };
#define MAX_INFLATE 1032u /* deflate cannot expand more than this */
#define AGAIN       "fetch it again (datasets/README.md) or check it with datasets/verify.sh"

typedef struct idx_file {
    char *path;
    gzFile gz;
    uint64_t at;         /* uncompressed bytes read so far */
    uint64_t disk_bytes; /* size on disk */
    uint32_t dims[3];
    uint8_t *bytes; /* payload; NULL: it stays in the file */
} idx_file;

typedef struct idx_state {
    idx_file images; /* [count][lines][columns] */
    int file;        /* of plain images; -1: they are in memory */
    uint8_t *labels; /* [count] */
    int first_label;
    bool transpose;
    sp_pixels form;
} idx_state;

/* Where the files of a part are. */
typedef struct place {
    const char *folder, *prefix;
    bool train;
} place;

/* The spellings in use: MNIST's own, the one with a dot that some unpackers leave behind, and EMNIST's
 * "test". */
static char *find_file(const place *at, const char *kind, const char *rank, uint64_t *disk_bytes)
{
    for (int i = 0; i < 8; i++) {
        const char *part = at->train ? "train" : i < 4 ? "t10k" : "test";
        char *path = sp_format("%s/%s%s-%s%c%s-ubyte%s", at->folder, at->prefix ? at->prefix : "", part, kind,
                               i % 4 < 2 ? '-' : '.', rank, i % 2 ? "" : ".gz");
        struct stat info;
        if (!path)
            return NULL;
        if (stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) {
            *disk_bytes = (uint64_t)info.st_size;
            return path;
        }
        sp_free(path);
    }
    return NULL;
}

static bool present(const place *at)
{
    uint64_t disk_bytes;
    char *path = find_file(at, "images", "idx3", &disk_bytes);
    sp_free(path);
    return path != NULL;
}

unsigned sp_idx_parts(const sp_kind *kind, const char *folder, const sp_dataset_options *o)
{
    (void)kind;
    return (present(&(place){folder, o->prefix, true}) ? SP_PART_TRAIN : 0u) |
           (present(&(place){folder, o->prefix, false}) ? SP_PART_TEST : 0u);
}

static void file_fini(idx_file *f)
{
    if (f->gz)
        gzclose(f->gz);
    sp_free(f->bytes);
    sp_free(f->path);
    memset(f, 0, sizeof *f);
}

static sp_status stream_open(idx_file *f, sp_error *err)
{
    int fd = sp_file_open(f->path, err);
    f->gz = fd >= 0 ? gzdopen(fd, "rb") : NULL;
    if (fd >= 0 && !f->gz)
        close(fd);
    if (!f->gz)
        return fd < 0 ? sp_error_as(err, SP_E_DATA) : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", f->path);
    gzbuffer(f->gz, 1u << 17);
    return SP_OK;
}

static sp_status file_open(idx_file *f, const place *at, const char *kind, const char *rank, sp_error *err)
{
    f->path = find_file(at, kind, rank, &f->disk_bytes);
    if (!f->path)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: no %s%s-%s-%s-ubyte or .gz in this folder; put all four files of the set there "
                       "(datasets/README.md says how to get them)",
                       at->folder, at->prefix ? at->prefix : "", at->train ? "train" : "t10k", kind, rank);
    return stream_open(f, err);
}

/* Reads up to n bytes; fewer only at the end of the file. Damage of the gzip stream is an error here. */
static sp_status read_some(idx_file *f, void *dst, size_t n, size_t *got, sp_error *err)
{
    *got = 0;
    while (*got < n) {
        size_t want = n - *got < (1u << 24) ? n - *got : (1u << 24);
        int r = gzread(f->gz, (uint8_t *)dst + *got, (unsigned)want);
        int code = Z_OK;
        const char *text = gzerror(f->gz, &code);
        if (r > 0) {
            *got += (size_t)r;
            f->at += (uint64_t)r;
        }
        if (code == Z_BUF_ERROR)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: the gzip stream breaks off at byte %llu: the file is truncated; " AGAIN,
                           f->path, (unsigned long long)f->at);
        if (r < 0)
            return SP_FAIL(err, SP_E_DATA, "%s: damaged near byte %llu: %s; " AGAIN, f->path,
                           (unsigned long long)f->at, text);
        if (r == 0)
            return SP_OK;
    }
    return SP_OK;
}

static sp_status ends_early(const idx_file *f, uint64_t at, const char *what, size_t missing, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA, "%s: ends at byte %llu inside the %s, %zu bytes short: truncated; " AGAIN,
                   f->path, (unsigned long long)at, what, missing);
}

static sp_status goes_on(const idx_file *f, uint64_t at, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA,
                   "%s: byte %llu: data goes on after the %u samples that the header announces; " AGAIN,
                   f->path, (unsigned long long)at, (unsigned)f->dims[0]);
}

static sp_status read_all(idx_file *f, void *dst, size_t n, const char *what, sp_error *err)
{
    size_t got;
    SP_TRY(read_some(f, dst, n, &got, err));
    if (got < n && f->at == 0)
        return SP_FAIL(err, SP_E_DATA, "%s: the file is empty (byte 0); " AGAIN, f->path);
    return got < n ? ends_early(f, f->at, what, n - got, err) : SP_OK;
}

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
}

static sp_status read_header(idx_file *f, uint32_t magic, size_t rank, sp_error *err)
{
    uint8_t head[16];
    uint32_t found;
    SP_TRY(read_all(f, head, 4, "header", err));
    found = big_endian(head);
    if (found != magic)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte 0: magic number 0x%08x instead of 0x%08x: not an IDX file of unsigned bytes "
                       "with %zu dimension%s; is it another file under this name?",
                       f->path, (unsigned)found, (unsigned)magic, rank, rank > 1 ? "s" : "");
    SP_TRY(read_all(f, head + 4, 4 * rank, "header", err));
    for (size_t i = 0; i < rank; i++) {
        f->dims[i] = big_endian(head + 4 + 4 * i);
        if (f->dims[i] == 0 || f->dims[i] > INT32_MAX)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: dimension %zu is %u; the header is damaged or the set is "
                           "empty; " AGAIN,
                           f->path, 4 + 4 * i, i, (unsigned)f->dims[i]);
    }
    return SP_OK;
}

/* A damaged header must not make us ask for more memory than the file could ever fill. */
static sp_status payload_bytes(const idx_file *f, size_t rank, size_t *bytes, sp_error *err)
{
    int64_t limit, n, d[3] = {f->dims[0], rank > 1 ? f->dims[1] : 1, rank > 2 ? f->dims[2] : 1};
    if (!SP_SIZE_MUL(&limit, (int64_t)f->disk_bytes + 64, gzdirect(f->gz) ? 1 : MAX_INFLATE))
        limit = INT64_MAX;
    if (!sp_size_product(d, 3, &n) || n > limit)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte 4: the header asks for %u x %u x %u bytes, more than a file of %llu bytes "
                       "can hold: truncated or damaged; " AGAIN,
                       f->path, (unsigned)d[0], (unsigned)d[1], (unsigned)d[2],
                       (unsigned long long)f->disk_bytes);
    *bytes = (size_t)n;
    return SP_OK;
}

/* Its images stay where they are. */
static sp_status check_plain(const idx_file *f, size_t bytes, sp_error *err)
{
    const uint64_t end = f->at + bytes;
    if (f->disk_bytes < end)
        return ends_early(f, f->disk_bytes, "data", (size_t)(end - f->disk_bytes), err);
    return f->disk_bytes > end ? goes_on(f, end, err) : SP_OK;
}

static sp_status read_file(idx_file *f, uint32_t magic, size_t rank, sp_error *err)
{
    uint8_t extra;
    size_t bytes = 0, got = 0;
    SP_TRY(read_header(f, magic, rank, err));
    SP_TRY(payload_bytes(f, rank, &bytes, err));
    if (magic == MAGIC_IMAGES && gzdirect(f->gz))
        return check_plain(f, bytes, err);
    f->bytes = sp_alloc(bytes);
    if (!f->bytes)
        return SP_FAIL(err, SP_E_MEMORY, "%s: no memory for its %zu bytes; close other programs", f->path,
                       bytes);
    SP_TRY(read_all(f, f->bytes, bytes, "data", err));
    /* One byte more: finds trailing bytes, and makes zlib compare the check sum at the end of the stream. */
    SP_TRY(read_some(f, &extra, 1, &got, err));
    return got ? goes_on(f, f->at - 1, err) : SP_OK;
}

static sp_status check_labels(const idx_file *f, int family_classes, const sp_dataset_options *o,
                              int *classes, sp_error *err)
{
    int fixed = family_classes > 0 ? family_classes : o->classes;
    for (size_t i = 0; i < f->dims[0]; i++) {
        int label = f->bytes[i] - o->first_label;
        if (label < 0)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: byte %zu: label %d of sample %zu is below data.first_label, %d", f->path,
                           i + LABELS_AT, f->bytes[i], i + 1, o->first_label);
        if (fixed > 0 && label >= fixed)
            return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: label %d of sample %zu is not in %d..%d; %s",
                           f->path, i + LABELS_AT, f->bytes[i], i + 1, o->first_label,
                           o->first_label + fixed - 1,
                           family_classes > 0 ? "the file is damaged or of another set"
                                              : "set data.classes to more than the largest label, or leave "
                                                "it out");
        if (label >= *classes)
            *classes = label + 1;
    }
    if (fixed > 0)
        *classes = fixed;
    return SP_OK;
}

/* Classes: what the set or the person says, else from the labels of both splits, so that they agree, but 10
 * at least (every set of the family has). */
static sp_status find_classes(const char *folder, const idx_file *labels, int family_classes,
                              const sp_dataset_options *o, int *classes, sp_error *err)
{
    idx_file other = {0};
    sp_status st;
    *classes = 10;
    SP_TRY(check_labels(labels, family_classes, o, classes, err));
    if (family_classes > 0 || o->classes > 0 ||
        file_open(&other, &(place){folder, o->prefix, !o->train}, "labels", "idx1", NULL) != SP_OK)
        return SP_OK;
    st = read_file(&other, MAGIC_LABELS, 1, err);
    if (st == SP_OK)
        st = check_labels(&other, family_classes, o, classes, err);
    file_fini(&other);
    return st;
}

static int32_t idx_label(const sp_dataset *ds, size_t i)
{
    const idx_state *s = ds->state;
    return s->labels ? s->labels[i] - s->first_label : -1;
}

static sp_status idx_get(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                         sp_error *err)
{
    const idx_state *s = ds->state;
    const size_t bytes = (size_t)ds->info.height * (size_t)ds->info.width, at = want.index * bytes;
    sp_rng r = sp_augment_rng(s->form.seed, want);
    sp_pixel_draw d = sp_pixels_draw(&s->form, &r);
    uint8_t *room = NULL;
    if (want.index >= ds->info.count)
        return SP_FAIL(err, SP_E_DATA, "sample %zu of data set \"%s\", which has %zu", want.index,
                       ds->info.name, ds->info.count);
    if (!s->images.bytes && !(room = sp_alloc(bytes)))
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory for a sample", s->images.path);
    sp_status st = room ? sp_file_read_at(s->file, s->images.path, IMAGES_AT + at, room, bytes, err) : SP_OK;
    sp_pixel_source from = {room ? room : s->images.bytes + at, 1, 0, 0};
    if (s->transpose) /* stored column by column */
        from.pixel = (size_t)ds->info.height, from.row = 1;
    if (st == SP_OK)
        sp_pixels_write(&s->form, from, &d, image);
    *label = idx_label(ds, want.index);
    sp_free(room);
    return st;
}

static void idx_close(sp_dataset *ds)
{
    idx_state *s = ds->state;
    if (s->file >= 0)
        close(s->file);
    file_fini(&s->images);
    sp_free(s->labels);
    sp_free(s);
}

/* Moves what both files hold into ds. */
static sp_status adopt(idx_file *images, idx_file *labels, int classes, const sp_dataset_options *o,
                       sp_dataset *ds, sp_error *err)
{
    const int height = (int)images->dims[o->transpose ? 2 : 1],
              width = (int)images->dims[o->transpose ? 1 : 2];
    sp_pixels form;
    SP_TRY(sp_pixels_init(&form, o, height, width, 1, err));
    const int file = images->bytes ? -1 : sp_file_open(images->path, err);
    if (!images->bytes && file < 0)
        return sp_error_as(err, SP_E_DATA);
    idx_state *s = sp_alloc(sizeof *s);
    if (!s) {
        if (file >= 0)
            close(file);
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", images->path);
    }
    *s = (idx_state){*images, file, labels->bytes, o->first_label, o->transpose, form};
    *images = (idx_file){.gz = images->gz};
    s->images.gz = NULL;
    labels->bytes = NULL;
    ds->info = (sp_dataset_info){
        .count = s->images.dims[0], .classes = classes, .channels = 1, .height = height, .width = width};
    ds->state = s;
    ds->get = idx_get;
    ds->label = idx_label;
    ds->close = idx_close;
    return SP_OK;
}

sp_status sp_idx_open_images(int classes, const sp_dataset_options *o, sp_dataset *ds, sp_error *err)
{
    struct stat info;
    idx_file images = {.path = sp_strdup(o->file)}, none = {0};
    sp_status st = images.path && stat(images.path, &info) == 0
                       ? SP_OK
                       : SP_FAIL(err, SP_E_DATA, "%s: cannot be found", o->file);
    images.disk_bytes = st == SP_OK ? (uint64_t)info.st_size : 0;
    if (st == SP_OK)
        st = stream_open(&images, err);
    if (st == SP_OK)
        st = read_file(&images, MAGIC_IMAGES, 3, err);
    if (st == SP_OK)
        st = adopt(&images, &none, classes, o, ds, err);
    file_fini(&images);
    return st;
}

sp_status sp_idx_open(const sp_kind *kind, const char *folder, const sp_dataset_options *options,
                      sp_dataset *ds, sp_error *err)
{
    sp_dataset_options files = *options;
    const sp_dataset_options *o = &files;
    int family_classes = kind->classes;
    idx_file images = {0}, labels = {0};
    int classes = 0;
    sp_status st;

    if (o->whole) /* the only part there is */
        files.train = present(&(place){folder, o->prefix, true});
    if (o->classes < 0 || o->classes > 256)
        return SP_FAIL(err, SP_E_CONFIG, "data set \"%s\": classes is %d; IDX labels are bytes, so 1 to 256",
                       o->name, o->classes);
    SP_TRY_GOTO(file_open(&labels, &(place){folder, o->prefix, o->train}, "labels", "idx1", err));
    SP_TRY_GOTO(file_open(&images, &(place){folder, o->prefix, o->train}, "images", "idx3", err));
    SP_TRY_GOTO(read_file(&labels, MAGIC_LABELS, 1, err));
    SP_TRY_GOTO(find_classes(folder, &labels, family_classes, o, &classes, err));
    SP_TRY_GOTO(read_file(&images, MAGIC_IMAGES, 3, err));
    if (images.dims[0] != labels.dims[0]) {
        st = SP_FAIL(err, SP_E_DATA,
                     "%s: byte 4: %u images, but %s: byte 4: %u labels; the files are not of one set",
                     images.path, (unsigned)images.dims[0], labels.path, (unsigned)labels.dims[0]);
        goto done;
    }
    st = adopt(&images, &labels, classes, options, ds, err);
done:
    file_fini(&images);
    file_fini(&labels);
    return st;
}
