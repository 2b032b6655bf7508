/* One entry of wisdom as a line of JSON, both ways. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "registry/wisdom_internal.h"

/* A driver's name may hold any bytes. */
static json_t *text_json(const char *s)
{
    json_t *j = json_string(s);
    char *copy = j ? NULL : sp_strdup(s);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    j = j ? j : json_string(copy ? copy : "");
    sp_free(copy);
    return j;
}

static json_t *row_json(const sp_wisdom_row *r)
{
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, r->hash);
    json_t *o = json_pack("{s:o, s:o, s:s}", "variant", text_json(r->variant), "version",
                          text_json(r->version), "hash", hash);
    json_t *tunes = r->n_tunes ? json_object() : NULL;
    for (int i = 0; i < r->n_tunes; i++)
        json_object_set_new(tunes, r->tunes[i].name, json_integer((json_int_t)r->tunes[i].value));
    if (tunes)
        json_object_set_new(o, "tunes", tunes);
    if (r->ms > 0)
        json_object_set_new(o, "ms", json_real(r->ms));
    if (r->reason[0])
        json_object_set_new(o, "reason", text_json(r->reason));
    return o;
}

char *spi_wisdom_line(const sp_wisdom_entry *e)
{
    json_t *rows = json_array();
    for (int i = 0; i < e->n_rows; i++)
        json_array_append_new(rows, row_json(&e->rows[i]));
    json_t *o = json_pack("{s:i, s:o, s:o, s:s, s:s, s:s, s:f, s:i, s:i, s:o}", "schema", SPI_WISDOM_SCHEMA,
                          "device", text_json(e->device), "driver", text_json(e->driver), "op", e->op, "call",
                          e->call, "date", e->date, "density", e->density, "best", e->best, "baseline",
                          e->baseline, "candidates", rows);
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(o);
    return text; /* Jansson's own malloc */
}

static bool copy_text(const json_t *o, const char *key, char *out, size_t size, const char **wrong)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (!s || strlen(s) >= size) {
        *wrong = key;
        return false;
    }
    memcpy(out, s, strlen(s) + 1);
    return true;
}

static bool read_tunes(const json_t *tunes, sp_wisdom_row *r)
{
    const char *name;
    json_t *value;
    if (tunes && !json_is_object(tunes))
        return false;
    json_object_foreach((json_t *)(uintptr_t)tunes, name, value)
    {
        if (r->n_tunes == SP_VARIANT_MAX_TUNES || !json_is_integer(value) ||
            strlen(name) >= sizeof r->tunes[0].name)
            return false;
        snprintf(r->tunes[r->n_tunes].name, sizeof r->tunes[0].name, "%s", name);
        r->tunes[r->n_tunes++].value = json_integer_value(value);
    }
    return true;
}

static bool read_row(const json_t *o, sp_wisdom_row *r, const char **wrong)
{
    char hash[24], *end;
    const json_t *ms = json_object_get(o, "ms");
    if (!copy_text(o, "variant", r->variant, sizeof r->variant, wrong) ||
        !copy_text(o, "version", r->version, sizeof r->version, wrong) ||
        !copy_text(o, "hash", hash, sizeof hash, wrong))
        return false;
    r->hash = strtoull(hash, &end, 16);
    const char *reason = json_string_value(json_object_get(o, "reason"));
    snprintf(r->reason, sizeof r->reason, "%s", reason ? reason : "");
    r->ms = json_is_number(ms) ? json_number_value(ms) : 0;
    if (end == hash || *end)
        *wrong = "hash";
    else if (!(r->ms >= 0) || (ms && !json_is_number(ms)))
        *wrong = "ms";
    else if (!read_tunes(json_object_get(o, "tunes"), r))
        *wrong = "tunes";
    return !*wrong;
}

static bool read_index(const json_t *o, const char *key, int n, int *out, const char **wrong)
{
    const json_t *v = json_object_get(o, key);
    json_int_t i = json_is_integer(v) ? json_integer_value(v) : -2;
    if (i < -1 || i >= n) {
        *wrong = key;
        return false;
    }
    *out = (int)i;
    return true;
}

static bool read_entry(const json_t *o, sp_wisdom_entry *e, const char **wrong)
{
    const json_t *rows = json_object_get(o, "candidates"), *row;
    size_t i;
    if (json_integer_value(json_object_get(o, "schema")) != SPI_WISDOM_SCHEMA) {
        *wrong = "schema";
        return false;
    }
    if (!copy_text(o, "device", e->device, sizeof e->device, wrong) ||
        !copy_text(o, "driver", e->driver, sizeof e->driver, wrong) ||
        !copy_text(o, "op", e->op, sizeof e->op, wrong) ||
        !copy_text(o, "call", e->call, sizeof e->call, wrong) ||
        !copy_text(o, "date", e->date, sizeof e->date, wrong))
        return false;
    e->density = json_number_value(json_object_get(o, "density"));
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        sp_wisdom_row *r = sp_wisdom_add_row(e, NULL, NULL);
        if (!r || !read_row(row, r, wrong))
            return false;
    }
    return read_index(o, "best", e->n_rows, &e->best, wrong) &&
           read_index(o, "baseline", e->n_rows, &e->baseline, wrong);
}

sp_wisdom_entry *spi_wisdom_parse(const char *line, char *why, size_t size)
{
    json_error_t at;
    json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, &at);
    sp_wisdom_entry *e = sp_alloc(sizeof *e);
    const char *wrong = NULL;
    bool good = o && e && read_entry(o, e, &wrong);
    if (!o)
        snprintf(why, size, "column %d: %s", at.column, at.text);
    else if (!good)
        snprintf(why, size, wrong ? "\"%s\" is missing or wrong" : "out of memory", wrong);
    json_decref(o);
    if (!good && e)
        sp_wisdom_entry_free(&e);
    return e;
}
