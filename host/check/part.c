/* Which call a variant is compared on, and in which part of its samples: the C reference may take minutes for
 * a call that a device does in milliseconds. The call itself runs whole, because a kernel that has sizes
 * compiled in is another program for each of them; the reference computes some samples (or rows) of it. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "check/case.h"

/* An actual call above these is tried with fewer samples, where its program is the same then. */
static const double large_call_flops = 5e7, large_call_bytes = 8e6;
/* What the C reference may compute: for a whole call (as long as a compiler takes), for the samples that are
 * compared of a larger one, and for one sample of them. */
static const double whole_call_flops = 5e8, part_flops = 1e8, sample_flops = 2e9;
/* What the device and the host's memory may be asked for; of a device of another type than the kernel is made
 * for, where it is slow, less. */
static const double most_call_flops = 4e10, most_flops_elsewhere = 2e9, most_call_bytes = 2.56e8;
enum { FEWEST_SAMPLES = 3 }; /* the first, one between, and the last */

/* Ops that can be told apart by samples. Outputs are rows of samples, or sums over them: then all but a few
 * are left nothing to add, by zeros in one input. */
static const struct {
    const char *op, *letter, *summed; /* start of the op's id; NULL: not summed */
    int transposed;                   /* gemm: TA; -1: no matter */
} parts[] = {
    {"conv.backward_weight/", "N", "e", -1},
    {"group_conv.backward_weight/", "N", "e", -1},
    {"conv.", "N", NULL, -1},
    {"group_conv.", "N", NULL, -1},
    {"binary_conv.", "N", NULL, -1},
    {"gemm/", "M", NULL, 0},
    {"gemm/", "K", "a", 1},
};

static bool scales(const sp_op_call *a, const sp_op_call *b, int buffer)
{
    return sp_call_buffer_elems(a, buffer) != sp_call_buffer_elems(b, buffer);
}

/* Whether each buffer that depends on the number of samples has whole words for each of them. */
static bool has_whole_words(const sp_op_call *call, const sp_check_part *p)
{
    bool whole = true;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && call->op->buffers[i].name; i++)
        if (sp_call_has_buffer(call, i) && scales(call, &p->call, i)) {
            const int64_t all = sp_call_buffer_elems(call, i);
            whole &= all % p->of == 0 && all / p->of * p->n == sp_call_buffer_elems(&p->call, i);
        }
    return whole;
}

static bool part_by(const sp_op_call *call, const char *letter, const char *summed, sp_check_part *p)
{
    const int64_t of = sp_call_int(call, letter);
    const double each = sp_call_flops(call) / (double)of;
    int64_t n = (int64_t)(part_flops / each);
    n = n < FEWEST_SAMPLES ? FEWEST_SAMPLES : n;
    while (n > 1 && (n > of || (double)n * each > sample_flops))
        n = n > of ? of : n - 1;
    *p = (sp_check_part){.call = *call, .of = of, .n = n, .summed = -1};
    sp_call_set_int(&p->call, letter, n);
    if (summed)
        p->summed = sp_op_buffer_index(call->op, summed);
    return (double)n * each <= sample_flops && has_whole_words(call, p);
}

bool sp_check_part_of(const sp_op_call *call, sp_check_part *p)
{
    if (sp_call_flops(call) <= whole_call_flops)
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strncmp(call->op->id, parts[i].op, strlen(parts[i].op)) != 0)
            continue;
        if (parts[i].transposed >= 0 && (sp_call_flag(call, "TA") != 0) != parts[i].transposed)
            continue;
        if (parts[i].summed && parts[i].transposed == 1 && sp_call_flag(call, "TB"))
            return false; /* b has no rows of samples */
        return part_by(call, parts[i].letter, parts[i].summed, p);
    }
    return false;
}

/* The k-th sample that is compared. */
static int64_t place(const sp_check_part *p, int64_t k)
{
    return p->n == 1 ? p->of - 1 : k * (p->of - 1) / (p->n - 1);
}

/* Between the samples that are compared and their places among all. */
static void copy_samples(const sp_check_part *p, uint32_t *few, uint32_t *all, int64_t words, bool gather)
{
    const size_t each = (size_t)(words / p->of);
    for (int64_t k = 0; k < p->n; k++) {
        uint32_t *a = few + (size_t)k * each, *b = all + (size_t)place(p, k) * each;
        memcpy(gather ? a : b, gather ? b : a, each * sizeof *a);
    }
}

sp_status sp_check_part_draw(const sp_check_part *p, sp_check_case *all, sp_check_case *few, sp_error *err)
{
    SP_TRY(sp_check_case_draw(few, &p->call, all->seed, err));
    for (int i = 0; i < all->n_buffers; i++) {
        sp_check_buffer *a = &all->buffers[i], *f = &few->buffers[i];
        sp_free(a->expected);
        a->expected = NULL;
        if (!a->present)
            continue;
        if (a->words != f->words)
            copy_samples(p, f->initial, a->initial, a->words, true);
        else
            memcpy(f->initial, a->initial, (size_t)a->words * sizeof *a->initial);
        memcpy(f->expected, f->initial, (size_t)f->words * sizeof *f->initial);
        if (i == p->summed) {
            memset(a->initial, 0, (size_t)a->words * sizeof *a->initial);
            copy_samples(p, f->initial, a->initial, a->words, false);
        }
    }
    return SP_OK;
}

sp_status sp_check_part_take(const sp_check_part *p, const sp_check_case *all, sp_check_case *few,
                             sp_error *err)
{
    for (int i = 0; i < all->n_buffers; i++) {
        const sp_check_buffer *a = &all->buffers[i];
        sp_check_buffer *f = &few->buffers[i];
        if (!a->present || a->access == SP_IN)
            continue;
        for (int64_t k = 0; k < a->words; k++)
            if (a->got[k] == (a->half ? SP_CHECK_POISON_HALF : SP_CHECK_POISON))
                return SP_FAIL(err, SP_E_MISMATCH, "%s: element %lld of %lld is not written", a->name,
                               (long long)k, (long long)a->words);
        if (a->words != f->words)
            copy_samples(p, f->got, a->got, a->words, true);
        else
            memcpy(f->got, a->got, (size_t)a->words * sizeof *a->got);
    }
    return SP_OK;
}

/* ---- which call ---- */

/* Whether the call itself is compared, in all or in a part of its samples. */
static bool is_comparable(const sp_variant *v, const sp_device *dev, const sp_op_call *call)
{
    sp_check_part part;
    const bool is_slow = (dev->info.quirks & SP_QUIRK_SLOW_SIMULATOR) != 0;
    const double most = sp_variant_is_meant_for(v, dev) ? most_call_flops : most_flops_elsewhere;
    const double bytes = sp_call_bytes(call), flops = sp_call_flops(call);
    const double room = (double)dev->info.global_bytes / 4, one = (double)dev->info.max_alloc_bytes;
    if (bytes > most_call_bytes || bytes > room || bytes > one * 0.75)
        return false;
    return flops <= whole_call_flops || (!is_slow && flops <= most && sp_check_part_of(call, &part));
}

/* With fewer samples, a kernel whose first size is baked is another program. */
static bool bakes_samples(const sp_variant *v)
{
    return v->n_bakes && sp_variant_bakes(v, v->op->ints[0]);
}

sp_op_call sp_check_shrink(const sp_variant *v, const sp_device *dev, const sp_op_call *call,
                           const int64_t *tune_values)
{
    sp_op_call c = *call;
    if (bakes_samples(v) && is_comparable(v, dev, call))
        return c;
    while ((sp_call_flops(&c) > large_call_flops || sp_call_bytes(&c) > large_call_bytes) && c.ints[0] > 1) {
        sp_op_call half = c;
        half.ints[0] = c.ints[0] / 2;
        if (!sp_variant_can_run(v, dev, &half, tune_values, NULL, 0))
            break;
        c = half;
    }
    return c;
}

bool sp_check_few_samples(const sp_variant *v, const sp_device *dev, const sp_op_call *call, sp_op_call *few)
{
    *few = *call;
    if (!v->n_bakes || bakes_samples(v))
        return false;
    for (few->ints[0] = call->ints[0] < 2 ? call->ints[0] : 2;
         few->ints[0] < call->ints[0] && !sp_variant_can_run(v, dev, few, NULL, NULL, 0); few->ints[0]++)
        ;
    return is_comparable(v, dev, few);
}

bool sp_check_call_at_hand(const sp_variant *v, const sp_device *dev, const sp_op_call *call,
                           sp_op_call *tried)
{
    *tried = sp_check_shrink(v, dev, call, NULL);
    return bakes_samples(v) && is_comparable(v, dev, tried);
}
