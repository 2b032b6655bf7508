/* Names of parameters in files of other programs. */
#include "train/name_map.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/suggest.h"

/* Whether a name is the key, or goes on behind it with a dot; everything does behind "". */
static bool begins_with(const char *name, const char *key)
{
    size_t n = strlen(key);
    return strncmp(name, key, n) == 0 && (n == 0 || name[n] == '.' || name[n] == '\0');
}

static sp_status check_key(const sp_yaml *map, size_t i, const sp_graph *g, sp_error *err)
{
    const sp_yaml *value = map->items[i];
    if (value->kind == SP_YAML_LIST || value->kind == SP_YAML_MAP || value->kind == SP_YAML_NULL)
        return sp_yaml_fail(value, err, "\"%s\": its name in the file must be a text", map->keys[i]);
    const char **names = sp_alloc_array((size_t)g->n_params + 1, sizeof *names);
    bool found = false;
    for (int k = 0; names && k < g->n_params; k++) {
        names[k] = g->params[k].name;
        found = found || begins_with(names[k], map->keys[i]);
    }
    const char *near = names && !found ? sp_suggest(map->keys[i], names, (size_t)g->n_params) : NULL;
    sp_free(names);
    return found
               ? SP_OK
               : sp_yaml_fail(value, err, "the network has no parameter or layer \"%s\"%s%s%s", map->keys[i],
                              near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* The entry that gives a parameter its name: the longest key that fits; -1: none. */
static int entry_of(const sp_name_map *m, const char *name)
{
    const sp_yaml *map = m->doc.root;
    int best = -1;
    for (int i = 0; map && i < (int)map->n; i++)
        if (begins_with(name, map->keys[i]) && (best < 0 || strlen(map->keys[i]) > strlen(map->keys[best])))
            best = i;
    return best;
}

/* No name is empty, and no two parameters have the same one. */
static sp_status check_names(const sp_name_map *m, const sp_graph *g, sp_error *err)
{
    const sp_yaml *map = m->doc.root;
    sp_status st = SP_OK;
    for (int i = 0; i < g->n_params && st == SP_OK; i++) {
        int entry = entry_of(m, g->params[i].name);
        char *name = entry < 0 ? NULL : sp_name_map_to_file(m, g->params[i].name);
        if (entry >= 0 && !name)
            st = SP_FAIL(err, SP_E_MEMORY, "out of memory for a map of names");
        else if (name && !*name)
            st = sp_yaml_fail(map->items[entry], err, "\"%s\": its name in the file is empty",
                              map->keys[entry]);
        for (int k = 0; k < g->n_params && st == SP_OK && name; k++) {
            char *other = k == i ? NULL : sp_name_map_to_file(m, g->params[k].name);
            int at = other ? entry_of(m, g->params[k].name) : -1;
            if (other && strcmp(name, other) == 0)
                st = sp_yaml_fail(map->items[entry], err,
                                  "\"%s\" and \"%s\" (by %s%s%s) would both be \"%s\" in the file",
                                  g->params[i].name, g->params[k].name, at < 0 ? "no key" : "the key \"",
                                  at < 0 ? "" : map->keys[at], at < 0 ? "" : "\"", name);
            sp_free(other);
        }
        sp_free(name);
    }
    return st;
}

sp_status sp_name_map_read(const char *path, const sp_graph *g, sp_name_map *out, sp_error *err)
{
    SP_TRY(sp_yaml_load(path, &out->doc, err));
    const sp_yaml *map = out->doc.root;
    if (!map || map->kind != SP_YAML_MAP)
        return SP_FAIL(err, SP_E_CONFIG,
                       "%s: a map of the network's names to the file's is expected, such as {\"0\": conv1}",
                       path);
    for (size_t i = 0; i < map->n; i++)
        SP_TRY(check_key(map, i, g, err));
    return check_names(out, g, err);
}

void sp_name_map_free(sp_name_map *m)
{
    sp_yaml_free(&m->doc);
}

char *sp_name_map_to_file(const sp_name_map *m, const char *name)
{
    int entry = entry_of(m, name);
    if (entry < 0)
        return sp_strdup(name);
    const char *key = m->doc.root->keys[entry], *value = m->doc.root->items[entry]->text;
    const char *rest = name + strlen(key) + (*key && name[strlen(key)] ? 1 : 0);
    return sp_format("%s%s%s", value, *value && *rest ? "." : "", rest);
}
