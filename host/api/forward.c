/* Forward: samples of the caller through the evaluation plan, in pieces of its batch. */
#include <stdio.h>
#include <string.h>

#include "api/internal.h"
#include "base/mem.h"
#include "base/stats.h"

/* ---- layouts ---- */

static void transpose(const float *from, float *to, int64_t images, int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < images; i++, from += rows * cols, to += rows * cols)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; k < cols; k++)
                to[k * rows + r] = from[r * cols + k];
}

void spi_to_device_layout(const float *chw, float *hwc, int64_t images, int64_t c, int64_t hw)
{
    if (c == 1 || hw == 1)
        memcpy(hwc, chw, (size_t)(images * c * hw) * sizeof *hwc);
    else
        transpose(chw, hwc, images, c, hw);
}

void spi_to_file_layout(const float *hwc, float *chw, int64_t images, int64_t c, int64_t hw)
{
    if (c == 1 || hw == 1)
        memcpy(chw, hwc, (size_t)(images * c * hw) * sizeof *hwc);
    else
        transpose(hwc, chw, images, hw, c);
}

static int64_t frames_of(const sp_net *net)
{
    return net->s->data.frames ? net->s->recipe.time_steps : 1;
}

sp_status spi_check_input(const sp_net *net, const float *x, size_t count, size_t n, sp_error *err)
{
    const sp_activation *a = &net->s->graph->acts[0];
    size_t each = (size_t)(frames_of(net) * sp_act_elems(a));
    char frames[32] = "";
    if (net->s->data.frames)
        snprintf(frames, sizeof frames, "%lld x ", (long long)frames_of(net));
    if (x && n > 0 && count / each == n && count % each == 0)
        return SP_OK;
    return SP_FAIL(err, SP_E_USAGE,
                   "x has %zu numbers, but %zu samples of this network are %s%zu x %lld x %lld x %lld (%sN x "
                   "C x H x W)",
                   x ? count : 0, n, frames, n, (long long)a->c, (long long)a->h, (long long)a->w,
                   net->s->data.frames ? "T x " : "");
}

sp_status spi_check_batch(const sp_net *net, const float *x, size_t count, size_t n, sp_error *err)
{
    if (n != (size_t)net->s->recipe.batch)
        return SP_FAIL(err, SP_E_USAGE,
                       "a training step of this network takes exactly %lld samples, not %zu; open it with "
                       "batch=%zu, or leave a last batch that is smaller out",
                       (long long)net->s->recipe.batch, n, n);
    return spi_check_input(net, x, count, n, err);
}

sp_status spi_take_batch(sp_net *net, const float *x, size_t all, size_t first, size_t n, size_t batch,
                         const float **out, sp_error *err)
{
    const sp_activation *a = &net->s->graph->acts[0];
    const size_t each = (size_t)sp_act_elems(a), frames = (size_t)frames_of(net);
    for (size_t t = 0; t < frames; t++) {
        const size_t bad = sp_first_nonfinite(x + (t * all + first) * each, n * each);
        if (bad < n * each)
            return SP_FAIL(err, SP_E_NUMERIC, "x is not finite in sample %zu", first + bad / each + 1);
    }
    *out = net->x;
    if (n == batch && (all == n || frames == 1) && (a->c == 1 || a->h * a->w == 1)) {
        *out = x + first * each;
        return SP_OK;
    }
    for (size_t t = 0; t < frames; t++) {
        float *to = net->x + t * batch * each;
        spi_to_device_layout(x + (t * all + first) * each, to, (int64_t)n, a->c, a->h * a->w);
        for (size_t i = n; i < batch; i++)
            memcpy(to + i * each, to, each * sizeof *to);
    }
    return SP_OK;
}

sp_status spi_begin_step(sp_net *net, bool training, sp_error *err)
{
    if (net->fitting)
        return SP_FAIL(err, SP_E_USAGE,
                       "sp_net_train is running on this network; only its parameters can be looked at");
    if (training && !net->s->train)
        return SP_FAIL(err, SP_E_USAGE, "this network was opened for inference (SP_NET_INFERENCE)");
    net->awaits_backward = net->stepping = false;
    net->step = 0;
    return SP_OK;
}

/* ---- layers of neurons ---- */

static const sp_node *neuron_layer(const sp_graph *g, size_t i, size_t *n)
{
    *n = 0;
    for (int k = 0; k < g->n_nodes; k++)
        if (sp_node_fires(&g->nodes[k]) && (*n)++ == i)
            return &g->nodes[k];
    return NULL;
}

static sp_status layer_count(const sp_net *net, size_t *n)
{
    neuron_layer(net->s->graph, SIZE_MAX, n);
    return SP_OK;
}

sp_status sp_net_layer_count(sp_net *net, size_t *n, sp_error *err)
{
    SPI_NEEDS(n, err);
    SPI_ON_NET(net, err, layer_count(net, n));
}

static sp_status layer_describe(const sp_net *net, size_t i, sp_layer_info *out, sp_error *err)
{
    size_t n;
    const sp_node *node = neuron_layer(net->s->graph, i, &n);
    if (!node)
        return SP_FAIL(err, SP_E_USAGE, "there is no layer of neurons %zu; there are %zu, from 0 on", i, n);
    const sp_activation *a = &net->s->graph->acts[node->out];
    sp_layer_info info = {.channels = (int32_t)a->c,
                          .height = (int32_t)a->h,
                          .width = (int32_t)a->w,
                          .name = node->name};
    return spi_give_struct("sp_layer_info", &info, sizeof info, out, err);
}

sp_status sp_net_layer_describe(sp_net *net, size_t i, sp_layer_info *out, sp_error *err)
{
    SPI_ON_NET(net, err, layer_describe(net, i, out, err));
}

/* ---- running ---- */

typedef struct forward {
    sp_net *net;
    const sp_forward_outputs *out;
    int *nodes;           /* of the records */
    size_t all, first, n; /* samples of the caller; of this piece */
} forward;

static sp_status find_nodes(forward *f, sp_error *err)
{
    const sp_graph *g = f->net->s->graph;
    f->nodes = sp_alloc_array(f->out->n_records + 1, sizeof *f->nodes);
    if (!f->nodes)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for records");
    for (size_t i = 0; i < f->out->n_records; i++) {
        const char *name = f->out->records ? f->out->records[i].layer : NULL;
        f->nodes[i] = -1;
        for (int k = 0; name && k < g->n_nodes; k++)
            if (sp_node_fires(&g->nodes[k]) && strcmp(g->nodes[k].name, name) == 0)
                f->nodes[i] = k;
        if (f->nodes[i] < 0)
            return SP_FAIL(err, SP_E_USAGE,
                           "there is no layer of neurons \"%.64s\"; sp_net_layer_describe lists them",
                           name ? name : "");
    }
    return SP_OK;
}

static void record(void *ctx, const sp_exec_seen *seen)
{
    const forward *f = ctx;
    const sp_graph *g = f->net->s->graph;
    const sp_activation *a = &g->acts[g->nodes[seen->node].out];
    const int64_t c = seen->cols, hw = a->h * a->w;
    const size_t at = ((size_t)seen->t * f->all + f->first) * (size_t)(c * hw);
    for (size_t i = 0; i < f->out->n_records; i++) {
        const sp_layer_record *r = &f->out->records[i];
        if (f->nodes[i] != seen->node)
            continue;
        if (r->potentials)
            spi_to_file_layout(seen->u, r->potentials + at, (int64_t)f->n, c, hw);
        for (size_t k = 0; r->spikes && k < f->n; k++)
            sp_exec_seen_spikes(seen, (int64_t)k, hw, r->spikes + at + k * (size_t)(c * hw));
    }
}

static bool keep_logits(void *ctx, int t, const float *logits)
{
    const forward *f = ctx;
    const size_t k = (size_t)f->net->s->graph->classes;
    if (f->out->step_logits)
        memcpy(f->out->step_logits + ((size_t)t * f->all + f->first) * k, logits, f->n * k * sizeof *logits);
    return true;
}

static sp_status run_piece(forward *f, const float *x, float *sum, sp_error *err)
{
    sp_session *s = f->net->s;
    const size_t k = (size_t)s->graph->classes;
    sp_inference i = {.n = f->n,
                      .logits = sum,
                      .also = {.see = f->out->n_records ? record : NULL,
                               .outputs = f->out->step_logits ? keep_logits : NULL,
                               .ctx = f}};
    SP_TRY(spi_take_batch(f->net, x, f->all, f->first, f->n, (size_t)s->eval_batch, &i.images, err));
    SP_TRY(sp_session_infer(s, &i, err));
    const size_t bad = sp_first_nonfinite(sum, f->n * k);
    if (bad < f->n * k)
        return SP_FAIL(err, SP_E_NUMERIC, "output %zu of sample %zu is not finite", bad % k,
                       f->first + bad / k + 1);
    if (f->out->logits)
        memcpy(f->out->logits + f->first * k, sum, f->n * k * sizeof *sum);
    return SP_OK;
}

static sp_status run_all(sp_net *net, const float *x, size_t count, size_t n,
                         const sp_forward_outputs *wanted, sp_error *err)
{
    sp_forward_outputs out;
    SP_TRY(spi_take_struct("sp_forward_outputs", wanted, wanted ? wanted->struct_size : 0, &out, sizeof out,
                           err));
    SP_TRY(spi_begin_step(net, false, err));
    SP_TRY(spi_check_input(net, x, count, n, err));
    forward f = {.net = net, .out = &out, .all = n};
    const size_t batch = (size_t)net->s->eval_batch;
    float *sum = sp_alloc_array(batch, (size_t)net->s->graph->classes * sizeof *sum);
    sp_status st = sum ? find_nodes(&f, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory for the outputs");
    for (; st == SP_OK && f.first < n; f.first += f.n) {
        f.n = n - f.first < batch ? n - f.first : batch;
        st = run_piece(&f, x, sum, err);
    }
    sp_free(f.nodes);
    sp_free(sum);
    return st;
}

sp_status sp_net_forward(sp_net *net, const float *x, size_t count, size_t n, const sp_forward_outputs *out,
                         sp_error *err)
{
    SPI_ON_NET(net, err, run_all(net, x, count, n, out, err));
}
