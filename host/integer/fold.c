/* Weights, thresholds and biases of one layer. A channel has a unit of its own: what a potential of 1 is
 * worth. The unit takes over the scale of the weights and the gain of the batch norm, so weights keep their
 * codes. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/fold.h"
#include "integer/integer.h"
#include "op/quantise.h"

enum { FRACTION_MOST = 12, BITS_SAFE = 29 };

/* What a channel does with its sum of codes: gain sum + shift, in the units of the threshold. */
typedef struct channel {
    double gain, shift;
    int64_t sum_most;
} channel;

/* As quantise.largest, or quantise.column_largest, and quantise.apply do it in training. */
static void quantise(sp_integer_layer *l, const float *w, int64_t n, bool by_channel)
{
    const int64_t cols = by_channel ? l->o : 1;
    for (int64_t o = 0; o < l->o; o++) {
        float largest = 0;
        for (int64_t i = o; o < cols && i < n; i += cols)
            largest = fmaxf(largest, fabsf(w[i]));
        l->exponents[o] = o < cols ? sp_quantise_exponent(largest, l->weight_bits) : l->exponents[0];
    }
    for (int64_t i = 0; i < n; i++)
        l->weights[i] = (int32_t)sp_quantise_code(w[i], l->exponents[i % l->o], l->weight_bits);
}

static void find_channels(const sp_integer *net, const sp_integer_layer *l, int norm,
                          const float *const *params, double factor, channel *out)
{
    const sp_node *n = &net->graph->nodes[l->node], *b = norm >= 0 ? &net->graph->nodes[norm] : NULL;
    const sp_neuron *u = l->neuron >= 0 ? &net->graph->nodes[l->neuron].layer->neuron : NULL;
    const bool leaks = u && u->tau > 0 && !isinf(u->tau);
    const double x_gain = leaks && u->decay_input ? 1 / u->tau : 1;
    const double rest = leaks && u->hard_reset && u->model[0] == 'l' ? u->v_reset / u->tau : 0;
    for (int64_t o = 0; o < l->o; o++) {
        double gain = 1, shift = n->bias >= 0 ? (double)params[n->bias][o] : 0;
        if (b)
            gain = sp_norm_fold(b, params, o, &shift);
        out[o] = (channel){.gain = gain * x_gain * factor * ldexp(1.0, l->exponents[o]),
                           .shift = shift * x_gain + rest};
        for (int64_t k = 0; k < sp_integer_taps(l); k++)
            out[o].sum_most += llabs((long long)l->weights[k * l->o + o]) * l->in_most;
    }
}

/* The most bits behind the point with which thresholds leave room in the potential for 8 of them, but for one
 * channel in eight whose gain is small: its codes are rounded again instead. -1: sums leave int32. */
static int choose_fraction(const sp_integer_layer *l, const channel *c, double v_th, double limit)
{
    for (int f = FRACTION_MOST; f >= 0; f--) {
        int64_t fit = 0;
        bool safe = true;
        for (int64_t o = 0; o < l->o; o++) {
            fit += v_th * ldexp(1.0, f) <= limit * fabs(c[o].gain);
            safe = safe && ldexp((double)c[o].sum_most, f) < ldexp(1.0, BITS_SAFE);
        }
        if (safe && (8 * fit >= 7 * l->o || f == 0))
            return f;
    }
    return -1;
}

static int32_t rounded(double x)
{
    const double most = ldexp(1.0, BITS_SAFE - 1); /* beyond it the potential saturates anyway */
    return (int32_t)rint(fmax(-most, fmin(most, x)));
}

static void fold_channel(sp_integer_layer *l, int64_t o, const channel *c, const sp_neuron *u, double limit)
{
    const double one = ldexp(1.0, l->fraction), least = u->v_th * one / limit;
    const bool small = fabs(c->gain) < least;
    const double unit = (small ? least : fabs(c->gain)) / one, ratio = c->gain / (unit * one);
    l->threshold[o] = rounded(u->v_th / unit);
    l->bias[o] = rounded(c->shift / unit);
    if (l->reset)
        l->reset[o] = rounded(u->v_reset / unit);
    l->rescaled += small;
    for (int64_t k = 0; k < sp_integer_taps(l); k++)
        l->weights[k * l->o + o] = (int32_t)rint((double)l->weights[k * l->o + o] * ratio);
}

static sp_status fold_neurons(sp_integer *net, sp_integer_layer *l, const channel *c, sp_error *err)
{
    const sp_neuron *u = &net->graph->nodes[l->neuron].layer->neuron;
    const double limit = ldexp(1.0, l->width - 4);
    sp_integer_decay(u, &l->shift, &l->leak);
    l->fraction = choose_fraction(l, c, u->v_th, limit);
    if (l->fraction < 0)
        return sp_node_refuse(net->graph, l->node, err,
                              "sums of its products need more than %d bits; use fewer bits for weights "
                              "or input",
                              BITS_SAFE);
    for (int64_t o = 0; o < l->o; o++)
        fold_channel(l, o, &c[o], u, limit);
    return SP_OK;
}

/* The read-out adds up all time steps and never fires. All its channels share one unit, as they are compared.
 */
static sp_status fold_outputs(sp_integer *net, sp_integer_layer *l, const channel *c, sp_error *err)
{
    double most = 0;
    for (int64_t o = 0; o < l->o; o++)
        most = fmax(most, (double)c[o].sum_most + fabs(c[o].shift / c[o].gain));
    l->width = 31, l->fraction = 8;
    while (l->fraction >= 0 && ldexp(most * net->time_steps, l->fraction) >= ldexp(1.0, BITS_SAFE))
        l->fraction--;
    if (l->fraction < 0)
        return sp_node_refuse(net->graph, l->node, err,
                              "the sum of its outputs over %d time steps needs more than %d bits; use "
                              "fewer bits for weights or input",
                              net->time_steps, BITS_SAFE);
    for (int64_t o = 0; o < l->o; o++) {
        l->threshold[o] = INT32_MAX;
        l->bias[o] = rounded(ldexp(c[o].shift / fabs(c[o].gain), l->fraction));
        for (int64_t k = 0; k < sp_integer_taps(l) && c[o].gain < 0; k++)
            l->weights[k * l->o + o] *= -1;
    }
    return SP_OK;
}

sp_status spi_integer_fold(sp_integer *net, sp_integer_layer *l, int norm, const float *const *params,
                           const sp_integer_options *o, double factor, sp_error *err)
{
    const sp_param *w = &net->graph->params[net->graph->nodes[l->node].weight];
    const sp_neuron *u = l->neuron >= 0 ? &net->graph->nodes[l->neuron].layer->neuron : NULL;
    channel *c = sp_alloc_array((size_t)l->o, sizeof *c);
    l->weights = sp_alloc_pages((size_t)w->elems, sizeof *l->weights);
    l->exponents = sp_alloc_array((size_t)l->o, sizeof *l->exponents);
    l->threshold = sp_alloc_pages((size_t)l->o, sizeof *l->threshold);
    l->bias = sp_alloc_pages((size_t)l->o, sizeof *l->bias);
    l->reset = u && u->hard_reset ? sp_alloc_pages((size_t)l->o, sizeof *l->reset) : NULL;
    l->weight_bits = o->weight_bits, l->width = o->membrane_bits;
    sp_status st =
        c && l->weights && l->exponents && l->threshold && l->bias && (l->reset || !u || !u->hard_reset)
            ? SP_OK
            : SP_FAIL(err, SP_E_MEMORY, "out of memory for the integer network");
    if (st == SP_OK) {
        quantise(l, params[net->graph->nodes[l->node].weight], w->elems,
                 o->channel_scales && !sp_graph_is_last_weight(net->graph, l->node));
        find_channels(net, l, norm, params, factor, c);
        st = u ? fold_neurons(net, l, c, err) : fold_outputs(net, l, c, err);
    }
    for (int64_t i = 0; st == SP_OK && i < l->o; i++)
        l->sum_most = c[i].sum_most > l->sum_most ? c[i].sum_most : l->sum_most;
    sp_free(c);
    return st;
}
