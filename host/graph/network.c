/* The list of layers as a person writes it, from YAML to a tree of sp_layer. Shapes are not looked at here
 * (graph.c), nor whether a neuron model or surrogate of that name exists (the registry). */
#include "graph/network.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/layer_names.h"

static const int64_t max_size = 1 << 24;   /* channels and features */
static const int64_t max_window = 1 << 12; /* kernels, strides, paddings, pooled sizes */

const char *const sp_layer_type_names[SP_LAYER_TYPES] = {
    "conv",         "ws_conv",           "linear",  "batch_norm", "lif",     "avg_pool",
    "max_pool",     "adaptive_avg_pool", "flatten", "scale",      "dropout", "residual",
    "td_batch_norm"};
const char *const sp_init_names[SP_INITS] = {"fan_in_uniform", "fan_out_normal", "zeros", "normal_0.01"};

const sp_model_words sp_models[SP_MODELS] = {
    {"lif", NULL, NULL, false},           {"if", NULL, NULL, false},        {"plif", NULL, NULL, true},
    {"cuba_lif", "tau_syn", NULL, false}, {"alif", "tau_a", "beta", false},
};

const sp_model_words *sp_model_words_of(const char *model)
{
    for (int i = 0; i < SP_MODELS; i++)
        if (strcmp(sp_models[i].name, model) == 0)
            return &sp_models[i];
    return NULL;
}

typedef struct reader {
    const sp_neuron *neuron;
    sp_error *err;
} reader;

static sp_status read_list(const reader *r, const sp_yaml *list, const char *prefix, const char *what,
                           sp_layer **layers, size_t *n);

/* ---- parts that several layers share ---- */

static sp_status need(const reader *r, const sp_yaml *map, const sp_layer *layer, const char *key)
{
    if (sp_yaml_get(map, key))
        return SP_OK;
    return sp_yaml_fail(map, r->err, "%s layer %s has no \"%s\"; it is required",
                        sp_layer_type_names[layer->type], layer->name, key);
}

/* N, or [y, x]. */
static sp_status read_pair(const reader *r, const sp_yaml *map, const char *key, int64_t lo, int64_t pair[2])
{
    const sp_yaml *v = sp_yaml_get(map, key);
    if (!v)
        return SP_OK;
    if (v->kind != SP_YAML_LIST) {
        SP_TRY(sp_yaml_read_int(map, key, lo, max_window, &pair[0], r->err));
        pair[1] = pair[0];
        return SP_OK;
    }
    if (v->n != 2)
        return sp_yaml_fail(v, r->err, "\"%s\" must be one whole number or a list [y, x] of two, not of %zu",
                            key, v->n);
    for (int i = 0; i < 2; i++) {
        const sp_yaml *part = v->items[i];
        if (part->kind != SP_YAML_INT || part->integer < lo || part->integer > max_window)
            return sp_yaml_fail(part, r->err,
                                "\"%s\": the %s of [y, x] must be a whole number from %lld to %lld", key,
                                i ? "x" : "y", (long long)lo, (long long)max_window);
        pair[i] = part->integer;
    }
    return SP_OK;
}

static sp_status read_inits(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    int weight = SP_INIT_FAN_IN_UNIFORM, bias = SP_INIT_FAN_IN_UNIFORM;
    const sp_yaml *given = sp_yaml_get(map, "bias_init");
    SP_TRY(sp_yaml_read_bool(map, "bias", &layer->bias, r->err));
    SP_TRY(sp_yaml_read_choice(map, "weight_init", sp_init_names, SP_INITS, &weight, r->err));
    SP_TRY(sp_yaml_read_choice(map, "bias_init", sp_init_names, SP_INITS, &bias, r->err));
    if (given && !layer->bias)
        return sp_yaml_fail(given, r->err, "\"bias_init\" in a layer with bias: false; remove one of them");
    layer->weight_init = (sp_init)weight;
    layer->bias_init = (sp_init)bias;
    return SP_OK;
}

static sp_status read_features(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    SP_TRY(need(r, map, layer, "out"));
    SP_TRY(sp_yaml_read_int(map, "in", 1, max_size, &layer->in, r->err));
    return sp_yaml_read_int(map, "out", 1, max_size, &layer->out, r->err);
}

/* ---- one function per layer type ---- */

static sp_status read_conv(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    const sp_yaml *groups = sp_yaml_get(map, "groups"), *gain = sp_yaml_get(map, "gain");
    if (groups && !(groups->kind == SP_YAML_INT && groups->integer == 1))
        return sp_yaml_fail(groups, r->err,
                            "grouped convolutions are not supported; \"groups\" can only be 1");
    if (gain && !(gain->kind == SP_YAML_BOOL && gain->integer))
        return sp_yaml_fail(gain, r->err, "a ws_conv always has a gain; \"gain\" can only be true");
    SP_TRY(read_features(r, map, layer));
    SP_TRY(need(r, map, layer, "kernel"));
    SP_TRY(read_pair(r, map, "kernel", 1, layer->kernel));
    SP_TRY(read_pair(r, map, "stride", 1, layer->stride));
    SP_TRY(read_pair(r, map, "padding", 0, layer->padding));
    SP_TRY(read_pair(r, map, "dilation", 1, layer->dilation));
    layer->eps = 1e-4;
    SP_TRY(sp_yaml_read_float(map, "eps", 1e-12, 1, &layer->eps, r->err));
    return read_inits(r, map, layer);
}

static sp_status read_linear(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    SP_TRY(read_features(r, map, layer));
    return read_inits(r, map, layer);
}

static sp_status read_batch_norm(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    layer->eps = 1e-5;
    layer->momentum = 0.1;
    SP_TRY(sp_yaml_read_int(map, "channels", 1, max_size, &layer->channels, r->err));
    SP_TRY(sp_yaml_read_float(map, "eps", 1e-12, 1, &layer->eps, r->err));
    return sp_yaml_read_float(map, "momentum", 0, 1, &layer->momentum, r->err);
}

/* The threshold is that of the recipe's neurons unless the layer says another. */
static sp_status read_td_batch_norm(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    layer->alpha = 1;
    SP_TRY(sp_yaml_read_float(map, "alpha", 1e-6, 1e6, &layer->alpha, r->err));
    SP_TRY(sp_yaml_read_float(map, "v_th", 1e-6, 1e6, &layer->neuron.v_th, r->err));
    if (sp_yaml_get(map, "v_th"))
        layer->neuron.given |= sp_neuron_bit("v_th");
    return read_batch_norm(r, map, layer);
}

/* What a layer cannot do without; a recipe's "neuron" may leave it to the layers. */
static sp_status check_neuron(const reader *r, const sp_yaml *map, const sp_layer *layer)
{
    const sp_neuron *n = &layer->neuron;
    const sp_model_words *m = sp_model_words_of(n->model);
    const char *missing = m && m->tau_key && isnan(n->aux_tau)     ? m->tau_key
                          : m && m->gain_key && isnan(n->aux_gain) ? m->gain_key
                                                                   : NULL;
    if (missing)
        return sp_yaml_fail(map, r->err,
                            "%s layer %s has no \"%s\", and no \"neuron\" of the recipe gives it; it is "
                            "required",
                            n->model, layer->name, missing);
    if (n->learn && n->tau <= 1)
        return sp_yaml_fail(map, r->err,
                            "tau of layer %s is learnt, as 1/tau = sigmoid(w), and starts at %g; it must "
                            "start "
                            "above 1",
                            layer->name, n->tau);
    return SP_OK;
}

static sp_status read_lif(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    char what[128];
    snprintf(what, sizeof what, "lif layer %s", layer->name);
    SP_TRY(sp_neuron_read_layer(map, what, &layer->neuron, r->err));
    return check_neuron(r, map, layer);
}

static sp_status read_pool(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    SP_TRY(need(r, map, layer, "kernel"));
    SP_TRY(read_pair(r, map, "kernel", 1, layer->kernel));
    memcpy(layer->stride, layer->kernel, sizeof layer->stride);
    SP_TRY(read_pair(r, map, "stride", 1, layer->stride));
    SP_TRY(read_pair(r, map, "padding", 0, layer->padding));
    for (int i = 0; i < 2; i++)
        if (layer->padding[i] > layer->kernel[i] / 2)
            return sp_yaml_fail(sp_yaml_get(map, "padding"), r->err,
                                "\"padding\" of a pool can be at most half its kernel (%lld)",
                                (long long)(layer->kernel[i] / 2));
    return SP_OK;
}

static sp_status read_adaptive(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    SP_TRY(need(r, map, layer, "output"));
    return read_pair(r, map, "output", 1, layer->output);
}

static sp_status read_nothing(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    (void)r, (void)map, (void)layer;
    return SP_OK;
}

static sp_status read_scale(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    SP_TRY(need(r, map, layer, "factor"));
    return sp_yaml_read_float(map, "factor", -(double)FLT_MAX, (double)FLT_MAX, &layer->factor, r->err);
}

static sp_status read_dropout(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    SP_TRY(need(r, map, layer, "p"));
    return sp_yaml_read_float(map, "p", 0, 0.999, &layer->p, r->err);
}

static sp_status read_path(const reader *r, const sp_yaml *map, const sp_layer *layer, const char *key,
                           sp_layer **layers, size_t *n)
{
    char prefix[sizeof layer->name + 16], what[sizeof layer->name + 48];
    const sp_yaml *list = sp_yaml_get(map, key);
    if (!list || list->kind == SP_YAML_NULL)
        return SP_OK;
    snprintf(prefix, sizeof prefix, "%s.%s.", layer->name, key);
    snprintf(what, sizeof what, "\"%s\" of residual layer %s", key, layer->name);
    return read_list(r, list, prefix, what, layers, n);
}

static sp_status read_residual(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    static const char *const sources[] = {"pre", "input"};
    int source = 0;
    SP_TRY(read_path(r, map, layer, "pre", &layer->pre, &layer->n_pre));
    SP_TRY(read_path(r, map, layer, "branch", &layer->branch, &layer->n_branch));
    SP_TRY(read_path(r, map, layer, "shortcut", &layer->shortcut, &layer->n_shortcut));
    const sp_yaml *shortcut = sp_yaml_get(map, "shortcut");
    layer->has_shortcut = layer->n_shortcut > 0;
    if (shortcut && shortcut->kind == SP_YAML_LIST && !layer->has_shortcut)
        return sp_yaml_fail(shortcut, r->err, "\"shortcut\" is an empty list; write null for the identity");
    if (layer->n_branch == 0)
        return sp_yaml_fail(map, r->err,
                            "residual layer %s has no layers in \"branch\"; it needs one or more",
                            layer->name);
    SP_TRY(sp_yaml_read_choice(map, "identity_from", sources, 2, &source, r->err));
    SP_TRY(sp_yaml_read_bool(map, "skip_gain", &layer->skip_gain, r->err));
    layer->alpha = 1;
    SP_TRY(sp_yaml_read_float(map, "alpha", -(double)FLT_MAX, (double)FLT_MAX, &layer->alpha, r->err));
    layer->identity_input = source == 1;
    return SP_OK;
}

/* ---- lists ---- */

#define CONV_KEYS                                                                                            \
    "type", "in", "out", "kernel", "stride", "padding", "dilation", "groups", "bias", "weight_init",         \
        "bias_init"

typedef struct layer_reader {
    const char *keys[20]; /* up to the first NULL */
    sp_status (*read)(const reader *r, const sp_yaml *map, sp_layer *layer);
} layer_reader;

static const layer_reader readers[SP_LAYER_TYPES] = {
    [SP_LAYER_CONV] = {{CONV_KEYS}, read_conv},
    [SP_LAYER_WS_CONV] = {{CONV_KEYS, "gain", "eps"}, read_conv},
    [SP_LAYER_LINEAR] = {{"type", "in", "out", "bias", "weight_init", "bias_init"}, read_linear},
    [SP_LAYER_BATCH_NORM] = {{"type", "channels", "eps", "momentum"}, read_batch_norm},
    [SP_LAYER_LIF] = {{NULL}, read_lif},
    [SP_LAYER_AVG_POOL] = {{"type", "kernel", "stride", "padding"}, read_pool},
    [SP_LAYER_MAX_POOL] = {{"type", "kernel", "stride", "padding"}, read_pool},
    [SP_LAYER_ADAPTIVE_AVG_POOL] = {{"type", "output"}, read_adaptive},
    [SP_LAYER_FLATTEN] = {{"type"}, read_nothing},
    [SP_LAYER_SCALE] = {{"type", "factor"}, read_scale},
    [SP_LAYER_DROPOUT] = {{"type", "p"}, read_dropout},
    [SP_LAYER_RESIDUAL] = {{"type", "pre", "branch", "shortcut", "identity_from", "skip_gain", "alpha"},
                           read_residual},
    [SP_LAYER_TD_BATCH_NORM] = {{"type", "channels", "eps", "momentum", "alpha", "v_th"}, read_td_batch_norm},
};

/* `type` is a layer, or a neuron model other than the recipe's: plif, cuba_lif, alif, if. Plain `lif` is any
 * neuron. */
static sp_status read_type(const reader *r, const sp_yaml *map, int *type, const char **model)
{
    const char *words[SP_LAYER_TYPES + SP_MODELS];
    memcpy(words, sp_layer_type_names, sizeof sp_layer_type_names);
    for (int i = 1; i < SP_MODELS; i++)
        words[SP_LAYER_TYPES + i - 1] = sp_models[i].name;
    SP_TRY(sp_yaml_read_choice(map, "type", words, SP_LAYER_TYPES + SP_MODELS - 1, type, r->err));
    if (*type < SP_LAYER_TYPES)
        return SP_OK;
    *model = words[*type];
    *type = SP_LAYER_LIF;
    if (sp_yaml_get(map, "model"))
        return sp_yaml_fail(sp_yaml_get(map, "model"), r->err,
                            "\"type: %s\" names the model already; use \"type: lif\" with "
                            "\"model\"",
                            *model);
    return SP_OK;
}

static sp_status read_layer(const reader *r, const sp_yaml *map, sp_layer *layer)
{
    int type = 0;
    const char *model = NULL;
    char what[128];
    if (map->kind != SP_YAML_MAP)
        return sp_yaml_fail(map, r->err, "layer %s must be a map such as {type: flatten}", layer->name);
    if (!sp_yaml_get(map, "type"))
        return sp_yaml_fail(map, r->err, "layer %s has no \"type\"; it is required", layer->name);
    SP_TRY(read_type(r, map, &type, &model));
    layer->type = (sp_layer_type)type;
    layer->line = map->line;
    layer->column = map->column;
    layer->bias = true;
    layer->neuron = *r->neuron;
    layer->neuron.given = 0;
    if (model)
        sp_neuron_set_model(&layer->neuron, model);
    for (int i = 0; i < 2; i++)
        layer->kernel[i] = layer->stride[i] = layer->dilation[i] = 1;
    const layer_reader *how = &readers[type];
    size_t n_keys = 0;
    while (how->keys[n_keys])
        n_keys++;
    snprintf(what, sizeof what, "%s layer %s", sp_layer_type_names[type], layer->name);
    if (n_keys) /* a neuron checks its own */
        SP_TRY(sp_yaml_check_keys(map, how->keys, n_keys, what, r->err));
    return how->read(r, map, layer);
}

static sp_status read_list(const reader *r, const sp_yaml *list, const char *prefix, const char *what,
                           sp_layer **layers, size_t *n)
{
    if (list->kind != SP_YAML_LIST)
        return sp_yaml_fail(list, r->err, "%s must be a list", what);
    *layers = sp_alloc_array(list->n, sizeof **layers);
    if (!*layers)
        return SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading a network");
    *n = list->n; /* all zero: sp_network_free may see a list that is half read */
    for (size_t i = 0; i < list->n; i++) {
        sp_layer *layer = &(*layers)[i];
        int length = snprintf(layer->name, sizeof layer->name, "%s%zu", prefix, i);
        if (length < 0 || (size_t)length >= sizeof layer->name)
            return sp_yaml_fail(list->items[i], r->err, "residual layers are nested too deeply");
        SP_TRY(read_layer(r, list->items[i], layer));
    }
    return SP_OK;
}

/* ---- entry points ---- */

sp_status sp_network_parse(const sp_yaml *layers, const sp_neuron *neuron, sp_network *out, sp_error *err)
{
    reader r = {.neuron = neuron, .err = err};
    memset(out, 0, sizeof *out);
    if (!layers)
        return SP_FAIL(err, SP_E_CONFIG, "the network has no \"layers\"");
    sp_status st = read_list(&r, layers, "", "\"layers\"", &out->layers, &out->n);
    if (st == SP_OK && out->n == 0)
        st = sp_yaml_fail(layers, err, "the list of layers is empty");
    if (st != SP_OK)
        sp_network_free(out);
    return st;
}

static void free_layers(sp_layer *layers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free_layers(layers[i].pre, layers[i].n_pre);
        free_layers(layers[i].branch, layers[i].n_branch);
        free_layers(layers[i].shortcut, layers[i].n_shortcut);
    }
    sp_free(layers);
}

void sp_network_free(sp_network *net)
{
    if (!net)
        return;
    free_layers(net->layers, net->n);
    memset(net, 0, sizeof *net);
}
