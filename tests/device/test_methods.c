/* Variants of the methods: BPTT cut into blocks, an optimizer step at every time step, residual branches that
 * end in spikes. Compared with a small network written out in double precision, and with plans that must come
 * to the same. */
#include "support.h"

TestSuite(methods, .init = setup, .fini = teardown);

static const int64_t chw[3] = {3, 8, 8};

/* ---- one input, one neuron, two classes, in double ---- */

enum { SAMPLES = 5, STEPS = 6 };
static const double tau = 1.6;

typedef struct tiny {
    double w, out[2];     /* the weight before the neuron, those behind it; no biases */
    double g_w, g_out[2]; /* gradients */
} tiny;

static void forward(const tiny *n, const float *x, int T, double *u, double *s)
{
    double v = 0;
    for (int t = 0; t < T; t++) {
        u[t] = (1 - 1 / tau) * v + n->w * (double)x[t];
        s[t] = u[t] >= 1 ? 1 : 0;
        v = u[t] - s[t];
    }
}

/* The gradient of one sample; that through v is dropped where a block of `block` steps ends. */
static void backward(tiny *n, const float *x, int label, int T, int block)
{
    double u[STEPS], s[STEPS], carry = 0; /* dL/dv[t] */
    forward(n, x, T, u, s);
    for (int t = T - 1; t >= 0; t--) {
        double z[2] = {n->out[0] * s[t], n->out[1] * s[t]}, g_s = 0;
        for (int k = 0; k < 2; k++) {
            double p = 1 / (1 + exp(z[1 - k] - z[k])), e = (p - (k == label)) / (SAMPLES * T);
            n->g_out[k] += e * s[t];
            g_s += e * n->out[k];
        }
        double h = fmax(0, 1 - fabs(u[t] - 1));
        carry = (t + 1) % block == 0 ? 0 : carry;
        double g_u = g_s * h + carry * (1 - h);
        n->g_w += g_u * (double)x[t];
        carry = g_u * (1 - 1 / tau);
    }
}

static const char tiny_layers[] = "  - {type: linear, out: 1, bias: false}\n"
                                  "  - {type: lif, tau: 1.6}\n"
                                  "  - {type: linear, out: 2, bias: false}\n";

static void set_weights(rig *r, const tiny *n)
{
    sp_error err = {0};
    float w = (float)n->w, out[2] = {(float)n->out[0], (float)n->out[1]};
    cr_assert_eq(sp_model_write(r->m, sp_graph_param(r->g, "0.weight"), SP_RANGE_WEIGHTS, &w, &err), SP_OK);
    cr_assert_eq(sp_model_write(r->m, sp_graph_param(r->g, "2.weight"), SP_RANGE_WEIGHTS, out, &err), SP_OK);
}

Test(methods, truncated_bptt_drops_the_gradient_between_blocks)
{
    static const int64_t one[3] = {1, 1, 1};
    double seen[STEPS + 1];
    for (int block = 1; block <= STEPS; block++) {
        sp_plan_options o = options_of(SP_METHOD_BPTT, SAMPLES, STEPS);
        o.sequence = true;
        o.truncate = block == STEPS ? 0 : block;
        rig r = rig_open(tiny_layers, one, &o);
        tiny n = {.w = 0.75, .out = {0.5, -0.875}};
        set_weights(&r, &n);
        for (int b = 0; b < SAMPLES; b++) {
            float x[STEPS];
            for (int t = 0; t < STEPS; t++) {
                r.images[t * SAMPLES + b] = x[t] = 0.9f + 0.7f * r.images[t * SAMPLES + b];
            }
            backward(&n, x, r.labels[b], STEPS, block);
        }
        float *g = rig_gradient(&r);
        double expected[3] = {n.g_w, n.g_out[0], n.g_out[1]};
        for (int i = 0; i < 3; i++)
            cr_assert(fabs((double)g[i] - expected[i]) < 1e-6, "blocks of %d: gradient %d is %g, expected %g",
                      block, i, (double)g[i], expected[i]);
        seen[block] = n.g_w;
        for (int k = 1; k < block; k++)
            cr_assert(fabs(seen[k] - seen[block]) > 1e-4,
                      "blocks of %d and %d do not differ: the test could not fail", k, block);
        free(g);
        rig_close(&r);
    }
}

static float *gradient_of(const char *layers, const sp_plan_options *o, uint64_t *arena_bytes)
{
    rig r = rig_open(layers, chw, o);
    float *g = rig_gradient(&r);
    *arena_bytes = r.p->arena_bytes;
    rig_close(&r);
    return g;
}

Test(methods, blocks_of_one_step_are_sltt_and_cost_no_more_memory_than_one_step)
{
    sp_graph *g = graph_of(EVERY_LAYER, chw);
    for (int sequence = 0; sequence < 2; sequence++) {
        uint64_t at_1, at_2, whole, unused;
        sp_plan_options o = options_of(SP_METHOD_BPTT, 4, 6);
        o.sequence = sequence;
        float *full = gradient_of(EVERY_LAYER, &o, &whole);
        o.truncate = 6;
        float *same = gradient_of(EVERY_LAYER, &o, &unused);
        cr_assert_arr_eq(full, same, (size_t)g->n_trainable * sizeof *full, "one block of all steps");
        o.truncate = 1;
        float *cut = gradient_of(EVERY_LAYER, &o, &at_1);
        o.method = SP_METHOD_SLTT;
        o.truncate = 0;
        float *sltt = gradient_of(EVERY_LAYER, &o, &unused);
        expect_same_gradient(g, cut, sltt, 1e-6, "blocks of one step");
        free(full), free(same), free(cut), free(sltt);
        o = options_of(SP_METHOD_BPTT, 4, 2);
        o.sequence = sequence;
        free(gradient_of(EVERY_LAYER, &o, &at_2));
        o.time_steps = 6;
        o.truncate = 2;
        free(gradient_of(EVERY_LAYER, &o, &unused));
        cr_assert_eq(unused, at_2, "six steps in blocks of two take %llu bytes, two steps %llu",
                     (unsigned long long)unused, (unsigned long long)at_2);
        cr_assert(at_1 < at_2 && at_2 < whole);
    }
    sp_graph_destroy(&g);
}

/* Standardised weights in front of a batch norm have a gain whose gradient is rounding alone. */
static char *without_idle_gain(void)
{
    const char *all = EVERY_LAYER, *ws = strstr(all, "ws_conv");
    return sp_format("%.*s%s", (int)(ws - all), all, ws + 3);
}

Test(methods, rates_of_one_step_are_sltt)
{
    char *layers = without_idle_gain();
    sp_graph *g = graph_of(layers, chw);
    for (int sequence = 0; sequence < 2; sequence++) {
        uint64_t unused;
        sp_plan_options o = options_of(SP_METHOD_SLTT, 4, 6);
        o.sequence = sequence;
        float *sltt = gradient_of(layers, &o, &unused);
        o.method = SP_METHOD_RATE;
        o.block = 1;
        float *rate = gradient_of(layers, &o, &unused);
        expect_same_gradient(g, rate, sltt, 1e-5, "rates of one step");
        free(sltt), free(rate);
    }
    sp_graph_destroy(&g);
    sp_free(layers);
}

/* ---- online batch norm ---- */

static const char normed[] = "  - {type: conv, out: 6, kernel: 3}\n"
                             "  - {type: batch_norm}\n"
                             "  - {type: lif}\n"
                             "  - {type: conv, out: 7, kernel: 3}\n"
                             "  - {type: batch_norm}\n"
                             "  - {type: scale, factor: 0.9}\n"
                             "  - {type: lif}\n"
                             "  - {type: flatten}\n"
                             "  - {type: linear, out: 5}\n";

static void move_statistics(rig *r, float *all, bool read)
{
    sp_error err = {0};
    for (int i = 0; i < r->g->n_params; i++) {
        const sp_param *p = &r->g->params[i];
        for (int64_t k = 0; k < p->elems && !p->trainable && !read; k++)
            all[k] = 0.3f + 0.2f * (float)(k % 3);
        if (!p->trainable)
            cr_assert_eq(read ? sp_model_read(r->m, p, SP_RANGE_WEIGHTS, all, &err)
                              : sp_model_write(r->m, p, SP_RANGE_WEIGHTS, all, &err),
                         SP_OK, "%s", err.text);
        all += p->trainable ? 0 : p->elems;
    }
}

/* The sum of the outputs of a mini-batch. */
static float *outputs_of(const sp_plan_options *o, bool *moves)
{
    static const uint8_t drawn[6] = {0, 1, 0, 0, 1, 0};
    float before[64] = {0}, after[64] = {0}, *logits = calloc(4 * 5, sizeof *logits);
    sp_error err = {0};
    rig r = rig_open(normed, chw, o);
    r.backprop = o->method == SP_METHOD_SLTT_K ? drawn : NULL;
    move_statistics(&r, before, false);
    rig_run(&r);
    move_statistics(&r, after, true);
    *moves = memcmp(before, after, sizeof before) != 0;
    cr_assert_eq(sp_plan_read(r.p, r.p->logits_sum, 0, logits, 4 * 5 * sizeof *logits, &err), SP_OK);
    rig_close(&r);
    return logits;
}

Test(methods, online_norms_compute_in_training_what_evaluation_computes)
{
    static const sp_method methods[] = {SP_METHOD_SLTT, SP_METHOD_SLTT_K, SP_METHOD_OTTT, SP_METHOD_NDOT,
                                        SP_METHOD_RATE};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        bool moves, other;
        sp_plan_options o = options_of(methods[i], 4, 6);
        o.block = 3, o.sequence = i % 2, o.online_norm = true;
        float *online = outputs_of(&o, &moves);
        o.online_norm = false;
        float *step = outputs_of(&o, &other);
        o.method = SP_METHOD_EVAL;
        float *evaluated = outputs_of(&o, &other);
        cr_assert(moves && !other, "%s", sp_method_name(methods[i]));
        cr_assert_arr_eq(online, evaluated, 4 * 5 * sizeof *online, "%s", sp_method_name(methods[i]));
        cr_assert_arr_neq(step, evaluated, 4 * 5 * sizeof *step, "the test could not fail");
        free(online), free(step), free(evaluated);
    }
}

/* ---- what a soft reset subtracts ---- */

typedef struct neuron_path {
    const float *x; /* the same at every time step */
    double v[64];
    int steps;
} neuron_path;

/* Potentials are seen as the equation has them, though the device keeps them higher. */
static void follow_neurons(void *ctx, const sp_exec_seen *seen)
{
    neuron_path *p = ctx;
    cr_assert_float_eq(seen->v_th, 0.5, 1e-7);
    cr_assert_eq(seen->rows * seen->cols, 64);
    for (int i = 0; i < 64; i++) {
        const double u = p->v[i] + (double)p->x[i];
        const int fires = seen->spikes[i / 4] >> (i % 4) & 1;
        cr_assert(fabs((double)seen->u[i] - u) < 1e-5, "step %d: u is %g, expected %g", seen->t,
                  (double)seen->u[i], u);
        cr_assert(fires == (u >= 0.5) || fabs(u - 0.5) < 1e-5);
        p->v[i] = u - fires;
    }
    p->steps++;
}

Test(methods, potentials_are_seen_without_the_offset_of_v_sub)
{
    static const int64_t shape[3] = {4, 2, 2};
    sp_plan_options o = options_of(SP_METHOD_EVAL, 4, 5);
    rig r = rig_open("  - {type: lif, model: if, v_th: 0.5, v_sub: 1, v_init: 0.25}\n"
                     "  - {type: flatten}\n"
                     "  - {type: linear, out: 2}\n",
                     shape, &o);
    neuron_path path = {.x = r.images};
    for (int i = 0; i < 64; i++)
        path.v[i] = 0.25;
    sp_error err = {0};
    const sp_exec_batch b = {.images = r.images, .labels = r.labels};
    const sp_exec_watcher watcher = {.see = follow_neurons, .ctx = &path};
    cr_assert_eq(sp_exec_watch(r.p, &b, &watcher, &err), SP_OK, "%s", err.text);
    cr_assert_eq(path.steps, 5);
    rig_close(&r);
}

/* ---- an optimizer step at every time step ---- */

/* Neurons that forget (tau 1): a time step is then a mini-batch of its own, of one step. */
static const char forgetful[] = "  - {type: ws_conv, out: 8, kernel: 3, padding: 1}\n"
                                "  - {type: batch_norm}\n"
                                "  - {type: lif, tau: 1}\n"
                                "  - type: residual\n"
                                "    branch: [{type: ws_conv, out: 8, kernel: 3, padding: 1}, {type: "
                                "batch_norm}]\n"
                                "    skip_gain: true\n"
                                "  - {type: lif, tau: 1}\n"
                                "  - {type: dropout, p: 0.2}\n"
                                "  - {type: flatten}\n"
                                "  - {type: linear, out: 4}\n";

static void run_and_update(rig *r, double lr)
{
    sp_error err = {0};
    sp_exec_batch b = {.images = r->images, .labels = r->labels, .iteration = r->iteration, .lr = lr};
    cr_assert_eq(sp_exec_run(r->p, &b, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_exec_update(r->p, lr, 1, &err), SP_OK, "%s", err.text);
}

static double difference(const float *a, const float *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

Test(methods, online_updates_are_small_mini_batches_when_neurons_forget)
{
    enum { T = 3 };
    const double lr = 0.3;
    for (int method = 0; method < 2; method++) {
        sp_plan_options o = options_of(method ? SP_METHOD_OTTT : SP_METHOD_SLTT, 6, T);
        o.online_update = true;
        o.weight_decay = 0;
        o.momentum = 0;
        rig online = rig_open(forgetful, chw, &o);
        float *before = rig_read(&online, SP_RANGE_WEIGHTS);
        run_and_update(&online, lr);
        float *a = rig_read(&online, SP_RANGE_WEIGHTS);
        o.online_update = false;
        o.time_steps = 1;
        rig one = rig_open(forgetful, chw, &o);
        for (int t = 0; t < T; t++)
            run_and_update(&one, lr / T);
        float *b = rig_read(&one, SP_RANGE_WEIGHTS);
        o.time_steps = T;
        rig once = rig_open(forgetful, chw, &o);
        run_and_update(&once, lr);
        float *c = rig_read(&once, SP_RANGE_WEIGHTS);
        int64_t n = online.g->n_trainable;
        double moved = difference(a, before, n), worst = difference(a, b, n);
        cr_assert(worst < 1e-4 * moved, "%s: online differs by %g of %g", sp_method_name(o.method), worst,
                  moved);
        cr_assert(difference(a, c, n) > 1e-2 * moved, "one step for all differs too little: the test could "
                                                      "not fail");
        free(before), free(a), free(b), free(c);
        rig_close(&online), rig_close(&one), rig_close(&once);
    }
}

/* AdamW counts every online step; with one time step a mini-batch online and offline are the same. */
Test(methods, online_update_of_one_step_is_the_ordinary_one)
{
    sp_error err = {0};
    sp_plan_options o = options_of(SP_METHOD_OTTT, 4, 1);
    o.optimizer = SP_OPTIMIZER_ADAMW;
    o.weight_decay = 0.01;
    rig a = rig_open(EVERY_LAYER, chw, &o);
    o.online_update = true;
    rig b = rig_open(EVERY_LAYER, chw, &o);
    for (int i = 0; i < 3; i++) {
        a.iteration = b.iteration = i;
        rig_run(&a);
        cr_assert_eq(sp_exec_update(a.p, 0.01, i + 1, &err), SP_OK);
        run_and_update(&b, 0.01);
    }
    float *x = rig_read(&a, SP_RANGE_WEIGHTS), *y = rig_read(&b, SP_RANGE_WEIGHTS);
    cr_assert_arr_eq(x, y, (size_t)a.g->n_trainable * sizeof *x);
    free(x), free(y);
    rig_close(&a), rig_close(&b);
}

/* ---- binary weights ---- */

#define BINARY_LAYERS                                                                                        \
    "  - {type: conv, out: 33, kernel: 3, padding: 1}\n"                                                     \
    "  - {type: lif, v_th: 0.3}\n"                                                                           \
    "  - {type: conv, out: 40, kernel: 3, stride: 2, padding: 1, bias: false}\n"                             \
    "  - {type: batch_norm}\n"                                                                               \
    "  - {type: lif}\n"                                                                                      \
    "  - {type: conv, out: 8, kernel: 1, groups: 2, bias: false}\n"                                          \
    "  - {type: lif}\n"                                                                                      \
    "  - {type: avg_pool, kernel: 2}\n"                                                                      \
    "  - {type: conv, out: 32, kernel: 1, bias: false}\n"                                                    \
    "  - {type: lif}\n"                                                                                      \
    "  - {type: flatten}\n"                                                                                  \
    "  - {type: linear, out: 30, bias: false}\n"                                                             \
    "  - {type: lif, v_th: 2}\n"                                                                             \
    "  - {type: linear, out: 4}\n"

/* Weights as bits give the gradients of weights that are 1 and -1 as floats, bit for bit: sums of spikes
 * times 1 and -1 are exact. */
Test(methods, weights_of_one_bit_compute_what_their_floats_do)
{
    static const sp_method methods[] = {SP_METHOD_SLTT, SP_METHOD_BPTT, SP_METHOD_OTTT, SP_METHOD_RATE};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        sp_error err = {0};
        sp_plan_options o = options_of(methods[i], 4, 2);
        o.binary = SP_BINARY_BSO;
        rig bits = rig_open(BINARY_LAYERS, chw, &o);
        o.binary = SP_BINARY_NONE;
        rig floats = rig_open(BINARY_LAYERS, chw, &o);
        for (int k = 0; k < bits.g->n_params; k++) {
            const sp_param *p = &bits.g->params[k], *q = &floats.g->params[k];
            float *x = malloc((size_t)p->elems * sizeof *x);
            cr_assert_eq(sp_model_read(bits.m, p, SP_RANGE_WEIGHTS, x, &err), SP_OK, "%s", err.text);
            for (int64_t j = 0; sp_model_is_packed(bits.m, p) && j < p->elems; j++)
                cr_assert(x[j] == 1 || x[j] == -1);
            cr_assert_eq(sp_model_write(floats.m, q, SP_RANGE_WEIGHTS, x, &err), SP_OK, "%s", err.text);
            free(x);
        }
        float *a = rig_gradient(&bits), *b = rig_gradient(&floats);
        cr_assert_gt(largest(b, floats.g->n_trainable), 1e-4);
        cr_assert_arr_eq(a, b, (size_t)floats.g->n_trainable * sizeof *a, "%s", sp_method_name(methods[i]));
        cr_assert_lt(bits.m->bytes, floats.m->bytes);
        free(a), free(b);
        rig_close(&bits), rig_close(&floats);
    }
}

/* ---- SEW: a branch that ends in spikes ---- */

#define SEW(last, gain)                                                                                      \
    "  - {type: conv, out: 8, kernel: 3, padding: 1}\n"                                                      \
    "  - {type: lif, v_th: 0.5}\n"                                                                           \
    "  - type: residual\n"                                                                                   \
    "    branch: [{type: conv, out: 40, kernel: 3, stride: 2, padding: 1}, {type: batch_norm}, {type: "      \
    "lif}" last "]\n"                                                                                        \
    "    shortcut: [{type: conv, out: 40, kernel: 1, stride: 2}, {type: batch_norm}, {type: lif}]\n" gain    \
    "  - type: residual\n"                                                                                   \
    "    branch: [{type: conv, out: 40, kernel: 3, padding: 1}, {type: batch_norm}, {type: lif}" last "]\n"  \
    "  - {type: adaptive_avg_pool, output: 1}\n"                                                             \
    "  - {type: flatten}\n"                                                                                  \
    "  - {type: linear, out: 4}\n"

Test(methods, a_branch_of_spikes_is_the_same_branch_in_real_numbers)
{
    static const struct {
        const char *spikes, *real;
    } nets[] = {
        {SEW("", ""), SEW(", {type: scale, factor: 1}", "")},
        {SEW("", "    skip_gain: true\n    alpha: 0.7\n"), SEW(", {type: scale, factor: 1}", "    skip_gain: "
                                                                                             "true\n    "
                                                                                             "alpha: 0.7\n")},
    };
    static const sp_method kinds[] = {SP_METHOD_SLTT, SP_METHOD_SLTT_K, SP_METHOD_BPTT, SP_METHOD_OTTT};
    for (int net = 0; net < 2; net++)
        for (int m = 0; m < 4; m++) {
            uint64_t unused;
            sp_plan_options o = options_of(kinds[m], 4, 3);
            sp_graph *g = graph_of(nets[net].spikes, chw);
            float *a = gradient_of(nets[net].spikes, &o, &unused),
                  *b = gradient_of(nets[net].real, &o, &unused);
            expect_same_gradient(g, a, b, 1e-6, sp_method_name(kinds[m]));
            free(a), free(b);
            sp_graph_destroy(&g);
        }
}

/* ---- batch-norm inputs computed again ---- */

static const char residual_layers[] =
    "  - {type: conv, out: 8, kernel: 3, padding: 1}\n"
    "  - type: residual\n"
    "    pre: [{type: batch_norm}, {type: lif}]\n"
    "    branch: [{type: conv, out: 8, kernel: 3, padding: 1}, {type: batch_norm}, {type: lif}, {type: conv, "
    "out: 8, kernel: 3, padding: 1}]\n"
    "  - type: residual\n"
    "    pre: [{type: batch_norm}, {type: lif}]\n"
    "    branch: [{type: conv, out: 16, kernel: 3, stride: 2, padding: 1}, {type: batch_norm}, {type: lif}, "
    "{type: conv, out: 16, kernel: 3, padding: 1}]\n"
    "    shortcut: [{type: conv, out: 16, kernel: 1, stride: 2}]\n"
    "  - {type: batch_norm}\n  - {type: lif}\n  - {type: flatten}\n  - {type: linear, out: 4}\n";

Test(methods, recomputing_in_bptt_gives_the_same_bits_in_less_memory)
{
    for (int sequence = 0; sequence < 2; sequence++) {
        uint64_t kept, again;
        sp_plan_options o = options_of(SP_METHOD_BPTT, 6, 4);
        o.sequence = sequence;
        float *a = gradient_of(residual_layers, &o, &kept);
        o.recompute = 1;
        float *b = gradient_of(residual_layers, &o, &again);
        sp_graph *g = graph_of(residual_layers, chw);
        for (int64_t i = 0; i < g->n_trainable; i++)
            cr_assert_eq(memcmp(a + i, b + i, sizeof *a), 0,
                         "recomputing changed gradient %lld from %g to %g (sequence %d)", (long long)i,
                         (double)a[i], (double)b[i], sequence);
        cr_assert_lt(again * 10, kept * 9, "%llu bytes instead of %llu", (unsigned long long)again,
                     (unsigned long long)kept);
        sp_graph_destroy(&g);
        free(a);
        free(b);
    }
}

/* The stage with the larger maps first, as its convolutions cost no more. */
Test(methods, a_share_of_recomputing_takes_what_saves_most_for_its_operations)
{
    static const double shares[4] = {0, 0.3, 0.6, 1};
    uint64_t bytes[4], unused;
    double operations = 0;
    sp_plan_options o = options_of(SP_METHOD_BPTT, 6, 4);
    sp_graph *g = graph_of(residual_layers, chw);
    float *whole = gradient_of(residual_layers, &o, &unused);
    for (int i = 0; i < 4; i++) {
        o.recompute = shares[i];
        rig r = rig_open(residual_layers, chw, &o);
        const sp_recompute_stats *s = &r.p->recompute;
        float *part = rig_gradient(&r);
        cr_assert_arr_eq(whole, part, (size_t)g->n_trainable * sizeof *part, "a share of %g", shares[i]);
        cr_assert((double)s->bytes >= shares[i] * (double)s->most_bytes, "%g: %llu of %llu", shares[i],
                  (unsigned long long)s->bytes, (unsigned long long)s->most_bytes);
        cr_assert(i == 0 ? s->n == 0 : s->operations > operations, "%g", shares[i]);
        operations = s->operations;
        bytes[i] = r.p->arena_bytes;
        rig_close(&r);
        free(part);
    }
    cr_assert(bytes[3] < bytes[2] && bytes[2] < bytes[1] && bytes[1] < bytes[0]);
    sp_graph_destroy(&g);
    free(whole);
}

/* ---- a norm inside a neuron, biases before a norm ---- */

static int count_ops(const sp_plan *p, const char *op)
{
    int n = 0;
    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segments[s].n; i++)
            n += strncmp(p->segments[s].steps[i].call.op->id, op, strlen(op)) == 0;
    return n;
}

static const char pooled_layers[] =
    "  - {type: conv, out: 8, kernel: 3, padding: 1}\n  - {type: batch_norm}\n  - {type: lif}\n"
    "  - {type: avg_pool, kernel: 2}\n"
    "  - {type: conv, out: 16, kernel: 3, padding: 1}\n  - {type: batch_norm}\n  - {type: lif}\n"
    "  - {type: avg_pool, kernel: 2}\n  - {type: flatten}\n  - {type: linear, out: 4}\n";

/* Gradients with the ops fused, or apart; their numbers are checked. */
static float *gradient_fused(const char *layers, const sp_plan_options *o, bool apart, int norms, int pools)
{
    static const char *const ops[2][8] = {
        {"neuron.backward_norm=reference", "neuron.backward_pool=reference", "neuron.backward_sum=reference",
         "batch_norm.apply=reference", "neuron.forward_static=reference", "neuron.backward_static=reference",
         "neuron.forward_steps=reference", "neuron.backward_steps=reference"},
        {"neuron.backward=reference", "batch_norm.backward=reference"}};
    load_registry();
    for (int k = 0; k < 8 && ops[apart][k]; k++)
        force(ops[apart][k]);
    rig r = rig_open(layers, chw, o);
    /* The first norm is behind the image, which does not change. */
    const int again = !apart && o->method != SP_METHOD_BPTT && !o->half, walk = again && pools;
    cr_assert_eq(count_ops(r.p, "neuron.backward_sum/"), apart ? 0 : 1 - again);
    cr_assert_eq(count_ops(r.p, "neuron.forward_static/"), again - walk);
    cr_assert_eq(count_ops(r.p, "neuron.backward_static/"), again - walk);
    cr_assert_eq(count_ops(r.p, "neuron.forward_steps/"), walk);
    cr_assert_eq(count_ops(r.p, "neuron.backward_steps/"), walk);
    cr_assert_eq(count_ops(r.p, "neuron.backward_pool/"), apart ? 0 : pools);
    cr_assert_eq(count_ops(r.p, "neuron.backward_norm/"), apart ? 0 : norms - 1 - pools);
    cr_assert_eq(count_ops(r.p, "batch_norm.apply/"), apart ? 0 : norms - 1 + walk);
    cr_assert_eq(count_ops(r.p, "batch_norm.backward/"), apart ? norms : 1 - walk);
    float *gradient = rig_gradient(&r);
    rig_close(&r);
    return gradient;
}

Test(methods, one_pass_for_a_neuron_and_what_lies_around_it_gives_the_gradient_of_several)
{
    static const sp_method kinds[] = {SP_METHOD_SLTT, SP_METHOD_BPTT, SP_METHOD_OTTT};
    for (int pooled = 0; pooled < 2; pooled++) {
        const char *layers = pooled ? pooled_layers : residual_layers;
        sp_graph *g = graph_of(layers, chw);
        for (int half = 0; half < 2; half++)
            for (int m = 0; m < 3; m++) {
                sp_plan_options o = options_of(kinds[m], 4, 3);
                o.half = half;
                float *fused = gradient_fused(layers, &o, false, pooled ? 2 : 5, pooled),
                      *apart = gradient_fused(layers, &o, true, pooled ? 2 : 5, pooled);
                expect_same_gradient(g, fused, apart, 1e-5, sp_method_name(kinds[m]));
                free(fused), free(apart);
            }
        sp_graph_destroy(&g);
    }
}

/* All convolutions of this network end in norms, some behind sums of residuals; the linear layer does not. */
Test(methods, a_bias_that_a_norm_removes_has_no_gradient_and_costs_nothing)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT, 4, 3);
    rig r = rig_open(residual_layers, chw, &o);
    cr_assert_eq(count_ops(r.p, "bias.backward/"), 2, "the last layer's, and the sums of gradients");
    float *g = rig_gradient(&r);
    int64_t at = 0;
    for (int i = 0; i < r.g->n_params; i++) {
        const sp_param *p = &r.g->params[i];
        if (!p->trainable)
            continue;
        double sum = 0;
        for (int64_t k = 0; k < p->elems; k++)
            sum += fabs((double)g[at + k]);
        bool removed = r.g->nodes[p->node].bias == i && r.g->nodes[p->node].type == SP_NODE_CONV;
        cr_assert(removed ? sum == 0 : sum > 0, "%s: %g", p->name, sum);
        at += p->elems;
    }
    free(g);
    rig_close(&r);
}

/* ---- activations stored as half ---- */

static double cosine(const float *a, const float *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++)
        ab += (double)a[i] * (double)b[i], aa += (double)a[i] * (double)a[i],
            bb += (double)b[i] * (double)b[i];
    return ab / sqrt(aa * bb);
}

/* BPTT's history is potentials and inputs of batch norms: nearly half of it goes. The gradient is not the
 * same (a potential just below the threshold is rounded up to it), but points the same way. */
Test(methods, half_storage_saves_memory_and_keeps_the_direction)
{
    static const sp_method kinds[] = {SP_METHOD_SLTT, SP_METHOD_BPTT, SP_METHOD_OTTT, SP_METHOD_SLTT_K};
    for (int m = 0; m < 4; m++) {
        uint64_t whole, half;
        sp_plan_options o = options_of(kinds[m], 6, 6);
        sp_graph *g = graph_of(residual_layers, chw);
        float *a = gradient_of(residual_layers, &o, &whole);
        o.half = true;
        float *b = gradient_of(residual_layers, &o, &half), *again = gradient_of(residual_layers, &o, &half);
        double c = cosine(a, b, g->n_trainable);
        cr_assert(c > 0.95 && c < 1, "%s: cosine %.9f", sp_method_name(kinds[m]), c);
        cr_assert_eq(memcmp(b, again, (size_t)g->n_trainable * sizeof *b), 0, "%s", sp_method_name(kinds[m]));
        cr_assert_lt(half * 100, whole * (kinds[m] == SP_METHOD_BPTT ? 65 : 95),
                     "%s: %llu bytes instead of %llu", sp_method_name(kinds[m]), (unsigned long long)half,
                     (unsigned long long)whole);
        sp_graph_destroy(&g);
        free(a), free(b), free(again);
    }
}

/* ---- spikes by time step, from which adaptive SLTT-K chooses ---- */

Test(methods, spikes_by_time_step_add_up_to_those_of_the_layers)
{
    static const uint8_t some[5] = {1, 0, 0, 1, 0};
    sp_error err = {0};
    sp_plan_options o = options_of(SP_METHOD_SLTT_K, 3, 5);
    o.step_spikes = o.sequence = true;
    rig r = rig_open(EVERY_LAYER, chw, &o);
    uint64_t of_nodes[64], by_step[5 * 16], total = 0;
    uint32_t part[64 * 16];
    cr_assert(r.g->n_nodes <= 64 && r.p->n_neuron_layers >= 2 && r.p->n_neuron_layers <= 16);
    cr_assert_eq(sp_exec_clear_spikes(r.p, &err), SP_OK);
    r.backprop = some;
    for (int run = 1; run <= 2; run++) { /* the counters of the layers go on, those of the steps start anew */
        free(rig_gradient(&r));
        cr_assert_eq(sp_exec_step_spikes(r.p, by_step, part, &err), SP_OK, "%s", err.text);
    }
    cr_assert_eq(sp_exec_spikes(r.p, of_nodes, &err), SP_OK, "%s", err.text);
    for (int i = 0, layer = 0; i < r.g->n_nodes; i++) {
        uint64_t sum = 0;
        if (r.g->nodes[i].type != SP_NODE_NEURON)
            continue;
        for (int t = 0; t < 5; t++)
            sum += by_step[t * r.p->n_neuron_layers + layer];
        cr_assert_eq(2 * sum, of_nodes[i], "layer %d: %llu by step, %llu in two runs", layer,
                     (unsigned long long)sum, (unsigned long long)of_nodes[i]);
        total += sum;
        layer++;
    }
    cr_assert_gt(total, 0);
    rig_close(&r);
}
