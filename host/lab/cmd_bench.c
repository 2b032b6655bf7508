/* spikeport bench: times training steps of a recipe or a known network; prints what bench_run.c measured. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "cli/bench.h"
#include "lab/suite.h"

static json_t *rates_json(const sp_cli_bench *b)
{
    json_t *o = json_object();
    for (int i = 0; i < b->s->graph->n_nodes; i++)
        if (sp_node_fires(&b->s->graph->nodes[i]))
            json_object_set_new(o, b->s->graph->nodes[i].name, json_real(b->rates[i]));
    return o;
}

static long resident_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

static sp_status print_json(const sp_cli_bench *b, const sp_cli_bench_options *o, const sp_cli_layers *l)
{
    const sp_recipe *r = &b->s->recipe;
    const sp_peaks *peaks = o->peaks ? &b->peaks : NULL;
    json_t *raw = json_array();
    for (int64_t i = 0; i < b->n; i++)
        json_array_append_new(raw, json_real(b->ms[i]));
    json_t *j = json_pack("{s:s, s:o, s:o, s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, "
                          "s:I, s:f, s:f, s:f, s:f, s:f, s:o, s:o}",
                          "name", r->name, "device", sp_cli_json_text(b->s->dev->info.name), "driver",
                          sp_cli_json_text(b->s->dev->info.driver), "method", sp_method_name(r->method),
                          "batch", (json_int_t)r->batch, "time_steps", (json_int_t)r->time_steps, "median_ms",
                          b->median_ms, "p5_ms", b->p5_ms, "p95_ms", b->p95_ms, "min_ms", b->min_ms,
                          "cold_first_ms", b->first_ms, "open_s", b->open_s, "samples_per_second",
                          (double)r->batch / b->median_ms * 1e3, "device_bytes",
                          (json_int_t)b->s->planned_bytes, "parameter_bytes", (json_int_t)b->s->model->bytes,
                          "resident_kib", (json_int_t)resident_kib(), "launches", (json_int_t)b->launches,
                          "loss", b->loss_mean, "gflops_dense", b->flops / b->median_ms * 1e-6, "gbytes",
                          b->bytes / b->median_ms * 1e-6, "peak_gflops", b->peaks.gflops, "peak_gbytes",
                          b->peaks.gbytes, "spike_rate", rates_json(b), "samples_ms", raw);
    if (l) {
        json_object_set_new(j, "layers", sp_cli_layers_json(l, peaks));
        json_object_set_new(j, "work", sp_cli_works_json(l, peaks));
    }
    return sp_cli_json_line(j);
}

static void print_text(const sp_cli_bench *b, const sp_cli_bench_options *o, const sp_cli_layers *l)
{
    const sp_recipe *r = &b->s->recipe;
    printf("%s: %s, T = %lld, batch %lld on %s\n", r->name, sp_method_name(r->method),
           (long long)r->time_steps, (long long)r->batch, b->s->dev->info.name);
    printf("training step  median %.2f ms (5%% %.2f, 95%% %.2f, %lld mini-batches after %lld), %.1f "
           "samples/s, %llu launches\n",
           b->median_ms, b->p5_ms, b->p95_ms, (long long)b->n, (long long)(o->warmup > 1 ? o->warmup : 1),
           (double)r->batch / b->median_ms * 1e3, (unsigned long long)b->launches);
    if (r->method == SP_METHOD_SLTT_K)
        printf("backward       at %.2f of %lld time steps\n", (double)b->backprop / (double)b->n,
               (long long)r->time_steps);
    printf("cold           %.2f s to plan and build, first mini-batch %.2f ms\n", b->open_s, b->first_ms);
    printf("device memory  %.2f MiB, of it %.2f MiB parameters, gradients and optimizer\n",
           (double)b->s->planned_bytes / 1048576.0, (double)b->s->model->bytes / 1048576.0);
    printf("arithmetic     %.1f GFLOP/s counted dense, %.1f GB/s read and written by the contracts",
           b->flops / b->median_ms * 1e-6, b->bytes / b->median_ms * 1e-6);
    if (o->peaks)
        printf("; peaks of this run: %.0f GFLOP/s multiply-add, %.1f GB/s copy", b->peaks.gflops,
               b->peaks.gbytes);
    const char *head = "\nfiring        ";
    for (int i = 0; i < b->s->graph->n_nodes; i++)
        if (sp_node_fires(&b->s->graph->nodes[i])) {
            printf("%s %s %.3f", head, b->s->graph->nodes[i].name, b->rates[i]);
            head = "";
        }
    printf("\n");
    if (!l)
        return;
    printf("\n");
    sp_cli_layers_print(stdout, l, o->peaks ? &b->peaks : NULL);
}

static sp_status bench(const char *path, const sp_cli_bench_options *o, sp_error *err)
{
    sp_recipe r = {0};
    sp_cli_bench b;
    sp_cli_layers l = {.n = 0};
    sp_status st = sp_cli_bench_recipe(path, o, &r, err);
    if (st != SP_OK)
        return st;
    st = sp_cli_bench_open(&r, o, &b, err);
    if (st != SP_OK)
        return st;
    sp_cli_say_session(b.s);
    st = sp_cli_bench_run(&b, o, err);
    if (st == SP_OK && o->layers)
        st = sp_cli_layers_make(b.s->train, b.s->recipe.backprop_steps, &l, err);
    if (st == SP_OK && o->json)
        st = print_json(&b, o, o->layers ? &l : NULL);
    else if (st == SP_OK)
        print_text(&b, o, o->layers ? &l : NULL);
    sp_free(l.items);
    sp_cli_bench_close(&b);
    return st;
}

static int bench_of(const sp_args *a, const sp_arg_list *rest, const sp_cli_bench_options *o)
{
    sp_error err = {0};
    if ((rest->n == 1) == (o->network != NULL))
        return sp_args_wrong(a, rest->n ? "a recipe and --network exclude each other"
                                        : "name a recipe, or a network with --network");
    const char *path = rest->n ? rest->items[0] : NULL;
    sp_status st = o->overhead ? sp_cli_bench_overhead(path, o, &err)
                   : o->sweep  ? sp_cli_bench_sweep(path, o, &err)
                               : bench(path, o, &err);
    return st == SP_OK ? 0 : sp_cli_fail("bench", &err);
}

int sp_cmd_bench(int argc, char **argv)
{
    sp_cli_bench_options o = {.iterations = 10, .warmup = 2, .peaks = true, .out = "."};
    sp_arg_list rest = {.n = 0};
    bool profile = false;
    const sp_arg args[] = {
        SP_INTEGER("iterations", 'n', &o.iterations, "N", "mini-batches to time (default 10)", 1, 100000),
        SP_INTEGER("warmup", 0, &o.warmup, "N", "mini-batches before, at least 1: the cold one (default 2)",
                   0, 100000),
        SP_TEXT("network", 0, &o.network, "NAME",
                "a network of `spikeport network --list` instead of a recipe"),
        SP_TEXT("input", 0, &o.input, "CxHxW", "with --network: its input (default as published)"),
        SP_TEXT("schedule", 0, &o.method, "NAME",
                "sltt, sltt-1 (K = 1), bptt, ottt; default the recipe's, or sltt; --sweep takes several"),
        SP_INTEGER("steps", 'T', &o.time_steps, "T", "time steps (default the recipe's, or 6)", 1, 4096),
        SP_INTEGER("batch", 0, &o.batch, "N", "samples of a mini-batch (default the recipe's, or 32)", 1,
                   1 << 20),
        SP_TEXT("checkpoint", 0, &o.checkpoint, "FILE",
                "weights to start from, so that trained firing rates are measured"),
        SP_FLAG("real-input", 0, &o.real_input,
                "the first mini-batch of the recipe's data, not random numbers"),
        SP_TEXT("save-input", 0, &o.save_input, "FILE", "write the input as safetensors, for other programs"),
        SP_TEXT("sweep", 0, &o.sweep, "NAME=V,V,...",
                "curves over time_steps, batch, width (of the channels) or k (of SLTT-K)"),
        SP_TEXT("out", 'o', &o.out, "DIR", "with --sweep: folder of its CSV file and picture (default .)"),
        SP_FLAG("overhead", 0, &o.overhead,
                "training with loader, metrics and checkpoint beside the bare step"),
        SP_FLAG("layers", 0, &o.layers,
                "time, rate and share of the peaks by layer (events slow small kernels)"),
        SP_FLAG("profile", 0, &profile, "the same"),
        SP_TEXT("trace", 0, &o.trace, "FILE", "write what ran when, for chrome://tracing or Perfetto"),
        SP_SWITCH("peaks", 0, &o.peaks, "measure the device's peaks in the same run (default on)"),
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        SP_FLAG("json", 0, &o.json, "one JSON object with every sample"),
    };
    const sp_args a = {.command = "bench",
                       .synopsis = "RECIPE | --network NAME [options]; bench suite; bench diff OLD NEW",
                       .about = "Times training steps of a recipe on random input of its shape: the bare "
                                "step, without loader, metrics or files.",
                       SP_ARGS(args, 0, 1),
                       .notes = "Example: spikeport bench --network resnet18 --schedule sltt --batch 32 "
                                "--steps 6 --layers\n"
                                "         spikeport bench recipes/bench/small.yaml --sweep "
                                "time_steps=1,2,4,6,8 --out runs/curves\n"
                                "Times of single ops: spikeport plugins bench. All levels on all devices, "
                                "with a report: spikeport bench suite."};
    int code;
    if (argc > 1 && strcmp(argv[1], "suite") == 0)
        return sp_cmd_bench_suite(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "diff") == 0)
        return sp_cmd_bench_diff(argc - 1, argv + 1);
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    o.layers = o.layers || profile;
    return bench_of(&a, &rest, &o);
}
