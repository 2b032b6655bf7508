/* Levels 0 and 1 of the suite: what the device can do at best, and the ops on the shapes of the networks.
 * Every variant is compared with the C reference before it is timed; what differs gets a record without a
 * time. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "check/check.h"
#include "check/peaks.h"
#include "check/timing.h"
#include "cl/program.h"
#include "cli/plugins.h"
#include "lab/suite.h"

enum { MAX_CANDIDATES = 64, PEAK_SAMPLES = 5, LAUNCH_SAMPLES = 50, BUILD_SAMPLES = 3 };

typedef struct op_problem {
    const char *op, *flag, *shape, *small, *from;
} op_problem;

static const op_problem problems[] = {
    {"conv.forward", "X_BITS", "N=32 H=32 W=32 C=64 O=64 KH=3 KW=3 PH=1 PW=1",
     "N=1 H=5 W=5 C=32 O=16 KH=3 KW=3 PH=1 PW=1", "ResNet-18"},
    {"conv.backward_input", NULL, "N=32 H=32 W=32 C=64 O=64 KH=3 KW=3 PH=1 PW=1",
     "N=1 H=5 W=5 C=32 O=16 KH=3 KW=3 PH=1 PW=1", "ResNet-18"},
    {"conv.backward_weight", "X_BITS", "N=32 H=32 W=32 C=64 O=64 KH=3 KW=3 PH=1 PW=1",
     "N=1 H=5 W=5 C=32 O=16 KH=3 KW=3 PH=1 PW=1", "ResNet-18"},
    {"conv.forward", "X_BITS", "N=32 H=8 W=8 C=256 O=256 KH=3 KW=3 PH=1 PW=1", NULL, "ResNet-18"},
    {"conv.backward_input", NULL, "N=32 H=8 W=8 C=256 O=256 KH=3 KW=3 PH=1 PW=1", NULL, "ResNet-18"},
    {"conv.backward_weight", "X_BITS", "N=32 H=8 W=8 C=256 O=256 KH=3 KW=3 PH=1 PW=1", NULL, "ResNet-18"},
    {"gemm", NULL, "M=128 N=128 K=3136", "M=9 N=17 K=33", "the demo's linear layer"},
    {"neuron.forward", "NORM", "M=32768 C=64", "M=20 C=48", "ResNet-18"},
    {"neuron.backward", NULL, "M=32768 C=64", "M=20 C=48", "ResNet-18"},
    {"batch_norm.statistics", NULL, "M=32768 C=64", "M=20 C=48", "ResNet-18"},
    {"batch_norm.backward", NULL, "M=32768 C=64", "M=20 C=48", "ResNet-18"},
    {"pool.avg.forward", "X_BITS", "N=128 H=28 W=28 C=32 KH=2 KW=2 SH=2 SW=2",
     "N=1 H=4 W=4 C=32 KH=2 KW=2 SH=2 SW=2", "the demo"},
    {"residual.forward", NULL, "M=32768 C=64", "M=20 C=48", "ResNet-18"},
    {"optimizer.sgd", NULL, "M=11176906", "M=777", "ResNet-18"},
};

static sp_status put_samples(sp_cli_suite *s, const char *problem, const char *unit, const double *x, int n,
                             const char *text, sp_error *err)
{
    json_t *r = sp_cli_suite_record(s, 0, problem, "peaks"), *samples = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(samples, json_real(x[i]));
    json_object_set_new(r, "unit", json_string(unit));
    json_object_set_new(r, "status", json_string("ok"));
    json_object_set_new(r, "samples", samples);
    sp_cli_suite_validation(r, true, 0, -1, text);
    return sp_cli_suite_put(s, r, err);
}

static sp_status launch_latency(sp_device *dev, sp_registry *reg, double *x, sp_error *err)
{
    sp_op_call call = {.op = sp_op_find("fill")};
    sp_variant *v = NULL;
    sp_timing t;
    sp_timed l;
    call.ints[0] = 64;
    SP_TRY(sp_select(reg, dev, &call, &v, NULL, 0, err));
    SP_TRY(sp_timing_init(&t, dev, &call, 1, 0, err));
    sp_status st = sp_timing_prepare(&t, reg, v, NULL, &l, err);
    if (st == SP_OK) {
        st = sp_timing_warm(&t, &l, 1e30, NULL, err);
        l.batch = 1; // launch and wait, not a stream of launches
        for (int i = 0; i < LAUNCH_SAMPLES && st == SP_OK; i++)
            st = sp_timing_once(&t, &l, &x[i], err);
        sp_timing_release(&t, &l);
    }
    sp_timing_fini(&t);
    return st;
}

/* A text that no cache has seen. */
static sp_status compile_time(sp_device *dev, double *x, sp_error *err)
{
    for (int i = 0; i < BUILD_SAMPLES; i++) {
        char text[256];
        cl_program program;
        snprintf(text, sizeof text,
                 "__kernel void k(__global float *y, float a) { size_t i = get_global_id(0); y[i] = a * "
                 "%llu.0f + y[i]; }\n",
                 (unsigned long long)(sp_clock_ns() % 1000000007 + (uint64_t)i));
        const sp_source piece = {"suite", text};
        uint64_t start = sp_clock_ns();
        SP_TRY(sp_program_get(dev, "suite", &piece, 1, NULL, &program, err));
        x[i] = (double)(sp_clock_ns() - start) * 1e-6;
    }
    return SP_OK;
}

static sp_status peaks(sp_cli_suite *s, sp_device *dev, sp_registry *reg, sp_error *err)
{
    double fma[PEAK_SAMPLES], copy[PEAK_SAMPLES], latency[LAUNCH_SAMPLES], build[BUILD_SAMPLES];
    if (!sp_cli_suite_wanted(s, "peak.compile", NULL)) // the last of them
        return SP_OK;
    for (int i = 0; i < PEAK_SAMPLES && !(s->small && i); i++) {
        sp_peaks r;
        SP_TRY(sp_peaks_measure(dev, &r, err));
        fma[i] = r.gflops;
        copy[i] = r.gbytes;
    }
    int n = s->small ? 1 : PEAK_SAMPLES;
    SP_TRY(launch_latency(dev, reg, latency, err));
    SP_TRY(compile_time(dev, build, err));
    SP_TRY(put_samples(s, "peak.fma", "GFLOP/s", fma, n,
                       "a rate of the device itself: nothing to compare with", err));
    SP_TRY(put_samples(s, "peak.copy", "GB/s", copy, n,
                       "a rate of the device itself: nothing to compare with", err));
    SP_TRY(put_samples(s, "peak.launch", "ms", latency, LAUNCH_SAMPLES,
                       "fill of 64 numbers, launched and waited for", err));
    return put_samples(s, "peak.compile", "ms", build, BUILD_SAMPLES,
                       "a kernel of one line that no cache has seen", err);
}

static void add_tunables(json_t *r, const sp_variant *v)
{
    json_t *t = json_object();
    for (int i = 0; i < v->n_tunes; i++)
        json_object_set_new(t, v->tunes[i].name, json_integer((json_int_t)v->tunes[i].values[0]));
    char hash[24];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)sp_variant_hash(v));
    json_object_set_new(r, "variant", json_string(v->id));
    json_object_set_new(r, "variant_version", json_string(v->version));
    json_object_set_new(r, "variant_hash", json_string(hash));
    json_object_set_new(r, "tunables", t);
}

static sp_status time_variant(sp_cli_suite *s, sp_timing *t, sp_registry *reg, sp_variant *v, json_t *r,
                              sp_error *err)
{
    sp_timed l;
    uint64_t start = sp_clock_ns();
    json_t *samples = json_array();
    SP_TRY(sp_timing_prepare(t, reg, v, NULL, &l, err));
    json_object_set_new(r, "compile_ms", json_real((double)(sp_clock_ns() - start) * 1e-6));
    sp_status st = sp_timing_warm(t, &l, 1e30, NULL, err);
    for (int64_t i = 0; i < s->samples && st == SP_OK; i++) {
        double ms = 0;
        st = sp_timing_once(t, &l, &ms, err);
        json_array_append_new(samples, json_real(ms));
    }
    json_object_set_new(r, "launches_per_sample", json_integer(l.batch));
    json_object_set_new(r, "warmup", json_string("until built and a sample takes two milliseconds"));
    json_object_set_new(r, "samples", samples);
    sp_timing_release(t, &l);
    return st;
}

/* One record: the variant checked, then timed. */
static sp_status put_variant(sp_cli_suite *s, sp_timing *t, sp_registry *reg, const sp_candidate *c,
                             const char *problem, const char *application, sp_error *err)
{
    sp_error why = {0};
    sp_check_report report = {0};
    const sp_check_options quick = {.quick = true, .seed = 1};
    json_t *r = sp_cli_suite_record(s, 1, problem, application);
    add_tunables(r, c->variant);
    json_object_set_new(r, "unit", json_string("ms"));
    json_object_set_new(r, "flops", json_real(t->flops));
    json_object_set_new(r, "bytes", json_real(t->bytes));
    sp_status st = sp_check_variant(reg, t->dev, c->variant, &quick, &report, &why);
    if (st == SP_OK && report.shapes_run == 0) {
        sp_cli_suite_reason(r, "invalid",
                            "no shape of the quick check fits this variant: not compared, not timed");
        return sp_cli_suite_put(s, r, err);
    }
    sp_cli_suite_validation(r, st == SP_OK, report.worst_margin, 1.0,
                            st == SP_OK ? "largest error as a share of the tolerance" : why.text);
    if (st == SP_OK) {
        st = time_variant(s, t, reg, c->variant, r, &why);
        json_object_set_new(r, "status", json_string("ok"));
    }
    if (st != SP_OK)
        sp_cli_suite_reason(r, st == SP_E_MISMATCH ? "invalid" : "failed", why.text);
    return sp_cli_suite_put(s, r, err);
}

static sp_status run_problem(sp_cli_suite *s, sp_device *dev, sp_registry *reg, const op_problem *p,
                             sp_error *err)
{
    sp_cli_plugins o = {.target = p->op,
                        .shape = s->small ? p->small : p->shape,
                        .neuron = "lif",
                        .surrogate = "triangle",
                        .reg = reg,
                        .dev = dev};
    sp_candidate all[MAX_CANDIDATES];
    char problem[400], text[320];
    sp_op_call call;
    sp_timing t;
    if (p->flag)
        o.flags.items[o.flags.n++] = p->flag;
    SP_TRY(sp_cli_plugins_call(&o, &call, err));
    sp_call_describe(&call, text, sizeof text);
    snprintf(problem, sizeof problem, "%s%s%s %s", p->op, p->flag ? " " : "", p->flag ? p->flag : "",
             o.shape);
    if (!sp_cli_suite_named(s, problem))
        return SP_OK;
    sp_cli_say("  %s\n", problem);
    size_t n = sp_select_explain(reg, dev, &call, all, MAX_CANDIDATES);
    SP_TRY(sp_timing_init(&t, dev, &call, 1, 0.15, err));
    sp_status st = SP_OK;
    bool ours = false, reference = false;
    for (size_t i = 0; i < n && st == SP_OK; i++) {
        char application[200];
        if (!all[i].applicable || all[i].variant->kind == SP_VARIANT_LOWER)
            continue;
        bool is_reference = all[i].variant->origin == SP_ORIGIN_REFERENCE;
        if (!ours) // best first: what a run would take
            snprintf(application, sizeof application, "spikeport");
        else if (is_reference && !reference)
            snprintf(application, sizeof application, "spikeport, reference kernels");
        else
            snprintf(application, sizeof application, "spikeport, %s", all[i].variant->id);
        if (sp_cli_suite_wanted(s, problem, application) && (!s->chosen || !ours))
            st = put_variant(s, &t, reg, &all[i], problem, application, err);
        if (st == SP_OK && !ours && is_reference && !s->chosen &&
            sp_cli_suite_wanted(s, problem, "spikeport, reference kernels")) // both at once
            st = put_variant(s, &t, reg, &all[i], problem, "spikeport, reference kernels", err);
        reference = reference || is_reference;
        ours = true;
    }
    sp_timing_fini(&t);
    if (st == SP_OK && !ours && sp_cli_suite_wanted(s, problem, "spikeport")) {
        json_t *r = sp_cli_suite_record(s, 1, problem, "spikeport");
        sp_cli_suite_reason(r, "unsupported", n ? all[0].reason : "no variant of the op");
        st = sp_cli_suite_put(s, r, err);
    }
    return st;
}

static sp_status open_device(sp_cli_suite *s, sp_registry **reg, sp_device **dev, sp_error *err)
{
    char index[16];
    snprintf(index, sizeof index, "%d", s->info->index);
    SP_TRY(sp_registry_create(s->plugins, reg, err));
    SP_TRY(sp_device_open(index, NULL, dev, err));
    sp_registry_suit(*reg, *dev);
    return peaks(s, *dev, *reg, err);
}

sp_status sp_cli_suite_ops(sp_cli_suite *s, sp_error *err)
{
    sp_registry *reg = NULL;
    sp_device *dev = NULL;
    sp_status st = s->names ? SP_OK : open_device(s, &reg, &dev, err);
    for (size_t i = 0; i < sizeof problems / sizeof *problems && st == SP_OK && s->level >= 1; i++) {
        if (s->small && !problems[i].small)
            continue;
        st = run_problem(s, dev, reg, &problems[i], err);
    }
    sp_registry_destroy(&reg);
    sp_device_close(&dev);
    return st;
}
