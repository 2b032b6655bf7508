/* The calls that ops are checked with: every op has some, they are possible, small, and cover the settings.
 * No device. */
#include <criterion/criterion.h>
#include <string.h>

#include "check/check.h"

enum { MAX = 512 };
static sp_op_call calls[MAX];

static int64_t of(const sp_op_call *c, const char *name, int64_t otherwise)
{
    for (int i = 0; i < SP_OP_MAX_INTS && c->op->ints[i]; i++)
        if (strcmp(c->op->ints[i], name) == 0)
            return c->ints[i];
    return otherwise;
}

Test(check_calls, every_op_has_quick_and_full_calls)
{
    for (size_t k = 0; k < sp_op_count(); k++) {
        const sp_op *op = sp_op_at(k);
        size_t quick = sp_check_calls(op, true, calls, MAX), full = sp_check_calls(op, false, calls, MAX);
        cr_assert_geq(quick, 3, "%s has %zu quick calls", op->id, quick);
        size_t of_one = 0; /* a variant takes those without the flag BF16, or those with it */
        for (size_t i = 0; i < sp_check_calls(op, true, calls, MAX); i++)
            of_one += !sp_call_is_bf16(&calls[i]);
        cr_assert_leq(of_one, 12, "%s: %zu quick calls are not quick", op->id, of_one);
        cr_assert_leq(quick - of_one, 12, "%s: %zu quick calls with BF16", op->id, quick - of_one);
        cr_assert_gt(full, quick, "%s: full has no more than quick", op->id);
        cr_assert_lt(full, MAX, "%s has too many calls", op->id);
    }
}

Test(check_calls, there_can_be_each_of_them)
{
    for (size_t k = 0; k < sp_op_count(); k++) {
        size_t n = sp_check_calls(sp_op_at(k), false, calls, MAX);
        for (size_t i = 0; i < n; i++) {
            sp_error err = {0};
            cr_expect_eq(sp_call_check(&calls[i], &err), SP_OK, "%s: %s", calls[i].op->id, err.text);
        }
    }
}

Test(check_calls, buffers_are_not_empty_and_not_large)
{
    for (size_t k = 0; k < sp_op_count(); k++) {
        size_t n = sp_check_calls(sp_op_at(k), false, calls, MAX);
        for (size_t i = 0; i < n; i++)
            for (int b = 0; b < SP_OP_MAX_BUFFERS && calls[i].op->buffers[b].name; b++) {
                char text[256];
                sp_call_describe(&calls[i], text, sizeof text);
                cr_assert_geq(sp_call_buffer_rows(&calls[i], b), 1, "%s: %s", calls[i].op->id, text);
                cr_assert_geq(sp_call_buffer_cols(&calls[i], b), 1, "%s: %s", calls[i].op->id, text);
                cr_assert_leq(sp_call_buffer_elems(&calls[i], b), 300000, "%s: %s", calls[i].op->id, text);
            }
    }
}

Test(check_calls, quick_calls_are_tiny)
{
    for (size_t k = 0; k < sp_op_count(); k++) {
        size_t n = sp_check_calls(sp_op_at(k), true, calls, MAX);
        for (size_t i = 0; i < n; i++)
            for (int b = 0; b < SP_OP_MAX_BUFFERS && calls[i].op->buffers[b].name; b++)
                cr_assert_leq(sp_call_buffer_elems(&calls[i], b), 40000, "%s", calls[i].op->id);
    }
}

/* The last window of a convolution or pool begins inside the padded input. */
Test(check_calls, output_sizes_follow_the_window)
{
    for (size_t k = 0; k < sp_op_count(); k++) {
        size_t n = sp_check_calls(sp_op_at(k), false, calls, MAX);
        for (size_t i = 0; i < n; i++) {
            const sp_op_call *c = &calls[i];
            if (of(c, "KH", 0) == 0)
                continue;
            int64_t room = of(c, "H", 0) + 2 * of(c, "PH", 0) - of(c, "DH", 1) * (of(c, "KH", 0) - 1);
            cr_assert_geq(room, 1);
            cr_assert_eq(of(c, "HO", 0), (room - 1) / of(c, "SH", 1) + 1);
        }
    }
}

Test(check_calls, full_covers_every_flag_combination)
{
    for (size_t k = 0; k < sp_op_count(); k++) {
        const sp_op *op = sp_op_at(k);
        size_t n = sp_check_calls(op, false, calls, MAX);
        int flags = 0;
        uint32_t seen = 0;
        if (strstr(op->id, "_ext/")) /* some flags follow from the model there: next test */
            continue;
        while (flags < SP_OP_MAX_FLAGS && op->flags[flags])
            flags++;
        for (size_t i = 0; i < n; i++) {
            unsigned combination = 0;
            for (int f = 0; f < flags; f++)
                combination |= (unsigned)calls[i].flags[f] << f;
            seen |= 1u << combination;
        }
        cr_assert_lt(flags, 6);
        cr_assert_eq(seen, (uint32_t)((UINT64_C(1) << (1 << flags)) - 1), "%s: flag combinations %x", op->id,
                     seen);
    }
}

/* For each model with more than u: each other flag both ways (SCALED matters to what is learnt only), and the
 * model's own flags as it needs them. */
Test(check_calls, extended_models_meet_every_flag)
{
    static const char *const ops[] = {"neuron.forward_ext", "neuron.backward_ext"}, *const own[] = {"AUX",
                                                                                                    "ADAPT",
                                                                                                    "LEARN"};
    static const struct {
        const char *name;
        int own[3];
    } models[] = {{"plif", {0, 0, 1}},
                  {"cuba_lif", {1, 0, 0}},
                  {"alif", {1, 1, 0}},
                  {"cuba_plif", {1, 0, 1}},
                  {"palif", {1, 1, 1}}};
    for (int k = 0; k < 2; k++) {
        size_t n = sp_check_calls(sp_op_find(ops[k]), false, calls, MAX);
        for (int m = 0; m < 5; m++) {
            int seen[SP_OP_MAX_FLAGS][2] = {{0}}, edge[4] = {0};
            for (size_t i = 0; i < n; i++) {
                if (strcmp(calls[i].neuron, models[m].name) != 0)
                    continue;
                for (int f = 0; f < 3; f++)
                    cr_assert_eq(sp_call_flag(&calls[i], own[f]), models[m].own[f], "%s %s", ops[k],
                                 models[m].name);
                for (int f = 0; calls[i].op->flags[f] && strcmp(calls[i].op->flags[f], "AUX") != 0; f++)
                    seen[f][calls[i].flags[f]]++;
                edge[2 * of(&calls[i], "first", 0) + of(&calls[i], "last", 0)]++;
            }
            for (int f = 0; strcmp(sp_op_find(ops[k])->flags[f], "AUX") != 0; f++)
                cr_assert((seen[f][0] && seen[f][1]) ||
                              (!models[m].own[2] && strcmp(sp_op_find(ops[k])->flags[f], "SCALED") == 0),
                          "%s %s: %s", ops[k], models[m].name, sp_op_find(ops[k])->flags[f]);
            cr_assert(edge[0] && edge[2] && (k == 0 || (edge[1] && edge[3])), "%s %s", ops[k],
                      models[m].name);
        }
    }
}

/* A model of an outside plugin has no C formula: one that uses the same stands in, whatever the combination.
 */
Test(check_calls, outside_models_have_a_stand_in_that_uses_the_same)
{
    static const char *const ops[] = {"neuron.forward_ext", "neuron.backward_ext"};
    static const struct {
        int aux, adapt, learn;
        const char *stands_in;
    } models[] = {{0, 0, 1, "plif"},
                  {1, 0, 0, "cuba_lif"},
                  {1, 1, 0, "alif"},
                  {1, 0, 1, "cuba_plif"},
                  {1, 1, 1, "palif"}};
    for (int k = 0; k < 2; k++)
        for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
            sp_op_call like = sp_op_call_make(ops[k]);
            like.neuron = "of_a_plugin";
            like.surrogate = like.op->takes_surrogate ? "of_a_plugin" : NULL;
            sp_call_set_flag(&like, "AUX", models[m].aux);
            sp_call_set_flag(&like, "ADAPT", models[m].adapt);
            sp_call_set_flag(&like, "LEARN", models[m].learn);
            size_t n = sp_check_calls_like(&like, false, calls, MAX);
            cr_assert_gt(n, 0);
            for (size_t i = 0; i < n; i++)
                cr_assert_str_eq(calls[i].neuron, models[m].stands_in);
        }
}

Test(check_calls, neuron_backward_meets_every_surrogate_neuron_and_step)
{
    static const char *const names[] = {"triangle",     "rectangle", "sigmoid",       "atan",  "erf",
                                        "fast_sigmoid", "gaussian",  "piecewise_exp", "dspike"};
    size_t n = sp_check_calls(sp_op_find("neuron.backward"), false, calls, MAX);
    for (size_t s = 0; s < sizeof names / sizeof *names; s++) {
        int last[2] = {0}, neuron[2] = {0};
        for (size_t i = 0; i < n; i++)
            if (strcmp(calls[i].surrogate, names[s]) == 0) {
                last[of(&calls[i], "last", 0)]++;
                neuron[strcmp(calls[i].neuron, "lif") == 0]++;
            }
        cr_assert(last[0] && last[1] && neuron[0] && neuron[1], "%s", names[s]);
    }
}

/* A threshold that float cannot hold would let kernel and reference differ with reason. */
Test(check_calls, floats_are_exact_in_float)
{
    for (size_t k = 0; k < sp_op_count(); k++) {
        size_t n = sp_check_calls(sp_op_at(k), false, calls, MAX);
        for (size_t i = 0; i < n; i++)
            for (int f = 0; f < SP_OP_MAX_FLOATS && calls[i].op->floats[f]; f++)
                cr_assert_eq(calls[i].floats[f], (double)(float)calls[i].floats[f], "%s %s", calls[i].op->id,
                             calls[i].op->floats[f]);
    }
}

Test(check_calls, settings_of_people_are_not_left_at_zero)
{
    for (size_t k = 0; k < sp_op_count(); k++) {
        const sp_op *op = sp_op_at(k);
        size_t n = sp_check_calls(op, false, calls, MAX);
        for (int f = 0; f < SP_OP_MAX_FLOATS && op->floats[f]; f++) {
            int some = 0;
            for (size_t i = 0; i < n; i++)
                some |= calls[i].floats[f] != 0;
            cr_assert(some, "%s: %s is always 0; give it values in host/check/calls.c", op->id,
                      op->floats[f]);
        }
    }
}

Test(check_calls, stops_at_max)
{
    cr_assert_eq(sp_check_calls(sp_op_find("gemm"), false, calls, 5), 5);
    cr_assert_eq(sp_check_calls(sp_op_find("gemm"), false, calls, 0), 0);
}

/* What trust costs: the quick shapes with the settings of the call alone, fewer once the variant has passed
 * with others. */
Test(check_calls, like_a_call_has_its_flags_and_fragments)
{
    sp_op_call like = sp_op_call_make("neuron.backward");
    sp_call_set_flag(&like, "TEMPORAL", true);
    like.neuron = "if", like.surrogate = "atan";
    size_t n = sp_check_calls_like(&like, false, calls, MAX);
    cr_assert_geq(n, 3);
    int last[2] = {0, 0};
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(memcmp(calls[i].flags, like.flags, sizeof like.flags), 0);
        cr_assert_str_eq(calls[i].neuron, "if");
        cr_assert_str_eq(calls[i].surrogate, "atan");
        last[of(&calls[i], "last", 0) != 0]++;
    }
    cr_assert(last[0] && last[1], "both a last time step and another");
    size_t few = sp_check_calls_like(&like, true, calls, MAX);
    cr_assert(few >= 1 && few < n);
}

Test(check_calls, like_a_call_of_an_outside_fragment_takes_one_that_has_a_formula)
{
    sp_op_call like = sp_op_call_make("neuron.backward");
    like.neuron = "mine", like.surrogate = "my_surrogate";
    size_t n = sp_check_calls_like(&like, false, calls, MAX);
    cr_assert_geq(n, 3);
    for (size_t i = 0; i < n; i++) {
        cr_assert_str_eq(calls[i].neuron, "lif");
        cr_assert_str_eq(calls[i].surrogate, "triangle");
    }
}
