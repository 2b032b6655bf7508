/* spikeport bench: times training steps of a recipe on made-up input of its shape; no loader, no files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/expr.h"
#include "base/rng.h"
#include "check/ruler.h"
#include "cli/session_options.h"

typedef struct bench_options {
    sp_cli_session session;
    int64_t steps, warmup;
    bool json, ruler;
} bench_options;

typedef struct bench {
    sp_session *s;
    float *images, *loss;
    int32_t *labels;
    uint32_t *correct;
    uint8_t *mask;
    uint64_t *spikes;
    double *ms, *rates;
    int64_t n, iteration, backprop;
    uint64_t launches;
    sp_ruler ruler;
    double flops;           /* of one mini-batch, dense count */
} bench;

static sp_status make_input(bench *b, sp_error *err)
{
    const sp_plan *p = b->s->train;
    size_t n = (size_t)(p->values[p->input].bytes / 4) * (p->o.sequence ? (size_t)p->o.time_steps : 1);
    size_t batch = (size_t)p->o.batch, nodes = (size_t)p->graph->n_nodes;
    sp_rng r = sp_rng_make(1, 1);
    b->images = sp_alloc_aligned(n * sizeof *b->images, 4096);
    b->labels = sp_alloc_array(batch, sizeof *b->labels);
    b->loss = sp_alloc_array(batch, sizeof *b->loss);
    b->correct = sp_alloc_array(batch, sizeof *b->correct);
    b->mask = sp_alloc_array((size_t)p->o.time_steps, 1);
    b->spikes = sp_alloc_array(nodes, sizeof *b->spikes);
    b->rates = sp_alloc_array(nodes, sizeof *b->rates);
    b->ms = sp_alloc_array((size_t)b->n, sizeof *b->ms);
    if (!b->images || !b->labels || !b->loss || !b->correct || !b->mask || !b->spikes || !b->rates || !b->ms)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory for the benchmark's input");
    for (size_t i = 0; i < n; i++)
        b->images[i] = sp_rng_normal(&r);
    for (size_t i = 0; i < batch; i++)
        b->labels[i] = (int32_t)sp_rng_below(&r, (uint32_t)p->graph->classes);
    return SP_OK;
}

static sp_status one_step(bench *b, double *ms, sp_error *err)
{
    b->backprop += sp_session_choose(b->s, b->iteration, b->mask);
    sp_exec_batch e = {.images = b->images, .labels = b->labels, .backprop = b->mask, .iteration = (int32_t)b->iteration,
                       .lr = b->s->recipe.lr};
    SP_TRY(sp_device_finish(b->s->dev, err));
    uint64_t start = sp_clock_ns(), launches = b->s->dev->n_launches;
    SP_TRY(sp_exec_run(b->s->train, &e, err));
    SP_TRY(sp_exec_results(b->s->train, b->loss, b->correct, err));
    SP_TRY(sp_session_learn(b->s, err));
    SP_TRY(sp_exec_update(b->s->train, b->s->recipe.lr, ++b->iteration, err));
    SP_TRY(sp_device_finish(b->s->dev, err));
    *ms = (double)(sp_clock_ns() - start) * 1e-6;
    b->launches = b->s->dev->n_launches - launches;
    return isfinite((double)b->loss[0]) ? SP_OK : SP_FAIL(err, SP_E_NUMERIC, "the loss is not finite; choose a smaller optimizer.lr");
}

/* Operations of a mini-batch as the op contracts count them: dense, whatever the spikes let a kernel skip; SLTT-K as if
 * every step were backpropagated. */
static double count_flops(const sp_plan *p)
{
    double sum = 0;
    for (int k = 0; k < p->n_timeline; k++) {
        const sp_segment *g = &p->segments[p->timeline[k].segment];
        for (int i = 0; i < g->n && p->timeline[k].condition != SP_IF_NOT_BACKPROP; i++) {
            sp_op_call call = g->steps[i].call;
            int64_t v = 0;
            if (call.op->flops && sp_expr_eval(call.op->flops, sp_call_lookup, &call, &v, NULL) == SP_OK)
                sum += (double)v;
        }
    }
    return sum;
}

static int ascending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static double quantile(const double *sorted, int64_t n, double q)
{
    return sorted[(int64_t)(q * (double)(n - 1) + 0.5)];
}

static json_t *rates_json(const bench *b)
{
    json_t *o = json_object();
    for (int i = 0; i < b->s->graph->n_nodes; i++)
        if (b->s->graph->nodes[i].type == SP_NODE_NEURON)
            json_object_set_new(o, b->s->graph->nodes[i].name, json_real(b->rates[i]));
    return o;
}

static long resident_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static sp_status print(const bench *b, const bench_options *o)
{
    const sp_recipe *r = &b->s->recipe;
    double median = quantile(b->ms, b->n, 0.5), low = quantile(b->ms, b->n, 0.05), high = quantile(b->ms, b->n, 0.95);
    if (o->json) {
        json_t *raw = json_array();
        for (int64_t i = 0; i < b->n; i++)
            json_array_append_new(raw, json_real(b->ms[i]));
        return sp_cli_json_line(json_pack(
            "{s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:o}", "name", r->name, "device",
            b->s->dev->info.name, "method", sp_method_name(r->method), "batch", (json_int_t)r->batch, "time_steps",
            (json_int_t)r->time_steps, "median_ms", median, "p5_ms", low, "p95_ms", high, "samples_per_second",
            (double)r->batch / median * 1e3, "device_bytes", (json_int_t)b->s->planned_bytes, "resident_kib",
            (json_int_t)resident_kib(), "launches", (json_int_t)b->launches, "gflops_dense", b->flops / median * 1e-6,
            "ruler_gflops", b->ruler.gflops, "ruler_gbytes", b->ruler.gbytes, "spike_rate", rates_json(b), "samples_ms", raw));
    }
    printf("%s: %s, T = %lld, batch %lld on %s\n", r->name, sp_method_name(r->method), (long long)r->time_steps,
           (long long)r->batch, b->s->dev->info.name);
    printf("training step  median %.2f ms (5%% %.2f, 95%% %.2f, %lld steps after %lld), %.1f samples/s, %llu launches\n", median,
           low, high, (long long)b->n, (long long)o->warmup, (double)r->batch / median * 1e3, (unsigned long long)b->launches);
    if (r->method == SP_METHOD_SLTT_K)
        printf("backward       at %.2f of %lld time steps\n", (double)b->backprop / (double)b->n, (long long)r->time_steps);
    printf("device memory  %.2f MiB, of it %.2f MiB parameters, gradients and optimizer\n",
           (double)b->s->planned_bytes / 1048576.0, (double)b->s->model->bytes / 1048576.0);
    printf("arithmetic     %.1f GFLOP/s counted dense", b->flops / median * 1e-6);
    if (o->ruler)
        printf("; rulers of this run: %.0f GFLOP/s multiply-add, %.1f GB/s copy", b->ruler.gflops, b->ruler.gbytes);
    printf("\nfiring        ");
    for (int i = 0; i < b->s->graph->n_nodes; i++)
        if (b->s->graph->nodes[i].type == SP_NODE_NEURON)
            printf(" %.3f", b->rates[i]);
    printf("\n");
    return SP_OK;
}

static sp_status run(bench *b, const bench_options *o, sp_error *err)
{
    double ignored;
    b->n = o->steps;
    SP_TRY(make_input(b, err));
    if (o->ruler)
        SP_TRY(sp_ruler_measure(b->s->dev, &b->ruler, err));
    for (int64_t i = 0; i < o->warmup; i++)
        SP_TRY(one_step(b, &ignored, err));
    SP_TRY(sp_exec_clear_spikes(b->s->train, err));
    sp_device_profile_reset(b->s->dev);
    b->backprop = 0;
    for (int64_t i = 0; i < b->n; i++)
        SP_TRY(one_step(b, &b->ms[i], err));
    SP_TRY(sp_exec_spikes(b->s->train, b->spikes, err));
    sp_session_rates(b->s, b->spikes, b->n * b->s->recipe.batch, b->rates);
    b->flops = count_flops(b->s->train);
    qsort(b->ms, (size_t)b->n, sizeof *b->ms, ascending);
    SP_TRY(print(b, o));
    if (o->session.profile)
        sp_cli_say_profile(b->s->dev);
    return SP_OK;
}

static sp_status bench_recipe(const char *path, const bench_options *o, sp_error *err)
{
    sp_recipe r = {0};
    sp_dataset_info info = {.count = 0};
    bench b = {.s = NULL};
    sp_session_options so = sp_cli_session_options(&o->session);
    sp_status st = sp_recipe_load(path, o->session.sets.items, o->session.sets.n, &r, err);
    if (st == SP_OK) {
        st = sp_cli_shape(&r, true, &info, err);
        if (st != SP_OK)
            sp_recipe_free(&r);
    }
    if (st == SP_OK)
        st = sp_session_open(&r, &info, &so, &b.s, err);
    if (st == SP_OK) {
        sp_cli_say_device(b.s->dev, b.s->reg);
        st = run(&b, o, err);
    }
    void *all[] = {b.images, b.labels, b.loss, b.correct, b.mask, b.spikes, b.rates, b.ms};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
    sp_session_close(&b.s);
    return st;
}

int sp_cmd_bench(int argc, char **argv)
{
    bench_options o = {.steps = 10, .warmup = 2, .ruler = true};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        {"steps", 'n', SP_ARG_INTEGER, &o.steps, "N", "mini-batches to time (default 10)", 1, 100000},
        {"warmup", 0, SP_ARG_INTEGER, &o.warmup, "N", "mini-batches before (default 2)", 0, 100000},
        {"ruler", 0, SP_ARG_SWITCH, &o.ruler, NULL, "measure the device's peaks in the same run (default on)", 0, 0},
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        {"profile", 0, SP_ARG_FLAG, &o.session.profile, NULL, "device time by step (its events slow small kernels)", 0, 0},
        {"json", 0, SP_ARG_FLAG, &o.json, NULL, "one JSON object with every sample", 0, 0},
    };
    const sp_args a = {.command = "bench", .synopsis = "RECIPE [options]",
                       .about = "Times training steps of a recipe on random input of its shape: the bare step, without loader, "
                                "metrics or files.",
                       .args = args, .n_args = sizeof args / sizeof *args, .min_rest = 1, .max_rest = 1,
                       .notes = "Times of single ops: spikeport plugins bench."};
    int code;
    sp_error err = {0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    return bench_recipe(rest.items[0], &o, &err) == SP_OK ? 0 : sp_cli_fail("bench", &err);
}
