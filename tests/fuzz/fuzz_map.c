/* Files with the names of weights (init_map, --map) for a small network. */
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "graph/graph.h"
#include "train/name_map.h"

static sp_graph *network(void)
{
    static const char text[] = "[{type: conv, out: 2, kernel: 1}, {type: batch_norm}, {type: lif}, {type: "
                               "flatten}, "
                               "{type: linear, out: 3}]";
    sp_neuron neuron = sp_neuron_default();
    sp_yaml_doc doc;
    sp_network net;
    sp_graph *g;
    sp_error err;
    if (sp_yaml_parse("n.yaml", text, strlen(text), &doc, &err) != SP_OK ||
        sp_network_parse(doc.root, &neuron, &net, &err) != SP_OK ||
        sp_graph_create(&net, "n.yaml", 1, 2, 2, &g, &err) != SP_OK)
        abort();
    sp_yaml_free(&doc);
    return g;
}

static sp_graph *g;

static void forget(void)
{
    sp_graph_destroy(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char path[128];
    sp_name_map map = {0};
    sp_error err = {0};
    if (!g) {
        g = network();
        atexit(forget);
    }
    fuzz_write("fuzz.yaml", bytes, n);
    snprintf(path, sizeof path, "%s/fuzz.yaml", fuzz_folder());
    sp_status st = sp_name_map_read(path, g, &map, &err);
    fuzz_check(st, &err);
    for (int i = 0; st == SP_OK && i < g->n_params; i++) {
        char *name = sp_name_map_to_file(&map, g->params[i].name);
        if (!name)
            abort();
        sp_free(name);
    }
    sp_name_map_free(&map);
    return 0;
}
