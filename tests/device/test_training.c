/* What stops training, and what it leaves behind: numbers that are not finite, a full disk, sequences of the
 * wrong length. And evaluation of a checkpoint against what training said of it. */
#include "program.h"

TestSuite(training, .init = program_setup, .fini = program_teardown);

static void write_recipe(const char *more, const char *network)
{
    char text[2048];
    snprintf(text, sizeof text, "%s%s%s", TINY, more, network);
    write_text("r.yaml", text);
}

/* The last line of `eval --json`. */
static json_t *evaluated(const char *arguments)
{
    EXPECT_CODE(0, run("eval %s --json", arguments));
    json_t *j = json_loads(text_of("out"), 0, NULL);
    cr_assert_not_null(j, "not JSON: %s", text_of("out"));
    return j;
}

Test(training, evaluation_of_a_checkpoint_gives_what_the_metrics_say)
{
    static const char *const schedules[] = {"schedule: {method: sltt, time_steps: 3}\n",
                                            "schedule: {method: bptt, time_steps: 2}\nloss: {mse: 0.3}\n",
                                            "schedule: {method: sltt-k, time_steps: 3}\nloss: {of: mean, "
                                            "label_smoothing: 0.1, class_weights: [1, 2, 0.5, "
                                            "1]}\n",
                                            "schedule: {method: bptt, time_steps: 2}\nloss: {of: count, mse: "
                                            "1}\n"};
    static const char *const ends[] = {"", "", "  - {type: lif, output: membrane}\n", "  - {type: lif}\n"};
    for (int i = 0; i < 4; i++) {
        char network[1024];
        snprintf(network, sizeof network, "%s%s", TINY_NETWORK, ends[i]);
        write_recipe(schedules[i], network);
        EXPECT_CODE(0, run("train r.yaml --out run --overwrite"));
        json_t *last = metrics_event("run", "epoch", 1), *e = evaluated("run"),
               *end = metrics_event("run", "end", 0);
        cr_assert_eq(number_of(e, "samples"), 40);
        cr_assert_eq(number_of(e, "accuracy"), number_of(last, "test_accuracy"));
        cr_assert_eq(number_of(e, "loss"), number_of(last, "test_loss"));
        json_decref(e);
        e = evaluated("run/best.safetensors");
        cr_assert_eq(number_of(e, "accuracy"), number_of(end, "best_accuracy"));
        json_decref(e), json_decref(end);
        /* other batch sizes and the reference kernels agree to rounding; a limit counts */
        e = evaluated("run -s eval_batch=7 --plugin '*=reference'");
        cr_assert_eq(number_of(e, "samples"), 40);
        cr_assert_float_eq(number_of(e, "loss"), number_of(last, "test_loss"), 1e-4);
        json_decref(e), json_decref(last);
        e = evaluated("run -s data.test_limit=5");
        cr_assert_eq(number_of(e, "samples"), 5);
        json_decref(e);
    }
}

static const float *weights_of(sp_tensor_file *f, const char *file, const char *name)
{
    *f = tensors_of(file);
    const sp_tensor *t = sp_tensors_find(f, name);
    cr_assert(t && strcmp(t->dtype, "F32") == 0, "%s has no %s", file, name);
    return (const float *)t->data;
}

/* One mini-batch without momentum at rate 1: the weights move by the clipped gradient, and their average by
 * half of that. */
Test(training, gradients_are_clipped_and_weights_averaged)
{
    sp_tensor_file files[3];
    write_recipe("optimizer: {momentum: 0, ema: 0.5, lr: 1}\nlr_schedule: {name: constant}\n",
                 "network: [{type: flatten}, {type: linear, out: 4, bias: false}]\n");
    EXPECT_CODE(130, run("train r.yaml --out start --max-iterations 1 -s optimizer.lr=0"));
    EXPECT_CODE(130, run("train r.yaml --out norm --max-iterations 1 -s optimizer.clip_norm=0.125"));
    EXPECT_CODE(130, run("train r.yaml --out value --max-iterations 1 -s optimizer.clip_value=0.001"));
    const float *start = weights_of(&files[0], "start/checkpoint.safetensors", "1.weight"),
                *norm = weights_of(&files[1], "norm/checkpoint.safetensors", "1.weight"),
                *value = weights_of(&files[2], "value/checkpoint.safetensors", "1.weight"),
                *average = (const float *)sp_tensors_find(&files[1], "optimizer.ema.1.weight")->data;
    size_t n = (size_t)sp_tensor_elems(sp_tensors_find(&files[0], "1.weight"));
    double squares = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        double moved = (double)norm[i] - (double)start[i];
        squares += moved * moved;
        largest = fmax(largest, fabs((double)value[i] - (double)start[i]));
        cr_assert_float_eq((double)average[i], ((double)norm[i] + (double)start[i]) / 2, 1e-7);
    }
    cr_assert_float_eq(sqrt(squares), 0.125, 1e-6, "the weights move by %g", sqrt(squares));
    cr_assert_float_eq(largest, 0.001, 1e-7, "the weights move by %g at most", largest);
    for (int i = 0; i < 3; i++)
        sp_tensors_free(&files[i]);
}

/* Evaluation uses the average, and on demand the weights themselves; another run starts from the weights. */
Test(training, the_average_of_the_weights_is_evaluated)
{
    write_recipe("optimizer: {ema: 0.95}\n", TINY_NETWORK);
    EXPECT_CODE(0, run("train r.yaml --out run"));
    json_t *last = metrics_event("run", "epoch", 1), *average = evaluated("run"),
           *weights = evaluated("run -s optimizer.ema=0");
    cr_assert_eq(number_of(average, "loss"), number_of(last, "test_loss"));
    cr_assert_neq(number_of(average, "loss"), number_of(weights, "loss"));
    EXPECT_CODE(0, run("train r.yaml --out next -s init_from=run -s optimizer.ema=0 -s optimizer.lr=0"));
    EXPECT_CODE(0, run("train r.yaml --out next2 -s init_from=run -s optimizer.lr=0"));
    json_t *next = metrics_event("next", "epoch", 1), *next2 = metrics_event("next2", "epoch", 1);
    cr_assert_eq(number_of(next, "test_loss"), number_of(next2, "test_loss"));
    EXPECT_CODE(3, run("train --resume next -s optimizer.ema=0.5 -s epochs=3"));
    EXPECT_SAID("optimizer.ema.");
    json_decref(last), json_decref(average), json_decref(weights), json_decref(next), json_decref(next2);
}

/* At rate 0 nothing becomes better: the first epoch is the best one, and its checkpoint stays. */
Test(training, ends_early_and_stays_ended)
{
    write_recipe("optimizer: {lr: 0}\nmeasure: test_loss\nearly_stopping: {patience: 2}\n",
                 "network: [{type: flatten}, {type: linear, out: 4}]\n");
    EXPECT_CODE(0, run("train r.yaml --out run -s epochs=6"));
    json_t *third = metrics_event("run", "epoch", 2), *fourth = metrics_event("run", "epoch", 3);
    cr_assert(third && !fourth, "training does not end after three epochs");
    json_decref(third);
    sp_tensor_file f = tensors_of("run/best.safetensors");
    cr_assert_str_eq(sp_tensors_meta(&f, "epoch"), "1");
    sp_tensors_free(&f);
    EXPECT_CODE(0, run("train --resume run"));
    cr_assert_null(metrics_event("run", "epoch", 3));
    EXPECT_CODE(0, run("train --resume run -s early_stopping.patience=0"));
    fourth = metrics_event("run", "epoch", 5);
    cr_assert_not_null(fourth, "a run that goes on without early stopping has all of its epochs");
    json_decref(fourth);
}

Test(training, losses_that_cannot_be_taken_are_refused)
{
    write_recipe("", TINY_NETWORK);
    EXPECT_CODE(3, run("train r.yaml --out run -s 'loss.class_weights=[1, 2]'"));
    EXPECT_SAID("loss.class_weights has 2 numbers, but the network has 4 outputs");
    EXPECT_CODE(3, run("train r.yaml --out run -s loss.class_weights=1"));
    EXPECT_SAID("must be a list with a number for each class");
    EXPECT_CODE(3, run("train r.yaml --out run -s loss.of=mean -s schedule.method=bptt -s "
                       "schedule.truncate=1"));
    EXPECT_SAID("loss.of: mean and count need the outputs of all time steps");
}

/* Memory at the peak is what was planned, also where evaluation needs the larger part. */
Test(training, memory_at_the_peak_is_the_plan)
{
    static const char *const sets[] = {"", "-s eval_batch=64",
                                       "-s schedule.method=bptt -s optimizer.name=adamw"};
    write_recipe("", TINY_NETWORK);
    for (int i = 0; i < 3; i++) {
        EXPECT_CODE(0, run("train r.yaml --out run --overwrite -s epochs=1 %s", sets[i]));
        json_t *start = metrics_event("run", "start", 0), *epoch = metrics_event("run", "epoch", 0);
        cr_assert_gt(number_of(start, "planned_bytes"), 1000.0);
        cr_assert_eq(number_of(start, "planned_bytes"), number_of(epoch, "peak_bytes"));
        json_decref(start), json_decref(epoch);
    }
}

Test(training, a_learning_rate_that_is_too_high_stops_with_layer_and_time_step)
{
    /* no neurons: the product of the weights is beyond float32 in the second mini-batch */
    write_recipe("optimizer: {lr: 1000000, momentum: 0, weight_decay: 1000}\nlr_schedule: {name: constant}\n",
                 "network: [{type: flatten}, {type: linear, out: 8}, {type: linear, out: 8}, {type: linear, "
                 "out: 8}, "
                 "{type: linear, out: 8}, {type: linear, out: 4}]\n");
    EXPECT_CODE(6, run("train r.yaml --out run -s checkpoint_every=1"));
    EXPECT_SAID("epoch 1, mini-batch 2 (the last checkpoint is untouched): the loss is not finite. First "
                "seen: layer ");
    EXPECT_SAID(" gemm, time step 1: \"c\" is ");
    EXPECT_SAID("smaller learning rate (now 1e+06)");
    /* what was saved before that has finite numbers, and can be continued at another rate */
    sp_tensor_file f = tensors_of("run/checkpoint.safetensors");
    cr_assert_str_eq(sp_tensors_meta(&f, "iteration"), "1");
    for (size_t i = 0; i < f.n; i++)
        for (size_t k = 0; k < f.items[i].bytes / sizeof(float); k++)
            cr_assert(isfinite(((const float *)f.items[i].data)[k]), "%s", f.items[i].name);
    sp_tensors_free(&f);
    EXPECT_CODE(6, run("train --resume run"));
    EXPECT_SAID("epoch 1, mini-batch 2");
}

Test(training, a_checkpoint_before_the_bad_learning_rate_survives)
{
    write_recipe("", TINY_NETWORK);
    EXPECT_CODE(130, run("train r.yaml --out run --max-iterations 1"));
    sp_tensor_file before = tensors_of("run/checkpoint.safetensors");
    EXPECT_CODE(6, run("train --resume run -s optimizer.lr=1000000 -s optimizer.weight_decay=1000 "
                       "-s lr_schedule.name=constant -s loss.mse=1"));
    cr_assert(strstr(text_of("err"), "time step") || strstr(text_of("err"), "a parameter, before"), "%s",
              text_of("err"));
    sp_tensor_file after = tensors_of("run/checkpoint.safetensors");
    for (size_t i = 0; i < before.n; i++)
        cr_assert_eq(memcmp(before.items[i].data, after.items[i].data, before.items[i].bytes), 0, "%s",
                     before.items[i].name);
    sp_tensors_free(&before);
    sp_tensors_free(&after);
    json_decref(evaluated("run"));
    EXPECT_CODE(0, run("train --resume run"));
}

/* Loss and gradients can be finite when a parameter is not: nothing unusable takes the checkpoint's place.
 * Weights grow a thousand million times with each update; without a norm no kernel squares them, so that they
 * overflow first on every device. */
Test(training, parameters_that_are_not_finite_are_not_saved)
{
    write_recipe("optimizer: {lr: 1000000, momentum: 0, weight_decay: 1000}\nlr_schedule: {name: constant}\n",
                 "network: [{type: flatten}, {type: linear, out: 8}, {type: lif}, {type: linear, out: 4}]\n");
    EXPECT_CODE(6, run("train r.yaml --out run -s checkpoint_every=1"));
    EXPECT_SAID("no checkpoint of it is written, the one from before stays");
    json_decref(evaluated("run"));
}

static bool leftovers(const char *folder)
{
    char line[700];
    snprintf(line, sizeof line, "ls -a '%s/%s' | grep -q tmp", work, folder);
    return system(line) == 0;
}

/* A limit on file sizes emulates the full disk: write fails in the middle of the checkpoint. */
Test(training, a_full_disk_is_said_and_the_old_checkpoint_stays)
{
    write_recipe("", "network: [{type: flatten}, {type: linear, out: 4096}, {type: lif, v_th: 0.3}, {type: "
                     "linear, out: 4}]\n");
    EXPECT_CODE(130,
                run("train r.yaml --out run --max-iterations 2")); /* kernels are in the driver's cache now */
    sp_tensor_file before = tensors_of("run/checkpoint.safetensors");
    /* blocks of 512 bytes: 3 MB for a checkpoint of 4; a driver's own files are smaller */
    EXPECT_CODE(1, run_with("ulimit -f 6000;", "train --resume run -s checkpoint_every=1"));
    EXPECT_SAID("run/checkpoint.safetensors");
    EXPECT_SAID("File too large");
    cr_assert(!leftovers("run"));
    sp_tensor_file after = tensors_of("run/checkpoint.safetensors");
    cr_assert_str_eq(sp_tensors_meta(&after, "iteration"), "2");
    for (size_t i = 0; i < before.n; i++)
        cr_assert_eq(memcmp(before.items[i].data, after.items[i].data, before.items[i].bytes), 0, "%s",
                     before.items[i].name);
    sp_tensors_free(&before);
    sp_tensors_free(&after);
    json_decref(evaluated("run"));
    EXPECT_CODE(0, run("train --resume run"));
}

Test(training, a_folder_that_cannot_be_written_is_said_before_training)
{
    write_recipe("", TINY_NETWORK);
    write_text("file", "");
    EXPECT_CODE(1, run("train r.yaml --out file/run"));
    EXPECT_SAID("file/run");
}

Test(training, sequences_train_with_every_method)
{
    static const char *const methods[] = {"sltt", "bptt", "ottt"};
    for (int i = 0; i < 3; i++) {
        write_recipe("schedule: {time_steps: 3}\n", TINY_NETWORK);
        EXPECT_CODE(0, run("train r.yaml --out run --overwrite -s data.frames=3 -s epochs=4 -s "
                           "schedule.method=%s -s "
                           "optimizer.lr=0.2",
                           methods[i]));
        json_t *first = metrics_event("run", "epoch", 0), *last = metrics_event("run", "epoch", 3),
               *e = evaluated("run");
        cr_assert_lt(number_of(last, "loss"), 0.7 * number_of(first, "loss"), "%s does not learn",
                     methods[i]);
        cr_assert_gt(number_of(last, "test_accuracy"), 0.5, "%s", methods[i]);
        cr_assert_eq(number_of(e, "accuracy"), number_of(last, "test_accuracy"));
        json_decref(first), json_decref(last), json_decref(e);
    }
}

Test(training, sequences_of_another_length_are_refused)
{
    write_recipe("schedule: {time_steps: 3}\n", TINY_NETWORK);
    EXPECT_CODE(3, run("train r.yaml --out run -s data.frames=4"));
    EXPECT_SAID("schedule.time_steps is 3, but a sample of synthetic has 4 frames");
    cr_assert(!exists("run"));
}
