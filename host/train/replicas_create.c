/* Making replicas: see replicas.h. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "train/replicas_internal.h"

static sp_status check_member(const sp_replicas *t, const sp_session *s, sp_error *err)
{
    const sp_recipe *r = &s->recipe;
    const int replicas = spi_n_ranks(t) * (int)t->n;
    if (t->shards < replicas)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.shards is %d, but %d devices or ranks share each mini-batch, and each "
                       "of them needs a shard; start at most %d of them, or set schedule.shards to %d",
                       r->doc.file, t->shards, replicas, t->shards, replicas);
    if (s->train->o.sync_norm && t->shards != replicas)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.shards is %d; with schedule.sync_batch_norm it has to be a multiple of "
                       "the %d ranks or devices that share each mini-batch",
                       r->doc.file, t->shards, spi_n_ranks(t));
    if (s->train->o.batch * t->shards != r->batch)
        return SP_FAIL(err, SP_E_FAILED, "%s: the training plan was not made for shards", r->doc.file);
    if (s->graph->param_elems != t->members[0]->graph->param_elems)
        return SP_FAIL(err, SP_E_FAILED, "the replicas have different networks");
    return SP_OK;
}

static sp_status find_mixed(sp_replicas *t, sp_error *err)
{
    enum { ROOM = 400 };
    char *names = sp_alloc_array((size_t)spi_n_ranks(t), ROOM);
    if (!names)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    char *mine = names + (size_t)spi_rank_of(t) * ROOM;
    for (size_t i = 0; i < t->n; i++) {
        const sp_device_info *d = &t->members[i]->dev->info, *first = &t->members[0]->dev->info;
        snprintf(mine, ROOM, "%s, driver %s", d->name, d->driver);
        t->mixed = t->mixed || strcmp(d->name, first->name) != 0 || strcmp(d->driver, first->driver) != 0;
    }
    sp_status st =
        sp_ranks_gather(t->ranks, "the names of devices", &(sp_ranks_table){names, ROOM, NULL}, 1, err);
    for (int r = 1; st == SP_OK && r < spi_n_ranks(t); r++)
        t->mixed = t->mixed || strncmp(names, names + (size_t)r * ROOM, ROOM) != 0;
    sp_free(names);
    return st;
}

static sp_status allocate(sp_replicas *t, sp_error *err)
{
    const sp_session *s = t->members[0];
    const size_t batch = (size_t)s->recipe.batch, R = (size_t)spi_n_ranks(t),
                 T = (size_t)s->recipe.time_steps;
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
    for (int r = 0; r <= spi_n_ranks(t); r++)
        t->at[r] = (size_t)sp_shards_first(t->shards, spi_n_ranks(t), r) * t->per_shard;
    return SP_OK;
}

static sp_status prepare_sync(sp_replicas *t, sp_error *err)
{
    t->cursors = sp_alloc_array(t->n, sizeof *t->cursors);
    if (!t->cursors)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    return spi_norm_sync_init(&t->norms, t->members, t->n, t->ranks, t->shards, t->first, err);
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
    t->first = spi_member_first(t, 0);
    t->end = spi_member_first(t, n);
    SP_TRY_GOTO(allocate(t, err));
    SP_TRY_GOTO(spi_gradients_init(&t->gradients, members[0], ranks, err));
    SP_TRY_GOTO(find_mixed(t, err));
    if (members[0]->train->o.sync_norm)
        SP_TRY_GOTO(prepare_sync(t, err));
    if (t->mixed && spi_rank_of(t) == 0)
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
    spi_norm_sync_fini(&t->norms);
    void *all[] = {t->members, t->cursors, t->mask,  t->at,     t->verdicts,
                   t->loss,    t->correct, t->model, t->spikes, t->by_step};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
    sp_free(t);
    *pt = NULL;
}
