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
                    .second_moments = o->optimizer != SP_OPTIMIZER_SGD,
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

static sp_range param_range(const sp_model *m, const sp_param *p, sp_model_range range)
{
    const uint64_t starts[] = {m->w_at, m->g_at, m->m_at, m->v_at, m->e_at};
    uint64_t at = p->trainable ? starts[range] : m->buffers_at;
    return (sp_range){m->mem, (at + (uint64_t)p->at) * sizeof(float)};
}

/* Room for the largest parameter in the device's layout; kept, since a mini-batch of a caller's own optimizer
 * moves all of them. */
static sp_status stage(sp_model *m, const sp_param *p, sp_error *err)
{
    int64_t most = 1;
    if (m->staging)
        return SP_OK;
    for (int i = 0; i < m->graph->n_params; i++)
        most = m->graph->params[i].elems > most ? m->graph->params[i].elems : most;
    m->staging = sp_alloc_pages((size_t)most, sizeof *m->staging);
    return m->staging ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for a copy of %s", p->name);
}

sp_status sp_model_write(sp_model *m, const sp_param *p, sp_model_range range, const float *file,
                         sp_error *err)
{
    size_t bytes = (size_t)p->elems * sizeof(float);
    SP_TRY(stage(m, p, err));
    sp_param_to_device(p, file, m->staging);
    sp_status st = sp_device_write(m->dev, param_range(m, p, range), m->staging, bytes, true, err);
    if (st == SP_OK && range == SP_RANGE_WEIGHTS && m->ema && p->trainable)
        st = sp_device_write(m->dev, param_range(m, p, SP_RANGE_EMA), m->staging, bytes, true, err);
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "parameter %s: ", p->name);
}

sp_status sp_model_read(sp_model *m, const sp_param *p, sp_model_range range, float *file, sp_error *err)
{
    size_t bytes = (size_t)p->elems * sizeof(float);
    SP_TRY(stage(m, p, err));
    sp_status st = sp_device_read(m->dev, param_range(m, p, range), m->staging, bytes, err);
    if (st == SP_OK)
        sp_param_to_file(p, m->staging, file);
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "parameter %s: ", p->name);
}
