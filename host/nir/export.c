/* A network into a graph. */
#include "nir/export.h"

#include <stdio.h>

#include "base/error.h"

sp_status spi_nir_no_memory(const spi_nir_export *e)
{
    return SP_FAIL(e->err, SP_E_MEMORY, "out of memory for a NIR graph");
}

sp_status spi_nir_put_node(spi_nir_export *e, const char *name, const char *type, const spi_nir_flow *in,
                           spi_nir_flow *out)
{
    size_t at = e->out->n;
    if (!sp_nir_add(e->out, name, type))
        return spi_nir_no_memory(e);
    for (int i = 0; i < in->n; i++)
        if (!sp_nir_add_edge(e->out, in->from[i], at))
            return spi_nir_no_memory(e);
    *out = (spi_nir_flow){.from = {at}, .n = 1, .factor = 1, .vector = in->vector};
    return SP_OK;
}

sp_status spi_nir_settle(spi_nir_export *e, const char *name, int act, spi_nir_flow *flow)
{
    const sp_activation *a = &e->g->acts[act];
    const int64_t shape[3] = {a->c, a->h, a->w};
    spi_nir_flow scaled;
    char full[160];
    if (flow->factor == 1)
        return SP_OK;
    snprintf(full, sizeof full, "%.120s.scale", name);
    double factor = flow->factor;
    SP_TRY(spi_nir_put_node(e, full, "Scale", flow, &scaled));
    sp_nir_value *v =
        sp_nir_add_value(&e->out->nodes[scaled.from[0]], "scale", flow->vector ? 1 : 3, shape, false);
    for (int64_t i = 0; v && i < v->n; i++)
        v->x[i] = factor;
    *flow = scaled;
    return v ? sp_nir_note_add(e->notes, full, "Scale", SP_NIR_FAITHFUL, NULL, e->err, "%s", "")
             : spi_nir_no_memory(e);
}

/* Input or Output: a node with a shape. */
static sp_status put_end(spi_nir_export *e, const char *name, const char *type, const sp_activation *a,
                         const spi_nir_flow *in, spi_nir_flow *out)
{
    SP_TRY(spi_nir_put_node(e, name, type, in, out));
    const int64_t n = in->vector ? 1 : 3;
    sp_nir_value *v = sp_nir_add_value(&e->out->nodes[out->from[0]], "shape", 1, &n, true);
    if (!v)
        return spi_nir_no_memory(e);
    const int64_t shape[3] = {a->c, a->h, a->w};
    for (int64_t i = 0; i < n; i++)
        v->x[i] = (double)shape[i];
    return SP_OK;
}

static sp_status put_all(spi_nir_export *e)
{
    const sp_graph *g = e->g;
    const sp_activation *first = &g->acts[0];
    const spi_nir_flow nothing = {.vector = first->h == 1 && first->w == 1};
    spi_nir_flow end;
    SP_TRY(put_end(e, "input", "Input", first, &nothing, &e->flows[0]));
    for (int i = 0; i < g->n_nodes; i++)
        SP_TRY(spi_nir_put(e, i));
    spi_nir_flow *logits = &e->flows[g->logits];
    SP_TRY(spi_nir_settle(e, "output", g->logits, logits));
    return put_end(e, "output", "Output", &g->acts[g->logits], logits, &end);
}

sp_status sp_nir_export(const sp_graph *g, const float *const *params, double dt, sp_nir *out,
                        sp_nir_notes *notes, sp_error *err)
{
    spi_nir_export e = {.g = g,
                        .params = params,
                        .dt = dt,
                        .out = out,
                        .notes = notes,
                        .err = err,
                        .flows = sp_alloc_array((size_t)g->n_acts, sizeof *e.flows),
                        .folded = sp_alloc_array((size_t)g->n_nodes, sizeof *e.folded)};
    *out = (sp_nir){.path = sp_strdup(g->network.file ? g->network.file : "network"), .dt = dt};
    sp_status st = e.flows && e.folded && out->path ? put_all(&e) : spi_nir_no_memory(&e);
    sp_free(e.flows);
    sp_free(e.folded);
    return st;
}
