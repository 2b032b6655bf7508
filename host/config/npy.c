/* .npy files. The header is a literal of Python, which is YAML once its tuple is written as a list. */
#include "config/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "config/safetensors_dtype.h"
#include "config/yaml.h"

enum { MOST_HEADER_BYTES = 65536, ALIGN_BYTES = 64 };
static const size_t most_file_bytes = (size_t)64 << 30;
static const char magic[6] = "\x93NUMPY";

static const struct {
    char npy[5], tensor[5];
} types[] = {{"<f4", "F32"}, {"<f8", "F64"}, {"<f2", "F16"}, {"|u1", "U8"},  {"|b1", "BOOL"}, {"|i1", "I8"},
             {"<i2", "I16"}, {"<u2", "U16"}, {"<i4", "I32"}, {"<u4", "U32"}, {"<i8", "I64"},  {"<u8", "U64"}};
enum { N_TYPES = sizeof types / sizeof *types };

static sp_status damaged(const char *name, size_t at, const char *what, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA, "%s: byte %zu: %s; write it again with numpy.save", name, at, what);
}

static sp_status read_type(const char *name, const char *descr, sp_tensor *out, sp_error *err)
{
    for (size_t i = 0; descr && i < N_TYPES; i++)
        if (strcmp(descr, types[i].npy) == 0) {
            strcpy(out->dtype, types[i].tensor);
            return SP_OK;
        }
    if (!descr)
        return SP_FAIL(err, SP_E_DATA, "%s: an array of records; write each field as an array of its own",
                       name);
    return SP_FAIL(err, SP_E_DATA,
                   "%s: an array of type %.20s; little-endian numbers are read, so convert it, for example "
                   "with x.astype('<f4')",
                   name, descr);
}

static sp_status read_dict(const char *name, const sp_yaml *dict, sp_tensor *out, sp_error *err)
{
    const sp_yaml *descr = sp_yaml_get(dict, "descr"), *order = sp_yaml_get(dict, "fortran_order"),
                  *shape = sp_yaml_get(dict, "shape");
    if (!descr)
        return damaged(name, sizeof magic, "no descr in the header", err);
    SP_TRY(read_type(name, descr->kind == SP_YAML_STRING ? descr->text : NULL, out, err));
    if (!order || order->kind != SP_YAML_BOOL)
        return damaged(name, sizeof magic, "no fortran_order of True or False in the header", err);
    if (order->integer)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: an array in column-major order; write numpy.ascontiguousarray(x) instead", name);
    if (!shape || shape->kind != SP_YAML_LIST || shape->n > SP_TENSOR_MAX_DIMS)
        return damaged(name, sizeof magic, "no shape of at most 8 dimensions in the header", err);
    for (size_t i = 0; i < shape->n; i++) {
        if (shape->items[i]->kind != SP_YAML_INT || shape->items[i]->integer < 0)
            return damaged(name, sizeof magic, "a dimension that is no whole number in the header", err);
        out->shape[out->n_dims++] = shape->items[i]->integer;
    }
    return SP_OK;
}

static sp_status read_header(const char *name, const char *text, size_t n, sp_tensor *out, sp_error *err)
{
    sp_yaml_doc doc = {0};
    char *yaml = sp_strndup(text, n);
    if (!yaml)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", name);
    for (char *c = yaml; *c; c++)
        *c = *c == '(' ? '[' : *c == ')' ? ']' : *c;
    sp_status st = sp_yaml_parse(name, yaml, strlen(yaml), &doc, NULL);
    sp_free(yaml);
    st = st == SP_OK && doc.root && doc.root->kind == SP_YAML_MAP
             ? read_dict(name, doc.root, out, err)
             : damaged(name, sizeof magic, "the header is not that of an .npy file", err);
    sp_yaml_free(&doc);
    return st;
}

sp_status sp_npy_parse_header(const char *name, const void *bytes, size_t n, sp_tensor *out, size_t *data_at,
                              sp_error *err)
{
    const unsigned char *b = bytes;
    *out = (sp_tensor){.name = sp_strdup(name)};
    if (!out->name)
        return SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", name);
    if (n < 12 || memcmp(b, magic, sizeof magic) != 0)
        return damaged(name, 0, n < 12 ? "cut off" : "not an .npy file", err);
    bool long_header = b[6] >= 2;
    size_t from = long_header ? 12 : 10,
           header = b[8] | (size_t)b[9] << 8 | (long_header ? (size_t)b[10] << 16 | (size_t)b[11] << 24 : 0);
    if (b[6] < 1 || b[6] > 3 || header > MOST_HEADER_BYTES || header > n - from)
        return damaged(name, sizeof magic, "an unknown version, or cut off in the header", err);
    SP_TRY(read_header(name, (const char *)b + from, header, out, err));
    *data_at = from + header;
    if (!sp_tensor_count_bytes(out->shape, out->n_dims, sp_tensor_dtype_bits(out->dtype), &out->bytes))
        return damaged(name, from, "a shape of more bytes than can be counted", err);
    return SP_OK;
}

sp_status sp_npy_parse(const char *name, const void *bytes, size_t n, sp_tensor *out, sp_error *err)
{
    size_t from = 0;
    SP_TRY(sp_npy_parse_header(name, bytes, n, out, &from, err));
    if (out->bytes != n - from)
        return SP_FAIL(err, SP_E_DATA,
                       "%s: byte %zu: %zu bytes of data, which is not what the shape needs: cut off or "
                       "damaged",
                       name, from, n - from);
    out->data = (const char *)bytes + from;
    return SP_OK;
}

sp_status sp_npy_read(const char *path, sp_tensor *out, void **memory, sp_error *err)
{
    char *text = NULL;
    size_t n = 0;
    *out = (sp_tensor){0};
    *memory = NULL;
    SP_TRY(sp_file_read(path, most_file_bytes, &text, &n, err));
    *memory = text;
    return sp_npy_parse(path, text, n, out, err);
}

void sp_npy_free(sp_tensor *t, void **memory)
{
    sp_free(t->name);
    sp_free(*memory);
    *t = (sp_tensor){0};
    *memory = NULL;
}

sp_status sp_npy_write(const char *path, const sp_tensor *t, sp_error *err)
{
    const char *type = NULL;
    sp_text head = {0};
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(t->dtype, types[i].tensor) == 0)
            type = types[i].npy;
    if (!type)
        return SP_FAIL(err, SP_E_CONFIG, "%s: .npy files have no numbers of type %s", path, t->dtype);
    sp_text_add(&head, "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (int i = 0; i < t->n_dims; i++)
        sp_text_add(&head, "%" PRId64 "%s", t->shape[i], i + 1 < t->n_dims || t->n_dims == 1 ? "," : "");
    sp_text_add(&head, "), }");
    size_t n = (10 + head.n + 1 + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES - 10;
    sp_text_add(&head, "%*s\n", (int)(n - 1 - head.n), "");
    unsigned char start[10] = {0, 0, 0, 0, 0, 0, 1, 0, (unsigned char)n, (unsigned char)(n >> 8)};
    memcpy(start, magic, sizeof magic);
    const sp_bytes parts[] = {{start, sizeof start}, {head.s, head.n}, {t->data, t->bytes}};
    sp_status st = head.failed ? SP_FAIL(err, SP_E_MEMORY, "%s: out of memory", path)
                               : sp_file_replace(path, parts, 3, err);
    sp_text_free(&head);
    return st;
}
