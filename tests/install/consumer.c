/* A user of the installed library: trains the recipe it is given for a moment. Built from the install tree by
 * tests/install/test_install.sh. */
#include <stdio.h>
#include <spikeport/spikeport.h>

static void count(void *ctx, sp_log_level level, const char *text)
{
    (void)level;
    (void)text;
    ++*(int *)ctx;
}

int main(int argc, char **argv)
{
    // the last one: a plugin of the installation that is a shared object, which a program elsewhere must find
    // as well
    const char *const sets[] = {"epochs=1", "data.train_limit=64", "plugins.gemm=gemm_clblast"};
    int heard = 0;
    sp_context *ctx = NULL;
    sp_net *net = NULL;
    sp_error err = {0};
    sp_eval_result e = {.struct_size = sizeof e};
    if (argc != 3)
        return 2;
    const sp_context_options co = {.struct_size = sizeof co,
                                   .log = count,
                                   .log_ctx = &heard,
                                   .log_level = SP_LOG_INFO};
    const sp_net_options no = {.struct_size = sizeof no, .sets = sets, .n_sets = 3};
    const sp_fit_options fo = {.struct_size = sizeof fo, .out = argv[2]};
    sp_status st = sp_context_create(&co, &ctx, &err);
    if (st == SP_OK)
        st = sp_net_open(ctx, argv[1], &no, &net, &err);
    if (st == SP_OK)
        st = sp_net_train(net, &fo, &err);
    if (st == SP_OK)
        st = sp_net_evaluate(net, NULL, &e, &err);
    if (st == SP_OK)
        printf("accuracy %.3f, loss %.3f\n", e.accuracy, e.loss);
    else
        fprintf(stderr, "%s: %s\n", sp_status_name(st), err.text);
    printf("%d messages heard\n", heard);
    sp_net_close(&net);
    sp_context_destroy(&ctx);
    return sp_status_exit_code(st);
}
