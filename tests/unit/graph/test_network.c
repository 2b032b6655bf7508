/* Network files: defaults, names, what is refused and how it is said, printing and reading back. */
#include <criterion/criterion.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "graph/network.h"

static sp_error err;

static sp_status parse_as(const char *text, const sp_neuron *neuron, sp_network *net)
{
    sp_yaml_doc doc;
    cr_assert_eq(sp_yaml_parse("n.yaml", text, strlen(text), &doc, &err), SP_OK, "%s\n%s", text, err.text);
    sp_status st = sp_network_parse(sp_yaml_get(doc.root, "layers"), neuron, net, &err);
    sp_yaml_free(&doc);
    return st;
}

static sp_network parse(const char *text)
{
    sp_network net;
    sp_neuron neuron = sp_neuron_default();
    cr_assert_eq(parse_as(text, &neuron, &net), SP_OK, "%s\n%s", text, err.text);
    return net;
}

static void expect_refused(const char *text, const char *message)
{
    sp_network net;
    sp_neuron neuron = sp_neuron_default();
    cr_assert_eq(parse_as(text, &neuron, &net), SP_E_CONFIG, "accepted: %s", text);
    cr_assert_str_eq(err.text, message);
    cr_assert_null(net.layers);
}

static int same_pair(const int64_t a[2], const int64_t b[2])
{
    return a[0] == b[0] && a[1] == b[1];
}

static int same_neuron(const sp_neuron *a, const sp_neuron *b)
{
    return !strcmp(a->model, b->model) && a->tau == b->tau && a->v_th == b->v_th &&
           (a->v_sub == b->v_sub || (isnan(a->v_sub) && isnan(b->v_sub))) && a->v_reset == b->v_reset &&
           a->v_init == b->v_init && a->hard_reset == b->hard_reset && a->stabilise == b->stabilise &&
           a->detach_reset == b->detach_reset && a->decay_input == b->decay_input &&
           !strcmp(a->surrogate, b->surrogate) &&
           (a->width == b->width || (isnan(a->width) && isnan(b->width))) &&
           (a->aux_tau == b->aux_tau || (isnan(a->aux_tau) && isnan(b->aux_tau))) &&
           (a->aux_gain == b->aux_gain || (isnan(a->aux_gain) && isnan(b->aux_gain))) &&
           a->learn == b->learn && a->recurrent == b->recurrent && a->membrane == b->membrane;
}

static void expect_same(const sp_layer *a, size_t na, const sp_layer *b, size_t nb)
{
    cr_assert_eq(na, nb);
    for (size_t i = 0; i < na; i++, a++, b++) {
        cr_assert_str_eq(a->name, b->name);
        cr_assert_str_eq(a->label, b->label);
        cr_assert(a->groups == b->groups && a->n_from == b->n_from && a->each_place == b->each_place, "%s",
                  a->name);
        for (size_t k = 0; k < a->n_from; k++)
            cr_assert_str_eq(a->from[k], b->from[k]);
        cr_assert(a->type == b->type && a->in == b->in && a->out == b->out && a->channels == b->channels,
                  "%s", a->name);
        cr_assert(same_pair(a->kernel, b->kernel) && same_pair(a->stride, b->stride) &&
                      same_pair(a->padding, b->padding) && same_pair(a->dilation, b->dilation) &&
                      same_pair(a->output, b->output),
                  "%s", a->name);
        cr_assert(a->bias == b->bias && a->weight_init == b->weight_init && a->bias_init == b->bias_init,
                  "%s", a->name);
        cr_assert(a->eps == b->eps && a->momentum == b->momentum && a->factor == b->factor && a->p == b->p &&
                      a->alpha == b->alpha,
                  "%s", a->name);
        cr_assert(a->type != SP_LAYER_LIF || same_neuron(&a->neuron, &b->neuron), "%s", a->name);
        cr_assert(a->has_shortcut == b->has_shortcut && a->identity_input == b->identity_input &&
                      a->skip_gain == b->skip_gain,
                  "%s", a->name);
        expect_same(a->pre, a->n_pre, b->pre, b->n_pre);
        expect_same(a->branch, a->n_branch, b->branch, b->n_branch);
        expect_same(a->shortcut, a->n_shortcut, b->shortcut, b->n_shortcut);
    }
}

/* Prints the network below a "layers:" key at some depth, reads that back beside the same neuron and
 * compares. */
static void expect_round_trip_beside(const sp_network *net, const sp_neuron *neuron, int indent)
{
    sp_text text = {0};
    sp_network again;
    sp_text_add(&text, "layers:\n");
    sp_network_print(net, indent, &text);
    cr_assert_eq(text.failed, 0);
    cr_assert_eq(parse_as(text.s, neuron, &again), SP_OK, "%s\n%s", text.s, err.text);
    expect_same(net->layers, net->n, again.layers, again.n);
    sp_network_free(&again);
    sp_text_free(&text);
}

static void expect_round_trip(const sp_network *net, int indent)
{
    sp_neuron neuron = sp_neuron_default();
    expect_round_trip_beside(net, &neuron, indent);
}

Test(network, reference_cases_are_read_and_printed_back)
{
    glob_t found;
    if (glob(SP_TEST_SOURCE_DIR "/../shared/reference/*.json", 0, NULL, &found) != 0)
        cr_skip("no reference cases beside the source folder");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        sp_yaml_doc doc;
        sp_network net;
        sp_neuron neuron = sp_neuron_default();
        cr_assert_eq(sp_yaml_load(found.gl_pathv[i], &doc, &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_neuron_read(sp_yaml_get(doc.root, "neuron"), &neuron, &err), SP_OK, "%s", err.text);
        cr_assert_eq(sp_network_parse(sp_yaml_get(doc.root, "layers"), &neuron, &net, &err), SP_OK, "%s",
                     err.text);
        cr_assert_eq(neuron.hard_reset, strstr(found.gl_pathv[i], "hard_reset") != NULL);
        cr_assert_eq(neuron.width, strstr(found.gl_pathv[i], "sigmoid") ? 4
                                   : strstr(found.gl_pathv[i], "atan")  ? 2
                                                                        : 1);
        cr_assert_eq(net.layers[net.n - 1].type, SP_LAYER_LINEAR);
        expect_round_trip_beside(&net, &neuron, (int)(i % 5));
        sp_network_free(&net);
        sp_yaml_free(&doc);
    }
    globfree(&found);
}

static const char *const every_layer =
    "layers:\n"
    "- {type: conv, label: stem, in: 3, out: 9, kernel: [3, 5], stride: 2, padding: [1, 2], dilation: [2, "
    "1], groups: "
    "3}\n"
    "- {type: ws_conv, out: 8, kernel: 3, bias: false, weight_init: fan_out_normal, gain: true, eps: 1e-3}\n"
    "- {type: linear, out: 10, weight_init: zeros, bias_init: normal_0.01}\n"
    "- {type: batch_norm}\n"
    "- {type: lif, model: plif, tau: 2.3, v_th: 0.3, v_reset: -0.1, reset: hard, detach_reset: true, "
    "decay_input: true,\n"
    "   surrogate: atan, width: 0.7}\n"
    "- {type: avg_pool, kernel: [2, 3]}\n"
    "- {type: max_pool, kernel: 3, stride: 1, padding: 1}\n"
    "- {type: adaptive_avg_pool, output: [7, 1]}\n"
    "- {type: flatten}\n"
    "- {type: scale, factor: 0.1}\n"
    "- {type: dropout, p: 0.25, unit: channel, mask: step}\n"
    "- type: residual\n"
    "  pre: [{type: lif, width: null}, {type: scale, factor: -1}]\n"
    "  branch:\n"
    "  - {type: flatten}\n"
    "  - {type: residual, branch: [{type: flatten}], identity_from: input, alpha: 0.3333333333333333}\n"
    "  shortcut: [{type: conv, out: 4, kernel: 1}]\n"
    "  skip_gain: true\n"
    "  alpha: 0.2\n"
    "  label: block\n"
    "- {type: td_batch_norm}\n"
    "- {type: add, label: sum, from: [stem, 2, input, 11.pre.1]}\n"
    "- {type: concat, from: block}\n"
    "- {type: layer_norm, over: channels}\n"
    "- {type: rms_norm, channels: 3, eps: 1e-3}\n"
    "- {type: conv1d, out: 4, kernel: 5, padding: 2}\n"
    "- {type: relu}\n"
    "- {type: qcfs, levels: 4, threshold: 2.5}\n";

Test(network, defaults_and_given_values)
{
    sp_network net = parse(every_layer);
    const sp_layer *l = net.layers;
    cr_assert_eq(net.n, 20);
    cr_assert(l[19].levels == 4 && l[19].neuron.v_th == 2.5);
    cr_assert(same_pair(l[17].kernel, (int64_t[]){1, 5}) && same_pair(l[17].padding, (int64_t[]){0, 2}));
    cr_assert(l[10].by_channel && l[10].each_step);
    cr_assert(l[15].each_place && l[15].eps == 1e-5 && !l[16].each_place && l[16].channels == 3);
    for (size_t i = 0; i < 20; i++)
        cr_assert_eq(l[i].type, (sp_layer_type)i); /* each once, in the order of the enum */
    cr_assert(l[0].in == 3 && l[0].out == 9 && l[0].groups == 3 && l[1].groups == 1 && l[0].bias &&
              l[0].weight_init == SP_INIT_FAN_IN_UNIFORM);
    cr_assert(same_pair(l[0].kernel, (int64_t[]){3, 5}) && same_pair(l[0].stride, (int64_t[]){2, 2}));
    cr_assert(same_pair(l[0].padding, (int64_t[]){1, 2}) && same_pair(l[0].dilation, (int64_t[]){2, 1}));
    cr_assert(l[1].in == 0 && !l[1].bias && l[1].weight_init == SP_INIT_FAN_OUT_NORMAL && l[1].eps == 1e-3);
    cr_assert(same_pair(l[1].stride, (int64_t[]){1, 1}) && same_pair(l[1].padding, (int64_t[]){0, 0}));
    cr_assert(l[2].in == 0 && l[2].weight_init == SP_INIT_ZEROS && l[2].bias_init == SP_INIT_NORMAL_0_01);
    cr_assert(l[3].channels == 0 && l[3].eps == 1e-5 && l[3].momentum == 0.1);
    cr_assert(!strcmp(l[4].neuron.model, "plif") && l[4].neuron.tau == 2.3 && l[4].neuron.v_th == 0.3);
    cr_assert(l[4].neuron.v_reset == -0.1 && l[4].neuron.hard_reset && l[4].neuron.detach_reset);
    cr_assert(l[4].neuron.decay_input && !strcmp(l[4].neuron.surrogate, "atan") && l[4].neuron.width == 0.7);
    cr_assert(same_pair(l[5].stride, (int64_t[]){2, 3}) && same_pair(l[6].stride, (int64_t[]){1, 1}));
    cr_assert(same_pair(l[7].output, (int64_t[]){7, 1}) && l[9].factor == 0.1 && l[10].p == 0.25);
    const sp_layer *r = &l[11];
    cr_assert(r->n_pre == 2 && r->n_branch == 2 && r->n_shortcut == 1 && r->has_shortcut && r->skip_gain);
    cr_assert(!r->identity_input && r->alpha == 0.2 && r->line == 14 && r->column == 3);
    cr_assert(isnan(r->pre[0].neuron.width) && r->pre[0].neuron.tau == 1.1);
    cr_assert_str_eq(r->name, "11");
    cr_assert(!strcmp(l[0].label, "stem") && !strcmp(r->label, "block") && !strcmp(l[13].label, "sum"));
    cr_assert(l[13].n_from == 4 && !strcmp(l[13].from[1], "2") && !strcmp(l[13].from[3], "11.pre.1"));
    cr_assert(l[14].n_from == 1 && !strcmp(l[14].from[0], "block"));
    cr_assert_str_eq(r->pre[1].name, "11.pre.1");
    cr_assert_str_eq(r->shortcut[0].name, "11.shortcut.0");
    cr_assert_str_eq(r->branch[1].branch[0].name, "11.branch.1.branch.0");
    cr_assert(r->branch[1].identity_input && !r->branch[1].has_shortcut &&
              r->branch[1].alpha == 0.3333333333333333);
    expect_round_trip(&net, 0);
    expect_round_trip(&net, 7);
    sp_network_free(&net);
    cr_assert_null(net.layers);
    sp_network_free(&net);
}

Test(network, ws_conv_eps_and_alpha_have_their_defaults)
{
    sp_network net = parse("layers: [{type: ws_conv, out: 1, kernel: 1}, {type: residual, branch: [{type: "
                           "flatten}]}]");
    cr_assert(net.layers[0].eps == 1e-4 && net.layers[1].alpha == 1 && !net.layers[1].skip_gain);
    cr_assert(net.layers[1].pre == NULL && net.layers[1].n_pre == 0);
    expect_round_trip(&net, 2);
    sp_network_free(&net);
}

/* A layer's own threshold is written out, so that a checkpoint does not depend on the recipe's. */
Test(network, td_batch_norm_takes_the_threshold_of_the_recipe_or_its_own)
{
    sp_neuron neuron = sp_neuron_default();
    sp_network net;
    sp_text text = {0};
    neuron.v_th = 0.75;
    cr_assert_eq(parse_as("layers: [{type: td_batch_norm}, {type: td_batch_norm, alpha: 0.5, v_th: 2, eps: "
                          "0.25}]",
                          &neuron, &net),
                 SP_OK, "%s", err.text);
    cr_assert(net.layers[0].neuron.v_th == 0.75 && net.layers[0].alpha == 1 && net.layers[0].eps == 1e-5);
    cr_assert(net.layers[1].neuron.v_th == 2 && net.layers[1].alpha == 0.5 && net.layers[1].momentum == 0.1);
    sp_network_print(&net, 0, &text);
    cr_assert_str_eq(text.s, "- {type: td_batch_norm, alpha: 1, eps: 1e-05, momentum: 0.1}\n"
                             "- {type: td_batch_norm, alpha: 0.5, v_th: 2, eps: 0.25, momentum: 0.1}\n");
    expect_round_trip_beside(&net, &neuron, 2);
    sp_text_free(&text);
    sp_network_free(&net);
}

Test(network, prints_what_a_person_would_write)
{
    sp_network net = parse("layers: [{type: conv, out: 2, kernel: 3}, {type: lif, tau: 2},"
                           "{type: residual, branch: [{type: batch_norm, channels: 2}]}]");
    sp_text text = {0};
    sp_network_print(&net, 2, &text);
    cr_assert_str_eq(text.s, "  - {type: conv, out: 2, kernel: 3, stride: 1, padding: 0, dilation: 1, "
                             "groups: 1, bias: true, weight_init: fan_in_uniform, bias_init: "
                             "fan_in_uniform}\n"
                             "  - {type: lif, tau: 2}\n"
                             "  - type: residual\n"
                             "    pre: []\n"
                             "    branch:\n"
                             "      - {type: batch_norm, channels: 2, eps: 1e-05, momentum: 0.1}\n"
                             "    shortcut: null\n"
                             "    identity_from: pre\n"
                             "    skip_gain: false\n"
                             "    alpha: 1\n");
    sp_text_free(&text);
    sp_network_free(&net);
}

Test(network, refuses_layers_with_place_and_reason)
{
    expect_refused("layer: 1\n", "the network has no \"layers\"");
    expect_refused("layers: []\n", "n.yaml:1:9: the list of layers is empty");
    expect_refused("layers: conv\n", "n.yaml:1:9: \"layers\" must be a list");
    expect_refused("layers:\n- conv\n", "n.yaml:2:3: layer 0 must be a map such as {type: flatten}");
    expect_refused("layers:\n- {out: 3}\n", "n.yaml:2:3: layer 0 has no \"type\"; it is required");
    expect_refused("layers:\n- {type: cnov}\n", "n.yaml:2:10: \"type\" must be one of conv, ws_conv, linear, "
                                                "batch_norm, lif, avg_pool, max_pool, "
                                                "adaptive_avg_pool, flatten, scale, dropout, residual, "
                                                "td_batch_norm, add, concat, layer_norm, rms_norm, conv1d, "
                                                "relu, qcfs, delay, synapse, "
                                                "if, plif, cuba_lif, alif, not "
                                                "\"cnov\"; did "
                                                "you "
                                                "mean \"conv\"?");
    expect_refused("layers:\n- {type: flatten}\n- {type: conv, out: 3, kernal: 3}\n",
                   "n.yaml:3:24: unknown key \"kernal\" in conv layer 1; did you mean \"kernel\"?");
    expect_refused("layers: [{type: scale, factr: 1}]\n", "n.yaml:1:24: unknown key \"factr\" in scale layer "
                                                          "0; did you mean \"factor\"?");
    expect_refused("layers: [{type: flatten, xxxxxx: 1}]\n", "n.yaml:1:26: unknown key \"xxxxxx\" in flatten "
                                                             "layer 0; known keys: type, label");
    static const char *const missing[][2] = {{"conv, kernel: 1", "conv layer 0 has no \"out\""},
                                             {"ws_conv, out: 1", "ws_conv layer 0 has no \"kernel\""},
                                             {"linear, in: 3", "linear layer 0 has no \"out\""},
                                             {"avg_pool", "avg_pool layer 0 has no \"kernel\""},
                                             {"max_pool", "max_pool layer 0 has no \"kernel\""},
                                             {"adaptive_avg_pool", "adaptive_avg_pool layer 0 has no "
                                                                   "\"output\""},
                                             {"scale", "scale layer 0 has no \"factor\""},
                                             {"dropout", "dropout layer 0 has no \"p\""},
                                             {"delay", "delay layer 0 has no \"steps\""},
                                             {"synapse", "synapse layer 0 has no \"tau\""}};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        char text[100], message[120];
        snprintf(text, sizeof text, "layers: [{type: %s}]", missing[i][0]);
        snprintf(message, sizeof message, "n.yaml:1:10: %s; it is required", missing[i][1]);
        expect_refused(text, message);
    }
}

Test(network, refuses_values_with_place_and_reason)
{
    static const char *const cases[][2] = {
        {"conv, out: 4, kernel: 3, groups: 0", "n.yaml:1:50: \"groups\" must be a whole number from 1 to "
                                               "16777216, not \"0\""},
        {"conv, out: 0, kernel: 3", "n.yaml:1:28: \"out\" must be a whole number from 1 to 16777216, not "
                                    "\"0\""},
        {"conv, in: 0, out: 1, kernel: 3", "n.yaml:1:27: \"in\" must be a whole number from 1 to 16777216, "
                                           "not \"0\""},
        {"conv, out: 4, kernel: 0", "n.yaml:1:39: \"kernel\" must be a whole number from 1 to 4096, not "
                                    "\"0\""},
        {"conv, out: 4, kernel: a", "n.yaml:1:39: \"kernel\" must be a whole number from 1 to 4096, not "
                                    "\"a\""},
        {"conv, out: 4, kernel: [3]", "n.yaml:1:39: \"kernel\" must be one whole number or a list [y, x] of "
                                      "two, not of 1"},
        {"conv, out: 4, kernel: [3, 1.5]", "n.yaml:1:43: \"kernel\": the x of [y, x] must be a whole number "
                                           "from 1 to 4096"},
        {"conv, out: 4, kernel: 3, padding: [-1, 0]", "n.yaml:1:52: \"padding\": the y of [y, x] must be a "
                                                      "whole number from 0 to 4096"},
        {"conv, out: 4, kernel: 3, bias: 1", "n.yaml:1:48: \"bias\" must be true or false, not \"1\""},
        {"conv, out: 4, kernel: 3, eps: 1", "n.yaml:1:42: unknown key \"eps\" in conv layer 0; known keys: "
                                            "type, label, in, out, "
                                            "kernel, stride, padding, dilation, groups, bias, weight_init, "
                                            "bias_init"},
        {"ws_conv, out: 4, kernel: 3, gain: false", "n.yaml:1:51: a ws_conv always has a gain; \"gain\" can "
                                                    "only be true"},
        {"linear, out: 4, bias: false, bias_init: zeros", "n.yaml:1:57: \"bias_init\" in a layer with bias: "
                                                          "false; remove one of them"},
        {"linear, out: 4, weight_init: zero", "n.yaml:1:46: \"weight_init\" must be one of fan_in_uniform, "
                                              "fan_out_normal, zeros, normal_0.01, not \"zero\"; "
                                              "did you mean \"zeros\"?"},
        {"avg_pool, kernel: 3, padding: 2", "n.yaml:1:47: \"padding\" of a pool can be at most half its "
                                            "kernel (1)"},
        {"flatten, label: 3a", "n.yaml:1:33: \"label\" must begin with a letter"},
        {"flatten, label: input", "n.yaml:1:33: the label \"input\" is the network's input"},
        {"flatten, label: A b", "n.yaml:1:33: \"label\" must be a name of 1 to 47 small letters, digits and "
                                "underscores"},
        {"add, from: []", "n.yaml:1:28: \"from\" is an empty list; name one layer or more"},
        {"concat, from: [a, 1.5]", "n.yaml:1:35: \"from\" must be a list of labels or names of layers"},
        {"dropout, p: 1", "n.yaml:1:29: \"p\" must be a number from 0 to 0.999, not \"1\""},
        {"dropout, p: 0.5, mask: steps", "n.yaml:1:40: \"mask\" must be one of sample, step, not \"steps\"; "
                                         "did "
                                         "you mean \"step\"?"},
        {"lif, per_channel: true", "n.yaml:1:35: \"per_channel\" is about what a layer learns, and this one "
                                   "learns neither its leak (plif) nor its threshold (learn_v_th)"},
        {"scale, factor: .nan", "n.yaml:1:32: \"factor\" must be a number from -3.40282347e+38 to "
                                "3.40282347e+38, not \".nan\""},
        {"lif, tau: 0.5", "n.yaml:1:27: \"tau\" must be a number from 1 to 1e+09, not \"0.5\""},
        {"lif, reset: sotf", "n.yaml:1:29: \"reset\" must be one of soft, hard, not \"sotf\"; did you mean "
                             "\"soft\"?"},
        {"lif, v_reset: 0.1", "n.yaml:1:10: v_reset is 0.1, but a soft reset subtracts v_th; use reset: hard "
                              "or v_reset: 0"},
        {"if, reset: hard, v_init: 0.5", "n.yaml:1:10: v_init is 0.5, which is for model if with the soft "
                                         "reset; "
                                         "others start at their resting potential"},
        {"lif, v_init: 0.5", "n.yaml:1:10: v_init is 0.5, which is for model if with the soft reset; others "
                             "start at their resting potential"},
        {"lif, reset: hard, v_reset: 1", "n.yaml:1:10: v_reset (1) must be below v_th (1)"},
        {"lif, reset: hard, v_sub: 1", "n.yaml:1:10: v_sub is what a soft reset subtracts, and a hard reset "
                                       "goes to v_reset; leave v_sub out"},
        {"lif, learn_v_th: true, v_sub: 1", "n.yaml:1:10: v_sub is what a soft reset subtracts, and with "
                                            "learn_v_th: true that is the threshold which is learnt; leave "
                                            "v_sub out"},
        {"lif, stabilise: true, v_sub: 1", "n.yaml:1:10: stabilise: true has a threshold that follows the "
                                           "potentials, and v_sub is what is subtracted in the place of a "
                                           "fixed one; leave one of them out"},
        {"lif, stabilise: true, learn_v_th: true", "n.yaml:1:10: stabilise: true has a threshold that "
                                                   "follows the potentials, and learn_v_th: true one that is "
                                                   "learnt; leave one of them out"},
        {"lif, model: ../lif", "n.yaml:1:29: \"model\" must be a name of 1 to 47 small letters, digits and "
                               "underscores"},
        {"lif, surrogate: ''", "n.yaml:1:33: \"surrogate\" must be a name of 1 to 47 small letters, digits "
                               "and underscores"},
        {"residual", "n.yaml:1:10: residual layer 0 has no layers in \"branch\"; it needs one or more"},
        {"residual, branch: []", "n.yaml:1:10: residual layer 0 has no layers in \"branch\"; it needs one or "
                                 "more"},
        {"residual, branch: {type: lif}", "n.yaml:1:35: \"branch\" of residual layer 0 must be a list"},
        {"residual, branch: [{type: lif}], shortcut: []", "n.yaml:1:60: \"shortcut\" is an empty list; write "
                                                          "null for the identity"},
        {"residual, branch: [{type: lif}], identity_from: x", "n.yaml:1:65: \"identity_from\" must be one of "
                                                              "pre, input, not \"x\""},
        {"residual, pre: [{type: lif}, {type: lif, tua: 2}], branch: [{type: lif}]", "n.yaml:1:58: unknown "
                                                                                     "key \"tua\" in lif "
                                                                                     "layer 0.pre.1; did you "
                                                                                     "mean \"tau\"?"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[160];
        snprintf(text, sizeof text, "layers: [{type: %s}]", cases[i][0]);
        expect_refused(text, cases[i][1]);
    }
}

Test(network, refuses_residuals_in_residuals_without_end)
{
    char text[2000] = "layers: [";
    for (int i = 0; i < 20; i++)
        strcat(text, "{type: residual, branch: [");
    strcat(text, "{type: flatten}");
    for (int i = 0; i < 20; i++)
        strcat(text, "]}");
    strcat(text, "]");
    sp_network net;
    sp_neuron neuron = sp_neuron_default();
    cr_assert_eq(parse_as(text, &neuron, &net), SP_E_CONFIG);
    cr_assert(strstr(err.text, "residual layers are nested too deeply") != NULL, "%s", err.text);
}

Test(network, neuron_settings_of_a_recipe)
{
    sp_yaml_doc doc;
    sp_neuron n = sp_neuron_default();
    cr_assert(!strcmp(n.model, "lif") && n.tau == 1.1 && n.v_th == 1 && n.v_reset == 0 && !n.hard_reset);
    cr_assert(!n.detach_reset && !n.decay_input && !strcmp(n.surrogate, "triangle") && isnan(n.width));
    const char *text = "{tau: 2, surrogate: sigmoid, width: 4, type: lif}";
    cr_assert_eq(sp_yaml_parse("n.yaml", text, strlen(text), &doc, &err), SP_OK);
    cr_assert_eq(sp_neuron_read(doc.root, &n, &err), SP_E_CONFIG);
    cr_assert_str_eq(err.text, "n.yaml:1:40: unknown key \"type\" in neuron; known keys: model, tau, v_th, "
                               "v_reset, v_init, "
                               "reset, v_sub, detach_reset, decay_input, surrogate, width, tau_syn, tau_a, "
                               "beta, "
                               "aux_tau, aux_gain, learn_v_th, stabilise, learn, per_channel");
    sp_yaml_free(&doc);
    text = "{tau: 2, surrogate: sigmoid, width: 4}";
    cr_assert_eq(sp_yaml_parse("n.yaml", text, strlen(text), &doc, &err), SP_OK);
    cr_assert_eq(sp_neuron_read(doc.root, &n, &err), SP_OK, "%s", err.text);
    cr_assert(n.tau == 2 && n.width == 4 && !strcmp(n.surrogate, "sigmoid") && !strcmp(n.model, "lif"));
    sp_yaml_free(&doc);

    sp_network net; /* and a layer overrides some of them */
    cr_assert_eq(parse_as("layers: [{type: lif}, {type: lif, tau: 3, width: null}]", &n, &net), SP_OK);
    cr_assert(same_neuron(&net.layers[0].neuron, &n));
    cr_assert(net.layers[1].neuron.tau == 3 && isnan(net.layers[1].neuron.width));
    expect_round_trip_beside(&net, &n, 0);
    sp_network_free(&net);
}

/* `type: plif` is a neuron of that model; the rest comes from the recipe's neuron, but for the second state
 * of another model. */
Test(network, neuron_models_by_type)
{
    sp_neuron n = sp_neuron_default();
    n.tau = 2.5;
    sp_network net;
    cr_assert_eq(parse_as("layers: [{type: plif, tau: 2}, {type: cuba_lif, tau_syn: 3, recurrent: true}, "
                          "{type: alif, tau_a: 20, "
                          "beta: 1.5}, {type: if}, {type: lif, model: mine, aux_tau: 4, aux_gain: -2, learn: "
                          "true}, {type: lif}]",
                          &n, &net),
                 SP_OK, "%s", err.text);
    const sp_layer *l = net.layers;
    for (int i = 0; i < 6; i++)
        cr_assert_eq(l[i].type, SP_LAYER_LIF);
    cr_assert(!strcmp(l[0].neuron.model, "plif") && l[0].neuron.learn && l[0].neuron.tau == 2);
    cr_assert(!strcmp(l[1].neuron.model, "cuba_lif") && l[1].neuron.aux_tau == 3 && l[1].neuron.recurrent &&
              l[1].neuron.tau == 2.5);
    cr_assert(!strcmp(l[2].neuron.model, "alif") && l[2].neuron.aux_tau == 20 && l[2].neuron.aux_gain == 1.5);
    cr_assert(!strcmp(l[3].neuron.model, "if") && !l[3].neuron.learn && !l[3].neuron.recurrent);
    cr_assert(l[4].neuron.aux_tau == 4 && l[4].neuron.aux_gain == -2 && l[4].neuron.learn);
    cr_assert(!strcmp(l[5].neuron.model, "lif") && !l[5].neuron.learn && isnan(l[5].neuron.aux_tau));
    expect_round_trip_beside(&net, &n, 3);
    sp_network_free(&net);

    memcpy(n.model, "cuba_lif", sizeof "cuba_lif");
    n.aux_tau = 5;
    cr_assert_eq(parse_as("layers: [{type: lif}, {type: lif, model: cuba_lif}, {type: cuba_lif}]", &n, &net),
                 SP_OK, "%s", err.text);
    for (int i = 0; i < 3; i++)
        cr_assert(net.layers[i].neuron.aux_tau == 5, "layer %d", i);
    sp_network_free(&net);
    cr_assert_eq(parse_as("layers: [{type: alif, beta: 1}]", &n, &net), SP_E_CONFIG,
                 "took tau_syn for tau_a");
    cr_assert_str_eq(err.text, "n.yaml:1:10: alif layer 0 has no \"tau_a\", and no \"neuron\" of the recipe "
                               "gives it; it is required");
}

Test(network, refuses_what_a_model_does_not_have)
{
    static const char *const cases[][2] = {
        {"{type: cuba_lif}", "10: cuba_lif layer 0 has no \"tau_syn\", and no \"neuron\" of the recipe gives "
                             "it; it is required"},
        {"{type: alif, tau_a: 2}", "10: alif layer 0 has no \"beta\", and no \"neuron\" of the recipe gives "
                                   "it; it is required"},
        {"{type: lif, tau_syn: 2}", "31: a neuron of model \"lif\" has no \"tau_syn\""},
        {"{type: cuba_lif, tau_syn: 2, beta: 1}", "45: a neuron of model \"cuba_lif\" has no \"beta\""},
        {"{type: alif, aux_tau: 2, beta: 1}", "32: a neuron of model \"alif\" has no \"aux_tau\""},
        {"{type: cuba_lif, tau_syn: 0.5}", "36: \"tau_syn\" must be a number from 1 to 1e+09, not \"0.5\""},
        {"{type: lif, learn: true}", "29: \"learn\" is about models of plugins; the model that learns its "
                                     "tau is plif"},
        {"{type: plif, learn: false}", "30: \"learn\" is about models of plugins; plif always learns its "
                                       "tau"},
        {"{type: plif, tau: 1}", "10: tau of layer 0 is learnt, as 1/tau = sigmoid(w), and starts at 1; it "
                                 "must start above 1"},
        {"{type: plif, model: lif}", "30: \"type: plif\" names the model already; use \"type: lif\" with "
                                     "\"model\""},
        {"{type: lif, output: membrane, v_th: 2}", "46: \"v_th\" is about spikes, and with output: membrane "
                                                   "this layer has none; leave it out"},
        {"{type: alif, tau_a: 2, beta: 1, output: membrane}", "10: model \"alif\" is about thresholds, and "
                                                              "with output: membrane there is none; use lif, "
                                                              "plif or cuba_lif"},
        {"{type: lif, output: membranes}", "30: \"output\" must be one of spikes, membrane, not "
                                           "\"membranes\"; did you mean \"membrane\"?"},
        {"{type: plif, recurrent: 3}", "34: \"recurrent\" must be true or false, not \"3\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[160], message[200];
        snprintf(text, sizeof text, "layers: [%s]", cases[i][0]);
        snprintf(message, sizeof message, "n.yaml:1:%s", cases[i][1]);
        expect_refused(text, message);
    }
}

Test(network, every_allocation_may_fail)
{
    sp_yaml_doc doc;
    sp_neuron neuron = sp_neuron_default();
    int failed = 0;
    cr_assert_eq(sp_yaml_parse("n.yaml", every_layer, strlen(every_layer), &doc, &err), SP_OK);
    for (int64_t k = 1;; k++) {
        sp_network net;
        sp_mem_fail_at(k);
        sp_status st = sp_network_parse(sp_yaml_get(doc.root, "layers"), &neuron, &net, &err);
        sp_mem_fail_at(0);
        sp_network_free(&net);
        if (st == SP_OK)
            break;
        cr_assert_eq(st, SP_E_MEMORY);
        failed++;
    }
    cr_assert_geq(failed, 5); /* one per list */
    sp_yaml_free(&doc);
}
