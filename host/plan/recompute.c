/* BPTT with `recompute`: inputs of batch norms that are computed again in the backward pass instead of kept
 * for every time step. Which ones: those that save most bytes for an operation, until they save the share
 * asked for of what all would save. */
#include "base/error.h"
#include "plan/builder.h"

/* Which activations norms read, and which follow in one or two steps from what BPTT keeps anyway: spikes, and
 * inputs of layers with weights. Producers come before what they feed, so one walk is enough. */
static void find_candidates(sp_builder *b)
{
    const sp_graph *g = b->g;
    for (int i = 0; i < g->n_nodes; i++) {
        sp_act_tensors *in = &b->act[g->nodes[i].in[0]];
        in->kept_for_norm = in->kept_for_norm || g->nodes[i].type == SP_NODE_BATCH_NORM;
        in->read_by_td = in->read_by_td || g->nodes[i].td;
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_node *n = &g->nodes[i];
        sp_act_tensors *out = &b->act[n->out];
        if (g->acts[n->out].bits || out->read_by_td || spi_node_is_static(b, i))
            continue;
        out->can_recompute = n->type == SP_NODE_CONV || n->type == SP_NODE_LINEAR;
        if (n->type == SP_NODE_RESIDUAL)
            out->can_recompute = g->acts[n->in[0]].producer >= 0 &&
                                 g->nodes[g->acts[n->in[0]].producer].type == SP_NODE_CONV &&
                                 (g->acts[n->in[1]].bits || b->act[n->in[1]].can_recompute);
    }
}

/* What has to be computed for a residual before it: an identity that is kept for a norm of its own is there
 * (but as half). */
static bool needs_identity(const sp_builder *b, const sp_node *residual)
{
    int act = residual->in[1];
    return b->act[act].can_recompute && (b->p->o.half || !b->act[act].kept_for_norm);
}

static double operations(const sp_builder *b, int act)
{
    const sp_activation *a = &b->g->acts[act];
    const sp_node *n = &b->g->nodes[a->producer];
    if (n->type != SP_NODE_RESIDUAL)
        return 2.0 * (double)spi_rows(b, a) * (double)b->g->params[n->weight].elems;
    return operations(b, n->in[0]) + (needs_identity(b, n) ? operations(b, n->in[1]) : 0);
}

static void mark(const sp_builder *b, int act)
{
    const sp_node *n = &b->g->nodes[b->g->acts[act].producer];
    b->p->recomputed[act] = true;
    if (n->type != SP_NODE_RESIDUAL)
        return;
    mark(b, n->in[0]);
    if (needs_identity(b, n))
        mark(b, n->in[1]);
}

static uint64_t bytes_of(const sp_builder *b, int act)
{
    const sp_activation *a = &b->g->acts[act];
    return (uint64_t)(spi_rows(b, a) * a->c) * (b->p->o.half ? 2 : 4) * (uint64_t)sp_plan_block(b->p);
}

/* The one that saves most for its operations of those that are left; the later of two, as it lives shorter.
 * -1: none. */
static int best_left(const sp_builder *b)
{
    int best = -1;
    double most = 0;
    for (int i = 0; i < b->g->n_acts; i++) {
        if (b->p->recomputed[i] || !b->act[i].kept_for_norm || !b->act[i].can_recompute)
            continue;
        double gain = (double)bytes_of(b, i) / operations(b, i);
        best = gain >= most ? i : best;
        most = gain >= most ? gain : most;
    }
    return best;
}

sp_status spi_recompute_begin(sp_builder *b)
{
    sp_plan *p = b->p;
    sp_recompute_stats *s = &p->recompute;
    p->recomputed = sp_alloc_array((size_t)b->g->n_acts, sizeof *p->recomputed);
    if (!p->recomputed)
        return SP_FAIL(b->err, SP_E_MEMORY, "out of memory while planning");
    if (!b->history)
        return SP_OK;
    find_candidates(b);
    for (int i = 0; i < b->g->n_acts; i++)
        if (b->act[i].kept_for_norm) {
            s->kept++;
            s->kept_bytes += bytes_of(b, i);
            s->most_bytes += b->act[i].can_recompute ? bytes_of(b, i) : 0;
        }
    for (int next; (double)s->bytes < p->o.recompute * (double)s->most_bytes && (next = best_left(b)) >= 0;) {
        mark(b, next);
        s->n = 0, s->bytes = 0;
        for (int i = 0; i < b->g->n_acts; i++)
            if (p->recomputed[i] && b->act[i].kept_for_norm)
                s->n++, s->bytes += bytes_of(b, i);
    }
    for (int i = 0; i < b->g->n_acts; i++) /* of convolutions and linear layers: the rest is little */
        if (p->recomputed[i] && b->g->nodes[b->g->acts[i].producer].type != SP_NODE_RESIDUAL)
            s->operations += operations(b, i) * (double)p->o.time_steps;
    return SP_OK;
}

bool spi_is_recomputed(const sp_builder *b, int act)
{
    return b->p->recomputed[act];
}

/* By the kernels of the forward pass, so to the same bits. */
sp_status spi_recompute(sp_builder *b, int act)
{
    if (b->act[act].recomputed || !spi_is_recomputed(b, act))
        return SP_OK;
    int node = b->g->acts[act].producer;
    const sp_node *n = &b->g->nodes[node];
    b->act[act].recomputed = true;
    if (n->type == SP_NODE_RESIDUAL) {
        SP_TRY(spi_recompute(b, n->in[0]));
        SP_TRY(spi_recompute(b, n->in[1]));
    }
    return spi_forward_node(b, node);
}
