/* Values and steps: the vocabulary of the schedule builders. Every emitted step has its kernel chosen and
 * built. */
#include "plan/builder.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "registry/wisdom.h"

sp_status spi_value_new(sp_builder *b, const char *name, int64_t elems, sp_store store, int *out)
{
    sp_plan *p = b->p;
    sp_value *v = sp_array_push(&p->values, (size_t)p->n_values, sizeof *v);
    if (!v)
        return SP_FAIL(b->err, SP_E_MEMORY, "out of memory while planning");
    *v = (sp_value){
        .bytes = (uint64_t)elems * 4, .store = store, .segment = -1, .first = -1, .last = -1, .shares = -1};
    snprintf(v->name, sizeof v->name, "%.63s", name);
    *out = p->n_values++;
    return SP_OK;
}

sp_status spi_value_fixed(sp_builder *b, const char *name, uint64_t at_elems, int64_t elems, int *out)
{
    SP_TRY(spi_value_new(b, name, elems, SP_STORE_FIXED, out));
    b->p->values[*out].fixed_at = at_elems;
    return SP_OK;
}

sp_status spi_param_value(sp_builder *b, int param, bool gradient, int *out)
{
    const sp_param *p = &b->g->params[param];
    const sp_model *m = b->p->model;
    uint64_t at = (uint64_t)p->at + (!p->trainable ? m->buffers_at : gradient ? m->g_at : m->w_at);
    return spi_value_fixed(b, p->name, at, p->elems, out);
}

sp_emit spi_step(sp_builder *b, int node, const char *op)
{
    sp_emit e = {.b = b};
    e.step.call = sp_op_call_make(op);
    e.step.node = node;
    e.step.work = -1;
    for (int i = 0; i < SP_OP_MAX_BUFFERS; i++)
        e.step.operands[i].value = -1;
    char family[64];
    sp_op_family(e.step.call.op, family, sizeof family);
    snprintf(e.step.label, sizeof e.step.label, "%s%s%s%s", node >= 0 ? b->g->nodes[node].name : "",
             node >= 0 ? " " : "", family,
             b->p->o.method == SP_METHOD_EVAL ? " (eval)" : ""); /* both plans share a profile */
    return e;
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

void spi_bind_at(sp_emit *e, const char *buffer, int value, int dt, uint64_t at_elems)
{
    int i = sp_op_buffer_index(e->step.call.op, buffer);
    if (i >= 0)
        e->step.operands[i] = (sp_operand){value, dt, at_elems};
}

void spi_bind(sp_emit *e, const char *buffer, int value)
{
    spi_bind_at(e, buffer, value, 0, 0);
}

void spi_store_half(sp_emit *e, const char *flag, int value)
{
    const sp_op *op = e->step.call.op;
    sp_value *v = &e->b->p->values[value];
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
    SP_TRY(spi_value_new(b, name, (spi_rows(b, a) * a->c + 1) / 2, SP_STORE_LOCAL, out));
    b->p->values[*out].half = true;
    sp_emit e = spi_step(b, node, "half.pack");
    spi_int(&e, "M", spi_rows(b, a)), spi_int(&e, "C", a->c);
    spi_bind(&e, "x", b->act[act]), spi_bind(&e, "y", *out);
    return spi_emit(&e);
}

sp_status spi_bind_param(sp_emit *e, const char *buffer, int param, bool gradient)
{
    int v = -1;
    SP_TRY(spi_param_value(e->b, param, gradient, &v));
    spi_bind(e, buffer, v);
    return SP_OK;
}

int64_t spi_rows(const sp_builder *b, const sp_activation *a)
{
    return b->p->o.batch * a->h * a->w;
}

/* Chooses a kernel and builds it; one that cannot be built is refused with the reason (after smaller groups,
 * where its groups were too large) and the next one is tried. Of a variant that lowers there is nothing to
 * build: s->launch stays NULL. */
static sp_status choose_and_build(sp_builder *b, sp_step *s)
{
    for (;;) {
        SP_TRY(sp_select(b->p->reg, b->p->dev, &s->call, &s->variant, s->why, sizeof s->why, b->err));
        if (s->variant->kind == SP_VARIANT_LOWER)
            return SP_OK;
        sp_error why = {0};
        int64_t tunes[SP_VARIANT_MAX_TUNES];
        bool tuned = sp_wisdom_tunes(b->p->reg, s->variant, &s->call, tunes);
        sp_status st = sp_launch_create(b->p->reg, b->p->dev, s->variant, &s->call, tuned ? tunes : NULL,
                                        &s->launch, &why);
        if (st == SP_OK)
            return b->p->reg->recorder
                       ? sp_package_record_launch(b->p->reg->recorder, b->p->reg, s->launch, b->err)
                       : SP_OK;
        if (s->variant->origin == SP_ORIGIN_REFERENCE || st == SP_E_MEMORY || b->p->reg->package) {
            if (b->err)
                *b->err = why;
            return sp_error_prefix(b->err, st, "%s: ", s->label);
        }
        if (why.cl_code == CL_INVALID_WORK_GROUP_SIZE &&
            sp_variant_shrink_groups(s->variant, b->p->dev, &s->call))
            continue;
        sp_log(SP_LOG_WARNING, "plugin %s refused: %s", s->variant->id, why.text);
        sp_variant_refuse(s->variant, why.text);
    }
}

/* Builds too, and the step keeps what was built for spi_emit: the choice cannot change in between. */
sp_status spi_choose(sp_builder *b, sp_step *step, bool *lowers)
{
    SP_TRY(choose_and_build(b, step));
    *lowers = !step->launch;
    return SP_OK;
}

static sp_status check_operands(sp_builder *b, const sp_step *s)
{
    for (int i = 0; i < SP_OP_MAX_BUFFERS && s->call.op->buffers[i].name; i++)
        if (sp_call_has_buffer(&s->call, i) != (s->operands[i].value >= 0))
            return SP_FAIL(b->err, SP_E_FAILED, "%s: internal: operand %s %s", s->label,
                           s->call.op->buffers[i].name,
                           s->operands[i].value >= 0 ? "is bound but not used" : "is missing");
    return SP_OK;
}

sp_status spi_emit(sp_emit *e)
{
    sp_builder *b = e->b;
    sp_step *s = &e->step;
    sp_segment *seg = &b->p->segments[b->segment];
    sp_status st = check_operands(b, s);
    if (st != SP_OK) {
        sp_launch_destroy(&s->launch);
        return st;
    }
    if (!s->launch)
        SP_TRY(choose_and_build(b, s));
    if (!s->launch)
        return SP_FAIL(b->err, SP_E_FAILED, "%s: internal: a lowered op reached the emitter", s->label);
    if (!sp_array_push(&seg->steps, (size_t)seg->n, sizeof *seg->steps)) {
        sp_launch_destroy(&s->launch);
        return SP_FAIL(b->err, SP_E_MEMORY, "out of memory while planning");
    }
    uint64_t work = sp_launch_workspace(s->launch);
    char name[64];
    snprintf(name, sizeof name, "workspace of %.50s", s->label);
    seg->steps[seg->n] = *s; /* the plan owns the launch from here */
    seg->n++;
    if (work)
        SP_TRY(
            spi_value_new(b, name, (int64_t)((work + 3) / 4), SP_STORE_LOCAL, &seg->steps[seg->n - 1].work));
    return SP_OK;
}
