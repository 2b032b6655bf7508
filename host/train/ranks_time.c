/* Where the time of ranks goes, and which of them the others wait for. r NULL: nothing happens. */
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/ranks.h"

#define SLOW_SHARE 0.2 /* of an epoch, that every other rank has waited longer */
#define SLOW_S     1.0 /* and seconds, since in a short epoch it is the first mini-batch */

sp_status sp_ranks_time_init(sp_ranks_time *t, const sp_ranks *r, sp_error *err)
{
    const size_t n = r ? (size_t)r->size : 0;
    *t = (sp_ranks_time){.wait = sp_alloc_array(n + 1, 3 * sizeof *t->wait)};
    if (!t->wait)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for training");
    t->sum = t->wait + n;
    t->epoch_wait = t->sum + n;
    return SP_OK;
}

void sp_ranks_time_start(sp_ranks *r)
{
    if (r)
        r->wait_ns = r->sum_ns = 0;
}

sp_status sp_ranks_time_line(sp_ranks *r, sp_ranks_time *t, double seconds, sp_error *err)
{
    if (!r)
        return SP_OK;
    t->wait[r->rank] = (double)r->wait_ns * 1e-9 / seconds;
    t->sum[r->rank] = (double)r->sum_ns * 1e-9 / seconds;
    sp_ranks_time_start(r);
    const sp_ranks_table tables[] = {{t->wait, sizeof *t->wait, NULL}, {t->sum, sizeof *t->sum, NULL}};
    SP_TRY(sp_ranks_gather(r, "times of waiting", tables, 2, err));
    for (int i = 0; i < r->size; i++)
        t->epoch_wait[i] += t->wait[i] * seconds;
    return SP_OK;
}

/* The rank that has waited least is the one that the others wait for. */
void sp_ranks_time_epoch(const sp_ranks *r, sp_ranks_time *t, int64_t epoch, double seconds)
{
    int least = 0, next = -1;
    if (!r)
        return;
    for (int i = 1; i < r->size; i++)
        least = t->epoch_wait[i] < t->epoch_wait[least] ? i : least;
    for (int i = 0; i < r->size; i++)
        if (i != least && (next < 0 || t->epoch_wait[i] < t->epoch_wait[next]))
            next = i;
    const double longer = t->epoch_wait[next] - t->epoch_wait[least];
    if (r->rank == 0 && longer > SLOW_S && longer > SLOW_SHARE * seconds)
        sp_log(SP_LOG_WARNING,
               "epoch %lld: the other ranks wait for rank %d (host %s), which has waited for %.0f %% of the "
               "time, and each of them for %.0f %% or more",
               (long long)epoch, least, r->hosts[least], 100 * t->epoch_wait[least] / seconds,
               100 * t->epoch_wait[next] / seconds);
    for (int i = 0; i < r->size; i++)
        t->epoch_wait[i] = 0;
}
