/* The loop of `spikeport fidelity`: mini-batch, measurement, optimizer step. */
#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "data/loader.h"
#include "lab/fidelity_out.h"

typedef struct loop {
    sp_session *s;
    const sp_fidelity_run *o;
    sp_loader *loader;
    float *loss;
    uint32_t *correct;
    uint8_t *mask;
    int64_t epoch, batch, updates;
} loop;

static sp_status one_batch(loop *l, const sp_batch *b, sp_error *err)
{
    sp_session *s = l->s;
    const sp_fidelity_report *report = NULL;
    double lr = sp_recipe_lr(&s->recipe, l->epoch, l->batch, (int64_t)sp_loader_batches(l->loader)), sum = 0;
    bool finite;
    sp_session_choose(s, l->updates, l->mask);
    sp_exec_batch e = {.images = b->images,
                       .labels = b->labels,
                       .backprop = l->mask,
                       .iteration = (int32_t)l->updates,
                       .lr = lr};
    if (l->updates % s->recipe.monitor.every == 0)
        SP_TRY(sp_fidelity_measure(s->fidelity, &e, &report, err));
    SP_TRY(sp_exec_run(s->train, &e, err));
    SP_TRY(sp_exec_results(s->train, l->loss, l->correct, err));
    SP_TRY(sp_exec_gradients_finite(s->train, &finite, err));
    for (size_t i = 0; i < b->n_valid; i++)
        sum += (double)l->loss[i];
    if (!isfinite(sum) || !finite)
        return SP_FAIL(err, SP_E_NUMERIC,
                       "%s is not finite after %lld mini-batches; choose a smaller optimizer.lr (now %g)",
                       isfinite(sum) ? "a gradient" : "the loss", (long long)l->updates, lr);
    SP_TRY(sp_session_learn(s, err));
    if (report)
        l->o->each(l->o->ctx, l->updates, sum / (double)b->n_valid, report);
    l->batch++;
    return sp_exec_update(s->train, lr, ++l->updates, err);
}

/* Epochs follow one another until there were enough mini-batches. */
static sp_status run(loop *l, sp_error *err)
{
    SP_TRY(sp_loader_start(l->loader, 0, 0, err));
    while (l->updates < l->o->iterations) {
        const sp_batch *b;
        if (l->o->stop && *l->o->stop)
            return SP_FAIL(err, SP_E_INTERRUPTED, "interrupted after %lld mini-batches",
                           (long long)l->updates);
        SP_TRY(sp_loader_next(l->loader, &b, err));
        if (!b) {
            l->batch = 0;
            SP_TRY(sp_loader_start(l->loader, (uint64_t)++l->epoch, 0, err));
            continue;
        }
        SP_TRY(one_batch(l, b, err));
        sp_loader_release(l->loader, b);
    }
    return SP_OK;
}

sp_status sp_fidelity_train(sp_session *s, const sp_dataset *ds, const sp_fidelity_run *o, sp_error *err)
{
    const sp_recipe *r = &s->recipe;
    loop l = {.s = s, .o = o};
    sp_loader_options lo = {.batch = (size_t)r->batch,
                            .shuffle = true,
                            .drop_last = true,
                            .seed = (uint64_t)r->seed,
                            .depth = 3,
                            .threads = (int)r->data.threads};
    sp_status st = SP_OK;
    if (ds->info.count < (size_t)r->batch)
        return SP_FAIL(err, SP_E_CONFIG, "%s: batch is %lld, but there are only %zu training samples",
                       r->doc.file, (long long)r->batch, ds->info.count);
    l.loss = sp_alloc_array((size_t)r->batch, sizeof *l.loss);
    l.correct = sp_alloc_array((size_t)r->batch, sizeof *l.correct);
    l.mask = sp_alloc_array((size_t)r->time_steps, sizeof *l.mask);
    if (!l.loss || !l.correct || !l.mask)
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "out of memory for comparing gradients"));
    SP_TRY_GOTO(sp_loader_create(ds, &lo, &l.loader, err));
    st = run(&l, err);
done:
    sp_device_finish(s->dev, NULL); /* after an error an upload may still read the loader's memory */
    sp_loader_destroy(&l.loader);
    sp_free(l.loss);
    sp_free(l.correct);
    sp_free(l.mask);
    return st;
}
