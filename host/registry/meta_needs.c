/* The keys of the `//@` grammar that say where a variant may run, and when it is chosen. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "registry/meta_internal.h"

sp_status sp_meta_key_device(sp_meta_reader *r, char *value)
{
    SP_TRY(sp_meta_copy(r, value, &r->block->needs_device));
    for (char *word; (word = sp_meta_next_word(&value)) != NULL;)
        if (strcmp(word, "cpu") != 0 && strcmp(word, "gpu") != 0 && strcmp(word, "accelerator") != 0)
            return SP_META_FAIL(r, "device \"%s\": there are cpu, gpu and accelerator", word);
    return SP_OK;
}

static const char *feature(const char *word)
{
    size_t i = 0;
    while (sp_device_feature_name(i) && strcmp(sp_device_feature_name(i), word) != 0)
        i++;
    return sp_device_feature_name(i);
}

static sp_status no_such_feature(sp_meta_reader *r, const char *word)
{
    char known[256] = "";
    for (size_t i = 0, n = 0; sp_device_feature_name(i) && n < sizeof known; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s, ", sp_device_feature_name(i));
    return SP_META_FAIL(r, "needs \"%s\": there are fp16, fp64, %sand ext:NAME", word, known);
}

sp_status sp_meta_key_needs(sp_meta_reader *r, char *value)
{
    char *all = sp_strdup("");
    for (char *word; all && (word = sp_meta_next_word(&value)) != NULL;) {
        const char *name = strncmp(word, "ext:", 4) == 0 && sp_meta_is_identifier(word + 4) ? word + 4
                           : strcmp(word, "fp64") == 0                                      ? "cl_khr_fp64"
                           : strcmp(word, "fp16") == 0                                      ? "cl_khr_fp16"
                                                                                            : feature(word);
        if (!name) {
            sp_free(all);
            return no_such_feature(r, word);
        }
        char *longer = sp_format("%s%s%s", all, *all ? " " : "", name);
        sp_free(all);
        all = longer;
    }
    sp_free(r->block->needs_extensions);
    r->block->needs_extensions = all;
    return all ? SP_OK : SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
}

sp_status sp_meta_key_approximate(sp_meta_reader *r, char *value)
{
    char *end;
    double tolerance = strtod(value, &end);
    if (end == value || *end || !(tolerance > 0) || !(tolerance <= 1))
        return SP_META_FAIL(r, "approximate is the error allowed, above 0 and at most 1, not \"%s\"", value);
    if (r->origin == SP_ORIGIN_REFERENCE)
        return SP_META_FAIL(r, "%s", "a reference kernel cannot be approximate");
    if (r->block->bf16)
        return SP_META_FAIL(r, "%s", "approximate: compute says the error of this kernel");
    r->block->tolerance = fmax(tolerance, r->block->op->tolerance);
    r->block->approximate = true;
    if (r->block->by_name)
        return SP_OK;
    r->block->by_name = sp_format("approximate (error up to %g)", r->block->tolerance);
    return r->block->by_name ? SP_OK
                             : SP_FAIL(r->err, SP_E_MEMORY, "out of memory while reading %s", r->path);
}

sp_status sp_meta_key_by_name(sp_meta_reader *r, char *value)
{
    if (r->origin == SP_ORIGIN_REFERENCE)
        return SP_META_FAIL(r, "%s",
                            "a reference kernel is chosen where nothing else fits; leave by_name out");
    return sp_meta_copy(r, value, &r->block->by_name);
}
