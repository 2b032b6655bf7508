/* The calls that an op is checked with: shapes by the letters the op has, and settings (flags, first and last
 * time step, neuron, surrogate) spread over them. A new op with known letters gets its calls from here
 * without an edit. */
#include <string.h>

#include "check/check.h"
#include "op/fragments_ref.h"

/* QUICK: also part of the quick check. ALL: tried with every setting, not just one or two. */
enum { QUICK = 1, ALL = 2 };

typedef struct shape {
    int tier;
    int v[14];
} shape;

static const char *const conv_names[] = {"N",  "H",  "W",  "C",  "O",  "KH", "KW",
                                         "SH", "SW", "PH", "PW", "DH", "DW", NULL};
static const shape conv_shapes[] = {
    {QUICK, {1, 5, 5, 3, 4, 3, 3, 1, 1, 1, 1, 1, 1}},
    {QUICK, {2, 7, 6, 10, 17, 3, 3, 2, 2, 1, 1, 1, 1}},
    {QUICK | ALL, {2, 8, 8, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1}},
    {QUICK, {3, 4, 4, 2, 33, 4, 4, 1, 1, 0, 0, 1, 1}},  /* kernel = whole input */
    {QUICK, {1, 6, 7, 33, 5, 3, 3, 1, 1, 2, 2, 2, 2}},  /* dilated */
    {QUICK, {2, 1, 1, 64, 64, 1, 1, 1, 1, 0, 0, 1, 1}}, /* linear */
    {QUICK, {1, 2, 2, 8, 512, 3, 3, 1, 1, 1, 1, 1, 1}}, /* many outputs */
    {0, {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1}},
    {0, {1, 15, 15, 3, 10, 7, 7, 2, 2, 3, 3, 1, 1}},  /* ImageNet's stem */
    {0, {3, 11, 13, 13, 31, 3, 3, 1, 1, 1, 1, 1, 1}}, /* primes */
    {0, {1, 5, 9, 33, 15, 5, 3, 2, 1, 2, 0, 1, 2}},   /* nothing square */
    {0, {5, 7, 7, 1, 33, 3, 3, 1, 1, 0, 0, 1, 1}},
    {0, {17, 1, 1, 100, 10, 1, 1, 1, 1, 0, 0, 1, 1}}, /* classifier */
    {0, {1, 6, 6, 5, 6, 2, 2, 3, 3, 0, 0, 1, 1}},     /* stride past the kernel: gaps in the gradient */
    {ALL, {2, 14, 14, 32, 64, 3, 3, 1, 1, 1, 1, 1, 1}},
    {0, {1, 28, 28, 3, 32, 3, 3, 1, 1, 1, 1, 1, 1}},
    {0, {1, 28, 28, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1}},
    {0, {2, 16, 15, 16, 16, 3, 3, 1, 1, 1, 1, 1, 1}},
    {0,
     {9, 15, 14, 16, 32, 3, 3, 1, 1, 1, 1, 1, 1}}, /* more tiles of 4 x 4 than a slot of cpu_winograd takes */
    {ALL, {2, 8, 8, 64, 128, 3, 3, 1, 1, 1, 1, 1, 1}},
    {ALL, {2, 8, 8, 64, 128, 1, 1, 2, 2, 0, 0, 1, 1}}, /* ResNet's shortcut */
    {0, {2, 16, 16, 32, 64, 3, 3, 2, 2, 1, 1, 1, 1}},
    {0, {1, 4, 4, 64, 256, 3, 3, 1, 1, 1, 1, 1, 1}},
    {0, {2, 12, 12, 2, 64, 3, 3, 1, 1, 1, 1, 1, 1}}, /* DVS */
    {0, {4, 4, 4, 96, 48, 3, 3, 1, 1, 1, 1, 1, 1}},
    {ALL, {2, 4, 4, 16, 512, 1, 1, 1, 1, 0, 0, 1, 1}},
    {ALL, {1, 5, 6, 9, 544, 3, 3, 2, 2, 1, 1, 1, 1}},
    {0, {9, 3, 3, 33, 32, 3, 3, 1, 1, 1, 1, 1, 1}},  /* several small images together, and some left over */
    {0, {2, 9, 11, 40, 48, 5, 5, 2, 1, 2, 1, 1, 2}}, /* many taps, another stride and dilation on each axis */
};

static const char *const group_names[] = {"N",  "H",  "W",  "C",  "O",  "KH", "KW", "SH",
                                          "SW", "PH", "PW", "DH", "DW", "G",  NULL};
static const shape group_shapes[] = {
    {QUICK | ALL, {2, 7, 6, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1, 32}}, /* depthwise */
    {QUICK, {1, 6, 7, 12, 18, 3, 3, 2, 2, 1, 1, 1, 1, 3}},
    {QUICK, {2, 5, 5, 32, 64, 3, 3, 1, 1, 1, 1, 1, 1, 2}},
    {QUICK, {2, 4, 4, 8, 8, 3, 3, 1, 1, 2, 2, 2, 2, 8}}, /* depthwise, dilated */
    {QUICK,
     {1, 8, 7, 19, 38, 3, 2, 2, 1, 1, 0, 1, 2, 19}}, /* two outputs a channel, a row that is not full */
    {0, {1, 1, 1, 4, 4, 1, 1, 1, 1, 0, 0, 1, 1, 2}},
    {ALL, {3, 9, 9, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1, 8}},
    {0, {2, 11, 5, 40, 40, 5, 5, 2, 1, 2, 2, 1, 1, 40}},
    {0, {1, 9, 11, 10, 15, 3, 3, 1, 2, 2, 1, 2, 1, 5}}, /* nothing square */
    {0, {2, 6, 6, 6, 4, 2, 2, 3, 3, 0, 0, 1, 1, 2}},    /* stride past the kernel */
    {0, {2, 8, 8, 48, 24, 1, 1, 1, 1, 0, 0, 1, 1, 12}},
    {ALL, {1, 1, 33, 20, 20, 1, 7, 1, 1, 0, 3, 1, 1, 20}}, /* a signal */
    {0, {5, 14, 14, 96, 96, 3, 3, 2, 2, 1, 1, 1, 1, 96}},
};

static const char *const pool_names[] = {"N", "H", "W", "C", "KH", "KW", "SH", "SW", "PH", "PW", NULL};
static const shape pool_shapes[] = {
    {QUICK, {1, 5, 5, 3, 2, 2, 2, 2, 0, 0}},  {QUICK | ALL, {2, 8, 8, 32, 2, 2, 2, 2, 0, 0}},
    {QUICK, {2, 7, 6, 10, 3, 3, 2, 2, 1, 1}}, {0, {1, 1, 1, 1, 1, 1, 1, 1, 0, 0}},
    {0, {1, 4, 4, 128, 4, 4, 1, 1, 0, 0}},    {0, {1, 9, 7, 33, 3, 2, 1, 2, 1, 0}},
    {ALL, {2, 14, 14, 64, 2, 2, 2, 2, 0, 0}}, {0, {3, 16, 16, 17, 2, 2, 2, 2, 0, 0}},
    {0, {1, 6, 6, 16, 3, 3, 1, 1, 1, 1}},     {0, {2, 7, 7, 5, 2, 2, 3, 3, 0, 0}},
};

static const char *const adaptive_names[] = {"N", "H", "W", "C", "HO", "WO", NULL};
static const shape adaptive_shapes[] = {
    {QUICK, {1, 5, 5, 3, 2, 2}},  {QUICK | ALL, {2, 8, 8, 32, 1, 1}}, {0, {1, 1, 1, 1, 1, 1}},
    {QUICK, {1, 7, 9, 10, 3, 4}}, {0, {2, 4, 4, 33, 4, 4}},           {0, {1, 3, 2, 5, 5, 3}},
    {0, {1, 4, 4, 256, 1, 1}},
};

static const char *const gemm_names[] = {"M", "N", "K", NULL};
static const shape gemm_shapes[] = {
    {QUICK, {1, 1, 1}}, {QUICK | ALL, {17, 33, 31}}, {QUICK, {32, 64, 32}}, {QUICK, {16, 16, 16}},
    {0, {15, 17, 16}},  {0, {31, 32, 33}},           {0, {33, 15, 1}},      {0, {1, 10, 128}},
    {0, {128, 1, 7}},   {0, {5, 512, 64}},           {0, {100, 10, 65}},    {ALL, {64, 64, 288}},
    {0, {7, 3, 1000}},  {0, {128, 128, 128}},        {0, {13, 97, 61}},     {0, {24, 96, 48}},
};

static const char *const rows_names[] = {"M", "C", NULL};
static const shape rows_shapes[] = {
    {QUICK | ALL, {3, 5}}, {QUICK, {17, 33}}, {QUICK, {64, 32}}, {QUICK, {20, 64}}, {0, {2, 1}},
    {0, {2, 33}},          {0, {127, 31}},    {0, {15, 16}},     {0, {16, 15}},     {0, {31, 17}},
    {0, {32, 10}},         {0, {256, 64}},    {0, {1000, 10}},   {0, {2, 1024}},    {0, {4096, 3}},
    {ALL, {196, 128}},     {0, {49, 512}},    {0, {1031, 96}},
};

static const char *const grouped_names[] = {"N", "M", "C", NULL};
static const shape grouped_shapes[] = {
    {QUICK | ALL, {5, 1, 33}}, {QUICK, {3, 20, 5}}, {QUICK, {4, 9, 64}}, {0, {1, 1, 2}},
    {0, {17, 1, 16}},          {0, {2, 196, 40}},   {0, {64, 1, 300}},   {ALL, {2, 1024, 17}},
};

static const char *const joined_names[] = {"M", "A", "B", NULL};
static const shape joined_shapes[] = {
    {QUICK | ALL, {5, 3, 4}}, {QUICK, {17, 33, 40}}, {QUICK, {20, 32, 64}}, {QUICK, {7, 31, 33}},
    {0, {1, 1, 1}},           {0, {9, 64, 7}},       {0, {3, 100, 1}},      {ALL, {196, 16, 48}},
};

static const char *const channels_names[] = {"C", NULL};
static const shape channels_shapes[] = {
    {QUICK, {3}}, {QUICK, {64}}, {0, {1}}, {QUICK, {33}}, {0, {10}}, {0, {31}}, {0, {512}},
};

static const char *const flat_names[] = {"M", NULL};
static const shape flat_shapes[] = {
    {QUICK, {7}}, {QUICK, {64}}, {QUICK, {1000}}, {0, {1}},  {0, {15}},
    {0, {16}},    {0, {17}},     {0, {4097}},     {0, {31}}, {0, {65536}},
};

/* Taps, channels and outputs of binary weights. */
static const char *const binary_names[] = {"M", "C", "O", NULL};
static const shape binary_shapes[] = {
    {QUICK, {1, 5, 3}}, {QUICK | ALL, {9, 33, 17}}, {QUICK, {3, 64, 32}}, {0, {1, 1, 1}},
    {0, {9, 32, 16}},   {0, {4, 100, 40}},          {0, {1, 300, 10}},    {0, {9, 128, 64}},
};

static const char *const flip_names[] = {"M", "C", "O", "P", NULL};
static const shape flip_shapes[] = {
    {QUICK | ALL, {9, 33, 17, 3}}, {QUICK, {1, 64, 1, 1}}, {QUICK, {3, 64, 32, 6}},
    {QUICK, {2, 40, 48, 2}},       {0, {1, 1, 1, 2}},      {0, {1, 300, 10, 4}},
    {0, {9, 128, 64, 1}},
};

static const char *const digits_names[] = {"M", "C", "P", NULL};
static const shape digits_shapes[] = {
    {QUICK | ALL, {3, 5, 2}}, {QUICK, {17, 33, 3}}, {QUICK, {64, 32, 1}},
    {QUICK, {20, 64, 3}},     {0, {2, 1, 9}},       {0, {127, 31, 4}},
    {0, {31, 17, 2}},         {ALL, {196, 128, 3}}, {0, {49, 512, 2}},
};

static const char *const weight_names[] = {"K", "O", NULL};
static const shape weight_shapes[] = {
    {QUICK, {9, 5}}, {QUICK | ALL, {27, 32}}, {QUICK, {72, 33}}, {0, {2, 1}},     {0, {288, 64}},
    {0, {75, 10}},   {0, {576, 17}},          {0, {31, 128}},    {0, {1152, 16}},
};

static const char *const samples_names[] = {"N", "K", NULL};
static const shape samples_shapes[] = {
    {QUICK | ALL, {5, 10}}, {QUICK, {17, 11}}, {QUICK, {33, 100}}, {0, {1, 10}}, {0, {1, 2}},
    {0, {128, 10}},         {0, {31, 101}},    {0, {7, 1000}},
};

#define LIST(letters) letters##_names, letters##_shapes, sizeof letters##_shapes / sizeof *letters##_shapes
static const struct {
    const char *const *names;
    const shape *shapes;
    size_t n;
} lists[] = {
    /* the first whose letters the op has */
    {LIST(digits)}, {LIST(conv)},     {LIST(group)},  {LIST(pool)},    {LIST(adaptive)},
    {LIST(gemm)},   {LIST(rows)},     {LIST(weight)}, {LIST(samples)}, {LIST(grouped)},
    {LIST(joined)}, {LIST(channels)}, {LIST(binary)}, {LIST(flip)},    {LIST(flat)},
};

static const char *const neurons[] = {"lif", "if"};
/* Models of the ops for more than u, and the flags that they decide. */
static const struct {
    const char *name;
    int aux, adapt, learn;
} ext_neurons[] = {{"plif", 0, 0, 1},
                   {"cuba_lif", 1, 0, 0},
                   {"alif", 1, 1, 0},
                   {"cuba_plif", 1, 0, 1},
                   {"palif", 1, 1, 1}}; /* every combination that `uses:` allows */
static const char *const surrogates[] = {"triangle",     "rectangle", "sigmoid",       "atan",  "erf",
                                         "fast_sigmoid", "gaussian",  "piecewise_exp", "dspike"};
enum { N_NEURONS = 2, N_EXT_NEURONS = 5, N_SURROGATES = 9 };

static bool has_int(const sp_op *op, const char *name)
{
    for (int i = 0; i < SP_OP_MAX_INTS && op->ints[i]; i++)
        if (strcmp(op->ints[i], name) == 0)
            return true;
    return false;
}

static int n_flags(const sp_op *op)
{
    int n = 0;
    while (n < SP_OP_MAX_FLAGS && op->flags[n])
        n++;
    return n;
}

static bool has_flag(const sp_op *op, const char *name)
{
    for (int i = 0; i < n_flags(op); i++)
        if (strcmp(op->flags[i], name) == 0)
            return true;
    return false;
}

/* Flags that make a buffer half, and BF16, stand last; calls with them come after all the others, and in the
 * same number, so that a variant that does not know them is tried as if there were none. */
static bool flag_is_extra(const sp_op *op, const char *flag)
{
    if (strcmp(flag, "BF16") == 0)
        return true;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && op->buffers[i].name; i++)
        if (op->buffers[i].half && strcmp(op->buffers[i].half, flag) == 0)
            return true;
    return false;
}

static int n_extra_flags(const sp_op *op)
{
    int n = 0, flags = n_flags(op);
    while (n < flags && flag_is_extra(op, op->flags[flags - 1 - n]))
        n++;
    return n;
}

/* Flags that are free to choose: the last three of the ops for more than u follow from the model. */
static int n_free_flags(const sp_op *op)
{
    return n_flags(op) - n_extra_flags(op) - (has_flag(op, "LEARN") ? 3 : 0);
}

/* Whether a call depends on the place in the mini-batch or in training. */
static bool has_step(const sp_op *op)
{
    return has_int(op, "first") || has_int(op, "last") || has_int(op, "iteration") ||
           has_int(op, "time_step") || has_int(op, "block_start");
}

/* Two such places that do not follow from each other. */
static bool has_two_steps(const sp_op *op)
{
    return has_int(op, "first") && (has_int(op, "last") || has_int(op, "block_start"));
}

/* How many ways there are to set flags, first, last, neuron and surrogate of an op. */
static unsigned n_settings(const sp_op *op)
{
    unsigned n = 1u << n_free_flags(op);
    n *= has_step(op) ? 2 : 1;
    n *= has_two_steps(op) ? 2 : 1;
    n *= !op->takes_neuron ? 1 : has_flag(op, "LEARN") ? N_EXT_NEURONS : N_NEURONS;
    return n * (op->takes_surrogate ? N_SURROGATES : 1);
}

/* Whole numbers that are settings and no sizes, in two versions. */
static const struct {
    const char *name;
    int v[2];
} whole_settings[] = {{"seed", {2023, 2024}}, {"stream", {3, 3}},       {"bits", {4, 8}},
                      {"shift", {1, 3}},      {"fraction", {2, 0}},     {"width", {9, 12}},
                      {"rows", {1, 3}},       {"permille", {990, 400}}, {"steps", {3, 1}}};
enum { N_WHOLE_SETTINGS = sizeof whole_settings / sizeof *whole_settings };

static bool is_setting(const char *name)
{
    for (size_t i = 0; i < N_WHOLE_SETTINGS; i++)
        if (strcmp(whole_settings[i].name, name) == 0)
            return true;
    return false;
}

static void set_int(sp_op_call *c, const char *name, int64_t v)
{
    if (has_int(c->op, name))
        sp_call_set_int(c, name, v);
}

/* Settings of people, in two versions. Every value is exact in float or rounded to it, so that kernel and
 * reference compare with the same threshold. */
static void set_floats(sp_op_call *c, unsigned version)
{
    static const struct {
        const char *name;
        float v[2];
    } values[] = {
        {"decay", {0.5f, 0.0909091f}}, {"x_gain", {1.0f, 0.5f}},     {"v_th", {1.0f, 0.3f}},
        {"v_reset", {0.0f, -0.25f}},   {"width", {1.0f, 2.0f}},      {"eps", {1e-5f, 1e-4f}},
        {"momentum", {0.1f, 0.9f}},    {"factor", {0.3f, -2.0f}},    {"alpha", {0.2f, 1.0f}},
        {"p", {0.3f, 0.5f}},           {"w_t", {0.25f, 1.0f}},       {"w_ce", {0.95f, 1.0f}},
        {"w_mse", {0.05f, 0.0f}},      {"mse_target", {1.0f, 0.1f}}, {"lr", {0.1f, 0.001f}},
        {"weight_decay", {5e-4f, 0}},  {"beta1", {0.9f, 0.8f}},      {"beta2", {0.999f, 0.99f}},
        {"bias1", {0.1f, 0.488f}},     {"bias2", {0.001f, 0.0297f}}, {"value", {1.5f, 0.0f}},
        {"aux_decay", {0.75f, 0.9f}},  {"aux_gain", {0.5f, 0.2f}},   {"w_g", {0.25f, 1.0f}},
        {"gain", {1.0f, 4.0f}},        {"smoothing", {0.0f, 0.1f}},  {"steps", {6, 4}},
        {"share", {0.5f, 0.25f}},      {"max_norm", {1.0f, 0.25f}},  {"max_value", {0.5f, 0.1f}},
        {"levels", {4.0f, 7.0f}},      {"flip", {0.1f, 0.02f}},
    };
    for (int i = 0; i < SP_OP_MAX_FLOATS && c->op->floats[i]; i++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++)
            if (strcmp(values[k].name, c->op->floats[i]) == 0)
                c->floats[i] = (double)values[k].v[version % 2];
}

static void set_model(sp_op_call *c, unsigned model)
{
    c->neuron = ext_neurons[model].name;
    sp_call_set_flag(c, "AUX", ext_neurons[model].aux);
    sp_call_set_flag(c, "ADAPT", ext_neurons[model].adapt);
    sp_call_set_flag(c, "LEARN", ext_neurons[model].learn);
}

/* Floats in one of their versions, and the first and last time step by the low bits of `setting`; returns the
 * other bits. */
static unsigned set_scalars(sp_op_call *c, unsigned setting, unsigned version)
{
    static const int time_steps[2][2][2] = {{{3, 6}, {3, 6}},
                                            {{3, 1}, {2, 4}}}; /* of neurons: the first, too */
    set_floats(c, version);
    if (has_step(c->op)) {
        set_int(c, "first", setting & 1);
        setting >>= has_two_steps(c->op);
        set_int(c, "last", setting & 1);
        set_int(c, "iteration", setting & 1 ? 7 : 0);
        set_int(c, "block_start", setting & 1);
        set_int(c, "time_step", time_steps[c->op->takes_neuron][version % 2][setting & 1]);
        setting >>= 1;
    }
    for (size_t i = 0; i < N_WHOLE_SETTINGS; i++)
        set_int(c, whole_settings[i].name, whole_settings[i].v[version % 2]);
    return setting;
}

/* The soft reset has its rest at 0; only model if may start elsewhere. */
static void set_rest(sp_op_call *c)
{
    const bool starts_anywhere = c->neuron && strcmp(c->neuron, "if") == 0;
    for (int i = 0; i < n_flags(c->op); i++)
        if (strcmp(c->op->flags[i], "HARD") == 0 && !c->flags[i] && !starts_anywhere)
            sp_call_set_float(c, "v_reset", 0);
}

static void apply_setting(sp_op_call *c, unsigned setting, unsigned version)
{
    int flags = n_free_flags(c->op);
    if (has_flag(c->op,
                 "LEARN")) { /* first, as it changes fastest: each model meets the other settings in turn */
        set_model(c, setting % N_EXT_NEURONS);
        setting /= N_EXT_NEURONS;
    }
    for (int i = 0; i < flags; i++)
        c->flags[i] = setting >> i & 1;
    setting >>= flags;
    setting = set_scalars(c, setting, version);
    if (c->op->takes_neuron && !c->neuron) {
        c->neuron = neurons[setting % N_NEURONS];
        setting /= N_NEURONS;
    }
    set_rest(c);
    if (c->op->takes_surrogate)
        c->surrogate = surrogates[setting % N_SURROGATES];
}

static void set_output_size(sp_op_call *c, const char *letter)
{
    char names[6][3] = {"", "K", "S", "P", "D", ""};
    for (int i = 1; i < 5; i++)
        names[i][1] = letter[0];
    int64_t d = has_int(c->op, names[4]) ? sp_call_int(c, names[4]) : 1;
    int64_t span =
        sp_call_int(c, letter) + 2 * sp_call_int(c, names[3]) - d * (sp_call_int(c, names[1]) - 1) - 1;
    const char out[3] = {letter[0], 'O', '\0'};
    sp_call_set_int(c, out, span / sp_call_int(c, names[2]) + 1);
}

/* All of `names` are the op's, and the op has no further size that they leave open. */
static bool letters_fit(const sp_op *op, const char *const *names)
{
    int known = 0, sizes = 0;
    for (int i = 0; names[i]; i++, known++)
        if (!has_int(op, names[i]))
            return false;
    for (int i = 0; i < SP_OP_MAX_INTS && op->ints[i]; i++)
        sizes += !sp_op_scalar_is_dynamic(op->ints[i]) && !is_setting(op->ints[i]);
    bool computed = has_int(op, "KH"); /* HO and WO follow */
    return sizes == known + (computed ? 2 : 0);
}

/* An odd step visits every setting of a power of two once before it repeats. Where there are several models
 * each takes its turn, with a step whose bits are mixed: their settings are many more than the calls. */
static unsigned nth_setting(const sp_op *op, unsigned turn, unsigned settings)
{
    unsigned n = N_EXT_NEURONS;
    if (!has_flag(op, "LEARN"))
        return turn * (settings * 5 / 8 | 1) % settings;
    return turn % n + n * (turn / n * 315 % (settings / n));
}

static sp_op_call call_of_shape(const sp_op *op, size_t list, const shape *s)
{
    sp_op_call c = {.op = op};
    for (int j = 0; lists[list].names[j]; j++)
        sp_call_set_int(&c, lists[list].names[j], s->v[j]);
    if (has_int(op, "KH")) {
        set_output_size(&c, "H");
        set_output_size(&c, "W");
    }
    return c;
}

/* Calls of one list of shapes, with the extra flags set or not. */
static size_t add_calls(const sp_op *op, size_t list, bool quick, bool extra, sp_op_call *out, size_t n,
                        size_t max)
{
    enum { MANY = 24, SOME = 4 }; /* settings tried with the first shape marked ALL, and with the others */
    unsigned most = MANY;

    unsigned settings = n_settings(op), turn = 0;
    for (size_t i = 0; i < lists[list].n; i++) {
        const shape *s = &lists[list].shapes[i];
        if (quick && !(s->tier & QUICK))
            continue;
        unsigned want = s->tier & ALL ? (quick ? extra ? 1 : 4 : most) : (quick ? 1 : 2);
        most = s->tier & ALL ? SOME : most;
        for (unsigned k = 0; k < want && k < settings && n < max; k++, turn++) {
            sp_op_call c = call_of_shape(op, list, s);
            apply_setting(&c, nth_setting(op, turn, settings), settings > 1 ? turn / 2 : turn);
            unsigned which =
                1 + turn % ((1u << n_extra_flags(op)) - (extra ? 1 : 0)); /* one of them, or several */
            for (int j = 0; extra && j < n_extra_flags(op); j++)
                c.flags[n_flags(op) - 1 - j] = which >> j & 1;
            out[n++] = c;
        }
    }
    return n;
}

/* The list of shapes whose letters the op has; the number of lists where there is none. */
static size_t list_of(const sp_op *op)
{
    size_t list = 0;
    while (list < sizeof lists / sizeof *lists && !letters_fit(op, lists[list].names))
        list++;
    return list;
}

size_t sp_check_calls(const sp_op *op, bool quick, sp_op_call *out, size_t max)
{
    size_t list = list_of(op);
    if (list == sizeof lists / sizeof *lists)
        return 0;
    size_t n = add_calls(op, list, quick, false, out, 0, max);
    return n_extra_flags(op) ? add_calls(op, list, quick, true, out, n, max) : n;
}

/* The model itself where it has a C formula, else one that has and that uses the same. */
static const char *stand_in_of(const sp_op_call *like)
{
    if (!like->neuron || sp_neuron_ref_find(like->neuron))
        return like->neuron;
    for (int i = 0; i < N_EXT_NEURONS && has_flag(like->op, "LEARN"); i++)
        if (ext_neurons[i].aux == sp_call_flag(like, "AUX") &&
            ext_neurons[i].adapt == sp_call_flag(like, "ADAPT") &&
            ext_neurons[i].learn == sp_call_flag(like, "LEARN"))
            return ext_neurons[i].name;
    return neurons[0];
}

void sp_check_stand_in(sp_op_call *c)
{
    int known;
    c->neuron = stand_in_of(c);
    sp_surrogate_ref_grad(c->surrogate ? c->surrogate : "", 0, 1, &known);
    if (c->surrogate && !known)
        c->surrogate = surrogates[0];
}

size_t sp_check_calls_like(const sp_op_call *like, bool few, sp_op_call *out, size_t max)
{
    size_t list = list_of(like->op), n = 0;
    for (size_t i = 0; list < sizeof lists / sizeof *lists && i < lists[list].n && n < max; i++) {
        const shape *s = &lists[list].shapes[i];
        if (!(s->tier & QUICK) || (few && i > 0 && !(s->tier & ALL)))
            continue;
        sp_op_call c = call_of_shape(like->op, list, s);
        memcpy(c.flags, like->flags, sizeof c.flags);
        c.neuron = like->neuron;
        c.surrogate = like->surrogate;
        sp_check_stand_in(&c);
        set_scalars(&c, (unsigned)n, (unsigned)n / 2);
        set_rest(&c);
        out[n++] = c;
    }
    return n;
}
