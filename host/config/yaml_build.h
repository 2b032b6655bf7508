/* What yaml.c, yaml_read.c and yaml_set.c share; not for other folders. */
#ifndef SP_CONFIG_YAML_BUILD_H
#define SP_CONFIG_YAML_BUILD_H

#include "config/yaml.h"

/* Limits that keep hostile input from blowing the stack, the memory or the time. */
enum {
    SP_YAML_MAX_DEPTH = 64,
    SP_YAML_MAX_KEYS = 4096,
    SP_YAML_MAX_NODES = 200000,
    SP_YAML_MAX_BYTES = 16 * 1024 * 1024
};

enum { SP_YAML_SHOWN_BYTES = 84 };

typedef struct sp_yaml_source {
    const char *file; /* name for messages, must outlive the tree */
    const char *text;
    size_t n;
    int depth;     /* levels already above the root */
    int column;    /* added to the columns of the first line */
    bool no_block; /* only scalars and flow lists or maps */
} sp_yaml_source;

sp_status sp_yaml_build(const sp_yaml_source *source, sp_yaml **root, sp_error *err);
sp_yaml *sp_yaml_node_create(sp_yaml_kind kind, const char *file, int line, int column);
void sp_yaml_node_destroy(sp_yaml **node);
/* Sets kind and value of a plain scalar from its text. */
void sp_yaml_resolve(sp_yaml *node);
/* Appends to a map (key, a copy is taken) or a list (key NULL). item is taken over only on success. */
sp_status sp_yaml_append(sp_yaml *to, const char *key, int key_line, int key_column, sp_yaml *item,
                         sp_error *err);
/* Text of a file made fit for a message: cut to length, control characters replaced. Returns out. */
const char *sp_yaml_shown(const char *text, char out[SP_YAML_SHOWN_BYTES]);

#endif
