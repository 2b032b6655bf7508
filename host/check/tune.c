/* One call: list the candidates, compare each with the C reference, time it in alternation with the best so
 * far. Times are kept as ratios to the incumbent, so that a machine that slows down meanwhile does not favour
 * what came first. */
#include "check/tune.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "check/case.h"
#include "check/timing.h"
#include "op/lowered.h"

enum { MAX_CONFIGS = 256, MAX_OF_VARIANT = 64, MAX_ROUNDS = 31 };
static const uint64_t library_ns =
    15000000000u;                 /* what a library may need to compile, and no one can stop it */
static const double hopeless = 4; /* times slower than the incumbent: one launch tells enough */
static const double worthwhile =
    0.98; /* a candidate must be this much of the incumbent's time to take its place */

typedef struct config {
    sp_variant *v;
    int64_t tunes[SP_VARIANT_MAX_TUNES];
    bool is_default;
} config;

struct sp_tune_history {
    config c;
    int calls, slow;
};

/* One call being tuned. */
typedef struct tuning {
    sp_tuner *t;
    sp_op_call call;
    sp_wisdom_entry *e;
    sp_timing timing;
    bool can_time;
    char cannot[160]; /* why not */
    sp_timed best;    /* the incumbent; launch NULL where there is none, or it is a lowering */
    int best_row;
    bool best_by_name; /* it runs only because it is forced */
} tuning;

void sp_tuner_fini(sp_tuner *t)
{
    sp_free(t->history);
    t->history = NULL;
    t->n_history = 0;
}

static bool is_too_late(const sp_tuner *t, uint64_t need_ns)
{
    return t->o.deadline_ns && sp_clock_ns() + need_ns >= t->o.deadline_ns;
}

bool sp_tune_is_over(const sp_tuner *t)
{
    return (t->o.stop && *t->o.stop) || is_too_late(t, t->longest_ns);
}

/* ---- candidates ---- */

/* Every combination of the values of v's tunables that fits the call, the defaults first. */
static int list_of_variant(sp_tuner *t, sp_variant *v, const sp_op_call *call, int stage, config *out,
                           int room)
{
    int at[SP_VARIANT_MAX_TUNES] = {0}, n = 0;
    for (int k = 0; k < MAX_OF_VARIANT && n < room; k++) {
        config c = {.v = v, .is_default = k == 0};
        char reason[256];
        for (int i = 0; i < v->n_tunes; i++)
            c.tunes[i] = v->tunes[i].values[at[i]];
        if ((k == 0 || stage > 0 || v->kind != SP_VARIANT_LIBRARY) &&
            sp_select_admits(t->reg, t->dev, v, call, c.tunes, reason, sizeof reason))
            out[n++] = c;
        if (!sp_variant_next_tunes(v, at))
            return n;
    }
    return n;
}

/* What is forced, or what the score chooses. Without the check before use: every candidate is compared when
 * its turn comes. */
static sp_variant *choice_without_wisdom(sp_tuner *t, const sp_op_call *call, bool forced)
{
    sp_registry before = *t->reg;
    sp_variant *v = NULL;
    t->reg->wisdom = NULL;
    t->reg->trust = NULL;
    t->reg->n_forced = forced ? before.n_forced : 0;
    sp_select(t->reg, t->dev, call, &v, NULL, 0, NULL);
    t->reg->wisdom = before.wisdom;
    t->reg->trust = before.trust;
    t->reg->n_forced = before.n_forced;
    return v;
}

/* In the order of trying: what is forced or what the score chooses, then the registry's order. */
static int list_configs(sp_tuner *t, const sp_op_call *call, int stage, config *out)
{
    sp_variant *first = choice_without_wisdom(t, call, true);
    int n = first ? list_of_variant(t, first, call, stage, out, MAX_CONFIGS) : 0;
    for (size_t i = 0; i < t->reg->n_variants; i++) {
        sp_variant *v = t->reg->variants[i];
        if (v->op == call->op && v != first)
            n += list_of_variant(t, v, call, stage, out + n, MAX_CONFIGS - n);
    }
    return n;
}

bool sp_tune_has_stage(sp_tuner *t, const sp_op_call *call, int stage)
{
    for (size_t i = 0; i < t->reg->n_variants && stage > 0; i++) {
        const sp_variant *v = t->reg->variants[i];
        char reason[256];
        if (v->op == call->op && v->kind == SP_VARIANT_LIBRARY && v->n_tunes &&
            sp_select_admits(t->reg, t->dev, v, call, NULL, reason, sizeof reason))
            return true;
    }
    return stage == 0;
}

static const char not_timed[] = "not timed";

static bool is_measured(const sp_wisdom_row *r)
{
    return r && (r->ms > 0 || strncmp(r->reason, not_timed, sizeof not_timed - 1) != 0);
}

bool sp_tune_is_complete(sp_tuner *t, const sp_op_call *call, const sp_wisdom_entry *e, int stage)
{
    config *c = sp_alloc_array(MAX_CONFIGS, sizeof *c);
    int n = c ? list_configs(t, call, stage, c) : 0;
    bool complete = c && e && e->best >= 0;
    for (int i = 0; i < n && complete; i++)
        complete = is_measured(sp_wisdom_row_of(e, c[i].v, c[i].tunes));
    sp_free(c);
    return complete;
}

/* ---- what was slow elsewhere ---- */

static struct sp_tune_history *find_history(sp_tuner *t, const config *c)
{
    for (size_t i = 0; i < t->n_history; i++) {
        struct sp_tune_history *h = &t->history[i];
        if (h->c.v == c->v && memcmp(h->c.tunes, c->tunes, sizeof c->tunes) == 0)
            return h;
    }
    return NULL;
}

static struct sp_tune_history *history_of(sp_tuner *t, const config *c)
{
    struct sp_tune_history *found = find_history(t, c);
    if (found)
        return found;
    struct sp_tune_history *added = sp_array_push(&t->history, t->n_history, sizeof *added);
    if (!added)
        return NULL;
    added->c = *c;
    t->n_history++;
    return added;
}

/* What is forced will run, however slow: all its values are timed well. */
static bool is_forced(const sp_tuner *t, const sp_variant *v)
{
    for (size_t i = 0; i < t->reg->n_forced; i++)
        if (sp_registry_is_forced(t->reg, i, v))
            return true;
    return false;
}

static bool is_left_out(sp_tuner *t, const config *c, char *reason, size_t size)
{
    const struct sp_tune_history *h = history_of(t, c);
    if (t->o.thorough || is_forced(t, c->v) || !h || h->calls < 2 || h->slow < h->calls)
        return false;
    snprintf(reason, size, "left out: at least %g times slower for %d other calls (--thorough times it)",
             hopeless, h->calls);
    return true;
}

/* Other values of the tunables are not tried where the defaults are hopeless on this call already. */
static bool has_hopeless_defaults(const tuning *g, const config *c, char *reason, size_t size)
{
    const bool tried = c->is_default || g->t->o.thorough || g->best_row < 0 || is_forced(g->t, c->v);
    const sp_wisdom_row *r = tried ? NULL : sp_wisdom_row_of(g->e, c->v, NULL);
    double ratio = r && r->ms > 0 ? r->ms / g->e->rows[g->best_row].ms : 0;
    if (ratio < hopeless)
        return false;
    snprintf(reason, size, "left out: with its defaults %.1f times slower here (--thorough times it)", ratio);
    return true;
}

static void note_history(sp_tuner *t, const config *c, double ratio)
{
    struct sp_tune_history *h = history_of(t, c);
    if (!h)
        return;
    h->calls++;
    h->slow += ratio >= hopeless;
}

/* ---- timing ---- */

/* A lowering has no launch: the sum of its parts, each by the variant that would be chosen for it. */
static sp_status time_part(sp_tuner *t, const sp_lowered_part *part, double *ms, sp_error *err)
{
    sp_timing timing;
    sp_timed l;
    sp_variant *v;
    double samples[MAX_ROUNDS];
    int64_t tunes[SP_VARIANT_MAX_TUNES];
    SP_TRY(sp_select(t->reg, t->dev, &part->call, &v, NULL, 0, err));
    SP_TRY(sp_timing_init(&timing, t->dev, &part->call, t->o.seed, t->o.density, err));
    bool tuned = sp_wisdom_tunes(t->reg, v, &part->call, tunes);
    sp_status st = sp_timing_prepare(&timing, t->reg, v, tuned ? tunes : NULL, &l, err);
    if (st == SP_OK) {
        st = sp_timing_warm(&timing, &l, HUGE_VAL, NULL, err);
        for (int i = 0; i < t->o.rounds && st == SP_OK; i++)
            st = sp_timing_once(&timing, &l, &samples[i], err);
        *ms += st == SP_OK ? (double)part->times * sp_timing_median(samples, t->o.rounds) : 0;
        sp_timing_release(&timing, &l);
    }
    sp_timing_fini(&timing);
    return st;
}

static sp_status time_lowering(tuning *g, double *ms, sp_error *err)
{
    sp_lowered_part parts[SP_LOWERED_MAX_PARTS];
    size_t n = sp_op_lowered(&g->call, parts);
    *ms = 0;
    for (size_t i = 0; i < n; i++)
        SP_TRY(time_part(g->t, &parts[i], ms, err));
    return n ? SP_OK : SP_FAIL(err, SP_E_PLUGIN, "nothing is known of what it is lowered to");
}

/* Pairs of batches, incumbent first. With no incumbent to run beside it: plain medians. */
static sp_status time_beside(tuning *g, const sp_variant *v, sp_timed *l, double *ms, sp_error *err)
{
    double own[MAX_ROUNDS], ratio[MAX_ROUNDS], incumbent = g->best_row >= 0 ? g->e->rows[g->best_row].ms : 0,
                                               first;
    const double limit = incumbent > 0 && !is_forced(g->t, v) ? hopeless * incumbent : HUGE_VAL;
    SP_TRY(sp_timing_warm(&g->timing, l, limit, &first, err));
    if (first > limit) {
        *ms = first;
        return SP_OK;
    }
    for (int i = 0; i < g->t->o.rounds; i++) {
        double other = 0;
        if (g->best.launch)
            SP_TRY(sp_timing_once(&g->timing, &g->best, &other, err));
        SP_TRY(sp_timing_once(&g->timing, l, &own[i], err));
        ratio[i] = other > 0 ? own[i] / other : 0;
    }
    *ms = g->best.launch ? incumbent * sp_timing_median(ratio, g->t->o.rounds)
                         : sp_timing_median(own, g->t->o.rounds);
    return SP_OK;
}

/* What runs only because it is forced is timed for the values of its tunables. Other runs cannot choose it,
 * so it is no incumbent beside what they can. */
static bool is_by_name(const tuning *g, const sp_variant *v)
{
    return v->by_name || !sp_variant_is_meant_for(v, g->t->dev);
}

static bool is_better(const tuning *g, const sp_variant *v, double ms, double share)
{
    if (g->best_row < 0 || is_by_name(g, v) != g->best_by_name)
        return g->best_row < 0 || g->best_by_name;
    return ms < share * g->e->rows[g->best_row].ms;
}

/* Takes the incumbent's place when it is faster. l may be empty (a lowering); it is released here or kept. */
static void compete(tuning *g, const sp_variant *v, int row, double ms, sp_timed *l)
{
    g->e->rows[row].ms = ms;
    if (is_better(g, v, ms, worthwhile)) {
        sp_timing_release(&g->timing, &g->best);
        g->best = *l;
        g->best_row = row;
        g->best_by_name = is_by_name(g, v);
    } else {
        sp_timing_release(&g->timing, l);
    }
}

/* Errors that say something of the candidate and not of the device. */
static bool is_candidates_fault(sp_status st)
{
    return st == SP_E_MISMATCH || st == SP_E_BUILD || st == SP_E_PLUGIN || st == SP_E_UNFIT ||
           st == SP_E_IO || st == SP_E_USAGE || st == SP_E_OPENCL || st == SP_E_FAILED;
}

static sp_status verify(tuning *g, const config *c, sp_error *err)
{
    sp_check_report report = {0};
    sp_op_call small = sp_check_shrink(c->v, g->t->dev, &g->call, c->tunes);
    return sp_check_call(g->t->reg, g->t->dev, c->v, &small, c->tunes, g->t->o.seed, &report, err);
}

static sp_status measure(tuning *g, const config *c, int row, sp_error *err)
{
    sp_timed l = {0};
    double ms = 0;
    if (c->v->kind == SP_VARIANT_LOWER) {
        SP_TRY(time_lowering(g, &ms, err));
    } else {
        SP_TRY(verify(g, c, err));
        if (!g->can_time)
            return SP_FAIL(err, SP_E_USAGE, "%s", g->cannot);
        SP_TRY(sp_timing_prepare(&g->timing, g->t->reg, c->v, c->tunes, &l, err));
        sp_status st = time_beside(g, c->v, &l, &ms, err);
        if (st != SP_OK) {
            sp_timing_release(&g->timing, &l);
            return st;
        }
    }
    g->t->n_timed++;
    note_history(g->t, c, g->best_row < 0 || g->best_by_name ? 1 : ms / g->e->rows[g->best_row].ms);
    compete(g, c->v, row, ms, &l);
    return SP_OK;
}

static sp_status try_config(tuning *g, const config *c, sp_error *err)
{
    sp_wisdom_row *r = sp_wisdom_add_row(g->e, c->v, c->tunes);
    int row = g->e->n_rows - 1;
    sp_error why = {0};
    if (!r)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while tuning");
    bool is_new_library = c->v->kind == SP_VARIANT_LIBRARY && !find_history(g->t, c);
    if (sp_tune_is_over(g->t) || (is_new_library && is_too_late(g->t, library_ns))) {
        snprintf(r->reason, sizeof r->reason, "%s: the time was over", not_timed);
        return SP_OK;
    }
    if ((g->best_row >= 0 && is_left_out(g->t, c, r->reason, sizeof r->reason)) ||
        has_hopeless_defaults(g, c, r->reason, sizeof r->reason))
        return SP_OK;
    uint64_t start = sp_clock_ns();
    sp_status st = sp_interrupted_or(measure(g, c, row, &why),
                                     "candidates were timed; what was measured before is kept", &why);
    uint64_t took = sp_clock_ns() - start;
    g->t->longest_ns = took > g->t->longest_ns ? took : g->t->longest_ns;
    if (st == SP_OK)
        return SP_OK;
    if (!is_candidates_fault(st)) {
        if (err)
            *err = why;
        return st;
    }
    if (st == SP_E_MISMATCH && c->is_default)
        sp_variant_refuse(c->v, why.text); // nor is it the score's choice
    snprintf(g->e->rows[row].reason, sizeof r->reason, "%s%.180s", st == SP_E_MISMATCH ? "wrong: " : "",
             why.text);
    return SP_OK;
}

/* Rows measured before. The incumbent is made ready again, so that new candidates run beside it. */
static sp_status take_known(tuning *g, const sp_wisdom_entry *known, const config *c, int n, bool *done,
                            sp_error *err)
{
    const config *best = NULL;
    for (int i = 0; i < n && known; i++) {
        const sp_wisdom_row *r = sp_wisdom_row_of(known, c[i].v, c[i].tunes);
        if (!is_measured(r))
            continue;
        sp_wisdom_row *copy = sp_wisdom_add_row(g->e, c[i].v, c[i].tunes);
        if (!copy)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while tuning");
        copy->ms = r->ms;
        memcpy(copy->reason, r->reason, sizeof copy->reason);
        done[i] = true;
        if (r->ms > 0 && is_better(g, c[i].v, r->ms, 1)) {
            g->best_row = g->e->n_rows - 1;
            g->best_by_name = is_by_name(g, c[i].v);
            best = &c[i];
        }
    }
    if (!best || best->v->kind == SP_VARIANT_LOWER || !g->can_time)
        return SP_OK;
    SP_TRY(sp_timing_prepare(&g->timing, g->t->reg, best->v, best->tunes, &g->best, err));
    return sp_timing_warm(&g->timing, &g->best, HUGE_VAL, NULL, err);
}

/* Those that trust found wrong stand in the entry as well: a tuning file without them cannot be audited. */
static void add_refused(tuning *g)
{
    for (size_t i = 0; i < g->t->reg->n_variants; i++) {
        const sp_variant *v = g->t->reg->variants[i];
        sp_wisdom_row *r = v->op == g->call.op && v->refused && !sp_wisdom_row_of(g->e, v, NULL)
                               ? sp_wisdom_add_row(g->e, v, NULL)
                               : NULL;
        if (r)
            snprintf(r->reason, sizeof r->reason, "refused: %.180s", v->refused);
    }
}

static void conclude(tuning *g)
{
    const sp_variant *first = choice_without_wisdom(g->t, &g->call, false);
    const sp_wisdom_row *r = first ? sp_wisdom_row_of(g->e, first, NULL) : NULL;
    g->e->best = g->best_row;
    g->e->baseline = r ? (int)(r - g->e->rows) : -1;
    g->e->density = g->t->o.density;
    snprintf(g->e->date, sizeof g->e->date, "%s", sp_date_of(time(NULL)).text);
    add_refused(g);
}

sp_status sp_tune_call(sp_tuner *t, const sp_op_call *call, const sp_wisdom_entry *known, int stage,
                       sp_wisdom_entry **out, sp_error *err)
{
    tuning g = {.t = t, .call = *call, .best_row = -1, .e = sp_wisdom_entry_new(t->dev, call)};
    config *c = sp_alloc_array(MAX_CONFIGS, sizeof *c);
    bool *done = sp_alloc_array(MAX_CONFIGS, sizeof *done);
    sp_error why = {0};
    sp_status st = g.e && c && done ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while tuning");
    if (st != SP_OK)
        goto done;
    t->o.rounds = t->o.rounds < 1 ? 1 : t->o.rounds > MAX_ROUNDS ? MAX_ROUNDS : t->o.rounds;
    int n = list_configs(t, call, stage, c);
    g.can_time = sp_timing_init(&g.timing, t->dev, call, t->o.seed, t->o.density, &why) == SP_OK;
    snprintf(g.cannot, sizeof g.cannot, "%.150s", why.text);
    SP_TRY_GOTO(take_known(&g, known, c, n, done, err));
    for (int i = 0; i < n; i++)
        if (!done[i])
            SP_TRY_GOTO(try_config(&g, &c[i], err));
    conclude(&g);
    *out = g.e;
    g.e = NULL;
done:
    sp_timing_release(&g.timing, &g.best);
    sp_timing_fini(&g.timing);
    if (g.e)
        sp_wisdom_entry_free(&g.e);
    sp_free(c);
    sp_free(done);
    return st;
}
