/* Threshold-dependent batch norm: training by stages, its memory, evaluation, and what is refused. The
 * gradients are the business of tests/golden. */
#include "program.h"

TestSuite(stages, .init = program_setup, .fini = program_teardown);

#define TD_NETWORK                                                                                           \
    "network:\n"                                                                                             \
    "  - {type: conv, out: 8, kernel: 3, padding: 1}\n"                                                      \
    "  - {type: td_batch_norm}\n"                                                                            \
    "  - {type: lif}\n"                                                                                      \
    "  - type: residual\n"                                                                                   \
    "    branch: [{type: conv, out: 8, kernel: 3, padding: 1}, {type: td_batch_norm, alpha: 0.7}]\n"         \
    "  - {type: lif}\n"                                                                                      \
    "  - {type: avg_pool, kernel: 2}\n"                                                                      \
    "  - {type: flatten}\n"                                                                                  \
    "  - {type: linear, out: 4}\n"
#define SCHEDULE                                                                                             \
    "schedule: {method: bptt, time_steps: 3}\noptimizer: {lr: 0.1}\nneuron: {v_th: 0.5, tau: 1.5}\n"

static void write_recipe(const char *schedule)
{
    char text[2048];
    snprintf(text, sizeof text, "%s%s%s", TINY, schedule, TD_NETWORK);
    write_text("r.yaml", text);
}

static double plan_number(const char *key)
{
    json_t *j = json_loads(text_of("out"), 0, NULL);
    cr_assert_not_null(j, "%s", text_of("out"));
    double x = number_of(j, key);
    json_decref(j);
    return x;
}

Test(stages, training_learns_resumes_and_evaluates)
{
    write_recipe(SCHEDULE);
    EXPECT_CODE(0, run("train r.yaml --out whole -s epochs=4"));
    json_t *last = metrics_event("whole", "epoch", 3);
    cr_assert(number_of(last, "test_accuracy") > 0.9,
              "%g: evaluation does not see the network that was trained", number_of(last, "test_accuracy"));
    json_decref(last);
    EXPECT_CODE(130, run("train r.yaml --out parts --max-iterations 5 -s epochs=4"));
    EXPECT_CODE(0, run("train --resume parts"));
    expect_same_checkpoint("whole/checkpoint.safetensors", "parts/checkpoint.safetensors");
    sp_tensor_file f = tensors_of("whole/checkpoint.safetensors");
    cr_assert_not_null(sp_tensors_find(&f, "3.branch.1.running_var"));
    sp_tensors_free(&f);
}

Test(stages, memory_is_as_planned_and_grows_evenly)
{
    double bytes[3];
    write_recipe(SCHEDULE);
    for (int i = 0; i < 3; i++) {
        EXPECT_CODE(0, run("plan r.yaml --json -s schedule.time_steps=%d", 4 + 3 * i));
        bytes[i] = plan_number("planned_bytes");
        cr_assert_eq(bytes[i], plan_number("allocated_bytes"));
    }
    cr_assert(bytes[1] > bytes[0] && bytes[2] - bytes[1] == bytes[1] - bytes[0], "%g, %g, %g", bytes[0],
              bytes[1], bytes[2]);
    EXPECT_CODE(0, run("plan r.yaml"));
    static const char *const order[] = {"segment forward:",
                                        "segment statistics 1:",
                                        "segment forward 2:",
                                        "segment statistics 2:",
                                        "segment forward 3:",
                                        "segment backward 3:",
                                        "segment sums of gradients 2:",
                                        "segment backward 2:",
                                        "segment sums of gradients 1:",
                                        "segment backward:"};
    const char *at = text_of("out");
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const char *next = strstr(at, order[i]);
        cr_assert_not_null(next, "\"%s\" is missing or out of order", order[i]);
        at = next + 1;
    }
}

/* What is computed again has the same bits; the inputs of the norms over time are kept. */
Test(stages, recomputing_gives_the_same_run)
{
    write_recipe(SCHEDULE);
    EXPECT_CODE(0, run("train r.yaml --out kept"));
    EXPECT_CODE(0, run("train r.yaml --out again -s schedule.recompute=true"));
    sp_tensor_file x = tensors_of("kept/checkpoint.safetensors"), y = tensors_of("again/"
                                                                                 "checkpoint.safetensors");
    for (size_t i = 0; i < x.n; i++)
        cr_assert_eq(memcmp(x.items[i].data, y.items[i].data, x.items[i].bytes), 0, "%s", x.items[i].name);
    sp_tensors_free(&x);
    sp_tensors_free(&y);
}

Test(stages, other_methods_are_refused_with_the_place_and_the_reason)
{
    static const struct {
        const char *set, *said;
    } cases[] = {
        {"schedule.method=sltt", "r.yaml:13:5: layer 1: td_batch_norm needs schedule.method bptt without "
                                 "truncate, not sltt"},
        {"schedule.method=sltt-k", "not sltt-k: its statistics are those of all time steps"},
        {"schedule.method=ottt", "not ottt"},
        {"schedule.truncate=2", "not truncated bptt"},
        {"network.1.alpha=0", "alpha"},
        {"network.1.alhpa=1", "did you mean \"alpha\"?"},
        {"monitor.gradient_similarity.every=2", "monitor.gradient_similarity (sltt): layer 1: td_batch_norm "
                                                "needs"},
    };
    write_recipe(SCHEDULE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT_CODE(3, run("train r.yaml -s %s", cases[i].set));
        EXPECT_SAID(cases[i].said);
    }
}

/* A number that is not finite is found in whatever stage it comes up. */
Test(stages, a_number_that_is_not_finite_is_found)
{
    write_recipe(SCHEDULE);
    EXPECT_CODE(6, run("train r.yaml -s optimizer.lr=1e6 -s optimizer.weight_decay=1000 --out bad"));
    EXPECT_SAID("First seen: ");
    cr_assert_null(strstr(text_of("err"), "not found again"));
}
