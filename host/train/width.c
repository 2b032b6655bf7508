/* Choosing the width of surrogates by difference quotients of the loss. */
#include "train/width.h"

#include <math.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "train/kept_state.h"

#define STREAM (UINT64_C(0x77696474) << 32) /* of the random directions */
#define SHARE  0.01                         /* of a direction in the root mean square of the weights */

typedef struct trial {
    sp_session *s;
    sp_exec_batch batch;
    const sp_param *w;
    uint64_t epoch;
    sp_kept_state kept;
    uint8_t *mask;
    float *weights, *moved, *gradient[3], *loss; /* as on the device */
    uint32_t *correct;
    double along[3]; /* gradient times direction */
} trial;

static const sp_param *first_weight(const sp_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].weight >= 0 && g->nodes[i].type != SP_NODE_RECURRENT)
            return &g->params[g->nodes[i].weight];
    return NULL;
}

int sp_width_best(const double cosine[3])
{
    int best = 1;
    for (int i = 0; i < 3; i += 2)
        if (cosine[i] > cosine[best] || (isnan(cosine[best]) && !isnan(cosine[i])))
            best = i;
    return best;
}

sp_status sp_width_start(sp_session *s, double width, sp_error *err)
{
    if (isnan(sp_plan_width(s->train)) || !first_weight(s->graph))
        return SP_FAIL(err, SP_E_CONFIG,
                       "schedule.width_step moves the one width that the surrogates of all neurons have, and "
                       "this network has %s; give no layer a width or surrogate of its own, or set "
                       "width_step to 0",
                       first_weight(s->graph) ? "several or none" : "no layer with weights");
    return width > 0 ? sp_plan_set_width(s->train, width, err) : SP_OK;
}

static sp_status make(trial *t, sp_error *err)
{
    const size_t n = (size_t)t->w->elems, batch = (size_t)t->s->recipe.batch;
    SP_TRY(sp_kept_state_init(t->s, &t->kept, err));
    t->mask = sp_alloc_array((size_t)t->s->recipe.time_steps, sizeof *t->mask);
    t->weights = sp_alloc_array(n, sizeof *t->weights);
    t->moved = sp_alloc_array(n, sizeof *t->moved);
    t->loss = sp_alloc_array(batch, sizeof *t->loss);
    t->correct = sp_alloc_array(batch, sizeof *t->correct);
    bool made = t->mask && t->weights && t->moved && t->loss && t->correct;
    for (int i = 0; i < 3; i++) {
        t->gradient[i] = sp_alloc_array(n, sizeof *t->gradient[i]);
        made = made && t->gradient[i];
    }
    return made ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for schedule.width_step");
}

static void drop(trial *t)
{
    sp_kept_state_fini(&t->kept);
    void *all[] = {t->mask,    t->weights,     t->moved,       t->loss,
                   t->correct, t->gradient[0], t->gradient[1], t->gradient[2]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
}

static sp_range place(const trial *t, sp_model_range range)
{
    return (sp_range){t->s->model->mem, sp_model_at(t->s->model, t->w, range) * sizeof(float)};
}

/* Statistics that a plan reads are those of before, each time. */
static sp_status run(trial *t, double *loss, sp_error *err)
{
    SP_TRY(sp_exec_run(t->s->train, &t->batch, err));
    SP_TRY(sp_exec_results(t->s->train, t->loss, t->correct, err));
    *loss = 0;
    for (int64_t i = 0; i < t->s->recipe.batch; i++)
        *loss += (double)t->loss[i] / (double)t->s->recipe.batch;
    return sp_kept_state_write(&t->kept, t->s, err);
}

static sp_status gradients(trial *t, const double widths[3], sp_error *err)
{
    double loss;
    for (int i = 0; i < 3; i++) {
        SP_TRY(sp_plan_set_width(t->s->train, widths[i], err));
        SP_TRY(run(t, &loss, err));
        SP_TRY(sp_device_read(t->s->dev, place(t, SP_RANGE_GRADIENTS), t->gradient[i],
                              (size_t)t->w->elems * sizeof(float), err));
    }
    return SP_OK;
}

/* The loss with the first layer's weights moved by `far` along direction k, whose numbers are 1 and -1. */
static sp_status loss_at(trial *t, int64_t k, double far, double *loss, sp_error *err)
{
    const size_t bytes = (size_t)t->w->elems * sizeof(float);
    sp_rng r = sp_rng_make((uint64_t)t->s->recipe.seed, STREAM + (t->epoch << 16) + (uint64_t)k);
    for (int i = 0; i < 3; i++)
        t->along[i] = 0;
    for (int64_t i = 0; i < t->w->elems; i++) {
        const double sign = sp_rng_below(&r, 2) ? 1 : -1;
        t->moved[i] = (float)((double)t->weights[i] + far * sign);
        for (int j = 0; j < 3; j++)
            t->along[j] += sign * (double)t->gradient[j][i];
    }
    SP_TRY(sp_device_write(t->s->dev, place(t, SP_RANGE_WEIGHTS), t->moved, bytes, true, err));
    return run(t, loss, err);
}

static sp_status compare(trial *t, double cosine[3], sp_error *err)
{
    double far = 0, qq = 0, qg[3] = {0}, gg[3] = {0};
    for (int64_t i = 0; i < t->w->elems; i++)
        far += (double)t->weights[i] * (double)t->weights[i] / (double)t->w->elems;
    far = SHARE * sqrt(far);
    for (int64_t k = 0; k < t->s->recipe.width_probes && far > 0; k++) {
        double up, down;
        SP_TRY(loss_at(t, k, far, &up, err));
        SP_TRY(loss_at(t, k, -far, &down, err));
        const double q = (up - down) / (2 * far);
        qq += q * q;
        for (int i = 0; i < 3; i++)
            qg[i] += q * t->along[i], gg[i] += t->along[i] * t->along[i];
    }
    for (int i = 0; i < 3; i++)
        cosine[i] = qq > 0 && gg[i] > 0 ? qg[i] / sqrt(qq * gg[i]) : (double)NAN;
    return SP_OK;
}

static sp_status choose(trial *t, sp_width_choice *c, sp_error *err)
{
    sp_session *s = t->s;
    const size_t bytes = (size_t)t->w->elems * sizeof(float);
    const double now = sp_plan_width(s->train), step = s->recipe.width_step;
    const double widths[3] = {now > step ? now - step : now, now, now + step};
    sp_session_draw(&s->recipe, t->batch.iteration, t->mask);
    t->batch.backprop = t->mask;
    SP_TRY(sp_kept_state_read(&t->kept, s, err));
    SP_TRY(sp_device_read(s->dev, place(t, SP_RANGE_WEIGHTS), t->weights, bytes, err));
    SP_TRY(gradients(t, widths, err));
    sp_status st = compare(t, c->cosine, err);
    SP_TRY(sp_device_write(s->dev, place(t, SP_RANGE_WEIGHTS), t->weights, bytes, true,
                           st == SP_OK ? err : NULL));
    SP_TRY(st);
    for (int i = 0; i < 3; i++)
        c->tried[i] = widths[i];
    c->width = widths[sp_width_best(c->cosine)];
    return sp_plan_set_width(s->train, c->width, err);
}

sp_status sp_width_choose(sp_session *s, const sp_exec_batch *batch, uint64_t epoch, sp_width_choice *out,
                          sp_error *err)
{
    trial t = {.s = s, .batch = *batch, .w = first_weight(s->graph), .epoch = epoch};
    sp_status st = make(&t, err);
    if (st == SP_OK)
        st = choose(&t, out, err);
    drop(&t);
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "schedule.width_step: ");
}
