/* Choices forced by the user: reading "op=variant" and finding what is forced for an op. */
#include "registry/force.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/suggest.h"

static bool names_op(const char *pattern, const sp_op *op)
{
    size_t n = strlen(pattern);
    return strcmp(pattern, "*") == 0 ||
           (strncmp(op->id, pattern, n) == 0 && (op->id[n] == '\0' || op->id[n] == '/' || op->id[n] == '.'));
}

bool sp_forced_names(const char *name, const sp_variant *v)
{
    return strcmp(name, v->id) == 0 || strcmp(name, v->plugin) == 0 ||
           (strcmp(name, "reference") == 0 && v->origin == SP_ORIGIN_REFERENCE);
}

static bool op_has(const sp_registry *reg, const sp_op *op, const char *name)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (reg->variants[i]->op == op && sp_forced_names(name, reg->variants[i]))
            return true;
    return false;
}

/* A pattern for several ops counts only where the named plugin has something, except that "reference" always
 * counts. */
static bool is_for(const sp_registry *reg, const struct sp_forced *f, const sp_op *op)
{
    return names_op(f->op, op) && (strcmp(f->variant, "reference") == 0 || op_has(reg, op, f->variant));
}

/* Which choice holds for op, n_forced: none. The longest pattern wins, then the last given. */
static size_t winner(const sp_registry *reg, const sp_op *op)
{
    size_t found = reg->n_forced, best = 0;
    for (size_t i = 0; i < reg->n_forced; i++) {
        size_t n = strlen(reg->forced[i].op);
        if (n >= best && is_for(reg, &reg->forced[i], op)) {
            found = i;
            best = n;
        }
    }
    return found;
}

const char *sp_forced_find(const sp_registry *reg, const sp_op *op)
{
    const size_t i = winner(reg, op);
    return i < reg->n_forced ? reg->forced[i].variant : NULL;
}

bool sp_registry_is_forced(const sp_registry *reg, size_t i, const sp_variant *v)
{
    return winner(reg, v->op) == i && sp_forced_names(reg->forced[i].variant, v);
}

/* What others have taken from a choice is said where nothing is left of it, and where only the order of two
 * equal patterns has decided; kernels that replace some of the reference's are no surprise. */
static void say_overruled(const sp_registry *reg, size_t i)
{
    const struct sp_forced *f = &reg->forced[i], *by = NULL;
    const char *op = NULL;
    size_t kept = 0, taken = 0;
    for (size_t k = 0; k < sp_op_count(); k++) {
        const size_t w = is_for(reg, f, sp_op_at(k)) ? winner(reg, sp_op_at(k)) : reg->n_forced;
        if (w == reg->n_forced)
            continue;
        if (strcmp(reg->forced[w].variant, f->variant) == 0) {
            kept++;
            continue;
        }
        if (taken++ == 0 || strcmp(reg->forced[w].op, f->op) == 0) {
            by = &reg->forced[w];
            op = sp_op_at(k)->id;
        }
    }
    if (by && !kept)
        sp_log(SP_LOG_WARNING, "forced kernel %s=%s has no effect: for %s%s, %s=%s is taken, which %s", f->op,
               f->variant, op, taken > 1 ? " and others" : "", by->op, by->variant,
               strcmp(by->op, f->op) == 0 ? "is given last" : "names the op more closely");
    else if (by && strcmp(by->op, f->op) == 0 && strcmp(f->variant, "reference") != 0)
        sp_log(SP_LOG_WARNING, "forced kernels: for %s%s, %s=%s is taken and not %s=%s, as it is given last",
               op, taken > 1 ? " and others" : "", by->op, by->variant, f->op, f->variant);
}

void sp_registry_say_forced(const sp_registry *reg)
{
    for (size_t i = 0; i < reg->n_forced; i++)
        say_overruled(reg, i);
}

static sp_status no_such_op(const char *pattern, sp_error *err)
{
    const char *names[128];
    size_t n = 0;
    for (; n < sp_op_count() && n < 128; n++)
        names[n] = sp_op_at(n)->id;
    const char *near = sp_suggest(pattern, names, n);
    return SP_FAIL(err, SP_E_USAGE, "there is no op or family of ops \"%s\"%s%s%s", pattern,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static sp_status no_such_variant(const sp_registry *reg, const char *pattern, const char *name, sp_error *err)
{
    const char **names = sp_alloc_array(2 * reg->n_variants + 1, sizeof *names);
    size_t n = 0;
    char known[300] = "";
    for (size_t i = 0; names && i < reg->n_variants; i++) {
        const sp_variant *v = reg->variants[i];
        if (!names_op(pattern, v->op))
            continue;
        names[n++] = v->id;
        names[n++] = v->plugin;
        size_t used = strlen(known);
        if (strcmp(pattern, "*") != 0)
            snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", v->id);
    }
    const char *near = sp_suggest(name, names, n);
    sp_free(names);
    return SP_FAIL(err, SP_E_USAGE, "no variant of \"%s\" is called \"%s\"%s%s%s%s%s", pattern, name,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                   !known[0] ? ""
                   : near    ? " There are: "
                             : "; there are: ",
                   known);
}

sp_status sp_registry_force(sp_registry *reg, const char *op_equals_variant, sp_error *err)
{
    const char *equals = strchr(op_equals_variant, '=');
    if (!equals || equals == op_equals_variant || equals[1] == '\0')
        return SP_FAIL(err, SP_E_USAGE, "write OP=VARIANT, for example conv.forward=reference, not \"%s\"",
                       op_equals_variant);
    char *op = sp_strndup(op_equals_variant, (size_t)(equals - op_equals_variant)),
         *variant = sp_strdup(equals + 1);
    struct sp_forced *added = sp_array_push(&reg->forced, reg->n_forced, sizeof *added);
    sp_status st = op && variant && added ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory");
    if (st == SP_OK) {
        bool op_known = false, variant_known = false;
        for (size_t i = 0; i < sp_op_count(); i++)
            if (names_op(op, sp_op_at(i))) {
                op_known = true;
                variant_known |= op_has(reg, sp_op_at(i), variant);
            }
        st = !op_known ? no_such_op(op, err) : variant_known ? SP_OK : no_such_variant(reg, op, variant, err);
    }
    if (st != SP_OK) {
        sp_free(op);
        sp_free(variant);
        return st;
    }
    *added = (struct sp_forced){op, variant};
    reg->n_forced++;
    return SP_OK;
}
