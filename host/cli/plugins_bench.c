/* spikeport plugins bench: checks every candidate for a call, then times those that conform. What is wrong is not timed.
 * Wall clock around batches of launches and a finish, after warm-up; the median batch counts. */
#include "cli/plugins.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/expr.h"
#include "base/mem.h"
#include "base/rng.h"
#include "check/check.h"

enum { MAX_CANDIDATES = 64, MAX_SAMPLES = 101, MIN_SAMPLES = 5, MIN_BATCH_NS = 2000000, ALIGN_WORDS = 64 };

typedef struct bench {
    const sp_cli_plugins *o;
    sp_op_call call;
    char text[512];
    cl_mem mem; /* all buffers of the call */
    sp_range buffers[SP_OP_MAX_BUFFERS];
    bool spikes;         /* one of them is bits */
    double bytes, flops; /* read and written, computed: by the contract, not by what a variant does */
    double reference_ms;
} bench;

static uint32_t draw_spikes(int64_t percent, sp_rng *rng)
{
    uint32_t word = 0;
    for (int bit = 0; bit < 32; bit++)
        word |= (uint32_t)(sp_rng_below(rng, 100) < percent) << bit;
    return word;
}

/* Spikes at the density asked for, labels and counts small, floats -1 to 1: what speed may depend on is the density and
 * denormals. */
static void fill(uint32_t *words, int64_t n, sp_type type, int64_t density, int64_t labels, sp_rng *rng)
{
    for (int64_t i = 0; i < n; i++) {
        float f = sp_rng_uniform(rng) * 2 - 1;
        if (density >= 0)
            words[i] = draw_spikes(density, rng);
        else if (type != SP_F32)
            words[i] = sp_rng_below(rng, (uint32_t)labels);
        else
            memcpy(&words[i], &f, sizeof f);
    }
}

/* The letter K of a loss is its number of classes: labels must stay below. */
static int64_t label_limit(const sp_op_call *call)
{
    int64_t k = 1;
    sp_op_call copy = *call;
    return sp_call_lookup(&copy, "K", &k) == 0 && k > 0 && k < UINT32_MAX ? k : 1;
}

/* Spikes past the last column of a row are zero in every real buffer. */
static void clear_past_columns(uint32_t *words, int64_t rows, int64_t cols)
{
    int64_t row_words = (cols + 31) / 32;
    for (int64_t r = 0; r < rows && cols % 32; r++)
        words[(r + 1) * row_words - 1] &= (UINT32_C(1) << (cols % 32)) - 1;
}

static uint64_t lay_out(bench *b)
{
    uint64_t words = 0;
    for (int i = 0; i < SP_OP_MAX_BUFFERS && b->call.op->buffers[i].name; i++) {
        if (!sp_call_has_buffer(&b->call, i))
            continue;
        uint64_t n = (uint64_t)sp_call_buffer_elems(&b->call, i);
        b->buffers[i].at_bytes = words * 4;
        b->bytes += (double)n * (sp_call_buffer_access(&b->call, i) == SP_INOUT ? 8 : 4);
        if (n >= UINT64_C(1) << 40)
            return 0;
        words += (n + ALIGN_WORDS - 1) / ALIGN_WORDS * ALIGN_WORDS;
    }
    return words;
}

static sp_status make_buffers(bench *b, sp_error *err)
{
    uint64_t words = lay_out(b);
    if (!words || words * 4 > b->o->dev->info.max_alloc_bytes)
        return SP_FAIL(err, SP_E_USAGE, "%s %s needs %.1f MB, the device gives at most %.1f MB in one buffer",
                       b->call.op->id, b->text, b->bytes / 1e6,
                       (double)b->o->dev->info.max_alloc_bytes / 1e6);
    uint32_t *image = sp_alloc_array(words, sizeof *image);
    if (!image)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory: %.1f MB", (double)words * 4e-6);
    sp_rng rng = sp_rng_make((uint64_t)b->o->seed, 0);
    for (int i = 0; i < SP_OP_MAX_BUFFERS && b->call.op->buffers[i].name; i++) {
        if (!sp_call_has_buffer(&b->call, i))
            continue;
        uint32_t *at = image + b->buffers[i].at_bytes / 4;
        bool bits = sp_call_buffer_is_bits(&b->call, i);
        fill(at, sp_call_buffer_elems(&b->call, i), b->call.op->buffers[i].type, bits ? b->o->density : -1,
             label_limit(&b->call), &rng);
        b->spikes |= bits;
        if (bits)
            clear_past_columns(at, sp_call_buffer_rows(&b->call, i), sp_call_buffer_cols(&b->call, i));
    }
    sp_status st = sp_device_alloc(b->o->dev, words * 4, "bench", &b->mem, err);
    if (st == SP_OK)
        st = sp_device_write(b->o->dev, (sp_range){b->mem, 0}, image, words * 4, true, err);
    for (int i = 0; i < SP_OP_MAX_BUFFERS && b->call.op->buffers[i].name; i++)
        b->buffers[i].mem = sp_call_has_buffer(&b->call, i) ? b->mem : NULL;
    sp_free(image);
    return st;
}

static sp_status time_batch(bench *b, sp_launch *l, sp_range work, int n, uint64_t *ns, sp_error *err)
{
    static const sp_dynamic middle = {.iteration = 1, .lr = 1e-3f, .bias1 = 0.1f, .bias2 = 0.1f};
    uint64_t start = sp_clock_ns();
    for (int i = 0; i < n; i++)
        SP_TRY(sp_launch_enqueue(l, b->buffers, work, &middle, "bench", err));
    SP_TRY(sp_device_finish(b->o->dev, err));
    *ns = sp_clock_ns() - start;
    return SP_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median time of one launch, from at least MIN_SAMPLES batches within the time given. */
static sp_status time_launch(bench *b, sp_launch *l, sp_range work, double *ms, sp_error *err)
{
    double samples[MAX_SAMPLES];
    uint64_t ns = 0, budget = (uint64_t)b->o->ms * 1000000, spent = 0;
    int batch = 1, n = 0;
    SP_TRY(time_batch(b, l, work, 1, &ns, err)); // builds what the driver builds late
    for (;;) {
        SP_TRY(time_batch(b, l, work, batch, &ns, err));
        if (ns >= MIN_BATCH_NS || batch >= 1 << 16)
            break;
        batch *= 2;
    }
    while (n < MAX_SAMPLES && (n < MIN_SAMPLES || spent < budget)) {
        SP_TRY(time_batch(b, l, work, batch, &ns, err));
        samples[n++] = (double)ns * 1e-6 / batch;
        spent += ns;
    }
    qsort(samples, (size_t)n, sizeof *samples, by_value);
    *ms = samples[n / 2];
    return SP_OK;
}

static sp_status time_variant(bench *b, sp_variant *v, double *ms, sp_error *err)
{
    sp_launch *l = NULL;
    sp_range work = {0};
    sp_status st = sp_launch_create(b->o->reg, b->o->dev, v, &b->call, NULL, &l, err);
    if (st == SP_OK && sp_launch_workspace(l))
        st = sp_device_alloc(b->o->dev, sp_launch_workspace(l), "workspace", &work.mem, err);
    if (st == SP_OK)
        st = time_launch(b, l, work, ms, err);
    sp_device_free(b->o->dev, &work.mem);
    sp_launch_destroy(&l);
    return st;
}

/* null where nothing was measured. */
static json_t *measured(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

static sp_status print_row(const bench *b, const sp_candidate *c, double ms, const char *text)
{
    double rate = ms > 0 ? (b->flops > 0 ? b->flops : b->bytes) / ms * 1e-6 : 0;
    double ratio = ms > 0 ? b->reference_ms / ms : 0;
    const char *unit = b->flops > 0 ? "GFLOP/s" : "GB/s";
    if (b->o->json)
        return sp_cli_json_line(json_pack(
            "{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:s, s:o, s:b, s:o}", "op", b->call.op->id, "call",
            b->text, "density_percent", b->spikes ? json_integer(b->o->density) : json_null(), "device",
            sp_cli_json_text(b->o->dev->info.name), "driver", sp_cli_json_text(b->o->dev->info.driver),
            "variant", c->variant->id, "version", c->variant->version, "median_ms", measured(ms), "rate",
            measured(rate), "unit", unit, "speedup_over_reference", measured(ratio), "chosen", c->chosen,
            "text", sp_cli_json_text(text)));
    if (ms > 0)
        printf("%c %-44s %10.4f ms  %9.2f %-7s  %7.2fx\n", c->chosen ? '*' : ' ', c->variant->id, ms, rate,
               unit, ratio);
    else
        printf("%c %-44s %s\n", c->chosen ? '*' : ' ', c->variant->id, text);
    fflush(stdout);
    return SP_OK;
}

/* Checks and times one candidate. A failure of it is a row, not the end. */
static sp_status bench_candidate(bench *b, const sp_candidate *c, bool *failed)
{
    sp_variant *v = c->variant;
    if (!c->applicable) {
        *failed |= v->refused != NULL; // trust found it wrong before we could
        return print_row(b, c, 0, v->refused ? v->refused : c->reason);
    }
    if (v->kind == SP_VARIANT_LOWER)
        return print_row(b, c, 0, "lowered to other ops: bench those");
    const sp_check_options quick = {.quick = true, .seed = (uint64_t)b->o->seed};
    sp_check_report report;
    sp_error err = {0};
    double ms = 0;
    sp_status st = sp_check_variant(b->o->reg, b->o->dev, v, &quick, &report, &err);
    if (st == SP_OK)
        st = time_variant(b, v, &ms, &err);
    if (st == SP_OK && v->origin == SP_ORIGIN_REFERENCE && b->reference_ms == 0)
        b->reference_ms = ms;
    *failed |= st != SP_OK;
    return print_row(b, c, st == SP_OK ? ms : 0, st == SP_OK ? "" : err.text);
}

static sp_status bench_all(bench *b, sp_error *err)
{
    sp_candidate all[MAX_CANDIDATES];
    bool failed = false;
    size_t n = sp_select_explain(b->o->reg, b->o->dev, &b->call, all, MAX_CANDIDATES);
    if (!b->o->json)
        printf("%s %s\non %s, driver %s; %.1f MB moved at least", b->call.op->id, b->text,
               b->o->dev->info.name, b->o->dev->info.driver, b->bytes / 1e6);
    if (!b->o->json && b->spikes)
        printf("; %" PRId64 " %% of the neurons fire", b->o->density);
    if (!b->o->json)
        printf("\n");
    for (int reference = 1; reference >= 0; reference--) // first, as the others are compared with it
        for (size_t i = 0; i < n; i++)
            if ((all[i].variant->origin == SP_ORIGIN_REFERENCE) == reference)
                SP_TRY(bench_candidate(b, &all[i], &failed));
    return failed ? SP_FAIL(err, SP_E_MISMATCH, "not every candidate conforms and runs") : SP_OK;
}

sp_status sp_cli_plugins_bench(const sp_cli_plugins *o, sp_error *err)
{
    bench b = {.o = o};
    SP_TRY(sp_cli_plugins_call(o, &b.call, err));
    sp_call_describe(&b.call, b.text, sizeof b.text);
    int64_t flops = 0;
    if (b.call.op->flops && sp_expr_eval(b.call.op->flops, sp_call_lookup, &b.call, &flops, NULL) == SP_OK)
        b.flops = (double)flops;
    sp_status st = make_buffers(&b, err);
    if (st == SP_OK)
        st = bench_all(&b, err);
    sp_device_free(o->dev, &b.mem);
    return st;
}
