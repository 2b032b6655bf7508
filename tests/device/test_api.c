/* The library as spikeport.h declares it: on arrays of the caller, beside the program and the loop inside. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/mem.h"
#include "config/safetensors.h"
#include "data/loader.h"

#define RECIPE SP_FIXTURES "/../../../recipes/synthetic_tiny.yaml"
enum { C = 2, H = 8, W = 8, K = 4, T = 3, EACH = C * H * W };

static sp_context *ctx;
static char folder[32];
static sp_error err;

static void setup(void)
{
    strcpy(folder, "/tmp/spikeport-api-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    if (sp_context_create(NULL, &ctx, &err) != SP_OK)
        cr_skip_test("no OpenCL device: %s", err.text);
}

static void teardown(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    sp_context_destroy(&ctx);
    cr_assert_eq(system(command), 0);
}

TestSuite(api, .init = setup, .fini = teardown);

#define OK(call) cr_assert_eq((call), SP_OK, "%s", err.text)

static void expect(sp_status st, sp_status wanted, const char *text)
{
    cr_expect_eq(st, wanted, "%s", err.text);
    cr_expect(strstr(err.text, text), "\"%s\" is not in \"%s\"", text, err.text);
}

static sp_net *open_net(const char *const *sets, size_t n)
{
    sp_net *net = NULL;
    const sp_net_options o = {.struct_size = sizeof o, .sets = sets, .n_sets = n};
    OK(sp_net_open(ctx, RECIPE, &o, &net, &err));
    return net;
}

static float *numbers(size_t n, unsigned seed)
{
    float *x = sp_alloc_array(n, sizeof *x);
    srand(seed);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rand() / (float)RAND_MAX * 2 - 0.5f;
    return x;
}

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

static void path_of(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s/%s", folder, name);
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

/* Cross-entropy of `steps` time steps on the host, the mean over T and the batch. */
static void loss_gradient(const float *logits, const int32_t *y, int n, int steps, float *g)
{
    for (int i = 0; i < steps * n; i++) {
        const float *z = logits + i * K;
        float sum = 0;
        for (int k = 0; k < K; k++)
            sum += expf(z[k]);
        for (int k = 0; k < K; k++)
            g[i * K + k] = (expf(z[k]) / sum - (y[i % n] == k)) / (float)(T * n);
    }
}

/* The gradients of a loss at each time step, in `g` room for one. */
static void go_back_step_by_step(sp_net *net, const float *x, const int32_t *y, int n, float *logits,
                                 float *g)
{
    expect(sp_net_backward_step(net, g, &err), SP_E_USAGE, "no time step to go back over");
    OK(sp_net_begin_steps(net, x, (size_t)n * EACH, (size_t)n, &err));
    expect(sp_net_end_steps(net, &err), SP_E_USAGE, "no time step to end");
    for (int t = 0; t < T; t++) {
        OK(sp_net_forward_step(net, logits, &err));
        loss_gradient(logits, y, n, 1, g);
        expect(sp_net_backward(net, g, NULL, &err), SP_E_USAGE, "nothing to go back over");
        OK(sp_net_backward_step(net, g, &err));
        expect(sp_net_backward_step(net, g, &err), SP_E_USAGE, "at most once");
    }
    expect(sp_net_forward_step(net, logits, &err), SP_E_USAGE, "no time step to run");
    OK(sp_net_end_steps(net, &err));
    expect(sp_net_end_steps(net, &err), SP_E_USAGE, "no time step to end");
}

static void expect_close(const float *want, const float *got, int n, const char *what)
{
    float most = 0, worst = 0;
    for (int i = 0; i < n; i++) {
        most = fmaxf(most, fabsf(want[i]));
        worst = fmaxf(worst, fabsf(want[i] - got[i]));
    }
    cr_expect(worst <= 1e-5f * most && most > 0, "%s: %g of %g", what, (double)worst, (double)most);
}

Test(api, a_loss_of_the_caller_gives_the_gradients_of_the_recipes)
{
    enum { N = 32 };
    static const char *const methods[] = {"schedule.method=sltt", "schedule.method=bptt",
                                          "schedule.method=ottt", "schedule.method=sltt-k",
                                          "schedule.method=ndot"};
    static float logits[T * N * K], g[T * N * K], g_x[N * EACH], weight[512], ours[512];
    float *x = numbers(N * EACH, 4);
    int32_t y[N];
    for (int i = 0; i < N; i++)
        y[i] = i % K;
    for (int m = 0; m < 5; m++) {
        sp_net *net = open_net(&methods[m], 1);
        OK(sp_net_set_lr(net, 0, &err));
        OK(sp_net_step(net, x, N * EACH, y, N, NULL, &err));
        OK(sp_net_gradient(net, "5.weight", weight, 512, &err));
        expect(sp_net_backward(net, g, NULL, &err), SP_E_USAGE, "nothing to go back over");
        OK(sp_net_forward_train(net, x, N * EACH, N, 1, logits, &err));
        loss_gradient(logits, y, N, T, g);
        OK(sp_net_backward(net, g, g_x, &err));
        OK(sp_net_gradient(net, "5.weight", ours, 512, &err));
        float input = 0;
        for (int i = 0; i < N * EACH; i++)
            input = fmaxf(input, fabsf(g_x[i]));
        expect_close(weight, ours, 512, methods[m]);
        cr_expect_gt(input, 0, "%s", methods[m]);
        if (m == 1) {
            expect(sp_net_begin_steps(net, x, N * EACH, N, &err), SP_E_CONFIG, "bptt goes back through time");
        } else if (m != 3) { /* each pass of sltt-k draws other time steps */
            go_back_step_by_step(net, x, y, N, logits, g);
            OK(sp_net_gradient(net, "5.weight", ours, 512, &err));
            expect_close(weight, ours, 512, methods[m]);
        }
        OK(sp_net_forward_train(net, x, N * EACH, N, 0, logits, &err));
        OK(sp_net_forward(net, x, EACH, 1, NULL, &err)); /* takes its memory */
        expect(sp_net_backward(net, g, NULL, &err), SP_E_USAGE, "before anything else runs");
        sp_net_close(&net);
    }
    sp_free(x);
}

/* Potentials behind a still image that were computed again, and not kept, added the error of the step before
 * once more. */
Test(api, a_time_step_without_a_loss_adds_nothing)
{
    enum { N = 32, W = 8 * 2 * 9 };
    static const char *const methods[] = {"schedule.method=sltt", "schedule.method=ottt"};
    static float logits[T * N * K], g[T * N * K], want[W], got[W];
    float *x = numbers(N * EACH, 4);
    int32_t y[N];
    for (int i = 0; i < N; i++)
        y[i] = i % K;
    for (int m = 0; m < 2; m++)
        for (int last = 0; last < 2; last++) { /* a step in the middle, or all behind the first */
            sp_net *net = open_net(&methods[m], 1);
            OK(sp_net_forward_train(net, x, N * EACH, N, 0, logits, &err));
            loss_gradient(logits, y, N, T, g);
            memset(g + N * K, 0, (last ? T - 1 : 1) * sizeof(float) * N * K);
            OK(sp_net_backward(net, g, NULL, &err));
            OK(sp_net_gradient(net, "0.weight", want, W, &err));
            OK(sp_net_begin_steps(net, x, N * EACH, N, &err));
            for (int t = 0; t < (last ? 1 : T); t++) {
                OK(sp_net_forward_step(net, logits, &err));
                loss_gradient(logits, y, N, 1, g);
                if (t != 1)
                    OK(sp_net_backward_step(net, g, &err));
            }
            OK(sp_net_end_steps(net, &err));
            OK(sp_net_gradient(net, "0.weight", got, W, &err));
            expect_close(want, got, W, methods[m]);
            sp_net_close(&net);
        }
    sp_free(x);
}

/* spikeport.torch opens networks in this way: the recipe's own loss is never used. */
Test(api, a_network_for_inference_has_the_gradients_of_a_loss_of_the_caller)
{
    enum { N = 32 };
    static float logits[2][T * N * K], g[T * N * K], weight[2][512];
    float *x = numbers(N * EACH, 4);
    for (int i = 0; i < T * N * K; i++)
        g[i] = (float)(i % 7 - 3);
    for (uint32_t flags = 0; flags < 2; flags++) {
        sp_net *net = NULL;
        const sp_net_options o = {.struct_size = sizeof o, .flags = flags ? SP_NET_INFERENCE : 0};
        OK(sp_net_open(ctx, RECIPE, &o, &net, &err));
        OK(sp_net_forward_train(net, x, N * EACH, N, 0, logits[flags], &err));
        OK(sp_net_backward(net, g, NULL, &err));
        OK(sp_net_gradient(net, "5.weight", weight[flags], 512, &err));
        expect_close(weight[0], weight[flags], 512, "gradients");
        sp_net_close(&net);
    }
    cr_expect_arr_eq(logits[0], logits[1], sizeof logits[0]);
    sp_free(x);
}

/* A device that refuses whatever is asked of it, as one that has been lost does. */
static sp_status lose_device(sp_net *net, sp_status (*call)(sp_net *net, float *numbers), float *numbers)
{
    const cl_command_queue queue = net->s->dev->queue;
    net->s->dev->queue = NULL;
    const sp_status st = call(net, numbers);
    net->s->dev->queue = queue;
    return st;
}

static sp_status step_forward(sp_net *net, float *logits)
{
    return sp_net_forward_step(net, logits, &err);
}

static sp_status step_backward(sp_net *net, float *g)
{
    return sp_net_backward_step(net, g, &err);
}

Test(api, a_failed_time_step_ends_the_walk_and_the_next_one_is_whole)
{
    enum { N = 32 };
    static float logits[N * K], g[N * K], want[512], got[512];
    float *x = numbers(N * EACH, 6);
    int32_t y[N];
    for (int i = 0; i < N; i++)
        y[i] = i % K;
    sp_net *net = open_net(NULL, 0);
    go_back_step_by_step(net, x, y, N, logits, g);
    OK(sp_net_gradient(net, "5.weight", want, 512, &err));
    for (int backward = 0; backward < 2; backward++) {
        OK(sp_net_begin_steps(net, x, N * EACH, N, &err));
        OK(sp_net_forward_step(net, logits, &err));
        loss_gradient(logits, y, N, 1, g);
        expect(lose_device(net, backward ? step_backward : step_forward, backward ? g : logits), SP_E_OPENCL,
               "failed");
        expect(sp_net_forward_step(net, logits, &err), SP_E_USAGE, "no time step to run");
        expect(sp_net_backward_step(net, g, &err), SP_E_USAGE, "no time step to go back over");
        expect(sp_net_end_steps(net, &err), SP_E_USAGE, "no time step to end");
        go_back_step_by_step(net, x, y, N, logits, g);
        OK(sp_net_gradient(net, "5.weight", got, 512, &err));
        cr_expect_arr_eq(want, got, sizeof want, "the gradients after a failure differ");
    }
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

static void *train_apart(void *out)
{
    sp_context *own = NULL;
    sp_net *net = NULL;
    sp_error e = {0};
    char path[64];
    snprintf(path, sizeof path, "%s/%p.safetensors", folder, out);
    sp_status st = sp_context_create(NULL, &own, &e);
    if (st == SP_OK)
        st = sp_net_open(own, RECIPE, NULL, &net, &e);
    float *x = numbers(32 * EACH, 5);
    const int32_t y[32] = {1, 2, 3};
    for (int i = 0; i < 20 && st == SP_OK; i++)
        st = sp_net_step(net, x, 32 * EACH, y, 32, NULL, &e);
    if (st == SP_OK)
        st = sp_net_save(net, path, &e);
    if (st != SP_OK)
        fprintf(stderr, "%s\n", e.text);
    sp_context_destroy(&own); /* the network keeps it */
    sp_net_close(&net);
    sp_free(x);
    *(sp_status *)out = st;
    return NULL;
}

Test(api, two_contexts_in_two_threads)
{
    pthread_t threads[2];
    sp_status st[2];
    char command[160];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, train_apart, &st[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    cr_assert(st[0] == SP_OK && st[1] == SP_OK);
    snprintf(command, sizeof command, "cmp %s/%p.safetensors %s/%p.safetensors", folder, (void *)&st[0],
             folder, (void *)&st[1]);
    cr_expect_eq(system(command), 0, "the two differ");
}

static void *describe_from_elsewhere(void *net)
{
    sp_net_info info = {.struct_size = sizeof info};
    sp_error e = {0};
    sp_status st = sp_net_describe(net, &info, &e);
    return st == SP_E_USAGE && strstr(e.text, "another thread") ? net : NULL;
}

static int call_from_another_thread(void *c, const sp_progress_report *p)
{
    pthread_t thread;
    void *result = NULL;
    (void)p;
    cr_assert_eq(pthread_create(&thread, NULL, describe_from_elsewhere, *(sp_net **)c), 0);
    pthread_join(thread, &result);
    cr_expect_not_null(result, "two threads were inside one context");
    sp_net *copy = *(sp_net **)c;
    sp_net_close(&copy); /* destroyed when training has returned */
    return 1;
}

Test(api, one_thread_at_a_time_and_closing_in_a_callback)
{
    char run[64];
    sp_net *net = open_net(NULL, 0);
    path_of(run, sizeof run, "run");
    const sp_fit_options o = {.struct_size = sizeof o,
                              .out = run,
                              .report = call_from_another_thread,
                              .ctx = &net};
    expect(sp_net_train(net, &o, &err), SP_E_INTERRUPTED, "interrupted");
}

Test(api, a_forked_child_is_told)
{
    sp_net *net = open_net(NULL, 0);
    pid_t child = fork();
    if (child == 0) {
        sp_net_info info = {.struct_size = sizeof info};
        sp_context *other = NULL;
        int code = sp_net_describe(net, &info, &err) == SP_E_USAGE && strstr(err.text, "fork") ? 0 : 1;
        size_t n;
        if (sp_context_create(NULL, &other, &err) != SP_E_USAGE || !strstr(err.text, "forked"))
            code = 2;
        if (sp_devices_count(&n, &err) != SP_E_USAGE || !strstr(err.text, "forked"))
            code = 3;
        sp_net_close(&net);
        sp_context_destroy(&ctx);
        _exit(code);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(WEXITSTATUS(status), 0);
    sp_net_close(&net);
}

static long resident_kib(void)
{
    long pages = 0, ignored = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert(f && fscanf(f, "%ld %ld", &ignored, &pages) == 2);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A context, and a network that is trained and run. The network is on a context that stays: a new one has its
 * programs made anew, and PoCL's compiler keeps some memory of each. */
static void open_and_close(const char *recipe)
{
    sp_context *own = NULL;
    sp_net *net = NULL;
    const float x[2] = {1, 0};
    const int32_t y[2] = {1, 0};
    float logits[4];
    const sp_forward_outputs o = {.struct_size = sizeof o, .logits = logits};
    OK(sp_context_create(NULL, &own, &err));
    OK(sp_net_parse(ctx, recipe, NULL, &net, &err));
    OK(sp_net_step(net, x, 2, y, 2, NULL, &err));
    OK(sp_net_forward(net, x, 2, 2, &o, &err));
    sp_net_close(&net);
    sp_context_destroy(&own);
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

/* SPIKEPORT_CYCLES: how many; the slow tier runs ten thousand. The sanitizer keeps what was freed. */
Test(api, opening_and_closing_does_not_grow, .timeout = 3600)
{
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("what is freed stays in quarantine; leaks are found at the end");
#endif
    static const char recipe[] = "data: {name: synthetic, channels: 1, height: 1, width: 1, classes: 2}\n"
                                 "network: [{type: flatten}, {type: linear, out: 3}, {type: lif}, {type: "
                                 "linear, out: 2}]\n"
                                 "schedule: {method: sltt, time_steps: 2}\nbatch: 2\n";
    const char *wanted = getenv("SPIKEPORT_CYCLES");
    const int n = wanted ? atoi(wanted) : 200, warm_up = 200;
    long before = 0, after;
    for (int i = 0; i < warm_up + n; i++) {
        if (i == warm_up)
            before = resident_kib();
        open_and_close(recipe);
    }
    after = resident_kib();
    printf("%d cycles: %ld KiB before, %ld KiB after\n", n, before, after);
    cr_expect_lt(after - before, 2048, "%ld KiB more after %d cycles", after - before, n);
}

static void hear(void *c, sp_log_level level, const char *text)
{
    (void)level;
    snprintf(c, 256, "%s", text);
}

Test(api, a_context_has_a_log_and_paths_of_its_own)
{
    char heard[256] = "", cache[64];
    sp_context *own = NULL;
    sp_net *net = NULL;
    path_of(cache, sizeof cache, "cache");
    const char *const plugins[] = {"*=reference"};
    sp_context_options o = {.struct_size = sizeof o,
                            .cache_path = cache,
                            .prefix = "/nonexistent",
                            .plugins = plugins,
                            .n_plugins = 1,
                            .log = hear,
                            .log_ctx = heard,
                            .log_level = SP_LOG_INFO};
    expect(sp_context_create(&o, &own, &err), SP_E_USAGE, "no folder");
    o.prefix = folder; /* an installation without recipes */
    OK(sp_context_create(&o, &own, &err));
    cr_expect_neq(sp_net_open(own, "synthetic_tiny", NULL, &net, &err), SP_OK);
    cr_expect(strstr(err.text, "synthetic_tiny"), "%s", err.text);
    OK(sp_net_open(own, RECIPE, NULL, &net, &err));
    cr_expect(strstr(heard, "checking"), "heard \"%s\"", heard);
    cr_expect_eq(access(cache, R_OK), 0, "%s was not used", cache);
    sp_net_close(&net);
    OK(sp_net_open(ctx, "synthetic_tiny", NULL, &net, &err));
    sp_net_close(&net);
    sp_context_destroy(&own);
}
