/* The settings of a neuron: those of a recipe's "neuron" section, which a layer may replace one by one. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "graph/layer_names.h"
#include "graph/network.h"

/* Another model than the one that was inherited does not take over what its second state was given. */
void sp_neuron_set_model(sp_neuron *n, const char *model)
{
    n->given |= sp_neuron_bit("model");
    if (strcmp(n->model, model) == 0)
        return;
    const sp_model_words *m = sp_model_words_of(model);
    snprintf(n->model, sizeof n->model, "%s", model);
    n->aux_tau = n->aux_gain = (double)NAN;
    n->learn = m && m->learn;
}

static sp_status read_model(void *n, const sp_yaml *v, sp_error *err)
{
    char model[SP_FIELD_NAME_BYTES];
    SP_TRY(sp_field_read_name(v, "model", model, err));
    sp_neuron_set_model(n, model);
    return SP_OK;
}

static void print_model(const void *n, sp_text *out)
{
    sp_text_add(out, "\"%s\"", ((const sp_neuron *)n)->model); /* a fragment may be called `null` */
}

static sp_status read_width(void *n, const sp_yaml *v, sp_error *err)
{
    double *width = &((sp_neuron *)n)->width;
    *width = (double)NAN;
    return v->kind == SP_YAML_NULL ? SP_OK : sp_yaml_to_float(v, "width", 1e-6, 1e6, width, err);
}

static void print_width(const void *base, sp_text *out)
{
    const sp_neuron *n = base;
    if (isnan(n->width))
        sp_text_add(out, "null");
    else
        sp_text_number(out, n->width);
}

static sp_status read_v_sub(void *n, const sp_yaml *v, sp_error *err)
{
    double *v_sub = &((sp_neuron *)n)->v_sub;
    *v_sub = (double)NAN;
    return v->kind == SP_YAML_NULL ? SP_OK : sp_yaml_to_float(v, "v_sub", 1e-6, 1e6, v_sub, err);
}

static void print_v_sub(const void *base, sp_text *out)
{
    const sp_neuron *n = base;
    if (isnan(n->v_sub))
        sp_text_add(out, "null");
    else
        sp_text_number(out, n->v_sub);
}

/* A word for a second state's setting, where the model has it. tau_syn, tau_a, beta belong to models of ours;
 * a plugin's model has aux_tau and aux_gain. */
static sp_status read_aux(sp_neuron *n, const sp_yaml *v, const char *key, bool gain, sp_error *err)
{
    const sp_model_words *m = sp_model_words_of(n->model);
    const char *word = m ? (gain ? m->gain_key : m->tau_key) : gain ? "aux_gain" : "aux_tau";
    double lo = gain ? -1e9 : 1;
    if (!word || strcmp(word, key) != 0)
        return sp_yaml_fail(v, err, "a neuron of model \"%s\" has no \"%s\"", n->model, key);
    return sp_yaml_to_float(v, key, lo, 1e9, gain ? &n->aux_gain : &n->aux_tau, err);
}

#define AUX(key, gain)                                                                                       \
    static sp_status read_##key(void *n, const sp_yaml *v, sp_error *err)                                    \
    {                                                                                                        \
        return read_aux(n, v, #key, gain, err);                                                              \
    }
AUX(tau_syn, false)
AUX(tau_a, false)
AUX(aux_tau, false)
AUX(beta, true)
AUX(aux_gain, true)

static void print_aux_tau(const void *n, sp_text *out)
{
    sp_text_number(out, ((const sp_neuron *)n)->aux_tau);
}

static void print_aux_gain(const void *n, sp_text *out)
{
    sp_text_number(out, ((const sp_neuron *)n)->aux_gain);
}

static sp_status read_learn(void *base, const sp_yaml *v, sp_error *err)
{
    sp_neuron *n = base;
    const sp_model_words *m = sp_model_words_of(n->model);
    if (m && (v->kind != SP_YAML_BOOL || (v->integer != 0) != m->learn))
        return sp_yaml_fail(v, err, "\"learn\" is about models of plugins; %s",
                            m->learn ? "plif always learns its tau"
                                     : "the model that learns its tau is plif");
    if (v->kind != SP_YAML_BOOL)
        return sp_yaml_fail(v, err, "\"learn\" must be true or false");
    n->learn = v->integer != 0;
    return SP_OK;
}

static void print_learn(const void *n, sp_text *out)
{
    sp_text_add(out, "%s", ((const sp_neuron *)n)->learn ? "true" : "false");
}

#define AT(member)     SP_FIELD_AT(sp_neuron, member)
#define FLOAT(k, l, h) .key = #k, .kind = SP_FIELD_FLOAT, AT(k), .low = l, .high = h
#define BOOL(k)        .key = #k, .kind = SP_FIELD_BOOL, AT(k)
#define OTHER(k, p, f) .key = #k, .kind = SP_FIELD_OTHER, .read = read_##k, .print = p, .form = f
static const sp_field rows[] = {
    {OTHER(model, print_model, "name"), .initial = "lif", .sample = "if",
     .help = "The neuron model: lif, if, plif, cuba_lif, alif, lif_late_reset, or a plugin's."},
    {FLOAT(tau, 1, 1e9), .initial = "1.1", .help = "Time constant of the potential, in time steps."},
    {FLOAT(v_th, 1e-6, 1e6), .initial = "1", .help = "Threshold."},
    {FLOAT(v_reset, -1e6, 1e6), .initial = "0", .help = "Potential after a spike; of hard resets only."},
    {FLOAT(v_init, -1e6, 1e6), .initial = "0",
     .help = "Potential before the first time step; of model if with soft resets only."},
    {.key = "reset",
     .kind = SP_FIELD_CHOICE,
     AT(hard_reset),
     .names = (const char *const[]){"soft", "hard", NULL},
     .initial = "soft",
     .help = "soft subtracts v_th, hard goes to v_reset."},
    {OTHER(v_sub, print_v_sub, "number, 1e-06 to 1e+06, or null"), .initial = "null", .sample = "0.7",
     .help = "What a soft reset subtracts; null: v_th."},
    {BOOL(detach_reset), .initial = "false", .help = "Whether gradients ignore the reset."},
    {BOOL(decay_input), .initial = "false", .help = "Whether the input is divided by tau."},
    {.key = "surrogate",
     .kind = SP_FIELD_NAME,
     AT(surrogate),
     .initial = "triangle",
     .help = "Surrogate of the derivative of a spike."},
    {OTHER(width, print_width, "number, 1e-06 to 1e+06, or null"), .initial = "null", .sample = "0.3",
     .help = "Width of the surrogate; null: its own default."},
    {OTHER(tau_syn, print_aux_tau, "number, 1 to 1e+09"), .sample = "3",
     .help = "cuba_lif: time constant of the synapse."},
    {OTHER(tau_a, print_aux_tau, "number, 1 to 1e+09"), .sample = "3",
     .help = "alif: time constant of the threshold."},
    {OTHER(beta, print_aux_gain, "number, -1e+09 to 1e+09"), .sample = "0.3",
     .help = "alif: rise of the threshold at a spike."},
    {OTHER(aux_tau, print_aux_tau, "number, 1 to 1e+09"), .sample = "3",
     .help = "Plugins' models: time constant of the second state."},
    {OTHER(aux_gain, print_aux_gain, "number, -1e+09 to 1e+09"), .sample = "0.3",
     .help = "Plugins' models: gain of the second state."},
    {BOOL(learn_v_th), .initial = "false",
     .help = "Whether each layer learns its threshold, one number, which starts at v_th."},
    {BOOL(stabilise), .initial = "false",
     .help = "Whether the threshold of a layer follows the mean and the deviation of its potentials from "
             "time step to time step, in training and in evaluation (OTS)."},
    {OTHER(learn, print_learn, "true or false"), .sample = "true",
     .help = "Plugins' models: a learnable scalar in each layer."},
    {BOOL(per_channel), .initial = "false",
     .help = "Whether the leak of plif and the threshold of learn_v_th are learnt for each channel (behind a "
             "linear layer: each neuron), not one for the layer."},
};
const sp_fields sp_neuron_fields = {.what = "neuron",
                                    .items = rows,
                                    .n = sizeof rows / sizeof *rows,
                                    .given = offsetof(sp_neuron, given)};

/* Of layers alone. */
static const sp_field output_field = {
    .key = "output",
    .kind = SP_FIELD_CHOICE,
    AT(membrane),
    .names = (const char *const[]){"spikes", "membrane", NULL},
    .initial = "spikes",
};

uint64_t sp_neuron_bit(const char *key)
{
    return sp_fields_bit(&sp_neuron_fields, key);
}

sp_neuron sp_neuron_default(void)
{
    sp_neuron n = {.model = "lif",
                   .v_sub = (double)NAN,
                   .width = (double)NAN,
                   .aux_tau = (double)NAN,
                   .aux_gain = (double)NAN};
    sp_fields_defaults(&sp_neuron_fields, &n);
    return n;
}

/* The device subtracts the threshold. Where v_sub says otherwise, its potentials are all so much higher that
 * the threshold is v_sub, and so is their rest. */
double sp_neuron_offset(const sp_neuron *n)
{
    return isnan(n->v_sub) ? 0 : n->v_sub - n->v_th;
}

static sp_status check(const sp_yaml *map, const sp_neuron *n, sp_error *err)
{
    if (!n->hard_reset && n->v_reset != 0.0)
        return sp_yaml_fail(map, err,
                            "v_reset is %g, but a soft reset subtracts v_th; use reset: hard or v_reset: 0",
                            n->v_reset);
    if (n->v_init != 0.0 && (n->hard_reset || strcmp(n->model, "if") != 0))
        return sp_yaml_fail(map, err,
                            "v_init is %g, which is for model if with the soft reset; others start at their "
                            "resting potential",
                            n->v_init);
    if (n->v_reset >= n->v_th)
        return sp_yaml_fail(map, err, "v_reset (%g) must be below v_th (%g)", n->v_reset, n->v_th);
    if (!isnan(n->v_sub) && (n->hard_reset || n->learn_v_th))
        return sp_yaml_fail(map, err, "v_sub is what a soft reset subtracts, and %s; leave v_sub out",
                            n->hard_reset ? "a hard reset goes to v_reset"
                                          : "with learn_v_th: true that is the threshold which is learnt");
    if (n->stabilise && (n->learn_v_th || !isnan(n->v_sub)))
        return sp_yaml_fail(map, err,
                            "stabilise: true has a threshold that follows the potentials, and %s; leave one "
                            "of them out",
                            n->learn_v_th ? "learn_v_th: true one that is learnt"
                                          : "v_sub is what is subtracted in the place of a fixed one");
    return SP_OK;
}

sp_status sp_neuron_read(const sp_yaml *map, sp_neuron *n, sp_error *err)
{
    SP_TRY(sp_fields_read(&sp_neuron_fields, map, n, err));
    return check(map, n, err);
}

/* What a layer that never fires is given in vain. */
static sp_status check_membrane(const sp_yaml *map, sp_neuron *n, sp_error *err)
{
    static const char *const idle[] = {"v_th",      "v_reset", "v_sub",     "reset",      "detach_reset",
                                       "surrogate", "width",   "recurrent", "learn_v_th", "stabilise"};
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        if (sp_yaml_get(map, idle[i]))
            return sp_yaml_fail(sp_yaml_get(map, idle[i]), err,
                                "\"%s\" is about spikes, and with output: membrane this layer has none; "
                                "leave it out",
                                idle[i]);
    const sp_model_words *m = sp_model_words_of(n->model);
    if (m && m->gain_key)
        return sp_yaml_fail(map, err,
                            "model \"%s\" is about thresholds, and with output: membrane there is none; use "
                            "lif, plif or cuba_lif",
                            n->model);
    n->hard_reset = n->learn_v_th = n->stabilise = false;
    n->v_reset = 0;
    n->v_sub = (double)NAN;
    return SP_OK;
}

/* Those of a layer are printed where they were given, as the others are the recipe's; and there are four
 * more.
 */
enum { LAYER_ROWS = sizeof rows / sizeof *rows + 4 };

static sp_fields layer_table(const char *what, sp_field all[LAYER_ROWS])
{
    memcpy(all, rows, sizeof rows);
    all[LAYER_ROWS - 4] = (sp_field){.key = "label", .kind = SP_FIELD_OTHER};
    all[LAYER_ROWS - 3] = (sp_field){.key = "type", .kind = SP_FIELD_OTHER};
    all[LAYER_ROWS - 2] = output_field;
    all[LAYER_ROWS - 1] = (sp_field){BOOL(recurrent)};
    for (size_t i = 0; i < LAYER_ROWS; i++)
        all[i].initial = NULL;
    return (sp_fields){what, all, LAYER_ROWS, offsetof(sp_neuron, given)};
}

sp_status sp_neuron_read_layer(const sp_yaml *map, const char *what, sp_neuron *n, sp_error *err)
{
    sp_field all[LAYER_ROWS];
    const sp_fields table = layer_table(what, all);
    SP_TRY(sp_fields_read(&table, map, n, err));
    const sp_yaml *each = sp_yaml_get(map, "per_channel");
    if (each && n->per_channel && !n->learn && !n->learn_v_th)
        return sp_yaml_fail(each, err,
                            "\"per_channel\" is about what a layer learns, and this one learns neither its "
                            "leak (plif) nor its threshold (learn_v_th)");
    return n->membrane ? check_membrane(map, n, err) : check(map, n, err);
}

void sp_neuron_print_layer(const sp_neuron *n, sp_text *out)
{
    sp_field all[LAYER_ROWS];
    const sp_fields table = layer_table("", all);
    sp_fields_print_inline(&table, n, out);
}
