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
    const char *sets[] = {"epochs=1", "data.train_limit=64", "plugins.gemm=gemm_clblast"};
    int heard = 0;
    sp_run *run = NULL;
    sp_error err = {0};
    double loss = 0, accuracy = 0;
    if (argc != 3)
        return 2;
    printf("spikeport %s\n", sp_version());
    sp_log_install(count, &heard);
    sp_log_set_level(SP_LOG_INFO);
    sp_status st = sp_run_open(argv[1], sets, 3, NULL, &run, &err);
    if (st == SP_OK)
        st = sp_run_train(run, argv[2], NULL, NULL, &err);
    if (st == SP_OK)
        st = sp_run_evaluate(run, &loss, &accuracy, &err);
    if (st == SP_OK)
        printf("accuracy %.3f, loss %.3f\n", accuracy, loss);
    else
        fprintf(stderr, "%s: %s\n", sp_status_name(st), err.text);
    printf("%d messages heard\n", heard);
    sp_run_close(&run);
    return sp_status_exit_code(st);
}
