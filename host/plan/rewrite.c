/* The passes that replace steps by others that do the same (and fuse.c): batch norms meet between shards, and
 * convolutions are lowered to matrix products where the device has kernels for that. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "op/lowered.h"
#include "plan/builder.h"

bool spi_is_op(const sp_step *s, const char *family)
{
    size_t n = strlen(family);
    return strncmp(s->call.op->id, family, n) == 0 && s->call.op->id[n] == '/';
}

sp_operand spi_operand(const sp_step *s, const char *buffer)
{
    int i = sp_op_buffer_index(s->call.op, buffer);
    return i >= 0 ? s->operands[i] : (sp_operand){-1, 0, 0};
}

bool spi_uses(const sp_step *s, int tensor)
{
    for (int k = 0; k < SP_OP_MAX_BUFFERS; k++)
        if (s->operands[k].tensor == tensor)
            return true;
    return false;
}

void spi_take_settings(sp_step *to, const sp_step *from)
{
    const sp_op *a = to->call.op, *b = from->call.op;
    for (int i = 0; i < SP_OP_MAX_INTS && a->ints[i]; i++)
        for (int k = 0; k < SP_OP_MAX_INTS && b->ints[k]; k++)
            if (strcmp(a->ints[i], b->ints[k]) == 0)
                to->call.ints[i] = from->call.ints[k];
    for (int i = 0; i < SP_OP_MAX_FLOATS && a->floats[i]; i++)
        for (int k = 0; k < SP_OP_MAX_FLOATS && b->floats[k]; k++)
            if (strcmp(a->floats[i], b->floats[k]) == 0)
                to->call.floats[i] = from->call.floats[k];
    for (int i = 0; i < SP_OP_MAX_FLAGS && a->flags[i]; i++)
        for (int k = 0; k < SP_OP_MAX_FLAGS && b->flags[k]; k++)
            if (strcmp(a->flags[i], b->flags[k]) == 0)
                to->call.flags[i] = from->call.flags[k];
    for (int i = 0; i < SP_OP_MAX_BUFFERS && a->buffers[i].name; i++)
        if (sp_op_buffer_index(b, a->buffers[i].name) >= 0)
            to->operands[i] = spi_operand(from, a->buffers[i].name);
    to->call.neuron = from->call.neuron ? from->call.neuron : to->call.neuron;
    to->call.surrogate = from->call.surrogate ? from->call.surrogate : to->call.surrogate;
}

/* ---- synchronised batch norms ---- */

static sp_status add_gradient(sp_builder *b, sp_segment *to, const sp_step *norm, const char *buffer,
                              int sums, uint64_t at)
{
    const sp_operand g = spi_operand(norm, buffer);
    sp_emit e = spi_step(b, norm->node, "bias.backward");
    spi_int(&e, "M", 1), spi_int(&e, "C", sp_call_int(&norm->call, "C"));
    spi_bind_at(&e, "e", sums, 0, at);
    spi_bind_at(&e, "g_bias", g.tensor, g.dt, g.at_elems);
    return spi_append(b, to, &e.step);
}

/* The sums of a norm's backward pass, and what follows from them, as steps of their own. */
static sp_status split_norm(sp_builder *b, sp_segment *to, const sp_step *norm)
{
    const int64_t c = sp_call_int(&norm->call, "C");
    int sums, unused;
    SP_TRY(spi_tensor_new(b, "sums of a norm", 2 * c, SP_LIFETIME_SEGMENT, &sums));
    SP_TRY(spi_tensor_new(b, "gradient by the sums of one shard", sp_call_int(&norm->call, "M") * c,
                          SP_LIFETIME_SEGMENT, &unused));
    sp_emit clear = spi_step(b, norm->node, "fill"), part = {b, *norm},
            apply = spi_step(b, norm->node, "batch_norm.apply");
    spi_int(&clear, "M", 2 * c), spi_float(&clear, "value", 0), spi_bind(&clear, "y", sums);
    spi_take_settings(&apply.step, norm);
    spi_bind(&apply, "sums", sums);
    spi_bind(&part, "g_beta", sums), spi_bind_at(&part, "g_gamma", sums, 0, (uint64_t)c);
    spi_bind(&part, "g_x", unused);
    part.step.sync = SP_SYNC_SUMS;
    part.step.sums = sums;
    SP_TRY(spi_append(b, to, &clear.step));
    SP_TRY(spi_append(b, to, &part.step));
    SP_TRY(add_gradient(b, to, norm, "g_beta", sums, 0));
    SP_TRY(add_gradient(b, to, norm, "g_gamma", sums, (uint64_t)c));
    return spi_append(b, to, &apply.step);
}

/* Whether a step of a neuron makes the sums of the norm before it. */
static bool makes_sums(const sp_step *s)
{
    const int sums = sp_op_buffer_index(s->call.op, "sums");
    return sums >= 0 && s->call.op->buffers[sums].access == SP_OUT && s->operands[sums].tensor >= 0;
}

/* Marks the steps behind which shards meet. A step's own update of the running statistics is taken away, as
 * it would be that of one shard. */
static sp_status sync_segment(sp_builder *b, const sp_segment *from, sp_segment *to)
{
    for (int i = 0; i < from->n; i++) {
        sp_emit e = {b, from->steps[i]};
        if (spi_is_op(&e.step, "batch_norm.backward")) {
            SP_TRY(split_norm(b, to, &e.step));
            continue;
        }
        if (spi_is_op(&e.step, "batch_norm.statistics")) {
            e.step.sync = SP_SYNC_STATISTICS;
            spi_float(&e, "momentum", 0);
        }
        if (makes_sums(&e.step)) {
            e.step.sync = SP_SYNC_SUMS;
            e.step.sums = spi_operand(&e.step, "sums").tensor;
        }
        SP_TRY(spi_append(b, to, &e.step));
    }
    return SP_OK;
}

sp_status spi_sync_norms(sp_builder *b)
{
    for (int s = 0; b->p->o.sync_norm && s < b->p->n_segments; s++) {
        sp_segment *g = &b->p->segments[s], synced = *g;
        synced.steps = NULL, synced.n = 0;
        sp_status st = sync_segment(b, g, &synced);
        sp_free(st == SP_OK ? g->steps : synced.steps);
        SP_TRY(st);
        *g = synced;
    }
    return SP_OK;
}

/* ---- lower ---- */

/* A GEMM variant that was asked for by name must do the work: convolutions are then lowered to it. */
static bool gemm_is_forced(const sp_registry *reg)
{
    bool gemm = false;
    for (size_t i = 0; i < reg->n_forced; i++) {
        if (strncmp(reg->forced[i].op, "conv", 4) == 0)
            return false;
        gemm = gemm || strncmp(reg->forced[i].op, "gemm", 4) == 0;
    }
    return gemm;
}

static sp_status is_lowered(sp_plan *p, sp_step *s, bool *out, sp_error *err)
{
    sp_lowered_part parts[SP_LOWERED_MAX_PARTS];
    *out = false;
    if (s->launch || sp_op_lowered(&s->call, parts) == 0)
        return SP_OK;
    if (!gemm_is_forced(p->reg))
        SP_TRY(spi_choose(p, s, err));
    *out = !s->variant || s->variant->kind == SP_VARIANT_LOWER;
    return SP_OK;
}

static sp_operand moved(sp_operand o, int64_t at)
{
    o.at_elems += (uint64_t)at;
    return o;
}

static void bind(sp_emit *e, const char *buffer, sp_operand o)
{
    spi_bind_at(e, buffer, o.tensor, o.dt, o.at_elems);
}

/* One chunk, from image `at` on: its patches and its product. y is the output or its gradient. */
static sp_status lower_chunk(sp_builder *b, const sp_step *s, const sp_lowered_part *part, int64_t at)
{
    const sp_op_call *c = &s->call;
    const bool input = spi_is_op(s, "conv.backward_input"), forward = spi_is_op(s, "conv.forward");
    const char *x = input ? "g_x" : "x";
    int64_t x_at = at * (sp_call_buffer_elems(c, sp_op_buffer_index(c->op, x)) / sp_call_int(c, "N"));
    int64_t y_at = at * sp_call_int(c, "HO") * sp_call_int(c, "WO") * sp_call_int(c, "O");
    char name[64];
    sp_operand col = {.tensor = -1};
    snprintf(name, sizeof name, "%.40s %s", b->g->nodes[s->node].name, input ? "patch gradients" : "patches");
    sp_emit e = spi_step_of(b, s->node, &part[0].call);
    int64_t elems = sp_call_buffer_elems(&part[0].call, sp_op_buffer_index(part[0].call.op, "col"));
    SP_TRY(spi_tensor_new(b, name, elems, SP_LIFETIME_SEGMENT, &col.tensor));
    spi_bind(&e, "col", col.tensor), bind(&e, x, moved(spi_operand(s, x), x_at));
    if (!input)
        SP_TRY(spi_emit(&e));
    SP_TRY(forward ? spi_gemm(b, s->node, &part[1].call, col, spi_operand(s, "w"),
                              moved(spi_operand(s, "y"), y_at))
           : input ? spi_gemm(b, s->node, &part[1].call, moved(spi_operand(s, "e"), y_at),
                              spi_operand(s, "w"), col)
                   : spi_gemm(b, s->node, &part[1].call, col, moved(spi_operand(s, "e"), y_at),
                              spi_operand(s, "g_w")));
    return input ? spi_emit(&e) : SP_OK;
}

static sp_status lower_step(sp_builder *b, const sp_step *s)
{
    sp_lowered_part parts[SP_LOWERED_MAX_PARTS];
    size_t n = sp_op_lowered(&s->call, parts), k = 0;
    int64_t at = 0;
    if (spi_operand(s, "bias").tensor >= 0) {
        sp_emit e = spi_step_of(b, s->node, &parts[k++].call);
        bind(&e, "bias", spi_operand(s, "bias")), bind(&e, "y", spi_operand(s, "y"));
        SP_TRY(spi_emit(&e));
    }
    for (; k < n; k += 2)
        for (int64_t i = 0; i < parts[k].times; i++, at += sp_call_int(&parts[k].call, "N"))
            SP_TRY(lower_chunk(b, s, &parts[k], at));
    return SP_OK;
}

/* The steps move to a new array; those that are lowered come as several. */
static sp_status lower_segment(sp_builder *b, int segment)
{
    sp_segment *g = &b->p->segments[segment], old = *g;
    sp_status st = SP_OK;
    b->segment = segment;
    g->steps = NULL, g->n = 0;
    for (int i = 0; i < old.n; i++) {
        bool lower = false;
        int made = g->n;
        if (st == SP_OK)
            st = is_lowered(b->p, &old.steps[i], &lower, b->err);
        if (st == SP_OK)
            st = lower ? lower_step(b, &old.steps[i]) : spi_append(b, g, &old.steps[i]);
        for (; lower && made < g->n; made++)
            g->steps[made].lowering = old.steps[i].variant;
        if (st != SP_OK)
            sp_launch_destroy(&old.steps[i].launch);
    }
    sp_free(old.steps);
    return st;
}

sp_status spi_lower(sp_builder *b)
{
    for (int s = 0; s < b->p->n_segments; s++)
        SP_TRY(lower_segment(b, s));
    return SP_OK;
}
