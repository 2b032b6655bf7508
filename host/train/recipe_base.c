/* `base: other.yaml`: a recipe that is another one with some keys changed. */
#include "train/recipe_base.h"

#include <string.h>

#include "base/error.h"
#include "base/folder.h"

static sp_status check_circle(const sp_recipe *r, const sp_yaml *base, const char *path, sp_error *err)
{
    bool met = strcmp(path, r->doc.file) == 0;
    for (size_t i = 0; i < r->n_bases; i++)
        met = met || strcmp(path, r->bases[i].file) == 0;
    if (met)
        return sp_yaml_fail(base, err, "base: %s is based on itself", path);
    if (r->n_bases == SP_RECIPE_BASES)
        return sp_yaml_fail(base, err, "base: more than %d recipes, each based on the next; is it a circle?",
                            SP_RECIPE_BASES);
    return SP_OK;
}

static sp_status load_base(sp_recipe *r, const sp_yaml *base, sp_error *err)
{
    if (base->kind != SP_YAML_STRING)
        return sp_yaml_fail(base, err, "\"base\" must be the file name of another recipe");
    char *path = sp_path_beside(sp_yaml_from_set(base) ? r->doc.file : base->file, base->text);
    if (!path)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while reading a recipe");
    sp_status st = check_circle(r, base, path, err);
    if (st == SP_OK) {
        st = sp_yaml_load(path, &r->bases[r->n_bases], err);
        if (st != SP_OK)
            sp_error_prefix(err, st, "%s:%d:%d: base: ", base->file, base->line, base->column);
        else
            r->n_bases++;
    }
    sp_free(path);
    return st;
}

sp_status spi_recipe_bases(sp_recipe *r, sp_error *err)
{
    sp_yaml *root = r->doc.root, *at = root;
    if (!root || root->kind != SP_YAML_MAP)
        return SP_OK; /* refused later, with everything else that is wrong */
    for (const sp_yaml *base; (base = sp_yaml_get(at, "base")) && base->kind != SP_YAML_NULL;) {
        SP_TRY(load_base(r, base, err));
        at = r->bases[r->n_bases - 1].root;
        if (!at || at->kind != SP_YAML_MAP)
            return SP_FAIL(err, SP_E_CONFIG, "%s: a recipe is a map of settings",
                           r->bases[r->n_bases - 1].file);
        SP_TRY(sp_yaml_inherit(root, at, err)); /* leaves `base` in place: root has one */
    }
    return SP_OK;
}
