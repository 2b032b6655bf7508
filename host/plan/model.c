/* Model: the device memory that outlives plans. One buffer: weights, gradients, optimizer moments, running
 * statistics. */
#include <string.h>

#include "base/error.h"
#include "plan/builder.h"

bool sp_model_is_packed(const sp_model *m, const sp_param *p)
{
    return m->binary && sp_param_is_binary(m->graph, p);
}

bool sp_model_keeps_gradients(const sp_model *m)
{
    return m->m_at > m->g_at || m->graph->param_elems == 0;
}

int64_t sp_model_weight_elems(const sp_model *m, const sp_param *p)
{
    return sp_model_is_packed(m, p) ? sp_param_words(p) : p->elems;
}

sp_param sp_model_bars(const sp_model *m, const sp_param *p)
{
    sp_param bars = *p;
    bars.elems = bars.shape[0] = sp_model_is_packed(m, p) ? m->bars : 0;
    bars.role = SP_ROLE_BIAS; /* a row in files and on the device */
    bars.n_dims = 1;
    return bars;
}

/* Weights in the order of the graph, packed ones with less room; then what is kept of each parameter, by its
 * place in the graph. Evaluation needs no gradients. */
static void lay_out(sp_model *m, const sp_plan_options *o)
{
    const sp_graph *g = m->graph;
    const uint64_t n = (uint64_t)g->param_elems, kept = o->method == SP_METHOD_EVAL ? 0 : n;
    uint64_t at = 0;
    for (int i = 0; i < g->n_params; i++)
        if (g->params[i].trainable) {
            m->starts[i] = at;
            at += (uint64_t)spi_padded_elems(sp_model_weight_elems(m, &g->params[i]));
        }
    m->weight_elems = at;
    m->g_at = at;
    m->m_at = m->g_at + kept;
    m->v_at = m->m_at + kept;
    m->bars_at = m->second_moments ? m->v_at + kept : m->v_at;
    m->e_at = m->bars_at;
    for (int i = 0; i < g->n_params && kept; i++)
        m->e_at += (uint64_t)spi_padded_elems(sp_model_bars(m, &g->params[i]).elems);
    m->buffers_at = m->ema ? m->e_at + n : m->e_at;
    for (int i = 0; i < g->n_params; i++)
        if (!g->params[i].trainable)
            m->starts[i] = m->buffers_at + (uint64_t)g->params[i].at;
    m->bytes = (m->buffers_at + (uint64_t)g->buffer_elems) * sizeof(float);
}

sp_status sp_model_create(const sp_graph *g, sp_device *dev, const sp_plan_options *o, sp_model **out,
                          sp_error *err)
{
    sp_model *m = sp_alloc(sizeof *m);
    uint64_t *starts = sp_alloc_array((size_t)g->n_params + 1, sizeof *starts);
    if (!m || !starts) {
        sp_free(m), sp_free(starts);
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the model");
    }
    *m = (sp_model){.graph = g,
                    .dev = dev,
                    .second_moments = o->optimizer != SP_OPTIMIZER_SGD,
                    .bars = o->binary != SP_BINARY_T_BSO ? 0
                            : o->online_update           ? o->time_steps
                                                         : 1,
                    .ema = o->ema > 0,
                    .binary = o->binary != SP_BINARY_NONE,
                    .starts = starts};
    lay_out(m, o);
    sp_status st = dev ? sp_device_alloc(dev, m->bytes, "the model", &m->mem, err) : SP_OK;
    if (st == SP_OK && dev)
        st = sp_device_clear(dev, (sp_range){m->mem, 0}, m->bytes, err);
    if (st != SP_OK) {
        sp_error_prefix(err, st,
                        "parameters, gradients and optimizer state, which only a network of fewer layers or "
                        "channels makes smaller: ");
        sp_model_destroy(&m);
        return st;
    }
    *out = m;
    return SP_OK;
}

void sp_model_destroy(sp_model **pm)
{
    if (!pm || !*pm)
        return;
    if ((*pm)->mem)
        sp_device_free((*pm)->dev, &(*pm)->mem);
    sp_free((*pm)->staging);
    sp_free((*pm)->starts);
    sp_free(*pm);
    *pm = NULL;
}

/* The bars of the packed weights before, then those of p. */
static uint64_t bars_at(const sp_model *m, const sp_param *p)
{
    uint64_t at = m->bars_at;
    for (int i = 0; i < m->graph->n_params; i++)
        if (m->graph->params[i].at < p->at)
            at += (uint64_t)spi_padded_elems(sp_model_bars(m, &m->graph->params[i]).elems);
    return at;
}

uint64_t sp_model_at(const sp_model *m, const sp_param *p, sp_model_range range)
{
    if (range == SP_RANGE_BARS)
        return bars_at(m, p);
    const uint64_t others[] = {[SP_RANGE_GRADIENTS] = m->g_at,
                               [SP_RANGE_MOMENT1] = m->m_at,
                               [SP_RANGE_MOMENT2] = m->v_at,
                               [SP_RANGE_EMA] = m->e_at};
    return range == SP_RANGE_WEIGHTS || !p->trainable ? m->starts[p - m->graph->params]
                                                      : others[range] + (uint64_t)p->at;
}

/* Between the layouts of files and of a range. */
static void convert(const sp_model *m, const sp_param *p, sp_model_range range, const float *from, float *to,
                    void *there)
{
    const bool packed = range == SP_RANGE_WEIGHTS && sp_model_is_packed(m, p);
    if (from && packed)
        sp_param_pack(p, from, there);
    else if (from)
        sp_param_to_device(p, from, there);
    else if (packed)
        sp_param_unpack(p, there, to);
    else
        sp_param_to_file(p, there, to);
}

static uint64_t elems_of(const sp_model *m, const sp_param *p, sp_model_range range)
{
    return (uint64_t)(range == SP_RANGE_WEIGHTS ? sp_model_weight_elems(m, p) : p->elems);
}

/* Through a copy, which is kept, since a mini-batch of a caller's own optimizer moves all parameters. */
static sp_status copy_param(sp_model *m, const sp_param *p, sp_model_range range, const float *from,
                            float *to, sp_error *err)
{
    const sp_range at = {m->mem, sp_model_at(m, p, range) * sizeof(float)};
    const size_t bytes = (size_t)elems_of(m, p, range) * sizeof(float);
    int64_t most = m->bars + 1;
    for (int i = 0; i < m->graph->n_params && !m->staging; i++) {
        const int64_t n = m->graph->params[i].elems, words = sp_model_weight_elems(m, &m->graph->params[i]);
        most = n > most ? n : words > most ? words : most;
    }
    m->staging = m->staging ? m->staging : sp_alloc_pages((size_t)most, sizeof *m->staging);
    if (!m->staging)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a copy");
    if (from) {
        convert(m, p, range, from, NULL, m->staging);
        return sp_device_write(m->dev, at, m->staging, bytes, true, err);
    }
    SP_TRY(sp_device_read(m->dev, at, m->staging, bytes, err));
    convert(m, p, range, NULL, to, m->staging);
    return SP_OK;
}

/* In the memory of a CPU's buffer itself: those of n parameters that are trainable, or not, with one wait. */
static sp_status map_params(sp_model *m, const sp_param *p, int n, bool trainable, sp_model_range range,
                            const float *const *from, float *const *to, sp_error *err)
{
    uint64_t first = UINT64_MAX, end = 0;
    void *at;
    for (int i = 0; i < n; i++)
        if (p[i].trainable == trainable && (from ? from[i] != NULL : to[i] != NULL)) {
            const uint64_t here = sp_model_at(m, &p[i], range), after = here + elems_of(m, &p[i], range);
            first = here < first ? here : first;
            end = after > end ? after : end;
        }
    if (end == 0)
        return SP_OK;
    SP_TRY(sp_device_map(m->dev, (sp_range){m->mem, first * sizeof(float)},
                         (size_t)(end - first) * sizeof(float), from != NULL, &at, err));
    for (int i = 0; i < n; i++)
        if (p[i].trainable == trainable && (from ? from[i] != NULL : to[i] != NULL))
            convert(m, &p[i], range, from ? from[i] : NULL, from ? NULL : to[i],
                    (float *)at + (sp_model_at(m, &p[i], range) - first));
    return sp_device_unmap(m->dev, m->mem, at, err);
}

static sp_status move_params(sp_model *m, const sp_param *p, int n, sp_model_range range,
                             const float *const *from, float *const *to, sp_error *err)
{
    sp_status st = SP_OK;
    if (range != SP_RANGE_WEIGHTS && range != SP_RANGE_EMA && !sp_model_keeps_gradients(m))
        return SP_FAIL(err, SP_E_USAGE, "the model is for evaluation alone and keeps no gradients");
    if (sp_device_maps(m->dev)) {
        st = map_params(m, p, n, true, range, from, to, err);
        if (st == SP_OK && range != SP_RANGE_EMA)
            st = map_params(m, p, n, false, range, from, to, err);
        return st == SP_OK
                   ? SP_OK
                   : sp_error_prefix(err, st, n == 1 ? "parameter %s: " : "parameters from %s on: ", p->name);
    }
    for (int i = 0; i < n && st == SP_OK; i++)
        if ((from ? from[i] != NULL : to[i] != NULL) && (range != SP_RANGE_EMA || p[i].trainable)) {
            st = copy_param(m, &p[i], range, from ? from[i] : NULL, from ? NULL : to[i], err);
            if (st != SP_OK)
                sp_error_prefix(err, st, "parameter %s: ", p[i].name);
        }
    return st;
}

sp_status sp_model_write_several(sp_model *m, const sp_param *p, int n, sp_model_range range,
                                 const float *const *files, sp_error *err)
{
    SP_TRY(move_params(m, p, n, range, files, NULL, err));
    return range == SP_RANGE_WEIGHTS && m->ema ? move_params(m, p, n, SP_RANGE_EMA, files, NULL, err) : SP_OK;
}

sp_status sp_model_read_several(sp_model *m, const sp_param *p, int n, sp_model_range range,
                                float *const *files, sp_error *err)
{
    return move_params(m, p, n, range, NULL, files, err);
}

sp_status sp_model_write(sp_model *m, const sp_param *p, sp_model_range range, const float *file,
                         sp_error *err)
{
    return sp_model_write_several(m, p, 1, range, &file, err);
}

sp_status sp_model_read(sp_model *m, const sp_param *p, sp_model_range range, float *file, sp_error *err)
{
    return sp_model_read_several(m, p, 1, range, &file, err);
}
