/* safetensors: the reference files, round trips, damaged files, conversions, writes that fail half way. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/safetensors.h"

static char folder[64], path[96];
static sp_error err;

static void start(void)
{
    strcpy(folder, "/tmp/spikeport-tensors-XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/a.safetensors", folder);
}

static void finish(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "something is left in %s", folder); /* a temporary file, for one */
}

TestSuite(safetensors, .init = start, .fini = finish);

static void put(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static char *get(size_t *n)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f != NULL);
    char *bytes = malloc(1 << 20);
    *n = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

/* A file of the given header, header length (-1: the true one) and bytes of data. */
static void put_file(const char *header, int64_t length, size_t data_bytes)
{
    char bytes[4096] = {0};
    uint64_t n = length < 0 ? strlen(header) : (uint64_t)length;
    memcpy(bytes, &n, 8);
    memcpy(bytes + 8, header, strlen(header));
    put(bytes, 8 + strlen(header) + data_bytes);
}

Test(safetensors, reads_every_reference_file)
{
    glob_t found;
    if (glob(SP_TEST_SOURCE_DIR "/../shared/reference/*.safetensors", 0, NULL, &found) != 0)
        cr_skip("no reference cases beside the source folder");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        sp_tensor_file f;
        cr_assert_eq(sp_tensors_read(found.gl_pathv[i], &f, &err), SP_OK, "%s", err.text);
        const sp_tensor *input = sp_tensors_find(&f, "input"), *target = sp_tensors_find(&f, "target");
        cr_assert(input && target && sp_tensors_find(&f, "logits_sum"));
        cr_assert_str_eq(input->dtype, "F32");
        cr_assert_str_eq(target->dtype, "I64");
        cr_assert_null(sp_tensors_find(&f, "no such tensor"));
        for (size_t k = 0; k < f.n; k++) {
            double *values = malloc(f.items[k].bytes * 8 + 8);
            cr_assert_eq(sp_tensor_to_f64(&f.items[k], values, &err), SP_OK, "%s", err.text);
            for (int64_t e = 0; e < sp_tensor_elems(&f.items[k]); e++)
                cr_assert(isfinite(values[e]));
            free(values);
            cr_assert(k == 0 || strcmp(f.items[k - 1].name, f.items[k].name) < 0);
        }
        /* Written again they are the same tensors. */
        cr_assert_eq(sp_tensors_write(path, f.items, f.n, NULL, NULL, 0, &err), SP_OK, "%s", err.text);
        sp_tensor_file again;
        cr_assert_eq(sp_tensors_read(path, &again, &err), SP_OK, "%s", err.text);
        cr_assert_eq(again.n, f.n);
        for (size_t k = 0; k < f.n; k++) {
            const sp_tensor *a = &f.items[k], *b = &again.items[k];
            cr_assert(!strcmp(a->name, b->name) && !strcmp(a->dtype, b->dtype) && a->n_dims == b->n_dims &&
                      !memcmp(a->shape, b->shape, sizeof a->shape) && a->bytes == b->bytes &&
                      !memcmp(a->data, b->data, a->bytes));
        }
        sp_tensors_free(&again);
        sp_tensors_free(&f);
    }
    globfree(&found);
}

static const float some_f32[6] = {1, -2, 0.5f, 3, 4, 5};
static const double some_f64[2] = {1e300, -1};
static const uint8_t some_u8[3] = {7, 8, 255};

static const sp_tensor some[] = {
    {.name = "w", .dtype = "F32", .n_dims = 2, .shape = {2, 3}, .data = some_f32, .bytes = 24},
    {.name = "\303\244 \"quoted\"", .dtype = "F64", .n_dims = 1, .shape = {2}, .data = some_f64, .bytes = 16},
    {.name = "bytes", .dtype = "U8", .n_dims = 1, .shape = {3}, .data = some_u8, .bytes = 3},
    {.name = "none", .dtype = "F32", .n_dims = 2, .shape = {0, 5}, .data = NULL, .bytes = 0},
    {.name = "scalar", .dtype = "F32", .n_dims = 0, .data = some_f32, .bytes = 4}};
static const char *const keys[] = {"format", "note"}, *const values[] = {"spikeport", "line\n\303\244"};

Test(safetensors, round_trip_is_exact_aligned_and_canonical)
{
    sp_tensor_file f;
    cr_assert_eq(sp_tensors_write(path, some, 5, keys, values, 2, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_tensors_read(path, &f, &err), SP_OK, "%s", err.text);
    cr_assert_eq(f.n, 5);
    cr_assert_eq((uintptr_t)f.memory % 64, 0);
    for (size_t i = 0; i < 5; i++) {
        const sp_tensor *t = sp_tensors_find(&f, some[i].name);
        cr_assert(t && !strcmp(t->dtype, some[i].dtype) && t->n_dims == some[i].n_dims &&
                  t->bytes == some[i].bytes);
        cr_assert(!memcmp(t->shape, some[i].shape, sizeof t->shape));
        cr_assert(t->bytes == 0 || !memcmp(t->data, some[i].data, t->bytes));
        uintptr_t align = !strcmp(t->dtype, "F64") ? 8 : !strcmp(t->dtype, "F32") ? 4 : 1;
        cr_assert_eq((uintptr_t)t->data % align, 0);
    }
    cr_assert_eq(sp_tensor_elems(sp_tensors_find(&f, "scalar")), 1);
    cr_assert_eq(sp_tensor_elems(sp_tensors_find(&f, "none")), 0);
    cr_assert_str_eq(sp_tensors_meta(&f, "note"), values[1]);
    cr_assert_null(sp_tensors_meta(&f, "absent"));
    sp_tensors_free(&f);
    cr_assert_null(f.items);

    size_t n1, n2;
    char *first = get(&n1);
    sp_tensor backwards[5];
    for (size_t i = 0; i < 5; i++)
        backwards[i] = some[4 - i];
    uint64_t header = 0;
    memcpy(&header, first, 8);
    cr_assert_eq(header % 8, 0);
    cr_assert_eq(sp_tensors_write(path, backwards, 5, keys, values, 2, &err), SP_OK, "%s", err.text);
    char *second = get(&n2);
    cr_assert(n1 == n2 && !memcmp(first, second, n1), "the order given must not matter");
    free(first);
    free(second);
}

Test(safetensors, an_empty_file_of_tensors_is_fine)
{
    sp_tensor_file f;
    cr_assert_eq(sp_tensors_write(path, NULL, 0, NULL, NULL, 0, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_tensors_read(path, &f, &err), SP_OK, "%s", err.text);
    cr_assert_eq(f.n, 0);
    cr_assert_null(sp_tensors_find(&f, "x"));
    sp_tensors_free(&f);
    put_file("{\"a\":{\"dtype\":\"U8\",\"shape\":[0,9223372036854775807],\"data_offsets\":[0,0]}}   ", -1, 0);
    cr_assert_eq(sp_tensors_read(path, &f, &err), SP_OK, "%s", err.text);
    sp_tensors_free(&f);
}

#define T(name, dtype, shape, begin, end)                                                                    \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

Test(safetensors, refuses_damaged_files_with_reason)
{
    static const struct {
        const char *header;
        int64_t length;
        size_t data_bytes;
        const char *message; /* part of it */
    } cases[] = {
        {"{" T("a", "F32", "[2]", 0, 8) "}", -1, 4,
         "cut off: tensor \"a\" ends at data offset 8, the file holds 4 bytes"},
        {"{" T("a", "F32", "[2]", 0, 8) "}", -1, 9, "1 bytes after the last tensor (data offset 8)"},
        {"{" T("a", "F32", "[2]", 4, 12) "}", -1, 12,
         "starts at data offset 4, leaving a hole after where the one before ends (0)"},
        {"{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[1]", 4, 8) "}", -1, 8,
         "tensor \"b\" starts at data offset 4, before the one before ends (8)"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", -1, 12,
         "tensor \"b\" starts at data offset 8, leaving a hole"},
        {"{" T("a", "F32", "[2]", 0, 4) "}", -1, 4,
         "its shape needs 8 bytes of F32, its data_offsets [0, 4] hold 4"},
        {"{" T("a", "F64", "[1]", 0, 4) "}", -1, 4, "its shape needs 8 bytes of F64"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("a", "F32", "[1]", 4, 8) "}", -1, 8, "duplicate object key"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("\\u0061", "F32", "[1]", 4, 8) "}", -1, 8,
         "duplicate object key"},
        {"{" T("a", "F33", "[1]", 0, 4) "}", -1, 4, "unknown dtype \"F33\""},
        {"{" T("a", "F4", "[3]", 0, 1) "}", -1, 1, "is not whole bytes"},
        {"{" T("a", "U8", "[4294967296,4294967296]", 0, 0) "}", -1, 0, "overflows"},
        {"{" T("a", "F64", "[2305843009213693952]", 0, 0) "}", -1, 0, "overflows"},
        {"{" T("a", "U8", "[-1]", 0, 1) "}", -1, 1, "dimension 0 of \"shape\" is not a whole number >= 0"},
        {"{" T("a", "U8", "[1.0]", 0, 1) "}", -1, 1, "dimension 0 of \"shape\" is not a whole number >= 0"},
        {"{" T("a", "U8", "[99999999999999999999]", 0, 1) "}", -1, 1, "too big integer"},
        {"{" T("a", "U8", "3", 0, 1) "}", -1, 1, "no list \"shape\""},
        {"{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", -1, 1, "9 dimensions, at most 8 are supported"},
        {"{" T("a", "U8", "[9223372036854775807,2,0]", 0, 0) "}", -1, 0, "the size of its shape overflows"},
        {"{" T("a", "U8", "[0,9223372036854775807,2]", 0, 0) "}", -1, 0, "the size of its shape overflows"},
        {"{" T("a", "F64", "[1152921504606846976]", 0, 0) "}", -1, 0, "the size of its shape overflows"},
        {"{" T("a", "U8", "[1]", 1, 0) "}", -1, 1, "\"data_offsets\" is not [begin, end]"},
        {"{" T("a", "U8", "[1]", -1, 0) "}", -1, 1, "\"data_offsets\" is not [begin, end]"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", -1, 1,
         "\"data_offsets\" is not [begin, end]"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", -1, 1, "\"data_offsets\" is not [begin, end]"},
        {"{\"a\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,1]}}", -1, 1, "no text \"dtype\""},
        {"{\"a\":[1]}", -1, 0, "no text \"dtype\""},
        {"{\"__metadata__\":[]}", -1, 0, "\"__metadata__\" is not a map"},
        {"{\"__metadata__\":{\"k\":1}}", -1, 0, "\"k\" of \"__metadata__\" is not text"},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", -1, 0, "duplicate object key"},
        {" {}", -1, 0, "does not start with \"{\""},
        {"", -1, 0, "does not start with \"{\""},
        {"[]", -1, 0, "does not start with \"{\""},
        {"{}x", -1, 0, "header (near offset"},
        {"{\"a\":", -1, 0, "header (near offset"},
        {"{\"\\u0000\":1}", -1, 0, "header (near offset"},
        {"{\"\377\":1}", -1, 0, "header (near offset"},
        {"{}", 3, 0, "cut off in the header: it should have 3 bytes, the file has 10"},
        {"{}", 100000001, 0, "header length 100000001 (offset 0) is above the limit of 100000000"},
        {"{}", INT64_MAX, 0, "above the limit"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_tensor_file f;
        put_file(cases[i].header, cases[i].length, cases[i].data_bytes);
        cr_assert_eq(sp_tensors_read(path, &f, &err), SP_E_DATA, "accepted: %s", cases[i].header);
        cr_assert(!strncmp(err.text, path, strlen(path)) && strstr(err.text, cases[i].message),
                  "%s\nsays: %s", cases[i].header, err.text);
        cr_assert(f.items == NULL && f.memory == NULL && f.path == NULL);
    }
}

Test(safetensors, refuses_files_that_are_none)
{
    sp_tensor_file f;
    put("1234567", 7);
    cr_assert_eq(sp_tensors_read(path, &f, &err), SP_E_DATA);
    cr_assert(strstr(err.text, "cut off: 7 bytes") != NULL, "%s", err.text);
    cr_assert_eq(sp_tensors_read("/no/such", &f, &err), SP_E_IO);
    cr_assert_str_eq(err.text, "/no/such: cannot be opened: No such file or directory");
    cr_assert_eq(sp_tensors_read(folder, &f, &err), SP_E_IO);
    cr_assert(strstr(err.text, "is not a regular file") != NULL, "%s", err.text);
    cr_assert_eq(sp_tensors_read("/dev/zero", &f, &err), SP_E_IO);
}

/* Every file cut short is refused; every file with one byte of its header changed is read or refused. */
Test(safetensors, survives_cut_and_damaged_files)
{
    size_t n;
    sp_tensor_file f;
    cr_assert_eq(sp_tensors_write(path, some, 5, keys, values, 2, &err), SP_OK, "%s", err.text);
    char *bytes = get(&n);
    uint64_t header;
    memcpy(&header, bytes, 8);
    for (size_t cut = 0; cut < n; cut++) {
        put(bytes, cut);
        cr_assert_eq(sp_tensors_read(path, &f, &err), SP_E_DATA, "cut at %zu", cut);
    }
    int refused = 0;
    for (size_t i = 0; i < 8 + header; i++)
        for (int k = 0; k < 8; k++) {
            char was = bytes[i];
            bytes[i] = (char)(was ^ 1 << k);
            put(bytes, n);
            if (sp_tensors_read(path, &f, &err) == SP_OK)
                sp_tensors_free(&f);
            else
                refused += err.status == SP_E_DATA;
            bytes[i] = was;
        }
    cr_assert_gt(refused, 1000);
    free(bytes);
}

Test(safetensors, converts_every_number_type)
{
    static const uint16_t half[] = {0x3C00, 0xC000, 0x0001, 0x7BFF, 0x7C00, 0x8000}, bf[] = {0x3F80, 0xC040};
    static const int64_t i64[] = {-5, (int64_t)1 << 40};
    static const int32_t i32[] = {-70000};
    static const int16_t i16[] = {-300};
    static const int8_t i8[] = {-3};
    static const uint32_t u32[] = {4000000000u};
    static const uint64_t u64[] = {(uint64_t)1 << 63};
    static const struct {
        const char *dtype;
        const void *data;
        size_t bytes, n;
        double want[6];
    } cases[] = {{"F16", half, 12, 6, {1, -2, 0x1p-24, 65504, INFINITY, -0.0}},
                 {"BF16", bf, 4, 2, {1, -3}},
                 {"I64", i64, 16, 2, {-5, 1099511627776.0}},
                 {"I32", i32, 4, 1, {-70000}},
                 {"I16", i16, 2, 1, {-300}},
                 {"I8", i8, 1, 1, {-3}},
                 {"U8", some_u8, 3, 3, {7, 8, 255}},
                 {"BOOL", some_u8, 1, 1, {7}},
                 {"U16", half, 2, 1, {15360}},
                 {"U32", u32, 4, 1, {4000000000.0}},
                 {"U64", u64, 8, 1, {9223372036854775808.0}},
                 {"F32", some_f32, 8, 2, {1, -2}},
                 {"F64", some_f64 + 1, 8, 1, {-1}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_tensor t = {.name = "t",
                       .n_dims = 1,
                       .shape = {(int64_t)cases[i].n},
                       .data = cases[i].data,
                       .bytes = cases[i].bytes};
        double d[6];
        float s[6];
        strcpy(t.dtype, cases[i].dtype);
        cr_assert_eq(sp_tensor_to_f64(&t, d, &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_tensor_to_f32(&t, s, &err), SP_OK, "%s", err.text);
        for (size_t k = 0; k < cases[i].n; k++)
            cr_assert(d[k] == cases[i].want[k] && s[k] == (float)cases[i].want[k] &&
                          !signbit(d[k]) == !signbit(cases[i].want[k]),
                      "%s %zu: %g", t.dtype, k, d[k]);
    }
    sp_tensor nan = {
        .name = "n", .dtype = "F16", .n_dims = 1, .shape = {1}, .data = &(uint16_t){0x7E00}, .bytes = 2};
    double d;
    cr_assert_eq(sp_tensor_to_f64(&nan, &d, &err), SP_OK);
    cr_assert(isnan(d));
    sp_tensor f8 = {.name = "f", .dtype = "F8_E4M3", .n_dims = 1, .shape = {1}, .data = some_u8, .bytes = 1};
    cr_assert_eq(sp_tensor_to_f64(&f8, &d, &err), SP_E_DATA);
    cr_assert_str_eq(err.text, "tensor \"f\": values of type F8_E4M3 cannot be read as numbers here");
}

Test(safetensors, reads_data_that_is_not_aligned)
{
    sp_tensor_file f;
    put_file("{" T("a", "U8", "[1]", 0, 1) "," T("b", "F64", "[2]", 1, 17) "}", -1, 17);
    cr_assert_eq(sp_tensors_read(path, &f, &err), SP_OK, "%s", err.text);
    double d[2] = {9, 9};
    cr_assert_eq(sp_tensor_to_f64(sp_tensors_find(&f, "b"), d, &err), SP_OK);
    cr_assert(d[0] == 0 && d[1] == 0);
    sp_tensors_free(&f);
}

Test(safetensors, writer_refuses_what_is_no_file)
{
    sp_tensor bad[] = {some[0], some[0], some[0], some[0], some[0], some[0]};
    bad[0].bytes = 20;
    strcpy(bad[1].dtype, "F33");
    bad[2].name = "__metadata__";
    bad[3].name = "\377";
    bad[4].n_dims = 9;
    bad[5].shape[0] = -2;
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(sp_tensors_write(path, &bad[i], 1, NULL, NULL, 0, &err), SP_E_FAILED, "%zu", i);
        cr_assert_neq(access(path, F_OK), 0);
    }
    const sp_tensor twice[] = {some[0], some[0]};
    cr_assert_eq(sp_tensors_write(path, twice, 2, NULL, NULL, 0, &err), SP_E_FAILED);
    cr_assert(strstr(err.text, "two tensors are called \"w\"") != NULL, "%s", err.text);
    const char *const same[] = {"k", "k"};
    cr_assert_eq(sp_tensors_write(path, some, 1, same, values, 2, &err), SP_E_FAILED);
}

/* The old file must still be there, whole, and nothing beside it (finish() looks). */
static void expect_old_file(void)
{
    sp_tensor_file f;
    cr_assert_eq(sp_tensors_read(path, &f, &err), SP_OK, "%s", err.text);
    cr_assert(f.n == 5 && !strcmp(sp_tensors_meta(&f, "format"), "spikeport"));
    sp_tensors_free(&f);
}

Test(safetensors, a_full_disk_leaves_the_old_file)
{
    static char large[100000];
    sp_tensor t = {.name = "large",
                   .dtype = "U8",
                   .n_dims = 1,
                   .shape = {sizeof large},
                   .data = large,
                   .bytes = sizeof large};
    cr_assert_eq(sp_tensors_write(path, some, 5, keys, values, 2, &err), SP_OK, "%s", err.text);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; limit < sizeof large; limit += 24999) {
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, RLIM_INFINITY}), 0);
        cr_assert_eq(sp_tensors_write(path, &t, 1, NULL, NULL, 0, &err), SP_E_IO);
        cr_assert(strstr(err.text, "File too large") && strstr(err.text, "unchanged"), "%s", err.text);
        expect_old_file();
    }
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}), 0);
    cr_assert_eq(sp_tensors_write(path, &t, 1, NULL, NULL, 0, &err), SP_OK, "%s", err.text);
}

Test(safetensors, replaces_the_old_file_and_a_stale_temporary_one)
{
    char temp[160];
    snprintf(temp, sizeof temp, "%s.tmp", path);
    put("old", 3);
    FILE *f = fopen(temp, "w");
    fputs("left by a crash", f);
    fclose(f);
    cr_assert_eq(sp_tensors_write(path, some, 5, keys, values, 2, &err), SP_OK, "%s", err.text);
    cr_assert_neq(access(temp, F_OK), 0);
    expect_old_file();
}

Test(safetensors, refuses_places_it_cannot_write_to)
{
    struct stat at;
    char into[160];
    cr_assert_eq(sp_tensors_write("/no/such/folder/x", some, 5, NULL, NULL, 0, &err), SP_E_IO);
    cr_assert_str_eq(err.text, "/no/such/folder/x: cannot be created: No such file or directory; create the "
                               "folder first");
    cr_assert_eq(sp_tensors_write(folder, some, 5, NULL, NULL, 0, &err), SP_E_IO);
    cr_assert(strstr(err.text, "is not a regular file") != NULL, "%s", err.text);
    cr_assert_eq(sp_tensors_write("/dev/null", some, 5, NULL, NULL, 0, &err), SP_E_IO);
    cr_assert(stat("/dev/null", &at) == 0 && S_ISCHR(at.st_mode), "/dev/null was replaced");
    if (geteuid() != 0) { /* root may write anywhere */
        snprintf(into, sizeof into, "%s/x", folder);
        chmod(folder, 0500);
        cr_assert_eq(sp_tensors_write(into, some, 5, NULL, NULL, 0, &err), SP_E_IO);
        cr_assert(strstr(err.text, "choose a folder you may write to") != NULL, "%s", err.text);
        chmod(folder, 0700);
    }
}

Test(safetensors, every_allocation_may_fail)
{
    int failed = 0;
    for (int64_t k = 1;; k++) {
        sp_tensor_file f = {0};
        sp_mem_fail_at(k);
        sp_status st = sp_tensors_write(path, some, 5, keys, values, 2, &err);
        if (st == SP_OK)
            st = sp_tensors_read(path, &f, &err);
        sp_mem_fail_at(0);
        sp_tensors_free(&f);
        if (st == SP_OK)
            break;
        cr_assert_eq(st, SP_E_MEMORY, "%s", err.text);
        failed++;
    }
    cr_assert_gt(failed, 12);
}
