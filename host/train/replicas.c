/* The training step of all replicas; see replicas.h. With one shard every function is that of the executor.
 */
#include "train/replicas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/trace.h"
#include "train/adaptive.h"
#include "train/gradients.h"

enum { NO_SHARD = INT32_MAX };

/* What a rank tells the others of its part of a mini-batch; the samples' results follow. */
typedef struct verdict {
    int32_t bad; /* first shard with a number that is not finite; NO_SHARD */
    int32_t stop;
} verdict;

struct sp_replicas {
    sp_session **members;
    size_t n;
    sp_ranks *ranks;        /* NULL: one process */
    int shards, first, end; /* of all, and those of this process */
    size_t per_shard;       /* samples */
    bool mixed;             /* the devices are not of one kind */
    spi_gradients gradients;
    uint8_t *mask;     /* [T] */
    size_t *at;        /* [ranks + 1] first sample of a rank */
    verdict *verdicts; /* [ranks] */
    float *loss;       /* [B] */
    uint32_t *correct; /* [B] */
    char *model;       /* a model's memory, where several replicas share it */
    uint64_t *spikes;  /* [nodes] */
    uint64_t *by_step; /* [T][neuron layers], adaptive SLTT-K */
};

static int n_ranks(const sp_replicas *t)
{
    return t->ranks ? t->ranks->size : 1;
}

static int rank_of(const sp_replicas *t)
{
    return t->ranks ? t->ranks->rank : 0;
}

/* The shards of member i of this process. */
static int member_first(const sp_replicas *t, size_t i)
{
    return sp_shards_first(t->shards, n_ranks(t) * (int)t->n, rank_of(t) * (int)t->n + (int)i);
}

/* ---- making ---- */

static sp_status check_member(const sp_replicas *t, const sp_session *s, sp_error *err)
{
    const sp_recipe *r = &s->recipe;
    const int replicas = n_ranks(t) * (int)t->n;
    if (t->shards < replicas)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.shards is %d, but %d devices or ranks share each mini-batch, and each "
                       "of "
                       "them needs a shard; set it to %d or more",
                       r->doc.file, t->shards, replicas, replicas);
    if (s->train->o.batch * t->shards != r->batch)
        return SP_FAIL(err, SP_E_FAILED, "%s: the training plan was not made for shards", r->doc.file);
    if (s->graph->param_elems != t->members[0]->graph->param_elems)
        return SP_FAIL(err, SP_E_FAILED, "the replicas have different networks");
    return SP_OK;
}

static sp_status find_mixed(sp_replicas *t, sp_error *err)
{
    enum { ROOM = 400 };
    char *names = sp_alloc_array((size_t)n_ranks(t), ROOM);
    if (!names)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    char *mine = names + (size_t)rank_of(t) * ROOM;
    for (size_t i = 0; i < t->n; i++) {
        const sp_device_info *d = &t->members[i]->dev->info, *first = &t->members[0]->dev->info;
        snprintf(mine, ROOM, "%s, driver %s", d->name, d->driver);
        t->mixed = t->mixed || strcmp(d->name, first->name) != 0 || strcmp(d->driver, first->driver) != 0;
    }
    sp_status st =
        sp_ranks_gather(t->ranks, "the names of devices", &(sp_ranks_table){names, ROOM, NULL}, 1, err);
    for (int r = 1; st == SP_OK && r < n_ranks(t); r++)
        t->mixed = t->mixed || strncmp(names, names + (size_t)r * ROOM, ROOM) != 0;
    sp_free(names);
    return st;
}

static sp_status allocate(sp_replicas *t, sp_error *err)
{
    const sp_session *s = t->members[0];
    const size_t batch = (size_t)s->recipe.batch, R = (size_t)n_ranks(t), T = (size_t)s->recipe.time_steps;
    t->mask = sp_alloc_array(T, sizeof *t->mask);
    t->at = sp_alloc_array(R + 1, sizeof *t->at);
    t->verdicts = sp_alloc_array(R, sizeof *t->verdicts);
    t->loss = sp_alloc_pages(batch, sizeof *t->loss);
    t->correct = sp_alloc_pages(batch, sizeof *t->correct);
    t->spikes = sp_alloc_array((size_t)s->graph->n_nodes, sizeof *t->spikes);
    t->by_step = sp_alloc_array(T, (size_t)(s->train->n_neuron_layers + 1) * sizeof *t->by_step);
    t->model = t->shards > 1 ? sp_alloc_pages(s->model->bytes, 1) : NULL;
    if (!t->mask || !t->at || !t->verdicts || !t->loss || !t->correct || !t->spikes || !t->by_step ||
        (t->shards > 1 && !t->model))
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    for (int r = 0; r <= n_ranks(t); r++)
        t->at[r] = (size_t)sp_shards_first(t->shards, n_ranks(t), r) * t->per_shard;
    return SP_OK;
}

sp_status sp_replicas_create(sp_session *const *members, size_t n, sp_ranks *ranks, sp_replicas **out,
                             sp_error *err)
{
    sp_replicas *t = sp_alloc(sizeof *t);
    sp_status st = SP_OK;
    if (!t || !(t->members = sp_alloc_array(n, sizeof(sp_session *)))) {
        sp_free(t);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    }
    memcpy(t->members, members, n * sizeof *members);
    t->n = n;
    t->ranks = ranks;
    t->shards = (int)sp_recipe_shards(&members[0]->recipe);
    t->per_shard = (size_t)members[0]->train->o.batch;
    for (size_t i = 0; i < n; i++)
        SP_TRY_GOTO(check_member(t, members[i], err));
    t->first = member_first(t, 0);
    t->end = member_first(t, n);
    SP_TRY_GOTO(allocate(t, err));
    SP_TRY_GOTO(spi_gradients_init(&t->gradients, members[0], ranks, err));
    SP_TRY_GOTO(find_mixed(t, err));
    if (t->mixed && rank_of(t) == 0)
        sp_log(SP_LOG_WARNING, "the devices are of different kinds: another division of the work among them "
                               "gives other bits");
    *out = t;
    return SP_OK;
done:
    sp_replicas_destroy(&t);
    return st;
}

void sp_replicas_destroy(sp_replicas **pt)
{
    sp_replicas *t = pt ? *pt : NULL;
    if (!t)
        return;
    spi_gradients_fini(&t->gradients);
    void *all[] = {t->members, t->mask,  t->at,     t->verdicts, t->loss,
                   t->correct, t->model, t->spikes, t->by_step};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
    sp_free(t);
    *pt = NULL;
}

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
    return (sp_range){s->model->mem, s->model->w_at * sizeof(float)};
}

/* The first `bytes` of the first session's model. */
static sp_status share(sp_replicas *t, size_t bytes, sp_error *err)
{
    if (t->n == 1 && !t->ranks)
        return SP_OK;
    if (rank_of(t) == 0)
        SP_TRY(sp_device_read(t->members[0]->dev, weights_of(t->members[0]), t->model, bytes, err));
    if (t->ranks)
        SP_TRY(sp_ranks_share(t->ranks, "weights", t->model, bytes, err));
    for (size_t i = rank_of(t) == 0; i < t->n; i++)
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
    const size_t bytes = (size_t)s->graph->param_elems * sizeof(float);
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
    e.frame_bytes = frame * (size_t)(t->end - t->first);
    e.iteration = (int32_t)((uint32_t)all->iteration * (uint32_t)t->shards + (uint32_t)shard);
    return e;
}

static sp_status start(sp_replicas *t, const sp_exec_batch *batch, size_t i, int shard, sp_error *err)
{
    sp_exec_batch e = shard_of(t, batch, shard);
    if (shard > member_first(t, i))
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
    verdict *v = &t->verdicts[rank_of(t)];
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

/* In rounds, each of one shard on every device of this process. */
static sp_status run(sp_replicas *t, const sp_exec_batch *batch, size_t n_valid, sp_error *err)
{
    const int rounds = (t->end - t->first + (int)t->n - 1) / (int)t->n;
    const sp_session *s = t->members[0];
    memset(t->by_step, 0, n_counts(s) * sizeof *t->by_step);
    SP_TRY(spi_gradients_begin(&t->gradients, s, err));
    for (int k = 0; k < rounds; k++) {
        uint64_t at = sp_clock_ns();
        for (size_t i = 0; i < t->n; i++)
            if (member_first(t, i) + k < member_first(t, i + 1))
                SP_TRY(start(t, batch, i, member_first(t, i) + k, err));
        sp_trace_host("enqueue", at);
        at = sp_clock_ns();
        for (size_t i = 0; i < t->n; i++)
            if (member_first(t, i) + k < member_first(t, i + 1))
                SP_TRY(finish(t, i, member_first(t, i) + k, n_valid, err));
        sp_trace_host("read loss", at);
    }
    return SP_OK;
}

static sp_status tell_results(sp_replicas *t, sp_error *err)
{
    static const char what[] = "the loss of a mini-batch";
    if (!t->ranks)
        return SP_OK;
    t->verdicts[rank_of(t)].stop = t->ranks->stop && *t->ranks->stop;
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
    const sp_graph *g = t->members[0]->graph;
    return t->mixed ? share(t, (size_t)g->param_elems * sizeof(float), err) : SP_OK;
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
    while (member_first(t, i + 1) <= shard)
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
    for (int r = 0; r < n_ranks(t); r++) {
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
    t->verdicts[rank_of(t)] = (verdict){.bad = NO_SHARD};
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
