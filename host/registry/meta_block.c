/* Starting and finishing one block of metadata (one variant): defaults, id, and the checks that need all its
 * keys. */
#include <string.h>

#include "base/error.h"
#include "base/expr.h"
#include "base/mem.h"
#include "registry/meta_internal.h"

sp_status sp_meta_start_block(sp_meta_reader *r, const sp_op *op)
{
    sp_variant *v = r->block = sp_alloc(sizeof *v);
    if (!v)
        return SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
    r->block_line = r->line;
    r->block_seen = 0; // not before: the end of the last block asks what it had
    memset(r->key_lines, 0, sizeof r->key_lines);
    memset(r->pass_lines, 0, sizeof r->pass_lines);
    r->pass = NULL;
    r->kind_seen = false;
    v->op = op;
    v->origin = r->origin;
    v->source = r->is_meta ? NULL : r->text;
    v->tolerance = op->tolerance;
    v->score = r->origin == SP_ORIGIN_REFERENCE ? 0 : 1; // who writes a variant means it to be used
    SP_TRY(sp_meta_copy(r, r->out->plugin, &v->plugin));
    SP_TRY(sp_meta_copy(r, r->out->version, &v->version));
    return sp_meta_copy(r, r->path, &v->path);
}

/* Every name counts as 1: only spelling and syntax matter here. */
static int lookup_one(void *ctx, const char *name, int64_t *value)
{
    if (sp_variant_lookup(ctx, name, value) != 0)
        return -1;
    *value = 1;
    return 0;
}

/* An error at the line of a key, not at that of the block. */
#define FAIL_AT(r, at, ...) ((r)->line = (at), SP_META_FAIL(r, __VA_ARGS__))

/* Syntax and names of an expression at a line. Its arithmetic may fail for made-up values (C / (W - 1)),
 * which is no error: behind "0 &&" names are still looked up, but nothing is computed. */
static sp_status check_expression(sp_meta_reader *r, const char *key, const char *text, int line)
{
    if (!text)
        return SP_OK;
    sp_op_call call = {.op = r->block->op};
    sp_variant_scope scope = {.variant = r->block, .call = &call};
    int64_t value;
    sp_error why = {0};
    if (sp_expr_eval(text, lookup_one, &scope, &value, &why) == SP_OK)
        return SP_OK;
    char *skipped = sp_format("0 && (%s)", text);
    sp_status st = skipped ? sp_expr_eval(skipped, lookup_one, &scope, &value, NULL) : SP_E_MEMORY;
    sp_free(skipped);
    return st == SP_OK ? SP_OK : FAIL_AT(r, line, "%s: %s", key, why.text);
}

static sp_status check_passes(sp_meta_reader *r)
{
    const sp_variant *v = r->block;
    for (int p = 0; p < v->n_passes; p++) {
        const sp_pass *pass = &v->passes[p];
        const int global = sp_meta_pass_line(r, p, "global"), local = sp_meta_pass_line(r, p, "local");
        if (!pass->dims)
            return FAIL_AT(r, sp_meta_pass_line(r, p, "kernel"), "kernel %s has no \"global:\" line",
                           pass->kernel);
        for (int d = 0; d < 3; d++) {
            if (pass->local[0] && (d < pass->dims) != (pass->local[d] != NULL))
                return FAIL_AT(r, local, "kernel %s: local and global differ in their number of dimensions",
                               pass->kernel);
            SP_TRY(check_expression(r, "global", pass->global[d], global));
            SP_TRY(check_expression(r, "local", pass->local[d], local));
        }
    }
    SP_TRY(check_expression(r, "when", v->when, sp_meta_key_line(r, "when")));
    SP_TRY(check_expression(r, "registers", v->registers, sp_meta_key_line(r, "registers")));
    return check_expression(r, "workspace", v->workspace, sp_meta_key_line(r, "workspace"));
}

/* For what turns out only at a call. */
static void keep_lines(sp_meta_reader *r)
{
    sp_variant *v = r->block;
    v->when_line = sp_meta_key_line(r, "when");
    v->workspace_line = sp_meta_key_line(r, "workspace");
    v->registers_line = sp_meta_key_line(r, "registers");
    for (int p = 0; p < v->n_passes; p++) {
        v->passes[p].lines.kernel = sp_meta_pass_line(r, p, "kernel");
        v->passes[p].lines.global = sp_meta_pass_line(r, p, "global");
        v->passes[p].lines.local = sp_meta_pass_line(r, p, "local");
    }
}

static int last_line(const sp_meta_reader *r, const char *const *keys)
{
    int last = 0;
    for (; *keys; keys++) {
        const int line = sp_meta_key_line(r, *keys);
        last = line > last ? line : last;
    }
    return last;
}

static sp_status check_kind(sp_meta_reader *r)
{
    const sp_variant *v = r->block;
    if (!r->is_meta)
        return v->n_passes ? SP_OK : SP_META_FAIL(r, "the block has no \"kernel:\" line");
    if (!r->kind_seen)
        return SP_META_FAIL(r, "the block has neither a \"lower:\" nor a \"library:\" line");
    if (v->kind == SP_VARIANT_LOWER && v->library)
        return FAIL_AT(r, last_line(r, (const char *const[]){"lower", "library", NULL}),
                       "\"lower:\" and \"library:\" exclude each other");
    if (v->n_bakes || v->defines || v->workspace || (v->n_tunes && !v->library))
        return FAIL_AT(r, last_line(r, (const char *const[]){"bake", "define", "workspace", "tune", NULL}),
                       "bake, define and workspace belong to kernels, tune to kernels and libraries; "
                       "a library says its own workspace");
    return SP_OK;
}

sp_status sp_meta_finish_block(sp_meta_reader *r)
{
    sp_variant *v = r->block;
    if (!v)
        return SP_OK;
    int line = r->line;
    r->line = r->block_line; // what is missing is missing from the block, not from the line that ended it
    SP_TRY(sp_meta_apply_all(r));
    SP_TRY(check_kind(r));
    SP_TRY(check_passes(r));
    SP_TRY(sp_meta_keep_lets(r));
    keep_lines(r);
    r->line = line;
    const char *how = v->kind == SP_VARIANT_LOWER ? "lower" : v->library ? v->library : v->passes[0].kernel;
    v->id = sp_format("%s:%s", v->plugin, how);
    sp_variant **added = v->id ? sp_array_push(&r->out->variants, r->out->n_variants, sizeof *added) : NULL;
    if (!added)
        return SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
    *added = v;
    r->out->n_variants++;
    r->block = NULL;
    r->pass = NULL;
    return SP_OK;
}
