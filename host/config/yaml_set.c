/* Changes to a YAML tree: from the command line, "--set a.b.c=value", and from another tree. */
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "config/yaml_build.h"

typedef struct path {
    char *text; /* cut into parts */
    const char *parts[SP_YAML_MAX_DEPTH];
    int columns[SP_YAML_MAX_DEPTH];
    int n;
    const char *file; /* "--set KEY", the file name of nodes that come this way */
} path;

bool sp_yaml_from_set(const sp_yaml *node)
{
    return strncmp(node->file, "--set ", 6) == 0;
}

void sp_yaml_quote(sp_text *out, const char *s)
{
    sp_text_add(out, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            sp_text_add(out, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            sp_text_add(out, "\\x%02x", (unsigned)(unsigned char)*s);
        else
            sp_text_add(out, "%c", *s);
    }
    sp_text_add(out, "\"");
}

/* The document keeps the name as long as its nodes. */
static sp_status name_set(sp_yaml_doc *doc, path *p, int key_bytes, const char *assignment, sp_error *err)
{
    char **sets = sp_realloc(doc->sets, (doc->n_sets + 1) * sizeof *sets);
    if (sets)
        doc->sets = sets, sets[doc->n_sets] = sp_format("--set %.*s", key_bytes, assignment);
    if (!sets || !sets[doc->n_sets])
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading --set");
    p->file = sets[doc->n_sets++];
    return SP_OK;
}

static sp_status fail_set(sp_error *err, const char *assignment, const char *what)
{
    char shown[SP_YAML_SHOWN_BYTES];
    return SP_FAIL(err, SP_E_CONFIG, "--set %s: %s", sp_yaml_shown(assignment, shown), what);
}

static sp_status split(const char *assignment, path *p, size_t *value_at, sp_error *err)
{
    const char *equals = strchr(assignment, '=');
    if (!equals)
        return fail_set(err, assignment, "no \"=\" in it; write it as key.key=value");
    if (equals == assignment)
        return fail_set(err, assignment, "no key before \"=\"; write it as key.key=value");
    p->text = sp_strndup(assignment, (size_t)(equals - assignment));
    if (!p->text)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading --set");
    *value_at = (size_t)(equals - assignment) + 1;
    for (char *at = p->text; at;) {
        char *dot = strchr(at, '.');
        if (dot)
            *dot = '\0';
        if (*at == '\0' || strpbrk(at, " \t\r\n"))
            return fail_set(err, assignment, "a part of the key is empty or has a space in it");
        if (p->n == SP_YAML_MAX_DEPTH)
            return fail_set(err, assignment, "the key has more than 64 parts");
        p->parts[p->n] = at;
        p->columns[p->n++] = (int)(at - p->text) + 1;
        at = dot ? dot + 1 : NULL;
    }
    return SP_OK;
}

/* The slot of list item `part`, an index that must exist. */
static sp_status list_slot(sp_yaml *list, const char *part, const char *assignment, sp_yaml ***slot,
                           sp_error *err)
{
    size_t n_digits = strspn(part, "0123456789");
    unsigned long index = n_digits && n_digits < 10 ? strtoul(part, NULL, 10) : 0;
    if (part[n_digits] != '\0' || n_digits == 0 || n_digits >= 10 || index >= list->n) {
        char shown[SP_YAML_SHOWN_BYTES], key[SP_YAML_SHOWN_BYTES];
        return SP_FAIL(err, SP_E_CONFIG,
                       "--set %s: \"%s\" is not an item of the list at %s:%d:%d; it has %zu, counted from 0",
                       sp_yaml_shown(assignment, shown), sp_yaml_shown(part, key), list->file, list->line,
                       list->column, list->n);
    }
    *slot = &list->items[index];
    return SP_OK;
}

/* The slot of key `part`; a new key gets a null value first. */
static sp_status map_slot(sp_yaml *map, const char *part, int column, const char *file, sp_yaml ***slot,
                          sp_error *err)
{
    size_t i = 0;
    while (i < map->n && strcmp(map->keys[i], part) != 0)
        i++;
    if (i == map->n) {
        if (map->n >= SP_YAML_MAX_KEYS)
            return SP_FAIL(err, SP_E_CONFIG, "--set %s: too many keys in one map (4096 at most)", part);
        sp_yaml *item = sp_yaml_node_create(SP_YAML_NULL, file, 1, column);
        if (!item || !(item->text = sp_strdup("")) ||
            sp_yaml_append(map, part, 1, column, item, err) != SP_OK) {
            sp_yaml_node_destroy(&item);
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading --set");
        }
    }
    *slot = &map->items[i];
    return SP_OK;
}

/* An absent or empty value on the way becomes a map. */
static void make_map(sp_yaml *node, const char *file, int column)
{
    sp_free(node->text);
    node->text = NULL;
    node->kind = SP_YAML_MAP;
    node->file = file;
    node->line = 1;
    node->column = column;
}

static sp_status find_slot(sp_yaml_doc *doc, const path *p, const char *assignment, sp_yaml ***slot,
                           sp_error *err)
{
    sp_yaml **at = &doc->root;
    for (int i = 0; i < p->n; i++) {
        sp_yaml *in = *at;
        if (in->kind == SP_YAML_NULL)
            make_map(in, p->file, p->columns[i]);
        if (in->kind == SP_YAML_LIST) {
            SP_TRY(list_slot(in, p->parts[i], assignment, &at, err));
        } else if (in->kind == SP_YAML_MAP) {
            SP_TRY(map_slot(in, p->parts[i], p->columns[i], p->file, &at, err));
            /* An error about this key now has to point at --set, not at the file. */
            size_t k = (size_t)(at - in->items);
            if (i == p->n - 1) {
                in->key_lines[k] = 1;
                in->key_columns[k] = p->columns[i];
            }
        } else {
            char shown[SP_YAML_SHOWN_BYTES], key[SP_YAML_SHOWN_BYTES];
            return SP_FAIL(err, SP_E_CONFIG, "--set %s: there is no \"%s\" in the plain value at %s:%d:%d",
                           sp_yaml_shown(assignment, shown), sp_yaml_shown(p->parts[i], key), in->file,
                           in->line, in->column);
        }
    }
    *slot = at;
    return SP_OK;
}

/* The value of a text, as it stands. */
static sp_status make_text(const char *text, const char *file, int column, sp_yaml **out, sp_error *err)
{
    *out = sp_yaml_node_create(SP_YAML_STRING, file, 1, column);
    if (*out && ((*out)->text = sp_strdup(text)))
        return SP_OK;
    return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading --set");
}

/* Empty, in quotes, a list or a map; the last two are refused where a text is read. */
static bool is_yaml(const char *s)
{
    static const char open[] = "\"'[{", close[] = "\"']}";
    size_t n = strlen(s);
    const char *kind = n ? strchr(open, s[0]) : NULL;
    return n == 0 || (n > 1 && kind && s[n - 1] == close[kind - open]);
}

sp_status sp_yaml_set(sp_yaml_doc *doc, const char *assignment, bool plain_text, sp_error *err)
{
    path p = {0};
    size_t value_at = 0;
    sp_yaml *value = NULL, **slot = NULL;
    sp_status st = SP_OK;
    SP_TRY_GOTO(split(assignment, &p, &value_at, err));
    SP_TRY_GOTO(name_set(doc, &p, (int)value_at - 1, assignment, err));
    const char *text = assignment + value_at;
    sp_yaml_source source = {.file = p.file,
                             .text = text,
                             .n = strlen(text),
                             .depth = p.n,
                             .column = (int)value_at,
                             .no_block = true};
    SP_TRY_GOTO(plain_text && !is_yaml(text) ? make_text(text, p.file, (int)value_at + 1, &value, err)
                                             : sp_yaml_build(&source, &value, err));
    if (!doc->root && !(doc->root = sp_yaml_node_create(SP_YAML_MAP, p.file, 1, 1)))
        SP_TRY_GOTO(SP_FAIL(err, SP_E_MEMORY, "out of memory while reading --set"));
    SP_TRY_GOTO(find_slot(doc, &p, assignment, &slot, err));
    sp_yaml_node_destroy(slot);
    *slot = value;
    value = NULL;
done:
    sp_yaml_node_destroy(&value);
    sp_free(p.text);
    return st;
}

sp_status sp_yaml_inherit(sp_yaml *map, sp_yaml *from, sp_error *err)
{
    for (size_t i = 0; i < from->n; i++) {
        sp_yaml *mine = sp_yaml_get(map, from->keys[i]), *theirs = from->items[i];
        if (mine && mine->kind == SP_YAML_MAP && theirs->kind == SP_YAML_MAP)
            SP_TRY(sp_yaml_inherit(mine, theirs, err));
        if (mine)
            continue;
        SP_TRY(sp_yaml_append(map, from->keys[i], from->key_lines[i], from->key_columns[i], theirs, err));
        from->items[i] = NULL;
    }
    return SP_OK;
}
