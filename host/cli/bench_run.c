/* Measures training steps: made-up or real input, warm-up, samples, spikes, peaks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/rng.h"
#include "base/stats.h"
#include "base/trace.h"
#include "check/timing.h"
#include "cli/bench.h"
#include "data/loader.h"

static size_t input_items(const sp_plan *p)
{
    return (size_t)(p->tensors[p->input].bytes / 4) * (p->o.sequence ? (size_t)p->o.time_steps : 1);
}

static sp_status allocate(sp_cli_bench *b, sp_error *err)
{
    const sp_plan *p = b->s->train;
    size_t batch = (size_t)p->o.batch, nodes = (size_t)p->graph->n_nodes;
    b->images = sp_alloc_aligned(input_items(p) * sizeof *b->images, 4096);
    b->labels = sp_alloc_array(batch, sizeof *b->labels);
    b->targets = sp_alloc_pages(batch * (size_t)p->graph->classes, sizeof *b->targets);
    b->spikes = sp_alloc_array(nodes, sizeof *b->spikes);
    b->rates = sp_alloc_array(nodes, sizeof *b->rates);
    b->ms = sp_alloc_array((size_t)b->n, sizeof *b->ms);
    return b->images && b->labels && b->targets && b->spikes && b->rates && b->ms
               ? sp_replicas_create(&b->s, 1, NULL, &b->replicas, err)
               : SP_FAIL(err, SP_E_MEMORY, "out of memory for the benchmark's input");
}

static void make_up(sp_cli_bench *b)
{
    const sp_plan *p = b->s->train;
    size_t n = input_items(p);
    sp_rng r = sp_rng_make(1, 1);
    for (size_t i = 0; i < n; i++)
        b->images[i] = sp_rng_normal(&r);
    for (int64_t i = 0; i < p->o.batch; i++)
        b->labels[i] = (int32_t)sp_rng_below(&r, (uint32_t)p->graph->classes);
    for (int64_t i = 0; i < p->o.batch * p->graph->classes; i++)
        b->targets[i] = (float)sp_rng_below(&r, 2);
}

/* The first mini-batch of the recipe's training data. */
static sp_status load_batch(sp_cli_bench *b, sp_dataset *ds, sp_error *err)
{
    const sp_recipe *r = &b->s->recipe;
    const sp_loader_options lo = sp_session_loader_options(r, true);
    sp_loader *l = NULL;
    const sp_batch *batch = NULL;
    sp_status st;
    SP_TRY_GOTO(sp_loader_create(ds, &lo, &l, err));
    SP_TRY_GOTO(sp_loader_start(l, 0, 0, err));
    SP_TRY_GOTO(sp_loader_next(l, &batch, err));
    memcpy(b->images, batch->images, input_items(b->s->train) * sizeof *b->images);
    for (int64_t i = 0; i < r->batch; i++)
        b->labels[i] = batch->labels[i] < 0 ? 0 : batch->labels[i];
    if (batch->targets)
        memcpy(b->targets, batch->targets, (size_t)(r->batch * b->s->graph->classes) * sizeof *b->targets);
done:
    sp_loader_destroy(&l);
    return st;
}

/* For programs that want to measure the same input: images as [T or 1][B][H][W][C], labels. */
static sp_status save_input(const sp_cli_bench *b, const char *path, sp_error *err)
{
    const sp_plan *p = b->s->train;
    const sp_dataset_info *d = &b->s->data;
    char images[] = "images", labels[] = "labels";
    sp_tensor t[2] = {{.name = images,
                       .dtype = "F32",
                       .n_dims = 5,
                       .shape = {p->o.sequence ? p->o.time_steps : 1, p->o.batch, d->height, d->width,
                                 d->channels},
                       .data = b->images,
                       .bytes = input_items(p) * 4},
                      {.name = labels,
                       .dtype = "I32",
                       .n_dims = 1,
                       .shape = {p->o.batch},
                       .data = b->labels,
                       .bytes = (size_t)p->o.batch * 4}};
    static const char *const key = "format", *const value = SP_OUTPUT_INPUT_FORMAT;
    return sp_tensors_write(path, t, 2, &key, &value, 1, err);
}

sp_status sp_cli_bench_open(sp_recipe *r, const sp_cli_bench_options *o, sp_cli_bench *b, sp_error *err)
{
    sp_session_options so = sp_cli_session_options(&o->session);
    uint64_t start = sp_clock_ns();
    so.device_options.profiling = so.device_options.profiling || o->layers || o->trace;
    so.sharded = false; /* its input is a whole mini-batch */
    *b = (sp_cli_bench){.n = o->iterations};
    sp_dataset *ds = NULL;
    sp_status st = SP_OK;
    if (o->trace)
        st = sp_output_check(o->trace, SP_OUTPUT_TRACE, NULL, 0, err);
    if (st == SP_OK && o->save_input)
        st = sp_output_check(o->save_input, SP_OUTPUT_INPUT, NULL, 0, err);
    if (st != SP_OK) {
        sp_recipe_free(r);
        return st;
    }
    if (o->real_input)
        SP_TRY_GOTO(sp_cli_session_open(r, &so, &b->s, &ds, NULL, err));
    else
        SP_TRY_GOTO(sp_cli_shape_open(r, true, &so, &b->s, err));
    b->open_s = (double)(sp_clock_ns() - start) * 1e-9;
    SP_TRY_GOTO(allocate(b, err));
    make_up(b);
    if (o->real_input)
        SP_TRY_GOTO(load_batch(b, ds, err));
    if (o->save_input)
        SP_TRY_GOTO(save_input(b, o->save_input, err));
    if (o->checkpoint)
        SP_TRY_GOTO(sp_weights_load(o->checkpoint, b->s, err));
done:
    sp_dataset_close(&ds);
    if (st != SP_OK)
        sp_cli_bench_close(b);
    return st;
}

void sp_cli_bench_close(sp_cli_bench *b)
{
    void *all[] = {b->images, b->labels, b->targets, b->spikes, b->rates, b->ms};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sp_free(all[i]);
    sp_replicas_destroy(&b->replicas);
    sp_session_close(&b->s);
    *b = (sp_cli_bench){.n = 0};
}

sp_status sp_cli_bench_step(sp_cli_bench *b, double *ms, sp_error *err)
{
    sp_exec_batch e = {.images = b->images,
                       .labels = b->labels,
                       .targets = b->targets,
                       .iteration = (int32_t)b->iteration,
                       .lr = b->s->recipe.lr};
    sp_step_result r;
    SP_TRY(sp_device_finish(b->s->dev, err));
    uint64_t start = sp_clock_ns(), launches = b->s->dev->n_launches;
    SP_TRY(sp_train_step(b->replicas, &e, (size_t)b->s->recipe.batch, NULL, NULL, &r, err));
    uint64_t at = sp_clock_ns();
    SP_TRY(sp_device_finish(b->s->dev, err));
    sp_trace_host("update", at);
    *ms = (double)(sp_clock_ns() - start) * 1e-6;
    if (b->iteration++ == 0)
        b->loss_mean = r.loss / (double)b->s->recipe.batch;
    b->backprop += r.backprop_steps;
    b->launches = b->s->dev->n_launches - launches;
    return SP_OK;
}

/* Operations and bytes of a mini-batch as the op contracts count them: dense, whatever the spikes let a
 * kernel skip. */
static void count_work(sp_cli_bench *b)
{
    const sp_plan *p = b->s->train;
    for (int g = 0; g < p->n_segments; g++) {
        double runs = sp_cli_segment_runs(p, b->s->recipe.backprop_steps, g);
        for (int i = 0; i < p->segments[g].n; i++) {
            b->flops += runs * sp_call_flops(&p->segments[g].steps[i].call);
            b->bytes += runs * sp_call_bytes(&p->segments[g].steps[i].call);
        }
    }
}

/* The peaks before and after, the better of the two: other work on the machine lowers them. */
static sp_status measure_peaks(sp_cli_bench *b, sp_error *err)
{
    sp_peaks now = {0};
    SP_TRY(sp_peaks_measure(b->s->dev, &now, err));
    b->peaks.gflops = fmax(b->peaks.gflops, now.gflops);
    b->peaks.gbytes = fmax(b->peaks.gbytes, now.gbytes);
    return SP_OK;
}

sp_status sp_cli_bench_run(sp_cli_bench *b, const sp_cli_bench_options *o, sp_error *err)
{
    double ignored;
    SP_TRY(sp_cli_bench_step(b, &b->first_ms, err));
    for (int64_t i = 1; i < o->warmup; i++)
        SP_TRY(sp_cli_bench_step(b, &ignored, err));
    if (o->peaks)
        SP_TRY(measure_peaks(b, err));
    SP_TRY(sp_exec_clear_spikes(b->s->train, err));
    b->backprop = 0;
    sp_device_profile_reset(b->s->dev);
    if (o->trace)
        SP_TRY(sp_trace_start(200000, err));
    for (int64_t i = 0; i < b->n; i++)
        SP_TRY(sp_cli_bench_step(b, &b->ms[i], err));
    SP_TRY(sp_exec_spikes(b->s->train, b->spikes, err));
    const sp_profile_row *rows;
    sp_device_profile(b->s->dev, &rows); /* gathers the events before the peaks run again */
    if (o->trace)
        SP_TRY(sp_trace_write(o->trace, NULL, err));
    sp_trace_stop();
    SP_TRY(sp_session_rates(b->s, b->spikes, b->n * b->s->recipe.batch, b->rates, err));
    count_work(b);
    sp_sort(b->ms, (size_t)b->n);
    b->median_ms = sp_quantile(b->ms, (size_t)b->n, 0.5);
    b->p5_ms = sp_quantile(b->ms, (size_t)b->n, 0.05);
    b->p95_ms = sp_quantile(b->ms, (size_t)b->n, 0.95);
    b->min_ms = b->ms[0];
    return o->peaks ? measure_peaks(b, err) : SP_OK;
}
