/* Networks of neuron models that keep more than u, and of recurrent layers: schedules against each other,
 * memory, what is refused, and a model of a plugin that must do what PLIF does. Their gradients are those of
 * tests/golden. */
#include "support.h"

TestSuite(models, .init = setup, .fini = teardown);

static const int64_t chw[3] = {2, 8, 8};

static float *gradient_of(const char *layers, const sp_plan_options *o)
{
    rig r = rig_open(layers, chw, o);
    float *g = rig_gradient(&r);
    rig_close(&r);
    return g;
}

Test(models, with_one_time_step_and_in_blocks_of_one_bptt_is_sltt)
{
    sp_graph *g = graph_of(EVERY_MODEL, chw);
    for (int steps = 1; steps <= 5; steps += 4)
        for (int sequence = 0; sequence < 2; sequence++) {
            sp_plan_options o = options_of(SP_METHOD_SLTT, 5, steps);
            o.sequence = sequence;
            float *sltt = gradient_of(EVERY_MODEL, &o);
            o.method = SP_METHOD_BPTT, o.truncate = 1;
            float *cut = gradient_of(EVERY_MODEL, &o);
            expect_same_gradient(g, cut, sltt, 1e-5, "blocks of one step");
            free(sltt), free(cut);
        }
    sp_graph_destroy(&g);
}

static uint64_t bytes_of(sp_method method, int64_t time_steps, int64_t truncate)
{
    sp_plan_options o = options_of(method, 6, time_steps);
    o.truncate = truncate;
    cr_assert_eq(dev->live_bytes, 0u);
    dev->peak_bytes = 0;
    rig r = rig_open(EVERY_MODEL, chw, &o);
    uint64_t planned = r.p->arena_bytes + r.m->bytes;
    if (method != SP_METHOD_EVAL)
        cr_assert(isfinite(rig_loss(&r)));
    cr_assert_eq(dev->peak_bytes, planned);
    rig_close(&r);
    return planned;
}

Test(models, memory_does_not_grow_with_time_steps_but_for_bptt)
{
    static const sp_method methods[] = {SP_METHOD_SLTT, SP_METHOD_SLTT_K, SP_METHOD_EVAL};
    uint64_t at[3];
    for (int m = 0; m < 3; m++)
        cr_assert_eq(bytes_of(methods[m], 20, 0), bytes_of(methods[m], 5, 0), "%s",
                     sp_method_name(methods[m]));
    for (int i = 0; i < 3; i++)
        at[i] = bytes_of(SP_METHOD_BPTT, 5 + 5 * i, 0);
    cr_assert(at[1] > at[0] && at[2] - at[1] == at[1] - at[0]);
    cr_assert_eq(bytes_of(SP_METHOD_BPTT, 20, 5), bytes_of(SP_METHOD_BPTT, 10, 5), "blocks of five steps");
}

/* The first step has nothing before it, the last of a block nothing after it: contents of the arena must not
 * matter. */
Test(models, nothing_is_read_before_it_is_written)
{
    static const struct {
        sp_method method;
        int truncate;
    } cases[] = {{SP_METHOD_SLTT, 0},
                 {SP_METHOD_SLTT_K, 0},
                 {SP_METHOD_BPTT, 0},
                 {SP_METHOD_BPTT, 2},
                 {SP_METHOD_EVAL, 0}};
    static const uint8_t some[5] = {0, 1, 0, 1, 0};
    for (int c = 0; c < 5; c++) {
        sp_plan_options o = options_of(cases[c].method, 4, 5);
        o.truncate = cases[c].truncate;
        rig r = rig_open(EVERY_MODEL, chw, &o);
        r.backprop = o.method == SP_METHOD_SLTT_K ? some : NULL;
        const sp_model_range range =
            o.method == SP_METHOD_EVAL ? SP_RANGE_WEIGHTS : SP_RANGE_GRADIENTS; /* there are no others */
        float *g[2];
        double loss[2];
        for (int k = 0; k < 2; k++) {
            sp_error err = {0};
            void *x = malloc(r.p->arena_bytes);
            memset(x, k ? 0xff : 0, r.p->arena_bytes);
            cr_assert_eq(r.p->n_slabs, 1);
            cr_assert_eq(sp_device_write(dev, (sp_range){r.p->slabs[0], 0}, x, r.p->arena_bytes, true, &err),
                         SP_OK, "%s", err.text);
            free(x);
            loss[k] = rig_loss(&r);
            g[k] = rig_read(&r, range);
        }
        cr_assert(isfinite(loss[0]) && loss[0] == loss[1], "%s: %g, %g", sp_method_name(o.method), loss[0],
                  loss[1]);
        for (int64_t i = 0; i < r.g->n_trainable; i++)
            cr_assert(isfinite(g[1][i]), "%s: gradient %lld", sp_method_name(o.method), (long long)i);
        cr_assert_eq(memcmp(g[0], g[1], (size_t)r.g->n_trainable * sizeof(float)), 0, "%s",
                     sp_method_name(o.method));
        free(g[0]), free(g[1]);
        rig_close(&r);
    }
}

static void expect_refused(const char *layers, sp_method method, const char *words)
{
    sp_error err = {0};
    sp_model *m = NULL;
    sp_plan *p = NULL;
    sp_graph *g = graph_of(layers, chw);
    sp_plan_options o = options_of(method, 4, 3);
    cr_assert_eq(sp_model_create(g, dev, &o, &m, &err), SP_OK);
    cr_assert_eq(sp_plan_create(g, m, reg, &o, &p, &err), SP_E_CONFIG, "%s was planned", layers);
    cr_assert(strstr(err.text, words), "\"%s\" lacks \"%s\"", err.text, words);
    sp_model_destroy(&m);
    sp_graph_destroy(&g);
}

#define AROUND(neuron)                                                                                       \
    "  - {type: flatten}\n  - {type: linear, out: 24}\n  - {" neuron "}\n  - {type: linear, out: 4}\n"

Test(models, ottt_refuses_by_name_what_it_does_not_define)
{
    expect_refused(AROUND("type: plif, tau: 2"), SP_METHOD_OTTT,
                   "layer 2: ottt is not defined for neuron model \"plif\"");
    expect_refused(AROUND("type: cuba_lif, tau_syn: 2"), SP_METHOD_OTTT,
                   "layer 2: ottt is not defined for neuron model \"cuba_lif\"");
    expect_refused(AROUND("type: alif, tau_a: 2, beta: 1"), SP_METHOD_OTTT,
                   "layer 2: ottt is not defined for neuron model \"alif\"");
    sp_plan_options o = options_of(SP_METHOD_OTTT, 4, 3);
    rig r = rig_open(AROUND("type: lif, recurrent: true"), chw, &o); /* recurrent layers it does */
    cr_assert(isfinite(rig_loss(&r)));
    rig_close(&r);
}

static void load_model(void)
{
    sp_error err = {0};
    sp_registry_destroy(&reg);
    cr_assert_eq(sp_registry_create(SP_FIXTURES, &reg, &err), SP_OK, "%s", err.text);
    cr_assert_eq(reg->n_refusals, 0, "%s", reg->n_refusals ? reg->refusals[0].reason : "");
}

Test(models, of_a_plugin_say_what_they_need)
{
    load_model();
    expect_refused(AROUND("type: lif, model: plif_and_threshold, aux_tau: 2, tau: 2"), SP_METHOD_SLTT,
                   "neuron model \"plif_and_threshold\" has a learnable scalar; write learn: true");
    expect_refused(AROUND("type: lif, model: plif_and_threshold, learn: true, tau: 2"), SP_METHOD_SLTT,
                   "needs \"aux_tau\"");
}

/* A model with everything at once: with a threshold that follows a state which is multiplied by 0 it is PLIF,
 * to the bit. */
Test(models, of_a_plugin_use_all_that_there_is)
{
    static const struct {
        sp_method method;
        int truncate;
    } cases[] = {{SP_METHOD_SLTT, 0}, {SP_METHOD_BPTT, 0}, {SP_METHOD_BPTT, 2}};
    load_model();
    for (int c = 0; c < 3; c++) {
        sp_plan_options o = options_of(cases[c].method, 6, 5);
        o.truncate = cases[c].truncate;
        const char *plif = AROUND("type: plif, tau: 2, v_th: 0.3"),
                   *same = AROUND("type: lif, model: plif_and_threshold, tau: 2, v_th: 0.3, learn: true, "
                                  "aux_tau: 3, aux_gain: 0"),
                   *other = AROUND("type: lif, model: plif_and_threshold, tau: 2, v_th: 0.3, learn: true, "
                                   "aux_tau: 3, aux_gain: 0.5");
        float *a = gradient_of(plif, &o), *b = gradient_of(same, &o), *d = gradient_of(other, &o);
        sp_graph *g = graph_of(plif, chw);
        size_t bytes = (size_t)g->n_trainable * sizeof *a;
        cr_assert_gt(largest(a, g->n_trainable), 1e-4);
        expect_same_gradient(g, b, a, 1e-6, "with a gain of 0");
        cr_assert_neq(memcmp(a, d, bytes), 0, "a gain of 0.5 changes nothing: the test could not fail");
        free(a), free(b), free(d);
        sp_graph_destroy(&g);
    }
}

/* 1/tau = sigmoid(w), and the optimizer takes w along. */
Test(models, the_learnable_leak_starts_at_tau_and_learns)
{
    sp_plan_options o = options_of(SP_METHOD_SLTT, 6, 4);
    rig r = rig_open(AROUND("type: plif, tau: 2.5, v_th: 0.3"), chw, &o);
    sp_error err = {0};
    const sp_param *w = sp_graph_param(r.g, "2.w");
    float start, after;
    cr_assert(w && w->trainable && w->elems == 1 && w->n_dims == 0);
    sp_param_initialise(r.g, w, 1, &start);
    cr_assert_float_eq(1 / (1 + exp(-(double)start)), 1 / 2.5, 1e-6);
    cr_assert_eq(sp_model_write(r.m, w, SP_RANGE_WEIGHTS, &start, &err), SP_OK);
    float *g = rig_gradient(&r);
    double g_w = (double)g[w->at == 0 ? 0 : r.g->params[0].elems + r.g->params[1].elems];
    cr_assert_gt(fabs(g_w), 1e-6);
    cr_assert_eq(sp_exec_update(r.p, 0.5, 1, &err), SP_OK, "%s", err.text);
    cr_assert_eq(sp_model_read(r.m, w, SP_RANGE_WEIGHTS, &after, &err), SP_OK);
    cr_assert_float_eq((double)after, (double)start - 0.5 * g_w, 1e-6);
    free(g);
    rig_close(&r);
}
