/* A network written out again as YAML with every default but those of the recipe's neurons; network.c reads
 * it back to the same network. */
#include "graph/layer_names.h"
#include "graph/network.h"

static void print_list(const sp_layer *layers, size_t n, int indent, sp_text *out);

static void print_path(const char *key, const sp_layer *layers, size_t n, const char *none, int indent,
                       sp_text *out)
{
    sp_text_add(out, "%*s%s:%s\n", indent, "", key, n ? "" : none);
    print_list(layers, n, indent + 2, out);
}

static void print_residual(const sp_layer *l, int indent, sp_text *out)
{
    sp_text_add(out, "type: residual\n");
    if (l->label[0])
        sp_text_add(out, "%*slabel: \"%s\"\n", indent, "", l->label);
    print_path("pre", l->pre, l->n_pre, " []", indent, out);
    print_path("branch", l->branch, l->n_branch, " []", indent, out);
    print_path("shortcut", l->shortcut, l->n_shortcut, " null", indent, out);
    sp_fields_print(&sp_layer_fields[l->type], l, indent, out);
}

static void print_list(const sp_layer *layers, size_t n, int indent, sp_text *out)
{
    for (size_t i = 0; i < n; i++) {
        const sp_layer *l = &layers[i];
        sp_text_add(out, "%*s- ", indent, "");
        if (l->type == SP_LAYER_RESIDUAL) {
            print_residual(l, indent + 2, out);
            continue;
        }
        sp_text_add(out, "{type: %s", sp_layer_fields[l->type].what);
        if (l->label[0])
            sp_text_add(out, ", label: \"%s\"", l->label);
        if (l->type == SP_LAYER_LIF)
            sp_neuron_print_layer(&l->neuron, out);
        else
            sp_fields_print_inline(&sp_layer_fields[l->type], l, out);
        sp_text_add(out, "}\n");
    }
}

void sp_network_print(const sp_network *net, int indent, struct sp_text *out)
{
    print_list(net->layers, net->n, indent, out);
}
