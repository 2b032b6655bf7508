/* The pass that keeps no potentials behind an input that is the same at all time steps, where the device has
 * kernels for that: they follow from the input and the number of the step, and to compute them again takes
 * less time than to write and read a map. Then the step of a neuron that goes back at one time step also goes
 * forward at the next, and the last one goes back behind all time steps. */
#include "base/error.h"
#include "plan/builder.h"

enum { MOST_STEPS = 16 }; /* the work of a step grows with its number */

/* How many operands of all segments a tensor is. */
static int bound_to(const sp_plan *p, int tensor)
{
    int n = 0;
    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segments[s].n; i++)
            for (int k = 0; k < SP_OP_MAX_BUFFERS; k++)
                n += p->segments[s].steps[i].operands[k].tensor == tensor;
    return n;
}

/* Whether a step behind step i writes the tensor. */
static bool changes_behind(const sp_segment *g, int i, int tensor)
{
    for (int n = i + 1; n < g->n; n++)
        for (int k = 0; k < SP_OP_MAX_BUFFERS && g->steps[n].call.op->buffers[k].name; k++)
            if (g->steps[n].operands[k].tensor == tensor && g->steps[n].call.op->buffers[k].access != SP_IN)
                return true;
    return false;
}

/* Whether a step other than i reads or writes the tensor. */
static bool used_beside(const sp_segment *g, int i, int tensor)
{
    for (int n = 0; n < g->n; n++)
        if (n != i && spi_uses(&g->steps[n], tensor))
            return true;
    return false;
}

/* The step forward of the neuron whose step back is i; -1 where its potentials are wanted elsewhere. */
static int forward_of(const sp_builder *b, const sp_segment *g, int i)
{
    const sp_step *back = &g->steps[i];
    for (int k = 0; k < i; k++) {
        const sp_step *s = &g->steps[k];
        if (s->node != back->node || !spi_is_op(s, "neuron.forward"))
            continue;
        const int u = spi_operand(s, "u").tensor;
        const bool only = u == spi_operand(back, "u").tensor && u == spi_operand(s, "u_prev").tensor;
        return only && bound_to(b->p, u) == 3 && !sp_call_flag(&s->call, "U_HALF") ? k : -1;
    }
    return -1;
}

/* Nobody reads what the sum begins with any more. */
static void remove_clear(sp_segment *begin, int sum)
{
    for (int i = 0; i < begin->n; i++)
        if (spi_is_op(&begin->steps[i], "fill") && spi_operand(&begin->steps[i], "y").tensor == sum) {
            spi_remove_step(begin, i);
            return;
        }
}

/* Kernels for both that nobody wants apart: neither forward and back, nor as the sum that is there now. */
static bool has_kernels(const sp_builder *b, const sp_step *forward, const sp_step *last)
{
    static const char *const apart[] = {"neuron.forward", "neuron.backward"};
    static const char sum[] = "neuron.backward_sum";
    const sp_op_call *const calls[] = {&forward->call, &last->call};
    const sp_op_call *const lasts[] = {&last->call, &last->call};
    return sp_select_fuses(b->p->reg, b->p->dev, calls, apart) &&
           sp_select_fuses(b->p->reg, b->p->dev, lasts, (const char *const[]){sum, sum});
}

/* A package is asked for the sum before this pass takes its place: it has to know the call. */
static sp_status record(const sp_builder *b, const sp_step *sum)
{
    sp_variant *v;
    return b->p->reg->recorder ? sp_select(b->p->reg, b->p->dev, &sum->call, &v, NULL, 0, b->err) : SP_OK;
}

static sp_status forget_potentials(sp_builder *b, int i)
{
    sp_segment *g = &b->p->segments[SP_SEGMENT_FULL];
    const sp_step *back = &g->steps[i];
    const int k = forward_of(b, g, i), sum = spi_operand(back, "g_x").tensor;
    if (k < 0 || sp_call_flag(&back->call, "TEMPORAL") || used_beside(g, i, sum) ||
        changes_behind(g, i, spi_operand(back, "g_y").tensor))
        return SP_OK;
    sp_emit forward = spi_step(b, back->node, "neuron.forward_static"),
            last = spi_step(b, back->node, "neuron.backward_static");
    sp_emit *const both[] = {&forward, &last};
    for (int n = 0; n < 2; n++) {
        spi_take_settings(&both[n]->step, &g->steps[k]);
        spi_take_settings(&both[n]->step, back);
    }
    spi_int(&last, "steps", b->p->o.time_steps);
    if (!has_kernels(b, &forward.step, &last.step))
        return SP_OK;
    SP_TRY(record(b, back));
    /* Of no segment, since no step uses it any more: it gets no place in the arena. */
    b->p->tensors[spi_operand(back, "u").tensor].lifetime = SP_LIFETIME_SEGMENT;
    g->steps[k] = forward.step;
    spi_remove_step(g, i);
    remove_clear(&b->p->segments[SP_SEGMENT_BEGIN], sum);
    return spi_insert_first(b, &b->p->segments[SP_SEGMENT_END], &last.step);
}

sp_status spi_forget_potentials(sp_builder *b)
{
    const sp_segment *g = &b->p->segments[SP_SEGMENT_FULL];
    const sp_plan_options *o = &b->p->o;
    if (o->keep_potentials || o->external_loss || o->time_steps > MOST_STEPS || b->p->n_stages != 1)
        return SP_OK; /* with a loss of the caller a time step may have none, or be the last */
    for (int i = g->n; i-- > 0;)
        if (spi_is_op(&g->steps[i], "neuron.backward_sum"))
            SP_TRY(forget_potentials(b, i));
    return SP_OK;
}
