/* Memory plan: where each value lies in the arena.
 *
 * Values used in one segment live from their first to their last step there and share memory with those they
 * do not meet; everything else has a place of its own, once, or once for every time step (BPTT's history).
 * The arena is cut in slabs no larger than the device's largest allocation; no value crosses a cut. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plan/builder.h"

enum { ALIGN = 256 };

static uint64_t round_up(uint64_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static void note_use(sp_plan *p, int value, int segment, int step)
{
    if (value < 0)
        return;
    sp_value *v = &p->values[value];
    if (v->segment != segment || v->used_in == 0)
        v->used_in = v->used_in ? 2 : 1;
    v->untimed = v->untimed || !p->segments[segment].timed;
    if (v->segment < 0 || v->segment == segment) {
        v->segment = segment;
        v->first = v->first < 0 ? step : v->first;
        v->last = step;
    }
}

static void scan_uses(sp_plan *p)
{
    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segments[s].n; i++) {
            const sp_step *step = &p->segments[s].steps[i];
            for (int k = 0; k < SP_OP_MAX_BUFFERS; k++)
                note_use(p, step->operands[k].value, s, i);
            note_use(p, step->work, s, i);
        }
}

/* A value made as local that more than one segment uses: BPTT's forward to backward needs every time step. */
static void settle_stores(sp_plan *p)
{
    for (int i = 0; i < p->n_values; i++) {
        sp_value *v = &p->values[i];
        if (v->store == SP_STORE_LOCAL && v->used_in > 1)
            v->store = v->untimed ? SP_STORE_STATE : SP_STORE_HISTORY;
    }
}

static int root_of(const sp_plan *p, int value)
{
    while (p->values[value].shares >= 0)
        value = p->values[value].shares;
    return value;
}

static bool bound_elsewhere(const sp_step *s, int value, int operand)
{
    for (int k = 0; k < SP_OP_MAX_BUFFERS; k++)
        if (k != operand && s->operands[k].value == value)
            return true;
    return false;
}

/* The output of an element-wise op takes over the memory of an input that nobody reads afterwards. */
static void share_in_place(sp_plan *p, int segment, int i)
{
    const sp_step *s = &p->segments[segment].steps[i];
    for (int k = 0; k < SP_OP_MAX_BUFFERS && s->call.op->buffers[k].name; k++) {
        const char *alias = s->call.op->buffers[k].alias;
        int in = alias ? sp_op_buffer_index(s->call.op, alias) : -1;
        int to = s->operands[k].value, from = in >= 0 ? s->operands[in].value : -1;
        if (to < 0 || from < 0 || to == from || bound_elsewhere(s, from, in))
            continue;
        sp_value *a = &p->values[from], *b = &p->values[to];
        if (a->store != SP_STORE_LOCAL || b->store != SP_STORE_LOCAL || a->bytes != b->bytes ||
            a->last != i || b->first != i || b->shares >= 0 ||
            sp_call_buffer_is_bits(&s->call, in) != sp_call_buffer_is_bits(&s->call, k))
            continue;
        int root = root_of(p, from);
        b->shares = root;
        p->values[root].last = b->last > p->values[root].last ? b->last : p->values[root].last;
    }
}

typedef struct block {
    uint64_t at, bytes;
    int first, last;
} block;

static int by_place(const void *x, const void *y)
{
    const block *a = x, *b = y;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Lowest place >= at where bytes do not cross a slab. */
static uint64_t fit_slab(const sp_plan *p, uint64_t at, uint64_t bytes)
{
    return at / p->slab_bytes == (at + bytes - 1) / p->slab_bytes ? at
                                                                  : (at / p->slab_bytes + 1) * p->slab_bytes;
}

static sp_status check_value(const sp_plan *p, const sp_value *v, sp_error *err)
{
    uint64_t bytes = v->bytes * (v->joined ? (uint64_t)sp_plan_block(p) : 1);
    if (bytes <= p->slab_bytes)
        return SP_OK;
    return SP_FAIL(err, SP_E_DEVICE,
                   "\"%s\" needs %.1f MiB in one piece, but %s gives at most %.1f MiB; use a smaller batch",
                   v->name, (double)bytes / 1048576.0, p->dev->info.name, (double)p->slab_bytes / 1048576.0);
}

static sp_status place_states(sp_plan *p, sp_error *err)
{
    for (int i = 0; i < p->n_values; i++) {
        sp_value *v = &p->values[i];
        size_t slots = (size_t)sp_plan_slots(p, v);
        v->at = sp_alloc_array(slots, sizeof *v->at);
        if (!v->at)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
        if (v->store != SP_STORE_STATE && v->store != SP_STORE_HISTORY)
            continue;
        SP_TRY(check_value(p, v, err));
        if (v->joined) {
            uint64_t all = v->bytes * slots;
            v->at[0] = fit_slab(p, p->state_bytes, all);
            for (size_t t = 1; t < slots; t++)
                v->at[t] = v->at[0] + t * v->bytes;
            p->state_bytes = v->at[0] + round_up(all);
            continue;
        }
        for (size_t t = 0; t < slots; t++) {
            v->at[t] = fit_slab(p, p->state_bytes, v->bytes);
            p->state_bytes = v->at[t] + round_up(v->bytes);
        }
    }
    p->arena_bytes = p->state_bytes;
    return SP_OK;
}

static const sp_value *sort_values; /* qsort has no context; planning is one-threaded */
static int by_size(const void *x, const void *y)
{
    int a = *(const int *)x, b = *(const int *)y;
    uint64_t m = sort_values[a].bytes, n = sort_values[b].bytes;
    return m > n ? -1 : m < n ? 1 : a - b;
}

/* First fit, largest first, among the blocks already placed that are alive at the same time. */
static uint64_t first_fit(const sp_plan *p, const block *placed, int n, const sp_value *v)
{
    uint64_t at = fit_slab(p, p->state_bytes, v->bytes);
    for (int i = 0; i < n; i++) {
        const block *b = &placed[i];
        bool meets = b->first <= v->last && v->first <= b->last;
        if (meets && b->at < at + v->bytes && at < b->at + b->bytes)
            at = fit_slab(p, b->at + b->bytes, v->bytes);
    }
    return at;
}

static sp_status place_locals(sp_plan *p, int segment, sp_error *err)
{
    int *order = sp_alloc_array((size_t)p->n_values + 1, sizeof *order), n = 0, n_placed = 0;
    block *placed = sp_alloc_array((size_t)p->n_values + 1, sizeof *placed);
    sp_status st = order && placed ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
    for (int i = 0; st == SP_OK && i < p->n_values; i++)
        if (p->values[i].store == SP_STORE_LOCAL && p->values[i].segment == segment &&
            p->values[i].shares < 0)
            order[n++] = i;
    sort_values = p->values;
    if (n > 0)
        qsort(order, (size_t)n, sizeof *order, by_size);
    for (int k = 0; st == SP_OK && k < n; k++) {
        sp_value *v = &p->values[order[k]];
        st = check_value(p, v, err);
        v->at[0] = first_fit(p, placed, n_placed, v);
        placed[n_placed++] = (block){v->at[0], round_up(v->bytes), v->first, v->last};
        qsort(placed, (size_t)n_placed, sizeof *placed, by_place);
        uint64_t end = v->at[0] + round_up(v->bytes);
        p->arena_bytes = end > p->arena_bytes ? end : p->arena_bytes;
    }
    for (int i = 0; st == SP_OK && i < p->n_values; i++)
        if (p->values[i].shares >= 0 && p->values[i].segment == segment)
            p->values[i].at[0] = p->values[root_of(p, i)].at[0];
    sp_free(order);
    sp_free(placed);
    return st;
}

sp_status spi_memory_plan(sp_plan *p, sp_error *err)
{
    const uint64_t most = (uint64_t)1 << 32; /* CLBlast counts elements in int */
    uint64_t slab = p->dev->info.max_alloc_bytes;
    p->slab_bytes = (slab == 0 || slab > most || p->o.unlimited ? most : slab) / ALIGN * ALIGN;
    scan_uses(p);
    settle_stores(p);
    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segments[s].n; i++)
            share_in_place(p, s, i);
    SP_TRY(place_states(p, err));
    for (int s = 0; s < p->n_segments; s++)
        SP_TRY(place_locals(p, s, err));
    uint64_t total = p->arena_bytes + p->model->bytes;
    if (p->dev->info.global_bytes && !p->o.unlimited && total > p->dev->info.global_bytes)
        return SP_FAIL(err, SP_E_DEVICE,
                       "the plan needs %.1f MiB on the device (%.1f MiB of it parameters and optimizer), but "
                       "%s has %.1f "
                       "MiB; use a smaller batch%s",
                       (double)total / 1048576.0, (double)p->model->bytes / 1048576.0, p->dev->info.name,
                       (double)p->dev->info.global_bytes / 1048576.0,
                       p->o.method == SP_METHOD_BPTT ? ", fewer time steps, or sltt, whose memory does not "
                                                       "grow with them"
                                                     : "");
    return SP_OK;
}

sp_status sp_plan_attach(sp_plan *p, sp_plan *share, sp_error *err)
{
    int n = (int)((p->arena_bytes + p->slab_bytes - 1) / p->slab_bytes);
    p->slabs = sp_alloc_array((size_t)n + 1, sizeof *p->slabs);
    if (!p->slabs)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
    if (share && share->slabs && share->arena_bytes >= p->arena_bytes) {
        memcpy(p->slabs, share->slabs, (size_t)n * sizeof *p->slabs);
        p->n_slabs = n;
        return SP_OK;
    }
    p->owns_slabs = true;
    for (int i = 0; i < n; i++) {
        uint64_t left = p->arena_bytes - (uint64_t)i * p->slab_bytes;
        SP_TRY(sp_device_alloc(p->dev, left < p->slab_bytes ? left : p->slab_bytes,
                               "the arena of activations and states", &p->slabs[i], err));
        p->n_slabs++;
    }
    return SP_OK;
}

sp_range sp_plan_value(const sp_plan *p, int value, int t)
{
    const sp_value *v = &p->values[value];
    if (v->store == SP_STORE_FIXED)
        return (sp_range){p->model->mem, v->fixed_at * 4};
    int64_t slots = sp_plan_slots(p, v);
    uint64_t at = v->at[v->joined && t < 0 ? 0 : (t + slots) % slots]; /* t is -1 or more: before the first
                                                                          step; joined: all steps */
    return (sp_range){p->slabs[at / p->slab_bytes], at % p->slab_bytes};
}

sp_range sp_plan_range(const sp_plan *p, const sp_operand *o, int t)
{
    if (o->value < 0)
        return (sp_range){NULL, 0};
    sp_range r = sp_plan_value(p, o->value, t + o->dt);
    r.at_bytes += o->at_elems * 4;
    return r;
}
