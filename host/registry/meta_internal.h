/* Shared by meta.c (lines), meta_keys.c, meta_tune.c and meta_needs.c (keys) and meta_block.c (blocks). */
#ifndef SP_REGISTRY_META_INTERNAL_H
#define SP_REGISTRY_META_INTERNAL_H

#include "registry/meta.h"

enum { SP_META_MAX_SHARED = 16, SP_META_MAX_KEYS = 32 };
/* Of variants that compute in bf16: 2^-5 of the largest value. */
#define SP_BF16_MOST_ERROR 0.03125

typedef struct sp_meta_all { /* "all: KEY: VALUE" */
    int key, line;
    char *value;
} sp_meta_all;
typedef struct sp_meta_reader {
    const char *path, *text;
    sp_origin origin;
    bool is_meta; /* a .meta file: lowerings and libraries; else kernels and fragments */
    int line;
    sp_meta *out;
    sp_variant *block; /* being read, NULL before the first op line */
    int block_line;
    sp_pass *pass; /* last kernel line of block */
    bool abi_seen, kind_seen;
    uint32_t file_seen, block_seen, pass_seen; /* bit i: sp_meta_keys[i] was read */
    int key_lines[SP_META_MAX_KEYS];           /* where a key of the block or the file was read last */
    int pass_lines[SP_VARIANT_MAX_PASSES][SP_META_MAX_KEYS]; /* the same of a kernel line and what follows */
    sp_meta_all alls[SP_META_MAX_SHARED];
    sp_let lets[SP_META_MAX_SHARED];
    int n_alls, n_lets, first_let_line;
    sp_error *err;
} sp_meta_reader;

#define SP_META_FAIL(r, ...)                                                                                 \
    sp_error_prefix((r)->err, SP_FAIL((r)->err, SP_E_PLUGIN, __VA_ARGS__), "%s:%d: ", (r)->path, (r)->line)

/* A key, where it may stand, and whether it may come twice there. */
typedef enum { SP_IN_FILE, SP_IN_BLOCK, SP_IN_PASS, SP_IN_FRAGMENT, SP_IN_ANY } sp_meta_place;
typedef struct sp_meta_key {
    const char *name;
    sp_meta_place where;
    bool repeats;
    sp_status (*read)(sp_meta_reader *r, char *value);
} sp_meta_key;
extern const sp_meta_key sp_meta_keys[];
extern const int sp_meta_n_keys;

/* Reads a value at r->line, and keeps the line for what can be checked only when the block is whole. */
sp_status sp_meta_read_key(sp_meta_reader *r, int key, char *value);
/* Where a key of the block or, by its name, of the file stood; 0: nowhere. */
int sp_meta_key_line(const sp_meta_reader *r, const char *key);
/* The same of a key of pass p, "kernel" among them. */
int sp_meta_pass_line(const sp_meta_reader *r, int p, const char *key);

/* Next word of *at, which is moved behind it; NULL at the end. The word is cut out of the text in place. */
char *sp_meta_next_word(char **at);
sp_status sp_meta_read_integer(sp_meta_reader *r, const char *word, int64_t *value);
/* "NAME = rest": the name is cut out, *rest points behind the sign. */
sp_status sp_meta_read_assignment(sp_meta_reader *r, char *value, char **name, char **rest);

/* Replaces *out by a copy of value. */
sp_status sp_meta_copy(sp_meta_reader *r, const char *value, char **out);

/* The same with the names of `let` lines replaced by what they stand for. */
sp_status sp_meta_expression(sp_meta_reader *r, const char *text, char **out);

bool sp_meta_is_identifier(const char *s);

/* Where a variant may run, and whether it is chosen by itself (meta_needs.c). */
sp_status sp_meta_key_device(sp_meta_reader *r, char *value);
sp_status sp_meta_key_needs(sp_meta_reader *r, char *value);
sp_status sp_meta_key_approximate(sp_meta_reader *r, char *value);
sp_status sp_meta_key_by_name(sp_meta_reader *r, char *value);

/* What becomes -D (meta_tune.c). */
/* Whether one of the first n_tunes of v has the name that "NAME = ..." gives. */
bool sp_meta_is_tuned(const sp_variant *v, int n_tunes, const char *assignment);
sp_status sp_meta_key_tune(sp_meta_reader *r, char *value);
sp_status sp_meta_key_vendor(sp_meta_reader *r, char *value);
sp_status sp_meta_key_registers(sp_meta_reader *r, char *value);
sp_status sp_meta_key_define(sp_meta_reader *r, char *value);

/* What blocks share (meta_shared.c): three keys, and the defaults for what the block at hand does not say. */
sp_status sp_meta_key_all(sp_meta_reader *r, char *value);
sp_status sp_meta_key_let(sp_meta_reader *r, char *value);
sp_status sp_meta_key_include(sp_meta_reader *r, char *value);
sp_status sp_meta_apply_all(sp_meta_reader *r);
/* Gives the block at hand copies of the lets. */
sp_status sp_meta_keep_lets(sp_meta_reader *r);
void sp_meta_shared_fini(sp_meta_reader *r);

sp_status sp_meta_start_block(sp_meta_reader *r, const sp_op *op);
/* Checks the block as a whole, names it and moves it to r->out. No block: nothing. */
sp_status sp_meta_finish_block(sp_meta_reader *r);

#endif
