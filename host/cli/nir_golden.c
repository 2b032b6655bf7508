/* Golden vectors of an exported network: what its layers did with test samples, as NIR data under the names
 * of the graph's nodes. */
#include "cli/nir_golden.h"

#include "base/error.h"
#include "train/record.h"

/* Inputs [samples][time steps][c][h][w], a still one at every time step. */
static sp_status read_inputs(const sp_dataset *ds, int64_t steps, float *out, sp_error *err)
{
    const sp_dataset_info *d = &ds->info;
    const size_t c = (size_t)d->channels, pixels = (size_t)d->height * (size_t)d->width, n = c * pixels,
                 frames = d->frames ? (size_t)d->frames : 1;
    float *x = sp_alloc_array(frames * n, sizeof *x);
    int32_t label;
    sp_status st = x ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for golden vectors");
    for (size_t i = 0; i < d->count && st == SP_OK; i++) {
        st = ds->get(ds, (sp_sample_request){.index = i}, x, &label, err);
        for (size_t k = 0; st == SP_OK && k < (size_t)steps * n; k++) {
            const size_t frame = d->frames ? k / n : 0, at = k % n;
            out[i * (size_t)steps * n + k] = x[frame * n + at % pixels * c + at / pixels];
        }
    }
    sp_free(x);
    return st;
}

static sp_status write(const char *path, const sp_cli_trained *t, const sp_record *r, const float *inputs,
                       double dt, sp_error *err)
{
    const sp_graph *g = t->s->graph;
    size_t bytes;
    sp_nir_observable *items = sp_alloc_array((size_t)g->n_nodes + 2, sizeof *items);
    sp_nir_observables all = {.items = items,
                              .samples = (int64_t)t->test->info.count,
                              .time_steps = t->s->recipe.time_steps,
                              .dt = dt};
    if (!items)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for golden vectors");
    items[all.n++] = (sp_nir_observable){.node = "input",
                                         .key = "input",
                                         .real = inputs,
                                         .h = g->acts[0].h,
                                         .w = g->acts[0].w,
                                         .c = g->acts[0].c};
    for (int i = 0; i < g->n_nodes; i++) {
        const sp_activation *a = &g->acts[g->nodes[i].out];
        if (sp_node_fires(&g->nodes[i]))
            items[all.n++] = (sp_nir_observable){.node = g->nodes[i].name,
                                                 .key = "spikes",
                                                 .fired = sp_record_data(r, g->nodes[i].name, &bytes),
                                                 .h = a->h,
                                                 .w = a->w,
                                                 .c = a->c};
    }
    items[all.n++] = (sp_nir_observable){.node = "output",
                                         .key = "output",
                                         .real = sp_record_data(r, "logits", &bytes),
                                         .h = 1,
                                         .w = 1,
                                         .c = g->classes};
    sp_status st = sp_nir_write_data(path, &all, err);
    sp_free(items);
    return st;
}

sp_status sp_nir_golden_write(const char *path, const sp_cli_trained *t, size_t samples, double dt,
                              sp_error *err)
{
    sp_record *r = NULL;
    sp_dataset_info *d = &t->test->info;
    d->count = d->count < samples ? d->count : samples;
    const size_t n = d->count * (size_t)t->s->recipe.time_steps * (size_t)sp_act_elems(&t->s->graph->acts[0]);
    float *inputs = sp_alloc_array(n, sizeof *inputs);
    sp_status st = inputs ? read_inputs(t->test, t->s->recipe.time_steps, inputs, err)
                          : SP_FAIL(err, SP_E_MEMORY, "out of memory for golden vectors");
    if (st == SP_OK)
        st = sp_nir_record_all(t->s, t->test, &r, err);
    if (st == SP_OK)
        st = write(path, t, r, inputs, dt, err);
    sp_record_destroy(&r);
    sp_free(inputs);
    return st;
}
