/* The sum of gradients over shards, devices and ranks: see gradients.h. Between ranks each one sums a slice
 * of the vector, whose parts the others send it, and sends the mean to all. */
#include "train/gradients.h"

#include <string.h>

#include "base/error.h"

static size_t elems_of(const spi_gradients *g)
{
    return g->params + g->buffers;
}

/* ---- making ---- */

/* Whether a node of all ranks is one that this rank sums itself, whose memory is that of the sum. */
static bool is_own(const spi_gradients *g, int node)
{
    return node >= g->covers[g->ranks->rank] && node < g->covers[g->ranks->rank + 1];
}

static sp_status init_ranks(spi_gradients *g, sp_error *err)
{
    const int R = g->ranks->size;
    const size_t room = (size_t)g->shards + 1;
    g->slice = sp_alloc_array((size_t)R + 1, sizeof *g->slice);
    g->covers = sp_alloc_array((size_t)R + 1, sizeof *g->covers);
    g->nodes = sp_alloc_array(room, sizeof *g->nodes);
    g->sends = sp_alloc_array((size_t)R, room * sizeof *g->sends);
    g->receives = sp_alloc_array((size_t)R, room * sizeof *g->receives);
    g->mean = sp_alloc_pages(elems_of(g), sizeof *g->mean);
    if (!g->slice || !g->covers || !g->nodes || !g->sends || !g->receives || !g->mean)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the sum of gradients over ranks");
    for (int r = 0; r < R; r++) {
        int lo = sp_shards_first(g->shards, R, r), hi = sp_shards_first(g->shards, R, r + 1);
        g->covers[r + 1] = g->covers[r] + sp_shards_cover(g->shards, lo, hi, &g->nodes[g->covers[r]]);
        g->slice[r + 1] = elems_of(g) * (size_t)(r + 1) / (size_t)R;
    }
    const size_t mine = g->slice[g->ranks->rank + 1] - g->slice[g->ranks->rank];
    for (int i = 0; i < g->covers[R]; i++) {
        g->nodes[i].x = is_own(g, i) ? NULL : sp_alloc_pages(mine + 1, sizeof *g->nodes[i].x);
        if (!g->nodes[i].x && !is_own(g, i))
            return SP_FAIL(err, SP_E_MEMORY, "out of memory for the sum of gradients over ranks");
    }
    return sp_shard_sum_init(&g->merged, g->shards, mine, err);
}

sp_status spi_gradients_init(spi_gradients *g, const sp_session *s, sp_ranks *ranks, sp_error *err)
{
    *g = (spi_gradients){.ranks = ranks,
                         .shards = (int)sp_recipe_shards(&s->recipe),
                         .params = (size_t)s->graph->param_elems,
                         .buffers = (size_t)s->graph->buffer_elems};
    if (g->shards == 1)
        return SP_OK;
    g->before = sp_alloc_pages(g->buffers + 1, sizeof *g->before);
    if (!g->before)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for running statistics");
    SP_TRY(sp_shard_sum_init(&g->sum, g->shards, elems_of(g), err));
    return ranks ? init_ranks(g, err) : SP_OK;
}

void spi_gradients_fini(spi_gradients *g)
{
    while (g->sum.n > 0) /* of a mini-batch that an error has ended */
        sp_free(g->sum.nodes[--g->sum.n].x);
    sp_shard_sum_fini(&g->sum);
    g->merged.n_spare = 0; /* they are those of `nodes` */
    sp_shard_sum_fini(&g->merged);
    for (int i = 0; g->nodes && g->covers && i < g->shards; i++)
        if (!is_own(g, i))
            sp_free(g->nodes[i].x);
    void *all[] = {g->before, g->mean, g->slice, g->covers, g->nodes, g->sends, g->receives};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
    *g = (spi_gradients){0};
}

/* ---- devices ---- */

static sp_range range_of(const sp_session *s, uint64_t at)
{
    return (sp_range){s->model->mem, at * sizeof(float)};
}

sp_status spi_gradients_begin(spi_gradients *g, const sp_session *s, sp_error *err)
{
    return g->buffers && g->shards > 1 ? sp_device_read(s->dev, range_of(s, s->model->buffers_at), g->before,
                                                        g->buffers * sizeof(float), err)
                                       : SP_OK;
}

sp_status spi_gradients_rewind(spi_gradients *g, const sp_session *s, sp_error *err)
{
    return g->buffers ? sp_device_write(s->dev, range_of(s, s->model->buffers_at), g->before,
                                        g->buffers * sizeof(float), true, err)
                      : SP_OK;
}

sp_status spi_gradients_add(spi_gradients *g, const sp_session *s, int shard, sp_error *err)
{
    float *x;
    if (g->shards == 1)
        return SP_OK;
    SP_TRY(sp_shard_sum_room(&g->sum, &x, err));
    sp_status st = sp_device_read(s->dev, range_of(s, s->model->g_at), x, g->params * sizeof *x, err);
    if (st == SP_OK && g->buffers)
        st = sp_device_read(s->dev, range_of(s, s->model->buffers_at), x + g->params, g->buffers * sizeof *x,
                            err);
    if (st != SP_OK)
        sp_free(x);
    else
        sp_shard_sum_add(&g->sum, (sp_shard_node){shard, shard + 1, x});
    return st;
}

sp_status spi_gradients_put(const spi_gradients *g, const sp_session *s, const float *mean, sp_error *err)
{
    SP_TRY(sp_device_write(s->dev, range_of(s, s->model->g_at), mean, g->params * sizeof *mean, true, err));
    return g->buffers ? sp_device_write(s->dev, range_of(s, s->model->buffers_at), mean + g->params,
                                        g->buffers * sizeof *mean, true, err)
                      : SP_OK;
}

/* ---- ranks ---- */

/* What this process has summed: the parts of this rank's slice come, those of the others' go. */
static sp_status exchange_slices(spi_gradients *g, sp_error *err)
{
    const int me = g->ranks->rank;
    size_t n = 0, m = 0;
    for (int q = 0; q < g->ranks->size; q++) {
        const size_t bytes = (g->slice[q + 1] - g->slice[q]) * sizeof(float);
        for (int k = 0; k < g->sum.n; k++) {
            float *x = g->sum.nodes[k].x + g->slice[q];
            if (q != me)
                g->sends[n++] = (sp_ranks_part){q, x, bytes};
            else
                g->nodes[g->covers[me] + k].x = x;
        }
        for (int i = g->covers[q]; i < g->covers[q + 1] && q != me; i++)
            g->receives[m++] = (sp_ranks_part){q, g->nodes[i].x, g->merged.elems * sizeof(float)};
    }
    return sp_ranks_exchange(g->ranks, "gradients", g->sends, n, g->receives, m, err);
}

/* mean may be sum. */
static void divide(const float *sum, size_t n, int shards, float *mean)
{
    for (size_t k = 0; k < n; k++)
        mean[k] = sum[k] / (float)shards;
}

static sp_status mean_of_ranks(spi_gradients *g, sp_error *err)
{
    const int me = g->ranks->rank;
    SP_TRY(exchange_slices(g, err));
    while (g->sum.n > 0)
        g->sum.spare[g->sum.n_spare++] = g->sum.nodes[--g->sum.n].x;
    g->merged.n_spare = 0;
    for (int i = 0; i < g->covers[g->ranks->size]; i++)
        sp_shard_sum_add(&g->merged, g->nodes[i]);
    divide(sp_shard_sum_take(&g->merged), g->merged.elems, g->shards, g->mean + g->slice[me]);
    return sp_ranks_gather(g->ranks, "the mean of gradients",
                           &(sp_ranks_table){g->mean, sizeof *g->mean, g->slice}, 1, err);
}

sp_status spi_gradients_mean(spi_gradients *g, const float **mean, sp_error *err)
{
    if (g->ranks) {
        *mean = g->mean;
        return mean_of_ranks(g, err);
    }
    float *x = sp_shard_sum_take(&g->sum);
    divide(x, elems_of(g), g->shards, x);
    *mean = x;
    return SP_OK;
}
