/* Graphs of NIR as they are behind the HDF5 library: the bytes are nodes, parameters and edges. */
#include <string.h>

#include "bytes.h"
#include "fuzz.h"
#include "nir/nir.h"

static double number(input *in)
{
    static const double some[] = {0, 1, -1, 1e-4, 2e-4, 0.5, 1e30, 3, -2, 1e-30};
    unsigned k = take(in);
    return k < 10 ? some[k] : (double)take(in);
}

static void add_value(sp_nir_node *node, input *in, unsigned what)
{
    static const char *const keys[] = {"shape",    "weight", "bias",        "stride",         "padding",
                                       "dilation", "groups", "tau",         "tau_mem",        "tau_syn",
                                       "r",        "v_leak", "v_reset",     "v_threshold",    "w_in",
                                       "scale",    "delay",  "metadata.dt", "metadata.reset", "kernel_size",
                                       "threshold"};
    const char *key = keys[what % (sizeof keys / sizeof *keys)];
    int64_t shape[SP_NIR_MOST_DIMS];
    int n_dims = (int)(take(in) % 6);
    if (n_dims == SP_NIR_MOST_DIMS) {
        sp_nir_add_text(node, key, take(in) % 2 ? "same" : "soft");
        return;
    }
    for (int i = 0; i < n_dims; i++)
        shape[i] = (int64_t)(take(in) % 7);
    sp_nir_value *v = sp_nir_add_value(node, key, n_dims, shape, false);
    double x = number(in);
    for (int64_t i = 0; v && i < v->n; i++)
        v->x[i] = x;
    if (v && v->n > 1 && take(in) % 8 == 0)
        v->x[1] = number(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char *const types[] = {"Input",     "Output",    "Linear",  "Affine",    "Conv1d", "Conv2d",
                                        "LIF",       "IF",        "CubaLIF", "Threshold", "Scale",  "Flatten",
                                        "AvgPool2d", "SumPool2d", "Delay",   "LI",        "I",      "CubaLI"};
    input in = {bytes, n, 0};
    sp_nir g = {.path = malloc(9)};
    sp_nir_network out = {0};
    sp_error err = {0};
    strcpy(g.path, "fuzz.nir");
    for (unsigned nodes = take(&in) % 12; g.n < nodes;) {
        char name[8];
        snprintf(name, sizeof name, "n%zu", g.n);
        sp_nir_node *node = sp_nir_add(&g, name, types[take(&in) % (sizeof types / sizeof *types)]);
        for (unsigned k = take(&in) % 8; k > 0; k--)
            add_value(node, &in, take(&in));
        if (g.n > 1 && take(&in) % 8)
            sp_nir_add_edge(&g, g.n - 2, g.n - 1);
    }
    while (in.at < in.n && g.n > 0 && g.n_edges < 40) {
        size_t from = take(&in) % g.n;
        sp_nir_add_edge(&g, from, take(&in) % g.n);
    }
    const sp_nir_import_options o = {.dt = take(&in) % 2 ? 1e-4 : 0, .reset = (sp_nir_reset)(take(&in) % 3)};
    fuzz_check(sp_nir_import(&g, &o, &out, &err), &err);
    sp_nir_network_free(&out);
    free(g.path);
    g.path = NULL;
    sp_nir_free(&g);
    return 0;
}
