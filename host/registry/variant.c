/* Variant and fragment records: what their expressions can see, marking one as refused, and freeing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/expr.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/meta.h"

static int device_lookup(const sp_device *dev, const char *name, int64_t *value)
{
    static const sp_device_info none;
    const sp_device_info *i = dev ? &dev->info : &none;
    const int64_t unknown = (int64_t)1 << 50; /* no limit: more than any kernel asks for */
    const struct {
        const char *name;
        int64_t value;
    } limits[] = {
        {"wg", (int64_t)i->max_work_group},
        {"cu", (int64_t)i->compute_units},
        {"local_bytes", (int64_t)i->local_bytes},
        {"private_bytes", i->private_bytes ? (int64_t)i->private_bytes : unknown},
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

sp_op_call sp_variant_call(const sp_variant *v, const sp_op_call *call)
{
    sp_op_call own = *call;
    if (!v->bf16)
        sp_call_set_bf16(&own, false);
    return own;
}

bool sp_variant_bakes(const sp_variant *v, const char *name)
{
    if (sp_op_scalar_is_dynamic(name))
        return false;
    for (int i = 0; i < v->n_bakes; i++)
        if (strcmp(v->bake[i], "*") == 0 || strcmp(v->bake[i], name) == 0)
            return true;
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

/* Items of the largest work-group of the variant's passes; 0 where the driver chooses. */
static int64_t group_items(const sp_variant *v, sp_variant_scope *scope)
{
    int64_t most = 0;
    for (int p = 0; p < v->n_passes; p++) {
        int64_t items = 1, value;
        for (int d = 0; d < v->passes[p].dims && v->passes[p].local[d]; d++)
            items *= sp_expr_eval(v->passes[p].local[d], sp_variant_lookup, scope, &value, NULL) == SP_OK
                         ? value
                         : 0;
        if (v->passes[p].local[0] && items > most)
            most = items;
    }
    return most;
}

static void move_to_front(sp_tune *t, int i)
{
    const int64_t value = t->values[i];
    memmove(t->values + 1, t->values, (size_t)i * sizeof *t->values);
    t->values[0] = value;
}

bool sp_variant_prefer(sp_variant *v, const char *tune, int64_t value)
{
    for (int t = 0; t < v->n_tunes; t++)
        for (int i = 0; strcmp(v->tunes[t].name, tune) == 0 && i < v->tunes[t].n_values; i++)
            if (v->tunes[t].values[i] == value) {
                move_to_front(&v->tunes[t], i);
                return true;
            }
    return false;
}

bool sp_variant_next_tunes(const sp_variant *v, int at[SP_VARIANT_MAX_TUNES])
{
    int i = 0;
    while (i < v->n_tunes && ++at[i] == v->tunes[i].n_values)
        at[i++] = 0;
    return i < v->n_tunes;
}

void sp_registry_suit(sp_registry *reg, const sp_device *dev)
{
    for (size_t i = 0; i < reg->n_variants; i++) {
        sp_variant *v = reg->variants[i];
        for (int k = 0; k < v->n_vendor_tunes && sp_variant_is_meant_for(v, dev); k++) {
            const sp_vendor_tune *own = &v->vendor_tunes[k];
            if (dev->info.quirks & own->quirk)
                sp_variant_prefer(v, v->tunes[own->tune].name, own->value);
        }
    }
}

static int64_t registers(const sp_variant *v, sp_variant_scope *scope)
{
    int64_t value = 0;
    bool known = v->registers && sp_expr_eval(v->registers, sp_variant_lookup, scope, &value, NULL) == SP_OK;
    return known ? value : 0;
}

bool sp_variant_shrink(sp_variant *v, sp_shrink what, const sp_device *dev, const sp_op_call *call)
{
    int64_t (*const measure)(const sp_variant *, sp_variant_scope *) =
        what == SP_SHRINK_GROUPS ? group_items : registers;
    int at[SP_VARIANT_MAX_TUNES] = {0}, best[SP_VARIANT_MAX_TUNES] = {0};
    int64_t values[SP_VARIANT_MAX_TUNES], most = 0;
    char reason[SP_REASON_SIZE];
    sp_variant_scope scope = {.variant = v, .call = call, .dev = dev, .tune_values = values};
    for (int k = 0; k < v->n_tunes; k++)
        values[k] = v->tunes[k].values[0];
    const int64_t now = measure(v, &scope);
    if (what == SP_SHRINK_GROUPS)
        v->group_limit = now;
    while (sp_variant_next_tunes(v, at)) { /* beside the defaults */
        for (int k = 0; k < v->n_tunes; k++)
            values[k] = v->tunes[k].values[at[k]];
        const int64_t size = measure(v, &scope);
        const bool fits = !v->group_limit || group_items(v, &scope) < v->group_limit;
        if (fits && size > most && size < now &&
            sp_variant_can_run(v, dev, call, values, reason, sizeof reason)) { /* it may be forced */
            most = size;
            memcpy(best, at, sizeof best);
        }
    }
    for (int k = 0; most && k < v->n_tunes; k++)
        move_to_front(&v->tunes[k], best[k]);
    if (most)
        sp_log(SP_LOG_INFO,
               what == SP_SHRINK_GROUPS ? "%s: groups of %" PRId64 " items are too many for this device's "
                                          "build of the kernel; trying %" PRId64
                                        : "%s: registers for %" PRId64 " values do not suffice in this "
                                          "device's build of the kernel; trying %" PRId64,
               v->id, now, most);
    return most != 0;
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
    for (int i = 0; i < v->n_lets; i++) {
        sp_free(v->lets[i].name);
        sp_free(v->lets[i].written);
        sp_free(v->lets[i].value);
    }
    sp_free(v->lets);
    char *const texts[] = {v->plugin,    v->version,      v->id,           v->defines,
                           v->when,      v->when_written, v->needs_device, v->needs_extensions,
                           v->registers, v->workspace,    v->by_name,      v->library,
                           v->about,     v->path,         v->refused};
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
