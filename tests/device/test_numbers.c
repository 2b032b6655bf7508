/* Numbers of files that are read: what is not finite or cannot be counted is refused by name, by every
 * command that reads weights; a file with the network's names and shapes is a starting point whoever wrote
 * it. */
#include "program.h"

TestSuite(numbers, .init = program_setup, .fini = program_teardown);

static sp_error err;

static void make_run(void)
{
    char text[2048];
    snprintf(text, sizeof text, "%sschedule: {method: sltt, time_steps: 3}\n%s", TINY, TINY_NETWORK);
    write_text("r.yaml", text);
    EXPECT_CODE(130, run("train r.yaml --out a --max-iterations 2"));
}

static void save(const char *folder, const sp_tensor_file *f, size_t n_meta)
{
    char path[768];
    snprintf(path, sizeof path, "%s/%s", work, folder);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/checkpoint.safetensors", work, folder);
    cr_assert_eq(sp_tensors_write(path, f->items, f->n, (const char *const *)f->meta_keys,
                                  (const char *const *)f->meta_values, n_meta, &err),
                 SP_OK, "%s", err.text);
}

static void fill(const sp_tensor_file *f, const char *name, float value)
{
    const sp_tensor *t = sp_tensors_find(f, name);
    cr_assert_not_null(t, "%s", name);
    for (size_t i = 0; i < t->bytes / 4; i++)
        memcpy((char *)(uintptr_t)t->data + 4 * i, &value, 4);
}

Test(numbers, the_place_in_training_is_checked)
{
    static const struct {
        const char *key, *value;
    } cases[] = {{"epoch", "9223372036854775807"},
                 {"batch", "4294967296"},
                 {"iteration", "9223372036854775807"},
                 {"seen", "9223372036854775807"},
                 {"correct", "9223372036854775807"},
                 {"epoch", "1 "},
                 {"seen", ""},
                 {"loss_sum", "nan"},
                 {"loss_sum", "inf"},
                 {"best_accuracy", "nan"},
                 {"best_accuracy", "1e9"},
                 {"measured", "test_accuracy 0x1p+0 0x1p-1 0 nan 0 0x1p-1"},
                 {"train_seconds", "-inf"}};
    make_run();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_tensor_file f = tensors_of("a/checkpoint.safetensors");
        char quoted[64];
        for (size_t k = 0; k < f.n_meta; k++)
            if (strcmp(f.meta_keys[k], cases[i].key) == 0) {
                free(f.meta_values[k]);
                f.meta_values[k] = strdup(cases[i].value);
            }
        save("m", &f, f.n_meta);
        sp_tensors_free(&f);
        EXPECT_CODE(7, run("train --resume m"));
        snprintf(quoted, sizeof quoted, "\"%s\" in its metadata", cases[i].key);
        EXPECT_SAID(quoted);
    }
}

Test(numbers, weights_that_are_not_finite_are_refused_by_name)
{
    static const struct {
        const char *name;
        float value;
    } cases[] = {{"0.weight", NAN}, {"1.running_var", INFINITY}, {"optimizer.m.8.weight", NAN}};
    static const char *const commands[] = {"eval n",
                                           "draw n",
                                           "train --resume n",
                                           "train r.yaml --out b --set init_from=n",
                                           "diff a n",
                                           "bench r.yaml --checkpoint n/checkpoint.safetensors"};
    make_run();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_tensor_file f = tensors_of("a/checkpoint.safetensors");
        fill(&f, cases[i].name, cases[i].value);
        save("n", &f, f.n_meta);
        sp_tensors_free(&f);
        for (size_t k = 0; k < sizeof commands / sizeof *commands; k++) {
            EXPECT_CODE(6, run("%s", commands[k]));
            EXPECT_SAID(cases[i].name);
        }
    }
}

/* Finite weights, but potentials that are not: a layer that is silent for that reason is no result. */
Test(numbers, potentials_that_are_not_finite_stop_an_evaluation)
{
    make_run();
    sp_tensor_file f = tensors_of("a/checkpoint.safetensors");
    fill(&f, "1.weight", -3e38f);
    fill(&f, "1.bias", -3e38f);
    save("p", &f, f.n_meta);
    sp_tensors_free(&f);
    EXPECT_CODE(6, run("eval p"));
    EXPECT_SAID("\"u\" is");
}

Test(numbers, whole_numbers_are_no_weights)
{
    make_run();
    sp_tensor_file f = tensors_of("a/checkpoint.safetensors");
    for (size_t i = 0; i < f.n; i++)
        if (strcmp(f.items[i].name, "0.weight") == 0)
            strcpy(f.items[i].dtype, "I32");
    save("w", &f, f.n_meta);
    sp_tensors_free(&f);
    EXPECT_CODE(7, run("eval w"));
    EXPECT_SAID("tensor \"0.weight\" is I32");
}

/* The weights of a run as float64, with what PyTorch adds, and without metadata. */
static void make_state_dict(sp_tensor_file *f, const char *folder, const char *extra, const char *without)
{
    sp_tensor t[64];
    double *wide[64] = {NULL};
    int64_t batches = 7;
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const sp_tensor *x = &f->items[i];
        if (strncmp(x->name, "optimizer.", 10) == 0 || (without && strcmp(x->name, without) == 0))
            continue;
        wide[n] = malloc(x->bytes * 2);
        cr_assert_eq(sp_tensor_to_f64(x, wide[n], &err), SP_OK);
        t[n] = *x;
        strcpy(t[n].dtype, "F64");
        t[n].data = wide[n];
        t[n].bytes = x->bytes * 2;
        n++;
    }
    t[n++] = (sp_tensor){.name = (char *)(uintptr_t)extra, .dtype = "I64", .data = &batches, .bytes = 8};
    save(folder, &(sp_tensor_file){.items = t, .n = n}, 0);
    for (size_t i = 0; i < n; i++)
        free(wide[i]);
}

Test(numbers, weights_of_any_safetensors_file_are_a_starting_point)
{
    make_run();
    sp_tensor_file f = tensors_of("a/checkpoint.safetensors");
    make_state_dict(&f, "s", "1.num_batches_tracked", NULL);
    const char *train = "train r.yaml --out b --overwrite --max-iterations 1 --set optimizer.lr=0 --set "
                        "init_from=s/checkpoint.safetensors";
    EXPECT_CODE(130, run("%s", train));
    sp_tensor_file b = tensors_of("b/checkpoint.safetensors");
    const sp_tensor *x = sp_tensors_find(&f, "0.weight"), *y = sp_tensors_find(&b, "0.weight");
    cr_assert(memcmp(x->data, y->data, x->bytes) == 0, "the weights are not those of the file");
    sp_tensors_free(&b);
    make_state_dict(&f, "s", "1.num_batches_tracked", "8.bias");
    EXPECT_CODE(7, run("%s", train));
    EXPECT_SAID("\"8.bias\" of the network is missing");
    make_state_dict(&f, "s", "8.bais", NULL);
    EXPECT_CODE(7, run("%s", train));
    EXPECT_SAID("no parameter \"8.bais\"; its nearest name is \"8.bias\"");
    EXPECT_CODE(7, run("train --resume s"));
    sp_tensors_free(&f);
}
