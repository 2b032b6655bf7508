/* Tables from rows of JSON. */
#include "cli/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const json_t *sp_table_value(const json_t *row, const char *key)
{
    const char *dot = strchr(key, '.');
    char object[64];
    if (!dot)
        return json_object_get(row, key);
    snprintf(object, sizeof object, "%.*s", (int)(dot - key), key);
    return json_object_get(json_object_get(row, object), dot + 1);
}

/* A line stays a line. The rows have escaped the rest: sp_cli_json_text. */
static void add_character(sp_text *out, char c)
{
    sp_text_add(out, (unsigned char)c < 0x20 ? "\\x%02x" : "%c", (unsigned char)c);
}

void sp_table_cell(sp_text *out, const sp_column *c, const json_t *row)
{
    const json_t *v = sp_table_value(row, c->key);
    double x = json_number_value(v);
    if (c->cell)
        c->cell(out, row, v);
    else if (json_is_string(v))
        for (const char *s = json_string_value(v); *s; s++)
            add_character(out, *s);
    else if (json_is_number(v) && c->digits < 0)
        sp_text_add(out, "%.*g%s", -c->digits, x, c->unit ? c->unit : "");
    else if (json_is_number(v))
        sp_text_add(out, "%.*f%s", c->digits, x, c->unit ? c->unit : "");
    else if (json_is_true(v))
        sp_text_add(out, "*");
}

void sp_table_text(sp_text *out, const sp_column *c, size_t n, const json_t *row)
{
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        sp_text cell = {0};
        if (!c[i].head)
            continue;
        if (row)
            sp_table_cell(&cell, &c[i], row);
        sp_text_add(out, "%s%*s", first ? "" : " ", c[i].width, !row ? c[i].head : cell.s ? cell.s : "");
        out->failed = out->failed || cell.failed;
        sp_text_free(&cell);
        first = false;
    }
    while (out->n && out->s[out->n - 1] == ' ')
        out->s[--out->n] = '\0';
    sp_text_add(out, "\n");
}

static sp_status print_line(const sp_column *c, size_t n, const json_t *row)
{
    sp_text t = {0};
    sp_table_text(&t, c, n, row);
    fputs(t.s ? t.s : "", stdout);
    fflush(stdout);
    sp_status st = t.failed ? SP_E_MEMORY : SP_OK;
    sp_text_free(&t);
    return st;
}

void sp_table_print_head(const sp_column *c, size_t n)
{
    print_line(c, n, NULL);
}

sp_status sp_table_print(const sp_column *c, size_t n, json_t *row, bool json)
{
    if (json || !row)
        return sp_cli_json_line(row);
    sp_status st = print_line(c, n, row);
    json_decref(row);
    return st;
}

/* RFC 4180. Spreadsheets take =, +, - and @ for the start of a formula, and an apostrophe for a text. */
static void add_quoted(sp_text *out, const char *s, bool quote)
{
    bool formula = *s && strchr("=+-@'", *s);
    quote = quote || formula || s[strcspn(s, ",\"\r\n")];
    sp_text_add(out, "%s%s", quote ? "\"" : "", formula ? "'" : "");
    for (; *s; s++) {
        if (*s == '"')
            sp_text_add(out, "\"");
        add_character(out, *s);
    }
    sp_text_add(out, "%s", quote ? "\"" : "");
}

static void add_csv(sp_text *out, const json_t *v, bool quote)
{
    if (json_is_string(v))
        add_quoted(out, json_string_value(v), quote);
    else if (json_is_number(v))
        sp_text_add(out, "%.9g", json_number_value(v));
    else if (json_is_boolean(v))
        sp_text_add(out, "%d", json_is_true(v));
}

void sp_table_csv(sp_text *out, const sp_column *c, size_t n, const json_t *row)
{
    for (size_t i = 0; i < n; i++) {
        sp_text_add(out, "%s%s", i ? "," : "", row ? "" : c[i].key);
        if (row)
            add_csv(out, sp_table_value(row, c[i].key), true);
    }
    sp_text_add(out, "\n");
}

sp_status sp_csv_put(FILE *f, json_t *row)
{
    sp_text t = {0};
    const char *key;
    json_t *v;
    for (int head = row && ftell(f) == 0; row && head >= 0; head--) {
        size_t i = 0;
        json_object_foreach(row, key, v)
        {
            sp_text_add(&t, "%s%s", i++ ? "," : "", head ? key : "");
            if (!head)
                add_csv(&t, v, false);
        }
        sp_text_add(&t, "\n");
    }
    sp_status st = !row || t.failed ? SP_E_MEMORY : fputs(t.s, f) < 0 || fflush(f) != 0 ? SP_E_IO : SP_OK;
    sp_text_free(&t);
    json_decref(row);
    return st;
}
