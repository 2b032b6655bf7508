/* The pass that keeps no potentials behind an input that is the same at all time steps, where the device has
 * kernels for that: they follow from the input and the number of the step, and to compute them again takes
 * less time than to write and read a map.
 *
 * Before an average pool, the gradients of a few time steps take no more memory than their sum over the whole
 * map. Then all time steps of the neuron are one walk over the map forward, in front of the time steps, and
 * one back, behind them. Else the step of a neuron that goes back at one time step also goes forward at the
 * next, and the last one goes back behind all time steps. */
#include "base/error.h"
#include "plan/builder.h"

enum { MOST_STEPS = 16 }; /* where the work of a step grows with its number */

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

/* Whether the tensor is used in segment g alone, whole and of this time step, so that it may as well have a
 * place for each time step. */
static bool is_of_one_step(const sp_plan *p, const sp_segment *g, int tensor)
{
    if (p->tensors[tensor].lifetime != SP_LIFETIME_SEGMENT)
        return false;
    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segments[s].n; i++)
            for (int k = 0; k < SP_OP_MAX_BUFFERS; k++) {
                const sp_operand *o = &p->segments[s].steps[i].operands[k];
                if (o->tensor == tensor && (&p->segments[s] != g || o->dt || o->at_elems))
                    return false;
            }
    return true;
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

/* The potentials are of no segment, since no step uses them any more: they get no place in the arena. */
static void forget(sp_plan *p, int u, int sum)
{
    p->tensors[u].lifetime = SP_LIFETIME_SEGMENT;
    remove_clear(&p->segments[SP_SEGMENT_BEGIN], sum);
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

/* The same of the sums of a norm, and what follows from them. */
static bool has_norm_kernels(const sp_builder *b, const sp_step *last, const sp_step *apply)
{
    static const char *const apart[] = {"neuron.backward", "batch_norm.backward"};
    const sp_op_call *const calls[] = {&last->call, &apply->call};
    return sp_select_fuses(b->p->reg, b->p->dev, calls, apart);
}

/* A package is asked for the sum before this pass takes its place: it has to know the call. */
static sp_status record(const sp_builder *b, const sp_step *sum)
{
    sp_variant *v;
    return b->p->reg->recorder ? sp_select(b->p->reg, b->p->dev, &sum->call, &v, NULL, 0, b->err) : SP_OK;
}

/* ---- all time steps in one walk ---- */

/* From now on the tensor has a place for each time step, side by side. */
static void keep_all_steps(sp_plan *p, int tensor)
{
    sp_plan_tensor *v = &p->tensors[tensor];
    v->lifetime = SP_LIFETIME_HISTORY;
    v->contiguous = true;
    v->slots = (int)p->o.time_steps;
}

/* The step of the END segment that goes back through the norm of the neuron of `back`: its input is that of
 * the neuron forward; -1: none. */
static int norm_behind(const sp_segment *end, const sp_step *forward, const sp_step *back)
{
    for (int i = 0; i < end->n; i++) {
        const sp_step *s = &end->steps[i];
        if (spi_is_op(s, "batch_norm.backward") && !sp_call_flag(&s->call, "X_HALF") &&
            spi_operand(s, "g").tensor == spi_operand(back, "g_x").tensor &&
            spi_operand(s, "x").tensor == spi_operand(forward, "x").tensor)
            return i;
    }
    return -1;
}

/* The walk back makes the sums of the norm too, and `apply` what follows from them. */
static void add_sums(sp_emit *last, sp_emit *apply, const sp_step *norm)
{
    const sp_operand sum = spi_operand(&last->step, "g_x");
    spi_take_settings(&last->step, norm), spi_take_settings(&apply->step, norm);
    spi_flag(last, "SUMS", 1);
    spi_bind(last, "g_x", sum.tensor);
}

/* Steps of END, the first in front of all others; the one behind it stands in the place of the norm's. */
static sp_status put_back(sp_builder *b, sp_emit *last, sp_emit *apply, int norm)
{
    sp_segment *end = &b->p->segments[SP_SEGMENT_END];
    if (norm >= 0) {
        const int64_t elems = 2 * sp_call_int(&apply->step.call, "C");
        int sums;
        SP_TRY(spi_tensor_new(b, "sums of a norm", elems, SP_LIFETIME_SEGMENT, &sums));
        spi_bind(last, "sums", sums), spi_bind(apply, "sums", sums);
        end->steps[norm] = apply->step;
    }
    return spi_insert_first(b, end, &last->step);
}

/* Whether the gradients and spikes of all time steps fit into the place of the gradient of one and the sum,
 * and the sum, which is there behind the time steps alone then, into what these work in. */
static sp_status saves_memory(const sp_builder *b, int s, int g_y, int sum, bool *saves)
{
    const sp_plan_tensor *v = b->p->tensors;
    const uint64_t all = (uint64_t)b->p->o.time_steps * (v[s].bytes + v[g_y].bytes);
    uint64_t working;
    SP_TRY(spi_working_bytes(b->p, SP_SEGMENT_FULL, &working, b->err));
    *saves = all <= v[g_y].bytes + v[sum].bytes && v[sum].bytes <= working;
    return SP_OK;
}

/* Step k forward and step i back of a neuron become one each, in front of all time steps and behind them. */
static sp_status walk_all_steps(sp_builder *b, int k, int i, bool *done)
{
    sp_plan *p = b->p;
    sp_segment *g = &p->segments[SP_SEGMENT_FULL], *end = &p->segments[SP_SEGMENT_END];
    const sp_step *front = &g->steps[k], *back = &g->steps[i];
    const int s = spi_operand(front, "s").tensor, g_y = spi_operand(back, "g_y").tensor;
    const int sum = spi_operand(back, "g_x").tensor;
    int norm = norm_behind(end, front, back);
    sp_emit forward = spi_step(b, back->node, "neuron.forward_steps"),
            last = spi_step(b, back->node, "neuron.backward_steps"), apart, apply = {.b = b};
    bool saves;
    *done = false;
    SP_TRY(saves_memory(b, s, g_y, sum, &saves));
    if (!saves || !is_of_one_step(p, g, s) || !is_of_one_step(p, g, g_y))
        return SP_OK;
    spi_take_settings(&forward.step, front);
    spi_take_settings(&last.step, front), spi_take_settings(&last.step, back);
    spi_int(&forward, "steps", p->o.time_steps), spi_int(&last, "steps", p->o.time_steps);
    apart = last;
    if (norm >= 0) {
        apply = spi_step(b, end->steps[norm].node, "batch_norm.apply");
        add_sums(&last, &apply, &end->steps[norm]);
        if (!has_norm_kernels(b, &last.step, &apply.step))
            norm = -1, last = apart;
    }
    if (!has_kernels(b, &forward.step, &last.step))
        return SP_OK;
    *done = true;
    keep_all_steps(p, s), keep_all_steps(p, g_y);
    p->tensors[sum].lifetime = SP_LIFETIME_SEGMENT;
    spi_remove_step(g, i), spi_remove_step(g, k);
    SP_TRY(spi_append(b, &p->segments[SP_SEGMENT_BEGIN], &forward.step));
    return put_back(b, &last, &apply, norm);
}

/* ---- one time step with the one before ---- */

static sp_status forget_potentials(sp_builder *b, int i)
{
    sp_segment *g = &b->p->segments[SP_SEGMENT_FULL];
    const sp_step *back = &g->steps[i];
    const int k = forward_of(b, g, i), sum = spi_operand(back, "g_x").tensor,
              u = spi_operand(back, "u").tensor;
    bool done;
    if (k < 0 || sp_call_flag(&back->call, "TEMPORAL") || used_beside(g, i, sum) ||
        changes_behind(g, i, spi_operand(back, "g_y").tensor))
        return SP_OK;
    SP_TRY(record(b, back));
    SP_TRY(walk_all_steps(b, k, i, &done));
    if (done) {
        forget(b->p, u, sum);
        return SP_OK;
    }
    if (b->p->o.time_steps > MOST_STEPS)
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
    forget(b->p, u, sum);
    g->steps[k] = forward.step;
    spi_remove_step(g, i);
    return spi_insert_first(b, &b->p->segments[SP_SEGMENT_END], &last.step);
}

sp_status spi_forget_potentials(sp_builder *b)
{
    const sp_segment *g = &b->p->segments[SP_SEGMENT_FULL];
    const sp_plan_options *o = &b->p->o;
    if (o->keep_potentials || o->external_loss || b->p->n_stages != 1)
        return SP_OK; /* with a loss of the caller a time step may have none, or be the last */
    for (int i = g->n; i-- > 0;)
        if (spi_is_op(&g->steps[i], "neuron.backward_sum"))
            SP_TRY(forget_potentials(b, i));
    return SP_OK;
}
