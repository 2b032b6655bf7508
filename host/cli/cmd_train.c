/* spikeport train: runs a recipe, or continues a run. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"
#include "cli/session_options.h"

static volatile int stop_asked;

/* The first Ctrl-C finishes the mini-batch and saves; the second ends at once. */
static void on_signal(int number)
{
    (void)number;
    if (stop_asked)
        _exit(130);
    stop_asked = 1;
}

static void catch_signals(void)
{
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_signal;
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is then an error of write, which is reported */
}

typedef struct train_options {
    sp_cli_session session;
    const char *out, *resume;
    bool json, print_recipe;
    int64_t max_iterations;
} train_options;

static sp_status run(sp_session *s, const train_options *o, const sp_checkpoint *resume, sp_error *err)
{
    sp_dataset *train = NULL, *test = NULL;
    sp_progress_line line = sp_progress_line_make(o->json);
    sp_train_options t = {.out = o->out, .resume = resume, .stop = &stop_asked, .report = sp_progress_report, .ctx = &line,
                          .max_iterations = o->max_iterations};
    sp_status st = sp_session_dataset(&s->recipe, true, &train, err);
    if (st == SP_OK)
        st = sp_session_dataset(&s->recipe, false, &test, err);
    if (st == SP_OK)
        st = sp_train(s, train, test, &t, err);
    sp_progress_line_end(&line);
    sp_dataset_close(&train);
    sp_dataset_close(&test);
    return st;
}

static void say_start(const sp_session *s, const sp_recipe *r)
{
    sp_cli_say_device(s->dev, s->reg);
    fprintf(stderr, "recipe: %s: %s, T = %lld%s, batch %lld, %lld epochs, seed %lld\n", r->name, sp_method_name(r->method),
            (long long)r->time_steps, r->method == SP_METHOD_SLTT_K ? " (backpropagates at K of them)" : "",
            (long long)r->batch, (long long)r->epochs, (long long)r->seed);
    fprintf(stderr, "network: %lld parameters, %lld neurons a sample; device memory %.2f MiB planned\n",
            (long long)s->graph->n_trainable, (long long)sp_graph_neurons(s->graph), (double)s->planned_bytes / 1048576.0);
}

/* The shape of a sample comes from the data set itself. */
static sp_status open_session(sp_recipe *r, const train_options *o, sp_session **s, sp_error *err)
{
    sp_dataset *ds = NULL;
    sp_status st = sp_session_dataset(r, true, &ds, err);
    if (st != SP_OK) {
        sp_recipe_free(r);
        return st;
    }
    sp_session_options so = sp_cli_session_options(&o->session);
    sp_dataset_info info = ds->info;
    sp_dataset_close(&ds);
    return sp_session_open(r, &info, &so, s, err);
}

static int train(const char *recipe_path, const train_options *o)
{
    sp_error err = {0};
    sp_recipe r = {0};
    sp_checkpoint c = {0};
    sp_session *s = NULL;
    sp_status st;
    if (o->resume) {
        st = sp_checkpoint_open(o->resume, &c, &err);
        if (st == SP_OK)
            st = sp_checkpoint_recipe(&c, o->session.sets.items, o->session.sets.n, &r, &err);
    } else {
        st = sp_recipe_load(recipe_path, o->session.sets.items, o->session.sets.n, &r, &err);
    }
    if (st == SP_OK && o->print_recipe) {
        sp_text text = {0};
        sp_recipe_print(&r, &text);
        fputs(text.s ? text.s : "", stdout);
        sp_text_free(&text);
        sp_recipe_free(&r);
        sp_checkpoint_close(&c);
        return 0;
    }
    if (st == SP_OK)
        st = open_session(&r, o, &s, &err);
    if (st == SP_OK) {
        catch_signals();
        say_start(s, &s->recipe);
        st = run(s, o, o->resume ? &c : NULL, &err);
        if (st == SP_OK)
            fprintf(stderr, "device memory: %llu bytes planned, %llu bytes at the peak\nwritten: %s/{metrics.jsonl,curves.png,"
                    "checkpoint.safetensors,best.safetensors,recipe.yaml}\n", (unsigned long long)s->planned_bytes,
                    (unsigned long long)s->dev->peak_bytes, o->out);
        sp_cli_say_programs(s->dev, s->reg);
        if (o->session.profile)
            sp_cli_say_profile(s->dev);
    }
    sp_session_close(&s);
    sp_checkpoint_close(&c);
    return st == SP_OK ? 0 : sp_cli_fail("train", &err);
}

/* Without --out: beside the checkpoint when resuming, else runs/<recipe file without extension>. */
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
    snprintf(buffer, size, "runs/%.*s", dot ? (int)(dot - name) : (int)strlen(name), name);
    return buffer;
}

int sp_cmd_train(int argc, char **argv)
{
    train_options o = {.out = NULL};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        {"out", 'o', SP_ARG_TEXT, &o.out, "DIR", "folder of the run (default runs/<recipe>)", 0, 0},
        {"resume", 'r', SP_ARG_TEXT, &o.resume, "PATH", "continue the run of a checkpoint or folder, bit for bit", 0, 0},
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        SP_CLI_PROGRAMS_ARG(o.session),
        {"profile", 0, SP_ARG_FLAG, &o.session.profile, NULL, "print device time by kernel at the end", 0, 0},
        {"print-recipe", 0, SP_ARG_FLAG, &o.print_recipe, NULL, "print the recipe with every default and stop", 0, 0},
        {"max-iterations", 0, SP_ARG_INTEGER, &o.max_iterations, "N", "stop after N mini-batches, as Ctrl-C would", 1, INT64_MAX},
        {"json", 0, SP_ARG_FLAG, &o.json, NULL, "events as JSON Lines on stdout", 0, 0},
    };
    const sp_args a = {.command = "train", .synopsis = "RECIPE | --resume PATH [options]",
                       .about = "Trains a network as a recipe says; writes metrics, curves and checkpoints to a folder.",
                       .args = args, .n_args = sizeof args / sizeof *args, .min_rest = 0, .max_rest = 1,
                       .notes = "Ctrl-C finishes the mini-batch, saves and exits with 130; a second Ctrl-C ends at once."};
    int code;
    char buffer[512];
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if ((rest.n == 1) == (o.resume != NULL))
        return sp_args_wrong(&a, rest.n ? "a recipe and --resume exclude each other: a checkpoint carries its recipe (change it "
                                          "with --set)" : "name a recipe, or --resume a run");
    if (!o.out)
        o.out = default_out(&o, rest.n ? rest.items[0] : NULL, buffer, sizeof buffer);
    return train(rest.n ? rest.items[0] : NULL, &o);
}
