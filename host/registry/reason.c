/* Why the condition of a variant does not hold for a call, in words: of a chain of conditions the first that
 * is false, with the values of the names in it. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/expr.h"
#include "registry/launch_internal.h"

static const sp_let *find_let(const sp_variant *v, const char *name, size_t n)
{
    for (int i = 0; i < v->n_lets; i++)
        if (strlen(v->lets[i].name) == n && strncmp(v->lets[i].name, name, n) == 0)
            return &v->lets[i];
    return NULL;
}

/* The names that the condition itself can see, and those of the lets in it. */
static int lookup(void *ctx, const char *name, int64_t *value)
{
    sp_variant_scope *scope = ctx;
    if (sp_variant_lookup(scope, name, value) == 0)
        return 0;
    const sp_let *let = find_let(scope->variant, name, strlen(name));
    if (let && sp_expr_eval(let->value, sp_variant_lookup, scope, value, NULL) != SP_OK)
        *value = 0; /* a division by zero in a part that does not count */
    return let ? 0 : -1;
}

/* "O=10, X_BITS=1": the values of the names in an expression, each once. */
static void describe_names(const char *text, sp_variant_scope *scope, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (const char *at = text; *at;) {
        if (!isalpha((unsigned char)*at) && *at != '_') {
            at += isdigit((unsigned char)*at) ? strspn(at, "0123456789abcdefABCDEFxX") : 1;
            continue;
        }
        char name[64], known[72];
        size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        int64_t value;
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        at += n;
        snprintf(known, sizeof known, "%s=", name);
        if (lookup(scope, name, &value) != 0 || strstr(out, known))
            continue;
        int wrote = snprintf(out + used, size - used, "%s%s%" PRId64, used ? ", " : "", known, value);
        if (wrote < 0 || (size_t)wrote >= size - used)
            return;
        used += (size_t)wrote;
    }
}

/* One expression of the metadata, whose key stands on `line`. */
static sp_status evaluate(const sp_variant_scope *scope, const char *key, const char *text, int line,
                          int64_t *value, sp_error *err)
{
    sp_variant_scope own = *scope;
    sp_error why = {0};
    char place[SP_PLACE_SIZE];
    if (!text || sp_expr_eval(text, sp_variant_lookup, &own, value, &why) == SP_OK)
        return SP_OK;
    sp_variant_place(scope->variant, line, place);
    return SP_FAIL(err, SP_E_PLUGIN, "%s: %s: %s", place, key, why.text);
}

sp_status sp_variant_when(const sp_variant_scope *scope, bool *holds, sp_error *err)
{
    const sp_variant *v = scope->variant;
    int64_t value = 1;
    *holds = false;
    SP_TRY(evaluate(scope, "when", v->when, v->when_line, &value, err));
    *holds = value != 0;
    return SP_OK;
}

sp_status sp_variant_evaluates(const sp_variant_scope *scope, sp_error *err)
{
    const sp_variant *v = scope->variant;
    int64_t value;
    bool holds;
    SP_TRY(sp_variant_when(scope, &holds, err));
    return holds ? evaluate(scope, "registers", v->registers, v->registers_line, &value, err) : SP_OK;
}

void sp_variant_say_false(sp_variant_scope *scope, char *reason, size_t size)
{
    char part[256], values[160];
    const char *start, *text = scope->variant->when_written;
    size_t n = sp_expr_false_part(text, lookup, scope, &start);
    for (const sp_let *let; (let = find_let(scope->variant, start, n)) != NULL;) {
        text = let->written; /* of a let that is a condition, its part; lets name earlier ones alone */
        n = sp_expr_false_part(text, lookup, scope, &start);
    }
    if (n < sizeof part)
        snprintf(part, sizeof part, "%.*s", (int)n, start);
    else
        snprintf(part, sizeof part, "%.*s...", (int)sizeof part - 4, start);
    describe_names(part, scope, values, sizeof values);
    snprintf(reason, size, "rejected: %s is false (%s)", part, values);
}
