/* spikeport plugins bench: checks every candidate for a call, then times those that conform. What is wrong is
 * not timed. Wall clock around batches of launches and a finish, after warm-up; the median batch counts. */
#include "cli/plugins.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "check/check.h"
#include "check/timing.h"
#include "cli/table.h"
#include "registry/wisdom.h"

enum { MAX_CANDIDATES = 64, MAX_SAMPLES = 101, MIN_SAMPLES = 5 };

typedef struct bench {
    const sp_cli_plugins *o;
    sp_op_call call;
    char text[512];
    bool spikes; /* one of the buffers is bits */
    sp_timing timing;
    double reference_ms;
} bench;

/* Median time of one launch, from at least MIN_SAMPLES batches within the time given. */
static sp_status time_launch(bench *b, sp_timed *l, double *ms, sp_error *err)
{
    double samples[MAX_SAMPLES];
    uint64_t end = sp_clock_ns() + (uint64_t)b->o->ms * 1000000;
    int n = 0;
    SP_TRY(sp_timing_warm(&b->timing, l, HUGE_VAL, NULL, err));
    while (n < MAX_SAMPLES && (n < MIN_SAMPLES || sp_clock_ns() < end))
        SP_TRY(sp_timing_once(&b->timing, l, &samples[n++], err));
    *ms = sp_timing_median(samples, n);
    return SP_OK;
}

static sp_status time_variant(bench *b, sp_variant *v, double *ms, sp_error *err)
{
    sp_timed l;
    int64_t tunes[SP_VARIANT_MAX_TUNES];
    bool tuned = sp_wisdom_tunes(b->o->reg, v, &b->call, tunes);
    SP_TRY(sp_timing_prepare(&b->timing, b->o->reg, v, tuned ? tunes : NULL, &l, err));
    sp_status st = time_launch(b, &l, ms, err);
    sp_timing_release(&b->timing, &l);
    return st;
}

/* null where nothing was measured. */
static json_t *measured(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

static const sp_column columns[] = {
    {.key = "chosen", .head = "", .width = 1},
    {.key = "variant", .head = "variant", .width = -44},
    {.key = "median_ms", .head = "median", .width = 13, .digits = 4, .unit = " ms"},
    {.key = "rate", .head = "rate", .width = 9, .digits = 2},
    {.key = "unit", .head = "", .width = -7},
    {.key = "speedup_over_reference", .head = "over reference", .width = 14, .digits = 2, .unit = "x"},
    {.key = "text", .head = ""}};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static sp_status print_row(const bench *b, const sp_candidate *c, double ms, const char *text)
{
    bool counts = b->timing.flops > 0;
    double rate = ms > 0 ? (counts ? b->timing.flops : b->timing.bytes) / ms * 1e-6 : 0;
    return sp_table_print(columns, N_COLUMNS,
                          json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:s, s:o, s:b, s:o}", "op",
                                    b->call.op->id, "call", b->text, "density_percent",
                                    b->spikes ? json_integer(b->o->density) : json_null(), "device",
                                    sp_cli_json_text(b->o->dev->info.name), "driver",
                                    sp_cli_json_text(b->o->dev->info.driver), "variant", c->variant->id,
                                    "version", c->variant->version, "median_ms", measured(ms), "rate",
                                    measured(rate), "unit", counts ? "GFLOP/s" : "GB/s",
                                    "speedup_over_reference", measured(ms > 0 ? b->reference_ms / ms : 0),
                                    "chosen", c->chosen, "text", sp_cli_json_text(text)),
                          b->o->json);
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
    if (!b->o->json) {
        printf("%s %s\non %s, driver %s; %.1f MB moved at least", b->call.op->id, b->text,
               b->o->dev->info.name, b->o->dev->info.driver, b->timing.bytes / 1e6);
        if (b->spikes)
            printf("; %" PRId64 " %% of the neurons fire", b->o->density);
        printf("\n");
        sp_table_print_head(columns, N_COLUMNS);
    }
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
    for (int i = 0; i < SP_OP_MAX_BUFFERS && b.call.op->buffers[i].name; i++)
        b.spikes = b.spikes || (sp_call_has_buffer(&b.call, i) && sp_call_buffer_is_bits(&b.call, i));
    SP_TRY(sp_timing_init(&b.timing, o->dev, &b.call, (uint64_t)o->seed, 0.01 * (double)o->density, err));
    sp_status st = bench_all(&b, err);
    sp_timing_fini(&b.timing);
    return st;
}
