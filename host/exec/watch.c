/* A mini-batch step by step, with a look at what each step wrote: for pictures, predictions and recordings.
 */
#include <string.h>

#include "base/error.h"
#include "exec/executor.h"
#include "op/half.h"

typedef struct watch {
    sp_plan *p;
    const sp_exec_watcher *by;
    float *u, *logits;
    uint32_t *spikes;
} watch;

static bool is_neuron(const sp_plan *p, const sp_step *s)
{
    return s->node >= 0 && sp_node_fires(&p->graph->nodes[s->node]) &&
           strncmp(s->call.op->id, "neuron.forward", 14) == 0 && sp_op_buffer_index(s->call.op, "u") >= 0;
}

static bool is_activation(const sp_step *s)
{
    return s->node >= 0 && strncmp(s->call.op->id, "activation.forward/", 19) == 0;
}

static bool is_seen(const watch *w, const sp_step *s)
{
    return w->by->see && is_neuron(w->p, s) && (!w->by->nodes || w->by->nodes[s->node]);
}

static sp_status see_activation(watch *w, const sp_step *s, int t, sp_error *err)
{
    const int y = sp_op_buffer_index(s->call.op, "y");
    const sp_exec_seen seen = {.node = s->node,
                               .t = t,
                               .u = w->u,
                               .rows = sp_call_buffer_rows(&s->call, y),
                               .cols = sp_call_buffer_cols(&s->call, y)};
    sp_status st = sp_device_read(w->p->dev, sp_plan_range(w->p, &s->operands[y], t), w->u,
                                  (uint64_t)sp_call_buffer_elems(&s->call, y) * 4, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "outputs of layer %s: ", s->label);
    w->by->see_activation(w->by->ctx, &seen);
    return SP_OK;
}

static sp_status see_neuron(watch *w, const sp_step *s, int t, sp_error *err)
{
    int u = sp_op_buffer_index(s->call.op, "u"), spikes = sp_op_buffer_index(s->call.op, "s");
    const int th = sp_op_buffer_index(s->call.op, "th");
    float v_th = (float)sp_call_float(&s->call, "v_th");
    if (th >= 0 && s->operands[th].tensor >= 0)
        SP_TRY(sp_device_read(w->p->dev, sp_plan_range(w->p, &s->operands[th], t), &v_th, sizeof v_th, err));
    sp_exec_seen seen = {.node = s->node,
                         .t = t,
                         .v_th = (double)v_th,
                         .u = w->u,
                         .spikes = w->spikes,
                         .rows = sp_call_buffer_rows(&s->call, u),
                         .cols = sp_call_buffer_cols(&s->call, u)};
    sp_status st = sp_device_read(w->p->dev, sp_plan_range(w->p, &s->operands[u], t), w->u,
                                  (uint64_t)sp_call_buffer_elems(&s->call, u) * 4, err);
    if (st == SP_OK)
        st = sp_device_read(w->p->dev, sp_plan_range(w->p, &s->operands[spikes], t), w->spikes,
                            (uint64_t)sp_call_buffer_elems(&s->call, spikes) * 4, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "potentials and spikes of layer %s: ", s->label);
    if (sp_call_buffer_is_half(&s->call, u)) { /* widened in place, from the end */
        const unsigned char *bytes = (const unsigned char *)w->u;
        for (int64_t i = seen.rows * seen.cols; i-- > 0;) {
            uint16_t h;
            memcpy(&h, bytes + 2 * i, 2);
            w->u[i] = sp_half_to_float(h);
        }
    }
    const double offset = sp_neuron_offset(&w->p->graph->nodes[s->node].layer->neuron);
    seen.v_th -= offset;
    for (int64_t i = 0; i < seen.rows * seen.cols; i++)
        w->u[i] -= (float)offset;
    w->by->see(w->by->ctx, &seen);
    return SP_OK;
}

static sp_status visit(void *ctx, const sp_step *s, int t, bool *go_on, sp_error *err)
{
    watch *w = ctx;
    if (is_seen(w, s))
        return see_neuron(w, s, t, err);
    if (w->by->see_activation && is_activation(s))
        return see_activation(w, s, t, err);
    if (!w->by->outputs || strncmp(s->call.op->id, "logits.accumulate/", 18) != 0)
        return SP_OK;
    int logits = sp_op_buffer_index(s->call.op, "logits");
    sp_status st = sp_device_read(w->p->dev, sp_plan_range(w->p, &s->operands[logits], t), w->logits,
                                  w->p->tensors[w->p->logits_sum].bytes, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "outputs of time step %d: ", t + 1);
    *go_on = w->by->outputs(w->by->ctx, t, w->logits);
    return SP_OK;
}

void sp_exec_seen_spikes(const sp_exec_seen *seen, int64_t sample, int64_t pixels, uint8_t *to)
{
    const int64_t words = (seen->cols + 31) / 32;
    const uint32_t *bits = seen->spikes + sample * pixels * words;
    for (int64_t i = 0; i < pixels; i++, bits += words)
        for (int64_t c = 0; c < seen->cols; c++)
            to[c * pixels + i] = bits[c / 32] >> (c % 32) & 1u;
}

sp_status sp_exec_watch(sp_plan *p, const sp_exec_batch *batch, const sp_exec_watcher *by, sp_error *err)
{
    watch w = {.p = p, .by = by};
    int64_t most = 1, words = 1;
    for (int i = 0; (by->see || by->see_activation) && i < p->n_segments; i++)
        for (int k = 0; k < p->segments[i].n; k++) {
            const sp_step *s = &p->segments[i].steps[k];
            if (by->see_activation && is_activation(s)) {
                int64_t n = sp_call_buffer_elems(&s->call, sp_op_buffer_index(s->call.op, "y"));
                most = n > most ? n : most;
            }
            if (!is_seen(&w, s))
                continue;
            int u = sp_op_buffer_index(s->call.op, "u"), spikes = sp_op_buffer_index(s->call.op, "s");
            int64_t n = sp_call_buffer_rows(&s->call, u) * sp_call_buffer_cols(&s->call, u);
            most = n > most ? n : most;
            n = sp_call_buffer_elems(&s->call, spikes);
            words = n > words ? n : words;
        }
    w.u = sp_alloc_array((size_t)most, sizeof *w.u);
    w.spikes = sp_alloc_array((size_t)words, sizeof *w.spikes);
    w.logits = sp_alloc(p->tensors[p->logits_sum].bytes);
    sp_status st = w.u && w.spikes && w.logits ? spi_exec_walk(p, batch, visit, &w, err)
                                               : SP_FAIL(err, SP_E_MEMORY, "out of memory to watch neurons");
    sp_device_finish(p->dev, NULL); /* the upload reads the batch, which the caller may free now */
    sp_free(w.u);
    sp_free(w.spikes);
    sp_free(w.logits);
    return st;
}
