/* The list of layers as a person writes it, from YAML to a tree of sp_layer. Shapes are not looked at here
 * (graph.c), nor whether a neuron model or surrogate of that name exists (the registry). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/layer_names.h"
#include "graph/network_reader.h"

/* What a layer cannot do without; a recipe's "neuron" may leave it to the layers. */
static sp_status check_neuron(const spi_network_reader *r, const sp_yaml *map, const sp_layer *layer)
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
                            "start above 1",
                            layer->name, n->tau);
    return SP_OK;
}

/* What tables do not say. */
static sp_status check_layer(const spi_network_reader *r, const sp_yaml *map, sp_layer *layer)
{
    const sp_fields *table = &sp_layer_fields[layer->type];
    if (layer->type == SP_LAYER_TD_BATCH_NORM && sp_fields_given(table, layer, "v_th"))
        layer->neuron.given |= sp_neuron_bit("v_th"); /* else it is the recipe's */
    if (!layer->bias && sp_fields_given(table, layer, "bias_init"))
        return sp_yaml_fail(sp_yaml_get(map, "bias_init"), r->err,
                            "\"bias_init\" in a layer with bias: false; remove one of them");
    if (layer->type == SP_LAYER_CONV1D)
        layer->kernel[0] = layer->stride[0] = layer->dilation[0] = 1, layer->padding[0] = 0;
    if (layer->type != SP_LAYER_AVG_POOL && layer->type != SP_LAYER_MAX_POOL)
        return SP_OK;
    if (!sp_fields_given(table, layer, "stride"))
        memcpy(layer->stride, layer->kernel, sizeof layer->stride);
    for (int i = 0; i < 2; i++)
        if (layer->padding[i] > layer->kernel[i] / 2)
            return sp_yaml_fail(sp_yaml_get(map, "padding"), r->err,
                                "\"padding\" of a pool can be at most half its kernel (%lld)",
                                (long long)(layer->kernel[i] / 2));
    return SP_OK;
}

/* A place for dropout, without p of its own, takes the network's. */
static sp_status read_dropout(spi_network_reader *r, const sp_yaml *map, sp_layer *layer)
{
    if (sp_fields_given(&sp_layer_fields[layer->type], layer, "p"))
        return SP_OK;
    if (isnan(r->dropout))
        return sp_yaml_fail(map, r->err, "dropout layer %s has no \"p\"; it is required", layer->name);
    layer->p = r->dropout;
    layer->given |= sp_fields_bit(&sp_layer_fields[layer->type], "p");
    r->places++;
    return SP_OK;
}

static sp_status read_path(spi_network_reader *r, const sp_yaml *map, const sp_layer *layer, const char *key,
                           sp_layer **layers, size_t *n)
{
    char prefix[sizeof layer->name + 16], what[sizeof layer->name + 48];
    const sp_yaml *list = sp_yaml_get(map, key);
    if (!list || list->kind == SP_YAML_NULL)
        return SP_OK;
    snprintf(prefix, sizeof prefix, "%s.%s.", layer->name, key);
    snprintf(what, sizeof what, "\"%s\" of residual layer %s", key, layer->name);
    return spi_network_read_list(r, list, prefix, what, layers, n);
}

static sp_status read_residual(spi_network_reader *r, const sp_yaml *map, sp_layer *layer)
{
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
    return SP_OK;
}

/* `type` is a layer, or a neuron model other than the recipe's: plif, cuba_lif, alif, if. Plain `lif` is any
 * neuron. */
static sp_status read_type(const spi_network_reader *r, const sp_yaml *map, int *type, const char **model)
{
    const char *words[SP_LAYER_TYPES + SP_MODELS];
    for (int i = 0; i < SP_LAYER_TYPES; i++)
        words[i] = sp_layer_fields[i].what;
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

/* Names of layers begin with a digit, labels do not. */
static sp_status read_label(const spi_network_reader *r, const sp_yaml *map, sp_layer *layer)
{
    const sp_yaml *v = sp_yaml_get(map, "label");
    if (!v)
        return SP_OK;
    SP_TRY(sp_field_read_name(v, "label", layer->label, r->err));
    if (layer->label[0] >= '0' && layer->label[0] <= '9')
        return sp_yaml_fail(v, r->err, "\"label\" must begin with a letter");
    return strcmp(layer->label, "input")
               ? SP_OK
               : sp_yaml_fail(v, r->err, "the label \"input\" is the network's input");
}

static sp_status read_layer(spi_network_reader *r, const sp_yaml *map, sp_layer *layer)
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
    SP_TRY(read_label(r, map, layer));
    layer->neuron = *r->neuron;
    layer->neuron.given = 0;
    if (model)
        sp_neuron_set_model(&layer->neuron, model);
    sp_fields table = sp_layer_fields[type];
    snprintf(what, sizeof what, "%s layer %s", table.what, layer->name);
    if (type == SP_LAYER_LIF) {
        SP_TRY(sp_neuron_read_layer(map, what, &layer->neuron, r->err));
        return check_neuron(r, map, layer);
    }
    table.what = what;
    sp_fields_defaults(&table, layer);
    SP_TRY(sp_fields_read(&table, map, layer, r->err));
    SP_TRY(check_layer(r, map, layer));
    return type == SP_LAYER_RESIDUAL  ? read_residual(r, map, layer)
           : type == SP_LAYER_DROPOUT ? read_dropout(r, map, layer)
                                      : SP_OK;
}

/* Whether the network has no dropout in a place that was left for it. */
static bool is_left_out(const sp_yaml *map, const sp_layer *layer)
{
    return layer->type == SP_LAYER_DROPOUT && !sp_yaml_get(map, "p") && !(layer->p > 0);
}

sp_status spi_network_read_list(spi_network_reader *r, const sp_yaml *list, const char *prefix,
                                const char *what, sp_layer **layers, size_t *n)
{
    if (list->kind != SP_YAML_LIST)
        return sp_yaml_fail(list, r->err, "%s must be a list", what);
    *layers = sp_alloc_array(list->n, sizeof **layers);
    if (!*layers)
        return SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading a network");
    for (size_t i = 0; i < list->n; i++) {
        sp_layer *layer = &(*layers)[*n];
        int length = snprintf(layer->name, sizeof layer->name, "%s%zu", prefix, *n);
        if (length < 0 || (size_t)length >= sizeof layer->name)
            return sp_yaml_fail(list->items[i], r->err, "residual layers are nested too deeply");
        ++*n; /* sp_network_free may see a layer that is half read */
        SP_TRY(read_layer(r, list->items[i], layer));
        if (is_left_out(list->items[i], layer))
            (*layers)[--*n] = (sp_layer){0};
    }
    return SP_OK;
}

sp_status sp_network_parse(const sp_yaml *layers, const sp_neuron *neuron, sp_network *out, sp_error *err)
{
    spi_network_reader r = {.neuron = neuron, .dropout = (double)NAN, .err = err};
    memset(out, 0, sizeof *out);
    if (!layers)
        return SP_FAIL(err, SP_E_CONFIG, "the network has no \"layers\"");
    sp_status st = spi_network_read_list(&r, layers, "", "\"layers\"", &out->layers, &out->n);
    if (st == SP_OK && out->n == 0)
        st = sp_yaml_fail(layers, err, "the list of layers is empty");
    if (st != SP_OK)
        sp_network_free(out);
    return st;
}

static void free_layers(sp_layer *layers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sp_free(layers[i].from);
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
    sp_free(net->file);
    memset(net, 0, sizeof *net);
}
