/* The library as spikeport.h declares it: on arrays of the caller, beside the program and the loop inside. */
#include <math.h>

#include "api.h"
#include "config/safetensors.h"
#include "data/loader.h"

static void expect_file_equals_net(const char *path, sp_net *net)
{
    sp_tensor_file f = {0};
    size_t n;
    OK(sp_tensors_read(path, &f, &err));
    OK(sp_net_param_count(net, &n, &err));
    cr_assert_gt(n, 4);
    for (size_t i = 0; i < n; i++) {
        sp_param_info p = {.struct_size = sizeof p};
        OK(sp_net_param_describe(net, i, &p, &err));
        float *x = sp_alloc_array((size_t)p.count, sizeof *x);
        OK(sp_net_get(net, p.name, x, (size_t)p.count, &err));
        const sp_tensor *t = sp_tensors_find(&f, p.name);
        cr_expect(t && t->bytes == (size_t)p.count * sizeof *x && memcmp(t->data, x, t->bytes) == 0,
                  "%s differs", p.name);
        sp_free(x);
    }
    sp_tensors_free(&f);
}

/* The recipe's mini-batches, as the loader orders them, through sp_net_step. */
static void train_by_steps(sp_net *net, int64_t epochs)
{
    sp_dataset *ds = NULL;
    sp_loader *l = NULL;
    const sp_recipe *r = &net->s->recipe;
    const sp_loader_options o = {.batch = (size_t)r->batch,
                                 .shuffle = true,
                                 .drop_last = true,
                                 .seed = (uint64_t)r->seed};
    float *x = sp_alloc_array((size_t)r->batch * EACH, sizeof *x);
    OK(sp_session_dataset(r, true, &ds, &err));
    OK(sp_loader_create(ds, &o, &l, &err));
    for (int64_t e = 0; e < epochs; e++) {
        const sp_batch *b;
        OK(sp_loader_start(l, (uint64_t)e, 0, &err));
        while (sp_loader_next(l, &b, &err) == SP_OK && b) {
            double lr;
            sp_train_result result = {.struct_size = sizeof result};
            spi_to_file_layout(b->images, x, r->batch, C, H * W);
            OK(sp_net_scheduled_lr(net, e, (int64_t)b->index, (int64_t)sp_loader_batches(l), &lr, &err));
            OK(sp_net_set_lr(net, lr, &err));
            OK(sp_net_step(net, x, (size_t)r->batch * EACH, b->labels, (size_t)r->batch, &result, &err));
            cr_assert(result.loss > 0 && result.backprop_steps == T);
            sp_loader_release(l, b);
        }
    }
    sp_loader_destroy(&l);
    sp_dataset_close(&ds);
    sp_free(x);
}

Test(api, program_training_and_steps_give_the_same_bits)
{
    char command[512], run[64], checkpoint[96];
    sp_net *fitted = open_net(NULL, 0), *stepped = open_net(NULL, 0);
    path_of(run, sizeof run, "run");
    snprintf(command, sizeof command, "%s train %s --out %s/program 2>/dev/null", SP_PROGRAM, RECIPE, folder);
    cr_assert_eq(system(command), 0);
    const sp_fit_options o = {.struct_size = sizeof o, .out = run};
    OK(sp_net_train(fitted, &o, &err));
    train_by_steps(stepped, 2);
    path_of(checkpoint, sizeof checkpoint, "program/checkpoint.safetensors");
    expect_file_equals_net(checkpoint, fitted);
    expect_file_equals_net(checkpoint, stepped);
    sp_net_close(&fitted);
    sp_net_close(&stepped);
}

Test(api, forward_gives_sums_steps_spikes_and_potentials)
{
    enum { N = 7 };
    const char *sets[] = {"eval_batch=4"};
    sp_net *net = open_net(sets, 1);
    size_t layers;
    sp_layer_info layer = {.struct_size = sizeof layer};
    OK(sp_net_layer_count(net, &layers, &err));
    cr_assert_eq(layers, 1);
    OK(sp_net_layer_describe(net, 0, &layer, &err));
    const size_t each = (size_t)(layer.channels * layer.height * layer.width);
    float *x = numbers(N * EACH, 1), sum[N][K], alone[K], steps[T][N][K];
    float *u = sp_alloc_array(T * N * each, sizeof *u);
    uint8_t *s = sp_alloc_array(T * N * each, 1);
    const sp_layer_record record = {.layer = layer.name, .spikes = s, .potentials = u};
    const sp_forward_outputs o = {.struct_size = sizeof o,
                                  .logits = sum[0],
                                  .step_logits = steps[0][0],
                                  .records = &record,
                                  .n_records = 1};
    const sp_forward_outputs only = {.struct_size = sizeof only, .logits = alone};
    OK(sp_net_forward(net, x, N * EACH, N, &o, &err));
    for (int i = 0; i < N; i++) {
        OK(sp_net_forward(net, x + i * EACH, EACH, 1, &only, &err));
        cr_expect_arr_eq(alone, sum[i], sizeof alone, "sample %d depends on the others", i);
        for (int k = 0; k < K; k++)
            cr_expect_float_eq(sum[i][k], steps[0][i][k] + steps[1][i][k] + steps[2][i][k], 1e-5);
    }
    size_t fired = 0;
    for (size_t i = 0; i < T * N * each; i++) {
        cr_expect_eq(s[i], u[i] >= 1.0f);
        fired += s[i];
    }
    cr_expect_gt(fired, 0);
    sp_free(x), sp_free(u), sp_free(s);
    sp_net_close(&net);
}

Test(api, a_checkpoint_continues_with_the_same_bits_and_weights_travel)
{
    enum { N = 32 };
    char checkpoint[64], weights[64];
    float *x = numbers(N * EACH, 2);
    int32_t y[N];
    sp_net *a = open_net(NULL, 0), *b = open_net(NULL, 0), *c = NULL;
    path_of(checkpoint, sizeof checkpoint, "c.safetensors");
    path_of(weights, sizeof weights, "w.st"); /* a checkpoint is known by its contents */
    for (int i = 0; i < N; i++)
        y[i] = i % K;
    float bias[K], before[K];
    expect(sp_net_gradient(a, "5.bias", bias, K, &err), SP_E_USAGE, "no gradient yet");
    for (int i = 0; i < 3; i++)
        OK(sp_net_step(a, x, N * EACH, y, N, NULL, &err));
    OK(sp_net_save_checkpoint(a, checkpoint, &err));
    OK(sp_net_resume(b, checkpoint, &err));
    OK(sp_net_get(a, "5.bias", before, K, &err));
    OK(sp_net_step(a, x, N * EACH, y, N, NULL, &err));
    OK(sp_net_step(b, x, N * EACH, y, N, NULL, &err));
    OK(sp_net_save(a, weights, &err));
    expect_file_equals_net(weights, b);
    OK(sp_net_gradient(a, "5.bias", bias, K, &err));
    cr_expect(fabsf(bias[0]) > 0);
    OK(sp_net_open(ctx, weights, NULL, &c, &err));
    expect_file_equals_net(weights, c);
    sp_net_close(&c);
    OK(sp_net_open(ctx, checkpoint, NULL, &c, &err));
    OK(sp_net_load(c, weights, &err));
    expect_file_equals_net(weights, c);
    memset(bias, 0, sizeof bias);
    OK(sp_net_set(c, "5.bias", bias, K, &err));
    OK(sp_net_get(c, "5.bias", before, K, &err));
    cr_expect_arr_eq(bias, before, sizeof bias);
    sp_net_close(&a), sp_net_close(&b), sp_net_close(&c);
    sp_free(x);
}

Test(api, misuse_is_an_error_that_says_what_to_do)
{
    enum { N = 32 };
    float *x = numbers(N * EACH, 3), bias[K] = {0};
    int32_t y[N] = {0};
    sp_net *net = open_net(NULL, 0), *none = NULL;
    sp_net_info info = {.struct_size = sizeof info}, unsized = {0};
    OK(sp_net_describe(net, &info, &err));
    cr_expect(info.batch == N && info.outputs == K && info.time_steps == T &&
              strcmp(info.method, "sltt") == 0);
    expect(sp_net_describe(net, &unsized, &err), SP_E_USAGE, "struct_size");
    expect(sp_net_describe(NULL, &info, &err), SP_E_USAGE, "NULL");
    expect(sp_net_open(NULL, RECIPE, NULL, &none, &err), SP_E_USAGE, "NULL");
    expect(sp_net_open(ctx, "no_such_recipe", NULL, &none, &err), SP_E_USAGE, "no_such_recipe");
    expect(sp_net_parse(ctx, "batch: many", NULL, &none, &err), SP_E_CONFIG, "recipe:1:8");
    cr_expect_null(none);
    expect(sp_net_step(net, x, N * EACH, y, N - 1, NULL, &err), SP_E_USAGE, "exactly 32");
    expect(sp_net_step(net, x, N * EACH - 1, y, N, NULL, &err), SP_E_USAGE, "32 x 2 x 8 x 8");
    y[5] = K;
    expect(sp_net_step(net, x, N * EACH, y, N, NULL, &err), SP_E_USAGE, "label 4 of sample 6");
    y[5] = 0;
    expect(sp_net_get(net, "5.bais", bias, K, &err), SP_E_USAGE, "did you mean \"5.bias\"");
    expect(sp_net_get(net, "5.bias", bias, K - 1, &err), SP_E_USAGE, "has 4 numbers");
    bias[1] = NAN;
    expect(sp_net_set(net, "5.bias", bias, K, &err), SP_E_NUMERIC, "number 1");
    expect(sp_net_set_lr(net, -1, &err), SP_E_USAGE, "learning rate");
    x[EACH + 3] = INFINITY;
    expect(sp_net_step(net, x, N * EACH, y, N, NULL, &err), SP_E_NUMERIC, "sample 2");
    x[EACH + 3] = 0;
    cr_expect_eq(sp_net_load(net, "/no/such/file.safetensors", NULL), SP_E_IO);
    OK(sp_net_step(net, x, N * EACH, y, N, NULL, &err)); /* the handle has survived all of that */
    sp_net_close(&net);
    sp_net_close(&net);
    sp_free(x);
}

Test(api, an_argument_that_is_null_is_named)
{
    enum { N = 32 };
    static float logits[T * N * K];
    float *x = numbers(N * EACH, 7);
    sp_net *net = open_net(NULL, 0), *none = NULL;
    const char *const texts[] = {"batch=4", NULL};
    const sp_context_options plugins = {.struct_size = sizeof plugins, .plugins = texts, .n_plugins = 2};
    const sp_net_options sets = {.struct_size = sizeof sets, .sets = texts, .n_sets = 2};
    const sp_forward_outputs records = {.struct_size = sizeof records, .n_records = 1};
    sp_context *other = NULL;
    double lr;
    expect(sp_devices_count(NULL, &err), SP_E_USAGE, "n is NULL");
    expect(sp_context_create(NULL, NULL, &err), SP_E_USAGE, "out is NULL");
    expect(sp_context_create(&plugins, &other, &err), SP_E_USAGE, "plugins[1] is NULL");
    expect(sp_net_open(ctx, RECIPE, NULL, NULL, &err), SP_E_USAGE, "out is NULL");
    expect(sp_net_open(ctx, NULL, NULL, &none, &err), SP_E_USAGE, "name a recipe");
    expect(sp_net_open(ctx, RECIPE, &sets, &none, &err), SP_E_USAGE, "sets[1] is NULL");
    expect(sp_net_param_count(net, NULL, &err), SP_E_USAGE, "n is NULL");
    expect(sp_net_layer_count(net, NULL, &err), SP_E_USAGE, "n is NULL");
    expect(sp_net_get(net, NULL, logits, K, &err), SP_E_USAGE, "no parameter");
    expect(sp_net_get(net, "5.bias", NULL, K, &err), SP_E_USAGE, "5.bias");
    expect(sp_net_save(net, NULL, &err), SP_E_USAGE, "path is NULL");
    expect(sp_net_load(net, NULL, &err), SP_E_USAGE, "path is NULL");
    expect(sp_net_save_checkpoint(net, NULL, &err), SP_E_USAGE, "path is NULL");
    expect(sp_net_resume(net, NULL, &err), SP_E_USAGE, "path is NULL");
    expect(sp_net_lr(net, NULL, &err), SP_E_USAGE, "lr is NULL");
    expect(sp_net_scheduled_lr(net, 0, 0, 1, NULL, &err), SP_E_USAGE, "lr is NULL");
    expect(sp_net_scheduled_lr(net, 0, 3, 3, &lr, &err), SP_E_USAGE, "no mini-batch 3 of 3");
    expect(sp_net_forward(net, x, EACH, 1, &records, &err), SP_E_USAGE, "no layer of neurons");
    expect(sp_net_forward(net, NULL, EACH, 1, NULL, &err), SP_E_USAGE, "x has 0 numbers");
    expect(sp_net_step(net, x, N * EACH, NULL, N, NULL, &err), SP_E_USAGE, "labels are NULL");
    expect(sp_net_forward_train(net, x, N * EACH, N, 0, NULL, &err), SP_E_USAGE, "step_logits is NULL");
    OK(sp_net_forward_train(net, x, N * EACH, N, 0, logits, &err));
    expect(sp_net_backward(net, NULL, NULL, &err), SP_E_USAGE, "g_step_logits is NULL");
    OK(sp_net_begin_steps(net, x, N * EACH, N, &err));
    expect(sp_net_forward_step(net, NULL, &err), SP_E_USAGE, "logits is NULL");
    OK(sp_net_forward_step(net, logits, &err));
    expect(sp_net_backward_step(net, NULL, &err), SP_E_USAGE, "g_logits is NULL");
    expect(sp_net_train(net, NULL, &err), SP_E_USAGE, "names no folder");
    expect(sp_net_evaluate(net, NULL, NULL, &err), SP_E_USAGE, "struct_size");
    cr_expect_null(none);
    cr_expect_null(other);
    sp_net_close(&net);
    sp_free(x);
}

enum { MOST_PARAMS = 8 };

/* Room for all parameters, each in an array of its own behind the one before; returns how many there are. */
static size_t room_for_all(sp_net *net, float *at, float *all[MOST_PARAMS])
{
    size_t n;
    OK(sp_net_param_count(net, &n, &err));
    cr_assert_leq(n, MOST_PARAMS);
    for (size_t i = 0; i < n; i++) {
        sp_param_info p = {.struct_size = sizeof p};
        OK(sp_net_param_describe(net, i, &p, &err));
        all[i] = at;
        at += p.count;
    }
    return n;
}

/* As of a CPU, whose memory is mapped, and of another device, where each parameter goes through a copy. */
Test(api, all_parameters_at_once_are_those_one_by_one)
{
    enum { N = 32, ROOM = 4096 };
    static float first[ROOM], second[ROOM], one[ROOM];
    float *a[MOST_PARAMS], *b[MOST_PARAMS], *x = numbers(N * EACH, 8);
    const int32_t y[N] = {1, 2, 3};
    sp_net *net = open_net(NULL, 0);
    const size_t n = room_for_all(net, first, a);
    room_for_all(net, second, b);
    expect(sp_net_gradient_all(net, a, n, &err), SP_E_USAGE, "no gradient");
    OK(sp_net_step(net, x, N * EACH, y, N, NULL, &err));
    expect(sp_net_gradient_all(net, a, n, &err), SP_E_USAGE, "running statistic");
    expect(sp_net_get_all(net, a, n - 1, &err), SP_E_USAGE, "all parameters are");
    expect(sp_net_set_all(net, NULL, n, &err), SP_E_USAGE, "all parameters are");
    sp_device *dev = net->s->dev;
    const sp_device_type type = dev->info.type;
    for (int mapped = 0; mapped < 2; mapped++) {
        dev->info.type = mapped ? SP_DEVICE_CPU : SP_DEVICE_GPU;
        OK(sp_net_get_all(net, a, n, &err));
        for (size_t i = 0; i < n; i++) {
            sp_param_info p = {.struct_size = sizeof p};
            OK(sp_net_param_describe(net, i, &p, &err));
            OK(sp_net_get(net, p.name, one, (size_t)p.count, &err));
            cr_expect_arr_eq(one, a[i], (size_t)p.count * sizeof *one, "%s", p.name);
            b[i] = p.trainable ? b[i] : NULL;
        }
        OK(sp_net_gradient_all(net, b, n, &err));
        OK(sp_net_gradient(net, "5.weight", one, 512, &err));
        cr_expect_arr_eq(one, b[6], 512 * sizeof *one);
        a[0][3] += 1; /* a weight is set, and a bias left out */
        a[7][0] += 1;
        const float *some[MOST_PARAMS] = {a[0], NULL, a[2], a[3], a[4], a[5], a[6]};
        OK(sp_net_set_all(net, some, n, &err));
        OK(sp_net_get(net, "0.weight", one, 144, &err));
        cr_expect_arr_eq(one, a[0], 144 * sizeof *one);
        OK(sp_net_get(net, "5.bias", one, K, &err));
        cr_expect_float_neq(one[0], a[7][0], 0.5f);
        room_for_all(net, second, b);
    }
    a[6][7] = NAN;
    a[0][0] += 1;
    expect(sp_net_set_all(net, (const float *const *)a, n, &err), SP_E_NUMERIC, "number 7 is not finite");
    OK(sp_net_get(net, "0.weight", one, 144, &err));
    cr_expect_float_neq(one[0], a[0][0], 0.5f, "something was set");
    dev->info.type = type;
    sp_net_close(&net);
    sp_free(x);
}

static int read_own(void *c, size_t index, float *x, int32_t *label)
{
    for (int i = 0; i < EACH; i++)
        x[i] = (float)((index * 31 + (size_t)i * 7) % 13) / 13.0f;
    *label = (int32_t)(index % K);
    return c && index == *(size_t *)c ? 42 : 0;
}

static int look_inside(void *c, const sp_progress_report *p)
{
    sp_net *net = *(sp_net **)c;
    float bias[K], x[EACH] = {0};
    OK(sp_net_get(net, "5.bias", bias, K, &err));
    cr_expect_eq(sp_net_forward(net, x, EACH, 1, NULL, &err), SP_E_USAGE, "forward during training");
    return p->is_epoch;
}

Test(api, training_on_data_of_a_function)
{
    size_t bad = 70;
    char run[64];
    sp_net *net = open_net(NULL, 0);
    path_of(run, sizeof run, "run");
    sp_data train = {.struct_size = sizeof train, .classes = K, .count = 96, .read = read_own}, test = train;
    sp_fit_options o = {.struct_size = sizeof o,
                        .out = run,
                        .train = &train,
                        .test = &test,
                        .report = look_inside,
                        .ctx = &net};
    expect(sp_net_train(net, &o, &err), SP_E_INTERRUPTED, "interrupted in epoch 2");
    sp_eval_result e = {.struct_size = sizeof e};
    OK(sp_net_evaluate(net, &test, &e, &err));
    cr_expect(e.samples == 96 && e.accuracy >= 0 && e.loss > 0);
    train.ctx = &bad;
    o.flags = SP_FIT_OVERWRITE;
    expect(sp_net_train(net, &o, &err), SP_E_DATA, "returned 42 for sample 70");
    OK(sp_net_evaluate(net, &test, &e, &err));
    sp_net_close(&net);
}

/* What is set is what is computed with, not only after the next time a weight turns. */
Test(api, weights_of_one_bit_keep_the_signs_of_what_is_set)
{
    static const char recipe[] =
        "data: {name: synthetic, classes: 4, channels: 2, height: 8, width: 8, count: 64}\n"
        "network: [{type: conv, out: 4, kernel: 3}, {type: lif}, {type: conv, out: 4, kernel: 3}, {type: "
        "lif}, "
        "{type: flatten}, {type: linear, out: 4}]\n"
        "schedule: {method: sltt, time_steps: 2}\noptimizer: {binary: bso}\nbatch: 8\n";
    enum { N = 8, FIRST = 4 * 2 * 9, HIDDEN = 4 * 4 * 9 };
    static float logits[2][2 * N * K];
    float first[FIRST], hidden[HIDDEN], got[HIDDEN], *x = numbers(N * EACH, 5);
    sp_net *net = NULL;
    OK(sp_net_parse(ctx, recipe, NULL, &net, &err));
    for (int i = 0; i < FIRST; i++)
        first[i] = (float)(i % 5) * 0.5f - 0.7f;
    for (int i = 0; i < HIDDEN; i++)
        hidden[i] = i % 3 ? 0.3f : i % 2 ? -2 : 0;
    OK(sp_net_set(net, "0.weight", first, FIRST, &err));
    OK(sp_net_set(net, "2.weight", hidden, HIDDEN, &err));
    OK(sp_net_forward_train(net, x, N * EACH, N, 0, logits[0], &err));
    OK(sp_net_get(net, "0.weight", got, FIRST, &err));
    cr_expect_arr_eq(got, first, sizeof first);
    OK(sp_net_get(net, "2.weight", got, HIDDEN, &err));
    for (int i = 0; i < HIDDEN; i++)
        cr_assert_eq(got[i], hidden[i] < 0 ? -1 : 1);
    OK(sp_net_set(net, "2.weight", got, HIDDEN, &err));
    OK(sp_net_forward_train(net, x, N * EACH, N, 0, logits[1], &err));
    cr_expect_arr_eq(logits[0], logits[1], sizeof logits[0]);
    sp_net_close(&net);
    sp_free(x);
}
