/* spikeport similarity: how near the gradients of the cheaper methods come to BPTT's, over T, tau and
 * training.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/similarity_out.h"
#include "cli/session_options.h"
#include "cli/sets.h"
#include "lab/batches.h"
#include "train/train.h"

typedef struct similarity_options {
    sp_cli_session session;
    const char *out, *time_steps, *taus, *methods, *train, *reference;
    int64_t iterations, every;
    bool by_layer;
} similarity_options;

/* The next item of a list with commas; false after the last. */
static bool next_item(const char **at, char *out, size_t out_size)
{
    size_t n = strcspn(*at, ",");
    if (**at == 0)
        return false;
    snprintf(out, out_size, "%.*s", (int)(n < out_size ? n : out_size - 1), *at);
    *at += n + ((*at)[n] == ',');
    return true;
}

/* Lists from the command line; what is not named is taken from the recipe by the caller. -1: fine; else the
 * exit code. */
static int read_lists(const sp_args *a, const similarity_options *o, sp_sweep *s)
{
    double steps[SP_SWEEP_STEPS];
    char item[32];
    size_t n = 0;
    if (o->time_steps && !sp_args_numbers(o->time_steps, 1, 4096, true, SP_SWEEP_STEPS, steps, &n))
        return sp_args_wrong(a,
                             "--time-steps %s: one to %d whole numbers with commas are wanted, such as 2,4,6",
                             o->time_steps, SP_SWEEP_STEPS);
    s->n_time_steps = (int)n;
    for (size_t i = 0; i < n; i++)
        s->time_steps[i] = (int64_t)steps[i];
    if (o->taus && !sp_args_numbers(o->taus, 1, 1e9, false, SP_SWEEP_TAUS, s->taus, &n))
        return sp_args_wrong(a,
                             "--tau %s: one to %d numbers of at least 1 with commas are wanted, such as "
                             "1.1,1.25,2",
                             o->taus, SP_SWEEP_TAUS);
    s->n_taus = o->taus ? (int)n : 0;
    for (const char *at = o->methods; next_item(&at, item, sizeof item); s->n_methods++)
        if (s->n_methods == SP_COMPARED_MOST || !sp_compared_parse(item, &s->methods[s->n_methods]))
            return sp_args_wrong(a,
                                 "--methods %s: one to %d of sltt, sltt-k:K, ottt, ndot, rate, bptt with "
                                 "commas are wanted; sltt-k alone stands for the steps that --train recipe "
                                 "draws",
                                 o->methods, SP_COMPARED_MOST);
    if (s->n_methods == 0)
        return sp_args_wrong(a, "--methods needs a list such as sltt,sltt-k:2,ottt");
    if (strcmp(o->reference, "bptt") != 0 && strcmp(o->reference, "sltt") != 0)
        return sp_args_wrong(a, "--reference %s: bptt or sltt is wanted", o->reference);
    s->reference = strcmp(o->reference, "sltt") == 0 ? SP_METHOD_SLTT : SP_METHOD_BPTT;
    sp_compared train;
    if (strcmp(o->train, "recipe") != 0 && (!sp_compared_parse(o->train, &train) || train.bf16 ||
                                            (train.method == SP_METHOD_SLTT_K && !train.k)))
        return sp_args_wrong(a,
                             "--train %s: bptt, sltt, sltt-k:K, ottt, or recipe for the recipe's own "
                             "schedule is wanted; --set precision.compute=bf16 trains in bf16",
                             o->train);
    return -1;
}

static void set_schedule(sp_sets *x, const similarity_options *o)
{
    sp_compared train;
    if (strcmp(o->train, "recipe") == 0 || !sp_compared_parse(o->train, &train))
        return;
    sp_sets_add(x, "schedule.method=%s", sp_method_name(train.method));
    sp_sets_add(x, "schedule.online_update=false");
    sp_sets_add(x, "schedule.truncate=0");
    if (train.method != SP_METHOD_BPTT)
        sp_sets_add(x, "schedule.recompute=false");
    if (train.k)
        sp_sets_add(x, "schedule.backprop_steps=%lld", (long long)train.k);
}

static void set_monitor(sp_sets *x, const similarity_options *o, const sp_sweep *s)
{
    char names[SP_COMPARED_MOST * 40] = "";
    for (int i = 0; i < s->n_methods; i++) {
        char name[32];
        size_t used = strlen(names);
        sp_compared_name(&s->methods[i], name, sizeof name);
        snprintf(names + used, sizeof names - used, "%s\"%s\"", i ? ", " : "", name);
    }
    sp_sets_add(x, "monitor={gradient_similarity: {every: %lld, reference: %s, methods: [%s]}}",
                (long long)o->every, o->reference, names);
}

/* frames: of a synthetic set, which has as many as there are time steps. s NULL: the recipe as it is. */
static sp_status load_recipe(const char *path, const similarity_options *o, const sp_sweep *s, bool frames,
                             sp_recipe *r, sp_error *err)
{
    sp_sets x = {.n = 0};
    sp_sets_add_list(&x, &o->session.sets);
    if (s) {
        long long T = (long long)s->time_steps[s->step];
        sp_sets_add(&x, "schedule.time_steps=%lld", T);
        sp_sets_add(&x, "neuron.tau=%.17g", s->taus[s->tau]);
        if (frames)
            sp_sets_add(&x, "data.frames=%lld", T);
        set_schedule(&x, o);
        set_monitor(&x, o, s);
    }
    return sp_sets_load(&x, path, r, err);
}

typedef struct running {
    sp_sweep *sweep;
    sp_session *s;
    sp_replicas *replicas;
    const sp_similarity_report *report; /* of this mini-batch; NULL: not measured */
} running;

static sp_status measure_batch(void *ctx, const sp_exec_batch *e, sp_error *err)
{
    running *r = ctx;
    return sp_similarity_measure(r->s->similarity, e, &r->report, err);
}

/* A step of training with a measurement before it. */
static sp_status step(void *ctx, sp_exec_batch *e, const sp_batch *b, sp_error *err)
{
    running *r = ctx;
    sp_step_result result;
    bool measured = e->iteration % r->s->recipe.monitor.every == 0;
    sp_status st =
        sp_train_step(r->replicas, e, b->n_valid, measured ? measure_batch : NULL, r, &result, err);
    if (st == SP_E_NUMERIC)
        return sp_error_prefix(err, st, "mini-batch %d: ", e->iteration + 1);
    if (st == SP_OK && measured)
        sp_sweep_add(r->sweep, e->iteration, result.loss / (double)b->n_valid, r->report);
    return st;
}

static sp_status train(sp_session *s, const sp_dataset *ds, const similarity_options *o, sp_sweep *sweep,
                       const volatile int *stop, sp_error *err)
{
    running r = {.sweep = sweep, .s = s};
    sp_status st = sp_replicas_create(&s, 1, NULL, &r.replicas, err);
    if (st == SP_OK)
        st = sp_batches_run(s, ds, o->iterations, stop, step, &r, err);
    if (st == SP_OK && sweep->failed)
        st = SP_FAIL(err, SP_E_MEMORY, "out of memory for comparing gradients");
    sp_replicas_destroy(&r.replicas);
    return st;
}

/* Training and measuring at one T and tau. */
static sp_status measure(const char *path, const similarity_options *o, sp_sweep *s, bool frames,
                         const volatile int *stop, sp_error *err)
{
    sp_recipe r = {0};
    sp_dataset *ds = NULL;
    sp_session *session = NULL;
    sp_session_options so = sp_cli_session_options(&o->session);
    so.sharded = false; /* whole mini-batches are compared */
    SP_TRY(load_recipe(path, o, s, frames, &r, err));
    sp_status st = sp_cli_session_open(&r, &so, &session, &ds, NULL, err);
    if (st == SP_OK)
        st = sp_sweep_layers(s, session->graph, err);
    if (st == SP_OK) {
        if (s->step == 0 && s->tau == 0)
            sp_cli_say_device(session->dev, session->reg);
        sp_cli_say("T = %lld, tau = %g: %s, %lld mini-batches of %lld; device memory %.2f MiB\n",
                   (long long)s->time_steps[s->step], s->taus[s->tau], sp_method_name(session->recipe.method),
                   (long long)o->iterations, (long long)session->recipe.batch,
                   (double)session->planned_bytes / 1048576.0);
        st = train(session, ds, o, s, stop, err);
    }
    sp_dataset_close(&ds);
    sp_session_close(&session);
    return st;
}

/* Lists that were not named hold the recipe's own value. */
static sp_status complete_lists(const char *path, const similarity_options *o, sp_sweep *s, bool *frames,
                                sp_error *err)
{
    sp_recipe r = {0};
    SP_TRY(load_recipe(path, o, NULL, false, &r, err));
    *frames = r.data.frames > 0 && strcmp(r.data.name, "synthetic") == 0;
    if (s->n_time_steps == 0)
        s->time_steps[s->n_time_steps++] = r.time_steps;
    if (s->n_taus == 0)
        s->taus[s->n_taus++] = r.neuron.tau;
    sp_recipe_free(&r);
    return SP_OK;
}

static sp_status similarity(const char *path, const similarity_options *o, sp_sweep *s, sp_error *err)
{
    bool frames;
    SP_TRY(complete_lists(path, o, s, &frames, err));
    SP_TRY(sp_folder_make(o->out, 0777, err));
    SP_TRY(sp_sweep_open(s, o->out, err));
    const volatile int *stop = sp_cli_catch_signals();
    sp_status st = SP_OK, more;
    for (s->step = 0; s->step < s->n_time_steps && st == SP_OK; s->step++)
        for (s->tau = 0; s->tau < s->n_taus && st == SP_OK; s->tau++)
            st = measure(path, o, s, frames, stop, err);
    if (s->n) { /* also what was measured before an error or a signal */
        sp_error ignored = {0};
        sp_sweep_print(s, o->by_layer);
        more = sp_sweep_charts(s, o->out, st == SP_OK ? err : &ignored);
        st = st == SP_OK ? more : st;
        sp_cli_say("written: %s/{similarity.csv,means.csv,METHOD.png}\n", o->out);
    }
    return st;
}

static const char notes[] = "A layer counts in the means when it is a convolution or linear layer with a "
                            "neuron layer behind it. similarity.csv has a line\n"
                            "for every measurement, method and parameter: time_steps, tau, updates (done "
                            "before it), method, parameter, counted (in the\n"
                            "means, 0 or 1), cosine, norm_ratio (norm of the method's gradient over the "
                            "reference's), difference (norm of their difference over the\n"
                            "reference's); empty where a gradient is zero.\n"
                            "means.csv: time_steps, tau, updates, method, steps (backpropagated), loss, "
                            "cosine (mean), least_cosine (lowest layer),\n"
                            "norm_ratio and difference (means). The reference and methods without -bf16 "
                            "multiply in float32, whatever the "
                            "recipe says: --reference sltt --methods\n"
                            "sltt-bf16 shows what precision.compute: bf16 does to gradients. Layers that set "
                            "tau themselves keep it. The same inside a "
                            "training run: monitor.gradient_similarity in a recipe.";

int sp_cmd_similarity(int argc, char **argv)
{
    similarity_options o = {
        .methods = "sltt", .train = "bptt", .reference = "bptt", .iterations = 50, .every = 10};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_TEXT("time-steps", 't', &o.time_steps, "T,T,..", "numbers of time steps (default the recipe's)"),
        SP_TEXT("tau", 0, &o.taus, "TAU,..", "membrane time constants (default the recipe's)"),
        SP_TEXT("methods", 'm', &o.methods, "M,M,..",
                "what is compared: sltt, sltt-k:K, ottt, ndot, rate (default sltt); with -bf16 behind it in "
                "bf16"),
        SP_TEXT("reference", 0, &o.reference, "M", "with what: bptt (default) or sltt"),
        SP_TEXT("train", 0, &o.train, "M", "method that trains: bptt (default), sltt, .. or recipe"),
        SP_INTEGER("iterations", 'n', &o.iterations, "N", "mini-batches; 1: at the start only (default 50)",
                   1, 1000000000),
        SP_INTEGER("every", 'e', &o.every, "M", "measure every M-th mini-batch (default 10)", 1, 1000000000),
        SP_FLAG("by-layer", 0, &o.by_layer, "print the layers too"),
        SP_TEXT("out", 'o', &o.out, "DIR", "folder of the results (default runs/similarity)"),
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
    };
    const sp_args a = {.command = "similarity",
                       .synopsis = "RECIPE [options]",
                       .about = "Trains, and measures how near the gradients of cheaper methods come to "
                                "BPTT's at the same weights and mini-batch: cosine similarity and ratio of "
                                "norms by layer, over training, T and tau.",
                       SP_ARGS(args, 1, 1),
                       .notes = notes};
    int code;
    sp_error err = {0}, closing = {0};
    sp_sweep s = {.n = 0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    code = read_lists(&a, &o, &s);
    if (code >= 0)
        return code;
    o.out = o.out ? o.out : "runs/similarity";
    sp_status st = similarity(rest.items[0], &o, &s, &err);
    sp_status closed = sp_sweep_close(&s, &closing);
    if (st != SP_OK)
        return sp_cli_fail("similarity", &err);
    return closed == SP_OK ? 0 : sp_cli_fail("similarity", &closing);
}
