/* A loss on membrane potentials beside that of the outputs: how far they lie from rest and threshold
 * (RMP-Loss). docs/NUMERICS.md, "Loss on potentials". */
#include <stdio.h>

#include "base/error.h"
#include "op/fragments_ref.h"
#include "plan/builder.h"

static bool is_penalised(const sp_graph *g, int node)
{
    return sp_node_fires(&g->nodes[node]) && g->acts[g->nodes[node].in[0]].needs_gradient;
}

/* All layers weigh alike. */
static double share(const sp_builder *b)
{
    int layers = 0;
    for (int i = 0; i < b->g->n_nodes; i++)
        layers += is_penalised(b->g, i);
    return b->p->o.w_membrane / (double)b->p->o.time_steps / layers;
}

sp_status spi_penalise(sp_builder *b, int node, int *g_x)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    const int g = *g_x;
    char name[64];
    if (b->p->o.w_membrane <= 0 || b->p->o.external_loss || !is_penalised(b->g, node))
        return SP_OK;
    snprintf(name, sizeof name, "%.40s gradient with penalty", n->name);
    SP_TRY(spi_tensor_new(b, name, spi_rows(b, a) * a->c, SP_LIFETIME_SEGMENT, g_x));
    sp_emit e = spi_step(b, node, "neuron.penalty");
    spi_int(&e, "N", b->p->o.batch), spi_int(&e, "M", a->h * a->w), spi_int(&e, "C", a->c);
    spi_neuron_settings(&e, &n->layer->neuron);
    if (!n->layer->neuron.hard_reset)
        spi_float(&e, "v_reset", sp_neuron_offset(&n->layer->neuron)); /* the rest, not v_init */
    spi_float(&e, "w_t", share(b));
    spi_store_half(&e, "U_HALF", b->node[node].u);
    if (b->temporal) {
        spi_flag(&e, "TEMPORAL", 1);
        spi_bind(&e, "carry", b->node[node].adjoint_v);
    }
    spi_bind(&e, "g", g), spi_bind(&e, "u", b->node[node].u), spi_bind(&e, "g_x", *g_x);
    spi_bind(&e, "loss", b->p->loss);
    return spi_emit(&e);
}

sp_status spi_check_penalty(const sp_plan *p, sp_error *err)
{
    bool any = false;
    if (p->o.w_membrane <= 0 || p->o.external_loss || p->o.method == SP_METHOD_EVAL)
        return SP_OK;
    if (p->o.method == SP_METHOD_RATE)
        return SP_FAIL(err, SP_E_CONFIG,
                       "loss.membrane is not defined for rate, whose backward pass knows no potentials of "
                       "time steps; use sltt, sltt-k, ottt, ndot or bptt");
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const sp_node *n = &p->graph->nodes[i];
        const sp_neuron_model *m =
            n->type == SP_NODE_NEURON ? sp_neuron_ref_find(n->layer->neuron.model) : NULL;
        if (!is_penalised(p->graph, i))
            continue;
        any = true;
        if (!m || m->extra || n->layer->neuron.learn_v_th)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: loss.membrane is for models that keep u alone and whose threshold is "
                           "fixed, not for %s; use lif, if or lif_late_reset, or leave it out",
                           n->name,
                           n->layer->neuron.learn_v_th ? "learn_v_th: true" : n->layer->neuron.model);
    }
    return any ? SP_OK
               : SP_FAIL(err, SP_E_CONFIG,
                         "loss.membrane is about neurons behind a layer with weights, and the network has "
                         "none");
}
