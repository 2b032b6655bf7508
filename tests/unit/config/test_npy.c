/* .npy files: what is written reads back, what NumPy writes is read, and damage is an error with a place. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/npy.h"

static char text[512];

static size_t with_header(int version, const char *dict, const char *data, size_t n)
{
    size_t header = strlen(dict), from = version > 1 ? 12 : 10;
    memset(text, 0, sizeof text);
    memcpy(text, "\x93NUMPY", 6);
    text[6] = (char)version;
    text[8] = (char)header;
    memcpy(text + from, dict, header);
    memcpy(text + from + header, data, n);
    return from + header + n;
}

Test(npy, round_trip)
{
    char path[] = "/tmp/sp-npy-XXXXXX";
    static const float x[6] = {1, -2, 3.5f, 0, 1e-30f, 6};
    const sp_tensor shapes[] = {{.dtype = "F32", .n_dims = 2, .shape = {2, 3}, .data = x, .bytes = sizeof x},
                                {.dtype = "F32", .n_dims = 1, .shape = {6}, .data = x, .bytes = sizeof x},
                                {.dtype = "F32", .n_dims = 0, .data = x, .bytes = 4},
                                {.dtype = "U8", .n_dims = 2, .shape = {0, 3}, .data = x, .bytes = 0}};
    sp_error err = {0};
    cr_assert_geq(mkstemp(path), 0);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        sp_tensor t;
        void *memory;
        cr_assert_eq(sp_npy_write(path, &shapes[i], &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_npy_read(path, &t, &memory, &err), SP_OK, "%s", err.text);
        cr_assert_str_eq(t.dtype, shapes[i].dtype);
        cr_assert_eq(t.n_dims, shapes[i].n_dims);
        cr_assert_eq(memcmp(t.shape, shapes[i].shape, sizeof t.shape), 0);
        cr_assert_eq(t.bytes, shapes[i].bytes);
        cr_assert_eq(memcmp(t.data, x, t.bytes), 0);
        cr_assert_eq(((const char *)t.data - (char *)memory) % 64, 0);
        sp_npy_free(&t, &memory);
    }
    remove(path);
}

Test(npy, what_is_read_and_refused)
{
    static const struct {
        int version;
        const char *dict, *wrong; /* NULL: is read */
        size_t bytes;
    } cases[] = {
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", NULL, 8},
        {2, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4), }\n", NULL, 8},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", NULL, 4},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", "cut off", 7},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", "cut off", 8},
        {1, "{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }\n", "astype", 8},
        {1, "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,), }\n", "records", 8},
        {1, "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n", "astype", 8},
        {1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }\n", "ascontiguousarray", 8},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }\n", "dimension", 8},
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': 2, }\n", "shape", 8},
        {1, "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }\n", "shape", 8},
        {1, "{'descr': '<f4', 'fortran_order'", "header", 8},
        {9, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", "version", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_error err = {0};
        sp_tensor t;
        void *none = NULL;
        size_t n = with_header(cases[i].version, cases[i].dict, "12345678", cases[i].bytes);
        sp_status st = sp_npy_parse("a.npy", text, n, &t, &err);
        if (cases[i].wrong) {
            cr_expect_eq(st, SP_E_DATA, "case %zu", i);
            cr_expect(strstr(err.text, "a.npy: ") && strstr(err.text, cases[i].wrong), "case %zu: %s", i,
                      err.text);
        } else {
            cr_expect_eq(st, SP_OK, "case %zu: %s", i, err.text);
        }
        sp_npy_free(&t, &none);
    }
}
