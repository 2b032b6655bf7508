/* Every key of every layer but the neurons' (neuron_keys.c). */
#include <float.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "graph/layer_names.h"
#include "graph/network.h"

const sp_model_words sp_models[SP_MODELS] = {
    {"lif", NULL, NULL, false},           {"if", NULL, NULL, false},        {"plif", NULL, NULL, true},
    {"cuba_lif", "tau_syn", NULL, false}, {"alif", "tau_a", "beta", false},
};

const sp_model_words *sp_model_words_of(const char *model)
{
    for (int i = 0; i < SP_MODELS; i++)
        if (strcmp(sp_models[i].name, model) == 0)
            return &sp_models[i];
    return NULL;
}

static sp_status read_gain(void *layer, const sp_yaml *v, sp_error *err)
{
    (void)layer;
    if (v->kind == SP_YAML_BOOL && v->integer)
        return SP_OK;
    return sp_yaml_fail(v, err, "a ws_conv always has a gain; \"gain\" can only be true");
}

static sp_status read_from(void *base, const sp_yaml *v, sp_error *err)
{
    sp_layer *layer = base;
    const size_t n = v->kind == SP_YAML_LIST ? v->n : 1;
    layer->from = sp_alloc_array(n, sizeof *layer->from);
    if (!layer->from)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading a network");
    for (; layer->n_from < n; layer->n_from++) {
        const sp_yaml *name = v->kind == SP_YAML_LIST ? v->items[layer->n_from] : v;
        if ((name->kind != SP_YAML_STRING && name->kind != SP_YAML_INT) ||
            strlen(name->text) >= SP_LAYER_NAME_BYTES)
            return sp_yaml_fail(name, err, "\"from\" must be a list of labels or names of layers");
        snprintf(layer->from[layer->n_from], SP_LAYER_NAME_BYTES, "%s", name->text);
    }
    return n ? SP_OK : sp_yaml_fail(v, err, "\"from\" is an empty list; name one layer or more");
}

static void print_from(const void *base, sp_text *out)
{
    const sp_layer *layer = base;
    for (size_t i = 0; i < layer->n_from; i++) {
        sp_text_add(out, i ? ", " : "[");
        sp_yaml_quote(out, layer->from[i]);
    }
    sp_text_add(out, "]");
}

static bool has_bias(const void *layer)
{
    return ((const sp_layer *)layer)->bias;
}

static const char *const inits[] = {"fan_in_uniform", "fan_out_normal", "zeros", "normal_0.01", NULL};
static const char *const sources[] = {"pre", "input", NULL};

#define SIZES           .low = 1, .high = SP_LAYER_MOST
#define WINDOW(low_)    .low = low_, .high = 1 << 12
#define ANY             .low = -(double)FLT_MAX, .high = (double)FLT_MAX
#define KEY(k, kind_)   .key = #k, .kind = SP_FIELD_##kind_, SP_FIELD_AT(sp_layer, k)
#define OTHER(k, form_) .key = k, .kind = SP_FIELD_OTHER, .form = form_
#define TYPE                                                                                                 \
    {OTHER("type", NULL), .required = true},                                                                 \
    {                                                                                                        \
        OTHER("label", NULL)                                                                                 \
    }

#define FEATURES                                                                                             \
    {KEY(in, INT), SIZES, .help = "Inputs; otherwise those that there are."},                                \
    {                                                                                                        \
        KEY(out, INT), SIZES, .required = true, .help = "Outputs."                                           \
    }
#define KERNEL                                                                                               \
    {                                                                                                        \
        KEY(kernel, PAIR), WINDOW(1), .required = true, .help = "Height and width of the window."            \
    }
#define GROUPS                                                                                               \
    {                                                                                                        \
        KEY(groups, INT), SIZES, .initial = "1",                                                             \
                                 .help = "Groups of channels that do not see each other; as many as "        \
                                         "inputs: depthwise."                                                \
    }
#define CONV                                                                                                 \
    TYPE, FEATURES, KERNEL,                                                                                  \
        {KEY(stride, PAIR), WINDOW(1), .initial = "1", .help = "Distance between windows."},                 \
        {KEY(padding, PAIR), WINDOW(0), .initial = "0", .help = "Zeros at each side."},                      \
        {KEY(dilation, PAIR), WINDOW(1), .initial = "1",                                                     \
         .help = "Distance between the elements of a window."},                                              \
        GROUPS
#define STARTS                                                                                               \
    {KEY(bias, BOOL), .initial = "true", .help = "Whether there is a bias."},                                \
        {KEY(weight_init, CHOICE), .names = inits, .initial = "fan_in_uniform",                              \
         .help = "How weights start; fan_in_uniform is PyTorch's default."},                                 \
    {                                                                                                        \
        KEY(bias_init, CHOICE), .names = inits, .initial = "fan_in_uniform", .applies = has_bias,            \
                                .help = "How biases start."                                                  \
    }
#define EPS(value)                                                                                           \
    {                                                                                                        \
        KEY(eps, FLOAT), .low = 1e-12, .high = 1, .initial = value, .help = "Added to the variance."         \
    }
#define CHANNELS                                                                                             \
    {                                                                                                        \
        KEY(channels, INT), SIZES, .help = "Channels; otherwise those that there are."                       \
    }
#define NORM                                                                                                 \
    CHANNELS, EPS("1e-05"),                                                                                  \
    {                                                                                                        \
        KEY(momentum, FLOAT), .low = 0, .high = 1, .initial = "0.1",                                         \
                              .help = "Weight of a mini-batch in the running statistics."                    \
    }

/* Of a signal, the x of a pair; y is that of a picture of height 1 (network.c). */
#define ALONG(k)                                                                                             \
    .key = #k, .kind = SP_FIELD_INT, .at = offsetof(sp_layer, k) + sizeof(int64_t), .size = sizeof(int64_t)

static const sp_field conv[] = {CONV, STARTS};
static const sp_field conv1d[] = {
    TYPE,
    FEATURES,
    {ALONG(kernel), WINDOW(1), .required = true, .help = "Length of the window."},
    {ALONG(stride), WINDOW(1), .initial = "1", .help = "Distance between windows."},
    {ALONG(padding), WINDOW(0), .initial = "0", .help = "Zeros at each end."},
    {ALONG(dilation), WINDOW(1), .initial = "1", .help = "Distance between the elements of a window."},
    GROUPS,
    STARTS};
static const sp_field ws_conv[] = {CONV,
                                   {OTHER("gain", "true"), .read = read_gain, .help = "Can only be true."},
                                   EPS("0.0001"),
                                   STARTS};
static const sp_field linear[] = {TYPE, FEATURES, STARTS};
static const sp_field batch_norm[] = {TYPE, NORM};
static const sp_field pool[] = {TYPE,
                                KERNEL,
                                {KEY(stride, PAIR), WINDOW(1), .follows = "kernel",
                                 .help = "Distance between windows."},
                                {KEY(padding, PAIR), WINDOW(0), .initial = "0",
                                 .help = "Zeros at each side, at most half the kernel."}};
static const sp_field adaptive[] = {TYPE,
                                    {KEY(output, PAIR), WINDOW(1), .required = true,
                                     .help = "Height and width of the result."}};
static const sp_field flatten[] = {TYPE};
static const sp_field scale[] = {TYPE, {KEY(factor, FLOAT), ANY, .required = true, .help = "The factor."}};
static const sp_field dropout[] = {TYPE,
                                   {KEY(p, FLOAT), .low = 0, .high = 0.999,
                                    .help = "Share of the activations that are dropped; otherwise the "
                                            "network's `dropout`."},
                                   {.key = "unit",
                                    .kind = SP_FIELD_CHOICE,
                                    SP_FIELD_AT(sp_layer, by_channel),
                                    .names = (const char *const[]){"element", "channel", NULL},
                                    .initial = "element",
                                    .help = "What is dropped: single elements, or all places of a channel, "
                                            "as PyTorch's Dropout2d."},
                                   {.key = "mask",
                                    .kind = SP_FIELD_CHOICE,
                                    SP_FIELD_AT(sp_layer, each_step),
                                    .names = (const char *const[]){"sample", "step", NULL},
                                    .initial = "sample",
                                    .help = "How long a mask is used: for all time steps of a sample, as in "
                                            "SpikingJelly's layers, or for one time step, as PyTorch's "
                                            "layers do."}};
static const sp_field residual[] = {TYPE,
                                    {OTHER("pre", "list of layers"), .help = "What both paths begin with."},
                                    {OTHER("branch", "list of layers"), .help = "The path that is added. "
                                                                                "Required."},
                                    {OTHER("shortcut", "list of layers, or null"), .help = "The other path; "
                                                                                           "null: the "
                                                                                           "identity."},
                                    {.key = "identity_from",
                                     .kind = SP_FIELD_CHOICE,
                                     SP_FIELD_AT(sp_layer, identity_input),
                                     .names = sources,
                                     .initial = "pre",
                                     .help = "Where an identity begins: behind `pre`, or before it."},
                                    {KEY(skip_gain, BOOL), .initial = "false",
                                     .help = "A learnable factor of the branch, which starts at 0."},
                                    {KEY(alpha, FLOAT), ANY, .initial = "1",
                                     .help = "Factor of the branch."}};
static const sp_field join[] = {TYPE,
                                {OTHER("from", "list of labels or names of layers, or `input`"),
                                 .read = read_from, .print = print_from, .required = true,
                                 .help = "What is joined; of one name, its output is what follows reads."}};
static const sp_field layer_norm[] = {TYPE,
                                      CHANNELS,
                                      EPS("1e-05"),
                                      {.key = "over",
                                       .kind = SP_FIELD_CHOICE,
                                       SP_FIELD_AT(sp_layer, each_place),
                                       .names = (const char *const[]){"sample", "channels", NULL},
                                       .initial = "sample",
                                       .help = "Moments of a time step over all values of a sample, or over "
                                               "the channels of each pixel."}};
static const sp_field td_batch_norm[] = {TYPE,
                                         {KEY(alpha, FLOAT), .low = 1e-6, .high = 1e6, .initial = "1",
                                          .help = "Factor of the threshold."},
                                         {.key = "v_th",
                                          .kind = SP_FIELD_FLOAT,
                                          SP_FIELD_AT(sp_layer, neuron.v_th),
                                          .low = 1e-6,
                                          .high = 1e6,
                                          .help = "Threshold; otherwise that of the recipe's neurons."},
                                         NORM};

static const sp_field relu[] = {TYPE};
static const sp_field qcfs[] = {TYPE,
                                {KEY(levels, INT), .low = 1, .high = 65536, .initial = "8",
                                 .help = "Levels above 0: as many as time steps that a converted network is "
                                         "to be run for."},
                                {.key = "threshold",
                                 .kind = SP_FIELD_FLOAT,
                                 SP_FIELD_AT(sp_layer, neuron.v_th),
                                 .low = 1e-6,
                                 .high = 1e6,
                                 .initial = "8",
                                 .help = "The largest output, which is learnt, at the start."}};

static const sp_field delay[] = {TYPE,
                                 {KEY(steps, INT), .low = 1, .high = 1024, .required = true,
                                  .help = "Time steps by which its input is passed on later; before that it "
                                          "gives 0. Trains with bptt alone."}};

static const sp_field synapse[] = {TYPE,
                                   {.key = "tau",
                                    .kind = SP_FIELD_FLOAT,
                                    SP_FIELD_AT(sp_layer, neuron.tau),
                                    .low = 1,
                                    .high = 1e9,
                                    .required = true,
                                    .help = "Time constant in time steps: 1 - 1/tau of its output stays, and "
                                            "its input is added."},
                                   {.key = "learn",
                                    .kind = SP_FIELD_BOOL,
                                    SP_FIELD_AT(sp_layer, neuron.learn),
                                    .initial = "false",
                                    .help = "Whether tau is learnt; then it is above 1."},
                                   {.key = "per_channel",
                                    .kind = SP_FIELD_BOOL,
                                    SP_FIELD_AT(sp_layer, neuron.per_channel),
                                    .initial = "false",
                                    .help = "Whether it is learnt for each channel."}};

#define ROWS(name, rows)                                                                                     \
    {                                                                                                        \
        name, rows, sizeof(rows) / sizeof *(rows), offsetof(sp_layer, given)                                 \
    }
const sp_fields sp_layer_fields[SP_LAYER_TYPES] = {
    [SP_LAYER_CONV] = ROWS("conv", conv),
    [SP_LAYER_WS_CONV] = ROWS("ws_conv", ws_conv),
    [SP_LAYER_LINEAR] = ROWS("linear", linear),
    [SP_LAYER_BATCH_NORM] = ROWS("batch_norm", batch_norm),
    [SP_LAYER_LIF] = {.what = "lif"},
    [SP_LAYER_AVG_POOL] = ROWS("avg_pool", pool),
    [SP_LAYER_MAX_POOL] = ROWS("max_pool", pool),
    [SP_LAYER_ADAPTIVE_AVG_POOL] = ROWS("adaptive_avg_pool", adaptive),
    [SP_LAYER_FLATTEN] = ROWS("flatten", flatten),
    [SP_LAYER_SCALE] = ROWS("scale", scale),
    [SP_LAYER_DROPOUT] = ROWS("dropout", dropout),
    [SP_LAYER_RESIDUAL] = ROWS("residual", residual),
    [SP_LAYER_TD_BATCH_NORM] = ROWS("td_batch_norm", td_batch_norm),
    [SP_LAYER_ADD] = ROWS("add", join),
    [SP_LAYER_CONCAT] = ROWS("concat", join),
    [SP_LAYER_LAYER_NORM] = ROWS("layer_norm", layer_norm),
    [SP_LAYER_RMS_NORM] = ROWS("rms_norm", layer_norm),
    [SP_LAYER_CONV1D] = ROWS("conv1d", conv1d),
    [SP_LAYER_RELU] = ROWS("relu", relu),
    [SP_LAYER_QCFS] = ROWS("qcfs", qcfs),
    [SP_LAYER_DELAY] = ROWS("delay", delay),
    [SP_LAYER_SYNAPSE] = ROWS("synapse", synapse),
};
