/* Level 2 of the suite: training steps. Before a time counts, the gradients of one small mini-batch are
 * compared with those of the reference kernels on the same device: a cosine over all parameters, because a
 * spike within rounding of the threshold may fall on either side and move single gradients. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/stats.h"
#include "cli/bench.h"
#include "lab/suite.h"

typedef struct step_problem {
    const char *network, *method, *input; /* of recipes/networks */
    int64_t batch, time_steps;
    bool small; /* belongs to --small */
} step_problem;

static const step_problem problems[] = {
    {"conv_16_32_128", "sltt", "1x28x28", 128, 4, false},
    {"conv_16_32_128", "bptt", "1x28x28", 128, 4, false},
    {"conv_16_32_128", "sltt", "1x28x28", 128, 8, false},
    {"conv_16_32_128", "bptt", "1x28x28", 128, 8, false},
    {"conv_16_32_128", "sltt", "1x28x28", 128, 16, false},
    {"conv_16_32_128", "bptt", "1x28x28", 128, 16, false},
    {"conv_16_32_128", "sltt-1", "1x28x28", 128, 4, false},
    {"resnet18", "sltt", "3x32x32", 32, 6, false},
    {"resnet18", "bptt", "3x32x32", 32, 6, false},
    {"resnet18", "sltt-1", "3x32x32", 32, 6, false},
    {"vgg11_bn", "sltt", "2x48x48", 16, 10, false},
    {"conv_16_32_128", "sltt", "1x12x12", 2, 2, true},
};

static const double tolerance = 1e-3; /* of 1 - cosine */

/* All gradients of one mini-batch, one after the other. */
static sp_status gradients(sp_recipe *r, const sp_cli_bench_options *o, float **out, size_t *n, sp_error *err)
{
    sp_cli_bench b;
    sp_status st = sp_cli_bench_open(r, o, &b, err);
    if (st != SP_OK)
        return st;
    const sp_graph *g = b.s->graph;
    *n = 0;
    *out = sp_alloc_array((size_t)g->param_elems + 1, sizeof **out);
    if (!*out)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for the gradients");
    if (st == SP_OK)
        st = sp_cli_bench_run(&b, o, err);
    for (int i = 0; i < g->n_params && st == SP_OK; i++) {
        if (!g->params[i].trainable)
            continue;
        st = sp_model_read(b.s->model, &g->params[i], SP_RANGE_GRADIENTS, *out + *n, err);
        *n += (size_t)g->params[i].elems;
    }
    sp_cli_bench_close(&b);
    return st;
}

static double one_less_cosine(const float *a, const float *b, size_t n)
{
    sp_products p = sp_products_of(a, b, n);
    return p.aa > 0 && p.bb > 0 ? 1 - p.ab / sqrt(p.aa * p.bb) : (double)NAN;
}

/* frames: of a synthetic sequence, which has as many as there are time steps. *error: 1 - cosine between the
 * kernels chosen and the reference kernels, batch 2, at most 2 time steps. */
static sp_status validate(const char *path, const sp_cli_bench_options *options, bool frames, double *error,
                          sp_error *err)
{
    float *ours = NULL, *reference = NULL;
    size_t n = 0, m = 0;
    sp_cli_bench_options o = *options;
    sp_recipe r = {0};
    o.batch = 2;
    o.time_steps = 2;
    o.iterations = o.warmup = 1;
    o.peaks = false;
    o.session.sets.items[o.session.sets.n++] = "eval_batch=2";
    if (frames)
        o.session.sets.items[o.session.sets.n++] = "data.frames=2";
    sp_status st = sp_cli_bench_recipe(path, &o, &r, err);
    if (st == SP_OK)
        st = gradients(&r, &o, &ours, &n, err);
    o.session.force.items[o.session.force.n++] = "*=reference";
    if (st == SP_OK)
        st = sp_cli_bench_recipe(path, &o, &r, err);
    if (st == SP_OK)
        st = gradients(&r, &o, &reference, &m, err);
    if (st == SP_OK)
        *error = n == m ? one_less_cosine(ours, reference, n) : (double)NAN;
    sp_free(ours);
    sp_free(reference);
    return st;
}

/* NeuroBench's fields. Synaptic operations as dense multiply-accumulates; what the spikes leave of them needs
 * the firing rates. */
static json_t *neurobench(const sp_cli_bench *b)
{
    const sp_graph *g = b->s->graph;
    double macs = 0, silent = 0;
    int layers = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        macs += (double)sp_graph_macs(g, i);
        if (g->nodes[i].type == SP_NODE_NEURON) {
            silent += 1 - b->rates[i];
            layers++;
        }
    }
    double T = (double)b->s->recipe.time_steps;
    return json_pack("{s:I, s:f, s:f, s:f, s:f}", "footprint_bytes", (json_int_t)(g->param_elems * 4),
                     "connection_sparsity", 0.0, "activation_sparsity", layers ? silent / layers : 0.0,
                     "synaptic_operations_dense", macs * T, "membrane_updates",
                     (double)sp_graph_neurons(g) * T);
}

static sp_status measure(const char *path, const sp_cli_bench_options *o, json_t *record, sp_error *err)
{
    sp_recipe r = {0};
    sp_cli_bench b;
    SP_TRY(sp_cli_bench_recipe(path, o, &r, err));
    SP_TRY(sp_cli_bench_open(&r, o, &b, err));
    sp_status st = sp_cli_bench_run(&b, o, err);
    if (st == SP_OK) {
        json_t *samples = json_array();
        for (int64_t i = 0; i < b.n; i++)
            json_array_append_new(samples, json_real(b.ms[i]));
        json_object_set_new(record, "samples", samples);
        json_object_set_new(record, "status", json_string("ok"));
        json_object_set_new(record, "unit", json_string("ms"));
        json_object_set_new(record, "warmup", json_integer((json_int_t)o->warmup));
        json_object_set_new(record, "cold_first_ms", json_real(b.first_ms));
        json_object_set_new(record, "open_ms", json_real(1000 * b.open_s));
        json_object_set_new(record, "flops", json_real(b.flops));
        json_object_set_new(record, "bytes", json_real(b.bytes));
        json_object_set_new(record, "device_bytes", json_integer((json_int_t)b.s->planned_bytes));
        json_object_set_new(record, "launches", json_integer((json_int_t)b.launches));
        json_object_set_new(record, "neurobench", neurobench(&b));
    }
    sp_cli_bench_close(&b);
    return st;
}

static sp_status run(sp_cli_suite *s, const char *path, const char *name, const sp_cli_bench_options *o,
                     sp_error *err)
{
    const bool too_large = path && s->small; /* recipes have one size */
    char problem[256], family[128];
    double error = (double)NAN;
    sp_error why = {0};
    sp_recipe r = {0};
    if (sp_cli_bench_recipe(path, o, &r, &why) != SP_OK) {
        snprintf(problem, sizeof problem, "training step %.200s", name);
        if (!sp_cli_suite_named(s, problem))
            return SP_OK;
        json_t *record = sp_cli_suite_record(s, 2, problem, "spikeport");
        sp_cli_suite_reason(record, "failed", why.text);
        return sp_cli_suite_put(s, record, err);
    }
    const char *method = o->method ? o->method : sp_method_name(r.method);
    snprintf(family, sizeof family, "%.60s %.20s B=%lld", name, method, (long long)r.batch);
    snprintf(problem, sizeof problem, "training step %s T=%lld", family, (long long)r.time_steps);
    if (!sp_cli_suite_wanted(s, problem, "spikeport")) {
        sp_recipe_free(&r);
        return SP_OK;
    }
    json_t *record = sp_cli_suite_record(s, 2, problem, "spikeport");
    json_object_set_new(record, "family", json_string(family));
    json_object_set_new(record, "method", json_string(method));
    json_object_set_new(record, "batch", json_integer((json_int_t)r.batch));
    json_object_set_new(record, "time_steps", json_integer((json_int_t)r.time_steps));
    bool frames = r.data.frames > 0 && strcmp(r.data.name, "synthetic") == 0;
    sp_recipe_free(&r);
    if (too_large) {
        json_object_set_new(record, "sizes", json_string("full"));
        sp_cli_suite_reason(record, "unsupported", "not run: this device gets small sizes");
        return sp_cli_suite_put(s, record, err);
    }
    sp_cli_say("  %s\n", problem);
    sp_status st = validate(path, o, frames, &error, &why);
    bool right = st == SP_OK && error <= tolerance;
    if (st == SP_OK)
        sp_cli_suite_validation(record, right, error, tolerance,
                                "1 - cosine of all gradients to those of the reference kernels, small batch");
    if (st == SP_OK && !right)
        sp_cli_suite_reason(record, "invalid", "the gradients differ from those of the reference kernels");
    if (right)
        st = measure(path, o, record, &why);
    if (st != SP_OK) {
        json_object_del(record, "samples");
        bool large = st == SP_E_MEMORY || st == SP_E_DEVICE;
        sp_cli_suite_reason(record, large ? "unsupported" : "failed", why.text);
    }
    return sp_cli_suite_put(s, record, err);
}

sp_status sp_cli_suite_steps(sp_cli_suite *s, sp_error *err)
{
    char index[16];
    snprintf(index, sizeof index, "%d", s->info ? s->info->index : 0);
    sp_cli_bench_options base = {.iterations = s->samples,
                                 .warmup = 2,
                                 .session = {.device = index, .plugins = s->plugins}};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        const step_problem *p = &problems[i];
        if (p->small != s->small)
            continue;
        sp_cli_bench_options o = base;
        o.network = p->network;
        o.method = p->method;
        o.input = p->input;
        o.batch = p->batch;
        o.time_steps = p->time_steps;
        SP_TRY(run(s, NULL, p->network, &o, err));
    }
    for (size_t i = 0; i < s->recipes.n; i++) {
        const char *slash = strrchr(s->recipes.items[i], '/');
        SP_TRY(run(s, s->recipes.items[i], slash ? slash + 1 : s->recipes.items[i], &base, err));
    }
    return SP_OK;
}
