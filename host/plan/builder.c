/* Tensors and steps: the vocabulary of the pass that emits. */
#include "plan/builder.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

sp_status spi_tensor_new(sp_builder *b, const char *name, int64_t elems, sp_lifetime lifetime, int *out)
{
    sp_plan *p = b->p;
    sp_plan_tensor *v = sp_array_push(&p->tensors, (size_t)p->n_tensors, sizeof *v);
    if (!v)
        return SP_FAIL(b->err, SP_E_MEMORY, "out of memory while planning");
    *v = (sp_plan_tensor){.bytes = (uint64_t)elems * 4,
                          .lifetime = lifetime,
                          .segment = -1,
                          .first = -1,
                          .last = -1,
                          .shares = -1};
    snprintf(v->name, sizeof v->name, "%.63s", name);
    *out = p->n_tensors++;
    return SP_OK;
}

sp_status spi_node_tensor(sp_builder *b, int node, const char *what, int64_t elems, sp_lifetime lifetime,
                          int *out)
{
    char name[64];
    snprintf(name, sizeof name, "%.30s %.32s", b->g->nodes[node].name, what);
    return spi_tensor_new(b, name, elems, lifetime, out);
}

sp_status spi_tensor_fixed(sp_builder *b, const char *name, uint64_t at_elems, int64_t elems, int *out)
{
    SP_TRY(spi_tensor_new(b, name, elems, SP_LIFETIME_MODEL, out));
    b->p->tensors[*out].fixed_at = at_elems;
    return SP_OK;
}

sp_status spi_param_tensor(sp_builder *b, int param, bool gradient, int *out)
{
    const sp_param *p = &b->g->params[param];
    const sp_model *m = b->p->model;
    const bool average = m->ema && b->p->o.method == SP_METHOD_EVAL && !gradient;
    const sp_model_range range = gradient ? SP_RANGE_GRADIENTS : average ? SP_RANGE_EMA : SP_RANGE_WEIGHTS;
    return spi_tensor_fixed(b, p->name, sp_model_at(m, p, range),
                            range == SP_RANGE_WEIGHTS ? sp_model_weight_elems(m, p) : p->elems, out);
}

/* "2.branch.0 gemm TA (eval)": gradients have rows of their own in a profile, which both plans share. */
static void write_label(const sp_builder *b, sp_step *s)
{
    const sp_op *op = s->call.op;
    const char *transposed = "";
    char family[64];
    sp_op_family(op, family, sizeof family);
    for (int i = SP_OP_MAX_FLAGS; i-- > 0;)
        if (op->flags[i] && s->call.flags[i] && strcmp(family, "gemm") == 0 && op->flags[i][0] == 'T')
            transposed = op->flags[i];
    snprintf(s->label, sizeof s->label, "%s%s%s%s%s%s", s->node >= 0 ? b->g->nodes[s->node].name : "",
             s->node >= 0 ? " " : "", family, b->p->o.method == SP_METHOD_EVAL ? " (eval)" : "",
             transposed[0] ? " " : "", transposed);
}

sp_emit spi_step_of(sp_builder *b, int node, const sp_op_call *call)
{
    sp_emit e = {.b = b, .step = {.call = *call, .node = node, .work = -1}};
    for (int i = 0; i < SP_OP_MAX_BUFFERS; i++)
        e.step.operands[i].tensor = -1;
    write_label(b, &e.step);
    return e;
}

sp_emit spi_step(sp_builder *b, int node, const char *op)
{
    sp_op_call call = sp_op_call_make(op);
    return spi_step_of(b, node, &call);
}

void spi_int(sp_emit *e, const char *name, int64_t v)
{
    sp_call_set_int(&e->step.call, name, v);
}

void spi_float(sp_emit *e, const char *name, double v)
{
    sp_call_set_float(&e->step.call, name, v);
}

void spi_flag(sp_emit *e, const char *name, int v)
{
    sp_call_set_flag(&e->step.call, name, v);
}

void spi_bind_at(sp_emit *e, const char *buffer, int tensor, int dt, uint64_t at_elems)
{
    int i = sp_op_buffer_index(e->step.call.op, buffer);
    if (i >= 0)
        e->step.operands[i] = (sp_operand){tensor, dt, at_elems};
}

void spi_bind(sp_emit *e, const char *buffer, int tensor)
{
    spi_bind_at(e, buffer, tensor, 0, 0);
}

void spi_store_half(sp_emit *e, const char *flag, int tensor)
{
    const sp_op *op = e->step.call.op;
    sp_plan_tensor *v = &e->b->p->tensors[tensor];
    for (int i = 0; e->b->p->o.half && i < SP_OP_MAX_FLAGS && op->flags[i]; i++)
        if (strcmp(op->flags[i], flag) == 0) {
            spi_flag(e, flag, 1);
            if (!v->half)
                v->bytes = (v->bytes / 4 + 1) / 2 * 4;
            v->half = true;
        }
}

sp_status spi_pack_half(sp_builder *b, int node, int act, int *out)
{
    const sp_activation *a = &b->g->acts[act];
    char name[64];
    snprintf(name, sizeof name, "%.40s input as half", b->g->nodes[node].name);
    SP_TRY(spi_tensor_new(b, name, (spi_rows(b, a) * a->c + 1) / 2, SP_LIFETIME_SEGMENT, out));
    b->p->tensors[*out].half = true;
    sp_emit e = spi_step(b, node, "half.pack");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_bind(&e, "x", b->act[act].tensor), spi_bind(&e, "y", *out);
    return spi_emit(&e);
}

sp_status spi_bind_param(sp_emit *e, const char *buffer, int param, bool gradient)
{
    int v = -1;
    SP_TRY(spi_param_tensor(e->b, param, gradient, &v));
    spi_bind(e, buffer, v);
    return SP_OK;
}

int64_t spi_rows(const sp_builder *b, const sp_activation *a)
{
    return b->p->o.batch * a->h * a->w;
}

static sp_status check_operands(sp_builder *b, const sp_step *s)
{
    for (int i = 0; i < SP_OP_MAX_BUFFERS && s->call.op->buffers[i].name; i++)
        if (sp_call_has_buffer(&s->call, i) != (s->operands[i].tensor >= 0))
            return SP_FAIL(b->err, SP_E_FAILED, "%s: internal: operand %s %s", s->label,
                           s->call.op->buffers[i].name,
                           s->operands[i].tensor >= 0 ? "is bound but not used" : "is missing");
    return SP_OK;
}

sp_status spi_append(sp_builder *b, sp_segment *g, const sp_step *step)
{
    sp_step *s = sp_array_push(&g->steps, (size_t)g->n, sizeof *s);
    if (!s)
        return SP_FAIL(b->err, SP_E_MEMORY, "out of memory while planning");
    *s = *step;
    g->n++;
    return SP_OK;
}

sp_status spi_insert_first(sp_builder *b, sp_segment *g, const sp_step *step)
{
    const sp_step s = *step; /* which may be of this segment */
    SP_TRY(spi_append(b, g, &s));
    memmove(g->steps + 1, g->steps, (size_t)(g->n - 1) * sizeof *g->steps);
    g->steps[0] = s;
    return SP_OK;
}

void spi_remove_step(sp_segment *g, int i)
{
    memmove(&g->steps[i], &g->steps[i + 1], (size_t)(g->n - i - 1) * sizeof *g->steps);
    g->n--;
}

sp_status spi_emit(sp_emit *e)
{
    SP_TRY(check_operands(e->b, &e->step));
    return spi_append(e->b, &e->b->p->segments[e->b->segment], &e->step);
}

sp_status spi_gemm(sp_builder *b, int node, const sp_op_call *call, sp_operand m1, sp_operand m2,
                   sp_operand c)
{
    sp_emit e = spi_step_of(b, node, call);
    spi_bind_at(&e, "a", m1.tensor, m1.dt, m1.at_elems);
    spi_bind_at(&e, "b", m2.tensor, m2.dt, m2.at_elems);
    spi_bind_at(&e, "c", c.tensor, c.dt, c.at_elems);
    return spi_emit(&e);
}
