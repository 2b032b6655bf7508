/* A YAML (or JSON) document as a tree whose nodes know their place in the file. Built on libyaml's event
 * parser. Plain scalars resolve as in the YAML 1.2 core schema (null, bool, int, float, string). Duplicate
 * keys are errors; anchors and aliases are refused. */
#ifndef SP_CONFIG_YAML_H
#define SP_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

typedef enum {
    SP_YAML_NULL,
    SP_YAML_BOOL,
    SP_YAML_INT,
    SP_YAML_FLOAT,
    SP_YAML_STRING,
    SP_YAML_LIST,
    SP_YAML_MAP
} sp_yaml_kind;

typedef struct sp_yaml {
    sp_yaml_kind kind;
    int line, column;       /* 1-based */
    char *text;             /* scalar as written (unquoted) */
    int64_t integer;        /* INT; also 0/1 for BOOL */
    double number;          /* INT and FLOAT */
    struct sp_yaml **items; /* LIST and MAP values */
    char **keys;            /* MAP */
    int *key_lines, *key_columns;
    size_t n;
    const char *file; /* name for messages; shared by the whole tree */
} sp_yaml;

typedef struct sp_yaml_doc {
    sp_yaml *root;
    char *file;
    char **sets; /* names for messages about nodes that sp_yaml_set made: "--set KEY" */
    size_t n_sets;
} sp_yaml_doc;

sp_status sp_yaml_load(const char *path, sp_yaml_doc *out, sp_error *err);
sp_status sp_yaml_parse(const char *name, const char *text, size_t n, sp_yaml_doc *out, sp_error *err);
void sp_yaml_free(sp_yaml_doc *doc);

sp_yaml *sp_yaml_get(const sp_yaml *map, const char *key); /* NULL when absent */

/* "--set a.b.c=value" or "layers.2.out=32": parses value as YAML and puts it there; creates maps on the way.
 * plain_text: the key is a text, and the value is taken as it stands unless it is empty, in quotes, [..] or
 * {..}. */
sp_status sp_yaml_set(sp_yaml_doc *doc, const char *assignment, bool plain_text, sp_error *err);
/* Whether a node came from sp_yaml_set. */
bool sp_yaml_from_set(const sp_yaml *node);
/* Appends a string as a double-quoted scalar. */
struct sp_text;
void sp_yaml_quote(struct sp_text *out, const char *s);

/* Gives `map` every key of `from` that it lacks. Maps that both have are joined in turn; lists and plain
 * values of `map` stay as they are. Nodes move over with their places, so the document of `from` has to
 * outlive `map`; it cannot be read after. */
sp_status sp_yaml_inherit(sp_yaml *map, sp_yaml *from, sp_error *err);

/* Error at a node: "file:line:column: message". */
sp_status sp_yaml_fail(const sp_yaml *at, sp_error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A key of `map` that is not in `known`: SP_E_CONFIG with line, column and the nearest known name. */
sp_status sp_yaml_check_keys(const sp_yaml *map, const char *const *known, size_t n_known, const char *what,
                             sp_error *err);

/* Typed reads: absent key leaves *out alone (so set the default first); wrong type or out of lo..hi is an
 * error. */
sp_status sp_yaml_read_int(const sp_yaml *map, const char *key, int64_t lo, int64_t hi, int64_t *out,
                           sp_error *err);
sp_status sp_yaml_read_float(const sp_yaml *map, const char *key, double lo, double hi, double *out,
                             sp_error *err);
sp_status sp_yaml_to_float(const sp_yaml *value, const char *key, double lo, double hi, double *out,
                           sp_error *err);
sp_status sp_yaml_read_bool(const sp_yaml *map, const char *key, bool *out, sp_error *err);
sp_status sp_yaml_read_string(const sp_yaml *map, const char *key, const char **out,
                              sp_error *err); /* borrowed */
/* One of `names`; *out is its index. The error lists them and the nearest. */
sp_status sp_yaml_read_choice(const sp_yaml *map, const char *key, const char *const *names, size_t n,
                              int *out, sp_error *err);

#endif
