/* datasets/: index.json agrees with the reader's table, and verify.sh and fetch.sh notice what they are there
 * to notice. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "data/dataset.h"

#define DATASETS SP_TEST_SOURCE_DIR "/datasets"
#define FASHION  "/usr/share/datasets/fashion-mnist"

__attribute__((format(printf, 1, 2))) static int run(const char *fmt, ...)
{
    char command[4096];
    int status;
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    status = system(command);
    cr_assert(WIFEXITED(status), "%s", command);
    return WEXITSTATUS(status);
}

/* Names that stand for a form of one's own files, not for a set. */
static bool is_format(const char *name)
{
    return strcmp(name, "idx") == 0 || strcmp(name, "images") == 0 || strcmp(name, "aedat-folder") == 0 ||
           strcmp(name, "arrays") == 0 || strcmp(name, "events") == 0;
}

Test(index, agrees_with_the_reader)
{
    json_error_t error;
    json_t *root = json_load_file(DATASETS "/index.json", JSON_REJECT_DUPLICATES, &error), *sets;
    const char *const *names;
    size_t n = sp_dataset_names(&names), n_formats = 0;
    cr_assert_not_null(root, "%s", error.text);
    sets = json_object_get(root, "sets");
    for (size_t i = 0; i < n; i++)
        n_formats += is_format(names[i]);
    cr_assert_eq(json_object_size(sets), n - n_formats);
    for (size_t i = 0; i < n; i++) {
        json_t *set = json_object_get(sets, names[i]), *files, *file;
        size_t k;
        if (is_format(names[i]))
            continue;
        cr_assert_not_null(set, "%s", names[i]);
        cr_assert(json_is_string(json_object_get(set, "licence")) &&
                  json_is_string(json_object_get(set, "title")));
        files = json_object_get(set, "files");
        cr_assert_eq(json_array_size(files) > 0, json_is_string(json_object_get(set, "url")), "%s", names[i]);
        json_array_foreach(files, k, file)
        {
            cr_assert_eq(strlen(json_string_value(json_object_get(file, "sha256"))), 64);
            cr_assert_eq(strlen(json_string_value(json_object_get(file, "unpacked_sha256"))), 64);
            cr_assert(json_integer_value(json_object_get(file, "unpacked_bytes")) >
                      json_integer_value(json_object_get(file, "bytes")) -
                          (strstr(json_string_value(json_object_get(file, "name")), ".gz") == NULL));
        }
    }
    json_decref(root);
}

Test(index, an_archive_with_another_sum_is_not_unpacked)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/fetch-XXXXXX", SP_TEST_BINARY_DIR);
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(run("cd '%s' && mkdir cifar-10-batches-bin from && touch "
                     "cifar-10-batches-bin/data_batch_1.bin && tar -czf "
                     "from/cifar-10-binary.tar.gz cifar-10-batches-bin",
                     folder),
                 0);
    if (run("command -v curl >/dev/null") == 0) {
        cr_assert_eq(run("%s/fetch.sh cifar10 '%s/to' 'file://%s/from' 2>&1 | grep -q 'sha256 differs'",
                         DATASETS, folder, folder),
                     0);
        cr_assert_eq(run("%s/fetch.sh cifar10 '%s/to' 'file://%s/from' >/dev/null 2>&1", DATASETS, folder,
                         folder),
                     1);
        cr_assert_eq(run("test -z \"$(ls '%s/to')\"", folder), 0, "nothing is left behind");
    }
    cr_assert_eq(run("%s/verify.sh cifar10 '%s' | grep -q "
                     "'^DIFFERENT.*cifar-10-batches-bin/data_batch_1.bin'",
                     DATASETS, folder),
                 0);
    cr_assert_eq(run("%s/verify.sh cifar10 '%s' | grep -q '^MISSING.*test_batch.bin'", DATASETS, folder), 0);
    cr_assert_eq(run("rm -r '%s'", folder), 0);
}

Test(index, scripts_refuse_wrong_use)
{
    cr_assert_eq(run("%s/verify.sh >/dev/null 2>&1", DATASETS), 2);
    cr_assert_eq(run("%s/verify.sh nonsense >/dev/null 2>&1", DATASETS), 2);
    cr_assert_eq(run("%s/verify.sh synthetic >/dev/null 2>&1", DATASETS), 2);
    cr_assert_eq(run("%s/verify.sh mnist /nonexistent >/dev/null 2>&1", DATASETS), 1);
    cr_assert_eq(run("%s/fetch.sh mnist >/dev/null 2>&1", DATASETS), 2);
    cr_assert_eq(run("%s/fetch.sh synthetic /nonexistent >/dev/null 2>&1", DATASETS), 2);
}

Test(index, verify_finds_good_repacked_damaged_and_missing_files)
{
    char folder[512];
    if (access(FASHION "/train-images-idx3-ubyte.gz", R_OK) != 0)
        cr_skip_test("dataset-fashion-mnist is not installed");
    snprintf(folder, sizeof folder, "%s/verify-XXXXXX", SP_TEST_BINARY_DIR);
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(run("ln -s %s/*.gz '%s'", FASHION, folder), 0);
    cr_assert_eq(run("%s/verify.sh fashion-mnist '%s' >/dev/null", DATASETS, folder), 0);
    /* unpacked, and packed anew */
    cr_assert_eq(run("cd '%s' && gzip -dc %s/t10k-labels-idx1-ubyte.gz > t10k-labels.idx1-ubyte && rm "
                     "t10k-labels-idx1-*",
                     folder, FASHION),
                 0);
    cr_assert_eq(run("cd '%s' && rm train-labels-* && gzip -dc %s/train-labels-idx1-ubyte.gz | gzip -1 > "
                     "train-labels-idx1-ubyte.gz",
                     folder, FASHION),
                 0);
    cr_assert_eq(run("%s/verify.sh fashion-mnist '%s' >/dev/null", DATASETS, folder), 0);
    /* one byte more; then nothing */
    cr_assert_eq(run("printf x >> '%s/t10k-labels.idx1-ubyte'", folder), 0);
    cr_assert_eq(run("%s/verify.sh fashion-mnist '%s' | grep -q '^DIFFERENT.*t10k-labels'", DATASETS, folder),
                 0);
    cr_assert_eq(run("%s/verify.sh fashion-mnist '%s' >/dev/null", DATASETS, folder), 1);
    cr_assert_eq(run("rm '%s/t10k-labels.idx1-ubyte'", folder), 0);
    cr_assert_eq(run("%s/verify.sh fashion-mnist '%s' | grep -q '^MISSING.*t10k-labels'", DATASETS, folder),
                 0);
    cr_assert_eq(run("rm -r '%s'", folder), 0);
}
