/* Values of a tensor as float or double, whatever type the file has. */
#include "config/safetensors.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"

typedef double (*element_fn)(const unsigned char *at);

/* Data of a file need not be aligned to its type, hence memcpy. */
#define ELEMENT(name, type)                                                                                  \
    static double name(const unsigned char *at)                                                              \
    {                                                                                                        \
        type v;                                                                                              \
        memcpy(&v, at, sizeof v);                                                                            \
        return (double)v;                                                                                    \
    }
ELEMENT(from_u8, uint8_t)
ELEMENT(from_i8, int8_t)
ELEMENT(from_u16, uint16_t)
ELEMENT(from_i16, int16_t)
ELEMENT(from_u32, uint32_t)
ELEMENT(from_i32, int32_t)
ELEMENT(from_u64, uint64_t)
ELEMENT(from_i64, int64_t)
ELEMENT(from_f32, float)
ELEMENT(from_f64, double)
#undef ELEMENT

static double from_f16(const unsigned char *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    int exponent = v >> 10 & 31, fraction = v & 1023;
    double size;
    if (exponent == 31)
        size = fraction ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        size = ldexp(fraction, -24);
    else
        size = ldexp(fraction + 1024, exponent - 25);
    return v & 0x8000 ? -size : size;
}

static double from_bf16(const unsigned char *at)
{
    uint16_t v;
    float f;
    memcpy(&v, at, sizeof v);
    uint32_t bits = (uint32_t)v << 16;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static element_fn find_element(const sp_tensor *t, size_t *element_bytes)
{
    static const struct {
        const char *dtype;
        size_t bytes;
        element_fn fn;
    } known[] = {{"F32", 4, from_f32},  {"F64", 8, from_f64}, {"I64", 8, from_i64}, {"I32", 4, from_i32},
                 {"U8", 1, from_u8},    {"BOOL", 1, from_u8}, {"I8", 1, from_i8},   {"I16", 2, from_i16},
                 {"U16", 2, from_u16},  {"U32", 4, from_u32}, {"U64", 8, from_u64}, {"F16", 2, from_f16},
                 {"BF16", 2, from_bf16}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!strcmp(t->dtype, known[i].dtype)) {
            *element_bytes = known[i].bytes;
            return known[i].fn;
        }
    return NULL;
}

int64_t sp_tensor_elems(const sp_tensor *t)
{
    int64_t n = 0;
    sp_size_product(t->shape, (size_t)t->n_dims, &n); /* sp_tensor_count_bytes checked that it fits */
    return n;
}

static sp_status fail_dtype(const sp_tensor *t, sp_error *err)
{
    return SP_FAIL(err, SP_E_DATA, "tensor \"%.80s\": values of type %s cannot be read as numbers here",
                   t->name, t->dtype);
}

sp_status sp_tensor_to_f32(const sp_tensor *t, float *out, sp_error *err)
{
    size_t step = 0;
    element_fn fn = find_element(t, &step);
    if (!fn)
        return fail_dtype(t, err);
    for (size_t i = 0; i < t->bytes / step; i++)
        out[i] = (float)fn((const unsigned char *)t->data + i * step);
    return SP_OK;
}

sp_status sp_tensor_to_f64(const sp_tensor *t, double *out, sp_error *err)
{
    size_t step = 0;
    element_fn fn = find_element(t, &step);
    if (!fn)
        return fail_dtype(t, err);
    for (size_t i = 0; i < t->bytes / step; i++)
        out[i] = fn((const unsigned char *)t->data + i * step);
    return SP_OK;
}

sp_status sp_tensors_check_finite(const sp_tensor_file *f, sp_error *err)
{
    for (size_t k = 0; k < f->n; k++) {
        const sp_tensor *t = &f->items[k];
        size_t step = 0;
        element_fn fn = find_element(t, &step);
        for (size_t i = 0; fn && i < t->bytes / step; i++) {
            double x = fn((const unsigned char *)t->data + i * step);
            if (!isfinite(x))
                return SP_FAIL(err, SP_E_NUMERIC, "%s: tensor \"%.80s\": element %zu is %s", f->path, t->name,
                               i, isnan(x) ? "NaN" : "infinite");
        }
    }
    return SP_OK;
}
