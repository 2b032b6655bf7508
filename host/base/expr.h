/* Integer expressions of plugin metadata and op contracts: integers, names, + - * / %, comparisons
 * (== != < <= > >=), && || !, parentheses, and min max ceildiv roundup of two arguments. Evaluated in int64
 * with overflow and division by zero reported. */
#ifndef SP_BASE_EXPR_H
#define SP_BASE_EXPR_H

#include <stddef.h>
#include <stdint.h>
#include "spikeport/status.h"

/* Looks a name up; returns 0 and sets *value, or non-zero when there is no such name. */
typedef int (*sp_expr_lookup)(void *ctx, const char *name, int64_t *value);

/* Evaluates text. The error names the column in text and the nearest reason. [any-thread], allocates nothing.
 */
sp_status sp_expr_eval(const char *text, sp_expr_lookup lookup, void *ctx, int64_t *value, sp_error *err);

/* For messages about a condition that is false: the first part of "a && b && c" that does not hold, without
 * space around it, as a place in text and a length. The whole text where it is no such chain, where a part is
 * in error, or where all of it holds. [any-thread], allocates nothing. */
size_t sp_expr_false_part(const char *text, sp_expr_lookup lookup, void *ctx, const char **start);

#endif
