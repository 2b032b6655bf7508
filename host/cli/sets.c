/* Settings of an experiment's points. */
#include "cli/sets.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"

void sp_sets_add(sp_sets *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->failed = s->failed || s->n == SP_SETS_MAX || n < 0 || n >= (int)sizeof text;
    if (!s->failed)
        s->failed = (s->items[s->n++] = sp_strdup(text)) == NULL;
}

void sp_sets_add_list(sp_sets *s, const sp_arg_list *list)
{
    for (size_t i = 0; i < list->n; i++) { /* of any length */
        s->failed = s->failed || s->n == SP_SETS_MAX;
        if (!s->failed)
            s->failed = (s->items[s->n++] = sp_strdup(list->items[i])) == NULL;
    }
}

static sp_status load(sp_sets *s, const char *path, const sp_text *text, sp_recipe *out, sp_error *err)
{
    const char *const *sets = (const char *const *)s->items;
    sp_status st = s->failed ? SP_FAIL(err, SP_E_USAGE, "%s: more than %d settings, or memory ran out", path,
                                       SP_SETS_MAX)
                   : text    ? sp_recipe_parse(path, text->s, text->n, sets, s->n, out, err)
                             : sp_recipe_load(path, sets, s->n, out, err);
    for (size_t i = 0; i < s->n; i++)
        sp_free(s->items[i]);
    s->n = 0;
    return st;
}

sp_status sp_sets_load(sp_sets *s, const char *path, sp_recipe *out, sp_error *err)
{
    return load(s, path, NULL, out, err);
}

sp_status sp_sets_parse(sp_sets *s, const char *name, const sp_text *text, sp_recipe *out, sp_error *err)
{
    return load(s, name, text, out, err);
}
