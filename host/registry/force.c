/* Choices forced by the user: reading "op=variant" and finding what is forced for an op. */
#include "registry/force.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
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

/* The variant name forced for op, NULL none. The longest pattern wins, then the last given. A pattern for
 * several ops counts only where the named plugin has something, except that "reference" always counts. */
const char *sp_forced_find(const sp_registry *reg, const sp_op *op)
{
    const char *name = NULL;
    size_t best = 0;
    for (size_t i = 0; i < reg->n_forced; i++) {
        const struct sp_forced *f = &reg->forced[i];
        size_t n = strlen(f->op);
        bool counts = strcmp(f->variant, "reference") == 0 || op_has(reg, op, f->variant);
        if (n >= best && counts && names_op(f->op, op)) {
            name = f->variant;
            best = n;
        }
    }
    return name;
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
    const char *names[256];
    size_t n = 0;
    char known[300] = "";
    for (size_t i = 0; i < reg->n_variants && n + 2 <= 256; i++) {
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
    return SP_FAIL(err, SP_E_USAGE, "no variant of \"%s\" is called \"%s\"%s%s%s%s%s", pattern, name,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                   known[0] ? " There are: " : "", known);
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
