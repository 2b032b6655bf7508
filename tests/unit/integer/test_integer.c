/* What a graph becomes in integers, and what has no such form. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "config/yaml.h"
#include "integer/export.h"

static sp_graph *graph_of(const char *layers)
{
    sp_error err = {0};
    sp_yaml_doc doc;
    sp_network net;
    sp_graph *g = NULL;
    sp_neuron neuron = sp_neuron_default();
    neuron.tau = 2;
    cr_assert_eq(sp_yaml_parse("n.yaml", layers, strlen(layers), &doc, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_network_parse(sp_yaml_get(doc.root, "layers"), &neuron, &net, &err), SP_OK, "%s",
                 err.text);
    sp_yaml_free(&doc);
    cr_assert_eq(sp_graph_create(&net, "n.yaml", 2, 4, 4, &g, &err), SP_OK, "%s", err.text);
    return g;
}

/* Every parameter is `value`, running variances 4. */
static sp_status integer_of(sp_graph *g, float value, sp_integer **out, sp_error *err)
{
    float *params[32];
    const float inputs[3] = {0, 1, 3};
    sp_integer_options o = {.weight_bits = 4, .membrane_bits = 16, .input_bits = 8, .time_steps = 5};
    sp_integer_range_add(&o.input, inputs, 3);
    for (int i = 0; i < g->n_params; i++) {
        params[i] = sp_alloc_array((size_t)g->params[i].elems, sizeof **params);
        for (int64_t k = 0; k < g->params[i].elems; k++)
            params[i][k] = g->params[i].role == SP_ROLE_RUNNING_VAR ? 4 : value;
    }
    sp_status st = sp_integer_create(g, (const float *const *)params, &o, out, err);
    for (int i = 0; i < g->n_params; i++)
        sp_free(params[i]);
    return st;
}

Test(integer, thresholds_take_over_norms_and_pools)
{
    sp_error err = {0};
    sp_integer *net = NULL;
    sp_graph *g = graph_of("layers:\n"
                           "  - {type: conv, out: 3, kernel: 3, padding: 1, bias: false}\n"
                           "  - {type: batch_norm, eps: 1e-12}\n"
                           "  - {type: lif, tau: 4}\n"
                           "  - {type: avg_pool, kernel: 2}\n"
                           "  - {type: scale, factor: 4}\n"
                           "  - {type: flatten}\n"
                           "  - {type: linear, out: 2}\n");
    cr_assert_eq(integer_of(g, 1, &net, &err), SP_OK, "%s", err.text);
    cr_assert_eq(net->n, 3);
    const sp_integer_layer *a = &net->layers[0], *p = &net->layers[1], *b = &net->layers[2];
    cr_assert(net->input_exponent == 0 && net->input_low == 0 && net->input_high == 3);
    cr_assert_eq(sp_integer_input_bits(net, 0), 2);
    /* 1.5 * 7 eighths hold the weights of 1, cut to 7; with the gain 1/2 a sum's unit is 1/16: 16 * 2^8 =
     * 2^12 */
    cr_assert(a->exponents[0] == -3 && a->weights[0] == 7 && a->fraction == 7 && a->shift == 2 && a->leak);
    cr_assert_eq(a->threshold[0], 2048);
    cr_assert_eq(a->bias[0], 1024); /* (0 - 1) / 2 + 1 */
    cr_assert(a->rescaled == 0 && !a->reset && a->spikes_out && a->sum_most == 7 * 3 * 18);
    cr_assert(p->kind == SP_INTEGER_SUM && p->spikes_in && p->sum_most == 4);
    /* a code of the pool is worth 1/4 times the scale's 4; the bias 1 is 8 eighths */
    cr_assert(b->neuron < 0 && b->kh == 2 && b->kw == 2 && b->in_most == 4 && b->fraction == 8);
    cr_assert_eq(b->bias[0], 8 << 8);
    cr_assert_eq(sp_integer_cycles(a, 1), 48 * 19 + 1);
    sp_integer_destroy(&net);
    sp_graph_destroy(&g);
}

Test(integer, what_has_no_form_is_named)
{
    static const struct {
        const char *layers, *why;
    } cases[] = {
        {"layers: [{type: flatten}, {type: linear, out: 3}, {type: lif, tau: 1.1}, {type: linear, out: 2}]",
         "tau 1.1"},
        {"layers: [{type: flatten}, {type: linear, out: 3}, {type: plif}, {type: linear, out: 2}]", "\"plif"
                                                                                                    "\""},
        {"layers: [{type: flatten}, {type: linear, out: 3}, {type: lif, v_sub: 0.5}, {type: linear, out: 2}]",
         "v_sub has no integer form"},
        {"layers: [{type: conv, out: 3, kernel: 1}, {type: max_pool, kernel: 2}, {type: flatten}, {type: "
         "linear, out: 2}]",
         "behind the weights of layer 0"},
        {"layers: [{type: ws_conv, out: 3, kernel: 1}, {type: lif}, {type: flatten}, {type: linear, out: 2}]",
         "layer 0: there is no integer form"},
        {"layers: [{type: conv, out: 4, kernel: 1, groups: 2}, {type: lif}, {type: flatten}, {type: linear, "
         "out: 2}]",
         "layer 0: there is no integer form"},
        {"layers: [{type: conv, out: 3, kernel: 1}, {type: lif}, {type: avg_pool, kernel: 4}]", "ends in a "
                                                                                                "pool"},
        {"layers: [{type: conv, out: 3, kernel: 1}, {type: lif}, {type: scale, factor: 0}, {type: flatten}, "
         "{type: linear, out: 2}]",
         "layer 2: a scale by 0"},
        {"layers: [{type: conv, out: 3, kernel: 1}, {type: lif}, {type: scale, factor: -1}, {type: max_pool, "
         "kernel: 2}, {type: flatten}, {type: linear, out: 2}]",
         "layer 3: max_pool of what are no spikes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_error err = {0};
        sp_integer *net = NULL;
        sp_graph *g = graph_of(cases[i].layers);
        cr_assert_eq(integer_of(g, 1, &net, &err), SP_E_CONFIG);
        cr_assert(strstr(err.text, cases[i].why), "%s", err.text);
        sp_graph_destroy(&g);
    }
}

Test(integer, inputs_saturate_and_numbers_have_their_width)
{
    sp_error err = {0};
    sp_integer *net = NULL;
    sp_graph *g = graph_of("layers: [{type: flatten}, {type: linear, out: 2}]");
    cr_assert_eq(integer_of(g, 1, &net, &err), SP_OK, "%s", err.text);
    const float x[4] = {2, 1.5f, 7, -1};
    int32_t code[4];
    sp_text t = {0};
    cr_assert_eq(sp_integer_encode(net, x, 4, code), 2);
    cr_assert(code[0] == 2 && code[1] == 2 && code[2] == 3 && code[3] == 0);
    sp_integer_write_codes(&t, (const int32_t[]){-1, 5}, 2, 5);
    cr_assert_str_eq(t.s, "1f\n05\n");
    sp_text_free(&t);
    sp_integer_destroy(&net);
    sp_graph_destroy(&g);
}
