/* The table of measured choices in memory: entries, what they say of a call, and whether that still holds. */
#include "registry/wisdom.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

sp_wisdom_entry *sp_wisdom_entry_new(const sp_device *dev, const sp_op_call *call)
{
    sp_wisdom_entry *e = sp_alloc(sizeof *e);
    if (!e)
        return NULL;
    snprintf(e->device, sizeof e->device, "%s", dev->info.name);
    snprintf(e->driver, sizeof e->driver, "%s", dev->info.driver);
    snprintf(e->op, sizeof e->op, "%s", call->op->id);
    sp_call_describe(call, e->call, sizeof e->call);
    e->best = e->baseline = -1;
    return e;
}

void sp_wisdom_entry_free(sp_wisdom_entry **e)
{
    if (*e)
        sp_free((*e)->rows);
    sp_free(*e);
    *e = NULL;
}

sp_wisdom_row *sp_wisdom_add_row(sp_wisdom_entry *e, const sp_variant *v, const int64_t *tune_values)
{
    sp_wisdom_row *r = sp_array_push(&e->rows, (size_t)e->n_rows, sizeof *r);
    e->n_rows += r != NULL;
    if (!r || !v)
        return r;
    snprintf(r->variant, sizeof r->variant, "%s", v->id);
    snprintf(r->version, sizeof r->version, "%s", v->version);
    r->hash = sp_variant_hash(v);
    r->n_tunes = v->n_tunes;
    for (int i = 0; i < v->n_tunes; i++) {
        snprintf(r->tunes[i].name, sizeof r->tunes[i].name, "%s", v->tunes[i].name);
        r->tunes[i].value = tune_values ? tune_values[i] : v->tunes[i].values[0];
    }
    return r;
}

/* The values of r in the order of v's tunables; false when v has others. */
static bool row_tunes(const sp_wisdom_row *r, const sp_variant *v, int64_t *tunes)
{
    if (r->n_tunes != v->n_tunes)
        return false;
    for (int i = 0; i < v->n_tunes; i++) {
        if (strcmp(r->tunes[i].name, v->tunes[i].name) != 0)
            return false;
        tunes[i] = r->tunes[i].value;
    }
    return true;
}

const sp_wisdom_row *sp_wisdom_row_of(const sp_wisdom_entry *e, const sp_variant *v,
                                      const int64_t *tune_values)
{
    uint64_t hash = sp_variant_hash(v);
    for (int i = 0; i < e->n_rows; i++) {
        int64_t tunes[SP_VARIANT_MAX_TUNES];
        bool same = strcmp(e->rows[i].variant, v->id) == 0 && e->rows[i].hash == hash &&
                    row_tunes(&e->rows[i], v, tunes);
        for (int t = 0; t < v->n_tunes && same; t++)
            same = tunes[t] == (tune_values ? tune_values[t] : v->tunes[t].values[0]);
        if (same)
            return &e->rows[i];
    }
    return NULL;
}

sp_wisdom_entry *sp_wisdom_find(const sp_registry *reg, const sp_op_call *call)
{
    const sp_wisdom *w = reg->wisdom;
    char text[sizeof w->entries[0]->call];
    if (!w || !w->n)
        return NULL;
    sp_call_describe(call, text, sizeof text);
    for (size_t i = w->n; i-- > 0;)
        if (strcmp(w->entries[i]->op, call->op->id) == 0 && strcmp(w->entries[i]->call, text) == 0)
            return w->entries[i];
    return NULL;
}

bool sp_wisdom_resolve(const sp_registry *reg, const sp_wisdom_entry *e, const sp_op *op, sp_variant **v,
                       int64_t *tunes)
{
    if (e->best < 0)
        return false;
    const sp_wisdom_row *best = &e->rows[e->best];
    for (size_t i = 0; i < reg->n_variants; i++)
        if (reg->variants[i]->op == op && strcmp(reg->variants[i]->id, best->variant) == 0 &&
            row_tunes(best, reg->variants[i], tunes) && sp_variant_hash(reg->variants[i]) == best->hash) {
            *v = reg->variants[i];
            return true;
        }
    return false;
}

/* What the winner is told to be faster than: the choice of the score, or where it is that itself, the
 * runner-up. What is clearly faster was forced by name and is no candidate of other runs. */
static const sp_wisdom_row *rival(const sp_wisdom_entry *e)
{
    if (e->baseline >= 0 && e->baseline != e->best && e->rows[e->baseline].ms > 0)
        return &e->rows[e->baseline];
    const sp_wisdom_row *second = NULL;
    for (int i = 0; i < e->n_rows; i++)
        if (i != e->best && e->rows[i].ms > 0.97 * e->rows[e->best].ms &&
            (!second || e->rows[i].ms < second->ms))
            second = &e->rows[i];
    return second;
}

static void explain(const sp_wisdom_entry *e, char *why, size_t size)
{
    const sp_wisdom_row *best = &e->rows[e->best], *other = rival(e);
    char tunes[160] = "", times[240] = "the only candidate";
    for (int i = 0; i < best->n_tunes; i++) {
        size_t used = strlen(tunes);
        snprintf(tunes + used, sizeof tunes - used, " %s=%" PRId64, best->tunes[i].name,
                 best->tunes[i].value);
    }
    bool defaults = other && strcmp(other->variant, best->variant) == 0;
    if (other && best->ms > 0)
        snprintf(times, sizeof times, "%.2f times faster than %s%s", other->ms / best->ms, other->variant,
                 defaults ? " with other values" : "");
    snprintf(why, size, "wisdom: %s, measured on %s%s%s", times, e->date, tunes[0] ? " with" : "", tunes);
}

bool sp_wisdom_choice(sp_registry *reg, const sp_op_call *call, sp_variant **v, int64_t *tunes, char *why,
                      size_t why_size)
{
    sp_wisdom_entry *e = sp_wisdom_find(reg, call);
    if (!e || e->best < 0)
        return false;
    if (!sp_wisdom_resolve(reg, e, call->op, v, tunes)) {
        if (!e->said_stale)
            sp_log(SP_LOG_INFO,
                   "wisdom for %s (%s) is not used: %s is gone or its source has changed; `spikeport tune` "
                   "measures again",
                   e->op, e->call, e->rows[e->best].variant);
        e->said_stale = true;
        return false;
    }
    if (why)
        explain(e, why, why_size);
    return true;
}

bool sp_wisdom_tunes(const sp_registry *reg, const sp_variant *v, const sp_op_call *call, int64_t *tunes)
{
    const sp_wisdom_entry *e = v->n_tunes ? sp_wisdom_find(reg, call) : NULL;
    int fastest = -1;
    for (int i = 0; e && i < e->n_rows; i++) {
        const sp_wisdom_row *r = &e->rows[i];
        const bool counts = r->ms > 0 && strcmp(r->variant, v->id) == 0 && row_tunes(r, v, tunes) &&
                            r->hash == sp_variant_hash(v);
        if (counts && (fastest < 0 || i == e->best || (fastest != e->best && r->ms < e->rows[fastest].ms)))
            fastest = i;
    }
    if (fastest < 0 || !row_tunes(&e->rows[fastest], v, tunes))
        return false;
    for (int i = 0; i < v->n_tunes; i++)
        if (tunes[i] != v->tunes[i].values[0])
            return true;
    return false;
}

void sp_wisdom_close(sp_wisdom **w)
{
    if (!w || !*w)
        return;
    for (size_t i = 0; i < (*w)->n; i++)
        sp_wisdom_entry_free(&(*w)->entries[i]);
    sp_free((*w)->entries);
    sp_free((*w)->path);
    sp_free(*w);
    *w = NULL;
}
