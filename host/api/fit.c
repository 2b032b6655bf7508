/* Whole trainings and evaluations, on the recipe's data or on those of a function of the caller. */
#include <stdio.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"

/* ---- data of the caller ---- */

typedef struct called_data {
    sp_data data;
    size_t items; /* of a sample */
} called_data;

static sp_status read_sample(const sp_dataset *ds, sp_sample_request want, float *image, int32_t *label,
                             sp_error *err)
{
    const called_data *d = ds->state;
    const sp_dataset_info *i = &ds->info;
    bool same = i->channels == 1 || i->height * i->width == 1;
    float *chw = same ? image : sp_alloc_array(d->items, sizeof *chw);
    if (!chw)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a sample");
    *label = -1;
    int code = d->data.read(d->data.ctx, want.index, chw, label);
    if (code == 0 && !same)
        spi_to_device_layout(chw, image, i->frames ? i->frames : 1, i->channels,
                             (int64_t)i->height * i->width);
    if (!same)
        sp_free(chw);
    if (code != 0)
        return SP_FAIL(err, SP_E_DATA, "the function that reads samples returned %d for sample %zu", code,
                       want.index);
    if (*label < 0 || *label >= i->classes)
        return SP_FAIL(err, SP_E_DATA,
                       "the function that reads samples gave sample %zu the label %d; there are %d classes",
                       want.index, *label, i->classes);
    return SP_OK;
}

static void close_data(sp_dataset *ds)
{
    sp_free(ds->state);
}

sp_status spi_data_open(const sp_net *net, const sp_data *from, const char *name, sp_dataset **out,
                        sp_error *err)
{
    const sp_activation *a = &net->s->graph->acts[0];
    sp_data data;
    SP_TRY(spi_take_struct("sp_data", from, from->struct_size, &data, sizeof data, err));
    if (net->s->recipe.loss)
        return SP_FAIL(err, SP_E_USAGE,
                       "%s data: a function gives labels, but loss.name is mse or bce; take the recipe's "
                       "data, or sp_net_step_targets",
                       name);
    if (!data.read || data.count == 0 || data.classes < 1 || data.classes > net->s->graph->classes)
        return SP_FAIL(err, SP_E_USAGE,
                       "%s data: a function that reads, a count from 1 on, and from 1 to %lld classes are "
                       "needed",
                       name, (long long)net->s->graph->classes);
    sp_dataset *ds = sp_alloc(sizeof *ds);
    called_data *d = sp_alloc(sizeof *d);
    if (!ds || !d) {
        sp_free(ds);
        sp_free(d);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for data");
    }
    int frames = net->s->data.frames;
    *d = (called_data){.data = data, .items = (size_t)(sp_act_elems(a) * (frames ? frames : 1))};
    *ds = (sp_dataset){.info = {.count = data.count,
                                .classes = data.classes,
                                .frames = frames,
                                .channels = (int)a->c,
                                .height = (int)a->h,
                                .width = (int)a->w},
                       .get = read_sample,
                       .close = close_data,
                       .state = d};
    snprintf(ds->info.name, sizeof ds->info.name, "caller");
    *out = ds;
    return SP_OK;
}

static sp_status open_data(const sp_net *net, const sp_data *data, bool train, sp_dataset **out,
                           sp_error *err)
{
    const sp_dataset_info *is = &net->s->data;
    if (data)
        return spi_data_open(net, data, train ? "training" : "test", out, err);
    SP_TRY(sp_session_dataset(&net->s->recipe, train, out, err));
    const sp_dataset_info *has = &(*out)->info;
    if (sp_dataset_same_shape(has, is))
        return SP_OK;
    sp_status st = SP_FAIL(err, SP_E_USAGE,
                           "samples of the recipe's data are %d x %d x %d x %d (frames x channels x height x "
                           "width), but the network was opened for %d x %d x %d x %d",
                           has->frames, has->channels, has->height, has->width, is->frames, is->channels,
                           is->height, is->width);
    sp_dataset_close(out);
    return st;
}

/* ---- training ---- */

typedef struct bridge {
    sp_fit_options o;
    volatile int stop;
} bridge;

static void pass_on(void *ctx, const sp_train_event *e)
{
    bridge *b = ctx;
    if (!b->o.report || (e->kind != SP_EVENT_BATCH && e->kind != SP_EVENT_EPOCH))
        return;
    bool epoch = e->kind == SP_EVENT_EPOCH;
    sp_progress_report p = {.struct_size = sizeof p,
                            .is_epoch = epoch,
                            .epoch = e->epoch,
                            .epochs = e->epochs,
                            .batch = e->batch,
                            .batches = e->batches,
                            .loss = e->loss,
                            .accuracy = e->accuracy,
                            .lr = e->lr,
                            .samples_per_second = e->samples_per_second,
                            .test_loss = epoch ? e->test.loss : -1,
                            .test_accuracy = epoch ? e->test.accuracy : -1};
    if (b->o.report(b->o.ctx, &p) != 0)
        b->stop = 1;
}

static sp_status run_fit(sp_net *net, bridge *b, const sp_checkpoint *resume, sp_error *err)
{
    sp_dataset *train = NULL, *test = NULL;
    sp_train_options t = {.out = b->o.out,
                          .overwrite = (b->o.flags & SP_FIT_OVERWRITE) != 0,
                          .resume = resume,
                          .stop = &b->stop,
                          .report = pass_on,
                          .ctx = b};
    sp_status st = open_data(net, b->o.train, true, &train, err);
    if (st == SP_OK)
        st = open_data(net, b->o.test, false, &test, err);
    net->fitting = true;
    if (st == SP_OK)
        st = sp_train(net->s, train, test, &t, err);
    net->fitting = false;
    net->has_gradient = true;
    sp_dataset_close(&train);
    sp_dataset_close(&test);
    return st;
}

static sp_status fit(sp_net *net, const sp_fit_options *options, sp_error *err)
{
    bridge b = {.stop = 0};
    sp_checkpoint resume = {0};
    SP_TRY(spi_take_struct("sp_fit_options", options, options ? options->struct_size : 0, &b.o, sizeof b.o,
                           err));
    if (!b.o.out || !*b.o.out)
        return SP_FAIL(err, SP_E_USAGE, "sp_fit_options.out names no folder for the run");
    SP_TRY(spi_begin_step(net, true, err));
    if (b.o.resume)
        SP_TRY(sp_checkpoint_open(b.o.resume, &resume, err));
    sp_status st = run_fit(net, &b, b.o.resume ? &resume : NULL, err);
    sp_checkpoint_close(&resume);
    return st;
}

sp_status sp_net_train(sp_net *net, const sp_fit_options *options, sp_error *err)
{
    SPI_ON_NET(net, err, fit(net, options, err));
}

/* ---- evaluation ---- */

static sp_status evaluate(sp_net *net, const sp_data *data, sp_eval_result *out, sp_error *err)
{
    sp_dataset *test = NULL;
    sp_scores scores = {0};
    SP_TRY(spi_begin_step(net, false, err));
    SP_TRY(open_data(net, data, false, &test, err));
    sp_status st = sp_session_evaluate(net->s, test, NULL, NULL, &scores, err);
    sp_eval_result r = {.samples = scores.samples,
                        .loss = scores.loss,
                        .accuracy = scores.accuracy,
                        .seconds = scores.seconds};
    if (st == SP_OK)
        st = spi_give_struct("sp_eval_result", &r, sizeof r, out, err);
    sp_free(scores.spike_rate);
    sp_dataset_close(&test);
    return st;
}

sp_status sp_net_evaluate(sp_net *net, const sp_data *test, sp_eval_result *out, sp_error *err)
{
    SPI_ON_NET(net, err, evaluate(net, test, out, err));
}
