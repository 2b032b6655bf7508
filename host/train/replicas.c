/* The training step of all replicas; see replicas.h. With one shard every function is that of the executor.
 */
#include "train/replicas_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/trace.h"
#include "train/adaptive.h"

bool sp_replicas_mixed(const sp_replicas *t)
{
    return t->mixed;
}

int64_t sp_replicas_samples(const sp_replicas *t, int64_t *at)
{
    *at = (int64_t)t->first * (int64_t)t->per_shard;
    return (int64_t)(t->end - t->first) * (int64_t)t->per_shard;
}

/* ---- what all replicas have the same ---- */

static sp_range weights_of(const sp_session *s)
{
    return (sp_range){s->model->mem, 0};
}

/* The first `bytes` of the first session's model. */
static sp_status share(sp_replicas *t, size_t bytes, sp_error *err)
{
    if (t->n == 1 && !t->ranks)
        return SP_OK;
    if (spi_rank_of(t) == 0)
        SP_TRY(sp_device_read(t->members[0]->dev, weights_of(t->members[0]), t->model, bytes, err));
    if (t->ranks)
        SP_TRY(sp_ranks_share(t->ranks, "weights", t->model, bytes, err));
    for (size_t i = spi_rank_of(t) == 0; i < t->n; i++)
        SP_TRY(sp_device_write(t->members[i]->dev, weights_of(t->members[i]), t->model, bytes, true, err));
    return SP_OK;
}

sp_status sp_replicas_share_model(sp_replicas *t, sp_error *err)
{
    return share(t, t->members[0]->model->bytes, err);
}

sp_status sp_replicas_check_equal(sp_replicas *t, sp_error *err)
{
    sp_session *s = t->members[0];
    const size_t bytes = (size_t)s->model->weight_elems * sizeof(float);
    char text[32];
    if (!t->ranks)
        return SP_OK;
    SP_TRY(sp_device_read(s->dev, weights_of(s), t->model, bytes, err));
    snprintf(text, sizeof text, "hash %016llx", (unsigned long long)sp_hash(SP_HASH_START, t->model, bytes));
    return sp_ranks_agree(t->ranks, "the trained weights", text, err);
}

/* ---- the shards of a mini-batch ---- */

static sp_exec_batch shard_of(const sp_replicas *t, const sp_exec_batch *all, int shard)
{
    const sp_plan *p = t->members[0]->train;
    const size_t frame = p->tensors[p->input].bytes, k = (size_t)(shard - t->first);
    sp_exec_batch e = *all;
    e.images = (const float *)(const void *)((const char *)all->images + k * frame);
    e.labels = all->labels + k * t->per_shard;
    if (all->targets)
        e.targets = all->targets + k * t->per_shard * (size_t)p->graph->classes;
    e.frame_bytes = frame * (size_t)(t->end - t->first);
    e.iteration = (int32_t)((uint32_t)all->iteration * (uint32_t)t->shards + (uint32_t)shard);
    return e;
}

static sp_status start(sp_replicas *t, const sp_exec_batch *batch, size_t i, int shard, sp_error *err)
{
    sp_exec_batch e = shard_of(t, batch, shard);
    if (shard > spi_member_first(t, i))
        SP_TRY(spi_gradients_rewind(&t->gradients, t->members[i], err));
    SP_TRY(sp_exec_run(t->members[i]->train, &e, err));
    /* or the devices would work one after the other: each starts when it is waited for */
    return t->n > 1 ? sp_device_flush(t->members[i]->dev, err) : SP_OK;
}

static size_t n_counts(const sp_session *s)
{
    return (size_t)(s->recipe.time_steps * s->train->n_neuron_layers);
}

static sp_status count_steps(sp_replicas *t, sp_session *s, sp_error *err)
{
    if (!s->step_mass)
        return SP_OK;
    SP_TRY(sp_exec_step_spikes(s->train, s->step_spikes, s->step_counters, err));
    for (size_t k = 0; k < n_counts(s); k++)
        t->by_step[k] += s->step_spikes[k];
    return SP_OK;
}

/* Summing gradients, from start_ns to now. */
static void note_sum(const sp_replicas *t, uint64_t start_ns)
{
    sp_trace_host("sum gradients", start_ns);
    if (t->ranks)
        t->ranks->sum_ns += sp_clock_ns() - start_ns;
}

static sp_status finish(sp_replicas *t, size_t i, int shard, size_t n_valid, sp_error *err)
{
    const size_t at = (size_t)shard * t->per_shard;
    verdict *v = &t->verdicts[spi_rank_of(t)];
    bool finite;
    sp_plan *p = t->members[i]->train;
    SP_TRY(sp_exec_results(p, t->loss + at, t->correct + at, err));
    SP_TRY(sp_exec_gradients_finite(p, &finite, err));
    for (size_t k = at; k < at + t->per_shard && k < n_valid; k++)
        finite = finite && isfinite(t->loss[k]);
    if (!finite && shard < v->bad)
        v->bad = shard;
    SP_TRY(count_steps(t, t->members[i], err));
    const uint64_t start = sp_clock_ns();
    SP_TRY(spi_gradients_add(&t->gradients, t->members[i], shard, err));
    note_sum(t, start);
    return SP_OK;
}

/* With schedule.sync_batch_norm: every member has one shard, and all walk from one batch norm to the next. */
static sp_status start_in_step(sp_replicas *t, const sp_exec_batch *batch, sp_error *err)
{
    memset(t->cursors, 0, t->n * sizeof *t->cursors);
    do {
        for (size_t i = 0; i < t->n; i++) {
            sp_exec_batch e = shard_of(t, batch, t->first + (int)i);
            SP_TRY(sp_exec_run_part(t->members[i]->train, &e, &t->cursors[i], err));
            SP_TRY(sp_device_flush(t->members[i]->dev, err));
        }
        if (t->cursors[0].at)
            SP_TRY(spi_norm_sync_step(&t->norms, t->cursors, err));
    } while (t->cursors[0].at);
    return SP_OK;
}

/* In rounds, each of one shard on every device of this process. */
static sp_status run(sp_replicas *t, const sp_exec_batch *batch, size_t n_valid, sp_error *err)
{
    const int rounds = (t->end - t->first + (int)t->n - 1) / (int)t->n;
    const sp_session *s = t->members[0];
    memset(t->by_step, 0, n_counts(s) * sizeof *t->by_step);
    SP_TRY(spi_gradients_begin(&t->gradients, s, err));
    for (int k = 0; k < rounds; k++) {
        uint64_t at = sp_clock_ns();
        if (t->cursors)
            SP_TRY(start_in_step(t, batch, err));
        for (size_t i = 0; i < t->n && !t->cursors; i++)
            if (spi_member_first(t, i) + k < spi_member_first(t, i + 1))
                SP_TRY(start(t, batch, i, spi_member_first(t, i) + k, err));
        sp_trace_host("enqueue", at);
        at = sp_clock_ns();
        for (size_t i = 0; i < t->n; i++)
            if (spi_member_first(t, i) + k < spi_member_first(t, i + 1))
                SP_TRY(finish(t, i, spi_member_first(t, i) + k, n_valid, err));
        sp_trace_host("read loss", at);
    }
    return SP_OK;
}

static sp_status tell_results(sp_replicas *t, sp_error *err)
{
    static const char what[] = "the loss of a mini-batch";
    if (!t->ranks)
        return SP_OK;
    t->verdicts[spi_rank_of(t)].stop = t->ranks->stop && *t->ranks->stop;
    const sp_session *s = t->members[0];
    const sp_ranks_table tables[] = {{t->verdicts, sizeof *t->verdicts, NULL},
                                     {t->loss, sizeof *t->loss, t->at},
                                     {t->correct, sizeof *t->correct, t->at}};
    SP_TRY(sp_ranks_gather(t->ranks, what, tables, sizeof tables / sizeof *tables, err));
    return s->step_mass ? sp_ranks_sum(t->ranks, what, t->by_step, n_counts(s), err) : SP_OK;
}

static sp_status update(sp_replicas *t, double lr, int64_t n, sp_error *err)
{
    const float *mean = NULL;
    const uint64_t start = sp_clock_ns();
    if (t->shards > 1)
        SP_TRY(spi_gradients_mean(&t->gradients, &mean, err));
    for (size_t i = 0; mean && i < t->n; i++)
        SP_TRY(spi_gradients_put(&t->gradients, t->members[i], mean, err));
    note_sum(t, start);
    for (size_t i = 0; i < t->n; i++)
        SP_TRY(sp_exec_update(t->members[i]->train, lr, n, err));
    return t->mixed ? share(t, (size_t)t->members[0]->model->weight_elems * sizeof(float), err) : SP_OK;
}

/* ---- the training step ---- */

/* The rank that has the first shard that is not finite finds out where; the others wait for its message. */
static sp_status not_finite(sp_replicas *t, const sp_exec_batch *batch, int shard, bool loss, sp_error *err)
{
    char where[256];
    size_t i = 0;
    uint64_t never = 0;
    if (shard < t->first || shard >= t->end) {
        SP_TRY(sp_ranks_sum(t->ranks, "what is not finite", &never, 1, err));
        return SP_FAIL(err, SP_E_FAILED, "the ranks do not agree on what is not finite");
    }
    while (spi_member_first(t, i + 1) <= shard)
        i++;
    sp_exec_batch e = shard_of(t, batch, shard);
    SP_TRY(sp_exec_find_nonfinite(t->members[i]->train, &e, where, sizeof where, err));
    return SP_FAIL(err, SP_E_NUMERIC,
                   "%s is not finite. First seen: %s. Training stops%s. Try a smaller learning rate (now %g)",
                   loss ? "the loss" : "a gradient", where,
                   t->members[0]->recipe.online_update ? "" : " before this mini-batch changes anything",
                   e.lr);
}

static void sum_results(sp_replicas *t, size_t n_valid, sp_step_result *out, int *bad)
{
    *bad = NO_SHARD;
    for (size_t i = 0; i < n_valid; i++) {
        out->loss += (double)t->loss[i];
        out->correct += t->correct[i];
    }
    for (int r = 0; r < spi_n_ranks(t); r++) {
        out->stop = out->stop || t->verdicts[r].stop;
        *bad = t->verdicts[r].bad < *bad ? t->verdicts[r].bad : *bad;
    }
}

sp_status sp_train_step(sp_replicas *t, sp_exec_batch *e, size_t n_valid,
                        sp_status (*before)(void *ctx, const sp_exec_batch *batch, sp_error *err), void *ctx,
                        sp_step_result *out, sp_error *err)
{
    int bad;
    *out = (sp_step_result){.backprop_steps = sp_session_choose(t->members[0], e->iteration, t->mask)};
    e->backprop = t->mask;
    t->verdicts[spi_rank_of(t)] = (verdict){.bad = NO_SHARD};
    if (before)
        SP_TRY(before(ctx, e, err));
    SP_TRY(run(t, e, n_valid, err));
    SP_TRY(tell_results(t, err));
    sum_results(t, n_valid, out, &bad);
    if (out->loss == 0)
        SP_TRY(sp_session_check_computes(t->members[0], err));
    if (bad != NO_SHARD)
        return not_finite(t, e, bad, !isfinite(out->loss), err);
    sp_session_learn(t->members[0], t->by_step);
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
    return sp_ranks_sum(t->ranks, "spike counts", spikes, (size_t)nodes, err);
}

void sp_replicas_finish(sp_replicas *t)
{
    for (size_t i = 0; t && i < t->n; i++)
        sp_device_finish(t->members[i]->dev, NULL);
}
