/* The keys of the `//@` grammar that become -D names: tunables, their values for a vendor's devices, what
 * they do to registers, and defines. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "registry/meta_internal.h"

/* Tunes and defines become -D names: they must not hide what the op itself defines. */
static sp_status check_new_name(sp_meta_reader *r, const char *name)
{
    int64_t unused;
    sp_op_call call = {.op = r->block->op};
    sp_variant_scope scope = {.variant = r->block, .call = &call};
    if (sp_variant_lookup(&scope, name, &unused) == 0)
        return SP_META_FAIL(r,
                            "\"%s\" is taken already: an int or flag of %s, a tune, a define or a device "
                            "limit",
                            name, r->block->op->id);
    return SP_OK;
}

bool sp_meta_is_tuned(const sp_variant *v, int n_tunes, const char *assignment)
{
    const size_t n = strcspn(assignment, " \t=");
    for (int i = 0; i < n_tunes; i++)
        if (strlen(v->tunes[i].name) == n && strncmp(v->tunes[i].name, assignment, n) == 0)
            return true;
    return false;
}

sp_status sp_meta_key_tune(sp_meta_reader *r, char *value)
{
    sp_variant *v = r->block;
    char *name, *rest;
    SP_TRY(sp_meta_read_assignment(r, value, &name, &rest));
    SP_TRY(check_new_name(r, name));
    if (v->n_tunes == SP_VARIANT_MAX_TUNES)
        return SP_META_FAIL(r, "more than %d tunes", SP_VARIANT_MAX_TUNES);
    sp_tune *tune = &v->tunes[v->n_tunes++];
    SP_TRY(sp_meta_copy(r, name, &tune->name));
    for (char *word; (word = sp_meta_next_word(&rest)) != NULL;) {
        if (tune->n_values == (int)(sizeof tune->values / sizeof *tune->values))
            return SP_META_FAIL(r, "more than 16 values for tune \"%s\"", name);
        SP_TRY(sp_meta_read_integer(r, word, &tune->values[tune->n_values++]));
    }
    return tune->n_values ? SP_OK : SP_META_FAIL(r, "tune \"%s\" has no value", name);
}

/* "amd TM = 8 AHEAD = 1", of tunes that stand above. What is not a vendor is a kind of CPUs. */
sp_status sp_meta_key_vendor(sp_meta_reader *r, char *value)
{
    static const struct {
        const char *name;
        uint32_t quirk;
    } vendors[] = {{"amd", SP_QUIRK_GPU_OF_AMD},
                   {"intel", SP_QUIRK_GPU_OF_INTEL},
                   {"nvidia", SP_QUIRK_GPU_OF_NVIDIA},
                   {"narrow", SP_QUIRK_NARROW_CPU}};
    enum { N_VENDORS = sizeof vendors / sizeof *vendors };
    sp_variant *v = r->block;
    const char *name = sp_meta_next_word(&value);
    size_t k = 0;
    while (k < N_VENDORS && name && strcmp(vendors[k].name, name) != 0)
        k++;
    if (!name || k == N_VENDORS)
        return SP_META_FAIL(r, "vendor \"%s\": there are amd, intel, nvidia and narrow", name ? name : "");
    for (char *word; (word = sp_meta_next_word(&value)) != NULL;) {
        char *rest;
        int64_t wanted;
        int t = 0, at = 0;
        SP_TRY(sp_meta_read_assignment(r, word, &word, &rest));
        SP_TRY(sp_meta_read_integer(r, rest, &wanted));
        while (t < v->n_tunes && strcmp(v->tunes[t].name, word) != 0)
            t++;
        while (t < v->n_tunes && at < v->tunes[t].n_values && v->tunes[t].values[at] != wanted)
            at++;
        if (t == v->n_tunes || at == v->tunes[t].n_values)
            return SP_META_FAIL(r, "vendor: %s=%s is no tune above with that value", word, rest);
        if (v->n_vendor_tunes == SP_VARIANT_MAX_VENDOR_TUNES)
            return SP_META_FAIL(r, "more than %d values of vendors", SP_VARIANT_MAX_VENDOR_TUNES);
        v->vendor_tunes[v->n_vendor_tunes++] = (sp_vendor_tune){vendors[k].name, vendors[k].quirk, t, wanted};
    }
    return SP_OK;
}

sp_status sp_meta_key_registers(sp_meta_reader *r, char *value)
{
    return sp_meta_expression(r, value, &r->block->registers);
}

sp_status sp_meta_key_define(sp_meta_reader *r, char *value)
{
    sp_variant *v = r->block;
    char *name, *rest;
    SP_TRY(sp_meta_read_assignment(r, value, &name, &rest));
    SP_TRY(check_new_name(r, name));
    const char *word = sp_meta_next_word(&rest);
    if (!word || sp_meta_next_word(&rest))
        return SP_META_FAIL(r, "a define has one value: NAME = VALUE");
    if (word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-")])
        return SP_META_FAIL(r, "define: \"%s\" must be a number or a name", word);
    char *all = sp_format("%s-D%s=%s ", v->defines ? v->defines : "", name, word);
    sp_free(v->defines);
    v->defines = all;
    return all ? SP_OK : SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
}
