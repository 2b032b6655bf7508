/* Arrays in files: see array.h. Items stay in the file and are read from their place there, but for members
 * of .npz that are compressed, which are kept in memory. */
#include "data/array.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/mem.h"
#include "config/npy.h"
#include "data/zip.h"

enum { CHUNK_ITEMS = 4096, MOST_ITEM_BYTES = 8 };

struct sp_array {
    char *name, *path;
    sp_array_info info;
    size_t item_bytes;
    int file;    /* < 0: the items are in memory, or HDF5 */
    uint64_t at; /* of the items, in the file or in `bytes` */
    uint8_t *bytes;
    sp_hdf5_array *hdf5;
};

static bool is_npz(const char *path)
{
    return sp_name_ends_in(-1, path, ".npz");
}

static bool is_hdf5(const char *path)
{
    return sp_name_ends_in(-1, path, ".h5") || sp_name_ends_in(-1, path, ".hdf5");
}

bool sp_path_has_arrays(const char *path)
{
    return is_npz(path) || is_hdf5(path) || sp_name_ends_in(-1, path, ".npy");
}

static sp_status adopt(sp_array *a, const sp_tensor *t, uint64_t present, sp_error *err)
{
    a->info.rank = t->n_dims;
    memcpy(a->info.dims, t->shape, sizeof a->info.dims);
    memcpy(a->info.dtype, t->dtype, sizeof a->info.dtype);
    a->info.items = sp_tensor_elems(t);
    a->item_bytes = a->info.items ? t->bytes / (size_t)a->info.items : MOST_ITEM_BYTES;
    if (t->bytes == present)
        return SP_OK;
    return SP_FAIL(err, SP_E_DATA, "%s: the header asks for %zu bytes of items, but there are %llu: %s",
                   a->name, t->bytes, (unsigned long long)present,
                   t->bytes > present ? "truncated; copy or write it again"
                                      : "something follows the array; write it again");
}

/* Header and length of the items: `whole` bytes of the file or member from `from` on. */
static sp_status read_header(sp_array *a, uint64_t from, uint64_t whole, sp_error *err)
{
    size_t n = whole < SP_NPY_MOST_HEADER ? (size_t)whole : SP_NPY_MOST_HEADER, data_at = 0;
    uint8_t *head = a->bytes ? a->bytes : sp_alloc(n);
    sp_tensor t = {0};
    sp_status st = head ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", a->name);
    if (st == SP_OK && !a->bytes)
        st = sp_file_read_at(a->file, a->path, from, head, n, err);
    if (st == SP_OK)
        st = sp_npy_parse_header(a->name, head, n, &t, &data_at, err);
    if (st == SP_OK)
        st = adopt(a, &t, whole - data_at, err);
    a->at = from + data_at;
    if (head != a->bytes)
        sp_free(head);
    sp_free(t.name);
    return st;
}

static sp_status open_npy(sp_array *a, sp_error *err)
{
    struct stat info;
    a->file = sp_file_open(a->path, err);
    if (a->file < 0 || fstat(a->file, &info) != 0)
        return sp_error_as(err, SP_E_DATA);
    return read_header(a, 0, (uint64_t)info.st_size, err);
}

static sp_status no_member(const sp_zip *z, const char *path, const char *member, sp_error *err)
{
    sp_text names = {0};
    sp_status st;
    for (size_t i = 0; i < z->n && i < 20; i++)
        sp_text_add(&names, i ? ", %.*s" : "%.*s",
                    (int)(strlen(z->members[i].name) -
                          (sp_name_ends_in(-1, z->members[i].name, ".npy") ? 4 : 0)),
                    z->members[i].name);
    st = SP_FAIL(err, SP_E_DATA, "%s: no array \"%s\"; it has %s; name the one to read in the recipe", path,
                 member, names.s ? names.s : "none");
    sp_text_free(&names);
    return st;
}

/* Opens the archive; *m is NULL where it has no such member. The caller closes it also after an error. */
static sp_status find_member(const char *path, const char *member, sp_zip *z, const sp_zip_member **m,
                             sp_error *err)
{
    char *name = sp_format("%s.npy", member);
    sp_status st = name ? sp_zip_open(path, z, err) : SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    *m = st == SP_OK ? sp_zip_find(z, name) : NULL;
    sp_free(name);
    return st;
}

static sp_status open_npz(sp_array *a, const char *member, sp_error *err)
{
    sp_zip z = {.file = -1};
    const sp_zip_member *m;
    uint64_t at = 0;
    sp_status st;
    SP_TRY(find_member(a->path, member, &z, &m, err));
    if (!m)
        SP_TRY_GOTO(no_member(&z, a->path, member, err));
    if (m->method == 0) {
        SP_TRY_GOTO(sp_zip_locate(&z, m, &at, err));
        a->file = z.file, z.file = -1; /* the array goes on reading it */
    } else {
        SP_TRY_GOTO(sp_zip_read(&z, m, &a->bytes, err));
    }
    st = read_header(a, at, m->bytes, err);
done:
    sp_zip_close(&z);
    return st;
}

bool sp_array_present(const char *path, const char *member)
{
    sp_zip z = {.file = -1};
    const sp_zip_member *m;
    sp_error unused;
    bool found;
    if (!is_npz(path))
        return is_hdf5(path) ? sp_hdf5_present(path, member) : !member && sp_path_exists(path);
    found = find_member(path, member, &z, &m, &unused) == SP_OK && m;
    sp_zip_close(&z);
    return found;
}

sp_status sp_array_open(const char *path, const char *member, sp_array **out, sp_error *err)
{
    sp_array *a = sp_alloc(sizeof *a);
    sp_status st;
    *out = NULL;
    if (!a)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path);
    a->file = -1;
    a->path = sp_strdup(path);
    a->name = member ? sp_format("%s: %s", path, member) : sp_strdup(path);
    if (!a->path || !a->name)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path));
    if (is_npz(path)) {
        st = open_npz(a, member, err);
    } else if (is_hdf5(path)) {
        st = sp_hdf5_array_open(path, member, &a->hdf5, &a->info, err);
    } else {
        st = open_npy(a, err);
    }
done:
    if (st == SP_OK)
        *out = a;
    else
        sp_array_close(&a);
    return st;
}

void sp_array_close(sp_array **ap)
{
    sp_array *a = ap ? *ap : NULL;
    if (!a)
        return;
    if (a->file >= 0)
        close(a->file);
    sp_hdf5_array_close(&a->hdf5);
    sp_free(a->bytes);
    sp_free(a->path);
    sp_free(a->name);
    sp_free(a);
    *ap = NULL;
}

const sp_array_info *sp_array_about(const sp_array *a)
{
    return &a->info;
}

const char *sp_array_name(const sp_array *a)
{
    return a->name;
}

bool sp_array_is_real(const sp_array *a)
{
    return strchr(a->info.dtype, 'F') != NULL;
}

/* ---- items ---- */

/* n items, no more than CHUNK_ITEMS, as a tensor; `room` holds them where they are not in memory. */
static sp_status fetch(const sp_array *a, int64_t first, size_t n, uint8_t *room, sp_tensor *out,
                       sp_error *err)
{
    uint64_t at = a->at + (uint64_t)first * a->item_bytes;
    *out = (sp_tensor){.name = a->name, .data = a->bytes ? a->bytes + at : room, .bytes = n * a->item_bytes};
    memcpy(out->dtype, a->info.dtype, sizeof out->dtype);
    return a->bytes ? SP_OK : sp_file_read_at(a->file, a->path, at, room, out->bytes, err);
}

sp_status sp_array_floats(const sp_array *a, int64_t first, size_t n, float *out, sp_error *err)
{
    uint8_t room[CHUNK_ITEMS * MOST_ITEM_BYTES];
    sp_tensor t;
    if (a->hdf5)
        return sp_hdf5_array_read(a->hdf5, first, n, false, out, err);
    for (size_t k = 0, some; k < n; k += some) {
        some = n - k < CHUNK_ITEMS ? n - k : CHUNK_ITEMS;
        SP_TRY(fetch(a, first + (int64_t)k, some, room, &t, err));
        SP_TRY(sp_tensor_to_f32(&t, out + k, err));
    }
    return SP_OK;
}

sp_status sp_array_integers(const sp_array *a, int64_t first, size_t n, double scale, int64_t *out,
                            sp_error *err)
{
    uint8_t room[CHUNK_ITEMS * MOST_ITEM_BYTES];
    double values[CHUNK_ITEMS];
    sp_tensor t;
    if (sp_array_is_real(a) && !(scale > 0.0))
        return SP_FAIL(err, SP_E_DATA, "%s: must be whole numbers, not floats; convert it with astype",
                       a->name);
    for (size_t k = 0, some; k < n; k += some) {
        some = n - k < CHUNK_ITEMS ? n - k : CHUNK_ITEMS;
        if (a->hdf5) {
            SP_TRY(sp_hdf5_array_read(a->hdf5, first + (int64_t)k, some, true, values, err));
        } else {
            SP_TRY(fetch(a, first + (int64_t)k, some, room, &t, err));
            SP_TRY(sp_tensor_to_f64(&t, values, err));
        }
        for (size_t i = 0; i < some; i++) {
            double v = scale > 0.0 ? values[i] * scale : values[i];
            if (!(fabs(v) <= 9007199254740992.0))
                return SP_FAIL(err, SP_E_DATA, "%s: item %lld is %g, past the 2^53 that are read exactly",
                               a->name, (long long)first + (long long)(k + i) + 1, values[i]);
            out[k + i] = (int64_t)llround(v);
        }
    }
    return SP_OK;
}
