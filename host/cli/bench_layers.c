/* Time by layer and op: a plan's steps by label, joined with the profile of the device. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "check/timing.h"
#include "cli/bench.h"

double sp_cli_segment_runs(const sp_plan *p, int64_t backprop_steps, int segment)
{
    double runs = segment == SP_SEGMENT_UPDATE;
    double part = p->o.time_steps > 0 ? (double)backprop_steps / (double)p->o.time_steps : 1;
    if (p->o.method != SP_METHOD_SLTT_K)
        part = 1;
    for (int i = 0; i < p->n_timeline; i++) {
        const sp_timeline_entry *m = &p->timeline[i];
        bool drawn = m->t >= 0 && m->condition != SP_ALWAYS;
        double yes = drawn ? part : 1;
        if (m->segment == segment)
            runs += m->condition == SP_IF_NOT_BACKPROP ? 1 - yes : yes;
    }
    return runs;
}

static bool op_is(const sp_op_call *c, const char *family)
{
    size_t n = strlen(family);
    return strncmp(c->op->id, family, n) == 0 && (c->op->id[n] == '/' || c->op->id[n] == '.');
}

static long long letter(const sp_op_call *c, const char *name)
{
    return (long long)sp_call_int(c, name);
}

/* "32x16x16x128 > 128, 3x3 /2" for windows, "M x N x K" for products, rows x columns else. */
static void describe_shape(const sp_op_call *c, char *out, size_t size)
{
    const bool conv = op_is(c, "conv") || op_is(c, "binary_conv");
    if (conv || op_is(c, "im2col") || op_is(c, "col2im"))
        snprintf(out, size, "%lldx%lldx%lldx%lld > %lld, %lldx%lld /%lld", letter(c, "N"), letter(c, "H"),
                 letter(c, "W"), letter(c, "C"), conv ? letter(c, "O") : letter(c, "C"), letter(c, "KH"),
                 letter(c, "KW"), letter(c, "SH"));
    else if (op_is(c, "gemm"))
        snprintf(out, size, "%lldx%lld, K %lld%s%s", letter(c, "M"), letter(c, "N"), letter(c, "K"),
                 sp_call_flag(c, "TA") ? " TA" : "", sp_call_flag(c, "TB") ? " TB" : "");
    else if (op_is(c, "pool"))
        snprintf(out, size, "%lldx%lldx%lldx%lld > %lldx%lld", letter(c, "N"), letter(c, "H"), letter(c, "W"),
                 letter(c, "C"), letter(c, "HO"), letter(c, "WO"));
    else
        snprintf(out, size, "%lldx%lld", (long long)sp_call_buffer_rows(c, 0),
                 (long long)sp_call_buffer_cols(c, 0));
}

static sp_cli_layer *layer_of(sp_cli_layers *l, const sp_plan *p, const sp_step *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].label, s->label) == 0)
            return &l->items[i];
    sp_cli_layer *added = sp_array_push(&l->items, l->n, sizeof *added);
    if (!added)
        return NULL;
    *added = (sp_cli_layer){.label = s->label,
                            .variant = s->variant->id,
                            .layer = s->node >= 0 ? p->graph->nodes[s->node].name : "-",
                            .spikes = op_is(&s->call, "binary_conv.forward") ||
                                      (op_is(&s->call, "conv.forward") && sp_call_flag(&s->call, "X_BITS"))};
    sp_op_family(s->call.op, added->op, sizeof added->op);
    describe_shape(&s->call, added->shape, sizeof added->shape);
    l->n++;
    return added;
}

static void join_profile(sp_cli_layers *l, sp_device *dev)
{
    const sp_profile_row *rows;
    size_t n = sp_device_profile(dev, &rows);
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < n; k++)
            if (rows[k].calls && strncmp(rows[k].name, l->items[i].label, sizeof rows[k].name - 1) == 0) {
                l->items[i].calls = (double)rows[k].calls;
                l->items[i].ms = 1e3 * rows[k].seconds / (double)rows[k].calls * l->items[i].launches;
            }
}

sp_status sp_cli_layers_make(const sp_plan *p, int64_t backprop_steps, sp_cli_layers *out, sp_error *err)
{
    *out = (sp_cli_layers){.n = 0};
    for (int g = 0; g < p->n_segments; g++) {
        double runs = sp_cli_segment_runs(p, backprop_steps, g);
        for (int i = 0; i < p->segments[g].n; i++) {
            const sp_step *s = &p->segments[g].steps[i];
            sp_cli_layer *l = layer_of(out, p, s);
            if (!l) {
                sp_free(out->items);
                return SP_FAIL(err, SP_E_MEMORY, "out of memory for the table of layers");
            }
            l->launches += runs * (s->variant->n_passes ? s->variant->n_passes : 1);
            l->flops += runs * sp_call_flops(&s->call);
            l->bytes += runs * sp_call_bytes(&s->call);
        }
    }
    join_profile(out, p->dev);
    return SP_OK;
}

const char *sp_cli_work_name(int work)
{
    static const char *const names[SP_WORKS] = {"conv forward, real input",
                                                "conv forward, spikes (dense count)",
                                                "conv input gradient",
                                                "conv weight gradient",
                                                "dense convolutions",
                                                "matrix products",
                                                "elementwise passes"};
    return names[work];
}

/* -1: counted nowhere. */
static int work_of(const sp_cli_layer *l)
{
    if (l->spikes || strcmp(l->op, "conv.forward") == 0)
        return l->spikes ? SP_WORK_SPIKES : SP_WORK_FORWARD;
    if (strcmp(l->op, "conv.backward_input") == 0)
        return SP_WORK_BACKWARD_INPUT;
    if (strcmp(l->op, "conv.backward_weight") == 0)
        return SP_WORK_BACKWARD_WEIGHT;
    return l->flops > 0 ? SP_WORK_PRODUCT : SP_WORK_ELEMENTWISE;
}

void sp_cli_layers_works(const sp_cli_layers *l, const sp_peaks *peaks, sp_cli_work out[SP_WORKS])
{
    double amount[SP_WORKS] = {0};
    memset(out, 0, SP_WORKS * sizeof *out);
    for (size_t i = 0; i < l->n; i++) {
        const sp_cli_layer *x = &l->items[i];
        int w = work_of(x);
        double much = w == SP_WORK_ELEMENTWISE ? x->bytes : x->flops;
        if (x->ms <= 0)
            continue;
        out[w].ms += x->ms;
        amount[w] += much;
        if (w == SP_WORK_FORWARD || w == SP_WORK_BACKWARD_INPUT || w == SP_WORK_BACKWARD_WEIGHT) {
            out[SP_WORK_DENSE].ms += x->ms;
            amount[SP_WORK_DENSE] += much;
        }
    }
    for (int w = 0; w < SP_WORKS; w++) {
        double peak = !peaks ? 0 : w == SP_WORK_ELEMENTWISE ? peaks->gbytes : peaks->gflops;
        out[w].rate = out[w].ms > 0 ? amount[w] / out[w].ms * 1e-6 : 0;
        out[w].share = peak > 0 ? out[w].rate / peak : 0;
    }
}

/* Rate and share of one row; the unit follows from whether the op counts operations. */
static double rate_of(const sp_cli_layer *l, const sp_peaks *peaks, double *share)
{
    double peak = !peaks ? 0 : l->flops > 0 ? peaks->gflops : peaks->gbytes;
    double rate = l->ms > 0 ? (l->flops > 0 ? l->flops : l->bytes) / l->ms * 1e-6 : 0;
    *share = peak > 0 ? rate / peak : 0;
    return rate;
}

double sp_cli_layers_reference(const sp_cli_layers *l, const sp_cli_layer **largest)
{
    double total = 0, reference = 0;
    *largest = NULL;
    for (size_t i = 0; i < l->n; i++) {
        const sp_cli_layer *x = &l->items[i];
        total += x->ms;
        if (strncmp(x->variant, "reference:", 10) != 0)
            continue;
        reference += x->ms;
        *largest = !*largest || x->ms > (*largest)->ms ? x : *largest;
    }
    return total > 0 ? reference / total : 0;
}

void sp_cli_layers_print(FILE *to, const sp_cli_layers *l, const sp_peaks *peaks)
{
    sp_cli_work works[SP_WORKS];
    double total = 0, share;
    for (size_t i = 0; i < l->n; i++)
        total += l->items[i].ms;
    fprintf(to, "%-22s %-24s %-32s %8s %10s %7s %18s %6s\n", "layer", "op", "shape", "launches", "ms",
            "of time", "rate", peaks ? "peak" : "");
    for (size_t i = 0; i < l->n; i++) {
        const sp_cli_layer *x = &l->items[i];
        double rate = rate_of(x, peaks, &share);
        if (x->ms <= 0)
            continue;
        fprintf(to, "%-22s %-24s %-32s %8.0f %10.3f %6.1f%% %10.2f %-7s", x->layer, x->op, x->shape,
                x->launches, x->ms, total > 0 ? 100 * x->ms / total : 0, rate,
                x->flops > 0 ? "GFLOP/s" : "GB/s");
        fprintf(to, peaks ? " %5.0f%%%s\n" : "\n", 100 * share, x->spikes ? " (spikes, dense count)" : "");
    }
    fprintf(to, "%-22s %-57s %8s %10.3f\n\nmean by time:\n", "all", "", "", total);
    sp_cli_layers_works(l, peaks, works);
    for (int w = 0; w < SP_WORKS; w++)
        if (works[w].ms > 0) {
            fprintf(to, "  %-36s %10.3f ms %5.1f%% of the time %10.2f %-7s", sp_cli_work_name(w), works[w].ms,
                    total > 0 ? 100 * works[w].ms / total : 0, works[w].rate,
                    w == SP_WORK_ELEMENTWISE ? "GB/s" : "GFLOP/s");
            fprintf(to, peaks ? " %5.1f%% of the peak\n" : "\n", 100 * works[w].share);
        }
    const sp_cli_layer *largest;
    double reference = sp_cli_layers_reference(l, &largest);
    if (largest && total > 0)
        fprintf(to, "reference kernels: %.1f%% of the time; the largest is %s of layer %s with %.1f%%\n",
                100 * reference, largest->op, largest->layer, 100 * largest->ms / total);
}

json_t *sp_cli_layers_json(const sp_cli_layers *l, const sp_peaks *peaks)
{
    json_t *a = json_array();
    for (size_t i = 0; i < l->n; i++) {
        const sp_cli_layer *x = &l->items[i];
        double share, rate = rate_of(x, peaks, &share);
        json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:s, s:o, s:b}",
                                           "layer", x->layer, "op", x->op, "variant", x->variant, "shape",
                                           x->shape, "launches", x->launches, "ms", x->ms, "flops", x->flops,
                                           "bytes", x->bytes, "rate", rate, "unit",
                                           x->flops > 0 ? "GFLOP/s" : "GB/s", "peak_share",
                                           share > 0 ? json_real(share) : json_null(), "spikes", x->spikes));
    }
    return a;
}

json_t *sp_cli_works_json(const sp_cli_layers *l, const sp_peaks *peaks)
{
    sp_cli_work works[SP_WORKS];
    json_t *o = json_object();
    sp_cli_layers_works(l, peaks, works);
    for (int w = 0; w < SP_WORKS; w++)
        json_object_set_new(o, sp_cli_work_name(w),
                            json_pack("{s:f, s:f, s:s, s:o}", "ms", works[w].ms, "rate", works[w].rate,
                                      "unit", w == SP_WORK_ELEMENTWISE ? "GB/s" : "GFLOP/s", "peak_share",
                                      works[w].share > 0 ? json_real(works[w].share) : json_null()));
    return o;
}

void sp_cli_say_layers(const sp_session *s)
{
    const sp_plan *plans[] = {s->train, s->eval};
    for (int i = 0; i < 2 && sp_log_wants(SP_LOG_INFO); i++) {
        sp_cli_layers l;
        if (!plans[i] || sp_cli_layers_make(plans[i], s->recipe.backprop_steps, &l, NULL) != SP_OK)
            continue;
        sp_cli_say("\n%s, device time of a mini-batch:\n", i ? "evaluation" : "training");
        sp_cli_layers_print(stderr, &l, NULL);
        sp_free(l.items);
    }
}
