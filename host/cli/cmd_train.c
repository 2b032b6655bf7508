/* spikeport train: runs a recipe, or continues a run. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/trace.h"
#include "cli/bench.h"
#include "cli/progress.h"
#include "cli/session_options.h"
#include "train/run_folder.h"

typedef struct train_options {
    sp_cli_session session;
    int64_t sub_devices;
    const char *out, *resume, *trace;
    bool json, print_recipe, overwrite;
    int lock;
    int64_t max_iterations;
    const volatile int *stop;
} train_options;

/* The sessions of a run: one, or one for each device that shares the mini-batches. */
typedef struct replicas {
    sp_session *members[SP_CLI_MAX_DEVICES];
    size_t n;
    sp_dataset *train, *test;
} replicas;

static void close_replicas(replicas *t)
{
    while (t->n > 0)
        sp_session_close(&t->members[--t->n]);
    sp_dataset_close(&t->train);
    sp_dataset_close(&t->test);
}

static sp_status run(const replicas *m, const train_options *o, const sp_checkpoint *resume, sp_error *err)
{
    sp_session *s = m->members[0];
    sp_progress_line line = sp_progress_line_make(o->json);
    sp_train_options t = {.out = o->out,
                          .overwrite = o->overwrite,
                          .sets = (const char *const *)o->session.sets.items,
                          .n_sets = o->session.sets.n,
                          .lock = o->lock,
                          .resume = resume,
                          .stop = o->stop,
                          .report = sp_progress_report,
                          .ctx = &line,
                          .max_iterations = o->max_iterations,
                          .members = m->members,
                          .n_members = m->n};
    sp_status st = sp_train(s, m->train, m->test, &t, err);
    sp_progress_line_end(&line);
    return st;
}

/* How the kernels of the training plan were chosen. */
static void say_kernels(const sp_plan *p)
{
    int measured = 0, all = 0;
    for (int g = 0; g < p->n_segments; g++)
        for (int i = 0; i < p->segments[g].n; i++, all++)
            measured += strncmp(p->segments[g].steps[i].why, "wisdom:", 7) == 0;
    if (measured)
        sp_cli_say("kernels: %d of %d launches by wisdom (measured on this device; --no-wisdom turns it "
                   "off), "
                   "the others by "
                   "score; `spikeport plan` has each\n",
                   measured, all);
    else
        sp_cli_say("kernels: by score; `spikeport tune` measures which are the fastest here\n");
}

static void say_start(const sp_session *s, const sp_recipe *r)
{
    sp_cli_say_device(s->dev, s->reg);
    sp_cli_say("recipe: %s: %s, T = %lld%s, batch %lld, %lld epochs, seed %lld\n", r->name,
               sp_method_name(r->method), (long long)r->time_steps,
               r->method == SP_METHOD_SLTT_K ? " (backpropagates at K of them)" : "", (long long)r->batch,
               (long long)r->epochs, (long long)r->seed);
    if (r->half) {
        sp_half_stats half = sp_plan_half(s->train);
        sp_cli_say("precision: activations stored as half, %d tensors of %.2f MiB (float32: %.2f MiB)\n",
                   half.tensors, (double)half.bytes / 1048576.0, (double)half.bytes / 524288.0);
    }
    sp_cli_say("network: %lld parameters, %lld neurons a sample; device memory %.2f MiB planned\n",
               (long long)s->graph->n_trainable, (long long)sp_graph_neurons(s->graph),
               (double)s->planned_bytes / 1048576.0);
    say_kernels(s->train);
}

static sp_status load_recipe(const char *path, const train_options *o, const sp_checkpoint *c, sp_recipe *r,
                             sp_error *err)
{
    return o->resume ? sp_checkpoint_recipe(c, o->session.sets.items, o->session.sets.n, r, err)
                     : sp_recipe_load(path, o->session.sets.items, o->session.sets.n, r, err);
}

/* Before kernels are built. Named classes are compared before the network is, whose error would only count
 * them. */
static sp_status check_resume(const train_options *o, const sp_checkpoint *c, sp_error *err)
{
    sp_recipe r = {0};
    sp_dataset *train = NULL;
    bool named = c->progress.classes && strcmp(c->progress.classes, "[]") != 0;
    sp_status st = load_recipe(NULL, o, c, &r, err);
    if (st == SP_OK)
        st = sp_checkpoint_check_recipe(c, &r, err);
    if (st == SP_OK && named)
        st = sp_session_dataset(&r, true, &train, err);
    if (st == SP_OK && named)
        st = sp_checkpoint_check_classes(c, train, err);
    sp_dataset_close(&train);
    sp_recipe_free(&r);
    return st;
}

/* A session on each device of --device A,B, or on each part of one device (--sub-devices N). */
static sp_status open_members(const char *path, const train_options *o, const sp_checkpoint *c,
                              const char *const *names, size_t n, replicas *t, sp_error *err)
{
    sp_session_options so = sp_cli_session_options(&o->session);
    so.device_options.profiling = so.device_options.profiling || o->trace;
    for (size_t i = 0; i < n; i++) {
        sp_recipe r = {0};
        SP_TRY(load_recipe(path, o, c, &r, err));
        so.device = o->sub_devices > 1 ? names[0] : names[i];
        so.device_options.parts = o->sub_devices > 1 ? (int)n : 0;
        so.device_options.part = (int)i;
        so.shares = (int)n;
        so.share = (int)i;
        so.eval_samples = i ? t->test->info.count : 0;
        SP_TRY(i ? sp_session_open(&r, &t->train->info, &so, &t->members[i], err)
                 : sp_cli_session_open(&r, &so, &t->members[i], &t->train, &t->test, err));
        t->n++;
    }
    return SP_OK;
}

static sp_status open_replicas(const char *path, const train_options *o, const sp_checkpoint *c, replicas *t,
                               sp_error *err)
{
    const char *list = o->session.device, *names[SP_CLI_MAX_DEVICES] = {list};
    char *text = NULL;
    size_t n = o->sub_devices > 1 ? (size_t)o->sub_devices : 1;
    sp_status st = SP_OK;
    if (list && strchr(list, ',') && o->sub_devices < 2)
        st = sp_cli_device_names("--device", list, &text, names, &n, err);
    if (st == SP_OK)
        st = open_members(path, o, c, names, n, t, err);
    sp_free(text);
    return st;
}

static void say_replicas(const replicas *t)
{
    for (size_t i = 0; i < t->n && t->n > 1; i++)
        sp_cli_say("device %zu of %zu: %s%s, %u compute units, %lld samples of each mini-batch\n", i + 1,
                   t->n, t->members[i]->dev->info.name, t->members[i]->dev->is_part ? " (a part)" : "",
                   t->members[i]->dev->info.compute_units, (long long)t->members[i]->train->o.batch);
    if (t->n > 1)
        sp_cli_say("gradients are summed on the host in this order; batch norms see one device's "
                   "samples only\n");
}

enum { TRACE_SPANS = 200000 };

static sp_status write_trace(sp_device *dev, const char *path, sp_error *err)
{
    size_t dropped = 0;
    const sp_profile_row *rows;
    sp_device_profile(dev, &rows); /* the events that are still held */
    sp_status st = sp_trace_write(path, &dropped, err);
    if (st == SP_OK)
        sp_cli_say("trace: %s (open it in chrome://tracing or Perfetto)%s\n", path,
                   dropped ? "; it ends early, at its limit of 200000 spans" : "");
    sp_trace_stop();
    return st;
}

static int train(const char *recipe_path, train_options *o)
{
    sp_error err = {0};
    sp_recipe r = {0};
    sp_checkpoint c = {0};
    replicas t = {.n = 0};
    sp_status st = o->resume ? sp_checkpoint_open(o->resume, &c, &err) : SP_OK;
    if (st == SP_OK && o->print_recipe) {
        st = load_recipe(recipe_path, o, &c, &r, &err);
        sp_text text = {0};
        if (st == SP_OK)
            sp_recipe_print(&r, &text);
        fputs(text.s ? text.s : "", stdout);
        sp_text_free(&text);
        sp_recipe_free(&r);
        sp_checkpoint_close(&c);
        return st == SP_OK ? 0 : sp_cli_fail("train", &err);
    }
    if (st == SP_OK) /* before kernels are built */
        st = sp_run_folder_open(o->out, o->resume ? c.file.path : NULL, o->overwrite, &o->lock, &err);
    if (st == SP_OK && o->resume)
        st = check_resume(o, &c, &err);
    if (st == SP_OK)
        st = open_replicas(recipe_path, o, &c, &t, &err);
    if (st == SP_OK) {
        sp_session *s = t.members[0];
        o->stop = sp_cli_catch_signals();
        say_start(s, &s->recipe);
        say_replicas(&t);
        if (o->trace)
            st = sp_trace_start(TRACE_SPANS, &err);
        if (st == SP_OK)
            st = run(&t, o, o->resume ? &c : NULL, &err);
        if (st == SP_OK)
            sp_cli_say("device memory: %llu bytes planned, %llu bytes at the peak\nwritten: "
                       "%s/{metrics.jsonl,curves.png,"
                       "checkpoint.safetensors,best.safetensors,recipe.yaml}\n",
                       (unsigned long long)s->planned_bytes, (unsigned long long)s->dev->peak_bytes, o->out);
        sp_cli_say_programs(s->dev, s->reg);
        if (o->session.profile)
            sp_cli_say_layers(s);
        sp_error why = {0};
        if (o->trace && write_trace(s->dev, o->trace, &why) != SP_OK && st == SP_OK) {
            st = why.status;
            err = why;
        }
    }
    close_replicas(&t);
    sp_checkpoint_close(&c);
    if (o->lock > 0)
        sp_run_folder_close(o->out, o->lock);
    return st == SP_OK ? 0 : sp_cli_fail("train", &err);
}

/* Without --out: beside the checkpoint when resuming, else runs/<recipe file without extension>, with a
 * number where a run lies there. */
static const char *default_out(const train_options *o, const char *recipe, char *buffer, size_t size)
{
    if (o->resume) {
        const char *dot = strstr(o->resume, ".safetensors"), *slash = strrchr(o->resume, '/');
        if (!dot)
            return o->resume;
        snprintf(buffer, size, "%.*s", slash ? (int)(slash - o->resume) : 1, slash ? o->resume : ".");
        return buffer;
    }
    const char *slash = strrchr(recipe, '/'), *name = slash ? slash + 1 : recipe, *dot = strrchr(name, '.');
    const int n = dot ? (int)(dot - name) : (int)strlen(name);
    snprintf(buffer, size, "runs/%.*s", n, name);
    for (int k = 2; !o->overwrite && sp_run_folder_taken(buffer); k++)
        snprintf(buffer, size, "runs/%.*s-%d", n, name, k);
    return buffer;
}

int sp_cmd_train(int argc, char **argv)
{
    train_options o = {.out = NULL};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        {"out", 'o', SP_ARG_TEXT, &o.out, "DIR",
         "folder of the run (default runs/<recipe>, or runs/<recipe>-2 and so on)", 0, 0},
        {"overwrite", 0, SP_ARG_FLAG, &o.overwrite, NULL,
         "where another run lies in the folder, rename its files to NAME.old (.old-2, ...)", 0, 0},
        {"resume", 'r', SP_ARG_TEXT, &o.resume, "PATH",
         "continue the run of a checkpoint or folder, bit for bit", 0, 0},
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        SP_CLI_PROGRAMS_ARG(o.session),
        {"sub-devices", 0, SP_ARG_INTEGER, &o.sub_devices, "N",
         "cut the device into N parts that share each mini-batch", 2, SP_CLI_MAX_DEVICES},
        {"profile", 0, SP_ARG_FLAG, &o.session.profile, NULL, "print device time by layer and op at the end",
         0, 0},
        {"trace", 0, SP_ARG_TEXT, &o.trace, "FILE", "write what ran when, for chrome://tracing or Perfetto",
         0, 0},
        {"print-recipe", 0, SP_ARG_FLAG, &o.print_recipe, NULL,
         "print the recipe with every default and stop", 0, 0},
        {"max-iterations", 0, SP_ARG_INTEGER, &o.max_iterations, "N",
         "stop after N mini-batches, as Ctrl-C would", 1, INT64_MAX},
        {"json", 0, SP_ARG_FLAG, &o.json, NULL, "events as JSON Lines on stdout", 0, 0},
    };
    const sp_args a = {.command = "train",
                       .synopsis = "RECIPE | --resume PATH [options]",
                       .about = "Trains a network as a recipe says; writes metrics, curves and checkpoints "
                                "to a folder.",
                       .args = args,
                       .n_args = sizeof args / sizeof *args,
                       .min_rest = 0,
                       .max_rest = 1,
                       .notes = "--device A,B shares each mini-batch between several devices.\nCtrl-C "
                                "finishes the mini-batch, saves and exits with 130; a second Ctrl-C ends at "
                                "once.\nKeys of a recipe and of --set: spikeport recipe."};
    int code;
    char buffer[512];
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if ((rest.n == 1) == (o.resume != NULL))
        return sp_args_wrong(&a, rest.n ? "a recipe and --resume exclude each other: a checkpoint carries "
                                          "its recipe (change it "
                                          "with --set)"
                                        : "name a recipe, or --resume a run");
    if (o.resume && o.overwrite && !o.out)
        return sp_args_wrong(&a, "--overwrite starts a run anew; --resume continues one");
    if (!o.out)
        o.out = default_out(&o, rest.n ? rest.items[0] : NULL, buffer, sizeof buffer);
    return train(rest.n ? rest.items[0] : NULL, &o);
}
