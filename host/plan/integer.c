/* The forward pass of a network of integers: another emission, and from there on a plan like any other. What
 * its layers are made of does not change, and is written once (sp_plan.constants). */
#include <stdio.h>

#include "base/error.h"
#include "integer/integer.h"
#include "plan/builder.h"

static sp_status new_tensor(sp_builder *b, int node, const char *what, int64_t elems, sp_lifetime lifetime,
                            int *out)
{
    char name[64];
    snprintf(name, sizeof name, "%.40s %s", node < 0 ? "outputs" : b->g->nodes[node].name, what);
    return spi_tensor_new(b, name, elems, lifetime, out);
}

static sp_status bind_constant(sp_emit *e, const char *buffer, const int32_t *data, int64_t elems)
{
    sp_plan *p = e->b->p;
    int tensor;
    if (!data)
        return SP_OK;
    SP_TRY(new_tensor(e->b, e->step.node, buffer, elems, SP_LIFETIME_PLAN, &tensor));
    sp_plan_constant *c = sp_array_push(&p->constants, (size_t)p->n_constants, sizeof *c);
    if (!c)
        return SP_FAIL(e->b->err, SP_E_MEMORY, "out of memory while planning");
    *c = (sp_plan_constant){tensor, data};
    p->n_constants++;
    spi_bind(e, buffer, tensor);
    return SP_OK;
}

static void window_ints(sp_emit *e, const sp_integer_layer *l)
{
    spi_int(e, "N", e->b->p->o.batch), spi_int(e, "H", l->h), spi_int(e, "W", l->w), spi_int(e, "C", l->c);
    spi_int(e, "KH", l->kh), spi_int(e, "KW", l->kw), spi_int(e, "SH", l->sh), spi_int(e, "SW", l->sw);
    spi_int(e, "PH", l->ph), spi_int(e, "PW", l->pw), spi_int(e, "HO", l->ho), spi_int(e, "WO", l->wo);
}

static sp_status emit_pool(sp_builder *b, const sp_integer_layer *l, int *x)
{
    const bool or = l->kind == SP_INTEGER_OR;
    int y;
    SP_TRY(new_tensor(b, l->node, "output", b->p->o.batch * l->ho * l->wo * (or ? (l->o + 31) / 32 : l->o),
                      SP_LIFETIME_SEGMENT, &y));
    sp_emit e = spi_step(b, l->node, or ? "pool.spikes.forward" : "integer.pool_sum");
    window_ints(&e, l);
    if (! or)
        spi_flag(&e, "X_BITS", l->spikes_in);
    spi_bind(&e, "x", *x), spi_bind(&e, "y", y);
    *x = y;
    return spi_emit(&e);
}

static sp_status emit_sums(sp_builder *b, const sp_integer_layer *l, int *x)
{
    int y;
    SP_TRY(new_tensor(b, l->node, "output", b->p->o.batch * sp_integer_outputs(l), SP_LIFETIME_SEGMENT, &y));
    sp_emit e = spi_step(b, l->node, "integer.conv");
    window_ints(&e, l);
    spi_int(&e, "O", l->o), spi_int(&e, "DH", l->dh), spi_int(&e, "DW", l->dw);
    spi_flag(&e, "X_BITS", l->spikes_in);
    spi_bind(&e, "x", *x), spi_bind(&e, "y", y);
    SP_TRY(bind_constant(&e, "w", l->weights, sp_integer_taps(l) * l->o));
    *x = y;
    return spi_emit(&e);
}

static sp_status emit_neurons(sp_builder *b, const sp_integer_layer *l, int *x, int *u)
{
    const int64_t rows = b->p->o.batch * l->ho * l->wo;
    const int node = l->neuron >= 0 ? l->neuron : l->node;
    int s;
    SP_TRY(new_tensor(b, node, "membrane", rows * l->o, SP_LIFETIME_PLAN, u));
    SP_TRY(new_tensor(b, node, "spikes", rows * ((l->o + 31) / 32), SP_LIFETIME_SEGMENT, &s));
    sp_emit e = spi_step(b, node, "integer.neuron");
    spi_int(&e, "M", rows), spi_int(&e, "C", l->o);
    spi_int(&e, "shift", l->shift), spi_int(&e, "fraction", l->fraction), spi_int(&e, "width", l->width);
    spi_flag(&e, "HARD_RESET", l->reset != NULL), spi_flag(&e, "LEAK", l->leak);
    spi_bind(&e, "x", *x), spi_bind(&e, "u_prev", *u), spi_bind(&e, "u", *u), spi_bind(&e, "s", s);
    SP_TRY(bind_constant(&e, "bias", l->bias, l->o));
    SP_TRY(bind_constant(&e, "threshold", l->threshold, l->o));
    SP_TRY(bind_constant(&e, "reset", l->reset, l->o));
    *x = s;
    return spi_emit(&e);
}

sp_status spi_integer_emit(sp_builder *b)
{
    const sp_integer *net = b->p->o.integer;
    sp_plan *p = b->p;
    int x;
    SP_TRY(spi_stages_begin(b));
    SP_TRY(
        spi_tensor_new(b, "input", p->o.batch * sp_act_elems(&b->g->acts[0]), SP_LIFETIME_PLAN, &p->input));
    x = p->input;
    for (int i = 0; i < net->n; i++) {
        const sp_integer_layer *l = &net->layers[i];
        /* sums over an input that is the same at every time step are taken once */
        b->segment =
            i == 0 && !p->o.sequence && l->kind == SP_INTEGER_WEIGHTS ? SP_SEGMENT_BEGIN : SP_SEGMENT_FORWARD;
        SP_TRY(l->kind == SP_INTEGER_WEIGHTS ? emit_sums(b, l, &x) : emit_pool(b, l, &x));
        b->segment = SP_SEGMENT_FORWARD;
        if (l->kind == SP_INTEGER_WEIGHTS)
            SP_TRY(emit_neurons(b, l, &x, &p->logits_sum));
    }
    p->labels = p->loss = p->correct = -1;
    return SP_OK;
}
