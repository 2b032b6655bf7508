/* Graphs: shapes, parameter names and places, counts, file and device layout, starting values, and what is
 * refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "graph/graph.h"

static sp_error err;

static sp_status build(const char *text, int64_t c, int64_t h, int64_t w, sp_graph **g)
{
    sp_yaml_doc doc;
    sp_network net;
    sp_neuron neuron = sp_neuron_default();
    cr_assert_eq(sp_yaml_parse("n.yaml", text, strlen(text), &doc, &err), SP_OK, "%s\n%s", text, err.text);
    sp_status st = sp_network_parse(sp_yaml_get(doc.root, "layers"), &neuron, &net, &err);
    sp_yaml_free(&doc);
    return st == SP_OK ? sp_graph_create(&net, "n.yaml", c, h, w, g, &err) : st;
}

static sp_graph *make(const char *text, int64_t c, int64_t h, int64_t w)
{
    sp_graph *g = NULL;
    cr_assert_eq(build(text, c, h, w, &g), SP_OK, "%s\n%s", text, err.text);
    return g;
}

static void expect_act(const sp_graph *g, int node, int64_t c, int64_t h, int64_t w, bool bits)
{
    const sp_activation *a = &g->acts[g->nodes[node].out];
    cr_assert(a->c == c && a->h == h && a->w == w && a->bits == bits, "node %d (%s) is %lld,%lld,%lld%s",
              node, g->nodes[node].name, (long long)a->c, (long long)a->h, (long long)a->w,
              a->bits ? " bits" : "");
}

static const char conv_net[] = "layers:\n"
                               "  - {type: conv, out: 16, kernel: 3, padding: 1}\n"
                               "  - {type: batch_norm}\n"
                               "  - {type: lif}\n"
                               "  - {type: avg_pool, kernel: 2}\n"
                               "  - {type: conv, out: 32, kernel: [3, 2], stride: [2, 1], padding: [0, 1], "
                               "dilation: [1, 2]}\n"
                               "  - {type: lif}\n"
                               "  - {type: flatten}\n"
                               "  - {type: linear, out: 10}\n";

Test(graph, shapes_names_and_counts)
{
    sp_graph *g = make(conv_net, 3, 28, 20);
    cr_assert_eq(g->n_nodes, 7); /* flatten makes none */
    expect_act(g, 0, 16, 28, 20, false);
    expect_act(g, 1, 16, 28, 20, false);
    expect_act(g, 2, 16, 28, 20, true);
    expect_act(g, 3, 16, 14, 10, false);
    expect_act(g, 4, 32, 6, 10, false); /* (14-3)/2+1; 10+2-2*1-1+1 */
    expect_act(g, 5, 32, 6, 10, true);
    expect_act(g, 6, 10, 1, 1, false);
    cr_assert_eq(g->classes, 10);
    cr_assert(g->nodes[1].fused, "a batch norm before a neuron is applied inside it");
    const int64_t conv1 = 16 * 3 * 9 + 16, bn = 2 * 16, conv2 = 32 * 16 * 6 + 32, linear = 10 * 32 * 60 + 10;
    cr_assert_eq(g->n_trainable, conv1 + bn + conv2 + linear);
    cr_assert_eq(sp_graph_neurons(g), 16 * 28 * 20 + 32 * 6 * 10);
    cr_assert_eq(sp_graph_macs(g, 0), 16 * 3 * 9 * 28 * 20);
    cr_assert_eq(sp_graph_macs(g, 4), 32 * 16 * 6 * 6 * 10);
    cr_assert_eq(sp_graph_macs(g, 6), 10 * 1920);
    cr_assert_eq(sp_graph_macs(g, 2), 0);
    const sp_param *p = sp_graph_param(g, "4.weight");
    cr_assert(p && p->n_dims == 4 && p->shape[0] == 32 && p->shape[1] == 16 && p->shape[2] == 3 &&
              p->shape[3] == 2);
    p = sp_graph_param(g, "1.running_var");
    cr_assert(p && !p->trainable && p->elems == 16 && p->role == SP_ROLE_RUNNING_VAR);
    p = sp_graph_param(g, "7.weight");
    cr_assert(p && p->n_dims == 2 && p->shape[0] == 10 && p->shape[1] == 1920);
    cr_assert_null(sp_graph_param(g, "3.weight"));
    sp_graph_destroy(&g);
    cr_assert_null(g);
}

/* Parameters lie one after the other, aligned, without overlap, in two ranges. */
Test(graph, places_of_parameters)
{
    sp_graph *g = make(conv_net, 3, 28, 20);
    for (int i = 0; i < g->n_params; i++) {
        const sp_param *a = &g->params[i];
        int64_t end = a->trainable ? g->param_elems : g->buffer_elems;
        cr_assert(a->at % 64 == 0 && a->at + a->elems <= end, "%s", a->name);
        for (int j = 0; j < i; j++) {
            const sp_param *b = &g->params[j];
            cr_assert(a->trainable != b->trainable || a->at >= b->at + b->elems || b->at >= a->at + a->elems,
                      "%s and %s", a->name, b->name);
        }
    }
    sp_graph_destroy(&g);
}

Test(graph, the_recipes_network_has_the_parameters_that_pytorch_would_count)
{
    sp_network_options o = {.file = "conv_16_32_128", .width = (double)NAN, .dropout = (double)NAN};
    sp_network net;
    sp_graph *g;
    cr_assert_eq(sp_network_load(&o, &net, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_graph_create(&net, "c.yaml", 1, 28, 28, &g, &err), SP_OK, "%s", err.text);
    /* conv 160 + bn 32 + conv 4640 + bn 64 + linear 1568*128+128 + linear 1290 */
    cr_assert_eq(g->n_trainable, 160 + 32 + 4640 + 64 + 200832 + 1290);
    cr_assert_eq(sp_graph_neurons(g), 16 * 784 + 32 * 196 + 128);
    sp_text t = {0};
    sp_graph_print(g, &t);
    cr_assert(t.s && strstr(t.s, "207018 parameters") && strstr(t.s, "16,28,28 bits"), "%s", t.s);
    sp_text_free(&t);
    sp_graph_destroy(&g);
}

static const char residual_net[] = "layers:\n"
                                   "  - {type: ws_conv, out: 4, kernel: 3, padding: 1}\n"
                                   "  - type: residual\n"
                                   "    pre: [{type: lif}]\n"
                                   "    branch: [{type: ws_conv, out: 8, kernel: 3, padding: 1, stride: 2}, "
                                   "{type: lif}, {type: ws_conv, out: 8, kernel: 3, padding: 1}]\n"
                                   "    shortcut: [{type: avg_pool, kernel: 2}, {type: ws_conv, out: 8, "
                                   "kernel: 1, bias: false}]\n"
                                   "    skip_gain: true\n"
                                   "    alpha: 0.2\n"
                                   "  - type: residual\n"
                                   "    branch: [{type: lif}, {type: conv, out: 8, kernel: 1, bias: false}]\n"
                                   "  - {type: adaptive_avg_pool, output: 1}\n"
                                   "  - {type: flatten}\n"
                                   "  - {type: linear, out: 3}\n";

Test(graph, residuals_are_flattened_and_named_as_pytorch_would)
{
    sp_graph *g = make(residual_net, 2, 8, 8);
    static const char *const names[] = {"0.weight",
                                        "0.gain",
                                        "1.branch.0.weight",
                                        "1.branch.2.gain",
                                        "1.shortcut.1.weight",
                                        "1.skip_gain",
                                        "2.branch.1.weight",
                                        "5.weight",
                                        "5.bias"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert_not_null(sp_graph_param(g, names[i]), "%s", names[i]);
    cr_assert_null(sp_graph_param(g, "1.shortcut.1.bias"));
    const sp_param *gain = sp_graph_param(g, "1.skip_gain");
    cr_assert(gain->n_dims == 0 && gain->elems == 1);
    cr_assert_eq(sp_graph_param(g, "0.gain")->n_dims, 4);
    const sp_node *sum = &g->nodes[gain->node];
    cr_assert(sum->type == SP_NODE_RESIDUAL && sum->in[1] >= 0 && fabs(sum->alpha - 0.2) < 1e-12);
    expect_act(g, gain->node, 8, 4, 4, false);
    /* the second block has no pre: its identity is its own input, the first block's sum */
    const sp_node *second = &g->nodes[sp_graph_param(g, "2.branch.1.weight")->node + 1];
    cr_assert_eq(second->type, SP_NODE_RESIDUAL);
    cr_assert_eq(second->in[1], sum->out);
    cr_assert_eq(g->acts[sum->out].n_consumers, 2);
    cr_assert_eq(g->n_trainable,
                 (4 * 2 * 9 + 4 + 4) + (8 * 4 * 9 + 8 + 8) + (8 * 8 * 9 + 8 + 8) + (8 * 4 + 8) + 1 + 64 + 27);
    sp_graph_destroy(&g);
}

Test(graph, a_batch_norm_that_others_read_is_not_fused)
{
    sp_graph *g = make("layers:\n"
                       "  - {type: conv, out: 4, kernel: 1}\n"
                       "  - {type: batch_norm}\n"
                       "  - type: residual\n"
                       "    branch: [{type: lif}, {type: conv, out: 4, kernel: 1}]\n"
                       "  - {type: adaptive_avg_pool, output: 1}\n"
                       "  - {type: linear, out: 2}\n",
                       1, 4, 4);
    cr_assert(!g->nodes[1].fused);
    sp_graph_destroy(&g);
}

Test(graph, scales_are_folded_into_standardised_weights_alone)
{
    sp_graph *g = make("layers:\n"
                       "  - {type: ws_conv, out: 4, kernel: 1}\n"
                       "  - {type: lif}\n"
                       "  - {type: scale, factor: 2}\n"
                       "  - {type: avg_pool, kernel: 2}\n"
                       "  - {type: scale, factor: 3}\n"
                       "  - {type: ws_conv, out: 4, kernel: 1}\n"
                       "  - {type: lif}\n"
                       "  - {type: scale, factor: 2}\n"
                       "  - {type: conv, out: 4, kernel: 1}\n"
                       "  - {type: lif}\n"
                       "  - {type: scale, factor: 2}\n"
                       "  - type: residual\n"
                       "    branch: [{type: ws_conv, out: 4, kernel: 1}]\n"
                       "  - {type: adaptive_avg_pool, output: 1}\n"
                       "  - {type: linear, out: 2}\n",
                       1, 4, 4);
    cr_assert(g->nodes[2].scale_folded && g->nodes[4].scale_folded, "behind an average too, and one after "
                                                                    "the "
                                                                    "other");
    expect_act(g, 2, 4, 4, 4, true);
    expect_act(g, 3, 4, 2, 2, false);
    cr_assert_float_eq(g->acts[g->nodes[3].out].factor, 2, 1e-12);
    cr_assert_float_eq(g->acts[g->nodes[4].out].factor, 6, 1e-12);
    cr_assert(!g->nodes[7].scale_folded, "plain weights are not scaled");
    cr_assert(!g->nodes[10].scale_folded, "the identity reads it too");
    expect_act(g, 10, 4, 2, 2, false);
    sp_graph_destroy(&g);
}

Test(graph, what_needs_a_gradient)
{
    sp_graph *g = make("layers:\n  - {type: avg_pool, kernel: 2}\n  - {type: lif}\n  - {type: flatten}\n"
                       "  - {type: linear, out: 2}\n",
                       1, 4, 4);
    cr_assert(!g->acts[0].needs_gradient && !g->acts[g->nodes[1].out].needs_gradient);
    cr_assert(g->acts[g->logits].needs_gradient);
    sp_graph_destroy(&g);
}

/* Bits of weights lie as their floats do, 32 input channels of a tap in one place. */
static void expect_signs(const sp_param *p, float *file, float *device, float *again)
{
    const int64_t words = (p->c + 31) / 32;
    uint32_t *bits = malloc((size_t)sp_param_words(p) * sizeof *bits);
    for (int64_t i = 0; i < p->elems; i++)
        file[i] = i * i % 7 < 3 ? -0.5f : i % 3 ? 2 : 0;
    sp_param_to_device(p, file, device);
    sp_param_pack(p, file, bits);
    for (int64_t i = 0; i < p->elems; i++) {
        const int64_t o = i % p->o, c = i / p->o % p->c, tap = i / p->o / p->c;
        cr_assert_eq(bits[(tap * words + c / 32) * p->o + o] >> c % 32 & 1, !(device[i] < 0), "%s", p->name);
    }
    sp_param_unpack(p, bits, again);
    for (int64_t i = 0; i < p->elems; i++)
        cr_assert_float_eq(again[i], file[i] < 0 ? -1 : 1, 0);
    free(bits);
}

/* Element (o, c, y, x) of the file is element (y, x, c, o) of the device; back again it is the same. */
Test(graph, weights_are_permuted_for_the_device)
{
    sp_graph *g = make(conv_net, 3, 28, 20);
    static const char *const names[] = {"4.weight", "7.weight", "4.bias"};
    for (size_t k = 0; k < 3; k++) {
        const sp_param *p = sp_graph_param(g, names[k]);
        size_t n = (size_t)p->elems;
        float *file = malloc(n * sizeof *file), *device = malloc(n * sizeof *device),
              *again = malloc(n * sizeof *again);
        for (size_t i = 0; i < n; i++)
            file[i] = (float)i;
        sp_param_to_device(p, file, device);
        sp_param_to_file(p, device, again);
        cr_assert_eq(memcmp(file, again, n * sizeof *file), 0, "%s", names[k]);
        if (p->role == SP_ROLE_WEIGHT)
            for (int64_t o = 0; o < p->o; o++)
                for (int64_t c = 0; c < p->c; c++)
                    for (int64_t y = 0; y < p->kh; y++)
                        for (int64_t x = 0; x < p->kw; x++)
                            cr_assert_eq(device[((y * p->kw + x) * p->c + c) * p->o + o],
                                         file[((o * p->c + c) * p->kh + y) * p->kw + x]);
        if (p->role == SP_ROLE_WEIGHT)
            expect_signs(p, file, device, again);
        free(file), free(device), free(again);
    }
    const sp_param *p = sp_graph_param(g, "7.weight"); /* after flatten: the file's column is c,h,w */
    cr_assert(p->c == 32 && p->kh == 6 && p->kw == 10 && p->o == 10);
    sp_graph_destroy(&g);
}

static void moments(const float *x, int64_t n, double *mean, double *deviation, double *most)
{
    double sum = 0, squares = 0;
    *most = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        *most = fabs((double)x[i]) > *most ? fabs((double)x[i]) : *most;
    }
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n - *mean * *mean);
}

static float *start(const sp_graph *g, const char *name, uint64_t seed)
{
    const sp_param *p = sp_graph_param(g, name);
    float *x = calloc((size_t)p->elems, sizeof *x);
    sp_param_initialise(g, p, seed, x);
    return x;
}

Test(graph, starting_values)
{
    sp_graph *g = make("layers:\n"
                       "  - {type: conv, out: 64, kernel: 3}\n"
                       "  - {type: batch_norm}\n"
                       "  - {type: conv, out: 64, kernel: 3, weight_init: fan_out_normal, bias_init: zeros}\n"
                       "  - {type: flatten}\n"
                       "  - {type: linear, out: 10, weight_init: normal_0.01}\n",
                       16, 12, 12);
    double mean, deviation, most, bound = 1 / sqrt(16.0 * 9);
    float *w = start(g, "0.weight", 5), *again = start(g, "0.weight", 5), *other = start(g, "0.weight", 6);
    size_t bytes = 64 * 16 * 9 * sizeof *w;
    cr_assert_eq(memcmp(w, again, bytes), 0);
    cr_assert_neq(memcmp(w, other, bytes), 0);
    moments(w, 64 * 16 * 9, &mean, &deviation, &most);
    cr_assert(most <= bound && most > 0.99 * bound && fabs(mean) < 0.05 * bound, "%g %g", most, mean);
    cr_assert_float_eq(deviation, bound / sqrt(3.0), 0.03 * bound);
    free(w), free(again), free(other);
    w = start(g, "2.weight", 5);
    moments(w, 64 * 64 * 9, &mean, &deviation, &most);
    cr_assert_float_eq(deviation, sqrt(2.0 / (64.0 * 9)), 0.03 * sqrt(2.0 / (64.0 * 9)));
    free(w);
    w = start(g, "4.weight", 5);
    moments(w, 10 * 64 * 64, &mean, &deviation, &most);
    cr_assert_float_eq(deviation, 0.01, 0.0003);
    free(w);
    static const struct {
        const char *name;
        float value;
    } constants[] = {
        {"1.weight", 1}, {"1.bias", 0}, {"1.running_mean", 0}, {"1.running_var", 1}, {"2.bias", 0}};
    for (size_t k = 0; k < sizeof constants / sizeof *constants; k++) {
        w = start(g, constants[k].name, 5);
        for (int i = 0; i < 64; i++)
            cr_assert_eq(w[i], constants[k].value, "%s", constants[k].name);
        free(w);
    }
    sp_graph_destroy(&g);
}

Test(graph, refuses_what_does_not_fit_and_says_where)
{
    static const struct {
        const char *text;
        int64_t c, h, w;
        const char *message;
    } cases[] = {
        {"layers:\n  - {type: conv, out: 4, kernel: 9}\n  - {type: flatten}\n  - {type: linear, out: 2}\n", 1,
         8, 8, "n.yaml:2:5: layer 0: a 9x9 kernel does not fit its 8x8 input"},
        {"layers:\n  - {type: conv, in: 3, out: 4, kernel: 3}\n  - {type: flatten}\n  - {type: linear, out: "
         "2}\n",
         1, 8, 8, "n.yaml:2:5: layer 0: \"in\" is 3, but its input has 1 channels"},
        {"layers:\n  - {type: conv, out: 4, kernel: 3, groups: 3}\n", 4, 8, 8,
         "n.yaml:2:5: layer 0: \"groups\" is 3, which must divide its 4 input and 4 output channels"},
        {"layers:\n  - {type: conv, label: stem, out: 4, kernel: 3}\n  - {type: add, from: [stme, 0]}\n", 4,
         8, 8, "n.yaml:3:5: layer 1: no layer before it is called \"stme\"; did you mean \"stem\"?"},
        {"layers:\n  - {type: conv, out: 4, kernel: 3}\n  - {type: concat, from: [0, 1]}\n", 4, 8, 8,
         "n.yaml:3:5: layer 1: no layer before it is called \"1\""},
        {"layers:\n  - {type: conv, out: 4, kernel: 3}\n  - {type: add, from: [0, input]}\n", 4, 8, 8,
         "n.yaml:3:5: layer 1: it cannot join 4x6x6 and 4x8x8 (channels x height x width)"},
        {"layers:\n  - {type: flatten, label: a}\n  - {type: linear, label: a, out: 4}\n", 4, 8, 8,
         "n.yaml:3:5: layer 1: label \"a\" is that of layer 0 already"},
        {"layers:\n  - {type: conv, label: a, out: 4, kernel: 1}\n  - {type: conv, out: 4, kernel: 1}\n"
         "  - {type: add, from: [a]}\n  - {type: flatten}\n  - {type: linear, out: 2}\n",
         4, 8, 8, "n.yaml:3:5: layer 1: no layer reads its output"},
        {"layers:\n  - {type: conv1d, out: 4, kernel: 3}\n", 4, 8, 8,
         "n.yaml:2:5: layer 0: its input is 4x8x8 (channels x height x width); conv1d needs a height of 1"},
        {"layers:\n  - {type: linear, out: 2}\n", 1, 8, 8,
         "n.yaml:2:5: layer 0: its input is 1x8x8; put a flatten layer before it"},
        {"layers:\n  - {type: flatten}\n  - {type: linear, in: 63, out: 2}\n", 1, 8, 8,
         "n.yaml:3:5: layer 1: \"in\" is 63, but its input has 64 values"},
        {"layers:\n  - {type: flatten}\n  - {type: conv, out: 2, kernel: 1}\n", 1, 8, 8,
         "n.yaml:3:5: layer 1: a convolution cannot follow flatten"},
        {"layers:\n  - {type: flatten}\n  - {type: max_pool, kernel: 2}\n", 1, 8, 8,
         "n.yaml:3:5: layer 1: pooling cannot follow flatten"},
        {"layers:\n  - {type: avg_pool, kernel: 9}\n", 1, 8, 8,
         "n.yaml:2:5: layer 0: a 9x9 window does not fit its 8x8 input"},
        {"layers:\n  - {type: lif}\n  - {type: lif}\n", 1, 8, 8,
         "n.yaml:3:5: layer 1: a neuron directly after a neuron"},
        {"layers:\n  - {type: lif}\n  - {type: batch_norm}\n", 1, 8, 8,
         "n.yaml:3:5: layer 1: batch norm of spikes is not supported"},
        {"layers:\n  - {type: conv, out: 4, kernel: 1}\n  - {type: batch_norm, channels: 5}\n", 1, 8, 8,
         "n.yaml:3:5: layer 1: \"channels\" is 5, but its input has 4"},
        {"layers:\n  - {type: flatten}\n  - {type: linear, out: 2}\n  - {type: lif, output: membrane}\n"
         "  - {type: linear, out: 2}\n",
         1, 8, 8, "n.yaml:4:5: layer 2: output: membrane is for the last layer"},
        {"layers:\n  - {type: conv, out: 4, kernel: 1}\n  - {type: lif}\n", 1, 8, 8,
         "it ends in a map of 4x8x8"},
        {"layers:\n  - {type: conv, out: 4, kernel: 1}\n", 1, 8, 8, "it ends in a map of 4x8x8"},
        {"layers:\n  - {type: flatten}\n", 1, 8, 8, "the network has no layers"},
        {"layers:\n  - {type: flatten}\n  - {type: scale, factor: 2}\n", 1, 8, 8, "no parameters to train"},
        {"layers:\n  - type: residual\n    branch: [{type: conv, out: 5, kernel: 1}]\n", 4, 8, 8,
         "n.yaml:2:5: layer 0: the branch gives 5x8x8 and the identity path 4x8x8"},
        {"layers:\n  - type: residual\n    branch: [{type: scale, factor: 1}, {type: conv, out: 4, kernel: "
         "11}]\n",
         4, 8, 8, "n.yaml:3:40: layer 0.branch.1: a 11x11 kernel"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_graph *g = NULL;
        cr_assert_eq(build(cases[i].text, cases[i].c, cases[i].h, cases[i].w, &g), SP_E_CONFIG,
                     "accepted: %s", cases[i].text);
        cr_assert(strstr(err.text, cases[i].message), "\"%s\" lacks \"%s\"", err.text, cases[i].message);
        cr_assert_null(g);
    }
}

Test(graph, may_end_in_spikes_and_in_potentials)
{
    static const char *const ends[] = {"spikes", "membrane"};
    for (int i = 0; i < 2; i++) {
        sp_graph *g = NULL;
        char text[128];
        snprintf(text, sizeof text,
                 "layers:\n  - {type: flatten}\n  - {type: linear, out: 2}\n  - {type: plif, tau: 2, output: "
                 "%s}\n",
                 ends[i]);
        cr_assert_eq(build(text, 1, 8, 8, &g), SP_OK, "%s", err.text);
        cr_assert(g->classes == 2 && g->acts[g->logits].bits == (i == 0) &&
                  sp_node_fires(&g->nodes[1]) == (i == 0));
        sp_graph_destroy(&g);
    }
}

Test(graph, maxima_of_spikes_are_spikes_where_what_follows_takes_them)
{
    static const struct {
        const char *after;
        bool bits;
    } cases[] = {{"{type: conv, out: 2, kernel: 1}, {type: flatten}, {type: linear, out: 2}", true},
                 {"{type: max_pool, kernel: 2}, {type: flatten}, {type: linear, out: 2}", true},
                 {"{type: lif}, {type: flatten}, {type: linear, out: 2}", false},
                 {"{type: residual, branch: [{type: conv, out: 4, kernel: 1}]}, {type: flatten}, {type: "
                  "linear, out: 2}",
                  true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_graph *g = NULL;
        char text[256];
        snprintf(text, sizeof text,
                 "layers: [{type: conv, out: 4, kernel: 1}, {type: lif}, {type: max_pool, kernel: 2}, %s]\n",
                 cases[i].after);
        cr_assert_eq(build(text, 1, 8, 8, &g), SP_OK, "%s", err.text);
        cr_assert_eq(g->acts[g->nodes[2].out].bits, cases[i].bits, "%s", cases[i].after);
        sp_graph_destroy(&g);
    }
}

/* SEW: spikes of the branch plus spikes of the identity path are counts. */
Test(graph, a_branch_may_end_in_spikes)
{
    sp_graph *g = make("layers:\n  - {type: conv, out: 4, kernel: 1}\n  - {type: lif}\n  - type: residual\n"
                       "    branch: [{type: conv, out: 4, kernel: 1}, {type: lif}]\n  - {type: flatten}\n"
                       "  - {type: linear, out: 2}\n",
                       4, 8, 8);
    cr_assert_eq(g->nodes[4].type, SP_NODE_RESIDUAL);
    expect_act(g, 3, 4, 8, 8, true);
    expect_act(g, 4, 4, 8, 8, false);
    sp_graph_destroy(&g);
}

Test(graph, a_dropout_of_nothing_makes_no_node)
{
    sp_graph *g = make("layers:\n  - {type: flatten}\n  - {type: dropout, p: 0}\n  - {type: linear, out: "
                       "2}\n",
                       1, 2, 2);
    cr_assert_eq(g->n_nodes, 1);
    sp_graph_destroy(&g);
}

Test(graph, sizes_that_cannot_be_counted_are_refused)
{
    static const struct {
        const char *text;
        int64_t c, h, w;
        const char *message;
    } cases[] = {{"layers:\n  - {type: conv, out: 16777216, kernel: 1}\n  - {type: conv, out: 16777216, "
                  "kernel: 4096, "
                  "padding: 2048}\n  - {type: flatten}\n  - {type: linear, out: 4}\n",
                  1, 1, 1, "layer 1: 1.weight has 16777216 x 16777216 x 4096 x 4096 numbers"},
                 {"layers:\n  - {type: flatten}\n  - {type: linear, out: 4}\n", INT32_MAX, INT32_MAX,
                  INT32_MAX, "an input of 2147483647 x 2147483647 x 2147483647 numbers"},
                 {"layers:\n  - {type: conv, out: 16777216, kernel: 1}\n  - {type: conv, out: 16777216, "
                  "kernel: 1}\n"
                  "  - {type: conv, out: 4096, kernel: 1, stride: 4096}\n  - {type: flatten}\n  - {type: "
                  "linear, out: 4}\n",
                  1, 4096, 4096, "layer 1: its multiply-accumulates"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_graph *g = NULL;
        cr_assert_eq(build(cases[i].text, cases[i].c, cases[i].h, cases[i].w, &g), SP_E_CONFIG, "%s",
                     cases[i].text);
        cr_assert(strstr(err.text, cases[i].message), "%s", err.text);
        cr_assert_null(g);
    }
}

Test(graph, every_allocation_may_fail)
{
    sp_yaml_doc doc;
    sp_neuron neuron = sp_neuron_default();
    cr_assert_eq(sp_yaml_parse("n.yaml", residual_net, strlen(residual_net), &doc, &err), SP_OK);
    for (int64_t k = 1;; k++) {
        sp_network net;
        sp_graph *g = NULL;
        cr_assert_eq(sp_network_parse(sp_yaml_get(doc.root, "layers"), &neuron, &net, &err), SP_OK);
        sp_mem_fail_at(k);
        sp_status st = sp_graph_create(&net, "n.yaml", 2, 8, 8, &g, &err);
        sp_mem_fail_at(0);
        if (st == SP_OK) {
            cr_assert_gt(k, 3);
            sp_graph_destroy(&g);
            break;
        }
        cr_assert_eq(st, SP_E_MEMORY, "allocation %lld: %s", (long long)k, err.text);
        cr_assert(g == NULL && net.layers == NULL);
    }
    sp_yaml_free(&doc);
}
