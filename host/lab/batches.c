/* Mini-batches as training gets them. */
#include "lab/batches.h"

#include "base/error.h"
#include "train/measure.h"

static sp_status run(sp_session *s, sp_loader *l, int64_t n, const volatile int *stop, sp_batch_step step,
                     void *ctx, sp_error *err)
{
    int64_t epoch = 0, batch = 0;
    SP_TRY(sp_loader_start(l, 0, 0, err));
    for (int64_t i = 0; i < n;) {
        const sp_batch *b;
        if (stop && *stop)
            return SP_FAIL(err, SP_E_INTERRUPTED, "interrupted after %lld mini-batches", (long long)i);
        SP_TRY(sp_loader_next(l, &b, err));
        if (!b) {
            batch = 0;
            SP_TRY(sp_loader_start(l, (uint64_t)++epoch, 0, err));
            continue;
        }
        sp_exec_batch e = {.images = b->images,
                           .labels = b->labels,
                           .targets = b->targets,
                           .iteration = (int32_t)i++,
                           .lr =
                               sp_recipe_lr(&s->recipe, NULL, epoch, batch++, (int64_t)sp_loader_batches(l))};
        SP_TRY(step(ctx, &e, b, err));
        sp_loader_release(l, b);
    }
    return SP_OK;
}

sp_status sp_batches_run(sp_session *s, const sp_dataset *ds, int64_t n, const volatile int *stop,
                         sp_batch_step step, void *ctx, sp_error *err)
{
    const sp_recipe *r = &s->recipe;
    sp_loader_options o = sp_session_loader_options(r, true);
    o.drop_last = true;
    sp_loader *l = NULL;
    if (ds->info.count < (size_t)r->batch)
        return SP_FAIL(err, SP_E_CONFIG, "%s: batch is %lld, but there are only %zu training samples",
                       r->doc.file, (long long)r->batch, ds->info.count);
    sp_status st = sp_loader_create(ds, &o, &l, err);
    if (st == SP_OK)
        st = run(s, l, n, stop, step, ctx, err);
    sp_device_finish(s->dev, NULL); /* after an error an upload may still read the loader's memory */
    sp_loader_destroy(&l);
    return st;
}
