/* The parts of `spikeport reproduce`: cmd_reproduce.c finds the target and walks its rows, reproduce_rows.c
 * trains and plans, reproduce_steps.c times steps, reproduce_sum.c puts the results together; report/tables.c
 * writes them. recipes/README.md describes a target. */
#ifndef SP_LAB_REPRODUCE_H
#define SP_LAB_REPRODUCE_H

#include <jansson.h>
#include "cli/session_options.h"

typedef struct sp_reproduce {
    sp_cli_session session;
    const char *scale, *root; /* root: --out, with the runs, which targets share */
    char *out;                /* ROOT/TARGET-SCALE */
    char *base;               /* folder of the target's file: recipes count from there */
    bool table_only;          /* runs nothing */
    bool paper_memory;        /* plans the paper's own recipes too */
    const volatile int *stop;
    json_t *doc; /* the target's file */
    struct sp_reproduce_row *rows;
    size_t n_rows;
} sp_reproduce;

/* One row at the chosen scale. */
typedef struct sp_reproduce_row {
    json_t *group, *row,
        *scale; /* of doc, borrowed; scale: the group's settings, NULL: the group is not part of it */
    char *recipe, *paper_recipe; /* paths; NULL: none at this scale, none in the paper's size */
    char *key;                   /* its name in file names, with a hash of its recipe */
    char *run;                   /* its runs' name; NULL: no recipe. Rows of one recipe have the same */
    json_t *state; /* "step", "memory", "paper_size": what has been measured; kept in OUT/rows/KEY.json */
    sp_error why;  /* why it is not measured, or not to the end */
} sp_reproduce_row;

/* Expands doc into rows: paths, keys, states of an earlier call. */
sp_status sp_reproduce_rows(sp_reproduce *p, sp_error *err);
void sp_reproduce_free(sp_reproduce *p);

/* Whether the row is to be measured that way: "train", "step" or "memory". */
bool sp_reproduce_wants(const sp_reproduce_row *r, const char *measure);
/* Whether the group's baseline is one row, that all others are compared with. */
bool sp_reproduce_one_baseline(const json_t *group);
json_t *sp_reproduce_seeds(const sp_reproduce_row *r); /* borrowed array */
char *sp_reproduce_folder(const sp_reproduce *p, const sp_reproduce_row *r,
                          int64_t seed); /* of a run; sp_free */

/* The row's recipe at this scale: the group's settings, the row's, the person's. still: weights that stay as
 * they are. */
sp_status sp_reproduce_load(const sp_reproduce *p, const sp_reproduce_row *r, int64_t seed, bool still,
                            sp_recipe *out, sp_error *err);
/* Puts a result into the row's file, with where and when. Takes `result` over. */
sp_status sp_reproduce_keep(const sp_reproduce *p, sp_reproduce_row *r, const char *name, json_t *result,
                            const sp_device *dev, sp_error *err);
/* Missing data, or a device on which a row does not fit, are about that row, and go to its `why`; the rest
 * ends the command. */
sp_status sp_reproduce_about(sp_reproduce_row *r, sp_status st, sp_error *err);

/* What is missing of a row, from where it was left. The result is SP_OK unless all has to end. */
sp_status sp_reproduce_train(sp_reproduce *p, sp_reproduce_row *r, sp_error *err);
sp_status sp_reproduce_memory(sp_reproduce *p, sp_reproduce_row *r, sp_error *err);
/* Times a training step of n rows of one group, in alternation. */
sp_status sp_reproduce_steps(sp_reproduce *p, sp_reproduce_row *rows, size_t n, sp_error *err);

/* Everything measured, with ratios, beside the paper's figures: what report/tables.c writes. NULL: memory is
 * out. */
json_t *sp_reproduce_summary(const sp_reproduce *p);

#endif
