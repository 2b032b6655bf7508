/* Nodes of neurons into layers: forward Euler with a time step of dt, which is what a layer computes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "nir/walk.h"

/* A decimal of a few digits that is the same number within the precision of float32, 1.1 of 1.1e-4 / 1e-4;
 * else the number itself. */
static double shortest(double x)
{
    char text[40];
    for (int digits = 1; digits < 7; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (fabs(strtod(text, NULL) - x) <= 1e-7 * fabs(x))
            return strtod(text, NULL);
    }
    return x;
}

/* As short as it can be so that it reads back as the same float32. */
typedef struct number_text {
    char s[40];
} number_text;
static number_text as_text(double x)
{
    number_text t;
    for (int digits = 1; digits < 10; digits++) {
        snprintf(t.s, sizeof t.s, "%.*g", digits, x);
        if ((float)strtod(t.s, NULL) == (float)x)
            break;
    }
    return t;
}

/* A time constant in steps, from which 1 - 1/steps of the potential stays in a step of forward Euler. */
static sp_status steps_of(spi_nir_walk *w, const char *key, double tau, double *out)
{
    *out = shortest(tau / w->dt);
    if (!(*out >= 1 && *out <= 1e9))
        return spi_nir_refuse(w,
                              "\"%s\" is %g s, less than a time step of %g s (or too much); import with a "
                              "smaller --dt",
                              key, tau, w->dt);
    return SP_OK;
}

static bool says_soft(const spi_nir_walk *w)
{
    const sp_nir_value *v = sp_nir_find(w->node, "metadata.reset");
    return w->o->reset == SP_NIR_RESET_SOFT ||
           (w->o->reset == SP_NIR_RESET_SAID && v && v->text && strcmp(v->text, "soft") == 0);
}

/* by: a factor of each neuron's input, which is the loop's too; NULL none. */
static sp_status take_loop(spi_nir_walk *w, const double *by)
{
    const sp_nir_node *node = w->node;
    const sp_nir_value *v;
    w->node = w->around;
    SP_TRY(spi_nir_need(w, "weight", &v));
    if (!w->at.vector || v->n_dims != 2 || v->shape[0] != w->at.c || v->shape[1] != w->at.c)
        return spi_nir_refuse(w, "a matrix from %lld neurons to themselves is expected", (long long)w->at.c);
    SP_TRY(spi_nir_copy(w, "weight", v, "recurrent.weight", 2, v->shape));
    float *x = (float *)(uintptr_t)w->out->tensors[w->out->n_tensors - 1].data;
    for (int64_t i = 0; by && i < v->n; i++)
        x[i] = (float)(v->x[i] * by[i / w->at.c]);
    SP_TRY(spi_nir_note(w, SP_NIR_FAITHFUL, "recurrent, one time step later"));
    w->node = node;
    return SP_OK;
}

/* The parameters as they are in the node. */
typedef struct parameters {
    bool cuba, integrates, forgets; /* CubaLIF and CubaLI; IF and I; Threshold */
    bool fires, soft;
    spi_nir_each r, v_leak, tau, tau_syn, w_in, v_th, v_reset;
} parameters;

/* One neuron, in a forward Euler step. */
typedef struct neuron {
    double tau, gain; /* gain: of the input into the potential */
    double v_th, v_reset;
} neuron;

static bool is_one_of(const char *type, const char *a, const char *b)
{
    return strcmp(type, a) == 0 || strcmp(type, b) == 0;
}

static sp_status read_parameters(spi_nir_walk *w, bool fires, parameters *p)
{
    const char *type = w->node->type;
    *p = (parameters){.cuba = is_one_of(type, "CubaLIF", "CubaLI"),
                      .integrates = is_one_of(type, "IF", "I"),
                      .forgets = strcmp(type, "Threshold") == 0,
                      .fires = fires,
                      .tau_syn = {.one = 0},
                      .w_in = {.one = 1}};
    p->soft = fires && !p->forgets && says_soft(w);
    if (fires)
        SP_TRY(spi_nir_numbers(w, p->forgets ? "threshold" : "v_threshold", (double)NAN, &p->v_th));
    if (p->forgets)
        return SP_OK;
    if (fires)
        SP_TRY(spi_nir_numbers(w, "v_reset", 0, &p->v_reset));
    SP_TRY(spi_nir_numbers(w, "r", (double)NAN, &p->r));
    if (p->integrates)
        return SP_OK;
    SP_TRY(spi_nir_numbers(w, "v_leak", (double)NAN, &p->v_leak));
    SP_TRY(spi_nir_numbers(w, p->cuba ? "tau_mem" : "tau", (double)NAN, &p->tau));
    if (!p->cuba)
        return SP_OK;
    SP_TRY(spi_nir_numbers(w, "tau_syn", (double)NAN, &p->tau_syn));
    SP_TRY(spi_nir_numbers(w, "w_in", 1, &p->w_in));
    if (p->tau_syn.x)
        return spi_nir_refuse(w, "\"tau_syn\" differs from neuron to neuron; a layer has one time constant "
                                 "of its synapses");
    return steps_of(w, "tau_syn", p->tau_syn.one, &p->tau_syn.one);
}

/* What NIR's equations are for neuron i. */
static sp_status read_neuron(spi_nir_walk *w, const parameters *p, int64_t i, neuron *n)
{
    const double r = spi_nir_of(&p->r, i), leak = spi_nir_of(&p->v_leak, i);
    *n = (neuron){1, 1, spi_nir_of(&p->v_th, i), spi_nir_of(&p->v_reset, i)};
    if (p->forgets) /* at once */
        return SP_OK;
    if (!p->integrates)
        SP_TRY(steps_of(w, p->cuba ? "tau_mem" : "tau", spi_nir_of(&p->tau, i), &n->tau));
    n->gain = shortest(p->integrates ? r * w->dt : r / n->tau);
    if (p->cuba)
        n->gain = shortest(n->gain * spi_nir_of(&p->w_in, i) / p->tau_syn.one);
    if (p->soft && !(fabs(n->v_reset) <= 0))
        return spi_nir_refuse(w, "v_reset is %g, but a soft reset subtracts the threshold", n->v_reset);
    const double rest = p->soft ? 0 : n->v_reset;
    if (p->fires && n->tau > 1 && !p->integrates && fabs(leak - rest) > 0)
        return spi_nir_refuse(w, "v_leak (%g) is not v_reset (%g)", leak, rest);
    if (!p->fires && !p->integrates && fabs(leak) > 0)
        return spi_nir_refuse(w, "v_leak is %g; a layer rests at 0", leak);
    if (!(n->gain > 0 && n->gain < 1e30))
        return spi_nir_refuse(w, "its input has a factor of %g; one above 0 is needed", n->gain);
    return SP_OK;
}

/* All neurons of the node as a layer with one threshold, one reset, and a factor of each neuron's input:
 * with potentials measured from v_reset, in units of the threshold, only that factor differs. */
typedef struct layer {
    const parameters *p;
    neuron one;   /* of all; its tau is that of neuron 0 where leaks differ */
    bool decays;  /* the input is divided by tau */
    bool factors; /* there are some other than 1 */
    double *by;   /* [channels] */
    double *tau;  /* [channels], NULL where it is one */
} layer;

static sp_status take_factors(spi_nir_walk *w, layer *l, double *each)
{
    const parameters *p = l->p;
    const int64_t n = w->at.c * w->at.h * w->at.w;
    const bool unit = p->v_th.x || p->v_reset.x;
    neuron u;
    l->decays = !p->integrates && !p->forgets;
    for (int64_t i = 0; i < n; i++) {
        SP_TRY(read_neuron(w, p, i, &u));
        l->one = i == 0 ? u : l->one;
        l->decays = l->decays && fabs(u.gain * u.tau - 1) <= 2e-7;
    }
    for (int64_t i = 0; i < n; i++) {
        SP_TRY(read_neuron(w, p, i, &u));
        const double height = u.v_th - (p->soft ? 0 : u.v_reset);
        if (unit && !(height > 0))
            return spi_nir_refuse(w, "a threshold of %g, which is not above the reset (%g)", u.v_th,
                                  u.v_reset);
        each[i] = (l->decays ? 1 : u.gain) / (unit ? height : 1);
        l->factors = l->factors || fabs(each[i] - 1) > 2e-7;
    }
    if (unit)
        l->one.v_th = 1, l->one.v_reset = 0;
    l->one.gain = 1;
    l->by = sp_alloc_array((size_t)w->at.c, sizeof *l->by);
    SP_TRY(l->by
               ? spi_nir_by_channel(w, "what r, w_in, v_threshold and v_reset make of its input", each, l->by)
               : spi_nir_memory(w));
    for (int64_t i = 0; p->tau.x && i < n; i++)
        SP_TRY(steps_of(w, p->cuba ? "tau_mem" : "tau", p->tau.x[i], &each[i]));
    if (!p->tau.x)
        return SP_OK;
    l->tau = sp_alloc_array((size_t)w->at.c, sizeof *l->tau);
    return l->tau ? spi_nir_by_channel(w, p->cuba ? "\"tau_mem\"" : "\"tau\"", each, l->tau)
                  : spi_nir_memory(w);
}

static sp_status find_layer(spi_nir_walk *w, const parameters *p, layer *l)
{
    const bool same = !p->r.x && !p->v_leak.x && !p->tau.x && !p->w_in.x && !p->v_th.x && !p->v_reset.x;
    *l = (layer){.p = p};
    if (!same) {
        double *each = sp_alloc_array((size_t)(w->at.c * w->at.h * w->at.w), sizeof *each);
        sp_status st = each ? take_factors(w, l, each) : spi_nir_memory(w);
        sp_free(each);
        return st;
    }
    SP_TRY(read_neuron(w, p, 0, &l->one));
    l->decays = !p->integrates && l->one.tau > 1 && fabs(l->one.gain * l->one.tau - 1) <= 2e-7;
    if (l->decays)
        l->one.gain = 1;
    return SP_OK;
}

/* "lif, model: cuba_lif, tau: 2, tau_syn: 4, decay_input: false", to go on from. A leak of each channel is a
 * learnable one. */
static void describe(const layer *l, char *out, size_t out_size)
{
    const parameters *p = l->p;
    const double tau = l->tau && l->one.tau <= 1 ? 2 : l->one.tau;
    const char *model = p->integrates ? "if" : p->cuba ? "cuba_lif" : "lif";
    int at = l->tau ? snprintf(out, out_size, "lif, model: %s, per_channel: true%s",
                               p->cuba ? "cuba_plif" : "plif", p->cuba ? ", learn: true" : "")
                    : snprintf(out, out_size, "lif, model: %s", model);
    if (!p->integrates)
        at += snprintf(out + at, out_size - (size_t)at, ", tau: %s", as_text(tau).s);
    if (p->cuba)
        at += snprintf(out + at, out_size - (size_t)at, ", %s: %s", l->tau ? "aux_tau" : "tau_syn",
                       as_text(p->tau_syn.one).s);
    snprintf(out + at, out_size - (size_t)at, ", decay_input: %s", l->decays ? "true" : "false");
}

/* 1/tau = sigmoid(w); a w of 40 stands for a tau of one step, which leaves nothing. */
static sp_status put_leaks(spi_nir_walk *w, const layer *l)
{
    const int64_t c = w->at.c;
    float *x = l->tau ? spi_nir_tensor(w, "w", 1, &c) : NULL;
    for (int64_t i = 0; x && i < c; i++)
        x[i] = (float)fmin(-log(l->tau[i] - 1), 40);
    return x || !l->tau ? SP_OK : spi_nir_memory(w);
}

static sp_status put_factors(spi_nir_walk *w, const layer *l)
{
    return l->factors ? spi_nir_scale_channels(w, l->by) : SP_OK;
}

static const char *remark(const layer *l, const char *otherwise)
{
    return l->tau       ? "leaks of each channel are those of plif, which training changes"
           : l->factors ? "what differs from neuron to neuron is in the weights before it"
                        : otherwise;
}

static void forget(layer *l)
{
    sp_free(l->by);
    sp_free(l->tau);
}

/* Neurons without a threshold: their potentials are the network's outputs. */
static sp_status put_membrane(spi_nir_walk *w, layer *l)
{
    char text[200];
    if (w->around)
        return spi_nir_refuse(w, "a matrix leads from its potentials back to its input");
    SP_TRY(put_factors(w, l));
    if (l->one.gain < 1 || l->one.gain > 1)
        spi_nir_layer(w, "scale, factor: %s", as_text(l->one.gain).s);
    describe(l, text, sizeof text);
    spi_nir_layer(w, "%s, output: membrane", text);
    SP_TRY(put_leaks(w, l));
    w->at.membrane = true;
    return spi_nir_note(w, SP_NIR_FAITHFUL, remark(l, "its potentials are the outputs"));
}

/* NIR fires above the threshold, layers fire at it: the next float32 is the same comparison. All potentials
 * are divided by the gain: the same spikes, and an input that is not scaled. */
static sp_status put_neuron(spi_nir_walk *w, layer *l)
{
    char text[200];
    const bool soft = l->p->soft;
    const double fires = (double)nextafterf((float)(l->one.v_th / l->one.gain), INFINITY),
                 v_reset = shortest(l->one.v_reset / l->one.gain);
    if (!(fires >= 1e-6 && fires <= 1e6 && v_reset < fires && v_reset >= -1e6))
        return spi_nir_refuse(w,
                              "its threshold is %g (in units of its input, %g) and its reset %g; a layer "
                              "takes thresholds of 1e-6 to 1e6 above the reset",
                              l->one.v_th, fires, v_reset);
    SP_TRY(put_factors(w, l));
    describe(l, text, sizeof text);
    spi_nir_layer(w, "%s, v_th: %s, reset: %s, v_reset: %s%s", text, as_text(fires).s, soft ? "soft" : "hard",
                  as_text(v_reset).s, w->around ? ", recurrent: true" : "");
    SP_TRY(put_leaks(w, l));
    w->at.spikes = true;
    if (w->around)
        SP_TRY(take_loop(w, l->factors ? l->by : NULL));
    return soft ? spi_nir_note(w, SP_NIR_APPROXIMATE, "soft reset, which NIR does not define")
                : spi_nir_note(w, SP_NIR_FAITHFUL, remark(l, l->p->forgets ? "" : "hard reset"));
}

static sp_status take(spi_nir_walk *w, bool fires, sp_status (*put)(spi_nir_walk *w, layer *l))
{
    parameters p;
    layer l = {.p = &p};
    SP_TRY(read_parameters(w, fires, &p));
    sp_status st = find_layer(w, &p, &l);
    if (st == SP_OK)
        st = put(w, &l);
    forget(&l);
    return st;
}

/* tau and the factor of its input of each channel: two rows. */
static sp_status read_filter(spi_nir_walk *w, const parameters *p, double *each, double *by_channel)
{
    const int64_t c = w->at.c, n = c * w->at.h * w->at.w;
    for (int64_t i = 0; i < n; i++) {
        neuron u;
        SP_TRY(read_neuron(w, p, i, &u));
        each[i] = u.tau, each[n + i] = u.gain;
    }
    SP_TRY(spi_nir_by_channel(w, "\"tau\"", each, by_channel));
    return spi_nir_by_channel(w, "its factor r dt / tau", each + n, by_channel + c);
}

static bool all_equal(const double *x, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (x[i] < x[0] || x[i] > x[0])
            return false;
    return true;
}

static sp_status put_filter(spi_nir_walk *w, double *tau, const double *factors)
{
    const int64_t c = w->at.c;
    if (!all_equal(factors, c))
        SP_TRY(spi_nir_scale_channels(w, factors));
    else if (fabs(factors[0] - 1) > 2e-7)
        spi_nir_layer(w, "scale, factor: %s", as_text(factors[0]).s);
    if (all_equal(tau, c)) {
        spi_nir_layer(w, "synapse, tau: %s", as_text(tau[0]).s);
        return spi_nir_note(w, SP_NIR_FAITHFUL, "");
    }
    const layer leaks = {.tau = tau};
    spi_nir_layer(w, "synapse, tau: 2, learn: true, per_channel: true");
    SP_TRY(put_leaks(w, &leaks));
    return spi_nir_note(w, SP_NIR_FAITHFUL, "time constants of each channel, which training changes");
}

/* LI between layers: an exponential filter. */
static sp_status take_filter(spi_nir_walk *w)
{
    parameters p;
    SP_TRY(read_parameters(w, false, &p));
    const int64_t c = w->at.c, n = c * w->at.h * w->at.w;
    double *each = sp_alloc_array((size_t)(2 * n), sizeof *each),
           *by_channel = sp_alloc_array((size_t)(2 * c), sizeof *by_channel);
    sp_status st = each && by_channel ? read_filter(w, &p, each, by_channel) : spi_nir_memory(w);
    if (st == SP_OK)
        st = put_filter(w, by_channel, by_channel + c);
    sp_free(each);
    sp_free(by_channel);
    return st;
}

sp_status spi_nir_membrane(spi_nir_walk *w)
{
    if (strcmp(w->node->type, "LI") == 0 && !w->around && !spi_nir_is_last(w))
        return take_filter(w);
    return take(w, false, put_membrane);
}

sp_status spi_nir_neuron(spi_nir_walk *w)
{
    return take(w, true, put_neuron);
}
