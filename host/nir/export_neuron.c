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

/* A number of each channel, or one. */
static bool fill_channels(spi_nir_export *e, const sp_node *n, bool vector, const char *key, const double *x,
                          bool each)
{
    if (!spi_nir_fill(e, n, vector, key, x[0]))
        return false;
    const sp_nir_node *node = spi_nir_last(e);
    const sp_nir_value *v = &node->values[node->n - 1];
    const int64_t places = v->n / e->g->acts[n->out].c;
    for (int64_t i = 0; each && i < v->n; i++)
        v->x[i] = x[i / places];
    return true;
}

/* What a layer learns, by channel or all the same. */
typedef struct learnt {
    double *tau, *r, *v_th; /* tau and r in steps */
} learnt;

static bool read_learnt(const spi_nir_export *e, const sp_node *n, learnt *out)
{
    const sp_neuron *u = &n->layer->neuron;
    const int64_t c = e->g->acts[n->out].c;
    double *x = sp_alloc_array((size_t)c * 3, sizeof *x);
    *out = (learnt){x, x ? x + c : NULL, x ? x + 2 * c : NULL};
    for (int64_t i = 0; x && i < c; i++) {
        const int64_t at = u->per_channel ? i : 0;
        out->tau[i] = n->w >= 0 ? 1 + exp(-(double)e->params[n->w][at]) : u->tau;
        out->r[i] = u->decay_input ? 1 : out->tau[i];
        /* NIR fires above its threshold, and layers at theirs: the float32 before it is the same comparison
         */
        out->v_th[i] =
            (double)nextafterf(n->threshold >= 0 ? e->params[n->threshold][at] : (float)u->v_th, -INFINITY);
    }
    return x != NULL;
}

static bool put_learnt(spi_nir_export *e, const sp_node *n, const char *type, bool vector, learnt *l)
{
    const sp_neuron *u = &n->layer->neuron;
    const double leak = u->hard_reset ? u->v_reset : 0;
    const int64_t c = e->g->acts[n->out].c;
    bool cuba = strncmp(type, "Cuba", 4) == 0, each = u->per_channel;
    if (!u->membrane &&
        !(fill_channels(e, n, vector, "v_threshold", l->v_th, each) &&
          spi_nir_fill(e, n, vector, "v_reset", leak) &&
          sp_nir_add_text(spi_nir_last(e), "metadata.reset", u->hard_reset ? "hard" : "soft")))
        return false;
    if (type[0] == 'I')
        return spi_nir_fill(e, n, vector, "r", (u->decay_input ? 1 / u->tau : 1) / e->dt);
    for (int64_t i = 0; i < c; i++)
        l->tau[i] *= e->dt;
    return fill_channels(e, n, vector, "r", l->r, each) && spi_nir_fill(e, n, vector, "v_leak", leak) &&
           fill_channels(e, n, vector, cuba ? "tau_mem" : "tau", l->tau, each) &&
           (!cuba || (spi_nir_fill(e, n, vector, "tau_syn", u->aux_tau * e->dt) &&
                      spi_nir_fill(e, n, vector, "w_in", u->aux_tau)));
}

bool spi_nir_put_parameters(spi_nir_export *e, const sp_node *n, const char *type, bool vector)
{
    learnt l = {.tau = NULL};
    bool good = spi_nir_add_number(e, "metadata.dt", e->dt, false) && read_learnt(e, n, &l);
    good = good && put_learnt(e, n, type, vector, &l);
    sp_free(l.tau);
    return good;
}

/* 1 - dt/tau of the output stays, and r dt/tau = 1. */
bool spi_nir_put_synapse(spi_nir_export *e, const sp_node *n, bool vector)
{
    const int64_t c = e->g->acts[n->out].c;
    const bool each = n->w >= 0 && n->layer->neuron.per_channel;
    double *r = sp_alloc_array((size_t)c * 2, sizeof *r), *tau = r ? r + c : NULL;
    for (int64_t i = 0; r && i < c; i++) {
        r[i] = n->w >= 0 ? 1 + exp(-(double)e->params[n->w][each ? i : 0]) : n->layer->neuron.tau;
        tau[i] = r[i] * e->dt;
    }
    bool good = r && spi_nir_add_number(e, "metadata.dt", e->dt, false) &&
                fill_channels(e, n, vector, "tau", tau, each) && fill_channels(e, n, vector, "r", r, each) &&
                spi_nir_fill(e, n, vector, "v_leak", 0);
    sp_free(r);
    return good;
}

/* With a threshold, and without one. */
const char *spi_nir_neuron_type(const sp_neuron *u)
{
    static const char *const types[][3] = {{"lif", "LIF", "LI"},
                                           {"plif", "LIF", "LI"},
                                           {"if", "IF", "I"},
                                           {"cuba_lif", "CubaLIF", "CubaLI"},
                                           {"cuba_plif", "CubaLIF", "CubaLI"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(u->model, types[i][0]) == 0)
            return types[i][u->membrane ? 2 : 1];
    return NULL;
}
