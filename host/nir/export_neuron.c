/* Models of neurons as nodes: types and parameters. */
#include <math.h>
#include <string.h>

#include "nir/export.h"

sp_nir_node *spi_nir_last(const spi_nir_export *e)
{
    return &e->out->nodes[e->out->n - 1];
}

bool spi_nir_add_number(spi_nir_export *e, const char *key, double x, bool whole)
{
    sp_nir_value *v = sp_nir_add_value(spi_nir_last(e), key, 0, NULL, whole);
    if (v)
        v->x[0] = x;
    return v != NULL;
}

bool spi_nir_fill(spi_nir_export *e, const sp_node *n, bool vector, const char *key, double x)
{
    const sp_activation *a = &e->g->acts[n->out];
    const int64_t shape[3] = {a->c, a->h, a->w};
    sp_nir_value *v = sp_nir_add_value(spi_nir_last(e), key, vector ? 1 : 3, shape, false);
    for (int64_t i = 0; v && i < v->n; i++)
        v->x[i] = x;
    return v != NULL;
}

/* NIR fires above its threshold, and layers at theirs: the float32 before it is the same comparison. */
bool spi_nir_put_parameters(spi_nir_export *e, const sp_node *n, const char *type, bool vector)
{
    const sp_neuron *u = &n->layer->neuron;
    const float v_th = n->threshold >= 0 ? e->params[n->threshold][0] : (float)u->v_th;
    double tau = u->tau, gain, leak = u->hard_reset ? u->v_reset : 0;
    bool cuba = strncmp(type, "Cuba", 4) == 0, good = spi_nir_add_number(e, "metadata.dt", e->dt, false);
    if (n->w >= 0)
        tau = 1 + exp(-(double)e->params[n->w][0]);
    gain = u->decay_input ? 1 / tau : 1;
    if (!u->membrane)
        good = good && spi_nir_fill(e, n, vector, "v_threshold", (double)nextafterf(v_th, -INFINITY)) &&
               spi_nir_fill(e, n, vector, "v_reset", leak) &&
               sp_nir_add_text(spi_nir_last(e), "metadata.reset", u->hard_reset ? "hard" : "soft");
    if (type[0] == 'I')
        return good && spi_nir_fill(e, n, vector, "r", gain / e->dt);
    good = good && spi_nir_fill(e, n, vector, "r", gain * tau) &&
           spi_nir_fill(e, n, vector, "v_leak", leak) &&
           spi_nir_fill(e, n, vector, cuba ? "tau_mem" : "tau", tau * e->dt);
    return good && (!cuba || (spi_nir_fill(e, n, vector, "tau_syn", u->aux_tau * e->dt) &&
                              spi_nir_fill(e, n, vector, "w_in", u->aux_tau)));
}

/* With a threshold, and without one. */
const char *spi_nir_neuron_type(const sp_neuron *u)
{
    static const char *const types[][3] = {{"lif", "LIF", "LI"},
                                           {"plif", "LIF", "LI"},
                                           {"if", "IF", "I"},
                                           {"cuba_lif", "CubaLIF", "CubaLI"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(u->model, types[i][0]) == 0)
            return types[i][u->membrane ? 2 : 1];
    return NULL;
}
