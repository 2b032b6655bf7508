/* A network written out again as YAML with every default; network.c reads it back to the same network. */
#include "graph/network.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "graph/layer_names.h"

static void print_list(const sp_layer *layers, size_t n, int indent, sp_text *out);

/* The shortest text that reads back as the same double. */
static const char *shortest(double value, char text[40])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 40, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return text;
}

static void add_number(sp_text *out, const char *key, double value)
{
    char text[40];
    sp_text_add(out, ", %s: %s", key, shortest(value, text));
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

void sp_neuron_print_extra(const sp_neuron *n, const char *before, const char *after, sp_text *out)
{
    const sp_model_words *m = sp_model_words_of(n->model);
    const char *tau = m ? m->tau_key : "aux_tau", *gain = m ? m->gain_key : "aux_gain";
    char text[40];
    if (tau && !isnan(n->aux_tau))
        sp_text_add(out, "%s%s: %s%s", before, tau, shortest(n->aux_tau, text), after);
    if (gain && !isnan(n->aux_gain))
        sp_text_add(out, "%s%s: %s%s", before, gain, shortest(n->aux_gain, text), after);
    if (!m && n->learn)
        sp_text_add(out, "%slearn: true%s", before, after);
}

static void print_neuron(const sp_neuron *n, sp_text *out)
{
    /* Quoted: a fragment may be called `null`. */
    sp_text_add(out, ", model: \"%s\"", n->model);
    add_number(out, "tau", n->tau);
    add_number(out, "v_th", n->v_th);
    add_number(out, "v_reset", n->v_reset);
    sp_text_add(out, ", reset: %s", n->hard_reset ? "hard" : "soft");
    add_flag(out, "detach_reset", n->detach_reset);
    add_flag(out, "decay_input", n->decay_input);
    sp_text_add(out, ", surrogate: \"%s\"", n->surrogate);
    if (isnan(n->width))
        sp_text_add(out, ", width: null");
    else
        add_number(out, "width", n->width);
    sp_neuron_print_extra(n, ", ", "", out);
    if (n->recurrent)
        add_flag(out, "recurrent", true);
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
        add_number(out, "v_th", l->neuron.v_th);
        /* fall through */
    case SP_LAYER_BATCH_NORM:
        add_count(out, "channels", l->channels);
        add_number(out, "eps", l->eps);
        add_number(out, "momentum", l->momentum);
        break;
    case SP_LAYER_LIF: print_neuron(&l->neuron, out); break;
    case SP_LAYER_AVG_POOL:
    case SP_LAYER_MAX_POOL:
        add_pair(out, "kernel", l->kernel);
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
    char alpha[40];
    sp_text_add(out, "type: residual\n");
    print_path("pre", l->pre, l->n_pre, " []", indent, out);
    print_path("branch", l->branch, l->n_branch, " []", indent, out);
    print_path("shortcut", l->shortcut, l->n_shortcut, " null", indent, out);
    sp_text_add(out, "%*sidentity_from: %s\n", indent, "", l->identity_input ? "input" : "pre");
    sp_text_add(out, "%*sskip_gain: %s\n", indent, "", l->skip_gain ? "true" : "false");
    sp_text_add(out, "%*salpha: %s\n", indent, "", shortest(l->alpha, alpha));
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
