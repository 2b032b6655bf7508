/* The parts of `spikeport bench`: cmd_bench.c reads options and prints, bench_run.c measures, bench_layers.c
 * makes the table by layer (also train's --profile), bench_network.c writes a recipe for --network,
 * bench_sweep.c draws curves. */
#ifndef SP_CLI_BENCH_H
#define SP_CLI_BENCH_H

#include "check/peaks.h"
#include "cli/session_options.h"
#include "train/train.h"

typedef struct sp_cli_bench_options {
    sp_cli_session session;
    int64_t iterations, warmup;
    bool json, peaks, layers, real_input, overhead;
    const char *checkpoint, *save_input, *trace;
    /* instead of a recipe file */
    const char *network, *method, *input;
    int64_t batch, time_steps;
    /* sweep */
    const char *sweep, *out;
} sp_cli_bench_options;

typedef struct sp_cli_bench {
    sp_session *s;
    sp_replicas *replicas;
    float *images;
    int32_t *labels;
    float *targets; /* [batch][outputs] */
    uint64_t *spikes;
    double *ms, *rates; /* samples, ascending after the run; by node */
    int64_t n, iteration;
    int64_t backprop;        /* time steps with a backward pass, over the n mini-batches */
    uint64_t launches;       /* of the last mini-batch */
    double loss_mean;        /* mean of the first mini-batch, as the program's loss is: over its time steps */
    double open_s, first_ms; /* cold: planning and building; the first mini-batch */
    double median_ms, p5_ms, p95_ms, min_ms;
    double flops, bytes; /* of one mini-batch, as the contracts count: dense */
    sp_peaks peaks;      /* zero: not measured */
} sp_cli_bench;

/* Takes the recipe over. */
sp_status sp_cli_bench_open(sp_recipe *r, const sp_cli_bench_options *o, sp_cli_bench *b, sp_error *err);
sp_status sp_cli_bench_run(sp_cli_bench *b, const sp_cli_bench_options *o, sp_error *err);
/* One training step; *ms: its time, around waits for the device. */
sp_status sp_cli_bench_step(sp_cli_bench *b, double *ms, sp_error *err);
void sp_cli_bench_close(sp_cli_bench *b);

/* The recipe that the options describe: a file, or --network. */
sp_status sp_cli_bench_recipe(const char *path, const sp_cli_bench_options *o, sp_recipe *out, sp_error *err);

/* How often a segment runs in a mini-batch; SLTT-K's by the K that backpropagate. */
double sp_cli_segment_runs(const sp_plan *p, int64_t backprop_steps, int segment);

/* One step label of a plan: an op of a layer. */
typedef struct sp_cli_layer {
    const char *label, *layer;
    char op[48], shape[96];
    const char *variant; /* the kernel, or the first of several with this label */
    bool spikes; /* a convolution that reads bits: kernels may skip zeros, so dense rates may pass the peak */
    double launches, flops, bytes; /* of a mini-batch */
    double ms, calls;              /* of a mini-batch; in the whole profile */
} sp_cli_layer;
typedef struct sp_cli_layers {
    sp_cli_layer *items;
    size_t n;
} sp_cli_layers;
/* From plan and profile of its device, in order of the plan. Release items with sp_free. */
sp_status sp_cli_layers_make(const sp_plan *p, int64_t backprop_steps, sp_cli_layers *out, sp_error *err);

/* The kinds of work whose share of the peaks is told. */
enum {
    SP_WORK_FORWARD,
    SP_WORK_SPIKES,
    SP_WORK_BACKWARD_INPUT,
    SP_WORK_BACKWARD_WEIGHT,
    SP_WORK_DENSE,
    SP_WORK_PRODUCT,
    SP_WORK_ELEMENTWISE,
    SP_WORKS
};
const char *sp_cli_work_name(int work);
typedef struct sp_cli_work {
    double ms, rate, share; /* of a mini-batch; GFLOP/s or GB/s; of the peaks, 0 where there is none */
} sp_cli_work;
void sp_cli_layers_works(const sp_cli_layers *l, const sp_peaks *peaks, sp_cli_work out[SP_WORKS]);

/* The table, and the means below it. peaks NULL: rates without shares. */
void sp_cli_layers_print(FILE *to, const sp_cli_layers *l, const sp_peaks *peaks);
json_t *sp_cli_layers_json(const sp_cli_layers *l, const sp_peaks *peaks);
json_t *sp_cli_works_json(const sp_cli_layers *l, const sp_peaks *peaks);
/* Share of the time in reference kernels, and the largest of them (NULL: none). */
double sp_cli_layers_reference(const sp_cli_layers *l, const sp_cli_layer **largest);
/* For --profile of train: both plans, to stderr. */
void sp_cli_say_layers(const sp_session *s);

sp_status sp_cli_bench_sweep(const char *path, const sp_cli_bench_options *o, sp_error *err);
/* --overhead: training with loader, metrics and checkpoints beside the bare step. */
sp_status sp_cli_bench_overhead(const char *path, const sp_cli_bench_options *o, sp_error *err);

#endif
