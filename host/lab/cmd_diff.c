/* spikeport diff: two devices step by step, or two runs by their metrics and weights. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/output.h"
#include "lab/diff_runs.h"
#include "cli/session_options.h"
#include "lab/batches.h"
#include "lab/device_diff.h"

typedef struct diff_options {
    sp_cli_session session;
    sp_arg_list devices;
    const char *recipe, *record, *against, *bound, *within;
    int64_t batches;
    bool json, free_run;
} diff_options;

typedef struct running {
    sp_session *s;
    FILE *file;
    sp_diff_options o;
    sp_diff_report *report; /* NULL: recording */
    uint8_t *mask;
} running;

static sp_status step(void *ctx, sp_exec_batch *e, const sp_batch *b, sp_error *err)
{
    running *r = ctx;
    (void)b;
    sp_session_draw(&r->s->recipe, e->iteration, r->mask);
    e->backprop = r->mask;
    return r->report ? sp_diff_compare(r->s->train, e, r->file, &r->o, r->report, err)
                     : sp_diff_record(r->s->train, e, r->file, err);
}

static sp_status run_batches(sp_session *s, const sp_dataset *train, const diff_options *o, FILE *file,
                             sp_diff_report *report, sp_error *err)
{
    running r = {.s = s,
                 .file = file,
                 .o = {.bound = o->bound ? strtod(o->bound, NULL) : 4e-6,
                       .scale = 2,
                       .free_run = o->free_run},
                 .report = report,
                 .mask = sp_alloc((size_t)s->recipe.time_steps)};
    sp_status st = r.mask ? sp_batches_run(s, train, o->batches, NULL, step, &r, err)
                          : SP_FAIL(err, SP_E_MEMORY, "out of memory for a comparison");
    sp_free(r.mask);
    return st;
}

static sp_status run_device(const char *device, const diff_options *o, FILE *file, sp_diff_report *report,
                            char *name, size_t size, sp_error *err)
{
    sp_recipe r = {0};
    sp_dataset *train = NULL;
    sp_session *s = NULL;
    sp_session_options so = sp_cli_session_options(&o->session);
    so.sharded = false;        /* whole mini-batches are compared */
    so.keep_potentials = true; /* a spike may differ where its potential is near the threshold */
    so.device = device;
    SP_TRY(sp_recipe_load(o->recipe, o->session.sets.items, o->session.sets.n, &r, err));
    sp_status st = sp_cli_session_open(&r, &so, &s, &train, NULL, err);
    if (st == SP_OK) {
        snprintf(name, size, "%s (%s, driver %s)", s->dev->info.name, s->dev->info.platform,
                 s->dev->info.driver);
        st = run_batches(s, train, o, file, report, err);
    }
    sp_session_close(&s);
    sp_dataset_close(&train);
    return st;
}

static void print_report(const sp_diff_report *r, const diff_options *o, double bound)
{
    printf("compared: %llu steps, %llu numbers, %llu spikes, %s\n", (unsigned long long)r->steps,
           (unsigned long long)r->values, (unsigned long long)r->spikes,
           o->free_run ? "each device on its own trajectory" : "each step from the first device's values");
    if (r->unmatched)
        printf("on one device only (other kernels): %llu results\n", (unsigned long long)r->unmatched);
    printf("numbers that differ: %llu%s%s\n", (unsigned long long)r->differing,
           r->first[0] ? "; the first: " : "", r->first);
    if (r->worst > 0)
        printf("largest difference: %.2g of the buffer's largest number, %.2g of what is allowed: %s\n",
               r->worst, r->worst_margin, r->worst_at);
    printf("spikes that differ: %llu, bound on |u - v_th| %.3g, largest %.3g%s%s\n",
           (unsigned long long)r->flips, bound, r->farthest, r->first_flip[0] ? "; the first: " : "",
           r->first_flip);
}

static sp_status conclude(const sp_diff_report *r, const diff_options *o, const char *a, const char *b,
                          sp_error *err)
{
    double bound = o->bound ? strtod(o->bound, NULL) : 4e-6;
    bool failed = r->too_far || r->flips_too_far;
    if (o->json)
        SP_TRY(sp_cli_json_line(
            json_pack("{s:o, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:f, s:f, s:s, s:s, s:s}", "a",
                      sp_cli_json_text(a), "b", sp_cli_json_text(b), "agree", !failed, "steps",
                      (json_int_t)r->steps, "numbers", (json_int_t)r->values, "differing",
                      (json_int_t)r->differing, "too_far", (json_int_t)r->too_far, "spikes",
                      (json_int_t)r->spikes, "worst", r->worst, "worst_margin", r->worst_margin, "flips",
                      (json_int_t)r->flips, "farthest", r->farthest, "bound", bound, "first", r->first,
                      "first_flip", r->first_flip, "first_failure", r->first_failure)));
    else
        print_report(r, o, bound);
    if (failed)
        return SP_FAIL(err, SP_E_MISMATCH,
                       "%llu results and %llu spikes differ by more than is allowed; the first: %s",
                       (unsigned long long)r->too_far, (unsigned long long)r->flips_too_far,
                       r->first_failure);
    if (!o->json)
        printf("agree\n");
    return SP_OK;
}

/* NULL: a temporary file. Behind the head, by which a recording is known. */
static FILE *open_recording(const char *path, bool old, sp_error *err)
{
    static const char head[] = SP_OUTPUT_DIFF_HEAD;
    char start[sizeof head] = "";
    const char *mode = old ? "rbe" : "w+be";
    if (path && !old && sp_output_check(path, SP_OUTPUT_DIFF, NULL, 0, err) != SP_OK)
        return NULL;
    FILE *f = path ? fopen(path, mode) : tmpfile();
    if (!f)
        SP_FAIL(err, old ? SP_E_DATA : SP_E_IO, "%s: the recording cannot be opened",
                path ? path : "temporary file");
    if (f && old ? fread(start, 1, sizeof head - 1, f) == 0 || strcmp(start, head) != 0
                 : f && fputs(head, f) < 0) {
        SP_FAIL(err, old ? SP_E_DATA : SP_E_IO, "%s: %s", path ? path : "temporary file",
                old ? "not a recording of this version of spikeport diff; make it anew with --record"
                    : "the recording cannot be written");
        fclose(f);
        f = NULL;
    }
    return f;
}

static sp_status diff_devices(const diff_options *o, sp_error *err)
{
    char a[528] = "", b[528] = "";
    sp_diff_report report = {0};
    FILE *f = open_recording(o->against ? o->against : o->record, o->against != NULL, err);
    if (!f)
        return err->status;
    sp_status st = SP_OK;
    if (o->against)
        snprintf(a, sizeof a, "%s", o->against);
    else
        st = run_device(o->devices.n ? o->devices.items[0] : NULL, o, f, NULL, a, sizeof a, err);
    if (st == SP_OK && !o->json)
        printf("A: %s%s%s\n", a, o->record ? ", recorded in " : "", o->record ? o->record : "");
    if (st == SP_OK && (o->against || o->devices.n == 2)) {
        fseek(f, (long)sizeof SP_OUTPUT_DIFF_HEAD - 1, SEEK_SET);
        st = run_device(o->devices.n ? o->devices.items[o->devices.n - 1] : NULL, o, f, &report, b, sizeof b,
                        err);
        if (st == SP_OK && !o->json)
            printf("B: %s\n", b);
        if (st == SP_OK)
            st = conclude(&report, o, a, b, err);
    }
    if (fclose(f) != 0 && st == SP_OK)
        st = SP_FAIL(err, SP_E_IO, "%s: the recording could not be written",
                     o->record ? o->record : "temporary file");
    return st;
}

int sp_cmd_diff(int argc, char **argv)
{
    diff_options o = {.batches = 1};
    sp_arg_list rest = {.n = 0};
    const sp_arg args[] = {
        SP_TEXT("recipe", 'r', &o.recipe, "RECIPE",
                "compare devices: mini-batches of this recipe, step by step"),
        SP_LIST("device", 'd', &o.devices, "SEL", "a device: number, type or part of a name; give it twice"),
        SP_TEXT("record", 0, &o.record, "FILE", "keep what the (first) device computed"),
        SP_TEXT("against", 0, &o.against, "FILE", "compare one device with a recording"),
        SP_INTEGER("batches", 0, &o.batches, "N", "mini-batches, each with its update (default 1)", 1,
                   1000000),
        SP_TEXT("bound", 0, &o.bound, "X", "spikes may differ where |u - v_th| is at most X (default 4e-6)"),
        SP_TEXT("within", 0, &o.within, "X",
                "runs: tensors and losses may differ by X of their largest number (default 0)"),
        SP_FLAG("free", 0, &o.free_run, "every device goes on from its own values"),
        SP_CLI_SET_ARG(o.session),
        SP_LIST("plugin", 'p', &o.session.force, "OP=NAME", "use this variant for an op, on both"),
        SP_TEXT("plugins", 0, &o.session.plugins, "DIRS", "folders with plugins, colon separated"),
        SP_FLAG("json", 0, &o.json, "one JSON object on stdout"),
    };
    const sp_args a = {.command = "diff",
                       .synopsis = "RUN_A RUN_B | --recipe RECIPE --device A --device B [options]",
                       .about = "Names the first layer, time step and neuron in which two devices differ, "
                                "and by how much: the second device goes on from the first one's values "
                                "after every step, so that each difference is the step's own. With two runs "
                                "or checkpoints: the first mini-batch whose loss differs, and every tensor.",
                       SP_ARGS(args, 0, 2),
                       .notes = "Exit code 0: they agree (devices: within twice the tolerance of each op, "
                                "spikes within the bound; runs: bit by bit); 1: they do not."};
    int code;
    sp_error err = {0};
    char *end = NULL;
    if (!sp_args_parse(&a, argc, argv, &rest, &code))
        return code;
    if (o.bound && (!(strtod(o.bound, &end) >= 0) || *end))
        return sp_args_wrong(&a, "--bound must be a number, not \"%s\"", o.bound);
    if (o.within && (!(strtod(o.within, &end) >= 0) || *end))
        return sp_args_wrong(&a, "--within must be a number, not \"%s\"", o.within);
    if (rest.n == 2 && !o.recipe)
        return sp_diff_runs(rest.items[0], rest.items[1], o.within ? strtod(o.within, NULL) : 0, o.json,
                            &err) == SP_OK
                   ? 0
                   : sp_cli_fail("diff", &err);
    if (rest.n || !o.recipe)
        return sp_args_wrong(&a, "name two runs, or a --recipe with devices");
    if (o.against ? o.record || o.devices.n > 1 : o.devices.n != 2 && !(o.record && o.devices.n < 2))
        return sp_args_wrong(&a, "two times --device, or one with --record FILE or --against FILE");
    return diff_devices(&o, &err) == SP_OK ? 0 : sp_cli_fail("diff", &err);
}
