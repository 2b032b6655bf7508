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

sp_status spi_update(sp_builder *b)
{
    const sp_plan_options *o = &b->p->o;
    const sp_model *m = b->p->model;
    int64_t n = b->g->param_elems;
    int w, g, m1, m2;
    SP_TRY(spi_tensor_fixed(b, "weights", m->w_at, n, &w));
    SP_TRY(spi_tensor_fixed(b, "gradients", m->g_at, n, &g));
    SP_TRY(spi_tensor_fixed(b, "first moments", m->m_at, n, &m1));
    if (o->clip_norm > 0 || o->clip_value > 0)
        SP_TRY(clip_gradients(b, g));
    sp_emit e = spi_step(b, -1, m->second_moments ? "optimizer.adamw" : "optimizer.sgd");
    spi_int(&e, "M", n);
    spi_float(&e, "weight_decay", o->weight_decay);
    spi_bind(&e, "w", w), spi_bind(&e, "g", g), spi_bind(&e, "m", m1);
    if (m->second_moments) {
        SP_TRY(spi_tensor_fixed(b, "second moments", m->v_at, n, &m2));
        spi_bind(&e, "v", m2);
        spi_flag(&e, "L2", o->optimizer == SP_OPTIMIZER_ADAM);
        spi_float(&e, "beta1", o->beta1), spi_float(&e, "beta2", o->beta2), spi_float(&e, "eps", o->eps);
    } else {
        spi_float(&e, "momentum", o->momentum);
    }
    SP_TRY(spi_emit(&e));
    return m->ema ? average_weights(b, w) : SP_OK;
}
