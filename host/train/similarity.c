/* Measuring similarity. Gradients stay in the device's layout: cosines and norms do not depend on the order
 * of elements. */
#include "train/similarity.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/stats.h"
#include "train/kept_state.h"

struct sp_similarity {
    sp_session *s;
    sp_plan *plans[SP_COMPARED_MOST + 1]; /* the reference first */
    sp_compared methods[SP_COMPARED_MOST];
    int n_methods;
    float *reference, *gradient; /* [param_elems] */
    sp_kept_state kept;          /* while plans run */
    uint8_t *mask;
    sp_similarity_score *scores;
    double cosine[SP_COMPARED_MOST], least[SP_COMPARED_MOST], norm_ratio[SP_COMPARED_MOST],
        difference[SP_COMPARED_MOST];
    int64_t steps[SP_COMPARED_MOST];
    sp_similarity_report report;
};

bool sp_similarity_counts(const sp_graph *g, const sp_param *p)
{
    if (p->role != SP_ROLE_WEIGHT)
        return false;
    for (int i = p->node + 1; i < g->n_nodes; i++)
        if (g->nodes[i].type == SP_NODE_NEURON)
            return true;
    return false;
}

static sp_status make_plan(sp_similarity *f, sp_method method, sp_bf16 bf16, bool unlimited, sp_plan **out,
                           sp_error *err)
{
    sp_session *s = f->s;
    sp_plan_options o = sp_session_plan_options(s, false);
    o.method = method;
    o.bf16 = bf16;
    o.online_update = o.count_spikes = false;
    o.truncate = 0;
    o.unlimited = unlimited;
    o.recompute = method == SP_METHOD_BPTT ? o.recompute : 0;
    sp_status st = sp_plan_create(s->graph, s->model, s->reg, &o, out, err);
    return st == SP_OK
               ? SP_OK
               : sp_error_prefix(err, st, "monitor.gradient_similarity (%s): ", sp_method_name(method));
}

static sp_status make_plans(sp_similarity *f, bool unlimited, sp_error *err)
{
    sp_session *s = f->s;
    sp_plan *large = s->train->arena_bytes >= s->eval->arena_bytes ? s->train : s->eval;
    int largest = 0;
    SP_TRY(make_plan(f, s->recipe.monitor.reference, SP_BF16_NONE, unlimited, &f->plans[0], err));
    for (int i = 1; i <= f->n_methods; i++) {
        SP_TRY(make_plan(f, f->methods[i - 1].method, f->methods[i - 1].bf16, unlimited, &f->plans[i], err));
        largest = f->plans[i]->arena_bytes > f->plans[largest]->arena_bytes ? i : largest;
    }
    if (unlimited)
        return SP_OK;
    SP_TRY(sp_plan_attach(f->plans[largest], large, err));
    for (int i = 0; i <= f->n_methods; i++)
        if (i != largest)
            SP_TRY(sp_plan_attach(f->plans[i], f->plans[largest], err));
    return SP_OK;
}

static sp_status make_buffers(sp_similarity *f, sp_error *err)
{
    const sp_graph *g = f->s->graph;
    f->reference = sp_alloc_array((size_t)g->param_elems + 1, sizeof *f->reference);
    f->gradient = sp_alloc_array((size_t)g->param_elems + 1, sizeof *f->gradient);
    f->mask = sp_alloc_array((size_t)f->s->recipe.time_steps, sizeof *f->mask);
    f->scores = sp_alloc_array((size_t)(g->n_params + 1) * SP_COMPARED_MOST, sizeof *f->scores);
    if (!f->reference || !f->gradient || !f->mask || !f->scores)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for comparing gradients");
    return sp_kept_state_init(f->s, &f->kept, err);
}

sp_status sp_similarity_create(sp_session *s, bool unlimited, sp_similarity **out, sp_error *err)
{
    sp_similarity *f = sp_alloc(sizeof *f);
    if (!f)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for comparing gradients");
    f->s = s;
    f->n_methods = s->recipe.monitor.n_methods;
    memcpy(f->methods, s->recipe.monitor.methods, sizeof f->methods);
    sp_status st = make_buffers(f, err);
    if (st == SP_OK)
        st = make_plans(f, unlimited, err);
    if (st != SP_OK) {
        sp_similarity_destroy(&f);
        return st;
    }
    f->report = (sp_similarity_report){.n_methods = f->n_methods,
                                       .n_params = s->graph->n_params,
                                       .methods = f->methods,
                                       .reference = s->recipe.monitor.reference,
                                       .scores = f->scores,
                                       .cosine = f->cosine,
                                       .least = f->least,
                                       .norm_ratio = f->norm_ratio,
                                       .difference = f->difference,
                                       .steps = f->steps};
    *out = f;
    return SP_OK;
}

void sp_similarity_destroy(sp_similarity **pf)
{
    if (!pf || !*pf)
        return;
    sp_similarity *f = *pf;
    for (int i = 0; i <= f->n_methods; i++)
        sp_plan_destroy(&f->plans[i]);
    sp_kept_state_fini(&f->kept);
    void *all[] = {f->reference, f->gradient, f->mask, f->scores};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
    sp_free(f);
    *pf = NULL;
}

uint64_t sp_similarity_bytes(const sp_similarity *f)
{
    uint64_t most = 0, shared;
    if (!f)
        return 0;
    for (int i = 0; i <= f->n_methods; i++)
        most = f->plans[i]->arena_bytes > most ? f->plans[i]->arena_bytes : most;
    shared = f->s->train->arena_bytes >= f->s->eval->arena_bytes ? f->s->train->arena_bytes
                                                                 : f->s->eval->arena_bytes;
    return most > shared ? most : 0;
}

static sp_status run_plan(sp_similarity *f, sp_plan *p, const sp_exec_batch *batch, const uint8_t *mask,
                          float *out, sp_error *err)
{
    sp_model *m = f->s->model;
    sp_exec_batch b = *batch;
    b.backprop = mask;
    SP_TRY(sp_exec_run(p, &b, err));
    sp_status st = sp_device_read(f->s->dev, (sp_range){m->mem, m->g_at * sizeof(float)}, out,
                                  (size_t)f->s->graph->param_elems * sizeof(float), err);
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "gradients to compare: ");
}

static sp_similarity_score score(const float *a, const float *b, int64_t n)
{
    sp_products p = sp_products_of(a, b, (size_t)n);
    sp_similarity_score s = {.cosine = NAN,
                             .norm_ratio = p.bb > 0 ? sqrt(p.aa / p.bb) : (double)NAN,
                             .difference =
                                 p.bb > 0 ? sqrt(fmax(p.aa - 2 * p.ab + p.bb, 0) / p.bb) : (double)NAN};
    if (p.aa > 0 && p.bb > 0)
        s.cosine = p.ab / (sqrt(p.aa) * sqrt(p.bb));
    else if (p.aa > 0 || p.bb > 0)
        s.cosine = 0;
    return s;
}

static void score_method(sp_similarity *f, int method)
{
    const sp_graph *g = f->s->graph;
    sp_similarity_score *scores = f->scores + (size_t)method * (size_t)g->n_params;
    double cosine = 0, ratio = 0, difference = 0, least = NAN;
    int n = 0;
    for (int i = 0; i < g->n_params; i++) {
        const sp_param *p = &g->params[i];
        scores[i] = (sp_similarity_score){NAN, NAN, NAN};
        if (p->trainable)
            scores[i] = score(f->gradient + p->at, f->reference + p->at, p->elems);
        if (!sp_similarity_counts(g, p) || isnan(scores[i].cosine) || isnan(scores[i].norm_ratio))
            continue;
        cosine += scores[i].cosine;
        ratio += scores[i].norm_ratio;
        difference += scores[i].difference;
        least = isnan(least) || scores[i].cosine < least ? scores[i].cosine : least;
        n++;
    }
    f->cosine[method] = n ? cosine / n : (double)NAN;
    f->norm_ratio[method] = n ? ratio / n : (double)NAN;
    f->difference[method] = n ? difference / n : (double)NAN;
    f->least[method] = least;
}

/* The steps of a method on this mini-batch; NULL: all. */
static const uint8_t *steps_of(sp_similarity *f, int method, const sp_exec_batch *batch)
{
    int64_t T = f->s->recipe.time_steps, n = 0;
    const uint8_t *mask = NULL;
    if (f->methods[method].k) {
        sp_session_draw_steps(&f->s->recipe, batch->iteration, f->methods[method].k, f->mask);
        mask = f->mask;
    } else if (f->methods[method].method == SP_METHOD_SLTT_K) {
        mask = batch->backprop;
    }
    for (int64_t t = 0; t < T; t++)
        n += !mask || mask[t];
    f->steps[method] = n;
    return mask;
}

sp_status sp_similarity_measure(sp_similarity *f, const sp_exec_batch *batch,
                                const sp_similarity_report **out, sp_error *err)
{
    SP_TRY(sp_kept_state_read(&f->kept, f->s, err));
    SP_TRY(run_plan(f, f->plans[0], batch, NULL, f->reference, err));
    for (int i = 0; i < f->n_methods; i++) {
        SP_TRY(run_plan(f, f->plans[i + 1], batch, steps_of(f, i, batch), f->gradient, err));
        score_method(f, i);
    }
    *out = &f->report;
    return sp_kept_state_write(&f->kept, f->s, err);
}
