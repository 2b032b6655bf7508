/* A plan is made in passes: emit, fuse, lower, select, place, build (plan/builder.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "plan/builder.h"

static void builder_fini(sp_builder *b)
{
    sp_free(b->node);
    sp_free(b->act);
}

static sp_status builder_init(sp_builder *b, sp_plan *p, sp_error *err)
{
    *b = (sp_builder){.p = p, .g = p->graph, .err = err};
    b->training = p->o.method != SP_METHOD_EVAL;
    b->temporal = p->o.method == SP_METHOD_BPTT;
    b->history = b->temporal || (p->o.external_loss && !sp_plan_steps_apart(p));
    b->dots = p->o.method == SP_METHOD_NDOT;
    b->traces = p->o.method == SP_METHOD_OTTT || b->dots;
    b->traces_ahead = b->traces && p->o.external_loss;
    b->local = p->o.method == SP_METHOD_LTL;
    b->node = sp_alloc_array((size_t)p->graph->n_nodes + 1, sizeof *b->node);
    b->act = sp_alloc_array((size_t)p->graph->n_acts, sizeof *b->act);
    if (!b->node || !b->act)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
    memset(b->node, 0xff, (size_t)p->graph->n_nodes * sizeof *b->node); // -1 in every index of a tensor
    for (int i = 0; i < p->graph->n_nodes; i++)
        b->node[i].trace_decay = 0;
    for (int i = 0; i < p->graph->n_acts; i++)
        b->act[i] = (sp_act_tensors){.tensor = -1, .gradient = -1, .mean = -1, .trace = -1};
    spi_find_gradients(b);
    return SP_OK;
}

/* What does not fit the device is refused before kernels are compiled. A kernel that cannot be built, or that
 * needs another workspace than was known, asks for one more round. */
static sp_status make_passes(sp_builder *b)
{
    bool changed = false;
    SP_TRY(spi_emit_plan(b));
    if (!b->p->dev) {
        SP_TRY(spi_sync_norms(b));
        return spi_place(b->p, b->err);
    }
    SP_TRY(spi_check_pieces(b->p, b->err)); /* before kernels of such sizes are compiled and compared */
    SP_TRY(spi_fuse(b));
    SP_TRY(spi_forget_potentials(b));
    SP_TRY(spi_sync_norms(b));
    if (b->p->o.from_end)
        SP_TRY(spi_select(b->p, b->err)); /* lowering asks from the start */
    do {
        SP_TRY(spi_lower(b));
        SP_TRY(spi_select(b->p, b->err));
        if (!b->p->o.unbuilt)
            SP_TRY(spi_add_workspaces(b));
        SP_TRY(spi_place(b->p, b->err));
        SP_TRY(spi_attach_early(b->p, b->err));
        if (!b->p->o.unbuilt)
            SP_TRY(spi_build(b, &changed));
    } while (changed);
    return SP_OK;
}

uint64_t sp_plan_digest(const sp_plan *p)
{
    uint64_t hash = SP_HASH_START;
    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segments[s].n; i++) {
            const sp_step *step = &p->segments[s].steps[i];
            char shape[512];
            sp_call_describe(&step->call, shape, sizeof shape);
            hash =
                sp_hash_text(sp_hash_text(sp_hash_text(hash, step->call.op->id), shape), step->variant->id);
        }
    return hash;
}

/* When a package records, this plan is added to it; when one serves, it must contain this plan. */
static sp_status record_or_check_package(const sp_plan *p, sp_error *err)
{
    char about[96];
    snprintf(about, sizeof about, "%s, T = %lld, batch %lld", sp_method_name(p->o.method),
             (long long)p->o.time_steps, (long long)p->o.batch);
    if (p->reg->recorder)
        SP_TRY(sp_package_record_plan(p->reg->recorder, sp_plan_digest(p), about, err));
    return p->reg->package ? sp_package_check_plan(p->reg->package, sp_plan_digest(p), err) : SP_OK;
}

static sp_status make(sp_plan *p, sp_error *err)
{
    sp_builder b;
    if (p->o.method != SP_METHOD_EVAL && !sp_model_keeps_gradients(p->model))
        return SP_FAIL(err, SP_E_USAGE, "the model is for evaluation alone and keeps no gradients");
    SP_TRY(spi_check_settings(p, err));
    SP_TRY(spi_check_limits(p, err));
    sp_status st = builder_init(&b, p, err);
    if (st == SP_OK)
        st = make_passes(&b);
    builder_fini(&b);
    return st == SP_OK && p->dev ? record_or_check_package(p, err) : st;
}

sp_status sp_plan_create(const sp_graph *g, sp_model *m, sp_registry *reg, const sp_plan_options *o,
                         sp_plan **out, sp_error *err)
{
    sp_plan *p = sp_alloc(sizeof *p);
    if (!p)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
    *p = (sp_plan){.graph = g,
                   .model = m,
                   .dev = m->dev,
                   .reg = reg,
                   .o = *o,
                   .gradient_sums = -1,
                   .class_weights = -1,
                   .targets = -1,
                   .step_spikes = -1,
                   .step_logits = -1,
                   .g_step_logits = -1,
                   .g_input = -1};
    p->spike_counts = sp_alloc_array((size_t)g->n_nodes + 1, sizeof *p->spike_counts);
    p->layer_targets = sp_alloc_array((size_t)g->n_nodes + 1, sizeof *p->layer_targets);
    const bool room = p->spike_counts && p->layer_targets;
    for (int i = 0; room && i < g->n_nodes; i++)
        p->spike_counts[i] = p->layer_targets[i] = -1;
    sp_status st = room ? make(p, err) : SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
    if (st != SP_OK) {
        sp_plan_destroy(&p);
        return st;
    }
    *out = p;
    return SP_OK;
}

void sp_plan_destroy(sp_plan **pp)
{
    if (!pp || !*pp)
        return;
    sp_plan *p = *pp;
    for (int s = 0; s < p->n_segments; s++) {
        for (int i = 0; i < p->segments[s].n; i++)
            sp_launch_destroy(&p->segments[s].steps[i].launch);
        sp_free(p->segments[s].steps);
    }
    for (int i = 0; i < p->n_tensors; i++)
        sp_free(p->tensors[i].at);
    spi_detach(p);
    sp_free(p->segments);
    sp_free(p->tensors);
    sp_free(p->constants);
    sp_free(p->timeline);
    sp_free(p->spike_counts);
    sp_free(p->layer_targets);
    sp_free(p->recomputed);
    sp_free(p);
    *pp = NULL;
}

static bool has_width(const sp_step *s)
{
    return s->call.surrogate && strcmp(s->call.surrogate, "straight_through") != 0 &&
           sp_op_has_float(s->call.op, "width");
}

double sp_plan_width(const sp_plan *p)
{
    double width = NAN;
    for (int k = 0; k < p->n_segments; k++)
        for (int i = 0; i < p->segments[k].n; i++) {
            const sp_step *s = &p->segments[k].steps[i];
            const double w = has_width(s) ? sp_call_float(&s->call, "width") : width;
            if (!isnan(width) && (w < width || w > width))
                return NAN;
            width = w;
        }
    return width;
}

sp_status sp_plan_set_width(sp_plan *p, double width, sp_error *err)
{
    for (int k = 0; k < p->n_segments; k++)
        for (int i = 0; i < p->segments[k].n; i++) {
            sp_step *s = &p->segments[k].steps[i];
            if (!has_width(s))
                continue;
            sp_call_set_float(&s->call, "width", width);
            if (s->launch)
                SP_TRY(sp_launch_set_float(s->launch, "width", width, err));
        }
    return SP_OK;
}
