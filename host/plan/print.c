/* A plan as text: what runs when, on which kernel and why, and where every byte of device memory goes. */
#include <stdlib.h>
#include <string.h>

#include "plan/builder.h"

static double mib(uint64_t bytes)
{
    return (double)bytes / 1048576.0;
}

static void print_segment(const sp_segment *s, sp_text *out)
{
    sp_text_add(out, "\nsegment %s: %d launches\n", s->name, s->n);
    for (int i = 0; i < s->n; i++) {
        const sp_step *step = &s->steps[i];
        sp_text_add(out, "  %3d  %-44s %-44s %s\n", i, step->label,
                    step->variant ? step->variant->id : "none chosen", step->why);
    }
}

static void print_steps(const sp_plan *p, sp_text *out)
{
    for (int i = 0; i <= p->n_timeline; i++) { /* in the order in which they run first, the update last */
        int s = i < p->n_timeline ? p->timeline[i].segment : SP_SEGMENT_UPDATE, before = 0;
        while (before < i && p->timeline[before].segment != s)
            before++;
        if (before == i && p->segments[s].n)
            print_segment(&p->segments[s], out);
    }
}

/* "timeline: begin, forward 0 to 5, backward 5 to 0, end, then update" */
static void print_timeline(const sp_plan *p, sp_text *out)
{
    for (int i = 0, last; i < p->n_timeline; i = last + 1) {
        const sp_timeline_entry *m = &p->timeline[i];
        for (last = i; last + 1 < p->n_timeline && p->timeline[last + 1].segment == m->segment;)
            last++;
        sp_text_add(out, "%s %s", i ? "," : "\ntimeline:", p->segments[m->segment].name);
        if (m->t >= 0)
            sp_text_add(out, last > i ? " %d to %d" : " %d", m->t, p->timeline[last].t);
        if (m->condition != SP_ALWAYS)
            sp_text_add(out, " (%s)",
                        m->condition == SP_IF_BACKPROP ? "if it is drawn" : "if it is not drawn");
    }
    sp_text_add(out, "%s\n", p->segments[SP_SEGMENT_UPDATE].n ? ", then update" : "");
}

static int kind_order(const sp_plan_tensor *v)
{
    return v->lifetime == SP_LIFETIME_HISTORY ? 0 : v->lifetime == SP_LIFETIME_PLAN ? 1 : 2;
}

static void print_values(const sp_plan *p, sp_text *out)
{
    static const char *const kinds[] = {"every time step", "whole mini-batch", "one segment"};
    sp_text_add(out, "\n%-40s %-18s %12s  %s\n", "tensor", "lives", "bytes", "offset in the arena");
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < p->n_tensors; i++) {
            const sp_plan_tensor *v = &p->tensors[i];
            const bool elsewhere = v->lifetime == SP_LIFETIME_MODEL || v->lifetime == SP_LIFETIME_TEACHER;
            if (elsewhere || kind_order(v) != k || v->used_in == 0)
                continue;
            uint64_t slots = (uint64_t)sp_plan_slots(p, v);
            sp_text_add(out, "%-40s %-18s %12llu  %llu%s%s\n", v->name, kinds[k],
                        (unsigned long long)(v->bytes * slots), (unsigned long long)v->at[0],
                        v->half ? " (half)" : "", v->shares >= 0 ? " (in place)" : "");
        }
}

int sp_plan_runs(const sp_plan *p, int segment)
{
    int n = segment == SP_SEGMENT_UPDATE;
    for (int i = 0; i < p->n_timeline; i++)
        n += p->timeline[i].segment == segment && p->timeline[i].condition != SP_IF_NOT_BACKPROP;
    return n;
}

static int launches_per_batch(const sp_plan *p)
{
    int n = 0;
    for (int g = 0; g < p->n_segments; g++)
        n += sp_plan_runs(p, g) * p->segments[g].n;
    return n;
}

sp_half_stats sp_plan_half(const sp_plan *p)
{
    sp_half_stats h = {0};
    for (int i = 0; i < p->n_tensors; i++) {
        const sp_plan_tensor *v = &p->tensors[i];
        if (!v->half || v->used_in == 0)
            continue;
        h.tensors++;
        h.bytes += v->bytes * (uint64_t)sp_plan_slots(p, v);
    }
    return h;
}

sp_bf16_stats sp_plan_bf16(const sp_plan *p)
{
    sp_bf16_stats b = {0};
    double all = 0, rounded = 0;
    for (int g = 0; g < p->n_segments; g++)
        for (int i = 0; i < p->segments[g].n; i++) {
            const sp_step *s = &p->segments[g].steps[i];
            if (!s->variant || !spi_may_round(p, &s->call))
                continue;
            const double work = sp_call_flops(&s->call) * sp_plan_runs(p, g);
            all += work, rounded += s->variant->bf16 ? work : 0;
            b.steps++, b.bf16 += s->variant->bf16;
        }
    b.share = all > 0 ? rounded / all : 0;
    return b;
}

void sp_plan_print_bf16(const sp_plan *p, sp_text *out)
{
    const sp_bf16_stats b = sp_plan_bf16(p);
    if (b.steps && b.bf16)
        sp_text_add(out,
                    "products in bf16: %d of %d convolutions and matrix products, %.0f %% of their "
                    "multiply-adds; the others in float32\n",
                    b.bf16, b.steps, 100 * b.share);
    else if (b.steps)
        sp_text_add(out,
                    "products in bf16: none of %d convolutions and matrix products; %s. All are in float32\n",
                    b.steps,
                    p->reg->package ? "the programs of a package compute in float32"
                                    : "this device has no kernel that computes them in bf16, or a faster one "
                                      "in float32");
}

/* "recomputed in the backward pass: 0, 1.branch.3 (2 of 9 inputs of batch norms), ..." */
static void print_recomputed(const sp_plan *p, sp_text *out)
{
    const sp_recompute_stats *r = &p->recompute;
    if (!r->n)
        return;
    sp_text_add(out, "recomputed in the backward pass: outputs of");
    for (int i = 0, n = 0; i < p->graph->n_acts; i++)
        if (p->recomputed[i])
            sp_text_add(out, "%s %s", n++ ? "," : "", p->graph->nodes[p->graph->acts[i].producer].name);
    sp_text_add(out,
                "\n  %d of %d inputs of batch norms, %.2f of their %.2f MiB (all that can be: %.2f) for %.2f "
                "GFLOP more a mini-batch\n",
                r->n, r->kept, mib(r->bytes), mib(r->kept_bytes), mib(r->most_bytes), r->operations * 1e-9);
}

uint64_t sp_plan_weight_bytes(const sp_plan *p, uint64_t *binary)
{
    uint64_t bytes = 0;
    *binary = 0;
    for (int i = 0; i < p->graph->n_params; i++) {
        const sp_param *w = &p->graph->params[i];
        bytes += w->trainable ? (uint64_t)sp_model_weight_elems(p->model, w) * 4 : 0;
        *binary += sp_model_is_packed(p->model, w) ? (uint64_t)w->elems : 0;
    }
    return bytes;
}

static void print_binary(const sp_plan *p, sp_text *out)
{
    uint64_t binary, bytes = sp_plan_weight_bytes(p, &binary);
    if (binary)
        sp_text_add(out, "parameters: %llu bytes, of which %llu weights take a bit each\n",
                    (unsigned long long)bytes, (unsigned long long)binary);
}

void sp_plan_print(const sp_plan *p, bool steps, sp_text *out)
{
    uint64_t history = 0;
    for (int i = 0; i < p->n_tensors; i++)
        if (p->tensors[i].lifetime == SP_LIFETIME_HISTORY)
            history += p->tensors[i].bytes * (uint64_t)sp_plan_slots(p, &p->tensors[i]);
    sp_text_add(out, "plan: %s, %lld time steps, batch %lld, %s%s\n", sp_method_name(p->o.method),
                (long long)p->o.time_steps, (long long)p->o.batch, p->dev ? "on " : "without a device",
                p->dev ? p->dev->info.name : "");
    if (steps) {
        print_timeline(p, out);
        print_steps(p, out);
        print_values(p, out);
        sp_text_add(out, "\n");
    }
    sp_text_add(out, "launches a mini-batch: %d%s\n", launches_per_batch(p),
                p->o.method == SP_METHOD_SLTT_K || p->o.method == SP_METHOD_LTL ? " at most" : "");
    sp_text_add(out,
                "device memory: %llu bytes (%.2f MiB) = parameters, gradients, optimizer %.2f + states %.2f "
                "+ history of %lld steps %.2f + working memory %.2f MiB\n",
                (unsigned long long)(p->arena_bytes + p->model->bytes), mib(p->arena_bytes + p->model->bytes),
                mib(p->model->bytes), mib(p->state_bytes - history), (long long)sp_plan_block(p),
                mib(history), mib(p->arena_bytes - p->state_bytes));
    if (p->o.teacher)
        sp_text_add(out,
                    "its teacher, whose forward pass gives the targets of a mini-batch before it: %.2f MiB "
                    "more\n",
                    mib(p->o.teacher->arena_bytes + p->o.teacher->model->bytes));
    print_binary(p, out);
    print_recomputed(p, out);
    sp_plan_print_bf16(p, out);
    sp_half_stats half = sp_plan_half(p);
    if (p->o.half)
        sp_text_add(out,
                    "activations stored as half: %d tensors of %.2f MiB, which as float32 would take %.2f "
                    "MiB\n",
                    half.tensors, mib(half.bytes), mib(2 * half.bytes));
}
