/* spikeport data: looks at the data of a recipe without training: what is there, what it looks like, how fast
 * it comes. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "cli/bench.h"
#include "cli/data.h"
#include "cli/session_options.h"
#include "data/loader.h"

/* Reads epochs of the split until `seconds` are over, or one epoch where seconds is 0. */
static sp_status read_for(const sp_cli_data *o, sp_loader *l, double seconds, int64_t *samples, double *spent,
                          sp_error *err)
{
    uint64_t start = sp_clock_ns();
    for (uint64_t epoch = (uint64_t)o->epoch;; epoch++) {
        SP_TRY(sp_loader_start(l, epoch, 0, err));
        for (;;) {
            const sp_batch *b;
            SP_TRY(sp_loader_next(l, &b, err));
            if (!b)
                break;
            *samples += (int64_t)b->n_valid;
            sp_loader_release(l, b);
            *spent = (double)(sp_clock_ns() - start) * 1e-9;
            if (seconds > 0.0 && *spent >= seconds)
                return SP_OK;
        }
        if (seconds <= 0.0)
            return SP_OK;
    }
}

/* Samples a second that the training step of the recipe takes; 0 where it cannot be run here, which is said.
 */
static double consumption(const sp_cli_data *o)
{
    sp_cli_bench_options b = {.iterations = 7,
                              .warmup = 2,
                              .session = {.device = o->device, .sets = *o->sets}};
    sp_cli_bench bench = {.n = 0};
    sp_recipe r = {0};
    sp_error err = {0};
    if (!o->path || !o->step)
        return 0;
    sp_status st = sp_cli_bench_recipe(o->path, &b, &r, &err);
    if (st == SP_OK)
        st = sp_cli_bench_open(&r, &b, &bench, &err);
    if (st == SP_OK)
        st = sp_cli_bench_run(&bench, &b, &err);
    double rate = st == SP_OK ? (double)bench.s->recipe.batch / bench.median_ms * 1e3 : 0;
    sp_cli_bench_close(&bench);
    if (st != SP_OK)
        sp_log(SP_LOG_WARNING, "the training step was not timed: %s", err.text);
    return rate;
}

static sp_status bench(const sp_cli_data *o, sp_error *err)
{
    const sp_recipe *r = &o->recipe;
    const sp_loader_options lo = sp_session_loader_options(r, !o->test);
    sp_dataset *ds = NULL;
    sp_loader *l = NULL;
    int64_t samples = 0;
    double spent = 0, mb;
    sp_status st;
    SP_TRY(sp_session_dataset(r, !o->test, &ds, err));
    st = sp_loader_create(ds, &lo, &l, err);
    if (st == SP_OK)
        st = read_for(o, l, (double)o->seconds, &samples, &spent, err);
    mb = (double)samples * 4e-6 * ds->info.height * ds->info.width * ds->info.channels *
         (ds->info.frames ? ds->info.frames : 1);
    double step = st == SP_OK ? consumption(o) : 0, rate = (double)samples / spent;
    if (st == SP_OK && o->json)
        st = sp_cli_json_line(json_pack("{s:s, s:s, s:I, s:I, s:i, s:f, s:f, s:f, s:o, s:o}", "data",
                                        ds->info.name, "split", o->test ? "test" : "train", "samples",
                                        (json_int_t)samples, "batch", (json_int_t)r->batch, "threads",
                                        sp_loader_threads(l), "seconds", spent, "samples_per_second", rate,
                                        "megabytes_per_second", mb / spent, "step_samples_per_second",
                                        step > 0 ? json_real(step) : json_null(), "loader_over_step",
                                        step > 0 ? json_real(rate / step) : json_null()));
    else if (st == SP_OK)
        printf("%s, %s split: %lld samples in %.2f s by %d thread%s: %.0f samples/s, %.1f MB/s\n",
               ds->info.name, o->test ? "test" : "training", (long long)samples, spent, sp_loader_threads(l),
               sp_loader_threads(l) == 1 ? "" : "s", rate, mb / spent);
    if (st == SP_OK && !o->json && step > 0)
        printf("the training step takes %.0f samples/s: the loader has %.1f times that%s\n", step,
               rate / step,
               rate / step < 2 ? "; less than 2 may hold training up: try --set data.threads=N" : "");
    sp_loader_destroy(&l);
    sp_dataset_close(&ds);
    return st;
}

/* Reads every sample of a split once. */
static sp_status fill(const sp_cli_data *o, const sp_recipe *r, bool train, sp_error *err)
{
    sp_loader_options lo = {.batch = 16, .threads = (int)r->data.threads};
    sp_dataset *ds = NULL;
    sp_loader *l = NULL;
    int64_t samples = 0;
    double spent = 0;
    sp_status st;
    SP_TRY(sp_session_dataset(r, train, &ds, err));
    if (!ds->info.cached) {
        st = SP_FAIL(err, SP_E_CONFIG,
                     "data set \"%s\" keeps no cache: its files are read directly, which is as fast",
                     ds->info.name);
        sp_dataset_close(&ds);
        return st;
    }
    st = sp_loader_create(ds, &lo, &l, err);
    if (st == SP_OK)
        st = read_for(o, l, 0.0, &samples, &spent, err);
    if (st == SP_OK && o->json)
        st = sp_cli_json_line(json_pack("{s:s, s:s, s:I, s:f}", "data", ds->info.name, "split",
                                        train ? "train" : "test", "samples", (json_int_t)samples, "seconds",
                                        spent));
    else if (st == SP_OK)
        printf("%s, %s split: %lld samples are in the cache (%.1f s)\n", ds->info.name,
               train ? "training" : "test", (long long)samples, spent);
    sp_loader_destroy(&l);
    sp_dataset_close(&ds);
    return st;
}

static sp_status cache(const sp_cli_data *o, sp_error *err)
{
    sp_recipe plain = o->recipe; /* borrowed; what is cached is not augmented */
    plain.data.augment = (sp_augment){0};
    SP_TRY(fill(o, &plain, true, err));
    return fill(o, &plain, false, err);
}

static const struct {
    const char *name;
    sp_status (*run)(const sp_cli_data *, sp_error *);
} verbs[] = {{"inspect", sp_cli_data_inspect},
             {"preview", sp_cli_data_preview},
             {"cache", cache},
             {"bench", bench}};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

/* A recipe file, or the name of a data set: then a recipe with nothing but its name, to be changed with
 * --set. */
static sp_status load(const char *what, const sp_arg_list *sets, sp_recipe *out, const char **path,
                      sp_error *err)
{
    const char *const *names;
    size_t n = sp_dataset_names(&names);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(what, names[i]) == 0) {
            char text[160];
            int length =
                snprintf(text, sizeof text,
                         "data: {name: %s}\nnetwork: [{type: flatten}, {type: linear, out: 2}]\n", what);
            return sp_recipe_parse(what, text, (size_t)length, sets->items, sets->n, out, err);
        }
    }
    *path = what;
    return sp_recipe_load(what, sets->items, sets->n, out, err);
}

static int run_verb(const sp_args *a, const sp_arg_list *rest, const sp_arg_list *sets, sp_cli_data *o)
{
    static const char *const looked_at[] = {"data", "seed", "schedule.time_steps", NULL};
    const char *names[N_VERBS];
    sp_error err = {0};
    for (size_t i = 0; i < N_VERBS; i++) {
        sp_status st;
        names[i] = verbs[i].name;
        if (strcmp(rest->items[0], names[i]) != 0)
            continue;
        st = strcmp(names[i], "bench") == 0 ? SP_OK : sp_cli_check_sets("data", sets, looked_at, &err);
        if (st == SP_OK)
            st = load(rest->items[1], sets, &o->recipe, &o->path, &err);
        if (st == SP_OK) {
            st = verbs[i].run(o, &err);
            sp_recipe_free(&o->recipe);
        }
        return st == SP_OK ? 0 : sp_cli_fail("data", &err);
    }
    const char *near = sp_suggest(rest->items[0], names, N_VERBS);
    return near ? sp_args_wrong(a, "unknown subcommand \"%s\"; did you mean \"%s\"?", rest->items[0], near)
                : sp_args_wrong(a, "unknown subcommand \"%s\"; choose inspect, preview, cache or bench",
                                rest->items[0]);
}

int sp_cmd_data(int argc, char **argv)
{
    sp_arg_list rest = {.n = 0}, sets = {.n = 0};
    sp_cli_data o = {.out = "preview.png", .count = 40, .seconds = 5, .step = true, .sets = &sets};
    const sp_arg args[] = {
        SP_LIST("set", 's', &sets, "KEY=VALUE", "override a key of the recipe, as data.path=FOLDER"),
        SP_FLAG("test", 0, &o.test, "the test split (inspect: only it)"),
        SP_FLAG("list", 0, &o.list, "inspect: every sample with its split, file and class, one a line"),
        SP_TEXT("out", 'o', &o.out, "FILE",
                "preview: where to, a name that ends in .png, .svg or .pdf (default preview.png)"),
        SP_INTEGER("count", 'n', &o.count, "N", "preview: samples (default 40)", 1, 10000),
        SP_INTEGER("epoch", 0, &o.epoch, "E", "preview, bench: epoch whose augmentation is drawn (default 0)",
                   0, INT32_MAX),
        SP_INTEGER("seconds", 0, &o.seconds, "S", "bench: how long (default 5; 0: one epoch)", 0, 86400),
        SP_SWITCH("step", 0, &o.step, "bench: time the recipe's training step too, to compare (default on)"),
        SP_TEXT("device", 'd', &o.device, "SEL", "bench: device of the training step"),
        SP_FLAG("json", 0, &o.json, "JSON Lines on stdout"),
    };
    const sp_args a = {.command = "data",
                       .synopsis = "inspect|preview|cache|bench RECIPE|NAME [options]",
                       .about = "Looks at the data of a recipe, or of a data set by its name (then --set "
                                "data.path=... and so on).",
                       SP_ARGS(args, 2, 2),
                       .notes = "inspect  counts, shape, classes, values, check sum of both splits, without "
                                "augmentation\n"
                                "preview  a picture of samples as the network gets them, with labels\n"
                                "cache    decodes every recording once, so that training finds the frames on "
                                "disk\n"
                                "bench    samples a second that the loader delivers (threads: --set "
                                "data.threads=N), and that training takes"};
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    return run_verb(&a, &rest, &sets, &o);
}
