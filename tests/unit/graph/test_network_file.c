/* Networks that come with spikeport: parameter, MAC and neuron counts of the published networks, exactly;
 * starting values; scales of the NF-ResNets; files that name files and change them; what is refused. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/paths.h"
#include "graph/graph.h"

static sp_error err;

#define OPTIONS(...) ((sp_network_options){__VA_ARGS__})
#define AS_IT_IS     .width = (double)NAN, .dropout = (double)NAN

static sp_graph *make(sp_network_options o, int64_t c, int64_t side)
{
    sp_network net;
    sp_graph *g = NULL;
    cr_assert_eq(sp_network_load(&o, &net, &err), SP_OK, "%s: %s", o.file, err.text);
    cr_assert_eq(sp_graph_create(&net, net.file, c, side, side, &g, &err), SP_OK, "%s", err.text);
    return g;
}

static int64_t macs(const sp_graph *g)
{
    int64_t sum = 0;
    for (int i = 0; i < g->n_nodes; i++)
        sum += sp_graph_macs(g, i);
    return sum;
}

static int neuron_layers(const sp_graph *g)
{
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        n += g->nodes[i].type == SP_NODE_NEURON;
    return n;
}

/* Counted on the papers' public code; MACs in units of 100,000. The SEW counts are those of the ResNets
 * without biases. */
Test(network_file, counts_are_those_of_the_papers)
{
    static const struct {
        const char *name;
        int64_t classes, channels, side, parameters, macs_100k;
        int layers;
        int64_t neurons;
    } nets[] = {
        {"resnet18", 10, 3, 32, 11176906, 5554, 17, 557056},
        {"resnet18", 100, 3, 32, 11223076, 5555, 17, 557056},
        {"vgg11_bn", 10, 2, 48, 9476298, 3426, 8, 340992},
        {"vgg11_bn", 11, 2, 128, 9501387, 24351, 8, 2424832},
        {"nf_resnet34", 1000, 3, 224, 21797688, 36638, 32, 2935296},
        {"nf_resnet50", 1000, 3, 224, 25557048, 40892, 48, 8906240},
        {"nf_resnet101", 1000, 3, 224, 44549193, 78014, 99, 14024192},
        {"vgg11_ws", 10, 3, 32, 9228362, 6058, 8, 409600},
        {"vgg11_ws", 100, 3, 32, 9274532, 6058, 8, 409600},
        {"vgg11_ws", 10, 2, 48, 9227786, 13616, 8, 921600},
        {"vgg11_ws", 11, 2, 128, 9228299, 96826, 8, 6553600},
        {"sew_resnet18", 1000, 3, 224, 11689512, 18141, 20, 2483712},
        {"sew_resnet34", 1000, 3, 224, 21797672, 36638, 36, 3738112},
    };
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        sp_graph *g = make(OPTIONS(.file = nets[i].name, .classes = nets[i].classes,
                                   .channels = nets[i].channels, AS_IT_IS),
                           nets[i].channels, nets[i].side);
        cr_assert_eq(g->n_trainable, nets[i].parameters, "%s: %lld parameters", nets[i].name,
                     (long long)g->n_trainable);
        cr_assert_eq((macs(g) + 50000) / 100000, nets[i].macs_100k, "%s: %lld MACs", nets[i].name,
                     (long long)macs(g));
        cr_assert_eq(neuron_layers(g), nets[i].layers, "%s: %d neuron layers", nets[i].name,
                     neuron_layers(g));
        cr_assert_eq(sp_graph_neurons(g), nets[i].neurons, "%s: %lld neurons", nets[i].name,
                     (long long)sp_graph_neurons(g));
        cr_assert_eq(g->classes, nets[i].classes);
        sp_graph_destroy(&g);
    }
}

/* Every name, at its defaults, on the input it is meant for. */
Test(network_file, every_network_is_whole)
{
    sp_names names = {0};
    cr_assert_eq(sp_own_names("recipes/networks", &names, &err), SP_OK, "%s", err.text);
    cr_assert_geq(names.n, 11);
    for (size_t i = 0; i < names.n; i++) {
        bool large = strstr(names.items[i], "nf_") || strstr(names.items[i], "sew_");
        sp_graph *g = make(OPTIONS(.file = names.items[i], AS_IT_IS), 3, large ? 224 : 32);
        cr_assert_eq(g->classes, large ? 1000 : 10, "%s", names.items[i]);
        sp_graph_destroy(&g);
    }
    sp_names_free(&names);
}

/* Largest and root mean square of a parameter's starting values. */
static void start(const sp_graph *g, const char *name, double *largest, double *rms)
{
    const sp_param *p = sp_graph_param(g, name);
    cr_assert_not_null(p, "no parameter %s", name);
    float *x = sp_alloc_array((size_t)p->elems, sizeof *x);
    cr_assert_not_null(x);
    sp_param_initialise(g, p, 2022, x);
    double sum = 0;
    *largest = 0;
    for (int64_t i = 0; i < p->elems; i++) {
        sum += (double)x[i] * (double)x[i];
        *largest = fmax(*largest, fabs((double)x[i]));
    }
    *rms = sqrt(sum / (double)p->elems);
    sp_free(x);
}

/* uniform: values lie within +-bound and fill it; else normal with deviation `bound`; bound 0: zeros; 1:
 * ones. */
static void expect_start(const sp_graph *g, const char *name, bool uniform, double bound)
{
    double largest, rms;
    start(g, name, &largest, &rms);
    double expected = uniform ? bound / sqrt(3) : bound;
    bool fits = fabs(rms - expected) <= 0.25 * expected && (!uniform || largest <= bound) &&
                (uniform || bound <= 0 || bound >= 1 || largest > 1.5 * bound);
    cr_assert(fits, "%s starts with rms %g, largest %g; expected %s of %g", name, rms, largest,
              uniform ? "uniform" : "normal", bound);
}

Test(network_file, starting_values_are_those_of_the_papers)
{
    sp_graph *g = make(OPTIONS(.file = "resnet18", AS_IT_IS), 3, 32);
    expect_start(g, "0.weight", false, sqrt(2.0 / (64 * 9)));
    expect_start(g, "1.branch.0.bias", true,
                 1 / sqrt(64 * 9.0)); /* not zero: the public code leaves PyTorch's default */
    expect_start(g, "3.shortcut.0.weight", false, sqrt(2.0 / 128));
    expect_start(g, "3.shortcut.0.bias", true, 1 / sqrt(64.0));
    expect_start(g, "13.weight", true, 1 / sqrt(512.0));
    expect_start(g, "13.bias", false, 0);
    cr_assert_null(sp_graph_param(g, "0.bias"));
    sp_graph_destroy(&g);
    g = make(OPTIONS(.file = "vgg11_bn", AS_IT_IS), 2, 48);
    expect_start(g, "0.weight", false, sqrt(2.0 / (64 * 9)));
    expect_start(g, "0.bias", false, 0);
    expect_start(g, "31.weight", false, 0.01);
    expect_start(g, "31.bias", false, 0);
    sp_graph_destroy(&g);
    g = make(OPTIONS(.file = "vgg11_ws", AS_IT_IS), 3, 32);
    expect_start(g, "0.gain", false, 1);
    expect_start(g, "0.bias", false, 0);
    expect_start(g, "29.weight", false, 0.01);
    sp_graph_destroy(&g);
    g = make(OPTIONS(.file = "nf_resnet34", AS_IT_IS), 3, 224);
    expect_start(g, "0.weight", false, sqrt(2.0 / (64 * 49)));
    expect_start(g, "2.branch.0.bias", false, 0);
    expect_start(g, "2.skip_gain", false, 0);
    expect_start(g, "20.weight", false, 0);
    expect_start(g, "20.bias", true, 1 / sqrt(512.0));
    sp_graph_destroy(&g);
}

/* Each block divides its input by its expected deviation: NF-ResNet's analytic variance. */
Test(network_file, nf_resnets_divide_by_the_expected_deviation)
{
    static const struct {
        const char *name;
        int blocks, layer4;
    } nets[] = {{"nf_resnet34", 16, 13}, {"nf_resnet50", 16, 13}, {"nf_resnet101", 33, 30}};
    static const double common[] = {1, 1.019804, 1.039230, 1.058301, 1.019804, 1.039230, 1.058301, 1.077033};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        sp_graph *g = make(OPTIONS(.file = nets[i].name, AS_IT_IS), 3, 224);
        int block = 0;
        for (size_t k = 0; k < g->network.n; k++) {
            const sp_layer *l = &g->network.layers[k];
            if (l->type != SP_LAYER_RESIDUAL)
                continue;
            double beta = l->pre[0].type == SP_LAYER_SCALE ? 1 / l->pre[0].factor : 1, expected;
            if (block < 8)
                expected = common[block];
            else if (block < nets[i].layer4)
                expected = sqrt(1.04 + 0.04 * (block - 8));
            else if (block == nets[i].layer4)
                expected = sqrt(1.04 + 0.04 * (nets[i].layer4 - 8));
            else
                expected = sqrt(1 + 0.04 * (block - nets[i].layer4));
            cr_assert(fabs(beta - expected) < 1e-6, "%s, block %d: %.9g, expected %.9g", nets[i].name, block,
                      beta, expected);
            cr_assert(l->identity_input && l->skip_gain && fabs(l->alpha - 0.2) < 1e-12);
            block++;
        }
        cr_assert_eq(block, nets[i].blocks);
        sp_graph_destroy(&g);
    }
}

Test(network_file, options)
{
    sp_graph *g =
        make(OPTIONS(.file = "vgg11_bn", .classes = 11, .dropout = 0.4, .width = (double)NAN), 2, 128);
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].type == SP_NODE_DROPOUT) {
            cr_assert(fabs(g->nodes[i].layer->p - 0.4) < 1e-9);
            cr_assert_eq(g->nodes[i - 1].type, SP_NODE_NEURON);
            n++;
        }
    cr_assert_eq(n, 8);
    sp_graph_destroy(&g);
    g = make(OPTIONS(.file = "resnet18", .width = 0.5, .dropout = (double)NAN), 3, 32);
    cr_assert_eq(sp_graph_param(g, "0.weight")->shape[0], 32);
    cr_assert_eq(sp_graph_param(g, "13.weight")->shape[0], 10);
    cr_assert_eq(sp_graph_param(g, "13.weight")->shape[1], 256);
    sp_graph_destroy(&g);
    static const char *const wrong[][2] = {{"resnet17", "did you mean \"resnet18\"?"},
                                           {"qqqqqqqqqqqq", "there are conv_16_32_128, "}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sp_network net;
        cr_assert_eq(sp_network_load(&OPTIONS(.file = wrong[i][0], AS_IT_IS), &net, &err), SP_E_USAGE);
        cr_assert(strstr(err.text, wrong[i][1]), "\"%s\" lacks \"%s\"", err.text, wrong[i][1]);
    }
}

static sp_status read_text(const char *text, sp_network *net)
{
    const sp_neuron neuron = sp_neuron_default();
    sp_yaml_doc doc;
    cr_assert_eq(sp_yaml_parse(SP_TEST_SOURCE_DIR "/recipes/r.yaml", text, strlen(text), &doc, &err), SP_OK,
                 "%s", err.text);
    sp_status st = sp_network_read(doc.root, doc.file, &neuron, net, &err);
    sp_yaml_free(&doc);
    return st;
}

/* Named layers lose a count of inputs that no longer fits, but for the first layer's. */
Test(network_file, changes_are_those_of_who_names_the_file)
{
    static const char *const layers =
        "[{type: conv, in: 3, out: 4, kernel: 1}, {type: batch_norm, channels: 4}, {type: dropout}, {type: "
        "lif}, {type: residual, branch: [{type: conv, in: 4, out: 4, kernel: 1}]}, {type: dropout, p: 0.5}, "
        "{type: flatten}, {type: linear, in: 4, out: 10}, {type: scale, factor: 2}]";
    sp_network net;
    char text[600];
    snprintf(text, sizeof text, "{width: 2.5, classes: 7, dropout: 0.25, layers: %s}", layers);
    cr_assert_eq(read_text(text, &net), SP_OK, "%s", err.text);
    const sp_layer *l = net.layers;
    cr_assert(net.n == 9 && l[0].in == 3 && l[0].out == 10 && l[1].channels == 0 && l[2].p == 0.25);
    cr_assert(l[4].branch[0].in == 0 && l[4].branch[0].out == 10 && l[5].p == 0.5);
    cr_assert(l[7].in == 0 && l[7].out == 7);
    sp_network_free(&net);
    snprintf(text, sizeof text, "{dropout: 0, layers: %s}", layers);
    cr_assert_eq(read_text(text, &net), SP_OK, "%s", err.text);
    cr_assert(net.n == 8 && net.layers[2].type == SP_LAYER_LIF && !strcmp(net.layers[7].name, "7"));
    cr_assert(net.layers[4].p == 0.5 && net.layers[0].out == 4 && net.layers[1].channels == 4);
    sp_network_free(&net);
    cr_assert_eq(read_text("{file: networks/resnet18_small.yaml, width: 2, dropout: 0.1}", &net), SP_OK, "%s",
                 err.text);
    cr_assert(net.layers[0].out == 32 && net.layers[net.n - 1].out == 10);
    cr_assert(strstr(net.file, "recipes/networks/resnet18.yaml") != NULL);
    cr_assert_eq(net.layers[1].branch[3].type, SP_LAYER_DROPOUT);
    sp_network_free(&net);
}

Test(network_file, wrong_changes_are_refused)
{
    static const char *const cases[][2] = {
        {"{width: 2}", ":1:1: \"network\" must be a file name"},
        {"{file: a.yaml, layers: []}", ":1:1: \"network\" must be"},
        {"{file: networks/resnet17.yaml}", "r.yaml:1:8: network: there is no file "},
        {"{file: networks/resnet17.yaml}", "/recipes/networks/resnet18.yaml\"?"},
        {"{file: netwroks/resnet18.yaml}", "/recipes/networks\"?"},
        {"{file: networks/resnet18.yaml, witdh: 2}", "did you mean \"width\"?"},
        {"{file: networks/resnet18.yaml, width: .nan}", "r.yaml:1:39: \"width\" must be a number"},
        {"{file: networks/resnet18.yaml, classes: 1}", "r.yaml:1:41: \"classes\" must be"},
        {"{dropout: 0.1, layers: [{type: linear, out: 2}]}", ":1:11: \"dropout\" would have no effect"},
        {"{layers: [{type: dropout}]}", "dropout layer 0 has no \"p\"; it is required"},
        {"{classes: 3, layers: [{type: lif}]}", "width and classes need a network that ends in a linear"},
        {"{channels: 3, layers: [{type: lif}]}", "channels needs a network that begins with"},
        {"3", "\"network\" must be a file name"},
        {"{layers: 3}", ":1:10: \"layers\" must be a list"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sp_network net;
        cr_assert_eq(read_text(cases[i][0], &net), SP_E_CONFIG, "accepted: %s", cases[i][0]);
        cr_assert(strstr(err.text, cases[i][1]), "\"%s\" lacks \"%s\"", err.text, cases[i][1]);
        cr_assert_null(net.layers);
    }
}
