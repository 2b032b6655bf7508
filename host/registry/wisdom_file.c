/* Files of wisdom: the user's own, shared folders with an index by device name, and writing without a moment
 * at which a reader or Ctrl-C would find half a file. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cache.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/scope.h"
#include "registry/wisdom_internal.h"

void sp_wisdom_list_free(sp_wisdom_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        sp_wisdom_entry_free(&l->items[i]);
    sp_free(l->items);
    *l = (sp_wisdom_list){0};
}

static bool same_key(const sp_wisdom_entry *a, const sp_wisdom_entry *b)
{
    return strcmp(a->op, b->op) == 0 && strcmp(a->call, b->call) == 0 && strcmp(a->device, b->device) == 0 &&
           strcmp(a->driver, b->driver) == 0;
}

static bool append(sp_wisdom_entry ***items, size_t *n, sp_wisdom_entry *e)
{
    sp_wisdom_entry **added = sp_array_push(items, *n, sizeof *added);
    if (!added) {
        sp_wisdom_entry_free(&e);
        return false;
    }
    *added = e;
    ++*n;
    return true;
}

bool sp_wisdom_list_put(sp_wisdom_list *l, sp_wisdom_entry *e)
{
    for (size_t i = 0; i < l->n; i++)
        if (same_key(l->items[i], e)) {
            sp_wisdom_entry_free(&l->items[i]);
            l->items[i] = e;
            return true;
        }
    append(&l->items, &l->n, e);
    return false;
}

sp_status sp_wisdom_read(const char *path, bool own, sp_wisdom_list *l, sp_error *err)
{
    sp_lines lines = {.f = own ? sp_cache_open(path) : sp_file_stream(path, err)};
    char why[200];
    if (!lines.f)
        return own ? SP_FAIL(err, SP_E_IO, "%s: %s", path, strerror(errno)) : SP_E_IO;
    while (sp_lines_next(&lines)) {
        sp_wisdom_entry *e = spi_wisdom_parse(lines.text, why, sizeof why);
        if (e) {
            sp_wisdom_list_put(l, e);
            continue;
        }
        l->bad_lines++;
        sp_log(SP_LOG_WARNING, "%s:%d: not an entry of wisdom (%s); the line is ignored", path, lines.number,
               why);
    }
    sp_lines_close(&lines);
    return SP_OK;
}

sp_status sp_wisdom_write(const char *path, sp_wisdom_entry *const *entries, size_t n, sp_error *err)
{
    sp_text t = {0};
    sp_text_add(&t, "%s", "");
    for (size_t i = 0; i < n; i++) {
        char *line = spi_wisdom_line(entries[i]);
        sp_text_add(&t, "%s\n", line ? line : "");
        t.failed |= !line;
        free(line);
    }
    sp_status st = sp_file_replace_text(path, t.failed ? NULL : t.s, err);
    sp_text_free(&t);
    return st;
}

char *sp_wisdom_path(const char *device, const char *driver)
{
    uint64_t h = sp_hash(sp_hash(SP_HASH_START, device, strlen(device) + 1), driver, strlen(driver));
    char name[49];
    size_t n = 0;
    for (const char *c = device; *c && n < sizeof name - 1; c++) {
        bool plain = (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (plain || (n && name[n - 1] != '_'))
            name[n++] = plain ? *c : '_';
    }
    name[n] = '\0';
    char *folder = sp_cache_folder();
    char *path =
        folder ? sp_format("%s/wisdom/%s-%08" PRIx32 ".jsonl", folder, name, (uint32_t)(h ^ h >> 32)) : NULL;
    sp_free(folder);
    return path;
}

/* ---- what is read for a device ---- */

/* Moves the entries for dev into w; a shared file may hold others, and its driver need not be the same. */
static sp_status take(sp_wisdom *w, const sp_device *dev, sp_wisdom_list *l, bool own, sp_error *err)
{
    for (size_t i = 0; i < l->n; i++) {
        sp_wisdom_entry *e = l->items[i];
        if (strcmp(e->device, dev->info.name) != 0 || (own && strcmp(e->driver, dev->info.driver) != 0))
            continue;
        e->own = own;
        l->items[i] = NULL;
        if (!append(&w->entries, &w->n, e))
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading wisdom");
    }
    return SP_OK;
}

static sp_status read_into(sp_wisdom *w, const sp_device *dev, const char *path, bool own, sp_error *err)
{
    sp_wisdom_list l = {0};
    sp_error why = {0};
    sp_status st = SP_OK;
    if (sp_wisdom_read(path, own, &l, &why) == SP_OK)
        st = take(w, dev, &l, own, err);
    else if (!own)
        sp_log(SP_LOG_WARNING, "wisdom: %s", why.text);
    sp_wisdom_list_free(&l);
    return st;
}

/* index.json: {"device name": ["file", ...]}. */
static sp_status read_folder(sp_wisdom *w, const sp_device *dev, const char *folder, sp_error *err)
{
    char *index = sp_format("%s/index.json", folder);
    json_error_t at;
    json_t *names = index && sp_path_exists(index) ? json_load_file(index, 0, &at) : NULL, *name;
    sp_status st = index ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while reading wisdom");
    size_t i;
    if (st == SP_OK && !names && sp_path_exists(index))
        sp_log(SP_LOG_WARNING, "%s:%d:%d: %s; shared wisdom of this folder is not used", index, at.line,
               at.column, at.text);
    json_array_foreach(json_object_get(names, dev->info.name), i, name)
    {
        char *path =
            json_is_string(name) && st == SP_OK ? sp_format("%s/%s", folder, json_string_value(name)) : NULL;
        if (path)
            st = read_into(w, dev, path, false, err);
        sp_free(path);
    }
    json_decref(names);
    sp_free(index);
    return st;
}

static sp_status read_paths(sp_wisdom *w, const sp_device *dev, const char *paths, sp_error *err)
{
    sp_status st = SP_OK;
    for (const char *at = paths; at && *at && st == SP_OK;) {
        size_t n = strcspn(at, ":");
        char *folder = n ? sp_strndup(at, n) : NULL;
        if (folder)
            st = read_folder(w, dev, folder, err);
        sp_free(folder);
        at += n + (at[n] == ':');
    }
    return st;
}

static sp_status read_own_folder(sp_wisdom *w, const sp_device *dev, sp_error *err)
{
    char *folder = sp_own_data("wisdom");
    sp_status st = folder ? read_folder(w, dev, folder, err) : SP_OK;
    sp_free(folder);
    return st;
}

sp_status sp_wisdom_open(sp_registry *reg, const sp_device *dev, sp_error *err)
{
    sp_status st;
    sp_wisdom *w = sp_alloc(sizeof *w);
    if (!w)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading wisdom");
    w->reg = reg;
    w->path = sp_wisdom_path(dev->info.name, dev->info.driver);
    SP_TRY_GOTO(read_own_folder(w, dev, err));
    SP_TRY_GOTO(read_paths(w, dev, sp_setting("SPIKEPORT_WISDOM_PATH"), err));
    if (w->path)
        SP_TRY_GOTO(read_into(w, dev, w->path, true, err));
    sp_wisdom_close(&reg->wisdom);
    reg->wisdom = w;
    w = NULL;
done:
    sp_wisdom_close(&w);
    return st;
}

/* ---- the user's file ---- */

/* Read again under a lock, as another process may have added entries meanwhile. */
static sp_status merge(const char *path, sp_wisdom_entry *e, sp_error *err)
{
    sp_wisdom_list l = {0};
    sp_error missing = {0};
    char *lock_path = sp_format("%s.lock", path), why[200];
    int lock = lock_path ? sp_file_lock(lock_path, true) : -1;
    sp_wisdom_read(path, true, &l, &missing);
    char *line = spi_wisdom_line(e); /* a copy that the list can own */
    sp_wisdom_entry *copy = line ? spi_wisdom_parse(line, why, sizeof why) : NULL;
    sp_status st = copy ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while writing wisdom");
    if (copy) {
        sp_wisdom_list_put(&l, copy);
        st = sp_wisdom_write(path, l.items, l.n, err);
        chmod(path, 0600); // sp_cache_open refuses what a group may write
    }
    free(line);
    if (lock >= 0)
        close(lock);
    sp_free(lock_path);
    sp_wisdom_list_free(&l);
    return st;
}

sp_status sp_wisdom_put(sp_wisdom *w, sp_wisdom_entry *e, sp_error *err)
{
    char *path = sp_wisdom_path(e->device, e->driver);
    sp_status st =
        path ? sp_folder_make_of(path, 0700, err)
             : SP_FAIL(err, SP_E_IO, "there is no cache folder for wisdom: set SPIKEPORT_CACHE_DIR or HOME");
    if (st == SP_OK)
        st = merge(path, e, err);
    if (path && st != SP_OK)
        sp_error_prefix(err, st, "wisdom cannot be written: ");
    bool ours = st == SP_OK && w->path && strcmp(path, w->path) == 0;
    sp_free(path);
    if (!ours) {
        sp_wisdom_entry_free(&e);
        return st;
    }
    e->own = true;
    for (size_t i = 0; i < w->n; i++)
        if (w->entries[i]->own && same_key(w->entries[i], e)) {
            sp_wisdom_entry_free(&w->entries[i]);
            w->entries[i] = e;
            return SP_OK;
        }
    return append(&w->entries, &w->n, e) ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory for wisdom");
}
