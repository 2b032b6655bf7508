/* The order in which a mini-batch walks a plan's timeline, without any device. */
#include "../plan/plans.h"

#include "exec/executor.h"

static const char net[] = "layers:\n"
                          "  - {type: flatten}\n"
                          "  - {type: linear, out: 6}\n"
                          "  - {type: lif}\n"
                          "  - {type: linear, out: 5}\n";

/* "begin | forward 0 | forward+backward 1 | end" */
static void expect_walk(sp_method method, const uint8_t *backprop, const char *expected)
{
    sp_plan_options o = options_of(method, 3);
    planned r = plan_of(net, &o);
    sp_exec_batch batch = {.backprop = backprop};
    char text[512] = "";
    const sp_timeline_entry *m;
    for (int i = 0; (m = spi_exec_next(r.p, &batch, &i)); i++) {
        size_t used = strlen(text);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? " | " : "",
                                 r.p->segments[m->segment].name);
        if (m->t >= 0)
            snprintf(text + used, sizeof text - used, " %d", m->t);
    }
    cr_assert_str_eq(text, expected);
    planned_free(&r);
}

Test(walk, sltt_goes_back_at_every_step)
{
    expect_walk(SP_METHOD_SLTT, NULL,
                "begin | forward+backward 0 | forward+backward 1 | forward+backward 2 | end");
}

Test(walk, sltt_k_goes_back_at_the_steps_that_were_drawn)
{
    expect_walk(SP_METHOD_SLTT_K, (const uint8_t[]){0, 1, 0},
                "begin | forward 0 | forward+backward 1 | forward 2 | end");
    expect_walk(SP_METHOD_SLTT_K, (const uint8_t[]){0, 0, 0},
                "begin | forward 0 | forward 1 | forward 2 | end");
    expect_walk(SP_METHOD_SLTT_K, NULL,
                "begin | forward+backward 0 | forward+backward 1 | forward+backward 2 | end");
}

Test(walk, bptt_goes_back_from_the_last_step_to_the_first)
{
    expect_walk(SP_METHOD_BPTT, NULL,
                "begin | forward 0 | forward 1 | forward 2 | backward 2 | backward 1 | backward 0 | end");
}

Test(walk, evaluation_only_goes_forward)
{
    expect_walk(SP_METHOD_EVAL, NULL, "begin | forward 0 | forward 1 | forward 2 | end");
}
