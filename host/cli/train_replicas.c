/* The sessions of spikeport train: devices of this process, or the one device of a rank. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/train.h"

void sp_cli_train_close(sp_cli_replicas *t)
{
    while (t->n > 0)
        sp_session_close(&t->members[--t->n]);
    sp_dataset_close(&t->train);
    sp_dataset_close(&t->test);
}

sp_status sp_cli_train_recipe(const char *path, const sp_cli_train *o, const sp_checkpoint *c, sp_recipe *r,
                              sp_error *err)
{
    return o->resume ? sp_checkpoint_recipe(c, o->session.sets.items, o->session.sets.n, r, err)
                     : sp_recipe_load(path, o->session.sets.items, o->session.sets.n, r, err);
}

/* Without schedule.shards there is one for each replica; it is written to the run's files, so that another
 * number of replicas continues with the same bits. */
static sp_status open_member(const char *path, const sp_cli_train *o, const sp_checkpoint *c, size_t n,
                             sp_session_options *so, sp_cli_replicas *t, sp_error *err)
{
    sp_recipe r = {0};
    SP_TRY(sp_cli_train_recipe(path, o, c, &r, err));
    if (r.shards == 0 && n > 1)
        r.shards = (int64_t)n;
    sp_session **s = &t->members[t->n];
    so->eval_samples = t->n ? t->test->info.count : 0;
    SP_TRY(t->n ? sp_session_open(&r, &t->train->info, so, s, err)
                : sp_cli_session_open(&r, so, s, &t->train, &t->test, err));
    t->n++;
    return SP_OK;
}

/* On one of n devices or ranks: a session, or with schedule.sync_batch_norm one for each of its shards, as
 * they run in step. */
static sp_status open_on_device(const char *path, const sp_cli_train *o, const sp_checkpoint *c, size_t n,
                                sp_session_options *so, sp_cli_replicas *t, sp_error *err)
{
    const size_t first = t->n;
    SP_TRY(open_member(path, o, c, n, so, t, err));
    const sp_recipe *r = &t->members[first]->recipe;
    const size_t shards = r->sync_norm ? (size_t)sp_recipe_shards(r) / n : 1;
    sp_session_options shared = *so;
    shared.opened = t->members[first]->dev;
    if (first + shards > SP_CLI_MAX_DEVICES)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: schedule.sync_batch_norm takes at most %d shards in one process; use more ranks",
                       r->doc.file, SP_CLI_MAX_DEVICES);
    while (t->n < first + shards)
        SP_TRY(open_member(path, o, c, n, &shared, t, err));
    return SP_OK;
}

/* The one device of a rank: the part, or the name, or the device of the chosen kind with its local number. */
static sp_status open_of_rank(const char *path, const sp_cli_train *o, const sp_checkpoint *c,
                              const char *const *names, size_t n, sp_session_options *so, sp_cli_replicas *t,
                              sp_error *err)
{
    const int local = o->ranks->local_rank;
    char number[16];
    if (o->sub_devices > 1 && local >= o->sub_devices)
        return SP_FAIL(err, SP_E_USAGE,
                       "--sub-devices %lld has no part for local rank %d; start at most that "
                       "many ranks on a machine",
                       (long long)o->sub_devices, local);
    so->device = names[n > 1 ? (size_t)local % n : 0];
    so->device_options.parts = o->sub_devices > 1 ? (int)o->sub_devices : 0;
    so->device_options.part = o->sub_devices > 1 ? local : 0;
    if (n == 1 && o->sub_devices < 2) {
        SP_TRY(sp_device_of_local_rank(so->device, local, number, err));
        so->device = number;
    }
    return open_on_device(path, o, c, (size_t)o->ranks->size, so, t, err);
}

/* A session on each device of --device A,B, or on each part of one device (--sub-devices N); a rank has one.
 */
static sp_status open_members(const char *path, const sp_cli_train *o, const sp_checkpoint *c,
                              const char *const *names, size_t n, sp_cli_replicas *t, sp_error *err)
{
    sp_session_options so = sp_cli_session_options(&o->session);
    so.device_options.profiling = so.device_options.profiling || o->trace;
    if (o->ranks)
        return open_of_rank(path, o, c, names, n, &so, t, err);
    for (size_t i = 0; i < n; i++) {
        so.device = o->sub_devices > 1 ? names[0] : names[i];
        so.device_options.parts = o->sub_devices > 1 ? (int)n : 0;
        so.device_options.part = (int)i;
        SP_TRY(open_on_device(path, o, c, n, &so, t, err));
    }
    return SP_OK;
}

sp_status sp_cli_train_open(const char *path, const sp_cli_train *o, const sp_checkpoint *c,
                            sp_cli_replicas *t, sp_error *err)
{
    const char *list = o->session.device, *names[SP_CLI_MAX_DEVICES] = {list};
    char *text = NULL;
    size_t n = o->sub_devices > 1 && !o->ranks ? (size_t)o->sub_devices : 1;
    sp_status st = SP_OK;
    if (list && strchr(list, ',') && o->sub_devices < 2)
        st = sp_cli_device_names("--device", list, &text, names, &n, err);
    if (st == SP_OK)
        st = open_members(path, o, c, names, n, t, err);
    sp_free(text);
    return st;
}

void sp_cli_train_say_ranks(const sp_ranks *r)
{
    sp_cli_say("ranks: %d, through %s; a rank that does not answer for %g s ends all\n", r->size, r->library,
               r->timeout_s);
}

void sp_cli_train_say(const sp_cli_replicas *t)
{
    const sp_recipe *r = &t->members[0]->recipe;
    const int64_t shards = sp_recipe_shards(r);
    size_t devices = 0, at = 0;
    for (size_t i = 0; i < t->n; i++)
        devices += !t->members[i]->borrows_dev;
    for (size_t i = 0; i < t->n && devices > 1; i++)
        if (!t->members[i]->borrows_dev)
            sp_cli_say("device %zu of %zu: %s%s, %u compute units, %lld samples of each mini-batch\n", ++at,
                       devices, t->members[i]->dev->info.name, t->members[i]->dev->is_part ? " (a part)" : "",
                       t->members[i]->dev->info.compute_units, (long long)(r->batch / (int64_t)devices));
    if (shards > 1)
        sp_cli_say("shards: %lld of %lld samples; gradients are summed on the host in their order, and batch "
                   "norms see the samples of %s\n",
                   (long long)shards, (long long)t->members[0]->train->o.batch,
                   r->sync_norm ? "all shards, each of which takes the planned memory" : "one shard");
}
