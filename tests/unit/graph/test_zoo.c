/* The zoo: parameter, MAC and neuron counts of the published networks, exactly; starting values; scales of
 * the NF-ResNets; what is refused. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/zoo.h"

static sp_error err;

static sp_graph *make(const char *name, const sp_zoo_options *o, int64_t c, int64_t side)
{
    sp_text t = {0};
    sp_yaml_doc doc;
    sp_network net;
    sp_graph *g = NULL;
    sp_neuron neuron = sp_neuron_default();
    cr_assert_eq(sp_zoo_write(name, o, &t, &err), SP_OK, "%s: %s", name, err.text);
    cr_assert_eq(sp_yaml_parse(name, t.s, t.n, &doc, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_network_parse(sp_yaml_get(doc.root, "layers"), &neuron, &net, &err), SP_OK, "%s",
                 err.text);
    cr_assert_eq(sp_graph_create(&net, name, c, side, side, &g, &err), SP_OK, "%s", err.text);
    sp_yaml_free(&doc);
    sp_text_free(&t);
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
Test(zoo, counts_are_those_of_the_papers)
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
        sp_zoo_options o = {.classes = nets[i].classes, .channels = nets[i].channels, .dropout = -1};
        sp_graph *g = make(nets[i].name, &o, nets[i].channels, nets[i].side);
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
Test(zoo, every_network_is_whole)
{
    for (size_t i = 0; i < sp_zoo_count(); i++) {
        bool large = strstr(sp_zoo_name(i), "nf_") || strstr(sp_zoo_name(i), "sew_");
        sp_graph *g = make(sp_zoo_name(i), &(sp_zoo_options){.dropout = -1}, 3, large ? 224 : 32);
        cr_assert_eq(g->classes, large ? 1000 : 10, "%s", sp_zoo_name(i));
        cr_assert(strlen(sp_zoo_about(i)) > 20);
        sp_graph_destroy(&g);
    }
    cr_assert_null(sp_zoo_name(sp_zoo_count()));
    cr_assert_null(sp_zoo_about(sp_zoo_count()));
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

Test(zoo, starting_values_are_those_of_the_papers)
{
    sp_graph *g = make("resnet18", &(sp_zoo_options){.dropout = -1}, 3, 32);
    expect_start(g, "0.weight", false, sqrt(2.0 / (64 * 9)));
    expect_start(g, "1.branch.0.bias", true,
                 1 / sqrt(64 * 9.0)); /* not zero: the public code leaves PyTorch's default */
    expect_start(g, "3.shortcut.0.weight", false, sqrt(2.0 / 128));
    expect_start(g, "3.shortcut.0.bias", true, 1 / sqrt(64.0));
    expect_start(g, "13.weight", true, 1 / sqrt(512.0));
    expect_start(g, "13.bias", false, 0);
    cr_assert_null(sp_graph_param(g, "0.bias"));
    sp_graph_destroy(&g);
    g = make("vgg11_bn", &(sp_zoo_options){.dropout = -1}, 2, 48);
    expect_start(g, "0.weight", false, sqrt(2.0 / (64 * 9)));
    expect_start(g, "0.bias", false, 0);
    expect_start(g, "31.weight", false, 0.01);
    expect_start(g, "31.bias", false, 0);
    sp_graph_destroy(&g);
    g = make("vgg11_ws", &(sp_zoo_options){.dropout = -1}, 3, 32);
    expect_start(g, "0.gain", false, 1);
    expect_start(g, "0.bias", false, 0);
    expect_start(g, "29.weight", false, 0.01);
    sp_graph_destroy(&g);
    g = make("nf_resnet34", &(sp_zoo_options){.dropout = -1}, 3, 224);
    expect_start(g, "0.weight", false, sqrt(2.0 / (64 * 49)));
    expect_start(g, "2.branch.0.bias", false, 0);
    expect_start(g, "2.skip_gain", false, 0);
    expect_start(g, "20.weight", false, 0);
    expect_start(g, "20.bias", true, 1 / sqrt(512.0));
    sp_graph_destroy(&g);
}

/* Each block divides its input by its expected deviation: NF-ResNet's analytic variance. */
Test(zoo, nf_resnets_divide_by_the_expected_deviation)
{
    static const struct {
        const char *name;
        int blocks, layer4;
    } nets[] = {{"nf_resnet34", 16, 13}, {"nf_resnet50", 16, 13}, {"nf_resnet101", 33, 30}};
    static const double common[] = {1, 1.019804, 1.039230, 1.058301, 1.019804, 1.039230, 1.058301, 1.077033};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        sp_graph *g = make(nets[i].name, &(sp_zoo_options){.dropout = -1}, 3, 224);
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

Test(zoo, options)
{
    sp_graph *g = make("vgg11_bn", &(sp_zoo_options){.classes = 11, .dropout = 0.4}, 2, 128);
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].type == SP_NODE_DROPOUT) {
            cr_assert(fabs(g->nodes[i].layer->p - 0.4) < 1e-9);
            cr_assert_eq(g->nodes[i - 1].type, SP_NODE_NEURON);
            n++;
        }
    cr_assert_eq(n, 8);
    sp_graph_destroy(&g);
    g = make("resnet18", &(sp_zoo_options){.dropout = -1, .width = 0.5}, 3, 32);
    cr_assert_eq(sp_graph_param(g, "0.weight")->shape[0], 32);
    cr_assert_eq(sp_graph_param(g, "13.weight")->shape[1], 256);
    sp_graph_destroy(&g);
    static const struct {
        const char *name;
        sp_zoo_options o;
        const char *says;
    } wrong[] = {
        {"resnet17", {.dropout = -1}, "did you mean \"resnet18\"?"},
        {"qqqqqqqqqqqq", {.dropout = -1}, "spikeport network --list"},
        {"resnet18", {.classes = 1, .dropout = -1}, "classes is 1"},
        {"resnet18", {.channels = -1, .dropout = -1}, "channels is -1"},
        {"resnet18", {.dropout = 1}, "dropout is 1"},
        {"resnet18", {.dropout = (double)NAN}, "dropout is nan"},
        {"resnet18", {.dropout = -1, .width = -2}, "width is -2"},
        {"resnet18", {.dropout = -1, .width = (double)NAN}, "width is nan"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sp_text t = {0};
        cr_assert_eq(sp_zoo_write(wrong[i].name, &wrong[i].o, &t, &err), SP_E_USAGE, "%zu", i);
        cr_assert(strstr(err.text, wrong[i].says), "\"%s\" lacks \"%s\"", err.text, wrong[i].says);
        sp_text_free(&t);
    }
}
