/* The CIFAR readers: layout of a record, labels, files in parts, every kind of damage, and the real files
 * where they are. */
#include "support.h"

enum { RECORD10 = 3073, RECORD100 = 3074 };

/* Records whose bytes are a formula of (record, channel, y, x). */
static uint8_t formula(size_t i, int c, int y, int x)
{
    return (uint8_t)(i * 37 + (size_t)c * 91 + (size_t)y * 5 + (size_t)x * 3);
}

static uint8_t *make_records(size_t first, size_t n, int classes)
{
    size_t labels = classes == 100 ? 2 : 1, record = labels + 3072;
    uint8_t *bytes = malloc(n * record);
    for (size_t i = 0; i < n; i++) {
        uint8_t *at = bytes + i * record;
        if (labels == 2)
            *at++ = (uint8_t)((first + i) % 20);
        *at++ = (uint8_t)((first + i) * 3 % (size_t)classes);
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < 32; y++)
                for (int x = 0; x < 32; x++)
                    *at++ = formula(first + i, c, y, x);
    }
    return bytes;
}

static void write_records(const char *folder, const char *name, size_t first, size_t n, int classes)
{
    uint8_t *bytes = make_records(first, n, classes);
    write_file(folder, name, bytes, n * (classes == 100 ? RECORD100 : RECORD10));
    free(bytes);
}

static void check_samples(const sp_dataset *ds, size_t n, int classes)
{
    static float image[3072];
    cr_assert_eq(ds->info.count, n);
    cr_assert(ds->info.classes == classes && ds->info.channels == 3 && ds->info.height == 32 &&
              ds->info.width == 32 && ds->info.frames == 0);
    for (size_t i = 0; i < n; i++) {
        sp_error err = {0};
        int32_t label = -1;
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, image, &label, &err), SP_OK, "%s",
                     err.text);
        cr_assert_eq(label, (int32_t)(i * 3 % (size_t)classes));
        for (int k = 0; k < 3072; k++) {
            float want =
                (float)((formula(i, k % 3, k / 3 / 32, k / 3 % 32) / 255.0 - 0.25 * (k % 3)) / (0.5 + k % 3));
            cr_assert_eq(image[k], want, "sample %zu item %d: %g, not %g", i, k, (double)image[k],
                         (double)want);
        }
    }
}

static sp_dataset_options options(const char *name, const char *folder, int train)
{
    return (sp_dataset_options){.name = name,
                                .path = folder,
                                .train = train,
                                .means = {0, 0.25, 0.5},
                                .n_means = 3,
                                .stds = {0.5, 1.5, 2.5},
                                .n_stds = 3};
}

Test(cifar, reads_all_batches_in_order_with_channels_last)
{
    char folder[512];
    sp_dataset *ds;
    sp_error err;
    make_folder(folder, sizeof folder, "cifar");
    for (int k = 1; k <= 5; k++) {
        char name[64];
        snprintf(name, sizeof name, "data_batch_%d.bin", k);
        write_records(folder, name, (size_t)(k - 1) * 7, 7, 10);
    }
    write_records(folder, "test_batch.bin", 0, 3, 10);
    cr_assert_eq(open_set(options("cifar10", folder, 1), &ds, &err), SP_OK, "%s", err.text);
    check_samples(ds, 35, 10);
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 35}, NULL, NULL, &err), SP_E_DATA);
    sp_dataset_close(&ds);
    cr_assert_eq(open_set(options("cifar10", folder, 0), &ds, &err), SP_OK, "%s", err.text);
    check_samples(ds, 3, 10);
    sp_dataset_close(&ds);
    remove_folder(folder);
}

Test(cifar, hundred_uses_the_fine_label_and_finds_the_archives_folder)
{
    char folder[512], inner[600];
    sp_dataset *ds;
    sp_error err;
    make_folder(folder, sizeof folder, "cifar");
    snprintf(inner, sizeof inner, "%s/cifar-100-binary", folder);
    cr_assert_eq(mkdir(inner, 0777), 0);
    write_records(inner, "train.bin", 0, 50, 100);
    write_records(inner, "test.bin", 0, 4, 100);
    for (int inside = 0; inside < 2; inside++) {
        cr_assert_eq(open_set(options("cifar100", inside ? inner : folder, 1), &ds, &err), SP_OK, "%s",
                     err.text);
        check_samples(ds, 50, 100);
        sp_dataset_close(&ds);
        cr_assert_eq(open_set(options("cifar100", inside ? inner : folder, 0), &ds, &err), SP_OK, "%s",
                     err.text);
        check_samples(ds, 4, 100);
        sp_dataset_close(&ds);
    }
    remove_folder(folder);
}

/* Opens the test split made of these bytes. */
typedef struct place {
    char folder[512];
    const char *set, *file;
} place;

static sp_status parse(void *ctx, const uint8_t *bytes, size_t n, sp_error *err)
{
    const place *p = ctx;
    sp_dataset *ds = NULL;
    sp_dataset_options o = {.name = p->set, .path = p->folder};
    sp_status st;
    write_file(p->folder, p->file, bytes, n);
    st = sp_dataset_open(&o, &ds, err);
    if (st != SP_OK) {
        cr_assert_not_null(strstr(err->text, p->file), "%s", err->text);
        cr_assert_not_null(strstr(err->text, "byte"), "%s", err->text);
        cr_assert_eq(st, SP_E_DATA, "%s", err->text);
    }
    sp_dataset_close(&ds);
    return st;
}

Test(cifar, damage_names_file_and_byte)
{
    place ten = {.set = "cifar10", .file = "test_batch.bin"},
          hundred = {.set = "cifar100", .file = "test.bin"};
    sp_error err = {0};
    uint8_t *bytes = make_records(0, 1, 10);
    make_folder(ten.folder, sizeof ten.folder, "cifar");
    make_folder(hundred.folder, sizeof hundred.folder, "cifar");
    damage(parse, &ten, bytes, RECORD10, 100, 50, 50);
    free(bytes);
    bytes = make_records(0, 1, 100);
    damage(parse, &hundred, bytes, RECORD100, 100, 50, 50);
    free(bytes);

    bytes = make_records(0, 3, 10);
    bytes[2 * RECORD10] = 10;
    cr_assert_neq(parse(&ten, bytes, 3 * RECORD10, &err), SP_OK);
    cr_assert_not_null(strstr(err.text, "byte 6146: label 10 of sample 3"), "%s", err.text);
    cr_assert_neq(parse(&ten, bytes, 2 * RECORD10 + 5, &err), SP_OK);
    cr_assert_not_null(strstr(err.text, "byte 6146 is cut off"), "%s", err.text);
    cr_assert_neq(parse(&ten, bytes, 0, &err), SP_OK);
    cr_assert_not_null(strstr(err.text, "empty"), "%s", err.text);
    free(bytes);
    bytes = make_records(0, 1, 100); /* the other set's file under this name */
    cr_assert_neq(parse(&ten, bytes, RECORD100, &err), SP_OK);
    free(bytes);
    remove_folder(ten.folder);
    remove_folder(hundred.folder);
}

Test(cifar, a_file_too_large_is_refused_before_it_is_read)
{
    place p = {.set = "cifar10", .file = "test_batch.bin"};
    char path[600];
    sp_dataset *ds;
    sp_error err;
    make_folder(p.folder, sizeof p.folder, "cifar");
    snprintf(path, sizeof path, "%s/test_batch.bin", p.folder);
    write_file(p.folder, p.file, "", 0);
    if (truncate(path, (off_t)RECORD10 << 24) != 0)
        cr_skip_test("no sparse files here");
    cr_assert_eq(open_set((sp_dataset_options){.name = "cifar10", .path = p.folder}, &ds, &err), SP_E_DATA);
    cr_assert_not_null(strstr(err.text, "another file"), "%s", err.text);
    remove_folder(p.folder);
}

Test(cifar, missing_files_say_what_and_how)
{
    char folder[512];
    sp_dataset *ds;
    sp_error err;
    make_folder(folder, sizeof folder, "cifar");
    cr_assert_eq(open_set((sp_dataset_options){.name = "cifar10", .path = folder}, &ds, &err), SP_E_DATA);
    cr_assert(strstr(err.text, "test_batch.bin") && strstr(err.text, "fetch.sh cifar10"), "%s", err.text);
    cr_assert_eq(open_set((sp_dataset_options){.name = "cifar100", .path = folder, .train = 1}, &ds, &err),
                 SP_E_DATA);
    cr_assert(strstr(err.text, "train.bin") && strstr(err.text, "fetch.sh cifar100"), "%s", err.text);
    write_records(folder, "test_batch.bin", 0, 1, 10);
    cr_assert_eq(open_set((sp_dataset_options){.name = "cifar10", .path = folder, .n_means = 2}, &ds, &err),
                 SP_E_CONFIG);
    cr_assert_not_null(strstr(err.text, "3 channels"), "%s", err.text);
    remove_folder(folder);
}

Test(cifar, real_files)
{
    static const int labels[10] = {299 + 96 + 95 + 92,  287 + 93 + 100 + 98,  322 + 71 + 87 + 109,
                                   285 + 88 + 113 + 79, 311 + 102 + 94 + 104, 279 + 90 + 83 + 100,
                                   312 + 90 + 96 + 82,  297 + 113 + 86 + 87,  308 + 106 + 94 + 90,
                                   300 + 83 + 84 + 91};
    static const int first[10] = {6, 9, 9, 4, 1, 1, 2, 7, 8, 3};
    static float image[3072];
    const char *folder = REAL_DATA "/cifar10/lossless-bin";
    int seen[10] = {0};
    double sum = 0.0;
    sp_dataset *ds;
    sp_error err;
    if (access(folder, R_OK) != 0)
        cr_skip_test("no CIFAR-10 sample folder");
    cr_assert_eq(open_set((sp_dataset_options){.name = "cifar10", .path = folder, .train = 1}, &ds, &err),
                 SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 3000 + 932 + 932 + 932);
    for (size_t i = 0; i < ds->info.count; i++) {
        int32_t label;
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, image, &label, &err), SP_OK);
        seen[label]++;
        cr_assert(i >= 10 || label == first[i]);
        for (int k = 0; i < 3000 && k < 3072; k++)
            sum += (double)image[k] * 255.0;
    }
    for (int c = 0; c < 10; c++)
        cr_assert_eq(seen[c], labels[c], "class %d: %d", c, seen[c]);
    cr_assert_float_eq(sum / 3000 / 3072, 120.4347, 1e-3, "%f", sum / 3000 / 3072);
    sp_dataset_close(&ds);
    cr_assert_eq(open_set((sp_dataset_options){.name = "cifar10", .path = folder}, &ds, &err), SP_OK, "%s",
                 err.text);
    cr_assert_eq(ds->info.count, 500);
    sp_dataset_close(&ds);
}

Test(cifar, real_record_of_cifar100)
{
    size_t n;
    uint8_t *bytes = read_whole(REAL_DATA "/cifar100/train_first_record.bin", &n);
    static float image[3072];
    char folder[512];
    int32_t label;
    sp_dataset *ds;
    sp_error err;
    if (!bytes)
        cr_skip_test("no CIFAR-100 record");
    make_folder(folder, sizeof folder, "cifar");
    write_file(folder, "train.bin", bytes, n);
    cr_assert_eq(open_set((sp_dataset_options){.name = "cifar100", .path = folder, .train = 1}, &ds, &err),
                 SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 1);
    cr_assert_eq(ds->get(ds, (sp_sample_request){0}, image, &label, &err), SP_OK);
    cr_assert_eq(label, 19, "cattle, not the coarse 11");
    cr_assert_eq(image[1], (float)(bytes[2 + 1024] / 255.0), "green of the first pixel");
    sp_dataset_close(&ds);
    remove_folder(folder);
    free(bytes);
}
