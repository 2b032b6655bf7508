/* Choosing a variant for a call: the filter with its reasons, trust, order. The same walk serves the
 * choice and its explanation, so that `plugins why` cannot tell another story than the run. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/expr.h"
#include "base/mem.h"
#include "base/paths.h"
#include "registry/force.h"
#include "registry/package.h"
#include "registry/wisdom.h"

/* ---- the filter ---- */

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; at && (at = strstr(at, word)) != NULL; at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

bool sp_variant_needs_met(const sp_variant *v, const sp_device *dev, char *reason, size_t size)
{
    for (const char *at = v->needs_extensions; at && *at;) {
        char name[128];
        size_t n = strcspn(at, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        at += n + (at[n] == ' ');
        if (!sp_device_has(&dev->info, name)) {
            snprintf(reason, size, "rejected: needs %s, which this device lacks", name);
            return false;
        }
    }
    return true;
}

bool sp_variant_is_meant_for(const sp_variant *v, const sp_device *dev)
{
    return !v->needs_device || has_word(v->needs_device, sp_device_type_name(dev->info.type));
}

/* What a kernel that reads a buffer as half under this flag says: the flag, or the macro that moves such a
 * pointer. */
static bool serves_half(const sp_variant *v, const char *flag)
{
    const char *text = v->own ? v->own : v->source;
    return v->kind == SP_VARIANT_KERNEL && text &&
           (strstr(text, flag) || strstr(text, strcmp(flag, "U_HALF") == 0 ? "SP_AT_U(" : "SP_AT_XH("));
}

const char *sp_variant_lacks_half(const sp_variant *v, const sp_op_call *call)
{
    for (int i = 0; i < SP_OP_MAX_BUFFERS && call->op->buffers[i].name; i++) {
        const char *flag = call->op->buffers[i].half;
        if (flag && strcmp(flag, "1") != 0 && sp_call_flag(call, flag) && !serves_half(v, flag))
            return flag;
    }
    return NULL;
}

bool sp_variant_can_run(const sp_variant *v, const sp_device *dev, const sp_op_call *call,
                        const int64_t *tune_values, char *reason, size_t size)
{
    sp_variant_scope scope = {.variant = v, .call = call, .dev = dev, .tune_values = tune_values};
    if (!sp_variant_needs_met(v, dev, reason, size))
        return false;
    const char *half = sp_variant_lacks_half(v, call);
    if (half) {
        snprintf(reason, size, "rejected: takes float32, not half (%s=1)", half);
        return false;
    }
    if (v->bf16 && !sp_call_is_bf16(call)) {
        snprintf(reason, size,
                 "rejected: multiplies in bf16, which precision.compute of the recipe does not allow");
        return false;
    }
    bool holds;
    sp_error err = {0};
    if (sp_variant_when(&scope, &holds, &err) != SP_OK)
        snprintf(reason, size, "rejected: %s", err.text);
    else if (!holds)
        sp_variant_say_false(&scope, reason, size);
    return holds;
}

/* Whether v may be chosen for the call on dev; else the reason. `forced`: it is named; `any_type`: also where
 * it is meant for another type of device. */
static bool is_applicable(const sp_variant *v, const sp_device *dev, const sp_op_call *call,
                          const int64_t *tune_values, bool any_type, bool forced, char *reason, size_t size)
{
    if (v->by_name && !forced) {
        snprintf(reason, size, "rejected: %s; runs only when it is forced by name", v->by_name);
        return false;
    }
    if (v->refused) {
        snprintf(reason, size, "refused: %s", v->refused);
        return false;
    }
    if (!any_type && !sp_variant_is_meant_for(v, dev)) {
        snprintf(reason, size, "rejected: made for device type %s, this is %s", v->needs_device,
                 sp_device_type_name(dev->info.type));
        return false;
    }
    if (dev->options.records && v->kind == SP_VARIANT_LIBRARY) {
        snprintf(reason, size,
                 "rejected: a library compiles its kernels itself; these programs are for offline use");
        return false;
    }
    return sp_variant_can_run(v, dev, call, tune_values, reason, size);
}

/* "device:" says what a variant is fast on, not where it is right. Where all that is forced by name is made
 * for another type of device, the user (or a test of a GPU's kernels on a CPU) is taken at the word. */
static bool forces_other_type(const sp_registry *reg, const sp_device *dev, const sp_op *op,
                              const char *forced)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (reg->variants[i]->op == op && sp_forced_names(forced, reg->variants[i]) &&
            sp_variant_is_meant_for(reg->variants[i], dev))
            return false;
    return true;
}

bool sp_select_admits(const sp_registry *reg, const sp_device *dev, const sp_variant *v,
                      const sp_op_call *call, const int64_t *tune_values, char *reason, size_t size)
{
    const char *forced = sp_forced_find(reg, call->op);
    const bool named = forced && sp_forced_names(forced, v);
    return is_applicable(v, dev, call, tune_values, named && forces_other_type(reg, dev, call->op, forced),
                         named, reason, size);
}

/* *stop: that the program is about to end, in which case nothing is known of v.
 * Trust is asked for every variant, reference kernels too: which of them are compared is the matter of who is
 * asked. A lowering is made of ops that are checked themselves. */
static bool is_trusted(sp_registry *reg, sp_device *dev, sp_variant *v, const sp_op_call *call, char *reason,
                       size_t size, sp_error *stop)
{
    if (!reg->trust || v->kind == SP_VARIANT_LOWER)
        return true;
    sp_error err;
    do {
        err = (sp_error){0};
        if (reg->trust(reg->trust_ctx, dev, v, call, &err) == SP_OK)
            return true;
    } while (err.cl_code == CL_INVALID_WORK_GROUP_SIZE && sp_variant_shrink(v, SP_SHRINK_GROUPS, dev, call));
    if (err.status == SP_E_INTERRUPTED) {
        *stop = err;
        snprintf(reason, size, "not checked: the program is about to end");
        return false;
    }
    sp_variant_refuse(v, err.text[0] ? err.text : "its check failed");
    snprintf(reason, size, "refused: %s", v->refused ? v->refused : "its check failed");
    return false;
}

/* ---- the walk ---- */

static void add_candidate(sp_candidate *out, size_t *n, size_t max, const sp_candidate *c)
{
    if (*n < max)
        out[(*n)++] = *c;
}

static void say_chosen(const sp_variant *v, const sp_device *dev, bool forced, char *reason, size_t size)
{
    const bool strange = forced && !sp_variant_is_meant_for(v, dev);
    snprintf(reason, size, "chosen: %s%s%s (%s%" PRId64 "%s%s)", forced ? "forced" : "highest score",
             strange ? ", though made for device type " : "", strange ? v->needs_device : "",
             forced ? "score " : "", v->score, v->by_name ? "; " : "", v->by_name ? v->by_name : "");
}

/* The variant that was measured to be the fastest, where that still holds; why: the reason. */
static sp_variant *wise_choice(sp_registry *reg, sp_device *dev, const sp_op_call *call, char *why,
                               size_t size, sp_error *stop)
{
    sp_variant *v = NULL;
    int64_t tunes[SP_VARIANT_MAX_TUNES];
    char reason[SP_REASON_SIZE];
    bool fits = sp_wisdom_choice(reg, call, &v, tunes, why, size) &&
                sp_select_admits(reg, dev, v, call, tunes, reason, sizeof reason) &&
                is_trusted(reg, dev, v, call, reason, sizeof reason, stop);
    return fits ? v : NULL;
}

/* What became of a candidate that was measured and is not the fastest. */
static void say_slower(const sp_registry *reg, const sp_op_call *call, const sp_variant *v, char *reason,
                       size_t size)
{
    const sp_wisdom_entry *e = sp_wisdom_find(reg, call);
    double fastest = 0; // over the values of its tunables
    for (int i = 0; i < e->n_rows; i++)
        if (strcmp(e->rows[i].variant, v->id) == 0 && e->rows[i].ms > 0 &&
            (fastest == 0 || e->rows[i].ms < fastest))
            fastest = e->rows[i].ms;
    if (fastest > 0)
        snprintf(reason, size, "%.2f times slower (%.4g ms, measured on %s)", fastest / e->rows[e->best].ms,
                 fastest, e->date);
    else
        snprintf(reason, size, "passed over: not timed when wisdom was made (%s)", e->date);
}

/* Judges every variant of the op in order of preference and marks the first that fits. Returns it, or NULL;
 * *stop: that it has not come to the end.
 * The registry's order is the order of preference: score, then id; what was measured comes before. */
static sp_variant *walk(sp_registry *reg, sp_device *dev, const sp_op_call *call, sp_candidate *out,
                        size_t *n, size_t max, sp_error *stop)
{
    const char *forced = sp_forced_find(reg, call->op);
    char why[SP_REASON_SIZE];
    *stop = (sp_error){0};
    sp_variant *wise = forced ? NULL : wise_choice(reg, dev, call, why, sizeof why, stop), *chosen = wise;
    *n = 0;
    for (size_t i = 0; i < reg->n_variants && stop->status == SP_OK; i++) {
        sp_candidate c = {.variant = reg->variants[i]};
        sp_variant *v = c.variant;
        if (v->op != call->op)
            continue;
        const bool named = forced && sp_forced_names(forced, v);
        c.applicable = v == wise || sp_select_admits(reg, dev, v, call, NULL, c.reason, sizeof c.reason);
        if (v == wise) {
            c.chosen = true;
            snprintf(c.reason, sizeof c.reason, "%s", why);
        } else if (c.applicable && wise)
            say_slower(reg, call, v, c.reason, sizeof c.reason);
        else if (c.applicable && forced && !named)
            snprintf(c.reason, sizeof c.reason, "passed over: \"%s\" is forced", forced);
        else if (c.applicable && chosen)
            snprintf(c.reason, sizeof c.reason, "lower score (%" PRId64 ", chosen has %" PRId64 ")", v->score,
                     chosen->score);
        else if (c.applicable &&
                 (c.applicable = is_trusted(reg, dev, v, call, c.reason, sizeof c.reason, stop))) {
            c.chosen = true;
            chosen = v;
            say_chosen(v, dev, forced != NULL, c.reason, sizeof c.reason);
        }
        add_candidate(out, n, max, &c);
    }
    return chosen;
}

enum { MAX_CANDIDATES = 64 };

/* With the command that repeats the check, which gives way where it would leave no room for the reason. */
static sp_status refused_fragment(const sp_device *dev, const sp_fragment *f, sp_error *err)
{
    enum { MOST = 400, FOR_OTHERS = 100 };
    char device[32] = "", *path = sp_path_quote(f->path), *command = NULL;
    if (dev->is_named)
        snprintf(device, sizeof device, " --device %d", dev->info.index);
    if (path && strlen(path) < MOST)
        command = sp_format("; `spikeport plugins check %s%s` repeats the check", path, device);
    const size_t room = sizeof err->text - FOR_OTHERS - (command ? strlen(command) : 0);
    const sp_status st =
        SP_FAIL(err, SP_E_PLUGIN, "refused: %.*s%s", (int)room, f->refused, command ? command : "");
    sp_free(command);
    sp_free(path);
    return st;
}

/* The neuron and the surrogate of the call, where they are an outside plugin's: there is nothing to take in
 * their place, so what fails its check is an error. */
static sp_status trust_fragments(sp_registry *reg, sp_device *dev, const sp_op_call *call, sp_error *err)
{
    for (size_t i = 0; reg->trust_fragment && i < reg->n_fragments; i++) {
        sp_fragment *f = reg->fragments[i];
        const char *name = f->kind == SP_FRAGMENT_NEURON ? call->neuron : call->surrogate;
        if (f->origin != SP_ORIGIN_OUTSIDE || !name || strcmp(f->name, name) != 0)
            continue;
        sp_error why = {0};
        const sp_status st = f->refused ? SP_OK : reg->trust_fragment(reg->trust_ctx, dev, f, &why);
        if (st == SP_E_INTERRUPTED && err)
            *err = why;
        if (st == SP_E_INTERRUPTED)
            return st;
        if (st != SP_OK)
            f->refused = sp_strdup(why.text[0] ? why.text : "its check failed");
        if (f->refused)
            return refused_fragment(dev, f, err);
    }
    return SP_OK;
}

sp_status sp_select(sp_registry *reg, sp_device *dev, const sp_op_call *call, sp_variant **out, char *why,
                    size_t why_size, sp_error *err)
{
    if (reg->package) {
        if (why)
            snprintf(why, why_size, "chosen: compiled ahead of time");
        return sp_package_choose(reg->package, reg, call, out, err);
    }
    SP_TRY(trust_fragments(reg, dev, call, err));
    sp_candidate *all = sp_alloc_array(MAX_CANDIDATES, sizeof *all);
    if (!all)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while choosing a variant");
    size_t n;
    sp_error stop;
    sp_variant *v = walk(reg, dev, call, all, &n, MAX_CANDIDATES, &stop);
    const char *forced = sp_forced_find(reg, call->op);
    sp_status st = SP_OK;
    char text[sizeof err->text] = "";
    bool refused = false; /* by its check or its compiler, not by the call */
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);
        if (all[i].chosen && why)
            snprintf(why, why_size, "%s", all[i].reason);
        if (v || (forced && !sp_forced_names(forced, all[i].variant)))
            continue;
        snprintf(text + used, sizeof text - used, "%s%s %s", used ? "; " : "", all[i].variant->id,
                 all[i].reason);
        refused |= all[i].variant->refused != NULL;
    }
    if (v)
        *out = v;
    else if (stop.status != SP_OK)
        st = sp_error_set(err, stop.status, stop.cl_code, stop.file, stop.line, "%s", stop.text);
    else if (forced)
        st = SP_FAIL(err, refused ? SP_E_PLUGIN : SP_E_UNFIT, "%s: \"%s\" is forced, but %s: %s",
                     call->op->id, forced, refused ? "is refused" : "does not fit",
                     text[0] ? text : "the op has no such variant");
    else
        st = SP_FAIL(err, SP_E_BUILD, "%s: no variant fits: %s", call->op->id,
                     text[0] ? text : "there is none at all");
    sp_free(all);
    return st == SP_OK && reg->recorder ? sp_package_record_choice(reg->recorder, call, *out, err) : st;
}

/* Something better than the reference kernel fits, or a variant is forced. A reference kernel that was
 * measured to be faster (on maps so small that nothing matters) takes the place of those better ones: it was
 * compared with them, and not with ops apart. */
static bool beats_reference(sp_registry *reg, sp_device *dev, const sp_op_call *call)
{
    sp_candidate *all = sp_alloc_array(MAX_CANDIDATES, sizeof *all);
    size_t n;
    sp_error stop;
    const sp_variant *v = all ? walk(reg, dev, call, all, &n, MAX_CANDIDATES, &stop) : NULL;
    bool yes = v && (v->origin != SP_ORIGIN_REFERENCE || sp_forced_find(reg, call->op));
    for (size_t i = 0; v && !yes && i < n; i++)
        yes = all[i].applicable && all[i].variant->origin != SP_ORIGIN_REFERENCE;
    sp_free(all);
    return yes;
}

bool sp_select_fuses(sp_registry *reg, sp_device *dev, const sp_op_call *const fused[2],
                     const char *const apart[2])
{
    for (int i = 0; i < 2; i++) {
        const char *one = sp_forced_find(reg, fused[i]->op), *two = sp_forced_find(reg, sp_op_find(apart[i]));
        if (reg->package && !sp_package_has(reg->package, fused[i]))
            return false;
        if (!reg->package && two && (!one || (strcmp(two, "reference") != 0 && strcmp(two, one) != 0)))
            return false; /* "*=reference" means both; a kernel named for the op apart is wanted there */
    }
    return reg->package || (beats_reference(reg, dev, fused[0]) && beats_reference(reg, dev, fused[1]));
}

bool sp_select_has_bf16(const sp_registry *reg, const sp_device *dev, const sp_op_call *call)
{
    sp_op_call rounded = *call;
    char reason[SP_REASON_SIZE];
    bool has = false;
    sp_call_set_bf16(&rounded, true);
    for (size_t i = 0; i < reg->n_variants && !has; i++)
        has = reg->variants[i]->op == call->op && reg->variants[i]->bf16 &&
              sp_select_admits(reg, dev, reg->variants[i], &rounded, NULL, reason, sizeof reason);
    return has;
}

size_t sp_select_explain(sp_registry *reg, sp_device *dev, const sp_op_call *call, sp_candidate *out,
                         size_t max)
{
    size_t n;
    sp_error stop;
    walk(reg, dev, call, out, &n, max, &stop);
    return n;
}
