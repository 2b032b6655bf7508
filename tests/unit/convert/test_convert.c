/* What conversion makes of weights, norms and thresholds, and what has no spiking form. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "config/yaml.h"
#include "convert/convert.h"

static sp_graph *graph_of(const char *layers)
{
    sp_error err = {0};
    sp_yaml_doc doc;
    sp_network net;
    sp_graph *g = NULL;
    const sp_neuron neuron = sp_neuron_default();
    cr_assert_eq(sp_yaml_parse("n.yaml", layers, strlen(layers), &doc, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_network_parse(sp_yaml_get(doc.root, "layers"), &neuron, &net, &err), SP_OK, "%s",
                 err.text);
    sp_yaml_free(&doc);
    cr_assert_eq(sp_graph_create(&net, "n.yaml", 2, 4, 4, &g, &err), SP_OK, "%s", err.text);
    return g;
}

/* Every parameter counts up from `from` in halves, running variances are 4. */
static sp_status conversion_of(const sp_graph *g, float from, sp_conversion **out, sp_error *err)
{
    float *params[32];
    cr_assert(g->n_params <= 32);
    for (int i = 0; i < g->n_params; i++) {
        params[i] = sp_alloc_array((size_t)g->params[i].elems, sizeof **params);
        for (int64_t k = 0; k < g->params[i].elems; k++)
            params[i][k] = g->params[i].role == SP_ROLE_RUNNING_VAR ? 4 : from + 0.5f * (float)k;
    }
    sp_status st = sp_conversion_create(g, (const float *const *)params, out, err);
    for (int i = 0; i < g->n_params; i++)
        sp_free(params[i]);
    return st;
}

static const float *tensor(const sp_converted *n, const char *name)
{
    for (size_t i = 0; i < n->n_tensors; i++)
        if (strcmp(n->tensors[i].name, name) == 0)
            return n->tensors[i].data;
    cr_assert_fail("no tensor %s", name);
    return NULL;
}

static bool near(float a, double b)
{
    return fabs((double)a - b) < 1e-5 * fmax(1, fabs(b));
}

Test(convert, norms_and_thresholds_go_into_the_weights)
{
    sp_error err = {0};
    sp_conversion *c = NULL;
    sp_converted n;
    sp_graph *g = graph_of("layers:\n"
                           "- {type: conv, out: 4, kernel: 1, groups: 2, bias: false}\n"
                           "- {type: batch_norm, eps: 1e-12}\n"
                           "- {type: relu}\n"
                           "- {type: dropout, p: 0.5}\n"
                           "- {type: avg_pool, kernel: 2}\n"
                           "- {type: conv, out: 2, kernel: 2, groups: 2}\n"
                           "- {type: qcfs, levels: 4}\n"
                           "- {type: flatten}\n"
                           "- {type: linear, out: 3}\n");
    cr_assert_eq(conversion_of(g, 1, &c, &err), SP_OK, "%s", err.text);
    cr_assert(c->n == 3 && c->blocks[0].norm == 1 && c->blocks[2].activation < 0);
    for (int o = 0; o < 4; o++)
        c->blocks[0].theta[o] = o + 1;
    c->blocks[1].shift[1] = 3;
    cr_assert_eq(sp_conversion_network(c, &n, &err), SP_OK, "%s", err.text);
    const float *w = tensor(&n, "0.weight"), *b = tensor(&n, "0.bias");
    for (int o = 0; o < 4; o++) { /* w, gamma, beta and mean are 1 + o/2, the deviation is 2 */
        const double v = 1 + 0.5 * o;
        cr_assert(near(w[o], v * v / 2 / (o + 1)));
        cr_assert(near(b[o], ((0 - v) * v / 2 + v) / (o + 1)));
    }
    w = tensor(&n, "3.weight"), b = tensor(&n, "3.bias"); /* of qcfs the threshold is its parameter, 1 */
    for (int o = 0; o < 2; o++)
        for (int k = 0; k < 8; k++)
            cr_assert(near(w[8 * o + k], (1 + 0.5 * (8 * o + k)) * (2 * o + k / 4 + 1)), "%d %d", o, k);
    cr_assert(near(b[0], 1) && near(b[1], 1.5 + 3));
    w = tensor(&n, "6.weight");
    cr_assert(near(w[0], 1) && near(w[5], 3.5));
    cr_assert_eq(n.n_tensors, 6);
    cr_assert(strstr(n.layers.s, "v_init: 0.5") && !strstr(n.layers.s, "batch_norm") &&
              !strstr(n.layers.s, "relu") && !strstr(n.layers.s, "qcfs") && !strstr(n.layers.s, "dropout"));
    sp_converted_free(&n);
    sp_conversion_destroy(&c);
    sp_graph_destroy(&g);
}

Test(convert, what_has_no_form_is_named)
{
    static const struct {
        const char *layers, *why;
    } cases[] = {
        {"- {type: conv, out: 4, kernel: 1}\n- {type: relu}\n- {type: max_pool, kernel: 4}\n- {type: linear, "
         "out: 3}\n",
         "network:4:3: layer 2: max_pool has no spiking form"},
        {"- {type: conv, out: 4, kernel: 4}\n- {type: lif}\n- {type: linear, out: 3}\n", "network:3:3: layer "
                                                                                         "1: this layer is "
                                                                                         "spiking already"},
        {"- {type: conv, out: 4, kernel: 4}\n- {type: layer_norm}\n- {type: relu}\n- {type: linear, out: "
         "3}\n",
         "layer 1: the moments of layer_norm"},
        {"- {type: ws_conv, out: 4, kernel: 4}\n- {type: relu}\n- {type: linear, out: 3}\n", "layer 0: "
                                                                                             "ws_conv"},
        {"- {type: conv, out: 2, kernel: 1}\n- {type: residual, branch: [{type: conv, out: 2, kernel: 1}, "
         "{type: "
         "relu}]}\n- {type: flatten}\n- {type: linear, out: 3}\n",
         "network:3:3: layer 1: only a chain"},
        {"- {type: conv, out: 4, kernel: 1}\n- {type: avg_pool, kernel: 4}\n- {type: relu}\n- {type: linear, "
         "out: 3}\n",
         "layer 2: its threshold goes into the weights before it"},
        {"- {type: batch_norm}\n- {type: conv, out: 4, kernel: 4}\n- {type: relu}\n- {type: linear, out: "
         "3}\n",
         "layer 0: a batch norm is folded into the weights before it"},
        {"- {type: conv, out: 4, kernel: 4}\n- {type: relu}\n", "layer 1: the network must end in outputs"},
        {"- {type: conv, out: 4, kernel: 4}\n- {type: linear, out: 3}\n", "network: the network has no relu"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_error err = {0};
        sp_conversion *c = NULL;
        char text[400];
        snprintf(text, sizeof text, "layers:\n%s", cases[i].layers);
        sp_graph *g = graph_of(text);
        cr_assert_eq(conversion_of(g, 1, &c, &err), SP_E_CONFIG);
        cr_assert(strstr(err.text, cases[i].why), "%s", err.text);
        sp_graph_destroy(&g);
    }
}

Test(convert, a_threshold_that_is_not_positive_is_refused)
{
    sp_error err = {0};
    sp_conversion *c = NULL;
    sp_graph *g = graph_of("layers:\n- {type: conv, out: 4, kernel: 4}\n- {type: qcfs}\n- {type: linear, "
                           "out: 3}\n");
    cr_assert_eq(conversion_of(g, -1, &c, &err), SP_E_CONFIG);
    cr_assert(strstr(err.text, "layer 1: its learnt threshold is -1"), "%s", err.text);
    sp_graph_destroy(&g);
}

Test(convert, thresholds_leave_rare_outputs_out)
{
    static uint32_t counts[SP_CONVERT_PARTS];
    for (int k = 0; k < SP_CONVERT_PARTS / 4; k++)
        counts[k] = 100;
    counts[SP_CONVERT_PARTS - 1] = 1;
    const double few = sp_convert_threshold(counts, 8, 4), many = sp_convert_threshold(counts, 8, 1000);
    cr_assert(few > 1.6 && few < 2.6, "%g", few); /* a quarter of the largest holds all but one */
    cr_assert(many > 7.9, "%g", many);            /* fine steps can have all */
    memset(counts, 0, sizeof counts);
    counts[SP_CONVERT_PARTS / 2] = 1; /* one output at the middle: half of the threshold says it */
    cr_assert_float_eq(sp_convert_threshold(counts, 8, 2), 8, 1e-9);
}
