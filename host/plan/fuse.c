/* The pass that puts the backward pass of a neuron together with what lies around it, where the device has
 * kernels for that: the average pool behind it, the batch norm before it, and the sum over time steps where
 * its input does not change. Each saves walks over the maps of the layer, whose bytes are what these steps
 * cost. */
#include <string.h>

#include "base/error.h"
#include "plan/builder.h"

/* A neuron's backward step and the steps around it that could go into it; -1 where there are none. */
typedef struct around {
    int pool, neuron, norm;
    const int *users; /* of each tensor: how many steps of the segment read or write it, or more */
} around;

/* The only step beside `but` that reads or writes a tensor which that step uses, found in its neighbourhood;
 * -1: several, or none. */
static int only_other(const sp_segment *g, const int *users, int but, int tensor)
{
    for (int d = 1; users[tensor] == 2 && d < g->n; d++) {
        if (but - d >= 0 && spi_uses(&g->steps[but - d], tensor))
            return but - d;
        if (but + d < g->n && spi_uses(&g->steps[but + d], tensor))
            return but + d;
    }
    return -1;
}

/* The step that goes back through the average pool behind the neuron of step i, and nothing else reads what
 * it makes. */
static int pool_of(const sp_segment *g, const int *users, int i)
{
    const int tensor = spi_operand(&g->steps[i], "g_s").tensor, k = only_other(g, users, i, tensor);
    const bool pool = k >= 0 && k < i && spi_is_op(&g->steps[k], "pool.avg.backward");
    return pool && spi_operand(&g->steps[k], "g_x").tensor == tensor ? k : -1;
}

/* The step that goes back through the norm whose output the neuron of step i reads. */
static int norm_of(const sp_builder *b, const sp_segment *g, int i)
{
    const sp_step *s = &g->steps[i];
    const int producer = b->g->acts[b->g->nodes[s->node].in[0]].producer;
    if (producer < 0 || !b->g->nodes[producer].fused)
        return -1;
    for (int k = i + 1; k < g->n; k++)
        if (g->steps[k].node == producer && spi_is_op(&g->steps[k], "batch_norm.backward"))
            return spi_operand(&g->steps[k], "g").tensor == spi_operand(s, "g_x").tensor ? k : -1;
    return -1;
}

/* A step in the place of the neuron's, which reads the gradient behind the pool where there is one, and else
 * g_s as if a window were one pixel wide. */
static sp_emit step_behind_pool(sp_builder *b, const sp_segment *g, const around *a, const char *op)
{
    static const char *const ones[] = {"N", "H", "KH", "KW", "SH", "SW", "HO"};
    const sp_step *neuron = &g->steps[a->neuron];
    sp_emit e = spi_step(b, neuron->node, op);
    if (a->pool >= 0) {
        spi_take_settings(&e.step, &g->steps[a->pool]);
    } else {
        const sp_operand g_s = spi_operand(neuron, "g_s");
        for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
            spi_int(&e, ones[i], 1);
        spi_int(&e, "W", sp_call_int(&neuron->call, "M")), spi_int(&e, "WO", sp_call_int(&neuron->call, "M"));
        spi_bind_at(&e, "g_y", g_s.tensor, g_s.dt, g_s.at_elems);
    }
    spi_take_settings(&e.step, neuron);
    return e;
}

/* The step itself counts twice where there is but one. */
static bool has_kernels(const sp_builder *b, const sp_step *one, const sp_step *two, const char *apart,
                        const char *also)
{
    return sp_select_fuses(b->p->reg, b->p->dev, (const sp_op_call *const[]){&one->call, &two->call},
                           (const char *const[]){apart, also});
}

/* ---- sums over time steps ---- */

enum { MOST_READERS = 4 }; /* of an error signal: gradients of weight and bias, and two to spare */

/* Whether a step adds to the gradients of a layer whose input does not change: then it may as well take the
 * sum of the error signals of all time steps. */
static bool adds_to_gradients(const sp_builder *b, const sp_step *s)
{
    static const char *const families[] = {"conv.backward_weight", "group_conv.backward_weight",
                                           "bias.backward", "add"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (spi_is_op(s, families[i]))
            return spi_node_is_static(b, s->node);
    return false;
}

/* The steps that read what step i makes of `tensor`; 0 where one of them does anything but adding to
 * gradients. */
static int readers_of(const sp_builder *b, const sp_segment *g, int i, int tensor, int readers[MOST_READERS])
{
    int n = 0;
    for (int k = 0; k < g->n; k++)
        if (k != i && spi_uses(&g->steps[k], tensor)) {
            if (k < i || n == MOST_READERS || !adds_to_gradients(b, &g->steps[k]))
                return 0;
            readers[n++] = k;
        }
    return n;
}

/* The steps of a segment that are run once, behind all time steps, on the sum of the error signals; what the
 * norm makes of it takes its place. */
static sp_status move_to_end(sp_builder *b, sp_segment *g, const int *steps, int n, const int errors[2],
                             int sum)
{
    sp_segment *end = &b->p->segments[SP_SEGMENT_END];
    for (int i = n; i-- > 0;) {
        sp_step s = g->steps[steps[i]];
        for (int o = 0; o < SP_OP_MAX_BUFFERS; o++)
            if (s.operands[o].tensor >= 0 &&
                (s.operands[o].tensor == errors[0] || s.operands[o].tensor == errors[1]))
                s.operands[o].tensor = sum;
        SP_TRY(spi_insert_first(b, end, &s));
        spi_remove_step(g, steps[i]);
    }
    return SP_OK;
}

static bool steps_can_be_summed(const sp_builder *b)
{
    const sp_plan_options *o = &b->p->o;
    const bool few =
        o->method == SP_METHOD_SLTT_K || o->method == SP_METHOD_LTL; /* perhaps one of them alone */
    return b->training && o->time_steps > 1 && !few && !b->rates && !o->online_update && b->p->n_stages == 1;
}

/* Behind a static input the norm's backward pass and the gradients of weights are linear in the error signal,
 * and everything else they read is the same at every time step. A linear layer has its sum already. */
static sp_status sum_over_steps(sp_builder *b, sp_segment *g, around a, bool *done)
{
    const int last = a.norm >= 0 ? a.norm : a.neuron;
    const int errors[2] = {spi_operand(&g->steps[a.neuron], "g_x").tensor,
                           spi_operand(&g->steps[last], "g_x").tensor};
    int moved[MOST_READERS + 1], n = 0, sum;
    const int producer = b->g->acts[b->g->nodes[g->steps[a.neuron].node].in[0]].producer;
    if (a.norm >= 0
            ? !spi_norm_is_static(b, producer) || only_other(g, a.users, a.neuron, errors[0]) != a.norm
            : producer < 0 || !spi_node_is_static(b, producer))
        return SP_OK;
    if (a.norm >= 0)
        moved[n++] = a.norm;
    n += readers_of(b, g, last, errors[1], moved + n);
    if (n == (a.norm >= 0))
        return SP_OK;
    sp_emit e = step_behind_pool(b, g, &a, "neuron.backward_sum");
    *done = has_kernels(b, &e.step, &e.step, "neuron.backward",
                        a.pool >= 0 ? "pool.avg.backward" : "neuron.backward");
    if (!*done)
        return SP_OK;
    const sp_step *reader = &g->steps[moved[0]];
    if (a.norm < 0 && n == 1 && spi_is_op(reader, "add")) {
        sum = spi_operand(reader, "y").tensor;
        spi_remove_step(g, moved[0]);
    } else {
        const int node = g->steps[a.neuron].node;
        const sp_activation *y = &b->g->acts[b->g->nodes[node].out];
        static const char what[] = "sum of error signals";
        b->segment = SP_SEGMENT_BEGIN;
        SP_TRY(spi_node_tensor(b, node, what, spi_rows(b, y) * y->c, SP_LIFETIME_PLAN, &sum));
        SP_TRY(spi_clear(b, node, what, sum));
        SP_TRY(move_to_end(b, g, moved, n, errors, sum));
    }
    spi_bind(&e, "g_x", sum);
    g->steps[a.neuron] = e.step;
    if (a.pool >= 0)
        spi_remove_step(g, a.pool);
    return SP_OK;
}

/* ---- a norm's sums from its neuron's step ---- */

/* One walk over the maps instead of two. What lies between the two steps computes the norm's input again, so
 * it goes first. */
static sp_status fuse_norm(sp_builder *b, sp_segment *g, around a, bool *done)
{
    const sp_step *norm = &g->steps[a.norm];
    sp_emit fused, apply = spi_step(b, norm->node, "batch_norm.apply");
    int sums;
    if (a.pool >= 0) {
        fused = step_behind_pool(b, g, &a, "neuron.backward_pool");
    } else {
        fused = spi_step(b, g->steps[a.neuron].node, "neuron.backward_norm");
        spi_take_settings(&fused.step, &g->steps[a.neuron]);
    }
    const sp_operand g_x = spi_operand(&fused.step, "g_x");
    spi_take_settings(&fused.step, norm), spi_take_settings(&apply.step, norm);
    spi_bind_at(&fused, "g_x", g_x.tensor, g_x.dt, g_x.at_elems);
    *done = has_kernels(b, &fused.step, &apply.step, "neuron.backward", "batch_norm.backward") &&
            (a.pool < 0 || has_kernels(b, &fused.step, &fused.step, "pool.avg.backward", "neuron.backward"));
    if (!*done)
        return SP_OK;
    SP_TRY(
        spi_tensor_new(b, "sums of a norm", 2 * sp_call_int(&norm->call, "C"), SP_LIFETIME_SEGMENT, &sums));
    spi_bind(&fused, "sums", sums), spi_bind(&apply, "sums", sums);
    g->steps[a.norm] = apply.step;
    memmove(&g->steps[a.neuron], &g->steps[a.neuron + 1], (size_t)(a.norm - a.neuron - 1) * sizeof *g->steps);
    g->steps[a.norm - 1] = fused.step;
    if (a.pool >= 0)
        spi_remove_step(g, a.pool);
    return SP_OK;
}

/* With the pool where there are kernels for that, else without it. */
static sp_status fuse_neuron(sp_builder *b, int segment, int i, const int *users)
{
    const bool timed = segment == SP_SEGMENT_FULL || segment == SP_SEGMENT_BACKWARD;
    sp_segment *g = &b->p->segments[segment];
    around a = {.pool = pool_of(g, users, i), .neuron = i, .norm = norm_of(b, g, i), .users = users};
    bool done = false;
    for (int with_pool = a.pool >= 0; with_pool >= 0 && !done; with_pool--, a.pool = -1) {
        if (timed && steps_can_be_summed(b))
            SP_TRY(sum_over_steps(b, g, a, &done));
        if (!done && a.norm >= 0)
            SP_TRY(fuse_norm(b, g, a, &done));
    }
    return SP_OK;
}

static void count_users(const sp_segment *g, int *users)
{
    for (int i = 0; i < g->n; i++)
        for (int k = 0; k < SP_OP_MAX_BUFFERS; k++) {
            bool again = false;
            for (int before = 0; before < k; before++)
                again = again || g->steps[i].operands[before].tensor == g->steps[i].operands[k].tensor;
            if (g->steps[i].operands[k].tensor >= 0 && !again)
                users[g->steps[i].operands[k].tensor]++;
        }
}

/* From the end, so that steps that are taken out are not in front of those that are still to be looked at. */
static sp_status fuse_segment(sp_builder *b, int segment)
{
    int *users = sp_alloc_array((size_t)b->p->n_tensors + 1, sizeof *users);
    sp_status st = users ? SP_OK : SP_FAIL(b->err, SP_E_MEMORY, "out of memory while planning");
    if (users)
        count_users(&b->p->segments[segment], users);
    for (int i = b->p->segments[segment].n; st == SP_OK && i-- > 0;)
        if (spi_is_op(&b->p->segments[segment].steps[i], "neuron.backward"))
            st = fuse_neuron(b, segment, i, users);
    sp_free(users);
    return st;
}

sp_status spi_fuse(sp_builder *b)
{
    for (int s = 0; s < b->p->n_segments; s++)
        SP_TRY(fuse_segment(b, s));
    return SP_OK;
}
