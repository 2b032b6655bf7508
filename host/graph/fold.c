/* What every other form of a network needs of it; see fold.h. */
#include "graph/fold.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

sp_status sp_node_refuse(const sp_graph *g, int node, sp_error *err, const char *fmt, ...)
{
    const sp_node *n = &g->nodes[node];
    const char *file = g->network.file;
    char why[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return SP_FAIL(err, SP_E_CONFIG, "%s:%d:%d: layer %s: %s", file ? file : "network", n->layer->line,
                   n->layer->column, n->name, why);
}

double sp_norm_fold(const sp_node *norm, const float *const *params, int64_t channel, double *bias)
{
    const sp_layer *l = norm->layer;
    const double more = norm->td ? l->alpha * l->neuron.v_th : 1,
                 gain = more * (double)params[norm->gamma][channel] /
                        sqrt((double)params[norm->running_var][channel] + l->eps);
    if (bias)
        *bias = (*bias - (double)params[norm->running_mean][channel]) * gain +
                (double)params[norm->beta][channel];
    return gain;
}
