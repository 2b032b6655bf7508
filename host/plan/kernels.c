/* The passes that give steps their kernels: select chooses a variant for each, build compiles it. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "check/helper.h"
#include "plan/builder.h"
#include "registry/wisdom.h"

/* Of products of two matrices, those with one transposed are gradients. */
static bool is_forward(const sp_op_call *c)
{
    const bool gemm = strncmp(c->op->id, "gemm/", 5) == 0;
    return gemm ? !sp_call_flag(c, "TA") && !sp_call_flag(c, "TB")
                : strncmp(c->op->id, "conv.forward/", 13) == 0;
}

bool spi_may_round(const sp_plan *p, const sp_op_call *c)
{
    return sp_op_has_flag(c->op, "BF16") && p->o.bf16 && (p->o.bf16 == SP_BF16_ALL || !is_forward(c));
}

/* A call is told by its flags in wisdom too: it has BF16 only where a kernel of this device may take it. */
static bool is_rounded(const sp_plan *p, const sp_op_call *c)
{
    return spi_may_round(p, c) && !p->reg->package && sp_select_has_bf16(p->reg, p->dev, c);
}

sp_status spi_choose(sp_plan *p, sp_step *s, sp_error *err)
{
    if (!s->variant)
        sp_call_set_bf16(&s->call, is_rounded(p, &s->call));
    return s->variant ? SP_OK : sp_select(p->reg, p->dev, &s->call, &s->variant, s->why, sizeof s->why, err);
}

bool sp_step_is_forced(const sp_registry *reg, size_t i, const sp_step *s)
{
    return (s->variant && sp_registry_is_forced(reg, i, s->variant)) ||
           (s->lowering && sp_registry_is_forced(reg, i, s->lowering));
}

/* The k-th of n, or where the plan's kernels are compiled from its end, the k-th from there. */
static int place(const sp_plan *p, int k, int n)
{
    return p->o.from_end ? n - 1 - k : k;
}

sp_status spi_select(sp_plan *p, sp_error *err)
{
    for (int g = 0; g < p->n_segments; g++) {
        sp_segment *s = &p->segments[place(p, g, p->n_segments)];
        for (int i = 0; i < s->n; i++)
            SP_TRY(spi_choose(p, &s->steps[place(p, i, s->n)], err));
    }
    return SP_OK;
}

/* Kernels whose registers do not suffice give way to those of smaller values of their tunables, where there
 * are any, unless the values were measured. A device that programs are only written for is not asked. */
static sp_status create_launch(sp_plan *p, sp_step *s, sp_error *why)
{
    int64_t tunes[SP_VARIANT_MAX_TUNES];
    bool tuned = sp_wisdom_tunes(p->reg, s->variant, &s->call, tunes);
    SP_TRY(sp_launch_create(p->reg, p->dev, s->variant, &s->call, tuned ? tunes : NULL, &s->launch, why));
    if (!tuned && !p->reg->package && !p->reg->recorder && sp_launch_spills(s->launch) &&
        sp_variant_shrink(s->variant, SP_SHRINK_REGISTERS, p->dev, &s->call))
        sp_launch_destroy(&s->launch);
    return SP_OK;
}

/* A variant that cannot be built is refused with the reason (after smaller groups, where its groups were too
 * large), and the next one is chosen; that may be one that lowers, of which there is nothing to build. */
static sp_status build_step(sp_plan *p, sp_step *s, sp_error *err)
{
    while (s->variant->kind != SP_VARIANT_LOWER) {
        sp_error why = {0};
        sp_status st = sp_interrupted_or(create_launch(p, s, &why), "kernels were compiled", &why);
        if (st == SP_OK && s->launch)
            return p->reg->recorder ? sp_package_record_launch(p->reg->recorder, p->reg, s->launch, err)
                                    : SP_OK;
        if (st != SP_OK && (s->variant->origin == SP_ORIGIN_REFERENCE || st == SP_E_MEMORY ||
                            st == SP_E_INTERRUPTED || p->reg->package)) {
            if (err)
                *err = why;
            return sp_error_prefix(err, st, "%s: ", s->label);
        }
        if (st != SP_OK && (why.cl_code != CL_INVALID_WORK_GROUP_SIZE ||
                            !sp_variant_shrink(s->variant, SP_SHRINK_GROUPS, p->dev, &s->call))) {
            sp_log(SP_LOG_WARNING, "plugin %s refused: %s", s->variant->id, why.text);
            sp_variant_refuse(s->variant, why.text);
        }
        s->variant = NULL;
        SP_TRY(spi_choose(p, s, err));
    }
    return SP_OK;
}

/* A step's workspace has so many bytes; *changed where it had not. */
static sp_status set_workspace(sp_builder *b, sp_step *s, uint64_t bytes, bool *changed)
{
    char name[64];
    const uint64_t had = s->work >= 0 ? b->p->tensors[s->work].bytes : 0;
    if (had == (bytes + 3) / 4 * 4)
        return SP_OK;
    *changed = true;
    s->work = -1;
    if (!bytes)
        return SP_OK;
    snprintf(name, sizeof name, "workspace of %.50s", s->label);
    return spi_tensor_new(b, name, (int64_t)((bytes + 3) / 4), SP_LIFETIME_SEGMENT, &s->work);
}

sp_status spi_add_workspaces(sp_builder *b)
{
    sp_plan *p = b->p;
    bool ignored;
    for (int g = 0; g < p->n_segments; g++)
        for (int i = 0; i < p->segments[g].n; i++) {
            sp_step *s = &p->segments[g].steps[i];
            int64_t tunes[SP_VARIANT_MAX_TUNES];
            uint64_t bytes;
            if (s->launch)
                continue;
            const bool tuned = sp_wisdom_tunes(p->reg, s->variant, &s->call, tunes);
            SP_TRY(
                sp_launch_workspace_of(p->dev, s->variant, &s->call, tuned ? tunes : NULL, &bytes, b->err));
            SP_TRY(set_workspace(b, s, bytes, &ignored));
        }
    return SP_OK;
}

sp_status spi_build(sp_builder *b, bool *changed)
{
    sp_plan *p = b->p;
    *changed = false;
    for (int g = 0; g < p->n_segments; g++) {
        const sp_segment *segment = &p->segments[place(p, g, p->n_segments)];
        for (int i = 0; i < segment->n; i++) {
            sp_step *s = &segment->steps[place(p, i, segment->n)];
            if (s->launch)
                continue;
            sp_helper_go_on();
            SP_TRY(build_step(p, s, b->err));
            if (s->launch)
                SP_TRY(set_workspace(b, s, sp_launch_workspace(s->launch), changed));
            else
                *changed = true;
        }
    }
    return SP_OK;
}
