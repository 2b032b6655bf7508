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
static sp_status steps_of(spi_nir_walk *w, const char *key, double *out)
{
    double tau;
    SP_TRY(spi_nir_uniform(w, key, (double)NAN, &tau));
    *out = shortest(tau / w->dt);
    if (!(*out >= 1 && *out <= 1e9))
        return spi_nir_refuse(w,
                              "\"%s\" is %g s, less than a time step of %g s (or too much); import with a "
                              "smaller "
                              "--dt",
                              key, tau, w->dt);
    return SP_OK;
}

static bool says_soft(const spi_nir_walk *w)
{
    const sp_nir_value *v = sp_nir_find(w->node, "metadata.reset");
    return w->o->reset == SP_NIR_RESET_SOFT ||
           (w->o->reset == SP_NIR_RESET_SAID && v && v->text && strcmp(v->text, "soft") == 0);
}

static sp_status take_loop(spi_nir_walk *w)
{
    const sp_nir_node *node = w->node;
    const sp_nir_value *v;
    w->node = w->around;
    SP_TRY(spi_nir_need(w, "weight", &v));
    if (!w->at.vector || v->n_dims != 2 || v->shape[0] != w->at.c || v->shape[1] != w->at.c)
        return spi_nir_refuse(w, "a matrix from %lld neurons to themselves is expected", (long long)w->at.c);
    SP_TRY(spi_nir_copy(w, "weight", v, "recurrent.weight", 2, v->shape));
    SP_TRY(spi_nir_note(w, SP_NIR_FAITHFUL, "recurrent, one time step later"));
    w->node = node;
    return SP_OK;
}

typedef struct neuron {
    const char *model;
    double tau, tau_syn, v_leak;
    double gain; /* of the input into the potential, in a step */
    bool decays; /* it is 1/tau */
} neuron;

static bool is_one_of(const char *type, const char *a, const char *b)
{
    return strcmp(type, a) == 0 || strcmp(type, b) == 0;
}

/* What NIR's equations are in a forward Euler step. */
static sp_status read_dynamics(spi_nir_walk *w, neuron *n)
{
    const char *type = w->node->type;
    bool cuba = is_one_of(type, "CubaLIF", "CubaLI");
    double r, w_in = 1;
    *n = (neuron){.model = cuba ? "cuba_lif" : "lif", .tau = 1, .gain = 1};
    if (strcmp(type, "Threshold") == 0) /* a neuron that forgets at once */
        return SP_OK;
    SP_TRY(spi_nir_uniform(w, "r", (double)NAN, &r));
    if (is_one_of(type, "IF", "I")) {
        n->model = "if";
        n->gain = shortest(r * w->dt);
        return SP_OK;
    }
    SP_TRY(spi_nir_uniform(w, "v_leak", (double)NAN, &n->v_leak));
    SP_TRY(steps_of(w, cuba ? "tau_mem" : "tau", &n->tau));
    n->gain = shortest(r / n->tau);
    if (!cuba)
        return SP_OK;
    SP_TRY(steps_of(w, "tau_syn", &n->tau_syn));
    SP_TRY(spi_nir_uniform(w, "w_in", 1, &w_in));
    n->gain = shortest(n->gain * w_in / n->tau_syn);
    return SP_OK;
}

/* Takes the factor of the input away where it is what decay_input is. */
static sp_status settle_gain(spi_nir_walk *w, neuron *n)
{
    if (!(n->gain > 0 && n->gain < 1e30))
        return spi_nir_refuse(w, "its input has a factor of %g; one above 0 is needed", n->gain);
    n->decays = strcmp(n->model, "if") != 0 && n->tau > 1 && fabs(n->gain * n->tau - 1) <= 2e-7;
    if (n->decays)
        n->gain = 1;
    return SP_OK;
}

/* "lif, model: cuba_lif, tau: 2, tau_syn: 4, decay_input: false", to go on from. */
static void describe(const neuron *n, char *out, size_t out_size)
{
    int at = snprintf(out, out_size, "lif, model: %s", n->model);
    if (strcmp(n->model, "if") != 0)
        at += snprintf(out + at, out_size - (size_t)at, ", tau: %s", as_text(n->tau).s);
    if (n->tau_syn > 0)
        at += snprintf(out + at, out_size - (size_t)at, ", tau_syn: %s", as_text(n->tau_syn).s);
    snprintf(out + at, out_size - (size_t)at, ", decay_input: %s", n->decays ? "true" : "false");
}

/* Neurons without a threshold: their potentials are the network's outputs. */
sp_status spi_nir_membrane(spi_nir_walk *w)
{
    neuron n;
    char text[160];
    SP_TRY(read_dynamics(w, &n));
    SP_TRY(settle_gain(w, &n));
    if (n.v_leak != 0)
        return spi_nir_refuse(w, "v_leak is %g; a layer rests at 0", n.v_leak);
    if (w->around)
        return spi_nir_refuse(w, "a matrix leads from its potentials back to its input");
    if (n.gain != 1)
        spi_nir_layer(w, "scale, factor: %s", as_text(n.gain).s);
    describe(&n, text, sizeof text);
    spi_nir_layer(w, "%s, output: membrane", text);
    w->at.membrane = true;
    return spi_nir_note(w, SP_NIR_FAITHFUL, "its potentials are the outputs");
}

/* NIR fires above the threshold, layers fire at it: the next float32 is the same comparison. */
sp_status spi_nir_neuron(spi_nir_walk *w)
{
    neuron n;
    char text[160];
    bool threshold = strcmp(w->node->type, "Threshold") == 0, soft = says_soft(w) && !threshold;
    double v_th, v_reset = 0;
    SP_TRY(spi_nir_uniform(w, threshold ? "threshold" : "v_threshold", (double)NAN, &v_th));
    if (!threshold)
        SP_TRY(spi_nir_uniform(w, "v_reset", 0, &v_reset));
    SP_TRY(read_dynamics(w, &n));
    SP_TRY(settle_gain(w, &n));
    if (soft && v_reset != 0)
        return spi_nir_refuse(w, "v_reset is %g, but a soft reset subtracts the threshold", v_reset);
    if (n.tau > 1 && n.v_leak != (soft ? 0 : v_reset))
        return spi_nir_refuse(w, "v_leak (%g) is not v_reset (%g)", n.v_leak, v_reset);
    /* all potentials over the gain: the same spikes, and an input that is not scaled */
    double fires = (double)nextafterf((float)(v_th / n.gain), INFINITY);
    v_reset = shortest(v_reset / n.gain);
    if (!(fires >= 1e-6 && fires <= 1e6 && v_reset < fires && v_reset >= -1e6))
        return spi_nir_refuse(w,
                              "its threshold is %g (in units of its input, %g) and its reset %g; a layer "
                              "takes "
                              "thresholds of 1e-6 to 1e6 above the reset",
                              v_th, fires, v_reset);
    describe(&n, text, sizeof text);
    spi_nir_layer(w, "%s, v_th: %s, reset: %s, v_reset: %s%s", text, as_text(fires).s, soft ? "soft" : "hard",
                  as_text(v_reset).s, w->around ? ", recurrent: true" : "");
    w->at.spikes = true;
    if (w->around)
        SP_TRY(take_loop(w));
    return soft ? spi_nir_note(w, SP_NIR_APPROXIMATE, "soft reset, which NIR does not define")
                : spi_nir_note(w, SP_NIR_FAITHFUL, threshold ? "" : "hard reset");
}
