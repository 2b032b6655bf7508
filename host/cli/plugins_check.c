/* spikeport plugins check: conformance of the plugins that a path or a name means. */
#include "cli/plugins.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "check/check.h"

typedef struct tally {
    int passed, failed, untested;
} tally;

/* "plugins/a/" and "./plugins/a" mean plugins/a. */
static bool is_below(const char *path, const char *target)
{
    while (strncmp(target, "./", 2) == 0)
        target += 2;
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    size_t n = strlen(target);
    while (n > 1 && target[n - 1] == '/')
        n--;
    return strncmp(path, target, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Whether the target (NULL: everything) means something from this file and plugin. */
static bool is_meant(const char *target, const char *path, const char *plugin, const char *name)
{
    if (!target || strcmp(target, plugin) == 0 || strcmp(target, name) == 0)
        return true;
    bool builtin = strncmp(path, "builtin:", 8) == 0;
    return is_below(builtin ? path + 8 : path, target);
}

static bool names_op(const char *target, const sp_op *op)
{
    char family[64];
    sp_op_family(op, family, sizeof family);
    return target && (strcmp(target, op->id) == 0 || strcmp(target, family) == 0);
}

static sp_status print_row(const sp_cli_plugins *o, const char *subject, const char *id, const char *result,
                           const sp_check_report *r, double seconds, const char *text)
{
    if (!o->json) {
        printf("%-28s %-44s %-8s %3d calls  worst %8.2g  %6.2f s\n", subject, id, result, r->shapes_run,
               r->worst_error, seconds);
        if (text[0])
            printf("    %s\n", text);
        fflush(stdout);
        return SP_OK;
    }
    return sp_cli_json_line(json_pack("{s:o, s:s, s:o, s:s, s:i, s:i, s:f, s:f, s:s, s:f, s:I, s:o}",
                                      "device", sp_cli_json_text(o->dev->info.name), "op", subject, "variant",
                                      sp_cli_json_text(id), "result", result, "calls", r->shapes_run,
                                      "not_applicable", r->shapes_not_applicable, "worst_error",
                                      r->worst_error, "worst_margin", r->worst_margin, "worst_call",
                                      r->worst_shape, "seconds", seconds, "seed", (json_int_t)o->seed, "text",
                                      sp_cli_json_text(text)));
}

/* untested: why, where nothing was run. */
static sp_status judge(const sp_cli_plugins *o, const char *subject, const char *id, sp_status st,
                       const sp_check_report *r, double seconds, const sp_error *why, const char *untested,
                       tally *t)
{
    const char *result = st != SP_OK ? "FAILED" : r->shapes_run ? "ok" : "untested";
    const char *text = st != SP_OK ? why->text : r->shapes_run ? "" : untested;
    t->failed += st != SP_OK;
    t->passed += st == SP_OK && r->shapes_run;
    t->untested += st == SP_OK && !r->shapes_run;
    return print_row(o, subject, id, result, r, seconds, text);
}

static const char *const fits_nothing = "no call of the check fits it on this device";

static sp_status check_fragments(const sp_cli_plugins *o, tally *t)
{
    for (size_t i = 0; i < o->reg->n_fragments; i++) {
        sp_fragment *f = o->reg->fragments[i];
        if (!is_meant(o->target, f->path, f->plugin, f->name))
            continue;
        sp_check_report r = {0};
        sp_error why = {0};
        uint64_t start = sp_clock_ns();
        sp_status st = sp_check_fragment(o->reg, o->dev, f, &r, &why);
        SP_TRY(judge(o, f->kind == SP_FRAGMENT_NEURON ? "fragment neuron" : "fragment surrogate", f->name, st,
                     &r, (double)(sp_clock_ns() - start) * 1e-9, &why, fits_nothing, t));
    }
    return SP_OK;
}

static sp_status check_variants(const sp_cli_plugins *o, tally *t)
{
    const sp_check_options options = {.quick = !o->full, .seed = (uint64_t)o->seed};
    for (size_t i = 0; i < o->reg->n_variants; i++) {
        sp_variant *v = o->reg->variants[i];
        if (!is_meant(o->target, v->path, v->plugin, v->id) && !names_op(o->target, v->op))
            continue;
        sp_check_report r = {0};
        sp_error why = {0};
        if (v->kind == SP_VARIANT_LOWER) {
            t->passed++; // no code of its own: the ops it is made of are checked under their names
            SP_TRY(print_row(o, v->op->id, v->id, "lowered", &r, 0, ""));
            continue;
        }
        uint64_t start = sp_clock_ns();
        sp_status st = sp_check_variant(o->reg, o->dev, v, &options, &r, &why);
        SP_TRY(judge(o, v->op->id, v->id, st, &r, (double)(sp_clock_ns() - start) * 1e-9, &why, fits_nothing,
                     t));
    }
    return SP_OK;
}

/* Every variant of an op at the one call that --shape describes. */
static sp_status check_one_call(const sp_cli_plugins *o, tally *t, sp_error *err)
{
    sp_op_call call;
    SP_TRY(sp_cli_plugins_call(o, &call, err));
    for (size_t i = 0; i < o->reg->n_variants; i++) {
        sp_variant *v = o->reg->variants[i];
        if (v->op != call.op || v->kind == SP_VARIANT_LOWER)
            continue;
        const sp_op_call own = sp_variant_call(v, &call);
        sp_check_report r = {0};
        sp_error why = {0};
        char reason[SP_REASON_SIZE] = "";
        const uint64_t start = sp_clock_ns();
        sp_status st = sp_variant_evaluates(&(sp_variant_scope){v, &own, o->dev, NULL}, &why);
        if (st == SP_OK && sp_variant_can_run(v, o->dev, &own, NULL, reason, sizeof reason))
            st = sp_check_call(o->reg, o->dev, v, &own, NULL, (uint64_t)o->seed, &r, &why);
        SP_TRY(judge(o, v->op->id, v->id, st, &r, (double)(sp_clock_ns() - start) * 1e-9, &why, reason, t));
    }
    return SP_OK;
}

static sp_status list_refusals(const sp_cli_plugins *o, tally *t)
{
    for (size_t i = 0; i < o->reg->n_refusals; i++) {
        const sp_refusal *f = &o->reg->refusals[i];
        if (o->target && !is_below(f->path, o->target))
            continue;
        sp_check_report none = {0};
        t->failed++;
        SP_TRY(print_row(o, "file", f->path, "REFUSED", &none, 0, f->reason));
    }
    return SP_OK;
}

sp_status sp_cli_plugins_check(const sp_cli_plugins *o, sp_error *err)
{
    tally t = {0};
    if (o->shape) {
        SP_TRY(check_one_call(o, &t, err));
    } else {
        SP_TRY(list_refusals(o, &t));
        SP_TRY(check_fragments(o, &t));
        SP_TRY(check_variants(o, &t));
    }
    if (t.passed + t.failed + t.untested == 0)
        return SP_FAIL(err, SP_E_USAGE,
                       "nothing is called \"%s\": name a folder or file with plugins, a plugin, a variant, a "
                       "fragment or an op (`spikeport plugins list` shows them)",
                       o->target ? o->target : "");
    sp_cli_say("%d good, %d bad, %d untested, on %s; seed %" PRId64 "\n", t.passed, t.failed, t.untested,
               o->dev->info.name, o->seed);
    return t.failed
               ? SP_FAIL(err, SP_E_MISMATCH, "%d of %d failed", t.failed, t.passed + t.failed + t.untested)
               : SP_OK;
}
