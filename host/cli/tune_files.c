/* Wisdom to and from files that people pass on. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"
#include "cli/tune.h"

sp_status sp_cli_wisdom_export(const sp_wisdom *w, const char *path, sp_error *err)
{
    sp_wisdom_entry **own = sp_alloc_array(w->n + 1, sizeof(sp_wisdom_entry *));
    size_t n = 0;
    sp_status st = sp_output_check(path, SP_OUTPUT_WISDOM, NULL, 0, err);
    if (!own)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while exporting wisdom");
    for (size_t i = 0; i < w->n; i++)
        if (w->entries[i]->own)
            own[n++] = w->entries[i];
    if (st == SP_OK)
        st = sp_wisdom_write(path, own, n, err);
    sp_free(own);
    if (st == SP_OK)
        sp_cli_say("exported: %zu entries to %s\n", n, path);
    return st;
}

static bool is_known(const sp_wisdom_list *l, const sp_wisdom_entry *e)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i]->op, e->op) == 0 && strcmp(l->items[i]->call, e->call) == 0)
            return true;
    return false;
}

/* What the file for e's device and driver holds decides, not what is loaded: e may be for another device. */
static bool is_there(const sp_wisdom_entry *e)
{
    char *path = sp_wisdom_path(e->device, e->driver);
    sp_wisdom_list l = {0};
    bool there = path && sp_wisdom_read(path, true, &l, NULL) == SP_OK && is_known(&l, e);
    sp_wisdom_list_free(&l);
    sp_free(path);
    return there;
}

sp_status sp_cli_wisdom_import(sp_wisdom *w, const char *path, bool force, sp_error *err)
{
    sp_wisdom_list l = {0};
    size_t taken = 0, kept = 0;
    sp_status st = sp_wisdom_read(path, false, &l, err);
    for (size_t i = 0; i < l.n && st == SP_OK; i++) {
        if (!force && is_there(l.items[i])) {
            kept++;
            continue;
        }
        sp_wisdom_entry *e = l.items[i];
        l.items[i] = NULL;
        st = sp_wisdom_put(w, e, err);
        taken += st == SP_OK;
    }
    for (size_t i = 0; i < l.n; i++)
        if (l.items[i])
            sp_wisdom_entry_free(&l.items[i]);
    size_t bad = l.bad_lines;
    l.n = 0;
    sp_wisdom_list_free(&l);
    if (st == SP_OK)
        sp_cli_say("imported: %zu entries from %s; %zu were known already%s; %zu lines were not entries\n",
                   taken, path, kept, kept ? " (--force replaces them)" : "", bad);
    return st;
}
