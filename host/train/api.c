/* The public face of the library: spikeport.h over sessions and the training loop. */
#include "spikeport/spikeport.h"

#include "base/error.h"
#include "train/train.h"

struct sp_run {
    sp_session *session;
    sp_dataset *train, *test;
};

typedef struct bridge {
    sp_run_report report;
    void *ctx;
    volatile int stop;
} bridge;

const char *sp_version(void)
{
    return SPIKEPORT_VERSION;
}

sp_status sp_run_open(const char *recipe, const char *const *sets, size_t n_sets, const char *device,
                      sp_run **out, sp_error *err)
{
    sp_recipe r = {0};
    sp_session_options o = {.device = device};
    sp_run *run = sp_alloc(sizeof *run);
    if (!run)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while opening %s", recipe);
    sp_status st = sp_recipe_load(recipe, sets, n_sets, &r, err);
    if (st == SP_OK) {
        st = sp_session_dataset(&r, true, &run->train, err);
        if (st == SP_OK)
            st = sp_session_dataset(&r, false, &run->test, err);
        if (st != SP_OK)
            sp_recipe_free(&r);
    }
    if (st == SP_OK)
        st = sp_session_open(&r, &run->train->info, &o, &run->session, err);
    if (st != SP_OK) {
        sp_run_close(&run);
        return st;
    }
    *out = run;
    return SP_OK;
}

static void pass_on(void *ctx, const sp_train_event *e)
{
    bridge *b = ctx;
    if (!b->report || (e->kind != SP_EVENT_BATCH && e->kind != SP_EVENT_EPOCH))
        return;
    bool epoch = e->kind == SP_EVENT_EPOCH;
    sp_run_progress p = {.epoch = e->epoch,
                         .epochs = e->epochs,
                         .batch = e->batch,
                         .batches = e->batches,
                         .loss = e->loss,
                         .accuracy = e->accuracy,
                         .test_loss = epoch ? e->test.loss : -1,
                         .test_accuracy = epoch ? e->test.accuracy : -1,
                         .samples_per_second = e->samples_per_second};
    if (b->report(b->ctx, &p) != 0)
        b->stop = 1;
}

sp_status sp_run_train(sp_run *run, const char *out, sp_run_report report, void *ctx, sp_error *err)
{
    bridge b = {.report = report, .ctx = ctx};
    sp_train_options o = {.out = out, .stop = &b.stop, .report = pass_on, .ctx = &b};
    return sp_train(run->session, run->train, run->test, &o, err);
}

sp_status sp_run_evaluate(sp_run *run, double *loss, double *accuracy, sp_error *err)
{
    sp_scores s = {0};
    sp_status st = sp_session_evaluate(run->session, run->test, NULL, &s, err);
    if (st == SP_OK && loss)
        *loss = s.loss;
    if (st == SP_OK && accuracy)
        *accuracy = s.accuracy;
    sp_free(s.spike_rate);
    return st;
}

sp_status sp_run_load(sp_run *run, const char *checkpoint, sp_error *err)
{
    return sp_weights_load(checkpoint, run->session, err);
}

void sp_run_close(sp_run **prun)
{
    if (!prun || !*prun)
        return;
    sp_session_close(&(*prun)->session);
    sp_dataset_close(&(*prun)->train);
    sp_dataset_close(&(*prun)->test);
    sp_free(*prun);
    *prun = NULL;
}
