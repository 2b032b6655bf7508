/* Online threshold stabiliser (OTS, Zhu et al. 2024): the threshold of a layer follows the mean and the
 * deviation of its potentials, so that as large a share of them fires at every time step. A step charges the
 * neurons, then finds the threshold, then fires. docs/NUMERICS.md, "Stabilised thresholds". */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "op/fragments_ref.h"
#include "plan/builder.h"

static bool follows(const sp_node *n)
{
    return sp_node_fires(n) && n->layer->neuron.stabilise;
}

bool spi_is_stabilised(const sp_builder *b, int node)
{
    return follows(&b->g->nodes[node]);
}

static sp_status number(sp_builder *b, int node, int which)
{
    static const char *const names[STABLE_TENSORS] = {"threshold", "threshold in deviations",
                                                      "gradient of the threshold, not used"};
    const bool each_step = b->history && which == STABLE_TH;
    char name[64];
    snprintf(name, sizeof name, "%.24s %s", b->g->nodes[node].name, names[which]);
    return spi_tensor_new(b, name, 1, each_step ? SP_LIFETIME_HISTORY : SP_LIFETIME_PLAN,
                          &b->node[node].stable[which]);
}

/* The first step reads a threshold of the step before, and makes nothing of it. */
sp_status spi_stabilise_begin(sp_builder *b)
{
    for (int i = 0; i < b->g->n_nodes; i++) {
        if (!spi_is_stabilised(b, i))
            continue;
        for (int k = 0; k < STABLE_TENSORS; k++)
            SP_TRY(number(b, i, k));
        SP_TRY(spi_clear(b, i, "threshold", b->node[i].stable[STABLE_TH]));
        if (b->training)
            SP_TRY(spi_clear(b, i, "gradient of the threshold", b->node[i].stable[STABLE_G_TH]));
    }
    return SP_OK;
}

/* The ops take the threshold as one that is learnt. */
void spi_stabilise_bind(sp_emit *e, int node, bool backward)
{
    const int *t = e->b->node[node].stable;
    const bool before = !backward && sp_plan_slots(e->b->p, &e->b->p->tensors[t[STABLE_TH]]) > 1;
    spi_bind_at(e, "th", t[STABLE_TH], before ? -1 : 0, 0);
    if (backward)
        spi_bind(e, "g_th", t[STABLE_G_TH]);
}

/* The spikes of `e` are those of the threshold before, and are not used. */
sp_status spi_stabilise_fire(sp_emit *e, int node, int spikes)
{
    sp_builder *b = e->b;
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    const int64_t rows = spi_rows(b, a);
    const int *t = b->node[node].stable, u = b->node[node].u;
    char name[64];
    int unused;
    snprintf(name, sizeof name, "%.30s spikes, not used", n->name);
    SP_TRY(spi_tensor_new(b, name, rows * ((a->c + 31) / 32), SP_LIFETIME_SEGMENT, &unused));
    spi_bind(e, "s", unused);
    SP_TRY(spi_emit(e));
    sp_emit m = spi_step(b, node, "neuron.stabilise");
    spi_int(&m, "M", rows), spi_int(&m, "C", a->c);
    spi_float(&m, "v_th", n->layer->neuron.v_th);
    spi_bind(&m, "u", u), spi_bind(&m, "ratio", t[STABLE_RATIO]), spi_bind(&m, "th", t[STABLE_TH]);
    SP_TRY(spi_emit(&m));
    const bool rate = b->p->o.method == SP_METHOD_RATE;
    sp_emit f = spi_step(b, node, rate ? "neuron.fire_rate" : "neuron.fire");
    spi_int(&f, "M", rows), spi_int(&f, "C", a->c);
    if (rate)
        SP_TRY(spi_rate_bind(&f, node));
    spi_bind(&f, "u", u), spi_bind(&f, "th", t[STABLE_TH]), spi_bind(&f, "s", spikes);
    return spi_emit(&f);
}

sp_status spi_check_stabilised(const sp_plan *p, sp_error *err)
{
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const sp_node *n = &p->graph->nodes[i];
        if (n->type != SP_NODE_NEURON || !follows(n))
            continue;
        const char *model = n->layer->neuron.model;
        const sp_neuron_model *m = sp_neuron_ref_find(model);
        if (!m || strcmp(model, "lif_late_reset") == 0 ||
            (m->extra && (m->extra->threshold || m->extra->learn)))
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: stabilise: true is for models that fire at v_th, whose soft reset "
                           "subtracts it and whose leak is not learnt, unlike \"%s\"; use lif, if or "
                           "cuba_lif",
                           n->name, model);
        if (p->o.method == SP_METHOD_NDOT)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: stabilise: true is not defined for ndot, which has one threshold for "
                           "all time steps; use sltt, sltt-k, ottt, rate or bptt",
                           n->name);
        if (p->o.w_membrane > 0 && p->o.method != SP_METHOD_EVAL)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: loss.membrane draws potentials to a threshold that does not move; "
                           "leave it or stabilise: true out",
                           n->name);
    }
    return SP_OK;
}
