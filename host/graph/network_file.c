/* Networks as files: a file may name another one, and whoever names one may change its width, its classes and
 * its dropout. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/paths.h"
#include "graph/layer_names.h"
#include "graph/network_reader.h"

enum { MOST_FILES = 8 };

#define KEY(k, kind_) .key = #k, .kind = SP_FIELD_##kind_, SP_FIELD_AT(sp_network_options, k)
static const sp_field rows[] = {
    {KEY(file, TEXT), .help = "A network file."},
    {.key = "layers", .kind = SP_FIELD_OTHER, .form = "list of layers", .help = "The layers themselves."},
    {.key = "name", .kind = SP_FIELD_OTHER, .form = "text", .help = "For the reader."},
    {.key = "about", .kind = SP_FIELD_OTHER, .form = "text", .help = "For the reader."},
    {KEY(width, FLOAT), .low = 1e-6, .high = 64, .help = "Factor of all outputs but the last layer's."},
    {KEY(classes, INT), .low = 2, .high = SP_LAYER_MOST, .help = "Outputs of the last layer."},
    {KEY(channels, INT), .low = 1, .high = SP_LAYER_MOST, .help = "Inputs that the first layer insists on."},
    {KEY(dropout, FLOAT), .low = 0, .high = 0.999,
     .help = "The p of dropout layers that have none of their own; 0 leaves them out."},
};
const sp_fields sp_network_fields = {"network", rows, sizeof rows / sizeof *rows,
                                     offsetof(sp_network_options, given)};

/* ---- changes ---- */

static bool has_outputs(const sp_layer *l)
{
    return l->type == SP_LAYER_CONV || l->type == SP_LAYER_WS_CONV || l->type == SP_LAYER_CONV1D ||
           l->type == SP_LAYER_LINEAR;
}

static bool joins(const sp_layer *l)
{
    return l->type == SP_LAYER_RESIDUAL || l->type == SP_LAYER_ADD || l->type == SP_LAYER_CONCAT;
}

/* The layer with the network's outputs, or NULL. */
static sp_layer *last_layer(const sp_network *net)
{
    for (size_t i = net->n; i > 0 && !joins(&net->layers[i - 1]); i--)
        if (has_outputs(&net->layers[i - 1]))
            return &net->layers[i - 1];
    return NULL;
}

static void forget(sp_layer *l, int64_t *count, const char *key)
{
    *count = 0;
    l->given &= ~sp_fields_bit(&sp_layer_fields[l->type], key);
}

/* What a layer takes in follows from what is before it, except in the first one. */
static void widen(sp_layer *layers, size_t n, double width, const sp_layer *first, const sp_layer *last)
{
    for (sp_layer *l = layers; l < layers + n; l++) {
        if (has_outputs(l) && l != last)
            l->out = (int64_t)fmin(fmax(1, round((double)l->out * width)), SP_LAYER_MOST);
        if (has_outputs(l) && l != first)
            forget(l, &l->in, "in");
        if (l->channels)
            forget(l, &l->channels, "channels");
        widen(l->pre, l->n_pre, width, first, last);
        widen(l->branch, l->n_branch, width, first, last);
        widen(l->shortcut, l->n_shortcut, width, first, last);
    }
}

static sp_status change(const sp_network_options *o, sp_network *net, sp_error *err)
{
    sp_layer *last = last_layer(net), *first = net->layers;
    if ((!isnan(o->width) || o->classes) && !last)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: width and classes need a network that ends in a linear layer or a convolution",
                       net->file);
    if (o->channels && !has_outputs(first))
        return SP_FAIL(err, SP_E_CONFIG, "%s: channels needs a network that begins with a convolution",
                       net->file);
    if (!isnan(o->width))
        widen(net->layers, net->n, o->width, first, last);
    if (o->classes)
        last->out = o->classes;
    if (o->channels) {
        first->in = o->channels;
        first->given |= sp_fields_bit(&sp_layer_fields[first->type], "in");
    }
    return SP_OK;
}

/* ---- reading ---- */

static sp_status read_any(spi_network_reader *r, const sp_yaml *v, const char *beside, int depth,
                          sp_network *out);

static sp_status read_file(spi_network_reader *r, const char *path, int depth, sp_network *out)
{
    sp_yaml_doc doc;
    SP_TRY(sp_yaml_load(path, &doc, r->err));
    sp_status st = doc.root ? read_any(r, doc.root, path, depth, out)
                            : SP_FAIL(r->err, SP_E_CONFIG, "%s: the file is empty", path);
    sp_yaml_free(&doc);
    return st;
}

static sp_status read_named(spi_network_reader *r, const sp_yaml *name, const char *beside, int depth,
                            sp_network *out)
{
    char near[SP_NEAREST_BYTES];
    if (depth == MOST_FILES)
        return sp_yaml_fail(name, r->err, "network: more than %d files, each of which names the next",
                            MOST_FILES);
    char *path = sp_path_beside(sp_yaml_from_set(name) ? beside : name->file, name->text);
    sp_status st = !path ? SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading a network")
                   : !sp_path_exists(path) ? sp_yaml_fail(name, r->err, "network: there is no file %s%s",
                                                          path, sp_path_nearest(path, near))
                                           : read_file(r, path, depth + 1, out);
    sp_free(path);
    return st;
}

static sp_status read_list(spi_network_reader *r, const sp_yaml *list, const char *beside, sp_network *out)
{
    out->file = sp_strdup(sp_yaml_from_set(list) ? beside : list->file);
    if (!out->file)
        return SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading a network");
    SP_TRY(spi_network_read_list(r, list, "", "\"layers\"", &out->layers, &out->n));
    return out->n ? SP_OK : sp_yaml_fail(list, r->err, "the list of layers is empty");
}

static sp_status fail_form(const sp_yaml *v, sp_error *err)
{
    return sp_yaml_fail(v, err,
                        "\"network\" must be a file name, a list of layers, or a map with either "
                        "\"file\" or \"layers\"");
}

static sp_status read_map(spi_network_reader *r, const sp_yaml *map, const char *beside, int depth,
                          sp_network *out)
{
    const sp_yaml *file = sp_yaml_get(map, "file"), *layers = sp_yaml_get(map, "layers");
    sp_network_options o = {.width = (double)NAN, .dropout = (double)NAN};
    SP_TRY(sp_fields_read(&sp_network_fields, map, &o, r->err));
    if (!file == !layers)
        return fail_form(map, r->err);
    if (isnan(r->dropout)) /* who names a file goes before the file */
        r->dropout = o.dropout;
    SP_TRY(file ? read_named(r, file, beside, depth, out) : read_list(r, layers, beside, out));
    if (!isnan(o.dropout) && r->places == 0)
        return sp_yaml_fail(sp_yaml_get(map, "dropout"), r->err,
                            "\"dropout\" would have no effect: the network has no dropout layer without p");
    return change(&o, out, r->err);
}

static sp_status read_any(spi_network_reader *r, const sp_yaml *v, const char *beside, int depth,
                          sp_network *out)
{
    return v->kind == SP_YAML_STRING ? read_named(r, v, beside, depth, out)
           : v->kind == SP_YAML_MAP  ? read_map(r, v, beside, depth, out)
           : v->kind == SP_YAML_LIST ? read_list(r, v, beside, out)
                                     : fail_form(v, r->err);
}

sp_status sp_network_read(const sp_yaml *value, const char *beside, const sp_neuron *neuron, sp_network *out,
                          sp_error *err)
{
    spi_network_reader r = {.neuron = neuron, .dropout = (double)NAN, .err = err};
    memset(out, 0, sizeof *out);
    sp_status st = read_any(&r, value, beside, 0, out);
    if (st != SP_OK)
        sp_network_free(out);
    return st;
}

sp_status sp_network_load(const sp_network_options *o, sp_network *out, sp_error *err)
{
    const sp_neuron neuron = sp_neuron_default();
    spi_network_reader r = {.neuron = &neuron, .dropout = o->dropout, .err = err};
    char *path = NULL;
    memset(out, 0, sizeof *out);
    sp_status st = sp_own_file("recipes/networks", "network", o->file, &path, err);
    if (st == SP_OK)
        st = read_file(&r, path, 0, out);
    if (st == SP_OK && !isnan(o->dropout) && r.places == 0)
        st = SP_FAIL(err, SP_E_USAGE, "%s: the network has no place for dropout", path);
    if (st == SP_OK)
        st = change(o, out, err);
    if (st != SP_OK)
        sp_network_free(out);
    sp_free(path);
    return st;
}
