/* A network written out again as YAML with every default but those of the recipe's neurons; network.c reads
 * it back to the same network. */
#include "graph/network.h"

#include <inttypes.h>
#include <string.h>

#include "base/number.h"
#include "graph/layer_names.h"

static void print_list(const sp_layer *layers, size_t n, int indent, sp_text *out);

static void add_number(sp_text *out, const char *key, double value)
{
    sp_text_add(out, ", %s: ", key);
    sp_text_number(out, value);
}

static void add_pair(sp_text *out, const char *key, const int64_t pair[2])
{
    sp_text_add(out, ", %s: [%" PRId64 ", %" PRId64 "]", key, pair[0], pair[1]);
}

static void add_count(sp_text *out, const char *key, int64_t value)
{
    if (value > 0) /* 0: to be inferred */
        sp_text_add(out, ", %s: %" PRId64, key, value);
}

static void add_flag(sp_text *out, const char *key, bool value)
{
    sp_text_add(out, ", %s: %s", key, value ? "true" : "false");
}

static void print_weights(const sp_layer *l, sp_text *out)
{
    add_flag(out, "bias", l->bias);
    sp_text_add(out, ", weight_init: %s", sp_init_names[l->weight_init]);
    if (l->bias)
        sp_text_add(out, ", bias_init: %s", sp_init_names[l->bias_init]);
}

static void print_conv(const sp_layer *l, sp_text *out)
{
    add_count(out, "in", l->in);
    add_count(out, "out", l->out);
    add_pair(out, "kernel", l->kernel);
    add_pair(out, "stride", l->stride);
    add_pair(out, "padding", l->padding);
    add_pair(out, "dilation", l->dilation);
    if (l->type == SP_LAYER_WS_CONV)
        add_number(out, "eps", l->eps);
    print_weights(l, out);
}

static void print_plain(const sp_layer *l, sp_text *out)
{
    sp_text_add(out, "{type: %s", sp_layer_type_names[l->type]);
    switch (l->type) {
    case SP_LAYER_CONV:
    case SP_LAYER_WS_CONV: print_conv(l, out); break;
    case SP_LAYER_LINEAR:
        add_count(out, "in", l->in);
        add_count(out, "out", l->out);
        print_weights(l, out);
        break;
    case SP_LAYER_TD_BATCH_NORM:
        add_number(out, "alpha", l->alpha);
        if (l->neuron.given) /* v_th, of the recipe's neurons unless the layer has its own */
            add_number(out, "v_th", l->neuron.v_th);
        /* fall through */
    case SP_LAYER_BATCH_NORM:
        add_count(out, "channels", l->channels);
        add_number(out, "eps", l->eps);
        add_number(out, "momentum", l->momentum);
        break;
    case SP_LAYER_LIF: sp_neuron_print_layer(&l->neuron, out); break;
    case SP_LAYER_AVG_POOL:
    case SP_LAYER_MAX_POOL:
        add_pair(out, "kernel", l->kernel);
        if (memcmp(l->stride, l->kernel, sizeof l->stride) != 0) /* else it follows the kernel */
            add_pair(out, "stride", l->stride);
        add_pair(out, "padding", l->padding);
        break;
    case SP_LAYER_ADAPTIVE_AVG_POOL: add_pair(out, "output", l->output); break;
    case SP_LAYER_SCALE: add_number(out, "factor", l->factor); break;
    case SP_LAYER_DROPOUT: add_number(out, "p", l->p); break;
    case SP_LAYER_FLATTEN:
    case SP_LAYER_RESIDUAL: /* not plain: print_residual */ break;
    }
    sp_text_add(out, "}\n");
}

static void print_path(const char *key, const sp_layer *layers, size_t n, const char *none, int indent,
                       sp_text *out)
{
    sp_text_add(out, "%*s%s:%s\n", indent, "", key, n ? "" : none);
    print_list(layers, n, indent + 2, out);
}

static void print_residual(const sp_layer *l, int indent, sp_text *out)
{
    sp_text_add(out, "type: residual\n");
    print_path("pre", l->pre, l->n_pre, " []", indent, out);
    print_path("branch", l->branch, l->n_branch, " []", indent, out);
    print_path("shortcut", l->shortcut, l->n_shortcut, " null", indent, out);
    sp_text_add(out, "%*sidentity_from: %s\n", indent, "", l->identity_input ? "input" : "pre");
    sp_text_add(out, "%*sskip_gain: %s\n", indent, "", l->skip_gain ? "true" : "false");
    sp_text_add(out, "%*salpha: ", indent, "");
    sp_text_number(out, l->alpha);
    sp_text_add(out, "\n");
}

static void print_list(const sp_layer *layers, size_t n, int indent, sp_text *out)
{
    for (size_t i = 0; i < n; i++) {
        sp_text_add(out, "%*s- ", indent, "");
        if (layers[i].type == SP_LAYER_RESIDUAL)
            print_residual(&layers[i], indent + 2, out);
        else
            print_plain(&layers[i], out);
    }
}

void sp_network_print(const sp_network *net, int indent, struct sp_text *out)
{
    print_list(net->layers, net->n, indent, out);
}
