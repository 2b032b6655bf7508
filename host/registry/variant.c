/* Variant and fragment records: what their expressions can see, marking one as refused, and freeing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "registry/meta.h"

static int device_lookup(const sp_device *dev, const char *name, int64_t *value)
{
    static const sp_device_info none;
    const sp_device_info *i = dev ? &dev->info : &none;
    const struct {
        const char *name;
        int64_t value;
    } limits[] = {
        {"wg", (int64_t)i->max_work_group},
        {"cu", (int64_t)i->compute_units},
        {"local_bytes", (int64_t)i->local_bytes},
        {"fp16", i->fp16},
        {"fp64", i->fp64},
        {"cpu", dev && i->type == SP_DEVICE_CPU},
        {"gpu", dev && i->type == SP_DEVICE_GPU},
        {"accelerator", dev && i->type == SP_DEVICE_ACCELERATOR},
    };
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++)
        if (strcmp(limits[k].name, name) == 0) {
            *value = limits[k].value;
            return 0;
        }
    return -1;
}

bool sp_variant_define(const sp_variant *v, const char *name, int64_t *value)
{
    size_t n = strlen(name);
    for (const char *at = v->defines; at && (at = strstr(at, "-D")) != NULL;) {
        at += 2;
        if (strncmp(at, name, n) != 0 || at[n] != '=')
            continue;
        char *end;
        long long parsed = strtoll(at + n + 1, &end, 0);
        if (end == at + n + 1 || (*end != ' ' && *end != '\0'))
            return false;
        *value = parsed;
        return true;
    }
    return false;
}

int sp_variant_lookup(void *scope, const char *name, int64_t *value)
{
    const sp_variant_scope *s = scope;
    sp_op_call call = *s->call;
    if (sp_call_lookup(&call, name, value) == 0)
        return 0;
    for (int i = 0; i < s->variant->n_tunes; i++)
        if (strcmp(s->variant->tunes[i].name, name) == 0) {
            *value = s->tune_values ? s->tune_values[i] : s->variant->tunes[i].values[0];
            return 0;
        }
    if (sp_variant_define(s->variant, name, value))
        return 0;
    return device_lookup(s->dev, name, value);
}

void sp_variant_refuse(sp_variant *v, const char *reason)
{
    if (v->refused)
        return; // the first reason is the cause; it has been logged
    v->refused = sp_strdup(reason);
    sp_log(SP_LOG_WARNING, "plugin variant %s for %s is not used: %s", v->id, v->op->id, reason);
}

void sp_variant_destroy(sp_variant **out)
{
    sp_variant *v = out ? *out : NULL;
    if (!v)
        return;
    for (int i = 0; i < v->n_passes; i++) {
        sp_free(v->passes[i].kernel);
        for (int d = 0; d < 3; d++) {
            sp_free(v->passes[i].global[d]);
            sp_free(v->passes[i].local[d]);
        }
    }
    for (int i = 0; i < v->n_tunes; i++)
        sp_free(v->tunes[i].name);
    for (int i = 0; i < v->n_bakes; i++)
        sp_free(v->bake[i]);
    char *const texts[] = {v->plugin,       v->version,          v->id,        v->defines, v->when,
                           v->needs_device, v->needs_extensions, v->workspace, v->library, v->about,
                           v->path,         v->refused};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        sp_free(texts[i]);
    sp_free(v);
    *out = NULL;
}

void sp_fragment_destroy(sp_fragment **out)
{
    sp_fragment *f = out ? *out : NULL;
    if (!f)
        return;
    char *const texts[] = {f->plugin, f->version, f->name, f->about, f->path, f->refused};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        sp_free(texts[i]);
    sp_free(f);
    *out = NULL;
}
