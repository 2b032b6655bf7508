/* Device memory of a case: every buffer of the call and the workspace in one cl_mem, each at an odd multiple
 * of 256 bytes (never better aligned than a plan's ranges are), with guard zones of at least 256 bytes on
 * both sides. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "check/case.h"

enum { ALIGN_WORDS = 64, GUARD_WORDS = 64 };

/* Guard words are NaN as well: an element that is read past the end and multiplied by zero still shows. */
static uint32_t guard_word(uint64_t i)
{
    return UINT32_C(0x7fc0c000) | (uint32_t)(i & 0xfff);
}

void sp_check_arena_init(sp_check_arena *a, sp_device *dev)
{
    *a = (sp_check_arena){.dev = dev};
}

void sp_check_arena_fini(sp_check_arena *a)
{
    if (a->mem)
        sp_device_free(a->dev, &a->mem);
    sp_free(a->image);
    sp_free(a->back);
    *a = (sp_check_arena){.dev = a->dev};
}

static uint64_t place(sp_check_arena *a, uint64_t words)
{
    uint64_t at = (a->words + ALIGN_WORDS - 1) / ALIGN_WORDS * ALIGN_WORDS;
    if (at / ALIGN_WORDS % 2 == 0)
        at += ALIGN_WORDS;
    a->words = at + words + GUARD_WORDS;
    return at;
}

static sp_status reserve(sp_check_arena *a, sp_error *err)
{
    if (a->words <= a->capacity_words)
        return SP_OK;
    if (a->mem)
        sp_device_free(a->dev, &a->mem);
    sp_free(a->image);
    sp_free(a->back);
    a->capacity_words = 0;
    a->image = sp_alloc_array(a->words, 4);
    a->back = sp_alloc_array(a->words, 4);
    if (!a->image || !a->back)
        return SP_FAIL(err, SP_E_MEMORY, "no host memory for a check of %" PRIu64 " bytes", a->words * 4);
    SP_TRY(sp_device_alloc(a->dev, a->words * 4, "conformance check", &a->mem, err));
    a->capacity_words = a->words;
    return SP_OK;
}

static sp_status lay_out(sp_check_arena *a, const sp_check_case *c, uint64_t workspace_bytes, bool shared,
                         sp_error *err)
{
    a->words = GUARD_WORDS;
    for (int i = 0; i < c->n_buffers; i++)
        if (c->buffers[i].present && !(shared && sp_check_alias_of(c, i) >= 0))
            a->at[i] = place(a, (uint64_t)c->buffers[i].words);
    for (int i = 0; i < c->n_buffers; i++)
        if (shared && c->buffers[i].present && sp_check_alias_of(c, i) >= 0)
            a->at[i] = a->at[sp_check_alias_of(c, i)];
    a->work_words = (workspace_bytes + 3) / 4;
    a->work_at = a->work_words ? place(a, a->work_words) : 0;
    SP_TRY(reserve(a, err));

    for (uint64_t i = 0; i < a->words; i++)
        a->image[i] = guard_word(i);
    for (int i = 0; i < c->n_buffers; i++) {
        const sp_check_buffer *b = &c->buffers[i];
        if (b->present && !(shared && sp_check_alias_of(c, i) >= 0))
            memcpy(a->image + a->at[i], b->initial, (size_t)b->words * 4);
    }
    for (uint64_t i = 0; i < a->work_words; i++)
        a->image[a->work_at + i] = SP_CHECK_POISON;
    return SP_OK;
}

/* The buffer whose guard zone holds word w, in words. */
static sp_status report_guard(const sp_check_arena *a, const sp_check_case *c, uint64_t w, sp_error *err)
{
    const char *name = "work";
    uint64_t distance = UINT64_MAX;
    bool after = false;
    for (int i = 0; i <= c->n_buffers; i++) {
        bool work = i == c->n_buffers;
        if (work ? !a->work_words : !c->buffers[i].present)
            continue;
        uint64_t at = work ? a->work_at : a->at[i], n = work ? a->work_words : (uint64_t)c->buffers[i].words;
        uint64_t d = w < at ? at - w : w - (at + n) + 1;
        if (d < distance) {
            distance = d;
            name = work ? "work" : c->buffers[i].name;
            after = w >= at;
        }
    }
    return SP_FAIL(err, SP_E_MISMATCH, "wrote %" PRIu64 " element(s) %s buffer %s", distance,
                   after ? "past the end of" : "before the start of", name);
}

/* Whether the device holds anything at all of what it was given. A kernel that writes where it should not
 * leaves most of the guard words alone; transfers that do nothing leave none. */
static sp_status check_transfers(const sp_check_arena *a, sp_error *err)
{
    for (uint64_t w = 0; w < GUARD_WORDS; w++)
        if (a->back[w] == a->image[w] || a->back[a->words - 1 - w] == a->image[a->words - 1 - w])
            return SP_OK;
    return SP_FAIL(err, SP_E_MISMATCH,
                   "nothing was written: the device gives back none of what was sent to it, so its driver's "
                   "transfers do nothing (or not what they should)");
}

/* Words that no buffer owns, and inputs that no output shares, must be as they were. */
static sp_status check_untouched(const sp_check_arena *a, const sp_check_case *c, sp_error *err)
{
    uint64_t w = 0;
    while (w < a->words) {
        uint64_t skip = 0; /* length of the buffer that starts here */
        for (int i = 0; i < c->n_buffers; i++)
            if (c->buffers[i].present && a->at[i] == w)
                skip = (uint64_t)c->buffers[i].words;
        if (a->work_words && a->work_at == w)
            skip = a->work_words;
        if (!skip && a->back[w] != a->image[w])
            return report_guard(a, c, w, err);
        w += skip ? skip : 1;
    }
    for (int i = 0; i < c->n_buffers; i++) {
        const sp_check_buffer *b = &c->buffers[i];
        bool overwritten = !b->present || b->access != SP_IN;
        for (int k = 0; k < c->n_buffers; k++)
            overwritten |= k != i && c->buffers[k].present && a->at[k] == a->at[i];
        for (int64_t k = 0; !overwritten && k < b->words; k++)
            if (a->back[a->at[i] + (uint64_t)k] != b->initial[k])
                return SP_FAIL(err, SP_E_MISMATCH, "changed its input %s (element %" PRId64 ")", b->name, k);
    }
    return SP_OK;
}

static sp_dynamic dynamic_of(const sp_op_call *call)
{
    sp_dynamic d = {0};
    const struct {
        const char *name;
        int32_t *i;
        float *f;
    } scalars[] = {{"first", &d.first, NULL},         {"last", &d.last, NULL},
                   {"iteration", &d.iteration, NULL}, {"block_start", &d.block_start, NULL},
                   {"time_step", &d.time_step, NULL}, {"lr", NULL, &d.lr},
                   {"bias1", NULL, &d.bias1},         {"bias2", NULL, &d.bias2}};
    for (size_t k = 0; k < sizeof scalars / sizeof *scalars; k++) {
        for (int i = 0; scalars[k].i && i < SP_OP_MAX_INTS && call->op->ints[i]; i++)
            if (strcmp(call->op->ints[i], scalars[k].name) == 0)
                *scalars[k].i = (int32_t)call->ints[i];
        for (int i = 0; scalars[k].f && i < SP_OP_MAX_FLOATS && call->op->floats[i]; i++)
            if (strcmp(call->op->floats[i], scalars[k].name) == 0)
                *scalars[k].f = (float)call->floats[i];
    }
    return d;
}

sp_status sp_check_arena_run(sp_check_arena *a, sp_check_case *c, sp_launch *launch, bool shared,
                             sp_error *err)
{
    SP_TRY(lay_out(a, c, sp_launch_workspace(launch), shared, err));
    sp_range ranges[SP_OP_MAX_BUFFERS] = {0}, work = {0}, all = {a->mem, 0};
    for (int i = 0; i < c->n_buffers; i++)
        if (c->buffers[i].present)
            ranges[i] = (sp_range){a->mem, a->at[i] * 4};
    if (a->work_words)
        work = (sp_range){a->mem, a->work_at * 4};
    sp_dynamic dyn = dynamic_of(&c->call);
    SP_TRY(sp_device_write(a->dev, all, a->image, a->words * 4, true, err));
    SP_TRY(sp_launch_enqueue(launch, ranges, work, &dyn, c->call.op->id, err));
    SP_TRY(sp_device_finish(a->dev, err));
    memset(a->back, 0, a->words * 4); /* a read that does nothing must not leave an earlier answer there */
    SP_TRY(sp_device_read(a->dev, all, a->back, a->words * 4, err));
    SP_TRY(check_transfers(a, err));
    for (int i = 0; i < c->n_buffers; i++)
        if (c->buffers[i].present)
            memcpy(c->buffers[i].got, a->back + a->at[i], (size_t)c->buffers[i].words * 4);
    return check_untouched(a, c, err);
}
