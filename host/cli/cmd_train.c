/* spikeport train: runs a recipe, or continues a run. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/trace.h"
#include "cli/bench.h"
#include "cli/progress.h"
#include "cli/train.h"
#include "plot/picture.h"
#include "train/run_folder.h"

static sp_status run(const sp_cli_replicas *m, const sp_cli_train *o, const sp_checkpoint *resume,
                     sp_error *err)
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
                          .ranks = o->ranks,
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
                   "off), the others by score; `spikeport plan` has each\n",
                   measured, all);
    else
        sp_cli_say("kernels: by score; `spikeport tune` measures which are the fastest here\n");
}

static void say_start(const sp_session *s, const sp_recipe *r)
{
    sp_cli_say_session(s);
    sp_cli_say("recipe: %s: %s, T = %lld%s, batch %lld, %lld epochs, seed %lld\n", r->name,
               sp_method_name(r->method), (long long)r->time_steps,
               r->method == SP_METHOD_SLTT_K ? " (backpropagates at K of them)" : "", (long long)r->batch,
               (long long)r->epochs, (long long)r->seed);
    if (r->half) {
        sp_half_stats half = sp_plan_half(s->train);
        sp_cli_say("precision: activations stored as half, %d tensors of %.2f MiB (float32: %.2f MiB)\n",
                   half.tensors, (double)half.bytes / 1048576.0, (double)half.bytes / 524288.0);
    }
    sp_text bf16 = {0};
    sp_plan_print_bf16(s->train, &bf16);
    if (bf16.s)
        sp_cli_say("precision: %s", bf16.s);
    sp_text_free(&bf16);
    sp_cli_say("network: %lld parameters, %lld neurons a sample; device memory %.2f MiB planned\n",
               (long long)s->graph->n_trainable, (long long)sp_graph_neurons(s->graph),
               (double)s->planned_bytes / 1048576.0);
    say_kernels(s->train);
}

/* Before kernels are built. Named classes are compared before the network is, whose error would only count
 * them. */
static sp_status check_resume(const sp_cli_train *o, const sp_checkpoint *c, sp_error *err)
{
    sp_recipe r = {0};
    sp_dataset *train = NULL;
    bool named = c->progress.classes && strcmp(c->progress.classes, "[]") != 0;
    sp_status st = sp_cli_train_recipe(NULL, o, c, &r, err);
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

static sp_status print_recipe(const char *path, const sp_cli_train *o, const sp_checkpoint *c, sp_error *err)
{
    sp_recipe r = {0};
    sp_text text = {0};
    SP_TRY(sp_cli_train_recipe(path, o, c, &r, err));
    sp_recipe_print(&r, &text);
    fputs(text.s ? text.s : "", stdout);
    sp_text_free(&text);
    sp_recipe_free(&r);
    return SP_OK;
}

static sp_status run_session(const sp_cli_replicas *t, sp_cli_train *o, const sp_checkpoint *c, sp_error *err)
{
    sp_session *s = t->members[0];
    say_start(s, &s->recipe);
    sp_cli_train_say(t);
    if (o->trace)
        SP_TRY(sp_trace_start(TRACE_SPANS, err));
    sp_status st = run(t, o, o->resume ? c : NULL, err);
    if (st == SP_OK)
        sp_cli_say("device memory: %llu bytes planned, %llu bytes at the peak\nwritten: "
                   "%s/{metrics.jsonl,metrics.csv,%scheckpoint.safetensors,best.safetensors,recipe.yaml}\n",
                   (unsigned long long)s->planned_bytes, (unsigned long long)s->dev->peak_bytes, o->out,
                   sp_picture_can() ? "curves.png," : "");
    sp_cli_say_programs(s->dev, s->reg);
    if (o->session.profile)
        sp_cli_say_layers(s);
    sp_error why = {0};
    if (o->trace && write_trace(s->dev, o->trace, &why) != SP_OK && st == SP_OK) {
        st = why.status;
        *err = why;
    }
    return st;
}

static sp_status train(const char *recipe_path, sp_cli_train *o, sp_error *err)
{
    sp_checkpoint c = {0};
    sp_cli_replicas t = {.n = 0};
    const bool writes = !o->ranks || o->ranks->rank == 0;
    static const char *const goes_on[] = {"", "!init_from", "!init_map", "!init_strict", NULL};
    sp_status st = o->resume ? sp_cli_check_sets("train --resume", &o->session.sets, goes_on, err) : SP_OK;
    if (st == SP_OK && o->resume)
        st = sp_checkpoint_open(o->resume, &c, err);
    if (st == SP_OK && o->print_recipe) {
        st = writes ? print_recipe(recipe_path, o, &c, err) : SP_OK;
    } else if (st == SP_OK) {
        if (o->trace)
            SP_TRY_GOTO(sp_output_check(o->trace, SP_OUTPUT_TRACE, NULL, 0, err));
        if (writes) /* before kernels are built */
            SP_TRY_GOTO(
                sp_run_folder_open(o->out, o->resume ? c.file.path : NULL, o->overwrite, &o->lock, err));
        if (o->resume)
            SP_TRY_GOTO(check_resume(o, &c, err));
        SP_TRY_GOTO(sp_cli_train_open(recipe_path, o, &c, &t, err));
        o->stop = sp_cli_catch_signals();
        if (o->ranks)
            o->ranks->stop = o->stop;
        st = run_session(&t, o, &c, err);
    }
done:
    sp_cli_train_close(&t);
    sp_checkpoint_close(&c);
    if (o->lock > 0)
        sp_run_folder_close(o->out, o->lock);
    return st;
}

/* ---- ranks ---- */

static void rank_log(void *ctx, sp_log_level level, const char *text)
{
    const sp_ranks *r = ctx;
    fprintf(stderr, "spikeport: rank %d (host %s): %s%s\n", r->rank, r->hosts[r->rank],
            level == SP_LOG_WARNING ? "warning: " : "", text);
}

static void print_failure(const sp_error *err)
{
    sp_cli_fail("train", err);
}

/* Where an MPI launcher has started several processes they train together: rank 0 alone prints. */
static int train_on_ranks(const char *recipe_path, sp_cli_train *o)
{
    sp_error err = {0};
    int launched;
    const bool first = sp_ranks_launched(&launched) < 2 || launched == 0;
    sp_status st = sp_ranks_open((double)o->rank_timeout, print_failure, &o->ranks, &err);
    if (!first && o->ranks) {
        if (sp_log_wants(SP_LOG_WARNING))
            sp_log_set_level(SP_LOG_WARNING);
        sp_log_install(rank_log, o->ranks);
        o->trace = NULL;
        o->session.profile = o->json = false;
    }
    if (st != SP_OK) /* of each, as they cannot tell each other */
        return sp_cli_fail("train", &err);
    if (first && o->ranks)
        sp_cli_train_say_ranks(o->ranks);
    st = train(recipe_path, o, &err);
    if (o->ranks && st != SP_OK && st != SP_E_INTERRUPTED)
        sp_ranks_end(o->ranks, &err);
    if (st != SP_OK && first)
        sp_cli_fail("train", &err);
    /* that of Open MPI ends all as soon as one gives another code than 0; what is left is with rank 0 */
    const int code = first || o->ranks->mpich ? sp_status_exit_code(st) : 0;
    if (o->ranks) {
        sp_error why = {0};
        sp_log_install(NULL, NULL);
        fflush(NULL);
        if (sp_ranks_close(&o->ranks, code, &why) != SP_OK)
            sp_ranks_end(o->ranks, &why);
    }
    return code;
}

/* Without --out: beside the checkpoint when resuming, else runs/<recipe file without extension>, with a
 * number where a run lies there. */
static const char *default_out(const sp_cli_train *o, const char *recipe, char *buffer, size_t size)
{
    if (o->resume) {
        const char *slash = strrchr(o->resume, '/');
        const bool named = sp_path_exists(o->resume) || strstr(o->resume, ".safetensors");
        if (sp_path_is_folder(o->resume) || !named)
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
    sp_cli_train o = {.rank_timeout = 600};
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
        {"rank-timeout", 0, SP_ARG_INTEGER, &o.rank_timeout, "SECONDS",
         "under mpirun: a rank that others wait for this long has failed (default 600)", 1, 1000000},
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
                       .notes = "--device A,B shares each mini-batch between several devices, mpirun -n N "
                                "spikeport train ... between\nranks, each of which takes the device with its "
                                "number among those of its machine.\nCtrl-C "
                                "finishes the mini-batch, saves and exits with 130; a second Ctrl-C ends at "
                                "once.\nKeys of a recipe and of --set: spikeport recipe."};
    int code;
    char buffer[512];
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if ((rest.n == 1) == (o.resume != NULL))
        return sp_args_wrong(&a, rest.n ? "a recipe and --resume exclude each other: a checkpoint carries "
                                          "its recipe (change it with --set)"
                                        : "name a recipe, or --resume a run");
    if (o.resume && o.overwrite && !o.out)
        return sp_args_wrong(&a, "--overwrite starts a run anew; --resume continues one");
    if (!o.out)
        o.out = default_out(&o, rest.n ? rest.items[0] : NULL, buffer, sizeof buffer);
    return train_on_ranks(rest.n ? rest.items[0] : NULL, &o);
}
