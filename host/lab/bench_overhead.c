/* Training as it is run (loader, metrics, looking at loss and gradients, checkpoint) beside the bare step on
 * one mini-batch in memory, in alternation: what everything around the device costs. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "check/timing.h"
#include "cli/bench.h"

enum { ROUNDS = 9 };

typedef struct overhead {
    sp_cli_bench b;
    sp_dataset *train, *test;
    char folder[512];
    uint64_t start_ns;
    double start_cpu;
    int64_t n;                                        /* mini-batches of a round */
    double bare[ROUNDS], full[ROUNDS], ratio[ROUNDS]; /* samples a second; full of bare */
    double bare_cpu,
        full_cpu; /* processor seconds of all threads, all rounds: less noisy where the device is the CPU */
} overhead;

static void start(overhead *h)
{
    h->start_ns = sp_clock_ns();
    h->start_cpu = sp_clock_cpu_seconds();
}

/* Time counts from the moment when everything is ready. */
static void on_event(void *ctx, const sp_train_event *e)
{
    overhead *h = ctx;
    if (e->kind == SP_EVENT_START)
        start(h);
}

static double samples_per_second(const overhead *h)
{
    return (double)(h->n * h->b.s->recipe.batch) / ((double)(sp_clock_ns() - h->start_ns) * 1e-9);
}

static sp_status run_bare(overhead *h, double *rate, sp_error *err)
{
    sp_session *s = h->b.s;
    SP_TRY(sp_device_finish(s->dev, err));
    start(h);
    for (int64_t i = 0; i < h->n; i++) {
        sp_exec_batch e = {.images = h->b.images,
                           .labels = h->b.labels,
                           .targets = h->b.targets,
                           .iteration = (int32_t)i,
                           .lr = s->recipe.lr};
        sp_step_result r;
        SP_TRY(sp_train_step(h->b.replicas, &e, (size_t)s->recipe.batch, NULL, NULL, &r, err));
    }
    SP_TRY(sp_device_finish(s->dev, err));
    *rate = samples_per_second(h);
    return SP_OK;
}

/* Up to max_iterations, then the checkpoint of an interrupted run is written: it is within the time. */
static sp_status run_training(overhead *h, double *rate, sp_error *err)
{
    sp_train_options o = {
        .out = h->folder, .overwrite = true, .report = on_event, .ctx = h, .max_iterations = h->n};
    sp_error why = {0};
    sp_status st = sp_train(h->b.s, h->train, h->test, &o, &why);
    *rate = samples_per_second(h);
    if (st == SP_OK || st == SP_E_INTERRUPTED)
        return SP_OK;
    if (err)
        *err = why;
    return st;
}

static void remove_folder(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char *file = sp_format("%s/%s", path, e->d_name); /* "." and ".." stay: they are folders */
        if (file)
            unlink(file);
        sp_free(file);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static sp_status measure(overhead *h, sp_error *err)
{
    const sp_recipe *r = &h->b.s->recipe;
    int64_t epoch = (int64_t)h->train->info.count / r->batch;
    double ignored;
    h->n = h->b.n < epoch ? h->b.n : epoch;
    if (h->n < 1)
        return SP_FAIL(err, SP_E_CONFIG, "%s: the training data are less than a mini-batch", r->doc.file);
    SP_TRY(run_bare(h, &ignored, err)); /* warm */
    for (int i = 0; i < ROUNDS; i++) {
        SP_TRY(run_bare(h, &h->bare[i], err));
        h->bare_cpu += sp_clock_cpu_seconds() - h->start_cpu;
        SP_TRY(run_training(h, &h->full[i], err));
        h->full_cpu += sp_clock_cpu_seconds() - h->start_cpu;
        h->ratio[i] = h->full[i] / h->bare[i];
    }
    return SP_OK;
}

static sp_status print(overhead *h, const sp_cli_bench_options *o)
{
    double bare = sp_timing_median(h->bare, ROUNDS), full = sp_timing_median(h->full, ROUNDS);
    double ratio = sp_timing_median(h->ratio, ROUNDS);
    const sp_recipe *r = &h->b.s->recipe;
    if (o->json)
        return sp_cli_json_line(json_pack("{s:s, s:o, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "name",
                                          r->name, "device", sp_cli_json_text(h->b.s->dev->info.name),
                                          "batch", (json_int_t)r->batch, "iterations", (json_int_t)h->n,
                                          "bare_samples_per_second", bare, "training_samples_per_second",
                                          full, "ratio", ratio, "ratio_min", h->ratio[0], "ratio_max",
                                          h->ratio[ROUNDS - 1], "cpu_ratio", h->bare_cpu / h->full_cpu));
    printf("%s: batch %lld on %s; %d rounds of %lld mini-batches, in alternation\n"
           "bare step                                  %10.1f samples/s\n"
           "training with loader, metrics, checkpoint  %10.1f samples/s: %.1f %% of it (%.1f to %.1f)\n"
           "processor time of all threads              %10.1f %% of it by that count\n",
           r->name, (long long)r->batch, h->b.s->dev->info.name, ROUNDS, (long long)h->n, bare, full,
           100 * ratio, 100 * h->ratio[0], 100 * h->ratio[ROUNDS - 1], 100 * h->bare_cpu / h->full_cpu);
    return SP_OK;
}

sp_status sp_cli_bench_overhead(const char *path, const sp_cli_bench_options *o, sp_error *err)
{
    sp_cli_bench_options real = *o;
    sp_recipe r = {0};
    overhead *h = sp_alloc(sizeof *h);
    sp_status st = h ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for the benchmark");
    if (st != SP_OK)
        return st;
    real.real_input = true;
    const char *temporary = getenv("TMPDIR");
    snprintf(h->folder, sizeof h->folder, "%.400s/spikeport-overhead-XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    SP_TRY_GOTO(mkdtemp(h->folder) ? SP_OK : SP_FAIL(err, SP_E_IO, "%s cannot be made", h->folder));
    SP_TRY_GOTO(sp_cli_bench_recipe(path, &real, &r, err));
    SP_TRY_GOTO(sp_cli_bench_open(&r, &real, &h->b, err));
    sp_cli_say_device(h->b.s->dev, h->b.s->reg);
    SP_TRY_GOTO(sp_session_dataset(&h->b.s->recipe, true, &h->train, err));
    SP_TRY_GOTO(sp_session_dataset(&h->b.s->recipe, false, &h->test, err));
    SP_TRY_GOTO(measure(h, err));
    st = print(h, o);
done:
    remove_folder(h->folder);
    sp_dataset_close(&h->train);
    sp_dataset_close(&h->test);
    sp_cli_bench_close(&h->b);
    sp_free(h);
    return st;
}
