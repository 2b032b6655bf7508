/* What the blocks of one file share: `all: KEY: VALUE` is a default of every block, `let: NAME = EXPRESSION`
 * a name for a part of expressions. Both stand before the first block. */
#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "registry/meta_internal.h"

static sp_status check_first(sp_meta_reader *r, const char *key, int n)
{
    if (r->block || r->out->n_variants || r->out->fragment)
        return SP_META_FAIL(r, "\"%s\" must come before the first \"op:\" line", key);
    if (n == SP_META_MAX_SHARED)
        return SP_META_FAIL(r, "more than %d lines of \"%s\"", SP_META_MAX_SHARED, key);
    return SP_OK;
}

static bool may_be_shared(const sp_meta_key *k)
{
    static const char *const own[] = {"kernel", "lower", "library"}; /* what makes a block */
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(k->name, own[i]) == 0)
            return false;
    return k->where == SP_IN_BLOCK || k->where == SP_IN_PASS || k->where == SP_IN_ANY;
}

sp_status sp_meta_key_all(sp_meta_reader *r, char *value)
{
    SP_TRY(check_first(r, "all", r->n_alls));
    char *colon = strchr(value, ':');
    size_t n = colon ? (size_t)(colon - value) : 0;
    while (n && isspace((unsigned char)value[n - 1]))
        n--;
    for (int k = 0; n && k < sp_meta_n_keys; k++) {
        const char *name = sp_meta_keys[k].name;
        if (strlen(name) != n || strncmp(name, value, n) != 0 || !may_be_shared(&sp_meta_keys[k]))
            continue;
        sp_meta_all *all = &r->alls[r->n_alls++];
        *all = (sp_meta_all){.key = k, .line = r->line};
        return sp_meta_copy(r, colon + 1 + strspn(colon + 1, " \t"), &all->value);
    }
    return SP_META_FAIL(r, "write \"all: KEY: VALUE\" with a key of a block, for example \"all: device: "
                           "cpu\"");
}

static sp_status apply_one(sp_meta_reader *r, const sp_meta_all *all)
{
    char *value = sp_strdup(all->value);
    sp_status st = value ? sp_meta_read_key(r, all->key, value)
                         : SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
    sp_free(value);
    return st;
}

sp_status sp_meta_apply_all(sp_meta_reader *r)
{
    const int line = r->line, own_tunes = r->block->n_tunes;
    for (int i = 0; i < r->n_alls; i++) {
        const sp_meta_key *key = &sp_meta_keys[r->alls[i].key];
        r->line = r->alls[i].line;
        if (key->where != SP_IN_PASS) {
            const bool overridden = key->read == sp_meta_key_tune
                                        ? sp_meta_is_tuned(r->block, own_tunes, r->alls[i].value)
                                        : !key->repeats && r->block_seen >> r->alls[i].key & 1;
            if (!overridden)
                SP_TRY(apply_one(r, &r->alls[i]));
            continue;
        }
        for (int p = 0; p < r->block->n_passes; p++) {
            r->pass = &r->block->passes[p];
            if (strcmp(key->name, "global") == 0 ? !r->pass->dims : !r->pass->local[0])
                SP_TRY(apply_one(r, &r->alls[i]));
        }
    }
    r->line = line;
    return SP_OK;
}

static size_t name_length(const char *at)
{
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_')
        n++;
    return n;
}

static const sp_let *find_let(const sp_meta_reader *r, const char *name, size_t n)
{
    for (int i = 0; i < r->n_lets; i++)
        if (strlen(r->lets[i].name) == n && strncmp(r->lets[i].name, name, n) == 0)
            return &r->lets[i];
    return NULL;
}

sp_status sp_meta_expression(sp_meta_reader *r, const char *text, char **out)
{
    sp_text t = {0};
    sp_op_call call = {.op = r->block ? r->block->op : NULL};
    sp_variant_scope scope = {.variant = r->block, .call = &call};
    for (const char *at = text; *at;) {
        size_t n = name_length(at);
        const sp_let *let = n ? find_let(r, at, n) : NULL;
        int64_t taken;
        if (let && r->block && sp_variant_lookup(&scope, let->name, &taken) == 0) {
            sp_text_free(&t);
            return SP_META_FAIL(r, "\"let: %s\" hides a name of %s, of its tunables or of the device",
                                let->name, call.op->id);
        }
        n = n ? n : 1;
        if (let)
            sp_text_add(&t, "(%s)", let->value);
        else
            sp_text_add(&t, "%.*s", (int)n, at);
        at += n;
    }
    sp_status st = t.failed ? SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path)
                            : sp_meta_copy(r, t.s ? t.s : "", out);
    sp_text_free(&t);
    return st;
}

static void let_fini(sp_let *let)
{
    sp_free(let->name);
    sp_free(let->written);
    sp_free(let->value);
}

sp_status sp_meta_key_let(sp_meta_reader *r, char *value)
{
    SP_TRY(check_first(r, "let", r->n_lets));
    char *equals = strchr(value, '=');
    size_t n = name_length(value);
    if (!n || isdigit((unsigned char)*value) || value + n + strspn(value + n, " \t") != equals)
        return SP_META_FAIL(r, "write it as \"let: NAME = EXPRESSION\"");
    if (find_let(r, value, n))
        return SP_META_FAIL(r, "\"let: %.*s\" is given twice", (int)n, value);
    const char *expression = equals + 1 + strspn(equals + 1, " \t");
    sp_let let = {.name = sp_strndup(value, n), .written = sp_strdup(expression)};
    sp_status st = let.name && let.written
                       ? sp_meta_expression(r, expression, &let.value)
                       : SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
    if (st != SP_OK) {
        let_fini(&let);
        return st;
    }
    if (!r->n_lets)
        r->first_let_line = r->line;
    r->lets[r->n_lets++] = let;
    return SP_OK;
}

sp_status sp_meta_keep_lets(sp_meta_reader *r)
{
    sp_variant *v = r->block;
    if (!r->n_lets || !v->when)
        return SP_OK;
    v->lets = sp_alloc_array((size_t)r->n_lets, sizeof *v->lets);
    bool whole = v->lets != NULL;
    for (int i = 0; whole && i < r->n_lets; i++) {
        const sp_let *from = &r->lets[i];
        v->lets[v->n_lets++] =
            (sp_let){sp_strdup(from->name), sp_strdup(from->written), sp_strdup(from->value)};
        whole = v->lets[i].name && v->lets[i].written && v->lets[i].value;
    }
    return whole ? SP_OK : SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
}

sp_status sp_meta_key_include(sp_meta_reader *r, char *value)
{
    if (r->is_meta)
        return SP_META_FAIL(r, "a .meta file holds no code that could include any");
    for (const char *at = value; *at; at += strspn(at, " \t")) {
        size_t n = strcspn(at, " \t");
        if (n < 5 || n > 63 || strncmp(at + n - 4, ".clh", 4) != 0 || strcspn(at, "/\\\"") < n)
            return SP_META_FAIL(r, "include: \"%.*s\" is not the name of a .clh file without a folder",
                                (int)n, at);
        at += n;
    }
    r->out->include_line = r->line;
    return sp_meta_copy(r, value, &r->out->includes);
}

void sp_meta_shared_fini(sp_meta_reader *r)
{
    for (int i = 0; i < r->n_alls; i++)
        sp_free(r->alls[i].value);
    for (int i = 0; i < r->n_lets; i++)
        let_fini(&r->lets[i]);
}
