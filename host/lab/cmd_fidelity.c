/* spikeport fidelity: how near the gradients of the cheaper methods come to BPTT's, over T, tau and training.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "lab/fidelity_out.h"
#include "cli/session_options.h"
#include "train/train.h"

typedef struct fidelity_options {
    sp_cli_session session;
    const char *out, *time_steps, *taus, *methods, *train, *reference;
    int64_t iterations, every;
    bool by_layer;
} fidelity_options;

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

static bool read_numbers(const char *text, double lo, double hi, int most, double *out, int *n)
{
    char item[32], *end;
    for (*n = 0; next_item(&text, item, sizeof item); (*n)++) {
        double v = strtod(item, &end);
        if (end == item || *end || !(v >= lo) || !(v <= hi) || *n == most)
            return false;
        out[*n] = v;
    }
    return *n > 0;
}

/* Lists from the command line; what is not named is taken from the recipe by the caller. -1: fine; else the
 * exit code. */
static int read_lists(const sp_args *a, const fidelity_options *o, sp_sweep *s)
{
    double steps[SP_SWEEP_STEPS];
    char item[32];
    if (o->time_steps && !read_numbers(o->time_steps, 1, 4096, SP_SWEEP_STEPS, steps, &s->n_time_steps))
        return sp_args_wrong(a,
                             "--time-steps %s: one to %d whole numbers with commas are wanted, such as 2,4,6",
                             o->time_steps, SP_SWEEP_STEPS);
    for (int i = 0; i < s->n_time_steps; i++) {
        s->time_steps[i] = (int64_t)steps[i];
        if (steps[i] > (double)s->time_steps[i])
            return sp_args_wrong(a, "--time-steps %s: %g is not a whole number", o->time_steps, steps[i]);
    }
    if (o->taus && !read_numbers(o->taus, 1, 1e9, SP_SWEEP_TAUS, s->taus, &s->n_taus))
        return sp_args_wrong(a,
                             "--tau %s: one to %d numbers of at least 1 with commas are wanted, such as "
                             "1.1,1.25,2",
                             o->taus, SP_SWEEP_TAUS);
    for (const char *at = o->methods; next_item(&at, item, sizeof item); s->n_methods++)
        if (s->n_methods == SP_COMPARED_MOST || !sp_compared_parse(item, &s->methods[s->n_methods]))
            return sp_args_wrong(a,
                                 "--methods %s: one to %d of sltt, sltt-k:K, ottt, bptt with commas are "
                                 "wanted; sltt-k alone "
                                 "stands for the steps that --train recipe draws",
                                 o->methods, SP_COMPARED_MOST);
    if (s->n_methods == 0)
        return sp_args_wrong(a, "--methods needs a list such as sltt,sltt-k:2,ottt");
    if (strcmp(o->reference, "bptt") != 0 && strcmp(o->reference, "sltt") != 0)
        return sp_args_wrong(a, "--reference %s: bptt or sltt is wanted", o->reference);
    s->reference = strcmp(o->reference, "sltt") == 0 ? SP_METHOD_SLTT : SP_METHOD_BPTT;
    sp_compared train;
    if (strcmp(o->train, "recipe") != 0 &&
        (!sp_compared_parse(o->train, &train) || (train.method == SP_METHOD_SLTT_K && !train.k)))
        return sp_args_wrong(a,
                             "--train %s: bptt, sltt, sltt-k:K, ottt, or recipe for the recipe's own "
                             "schedule is wanted",
                             o->train);
    return -1;
}

/* The --set texts of one place in the sweep: the person's, then ours. Ours are freed by the caller. */
typedef struct sets {
    const char *items[SP_ARGS_MAX + 16];
    char *own[16];
    size_t n, n_own;
    bool failed;
} sets;

static void add_set(sets *s, char *text)
{
    s->failed = s->failed || !text;
    s->own[s->n_own++] = text;
    s->items[s->n++] = text;
}

static void set_schedule(sets *x, const fidelity_options *o)
{
    sp_compared train;
    if (strcmp(o->train, "recipe") == 0 || !sp_compared_parse(o->train, &train))
        return;
    add_set(x, sp_format("schedule.method=%s", sp_method_name(train.method)));
    add_set(x, sp_strdup("schedule.online_update=false"));
    add_set(x, sp_strdup("schedule.truncate=0"));
    if (train.method != SP_METHOD_BPTT)
        add_set(x, sp_strdup("schedule.recompute=false"));
    if (train.k)
        add_set(x, sp_format("schedule.backprop_steps=%lld", (long long)train.k));
}

static void set_monitor(sets *x, const fidelity_options *o, const sp_sweep *s)
{
    sp_text t = {0};
    sp_text_add(&t, "monitor={fidelity: {every: %lld, reference: %s, methods: [", (long long)o->every,
                o->reference);
    for (int i = 0; i < s->n_methods; i++) {
        char name[32];
        sp_compared_name(&s->methods[i], name, sizeof name);
        sp_text_add(&t, "%s\"%s\"", i ? ", " : "", name);
    }
    sp_text_add(&t, "]}}");
    add_set(x, t.failed ? NULL : t.s);
}

/* frames: of a synthetic set, which has as many as there are time steps; 0 else. */
static sp_status load_recipe(const char *path, const fidelity_options *o, const sp_sweep *s, bool frames,
                             sp_recipe *r, sp_error *err)
{
    sets x = {.n = o->session.sets.n};
    sp_status st;
    memcpy(x.items, o->session.sets.items, x.n * sizeof *x.items);
    if (s->n_time_steps) {
        long long T = (long long)s->time_steps[s->step];
        add_set(&x, sp_format("schedule.time_steps=%lld", T));
        add_set(&x, sp_format("neuron.tau=%.17g", s->taus[s->tau]));
        if (frames)
            add_set(&x, sp_format("data.frames=%lld", T));
        set_schedule(&x, o);
        set_monitor(&x, o, s);
    }
    st = x.failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the settings")
                  : sp_recipe_load(path, x.items, x.n, r, err);
    for (size_t i = 0; i < x.n_own; i++)
        sp_free(x.own[i]);
    return st;
}

/* Training and measuring at one T and tau. */
static sp_status measure(const char *path, const fidelity_options *o, sp_sweep *s, bool frames, sp_error *err)
{
    sp_recipe r = {0};
    sp_dataset *ds = NULL;
    sp_session *session = NULL;
    sp_session_options so = sp_cli_session_options(&o->session);
    sp_fidelity_run run = {.iterations = o->iterations, .stop = s->stop, .each = sp_sweep_add, .ctx = s};
    SP_TRY(load_recipe(path, o, s, frames, &r, err));
    sp_status st = sp_cli_session_open(&r, &so, &session, &ds, err);
    if (st == SP_OK)
        st = sp_sweep_layers(s, session->graph, err);
    if (st == SP_OK) {
        if (s->step == 0 && s->tau == 0)
            sp_cli_say_device(session->dev, session->reg);
        sp_cli_say("T = %lld, tau = %g: %s, %lld mini-batches of %lld; device memory %.2f MiB\n",
                   (long long)s->time_steps[s->step], s->taus[s->tau], sp_method_name(session->recipe.method),
                   (long long)o->iterations, (long long)session->recipe.batch,
                   (double)session->planned_bytes / 1048576.0);
        st = sp_fidelity_train(session, ds, &run, err);
    }
    sp_dataset_close(&ds);
    sp_session_close(&session);
    return st == SP_OK && s->failed ? SP_FAIL(err, SP_E_MEMORY, "out of memory for the results") : st;
}

/* Lists that were not named hold the recipe's own value. */
static sp_status complete_lists(const char *path, const fidelity_options *o, sp_sweep *s, bool *frames,
                                sp_error *err)
{
    sp_recipe r = {0};
    sp_sweep none = {.n = 0};
    SP_TRY(load_recipe(path, o, &none, false, &r, err));
    *frames = r.data.frames > 0 && strcmp(r.data.name, "synthetic") == 0;
    if (s->n_time_steps == 0)
        s->time_steps[s->n_time_steps++] = r.time_steps;
    if (s->n_taus == 0)
        s->taus[s->n_taus++] = r.neuron.tau;
    sp_recipe_free(&r);
    return SP_OK;
}

static sp_status fidelity(const char *path, const fidelity_options *o, sp_sweep *s, sp_error *err)
{
    bool frames;
    SP_TRY(complete_lists(path, o, s, &frames, err));
    SP_TRY(sp_folder_make(o->out, 0777, err));
    SP_TRY(sp_sweep_open(s, o->out, err));
    s->stop = sp_cli_catch_signals();
    sp_status st = SP_OK, more;
    for (s->step = 0; s->step < s->n_time_steps && st == SP_OK; s->step++)
        for (s->tau = 0; s->tau < s->n_taus && st == SP_OK; s->tau++)
            st = measure(path, o, s, frames, err);
    if (s->n) { /* also what was measured before an error or a signal */
        sp_error ignored = {0};
        sp_sweep_print(s, o->by_layer);
        more = sp_sweep_charts(s, o->out, st == SP_OK ? err : &ignored);
        st = st == SP_OK ? more : st;
        sp_cli_say("written: %s/{fidelity.csv,means.csv,METHOD.png}\n", o->out);
    }
    return st;
}

static const char notes[] = "A layer counts in the means when it is a convolution or linear layer with a "
                            "neuron layer behind it. fidelity.csv has a line\n"
                            "for every measurement, method and parameter: time_steps, tau, updates (done "
                            "before it), method, parameter, counted (in the\n"
                            "means, 0 or 1), cosine, norm_ratio (norm of the method's gradient over the "
                            "reference's); empty where a gradient is zero.\n"
                            "means.csv: time_steps, tau, updates, method, steps (backpropagated), loss, "
                            "cosine (mean), least_cosine (lowest layer),\n"
                            "norm_ratio (mean). Layers that set tau themselves keep it. The same inside a "
                            "training run: monitor.fidelity in a recipe.";

int sp_cmd_fidelity(int argc, char **argv)
{
    fidelity_options o = {
        .methods = "sltt", .train = "bptt", .reference = "bptt", .iterations = 50, .every = 10};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        {"time-steps", 't', SP_ARG_TEXT, &o.time_steps, "T,T,..",
         "numbers of time steps (default the recipe's)", 0, 0},
        {"tau", 0, SP_ARG_TEXT, &o.taus, "TAU,..", "membrane time constants (default the recipe's)", 0, 0},
        {"methods", 'm', SP_ARG_TEXT, &o.methods, "M,M,..",
         "what is compared: sltt, sltt-k:K, ottt (default sltt)", 0, 0},
        {"reference", 0, SP_ARG_TEXT, &o.reference, "M", "with what: bptt (default) or sltt", 0, 0},
        {"train", 0, SP_ARG_TEXT, &o.train, "M", "method that trains: bptt (default), sltt, .. or recipe", 0,
         0},
        {"iterations", 'n', SP_ARG_INTEGER, &o.iterations, "N",
         "mini-batches; 1: at the start only (default 50)", 1, 1000000000},
        {"every", 'e', SP_ARG_INTEGER, &o.every, "M", "measure every M-th mini-batch (default 10)", 1,
         1000000000},
        {"by-layer", 0, SP_ARG_FLAG, &o.by_layer, NULL, "print the layers too", 0, 0},
        {"out", 'o', SP_ARG_TEXT, &o.out, "DIR", "folder of the results (default runs/fidelity)", 0, 0},
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
    };
    const sp_args a = {.command = "fidelity",
                       .synopsis = "RECIPE [options]",
                       .about = "Trains, and measures how near the gradients of cheaper methods come to "
                                "BPTT's at the same weights "
                                "and mini-batch: cosine similarity and ratio of norms by layer, over "
                                "training, T and tau.",
                       .args = args,
                       .n_args = sizeof args / sizeof *args,
                       .min_rest = 1,
                       .max_rest = 1,
                       .notes = notes};
    int code;
    sp_error err = {0}, closing = {0};
    sp_sweep s = {.n = 0};
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    code = read_lists(&a, &o, &s);
    if (code >= 0)
        return code;
    o.out = o.out ? o.out : "runs/fidelity";
    sp_status st = fidelity(rest.items[0], &o, &s, &err);
    sp_status closed = sp_sweep_close(&s, &closing);
    if (st != SP_OK)
        return sp_cli_fail("fidelity", &err);
    return closed == SP_OK ? 0 : sp_cli_fail("fidelity", &closing);
}
