/* Settings as a table: from one row for each key follow reading, checking, printing and documentation. */
#ifndef SP_CONFIG_FIELDS_H
#define SP_CONFIG_FIELDS_H

#include "base/mem.h"
#include "config/yaml.h"

typedef enum {
    SP_FIELD_INT,
    SP_FIELD_FLOAT,
    SP_FIELD_BOOL,
    SP_FIELD_CHOICE,
    SP_FIELD_TEXT,  /* const char *, borrowed from the document */
    SP_FIELD_NAME,  /* char[48] of small letters, digits and underscores */
    SP_FIELD_PAIR,  /* int64_t[2]: N, or [y, x] */
    SP_FIELD_TABLE, /* a map with a table of its own, whose struct begins at `at` */
    SP_FIELD_OTHER  /* has its own `read` and `print` */
} sp_field_kind;

enum { SP_FIELD_NAME_BYTES = 48 };

#define SP_FIELD_AT(type, member) .at = offsetof(type, member), .size = sizeof(((type *)0)->member)

typedef struct sp_fields sp_fields;
typedef struct sp_field {
    const char *key;
    sp_field_kind kind;
    size_t at, size;          /* of the member in the struct */
    double low, high;         /* of numbers */
    const char *const *names; /* of choices, up to NULL */
    bool required;
    const char *initial; /* the default as written in YAML; NULL: not printed unless it was given */
    const char *follows; /* the default is what this key says; printed as a comment unless it was given */
    const char *help;
    const sp_fields *table;
    sp_status (*read)(void *base, const sp_yaml *value, sp_error *err); /* OTHER */
    void (*print)(const void *base, sp_text *out);                      /* OTHER: the value alone */
    bool (*applies)(const void *base); /* NULL: always. Where it is false, --set of the key is refused, */
    const char *needs;                 /* saying that the key needs this */
    const char *form;                  /* OTHER: the type for the documentation */
    const char *sample;                /* OTHER: another value than the default, for tests */
    bool sequence;                     /* decides which samples an epoch has, or their order */
} sp_field;

struct sp_fields {
    const char *what; /* "the recipe", "data": for messages */
    const sp_field *items;
    size_t n;
    size_t given; /* offset of a uint64_t in the struct: the keys that were written, one bit for each row */
};

void sp_fields_defaults(const sp_fields *table, void *base);
/* Reads every key of the map over the defaults; null for a table is as if it was absent. */
sp_status sp_fields_read(const sp_fields *table, const sp_yaml *map, void *base, sp_error *err);
/* Refuses a key that came with --set but does nothing beside the other settings. */
sp_status sp_fields_check_sets(const sp_fields *table, const sp_yaml *map, const void *base, sp_error *err);
/* The path of the first `sequence` key whose values in a and b differ, to free with sp_free; NULL: none. */
char *sp_fields_sequence_change(const sp_fields *table, const void *a, const void *b);
uint64_t sp_fields_bit(const sp_fields *table, const char *key); /* of `given`; 0: there is no such key */
bool sp_fields_given(const sp_fields *table, const void *base, const char *key);
/* As a block of YAML lines. Keys that follow another are comments unless they were given. */
void sp_fields_print(const sp_fields *table, const void *base, int indent, sp_text *out);
/* The same keys without those comments, each as ", key: value", for a map in one line. */
void sp_fields_print_inline(const sp_fields *table, const void *base, sp_text *out);
/* One value as YAML. */
void sp_field_print(const sp_field *f, const void *base, sp_text *out);
/* A name of small letters, digits and underscores, as it becomes part of file and program names. */
sp_status sp_field_read_name(const sp_yaml *value, const char *key, char out[SP_FIELD_NAME_BYTES],
                             sp_error *err);
/* The row of a dotted key such as "data.path", or NULL. */
const sp_field *sp_fields_find(const sp_fields *table, const char *path);
/* "a whole number, 1 to 4096": for documentation. */
void sp_field_type(const sp_field *f, sp_text *out);

#endif
