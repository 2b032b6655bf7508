/* The distinct calls of a plan. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "check/timing.h"
#include "cli/tune.h"

void sp_cli_calls_free(sp_cli_calls *c)
{
    sp_free(c->items);
    *c = (sp_cli_calls){.n = 0};
}

static sp_status add(sp_cli_calls *c, const sp_op_call *call, double weight, sp_error *err)
{
    char text[512], other[512];
    sp_call_describe(call, text, sizeof text);
    for (size_t i = 0; i < c->n; i++) {
        sp_call_describe(&c->items[i].call, other, sizeof other);
        if (c->items[i].call.op == call->op && strcmp(text, other) == 0) {
            c->items[i].weight += weight;
            return SP_OK;
        }
    }
    struct sp_cli_call *added = sp_array_push(&c->items, c->n, sizeof *added);
    if (!added)
        return SP_FAIL(err, SP_E_MEMORY, "out of memory while gathering the calls of a plan");
    *added = (struct sp_cli_call){*call, weight};
    c->n++;
    return SP_OK;
}

sp_status sp_cli_calls_of_plan(const sp_plan *p, sp_cli_calls *out, sp_error *err)
{
    for (int g = 0; g < p->n_segments; g++) {
        const int times = sp_plan_runs(p, g);
        for (int i = 0; i < p->segments[g].n; i++) {
            const sp_op_call *call = &p->segments[g].steps[i].call;
            double flops = sp_call_flops(call), bytes = sp_call_bytes(call);
            SP_TRY(add(out, call, (double)times * (flops > bytes ? flops : bytes), err));
        }
    }
    return SP_OK;
}

static bool is_part(const sp_op_call *call)
{
    static const char *const parts[] = {"gemm/", "im2col/", "col2im/", "bias.broadcast/"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strncmp(call->op->id, parts[i], strlen(parts[i])) == 0)
            return true;
    return false;
}

static int by_weight(const void *x, const void *y)
{
    const struct sp_cli_call *a = x, *b = y;
    bool pa = is_part(&a->call), pb = is_part(&b->call);
    return pa != pb ? pb - pa : (b->weight > a->weight) - (b->weight < a->weight);
}

void sp_cli_calls_sort(sp_cli_calls *c)
{
    if (c->n)
        qsort(c->items, c->n, sizeof *c->items, by_weight);
}

bool sp_cli_calls_lowered(const sp_cli_calls *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (strncmp(c->items[i].call.op->id, "im2col/", 7) == 0 ||
            strncmp(c->items[i].call.op->id, "col2im/", 7) == 0)
            return true;
    return false;
}
