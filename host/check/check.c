/* A variant against the C reference: for every call that applies, launch, compare, launch again for equal
 * bits, and launch with outputs in the memory of the inputs that they may alias. */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/expr.h"
#include "base/mem.h"
#include "check/case.h"

enum { MAX_CALLS = 512 };
static const double slow_simulator_flops = 5e4; /* a call that costs more takes minutes on an interpreter */

typedef struct session {
    sp_registry *reg;
    sp_device *dev;
    sp_variant *variant;
    sp_check_report *report;
    sp_check_arena arena;
    uint64_t seed;
    double tolerance;
    const int64_t *tunes; /* NULL: the defaults */
} session;

/* The device types it is meant for do not matter here, so that a GPU's kernel is checked on a CPU. */
static bool applies(const session *s, const sp_op_call *call, const int64_t *tunes)
{
    return (s->variant->bf16 || !sp_call_is_bf16(call)) &&
           sp_variant_can_run(s->variant, s->dev, call, tunes, NULL, 0);
}

/* A condition that cannot be evaluated is a fault of the plugin, and not a call that it leaves to others. */
static sp_status check_condition(const session *s, const sp_op_call *call, const int64_t *tunes,
                                 sp_error *err)
{
    const sp_variant_scope scope = {s->variant, call, s->dev, tunes};
    return !s->variant->bf16 && sp_call_is_bf16(call) ? SP_OK : sp_variant_evaluates(&scope, err);
}

static sp_status blame(const session *s, const sp_op_call *call, sp_status status, sp_error *err)
{
    const sp_check_repeat repeat = {s->dev, s->variant, call, s->tunes, s->seed};
    return sp_check_blame(&repeat, status, err);
}

static void note_error(session *s, const sp_check_case *c, const sp_check_verdict *v)
{
    double margin = s->tolerance > 0 ? v->error / s->tolerance : v->error > 0 ? HUGE_VAL : 0;
    if (v->error >= s->report->worst_error) {
        s->report->worst_error = v->error;
        sp_check_describe(&c->call, s->report->worst_shape, sizeof s->report->worst_shape);
    }
    s->report->worst_margin = fmax(s->report->worst_margin, margin);
}

static sp_status compare_outputs(session *s, const sp_check_case *c, const char *circumstance, sp_error *err)
{
    for (int i = 0; i < c->n_buffers; i++) {
        if (!c->buffers[i].present || c->buffers[i].access == SP_IN)
            continue;
        sp_check_verdict v;
        sp_check_compare(c, i, s->tolerance, &v);
        note_error(s, c, &v);
        if (!v.ok)
            return SP_FAIL(err, SP_E_MISMATCH, "%s%s", v.text, circumstance);
    }
    return SP_OK;
}

/* One call: what the device computes, and where that takes the reference too long, the part that it is
 * compared in. */
typedef struct tried {
    sp_check_case all, few;
    sp_check_part part;
    bool is_cut;
} tried;

static sp_check_case *judged(tried *t)
{
    return t->is_cut ? &t->few : &t->all;
}

static sp_status run_once(session *s, tried *t, sp_launch *launch, bool shared, sp_error *err)
{
    SP_TRY(sp_check_arena_run(&s->arena, &t->all, launch, shared, err));
    return t->is_cut ? sp_check_part_take(&t->part, &t->all, &t->few, err) : SP_OK;
}

/* The second launch must give the same bits as the first, whose results are in got. */
static sp_status repeat(session *s, tried *t, sp_launch *launch, sp_error *err)
{
    uint32_t *first[SP_OP_MAX_BUFFERS] = {0};
    const sp_check_case *c = &t->all;
    sp_status st = SP_OK;
    for (int i = 0; i < c->n_buffers; i++) {
        if (!c->buffers[i].present || c->buffers[i].access == SP_IN)
            continue;
        size_t bytes = (size_t)c->buffers[i].words * 4;
        first[i] = sp_alloc(bytes);
        if (!first[i])
            SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "no memory to compare two launches"));
        memcpy(first[i], c->buffers[i].got, bytes);
    }
    SP_TRY_GOTO(run_once(s, t, launch, false, err));
    for (int i = 0; i < c->n_buffers; i++)
        for (int64_t k = 0; first[i] && k < c->buffers[i].words; k++)
            if (first[i][k] != c->buffers[i].got[k])
                SP_TRY_GOTO(SP_FAIL(err, SP_E_MISMATCH,
                                    "a second launch gave other bits in %s, element %" PRId64,
                                    c->buffers[i].name, k));
done:
    for (int i = 0; i < c->n_buffers; i++)
        sp_free(first[i]);
    return st;
}

/* Whatever was drawn is there: the reference runs beside the compiler, which takes about as long. */
static void *expect(void *c)
{
    sp_check_case_expect(c);
    return NULL;
}

static sp_status first_launch(session *s, tried *t, const int64_t *tunes, sp_launch **launch, sp_error *err)
{
    pthread_t thread;
    const bool beside = pthread_create(&thread, NULL, expect, judged(t)) == 0;
    sp_status st = sp_launch_create(s->reg, s->dev, s->variant, &t->all.call, tunes, launch, err);
    if (st == SP_OK)
        st = run_once(s, t, *launch, false, err);
    if (beside)
        pthread_join(thread, NULL);
    else
        sp_check_case_expect(judged(t));
    return st;
}

static sp_status run_launches(session *s, tried *t, sp_launch *launch, sp_error *err)
{
    SP_TRY(compare_outputs(s, judged(t), "", err));
    SP_TRY(repeat(s, t, launch, err));
    bool can_share = false;
    for (int i = 0; i < t->all.n_buffers; i++)
        can_share |= sp_check_alias_of(&t->all, i) >= 0;
    if (!can_share)
        return SP_OK;
    SP_TRY(run_once(s, t, launch, true, err));
    return compare_outputs(s, judged(t), " (output in the memory of its input)", err);
}

static sp_status check_call(session *s, const sp_op_call *call, const int64_t *tunes, sp_error *err)
{
    tried t = {.is_cut = false};
    sp_launch *launch = NULL;
    sp_error own = {0};
    sp_status st = SP_OK;
    s->report->shapes_run++;
    t.is_cut = sp_check_part_of(call, &t.part);
    SP_TRY_GOTO(sp_check_case_draw(&t.all, call, s->seed, &own));
    if (t.is_cut)
        SP_TRY_GOTO(sp_check_part_draw(&t.part, &t.all, &t.few, &own));
    SP_TRY_GOTO(first_launch(s, &t, tunes, &launch, &own));
    SP_TRY_GOTO(run_launches(s, &t, launch, &own));
done:
    sp_launch_destroy(&launch);
    sp_check_case_fini(&t.all);
    sp_check_case_fini(&t.few);
    if (st != SP_OK && err) {
        *err = own;
        st = blame(s, call, st, err);
    }
    return st;
}

static session session_make(sp_registry *reg, sp_device *dev, sp_variant *v, uint64_t seed,
                            sp_check_report *report)
{
    session s = {.reg = reg, .dev = dev, .variant = v, .seed = seed, .report = report};
    s.tolerance = v->approximate || v->bf16 ? v->tolerance : fmin(v->tolerance, v->op->tolerance);
    sp_check_arena_init(&s.arena, dev);
    return s;
}

/* Too slow for this device; the cheapest applicable call runs all the same, so that something does. */
static bool too_slow(const session *s, const sp_op_call *calls, size_t n, size_t i, const int64_t *tunes)
{
    if (!(s->dev->info.quirks & SP_QUIRK_SLOW_SIMULATOR) || sp_call_work(&calls[i]) <= slow_simulator_flops)
        return false;
    for (size_t k = 0; k < n; k++)
        if (applies(s, &calls[k], tunes) && (sp_call_work(&calls[k]) < sp_call_work(&calls[i]) ||
                                             (k < i && sp_call_work(&calls[k]) <= sp_call_work(&calls[i]))))
            return true;
    return false;
}

static sp_status check_calls(session *s, const sp_check_options *o, const int64_t *tunes, sp_error *err)
{
    sp_op_call *calls = sp_alloc_array(MAX_CALLS, sizeof *calls);
    if (!calls)
        return SP_FAIL(err, SP_E_MEMORY, "no memory for the calls of op %s", s->variant->op->id);
    size_t n = o->like ? sp_check_calls_like(o->like, o->few, calls, MAX_CALLS)
                       : sp_check_calls(s->variant->op, o->quick, calls, MAX_CALLS);
    s->tunes = tunes;
    sp_status st =
        n ? SP_OK
          : SP_FAIL(err, SP_E_FAILED, "no shapes are known for op %s: add them to host/check/calls.c",
                    s->variant->op->id);
    for (size_t i = 0; i < n && st == SP_OK; i++) {
        st = check_condition(s, &calls[i], tunes, err);
        if (st != SP_OK)
            st = blame(s, &calls[i], st, err);
        else if (!applies(s, &calls[i], tunes) || too_slow(s, calls, n, i, tunes))
            s->report->shapes_not_applicable++;
        else
            st = check_call(s, &calls[i], tunes, err);
    }
    sp_free(calls);
    return st;
}

/* Each further value of each tunable, the others at their defaults, on the quick calls. A library compiles
 * for each value, so there only on devices that it is meant for. */
static sp_status check_tunes(session *s, sp_error *err)
{
    const sp_variant *v = s->variant;
    const sp_check_options quick = {.quick = true};
    if (v->kind == SP_VARIANT_LIBRARY && v->needs_device &&
        !strstr(v->needs_device, sp_device_type_name(s->dev->info.type)))
        return SP_OK;
    for (int t = 0; t < v->n_tunes; t++)
        for (int k = 1; k < v->tunes[t].n_values; k++) {
            int64_t values[SP_VARIANT_MAX_TUNES];
            for (int i = 0; i < v->n_tunes; i++)
                values[i] = v->tunes[i].values[i == t ? k : 0];
            sp_status st = check_calls(s, &quick, values, err);
            if (st != SP_OK)
                return sp_error_prefix(err, st, "with %s=%lld: ", v->tunes[t].name,
                                       (long long)v->tunes[t].values[k]);
        }
    return SP_OK;
}

sp_status sp_check_variant(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_check_options *o,
                           sp_check_report *report, sp_error *err)
{
    sp_check_report own = {0};
    if (!report)
        report = &own;
    *report = own;
    if (v->kind == SP_VARIANT_LOWER)
        return SP_OK; /* other ops do its work, and they are checked */
    session s = session_make(reg, dev, v, o->seed, report);
    sp_status st = check_calls(&s, o, NULL, err);
    if (st == SP_OK && !o->quick)
        st = check_tunes(&s, err);
    sp_check_arena_fini(&s.arena);
    return st;
}

sp_status sp_check_call(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call,
                        const int64_t *tune_values, uint64_t seed, sp_check_report *report, sp_error *err)
{
    session s = session_make(reg, dev, v, seed, report);
    sp_op_call own = sp_variant_call(v, call);
    sp_check_stand_in(&own);
    s.tunes = tune_values;
    sp_status st = check_call(&s, &own, tune_values, err);
    sp_check_arena_fini(&s.arena);
    return st;
}
