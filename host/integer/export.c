/* Files for hardware. Every number is a two's complement of the width that the manifest states, in
 * hexadecimal. */
#include "integer/export.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"

int sp_integer_bits(int64_t most, bool is_signed)
{
    int bits = 1;
    while (bits < 40 && most >> bits)
        bits++;
    return bits + is_signed;
}

int sp_integer_input_bits(const sp_integer *net, int layer)
{
    const sp_integer_layer *l = &net->layers[layer];
    if (l->spikes_in)
        return 1;
    if (layer == 0)
        return sp_integer_bits(net->input_high, net->input_low < 0);
    return sp_integer_bits(l->in_most, sp_integer_input_signed(net, layer));
}

/* Inputs may be negative, and so may sums of them in a pool; spikes are not. */
bool sp_integer_input_signed(const sp_integer *net, int layer)
{
    for (int i = 0; i < layer; i++)
        if (net->layers[i].spikes_in || net->layers[i].kind == SP_INTEGER_WEIGHTS)
            return false;
    return net->input_low < 0;
}

int sp_integer_sum_bits(const sp_integer *net, int layer)
{
    const sp_integer_layer *l = &net->layers[layer];
    if (l->kind == SP_INTEGER_WEIGHTS)
        return sp_integer_bits(l->sum_most, true);
    return l->spikes_out ? 1 : sp_integer_bits(l->sum_most, sp_integer_input_signed(net, layer));
}

int sp_integer_output_bits(const sp_integer *net, int layer)
{
    return net->layers[layer].kind == SP_INTEGER_WEIGHTS ? 1 : sp_integer_sum_bits(net, layer);
}

int64_t sp_integer_cycles(const sp_integer_layer *l, int64_t elements)
{
    const int64_t taps = l->kh * l->kw * (l->kind == SP_INTEGER_WEIGHTS ? l->c : 1);
    return (sp_integer_outputs(l) + elements - 1) / elements * (taps + 1) + 1;
}

void sp_integer_write_codes(sp_text *out, const int32_t *x, int64_t n, int bits)
{
    const uint32_t mask = bits < 32 ? (UINT32_C(1) << bits) - 1 : UINT32_MAX;
    for (int64_t i = 0; i < n; i++)
        sp_text_add(out, "%0*x\n", (bits + 3) / 4, (unsigned)((uint32_t)x[i] & mask));
}

/* ---- files ---- */

static sp_status put_named(const char *folder, const char *name, const char *text, sp_error *err)
{
    char *path = sp_format("%s/%s", folder, name);
    sp_status st = path ? sp_file_replace_text(path, text, err)
                        : SP_FAIL(err, SP_E_MEMORY, "out of memory for an export");
    sp_free(path);
    return st;
}

/* folder/layerN_WHAT; empties the text. */
static sp_status put(const char *folder, int layer, const char *what, sp_text *text, sp_error *err)
{
    char name[96];
    snprintf(name, sizeof name, "layer%d_%s", layer, what);
    sp_status st = put_named(folder, name, text->failed ? NULL : text->s ? text->s : "", err);
    sp_text_free(text);
    return st;
}

static sp_status put_memory(const char *folder, int layer, const char *what, const int32_t *x, int64_t n,
                            int bits, sp_error *err)
{
    char name[64];
    sp_text mem = {0}, coe = {0};
    if (!x)
        return SP_OK;
    sp_integer_write_codes(&mem, x, n, bits);
    sp_text_add(&coe, "memory_initialization_radix=16;\nmemory_initialization_vector=\n");
    for (const char *at = mem.s; at && *at;) {
        const size_t digits = strcspn(at, "\n");
        sp_text_add(&coe, "%.*s%s\n", (int)digits, at, at[digits + 1] ? "," : ";");
        at += digits + 1;
    }
    snprintf(name, sizeof name, "%s.mem", what);
    sp_status st = put(folder, layer, name, &mem, err);
    snprintf(name, sizeof name, "%s.coe", what);
    if (st == SP_OK)
        return put(folder, layer, name, &coe, err);
    sp_text_free(&coe);
    return st;
}

static void add_array(sp_text *out, int layer, const char *what, const int32_t *x, int64_t n, int bits)
{
    if (!x)
        return;
    sp_text_add(out, "static const int%d_t layer%d_%s[%lld] = {",
                bits <= 8    ? 8
                : bits <= 16 ? 16
                             : 32,
                layer, what, (long long)n);
    for (int64_t i = 0; i < n; i++)
        sp_text_add(out, "%s%d", i == 0 ? "" : i % 16 ? ", " : ",\n    ", x[i]);
    sp_text_add(out, "};\n");
}

static void add_header(const sp_integer *net, sp_text *out)
{
    sp_text_add(out, "/* Weights [kh][kw][c][o], biases, thresholds and resets [o]; see manifest.json. */\n"
                     "#include <stdint.h>\n");
    for (int i = 0; i < net->n; i++) {
        const sp_integer_layer *l = &net->layers[i];
        if (l->kind != SP_INTEGER_WEIGHTS)
            continue;
        add_array(out, i, "weights", l->weights, sp_integer_taps(l) * l->o, l->weight_bits);
        add_array(out, i, "bias", l->bias, l->o, 32);
        add_array(out, i, "threshold", l->threshold, l->o, 32);
        add_array(out, i, "reset", l->reset, l->o, 32);
    }
}

/* What examples/hdl wires a design from: a line for the golden vectors, then one for each layer with its
 * number, its name, its module and the parameters of that. */
static void add_parameters(const sp_integer *net, const sp_integer_golden *golden, sp_text *out)
{
    sp_text_add(out, "samples %zu time_steps %d\n", golden->n, net->time_steps);
    for (int i = 0; i < net->n; i++) {
        const sp_integer_layer *l = &net->layers[i];
        const bool weights = l->kind == SP_INTEGER_WEIGHTS;
        sp_text_add(out, "%d %s %s H=%lld W=%lld C=%lld HO=%lld WO=%lld O=%lld", i, sp_integer_name(net, i),
                    weights ? "spiking_layer" : "spiking_pool", (long long)l->h, (long long)l->w,
                    (long long)l->c, (long long)l->ho, (long long)l->wo, (long long)l->o);
        sp_text_add(out, " KH=%lld KW=%lld SH=%lld SW=%lld PH=%lld PW=%lld DH=%lld DW=%lld", (long long)l->kh,
                    (long long)l->kw, (long long)l->sh, (long long)l->sw, (long long)l->ph, (long long)l->pw,
                    (long long)l->dh, (long long)l->dw);
        sp_text_add(out, " IN_BITS=%d IN_SIGNED=%d SUM_BITS=%d", sp_integer_input_bits(net, i),
                    sp_integer_input_signed(net, i), sp_integer_sum_bits(net, i));
        if (weights)
            sp_text_add(out, " W_BITS=%d U_BITS=%d FRACTION=%d SHIFT=%d LEAK=%d HARD=%d\n", l->weight_bits,
                        l->width, l->fraction, l->shift, l->leak, l->reset != NULL);
        else
            sp_text_add(out, " OR=%d\n", l->kind == SP_INTEGER_OR);
    }
}

/* ---- the manifest ---- */

static json_t *shape_json(int64_t h, int64_t w, int64_t c)
{
    return json_pack("[I, I, I]", (json_int_t)h, (json_int_t)w, (json_int_t)c);
}

static json_t *layer_json(const sp_integer *net, int i)
{
    static const char *const kinds[] = {"weights and neurons", "sum pool", "or pool"};
    const sp_integer_layer *l = &net->layers[i];
    const bool weights = l->kind == SP_INTEGER_WEIGHTS;
    json_t *out =
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:[I, I], s:[I, I], s:[I, I], s:[I, I], s:i, s:b, s:i, s:I}",
                  "layer", i, "name", sp_integer_name(net, i), "kind",
                  weights && l->neuron < 0 ? "weights and read-out" : kinds[l->kind], "input",
                  shape_json(l->h, l->w, l->c), "output", shape_json(l->ho, l->wo, l->o), "kernel",
                  (json_int_t)l->kh, (json_int_t)l->kw, "stride", (json_int_t)l->sh, (json_int_t)l->sw,
                  "padding", (json_int_t)l->ph, (json_int_t)l->pw, "dilation", (json_int_t)l->dh,
                  (json_int_t)l->dw, "input_bits", sp_integer_input_bits(net, i), "input_signed",
                  sp_integer_input_signed(net, i), "sum_bits", sp_integer_sum_bits(net, i),
                  "cycles_per_time_step", (json_int_t)sp_integer_cycles(l, 1));
    if (!out || !weights)
        return out;
    json_t *neuron =
        json_pack("{s:i, s:i, s:s, s:i, s:s, s:I}", "potential_bits", l->width, "fraction", l->fraction,
                  "leak", l->leak ? "v - (v >> shift)" : "v >> shift", "shift", l->shift, "reset",
                  l->neuron < 0 ? "none: never fires"
                  : l->reset    ? "to layerN_reset.mem"
                                : "less the threshold",
                  "channels_rounded_again", (json_int_t)l->rescaled);
    json_object_set_new(out, "weight_bits", json_integer(l->weight_bits));
    json_t *exponents = json_array();
    for (int64_t o = 0; o < l->o; o++)
        json_array_append_new(exponents, json_integer(l->exponents[o]));
    json_object_set_new(out, "weight_exponents", exponents);
    json_object_set_new(out, "neuron", neuron);
    return out;
}

static json_t *golden_json(const sp_integer *net, const sp_integer_golden *g)
{
    json_t *samples = json_array(), *labels = json_array(), *outputs = json_array();
    const int64_t classes = net->graph->classes;
    for (size_t i = 0; i < g->n; i++) {
        json_t *row = json_array();
        json_array_append_new(samples, json_integer(g->samples[i]));
        json_array_append_new(labels, json_integer(g->labels[i]));
        for (int64_t k = 0; k < classes; k++)
            json_array_append_new(row, json_integer(g->outputs[(int64_t)i * classes + k]));
        json_array_append_new(outputs, row);
    }
    return json_pack("{s:o, s:o, s:o}", "samples", samples, "labels", labels, "outputs", outputs);
}

static json_t *manifest(const sp_integer *net, const char *name, const sp_integer_golden *golden)
{
    const sp_integer_layer *first = &net->layers[0];
    json_t *layers = json_array();
    for (int i = 0; i < net->n; i++)
        json_array_append_new(layers, layer_json(net, i));
    json_t *order = json_pack("{s:s, s:s, s:s, s:s}", "weights",
                              "layerN_weights: [kh][kw][c][o], a number a line; of a dense "
                              "layer kh, kw are the height and width of its input",
                              "activations",
                              "layerN_in, layerN_u, layerN_out: [sample][time step][h][w][c], a number a "
                              "line",
                              "channels", "layerN_bias, layerN_threshold, layerN_reset: [o], 32 bits",
                              "numbers", "two's complement of the stated width, in hexadecimal");
    json_t *rules = json_pack("{s:s, s:s, s:s, s:s}", "update",
                              "v = 0 (or reset) at the first time step, else u after its reset; u = "
                              "saturate(leak(v) + sum * 2^fraction + bias); spike = u >= threshold",
                              "rounding", ">> rounds down", "saturation",
                              "potentials to their width; nothing else overflows", "outputs",
                              "potentials of the last layer after the last time step; the class is the first "
                              "of the largest");
    return json_pack("{s:s, s:s, s:i, s:{s:o, s:i, s:i, s:i}, s:o, s:o, s:o, s:o}", "format", SP_HDL_FORMAT,
                     "name", name, "time_steps", net->time_steps, "input", "shape",
                     shape_json(first->h, first->w, first->c), "exponent", net->input_exponent, "low",
                     (int)net->input_low, "high", (int)net->input_high, "order", order, "rules", rules,
                     "layers", layers, "golden", golden_json(net, golden));
}

static bool any_name(int at, const char *name, const void *ctx)
{
    (void)at, (void)name, (void)ctx;
    return true;
}

sp_status sp_integer_export_check(const char *folder, sp_error *err)
{
    char *path = sp_format("%s/manifest.json", folder), *text = NULL;
    size_t n = 0;
    if (!path)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for an export");
    const bool other = sp_path_exists(folder) && sp_folder_has(folder, any_name, NULL);
    const bool ours = other && sp_path_exists(path) &&
                      sp_file_read(path, 1 << 26, &text, &n, NULL) == SP_OK && strstr(text, SP_HDL_FORMAT);
    sp_free(text);
    sp_free(path);
    return other && !ours ? SP_FAIL(err, SP_E_USAGE,
                                    "%s has other files in it; name a folder that is missing or empty, or "
                                    "that an earlier export has written",
                                    folder)
                          : SP_OK;
}

static sp_status put_golden(const char *folder, int layer, const char *what, const int32_t *x, int64_t n,
                            int bits, sp_error *err)
{
    sp_text mem = {0};
    sp_integer_write_codes(&mem, x, n, bits);
    return put(folder, layer, what, &mem, err);
}

static sp_status put_layer(const sp_integer *net, const char *folder, int i, sp_integer_golden const *g,
                           sp_error *err)
{
    const sp_integer_layer *l = &net->layers[i];
    const int64_t n = sp_integer_taps(l) * l->o, frames = (int64_t)g->n * net->time_steps;
    const int64_t outputs = frames * sp_integer_outputs(l);
    SP_TRY(put_golden(folder, i, "in.mem", g->in[i], frames * sp_integer_inputs(l),
                      sp_integer_input_bits(net, i), err));
    SP_TRY(put_golden(folder, i, "out.mem", g->out[i], outputs, sp_integer_output_bits(net, i), err));
    if (l->kind != SP_INTEGER_WEIGHTS)
        return SP_OK;
    SP_TRY(put_golden(folder, i, "u.mem", g->u[i], outputs, l->width, err));
    SP_TRY(put_memory(folder, i, "weights", l->weights, n, l->weight_bits, err));
    SP_TRY(put_memory(folder, i, "bias", l->bias, l->o, 32, err));
    SP_TRY(put_memory(folder, i, "threshold", l->threshold, l->o, 32, err));
    return put_memory(folder, i, "reset", l->reset, l->o, 32, err);
}

static bool is_of_layers(int at, const char *name, const void *ctx)
{
    (void)ctx;
    return strcmp(name, "golden.h5") == 0 ||
           (strncmp(name, "layer", 5) == 0 &&
            (sp_name_ends_in(at, name, ".mem") || sp_name_ends_in(at, name, ".coe")));
}

/* What an earlier export has left: its layers may be others, and nothing of them may stay. */
static sp_status remove_earlier(const char *folder, sp_error *err)
{
    sp_names names = {0};
    sp_status st = sp_folder_list(folder, is_of_layers, NULL, &names, err);
    for (size_t i = 0; st == SP_OK && i < names.n; i++) {
        char *path = sp_format("%s/%s", folder, names.items[i]);
        if (!path || unlink(path) != 0)
            st =
                SP_FAIL(err, SP_E_IO, "%s/%s cannot be removed: %s", folder, names.items[i], strerror(errno));
        sp_free(path);
    }
    sp_names_free(&names);
    return st;
}

sp_status sp_integer_export(const sp_integer *net, const char *folder, const char *name,
                            const sp_integer_golden *golden, sp_error *err)
{
    sp_text header = {0}, parameters = {0};
    json_t *json = manifest(net, name, golden);
    char *text = sp_json_text(json, JSON_INDENT(1));
    json_decref(json);
    sp_status st = sp_folder_make(folder, 0777, err);
    if (st == SP_OK)
        st = remove_earlier(folder, err);
    for (int i = 0; st == SP_OK && i < net->n; i++)
        st = put_layer(net, folder, i, golden, err);
    add_header(net, &header);
    add_parameters(net, golden, &parameters);
    if (st == SP_OK)
        st = put_named(folder, "network.h", header.failed ? NULL : header.s, err);
    if (st == SP_OK)
        st = put_named(folder, "layers.txt", parameters.failed ? NULL : parameters.s, err);
    if (st == SP_OK)
        st = put_named(folder, "manifest.json", text, err);
    sp_text_free(&header);
    sp_text_free(&parameters);
    sp_free(text);
    return st;
}
