/* NIR graphs: files, networks into graphs and back, and what is refused by the name of its node. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nir/nir.h"

static sp_error err;

static void number(sp_nir *g, const char *key, int n_dims, const int64_t *shape, double x)
{
    sp_nir_value *v = sp_nir_add_value(&g->nodes[g->n - 1], key, n_dims, shape, strstr(key, "shape") != NULL);
    cr_assert_not_null(v);
    for (int64_t i = 0; i < v->n; i++)
        v->x[i] = x;
}

#define ARRAY(g, key, x, ...)                                                                                \
    number(g, key, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                                \
           (const int64_t[]){__VA_ARGS__}, x)
#define SCALAR(g, key, x) number(g, key, 0, NULL, x)

/* Nodes in a chain: each new one follows the one before. */
static void add(sp_nir *g, const char *name, const char *type)
{
    size_t n = g->n;
    cr_assert_not_null(sp_nir_add(g, name, type));
    if (n > 0)
        cr_assert(sp_nir_add_edge(g, n - 1, n));
}

static void add_lif(sp_nir *g, const char *name, double tau, double r, double v_th)
{
    add(g, name, "LIF");
    ARRAY(g, "tau", tau, 3);
    ARRAY(g, "r", r, 3);
    ARRAY(g, "v_leak", 0, 3);
    ARRAY(g, "v_reset", 0, 3);
    ARRAY(g, "v_threshold", v_th, 3);
}

static sp_nir chain(double tau)
{
    sp_nir g = {.path = strdup("g.nir")};
    add(&g, "in", "Input");
    ARRAY(&g, "shape", 2, 1);
    add(&g, "a", "Affine");
    ARRAY(&g, "weight", 0.5, 3, 2);
    ARRAY(&g, "bias", 0.25, 3);
    add_lif(&g, "n", tau, 1, 0.5);
    add(&g, "out", "Output");
    ARRAY(&g, "shape", 3, 1);
    return g;
}

static sp_nir_network import(const sp_nir *g, sp_nir_import_options o)
{
    sp_nir_network n;
    cr_assert_eq(sp_nir_import(g, &o, &n, &err), SP_OK, "%s", err.text);
    return n;
}

static void free_graph(sp_nir *g)
{
    free(g->path);
    g->path = NULL;
    sp_nir_free(g);
}

/* r = 1: the input is divided by tau. */
Test(nir, a_chain_becomes_a_list_of_layers)
{
    sp_nir g = chain(2e-4);
    sp_nir_network n = import(&g, (sp_nir_import_options){.dt = 0});
    cr_assert_str_eq(n.layers.s, "- {type: linear, out: 3, bias: true}\n"
                                 "- {type: lif, model: lif, tau: 2, decay_input: true, v_th: 0.50000006, "
                                 "reset: hard, v_reset: 0}\n");
    cr_assert_eq(n.dt, 1e-4);
    cr_assert_eq(n.n_tensors, 2);
    cr_assert_str_eq(n.tensors[0].name, "0.bias");
    cr_assert_str_eq(n.tensors[1].name, "0.weight");
    cr_assert_eq(((const float *)n.tensors[1].data)[5], 0.5f);
    sp_nir_network_free(&n);
    n = import(&g, (sp_nir_import_options){.dt = 5e-5, .reset = SP_NIR_RESET_SOFT});
    cr_assert(strstr(n.layers.s, "tau: 4, decay_input: true, v_th: 0.50000006, reset: soft"), "%s",
              n.layers.s);
    cr_assert_eq(n.notes.items[2].verdict, SP_NIR_APPROXIMATE);
    sp_nir_network_free(&n);
    for (int i = 0; i < 3; i++)
        g.nodes[2].values[1].x[i] =
            8; /* r: the input counts four times, as under a fourth of the threshold */
    n = import(&g, (sp_nir_import_options){.dt = 1e-4});
    cr_assert(strstr(n.layers.s, "tau: 2, decay_input: false, v_th: 0.12500001, reset: hard"), "%s",
              n.layers.s);
    sp_nir_network_free(&n);
    free_graph(&g);
}

static void bad_synapse(sp_nir *g)
{
    free(g->nodes[2].type);
    g->nodes[2].type = strdup("CubaLIF");
    sp_nir_value *v = sp_nir_add_value(&g->nodes[2], "tau_mem", 0, NULL, false);
    v->x[0] = 2e-4;
    v = sp_nir_add_value(&g->nodes[2], "tau_syn", 1, (int64_t[]){3}, false);
    v->x[0] = 2e-4, v->x[1] = v->x[2] = 3e-4;
}
static void too_few(sp_nir *g)
{
    g->nodes[2].values[1].x[1] = 2;
    g->nodes[2].values[1].n = 2;
}
static void low_threshold(sp_nir *g)
{
    g->nodes[2].values[4].x[2] = 0;
}
static void short_tau(sp_nir *g)
{
    for (int i = 0; i < 3; i++)
        g->nodes[2].values[0].x[i] = 1e-5;
}
static void nan_weight(sp_nir *g)
{
    g->nodes[1].values[0].x[0] = (double)NAN;
}
static void other_type(sp_nir *g)
{
    g->nodes[2].type[0] = 'X';
}
static void wrong_inputs(sp_nir *g)
{
    g->nodes[0].values[0].x[0] = 7;
}
static void huge_input(sp_nir *g)
{
    sp_nir_value *v = sp_nir_add_value(&g->nodes[0], "x", 1, (int64_t[]){3}, true);
    for (int i = 0; i < 3; i++)
        v->x[i] = 1 << 24;
    strcpy(g->nodes[0].values[0].key, "shapf");
    strcpy(v->key = realloc(v->key, 8), "shape");
}
static void leak(sp_nir *g)
{
    for (int i = 0; i < 3; i++)
        g->nodes[2].values[2].x[i] = 1;
}
static void missing_value(sp_nir *g)
{
    g->nodes[2].values[4].key[0] = 'w';
}
static void early_membrane(sp_nir *g)
{
    strcpy(g->nodes[2].type, "I");
    strcpy(g->nodes[3].type, "Delay");
    strcpy(g->nodes[3].values[0].key, "delay");
    for (int64_t i = 0; i < g->nodes[3].values[0].n; i++)
        g->nodes[3].values[0].x[i] = 0;
}
static void odd_delay(sp_nir *g)
{
    early_membrane(g);
    strcpy(g->nodes[2].type, "LIF");
    for (int64_t i = 0; i < g->nodes[3].values[0].n; i++)
        g->nodes[3].values[0].x[i] = 2.5e-4;
}
static void cycle(sp_nir *g)
{
    sp_nir_add_edge(g, 2, 1);
}
static void three_ways(sp_nir *g)
{
    sp_nir_add_edge(g, 1, 3);
    sp_nir_add_edge(g, 1, 3);
}
static void lost(sp_nir *g)
{
    sp_nir_add(g, "lost", "Scale");
}
static void no_end(sp_nir *g)
{
    g->n_edges--;
}

Test(nir, what_cannot_be_kept_is_refused_by_name)
{
    static const struct {
        void (*change)(sp_nir *g);
        const char *node, *why;
    } cases[] = {{bad_synapse, "\"n\"", "\"tau_syn\" differs from neuron to neuron"},
                 {too_few, "\"n\"", "\"r\" has 2 numbers for 3 neurons"},
                 {low_threshold, "\"n\"", "a threshold of 0, which is not above the reset"},
                 {short_tau, "\"n\"", "less than a time step"},
                 {nan_weight, "\"a\"", "not finite"},
                 {other_type, "\"n\"", "no layer for a node of this type"},
                 {wrong_inputs, "\"a\"", "takes 2 numbers, its input has 7"},
                 {huge_input, "\"in\"", "2^30"},
                 {leak, "\"n\"", "v_leak"},
                 {missing_value, "\"n\"", "no numbers \"v_threshold\""},
                 {early_membrane, "\"out\"", "can only be the last"},
                 {odd_delay, "\"out\"", "not of 1 to 1024 whole time steps of 0.0001 s"},
                 {cycle, "\"a\"", ""},
                 {three_ways, "\"a\"", "edges lead away"},
                 {lost, "\"lost\"", "no path"},
                 {no_end, "\"n\"", "no edge leads away"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_nir g = chain(2e-4);
        sp_nir_network n;
        cases[i].change(&g);
        cr_expect_eq(sp_nir_import(&g, &(sp_nir_import_options){.dt = 0}, &n, &err), SP_E_CONFIG, "case %zu",
                     i);
        cr_expect(strstr(err.text, cases[i].node) && strstr(err.text, cases[i].why), "case %zu: %s", i,
                  err.text);
        sp_nir_network_free(&n);
        free_graph(&g);
    }
}

/* What differs from neuron to neuron is a factor of its input: 3 neurons with their own r, threshold and
 * rest. */
Test(nir, numbers_of_each_neuron_go_into_the_weights)
{
    static const double r[3] = {1, 2, 0.5}, v_th[3] = {0.5, 1, 0.25}, rest[3] = {0, -1, 0.125};
    sp_nir g = chain(2e-4);
    sp_nir_node *n = &g.nodes[2];
    for (int i = 0; i < 3; i++)
        n->values[1].x[i] = r[i], n->values[4].x[i] = v_th[i],
        n->values[2].x[i] = n->values[3].x[i] = rest[i];
    sp_nir_network out = import(&g, (sp_nir_import_options){.dt = 0});
    cr_assert_str_eq(out.layers.s, "- {type: linear, out: 3, bias: true}\n"
                                   "- {type: lif, model: lif, tau: 2, decay_input: false, v_th: 1.0000001, "
                                   "reset: hard, v_reset: 0}\n");
    const float *bias = out.tensors[0].data, *weight = out.tensors[1].data;
    for (int i = 0; i < 3; i++) {
        const double by = r[i] / 2 / (v_th[i] - rest[i]);
        cr_assert_float_eq((double)weight[2 * i + 1], 0.5 * by, 1e-7);
        cr_assert_float_eq((double)bias[i], 0.25 * by, 1e-7);
    }
    sp_nir_network_free(&out);
    /* leaks are parameters of the layer; the input keeps its factor of 1/tau */
    for (int i = 0; i < 3; i++) {
        n->values[0].x[i] = 1e-4 * (i + 1), n->values[1].x[i] = 1, n->values[4].x[i] = 0.5;
        n->values[2].x[i] = n->values[3].x[i] = 0;
    }
    out = import(&g, (sp_nir_import_options){.dt = 0});
    cr_assert_str_eq(out.layers.s, "- {type: linear, out: 3, bias: true}\n"
                                   "- {type: lif, model: plif, per_channel: true, tau: 2, decay_input: true, "
                                   "v_th: 0.50000006, reset: hard, v_reset: 0}\n");
    cr_assert_str_eq(out.tensors[2].name, "1.w");
    cr_assert_eq(out.tensors[2].shape[0], 3);
    for (int i = 1; i < 3; i++)
        cr_assert_float_eq(1 + exp(-(double)((const float *)out.tensors[2].data)[i]), i + 1, 1e-6);
    cr_assert_eq(((const float *)out.tensors[2].data)[0], 40.0f);
    cr_assert_eq(((const float *)out.tensors[1].data)[0], 0.5f);
    sp_nir_network_free(&out);
    free_graph(&g);
}

/* LI between layers: a filter, whose factor goes into the weights; at the end it is potentials. */
Test(nir, leaky_integrators_between_layers_are_synapses)
{
    for (int differ = 0; differ < 2; differ++) {
        sp_nir g = {.path = strdup("g.nir")};
        add(&g, "in", "Input");
        ARRAY(&g, "shape", 2, 1);
        add(&g, "a", "Affine");
        ARRAY(&g, "weight", 0.5, 3, 2);
        ARRAY(&g, "bias", 0.25, 3);
        for (int last = 0; last < 2; last++) {
            add(&g, last ? "end" : "filter", "LI");
            ARRAY(&g, "tau", 4e-4, 3);
            ARRAY(&g, "r", 4, 3);
            ARRAY(&g, "v_leak", 0, 3);
            if (differ && !last)
                g.nodes[2].values[0].x[1] = 2e-4;
            if (!last) {
                add(&g, "m", "Linear");
                ARRAY(&g, "weight", 0.5, 3, 3);
            }
        }
        add(&g, "out", "Output");
        ARRAY(&g, "shape", 3, 1);
        sp_nir_network n = import(&g, (sp_nir_import_options){.dt = 0});
        cr_assert(strstr(n.layers.s, differ ? "- {type: synapse, tau: 2, learn: true, per_channel: true}\n"
                                            : "bias: true}\n- {type: synapse, tau: 4}\n- {type: linear"),
                  "%s", n.layers.s);
        cr_assert(strstr(n.layers.s, "tau: 4, decay_input: false, output: membrane"), "%s", n.layers.s);
        if (differ) { /* r dt / tau is 2 for the second channel */
            cr_assert_str_eq(n.tensors[1].name, "0.weight");
            const float *weight = n.tensors[1].data;
            cr_assert(weight[0] == 0.5f && weight[2] == 1.0f && weight[4] == 0.5f);
            cr_assert_float_eq(((const float *)n.tensors[2].data)[1], 0.0, 1e-6); /* tau of 2 steps */
        }
        sp_nir_network_free(&n);
        free_graph(&g);
    }
}

/* Spikes and real values, by whole time steps. */
Test(nir, delays_are_layers)
{
    sp_nir g = {.path = strdup("g.nir")};
    add(&g, "in", "Input");
    ARRAY(&g, "shape", 2, 1);
    add(&g, "a", "Affine");
    ARRAY(&g, "weight", 0.5, 3, 2);
    ARRAY(&g, "bias", 0.25, 3);
    add(&g, "later", "Delay");
    ARRAY(&g, "delay", 3e-4, 3);
    add_lif(&g, "n", 2e-4, 1, 0.5);
    add(&g, "at once", "Delay");
    ARRAY(&g, "delay", 0, 3);
    add(&g, "next", "Delay");
    ARRAY(&g, "delay", 1e-4, 3);
    add(&g, "out", "Output");
    ARRAY(&g, "shape", 3, 1);
    sp_nir_network n = import(&g, (sp_nir_import_options){.dt = 0});
    cr_assert(strstr(n.layers.s, "- {type: delay, steps: 3}\n- {type: lif"), "%s", n.layers.s);
    cr_assert(strstr(n.layers.s, "reset: hard, v_reset: 0}\n- {type: delay, steps: 1}\n"), "%s", n.layers.s);
    sp_nir_network_free(&n);
    free_graph(&g);
}

/* Where no weights stand before the neurons, and where others read those. */
Test(nir, factors_of_maps_are_by_channel)
{
    sp_nir g = {.path = strdup("g.nir")};
    add(&g, "in", "Input");
    ARRAY(&g, "shape", 2, 3);
    add(&g, "n", "IF");
    ARRAY(&g, "r", 1e4, 2, 2, 2);
    ARRAY(&g, "v_threshold", 1, 2, 2, 2);
    for (int i = 4; i < 8; i++)
        g.nodes[1].values[1].x[i] = 4;
    add(&g, "out", "Output");
    ARRAY(&g, "shape", 8, 1);
    sp_nir_network n = import(&g, (sp_nir_import_options){.dt = 0});
    cr_assert(strstr(n.layers.s, "- {type: conv, out: 2, kernel: 1, groups: 2, bias: false}\n"
                                 "- {type: lif, model: if, decay_input: false, v_th: 1.0000001, reset: hard"),
              "%s", n.layers.s);
    cr_assert_eq(((const float *)n.tensors[0].data)[1], 0.25f);
    sp_nir_network_free(&n);
    g.nodes[1].values[1].x[5] = 3;
    cr_assert_eq(sp_nir_import(&g, &(sp_nir_import_options){.dt = 0}, &n, &err), SP_E_CONFIG);
    cr_assert(strstr(err.text, "differs within channel 1"), "%s", err.text);
    sp_nir_network_free(&n);
    free_graph(&g);
}

static void pairs(sp_nir *g, const char *const *keys, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ARRAY(g, keys[i], x[i], 2);
}

/* A sum is an average times the window; a threshold is a neuron
 * that forgets; one dimension is a row; "same" is half of the kernel. */
Test(nir, nodes_that_layers_have_in_another_form)
{
    static const char *const conv[] = {"stride", "dilation"}, *const pool[] = {"kernel_size", "stride",
                                                                               "padding"};
    sp_nir g = {.path = strdup("g.nir")};
    add(&g, "in", "Input");
    ARRAY(&g, "shape", 4, 3);
    add(&g, "c", "Conv2d");
    ARRAY(&g, "weight", 0.5, 6, 2, 3, 3);
    ARRAY(&g, "bias", 0, 6);
    pairs(&g, conv, (const double[]){1, 1}, 2);
    SCALAR(&g, "groups", 2);
    cr_assert(sp_nir_add_text(&g.nodes[1], "padding", "same"));
    add(&g, "t", "Threshold");
    ARRAY(&g, "threshold", 0.25, 6, 4, 4);
    add(&g, "s", "SumPool2d");
    pairs(&g, pool, (const double[]){2, 2, 0}, 3);
    add(&g, "x", "Scale");
    ARRAY(&g, "scale", 3, 6, 2, 2);
    add(&g, "out", "Output");
    ARRAY(&g, "shape", 6, 3);
    sp_nir_network n = import(&g, (sp_nir_import_options){.dt = 0});
    cr_assert_str_eq(n.layers.s, "- {type: conv, out: 6, kernel: [3, 3], stride: [1, 1], padding: [1, 1], "
                                 "dilation: [1, 1], groups: 2, bias: true}\n"
                                 "- {type: lif, model: lif, tau: 1, decay_input: false, v_th: 0.25000003, "
                                 "reset: hard, v_reset: "
                                 "0}\n"
                                 "- {type: avg_pool, kernel: [2, 2], stride: [2, 2], padding: [0, 0]}\n"
                                 "- {type: scale, factor: 4}\n"
                                 "- {type: scale, factor: 3}\n"
                                 "- {type: flatten}\n");
    sp_nir_network_free(&n);
    free_graph(&g);

    g = (sp_nir){.path = strdup("g.nir")};
    add(&g, "in", "Input");
    ARRAY(&g, "shape", 9, 2);
    g.nodes[0].values[0].x[0] = 2;
    add(&g, "c", "Conv1d");
    ARRAY(&g, "weight", 1, 3, 2, 4);
    SCALAR(&g, "stride", 2);
    SCALAR(&g, "padding", 1);
    SCALAR(&g, "dilation", 1);
    SCALAR(&g, "groups", 1);
    ARRAY(&g, "bias", 0, 3);
    add(&g, "n", "LI");
    ARRAY(&g, "tau", 4e-4, 3, 4);
    ARRAY(&g, "r", 1, 3, 4);
    ARRAY(&g, "v_leak", 0, 3, 4);
    add(&g, "out", "Output");
    ARRAY(&g, "shape", 12, 1);
    n = import(&g, (sp_nir_import_options){.dt = 0});
    cr_assert_str_eq(n.layers.s, "- {type: conv1d, out: 3, kernel: 4, stride: 2, padding: 1, dilation: 1, "
                                 "groups: 1, bias: true}\n"
                                 "- {type: lif, model: lif, tau: 4, decay_input: true, output: membrane}\n"
                                 "- {type: flatten}\n");
    cr_assert_eq(n.height, 1);
    cr_assert_eq(n.width, 9);
    sp_nir_network_free(&n);
    free_graph(&g);
}

/* ---- files ---- */

static char folder[] = "/tmp/sp-nir-XXXXXX", path[64];

static bool write_graph(const sp_nir *g)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/g.nir", folder);
    sp_status st = sp_nir_write(path, g, &err);
    if (st == SP_E_CONFIG)
        cr_skip_test("built without HDF5");
    return st == SP_OK;
}

static void remove_files(void)
{
    unlink(path);
    rmdir(folder);
}

Test(nir, files_are_read_as_they_were_written)
{
    sp_nir g = chain(2e-4), back;
    g.dt = 1e-3;
    cr_assert(sp_nir_add_text(&g.nodes[2], "metadata.reset", "soft"));
    cr_assert(write_graph(&g), "%s", err.text);
    cr_assert_eq(sp_nir_read(path, &back, &err), SP_OK, "%s", err.text);
    cr_assert_eq(back.n, g.n);
    cr_assert_eq(back.n_edges, g.n_edges);
    cr_assert_eq(back.dt, 1e-3);
    for (size_t i = 0; i < g.n; i++) {
        const sp_nir_node *a = &g.nodes[i], *b = NULL;
        for (size_t k = 0; k < back.n; k++)
            b = strcmp(back.nodes[k].name, a->name) == 0 ? &back.nodes[k] : b;
        cr_assert(b && strcmp(a->type, b->type) == 0);
        for (size_t k = 0; k < a->n; k++) {
            const sp_nir_value *x = &a->values[k], *y = sp_nir_find(b, x->key);
            cr_assert_not_null(y, "%s", x->key);
            if (x->text)
                cr_assert_str_eq(x->text, y->text);
            else
                cr_assert(x->n == y->n && x->n_dims == y->n_dims &&
                              fabs(x->x[x->n - 1] - y->x[y->n - 1]) <= 1e-7 * fabs(x->x[x->n - 1]),
                          "%s", x->key);
        }
    }
    sp_nir_network n = import(&back, (sp_nir_import_options){.dt = 1e-4});
    cr_assert(strstr(n.layers.s, "reset: soft"));
    sp_nir_network_free(&n);
    sp_nir_free(&back);
    free_graph(&g);
    remove_files();
}

Test(nir, damaged_files_are_errors)
{
    sp_nir g = chain(2e-4), back;
    cr_assert(write_graph(&g), "%s", err.text);
    FILE *f = fopen(path, "rb");
    static unsigned char bytes[1 << 16];
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t cut = 0; cut < n; cut += 1 + n / 40) {
        f = fopen(path, "wb");
        cr_assert_eq(fwrite(bytes, 1, cut, f), cut);
        fclose(f);
        cr_assert_eq(sp_nir_read(path, &back, &err), SP_E_DATA, "cut at %zu: %s", cut, err.text);
        cr_assert(strstr(err.text, "g.nir: "), "%s", err.text);
        sp_nir_free(&back);
    }
    cr_assert_eq(sp_nir_read(folder, &back, &err), SP_E_IO);
    sp_nir_free(&back);
    free_graph(&g);
    remove_files();
}

#ifdef SP_WITH_HDF5
#include <hdf5.h>

Test(nir, what_lies_in_another_file_is_refused)
{
    sp_nir g = chain(2e-4), back;
    cr_assert(write_graph(&g), "%s", err.text);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    cr_assert(H5Lcreate_external("/etc/other.h5", "x", file, "node/elsewhere", H5P_DEFAULT, H5P_DEFAULT) >=
              0);
    H5Fclose(file);
    cr_assert_eq(sp_nir_read(path, &back, &err), SP_E_DATA);
    cr_assert(strstr(err.text, "node/elsewhere: lies in another file"), "%s", err.text);
    sp_nir_free(&back);
    free_graph(&g);
    remove_files();
}

/* What nir.read_data looks for, and neurons in PyTorch's order. */
Test(nir, data_of_nodes)
{
    const int32_t spikes[2 * 3] = {1, 0, 1, 0, 0, 1}, v[2 * 3] = {-5, 7, 1 << 20, 3, 2, 1};
    sp_nir_observable items[] = {{"1", "spikes", spikes, 1, 1, 3, true, NULL, NULL},
                                 {"1", "v", v, 3, 1, 1, false, NULL, NULL}};
    const sp_nir_observables all = {.items = items, .n = 2, .samples = 2, .time_steps = 1, .dt = 1e-3};
    int32_t back[6];
    double dt = 0;
    hsize_t dims[3] = {0};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/data.h5", folder);
    cr_assert_eq(sp_nir_write_data(path, &all, &err), SP_OK, "%s", err.text);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    cr_assert(H5Aexists(file, "__type__") > 0);
    cr_assert(H5Aexists_by_name(file, "nodes/1", "__type__", H5P_DEFAULT) > 0);
    hid_t at = H5Aopen_by_name(file, "nodes/1/observables/v", "dt", H5P_DEFAULT, H5P_DEFAULT);
    cr_assert(H5Aread(at, H5T_NATIVE_DOUBLE, &dt) >= 0 && dt == 1e-3);
    H5Aclose(at);
    hid_t set = H5Dopen2(file, "nodes/1/observables/v/data", H5P_DEFAULT), space = H5Dget_space(set);
    cr_assert(H5Sget_simple_extent_dims(space, dims, NULL) == 3 && dims[0] == 2 && dims[1] == 1 &&
              dims[2] == 3);
    cr_assert(H5Dread(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
    cr_assert_arr_eq(back, v, sizeof v);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    /* [h][w][c] of 1x3 pixels and 2 channels */
    items[0] = (sp_nir_observable){"1", "v", v, 1, 3, 2, false, NULL, NULL};
    const sp_nir_observables one = {.items = items, .n = 1, .samples = 1, .time_steps = 1, .dt = 1e-3};
    const int32_t ordered[6] = {-5, 1 << 20, 2, 7, 3, 1};
    cr_assert_eq(sp_nir_write_data(path, &one, &err), SP_OK, "%s", err.text);
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    set = H5Dopen2(file, "nodes/1/observables/v/data", H5P_DEFAULT);
    cr_assert(H5Dread(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
    cr_assert_arr_eq(back, ordered, sizeof ordered);
    H5Dclose(set);
    H5Fclose(file);
    remove_files();
}
#endif

/* ---- networks ---- */

static sp_graph *parse(const char *layers)
{
    sp_neuron neuron = sp_neuron_default();
    sp_yaml_doc doc;
    sp_network network;
    sp_graph *g;
    cr_assert_eq(sp_yaml_parse("n.yaml", layers, strlen(layers), &doc, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_network_read(doc.root, "n.yaml", &neuron, &network, &err), SP_OK, "%s\n%s", err.text,
                 layers);
    cr_assert_eq(sp_graph_create(&network, "n.yaml", 2, 8, 8, &g, &err), SP_OK, "%s\n%s", err.text, layers);
    sp_yaml_free(&doc);
    return g;
}

/* Every kind of layer that NIR has; weights that no folding changes come back to the bit. */
Test(nir, a_network_goes_out_and_comes_back)
{
    static const char layers[] = "- {type: conv, out: 4, kernel: 3, padding: 1, stride: 2, bias: false}\n"
                                 "- {type: batch_norm}\n"
                                 "- {type: lif, tau: 1.1, reset: hard}\n"
                                 "- type: residual\n"
                                 "  branch:\n"
                                 "    - {type: conv, out: 4, kernel: 3, padding: 1}\n"
                                 "    - {type: if, v_th: 0.7}\n"
                                 "  shortcut: null\n"
                                 "- type: residual\n"
                                 "  alpha: 0.5\n"
                                 "  branch: [{type: conv, out: 6, kernel: 1}, {type: lif, reset: hard, "
                                 "v_reset: -0.25}]\n"
                                 "  shortcut: [{type: conv, out: 6, kernel: 1}]\n"
                                 "- {type: ws_conv, out: 5, kernel: 1}\n"
                                 "- {type: plif, tau: 3, decay_input: true}\n"
                                 "- {type: adaptive_avg_pool, output: 2}\n"
                                 "- {type: scale, factor: 3}\n"
                                 "- {type: flatten}\n"
                                 "- {type: linear, out: 7, bias: false}\n"
                                 "- {type: plif, tau: 2, learn_v_th: true, per_channel: true, recurrent: "
                                 "true}\n"
                                 "- {type: linear, out: 7, bias: false}\n"
                                 "- {type: cuba_lif, tau: 2, tau_syn: 4, recurrent: true}\n"
                                 "- {type: dropout, p: 0.5}\n"
                                 "- {type: linear, out: 3}\n"
                                 "- {type: cuba_lif, tau: 5, tau_syn: 3, output: membrane}\n";
    static const char *const back[] = {"conv, out: 4",
                                       "model: lif, tau: 1.1, decay_input: false, v_th: 1, reset: hard",
                                       "residual",
                                       "branch:",
                                       "model: if, decay_input: false, v_th: 0.7",
                                       "shortcut: null",
                                       "model: lif, tau: 1.1, decay_input: false, v_th: 1, reset: hard, "
                                       "v_reset: -0.25",
                                       "scale, factor: 0.5",
                                       "shortcut:",
                                       "model: lif, tau: 3, decay_input: true, v_th: 1,",
                                       "avg_pool, kernel: [2, 2]",
                                       "flatten",
                                       "linear, out: 7, bias: false",
                                       "model: lif, tau: 2, decay_input: false, v_th: 1,",
                                       "linear, out: 7, bias: false",
                                       "model: cuba_lif, tau: 2, tau_syn: 4, decay_input: false, v_th: 1",
                                       "recurrent: true",
                                       "linear, out: 3"};
    sp_graph *g = parse(layers);
    float **params = calloc((size_t)g->n_params, sizeof *params);
    for (int i = 0; i < g->n_params; i++) {
        params[i] = calloc((size_t)g->params[i].elems, sizeof(float));
        sp_param_initialise(g, &g->params[i], 3, params[i]);
    }
    sp_nir graph;
    sp_nir_notes notes = {0};
    cr_assert_eq(sp_nir_export(g, (const float *const *)params, 1e-4, &graph, &notes, &err), SP_OK, "%s",
                 err.text);
    sp_nir_network n = import(&graph, (sp_nir_import_options){.dt = 0});
    const char *at = n.layers.s;
    for (size_t i = 0; i < sizeof back / sizeof *back; i++) {
        const char *next = strstr(at, back[i]);
        cr_assert_not_null(next, "\"%s\" is missing in\n%s", back[i], n.layers.s);
        at = next;
    }
    sp_graph *again = parse(n.layers.s);
    cr_assert_eq(sp_graph_neurons(again), sp_graph_neurons(g));
    cr_assert_eq(again->classes, 3);
    const sp_param *last = &g->params[g->n_params - 2], *copy = &again->params[again->n_params - 2];
    for (size_t i = 0; i < n.n_tensors; i++)
        if (strcmp(n.tensors[i].name, copy->name) == 0)
            cr_assert_eq(memcmp(n.tensors[i].data, params[g->n_params - 2],
                                (size_t)last->elems * sizeof(float)),
                         0);
    for (int i = 0; i < g->n_params; i++)
        free(params[i]);
    free(params);
    sp_graph_destroy(&g);
    sp_graph_destroy(&again);
    sp_nir_network_free(&n);
    sp_nir_notes_free(&notes);
    sp_nir_free(&graph);
}

Test(nir, layers_that_nir_does_not_have_are_refused)
{
    static const char *const bad[][2] = {{"- {type: max_pool, kernel: 2}\n- {type: flatten}\n- {type: "
                                          "linear, out: 3}\n",
                                          "\"0\" (max_pool)"},
                                         {"- {type: flatten}\n- {type: linear, out: 4}\n- {type: alif, "
                                          "tau_a: 3, beta: 0.1}\n- {type: linear, out: 3}\n",
                                          "\"2\" (alif)"},
                                         {"- {type: conv, out: 2, kernel: 1, label: a}\n- {type: concat, "
                                          "from: [a, input]}\n- {type: avg_pool, kernel: 2}\n- {type: "
                                          "flatten}\n- {type: linear, out: 3}\n",
                                          "\"1\" (concat)"},
                                         {"- {type: conv, out: 2, kernel: 1}\n- {type: layer_norm}\n- {type: "
                                          "lif}\n- {type: flatten}\n- {type: linear, out: 3}\n",
                                          "\"1\" (layer_norm)"},
                                         {"- {type: adaptive_avg_pool, output: 3}\n- {type: flatten}\n- "
                                          "{type: linear, out: 3}\n",
                                          "\"0\" (adaptive_avg_pool)"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sp_graph *g = parse(bad[i][0]);
        float **params = calloc((size_t)g->n_params, sizeof *params);
        for (int k = 0; k < g->n_params; k++)
            params[k] = calloc((size_t)g->params[k].elems, sizeof(float));
        sp_nir graph;
        sp_nir_notes notes = {0};
        cr_assert_eq(sp_nir_export(g, (const float *const *)params, 1e-4, &graph, &notes, &err), SP_E_CONFIG);
        cr_assert(strstr(err.text, bad[i][1]), "%s", err.text);
        for (int k = 0; k < g->n_params; k++)
            free(params[k]);
        free(params);
        sp_graph_destroy(&g);
        sp_nir_notes_free(&notes);
        sp_nir_free(&graph);
    }
}
