/* Contexts and networks over time: threads, forks, opening and closing, and logs of their own. */
#include <pthread.h>
#include <sys/wait.h>

#include "api.h"

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
