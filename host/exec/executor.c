/* The loop over steps. */
#include "exec/executor.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

sp_status spi_exec_step(sp_plan *p, const sp_step *s, int t, const sp_dynamic *dyn, sp_error *err)
{
    sp_range ranges[SP_OP_MAX_BUFFERS], work = {0};
    for (int i = 0; i < SP_OP_MAX_BUFFERS; i++)
        ranges[i] = sp_plan_range(p, &s->operands[i], t);
    if (s->work >= 0)
        work = sp_plan_tensor_range(p, s->work, t);
    return sp_launch_enqueue(s->launch, ranges, work, dyn, s->label, err);
}

/* t < 0: what is written once a mini-batch; t >= 0: the frame of that time step. */
static sp_status upload(sp_plan *p, const sp_exec_batch *batch, int t, sp_error *err)
{
    const sp_plan_tensor *in = &p->tensors[p->input];
    if (t >= 0)
        return p->o.sequence
                   ? sp_device_write(p->dev, sp_plan_tensor_range(p, p->input, t),
                                     (const char *)batch->images +
                                         (size_t)t * (batch->frame_bytes ? batch->frame_bytes : in->bytes),
                                     in->bytes, false, err)
                   : SP_OK;
    if (!p->o.sequence)
        SP_TRY(sp_device_write(p->dev, sp_plan_tensor_range(p, p->input, 0), batch->images, in->bytes, false,
                               err));
    if (p->class_weights >= 0)
        SP_TRY(sp_device_write(p->dev, sp_plan_tensor_range(p, p->class_weights, 0), p->o.class_weights,
                               p->tensors[p->class_weights].bytes, false, err));
    if (p->targets >= 0 && !batch->targets)
        return SP_FAIL(err, SP_E_FAILED, "internal: a mini-batch without targets");
    if (p->targets >= 0)
        SP_TRY(sp_device_write(p->dev, sp_plan_tensor_range(p, p->targets, 0), batch->targets,
                               p->tensors[p->targets].bytes, false, err));
    return batch->labels ? sp_device_write(p->dev, sp_plan_tensor_range(p, p->labels, 0), batch->labels,
                                           p->tensors[p->labels].bytes, false, err)
                         : SP_OK;
}

/* In front of a mini-batch, its teacher runs on the same input: what it leaves are the targets of layers. */
static sp_status upload_batch(sp_plan *p, const sp_exec_batch *batch, int t, sp_error *err)
{
    sp_status st = upload(p, batch, t, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "input and labels: ");
    if (t < 0 && p->o.teacher)
        st = spi_exec_walk(p->o.teacher, batch, NULL, NULL, err);
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "teacher: ");
}

const sp_timeline_entry *spi_exec_next(const sp_plan *p, const sp_exec_batch *batch, int *i)
{
    for (; *i < p->n_timeline; ++*i) {
        const sp_timeline_entry *m = &p->timeline[*i];
        bool backprop = m->t < 0 || !batch->backprop || batch->backprop[m->t];
        if (m->condition == SP_ALWAYS || (m->condition == SP_IF_BACKPROP) == backprop)
            return m;
    }
    return NULL;
}

void sp_exec_steps(const sp_plan *p, const sp_exec_batch *batch, sp_exec_see_step *see, void *ctx)
{
    const sp_timeline_entry *m;
    for (int i = 0; (m = spi_exec_next(p, batch, &i)) != NULL; i++)
        for (int k = 0; k < p->segments[m->segment].n; k++)
            see(ctx, &p->segments[m->segment].steps[k]);
}

/* n: number of the optimizer step, from 1. */
static void set_rates(const sp_plan *p, double lr, int64_t n, sp_dynamic *dyn)
{
    dyn->lr = (float)lr;
    dyn->bias1 = (float)(1.0 - pow(p->o.beta1, (double)n));
    dyn->bias2 = (float)(1.0 - pow(p->o.beta2, (double)n));
}

sp_dynamic spi_exec_dynamic(const sp_plan *p, const sp_exec_batch *batch, int t)
{
    int T = (int)p->o.time_steps;
    sp_dynamic dyn = {.first = t <= 0,
                      .last = t == T - 1 || (t + 1) % sp_plan_block(p) == 0,
                      .iteration = batch->iteration,
                      .time_step = t + 1,
                      .block_start = t < 0 || t % sp_plan_block(p) == 0};
    if (p->o.online_update && t >= 0)
        set_rates(p, batch->lr, (int64_t)batch->iteration * T + t + 1, &dyn);
    return dyn;
}

static bool is_forward(int segment)
{
    return segment == SP_SEGMENT_FORWARD || segment == SP_SEGMENT_FULL;
}

/* The timeline from the cursor to before entry `to`, or to a step with `sync` where parts are asked for. */
static sp_status walk(sp_plan *p, const sp_exec_batch *batch, sp_exec_cursor *c, int to, bool parts,
                      spi_exec_visit *visit, void *ctx, sp_error *err)
{
    bool go_on = true;
    const sp_timeline_entry *m;
    for (c->at = NULL; (m = spi_exec_next(p, batch, &c->entry)) && c->entry < to; c->entry++, c->step = 0) {
        const sp_segment *g = &p->segments[m->segment];
        sp_dynamic dyn = spi_exec_dynamic(p, batch, m->t);
        if (c->step == 0 && is_forward(m->segment))
            SP_TRY(upload_batch(p, batch, m->t, err));
        while (c->step < g->n) {
            const sp_step *s = &g->steps[c->step++];
            SP_TRY(spi_exec_step(p, s, m->t, &dyn, err));
            if (visit)
                SP_TRY(visit(ctx, s, m->t, &go_on, err));
            if (!go_on)
                return SP_OK;
            if (parts && s->sync) {
                c->at = s;
                c->t = m->t;
                return SP_OK;
            }
        }
    }
    return SP_OK;
}

sp_status spi_exec_walk(sp_plan *p, const sp_exec_batch *batch, spi_exec_visit *visit, void *ctx,
                        sp_error *err)
{
    sp_exec_cursor c = {0};
    SP_TRY(upload_batch(p, batch, -1, err));
    return walk(p, batch, &c, p->n_timeline, false, visit, ctx, err);
}

sp_status sp_exec_run_part(sp_plan *p, const sp_exec_batch *batch, sp_exec_cursor *c, sp_error *err)
{
    if (!c->at)
        SP_TRY(upload_batch(p, batch, -1, err));
    return walk(p, batch, c, p->n_timeline, true, NULL, NULL, err);
}

/* Of all time steps. */
static size_t contiguous_bytes(const sp_plan *p, int tensor)
{
    return (size_t)p->tensors[tensor].bytes * (size_t)sp_plan_slots(p, &p->tensors[tensor]);
}

sp_status sp_exec_forward(sp_plan *p, const sp_exec_batch *batch, float *step_logits, sp_error *err)
{
    SP_TRY(upload_batch(p, batch, -1, err));
    SP_TRY(walk(p, batch, &(sp_exec_cursor){0}, p->n_forward, false, NULL, NULL, err));
    return sp_plan_read(p, p->step_logits, 0, step_logits, contiguous_bytes(p, p->step_logits), err);
}

sp_status sp_exec_backward(sp_plan *p, const sp_exec_batch *batch, const float *g_step_logits, float *g_input,
                           sp_error *err)
{
    sp_exec_cursor c = {.entry = p->n_forward};
    SP_TRY(sp_device_write(p->dev, sp_plan_tensor_range(p, p->g_step_logits, 0), g_step_logits,
                           contiguous_bytes(p, p->g_step_logits), true, err));
    SP_TRY(walk(p, batch, &c, p->n_timeline - 1, false, NULL, NULL, err));
    return g_input ? sp_plan_read(p, p->g_input, 0, g_input, contiguous_bytes(p, p->g_input), err) : SP_OK;
}

/* Time steps apart: the timeline is BEGIN, time step 0, time step 1 and so on. */
sp_status sp_exec_forward_step(sp_plan *p, const sp_exec_batch *batch, int t, float *logits, sp_error *err)
{
    sp_exec_cursor c = {.entry = t ? 1 + t : 0};
    if (t == 0)
        SP_TRY(upload_batch(p, batch, -1, err));
    SP_TRY(walk(p, batch, &c, 2 + t, true, NULL, NULL, err)); /* to the step with SP_SYNC_OUTPUTS */
    return sp_plan_read(p, p->step_logits, t, logits, p->tensors[p->step_logits].bytes, err);
}

/* Steps of a time step up to its outputs. */
static int steps_forward(const sp_plan *p)
{
    const sp_segment *g = &p->segments[SP_SEGMENT_FULL];
    int n = 0;
    while (n < g->n && g->steps[n].sync != SP_SYNC_OUTPUTS)
        n++;
    return n + 1;
}

sp_status sp_exec_backward_step(sp_plan *p, const sp_exec_batch *batch, int t, const float *g_logits,
                                sp_error *err)
{
    sp_exec_cursor c = {.entry = 1 + t, .step = steps_forward(p)};
    if (batch->backprop && !batch->backprop[t])
        return SP_OK;
    SP_TRY(sp_device_write(p->dev, sp_plan_tensor_range(p, p->g_step_logits, t), g_logits,
                           p->tensors[p->g_step_logits].bytes, true, err));
    return walk(p, batch, &c, 2 + t, false, NULL, NULL, err);
}

sp_status sp_exec_end(sp_plan *p, const sp_exec_batch *batch, sp_error *err)
{
    SP_TRY(
        walk(p, batch, &(sp_exec_cursor){.entry = p->n_timeline - 1}, p->n_timeline, false, NULL, NULL, err));
    return sp_device_finish(p->dev, err);
}

sp_status sp_exec_run(sp_plan *p, const sp_exec_batch *batch, sp_error *err)
{
    return spi_exec_walk(p, batch, NULL, NULL, err);
}

sp_status sp_exec_load_constants(sp_plan *p, sp_error *err)
{
    for (int i = 0; i < p->n_constants; i++)
        SP_TRY(sp_device_write(p->dev, sp_plan_tensor_range(p, p->constants[i].tensor, 0),
                               p->constants[i].data, p->tensors[p->constants[i].tensor].bytes, true, err));
    return SP_OK;
}

sp_status sp_exec_results(sp_plan *p, float *loss, uint32_t *correct, sp_error *err)
{
    sp_status st =
        sp_device_read(p->dev, sp_plan_tensor_range(p, p->loss, 0), loss, p->tensors[p->loss].bytes, err);
    if (st == SP_OK)
        st = sp_device_read(p->dev, sp_plan_tensor_range(p, p->correct, 0), correct,
                            p->tensors[p->correct].bytes, err);
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "the loss: ");
}

sp_status sp_exec_gradients_finite(sp_plan *p, bool *finite, sp_error *err)
{
    _Alignas(SP_PAGE_BYTES) float sums[SP_GRADIENT_SUMS];
    sp_status st =
        sp_device_read(p->dev, sp_plan_tensor_range(p, p->gradient_sums, 0), sums, sizeof sums, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "sums of gradients: ");
    *finite = true;
    for (int i = 0; i < SP_GRADIENT_SUMS; i++)
        *finite = *finite && isfinite(sums[i]);
    return SP_OK;
}

sp_dynamic spi_exec_update_dynamic(const sp_plan *p, double lr, int64_t n)
{
    sp_dynamic dyn = {0};
    set_rates(p, lr, n, &dyn);
    return dyn;
}

sp_status sp_exec_update(sp_plan *p, double lr, int64_t n, sp_error *err)
{
    sp_dynamic dyn = spi_exec_update_dynamic(p, lr, n);
    const sp_segment *g = &p->segments[SP_SEGMENT_UPDATE];
    for (int i = 0; i < g->n; i++)
        SP_TRY(spi_exec_step(p, &g->steps[i], 0, &dyn, err));
    return SP_OK;
}

sp_status sp_exec_clear_spikes(sp_plan *p, sp_error *err)
{
    static const _Alignas(SP_PAGE_BYTES) uint32_t zero[64];
    for (int i = 0; i < p->graph->n_nodes; i++)
        if (p->spike_counts[i] >= 0)
            if (sp_device_write(p->dev, sp_plan_tensor_range(p, p->spike_counts[i], 0), zero, sizeof zero,
                                true, err) != SP_OK)
                return sp_error_prefix(err, SP_E_OPENCL, "spike counts: ");
    return SP_OK;
}

sp_status sp_exec_spikes(sp_plan *p, uint64_t *spikes, sp_error *err)
{
    for (int i = 0; i < p->graph->n_nodes; i++) {
        _Alignas(SP_PAGE_BYTES) uint32_t part[64];
        spikes[i] = 0;
        if (p->spike_counts[i] < 0)
            continue;
        if (sp_device_read(p->dev, sp_plan_tensor_range(p, p->spike_counts[i], 0), part, sizeof part, err) !=
            SP_OK)
            return sp_error_prefix(err, SP_E_OPENCL, "spike counts: ");
        for (int k = 0; k < 64; k++)
            spikes[i] += part[k];
    }
    return sp_exec_clear_spikes(p, err);
}

sp_status sp_exec_step_spikes(sp_plan *p, uint64_t *spikes, uint32_t *part, sp_error *err)
{
    for (int t = 0; t < (int)p->o.time_steps && p->step_spikes >= 0; t++) {
        SP_TRY(sp_plan_read(p, p->step_spikes, t, part, p->tensors[p->step_spikes].bytes, err));
        for (int i = 0; i < p->n_neuron_layers; i++) {
            uint64_t *sum = &spikes[t * p->n_neuron_layers + i];
            *sum = 0;
            for (int k = 0; k < 64; k++)
                *sum += part[64 * i + k];
        }
    }
    return SP_OK;
}
