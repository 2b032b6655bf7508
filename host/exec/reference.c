/* A plan without a device, run by the C references of its ops: the plain C that other devices are compared
 * with. */
#include <string.h>

#include "base/error.h"
#include "exec/executor.h"

static void set_dynamic(sp_op_call *call, const sp_dynamic *dyn)
{
    const struct {
        const char *name;
        int64_t value;
    } values[] = {{"first", dyn->first},
                  {"last", dyn->last},
                  {"iteration", dyn->iteration},
                  {"time_step", dyn->time_step},
                  {"block_start", dyn->block_start}};
    for (int i = 0; i < SP_OP_MAX_INTS && call->op->ints[i]; i++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++)
            if (strcmp(call->op->ints[i], values[k].name) == 0)
                call->ints[i] = values[k].value;
}

static void *address(const sp_plan *p, void *arena, int tensor, int t)
{
    return (char *)arena + sp_plan_at(p, tensor, t);
}

static void run_step(const sp_plan *p, void *arena, const sp_step *s, int t, const sp_dynamic *dyn,
                     sp_exec_look *look, void *ctx)
{
    void *buffers[SP_OP_MAX_BUFFERS] = {0};
    sp_op_call call = s->call;
    set_dynamic(&call, dyn);
    for (int i = 0; i < SP_OP_MAX_BUFFERS; i++) {
        const sp_operand *o = &s->operands[i];
        if (o->tensor >= 0)
            buffers[i] = (char *)address(p, arena, o->tensor, t + o->dt) + o->at_elems * 4;
    }
    call.op->reference(&call, buffers);
    if (look)
        look(ctx, s, t, buffers);
}

sp_status sp_exec_reference(const sp_plan *p, void *arena, const sp_exec_batch *batch, sp_exec_look *look,
                            void *ctx, sp_error *err)
{
    const sp_timeline_entry *m;
    for (int i = 0; i < p->n_tensors; i++)
        if (p->tensors[i].lifetime == SP_LIFETIME_MODEL && p->tensors[i].used_in)
            return SP_FAIL(err, SP_E_FAILED, "internal: a plan with parameters has no run by references");
    for (int i = 0; i < p->n_constants; i++)
        memcpy(address(p, arena, p->constants[i].tensor, 0), p->constants[i].data,
               p->tensors[p->constants[i].tensor].bytes);
    for (int i = 0; (m = spi_exec_next(p, batch, &i)); i++) {
        const sp_segment *g = &p->segments[m->segment];
        const sp_dynamic dyn = spi_exec_dynamic(p, batch, m->t);
        const uint64_t bytes = p->tensors[p->input].bytes;
        if (m->segment == SP_SEGMENT_BEGIN || (p->o.sequence && m->t >= 0))
            memcpy(address(p, arena, p->input, m->t),
                   (const char *)batch->images + (p->o.sequence && m->t > 0 ? (uint64_t)m->t * bytes : 0),
                   bytes);
        for (int k = 0; k < g->n; k++)
            run_step(p, arena, &g->steps[k], m->t, &dyn, look, ctx);
    }
    return SP_OK;
}
