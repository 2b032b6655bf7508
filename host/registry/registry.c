/* The list of variants and fragments: filling it, forcing choices, finding fragments. Choosing is in
 * select.c. */
#include "registry/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/suggest.h"
#include "registry/embedded.h"
#include "registry/library.h"
#include "registry/meta.h"
#include "registry/package.h"
#include "registry/store.h"
#include "registry/wisdom.h"

static sp_status out_of_memory(sp_error *err)
{
    return SP_FAIL(err, SP_E_MEMORY, "out of memory while loading plugins");
}

sp_status sp_registry_add_refusal(sp_registry *reg, const char *path, const char *reason, sp_error *err)
{
    sp_refusal *r = sp_array_push(&reg->refusals, reg->n_refusals, sizeof *r);
    if (!r)
        return out_of_memory(err);
    r->path = sp_strdup(path);
    r->reason = sp_strdup(reason);
    reg->n_refusals++;
    if (!r->path || !r->reason)
        return out_of_memory(err);
    sp_log(SP_LOG_WARNING, "plugin file %s is not used: %s", path, reason);
    return SP_OK;
}

/* Metadata errors read "path:line: what"; the record holds the path already, so the reason becomes "line 3:
 * what". */
static sp_status add_meta_refusal(sp_registry *reg, const char *path, const char *text, sp_error *err)
{
    char reason[sizeof((sp_error *)0)->text + 8];
    size_t n = strlen(path);
    if (strncmp(text, path, n) == 0 && text[n] == ':')
        snprintf(reason, sizeof reason, "line %s", text + n + 1);
    else
        snprintf(reason, sizeof reason, "%s", text);
    return sp_registry_add_refusal(reg, path, reason, err);
}

/* Position of a variant of the same op and id, or of a fragment of the same kind and name, from another file.
 */
static size_t find_variant(const sp_registry *reg, const sp_variant *v)
{
    for (size_t i = 0; i < reg->n_variants; i++)
        if (reg->variants[i]->op == v->op && strcmp(reg->variants[i]->id, v->id) == 0)
            return i;
    return reg->n_variants;
}

static size_t find_fragment(const sp_registry *reg, sp_fragment_kind kind, const char *name)
{
    for (size_t i = 0; i < reg->n_fragments; i++)
        if (reg->fragments[i]->kind == kind && strcmp(reg->fragments[i]->name, name) == 0)
            return i;
    return reg->n_fragments;
}

/* What a new file may do with a name that is there already: an outside file replaces a built-in plugin (an
 * author at work on it), nothing replaces the reference, and two outside files must not fight over a name. */
typedef enum { CLASH_NONE, CLASH_SAME, CLASH_REPLACE, CLASH_REFUSE } clash;

static clash judge(sp_origin old_origin, const char *old_text, sp_origin new_origin, const char *new_text)
{
    if (old_text && new_text && strcmp(old_text, new_text) == 0)
        return CLASH_SAME;
    return old_origin == SP_ORIGIN_BUILTIN && new_origin == SP_ORIGIN_OUTSIDE ? CLASH_REPLACE : CLASH_REFUSE;
}

static clash find_clash(const sp_registry *reg, const sp_meta *m, const char **name, const char **path)
{
    for (size_t i = 0; i < m->n_variants; i++) {
        size_t k = find_variant(reg, m->variants[i]);
        if (k == reg->n_variants)
            continue;
        const sp_variant *old = reg->variants[k];
        *name = old->id;
        *path = old->path;
        return judge(old->origin, old->source, m->variants[i]->origin, m->variants[i]->source);
    }
    size_t k = m->fragment ? find_fragment(reg, m->fragment->kind, m->fragment->name) : reg->n_fragments;
    if (k == reg->n_fragments)
        return CLASH_NONE;
    const sp_fragment *old = reg->fragments[k];
    *name = old->name;
    *path = old->path;
    return judge(old->origin, old->source, m->fragment->origin, m->fragment->source);
}

/* Takes the built-in records out that m has its own versions of. */
static void drop_replaced(sp_registry *reg, const sp_meta *m)
{
    for (size_t i = 0; i < m->n_variants; i++)
        for (size_t k; (k = find_variant(reg, m->variants[i])) < reg->n_variants;) {
            sp_variant_destroy(&reg->variants[k]);
            reg->variants[k] = reg->variants[--reg->n_variants];
        }
    size_t k = m->fragment ? find_fragment(reg, m->fragment->kind, m->fragment->name) : reg->n_fragments;
    if (k < reg->n_fragments) {
        sp_fragment_destroy(&reg->fragments[k]);
        reg->fragments[k] = reg->fragments[--reg->n_fragments];
    }
}

/* Puts what the file includes in front of its text. */
static sp_status include(sp_registry *reg, const char *path, const char *text, sp_meta *m, sp_error *err)
{
    char *all = NULL;
    if (!m->includes)
        return SP_OK;
    sp_status st = sp_include_expand(path, text, m->includes, &all, err);
    if (st != SP_OK)
        return sp_error_prefix(err, st, "%s:%d: ", path, m->include_line);
    SP_TRY(sp_registry_keep_text(reg, all, err));
    for (size_t i = 0; i < m->n_variants; i++) {
        m->variants[i]->source = all;
        m->variants[i]->own = all + strlen(all) - strlen(text) - 1; /* a line end follows */
    }
    if (m->fragment)
        m->fragment->source = all;
    return SP_OK;
}

/* Moves the records of m to the registry. */
static sp_status take(sp_registry *reg, sp_meta *m, sp_error *err)
{
    for (size_t i = 0; i < m->n_variants; i++) {
        sp_variant **added = sp_array_push(&reg->variants, reg->n_variants, sizeof *added);
        if (!added)
            return out_of_memory(err);
        *added = m->variants[i];
        reg->n_variants++;
        m->variants[i] = NULL;
    }
    if (m->fragment) {
        sp_fragment **added = sp_array_push(&reg->fragments, reg->n_fragments, sizeof *added);
        if (!added)
            return out_of_memory(err);
        *added = m->fragment;
        reg->n_fragments++;
        m->fragment = NULL;
    }
    return SP_OK;
}

sp_status sp_registry_add_text(sp_registry *reg, const char *path, const char *text, sp_origin origin,
                               sp_error *err)
{
    sp_meta m;
    sp_error why = {0};
    sp_status st = sp_meta_read(path, text, origin, &m, &why);
    if (st == SP_OK)
        st = include(reg, path, text, &m, &why);
    if (st != SP_OK) {
        sp_meta_fini(&m);
        return st == SP_E_MEMORY ? out_of_memory(err) : add_meta_refusal(reg, path, why.text, err);
    }
    const char *name = "", *old_path = "";
    clash c = find_clash(reg, &m, &name, &old_path);
    if (c == CLASH_REFUSE) {
        char reason[512];
        snprintf(reason, sizeof reason,
                 "%.128s is defined by %.256s already; give the plugin a name of its own", name, old_path);
        st = sp_registry_add_refusal(reg, path, reason, err);
    } else if (c != CLASH_SAME) {
        if (c == CLASH_REPLACE) {
            sp_log(SP_LOG_INFO, "%s from %s replaces the built-in one", name, path);
            drop_replaced(reg, &m);
        }
        st = take(reg, &m, err);
    }
    sp_meta_fini(&m);
    return st;
}

static int by_op_score_id(const void *a, const void *b)
{
    const sp_variant *x = *(sp_variant *const *)a, *y = *(sp_variant *const *)b;
    int order = strcmp(x->op->id, y->op->id);
    if (order)
        return order;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(x->id, y->id);
}

static int by_kind_name(const void *a, const void *b)
{
    const sp_fragment *x = *(sp_fragment *const *)a, *y = *(sp_fragment *const *)b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

static sp_status load_embedded(sp_registry *reg, sp_error *err)
{
    for (size_t i = 0; i < sp_embedded_count; i++) {
        const sp_embedded *file = &sp_embedded_files[i];
        if (file->origin == SP_EMBEDDED_COMMON)
            continue;
        char path[512];
        snprintf(path, sizeof path, "builtin:%s", file->path);
        sp_origin origin = file->origin == SP_EMBEDDED_REFERENCE ? SP_ORIGIN_REFERENCE : SP_ORIGIN_BUILTIN;
        SP_TRY(sp_registry_add_text(reg, path, file->text, origin, err));
    }
    return SP_OK;
}

/* "a:b:c", empty parts ignored. */
static sp_status scan_paths(sp_registry *reg, const char *paths, sp_error *err)
{
    for (const char *at = paths; at && *at;) {
        size_t n = strcspn(at, ":");
        if (n) {
            char *path = sp_strndup(at, n);
            sp_status st =
                path ? sp_registry_scan(reg, path, SP_ORIGIN_OUTSIDE, true, err) : out_of_memory(err);
            sp_free(path);
            SP_TRY(st);
        }
        at += n + (at[n] == ':');
    }
    return SP_OK;
}

sp_status sp_registry_create(const char *paths, sp_registry **out, sp_error *err)
{
    sp_status st = sp_settings_check(err);
    if (st != SP_OK)
        return st;
    sp_registry *reg = sp_alloc(sizeof *reg);
    if (!reg)
        return out_of_memory(err);
    reg->store = sp_alloc(sizeof *reg->store);
    SP_TRY_GOTO(reg->store ? SP_OK : out_of_memory(err));
    SP_TRY_GOTO(load_embedded(reg, err));
    SP_TRY_GOTO(sp_registry_scan_own_folders(reg, err));
    SP_TRY_GOTO(scan_paths(reg, paths, err));
    SP_TRY_GOTO(scan_paths(reg, sp_setting("SPIKEPORT_PLUGIN_PATH"), err));
    if (reg->n_variants)
        qsort(reg->variants, reg->n_variants, sizeof *reg->variants, by_op_score_id);
    if (reg->n_fragments)
        qsort(reg->fragments, reg->n_fragments, sizeof *reg->fragments, by_kind_name);
    *out = reg;
    reg = NULL;
done:
    sp_registry_destroy(&reg);
    return st;
}

void sp_registry_destroy(sp_registry **out)
{
    sp_registry *reg = out ? *out : NULL;
    if (!reg)
        return;
    sp_registry_store *store = reg->store;
    sp_package_destroy(&reg->package);
    sp_wisdom_close(&reg->wisdom);
    for (size_t i = 0; i < reg->n_variants; i++)
        sp_variant_destroy(&reg->variants[i]);
    for (size_t i = 0; i < reg->n_fragments; i++)
        sp_fragment_destroy(&reg->fragments[i]);
    for (size_t i = 0; i < reg->n_refusals; i++) {
        sp_free(reg->refusals[i].path);
        sp_free(reg->refusals[i].reason);
    }
    for (size_t i = 0; i < reg->n_forced; i++) {
        sp_free(reg->forced[i].op);
        sp_free(reg->forced[i].variant);
    }
    for (size_t i = 0; store && i < store->n_libraries; i++)
        sp_library_close(&store->libraries[i]);
    for (size_t i = 0; store && i < store->n_texts; i++)
        sp_free(store->texts[i]);
    for (size_t i = 0; store && i < store->n_seen; i++)
        sp_free(store->seen[i]);
    if (store) {
        sp_free(store->libraries);
        sp_free(store->texts);
        sp_free(store->seen);
    }
    sp_free(store);
    sp_free(reg->variants);
    sp_free(reg->fragments);
    sp_free(reg->refusals);
    sp_free(reg->forced);
    sp_free(reg);
    *out = NULL;
}

const sp_fragment *sp_fragment_find(const sp_registry *reg, sp_fragment_kind kind, const char *name)
{
    size_t i = find_fragment(reg, kind, name);
    return i < reg->n_fragments ? reg->fragments[i] : NULL;
}

size_t sp_fragment_names(const sp_registry *reg, sp_fragment_kind kind, const char **names, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < reg->n_fragments && n < max; i++)
        if (reg->fragments[i]->kind == kind)
            names[n++] = reg->fragments[i]->name;
    return n;
}
