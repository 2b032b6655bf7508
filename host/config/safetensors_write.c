/* safetensors writer: one canonical form for given tensors (widest type first, then by name), so that equal
 * contents are equal files, and every tensor lies aligned to its type. */
#include "config/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/file.h"
#include "config/safetensors_dtype.h"

enum { HEADER_ALIGN_BYTES = 8 };

static int canonical(const void *a, const void *b)
{
    const sp_tensor *x = *(const sp_tensor *const *)a, *y = *(const sp_tensor *const *)b;
    unsigned x_bits = sp_tensor_dtype_bits(x->dtype), y_bits = sp_tensor_dtype_bits(y->dtype);
    if (x_bits != y_bits)
        return x_bits > y_bits ? -1 : 1;
    return strcmp(x->name, y->name);
}

static sp_status check_item(const char *path, const sp_tensor *t, sp_error *err)
{
    size_t bytes = 0;
    unsigned bits = sp_tensor_dtype_bits(t->dtype);
    if (!strcmp(t->name, "__metadata__"))
        return SP_FAIL(err, SP_E_FAILED, "%s: a tensor cannot be called \"__metadata__\"", path);
    if (bits == 0)
        return SP_FAIL(err, SP_E_FAILED, "%s: tensor \"%.80s\": unknown dtype \"%.11s\"", path, t->name,
                       t->dtype);
    if (t->n_dims < 0 || t->n_dims > SP_TENSOR_MAX_DIMS ||
        !sp_tensor_count_bytes(t->shape, t->n_dims, bits, &bytes) || bytes != t->bytes)
        return SP_FAIL(err, SP_E_FAILED,
                       "%s: tensor \"%.80s\": its shape and its %zu bytes do not fit each other", path,
                       t->name, t->bytes);
    return SP_OK;
}

/* Returns a new reference, or NULL when memory is out or a text is not UTF-8. */
static json_t *meta_object(const char *const *keys, const char *const *values, size_t n)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < n; i++)
        if (json_object_get(object, keys[i]) ||
            json_object_set_new(object, keys[i], json_string(values[i]))) {
            json_decref(object);
            return NULL;
        }
    return object;
}

static json_t *entry_object(const sp_tensor *t, uint64_t begin)
{
    json_t *shape = json_array();
    for (int i = 0; shape && i < t->n_dims; i++)
        json_array_append_new(shape, json_integer(t->shape[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", t->dtype, "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + t->bytes));
}

static sp_status add_entries(const char *path, json_t *root, const sp_tensor **sorted, size_t n,
                             sp_error *err)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        SP_TRY(check_item(path, sorted[i], err));
        if (json_object_get(root, sorted[i]->name))
            return SP_FAIL(err, SP_E_FAILED, "%s: two tensors are called \"%.80s\"", path, sorted[i]->name);
        if (sorted[i]->bytes > (uint64_t)INT64_MAX - at)
            return SP_FAIL(err, SP_E_FAILED, "%s: the tensors are larger than a file can be", path);
        if (json_object_set_new(root, sorted[i]->name, entry_object(sorted[i], at)) != 0)
            return SP_FAIL(err, SP_E_FAILED, "%s: tensor name \"%.80s\" is not UTF-8, or memory is out", path,
                           sorted[i]->name);
        at += sorted[i]->bytes;
    }
    return SP_OK;
}

/* Length, JSON and padding, ready to be written: *header is free'd with sp_free. */
static sp_status encode_header(const char *path, const json_t *root, char **header, size_t *n, sp_error *err)
{
    size_t text_bytes = json_dumpb(root, NULL, 0, JSON_COMPACT);
    uint64_t padded = (text_bytes + HEADER_ALIGN_BYTES - 1) / HEADER_ALIGN_BYTES * HEADER_ALIGN_BYTES;
    if (text_bytes == 0)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory while writing tensors", path);
    if (padded > sp_tensors_max_header_bytes)
        return SP_FAIL(err, SP_E_FAILED, "%s: too many tensors or too much metadata for a safetensors header",
                       path);
    *n = sizeof padded + (size_t)padded;
    *header = sp_alloc(*n);
    if (!*header)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory while writing tensors", path);
    memset(*header, ' ', *n);
    memcpy(*header, &padded, sizeof padded);
    if (json_dumpb(root, *header + sizeof padded, text_bytes, JSON_COMPACT) != text_bytes)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory while writing tensors", path);
    return SP_OK;
}

sp_status sp_tensors_write(const char *path, const sp_tensor *items, size_t n, const char *const *meta_keys,
                           const char *const *meta_values, size_t n_meta, sp_error *err)
{
    sp_status st = SP_OK;
    char *header = NULL;
    size_t header_bytes = 0;
    json_t *root = json_object(), *meta = NULL;
    const sp_tensor **sorted = sp_alloc_array(n, sizeof *sorted);
    sp_bytes *parts = sp_alloc_array(n + 1, sizeof *parts);
    if (!root || !sorted || !parts)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "%s: out of memory while writing tensors", path));
    for (size_t i = 0; i < n; i++)
        sorted[i] = &items[i];
    qsort(sorted, n, sizeof *sorted, canonical);
    if (n_meta) {
        meta = meta_object(meta_keys, meta_values, n_meta);
        if (!meta || json_object_set(root, "__metadata__", meta) != 0)
            SP_TRY_GOTO(
                SP_FAIL(err, SP_E_FAILED, "%s: metadata has a key twice or text that is not UTF-8", path));
    }
    SP_TRY_GOTO(add_entries(path, root, sorted, n, err));
    SP_TRY_GOTO(encode_header(path, root, &header, &header_bytes, err));
    parts[0] = (sp_bytes){header, header_bytes};
    for (size_t i = 0; i < n; i++)
        parts[i + 1] = (sp_bytes){sorted[i]->data, sorted[i]->bytes};
    st = sp_file_replace(path, parts, n + 1, err);
done:
    json_decref(meta);
    json_decref(root);
    sp_free(header);
    sp_free(parts);
    sp_free(sorted);
    return st;
}
