/* Stages: threshold-dependent batch norm takes its statistics over all time steps, so all steps of the layers
 * before it run first. The forward pass is cut there: stage by stage, each through all time steps; the
 * backward pass the same in reverse. Between two stages run the norms alone, on all time steps as one tensor
 * of T times the rows: its slots lie side by side (sp_plan_tensor.contiguous), and the kernels are those of
 * batch norm. Without such a layer there is one stage. */
#include <stdio.h>

#include "base/error.h"
#include "plan/builder.h"

/* Behind the common segments, for each cut: its forward join, the next stage forward, that stage backward,
 * the backward join. */
enum { FORWARD_JOIN, NEXT_FORWARD, NEXT_BACKWARD, BACKWARD_JOIN, PER_CUT };

static int at_cut(int cut, int which)
{
    return SP_SEGMENTS + PER_CUT * cut + which;
}

int spi_forward_segment(int stage)
{
    return stage == 0 ? SP_SEGMENT_FORWARD : at_cut(stage - 1, NEXT_FORWARD);
}

int spi_backward_segment(int stage)
{
    return stage == 0 ? SP_SEGMENT_BACKWARD : at_cut(stage - 1, NEXT_BACKWARD);
}

static sp_status refuse_other_methods(const sp_builder *b, const sp_node *n)
{
    const sp_plan_options *o = &b->p->o;
    if (b->temporal && sp_plan_block(b->p) == o->time_steps)
        return SP_OK;
    return SP_FAIL(b->err, SP_E_CONFIG,
                   "layer %s: td_batch_norm needs schedule.method bptt without truncate, not %s: its "
                   "statistics are those of all time steps, and must be known before the neurons behind it "
                   "take their first one; use batch_norm, whose statistics are of one step",
                   n->name, b->temporal ? "truncated bptt" : sp_method_name(o->method));
}

/* A node's stage is that of its output, but for the norms that cut: they end the stage of their input. */
static sp_status find_stages(sp_builder *b)
{
    b->p->n_stages = 1;
    for (int i = 0; i < b->g->n_nodes; i++) {
        const sp_node *n = &b->g->nodes[i];
        int stage = b->act[n->in[0]].stage;
        if (n->in[1] >= 0 && b->act[n->in[1]].stage > stage)
            stage = b->act[n->in[1]].stage;
        if (n->td && b->training) {
            SP_TRY(refuse_other_methods(b, n));
            stage++;
        }
        b->act[n->out].stage = stage;
        b->p->n_stages = stage + 1 > b->p->n_stages ? stage + 1 : b->p->n_stages;
    }
    return SP_OK;
}

sp_status spi_stages_begin(sp_builder *b)
{
    static const char *const common[] = {"begin", "forward", "forward+backward", "backward", "end", "update"};
    static const char *const cuts[] = {"statistics", "forward", "backward", "sums of gradients"};
    sp_plan *p = b->p;
    SP_TRY(find_stages(b));
    p->n_segments = SP_SEGMENTS + PER_CUT * (p->n_stages - 1);
    p->segments = sp_alloc_array((size_t)p->n_segments, sizeof *p->segments);
    if (!p->segments)
        return SP_FAIL(b->err, SP_E_MEMORY, "out of memory while planning");
    for (int i = 0; i < p->n_segments; i++) {
        sp_segment *s = &p->segments[i];
        int cut = (i - SP_SEGMENTS) / PER_CUT, which = (i - SP_SEGMENTS) % PER_CUT;
        bool stage = i >= SP_SEGMENTS && (which == NEXT_FORWARD || which == NEXT_BACKWARD);
        s->timed = i == SP_SEGMENT_FORWARD || i == SP_SEGMENT_BACKWARD || stage;
        if (i < SP_SEGMENTS)
            snprintf(s->name, sizeof s->name, "%s", common[i]);
        else
            snprintf(s->name, sizeof s->name, "%s %d", cuts[which], cut + 1 + stage);
    }
    return SP_OK;
}

int spi_stage_timeline(const sp_plan *p, sp_timeline_entry *to)
{
    int T = (int)p->o.time_steps, n = 0;
    for (int s = 0; s < p->n_stages; s++) {
        for (int t = 0; t < T; t++)
            to[n++] = (sp_timeline_entry){spi_forward_segment(s), t, SP_ALWAYS};
        if (s + 1 < p->n_stages)
            to[n++] = (sp_timeline_entry){at_cut(s, FORWARD_JOIN), -1, SP_ALWAYS};
    }
    for (int s = p->n_stages - 1; s >= 0; s--) {
        for (int t = T - 1; t >= 0; t--)
            to[n++] = (sp_timeline_entry){spi_backward_segment(s), t, SP_ALWAYS};
        if (s > 0)
            to[n++] = (sp_timeline_entry){at_cut(s - 1, BACKWARD_JOIN), -1, SP_ALWAYS};
    }
    return n;
}

int64_t spi_norm_rows(const sp_builder *b, int node)
{
    const sp_node *n = &b->g->nodes[node];
    return spi_rows(b, &b->g->acts[n->out]) * (n->td && b->training ? b->p->o.time_steps : 1);
}

static void make_contiguous(sp_builder *b, int tensor)
{
    b->p->tensors[tensor].lifetime = SP_LIFETIME_HISTORY;
    b->p->tensors[tensor].contiguous = true;
}

static double threshold_factor(const sp_node *n)
{
    return n->layer->alpha * n->layer->neuron.v_th;
}

sp_status spi_td_forward(sp_builder *b, int node, int *x, int *gamma)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *in = &b->g->acts[n->in[0]];
    int unscaled;
    if (b->training) {
        /* what is there once a mini-batch only is copied for every step */
        if (in->producer < 0 || spi_node_is_static(b, in->producer))
            SP_TRY(spi_scaled(b, node, "input", *x, spi_rows(b, in), in->c, 1.0, SP_LIFETIME_SEGMENT, x));
        make_contiguous(b, *x);
        b->node[node].td_x = *x;
        b->segment = at_cut(b->act[n->in[0]].stage, FORWARD_JOIN);
    }
    SP_TRY(spi_param_tensor(b, n->gamma, false, &unscaled));
    SP_TRY(spi_scaled(b, node, "scaled weight", unscaled, 1, in->c, threshold_factor(n), SP_LIFETIME_SEGMENT,
                      gamma));
    b->node[node].td_gamma = *gamma;
    return SP_OK;
}

sp_status spi_td_backward(sp_builder *b, int node, int g)
{
    const sp_node *n = &b->g->nodes[node];
    const sp_activation *a = &b->g->acts[n->out];
    int g_gamma, g_x;
    make_contiguous(b, g);
    b->segment = at_cut(b->act[n->in[0]].stage, BACKWARD_JOIN);
    SP_TRY(spi_tensor_new(b, "scaled weight gradient", a->c, SP_LIFETIME_SEGMENT, &g_gamma));
    SP_TRY(spi_tensor_new(b, "gradient between stages", spi_rows(b, a) * a->c, SP_LIFETIME_HISTORY, &g_x));
    make_contiguous(b, g_x);
    SP_TRY(spi_clear(b, node, "scaled weight gradient", g_gamma));
    sp_emit e = spi_step(b, node, "batch_norm.backward");
    spi_int(&e, "M", spi_norm_rows(b, node)), spi_int(&e, "C", a->c);
    spi_bind(&e, "g", g), spi_bind(&e, "x", b->node[node].td_x);
    spi_bind(&e, "mean", b->node[node].norm[NORM_MEAN]), spi_bind(&e, "rstd", b->node[node].norm[NORM_RSTD]);
    spi_bind(&e, "gamma", b->node[node].td_gamma), spi_bind(&e, "g_gamma", g_gamma);
    SP_TRY(spi_bind_param(&e, "g_beta", n->beta, true));
    spi_bind(&e, "g_x", g_x);
    SP_TRY(spi_emit(&e));
    SP_TRY(spi_add_scaled_gradient(b, node, n->gamma, g_gamma, threshold_factor(n)));
    b->segment = spi_backward_segment(b->act[n->in[0]].stage);
    return spi_add_gradient(b, node, n->in[0], g_x);
}
