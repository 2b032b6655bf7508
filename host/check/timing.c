/* Wall clock around batches of launches and a finish: drivers' event times differ in what they count, and a
 * schedule pays for the launch as well. */
#include "check/timing.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/stats.h"

enum { ALIGN_WORDS = 64 };
static const double min_batch_ms = 2;

/* Bits at random, labels and counts small, floats -1 to 1: speed must not depend on them, but denormals
 * would. */
static void fill(uint32_t *words, int64_t n, sp_type type, int64_t labels, sp_rng *rng)
{
    for (int64_t i = 0; i < n; i++) {
        float f = sp_rng_uniform(rng) * 2 - 1;
        if (type != SP_F32)
            words[i] = sp_rng_below(rng, (uint32_t)labels);
        else
            memcpy(&words[i], &f, sizeof f);
    }
}

/* Spikes past the last column of a row are zero, as in every real buffer. */
static void fill_bits(uint32_t *words, int64_t rows, int64_t cols, double density, sp_rng *rng)
{
    int64_t row_words = (cols + 31) / 32;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t w = 0; w < row_words; w++) {
            uint32_t bits = 0;
            for (int64_t b = 0; b < 32 && w * 32 + b < cols; b++)
                bits |= (uint32_t)((double)sp_rng_uniform(rng) < density) << b;
            words[r * row_words + w] = bits;
        }
}

/* The letter K of a loss is its number of classes: labels must stay below. */
static int64_t label_limit(const sp_op_call *call)
{
    int64_t k = 1;
    sp_op_call copy = *call;
    return sp_call_lookup(&copy, "K", &k) == 0 && k > 0 && k < UINT32_MAX ? k : 1;
}

static uint64_t lay_out(sp_timing *t)
{
    uint64_t words = 0;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && t->call.op->buffers[i].name; i++) {
        if (!sp_call_has_buffer(&t->call, i))
            continue;
        uint64_t n = (uint64_t)sp_call_buffer_elems(&t->call, i);
        t->buffers[i].at_bytes = words * 4;
        if (n >= UINT64_C(1) << 40)
            return 0;
        words += (n + ALIGN_WORDS - 1) / ALIGN_WORDS * ALIGN_WORDS;
    }
    return words;
}

sp_status sp_timing_init(sp_timing *t, sp_device *dev, const sp_op_call *call, uint64_t seed, double density,
                         sp_error *err)
{
    *t = (sp_timing){.dev = dev, .call = *call, .bytes = sp_call_bytes(call), .flops = sp_call_flops(call)};
    uint64_t words = lay_out(t);
    char text[512];
    sp_call_describe(call, text, sizeof text);
    if (!words || words * 4 > dev->info.max_alloc_bytes)
        return SP_FAIL(err, SP_E_USAGE, "%s %s needs %.1f MB, the device gives at most %.1f MB in one buffer",
                       call->op->id, text, t->bytes / 1e6, (double)dev->info.max_alloc_bytes / 1e6);
    uint32_t *image = sp_alloc_array(words, sizeof *image);
    if (!image)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory: %.1f MB", (double)words * 4e-6);
    sp_rng rng = sp_rng_make(seed, 0);
    for (int i = 0; i < SP_OP_MAX_BUFFERS && call->op->buffers[i].name; i++) {
        uint32_t *at = image + t->buffers[i].at_bytes / 4;
        if (!sp_call_has_buffer(call, i))
            continue;
        if (sp_call_buffer_is_bits(call, i))
            fill_bits(at, sp_call_buffer_rows(call, i), sp_call_buffer_cols(call, i), density, &rng);
        else
            fill(at, sp_call_buffer_elems(call, i), call->op->buffers[i].type, label_limit(call), &rng);
    }
    sp_status st = sp_device_alloc(dev, words * 4, "timing", &t->mem, err);
    if (st == SP_OK)
        st = sp_device_write(dev, (sp_range){t->mem, 0}, image, words * 4, true, err);
    for (int i = 0; i < SP_OP_MAX_BUFFERS && call->op->buffers[i].name; i++)
        t->buffers[i].mem = sp_call_has_buffer(call, i) ? t->mem : NULL;
    sp_free(image);
    if (st != SP_OK)
        sp_timing_fini(t);
    return st;
}

void sp_timing_fini(sp_timing *t)
{
    if (t->dev)
        sp_device_free(t->dev, &t->mem);
}

sp_status sp_timing_prepare(sp_timing *t, sp_registry *reg, sp_variant *v, const int64_t *tune_values,
                            sp_timed *out, sp_error *err)
{
    *out = (sp_timed){.batch = 1};
    sp_status st = sp_launch_create(reg, t->dev, v, &t->call, tune_values, &out->launch, err);
    if (st == SP_OK && sp_launch_workspace(out->launch))
        st = sp_device_alloc(t->dev, sp_launch_workspace(out->launch), "workspace", &out->work.mem, err);
    if (st != SP_OK)
        sp_timing_release(t, out);
    return st;
}

void sp_timing_release(sp_timing *t, sp_timed *l)
{
    sp_device_free(t->dev, &l->work.mem);
    sp_launch_destroy(&l->launch);
}

sp_status sp_timing_once(sp_timing *t, sp_timed *l, double *ms, sp_error *err)
{
    static const sp_dynamic middle = {
        .iteration = 1, .time_step = 1, .lr = 1e-3f, .bias1 = 0.1f, .bias2 = 0.1f};
    uint64_t start = sp_clock_ns();
    for (int i = 0; i < l->batch; i++)
        SP_TRY(sp_launch_enqueue(l->launch, t->buffers, l->work, &middle, "timing", err));
    SP_TRY(sp_device_finish(t->dev, err));
    *ms = (double)(sp_clock_ns() - start) * 1e-6 / l->batch;
    return SP_OK;
}

sp_status sp_timing_warm(sp_timing *t, sp_timed *l, double give_up_ms, double *first_ms, sp_error *err)
{
    double ms = 0;
    l->batch = 1;
    SP_TRY(sp_timing_once(t, l, &ms, err)); // builds what the driver builds late
    SP_TRY(sp_timing_once(t, l, &ms, err));
    if (first_ms)
        *first_ms = ms;
    while (ms <= give_up_ms && ms * l->batch < min_batch_ms && l->batch < 1 << 16) {
        l->batch *= 2;
        SP_TRY(sp_timing_once(t, l, &ms, err));
    }
    return SP_OK;
}

double sp_timing_median(double *samples, int n)
{
    sp_sort(samples, (size_t)n);
    return n % 2 ? samples[n / 2] : 0.5 * (samples[n / 2 - 1] + samples[n / 2]);
}
