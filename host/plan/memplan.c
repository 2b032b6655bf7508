/* The pass that places tensors: where each of them lies in the arena.
 *
 * Tensors used in one segment live from their first to their last step there and share memory with those they
 * do not meet; everything else has a place of its own, once, or once for every time step (BPTT's history).
 * The arena is cut in slabs no larger than the device's largest allocation; no tensor crosses a cut. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plan/builder.h"

static uint64_t round_up(uint64_t n)
{
    return (n + SP_PLAN_ALIGN - 1) / SP_PLAN_ALIGN * SP_PLAN_ALIGN;
}

static void note_use(sp_plan *p, int tensor, int segment, int step)
{
    if (tensor < 0)
        return;
    sp_plan_tensor *v = &p->tensors[tensor];
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
    for (int i = 0; i < p->n_tensors; i++) {
        sp_plan_tensor *v = &p->tensors[i];
        v->used_in = 0, v->untimed = false;
        v->segment = v->first = v->last = v->shares = -1;
    }
    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segments[s].n; i++) {
            const sp_step *step = &p->segments[s].steps[i];
            for (int k = 0; k < SP_OP_MAX_BUFFERS; k++)
                note_use(p, step->operands[k].tensor, s, i);
            note_use(p, step->work, s, i);
        }
}

/* A tensor of one segment that others use too: what BPTT's backward pass reads is kept for every time step.
 */
static void assign_lifetimes(sp_plan *p)
{
    for (int i = 0; i < p->n_tensors; i++) {
        sp_plan_tensor *v = &p->tensors[i];
        if (v->lifetime == SP_LIFETIME_SEGMENT && v->used_in > 1)
            v->lifetime = v->untimed ? SP_LIFETIME_PLAN : SP_LIFETIME_HISTORY;
    }
}

static int root_of(const sp_plan *p, int tensor)
{
    while (p->tensors[tensor].shares >= 0)
        tensor = p->tensors[tensor].shares;
    return tensor;
}

static bool bound_elsewhere(const sp_step *s, int tensor, int operand)
{
    for (int k = 0; k < SP_OP_MAX_BUFFERS; k++)
        if (k != operand && s->operands[k].tensor == tensor)
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
        int to = s->operands[k].tensor, from = in >= 0 ? s->operands[in].tensor : -1;
        if (to < 0 || from < 0 || to == from || bound_elsewhere(s, from, in))
            continue;
        sp_plan_tensor *a = &p->tensors[from], *b = &p->tensors[to];
        if (a->lifetime != SP_LIFETIME_SEGMENT || b->lifetime != SP_LIFETIME_SEGMENT ||
            a->bytes != b->bytes || a->last != i || b->first != i || b->shares >= 0 ||
            sp_call_buffer_is_bits(&s->call, in) != sp_call_buffer_is_bits(&s->call, k))
            continue;
        int root = root_of(p, from);
        b->shares = root;
        p->tensors[root].last = b->last > p->tensors[root].last ? b->last : p->tensors[root].last;
    }
}

/* Lowest place >= at where bytes do not cross a slab. */
static uint64_t fit_slab(uint64_t slab, uint64_t at, uint64_t bytes)
{
    return at / slab == (at + bytes - 1) / slab ? at : (at / slab + 1) * slab;
}

static sp_status check_tensor(const sp_plan *p, const sp_plan_tensor *v, sp_error *err)
{
    uint64_t bytes = v->bytes * (v->contiguous ? (uint64_t)sp_plan_slots(p, v) : 1);
    if (bytes <= p->slab_bytes)
        return SP_OK;
    return SP_FAIL(err, SP_E_DEVICE,
                   "\"%s\" needs %.1f MiB in one piece, but %s gives at most %.1f MiB; use a smaller batch",
                   v->name, (double)bytes / 1048576.0, p->dev ? p->dev->info.name : "a device",
                   (double)p->slab_bytes / 1048576.0);
}

static sp_status place_states(sp_plan *p, sp_error *err)
{
    for (int i = 0; i < p->n_tensors; i++) {
        sp_plan_tensor *v = &p->tensors[i];
        size_t slots = (size_t)sp_plan_slots(p, v);
        sp_free(v->at);
        v->at = sp_alloc_array(slots, sizeof *v->at);
        if (!v->at)
            return SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
        if (v->lifetime != SP_LIFETIME_PLAN && v->lifetime != SP_LIFETIME_HISTORY)
            continue;
        SP_TRY(check_tensor(p, v, err));
        if (v->contiguous) {
            uint64_t all = v->bytes * slots;
            v->at[0] = fit_slab(p->slab_bytes, p->state_bytes, all);
            for (size_t t = 1; t < slots; t++)
                v->at[t] = v->at[0] + t * v->bytes;
            p->state_bytes = v->at[0] + round_up(all);
            continue;
        }
        for (size_t t = 0; t < slots; t++) {
            v->at[t] = fit_slab(p->slab_bytes, p->state_bytes, v->bytes);
            p->state_bytes = v->at[t] + round_up(v->bytes);
        }
    }
    p->arena_bytes = p->state_bytes;
    return SP_OK;
}

static int by_size(const void *x, const void *y)
{
    const sp_block *a = x, *b = y;
    return a->bytes > b->bytes ? -1 : a->bytes < b->bytes ? 1 : a->id - b->id;
}

/* placed[0..n) lie in the order of their places. A block that is not alive at the same time is passed over.
 */
static uint64_t first_fit(const sp_block *placed, int n, const sp_block *v, uint64_t from, uint64_t slab)
{
    uint64_t at = fit_slab(slab, from, v->bytes);
    for (int i = 0; i < n && placed[i].at < at + v->bytes; i++) {
        const sp_block *b = &placed[i];
        if (b->first <= v->last && v->first <= b->last && at < b->at + round_up(b->bytes))
            at = fit_slab(slab, b->at + round_up(b->bytes), v->bytes);
    }
    return at;
}

/* First fit, largest first. The blocks are placed one by one in front of the array, where they are kept in
 * the order of their places; the search for a gap ends at the first block beyond it. */
uint64_t spi_place_blocks(sp_block *blocks, int n, uint64_t from, uint64_t slab)
{
    uint64_t end = from;
    if (n > 0)
        qsort(blocks, (size_t)n, sizeof *blocks, by_size);
    for (int k = 0; k < n; k++) {
        sp_block v = blocks[k];
        v.at = first_fit(blocks, k, &v, from, slab);
        int low = 0, high = k;
        while (low < high) {
            int middle = low + (high - low) / 2;
            if (blocks[middle].at <= v.at)
                low = middle + 1;
            else
                high = middle;
        }
        memmove(&blocks[low + 1], &blocks[low], (size_t)(k - low) * sizeof *blocks);
        blocks[low] = v;
        end = v.at + round_up(v.bytes) > end ? v.at + round_up(v.bytes) : end;
    }
    return end;
}

/* What needs a place in one segment alone. */
static int blocks_of(const sp_plan *p, int segment, sp_block *blocks)
{
    int n = 0;
    for (int i = 0; i < p->n_tensors; i++) {
        const sp_plan_tensor *v = &p->tensors[i];
        if (v->lifetime == SP_LIFETIME_SEGMENT && v->segment == segment && v->shares < 0 && v->used_in < 2)
            blocks[n++] = (sp_block){.bytes = v->bytes, .first = v->first, .last = v->last, .id = i};
    }
    return n;
}

static sp_status place_segment(sp_plan *p, int segment, sp_block *blocks, sp_error *err)
{
    const int n = blocks_of(p, segment, blocks);
    for (int i = 0; i < n; i++)
        SP_TRY(check_tensor(p, &p->tensors[blocks[i].id], err));
    uint64_t end = spi_place_blocks(blocks, n, p->state_bytes, p->slab_bytes);
    p->arena_bytes = end > p->arena_bytes ? end : p->arena_bytes;
    for (int i = 0; i < n; i++)
        p->tensors[blocks[i].id].at[0] = blocks[i].at;
    for (int i = 0; i < p->n_tensors; i++)
        if (p->tensors[i].shares >= 0 && p->tensors[i].segment == segment)
            p->tensors[i].at[0] = p->tensors[root_of(p, i)].at[0];
    return SP_OK;
}

static void find_slab_bytes(sp_plan *p)
{
    const uint64_t most = (uint64_t)1 << 32; /* CLBlast counts elements in int */
    uint64_t slab = p->dev ? p->dev->info.max_alloc_bytes : 0;
    p->slab_bytes =
        (slab == 0 || slab > most || p->o.unlimited ? most : slab) / SP_PLAN_ALIGN * SP_PLAN_ALIGN;
}

sp_status spi_working_bytes(sp_plan *p, int segment, uint64_t *bytes, sp_error *err)
{
    sp_block *blocks = sp_alloc_array((size_t)p->n_tensors + 1, sizeof *blocks);
    if (!blocks)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
    find_slab_bytes(p);
    scan_uses(p);
    for (int i = 0; i < p->segments[segment].n; i++)
        share_in_place(p, segment, i);
    *bytes = spi_place_blocks(blocks, blocks_of(p, segment, blocks), 0, p->slab_bytes);
    sp_free(blocks);
    return SP_OK;
}

static sp_status check_total(const sp_plan *p, sp_error *err)
{
    const sp_plan *teacher = p->o.teacher;
    uint64_t total = p->arena_bytes + p->model->bytes, have = p->dev ? p->dev->info.global_bytes : 0;
    total += teacher ? teacher->arena_bytes + teacher->model->bytes : 0;
    if (!have || p->o.unlimited || total <= have)
        return SP_OK;
    return SP_FAIL(err, SP_E_DEVICE,
                   "the plan needs %.1f MiB on the device (%.1f MiB of it parameters and optimizer), but %s "
                   "has %.1f MiB; use %s%s",
                   (double)total / 1048576.0, (double)p->model->bytes / 1048576.0, p->dev->info.name,
                   (double)have / 1048576.0,
                   p->o.batch > 1 && p->model->bytes < have / 2 ? "a smaller batch"
                                                                : "a network of fewer layers or channels",
                   p->o.method == SP_METHOD_BPTT ? ", fewer time steps, or sltt, whose memory does not grow "
                                                   "with them"
                                                 : "");
}

sp_status spi_check_pieces(sp_plan *p, sp_error *err)
{
    find_slab_bytes(p);
    scan_uses(p);
    for (int i = 0; i < p->n_tensors; i++)
        if (p->tensors[i].segment >= 0)
            SP_TRY(check_tensor(p, &p->tensors[i], err));
    return SP_OK;
}

sp_status spi_place(sp_plan *p, sp_error *err)
{
    find_slab_bytes(p);
    p->state_bytes = 0;
    scan_uses(p);
    assign_lifetimes(p);
    for (int s = 0; s < p->n_segments; s++)
        for (int i = 0; i < p->segments[s].n; i++)
            share_in_place(p, s, i);
    SP_TRY(place_states(p, err));
    sp_block *blocks = sp_alloc_array((size_t)p->n_tensors + 1, sizeof *blocks);
    sp_status st = blocks ? SP_OK : SP_FAIL(err, SP_E_MEMORY, "out of memory while planning");
    for (int s = 0; st == SP_OK && s < p->n_segments; s++)
        st = place_segment(p, s, blocks, err);
    sp_free(blocks);
    return st == SP_OK ? check_total(p, err) : st;
}

void spi_detach(sp_plan *p)
{
    for (int i = 0; p->owns_slabs && i < p->n_slabs; i++)
        sp_device_free(p->dev, &p->slabs[i]);
    sp_free(p->slabs);
    p->slabs = NULL;
    p->n_slabs = 0;
    p->owns_slabs = false;
}

/* Zeros are not needed, but a system gives memory page by page at the first touch, which takes as long as a
 * tenth of a mini-batch of ResNet-18. Where it is scarce, kernels that are checked go first. */
sp_status spi_attach_early(sp_plan *p, sp_error *err)
{
    if (!p->o.early || p->slabs || !sp_device_maps(p->dev) ||
        p->arena_bytes + p->model->bytes > p->dev->info.global_bytes / 4)
        return SP_OK;
    SP_TRY(sp_plan_attach(p, NULL, err));
    for (int i = 0; i < p->n_slabs; i++) {
        const uint64_t left = p->arena_bytes - (uint64_t)i * p->slab_bytes;
        SP_TRY(sp_device_clear(p->dev, (sp_range){p->slabs[i], 0},
                               (size_t)(left < p->slab_bytes ? left : p->slab_bytes), err));
    }
    return SP_OK;
}

sp_status sp_plan_attach(sp_plan *p, sp_plan *share, sp_error *err)
{
    if (p->owns_slabs && !share && p->attached_bytes == p->arena_bytes)
        return SP_OK;
    spi_detach(p);
    p->attached_bytes = p->arena_bytes;
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
                               "the arena of activations and states, which a smaller batch makes smaller,",
                               &p->slabs[i], err));
        p->n_slabs++;
    }
    return SP_OK;
}

/* t is -1 or more: before the first step; contiguous: all steps. */
uint64_t sp_plan_at(const sp_plan *p, int tensor, int t)
{
    const sp_plan_tensor *v = &p->tensors[tensor];
    int64_t slots = sp_plan_slots(p, v);
    return v->at[v->contiguous && t < 0 ? 0 : (t + slots) % slots];
}

sp_range sp_plan_tensor_range(const sp_plan *p, int tensor, int t)
{
    const sp_plan_tensor *v = &p->tensors[tensor];
    if (v->lifetime == SP_LIFETIME_MODEL)
        return (sp_range){p->model->mem, v->fixed_at * 4};
    if (v->lifetime == SP_LIFETIME_TEACHER)
        return sp_plan_tensor_range(p->o.teacher, (int)v->fixed_at, 0);
    uint64_t at = sp_plan_at(p, tensor, t);
    return (sp_range){p->slabs[at / p->slab_bytes], at % p->slab_bytes};
}

sp_status sp_plan_read(const sp_plan *p, int tensor, int t, void *to, uint64_t bytes, sp_error *err)
{
    sp_status st = sp_device_read(p->dev, sp_plan_tensor_range(p, tensor, t), to, bytes, err);
    return st == SP_OK ? SP_OK : sp_error_prefix(err, st, "%s: ", p->tensors[tensor].name);
}

sp_range sp_plan_range(const sp_plan *p, const sp_operand *o, int t)
{
    if (o->tensor < 0)
        return (sp_range){NULL, 0};
    sp_range r = sp_plan_tensor_range(p, o->tensor, t + o->dt);
    r.at_bytes += o->at_elems * 4;
    return r;
}
