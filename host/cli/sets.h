/* The settings of one point of an experiment: --set of the person and the experiment's own, in order. */
#ifndef SP_CLI_SETS_H
#define SP_CLI_SETS_H

#include "cli/args.h"
#include "train/recipe.h"

enum { SP_SETS_MAX = 2 * SP_ARGS_MAX };
typedef struct sp_sets {
    char *items[SP_SETS_MAX];
    size_t n;
    bool failed; /* memory ran out, or there are too many */
} sp_sets;

void sp_sets_add(sp_sets *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sp_sets_add_list(sp_sets *s, const sp_arg_list *list);

/* The recipe of a file, or of text (then `name` stands in messages), with the settings, which it frees. */
sp_status sp_sets_load(sp_sets *s, const char *path, sp_recipe *out, sp_error *err);
sp_status sp_sets_parse(sp_sets *s, const char *name, const sp_text *text, sp_recipe *out, sp_error *err);

#endif
