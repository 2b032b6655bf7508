/* spikeport tune: measures which kernel is the fastest for each call of a recipe on this device, and
 * remembers it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "check/check.h"
#include "cli/plugins.h"
#include "cli/tune.h"

typedef struct tune_options {
    sp_cli_session session;
    const char *op, *shape, *neuron, *surrogate, *export_to, *import_from;
    sp_arg_list flags;
    int64_t budget, density, rounds, seed;
    bool force, thorough, json;
} tune_options;

typedef struct tune {
    uint64_t start_ns; /* --budget counts from here: opening the recipe compiles, too */
    const tune_options *o;
    sp_registry *reg;
    sp_device *dev;
    sp_tuner tuner;
    sp_cli_calls calls;
    size_t n_measured, n_known, n_gained, n_untimed;
} tune;

static sp_status print_entry(const tune *t, const sp_wisdom_entry *e)
{
    const sp_wisdom_row *best = e->best >= 0 ? &e->rows[e->best] : NULL;
    const sp_wisdom_row *base = e->baseline >= 0 ? &e->rows[e->baseline] : NULL;
    int timed = 0;
    for (int i = 0; i < e->n_rows; i++)
        timed += e->rows[i].ms > 0;
    double gain = best && base && base->ms > 0 ? base->ms / best->ms : 0;
    if (t->o->json) {
        json_t *tunes = json_object();
        for (int i = 0; best && i < best->n_tunes; i++)
            json_object_set_new(tunes, best->tunes[i].name, json_integer((json_int_t)best->tunes[i].value));
        return sp_cli_json_line(
            json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:i}", "op", e->op, "call", e->call,
                      "variant", best ? json_string(best->variant) : json_null(), "tunes", tunes, "ms",
                      best ? json_real(best->ms) : json_null(), "score_choice",
                      base ? json_string(base->variant) : json_null(), "times_faster",
                      gain > 0 ? json_real(gain) : json_null(), "candidates", e->n_rows, "timed", timed));
    }
    printf("%s %s\n", e->op, e->call);
    if (!best)
        printf("    nothing could be timed: %s\n", e->n_rows ? e->rows[0].reason : "no variant fits");
    for (int i = 0; i < e->n_rows; i++) {
        const sp_wisdom_row *r = &e->rows[i];
        char name[200];
        snprintf(name, sizeof name, "%s", r->variant);
        for (int k = 0; k < r->n_tunes; k++) {
            size_t used = strlen(name);
            snprintf(name + used, sizeof name - used, " %s=%lld", r->tunes[k].name,
                     (long long)r->tunes[k].value);
        }
        if (r->ms > 0)
            printf("  %c %-60s %10.4f ms%s\n", i == e->best ? '*' : ' ', name, r->ms,
                   i == e->baseline ? "  (score's choice)" : "");
        else
            printf("    %-60s %s\n", name, r->reason);
    }
    fflush(stdout);
    return SP_OK;
}

static sp_status tune_one(tune *t, const sp_op_call *call, int stage, sp_error *err)
{
    const sp_wisdom_entry *known = sp_wisdom_find(t->reg, call);
    sp_wisdom_entry *e = NULL;
    if (!sp_tune_has_stage(&t->tuner, call, stage))
        return SP_OK;
    if (known && (!known->own || (t->o->force && stage == 0)))
        known = NULL;
    if (known && sp_tune_is_complete(&t->tuner, call, known, stage)) {
        t->n_known += stage == 0;
        return SP_OK;
    }
    SP_TRY(sp_tune_call(&t->tuner, call, known, stage, &e, err));
    t->n_measured += stage == 0;
    t->n_gained += stage == 0 && e->best >= 0 && e->best != e->baseline;
    t->n_untimed += stage == 0 && e->best < 0;
    sp_status st = print_entry(t, e);
    if (st == SP_OK && e->best >= 0)
        return sp_wisdom_put(t->reg->wisdom, e, err);
    sp_wisdom_entry_free(&e);
    return st;
}

static sp_status tune_all(tune *t, sp_error *err)
{
    const volatile int *stop = sp_cli_catch_signals(); // what was measured is on disk already
    t->tuner =
        (sp_tuner){.reg = t->reg,
                   .dev = t->dev,
                   .o = {.seed = (uint64_t)t->o->seed,
                         .density = 0.01 * (double)t->o->density,
                         .rounds = (int)t->o->rounds,
                         .thorough = t->o->thorough,
                         .deadline_ns = t->o->budget ? t->start_ns + (uint64_t)t->o->budget * 1000000000u : 0,
                         .stop = stop}};
    sp_status st = SP_OK;
    size_t left = 0;
    for (int stage = 0; stage < SP_TUNE_STAGES && st == SP_OK; stage++)
        for (size_t i = 0; i < t->calls.n && st == SP_OK; i++) {
            if (!sp_tune_is_over(&t->tuner))
                st = tune_one(t, &t->calls.items[i].call, stage, err);
            else
                left += stage == 0;
        }
    sp_cli_say("%zu calls: %zu measured (%zu found a faster kernel), %zu known already, %zu left; %lld "
               "candidates timed in %.1f s\n"
               "wisdom: %s\n",
               t->calls.n, t->n_measured, t->n_gained, t->n_known, left, (long long)t->tuner.n_timed,
               (double)(sp_clock_ns() - t->start_ns) * 1e-9,
               t->reg->wisdom->path ? t->reg->wisdom->path : "(no cache folder)");
    sp_tuner_fini(&t->tuner);
    if (st == SP_OK && *stop)
        st = SP_FAIL(err, SP_E_INTERRUPTED,
                     "interrupted; what was measured is kept, the same command goes on");
    if (st == SP_OK && t->n_untimed && t->n_untimed == t->calls.n)
        st = SP_FAIL(err, SP_E_PLUGIN,
                     "no kernel could be timed for any call; the reasons stand above, and nothing is "
                     "remembered");
    return st;
}

static sp_status import_tune_export(tune *t, sp_error *err)
{
    SP_TRY(sp_wisdom_open(t->reg, t->dev, err));
    if (t->o->import_from)
        SP_TRY(sp_cli_wisdom_import(t->reg->wisdom, t->o->import_from, t->o->force, err));
    if (t->calls.n)
        SP_TRY(tune_all(t, err));
    return t->o->export_to ? sp_cli_wisdom_export(t->reg->wisdom, t->o->export_to, err) : SP_OK;
}

static sp_status open_session(const char *recipe, const tune_options *o, bool direct, sp_session **s,
                              sp_error *err)
{
    sp_recipe r = {0};
    sp_session_options so = sp_cli_session_options(&o->session);
    const char *force[SP_ARGS_MAX + 3] = {"conv.forward=reference", "conv.backward_input=reference",
                                          "conv.backward_weight=reference"};
    so.no_wisdom = so.unlimited = so.unchecked = true; // nothing runs but what is compared first
    if (direct) {
        memcpy(force + 3, so.force, so.n_force * sizeof *force);
        so.force = force;
        so.n_force += 3;
    }
    SP_TRY(sp_recipe_load(recipe, o->session.sets.items, o->session.sets.n, &r, err));
    return sp_cli_shape_open(&r, true, &so, s, err);
}

static sp_status gather(tune *t, const sp_session *s, sp_error *err)
{
    SP_TRY(sp_cli_calls_of_plan(s->train, &t->calls, err));
    return sp_cli_calls_of_plan(s->eval, &t->calls, err);
}

/* Where convolutions are lowered, the plan lacks their own calls: a second one, with the lowering passed
 * over, has them. */
static sp_status tune_recipe(tune *t, const char *recipe, sp_error *err)
{
    sp_session *s = NULL, *direct = NULL;
    sp_status st = open_session(recipe, t->o, false, &s, err);
    if (st == SP_OK)
        st = gather(t, s, err);
    if (st == SP_OK && sp_cli_calls_lowered(&t->calls)) {
        st = open_session(recipe, t->o, true, &direct, err);
        if (st == SP_OK)
            st = gather(t, direct, err);
        sp_session_close(&direct);
    }
    if (st == SP_OK) {
        sp_cli_say_device(s->dev, s->reg);
        sp_cli_calls_sort(&t->calls);
        t->reg = s->reg;
        t->dev = s->dev;
        sp_check_install(t->reg);
        st = import_tune_export(t, err);
    }
    sp_session_close(&s);
    return st;
}

/* One op, or no call at all: --import and --export by themselves. */
static sp_status tune_op(tune *t, sp_error *err)
{
    const tune_options *o = t->o;
    sp_status st = sp_registry_create(o->session.plugins, &t->reg, err);
    sp_cli_plugins p = {.reg = t->reg,
                        .target = o->op,
                        .shape = o->shape,
                        .flags = o->flags,
                        .neuron = o->neuron,
                        .surrogate = o->surrogate};
    sp_op_call call;
    if (st == SP_OK && o->op)
        st = sp_cli_plugins_call(&p, &call, err);
    for (size_t i = 0; i < o->session.force.n && st == SP_OK; i++)
        st = sp_registry_force(t->reg, o->session.force.items[i], err);
    if (st == SP_OK)
        st = sp_device_open(o->session.device, NULL, &t->dev, err);
    if (st == SP_OK)
        sp_registry_suit(t->reg, t->dev);
    if (st == SP_OK && o->op) {
        sp_check_install(t->reg);
        t->calls.items = sp_alloc_array(1, sizeof *t->calls.items);
        t->calls.n = t->calls.items ? 1 : 0;
        st = t->calls.items ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory");
        if (t->calls.items)
            t->calls.items[0].call = call;
    }
    if (st == SP_OK) {
        sp_cli_say_device(t->dev, t->reg);
        st = import_tune_export(t, err);
    }
    sp_registry_destroy(&t->reg);
    sp_device_close(&t->dev);
    return st;
}

static int run(const tune_options *o, const char *recipe)
{
    tune t = {.o = o, .start_ns = sp_clock_ns()};
    sp_error err = {0};
    sp_status st = recipe ? tune_recipe(&t, recipe, &err) : tune_op(&t, &err);
    sp_cli_calls_free(&t.calls);
    return st == SP_OK ? 0 : sp_cli_fail("tune", &err);
}

int sp_cmd_tune(int argc, char **argv)
{
    tune_options o = {.neuron = "lif", .surrogate = "triangle", .density = 15, .rounds = 7, .seed = 1};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_TEXT("op", 0, &o.op, "OP", "one op instead of a recipe, with --shape"),
        SP_TEXT("shape", 0, &o.shape, "\"N=32 ...\"", "the integers of the op, by name"),
        SP_LIST("flag", 0, &o.flags, "NAME", "a flag of the op that is set"),
        SP_TEXT("neuron", 0, &o.neuron, "NAME", "for ops with a neuron (default lif)"),
        SP_TEXT("surrogate", 0, &o.surrogate, "NAME", "for ops with one (default triangle)"),
        SP_INTEGER("budget", 0, &o.budget, "SECONDS",
                   "stop after so long; the calls with most work come first", 1, 1 << 30),
        SP_FLAG("force", 0, &o.force, "measure again what is known; --import: replace it"),
        SP_FLAG("thorough", 0, &o.thorough, "time what was slow for other calls too"),
        SP_INTEGER("density", 0, &o.density, "PERCENT", "spikes in the made-up input (default 15)", 0, 100),
        SP_INTEGER("rounds", 0, &o.rounds, "N", "pairs of batches a candidate (default 7)", 1, 31),
        SP_INTEGER("seed", 0, &o.seed, "N", "of the inputs (default 1)", 0, INT64_MAX),
        SP_TEXT("export", 0, &o.export_to, "FILE",
                "write what is known of this device to a file, at the end"),
        SP_TEXT("import", 0, &o.import_from, "FILE", "take the entries of a file, before anything else"),
        SP_CLI_SET_ARG(o.session),
        SP_CLI_DEVICE_ARGS(o.session),
        SP_FLAG("json", 0, &o.json, "one JSON object a call"),
    };
    const sp_args a = {.command = "tune",
                       .synopsis = "RECIPE | --op OP --shape \"...\" | --import FILE | --export FILE "
                                   "[options]",
                       .about = "For each distinct call of a recipe: compares every kernel that fits, with "
                                "every value of its tunables, with the C reference, times those that "
                                "conform, and remembers the fastest. Later runs on the same device and "
                                "driver use it; `spikeport plan` and `plugins why` say so.",
                       SP_ARGS(args, 0, 1),
                       .notes = "Results are kept in wisdom/ of the cache folder (SPIKEPORT_CACHE_DIR), one "
                                "file a device and driver;\n"
                                "Ctrl-C and --budget leave a valid file, and the same command goes on where "
                                "it stopped. A kernel whose\n"
                                "source changed is measured again. train, eval, bench and plugins take "
                                "--no-wisdom."};
    int code;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (rest.n + (o.op != NULL) > 1)
        return sp_args_wrong(&a, "a recipe and --op exclude each other");
    if (rest.n + (o.op != NULL) == 0 && !o.import_from && !o.export_to)
        return sp_args_wrong(&a, "name a recipe, or an op with --op and --shape");
    return run(&o, rest.n ? rest.items[0] : NULL);
}
