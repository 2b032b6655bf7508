/* Losses of the caller, a time step at a time: gradients, and what a failure in the middle leaves. */
#include <math.h>

#include "api.h"

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
