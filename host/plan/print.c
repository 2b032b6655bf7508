/* A plan as text: what runs when, on which kernel and why, and where every byte of device memory goes. */
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

static double mib(uint64_t bytes)
{
    return (double)bytes / 1048576.0;
}

static void print_segment(const sp_segment *s, sp_text *out)
{
    sp_text_add(out, "\nsegment %s: %d launches\n", s->name, s->n);
    for (int i = 0; i < s->n; i++) {
        const sp_step *step = &s->steps[i];
        sp_text_add(out, "  %3d  %-44s %-44s %s\n", i, step->label, step->variant->id, step->why);
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

static int kind_order(const sp_value *v)
{
    return v->store == SP_STORE_HISTORY ? 0 : v->store == SP_STORE_STATE ? 1 : 2;
}

static void print_values(const sp_plan *p, sp_text *out)
{
    static const char *const kinds[] = {"every time step", "whole mini-batch", "one segment"};
    sp_text_add(out, "\n%-40s %-18s %12s  %s\n", "value", "lives", "bytes", "offset in the arena");
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < p->n_values; i++) {
            const sp_value *v = &p->values[i];
            if (v->store == SP_STORE_FIXED || kind_order(v) != k || v->used_in == 0)
                continue;
            uint64_t slots = (uint64_t)sp_plan_slots(p, v);
            sp_text_add(out, "%-40s %-18s %12llu  %llu%s%s\n", v->name, kinds[k],
                        (unsigned long long)(v->bytes * slots), (unsigned long long)v->at[0],
                        v->half ? " (half)" : "", v->shares >= 0 ? " (in place)" : "");
        }
}

static int launches_per_batch(const sp_plan *p)
{
    int n = p->segments[SP_SEGMENT_UPDATE].n;
    for (int i = 0; i < p->n_timeline; i++)
        if (p->timeline[i].condition != SP_IF_NOT_BACKPROP)
            n += p->segments[p->timeline[i].segment].n;
    return n;
}

sp_half_stats sp_plan_half(const sp_plan *p)
{
    sp_half_stats h = {0};
    for (int i = 0; i < p->n_values; i++) {
        const sp_value *v = &p->values[i];
        if (!v->half || v->used_in == 0)
            continue;
        h.values++;
        h.bytes += v->bytes * (uint64_t)sp_plan_slots(p, v);
    }
    return h;
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

void sp_plan_print(const sp_plan *p, bool steps, sp_text *out)
{
    uint64_t history = 0;
    for (int i = 0; i < p->n_values; i++)
        if (p->values[i].store == SP_STORE_HISTORY)
            history += p->values[i].bytes * (uint64_t)sp_plan_slots(p, &p->values[i]);
    sp_text_add(out, "plan: %s, %lld time steps, batch %lld, on %s\n", sp_method_name(p->o.method),
                (long long)p->o.time_steps, (long long)p->o.batch, p->dev->info.name);
    if (steps) {
        print_steps(p, out);
        print_values(p, out);
        sp_text_add(out, "\n");
    }
    sp_text_add(out, "launches a mini-batch: %d%s\n", launches_per_batch(p),
                p->o.method == SP_METHOD_SLTT_K ? " at most" : "");
    sp_text_add(out,
                "device memory: %llu bytes (%.2f MiB) = parameters, gradients, optimizer %.2f + states %.2f "
                "+ history "
                "of %lld steps %.2f + working memory %.2f MiB\n",
                (unsigned long long)(p->arena_bytes + p->model->bytes), mib(p->arena_bytes + p->model->bytes),
                mib(p->model->bytes), mib(p->state_bytes - history), (long long)sp_plan_block(p),
                mib(history), mib(p->arena_bytes - p->state_bytes));
    print_recomputed(p, out);
    sp_half_stats half = sp_plan_half(p);
    if (p->o.half)
        sp_text_add(out,
                    "activations stored as half: %d values of %.2f MiB, which as float32 would take %.2f "
                    "MiB\n",
                    half.values, mib(half.bytes), mib(2 * half.bytes));
}
