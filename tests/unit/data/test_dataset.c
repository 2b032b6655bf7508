/* sp_dataset_open: names, where it looks, what it says; the real sets where they are installed. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "data/dataset.h"

static sp_status open_set(sp_dataset_options o, sp_dataset **ds, sp_error *err)
{
    memset(err, 0, sizeof *err);
    *ds = NULL;
    return sp_dataset_open(&o, ds, err);
}

Test(dataset, refuses_unknown_names_and_bad_options)
{
    static const struct {
        sp_dataset_options o;
        const char *expect;
    } cases[] = {
        {{.name = "fashion_mnist"}, "did you mean \"fashion-mnist\""},
        {{.name = "nothing-like-it"}, "synthetic"},
        {{.name = NULL}, "unknown"},
        {{.name = "idx"}, "needs a path"},
        {{.name = "idx", .path = ""}, "needs a path"},
        {{.name = "synthetic", .std = -1.0}, "std -1"},
        {{.name = "synthetic", .std = 1e-9}, "std 1e-09"},
        {{.name = "synthetic", .mean = NAN}, "finite"},
        {{.name = "synthetic", .std = INFINITY}, "finite"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_dataset *ds;
        sp_error err;
        cr_assert_eq(open_set(cases[i].o, &ds, &err), SP_E_CONFIG, "case %zu", i);
        cr_assert_null(ds);
        cr_assert_not_null(strstr(err.text, cases[i].expect), "case %zu: %s", i, err.text);
    }
}

Test(dataset, missing_says_where_and_how)
{
    static const char *const names[] = {"fashion-mnist", "mnist"};
    for (int i = 0; i < 2; i++) {
        sp_dataset *ds;
        sp_error err;
        cr_assert_eq(open_set((sp_dataset_options){.name = names[i], .path = "/nonexistent/here"}, &ds, &err),
                     SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "t10k-images-idx3-ubyte"), "%s", err.text);
        cr_assert_not_null(strstr(err.text, "/nonexistent/here"), "%s", err.text);
        cr_assert_not_null(strstr(err.text, i ? "fetch.sh mnist" : "apt-get install dataset-fashion-mnist"),
                           "%s", err.text);
    }
    if (access("/usr/share/datasets/mnist", F_OK) != 0) {
        sp_dataset *ds;
        sp_error err;
        setenv("SPIKEPORT_DATA", "/nonexistent", 1);
        cr_assert_eq(open_set((sp_dataset_options){.name = "mnist"}, &ds, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "/nonexistent/mnist or /usr/share/datasets/mnist"), "%s",
                           err.text);
        unsetenv("SPIKEPORT_DATA");
        cr_assert_eq(open_set((sp_dataset_options){.name = "mnist"}, &ds, &err), SP_E_DATA);
        cr_assert_not_null(strstr(err.text, "SPIKEPORT_DATA"), "%s", err.text);
    }
}

Test(dataset, environment_comes_first)
{
    char root[512], folder[600], path[700];
    static const uint8_t images[17] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 255};
    static const uint8_t labels[9] = {0, 0, 8, 1, 0, 0, 0, 1, 4};
    sp_dataset *ds;
    sp_error err;
    float pixel;
    int32_t label;
    FILE *f;
    snprintf(root, sizeof root, "%s/data-XXXXXX", SP_TEST_BINARY_DIR);
    cr_assert_not_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/fashion-mnist", root);
    cr_assert_eq(mkdir(folder, 0777), 0);
    snprintf(path, sizeof path, "%s/t10k-images-idx3-ubyte", folder);
    f = fopen(path, "wb");
    fwrite(images, 1, sizeof images, f);
    fclose(f);
    snprintf(path, sizeof path, "%s/t10k-labels-idx1-ubyte", folder);
    f = fopen(path, "wb");
    fwrite(labels, 1, sizeof labels, f);
    fclose(f);
    setenv("SPIKEPORT_DATA", root, 1);
    cr_assert_eq(open_set((sp_dataset_options){.name = "fashion-mnist"}, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, 1);
    cr_assert_str_eq(ds->info.name, "fashion-mnist");
    cr_assert_eq(ds->get(ds, (sp_sample_request){.index = 0}, &pixel, &label, &err), SP_OK);
    cr_assert(pixel == 1.0f && label == 4);
    sp_dataset_close(&ds);
    unlink(path);
    snprintf(path, sizeof path, "%s/t10k-images-idx3-ubyte", folder);
    unlink(path);
    rmdir(folder);
    rmdir(root);
}

Test(dataset, close_takes_null)
{
    sp_dataset *none = NULL;
    sp_dataset_close(NULL);
    sp_dataset_close(&none);
}

/* Mean over all pixels of a known set, to be sure that the bytes are read from the right place. */
static void check_real(sp_dataset_options o, size_t count, int first_label, double mean)
{
    sp_dataset *ds;
    sp_error err;
    float image[784];
    int32_t label = -1, seen[10] = {0};
    double sum = 0.0;
    cr_assert_eq(open_set(o, &ds, &err), SP_OK, "%s", err.text);
    cr_assert_eq(ds->info.count, count);
    cr_assert(ds->info.classes == 10 && ds->info.height == 28 && ds->info.width == 28 &&
              ds->info.channels == 1);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(ds->get(ds, (sp_sample_request){.index = i}, image, &label, &err), SP_OK);
        cr_assert(i > 0 || label == first_label, "first label %d", (int)label);
        seen[label]++;
        for (int p = 0; p < 784; p++)
            sum += (double)image[p];
    }
    for (int c = 0; c < 10; c++)
        cr_assert(seen[c] > (int)count / 15, "class %d: %d", c, (int)seen[c]);
    cr_assert_float_eq(sum / (784.0 * (double)count), mean, 2e-4, "%f", sum / (784.0 * (double)count));
    sp_dataset_close(&ds);
}

Test(dataset, fashion_mnist_if_installed)
{
    unsetenv("SPIKEPORT_DATA");
    if (access("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz", R_OK) != 0)
        cr_skip_test("dataset-fashion-mnist is not installed");
    check_real((sp_dataset_options){.name = "fashion-mnist", .train = 1}, 60000, 9, 0.2860);
    check_real((sp_dataset_options){.name = "fashion-mnist"}, 10000, 9, 0.2868);
    check_real((sp_dataset_options){.name = "fashion-mnist", .mean = 0.2868, .std = 0.353}, 10000, 9, 0.0);
}

Test(dataset, mnist_if_there)
{
    const char *folder = SP_TEST_SOURCE_DIR "/../shared/data/mnist";
    if (access(folder, R_OK) != 0)
        cr_skip_test("no MNIST sample folder");
    check_real((sp_dataset_options){.name = "mnist", .path = folder, .train = 1}, 60000, 5, 0.1307);
    check_real((sp_dataset_options){.name = "mnist", .path = folder}, 10000, 7, 0.1325);
    check_real((sp_dataset_options){.name = "mnist", .path = folder, .limit = 10000}, 10000, 7, 0.1325);
    check_real((sp_dataset_options){.name = "mnist", .path = folder, .limit = 2000}, 2000, 7, 0.1209);
}
