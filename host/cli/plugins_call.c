/* From `OP --shape "N=32 H=28 ..." --flag X_BITS` to a call. Takes what sp_call_describe prints, so that a
 * line of a plan can be pasted. */
#include "cli/plugins.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/suggest.h"
#include "check/check.h"

enum { MAX_NAMES = SP_OP_MAX_INTS + SP_OP_MAX_FLOATS + SP_OP_MAX_FLAGS };

static int index_of(const char *const *names, int max, const char *name)
{
    for (int i = 0; i < max && names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static size_t list_names(const char *const *from, int max, const char **to)
{
    size_t n = 0;
    while ((int)n < max && from[n]) {
        to[n] = from[n];
        n++;
    }
    return n;
}

static sp_status unknown_name(const sp_op *op, const char *name, sp_error *err)
{
    const char *names[MAX_NAMES];
    size_t n = list_names(op->ints, SP_OP_MAX_INTS, names);
    n += list_names(op->floats, SP_OP_MAX_FLOATS, names + n);
    n += list_names(op->flags, SP_OP_MAX_FLAGS, names + n);
    char all[400] = "";
    for (size_t i = 0; i < n; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? " " : "", names[i]);
    const char *near = sp_suggest(name, names, n);
    return SP_FAIL(err, SP_E_USAGE, "%s has no \"%s\"%s%s%s It has: %s", op->id, name,
                   near ? "; did you mean \"" : ".", near ? near : "", near ? "\"?" : "", all);
}

/* A whole number that kernels take; `value` was found to be a number. */
static sp_status read_integer(const char *name, const char *value, int64_t *out, sp_error *err)
{
    int64_t least, most;
    char *end;
    sp_op_int_range(name, &least, &most);
    errno = 0;
    const long long v = strtoll(value, &end, 10);
    if (*end || errno || v < least || v > most)
        return SP_FAIL(err, SP_E_USAGE,
                       "--shape: %s must be a whole number from %" PRId64 " to %" PRId64 ", not \"%s\"", name,
                       least, most, value);
    *out = v;
    return SP_OK;
}

/* One "NAME=VALUE". */
static sp_status set_value(sp_op_call *c, bool *given, const char *name, const char *value, sp_error *err)
{
    const sp_op *op = c->op;
    char *end;
    int i = index_of(op->ints, SP_OP_MAX_INTS, name);
    double number = strtod(value, &end);
    if (end == value || *end)
        return SP_FAIL(err, SP_E_USAGE, "--shape: \"%s=%s\" is not NAME=NUMBER", name, value);
    if (i >= 0) {
        given[i] = true;
        return read_integer(name, value, &c->ints[i], err);
    }
    if ((i = index_of(op->flags, SP_OP_MAX_FLAGS, name)) >= 0) {
        c->flags[i] = number == 1;
        return number == 0 || number == 1
                   ? SP_OK
                   : SP_FAIL(err, SP_E_USAGE, "--shape: the flag %s is 0 or 1, not \"%s\"", name, value);
    }
    if ((i = index_of(op->floats, SP_OP_MAX_FLOATS, name)) < 0)
        return unknown_name(op, name, err);
    if (!isfinite((float)number))
        return SP_FAIL(err, SP_E_USAGE, "--shape: %s must be a finite float32, not \"%s\"", name, value);
    c->floats[i] = number;
    return SP_OK;
}

/* "neuron=NAME" and "surrogate=NAME" of a described call (option: --shape), or what the option of that name
 * says. */
static sp_status set_fragment(const sp_registry *reg, sp_op_call *c, const char *option, const char *what,
                              const char *name, sp_error *err)
{
    const bool neuron = strcmp(what, "neuron") == 0;
    if (!reg)
        return SP_OK; /* the call is described only */
    const sp_fragment_kind kind = neuron ? SP_FRAGMENT_NEURON : SP_FRAGMENT_SURROGATE;
    if (!(neuron ? c->op->takes_neuron : c->op->takes_surrogate))
        return SP_FAIL(err, SP_E_USAGE, "%s: %s takes no %s", option, c->op->id, what);
    const sp_fragment *f = sp_fragment_find(reg, kind, name);
    if (!f) {
        const char *names[64];
        const char *near = sp_suggest(name, names, sp_fragment_names(reg, kind, names, 64));
        return SP_FAIL(err, SP_E_USAGE,
                       "%s: there is no %s \"%s\"%s%s%s (`spikeport plugins list` shows them)", option, what,
                       name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    *(neuron ? &c->neuron : &c->surrogate) = f->name;
    return SP_OK;
}

/* Whether a name stands in front of `at` already: which of two values is meant, nobody can know. */
static bool is_repeated(const char *shape, const char *at, const char *name)
{
    const size_t n = strlen(name);
    for (const char *word = shape; word < at; word += strcspn(word, " ,\t")) {
        word += strspn(word, " ,\t");
        if (word < at && strncmp(word, name, n) == 0 && word[n] == '=')
            return true;
    }
    return false;
}

static sp_status read_shape(const sp_registry *reg, const char *shape, sp_op_call *c, bool *given,
                            sp_error *err)
{
    for (const char *at = shape; at && *(at += strspn(at, " ,\t"));) {
        char word[128];
        size_t n = strcspn(at, " ,\t");
        snprintf(word, sizeof word, "%.*s", (int)n, at);
        char *equals = strchr(word, '=');
        if (!equals || equals == word || n >= sizeof word)
            return SP_FAIL(err, SP_E_USAGE, "--shape: \"%s\" is not NAME=NUMBER", word);
        *equals = '\0';
        if (is_repeated(shape, at, word))
            return SP_FAIL(err, SP_E_USAGE, "--shape: %s is given twice", word);
        at += n;
        const bool fragment = strcmp(word, "neuron") == 0 || strcmp(word, "surrogate") == 0;
        SP_TRY(fragment ? set_fragment(reg, c, "--shape", word, equals + 1, err)
                        : set_value(c, given, word, equals + 1, err));
    }
    return SP_OK;
}

static sp_status fill_rest(sp_op_call *c, const bool *given, sp_error *err)
{
    static const struct {
        const char *name;
        int64_t value;
    } usual[] = {{"SH", 1}, {"SW", 1}, {"PH", 0},   {"PW", 0},
                 {"DH", 1}, {"DW", 1}, {"seed", 1}, {"stream", 1}};
    char missing[200] = "";
    bool windows = index_of(c->op->ints, SP_OP_MAX_INTS, "KH") >= 0;
    for (int pass = 0; pass < 2; pass++) // HO and WO need the others
        for (int i = 0; i < SP_OP_MAX_INTS && c->op->ints[i]; i++) {
            const char *name = c->op->ints[i];
            bool output = windows && (strcmp(name, "HO") == 0 || strcmp(name, "WO") == 0), known = given[i];
            for (size_t u = 0; u < sizeof usual / sizeof *usual && !known && pass == 0; u++)
                if (strcmp(usual[u].name, name) == 0) {
                    c->ints[i] = usual[u].value;
                    known = true;
                }
            if (pass == 1 && output && !given[i])
                c->ints[i] = sp_call_window_outputs(c, name[0]);
            else if (pass == 0 && !known && !output && !sp_op_scalar_is_dynamic(name))
                snprintf(missing + strlen(missing), sizeof missing - strlen(missing), " %s", name);
        }
    if (missing[0])
        return SP_FAIL(err, SP_E_USAGE, "%s needs --shape with%s, for example --shape \"%s=32 ...\"",
                       c->op->id, missing, c->op->ints[0]);
    return SP_OK;
}

static sp_status find_op(const char *name, const sp_op **op, sp_error *err)
{
    if (!name)
        return SP_FAIL(err, SP_E_USAGE, "name an op, for example conv.forward");
    *op = sp_op_find(name);
    if (*op)
        return SP_OK;
    const char *names[128];
    char families[128][48];
    size_t n = 0;
    for (; n < sp_op_count() && n < 128; n++) {
        sp_op_family(sp_op_at(n), families[n], sizeof families[n]);
        names[n] = families[n];
    }
    const char *near = sp_suggest(name, names, n);
    return SP_FAIL(err, SP_E_USAGE, "there is no op \"%s\"%s%s%s (`spikeport plugins list` shows them)", name,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

sp_status sp_cli_plugins_call(const sp_cli_plugins *o, sp_op_call *call, sp_error *err)
{
    const sp_op *op;
    bool given[SP_OP_MAX_INTS] = {false};
    sp_op_call usual[1];
    SP_TRY(find_op(o->target, &op, err));
    *call = (sp_op_call){.op = op};
    if (sp_check_calls(op, true, usual, 1) > 0) { // sensible floats and time steps: the check's
        memcpy(call->floats, usual[0].floats, sizeof call->floats);
        for (int i = 0; i < SP_OP_MAX_INTS && op->ints[i]; i++)
            call->ints[i] = sp_op_scalar_is_dynamic(op->ints[i]) ? usual[0].ints[i] : 0;
    }
    SP_TRY(read_shape(o->reg, o->shape, call, given, err));
    for (size_t i = 0; i < o->flags.n; i++) {
        int f = index_of(op->flags, SP_OP_MAX_FLAGS, o->flags.items[i]);
        if (f < 0)
            return unknown_name(op, o->flags.items[i], err);
        call->flags[f] = 1;
    }
    if (op->takes_neuron && !call->neuron)
        SP_TRY(set_fragment(o->reg, call, "--neuron", "neuron", o->neuron, err));
    if (op->takes_surrogate && !call->surrogate)
        SP_TRY(set_fragment(o->reg, call, "--surrogate", "surrogate", o->surrogate, err));
    SP_TRY(fill_rest(call, given, err));
    const sp_status st = sp_call_check(call, err);
    return st == SP_OK ? st : sp_error_prefix(err, st, "--shape: ");
}

sp_status sp_cli_plugins_prefer(const sp_cli_plugins *o, sp_error *err)
{
    for (size_t i = 0; i < o->tunes.n; i++) {
        char name[64];
        const char *text = o->tunes.items[i];
        const size_t n = strcspn(text, "=");
        char *end = NULL;
        errno = 0;
        const long long value = text[n] ? strtoll(text + n + 1, &end, 10) : 0;
        if (!end || end == text + n + 1 || *end || errno || n == 0 || n >= sizeof name)
            return SP_FAIL(err, SP_E_USAGE, "--tune takes NAME=VALUE, the value a whole number, not \"%s\"",
                           text);
        snprintf(name, sizeof name, "%.*s", (int)n, text);
        bool known = false;
        for (size_t v = 0; v < o->reg->n_variants; v++)
            known |= sp_variant_prefer(o->reg->variants[v], name, value);
        if (!known)
            return SP_FAIL(err, SP_E_USAGE,
                           "--tune: no variant has a tunable %s with the value %lld (`spikeport plugins show "
                           "NAME` lists those of a variant)",
                           name, value);
    }
    return SP_OK;
}
