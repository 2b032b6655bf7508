/* Typed reads from a YAML tree, with errors that say where and what would have been right. */
#include "config/yaml.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "config/yaml_build.h"

sp_yaml *sp_yaml_get(const sp_yaml *map, const char *key)
{
    if (!map || map->kind != SP_YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (!strcmp(map->keys[i], key))
            return map->items[i];
    return NULL;
}

const char *sp_yaml_shown(const char *text, char out[SP_YAML_SHOWN_BYTES])
{
    enum { ROOM = SP_YAML_SHOWN_BYTES - 4 };
    size_t n = strlen(text), keep = n;
    if (n > ROOM)
        for (keep = ROOM;
             keep > 0 && ((unsigned char)text[keep] & 0xC0) == 0x80;) /* no half UTF-8 character */
            keep--;
    for (size_t i = 0; i < keep; i++)
        out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i];
    strcpy(out + keep, keep < n ? "..." : "");
    return out;
}

sp_status sp_yaml_fail(const sp_yaml *at, sp_error *err, const char *fmt, ...)
{
    char text[sizeof err->text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!at)
        return SP_FAIL(err, SP_E_CONFIG, "%s", text);
    return SP_FAIL(err, SP_E_CONFIG, "%s:%d:%d: %s", at->file, at->line, at->column, text);
}

/* `"ten"`, or the kind of a value that has no text: what stands after "not" in an error. */
static const char *describe(const sp_yaml *v, char out[SP_YAML_SHOWN_BYTES + 2])
{
    char shown[SP_YAML_SHOWN_BYTES];
    if (v->kind == SP_YAML_LIST || v->kind == SP_YAML_MAP)
        return v->kind == SP_YAML_LIST ? "a list" : "a map";
    if (v->kind == SP_YAML_NULL)
        return *v->text ? "null" : "empty";
    snprintf(out, SP_YAML_SHOWN_BYTES + 2, "\"%s\"", sp_yaml_shown(v->text, shown));
    return out;
}

static sp_status fail_type(const sp_yaml *v, const char *key, const char *wanted, sp_error *err)
{
    char is[SP_YAML_SHOWN_BYTES + 2];
    return sp_yaml_fail(v, err, "\"%s\" must be %s, not %s", key, wanted, describe(v, is));
}

/* "a, b, c" in *list; free with sp_text_free. */
static void add_names(sp_text *list, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sp_text_add(list, "%s%s", i ? ", " : "", names[i]);
}

static sp_status fail_unknown_key(const sp_yaml *map, size_t i, const char *const *known, size_t n_known,
                                  const char *what, sp_error *err)
{
    /* A key that --set put into a file's map is at --set, and its value knows that. */
    sp_yaml at = {.file = map->items[i]->file, .line = map->key_lines[i], .column = map->key_columns[i]};
    char shown[SP_YAML_SHOWN_BYTES];
    const char *near = sp_suggest(map->keys[i], known, n_known);
    sp_yaml_shown(map->keys[i], shown);
    if (near)
        return sp_yaml_fail(&at, err, "unknown key \"%s\" in %s; did you mean \"%s\"?", shown, what, near);
    sp_text list = {0};
    add_names(&list, known, n_known);
    sp_status st = sp_yaml_fail(&at, err, "unknown key \"%s\" in %s; known keys: %s", shown, what,
                                list.s ? list.s : "none");
    sp_text_free(&list);
    return st;
}

sp_status sp_yaml_check_keys(const sp_yaml *map, const char *const *known, size_t n_known, const char *what,
                             sp_error *err)
{
    if (map->kind != SP_YAML_MAP) {
        char is[SP_YAML_SHOWN_BYTES + 2];
        return sp_yaml_fail(map, err, "%s must be a map of keys and values, not %s", what, describe(map, is));
    }
    for (size_t i = 0; i < map->n; i++) {
        size_t k = 0;
        while (k < n_known && strcmp(map->keys[i], known[k]) != 0)
            k++;
        if (k == n_known)
            return fail_unknown_key(map, i, known, n_known, what, err);
    }
    return SP_OK;
}

sp_status sp_yaml_read_int(const sp_yaml *map, const char *key, int64_t lo, int64_t hi, int64_t *out,
                           sp_error *err)
{
    const sp_yaml *v = sp_yaml_get(map, key);
    if (!v)
        return SP_OK;
    if (v->kind == SP_YAML_INT && v->integer >= lo && v->integer <= hi) {
        *out = v->integer;
        return SP_OK;
    }
    char wanted[96] = "a whole number";
    if (lo != INT64_MIN && hi != INT64_MAX)
        snprintf(wanted, sizeof wanted, "a whole number from %" PRId64 " to %" PRId64, lo, hi);
    else if (lo != INT64_MIN)
        snprintf(wanted, sizeof wanted, "a whole number of at least %" PRId64, lo);
    else if (hi != INT64_MAX)
        snprintf(wanted, sizeof wanted, "a whole number of at most %" PRId64, hi);
    return fail_type(v, key, wanted, err);
}

sp_status sp_yaml_read_float(const sp_yaml *map, const char *key, double lo, double hi, double *out,
                             sp_error *err)
{
    const sp_yaml *v = sp_yaml_get(map, key);
    return v ? sp_yaml_to_float(v, key, lo, hi, out, err) : SP_OK;
}

sp_status sp_yaml_to_float(const sp_yaml *v, const char *key, double lo, double hi, double *out,
                           sp_error *err)
{
    bool number = v->kind == SP_YAML_INT || v->kind == SP_YAML_FLOAT;
    bool lost = isnan(v->number) && v->text && strcasecmp(v->text, ".nan") != 0;
    if (number && (lost || (v->number != 0 && fabs(v->number) < (double)FLT_MIN)))
        return sp_yaml_fail(v, err,
                            "\"%s\" is %s, a number that float32 cannot hold: it would become 0 or infinite",
                            key, v->text);
    if (number && v->number >= lo && v->number <= hi) {
        *out = v->number;
        return SP_OK;
    }
    char wanted[96] = "a number";
    if (isfinite(lo) && isfinite(hi))
        snprintf(wanted, sizeof wanted, "a number from %.9g to %.9g", lo, hi);
    else if (isfinite(lo))
        snprintf(wanted, sizeof wanted, "a number of at least %.9g", lo);
    else if (isfinite(hi))
        snprintf(wanted, sizeof wanted, "a number of at most %.9g", hi);
    return fail_type(v, key, wanted, err);
}

sp_status sp_yaml_read_bool(const sp_yaml *map, const char *key, bool *out, sp_error *err)
{
    const sp_yaml *v = sp_yaml_get(map, key);
    if (!v)
        return SP_OK;
    if (v->kind != SP_YAML_BOOL)
        return fail_type(v, key, "true or false", err);
    *out = v->integer != 0;
    return SP_OK;
}

sp_status sp_yaml_read_string(const sp_yaml *map, const char *key, const char **out, sp_error *err)
{
    const sp_yaml *v = sp_yaml_get(map, key);
    if (!v)
        return SP_OK;
    if (v->kind != SP_YAML_STRING)
        return fail_type(v, key, v->text && *v->text ? "text (put it in quotes)" : "text", err);
    *out = v->text;
    return SP_OK;
}

sp_status sp_yaml_read_choice(const sp_yaml *map, const char *key, const char *const *names, size_t n,
                              int *out, sp_error *err)
{
    const sp_yaml *v = sp_yaml_get(map, key);
    if (!v)
        return SP_OK;
    /* Any scalar is compared as written, so that a choice may be called `8` or `null`. */
    for (size_t i = 0; v->text && i < n; i++)
        if (!strcmp(v->text, names[i])) {
            *out = (int)i;
            return SP_OK;
        }
    char is[SP_YAML_SHOWN_BYTES + 2];
    const char *near = v->text ? sp_suggest(v->text, names, n) : NULL;
    sp_text list = {0};
    add_names(&list, names, n);
    sp_status st =
        sp_yaml_fail(v, err, "\"%s\" must be one of %s, not %s%s%s%s", key, list.s ? list.s : "(none)",
                     describe(v, is), near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    sp_text_free(&list);
    return st;
}
