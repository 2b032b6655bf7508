/* Rate-based backpropagation in blocks of time steps: what the forward steps of a block add up, and the one
 * backward pass behind them, in which every activation is the mean over the block. docs/NUMERICS.md, "Rates".
 */
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

static double share(const sp_builder *b)
{
    return 1.0 / (double)sp_plan_block(b->p);
}

static sp_status kept(sp_builder *b, int node, const char *what, int64_t elems, int *out)
{
    char name[64];
    snprintf(name, sizeof name, "%.40s %s", node >= 0 ? b->g->nodes[node].name : "input", what);
    return *out >= 0 ? SP_OK : spi_tensor_new(b, name, elems, SP_LIFETIME_PLAN, out);
}

/* The mean of an activation over the block; `tensor` is what it is at this time step. */
static sp_status accumulate_mean(sp_builder *b, int act, int tensor)
{
    const sp_activation *a = &b->g->acts[act];
    SP_TRY(kept(b, a->producer, "mean", spi_rows(b, a) * a->c, &b->act[act].mean));
    sp_emit e = spi_step(b, a->producer, "mean.accumulate");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_float(&e, "share", share(b));
    spi_flag(&e, "X_BITS", a->bits);
    spi_bind(&e, "x", tensor), spi_bind(&e, "mean", b->act[act].mean);
    return spi_emit(&e);
}

/* Binary digits of a number of spikes in a block. */
static int64_t digits(const sp_builder *b)
{
    int64_t n = 1;
    while (sp_plan_block(b->p) >> n)
        n++;
    return n;
}

/* Whether what an activation is at each step has, as its mean, what the means of neurons and pools give: with
 * batch norms on the way it has not, because each step has statistics of its own. */
static bool is_linear(const sp_builder *b, int act)
{
    const int node = b->g->acts[act].producer;
    if (node < 0)
        return true;
    const sp_node *n = &b->g->nodes[node];
    if (n->type == SP_NODE_NEURON || n->type == SP_NODE_POOL_MAX)
        return true;
    return n->type != SP_NODE_BATCH_NORM && is_linear(b, n->in[0]) &&
           (n->in[1] < 0 || is_linear(b, n->in[1]));
}

/* The backward pass of the batch norm in front of a neuron reads the norm's input, whose mean the neuron's
 * step adds up as it goes over it: else the layers before would be run once more, on rates. */
static sp_status mean_of_input(sp_emit *e, int node)
{
    sp_builder *b = e->b;
    const int norm = b->g->acts[b->g->nodes[node].in[0]].producer;
    const sp_node *n = norm >= 0 ? &b->g->nodes[norm] : NULL;
    if (!n || n->type != SP_NODE_BATCH_NORM || !n->fused)
        return SP_OK;
    const int act = n->in[0], before = b->g->acts[act].producer;
    if (before < 0 || spi_node_is_static(b, before) || !is_linear(b, act))
        return SP_OK;
    const sp_activation *a = &b->g->acts[act];
    SP_TRY(kept(b, before, "mean", spi_rows(b, a) * a->c, &b->act[act].mean));
    spi_flag(e, "X_MEAN", 1);
    spi_bind(e, "x_mean", b->act[act].mean);
    return SP_OK;
}

sp_status spi_rate_bind(sp_emit *e, int node)
{
    static const char *const names[RATE_TENSORS] = {"dv/dx of the block", "dr/dx of the block",
                                                    "spikes of the block"};
    static const char *const buffers[RATE_TENSORS] = {"f", "e", "count"};
    sp_builder *b = e->b;
    const sp_activation *a = &b->g->acts[b->g->nodes[node].out];
    const int64_t places = (digits(b) + 7) / 8 * 8; /* so that memory is the same for every block below 256 */
    spi_neuron_backward_settings(e, node);
    spi_int(e, "P", digits(b));
    spi_float(e, "share", share(b));
    for (int i = 0; i < RATE_TENSORS; i++) {
        SP_TRY(kept(b, node, names[i],
                    spi_rows(b, a) * (i == RATE_COUNT ? places * ((a->c + 31) / 32) : a->c),
                    &b->node[node].rate[i]));
        spi_bind(e, buffers[i], b->node[node].rate[i]);
    }
    return spi_is_stabilised(b, node) ? SP_OK
                                      : mean_of_input(e, node); /* which then is computed from rates */
}

static sp_status accumulate_norm(sp_builder *b, int node)
{
    static const char *const names[NORM_TENSORS] = {"mean", "rstd", "scale", "shift"};
    const sp_node *n = &b->g->nodes[node];
    sp_emit e = spi_step(b, node, "batch_norm.rate");
    spi_int(&e, "C", b->g->acts[n->out].c);
    spi_float(&e, "share", share(b));
    spi_bind(&e, "step_mean", b->node[node].norm[NORM_MEAN]),
        spi_bind(&e, "step_rstd", b->node[node].norm[NORM_RSTD]);
    SP_TRY(spi_bind_param(&e, "gamma", n->gamma, false));
    SP_TRY(spi_bind_param(&e, "beta", n->beta, false));
    for (int i = 0; i < NORM_TENSORS; i++) {
        SP_TRY(kept(b, node, names[i], b->g->acts[n->out].c, &b->node[node].rate_norm[i]));
        spi_bind(&e, names[i], b->node[node].rate_norm[i]);
    }
    return spi_emit(&e);
}

sp_status spi_rate_accumulate(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    switch (n->type) {
    case SP_NODE_NEURON: return sp_node_fires(n) ? SP_OK : accumulate_mean(b, n->out, b->node[node].u);
    case SP_NODE_BATCH_NORM: return accumulate_norm(b, node);
    case SP_NODE_POOL_MAX:
        return accumulate_mean(b, n->out, b->act[n->out].tensor); /* not the maximum of means */
    default: return SP_OK;
    }
}

sp_status spi_rate_input(sp_builder *b)
{
    return b->p->o.sequence ? accumulate_mean(b, 0, b->p->input) : SP_OK;
}

static sp_status firing_rate(sp_builder *b, int node)
{
    const int act = b->g->nodes[node].out;
    const sp_activation *a = &b->g->acts[act];
    SP_TRY(spi_node_tensor(b, node, "rate", spi_rows(b, a) * a->c, SP_LIFETIME_SEGMENT, &b->act[act].tensor));
    sp_emit e = spi_step(b, node, "spikes.mean");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c), spi_int(&e, "P", digits(b));
    spi_float(&e, "share", share(b));
    spi_bind(&e, "count", b->node[node].rate[RATE_COUNT]), spi_bind(&e, "y", b->act[act].tensor);
    return spi_emit(&e);
}

/* The mean of an activation over the block, computed from those that were added up where it was not itself.
 */
sp_status spi_rate_value(sp_builder *b, int act)
{
    int node = b->g->acts[act].producer;
    if (b->act[act].tensor >= 0)
        return SP_OK;
    const sp_node *n = &b->g->nodes[node];
    b->act[act].tensor = b->act[act].mean;
    if (b->act[act].mean >= 0)
        return SP_OK;
    if (n->type == SP_NODE_NEURON || n->type == SP_NODE_POOL_MAX)
        return firing_rate(b, node);
    SP_TRY(spi_rate_value(b, n->in[0]));
    if (n->in[1] >= 0)
        SP_TRY(spi_rate_value(b, n->in[1]));
    return n->type == SP_NODE_BATCH_NORM ? spi_batch_norm_apply(b, node) : spi_forward_node(b, node);
}

void spi_rate_begin(sp_builder *b)
{
    b->rates = true;
    if (b->p->o.sequence)
        b->act[0].tensor = b->act[0].mean;
    for (int i = 0; i < b->g->n_nodes; i++)
        for (int k = 0; k < NORM_TENSORS && b->g->nodes[i].type == SP_NODE_BATCH_NORM; k++)
            if (k < NORM_SCALE || !spi_norm_is_online(b, i))
                b->node[i].norm[k] = b->node[i].rate_norm[k];
}

/* What the backward pass of a node reads. */
sp_status spi_rate_prepare(sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    bool reads = n->weight >= 0 || n->type == SP_NODE_BATCH_NORM || n->type == SP_NODE_POOL_MAX ||
                 (n->type == SP_NODE_RESIDUAL && n->skip_gain >= 0);
    return reads ? spi_rate_value(b, n->in[0]) : SP_OK;
}

/* g_x = g dr/dx. */
sp_status spi_rate_neuron(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int g_x;
    SP_TRY(spi_node_tensor(b, node, "input gradient", spi_rows(b, a) * a->c, SP_LIFETIME_SEGMENT, &g_x));
    sp_emit e = spi_step(b, node, "mul");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_bind(&e, "a", g), spi_bind(&e, "b", b->node[node].rate[RATE_E]), spi_bind(&e, "y", g_x);
    SP_TRY(spi_emit(&e));
    return spi_add_gradient(b, node, n->in[0], g_x);
}
