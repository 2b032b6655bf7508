/* Data parallel training in one process. With one member every function is that of the executor. */
#include "train/replicas.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/trace.h"

struct sp_replicas {
    sp_session **members;
    size_t n;
    uint8_t *mask;     /* [T] */
    float *loss;       /* [B] */
    uint32_t *correct; /* [B] */
    float *sum, *part; /* a model's gradients or weights */
    uint64_t *spikes;
    size_t elems;
};

static sp_status check_member(const sp_session *s, const sp_session *first, size_t n, sp_error *err)
{
    const sp_recipe *r = &s->recipe;
    if (r->batch % (int64_t)n != 0 || s->train->o.batch * (int64_t)n != r->batch)
        return SP_FAIL(err, SP_E_CONFIG, "%s: a batch of %lld cannot be split evenly on %zu devices",
                       r->doc.file, (long long)r->batch, n);
    if (n > 1 && r->online_update)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.online_update steps at every time step, inside of a device; several "
                       "devices meet once a mini-batch. Turn it off, or use one device",
                       r->doc.file);
    if (s->graph->param_elems != first->graph->param_elems)
        return SP_FAIL(err, SP_E_FAILED, "the replicas have different networks");
    return SP_OK;
}

sp_status sp_replicas_create(sp_session *const *members, size_t n, sp_replicas **out, sp_error *err)
{
    for (size_t i = 0; i < n; i++)
        SP_TRY(check_member(members[i], members[0], n, err));
    sp_replicas *t = sp_alloc(sizeof *t);
    if (!t)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    const sp_recipe *r = &members[0]->recipe;
    *t = (sp_replicas){.n = n, .elems = (size_t)members[0]->graph->param_elems};
    t->members = sp_alloc_array(n, sizeof(sp_session *));
    for (size_t i = 0; t->members && i < n; i++)
        t->members[i] = members[i];
    t->mask = sp_alloc_array((size_t)r->time_steps, sizeof *t->mask);
    t->loss = sp_alloc_pages((size_t)r->batch, sizeof *t->loss);
    t->correct = sp_alloc_pages((size_t)r->batch, sizeof *t->correct);
    t->sum = n > 1 ? sp_alloc_pages(t->elems, sizeof *t->sum) : NULL;
    t->part = n > 1 ? sp_alloc_pages(t->elems, sizeof *t->part) : NULL;
    t->spikes = sp_alloc_array((size_t)members[0]->graph->n_nodes, sizeof *t->spikes);
    if ((n > 1 && (!t->sum || !t->part)) || !t->spikes || !t->members || !t->mask || !t->loss ||
        !t->correct) {
        sp_replicas_destroy(&t);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    }
    *out = t;
    return SP_OK;
}

void sp_replicas_destroy(sp_replicas **pt)
{
    sp_replicas *t = pt ? *pt : NULL;
    if (!t)
        return;
    void *all[] = {t->members, t->mask, t->loss, t->correct, t->sum, t->part, t->spikes};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
    sp_free(t);
    *pt = NULL;
}

/* ---- the shares of a mini-batch ---- */

static sp_exec_batch share_of(const sp_replicas *t, const sp_exec_batch *all, size_t i)
{
    const sp_plan *p = t->members[i]->train;
    const size_t frame = p->tensors[p->input].bytes; /* of a share */
    sp_exec_batch e = *all;
    e.images = (const float *)(const void *)((const char *)all->images + i * frame);
    e.labels = all->labels + i * (size_t)p->o.batch;
    e.frame_bytes = frame * t->n;
    return e;
}

static sp_status run(sp_replicas *t, const sp_exec_batch *batch, sp_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        sp_exec_batch e = share_of(t, batch, i);
        SP_TRY(sp_exec_run(t->members[i]->train, &e, err));
        if (t->n > 1) // or the devices would work one after the other: each starts when it is waited for
            SP_TRY(sp_device_flush(t->members[i]->dev, err));
    }
    return SP_OK;
}

static sp_status results(sp_replicas *t, sp_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        size_t at = i * (size_t)t->members[i]->train->o.batch;
        SP_TRY(sp_exec_results(t->members[i]->train, t->loss + at, t->correct + at, err));
    }
    return SP_OK;
}

static sp_status gradients_finite(sp_replicas *t, bool *finite, sp_error *err)
{
    *finite = true;
    for (size_t i = 0; i < t->n && *finite; i++)
        SP_TRY(sp_exec_gradients_finite(t->members[i]->train, finite, err));
    return SP_OK;
}

static sp_range range_of(const sp_model *m, uint64_t at)
{
    return (sp_range){m->mem, at * sizeof(float)};
}

sp_status sp_replicas_share_weights(sp_replicas *t, sp_error *err)
{
    const sp_model *first = t->members[0]->model;
    if (t->n < 2)
        return SP_OK;
    SP_TRY(sp_device_read(t->members[0]->dev, range_of(first, first->w_at), t->part, t->elems * sizeof(float),
                          err));
    for (size_t i = 1; i < t->n; i++) {
        const sp_model *m = t->members[i]->model;
        SP_TRY(sp_device_write(t->members[i]->dev, range_of(m, m->w_at), t->part, t->elems * sizeof(float),
                               true, err));
    }
    return SP_OK;
}

/* Each member's gradient is the mean over its share: the mean of those is that over the mini-batch. The order
 * of the sum is that of the members, whichever finished first. */
static sp_status average_gradients(sp_replicas *t, sp_error *err)
{
    const size_t bytes = t->elems * sizeof(float);
    memset(t->sum, 0, bytes);
    for (size_t i = 0; i < t->n; i++) {
        const sp_model *m = t->members[i]->model;
        SP_TRY(sp_device_read(t->members[i]->dev, range_of(m, m->g_at), t->part, bytes, err));
        for (size_t k = 0; k < t->elems; k++)
            t->sum[k] += t->part[k];
    }
    for (size_t k = 0; k < t->elems; k++)
        t->sum[k] /= (float)t->n;
    const sp_model *first = t->members[0]->model;
    return sp_device_write(t->members[0]->dev, range_of(first, first->g_at), t->sum, bytes, true, err);
}

static sp_status update(sp_replicas *t, double lr, int64_t n, sp_error *err)
{
    if (t->n > 1)
        SP_TRY(average_gradients(t, err));
    SP_TRY(sp_exec_update(t->members[0]->train, lr, n, err));
    return sp_replicas_share_weights(t, err);
}

/* ---- the training step ---- */

static sp_status find_nonfinite(sp_replicas *t, const sp_exec_batch *batch, char *where, size_t where_size,
                                sp_error *err)
{
    for (size_t i = 0; i < t->n; i++) {
        bool finite = true;
        if (i + 1 < t->n) // the last one is looked at when the others are fine
            SP_TRY(sp_exec_gradients_finite(t->members[i]->train, &finite, err));
        if (finite && i + 1 < t->n)
            continue;
        sp_exec_batch e = share_of(t, batch, i);
        return sp_exec_find_nonfinite(t->members[i]->train, &e, where, where_size, err);
    }
    return SP_OK;
}

static sp_status not_finite(sp_replicas *t, const sp_exec_batch *e, const char *what, sp_error *err)
{
    char where[256];
    SP_TRY(find_nonfinite(t, e, where, sizeof where, err));
    return SP_FAIL(err, SP_E_NUMERIC,
                   "%s is not finite. First seen: %s. Training stops%s. Try a smaller learning rate (now %g)",
                   what, where,
                   t->members[0]->recipe.online_update ? "" : " before this mini-batch changes anything",
                   e->lr);
}

sp_status sp_train_step(sp_replicas *t, sp_exec_batch *e, size_t n_valid,
                        sp_status (*before)(void *ctx, const sp_exec_batch *batch, sp_error *err), void *ctx,
                        sp_step_result *out, sp_error *err)
{
    sp_session *s = t->members[0];
    bool finite;
    *out = (sp_step_result){.backprop_steps = sp_session_choose(s, e->iteration, t->mask)};
    e->backprop = t->mask;
    if (before)
        SP_TRY(before(ctx, e, err));
    uint64_t at = sp_clock_ns();
    SP_TRY(run(t, e, err));
    sp_trace_host("enqueue", at);
    at = sp_clock_ns();
    SP_TRY(results(t, err));
    sp_trace_host("read loss", at);
    for (size_t i = 0; i < n_valid; i++) {
        out->loss += (double)t->loss[i];
        out->correct += t->correct[i];
    }
    if (out->loss == 0)
        SP_TRY(sp_session_check_computes(s, err));
    SP_TRY(gradients_finite(t, &finite, err));
    if (!isfinite(out->loss) || !finite)
        return not_finite(t, e, isfinite(out->loss) ? "a gradient" : "the loss", err);
    SP_TRY(sp_session_learn(s, err));
    return update(t, e->lr, e->iteration + 1, err);
}

/* ---- what is told ---- */

sp_status sp_replicas_clear_spikes(sp_replicas *t, sp_error *err)
{
    for (size_t i = 0; i < t->n; i++)
        SP_TRY(sp_exec_clear_spikes(t->members[i]->train, err));
    return SP_OK;
}

sp_status sp_replicas_spikes(sp_replicas *t, uint64_t *spikes, sp_error *err)
{
    const int nodes = t->members[0]->graph->n_nodes;
    SP_TRY(sp_exec_spikes(t->members[0]->train, spikes, err));
    for (size_t i = 1; i < t->n; i++) {
        SP_TRY(sp_exec_spikes(t->members[i]->train, t->spikes, err));
        for (int k = 0; k < nodes; k++)
            spikes[k] += t->spikes[k];
    }
    return SP_OK;
}

void sp_replicas_finish(sp_replicas *t)
{
    for (size_t i = 0; t && i < t->n; i++)
        sp_device_finish(t->members[i]->dev, NULL);
}
