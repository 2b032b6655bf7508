/* Where did the first number that is not finite come from? Runs after training has failed, so it may be slow.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/stats.h"
#include "exec/executor.h"

typedef struct search {
    sp_plan *p;
    float *host;
    char *where;
    size_t where_size;
    bool found;
} search;

/* Exponent all ones. */
static size_t first_nonfinite_half(const void *x, size_t n)
{
    const uint16_t *h = x;
    for (size_t i = 0; i < n; i++)
        if ((h[i] & 0x7c00) == 0x7c00)
            return i;
    return n;
}

static sp_status check_range(search *s, sp_range r, uint64_t bytes, bool half, const char *who,
                             const char *what, int t, sp_error *err)
{
    sp_status st = sp_device_read(s->p->dev, r, s->host, bytes, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "%s, \"%s\": ", who, what);
    const size_t n = bytes / (half ? 2 : 4);
    const size_t i = half ? first_nonfinite_half(s->host, n) : sp_first_nonfinite(s->host, n);
    if (i == n)
        return SP_OK;
    s->found = true;
    const char *number = half ? "not finite as half (at most 65504)" : isnan(s->host[i]) ? "NaN" : "infinite";
    if (t >= 0)
        snprintf(s->where, s->where_size, "%s, time step %d: \"%s\" is %s (element %zu)", who, t + 1, what,
                 number, i);
    else
        snprintf(s->where, s->where_size, "%s: \"%s\" is %s (element %zu)", who, what, number, i);
    return SP_OK;
}

/* Running statistics: training writes them and reads them nowhere, so they follow from a bad number and are
 * never its cause; and the mini-batch that failed has left its own in them. */
static bool is_statistic(const sp_plan *p, int value)
{
    return p->tensors[value].lifetime == SP_LIFETIME_MODEL &&
           p->tensors[value].fixed_at >= p->model->buffers_at;
}

static sp_status check_operand(search *s, const sp_step *step, int k, int t, sp_error *err)
{
    char who[200];
    snprintf(who, sizeof who, "%s%s", step->node >= 0 ? "layer " : "", step->label);
    return check_range(s, sp_plan_range(s->p, &step->operands[k], t),
                       (uint64_t)sp_call_buffer_elems(&step->call, k) * 4,
                       sp_call_buffer_is_half(&step->call, k), who, step->call.op->buffers[k].name, t, err);
}

static sp_status check_step(void *ctx, const sp_step *step, int t, bool *go_on, sp_error *err)
{
    search *s = ctx;
    for (int k = 0; k < SP_OP_MAX_BUFFERS && !s->found; k++) {
        int v = step->operands[k].tensor;
        if (v < 0 || step->call.op->buffers[k].access == SP_IN || step->call.op->buffers[k].type != SP_F32 ||
            sp_call_buffer_is_bits(&step->call, k) || is_statistic(s->p, v))
            continue;
        SP_TRY(check_operand(s, step, k, t, err));
    }
    *go_on = !s->found;
    return SP_OK;
}

/* Parameters and the batch itself, before anything runs. */
static sp_status check_inputs(search *s, const sp_exec_batch *batch, sp_error *err)
{
    sp_plan *p = s->p;
    const size_t n = p->tensors[p->input].bytes / 4, frames = p->o.sequence ? (size_t)p->o.time_steps : 1,
                 frame = batch->frame_bytes ? batch->frame_bytes / 4 : n;
    for (size_t t = 0; !s->found && t < frames; t++) {
        const size_t bad = sp_first_nonfinite(batch->images + t * frame, n);
        if ((s->found = bad < n))
            snprintf(s->where, s->where_size, "the input data: value %zu of the mini-batch is not finite",
                     t * n + bad);
    }
    for (int i = 0; i < p->graph->n_params && !s->found; i++) {
        const sp_param *q = &p->graph->params[i];
        if (q->trainable && !sp_model_is_packed(p->model, q))
            SP_TRY(check_range(s, (sp_range){p->model->mem, sp_model_at(p->model, q, SP_RANGE_WEIGHTS) * 4},
                               (uint64_t)q->elems * 4, false, "a parameter, before the forward pass", q->name,
                               -1, err));
    }
    return SP_OK;
}

static uint64_t largest_bytes(const sp_plan *p)
{
    uint64_t n = p->model->bytes;
    for (int i = 0; i < p->n_tensors; i++) {
        const sp_plan_tensor *v = &p->tensors[i];
        uint64_t bytes = v->bytes * (v->contiguous ? (uint64_t)sp_plan_slots(p, v) : 1);
        n = bytes > n ? bytes : n;
    }
    return n;
}

sp_status sp_exec_find_nonfinite(sp_plan *p, const sp_exec_batch *batch, char *where, size_t where_size,
                                 sp_error *err)
{
    search s = {.p = p,
                .where = where,
                .where_size = where_size,
                .host = sp_alloc_pages(largest_bytes(p), 1)};
    sp_status st = SP_OK;
    snprintf(where, where_size, "not found again: every step of a second run of the mini-batch is finite");
    if (!s.host)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while looking for the number that is not finite");
    SP_TRY_GOTO(check_inputs(&s, batch, err));
    if (!s.found)
        SP_TRY_GOTO(spi_exec_walk(p, batch, check_step, &s, err));
done:
    sp_device_finish(p->dev, NULL); /* the upload reads the batch, which the caller may free now */
    sp_free(s.host);
    return st;
}

sp_status sp_exec_check_potentials(sp_plan *p, sp_error *err)
{
    char where[320];
    const sp_segment *forward = &p->segments[SP_SEGMENT_FORWARD];
    int64_t most = 1;
    for (int i = 0; i < forward->n; i++) {
        int u = sp_op_buffer_index(forward->steps[i].call.op, "u");
        int64_t elems = u >= 0 ? sp_call_buffer_elems(&forward->steps[i].call, u) : 0;
        most = elems > most ? elems : most;
    }
    search s = {.p = p,
                .where = where,
                .where_size = sizeof where,
                .host = sp_alloc_pages((size_t)most, sizeof(float))};
    sp_status st = s.host ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the potentials");
    for (int i = 0; st == SP_OK && !s.found && i < forward->n; i++) {
        const sp_step *step = &forward->steps[i];
        int u = sp_op_buffer_index(step->call.op, "u");
        if (u >= 0 && step->call.op->buffers[u].access != SP_IN)
            st = check_operand(&s, step, u, (int)p->o.time_steps - 1, err);
    }
    sp_free(s.host);
    return st == SP_OK && s.found ? SP_FAIL(err, SP_E_NUMERIC, "%s", where) : st;
}
