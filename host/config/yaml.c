/* YAML text to a tree with positions, on libyaml's event parser (its document API loses the places of keys).
 * What plain scalars mean is in yaml_scalar.c, typed reads in yaml_read.c, changes to a tree in yaml_set.c.
 */
#include "config/yaml.h"

#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/file.h"
#include "config/yaml_build.h"

typedef struct builder {
    yaml_parser_t parser;
    const sp_yaml_source *source;
    size_t n_nodes;
    sp_error *err;
} builder;

static int line_of(yaml_mark_t mark)
{
    return (int)mark.line + 1;
}

static int column_of(const builder *b, yaml_mark_t mark)
{
    return (int)mark.column + 1 + (mark.line == 0 ? b->source->column : 0);
}

static sp_status fail_at(const builder *b, yaml_mark_t mark, const char *what)
{
    return SP_FAIL(b->err, SP_E_CONFIG, "%s:%d:%d: %s", b->source->file, line_of(mark), column_of(b, mark),
                   what);
}

static sp_status fail_memory(sp_error *err)
{
    return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading YAML");
}

/* ---- nodes ---- */

sp_yaml *sp_yaml_node_create(sp_yaml_kind kind, const char *file, int line, int column)
{
    sp_yaml *node = sp_alloc(sizeof *node);
    if (!node)
        return NULL;
    node->kind = kind;
    node->file = file;
    node->line = line;
    node->column = column;
    return node;
}

void sp_yaml_node_destroy(sp_yaml **node)
{
    sp_yaml *at = *node;
    if (!at)
        return;
    for (size_t i = 0; i < at->n; i++) {
        sp_yaml_node_destroy(&at->items[i]);
        if (at->keys)
            sp_free(at->keys[i]);
    }
    sp_free(at->items);
    sp_free(at->keys);
    sp_free(at->key_lines);
    sp_free(at->key_columns);
    sp_free(at->text);
    sp_free(at);
    *node = NULL;
}

sp_status sp_yaml_append(sp_yaml *to, const char *key, int key_line, int key_column, sp_yaml *item,
                         sp_error *err)
{
    if (!sp_array_push(&to->items, to->n, sizeof *to->items))
        return fail_memory(err);
    if (to->kind == SP_YAML_MAP) {
        char *copy = sp_strdup(key);
        if (!copy || !sp_array_push(&to->keys, to->n, sizeof *to->keys) ||
            !sp_array_push(&to->key_lines, to->n, sizeof *to->key_lines) ||
            !sp_array_push(&to->key_columns, to->n, sizeof *to->key_columns)) {
            sp_free(copy);
            return fail_memory(err);
        }
        to->keys[to->n] = copy;
        to->key_lines[to->n] = key_line;
        to->key_columns[to->n] = key_column;
    }
    to->items[to->n++] = item;
    return SP_OK;
}

/* ---- events ---- */

/* libyaml gives a byte offset, not a mark, where the text is not valid UTF-8. */
static sp_status fail_reader(const builder *b)
{
    yaml_mark_t mark = {0, 0, 0};
    for (size_t i = 0; i < b->parser.problem_offset && i < b->source->n; i++) {
        mark.column++;
        if (b->source->text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return fail_at(b, mark, b->parser.problem);
}

static bool line_starts_with_tab(const builder *b, size_t line)
{
    const char *p = b->source->text, *end = p + b->source->n;
    for (; line > 0 && p < end; p++)
        line -= *p == '\n';
    while (p < end && *p == ' ')
        p++;
    return p < end && *p == '\t';
}

/* libyaml puts the end of a text without a final newline on a line that is not there. */
static yaml_mark_t inside(const builder *b, yaml_mark_t mark)
{
    size_t line = 0, start = 0;
    for (size_t i = 0; i < b->source->n; i++)
        if (b->source->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    if (mark.line > line) {
        mark.line = line;
        mark.column = b->source->n - start;
    }
    return mark;
}

static sp_status fail_parser(const builder *b)
{
    const yaml_parser_t *p = &b->parser;
    yaml_mark_t at = inside(b, p->problem_mark);
    if (p->error == YAML_MEMORY_ERROR)
        return fail_memory(b->err);
    if (p->error == YAML_READER_ERROR)
        return fail_reader(b);
    const char *hint = "";
    if (line_starts_with_tab(b, at.line))
        hint = "; the line starts with a tab, indent with spaces";
    else if (strstr(p->problem, "mapping values are not allowed"))
        hint = "; check the indentation, and quote text with \": \" in it";
    return SP_FAIL(b->err, SP_E_CONFIG, "%s:%d:%d: not valid YAML: %s%s%s%s", b->source->file, line_of(at),
                   column_of(b, at), p->context ? p->context : "", p->context ? ", " : "", p->problem, hint);
}

static sp_status next_event(builder *b, yaml_event_t *event)
{
    if (!yaml_parser_parse(&b->parser, event)) {
        event->type = YAML_NO_EVENT;
        return fail_parser(b);
    }
    return SP_OK;
}

static sp_status check_key(const builder *b, const sp_yaml *map, const yaml_event_t *key)
{
    char shown[SP_YAML_SHOWN_BYTES];
    if (key->type != YAML_SCALAR_EVENT)
        return fail_at(b, key->start_mark, "a key must be a plain word, not a list, a map or an alias");
    const char *word = (const char *)key->data.scalar.value;
    if (strlen(word) != key->data.scalar.length)
        return fail_at(b, key->start_mark, "a key contains a NUL character");
    if (key->data.scalar.anchor || key->data.scalar.tag)
        return fail_at(b, key->start_mark, "anchors and tags are not supported");
    if (map->n >= SP_YAML_MAX_KEYS)
        return fail_at(b, key->start_mark, "too many keys in one map (4096 at most)");
    for (size_t i = 0; i < map->n; i++)
        if (!strcmp(map->keys[i], word))
            return SP_FAIL(b->err, SP_E_CONFIG,
                           "%s:%d:%d: key \"%s\" is already given at %d:%d; keep one of them",
                           b->source->file, line_of(key->start_mark), column_of(b, key->start_mark),
                           sp_yaml_shown(word, shown), map->key_lines[i], map->key_columns[i]);
    return SP_OK;
}

static sp_status build_node(builder *b, const yaml_event_t *event, int depth, sp_yaml **out);

/* Reads the next event and the node it starts, and appends it to `to`. */
static sp_status build_item(builder *b, sp_yaml *to, const yaml_event_t *key, const yaml_event_t *first,
                            int depth)
{
    sp_yaml *item = NULL;
    SP_TRY(build_node(b, first, depth, &item));
    sp_status st = sp_yaml_append(to, key ? (const char *)key->data.scalar.value : NULL,
                                  key ? line_of(key->start_mark) : 0, key ? column_of(b, key->start_mark) : 0,
                                  item, b->err);
    if (st != SP_OK)
        sp_yaml_node_destroy(&item);
    return st;
}

static sp_status build_collection(builder *b, sp_yaml *node, int depth)
{
    yaml_event_type_t end = node->kind == SP_YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    sp_status st = SP_OK;
    for (bool more = true; more && st == SP_OK;) {
        yaml_event_t first = {0}, value = {0};
        SP_TRY_GOTO(next_event(b, &first));
        if (first.type == end) {
            more = false;
        } else if (node->kind == SP_YAML_LIST) {
            SP_TRY_GOTO(build_item(b, node, NULL, &first, depth + 1));
        } else {
            SP_TRY_GOTO(check_key(b, node, &first));
            SP_TRY_GOTO(next_event(b, &value));
            SP_TRY_GOTO(build_item(b, node, &first, &value, depth + 1));
        }
done:
        yaml_event_delete(&first);
        yaml_event_delete(&value);
    }
    return st;
}

static sp_status build_scalar(builder *b, const yaml_event_t *event, sp_yaml *node)
{
    size_t n = event->data.scalar.length;
    if (memchr(event->data.scalar.value, '\0', n))
        return fail_at(b, event->start_mark, "the text contains a NUL character");
    node->text = sp_strndup((const char *)event->data.scalar.value, n);
    if (!node->text)
        return fail_memory(b->err);
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        sp_yaml_resolve(node);
    return SP_OK;
}

/* Kind of the node an event starts, and what about it is refused. */
static sp_status classify(const builder *b, const yaml_event_t *event, sp_yaml_kind *kind)
{
    bool extra = false, block = false;
    *kind = SP_YAML_STRING;
    if (event->type == YAML_ALIAS_EVENT)
        return fail_at(b, event->start_mark, "aliases (*name) are not supported; write the value out");
    if (event->type == YAML_SCALAR_EVENT) {
        extra = event->data.scalar.anchor || event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        *kind = SP_YAML_LIST;
        extra = event->data.sequence_start.anchor || event->data.sequence_start.tag;
        block = event->data.sequence_start.style != YAML_FLOW_SEQUENCE_STYLE;
    } else {
        *kind = SP_YAML_MAP;
        extra = event->data.mapping_start.anchor || event->data.mapping_start.tag;
        block = event->data.mapping_start.style != YAML_FLOW_MAPPING_STYLE;
    }
    if (extra)
        return fail_at(b, event->start_mark, "anchors (&name) and tags (!name) are not supported; remove it");
    if (block && b->source->no_block)
        return fail_at(b, event->start_mark,
                       "only a plain value, a list [a, b] or a map {a: b} can stand here");
    return SP_OK;
}

static sp_status build_node(builder *b, const yaml_event_t *event, int depth, sp_yaml **out)
{
    sp_yaml_kind kind;
    SP_TRY(classify(b, event, &kind));
    if (depth > SP_YAML_MAX_DEPTH)
        return fail_at(b, event->start_mark, "nested too deeply (64 levels at most)");
    if (++b->n_nodes > SP_YAML_MAX_NODES)
        return fail_at(b, event->start_mark, "too many values in one file (200000 at most)");
    sp_yaml *node = sp_yaml_node_create(kind, b->source->file, line_of(event->start_mark),
                                        column_of(b, event->start_mark));
    if (!node)
        return fail_memory(b->err);
    sp_status st = kind == SP_YAML_STRING ? build_scalar(b, event, node) : build_collection(b, node, depth);
    if (st == SP_OK)
        *out = node;
    else
        sp_yaml_node_destroy(&node);
    return st;
}

static sp_status build_stream(builder *b, sp_yaml **root)
{
    for (;;) {
        yaml_event_t event = {0};
        SP_TRY(next_event(b, &event));
        yaml_event_type_t type = event.type;
        sp_status st = SP_OK;
        if (type == YAML_DOCUMENT_START_EVENT && *root)
            st = fail_at(b, event.start_mark, "a second document starts here; only one is allowed");
        else if (type == YAML_ALIAS_EVENT || type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                 type == YAML_MAPPING_START_EVENT)
            st = build_node(b, &event, b->source->depth + 1, root);
        yaml_event_delete(&event);
        if (st != SP_OK || type == YAML_STREAM_END_EVENT)
            return st;
    }
}

sp_status sp_yaml_build(const sp_yaml_source *source, sp_yaml **root, sp_error *err)
{
    builder b = {.source = source, .err = err};
    *root = NULL;
    if (source->n > SP_YAML_MAX_BYTES)
        return SP_FAIL(err, SP_E_CONFIG, "%s: larger than the limit of 16 MiB for such a file", source->file);
    if (!yaml_parser_initialize(&b.parser))
        return fail_memory(err);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)source->text, source->n);
    sp_status st = build_stream(&b, root);
    yaml_parser_delete(&b.parser);
    if (st == SP_OK && !*root) { /* an empty file */
        *root = sp_yaml_node_create(SP_YAML_NULL, source->file, 1, 1 + source->column);
        if (!*root || !((*root)->text = sp_strdup("")))
            st = fail_memory(err);
    }
    if (st != SP_OK)
        sp_yaml_node_destroy(root);
    return st;
}

/* ---- documents ---- */

sp_status sp_yaml_parse(const char *name, const char *text, size_t n, sp_yaml_doc *out, sp_error *err)
{
    memset(out, 0, sizeof *out);
    out->file = sp_strdup(name);
    if (!out->file)
        return fail_memory(err);
    sp_yaml_source source = {.file = out->file, .text = text, .n = n};
    sp_status st = sp_yaml_build(&source, &out->root, err);
    if (st != SP_OK)
        sp_yaml_free(out);
    return st;
}

sp_status sp_yaml_load(const char *path, sp_yaml_doc *out, sp_error *err)
{
    char *text = NULL;
    size_t n = 0;
    memset(out, 0, sizeof *out);
    sp_status st = sp_file_read(path, SP_YAML_MAX_BYTES, &text, &n, err);
    if (st != SP_OK) /* a folder or a device is as invalid as what cannot be parsed */
        return st == SP_E_MEMORY ? st : sp_error_as(err, SP_E_CONFIG);
    st = sp_yaml_parse(path, text, n, out, err);
    sp_free(text);
    return st;
}

void sp_yaml_free(sp_yaml_doc *doc)
{
    if (!doc)
        return;
    sp_yaml_node_destroy(&doc->root);
    for (size_t i = 0; i < doc->n_sets; i++)
        sp_free(doc->sets[i]);
    sp_free(doc->sets);
    sp_free(doc->file);
    memset(doc, 0, sizeof *doc);
}
