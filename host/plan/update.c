/* What ends a mini-batch: the sums that show whether all gradients are finite, clipping, the optimizer, the
 * average of the weights. */
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

/* 64 sums over all gradients: finite as long as every gradient is. A neuron may hide a number that is not
 * finite from the loss (it does not fire), never from the gradients. */
sp_status spi_sum_gradients(sp_builder *b)
{
    sp_plan *p = b->p;
    int gradients;
    SP_TRY(spi_tensor_fixed(b, "gradients", p->model->g_at, b->g->param_elems, &gradients));
    SP_TRY(spi_tensor_new(b, "sums of gradients", SP_GRADIENT_SUMS, SP_LIFETIME_PLAN, &p->gradient_sums));
    SP_TRY(spi_clear(b, -1, "sums of gradients", p->gradient_sums));
    sp_emit e = spi_step(b, -1, "bias.backward");
    snprintf(e.step.label, sizeof e.step.label, "sums of gradients");
    spi_int(&e, "M", b->g->param_elems / SP_GRADIENT_SUMS), spi_int(&e, "C", SP_GRADIENT_SUMS);
    spi_bind(&e, "e", gradients), spi_bind(&e, "g_bias", p->gradient_sums);
    return spi_emit(&e);
}

/* First by the norm of all gradients together, then each by itself. */
static sp_status clip_gradients(sp_builder *b, int g)
{
    const sp_plan_options *o = &b->p->o;
    sp_emit e = spi_step(b, -1, "gradient.clip");
    int norm = -1;
    if (o->clip_norm > 0) {
        SP_TRY(spi_tensor_new(b, "norm of the gradients", 1, SP_LIFETIME_SEGMENT, &norm));
        sp_emit n = spi_step(b, -1, "gradient.norm");
        spi_int(&n, "M", b->g->param_elems);
        spi_bind(&n, "g", g), spi_bind(&n, "norm", norm);
        SP_TRY(spi_emit(&n));
        spi_bind(&e, "norm", norm);
    }
    spi_int(&e, "M", b->g->param_elems);
    spi_float(&e, "max_norm", o->clip_norm), spi_float(&e, "max_value", o->clip_value);
    spi_flag(&e, "NORM", o->clip_norm > 0), spi_flag(&e, "VALUE", o->clip_value > 0);
    spi_bind(&e, "g", g);
    return spi_emit(&e);
}

static sp_status average_weights(sp_builder *b, int w)
{
    int average;
    SP_TRY(spi_tensor_fixed(b, "average of the weights", b->p->model->e_at, b->g->param_elems, &average));
    sp_emit e = spi_step(b, -1, "ema.update");
    spi_int(&e, "M", b->g->param_elems);
    spi_float(&e, "decay", b->p->o.ema);
    spi_bind(&e, "w", w), spi_bind(&e, "ema", average);
    return spi_emit(&e);
}

/* n gradients from `at` on, with their moments; the weights they are of, from w_at on, are w_elems. */
static sp_status bind_range(sp_emit *e, uint64_t w_at, int64_t w_elems, int64_t at, int64_t n, bool second)
{
    static const char *const names[] = {"weights", "gradients", "first moments", "second moments"};
    static const char *const buffers[] = {"w", "g", "m", "v"};
    sp_builder *b = e->b;
    const sp_model *m = b->p->model;
    const uint64_t starts[] = {w_at, m->g_at + (uint64_t)at, m->m_at + (uint64_t)at, m->v_at + (uint64_t)at};
    const int64_t elems[] = {w_elems, n, n, n};
    for (int i = 0; i < (second ? 4 : 3); i++) {
        int tensor;
        SP_TRY(spi_tensor_fixed(b, names[i], starts[i], elems[i], &tensor));
        spi_bind(e, buffers[i], tensor);
    }
    return SP_OK;
}

static sp_status descend(sp_builder *b, uint64_t w_at, int64_t at, int64_t n)
{
    const sp_plan_options *o = &b->p->o;
    const bool adam = o->optimizer != SP_OPTIMIZER_SGD;
    if (n == 0)
        return SP_OK;
    sp_emit e = spi_step(b, -1, adam ? "optimizer.adamw" : "optimizer.sgd");
    spi_int(&e, "M", n);
    spi_float(&e, "weight_decay", o->weight_decay);
    SP_TRY(bind_range(&e, w_at, n, at, n, adam));
    if (adam) {
        spi_flag(&e, "L2", o->optimizer == SP_OPTIMIZER_ADAM);
        spi_float(&e, "beta1", o->beta1), spi_float(&e, "beta2", o->beta2), spi_float(&e, "eps", o->eps);
    } else {
        spi_float(&e, "momentum", o->momentum);
    }
    return spi_emit(&e);
}

static sp_status flip(sp_builder *b, const sp_param *w)
{
    const sp_plan_options *o = &b->p->o;
    const sp_model *m = b->p->model;
    const int64_t bars = sp_model_bars(m, w).elems;
    int v;
    sp_emit e = spi_step(b, w->node, "optimizer.flip");
    spi_int(&e, "M", w->kh * w->kw), spi_int(&e, "C", w->c), spi_int(&e, "O", w->o), spi_int(&e, "P", bars);
    spi_float(&e, "beta1", o->flip_beta1), spi_float(&e, "beta2", o->flip_beta2);
    spi_float(&e, "flip", o->flip_bar), spi_float(&e, "eps", 1e-8);
    spi_flag(&e, "ADAPT", bars > 0);
    SP_TRY(bind_range(&e, sp_model_at(m, w, SP_RANGE_WEIGHTS), sp_param_words(w), w->at, w->elems, false));
    if (bars) {
        SP_TRY(spi_tensor_fixed(b, "bars", sp_model_at(m, w, SP_RANGE_BARS), bars, &v));
        spi_bind(&e, "v", v);
    }
    return spi_emit(&e);
}

bool sp_param_is_binary(const sp_graph *g, const sp_param *p)
{
    int first = -1, last = -1;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].weight >= 0 && g->nodes[i].type != SP_NODE_RECURRENT) {
            first = first < 0 ? i : first;
            last = i;
        }
    const sp_node *n = &g->nodes[p->node];
    return p->role == SP_ROLE_WEIGHT && n->type != SP_NODE_RECURRENT && p->node != first && p->node != last;
}

sp_status spi_update(sp_builder *b)
{
    const sp_plan_options *o = &b->p->o;
    const sp_model *m = b->p->model;
    const int64_t n = b->g->param_elems;
    int64_t from = 0;
    uint64_t w_from = 0;
    int w, g;
    SP_TRY(spi_tensor_fixed(b, "weights", 0, (int64_t)m->weight_elems, &w));
    SP_TRY(spi_tensor_fixed(b, "gradients", m->g_at, n, &g));
    if (o->clip_norm > 0 || o->clip_value > 0)
        SP_TRY(clip_gradients(b, g));
    for (int i = 0; i < b->g->n_params; i++) { /* in the order of their places */
        const sp_param *p = &b->g->params[i];
        if (!sp_model_is_packed(m, p))
            continue;
        SP_TRY(descend(b, w_from, from, p->at - from));
        SP_TRY(flip(b, p));
        from = p->at + spi_padded_elems(p->elems);
        w_from = sp_model_at(m, p, SP_RANGE_WEIGHTS) + (uint64_t)spi_padded_elems(sp_param_words(p));
    }
    SP_TRY(descend(b, w_from, from, n - from));
    return m->ema ? average_weights(b, w) : SP_OK;
}
