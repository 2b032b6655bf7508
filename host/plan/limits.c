/* What is checked before anything is planned: that every size of the plan can be counted, so that no later
 * product of its parts wraps, and that batch norms have something to normalise. */
#include "base/error.h"
#include "base/size.h"
#include "plan/builder.h"

/* A plan keeps fewer copies of an activation than this (gradients, masks, halves, traces, ...). */
enum { MOST_COPIES = 64 };

static sp_status fail_size(const sp_plan *p, const sp_activation *a, const char *what, sp_error *err)
{
    const char *name = a->producer < 0 ? "input" : p->graph->nodes[a->producer].name;
    double numbers = (double)p->o.batch * (double)a->c * (double)a->h * (double)a->w;
    return SP_FAIL(err, SP_E_DEVICE,
                   "\"%s%s\" of batch %lld with %lldx%lldx%lld numbers (channels, height, width) needs %.1f "
                   "MiB for one time step of %lld; with what goes with it that is more than can be counted. "
                   "Use a smaller batch or a smaller network",
                   name, what, (long long)p->o.batch, (long long)a->c, (long long)a->h, (long long)a->w,
                   numbers * 4 / 1048576.0, (long long)p->o.time_steps);
}

/* Activations and patches of all time steps together, and MOST_COPIES of them, must have a size in bytes. */
static sp_status check_sizes(const sp_plan *p, sp_error *err)
{
    const sp_graph *g = p->graph;
    int64_t sum = 0, bytes;
    for (int i = 0; i < g->n_acts; i++) {
        const sp_activation *a = &g->acts[i];
        /* 32: a row of bits takes a whole word, whatever its channels */
        if (!SP_SIZE_MUL(&bytes, p->o.batch, a->h, a->w, a->c + 32, p->o.time_steps, 4 * MOST_COPIES) ||
            !sp_size_add(&sum, bytes))
            return fail_size(p, a, a->producer < 0 ? "" : " output", err);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_node *n = &g->nodes[i];
        const sp_activation *o = &g->acts[n->out];
        if (n->type == SP_NODE_CONV &&
            (!SP_SIZE_MUL(&bytes, p->o.batch, o->h, o->w, g->params[n->weight].elems / o->c, 4) ||
             !SP_SIZE_MUL(&bytes, p->o.batch, o->h, o->w, g->params[n->weight].elems)))
            return fail_size(p, o, "'s products", err);
    }
    return SP_OK;
}

/* Statistics of one value say nothing: its deviation is 0, and the running variance would divide by M - 1. */
static sp_status check_norms(const sp_plan *p, sp_error *err)
{
    for (int i = 0; p->o.method != SP_METHOD_EVAL && i < p->graph->n_nodes; i++) {
        const sp_node *n = &p->graph->nodes[i];
        const sp_activation *a = &p->graph->acts[n->out];
        int64_t steps = n->td ? p->o.time_steps : 1;
        if (n->type == SP_NODE_BATCH_NORM && p->o.batch * a->h * a->w * steps < 2)
            return SP_FAIL(err, SP_E_CONFIG,
                           "layer %s: batch norm needs more than one value per channel to train, and gets 1: "
                           "batch %lld on this device, maps of %lldx%lld; use a larger batch",
                           n->name, (long long)p->o.batch, (long long)a->h, (long long)a->w);
    }
    return SP_OK;
}

sp_status spi_check_limits(const sp_plan *p, sp_error *err)
{
    SP_TRY(check_sizes(p, err));
    return check_norms(p, err);
}
