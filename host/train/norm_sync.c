/* Batch norms over all shards: see norm_sync.h. Sums go over the shards in their order, in double. */
#include "train/norm_sync.h"

#include <math.h>

#include "base/error.h"
#include "train/shards.h"

enum { VALUES = 6 }; /* mean, rstd, gamma, beta, running mean and variance */

sp_status spi_norm_sync_init(spi_norm_sync *s, sp_session *const *members, size_t n, sp_ranks *ranks,
                             int shards, int first, sp_error *err)
{
    const sp_graph *g = members[0]->graph;
    const int R = ranks ? ranks->size : 1;
    *s = (spi_norm_sync){
        .members = members, .n = n, .ranks = ranks, .shards = shards, .first = first, .most = 1};
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].type == SP_NODE_BATCH_NORM && (size_t)g->acts[g->nodes[i].out].c > s->most)
            s->most = (size_t)g->acts[g->nodes[i].out].c;
    s->all = sp_alloc_pages((size_t)shards * s->most, 2 * sizeof *s->all);
    s->own = sp_alloc_pages(s->most, VALUES * sizeof *s->own);
    s->mean = sp_alloc_array(s->most, 2 * sizeof *s->mean);
    s->at = sp_alloc_array((size_t)R + 1, sizeof *s->at);
    if (!s->all || !s->own || !s->mean || !s->at)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for batch norms over all shards");
    for (int r = 0; r <= R; r++)
        s->at[r] = (size_t)sp_shards_first(shards, R, r);
    return SP_OK;
}

void spi_norm_sync_fini(spi_norm_sync *s)
{
    sp_free(s->all);
    sp_free(s->own);
    sp_free(s->mean);
    sp_free(s->at);
    *s = (spi_norm_sync){0};
}

/* ---- between device and host ---- */

static sp_range operand_of(const sp_plan *p, const sp_exec_cursor *c, const char *buffer)
{
    return sp_plan_range(p, &c->at->operands[sp_op_buffer_index(c->at->call.op, buffer)], c->t);
}

static sp_status read_floats(const sp_session *m, sp_range from, float *x, size_t n, sp_error *err)
{
    return sp_device_read(m->dev, from, x, n * sizeof *x, err);
}

static sp_status write_floats(const sp_session *m, sp_range to, const float *x, size_t n, sp_error *err)
{
    return sp_device_write(m->dev, to, x, n * sizeof *x, true, err);
}

/* `all` of every shard, where the members' are filled in. */
static sp_status gather(spi_norm_sync *s, size_t n, sp_error *err)
{
    return sp_ranks_gather(s->ranks, "sums of a batch norm",
                           &(sp_ranks_table){s->all, n * sizeof *s->all, s->at}, 1, err);
}

/* ---- statistics ---- */

/* mean[0]: the mean, mean[1]: the variance, of all shards, whose own are in `all` as mean and 1 / deviation.
 */
static void combine_statistics(spi_norm_sync *s, size_t c, double eps)
{
    const double shards = s->shards;
    for (size_t k = 0; k < c; k++) {
        double mean = 0, variance = 0;
        for (int i = 0; i < s->shards; i++)
            mean += (double)s->all[(size_t)i * 2 * c + k];
        mean /= shards;
        for (int i = 0; i < s->shards; i++) {
            const double d = (double)s->all[(size_t)i * 2 * c + k] - mean,
                         rstd = (double)s->all[(size_t)i * 2 * c + c + k];
            variance += d * d + fmax(1 / (rstd * rstd) - eps, 0);
        }
        s->mean[k] = mean;
        s->mean[c + k] = variance / shards;
    }
}

/* Writes what follows from the mean and the variance to a member. */
static sp_status put_statistics(spi_norm_sync *s, size_t i, const sp_exec_cursor *c, sp_error *err)
{
    static const char *const reads[] = {"gamma", "beta", "running_mean", "running_var"},
                             *const writes[] = {"mean",  "rstd",         "scale",
                                                "shift", "running_mean", "running_var"};
    const sp_session *m = s->members[i];
    const sp_op_call *call = &c->at->call;
    const size_t n = (size_t)sp_call_int(call, "C");
    const double rows = (double)sp_call_int(call, "M") * s->shards, eps = sp_call_float(call, "eps"),
                 momentum = m->graph->nodes[c->at->node].layer->momentum;
    float *x[VALUES];
    for (int k = 0; k < VALUES; k++)
        x[k] = s->own + (size_t)k * n;
    for (int k = 0; k < 4; k++)
        SP_TRY(read_floats(m, operand_of(m->train, c, reads[k]), x[k + 2], n, err));
    for (size_t k = 0; k < n; k++) {
        const double mean = s->mean[k], variance = s->mean[n + k], rstd = 1 / sqrt(variance + eps),
                     scale = (double)x[2][k] * rstd, shift = (double)x[3][k] - mean * scale;
        x[0][k] = (float)mean;
        x[1][k] = (float)rstd;
        x[2][k] = (float)scale;
        x[3][k] = (float)shift;
        x[4][k] = (float)((1 - momentum) * (double)x[4][k] + momentum * mean);
        x[5][k] = (float)((1 - momentum) * (double)x[5][k] + momentum * variance * rows / (rows - 1));
    }
    for (int k = 0; k < VALUES; k++)
        SP_TRY(write_floats(m, operand_of(m->train, c, writes[k]), x[k], n, err));
    return SP_OK;
}

static sp_status sync_statistics(spi_norm_sync *s, const sp_exec_cursor *cursors, sp_error *err)
{
    const sp_op_call *call = &cursors[0].at->call;
    const size_t n = (size_t)sp_call_int(call, "C");
    for (size_t i = 0; i < s->n; i++) {
        const sp_session *m = s->members[i];
        float *x = s->all + ((size_t)s->first + i) * 2 * n;
        SP_TRY(read_floats(m, operand_of(m->train, &cursors[i], "mean"), x, n, err));
        SP_TRY(read_floats(m, operand_of(m->train, &cursors[i], "rstd"), x + n, n, err));
    }
    SP_TRY(gather(s, 2 * n, err));
    combine_statistics(s, n, sp_call_float(call, "eps"));
    for (size_t i = 0; i < s->n; i++)
        SP_TRY(put_statistics(s, i, &cursors[i], err));
    return SP_OK;
}

/* ---- sums of the backward pass ---- */

/* Their mean over the shards: the next step divides by the rows of one shard. */
static sp_status sync_sums(spi_norm_sync *s, const sp_exec_cursor *cursors, sp_error *err)
{
    const size_t n = 2 * (size_t)sp_call_int(&cursors[0].at->call, "C");
    for (size_t i = 0; i < s->n; i++)
        SP_TRY(sp_plan_read(s->members[i]->train, cursors[i].at->sums, cursors[i].t,
                            s->all + ((size_t)s->first + i) * n, n * sizeof(float), err));
    SP_TRY(gather(s, n, err));
    for (size_t k = 0; k < n; k++) {
        double sum = 0;
        for (int i = 0; i < s->shards; i++)
            sum += (double)s->all[(size_t)i * n + k];
        s->own[k] = (float)(sum / s->shards);
    }
    for (size_t i = 0; i < s->n; i++)
        SP_TRY(write_floats(s->members[i],
                            sp_plan_tensor_range(s->members[i]->train, cursors[i].at->sums, cursors[i].t),
                            s->own, n, err));
    return SP_OK;
}

sp_status spi_norm_sync_step(spi_norm_sync *s, const sp_exec_cursor *cursors, sp_error *err)
{
    return cursors[0].at->sync == SP_SYNC_STATISTICS ? sync_statistics(s, cursors, err)
                                                     : sync_sums(s, cursors, err);
}
