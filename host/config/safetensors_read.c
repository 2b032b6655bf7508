/* safetensors reader. Nothing in the file is trusted: every length and offset is checked before it is used.
 */
#include "config/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/size.h"
#include "config/safetensors_dtype.h"

enum { ALIGN_BYTES = 64, LENGTH_BYTES = 8 };
static const size_t read_chunk_bytes = (size_t)1 << 30;

/* While reading: where a tensor's data lies, to check that they follow one another. */
typedef struct span {
    uint64_t begin, end;
    size_t item;
} span;

static const char *const meta_name = "__metadata__";

unsigned sp_tensor_dtype_bits(const char *dtype)
{
    static const struct {
        const char *name;
        unsigned bits;
    } known[] = {{"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
                 {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
                 {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
                 {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
                 {"I64", 64},        {"U64", 64}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!strcmp(dtype, known[i].name))
            return known[i].bits;
    return 0;
}

bool sp_tensor_count_bytes(const int64_t *shape, int n_dims, unsigned bits, size_t *bytes)
{
    int64_t n;
    if (!sp_size_product(shape, (size_t)n_dims, &n) || !SP_SIZE_MUL(&n, n, bits) || n % 8)
        return false;
    *bytes = (size_t)(n / 8);
    return true;
}

static sp_status fail_memory(const char *path, sp_error *err)
{
    return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory while reading tensors", path);
}

static sp_status read_exactly(int fd, const char *path, void *to, size_t n, sp_error *err)
{
    char *p = to;
    while (n > 0) {
        ssize_t got = read(fd, p, n < read_chunk_bytes ? n : read_chunk_bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return SP_FAIL(err, SP_E_IO, "%s: cannot be read: %s", path, strerror(errno));
        if (got == 0)
            return SP_FAIL(err, SP_E_DATA, "%s: became shorter while it was read", path);
        p += got;
        n -= (size_t)got;
    }
    return SP_OK;
}

/* ---- header ---- */

static sp_status read_meta(const char *path, json_t *object, sp_tensor_file *out, sp_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return SP_FAIL(err, SP_E_DATA, "%s: header: \"__metadata__\" is not a map", path);
    out->meta_keys = sp_alloc_array(json_object_size(object), sizeof *out->meta_keys);
    out->meta_values = sp_alloc_array(json_object_size(object), sizeof *out->meta_values);
    if (!out->meta_keys || !out->meta_values)
        return fail_memory(path, err);
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value))
            return SP_FAIL(err, SP_E_DATA, "%s: header: \"%.80s\" of \"__metadata__\" is not text", path,
                           key);
        size_t i = out->n_meta++;
        out->meta_keys[i] = sp_strdup(key);
        out->meta_values[i] = sp_strdup(json_string_value(value));
        if (!out->meta_keys[i] || !out->meta_values[i])
            return fail_memory(path, err);
    }
    return SP_OK;
}

static sp_status read_shape(const char *path, json_t *list, sp_tensor *t, sp_error *err)
{
    if (!json_is_array(list))
        return SP_FAIL(err, SP_E_DATA, "%s: tensor \"%.80s\": no list \"shape\"", path, t->name);
    if (json_array_size(list) > SP_TENSOR_MAX_DIMS)
        return SP_FAIL(err, SP_E_DATA, "%s: tensor \"%.80s\": %zu dimensions, at most %d are supported", path,
                       t->name, json_array_size(list), SP_TENSOR_MAX_DIMS);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: tensor \"%.80s\": dimension %zu of \"shape\" is not a whole number >= 0",
                           path, t->name, i);
        t->shape[t->n_dims++] = json_integer_value(v);
    }
    return SP_OK;
}

static sp_status read_entry(const char *path, json_t *entry, sp_tensor *t, span *at, sp_error *err)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    json_t *offsets = json_object_get(entry, "data_offsets");
    if (!json_is_object(entry) || !dtype)
        return SP_FAIL(err, SP_E_DATA, "%s: tensor \"%.80s\": no text \"dtype\"", path, t->name);
    unsigned bits = sp_tensor_dtype_bits(dtype);
    if (bits == 0)
        return SP_FAIL(err, SP_E_DATA, "%s: tensor \"%.80s\": unknown dtype \"%.20s\"", path, t->name, dtype);
    strcpy(t->dtype, dtype); /* every known name fits */
    SP_TRY(read_shape(path, json_object_get(entry, "shape"), t, err));
    json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return SP_FAIL(err, SP_E_DATA,
                       "%s: tensor \"%.80s\": \"data_offsets\" is not [begin, end] with begin <= end", path,
                       t->name);
    at->begin = (uint64_t)json_integer_value(begin);
    at->end = (uint64_t)json_integer_value(end);
    if (!sp_tensor_count_bytes(t->shape, t->n_dims, bits, &t->bytes))
        return SP_FAIL(err, SP_E_DATA,
                       "%s: tensor \"%.80s\": the size of its shape overflows or is not whole bytes", path,
                       t->name);
    if (at->end - at->begin != t->bytes)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: tensor \"%.80s\": its shape needs %zu bytes of %s, its data_offsets [%" PRIu64
                       ", %" PRIu64 "] hold %" PRIu64,
                       path, t->name, t->bytes, t->dtype, at->begin, at->end, at->end - at->begin);
    return SP_OK;
}

static int by_place(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const sp_tensor *)a)->name, ((const sp_tensor *)b)->name);
}

/* The tensors must fill the data section: from 0, no hole, no overlap, nothing behind the last. */
static sp_status check_spans(const char *path, const sp_tensor_file *f, span *spans, uint64_t data_bytes,
                             sp_error *err)
{
    uint64_t end = 0;
    qsort(spans, f->n, sizeof *spans, by_place);
    for (size_t i = 0; i < f->n; i++) {
        const char *name = f->items[spans[i].item].name;
        if (spans[i].begin != end)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: tensor \"%.80s\" starts at data offset %" PRIu64 ", %s the one before ends "
                           "(%" PRIu64 ")",
                           path, name, spans[i].begin,
                           spans[i].begin < end ? "before" : "leaving a hole after where", end);
        end = spans[i].end;
        if (end > data_bytes)
            return SP_FAIL(err, SP_E_DATA,
                           "%s: cut off: tensor \"%.80s\" ends at data offset %" PRIu64 ", the file holds "
                           "%" PRIu64 " bytes "
                           "of data",
                           path, name, end, data_bytes);
    }
    if (end != data_bytes)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: %" PRIu64 " bytes after the last tensor (data offset %" PRIu64 ")", path,
                       data_bytes - end, end);
    return SP_OK;
}

static sp_status read_entries(json_t *root, sp_tensor_file *out, span *spans, sp_error *err)
{
    const char *key;
    json_t *entry;
    json_object_foreach(root, key, entry)
    {
        if (!strcmp(key, meta_name)) {
            SP_TRY(read_meta(out->path, entry, out, err));
            continue;
        }
        sp_tensor *t = &out->items[out->n];
        t->name = sp_strdup(key);
        if (!t->name)
            return fail_memory(out->path, err);
        spans[out->n].item = out->n;
        out->n++; /* counted first, so that the name is freed on failure */
        SP_TRY(read_entry(out->path, entry, t, &spans[out->n - 1], err));
    }
    return SP_OK;
}

/* Fills items (data as offsets until the memory is there) and the metadata. */
static sp_status parse_header(const char *text, size_t n, uint64_t data_bytes, sp_tensor_file *out,
                              span **spans, sp_error *err)
{
    json_error_t why;
    if (n == 0 || text[0] != '{')
        return SP_FAIL(err, SP_E_DATA,
                       "%s: header (offset 8) does not start with \"{\": not a safetensors file", out->path);
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return SP_FAIL(err, SP_E_DATA, "%s: header (near offset %d): %s", out->path,
                       LENGTH_BYTES + why.position, why.text);
    sp_status st = SP_OK;
    out->items = sp_alloc_array(json_object_size(root), sizeof *out->items);
    *spans = sp_alloc_array(json_object_size(root), sizeof **spans);
    if (!out->items || !*spans)
        SP_TRY_GOTO(fail_memory(out->path, err));
    SP_TRY_GOTO(read_entries(root, out, *spans, err));
    st = check_spans(out->path, out, *spans, data_bytes, err);
done:
    json_decref(root);
    return st;
}

/* ---- files ---- */

bool sp_tensors_are_in(const char *path)
{
    uint64_t header_bytes = 0;
    char first = 0;
    sp_error ignored = {0};
    int fd = sp_file_open(path, &ignored);
    if (fd < 0)
        return false;
    const bool read = read_exactly(fd, path, &header_bytes, LENGTH_BYTES, &ignored) == SP_OK &&
                      read_exactly(fd, path, &first, 1, &ignored) == SP_OK;
    close(fd);
    return read && first == '{' && header_bytes <= sp_tensors_max_header_bytes;
}

static sp_status read_header(int fd, sp_tensor_file *out, uint64_t *data_bytes, span **spans, sp_error *err)
{
    struct stat at;
    uint64_t header_bytes = 0;
    if (fstat(fd, &at) != 0)
        return SP_FAIL(err, SP_E_IO, "%s: cannot be read: %s", out->path, strerror(errno));
    uint64_t file_bytes = (uint64_t)at.st_size;
    if (file_bytes < LENGTH_BYTES)
        return SP_FAIL(err, SP_E_DATA, "%s: cut off: %" PRIu64 " bytes, a safetensors file has at least 8",
                       out->path, file_bytes);
    SP_TRY(read_exactly(fd, out->path, &header_bytes, LENGTH_BYTES, err));
    if (header_bytes > sp_tensors_max_header_bytes)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: header length %" PRIu64 " (offset 0) is above the limit of %" PRIu64 ": not a "
                       "safetensors"
                       " file",
                       out->path, header_bytes, sp_tensors_max_header_bytes);
    if (header_bytes > file_bytes - LENGTH_BYTES)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: cut off in the header: it should have %" PRIu64 " bytes, the file has %" PRIu64,
                       out->path, header_bytes, file_bytes);
    *data_bytes = file_bytes - LENGTH_BYTES - header_bytes;
    char *text = sp_alloc((size_t)header_bytes);
    if (!text)
        return fail_memory(out->path, err);
    sp_status st = read_exactly(fd, out->path, text, (size_t)header_bytes, err);
    if (st == SP_OK)
        st = parse_header(text, (size_t)header_bytes, *data_bytes, out, spans, err);
    sp_free(text);
    return st;
}

static sp_status read_open_file(int fd, sp_tensor_file *out, sp_error *err)
{
    uint64_t data_bytes = 0;
    span *spans = NULL;
    sp_status st = SP_OK;
    SP_TRY_GOTO(read_header(fd, out, &data_bytes, &spans, err));
    out->memory = data_bytes <= SIZE_MAX ? sp_alloc_aligned((size_t)data_bytes, ALIGN_BYTES) : NULL;
    if (!out->memory)
        SP_TRY_GOTO(fail_memory(out->path, err));
    SP_TRY_GOTO(read_exactly(fd, out->path, out->memory, (size_t)data_bytes, err));
    for (size_t i = 0; i < out->n; i++)
        out->items[spans[i].item].data = (const char *)out->memory + spans[i].begin;
    qsort(out->items, out->n, sizeof *out->items, by_name);
done:
    sp_free(spans);
    return st;
}

sp_status sp_tensors_read(const char *path, sp_tensor_file *out, sp_error *err)
{
    memset(out, 0, sizeof *out);
    out->path = sp_strdup(path);
    if (!out->path)
        return fail_memory(path, err);
    int fd = sp_file_open(path, err);
    sp_status st = fd < 0 ? SP_E_IO : read_open_file(fd, out, err);
    if (fd >= 0)
        close(fd);
    if (st != SP_OK)
        sp_tensors_free(out);
    return st;
}

void sp_tensors_free(sp_tensor_file *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        sp_free(f->items[i].name);
    for (size_t i = 0; i < f->n_meta; i++) {
        sp_free(f->meta_keys[i]);
        sp_free(f->meta_values[i]);
    }
    sp_free(f->items);
    sp_free(f->meta_keys);
    sp_free(f->meta_values);
    sp_free(f->memory);
    sp_free(f->path);
    memset(f, 0, sizeof *f);
}

const sp_tensor *sp_tensors_find(const sp_tensor_file *f, const char *name)
{
    if (f->n == 0)
        return NULL;
    sp_tensor key = {.name = (char *)(uintptr_t)name}; /* only read */
    return bsearch(&key, f->items, f->n, sizeof *f->items, by_name);
}

const char *sp_tensors_meta(const sp_tensor_file *f, const char *key)
{
    for (size_t i = 0; i < f->n_meta; i++)
        if (!strcmp(f->meta_keys[i], key))
            return f->meta_values[i];
    return NULL;
}
