/* Reading, checking and printing of settings that a table describes. */
#include "config/fields.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"

static int64_t get_whole(const sp_field *f, const void *base)
{
    const char *at = (const char *)base + f->at;
    int64_t wide;
    int32_t narrow;
    if (f->size == sizeof(bool))
        return *(const bool *)at;
    memcpy(&wide, at, f->size == sizeof wide ? sizeof wide : 0);
    memcpy(&narrow, at, sizeof narrow);
    return f->size == sizeof wide ? wide : narrow;
}

static void set_whole(const sp_field *f, void *base, int64_t value)
{
    char *at = (char *)base + f->at;
    int32_t narrow = (int32_t)value;
    if (f->size == sizeof(bool))
        *(bool *)at = value != 0;
    else
        memcpy(at, f->size == sizeof value ? (const void *)&value : (const void *)&narrow, f->size);
}

static size_t count_names(const sp_field *f)
{
    size_t n = 0;
    while (f->names[n])
        n++;
    return n;
}

static uint64_t *given_bits(const sp_fields *table, const void *base)
{
    return (uint64_t *)((uintptr_t)base + table->given);
}

static const sp_field *find(const sp_fields *table, const char *key, size_t n)
{
    for (size_t i = 0; i < table->n; i++)
        if (strlen(table->items[i].key) == n && strncmp(table->items[i].key, key, n) == 0)
            return &table->items[i];
    return NULL;
}

const sp_field *sp_fields_find(const sp_fields *table, const char *path)
{
    size_t n = strcspn(path, ".");
    const sp_field *f = find(table, path, n);
    if (!f || path[n] == '\0')
        return f;
    return f->kind == SP_FIELD_TABLE ? sp_fields_find(f->table, path + n + 1) : NULL;
}

uint64_t sp_fields_bit(const sp_fields *table, const char *key)
{
    const sp_field *f = find(table, key, strlen(key));
    return f ? UINT64_C(1) << (f - table->items) : 0;
}

bool sp_fields_given(const sp_fields *table, const void *base, const char *key)
{
    return (*given_bits(table, base) & sp_fields_bit(table, key)) != 0;
}

void sp_fields_defaults(const sp_fields *table, void *base)
{
    for (size_t i = 0; i < table->n; i++) {
        const sp_field *f = &table->items[i];
        char *at = (char *)base + f->at;
        if (f->kind == SP_FIELD_TABLE)
            sp_fields_defaults(f->table, at);
        else if (!f->initial || f->kind == SP_FIELD_OTHER)
            continue;
        else if (f->kind == SP_FIELD_INT)
            set_whole(f, base, strtoll(f->initial, NULL, 10));
        else if (f->kind == SP_FIELD_PAIR)
            ((int64_t *)(void *)at)[0] = ((int64_t *)(void *)at)[1] = strtoll(f->initial, NULL, 10);
        else if (f->kind == SP_FIELD_BOOL)
            set_whole(f, base, strcmp(f->initial, "true") == 0);
        else if (f->kind == SP_FIELD_FLOAT)
            *(double *)at = strtod(f->initial, NULL);
        else if (f->kind == SP_FIELD_TEXT)
            *(const char **)at = f->initial;
        else if (f->kind == SP_FIELD_NAME)
            memcpy(at, f->initial, strlen(f->initial) + 1);
        else
            for (int k = 0; f->names[k]; k++)
                if (strcmp(f->names[k], f->initial) == 0)
                    set_whole(f, base, k);
    }
}

sp_status sp_field_read_name(const sp_yaml *value, const char *key, char out[SP_FIELD_NAME_BYTES],
                             sp_error *err)
{
    const char *name = value->kind == SP_YAML_STRING ? value->text : "";
    size_t n = strlen(name);
    if (n == 0 || n >= SP_FIELD_NAME_BYTES || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
        return sp_yaml_fail(value, err,
                            "\"%s\" must be a name of 1 to 47 small letters, digits and underscores", key);
    memcpy(out, name, n + 1);
    return SP_OK;
}

static sp_status read_pair(const sp_field *f, const sp_yaml *map, const sp_yaml *v, int64_t pair[2],
                           sp_error *err)
{
    const int64_t low = (int64_t)f->low, high = (int64_t)f->high;
    if (v->kind != SP_YAML_LIST) {
        SP_TRY(sp_yaml_read_int(map, f->key, low, high, &pair[0], err));
        pair[1] = pair[0];
        return SP_OK;
    }
    if (v->n != 2)
        return sp_yaml_fail(v, err, "\"%s\" must be one whole number or a list [y, x] of two, not of %zu",
                            f->key, v->n);
    for (int i = 0; i < 2; i++) {
        const sp_yaml *part = v->items[i];
        if (part->kind != SP_YAML_INT || part->integer < low || part->integer > high)
            return sp_yaml_fail(part, err,
                                "\"%s\": the %s of [y, x] must be a whole number from %" PRId64 " to "
                                "%" PRId64,
                                f->key, i ? "x" : "y", low, high);
        pair[i] = part->integer;
    }
    return SP_OK;
}

static sp_status read_field(const sp_field *f, const sp_yaml *map, const sp_yaml *value, void *base,
                            sp_error *err)
{
    char *at = (char *)base + f->at;
    int64_t whole = 0;
    bool flag = false;
    int choice = 0;
    switch (f->kind) {
    case SP_FIELD_TABLE:
        if (value->kind != SP_YAML_MAP)
            return sp_yaml_fail(value, err, "\"%s\" must be a map of settings", f->key);
        return sp_fields_read(f->table, value, at, err);
    case SP_FIELD_PAIR: return read_pair(f, map, value, (int64_t *)(void *)at, err);
    case SP_FIELD_OTHER: return f->read ? f->read(base, value, err) : SP_OK;
    case SP_FIELD_TEXT: return sp_yaml_read_string(map, f->key, (const char **)at, err);
    case SP_FIELD_NAME: return sp_field_read_name(value, f->key, at, err);
    case SP_FIELD_FLOAT: return sp_yaml_read_float(map, f->key, f->low, f->high, (double *)at, err);
    case SP_FIELD_INT:
        SP_TRY(sp_yaml_read_int(map, f->key, (int64_t)f->low, (int64_t)f->high, &whole, err));
        break;
    case SP_FIELD_BOOL:
        SP_TRY(sp_yaml_read_bool(map, f->key, &flag, err));
        whole = flag;
        break;
    case SP_FIELD_CHOICE:
        SP_TRY(sp_yaml_read_choice(map, f->key, f->names, count_names(f), &choice, err));
        whole = choice;
        break;
    }
    set_whole(f, base, whole);
    return SP_OK;
}

static sp_status check_keys(const sp_fields *table, const sp_yaml *map, sp_error *err)
{
    const char *known[64];
    for (size_t i = 0; i < table->n; i++)
        known[i] = table->items[i].key;
    return sp_yaml_check_keys(map, known, table->n, table->what, err);
}

sp_status sp_fields_read(const sp_fields *table, const sp_yaml *map, void *base, sp_error *err)
{
    SP_TRY(check_keys(table, map, err));
    for (size_t i = 0; i < table->n; i++) {
        const sp_field *f = &table->items[i];
        const sp_yaml *value = sp_yaml_get(map, f->key);
        if (!value && f->required)
            return sp_yaml_fail(map, err, "%s has no \"%s\"; it is required", table->what, f->key);
        if (!value || (value->kind == SP_YAML_NULL && f->kind == SP_FIELD_TABLE))
            continue;
        SP_TRY(read_field(f, map, value, base, err));
        *given_bits(table, base) |= UINT64_C(1) << i;
    }
    return SP_OK;
}

/* Whether a value is the default: setting that is never in vain. */
static bool is_default(const sp_field *f, const void *base)
{
    sp_text text = {0};
    sp_field_print(f, base, &text);
    bool same = f->initial && text.s && strcmp(text.s, f->initial) == 0;
    sp_text_free(&text);
    return same;
}

sp_status sp_fields_check_sets(const sp_fields *table, const sp_yaml *map, const void *base, sp_error *err)
{
    for (size_t i = 0; i < table->n; i++) {
        const sp_field *f = &table->items[i];
        const sp_yaml *value = sp_yaml_get(map, f->key);
        if (!value || value->kind == SP_YAML_NULL)
            continue;
        if (f->kind == SP_FIELD_TABLE)
            SP_TRY(sp_fields_check_sets(f->table, value, (const char *)base + f->at, err));
        else if (f->applies && sp_yaml_from_set(value) && !f->applies(base) && !is_default(f, base))
            return sp_yaml_fail(value, err, "\"%s\" would have no effect; it needs %s", f->key, f->needs);
    }
    return SP_OK;
}

static bool same_value(const sp_field *f, const void *a, const void *b)
{
    sp_text s = {0}, t = {0};
    sp_field_print(f, a, &s);
    sp_field_print(f, b, &t);
    bool same = s.s && t.s && strcmp(s.s, t.s) == 0;
    sp_text_free(&s);
    sp_text_free(&t);
    return same;
}

char *sp_fields_sequence_change(const sp_fields *table, const void *a, const void *b)
{
    char *path = NULL;
    for (size_t i = 0; i < table->n && !path; i++) {
        const sp_field *f = &table->items[i];
        char *below = f->kind == SP_FIELD_TABLE ? sp_fields_sequence_change(f->table, (const char *)a + f->at,
                                                                            (const char *)b + f->at)
                                                : NULL;
        if (below || (f->sequence && !same_value(f, a, b)))
            path = sp_format("%s%s%s", f->key, below ? "." : "", below ? below : "");
        sp_free(below);
    }
    return path;
}

void sp_field_print(const sp_field *f, const void *base, sp_text *out)
{
    const char *at = (const char *)base + f->at;
    switch (f->kind) {
    case SP_FIELD_INT: sp_text_add(out, "%" PRId64, get_whole(f, base)); break;
    case SP_FIELD_FLOAT: sp_text_number(out, *(const double *)at); break;
    case SP_FIELD_BOOL: sp_text_add(out, "%s", get_whole(f, base) ? "true" : "false"); break;
    case SP_FIELD_CHOICE: sp_text_add(out, "%s", f->names[get_whole(f, base)]); break;
    case SP_FIELD_TEXT:
        if (*(const char *const *)at)
            sp_yaml_quote(out, *(const char *const *)at);
        else
            sp_text_add(out, "null");
        break;
    case SP_FIELD_PAIR: {
        const int64_t *pair = (const int64_t *)(const void *)at;
        sp_text_add(out, pair[0] == pair[1] ? "%" PRId64 : "[%" PRId64 ", %" PRId64 "]", pair[0], pair[1]);
        break;
    }
    case SP_FIELD_NAME: sp_yaml_quote(out, at); break; /* a fragment may be called `null` */
    case SP_FIELD_OTHER: f->print(base, out); break;
    case SP_FIELD_TABLE: break;
    }
}

static void print_table(const sp_field *f, const void *base, int indent, sp_text *out)
{
    sp_text inner = {0};
    sp_fields_print(f->table, (const char *)base + f->at, indent + 2, &inner);
    if (inner.s && inner.n)
        sp_text_add(out, "%*s%s:\n%s", indent, "", f->key, inner.s);
    out->failed |= inner.failed;
    sp_text_free(&inner);
}

/* Whether a line, or part of one, stands for the key: it has a value that is known here. */
static bool is_printed(const sp_fields *table, size_t i, const void *base)
{
    const sp_field *f = &table->items[i];
    if (f->kind == SP_FIELD_TABLE || (f->kind == SP_FIELD_OTHER && !f->print) ||
        (f->kind == SP_FIELD_TEXT && !*(const char *const *)((const char *)base + f->at)))
        return false;
    bool given = *given_bits(table, base) >> i & 1;
    return given || ((!f->applies || f->applies(base)) && (f->initial || f->follows));
}

void sp_fields_print(const sp_fields *table, const void *base, int indent, sp_text *out)
{
    for (size_t i = 0; i < table->n; i++) {
        const sp_field *f = &table->items[i];
        bool given = *given_bits(table, base) >> i & 1;
        if (f->kind == SP_FIELD_TABLE && (given || !f->applies || f->applies(base)))
            print_table(f, base, indent, out);
        if (!is_printed(table, i, base))
            continue;
        sp_text_add(out, "%*s%s%s: ", indent, "", !given && f->follows ? "# " : "", f->key);
        sp_field_print(f, base, out);
        sp_text_add(out, !given && f->follows ? " (follows %s)\n" : "\n", f->follows);
    }
}

void sp_fields_print_inline(const sp_fields *table, const void *base, sp_text *out)
{
    for (size_t i = 0; i < table->n; i++) {
        const sp_field *f = &table->items[i];
        if (!is_printed(table, i, base) || (f->follows && !sp_fields_given(table, base, f->key)))
            continue;
        sp_text_add(out, ", %s: ", f->key);
        sp_field_print(f, base, out);
    }
}

void sp_field_type(const sp_field *f, sp_text *out)
{
    switch (f->kind) {
    case SP_FIELD_INT: sp_text_add(out, "whole number, %.10g to %.10g", f->low, f->high); break;
    case SP_FIELD_PAIR: sp_text_add(out, "whole number or [y, x], %.10g to %.10g", f->low, f->high); break;
    case SP_FIELD_FLOAT: sp_text_add(out, "number, %.9g to %.9g", f->low, f->high); break;
    case SP_FIELD_BOOL: sp_text_add(out, "true or false"); break;
    case SP_FIELD_CHOICE:
        for (size_t i = 0; f->names[i]; i++)
            sp_text_add(out, "%s`%s`", i ? ", " : "", f->names[i]);
        break;
    case SP_FIELD_TEXT: sp_text_add(out, "text"); break;
    case SP_FIELD_NAME: sp_text_add(out, "name"); break;
    case SP_FIELD_TABLE: sp_text_add(out, "map"); break;
    case SP_FIELD_OTHER: sp_text_add(out, "%s", f->form); break;
    }
}
