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
    double tau, tau_syn, gain, v_th, v_reset, v_leak; /* gain: of x into the potential, in a step */
} neuron;

static sp_status read_neuron(spi_nir_walk *w, neuron *n)
{
    const char *type = w->node->type;
    double r, w_in = 1;
    bool cuba = strcmp(type, "CubaLIF") == 0;
    *n = (neuron){.model = cuba ? "cuba_lif" : "lif", .tau = 1, .gain = 1};
    if (strcmp(type, "Threshold") == 0) /* a neuron that forgets at once */
        return spi_nir_uniform(w, "threshold", (double)NAN, &n->v_th);
    SP_TRY(spi_nir_uniform(w, "v_threshold", (double)NAN, &n->v_th));
    SP_TRY(spi_nir_uniform(w, "v_reset", 0, &n->v_reset));
    SP_TRY(spi_nir_uniform(w, "r", (double)NAN, &r));
    if (strcmp(type, "IF") == 0) {
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

/* NIR fires above the threshold, layers fire at it: the next float32 is the same comparison. */
sp_status spi_nir_neuron(spi_nir_walk *w)
{
    neuron n;
    SP_TRY(read_neuron(w, &n));
    bool soft = says_soft(w) && strcmp(w->node->type, "Threshold") != 0, leaky = strcmp(n.model, "if") != 0;
    if (!(n.gain > 0))
        return spi_nir_refuse(w, "its input has a factor of %g; one above 0 is needed", n.gain);
    bool decays = leaky && n.tau > 1 && fabs(n.gain * n.tau - 1) <= 2e-7;
    if (decays)
        n.gain = 1;
    /* all potentials over the gain: the same spikes, and an input that is not scaled */
    double v_th = (double)nextafterf((float)(n.v_th / n.gain), INFINITY),
           v_reset = shortest(n.v_reset / n.gain);
    if (soft && n.v_reset != 0)
        return spi_nir_refuse(w, "v_reset is %g, but a soft reset subtracts the threshold", n.v_reset);
    if (leaky && n.tau > 1 && n.v_leak != (soft ? 0 : n.v_reset))
        return spi_nir_refuse(w, "v_leak (%g) is not v_reset (%g)", n.v_leak, n.v_reset);
    if (!(v_th >= 1e-6 && v_th <= 1e6 && v_reset < v_th && v_reset >= -1e6))
        return spi_nir_refuse(w,
                              "its threshold is %g (in units of its input, %g) and its reset %g; a layer "
                              "takes "
                              "thresholds of 1e-6 to 1e6 above the reset",
                              n.v_th, v_th, n.v_reset);
    char more[160] = "";
    if (leaky)
        snprintf(more, sizeof more, ", tau: %s", as_text(n.tau).s);
    if (n.tau_syn > 0)
        snprintf(more + strlen(more), sizeof more - strlen(more), ", tau_syn: %s", as_text(n.tau_syn).s);
    spi_nir_layer(w, "lif, model: %s%s, v_th: %s, reset: %s, v_reset: %s, decay_input: %s%s", n.model, more,
                  as_text(v_th).s, soft ? "soft" : "hard", as_text(v_reset).s, decays ? "true" : "false",
                  w->around ? ", recurrent: true" : "");
    w->at.spikes = true;
    if (w->around)
        SP_TRY(take_loop(w));
    return soft ? spi_nir_note(w, SP_NIR_APPROXIMATE, "soft reset, which NIR does not define")
                : spi_nir_note(w, SP_NIR_FAITHFUL, "hard reset");
}
