/* Online batch norm (OSR, Zhu et al. 2024): training normalises by the running statistics, as evaluation
 * does. The backward pass is that of a batch norm whose result was mapped linearly. docs/NUMERICS.md, "By
 * running statistics". */
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

bool spi_norm_is_online(const sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    return b->training && b->p->o.online_norm && n->type == SP_NODE_BATCH_NORM && !n->td;
}

static int64_t channels(const sp_builder *b, int node)
{
    return b->g->acts[b->g->nodes[node].out].c;
}

static sp_status kept(sp_builder *b, int node, int which)
{
    static const char *const names[NORM_ONLINE] = {"running scale", "running shift", "mean of all steps",
                                                   "distances of all steps"};
    if (b->node[node].online[which] >= 0)
        return SP_OK;
    return spi_node_tensor(b, node, names[which], channels(b, node), SP_LIFETIME_PLAN,
                           &b->node[node].online[which]);
}

static sp_status local(sp_builder *b, int node, const char *what, int *out)
{
    return spi_node_tensor(b, node, what, channels(b, node), SP_LIFETIME_SEGMENT, out);
}

static sp_emit step_of(sp_builder *b, int node, const char *op, bool eps)
{
    sp_emit e = spi_step(b, node, op);
    spi_int(&e, "C", channels(b, node));
    if (eps)
        spi_float(&e, "eps", b->g->nodes[node].layer->eps);
    return e;
}

static sp_status bind_running(sp_emit *e, const sp_node *n)
{
    SP_TRY(spi_bind_param(e, "running_mean", n->running_mean, false));
    return spi_bind_param(e, "running_var", n->running_var, false);
}

static void bind_step(sp_emit *e, int node)
{
    spi_bind(e, "step_mean", e->b->node[node].norm[NORM_MEAN]);
    spi_bind(e, "step_rstd", e->b->node[node].norm[NORM_RSTD]);
}

sp_status spi_online_begin(sp_builder *b)
{
    for (int i = 0; i < b->g->n_nodes; i++) {
        const sp_node *n = &b->g->nodes[i];
        if (!spi_norm_is_online(b, i))
            continue;
        for (int k = 0; k < NORM_ONLINE; k++)
            SP_TRY(kept(b, i, k));
        sp_emit e = step_of(b, i, "batch_norm.fold", true);
        SP_TRY(spi_bind_param(&e, "gamma", n->gamma, false));
        SP_TRY(spi_bind_param(&e, "beta", n->beta, false));
        SP_TRY(bind_running(&e, n));
        spi_bind(&e, "scale", b->node[i].online[NORM_FOLD_SCALE]);
        spi_bind(&e, "shift", b->node[i].online[NORM_FOLD_SHIFT]);
        SP_TRY(spi_emit(&e));
    }
    return SP_OK;
}

sp_status spi_online_step(sp_builder *b, int node)
{
    sp_emit e = step_of(b, node, "batch_norm.online_add", true);
    bind_step(&e, node);
    spi_bind(&e, "mean", b->node[node].online[NORM_SUM_MEAN]);
    spi_bind(&e, "m2", b->node[node].online[NORM_SUM_M2]);
    b->node[node].norm[NORM_SCALE] = b->node[node].online[NORM_FOLD_SCALE];
    b->node[node].norm[NORM_SHIFT] = b->node[node].online[NORM_FOLD_SHIFT];
    return spi_emit(&e);
}

/* `e` is batch_norm.backward: it gets the gain, and sums of its own in the place of gradients. */
sp_status spi_online_backward_begin(sp_builder *b, int node, sp_emit *e)
{
    const sp_node *n = &b->g->nodes[node];
    int gain, sum_gxhat, sum_g;
    SP_TRY(local(b, node, "gain", &gain));
    SP_TRY(local(b, node, "sum of g xhat", &sum_gxhat));
    SP_TRY(local(b, node, "sum of g", &sum_g));
    sp_emit m = step_of(b, node, "batch_norm.online_gain", true);
    spi_bind(&m, "step_rstd", b->node[node].norm[NORM_RSTD]), spi_bind(&m, "gain", gain);
    SP_TRY(spi_bind_param(&m, "gamma", n->gamma, false));
    SP_TRY(spi_bind_param(&m, "running_var", n->running_var, false));
    SP_TRY(spi_emit(&m));
    SP_TRY(spi_clear(b, node, "sum of g xhat", sum_gxhat));
    SP_TRY(spi_clear(b, node, "sum of g", sum_g));
    spi_bind(e, "gamma", gain), spi_bind(e, "g_gamma", sum_gxhat), spi_bind(e, "g_beta", sum_g);
    return SP_OK;
}

sp_status spi_online_backward_end(sp_builder *b, int node, const sp_emit *e)
{
    const sp_op *op = e->step.call.op;
    const sp_node *n = &b->g->nodes[node];
    sp_emit m = step_of(b, node, "batch_norm.online_gradient", true);
    bind_step(&m, node);
    SP_TRY(bind_running(&m, n));
    spi_bind(&m, "sum_gxhat", e->step.operands[sp_op_buffer_index(op, "g_gamma")].tensor);
    spi_bind(&m, "sum_g", e->step.operands[sp_op_buffer_index(op, "g_beta")].tensor);
    SP_TRY(spi_bind_param(&m, "g_gamma", n->gamma, true));
    SP_TRY(spi_bind_param(&m, "g_beta", n->beta, true));
    return spi_emit(&m);
}

sp_status spi_online_end(sp_builder *b)
{
    for (int i = 0; i < b->g->n_nodes; i++) {
        if (!spi_norm_is_online(b, i))
            continue;
        sp_emit e = step_of(b, i, "batch_norm.online_follow", false);
        spi_float(&e, "momentum", b->g->nodes[i].layer->momentum);
        spi_float(&e, "steps", (double)b->p->o.time_steps);
        spi_bind(&e, "mean", b->node[i].online[NORM_SUM_MEAN]);
        spi_bind(&e, "m2", b->node[i].online[NORM_SUM_M2]);
        SP_TRY(bind_running(&e, &b->g->nodes[i]));
        SP_TRY(spi_emit(&e));
    }
    return SP_OK;
}
