/* A run that was stopped and continued ends as one that was not: weights, optimizer and metrics, bit for bit.
 * The same seed gives the same run. */
#include "base/mem.h"
#include "op/half.h"
#include "program.h"

TestSuite(resume, .init = program_setup, .fini = program_teardown);

static const char *const schedules[] = {
    "schedule: {method: sltt, time_steps: 3}\noptimizer: {lr: 0.1, weight_decay: 0.0005}\n",
    "schedule: {method: sltt-k, time_steps: 4, backprop_steps: 2}\noptimizer: {name: adamw, lr: 0.01, "
    "weight_decay: 0.01}\n",
    "schedule: {method: bptt, time_steps: 3}\nprecision: {activations: half}\noptimizer: {lr: "
    "0.1}\nlr_schedule: {name: step, every: 1, gamma: 0.5}\n",
    "schedule: {method: ottt, time_steps: 3}\noptimizer: {lr: 0.1}\nlr_schedule: {name: cosine, per: "
    "batch}\nloss: {mse: 0.1}\n",
    "schedule: {method: sltt, time_steps: 2}\noptimizer: {name: adam, lr: 0.01, clip_norm: 0.5, clip_value: "
    "0.1, "
    "ema: 0.9}\nlr_schedule: {name: plateau, patience: 0, threshold: 1, warmup: 1.5}\nmeasure: loss\n",
    "schedule: {method: ottt, time_steps: 2, online_update: true}\noptimizer: {lr: 0.05, clip_norm: 1, ema: "
    "0.5}\n"
    "lr_schedule: {name: one_cycle}\n",
    "schedule: {method: sltt-k, time_steps: 4, backprop_steps: 2, batch_norm: online}\noptimizer: {lr: "
    "0.1}\n",
    "schedule: {method: ndot, time_steps: 3}\noptimizer: {lr: 0.1}\nprecision: {activations: half}\n",
    "schedule: {method: rate, time_steps: 4, block: 2}\noptimizer: {lr: 0.1}\nprecision: {activations: "
    "half, compute: bf16}\n",
    "schedule: {method: ottt, time_steps: 2, online_update: true}\noptimizer: {lr: 0.05, binary: t-bso}\n",
    "schedule: {method: bptt, time_steps: 2, width_step: 0.25, width_probes: 3}\nneuron: {surrogate: "
    "dspike}\noptimizer: "
    "{lr: 0.1}\n",
    "schedule: {method: sltt, time_steps: 3, batch_norm: online}\nneuron: {stabilise: true}\noptimizer: {lr: "
    "0.1}\n",
    "schedule: {method: sltt-k, time_steps: 5, backprop_steps: adaptive, spike_share: 0.45}\noptimizer: {lr: "
    "0.1}\n",
};

static void write_recipe(const char *schedule)
{
    char text[2048];
    snprintf(text, sizeof text, "%s%s%s", TINY, schedule, TINY_NETWORK);
    write_text("r.yaml", text);
}

static void expect_same_epochs(const char *a, const char *b)
{
    static const char *const keys[] = {"loss", "accuracy",  "test_loss", "test_accuracy",
                                       "lr",   "iteration", "epoch"};
    for (int n = 0;; n++) {
        json_t *x = metrics_event(a, "epoch", n), *y = metrics_event(b, "epoch", n);
        cr_assert((x == NULL) == (y == NULL), "%s and %s have another number of epochs in their metrics", a,
                  b);
        if (!x) {
            cr_assert_eq(n, 2, "%d epochs in the metrics", n);
            return;
        }
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            cr_assert_eq(number_of(x, keys[i]), number_of(y, keys[i]), "%s of epoch %d", keys[i], n + 1);
        cr_assert(json_equal(json_object_get(x, "spike_rate"), json_object_get(y, "spike_rate")));
        json_decref(x), json_decref(y);
    }
}

/* In the middle of an epoch, at its end (before the evaluation), and after one mini-batch of the next. */
Test(resume, a_run_that_was_stopped_ends_as_one_that_was_not)
{
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
        write_recipe(schedules[i]);
        EXPECT_CODE(0, run("train r.yaml --out whole%zu", i));
        EXPECT_CODE(130, run("train r.yaml --out parts%zu --max-iterations 4", i));
        EXPECT_SAID("Continue with: spikeport train --resume");
        if (i < 4)
            EXPECT_CODE(130, run("train --resume parts%zu --max-iterations 2", i));
        if (i == 0)
            EXPECT_CODE(130, run("train --resume parts%zu/checkpoint.safetensors --max-iterations 1", i));
        if (i == 1) /* a file of any name continues the run of its folder */
            EXPECT_CODE(130, run_with("cp parts1/checkpoint.safetensors parts1/now.st;", "train --resume "
                                                                                         "parts1/now.st "
                                                                                         "--max-iterations "
                                                                                         "1"));
        EXPECT_CODE(0, run("train --resume parts%zu", i));
        char a[64], b[64];
        snprintf(a, sizeof a, "whole%zu/checkpoint.safetensors", i);
        snprintf(b, sizeof b, "parts%zu/checkpoint.safetensors", i);
        expect_same_checkpoint(a, b);
        snprintf(a, sizeof a, "whole%zu", i);
        snprintf(b, sizeof b, "parts%zu", i);
        expect_same_epochs(a, b);
    }
    EXPECT_CODE(0, run("train --resume parts0")); /* a run that has ended stays as it is */
    expect_same_checkpoint("whole0/checkpoint.safetensors", "parts0/checkpoint.safetensors");
    expect_same_epochs("whole0", "parts0");
}

/* A teacher is trained first; its weights belong to the run as the data do. */
Test(resume, a_run_with_a_teacher)
{
    write_text("t.yaml", TINY "schedule: {method: sltt, time_steps: 1}\noptimizer: {lr: 0.1}\n"
                              "network:\n"
                              "  - {type: conv, out: 8, kernel: 3, padding: 1}\n"
                              "  - {type: relu}\n"
                              "  - {type: avg_pool, kernel: 2}\n"
                              "  - {type: flatten}\n"
                              "  - {type: linear, out: 16}\n"
                              "  - {type: batch_norm}\n"
                              "  - {type: relu}\n"
                              "  - {type: linear, out: 4}\n");
    write_recipe("teacher: teacher\nschedule: {method: ltl, time_steps: 4, warm_up: 2}\nloss: {of: mean}\n"
                 "optimizer: {name: adam, lr: 0.01}\n");
    EXPECT_CODE(1, run("train r.yaml --out none"));
    EXPECT_SAID("teacher teacher: ");
    EXPECT_CODE(0, run("plan r.yaml --no-device"));
    EXPECT_SAID("there is no such run yet");
    EXPECT_CODE(0, run("train t.yaml --out teacher"));
    long long bytes[2], allocated[2];
    for (int k = 0; k < 2; k++) { /* with the teacher's */
        EXPECT_CODE(0, run("plan r.yaml --json -s schedule.time_steps=%d", k ? 50 : 5));
        const char *at = strstr(text_of("out"), "\"planned_bytes\"");
        cr_assert(at && sscanf(at, "\"planned_bytes\":%lld,\"allocated_bytes\":%lld", &bytes[k],
                               &allocated[k]) == 2);
        cr_assert_eq(bytes[k], allocated[k]);
    }
    cr_assert_eq(bytes[0], bytes[1], "%lld bytes at 5 time steps, %lld at 50", bytes[0], bytes[1]);
    EXPECT_CODE(0, run("train r.yaml --out whole"));
    EXPECT_CODE(130, run("train r.yaml --out parts --max-iterations 4"));
    EXPECT_CODE(0, run("train --resume parts"));
    expect_same_checkpoint("whole/checkpoint.safetensors", "parts/checkpoint.safetensors");
    expect_same_epochs("whole", "parts");
    EXPECT_CODE(130, run("train r.yaml --out other --max-iterations 4"));
    EXPECT_CODE(0, run("train t.yaml --out teacher --overwrite -s seed=8"));
    EXPECT_CODE(3, run("train --resume other"));
    EXPECT_SAID("the weights of the teacher teacher are not those of this run any more");
    EXPECT_CODE(0, run("eval whole")); /* which needs no teacher */
    EXPECT_CODE(3, run("train r.yaml --out two -s schedule.shards=2"));
    EXPECT_SAID("ltl has a teacher that runs before each mini-batch");
    EXPECT_CODE(3, run("train r.yaml --out three -s data.mean=0.5"));
    EXPECT_SAID("another data.mean or data.std");
    EXPECT_CODE(3, run("train r.yaml --out four -s teacher=whole"));
    EXPECT_SAID("teacher whole: its network spikes (layer ");
    EXPECT_SAID("over 4 time steps), and a teacher is a network of relu or qcfs");
}

/* Learnt leaks and recurrent weights are parameters like others: saved, decayed, continued to the bit. */
Test(resume, networks_of_every_neuron_model)
{
    static const char *const methods[] = {"sltt", "bptt"};
    for (int i = 0; i < 2; i++) {
        char text[2048], a[64], b[64];
        snprintf(text, sizeof text,
                 "%sschedule: {method: %s, time_steps: 4}\noptimizer: {lr: 0.1, weight_decay: 0.01}\n%s",
                 TINY, methods[i],
                 "network:\n"
                 "  - {type: conv, out: 8, kernel: 3, stride: 2}\n"
                 "  - {type: batch_norm}\n"
                 "  - {type: plif, tau: 2}\n"
                 "  - {type: flatten}\n"
                 "  - {type: linear, out: 32}\n"
                 "  - {type: cuba_lif, tau_syn: 2, recurrent: true, v_th: 0.4}\n"
                 "  - {type: linear, out: 16}\n"
                 "  - {type: alif, tau_a: 4, beta: 0.2, v_th: 0.3}\n"
                 "  - {type: linear, out: 4}\n");
        write_text("r.yaml", text);
        EXPECT_CODE(0, run("train r.yaml --out whole-%s -s epochs=4", methods[i]));
        EXPECT_CODE(130, run("train r.yaml --out parts-%s -s epochs=4 --max-iterations 5", methods[i]));
        EXPECT_CODE(0, run("train --resume parts-%s", methods[i]));
        snprintf(a, sizeof a, "whole-%s/checkpoint.safetensors", methods[i]);
        snprintf(b, sizeof b, "parts-%s/checkpoint.safetensors", methods[i]);
        expect_same_checkpoint(a, b);
        sp_tensor_file f = tensors_of(a);
        const sp_tensor *w = sp_tensors_find(&f, "2.w"), *m = sp_tensors_find(&f, "optimizer.m.2.w");
        float value;
        cr_assert(w && m && w->n_dims == 0 && w->bytes == sizeof value);
        memcpy(&value, w->data, sizeof value);
        cr_assert(isfinite(value) && value != 0.0f, "tau is 2 as it started: w is %g", (double)value);
        cr_assert_not_null(sp_tensors_find(&f, "5.recurrent.weight"));
        sp_tensors_free(&f);
    }
}

Test(resume, the_same_seed_gives_the_same_run_and_another_another)
{
    write_recipe(schedules[1]);
    EXPECT_CODE(0, run("train r.yaml --out a"));
    EXPECT_CODE(0, run("train r.yaml --out b"));
    expect_same_checkpoint("a/checkpoint.safetensors", "b/checkpoint.safetensors");
    expect_same_checkpoint("a/best.safetensors", "b/best.safetensors");
    expect_same_epochs("a", "b");
    EXPECT_CODE(0, run("train r.yaml --out c -s seed=8"));
    sp_tensor_file a = tensors_of("a/checkpoint.safetensors"), c = tensors_of("c/checkpoint.safetensors");
    const sp_tensor *x = sp_tensors_find(&a, "0.weight"), *y = sp_tensors_find(&c, "0.weight");
    cr_assert_neq(memcmp(x->data, y->data, x->bytes), 0);
    sp_tensors_free(&a);
    sp_tensors_free(&c);
}

/* Starts the program, waits for the n-th event of that name on its stdout, sends the signal; the wait status.
 */
static int signal_at(int number, const char *event, int n, const char *arguments)
{
    int to[2];
    char line[1500], command[1500], wanted[32];
    snprintf(wanted, sizeof wanted, "\"event\":\"%s\"", event);
    cr_assert_eq(pipe(to), 0);
    snprintf(command, sizeof command, "cd '%s' && exec '%s' %s --json 2>err", work, SP_PROGRAM, arguments);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(to[1], STDOUT_FILENO);
        close(to[0]);
        close(to[1]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(to[1]);
    FILE *f = fdopen(to[0], "r");
    while (f && n > 0 && fgets(line, sizeof line, f))
        n -= strstr(line, wanted) != NULL;
    cr_assert_eq(n, 0, "the program ended before the signal: %s", text_of("err"));
    kill(pid, number);
    while (fgets(line, sizeof line, f))
        ; /* a full pipe must not hold it up */
    fclose(f);
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

#define LONG "-s epochs=60 -s log_every=1 -s data.test_limit=24"

Test(resume, after_ctrl_c)
{
    write_recipe(schedules[1]);
    EXPECT_CODE(0, run("train r.yaml --out whole " LONG));
    int status = signal_at(SIGINT, "batch", 9, "train r.yaml --out parts " LONG);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %x: %s", status, text_of("err"));
    EXPECT_SAID("interrupted in epoch");
    status = signal_at(SIGTERM, "batch", 9, "train --resume parts");
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %x: %s", status, text_of("err"));
    EXPECT_CODE(0, run("train --resume parts"));
    expect_same_checkpoint("whole/checkpoint.safetensors", "parts/checkpoint.safetensors");
}

Test(resume, after_kill_9)
{
    write_recipe(schedules[0]);
    EXPECT_CODE(0, run("train r.yaml --out whole -s checkpoint_every=1 " LONG));
    for (int n = 0; n < 4; n++) {
        const char *start =
            n ? "train --resume parts" : "train r.yaml --out parts -s checkpoint_every=1 " LONG;
        /* the last two times between an epoch's line in the metrics and its checkpoint */
        int status =
            n < 2 ? signal_at(SIGKILL, "batch", 4 + 7 * n, start) : signal_at(SIGKILL, "epoch", n, start);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x: %s", status,
                  text_of("err"));
        EXPECT_CODE(0, run("eval parts")); /* there is a whole checkpoint at every moment */
    }
    EXPECT_CODE(0, run("train --resume parts"));
    expect_same_checkpoint("whole/checkpoint.safetensors", "parts/checkpoint.safetensors");
    /* the metrics read as if nothing had happened */
    json_t *a = metrics_event("whole", "batch", 359), *b = metrics_event("parts", "batch", 359);
    cr_assert(a && b && number_of(a, "iteration") == 360 && number_of(b, "iteration") == 360);
    cr_assert_eq(number_of(a, "loss"), number_of(b, "loss"));
    cr_assert_null(metrics_event("parts", "batch", 360));
    cr_assert_null(metrics_event("parts", "epoch", 60), "an epoch is there twice");
    json_decref(a), json_decref(b);
}

/* The counters of spikes are the training plan's own, although evaluation uses the same memory. */
Test(resume, spike_rates_are_shares)
{
    write_recipe(schedules[0]);
    EXPECT_CODE(0, run("train r.yaml --out run"));
    for (int n = 0;; n++) {
        json_t *e = metrics_event("run", "batch", n), *rate;
        const char *layer;
        if (!e) {
            cr_assert_eq(n, 6);
            return;
        }
        json_object_foreach(json_object_get(e, "spike_rate"), layer, rate)
            cr_assert(json_number_value(rate) > 0.01 && json_number_value(rate) < 0.9,
                      "layer %s fires %g times a step in line %d", layer, json_number_value(rate), n);
        cr_assert_eq(json_object_size(json_object_get(e, "spike_rate")), 2);
        json_decref(e);
    }
}

Test(resume, a_checkpoint_of_another_network_or_no_checkpoint_is_refused)
{
    write_recipe(schedules[0]);
    EXPECT_CODE(130, run("train r.yaml --out run --max-iterations 1"));
    EXPECT_CODE(7, run("train --resume run -s network.6.out=17"));
    EXPECT_SAID("6.weight");
    write_text("run/checkpoint.safetensors", "this is not a checkpoint");
    EXPECT_CODE(7, run("train --resume run"));
    EXPECT_SAID("checkpoint.safetensors");
    EXPECT_CODE(1, run("train --resume nowhere"));
    EXPECT_SAID("nowhere");
}

/* The weights of a file as float16 or bfloat16; *rounded are the same as float32. */
static void write_halves(const sp_tensor_file *f, bool brain, const char *name, float *rounded)
{
    char path[768];
    snprintf(path, sizeof path, "%s/%s", work, name);
    sp_tensor items[64];
    uint16_t *halves[64];
    sp_error err = {0};
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const sp_tensor *t = &f->items[i];
        int64_t elems = sp_tensor_elems(t);
        const float *x = (const float *)t->data;
        if (strncmp(t->name, "optimizer.", 10) == 0)
            continue;
        items[n] = *t;
        halves[n] = malloc((size_t)elems * 2 + 2);
        for (int64_t k = 0; k < elems; k++, rounded++) {
            uint32_t bits;
            memcpy(&bits, &x[k], 4);
            halves[n][k] = brain ? (uint16_t)(bits >> 16) : sp_half_from_float(x[k]);
            bits &= 0xffff0000u;
            memcpy(rounded, &bits, 4);
            *rounded = brain ? *rounded : sp_half_to_float(halves[n][k]);
        }
        strcpy(items[n].dtype, brain ? "BF16" : "F16");
        items[n].data = halves[n];
        items[n].bytes = (size_t)elems * 2;
        n++;
    }
    cr_assert_eq(sp_tensors_write(path, items, n, NULL, NULL, 0, &err), SP_OK, "%s", err.text);
    while (n > 0)
        free(halves[--n]);
}

Test(resume, weights_of_half_precision_start_a_run)
{
    static float rounded[100000];
    write_recipe(schedules[0]);
    EXPECT_CODE(130, run("train r.yaml --out source --max-iterations 1"));
    sp_tensor_file f = tensors_of("source/checkpoint.safetensors");
    for (int brain = 0; brain < 2; brain++) {
        write_halves(&f, brain, "half.safetensors", rounded);
        EXPECT_CODE(130, run("train r.yaml --out half%d --set init_from=half.safetensors --set "
                             "optimizer.lr=0 --set "
                             "optimizer.weight_decay=0 --max-iterations 1",
                             brain));
        sp_tensor_file g =
            tensors_of(brain ? "half1/checkpoint.safetensors" : "half0/checkpoint.safetensors");
        const float *want = rounded;
        for (size_t i = 0; i < f.n; i++) {
            if (strncmp(f.items[i].name, "optimizer.", 10) == 0)
                continue;
            size_t elems = (size_t)sp_tensor_elems(&f.items[i]);
            if (!strstr(f.items[i].name, "running_")) /* the mini-batch goes into them */
                cr_assert_eq(memcmp(sp_tensors_find(&g, f.items[i].name)->data, want, elems * 4), 0, "%s",
                             f.items[i].name);
            want += elems;
        }
        sp_tensors_free(&g);
    }
    sp_tensors_free(&f);
}

/* Another file of a checkpoint's tensors, with bits as floats (`whole`), or with a byte of them missing. */
static void write_bits(const sp_tensor_file *f, bool whole, const char *name)
{
    char path[768], of[160];
    float *floats[8];
    sp_tensor items[64];
    size_t n_floats = 0;
    sp_error err = {0};
    snprintf(path, sizeof path, "%s/%s", work, name);
    for (size_t i = 0; i < f->n; i++) {
        const char *end = strstr(f->items[i].name, ".bits");
        items[i] = f->items[i];
        if (!end)
            continue;
        snprintf(of, sizeof of, "%.*s", (int)(end - f->items[i].name), f->items[i].name);
        char *moment = sp_format("optimizer.m.%s", of);
        const sp_tensor *m = sp_tensors_find(f, moment);
        const uint8_t *bits = f->items[i].data;
        cr_assert(m && strcmp(items[i].dtype, "U8") == 0 && m->bytes == items[i].bytes * 32, "%s", of);
        float *x = floats[n_floats++] = malloc(m->bytes);
        for (size_t k = 0; k < m->bytes / 4; k++)
            x[k] = bits[k / 8] >> k % 8 & 1 ? 1 : -1;
        if (whole) {
            items[i] = *m;
            items[i].data = x;
            items[i].name = sp_strdup(of);
        } else {
            items[i].bytes--, items[i].shape[0]--;
        }
        sp_free(moment);
    }
    cr_assert_gt(n_floats, 0, "no tensor of bits");
    cr_assert_eq(sp_tensors_write(path, items, f->n, (const char *const *)f->meta_keys,
                                  (const char *const *)f->meta_values, f->n_meta, &err),
                 SP_OK, "%s", err.text);
    while (n_floats > 0)
        free(floats[--n_floats]);
}

Test(resume, weights_of_one_bit_take_a_bit_of_a_file_and_floats_are_read_too)
{
    write_recipe("schedule: {method: ottt, time_steps: 2, online_update: true}\noptimizer: {lr: 0.05, "
                 "binary: "
                 "t-bso}\n");
    EXPECT_CODE(130, run("train r.yaml --out bits --max-iterations 3"));
    EXPECT_CODE(130, run("train r.yaml --out floats --max-iterations 3"));
    sp_tensor_file f = tensors_of("bits/checkpoint.safetensors");
    write_bits(&f, true, "floats/checkpoint.safetensors");
    write_bits(&f, false, "short.safetensors");
    sp_tensors_free(&f);
    EXPECT_CODE(0, run("train --resume bits"));
    EXPECT_CODE(0, run("train --resume floats"));
    expect_same_checkpoint("bits/checkpoint.safetensors", "floats/checkpoint.safetensors");
    EXPECT_CODE(7, run("train r.yaml --out short --set init_from=short.safetensors"));
    EXPECT_SAID("weights of a bit each are");
    EXPECT_CODE(0, run("eval bits"));
    EXPECT_CODE(0, run("export bits out.safetensors"));
    f = tensors_of("out.safetensors"); /* for PyTorch, in floats */
    for (size_t i = 0; i < f.n; i++)
        cr_expect_str_eq(f.items[i].dtype, "F32");
    sp_tensors_free(&f);
}

Test(resume, a_run_goes_on_with_weights_of_the_kind_that_it_had)
{
    static const char *const kinds[] = {"none", "bso"};
    char command[256];
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command,
                 "schedule: {method: sltt, time_steps: 2}\noptimizer: {lr: 0.05, binary: %s}\n", kinds[i]);
        write_recipe(command);
        snprintf(command, sizeof command, "train r.yaml --out was_%s --max-iterations 3", kinds[i]);
        EXPECT_CODE(130, run("%s", command));
        snprintf(command, sizeof command, "train --resume was_%s --set optimizer.binary=%s", kinds[i],
                 kinds[!i]);
        EXPECT_CODE(3, run("%s", command));
        EXPECT_SAID("optimizer.binary says otherwise now");
    }
}
