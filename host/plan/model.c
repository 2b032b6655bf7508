/* Model: the device memory that outlives plans. One buffer: weights, gradients, optimizer moments, running
 * statistics. */
#include <string.h>

#include "base/error.h"
#include "plan/plan.h"

sp_status sp_model_create(const sp_graph *g, sp_device *dev, const sp_plan_options *o, sp_model **out,
                          sp_error *err)
{
    sp_model *m = sp_alloc(sizeof *m);
    if (!m)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the model");
    uint64_t n = (uint64_t)g->param_elems;
    *m = (sp_model){.graph = g,
                    .dev = dev,
                    .second_moments = o->optimizer != SP_OPTIMIZER_SGD || o->binary == SP_BINARY_T_BSO,
                    .ema = o->ema > 0,
                    .g_at = n,
                    .m_at = 2 * n,
                    .v_at = 3 * n};
    m->e_at = m->second_moments ? 4 * n : 3 * n;
    m->buffers_at = m->ema ? m->e_at + n : m->e_at;
    m->bytes = (m->buffers_at + (uint64_t)g->buffer_elems) * sizeof(float);
    sp_status st = dev ? sp_device_alloc(dev, m->bytes, "the model", &m->mem, err) : SP_OK;
    void *zero = NULL;
    if (st == SP_OK && dev) {
        zero = sp_alloc_pages(m->bytes, 1);
        st = zero ? sp_device_write(dev, (sp_range){m->mem, 0}, zero, m->bytes, true, err)
                  : SP_FAIL(err, SP_E_MEMORY, "out of memory while clearing the model (%llu bytes)",
                            (unsigned long long)m->bytes);
    }
    sp_free(zero);
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
    sp_free(*pm);
    *pm = NULL;
}

static sp_range range_at(const sp_model *m, bool trainable, sp_model_range range, int64_t at)
{
    const uint64_t starts[] = {m->w_at, m->g_at, m->m_at, m->v_at, m->e_at};
    uint64_t start = trainable ? starts[range] : m->buffers_at;
    return (sp_range){m->mem, (start + (uint64_t)at) * sizeof(float)};
}

/* Through a copy, which is kept, since a mini-batch of a caller's own optimizer moves all parameters. */
static sp_status copy_param(sp_model *m, const sp_param *p, sp_model_range range, const float *from,
                            float *to, sp_error *err)
{
    const sp_range at = range_at(m, p->trainable, range, p->at);
    const size_t bytes = (size_t)p->elems * sizeof(float);
    int64_t most = 1;
    for (int i = 0; i < m->graph->n_params && !m->staging; i++)
        most = m->graph->params[i].elems > most ? m->graph->params[i].elems : most;
    m->staging = m->staging ? m->staging : sp_alloc_pages((size_t)most, sizeof *m->staging);
    if (!m->staging)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for a copy");
    if (from) {
        sp_param_to_device(p, from, m->staging);
        return sp_device_write(m->dev, at, m->staging, bytes, true, err);
    }
    SP_TRY(sp_device_read(m->dev, at, m->staging, bytes, err));
    sp_param_to_file(p, m->staging, to);
    return SP_OK;
}

/* In the memory of a CPU's buffer itself: those of n parameters that are trainable, or not, with one wait. */
static sp_status map_params(sp_model *m, const sp_param *p, int n, bool trainable, sp_model_range range,
                            const float *const *from, float *const *to, sp_error *err)
{
    int64_t first = INT64_MAX, end = 0;
    void *at;
    for (int i = 0; i < n; i++)
        if (p[i].trainable == trainable && (from ? from[i] != NULL : to[i] != NULL)) {
            first = p[i].at < first ? p[i].at : first;
            end = p[i].at + p[i].elems > end ? p[i].at + p[i].elems : end;
        }
    if (end == 0)
        return SP_OK;
    SP_TRY(sp_device_map(m->dev, range_at(m, trainable, range, first), (size_t)(end - first) * sizeof(float),
                         from != NULL, &at, err));
    for (int i = 0; i < n; i++) {
        float *there = (float *)at + (p[i].at - first);
        if (p[i].trainable == trainable && from && from[i])
            sp_param_to_device(&p[i], from[i], there);
        else if (p[i].trainable == trainable && to && to[i])
            sp_param_to_file(&p[i], there, to[i]);
    }
    return sp_device_unmap(m->dev, m->mem, at, err);
}

static sp_status move_params(sp_model *m, const sp_param *p, int n, sp_model_range range,
                             const float *const *from, float *const *to, sp_error *err)
{
    sp_status st = SP_OK;
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
